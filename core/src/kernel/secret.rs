//! Secrets on their way: what must not be printed, and the reference that stands for a sealed value.

use super::error::{Error, ErrorCode};
use super::id::SecretId;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// What a secret is replaced with wherever it would be written.
const REDACTED: &str = "[redacted]";

/// Bytes that open something. Overwritten when dropped, compared in constant time, never printed, never serialised.
#[derive(Clone)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes the bytes over.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        SecretBytes(bytes.into())
    }

    /// The bytes themselves, for whoever uses them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        let differ = self.0.iter().zip(&other.0).fold(0, |differ, (a, b)| differ | (a ^ b));
        self.0.len() == other.0.len() && std::hint::black_box(differ) == 0
    }
}

impl Eq for SecretBytes {}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the overwriting from being optimised away.
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// A secret that a caller gives. It is read like a text and neither printed nor serialised: wherever a command is written
/// down, `[redacted]` stands in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(SecretBytes);

impl SecretText {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        SecretText(SecretBytes::new(text.into()))
    }

    /// The text itself, for whoever uses it.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(self.0.expose()).expect("it was made from a text")
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own complaint about another type would repeat the value.
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(SecretText::new(text)),
            _ => Err(super::input::carry(Error::new(ErrorCode::InputInvalid).message("a text is expected"))),
        }
    }
}

impl JsonSchema for SecretText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "writeOnly": true})
    }
}

/// A secret that is handed to a caller once. It is serialised, because that is its way out, and never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct RevealedText(String);

impl RevealedText {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        RevealedText(text.into())
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for RevealedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RevealedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Stands for a sealed value in events and states: the value itself is in the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    pub secret_id: SecretId,
    /// Grows with every new value.
    pub revision: u32,
}

/// The last 4 characters of a secret of at least 16: enough to tell two apart, too few to use.
pub fn secret_hint(text: &str) -> Option<String> {
    let count = text.chars().count();
    (count >= 16).then(|| text.chars().skip(count - 4).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::input;

    #[test]
    fn a_secret_is_read_and_never_written() {
        let secret: SecretText = input::parse(br#""my-secret-api-key-12345""#).unwrap();
        assert_eq!(secret.expose(), "my-secret-api-key-12345");
        assert_eq!(format!("{secret:?} {:?}", SecretBytes::new("x")), "[redacted] [redacted]");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""[redacted]""#);
        assert_eq!(secret_hint(secret.expose()).as_deref(), Some("2345"));
        assert_eq!(secret_hint("fifteen letters"), None);
    }

    #[test]
    fn a_wrong_type_is_refused_without_its_value() {
        let error = input::parse::<SecretText>(b"12345").unwrap_err();
        assert_eq!(error.code(), ErrorCode::InputInvalid);
        assert!(!error.to_string().contains("12345"), "{error}");
    }

    #[test]
    fn comparison_needs_equal_length() {
        assert_ne!(SecretBytes::new("ab"), SecretBytes::new("abc"));
        assert_eq!(SecretBytes::new("ab"), SecretBytes::new("ab"));
    }
}
