//! What can happen to a chat. What follows from messages is observed and has no event here.

use super::{ChatReason, ChatStatus, ChatType, Participant, ParticipantRole, ParticipantType};
use crate::events;
use crate::kernel::{ChannelId, ChatId, ContactId, Kind, MessageId, Subject, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

events! {
    /// What can happen to a chat.
    pub enum ChatEvent: Chat {
        /// It was opened, by the first message or by a person.
        "chat.created" Created {
            channel_id: ChannelId,
            chat_type: ChatType,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
            external_id: Option<String>,
            contact_id: Option<ContactId>,
            subject: Option<String>,
            description: Option<String>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            participants: Vec<Participant>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            metadata: Map<String, Value>,
        },
        /// Somebody joined, or came back.
        "chat.participant_added" ParticipantAdded {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            participant: Participant,
            rejoined: bool,
        },
        /// Somebody left.
        "chat.participant_removed" ParticipantRemoved {
            participant_id: Uuid,
            #[serde(rename = "participant_type")]
            kind: ParticipantType,
            left_at: Timestamp,
            reason: Option<String>,
        },
        /// A member became an admin.
        "chat.participant_promoted" ParticipantPromoted {
            participant_id: Uuid, role: ParticipantRole, previous_role: ParticipantRole,
        },
        /// An admin became a member.
        "chat.participant_demoted" ParticipantDemoted {
            participant_id: Uuid, role: ParticipantRole, previous_role: ParticipantRole,
        },
        /// The provider's list of participants differed.
        "chat.participants_synced" ParticipantsSynced {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            added: Vec<Participant>,
            removed: Vec<Departure>,
            role_changes: Vec<RoleChange>,
        },
        /// It was put away.
        "chat.archived" Archived { reason: Option<ChatReason>, previous_status: ChatStatus, at: Timestamp },
        /// It came back.
        "chat.unarchived" Unarchived { reason: Option<ChatReason>, previous_status: ChatStatus, at: Timestamp },
        /// It became history.
        "chat.closed" Closed { reason: Option<ChatReason>, previous_status: ChatStatus, at: Timestamp },
        /// A group got another name.
        "chat.subject_updated" SubjectUpdated { subject: String, previous_subject: Option<String> },
        /// A group got another description.
        "chat.description_updated" DescriptionUpdated { description: Option<String>, previous_description: Option<String> },
        /// One more label of the channel.
        "chat.label_added" LabelAdded { label_id: String },
        /// One label less.
        "chat.label_removed" LabelRemoved { label_id: String },
        /// Our side read it.
        "chat.marked_read" MarkedRead {
            last_read_message_id: Option<MessageId>,
            /// Messages up to this time are read.
            read_up_to: Option<Timestamp>,
            read_at: Timestamp,
            unread_count: u32,
        },
        /// Its id on the channel became known.
        "chat.external_id_set" ExternalIdSet {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
            external_id: String,
        },
        /// Its picture changed.
        "chat.picture_updated" PictureUpdated { picture_url: Option<String> },
        /// No notifications for a while.
        "chat.muted" Muted { until: Timestamp },
        /// Notifications again.
        "chat.unmuted" Unmuted {},
        /// The host's particulars changed.
        "chat.metadata_updated" MetadataUpdated {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            set: Map<String, Value>,
            removed: Vec<String>,
        },
        /// It went into another chat of the same person.
        "chat.merged" Merged { into_chat_id: ChatId },
        /// It was deleted, and hides its messages.
        "chat.deleted" Deleted { at: Timestamp },
    }
    subjects(event, about) {
        let contact = |participant: &Participant| {
            (participant.kind == ParticipantType::Contact).then(|| Subject::new(Kind::Contact, participant.id))
        };
        match event {
            ChatEvent::Created { participants, contact_id, .. } => {
                about.extend(contact_id.map(|id| Subject::new(Kind::Contact, id)));
                about.extend(participants.iter().filter_map(contact));
            }
            ChatEvent::ParticipantAdded { participant, .. } => about.extend(contact(participant)),
            ChatEvent::ParticipantRemoved { participant_id, kind: ParticipantType::Contact, .. } => {
                about.push(Subject::new(Kind::Contact, *participant_id));
            }
            ChatEvent::ParticipantsSynced { added, .. } => about.extend(added.iter().filter_map(contact)),
            _ => {}
        }
    }
}

/// Who left, in a sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Departure {
    pub id: Uuid,
    #[serde(rename = "type")]
    pub kind: ParticipantType,
    pub left_at: Timestamp,
}

/// Whose role changed, in a sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RoleChange {
    pub id: Uuid,
    pub role: ParticipantRole,
    pub previous: ParticipantRole,
}
