//! Closing and reopening by decision.

use super::{MAX_NOTE, check_owner, optional, reason};
use crate::conversations::session::step::newest_in_chat;
use crate::conversations::session::timer::enqueue_timer;
use crate::conversations::session::{EndReason, Ending, ReopenCause, Session, SessionEvent, end_session, want_summary};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{Error, ErrorCode, Permission, Result, SessionId, Tag};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Closes an active session now. With `resolve` it is resolved in the same step; `tags` are added to its outcome tags.
///
/// Silence ends a session by itself, so `inactivity_timeout` is no reason to give. On another agent's session
/// `sessions.assign` is needed too.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndSession {
    pub id: SessionId,
    pub reason: EndReason,
    /// At most 2 000 characters.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub note: Option<String>,
    #[serde(default)]
    pub resolve: bool,
    #[serde(default)]
    pub tags: Vec<Tag>,
}

impl Command for EndSession {
    const NAME: &'static str = "sessions.end";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::SessionNotFound,
        ErrorCode::SessionNotActive,
        ErrorCode::EnumUnknown,
        ErrorCode::TextTooLong,
        ErrorCode::TagInvalid,
        ErrorCode::OutcomeTagLimit,
    ];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        if self.reason == EndReason::InactivityTimeout {
            let allowed = EndReason::ALL.iter().filter(|reason| **reason != EndReason::InactivityTimeout);
            let allowed: Vec<&str> = allowed.map(|reason| reason.as_str()).collect();
            return Err(Error::new(ErrorCode::EnumUnknown).at("reason").with("allowed", allowed));
        }
        let note = optional("note", self.note, MAX_NOTE)?;
        let mut session = work.load::<Session>(self.id).await?;
        check_owner(work, &session).await?;
        let ending = Ending { note, ..Ending::decision(&session, self.reason, work) };
        end_session(work, &mut session, ending).await?;
        if self.resolve {
            session.resolve()?;
        }
        if !self.tags.is_empty() {
            session.add_outcome_tags(self.tags).map_err(|e| e.at("tags"))?;
        }
        want_summary(&mut session);
        work.save(session)
    }
}

/// Brings an ended session back, open for at least its own timeout from now. Only the newest session of a chat can come back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReopenSession {
    pub id: SessionId,
    /// 1 to 1 000 characters.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub reason: String,
}

impl Command for ReopenSession {
    const NAME: &'static str = "sessions.reopen";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::SessionNotFound,
        ErrorCode::SessionActive,
        ErrorCode::NewerSessionExists,
        ErrorCode::ActiveSessionExists,
        ErrorCode::ReasonRequired,
        ErrorCode::TextTooLong,
    ];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let reason = reason(&self.reason)?;
        let mut session = work.load::<Session>(self.id).await?;
        session.need_ended()?;
        if let Some(newest) = newest_in_chat(work, session.chat_id).await?
            && newest != session.id
        {
            return Err(Error::new(ErrorCode::NewerSessionExists).with("id", newest.to_string()));
        }
        let until = session.now().plus_seconds(i64::from(session.timeout_seconds));
        session.record(SessionEvent::Reopened {
            chat_id: session.chat_id,
            contact_id: session.contact_id,
            cause: ReopenCause::Person,
            reason: Some(reason),
            previous_ended_at: session.ended_at,
            previous_end_reason: session.end_reason,
            extended_until: Some(until),
            current_agent_id: session.current_agent_id,
        });
        enqueue_timer(work, session.id, session.deadline());
        work.save(session)
    }
}
