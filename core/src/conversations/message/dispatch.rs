//! Hands messages to their providers over the outside: each waits as a job, in the line of its chat.
//!
//! A message whose chat is not known at the provider yet is two calls: one asks for the chat of the telephone number, the next one
//! sends. What a try came to is taken in as a host that sends by itself would report it.

use super::commands::{ReportDelivery, ReportedFailure, ReportedStatus, claim_turn, under_way};
use super::delivery::MAX_RETRY_AFTER;
use super::telling::{target, tell_channel};
use super::{FailureCode, Message, MessageStatus};
use crate::channels::channel::{Channel, ChannelStatus};
use crate::channels::channel_type::ChannelType;
use crate::channels::channel_type::queries::by_code;
use crate::channels::gateway::{
    ChannelSender, GatewayError, GatewayErrorKind, GatewayLine, MessageTarget, OutboundMessage, sender,
};
use crate::contacts::contact::Contact;
use crate::conversations::chat::Chat;
use crate::conversations::message::commands::ClaimedMessage;
use crate::engine::{Answer, Command, JobOutcome, JobRequest, OUTSIDE, OutsideJob, Plan, UnitOfWork};
use crate::kernel::{ChannelId, Component, Error, ErrorCode, MessageId, Result, Timestamp};
use crate::storage::JobRecord;
use serde::{Deserialize, Serialize};

const SEND: &str = "message.send";
/// Who finds a channel closed, or at the end of its rate, looks again after about so many seconds.
const LOOK_AGAIN: i64 = 60;

/// The jobs of messages that call the outside.
pub const OUTSIDE_JOBS: &[OutsideJob] = &[OutsideJob {
    kind: SEND,
    component: Component::Channel,
    max_attempts: 20,
    has_breaker: true,
    plan: |work, job| Box::pin(plan(work, job)),
    settle: |work, job, answer| Box::pin(settle(work, job, answer)),
}];

#[derive(Serialize, Deserialize)]
struct Payload {
    message_id: MessageId,
}

const DONE: JobOutcome = JobOutcome::Done { result: None };

/// Puts a message that waits into the line of its chat. Without a way to the outside the host sends by itself.
pub(super) fn enqueue(work: &mut UnitOfWork<'_>, message: &Message) {
    if !work.reader().core().has_http() {
        return;
    }
    work.enqueue(JobRequest {
        queue: OUTSIDE,
        kind: SEND,
        unique_key: Some(format!("message_send:{}", message.id)),
        order_key: Some(format!("chat:{}", message.chat_id)),
        payload: serde_json::json!({ "message_id": message.id }).to_string(),
        run_at: message.due_at().unwrap_or(work.now()),
        parked: false,
    });
}

fn message_of(job: &JobRecord) -> Result<MessageId> {
    let payload: Payload = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a message's job cannot be read: {e}")))?;
    Ok(payload.message_id)
}

/// What the provider needs to be told, and how.
pub(super) struct Line {
    pub sender: &'static dyn ChannelSender,
    pub line: GatewayLine,
    pub channel: Channel,
    pub channel_type: ChannelType,
}

impl Line {
    /// The line of an active channel that this build can send over, and that says where to.
    pub async fn load(work: &UnitOfWork<'_>, id: ChannelId) -> Result<Option<Line>> {
        let read = work.reader();
        let channel = read.find_any::<Channel>(id).await?;
        let open = channel.filter(|channel| channel.deleted_at.is_none() && channel.status == ChannelStatus::Active);
        let Some(channel) = open else { return Ok(None) };
        let channel_type = by_code(read, &channel.channel_type).await?;
        let Some(sender) = sender(&channel_type.gateway) else { return Ok(None) };
        let line = channel.gateway_line(read).await?;
        Ok(sender.is_reachable(&line).then_some(Line { sender, line, channel, channel_type }))
    }
}

