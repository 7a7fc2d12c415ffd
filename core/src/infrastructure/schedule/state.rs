//! A schedule, folded from its events.

use super::{Recurrence, ScheduleEvent, SchedulePatch};
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{ErrorCode, Kind, ProjectId, ScheduleId, Timestamp};
use crate::storage::{Column, FieldKind, Index, Value as Indexed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

crate::text_enum! {
    /// What becomes of times at which no program was awake; a run up to five minutes late is none of them.
    pub enum Misfire {
        /// One run for all of them.
        FireOnce = "fire_once",
        /// Nothing.
        Skip = "skip",
        /// A run for each, one after the other; of more than 100 the last 100.
        All = "all",
    }
}

crate::text_enum! {
    /// What becomes of a run while the one before is not done.
    pub enum Overlap {
        /// It is left out.
        Skip = "skip",
        /// It waits.
        Queue = "queue",
        /// Both run.
        Allow = "allow",
    }
}

/// Work that comes again and again. At each of its times it enqueues a job, whose unique key is `schedule:`, the schedule's id, `:` and
/// the planned time, so that there is one job per planned time whatever happens. While the project is switched off, suspended or deleted
/// it enqueues nothing; what was missed is made up for afterwards as `misfire` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    pub id: ScheduleId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    /// Of the jobs: `host.report`.
    pub kind: String,
    /// Their payload.
    pub target: Value,
    pub recurrence: Recurrence,
    /// It is finished after so many runs; null = never.
    pub max_runs: Option<u32>,
    pub misfire: Misfire,
    pub overlap: Overlap,
    /// False while it is paused, and once it is finished.
    pub enabled: bool,
    /// Null while it is not enabled.
    pub next_run_at: Option<Timestamp>,
    /// When a job was enqueued last.
    pub last_run_at: Option<Timestamp>,
    /// What became of its last time: `triggered`, or why not.
    pub last_outcome: Option<String>,
    /// Jobs enqueued so far, those that somebody asked for included.
    pub runs: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

impl Schedule {
    /// Whether so many runs are all that it may have.
    pub fn is_finished_after(&self, runs: u32) -> bool {
        self.max_runs.is_some_and(|max| runs >= max)
    }

    fn take_in(&mut self, changes: SchedulePatch) {
        let SchedulePatch { recurrence, target, max_runs, misfire, overlap } = changes;
        if let Some(recurrence) = recurrence {
            self.recurrence = recurrence;
        }
        if let Some(target) = target {
            self.target = target;
        }
        if let Some(max_runs) = max_runs.into_change() {
            self.max_runs = max_runs;
        }
        self.misfire = misfire.unwrap_or(self.misfire);
        self.overlap = overlap.unwrap_or(self.overlap);
    }

    fn go_on(&mut self, next: Option<Timestamp>) {
        // What somebody asks for while it is paused does not set it going.
        if self.enabled {
            self.next_run_at = next;
            self.enabled = next.is_some();
        }
    }
}

impl Aggregate for Schedule {
    const KIND: Kind = Kind::Schedule;
    const NOT_FOUND: ErrorCode = ErrorCode::ScheduleNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("kind", FieldKind::Text),
        Column::new("enabled", FieldKind::Bool),
        Column::new("next_run_at", FieldKind::Instant).sortable(),
        Column::new("created_at", FieldKind::Instant).sortable(),
        Column::new("target.*", FieldKind::Text).many(),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[&["kind", "enabled"], &["next_run_at"]];
    type Id = ScheduleId;

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        let Event::Schedule(ScheduleEvent::Created(new)) = event else { return None };
        let new = new.as_ref().clone();
        Some(Schedule {
            id: meta.aggregate_id.into(),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            kind: new.kind,
            target: new.target,
            recurrence: new.recurrence,
            max_runs: new.max_runs,
            misfire: new.misfire,
            overlap: new.overlap,
            enabled: new.enabled,
            next_run_at: new.next_run_at,
            last_run_at: None,
            last_outcome: None,
            runs: 0,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            deleted_at: None,
        })
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        let Event::Schedule(event) = event else { return };
        match event.clone() {
            ScheduleEvent::Created(_) => {}
            ScheduleEvent::Updated { changes, next_run_at } => {
                self.take_in(changes);
                self.go_on(next_run_at);
            }
            ScheduleEvent::Paused {} => {
                self.enabled = false;
                self.next_run_at = None;
            }
            ScheduleEvent::Resumed { next_run_at } => {
                self.enabled = true;
                self.next_run_at = Some(next_run_at);
            }
            ScheduleEvent::Triggered { next_run_at, .. } => {
                self.runs += 1;
                self.last_run_at = Some(meta.occurred_at);
                self.last_outcome = Some("triggered".to_owned());
                self.go_on(next_run_at);
            }
            ScheduleEvent::Skipped { cause, next_run_at, .. } => {
                self.last_outcome = Some(cause.as_str().to_owned());
                self.go_on(next_run_at);
            }
            ScheduleEvent::Deleted {} => {
                self.deleted_at = Some(meta.occurred_at);
                self.enabled = false;
                self.next_run_at = None;
            }
        }
    }

    fn index(&self, index: &mut Index) {
        index.column("kind", self.kind.as_str());
        index.column("enabled", self.enabled);
        index.column("next_run_at", self.next_run_at);
        index.column("created_at", self.created_at);
        let is_short = |text: &str, most: usize| text.chars().count() <= most;
        for (key, value) in self.target.as_object().into_iter().flatten() {
            if is_short(key, 64) && value.as_str().is_none_or(|text| is_short(text, 200)) {
                index.attribute(format!("target.{key}"), Indexed::of_note(value));
            }
        }
    }

    fn is_hidden(&self) -> bool {
        self.deleted_at.is_some()
    }

    crate::base_fields!();
}
