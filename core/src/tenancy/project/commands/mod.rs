//! What can be done to a project.

mod agents;
mod create;
mod custom_fields;
mod lifecycle;
mod ownership;
mod update;

pub use agents::{AddAssignmentAgent, RemoveAssignmentAgent};
pub use create::CreateProject;
pub(crate) use create::found;
#[cfg(any(test, feature = "testing"))]
pub(crate) use create::found_as;
pub use custom_fields::{DefineCustomField, RemoveCustomField, UpdateCustomField};
pub use lifecycle::{
    ActivateProject, DeactivateProject, DeleteProject, PurgeProject, RestoreProject, ResumeProject, SuspendProject,
};
pub use ownership::TransferOwnership;
pub use update::UpdateProject;

use crate::kernel::{AgentId, Error, ErrorCode, Result};

crate::operations![commands:
    CreateProject,
    UpdateProject,
    AddAssignmentAgent,
    RemoveAssignmentAgent,
    DefineCustomField,
    UpdateCustomField,
    RemoveCustomField,
    ActivateProject,
    DeactivateProject,
    SuspendProject,
    ResumeProject,
    TransferOwnership,
    DeleteProject,
    RestoreProject,
    PurgeProject,
];

/// Refuses agents that cannot be given sessions of the project.
///
/// # Errors
/// `agent_not_found`: while the room of agents is not part of the build, there is no agent to find.
fn check_agents(field: &str, agents: impl IntoIterator<Item = AgentId>) -> Result<()> {
    match agents.into_iter().next() {
        Some(id) => Err(Error::new(ErrorCode::AgentNotFound).at(field).with("id", id.to_string())),
        None => Ok(()),
    }
}
