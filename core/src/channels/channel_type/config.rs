//! Reads the configuration of a channel by the form of its kind: canonical keys and values, or every failure at once.

use super::{ChannelType, ConfigField, ConfigFieldType, ConnectionMode};
use crate::kernel::{Email, Error, ErrorCode, Errors, Phone, Result, Url};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const MAX_TEXT: usize = 2_048;
const MAX_ITEMS: usize = 100;

crate::text_enum! {
    /// How much of a configuration must be there.
    pub enum Stage {
        /// What is there must have the right shape.
        Create = "create",
        /// Everything required must be there, too.
        Activate = "activate",
    }
}

/// A configuration to read.
pub struct ConfigInput<'a> {
    pub mode: ConnectionMode,
    /// Plain and secret fields together, under any of their names.
    pub input: &'a Map<String, Value>,
    pub stage: Stage,
    /// Draws the secrets that nobody gave and that may be drawn; none = they stay absent.
    pub draw: Option<&'a dyn Fn() -> String>,
}

/// A configuration that fits its kind. Secrets are apart and are not printed.
#[derive(Clone, Default, PartialEq)]
pub struct ValidConfig {
    pub config: Map<String, Value>,
    pub secrets: BTreeMap<String, String>,
    /// The provider's id of the line, when the configuration tells it.
    pub external_id: Option<String>,
}

impl std::fmt::Debug for ValidConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ValidConfig { config, secrets, external_id } = self;
        let keys: Vec<&String> = secrets.keys().collect();
        f.debug_struct("ValidConfig")
            .field("config", config)
            .field("secrets", &keys)
            .field("external_id", external_id)
            .finish()
    }
}

/// Reads a configuration. Aliases become keys, texts are trimmed, empty texts are absent, defaults are filled in.
///
/// # Errors
/// All at once, each with its key: `config_field_unknown`, `config_field_invalid` (never with the value in its text)
/// and, at [`Stage::Activate`], `config_field_missing`.
pub fn validate_config(channel_type: &ChannelType, given: &ConfigInput<'_>) -> Result<ValidConfig> {
    let mut errors = Errors::new();
    let mut valid = ValidConfig::default();
    let mut invalid: Vec<&str> = Vec::new();
    for (key, value) in given.input {
        let Some(field) = channel_type.field(key).filter(|field| field.exists_in(given.mode)) else {
            errors.push(Error::new(ErrorCode::ConfigFieldUnknown).at(key.as_str()));
            continue;
        };
        match check_value(field, value) {
            Ok(None) => {}
            Ok(Some(Value::String(text))) if field.secret => {
                valid.secrets.insert(field.key.clone(), text);
            }
            Ok(Some(value)) => {
                valid.config.insert(field.key.clone(), value);
            }
            Err(error) => {
                invalid.push(&field.key);
                errors.push(error.at(field.key.as_str()));
            }
        }
    }
    for field in channel_type.config_schema.iter().filter(|field| field.exists_in(given.mode)) {
        fill_in(field, given, &mut valid);
    }
    if given.stage == Stage::Activate {
        let known =
            |key: &str| valid.config.contains_key(key) || valid.secrets.contains_key(key) || invalid.contains(&key);
        missing(channel_type, given.mode, known).for_each(|error| errors.push(error));
    }
    errors.check()?;
    let mut sources = channel_type.external_id_rule.from_config.iter();
    valid.external_id = sources.find_map(|key| valid.config.get(key)?.as_str().map(str::to_owned));
    Ok(valid)
}

/// One `config_field_missing` for each field that an activation needs and that `known` does not know.
pub(in crate::channels) fn missing<'a>(
    channel_type: &'a ChannelType,
    mode: ConnectionMode,
    known: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = Error> + 'a {
    channel_type.config_schema.iter().filter(move |field| field.exists_in(mode)).filter_map(move |field| {
        if known(&field.key) {
            return None;
        }
        let error = Error::new(ErrorCode::ConfigFieldMissing).at(field.key.as_str());
        match &field.required_unless {
            Some(other) if !known(other) => Some(error.with("any_of", vec![field.key.as_str(), other.as_str()])),
            None if field.required => Some(error),
            _ => None,
        }
    })
}

