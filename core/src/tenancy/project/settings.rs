//! The small values of a project: its status, its slug, who sees sessions, how long data is kept.

use crate::kernel::{CustomFieldDefinition, CustomFieldKey, Error, ErrorCode, Errors, Result, fold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use uuid::Uuid;

/// What `session_timeout_minutes` may be, in projects, channels and pipelines alike.
pub const SESSION_TIMEOUT_MINUTES: RangeInclusive<u32> = 1..=1440;
/// The session timeout where nobody set one.
pub const DEFAULT_SESSION_TIMEOUT_MINUTES: u32 = 30;
/// The days that a retention rule may say.
pub const RETENTION_DAYS: RangeInclusive<u32> = 30..=3650;

crate::text_enum! {
    /// Whether a project works.
    pub enum ProjectStatus {
        /// Everything runs.
        Active = "active",
        /// Switched off by its administrators: it can be read, not written.
        Inactive = "inactive",
        /// Restricted by billing or by the platform.
        Suspended = "suspended",
    }
}

crate::text_enum! {
    /// Who suspended a project.
    pub enum SuspensionCause {
        /// The billing account is suspended or canceled.
        Billing = "billing",
        /// An operator of the platform.
        Platform = "platform",
    }
}

crate::text_enum! {
    /// Which sessions the member role `agent` sees.
    pub enum SessionVisibility {
        /// Every session.
        All = "all",
        /// One's own and those that nobody has.
        UnassignedAndOwn = "unassigned_and_own",
        /// One's own.
        Own = "own",
    }
}

crate::text_enum! {
    /// What has the custom fields of a definition.
    pub enum CustomFieldTarget {
        Contact = "contact",
        Session = "session",
        Chat = "chat",
        Pipeline = "pipeline",
    }
}

/// The custom fields of a project, by what has them; at most 200 each, keys unique in each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CustomFieldDefinitions {
    pub contact: Vec<CustomFieldDefinition>,
    pub session: Vec<CustomFieldDefinition>,
    pub chat: Vec<CustomFieldDefinition>,
    pub pipeline: Vec<CustomFieldDefinition>,
}

impl CustomFieldDefinitions {
    /// How many definitions a target has at most.
    pub const MAX: usize = 200;

    pub fn of(&self, target: CustomFieldTarget) -> &[CustomFieldDefinition] {
        match target {
            CustomFieldTarget::Contact => &self.contact,
            CustomFieldTarget::Session => &self.session,
            CustomFieldTarget::Chat => &self.chat,
            CustomFieldTarget::Pipeline => &self.pipeline,
        }
    }

    pub fn find(&self, target: CustomFieldTarget, key: &str) -> Option<&CustomFieldDefinition> {
        self.of(target).iter().find(|definition| definition.key.as_str() == key)
    }

    fn of_mut(&mut self, target: CustomFieldTarget) -> &mut Vec<CustomFieldDefinition> {
        match target {
            CustomFieldTarget::Contact => &mut self.contact,
            CustomFieldTarget::Session => &mut self.session,
            CustomFieldTarget::Chat => &mut self.chat,
            CustomFieldTarget::Pipeline => &mut self.pipeline,
        }
    }

    /// Adds a definition, or replaces the one of its key.
    pub(super) fn put(&mut self, target: CustomFieldTarget, definition: CustomFieldDefinition) {
        let definitions = self.of_mut(target);
        match definitions.iter_mut().find(|known| known.key == definition.key) {
            Some(known) => *known = definition,
            None => definitions.push(definition),
        }
    }

    pub(super) fn remove(&mut self, target: CustomFieldTarget, key: &CustomFieldKey) {
        self.of_mut(target).retain(|definition| definition.key != *key);
    }
}

/// Refuses a session timeout outside [`SESSION_TIMEOUT_MINUTES`]; it is never coerced.
pub fn check_session_timeout(minutes: u32) -> Result<u32> {
    if SESSION_TIMEOUT_MINUTES.contains(&minutes) {
        return Ok(minutes);
    }
    Err(Error::new(ErrorCode::SessionTimeoutOutOfRange)
        .with("min", *SESSION_TIMEOUT_MINUTES.start())
        .with("max", *SESSION_TIMEOUT_MINUTES.end()))
}

