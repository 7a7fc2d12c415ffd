//! What happens to jobs that people should hear of. Their state is kept in the queue, not folded.

use crate::events;
use crate::kernel::{JobId, Kind, Subject};
pub use crate::storage::JobErrorClass;
use uuid::Uuid;

events! {
    /// What can happen to a job. Only who names this type hears of it: `*` does not stand for it.
    pub enum JobEvent: Job {
        /// It was given up. It is kept for 90 days, and `jobs.run_now` tries it again.
        "job.dead" Dead { job_id: JobId, job_kind: String, error_class: JobErrorClass, attempts: u32 },
    }
}

/// The stream of a job's events.
pub(crate) fn stream_of(job: Uuid) -> Subject {
    Subject { kind: Kind::Job, id: job }
}
