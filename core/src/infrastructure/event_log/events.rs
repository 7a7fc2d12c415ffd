//! What happens to the log itself. Each has a stream of its own.

use crate::events;
use crate::kernel::{ActorRef, Kind, Subject};
use uuid::Uuid;

events! {
    /// What can happen to a log.
    pub enum EventLogEvent: EventLog {
        /// Personal data was taken out of stored events.
        "event_log.redacted" Redacted {
            /// Whose data it was.
            subject_kind: Kind,
            subject_id: Uuid,
            /// Why, in the words of whoever asked for it.
            reason: String,
            /// Events that were rewritten.
            events_touched: u64,
            /// Fields of them that held data.
            fields_touched: u64,
            requested_by: ActorRef,
        },
    }
    subjects(event, about) {
        match event {
            EventLogEvent::Redacted { subject_kind, subject_id, .. } => {
                about.push(Subject::new(*subject_kind, *subject_id));
            }
        }
    }
}
