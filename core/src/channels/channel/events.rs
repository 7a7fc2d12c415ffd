//! What can happen to a channel. Field `channel_type` of events is `type` in the state: `type` names the event itself.

use super::{
    AiContentType, AiProcessingConfig, ChannelLabel, ChannelSecret, ChannelStatus, HealthState, ImportRequest,
    ImportStats,
};
use crate::channels::channel_type::ConnectionMode;
use crate::channels::gateway::{ChallengeKind, ConnectionState, OwnIdentity};
use crate::kernel::{
    AgentId, CredentialId, CustomFieldDefinition, ImportJobId, Kind, Patch, PipelineId, SecretRef, Subject, Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Everything a channel starts with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewChannel {
    pub name: String,
    /// The code of its kind.
    pub channel_type: String,
    pub connection_mode: ConnectionMode,
    pub status: ChannelStatus,
    #[schemars(extend("x-pii" = "channel", "x-pii-kind" = "phone"))]
    pub external_id: Option<String>,
    pub config: Map<String, Value>,
    /// Secret settings by field; the values are in the vault.
    pub secrets: BTreeMap<String, ChannelSecret>,
    pub credential_id: Option<CredentialId>,
    /// Null without a vault.
    pub webhook_token: Option<SecretRef>,
    /// SHA-256 of the token, in hexadecimal.
    pub webhook_token_hash: String,
    pub pipeline_id: Option<PipelineId>,
    pub default_agent_id: Option<AgentId>,
    pub session_timeout_minutes: Option<u32>,
    pub allow_groups: bool,
    pub allow_newsletters: bool,
    pub tracking_enabled: bool,
    pub ai_enabled: bool,
    pub ai_agents_enabled: bool,
    pub ai_processing: BTreeMap<AiContentType, AiProcessingConfig>,
    pub debounce_timeout_ms: Option<u32>,
    pub history_import_enabled: bool,
    pub history_import_max_days: Option<u32>,
    pub history_import_max_messages_per_chat: Option<u32>,
    pub custom_field_definitions: Vec<CustomFieldDefinition>,
}

/// Settings of a channel; absent = not touched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChannelPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_groups: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_newsletters: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub session_timeout_minutes: Patch<u32>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub debounce_timeout_ms: Patch<u32>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub default_agent_id: Patch<AgentId>,
}

