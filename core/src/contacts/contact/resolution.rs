//! Finds or creates the contact behind a delivered item: a step of `inbound.ingest`.
//!
//! Any order of the same items gives the same contact: ids add up, a placeholder name follows from the ids, and the push
//! name of the newest message wins. A known sender who brings nothing new costs one lookup, one read and no event.

use super::behaviour::placeholder_of;
use super::events::{ContactEvent, NewContact};
use super::finding::oldest_with_email;
use super::identity::{
    EMAIL, Identifier, IdentifierKind, IdentityKey, LID, MAX_IDENTIFIERS, PHONE, WhatsAppIdentifiers, whatsapp_id,
};
use super::policy::Policy;
use super::state::Contact;
use super::values::{DuplicateReason, NameSource, Origin, OriginKind};
use crate::channels::gateway::Identifiers;
use crate::conversations::content::Mention;
use crate::engine::{Event, Root, UnitOfWork};
use crate::kernel::{ChannelId, ContactId, Email, Error, ErrorCode, Kind, Phone, Result, Tag, TagSet, Timestamp};
use crate::storage::{KeyOwner, KeyRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most characters of a name that a channel reports; the rest is cut off.
const MAX_PUSH_NAME: usize = 255;

/// The line on which an item arrived.
pub struct Line<'a> {
    pub channel_id: ChannelId,
    pub channel_type: &'a str,
    /// Channels that share their people: `whatsapp`, `messenger`, ...
    pub family: &'a str,
}

/// The contact, and whether it was created just now.
pub struct Resolved {
    pub contact: Arc<Contact>,
    pub created: bool,
}

/// Finds the contact of `who`, whom a message of the time `at` reported, or creates it, and learns what is new.
///
/// The ids of the connected account itself must not be in `who`.
///
/// # Errors
/// `identifier_required` when `who` has no id that identifies (a user name alone does not), `whatsapp_group_id`,
/// `whatsapp_id_invalid`.
pub async fn resolve(work: &mut UnitOfWork<'_>, line: &Line<'_>, who: &Identifiers, at: Timestamp) -> Result<Resolved> {
    let sender = Sender::read(line, who)?;
    let mut found: Option<Root<Contact>> = None;
    let mut others: BTreeSet<ContactId> = BTreeSet::new();
    let mut taken: BTreeSet<IdentityKey> = BTreeSet::new();
    for identifier in &sender.identifiers {
        let key = identifier.key();
        if taken.contains(&key) || found.as_ref().is_some_and(|contact| contact.holds(&key)) {
            continue;
        }
        let holder = match work.by_key::<Contact>(key.space, &key.scope, &key.key).await? {
            None if found.is_none() && key.space == EMAIL => sharer_of(work, &key.key).await?,
            holder => holder,
        };
        let Some(holder) = holder else { continue };
        match &found {
            None => found = Some(holder),
            Some(contact) if contact.id == holder.id => {}
            Some(_) => {
                others.insert(holder.id);
                taken.insert(key);
            }
        }
    }
    match found {
        None => create(work, line, sender, at).await,
        Some(mut contact) => {
            let free = sender.identifiers.iter().filter(|identifier| !taken.contains(&identifier.key())).cloned();
            learn_identifiers(work, &mut contact, free.collect()).await?;
            if let Some(name) = sender.name {
                contact.hear_push_name(name, at);
            }
            for other in others {
                contact.suspect_duplicate(other, 100, DuplicateReason::SameSender);
            }
            Ok(Resolved { contact: work.keep(contact)?, created: false })
        }
    }
}

/// Where several contacts may have one e-mail address, no key names its holder: whoever has had it the longest.
async fn sharer_of(work: &mut UnitOfWork<'_>, email: &str) -> Result<Option<Root<Contact>>> {
    if Policy::of(work.reader()).await?.unique_email {
        return Ok(None);
    }
    let created_here = work.recorded().iter().find_map(|recorded| match &recorded.event {
        Event::Contact(ContactEvent::Created(new))
            if new.email.as_ref().is_some_and(|known| known.as_str() == email) =>
        {
            Some(ContactId::from_uuid(recorded.aggregate_id))
        }
        _ => None,
    });
    let known = match created_here {
        Some(id) => Some(id),
        None => oldest_with_email(work.reader(), email).await?.map(|contact| contact.id),
    };
    match known {
        Some(id) => work.find(id).await,
        None => Ok(None),
    }
}

