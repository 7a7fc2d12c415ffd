//! Sealed values. The adapter sees text; what it says is between the vault and its keys.

use crate::SqliteStorage;
use crate::errors::Carry;
use crate::values::{Read, broken};
use async_trait::async_trait;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;
use ventros::kernel::{ProjectId, Result};
use ventros::storage::{CommitError, SecretRecord, SecretRepository, SecretWrite};

pub(crate) const COLUMNS: &str = "project_id, id, revision, key_id, sealed, created_at";

/// Makes the changes in their order; the first revision that is there already refuses them.
pub(crate) fn write(connection: &Connection, writes: &[SecretWrite]) -> Result<(), CommitError> {
    for write in writes {
        match write {
            SecretWrite::Put { record, owner } => {
                if !put(connection, record)? {
                    return Err(CommitError::Stale(*owner));
                }
            }
            SecretWrite::Shred { project_id, id, revision } => shred(connection, *project_id, *id, *revision)?,
        }
    }
    Ok(())
}

/// False when there is one already.
pub(crate) fn put(connection: &Connection, record: &SecretRecord) -> Result<bool> {
    let sql = "INSERT INTO secrets (project_id, id, revision, key_id, sealed, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    let project = record.project_id.uuid();
    let values = params![
        project.as_bytes(),
        record.id.as_bytes(),
        record.revision,
        record.key_id,
        record.sealed,
        record.created_at.micros()
    ];
    Ok(connection.prepare_cached(sql).carry()?.execute(values).carry()? == 1)
}

/// Deletes, and overwrites what was deleted: otherwise it stays in the file until its place is used again.
fn shred(connection: &Connection, project: ProjectId, id: Uuid, revision: u32) -> Result<()> {
    connection.pragma_update(None, "secure_delete", true).carry()?;
    let sql = "DELETE FROM secrets WHERE project_id = ?1 AND id = ?2 AND revision <= ?3";
    let project = project.uuid();
    let values = params![project.as_bytes(), id.as_bytes(), revision];
    let deleted = connection.prepare_cached(sql).carry().and_then(|mut delete| delete.execute(values).carry());
    connection.pragma_update(None, "secure_delete", false).carry()?;
    deleted.map(|_| ())
}

pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<SecretRecord> {
    let revision = row.number(2)?;
    Ok(SecretRecord {
        project_id: row.project(0)?,
        id: row.id(1)?,
        revision: u32::try_from(revision).map_err(|_| broken(2, Type::Integer, "a revision beyond all bounds"))?,
        key_id: row.get(3)?,
        sealed: row.get(4)?,
        created_at: row.instant(5)?,
    })
}

#[async_trait]
impl SecretRepository for SqliteStorage {
    async fn secret(&self, project: ProjectId, id: Uuid, revision: Option<u32>) -> Result<Option<SecretRecord>> {
        let (first, last) = revision.map_or((0, u32::MAX), |revision| (revision, revision));
        let sql = format!(
            "SELECT {COLUMNS} FROM secrets
             WHERE project_id = ?1 AND id = ?2 AND revision BETWEEN ?3 AND ?4 ORDER BY revision DESC LIMIT 1"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql).carry()?;
            let project = project.uuid();
            statement.query_row(params![project.as_bytes(), id.as_bytes(), first, last], record).optional().carry()
        })
    }
}
