//! Pages: what a list query takes, how it becomes a [`Find`], and how what was found becomes cursors.

use super::{Fields, Filter, FilterExpression, Find, Found, FoundRow, Snapshot, Sort, Value};
use crate::kernel::{Error, ErrorCode, Result, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub const PAGE_LIMIT_DEFAULT: usize = 20;
pub const PAGE_LIMIT_MAX: usize = 100;
/// How many fields a page may be sorted by.
pub const SORT_MAX: usize = 3;
const CURSOR_VERSION: u8 = 1;

/// Which page of a collection to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PageRequest {
    /// Only what satisfies this condition.
    pub filter: Option<FilterExpression>,
    /// At most 3 sortable fields; `["-created_at"]` unless told. Missing values come last in both directions.
    #[serde(deserialize_with = "null_as_default")]
    pub sort: Vec<SortKey>,
    /// 1 to 100; 20 unless told.
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<i64>,
    /// `next_cursor` or `prev_cursor` of a page with the same filter and sort.
    pub cursor: Option<String>,
    /// Counts all that satisfies the filter; costs a count.
    #[serde(deserialize_with = "null_as_default")]
    pub with_total: bool,
    /// Shows deleted, merged and archived-away ones too.
    #[serde(deserialize_with = "null_as_default")]
    pub include_deleted: bool,
}

fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// One field to sort by: `"name"`, `"-created_at"`, or an object that says the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SortKey {
    /// The field, with `-` before it for descending.
    Text(String),
    Key {
        field: String,
        #[serde(default)]
        direction: Direction,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    #[default]
    Asc,
    Desc,
}

impl SortKey {
    pub(crate) fn parts(&self) -> (&str, bool) {
        match self {
            SortKey::Text(text) => match text.strip_prefix('-') {
                Some(field) => (field, true),
                None => (text.strip_prefix('+').unwrap_or(text), false),
            },
            SortKey::Key { field, direction } => (field, *direction == Direction::Desc),
        }
    }
}

/// One page of a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Reads on after the last item; null at the end.
    pub next_cursor: Option<String>,
    /// Reads back before the first item; null at the start.
    pub prev_cursor: Option<String>,
    /// More items follow the last one.
    pub has_more: bool,
    /// How many there are in all; only when asked for.
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// A page that is all there is.
    pub fn whole(items: Vec<T>) -> Self {
        Page { items, next_cursor: None, prev_cursor: None, has_more: false, total: None }
    }

    /// The same page of other items.
    pub fn try_map<U>(self, convert: impl FnMut(T) -> Result<U>) -> Result<Page<U>> {
        Ok(Page {
            items: self.items.into_iter().map(convert).collect::<Result<_>>()?,
            next_cursor: self.next_cursor,
            prev_cursor: self.prev_cursor,
            has_more: self.has_more,
            total: self.total,
        })
    }

    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            next_cursor: self.next_cursor,
            prev_cursor: self.prev_cursor,
            has_more: self.has_more,
            total: self.total,
        }
    }
}

impl PageRequest {
    /// The limit, or its default.
    pub fn limit(&self) -> Result<usize> {
        limit_within(self.limit, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX)
    }

    /// Checks the request against the fields of an aggregate. A caller may narrow the filter of what it gets.
    ///
    /// # Errors
    /// Those of [`FilterExpression::check`] at `filter`, `sort_field_unknown`, `limit_out_of_range`, `cursor_invalid`, `cursor_mismatch`.
    pub fn find(&self, fields: &Fields, now: Timestamp) -> Result<Find> {
        let filter = match &self.filter {
            Some(filter) => filter.check(fields, now).map_err(|error| error.at("filter"))?,
            None => Filter::everything(),
        };
        let limit = self.limit()?;
        let sort = self.sorting(fields)?;
        let read = |cursor| Cursor::read(cursor, &sort, self.fingerprint(&sort)).map_err(|error| error.at("cursor"));
        let (backward, after) = match self.cursor.as_deref().map(read).transpose()? {
            Some(cursor) => (cursor.backward, Some((cursor.keys, cursor.id))),
            None => (false, None),
        };
        let include_hidden = self.include_deleted;
        Ok(Find { filter, sort, after, backward, limit, include_hidden, with_total: self.with_total })
    }

    /// The page of what [`find`](Self::find) found, with its cursors.
    pub fn page<T>(&self, find: &Find, found: Found, read: impl Fn(&Snapshot) -> Result<T>) -> Result<Page<T>> {
        let resumed = find.after.is_some();
        let (before, behind) = match find.backward {
            true => (found.more, resumed),
            false => (resumed, found.more),
        };
        let fingerprint = self.fingerprint(&find.sort);
        let cursor = |row: Option<&FoundRow>, backward| {
            row.map(|row| Cursor::write(&row.keys, row.snapshot.id, backward, fingerprint))
        };
        let next_cursor = if behind { cursor(found.rows.last(), false) } else { None };
        let prev_cursor = if before { cursor(found.rows.first(), true) } else { None };
        Ok(Page {
            has_more: next_cursor.is_some(),
            next_cursor,
            prev_cursor,
            total: found.total,
            items: found.rows.iter().map(|row| read(&row.snapshot)).collect::<Result<_>>()?,
        })
    }

