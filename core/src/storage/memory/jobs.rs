//! Jobs in memory.

use super::super::{
    AttemptRecord, JobClaim, JobQuery, JobRecord, JobRepository, JobState, JobTimes, JobWrite, ProjectIdOrNil, Scope,
};
use super::{Contents, MemoryStorage};
use crate::kernel::{Error, Kind, ProjectId, Result, Subject, Timestamp};
use async_trait::async_trait;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

impl Contents {
    /// True when `write` may be done: its lease is current and its id is new.
    pub(super) fn lease_is_current(&self, write: &JobWrite) -> bool {
        match write {
            JobWrite::Finish { project_id, id, lease_token, .. }
            | JobWrite::Extend { project_id, id, lease_token, .. } => self.jobs.get(id).is_some_and(|job| {
                job.project_id.0 == *project_id && job.lease_token == *lease_token && job.state == JobState::Running
            }),
            _ => true,
        }
    }

    pub(super) fn job_id_is_new(&self, write: &JobWrite) -> Result<()> {
        match write {
            JobWrite::Enqueue(job) | JobWrite::Create(job) | JobWrite::Schedule(job)
                if self.jobs.contains_key(&job.id) =>
            {
                Err(Error::internal("a job of this id exists"))
            }
            _ => Ok(()),
        }
    }

    /// An open job that has the unique key that nobody may have.
    pub(super) fn taken_by(&self, write: &JobWrite) -> Option<Subject> {
        let (project_id, key) = match write {
            JobWrite::Create(job) => (job.project_id.0, job.unique_key.as_ref()?),
            JobWrite::Vacant { project_id, unique_key, .. } => (*project_id, unique_key),
            _ => return None,
        };
        let is_open = |other: &&JobRecord| {
            other.project_id.0 == project_id && other.unique_key.as_ref() == Some(key) && other.state.is_open()
        };
        self.jobs.values().find(is_open).map(|other| Subject { kind: Kind::Job, id: other.id })
    }

    /// What must come first: a worker's own job ends before its key is used again.
    pub(super) fn finish_job(&mut self, write: &JobWrite) {
        let JobWrite::Finish { id, state, run_at, attempt, error, result, history, at, .. } = write else { return };
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.state = *state;
        job.run_at = run_at.unwrap_or(job.run_at);
        job.attempt = *attempt;
        job.last_error.clone_from(error);
        job.result.clone_from(result);
        job.history.clone_from(history);
        job.lease_until = None;
        job.finished_at = if state.is_open() { None } else { Some(*at) };
    }

