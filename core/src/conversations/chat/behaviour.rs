//! What may happen to a chat when a person asks for it. What a provider tells is in `provider`.

use super::{Chat, ChatEvent, ChatReason, ChatStatus, ChatType, Participant, ParticipantRole, ParticipantType};
use crate::engine::Root;
use crate::kernel::{Error, ErrorCode, Result, Timestamp, Url};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The most participants of a chat.
pub const MAX_PARTICIPANTS: usize = 2_000;
/// The most labels of a chat.
pub const MAX_LABELS: usize = 50;
/// The most characters of a subject.
pub const MAX_SUBJECT: usize = 255;
/// The most characters of a description.
pub const MAX_DESCRIPTION: usize = 4_096;
const MAX_EXTERNAL_ID: usize = 255;
const MAX_METADATA_KEYS: usize = 64;

/// A group's or newsletter's name: 1 to 255 characters after trimming.
pub fn check_subject(subject: &str) -> Result<String> {
    let subject = subject.trim();
    if subject.is_empty() {
        return Err(Error::new(ErrorCode::ChatSubjectRequired).at("subject"));
    }
    let length = subject.chars().count();
    if length > MAX_SUBJECT {
        return Err(Error::new(ErrorCode::ChatSubjectTooLong)
            .at("subject")
            .with("max", MAX_SUBJECT)
            .with("length", length));
    }
    if subject.chars().any(char::is_control) {
        return Err(Error::new(ErrorCode::TextControlChar).at("subject"));
    }
    Ok(subject.to_owned())
}

/// A label's id: 1 to 64 characters.
pub fn check_label(label_id: &str) -> Result<()> {
    let fits = (1..=64).contains(&label_id.chars().count()) && !label_id.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Error::new(ErrorCode::ChatLabelInvalid).at("label_id")) }
}

impl Root<Chat> {
    /// Closed chats are history: nothing of them changes but labels, read marks and deletion.
    fn require_open(&self) -> Result<()> {
        if self.is_closed() { Err(Error::new(ErrorCode::ChatClosed).with("id", self.id.to_string())) } else { Ok(()) }
    }

    pub fn archive(&mut self, reason: Option<ChatReason>) -> Result<()> {
        self.require_open()?;
        if self.status == ChatStatus::Active {
            let (previous_status, at, contact_id) = (self.status, self.now(), self.contact_id);
            self.record(ChatEvent::Archived { reason, previous_status, at, contact_id });
        }
        Ok(())
    }

    pub fn unarchive(&mut self, reason: Option<ChatReason>) -> Result<()> {
        self.require_open()?;
        if self.status == ChatStatus::Archived {
            let (previous_status, at, contact_id) = (self.status, self.now(), self.contact_id);
            self.record(ChatEvent::Unarchived { reason, previous_status, at, contact_id });
        }
        Ok(())
    }

    pub fn close(&mut self, reason: Option<ChatReason>) {
        if self.status != ChatStatus::Closed {
            let (previous_status, at, contact_id) = (self.status, self.now(), self.contact_id);
            self.record(ChatEvent::Closed { reason, previous_status, at, contact_id });
        }
    }

    pub fn delete(&mut self) {
        let (at, contact_id) = (self.now(), self.contact_id);
        self.record(ChatEvent::Deleted { at, contact_id });
    }

    /// Lets somebody in, or in again.
    pub fn add_participant(&mut self, id: Uuid, kind: ParticipantType, role: ParticipantRole) -> Result<()> {
        self.require_open()?;
        let known = self.participant(id).cloned();
        if known.as_ref().is_some_and(Participant::is_current) {
            return Err(Error::new(ErrorCode::ParticipantExists).at("id").with("id", id.to_string()));
        }
        match (self.chat_type, kind) {
            (ChatType::Individual, ParticipantType::Contact) => {
                return Err(Error::new(ErrorCode::IndividualContactLimit).at("id"));
            }
            (ChatType::Channel, ParticipantType::Contact) => {
                return Err(Error::new(ErrorCode::ChannelMembershipUntracked).at("id"));
            }
            (ChatType::Individual | ChatType::Channel, _) if role != ParticipantRole::Member => {
                return Err(Error::new(ErrorCode::NotAGroup).at("role"));
            }
            _ => {}
        }
        if self.participants.len() >= MAX_PARTICIPANTS {
            return Err(Error::new(ErrorCode::ChatParticipantLimit).with("max", MAX_PARTICIPANTS));
        }
        let external_id = known.as_ref().and_then(|known| known.external_id.clone());
        let participant = Participant { role, ..Participant::member(id, kind, self.now(), external_id) };
        self.record(ChatEvent::ParticipantAdded { participant, rejoined: known.is_some() });
        Ok(())
    }

