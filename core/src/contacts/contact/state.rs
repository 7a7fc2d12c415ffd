//! A contact as it stands, and what the store derives from it.

use super::events::{ContactEvent, NewContact, ProfileChange, ProfileField};
use super::identity::{EMAIL, Identifier, IdentityKey, WhatsAppIdentifiers};
use super::values::{
    Birthday, ChannelFamily, Consent, ConsentStatus, ContactStatus, FullName, KnownAddress, NameSource, Origin,
    ScoreKind, Suspicion,
};
use crate::base_fields;
use crate::conversations::message::{Direction, MessageEvent, NewMessage, QueuedCause};
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::pii;
use crate::kernel::{
    AgentId, ContactId, CustomField, CustomFields, CustomValue, Email, ErrorCode, Kind, Language, Phone, ProjectId,
    TagSet, Timestamp, Timezone, Url,
};
use crate::storage::{Column, FieldKind, Index};
use rust_decimal::prelude::ToPrimitive;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A person of a project, however many channels, numbers and addresses they use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Contact {
    pub id: ContactId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub status: ContactStatus,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub name: String,
    pub name_source: NameSource,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub full_name: Option<FullName>,
    /// What the person calls themselves on the channel that reported last.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub push_name: Option<String>,
    /// The newest message that carried the push name.
    pub push_name_at: Option<Timestamp>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "email"))]
    pub email: Option<Email>,
    pub email_verified: bool,
    /// Whether the project wanted e-mail addresses unique when this one was set.
    pub email_unique: bool,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub phone: Option<Phone>,
    pub phone_verified: bool,
    /// The id in the host's or another system, named by `external_source`.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub external_id: Option<String>,
    pub external_source: Option<String>,
    /// Ids beside the primary ones; at most 20.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub identifiers: BTreeSet<Identifier>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub whatsapp: Option<WhatsAppIdentifiers>,
    /// The channel type that it came from.
    pub source_channel: Option<String>,
    pub origin: Origin,
    pub language: Language,
    pub timezone: Option<Timezone>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub company: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub job_title: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "date"))]
    pub birthday: Option<Birthday>,
    /// At most 10.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "address"))]
    pub addresses: Vec<KnownAddress>,
    /// At most 50.
    pub tags: TagSet,
    /// At most 200, together 64 KiB.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub custom_fields: CustomFields,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub profile_picture_url: Option<Url>,
    pub profile_picture_fetched_at: Option<Timestamp>,
    /// The agent who is responsible.
    pub owner_id: Option<AgentId>,
    /// Bulk senders leave it out.
    pub blocked: bool,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub blocked_reason: Option<String>,
    /// A family that is absent is `unknown`.
    pub consents: BTreeMap<ChannelFamily, Consent>,
    /// 0 to 100, given by the host.
    pub engagement_score: Option<u8>,
    /// 0 to 100, given by the host.
    pub lead_score: Option<u8>,
    pub first_interaction_at: Option<Timestamp>,
    pub last_interaction_at: Option<Timestamp>,
    pub last_inbound_at: Option<Timestamp>,
    /// Contacts that may be the same person.
    pub suspected_duplicates: BTreeMap<ContactId, Suspicion>,
    pub merged_into_id: Option<ContactId>,
    pub merged_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    pub erased_at: Option<Timestamp>,
}

impl Contact {
    pub fn is_active(&self) -> bool {
        self.status == ContactStatus::Active
    }

    /// All ids under which it is known: the primary ones, WhatsApp's, and the others.
    pub fn all_identifiers(&self) -> Vec<Identifier> {
        let mut all = Vec::with_capacity(4 + self.identifiers.len());
        all.extend(self.phone.as_ref().map(Identifier::phone));
        all.extend(self.email.as_ref().map(Identifier::email));
        all.extend(self.external_id.as_deref().map(|id| Identifier::external(id, self.external_source.as_deref())));
        all.extend(self.whatsapp.iter().flat_map(WhatsAppIdentifiers::identifiers));
        all.extend(self.identifiers.iter().cloned());
        all
    }

