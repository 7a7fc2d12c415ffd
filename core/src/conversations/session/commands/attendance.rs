//! Who attends: assignment and escalation.

use super::{MAX_REASON, acting_agent, check_owner, optional, reason};
use crate::conversations::session::{Assignment, AssignmentSource, Session};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::text::name;
use crate::kernel::{AgentId, ErrorCode, Permission, Result, SessionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Claims, assigns or hands over an active session. Giving it to the agent who has it changes nothing; an earlier agent may
/// return. On another agent's session `sessions.assign` is needed too, and a reason.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignSession {
    pub id: SessionId,
    pub agent_id: AgentId,
    /// `manual` unless told.
    #[serde(default)]
    pub source: Option<AssignmentSource>,
    /// A code such as `round_robin`; at most 50 characters.
    #[serde(default)]
    pub strategy: Option<String>,
    /// Required from one agent to another; at most 1 000 characters.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub reason: Option<String>,
}

impl Command for AssignSession {
    const NAME: &'static str = "sessions.assign";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::SessionNotFound,
        ErrorCode::SessionNotActive,
        ErrorCode::AgentCannotAttend,
        ErrorCode::FieldRequired,
        ErrorCode::NameTooLong,
        ErrorCode::NameRequired,
        ErrorCode::TextTooLong,
    ];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let strategy = self.strategy.map(|code| name(&code, 1, 50)).transpose().map_err(|e| e.at("strategy"))?;
        let reason = optional("reason", self.reason, MAX_REASON)?;
        let mut session = work.load::<Session>(self.id).await?;
        check_owner(work, &session).await?;
        session.give_to(Assignment {
            agent_id: self.agent_id,
            source: self.source.unwrap_or(AssignmentSource::Manual),
            strategy,
            reason,
            assigned_by_agent_id: acting_agent(work),
        })?;
        work.save(session)
    }
}

/// Takes an active session from its agent. One that nobody has stays as it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnassignSession {
    pub id: SessionId,
    /// At most 1 000 characters.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub reason: Option<String>,
}

impl Command for UnassignSession {
    const NAME: &'static str = "sessions.unassign";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::SessionNotFound, ErrorCode::SessionNotActive, ErrorCode::TextTooLong];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let reason = optional("reason", self.reason, MAX_REASON)?;
        let mut session = work.load::<Session>(self.id).await?;
        check_owner(work, &session).await?;
        session.take_from_agent(reason)?;
        work.save(session)
    }
}

/// Calls for somebody higher up, and hands an active session over to them if they are named. The same level again changes
/// nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalateSession {
    pub id: SessionId,
    /// 1 to 1 000 characters.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub reason: String,
    /// 1 to 5; 1 unless told.
    #[serde(default)]
    pub level: Option<u8>,
    #[serde(default)]
    pub to_agent_id: Option<AgentId>,
}

impl Command for EscalateSession {
    const NAME: &'static str = "sessions.escalate";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::SessionNotFound,
        ErrorCode::SessionNotActive,
        ErrorCode::EscalationLevelInvalid,
        ErrorCode::AgentCannotAttend,
        ErrorCode::ReasonRequired,
        ErrorCode::TextTooLong,
    ];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let reason = reason(&self.reason)?;
        let mut session = work.load::<Session>(self.id).await?;
        if self.to_agent_id.is_some() {
            check_owner(work, &session).await?;
        }
        session.escalate(self.level.unwrap_or(1), reason, self.to_agent_id)?;
        work.save(session)
    }
}

/// Ends the escalation of a session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeescalateSession {
    pub id: SessionId,
    /// At most 1 000 characters.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub reason: Option<String>,
}

impl Command for DeescalateSession {
    const NAME: &'static str = "sessions.deescalate";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::SessionNotFound, ErrorCode::SessionNotEscalated, ErrorCode::TextTooLong];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let reason = optional("reason", self.reason, MAX_REASON)?;
        let mut session = work.load::<Session>(self.id).await?;
        session.deescalate(reason)?;
        work.save(session)
    }
}
