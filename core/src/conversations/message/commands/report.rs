//! What became of a message at its provider.

use super::super::counting::metrics_if;
use super::super::delivery::MAX_RETRY_AFTER;
use crate::channels::channel::Channel;
use crate::channels::channel_type::{ChannelType, queries::by_code};
use crate::channels::gateway::{AckSignal, Identifiers, InboundAck, InboundItem, ProviderEvent};
use crate::conversations::inbound::{Intake, targets};
use crate::conversations::message::{
    DeliveryReport, Direction, Failure, FailureCode, MAX_ATTEMPTS, Message, MessageEvent, MessageSource, MessageStatus,
    acknowledge, timers,
};
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{ChannelId, Error, ErrorCode, MessageId, Permission, Result, Timestamp};
use crate::tenancy::access;
use crate::tenancy::project::Project;
use crate::text_enum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A provider's clock may run ahead by this many seconds.
const MAX_AHEAD_SECONDS: i64 = 300;
const MAX_EXTERNAL_ID: usize = 255;
const MAX_PARTICIPANT: usize = 128;
const MAX_FAILURE_REASON: usize = 1_000;

text_enum! {
    /// How far a message has come.
    pub enum ReportedStatus {
        /// The provider took it.
        Sent = "sent",
        /// It reached the device.
        Delivered = "delivered",
        Read = "read",
        /// Voice notes and sounds; of anything else it means read.
        Played = "played",
        Failed = "failed",
    }
}

text_enum! {
    /// What a report changed.
    pub enum ReportOutcome {
        /// It was news.
        Applied = "applied",
        /// It was known, or the message is further already.
        Unchanged = "unchanged",
        /// The try failed, and another follows.
        Retrying = "retrying",
        /// No message has this id yet: kept for 7 days, and applied when one appears.
        Parked = "parked",
    }
}

/// Why a try failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportedFailure {
    pub code: FailureCode,
    /// For people; longer than 1 000 characters is cut.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whether another try makes sense; unless told, `code` decides.
    #[serde(default)]
    pub retryable: Option<bool>,
    /// The provider's own code.
    #[serde(default)]
    pub provider_code: Option<String>,
    /// For how long the provider wants to be left alone, 0 to 86,400.
    #[serde(default)]
    pub retry_after_seconds: Option<i64>,
}

/// Reports what became of a message: after a try (`messages.claim_due`), or when the provider acknowledges one later.
///
/// Name the message by its id, then `channel_message_id` tells the id that the provider gave it; or by `channel_id` and
/// `channel_message_id`. Reports may come in any order and repeatedly: a status only climbs. A failed try is repeated up to
/// 5 times when its failure may pass, after 5 seconds, doubled each time up to 5 minutes, give or take a fifth. A try that the provider
/// puts off (`rate_limited`) does not count within 24 hours, and comes again after a minute or when the provider says.
///
/// A message of another device that turns out to be this one is superseded: one stays visible, with what was known of both.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportDelivery {
    #[serde(default)]
    pub id: Option<MessageId>,
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    /// 1 to 255 characters.
    #[serde(default)]
    pub channel_message_id: Option<String>,
    pub status: ReportedStatus,
    /// When it happened at the provider; now unless told.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// The try it is about, as `messages.claim_due` gave it. A failure of an earlier try changes nothing.
    #[serde(default)]
    pub attempt: Option<u16>,
    /// In a group: who got, read or played it.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub participant: Option<String>,
    #[serde(default)]
    pub failure: Option<ReportedFailure>,
}

/// What a report changed, and the message as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryResult {
    pub outcome: ReportOutcome,
    /// None when no message has this id yet.
    pub message: Option<Message>,
}

impl Command for ReportDelivery {
    const NAME: &'static str = "messages.report_delivery";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MessageNotFound,
        ErrorCode::ChannelNotFound,
        ErrorCode::InvalidState,
        ErrorCode::ChannelMessageIdTaken,
        ErrorCode::FieldRequired,
        ErrorCode::InputInvalid,
        ErrorCode::TimestampInFuture,
    ];
    type Output = DeliveryResult;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<DeliveryResult> {
        let report = self.checked(work.now())?;
        let message = match (self.id, self.channel_id, &self.channel_message_id) {
            (Some(id), _, _) => match work.find::<Message>(id).await? {
                Some(message) => message,
                None => return Err(Error::new(ErrorCode::MessageNotFound).at("id").with("id", id.to_string())),
            },
            (None, Some(channel), Some(external_id)) => {
                let line = Line::load(work, channel).await?;
                match work.by_key::<Message>("message.external", &channel.to_string(), external_id).await? {
                    Some(message) => message,
                    None => return line.park(work, external_id, &report),
                }
            }
            (None, None, _) => return Err(Error::new(ErrorCode::FieldRequired).at("id")),
            (None, Some(_), None) => return Err(Error::new(ErrorCode::FieldRequired).at("channel_message_id")),
        };
        let learnt = self.channel_message_id.filter(|_| message.channel_message_id.is_none());
        let pause = self.failure.and_then(|failure| failure.retry_after_seconds);
        settle(work, message, &report, Try { attempt: self.attempt, pause }, learnt).await
    }
}

