//! What can be done with a contact, whoever asks: each method records the events of one change, or none when nothing changes.

use super::events::{ContactEvent as E, ErasureMode, LegalBasis, ProfileChange, ProfileField};
use super::identity::{Identifier, IdentifierKind, MAX_IDENTIFIERS, WhatsAppIdentifiers};
use super::state::Contact;
use super::values::{
    ChannelFamily, ConsentStatus, ContactStatus, DuplicateReason, InteractionType, NameSource, ScoreKind,
};
use crate::engine::{Root, UnitOfWork};
use crate::kernel::{ChannelId, ContactId, Email, Error, ErrorCode, Phone, Result, Tag, TagSet, Timestamp, name};
use serde_json::Value;

/// Loads a contact for a command on its profile, which must be active.
///
/// # Errors
/// `contact_not_found`; `contact_not_active` with the status, and the survivor of a merged one; `version_conflict`.
pub(super) async fn load_active(work: &mut UnitOfWork<'_>, id: ContactId) -> Result<Root<Contact>> {
    match work.find::<Contact>(id).await? {
        Some(contact) if !contact.is_active() => Err(not_active(&contact, ErrorCode::ContactNotActive)),
        _ => work.load(id).await,
    }
}

/// A name of 1 to 255 characters, trimmed.
///
/// # Errors
/// `contact_name_required`, `contact_name_invalid`.
pub(super) fn clean_name(text: &str) -> Result<String> {
    name(text, 1, 255).map_err(|error| match error.code() {
        ErrorCode::NameRequired => ErrorCode::ContactNameRequired.into(),
        code => Error::new(ErrorCode::ContactNameInvalid).with("reason", code.as_str()).with("max", 255),
    })
}

/// Says in which state a contact is instead.
pub(super) fn not_active(contact: &Contact, code: ErrorCode) -> Error {
    let error = Error::new(code).with("resource", "contact").with("id", contact.id.to_string());
    let error = error.with("status", contact.status.as_str());
    match contact.merged_into_id {
        Some(survivor) => error.with("merged_into_id", survivor.to_string()),
        None => error,
    }
}

impl Root<Contact> {
    pub fn rename(&mut self, name: &str, source: NameSource) {
        if self.name == name {
            return;
        }
        self.record(E::NameChanged {
            old_name: self.name.clone(),
            new_name: name.to_owned(),
            name_source: source,
            changed_by: self.actor().actor.id(),
        });
    }

    /// Sets, verifies or clears the e-mail address.
    pub fn set_email(&mut self, email: Option<Email>, verified: bool, unique: bool) {
        let verified = verified && email.is_some();
        if self.email == email && self.email_verified == verified {
            return;
        }
        self.record(E::EmailSet { previous: self.email.clone(), email, verified, unique });
    }

    /// Sets, verifies or clears the phone number.
    pub fn set_phone(&mut self, phone: Option<Phone>, verified: bool) {
        let verified = verified && phone.is_some();
        if self.phone == phone && self.phone_verified == verified {
            return;
        }
        let match_key = phone.as_ref().map(Phone::match_key);
        self.record(E::PhoneSet { previous: self.phone.clone(), phone, match_key, verified });
    }

    pub fn set_external_id(&mut self, id: Option<String>, source: Option<String>) {
        let source = source.filter(|_| id.is_some());
        if self.external_id == id && self.external_source == source {
            return;
        }
        self.record(E::ExternalIdSet { previous: self.external_id.clone(), external_id: id, source });
    }

    pub fn set_whatsapp(&mut self, ids: WhatsAppIdentifiers) {
        if self.whatsapp.clone().unwrap_or_default() == ids {
            return;
        }
        let previous = self.whatsapp.clone();
        self.record(E::WhatsappIdentifiersSet { wid: ids.wid, lid: ids.lid, jid: ids.jid, previous });
    }

