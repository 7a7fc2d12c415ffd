//! On, off, reports of the connection, pairing, and the secret address.

use super::super::{Channel, ChannelEvent, ChannelStatus, Report, WebhookToken};
use crate::channels::channel_type::queries::by_code;
use crate::channels::gateway::{ChallengeKind, ConnectionState, OwnIdentity};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{ChannelId, Error, ErrorCode, Permission, Result, RevealedText, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Records the wish to have the channel on. Connecting it follows; `channels.report_connection` says how that went.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateChannel {
    pub id: ChannelId,
}

impl Command for ActivateChannel {
    const NAME: &'static str = "channels.activate";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelNotFound,
        ErrorCode::ChannelAlreadyActive,
        ErrorCode::ChannelAlreadyActivating,
        ErrorCode::ConfigFieldMissing,
        ErrorCode::GatewayNotRegistered,
    ];
    type Output = Channel;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Channel> {
        let mut channel = work.load::<Channel>(self.id).await?;
        let channel_type = by_code(work.reader(), &channel.channel_type).await?;
        channel.activate(&channel_type)?;
        work.save(channel)
    }
}

/// Switches the channel off. What arrives meanwhile is parked until it is on again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeactivateChannel {
    pub id: ChannelId,
    /// At most 1 000 characters.
    #[serde(default)]
    pub reason: Option<String>,
    /// Unlinks the device at the provider, too.
    #[serde(default)]
    pub logout: bool,
}

impl Command for DeactivateChannel {
    const NAME: &'static str = "channels.deactivate";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ChannelNotFound, ErrorCode::ChannelAlreadyInactive, ErrorCode::TextTooLong];
    type Output = Channel;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Channel> {
        let mut channel = work.load::<Channel>(self.id).await?;
        channel.deactivate(self.reason.as_deref(), self.logout)?;
        work.save(channel)
    }
}

/// Deletes the channel: its import is called off, its connection ends, its messages stay.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteChannel {
    pub id: ChannelId,
}

impl Command for DeleteChannel {
    const NAME: &'static str = "channels.delete";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChannelNotFound];
    type Output = Channel;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Channel> {
        let mut channel = work.load::<Channel>(self.id).await?;
        channel.delete()?;
        work.save(channel)
    }
}

/// Takes in what the provider says of the line. A channel that is off stays off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportConnection {
    pub id: ChannelId,
    #[serde(default)]
    pub connection: Option<ConnectionState>,
    /// Who the line is at the provider, whole.
    #[serde(default)]
    pub identity: Option<OwnIdentity>,
    /// The provider confirmed, or lost, the address that it delivers to.
    #[serde(default)]
    pub webhook_active: Option<bool>,
    /// Cut after 1 000 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for ReportConnection {
    const NAME: &'static str = "channels.report_connection";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChannelNotFound];
    type Output = Channel;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Channel> {
        let ReportConnection { id, connection, identity, webhook_active, reason } = self;
        let report = Report { connection, identity, webhook_active, reason };
        super::super::report_connection(work, id, report).await
    }
}

crate::text_enum! {
    /// How a person wants to pair the line.
    pub enum ChallengeRequestKind {
        /// A code to scan.
        Qr = "qr",
        /// A code to type.
        PairingCode = "pairing_code",
    }
}

/// A code that pairs the line: for the eyes of the one who pairs it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChannelChallenge {
    pub kind: ChallengeKind,
    pub value: String,
    pub format: String,
    pub attempt: u32,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The code with which a person pairs the line with the provider.
///
/// Kinds of channel without pairing answer `qr_not_supported`. Codes are never stored, and this version asks no provider
/// for them: it answers `qr_not_available`, and hosts that drive the gateway themselves take the code from there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestChallenge {
    pub id: ChannelId,
    pub kind: ChallengeRequestKind,
    /// The number to pair, for a code to type.
    #[serde(default)]
    pub phone: Option<String>,
    /// A new code even if the last one is still valid.
    #[serde(default)]
    pub refresh: bool,
}

impl Command for RequestChallenge {
    const NAME: &'static str = "channels.request_challenge";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ChannelNotFound, ErrorCode::QrNotSupported, ErrorCode::QrNotAvailable];
    type Output = ChannelChallenge;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ChannelChallenge> {
        let channel = work.load::<Channel>(self.id).await?;
        let channel_type = by_code(work.reader(), &channel.channel_type).await?;
        let can = &channel_type.capabilities;
        let offered = match self.kind {
            ChallengeRequestKind::Qr => can.qr,
            ChallengeRequestKind::PairingCode => can.pairing_code,
        };
        if !offered || !channel_type.is_paired(channel.connection_mode) {
            return Err(Error::new(ErrorCode::QrNotSupported).with("type", channel.channel_type.as_str()));
        }
        let waiting = matches!(channel.status, ChannelStatus::Connecting | ChannelStatus::Active);
        let reason = if waiting { "no provider was asked for a code" } else { "the channel is not connecting" };
        Err(Error::new(ErrorCode::QrNotAvailable).with("reason", reason).with("status", channel.status.as_str()))
    }
}

/// Gives the channel a new secret address; the old one stays valid for a while.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateWebhookToken {
    pub id: ChannelId,
    /// How long the old token stays valid: 0 to 604 800; 86 400 unless told.
    #[serde(default)]
    pub overlap_seconds: Option<u32>,
}

/// A channel and its new token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RotatedToken {
    #[serde(flatten)]
    pub channel: Channel,
    /// Without a vault it is shown here and never again; with one `channels.webhook_url` shows it, too.
    pub plain_webhook_token: RevealedText,
}

impl Command for RotateWebhookToken {
    const NAME: &'static str = "channels.rotate_webhook_token";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelNotFound,
        ErrorCode::ValueOutOfRange,
        ErrorCode::InputInvalid,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = RotatedToken;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<RotatedToken> {
        let overlap = self.overlap_seconds.unwrap_or(86_400);
        if overlap > 604_800 {
            return Err(Error::new(ErrorCode::ValueOutOfRange).at("overlap_seconds").with("max", 604_800));
        }
        work.refuse_idempotency_key()?;
        let mut channel = work.load::<Channel>(self.id).await?;
        let token = WebhookToken::new(work.random());
        let webhook_token = super::seal_token(work, self.id, channel.webhook_token, &token).await?;
        channel.record(ChannelEvent::WebhookRotated {
            webhook_token,
            webhook_token_hash: token.hash(),
            previous_webhook_token_hash: channel.webhook_token_hash.clone(),
            previous_webhook_valid_until: channel.now().plus_seconds(overlap.into()),
        });
        Ok(RotatedToken { channel: work.save(channel)?, plain_webhook_token: token.reveal() })
    }
}
