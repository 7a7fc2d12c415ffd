//! What can be done to a project.

mod create;
mod update;

pub use create::CreateProject;

pub use update::UpdateProject;

use crate::kernel::{AgentId, Error, ErrorCode, Result};

crate::operations![commands: CreateProject, UpdateProject];

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
