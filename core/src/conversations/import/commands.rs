//! What people and hosts do with imports.

use super::course::{begin_listing, check_room, go_on, release, totals};
use super::cutting::Cut;
use super::page::{self, Page};
use super::{HistoryMessage, ImportJob, ImportStatus};
use crate::channels::channel::{Channel, ImportRequest, ImportStrategy};
use crate::channels::channel_type::queries::by_code;
use crate::channels::gateway::{ChatRef, InboundMessage, history};
use crate::conversations::inbound::{Line, Outcome};
use crate::conversations::message::Message;
use crate::engine::{Command, Row, UnitOfWork};
use crate::kernel::{ChannelId, ChatId, Error, ErrorCode, ImportJobId, Permission, Result};
use crate::operations;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Messages of one page.
const MAX_MESSAGES: usize = 500;

/// Asks for the history of a channel. The work is done in the background, by a process that has a way to the outside.
///
/// Live messages go on as they come. What is imported makes contacts, chats and sessions, and wakes nobody: no unread counts, no AI, no
/// webhooks that do not ask for history. The same message is stored once, however often it is imported.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestImport {
    pub channel_id: ChannelId,
    pub strategy: ImportStrategy,
    /// Required by the strategy `time_range`: more than 0.
    #[serde(default)]
    pub time_range_days: Option<u32>,
    /// The newest messages of each chat, so many; the channel's own limit counts, too. All of them unless told.
    #[serde(default)]
    pub limit_per_chat: Option<u32>,
    /// Silence that ends a session, 1 to 1 440; used when the channel has none of its own.
    #[serde(default)]
    pub session_timeout_minutes: Option<u32>,
    /// Groups too, if the channel takes them; as the channel does unless told.
    #[serde(default)]
    pub include_groups: Option<bool>,
    /// Files of the past are looked at by AI, where the channel has that on; they are not unless told.
    #[serde(default)]
    pub enrichment: bool,
}

impl Command for RequestImport {
    const NAME: &'static str = "imports.request";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelNotFound,
        ErrorCode::ImportRunning,
        ErrorCode::ChannelNotActive,
        ErrorCode::ImportNotSupported,
        ErrorCode::HistoryImportNotEnabled,
        ErrorCode::ImportLimitInvalid,
        ErrorCode::TimeRangeDaysRequired,
        ErrorCode::SessionTimeoutOutOfRange,
        ErrorCode::JobBacklogFull,
    ];
    type Output = ImportJob;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ImportJob> {
        let mut channel = work.load::<Channel>(self.channel_id).await?;
        let channel_type = by_code(work.reader(), &channel.channel_type).await?;
        if self.limit_per_chat == Some(0) {
            return Err(Error::new(ErrorCode::ImportLimitInvalid).at("limit_per_chat"));
        }
        if self.session_timeout_minutes.is_some_and(|minutes| !(1..=1_440).contains(&minutes)) {
            let error = Error::new(ErrorCode::SessionTimeoutOutOfRange).at("session_timeout_minutes");
            return Err(error.with("min", 1).with("max", 1_440));
        }
        let limits = [self.limit_per_chat, channel.history_import_max_messages_per_chat];
        let request = ImportRequest {
            strategy: self.strategy,
            time_range_days: self.time_range_days,
            limit_per_chat: limits.into_iter().flatten().min().unwrap_or(0),
            session_timeout_minutes: self.session_timeout_minutes,
            from_date: None,
            include_groups: self.include_groups.unwrap_or(channel.allow_groups),
            agent_id: None,
        };
        let id: ImportJobId = work.new_id();
        channel.request_import(&channel_type.capabilities, id, request)?;
        if history(&channel_type.gateway).is_none() {
            let error = Error::new(ErrorCode::ImportNotSupported).with("gateway", channel_type.gateway.as_str());
            return Err(error.message("give the messages to imports.store: nobody here can fetch them"));
        }
        check_room(work).await?;
        let channel = work.save(channel)?;
        let asked = channel.open_import().map(|run| run.request.clone());
        let request = asked.ok_or_else(|| Error::internal("an import that was asked for is open"))?;
        begin_listing(work, id);
        let job = ImportJob::new(id, work.project(), channel.id, (request, self.enrichment), work.now());
        work.put_row(Row::new(job))
    }
}

/// Stores what was said in one chat, for hosts that hold the history themselves: up to 500 messages in any order.
///
/// Contacts and the chat are made where a message is stored, and the sessions of the chat are cut anew around them, all in one commit.
/// What is known is left as it is. Nobody is woken, as with `imports.request`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreHistory {
    pub channel_id: ChannelId,
    pub chat: ChatRef,
    pub messages: Vec<HistoryMessage>,
    /// A name of yours for the whole run, which messages and sessions keep.
    #[serde(default)]
    pub import_id: Option<Uuid>,
}

/// What became of a page of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoredHistory {
    /// One for each message, in their order: `recorded`, `duplicate`, `ignored` or `rejected`.
    pub outcomes: Vec<Outcome>,
    /// None when nothing was stored.
    pub chat_id: Option<ChatId>,
    pub imported: u64,
    pub contacts_created: u64,
    pub sessions_created: u64,
}

