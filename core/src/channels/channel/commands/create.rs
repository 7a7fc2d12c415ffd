//! Makes a channel.

use super::super::secrets::{read_settings, seal_settings};
use super::super::settings::{check_ai, check_debounce, check_limit, check_reach, check_timeout};
use super::super::{Channel, ChannelEvent, ChannelStatus, ConfigValues, NewChannel, SecretValues, WebhookToken, ai};
use super::{CONFIG_ERRORS, check_external_id, check_references, check_webhook_events, check_webhook_url};
use crate::channels::channel_type::queries::by_code;
use crate::channels::channel_type::{ChannelType, ConnectionMode, RequiredOn};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{
    AgentId, ChannelId, CredentialId, Error, ErrorCode, Errors, Permission, PipelineId, Result, RevealedText, Url, text,
};
use crate::tenancy::token;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Makes a channel. It is off until it is activated; facts that the host hands over itself are taken from the start.
///
/// Only `name` and `type` are needed: what a provider connection asks for beyond that is needed when it is activated.
/// A channel of type `waha` without `external_id` takes deliveries of every session; with it, those of others are ignored.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateChannel {
    /// 1 to 255 characters, unique in the project whatever its case.
    pub name: String,
    /// A code of the channel type catalogue, or an alias; it can never change.
    #[serde(rename = "type")]
    pub channel_type: String,
    /// The kind's default unless told.
    #[serde(default)]
    pub connection_mode: Option<ConnectionMode>,
    /// What the provider calls the line; unique in the project among channels of the kind.
    #[serde(default)]
    pub external_id: Option<String>,
    /// By the kind's `config_schema`; secret fields belong into `secrets`.
    #[serde(default)]
    pub config: ConfigValues,
    /// By the kind's `config_schema`. They are sealed in the vault; without one they are refused with
    /// `encryption_not_configured`.
    #[serde(default)]
    pub secrets: Option<SecretValues>,
    /// A credential that holds the secrets.
    #[serde(default)]
    pub credential_id: Option<CredentialId>,
    /// Where the provider delivers to: `https`, or `http` on the same machine. The secret token is appended to it.
    #[serde(default)]
    pub webhook_base_url: Option<Url>,
    /// What the provider is to deliver; empty = everything.
    #[serde(default)]
    pub webhook_events: Vec<String>,
    #[serde(default)]
    pub pipeline_id: Option<PipelineId>,
    #[serde(default)]
    pub default_agent_id: Option<AgentId>,
    /// 1 to 1 440; null = the project's.
    #[serde(default)]
    pub session_timeout_minutes: Option<u32>,
    #[serde(default)]
    pub allow_groups: bool,
    #[serde(default)]
    pub allow_newsletters: bool,
    #[serde(default)]
    pub tracking_enabled: bool,
    #[serde(default)]
    pub ai_enabled: bool,
    /// Needs `ai_enabled`.
    #[serde(default)]
    pub ai_agents_enabled: bool,
    /// By kind of content: `text`, `audio`, `voice`, `image`, `video`, `document`.
    #[serde(default)]
    pub ai_processing: ai::AiProcessingChanges,
    /// 0 to 300 000; null = 15 000.
    #[serde(default)]
    pub debounce_timeout_ms: Option<u32>,
    #[serde(default)]
    pub history_import_enabled: bool,
    /// Greater than 0.
    #[serde(default)]
    pub history_import_max_days: Option<u32>,
    /// Greater than 0.
    #[serde(default)]
    pub history_import_max_messages_per_chat: Option<u32>,
}

/// A new channel and its webhook token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CreatedChannel {
    #[serde(flatten)]
    pub channel: Channel,
    /// The secret last segment of the address that the provider delivers to; `channels.webhook_url` shows it again.
    /// Without a vault Ventros keeps its hash alone, and it is shown here and never again. Null when the call carried an
    /// idempotency key, because the results of such calls are stored: `channels.rotate_webhook_token` gives a new one.
    pub plain_webhook_token: Option<RevealedText>,
}

impl Command for CreateChannel {
    const NAME: &'static str = "channels.create";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::ChannelNameTaken,
        ErrorCode::ChannelTypeNotFound,
        ErrorCode::ChannelTypeInactive,
        ErrorCode::ConnectionModeUnsupported,
        ErrorCode::ChannelExternalIdTaken,
        CONFIG_ERRORS[0],
        CONFIG_ERRORS[1],
        CONFIG_ERRORS[2],
        CONFIG_ERRORS[3],
        ErrorCode::SessionTimeoutOutOfRange,
        ErrorCode::ChannelDebounceOutOfRange,
        ErrorCode::AiRequired,
        ErrorCode::AiProcessingInvalid,
        ErrorCode::GroupsNotSupported,
        ErrorCode::NewslettersNotSupported,
        ErrorCode::ImportNotSupported,
        ErrorCode::ImportLimitInvalid,
        ErrorCode::PipelineNotFound,
        ErrorCode::AgentNotFound,
        ErrorCode::CredentialNotFound,
        ErrorCode::UrlSchemeUnsupported,
        ErrorCode::InputInvalid,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = CreatedChannel;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<CreatedChannel> {
        let channel_type = by_code(work.reader(), &self.channel_type).await.map_err(|e| e.at("type"))?;
        if !channel_type.active {
            return Err(Error::new(ErrorCode::ChannelTypeInactive).at("type"));
        }
        check_references(work, self.pipeline_id, self.default_agent_id, self.credential_id).await?;
        check_webhook_events(&self.webhook_events)?;
        let id: ChannelId = work.new_id();
        let token = WebhookToken::new(work.random());
        let webhook_url = self.webhook_base_url.as_ref().map(check_webhook_url).transpose()?;
        let events = self.webhook_events.clone();
        let (mut new, secrets) = self.check(work, &channel_type, id, &token)?;
        new.secrets = seal_settings(work, id, &BTreeMap::new(), &secrets).await.map_err(|e| e.at("secrets"))?;
        new.webhook_token = super::seal_token(work, id, None, &token).await?;
        let mut root = work.create::<Channel>(id, ChannelEvent::Created(Box::new(new)))?;
        if webhook_url.is_some() || !events.is_empty() {
            let (webhook_active, webhook_configured_at) = (false, None);
            root.record(ChannelEvent::WebhookConfigured { webhook_url, webhook_active, webhook_configured_at, events });
        }
        let stored = work.context().idempotency_key.is_some();
        Ok(CreatedChannel { channel: work.save(root)?, plain_webhook_token: (!stored).then(|| token.reveal()) })
    }
}

