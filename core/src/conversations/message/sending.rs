//! The step that puts a message of ours into the queue, for `messages.send`, `messages.forward` and whatever else sends.

use super::line::{OutboundLine, Recipient, peer, recipient};
use super::{Direction, Message, MessageEvent, MessageOrigin, MessageSource, MessageStatus, NewMessage};
use super::{Priority, QueuedCause, ReleasedMessage, timers};
use crate::contacts::contact::Contact;
use crate::conversations::chat::{Chat, ChatType, preview};
use crate::conversations::content::{Content, Forward, Mention};
use crate::conversations::session::{Origin, Placed, PlacementFacts, SessionKind, TimeoutSettings, place_message};
use crate::engine::{Root, UnitOfWork};
use crate::kernel::{Actor, ChatId, Component, ContactId, Error, ErrorCode, MessageId, Result, Timestamp, text};
use crate::tenancy::project::Project;
use serde_json::{Map, Value};

/// A scheduled time may lie this many seconds back and still mean now.
const SCHEDULE_GRACE_SECONDS: i64 = 60;
const MAX_CLIENT_TOKEN: usize = 128;
const MAX_MENTIONS: usize = 256;
const MAX_METADATA_KEYS: usize = 64;

/// What is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Outbound {
    pub to: Recipient,
    pub content: Content,
    pub reply_to_id: Option<MessageId>,
    pub mentions: Vec<Mention>,
    pub priority: Priority,
    pub scheduled_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub client_token: Option<String>,
    /// None: what the actor and the schedule suggest.
    pub source: Option<MessageSource>,
    pub origin: Option<MessageOrigin>,
    pub forward: Option<Forward>,
    pub metadata: Map<String, Value>,
}

impl Outbound {
    /// A message with nothing but its content.
    pub fn new(to: Recipient, content: Content) -> Outbound {
        Outbound {
            to,
            content,
            reply_to_id: None,
            mentions: Vec::new(),
            priority: Priority::Normal,
            scheduled_at: None,
            expires_at: None,
            client_token: None,
            source: None,
            origin: None,
            forward: None,
            metadata: Map::new(),
        }
    }
}

/// What [`send`] raises, beside the errors of contents.
pub const ERRORS: &[ErrorCode] = &[
    ErrorCode::ChannelNotFound,
    ErrorCode::ChannelNotActive,
    ErrorCode::ChatNotFound,
    ErrorCode::ChatClosed,
    ErrorCode::ContactNotFound,
    ErrorCode::RecipientUnreachable,
    ErrorCode::MessageContactMismatch,
    ErrorCode::ClientTokenReused,
    ErrorCode::ContentTypeNotSupported,
    ErrorCode::ReplyTargetMismatch,
    ErrorCode::ReplyWindowClosed,
    ErrorCode::GroupsNotSupported,
    ErrorCode::NewslettersNotSupported,
    ErrorCode::ScheduleInPast,
    ErrorCode::ExpiryInvalid,
];

/// Puts a message into the queue, or plans it. Returns the first message of a `client_token` that was used for the same
/// content.
///
/// # Errors
/// [`ERRORS`], those of [`Content::validate_outbound`] at `content`, limits of the other fields.
pub async fn send(work: &mut UnitOfWork<'_>, outbound: Outbound) -> Result<Message> {
    if let Some(first) = first_of_token(work, &outbound).await? {
        return Ok(first);
    }
    check_shape(&outbound)?;
    let now = work.now();
    let is_scheduled = check_times(&outbound, now)?;
    let source = source_of(work, &outbound)?;
    let (chat, line) = recipient(work, outbound.to).await?;
    line.check_reach(&chat)?;
    line.check_content(&outbound.content).map_err(|e| e.at("content"))?;
    if !is_scheduled && line.is_window_closed(&chat, &outbound.content, now) {
        let hours = line.channel_type.capabilities.reply_window_hours.unwrap_or_default();
        return Err(Error::new(ErrorCode::ReplyWindowClosed).with("hours", hours));
    }
    check_mentions(work, &outbound.mentions).await?;
    let reply_to_channel_message_id = match outbound.reply_to_id {
        Some(quoted) => quoted_in(work, quoted, chat.id).await?,
        None => None,
    };
    let id: MessageId = work.new_id();
    let placed = match is_scheduled {
        true => None,
        false => place(work, &line, &chat, source, id).await?,
    };
    let new = NewMessage {
        channel_id: line.channel.id,
        channel_type: line.channel.channel_type.clone(),
        chat_id: chat.id,
        contact_id: peer(&chat),
        session_id: placed.as_ref().map(|placed| placed.session_id),
        direction: Direction::Outbound,
        source,
        agent_id: Some(line.agent(work, source)),
        sender_external_id: None,
        sender_name: None,
        content: outbound.content,
        channel_message_id: None,
        client_token: outbound.client_token,
        reply_to_id: outbound.reply_to_id,
        reply_to_channel_message_id,
        forward: outbound.forward,
        mentions: without_repeats(outbound.mentions),
        status: if is_scheduled { MessageStatus::Scheduled } else { MessageStatus::Queued },
        timestamp: now,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        played_at: None,
        failed_at: None,
        failure: None,
        priority: outbound.priority,
        scheduled_at: outbound.scheduled_at,
        expires_at: outbound.expires_at,
        language: None,
        attribution: None,
        tracking_code: None,
        historical: false,
        origin: outbound.origin,
        metadata: outbound.metadata,
        placement: placed.as_ref().map(|placed| placed.placement),
        session_metrics: placed.and_then(|placed| placed.metrics),
        unread_after: None,
        import_id: None,
    };
    let message = work.create::<Message>(id, MessageEvent::Created(Box::new(new)))?;
    let message = work.save(message)?;
    timers::arm(work, &message);
    Ok(message)
}