/// Looks up the ids of many people at once, so that resolving each of them reads nothing more.
pub async fn prefetch<'w>(
    work: &mut UnitOfWork<'_>,
    line: &Line<'_>,
    people: impl Iterator<Item = &'w Identifiers>,
) -> Result<()> {
    let mut spaces: BTreeMap<&'static str, Vec<(String, String)>> = BTreeMap::new();
    for sender in people.filter_map(|who| Sender::read(line, who).ok()) {
        for key in sender.identifiers.iter().map(Identifier::key) {
            spaces.entry(key.space).or_default().push((key.scope, key.key));
        }
    }
    for (space, keys) in spaces {
        work.prefetch_keys::<Contact>(space, &keys).await?;
    }
    Ok(())
}

/// Fills in the contacts of those mentioned who are known, in two reads for any number of them.
pub async fn name_mentions(work: &UnitOfWork<'_>, mentions: &mut [Mention]) -> Result<()> {
    let read = |mention: &Mention| {
        let is_lid = mention.external_id.trim().ends_with("@lid");
        let kind = if is_lid { IdentifierKind::WhatsappLid } else { IdentifierKind::WhatsappWid };
        whatsapp_id(&mention.external_id).ok().map(|id| Identifier::whatsapp(kind, &id).key())
    };
    let keys: Vec<Option<IdentityKey>> = mentions.iter().map(read).collect();
    for space in [PHONE, LID] {
        let asked: Vec<KeyRef<'_>> = keys
            .iter()
            .flatten()
            .filter(|key| key.space == space)
            .map(|key| KeyRef { scope: &key.scope, key: &key.key })
            .collect();
        if asked.is_empty() {
            continue;
        }
        let read = work.reader();
        let owners = read.storage().find_keys(read.scope_of(Kind::Contact), space, &asked).await?;
        for (mention, key) in mentions.iter_mut().zip(&keys) {
            let is_hers =
                |owner: &&KeyOwner| key.as_ref().is_some_and(|key| key.space == space && key.key == owner.key);
            if let (None, Some(owner)) = (mention.contact_id, owners.iter().find(is_hers)) {
                mention.contact_id = Some(ContactId::from_uuid(owner.id));
            }
        }
    }
    Ok(())
}

/// A name as a channel reports it, without control characters and needless blanks; `None` when nothing is left.
pub fn display_name(text: &str) -> Option<String> {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(4 * MAX_PUSH_NAME).collect();
    let clean = crate::kernel::name(&clean, 0, usize::MAX).ok()?;
    let short: String = clean.chars().take(MAX_PUSH_NAME).collect();
    Some(short.trim_end().to_owned()).filter(|name| !name.is_empty())
}

/// What an item tells of its sender, normalised; the strongest id first.
struct Sender {
    identifiers: Vec<Identifier>,
    name: Option<String>,
}

impl Sender {
    fn read(line: &Line<'_>, who: &Identifiers) -> Result<Sender> {
        use IdentifierKind as K;
        let mut identifiers = Vec::new();
        // Only a jid: it is the wid too.
        let wid = who.wid.as_ref().map(|wid| (wid, "wid")).or(who.jid.as_ref().map(|jid| (jid, "jid")));
        let jid = who.jid.as_ref().map(|jid| (jid, "jid"));
        let lid = who.lid.as_ref().map(|lid| (lid, "lid"));
        for (kind, id) in [(K::WhatsappWid, wid), (K::WhatsappJid, jid), (K::WhatsappLid, lid)] {
            if let Some((id, field)) = id {
                identifiers.push(Identifier::whatsapp(kind, &whatsapp_id(id).map_err(|e| e.at(field))?));
            }
        }
        // Where there is a wid, its own writing counts.
        if let (None, Some(phone)) = (wid, &who.phone) {
            identifiers.push(Identifier::phone(phone));
        }
        if let Some(user) = &who.channel_user {
            let read = Identifier::parse(K::ChannelUser, Some(&user.space), &user.value, None);
            identifiers.push(read.map_err(|e| e.at("channel_user.value"))?);
        }
        if let Some(id) = &who.external_id {
            let read = Identifier::parse(K::External, Some(line.channel_type), id, None);
            identifiers.push(read.map_err(|e| e.at("external_id"))?);
        }
        // A provider's malformed address is no reason to lose the message.
        if let Some(email) = who.email.as_deref().and_then(|email| Email::parse(email).ok()) {
            identifiers.push(Identifier::email(&email));
        }
        if identifiers.is_empty() {
            return Err(Error::new(ErrorCode::IdentifierRequired).at("wid"));
        }
        let name = [&who.display_name, &who.verified_name, &who.username];
        let name = name.into_iter().flatten().find_map(|name| display_name(name));
        Ok(Sender { identifiers, name })
    }
}

