//! The profile fields that callers give: what they are called, and how all of them are checked in one pass.

use super::behaviour::clean_name;
use super::commands::exists;
use super::identity::{Identifier, IdentifierKind, MAX_IDENTIFIERS, WhatsAppIdentifiers};
use super::policy::Policy;
use super::values::{Address, AddressId, Birthday, FullName, optional_name};
use crate::engine::Reader;
use crate::kernel::{
    AgentId, CustomField, CustomFieldInput, CustomFieldKey, CustomFields, Email, Error, ErrorCode, ExternalId, Kind,
    Language, Patch, Phone, Result, Tag, TagSet, Timezone, Url,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most addresses of a contact.
pub const MAX_ADDRESSES: usize = 10;
/// The most bytes of all custom fields of a contact together.
pub const MAX_CUSTOM_BYTES: usize = 64 * 1024;
/// Custom fields under which older data kept WhatsApp ids; they have a field of their own.
const RESERVED_KEYS: [&str; 3] = ["waha_wid", "waha_lid", "waha_jid"];

/// An address as a caller gives it. With the `id` of a known address it replaces that one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressInput {
    #[serde(default)]
    pub id: Option<AddressId>,
    pub address: Address,
}

/// An id as a caller gives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentifierInput {
    pub kind: IdentifierKind,
    /// The system of an `external` id, the channel type of a `channel_user`.
    #[serde(default)]
    pub scope: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub value: String,
}

/// A field of an input struct, whichever way it says that it was not given.
pub(super) trait Given<T> {
    fn given(self) -> Patch<T>;
}

impl<T> Given<T> for Patch<T> {
    fn given(self) -> Patch<T> {
        self
    }
}

impl<T> Given<T> for Option<T> {
    fn given(self) -> Patch<T> {
        self.map_or(Patch::Absent, Patch::Value)
    }
}

