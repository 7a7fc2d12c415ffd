//! Creating a contact and changing its profile.

use super::behaviour::load_active;
use super::events::{ContactEvent, RejectedField};
use super::finding::by_identifier;
use super::identity::{Identifier, IdentifierKind};
use super::policy::Policy;
use super::profile::{Checked, IdentifierInput, profile_input, refuse};
use super::state::Contact;
use super::update::{Writing, start};
use super::values::{NameSource, Origin, OriginKind, WriteMode};
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::text::{json_limits, required_text};
use crate::kernel::{ContactId, CustomFields, Error, ErrorCode, Errors, Kind, Patch, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What every command on a profile can raise.
const ERRORS: &[ErrorCode] = &[
    ErrorCode::ContactNotFound,
    ErrorCode::ContactNotActive,
    ErrorCode::ContactNameRequired,
    ErrorCode::ContactNameInvalid,
    ErrorCode::IdentifierTaken,
    ErrorCode::IdentifierLimit,
    ErrorCode::IdentifierRequired,
    ErrorCode::EmailInvalid,
    ErrorCode::EmailRequired,
    ErrorCode::EmailTooLong,
    ErrorCode::TextRequired,
    ErrorCode::PhoneInvalid,
    ErrorCode::PhoneRegionRequired,
    ErrorCode::WhatsappIdInvalid,
    ErrorCode::WhatsappGroupId,
    ErrorCode::LanguageInvalid,
    ErrorCode::TimezoneInvalid,
    ErrorCode::UrlInvalid,
    ErrorCode::UrlSchemeUnsupported,
    ErrorCode::UrlCredentials,
    ErrorCode::TagInvalid,
    ErrorCode::TagLimit,
    ErrorCode::CustomFieldKeyRequired,
    ErrorCode::CustomFieldKeyInvalid,
    ErrorCode::CustomFieldTypeInvalid,
    ErrorCode::CustomFieldTypeMismatch,
    ErrorCode::CustomFieldValueInvalid,
    ErrorCode::CustomFieldUndefined,
    ErrorCode::CustomFieldReadOnly,
    ErrorCode::CustomFieldSystem,
    ErrorCode::CustomFieldFixed,
    ErrorCode::CustomFieldRequired,
    ErrorCode::CustomFieldLimit,
    ErrorCode::CustomFieldReserved,
    ErrorCode::AddressInvalid,
    ErrorCode::AddressLimit,
    ErrorCode::BirthdayInvalid,
    ErrorCode::ScoreOutOfRange,
    ErrorCode::AgentNotFound,
    ErrorCode::ChannelNotFound,
    ErrorCode::NameRequired,
    ErrorCode::NameTooLong,
    ErrorCode::TextTooLong,
    ErrorCode::TextControlChar,
    ErrorCode::FieldRequired,
    ErrorCode::AmbiguousMatch,
    ErrorCode::JsonTooLarge,
    ErrorCode::JsonTooDeep,
];

profile_input! {
    /// Creates a contact. Every field is checked; all failures come back together.
    ///
    /// A phone, e-mail, external id or other identifier that an active contact has already is `identifier_taken` with its id.
    #[derive(Default)]
    pub struct CreateContact: Option unless "Option::is_none" {
        /// 1 to 255 characters.
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
        pub name: String,
        /// Further ids under which the contact is known; at most 20.
        #[serde(default, deserialize_with = "super::values::or_default")]
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
        pub identifiers: Vec<IdentifierInput>,
        /// What brought the contact; `manual` unless told.
        #[serde(default)]
        pub origin: Option<Origin>,
    }
}

impl Command for CreateContact {
    const NAME: &'static str = "contacts.create";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = ERRORS;
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let policy = Policy::of(work.reader()).await?;
        let mut profile = self.profile();
        profile.name = Patch::Value(self.name);
        profile.identifiers = self.identifiers;
        let (checked, mut failures) = profile.check(work.reader(), &policy, &CustomFields::new()).await?;
        let origin = check_origin(work, self.origin, &mut failures).await?;
        refuse(failures)?;
        let contact = create(work, &policy, checked, origin)?;
        work.save(contact)
    }
}

