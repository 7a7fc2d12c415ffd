//! Jobs whose work is a call to the outside. Each is planned in one commit, called without any lock or transaction, and settled in
//! another: when the process dies between, the lease ends and the call is made again with the same idempotency key, the job's id.

use super::breaker::Admission;
use super::crm::Crm;
use super::work::UnitOfWork;
use super::worker::{JobOutcome, JobStep, RunReport, told};
use crate::http::{HttpFailure, HttpRequest, HttpResponse, HttpTransport};
use crate::infrastructure::job::JobErrorClass;
use crate::kernel::{Component, ErrorCode, Result, Timestamp};
use crate::storage::{JobClaim, JobRecord, JobWrite};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;

/// The queue of jobs that call the outside.
pub const OUTSIDE: &str = "outside";
/// How many calls of one process are under way at most.
pub const CALLS: usize = 16;
/// How long a job is held until its call is planned, and after the call has ended, in seconds.
const GRACE_SECONDS: i64 = 30;

/// What came of a call.
pub type Answer = std::result::Result<HttpResponse, HttpFailure>;

/// A kind of job whose work is a call to the outside. Its jobs are in the queue [`OUTSIDE`].
pub struct OutsideJob {
    pub kind: &'static str,
    pub component: Component,
    /// Tries that fail with an error of ours; what the other side answers is for `settle` to judge.
    pub max_attempts: u32,
    /// An endpoint that fails most calls is left alone for a while, and these jobs wait for it. Not for kinds with such a rule of their own.
    pub has_breaker: bool,
    /// Decides what to call. What it writes commits before the call is made.
    pub plan: for<'a> fn(&'a mut UnitOfWork<'_>, &'a JobRecord) -> BoxFuture<'a, Result<Plan>>,
    /// Takes in what came of it. What it writes commits with the end of the job.
    pub settle: for<'a> fn(&'a mut UnitOfWork<'_>, &'a JobRecord, &'a Answer) -> BoxFuture<'a, Result<JobOutcome>>,
}

/// What a job is about to do.
#[derive(Debug)]
pub enum Plan {
    Call(HttpRequest),
    /// Nothing needs to be called.
    Settled(JobOutcome),
}

/// One piece of work that waits for the outside. It does nothing before it is run.
pub struct OutsideCall {
    crm: Crm,
    http: Arc<dyn HttpTransport>,
    job: JobRecord,
}

impl OutsideCall {
    /// Makes the call; false when it failed and was put back or given up.
    ///
    /// # Errors
    /// What the store fails with; the job comes again when its lease ends.
    pub async fn run(self) -> Result<bool> {
        let OutsideCall { crm, http, job } = self;
        let Some(kind) = crate::catalogue::outside_job(&job.kind) else {
            crm.kill_job(&job, JobErrorClass::Permanent, ErrorCode::JobKindUnknown.as_str().to_owned()).await?;
            return Ok(false);
        };
        if crm.is_worn_out(&job, kind.max_attempts).await? {
            return Ok(false);
        }
        match crm.make_call(kind, &*http, &job).await {
            Ok(()) => Ok(true),
            // It is somebody else's now.
            Err(error) if error.code() == ErrorCode::LeaseLost => Ok(true),
            Err(error) => crm.job_failed(&job, kind.max_attempts, told(&error)).await.map(|()| false),
        }
    }
}

impl Crm {
    /// Takes jobs that are due to call the outside, the projects in turn; none without a transport. Whoever takes some runs them at
    /// once, side by side.
    pub async fn claim_calls(&self, limit: usize) -> Result<Vec<OutsideCall>> {
        let Some(http) = self.core.http.clone() else { return Ok(Vec::new()) };
        let now = self.core.now();
        let (owner, until) = (self.core.owner, now.plus_seconds(GRACE_SECONDS));
        let claim = JobClaim { queue: OUTSIDE, project: None, is_fair: true, owner, now, until, limit };
        let jobs = self.core.storage.claim_jobs(claim).await?;
        Ok(jobs.into_iter().map(|job| OutsideCall { crm: self.clone(), http: http.clone(), job }).collect())
    }

    /// Makes all calls that are due, [`CALLS`] at a time.
    pub(super) async fn run_calls(&self, report: &mut RunReport) -> Result<()> {
        let mut under_way = FuturesUnordered::new();
        loop {
            for call in self.claim_calls(CALLS - under_way.len()).await? {
                under_way.push(call.run());
            }
            let Some(ended) = under_way.next().await else { return Ok(()) };
            report.jobs += 1;
            if !ended? {
                report.failures += 1;
            }
        }
    }

    async fn make_call(&self, kind: &OutsideJob, http: &dyn HttpTransport, job: &JobRecord) -> Result<()> {
        let mut plan = JobStep::Plan(kind, Planned::default());
        self.decide(job, kind.component, &mut plan).await?;
        let JobStep::Plan(_, Planned { request: Some(request), .. }) = plan else { return Ok(()) };
        let endpoint = kind.has_breaker.then(|| request.endpoint());
        let answer = http.send(request).await;
        if let Some(endpoint) = endpoint {
            self.core.breakers.report(endpoint, self.core.now(), is_well(&answer));
        }
        self.decide(job, kind.component, &mut JobStep::Settle(kind, &answer)).await
    }
}

/// What a job is about to call, unless it waits.
#[derive(Default)]
pub(super) struct Planned {
    pub request: Option<HttpRequest>,
    /// The endpoint that it may call: asked for once, though it may be planned again after a lost race.
    pub admitted: Option<String>,
    /// The endpoint is left alone until then.
    pub waits_until: Option<Timestamp>,
}

impl Planned {
    /// Whether the call may be made now.
    pub fn admit(&mut self, kind: &OutsideJob, work: &UnitOfWork<'_>, job: &JobRecord, call: &HttpRequest) -> bool {
        let endpoint = call.endpoint();
        if !kind.has_breaker || self.admitted.as_ref() == Some(&endpoint) {
            return true;
        }
        match work.reader().core().breakers.admit(&endpoint, job.project_id.0, work.now()) {
            Admission::Go => self.admitted = Some(endpoint),
            Admission::Wait(until) => self.waits_until = Some(until),
        }
        self.waits_until.is_none()
    }
}

/// Whether the endpoint did its part: it answered, and not with an error of its own. What must not be called was not asked.
fn is_well(answer: &Answer) -> bool {
    match answer {
        Ok(response) => response.status < 500,
        Err(failure) => matches!(failure, HttpFailure::Blocked { .. }),
    }
}

/// Keeps the job for as long as its call may take.
pub(super) fn hold(work: &mut UnitOfWork<'_>, job: &JobRecord, call: &HttpRequest) {
    let seconds = i64::try_from(call.timeout.as_secs()).unwrap_or(i64::MAX / 2);
    let until = work.now().plus_seconds(seconds.saturating_add(GRACE_SECONDS));
    let (project_id, id, lease_token) = (job.project_id.0, job.id, job.lease_token);
    work.write_job(JobWrite::Extend { project_id, id, lease_token, until });
}
