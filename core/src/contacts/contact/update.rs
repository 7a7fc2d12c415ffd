//! Turning a checked profile into events: the full state of a new contact, or one event for each field that changes.

use super::events::{ContactEvent as E, NewContact, ProfileChange, ProfileField};
use super::identity::{Identifier, WhatsAppIdentifiers};
use super::policy::Policy;
use super::profile::{AddressInput, Checked, CustomChange};
use super::state::Contact;
use super::values::{AddressId, KnownAddress, NameSource, Origin, ScoreKind, WriteMode};
use crate::engine::{Root, UnitOfWork};
use crate::kernel::{ContactId, CustomFields, Patch, Result, TagSet, Url};
use serde::Serialize;

/// How a profile is written over one that is there.
pub(super) struct Writing<'a> {
    pub policy: &'a Policy,
    pub mode: WriteMode,
    /// The old e-mail and phone stay as identifiers.
    pub keep_previous: bool,
    pub name_source: NameSource,
    /// What is said to have brought a new picture.
    pub source: &'a str,
}

/// A new contact of this profile, not yet saved. Its name must be given.
pub(super) fn start(
    work: &UnitOfWork<'_>,
    policy: &Policy,
    checked: Checked,
    name: String,
    origin: Origin,
) -> Result<Root<Contact>> {
    let rules = policy.custom_field_rules();
    let mut custom_fields = CustomFields::new();
    for change in checked.custom_fields {
        if let CustomChange::Set(field) = change {
            custom_fields.put(field);
        }
    }
    for field in custom_fields.defaults(&rules)? {
        custom_fields.put(field);
    }
    super::profile::refuse(
        custom_fields
            .validate(&rules)
            .into_iter()
            .filter(|error| error.code() == crate::kernel::ErrorCode::CustomFieldRequired)
            .map(|error| error.at("custom_fields"))
            .collect(),
    )?;
    let language = value(checked.language).unwrap_or_else(|| policy.language.clone());
    let name_source = origin.name_source();
    let mut new = NewContact::named(name, name_source, origin, language);
    new.full_name = value(checked.full_name);
    new.email = value(checked.email);
    new.email_verified = new.email.is_some() && checked.email_verified.unwrap_or(false);
    new.email_unique = policy.unique_email;
    new.phone = value(checked.phone);
    new.phone_verified = new.phone.is_some() && checked.phone_verified.unwrap_or(false);
    new.external_id = value(checked.external_id);
    new.external_source = value(checked.external_source).filter(|_| new.external_id.is_some());
    let mut whatsapp = value(checked.whatsapp).unwrap_or_default().completed();
    for identifier in checked.identifiers {
        if identifier.is_whatsapp() && whatsapp.get(identifier.kind).is_none() {
            whatsapp.set(identifier.kind, Some(identifier.value));
        } else if !new.identifiers.contains(&identifier) {
            new.identifiers.push(identifier);
        }
    }
    new.whatsapp = Some(whatsapp).filter(|ids| !ids.is_empty());
    new.source_channel = value(checked.source_channel);
    new.timezone = value(checked.timezone);
    new.company = value(checked.company);
    new.job_title = value(checked.job_title);
    new.birthday = value(checked.birthday);
    let addresses = value(checked.addresses).unwrap_or_default();
    new.addresses = addresses.into_iter().map(|one| KnownAddress { id: work.new_id(), address: one.address }).collect();
    new.tags = value(checked.tags).unwrap_or_default();
    new.custom_fields = custom_fields;
    new.profile_picture_url = value(checked.profile_picture_url);
    new.profile_picture_fetched_at = new.profile_picture_url.as_ref().map(|_| work.now());
    new.owner_id = value(checked.owner_id);
    let id: ContactId = work.new_id();
    let mut contact = work.create::<Contact>(id, E::Created(Box::new(new)))?;
    contact.set_score(ScoreKind::Engagement, value(checked.engagement_score));
    contact.set_score(ScoreKind::Lead, value(checked.lead_score));
    Ok(contact)
}

fn value<T>(patch: Patch<T>) -> Option<T> {
    patch.into_change().flatten()
}

