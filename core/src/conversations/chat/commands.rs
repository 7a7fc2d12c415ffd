//! What people do with chats.

use super::behaviour::{MAX_PARTICIPANTS, check_subject};
use super::{Chat, ChatEvent, ChatReason, ChatType, Participant, ParticipantRole, ParticipantType};
use crate::channels::channel::Channel;
use crate::contacts::contact::Contact;
use crate::conversations::inbound::count_inbound_after;
use crate::conversations::message::Message;
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{
    ChannelId, ChatId, ContactId, Error, ErrorCode, MessageId, Patch, Permission, Result, Timestamp, Url,
};
use crate::operations;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Somebody who takes part from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewParticipant {
    pub id: Uuid,
    #[serde(rename = "type")]
    pub kind: ParticipantType,
    /// Default: member.
    #[serde(default)]
    pub role: Option<ParticipantRole>,
}

/// Opens a chat. An individual chat of the same contact on the same channel is returned as it is.
///
/// Individual: `contact_id` is required and becomes a member. Group: `subject` and `creator` are required, the creator
/// owns it. Channel: `subject` is required, membership is not tracked. At most 2 000 participants.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateChat {
    pub chat_type: ChatType,
    pub channel_id: ChannelId,
    #[serde(default)]
    pub contact_id: Option<ContactId>,
    /// 1 to 255 characters.
    #[serde(default)]
    pub subject: Option<String>,
    #[serde(default)]
    pub creator: Option<NewParticipant>,
    #[serde(default)]
    pub participants: Vec<NewParticipant>,
    /// Its id on the channel, verbatim.
    #[serde(default)]
    pub external_id: Option<String>,
}

/// A chat, and whether it was opened by this call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenedChat {
    pub chat: Chat,
    pub created: bool,
}

impl Command for CreateChat {
    const NAME: &'static str = "chats.create";
    const PERMISSION: Permission = Permission::ChatsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelNotFound,
        ErrorCode::ContactNotFound,
        ErrorCode::AgentNotFound,
        ErrorCode::ChatContactRequired,
        ErrorCode::IndividualContactLimit,
        ErrorCode::IndividualHasNoSubject,
        ErrorCode::ChatSubjectRequired,
        ErrorCode::ChatSubjectTooLong,
        ErrorCode::ChatCreatorRequired,
        ErrorCode::ChannelMembershipUntracked,
        ErrorCode::ChatParticipantLimit,
        ErrorCode::ChatExternalIdTaken,
    ];
    type Output = OpenedChat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<OpenedChat> {
        work.load::<Channel>(self.channel_id).await.map_err(|e| e.at_least("channel_id"))?;
        let mut participants: Vec<Participant> = Vec::new();
        let mut join = |new: &NewParticipant, role: ParticipantRole, at: Timestamp| {
            if participants.iter().all(|known| known.id != new.id) {
                participants.push(Participant { role, ..Participant::member(new.id, new.kind, at, None) });
            }
        };
        let now = work.now();
        let mut subject = None;
        match self.chat_type {
            ChatType::Individual => {
                let Some(contact) = self.contact_id else {
                    return Err(Error::new(ErrorCode::ChatContactRequired).at("contact_id"));
                };
                if self.subject.is_some() {
                    return Err(Error::new(ErrorCode::IndividualHasNoSubject).at("subject"));
                }
                if self.participants.iter().any(|p| p.kind == ParticipantType::Contact && p.id != contact.uuid()) {
                    return Err(Error::new(ErrorCode::IndividualContactLimit).at("participants"));
                }
                work.load::<Contact>(contact).await.map_err(|e| e.at_least("contact_id"))?;
                let key = (self.channel_id.to_string(), contact.to_string());
                if let Some(chat) = work.by_key::<Chat>("chat.contact", &key.0, &key.1).await? {
                    return Ok(OpenedChat { chat: chat.state().clone(), created: false });
                }
                let contact = NewParticipant { id: contact.uuid(), kind: ParticipantType::Contact, role: None };
                join(&contact, ParticipantRole::Member, now);
            }
            ChatType::Group => {
                subject = Some(check_subject(self.subject.as_deref().unwrap_or_default())?);
                let Some(creator) = &self.creator else {
                    return Err(Error::new(ErrorCode::ChatCreatorRequired).at("creator"));
                };
                join(creator, ParticipantRole::Owner, now);
            }
            ChatType::Channel => {
                subject = Some(check_subject(self.subject.as_deref().unwrap_or_default())?);
                if self.participants.iter().any(|p| p.kind == ParticipantType::Contact) {
                    return Err(Error::new(ErrorCode::ChannelMembershipUntracked).at("participants"));
                }
            }
        }
        for new in &self.participants {
            join(new, new.role.unwrap_or(ParticipantRole::Member), now);
        }
        if participants.len() > MAX_PARTICIPANTS {
            return Err(Error::new(ErrorCode::ChatParticipantLimit).at("participants").with("max", MAX_PARTICIPANTS));
        }
        check_people(work, &participants).await?;
        let id: ChatId = work.new_id();
        let mut chat = work.create::<Chat>(
            id,
            ChatEvent::Created {
                channel_id: self.channel_id,
                chat_type: self.chat_type,
                external_id: None,
                contact_id: self.contact_id.filter(|_| self.chat_type == ChatType::Individual),
                subject,
                description: None,
                participants,
                metadata: Map::new(),
            },
        )?;
        if let Some(external_id) = &self.external_id {
            chat.set_external_id(external_id)?;
        }
        Ok(OpenedChat { chat: work.save(chat)?, created: true })
    }
}

