//! A consumer as people see it.

use crate::engine::{Reader, is_built_in};
use crate::infrastructure::event_log::first_recorded_at;
use crate::kernel::{ConsumerId, Error, ErrorCode, EventId, Result, Timestamp};
use crate::storage::{
    ConsumerOrdering, ConsumerRecord, ConsumerStatus, DeadLetter, DeadLetterQuery, EventQuery, OnExhausted, Scope,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Dead letters beyond this number are not counted.
const MAX_COUNT: usize = 1_000;

/// A durable reader of the project's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Consumer {
    pub id: ConsumerId,
    pub name: String,
    /// One of the library's own: it can be paused and repaired, not made, reset or deleted.
    pub built_in: bool,
    pub status: ConsumerStatus,
    /// Types or prefixes that it hears; empty for all.
    pub events: Vec<String>,
    /// Failed tries before it gives up on an event.
    pub max_attempts: u32,
    /// What becomes of an event then.
    pub on_exhausted: OnExhausted,
    /// What an event that it fails at holds back until it is handled or given up on.
    pub ordering: ConsumerOrdering,
    /// The most events that a reader has at a time.
    pub batch_size: u32,
    /// Seconds that a reader may take from one sign of life to the next.
    pub handler_timeout: u32,
    /// 1, and one more for every time it began anew.
    pub generation: u32,
    /// The last event that it is done with.
    pub checkpoint: u64,
    /// Events after that, whether it hears them or not.
    pub lag: u64,
    /// When the first of them was recorded.
    pub waiting_since: Option<Timestamp>,
    /// Failed tries at the next event; those of events put aside are counted with them.
    pub attempts: u32,
    pub next_attempt_at: Option<Timestamp>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub last_error: Option<String>,
    /// Until when somebody has it; null when nobody reads.
    pub leased_until: Option<Timestamp>,
    /// Events that it gave up on, counted up to 1,000.
    pub dead_letters: u64,
    /// Those of them that are to be tried again.
    pub retrying: u64,
    /// Events that it goes on without, for good or for now: dead letters, others that wait for their next try, and what is held behind
    /// them.
    pub put_aside: u64,
    pub created_at: Timestamp,
}

impl Consumer {
    pub(super) async fn of(read: &Reader<'_>, record: ConsumerRecord) -> Result<Consumer> {
        let (project, storage) = (record.project_id.0, read.storage());
        let head = storage.head(project).await?;
        let next = EventQuery { after: record.checkpoint, limit: 1, ..EventQuery::default() };
        let next = storage.events(Scope::Project(project), &next).await?.pop();
        let letters = DeadLetterQuery { limit: MAX_COUNT, given_up: true, ..DeadLetterQuery::default() };
        let letters = storage.dead_letters(project, &record.name, &letters).await?;
        Ok(Consumer {
            id: ConsumerId::from_uuid(super::stream_of(project, &record.name).id),
            built_in: is_built_in(&record.name),
            status: record.status,
            events: record.events,
            max_attempts: record.max_attempts,
            on_exhausted: record.on_exhausted,
            ordering: record.ordering,
            batch_size: record.batch_size,
            handler_timeout: record.handler_timeout,
            generation: record.generation,
            checkpoint: record.checkpoint,
            lag: head.saturating_sub(record.checkpoint),
            waiting_since: next.map(|event| event.recorded_at),
            attempts: record.attempts,
            next_attempt_at: record.next_attempt_at.or(record.waits_until),
            last_error: record.last_error,
            leased_until: record.lease_until.filter(|until| *until > read.now()),
            dead_letters: letters.len() as u64,
            retrying: record.retrying,
            put_aside: record.letters,
            created_at: record.created_at,
            name: record.name,
        })
    }
}

/// Where a consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConsumerStart {
    /// With what happens from now on.
    #[default]
    Now,
    /// With the first event of the project that is still there.
    Beginning,
    /// With the event of this number; `seq_pruned` when events from there on were removed.
    Seq { seq: u64 },
    /// With the first event that was recorded at this moment or later; `seq_pruned` when events from there on were removed.
    Time { at: Timestamp },
}

impl ConsumerStart {
    /// The last event that is left out.
    pub(super) async fn checkpoint(self, read: &Reader<'_>) -> Result<u64> {
        let head = read.storage().head(read.project()).await?;
        Ok(match self {
            ConsumerStart::Now => head,
            ConsumerStart::Beginning => 0,
            ConsumerStart::Seq { seq } if (1..=head + 1).contains(&seq) => kept(read, seq - 1).await?,
            ConsumerStart::Seq { .. } => {
                return Err(Error::new(ErrorCode::ValueOutOfRange).at("seq").with("min", 1).with("max", head + 1));
            }
            ConsumerStart::Time { at } => {
                let before = first_recorded_at(read.storage(), Scope::Project(read.project()), head, at).await?;
                kept(read, before).await?
            }
        })
    }
}

/// A place in the log after which everything is still there, but for noise.
async fn kept(read: &Reader<'_>, checkpoint: u64) -> Result<u64> {
    let first = read.storage().first_seq(read.project()).await?;
    if checkpoint + 1 < first {
        return Err(Error::new(ErrorCode::SeqPruned).with("first_seq", first));
    }
    Ok(checkpoint)
}

/// An event that a consumer gave up on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedEvent {
    pub event_id: EventId,
    /// Its number in the log.
    pub seq: u64,
    /// Failed tries.
    pub attempts: u32,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub error: String,
    pub failed_at: Timestamp,
    /// It is to be tried again.
    pub retrying: bool,
}

impl From<DeadLetter> for ParkedEvent {
    fn from(letter: DeadLetter) -> Self {
        ParkedEvent {
            event_id: EventId::from_uuid(letter.event_id),
            seq: letter.seq,
            attempts: letter.attempts,
            error: letter.error,
            failed_at: letter.failed_at,
            retrying: letter.retrying,
        }
    }
}
