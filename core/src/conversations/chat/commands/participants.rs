//! Who takes part, and with which role.

use crate::contacts::contact::Contact;
use crate::conversations::chat::{Chat, Participant, ParticipantRole, ParticipantType};
use crate::conversations::is_system_agent;
use crate::engine::{Aggregate, Command, UnitOfWork};
use crate::kernel::{AgentId, ChatId, ContactId, Error, ErrorCode, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
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

/// Everybody must exist in this project. Agents are known by the host: any id is taken, except those of the system's own
/// agents, which take part in nothing.
pub(super) async fn check_people(work: &UnitOfWork<'_>, participants: &[Participant]) -> Result<()> {
    let unknown = |code, id: Uuid| Error::new(code).at("participants").with("id", id.to_string());
    let contacts: Vec<ContactId> = participants.iter().filter_map(Participant::contact_id).collect();
    let mut agents = participants.iter().filter(|participant| participant.kind == ParticipantType::Agent);
    if let Some(agent) = agents.find(|agent| is_system_agent(work.project(), AgentId::from_uuid(agent.id))) {
        return Err(unknown(ErrorCode::AgentNotFound, agent.id));
    }
    let found = work.reader().get_many::<Contact>(&contacts).await?;
    for id in contacts {
        if !found.iter().any(|contact| contact.id == id && !contact.is_hidden()) {
            return Err(unknown(ErrorCode::ContactNotFound, id.uuid()));
        }
    }
    Ok(())
}
