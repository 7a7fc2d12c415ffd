//! Background work without threads of its own: reactions, timers and jobs, run when the host says so.

use super::context::Context;
use super::crm::Crm;
use super::event::Event;
use super::feeds::{LEASE_SECONDS, backoff_micros, failed_again, give_up, hand_back, new_consumer, park, progress};
use super::outside::{Answer, OUTSIDE, OutsideJob, Plan, Planned, hold};
use super::streams::next_due;
use super::work::UnitOfWork;
use crate::infrastructure::job::JobErrorClass;
use crate::kernel::{ActorRef, Component, Error, ErrorCode, ProjectId, Result, Source, Timestamp};
use crate::storage::{
    AttemptRecord, Batch, CommitError, ConsumerProgress, ConsumerRecord, EventQuery, EventRecord, JobClaim, JobRecord,
    JobState, JobWrite, Scope,
};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// Library code that follows events with writes of its own. Its effects and its checkpoint commit together: exactly once.
pub struct Reaction {
    /// Starts with `ventros.`; its checkpoint hangs on it.
    pub name: &'static str,
    /// Types or prefixes.
    pub events: &'static [&'static str],
    pub component: Component,
    pub run: for<'a> fn(&'a mut UnitOfWork<'_>, &'a EventRecord, &'a Event) -> BoxFuture<'a, Result<()>>,
}

/// A kind of durable job.
pub struct JobType {
    pub kind: &'static str,
    pub queue: &'static str,
    pub component: Component,
    pub max_attempts: u32,
    pub run: for<'a> fn(&'a mut UnitOfWork<'_>, &'a JobRecord) -> BoxFuture<'a, Result<JobOutcome>>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub enum JobOutcome {
    Done {
        result: Option<String>,
    },
    /// Not yet: come again then. Does not count as a failure.
    Again(Timestamp),
    /// It failed: come again then. Counts as a failure.
    Retry {
        at: Timestamp,
        error: String,
    },
    /// Waits for something else to happen, at most until then.
    Parked {
        until: Timestamp,
        reason: String,
    },
    /// It can never work.
    Dead {
        error: String,
    },
}

