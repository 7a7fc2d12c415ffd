//! The fields of an aggregate that filters and sort orders may name.

use super::{Column, FieldKind, Table};
use chrono_tz::Tz;
use std::collections::BTreeMap;

/// Columns that every aggregate's table has; they need not be declared.
pub const BUILT_IN: &[Column] = &[
    Column::new("id", FieldKind::Id).sortable(),
    Column::new("created_at", FieldKind::Instant).sortable(),
    Column::new("updated_at", FieldKind::Instant).sortable(),
    Column::new("version", FieldKind::Number),
];

/// What a filter may name: the built-in columns, the declared ones, sets and custom fields.
#[derive(Debug, Clone)]
pub struct Fields {
    columns: &'static [Column],
    sets: &'static [&'static str],
    custom: Option<&'static str>,
    custom_kinds: BTreeMap<String, FieldKind>,
    zone: Tz,
}

/// A field that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// `None`: a custom field without a known definition; the value of the comparison tells.
    pub kind: Option<FieldKind>,
    /// Its values are attribute rows, not a column.
    pub is_attribute: bool,
    pub sortable: bool,
}

impl Fields {
    /// `custom` is the prefix of custom fields with its dot, such as `custom.`.
    pub const fn new(columns: &'static [Column], sets: &'static [&'static str], custom: Option<&'static str>) -> Self {
        Fields { columns, sets, custom, custom_kinds: BTreeMap::new(), zone: Tz::UTC }
    }

    pub fn of(table: &Table) -> Self {
        Fields::new(table.columns, table.sets, table.custom)
    }

    /// The zone in which plain dates and `snap` are read; UTC unless told.
    #[must_use]
    pub fn in_zone(mut self, zone: Tz) -> Self {
        self.zone = zone;
        self
    }

    /// Tells the kind of a custom field, from its definition; `key` is without the prefix.
    #[must_use]
    pub fn with_custom(mut self, key: &str, kind: FieldKind) -> Self {
        if let Some(prefix) = self.custom {
            self.custom_kinds.insert(format!("{prefix}{key}"), kind);
        }
        self
    }

    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Names of all declared filter fields, for error details and the catalogue. Custom fields appear as their prefix with `*`.
    pub fn names(&self) -> Vec<String> {
        let columns = BUILT_IN.iter().chain(self.columns).filter(|column| column.filterable).map(|column| column.field);
        let mut names: Vec<String> = columns.chain(self.sets.iter().copied()).map(str::to_owned).collect();
        names.extend(self.custom.map(|prefix| format!("{prefix}*")));
        names.sort();
        names.dedup();
        names
    }

    /// Names of all sortable fields.
    pub fn sortable_names(&self) -> Vec<&'static str> {
        BUILT_IN.iter().chain(self.columns).filter(|column| column.sortable).map(|column| column.field).collect()
    }

    /// The filter field of this name. `tag` is accepted for the set `tags`.
    pub fn filterable(&self, name: &str) -> Option<(String, Field)> {
        let name = if name == "tag" && self.sets.contains(&"tags") { "tags" } else { name };
        let found = |kind, is_attribute, sortable| Some((name.to_owned(), Field { kind, is_attribute, sortable }));
        if let Some(column) = BUILT_IN.iter().chain(self.columns).find(|column| column.covers(name)) {
            return if column.filterable {
                found(Some(column.kind), column.is_attribute(), column.sortable)
            } else {
                None
            };
        }
        if self.sets.contains(&name) {
            return found(Some(FieldKind::Set), true, false);
        }
        let key = name.strip_prefix(self.custom?)?;
        if is_custom_key(key) { found(self.custom_kinds.get(name).copied(), true, false) } else { None }
    }

    /// The sortable column of this name.
    pub fn sortable(&self, name: &str) -> Option<&'static Column> {
        BUILT_IN.iter().chain(self.columns).find(|column| column.field == name && column.sortable)
    }
}

fn is_custom_key(key: &str) -> bool {
    key.len() <= 63
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
