//! Single agents in the assignment of sessions.

use super::check_agents;
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{AgentId, Error, ErrorCode, Permission, Result};
use crate::tenancy::project::{AgentAssignmentConfig, AssignmentChange, Project, ProjectEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Adds an agent to those who get sessions, at the end of the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddAssignmentAgent {
    pub agent_id: AgentId,
}

impl Command for AddAssignmentAgent {
    const NAME: &'static str = "projects.add_assignment_agent";
    const PERMISSION: Permission = Permission::ProjectManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::AgentNotFound, ErrorCode::AgentNotAssignable, ErrorCode::AgentAlreadyInAssignment];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let mut project = work.load::<Project>(work.project()).await?;
        let mut config = project.agent_assignment.clone();
        config.agent_ids.push(self.agent_id);
        config.check()?;
        check_agents("agent_id", [self.agent_id])?;
        project.record(changed(config, AssignmentChange::AgentAdded));
        work.save(project)
    }
}

/// Takes an agent out of those who get sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveAssignmentAgent {
    pub agent_id: AgentId,
}

impl Command for RemoveAssignmentAgent {
    const NAME: &'static str = "projects.remove_assignment_agent";
    const PERMISSION: Permission = Permission::ProjectManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::AgentNotInAssignment, ErrorCode::AssignmentAgentsRequired];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let mut project = work.load::<Project>(work.project()).await?;
        let mut config = project.agent_assignment.clone();
        let before = config.agent_ids.len();
        config.agent_ids.retain(|id| *id != self.agent_id);
        if config.agent_ids.len() == before {
            return Err(Error::new(ErrorCode::AgentNotInAssignment)
                .at("agent_id")
                .with("id", self.agent_id.to_string()));
        }
        config.check()?;
        project.record(changed(config, AssignmentChange::AgentRemoved));
        work.save(project)
    }
}

fn changed(config: AgentAssignmentConfig, change: AssignmentChange) -> ProjectEvent {
    ProjectEvent::AgentAssignmentChanged { agent_assignment: Box::new(config), change }
}