/// One commit of a job's life.
pub(super) enum JobStep<'s> {
    Run(&'s JobType),
    /// Leaves the request behind that is to be sent.
    Plan(&'s OutsideJob, Planned),
    Settle(&'s OutsideJob, &'s Answer),
    Kill(JobErrorClass, String),
}

impl JobStep<'_> {
    /// The endpoint that it was to call is left alone until then.
    fn waits_until(&self) -> Option<Timestamp> {
        match self {
            JobStep::Plan(_, planned) => planned.waits_until,
            _ => None,
        }
    }

    /// What the other side answered.
    fn status(&self) -> Option<u16> {
        match self {
            JobStep::Settle(_, Ok(answer)) => Some(answer.status),
            _ => None,
        }
    }

    /// The outcome with which the job ends or is put back, if it does.
    async fn take(&mut self, work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<Option<JobOutcome>> {
        let outcome = match self {
            JobStep::Run(kind) => (kind.run)(work, job).await?,
            JobStep::Settle(kind, answer) => (kind.settle)(work, job, answer).await?,
            JobStep::Kill(class, error) => {
                work.end_in_vain(job, *class, error.clone()).await?;
                return Ok(None);
            }
            JobStep::Plan(kind, planned) => {
                (planned.request, planned.waits_until) = (None, None);
                match (kind.plan)(work, job).await? {
                    Plan::Settled(outcome) => outcome,
                    Plan::Call(call) => {
                        if planned.admit(kind, work, job, &call) {
                            hold(work, job, &call);
                            planned.request = Some(call);
                        }
                        return Ok(None);
                    }
                }
            }
        };
        if matches!(outcome, JobOutcome::Dead { .. }) {
            work.tell_of_death(job, JobErrorClass::Permanent).await?;
        }
        Ok(Some(outcome))
    }
}

impl JobOutcome {
    /// What is written of it.
    pub(crate) fn of(self, job: &JobRecord, at: Timestamp) -> JobWrite {
        self.of_try(job, at, None, None)
    }

    /// What is written of it: `class` of a failure that is more than an error, and what the other side answered if it was asked.
    pub(crate) fn of_try(
        self,
        job: &JobRecord,
        at: Timestamp,
        class: Option<JobErrorClass>,
        status: Option<u16>,
    ) -> JobWrite {
        let tried = job.attempt;
        let history = match &self {
            JobOutcome::Retry { error, .. } => {
                let class = class.unwrap_or(JobErrorClass::Transient);
                AttemptRecord::failed(job, at, class, error, status).join(&job.history)
            }
            // The try that was lost is there; this one only found it.
            JobOutcome::Dead { .. } if class == Some(JobErrorClass::LeaseLost) => job.history.clone(),
            JobOutcome::Dead { error } => {
                let class = class.unwrap_or(JobErrorClass::Permanent);
                AttemptRecord::failed(job, at, class, error, status).join(&job.history)
            }
            JobOutcome::Done { .. } if !job.history.is_empty() => {
                AttemptRecord::succeeded(job, at, status).join(&job.history)
            }
            JobOutcome::Done { .. } | JobOutcome::Again(_) | JobOutcome::Parked { .. } => job.history.clone(),
        };
        let (state, run_at, attempt, error, result) = match self {
            JobOutcome::Done { result } => (JobState::Succeeded, None, tried, None, result),
            JobOutcome::Again(at) => (JobState::Scheduled, Some(at), tried.saturating_sub(1), None, None),
            JobOutcome::Retry { at, error } => (JobState::Scheduled, Some(at), tried, Some(error), None),
            JobOutcome::Parked { until, reason } => (JobState::Parked, Some(until), tried, Some(reason), None),
            JobOutcome::Dead { error } => (JobState::Dead, None, tried, Some(error), None),
        };
        let (project_id, id, lease_token) = (job.project_id.0, job.id, job.lease_token);
        JobWrite::Finish { project_id, id, lease_token, state, run_at, attempt, error, result, history, at }
    }
}

/// What one [`run_pending`](Crm::run_pending) did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct RunReport {
    /// Jobs and timers that were run.
    pub jobs: u64,
    /// Events that reactions were run for.
    pub reactions: u64,
    /// Runs that failed and will be tried again, or were given up on.
    pub failures: u64,
}

const QUEUES: &[&str] = &["timer", "inbound", "parked"];
const BATCH: usize = 100;
/// How long finished jobs are kept, in seconds: 7 days; among them the inbound items with what the channel sent.
const KEEP_FINISHED_SECONDS: i64 = 7 * 24 * 3600;
/// How long dead jobs wait for somebody to look at them, in seconds: 90 days.
const KEEP_DEAD_SECONDS: i64 = 90 * 24 * 3600;
/// Finished jobs are looked through this often, in seconds.
const PURGE_EVERY_SECONDS: i64 = 3600;

impl Crm {
    /// Runs everything that is due now: reactions to new events, timers, jobs, calls to the outside. Returns when nothing is left to
    /// do.
    pub async fn run_pending(&self) -> Result<RunReport> {
        let mut report = RunReport::default();
        loop {
            let before = report.clone();
            self.run_inside(&mut report).await?;
            self.run_calls(&mut report).await?;
            if report == before {
                return Ok(report);
            }
        }
    }

    /// Runs everything that is due now and waits for nobody outside: for hosts that make the calls in a task of their own, with
    /// [`claim_calls`](Crm::claim_calls).
    pub async fn run_reactions_and_jobs(&self) -> Result<RunReport> {
        let mut report = RunReport::default();
        self.run_inside(&mut report).await?;
        Ok(report)
    }

