//! What can happen to a project.

use super::{
    AgentAssignmentConfig, AssignmentChange, BusinessHours, CustomFieldTarget, ProjectStatus, RetentionPolicy,
};
use super::{SessionVisibility, Slug, SuspensionCause};
use crate::kernel::{
    BillingAccountId, Currency, CustomFieldDefinition, CustomFieldKey, Kind, Language, Patch, Region, Subject,
    Timestamp, Timezone, UserId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A project as it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewProject {
    /// Null for a project that a system component founded for nobody yet.
    pub owner_user_id: Option<UserId>,
    pub billing_account_id: Option<BillingAccountId>,
    pub slug: Slug,
    pub name: String,
    pub description: String,
    pub configuration: Map<String, Value>,
    pub default_region: Region,
    pub default_language: Language,
    pub default_timezone: Timezone,
    pub default_currency: Currency,
    pub session_timeout_minutes: u32,
    pub agent_assignment: AgentAssignmentConfig,
    pub business_hours: Option<BusinessHours>,
    pub session_visibility: SessionVisibility,
    pub custom_fields_strict: bool,
    pub unique_email: bool,
    pub auto_channel_tag: bool,
    pub retention: RetentionPolicy,
}

crate::events! {
    /// What can happen to a project.
    pub enum ProjectEvent: Project {
        /// It was founded.
        "project.created" Created(Box<NewProject>),
        /// Its name or description changed.
        "project.details_updated" DetailsUpdated {
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            name: Patch<String>,
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            description: Patch<String>,
        },
        /// Its slug changed.
        "project.slug_changed" SlugChanged { old_slug: Slug, new_slug: Slug },
        /// Defaults of place and language changed. Stored phones stay as they are.
        "project.locale_changed" LocaleChanged {
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            default_region: Patch<Region>,
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            default_language: Patch<Language>,
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            default_timezone: Patch<Timezone>,
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            default_currency: Patch<Currency>,
        },
        /// Keys of the host's own settings changed.
        "project.configuration_updated" ConfigurationUpdated { set: Map<String, Value>, unset: Vec<String> },
        /// Sessions end after another time of silence.
        "project.session_timeout_changed" SessionTimeoutChanged { old_minutes: u32, new_minutes: u32 },
        /// How sessions find their agent changed; the settings are complete.
        "project.agent_assignment_changed" AgentAssignmentChanged {
            agent_assignment: Box<AgentAssignmentConfig>,
            change: AssignmentChange,
        },
        /// It opens at other times.
        "project.business_hours_changed" BusinessHoursChanged { business_hours: Option<Box<BusinessHours>> },
        /// The member role `agent` sees other sessions.
        "project.session_visibility_changed" SessionVisibilityChanged { old: SessionVisibility, new: SessionVisibility },
        /// Data is kept for another time.
        "project.retention_changed" RetentionChanged { retention: RetentionPolicy },
        /// Custom fields without a definition are refused, or allowed again.
        "project.custom_fields_strict_changed" CustomFieldsStrictChanged { strict: bool },
        /// What it wants of its contacts changed. Contacts that are there keep what held when they got their address.
        "project.contact_rules_changed" ContactRulesChanged {
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            unique_email: Patch<bool>,
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            auto_channel_tag: Patch<bool>,
        },
        /// A custom field has a definition.
        "project.custom_field_defined" CustomFieldDefined {
            target: CustomFieldTarget,
            definition: Box<CustomFieldDefinition>,
        },
        /// The definition of a custom field changed; it is complete.
        "project.custom_field_updated" CustomFieldUpdated {
            target: CustomFieldTarget,
            key: CustomFieldKey,
            definition: Box<CustomFieldDefinition>,
        },
        /// A custom field has no definition any more; with `purge_values`, nothing keeps a value of it.
        "project.custom_field_removed" CustomFieldRemoved {
            target: CustomFieldTarget,
            key: CustomFieldKey,
            purge_values: bool,
        },
        /// It was switched on.
        "project.activated" Activated { reason: Option<String> },
        /// It was switched off.
        "project.deactivated" Deactivated { reason: Option<String> },
        /// Billing or the platform restricted it.
        "project.suspended" Suspended { cause: SuspensionCause, reason: Option<String>, previous_status: ProjectStatus },
        /// The restriction ended.
        "project.resumed" Resumed { status: ProjectStatus },
        /// Another member owns it.
        "project.ownership_transferred" OwnershipTransferred {
            old_owner_user_id: Option<UserId>,
            new_owner_user_id: UserId,
        },
        /// It was deleted; it can be restored until `purge_after`.
        "project.deleted" Deleted { reason: Option<String>, deleted_at: Timestamp, purge_after: Timestamp },
        /// It came back, inactive.
        "project.restored" Restored { restored_at: Timestamp },
        /// Everything of it is gone for good. This is the only event that is left of it, and the first of its log.
        "project.purged" Purged {
            purged_at: Timestamp,
            /// How many rows there were, by table.
            row_counts: BTreeMap<String, u64>,
        },
    }
    subjects(event, about) {
        match event {
            ProjectEvent::Created(new) => {
                about.extend(new.owner_user_id.map(|id| Subject::new(Kind::User, id)));
                about.extend(new.billing_account_id.map(|id| Subject::new(Kind::BillingAccount, id)));
            }
            ProjectEvent::OwnershipTransferred { old_owner_user_id, new_owner_user_id } => {
                about.extend(old_owner_user_id.map(|id| Subject::new(Kind::User, id)));
                about.push(Subject::new(Kind::User, *new_owner_user_id));
            }
            _ => {}
        }
    }
}
