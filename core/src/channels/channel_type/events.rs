//! What can happen to a kind of channel.

use super::{Capabilities, ChannelFamily, ChannelType, ConfigField, ConnectionMode, ExternalIdRule};
use crate::kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Everything a kind of channel starts with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewChannelType {
    pub code: String,
    pub legacy_id: Option<u32>,
    pub aliases: Vec<String>,
    pub display_name: String,
    pub description: String,
    pub provider: String,
    pub family: ChannelFamily,
    pub gateway: String,
    pub config_schema: Vec<ConfigField>,
    pub modes: BTreeSet<ConnectionMode>,
    pub default_mode: ConnectionMode,
    pub external_id_rule: ExternalIdRule,
    pub capabilities: Capabilities,
    pub credential_type: Option<String>,
    pub settings: Map<String, Value>,
    pub built_in: bool,
    /// The fingerprint of the library's definition; none for types of the host.
    pub seeded: Option<String>,
    pub active: bool,
}

/// The part of a kind of channel that decides how channels behave, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    pub code: String,
    pub config_schema: Vec<ConfigField>,
    pub modes: BTreeSet<ConnectionMode>,
    pub default_mode: ConnectionMode,
    pub external_id_rule: ExternalIdRule,
    pub settings: Map<String, Value>,
    pub capabilities: Capabilities,
    pub seeded: Option<String>,
}

impl Configuration {
    pub fn of(channel_type: &ChannelType) -> Self {
        Configuration {
            code: channel_type.code.clone(),
            config_schema: channel_type.config_schema.clone(),
            modes: channel_type.modes.clone(),
            default_mode: channel_type.default_mode,
            external_id_rule: channel_type.external_id_rule.clone(),
            settings: channel_type.settings.clone(),
            capabilities: channel_type.capabilities.clone(),
            seeded: channel_type.seeded.clone(),
        }
    }
}

/// Texts for people; absent = not touched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ChannelTypeTexts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Vec<String>>,
}

impl ChannelTypeTexts {
    pub(super) fn apply_to(&self, channel_type: &mut ChannelType) {
        if let Some(display_name) = &self.display_name {
            channel_type.display_name.clone_from(display_name);
        }
        if let Some(description) = &self.description {
            channel_type.description.clone_from(description);
        }
        if let Some(aliases) = &self.aliases {
            channel_type.aliases.clone_from(aliases);
        }
    }
}

crate::events! {
    /// What can happen to a kind of channel.
    pub enum ChannelTypeEvent: ChannelType {
        /// A kind of channel is offered.
        "channel_type.created" Created(Box<NewChannelType>),
        /// New channels of it may be made again.
        "channel_type.activated" Activated { code: String, active: bool },
        /// No new channels of it; existing ones keep working.
        "channel_type.deactivated" Deactivated { code: String, active: bool, reason: Option<String> },
        /// Texts changed.
        "channel_type.updated" Updated { code: String, changes: ChannelTypeTexts, previous: ChannelTypeTexts },
        /// Form, modes, settings or abilities changed; carries all of them as they are now.
        "channel_type.configured" Configured(Box<Configuration>),
        /// No longer offered; its code is free again.
        "channel_type.deleted" Deleted { code: String, deleted_at: Timestamp },
    }
}
