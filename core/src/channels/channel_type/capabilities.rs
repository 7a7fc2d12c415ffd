//! What a kind of channel can do. Whatever is not granted here is refused before any provider is asked.

use crate::conversations::content::ContentType;
use crate::kernel::{CustomFieldDefinition, CustomFieldType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

crate::text_enum! {
    /// A kind of file that travels with a message.
    pub enum MediaKind {
        Image = "image",
        Video = "video",
        Audio = "audio",
        Voice = "voice",
        Document = "document",
        Sticker = "sticker",
        /// Any file, without a preview.
        File = "file",
    }
}

/// How fast a channel may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    pub per_second: Option<u32>,
    pub per_minute: Option<u32>,
    pub per_hour: Option<u32>,
}

/// What channels of a kind can do. Absent means no.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capabilities {
    /// Labels, at the provider or in the CRM alone.
    pub labels: bool,
    /// Labels made here appear at the provider and the other way round.
    pub labels_two_way: bool,
    pub custom_fields: bool,
    pub custom_field_types: Vec<CustomFieldType>,
    /// Fields that every channel of the kind has from the start and nobody can remove.
    pub system_fields: Vec<CustomFieldDefinition>,
    pub groups: bool,
    pub newsletters: bool,
    /// Ad attribution can be read from messages.
    pub tracking: bool,
    pub ai: bool,
    pub media_types: Vec<MediaKind>,
    /// What may arrive.
    pub inbound_types: Vec<ContentType>,
    /// What may be sent.
    pub outbound_types: Vec<ContentType>,
    pub history_import: bool,
    pub contacts_read: bool,
    pub contacts_write: bool,
    pub block: bool,
    pub profile_edit: bool,
    /// Archive, mark unread and delete chats at the provider.
    pub chat_admin: bool,
    /// Pairing by a code to scan.
    pub qr: bool,
    /// Pairing by a code to type.
    pub pairing_code: bool,
    pub reactions: bool,
    pub edit: bool,
    pub revoke: bool,
    pub replies: bool,
    pub mentions: bool,
    pub polls: bool,
    pub templates: bool,
    pub typing: bool,
    pub presence: bool,
    pub read_receipts: bool,
    pub delivery_receipts: bool,
    pub played_receipts: bool,
    /// Sending the same message twice under one key gives one message.
    pub idempotent_send: bool,
    /// Hours after the contact's last message in which free text may be sent; none = always.
    pub reply_window_hours: Option<u32>,
    /// Minutes in which a sent message may be edited; none = always.
    pub edit_window_minutes: Option<u32>,
    /// Most characters of a text.
    pub max_text: Option<u32>,
    /// Most characters of a caption.
    pub max_caption: Option<u32>,
    pub max_media_bytes: Option<u64>,
    /// Accepted formats by kind of file; a kind that is not listed accepts all.
    pub media_formats: BTreeMap<String, Vec<String>>,
    pub rate: RateLimits,
}
