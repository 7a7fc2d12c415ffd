//! Changes a channel.

use super::super::secrets::{read_settings, seal_settings};
use super::super::settings::{check_debounce, check_reach, check_timeout};
use super::super::{Channel, ChannelEvent, ChannelPatch, ChannelSecret, ConfigValues, SecretValues, ai};
use super::{CONFIG_ERRORS, check_external_id, check_references, check_webhook_events, check_webhook_url};
use crate::channels::channel_type::ChannelType;
use crate::channels::channel_type::queries::by_code;
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{
    AgentId, ChannelId, CredentialId, Error, ErrorCode, Patch, Permission, PipelineId, Result, SecretText, Url,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Changes what is given and differs: absent = unchanged, null = cleared.
///
/// New connection settings of an active channel take effect when it reconnects; a new webhook address counts once the
/// provider confirmed it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateChannel {
    pub id: ChannelId,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub allow_groups: Option<bool>,
    #[serde(default)]
    pub allow_newsletters: Option<bool>,
    #[serde(default)]
    pub tracking_enabled: Option<bool>,
    /// 1 to 1 440; null = the project's.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub session_timeout_minutes: Patch<u32>,
    /// 0 to 300 000; null = 15 000.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub debounce_timeout_ms: Patch<u32>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub default_agent_id: Patch<AgentId>,
    /// Key by key: null takes a key away, keys that are not named stay.
    #[serde(default)]
    pub config: Option<ConfigValues>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub external_id: Patch<String>,
    /// Key by key: null takes a secret away, those that are not named stay. They are sealed in the vault; without one they
    /// are refused with `encryption_not_configured`.
    #[serde(default)]
    pub secrets: Option<BTreeMap<String, Option<SecretText>>>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub credential_id: Patch<CredentialId>,
    /// Where the provider delivers to: `https`, or `http` on the same machine. The secret token is appended to it.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub webhook_base_url: Patch<Url>,
    #[serde(default)]
    pub webhook_events: Option<Vec<String>>,
    #[serde(default)]
    pub ai_enabled: Option<bool>,
    #[serde(default)]
    pub ai_agents_enabled: Option<bool>,
    /// By kind of content: `text`, `audio`, `voice`, `image`, `video`, `document`; null = the default again.
    #[serde(default)]
    pub ai_processing: ai::AiProcessingChanges,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub pipeline_id: Patch<PipelineId>,
    #[serde(default)]
    pub history_import_enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub history_import_max_days: Patch<u32>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub history_import_max_messages_per_chat: Patch<u32>,
}

impl Command for UpdateChannel {
    const NAME: &'static str = "channels.update";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelNotFound,
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::ChannelNameTaken,
        ErrorCode::ChannelExternalIdTaken,
        CONFIG_ERRORS[0],
        CONFIG_ERRORS[1],
        CONFIG_ERRORS[3],
        ErrorCode::SessionTimeoutOutOfRange,
        ErrorCode::ChannelDebounceOutOfRange,
        ErrorCode::AiRequired,
        ErrorCode::AiProcessingInvalid,
        ErrorCode::GroupsNotSupported,
        ErrorCode::NewslettersNotSupported,
        ErrorCode::ImportNotSupported,
        ErrorCode::ImportLimitInvalid,
        ErrorCode::ImportRunning,
        ErrorCode::PipelineNotFound,
        ErrorCode::AgentNotFound,
        ErrorCode::CredentialNotFound,
        ErrorCode::UrlSchemeUnsupported,
        ErrorCode::InputInvalid,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = Channel;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Channel> {
        let mut channel = work.load::<Channel>(self.id).await?;
        let channel_type = by_code(work.reader(), &channel.channel_type).await?;
        let pipeline = self.pipeline_id.value().filter(|id| channel.pipeline_id != Some(**id)).copied();
        let agent = self.default_agent_id.value().copied();
        let credential = self.credential_id.value().copied();
        check_references(work, pipeline, agent, credential).await?;
        self.change_settings(&mut channel, &channel_type)?;
        let connection = self.connection(work, &channel, &channel_type).await?;
        channel.configure(connection);
        self.configure_webhook(&mut channel)?;
        self.configure_ai(&mut channel)?;
        if let Some(pipeline) = self.pipeline_id.into_change() {
            channel.associate_pipeline(pipeline);
        }
        let enabled = self.history_import_enabled.unwrap_or(channel.history_import_enabled);
        let max_days = self.history_import_max_days.into_change().unwrap_or(channel.history_import_max_days);
        let max_messages = self.history_import_max_messages_per_chat.into_change();
        let max_messages = max_messages.unwrap_or(channel.history_import_max_messages_per_chat);
        channel.configure_history_import(&channel_type, enabled, max_days, max_messages)?;
        work.save(channel)
    }
}

/// How a channel reaches its provider.
struct Connection {
    config: Map<String, Value>,
    external_id: Option<String>,
    credential_id: Option<CredentialId>,
    secrets: BTreeMap<String, ChannelSecret>,
}

fn kept((key, value): (&String, &Option<SecretText>)) -> Option<(String, SecretText)> {
    value.clone().map(|value| (key.clone(), value))
}

