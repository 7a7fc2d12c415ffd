//! Questions about kinds of channel.

use super::config::{ConfigInput, Stage, validate_config};
use super::{ChannelType, ConnectionMode};
use crate::engine::{Query, Reader};
use crate::kernel::{ChannelTypeId, Error, ErrorCode, Permission, Result};
use crate::storage::{Page, PageRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A kind of channel by its id.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetChannelType {
    pub id: ChannelTypeId,
}

impl Query for GetChannelType {
    const NAME: &'static str = "channel_types.get";
    const PERMISSION: Permission = Permission::ChannelsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChannelTypeNotFound];
    type Output = ChannelType;

    async fn run(self, read: &Reader<'_>) -> Result<ChannelType> {
        read.get(self.id).await
    }
}

/// A kind of channel by its code, an alias, or its legacy id. Exactly one of the two fields is given.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindChannelType {
    /// A code or an alias.
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub legacy_id: Option<u32>,
}

impl Query for FindChannelType {
    const NAME: &'static str = "channel_types.find";
    const PERMISSION: Permission = Permission::ChannelsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChannelTypeNotFound, ErrorCode::FieldRequired];
    type Output = ChannelType;

    async fn run(self, read: &Reader<'_>) -> Result<ChannelType> {
        let found = match (&self.code, self.legacy_id) {
            (Some(code), _) => return by_code(read, code).await,
            (None, Some(id)) => read.by_key::<ChannelType>(ChannelType::LEGACY_SPACE, "", &id.to_string()).await?,
            (None, None) => return Err(Error::new(ErrorCode::FieldRequired).at("code")),
        };
        found.ok_or_else(|| ErrorCode::ChannelTypeNotFound.into())
    }
}

/// Kinds of channel. A form offers those with `active` true.
///
/// Filter: code, active, provider, family, built_in. Sort: code, display_name, created_at.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListChannelTypes {
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListChannelTypes {
    const NAME: &'static str = "channel_types.list";
    const PERMISSION: Permission = Permission::ChannelsView;
    type Output = Page<ChannelType>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<ChannelType>> {
        read.page(&self.page).await
    }
}

/// Reads a configuration as a channel of this kind would, without storing anything.
///
/// `input` holds plain and secret fields together. The answer names secrets and never repeats them.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateConfig {
    /// A code or an alias.
    pub code: String,
    /// The type's default mode unless told.
    #[serde(default)]
    pub mode: Option<ConnectionMode>,
    pub input: Map<String, Value>,
    pub stage: Stage,
}

/// A configuration in canonical form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckedConfig {
    pub config: Map<String, Value>,
    /// Which secrets were given.
    pub secret_keys: Vec<String>,
    /// The provider's id of the line, when the configuration tells it.
    pub external_id: Option<String>,
}

impl Query for ValidateConfig {
    const NAME: &'static str = "channel_types.validate_config";
    const PERMISSION: Permission = Permission::ChannelsView;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelTypeNotFound,
        ErrorCode::ConnectionModeUnsupported,
        ErrorCode::ConfigFieldMissing,
        ErrorCode::ConfigFieldUnknown,
        ErrorCode::ConfigFieldInvalid,
    ];
    type Output = CheckedConfig;

    async fn run(self, read: &Reader<'_>) -> Result<CheckedConfig> {
        let channel_type = by_code(read, &self.code).await?;
        let mode = self.mode.unwrap_or(channel_type.default_mode);
        if !channel_type.modes.contains(&mode) {
            return Err(Error::new(ErrorCode::ConnectionModeUnsupported).at("mode"));
        }
        let given = ConfigInput { mode, input: &self.input, stage: self.stage, draw: None };
        let valid = validate_config(&channel_type, &given).map_err(|e| e.at("input"))?;
        Ok(CheckedConfig {
            config: valid.config,
            secret_keys: valid.secrets.into_keys().collect(),
            external_id: valid.external_id,
        })
    }
}

/// The kind of channel of a code or alias, else `channel_type_not_found`.
pub async fn by_code(read: &Reader<'_>, code: &str) -> Result<ChannelType> {
    let found = read.by_key::<ChannelType>(ChannelType::CODE_SPACE, "", code.trim()).await?;
    found.ok_or_else(|| Error::new(ErrorCode::ChannelTypeNotFound).with("code", code))
}

crate::operations![queries: GetChannelType, FindChannelType, ListChannelTypes, ValidateConfig];