profile_input! {
    /// Changes a contact that it finds by its ids, or creates it.
    ///
    /// Two different contacts found by two ids are `ambiguous_match`, and nothing is written.
    #[derive(Default)]
    pub struct UpsertContact: Option unless "Option::is_none" {
        /// Required when the contact does not exist yet.
        #[serde(default)]
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
        pub name: Option<String>,
        #[serde(default, deserialize_with = "super::values::or_default")]
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
        pub identifiers: Vec<IdentifierInput>,
        /// What brought the contact, if it is new.
        #[serde(default)]
        pub origin: Option<Origin>,
        /// By which of the given ids to look; external, phone and email unless told.
        #[serde(default)]
        pub match_on: Option<Vec<IdentifierKind>>,
        /// `overwrite` unless told.
        #[serde(default)]
        pub mode: Option<WriteMode>,
    }
}

/// A contact that was created or changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upserted {
    pub contact: Contact,
    pub created: bool,
}

impl Command for UpsertContact {
    const NAME: &'static str = "contacts.upsert";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = ERRORS;
    type Output = Upserted;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Upserted> {
        let policy = Policy::of(work.reader()).await?;
        let mut profile = self.profile();
        profile.name = self.name.map_or(Patch::Absent, Patch::Value);
        profile.identifiers = self.identifiers;
        let (checked, mut failures) = profile.clone().check(work.reader(), &policy, &CustomFields::new()).await?;
        let origin = check_origin(work, self.origin, &mut failures).await?;
        let kinds = self
            .match_on
            .unwrap_or_else(|| vec![IdentifierKind::External, IdentifierKind::Phone, IdentifierKind::Email]);
        let mut found = None;
        let mut ids = BTreeSet::new();
        for identifier in given_identifiers(&checked).into_iter().filter(|id| kinds.contains(&id.kind)) {
            if let Some(contact) = by_identifier(work.reader(), &identifier).await? {
                ids.insert(contact.id);
                found = Some(contact.id);
            }
        }
        if ids.len() > 1 {
            let ids: Vec<String> = ids.iter().map(ContactId::to_string).collect();
            return Err(Error::new(ErrorCode::AmbiguousMatch).with("ids", ids));
        }
        let Some(id) = found else {
            refuse(failures)?;
            let contact = create(work, &policy, checked, origin)?;
            return Ok(Upserted { contact: work.save(contact)?, created: true });
        };
        let mut contact = load_active(work, id).await?;
        let (checked, failures) = profile.check(work.reader(), &policy, &contact.custom_fields).await?;
        refuse(failures)?;
        let writing = Writing {
            policy: &policy,
            mode: self.mode.unwrap_or(WriteMode::Overwrite),
            keep_previous: false,
            name_source: origin.name_source(),
            source: origin.name_source().as_str(),
        };
        writing.write(&mut contact, checked)?;
        Ok(Upserted { contact: work.save(contact)?, created: false })
    }
}

/// What another system told about a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrichment {
    /// The other system; at most 100 characters.
    pub source: String,
    /// What it said, kept as it is; at most 64 KiB.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub data: Map<String, Value>,
}

profile_input! {
    /// Changes what is given of a contact's profile: absent = unchanged, null = cleared. Each field that changes has its own
    /// event; equal values change nothing. Every field is checked; all failures come back together.
    pub struct UpdateContact: Patch unless "Patch::is_absent" {
        pub id: ContactId,
        /// 1 to 255 characters; channels no longer change it.
        #[serde(default, skip_serializing_if = "Patch::is_absent")]
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
        pub name: Patch<String>,
        /// `fill_blanks` leaves what is there and adds tags; `overwrite` unless told.
        #[serde(default)]
        pub mode: Option<WriteMode>,
        /// A replaced e-mail address or phone number stays as an identifier.
        #[serde(default)]
        pub keep_previous: Option<bool>,
        /// Marks the change as an enrichment: fields that are not valid are left out and reported in `contact.enriched`.
        #[serde(default)]
        pub enrichment: Option<Enrichment>,
    }
}

