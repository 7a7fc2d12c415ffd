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
use uuid::Uuid;

/// Rows that one replay may name.
const MAX_REPLAY: usize = 500;
/// Rows looked at for one page; when few of them are wanted, the page is short and another one follows.
const MAX_SCAN: usize = 2_000;
/// Rows read at a time.
const BATCH: usize = 200;

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

/// Deliveries that were accepted or wait, newest first. Done ones are kept for 7 days, dead ones for 90. A page may be shorter than
/// `limit`, or empty, while `has_more` is true.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDeliveries {
    #[serde(default)]
    pub state: Option<InboxState>,
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    /// `delivery`, or the kind of a single item: `message`, `ack`, ...
    #[serde(default)]
    pub kind: Option<String>,
    /// Received at this moment or later.
    #[serde(default)]
    pub received_from: Option<Timestamp>,
    /// Received before this moment.
    #[serde(default)]
    pub received_until: Option<Timestamp>,
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
        let mut waiting = Newest::of(read, QUEUE, self.state, before);
        let mut parked = Newest::of(read, targets::QUEUE, self.state, before);
        let mut items = Vec::with_capacity(limit);
        let mut last = None;
        for _ in 0..MAX_SCAN {
            let of_parked = match (waiting.peek().await?, parked.peek().await?) {
                (None, None) => return Ok(page(items, None)),
                (waiting, parked) => parked > waiting,
            };
            let job = if of_parked { parked.take() } else { waiting.take() };
            let Some(job) = job else { break };
            if items.len() == limit {
                return Ok(page(items, last));
            }
            last = Some(job.id);
            let row = InboxRow::read(&job)?;
            if self.wants(&row) {
                items.push(row);
            }
        }
        Ok(page(items, last))
    }
}

impl ListDeliveries {
    fn wants(&self, row: &InboxRow) -> bool {
        self.state.is_none_or(|state| row.state == state)
            && self.channel_id.is_none_or(|id| row.channel_id == id)
            && self.kind.as_ref().is_none_or(|kind| row.kind == *kind)
            && self.received_from.is_none_or(|from| row.received_at >= from)
            && self.received_until.is_none_or(|until| row.received_at < until)
    }
}

/// With `last`, the last job that was looked at, more may follow.
fn page(items: Vec<InboxRow>, last: Option<Uuid>) -> Page<InboxRow> {
    let next_cursor = last.map(|id| JobId::from_uuid(id).to_string());
    Page { items, has_more: next_cursor.is_some(), next_cursor, prev_cursor: None, total: None }
}

/// The jobs of a queue, newest first, read as they are needed.
struct Newest<'r> {
    read: &'r Reader<'r>,
    query: JobQuery,
    /// Read and not yet taken, the oldest first.
    jobs: Vec<JobRecord>,
    is_over: bool,
}

impl<'r> Newest<'r> {
    fn of(read: &'r Reader<'_>, queue: &str, state: Option<InboxState>, before: Option<Uuid>) -> Newest<'r> {
        let states = match (state, queue == targets::QUEUE) {
            (None, _) => Vec::new(),
            (Some(InboxState::Done), _) => vec![JobState::Succeeded, JobState::Cancelled],
            (Some(InboxState::Dead), _) => vec![JobState::Dead],
            (Some(InboxState::New), _) => vec![JobState::Scheduled, JobState::Running],
            (Some(InboxState::Parked), false) => vec![JobState::Parked],
            (Some(InboxState::Parked), true) => vec![JobState::Parked, JobState::Scheduled, JobState::Running],
        };
        let query = JobQuery { queue: Some(queue.to_owned()), states, before, limit: BATCH, ..JobQuery::default() };
        Newest { read, query, jobs: Vec::new(), is_over: false }
    }

    /// The id of the next job.
    async fn peek(&mut self) -> Result<Option<Uuid>> {
        if self.jobs.is_empty() && !self.is_over {
            let scope = Scope::Project(self.read.project());
            self.jobs = self.read.storage().jobs(scope, &self.query).await?;
            self.is_over = self.jobs.len() < BATCH;
            self.query.before = self.jobs.last().map(|job| job.id);
            self.jobs.reverse();
        }
        Ok(self.jobs.last().map(|job| job.id))
    }

    fn take(&mut self) -> Option<JobRecord> {
        self.jobs.pop()
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
