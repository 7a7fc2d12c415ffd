//! Rows as they leave and enter a store.

use super::AttemptRecord;
use crate::kernel::{ActorRef, CommitId, CorrelationId, EventId, Kind, ProjectId, Source, Subject, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The stored state of one aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub project_id: ProjectId,
    pub id: Uuid,
    pub revision: u64,
    /// Greater than a program's own number for the kind when a newer program wrote it: readable, not writable.
    pub schema: u32,
    /// The whole state as JSON text.
    pub state: String,
}

/// One event with its envelope, as stored. Its JSON form is the public one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EventRecord {
    #[schemars(with = "EventId")]
    pub id: Uuid,
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of its type that wrote it.
    pub schema_version: u16,
    pub aggregate_kind: Kind,
    pub aggregate_id: Uuid,
    /// Its number among the events of its aggregate, from 1.
    pub aggregate_version: u64,
    /// Nil for the system log.
    #[schemars(with = "ProjectId")]
    pub project_id: ProjectIdOrNil,
    /// Dense number in the project's log; assigned by the commit, 0 before.
    pub seq: u64,
    /// Unique over the whole store; assigned by the commit, 0 before.
    pub position: u64,
    /// The events of one commit have it in common.
    #[schemars(with = "CommitId")]
    pub commit_id: Uuid,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was written.
    pub recorded_at: Timestamp,
    /// Who did it.
    #[schemars(with = "ActorRef")]
    pub actor: Box<RawValue>,
    #[schemars(with = "Source")]
    pub source: String,
    /// The operation, reaction or job that decided it.
    pub command: Option<String>,
    /// Constant through a whole flow.
    #[schemars(with = "CorrelationId")]
    pub correlation_id: Uuid,
    /// The event whose reaction decided it.
    #[schemars(with = "Option<EventId>")]
    pub causation_id: Option<Uuid>,
    /// What the event is about, its own aggregate first.
    pub subjects: Vec<Subject>,
    /// What it changed, with its `type`.
    #[schemars(with = "Map<String, Value>", extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub data: Box<RawValue>,
    /// What the host sent along: tracing, addresses.
    #[schemars(with = "Option<Map<String, Value>>", extend("x-pii" = "user", "x-pii-kind" = "free"))]
    pub metadata: Option<Box<RawValue>>,
    /// When personal data was taken out of it; null for nearly all.
    pub redacted_at: Option<Timestamp>,
}

/// A project id that may be the nil one of the system log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectIdOrNil(pub ProjectId);

impl Serialize for ProjectIdOrNil {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ProjectIdOrNil {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(|id| ProjectIdOrNil(ProjectId::from_uuid(id)))
    }
}

/// Which events to read. All conditions hold together.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// Only events with a greater `seq` (or `position`, in [`Scope::Installation`](super::Scope::Installation)).
    pub after: u64,
    /// Only events up to and including this `seq` or `position`.
    pub until: Option<u64>,
    pub subject: Option<Subject>,
    /// Only this aggregate's own events.
    pub stream: Option<Subject>,
    pub correlation_id: Option<Uuid>,
    /// Types (`contact.created`) or prefixes (`contact.*`, `*`); empty = all.
    pub types: Vec<String>,
    pub ids: Vec<Uuid>,
    /// Newest first instead of oldest first; `after` then means "below" when it is not 0.
    pub backward: bool,
    pub limit: usize,
}

/// True when an event type is named by `pattern`: the type itself, a prefix that ends with `*`, or `*` alone.
pub fn type_matches(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => event_type.starts_with(prefix),
        None => event_type == pattern,
    }
}

/// Whether a consumer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerStatus {
    #[default]
    Active,
    /// Nobody can claim it.
    Paused,
    /// Nobody can claim it: it gave up on an event, and stops there.
    Failed,
}

impl ConsumerStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            ConsumerStatus::Active => "active",
            ConsumerStatus::Paused => "paused",
            ConsumerStatus::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Failed].into_iter().find(|status| status.as_str() == text)
    }
}

crate::text_enum! {
    /// What becomes of an event once a consumer has used up its tries.
    pub enum OnExhausted {
        /// It waits among the dead letters, and the consumer goes on.
        Park = "park",
        /// The consumer stops there, until somebody resumes it.
        Stop = "stop",
        /// It is left unhandled for good, and the consumer goes on.
        Drop = "drop",
    }
}