impl ReportDelivery {
    fn checked(&self, now: Timestamp) -> Result<DeliveryReport> {
        let at = self.at.unwrap_or(now);
        if at > now.plus_seconds(MAX_AHEAD_SECONDS) {
            return Err(Error::new(ErrorCode::TimestampInFuture).at("at"));
        }
        let fits = |text: &Option<String>, max| {
            text.as_ref()
                .is_none_or(|text| (1..=max).contains(&text.chars().count()) && !text.chars().any(char::is_control))
        };
        if !fits(&self.channel_message_id, MAX_EXTERNAL_ID) {
            return Err(Error::new(ErrorCode::InputInvalid).at("channel_message_id").with("max", MAX_EXTERNAL_ID));
        }
        if !fits(&self.participant, MAX_PARTICIPANT) {
            return Err(Error::new(ErrorCode::InputInvalid).at("participant").with("max", MAX_PARTICIPANT));
        }
        let signal = match self.status {
            ReportedStatus::Sent => AckSignal::Sent,
            ReportedStatus::Delivered => AckSignal::Delivered,
            ReportedStatus::Read => AckSignal::Read,
            ReportedStatus::Played => AckSignal::Played,
            ReportedStatus::Failed => AckSignal::Failed,
        };
        if let Some(seconds) = self.failure.as_ref().and_then(|failure| failure.retry_after_seconds)
            && !(0..=MAX_RETRY_AFTER).contains(&seconds)
        {
            let range = Error::new(ErrorCode::ValueOutOfRange).with("min", 0).with("max", MAX_RETRY_AFTER);
            return Err(range.at("retry_after_seconds").at("failure"));
        }
        let failure = self.failure.as_ref().map(ReportedFailure::read);
        Ok(DeliveryReport { signal, at: at.min(now), participant: self.participant.clone(), failure })
    }
}

impl ReportedFailure {
    fn read(&self) -> Failure {
        Failure {
            code: self.code,
            reason: self.reason.as_deref().unwrap_or_default().chars().take(MAX_FAILURE_REASON).collect(),
            retryable: self.retryable.unwrap_or_else(|| self.code.is_retryable()),
            provider_code: self.provider_code.clone(),
        }
    }
}

/// Which try a report is of, and for how long the provider wants to be left alone.
#[derive(Clone, Copy)]
struct Try {
    attempt: Option<u16>,
    pause: Option<i64>,
}

/// Takes a report in. `learnt` is the provider's id, when the message had none.
async fn settle(
    work: &mut UnitOfWork<'_>,
    mut message: Root<Message>,
    report: &DeliveryReport,
    tried: Try,
    learnt: Option<String>,
) -> Result<DeliveryResult> {
    if matches!(message.status, MessageStatus::Scheduled | MessageStatus::Cancelled | MessageStatus::Expired) {
        return Err(message.wrong_status());
    }
    let outcome = match report.signal {
        AckSignal::Failed if message.direction == Direction::Outbound => {
            fail(work, &mut message, report, tried).await?
        }
        _ => {
            let echo = match &learnt {
                Some(external_id) => supersede_echo(work, &message, external_id).await?,
                None => None,
            };
            let id = message.id;
            let is_news = climb(work, &mut message, report, learnt.as_ref()).await?;
            work.save(message)?;
            if let Some(echo) = echo {
                reapply(work, id, &echo).await?;
            }
            if let Some(external_id) = &learnt {
                apply_waiting(work, id, external_id).await?;
            }
            message = reload(work, id).await?;
            if is_news { ReportOutcome::Applied } else { ReportOutcome::Unchanged }
        }
    };
    if outcome == ReportOutcome::Applied {
        timers::disarm(work, &message);
    }
    let message = if message.is_unchanged() { message.state().clone() } else { work.save(message)? };
    Ok(DeliveryResult { outcome, message: Some(message) })
}

async fn reload(work: &mut UnitOfWork<'_>, id: MessageId) -> Result<Root<Message>> {
    work.find::<Message>(id).await?.ok_or_else(|| Error::internal("a message vanished from its unit of work"))
}

/// A failed try: another one later, or none.
async fn fail(
    work: &mut UnitOfWork<'_>,
    message: &mut Root<Message>,
    report: &DeliveryReport,
    Try { attempt, pause }: Try,
) -> Result<ReportOutcome> {
    let is_of_earlier_try = attempt.is_some_and(|attempt| attempt < message.attempts);
    match message.status {
        MessageStatus::Queued if message.attempts == 0 => return Err(message.wrong_status()),
        MessageStatus::Sending if !is_of_earlier_try => {}
        MessageStatus::Sent if !is_of_earlier_try => {
            let is_news = acknowledge(work, message, report).await?;
            return Ok(if is_news { ReportOutcome::Applied } else { ReportOutcome::Unchanged });
        }
        _ => return Ok(ReportOutcome::Unchanged),
    }
    let unexplained = || Failure::of(FailureCode::Unknown, "the try failed, and no reason was given");
    let failure = report.failure.clone().unwrap_or_else(unexplained);
    let chance = || u16::from_be_bytes(work.random::<2>());
    if failure.retryable && failure.code == FailureCode::RateLimited && !message.was_put_off_too_long(work.now()) {
        message.put_off(failure, pause, chance());
        return Ok(ReportOutcome::Retrying);
    }
    if failure.retryable && message.attempts < MAX_ATTEMPTS {
        message.retry_later(failure, pause, chance());
        return Ok(ReportOutcome::Retrying);
    }
    let metrics = metrics_if(work, message, false).await?;
    message.give_up(failure, report.at, metrics);
    Ok(ReportOutcome::Applied)
}

