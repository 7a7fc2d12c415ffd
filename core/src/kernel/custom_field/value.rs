//! The values of custom fields: one variant per type, each checked and normalised when it is read.

use super::CustomFieldType;
use crate::kernel::text::{self, json_limits};
use crate::kernel::{CalendarDate, Email, Error, ErrorCode, ExternalId, Phone, Region, Result, Timestamp, Url, pii};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A checked value of a custom field. JSON: `{"type": "text", "value": "x"}`.
#[derive(Debug, Clone, PartialEq)]
pub enum CustomValue {
    Text(String),
    Number(Decimal),
    Boolean(bool),
    Date(DateValue),
    Select(String),
    MultiSelect(Vec<String>),
    Label(Vec<String>),
    Url(Url),
    Email(Email),
    Phone(Phone),
    Json(Value),
}

/// A day or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateValue {
    Day(CalendarDate),
    Instant(Timestamp),
}

impl DateValue {
    /// What it compares as: a day as its midnight in UTC.
    pub fn instant(self) -> Timestamp {
        match self {
            DateValue::Day(day) => day.midnight(),
            DateValue::Instant(instant) => instant,
        }
    }
}

/// How many characters a text has at most.
const MAX_TEXT: usize = 4096;
/// How many entries a list has at most.
const MAX_LIST: usize = 100;
/// How many characters an option has at most.
pub(super) const MAX_OPTION: usize = 100;
/// How many significant digits a number has at most.
const MAX_DIGITS: usize = 28;

/// Every refusal of a value has this code; its details say why.
fn refuse(kind: CustomFieldType, reason: &str) -> Error {
    Error::new(ErrorCode::CustomFieldValueInvalid).with("type", kind.as_str()).with("reason", reason)
}

impl CustomValue {
    /// Reads a JSON value as `kind`. `options` are the allowed words of `select` and `multi_select`, `None` allowing all.
    ///
    /// # Errors
    /// `custom_field_value_invalid` with the type and the reason.
    pub fn read(
        kind: CustomFieldType,
        value: &Value,
        options: Option<&[String]>,
        region: Option<Region>,
    ) -> Result<Self> {
        let string = || value.as_str().ok_or_else(|| refuse(kind, "not_a_string"));
        let because = |error: Error| {
            let refused = refuse(kind, error.code().as_str());
            error.details().iter().fold(refused, |refused, (name, detail)| refused.with(name, detail.clone()))
        };
        Ok(match kind {
            CustomFieldType::Text => CustomValue::Text(text::text(string()?, MAX_TEXT).map_err(because)?),
            CustomFieldType::Number => CustomValue::Number(number(value).ok_or_else(|| refuse(kind, "not_a_number"))?),
            CustomFieldType::Boolean => {
                CustomValue::Boolean(value.as_bool().ok_or_else(|| refuse(kind, "not_a_boolean"))?)
            }
            CustomFieldType::Date => CustomValue::Date(date(string()?).ok_or_else(|| refuse(kind, "not_a_date"))?),
            CustomFieldType::Select => CustomValue::Select(option(kind, string()?, options)?),
            CustomFieldType::MultiSelect => {
                CustomValue::MultiSelect(list(kind, value, |word| option(kind, word, options))?)
            }
            CustomFieldType::Label => CustomValue::Label(list(kind, value, |id| {
                ExternalId::parse(id).map(|id| id.to_string()).map_err(because)
            })?),
            CustomFieldType::Url => CustomValue::Url(Url::parse(string()?).map_err(because)?),
            CustomFieldType::Email => CustomValue::Email(Email::parse(string()?).map_err(because)?),
            CustomFieldType::Phone => CustomValue::Phone(Phone::parse(string()?, region).map_err(because)?.phone),
            CustomFieldType::Json => {
                if !(value.is_object() || value.is_array()) {
                    return Err(refuse(kind, "not_an_object_or_list"));
                }
                json_limits(value, text::JSON_MAX_BYTES, text::JSON_MAX_DEPTH).map_err(because)?;
                CustomValue::Json(value.clone())
            }
        })
    }

    /// Reads a value as it was stored: options and region no longer matter.
    fn restore(kind: CustomFieldType, value: &Value) -> Result<Self> {
        if pii::is_redacted(value) {
            return Ok(CustomValue::Text(pii::ERASED.to_owned()));
        }
        match (kind, value) {
            (CustomFieldType::Phone, Value::String(phone)) if phone.starts_with('+') => {
                Phone::from_e164(phone).map(CustomValue::Phone).map_err(|error| refuse(kind, error.code().as_str()))
            }
            _ => CustomValue::read(kind, value, None, None),
        }
    }

