//! The one write. What can go wrong is looked for before anything is written, so that a refused batch leaves the transaction it
//! shares with others as it was.

use crate::attributes::SearchWords;
use crate::consumers;
use crate::erasing;
use crate::errors::Carry;
use crate::events;
use crate::jobs;
use crate::layout::{ColumnSql, Layout};
use crate::removals;
use crate::secrets;
use crate::values::{Read, blob, integer, sql_value};
use crate::writer::Transaction;
use crate::{attributes, values};
use rusqlite::types::{Type, Value as Sql};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use ventros::kernel::{Error, Kind, ProjectId, Result, Subject, Timestamp};
use ventros::storage::{Batch, CommitError, Committed, IdempotencyRecord, Index, SnapshotWrite, UniqueKey};

pub(crate) fn commit(
    connection: &Transaction<'_>,
    layouts: &BTreeMap<Kind, Arc<Layout>>,
    batch: &Batch,
) -> Result<Committed, CommitError> {
    let removed = removals::find(connection, layouts, batch)?;
    let rows = find_rows(connection, layouts, batch)?;
    look_up_keys(connection, batch)?;
    if let Some(progress) = &batch.consumer
        && !consumers::progress(connection, progress)?
    {
        return Err(CommitError::LeaseLost);
    }
    if !jobs::finish(connection, &batch.jobs)? {
        return Err(CommitError::LeaseLost);
    }
    if let Some(id) = jobs::taken(connection, &batch.jobs)? {
        return Err(CommitError::Stale(Subject { kind: Kind::Job, id }));
    }
    if let Some(record) = &batch.idempotency
        && !remember(connection, record)?
    {
        return Err(CommitError::KeyUsed);
    }
    removals::carry_out(connection, layouts, &batch.removals, &removed)?;
    for (write, row) in batch.snapshots.iter().zip(rows) {
        let layout = layout_of(layouts, write.kind)?;
        match row {
            Some(row) => update(connection, layout, write, row)?,
            None => insert(connection, layout, write)?,
        }
    }
    write_keys(connection, &batch.snapshots)?;
    secrets::write(connection, &batch.secrets)?;
    let committed = events::append(connection, &batch.events)?;
    note_projects(connection, batch, &committed)?;
    jobs::write(connection, &batch.jobs)?;
    consumers::write(connection, &batch.consumers)?;
    erasing::write(connection, &batch.erasures)?;
    Ok(committed)
}

pub(crate) fn layout_of(layouts: &BTreeMap<Kind, Arc<Layout>>, kind: Kind) -> Result<&Layout> {
    layouts.get(&kind).map(|layout| &**layout).ok_or_else(|| Error::internal("a layout is missing"))
}

/// The rows of the snapshots that are there already, at the revision they were loaded with.
fn find_rows(
    connection: &Connection,
    layouts: &BTreeMap<Kind, Arc<Layout>>,
    batch: &Batch,
) -> Result<Vec<Option<i64>>, CommitError> {
    let mut rows = Vec::with_capacity(batch.snapshots.len());
    for write in &batch.snapshots {
        if write.loaded_revision == 0 {
            rows.push(None);
            continue;
        }
        if batch.removes(write.project_id, write.kind, write.id) {
            return Err(stale(write));
        }
        let mut statement = connection.prepare_cached(&layout_of(layouts, write.kind)?.find_row).carry()?;
        let project = write.project_id.uuid();
        let values = params![project.as_bytes(), write.id.as_bytes()];
        let found = statement.query_row(values, |row| Ok((row.get(0)?, row.number(1)?))).optional().carry()?;
        match found {
            Some((row, revision)) if revision == write.loaded_revision => rows.push(Some(row)),
            _ => return Err(stale(write)),
        }
    }
    Ok(rows)
}

fn stale(write: &SnapshotWrite) -> CommitError {
    CommitError::Stale(Subject::new(write.kind, write.id))
}

