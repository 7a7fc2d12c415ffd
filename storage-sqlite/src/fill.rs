//! Tables of aggregates: created from their declaration, changed when it changes, and filled again from the snapshots, which are
//! the truth. Every step can be interrupted and repeated, by this process or another one.

use crate::attributes::{self, SearchWords};
use crate::commit::{claim_key, row_values};
use crate::errors::Carry;
use crate::layout::{Layout, quoted};
use crate::values::{Read, integer};
use crate::writer::Writer;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, ProjectId, Result, Subject};
use ventros::storage::{Index, Table};

/// How many rows are filled in one transaction: others write in between.
const CHUNK: usize = 500;

/// Makes the tables ready and tells their layouts. What is new is created in one transaction.
pub(crate) fn prepare(writer: &Arc<Writer>, tables: &[Table]) -> Result<Vec<Layout>> {
    let known = |connection: &Connection| -> Result<Option<Vec<i64>>> {
        tables.iter().map(|table| known_code(connection, table)).collect()
    };
    let define_all = |connection: &Connection| tables.iter().map(|table| define(connection, table)).collect();
    let codes = match writer.read(known)? {
        Some(codes) => codes,
        None => writer.write_blocking(|transaction| define_all(transaction))?,
    };
    let mut layouts = Vec::with_capacity(tables.len());
    for (table, code) in tables.iter().zip(codes) {
        let layout = Layout::of(table, code)?;
        let is_filled = |connection: &Connection| pending(connection, table).map(|row| row.is_none());
        while !writer.read(is_filled)? && !writer.write_blocking(|transaction| fill_chunk(transaction, &layout))? {}
        layouts.push(layout);
    }
    Ok(layouts)
}

