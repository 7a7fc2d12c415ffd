//! What can be asked about schedules.

use super::{Recurrence, Schedule};
use crate::engine::{Query, Reader};
use crate::kernel::{Error, ErrorCode, Permission, Result, ScheduleId, Timestamp};
use crate::storage::{Page, PageRequest, limit_within};
use crate::tenancy::project::Project;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most times that a preview shows, and how many unless told.
const MAX_PREVIEW: usize = 50;
const DEFAULT_PREVIEW: usize = 10;

/// A schedule by its id.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSchedule {
    pub id: ScheduleId,
}

impl Query for GetSchedule {
    const NAME: &'static str = "schedules.get";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ScheduleNotFound];
    type Output = Schedule;

    async fn run(self, read: &Reader<'_>) -> Result<Schedule> {
        read.get(self.id).await
    }
}

/// Schedules. Filter: kind, `target.<key>`, enabled, next_run_at. Sort: created_at, next_run_at. Of a target the keys at its top can be
/// filtered by, where key and value are texts, numbers or truths of at most 64 and 200 characters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSchedules {
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListSchedules {
    const NAME: &'static str = "schedules.list";
    const PERMISSION: Permission = Permission::JobsManage;
    type Output = Page<Schedule>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<Schedule>> {
        read.page(&self.page).await
    }
}

/// The next times of a recurrence, or of a schedule as it stands: of one that is paused, as if it were not. Fewer than asked for when
/// it ends before.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewSchedule {
    /// One of the two.
    #[serde(default)]
    pub id: Option<ScheduleId>,
    #[serde(default)]
    pub recurrence: Option<Recurrence>,
    /// 1 to 50; 10 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
}

impl Query for PreviewSchedule {
    const NAME: &'static str = "schedules.preview";
    const PERMISSION: Permission = Permission::JobsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ScheduleNotFound,
        ErrorCode::ScheduleInvalid,
        ErrorCode::ScheduleNeverFires,
        ErrorCode::FieldRequired,
        ErrorCode::InputInvalid,
        ErrorCode::LimitOutOfRange,
    ];
    type Output = Vec<Timestamp>;

    async fn run(self, read: &Reader<'_>) -> Result<Vec<Timestamp>> {
        let limit = limit_within(self.limit, DEFAULT_PREVIEW, MAX_PREVIEW)?;
        let (recurrence, limit) = match (self.id, self.recurrence) {
            (Some(_), Some(_)) => {
                let why = "either a schedule or a recurrence";
                return Err(Error::new(ErrorCode::InputInvalid).at("recurrence").message(why));
            }
            (None, None) => return Err(Error::new(ErrorCode::FieldRequired).at("recurrence")),
            (Some(id), None) => {
                let schedule = read.get::<Schedule>(id).await?;
                let left = schedule.max_runs.map_or(limit, |max| max.saturating_sub(schedule.runs) as usize);
                (schedule.recurrence, limit.min(left))
            }
            (None, Some(recurrence)) => (settled(read, recurrence).await?.0, limit),
        };
        let next = |at: &Timestamp| recurrence.next(*at);
        Ok(std::iter::successors(recurrence.next(read.now()), next).take(limit).collect())
    }
}

/// A recurrence with everything said, and its first time from now.
pub(super) async fn settled(read: &Reader<'_>, recurrence: Recurrence) -> Result<(Recurrence, Timestamp)> {
    let project = read.get::<Project>(read.project()).await?;
    recurrence.settled(read.now(), project.default_timezone).map_err(|error| error.at("recurrence"))
}

crate::operations![queries: GetSchedule, ListSchedules, PreviewSchedule];
