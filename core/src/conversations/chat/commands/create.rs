//! Opening a chat.

use super::participants::{NewParticipant, check_people};
use crate::channels::channel::Channel;
use crate::contacts::contact::Contact;
use crate::conversations::chat::behaviour::{MAX_PARTICIPANTS, check_subject};
use crate::conversations::chat::{Chat, ChatEvent, ChatType, Participant, ParticipantRole, ParticipantType};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{ChannelId, ContactId, Error, ErrorCode, Permission, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use uuid::Uuid;

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
        ErrorCode::NotAGroup,
        ErrorCode::ChatParticipantLimit,
        ErrorCode::ChatExternalIdTaken,
        ErrorCode::ValueOutOfRange,
        ErrorCode::TextControlChar,
    ];
    type Output = OpenedChat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<OpenedChat> {
        work.load::<Channel>(self.channel_id).await.map_err(|e| e.at_least("channel_id"))?;
        let mut people = People { now: work.now(), joined: Vec::new() };
        let subject = match self.chat_type {
            ChatType::Individual => {
                let contact = self.individual()?;
                work.load::<Contact>(contact).await.map_err(|e| e.at_least("contact_id"))?;
                let key = (self.channel_id.to_string(), contact.to_string());
                if let Some(chat) = work.by_key::<Chat>("chat.contact", &key.0, &key.1).await? {
                    return Ok(OpenedChat { chat: chat.state().clone(), created: false });
                }
                people.join(contact.uuid(), ParticipantType::Contact, ParticipantRole::Member);
                None
            }
            ChatType::Group => {
                let subject = self.checked_subject()?;
                let creator = self.creator.ok_or(Error::new(ErrorCode::ChatCreatorRequired).at("creator"))?;
                people.join(creator.id, creator.kind, ParticipantRole::Owner);
                Some(subject)
            }
            ChatType::Channel => {
                let subject = self.checked_subject()?;
                if self.participants.iter().any(|p| p.kind == ParticipantType::Contact) {
                    return Err(Error::new(ErrorCode::ChannelMembershipUntracked).at("participants"));
                }
                Some(subject)
            }
        };
        for new in &self.participants {
            people.join(new.id, new.kind, self.role_of(new)?);
        }
        let participants = people.joined;
        if participants.len() > MAX_PARTICIPANTS {
            return Err(Error::new(ErrorCode::ChatParticipantLimit).at("participants").with("max", MAX_PARTICIPANTS));
        }
        check_people(work, &participants).await?;
        let opening = ChatEvent::Created {
            channel_id: self.channel_id,
            chat_type: self.chat_type,
            external_id: None,
            contact_id: self.contact_id.filter(|_| self.chat_type == ChatType::Individual),
            subject,
            description: None,
            participants,
            metadata: Map::new(),
        };
        let mut chat = work.create::<Chat>(work.new_id(), opening)?;
        if let Some(external_id) = &self.external_id {
            chat.set_external_id(external_id)?;
        }
        Ok(OpenedChat { chat: work.save(chat)?, created: true })
    }
}

impl CreateChat {
    /// The other side of an individual chat, which has no name of its own and no second contact.
    fn individual(&self) -> Result<ContactId> {
        let Some(contact) = self.contact_id else {
            return Err(Error::new(ErrorCode::ChatContactRequired).at("contact_id"));
        };
        if self.subject.is_some() {
            return Err(Error::new(ErrorCode::IndividualHasNoSubject).at("subject"));
        }
        if self.participants.iter().any(|p| p.kind == ParticipantType::Contact && p.id != contact.uuid()) {
            return Err(Error::new(ErrorCode::IndividualContactLimit).at("participants"));
        }
        Ok(contact)
    }

    fn checked_subject(&self) -> Result<String> {
        check_subject(self.subject.as_deref().unwrap_or_default())
    }

    /// Roles exist in groups only.
    fn role_of(&self, new: &NewParticipant) -> Result<ParticipantRole> {
        let role = new.role.unwrap_or(ParticipantRole::Member);
        if self.chat_type == ChatType::Group || role == ParticipantRole::Member {
            return Ok(role);
        }
        Err(Error::new(ErrorCode::NotAGroup).at("participants"))
    }
}

/// Who takes part from the start; each once.
struct People {
    now: Timestamp,
    joined: Vec<Participant>,
}

impl People {
    fn join(&mut self, id: Uuid, kind: ParticipantType, role: ParticipantRole) {
        if self.joined.iter().all(|known| known.id != id) {
            self.joined.push(Participant { role, ..Participant::member(id, kind, self.now, None) });
        }
    }
}