async fn create(work: &mut UnitOfWork<'_>, line: &Line<'_>, sender: Sender, at: Timestamp) -> Result<Resolved> {
    let policy = Policy::of(work.reader()).await?;
    let phone = phone_of(&sender.identifiers);
    let (name, source) = match (&sender.name, &phone) {
        (Some(name), _) => (name.clone(), NameSource::Channel),
        (None, Some(phone)) => (phone.as_str().to_owned(), NameSource::Placeholder),
        (None, None) => (placeholder_of(&sender.identifiers).unwrap_or_default(), NameSource::Placeholder),
    };
    let origin = Origin { channel_id: Some(line.channel_id), ..Origin::of(OriginKind::Channel) };
    let mut new = NewContact::named(name, source, origin, policy.language);
    new.push_name_at = sender.name.as_ref().map(|_| at);
    new.push_name = sender.name;
    new.phone_verified = phone.is_some();
    new.phone = phone;
    new.email_unique = policy.unique_email;
    new.source_channel = Some(line.channel_type.to_owned());
    if policy.channel_tag {
        new.tags = TagSet::from_tags([Tag::parse(line.family)?])?;
    }
    let mut whatsapp = WhatsAppIdentifiers::default();
    for identifier in sender.identifiers {
        match identifier.kind {
            kind if identifier.is_whatsapp() => whatsapp.set(kind, Some(identifier.value)),
            IdentifierKind::Email => new.email = Email::parse(&identifier.value).ok(),
            IdentifierKind::Phone => {}
            _ => new.identifiers.push(identifier),
        }
    }
    new.whatsapp = Some(whatsapp).filter(|ids| !ids.is_empty());
    let id: ContactId = work.new_id();
    let contact = work.create::<Contact>(id, ContactEvent::Created(Box::new(new)))?;
    Ok(Resolved { contact: work.keep(contact)?, created: true })
}

/// Takes over the ids it lacks, none of which belongs to anybody else.
async fn learn_identifiers(
    work: &UnitOfWork<'_>,
    contact: &mut Root<Contact>,
    identifiers: Vec<Identifier>,
) -> Result<()> {
    let mut whatsapp = contact.whatsapp.clone().unwrap_or_default();
    let mut alternates = Vec::new();
    let mut learnt = Vec::new();
    for identifier in identifiers {
        if identifier.is_whatsapp() && whatsapp.get(identifier.kind).is_none() {
            whatsapp.set(identifier.kind, Some(identifier.value.clone()));
            learnt.push(identifier);
        } else if !contact.holds(&identifier.key()) {
            alternates.push(identifier);
        }
    }
    if !learnt.is_empty() {
        contact.set_whatsapp(whatsapp);
        if contact.phone.is_none()
            && let Some(phone) = phone_of(&learnt)
        {
            contact.set_phone(Some(phone), true);
        }
    }
    for identifier in alternates {
        match identifier.kind {
            IdentifierKind::Email if contact.email.is_none() => {
                let unique = Policy::of(work.reader()).await?.unique_email;
                contact.set_email(Email::parse(&identifier.value).ok(), false, unique);
            }
            IdentifierKind::Phone if contact.phone.is_none() => contact.set_phone(phone_of(&[identifier]), true),
            _ if contact.identifiers.len() < MAX_IDENTIFIERS => contact.add_identifier(identifier)?,
            _ => {}
        }
    }
    if contact.name_source == NameSource::Placeholder
        && let Some(name) = contact.placeholder()
    {
        contact.rename(&name, NameSource::Placeholder);
    }
    Ok(())
}

/// The phone number that is among the ids, or that a wid or jid is made of.
fn phone_of(identifiers: &[Identifier]) -> Option<Phone> {
    identifiers.iter().find_map(|id| match id.kind {
        IdentifierKind::Phone => Phone::from_e164(&id.value).ok(),
        IdentifierKind::WhatsappWid | IdentifierKind::WhatsappJid => Phone::from_provider(&id.value).ok(),
        _ => None,
    })
}
