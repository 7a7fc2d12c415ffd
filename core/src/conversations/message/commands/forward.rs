//! Forwarding.

use crate::conversations::content::{ContentType, Forward};
use crate::conversations::message::sending::{Outbound, send};
use crate::conversations::message::{Message, Recipient};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{ChatId, Error, ErrorCode, MessageId, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most chats of one call.
const MAX_CHATS: usize = 20;

/// Sends what a message says into other chats, marked as forwarded. All or nothing.
///
/// Limits: 1 to 20 chats. Notices of the system, unsupported kinds and messages that were taken back stay where they are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardMessage {
    pub id: MessageId,
    pub chat_ids: Vec<ChatId>,
}

impl Command for ForwardMessage {
    const NAME: &'static str = "messages.forward";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MessageNotFound,
        ErrorCode::MessageNotForwardable,
        ErrorCode::LimitOutOfRange,
        ErrorCode::ChatNotFound,
        ErrorCode::ChatClosed,
        ErrorCode::ChannelNotActive,
        ErrorCode::RecipientUnreachable,
        ErrorCode::ContentTypeNotSupported,
        ErrorCode::MediaRequired,
        ErrorCode::TextTooLong,
        ErrorCode::PayloadTooLarge,
        ErrorCode::ContentNotAllowed,
        ErrorCode::ReplyWindowClosed,
        ErrorCode::GroupsNotSupported,
        ErrorCode::NewslettersNotSupported,
    ];
    type Output = Vec<Message>;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Vec<Message>> {
        if self.chat_ids.is_empty() || self.chat_ids.len() > MAX_CHATS {
            return Err(Error::new(ErrorCode::LimitOutOfRange).at("chat_ids").with("min", 1).with("max", MAX_CHATS));
        }
        let original = work.load::<Message>(self.id).await?.state().clone();
        let kind = original.content.content_type();
        if original.revoked_at.is_some() || matches!(kind, ContentType::System | ContentType::Unsupported) {
            return Err(Error::new(ErrorCode::MessageNotForwardable).with("id", self.id.to_string()));
        }
        let score = original.forward.map_or(0, |forward| forward.score.saturating_add(1));
        let mut sent = Vec::with_capacity(self.chat_ids.len());
        for (place, chat) in self.chat_ids.iter().enumerate() {
            let forward = Some(Forward { score, from_message_id: Some(original.id) });
            let outbound = Outbound { forward, ..Outbound::new(Recipient::Chat(*chat), original.content.clone()) };
            sent.push(send(work, outbound).await.map_err(|e| e.at(format!("chat_ids[{place}]")))?);
        }
        Ok(sent)
    }
}