    pub fn remove_participant(&mut self, id: Uuid, reason: Option<String>) -> Result<()> {
        self.require_open()?;
        if self.chat_type == ChatType::Individual && self.contact_id.is_some_and(|contact| contact.uuid() == id) {
            return Err(Error::new(ErrorCode::CannotRemoveContact).at("participant_id"));
        }
        let kind = self.current(id)?.kind;
        let left_at = self.now();
        self.record(ChatEvent::ParticipantRemoved { participant_id: id, kind, left_at, reason });
        Ok(())
    }

    /// Makes a member an admin or the other way round. The last admin stays one: only the provider may say otherwise.
    pub fn set_role(&mut self, id: Uuid, role: ParticipantRole) -> Result<()> {
        self.require_open()?;
        if self.chat_type != ChatType::Group {
            return Err(ErrorCode::NotAGroup.into());
        }
        let known = self.current(id)?;
        if role == ParticipantRole::Member && known.role != ParticipantRole::Member {
            let mut others = self.participants.iter().filter(|other| other.is_current() && other.id != id);
            if !others.any(|other| other.role != ParticipantRole::Member) {
                return Err(ErrorCode::ChatLastAdmin.into());
            }
        }
        self.change_role(id, role);
        Ok(())
    }

    /// Notes the role of a current participant, whoever says so; the role it has already is no news.
    pub(super) fn change_role(&mut self, id: Uuid, role: ParticipantRole) {
        let Ok(known) = self.current(id) else { return };
        let (participant_id, previous_role, contact_id) = (id, known.role, known.contact_id());
        if role == previous_role {
            return;
        }
        self.record(match role {
            ParticipantRole::Member => {
                ChatEvent::ParticipantDemoted { participant_id, role, previous_role, contact_id }
            }
            _ => ChatEvent::ParticipantPromoted { participant_id, role, previous_role, contact_id },
        });
    }

    fn current(&self, id: Uuid) -> Result<&Participant> {
        let found = self.state().participant(id).filter(|participant| participant.is_current());
        found.ok_or_else(|| Error::new(ErrorCode::ParticipantNotFound).at("participant_id").with("id", id.to_string()))
    }

    pub fn add_label(&mut self, label_id: &str) -> Result<()> {
        check_label(label_id)?;
        if self.labels.contains(label_id) {
            return Ok(());
        }
        if self.labels.len() >= MAX_LABELS {
            return Err(Error::new(ErrorCode::ChatLabelLimit).with("max", MAX_LABELS));
        }
        self.record(ChatEvent::LabelAdded { label_id: label_id.to_owned(), contact_id: self.contact_id });
        Ok(())
    }

    pub fn remove_label(&mut self, label_id: &str) -> Result<()> {
        if !self.labels.contains(label_id) {
            return Err(Error::new(ErrorCode::ChatLabelNotFound).at("label_id").with("id", label_id));
        }
        self.record(ChatEvent::LabelRemoved { label_id: label_id.to_owned(), contact_id: self.contact_id });
        Ok(())
    }

    /// Replaces the whole set: additions first, then removals.
    pub fn set_labels(&mut self, labels: &BTreeSet<String>) -> Result<()> {
        if labels.len() > MAX_LABELS {
            return Err(Error::new(ErrorCode::ChatLabelLimit).at("labels").with("max", MAX_LABELS));
        }
        for label in labels {
            check_label(label).map_err(|e| Error::new(e.code()).at("labels"))?;
        }
        let gone: Vec<String> = self.labels.difference(labels).cloned().collect();
        let new: Vec<String> = labels.difference(&self.labels).cloned().collect();
        for label_id in gone {
            self.record(ChatEvent::LabelRemoved { label_id, contact_id: self.contact_id });
        }
        for label_id in new {
            self.record(ChatEvent::LabelAdded { label_id, contact_id: self.contact_id });
        }
        Ok(())
    }

