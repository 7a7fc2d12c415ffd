//! A job as people see it.

use crate::engine::Cause;
use crate::kernel::{CorrelationId, Error, EventId, JobId, Result, Timestamp};
use crate::storage::{AttemptOutcome, AttemptRecord, JobErrorClass, JobRecord, JobState, OnDead};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One durable job or timer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    pub id: JobId,
    pub kind: String,
    /// The pool that works it off: `timer`, `inbound`, `parked`.
    pub queue: String,
    pub state: JobState,
    /// Unique among open jobs of the project.
    pub unique_key: Option<String>,
    /// Jobs of one key run one at a time.
    pub order_key: Option<String>,
    /// What its death means for the later jobs of its order key.
    pub on_dead: OnDead,
    /// Another job of its order key is in its way: one that is ahead of it, or one that died and blocks. Seen by `jobs.get` and
    /// `jobs.list`; what has just been enqueued does not know yet.
    pub waiting_order: bool,
    /// When it may run next, or was to run last.
    pub run_at: Timestamp,
    /// Of the jobs that are due, those of a higher priority are taken first; 0 unless told.
    pub priority: i16,
    /// Tries so far.
    pub attempts: u32,
    /// Until when a worker has it.
    pub leased_until: Option<Timestamp>,
    /// Why it failed, waits or was given up.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub last_error: Option<String>,
    pub created_at: Timestamp,
    /// When somebody took it last.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

impl From<JobRecord> for Job {
    fn from(job: JobRecord) -> Self {
        Job {
            id: JobId::from_uuid(job.id),
            kind: job.kind,
            queue: job.queue,
            state: job.state,
            unique_key: job.unique_key,
            order_key: job.order_key,
            on_dead: job.on_dead,
            waiting_order: job.waiting_order,
            run_at: job.run_at,
            priority: job.priority,
            attempts: job.attempt,
            leased_until: job.lease_until,
            last_error: job.last_error,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

/// A job with what it works on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobDetails {
    #[serde(flatten)]
    pub job: Job,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub payload: Value,
    /// What it gave, once it has succeeded.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub result: Value,
    /// The flow that it belongs to: that of the commit that made it.
    pub correlation_id: CorrelationId,
    /// The event whose reaction made it.
    pub causation_id: Option<EventId>,
    /// The last 20 tries that failed, and those that came after one that did, in their order. Empty for what succeeded at once. What
    /// does not count as a try (put off, handed back) is not among them.
    pub history: Vec<JobAttempt>,
}

/// One try of a job that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobAttempt {
    /// Its number. It begins anew when a dead job is run again.
    pub attempt: u32,
    pub started_at: Timestamp,
    /// Of one that was never reported: when its lease ended.
    pub ended_at: Timestamp,
    /// From one to the other, in milliseconds.
    pub duration_ms: u64,
    pub outcome: AttemptOutcome,
    /// How it failed.
    pub error_class: Option<JobErrorClass>,
    /// Why it failed, at most 2,000 characters.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub error: Option<String>,
    /// The HTTP status of the answer, where the library made a call and was answered.
    pub status: Option<u16>,
}

impl From<AttemptRecord> for JobAttempt {
    fn from(tried: AttemptRecord) -> Self {
        let AttemptRecord { attempt, started_at, ended_at, outcome, error_class, error, status } = tried;
        let micros = ended_at.micros().saturating_sub(started_at.micros());
        let duration_ms = u64::try_from(micros / 1_000).unwrap_or(0);
        JobAttempt { attempt, started_at, ended_at, duration_ms, outcome, error_class, error, status }
    }
}

impl JobDetails {
    pub(super) fn of(job: JobRecord) -> Result<JobDetails> {
        let read = |text: &str| {
            serde_json::from_str(text).map_err(|e| Error::corrupt(format!("the payload of a job cannot be read: {e}")))
        };
        let payload = if job.payload.is_empty() { Value::Null } else { read(&job.payload)? };
        let result = job.result.as_deref().map_or(Ok(Value::Null), read)?;
        let Cause { correlation_id, event: causation_id } = Cause::from(&job);
        let history = job.history.iter().cloned().map(JobAttempt::from).collect();
        Ok(JobDetails { payload, result, correlation_id, causation_id, history, job: job.into() })
    }
}
