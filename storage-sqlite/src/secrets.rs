//! Sealed values. The adapter sees text; what it says is between the vault and its keys.

use crate::SqliteStorage;
use crate::errors::Carry;
use crate::values::{Read, blob, broken, integer};
use async_trait::async_trait;
use rusqlite::types::{Type, Value as Sql};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, params_from_iter};
use uuid::Uuid;
use ventros::kernel::{ProjectId, Result, Subject};
use ventros::storage::{CommitError, Scope, SecretQuery, SecretRecord, SecretRepository, SecretWrite};

pub(crate) const COLUMNS: &str = "project_id, id, revision, owner_kind, owner_id, field, key_id, sealed, created_at";

/// Makes the changes in their order; the first one that does not fit what is there refuses them.
pub(crate) fn write(connection: &Connection, writes: &[SecretWrite]) -> Result<(), CommitError> {
    for write in writes {
        let fits = match write {
            SecretWrite::Put(record) => put(connection, record)?.then_some(()).ok_or(record.owner),
            SecretWrite::Reseal { record, replaces } => {
                reseal(connection, record, replaces)?.then_some(()).ok_or(record.owner)
            }
            SecretWrite::Shred { project_id, id, revision } => {
                let project = project_id.uuid();
                let which = "project_id = ?1 AND id = ?2 AND revision <= ?3";
                shred(connection, which, params![project.as_bytes(), id.as_bytes(), revision]).map(Ok)?
            }
            SecretWrite::ShredAll { project_id } => {
                let project = project_id.uuid();
                shred(connection, "project_id = ?1", params![project.as_bytes()]).map(Ok)?
            }
            SecretWrite::Newest { project_id, id, revision, owner } => {
                let newest = find(connection, *project_id, *id, None)?.map(|record| record.revision);
                (newest == Some(*revision)).then_some(()).ok_or(*owner)
            }
        };
        fits.map_err(CommitError::Stale)?;
    }
    Ok(())
}

/// False when there is one already.
pub(crate) fn put(connection: &Connection, record: &SecretRecord) -> Result<bool> {
    let sql = "INSERT INTO secrets (project_id, id, revision, owner_kind, owner_id, field, key_id, sealed, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
    let project = record.project_id.uuid();
    let values = params![
        project.as_bytes(),
        record.id.as_bytes(),
        record.revision,
        record.owner.kind.as_str(),
        record.owner.id.as_bytes(),
        record.field,
        record.key_id,
        record.sealed,
        record.created_at.micros()
    ];
    Ok(connection.prepare_cached(sql).carry()?.execute(values).carry()? == 1)
}

/// False when it is gone or under another key.
fn reseal(connection: &Connection, record: &SecretRecord, replaces: &str) -> Result<bool> {
    let sql =
        "UPDATE secrets SET owner_kind = ?5, owner_id = ?6, field = ?7, key_id = ?8, sealed = ?9, created_at = ?10
        WHERE project_id = ?1 AND id = ?2 AND revision = ?3 AND key_id = ?4";
    let project = record.project_id.uuid();
    let values = params![
        project.as_bytes(),
        record.id.as_bytes(),
        record.revision,
        replaces,
        record.owner.kind.as_str(),
        record.owner.id.as_bytes(),
        record.field,
        record.key_id,
        record.sealed,
        record.created_at.micros()
    ];
    overwriting(connection, || Ok(connection.prepare_cached(sql).carry()?.execute(values).carry()? == 1))
}

fn shred(connection: &Connection, which: &str, values: &[&dyn ToSql]) -> Result<()> {
    let sql = format!("DELETE FROM secrets WHERE {which}");
    overwriting(connection, || connection.prepare_cached(&sql).carry()?.execute(values).carry().map(|_| ()))
}

/// Has what is replaced or deleted overwritten: otherwise it stays in the file until its place is used again.
fn overwriting<T>(connection: &Connection, change: impl FnOnce() -> Result<T>) -> Result<T> {
    connection.pragma_update(None, "secure_delete", true).carry()?;
    let changed = change();
    connection.pragma_update(None, "secure_delete", false).carry()?;
    changed
}

pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<SecretRecord> {
    let revision = row.number(2)?;
    Ok(SecretRecord {
        project_id: row.project(0)?,
        id: row.id(1)?,
        revision: u32::try_from(revision).map_err(|_| broken(2, Type::Integer, "a revision beyond all bounds"))?,
        owner: Subject::new(row.kind(3)?, row.id(4)?),
        field: row.get(5)?,
        key_id: row.get(6)?,
        sealed: row.get(7)?,
        created_at: row.instant(8)?,
    })
}

fn find(connection: &Connection, project: ProjectId, id: Uuid, revision: Option<u32>) -> Result<Option<SecretRecord>> {
    let (first, last) = revision.map_or((0, u32::MAX), |revision| (revision, revision));
    let sql = format!(
        "SELECT {COLUMNS} FROM secrets
         WHERE project_id = ?1 AND id = ?2 AND revision BETWEEN ?3 AND ?4 ORDER BY revision DESC LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&sql).carry()?;
    let project = project.uuid();
    statement.query_row(params![project.as_bytes(), id.as_bytes(), first, last], record).optional().carry()
}

#[async_trait]
impl SecretRepository for SqliteStorage {
    async fn secret(&self, project: ProjectId, id: Uuid, revision: Option<u32>) -> Result<Option<SecretRecord>> {
        self.read(|connection| find(connection, project, id, revision))
    }

    async fn secrets_under(&self, scope: Scope, query: &SecretQuery) -> Result<Vec<SecretRecord>> {
        let mut sql = format!("SELECT {COLUMNS} FROM secrets WHERE key_id = ?");
        let mut values = vec![Sql::Text(query.key_id.clone())];
        match scope {
            Scope::Project(project) => {
                sql.push_str(" AND project_id = ?");
                values.push(blob(project.uuid()));
            }
            Scope::Installation => {}
        }
        if let Some((project, id, revision)) = query.after {
            sql.push_str(" AND (project_id, id, revision) > (?, ?, ?)");
            values.extend([blob(project.uuid()), blob(id), Sql::Integer(revision.into())]);
        }
        sql.push_str(" ORDER BY project_id, id, revision LIMIT ?");
        values.push(Sql::Integer(integer(query.limit)));
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql).carry()?;
            let rows = statement.query_map(params_from_iter(values), record).carry()?;
            rows.collect::<rusqlite::Result<Vec<_>>>().carry()
        })
    }
}
