//! What people do to schedules.

use super::queries::settled;
use super::run::{arm, enqueue};
use super::{Misfire, NewSchedule, Overlap, Recurrence, Schedule, ScheduleEvent, SchedulePatch};
use crate::engine::{Command, Root, UnitOfWork};
use crate::infrastructure::job::host::{check_kind, check_payload};
use crate::kernel::{Error, ErrorCode, JobId, Patch, Permission, Result, ScheduleId};
use crate::operations;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const MAX_RUNS: u32 = 1_000_000;

/// Has a job of the host enqueued again and again: at each of its times one, whatever number of programs is awake. A program takes it
/// as any job of the host.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSchedule {
    /// Of the jobs: `host.` and words of `a-z`, `0-9` and `_` with dots between, at most 80 characters.
    pub kind: String,
    /// The payload of the jobs: at most 64 KiB of JSON, eight levels deep. It is kept in the log: ids rather than secrets and what is
    /// known of people.
    #[serde(default)]
    pub target: Value,
    pub recurrence: Recurrence,
    /// It is finished after so many runs, 1 to 1,000,000; never unless told.
    #[serde(default)]
    pub max_runs: Option<u32>,
    /// `fire_once` unless told.
    #[serde(default)]
    pub misfire: Option<Misfire>,
    /// `skip` unless told. Runs that are made up for wait for each other rather than being left out.
    #[serde(default)]
    pub overlap: Option<Overlap>,
}

impl Command for CreateSchedule {
    const NAME: &'static str = "schedules.create";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::JobKindUnknown,
        ErrorCode::ScheduleInvalid,
        ErrorCode::ScheduleNeverFires,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
    ];
    type Output = Schedule;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Schedule> {
        check_kind(&self.kind).map_err(|error| error.at("kind"))?;
        check_payload(&self.target).map_err(|error| error.at("target"))?;
        check_runs(self.max_runs, 0)?;
        let (recurrence, next) = settled(work.reader(), self.recurrence).await?;
        let new = NewSchedule {
            kind: self.kind,
            target: self.target,
            recurrence,
            max_runs: self.max_runs,
            misfire: self.misfire.unwrap_or(Misfire::FireOnce),
            overlap: self.overlap.unwrap_or(Overlap::Skip),
            enabled: true,
            next_run_at: Some(next),
        };
        let schedule = work.create::<Schedule>(work.new_id(), ScheduleEvent::Created(Box::new(new)))?;
        arm(work, &schedule);
        work.save(schedule)
    }
}

/// Changes what is given and differs. Another recurrence counts from now on; jobs enqueued already stay.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSchedule {
    pub id: ScheduleId,
    #[serde(default)]
    pub recurrence: Option<Recurrence>,
    /// Null = unchanged.
    #[serde(default)]
    pub target: Option<Value>,
    /// More than it has had; null = no end.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub max_runs: Patch<u32>,
    #[serde(default)]
    pub misfire: Option<Misfire>,
    #[serde(default)]
    pub overlap: Option<Overlap>,
}

impl Command for UpdateSchedule {
    const NAME: &'static str = "schedules.update";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ScheduleNotFound,
        ErrorCode::ScheduleInvalid,
        ErrorCode::ScheduleNeverFires,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
    ];
    type Output = Schedule;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Schedule> {
        let mut schedule = work.load::<Schedule>(self.id).await?;
        if let Some(target) = &self.target {
            check_payload(target).map_err(|error| error.at("target"))?;
        }
        check_runs(self.max_runs.value().copied(), schedule.runs)?;
        let mut next_run_at = schedule.next_run_at;
        let mut changed = None;
        if let Some(recurrence) = self.recurrence {
            let (recurrence, next) = settled(work.reader(), recurrence).await?;
            if recurrence != schedule.recurrence {
                next_run_at = Some(next).filter(|_| schedule.enabled);
                changed = Some(recurrence);
            }
        }
        let is_same_end = match &self.max_runs {
            Patch::Absent => true,
            Patch::Null => schedule.max_runs.is_none(),
            Patch::Value(max) => schedule.max_runs == Some(*max),
        };
        let changes = SchedulePatch {
            recurrence: changed,
            target: self.target.filter(|target| *target != schedule.target),
            max_runs: if is_same_end { Patch::Absent } else { self.max_runs },
            misfire: self.misfire.filter(|misfire| *misfire != schedule.misfire),
            overlap: self.overlap.filter(|overlap| *overlap != schedule.overlap),
        };
        if changes != SchedulePatch::default() {
            schedule.record(ScheduleEvent::Updated { changes, next_run_at });
            arm(work, &schedule);
        }
        work.save(schedule)
    }
}

