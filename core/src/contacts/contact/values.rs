//! The words of a contact's profile: states, sources, names, addresses, consent.

use crate::kernel::{ChannelId, Error, ErrorCode, Region, Result, Timestamp, name};
use crate::{text_enum, typed_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

text_enum! {
    /// Where a contact is in its life.
    pub enum ContactStatus {
        Active = "active",
        /// Became part of another contact, to which it redirects.
        Merged = "merged",
        /// Taken away, can come back.
        Deleted = "deleted",
        /// Anonymised for good.
        Erased = "erased",
    }
}

text_enum! {
    /// Who gave the name; decides whether a channel may change it.
    pub enum NameSource {
        /// A person wrote it.
        Manual = "manual",
        Import = "import",
        /// A program wrote it.
        Api = "api",
        Enrichment = "enrichment",
        /// What the person calls themselves on a channel.
        Channel = "channel",
        /// A phone number or an id, until a name is known.
        Placeholder = "placeholder",
    }
}

text_enum! {
    /// What brought a contact into being.
    pub enum OriginKind {
        Manual = "manual",
        Channel = "channel",
        Import = "import",
        Api = "api",
        Form = "form",
        TrackingLink = "tracking_link",
    }
}

text_enum! {
    /// Channels that share the people they reach, and their consent.
    pub enum ChannelFamily {
        Whatsapp = "whatsapp",
        Messenger = "messenger",
        Instagram = "instagram",
        Telegram = "telegram",
        Wechat = "wechat",
        Sms = "sms",
        Email = "email",
        Voice = "voice",
    }
}

text_enum! {
    /// Whether somebody agreed to be written to.
    pub enum ConsentStatus {
        Unknown = "unknown",
        OptedIn = "opted_in",
        OptedOut = "opted_out",
    }
}

text_enum! {
    /// What kind of contact with us it was, when it was no message.
    pub enum InteractionType {
        Call = "call",
        EmailOpened = "email_opened",
        LinkClicked = "link_clicked",
        FormSubmitted = "form_submitted",
        PageVisited = "page_visited",
        FileDownloaded = "file_downloaded",
        Purchase = "purchase",
        Meeting = "meeting",
        Other = "other",
    }
}

text_enum! {
    /// What an address is for.
    pub enum AddressKind {
        Home = "home",
        Work = "work",
        Billing = "billing",
        Shipping = "shipping",
        Other = "other",
    }
}

text_enum! {
    /// Which of the two scores.
    pub enum ScoreKind {
        Engagement = "engagement",
        Lead = "lead",
    }
}

text_enum! {
    /// Why two contacts may be one person.
    pub enum DuplicateReason {
        /// A channel reported ids of both for one sender.
        SameSender = "same_sender",
    }
}

text_enum! {
    /// What a given value does to one that is there.
    pub enum WriteMode {
        /// Replaces it.
        Overwrite = "overwrite",
        /// Leaves it; only what is missing is filled in.
        FillBlanks = "fill_blanks",
    }
}

typed_id!(
    /// One address of a contact.
    AddressId,
);

/// What brought a contact into being; never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    pub kind: OriginKind,
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    #[serde(default)]
    pub import_id: Option<Uuid>,
    #[serde(default)]
    pub link_id: Option<Uuid>,
}

impl Origin {
    pub const fn of(kind: OriginKind) -> Self {
        Origin { kind, channel_id: None, import_id: None, link_id: None }
    }

    /// The source of a name that came with the contact.
    pub fn name_source(&self) -> NameSource {
        match self.kind {
            OriginKind::Import => NameSource::Import,
            OriginKind::Api => NameSource::Api,
            _ => NameSource::Manual,
        }
    }
}

/// A name in its parts; each of at most 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullName {
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub prefix: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub first: String,
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub middle: Option<String>,
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub last: Option<String>,
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub suffix: Option<String>,
}

impl FullName {
    /// Trims the parts; `name_required`, `name_too_long` or `text_control_char` at the part that fails.
    pub fn checked(self) -> Result<FullName> {
        let part = |field: &str, text| optional_name(text, 100).map_err(|e| e.at(field));
        Ok(FullName {
            prefix: part("prefix", self.prefix)?,
            first: name(&self.first, 1, 100).map_err(|e| e.at("first"))?,
            middle: part("middle", self.middle)?,
            last: part("last", self.last)?,
            suffix: part("suffix", self.suffix)?,
        })
    }
}

/// A postal address. Street, city and country are required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub label: AddressKind,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "address"))]
    pub street: String,
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "address"))]
    pub number: Option<String>,
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "address"))]
    pub complement: Option<String>,
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "address"))]
    pub district: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "address"))]
    pub city: String,
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "address"))]
    pub state: Option<String>,
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "address"))]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2, for example `BR`.
    pub country: String,
    /// At most one address of a contact is.
    #[serde(default)]
    pub is_primary: bool,
}

impl Address {
    /// The most characters of one part.
    pub const MAX_PART: usize = 255;

