//! What a provider tells of a chat. It has happened, so nothing is refused as it is to people: what is known already
//! changes nothing, and what does not fit is left out.

use super::behaviour::{MAX_DESCRIPTION, MAX_LABELS, MAX_PARTICIPANTS, MAX_SUBJECT};
use super::{
    Chat, ChatEvent, ChatReason, ChatStatus, Departure, Participant, ParticipantRole, ParticipantType, RoleChange,
};
use crate::engine::Root;
use crate::kernel::{ContactId, Error, ErrorCode, Result, Timestamp};
use std::collections::BTreeMap;

/// A member of a group as a provider lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMember {
    pub contact_id: ContactId,
    pub role: ParticipantRole,
    /// Its id on the channel.
    pub external_id: Option<String>,
}

impl Root<Chat> {
    /// A label was put on the chat or taken off it. Closed chats take labels too.
    pub fn sync_label(&mut self, label_id: &str, is_on: bool) {
        let (contact_id, label_id) = (self.contact_id, label_id.to_owned());
        match (is_on, self.labels.contains(&label_id)) {
            (true, false) if self.labels.len() < MAX_LABELS => {
                self.record(ChatEvent::LabelAdded { label_id, contact_id });
            }
            (false, true) => self.record(ChatEvent::LabelRemoved { label_id, contact_id }),
            _ => {}
        }
    }

    /// The chat was archived or fetched back on the phone.
    pub fn sync_archived(&mut self, is_archived: bool) {
        let reason = Some(ChatReason::Provider);
        let (previous_status, at, contact_id) = (self.status, self.now(), self.contact_id);
        match (is_archived, previous_status) {
            (true, ChatStatus::Active) => {
                self.record(ChatEvent::Archived { reason, previous_status, at, contact_id });
            }
            (false, ChatStatus::Archived) => {
                self.record(ChatEvent::Unarchived { reason, previous_status, at, contact_id });
            }
            _ => {}
        }
    }

    /// A live inbound message brings an archived chat back.
    pub fn wake(&mut self) {
        if self.status == ChatStatus::Archived {
            let (previous_status, at, contact_id) = (self.status, self.now(), self.contact_id);
            let reason = Some(ChatReason::NewMessage);
            self.record(ChatEvent::Unarchived { reason, previous_status, at, contact_id });
        }
    }

    /// The group's name, cut to what a subject holds. True when it changed.
    pub fn sync_subject(&mut self, subject: &str) -> bool {
        let subject: String = subject.trim().chars().take(MAX_SUBJECT).collect();
        if subject.is_empty() || self.subject.as_deref() == Some(&subject) {
            return false;
        }
        let previous_subject = self.subject.clone();
        self.record(ChatEvent::SubjectUpdated { subject, previous_subject });
        true
    }

    /// The group's description; an empty one takes it away.
    pub fn sync_description(&mut self, description: &str) {
        let description: String = description.chars().take(MAX_DESCRIPTION).collect();
        let description = Some(description).filter(|text| !text.is_empty());
        if self.description != description {
            let previous_description = self.description.clone();
            self.record(ChatEvent::DescriptionUpdated { description, previous_description });
        }
    }

    /// A group's author who is not listed joins as a member; one who left comes back.
    pub fn welcome(&mut self, contact: ContactId, external_id: Option<&str>, at: Timestamp) {
        let rejoined = match self.participant(contact) {
            Some(known) if known.is_current() => return,
            Some(known) if known.left_at.is_some_and(|left| left > at) => return,
            known => known.is_some(),
        };
        let participant = Participant::member(contact, ParticipantType::Contact, at, external_id.map(str::to_owned));
        self.record(ChatEvent::ParticipantAdded { participant, rejoined });
    }

    /// Somebody left the group.
    pub fn see_off(&mut self, contact: ContactId, at: Timestamp) {
        if self.participant(contact).is_some_and(Participant::is_current) {
            let (participant_id, kind) = (contact.uuid(), ParticipantType::Contact);
            self.record(ChatEvent::ParticipantRemoved { participant_id, kind, left_at: at, reason: None });
        }
    }

    /// Somebody has a role in the group, who joins if need be. The last admin may lose theirs.
    pub fn sync_member(&mut self, member: &ListedMember, at: Timestamp) {
        self.welcome(member.contact_id, member.external_id.as_deref(), at);
        self.change_role(member.contact_id.uuid(), member.role);
    }

    /// The whole list of members: one event tells how it differs from what was known. Agents are not on such a list.
    ///
    /// # Errors
    /// `chat_participant_limit`.
    pub fn sync_members(&mut self, listed: &[ListedMember], at: Timestamp) -> Result<()> {
        if listed.len() > MAX_PARTICIPANTS {
            return Err(Error::new(ErrorCode::ChatParticipantLimit).at("participants").with("max", MAX_PARTICIPANTS));
        }
        let listed: BTreeMap<_, _> = listed.iter().map(|member| (member.contact_id.uuid(), member)).collect();
        let (mut added, mut role_changes) = (Vec::new(), Vec::new());
        for (id, member) in &listed {
            match self.participant(*id).filter(|known| known.is_current()) {
                None => added.push(Participant {
                    role: member.role,
                    ..Participant::member(*id, ParticipantType::Contact, at, member.external_id.clone())
                }),
                Some(known) if known.role != member.role => {
                    role_changes.push(RoleChange { id: *id, role: member.role, previous: known.role });
                }
                Some(_) => {}
            }
        }
        let contacts = self.participants.iter().filter(|known| known.kind == ParticipantType::Contact);
        let removed: Vec<Departure> = contacts
            .filter(|known| known.is_current() && !listed.contains_key(&known.id))
            .map(|known| Departure { id: known.id, kind: known.kind, left_at: at })
            .collect();
        if !(added.is_empty() && removed.is_empty() && role_changes.is_empty()) {
            self.record(ChatEvent::ParticipantsSynced { added, removed, role_changes });
        }
        Ok(())
    }
}
