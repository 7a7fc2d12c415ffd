//! What happens when the time of a schedule has come.

use super::{Misfire, Overlap, Schedule, ScheduleEvent, SkipCause};
use crate::engine::{JobOutcome, JobRequest, JobType, Root, UnitOfWork};
use crate::infrastructure::job::host::{HostJob, host_job};
use crate::kernel::{Component, Error, JobId, Result, ScheduleId, Timestamp};
use crate::storage::{JobQuery, JobRecord, JobState, JobWrite, OnDead, Scope};
use crate::tenancy::access::current;
use crate::tenancy::project::ProjectStatus;
use serde::{Deserialize, Serialize};

/// A run so late is no misfire yet, in seconds.
const LATE_SECONDS: i64 = 300;
/// Runs that are made up for at most.
const MAX_CATCH_UP: usize = 100;
/// While its project does not work, a schedule looks again after so many seconds.
const LOOK_AGAIN_SECONDS: i64 = 60;
/// How far to look back for the last times that were missed, in days, a little first.
const LOOK_BACK_DAYS: [i64; 3] = [1, 32, 366];

pub(super) const TIMER: JobType = JobType {
    kind: "timer.schedule",
    queue: "timer",
    component: Component::Scheduled,
    max_attempts: 20,
    run: |work, job| Box::pin(run(work, job)),
};

#[derive(Serialize, Deserialize)]
struct Payload {
    schedule_id: ScheduleId,
}

const DONE: JobOutcome = JobOutcome::Done { result: None };

fn key(id: ScheduleId) -> String {
    format!("schedule:{id}")
}

/// Sets the timer of a schedule to its next time, or takes it back.
pub(super) fn arm(work: &mut UnitOfWork<'_>, schedule: &Schedule) {
    match schedule.next_run_at {
        Some(run_at) => work.schedule(JobRequest {
            queue: TIMER.queue,
            kind: TIMER.kind,
            unique_key: Some(key(schedule.id)),
            order_key: None,
            payload: serde_json::json!({ "schedule_id": schedule.id }).to_string(),
            run_at,
            parked: false,
        }),
        None => work.cancel_job(key(schedule.id)),
    }
}

/// Enqueues the job of a time. `mark` is what makes it the only one of this time.
pub(super) fn enqueue(work: &mut UnitOfWork<'_>, schedule: &Schedule, mark: impl std::fmt::Display) -> JobId {
    let record = host_job(
        work,
        HostJob {
            kind: schedule.kind.clone(),
            payload: schedule.target.to_string(),
            run_at: work.now(),
            priority: 0,
            unique_key: Some(format!("{}:{mark}", key(schedule.id))),
            order_key: (schedule.overlap != Overlap::Allow).then(|| key(schedule.id)),
            on_dead: OnDead::Continue,
            max_attempts: None,
        },
    );
    let id = JobId::from_uuid(record.id);
    work.write_job(JobWrite::Create(record));
    id
}

async fn run(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let payload: Payload = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a schedule's timer cannot be read: {e}")))?;
    let Some(mut schedule) = work.find::<Schedule>(payload.schedule_id).await? else { return Ok(DONE) };
    let now = work.now();
    let Some(first) = schedule.next_run_at.filter(|_| schedule.deleted_at.is_none()) else { return Ok(DONE) };
    if first > now {
        return Ok(JobOutcome::Again(first));
    }
    // What is missed meanwhile is treated as what was missed with nobody awake, once the project works again.
    let works = current(work.reader()).await?.is_some_and(|project| project.status == ProjectStatus::Active);
    if !works {
        return Ok(JobOutcome::Again(now.plus_seconds(LOOK_AGAIN_SECONDS)));
    }
    let due = due(&schedule, first, now);
    if due.is_empty() {
        skip(&mut schedule, first, SkipCause::Misfire, now);
    } else {
        let is_busy = schedule.overlap == Overlap::Skip && has_open_job(work, schedule.id).await?;
        if is_busy && schedule.misfire != Misfire::All {
            skip(&mut schedule, first, SkipCause::Overlap, now);
        } else {
            trigger(work, &mut schedule, &due, now);
        }
    }
    let next = schedule.next_run_at;
    work.keep(schedule)?;
    Ok(next.map_or(DONE, JobOutcome::Again))
}

fn skip(schedule: &mut Root<Schedule>, planned_at: Timestamp, cause: SkipCause, now: Timestamp) {
    let next_run_at = schedule.recurrence.next(now);
    schedule.record(ScheduleEvent::Skipped { planned_at, cause, next_run_at });
}

fn trigger(work: &mut UnitOfWork<'_>, schedule: &mut Root<Schedule>, due: &[Timestamp], now: Timestamp) {
    for (number, planned_at) in due.iter().enumerate() {
        if !schedule.enabled {
            return;
        }
        let following = due.get(number + 1).copied().or_else(|| schedule.recurrence.next(now));
        let next_run_at = following.filter(|_| !schedule.is_finished_after(schedule.runs + 1));
        let job_id = enqueue(work, schedule, planned_at);
        let late_by_ms = u64::try_from((now.micros() - planned_at.micros()) / 1_000).unwrap_or(0);
        schedule.record(ScheduleEvent::Triggered { planned_at: *planned_at, job_id, late_by_ms, next_run_at });
    }
}

async fn has_open_job(work: &UnitOfWork<'_>, id: ScheduleId) -> Result<bool> {
    let query = JobQuery {
        states: vec![JobState::Scheduled, JobState::Parked, JobState::Running],
        unique_key_prefix: Some(format!("{}:", key(id))),
        limit: 1,
        ..JobQuery::default()
    };
    let found = work.reader().storage().jobs(Scope::Project(work.project()), &query).await?;
    Ok(!found.is_empty())
}

/// The planned times from `first` to `now` that get a run, oldest first.
fn due(schedule: &Schedule, first: Timestamp, now: Timestamp) -> Vec<Timestamp> {
    let wanted = if schedule.misfire == Misfire::All { MAX_CATCH_UP } else { 1 };
    let mut times = last_times(schedule, first, now, wanted);
    if schedule.misfire == Misfire::Skip {
        times.retain(|planned| now.seconds_since(*planned) <= LATE_SECONDS);
    }
    times
}

/// The last planned times up to now, at most so many. A schedule that slept for long is not counted through from where it fell
/// asleep.
fn last_times(schedule: &Schedule, first: Timestamp, now: Timestamp, wanted: usize) -> Vec<Timestamp> {
    let before_first = first.plus_micros(-1);
    let starts = LOOK_BACK_DAYS.iter().map(|days| now.plus_seconds(-days * 24 * 3_600)).chain([before_first]);
    let mut times = Vec::new();
    for start in starts {
        let start = start.max(before_first);
        times.clear();
        let mut at = start;
        while let Some(next) = schedule.recurrence.next(at).filter(|next| *next <= now) {
            times.push(next);
            at = next;
        }
        if times.len() >= wanted || start == before_first {
            break;
        }
    }
    times.split_off(times.len().saturating_sub(wanted))
}
