//! Derived rows beside an aggregate's own: attributes and search words.

use crate::errors::Carry;
use crate::layout::Layout;
use crate::values::sql_value;
use rusqlite::{Connection, params};
use ventros::kernel::{ProjectId, Result};
use ventros::storage::{Index, Value, index_words};

/// Values of different types never compare, so their rows say which type they are.
pub(crate) const fn type_code(value: &Value) -> i64 {
    match value {
        Value::Null => 0,
        Value::Text(_) | Value::Id(_) => 1,
        Value::Number(_) => 2,
        Value::Instant(_) => 3,
        Value::Bool(_) => 4,
    }
}

/// Writes the attributes of a row in place of those it has.
pub(crate) fn replace(
    connection: &Connection,
    layout: &Layout,
    project: ProjectId,
    row: i64,
    index: &Index,
) -> Result<()> {
    let kind = layout.table.kind.as_str();
    let sql = "DELETE FROM attributes WHERE kind = ?1 AND owner = ?2";
    connection.prepare_cached(sql).carry()?.execute(params![kind, row]).carry()?;
    add(connection, layout, project, row, index)
}

/// As [`replace`], for a row that has none yet.
pub(crate) fn add(connection: &Connection, layout: &Layout, project: ProjectId, row: i64, index: &Index) -> Result<()> {
    if index.attributes.is_empty() {
        return Ok(());
    }
    let sql = "INSERT OR IGNORE INTO attributes (kind, owner, field, type, value, project_id)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut statement = connection.prepare_cached(sql).carry()?;
    for (field, value) in &index.attributes {
        let value = value.comparable_attribute();
        if !value.is_null() {
            let kind = layout.table.kind.as_str();
            let project = project.uuid();
            let values = params![kind, row, field, type_code(&value), sql_value(&value), project.as_bytes()];
            statement.execute(values).carry()?;
        }
    }
    Ok(())
}

/// The search words of a row, in place of those it has.
pub(crate) struct SearchWords {
    row: i64,
    /// The row may have words already.
    replace: bool,
    words: Option<String>,
}

impl SearchWords {
    /// A hidden one has none.
    pub(crate) fn of(layout: &Layout, project: ProjectId, row: i64, index: &Index) -> Self {
        let words = (!index.search.is_empty() && !index.hidden).then(|| {
            let mut words = vec![table_word(layout), project_word(layout, project)];
            for text in &index.search {
                words.extend(index_words(&text.text));
            }
            words.sort();
            words.dedup();
            words.join(" ")
        });
        SearchWords { row: layout.search_row(row), replace: true, words }
    }

    /// No words, for a row that is removed.
    pub(crate) fn none(layout: &Layout, row: i64) -> Self {
        SearchWords { row: layout.search_row(row), replace: true, words: None }
    }

    /// For a row that has none yet.
    pub(crate) fn first(self) -> Self {
        SearchWords { replace: false, ..self }
    }

    pub(crate) fn write(self, connection: &Connection) -> Result<()> {
        if self.replace {
            connection.prepare_cached("DELETE FROM search WHERE rowid = ?1").carry()?.execute([self.row]).carry()?;
        }
        if let Some(words) = self.words {
            let sql = "INSERT INTO search (rowid, words) VALUES (?1, ?2)";
            connection.prepare_cached(sql).carry()?.execute(params![self.row, words]).carry()?;
        }
        Ok(())
    }
}

/// The word that all rows of a table have; no text has it, because words of texts have no `_`.
pub(crate) fn table_word(layout: &Layout) -> String {
    format!("_{}", layout.code)
}

/// The word that the rows of one project in one table have.
pub(crate) fn project_word(layout: &Layout, project: ProjectId) -> String {
    format!("_{}_{}", layout.code, project.uuid().simple())
}