    pub(super) fn write_job(&mut self, write: JobWrite) {
        match write {
            JobWrite::Finish { .. } | JobWrite::Vacant { .. } => {}
            JobWrite::Extend { id, until, .. } => {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.lease_until = Some(until);
                }
            }
            JobWrite::Create(job) => {
                self.jobs.insert(job.id, job);
            }
            JobWrite::Enqueue(job) => {
                if self.open_job(job.project_id.0, job.unique_key.as_deref()).is_none() {
                    self.jobs.insert(job.id, job);
                }
            }
            JobWrite::Schedule(job) => match self.open_job(job.project_id.0, job.unique_key.as_deref()) {
                None => {
                    self.jobs.insert(job.id, job);
                }
                Some(open) => {
                    revoke(open);
                    open.state = JobState::Scheduled;
                    open.run_at = job.run_at;
                    open.priority = job.priority;
                    open.payload = job.payload;
                }
            },
            JobWrite::Cancel { project_id, unique_key, at } => {
                if let Some(open) = self.open_job(project_id, Some(&unique_key)) {
                    revoke(open);
                    open.state = JobState::Cancelled;
                    open.finished_at = Some(at);
                }
            }
            JobWrite::CancelJob { project_id, id, at } => {
                let job = self.jobs.get_mut(&id).filter(|job| job.project_id.0 == project_id);
                if let Some(job) = job.filter(|job| job.state.is_open() || job.state == JobState::Dead) {
                    revoke(job);
                    job.state = JobState::Cancelled;
                    job.finished_at = Some(at);
                }
            }
            JobWrite::Release { project_id, ids, run_at } => {
                for id in ids {
                    self.release_job(project_id, id, run_at);
                }
            }
            JobWrite::Purge { finished_before, dead_before } => {
                let bound = |state| if state == JobState::Dead { dead_before } else { finished_before };
                self.jobs.retain(|_, job| job.blocks() || job.finished_at.is_none_or(|at| at >= bound(job.state)));
                self.idempotency.retain(|_, record| record.expires_at >= finished_before);
            }
        }
    }

    fn open_job(&mut self, project: ProjectId, key: Option<&str>) -> Option<&mut JobRecord> {
        let key = key?;
        self.jobs
            .values_mut()
            .find(|job| job.project_id.0 == project && job.unique_key.as_deref() == Some(key) && job.state.is_open())
    }

    fn release_job(&mut self, project: ProjectId, id: Uuid, run_at: Timestamp) {
        let Some(job) = self.jobs.get(&id).filter(|job| job.project_id.0 == project) else { return };
        let is_dead = job.state == JobState::Dead;
        let key = job.unique_key.clone();
        let is_taken = is_dead && self.open_job(project, key.as_deref()).is_some();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if is_taken || !(is_dead || matches!(job.state, JobState::Parked | JobState::Scheduled)) {
            return;
        }
        if is_dead {
            job.attempt = 0;
        }
        job.state = JobState::Scheduled;
        job.run_at = run_at;
        job.finished_at = None;
    }

    /// What stands in the way along each line.
    fn lines(&self) -> Lines<'_> {
        let mut lines: HashMap<_, Line> = HashMap::new();
        for job in self.jobs.values() {
            let Some(key) = &job.order_key else { continue };
            let line = || (job.project_id, key.as_str());
            match job.state {
                JobState::Running => lines.entry(line()).or_default().is_held = true,
                JobState::Dead if job.blocks() => lines.entry(line()).or_default().is_held = true,
                // In the order of their ids.
                JobState::Scheduled => {
                    lines.entry(line()).or_default().first.get_or_insert(job.id);
                }
                _ => {}
            }
        }
        Lines(lines)
    }
}

#[derive(Default)]
struct Line {
    /// By one that runs, or one that died and blocks it.
    is_held: bool,
    /// The first of those that wait for their time.
    first: Option<Uuid>,
}

/// The lines of the jobs, by project and order key.
#[derive(Default)]
struct Lines<'c>(HashMap<(ProjectIdOrNil, &'c str), Line>);

impl Lines<'_> {
    /// When a job may be claimed: never while another of its order key is in the way.
    fn due_at(&self, job: &JobRecord) -> Option<Timestamp> {
        let line = job.order_key.as_ref().and_then(|key| self.0.get(&(job.project_id, key.as_str())));
        let is_held = line.is_some_and(|line| {
            line.is_held || (job.state == JobState::Scheduled && line.first.is_some_and(|first| first != job.id))
        });
        match job.state {
            JobState::Running => job.lease_until,
            JobState::Scheduled | JobState::Parked if !is_held => Some(job.run_at),
            _ => None,
        }
    }
}

impl Lines<'_> {
    /// As whoever reads it sees it.
    fn seen(&self, job: &JobRecord) -> JobRecord {
        let waiting_order = job.state == JobState::Scheduled && self.due_at(job).is_none();
        JobRecord { waiting_order, ..job.clone() }
    }
}

fn revoke(job: &mut JobRecord) {
    if job.state == JobState::Running {
        job.lease_token += 1;
        job.lease_until = None;
    }
}