/// Everybody must exist in this project. There are no agents yet, so every agent is unknown.
async fn check_people(work: &UnitOfWork<'_>, participants: &[Participant]) -> Result<()> {
    let contacts: Vec<ContactId> = participants
        .iter()
        .filter(|participant| participant.kind == ParticipantType::Contact)
        .map(|participant| ContactId::from_uuid(participant.id))
        .collect();
    if let Some(agent) = participants.iter().find(|participant| participant.kind == ParticipantType::Agent) {
        return Err(Error::new(ErrorCode::AgentNotFound).at("participants").with("id", agent.id.to_string()));
    }
    let found = work.reader().get_many::<Contact>(&contacts).await?;
    for id in contacts {
        if !found.iter().any(|contact| contact.id == id && !crate::engine::Aggregate::is_hidden(contact)) {
            return Err(Error::new(ErrorCode::ContactNotFound).at("participants").with("id", id.to_string()));
        }
    }
    Ok(())
}

/// Changes of the host's own particulars of a chat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetadataChange {
    /// Values to set; at most 64 keys and 16 KiB together.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// Keys to remove.
    #[serde(default)]
    pub unset: Vec<String>,
}

/// Changes a chat; one event for each thing that differs. Groups and channels have a subject, individual chats none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateChat {
    pub id: ChatId,
    /// 1 to 255 characters.
    #[serde(default)]
    pub subject: Option<String>,
    /// At most 4 096 characters.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub description: Patch<String>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub picture_url: Patch<Url>,
    /// Its id on the channel; can be told once.
    #[serde(default)]
    pub external_id: Option<String>,
    /// The whole set; at most 50, each 1 to 64 characters.
    #[serde(default)]
    pub labels: Option<BTreeSet<String>>,
    /// No notifications until then; null ends it.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub muted_until: Patch<Timestamp>,
    #[serde(default)]
    pub metadata: Option<MetadataChange>,
}