async fn plan(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<Plan> {
    let id = message_of(job)?;
    let Some(message) = work.find::<Message>(id).await?.map(|message| message.state().clone()) else {
        return Ok(Plan::Settled(DONE));
    };
    let Some(due) = message.due_at() else { return Ok(Plan::Settled(DONE)) };
    if due > work.now() {
        return Ok(Plan::Settled(JobOutcome::Again(due)));
    }
    let Some(mut line) = Line::load(work, message.channel_id).await? else {
        return Ok(Plan::Settled(look_again(work)));
    };
    if !line.channel.unlock(work, &line.channel_type, &mut line.line, SEND).await? {
        return Ok(Plan::Settled(look_again(work)));
    }
    if let Some(call) = ask_for_chat(work, &line, &message).await? {
        return match call {
            Ok(request) => Ok(Plan::Call(request)),
            Err(error) => fail_turn(work, &message, &error).await.map(Plan::Settled),
        };
    }
    let Some(claimed) = claim_turn(work, &message).await? else {
        return after(work, id).await.map(Plan::Settled);
    };
    let request = match request(work, &line, &claimed).await? {
        Ok(request) => request,
        Err(error) => {
            report(work, &claimed.message, Err(error)).await?;
            return after(work, id).await.map(Plan::Settled);
        }
    };
    Ok(Plan::Call(request))
}

/// The question for the chat of a number, when the chat is not known at the provider yet.
async fn ask_for_chat(
    work: &mut UnitOfWork<'_>,
    line: &Line,
    message: &Message,
) -> Result<Option<std::result::Result<crate::http::HttpRequest, GatewayError>>> {
    let chat = work.load::<Chat>(message.chat_id).await?;
    if chat.external_id.is_some() {
        return Ok(None);
    }
    let contact = match message.contact_id {
        Some(id) => work.reader().find_any::<Contact>(id).await?,
        None => None,
    };
    let nobody = || GatewayError::new(GatewayErrorKind::InvalidRecipient, "the contact has no telephone number");
    let phone = contact.and_then(|contact| contact.phone).ok_or_else(nobody);
    Ok(Some(phone.and_then(|phone| line.sender.resolve(&line.line, &phone))))
}

async fn request(
    work: &UnitOfWork<'_>,
    line: &Line,
    claimed: &ClaimedMessage,
) -> Result<std::result::Result<crate::http::HttpRequest, GatewayError>> {
    let message = &claimed.message;
    let quoted = match message.reply_to_id {
        Some(id) => work.reader().find_any::<Message>(id).await?,
        None => None,
    };
    let chat = claimed.chat_external_id.as_deref().unwrap_or_default();
    let reply_to = match &quoted {
        Some(quoted) => target(quoted, chat, &line.channel),
        None => None,
    };
    // One that is not here is known by no more than its id.
    let stranger = |id: &String| MessageTarget {
        chat: chat.to_owned(),
        channel_message_id: id.clone(),
        ..MessageTarget::default()
    };
    let unknown = || message.reply_to_channel_message_id.as_ref().map(stranger);
    let outbound = OutboundMessage {
        id: message.id,
        chat,
        content: &message.content,
        mentions: &message.mentions,
        reply_to: reply_to.or_else(unknown),
    };
    Ok(line.sender.send(&line.line, &outbound))
}

async fn settle(work: &mut UnitOfWork<'_>, job: &JobRecord, answer: &Answer) -> Result<JobOutcome> {
    let id = message_of(job)?;
    let Some(message) = work.find::<Message>(id).await?.map(|message| message.state().clone()) else { return Ok(DONE) };
    let Some(line) = Line::load(work, message.channel_id).await? else { return Ok(look_again(work)) };
    match under_way(work, message.chat_id).await? {
        Some(sent) => {
            let outcome = line.sender.read_sent(answer);
            // An echo or an acknowledgement may tell until the lease ends; then there is one more try, marked as such.
            if outcome.as_ref().is_err_and(|error| error.kind == GatewayErrorKind::Ambiguous) {
                return after(work, id).await;
            }
            let trouble = outcome.as_ref().err().cloned();
            report(work, &sent, outcome.map(|receipt| receipt.channel_message_id)).await?;
            if let Some(error) = trouble {
                tell_channel(work, message.channel_id, &error).await?;
            }
            after(work, id).await
        }
        None => match line.sender.read_resolved(answer) {
            Ok(Some(external_id)) => {
                let mut chat = work.load::<Chat>(message.chat_id).await?;
                if chat.external_id.is_none() {
                    chat.set_external_id(&external_id)?;
                    work.save(chat)?;
                }
                Ok(JobOutcome::Again(work.now()))
            }
            Ok(None) => Ok(JobOutcome::Again(work.now())),
            Err(error) => {
                let outcome = fail_turn(work, &message, &error).await?;
                tell_channel(work, message.channel_id, &error).await?;
                Ok(outcome)
            }
        },
    }
}

/// Lets the message whose turn it is fail a try.
async fn fail_turn(work: &mut UnitOfWork<'_>, message: &Message, error: &GatewayError) -> Result<JobOutcome> {
    if let Some(claimed) = claim_turn(work, message).await? {
        report(work, &claimed.message, Err(error.clone())).await?;
    }
    after(work, message.id).await
}

/// Takes in what a try came to.
async fn report(
    work: &mut UnitOfWork<'_>,
    message: &Message,
    outcome: std::result::Result<Option<String>, GatewayError>,
) -> Result<()> {
    let (status, channel_message_id, failure) = match outcome {
        Ok(id) => (ReportedStatus::Sent, id, None),
        Err(error) => (ReportedStatus::Failed, None, Some(failure(error))),
    };
    let report = ReportDelivery {
        id: Some(message.id),
        channel_id: None,
        channel_message_id,
        status,
        at: None,
        attempt: Some(message.attempts),
        participant: None,
        failure,
    };
    match report.clone().run(work).await {
        // A gateway that gives an id twice has taken the message all the same.
        Err(error) if error.code() == ErrorCode::ChannelMessageIdTaken => {
            ReportDelivery { channel_message_id: None, ..report }.run(work).await.map(drop)
        }
        outcome => outcome.map(drop),
    }
}

/// What people see of a provider's refusal, and whether another try makes sense.
fn failure(error: GatewayError) -> ReportedFailure {
    use GatewayErrorKind as Kind;
    let (code, retryable) = match error.kind {
        Kind::Auth => (FailureCode::AuthFailed, false),
        Kind::NotConnected => (FailureCode::ChannelDisconnected, true),
        Kind::InvalidRecipient => (FailureCode::InvalidRecipient, false),
        Kind::Unsupported => (FailureCode::UnsupportedType, false),
        Kind::TooLarge => (FailureCode::MediaRejected, false),
        Kind::RateLimited => (FailureCode::RateLimited, true),
        Kind::Unavailable => (FailureCode::ProviderError, true),
        Kind::Ambiguous => (FailureCode::Unconfirmed, true),
        Kind::NotFound | Kind::InvalidRequest | Kind::BlockedTarget => (FailureCode::ProviderError, false),
    };
    let retryable = Some(retryable);
    let GatewayError { message, provider_code, retry_after, .. } = error;
    let retry_after_seconds = retry_after.map(|seconds| seconds.clamp(0, MAX_RETRY_AFTER));
    ReportedFailure { code, reason: Some(message), retryable, provider_code, retry_after_seconds }
}

/// How the job of a message goes on: until the message has left, or will not leave any more.
async fn after(work: &mut UnitOfWork<'_>, id: MessageId) -> Result<JobOutcome> {
    let Some(message) = work.find::<Message>(id).await? else { return Ok(DONE) };
    let now = work.now();
    Ok(match message.status {
        MessageStatus::Queued | MessageStatus::Sending => match message.due_at() {
            Some(due) if due > now => JobOutcome::Again(due),
            _ => look_again(work),
        },
        _ => DONE,
    })
}

/// Not all at once: many may wait for one channel.
fn look_again(work: &UnitOfWork<'_>) -> JobOutcome {
    let [chance] = work.random::<1>();
    let micros = LOOK_AGAIN * (500_000 + i64::from(chance) * 1_000_000 / 255);
    JobOutcome::Again(Timestamp::plus_micros(work.now(), micros))
}
