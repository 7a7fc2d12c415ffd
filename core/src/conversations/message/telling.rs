//! Tells providers what is done with messages besides sending them: edits, taking back, reactions, and that our side read something.
//!
//! A command that changes a message puts a job into its own commit; what a provider tells of such changes never does, so nothing that
//! came from there goes back. Jobs about one message run in order and read its state when they run: of several edits or reactions only
//! the last one is told.

use super::dispatch::Line;
use super::{Direction, Message, MessageStatus, OutboundLine};
use crate::channels::channel::{Channel, Report, report_connection};
use crate::channels::channel_type::{Capabilities, queries::by_code};
use crate::channels::gateway::{
    ConnectionState, GatewayError, GatewayErrorKind as Trouble, GatewayLine, MessageTarget, sender,
};
use crate::conversations::chat::Chat;
use crate::engine::{Answer, JobOutcome, JobRequest, OUTSIDE, OutsideJob, Plan, UnitOfWork};
use crate::http::HttpRequest;
use crate::kernel::{ChannelId, ChatId, Component, Error, ErrorCode, MessageId, Result, Timestamp};
use crate::storage::JobRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const EDIT: &str = "channel.message_edit";
const REVOKE: &str = "channel.message_revoke";
const REACTION: &str = "channel.reaction";
const MARK_READ: &str = "channel.mark_read";

/// After so many failed tries it is given up.
const MAX_ATTEMPTS: u32 = 5;
/// The pause after the first failed try, doubled each time, and the longest, in seconds.
const FIRST_DELAY: i64 = 5;
const LONGEST_DELAY: i64 = 600;
/// Who finds a channel away, or at the end of its rate, looks again after about so many seconds.
const LOOK_AGAIN: i64 = 60;
/// For so long that costs no try, in seconds.
const MAX_WAIT: i64 = 24 * 3_600;
/// The longest that a provider may ask to be left alone, in seconds.
const LONGEST_PAUSE: i64 = 24 * 3_600;
const DONE: JobOutcome = JobOutcome::Done { result: None };

/// The jobs that tell providers what was done with messages.
pub const TELLING_JOBS: &[OutsideJob] = &[job_of(EDIT), job_of(REVOKE), job_of(REACTION), job_of(MARK_READ)];

const fn job_of(kind: &'static str) -> OutsideJob {
    OutsideJob {
        kind,
        component: Component::Channel,
        max_attempts: MAX_ATTEMPTS,
        has_breaker: true,
        plan: |work, job| Box::pin(plan(work, job)),
        settle: |work, job, answer| Box::pin(settle(work, job, answer)),
    }
}

/// What a job is about.
#[derive(Serialize, Deserialize)]
struct Payload {
    channel_id: ChannelId,
    chat_id: ChatId,
    message_ids: Vec<MessageId>,
    /// When the change was made, if a later one takes its place.
    #[serde(default)]
    at: Option<Timestamp>,
}

impl Payload {
    fn read(job: &JobRecord) -> Result<Payload> {
        serde_json::from_str(&job.payload)
            .map_err(|e| Error::corrupt(format!("the payload of a message's job cannot be read: {e}")))
    }
}

/// Has the text of a message of ours changed at the provider. `at` is the time of the edit.
pub(super) fn tell_edit(work: &mut UnitOfWork<'_>, line: &OutboundLine, message: &Message, at: Timestamp) {
    tell(work, line, message, EDIT, Some(at));
}

/// Has a message of ours taken back at the provider.
pub(super) fn tell_revoke(work: &mut UnitOfWork<'_>, line: &OutboundLine, message: &Message) {
    tell(work, line, message, REVOKE, None);
}

/// Has the reaction of our side set or removed at the provider. `at` is the time of the change.
pub(super) fn tell_reaction(work: &mut UnitOfWork<'_>, line: &OutboundLine, message: &Message, at: Timestamp) {
    tell(work, line, message, REACTION, Some(at));
}