/// Keys that this very batch gives up are left to the writing itself.
fn look_up_keys(connection: &Connection, batch: &Batch) -> Result<(), CommitError> {
    for write in &batch.snapshots {
        for key in added_keys(write) {
            let owner = (write.project_id, Subject::new(write.kind, write.id));
            match holder_of(connection, write.project_id, key)? {
                Some(holder) if holder != owner && !batch.gives_up(holder.0, holder.1, key) => {
                    return Err(CommitError::Taken { key: key.clone(), holder: holder.1 });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn added_keys(write: &SnapshotWrite) -> &[UniqueKey] {
    if write.loaded_revision == 0 { &write.index.keys } else { &write.changed.keys_added }
}

pub(crate) fn insert(connection: &Transaction<'_>, layout: &Layout, write: &SnapshotWrite) -> Result<(), CommitError> {
    let columns: Vec<&ColumnSql> = layout.columns.iter().collect();
    let mut values = vec![
        blob(write.project_id.uuid()),
        blob(write.id),
        Sql::Integer(integer(write.revision)),
        Sql::Integer(integer(write.version)),
        Sql::Integer(i64::from(write.schema)),
        Sql::Integer(write.created_at.micros()),
        Sql::Integer(write.updated_at.micros()),
        Sql::Integer(i64::from(write.index.hidden)),
        Sql::Text(write.state.clone()),
    ];
    values.extend(row_values(&columns, &write.index));
    let mut statement = connection.prepare_cached(&layout.insert).carry()?;
    if statement.execute(params_from_iter(values)).carry()? == 0 {
        return Err(stale(write));
    }
    let row = connection.last_insert_rowid();
    attributes::add(connection, layout, write.project_id, row, &write.index)?;
    if !write.index.search.is_empty() {
        connection.write_words(SearchWords::of(layout, write.project_id, row, &write.index).first());
    }
    Ok(())
}

/// Sets nothing that has not changed: SQLite rewrites the entries of every index on a column that is set.
fn update(connection: &Transaction<'_>, layout: &Layout, write: &SnapshotWrite, row: i64) -> Result<(), CommitError> {
    let changed = |column: &&ColumnSql| write.changed.columns.contains(&column.field);
    let columns: Vec<&ColumnSql> = layout.columns.iter().filter(changed).collect();
    let mut sql =
        format!("UPDATE {} SET revision = ?, version = ?, schema = ?, updated_at = ?, state = ?", layout.name);
    let mut values = vec![
        Sql::Integer(integer(write.revision)),
        Sql::Integer(integer(write.version)),
        Sql::Integer(i64::from(write.schema)),
        Sql::Integer(write.updated_at.micros()),
        Sql::Text(write.state.clone()),
    ];
    if write.changed.hidden {
        sql.push_str(", hidden = ?");
        values.push(Sql::Integer(i64::from(write.index.hidden)));
    }
    for (name, _) in columns.iter().flat_map(|column| column.definitions()) {
        sql.push_str(", ");
        sql.push_str(name);
        sql.push_str(" = ?");
    }
    values.extend(row_values(&columns, &write.index));
    sql.push_str(" WHERE row = ?");
    values.push(Sql::Integer(row));
    connection.prepare_cached(&sql).carry()?.execute(params_from_iter(values)).carry()?;
    if write.changed.attributes {
        attributes::replace(connection, layout, write.project_id, row, &write.index)?;
    }
    if write.changed.search {
        connection.write_words(SearchWords::of(layout, write.project_id, row, &write.index));
    }
    Ok(())
}

/// The values of these columns and of their folded companions, in the order of their definitions.
pub(crate) fn row_values(columns: &[&ColumnSql], index: &Index) -> Vec<Sql> {
    let mut values = Vec::with_capacity(columns.len() * 2);
    let mut given = index.values();
    for column in columns {
        let value = given(column.field);
        values.push(sql_value(value));
        if column.key.is_some() {
            values.push(sql_value(&value.comparable(column.kind)));
        }
    }
    values
}

/// First all that is given up, then all that is taken: within one commit a key can change hands.
fn write_keys(connection: &Connection, writes: &[SnapshotWrite]) -> Result<(), CommitError> {
    for write in writes {
        for key in &write.changed.keys_removed {
            release_key(connection, write.project_id, Subject::new(write.kind, write.id), key)?;
        }
    }
    for write in writes {
        for key in added_keys(write) {
            let owner = Subject::new(write.kind, write.id);
            if let Some(holder) = claim_key(connection, write.project_id, owner, key)? {
                return Err(CommitError::Taken { key: key.clone(), holder });
            }
        }
    }
    Ok(())
}

fn realm(project: ProjectId, key: &UniqueKey) -> Vec<u8> {
    if key.global { Vec::new() } else { project.uuid().as_bytes().to_vec() }
}

pub(crate) fn release_key(connection: &Connection, project: ProjectId, owner: Subject, key: &UniqueKey) -> Result<()> {
    let sql = "DELETE FROM unique_keys WHERE space = ?1 AND scope = ?2 AND key = ?3 AND realm = ?4
        AND project_id = ?5 AND kind = ?6 AND id = ?7";
    let project_bytes = project.uuid();
    let values = params![
        key.space,
        key.scope,
        key.key,
        realm(project, key),
        project_bytes.as_bytes(),
        owner.kind.as_str(),
        owner.id.as_bytes()
    ];
    connection.prepare_cached(sql).carry()?.execute(values).carry().map(|_| ())
}

/// Takes a key for `owner`, or tells who else holds it.
pub(crate) fn claim_key(
    connection: &Connection,
    project: ProjectId,
    owner: Subject,
    key: &UniqueKey,
) -> Result<Option<Subject>> {
    let sql =
        "INSERT INTO unique_keys (space, scope, key, realm, project_id, kind, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT DO NOTHING";
    let realm = realm(project, key);
    let project_bytes = project.uuid();
    let values = params![
        key.space,
        key.scope,
        key.key,
        realm,
        project_bytes.as_bytes(),
        owner.kind.as_str(),
        owner.id.as_bytes()
    ];
    if connection.prepare_cached(sql).carry()?.execute(values).carry()? == 1 {
        return Ok(None);
    }
    let holder = holder_of(connection, project, key)?;
    Ok(holder.filter(|holder| *holder != (project, owner)).map(|(_, holder)| holder))
}

fn holder_of(connection: &Connection, project: ProjectId, key: &UniqueKey) -> Result<Option<(ProjectId, Subject)>> {
    let sql =
        "SELECT project_id, kind, id FROM unique_keys WHERE space = ?1 AND scope = ?2 AND key = ?3 AND realm = ?4";
    let mut statement = connection.prepare_cached(sql).carry()?;
    let values = params![key.space, key.scope, key.key, realm(project, key)];
    let holder = statement.query_row(values, |row| Ok((row.project(0)?, Subject::new(row.kind(1)?, row.id(2)?))));
    holder.optional().carry()
}

/// Projects with snapshots but no events yet are known all the same.
fn note_projects(connection: &Connection, batch: &Batch, committed: &Committed) -> Result<()> {
    let mut noted: Vec<ProjectId> = committed.heads.iter().map(|(project, _)| *project).collect();
    for write in batch.snapshots.iter().filter(|write| write.loaded_revision == 0) {
        if !noted.contains(&write.project_id) {
            noted.push(write.project_id);
            let sql = "INSERT OR IGNORE INTO log_heads (project_id, head) VALUES (?1, 0)";
            let project = write.project_id.uuid();
            connection.prepare_cached(sql).carry()?.execute([project.as_bytes()]).carry()?;
        }
    }
    Ok(())
}

/// False when the key was used before.
pub(crate) fn remember(connection: &Connection, record: &IdempotencyRecord) -> Result<bool> {
    let sql = "INSERT INTO idempotency_keys (scope, key, command, request_hash, result, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    let values = params![
        record.scope.as_bytes(),
        record.key,
        record.command,
        record.request_hash,
        record.result,
        record.expires_at.micros()
    ];
    Ok(connection.prepare_cached(sql).carry()?.execute(values).carry()? == 1)
}

pub(crate) fn idempotent(connection: &Connection, scope: Uuid, key: &str) -> Result<Option<IdempotencyRecord>> {
    let sql = format!("SELECT {IDEMPOTENCY} FROM idempotency_keys WHERE scope = ?1 AND key = ?2");
    let mut statement = connection.prepare_cached(&sql).carry()?;
    statement.query_row(params![scope.as_bytes(), key], idempotency_record).optional().carry()
}

/// What is read of an idempotency key, in the order of [`idempotency_record`].
pub(crate) const IDEMPOTENCY: &str = "scope, key, command, request_hash, result, expires_at";

pub(crate) fn idempotency_record(row: &Row<'_>) -> rusqlite::Result<IdempotencyRecord> {
    let hash = row.get_ref(3)?.as_blob()?;
    Ok(IdempotencyRecord {
        scope: row.id(0)?,
        key: row.get(1)?,
        command: row.get(2)?,
        request_hash: hash.try_into().map_err(|_| values::broken(3, Type::Blob, "a request hash has 32 bytes"))?,
        result: row.get(4)?,
        expires_at: row.instant(5)?,
    })
}

/// Removes an idempotency key that has expired by `now`.
pub(crate) fn forget(connection: &Connection, scope: Uuid, key: &str, now: Timestamp) -> Result<()> {
    let sql = "DELETE FROM idempotency_keys WHERE scope = ?1 AND key = ?2 AND expires_at <= ?3";
    connection.prepare_cached(sql).carry()?.execute(params![scope.as_bytes(), key, now.micros()]).carry()?;
    Ok(())
}