    pub fn set_subject(&mut self, subject: &str) -> Result<()> {
        self.require_open()?;
        self.require_place("subject")?;
        let subject = check_subject(subject)?;
        if self.subject.as_deref() != Some(&subject) {
            let previous_subject = self.subject.clone();
            self.record(ChatEvent::SubjectUpdated { subject, previous_subject });
        }
        Ok(())
    }

    pub fn set_description(&mut self, description: Option<&str>) -> Result<()> {
        self.require_open()?;
        self.require_place("description")?;
        let description = description.map(str::trim_end).filter(|text| !text.is_empty()).map(str::to_owned);
        if description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
            return Err(Error::new(ErrorCode::TextTooLong).at("description").with("max", MAX_DESCRIPTION));
        }
        if self.description != description {
            let previous_description = self.description.clone();
            self.record(ChatEvent::DescriptionUpdated { description, previous_description });
        }
        Ok(())
    }

    fn require_place(&self, field: &str) -> Result<()> {
        match self.chat_type {
            ChatType::Individual => Err(Error::new(ErrorCode::IndividualHasNoSubject).at(field)),
            _ => Ok(()),
        }
    }

    pub fn set_picture(&mut self, picture: Option<Url>) -> Result<()> {
        self.require_open()?;
        let picture_url = picture.map(|url| url.to_string());
        if self.picture_url != picture_url {
            self.record(ChatEvent::PictureUpdated { picture_url, contact_id: self.contact_id });
        }
        Ok(())
    }

    /// Its id on the channel can be told once.
    pub fn set_external_id(&mut self, external_id: &str) -> Result<()> {
        self.require_open()?;
        let length = external_id.chars().count();
        if !(1..=MAX_EXTERNAL_ID).contains(&length) || external_id.chars().any(char::is_control) {
            return Err(Error::new(ErrorCode::ValueOutOfRange).at("external_id").with("max", MAX_EXTERNAL_ID));
        }
        match &self.external_id {
            Some(known) if known == external_id => Ok(()),
            Some(_) => Err(Error::new(ErrorCode::ChatExternalIdImmutable).at("external_id")),
            None => {
                self.learn_external_id(external_id);
                Ok(())
            }
        }
    }

    /// Notes its id on the channel.
    pub(super) fn learn_external_id(&mut self, external_id: &str) {
        self.record(ChatEvent::ExternalIdSet { external_id: external_id.to_owned(), contact_id: self.contact_id });
    }

    pub fn mute(&mut self, until: Option<Timestamp>) -> Result<()> {
        self.require_open()?;
        match until {
            Some(until) if until <= self.now() => return Err(Error::new(ErrorCode::MuteInPast).at("muted_until")),
            Some(until) if self.muted_until != Some(until) => self.record(ChatEvent::Muted { until }),
            None if self.muted_until.is_some() => self.record(ChatEvent::Unmuted {}),
            _ => {}
        }
        Ok(())
    }

    pub fn change_metadata(&mut self, set: Map<String, Value>, unset: Vec<String>) -> Result<()> {
        self.require_open()?;
        let set: Map<String, Value> =
            set.into_iter().filter(|(key, value)| self.metadata.get(key) != Some(value)).collect();
        let removed: Vec<String> =
            unset.into_iter().filter(|key| self.metadata.contains_key(key) && !set.contains_key(key)).collect();
        if set.is_empty() && removed.is_empty() {
            return Ok(());
        }
        let mut merged = self.metadata.clone();
        merged.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
        removed.iter().for_each(|key| {
            merged.remove(key);
        });
        if merged.len() > MAX_METADATA_KEYS {
            return Err(Error::new(ErrorCode::JsonTooLarge).at("metadata").with("max_keys", MAX_METADATA_KEYS));
        }
        crate::kernel::text::json_object(&Value::Object(merged)).map_err(|e| e.at_least("metadata"))?;
        self.record(ChatEvent::MetadataUpdated { set, removed, contact_id: self.contact_id });
        Ok(())
    }
}