    async fn run_inside(&self, report: &mut RunReport) -> Result<()> {
        self.purge().await?;
        crate::infrastructure::event_log::prune::prune_where_due(self).await?;
        report.jobs += crate::tenancy::credential::flush_uses(self).await?;
        report.jobs += crate::infrastructure::audit::flush_denials(self, false).await?;
        loop {
            let before = report.clone();
            let reactions = crate::catalogue::REACTIONS.iter().flat_map(|table| table.iter());
            self.run_reactions(reactions, report).await?;
            self.run_batches(report).await?;
            for queue in QUEUES {
                self.run_queue(queue, report).await?;
            }
            if *report == before && !self.sweep_where_due().await? {
                return Ok(());
            }
        }
    }

    /// Now and then removes what finished long ago.
    async fn purge(&self) -> Result<()> {
        let now = self.core.now();
        let last = self.core.purged_at.load(Ordering::Relaxed);
        if now.micros() - last < PURGE_EVERY_SECONDS * 1_000_000 {
            return Ok(());
        }
        self.core.purged_at.store(now.micros(), Ordering::Relaxed);
        let finished_before = now.plus_seconds(-KEEP_FINISHED_SECONDS);
        let purge = JobWrite::Purge { finished_before, dead_before: now.plus_seconds(-KEEP_DEAD_SECONDS) };
        match self.core.storage.commit(Batch { jobs: vec![purge], ..Batch::default() }).await {
            Ok(_) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
            Err(other) => Err(Error::internal(format!("finished jobs could not be removed: {other:?}"))),
        }
    }

