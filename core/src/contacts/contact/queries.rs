//! What can be asked about contacts.

use super::finding;
use super::identity::{Identifier, IdentifierKind};
use super::policy::Policy;
use super::profile::IdentifierInput;
use super::search;
use super::state::Contact;
use crate::engine::{Query, Reader};
use crate::kernel::{ContactId, Error, ErrorCode, Permission, Result};
use crate::operations;
use crate::storage::{FilterExpression, Page, PageRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Ids that one question may name.
const MAX_VALUES: usize = 1_000;

/// One contact.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetContact {
    pub id: ContactId,
    /// Shows a deleted one too, to actors who may delete contacts.
    #[serde(default)]
    pub include_deleted: Option<bool>,
}

impl Query for GetContact {
    const NAME: &'static str = "contacts.get";
    const PERMISSION: Permission = Permission::ContactsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ContactNotFound];
    type Output = Contact;

    async fn run(self, read: &Reader<'_>) -> Result<Contact> {
        if self.include_deleted == Some(true) {
            crate::tenancy::access::require(read, Permission::ContactsDelete).await?;
            if let Some(contact) = read.find_any::<Contact>(self.id).await? {
                return Ok(contact);
            }
        }
        read.get(self.id).await
    }
}

/// The active contact of an id: exactly one of the fields is given. Null when nobody has it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindContact {
    /// International, or national in the project's region.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub phone: Option<String>,
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "email"))]
    pub email: Option<String>,
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub external_id: Option<String>,
    /// The system of the `external_id`.
    #[serde(default)]
    pub external_source: Option<String>,
    /// A wid, jid or, ending with `@lid`, a lid.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub whatsapp: Option<String>,
    #[serde(default)]
    pub identifier: Option<IdentifierInput>,
}

impl FindContact {
    /// What was asked for, as kind, scope, value and the name of the field.
    fn asked(self) -> Result<(IdentifierInput, &'static str)> {
        let plain = |kind, value| IdentifierInput { kind, scope: None, value };
        let source = self.external_source;
        let mut asked = [
            self.phone.map(|phone| (plain(IdentifierKind::Phone, phone), "phone")),
            self.email.map(|email| (plain(IdentifierKind::Email, email), "email")),
            self.external_id.map(|id| {
                (IdentifierInput { kind: IdentifierKind::External, scope: source, value: id }, "external_id")
            }),
            self.whatsapp.map(|id| {
                let is_lid = id.trim().ends_with("@lid");
                let kind = if is_lid { IdentifierKind::WhatsappLid } else { IdentifierKind::WhatsappWid };
                (plain(kind, id), "whatsapp")
            }),
            self.identifier.map(|identifier| (identifier, "identifier")),
        ]
        .into_iter()
        .flatten();
        match (asked.next(), asked.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(Error::new(ErrorCode::IdentifierRequired).at("identifier")),
            (Some(_), Some((_, field))) => {
                Err(Error::new(ErrorCode::InputInvalid).message("give exactly one id to find by").at(field))
            }
        }
    }
}

impl Query for FindContact {
    const NAME: &'static str = "contacts.find";
    const PERMISSION: Permission = Permission::ContactsView;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::IdentifierRequired,
        ErrorCode::InputInvalid,
        ErrorCode::PhoneInvalid,
        ErrorCode::PhoneRegionRequired,
        ErrorCode::NameTooLong,
        ErrorCode::TextTooLong,
        ErrorCode::EmailInvalid,
        ErrorCode::EmailRequired,
        ErrorCode::EmailTooLong,
        ErrorCode::WhatsappIdInvalid,
        ErrorCode::WhatsappGroupId,
        ErrorCode::FieldRequired,
    ];
    type Output = Option<Contact>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<Contact>> {
        let policy = Policy::of(read).await?;
        let (asked, field) = self.asked()?;
        let identifier = Identifier::parse(asked.kind, asked.scope.as_deref(), &asked.value, policy.region)
            .map_err(|error| error.at(field))?;
        finding::by_identifier(read, &identifier).await
    }
}

