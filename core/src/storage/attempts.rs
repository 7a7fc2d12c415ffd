//! What became of the tries of a job: kept on the job itself, and written by the statement that ends a try. So it needs no table, no
//! second write and no cleaning of its own, and it goes where the job goes: into copies, and away with it.

use super::JobRecord;
use crate::kernel::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};

/// The tries that are kept of a job, the last ones.
pub const KEPT_ATTEMPTS: usize = 20;
/// The longest error that is kept of a try, in characters.
pub const MAX_ATTEMPT_ERROR: usize = 2_000;

crate::text_enum! {
    /// How a try of a job failed.
    pub enum JobErrorClass {
        /// It might work at another time.
        Transient = "transient",
        /// It can never work.
        Permanent = "permanent",
        /// It took too long.
        Timeout = "timeout",
        /// Whoever worked at it never reported.
        LeaseLost = "lease_lost",
    }
}

crate::text_enum! {
    /// How a try of a job ended.
    pub enum AttemptOutcome {
        Succeeded = "succeeded",
        Failed = "failed",
    }
}

/// One try of a job that has ended.
///
/// Tries that fail are kept, and what comes after them: a job that succeeds at once, which is nearly all of them, costs nothing. What
/// counts as no try (put off, handed back) is none here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its number; it begins anew when a dead job is run again.
    pub attempt: u32,
    #[serde(with = "in_micros")]
    pub started_at: Timestamp,
    #[serde(with = "in_micros")]
    pub ended_at: Timestamp,
    pub outcome: AttemptOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_class: Option<JobErrorClass>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the other side answered, where the try was a call that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl AttemptRecord {
    /// The try that is under way, ended now. The error loses what is too long, and the one character that not every store can keep.
    pub fn failed(job: &JobRecord, at: Timestamp, class: JobErrorClass, error: &str, status: Option<u16>) -> Self {
        let kept = error.chars().take(MAX_ATTEMPT_ERROR).map(|c| if c == '\0' { '\u{fffd}' } else { c });
        AttemptRecord {
            attempt: job.attempt,
            started_at: job.started_at.unwrap_or(at),
            ended_at: at,
            outcome: AttemptOutcome::Failed,
            error_class: Some(class),
            error: Some(kept.collect()),
            status,
        }
    }

    pub fn succeeded(job: &JobRecord, at: Timestamp, status: Option<u16>) -> Self {
        AttemptRecord {
            attempt: job.attempt,
            started_at: job.started_at.unwrap_or(at),
            ended_at: at,
            outcome: AttemptOutcome::Succeeded,
            error_class: None,
            error: None,
            status,
        }
    }

    /// The try of a running job whose lease is over: it ended when the lease did.
    pub(crate) fn lost(job: &JobRecord, now: Timestamp) -> Self {
        let ended_at = job.lease_until.unwrap_or(now);
        AttemptRecord {
            attempt: job.attempt,
            started_at: job.started_at.unwrap_or(ended_at),
            ended_at,
            outcome: AttemptOutcome::Failed,
            error_class: Some(JobErrorClass::LeaseLost),
            error: None,
            status: None,
        }
    }

    /// Puts it behind those before it, of which the first ones go.
    pub fn join(self, history: &[AttemptRecord]) -> Vec<AttemptRecord> {
        let kept = history.len().min(KEPT_ATTEMPTS - 1);
        history[history.len() - kept..].iter().cloned().chain([self]).collect()
    }

    /// The tries of a job as a store keeps them: JSON with instants in microseconds; none while there are none.
    ///
    /// # Errors
    /// None in practice: every value has a JSON form.
    pub fn written(history: &[AttemptRecord]) -> Result<Option<String>> {
        if history.is_empty() {
            return Ok(None);
        }
        let written = serde_json::to_string(history);
        written.map(Some).map_err(|e| Error::internal(format!("the tries of a job have no JSON form: {e}")))
    }

    /// What [`written`](Self::written) wrote.
    ///
    /// # Errors
    /// `storage_corrupt`.
    pub fn read(text: Option<&str>) -> Result<Vec<AttemptRecord>> {
        let Some(text) = text else { return Ok(Vec::new()) };
        serde_json::from_str(text).map_err(|e| Error::corrupt(format!("the tries of a job cannot be read: {e}")))
    }
}

/// Instants as a number, which SQL can write too.
mod in_micros {
    use crate::kernel::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        at.micros().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let micros = i64::deserialize(deserializer)?;
        Timestamp::from_micros(micros).ok_or_else(|| D::Error::custom("an instant beyond all bounds"))
    }
}
