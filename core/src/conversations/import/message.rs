//! A message of the past as a host tells it.

use crate::channels::gateway::{AckSignal, ChatRef, Identifiers, InboundMessage, MediaRef, ProviderEvent, SourceHint};
use crate::conversations::content::{Attribution, Content, Forward, Mention};
use crate::kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A message of the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryMessage {
    /// 1 to 255 characters, unique per channel: the key against duplicates.
    pub channel_message_id: String,
    /// Written by our own line.
    #[serde(default)]
    pub from_me: bool,
    /// The author: in a group the participant. May be left away for our own messages.
    #[serde(default)]
    pub sender: Identifiers,
    /// The other side of an individual chat: the sender unless told, and required for our own messages.
    #[serde(default)]
    pub peer: Option<Identifiers>,
    /// When the provider says it was sent; not before 2009.
    pub timestamp: Timestamp,
    pub content: Content,
    /// How the file of the content is reached.
    #[serde(default)]
    pub media_ref: Option<MediaRef>,
    #[serde(default)]
    pub reply_to_channel_message_id: Option<String>,
    /// In order, without duplicates, at most 256.
    #[serde(default)]
    pub mentions: Vec<Mention>,
    #[serde(default)]
    pub forward: Option<Forward>,
    #[serde(default)]
    pub attribution: Option<Attribution>,
    /// How far one of our own messages came; `sent` unless told.
    #[serde(default)]
    pub ack: Option<AckSignal>,
    /// Full provider ids and other particulars that later requests need.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub metadata: Map<String, Value>,
}

impl HistoryMessage {
    /// As a channel would deliver it in this chat.
    pub(super) fn delivered(self, chat: &ChatRef) -> InboundMessage {
        InboundMessage {
            provider: ProviderEvent::default(),
            channel_message_id: self.channel_message_id,
            chat: chat.clone(),
            from_me: self.from_me,
            source_hint: SourceHint::Unknown,
            sender: self.sender,
            peer: self.peer,
            timestamp: self.timestamp,
            content: self.content,
            media_ref: self.media_ref,
            reply_to_channel_message_id: self.reply_to_channel_message_id,
            reply_excerpt: None,
            mentions: self.mentions,
            forward: self.forward,
            ephemeral: false,
            view_once: false,
            attribution: self.attribution,
            initial_ack: self.ack,
            metadata: self.metadata,
        }
    }
}
