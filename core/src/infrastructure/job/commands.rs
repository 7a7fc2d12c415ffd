//! What people do to jobs: run them now, or never.

use super::Job;
use super::host::open_job;
use super::queries::find;
use crate::engine::{Command, UnitOfWork};
use crate::infrastructure::saga::job_ended;
use crate::kernel::{Error, ErrorCode, JobId, Permission, Result};
use crate::operations;
use crate::storage::{JobRecord, JobState, JobWrite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cancels a job that has not ended, or a dead one. What a worker is just doing with it is dropped; a job that ends at the same moment
/// stays as it ended. The later jobs of its order key go on, also when it had died and blocked them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelJob {
    pub id: JobId,
}

impl Command for CancelJob {
    const NAME: &'static str = "jobs.cancel";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::JobNotFound, ErrorCode::InvalidState];
    type Output = Job;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Job> {
        let job = find(work.reader(), self.id).await?;
        if !job.state.is_open() && job.state != JobState::Dead {
            return Err(ended(&job));
        }
        let at = work.now();
        work.write_job(JobWrite::CancelJob { project_id: work.project(), id: job.id, at });
        job_ended(work, &job);
        let job = JobRecord {
            state: JobState::Cancelled,
            lease_until: None,
            finished_at: Some(at),
            waiting_order: false,
            ..job
        };
        Ok(job.into())
    }
}

/// Makes a job due now that waits for its time, for something to happen, or for somebody to look at it. A dead one gets all its tries
/// again. Jobs before it in its line still come first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunJobNow {
    pub id: JobId,
}

impl Command for RunJobNow {
    const NAME: &'static str = "jobs.run_now";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::JobNotFound, ErrorCode::InvalidState, ErrorCode::JobExists];
    type Output = Job;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Job> {
        let job = find(work.reader(), self.id).await?;
        if !matches!(job.state, JobState::Scheduled | JobState::Parked | JobState::Dead) {
            return Err(ended(&job));
        }
        if let (JobState::Dead, Some(key)) = (job.state, &job.unique_key) {
            refuse_taken(work, key).await?;
            work.write_job(JobWrite::Vacant { project_id: work.project(), id: job.id, unique_key: key.clone() });
        }
        let run_at = work.now();
        work.write_job(JobWrite::Release { project_id: work.project(), ids: vec![job.id], run_at });
        let attempt = if job.state == JobState::Dead { 0 } else { job.attempt };
        let job = JobRecord { state: JobState::Scheduled, run_at, attempt, finished_at: None, ..job };
        Ok(job.into())
    }
}

/// A dead job has lost its unique key to whoever came after it.
async fn refuse_taken(work: &UnitOfWork<'_>, key: &str) -> Result<()> {
    let Some(other) = open_job(work, key).await? else { return Ok(()) };
    let exists = Error::new(ErrorCode::JobExists).message("an open job has its unique key");
    Err(exists.at("id").with("id", JobId::from_uuid(other.id).to_string()))
}

fn ended(job: &JobRecord) -> Error {
    Error::new(ErrorCode::InvalidState).with("state", job.state.as_str())
}

operations![commands: CancelJob, RunJobNow];
