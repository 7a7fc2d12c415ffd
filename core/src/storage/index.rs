//! What a store derives from a snapshot: typed columns, unique keys, set-valued attributes and search text.
//!
//! The snapshot is the truth; everything here can be thrown away and filled again from it.

use super::Snapshot;
use crate::kernel::{Error, ErrorCode, Kind, ProjectId, Result, Timestamp};
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
    /// Any number of values, in attribute rows instead of a column of the table.
    pub many: bool,
    /// The kind of the aggregate, of the same project, whose id it holds.
    pub references: Option<Kind>,
}

impl Column {
    pub const fn new(field: &'static str, kind: FieldKind) -> Self {
        Column {
            field,
            kind,
            filterable: true,
            sortable: false,
            many: matches!(kind, FieldKind::Set),
            references: None,
        }
    }

    /// A field with any number of values, such as `address.city`: a comparison is true when one value satisfies it.
    /// A name that ends with `.*` stands for all fields of that prefix.
    #[must_use]
    pub const fn many(mut self) -> Self {
        self.many = true;
        self.sortable = false;
        self
    }

    #[must_use]
    pub const fn sortable(mut self) -> Self {
        self.sortable = true;
        self
    }

    /// It holds nothing or the id of an aggregate of this kind, of the same project. A store that can refuses anything else.
    #[must_use]
    pub const fn of(mut self, kind: Kind) -> Self {
        self.references = Some(kind);
        self
    }

    /// Kept for lookups and analysts, but no filter field.
    #[must_use]
    pub const fn unfiltered(mut self) -> Self {
        self.filterable = false;
        self
    }

    /// Its values are given by [`Index::attribute`].
    pub const fn is_attribute(&self) -> bool {
        self.many
    }

    /// True for its own name and, when it ends with `.*`, for names of its prefix.
    pub fn covers(&self, name: &str) -> bool {
        match self.field.strip_suffix('*') {
            Some(prefix) => name.len() > prefix.len() && name.starts_with(prefix),
            None => self.field == name,
        }
    }
}

/// What a store must know of one aggregate to prepare its table.
///
/// `version` grows whenever `index` changes meaning, so that the adapter fills everything derived again. Every table also
/// has the columns of [`BUILT_IN`](super::BUILT_IN), which come from the write itself; declaring them changes nothing.
#[derive(Clone, Copy)]
pub struct Table {
    pub kind: Kind,
    pub columns: &'static [Column],
    /// Set-valued fields beside the columns, such as `tags`: their elements are attributes of that name.
    pub sets: &'static [&'static str],
    /// The prefix of custom fields with its dot, such as `custom.`: their values are attributes.
    pub custom: Option<&'static str>,
    /// Field lists that documented queries need, beside (project, id): each becomes an index led by the project.
    pub indexes: &'static [&'static [&'static str]],
    /// Computes the index of a stored state, for back-filling.
    pub index: fn(state: &str) -> Result<Index>,
    pub version: u32,
}

impl Table {
    /// The declared fields without those that every table has anyway.
    pub fn own_columns(&self) -> impl Iterator<Item = &'static Column> + Clone + use<> {
        let built_in = |column: &&Column| super::BUILT_IN.iter().any(|other| other.field == column.field);
        self.columns.iter().filter(move |column| !built_in(column))
    }

    /// True when what is derived for `other` is also right for this declaration.
    pub fn same_shape(&self, other: &Table) -> bool {
        let columns = |table: &Table| -> Vec<_> { table.own_columns().map(|c| (c.field, c.kind, c.many)).collect() };
        self.version == other.version && columns(self) == columns(other)
    }
}