/// Stops a schedule until it is resumed; jobs enqueued already stay. What is asked for with `schedules.run_now` is done all the same.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseSchedule {
    pub id: ScheduleId,
}

impl Command for PauseSchedule {
    const NAME: &'static str = "schedules.pause";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ScheduleNotFound, ErrorCode::InvalidState];
    type Output = Schedule;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Schedule> {
        let mut schedule = work.load::<Schedule>(self.id).await?;
        check_enabled(&schedule, true)?;
        schedule.record(ScheduleEvent::Paused {});
        arm(work, &schedule);
        work.save(schedule)
    }
}

/// Lets a schedule go on with its next time from now; those that passed while it was paused are not made up for. One that is finished
/// goes on once it has other times or more runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeSchedule {
    pub id: ScheduleId,
}

impl Command for ResumeSchedule {
    const NAME: &'static str = "schedules.resume";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ScheduleNotFound, ErrorCode::InvalidState, ErrorCode::ScheduleNeverFires];
    type Output = Schedule;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Schedule> {
        let mut schedule = work.load::<Schedule>(self.id).await?;
        check_enabled(&schedule, false)?;
        let next = schedule.recurrence.next(work.now()).filter(|_| !schedule.is_finished_after(schedule.runs));
        let next_run_at = next.ok_or(ErrorCode::ScheduleNeverFires)?;
        schedule.record(ScheduleEvent::Resumed { next_run_at });
        arm(work, &schedule);
        work.save(schedule)
    }
}

/// Enqueues a job of a schedule now, beside its planned times, also while it is paused.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunScheduleNow {
    pub id: ScheduleId,
}

impl Command for RunScheduleNow {
    const NAME: &'static str = "schedules.run_now";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ScheduleNotFound];
    type Output = Schedule;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Schedule> {
        let mut schedule = work.load::<Schedule>(self.id).await?;
        let mark = work.new_id::<JobId>();
        let job_id = enqueue(work, &schedule, mark);
        let next_run_at = schedule.next_run_at.filter(|_| !schedule.is_finished_after(schedule.runs + 1));
        let planned_at = work.now();
        schedule.record(ScheduleEvent::Triggered { planned_at, job_id, late_by_ms: 0, next_run_at });
        arm(work, &schedule);
        work.save(schedule)
    }
}

/// Forgets a schedule; jobs enqueued already stay.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteSchedule {
    pub id: ScheduleId,
}

impl Command for DeleteSchedule {
    const NAME: &'static str = "schedules.delete";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ScheduleNotFound];
    type Output = ();

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<()> {
        let mut schedule = work.load::<Schedule>(self.id).await?;
        schedule.record(ScheduleEvent::Deleted {});
        arm(work, &schedule);
        work.keep(schedule).map(drop)
    }
}

fn check_enabled(schedule: &Root<Schedule>, enabled: bool) -> Result<()> {
    if schedule.enabled == enabled {
        return Ok(());
    }
    Err(Error::new(ErrorCode::InvalidState).with("enabled", schedule.enabled))
}

/// An end must come after the runs that it has had.
fn check_runs(max_runs: Option<u32>, runs: u32) -> Result<()> {
    let min = runs.saturating_add(1);
    match max_runs {
        Some(max) if !(min..=MAX_RUNS).contains(&max) => {
            Err(Error::new(ErrorCode::ScheduleInvalid).at("max_runs").with("min", min).with("max", MAX_RUNS))
        }
        _ => Ok(()),
    }
}

operations![
    commands: CreateSchedule, UpdateSchedule, PauseSchedule, ResumeSchedule, RunScheduleNow, DeleteSchedule
];
