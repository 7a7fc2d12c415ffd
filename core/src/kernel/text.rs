//! Rules for free text and for JSON objects of the host, and the folding that makes text comparable.

use super::error::{Error, ErrorCode, Result};
use icu_properties::{CodePointMapData, props::GeneralCategory};
use serde_json::{Map, Value};
use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Brings text to NFC and refuses control characters other than line feed and tab. `\r\n` counts as one line feed.
pub fn clean(text: &str) -> Result<Cow<'_, str>> {
    let text = if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) };
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(ErrorCode::TextControlChar.into());
    }
    Ok(if text.is_ascii() || is_nfc(&text) { text } else { Cow::Owned(text.nfc().collect()) })
}

/// A name: trimmed, runs of white space collapsed to one space, `min` to `max` characters.
///
/// # Errors
/// `name_required` when nothing is left, `name_too_short` with `min`, `name_too_long` with `max`, `text_control_char`.
pub fn name(text: &str, min: usize, max: usize) -> Result<String> {
    let text = clean(text)?;
    let mut name = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(word);
    }
    let length = name.chars().count();
    if length == 0 && min > 0 {
        Err(ErrorCode::NameRequired.into())
    } else if length < min {
        Err(Error::new(ErrorCode::NameTooShort).with("min", min))
    } else if length > max {
        Err(Error::new(ErrorCode::NameTooLong).with("max", max))
    } else {
        Ok(name)
    }
}

/// A text of at most `max` characters, trimmed at its end only; line breaks are kept. It may be empty.
///
/// # Errors
/// `text_too_long` with `max`, `text_control_char`.
pub fn text(text: &str, max: usize) -> Result<String> {
    let text = clean(text)?;
    let text = text.trim_end();
    if text.chars().count() > max {
        return Err(Error::new(ErrorCode::TextTooLong).with("max", max));
    }
    Ok(text.to_owned())
}

/// As [`text`], but something besides white space must be there: else `text_required`.
pub fn required_text(text: &str, max: usize) -> Result<String> {
    let text = self::text(text, max)?;
    if text.trim_start().is_empty() { Err(ErrorCode::TextRequired.into()) } else { Ok(text) }
}

/// The form in which text is compared and searched: compatibility-decomposed, without accents, without case, white space collapsed.
///
/// `"  JOÃO   da Silva "` gives `joao da silva`, `Straße` gives `strasse`. Case is removed by upper- and lower-casing every
/// character, which joins what the Unicode case folding joins, and the dotless ı with i, which a search wants. Folding twice changes nothing.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        let mut folded = String::with_capacity(text.len());
        push_words(&mut folded, text.split_ascii_whitespace().flat_map(|word| word.split('\u{b}')));
        folded.make_ascii_lowercase();
        return folded;
    }
    let caseless: String = strip_marks(text)
        // The capital ẞ has no other capital; its small letter has.
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    // Changing case can bring back composed characters and marks (ΐ has three-part capitals).
    let stripped: String = strip_marks(&caseless).collect();
    let mut folded = String::with_capacity(stripped.len());
    push_words(&mut folded, stripped.split_whitespace());
    folded
}

fn strip_marks(text: &str) -> impl Iterator<Item = char> {
    let category = CodePointMapData::<GeneralCategory>::new();
    text.nfkd().filter(move |c| category.get(*c) != GeneralCategory::NonspacingMark)
}

fn push_words<'a>(text: &mut String, words: impl Iterator<Item = &'a str>) {
    for word in words.filter(|word| !word.is_empty()) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
}

/// Limits of a JSON object that a host stores with an aggregate.
pub const JSON_MAX_BYTES: usize = 16 * 1024;
/// How deep objects and arrays may nest, the root counted.
pub const JSON_MAX_DEPTH: usize = 8;
/// How many keys the root may have.
pub const JSON_MAX_KEYS: usize = 200;