impl CreateChannel {
    /// Every rule at once, so that a form shows all failures. The secrets come apart, in plain text.
    fn check(
        self,
        work: &UnitOfWork<'_>,
        channel_type: &ChannelType,
        id: ChannelId,
        token: &WebhookToken,
    ) -> Result<(NewChannel, BTreeMap<String, String>)> {
        let mut errors = Errors::new();
        let name = errors.take("name", crate::kernel::name(&self.name, 1, 255));
        let mode = self.connection_mode.unwrap_or(channel_type.default_mode);
        if !channel_type.modes.contains(&mode) {
            errors.push(Error::new(ErrorCode::ConnectionModeUnsupported).at("connection_mode"));
        }
        let given = self.secrets.clone().unwrap_or_default();
        let random = || token::text(work);
        let draw: Option<&dyn Fn() -> String> = if work.has_vault() { Some(&random) } else { None };
        let valid = read_settings(channel_type, mode, &self.config.0, &given, draw);
        let valid = errors.take("config", valid).unwrap_or_default();
        super::need_vault(work, channel_type, &given, &valid.secrets).into_iter().for_each(|e| errors.push(e));
        let config = Value::Object(valid.config.clone());
        errors.take("config", text::json_object(&config).map(|_| ()));
        let external_id = errors.take("external_id", self.line(channel_type, id, valid.external_id)).flatten();
        errors.take("session_timeout_minutes", self.session_timeout_minutes.map(check_timeout).transpose());
        errors.take("debounce_timeout_ms", self.debounce_timeout_ms.map(check_debounce).transpose());
        errors.take("allow_groups", check_reach(channel_type, Some(self.allow_groups), Some(self.allow_newsletters)));
        errors.take("ai_agents_enabled", check_ai(self.ai_enabled, self.ai_agents_enabled));
        let ai_processing = ai::patch(&BTreeMap::new(), self.ai_processing).map_err(|e| e.at("ai_processing"));
        let ai_processing = errors.take("ai_processing", ai_processing);
        for (field, limit) in [
            ("history_import_max_days", self.history_import_max_days),
            ("history_import_max_messages_per_chat", self.history_import_max_messages_per_chat),
        ] {
            errors.take(field, check_limit(field, limit));
        }
        if self.history_import_enabled && !channel_type.capabilities.history_import {
            errors.push(Error::new(ErrorCode::ImportNotSupported).at("history_import_enabled"));
        }
        errors.check()?;
        let new = NewChannel {
            name: name.unwrap_or_default(),
            channel_type: channel_type.code.clone(),
            connection_mode: mode,
            status: ChannelStatus::Inactive,
            external_id,
            config: valid.config,
            secrets: BTreeMap::new(),
            credential_id: self.credential_id,
            webhook_token: None,
            webhook_token_hash: token.hash(),
            pipeline_id: self.pipeline_id,
            default_agent_id: self.default_agent_id,
            session_timeout_minutes: self.session_timeout_minutes,
            allow_groups: self.allow_groups,
            allow_newsletters: self.allow_newsletters,
            tracking_enabled: self.tracking_enabled,
            ai_enabled: self.ai_enabled,
            ai_agents_enabled: self.ai_agents_enabled,
            ai_processing: ai_processing.unwrap_or_default(),
            debounce_timeout_ms: self.debounce_timeout_ms,
            history_import_enabled: self.history_import_enabled,
            history_import_max_days: self.history_import_max_days,
            history_import_max_messages_per_chat: self.history_import_max_messages_per_chat,
            custom_field_definitions: channel_type.capabilities.system_fields.clone(),
        };
        Ok((new, valid.secrets))
    }

    /// The provider's id of the line: as given, as configured, or made from the channel's own id.
    fn line(&self, channel_type: &ChannelType, id: ChannelId, configured: Option<String>) -> Result<Option<String>> {
        let rule = &channel_type.external_id_rule;
        if let Some(text) = self.external_id.as_deref().filter(|text| !text.trim().is_empty()) {
            return check_external_id(channel_type, text).map(Some);
        }
        if configured.is_some() {
            return Ok(configured);
        }
        if rule.generated {
            let hex = id.uuid().simple().to_string();
            return Ok(Some(format!("ch-{}", &hex[hex.len() - 12..])));
        }
        if rule.required_on == RequiredOn::Create {
            return Err(Error::new(ErrorCode::ConfigFieldMissing).at("external_id"));
        }
        Ok(None)
    }
}