crate::text_enum! {
    /// What an event that a consumer fails at holds back until it is handled or given up on.
    pub enum ConsumerOrdering {
        /// Everything after it.
        Project = "project",
        /// The later events of its own aggregate.
        Stream = "stream",
        /// Nothing.
        None = "none",
    }
}

/// A durable reader of one project's log and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsumerRecord {
    pub project_id: ProjectIdOrNil,
    pub name: String,
    /// Types or prefixes it hears; empty = all.
    pub events: Vec<String>,
    pub max_attempts: u32,
    /// As it was made, and so are the next three: opening it again changes nothing of them.
    pub on_exhausted: OnExhausted,
    pub ordering: ConsumerOrdering,
    /// The most events that a reader has at a time.
    pub batch_size: u32,
    /// Seconds that a reader may hold it without a sign of life.
    pub handler_timeout: u32,
    pub status: ConsumerStatus,
    /// 1, and one more for every time it began anew.
    pub generation: u32,
    /// Dead letters that are to be tried again; counted by the store, whatever is written.
    pub retrying: u64,
    /// All of its letters, whether it gave up on them or not; counted by the store.
    pub letters: u64,
    /// When the first of those is due that it has not given up on; told by the store.
    pub waits_until: Option<Timestamp>,
    /// The last event it is done with.
    pub checkpoint: u64,
    /// Failed tries at the event after the checkpoint.
    pub attempts: u32,
    pub next_attempt_at: Option<Timestamp>,
    pub last_error: Option<String>,
    pub lease_token: u64,
    pub lease_owner: Option<Uuid>,
    pub lease_until: Option<Timestamp>,
    /// What is out with whoever has the lease: 0 for events after the checkpoint, else the `seq` of a letter that is tried again. A claim
    /// makes it 0 unless it is known.
    pub out_seq: Option<u64>,
    /// Something was out when the lease was claimed: whoever had it before neither finished nor gave it back.
    pub lapsed: bool,
    pub created_at: Timestamp,
}

/// What a worker did with its lease on a consumer.
#[derive(Debug, Clone)]
pub struct ConsumerProgress {
    pub project_id: ProjectId,
    pub name: String,
    pub lease_token: u64,
    pub checkpoint: u64,
    pub attempts: u32,
    pub next_attempt_at: Option<Timestamp>,
    pub last_error: Option<String>,
    /// Gives the lease back; otherwise it is extended to `lease_until`.
    pub release: bool,
    pub lease_until: Option<Timestamp>,
    /// Events that are put aside, each in place of what was known of it.
    pub letters: Vec<DeadLetter>,
    /// The letter that is no more, by its event: it has been handled after all. It goes before the others come.
    pub resolved: Option<Uuid>,
    /// What is out with the worker from now on, as in [`ConsumerRecord::out_seq`]; nothing once the lease is given back.
    pub out_seq: Option<u64>,
}

/// An event that a consumer put aside: it gave up on it, or goes on without it for now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub event_id: Uuid,
    pub seq: u64,
    pub attempts: u32,
    pub error: String,
    pub failed_at: Timestamp,
    /// The consumer gave up on it, and is to try it again.
    pub retrying: bool,
    /// The aggregate whose order it keeps, if any.
    pub stream: Option<Subject>,
    /// The consumer has not given up on it: it is tried again then.
    pub waits_until: Option<Timestamp>,
    /// It waits for an earlier one of its stream.
    pub is_held: bool,
}

impl DeadLetter {
    /// Nothing more happens to it by itself.
    pub fn is_given_up(&self) -> bool {
        self.waits_until.is_none() && !self.is_held
    }
}

/// Which dead letters to show, by `seq`. All conditions hold together.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeadLetterQuery {
    /// Only those of later events.
    pub after: u64,
    /// Only those that are to be tried again, or only the others.
    pub retrying: Option<bool>,
    /// Only those that the consumer gave up on.
    pub given_up: bool,
    /// Only those that keep the order of this aggregate.
    pub stream: Option<Subject>,
    pub limit: usize,
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its time or its turn.
    Scheduled,
    /// Waits for something to happen; ends at `run_at`.
    Parked,
    Running,
    Succeeded,
    Dead,
    Cancelled,
}

