//! An entry of a timeline as it stands.

use super::events::{EntryChange, EntryField, NewEntry, TimelineEvent};
use super::projection;
use super::reactions::REACTION;
use super::values::{Category, EntryKind, EntryPriority, EntrySource};
use crate::base_fields;
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{ContactEventId, ContactId, ErrorCode, EventId, Kind, ProjectId, SessionId, Timestamp};
use crate::storage::{Column, EventRecord, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The unique keys of entries that a caller gave a key of its own.
pub(super) const DEDUP: &str = "contact_event.dedup";

/// One thing that happened to a contact, for people to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// Of a projected entry, it follows from the event and the contact.
    pub id: ContactEventId,
    pub project_id: ProjectId,
    /// Of a projected entry, 0 until the contact sees it.
    pub version: u64,
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub kind: EntryKind,
    pub contact_id: ContactId,
    /// The contact that it happened to, before any merge.
    pub origin_contact_id: ContactId,
    pub session_id: Option<SessionId>,
    /// What happened: one of the known types of projected entries, or a word of the host.
    pub event_type: String,
    pub category: Category,
    pub priority: EntryPriority,
    /// Of a projected entry, put into words when it is read, in the language that was asked for.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub title: Option<String>,
    /// Names the words of a projected entry; what is filled into them is its payload.
    pub title_key: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub description: Option<String>,
    /// Particulars, under the same keys for every entry of a type.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub payload: Map<String, Value>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub metadata: Map<String, Value>,
    pub source: EntrySource,
    /// The agent or user who did it.
    pub triggered_by: Option<Uuid>,
    pub integration_source: Option<String>,
    /// Worth telling at once, not only in lists.
    pub is_realtime: bool,
    pub visible_to_client: bool,
    pub visible_to_agent: bool,
    /// The contact's own surface has it.
    pub delivered: bool,
    pub delivered_at: Option<Timestamp>,
    /// The contact has read it.
    pub read: bool,
    pub read_at: Option<Timestamp>,
    /// Nobody is shown it afterwards.
    pub expires_at: Option<Timestamp>,
    pub occurred_at: Timestamp,
    /// The number of the event that it comes from in the project's log.
    pub seq: Option<u64>,
    /// The event that it comes from: the one it was projected from, or the `contact_event.recorded` of its own.
    pub source_event_id: EventId,
    pub dedup_key: Option<String>,
    pub deleted_at: Option<Timestamp>,
    /// Its content is gone: it expired long ago.
    pub purged_at: Option<Timestamp>,
}

impl TimelineEntry {
    /// Nobody is shown it any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at < now)
    }

    /// The contact can see it.
    pub fn is_shown_to_client(&self, now: Timestamp) -> bool {
        self.visible_to_client && !self.is_expired(now) && self.deleted_at.is_none()
    }

    /// It is to be told at once.
    pub fn should_push(&self, now: Timestamp) -> bool {
        self.is_realtime && !self.is_expired(now)
    }

    pub fn is_projected(&self) -> bool {
        self.kind == EntryKind::Projected
    }

    fn recorded(entry: &NewEntry, meta: &Meta<'_>) -> TimelineEntry {
        TimelineEntry {
            id: ContactEventId::from_uuid(meta.aggregate_id),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            kind: EntryKind::Manual,
            contact_id: entry.contact_id,
            origin_contact_id: entry.contact_id,
            session_id: entry.session_id,
            event_type: entry.event_type.clone(),
            category: entry.category,
            priority: entry.priority,
            title: entry.title.clone(),
            title_key: None,
            description: entry.description.clone(),
            payload: entry.payload.clone(),
            metadata: entry.metadata.clone(),
            source: entry.source,
            triggered_by: entry.triggered_by,
            integration_source: entry.integration_source.clone(),
            is_realtime: entry.is_realtime,
            visible_to_client: entry.visible_to_client,
            visible_to_agent: entry.visible_to_agent,
            delivered: false,
            delivered_at: None,
            read: false,
            read_at: None,
            expires_at: entry.expires_at,
            occurred_at: entry.occurred_at,
            seq: None,
            source_event_id: meta.event_id,
            dedup_key: entry.dedup_key.clone(),
            deleted_at: None,
            purged_at: None,
        }
    }

    fn change(&mut self, change: &EntryChange) {
        let EntryChange { field, new, new_text, .. } = change;
        let flag = |old: bool| new.as_ref().and_then(Value::as_bool).unwrap_or(old);
        let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
        match field {
            EntryField::Title => self.title.clone_from(new_text),
            EntryField::Description => self.description.clone_from(new_text),
            EntryField::VisibleToClient => self.visible_to_client = flag(self.visible_to_client),
            EntryField::VisibleToAgent => self.visible_to_agent = flag(self.visible_to_agent),
            EntryField::IsRealtime => self.is_realtime = flag(self.is_realtime),
            EntryField::ExpiresAt => self.expires_at = text(new).and_then(|at| Timestamp::parse(&at).ok()),
            EntryField::SessionId => self.session_id = text(new).and_then(|id| SessionId::parse(&id).ok()),
        }
    }

    fn deliver(&mut self, at: Timestamp) {
        self.delivered = true;
        self.delivered_at = self.delivered_at.or(Some(at));
    }

    /// Forgets what it says; when and to whom it happened stays.
    fn purge(&mut self, at: Timestamp) {
        self.purged_at = Some(at);
        self.title = None;
        self.description = None;
        self.payload = Map::new();
        self.metadata = Map::new();
        self.dedup_key = None;
    }
}

