//! A channel, folded from its events.

use super::{
    AiContentType, AiProcessingConfig, ChannelEvent, ChannelHealth, ChannelLabel, ChannelSecret, ChannelStatus,
    HistoryImportStatus, ImportRun, ImportStats, IssuedChallenge,
};
use crate::channels::channel_type::ConnectionMode;
use crate::channels::gateway::{ConnectionState, OwnIdentity};
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{
    AgentId, ChannelId, CredentialId, CustomFieldDefinition, ErrorCode, ImportJobId, Kind, PipelineId, ProjectId,
    SecretRef, Timestamp, fold,
};
use crate::storage::{Column, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A connected line of communication of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Channel {
    pub id: ChannelId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    /// 1 to 255 characters, unique in the project whatever its case.
    pub name: String,
    /// The code of its kind; never changes.
    #[serde(rename = "type")]
    pub channel_type: String,
    pub status: ChannelStatus,
    pub connection_mode: ConnectionMode,
    /// What the provider last said of the line.
    pub connection: ConnectionState,
    /// What the provider calls the line; unique in the project among channels of the kind.
    #[schemars(extend("x-pii" = "channel", "x-pii-kind" = "phone"))]
    pub external_id: Option<String>,
    /// Settings of the connection that are no secrets.
    pub config: Map<String, Value>,
    /// Settings of the connection that are secrets, by field. The values are in the vault.
    pub secrets: BTreeMap<String, ChannelSecret>,
    /// A credential that holds secrets of the connection, too.
    pub credential_id: Option<CredentialId>,
    /// Who the line is at the provider.
    #[schemars(extend("x-pii" = "channel", "x-pii-kind" = "free"))]
    pub identity: Option<OwnIdentity>,
    /// The last segment of the address that the provider delivers to; null when it was made without a vault.
    pub webhook_token: Option<SecretRef>,
    /// SHA-256 of the token, in hexadecimal.
    pub webhook_token_hash: String,
    pub previous_webhook_token_hash: Option<String>,
    pub previous_webhook_valid_until: Option<Timestamp>,
    /// The address that the provider delivers to, without its secret last segment.
    pub webhook_url: Option<String>,
    pub webhook_events: Vec<String>,
    /// When the provider confirmed the address.
    pub webhook_configured_at: Option<Timestamp>,
    pub webhook_active: bool,
    /// New contacts and sessions enter it.
    pub pipeline_id: Option<PipelineId>,
    /// Owns imported sessions and those that nobody else does.
    pub default_agent_id: Option<AgentId>,
    /// 1 to 1 440; null = the project's.
    pub session_timeout_minutes: Option<u32>,
    pub allow_groups: bool,
    pub allow_newsletters: bool,
    /// Reads ad attribution from messages.
    pub tracking_enabled: bool,
    /// AI reads contents.
    pub ai_enabled: bool,
    /// AI agents may answer.
    pub ai_agents_enabled: bool,
    pub ai_processing: BTreeMap<AiContentType, AiProcessingConfig>,
    /// 0 to 300 000; null = 15 000; 0 = no waiting for further messages.
    pub debounce_timeout_ms: Option<u32>,
    pub labels: BTreeMap<String, ChannelLabel>,
    /// Fields of chats and messages of this channel that come with its kind.
    pub custom_field_definitions: Vec<CustomFieldDefinition>,
    pub health: ChannelHealth,
    pub last_error: Option<String>,
    pub last_error_at: Option<Timestamp>,
    /// The last pairing challenge since the channel was switched on.
    pub challenge: Option<IssuedChallenge>,
    pub history_import_enabled: bool,
    pub history_import_max_days: Option<u32>,
    pub history_import_max_messages_per_chat: Option<u32>,
    pub history_import: Option<ImportRun>,
    /// Start of the last completed import: messages after it came live.
    pub last_import_date: Option<Timestamp>,
    /// When a person switched it off; null since it was last switched on.
    pub deactivated_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

impl Channel {
    /// The unique-key space of names.
    pub const NAME_SPACE: &'static str = "channel.name";
    /// The unique-key space of external ids; its scope is the type's code.
    pub const EXTERNAL_ID_SPACE: &'static str = "channel.external_id";
    /// The unique-key space of webhook token hashes, over all projects.
    pub const TOKEN_SPACE: &'static str = "channel.webhook_token";

    /// Whether what a host hands over is recorded at once; otherwise it is parked until the channel is switched on.
    ///
    /// Only a person's `channels.deactivate` parks. A delivered message is a fact in every other state, and so it is on a
    /// channel that was never switched on: a host that reads its provider itself hands facts over and needs no connection.
    pub fn accepts_inbound(&self) -> bool {
        self.deleted_at.is_none() && (self.status != ChannelStatus::Inactive || self.deactivated_at.is_none())
    }

    /// Whether messages may be handed to the queue. They leave it only while the channel is `active`.
    pub fn accepts_outbound(&self) -> bool {
        use ChannelStatus::{Activating, Active, Connecting, Disconnected};
        self.deleted_at.is_none() && matches!(self.status, Activating | Active | Connecting | Disconnected)
    }

    /// Whether it works, or is about to: it needs its credential.
    pub fn is_on(&self) -> bool {
        self.accepts_outbound()
    }

    /// Whether it is in error because its credentials were refused.
    pub fn is_refused(&self) -> bool {
        self.status == ChannelStatus::Error && self.connection == ConnectionState::Unauthorized
    }

    /// Whether a delivery for this provider's session is meant for the channel: any is when it names none itself.
    pub fn is_session(&self, external_id: &str) -> bool {
        self.external_id.as_deref().is_none_or(|own| own == external_id)
    }

    /// Whether a token with this hash opens the channel at `now`.
    pub fn admits_token(&self, hash: &str, now: Timestamp) -> bool {
        let previous = self.previous_webhook_token_hash.as_deref() == Some(hash)
            && self.previous_webhook_valid_until.is_some_and(|until| now < until);
        self.deleted_at.is_none() && (self.webhook_token_hash == hash || previous)
    }

    fn run(&mut self, job_id: ImportJobId, change: impl FnOnce(&mut ImportRun)) {
        if let Some(run) = self.history_import.as_mut().filter(|run| run.job_id == job_id) {
            change(run);
        }
    }

    fn end_import(&mut self, job_id: ImportJobId, status: HistoryImportStatus, stats: &ImportStats, at: Timestamp) {
        self.run(job_id, |run| {
            run.status = status;
            run.stats = stats.clone();
            run.ended_at = Some(at);
        });
    }
}

impl Aggregate for Channel {
    const KIND: Kind = Kind::Channel;
    const NOT_FOUND: ErrorCode = ErrorCode::ChannelNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("name", FieldKind::Text).sortable(),
        Column::new("type", FieldKind::Enum),
        Column::new("status", FieldKind::Enum),
        Column::new("connection_mode", FieldKind::Enum),
        Column::new("external_id", FieldKind::Text),
        Column::new("pipeline_id", FieldKind::Id),
        Column::new("default_agent_id", FieldKind::Id),
        Column::new("credential_id", FieldKind::Id).of(Kind::Credential),
        Column::new("health", FieldKind::Enum),
        Column::new("ai_enabled", FieldKind::Bool),
        Column::new("last_error_at", FieldKind::Instant),
        Column::new("created_at", FieldKind::Instant).sortable(),
        Column::new("updated_at", FieldKind::Instant).sortable(),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[&["type", "status"], &["name"], &["credential_id"]];
    const OFTEN_READ: bool = true;
    type Id = ChannelId;

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        let Event::Channel(ChannelEvent::Created(new)) = event else { return None };
        let new = new.as_ref().clone();
        Some(Channel {
            id: meta.aggregate_id.into(),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            name: new.name,
            channel_type: new.channel_type,
            status: new.status,
            connection_mode: new.connection_mode,
            connection: ConnectionState::Unknown,
            external_id: new.external_id,
            config: new.config,
            secrets: new.secrets,
            credential_id: new.credential_id,
            identity: None,
            webhook_token: new.webhook_token,
            webhook_token_hash: new.webhook_token_hash,
            previous_webhook_token_hash: None,
            previous_webhook_valid_until: None,
            webhook_url: None,
            webhook_events: Vec::new(),
            webhook_configured_at: None,
            webhook_active: false,
            pipeline_id: new.pipeline_id,
            default_agent_id: new.default_agent_id,
            session_timeout_minutes: new.session_timeout_minutes,
            allow_groups: new.allow_groups,
            allow_newsletters: new.allow_newsletters,
            tracking_enabled: new.tracking_enabled,
            ai_enabled: new.ai_enabled,
            ai_agents_enabled: new.ai_agents_enabled,
            ai_processing: new.ai_processing,
            debounce_timeout_ms: new.debounce_timeout_ms,
            labels: BTreeMap::new(),
            custom_field_definitions: new.custom_field_definitions,
            health: ChannelHealth::default(),
            last_error: None,
            last_error_at: None,
            challenge: None,
            history_import_enabled: new.history_import_enabled,
            history_import_max_days: new.history_import_max_days,
            history_import_max_messages_per_chat: new.history_import_max_messages_per_chat,
            history_import: None,
            last_import_date: None,
            deactivated_at: None,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            deleted_at: None,
        })
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        let Event::Channel(event) = event else { return };
        match event.clone() {
            ChannelEvent::Created(_) => {}
            ChannelEvent::Updated { changes, .. } => self.take_in(changes),
            ChannelEvent::Configured { config, external_id, credential_id, secrets, .. } => {
                self.config = config;
                self.secrets = secrets;
                self.external_id = external_id;
                self.credential_id = credential_id;
            }
            ChannelEvent::AiConfigured { ai_enabled, ai_agents_enabled, ai_processing } => {
                self.ai_enabled = ai_enabled;
                self.ai_agents_enabled = ai_agents_enabled;
                self.ai_processing = ai_processing;
            }
            ChannelEvent::ActivationRequested { status_to, .. } => {
                self.status = status_to;
                self.deactivated_at = None;
                self.challenge = None;
            }
            ChannelEvent::Activated { connection, identity, .. } => {
                self.status = ChannelStatus::Active;
                self.connection = connection;
                self.last_error = None;
                self.last_error_at = None;
                self.identity = identity.or(self.identity.take());
            }
            ChannelEvent::ActivationFailed { connection, status_to, last_error, last_error_at, .. } => {
                self.status = status_to;
                self.connection = connection;
                self.last_error = Some(last_error);
                self.last_error_at = Some(last_error_at);
            }
            ChannelEvent::Deactivated { .. } => {
                self.status = ChannelStatus::Inactive;
                self.deactivated_at = Some(meta.occurred_at);
            }
            ChannelEvent::ConnectionChanged { status_to, connection_to, last_error, last_error_at, .. } => {
                self.status = status_to;
                self.connection = connection_to;
                if last_error.is_some() {
                    self.last_error = last_error;
                    self.last_error_at = last_error_at;
                }
            }
            ChannelEvent::IdentityUpdated { identity } => self.identity = Some(identity),
            ChannelEvent::ChallengeIssued { kind, attempt, issued_at, expires_at } => {
                self.challenge = Some(IssuedChallenge { kind, attempt, issued_at, expires_at });
            }
            ChannelEvent::HealthChanged { to, reason, consecutive_failures, changed_at, .. } => {
                self.health = ChannelHealth { state: to, reason, consecutive_failures, changed_at: Some(changed_at) };
            }
            ChannelEvent::WebhookConfigured { webhook_url, webhook_active, webhook_configured_at, events } => {
                self.webhook_url = webhook_url;
                self.webhook_active = webhook_active;
                self.webhook_configured_at = webhook_configured_at;
                self.webhook_events = events;
            }
            ChannelEvent::WebhookRotated {
                webhook_token,
                webhook_token_hash,
                previous_webhook_token_hash,
                previous_webhook_valid_until,
            } => {
                self.webhook_token = webhook_token;
                self.webhook_token_hash = webhook_token_hash;
                self.previous_webhook_token_hash = Some(previous_webhook_token_hash);
                self.previous_webhook_valid_until = Some(previous_webhook_valid_until);
            }
            ChannelEvent::PipelineAssociated { pipeline_id, .. } => self.pipeline_id = Some(pipeline_id),
            ChannelEvent::PipelineDisassociated { .. } => self.pipeline_id = None,
            ChannelEvent::LabelUpserted { label, .. } => {
                self.labels.insert(label.id.clone(), label);
            }
            ChannelEvent::LabelDeleted { label_id, .. } => {
                self.labels.remove(&label_id);
            }
            ChannelEvent::HistoryImportEnabled { max_days, max_messages_per_chat } => {
                self.history_import_enabled = true;
                self.history_import_max_days = max_days;
                self.history_import_max_messages_per_chat = max_messages_per_chat;
            }
            ChannelEvent::HistoryImportDisabled {} => self.history_import_enabled = false,
            ChannelEvent::HistoryImportRequested { job_id, request, .. } => {
                self.history_import = Some(ImportRun {
                    job_id,
                    status: HistoryImportStatus::Requested,
                    request,
                    stats: ImportStats::default(),
                    started_at: None,
                    ended_at: None,
                    error: None,
                });
            }
            ChannelEvent::HistoryImportStarted { job_id, stats, started_at } => self.run(job_id, |run| {
                run.status = HistoryImportStatus::Importing;
                run.stats = stats;
                run.started_at = Some(started_at);
            }),
            ChannelEvent::HistoryImportProgressed { job_id, stats } => self.run(job_id, |run| run.stats = stats),
            ChannelEvent::HistoryImportCompleted { job_id, stats, ended_at, last_import_date } => {
                self.end_import(job_id, HistoryImportStatus::Completed, &stats, ended_at);
                self.last_import_date = Some(last_import_date);
            }
            ChannelEvent::HistoryImportFailed { job_id, stats, ended_at, last_error, last_error_at, .. } => {
                self.end_import(job_id, HistoryImportStatus::Failed, &stats, ended_at);
                self.run(job_id, |run| run.error = Some(last_error.clone()));
                self.last_error = Some(last_error);
                self.last_error_at = Some(last_error_at);
            }
            ChannelEvent::HistoryImportCancelled { job_id, stats, ended_at } => {
                self.end_import(job_id, HistoryImportStatus::Cancelled, &stats, ended_at);
            }
            ChannelEvent::Deleted { deleted_at, .. } => self.deleted_at = Some(deleted_at),
        }
    }

    fn index(&self, index: &mut Index) {
        index.column("name", self.name.as_str());
        index.column("type", self.channel_type.as_str());
        index.column("status", self.status.as_str());
        index.column("connection_mode", self.connection_mode.as_str());
        index.column("external_id", self.external_id.as_deref());
        index.id("pipeline_id", self.pipeline_id);
        index.id("default_agent_id", self.default_agent_id);
        index.id("credential_id", self.credential_id);
        index.column("health", self.health.state.as_str());
        index.column("ai_enabled", self.ai_enabled);
        index.column("last_error_at", self.last_error_at);
        index.column("created_at", self.created_at);
        index.column("updated_at", self.updated_at);
        // A token is never given out twice, not even after the channel is deleted.
        for hash in std::iter::once(&self.webhook_token_hash).chain(&self.previous_webhook_token_hash) {
            index.unique_everywhere(Self::TOKEN_SPACE, hash.as_str(), ErrorCode::Conflict);
        }
        if self.deleted_at.is_some() {
            return;
        }
        index.unique(Self::NAME_SPACE, "", fold(&self.name), ErrorCode::ChannelNameTaken);
        if let Some(external_id) = &self.external_id {
            let code = ErrorCode::ChannelExternalIdTaken;
            index.unique(Self::EXTERNAL_ID_SPACE, self.channel_type.as_str(), external_id.as_str(), code);
        }
        index.search("name", 1.0, self.name.as_str());
    }

    fn is_hidden(&self) -> bool {
        self.deleted_at.is_some()
    }

    crate::base_fields!();
}
