//! What can happen to a schedule.

use super::{Misfire, Overlap, Recurrence};
use crate::kernel::{JobId, Patch, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

crate::text_enum! {
    /// Why nothing was done at a planned time.
    pub enum SkipCause {
        /// Nobody was awake then, and it is too late now.
        Misfire = "misfire",
        /// The run before was not done.
        Overlap = "overlap",
    }
}

/// A schedule as it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewSchedule {
    pub kind: String,
    pub target: Value,
    pub recurrence: Recurrence,
    pub max_runs: Option<u32>,
    pub misfire: Misfire,
    pub overlap: Overlap,
    pub enabled: bool,
    pub next_run_at: Option<Timestamp>,
}

/// What of a schedule changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SchedulePatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<Recurrence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Value>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub max_runs: Patch<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub misfire: Option<Misfire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
}

crate::events! {
    /// What can happen to a schedule.
    pub enum ScheduleEvent: Schedule {
        /// It was made.
        "schedule.created" Created(Box<NewSchedule>),
        /// It does something else, or at other times.
        "schedule.updated" Updated {
            changes: SchedulePatch,
            next_run_at: Option<Timestamp>,
        },
        /// Somebody stopped it.
        "schedule.paused" Paused {},
        /// It goes on, with the next time from then on.
        "schedule.resumed" Resumed { next_run_at: Timestamp },
        /// A job was enqueued for a planned time, or because somebody asked for one.
        "schedule.triggered" Triggered {
            planned_at: Timestamp,
            job_id: JobId,
            late_by_ms: u64,
            /// Null when it is finished.
            next_run_at: Option<Timestamp>,
        },
        /// Nothing was done at a planned time.
        "schedule.skipped" Skipped {
            /// The first such time since the last run.
            planned_at: Timestamp,
            cause: SkipCause,
            /// Null when it is finished.
            next_run_at: Option<Timestamp>,
        },
        /// It is gone.
        "schedule.deleted" Deleted {},
    }
}
