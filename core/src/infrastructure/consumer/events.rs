//! What people do to consumers, and what consumers give up on. Their state is kept beside their checkpoints, not folded.

use crate::engine::{DEFAULT_BATCH, DEFAULT_TIMEOUT};
use crate::events;
use crate::kernel::EventId;
use crate::storage::{ConsumerOrdering, OnExhausted};

events! {
    /// What can happen to a consumer. Only who names these types hears of them: `*` does not stand for them.
    pub enum ConsumerEvent: Consumer {
        /// It was made by a command. Subscribing makes one without an event.
        "consumer.created" Created {
            name: String,
            /// Types or prefixes; empty for all.
            events: Vec<String>,
            /// The first event that it reads.
            start_seq: u64,
            max_attempts: u32,
            #[serde(default = "parked")]
            on_exhausted: OnExhausted,
            #[serde(default = "of_project")]
            ordering: ConsumerOrdering,
            #[serde(default = "batch_size")]
            batch_size: u32,
            #[serde(default = "handler_timeout")]
            handler_timeout: u32,
        },
        /// It is gone, with what it gave up on.
        "consumer.deleted" Deleted { name: String },
        /// Nobody reads it any more.
        "consumer.paused" Paused { name: String, reason: Option<String> },
        /// It reads again.
        "consumer.resumed" Resumed { name: String },
        /// It gave up on an event, and stops there until it is resumed.
        "consumer.failed" Failed {
            name: String,
            event_id: EventId,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            error: String,
            attempts: u32,
        },
        /// It begins anew.
        "consumer.reset" Reset {
            name: String,
            /// The event that would have been next.
            from_seq: u64,
            /// The event that is next.
            to_seq: u64,
            generation: u32,
        },
        /// It gave up on an event, which waits for somebody to look at it.
        "dead_letter.parked" DeadLetterParked {
            name: String,
            event_id: EventId,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            error: String,
            attempts: u32,
        },
        /// It is to try these events again.
        "dead_letter.retried" DeadLettersRetried { name: String, event_ids: Vec<EventId> },
        /// These events are left unhandled for good.
        "dead_letter.discarded" DeadLettersDiscarded { name: String, event_ids: Vec<EventId>, reason: String },
    }
}

/// What consumers did before they could do anything else.
fn parked() -> OnExhausted {
    OnExhausted::Park
}

fn of_project() -> ConsumerOrdering {
    ConsumerOrdering::Project
}

fn batch_size() -> u32 {
    DEFAULT_BATCH
}

fn handler_timeout() -> u32 {
    DEFAULT_TIMEOUT
}
