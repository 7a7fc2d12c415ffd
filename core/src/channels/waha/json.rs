//! A borrowed view of a webhook body that forgives: names match without case, wrong types read as absent.
//!
//! Engines of the gateway spell the same thing differently (`mentionedJID`, `mentionedJid`) and nothing but the
//! event's name is certain to be there, so typed structs would fail where a look-up simply finds nothing.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Repetitions and keys of encrypted copies: a third of a body, and never read.
const SKIPPED: &[&str] = &["RawMessage", "messageContextInfo", "mediaKey", "fileEncSHA256", "streamingSidecar"];

/// A JSON value that borrows its texts from the body.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

static ABSENT: Json<'static> = Json::Null;

/// Reads a body, or nothing when it is not JSON.
pub(super) fn parse(body: &[u8]) -> Option<Json<'_>> {
    serde_json::from_slice(body).ok()
}

/// Makes a body readable whose texts are not Unicode: JavaScript cuts texts in the middle of an emoji and then
/// writes half of it as an escape. Returns nothing when there was nothing to repair.
pub(super) fn repair(body: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(body);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match surrogate(rest) {
            Some(0xD800..=0xDBFF) if matches!(rest.get(6..).and_then(surrogate), Some(0xDC00..=0xDFFF)) => 12,
            Some(_) => {
                out.push('\u{FFFD}');
                rest = &rest[6..];
                continue;
            }
            // The escaped character may be a backslash itself and must not be looked at again.
            None => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out.push_str(rest);
    (out.as_bytes() != body).then(|| out.into_bytes())
}

/// The surrogate that `text` starts with, written as an escape.
fn surrogate(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    (0xD800..=0xDFFF).contains(&value).then_some(value)
}

impl<'a> Json<'a> {
    /// The member of that name, in any case; `Null` when absent or when this is no object.
    pub(super) fn get(&self, name: &str) -> &Json<'a> {
        match self {
            Json::Object(members) => {
                members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or(&ABSENT, |(_, value)| value)
            }
            _ => &ABSENT,
        }
    }

    /// The value at the end of a path such as `_data.Info.Chat`.
    pub(super) fn at(&self, path: &str) -> &Json<'a> {
        path.split('.').fold(self, |node, name| node.get(name))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Json::Object(_))
    }

    /// The text with something visible in it.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }

    /// As [`Self::text`], owned.
    pub(super) fn string(&self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// A text or a number, as text: ids come as either.
    pub(super) fn word(&self) -> Option<String> {
        match self {
            Json::Integer(number) => Some(number.to_string()),
            _ => self.text().map(|text| text.trim().to_owned()),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(self, Json::Bool(true))
    }

    /// A number, also when written as text or as the two halves of a long integer.
    pub(super) fn number(&self) -> Option<f64> {
        let number = match self {
            Json::Integer(number) => *number as f64,
            Json::Float(number) => *number,
            Json::Text(text) => text.trim().parse().ok()?,
            Json::Object(_) => {
                let low = self.get("low").integer_only()?;
                let high = self.get("high").integer_only()?;
                ((high << 32) | (low & 0xFFFF_FFFF)) as f64
            }
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    fn integer_only(&self) -> Option<i64> {
        match self {
            Json::Integer(number) => {
                i32::try_from(*number).ok().map(i64::from).or(u32::try_from(*number).ok().map(i64::from))
            }
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self) -> Option<u64> {
        self.number().filter(|number| (0.0..9e15).contains(number)).map(|number| number as u64)
    }

    /// As [`Self::count`], where more than 32 bits would be nonsense.
    pub(super) fn small(&self) -> Option<u32> {
        self.count().and_then(|number| u32::try_from(number).ok())
    }

    /// The members of a list; none when this is no list.
    pub(super) fn items(&self) -> &[Json<'a>] {
        match self {
            Json::List(items) => items,
            _ => &[],
        }
    }

    /// The members of an object; none when this is no object.
    pub(super) fn members(&self) -> &[(Cow<'a, str>, Json<'a>)] {
        match self {
            Json::Object(members) => members,
            _ => &[],
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(std::marker::PhantomData))
    }
}

struct Reader<'a>(std::marker::PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for Reader<'a> {
    type Value = Json<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'a>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'a>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'a>, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'a>, E> {
        Ok(i64::try_from(value).map_or(Json::Float(value as f64), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'a>, E> {
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'a>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'a>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json<'a>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'a>, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            if SKIPPED.contains(&name.as_ref()) {
                map.next_value::<IgnoredAny>()?;
            } else {
                members.push((name, map.next_value()?));
            }
        }
        Ok(Json::Object(members))
    }
}

/// A member's name; plain `Cow` would always copy.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Text(text) => Ok(Name(text)),
            _ => Err(serde::de::Error::custom("a member's name is a text")),
        }
    }
}
