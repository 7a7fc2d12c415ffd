//! How well an installation is guarded: what those who run it should look at.

use crate::channels::channel::Channel;
use crate::engine::{OperationScope, Query, Reader, decode};
use crate::kernel::{ChannelId, Kind, Permission, ProjectId, Result, Timestamp};
use crate::operations;
use crate::storage::{RowSecurityState, Scope, SecretQuery, StoreSecurity};
use crate::vault::DATA_KEY;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// After how many days a data key should be replaced.
const TARGET_AGE_DAYS: i64 = 365;
/// How many days before that it is told.
const NOTICE_DAYS: i64 = 30;
const DAY_MICROS: i64 = 86_400 * 1_000_000;
/// How many of what was found are named.
const NAMED: usize = 100;
/// Rows read at a time.
const BATCH: usize = 500;
/// Which secret of a channel proves who delivers.
const SIGNING_KEY: &str = "webhook_hmac_key";

/// How well the installation is guarded: the store and its row security, the keys that secrets are sealed under, where calls to the
/// outside may go, and channels whose provider proves nothing. `findings` says what somebody should look at.
///
/// It walks the data keys and the channels of all projects, 500 at a time. Secrets are nowhere kept in clear text, so there is nothing
/// to look for: without an encryption key they are refused.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckSecurity {}

/// How well an installation is guarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecurityHealth {
    pub checked_at: Timestamp,
    pub store: StoreSecurity,
    pub encryption: EncryptionHealth,
    pub outbound: OutboundHealth,
    pub unsigned_channels: UnsignedChannels,
    /// What somebody should look at; empty when all is well.
    pub findings: Vec<SecurityFinding>,
}

crate::text_enum! {
    /// Something that those who run an installation should look at.
    pub enum SecurityFinding {
        /// The role of the connection is above row security: use one that is no superuser and has no BYPASSRLS.
        RowSecurityNotEffective = "row_security_not_effective",
        /// Other accounts of the machine may read or write the file: take their rights from it.
        FileOpenToOthers = "file_open_to_others",
        /// No encryption key was given: nothing that needs a secret can be kept.
        EncryptionNotConfigured = "encryption_not_configured",
        /// Data keys are older than 365 days: `credentials.rotate_keys` with the project.
        KeysTooOld = "keys_too_old",
        /// Data keys will be that old within 30 days.
        KeysNearTheirAge = "keys_near_their_age",
        /// Calls to the outside may go without TLS: for development only.
        PlainHttpAllowed = "plain_http_allowed",
        /// Channels take deliveries without a signature: whoever knows the address may deliver.
        ChannelsUnsigned = "channels_unsigned",
    }
}

/// The keys that secrets are sealed under.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EncryptionHealth {
    /// Whether an encryption key was given.
    pub configured: bool,
    /// The name of the master key in use.
    pub master_key_id: Option<String>,
    /// Projects whose data key is sealed under it.
    pub data_keys: u64,
    /// How many of them are older than 365 days.
    pub too_old: u64,
    /// How many will be within 30 days.
    pub near_their_age: u64,
    /// The first 100 of both, in the order of their projects.
    pub keys: Vec<AgedKey>,
}

/// A data key that should be replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgedKey {
    pub project_id: ProjectId,
    pub created_at: Timestamp,
    pub age_days: u64,
}

/// Where calls to the outside may go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutboundHealth {
    /// Whether any are made.
    pub enabled: bool,
    pub plain_http: bool,
    /// Hosts outside the public net that may be called.
    pub private_hosts: Vec<String>,
    /// Ports beside 443 and 8443.
    pub extra_ports: Vec<u16>,
}

/// Channels that take deliveries of a provider without its signature, and have no credential that may hold the key of one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnsignedChannels {
    pub count: u64,
    /// The first 100.
    pub channels: Vec<UnsignedChannel>,
}

/// A channel that takes deliveries without a signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnsignedChannel {
    pub project_id: ProjectId,
    pub channel_id: ChannelId,
}

impl Query for CheckSecurity {
    const NAME: &'static str = "privacy.security_health";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    type Output = SecurityHealth;

