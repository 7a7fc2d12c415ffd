//! What happens to the log itself. Each has a stream of its own.

use super::prune::RetentionClass;
use crate::events;
use crate::kernel::{ActorRef, Kind, Subject, Timestamp};
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
        /// Old events were removed.
        "event_log.pruned" Pruned {
            /// The classes of events that went.
            classes: Vec<RetentionClass>,
            /// Those that were recorded before.
            before: Timestamp,
            /// How many.
            removed: u64,
            /// Where the host keeps them, in its own words.
            archive_ref: Option<String>,
        },
    }
    subjects(event, about) {
        match event {
            EventLogEvent::Redacted { subject_kind, subject_id, .. } => {
                about.push(Subject::new(*subject_kind, *subject_id));
            }
            EventLogEvent::Pruned { .. } => {}
        }
    }
}
