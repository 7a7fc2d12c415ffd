//! Everything about somebody, for whoever has a right to see it.

use super::commands::{PersonKind, find_person};
use crate::catalogue::aggregate_type;
use crate::engine::{Command, UnitOfWork, derived, is_system, read};
use crate::infrastructure::audit::{self, AuditEvent};
use crate::infrastructure::event_log::walk::Walk;
use crate::kernel::{ErrorCode, Kind, Permission, ProjectId, Result, Subject, Timestamp};
use crate::operations;
use crate::storage::{EventQuery, EventRecord, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Events of one part of a document.
const EVENTS: usize = 500;
/// States of a part that no event names any more.
const STATES: usize = 500;

/// Everything that the project stores about a person: the state, the messages, sessions, chats and entries of the timeline that are the
/// person's, and every event that is about the person, oldest first. A long history comes in parts: `next` says where the following
/// one begins. `privacy.exported` tells of it, once for each document.
///
/// Conversations have two sides: what was said to the person is in it, too. Files are named, not contained.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportPersonalData {
    pub kind: PersonKind,
    pub id: Uuid,
    /// `next` of the part before.
    #[serde(default)]
    pub after: Option<String>,
}

/// A document about a person, or a part of one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PersonalData {
    pub kind: PersonKind,
    pub id: Uuid,
    pub exported_at: Timestamp,
    /// What is stored of the person; null for users, whose own record is outside the project, and in later parts.
    #[schemars(with = "Option<Map<String, Value>>", extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub state: Option<Box<RawValue>>,
    /// What belongs to the person and is named by the events of this part.
    pub related: Vec<RelatedData>,
    pub events: Vec<EventRecord>,
    /// Where the next part begins; null after the last one.
    pub next: Option<String>,
}

/// A state that belongs to a person.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RelatedData {
    pub kind: Kind,
    pub id: Uuid,
    #[schemars(with = "Map<String, Value>", extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub state: Box<RawValue>,
}

impl Command for ExportPersonalData {
    const NAME: &'static str = "privacy.export";
    const PERMISSION: Permission = Permission::PrivacyManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ContactNotFound,
        ErrorCode::UserNotFound,
        ErrorCode::AgentNotFound,
        ErrorCode::EnumUnknown,
        ErrorCode::CursorInvalid,
    ];
    type Output = PersonalData;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<PersonalData> {
        // The stored answer of an idempotent call would be one more copy.
        work.refuse_idempotency_key()?;
        find_person(work, self.kind, self.id).await?;
        let subject = Subject::new(self.kind.kind(), self.id);
        let scope = Scope::Project(work.project());
        let is_first = self.after.is_none();
        let walk = Walk::parse(self.after.as_deref()).map_err(|error| error.at("after"))?;
        let state = if is_first { state_of(work, subject).await? } else { None };
        let (events, related, next) = match walk {
            Walk::Events(after) => {
                let query = EventQuery { subject: Some(subject), after, limit: EVENTS, ..EventQuery::default() };
                let events = work.reader().storage().events(scope, &query).await?;
                let related = related(work, subject, &events).await?;
                let next = match events.last().filter(|_| events.len() == EVENTS) {
                    Some(last) => Some(Walk::Events(last.seq)),
                    // What no event names any more.
                    None => (!kept(work, subject, None, 1).await?.is_empty()).then_some(Walk::Baselines(None)),
                };
                (events, related, next)
            }
            Walk::Baselines(after) => {
                let named = kept(work, subject, after, STATES).await?;
                let next = named.last().filter(|_| named.len() == STATES).map(|last| Walk::Baselines(Some(*last)));
                let named = named.into_iter().collect();
                (Vec::new(), belonging(work, subject, named).await?, next)
            }
        };
        let next = next.map(|next| next.to_string());
        if is_first {
            let exported = AuditEvent::Exported { subject_kind: subject.kind, subject_id: subject.id };
            audit::record(work, exported).await?;
        }
        Ok(PersonalData { kind: self.kind, id: self.id, exported_at: work.now(), state, related, events, next })
    }
}

async fn state_of(work: &UnitOfWork<'_>, subject: Subject) -> Result<Option<Box<RawValue>>> {
    if is_system(subject.kind) || aggregate_type(subject.kind).is_none() {
        return Ok(None);
    }
    let found = work.reader().storage().get(Scope::Project(work.project()), subject.kind, &[subject.id]).await?;
    found.into_iter().next().map(|stored| raw(stored.state)).transpose()
}

/// What the events name that says of itself that it is the person's.
async fn related(work: &UnitOfWork<'_>, person: Subject, events: &[EventRecord]) -> Result<Vec<RelatedData>> {
    let mut named: BTreeSet<Subject> = BTreeSet::new();
    for record in events {
        named.extend(record.subjects.iter().copied());
        let (event, _) = read(record)?;
        named.extend(derived(record, &event).into_iter().map(|(subject, _)| subject));
    }
    named.remove(&person);
    belonging(work, person, named).await
}

/// The next aggregates whose older events were removed and that named the person then.
async fn kept(work: &UnitOfWork<'_>, person: Subject, after: Option<Subject>, limit: usize) -> Result<Vec<Subject>> {
    let id = person.id.to_string();
    let page = work.reader().storage().scan_baselines(work.project(), Some(&id), after, limit).await?;
    Ok(page.iter().map(|baseline| baseline.subject()).collect())
}

/// What says of itself that it is the person's.
async fn belonging(work: &UnitOfWork<'_>, person: Subject, named: BTreeSet<Subject>) -> Result<Vec<RelatedData>> {
    let field = match person.kind {
        Kind::Contact => "contact_id",
        Kind::User => "user_id",
        _ => "agent_id",
    };
    let (project, id): (ProjectId, String) = (work.project(), person.id.to_string());
    let mut found = Vec::new();
    for kind in Kind::ALL.iter().copied().filter(|kind| aggregate_type(*kind).is_some() && !is_system(*kind)) {
        let ids: Vec<Uuid> = named.iter().filter(|subject| subject.kind == kind).map(|subject| subject.id).collect();
        if ids.is_empty() {
            continue;
        }
        let mut stored = work.reader().storage().get(Scope::Project(project), kind, &ids).await?;
        stored.sort_by_key(|snapshot| snapshot.id);
        for snapshot in stored {
            let state: Value = serde_json::from_str(&snapshot.state)
                .map_err(|error| crate::kernel::Error::corrupt(format!("a stored {kind} cannot be read: {error}")))?;
            if state.get(field).and_then(Value::as_str) == Some(id.as_str()) {
                found.push(RelatedData { kind, id: snapshot.id, state: raw(snapshot.state)? });
            }
        }
    }
    Ok(found)
}

fn raw(text: String) -> Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|error| crate::kernel::Error::corrupt(error.to_string()))
}

operations![commands: ExportPersonalData];
