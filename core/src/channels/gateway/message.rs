//! An arrived message, and how its file can be fetched.

use super::{ChatRef, Identifiers, ProviderEvent};
use crate::conversations::content::{Attribution, Content, Forward, Mention};
use crate::kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How far a message has come, as the provider reports it. The order is the rank, `failed` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AckSignal {
    Failed,
    Queued,
    Sent,
    Delivered,
    Read,
    Played,
}

/// Where a message of ours was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceHint {
    /// Through the gateway.
    Api,
    /// On the paired phone or another client.
    App,
    #[default]
    Unknown,
}

/// How the file is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaFetch {
    /// By its address alone.
    #[default]
    Public,
    /// By its address, with the gateway's credentials.
    GatewayAuth,
    /// By asking the gateway for the message or the media id.
    ByProviderId,
}

/// What an adapter knows about a file beyond [`Media`](crate::conversations::content::Media).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MediaRef {
    #[serde(default)]
    pub fetch: MediaFetch,
    pub provider_media_id: Option<String>,
    /// Copy the file before this instant.
    pub url_expires_at: Option<Timestamp>,
    /// Pages of a document.
    pub pages: Option<u32>,
    pub animated: Option<bool>,
    /// Loudness over time of a sound, base64.
    pub waveform: Option<String>,
    /// A small JPEG, base64, at most 16 KiB when decoded.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub thumbnail: Option<String>,
    /// Why there is no file, for example `not_downloaded`.
    pub error: Option<String>,
}

/// A message as a channel delivers it, inbound or written on our own device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundMessage {
    #[serde(default)]
    pub provider: ProviderEvent,
    /// 1 to 255 characters, unique per channel: the key against duplicates.
    pub channel_message_id: String,
    pub chat: ChatRef,
    /// Written by our own line.
    pub from_me: bool,
    #[serde(default)]
    pub source_hint: SourceHint,
    /// The author: in a group the participant, for `from_me` our own line.
    pub sender: Identifiers,
    /// The other side of an individual chat: the sender, or the recipient when `from_me`. None elsewhere.
    pub peer: Option<Identifiers>,
    /// When the provider says it was sent; the flow clamps it.
    pub timestamp: Timestamp,
    pub content: Content,
    /// How the file of the content is reached.
    pub media_ref: Option<MediaRef>,
    pub reply_to_channel_message_id: Option<String>,
    /// The beginning of the quoted text, when the provider repeats it.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub reply_excerpt: Option<String>,
    /// In order, without duplicates, at most 256.
    #[serde(default)]
    pub mentions: Vec<Mention>,
    pub forward: Option<Forward>,
    /// Disappears at the provider after a while.
    #[serde(default)]
    pub ephemeral: bool,
    /// Can be opened once.
    #[serde(default)]
    pub view_once: bool,
    pub attribution: Option<Attribution>,
    /// How far it had come when delivered; only for `from_me` and history.
    pub initial_ack: Option<AckSignal>,
    /// Full provider ids and other particulars that later requests need.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub metadata: Map<String, Value>,
}