impl Writing<'_> {
    /// Writes the profile; the names of the fields that changed.
    ///
    /// # Errors
    /// `tag_limit`, `identifier_limit`.
    pub fn write(&self, contact: &mut Root<Contact>, mut to: Checked) -> Result<Vec<String>> {
        let mut changed = Vec::new();
        if self.mode == WriteMode::FillBlanks {
            keep_what_is_there(contact, &mut to);
        }
        let mut field =
            |name: &str, contact: &mut Root<Contact>, write: &mut dyn FnMut(&mut Root<Contact>) -> Result<()>| {
                let before = contact.version;
                write(contact)?;
                if contact.version > before {
                    changed.push(name.to_owned());
                }
                Ok::<(), crate::kernel::Error>(())
            };
        field("name", contact, &mut |c| {
            if let Some(name) = &to.name {
                c.rename(name, self.name_source);
            }
            Ok(())
        })?;
        field("email", contact, &mut |c| self.write_email(c, &to))?;
        field("phone", contact, &mut |c| self.write_phone(c, &to))?;
        field("external_id", contact, &mut |c| {
            let id = patched(to.external_id.clone(), &c.external_id);
            let source = patched(to.external_source.clone(), &c.external_source);
            c.set_external_id(id, source);
            Ok(())
        })?;
        field("whatsapp", contact, &mut |c| {
            write_whatsapp(c, &to.whatsapp);
            Ok(())
        })?;
        field("identifiers", contact, &mut |c| {
            to.identifiers.iter().try_for_each(|identifier| c.add_identifier(identifier.clone()))
        })?;
        field("source_channel", contact, &mut |c| {
            let source_channel = patched(to.source_channel.clone(), &c.source_channel);
            if source_channel != c.source_channel {
                c.record(E::SourceChannelSet { source_channel, previous: c.source_channel.clone() });
            }
            Ok(())
        })?;
        field("language", contact, &mut |c| {
            if let Some(language) = to.language.clone().into_change() {
                let new_language = language.unwrap_or_else(|| self.policy.language.clone());
                if new_language != c.language {
                    c.record(E::LanguageChanged { old_language: c.language.clone(), new_language });
                }
            }
            Ok(())
        })?;
        field("timezone", contact, &mut |c| {
            let timezone = patched(to.timezone.clone(), &c.timezone);
            if timezone != c.timezone {
                c.record(E::TimezoneSet { timezone, previous: c.timezone });
            }
            Ok(())
        })?;
        field("addresses", contact, &mut |c| {
            write_addresses(c, &to.addresses);
            Ok(())
        })?;
        field("tags", contact, &mut |c| match &to.tags {
            Patch::Absent => Ok(()),
            Patch::Value(tags) if self.mode == WriteMode::FillBlanks => {
                tags.iter().try_for_each(|tag| c.add_tag(tag.clone()))
            }
            Patch::Value(tags) => c.set_tags(tags),
            Patch::Null => c.set_tags(&TagSet::new()),
        })?;
        field("custom_fields", contact, &mut |c| {
            to.custom_fields.iter().for_each(|change| c.change_custom_field(change));
            Ok(())
        })?;
        field("profile_picture_url", contact, &mut |c| {
            if let Some(url) = to.profile_picture_url.clone().into_change() {
                c.set_picture(url, self.source);
            }
            Ok(())
        })?;
        field("owner_id", contact, &mut |c| {
            let new_owner_id = patched(to.owner_id.clone(), &c.owner_id);
            if new_owner_id != c.owner_id {
                c.record(E::OwnerChanged { old_owner_id: c.owner_id, new_owner_id });
            }
            Ok(())
        })?;
        field("engagement_score", contact, &mut |c| {
            c.set_score(ScoreKind::Engagement, patched(to.engagement_score.clone(), &c.engagement_score));
            Ok(())
        })?;
        field("lead_score", contact, &mut |c| {
            c.set_score(ScoreKind::Lead, patched(to.lead_score.clone(), &c.lead_score));
            Ok(())
        })?;
        let changes = profile_changes(contact, &to);
        changed.extend(changes.iter().map(|change| change.field.as_str().to_owned()));
        if !changes.is_empty() {
            contact.record(E::Updated { changes });
        }
        Ok(changed)
    }

    fn write_email(&self, contact: &mut Root<Contact>, to: &Checked) -> Result<()> {
        let previous = contact.email.clone();
        let email = patched(to.email.clone(), &previous);
        let same = email == previous;
        let verified = to.email_verified.unwrap_or(same && contact.email_verified);
        contact.set_email(email.clone(), verified, self.policy.unique_email);
        if let Some(email) = email.filter(|_| !same) {
            contact.drop_alternate(&Identifier::email(&email));
        }
        match previous {
            Some(previous) if !same && self.keep_previous => contact.add_identifier(Identifier::email(&previous)),
            _ => Ok(()),
        }
    }

    fn write_phone(&self, contact: &mut Root<Contact>, to: &Checked) -> Result<()> {
        let previous = contact.phone.clone();
        let phone = patched(to.phone.clone(), &previous);
        let same = phone == previous;
        let verified = to.phone_verified.unwrap_or(same && contact.phone_verified);
        contact.set_phone(phone.clone(), verified);
        if let Some(phone) = phone.filter(|_| !same) {
            contact.drop_alternate(&Identifier::phone(&phone));
        }
        match previous {
            Some(previous) if !same && self.keep_previous => contact.add_identifier(Identifier::phone(&previous)),
            _ => Ok(()),
        }
    }
}

