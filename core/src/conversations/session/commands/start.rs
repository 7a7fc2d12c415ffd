//! Opening a session by hand.

use super::acting_agent;
use crate::channels::channel::Channel;
use crate::conversations::chat::{Chat, ChatType};
use crate::conversations::session::step::{end_by_silence, open_session};
use crate::conversations::session::{
    ACTIVE_IN_CHAT, Assignment, AssignmentSource, Origin, Session, SessionKind, SessionStart, Timeout, TimeoutSettings,
    TimeoutSource, check_timeout,
};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{AgentId, ChatId, Error, ErrorCode, Permission, Result};
use crate::tenancy::project::Project;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Opens a session in a chat, or returns the active one unchanged.
///
/// Its timeout is the given one, else the channel's, the project's, or 30 minutes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartSession {
    pub chat_id: ChatId,
    /// 60 to 86 400.
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    /// Who attends a session that is opened.
    #[serde(default)]
    pub agent_id: Option<AgentId>,
}

/// A session, and whether it was opened just now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartedSession {
    pub session: Session,
    pub created: bool,
}

impl Command for StartSession {
    const NAME: &'static str = "sessions.start";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChatNotFound,
        ErrorCode::ChatClosed,
        ErrorCode::InvalidState,
        ErrorCode::ChannelNotFound,
        ErrorCode::SessionContactRequired,
        ErrorCode::ActiveSessionExists,
        ErrorCode::TimeoutOutOfRange,
        ErrorCode::AgentCannotAttend,
    ];
    type Output = StartedSession;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<StartedSession> {
        let given = self.timeout_seconds.map(check_timeout).transpose()?;
        let chat = work.reader().get::<Chat>(self.chat_id).await?;
        let kind = kind_of(&chat)?;
        if let Some(mut active) = work.by_key::<Session>(ACTIVE_IN_CHAT, "", &self.chat_id.to_string()).await? {
            if work.now() <= active.deadline() {
                return Ok(StartedSession { session: active.state().clone(), created: false });
            }
            end_by_silence(work, &mut active).await?;
            work.save(active)?;
        }
        let channel = work.reader().get::<Channel>(chat.channel_id).await?;
        let timeout = match given {
            Some(seconds) => Timeout { seconds, source: TimeoutSource::Manual },
            None => settings(work, &channel).await?.resolve(),
        };
        let opening = SessionStart {
            chat_id: chat.id,
            channel_id: channel.id,
            channel_type: channel.channel_type.clone(),
            kind,
            contact_id: chat.contact_id,
            pipeline_id: channel.pipeline_id,
            origin: Origin::Manual,
            started_at: work.now(),
            timeout_seconds: timeout.seconds,
            timeout_source: timeout.source,
            trigger_message_id: None,
        };
        let mut session = open_session(work, opening).await?;
        if let Some(agent_id) = self.agent_id {
            let assigned_by_agent_id = acting_agent(work);
            let assignment = Assignment::of(agent_id, AssignmentSource::Manual);
            session.give_to(Assignment { assigned_by_agent_id, ..assignment })?;
        }
        Ok(StartedSession { session: work.save(session)?, created: true })
    }
}

fn kind_of(chat: &Chat) -> Result<SessionKind> {
    if chat.is_closed() {
        return Err(Error::new(ErrorCode::ChatClosed).at("chat_id"));
    }
    match chat.chat_type {
        ChatType::Individual => Ok(SessionKind::Direct),
        ChatType::Group => Ok(SessionKind::Group),
        ChatType::Channel => {
            Err(Error::new(ErrorCode::InvalidState).message("a broadcast channel has no sessions").at("chat_id"))
        }
    }
}

async fn settings(work: &UnitOfWork<'_>, channel: &Channel) -> Result<TimeoutSettings> {
    let project = work.reader().find_any::<Project>(work.project()).await?;
    Ok(TimeoutSettings {
        channel: channel.session_timeout_minutes.map(i64::from),
        project: project.map(|project| i64::from(project.session_timeout_minutes)),
        ..TimeoutSettings::default()
    })
}