/// Declares an input struct with all profile fields after its own ones. `Option` fields are not given when null, `Patch`
/// fields are cleared then.
macro_rules! profile_input {
    ($(#[$outer:meta])* pub struct $name:ident: $wrap:ident unless $skip:literal { $($own:tt)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// The name in its parts. It does not change `name`.
            #[serde(default, skip_serializing_if = $skip)]
            pub full_name: $wrap<$crate::contacts::contact::FullName>,
            #[serde(default, skip_serializing_if = $skip)]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "email"))]
            pub email: $wrap<String>,
            /// Somebody proved that the address is theirs.
            #[serde(default)]
            pub email_verified: Option<bool>,
            /// International, or national in the project's region.
            #[serde(default, skip_serializing_if = $skip)]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
            pub phone: $wrap<String>,
            /// Somebody proved that the number is theirs.
            #[serde(default)]
            pub phone_verified: Option<bool>,
            /// The id in another system, unique together with `external_source`.
            #[serde(default, skip_serializing_if = $skip)]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            pub external_id: $wrap<String>,
            /// The other system; at most 64 characters.
            #[serde(default, skip_serializing_if = $skip)]
            pub external_source: $wrap<String>,
            /// Ids that are given replace those of the same kind; null removes all.
            #[serde(default, skip_serializing_if = $skip)]
            pub whatsapp: $wrap<$crate::contacts::contact::WhatsAppIdentifiers>,
            /// The channel type it came from; at most 64 characters.
            #[serde(default, skip_serializing_if = $skip)]
            pub source_channel: $wrap<String>,
            /// BCP 47; the project's default when cleared.
            #[serde(default, skip_serializing_if = $skip)]
            pub language: $wrap<String>,
            /// An IANA name.
            #[serde(default, skip_serializing_if = $skip)]
            pub timezone: $wrap<String>,
            #[serde(default, skip_serializing_if = $skip)]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            pub company: $wrap<String>,
            #[serde(default, skip_serializing_if = $skip)]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            pub job_title: $wrap<String>,
            /// `1990-05-17`, or `--05-17` without the year.
            #[serde(default, skip_serializing_if = $skip)]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "date"))]
            pub birthday: $wrap<String>,
            /// All addresses, at most 10; those that are not listed are removed.
            #[serde(default, skip_serializing_if = $skip)]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "address"))]
            pub addresses: $wrap<Vec<$crate::contacts::contact::AddressInput>>,
            /// All tags, at most 50; those that are not listed are removed.
            #[serde(default, skip_serializing_if = $skip)]
            pub tags: $wrap<Vec<String>>,
            /// Values by key; null removes a field, keys that are not listed stay.
            #[serde(default, deserialize_with = "crate::contacts::contact::values::or_default")]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            pub custom_fields: std::collections::BTreeMap<String, $crate::kernel::CustomFieldInput>,
            #[serde(default, skip_serializing_if = $skip)]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
            pub profile_picture_url: $wrap<String>,
            /// The agent who is responsible.
            #[serde(default, skip_serializing_if = $skip)]
            pub owner_id: $wrap<$crate::kernel::AgentId>,
            /// 0 to 100.
            #[serde(default, skip_serializing_if = $skip)]
            pub engagement_score: $wrap<i64>,
            /// 0 to 100.
            #[serde(default, skip_serializing_if = $skip)]
            pub lead_score: $wrap<i64>,
        }

        impl $name {
            /// The profile fields, without a name and further identifiers.
            fn profile(&self) -> $crate::contacts::contact::profile::Profile {
                use $crate::contacts::contact::profile::Given;
                $crate::contacts::contact::profile::Profile {
                    name: $crate::kernel::Patch::Absent,
                    full_name: self.full_name.clone().given(),
                    email: self.email.clone().given(),
                    email_verified: self.email_verified,
                    phone: self.phone.clone().given(),
                    phone_verified: self.phone_verified,
                    external_id: self.external_id.clone().given(),
                    external_source: self.external_source.clone().given(),
                    identifiers: Vec::new(),
                    whatsapp: self.whatsapp.clone().given(),
                    source_channel: self.source_channel.clone().given(),
                    language: self.language.clone().given(),
                    timezone: self.timezone.clone().given(),
                    company: self.company.clone().given(),
                    job_title: self.job_title.clone().given(),
                    birthday: self.birthday.clone().given(),
                    addresses: self.addresses.clone().given(),
                    tags: self.tags.clone().given(),
                    custom_fields: self.custom_fields.clone(),
                    profile_picture_url: self.profile_picture_url.clone().given(),
                    owner_id: self.owner_id.clone().given(),
                    engagement_score: self.engagement_score.clone().given(),
                    lead_score: self.lead_score.clone().given(),
                }
            }
        }
    };
}
pub(super) use profile_input;

/// Profile fields as they were given.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub name: Patch<String>,
    pub full_name: Patch<FullName>,
    pub email: Patch<String>,
    pub email_verified: Option<bool>,
    pub phone: Patch<String>,
    pub phone_verified: Option<bool>,
    pub external_id: Patch<String>,
    pub external_source: Patch<String>,
    pub identifiers: Vec<IdentifierInput>,
    pub whatsapp: Patch<WhatsAppIdentifiers>,
    pub source_channel: Patch<String>,
    pub language: Patch<String>,
    pub timezone: Patch<String>,
    pub company: Patch<String>,
    pub job_title: Patch<String>,
    pub birthday: Patch<String>,
    pub addresses: Patch<Vec<AddressInput>>,
    pub tags: Patch<Vec<String>>,
    pub custom_fields: BTreeMap<String, CustomFieldInput>,
    pub profile_picture_url: Patch<String>,
    pub owner_id: Patch<AgentId>,
    pub engagement_score: Patch<i64>,
    pub lead_score: Patch<i64>,
}

/// A change of one custom field.
#[derive(Debug, Clone)]
pub(super) enum CustomChange {
    Set(CustomField),
    Clear(CustomFieldKey),
}