    /// Whether it is known under this key.
    pub fn holds(&self, key: &IdentityKey) -> bool {
        self.all_identifiers().iter().any(|identifier| {
            identifier.match_key == key.key
                && identifier.scope == key.scope
                && super::identity::space(identifier.kind) == key.space
        })
    }

    /// The keys that nobody else may hold while it is active.
    pub fn unique_keys(&self) -> BTreeSet<IdentityKey> {
        let keys = self.all_identifiers().into_iter().map(|identifier| identifier.key());
        keys.filter(|key| key.space != EMAIL || self.email_unique).collect()
    }

    /// What it said about being written to on a family of channels.
    pub fn consent(&self, family: ChannelFamily) -> ConsentStatus {
        self.consents.get(&family).map_or(ConsentStatus::Unknown, |consent| consent.status)
    }

    fn starts(new: &NewContact, meta: &Meta<'_>) -> Contact {
        let new = new.clone();
        Contact {
            id: meta.aggregate_id.into(),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            status: ContactStatus::Active,
            name: new.name,
            name_source: new.name_source,
            full_name: new.full_name,
            push_name: new.push_name,
            push_name_at: new.push_name_at,
            email: new.email,
            email_verified: new.email_verified,
            email_unique: new.email_unique,
            phone: new.phone,
            phone_verified: new.phone_verified,
            external_id: new.external_id,
            external_source: new.external_source,
            identifiers: new.identifiers.into_iter().collect(),
            whatsapp: new.whatsapp,
            source_channel: new.source_channel,
            origin: new.origin,
            language: new.language,
            timezone: new.timezone,
            company: new.company,
            job_title: new.job_title,
            birthday: new.birthday,
            addresses: new.addresses,
            tags: new.tags,
            custom_fields: new.custom_fields,
            profile_picture_url: new.profile_picture_url,
            profile_picture_fetched_at: new.profile_picture_fetched_at,
            owner_id: new.owner_id,
            blocked: false,
            blocked_reason: None,
            consents: new.consents,
            engagement_score: None,
            lead_score: None,
            first_interaction_at: new.first_interaction_at,
            last_interaction_at: new.last_interaction_at,
            last_inbound_at: new.last_inbound_at,
            suspected_duplicates: BTreeMap::new(),
            merged_into_id: None,
            merged_at: None,
            deleted_at: None,
            erased_at: None,
        }
    }