fn tell(work: &mut UnitOfWork<'_>, line: &OutboundLine, message: &Message, kind: &'static str, at: Option<Timestamp>) {
    // A notice is ours alone: no provider knows it.
    let is_notice = message.direction == Direction::Internal;
    if is_notice || !is_told_here(work, &line.channel, &line.channel_type.gateway) {
        return;
    }
    let (channel_id, chat_id, message_ids) = (message.channel_id, message.chat_id, vec![message.id]);
    let order_key = Some(format!("message:{}", message.id));
    enqueue(work, kind, order_key, &Payload { channel_id, chat_id, message_ids, at });
}

/// Has the provider told that our side read messages, where the channel supports that. Those of one author in one chat are one call.
pub(crate) async fn tell_read(work: &mut UnitOfWork<'_>, messages: &[Message]) -> Result<()> {
    if !work.reader().core().has_http() {
        return Ok(());
    }
    let mut told = BTreeMap::new();
    let mut groups: BTreeMap<_, Vec<MessageId>> = BTreeMap::new();
    for message in messages.iter().filter(|message| message.channel_message_id.is_some()) {
        let channel = message.channel_id;
        let is_told = match told.get(&channel) {
            Some(known) => *known,
            None => {
                let found = hears_of_reading(work, channel).await?;
                told.insert(channel, found);
                found
            }
        };
        if is_told {
            groups.entry((channel, message.chat_id, &message.sender_external_id)).or_default().push(message.id);
        }
    }
    for ((channel_id, chat_id, _), message_ids) in groups {
        enqueue(work, MARK_READ, None, &Payload { channel_id, chat_id, message_ids, at: None });
    }
    Ok(())
}

async fn hears_of_reading(work: &UnitOfWork<'_>, id: ChannelId) -> Result<bool> {
    let channel = work.reader().find_any::<Channel>(id).await?.filter(|channel| channel.deleted_at.is_none());
    let Some(channel) = channel else { return Ok(false) };
    let channel_type = by_code(work.reader(), &channel.channel_type).await?;
    Ok(channel_type.capabilities.read_receipts && is_told_here(work, &channel, &channel_type.gateway))
}

/// Whether a channel's provider is told from here. A channel that does not say where its provider is, or a build that calls nobody, leaves
/// that to the host, as it leaves sending: it hears the events.
fn is_told_here(work: &UnitOfWork<'_>, channel: &Channel, gateway: &str) -> bool {
    let line = GatewayLine {
        external_id: channel.external_id.clone(),
        config: channel.config.clone(),
        ..GatewayLine::default()
    };
    work.reader().core().has_http() && sender(gateway).is_some_and(|sender| sender.is_reachable(&line))
}

fn enqueue(work: &mut UnitOfWork<'_>, kind: &'static str, order_key: Option<String>, payload: &Payload) {
    let payload = serde_json::json!(payload).to_string();
    let run_at = work.now();
    work.enqueue(JobRequest { queue: OUTSIDE, kind, unique_key: None, order_key, payload, run_at, parked: false });
}

/// What the provider is to be told now.
enum Change {
    Edit(String),
    Revoke,
    Reaction(Option<String>),
    Read,
}

impl Change {
    /// `None` when there is nothing to tell any more: it was taken back, or a later change has a job of its own.
    fn of(job: &JobRecord, payload: &Payload, message: &Message) -> Option<Change> {
        match job.kind.as_str() {
            REVOKE => Some(Change::Revoke),
            MARK_READ => Some(Change::Read),
            _ if message.revoked_at.is_some() => None,
            EDIT => {
                let text = message.content.words().filter(|_| message.edited_at == payload.at);
                text.map(|text| Change::Edit(text.to_owned()))
            }
            _ => {
                let is_last = message.last_own_reaction().is_some_and(|(_, _, at)| Some(at) == payload.at);
                is_last.then(|| Change::Reaction(message.own_reaction().map(str::to_owned)))
            }
        }
    }