    /// One more id; one that it is known under already changes nothing.
    ///
    /// # Errors
    /// `identifier_limit`.
    pub fn add_identifier(&mut self, identifier: Identifier) -> Result<()> {
        if self.holds(&identifier.key()) {
            return Ok(());
        }
        let current = self.identifiers.len();
        if current >= MAX_IDENTIFIERS {
            return Err(Error::new(ErrorCode::IdentifierLimit).with("max", MAX_IDENTIFIERS).with("current", current));
        }
        let Identifier { kind, scope, value, match_key } = identifier;
        self.record(E::IdentifierAdded { kind, scope, value, match_key });
        Ok(())
    }

    /// Takes away an id that is no primary one: an alternate, or one of WhatsApp's.
    ///
    /// # Errors
    /// `identifier_not_found`.
    pub fn remove_identifier(&mut self, identifier: &Identifier) -> Result<()> {
        let same = |other: &Identifier| other.kind == identifier.kind && other.key() == identifier.key();
        if let Some(known) = self.identifiers.iter().find(|known| same(known)).cloned() {
            let Identifier { kind, scope, value, match_key } = known;
            self.record(E::IdentifierRemoved { kind, scope, value, match_key });
            return Ok(());
        }
        let mut whatsapp = self.whatsapp.clone().unwrap_or_default();
        if whatsapp.identifiers().any(|known| same(&known)) {
            whatsapp.set(identifier.kind, None);
            self.set_whatsapp(whatsapp);
            return Ok(());
        }
        Err(Error::new(ErrorCode::IdentifierNotFound).with("kind", identifier.kind.as_str()))
    }

    /// # Errors
    /// `tag_limit`.
    pub fn add_tag(&mut self, tag: Tag) -> Result<()> {
        if self.tags.clone().insert(tag.clone())? {
            self.record(E::TagAdded { tag });
        }
        Ok(())
    }

    pub fn remove_tag(&mut self, tag: &Tag) {
        if let Some(tag) = self.tags.clone().remove(tag) {
            self.record(E::TagRemoved { tag });
        }
    }

    /// Makes `tags` the tags. The first spelling of a tag that stays wins.
    pub fn set_tags(&mut self, tags: &TagSet) -> Result<()> {
        if tags.is_empty() && !self.tags.is_empty() {
            self.record(E::TagsCleared { cleared_tags: self.tags.iter().cloned().collect() });
            return Ok(());
        }
        let gone: Vec<Tag> = self.tags.iter().filter(|tag| !tags.contains(tag)).cloned().collect();
        gone.iter().for_each(|tag| self.remove_tag(tag));
        tags.iter().try_for_each(|tag| self.add_tag(tag.clone()))
    }

    /// Stores what a channel calls the person, if this is the newest word on it, and goes by that name as long as nobody
    /// gave a better one. Of two names of one moment the greater one wins, so that their order does not matter.
    pub fn hear_push_name(&mut self, name: String, at: Timestamp) {
        let newest = self.push_name_at.is_none_or(|known| {
            (at, Some(&name)) > (known, self.push_name.as_ref()) && self.push_name.as_ref() != Some(&name)
        });
        if newest {
            let old = self.push_name.clone().map(Value::String);
            let new = Some(Value::String(name));
            let change = ProfileChange { field: ProfileField::PushName, old, new, at: Some(at) };
            self.record(E::Updated { changes: vec![change] });
        }
        if matches!(self.name_source, NameSource::Placeholder | NameSource::Channel)
            && let Some(name) = self.push_name.clone()
        {
            self.rename(&name, NameSource::Channel);
        }
    }

    /// Notes that `other` may be the same person, once.
    pub fn suspect_duplicate(&mut self, other: ContactId, score: u8, reason: DuplicateReason) {
        let known = self.suspected_duplicates.get(&other);
        if other != self.id && known.is_none_or(|known| !known.reasons.contains(&reason)) {
            self.record(E::DuplicateSuspected { other_contact_id: other, score, reasons: vec![reason] });
        }
    }

    /// Notes something between it and us that was no message.
    ///
    /// # Errors
    /// `timestamp_in_future` when `at` is more than 5 minutes ahead.
    pub fn note_interaction(
        &mut self,
        interaction_type: InteractionType,
        at: Timestamp,
        inbound: bool,
        channel_id: Option<ChannelId>,
    ) -> Result<()> {
        if at > self.now().plus_seconds(300) {
            return Err(Error::new(ErrorCode::TimestampInFuture).at("at"));
        }
        let is_first_interaction = self.first_interaction_at.is_none();
        self.record(E::InteractionRecorded {
            interaction_type,
            is_first_interaction,
            interacted_at: at,
            inbound,
            channel_id,
        });
        Ok(())
    }

