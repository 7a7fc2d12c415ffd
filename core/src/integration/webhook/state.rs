//! A webhook, folded from its events.

use super::{BodyMode, DisabledReason, HeaderSecret, WebhookEvent, WebhookPatch};
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{ActorRef, ErrorCode, Kind, ProjectId, SecretRef, Timestamp, Url, WebhookId, fold};
use crate::storage::{Column, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An address of an outside system to which events of the project are posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Webhook {
    pub id: WebhookId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    /// 1 to 100 characters, unique in the project whatever its case.
    pub name: String,
    /// `https`, and of the public net unless the host program allows another one.
    pub url: Url,
    /// Types (`contact.created`), prefixes (`contact.*`) or `*`; sorted.
    pub event_types: Vec<String>,
    /// Wins over `event_types`.
    pub exclude_event_types: Vec<String>,
    /// Also events behind entries of a contact's timeline.
    pub contact_events: bool,
    /// Types of entries, or `*`.
    pub contact_event_types: Vec<String>,
    /// Categories of entries, or `*`.
    pub contact_event_categories: Vec<String>,
    /// Also events about imported history.
    pub include_historical: bool,
    pub active: bool,
    /// Set exactly while it is not active.
    pub disabled_reason: Option<DisabledReason>,
    /// The key that deliveries are signed with. It was shown once; the value is in the vault.
    pub secret: SecretRef,
    /// Signs beside the new one until `previous_secret_until`.
    pub previous_secret: Option<SecretRef>,
    pub previous_secret_until: Option<Timestamp>,
    /// Headers of every delivery, by name. The values are in the vault.
    pub headers: Vec<HeaderSecret>,
    /// 1 to 20; 8 cover 3 hours, 12 about 27, 16 about 51.
    pub max_attempts: u8,
    /// 1 to 30.
    pub timeout_seconds: u8,
    pub body_mode: BodyMode,
    /// 1 to 100; in a burst ten times as many, at most 100.
    pub rate_per_second: u16,
    /// 1 to 20 deliveries at a time.
    pub concurrency: u8,
    /// At most 500 characters.
    pub description: Option<String>,
    pub created_by: ActorRef,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

impl Webhook {
    /// The unique-key space of names.
    pub const NAME_SPACE: &'static str = "webhook.name";

    /// Whether deliveries go out.
    pub fn is_on(&self) -> bool {
        self.active && self.deleted_at.is_none()
    }

    fn take_in(&mut self, changes: WebhookPatch) {
        fn set<T>(field: &mut T, change: Option<T>) {
            if let Some(value) = change {
                *field = value;
            }
        }
        set(&mut self.name, changes.name);
        set(&mut self.url, changes.url);
        set(&mut self.event_types, changes.event_types);
        set(&mut self.exclude_event_types, changes.exclude_event_types);
        set(&mut self.contact_events, changes.contact_events);
        set(&mut self.contact_event_types, changes.contact_event_types);
        set(&mut self.contact_event_categories, changes.contact_event_categories);
        set(&mut self.include_historical, changes.include_historical);
        set(&mut self.headers, changes.headers);
        set(&mut self.max_attempts, changes.max_attempts);
        set(&mut self.timeout_seconds, changes.timeout_seconds);
        set(&mut self.body_mode, changes.body_mode);
        set(&mut self.rate_per_second, changes.rate_per_second);
        set(&mut self.concurrency, changes.concurrency);
        set(&mut self.description, changes.description.into_change());
    }
}

impl Aggregate for Webhook {
    const KIND: Kind = Kind::Webhook;
    const NOT_FOUND: ErrorCode = ErrorCode::WebhookNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("name", FieldKind::Text).sortable(),
        Column::new("url", FieldKind::Text),
        Column::new("active", FieldKind::Bool),
        Column::new("disabled_reason", FieldKind::Enum),
        Column::new("created_at", FieldKind::Instant).sortable(),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[&["active"]];
    const OFTEN_READ: bool = true;
    type Id = WebhookId;

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        let Event::Webhook(WebhookEvent::Created(new)) = event else { return None };
        let new = new.as_ref().clone();
        Some(Webhook {
            id: meta.aggregate_id.into(),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            name: new.name,
            url: new.url,
            event_types: new.event_types,
            exclude_event_types: new.exclude_event_types,
            contact_events: new.contact_events,
            contact_event_types: new.contact_event_types,
            contact_event_categories: new.contact_event_categories,
            include_historical: new.include_historical,
            active: new.active,
            disabled_reason: (!new.active).then_some(DisabledReason::Manual),
            secret: new.secret,
            previous_secret: None,
            previous_secret_until: None,
            headers: new.headers,
            max_attempts: new.max_attempts,
            timeout_seconds: new.timeout_seconds,
            body_mode: new.body_mode,
            rate_per_second: new.rate_per_second,
            concurrency: new.concurrency,
            description: new.description,
            created_by: new.created_by,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            deleted_at: None,
        })
    }

    fn apply(&mut self, event: &Event, _meta: &Meta<'_>) {
        let Event::Webhook(event) = event else { return };
        match event.clone() {
            WebhookEvent::Updated { changes, .. } => self.take_in(*changes),
            WebhookEvent::Activated { .. } => {
                self.active = true;
                self.disabled_reason = None;
            }
            WebhookEvent::Deactivated { disabled_reason, .. } => {
                self.active = false;
                self.disabled_reason = Some(disabled_reason);
            }
            WebhookEvent::SecretRotated { secret, previous_secret, previous_secret_until } => {
                self.secret = secret;
                self.previous_secret = previous_secret;
                self.previous_secret_until = previous_secret_until;
            }
            WebhookEvent::Deleted { deleted_at } => self.deleted_at = Some(deleted_at),
            WebhookEvent::Created(_)
            | WebhookEvent::Failing { .. }
            | WebhookEvent::DeliveryExhausted { .. }
            | WebhookEvent::Replayed { .. } => {}
        }
    }

    fn index(&self, index: &mut Index) {
        index.column("name", self.name.as_str());
        index.column("url", self.url.as_str());
        index.column("active", self.active);
        index.column("disabled_reason", self.disabled_reason.map(DisabledReason::as_str));
        index.column("created_at", self.created_at);
        if self.deleted_at.is_none() {
            index.unique(Self::NAME_SPACE, "", fold(&self.name), ErrorCode::WebhookNameTaken);
            index.search("name", 1.0, self.name.as_str());
        }
    }

    fn is_hidden(&self) -> bool {
        self.deleted_at.is_some()
    }

    crate::base_fields!();
}