    /// The next moment at which something becomes due, if it is known.
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        let counted = [
            crate::tenancy::credential::next_flush(&self.core.uses),
            crate::infrastructure::audit::next_flush(&self.core),
        ];
        let mut next: Option<Timestamp> = counted.into_iter().flatten().min();
        let outside = self.core.http.as_ref().map(|_| OUTSIDE);
        for queue in QUEUES.iter().copied().chain(outside) {
            let due = self.core.storage.next_due(queue).await?;
            next = match (next, due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(next)
    }

    pub(crate) async fn run_reactions(
        &self,
        reactions: impl Iterator<Item = &Reaction> + Clone,
        report: &mut RunReport,
    ) -> Result<()> {
        for (project, head) in self.core.storage.heads().await? {
            let known = self.core.storage.consumers(Scope::Project(project)).await?;
            for reaction in reactions.clone() {
                match known.iter().find(|consumer| consumer.name == reaction.name) {
                    Some(consumer) if consumer.checkpoint >= head && consumer.retrying == 0 => continue,
                    Some(_) => {}
                    None => self.open_built_in(project, reaction.name, reaction.events).await?,
                }
                self.run_reaction(project, reaction, head, report).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn open_built_in(&self, project: ProjectId, name: &str, events: &[&str]) -> Result<()> {
        let events = events.iter().map(|pattern| (*pattern).to_owned()).collect();
        let consumer = new_consumer(project, name, events, super::feeds::DEFAULT_ATTEMPTS, 0, self.core.now());
        self.core.storage.open_consumer(&consumer).await.map(|_| ())
    }

    async fn run_reaction(
        &self,
        project: ProjectId,
        reaction: &Reaction,
        head: u64,
        report: &mut RunReport,
    ) -> Result<()> {
        let now = self.core.now();
        let until = now.plus_seconds(LEASE_SECONDS);
        let storage = &self.core.storage;
        let Some(mut lease) = storage.claim_consumer(project, reaction.name, self.core.owner, now, until).await? else {
            return Ok(());
        };
        while let Some((letter, event)) = next_due(&self.core, &mut lease).await? {
            let resolved = Some(letter.event_id);
            match self.react(project, reaction, &lease, &event, resolved).await {
                Ok(()) => report.reactions += 1,
                Err(error) if error.code() == ErrorCode::LeaseLost => return Ok(()),
                Err(error) => {
                    report.failures += 1;
                    let letter = failed_again(letter, told(&error), self.core.now());
                    return lease_may_be_lost(park(self, &lease, letter, &event).await);
                }
            }
        }
        loop {
            let query = EventQuery {
                after: lease.checkpoint,
                until: Some(head),
                types: lease.events.clone(),
                limit: BATCH,
                ..EventQuery::default()
            };
            let events = storage.events(Scope::Project(project), &query).await?;
            if events.is_empty() {
                lease.checkpoint = lease.checkpoint.max(head);
                return hand_back(&self.core, &lease).await;
            }
            for event in &events {
                breathe().await;
                match self.react(project, reaction, &lease, event, None).await {
                    Ok(()) => {
                        lease.checkpoint = event.seq;
                        lease.attempts = 0;
                        report.reactions += 1;
                    }
                    Err(error) if error.code() == ErrorCode::LeaseLost => return Ok(()),
                    Err(error) => {
                        report.failures += 1;
                        return self.reaction_failed(lease, event, &error).await;
                    }
                }
            }
        }
    }

    /// Decides and commits one reaction together with its checkpoint, again after a lost race.
    async fn react(
        &self,
        project: ProjectId,
        reaction: &Reaction,
        lease: &ConsumerRecord,
        record: &EventRecord,
        resolved: Option<Uuid>,
    ) -> Result<()> {
        let event = match Event::read(record) {
            // A newer program wrote it, and will react to it.
            Err(error) if error.code() == ErrorCode::UnknownEventVersion => return Ok(()),
            event => event?,
        };
        let mut context = Context::new(Some(project).filter(|p| !p.is_system()), ActorRef::system(reaction.component));
        // What follows from an import is history as well.
        let is_import = record.source == Source::Import.as_str();
        context.source = if is_import { Source::Import } else { Source::Workflow };
        context.command = reaction.name.to_owned();
        let context = Arc::new(context.caused_by(record));
        let mut lease = lease.clone();
        if resolved.is_none() {
            lease.checkpoint = record.seq;
            lease.attempts = 0;
            lease.last_error = None;
            lease.next_attempt_at = None;
        }
        let mut attempt = 0;
        loop {
            let now = self.core.now();
            let mut work = UnitOfWork::new(&self.core, context.clone(), now);
            (reaction.run)(&mut work, record, &event).await?;
            let progress = ConsumerProgress { resolved, ..progress(now, &lease, false, Vec::new()) };
            let batch = work.finish(None, Some(progress)).await?;
            match self.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    attempt += 1;
                    again(error, attempt)?;
                }
            }
        }
    }

    async fn reaction_failed(&self, mut lease: ConsumerRecord, event: &EventRecord, error: &Error) -> Result<()> {
        let now = self.core.now();
        let text = told(error);
        lease.attempts += 1;
        lease.last_error = Some(text.clone());
        if lease.attempts >= lease.max_attempts {
            return lease_may_be_lost(give_up(self, lease, event, text).await);
        }
        lease.next_attempt_at = Some(now.plus_micros(backoff_micros(&self.core, lease.attempts, 1, 300)));
        hand_back(&self.core, &lease).await
    }

    async fn run_queue(&self, queue: &'static str, report: &mut RunReport) -> Result<()> {
        loop {
            let now = self.core.now();
            let until = now.plus_seconds(LEASE_SECONDS);
            let owner = self.core.owner;
            let claim = JobClaim { queue, project: None, is_fair: false, owner, now, until, limit: BATCH };
            let jobs = self.core.storage.claim_jobs(claim).await?;
            if jobs.is_empty() {
                return Ok(());
            }
            for job in &jobs {
                breathe().await;
                report.jobs += 1;
                if !self.run_job(job).await? {
                    report.failures += 1;
                }
            }
        }
    }

    /// Runs one claimed job; false when it failed. Effects and the job's end commit together.
    async fn run_job(&self, job: &JobRecord) -> Result<bool> {
        let Some(kind) = crate::catalogue::job_type(&job.kind) else {
            self.kill_job(job, JobErrorClass::Permanent, ErrorCode::JobKindUnknown.as_str().to_owned()).await?;
            return Ok(false);
        };
        if self.is_worn_out(job, kind.max_attempts).await? {
            return Ok(false);
        }
        match self.try_job(kind, job).await {
            Ok(()) => Ok(true),
            Err(error) if error.code() == ErrorCode::LeaseLost => Ok(true),
            Err(error) => self.job_failed(job, kind.max_attempts, told(&error)).await.map(|()| false),
        }
    }

    /// Puts back a job that failed, or gives it up.
    pub(super) async fn job_failed(&self, job: &JobRecord, max_attempts: u32, error: String) -> Result<()> {
        if job.attempt >= job.max_attempts.unwrap_or(max_attempts) {
            return self.kill_job(job, JobErrorClass::Transient, error).await;
        }
        let now = self.core.now();
        let at = now.plus_micros(backoff_micros(&self.core, job.attempt.max(1), 1, 300));
        let put_back = JobOutcome::Retry { at, error }.of(job, now);
        match self.commit(Batch { jobs: vec![put_back], ..Batch::default() }).await {
            Ok(_) | Err(CommitError::LeaseLost) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
            Err(other) => Err(Error::internal(format!("a job could not be put back: {other:?}"))),
        }
    }

    /// Gives up a job whose workers were lost with it once more than it has tries: it may be what they died of.
    pub(crate) async fn is_worn_out(&self, job: &JobRecord, max_attempts: u32) -> Result<bool> {
        let is_worn_out = job.attempt > job.max_attempts.unwrap_or(max_attempts);
        if is_worn_out {
            let error = "whoever took it last never ended it".to_owned();
            self.kill_job(job, JobErrorClass::LeaseLost, error).await?;
        }
        Ok(is_worn_out)
    }

    /// Gives up a job.
    pub(crate) async fn kill_job(&self, job: &JobRecord, class: JobErrorClass, error: String) -> Result<()> {
        lease_may_be_lost(self.decide(job, Component::Default, &mut JobStep::Kill(class, error)).await)
    }

    async fn try_job(&self, kind: &JobType, job: &JobRecord) -> Result<()> {
        self.decide(job, kind.component, &mut JobStep::Run(kind)).await
    }

    /// Decides and commits a step of a job, again after a lost race: with an outcome the job ends or is put back in the same commit.
    pub(super) async fn decide(&self, job: &JobRecord, component: Component, step: &mut JobStep<'_>) -> Result<()> {
        let project = Some(job.project_id.0).filter(|project| !project.is_system());
        let mut context = Context::new(project, ActorRef::system(component));
        context.source = Source::Workflow;
        context.command = job.kind.clone();
        let context = Arc::new(context.caused_by(job));
        let mut attempt = 0;
        loop {
            let mut work = UnitOfWork::new(&self.core, context.clone(), self.core.now());
            let mut outcome = step.take(&mut work, job).await?;
            if let Some(until) = step.waits_until() {
                // Nothing of the plan is kept, and no try is counted.
                work = UnitOfWork::new(&self.core, context.clone(), self.core.now());
                outcome = Some(JobOutcome::Again(until));
            }
            if let Some(outcome) = outcome {
                let at = work.now();
                work.write_job(outcome.of_try(job, at, None, step.status()));
            }
            match self.commit(work.finish(None, None).await?).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    attempt += 1;
                    again(error, attempt)?;
                }
            }
        }
    }
}

/// An error as those see it who look after the installation.
pub(super) fn told(error: &Error) -> String {
    format!("{error:?}").chars().take(2_000).collect()
}

/// A lease that went to somebody else is theirs to end.
pub(super) fn lease_may_be_lost(ended: Result<()>) -> Result<()> {
    match ended {
        Err(error) if error.code() == ErrorCode::LeaseLost => Ok(()),
        ended => ended,
    }
}

/// Gives the host a moment to break in. A store that never waits would otherwise make one long step of the whole run.
async fn breathe() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// Whether to decide again after a failed commit.
pub(super) fn again(error: CommitError, attempt: u32) -> Result<()> {
    match error {
        CommitError::Stale(_) | CommitError::Taken { .. } | CommitError::KeyUsed
            if attempt <= super::crm::MAX_RETRIES =>
        {
            Ok(())
        }
        CommitError::LeaseLost => Err(ErrorCode::LeaseLost.into()),
        CommitError::Store(error) => Err(error),
        _ => Err(ErrorCode::VersionConflict.into()),
    }
}