/// Checks `metadata`, `settings` and `configuration`: an object, ≤ 16 KiB, depth ≤ 8, ≤ 200 root keys, keys of 1–64 `[A-Za-z0-9_.-]`.
///
/// # Errors
/// `json_not_object`, `json_too_large` (bytes or root keys), `json_too_deep`, `json_key_invalid`, `text_control_char` for a NUL in a text.
pub fn json_object(value: &Value) -> Result<&Map<String, Value>> {
    let object = value.as_object().ok_or(ErrorCode::JsonNotObject)?;
    if object.len() > JSON_MAX_KEYS {
        return Err(Error::new(ErrorCode::JsonTooLarge).with("max_keys", JSON_MAX_KEYS));
    }
    json_limits(value, JSON_MAX_BYTES, JSON_MAX_DEPTH)?;
    check_keys(value)?;
    Ok(object)
}

/// Checks size and depth alone, for JSON whose keys are not ours to judge.
pub fn json_limits(value: &Value, max_bytes: usize, max_depth: usize) -> Result<()> {
    if !fits_depth(value, max_depth) {
        return Err(Error::new(ErrorCode::JsonTooDeep).with("max", max_depth));
    }
    if json_size(value) > max_bytes {
        return Err(Error::new(ErrorCode::JsonTooLarge).with("max", max_bytes));
    }
    refuse_nul(value)
}

/// Applies a patch of keys to set and keys to remove, and checks the outcome as [`json_object`] does.
pub fn json_patch(
    current: &Map<String, Value>,
    set: Map<String, Value>,
    unset: &[String],
) -> Result<Map<String, Value>> {
    let mut object = current.clone();
    for key in unset {
        object.remove(key);
    }
    object.extend(set);
    let value = Value::Object(object);
    json_object(&value)?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(ErrorCode::JsonNotObject.into()),
    }
}

fn fits_depth(value: &Value, left: usize) -> bool {
    match value {
        Value::Object(map) => left > 0 && map.values().all(|value| fits_depth(value, left - 1)),
        Value::Array(items) => left > 0 && items.iter().all(|value| fits_depth(value, left - 1)),
        _ => true,
    }
}

/// The serialized size in bytes, without building the text.
fn json_size(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

/// Checks the keys of all objects within: 1–64 `[A-Za-z0-9_.-]`.
pub(crate) fn check_keys(value: &Value) -> Result<()> {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            if is_key(key) {
                check_keys(value)
            } else {
                Err(Error::new(ErrorCode::JsonKeyInvalid).with("key", key.as_str()))
            }
        }),
        Value::Array(items) => items.iter().try_for_each(check_keys),
        _ => Ok(()),
    }
}