/// Why a scheduled message does not go out after all.
pub(super) enum Refusal {
    /// What it was meant for is closed or deleted.
    Gone(&'static str),
    ReplyWindow,
}

/// Whether what was right when it was planned still is.
pub(super) async fn refusal_at_release(work: &mut UnitOfWork<'_>, message: &Message) -> Result<Option<Refusal>> {
    let chat = work.find::<Chat>(message.chat_id).await?.filter(|chat| chat.deleted_at.is_none() && !chat.is_closed());
    let Some(chat) = chat else { return Ok(Some(Refusal::Gone("chat_closed"))) };
    let line = match OutboundLine::load(work, message.channel_id).await {
        Ok(line) => line,
        Err(error) if error.code() == ErrorCode::ChannelNotFound => return Ok(Some(Refusal::Gone("channel_deleted"))),
        Err(error) => return Err(error),
    };
    Ok(line.is_window_closed(&chat, &message.content, work.now()).then_some(Refusal::ReplyWindow))
}

/// Puts a scheduled message into the queue, and into the session of the moment.
pub(super) async fn release(work: &mut UnitOfWork<'_>, message: &mut Root<Message>) -> Result<()> {
    let line = OutboundLine::load(work, message.channel_id).await?;
    let chat = work.load::<Chat>(message.chat_id).await?.state().clone();
    let placed = place(work, &line, &chat, message.source, message.id).await?;
    let released = ReleasedMessage {
        source: message.source,
        content_type: message.content.content_type(),
        preview: preview(&message.content),
        agent_id: message.agent_id,
    };
    let (queued_at, chat_id, contact_id) = (work.now(), message.chat_id, message.contact_id);
    message.record(MessageEvent::Queued {
        queued_at,
        cause: QueuedCause::Released,
        session_id: placed.as_ref().map(|placed| placed.session_id),
        placement: placed.as_ref().map(|placed| placed.placement),
        session_metrics: placed.and_then(|placed| placed.metrics),
        chat_id,
        contact_id,
        released: Some(released),
    });
    Ok(())
}

async fn first_of_token(work: &mut UnitOfWork<'_>, outbound: &Outbound) -> Result<Option<Message>> {
    let Some(token) = &outbound.client_token else { return Ok(None) };
    let length = token.chars().count();
    if length == 0 || length > MAX_CLIENT_TOKEN || token.chars().any(char::is_control) {
        let error =
            Error::new(ErrorCode::InputInvalid).message("a client token has 1 to 128 characters, none of control");
        return Err(error.at("client_token").with("max", MAX_CLIENT_TOKEN));
    }
    let Some(first) = work.by_key::<Message>("message.client_token", "", token).await? else { return Ok(None) };
    let same_place = match outbound.to {
        Recipient::Chat(chat) => first.chat_id == chat,
        Recipient::Contact { contact_id, channel_id } => {
            first.contact_id == Some(contact_id) && first.channel_id == channel_id
        }
    };
    if first.content == outbound.content && same_place {
        return Ok(Some(first.state().clone()));
    }
    Err(Error::new(ErrorCode::ClientTokenReused).at("client_token").with("id", first.id.to_string()))
}

fn check_shape(outbound: &Outbound) -> Result<()> {
    if outbound.mentions.len() > MAX_MENTIONS {
        return Err(Error::new(ErrorCode::LimitOutOfRange).at("mentions").with("max", MAX_MENTIONS));
    }
    if outbound.metadata.len() > MAX_METADATA_KEYS {
        return Err(Error::new(ErrorCode::JsonTooLarge).at("metadata").with("max_keys", MAX_METADATA_KEYS));
    }
    let metadata = Value::Object(outbound.metadata.clone());
    text::json_limits(&metadata, text::JSON_MAX_BYTES, text::JSON_MAX_DEPTH).map_err(|e| e.at("metadata"))
}

/// Whether it waits for a later time.
fn check_times(outbound: &Outbound, now: Timestamp) -> Result<bool> {
    if let Some(at) = outbound.scheduled_at
        && at < now.plus_seconds(-SCHEDULE_GRACE_SECONDS)
    {
        return Err(Error::new(ErrorCode::ScheduleInPast).at("scheduled_at"));
    }
    let start = outbound.scheduled_at.map_or(now, |at| at.max(now));
    if outbound.expires_at.is_some_and(|until| until <= start) {
        return Err(Error::new(ErrorCode::ExpiryInvalid).at("expires_at"));
    }
    Ok(outbound.scheduled_at.is_some_and(|at| at > now))
}

fn source_of(work: &UnitOfWork<'_>, outbound: &Outbound) -> Result<MessageSource> {
    if let Some(source) = outbound.source {
        let allowed = || MessageSource::ALL.iter().filter(|source| source.can_send()).map(|source| source.as_str());
        return match source.can_send() {
            true => Ok(source),
            false => {
                Err(Error::new(ErrorCode::EnumUnknown).at("source").with("allowed", allowed().collect::<Vec<_>>()))
            }
        };
    }
    if outbound.scheduled_at.is_some() {
        return Ok(MessageSource::Scheduled);
    }
    Ok(match work.actor().actor {
        Actor::Agent(_) => MessageSource::Bot,
        Actor::System(component) => match component {
            Component::Broadcast => MessageSource::Broadcast,
            Component::Campaign => MessageSource::Campaign,
            Component::Sequence => MessageSource::Sequence,
            Component::Trigger => MessageSource::Trigger,
            Component::Webhook => MessageSource::Webhook,
            Component::Scheduled => MessageSource::Scheduled,
            Component::Test => MessageSource::Test,
            // The host calls for a person.
            Component::Host => MessageSource::Manual,
            _ => MessageSource::System,
        },
        Actor::User(_) | Actor::ApiKey(_) | Actor::Contact(_) => MessageSource::Manual,
    })
}

/// The provider's id of a quoted message, which must be in the same chat.
async fn quoted_in(work: &mut UnitOfWork<'_>, quoted: MessageId, chat: ChatId) -> Result<Option<String>> {
    let quoted = work.find::<Message>(quoted).await?.filter(|quoted| quoted.chat_id == chat);
    let quoted = quoted.ok_or_else(|| Error::new(ErrorCode::ReplyTargetMismatch).at("reply_to_id"))?;
    Ok(quoted.channel_message_id.clone())
}

/// Finds or opens the session of a message that is sent now.
async fn place(
    work: &mut UnitOfWork<'_>,
    line: &OutboundLine,
    chat: &Chat,
    source: MessageSource,
    message_id: MessageId,
) -> Result<Option<Placed>> {
    let kind = match chat.chat_type {
        ChatType::Individual if chat.contact_id.is_some() => SessionKind::Direct,
        ChatType::Group => SessionKind::Group,
        _ => return Ok(None),
    };
    let project = work.reader().find_any::<Project>(work.project()).await?;
    let timeout = TimeoutSettings {
        pipeline: None,
        channel: line.channel.session_timeout_minutes.map(i64::from),
        project: project.map(|project| i64::from(project.session_timeout_minutes)),
        import: None,
    }
    .resolve();
    let facts = PlacementFacts {
        chat_id: chat.id,
        channel_id: line.channel.id,
        channel_type: line.channel.channel_type.clone(),
        kind,
        contact_id: peer(chat),
        timestamp: work.now(),
        timeout_seconds: timeout.seconds,
        timeout_source: timeout.source,
        pipeline_id: line.channel.pipeline_id,
        origin: Origin::Outbound,
        direction: Direction::Outbound,
        source,
        message_id,
    };
    place_message(work, &facts).await
}

/// Whoever is mentioned as a contact is one of the project.
async fn check_mentions(work: &mut UnitOfWork<'_>, mentions: &[Mention]) -> Result<()> {
    let named: Vec<ContactId> = mentions.iter().filter_map(|mention| mention.contact_id).collect();
    if named.is_empty() {
        return Ok(());
    }
    work.prefetch::<Contact>(&named).await?;
    for (place, mention) in mentions.iter().enumerate() {
        if let Some(id) = mention.contact_id {
            work.load::<Contact>(id).await.map_err(|error| error.at(format!("mentions[{place}].contact_id")))?;
        }
    }
    Ok(())
}

fn without_repeats(mentions: Vec<Mention>) -> Vec<Mention> {
    let mut seen = std::collections::BTreeSet::new();
    mentions.into_iter().filter(|mention| seen.insert(mention.external_id.clone())).collect()
}
