//! The tenant: one workspace that owns channels, contacts, conversations, agents and settings.

use super::{
    AgentAssignmentConfig, BusinessHours, CustomFieldDefinitions, ProjectEvent, ProjectStatus, RetentionPolicy,
    SessionVisibility, Slug, SuspensionCause,
};
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{
    BillingAccountId, Currency, ErrorCode, Kind, Language, Patch, ProjectId, Region, Timestamp, Timezone, UserId,
};
use crate::storage::{Column, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// One workspace: a brand, a department, a region, a white-label client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    pub id: ProjectId,
    /// The same as `id`.
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    /// Always an active member with role `admin`. Null until somebody owns it: the host may found a project for nobody.
    pub owner_user_id: Option<UserId>,
    pub billing_account_id: Option<BillingAccountId>,
    /// Its name in addresses, unique in the installation among what is not deleted.
    pub slug: Slug,
    /// 2 to 100 characters.
    pub name: String,
    /// At most 2000 characters.
    pub description: String,
    pub status: ProjectStatus,
    pub status_reason: Option<String>,
    pub status_changed_at: Option<Timestamp>,
    /// Set exactly while `status` is `suspended`.
    pub suspension_cause: Option<SuspensionCause>,
    /// The status before the suspension, to which resuming returns.
    pub status_before_suspension: Option<ProjectStatus>,
    /// Settings of the host; Ventros never reads them.
    pub configuration: Map<String, Value>,
    /// The region in which phones without country code are read; `BR` unless told.
    pub default_region: Region,
    /// `en` unless told.
    pub default_language: Language,
    /// `UTC` unless told.
    pub default_timezone: Timezone,
    /// `USD` unless told.
    pub default_currency: Currency,
    /// Minutes of silence after which a session ends, 1 to 1440; 30 unless told.
    pub session_timeout_minutes: u32,
    pub agent_assignment: AgentAssignmentConfig,
    /// Null = always open.
    pub business_hours: Option<BusinessHours>,
    /// Which sessions the member role `agent` sees.
    pub session_visibility: SessionVisibility,
    pub custom_field_definitions: CustomFieldDefinitions,
    /// Refuses values of custom fields that have no definition.
    pub custom_fields_strict: bool,
    /// An e-mail address belongs to one contact; true unless told.
    pub unique_email: bool,
    /// A contact that a channel brings gets a tag with the name of the channel's family; true unless told.
    pub auto_channel_tag: bool,
    pub retention: RetentionPolicy,
    /// When a deleted project's rows are removed for good.
    pub purge_after: Option<Timestamp>,
    /// When that was done: nothing else is known of it any more.
    #[serde(default)]
    pub purged_at: Option<Timestamp>,
}

impl Project {
    /// Everything runs.
    pub fn is_active(&self) -> bool {
        self.deleted_at.is_none() && self.status == ProjectStatus::Active
    }

    /// What a member without `project.view` may know: identity and locale. The settings read as their defaults.
    #[must_use]
    pub fn limited(self) -> Project {
        Project {
            owner_user_id: None,
            billing_account_id: None,
            description: String::new(),
            status_reason: None,
            suspension_cause: None,
            status_before_suspension: None,
            configuration: Map::new(),
            agent_assignment: AgentAssignmentConfig::default(),
            business_hours: None,
            retention: RetentionPolicy::default(),
            purge_after: None,
            ..self
        }
    }

    /// What is left of one that was purged.
    fn tombstone(purged_at: Timestamp) -> Project {
        let nil = ProjectId::from_uuid(Uuid::nil());
        Project {
            id: nil,
            project_id: nil,
            version: 0,
            revision: 0,
            created_at: purged_at,
            updated_at: purged_at,
            deleted_at: Some(purged_at),
            owner_user_id: None,
            billing_account_id: None,
            slug: Slug::purged(),
            name: "[purged]".to_owned(),
            description: String::new(),
            status: ProjectStatus::Inactive,
            status_reason: None,
            status_changed_at: None,
            suspension_cause: None,
            status_before_suspension: None,
            configuration: Map::new(),
            default_region: Region::BR,
            default_language: Language::default(),
            default_timezone: Timezone::default(),
            default_currency: Currency::USD,
            session_timeout_minutes: 30,
            agent_assignment: AgentAssignmentConfig::default(),
            business_hours: None,
            session_visibility: SessionVisibility::Own,
            custom_field_definitions: CustomFieldDefinitions::default(),
            custom_fields_strict: false,
            unique_email: true,
            auto_channel_tag: true,
            retention: RetentionPolicy::default(),
            purge_after: Some(purged_at),
            purged_at: Some(purged_at),
        }
    }

    fn set_status(&mut self, status: ProjectStatus, reason: Option<&String>, at: Timestamp) {
        self.status = status;
        self.status_reason = reason.cloned();
        self.status_changed_at = Some(at);
        self.suspension_cause = None;
        self.status_before_suspension = None;
    }
}

