//! Questions about channels.

use super::secrets::token_place;
use super::{Channel, EffectiveSettings, WebhookToken};
use crate::channels::channel_type::queries::by_code;
use crate::channels::channel_type::{Capabilities, ChannelType};
use crate::engine::{Query, Reader};
use crate::kernel::{ChannelId, CredentialId, Error, ErrorCode, Permission, Result, RevealedText, Timestamp};
use crate::storage::{FieldKind, Filter, FilterExpression, Find, Page, PageRequest, Scope, id_value};
use crate::tenancy::project::Project;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// More channels than any project has: one read and one commit hold them with room to spare.
pub(super) const MAX_CHANNELS: usize = 1_000;

/// A channel with what it can do and what is in force for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelDetails {
    #[serde(flatten)]
    pub channel: Channel,
    /// Of its kind.
    pub capabilities: Capabilities,
    pub effective: EffectiveSettings,
}

/// A channel by its id, with what it can do and what is in force for it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetChannel {
    pub id: ChannelId,
}

impl Query for GetChannel {
    const NAME: &'static str = "channels.get";
    const PERMISSION: Permission = Permission::ChannelsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChannelNotFound];
    type Output = ChannelDetails;

    async fn run(self, read: &Reader<'_>) -> Result<ChannelDetails> {
        let channel: Channel = read.get(self.id).await?;
        let channel_type = by_code(read, &channel.channel_type).await?;
        let project = read.find_any::<Project>(read.project()).await?;
        let effective = channel.effective(&channel_type, project.map(|project| project.session_timeout_minutes));
        Ok(ChannelDetails { channel, capabilities: channel_type.capabilities, effective })
    }
}

/// The channel of a kind that the provider knows by an id; null when there is none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindChannel {
    /// A code of the channel type catalogue, or an alias.
    #[serde(rename = "type")]
    pub channel_type: String,
    pub external_id: String,
}

impl Query for FindChannel {
    const NAME: &'static str = "channels.find";
    const PERMISSION: Permission = Permission::ChannelsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChannelTypeNotFound];
    type Output = Option<Channel>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<Channel>> {
        let channel_type = by_code(read, &self.channel_type).await.map_err(|e| e.at("type"))?;
        by_external_id(read, &channel_type, &self.external_id).await
    }
}

/// Channels. Filter: name, type, status, connection_mode, external_id, pipeline_id, default_agent_id, credential_id, health,
/// ai_enabled, last_error_at. Sort: name, created_at, updated_at.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListChannels {
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListChannels {
    const NAME: &'static str = "channels.list";
    const PERMISSION: Permission = Permission::ChannelsView;
    type Output = Page<Channel>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<Channel>> {
        read.page(&self.page).await
    }
}

/// How many channels satisfy a condition.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountChannels {
    #[serde(default)]
    pub filter: Option<FilterExpression>,
}

impl Query for CountChannels {
    const NAME: &'static str = "channels.count";
    const PERMISSION: Permission = Permission::ChannelsView;
    type Output = u64;

    async fn run(self, read: &Reader<'_>) -> Result<u64> {
        read.count::<Channel>(self.filter.as_ref(), Filter::everything()).await
    }
}

/// Where a provider delivers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelWebhook {
    /// The whole address, with its secret last segment; null while the channel has no `webhook_base_url`.
    pub url: Option<RevealedText>,
    /// The secret last segment.
    pub token: RevealedText,
    /// When the provider confirmed the address.
    pub configured_at: Option<Timestamp>,
    pub active: bool,
}

/// The secret address that the provider of a channel delivers to.
///
/// Needs a vault: without one, and for a token that was made without one, it answers `encryption_not_configured`;
/// `channels.rotate_webhook_token` makes a token that can be shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetWebhookUrl {
    pub id: ChannelId,
}

impl Query for GetWebhookUrl {
    const NAME: &'static str = "channels.webhook_url";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelNotFound,
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = ChannelWebhook;

    async fn run(self, read: &Reader<'_>) -> Result<ChannelWebhook> {
        let channel: Channel = read.get(self.id).await?;
        let field = "webhook_token";
        let unsealed = || Error::new(ErrorCode::EncryptionNotConfigured).at(field);
        let secret = channel.webhook_token.ok_or_else(unsealed)?;
        let place = token_place(channel.project_id, channel.id);
        let token = read.open_secret(&place, secret).await.map_err(|e| e.at(field))?.ok_or_else(unsealed)?;
        let token = String::from_utf8_lossy(token.expose()).into_owned();
        Ok(ChannelWebhook {
            url: channel.webhook_url.map(|base| RevealedText::new(format!("{base}/{token}"))),
            token: RevealedText::new(token),
            configured_at: channel.webhook_configured_at,
            active: channel.webhook_active,
        })
    }
}

/// The live channel of a kind that the provider knows by this id.
pub async fn by_external_id(read: &Reader<'_>, of: &ChannelType, external_id: &str) -> Result<Option<Channel>> {
    read.by_key::<Channel>(Channel::EXTERNAL_ID_SPACE, &of.code, external_id).await
}

/// The channels of the project that a credential connects.
pub async fn connected_through(read: &Reader<'_>, credential: CredentialId) -> Result<Vec<Channel>> {
    let find = Find {
        filter: Filter::eq("credential_id", FieldKind::Id, id_value(credential)),
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: MAX_CHANNELS,
        include_hidden: false,
        with_total: false,
    };
    read.find_states(&find).await
}

/// The live channel of any project that a webhook token opens now: the current one, or the previous one while it is valid.
///
/// Looks across projects: only the intake of deliveries may ask, and the token is what proves that it may.
pub async fn by_webhook_token(read: &Reader<'_>, token: &str) -> Result<Option<Channel>> {
    let hash = WebhookToken::given(token).hash();
    let found = read.by_key_in::<Channel>(Scope::Installation, Channel::TOKEN_SPACE, "", &hash).await?;
    Ok(found.filter(|channel| channel.admits_token(&hash, read.now())))
}

crate::operations![queries: GetChannel, FindChannel, ListChannels, CountChannels, GetWebhookUrl];