fn fill_in(field: &ConfigField, given: &ConfigInput<'_>, valid: &mut ValidConfig) {
    if valid.config.contains_key(&field.key) || valid.secrets.contains_key(&field.key) {
        return;
    }
    if let Some(source) = &field.prefix_of {
        let whole = valid.secrets.get(source).map(String::as_str).or_else(|| valid.config.get(source)?.as_str());
        if let Some((prefix, _)) = whole.and_then(|text| text.split_once(':')) {
            let prefix = prefix.to_owned();
            valid.config.insert(field.key.clone(), prefix.into());
        }
    } else if let Some(default) = &field.default {
        valid.config.insert(field.key.clone(), default.clone());
    } else if let (true, Some(draw)) = (field.generated, given.draw) {
        valid.secrets.insert(field.key.clone(), draw());
    }
}

/// The canonical form of a value; `None` when it is empty.
pub(super) fn check_value(field: &ConfigField, value: &Value) -> Result<Option<Value>> {
    let invalid = || Error::new(ErrorCode::ConfigFieldInvalid).with("type", field.field_type.as_str());
    if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Ok(None);
    }
    let text = || value.as_str().map(str::trim).ok_or_else(invalid);
    let canonical = match field.field_type {
        ConfigFieldType::String => Value::from(check_text(field, text()?).ok_or_else(invalid)?),
        ConfigFieldType::Integer => {
            let number = value.as_i64().ok_or_else(invalid)?;
            check_number(field, number as f64).ok_or_else(invalid)?;
            number.into()
        }
        ConfigFieldType::Number => check_number(field, value.as_f64().ok_or_else(invalid)?).ok_or_else(invalid)?.into(),
        ConfigFieldType::Boolean => value.as_bool().ok_or_else(invalid)?.into(),
        ConfigFieldType::Url => address(text()?, false).ok_or_else(invalid)?.into(),
        ConfigFieldType::HttpsUrl => address(text()?, true).ok_or_else(invalid)?.into(),
        ConfigFieldType::Email => Email::parse(text()?).map_err(|_| invalid())?.as_str().into(),
        ConfigFieldType::Phone => Phone::parse(text()?, None).map_err(|_| invalid())?.phone.as_str().into(),
        ConfigFieldType::Enum => {
            let word = text()?;
            if !field.words.iter().any(|allowed| allowed == word) {
                return Err(invalid().with("allowed", field.words.clone()));
            }
            word.into()
        }
        ConfigFieldType::StringList => {
            let items = value.as_array().filter(|items| items.len() <= MAX_ITEMS).ok_or_else(invalid)?;
            let items: Option<Vec<Value>> =
                items.iter().map(|item| check_text(field, item.as_str()?.trim()).map(Value::from)).collect();
            items.ok_or_else(invalid)?.into()
        }
        ConfigFieldType::Map => {
            let map = value.as_object().filter(|map| map.len() <= MAX_ITEMS).ok_or_else(invalid)?;
            let texts = map.values().all(|value| value.as_str().is_some_and(|text| check_text(field, text).is_some()));
            if texts { value.clone() } else { return Err(invalid()) }
        }
    };
    Ok(Some(canonical))
}

fn check_text(field: &ConfigField, text: &str) -> Option<String> {
    let length = text.chars().count();
    let max = field.max_length.map_or(MAX_TEXT, |max| max as usize);
    let fits = length <= max
        && field.min.is_none_or(|min| length as f64 >= min)
        && field.format.is_none_or(|format| format.fits(text))
        && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

fn check_number(field: &ConfigField, number: f64) -> Option<f64> {
    let fits = field.min.is_none_or(|min| number >= min) && field.max.is_none_or(|max| number <= max);
    fits.then_some(number)
}

/// An absolute address without user, fragment and trailing slashes.
pub(in crate::channels) fn address(text: &str, only_https: bool) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| url.is_https() || !only_https)?;
    let address = url.as_str().split('#').next()?;
    Some(address.trim_end_matches('/').to_owned())
}