    fn is_supported(&self, can: &Capabilities) -> bool {
        match self {
            Change::Edit(_) => can.edit,
            Change::Revoke => can.revoke,
            Change::Reaction(_) => can.reactions,
            Change::Read => can.read_receipts,
        }
    }

    fn request(&self, line: &Line, targets: &[MessageTarget]) -> std::result::Result<HttpRequest, GatewayError> {
        if !self.is_supported(&line.channel_type.capabilities) {
            return Err(GatewayError::new(Trouble::Unsupported, "the channel cannot do this"));
        }
        let Some(target) = targets.first() else {
            return Err(GatewayError::new(Trouble::NotFound, "the message is not known there"));
        };
        match self {
            Change::Edit(text) => line.sender.edit(&line.line, target, text),
            Change::Revoke => line.sender.revoke(&line.line, target),
            Change::Reaction(emoji) => line.sender.react(&line.line, target, emoji.as_deref()),
            Change::Read => line.sender.mark_read(&line.line, targets),
        }
    }
}

async fn plan(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<Plan> {
    let payload = Payload::read(job)?;
    let messages = work.reader().get_many::<Message>(&payload.message_ids).await?;
    let Some(message) = messages.first() else { return Ok(Plan::Settled(DONE)) };
    let Some(change) = Change::of(job, &payload, message) else { return Ok(Plan::Settled(DONE)) };
    if message.channel_message_id.is_none() {
        return Ok(Plan::Settled(until_sent(work, job, message)));
    }
    let channel = work.reader().find_any::<Channel>(payload.channel_id).await?;
    if channel.is_none_or(|channel| channel.deleted_at.is_some()) {
        return Ok(Plan::Settled(DONE));
    }
    let Some(mut line) = Line::load(work, payload.channel_id).await? else {
        return Ok(Plan::Settled(look_again(work, job.created_at, "the channel was away for a day")));
    };
    if !line.channel.unlock(work, &line.channel_type, &mut line.line, &job.kind).await? {
        return Ok(Plan::Settled(look_again(work, job.created_at, "the channel had no credential for a day")));
    }
    let chat = work.reader().find_any::<Chat>(payload.chat_id).await?.and_then(|chat| chat.external_id);
    let targets: Vec<MessageTarget> = match chat {
        Some(chat) => messages.iter().filter_map(|message| target(message, &chat, &line.channel)).collect(),
        None => Vec::new(),
    };
    match change.request(&line, &targets) {
        Ok(request) => Ok(Plan::Call(request)),
        Err(error) => failed(work, job, payload.channel_id, &error).await.map(Plan::Settled),
    }
}

async fn settle(work: &mut UnitOfWork<'_>, job: &JobRecord, answer: &Answer) -> Result<JobOutcome> {
    let channel_id = Payload::read(job)?.channel_id;
    let Some(channel) = work.reader().find_any::<Channel>(channel_id).await? else { return Ok(DONE) };
    let channel_type = by_code(work.reader(), &channel.channel_type).await?;
    let Some(sender) = sender(&channel_type.gateway) else { return Ok(DONE) };
    match sender.read_done(answer) {
        Ok(()) => Ok(DONE),
        // The try before this one took it back, and nobody heard of it.
        Err(error) if error.kind == Trouble::NotFound && job.kind == REVOKE && job.attempt > 1 => Ok(DONE),
        Err(error) => failed(work, job, channel_id, &error).await,
    }
}

/// A message as its provider knows it; `None` while it has no id there.
pub(super) fn target(message: &Message, chat: &str, channel: &Channel) -> Option<MessageTarget> {
    let from_me = message.direction == Direction::Outbound;
    let own = || channel.identity.as_ref().and_then(|identity| identity.wid.clone());
    Some(MessageTarget {
        chat: chat.to_owned(),
        channel_message_id: message.channel_message_id.clone()?,
        from_me,
        author: if from_me { own() } else { message.sender_external_id.clone() },
        metadata: message.metadata.clone(),
    })
}

/// How it goes on with a message that has no id at its provider: not before it was sent, and not for ever.
fn until_sent(work: &UnitOfWork<'_>, job: &JobRecord, message: &Message) -> JobOutcome {
    match message.status {
        MessageStatus::Scheduled | MessageStatus::Queued | MessageStatus::Sending => {
            let due = message.due_at().or(message.scheduled_at).unwrap_or(work.now());
            JobOutcome::Again(due.max(soon(work, LOOK_AGAIN)))
        }
        // It never went out.
        MessageStatus::Failed | MessageStatus::Cancelled | MessageStatus::Expired => DONE,
        _ => {
            let since = message.sent_at.map_or(job.created_at, |sent| sent.max(job.created_at));
            look_again(work, since, "the provider never said by which id it knows the message")
        }
    }
}

/// What a try came to that failed, for the job and for the channel.
async fn failed(
    work: &mut UnitOfWork<'_>,
    job: &JobRecord,
    channel_id: ChannelId,
    error: &GatewayError,
) -> Result<JobOutcome> {
    tell_channel(work, channel_id, error).await?;
    let text = match &error.provider_code {
        Some(code) => format!("{} {code}: {}", error.kind, error.message),
        None => format!("{}: {}", error.kind, error.message),
    };
    let may_pass =
        matches!(error.kind, Trouble::NotConnected | Trouble::RateLimited | Trouble::Unavailable | Trouble::Ambiguous);
    let waited = work.now().seconds_since(job.created_at);
    Ok(match error.kind {
        Trouble::RateLimited if waited < MAX_WAIT => {
            let pause = error.retry_after.unwrap_or_default().clamp(0, LONGEST_PAUSE);
            JobOutcome::Again(soon(work, LOOK_AGAIN).max(work.now().plus_seconds(pause)))
        }
        // Longer each time: a line that is away for hours is not asked every minute.
        Trouble::NotConnected if waited < MAX_WAIT => {
            JobOutcome::Again(soon(work, waited.clamp(FIRST_DELAY, LONGEST_DELAY)))
        }
        _ if may_pass && job.attempt < MAX_ATTEMPTS => {
            let delay = (FIRST_DELAY << job.attempt.saturating_sub(1).min(10)).min(LONGEST_DELAY);
            JobOutcome::Retry { at: soon(work, delay), error: text }
        }
        _ => JobOutcome::Dead { error: text },
    })
}

/// What a provider's refusal says of the channel: a credential that is refused, or an address that must not be called, is a person's to
/// put right, and nothing else is handed over before.
pub(super) async fn tell_channel(work: &mut UnitOfWork<'_>, id: ChannelId, error: &GatewayError) -> Result<()> {
    let state = match error.kind {
        Trouble::Auth => ConnectionState::Unauthorized,
        Trouble::BlockedTarget => ConnectionState::Failed,
        _ => return Ok(()),
    };
    match report_connection(work, id, Report::connection(state).because(&error.message)).await {
        Err(gone) if gone.code() == ErrorCode::ChannelNotFound => Ok(()),
        reported => reported.map(drop),
    }
}

/// Waits for what has been missing since then, for a day.
fn look_again(work: &UnitOfWork<'_>, since: Timestamp, error: &str) -> JobOutcome {
    match work.now().seconds_since(since) < MAX_WAIT {
        true => JobOutcome::Again(soon(work, LOOK_AGAIN)),
        false => JobOutcome::Dead { error: error.to_owned() },
    }
}

/// In so many seconds, give or take a fifth: many may wait for one channel.
fn soon(work: &UnitOfWork<'_>, seconds: i64) -> Timestamp {
    let [chance] = work.random::<1>();
    work.now().plus_micros(seconds * (800_000 + i64::from(chance) * 400_000 / 255))
}