impl Root<Channel> {
    /// Takes the connection over when it differs.
    fn configure(&mut self, connection: Connection) {
        let Connection { config, external_id, credential_id, secrets } = connection;
        let keys: BTreeSet<&String> = self.secrets.keys().chain(secrets.keys()).collect();
        let changed = keys.into_iter().filter(|key| self.secrets.get(*key) != secrets.get(*key));
        let secret_keys_changed: Vec<String> = changed.cloned().collect();
        let same = config == self.config && external_id == self.external_id && credential_id == self.credential_id;
        if !same || !secret_keys_changed.is_empty() {
            self.record(ChannelEvent::Configured { config, external_id, credential_id, secrets, secret_keys_changed });
        }
    }
}

impl UpdateChannel {
    fn change_settings(&self, channel: &mut Root<Channel>, channel_type: &ChannelType) -> Result<()> {
        let name = self.name.as_deref().map(|name| crate::kernel::name(name, 1, 255)).transpose();
        let name = name.map_err(|e| e.at("name"))?;
        if let Some(minutes) = self.session_timeout_minutes.value() {
            check_timeout(*minutes)?;
        }
        if let Some(milliseconds) = self.debounce_timeout_ms.value() {
            check_debounce(*milliseconds)?;
        }
        check_reach(channel_type, self.allow_groups, self.allow_newsletters)?;
        channel.change_settings(ChannelPatch {
            name,
            allow_groups: self.allow_groups,
            allow_newsletters: self.allow_newsletters,
            tracking_enabled: self.tracking_enabled,
            session_timeout_minutes: self.session_timeout_minutes.clone(),
            debounce_timeout_ms: self.debounce_timeout_ms.clone(),
            default_agent_id: self.default_agent_id.clone(),
        });
        Ok(())
    }

    /// The connection after the change. New secrets are sealed, those that were taken away are destroyed with the commit.
    async fn connection(
        &self,
        work: &mut UnitOfWork<'_>,
        channel: &Channel,
        channel_type: &ChannelType,
    ) -> Result<Connection> {
        let mut config = channel.config.clone();
        let mut external_id = channel.external_id.clone();
        let mut secrets = channel.secrets.clone();
        if self.config.is_some() || self.secrets.is_some() {
            let given: SecretValues = self.secrets.iter().flatten().filter_map(kept).collect();
            let input = self.settings(channel, channel_type, &given);
            let valid = read_settings(channel_type, channel.connection_mode, &input, &given, None)?;
            if let Some(error) = super::need_vault(work, channel_type, &given, &valid.secrets).into_iter().next() {
                return Err(error);
            }
            for key in self.secrets.iter().flatten().filter(|(_, value)| value.is_none()).map(|(key, _)| key) {
                let field = channel_type.field(key).filter(|field| field.secret);
                let unknown = || Error::new(ErrorCode::ConfigFieldUnknown).at(key.as_str()).at("secrets");
                if let Some(old) = secrets.remove(&field.ok_or_else(unknown)?.key) {
                    work.shred(channel.project_id, old.secret);
                }
            }
            secrets = seal_settings(work, self.id, &secrets, &valid.secrets).await.map_err(|e| e.at("secrets"))?;
            config = valid.config;
            external_id = valid.external_id.or(external_id);
        }
        match &self.external_id {
            Patch::Absent => {}
            Patch::Null => external_id = None,
            Patch::Value(text) => external_id = Some(check_external_id(channel_type, text)?),
        }
        let credential_id = self.credential_id.clone().into_change().unwrap_or(channel.credential_id);
        Ok(Connection { config, external_id, credential_id, secrets })
    }

    /// The plain settings after the change, before anybody checked them.
    fn settings(&self, channel: &Channel, channel_type: &ChannelType, given: &SecretValues) -> Map<String, Value> {
        let mut config = channel.config.clone();
        // A key that the kind dropped since is dropped here, too. What is a part of a new secret follows it.
        config.retain(|key, _| {
            let replaced = |source: &String| {
                given.keys().any(|key| channel_type.field(key).is_some_and(|field| field.key == *source))
            };
            channel_type.field(key).is_some_and(|field| !field.prefix_of.as_ref().is_some_and(replaced))
        });
        for (key, value) in self.config.iter().flat_map(|config| &config.0) {
            let canonical = channel_type.field(key).map_or(key.as_str(), |field| field.key.as_str());
            config.insert(canonical.to_owned(), value.clone());
        }
        config
    }

    fn configure_webhook(&self, channel: &mut Root<Channel>) -> Result<()> {
        let webhook_url = match &self.webhook_base_url {
            Patch::Absent => channel.webhook_url.clone(),
            Patch::Null => None,
            Patch::Value(url) => Some(check_webhook_url(url)?),
        };
        let events = self.webhook_events.clone().unwrap_or_else(|| channel.webhook_events.clone());
        check_webhook_events(&events)?;
        if webhook_url != channel.webhook_url || events != channel.webhook_events {
            let webhook_configured_at = channel.webhook_configured_at;
            channel.record(ChannelEvent::WebhookConfigured {
                webhook_url,
                webhook_active: false,
                webhook_configured_at,
                events,
            });
        }
        Ok(())
    }

    fn configure_ai(&self, channel: &mut Root<Channel>) -> Result<()> {
        let processing = ai::patch(&channel.ai_processing, self.ai_processing.clone());
        let processing = processing.map_err(|e| e.at("ai_processing"))?;
        let enabled = self.ai_enabled.unwrap_or(channel.ai_enabled);
        let agents = self.ai_agents_enabled.unwrap_or(channel.ai_agents_enabled);
        channel.configure_ai(enabled, agents, processing)
    }
}
