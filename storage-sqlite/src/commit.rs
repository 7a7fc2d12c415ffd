//! The one write. It runs in a transaction or savepoint of its own, so any failure may stop it half way.

use crate::consumers;
use crate::errors::Carry;
use crate::events;
use crate::jobs;
use crate::layout::{ColumnSql, Layout};
use crate::secrets;
use crate::values::{Read, blob, integer, sql_value};
use crate::{attributes, values};
use rusqlite::types::{Type, Value as Sql};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use ventros::kernel::{Error, Kind, ProjectId, Result, Subject, Timestamp};
use ventros::storage::{Batch, CommitError, Committed, IdempotencyRecord, Index, SnapshotWrite, UniqueKey};

pub(crate) fn commit(
    connection: &Connection,
    layouts: &BTreeMap<Kind, Arc<Layout>>,
    batch: &Batch,
) -> Result<Committed, CommitError> {
    if let Some(progress) = &batch.consumer
        && !consumers::progress(connection, progress)?
    {
        return Err(CommitError::LeaseLost);
    }
    if !jobs::finish(connection, &batch.jobs)? {
        return Err(CommitError::LeaseLost);
    }
    if let Some(record) = &batch.idempotency
        && !remember(connection, record)?
    {
        return Err(CommitError::KeyUsed);
    }
    for write in &batch.snapshots {
        let layout = layouts.get(&write.kind).ok_or_else(|| Error::internal("a layout is missing"))?;
        write_snapshot(connection, layout, write)?;
    }
    write_keys(connection, &batch.snapshots)?;
    secrets::write(connection, &batch.secrets)?;
    let committed = events::append(connection, &batch.events)?;
    note_projects(connection, batch, &committed)?;
    jobs::write(connection, &batch.jobs)?;
    Ok(committed)
}

fn write_snapshot(connection: &Connection, layout: &Layout, write: &SnapshotWrite) -> Result<(), CommitError> {
    if write.loaded_revision == 0 {
        let row = insert(connection, layout, write)?;
        let row = row.ok_or_else(|| CommitError::Stale(Subject::new(write.kind, write.id)))?;
        attributes::add(connection, layout, write.project_id, row, &write.index)?;
        attributes::add_search(connection, layout, write.project_id, row, &write.index)?;
        return Ok(());
    }
    if !update(connection, layout, write)? {
        return Err(CommitError::Stale(Subject::new(write.kind, write.id)));
    }
    if write.changed.attributes || write.changed.search {
        let sql = format!("SELECT row FROM {} WHERE project_id = ?1 AND id = ?2", layout.name);
        let mut statement = connection.prepare_cached(&sql).carry()?;
        let project = write.project_id.uuid();
        let row: i64 =
            statement.query_row(params![project.as_bytes(), write.id.as_bytes()], |row| row.get(0)).carry()?;
        if write.changed.attributes {
            attributes::replace(connection, layout, write.project_id, row, &write.index)?;
        }
        if write.changed.search {
            attributes::replace_search(connection, layout, write.project_id, row, &write.index)?;
        }
    }
    Ok(())
}

/// The row of a new snapshot; `None` when there is one of its id.
fn insert(connection: &Connection, layout: &Layout, write: &SnapshotWrite) -> Result<Option<i64>> {
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
    let written = statement.execute(params_from_iter(values)).carry()?;
    Ok((written == 1).then(|| connection.last_insert_rowid()))
}

/// Sets nothing that has not changed: SQLite rewrites the entries of every index on a column that is set.
fn update(connection: &Connection, layout: &Layout, write: &SnapshotWrite) -> Result<bool> {
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
    sql.push_str(" WHERE project_id = ? AND id = ? AND revision = ?");
    values.push(blob(write.project_id.uuid()));
    values.push(blob(write.id));
    values.push(Sql::Integer(integer(write.loaded_revision)));
    let written = connection.prepare_cached(&sql).carry()?.execute(params_from_iter(values)).carry()?;
    Ok(written == 1)
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
        let added = if write.loaded_revision == 0 { &write.index.keys } else { &write.changed.keys_added };
        for key in added {
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

fn release_key(connection: &Connection, project: ProjectId, owner: Subject, key: &UniqueKey) -> Result<()> {
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
    let sql =
        "SELECT project_id, kind, id FROM unique_keys WHERE space = ?1 AND scope = ?2 AND key = ?3 AND realm = ?4";
    let mut statement = connection.prepare_cached(sql).carry()?;
    let values = params![key.space, key.scope, key.key, realm];
    let holder = statement.query_row(values, |row| Ok((row.project(0)?, Subject::new(row.kind(1)?, row.id(2)?))));
    let holder = holder.carry()?;
    Ok((holder != (project, owner)).then_some(holder.1))
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
fn remember(connection: &Connection, record: &IdempotencyRecord) -> Result<bool> {
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
    let sql = "SELECT command, request_hash, result, expires_at FROM idempotency_keys WHERE scope = ?1 AND key = ?2";
    let mut statement = connection.prepare_cached(sql).carry()?;
    let found = statement.query_row(params![scope.as_bytes(), key], |row| {
        let hash = row.get_ref(1)?.as_blob()?;
        Ok(IdempotencyRecord {
            scope,
            key: key.to_owned(),
            command: row.get(0)?,
            request_hash: hash.try_into().map_err(|_| values::broken(1, Type::Blob, "a request hash has 32 bytes"))?,
            result: row.get(2)?,
            expires_at: row.instant(3)?,
        })
    });
    found.optional().carry()
}

/// Removes an idempotency key that has expired by `now`.
pub(crate) fn forget(connection: &Connection, scope: Uuid, key: &str, now: Timestamp) -> Result<()> {
    let sql = "DELETE FROM idempotency_keys WHERE scope = ?1 AND key = ?2 AND expires_at <= ?3";
    connection.prepare_cached(sql).carry()?.execute(params![scope.as_bytes(), key, now.micros()]).carry()?;
    Ok(())
}