    async fn run(self, read: &Reader<'_>) -> Result<SecurityHealth> {
        let store = read.storage().security().await?;
        let encryption = encryption(read).await?;
        let unsigned_channels = unsigned_channels(read).await?;
        let outbound = outbound(read);
        let mut findings = Vec::new();
        let mut look = |is_so: bool, finding: SecurityFinding| findings.extend(is_so.then_some(finding));
        let is_held = matches!(store.row_security, RowSecurityState::Unavailable | RowSecurityState::Effective);
        look(!is_held, SecurityFinding::RowSecurityNotEffective);
        look(store.open_to_others == Some(true), SecurityFinding::FileOpenToOthers);
        look(!encryption.configured, SecurityFinding::EncryptionNotConfigured);
        look(encryption.too_old > 0, SecurityFinding::KeysTooOld);
        look(encryption.near_their_age > 0, SecurityFinding::KeysNearTheirAge);
        look(outbound.plain_http, SecurityFinding::PlainHttpAllowed);
        look(unsigned_channels.count > 0, SecurityFinding::ChannelsUnsigned);
        Ok(SecurityHealth { checked_at: read.now(), store, encryption, outbound, unsigned_channels, findings })
    }
}

/// Walks the data keys under the master key in use: the newest of each project counts.
async fn encryption(read: &Reader<'_>) -> Result<EncryptionHealth> {
    let mut health = EncryptionHealth {
        configured: read.has_vault(),
        master_key_id: None,
        data_keys: 0,
        too_old: 0,
        near_their_age: 0,
        keys: Vec::new(),
    };
    if !health.configured {
        return Ok(health);
    }
    let key_id = read.keys()?.current().await?.id().to_owned();
    let mut query = SecretQuery { key_id: key_id.clone(), after: None, limit: BATCH };
    health.master_key_id = Some(key_id);
    let mut newest: Option<(ProjectId, Timestamp)> = None;
    loop {
        let found = read.storage().secrets_under(Scope::Installation, &query).await?;
        for key in found.iter().filter(|key| key.id == DATA_KEY.uuid()) {
            if let Some((project, created_at)) = newest.filter(|(project, _)| *project != key.project_id) {
                health.count(project, created_at, read.now());
            }
            newest = Some((key.project_id, key.created_at));
        }
        let last = found.last().map(|key| (key.project_id, key.id, key.revision));
        if found.len() < BATCH {
            break;
        }
        query.after = last;
    }
    if let Some((project, created_at)) = newest {
        health.count(project, created_at, read.now());
    }
    Ok(health)
}

impl EncryptionHealth {
    fn count(&mut self, project_id: ProjectId, created_at: Timestamp, now: Timestamp) {
        self.data_keys += 1;
        let age_days = (now.micros() - created_at.micros()) / DAY_MICROS;
        match age_days {
            days if days > TARGET_AGE_DAYS => self.too_old += 1,
            days if days > TARGET_AGE_DAYS - NOTICE_DAYS => self.near_their_age += 1,
            _ => return,
        }
        if self.keys.len() < NAMED {
            self.keys.push(AgedKey { project_id, created_at, age_days: age_days.unsigned_abs() });
        }
    }
}

async fn unsigned_channels(read: &Reader<'_>) -> Result<UnsignedChannels> {
    let mut unsigned = UnsignedChannels::default();
    let mut after: Option<Uuid> = None;
    loop {
        let found = read.storage().scan(Scope::Installation, Kind::Channel, after, BATCH).await?;
        after = found.last().map(|stored| stored.id);
        let is_last = found.len() < BATCH;
        for stored in found {
            let (project_id, channel) = (stored.project_id, decode::<Channel>(&stored)?);
            let is_signed = channel.secrets.contains_key(SIGNING_KEY) || channel.credential_id.is_some();
            if channel.deleted_at.is_none() && channel.webhook_active && !is_signed {
                unsigned.count += 1;
                if unsigned.channels.len() < NAMED {
                    unsigned.channels.push(UnsignedChannel { project_id, channel_id: channel.id });
                }
            }
        }
        if is_last {
            return Ok(unsigned);
        }
    }
}

fn outbound(read: &Reader<'_>) -> OutboundHealth {
    let guard = read.core().guard();
    OutboundHealth {
        enabled: read.core().has_http(),
        plain_http: guard.allows_http(),
        private_hosts: guard.private_hosts().collect(),
        extra_ports: guard.extra_ports().collect(),
    }
}

operations![queries: CheckSecurity];