/// How long data is kept, in days of 30 to 3650; null keeps it for ever, `noise_days` for 90.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionPolicy {
    /// Contents of messages. For the host to go by: nothing is removed by it yet.
    pub messages_days: Option<u32>,
    /// Events of the log; those that somebody may have to account for are kept for 365 days at least.
    pub events_days: Option<u32>,
    /// Events that only say that something was touched.
    pub noise_days: Option<u32>,
    /// Stored media. For the host to go by: nothing is removed by it yet.
    pub media_days: Option<u32>,
}

impl RetentionPolicy {
    /// # Errors
    /// `retention_out_of_range` for every rule outside [`RETENTION_DAYS`].
    pub fn check(&self) -> Result<()> {
        let rules = [
            ("messages_days", self.messages_days),
            ("events_days", self.events_days),
            ("noise_days", self.noise_days),
            ("media_days", self.media_days),
        ];
        let mut errors = Errors::new();
        for (field, days) in rules {
            if days.is_some_and(|days| !RETENTION_DAYS.contains(&days)) {
                errors.push(
                    Error::new(ErrorCode::RetentionOutOfRange)
                        .at(field)
                        .with("min", *RETENTION_DAYS.start())
                        .with("max", *RETENTION_DAYS.end()),
                );
            }
        }
        errors.check()
    }
}

/// The readable name of a project in addresses: 3 to 50 of `[a-z0-9]`, single hyphens between them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(Box<str>);

impl Slug {
    pub const MIN: usize = 3;
    pub const MAX: usize = 50;

    /// Of a project of which nothing else is left.
    pub(super) fn purged() -> Self {
        Slug("purged".into())
    }

    /// # Errors
    /// `slug_invalid`. Nothing is repaired: what a caller gives is what addresses will show.
    pub fn parse(text: &str) -> Result<Self> {
        let words = text.split('-').all(|word| !word.is_empty() && word.bytes().all(is_slug_byte));
        if words && (Self::MIN..=Self::MAX).contains(&text.len()) {
            Ok(Slug(text.into()))
        } else {
            Err(Error::new(ErrorCode::SlugInvalid).with("min", Self::MIN).with("max", Self::MAX))
        }
    }

    /// The slug of a name: `Ação & Cia` gives `acao-cia`. A name that leaves fewer than three characters is completed by
    /// the last characters of the project's id.
    pub fn from_name(name: &str, id: Uuid) -> Self {
        let folded = fold(name);
        let mut slug = String::with_capacity(Self::MAX);
        for word in folded.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            let room = Self::MAX - slug.len();
            let needed = usize::from(!slug.is_empty()) + 1;
            if room < needed {
                break;
            }
            if !slug.is_empty() {
                slug.push('-');
            }
            slug.push_str(&word[..word.len().min(Self::MAX - slug.len())]);
        }
        if slug.len() < Self::MIN {
            let tail = &id.simple().to_string()[24..];
            slug = if slug.is_empty() { format!("project-{tail}") } else { format!("{slug}-{tail}") };
        }
        Slug(slug.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_slug_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

crate::kernel::text_value!(Slug, {
    "type": "string", "pattern": "^[a-z0-9](-?[a-z0-9])*$", "minLength": 3, "maxLength": 50,
    "description": "The readable name of a project in addresses."
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_taken_as_they_are_or_refused() {
        assert_eq!(Slug::parse("acme-sales-2").unwrap().as_str(), "acme-sales-2");
        for text in ["Acme_1", "ab", "a--b", "-abc", "abc-", "acmé", "", &"a".repeat(51)] {
            assert_eq!(Slug::parse(text).unwrap_err().code(), ErrorCode::SlugInvalid, "{text}");
        }
    }

    #[test]
    fn a_name_gives_a_slug() {
        let id = Uuid::from_u128(0xabcd_1234);
        for (name, slug) in [
            ("Acme Sales", "acme-sales"),
            ("Ação & Cia.", "acao-cia"),
            ("Jo", "jo-abcd1234"),
            ("東京", "project-abcd1234"),
        ] {
            assert_eq!(Slug::from_name(name, id).as_str(), slug);
        }
        let long = Slug::from_name(&"word ".repeat(20), id);
        assert_eq!(Slug::parse(long.as_str()).unwrap(), long);
    }

    #[test]
    fn retention_names_every_rule_at_fault() {
        let policy = RetentionPolicy { messages_days: Some(29), media_days: Some(3651), ..RetentionPolicy::default() };
        let error = policy.check().unwrap_err();
        assert_eq!((error.code(), error.field()), (ErrorCode::RetentionOutOfRange, Some("messages_days")));
        assert!(RetentionPolicy { noise_days: Some(90), ..RetentionPolicy::default() }.check().is_ok());
    }
}