    fn fold_own(&mut self, event: &ContactEvent, meta: &Meta<'_>) {
        use ContactEvent as E;
        match event {
            E::Created(_) => {}
            E::Updated { changes } => changes.iter().for_each(|change| self.change(change)),
            E::NameChanged { new_name, name_source, .. } => {
                self.name.clone_from(new_name);
                self.name_source = *name_source;
            }
            E::EmailSet { email, verified, unique, .. } => {
                self.email.clone_from(email);
                self.email_verified = *verified;
                self.email_unique = *unique;
            }
            E::PhoneSet { phone, verified, .. } => {
                self.phone.clone_from(phone);
                self.phone_verified = *verified;
            }
            E::ExternalIdSet { external_id, source, .. } => {
                self.external_id.clone_from(external_id);
                self.external_source.clone_from(source);
            }
            E::IdentifierAdded { kind, scope, value, match_key } => {
                self.identifiers.insert(Identifier {
                    kind: *kind,
                    scope: scope.clone(),
                    value: value.clone(),
                    match_key: match_key.clone(),
                });
            }
            E::IdentifierRemoved { kind, scope, match_key, .. } => {
                self.identifiers
                    .retain(|known| (known.kind, &known.scope, &known.match_key) != (*kind, scope, match_key));
            }
            E::WhatsappIdentifiersSet { wid, lid, jid, .. } => {
                let ids = WhatsAppIdentifiers { wid: wid.clone(), lid: lid.clone(), jid: jid.clone() };
                self.whatsapp = Some(ids).filter(|ids| !ids.is_empty());
            }
            E::SourceChannelSet { source_channel, .. } => self.source_channel.clone_from(source_channel),
            E::LanguageChanged { new_language, .. } => self.language = new_language.clone(),
            E::TimezoneSet { timezone, .. } => self.timezone = *timezone,
            E::TagAdded { tag } => {
                // A full set refuses: the command that recorded this saw room for it.
                if !self.tags.contains(tag) {
                    self.tags.insert(tag.clone()).ok();
                }
            }
            E::TagRemoved { tag } => {
                self.tags.remove(tag);
            }
            E::TagsCleared { .. } => self.tags = TagSet::new(),
            E::CustomFieldSet { key, field_type, value, .. } => {
                // What cannot be read, such as erased data, is nothing.
                match serde_json::from_value(json!({"type": field_type, "value": value})) {
                    Ok(value) => self.custom_fields.put(CustomField { key: key.clone(), value }),
                    Err(_) => {
                        self.custom_fields.take(key.as_str());
                    }
                }
            }
            E::CustomFieldCleared { key, .. } => {
                self.custom_fields.take(key.as_str());
            }
            E::AddressSet { address_id, address, .. } => {
                let known = KnownAddress { id: *address_id, address: address.clone() };
                match self.addresses.iter_mut().find(|known| known.id == *address_id) {
                    Some(place) => *place = known,
                    None => self.addresses.push(known),
                }
            }
            E::AddressRemoved { address_id, .. } => self.addresses.retain(|known| known.id != *address_id),
            E::ProfilePictureUpdated { profile_picture_url, fetched_at, .. } => {
                self.profile_picture_url.clone_from(profile_picture_url);
                self.profile_picture_fetched_at = profile_picture_url.as_ref().map(|_| *fetched_at);
            }
            E::OwnerChanged { new_owner_id, .. } => self.owner_id = *new_owner_id,
            E::ScoreChanged { kind: ScoreKind::Engagement, new, .. } => self.engagement_score = *new,
            E::ScoreChanged { kind: ScoreKind::Lead, new, .. } => self.lead_score = *new,
            E::Blocked { reason } => {
                self.blocked = true;
                self.blocked_reason.clone_from(reason);
            }
            E::Unblocked { .. } => {
                self.blocked = false;
                self.blocked_reason = None;
            }
            E::ConsentChanged { family, new_status, source, evidence, .. } => {
                let consent = Consent {
                    status: *new_status,
                    source: source.clone(),
                    changed_at: meta.occurred_at,
                    evidence: evidence.clone(),
                };
                self.consents.insert(*family, consent);
            }
            E::InteractionRecorded { interacted_at, inbound, .. } => self.interact(*interacted_at, *inbound),
            E::Enriched { .. } => {}
            E::DuplicateSuspected { other_contact_id, score, reasons } => {
                let suspicion = Suspicion { score: *score, reasons: reasons.clone() };
                self.suspected_duplicates.insert(*other_contact_id, suspicion);
            }
            E::Deleted { .. } => {
                self.status = ContactStatus::Deleted;
                self.deleted_at = Some(meta.occurred_at);
            }
            E::Restored { .. } => {
                self.status = ContactStatus::Active;
                self.deleted_at = None;
                self.merged_into_id = None;
                self.merged_at = None;
            }
            E::Erased { .. } => self.erase(meta.occurred_at),
        }
    }

