//! What can happen to a webhook. Deliveries are no events: one per attempt would double the log and feed itself.

use super::{BodyMode, DisabledReason};
use crate::kernel::{ActorRef, EventId, Patch, SecretRef, Timestamp, Url, WebhookDeliveryId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A header that goes with every delivery. Its value is in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeaderSecret {
    pub name: String,
    pub secret: SecretRef,
}

/// Everything a webhook starts with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewWebhook {
    pub name: String,
    pub url: Url,
    pub event_types: Vec<String>,
    pub exclude_event_types: Vec<String>,
    pub contact_events: bool,
    pub contact_event_types: Vec<String>,
    pub contact_event_categories: Vec<String>,
    pub include_historical: bool,
    pub active: bool,
    /// The key that deliveries are signed with; it is in the vault.
    pub secret: SecretRef,
    /// Sorted by name.
    pub headers: Vec<HeaderSecret>,
    pub max_attempts: u8,
    pub timeout_seconds: u8,
    pub body_mode: BodyMode,
    pub rate_per_second: u16,
    pub concurrency: u8,
    pub description: Option<String>,
    pub created_by: ActorRef,
}

/// Settings of a webhook; absent = not touched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WebhookPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_event_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_events: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_event_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_event_categories: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_historical: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<HeaderSecret>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_mode: Option<BodyMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u8>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub description: Patch<String>,
}

crate::events! {
    /// What can happen to a webhook.
    pub enum WebhookEvent: Webhook {
        /// A webhook was made.
        "webhook.created" Created(Box<NewWebhook>),
        /// Settings changed.
        "webhook.updated" Updated { changes: Box<WebhookPatch>, previous: Box<WebhookPatch> },
        /// The webhook is on again; what it counted of failures is forgotten.
        "webhook.activated" Activated { active: bool },
        /// The webhook is off, by a person or by itself; deliveries that wait are cancelled.
        "webhook.deactivated" Deactivated {
            active: bool,
            disabled_reason: DisabledReason,
            failing_since: Option<Timestamp>,
            /// Failed attempts in a row.
            consecutive_failures: Option<u32>,
            last_status_code: Option<u16>,
        },
        /// Deliveries are signed with a new key; the previous one signs beside it for a while.
        "webhook.secret_rotated" SecretRotated {
            secret: SecretRef,
            previous_secret: Option<SecretRef>,
            previous_secret_until: Option<Timestamp>,
        },
        /// The webhook is half way to being switched off; once per period of failures.
        "webhook.failing" Failing {
            failing_since: Timestamp,
            consecutive_failures: u32,
            /// What went wrong last: `status 500`, `timeout`, `connect`.
            last_error: String,
        },
        /// A delivery was given up: refused for good, or all attempts used up.
        "webhook.delivery.exhausted" DeliveryExhausted {
            delivery_id: WebhookDeliveryId,
            event_id: EventId,
            event_type: String,
            /// In the cycle that ended.
            attempts: u32,
            last_status_code: Option<u16>,
            last_error: String,
        },
        /// Deliveries were sent again.
        "webhook.replayed" Replayed {
            delivery_count: u64,
            /// The highest cycle among them; 0 when it is not known yet.
            cycle: u32,
            from: Option<Timestamp>,
            until: Option<Timestamp>,
        },
        /// The webhook is gone, and its secrets with it; its deliveries stay until they are too old.
        "webhook.deleted" Deleted { deleted_at: Timestamp },
    }
}