/// The value after the patch.
fn patched<T: Clone>(patch: Patch<T>, now: &Option<T>) -> Option<T> {
    patch.into_change().unwrap_or_else(|| now.clone())
}

/// Drops from `to` what would replace or clear a value; tags are added to those that are there.
fn keep_what_is_there(contact: &Contact, to: &mut Checked) {
    fn blank<T>(patch: &mut Patch<T>, is_blank: bool) {
        if !is_blank || matches!(patch, Patch::Null) {
            *patch = Patch::Absent;
        }
    }
    to.name = to.name.take().filter(|_| contact.name_source == NameSource::Placeholder);
    blank(&mut to.full_name, contact.full_name.is_none());
    let email_stays = contact.email.is_some();
    blank(&mut to.email, !email_stays);
    to.email_verified = to.email_verified.filter(|_| !email_stays);
    let phone_stays = contact.phone.is_some();
    blank(&mut to.phone, !phone_stays);
    to.phone_verified = to.phone_verified.filter(|_| !phone_stays);
    let external_stays = contact.external_id.is_some();
    blank(&mut to.external_id, !external_stays);
    blank(&mut to.external_source, !external_stays);
    match (&mut to.whatsapp, &contact.whatsapp) {
        (Patch::Value(given), Some(known)) => {
            let WhatsAppIdentifiers { wid, lid, jid } = known.clone();
            given.wid = wid.or(given.wid.take());
            given.lid = lid.or(given.lid.take());
            given.jid = jid.or(given.jid.take());
        }
        (given, _) => blank(given, true),
    }
    blank(&mut to.source_channel, contact.source_channel.is_none());
    // There always is a language.
    blank(&mut to.language, false);
    blank(&mut to.timezone, contact.timezone.is_none());
    blank(&mut to.company, contact.company.is_none());
    blank(&mut to.job_title, contact.job_title.is_none());
    blank(&mut to.birthday, contact.birthday.is_none());
    blank(&mut to.addresses, contact.addresses.is_empty());
    blank(&mut to.tags, true);
    to.custom_fields
        .retain(|change| matches!(change, CustomChange::Set(field) if !contact.custom_fields.has(field.key.as_str())));
    blank(&mut to.profile_picture_url, contact.profile_picture_url.is_none());
    blank(&mut to.owner_id, contact.owner_id.is_none());
    blank(&mut to.engagement_score, contact.engagement_score.is_none());
    blank(&mut to.lead_score, contact.lead_score.is_none());
}

fn write_whatsapp(contact: &mut Root<Contact>, given: &Patch<WhatsAppIdentifiers>) {
    let ids = match given {
        Patch::Absent => return,
        Patch::Null => WhatsAppIdentifiers::default(),
        Patch::Value(given) => {
            let known = contact.whatsapp.clone().unwrap_or_default();
            WhatsAppIdentifiers {
                wid: given.wid.clone().or(known.wid),
                lid: given.lid.clone().or(known.lid),
                jid: given.jid.clone().or(known.jid),
            }
            .completed()
        }
    };
    contact.set_whatsapp(ids);
}