impl Command for UpdateChat {
    const NAME: &'static str = "chats.update";
    const PERMISSION: Permission = Permission::ChatsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChatNotFound,
        ErrorCode::ChatClosed,
        ErrorCode::IndividualHasNoSubject,
        ErrorCode::ChatSubjectRequired,
        ErrorCode::ChatSubjectTooLong,
        ErrorCode::ChatLabelInvalid,
        ErrorCode::ChatLabelLimit,
        ErrorCode::ChatExternalIdImmutable,
        ErrorCode::ChatExternalIdTaken,
        ErrorCode::MuteInPast,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonKeyInvalid,
        ErrorCode::UrlInvalid,
    ];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        if let Some(subject) = &self.subject {
            chat.set_subject(subject)?;
        }
        if let Some(description) = self.description.into_change() {
            chat.set_description(description.as_deref())?;
        }
        if let Some(picture) = self.picture_url.into_change() {
            chat.set_picture(picture)?;
        }
        if let Some(external_id) = &self.external_id {
            chat.set_external_id(external_id)?;
        }
        if let Some(labels) = &self.labels {
            chat.set_labels(labels)?;
        }
        if let Some(until) = self.muted_until.into_change() {
            chat.mute(until)?;
        }
        if let Some(MetadataChange { set, unset }) = self.metadata {
            chat.change_metadata(set, unset)?;
        }
        work.save(chat)
    }
}

/// Lets a contact or an agent into a chat, or in again. An individual chat has one contact and any number of agents.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddParticipant {
    pub id: ChatId,
    pub participant: NewParticipant,
}

impl Command for AddParticipant {
    const NAME: &'static str = "chats.add_participant";
    const PERMISSION: Permission = Permission::ChatsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChatNotFound,
        ErrorCode::ChatClosed,
        ErrorCode::ParticipantExists,
        ErrorCode::IndividualContactLimit,
        ErrorCode::ChannelMembershipUntracked,
        ErrorCode::ChatParticipantLimit,
        ErrorCode::NotAGroup,
        ErrorCode::ContactNotFound,
        ErrorCode::AgentNotFound,
    ];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        let new = self.participant;
        chat.add_participant(new.id, new.kind, new.role.unwrap_or(ParticipantRole::Member))
            .map_err(|e| e.at("participant"))?;
        check_people(work, &[Participant::member(new.id, new.kind, work.now(), None)]).await?;
        work.save(chat)
    }
}

/// Ends somebody's part in a chat. The contact of an individual chat cannot leave it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveParticipant {
    pub id: ChatId,
    pub participant_id: Uuid,
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for RemoveParticipant {
    const NAME: &'static str = "chats.remove_participant";
    const PERMISSION: Permission = Permission::ChatsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChatNotFound,
        ErrorCode::ChatClosed,
        ErrorCode::CannotRemoveContact,
        ErrorCode::ParticipantNotFound,
    ];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        chat.remove_participant(self.participant_id, self.reason)?;
        work.save(chat)
    }
}

/// Makes a participant of a group an admin or a member. The last admin cannot be demoted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetParticipantRole {
    pub id: ChatId,
    pub participant_id: Uuid,
    pub role: ParticipantRole,
}

impl Command for SetParticipantRole {
    const NAME: &'static str = "chats.set_participant_role";
    const PERMISSION: Permission = Permission::ChatsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChatNotFound,
        ErrorCode::ChatClosed,
        ErrorCode::NotAGroup,
        ErrorCode::ParticipantNotFound,
        ErrorCode::ChatLastAdmin,
    ];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        chat.set_role(self.participant_id, self.role)?;
        work.save(chat)
    }
}

macro_rules! lifecycle {
    ($($(#[$doc:meta])* $name:ident $operation:literal [$($code:ident),*] |$chat:ident, $reason:ident| $body:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            pub id: ChatId,
            /// Default: person.
            #[serde(default)]
            pub reason: Option<ChatReason>,
        }

        impl Command for $name {
            const NAME: &'static str = $operation;
            const PERMISSION: Permission = Permission::ChatsManage;
            const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChatNotFound $(, ErrorCode::$code)*];
            type Output = Chat;

            async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
                let mut $chat = work.load::<Chat>(self.id).await?;
                let $reason = Some(self.reason.unwrap_or(ChatReason::Person));
                $body;
                work.save($chat)
            }
        }
    )*};
}