/// Profile fields that are valid.
#[derive(Debug, Clone, Default)]
pub(super) struct Checked {
    pub name: Option<String>,
    pub full_name: Patch<FullName>,
    pub email: Patch<Email>,
    pub email_verified: Option<bool>,
    pub phone: Patch<Phone>,
    pub phone_verified: Option<bool>,
    pub external_id: Patch<String>,
    pub external_source: Patch<String>,
    pub identifiers: Vec<Identifier>,
    pub whatsapp: Patch<WhatsAppIdentifiers>,
    pub source_channel: Patch<String>,
    pub language: Patch<Language>,
    pub timezone: Patch<Timezone>,
    pub company: Patch<String>,
    pub job_title: Patch<String>,
    pub birthday: Patch<Birthday>,
    pub addresses: Patch<Vec<AddressInput>>,
    pub tags: Patch<TagSet>,
    pub custom_fields: Vec<CustomChange>,
    pub profile_picture_url: Patch<Url>,
    pub owner_id: Patch<AgentId>,
    pub engagement_score: Patch<u8>,
    pub lead_score: Patch<u8>,
}

impl Profile {
    /// Checks every field, for a contact that has `known` custom fields. What fails is in the second part, field by field.
    pub async fn check(
        self,
        read: &Reader<'_>,
        policy: &Policy,
        known: &CustomFields,
    ) -> Result<(Checked, Vec<Error>)> {
        let mut failures = Failures(Vec::new());
        let owner_id = match self.owner_id {
            Patch::Value(owner) if !exists(read, Kind::Agent, owner.uuid()).await? => {
                failures.0.push(Error::new(ErrorCode::AgentNotFound).at("owner_id").with("id", owner.to_string()));
                Patch::Absent
            }
            owner => owner,
        };
        let f = &mut failures;
        let name = match self.name {
            Patch::Null => f.keep("name", Err(ErrorCode::ContactNameRequired.into())),
            Patch::Absent => None,
            Patch::Value(name) => f.keep("name", clean_name(&name)),
        };
        let checked = Checked {
            name,
            full_name: f.read("full_name", self.full_name, FullName::checked),
            email: f.read("email", self.email, |email| Email::parse(&email)),
            email_verified: self.email_verified,
            phone: f.read("phone", self.phone, |phone| Ok(Phone::parse(&phone, policy.region)?.phone)),
            phone_verified: self.phone_verified,
            external_id: f.read("external_id", self.external_id, |id| Ok(ExternalId::parse(id.trim())?.to_string())),
            external_source: f.read_text("external_source", self.external_source, 64),
            identifiers: f.identifiers(self.identifiers, policy),
            whatsapp: f.read("whatsapp", self.whatsapp, |ids| ids.normalised()),
            source_channel: f.read_text("source_channel", self.source_channel, 64),
            language: f.read("language", self.language, |language| Language::parse(&language)),
            timezone: f.read("timezone", self.timezone, |zone| Timezone::parse(&zone)),
            company: f.read_text("company", self.company, 255),
            job_title: f.read_text("job_title", self.job_title, 255),
            birthday: f.read("birthday", self.birthday, |day| Birthday::until(&day, read.now())),
            addresses: f.read("addresses", self.addresses, addresses),
            tags: f.read("tags", self.tags, tags),
            custom_fields: f.custom_fields(&self.custom_fields, policy, known),
            profile_picture_url: f.read("profile_picture_url", self.profile_picture_url, |url| Url::parse(&url)),
            owner_id,
            engagement_score: f.read("engagement_score", self.engagement_score, score),
            lead_score: f.read("lead_score", self.lead_score, score),
        };
        Ok((checked, failures.0))
    }
}

/// Fails with all of `failures`, the first one leading.
pub(super) fn refuse(failures: Vec<Error>) -> Result<()> {
    let mut errors = crate::kernel::Errors::new();
    failures.into_iter().for_each(|failure| errors.push(failure));
    errors.check()
}

struct Failures(Vec<Error>);

