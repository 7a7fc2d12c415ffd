//! Jobs of the host: enqueued by anybody, done by programs of the host, once each unless a program dies.

use super::backlog::check_backlog;
use super::events::JobErrorClass;
use super::queries::find;
use super::{Job, JobDetails};
use crate::engine::{Cause, Command, JobOutcome, UnitOfWork, backoff_micros};
use crate::infrastructure::saga::{idempotency_key, job_ended};
use crate::kernel::text::{json_limits, required_text};
use crate::kernel::{Error, ErrorCode, JobId, Permission, ProjectId, Result, Timestamp};
use crate::operations;
use crate::storage::{JobClaim, JobQuery, JobRecord, JobState, JobWrite, OnDead, ProjectIdOrNil, Scope, limit_within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest kind, in characters.
const MAX_KIND: usize = 80;
/// The longest unique key and order key, in characters.
const MAX_KEY: usize = 200;
/// The largest payload and result, in bytes.
const MAX_PAYLOAD: usize = 64 * 1024;
const MAX_RESULT: usize = 16 * 1024;
/// How deep they may nest.
const MAX_DEPTH: usize = 8;
/// Tries before a job is given up, unless told.
pub(super) const DEFAULT_ATTEMPTS: u32 = 10;
const MAX_ATTEMPTS: u32 = 100;
/// Kinds that one claim may name.
const MAX_KINDS: usize = 20;
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 100;
/// How long a claimed job is the claimant's, in seconds.
const DEFAULT_LEASE: i64 = 30;
const MAX_LEASE: i64 = 3_600;
/// The shortest and the longest pause before another try, in seconds.
pub(super) const FIRST_PAUSE: i64 = 5;
pub(super) const LONGEST_PAUSE: i64 = 3_600;
/// The longest that a report may put a job off, in seconds.
const MAX_AFTER: i64 = 24 * 3_600;
/// The longest error that is kept, in characters.
const MAX_ERROR: usize = 2_000;

/// Puts a job of the host into the queue, in the same commit as everything else of the transaction. A program of the host takes it
/// with `jobs.claim`.
///
/// A job runs until it is reported done: one whose program dies is given to another when its lease ends, with the same id, which is
/// the key to do nothing twice. A failed try is repeated after 5 seconds, doubled each time up to an hour, give or take a fifth.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnqueueJob {
    /// `host.` and words of `a-z`, `0-9` and `_` with dots between, at most 80 characters: `host.report`. While 100,000 jobs of the kind
    /// are due and not done, no more are taken.
    pub kind: String,
    /// What the work needs: at most 64 KiB of JSON, eight levels deep. Ids rather than secrets.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub payload: Value,
    /// Not before; now unless told.
    #[serde(default)]
    pub run_at: Option<Timestamp>,
    /// -32,768 to 32,767; 0 unless told. Of the jobs that are due, those of a higher priority are taken first, then those whose time
    /// came earlier. It does not put a job before others of its order key, nor before those of another project where a worker is
    /// for all of them. A claim looks at each priority that jobs of the kind have: a handful is meant, not thousands.
    #[serde(default)]
    pub priority: Option<i32>,
    /// At most 200 characters. Of one key there is one job that has not ended.
    #[serde(default)]
    pub unique_key: Option<String>,
    /// Moves the job of the unique key to the new time, priority and payload, if there is one, also from whoever is at work on it. Otherwise it
    /// is an error.
    #[serde(default)]
    pub replace: bool,
    /// At most 200 characters. Jobs of one key run one at a time, in the order in which they were enqueued.
    #[serde(default)]
    pub order_key: Option<String>,
    /// What becomes of the later jobs of the order key if this one dies: they go on unless told. With `block` they wait until it is
    /// run again (`jobs.run_now`) or cancelled, and it is kept until then. Needs an order key.
    #[serde(default)]
    pub on_dead: Option<OnDead>,
    /// Tries before it is given up, 1 to 100; 10 unless told.
    #[serde(default)]
    pub max_attempts: Option<u32>,
}