/// The code of the table when it is as declared.
fn known_code(connection: &Connection, table: &Table) -> Result<Option<i64>> {
    let sql = "SELECT code, version, shape FROM aggregate_tables WHERE kind = ?1";
    let known: Option<(i64, i64, String)> = connection
        .query_row(sql, [table.kind.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()
        .carry()?;
    let Some((code, version, shape)) = known else { return Ok(None) };
    if version > i64::from(table.version) {
        // A newer program has filled it; filling it the old way would go on for ever.
        let error = Error::new(ErrorCode::SchemaTooNew).with("table", table.kind.plural());
        return Err(error.with("found", version).with("known", table.version));
    }
    let layout = Layout::of(table, code)?;
    let is_same = version == i64::from(table.version) && shape == layout.shape();
    Ok((is_same && existing_indexes(connection, table)? == wanted_indexes(&layout)?).then_some(code))
}

/// Creates or changes the table, and notes that it must be filled.
fn define(connection: &Connection, table: &Table) -> Result<i64> {
    let kind = table.kind.as_str();
    let sql = "SELECT code, version, shape FROM aggregate_tables WHERE kind = ?1";
    let known: Option<(i64, i64, String)> =
        connection.query_row(sql, [kind], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional().carry()?;
    let next = "SELECT COALESCE(MAX(code), 0) + 1 FROM aggregate_tables";
    let code = match &known {
        Some((code, ..)) => *code,
        None => connection.query_row(next, [], |row| row.get(0)).carry()?,
    };
    if code > 255 {
        return Err(Error::internal("there are more than 255 tables of aggregates"));
    }
    let layout = Layout::of(table, code)?;
    let run = |sql: &str| connection.execute_batch(sql).carry();
    run(&format!(
        "CREATE TABLE IF NOT EXISTS {} (
            row INTEGER PRIMARY KEY,
            project_id BLOB NOT NULL,
            id BLOB NOT NULL,
            revision INTEGER NOT NULL,
            version INTEGER NOT NULL,
            schema INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            hidden INTEGER NOT NULL,
            state TEXT NOT NULL,
            UNIQUE (project_id, id)
        )",
        layout.name
    ))?;

    let wanted = wanted_indexes(&layout)?;
    let existing = existing_indexes(connection, table)?;
    for index in existing.keys().filter(|index| existing.get(*index) != wanted.get(*index)) {
        run(&format!("DROP INDEX {}", quoted(index)))?;
    }
    let stored = existing_columns(connection, table)?;
    for (name, sql_type) in layout.columns.iter().flat_map(|column| column.definitions()) {
        match stored.get(name.trim_matches('"')).map(String::as_str) {
            Some(known) if known == sql_type => continue,
            Some(_) => run(&format!("ALTER TABLE {} DROP COLUMN {name}", layout.name))?,
            None => {}
        }
        run(&format!("ALTER TABLE {} ADD COLUMN {name} {sql_type}", layout.name))?;
    }
    for (index, sql) in &wanted {
        if existing.get(index) != Some(sql) {
            run(sql)?;
        }
    }

    run(&format!("DELETE FROM sqlite_stat1 WHERE tbl = '{}'", table.kind.plural()))?;
    for (index, statistics) in layout.statistics()? {
        let sql = "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?1, ?2, ?3)";
        connection.execute(sql, params![table.kind.plural(), index, statistics]).carry()?;
    }
    run("ANALYZE sqlite_schema")?;

    let is_filled =
        known.is_some_and(|(_, version, shape)| version == i64::from(table.version) && shape == layout.shape());
    let sql = format!("SELECT NOT EXISTS (SELECT 1 FROM {})", layout.name);
    let is_empty: bool = connection.query_row(&sql, [], |row| row.get(0)).carry()?;
    let from = if is_empty { None } else { Some(0) };
    let sql = "INSERT INTO aggregate_tables (kind, code, version, shape, filled_row) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (kind) DO UPDATE SET version = ?3, shape = ?4, filled_row = CASE WHEN ?6 THEN filled_row ELSE ?5 END";
    connection.execute(sql, params![kind, code, table.version, layout.shape(), from, is_filled]).carry()?;
    Ok(code)
}

/// The row up to which the table is filled, while it is being filled.
fn pending(connection: &Connection, table: &Table) -> Result<Option<i64>> {
    let sql = "SELECT filled_row FROM aggregate_tables WHERE kind = ?1";
    connection.query_row(sql, [table.kind.as_str()], |row| row.get(0)).carry()
}

/// Fills the next rows; true when there are none left.
fn fill_chunk(connection: &Connection, layout: &Layout) -> Result<bool> {
    let kind = layout.table.kind;
    let Some(from) = pending(connection, &layout.table)? else { return Ok(true) };
    let sql = format!("SELECT row, project_id, id, state FROM {} WHERE row > ?1 ORDER BY row LIMIT ?2", layout.name);
    let mut statement = connection.prepare_cached(&sql).carry()?;
    let rows = statement
        .query_map(params![from, integer(CHUNK)], |row| {
            Ok((row.get::<_, i64>(0)?, row.project(1)?, row.id(2)?, row.get::<_, String>(3)?))
        })
        .carry()?;
    let rows: Vec<(i64, ProjectId, Uuid, String)> = rows.collect::<rusqlite::Result<_>>().carry()?;
    for (row, project, id, state) in &rows {
        let index = (layout.table.index)(state)?;
        index.check(&layout.table)?;
        fill_row(connection, layout, *row, *project, *id, &index)?;
    }
    let filled = rows.last().filter(|_| rows.len() == CHUNK).map(|(row, ..)| *row);
    let sql = "UPDATE aggregate_tables SET filled_row = ?2 WHERE kind = ?1";
    connection.execute(sql, params![kind.as_str(), filled]).carry()?;
    Ok(filled.is_none())
}

fn fill_row(
    connection: &Connection,
    layout: &Layout,
    row: i64,
    project: ProjectId,
    id: Uuid,
    index: &Index,
) -> Result<()> {
    let columns: Vec<_> = layout.columns.iter().collect();
    let sets: String = columns.iter().flat_map(|c| c.definitions()).map(|(name, _)| format!(", {name} = ?")).collect();
    let sql = format!("UPDATE {} SET hidden = ?{sets} WHERE row = ?", layout.name);
    let mut values = vec![rusqlite::types::Value::Integer(i64::from(index.hidden))];
    values.extend(row_values(&columns, index));
    values.push(rusqlite::types::Value::Integer(row));
    connection.prepare_cached(&sql).carry()?.execute(params_from_iter(values)).carry()?;

    attributes::replace(connection, layout, project, row, index)?;
    SearchWords::of(layout, project, row, index).write(connection)?;
    let owner = Subject::new(layout.table.kind, id);
    for key in &index.keys {
        // Of two that want a key which is new to both, the older one has it.
        claim_key(connection, project, owner, key)?;
    }
    Ok(())
}

fn wanted_indexes(layout: &Layout) -> Result<BTreeMap<String, String>> {
    layout.indexes().map(|indexes| indexes.into_iter().collect())
}

/// Our indexes on the table, with the text that made them.
fn existing_indexes(connection: &Connection, table: &Table) -> Result<BTreeMap<String, String>> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL";
    let mut statement = connection.prepare_cached(sql).carry()?;
    let rows = statement.query_map([table.kind.plural()], |row| Ok((row.get(0)?, row.get(1)?))).carry()?;
    let all: BTreeMap<String, String> = rows.collect::<rusqlite::Result<_>>().carry()?;
    // An index that the host made for itself is not ours to drop.
    let ours = format!("{}_by_", table.kind.plural());
    Ok(all.into_iter().filter(|(name, _)| name.starts_with(&ours)).collect())
}

fn existing_columns(connection: &Connection, table: &Table) -> Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare_cached("SELECT name, type FROM pragma_table_info(?1)").carry()?;
    let rows = statement.query_map([table.kind.plural()], |row| Ok((row.get(0)?, row.get(1)?))).carry()?;
    rows.collect::<rusqlite::Result<_>>().carry()
}