    pub fn block(&mut self, reason: Option<String>) {
        if !self.blocked {
            self.record(E::Blocked { reason });
        }
    }

    pub fn unblock(&mut self, reason: Option<String>) {
        if self.blocked {
            self.record(E::Unblocked { reason });
        }
    }

    /// `source` says where it was said; whoever opted out comes back only with one.
    ///
    /// # Errors
    /// `consent_source_required`.
    pub fn set_consent(
        &mut self,
        family: ChannelFamily,
        new_status: ConsentStatus,
        source: Option<String>,
        evidence: Option<String>,
    ) -> Result<()> {
        let old_status = self.consent(family);
        if old_status == new_status {
            return Ok(());
        }
        let explicit = new_status == ConsentStatus::OptedIn && source.is_some();
        if old_status == ConsentStatus::OptedOut && !explicit {
            return Err(Error::new(ErrorCode::ConsentSourceRequired)
                .at(if source.is_some() { "status" } else { "source" })
                .with("family", family.as_str()));
        }
        let source = source.unwrap_or_else(|| "unknown".to_owned());
        self.record(E::ConsentChanged { family, old_status, new_status, source, evidence });
        Ok(())
    }

    pub fn set_score(&mut self, kind: ScoreKind, new: Option<u8>) {
        let old = match kind {
            ScoreKind::Engagement => self.engagement_score,
            ScoreKind::Lead => self.lead_score,
        };
        if old != new {
            self.record(E::ScoreChanged { kind, old, new, breakdown: None, formula: None });
        }
    }

    /// Takes it away; its identifiers are free for others.
    ///
    /// # Errors
    /// `contact_deleted` when it is already; `contact_not_active` when it was merged or erased.
    pub fn delete(&mut self, reason: Option<String>) -> Result<()> {
        match self.status {
            ContactStatus::Active => {
                self.record(E::Deleted { reason, released_identifiers: self.all_identifiers() });
                Ok(())
            }
            ContactStatus::Deleted => Err(not_active(self, ErrorCode::ContactDeleted)),
            _ => Err(not_active(self, ErrorCode::ContactNotActive)),
        }
    }

    /// Makes it anonymous for good.
    ///
    /// # Errors
    /// `contact_erased` when it is already; `contact_merged` with the survivor when it became part of another one.
    pub fn erase(&mut self, legal_basis: LegalBasis, request_ref: Option<String>) -> Result<()> {
        match (self.status, self.merged_into_id) {
            (ContactStatus::Active | ContactStatus::Deleted, _) => {
                let (mode, also_erased_ids) = (ErasureMode::Anonymize, Vec::new());
                self.record(E::Erased { mode, legal_basis, request_ref, also_erased_ids });
                Ok(())
            }
            (ContactStatus::Merged, survivor) => {
                Err(not_active(self, ErrorCode::ContactMerged).with("survivor_id", survivor.map(|id| id.to_string())))
            }
            (ContactStatus::Erased, _) => Err(not_active(self, ErrorCode::ContactErased)),
        }
    }

    /// The name of somebody who has none: a phone number, else an id.
    pub(super) fn placeholder(&self) -> Option<String> {
        let phone = self.phone.as_ref().map(|phone| phone.as_str().to_owned());
        phone.or_else(|| placeholder_of(&self.all_identifiers()))
    }
}

/// The id that stands for a name best; it depends on what is known alone, not on the order in which it became known.
pub(super) fn placeholder_of(identifiers: &[Identifier]) -> Option<String> {
    use IdentifierKind as K;
    let order = [K::Phone, K::WhatsappWid, K::WhatsappJid, K::WhatsappLid, K::ChannelUser, K::Email, K::External];
    order
        .iter()
        .find_map(|kind| identifiers.iter().filter(|known| known.kind == *kind).map(|known| known.value.clone()).min())
}
