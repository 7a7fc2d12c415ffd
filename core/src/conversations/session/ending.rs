//! Closing a session and what follows from it, in one commit.

use super::{AbandonStage, EndReason, Session, SessionEnd, SessionEvent, SessionRecut};
use crate::conversations::Awaiting;
use crate::engine::{Event, Root, UnitOfWork};
use crate::kernel::{ActorRef, Error, ErrorCode, Kind, MessageId, Result, Subject, Timestamp};
use crate::storage::EventQuery;
use std::collections::{BTreeMap, BTreeSet};

/// The fewest messages that are worth a summary.
pub const SUMMARY_MIN_MESSAGES: u32 = 3;
/// The most message ids that an end carries.
pub const MAX_MESSAGE_IDS: usize = 1_000;
/// The most events that are read for an end.
const MAX_EVENTS_READ: usize = 5_000;
const EVENTS_PER_READ: usize = 1_000;

/// Why, when and by whom a session is closed.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    pub reason: EndReason,
    pub ended_at: Timestamp,
    pub ended_by: Option<ActorRef>,
    pub note: Option<String>,
}

impl Ending {
    /// By silence, at the session's own deadline.
    pub fn silence(session: &Session) -> Ending {
        let ended_at = session.deadline();
        Ending { reason: EndReason::InactivityTimeout, ended_at, ended_by: None, note: None }
    }

    /// By decision, now; never before its last message.
    pub fn decision(session: &Session, reason: EndReason, work: &UnitOfWork<'_>) -> Ending {
        Ending {
            reason,
            ended_at: work.now().max(session.last_activity_at),
            ended_by: Some(work.actor().clone()),
            note: None,
        }
    }
}

/// Closes an active session and records what follows: abandoned, resolved, tagged, a summary to be made.
///
/// # Errors
/// `session_not_active`.
pub async fn end_session(work: &mut UnitOfWork<'_>, session: &mut Root<Session>, ending: Ending) -> Result<()> {
    if !session.is_active() {
        return Err(not_active(session));
    }
    let log = read_log(work, session).await?;
    let abandoned = ending.reason == EndReason::InactivityTimeout
        && session.metrics.awaiting == Awaiting::Contact
        && session.metrics.first_agent_response_at.is_some();
    let end = SessionEnd {
        chat_id: session.chat_id,
        channel_id: session.channel_id,
        channel_type: session.channel_type.clone(),
        contact_id: session.contact_id,
        pipeline_id: session.pipeline_id,
        started_at: session.started_at,
        last_activity_at: session.last_activity_at,
        ended_at: ending.ended_at,
        reason: ending.reason,
        ended_by: ending.ended_by,
        note: ending.note,
        duration_seconds: session.duration_seconds,
        timeout_seconds: session.timeout_seconds,
        metrics: session.metrics.clone(),
        first_message_id: session.first_message_id,
        last_message_id: session.last_message_id,
        message_ids: log.messages,
        truncated: log.truncated,
        events_summary: log.types,
        current_agent_id: session.current_agent_id,
        agent_ids: session.agent_ids.clone(),
        abandoned,
        awaiting: session.metrics.awaiting,
    };
    let ended_at = end.ended_at;
    session.record(SessionEvent::Ended(Box::new(end)));
    if abandoned {
        session.abandon(ended_at);
    }
    Ok(())
}

/// Asks for a summary of an ended session that has enough messages and none yet; the last companion of an end.
pub fn want_summary(session: &mut Root<Session>) {
    if session.summary.is_none() && session.metrics.message_count >= SUMMARY_MIN_MESSAGES {
        session.ask_for_summary();
    }
}

pub(super) fn not_active(session: &Session) -> Error {
    Error::new(ErrorCode::SessionNotActive).with("id", session.id.to_string()).with("status", session.status.as_str())
}

impl Root<Session> {
    fn abandon(&mut self, at: Timestamp) {
        let count = self.metrics.message_count;
        let conversation_stage = match count {
            _ if self.metrics.messages_from_contact == 0 => AbandonStage::NeverReplied,
            0..=3 => AbandonStage::Early,
            4..=9 => AbandonStage::Mid,
            _ => AbandonStage::Late,
        };
        self.record(SessionEvent::Abandoned {
            chat_id: self.chat_id,
            contact_id: self.contact_id,
            last_agent_message_at: self.metrics.last_agent_message_at,
            minutes_since_last_response: self.minutes_since_our_last(at),
            messages_before_abandonment: count,
            conversation_stage,
            abandoned_at: at,
        });
    }

    pub(super) fn ask_for_summary(&mut self) {
        let (chat_id, contact_id, at) = (self.chat_id, self.contact_id, self.now());
        let message_count = self.metrics.message_count;
        self.record(SessionEvent::SummaryRequested { chat_id, contact_id, message_count, at });
    }
}

/// What the log tells of a session.
#[derive(Default)]
struct SessionLog {
    messages: Vec<MessageId>,
    types: BTreeMap<String, u32>,
    truncated: bool,
}

impl SessionLog {
    /// Messages that a cut moved into the session or out of it.
    fn move_messages(&mut self, cut: &SessionRecut) {
        self.messages.retain(|id| !cut.removed_message_ids.contains(id));
        let known: BTreeSet<MessageId> = self.messages.iter().copied().collect();
        let new = cut.added_message_ids.iter().filter(|id| !known.contains(id));
        let room = MAX_MESSAGE_IDS.saturating_sub(self.messages.len());
        self.truncated |= new.clone().count() > room;
        self.messages.extend(new.take(room).copied());
    }

    fn note(&mut self, kind: Kind, id: uuid::Uuid, event_type: &str) {
        *self.types.entry(event_type.to_owned()).or_default() += 1;
        if kind == Kind::Message && matches!(event_type, "message.received" | "message.created" | "message.imported") {
            if self.messages.len() < MAX_MESSAGE_IDS {
                self.messages.push(MessageId::from_uuid(id));
            } else {
                self.truncated = true;
            }
        }
    }
}

/// Reads the events that name the session: committed ones, then those of this unit of work.
async fn read_log(work: &UnitOfWork<'_>, session: &Root<Session>) -> Result<SessionLog> {
    let subject = Subject::new(Kind::Session, session.id);
    let mut log = SessionLog::default();
    let (mut after, mut read) = (0, 0);
    // A session without messages was opened a moment ago.
    let mut more = session.metrics.message_count > 0;
    while more {
        let query = EventQuery { after, subject: Some(subject), limit: EVENTS_PER_READ, ..EventQuery::default() };
        let events = work.reader().storage().events(work.reader().scope_of(Kind::Session), &query).await?;
        for event in &events {
            log.note(event.aggregate_kind, event.aggregate_id, &event.event_type);
            if event.event_type == "session.recut"
                && let Event::Session(SessionEvent::Recut(cut)) = Event::read(event)?
            {
                log.move_messages(&cut);
            }
            after = event.seq;
        }
        read += events.len();
        more = events.len() == EVENTS_PER_READ && read < MAX_EVENTS_READ;
        log.truncated |= read >= MAX_EVENTS_READ;
    }
    let here = work.recorded().iter().filter(|event| event.subjects.contains(&subject));
    for event in here.chain(&session.recorded) {
        log.note(event.kind, event.aggregate_id, event.event.type_name());
        if let Event::Session(SessionEvent::Recut(cut)) = &event.event {
            log.move_messages(cut);
        }
    }
    Ok(log)
}