    /// Ids, times, scores, tags and what is not about a person alone stay.
    fn erase(&mut self, at: Timestamp) {
        self.status = ContactStatus::Erased;
        self.erased_at = Some(at);
        self.name = pii::ERASED.to_owned();
        self.name_source = NameSource::Placeholder;
        self.full_name = None;
        self.push_name = None;
        self.push_name_at = None;
        self.email = None;
        self.email_verified = false;
        self.phone = None;
        self.phone_verified = false;
        self.external_id = None;
        self.identifiers.clear();
        self.whatsapp = None;
        self.company = None;
        self.job_title = None;
        self.birthday = None;
        self.addresses.clear();
        self.custom_fields = CustomFields::new();
        self.profile_picture_url = None;
        self.profile_picture_fetched_at = None;
        self.blocked_reason = None;
        self.consents.clear();
        self.suspected_duplicates.clear();
    }

    fn change(&mut self, change: &ProfileChange) {
        match change.field {
            ProfileField::FullName => self.full_name = read(&change.new),
            ProfileField::PushName => {
                self.push_name = read(&change.new);
                self.push_name_at = change.at;
            }
            ProfileField::Company => self.company = read(&change.new),
            ProfileField::JobTitle => self.job_title = read(&change.new),
            ProfileField::Birthday => self.birthday = read(&change.new),
        }
    }

    fn see(&mut self, message: &NewMessage) {
        let inbound = message.direction == Direction::Inbound;
        if message.is_notice() || message.is_scheduled() {
            return;
        }
        self.interact(message.timestamp, inbound);
        // A name that is still the same needs no event, but its age decides which of two names is the newer one.
        if inbound
            && self.push_name.is_some()
            && message.sender_name.as_deref().and_then(super::resolution::display_name) == self.push_name
        {
            self.push_name_at = self.push_name_at.max(Some(message.timestamp));
        }
    }

    fn interact(&mut self, at: Timestamp, inbound: bool) {
        self.first_interaction_at = Some(self.first_interaction_at.map_or(at, |first| first.min(at)));
        self.last_interaction_at = self.last_interaction_at.max(Some(at));
        if inbound {
            self.last_inbound_at = self.last_inbound_at.max(Some(at));
        }
    }
}

/// What an event says of a field; anything that cannot be read, such as erased data, is nothing.
fn read<T: DeserializeOwned>(value: &Option<Value>) -> Option<T> {
    value.as_ref().and_then(|value| serde_json::from_value(value.clone()).ok())
}

/// Custom values compare by their type; of a list each element does, of an object only that it is there.
fn index_custom(index: &mut Index, field: &str, value: &CustomValue) {
    use CustomValue as V;
    match value {
        V::Number(number) => index.attribute(field, number.to_f64()),
        V::Boolean(yes) => index.attribute(field, *yes),
        V::Date(date) => index.attribute(field, date.instant()),
        V::MultiSelect(words) | V::Label(words) => words.iter().for_each(|word| index.attribute(field, word.as_str())),
        V::Json(_) => index.attribute(field, true),
        V::Text(text) | V::Select(text) => index.attribute(field, text.as_str()),
        V::Url(url) => index.attribute(field, url.as_str()),
        V::Email(email) => index.attribute(field, email.as_str()),
        V::Phone(phone) => index.attribute(field, phone.as_str()),
    }
}

