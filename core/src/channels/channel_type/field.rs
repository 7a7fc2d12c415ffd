//! One field of a channel's configuration: what it is called, what fits, and whether it is secret.

use super::ConnectionMode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

crate::text_enum! {
    /// What a value of a configuration field must be.
    pub enum ConfigFieldType {
        String = "string",
        Integer = "integer",
        Number = "number",
        Boolean = "boolean",
        /// An absolute `http` or `https` address, kept without a trailing `/`.
        Url = "url",
        HttpsUrl = "https_url",
        Email = "email",
        Phone = "phone",
        /// One of the words in `enum`.
        Enum = "enum",
        StringList = "string_list",
        /// Text by text.
        Map = "map",
    }
}

crate::text_enum! {
    /// A named shape of a text; named rather than written as a pattern, so that every language agrees on it.
    pub enum ConfigFormat {
        /// 1 to 54 letters, digits, `_` and `-`.
        SessionName = "session_name",
        /// `v17.0`.
        ApiVersion = "api_version",
        /// Digits, `:` and at least 30 letters, digits, `_` and `-`.
        BotToken = "bot_token",
        /// `AC` and 32 hexadecimal digits.
        AccountSid = "account_sid",
        /// Digits alone.
        Digits = "digits",
    }
}

impl ConfigFormat {
    /// Whether a text has this shape.
    pub fn fits(self, text: &str) -> bool {
        let word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match self {
            ConfigFormat::SessionName => (1..=54).contains(&text.len()) && word(text),
            ConfigFormat::ApiVersion => text
                .strip_prefix('v')
                .and_then(|version| version.split_once('.'))
                .is_some_and(|(major, minor)| digits(major) && digits(minor)),
            ConfigFormat::BotToken => {
                text.split_once(':').is_some_and(|(id, key)| digits(id) && key.len() >= 30 && word(key))
            }
            ConfigFormat::AccountSid => text.strip_prefix("AC").is_some_and(|sid| {
                sid.len() == 32 && sid.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            }),
            ConfigFormat::Digits => digits(text),
        }
    }
}

/// One field of the configuration of a kind of channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigField {
    /// `^[a-z][a-z0-9_]{0,49}$`, unique in its type.
    pub key: String,
    #[serde(rename = "type")]
    pub field_type: ConfigFieldType,
    /// Must be there before a channel can be activated.
    #[serde(default)]
    pub required: bool,
    /// Needed only when this other field is absent.
    #[serde(default)]
    pub required_unless: Option<String>,
    /// Sealed in a credential, never kept with the channel.
    #[serde(default)]
    pub secret: bool,
    /// A secret that is drawn at random when nobody gives one.
    #[serde(default)]
    pub generated: bool,
    #[serde(default)]
    pub default: Option<Value>,
    #[serde(default)]
    pub format: Option<ConfigFormat>,
    /// The words of an `enum` field.
    #[serde(default, rename = "enum")]
    pub words: Vec<String>,
    /// Smallest number, or fewest characters of a text.
    #[serde(default)]
    pub min: Option<f64>,
    /// Greatest number.
    #[serde(default)]
    pub max: Option<f64>,
    /// Most characters of a text; 2 048 unless told.
    #[serde(default)]
    pub max_length: Option<u32>,
    /// The modes in which the field exists; absent = all.
    #[serde(default)]
    pub modes: Option<BTreeSet<ConnectionMode>>,
    /// Other keys accepted on input.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// When absent, taken from the part before the first `:` of this other field.
    #[serde(default)]
    pub prefix_of: Option<String>,
    /// For people.
    #[serde(default)]
    pub label: String,
    /// For people.
    #[serde(default)]
    pub help: String,
}

impl ConfigField {
    pub fn new(key: &str, field_type: ConfigFieldType, label: &str) -> Self {
        ConfigField {
            key: key.to_owned(),
            field_type,
            required: false,
            required_unless: None,
            secret: false,
            generated: false,
            default: None,
            format: None,
            words: Vec::new(),
            min: None,
            max: None,
            max_length: None,
            modes: None,
            aliases: Vec::new(),
            prefix_of: None,
            label: label.to_owned(),
            help: String::new(),
        }
    }

    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    #[must_use]
    pub fn alias(mut self, key: &str) -> Self {
        self.aliases.push(key.to_owned());
        self
    }

    #[must_use]
    pub fn format(mut self, format: ConfigFormat) -> Self {
        self.format = Some(format);
        self
    }

    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// From `min` to `max` characters.
    #[must_use]
    pub fn length(mut self, min: u32, max: u32) -> Self {
        self.min = Some(f64::from(min));
        self.max_length = Some(max);
        self
    }

    #[must_use]
    pub fn help(mut self, text: &str) -> Self {
        self.help = text.to_owned();
        self
    }

    /// Answers to `key`, by its name or an alias.
    pub fn is_called(&self, key: &str) -> bool {
        self.key == key || self.aliases.iter().any(|alias| alias == key)
    }

    pub fn exists_in(&self, mode: ConnectionMode) -> bool {
        self.modes.as_ref().is_none_or(|modes| modes.contains(&mode))
    }
}

crate::text_enum! {
    /// When something must be known.
    pub enum RequiredOn {
        Create = "create",
        Activate = "activate",
        Never = "never",
    }
}

/// How a channel of a kind gets the id that its provider knows it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalIdRule {
    pub required_on: RequiredOn,
    /// Made from the id of the channel when nobody gives one.
    #[serde(default)]
    pub generated: bool,
    #[serde(default)]
    pub format: Option<ConfigFormat>,
    /// Configuration fields that give it, the first that is present, when nobody gives one.
    #[serde(default)]
    pub from_config: Vec<String>,
}

impl Default for ExternalIdRule {
    fn default() -> Self {
        ExternalIdRule { required_on: RequiredOn::Never, generated: false, format: None, from_config: Vec::new() }
    }
}