impl UpdateContact {
    /// A change of nothing yet.
    pub fn new(id: ContactId) -> Self {
        UpdateContact {
            id,
            name: Patch::Absent,
            mode: None,
            keep_previous: None,
            enrichment: None,
            full_name: Patch::Absent,
            email: Patch::Absent,
            email_verified: None,
            phone: Patch::Absent,
            phone_verified: None,
            external_id: Patch::Absent,
            external_source: Patch::Absent,
            whatsapp: Patch::Absent,
            source_channel: Patch::Absent,
            language: Patch::Absent,
            timezone: Patch::Absent,
            company: Patch::Absent,
            job_title: Patch::Absent,
            birthday: Patch::Absent,
            addresses: Patch::Absent,
            tags: Patch::Absent,
            custom_fields: std::collections::BTreeMap::new(),
            profile_picture_url: Patch::Absent,
            owner_id: Patch::Absent,
            engagement_score: Patch::Absent,
            lead_score: Patch::Absent,
        }
    }
}

impl Command for UpdateContact {
    const NAME: &'static str = "contacts.update";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = ERRORS;
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let policy = Policy::of(work.reader()).await?;
        let mut contact = load_active(work, self.id).await?;
        let mut profile = self.profile();
        profile.name = self.name;
        let (checked, failures) = profile.check(work.reader(), &policy, &contact.custom_fields).await?;
        let mut writing = Writing {
            policy: &policy,
            mode: self.mode.unwrap_or(WriteMode::Overwrite),
            keep_previous: self.keep_previous.unwrap_or(false),
            name_source: NameSource::Manual,
            source: NameSource::Manual.as_str(),
        };
        match self.enrichment {
            None => {
                refuse(failures)?;
                writing.write(&mut contact, checked)?;
            }
            Some(enrichment) => {
                let enrichment_source = check_enrichment(&enrichment)?;
                writing.name_source = NameSource::Enrichment;
                writing.source = &enrichment_source;
                let applied = writing.write(&mut contact, checked)?;
                let rejected = failures.iter().map(|failure| RejectedField {
                    field: failure.field().unwrap_or_default().to_owned(),
                    code: failure.code().as_str().to_owned(),
                });
                let rejected = rejected.collect();
                let enriched_at = contact.now();
                contact.record(ContactEvent::Enriched {
                    enrichment_source: enrichment_source.clone(),
                    enriched_data: enrichment.data,
                    applied,
                    rejected,
                    enriched_at,
                });
            }
        }
        work.save(contact)
    }
}

fn create(work: &UnitOfWork<'_>, policy: &Policy, mut checked: Checked, origin: Origin) -> Result<Root<Contact>> {
    let Some(name) = checked.name.take() else {
        return Err(Error::new(ErrorCode::ContactNameRequired).at("name"));
    };
    start(work, policy, checked, name, origin)
}

async fn check_origin(work: &UnitOfWork<'_>, origin: Option<Origin>, failures: &mut Vec<Error>) -> Result<Origin> {
    let origin = origin.unwrap_or(Origin::of(OriginKind::Manual));
    if let Some(channel) = origin.channel_id
        && !super::commands::exists(work.reader(), Kind::Channel, channel.uuid()).await?
    {
        failures.push(Error::new(ErrorCode::ChannelNotFound).at("origin.channel_id"));
    }
    Ok(origin)
}

fn check_enrichment(enrichment: &Enrichment) -> Result<String> {
    let mut errors = Errors::new();
    let source = errors.take("source", required_text(&enrichment.source, 100));
    errors.take("data", json_limits(&Value::Object(enrichment.data.clone()), 64 * 1024, 8));
    errors.check().map_err(|error| error.at("enrichment"))?;
    source.ok_or_else(|| Error::internal("a source that was not refused is there"))
}

/// The ids that a profile brings.
fn given_identifiers(checked: &Checked) -> Vec<Identifier> {
    let source = checked.external_source.value().map(String::as_str);
    let mut all = Vec::new();
    all.extend(checked.external_id.value().map(|id| Identifier::external(id, source)));
    all.extend(checked.phone.value().map(Identifier::phone));
    all.extend(checked.email.value().map(Identifier::email));
    all.extend(
        checked.whatsapp.value().cloned().into_iter().flat_map(|ids| ids.completed().identifiers().collect::<Vec<_>>()),
    );
    all.extend(checked.identifiers.iter().cloned());
    all
}