    pub fn kind(&self) -> CustomFieldType {
        match self {
            CustomValue::Text(_) => CustomFieldType::Text,
            CustomValue::Number(_) => CustomFieldType::Number,
            CustomValue::Boolean(_) => CustomFieldType::Boolean,
            CustomValue::Date(_) => CustomFieldType::Date,
            CustomValue::Select(_) => CustomFieldType::Select,
            CustomValue::MultiSelect(_) => CustomFieldType::MultiSelect,
            CustomValue::Label(_) => CustomFieldType::Label,
            CustomValue::Url(_) => CustomFieldType::Url,
            CustomValue::Email(_) => CustomFieldType::Email,
            CustomValue::Phone(_) => CustomFieldType::Phone,
            CustomValue::Json(_) => CustomFieldType::Json,
        }
    }

    /// The value alone, in the form of the wire.
    pub fn to_json(&self) -> Value {
        match self {
            CustomValue::Text(text) | CustomValue::Select(text) => text.as_str().into(),
            CustomValue::Number(number) => number_to_json(*number),
            CustomValue::Boolean(yes) => (*yes).into(),
            CustomValue::Date(DateValue::Day(day)) => day.to_string().into(),
            CustomValue::Date(DateValue::Instant(instant)) => instant.to_string().into(),
            CustomValue::MultiSelect(words) | CustomValue::Label(words) => words.clone().into(),
            CustomValue::Url(url) => url.as_str().into(),
            CustomValue::Email(email) => email.as_str().into(),
            CustomValue::Phone(phone) => phone.as_str().into(),
            CustomValue::Json(json) => json.clone(),
        }
    }
}

/// A finite decimal from a JSON number or a numeric text.
fn number(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.chars().filter(char::is_ascii_digit).collect::<String>();
    let is_plain = mantissa.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
    if !is_plain || digits.trim_start_matches('0').len() > MAX_DIGITS {
        return None;
    }
    let number = if text.contains(['e', 'E']) {
        Decimal::from_scientific(&text).ok()?
    } else {
        Decimal::from_str_exact(&text).ok()?
    };
    Some(number.normalize())
}

/// A JSON number where such a number holds it exactly, else its text.
fn number_to_json(number: Decimal) -> Value {
    let text = number.normalize().to_string();
    if let Ok(integer) = text.parse::<i64>() {
        return integer.into();
    }
    match text.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
        Some(float) if self::number(&Value::Number(float.clone())) == Some(number) => Value::Number(float),
        _ => text.into(),
    }
}

fn date(text: &str) -> Option<DateValue> {
    let text = text.trim();
    let day = || CalendarDate::parse(text).ok().map(DateValue::Day);
    day().or_else(|| Timestamp::parse(text).ok().map(DateValue::Instant))
}

fn option(kind: CustomFieldType, word: &str, options: Option<&[String]>) -> Result<String> {
    let word = text::name(word, 1, MAX_OPTION).map_err(|error| refuse(kind, error.code().as_str()))?;
    match options {
        Some(options) if !options.contains(&word) => Err(refuse(kind, "not_an_option").with("allowed", options)),
        _ => Ok(word),
    }
}

/// Texts without duplicates, in the order given.
fn list(kind: CustomFieldType, value: &Value, read: impl Fn(&str) -> Result<String>) -> Result<Vec<String>> {
    let items = value.as_array().ok_or_else(|| refuse(kind, "not_a_list"))?;
    let mut words = Vec::new();
    for item in items {
        let word = read(item.as_str().ok_or_else(|| refuse(kind, "not_a_string"))?)?;
        if !words.contains(&word) {
            words.push(word);
        }
        if words.len() > MAX_LIST {
            return Err(refuse(kind, "too_many").with("max", MAX_LIST));
        }
    }
    Ok(words)
}

/// A custom field's type and value.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CustomValue")]
struct Wire {
    r#type: CustomFieldType,
    /// Its form depends on the type: text, number, boolean, list of texts, object.
    value: Value,
}

impl Serialize for CustomValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire { r#type: self.kind(), value: self.to_json() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CustomValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        CustomValue::restore(wire.r#type, &wire.value).map_err(crate::kernel::input::carry)
    }
}

impl schemars::JsonSchema for CustomValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Wire::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Wire::json_schema(generator)
    }
}