impl Aggregate for Contact {
    const KIND: Kind = Kind::Contact;
    const NOT_FOUND: ErrorCode = ErrorCode::ContactNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("status", FieldKind::Enum),
        Column::new("name", FieldKind::Text).sortable(),
        Column::new("name_source", FieldKind::Enum),
        Column::new("push_name", FieldKind::Text),
        Column::new("email", FieldKind::Text).sortable(),
        Column::new("phone", FieldKind::Text),
        Column::new("external_id", FieldKind::Text),
        Column::new("source_channel", FieldKind::Text),
        Column::new("origin.kind", FieldKind::Enum),
        Column::new("language", FieldKind::Text),
        Column::new("timezone", FieldKind::Text),
        Column::new("company", FieldKind::Text).sortable(),
        Column::new("job_title", FieldKind::Text),
        Column::new("birthday", FieldKind::Date),
        Column::new("owner_id", FieldKind::Id).sortable(),
        Column::new("blocked", FieldKind::Bool),
        Column::new("engagement_score", FieldKind::Number).sortable(),
        Column::new("lead_score", FieldKind::Number).sortable(),
        Column::new("first_interaction_at", FieldKind::Instant).sortable(),
        Column::new("last_interaction_at", FieldKind::Instant).sortable(),
        Column::new("last_inbound_at", FieldKind::Instant).sortable(),
        Column::new("address.country", FieldKind::Text).many(),
        Column::new("address.state", FieldKind::Text).many(),
        Column::new("address.city", FieldKind::Text).many(),
        Column::new("address.postal_code", FieldKind::Text).many(),
        Column::new("consent.*", FieldKind::Enum).many(),
    ];
    const INDEXES: &'static [&'static [&'static str]] =
        &[&["name"], &["email"], &["phone"], &["company"], &["owner_id"], &["last_interaction_at"], &["created_at"]];
    const SETS: &'static [&'static str] = &["tags"];
    const CUSTOM: Option<&'static str> = Some("custom.");
    type Id = ContactId;

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        match event {
            Event::Contact(ContactEvent::Created(new)) => Some(Contact::starts(new, meta)),
            _ => None,
        }
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        match event {
            Event::Contact(event) => self.fold_own(event, meta),
            Event::Message(MessageEvent::Received(new) | MessageEvent::Created(new) | MessageEvent::Imported(new)) => {
                self.see(new);
            }
            Event::Message(MessageEvent::Queued { queued_at, cause: QueuedCause::Released, .. }) => {
                self.interact(*queued_at, false);
            }
            _ => {}
        }
    }

    fn observes(event: &Event) -> bool {
        use MessageEvent as M;
        matches!(event, Event::Message(M::Received(_) | M::Created(_) | M::Imported(_) | M::Queued { .. }))
    }

    fn index(&self, index: &mut Index) {
        index.column("status", self.status.as_str());
        index.column("name", self.name.as_str());
        index.column("name_source", self.name_source.as_str());
        index.column("push_name", self.push_name.as_deref());
        index.column("email", self.email.as_ref().map(Email::as_str));
        index.column("phone", self.phone.as_ref().map(Phone::as_str));
        index.column("external_id", self.external_id.as_deref());
        index.column("source_channel", self.source_channel.as_deref());
        index.column("origin.kind", self.origin.kind.as_str());
        index.column("language", self.language.as_str());
        index.column("timezone", self.timezone.as_ref().map(Timezone::as_str));
        index.column("company", self.company.as_deref());
        index.column("job_title", self.job_title.as_deref());
        index.column("birthday", self.birthday.and_then(Birthday::date).map(|date| date.to_string()));
        index.id("owner_id", self.owner_id);
        index.column("blocked", self.blocked);
        index.column("engagement_score", self.engagement_score);
        index.column("lead_score", self.lead_score);
        index.column("first_interaction_at", self.first_interaction_at);
        index.column("last_interaction_at", self.last_interaction_at);
        index.column("last_inbound_at", self.last_inbound_at);
        for tag in &self.tags {
            index.attribute("tags", tag.as_str());
        }
        for known in &self.addresses {
            index.attribute("address.country", known.address.country.as_str());
            index.attribute("address.state", known.address.state.as_deref());
            index.attribute("address.city", known.address.city.as_str());
            index.attribute("address.postal_code", known.address.postal_code.as_deref());
        }
        for (family, consent) in &self.consents {
            index.attribute(format!("consent.{family}"), consent.status.as_str());
        }
        for (key, value) in self.custom_fields.iter() {
            index_custom(index, &format!("custom.{key}"), value);
        }
        if !self.is_active() {
            return;
        }
        for key in self.unique_keys() {
            index.unique(key.space, key.scope, key.key, ErrorCode::IdentifierTaken);
        }
        super::search::index(self, index);
    }

    fn is_hidden(&self) -> bool {
        !self.is_active()
    }

    base_fields!();
}