impl Command for EnqueueJob {
    const NAME: &'static str = "jobs.enqueue";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::JobKindUnknown,
        ErrorCode::JobBacklogFull,
        ErrorCode::JobExists,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::FieldRequired,
        ErrorCode::TextRequired,
        ErrorCode::TextTooLong,
        ErrorCode::LimitOutOfRange,
    ];
    type Output = Job;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Job> {
        check_kind(&self.kind).map_err(|error| error.at("kind"))?;
        check_payload(&self.payload).map_err(|error| error.at("payload"))?;
        for (name, key) in [("unique_key", &self.unique_key), ("order_key", &self.order_key)] {
            key.as_deref().map(|key| required_text(key, MAX_KEY).map_err(|error| error.at(name))).transpose()?;
        }
        let on_dead = self.on_dead.unwrap_or(OnDead::Continue);
        if on_dead == OnDead::Block && self.order_key.is_none() {
            return Err(Error::new(ErrorCode::FieldRequired)
                .message("what dies can block an order key only")
                .at("order_key"));
        }
        let attempts = self.max_attempts.unwrap_or(DEFAULT_ATTEMPTS);
        within("max_attempts", attempts.into(), 1, MAX_ATTEMPTS.into())?;
        let priority = self.priority.unwrap_or(0);
        within("priority", priority.into(), i16::MIN.into(), i16::MAX.into())?;
        let priority =
            i16::try_from(priority).map_err(|e| Error::internal(format!("a checked priority does not fit: {e}")))?;
        let record = host_job(
            work,
            HostJob {
                kind: self.kind,
                payload: self.payload.to_string(),
                run_at: self.run_at.unwrap_or(work.now()),
                priority,
                unique_key: self.unique_key,
                order_key: self.order_key,
                on_dead,
                max_attempts: Some(attempts),
            },
        );
        let known = match &record.unique_key {
            Some(key) => open_job(work, key).await?,
            None => None,
        };
        match known {
            None => {
                check_backlog(work, &record.kind, 1).await?;
                work.write_job(JobWrite::Create(record.clone()));
            }
            Some(known) if !self.replace => {
                let exists = Error::new(ErrorCode::JobExists).at("unique_key");
                return Err(exists.with("id", JobId::from_uuid(known.id).to_string()));
            }
            Some(known) => {
                work.write_job(JobWrite::Schedule(record.clone()));
                let JobRecord { run_at, priority, payload, .. } = record;
                return Ok(JobRecord {
                    run_at,
                    priority,
                    payload,
                    state: JobState::Scheduled,
                    lease_until: None,
                    ..known
                }
                .into());
            }
        }
        Ok(record.into())
    }
}

/// A job of the host, checked already.
pub(in crate::infrastructure) struct HostJob {
    pub kind: String,
    pub payload: String,
    pub run_at: Timestamp,
    pub priority: i16,
    pub unique_key: Option<String>,
    pub order_key: Option<String>,
    pub on_dead: OnDead,
    /// 10 unless told.
    pub max_attempts: Option<u32>,
}

/// The record of a new job of the host.
pub(in crate::infrastructure) fn host_job(work: &UnitOfWork<'_>, job: HostJob) -> JobRecord {
    JobRecord {
        id: work.new_id::<JobId>().uuid(),
        project_id: ProjectIdOrNil(work.project()),
        queue: job.kind.clone(),
        kind: job.kind,
        unique_key: job.unique_key,
        order_key: job.order_key,
        on_dead: job.on_dead,
        payload: job.payload,
        run_at: job.run_at,
        priority: job.priority,
        state: JobState::Scheduled,
        attempt: 0,
        max_attempts: Some(job.max_attempts.unwrap_or(DEFAULT_ATTEMPTS)),
        lease_token: 0,
        lease_until: None,
        last_error: None,
        result: None,
        correlation_id: None,
        causation_id: work.context().causation_id.map(|id| id.uuid()),
        created_at: work.now(),
        started_at: None,
        finished_at: None,
        history: Vec::new(),
        waiting_order: false,
    }
}

/// The job of a unique key that has not ended, also when it is no older than this unit of work.
pub(super) async fn open_job(work: &UnitOfWork<'_>, key: &str) -> Result<Option<JobRecord>> {
    if let Some(job) = work.new_job(key) {
        return Ok(Some(job.clone()));
    }
    let states = vec![JobState::Scheduled, JobState::Parked, JobState::Running];
    let query = JobQuery { states, unique_key_prefix: Some(key.to_owned()), limit: MAX_LIMIT, ..JobQuery::default() };
    let found = work.reader().storage().jobs(Scope::Project(work.project()), &query).await?;
    Ok(found.into_iter().find(|job| job.unique_key.as_deref() == Some(key)))
}

/// Takes due jobs of the host for a program that does them now, those of a higher priority first, then those that are due earlier, and
/// answers for them: report each one with `jobs.report` before its
/// lease ends, or it is given to somebody else. Every claim counts as a try. It takes effect at once, whatever becomes of the rest of
/// a transaction.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimJobs {
    /// 1 to 20 kinds, those named first come first.
    pub kinds: Vec<String>,
    /// 1 to 100; 10 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
    /// 1 to 3,600; 30 unless told.
    #[serde(default)]
    pub lease_seconds: Option<i64>,
}

