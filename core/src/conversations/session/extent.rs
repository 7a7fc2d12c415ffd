//! A session's extent and counters, computed from all of its messages instead of one by one: for cuts and merges.

use super::recording::{Counted, seconds_between};
use super::{Session, SessionEvent, SessionRecut};
use crate::conversations::SessionMetrics;
use crate::conversations::message::Message;
use crate::engine::Root;
use crate::kernel::{MessageId, SessionId, Timestamp};
use uuid::Uuid;

/// The most messages that one event moves.
const MAX_MOVED: usize = 1_000;

/// What cutting and merging need of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub id: MessageId,
    pub at: Timestamp,
    pub session: Option<SessionId>,
    /// `None` for one that failed or was withdrawn: it belongs to its session, but does not count.
    pub counted: Option<Counted>,
}

impl Line {
    pub fn of(message: &Message) -> Line {
        let counted = Counted::of(message);
        Line { id: message.id, at: message.timestamp, session: message.session_id, counted }
    }
}

/// Where a session starts and how far it reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    pub started_at: Timestamp,
    pub last_activity_at: Timestamp,
    /// Of a session that fell silent.
    pub ended_at: Option<Timestamp>,
}

impl Root<Session> {
    /// Records that these are the messages of the session, in their order; `added` and `removed` tell the difference.
    pub(super) fn recut(
        &mut self,
        lines: &[Line],
        extent: Extent,
        (added, removed): (Vec<MessageId>, Vec<MessageId>),
        import_id: Option<Uuid>,
    ) {
        let counted = lines.iter().filter_map(|line| line.counted.map(|counted| (line.id, counted)));
        let (first, last) = (lines.first(), lines.last());
        let cut = SessionRecut {
            chat_id: self.chat_id,
            contact_id: self.contact_id,
            import_id,
            started_at: extent.started_at,
            last_activity_at: extent.last_activity_at,
            ended_at: extent.ended_at,
            duration_seconds: seconds_between(extent.started_at, extent.last_activity_at),
            metrics: SessionMetrics::of(counted, self.metrics.late_count),
            added_message_ids: Vec::new(),
            removed_message_ids: removed,
            first_message_id: first.map(|line| line.id),
            first_message_at: first.map(|line| line.at),
            last_message_id: last.map(|line| line.id),
            last_message_at: last.map(|line| line.at),
        };
        let parts: Vec<&[MessageId]> = if added.is_empty() { vec![&[]] } else { added.chunks(MAX_MOVED).collect() };
        for part in parts {
            let cut = SessionRecut { added_message_ids: part.to_vec(), ..cut.clone() };
            self.record(SessionEvent::Recut(Box::new(cut)));
        }
    }

    /// Records that another session absorbed it.
    pub(super) fn merge_into(&mut self, into: SessionId, mut moved: Vec<MessageId>) {
        moved.truncate(MAX_MOVED);
        self.record(SessionEvent::Merged {
            chat_id: self.chat_id,
            contact_id: self.contact_id,
            into_session_id: into,
            message_ids: moved,
            agent_ids: self.agent_ids.clone(),
            at: self.now(),
        });
    }
}
