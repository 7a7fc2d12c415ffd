//! Questions about jobs.

use super::{Job, JobDetails};
use crate::engine::{Query, Reader};
use crate::kernel::{Error, ErrorCode, JobId, Permission, Result, Timestamp};
use crate::operations;
use crate::storage::{JobQuery, JobRecord, JobState, JobTimes, Page, Scope, limit_within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Jobs read at a time.
const BATCH: usize = 500;
/// Jobs beyond this number are not counted.
const MAX_COUNT: usize = 10_000;
/// Everything that still has a future, or wants somebody to look at it.
const UNSETTLED: [JobState; 4] = [JobState::Scheduled, JobState::Parked, JobState::Running, JobState::Dead];

/// A job by its id, with what it works on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetJob {
    pub id: JobId,
}

impl Query for GetJob {
    const NAME: &'static str = "jobs.get";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::JobNotFound];
    type Output = JobDetails;

    async fn run(self, read: &Reader<'_>) -> Result<JobDetails> {
        JobDetails::of(find(read, self.id).await?)
    }
}

pub(super) async fn find(read: &Reader<'_>, id: JobId) -> Result<JobRecord> {
    let job = read.storage().job(Scope::Project(read.project()), id.uuid()).await?;
    job.ok_or_else(|| Error::new(ErrorCode::JobNotFound).with("resource", "job").with("id", id.to_string()))
}

/// Jobs and timers of the project, newest first. Done ones are kept for 7 days, dead ones for 90; what blocks its
/// order key is kept until somebody decides.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListJobs {
    /// Any unless told.
    #[serde(default)]
    pub states: Vec<JobState>,
    #[serde(default)]
    pub kind: Option<String>,
    /// `timer`, `inbound`, `parked`.
    #[serde(default)]
    pub queue: Option<String>,
    /// What the unique key begins with.
    #[serde(default)]
    pub unique_key_prefix: Option<String>,
    /// 1 to 100; 20 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Query for ListJobs {
    const NAME: &'static str = "jobs.list";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::LimitOutOfRange, ErrorCode::CursorInvalid];
    type Output = Page<Job>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<Job>> {
        let limit = limit_within(self.limit, 20, 100)?;
        let cursor = |text: &String| JobId::parse(text).map_err(|_| Error::new(ErrorCode::CursorInvalid).at("cursor"));
        let query = JobQuery {
            queue: self.queue,
            kind: self.kind,
            states: self.states,
            unique_key_prefix: self.unique_key_prefix,
            before: self.cursor.as_ref().map(cursor).transpose()?.map(|id| id.uuid()),
            limit: limit + 1,
        };
        let mut jobs = read.storage().jobs(Scope::Project(read.project()), &query).await?;
        let has_more = jobs.len() > limit;
        jobs.truncate(limit);
        let next_cursor = jobs.last().filter(|_| has_more).map(|job| JobId::from_uuid(job.id).to_string());
        let items = jobs.into_iter().map(Job::from).collect();
        Ok(Page { items, has_more, next_cursor, prev_cursor: None, total: None })
    }
}

/// How much work is waiting, by kind: a look at the newest 10,000 jobs that are open or dead. How long jobs have waited and taken is that of
/// those that have succeeded among the newest 10,000 of the project; done ones are kept for 7 days.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetJobStats {}

/// The jobs of a project in figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobStats {
    /// By kind, in the order of their names.
    pub kinds: Vec<JobKindStats>,
    /// There are more jobs than were counted.
    pub has_more: bool,
    /// Endpoints that jobs wait for because most calls to them failed, as this process sees them. It calls nobody there for 30 seconds
    /// after 10 calls of which 60 % failed within a minute, then makes 5 calls, and goes on when they went well.
    pub left_alone: Vec<EndpointLeftAlone>,
}

/// An endpoint that is not called for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointLeftAlone {
    /// `https://api.example.com:443`.
    pub endpoint: String,
    /// When it is tried again; none while it is.
    pub until: Option<Timestamp>,
}

