//! What one message changes in its session: counters, activity, extent.
//!
//! The counters do not depend on the order in which messages arrive. A message that comes in its order is counted on; one that
//! comes after newer ones carries the counters of all ([`SessionMetrics::of`]), because whose turn it was has to be thought over.

use super::{EndReason, Session, SessionStatus};
use crate::conversations::message::{Direction, Message, MessageEvent, MessageSource, NewMessage, Placement};
use crate::conversations::{Awaiting, SessionMetrics};
use crate::kernel::{MessageId, Timestamp};

/// Who wrote a message that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    Contact,
    /// Our side: a person or a bot that answers, or something automatic.
    Agent {
        is_response: bool,
        is_human: bool,
    },
}

/// What counters need of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub at: Timestamp,
    pub by: Writer,
}

impl Counted {
    /// `None` for a notice, which counts nowhere.
    pub fn new(at: Timestamp, direction: Direction, source: MessageSource) -> Option<Counted> {
        let by = match direction {
            Direction::Inbound => Writer::Contact,
            Direction::Outbound => {
                Writer::Agent { is_response: source.is_response(), is_human: source.is_human_response() }
            }
            Direction::Internal => return None,
        };
        Some(Counted { at, by })
    }

    /// As it counts now: a message that failed or was withdrawn does not.
    pub fn of(message: &Message) -> Option<Counted> {
        let counts = message.status.counts() && message.superseded_by.is_none();
        counts.then(|| Counted::new(message.timestamp, message.direction, message.source)).flatten()
    }
}

impl SessionMetrics {
    /// Counts all messages of a session from scratch, in any order. `late_count` is history and is handed over.
    pub fn of(messages: impl IntoIterator<Item = (MessageId, Counted)>, late_count: u32) -> SessionMetrics {
        let mut messages: Vec<(MessageId, Counted)> = messages.into_iter().collect();
        messages.sort_by_key(|(id, message)| (message.at, *id));
        let mut metrics = SessionMetrics { late_count, ..SessionMetrics::default() };
        for (_, message) in messages {
            metrics.count(message);
        }
        metrics
    }

    /// Whether counting on gives what counting all from scratch would: nothing newer changed whose turn it is.
    pub fn can_count_on(&self, message: Counted) -> bool {
        let turn = match message.by {
            Writer::Contact => Awaiting::Agent,
            Writer::Agent { is_response: true, .. } => Awaiting::Contact,
            Writer::Agent { .. } => return true,
        };
        let is_within_turn = self.awaiting == turn && self.awaiting_since.is_some_and(|since| since <= message.at);
        let newest = self.last_contact_message_at.max(self.last_agent_message_at);
        is_within_turn || newest <= Some(message.at)
    }

    /// Counts one message that comes in its order; see [`can_count_on`](Self::can_count_on).
    pub fn count(&mut self, message: Counted) {
        let at = message.at;
        self.message_count = self.message_count.saturating_add(1);
        match message.by {
            Writer::Contact => {
                self.contact_turn(at);
                self.messages_from_contact = self.messages_from_contact.saturating_add(1);
                self.first_contact_message_at = earliest(self.first_contact_message_at, at);
                self.last_contact_message_at = self.last_contact_message_at.max(Some(at));
            }
            Writer::Agent { is_response, is_human } => {
                self.messages_from_agent = self.messages_from_agent.saturating_add(1);
                if is_response {
                    self.agent_turn(at);
                    self.first_agent_response_at = earliest(self.first_agent_response_at, at);
                    self.last_agent_message_at = self.last_agent_message_at.max(Some(at));
                }
                if is_human {
                    self.first_human_response_at = earliest(self.first_human_response_at, at);
                }
            }
        }
        self.measure();
    }

    /// Since the oldest message that is not answered, we are awaited.
    fn contact_turn(&mut self, at: Timestamp) {
        if self.awaiting != Awaiting::Agent {
            (self.awaiting, self.awaiting_since) = (Awaiting::Agent, Some(at));
        }
    }

    /// An answer; since the first one after the contact's last message, the contact is awaited.
    fn agent_turn(&mut self, at: Timestamp) {
        if let (Awaiting::Agent, Some(since)) = (self.awaiting, self.awaiting_since) {
            let waited = seconds_between(since, at);
            self.response_count = self.response_count.saturating_add(1);
            self.response_time_total_seconds += u64::from(waited);
            self.response_time_max_seconds = self.response_time_max_seconds.max(waited);
        }
        if self.awaiting != Awaiting::Contact {
            (self.awaiting, self.awaiting_since) = (Awaiting::Contact, Some(at));
        }
    }