/// The active contacts of many ids of one kind, each under the id as it was given. Ids that nobody has, and texts that are no
/// such id, are not in the answer.
///
/// Limits: 1 000 values.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindContacts {
    pub kind: IdentifierKind,
    /// The system of `external` ids, the channel type of `channel_user`s.
    #[serde(default)]
    pub scope: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub values: Vec<String>,
}

impl Query for FindContacts {
    const NAME: &'static str = "contacts.find_many";
    const PERMISSION: Permission = Permission::ContactsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::BatchTooLarge, ErrorCode::FieldRequired, ErrorCode::NameTooLong];
    type Output = BTreeMap<String, Contact>;

    async fn run(self, read: &Reader<'_>) -> Result<BTreeMap<String, Contact>> {
        if self.values.len() > MAX_VALUES {
            let error = Error::new(ErrorCode::BatchTooLarge).at("values").with("max", MAX_VALUES);
            return Err(error.with("current", self.values.len()));
        }
        let policy = Policy::of(read).await?;
        let scope = super::identity::scope(self.kind, self.scope.as_deref())?;
        let readable = self.values.iter().enumerate().filter_map(|(place, value)| {
            let identifier = Identifier::parse(self.kind, Some(&scope), value, policy.region).ok()?;
            Some((place, identifier))
        });
        let readable: Vec<_> = readable.collect();
        let found = finding::by_identifiers(read, &readable).await?;
        Ok(found.into_iter().filter_map(|(place, contact)| Some((self.values.get(place)?.clone(), contact))).collect())
    }
}

/// Contacts. Active ones only, unless the filter names `status`.
///
/// Filter: status, name, name_source, push_name, email, phone (by its digits), external_id, source_channel, origin.kind,
/// language, timezone, company, job_title, birthday, tags, custom.\<key\>, address.country, address.state, address.city,
/// address.postal_code, owner_id, blocked, consent.\<family\>, engagement_score, lead_score, first_interaction_at,
/// last_interaction_at, last_inbound_at, created_at, updated_at. Sort: name, email, company, owner_id, engagement_score,
/// lead_score, first_interaction_at, last_interaction_at, last_inbound_at, created_at, updated_at.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListContacts {
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListContacts {
    const NAME: &'static str = "contacts.list";
    const PERMISSION: Permission = Permission::ContactsView;
    type Output = Page<Contact>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<Contact>> {
        finding::page(read, &self.page).await
    }
}

/// How many contacts satisfy a filter; without one, how many active contacts there are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountContacts {
    #[serde(default)]
    pub filter: Option<FilterExpression>,
}

impl Query for CountContacts {
    const NAME: &'static str = "contacts.count";
    const PERMISSION: Permission = Permission::ContactsView;
    type Output = u64;

    async fn run(self, read: &Reader<'_>) -> Result<u64> {
        finding::count(read, self.filter).await
    }
}

/// Looks for contacts by any of their names, numbers, addresses and tags. Every word must begin a word of the contact, and
/// any 4 digits in a row of a phone number find it. Case and accents do not matter.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchContacts {
    pub q: String,
    /// 1 to 100; 20 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
}

/// A contact that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactHit {
    pub contact: Contact,
    /// 2.0 for an exact id, 1.5 name, 1.3 phone, 1.2 e-mail, 1.0 anything else.
    pub score: f64,
    /// The field that matched best.
    pub match_field: String,
}

impl Query for SearchContacts {
    const NAME: &'static str = "contacts.search";
    const PERMISSION: Permission = Permission::ContactsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::LimitOutOfRange];
    type Output = Vec<ContactHit>;

    async fn run(self, read: &Reader<'_>) -> Result<Vec<ContactHit>> {
        let limit = usize::try_from(self.limit.unwrap_or(20)).ok().filter(|limit| (1..=100).contains(limit));
        let limit =
            limit.ok_or_else(|| Error::new(ErrorCode::LimitOutOfRange).at("limit").with("min", 1).with("max", 100))?;
        search::search(read, &self.q, limit).await
    }
}

operations![queries: GetContact, FindContact, FindContacts, ListContacts, CountContacts, SearchContacts];
