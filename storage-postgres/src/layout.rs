//! The table of one aggregate: its name, columns and the statements that never change. Everything in SQL text here is a declared
//! name; values are always bound. The sign `@` stands for the schema.

use ventros::kernel::{Error, Kind, Result};
use ventros::storage::{BUILT_IN, FieldKind, Table};

/// Tables that are not derived, whose names no aggregate can have.
pub(crate) const FIXED: &[&str] = &[
    "aggregate_tables",
    "attributes",
    "consumers",
    "copies",
    "dead_letters",
    "event_subjects",
    "events",
    "idempotency_keys",
    "jobs",
    "log_heads",
    "migrations",
    "search_words",
    "secrets",
    "unique_keys",
];

/// How the names of our constraints on references end.
pub(crate) const REFERS: &str = "_refers";

/// One declared field as SQL columns.
#[derive(Debug, Clone)]
pub(crate) struct ColumnSql {
    pub field: &'static str,
    pub kind: FieldKind,
    /// The quoted name.
    pub name: String,
    /// The quoted name of the folded companion, for text.
    pub key: Option<String>,
}

impl ColumnSql {
    fn of(field: &'static str, kind: FieldKind) -> Self {
        let plain = field.replace('.', "_");
        let key = (kind == FieldKind::Text).then(|| quoted(&format!("{plain}_key")));
        ColumnSql { field, kind, name: quoted(&plain), key }
    }

    /// The column that comparisons and orders use.
    pub(crate) fn compared(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.name)
    }

    /// The columns with their types, for creating them.
    pub(crate) fn definitions(&self) -> Vec<(&str, &'static str)> {
        let own = match self.kind {
            FieldKind::Text => "TEXT",
            FieldKind::Date | FieldKind::Enum | FieldKind::Set | FieldKind::Json => "TEXT COLLATE \"C\"",
            FieldKind::Number => "DOUBLE PRECISION",
            FieldKind::Instant => "TIMESTAMPTZ",
            FieldKind::Bool => "BOOLEAN",
            FieldKind::Id => "UUID",
        };
        let key = self.key.as_deref().map(|key| (key, "TEXT COLLATE \"C\""));
        std::iter::once((self.name.as_str(), own)).chain(key).collect()
    }
}

pub(crate) struct Layout {
    pub table: Table,
    /// The quoted name of the table, in its schema.
    pub name: String,
    /// Declared columns, without the ones that every table has.
    pub columns: Vec<ColumnSql>,
    pub get: String,
    pub get_anywhere: String,
    pub insert: String,
}

/// What is read of a snapshot, in the order of `snapshots::snapshot`.
pub(crate) const SNAPSHOT: &str = "t.project_id, t.id, t.revision, t.state::text, t.schema";

impl Layout {
    pub(crate) fn of(table: &Table) -> Result<Self> {
        if FIXED.contains(&table.kind.plural()) {
            return Err(Error::internal(format!("{} cannot have a table of its own", table.kind)));
        }
        let name = format!("@{}", quoted(table.kind.plural()));
        let stored = table.own_columns().filter(|column| !column.is_attribute());
        let columns: Vec<ColumnSql> = stored.map(|column| ColumnSql::of(column.field, column.kind)).collect();
        let names: Vec<&str> = columns.iter().flat_map(ColumnSql::definitions).map(|(name, _)| name).collect();
        let mut seen = std::collections::BTreeSet::new();
        if let Some(double) = names.iter().find(|name| !seen.insert(**name)) {
            return Err(Error::internal(format!("{} has two columns {double}", table.kind)));
        }
        let list: String = names.iter().map(|name| format!(", {name}")).collect();
        let marks: String = (0..names.len()).map(|place| format!(", ${}", place + 10)).collect();
        Ok(Layout {
            table: *table,
            get: format!("SELECT {SNAPSHOT} FROM {name} t WHERE t.project_id = $1 AND t.id = ANY($2)"),
            // Every project that has snapshots has a head, so that no index on the id alone is needed.
            get_anywhere: format!(
                "SELECT {SNAPSHOT} FROM {name} t WHERE t.project_id IN (SELECT h.project_id FROM @log_heads h) AND t.id = ANY($1)"
            ),
            insert: format!(
                "INSERT INTO {name} (project_id, id, revision, version, schema, created_at, updated_at, hidden, state{list}) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::json{marks}) \
                 ON CONFLICT (project_id, id) DO NOTHING RETURNING 1"
            ),
            name,
            columns,
        })
    }

    /// The column of a field, declared or built in.
    pub(crate) fn column(&self, field: &str) -> Result<ColumnSql> {
        let built_in = || BUILT_IN.iter().find(|column| column.field == field);
        let declared = self.columns.iter().find(|column| column.field == field).cloned();
        declared
            .or_else(|| built_in().map(|column| ColumnSql::of(column.field, column.kind)))
            .ok_or_else(|| Error::internal(format!("{} has no column {field}", self.table.kind)))
    }

    /// What the derived data depends on; stored beside it.
    pub(crate) fn shape(&self) -> String {
        let columns: Vec<String> =
            self.table.own_columns().map(|c| format!("{} {:?} {}", c.field, c.kind, c.many)).collect();
        columns.join(", ")
    }

    /// The indexes that the table should have: their names, which tell what they are on, and their columns.
    pub(crate) fn indexes(&self) -> Result<Vec<(String, String)>> {
        let table = self.table.kind.plural();
        let mut found = vec![(format!("{table}_by_created_at"), "project_id, created_at, id".to_owned())];
        for fields in self.table.indexes {
            let index = shortened(format!("{table}_by_{}", fields.join("_and_").replace('.', "_")));
            let columns = fields.iter().map(|field| self.column(field)).collect::<Result<Vec<_>>>()?;
            let list: String = columns.iter().map(|column| format!("{}, ", column.compared())).collect();
            if found.iter().all(|(other, _)| *other != index) {
                found.push((index, format!("project_id, hidden, {list}id")));
            }
        }
        Ok(found)
    }
}

impl Layout {
    /// The columns that refer to other aggregates: the name of the constraint, the column, and the kind.
    pub(crate) fn references(&self) -> Vec<(String, String, Kind)> {
        let table = self.table.kind.plural();
        let of = |column: &ColumnSql| {
            let declared = self.table.columns.iter().find(|declared| declared.field == column.field)?;
            let name = shortened(format!("{table}_{}{REFERS}", column.name.trim_matches('"')));
            Some((name, column.name.clone(), declared.references?))
        };
        self.columns.iter().filter_map(of).collect()
    }
}

/// PostgreSQL cuts names after 63 bytes, so that two long ones could become one: ours end with a sum of the whole instead.
fn shortened(name: String) -> String {
    const LONGEST: usize = 63;
    if name.len() <= LONGEST {
        return name;
    }
    let sum =
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{}_{sum:016x}", &name[..LONGEST - 17])
}

/// Declared names are plain words, but some of them are SQL's own.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