    /// Trims the parts; `address_invalid` at the part that fails.
    pub fn checked(self) -> Result<Address> {
        let invalid = |field: &'static str| {
            move |e: Error| Error::new(ErrorCode::AddressInvalid).with("reason", e.code().as_str()).at(field)
        };
        let required = |field: &'static str, text: &str| name(text, 1, Self::MAX_PART).map_err(invalid(field));
        let optional = |field: &'static str, text| optional_name(text, Self::MAX_PART).map_err(|e| invalid(field)(e));
        Ok(Address {
            label: self.label,
            street: required("street", &self.street)?,
            number: optional("number", self.number)?,
            complement: optional("complement", self.complement)?,
            district: optional("district", self.district)?,
            city: required("city", &self.city)?,
            state: optional("state", self.state)?,
            postal_code: optional("postal_code", self.postal_code)?,
            country: Region::parse(&self.country).map_err(invalid("country"))?.as_str().to_owned(),
            is_primary: self.is_primary,
        })
    }
}

/// An address with its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownAddress {
    pub id: AddressId,
    pub address: Address,
}

/// What somebody said about being written to on a family of channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consent {
    pub status: ConsentStatus,
    /// Where it was said: a form, a keyword, an agent.
    pub source: String,
    pub changed_at: Timestamp,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub evidence: Option<String>,
}

/// A contact that may be the same person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suspicion {
    /// 0 to 100; 100 is as good as certain.
    pub score: u8,
    pub reasons: Vec<DuplicateReason>,
}

/// A day of birth, with the year (`1990-05-17`) or without (`--05-17`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Birthday {
    year: Option<i32>,
    month: u32,
    day: u32,
}

impl Birthday {
    /// # Errors
    /// `birthday_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (year, rest) = match text.strip_prefix("--") {
            Some(rest) => (None, rest),
            None => {
                let (year, rest) = text.split_once('-').unwrap_or((text, ""));
                (Some(digits(year, 4)?), rest)
            }
        };
        let (month, day) = rest.split_once('-').ok_or_else(invalid_birthday)?;
        let (month, day) = (digits(month, 2)?.unsigned_abs(), digits(day, 2)?.unsigned_abs());
        // 29 February exists in some years.
        if chrono::NaiveDate::from_ymd_opt(year.unwrap_or(2000), month, day).is_none() || year == Some(0) {
            return Err(invalid_birthday());
        }
        Ok(Birthday { year, month, day })
    }

    /// The date, if the year is known.
    pub fn date(self) -> Option<chrono::NaiveDate> {
        chrono::NaiveDate::from_ymd_opt(self.year?, self.month, self.day)
    }

    /// As [`parse`](Self::parse), and not after the day of `now`: `birthday_invalid`.
    pub fn until(text: &str, now: Timestamp) -> Result<Self> {
        let birthday = Self::parse(text)?;
        match birthday.date() {
            Some(date) if date > now.datetime().date_naive() => Err(invalid_birthday().with("reason", "in_the_future")),
            _ => Ok(birthday),
        }
    }
}

fn digits(text: &str, count: usize) -> Result<i32> {
    let fits = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten().ok_or_else(invalid_birthday)
}

fn invalid_birthday() -> Error {
    Error::new(ErrorCode::BirthdayInvalid)
}

impl std::fmt::Display for Birthday {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.year {
            Some(year) => write!(f, "{year:04}-{:02}-{:02}", self.month, self.day),
            None => write!(f, "--{:02}-{:02}", self.month, self.day),
        }
    }
}

impl std::fmt::Debug for Birthday {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Birthday({self})")
    }
}

impl Serialize for Birthday {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Birthday {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::kernel::input::text(deserializer, Self::parse)
    }
}

impl JsonSchema for Birthday {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Birthday".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "A day of birth: 1990-05-17, or --05-17 without the year."})
    }
}

/// A name that may be missing; nothing but blanks is as good as missing.
pub(super) fn optional_name(text: Option<String>, max: usize) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    Ok(Some(name(&text, 0, max)?).filter(|text| !text.is_empty()))
}

/// Reads what erasure left of a list or a map, which is nothing, as an empty one.
pub(super) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn birthdays_may_lack_the_year() {
        for text in ["1990-05-17", "--02-29", "2024-02-29"] {
            assert_eq!(Birthday::parse(text).unwrap().to_string(), text);
        }
        for text in ["2023-02-29", "--13-01", "1990-5-17", "90-05-17", "", "0000-01-01", "1990-05"] {
            assert_eq!(Birthday::parse(text).unwrap_err().code(), ErrorCode::BirthdayInvalid, "{text}");
        }
        let now = Timestamp::parse("2025-01-06T09:00:00Z").unwrap();
        assert!(Birthday::until("2025-01-06", now).is_ok());
        assert_eq!(Birthday::until("2025-01-07", now).unwrap_err().code(), ErrorCode::BirthdayInvalid);
    }

    #[test]
    fn an_address_needs_street_city_and_country() {
        let address = |street: &str, country: &str| Address {
            label: AddressKind::Home,
            street: street.into(),
            number: Some(" 10 ".into()),
            complement: Some("  ".into()),
            district: None,
            city: "Recife".into(),
            state: None,
            postal_code: None,
            country: country.into(),
            is_primary: false,
        };
        let checked = address(" Rua  A ", "br").checked().unwrap();
        assert_eq!(
            (checked.street.as_str(), checked.number.as_deref(), checked.complement),
            ("Rua A", Some("10"), None)
        );
        assert_eq!(checked.country, "BR");
        let error = address(" ", "BR").checked().unwrap_err();
        assert_eq!((error.code(), error.field()), (ErrorCode::AddressInvalid, Some("street")));
        assert_eq!(address("Rua A", "XX").checked().unwrap_err().field(), Some("country"));
    }
}
