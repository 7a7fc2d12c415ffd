//! Changing or taking back what went out.

use crate::channels::channel_type::ChannelFamily;
use crate::conversations::content::ContentType;
use crate::conversations::message::OutboundLine;
use crate::conversations::message::telling::{tell_edit, tell_revoke};
use crate::conversations::message::{Direction, Message, MessageStatus, Party};
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{Error, ErrorCode, MessageId, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// WhatsApp lets its users take a message back for 60 hours.
const WHATSAPP_REVOKE_SECONDS: i64 = 60 * 3_600;

/// Changes the text or caption of a message of ours. One that has not gone out yet goes out changed.
///
/// A sent one can be changed where its channel can do that (`capability_missing`), for as long as it allows (WhatsApp: 15 minutes). The
/// provider is told by a job of the same commit (`channel.message_edit`): at most 5 tries, after 5 seconds, doubled each time up to 10
/// minutes; of several edits the last one. What the provider refuses for good is a dead job with its reason, and the text stays changed
/// here. A host that sends by itself tells its provider on `message.edited` of an agent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditMessage {
    pub id: MessageId,
    pub text: String,
}

impl Command for EditMessage {
    const NAME: &'static str = "messages.edit";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MessageNotFound,
        ErrorCode::MessageNotEditable,
        ErrorCode::EditWindowClosed,
        ErrorCode::CapabilityMissing,
        ErrorCode::TextRequired,
        ErrorCode::TextTooLong,
        ErrorCode::ChannelNotFound,
    ];
    type Output = Message;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Message> {
        let mut message = work.load::<Message>(self.id).await?;
        let not_editable = || Error::new(ErrorCode::MessageNotEditable).with("id", self.id.to_string());
        let kind = message.content.content_type();
        let has_words = kind == ContentType::Text || kind.is_captioned();
        if message.direction != Direction::Outbound || message.revoked_at.is_some() || !has_words {
            return Err(not_editable());
        }
        if message.content.words() == Some(self.text.as_str()) {
            return Ok(message.state().clone());
        }
        let line = OutboundLine::load(work, message.channel_id).await?;
        let is_unsent = message.is_unsent();
        if !is_unsent {
            let is_out = matches!(
                message.status,
                MessageStatus::Sent | MessageStatus::Delivered | MessageStatus::Read | MessageStatus::Played
            );
            if !is_out {
                return Err(not_editable());
            }
            line.check_can("edit", line.channel_type.capabilities.edit)?;
            if let Some(minutes) = line.channel_type.capabilities.edit_window_minutes
                && age_seconds(&message) > 60 * i64::from(minutes)
            {
                return Err(Error::new(ErrorCode::EditWindowClosed).with("minutes", minutes));
            }
        }
        let mut changed = message.content.clone();
        changed.set_words(&self.text);
        line.check_content(&changed).map_err(|e| Error::new(e.code()).at("text"))?;
        let by = Party::Agent { id: line.agent(work, message.source) };
        // Later than the one before, also when the clock stands still: the newest edit is the text.
        let at = message.edited_at.map_or(message.now(), |before| message.now().max(before.plus_micros(1)));
        let is_changed = message.edit(&self.text, at, by);
        let message = work.save(message)?;
        if is_changed && !is_unsent {
            tell_edit(work, &line, &message, at);
        }
        Ok(message)
    }
}

/// Takes a message of ours back for everyone. What it said stays readable here.
///
/// Only one that was sent (`invalid_state`; cancel one that was not), where its channel can do that (`capability_missing`) and while it
/// allows (WhatsApp: 60 hours). The provider is told by a job of the same commit (`channel.message_revoke`), with tries as for
/// `messages.edit`; what it refuses for good is a dead job with its reason. A host that sends by itself tells its provider on
/// `message.revoked` of an agent. Again changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeMessage {
    pub id: MessageId,
}

impl Command for RevokeMessage {
    const NAME: &'static str = "messages.revoke";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MessageNotFound,
        ErrorCode::InvalidState,
        ErrorCode::RevokeWindowClosed,
        ErrorCode::CapabilityMissing,
        ErrorCode::ChannelNotFound,
    ];
    type Output = Message;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Message> {
        let mut message = work.load::<Message>(self.id).await?;
        if message.revoked_at.is_some() {
            return Ok(message.state().clone());
        }
        let is_out = message.status.rank() >= MessageStatus::Sent.rank();
        if message.direction != Direction::Outbound || !is_out {
            return Err(message.wrong_status());
        }
        let line = OutboundLine::load(work, message.channel_id).await?;
        line.check_can("revoke", line.channel_type.capabilities.revoke)?;
        let is_late = age_seconds(&message) > WHATSAPP_REVOKE_SECONDS;
        if is_late && line.channel_type.family == ChannelFamily::Whatsapp {
            return Err(Error::new(ErrorCode::RevokeWindowClosed).with("hours", WHATSAPP_REVOKE_SECONDS / 3_600));
        }
        let by = Party::Agent { id: line.agent(work, message.source) };
        let now = message.now();
        message.revoke(now, by);
        let message = work.save(message)?;
        tell_revoke(work, &line, &message);
        Ok(message)
    }
}

/// Since it went out.
fn age_seconds(message: &Root<Message>) -> i64 {
    message.now().seconds_since(message.sent_at.unwrap_or(message.timestamp))
}