/// Moves the message up to the reported status, and notes the provider's id.
async fn climb(
    work: &mut UnitOfWork<'_>,
    message: &mut Root<Message>,
    report: &DeliveryReport,
    learnt: Option<&String>,
) -> Result<bool> {
    let Some(external_id) = learnt.filter(|_| message.direction == Direction::Outbound) else {
        return acknowledge(work, message, report).await;
    };
    if message.status.rank() < MessageStatus::Sent.rank() {
        let counts_again = message.status == MessageStatus::Failed;
        let metrics = if counts_again { metrics_if(work, message, true).await? } else { None };
        message.confirm_sent(Some(external_id.clone()), report.at, metrics);
    } else {
        message.learn_external_id(external_id.clone());
    }
    acknowledge(work, message, report).await?;
    Ok(true)
}

/// Hides the message of another device that has the id of this one: both are the same.
///
/// # Errors
/// `channel_message_id_taken` when the other one is no echo.
async fn supersede_echo(work: &mut UnitOfWork<'_>, mine: &Message, external_id: &str) -> Result<Option<Message>> {
    let channel = mine.channel_id.to_string();
    let Some(mut echo) = work.by_key::<Message>("message.external", &channel, external_id).await? else {
        return Ok(None);
    };
    if echo.source != MessageSource::Device || echo.chat_id != mine.chat_id {
        let taken = Error::new(ErrorCode::ChannelMessageIdTaken).at("channel_message_id");
        return Err(taken.with("id", echo.id.to_string()));
    }
    let session_metrics = metrics_if(work, &echo, false).await?;
    let (chat_id, session_id) = (echo.chat_id, echo.session_id);
    let channel_message_id = external_id.to_owned();
    echo.record(MessageEvent::Superseded { by: mine.id, channel_message_id, chat_id, session_id, session_metrics });
    work.save(echo).map(Some)
}

/// Gives this message what the echo had heard from the provider.
async fn reapply(work: &mut UnitOfWork<'_>, id: MessageId, echo: &Message) -> Result<()> {
    let mut message = reload(work, id).await?;
    let heard = [
        (AckSignal::Delivered, echo.delivered_at),
        (AckSignal::Read, echo.read_at),
        (AckSignal::Played, echo.played_at),
    ];
    for (signal, at) in heard {
        if let Some(at) = at {
            message.acknowledge(&DeliveryReport { signal, at, participant: None, failure: None }, None);
        }
    }
    work.save(message)?;
    Ok(())
}

/// Applies what the provider said before the message had its id.
async fn apply_waiting(work: &mut UnitOfWork<'_>, id: MessageId, external_id: &str) -> Result<()> {
    let channel = reload(work, id).await?.channel_id;
    let line = Line::load(work, channel).await?;
    let intake = line.intake(work.now());
    targets::apply_waiting(work, &intake, external_id, id).await
}

/// A channel with what the intake of its deliveries needs.
struct Line {
    project: Arc<Project>,
    channel: Channel,
    channel_type: ChannelType,
}

impl Line {
    async fn load(work: &UnitOfWork<'_>, id: ChannelId) -> Result<Line> {
        let channel = work.reader().get::<Channel>(id).await?;
        let channel_type = by_code(work.reader(), &channel.channel_type).await?;
        let project = access::current(work.reader()).await?.ok_or(ErrorCode::ProjectNotFound)?;
        Ok(Line { project, channel, channel_type })
    }

    fn intake(&self, received_at: Timestamp) -> Intake<'_> {
        Intake {
            project: &self.project,
            channel: &self.channel,
            channel_type: &self.channel_type,
            received_at,
            last_try: false,
        }
    }

    /// Keeps a report until a message of this id appears.
    fn park(&self, work: &mut UnitOfWork<'_>, external_id: &str, report: &DeliveryReport) -> Result<DeliveryResult> {
        let item = InboundItem::Ack(InboundAck {
            provider: ProviderEvent::default(),
            channel_message_id: external_id.to_owned(),
            chat: None,
            participant: report.participant.clone().map(|wid| Identifiers { wid: Some(wid), ..Identifiers::default() }),
            signal: report.signal,
            provider_code: report.failure.as_ref().and_then(|failure| failure.provider_code.clone()),
            at: report.at,
        });
        let intake = self.intake(work.now());
        targets::park(work, &intake, &item, &targets::prefix("message", self.channel.id, external_id))?;
        Ok(DeliveryResult { outcome: ReportOutcome::Parked, message: None })
    }
}