crate::events! {
    /// What can happen to a channel.
    pub enum ChannelEvent: Channel {
        /// A line was made; it is off.
        "channel.created" Created(Box<NewChannel>),
        /// Settings changed.
        "channel.updated" Updated { changes: ChannelPatch, previous: ChannelPatch },
        /// The connection was configured anew; carries all of it.
        "channel.configured" Configured {
            config: Map<String, Value>,
            #[schemars(extend("x-pii" = "channel", "x-pii-kind" = "phone"))]
            external_id: Option<String>,
            credential_id: Option<CredentialId>,
            /// Secret settings by field; the values are in the vault.
            secrets: BTreeMap<String, ChannelSecret>,
            /// Which secrets were set or taken away.
            secret_keys_changed: Vec<String>,
        },
        /// AI was configured; carries all of it.
        "channel.ai.configured" AiConfigured {
            ai_enabled: bool,
            ai_agents_enabled: bool,
            ai_processing: BTreeMap<AiContentType, AiProcessingConfig>,
        },
        /// Somebody wants the channel on.
        "channel.activation.requested" ActivationRequested {
            channel_type: String,
            connection_mode: ConnectionMode,
            status_from: ChannelStatus,
            status_to: ChannelStatus,
        },
        /// The channel sends and receives.
        "channel.activated" Activated {
            status_from: ChannelStatus,
            connection: ConnectionState,
            /// Who the line is at the provider, when that changed, too.
            #[schemars(extend("x-pii" = "channel", "x-pii-kind" = "free"))]
            identity: Option<OwnIdentity>,
        },
        /// The channel could not be switched on.
        "channel.activation.failed" ActivationFailed {
            connection: ConnectionState,
            reason: String,
            status_to: ChannelStatus,
            last_error: String,
            last_error_at: Timestamp,
        },
        /// A person switched the channel off.
        "channel.deactivated" Deactivated {
            status_from: ChannelStatus,
            reason: Option<String>,
            /// The device is to be unlinked, too.
            logout: bool,
        },
        /// The provider's end of the line changed.
        "channel.connection.changed" ConnectionChanged {
            status_from: ChannelStatus,
            status_to: ChannelStatus,
            connection_from: ConnectionState,
            connection_to: ConnectionState,
            reason: Option<String>,
            last_error: Option<String>,
            last_error_at: Option<Timestamp>,
        },
        /// The line is known under other ids or another profile.
        "channel.identity.updated" IdentityUpdated {
            #[schemars(extend("x-pii" = "channel", "x-pii-kind" = "free"))]
            identity: OwnIdentity,
        },
        /// A code to scan or to type is there; it is not in the event.
        "channel.challenge.issued" ChallengeIssued {
            kind: ChallengeKind,
            attempt: u32,
            issued_at: Timestamp,
            expires_at: Timestamp,
        },
        /// Health crossed a threshold.
        "channel.health.changed" HealthChanged {
            from: HealthState,
            to: HealthState,
            reason: Option<String>,
            consecutive_failures: u32,
            changed_at: Timestamp,
        },
        /// Where the provider delivers to, and whether it confirmed that.
        "channel.webhook.configured" WebhookConfigured {
            /// Without its secret last segment.
            webhook_url: Option<String>,
            webhook_active: bool,
            webhook_configured_at: Option<Timestamp>,
            events: Vec<String>,
        },
        /// A new secret address; the previous one is valid for a while.
        "channel.webhook.rotated" WebhookRotated {
            /// Null without a vault.
            webhook_token: Option<SecretRef>,
            webhook_token_hash: String,
            previous_webhook_token_hash: String,
            previous_webhook_valid_until: Timestamp,
        },
        /// New contacts and sessions of the channel enter a pipeline.
        "channel.pipeline.associated" PipelineAssociated {
            pipeline_id: PipelineId,
            previous_pipeline_id: Option<PipelineId>,
        },
        /// They no longer do.
        "channel.pipeline.disassociated" PipelineDisassociated { pipeline_id: PipelineId },
        /// A label was made or changed.
        "channel.label.upserted" LabelUpserted { label: ChannelLabel, previous: Option<ChannelLabel> },
        /// A label is gone, also from every chat that carried it.
        "channel.label.deleted" LabelDeleted { label_id: String, label: ChannelLabel },
        /// History may be imported, within these limits.
        "channel.history_import.enabled" HistoryImportEnabled {
            max_days: Option<u32>,
            max_messages_per_chat: Option<u32>,
        },
        /// History may no longer be imported.
        "channel.history_import.disabled" HistoryImportDisabled {},
        /// Somebody asked for an import.
        "channel.history_import.requested" HistoryImportRequested {
            job_id: ImportJobId,
            channel_type: String,
            request: ImportRequest,
        },
        /// The import has planned and begins.
        "channel.history_import.started" HistoryImportStarted {
            job_id: ImportJobId,
            stats: ImportStats,
            started_at: Timestamp,
        },
        /// The import has come further.
        "channel.history_import.progressed" HistoryImportProgressed { job_id: ImportJobId, stats: ImportStats },
        /// The import is done.
        "channel.history_import.completed" HistoryImportCompleted {
            job_id: ImportJobId,
            stats: ImportStats,
            ended_at: Timestamp,
            last_import_date: Timestamp,
        },
        /// The import gave up.
        "channel.history_import.failed" HistoryImportFailed {
            job_id: ImportJobId,
            reason: String,
            stats: ImportStats,
            ended_at: Timestamp,
            last_error: String,
            last_error_at: Timestamp,
        },
        /// The import was called off; what it stored stays.
        "channel.history_import.cancelled" HistoryImportCancelled {
            job_id: ImportJobId,
            stats: ImportStats,
            ended_at: Timestamp,
        },
        /// The line is gone; its messages stay.
        "channel.deleted" Deleted { status_from: ChannelStatus, deleted_at: Timestamp },
    }
    subjects(event, about) {
        let pipeline = match event {
            ChannelEvent::Created(new) => new.pipeline_id,
            ChannelEvent::PipelineAssociated { pipeline_id, .. }
            | ChannelEvent::PipelineDisassociated { pipeline_id } => Some(*pipeline_id),
            _ => None,
        };
        about.extend(pipeline.map(|id| Subject::new(Kind::Pipeline, id)));
    }
}
