//! Removing a deleted project for good: a saga of the installation, in small pieces, at the end of which only a tombstone is left.

use super::{Project, ProjectEvent};
use crate::engine::{JobOutcome, JobType, UnitOfWork};
use crate::infrastructure::saga::{
    LocalOutcome, LocalStep, Saga, SagaDefinition, StepAction, StepDefinition, StepRetry, start_shipped,
};
use crate::kernel::{Component, Error, JobId, ProjectId, Result, Timestamp};
use crate::storage::{JobQuery, JobRecord, JobState, JobWrite, OnDead, ProjectIdOrNil, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The kind of the saga. Its key is the project.
const KIND: &str = "project_purge";
/// The timer that starts it.
const TIMER: &str = "timer.project_purge";
/// Rows that are removed at a time.
const ROWS: usize = 1_000;
/// Jobs that are cancelled in one commit.
const JOBS_AT_ONCE: usize = 500;
/// How long it may take, in seconds: 7 days.
const DEADLINE: i64 = 7 * 86_400;
/// A step is tried for hours: a store that is away for long is no reason to leave half a project behind.
const RETRY: StepRetry = StepRetry { attempts: 100, pause_seconds: 2 };

#[derive(Serialize, Deserialize)]
struct Payload {
    project_id: ProjectId,
}

/// The timer of deleted projects. It is the installation's: nothing of the project outlives it.
pub const JOBS: &[JobType] = &[JobType {
    kind: TIMER,
    queue: "timer",
    component: Component::Retention,
    max_attempts: 20,
    run: |work, job| Box::pin(run(work, job)),
}];

/// Jobs end, secrets are destroyed, rows go, and a tombstone tells how many there were.
pub(crate) fn definition() -> SagaDefinition {
    let step = |id: &str, run: LocalStep, pivot: bool| StepDefinition {
        id: id.to_owned(),
        run: StepAction::Local(run),
        when: None,
        compensate: None,
        retry: RETRY,
        timeout_seconds: None,
        optional: false,
        pivot,
    };
    SagaDefinition {
        kind: KIND.to_owned(),
        version: 1,
        input: BTreeMap::new(),
        steps: vec![
            step("jobs", LocalStep { run: |work, saga| Box::pin(cancel_jobs(work, saga)) }, false),
            step("rows", LocalStep { run: |work, saga| Box::pin(count(work, saga)) }, false),
            step("secrets", LocalStep { run: |work, saga| Box::pin(shred(work, saga)) }, true),
            step("removal", LocalStep { run: |work, saga| Box::pin(remove(work, saga)) }, false),
            step("tombstone", LocalStep { run: |work, saga| Box::pin(bury(work, saga)) }, false),
        ],
        output: None,
        deadline_seconds: Some(DEADLINE),
        as_system: true,
    }
}

fn timer_key(id: ProjectId) -> String {
    format!("project_purge:{id}")
}

/// Has a deleted project purged then.
pub(super) fn arm(work: &mut UnitOfWork<'_>, id: ProjectId, run_at: Timestamp) {
    let record = JobRecord {
        id: work.new_id::<JobId>().uuid(),
        project_id: ProjectIdOrNil(ProjectId::SYSTEM),
        queue: "timer".to_owned(),
        kind: TIMER.to_owned(),
        unique_key: Some(timer_key(id)),
        order_key: None,
        on_dead: OnDead::Continue,
        payload: json!({ "project_id": id }).to_string(),
        run_at,
        priority: 0,
        state: JobState::Scheduled,
        attempt: 0,
        max_attempts: None,
        lease_token: 0,
        lease_until: None,
        last_error: None,
        result: None,
        correlation_id: None,
        causation_id: None,
        created_at: work.now(),
        started_at: None,
        finished_at: None,
        history: Vec::new(),
        waiting_order: false,
    };
    work.write_job(JobWrite::Schedule(record));
}

/// A project that came back is not purged.
pub(super) fn disarm(work: &mut UnitOfWork<'_>, id: ProjectId) {
    let at = work.now();
    work.write_job(JobWrite::Cancel { project_id: ProjectId::SYSTEM, unique_key: timer_key(id), at });
}

/// Starts the purge, or gives the one that is under way.
pub(super) async fn begin(work: &mut UnitOfWork<'_>, id: ProjectId) -> Result<Saga> {
    start_shipped(work, KIND, id.to_string(), json!({ "project_id": id })).await
}

async fn run(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let done = JobOutcome::Done { result: None };
    let payload: Payload = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a purge's timer cannot be read: {e}")))?;
    let id = payload.project_id;
    let project = work.reader().find_shared_in::<Project>(id, id).await?;
    let Some(after) = project.and_then(|project| project.purge_after.filter(|_| project.purged_at.is_none())) else {
        return Ok(done);
    };
    if after > work.now() {
        return Ok(JobOutcome::Again(after));
    }
    begin(work, id).await?;
    Ok(done)
}

fn project_of(saga: &Saga) -> Result<ProjectId> {
    let payload: Payload = serde_json::from_value(saga.input.clone())
        .map_err(|e| Error::corrupt(format!("the input of a purge cannot be read: {e}")))?;
    Ok(payload.project_id)
}

/// Nobody begins anything for the project any more; who is at work on something loses it.
async fn cancel_jobs(work: &mut UnitOfWork<'_>, saga: &Saga) -> Result<LocalOutcome> {
    let project_id = project_of(saga)?;
    let query = JobQuery {
        states: vec![JobState::Scheduled, JobState::Parked, JobState::Running],
        limit: JOBS_AT_ONCE,
        ..JobQuery::default()
    };
    let open = work.reader().storage().jobs(Scope::Project(project_id), &query).await?;
    let at = work.now();
    for job in &open {
        work.write_job(JobWrite::CancelJob { project_id, id: job.id, at });
    }
    Ok(if open.len() < JOBS_AT_ONCE { LocalOutcome::Done(Value::Null) } else { LocalOutcome::More })
}

async fn count(work: &mut UnitOfWork<'_>, saga: &Saga) -> Result<LocalOutcome> {
    let counts = work.reader().storage().count_project(project_of(saga)?).await?;
    Ok(LocalOutcome::Done(json!(counts)))
}

/// What is sealed can be opened by nobody from here on, backups of the rows included. There is no way back.
async fn shred(work: &mut UnitOfWork<'_>, saga: &Saga) -> Result<LocalOutcome> {
    work.shred_all(project_of(saga)?);
    Ok(LocalOutcome::Done(Value::Null))
}

async fn remove(work: &mut UnitOfWork<'_>, saga: &Saga) -> Result<LocalOutcome> {
    let removed = work.reader().storage().purge_project(project_of(saga)?, ROWS).await?;
    Ok(if removed == 0 { LocalOutcome::Done(Value::Null) } else { LocalOutcome::More })
}

async fn bury(work: &mut UnitOfWork<'_>, saga: &Saga) -> Result<LocalOutcome> {
    let id = project_of(saga)?;
    let row_counts = saga.data.get("rows").cloned().unwrap_or_default();
    let row_counts: BTreeMap<String, u64> = serde_json::from_value(row_counts)
        .map_err(|e| Error::corrupt(format!("the counts of a purge cannot be read: {e}")))?;
    let purged = ProjectEvent::Purged { purged_at: work.now(), row_counts: row_counts.clone() };
    let tombstone = work.create_in::<Project>(id, id, purged)?;
    work.keep(tombstone)?;
    Ok(LocalOutcome::Done(json!(row_counts)))
}