/// Refuses declarations that no adapter could serve: a defect of the aggregate.
pub fn check_tables(tables: &[Table]) -> Result<()> {
    for table in tables {
        let mut seen = ["row", "project_id", "revision", "hidden", "state"].map(str::to_owned).to_vec();
        for column in super::BUILT_IN.iter().chain(table.own_columns()) {
            let name = column.field.replace('.', "_");
            let plain =
                name.trim_end_matches('*').bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if seen.contains(&name) || !plain || name.is_empty() {
                return Err(Error::internal(format!("{} cannot have a column {}", table.kind, column.field)));
            }
            seen.push(name);
        }
        let declared = |field: &str| {
            super::BUILT_IN.iter().any(|column| column.field == field)
                || table.columns.iter().any(|column| column.field == field && !column.is_attribute())
        };
        if let Some(field) = table.indexes.iter().flat_map(|fields| fields.iter()).find(|field| !declared(field)) {
            return Err(Error::internal(format!("{} has an index on {field}, which is no column", table.kind)));
        }
    }
    Ok(())
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
    /// A note of no known type, compared as text whatever it is; lists and objects are not compared.
    pub fn of_note(note: &serde_json::Value) -> Value {
        match note {
            serde_json::Value::String(text) => Value::from(text.as_str()),
            serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Value::from(note.to_string()),
            serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => Value::Null,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// True when a column of this kind can hold it.
    pub const fn fits(&self, kind: FieldKind) -> bool {
        match self {
            Value::Null => true,
            Value::Text(_) => {
                matches!(kind, FieldKind::Text | FieldKind::Date | FieldKind::Enum | FieldKind::Set | FieldKind::Json)
            }
            Value::Number(_) => matches!(kind, FieldKind::Number),
            Value::Instant(_) => matches!(kind, FieldKind::Instant),
            Value::Bool(_) => matches!(kind, FieldKind::Bool | FieldKind::Json),
            Value::Id(_) => matches!(kind, FieldKind::Id | FieldKind::Set),
        }
    }

    /// The form in which a column of this kind compares: text is folded, and nothing is left of an empty one.
    #[must_use]
    pub fn comparable(&self, kind: FieldKind) -> Value {
        match self {
            Value::Text(text) if kind == FieldKind::Text => Value::from(super::fold(text)),
            Value::Text(text) => Value::from(text.as_str()),
            Value::Number(number) if number.is_nan() => Value::Null,
            other => other.clone(),
        }
    }

    /// The form in which an attribute compares: all text is folded, and an id is its text.
    #[must_use]
    pub fn comparable_attribute(&self) -> Value {
        match self {
            Value::Text(text) => Value::from(super::fold(text)),
            Value::Id(id) => Value::Text(id.to_string()),
            Value::Number(number) if number.is_nan() => Value::Null,
            other => other.clone(),
        }
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
    pub project_id: ProjectId,
    pub kind: Kind,
    pub id: Uuid,
}

/// A unique key with the aggregate that holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    pub scope: String,
    pub key: String,
    pub snapshot: Snapshot,
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

    /// The value of a declared column; null when the aggregate gave none.
    pub fn value(&self, field: &str) -> &Value {
        self.columns.iter().find(|(name, _)| *name == field).map_or(&Value::Null, |(_, value)| value)
    }

    /// As [`value`](Self::value), for many fields in the order of their declaration: each lookup starts where the last one ended.
    pub fn values<'i>(&'i self) -> impl FnMut(&str) -> &'i Value {
        let mut place = 0;
        move |field| match self.columns.get(place) {
            Some((name, value)) if *name == field => {
                place += 1;
                value
            }
            _ => match self.columns.iter().position(|(name, _)| *name == field) {
                Some(found) => {
                    place = found + 1;
                    &self.columns[found].1
                }
                None => &Value::Null,
            },
        }
    }

    /// Fails when a value was given for a column that is not declared, or of another kind: a defect of the aggregate.
    pub fn check(&self, table: &Table) -> Result<()> {
        let mut next = table.columns.iter().filter(|column| !column.is_attribute());
        for (field, value) in &self.columns {
            // They are given in the order of their declaration, mostly.
            let column = next.next().filter(|column| column.field == *field);
            let column = column.or_else(|| table.columns.iter().find(|c| c.field == *field && !c.is_attribute()));
            if !column.is_some_and(|column| value.fits(column.kind)) {
                return Err(Error::internal(format!("{} gives no such value to column {field}", table.kind)));
            }
        }
        for (field, _) in &self.attributes {
            let declared = table.sets.contains(&field.as_str())
                || table.custom.is_some_and(|prefix| field.starts_with(prefix))
                || table.columns.iter().any(|column| column.is_attribute() && column.covers(field));
            if !declared {
                return Err(Error::internal(format!("{} does not declare the attribute {field}", table.kind)));
            }
        }
        Ok(())
    }
}