fn is_key(key: &str) -> bool {
    (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// PostgreSQL cannot store U+0000 in JSON, so no adapter accepts it.
fn refuse_nul(value: &Value) -> Result<()> {
    match value {
        Value::String(text) if text.contains('\0') => Err(ErrorCode::TextControlChar.into()),
        Value::Object(map) if map.keys().any(|key| key.contains('\0')) => Err(ErrorCode::TextControlChar.into()),
        Value::Object(map) => map.values().try_for_each(refuse_nul),
        Value::Array(items) => items.iter().try_for_each(refuse_nul),
        _ => Ok(()),
    }
}

/// An id that another system gave: opaque text of 1–255 characters, compared byte by byte.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExternalId(Box<str>);

impl ExternalId {
    pub const MAX: usize = 255;

    /// # Errors
    /// `field_required` when empty, `text_too_long`, `text_control_char`.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            Err(ErrorCode::FieldRequired.into())
        } else if text.chars().any(char::is_control) {
            Err(ErrorCode::TextControlChar.into())
        } else if text.chars().count() > Self::MAX {
            Err(Error::new(ErrorCode::TextTooLong).with("max", Self::MAX))
        } else {
            Ok(ExternalId(text.into()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

super::text_enum::text_value!(ExternalId, {
    "type": "string", "minLength": 1, "maxLength": 255, "description": "An id that another system gave, taken as it is."
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[track_caller]
    fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
        result.unwrap_err().code().as_str()
    }

    #[test]
    fn names_are_trimmed_and_collapsed() {
        assert_eq!(name("  Ana \t\n  Lima ", 1, 50).unwrap(), "Ana Lima");
        assert_eq!(name("Jose\u{301}", 1, 4).unwrap(), "José");
        assert_eq!(code(name("   ", 1, 50)), "name_required");
        assert_eq!(code(name("a\u{7}b", 1, 50)), "text_control_char");
        assert_eq!(code(name("a\u{85}b", 1, 50)), "text_control_char");
        assert_eq!(name("ab", 3, 50).unwrap_err().details()["min"], 3);
        assert_eq!(name("abc", 1, 2).unwrap_err().details()["max"], 2);
    }

    #[test]
    fn texts_keep_their_lines() {
        assert_eq!(text("  a\r\nb \n\n", 10).unwrap(), "  a\nb");
        assert_eq!(code(text("a\rb", 10)), "text_control_char");
        assert_eq!(code(text("abc", 2)), "text_too_long");
        assert_eq!(code(required_text(" \n ", 10)), "text_required");
    }

    #[test]
    fn folding_removes_accents_case_and_extra_space() {
        for (from, to) in [
            ("  JOÃO   da Silva ", "joao da silva"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
            ("σίσυφος", "σισυφοσ"),
            ("İstanbul", "istanbul"),
            ("ﬁn\u{a0}Ａ", "fin a"),
            ("Plain  ASCII\u{b}x", "plain ascii x"),
        ] {
            assert_eq!(fold(from), to, "{from}");
        }
    }

    #[test]
    fn folding_any_character_twice_changes_nothing() {
        for c in '\0'..=char::MAX {
            let once = fold(c.encode_utf8(&mut [0; 4]));
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn json_objects_have_limits() {
        assert_eq!(code(json_object(&json!([1]))), "json_not_object");
        assert_eq!(code(json_object(&json!({"a b": 1}))), "json_key_invalid");
        assert_eq!(code(json_object(&json!({"": 1}))), "json_key_invalid");
        assert_eq!(code(json_object(&json!({"a": "x".repeat(17 * 1024)}))), "json_too_large");
        assert_eq!(code(json_object(&json!({"a": "\0"}))), "text_control_char");
        let keys: Map<String, Value> = (0..201).map(|n| (format!("k{n}"), json!(1))).collect();
        assert_eq!(code(json_object(&Value::Object(keys))), "json_too_large");
        let nested = |depth| (1..depth).fold(json!({}), |inner, _| json!({"a": inner}));
        assert!(json_object(&nested(8)).is_ok());
        assert_eq!(code(json_object(&nested(9))), "json_too_deep");
    }

    #[test]
    fn a_patch_sets_and_unsets() {
        let current = json!({"theme": "light", "old": 1, "kept": true});
        let set = json!({"theme": "dark"}).as_object().cloned().unwrap();
        let patched = json_patch(current.as_object().unwrap(), set, &["old".into()]).unwrap();
        assert_eq!(Value::Object(patched), json!({"theme": "dark", "kept": true}));
    }

    #[test]
    fn external_ids_are_opaque() {
        assert_eq!(ExternalId::parse(" Ab ").unwrap().as_str(), " Ab ");
        assert_eq!(code(ExternalId::parse("")), "field_required");
        assert_eq!(code(ExternalId::parse("a\n")), "text_control_char");
        assert_eq!(code(ExternalId::parse(&"é".repeat(256))), "text_too_long");
        assert!(ExternalId::parse(&"é".repeat(255)).is_ok());
    }

    proptest! {
        #[test]
        fn fold_is_idempotent(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn fold_ignores_case(text in "\\PC{0,40}") {
            prop_assert_eq!(fold(&text), fold(&fold(&text.to_lowercase())));
        }

        #[test]
        fn name_is_idempotent(text in "\\PC{0,40}") {
            if let Ok(once) = name(&text, 1, 100) {
                prop_assert_eq!(name(&once, 1, 100).unwrap(), once);
            }
        }
    }
}