/// A job to do now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimedJob {
    #[serde(flatten)]
    pub job: JobDetails,
    pub project_id: ProjectId,
    /// The same at every try: hand it to whoever does the work, so that nothing is done twice.
    pub idempotency_key: String,
    /// What is reported later counts for nothing, unless a heartbeat came first.
    pub report_by: Timestamp,
    /// Report it back.
    pub lease_token: u64,
}

impl From<&ClaimedJob> for Cause {
    fn from(job: &ClaimedJob) -> Self {
        Cause { correlation_id: job.job.correlation_id, event: job.job.causation_id }
    }
}

impl ClaimedJob {
    pub(super) fn of(job: JobRecord, report_by: Timestamp) -> Result<ClaimedJob> {
        let (project_id, lease_token) = (job.project_id.0, job.lease_token);
        let idempotency_key = idempotency_key(&job).map_or_else(|| job.id.to_string(), str::to_owned);
        Ok(ClaimedJob { job: JobDetails::of(job)?, project_id, idempotency_key, report_by, lease_token })
    }
}

impl Command for ClaimJobs {
    const NAME: &'static str = "jobs.claim";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::JobKindUnknown, ErrorCode::LimitOutOfRange, ErrorCode::BatchTooLarge, ErrorCode::FieldRequired];
    type Output = Vec<ClaimedJob>;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Vec<ClaimedJob>> {
        if self.kinds.is_empty() {
            return Err(Error::new(ErrorCode::FieldRequired).at("kinds"));
        }
        if self.kinds.len() > MAX_KINDS {
            return Err(Error::new(ErrorCode::BatchTooLarge).at("kinds").with("max", MAX_KINDS));
        }
        for (number, kind) in self.kinds.iter().enumerate() {
            check_kind(kind).map_err(|error| error.at(format!("kinds[{number}]")))?;
        }
        let limit = limit_within(self.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let lease = self.lease_seconds.unwrap_or(DEFAULT_LEASE);
        within("lease_seconds", lease, 1, MAX_LEASE)?;
        let now = work.now();
        let until = now.plus_seconds(lease);
        let mut claimed = Vec::new();
        for kind in &self.kinds {
            let claim = JobClaim {
                queue: kind,
                project: Some(work.project()),
                is_fair: false,
                owner: work.reader().core().owner,
                now,
                until,
                limit: limit - claimed.len(),
            };
            if claim.limit == 0 {
                break;
            }
            for job in work.reader().storage().claim_jobs(claim).await? {
                if job.attempt > job.max_attempts.unwrap_or(DEFAULT_ATTEMPTS) {
                    let error = "whoever took it last never reported".to_owned();
                    work.end_in_vain(&job, JobErrorClass::LeaseLost, error).await?;
                    continue;
                }
                claimed.push(ClaimedJob::of(job, until)?);
            }
        }
        Ok(claimed)
    }
}

/// Says what became of a claimed job. Late reports, when the job was given to somebody else or cancelled meanwhile, change nothing and
/// answer `lease_lost`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportJob {
    pub id: JobId,
    /// As `jobs.claim` gave it.
    pub lease_token: u64,
    pub outcome: ReportedOutcome,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ReportedOutcome {
    /// It is done.
    Done {
        /// At most 16 KiB of JSON, eight levels deep.
        #[serde(default)]
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
        result: Value,
    },
    /// It failed, and may work later: another try, if any is left.
    Retry {
        /// For people; longer than 2,000 characters is cut.
        #[serde(default)]
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
        error: Option<String>,
        /// 0 to 86,400; after 5 seconds, doubled with each try up to an hour, unless told.
        #[serde(default)]
        after_seconds: Option<i64>,
    },
    /// It can never work.
    Permanent {
        /// For people; longer than 2,000 characters is cut.
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
        error: String,
    },
    /// Whom it needs takes no more now. Does not count as a try.
    RateLimited {
        /// 1 to 86,400.
        after_seconds: i64,
    },
    /// It is under way, and takes longer.
    Heartbeat {
        /// From now; 1 to 3,600, 30 unless told.
        #[serde(default)]
        lease_seconds: Option<i64>,
    },
}

impl Command for ReportJob {
    const NAME: &'static str = "jobs.report";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::JobNotFound,
        ErrorCode::LeaseLost,
        ErrorCode::LimitOutOfRange,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
    ];
    type Output = Job;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Job> {
        let job = find(work.reader(), self.id).await?;
        let is_host = job.kind.starts_with(HOST);
        if !is_host || job.state != JobState::Running || job.lease_token != self.lease_token {
            return Err(Error::new(ErrorCode::LeaseLost).with("id", self.id.to_string()));
        }
        let now = work.now();
        let outcome = match self.outcome {
            ReportedOutcome::Done { result } => {
                json_limits(&result, MAX_RESULT, MAX_DEPTH).map_err(|error| error.at("result").at("outcome"))?;
                JobOutcome::Done {
                    result: Some(result).filter(|result| !result.is_null()).map(|result| result.to_string()),
                }
            }
            ReportedOutcome::Permanent { error } => {
                work.end_in_vain(&job, JobErrorClass::Permanent, cut(&error)).await?;
                return Ok(dead(job, cut(&error), now));
            }
            ReportedOutcome::Retry { error, after_seconds } => {
                let error = cut(error.as_deref().unwrap_or("it failed, and no reason was given"));
                if job.attempt >= job.max_attempts.unwrap_or(DEFAULT_ATTEMPTS) {
                    work.end_in_vain(&job, JobErrorClass::Transient, error.clone()).await?;
                    return Ok(dead(job, error, now));
                }
                let pause = match after_seconds {
                    Some(seconds) => within("after_seconds", seconds, 0, MAX_AFTER).map(|()| seconds * 1_000_000)?,
                    None => backoff_micros(work.reader().core(), job.attempt, FIRST_PAUSE, LONGEST_PAUSE),
                };
                JobOutcome::Retry { at: now.plus_micros(pause), error }
            }
            ReportedOutcome::RateLimited { after_seconds } => {
                within("after_seconds", after_seconds, 1, MAX_AFTER)?;
                JobOutcome::Again(now.plus_seconds(after_seconds))
            }
            ReportedOutcome::Heartbeat { lease_seconds } => {
                let lease = lease_seconds.unwrap_or(DEFAULT_LEASE);
                within("lease_seconds", lease, 1, MAX_LEASE)?;
                let until = now.plus_seconds(lease);
                let (project_id, id, lease_token) = (work.project(), job.id, job.lease_token);
                work.write_job(JobWrite::Extend { project_id, id, lease_token, until });
                return Ok(JobRecord { lease_until: Some(until), ..job }.into());
            }
        };
        let write = outcome.of(&job, now);
        let JobWrite::Finish { state, run_at, attempt, error, .. } = &write else {
            return Err(Error::internal("an outcome is no end of a job"));
        };
        let after = JobRecord {
            state: *state,
            run_at: run_at.unwrap_or(job.run_at),
            attempt: *attempt,
            last_error: error.clone(),
            lease_until: None,
            finished_at: (!state.is_open()).then_some(now),
            ..job
        };
        work.write_job(write);
        if !after.state.is_open() {
            job_ended(work, &after);
        }
        Ok(after.into())
    }
}