    fn sorting(&self, fields: &Fields) -> Result<Vec<Sort>> {
        if self.sort.is_empty() {
            return Ok(vec![Sort {
                field: "created_at".to_owned(),
                kind: super::FieldKind::Instant,
                descending: true,
            }]);
        }
        if self.sort.len() > SORT_MAX {
            return Err(Error::new(ErrorCode::LimitOutOfRange).at("sort").with("max", SORT_MAX));
        }
        let mut sort: Vec<Sort> = Vec::new();
        for (place, key) in self.sort.iter().enumerate() {
            let (field, descending) = key.parts();
            let column = fields.sortable(field).ok_or_else(|| {
                let error = Error::new(ErrorCode::SortFieldUnknown).with("allowed", fields.sortable_names());
                error.with("field", field).at(format!("[{place}]")).at("sort")
            })?;
            if sort.iter().all(|key| key.field != field) {
                sort.push(Sort { field: field.to_owned(), kind: column.kind, descending });
            }
        }
        Ok(sort)
    }

    /// Of the request as it was written: a relative moment moves between two pages, and must.
    fn fingerprint(&self, sort: &[Sort]) -> [u8; 8] {
        let sort: Vec<(&str, bool)> = sort.iter().map(|key| (key.field.as_str(), key.descending)).collect();
        let text = json!([self.filter, sort, self.include_deleted]).to_string();
        first_bytes(text.as_bytes())
    }
}

/// Checks a limit that a caller may give.
pub fn limit_within(limit: Option<i64>, default: usize, max: usize) -> Result<usize> {
    match limit {
        None => Ok(default),
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=max).contains(limit))
            .ok_or_else(|| Error::new(ErrorCode::LimitOutOfRange).at("limit").with("min", 1).with("max", max)),
    }
}

/// The row at the edge of a page. Its text is the JSON of version, direction, fingerprint, keys and id, after a checksum.
struct Cursor {
    keys: Vec<Value>,
    id: Uuid,
    backward: bool,
}

impl Cursor {
    fn write(keys: &[Value], id: Uuid, backward: bool, fingerprint: [u8; 8]) -> String {
        let keys: Vec<Json> = keys.iter().map(key_json).collect();
        let body = json!([CURSOR_VERSION, backward, fingerprint, keys, id]).to_string();
        let mut bytes = first_bytes(body.as_bytes()).to_vec();
        bytes.extend_from_slice(body.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(text: &str, sort: &[Sort], fingerprint: [u8; 8]) -> Result<Cursor> {
        let (backward, found, keys, id) = Self::decode(text).ok_or(ErrorCode::CursorInvalid)?;
        if found != fingerprint {
            return Err(ErrorCode::CursorMismatch.into());
        }
        let keys: Option<Vec<Value>> = keys.iter().map(key_value).collect();
        let keys = keys.ok_or(ErrorCode::CursorInvalid)?;
        let fits = keys.len() == sort.len() && keys.iter().zip(sort).all(|(value, key)| value.fits(key.kind));
        if fits { Ok(Cursor { keys, id, backward }) } else { Err(ErrorCode::CursorInvalid.into()) }
    }

    fn decode(text: &str) -> Option<(bool, [u8; 8], Vec<Json>, Uuid)> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).ok()?;
        let (checksum, body) = bytes.split_at_checked(8)?;
        if checksum != first_bytes(body) {
            return None;
        }
        let (version, backward, fingerprint, keys, id) =
            serde_json::from_slice::<(u8, bool, [u8; 8], Vec<Json>, Uuid)>(body).ok()?;
        (version == CURSOR_VERSION).then_some((backward, fingerprint, keys, id))
    }
}

fn key_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => json!(text),
        Value::Number(number) => json!(number),
        Value::Instant(at) => json!({"i": at.micros()}),
        Value::Bool(value) => json!(value),
        Value::Id(id) => json!({"u": id}),
    }
}

fn key_value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => Value::Number(number.as_f64()?),
        Json::Bool(value) => Value::Bool(*value),
        Json::Object(object) => match (object.get("i"), object.get("u")) {
            (Some(micros), None) => Value::Instant(Timestamp::from_micros(micros.as_i64()?)?),
            (None, Some(id)) => Value::Id(Uuid::try_parse(id.as_str()?).ok()?),
            _ => return None,
        },
        Json::Array(_) => return None,
    })
}

fn first_bytes(bytes: &[u8]) -> [u8; 8] {
    let hash = Sha256::digest(bytes);
    std::array::from_fn(|place| hash[place])
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
