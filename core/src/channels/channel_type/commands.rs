//! What operators and hosts do with kinds of channel.

use super::events::{ChannelTypeEvent, ChannelTypeTexts, Configuration, NewChannelType};
use super::{Capabilities, ChannelFamily, ChannelType, ConfigField, ConnectionMode, ExternalIdRule};
use crate::engine::{Command, OperationScope, Root, UnitOfWork};
use crate::kernel::{ChannelTypeId, Error, ErrorCode, Kind, Permission, Result, text};
use crate::storage::{FieldKind, Filter, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const DEFINITION_ERRORS: &[ErrorCode] = &[
    ErrorCode::ChannelTypeCodeInvalid,
    ErrorCode::ChannelTypeCodeTaken,
    ErrorCode::ChannelTypeLegacyIdInvalid,
    ErrorCode::ChannelTypeLegacyIdTaken,
    ErrorCode::FieldRequired,
    ErrorCode::ConfigSchemaInvalid,
    ErrorCode::ConnectionModeInvalid,
    ErrorCode::CapabilitiesInvalid,
    ErrorCode::ConfigFieldSecret,
    ErrorCode::JsonKeyInvalid,
    ErrorCode::JsonTooDeep,
    ErrorCode::JsonTooLarge,
];

/// Offers a new kind of channel.
///
/// `gateway` names the adapter that reads its deliveries; it defaults to `code`. `default_mode` defaults to the first of
/// `modes`, which defaults to `manual` alone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateChannelType {
    /// `^[a-z][a-z0-9_]{1,49}$`; unique among codes and aliases.
    pub code: String,
    #[serde(default)]
    pub legacy_id: Option<u32>,
    #[serde(default)]
    pub aliases: Vec<String>,
    /// 1 to 100 characters.
    pub display_name: String,
    /// At most 500 characters.
    #[serde(default)]
    pub description: String,
    /// 1 to 50 characters, kept in lower case.
    pub provider: String,
    pub family: ChannelFamily,
    #[serde(default)]
    pub gateway: Option<String>,
    #[serde(default)]
    pub config_schema: Vec<ConfigField>,
    #[serde(default)]
    pub modes: Option<BTreeSet<ConnectionMode>>,
    #[serde(default)]
    pub default_mode: Option<ConnectionMode>,
    #[serde(default)]
    pub external_id_rule: ExternalIdRule,
    #[serde(default)]
    pub capabilities: Capabilities,
    #[serde(default)]
    pub credential_type: Option<String>,
    #[serde(default)]
    pub settings: Map<String, Value>,
    #[serde(default)]
    pub active: Option<bool>,
}

impl Command for CreateChannelType {
    const NAME: &'static str = "channel_types.create";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = DEFINITION_ERRORS;
    type Output = ChannelType;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ChannelType> {
        let modes = self.modes.unwrap_or_else(|| BTreeSet::from([ConnectionMode::Manual]));
        let new = NewChannelType {
            gateway: self.gateway.unwrap_or_else(|| self.code.clone()),
            code: self.code,
            legacy_id: self.legacy_id,
            aliases: check_aliases(self.aliases)?,
            display_name: check_display_name(&self.display_name)?,
            description: check_description(&self.description)?,
            provider: check_provider(&self.provider)?,
            family: self.family,
            config_schema: self.config_schema,
            default_mode: self.default_mode.or_else(|| modes.first().copied()).unwrap_or(ConnectionMode::Manual),
            modes,
            external_id_rule: self.external_id_rule,
            capabilities: self.capabilities,
            credential_type: self.credential_type,
            settings: self.settings,
            built_in: false,
            seeded: None,
            active: self.active.unwrap_or(true),
        };
        new.check()?;
        let root = work.create::<ChannelType>(work.new_id(), ChannelTypeEvent::Created(Box::new(new)))?;
        work.save(root)
    }
}

/// Changes what is given and differs; everything else stays.
///
/// A changed form may ask for more than existing channels have: they stay as they are and need it at their next activation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateChannelType {
    pub id: ChannelTypeId,
    #[serde(default)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub aliases: Option<Vec<String>>,
    #[serde(default)]
    pub config_schema: Option<Vec<ConfigField>>,
    #[serde(default)]
    pub modes: Option<BTreeSet<ConnectionMode>>,
    #[serde(default)]
    pub default_mode: Option<ConnectionMode>,
    #[serde(default)]
    pub external_id_rule: Option<ExternalIdRule>,
    #[serde(default)]
    pub settings: Option<Map<String, Value>>,
    /// Replaces all of them.
    #[serde(default)]
    pub capabilities: Option<Capabilities>,
}

impl Command for UpdateChannelType {
    const NAME: &'static str = "channel_types.update";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelTypeNotFound,
        ErrorCode::ChannelTypeCodeInvalid,
        ErrorCode::ChannelTypeCodeTaken,
        ErrorCode::FieldRequired,
        ErrorCode::ConfigSchemaInvalid,
        ErrorCode::ConnectionModeInvalid,
        ErrorCode::CapabilitiesInvalid,
        ErrorCode::ConfigFieldSecret,
        ErrorCode::JsonKeyInvalid,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonTooLarge,
    ];
    type Output = ChannelType;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ChannelType> {
        let mut root = work.load::<ChannelType>(self.id).await?;
        root.change_texts(ChannelTypeTexts {
            display_name: self.display_name.as_deref().map(check_display_name).transpose()?,
            description: self.description.as_deref().map(check_description).transpose()?,
            aliases: self.aliases.map(check_aliases).transpose()?,
        });
        let now = Configuration::of(root.state());
        root.configure(Configuration {
            config_schema: self.config_schema.unwrap_or(now.config_schema),
            modes: self.modes.unwrap_or(now.modes),
            default_mode: self.default_mode.unwrap_or(now.default_mode),
            external_id_rule: self.external_id_rule.unwrap_or(now.external_id_rule),
            settings: self.settings.unwrap_or(now.settings),
            capabilities: self.capabilities.unwrap_or(now.capabilities),
            code: now.code,
            seeded: now.seeded,
        })?;
        work.save(root)
    }
}