fn write_addresses(contact: &mut Root<Contact>, given: &Patch<Vec<AddressInput>>) {
    let given = match given {
        Patch::Absent => return,
        Patch::Null => &[][..],
        Patch::Value(given) => given,
    };
    let known = contact.addresses.clone();
    let mut kept: Vec<AddressId> = Vec::new();
    let mut set: Vec<(AddressId, &AddressInput)> = Vec::new();
    for one in given {
        let same = |known: &&KnownAddress| match one.id {
            Some(id) => known.id == id,
            None => known.address == one.address && !kept.contains(&known.id),
        };
        let id = known.iter().find(same).map_or_else(|| AddressId::from_uuid(contact.new_uuid()), |known| known.id);
        kept.push(id);
        set.push((id, one));
    }
    for gone in known.iter().filter(|known| !kept.contains(&known.id)) {
        contact.record(E::AddressRemoved { address_id: gone.id, address: gone.address.clone() });
    }
    for (id, one) in set {
        let previous = known.iter().find(|known| known.id == id).map(|known| known.address.clone());
        if previous.as_ref() != Some(&one.address) {
            contact.record(E::AddressSet { address_id: id, address: one.address.clone(), previous });
        }
    }
}

/// What changes of the fields that share `contact.updated`.
fn profile_changes(contact: &Contact, to: &Checked) -> Vec<ProfileChange> {
    fn change<T: Serialize + PartialEq + Clone>(
        field: ProfileField,
        patch: &Patch<T>,
        now: &Option<T>,
    ) -> Option<ProfileChange> {
        let new = patch.clone().into_change()?;
        let json = |value: &Option<T>| value.as_ref().and_then(|value| serde_json::to_value(value).ok());
        (new != *now).then(|| ProfileChange { field, old: json(now), new: json(&new), at: None })
    }
    [
        change(ProfileField::FullName, &to.full_name, &contact.full_name),
        change(ProfileField::Company, &to.company, &contact.company),
        change(ProfileField::JobTitle, &to.job_title, &contact.job_title),
        change(ProfileField::Birthday, &to.birthday, &contact.birthday),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Root<Contact> {
    /// An identifier that became a primary one is no alternate any more.
    fn drop_alternate(&mut self, identifier: &Identifier) {
        if self.identifiers.iter().any(|known| known.kind == identifier.kind && known.key() == identifier.key()) {
            let Identifier { kind, scope, value, match_key } = identifier.clone();
            self.record(E::IdentifierRemoved { kind, scope, value, match_key });
        }
    }

    fn change_custom_field(&mut self, change: &CustomChange) {
        match change {
            CustomChange::Set(field) => {
                let previous = self.custom_fields.get(field.key.as_str()).map(|value| value.to_json());
                self.record(E::CustomFieldSet {
                    key: field.key.clone(),
                    field_type: field.value.kind(),
                    value: field.value.to_json(),
                    previous,
                });
            }
            CustomChange::Clear(key) => {
                let Some(known) = self.custom_fields.get(key.as_str()) else { return };
                let (field_type, previous) = (known.kind(), known.to_json());
                self.record(E::CustomFieldCleared { key: key.clone(), field_type, previous });
            }
        }
    }

    /// Sets or clears the picture. Only host and path tell one picture from another: links of providers rotate their queries.
    fn set_picture(&mut self, url: Option<Url>, source: &str) {
        if url == self.profile_picture_url {
            return;
        }
        let place = |url: &Url| {
            let text = url.as_str();
            text[..text.find(['?', '#']).unwrap_or(text.len())].to_owned()
        };
        let changed = url.as_ref().map(place) != self.profile_picture_url.as_ref().map(place);
        self.record(E::ProfilePictureUpdated {
            profile_picture_url: url,
            previous_url: self.profile_picture_url.clone(),
            fetched_at: self.now(),
            source: source.to_owned(),
            changed,
        });
    }
}