impl Aggregate for Project {
    const KIND: Kind = Kind::Project;
    const NOT_FOUND: ErrorCode = ErrorCode::ProjectNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("owner_user_id", FieldKind::Id),
        Column::new("billing_account_id", FieldKind::Id),
        Column::new("status", FieldKind::Enum),
        Column::new("slug", FieldKind::Text).sortable(),
        Column::new("name", FieldKind::Text).sortable(),
        Column::new("description", FieldKind::Text),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[&["owner_user_id"], &["billing_account_id"]];
    const OFTEN_READ: bool = true;
    type Id = ProjectId;

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        if let Event::Project(ProjectEvent::Purged { purged_at, .. }) = event {
            return Some(Project::tombstone(*purged_at));
        }
        let Event::Project(ProjectEvent::Created(new)) = event else { return None };
        let nil = ProjectId::from_uuid(Uuid::nil());
        Some(Project {
            id: nil,
            project_id: nil,
            version: 0,
            revision: 0,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            deleted_at: None,
            owner_user_id: new.owner_user_id,
            billing_account_id: new.billing_account_id,
            slug: new.slug.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            status: ProjectStatus::Active,
            status_reason: None,
            status_changed_at: None,
            suspension_cause: None,
            status_before_suspension: None,
            configuration: new.configuration.clone(),
            default_region: new.default_region,
            default_language: new.default_language.clone(),
            default_timezone: new.default_timezone,
            default_currency: new.default_currency,
            session_timeout_minutes: new.session_timeout_minutes,
            agent_assignment: new.agent_assignment.clone(),
            business_hours: new.business_hours.clone(),
            session_visibility: new.session_visibility,
            custom_field_definitions: CustomFieldDefinitions::default(),
            custom_fields_strict: new.custom_fields_strict,
            unique_email: new.unique_email,
            auto_channel_tag: new.auto_channel_tag,
            retention: new.retention,
            purge_after: None,
            purged_at: None,
        })
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        let Event::Project(event) = event else { return };
        match event {
            ProjectEvent::Created(_) | ProjectEvent::Purged { .. } => {}
            ProjectEvent::DetailsUpdated { name, description } => {
                put(&mut self.name, name);
                put(&mut self.description, description);
            }
            ProjectEvent::SlugChanged { new_slug, .. } => self.slug = new_slug.clone(),
            ProjectEvent::LocaleChanged { default_region, default_language, default_timezone, default_currency } => {
                put(&mut self.default_region, default_region);
                put(&mut self.default_language, default_language);
                put(&mut self.default_timezone, default_timezone);
                put(&mut self.default_currency, default_currency);
            }
            ProjectEvent::ConfigurationUpdated { set, unset } => {
                self.configuration.retain(|key, _| !unset.contains(key));
                self.configuration.extend(set.clone());
            }
            ProjectEvent::SessionTimeoutChanged { new_minutes, .. } => self.session_timeout_minutes = *new_minutes,
            ProjectEvent::AgentAssignmentChanged { agent_assignment, .. } => {
                self.agent_assignment = (**agent_assignment).clone();
            }
            ProjectEvent::BusinessHoursChanged { business_hours } => {
                self.business_hours = business_hours.as_deref().cloned();
            }
            ProjectEvent::SessionVisibilityChanged { new, .. } => self.session_visibility = *new,
            ProjectEvent::RetentionChanged { retention } => self.retention = *retention,
            ProjectEvent::CustomFieldsStrictChanged { strict } => self.custom_fields_strict = *strict,
            ProjectEvent::ContactRulesChanged { unique_email, auto_channel_tag } => {
                put(&mut self.unique_email, unique_email);
                put(&mut self.auto_channel_tag, auto_channel_tag);
            }
            ProjectEvent::CustomFieldDefined { target, definition }
            | ProjectEvent::CustomFieldUpdated { target, definition, .. } => {
                self.custom_field_definitions.put(*target, (**definition).clone());
            }
            ProjectEvent::CustomFieldRemoved { target, key, .. } => self.custom_field_definitions.remove(*target, key),
            ProjectEvent::Activated { reason } => {
                self.set_status(ProjectStatus::Active, reason.as_ref(), meta.occurred_at);
            }
            ProjectEvent::Deactivated { reason } => {
                self.set_status(ProjectStatus::Inactive, reason.as_ref(), meta.occurred_at);
            }
            ProjectEvent::Suspended { cause, reason, previous_status } => {
                self.set_status(ProjectStatus::Suspended, reason.as_ref(), meta.occurred_at);
                self.suspension_cause = Some(*cause);
                self.status_before_suspension = Some(*previous_status);
            }
            ProjectEvent::Resumed { status } => self.set_status(*status, None, meta.occurred_at),
            ProjectEvent::OwnershipTransferred { new_owner_user_id, .. } => {
                self.owner_user_id = Some(*new_owner_user_id);
            }
            ProjectEvent::Deleted { reason, deleted_at, purge_after } => {
                self.status_reason = reason.clone();
                self.deleted_at = Some(*deleted_at);
                self.purge_after = Some(*purge_after);
            }
            ProjectEvent::Restored { .. } => {
                self.deleted_at = None;
                self.purge_after = None;
                self.set_status(ProjectStatus::Inactive, None, meta.occurred_at);
            }
        }
    }

    /// Who belongs to the project is no part of its state, but its revision moves with it: the rules that keep a project in
    /// somebody's hands are never decided for two members beside each other.
    fn observes(event: &Event) -> bool {
        matches!(event, Event::ProjectMember(_))
    }

    fn index(&self, index: &mut Index) {
        index.id("owner_user_id", self.owner_user_id);
        index.id("billing_account_id", self.billing_account_id);
        index.column("status", self.status.as_str());
        index.column("slug", self.slug.as_str());
        index.column("name", self.name.as_str());
        index.column("description", self.description.as_str());
        index.search("name", 1.0, self.name.as_str());
        index.search("description", 0.5, self.description.as_str());
        if self.deleted_at.is_none() {
            index.unique_everywhere(Project::SLUG, self.slug.as_str(), ErrorCode::ProjectSlugTaken);
        }
    }

    fn is_hidden(&self) -> bool {
        self.deleted_at.is_some()
    }

    crate::base_fields!();
}

impl Project {
    /// The space of unique keys in which slugs live.
    pub const SLUG: &'static str = "project.slug";
}

fn put<T: Clone>(field: &mut T, patch: &Patch<T>) {
    if let Patch::Value(value) = patch {
        *field = value.clone();
    }
}