impl JobState {
    pub const fn as_str(self) -> &'static str {
        match self {
            JobState::Scheduled => "scheduled",
            JobState::Parked => "parked",
            JobState::Running => "running",
            JobState::Succeeded => "succeeded",
            JobState::Dead => "dead",
            JobState::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Scheduled, Self::Parked, Self::Running, Self::Succeeded, Self::Dead, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// Open jobs hold their unique key.
    pub const fn is_open(self) -> bool {
        matches!(self, JobState::Scheduled | JobState::Parked | JobState::Running)
    }
}

crate::text_enum! {
    /// What the death of a job means for the later jobs of its order key.
    pub enum OnDead {
        /// They go on without it.
        Continue = "continue",
        /// They wait until it is run again or cancelled.
        Block = "block",
    }
}

/// One durable job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    pub id: Uuid,
    pub project_id: ProjectIdOrNil,
    /// The pool that works it off: `timer`, `inbound`, `parked`, ...
    pub queue: String,
    pub kind: String,
    /// Unique per project among open jobs: the name to move or cancel it by, and its protection against doubles.
    pub unique_key: Option<String>,
    /// Jobs of one key run one at a time, in id order.
    pub order_key: Option<String>,
    /// What its death means for its order key.
    pub on_dead: OnDead,
    pub payload: String,
    pub run_at: Timestamp,
    /// Of the jobs that are due, those with more come first.
    pub priority: i16,
    pub state: JobState,
    pub attempt: u32,
    /// After so many tries it is given up; as its kind says unless told.
    pub max_attempts: Option<u32>,
    pub lease_token: u64,
    pub lease_until: Option<Timestamp>,
    pub last_error: Option<String>,
    pub result: Option<String>,
    /// The flow that it belongs to.
    pub correlation_id: Option<Uuid>,
    /// The event whose reaction enqueued it.
    pub causation_id: Option<Uuid>,
    pub created_at: Timestamp,
    /// When it was claimed last.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Its last tries, see [`AttemptRecord`].
    pub history: Vec<AttemptRecord>,
    /// As it was read: another job of its order key is in its way. Not written.
    pub waiting_order: bool,
}

impl JobRecord {
    /// As it is written: without what was seen of its place in its line.
    #[must_use]
    pub fn without_place(self) -> JobRecord {
        JobRecord { waiting_order: false, ..self }
    }

    /// Died, and holds its order key until somebody decides.
    pub fn blocks(&self) -> bool {
        self.state == JobState::Dead && self.on_dead == OnDead::Block && self.order_key.is_some()
    }
}

/// How long a job that succeeded has waited and taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobTimes {
    pub kind: String,
    /// When it was due, at the try that succeeded.
    pub run_at: Timestamp,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
}

/// Which due jobs to take.
#[derive(Debug, Clone, Copy)]
pub struct JobClaim<'a> {
    pub queue: &'a str,
    /// Only of this project.
    pub project: Option<ProjectId>,
    /// Takes the projects in turn, so that nobody waits for the thousand jobs of another.
    pub is_fair: bool,
    pub owner: Uuid,
    pub now: Timestamp,
    /// When the lease ends.
    pub until: Timestamp,
    pub limit: usize,
}

/// Which jobs to show.
#[derive(Debug, Clone, Default)]
pub struct JobQuery {
    pub queue: Option<String>,
    pub kind: Option<String>,
    pub states: Vec<JobState>,
    /// Jobs whose unique key starts with this.
    pub unique_key_prefix: Option<String>,
    /// Only jobs with a smaller id, for paging newest first.
    pub before: Option<Uuid>,
    pub limit: usize,
}

/// The stored outcome of a command with an idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub struct IdempotencyRecord {
    /// The project, or the actor for commands outside a project.
    pub scope: Uuid,
    pub key: String,
    pub command: String,
    pub request_hash: [u8; 32],
    /// The command's output as JSON.
    pub result: String,
    pub expires_at: Timestamp,
}

/// A full-text hit.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    pub snapshot: Snapshot,
    pub score: f64,
    /// The declared field that matched best.
    pub field: String,
}