impl Failures {
    fn keep<T>(&mut self, field: &str, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error.at(field))).ok()
    }

    /// A field that fails counts as not given.
    fn read<T, U>(&mut self, field: &str, given: Patch<T>, read: impl FnOnce(T) -> Result<U>) -> Patch<U> {
        match given {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Value(value) => self.keep(field, read(value)).map_or(Patch::Absent, Patch::Value),
        }
    }

    /// A text that is blank clears the field.
    fn read_text(&mut self, field: &str, given: Patch<String>, max: usize) -> Patch<String> {
        match self.read(field, given, |text| optional_name(Some(text), max)) {
            Patch::Value(Some(text)) => Patch::Value(text),
            Patch::Value(None) | Patch::Null => Patch::Null,
            Patch::Absent => Patch::Absent,
        }
    }

    fn identifiers(&mut self, given: Vec<IdentifierInput>, policy: &Policy) -> Vec<Identifier> {
        if given.len() > MAX_IDENTIFIERS {
            let limit =
                Error::new(ErrorCode::IdentifierLimit).with("max", MAX_IDENTIFIERS).with("current", given.len());
            self.0.push(limit.at("identifiers"));
            return Vec::new();
        }
        let read = |(place, one): (usize, IdentifierInput)| {
            let read = Identifier::parse(one.kind, one.scope.as_deref(), &one.value, policy.region)
                .map_err(|error| error.at_least("value").at(format!("[{place}]")));
            self.keep("identifiers", read)
        };
        given.into_iter().enumerate().filter_map(read).collect()
    }

    fn custom_fields(
        &mut self,
        given: &BTreeMap<String, CustomFieldInput>,
        policy: &Policy,
        known: &CustomFields,
    ) -> Vec<CustomChange> {
        let rules = policy.custom_field_rules();
        let mut changes = Vec::new();
        let mut after = known.clone();
        for (key, input) in given {
            let change = if RESERVED_KEYS.contains(&key.as_str()) {
                Err(Error::new(ErrorCode::CustomFieldReserved).at(key.as_str()))
            } else if !input.is_clear() {
                after.change(key, input, &rules).map(|change| change.map(CustomChange::Set))
            } else if after.has(key) {
                after.removal(key, &rules).map(|key| Some(CustomChange::Clear(key)))
            } else {
                Ok(None)
            };
            let Some(Some(change)) = self.keep("custom_fields", change) else { continue };
            match &change {
                CustomChange::Set(field) => after.put(field.clone()),
                CustomChange::Clear(key) => {
                    after.take(key.as_str());
                }
            }
            changes.push(change);
        }
        let bytes = serde_json::to_vec(&after).map_or(usize::MAX, |json| json.len());
        if !changes.is_empty() && bytes > MAX_CUSTOM_BYTES {
            let limit = Error::new(ErrorCode::CustomFieldLimit).with("limit", "custom_field_bytes");
            self.0.push(limit.with("max", MAX_CUSTOM_BYTES).with("current", bytes).at("custom_fields"));
            return Vec::new();
        }
        changes
    }
}

fn tags(given: Vec<String>) -> Result<TagSet> {
    let mut tags = TagSet::new();
    for (place, tag) in given.iter().enumerate() {
        tags.insert(Tag::parse(tag).map_err(|error| error.at(format!("[{place}]")))?)?;
    }
    Ok(tags)
}

fn addresses(given: Vec<AddressInput>) -> Result<Vec<AddressInput>> {
    if given.len() > MAX_ADDRESSES {
        return Err(Error::new(ErrorCode::AddressLimit).with("max", MAX_ADDRESSES).with("current", given.len()));
    }
    if given.iter().filter(|one| one.address.is_primary).count() > 1 {
        return Err(Error::new(ErrorCode::AddressInvalid).with("reason", "two_primary_addresses"));
    }
    let check = |(place, one): (usize, AddressInput)| match one.address.checked() {
        Ok(address) => Ok(AddressInput { id: one.id, address }),
        Err(error) => Err(error.at(format!("[{place}]"))),
    };
    given.into_iter().enumerate().map(check).collect()
}

fn score(given: i64) -> Result<u8> {
    let score = u8::try_from(given).ok().filter(|score| *score <= 100);
    score.ok_or_else(|| Error::new(ErrorCode::ScoreOutOfRange).with("min", 0).with("max", 100))
}
