//! What can happen to the entries of a timeline. What is projected has no event of its own until the contact sees it.

use super::values::{Category, EntryPriority, EntrySource};
use crate::kernel::{ActorRef, ContactEventId, ContactId, Kind, SessionId, Subject, Timestamp};
use crate::{events, text_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// An entry that somebody wrote down, in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewEntry {
    pub contact_id: ContactId,
    pub session_id: Option<SessionId>,
    pub event_type: String,
    pub category: Category,
    pub priority: EntryPriority,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub title: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub description: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub payload: Map<String, Value>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub metadata: Map<String, Value>,
    pub source: EntrySource,
    /// The agent or user who did it.
    pub triggered_by: Option<Uuid>,
    pub integration_source: Option<String>,
    pub is_realtime: bool,
    pub visible_to_client: bool,
    pub visible_to_agent: bool,
    pub expires_at: Option<Timestamp>,
    pub occurred_at: Timestamp,
    pub dedup_key: Option<String>,
}

text_enum! {
    /// What can be changed of an entry.
    pub enum EntryField {
        Title = "title",
        Description = "description",
        VisibleToClient = "visible_to_client",
        VisibleToAgent = "visible_to_agent",
        IsRealtime = "is_realtime",
        ExpiresAt = "expires_at",
        SessionId = "session_id",
    }
}

/// One change of an entry. Title and description are told as texts, everything else as values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntryChange {
    pub field: EntryField,
    pub old: Option<Value>,
    pub new: Option<Value>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub old_text: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub new_text: Option<String>,
}

impl EntryChange {
    /// A change of the title or the description.
    pub fn text(field: EntryField, old_text: Option<String>, new_text: Option<String>) -> Self {
        EntryChange { field, old: None, new: None, old_text, new_text }
    }

    /// A change of anything else.
    pub fn value(field: EntryField, old: impl Into<Value>, new: impl Into<Value>) -> Self {
        let told = |value: Value| Some(value).filter(|value| !value.is_null());
        EntryChange { field, old: told(old.into()), new: told(new.into()), old_text: None, new_text: None }
    }
}

events! {
    /// What can happen to the entries of a timeline.
    pub enum TimelineEvent: ContactEvent {
        /// Somebody wrote an entry down.
        "contact_event.recorded" Recorded(Box<NewEntry>),
        /// An entry that was written down is another now.
        "contact_event.updated" Updated { contact_id: ContactId, changes: Vec<EntryChange> },
        /// The contact's own surface has these entries; one event for a contact and a call.
        "contact_event.delivered" Delivered {
            entry_ids: Vec<ContactEventId>, contact_id: ContactId, delivered_at: Timestamp,
        },
        /// The contact has read these entries; one event for a contact and a call.
        "contact_event.read" Read { entry_ids: Vec<ContactEventId>, contact_id: ContactId, read_at: Timestamp },
        /// An entry that was written down was taken away.
        "contact_event.deleted" Deleted { contact_id: ContactId, deleted_by: ActorRef },
        /// Nothing is left of these entries: they expired a week ago.
        "contact_event.purged" Purged { contact_id: ContactId, manual_entry_ids: Vec<ContactEventId> },
    }
    subjects(event, about) {
        let entries = |ids: &[ContactEventId]| -> Vec<Subject> {
            ids.iter().map(|id| Subject::new(Kind::ContactEvent, *id)).collect()
        };
        let contact = match event {
            TimelineEvent::Recorded(entry) => {
                about.extend(entry.session_id.map(|id| Subject::new(Kind::Session, id)));
                &entry.contact_id
            }
            TimelineEvent::Updated { contact_id, .. } | TimelineEvent::Deleted { contact_id, .. } => contact_id,
            TimelineEvent::Delivered { entry_ids, contact_id, .. } | TimelineEvent::Read { entry_ids, contact_id, .. } => {
                about.extend(entries(entry_ids));
                contact_id
            }
            TimelineEvent::Purged { contact_id, manual_entry_ids } => {
                about.extend(entries(manual_entry_ids));
                contact_id
            }
        };
        about.push(Subject::new(Kind::Contact, *contact));
    }
}
