//! The patch of what people may change of a chat.

use crate::conversations::chat::Chat;
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{ChatId, ErrorCode, Patch, Permission, Result, Timestamp, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Changes of the host's own particulars of a chat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetadataChange {
    /// Values to set; at most 64 keys and 16 KiB together.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// Keys to remove.
    #[serde(default)]
    pub unset: Vec<String>,
}

/// Changes a chat; one event for each thing that differs. Groups and channels have a subject, individual chats none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateChat {
    pub id: ChatId,
    /// 1 to 255 characters.
    #[serde(default)]
    pub subject: Option<String>,
    /// At most 4 096 characters.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub description: Patch<String>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub picture_url: Patch<Url>,
    /// Its id on the channel; can be told once.
    #[serde(default)]
    pub external_id: Option<String>,
    /// The whole set; at most 50, each 1 to 64 characters.
    #[serde(default)]
    pub labels: Option<BTreeSet<String>>,
    /// No notifications until then; null ends it.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub muted_until: Patch<Timestamp>,
    #[serde(default)]
    pub metadata: Option<MetadataChange>,
}

impl Command for UpdateChat {
    const NAME: &'static str = "chats.update";
    const PERMISSION: Permission = Permission::ChatsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChatNotFound,
        ErrorCode::ChatClosed,
        ErrorCode::IndividualHasNoSubject,
        ErrorCode::ChatSubjectRequired,
        ErrorCode::ChatSubjectTooLong,
        ErrorCode::TextTooLong,
        ErrorCode::TextControlChar,
        ErrorCode::ValueOutOfRange,
        ErrorCode::ChatLabelInvalid,
        ErrorCode::ChatLabelLimit,
        ErrorCode::ChatExternalIdImmutable,
        ErrorCode::ChatExternalIdTaken,
        ErrorCode::MuteInPast,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonKeyInvalid,
        ErrorCode::UrlInvalid,
    ];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        if let Some(subject) = &self.subject {
            chat.set_subject(subject)?;
        }
        if let Some(description) = self.description.into_change() {
            chat.set_description(description.as_deref())?;
        }
        if let Some(picture) = self.picture_url.into_change() {
            chat.set_picture(picture)?;
        }
        if let Some(external_id) = &self.external_id {
            chat.set_external_id(external_id)?;
        }
        if let Some(labels) = &self.labels {
            chat.set_labels(labels)?;
        }
        if let Some(until) = self.muted_until.into_change() {
            chat.mute(until)?;
        }
        if let Some(MetadataChange { set, unset }) = self.metadata {
            chat.change_metadata(set, unset)?;
        }
        work.save(chat)
    }
}
