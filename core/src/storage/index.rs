//! What a store derives from a snapshot: typed columns, unique keys, set-valued attributes and search text.
//!
//! The snapshot is the truth; everything here can be thrown away and filled again from it.

use crate::kernel::{ErrorCode, Kind, Timestamp};
use uuid::Uuid;

/// How a field compares, in SQL and in memory alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Compared folded: without case, accents and repeated blanks.
    Text,
    Number,
    Instant,
    /// `YYYY-MM-DD` text.
    Date,
    Bool,
    /// A closed word, compared exactly.
    Enum,
    Id,
    /// Many words: tags, labels. Compared folded.
    Set,
    Json,
}

/// A declared column of an aggregate's table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The public field name, such as `name` or `last_message.at`; the SQL name has `_` for `.`.
    pub field: &'static str,
    pub kind: FieldKind,
    pub filterable: bool,
    pub sortable: bool,
}

impl Column {
    pub const fn new(field: &'static str, kind: FieldKind) -> Self {
        Column { field, kind, filterable: true, sortable: false }
    }

    #[must_use]
    pub const fn sortable(mut self) -> Self {
        self.sortable = true;
        self
    }

    /// Kept for lookups and analysts, but no filter field.
    #[must_use]
    pub const fn unfiltered(mut self) -> Self {
        self.filterable = false;
        self
    }
}

/// What a store must know of one aggregate to prepare its table.
///
/// `version` grows whenever `columns` change meaning, so that the adapter fills them again.
pub struct Table {
    pub kind: Kind,
    pub columns: &'static [Column],
    /// Field lists that documented queries need, beside (project, id): each becomes an index led by the project.
    pub indexes: &'static [&'static [&'static str]],
    /// Computes the index of a stored state, for back-filling.
    pub index: fn(state: &str) -> crate::kernel::Result<Index>,
    pub version: u32,
}

/// A typed value of a column or attribute.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub enum Value {
    Null,
    Text(String),
    Number(f64),
    Instant(Timestamp),
    Bool(bool),
    Id(Uuid),
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

macro_rules! value_from {
    ($($from:ty => |$v:ident| $to:expr;)*) => {$(
        impl From<$from> for Value { fn from($v: $from) -> Value { $to } }
        impl From<Option<$from>> for Value { fn from(v: Option<$from>) -> Value { v.map_or(Value::Null, Value::from) } }
    )*};
}

value_from! {
    String => |v| if v.is_empty() { Value::Null } else { Value::Text(v) };
    &str => |v| if v.is_empty() { Value::Null } else { Value::Text(v.to_owned()) };
    f64 => |v| Value::Number(v);
    u64 => |v| Value::Number(v as f64);
    u32 => |v| Value::Number(v as f64);
    u16 => |v| Value::Number(f64::from(v));
    u8 => |v| Value::Number(f64::from(v));
    Timestamp => |v| Value::Instant(v);
    bool => |v| Value::Bool(v);
    Uuid => |v| Value::Id(v);
}

/// Ids of aggregates go into columns as they are.
pub fn id_value(id: impl Into<Uuid>) -> Value {
    Value::Id(id.into())
}

/// A key that at most one aggregate of the project may hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UniqueKey {
    /// The family of the key, such as `contact.phone`.
    pub space: &'static str,
    /// Narrows the family: a channel id, an issuer; empty when there is none.
    pub scope: String,
    pub key: String,
    /// What a second holder is told.
    pub code: ErrorCode,
    /// Unique over all projects instead of in its own.
    pub global: bool,
}

/// A unique key to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRef<'a> {
    pub scope: &'a str,
    pub key: &'a str,
}

/// Who holds a unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwner {
    pub scope: String,
    pub key: String,
    pub kind: Kind,
    pub id: Uuid,
}

/// Text of one field for full-text search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchText {
    pub field: &'static str,
    pub weight: f64,
    pub text: String,
}

/// The derived data of one snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Index {
    /// Values of declared columns; a column that is absent is null.
    pub columns: Vec<(&'static str, Value)>,
    /// Values beside the columns: sets (`tags`), custom fields (`custom.plan`); several rows per field.
    pub attributes: Vec<(String, Value)>,
    pub keys: Vec<UniqueKey>,
    pub search: Vec<SearchText>,
    /// Deleted, merged and the like: found only when asked for.
    pub hidden: bool,
}

impl Index {
    pub fn column(&mut self, field: &'static str, value: impl Into<Value>) {
        self.columns.push((field, value.into()));
    }

    pub fn id(&mut self, field: &'static str, id: Option<impl Into<Uuid>>) {
        self.columns.push((field, id.map_or(Value::Null, id_value)));
    }

    /// One element of a set, or a custom field's value.
    pub fn attribute(&mut self, field: impl Into<String>, value: impl Into<Value>) {
        let value = value.into();
        if !value.is_null() {
            self.attributes.push((field.into(), value));
        }
    }

    /// A key unique in the project.
    pub fn unique(&mut self, space: &'static str, scope: impl Into<String>, key: impl Into<String>, code: ErrorCode) {
        self.keys.push(UniqueKey { space, scope: scope.into(), key: key.into(), code, global: false });
    }

    /// A key unique over all projects.
    pub fn unique_everywhere(&mut self, space: &'static str, key: impl Into<String>, code: ErrorCode) {
        self.keys.push(UniqueKey { space, scope: String::new(), key: key.into(), code, global: true });
    }

    pub fn search(&mut self, field: &'static str, weight: f64, text: impl Into<String>) {
        let text = text.into();
        if !text.trim().is_empty() {
            self.search.push(SearchText { field, weight, text });
        }
    }
}