/// New channels of this kind may be made again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateChannelType {
    pub id: ChannelTypeId,
}

impl Command for ActivateChannelType {
    const NAME: &'static str = "channel_types.activate";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChannelTypeNotFound, ErrorCode::ChannelTypeAlreadyActive];
    type Output = ChannelType;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ChannelType> {
        let mut root = work.load::<ChannelType>(self.id).await?;
        if root.active {
            return Err(ErrorCode::ChannelTypeAlreadyActive.into());
        }
        let code = root.code.clone();
        root.record(ChannelTypeEvent::Activated { code, active: true });
        work.save(root)
    }
}

/// No new channels of this kind; existing ones keep working and may be activated.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeactivateChannelType {
    pub id: ChannelTypeId,
    /// At most 1 000 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for DeactivateChannelType {
    const NAME: &'static str = "channel_types.deactivate";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ChannelTypeNotFound, ErrorCode::ChannelTypeAlreadyInactive, ErrorCode::TextTooLong];
    type Output = ChannelType;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ChannelType> {
        let reason = self.reason.map(|reason| text::text(&reason, 1_000).map_err(|e| e.at("reason"))).transpose()?;
        let mut root = work.load::<ChannelType>(self.id).await?;
        if !root.active {
            return Err(ErrorCode::ChannelTypeAlreadyInactive.into());
        }
        let code = root.code.clone();
        root.record(ChannelTypeEvent::Deactivated { code, active: false, reason });
        work.save(root)
    }
}

/// Takes a kind of the host's own out of the catalogue: inactive, and used by no channel, deleted ones included.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteChannelType {
    pub id: ChannelTypeId,
}

impl Command for DeleteChannelType {
    const NAME: &'static str = "channel_types.delete";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelTypeNotFound,
        ErrorCode::ChannelTypeBuiltIn,
        ErrorCode::ChannelTypeInUse,
        ErrorCode::InvalidState,
    ];
    type Output = ChannelType;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ChannelType> {
        let mut root = work.load::<ChannelType>(self.id).await?;
        if root.built_in {
            return Err(ErrorCode::ChannelTypeBuiltIn.into());
        }
        if root.active {
            return Err(Error::new(ErrorCode::InvalidState).message("deactivate the channel type first"));
        }
        let uses = Filter::eq("type", FieldKind::Enum, root.code.as_str());
        let channels = work.reader().storage().count(Scope::Installation, Kind::Channel, &uses, true).await?;
        if channels > 0 {
            return Err(Error::new(ErrorCode::ChannelTypeInUse).with("current", channels));
        }
        let deleted = ChannelTypeEvent::Deleted { code: root.code.clone(), deleted_at: root.now() };
        root.record(deleted);
        work.save(root)
    }
}

impl Root<ChannelType> {
    /// Takes over the texts that differ.
    pub fn change_texts(&mut self, given: ChannelTypeTexts) {
        let mut changes = ChannelTypeTexts::default();
        let mut previous = ChannelTypeTexts::default();
        if let Some(display_name) = given.display_name.filter(|name| *name != self.display_name) {
            previous.display_name = Some(self.display_name.clone());
            changes.display_name = Some(display_name);
        }
        if let Some(description) = given.description.filter(|description| *description != self.description) {
            previous.description = Some(self.description.clone());
            changes.description = Some(description);
        }
        if let Some(aliases) = given.aliases.filter(|aliases| *aliases != self.aliases) {
            previous.aliases = Some(self.aliases.clone());
            changes.aliases = Some(aliases);
        }
        if changes != ChannelTypeTexts::default() {
            let code = self.code.clone();
            self.record(ChannelTypeEvent::Updated { code, changes, previous });
        }
    }

    /// Takes over a form, modes, settings and abilities that differ and fit together.
    pub fn configure(&mut self, configuration: Configuration) -> Result<()> {
        if configuration != Configuration::of(self.state()) {
            configuration.check()?;
            self.record(ChannelTypeEvent::Configured(Box::new(configuration)));
        }
        Ok(())
    }
}

fn check_display_name(name: &str) -> Result<String> {
    crate::kernel::name(name, 1, 100).map_err(|error| match error.code() {
        ErrorCode::NameRequired => Error::new(ErrorCode::FieldRequired).at("display_name"),
        _ => error.at("display_name"),
    })
}

fn check_description(description: &str) -> Result<String> {
    text::text(description, 500).map_err(|e| e.at("description"))
}

fn check_provider(provider: &str) -> Result<String> {
    match crate::kernel::name(&provider.to_lowercase(), 1, 50) {
        Err(error) if error.code() == ErrorCode::NameRequired => {
            Err(Error::new(ErrorCode::FieldRequired).at("provider"))
        }
        other => other.map_err(|e| e.at("provider")),
    }
}

fn check_aliases(mut aliases: Vec<String>) -> Result<Vec<String>> {
    for (number, alias) in aliases.iter().enumerate() {
        super::definition::check_code(alias).map_err(|e| e.at(format!("aliases[{number}]")))?;
    }
    aliases.sort();
    aliases.dedup();
    Ok(aliases)
}

crate::operations![
    commands: CreateChannelType, UpdateChannelType, ActivateChannelType, DeactivateChannelType, DeleteChannelType
];
