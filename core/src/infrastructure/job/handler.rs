//! A worker of the host for one kind of its jobs: takes them while it has room, keeps those that are under way, and reports them.

use super::JobErrorClass;
use super::host::{
    ClaimedJob, DEFAULT_ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE, ReportJob, ReportedOutcome, check_kind, within,
};
use crate::engine::{Crm, JobOutcome, backoff_micros};
use crate::kernel::{Error, ErrorCode, JobId, ProjectId, Result, Timestamp};
use crate::storage::{Batch, CommitError, JobClaim, JobRecord};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a job stays with a handler that gives no sign of life, in seconds.
const LEASE: i64 = 30;
/// A lease is renewed when no more than this is left of it, in seconds.
const RENEW: i64 = 20;
/// A lease outlives the time of a try by this, in seconds: who took too long is told so before somebody else comes.
const GRACE: i64 = 10;
/// The most jobs that one handler does at a time.
pub const MAX_CONCURRENCY: usize = 100;
/// The longest that one try may take, in seconds.
pub const MAX_TIMEOUT: i64 = 3_600;

/// How a [`Handler`] works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandleOptions {
    /// So many jobs at a time, 1 to 100. A job that was lost counts until it is reported.
    pub concurrency: usize,
    /// How long a try may take, 1 to 3,600 seconds. Then it counts as failed, and the job may be given to somebody else.
    pub timeout_seconds: i64,
}

impl Default for HandleOptions {
    fn default() -> Self {
        HandleOptions { concurrency: 4, timeout_seconds: MAX_TIMEOUT }
    }
}

/// Does the host's jobs of one kind, of a project or of all of them, which take turns.
///
/// It takes no more jobs than it has room for. Each that [`next`](Self::next) gives is reported in the end. Until then
/// [`keep`](Self::keep), called no later than [`due`](Self::due) says, holds it for longer than its lease: when the process dies,
/// somebody else gets the job 30 seconds later at the latest.
///
/// May be shared by all who work: every method takes `&self`.
pub struct Handler {
    crm: Crm,
    kind: String,
    project: Option<ProjectId>,
    options: HandleOptions,
    in_hand: Mutex<BTreeMap<JobId, InHand>>,
    /// Whoever claims, one after the other: room is counted before it is taken.
    claiming: futures_util::lock::Mutex<()>,
    is_ended: AtomicBool,
}

/// A job that was given and is not reported yet.
#[derive(Debug, Clone)]
struct InHand {
    job: JobRecord,
    lease_until: Timestamp,
    report_by: Timestamp,
    is_lost: bool,
}

impl Crm {
    /// A worker for the host's jobs of this kind (`host.report`), of one project or of all.
    ///
    /// # Errors
    /// `job_kind_unknown` at `kind`; `limit_out_of_range` at `concurrency` and `timeout_seconds`.
    pub fn handle(&self, project: Option<ProjectId>, kind: &str, options: HandleOptions) -> Result<Handler> {
        check_kind(kind).map_err(|error| error.at("kind"))?;
        let concurrency = i64::try_from(options.concurrency).unwrap_or(i64::MAX);
        within("concurrency", concurrency, 1, MAX_CONCURRENCY as i64)?;
        within("timeout_seconds", options.timeout_seconds, 1, MAX_TIMEOUT)?;
        Ok(Handler {
            crm: self.clone(),
            kind: kind.to_owned(),
            project,
            options,
            in_hand: Mutex::default(),
            claiming: futures_util::lock::Mutex::new(()),
            is_ended: AtomicBool::new(false),
        })
    }
}

