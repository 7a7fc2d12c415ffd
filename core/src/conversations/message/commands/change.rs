//! Reactions, particulars, hiding.

use super::reason;
use crate::conversations::message::OutboundLine;
use crate::conversations::message::telling::tell_reaction;
use crate::conversations::message::{Message, MessageEvent, MessageSource, Party};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{Error, ErrorCode, Language, MessageId, Permission, Result, text::json_patch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const MAX_METADATA_KEYS: usize = 64;

/// Sets the reaction of our side, or removes it with an empty emoji. A new one replaces the old.
///
/// Only where the channel can do that (`capability_missing`). The provider is told by a job of the same commit (`channel.reaction`), with
/// tries as for `messages.edit`; of several changes the last one, and of a message that waits to be sent after it was. What it refuses for
/// good is a dead job with its reason. A line has one reaction there, whichever agent gave it. A host that sends by itself tells its
/// provider on `message.reaction_added` and `message.reaction_removed` of an agent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct React {
    pub id: MessageId,
    /// At most 32 bytes; empty removes.
    pub emoji: String,
}

impl Command for React {
    const NAME: &'static str = "messages.react";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MessageNotFound,
        ErrorCode::EmojiInvalid,
        ErrorCode::CapabilityMissing,
        ErrorCode::ChannelNotFound,
    ];
    type Output = Message;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Message> {
        let mut message = work.load::<Message>(self.id).await?;
        let line = OutboundLine::load(work, message.channel_id).await?;
        let by = Party::Agent { id: line.agent(work, MessageSource::Manual) };
        let last = message.last_reaction(by);
        if last.and_then(|(emoji, _)| emoji).unwrap_or_default() == self.emoji {
            return Ok(message.state().clone());
        }
        line.check_can("reactions", line.channel_type.capabilities.reactions)?;
        // Later than the one before on our side, also when the clock stands still.
        let before = message.last_own_reaction().map(|(_, _, before)| before);
        let at = before.map_or(work.now(), |before| work.now().max(before.plus_micros(1)));
        message.react(by, Some(&self.emoji), at)?;
        let message = work.save(message)?;
        tell_reaction(work, &line, &message, at);
        Ok(message)
    }
}

/// Hides a message in the CRM. The provider and the contact keep it; its external id stays taken, so that it is not
/// recorded a second time. Again changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteMessage {
    pub id: MessageId,
    /// At most 1 000 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for DeleteMessage {
    const NAME: &'static str = "messages.delete";
    const PERMISSION: Permission = Permission::MessagesDelete;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::MessageNotFound, ErrorCode::TextTooLong, ErrorCode::TextControlChar];
    type Output = Message;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Message> {
        let reason = reason(self.reason.as_deref())?;
        if let Some(known) = work.find::<Message>(self.id).await?
            && known.deleted_at.is_some()
        {
            return Ok(known.state().clone());
        }
        let mut message = work.load::<Message>(self.id).await?;
        let (at, chat_id) = (message.now(), message.chat_id);
        message.record(MessageEvent::Deleted { reason, at, chat_id });
        work.save(message)
    }
}

/// Changes the particulars of a message: the host's own metadata, key by key, and its language.
///
/// Limits: metadata of 64 keys and 16 KiB.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMessage {
    pub id: MessageId,
    /// ISO 639-1, for example `pt`; of a longer tag only the language is kept.
    #[serde(default)]
    pub language: Option<String>,
    /// Keys to set; a null removes its key, all others stay.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
}

impl Command for UpdateMessage {
    const NAME: &'static str = "messages.update";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MessageNotFound,
        ErrorCode::LanguageInvalid,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonKeyInvalid,
        ErrorCode::TextControlChar,
    ];
    type Output = Message;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Message> {
        let mut message = work.load::<Message>(self.id).await?;
        if let Some(language) = &self.language {
            let language = two_letters(language).map_err(|e| e.at("language"))?;
            if message.language.as_ref() != Some(&language) {
                message.record(MessageEvent::LanguageDetected { language });
            }
        }
        if let Some(patch) = self.metadata {
            let (removals, settings): (Vec<_>, Vec<_>) = patch.into_iter().partition(|(_, value)| value.is_null());
            let removed: Vec<String> =
                removals.into_iter().map(|(key, _)| key).filter(|key| message.metadata.contains_key(key)).collect();
            let set: Map<String, Value> =
                settings.into_iter().filter(|(key, value)| message.metadata.get(key) != Some(value)).collect();
            let after = json_patch(&message.metadata, set.clone(), &removed).map_err(|e| e.at("metadata"))?;
            if after.len() > MAX_METADATA_KEYS {
                return Err(Error::new(ErrorCode::JsonTooLarge).at("metadata").with("max_keys", MAX_METADATA_KEYS));
            }
            if !(set.is_empty() && removed.is_empty()) {
                let contact_id = message.contact_id;
                message.record(MessageEvent::MetadataUpdated { set, removed, contact_id });
            }
        }
        work.save(message)
    }
}

fn two_letters(text: &str) -> Result<String> {
    let language = Language::parse(text)?;
    match language.primary() {
        primary if primary.len() == 2 => Ok(primary.to_owned()),
        _ => Err(ErrorCode::LanguageInvalid.into()),
    }
}