lifecycle! {
    /// Puts a chat away until the next inbound message. Archived already: no change.
    ArchiveChat "chats.archive" [ChatClosed] |chat, reason| chat.archive(reason)?;
    /// Brings an archived chat back. Active already: no change.
    UnarchiveChat "chats.unarchive" [ChatClosed] |chat, reason| chat.unarchive(reason)?;
    /// Makes a chat history for good; the next inbound message opens another one. Closed already: no change.
    CloseChat "chats.close" [] |chat, reason| chat.close(reason);
}

/// Puts a label of the channel on a chat. It is there already: no change. At most 50 labels.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddLabel {
    pub id: ChatId,
    /// 1 to 64 characters.
    pub label_id: String,
}

impl Command for AddLabel {
    const NAME: &'static str = "chats.add_label";
    const PERMISSION: Permission = Permission::ChatsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ChatNotFound, ErrorCode::ChatLabelInvalid, ErrorCode::ChatLabelLimit];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        chat.add_label(&self.label_id)?;
        work.save(chat)
    }
}

/// Takes a label off a chat.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveLabel {
    pub id: ChatId,
    pub label_id: String,
}

impl Command for RemoveLabel {
    const NAME: &'static str = "chats.remove_label";
    const PERMISSION: Permission = Permission::ChatsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChatNotFound, ErrorCode::ChatLabelNotFound];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        chat.remove_label(&self.label_id)?;
        work.save(chat)
    }
}

/// Our side has read a chat, up to a message or to its end. Later inbound messages stay unread.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkChatRead {
    pub id: ChatId,
    /// Default: everything.
    #[serde(default)]
    pub up_to_message_id: Option<MessageId>,
}

impl Command for MarkChatRead {
    const NAME: &'static str = "chats.mark_read";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChatNotFound, ErrorCode::MessageNotFound];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        let (last_read_message_id, read_up_to) = match self.up_to_message_id {
            Some(id) => {
                let message = work.load::<Message>(id).await.map_err(|e| e.at_least("up_to_message_id"))?;
                if message.chat_id != chat.id {
                    return Err(Error::new(ErrorCode::MessageNotFound)
                        .at("up_to_message_id")
                        .with("id", id.to_string()));
                }
                (Some(id), Some(message.timestamp))
            }
            None => (chat.last_message.as_ref().map(|last| last.message_id), chat.last_inbound_at),
        };
        if read_up_to <= chat.read_up_to && chat.last_read_message_id.is_some() {
            return Ok(chat.state().clone());
        }
        let unread_count = match read_up_to {
            Some(at) if chat.last_inbound_at.is_some_and(|last| last > at) => {
                count_inbound_after(work, chat.id, at).await?
            }
            _ => 0,
        };
        if unread_count == chat.unread_count && chat.last_read_message_id == last_read_message_id {
            return Ok(chat.state().clone());
        }
        let read_at = chat.now();
        chat.record(ChatEvent::MarkedRead { last_read_message_id, read_up_to, read_at, unread_count });
        work.save(chat)
    }
}

/// Deletes a chat. It and its messages are found no more; what happened stays in the log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteChat {
    pub id: ChatId,
}

impl Command for DeleteChat {
    const NAME: &'static str = "chats.delete";
    const PERMISSION: Permission = Permission::MessagesDelete;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChatNotFound];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        chat.delete();
        work.save(chat)
    }
}

operations![commands:
    CreateChat, UpdateChat, AddParticipant, RemoveParticipant, SetParticipantRole, ArchiveChat, UnarchiveChat, CloseChat,
    AddLabel, RemoveLabel, MarkChatRead, DeleteChat
];
