//! The commands of sessions.

mod attendance;
mod lifecycle;
mod outcome;
mod start;
mod update;

pub use attendance::{AssignSession, DeescalateSession, EscalateSession, UnassignSession};
pub use lifecycle::{EndSession, ReopenSession};
pub use outcome::{MarkConverted, RequestSummary, ResolveSession, SetSummary, UnresolveSession};
pub use start::{StartSession, StartedSession};
pub use update::UpdateSession;

use super::Session;
use crate::engine::{Reader, UnitOfWork};
use crate::kernel::text::{required_text, text};
use crate::kernel::{Actor, AgentId, Error, ErrorCode, Permission, Result};
use crate::operations;
use crate::tenancy::access::require;

/// The most characters of a reason.
const MAX_REASON: usize = 1_000;
/// The most characters of a note.
const MAX_NOTE: usize = 2_000;

/// Taking another agent's session away, or closing it, needs `sessions.assign` too.
async fn check_owner(work: &UnitOfWork<'_>, session: &Session) -> Result<()> {
    match session.current_agent_id {
        Some(agent) if work.actor().id() != Some(agent.uuid()) => {
            require(work.reader(), Permission::SessionsAssign).await
        }
        _ => Ok(()),
    }
}

/// The agent who acts, if one does.
fn acting_agent(work: &UnitOfWork<'_>) -> Option<AgentId> {
    match work.actor().actor {
        Actor::Agent(id) => Some(id),
        _ => None,
    }
}

fn optional(field: &str, given: Option<String>, max: usize) -> Result<Option<String>> {
    let given = given.map(|given| text(&given, max)).transpose().map_err(|e| e.at(field))?;
    Ok(given.filter(|text| !text.trim().is_empty()))
}

fn reason(given: &str) -> Result<String> {
    required_text(given, MAX_REASON).map_err(|error| match error.code() {
        ErrorCode::TextRequired => Error::new(ErrorCode::ReasonRequired).at("reason"),
        _ => error.at("reason"),
    })
}

/// The rules of the project for custom fields of sessions.
async fn with_custom_field_rules<T>(
    read: &Reader<'_>,
    decide: impl FnOnce(&crate::kernel::CustomFieldRules<'_>) -> T,
) -> Result<T> {
    use crate::tenancy::project::{CustomFieldTarget, Project};
    let project = read.find_any::<Project>(read.project()).await?;
    let rules = match &project {
        Some(project) => crate::kernel::CustomFieldRules {
            definitions: project.custom_field_definitions.of(CustomFieldTarget::Session),
            strict: project.custom_fields_strict,
            region: Some(project.default_region),
            by_system: false,
        },
        None => crate::kernel::CustomFieldRules::default(),
    };
    Ok(decide(&rules))
}

operations![commands:
    StartSession,
    EndSession,
    ReopenSession,
    AssignSession,
    UnassignSession,
    UpdateSession,
    ResolveSession,
    UnresolveSession,
    EscalateSession,
    DeescalateSession,
    MarkConverted,
    RequestSummary,
    SetSummary,
];