#[async_trait]
impl JobRepository for MemoryStorage {
    async fn claim_jobs(&self, claim: JobClaim<'_>) -> Result<Vec<JobRecord>> {
        let mut contents = self.contents()?;
        let wanted = |job: &&JobRecord| {
            job.queue == claim.queue && claim.project.is_none_or(|project| job.project_id.0 == project)
        };
        let lines = contents.lines();
        let due = contents.jobs.values().filter(wanted).filter_map(|job| {
            let at = lines.due_at(job).filter(|at| *at <= claim.now)?;
            Some((Reverse(job.priority), at, job.id, job.project_id))
        });
        let mut due: Vec<_> = due.collect();
        due.sort();
        let due: Vec<Uuid> = if claim.is_fair {
            let mut places = BTreeMap::new();
            let mut in_turn: Vec<_> = due
                .into_iter()
                .map(|(_, at, id, project)| {
                    let place: &mut usize = places.entry(project).or_default();
                    *place += 1;
                    (*place, at, id)
                })
                .collect();
            in_turn.sort();
            in_turn.into_iter().map(|(_, _, id)| id).collect()
        } else {
            due.into_iter().map(|(_, _, id, _)| id).collect()
        };
        let (mut claimed, mut taken) = (Vec::new(), BTreeSet::new());
        for id in due {
            let Some(job) = contents.jobs.get_mut(&id).filter(|_| claimed.len() < claim.limit) else { continue };
            if let Some(key) = &job.order_key
                && !taken.insert((job.project_id, key.clone()))
                && job.state != JobState::Running
            {
                continue;
            }
            if job.state == JobState::Running {
                job.history = AttemptRecord::lost(job, claim.now).join(&job.history);
            }
            job.attempt += 1;
            job.started_at = Some(claim.now);
            job.state = JobState::Running;
            job.lease_token += 1;
            job.lease_until = Some(claim.until);
            claimed.push(job.clone());
        }
        Ok(claimed)
    }

    async fn job(&self, scope: Scope, id: Uuid) -> Result<Option<JobRecord>> {
        let contents = self.contents()?;
        let Some(job) = contents.jobs.get(&id).filter(|job| scope.sees(job.project_id.0)) else { return Ok(None) };
        Ok(Some(if job.order_key.is_some() { contents.lines().seen(job) } else { job.clone() }))
    }

    async fn jobs(&self, scope: Scope, query: &JobQuery) -> Result<Vec<JobRecord>> {
        let contents = self.contents()?;
        let wanted = |job: &&JobRecord| {
            let key = job.unique_key.as_deref().unwrap_or_default();
            scope.sees(job.project_id.0)
                && query.queue.as_ref().is_none_or(|queue| job.queue == *queue)
                && query.kind.as_ref().is_none_or(|kind| job.kind == *kind)
                && (query.states.is_empty() || query.states.contains(&job.state))
                && query
                    .unique_key_prefix
                    .as_ref()
                    .is_none_or(|prefix| job.unique_key.is_some() && key.starts_with(prefix.as_str()))
                && query.before.is_none_or(|before| job.id < before)
        };
        let found: Vec<&JobRecord> = contents.jobs.values().rev().filter(wanted).take(query.limit).collect();
        let lines = if found.iter().any(|job| job.order_key.is_some()) { contents.lines() } else { Lines::default() };
        Ok(found.into_iter().map(|job| lines.seen(job)).collect())
    }

    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>> {
        let contents = self.contents()?;
        let lines = contents.lines();
        Ok(contents.jobs.values().filter(|job| job.queue == queue).filter_map(|job| lines.due_at(job)).min())
    }

    async fn backlog(&self, project: ProjectId, kind: &str, now: Timestamp, limit: usize) -> Result<usize> {
        let contents = self.contents()?;
        let waits = |job: &&JobRecord| {
            job.project_id.0 == project && job.kind == kind && job.finished_at.is_none() && job.run_at <= now
        };
        Ok(contents.jobs.values().filter(waits).take(limit).count())
    }

    async fn job_times(&self, project: ProjectId, limit: usize) -> Result<Vec<JobTimes>> {
        let contents = self.contents()?;
        let newest = contents.jobs.values().rev().filter(|job| job.project_id.0 == project).take(limit);
        let times = newest.filter(|job| job.state == JobState::Succeeded).filter_map(|job| {
            let (kind, run_at) = (job.kind.clone(), job.run_at);
            Some(JobTimes { kind, run_at, started_at: job.started_at?, finished_at: job.finished_at? })
        });
        Ok(times.collect())
    }
}