fn dead(job: JobRecord, error: String, at: Timestamp) -> Job {
    let last_error = Some(error);
    JobRecord { state: JobState::Dead, last_error, lease_until: None, finished_at: Some(at), ..job }.into()
}

/// What the kinds of the host begin with.
pub(super) const HOST: &str = "host.";

/// # Errors
/// `job_kind_unknown`.
pub(in crate::infrastructure) fn check_kind(kind: &str) -> Result<()> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let fits = kind.len() <= MAX_KIND && kind.strip_prefix(HOST).is_some_and(|rest| rest.split('.').all(word));
    if fits {
        return Ok(());
    }
    let unknown = Error::new(ErrorCode::JobKindUnknown);
    Err(unknown.message("kinds of the host's own are host. and words of a-z, 0-9 and _ with dots between"))
}

/// # Errors
/// `json_too_large`, `json_too_deep`.
pub(in crate::infrastructure) fn check_payload(payload: &Value) -> Result<()> {
    json_limits(payload, MAX_PAYLOAD, MAX_DEPTH)
}

pub(in crate::infrastructure) fn within(field: &'static str, number: i64, min: i64, max: i64) -> Result<()> {
    if (min..=max).contains(&number) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::LimitOutOfRange).at(field).with("min", min).with("max", max))
}

fn cut(error: &str) -> String {
    error.chars().take(MAX_ERROR).collect()
}

operations![commands: EnqueueJob, ClaimJobs, ReportJob];