impl Handler {
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Takes due jobs while there is room. Empty when there are none now, when there is no room, and after [`end`](Self::end).
    pub async fn next(&self) -> Result<Vec<ClaimedJob>> {
        let _turn = self.claiming.lock().await;
        let room = self.room();
        if room == 0 {
            return Ok(Vec::new());
        }
        let core = self.crm.core();
        let now = core.now();
        let report_by = now.plus_seconds(self.options.timeout_seconds);
        let until = now.plus_seconds(lease_for(self.options.timeout_seconds));
        let claim = JobClaim {
            queue: &self.kind,
            project: self.project,
            is_fair: self.project.is_none(),
            owner: core.owner,
            now,
            until,
            limit: room,
        };
        let (mut taken, mut failure) = (Vec::new(), None);
        for job in core.storage.claim_jobs(claim).await? {
            match self.take(job, until, report_by).await {
                Ok(job) => taken.extend(job),
                // Its lease ends by itself.
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if taken.is_empty() => Err(error),
            _ => Ok(taken),
        }
    }

    /// Takes a claimed job in hand, unless it cannot be done.
    async fn take(&self, job: JobRecord, lease_until: Timestamp, report_by: Timestamp) -> Result<Option<ClaimedJob>> {
        if self.crm.is_worn_out(&job, DEFAULT_ATTEMPTS).await? {
            return Ok(None);
        }
        match ClaimedJob::of(job.clone(), report_by) {
            Ok(claimed) => {
                let held = InHand { job, lease_until, report_by, is_lost: false };
                self.in_hand().insert(claimed.job.job.id, held);
                Ok(Some(claimed))
            }
            Err(error) => self.crm.kill_job(&job, JobErrorClass::Permanent, error.to_string()).await.map(|()| None),
        }
    }

    /// Says what became of a job. False when that counts for nothing: it was cancelled, took too long, or was given to somebody else.
    ///
    /// # Errors
    /// Those of `jobs.report`, and what the store fails with. The job stays in hand then: report it again.
    pub async fn report(&self, id: JobId, outcome: ReportedOutcome) -> Result<bool> {
        let Some(held) = self.held(id) else { return Ok(false) };
        let is_end = !matches!(outcome, ReportedOutcome::Heartbeat { .. });
        let reported = match held.is_lost {
            true => Ok(false),
            false => self.tell(&held, outcome).await,
        };
        if is_end && reported.is_ok() {
            self.forget(id);
        }
        reported
    }

    /// Hands back a job that was not begun: somebody else may take it at once, and no try is counted.
    pub async fn put_back(&self, id: JobId) -> Result<()> {
        let Some(InHand { job, is_lost, .. }) = self.held(id) else { return Ok(()) };
        if !is_lost {
            let now = self.crm.core().now();
            let back = JobOutcome::Again(now).of(&job, now);
            match self.crm.commit(Batch { jobs: vec![back], ..Batch::default() }).await {
                Ok(_) | Err(CommitError::LeaseLost) => {}
                Err(CommitError::Store(error)) => return Err(error),
                Err(other) => return Err(Error::internal(format!("a job could not be handed back: {other:?}"))),
            }
        }
        self.forget(id);
        Ok(())
    }

    /// Lets go of a job without a word to the store: its lease ends by itself.
    pub fn forget(&self, id: JobId) {
        self.in_hand().remove(&id);
    }

    /// Holds what is under way for longer, and fails what took too long. Gives the jobs that were lost since: cancelled, too slow, or
    /// given to somebody else. Whoever works at them may stop; they keep their places until they are reported.
    ///
    /// # Errors
    /// What the store fails with; to be called again.
    pub async fn keep(&self) -> Result<Vec<JobId>> {
        let mut lost = Vec::new();
        let mut failure = None;
        let held: Vec<(JobId, InHand)> = self.in_hand().iter().map(|(id, held)| (*id, held.clone())).collect();
        for (id, held) in held {
            let now = self.crm.core().now();
            if held.is_lost || held.next_sign() > now {
                continue;
            }
            let left = held.report_by.seconds_since(now);
            let told = if now < held.report_by {
                self.tell(&held, ReportedOutcome::Heartbeat { lease_seconds: Some(lease_for(left)) }).await
            } else {
                self.time_out(&held).await
            };
            match told {
                Ok(true) if now < held.report_by => {
                    if let Some(held) = self.in_hand().get_mut(&id) {
                        held.lease_until = now.plus_seconds(lease_for(left));
                    }
                }
                // Who has reported meanwhile has lost nothing.
                Ok(_) => {
                    if let Some(held) = self.in_hand().get_mut(&id) {
                        held.is_lost = true;
                        lost.push(id);
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            // It is met again by the next call, which has nothing else to say.
            Some(error) if lost.is_empty() => Err(error),
            _ => Ok(lost),
        }
    }

    /// When something is to be done next: a job to take, or one to keep. None while there is nothing to wait for.
    pub async fn due(&self) -> Result<Option<Timestamp>> {
        let sign = self.in_hand().values().filter(|held| !held.is_lost).map(InHand::next_sign).min();
        let job = if self.room() > 0 { self.crm.core().storage.next_due(&self.kind).await? } else { None };
        Ok(sign.into_iter().chain(job).min())
    }

    /// Takes no more jobs. Those in hand are still kept and reported.
    pub fn end(&self) {
        self.is_ended.store(true, Ordering::SeqCst);
    }

    /// Whether it has jobs in hand.
    pub fn is_busy(&self) -> bool {
        !self.in_hand().is_empty()
    }

    /// Whether it has ended and has nothing in hand.
    pub fn is_done(&self) -> bool {
        self.is_ended.load(Ordering::SeqCst) && !self.is_busy()
    }

    /// Ends and hands back what is in hand: somebody else may take it at once, and no try is counted.
    pub async fn release(&self) -> Result<()> {
        self.end();
        let held: Vec<JobId> = self.in_hand().keys().copied().collect();
        for id in held {
            self.put_back(id).await?;
        }
        Ok(())
    }

    /// Fails a try that took too long, and with the last one the job. False when the job is not this handler's any more.
    async fn time_out(&self, held: &InHand) -> Result<bool> {
        let (job, core) = (&held.job, self.crm.core());
        let error = format!("it took longer than {} seconds", self.options.timeout_seconds);
        if job.attempt >= job.max_attempts.unwrap_or(DEFAULT_ATTEMPTS) {
            return self.crm.kill_job(job, JobErrorClass::Timeout, error).await.map(|()| true);
        }
        let now = core.now();
        let at = now.plus_micros(backoff_micros(core, job.attempt, FIRST_PAUSE, LONGEST_PAUSE));
        let put_back = JobOutcome::Retry { at, error }.of_try(job, now, Some(JobErrorClass::Timeout), None);
        match self.crm.commit(Batch { jobs: vec![put_back], ..Batch::default() }).await {
            Ok(_) => Ok(true),
            Err(CommitError::LeaseLost) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
            Err(other) => Err(Error::internal(format!("a job could not be put back: {other:?}"))),
        }
    }

    /// Reports as everybody does. False when the job is not this handler's any more.
    async fn tell(&self, held: &InHand, outcome: ReportedOutcome) -> Result<bool> {
        let report = ReportJob { id: JobId::from_uuid(held.job.id), lease_token: held.job.lease_token, outcome };
        match self.crm.project(held.job.project_id.0).execute(report).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.code(), ErrorCode::LeaseLost | ErrorCode::JobNotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn room(&self) -> usize {
        if self.is_ended.load(Ordering::SeqCst) {
            return 0;
        }
        self.options.concurrency.saturating_sub(self.in_hand().len())
    }

    fn held(&self, id: JobId) -> Option<InHand> {
        self.in_hand().get(&id).cloned()
    }

    fn in_hand(&self) -> MutexGuard<'_, BTreeMap<JobId, InHand>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InHand {
    /// When its lease is to be renewed, or its time is over.
    fn next_sign(&self) -> Timestamp {
        if self.lease_until >= self.report_by { self.report_by } else { self.lease_until.plus_seconds(-RENEW) }
    }
}

/// The lease of a job that may take so many seconds from now on.
fn lease_for(seconds: i64) -> i64 {
    LEASE.min(seconds + GRACE)
}
