//! Sending.

use crate::conversations::content::{Content, Mention};
use crate::conversations::message::sending::{Outbound, send};
use crate::conversations::message::{Message, MessageOrigin, MessageSource, Priority, Recipient};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{ChannelId, ChatId, ContactId, Error, ErrorCode, MessageId, Permission, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Puts a message into the queue of its channel, now or at `scheduled_at`, and returns it.
///
/// Give `chat_id`, or `contact_id` and `channel_id`: then it goes into the contact's chat on the channel, which is opened
/// when there is none. A message that answers (of a person, a bot or a schedule) opens a session where none is active.
///
/// The message waits until a dispatcher hands it to the provider; `messages.claim_due` is how a host does that itself.
/// With a `client_token` the same send again, after a lost answer say, returns the first message.
///
/// Limits: 4 096 characters, or fewer where the channel says so; 256 mentions; metadata of 64 keys and 16 KiB.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    #[serde(default)]
    pub chat_id: Option<ChatId>,
    #[serde(default)]
    pub contact_id: Option<ContactId>,
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    pub content: Content,
    /// A message of the same chat.
    #[serde(default)]
    pub reply_to_id: Option<MessageId>,
    #[serde(default)]
    pub mentions: Vec<Mention>,
    /// `normal` unless told.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// When it goes out. Up to a minute in the past means now.
    #[serde(default)]
    pub scheduled_at: Option<Timestamp>,
    /// When it does not go out any more.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// 1 to 128 characters, unique in the project.
    #[serde(default)]
    pub client_token: Option<String>,
    /// What made it; unless told `scheduled` with a `scheduled_at`, `bot` for an agent, else `manual`.
    #[serde(default)]
    pub source: Option<MessageSource>,
    /// What follows its delivery.
    #[serde(default)]
    pub origin: Option<MessageOrigin>,
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

impl SendMessage {
    /// A message with nothing but its content.
    pub fn to_chat(chat_id: ChatId, content: Content) -> SendMessage {
        SendMessage { chat_id: Some(chat_id), contact_id: None, channel_id: None, ..SendMessage::of(content) }
    }

    /// A message into the individual chat of a contact on a channel.
    pub fn to_contact(contact_id: ContactId, channel_id: ChannelId, content: Content) -> SendMessage {
        SendMessage { contact_id: Some(contact_id), channel_id: Some(channel_id), ..SendMessage::of(content) }
    }

    fn of(content: Content) -> SendMessage {
        SendMessage {
            chat_id: None,
            contact_id: None,
            channel_id: None,
            content,
            reply_to_id: None,
            mentions: Vec::new(),
            priority: None,
            scheduled_at: None,
            expires_at: None,
            client_token: None,
            source: None,
            origin: None,
            metadata: Map::new(),
        }
    }
}

impl Command for SendMessage {
    const NAME: &'static str = "messages.send";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::TextRequired,
        ErrorCode::TextTooLong,
        ErrorCode::MediaRequired,
        ErrorCode::MediaUrlInsecure,
        ErrorCode::UrlInvalid,
        ErrorCode::UrlSchemeUnsupported,
        ErrorCode::MimeInvalid,
        ErrorCode::LocationRequired,
        ErrorCode::CoordinatesOutOfRange,
        ErrorCode::ContactCardRequired,
        ErrorCode::VcardInvalid,
        ErrorCode::TemplateRequired,
        ErrorCode::TemplateVariableInvalid,
        ErrorCode::ContentNotAllowed,
        ErrorCode::ContentTypeNotSupported,
        ErrorCode::PayloadTooLarge,
        ErrorCode::ChannelNotFound,
        ErrorCode::ChannelNotActive,
        ErrorCode::ChatNotFound,
        ErrorCode::ChatClosed,
        ErrorCode::ContactNotFound,
        ErrorCode::RecipientUnreachable,
        ErrorCode::MessageContactMismatch,
        ErrorCode::ClientTokenReused,
        ErrorCode::ReplyTargetMismatch,
        ErrorCode::ReplyWindowClosed,
        ErrorCode::GroupsNotSupported,
        ErrorCode::NewslettersNotSupported,
        ErrorCode::ScheduleInPast,
        ErrorCode::ExpiryInvalid,
        ErrorCode::FieldRequired,
        ErrorCode::EnumUnknown,
        ErrorCode::LimitOutOfRange,
        ErrorCode::NameTooLong,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
    ];
    type Output = Message;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Message> {
        let to = self.recipient(work).await?;
        send(
            work,
            Outbound {
                to,
                content: self.content,
                reply_to_id: self.reply_to_id,
                mentions: self.mentions,
                priority: self.priority.unwrap_or(Priority::Normal),
                scheduled_at: self.scheduled_at,
                expires_at: self.expires_at,
                client_token: self.client_token,
                source: self.source,
                origin: self.origin,
                forward: None,
                metadata: self.metadata,
            },
        )
        .await
    }
}

impl SendMessage {
    async fn recipient(&self, work: &mut UnitOfWork<'_>) -> Result<Recipient> {
        let Some(chat_id) = self.chat_id else {
            let missing = |field: &str| Error::new(ErrorCode::FieldRequired).at(field);
            let contact_id = self.contact_id.ok_or_else(|| missing("contact_id"))?;
            let channel_id = self.channel_id.ok_or_else(|| missing("channel_id"))?;
            return Ok(Recipient::Contact { contact_id, channel_id });
        };
        if self.contact_id.is_some() || self.channel_id.is_some() {
            let chat = work.load::<crate::conversations::chat::Chat>(chat_id).await?;
            let mismatch = |field: &str| Err(Error::new(ErrorCode::MessageContactMismatch).at(field));
            if self.contact_id.is_some_and(|contact| chat.contact_id != Some(contact)) {
                return mismatch("contact_id");
            }
            if self.channel_id.is_some_and(|channel| chat.channel_id != channel) {
                return mismatch("channel_id");
            }
        }
        Ok(Recipient::Chat(chat_id))
    }
}