impl Command for StoreHistory {
    const NAME: &'static str = "imports.store";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelNotFound,
        ErrorCode::InboundItemInvalid,
        ErrorCode::BatchTooLarge,
        ErrorCode::IdentifierRequired,
        ErrorCode::WhatsappIdInvalid,
        ErrorCode::WhatsappGroupId,
    ];
    type Output = StoredHistory;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<StoredHistory> {
        if self.messages.len() > MAX_MESSAGES {
            let (max, current) = (MAX_MESSAGES, self.messages.len());
            return Err(Error::new(ErrorCode::BatchTooLarge).at("messages").with("max", max).with("current", current));
        }
        if self.chat.class != self.chat.kind_detail.class() {
            let error = Error::new(ErrorCode::InboundItemInvalid).at("chat.kind_detail");
            return Err(error.message("does not belong to this class of chats"));
        }
        let line = Line::load(work, self.channel_id).await?;
        let messages: Vec<InboundMessage> =
            self.messages.into_iter().map(|message| message.delivered(&self.chat)).collect();
        let intake = line.intake(work.now());
        let page = Page {
            intake: &intake,
            messages: &messages,
            import_id: self.import_id,
            agent_id: line.channel.default_agent_id,
            enrichment: false,
        };
        let mut stored = page::store(work, &page).await?;
        let mut sessions_created = 0;
        if let (Some(chat), Some(span)) = (&stored.chat, stored.span) {
            let cut = Cut { intake: &intake, chat, timeout_minutes: None, import_id: self.import_id };
            sessions_created = cut.around(work, span).await?;
        }
        let mut imported = 0;
        for outcome in &mut stored.outcomes {
            if let Outcome::Recorded { message_id, session_id, .. } = outcome {
                imported += 1;
                *session_id = work.find::<Message>(*message_id).await?.and_then(|message| message.session_id);
            }
        }
        Ok(StoredHistory {
            outcomes: stored.outcomes,
            chat_id: stored.chat.map(|chat| chat.id),
            imported,
            contacts_created: stored.contacts_created,
            sessions_created,
        })
    }
}

async fn load(work: &UnitOfWork<'_>, id: ImportJobId) -> Result<Row<ImportJob>> {
    let not_found = || Error::new(ErrorCode::ImportJobNotFound).with("id", id.to_string());
    work.row::<ImportJob>(id).await?.ok_or_else(not_found)
}

fn not_running(job: &ImportJob) -> Error {
    Error::new(ErrorCode::ImportNotRunning).with("status", job.status.as_str())
}

/// Calls an import off. What is stored stays, and is put into sessions.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelImport {
    pub id: ImportJobId,
}

impl Command for CancelImport {
    const NAME: &'static str = "imports.cancel";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ImportJobNotFound, ErrorCode::ImportNotRunning];
    type Output = ImportJob;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ImportJob> {
        let mut job = load(work, self.id).await?;
        if !job.status.is_open() {
            return Err(not_running(&job));
        }
        let stats = totals(work.reader(), &job, None).await?;
        if let Some(mut channel) = work.find::<Channel>(job.channel_id).await? {
            if channel.open_import().is_some_and(|run| run.job_id == self.id) {
                channel.progress_import(self.id, &stats);
                channel.cancel_import();
            }
            work.keep(channel)?;
        }
        job.end(ImportStatus::Cancelled, work.now());
        release(work, self.id).await?;
        work.put_row(job)
    }
}

/// Fetches the chats of an ended import that failed once more; of an import that could not even list them, everything.
///
/// Without a chat that failed nothing happens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryFailedImport {
    pub id: ImportJobId,
}

impl Command for RetryFailedImport {
    const NAME: &'static str = "imports.retry_failed";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ImportJobNotFound,
        ErrorCode::ImportRunning,
        ErrorCode::ChannelNotFound,
        ErrorCode::ChannelNotActive,
        ErrorCode::ImportNotSupported,
        ErrorCode::HistoryImportNotEnabled,
        ErrorCode::JobBacklogFull,
    ];
    type Output = ImportJob;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ImportJob> {
        let mut job = load(work, self.id).await?;
        let mut channel = work.load::<Channel>(job.channel_id).await?;
        if job.status.is_open() || channel.open_import().is_some() {
            return Err(ErrorCode::ImportRunning.into());
        }
        if job.totals.chats_failed == 0 && job.status != ImportStatus::Failed {
            return Ok(job.into_inner());
        }
        check_room(work).await?;
        let channel_type = by_code(work.reader(), &channel.channel_type).await?;
        job.begin_again();
        channel.repeat_import(&channel_type.capabilities, self.id, job.request.clone())?;
        if job.status == ImportStatus::Running {
            channel.start_import(self.id, job.totals.clone());
        }
        work.keep(channel)?;
        if job.status == ImportStatus::Running {
            go_on(work, &mut job, None).await?;
        } else {
            begin_listing(work, self.id);
        }
        work.put_row(job)
    }
}

/// Stops an import between two pages, until it is resumed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseImport {
    pub id: ImportJobId,
}

impl Command for PauseImport {
    const NAME: &'static str = "imports.pause";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ImportJobNotFound, ErrorCode::ImportNotRunning];
    type Output = ImportJob;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ImportJob> {
        let mut job = load(work, self.id).await?;
        if !job.status.is_open() {
            return Err(not_running(&job));
        }
        if job.status == ImportStatus::Paused {
            return Ok(job.into_inner());
        }
        job.status = ImportStatus::Paused;
        work.put_row(job)
    }
}

/// Lets a paused import go on where it stopped.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeImport {
    pub id: ImportJobId,
}

impl Command for ResumeImport {
    const NAME: &'static str = "imports.resume";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ImportJobNotFound, ErrorCode::ImportNotRunning];
    type Output = ImportJob;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ImportJob> {
        let mut job = load(work, self.id).await?;
        if !job.status.is_open() {
            return Err(not_running(&job));
        }
        if job.status != ImportStatus::Paused {
            return Ok(job.into_inner());
        }
        job.status = if job.started_at.is_some() { ImportStatus::Running } else { ImportStatus::Requested };
        release(work, self.id).await?;
        work.put_row(job)
    }
}

operations![commands: RequestImport, StoreHistory, CancelImport, RetryFailedImport, PauseImport, ResumeImport];
