//! The table of one aggregate: its name, columns and the statements that never change. Everything in SQL text here is a declared
//! name; values are always bound.

use ventros::kernel::{Error, Result};
use ventros::storage::{BUILT_IN, FieldKind, Table};

/// Tables that are not derived, whose names no aggregate can have.
const FIXED: &[&str] = &[
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
    "search",
    "unique_keys",
];

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
            FieldKind::Text | FieldKind::Date | FieldKind::Enum | FieldKind::Set | FieldKind::Json => "TEXT",
            FieldKind::Number => "REAL",
            FieldKind::Instant | FieldKind::Bool => "INTEGER",
            FieldKind::Id => "BLOB",
        };
        let key = self.key.as_deref().map(|key| (key, "TEXT"));
        std::iter::once((self.name.as_str(), own)).chain(key).collect()
    }
}

pub(crate) struct Layout {
    pub table: Table,
    /// Stands for the table in the rowids of `search`.
    pub code: i64,
    /// The quoted name of the table.
    pub name: String,
    /// Declared columns, without the ones that every table has.
    pub columns: Vec<ColumnSql>,
    pub get: String,
    pub get_anywhere: String,
    pub find_holder: String,
    pub find_row: String,
    pub insert: String,
}

impl Layout {
    pub(crate) fn of(table: &Table, code: i64) -> Result<Self> {
        if FIXED.contains(&table.kind.plural()) {
            return Err(Error::internal(format!("{} cannot have a table of its own", table.kind)));
        }
        let name = quoted(table.kind.plural());
        let stored = table.own_columns().filter(|column| !column.is_attribute());
        let columns: Vec<ColumnSql> = stored.map(|column| ColumnSql::of(column.field, column.kind)).collect();
        let names: Vec<&str> = columns.iter().flat_map(ColumnSql::definitions).map(|(name, _)| name).collect();
        let mut seen = std::collections::BTreeSet::new();
        if let Some(double) = names.iter().find(|name| !seen.insert(**name)) {
            return Err(Error::internal(format!("{} has two columns {double}", table.kind)));
        }
        let list: String = names.iter().map(|name| format!(", {name}")).collect();
        let marks = ", ?".repeat(names.len());
        Ok(Layout {
            table: *table,
            code,
            get: format!(
                "SELECT project_id, id, revision, state, schema FROM {name} WHERE project_id = ?1 AND id = ?2"
            ),
            find_row: format!("SELECT row, revision FROM {name} WHERE project_id = ?1 AND id = ?2"),
            find_holder: format!(
                "SELECT t.project_id, t.id, t.revision, t.state, t.schema FROM unique_keys k CROSS JOIN {name} t \
                 ON t.project_id = k.project_id AND t.id = k.id \
                 WHERE k.space = ?1 AND k.scope = ?2 AND k.key = ?3 AND k.kind = ?4"
            ),
            // Every project that has snapshots has a head, so that no index on the id alone is needed.
            get_anywhere: format!(
                "SELECT project_id, id, revision, state, schema FROM {name} \
                 WHERE project_id IN (SELECT project_id FROM log_heads) AND id = ?1"
            ),
            insert: format!(
                "INSERT INTO {name} (project_id, id, revision, version, schema, created_at, updated_at, hidden, state{list}) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?{marks}) ON CONFLICT (project_id, id) DO NOTHING"
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

    /// The rowid in `search` of a row of this table.
    pub(crate) fn search_row(&self, row: i64) -> i64 {
        row << 8 | self.code
    }

    /// What the derived data depends on; stored beside it.
    pub(crate) fn shape(&self) -> String {
        let columns: Vec<String> =
            self.table.own_columns().map(|c| format!("{} {:?} {}", c.field, c.kind, c.many)).collect();
        columns.join(", ")
    }

    /// What the planner is told of each index, as rows per value of its leading columns. It is said once for a large table instead of
    /// being counted: plans are the same from the first row on, and on every machine.
    pub(crate) fn statistics(&self) -> Result<Vec<(String, String)>> {
        const ROWS: u64 = 1_000_000;
        const PER_PROJECT: u64 = 500_000;
        let table = self.table.kind.plural();
        let mut found = vec![
            (format!("sqlite_autoindex_{table}_1"), format!("{ROWS} {PER_PROJECT} 1")),
            (format!("{table}_by_created_at"), format!("{ROWS} {PER_PROJECT} 5 1")),
        ];
        for fields in self.table.indexes {
            let mut rows = PER_PROJECT;
            let mut text = format!("{ROWS} {rows} {rows}");
            for field in *fields {
                let values = match self.column(field)?.kind {
                    FieldKind::Enum | FieldKind::Bool | FieldKind::Set | FieldKind::Json => 4,
                    FieldKind::Number | FieldKind::Date => 100,
                    FieldKind::Id => 10_000,
                    FieldKind::Text | FieldKind::Instant => 50_000,
                };
                rows = (rows / values).max(2);
                text.push_str(&format!(" {rows}"));
            }
            found.push((self.index_name(fields), format!("{text} 1")));
        }
        Ok(found)
    }

    fn index_name(&self, fields: &[&str]) -> String {
        format!("{}_by_{}", self.table.kind.plural(), fields.join("_and_").replace('.', "_"))
    }

    /// The indexes that the table should have: their quoted names and what they are on.
    pub(crate) fn indexes(&self) -> Result<Vec<(String, String)>> {
        let table = self.table.kind.plural();
        let name = &self.name;
        let mut found = vec![(
            format!("{table}_by_created_at"),
            format!("CREATE INDEX \"{table}_by_created_at\" ON {name} (project_id, created_at, id)"),
        )];
        for fields in self.table.indexes {
            let index = self.index_name(fields);
            let columns = fields.iter().map(|field| self.column(field)).collect::<Result<Vec<_>>>()?;
            let list: String = columns.iter().map(|column| format!("{}, ", column.compared())).collect();
            if found.iter().all(|(other, _)| *other != index) {
                found.push((
                    index.clone(),
                    format!("CREATE INDEX \"{index}\" ON {name} (project_id, hidden, {list}id)"),
                ));
            }
        }
        Ok(found)
    }
}

/// Declared names are plain words, but some of them are SQL's own.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}
