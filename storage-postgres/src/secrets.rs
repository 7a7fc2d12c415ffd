//! Sealed values. The adapter sees text; what it says is between the vault and its keys.

use crate::PostgresStorage;
use crate::session::{Call, Reach};
use crate::values::{Read, instant, sql, text};
use async_trait::async_trait;
use tokio_postgres::Row;
use uuid::Uuid;
use ventros::kernel::{ProjectId, Result, Subject};
use ventros::storage::{SecretRecord, SecretRepository, SecretWrite};

pub(crate) const COLUMNS: &str = "project_id, id, revision, key_id, sealed, created_at";

/// The changes in their order. With an owner: a row must come back, else the batch is stale.
pub(crate) fn write(writes: &[SecretWrite]) -> impl Iterator<Item = (Call, Option<Subject>)> {
    writes.iter().map(|write| match write {
        SecretWrite::Put { record, owner } => (put(record), Some(*owner)),
        SecretWrite::Shred { project_id, id, revision } => (shred(*project_id, *id, *revision), None),
    })
}

pub(crate) fn put(record: &SecretRecord) -> Call {
    let insert = "INSERT INTO @secrets (project_id, id, revision, key_id, sealed, created_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING 1";
    let values = vec![
        sql(record.project_id.uuid()),
        sql(record.id),
        sql(i64::from(record.revision)),
        sql(text(&record.key_id)),
        sql(text(&record.sealed)),
        sql(instant(record.created_at)),
    ];
    Call::new(insert, values)
}

/// Deletes. The bytes stay in the files of the server until it cleans up, but nothing opens them once their key is shredded.
fn shred(project: ProjectId, id: Uuid, revision: u32) -> Call {
    let delete = "DELETE FROM @secrets WHERE project_id = $1 AND id = $2 AND revision <= $3";
    Call::new(delete, vec![sql(project.uuid()), sql(id), sql(i64::from(revision))])
}

pub(crate) fn record(row: &Row) -> Result<SecretRecord> {
    Ok(SecretRecord {
        project_id: row.project(0)?,
        id: row.id(1)?,
        revision: row.small(2)?,
        key_id: row.read(3)?,
        sealed: row.read(4)?,
        created_at: row.instant(5)?,
    })
}

#[async_trait]
impl SecretRepository for PostgresStorage {
    async fn secret(&self, project: ProjectId, id: Uuid, revision: Option<u32>) -> Result<Option<SecretRecord>> {
        let (first, last) = revision.map_or((0, u32::MAX), |revision| (revision, revision));
        let select = format!(
            "SELECT {COLUMNS} FROM @secrets
             WHERE project_id = $1 AND id = $2 AND revision BETWEEN $3 AND $4 ORDER BY revision DESC LIMIT 1"
        );
        let values = vec![sql(project.uuid()), sql(id), sql(i64::from(first)), sql(i64::from(last))];
        let found = self.read(Reach::Only(project.uuid()), &[Call { sql: select.into(), values }]).await?;
        found[0].first().map(record).transpose()
    }
}