impl Aggregate for TimelineEntry {
    const KIND: Kind = Kind::ContactEvent;
    const NOT_FOUND: ErrorCode = ErrorCode::ContactEventNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("contact_id", FieldKind::Id).of(Kind::Contact),
        Column::new("session_id", FieldKind::Id).of(Kind::Session),
        Column::new("kind", FieldKind::Enum),
        Column::new("event_type", FieldKind::Enum),
        Column::new("category", FieldKind::Enum),
        Column::new("priority", FieldKind::Enum),
        Column::new("priority_rank", FieldKind::Number),
        Column::new("source", FieldKind::Enum),
        Column::new("triggered_by", FieldKind::Id),
        Column::new("integration_source", FieldKind::Enum),
        Column::new("is_realtime", FieldKind::Bool),
        Column::new("visible_to_client", FieldKind::Bool),
        Column::new("visible_to_agent", FieldKind::Bool),
        Column::new("delivered", FieldKind::Bool),
        Column::new("read", FieldKind::Bool),
        Column::new("occurred_at", FieldKind::Instant).sortable(),
        Column::new("expires_at", FieldKind::Instant),
        Column::new("source_event_id", FieldKind::Id).sortable().unfiltered(),
        Column::new("seq", FieldKind::Number).unfiltered(),
        Column::new("purged_at", FieldKind::Instant).unfiltered(),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[
        &["contact_id", "occurred_at", "source_event_id"],
        &["session_id", "occurred_at"],
        &["event_type", "occurred_at"],
        &["category", "occurred_at"],
        &["expires_at"],
    ];
    const DERIVED_BY: Option<&'static str> = Some(REACTION);
    type Id = ContactEventId;

    base_fields!();

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        match event {
            Event::ContactEvent(TimelineEvent::Recorded(entry)) => Some(TimelineEntry::recorded(entry, meta)),
            _ => None,
        }
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        let Event::ContactEvent(event) = event else { return };
        match event {
            TimelineEvent::Recorded(_) => {}
            TimelineEvent::Updated { changes, .. } => changes.iter().for_each(|change| self.change(change)),
            TimelineEvent::Delivered { delivered_at, .. } => self.deliver(*delivered_at),
            TimelineEvent::Read { read_at, .. } => {
                self.deliver(*read_at);
                self.read = true;
                self.read_at = self.read_at.or(Some(*read_at));
            }
            TimelineEvent::Deleted { .. } => self.deleted_at = Some(meta.occurred_at),
            TimelineEvent::Purged { .. } => self.purge(meta.occurred_at),
        }
    }

    fn observes(event: &Event) -> bool {
        use TimelineEvent as E;
        matches!(event, Event::ContactEvent(E::Delivered { .. } | E::Read { .. } | E::Purged { .. }))
    }

    fn derive(record: &EventRecord, event: &Event) -> Option<Self> {
        projection::project(record, event)
    }

    fn derived_from(&self) -> Option<Uuid> {
        self.is_projected().then(|| self.source_event_id.uuid())
    }

    fn index(&self, index: &mut Index) {
        index.id("contact_id", Some(self.contact_id));
        index.id("session_id", self.session_id);
        index.column("kind", self.kind.as_str());
        index.column("event_type", self.event_type.as_str());
        index.column("category", self.category.as_str());
        index.column("priority", self.priority.as_str());
        index.column("priority_rank", self.priority.rank());
        index.column("source", self.source.as_str());
        index.id("triggered_by", self.triggered_by);
        index.column("integration_source", self.integration_source.as_deref());
        index.column("is_realtime", self.is_realtime);
        index.column("visible_to_client", self.visible_to_client);
        index.column("visible_to_agent", self.visible_to_agent);
        index.column("delivered", self.delivered);
        index.column("read", self.read);
        index.column("occurred_at", self.occurred_at);
        index.column("expires_at", self.expires_at);
        index.id("source_event_id", Some(self.source_event_id));
        index.column("seq", self.seq);
        index.column("purged_at", self.purged_at);
        if let Some(key) = &self.dedup_key {
            index.unique(DEDUP, "", key.as_str(), ErrorCode::Conflict);
        }
    }

    fn is_hidden(&self) -> bool {
        self.deleted_at.is_some() || self.purged_at.is_some()
    }
}