/// The jobs of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobKindStats {
    pub kind: String,
    /// Waiting for their time or their turn.
    pub scheduled: u64,
    /// Those of them whose time has come.
    pub due: u64,
    /// Those of the scheduled whose order key is taken: by one ahead of them, or by one that died and blocks.
    pub waiting_order: u64,
    /// Waiting for something to happen.
    pub parked: u64,
    pub running: u64,
    /// Given up.
    pub dead: u64,
    /// Those of them that block their order key.
    pub blocking: u64,
    /// Since when the first one that is due waits.
    pub due_since: Option<Timestamp>,
    /// Those that have succeeded, of which the following is told.
    pub succeeded: u64,
    /// From the time at which they were due until they were begun, in milliseconds: half of them waited no longer.
    pub wait_p50_ms: Option<u64>,
    /// 95 of 100 waited no longer.
    pub wait_p95_ms: Option<u64>,
    /// From when they were begun until they were done, in milliseconds, at the try that succeeded: half of them took no longer.
    pub run_p50_ms: Option<u64>,
    /// 95 of 100 took no longer.
    pub run_p95_ms: Option<u64>,
}

impl Query for GetJobStats {
    const NAME: &'static str = "jobs.stats";
    const PERMISSION: Permission = Permission::JobsManage;
    type Output = JobStats;

    async fn run(self, read: &Reader<'_>) -> Result<JobStats> {
        let mut query = JobQuery { states: UNSETTLED.to_vec(), limit: BATCH, ..JobQuery::default() };
        let mut kinds: BTreeMap<String, JobKindStats> = BTreeMap::new();
        let mut counted = 0;
        loop {
            let jobs = read.storage().jobs(Scope::Project(read.project()), &query).await?;
            let is_last = jobs.len() < BATCH;
            query.before = jobs.last().map(|job| job.id);
            counted += jobs.len();
            for job in jobs {
                let stats = kinds.entry(job.kind.clone()).or_default();
                stats.waiting_order += u64::from(job.waiting_order);
                stats.blocking += u64::from(job.blocks());
                stats.kind = job.kind;
                match job.state {
                    JobState::Scheduled => stats.scheduled += 1,
                    JobState::Parked => stats.parked += 1,
                    JobState::Running => stats.running += 1,
                    _ => stats.dead += 1,
                }
                if job.state == JobState::Scheduled && job.run_at <= read.now() {
                    stats.due += 1;
                    stats.due_since = Some(stats.due_since.map_or(job.run_at, |since| since.min(job.run_at)));
                }
            }
            if is_last || counted >= MAX_COUNT {
                let left_alone = read.core().breakers.left_alone(read.project()).into_iter();
                let left_alone = left_alone.map(|at| EndpointLeftAlone { endpoint: at.endpoint, until: at.until });
                measure(&mut kinds, read.storage().job_times(read.project(), MAX_COUNT).await?);
                let kinds = kinds.into_values().collect();
                return Ok(JobStats { kinds, has_more: !is_last, left_alone: left_alone.collect() });
            }
        }
    }
}

/// Adds how long the jobs of each kind have waited and taken.
fn measure(kinds: &mut BTreeMap<String, JobKindStats>, times: Vec<JobTimes>) {
    let mut spans: BTreeMap<String, (Vec<u64>, Vec<u64>)> = BTreeMap::new();
    // Clocks of two processes need not agree.
    let millis = |from: Timestamp, to: Timestamp| u64::try_from((to.micros() - from.micros()) / 1_000).unwrap_or(0);
    for JobTimes { kind, run_at, started_at, finished_at } in times {
        let (waits, runs) = spans.entry(kind).or_default();
        waits.push(millis(run_at, started_at));
        runs.push(millis(started_at, finished_at));
    }
    for (kind, (mut waits, mut runs)) in spans {
        let stats = kinds.entry(kind.clone()).or_insert_with(|| JobKindStats { kind, ..JobKindStats::default() });
        stats.succeeded = waits.len() as u64;
        (stats.wait_p50_ms, stats.wait_p95_ms) = percentiles(&mut waits);
        (stats.run_p50_ms, stats.run_p95_ms) = percentiles(&mut runs);
    }
}

/// What half of them, and 95 of 100, do not exceed.
fn percentiles(spans: &mut [u64]) -> (Option<u64>, Option<u64>) {
    spans.sort_unstable();
    let at = |share: usize| spans.get((spans.len() * share).div_ceil(100).saturating_sub(1)).copied();
    (at(50), at(95))
}

operations![queries: GetJob, ListJobs, GetJobStats];
