//! Labels of a channel.

use super::super::{Channel, ChannelLabel};
use crate::channels::channel_type::queries::by_code;
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{ChannelId, Error, ErrorCode, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes or changes a label. The same label again changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpsertLabel {
    pub id: ChannelId,
    pub label: LabelInput,
}

/// A label as a caller describes it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelInput {
    /// 1 to 64 characters.
    pub id: String,
    /// 1 to 100 characters.
    pub name: String,
    /// Place in the palette, 0 to 19.
    #[serde(default)]
    pub color: u8,
    /// `#RGB` or `#RRGGBB`; the palette's colour unless told.
    #[serde(default)]
    pub color_hex: Option<String>,
}

impl Command for UpsertLabel {
    const NAME: &'static str = "channels.upsert_label";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelNotFound,
        ErrorCode::LabelsNotSupported,
        ErrorCode::ChannelLabelInvalid,
        ErrorCode::ChannelLabelLimit,
        ErrorCode::ColorInvalid,
    ];
    type Output = Channel;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Channel> {
        let mut channel = work.load::<Channel>(self.id).await?;
        if !by_code(work.reader(), &channel.channel_type).await?.capabilities.labels {
            return Err(ErrorCode::LabelsNotSupported.into());
        }
        let LabelInput { id, name, color, color_hex } = &self.label;
        channel.upsert_label(ChannelLabel::new(id, name, *color, color_hex.as_deref()).map_err(|e| e.at("label"))?)?;
        work.save(channel)
    }
}

/// Removes a label, also from every chat that carries it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteLabel {
    pub id: ChannelId,
    pub label_id: String,
}

impl Command for DeleteLabel {
    const NAME: &'static str = "channels.delete_label";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChannelNotFound, ErrorCode::ChannelLabelNotFound];
    type Output = Channel;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Channel> {
        let mut channel = work.load::<Channel>(self.id).await?;
        if !channel.remove_label(self.label_id.trim()) {
            return Err(Error::new(ErrorCode::ChannelLabelNotFound).at("label_id").with("id", self.label_id));
        }
        work.save(channel)
    }
}
