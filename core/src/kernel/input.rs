//! From a caller's JSON to a typed value, or to a typed error that names the field.
//!
//! serde reports failures as text. A value type that fails inside serde hands its [`Error`] over as a marked text
//! ([`carry`]), and [`parse`] unpacks it and adds the path that serde was at.

use super::error::{Error, ErrorCode, Result};
use serde::de::DeserializeOwned;

const MARK: &str = "\u{1}ventros:";

/// Wraps a domain error so that it survives the way through serde.
pub fn carry<E: serde::de::Error>(error: Error) -> E {
    let field = error.field().unwrap_or_default();
    let details = serde_json::Value::Object(error.details().clone());
    E::custom(format!("{MARK}{}\u{1}{field}\u{1}{}\u{1}{details}", error.code().as_str(), error.text()))
}

/// Reads a text and hands it to `parse` where it lies, without a copy.
pub fn text<'de, D, T>(deserializer: D, parse: impl FnOnce(&str) -> Result<T>) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
{
    struct Text<F>(F);
    impl<T, F: FnOnce(&str) -> Result<T>> serde::de::Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            (self.0)(text).map_err(carry)
        }
    }
    deserializer.deserialize_str(Text(parse))
}

/// As [`carry`], for `#[serde(try_from)]`, which keeps the text of an error only.
#[derive(Debug)]
pub struct Carried(Error);

impl From<Error> for Carried {
    fn from(error: Error) -> Self {
        Carried(error)
    }
}

impl std::fmt::Display for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let carried: serde::de::value::Error = carry(self.0.clone());
        write!(f, "{carried}")
    }
}

/// Reads `json` as `T`. Unknown fields, wrong types and missing fields are validation errors with the path of the field.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, error.inner())
    })?;
    reader.end().map_err(|error| explain(".", &error))?;
    Ok(value)
}

/// As [`parse`], from a value that is already JSON.
pub fn parse_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, error.inner())
    })
}

fn explain(path: &str, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let path = path.trim_matches('.').trim_start_matches('?').trim_matches('.');
    let place = |found: Error| if path.is_empty() { found } else { found.at(path) };
    // Only at the start: what a caller wrote may be quoted further on.
    if let Some(carried) = text.strip_prefix(MARK) {
        let mut parts = carried.split('\u{1}');
        let code = parts.next().and_then(|code| ErrorCode::ALL.iter().find(|c| c.as_str() == code)).copied();
        let field = parts.next().unwrap_or_default();
        let message = parts.next().unwrap_or_default();
        let details = parts.next().unwrap_or_default();
        // serde appends " at line l column c" to the last part.
        let details = details.rfind('}').map(|end| &details[..=end]).unwrap_or("{}");
        let mut found = Error::new(code.unwrap_or(ErrorCode::InputInvalid)).message(message);
        if let Ok(serde_json::Value::Object(details)) = serde_json::from_str(details) {
            for (name, value) in details {
                found = found.with(&name, value);
            }
        }
        if !field.is_empty() {
            found = found.at(field);
        }
        return place(found);
    }
    if let Some(field) = quoted(&text, "missing field `") {
        return place(Error::new(ErrorCode::FieldRequired).at(field));
    }
    if let Some(field) = quoted(&text, "unknown field `") {
        // The path already ends with the unknown field where serde could tell.
        let last = path.rsplit(['.', ']']).next().unwrap_or_default();
        let found = Error::new(ErrorCode::UnknownField);
        let field: String = field.chars().filter(|c| !c.is_control()).take(64).collect();
        return if last == field { place(found) } else { place(found.at(field)) };
    }
    if text.starts_with("unknown variant `") {
        let allowed: Vec<&str> =
            text.split("expected").nth(1).map(|rest| rest.split('`').skip(1).step_by(2).collect()).unwrap_or_default();
        let found = Error::new(ErrorCode::EnumUnknown);
        return place(if allowed.is_empty() { found } else { found.with("allowed", allowed) });
    }
    let reason = text.split(" at line ").next().unwrap_or(&text);
    let found = Error::new(ErrorCode::InputInvalid).message(unquoted(reason));
    place(if error.is_data() { found } else { found.with("line", error.line()).with("column", error.column()) })
}

/// The reason without the text that the caller gave: it may be long, and it may be somebody's secret.
fn unquoted(reason: &str) -> String {
    match (reason.find('"'), reason.rfind(", expected ")) {
        (Some(start), Some(end)) if start < end => format!("{}{}", reason[..start].trim_end(), &reason[end..]),
        _ => reason.chars().take(200).collect(),
    }
}

fn quoted<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    text[start..].split('`').next()
}
