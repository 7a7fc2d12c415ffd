//! The inbox: deliveries that were accepted or wait, for people who look after them.

use super::ingest::{KeptDelivery, KeptItem, QUEUE};
use super::outcome::Outcome;
use super::targets::{self, Waiting};
use crate::engine::{Command, Query, Reader, UnitOfWork};
use crate::kernel::{ChannelId, Error, ErrorCode, JobId, Permission, Result, Timestamp};
use crate::storage::{JobQuery, JobRecord, JobState, JobWrite, Page, Scope, limit_within};
use crate::{operations, text_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rows that one replay may name.
const MAX_REPLAY: usize = 500;
/// Rows read for one page, at the most; a filter by channel may leave fewer.
const MAX_SCAN: usize = 1_000;

text_enum! {
    /// Where a delivery stands.
    pub enum InboxState {
        /// Not worked off yet, or between two tries.
        New = "new",
        Done = "done",
        /// Waits for something: a message, a channel that is off, the end of a send.
        Parked = "parked",
        /// Given up; can be replayed.
        Dead = "dead",
    }
}

impl InboxState {
    fn of(job: &JobRecord) -> Self {
        match job.state {
            JobState::Parked => InboxState::Parked,
            JobState::Dead => InboxState::Dead,
            JobState::Succeeded | JobState::Cancelled => InboxState::Done,
            // What waits for its message is looked at again and again.
            JobState::Scheduled | JobState::Running if job.queue == targets::QUEUE => InboxState::Parked,
            JobState::Scheduled | JobState::Running => InboxState::New,
        }
    }
}

/// One delivery, or one item of it that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InboxRow {
    pub id: JobId,
    pub channel_id: ChannelId,
    pub state: InboxState,
    /// `delivery`, or the kind of the item that waits: `message`, `ack`, `reaction`, ...
    pub kind: String,
    pub received_at: Timestamp,
    /// Tries so far.
    pub attempts: u32,
    pub next_attempt_at: Option<Timestamp>,
    /// Why it waits or was given up.
    pub reason: Option<String>,
    /// What became of its items, once it is done.
    pub outcomes: Vec<Outcome>,
    /// The provider's payload; null for single items.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub raw: Option<String>,
}

impl InboxRow {
    fn read(job: &JobRecord) -> Result<InboxRow> {
        let broken = |e: serde_json::Error| Error::corrupt(format!("a kept delivery cannot be read: {e}"));
        let (channel_id, kind, received_at, raw) = match job.kind.as_str() {
            "inbound.delivery" => {
                let kept: KeptDelivery = serde_json::from_str(&job.payload).map_err(broken)?;
                (kept.channel_id, "delivery", kept.received_at, Some(kept.raw))
            }
            "inbound.item" => {
                let kept: KeptItem = serde_json::from_str(&job.payload).map_err(broken)?;
                (kept.channel_id, kept.item.kind(), kept.received_at, None)
            }
            _ => {
                let kept: Waiting = serde_json::from_str(&job.payload).map_err(broken)?;
                (kept.channel_id, kept.item.kind(), kept.received_at, None)
            }
        };
        let state = InboxState::of(job);
        let outcomes = match job.result.as_deref().map(serde_json::from_str::<Value>) {
            Some(Ok(Value::Array(outcomes))) => outcomes,
            Some(Ok(outcome @ Value::Object(_))) => vec![outcome],
            _ => Vec::new(),
        };
        let outcomes = outcomes.into_iter().map(serde_json::from_value).collect::<Result<_, _>>().map_err(broken)?;
        Ok(InboxRow {
            id: JobId::from_uuid(job.id),
            channel_id,
            state,
            kind: kind.to_owned(),
            received_at,
            attempts: job.attempt,
            next_attempt_at: matches!(state, InboxState::New | InboxState::Parked).then_some(job.run_at),
            reason: job.last_error.clone(),
            outcomes,
            raw,
        })
    }
}

/// A delivery by its id.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetDelivery {
    pub id: JobId,
}

impl Query for GetDelivery {
    const NAME: &'static str = "inbound.get";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InboundItemNotFound];
    type Output = InboxRow;

    async fn run(self, read: &Reader<'_>) -> Result<InboxRow> {
        match find(read, self.id).await? {
            Some(job) => InboxRow::read(&job),
            None => Err(not_found(self.id)),
        }
    }
}

async fn find(read: &Reader<'_>, id: JobId) -> Result<Option<JobRecord>> {
    let job = read.storage().job(Scope::Project(read.project()), id.uuid()).await?;
    Ok(job.filter(|job| job.queue == QUEUE || job.queue == targets::QUEUE))
}

fn not_found(id: JobId) -> Error {
    Error::new(ErrorCode::InboundItemNotFound).with("resource", "inbound_item").with("id", id.to_string())
}

/// Deliveries that were accepted or wait, newest first. Done and dead ones are kept for 30 days.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDeliveries {
    #[serde(default)]
    pub state: Option<InboxState>,
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    /// 1 to 100, default 20.
    #[serde(default)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Query for ListDeliveries {
    const NAME: &'static str = "inbound.list";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::LimitOutOfRange, ErrorCode::CursorInvalid];
    type Output = Page<InboxRow>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<InboxRow>> {
        let limit = limit_within(self.limit, 20, 100)?;
        let before = match &self.cursor {
            Some(cursor) => {
                Some(JobId::parse(cursor).map_err(|_| Error::new(ErrorCode::CursorInvalid).at("cursor"))?.uuid())
            }
            None => None,
        };
        let mut jobs = Vec::new();
        for queue in [QUEUE, targets::QUEUE] {
            let query = JobQuery { queue: Some(queue.to_owned()), before, limit: MAX_SCAN, ..JobQuery::default() };
            jobs.extend(read.storage().jobs(Scope::Project(read.project()), &query).await?);
        }
        jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
        let mut items = Vec::with_capacity(limit + 1);
        for job in &jobs {
            let row = InboxRow::read(job)?;
            let fits = self.state.is_none_or(|state| row.state == state)
                && self.channel_id.is_none_or(|id| row.channel_id == id);
            if fits {
                items.push(row);
            }
            if items.len() > limit {
                break;
            }
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| has_more).map(|row| row.id.to_string());
        Ok(Page { items, next_cursor, prev_cursor: None, has_more, total: None })
    }
}

/// Puts dead and parked deliveries back to work; at most 500.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    pub ids: Vec<JobId>,
}

/// What a replay did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Replayed {
    /// Rows put back to work; done and new ones stay as they are.
    pub released: u64,
}

impl Command for Replay {
    const NAME: &'static str = "inbound.replay";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InboundItemNotFound, ErrorCode::BatchTooLarge];
    type Output = Replayed;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Replayed> {
        if self.ids.len() > MAX_REPLAY {
            return Err(Error::new(ErrorCode::BatchTooLarge).at("ids").with("max", MAX_REPLAY));
        }
        let mut ids = Vec::with_capacity(self.ids.len());
        for (number, id) in self.ids.into_iter().enumerate() {
            let job = find(work.reader(), id).await?.ok_or_else(|| not_found(id).at(format!("ids[{number}]")))?;
            if matches!(job.state, JobState::Parked | JobState::Dead) {
                ids.push(job.id);
            }
        }
        let released = ids.len() as u64;
        if released > 0 {
            work.write_job(JobWrite::Release { project_id: work.project(), ids, run_at: work.now() });
        }
        Ok(Replayed { released })
    }
}

operations![commands: Replay];
operations![queries: GetDelivery, ListDeliveries];
