//! The system's own agents: what messages without an agent of their own are attributed to. They attend no session and take
//! part in no chat. All other agents are known by the host.

use super::inbound::system_agent;
use super::message::MessageSource;
use crate::kernel::{AgentId, ProjectId, refuse_reserved};

/// Whether an id is reserved, or is one that messages of the project are attributed to.
pub fn is_system_agent(project: ProjectId, agent: AgentId) -> bool {
    refuse_reserved(agent).is_err() || MessageSource::ALL.iter().any(|source| system_agent(project, *source) == agent)
}
