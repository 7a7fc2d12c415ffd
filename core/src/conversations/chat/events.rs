//! What can happen to a chat. What follows from messages is observed and has no event here. Where an event has a
//! `contact_id` without a comment, it is the other side of an individual chat.

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
            participants: Vec<Participant>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            metadata: Map<String, Value>,
        },
        /// Somebody joined, or came back.
        "chat.participant_added" ParticipantAdded {
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
            /// The participant, when it is a contact.
            contact_id: Option<ContactId>,
        },
        /// An admin became a member.
        "chat.participant_demoted" ParticipantDemoted {
            participant_id: Uuid, role: ParticipantRole, previous_role: ParticipantRole,
            /// The participant, when it is a contact.
            contact_id: Option<ContactId>,
        },
        /// The provider's list of participants differed.
        "chat.participants_synced" ParticipantsSynced {
            added: Vec<Participant>,
            removed: Vec<Departure>,
            role_changes: Vec<RoleChange>,
        },
        /// It was put away.
        "chat.archived" Archived {
            reason: Option<ChatReason>, previous_status: ChatStatus, at: Timestamp, contact_id: Option<ContactId>,
        },
        /// It came back.
        "chat.unarchived" Unarchived {
            reason: Option<ChatReason>, previous_status: ChatStatus, at: Timestamp, contact_id: Option<ContactId>,
        },
        /// It became history.
        "chat.closed" Closed {
            reason: Option<ChatReason>, previous_status: ChatStatus, at: Timestamp, contact_id: Option<ContactId>,
        },
        /// A group got another name.
        "chat.subject_updated" SubjectUpdated { subject: String, previous_subject: Option<String> },
        /// A group got another description.
        "chat.description_updated" DescriptionUpdated { description: Option<String>, previous_description: Option<String> },
        /// One more label of the channel.
        "chat.label_added" LabelAdded { label_id: String, contact_id: Option<ContactId> },
        /// One label less.
        "chat.label_removed" LabelRemoved { label_id: String, contact_id: Option<ContactId> },
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
            contact_id: Option<ContactId>,
        },
        /// Its picture changed.
        "chat.picture_updated" PictureUpdated {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
            picture_url: Option<String>,
            contact_id: Option<ContactId>,
        },
        /// No notifications for a while.
        "chat.muted" Muted { until: Timestamp },
        /// Notifications again.
        "chat.unmuted" Unmuted {},
        /// The host's particulars changed.
        "chat.metadata_updated" MetadataUpdated {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            set: Map<String, Value>,
            removed: Vec<String>,
            contact_id: Option<ContactId>,
        },
        /// It went into another chat of the same person.
        "chat.merged" Merged { into_chat_id: ChatId, contact_id: Option<ContactId> },
        /// It was deleted, and hides its messages.
        "chat.deleted" Deleted { at: Timestamp, contact_id: Option<ContactId> },
    }
    subjects(event, about) {
        use ChatEvent as E;
        let person = |participant: &Participant| {
            (participant.kind == ParticipantType::Contact).then(|| Subject::new(Kind::Contact, participant.id))
        };
        match event {
            E::Created { participants, contact_id, .. } => {
                about.extend(contact_id.map(|id| Subject::new(Kind::Contact, id)));
                about.extend(participants.iter().filter_map(person));
            }
            E::ParticipantAdded { participant, .. } => about.extend(person(participant)),
            E::ParticipantRemoved { participant_id, kind: ParticipantType::Contact, .. } => {
                about.push(Subject::new(Kind::Contact, *participant_id));
            }
            E::ParticipantRemoved { .. } => {}
            E::ParticipantsSynced { added, removed, .. } => {
                about.extend(added.iter().filter_map(person));
                let gone = removed.iter().filter(|gone| gone.kind == ParticipantType::Contact);
                about.extend(gone.map(|gone| Subject::new(Kind::Contact, gone.id)));
            }
            E::ParticipantPromoted { contact_id, .. }
            | E::ParticipantDemoted { contact_id, .. }
            | E::Archived { contact_id, .. }
            | E::Unarchived { contact_id, .. }
            | E::Closed { contact_id, .. }
            | E::LabelAdded { contact_id, .. }
            | E::LabelRemoved { contact_id, .. }
            | E::ExternalIdSet { contact_id, .. }
            | E::PictureUpdated { contact_id, .. }
            | E::MetadataUpdated { contact_id, .. }
            | E::Merged { contact_id, .. }
            | E::Deleted { contact_id, .. } => about.extend(contact_id.map(|id| Subject::new(Kind::Contact, id))),
            E::SubjectUpdated { .. }
            | E::DescriptionUpdated { .. }
            | E::MarkedRead { .. }
            | E::Muted { .. }
            | E::Unmuted {} => {}
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
