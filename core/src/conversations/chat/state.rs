//! A chat as it stands.

use super::observing::is_observed;
use super::{ChatEvent, ChatStatus, ChatType, LastMessage, Participant, ParticipantRole};
use crate::base_fields;
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{AgentId, ChannelId, ChatId, ContactId, ErrorCode, Kind, MessageId, ProjectId, Timestamp};
use crate::storage::{Column, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The place where messages happen, on one channel: the row behind an inbox entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chat {
    pub id: ChatId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub channel_id: ChannelId,
    pub chat_type: ChatType,
    /// Its id on the channel, verbatim; unique per channel among open chats.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub external_id: Option<String>,
    /// The other side of an individual chat.
    pub contact_id: Option<ContactId>,
    pub subject: Option<String>,
    pub description: Option<String>,
    pub picture_url: Option<String>,
    /// Current and former participants; at most 2 000.
    pub participants: Vec<Participant>,
    pub status: ChatStatus,
    /// Ids of the channel's labels; at most 50.
    pub labels: BTreeSet<String>,
    pub last_message: Option<LastMessage>,
    pub last_inbound_at: Option<Timestamp>,
    /// Inbound messages since our side last read or answered.
    pub unread_count: u32,
    pub last_read_message_id: Option<MessageId>,
    pub last_read_at: Option<Timestamp>,
    /// Inbound messages up to this time are read or answered.
    pub read_up_to: Option<Timestamp>,
    pub message_count: u64,
    /// Who attends its active session.
    pub assigned_agent_id: Option<AgentId>,
    pub muted_until: Option<Timestamp>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub metadata: Map<String, Value>,
    pub merged_into_id: Option<ChatId>,
    pub deleted_at: Option<Timestamp>,
}

impl Chat {
    /// The participant of an id, current or not.
    pub fn participant(&self, id: impl Into<Uuid>) -> Option<&Participant> {
        let id = id.into();
        self.participants.iter().find(|participant| participant.id == id)
    }

    pub fn is_closed(&self) -> bool {
        self.status == ChatStatus::Closed
    }

    fn join(&mut self, participant: &Participant) {
        self.participants.retain(|known| known.id != participant.id);
        self.participants.push(participant.clone());
    }

    fn leave(&mut self, id: Uuid, at: Timestamp) {
        if let Some(participant) = self.participants.iter_mut().find(|participant| participant.id == id) {
            participant.left_at = Some(at);
        }
    }

    fn give_role(&mut self, id: Uuid, role: ParticipantRole) {
        if let Some(participant) = self.participants.iter_mut().find(|participant| participant.id == id) {
            participant.role = role;
        }
    }
}

impl Aggregate for Chat {
    const KIND: Kind = Kind::Chat;
    const NOT_FOUND: ErrorCode = ErrorCode::ChatNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("channel_id", FieldKind::Id).of(Kind::Channel),
        Column::new("chat_type", FieldKind::Enum),
        Column::new("status", FieldKind::Enum),
        Column::new("contact_id", FieldKind::Id).of(Kind::Contact),
        Column::new("subject", FieldKind::Text).sortable(),
        Column::new("unread_count", FieldKind::Number),
        Column::new("is_unread", FieldKind::Bool).unfiltered(),
        Column::new("assigned_agent_id", FieldKind::Id),
        Column::new("last_message.at", FieldKind::Instant).sortable(),
        Column::new("last_inbound_at", FieldKind::Instant).sortable(),
        Column::new("created_at", FieldKind::Instant).sortable(),
        Column::new("updated_at", FieldKind::Instant).sortable(),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[
        &["last_message.at"],
        &["status", "last_message.at"],
        &["status", "is_unread", "last_message.at"],
        &["channel_id", "last_message.at"],
        &["assigned_agent_id", "last_message.at"],
        &["contact_id"],
    ];
    const INDEX_VERSION: u32 = 2;
    const SETS: &'static [&'static str] = &["labels", "participant"];
    type Id = ChatId;

    base_fields!();

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        let Event::Chat(ChatEvent::Created {
            channel_id,
            chat_type,
            external_id,
            contact_id,
            subject,
            description,
            participants,
            metadata,
        }) = event
        else {
            return None;
        };
        Some(Chat {
            id: ChatId::from_uuid(meta.aggregate_id),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            channel_id: *channel_id,
            chat_type: *chat_type,
            external_id: external_id.clone(),
            contact_id: *contact_id,
            subject: subject.clone(),
            description: description.clone(),
            picture_url: None,
            participants: participants.clone(),
            status: ChatStatus::Active,
            labels: BTreeSet::new(),
            last_message: None,
            last_inbound_at: None,
            unread_count: 0,
            last_read_message_id: None,
            last_read_at: None,
            read_up_to: None,
            message_count: 0,
            assigned_agent_id: None,
            muted_until: None,
            metadata: metadata.clone(),
            merged_into_id: None,
            deleted_at: None,
        })
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        let event = match event {
            Event::Chat(event) => event,
            Event::Message(event) => return self.observe(event, meta.aggregate_id),
            Event::Session(event) => return self.follow(event),
            _ => return,
        };
        match event {
            ChatEvent::Created { .. } => {}
            ChatEvent::ParticipantAdded { participant, .. } => self.join(participant),
            ChatEvent::ParticipantRemoved { participant_id, left_at, .. } => self.leave(*participant_id, *left_at),
            ChatEvent::ParticipantPromoted { participant_id, role, .. }
            | ChatEvent::ParticipantDemoted { participant_id, role, .. } => self.give_role(*participant_id, *role),
            ChatEvent::ParticipantsSynced { added, removed, role_changes } => {
                added.iter().for_each(|participant| self.join(participant));
                removed.iter().for_each(|gone| self.leave(gone.id, gone.left_at));
                role_changes.iter().for_each(|change| self.give_role(change.id, change.role));
            }
            ChatEvent::Archived { .. } => self.status = ChatStatus::Archived,
            ChatEvent::Unarchived { .. } => self.status = ChatStatus::Active,
            ChatEvent::Closed { .. } => self.status = ChatStatus::Closed,
            ChatEvent::SubjectUpdated { subject, .. } => self.subject = Some(subject.clone()),
            ChatEvent::DescriptionUpdated { description, .. } => self.description.clone_from(description),
            ChatEvent::LabelAdded { label_id, .. } => {
                self.labels.insert(label_id.clone());
            }
            ChatEvent::LabelRemoved { label_id, .. } => {
                self.labels.remove(label_id);
            }
            ChatEvent::MarkedRead { last_read_message_id, read_up_to, read_at, unread_count } => {
                self.last_read_message_id = *last_read_message_id;
                self.last_read_at = Some(*read_at);
                self.read_up_to = self.read_up_to.max(*read_up_to);
                self.unread_count = *unread_count;
            }
            ChatEvent::ExternalIdSet { external_id, .. } => self.external_id = Some(external_id.clone()),
            ChatEvent::PictureUpdated { picture_url, .. } => self.picture_url.clone_from(picture_url),
            ChatEvent::Muted { until } => self.muted_until = Some(*until),
            ChatEvent::Unmuted {} => self.muted_until = None,
            ChatEvent::MetadataUpdated { set, removed, .. } => {
                self.metadata.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
                for key in removed {
                    self.metadata.remove(key);
                }
            }
            ChatEvent::Merged { into_chat_id, .. } => {
                self.merged_into_id = Some(*into_chat_id);
                self.deleted_at = Some(meta.occurred_at);
            }
            ChatEvent::Deleted { at, .. } => self.deleted_at = Some(*at),
        }
    }

    fn observes(event: &Event) -> bool {
        is_observed(event)
    }

    fn index(&self, index: &mut Index) {
        index.id("channel_id", Some(self.channel_id));
        index.column("chat_type", self.chat_type.as_str());
        index.column("status", self.status.as_str());
        index.id("contact_id", self.contact_id);
        index.column("subject", self.subject.as_deref());
        index.column("unread_count", self.unread_count);
        index.column("is_unread", self.unread_count > 0);
        index.id("assigned_agent_id", self.assigned_agent_id);
        index.column("last_message.at", self.last_message.as_ref().map(|last| last.at));
        index.column("last_inbound_at", self.last_inbound_at);
        index.column("created_at", self.created_at);
        index.column("updated_at", self.updated_at);
        for label in &self.labels {
            index.attribute("labels", label.as_str());
        }
        for participant in self.participants.iter().filter(|participant| participant.is_current()) {
            index.attribute("participant", participant.id.to_string());
        }
        if let Some(subject) = &self.subject {
            index.search("subject", 1.0, subject.as_str());
        }
        if self.is_closed() || self.is_hidden() {
            return;
        }
        let channel = self.channel_id.to_string();
        if let Some(external_id) = &self.external_id {
            index.unique("chat.external", channel.clone(), external_id.as_str(), ErrorCode::ChatExternalIdTaken);
        }
        if let (ChatType::Individual, Some(contact)) = (self.chat_type, self.contact_id) {
            index.unique("chat.contact", channel, contact.to_string(), ErrorCode::Conflict);
        }
    }

    fn is_hidden(&self) -> bool {
        self.deleted_at.is_some()
    }
}