    fn measure(&mut self) {
        let contact = self.first_contact_message_at;
        let answered = |by: Option<Timestamp>| {
            let (asked, answer) = contact.zip(by)?;
            (asked <= answer).then(|| seconds_between(asked, answer))
        };
        self.agent_response_time_seconds = answered(self.first_agent_response_at);
        self.human_response_time_seconds = answered(self.first_human_response_at);
        self.contact_wait_time_seconds = contact
            .zip(self.first_agent_response_at)
            .and_then(|(contact, agent)| (agent < contact).then(|| seconds_between(agent, contact)));
    }
}

impl Session {
    /// Takes in a message event that names this session.
    pub(super) fn observe(&mut self, id: MessageId, event: &MessageEvent) {
        match event {
            MessageEvent::Received(new) | MessageEvent::Created(new) if !new.is_scheduled() => self.take(id, new),
            // Without a placement a re-cut follows, which counts it.
            MessageEvent::Imported(new) if new.placement.is_some() => self.take(id, new),
            MessageEvent::Queued { queued_at, released, placement, session_metrics, .. } => {
                if let Some(released) = released
                    && let Some(counted) = Counted::new(*queued_at, Direction::Outbound, released.source)
                {
                    self.record(id, counted, released.source.opens_session(), placement.as_ref());
                }
                self.replace_metrics(session_metrics.as_ref());
            }
            MessageEvent::Sent { session_metrics, .. }
            | MessageEvent::Delivered { session_metrics, .. }
            | MessageEvent::Read { session_metrics, .. }
            | MessageEvent::Played { session_metrics, .. }
            | MessageEvent::Failed { session_metrics, .. }
            | MessageEvent::Cancelled { session_metrics, .. }
            | MessageEvent::Expired { session_metrics, .. }
            | MessageEvent::Superseded { session_metrics, .. } => self.replace_metrics(session_metrics.as_ref()),
            _ => {}
        }
    }

    fn replace_metrics(&mut self, metrics: Option<&SessionMetrics>) {
        if let Some(metrics) = metrics {
            self.metrics = metrics.clone();
        }
    }

    fn take(&mut self, id: MessageId, new: &NewMessage) {
        let Some(counted) = Counted::new(new.timestamp, new.direction, new.source) else { return };
        let is_conversation = new.source.opens_session() || new.source == MessageSource::HistoryImport;
        self.record(id, counted, is_conversation, new.placement.as_ref());
        self.replace_metrics(new.session_metrics.as_ref());
    }

    /// Automatic sends keep an active session awake, but do not move the end of one that is over.
    fn record(&mut self, id: MessageId, message: Counted, is_conversation: bool, placement: Option<&Placement>) {
        self.metrics.count(message);
        if let Some(placement) = placement {
            self.metrics.late_count = self.metrics.late_count.saturating_add(u32::from(placement.late));
            self.started_at = placement.started_at.map_or(self.started_at, |start| start.min(self.started_at));
            if self.end_reason == Some(EndReason::InactivityTimeout) {
                self.ended_at = self.ended_at.max(placement.ended_at);
            }
        }
        if is_conversation || self.status == SessionStatus::Active {
            self.last_activity_at = self.last_activity_at.max(message.at);
        }
        if self.first_message_at.is_none_or(|first| (message.at, Some(id)) < (first, self.first_message_id)) {
            self.first_message_at = Some(message.at);
            self.first_message_id = Some(id);
        }
        if self.last_message_at.is_none_or(|last| (message.at, Some(id)) > (last, self.last_message_id)) {
            self.last_message_at = Some(message.at);
            self.last_message_id = Some(id);
        }
        self.measure_duration();
    }

    pub(super) fn measure_duration(&mut self) {
        self.duration_seconds = seconds_between(self.started_at, self.last_activity_at);
    }
}

fn earliest(known: Option<Timestamp>, at: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(at, |known| known.min(at)))
}

pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> u32 {
    u32::try_from(to.seconds_since(from)).unwrap_or(if to < from { 0 } else { u32::MAX })
}
