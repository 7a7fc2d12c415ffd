//! Words of a chat: its type and status, who takes part, what was said last.

use crate::conversations::content::ContentType;
use crate::conversations::message::Direction;
use crate::kernel::{AgentId, ContactId, MessageId, Timestamp};
use crate::text_enum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

text_enum! {
    /// What sort of place it is.
    pub enum ChatType {
        /// One contact, any number of agents.
        Individual = "individual",
        /// Contacts and agents.
        Group = "group",
        /// One to many: newsletters and broadcast lists. Membership is not tracked.
        Channel = "channel",
    }
}

text_enum! {
    /// Whether it is in the inbox.
    pub enum ChatStatus {
        Active = "active",
        /// Hidden; comes back with the next inbound message.
        Archived = "archived",
        /// Read-only history, for good. The next inbound message opens another chat.
        Closed = "closed",
    }
}

text_enum! {
    /// What a participant is.
    pub enum ParticipantType {
        Contact = "contact",
        Agent = "agent",
    }
}

text_enum! {
    /// What a participant may do in a group.
    pub enum ParticipantRole {
        Member = "member",
        Admin = "admin",
        /// Made the group; counts as an admin.
        Owner = "owner",
    }
}

text_enum! {
    /// Why a chat changed its status.
    pub enum ChatReason {
        Person = "person",
        NewMessage = "new_message",
        Provider = "provider",
        ContactRemoved = "contact_removed",
        ChannelRemoved = "channel_removed",
    }
}

/// Somebody who takes part, or took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Participant {
    pub id: Uuid,
    #[serde(rename = "type")]
    pub kind: ParticipantType,
    pub role: ParticipantRole,
    pub joined_at: Timestamp,
    /// Null while the participant is current.
    pub left_at: Option<Timestamp>,
    /// Its id on the channel, at most 128 characters.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub external_id: Option<String>,
}

impl Participant {
    /// Somebody who takes part from a moment on, without special rights.
    pub fn member(
        id: impl Into<Uuid>,
        kind: ParticipantType,
        at: Timestamp,
        external_id: Option<String>,
    ) -> Participant {
        Participant { id: id.into(), kind, role: ParticipantRole::Member, joined_at: at, left_at: None, external_id }
    }

    pub fn is_current(&self) -> bool {
        self.left_at.is_none()
    }

    /// Its id, when it is a contact.
    pub fn contact_id(&self) -> Option<ContactId> {
        (self.kind == ParticipantType::Contact).then(|| ContactId::from_uuid(self.id))
    }
}

/// What the inbox shows of the newest message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastMessage {
    pub message_id: MessageId,
    pub at: Timestamp,
    pub direction: Direction,
    pub content_type: ContentType,
    /// At most 200 characters: the text, the caption, or the kind of file in brackets.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub preview: String,
    /// When the text of the preview was edited last.
    pub edited_at: Option<Timestamp>,
    /// It was taken back or deleted; the preview is empty.
    pub removed: bool,
    pub agent_id: Option<AgentId>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub sender_name: Option<String>,
}
