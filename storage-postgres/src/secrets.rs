//! Sealed values. The adapter sees text; what it says is between the vault and its keys.

use crate::PostgresStorage;
use crate::session::{Call, Reach};
use crate::values::{Read, Sql, instant, integer, sql, text};
use async_trait::async_trait;
use tokio_postgres::Row;
use uuid::Uuid;
use ventros::kernel::{ProjectId, Result, Subject};
use ventros::storage::{Scope, SecretQuery, SecretRecord, SecretRepository, SecretWrite};

pub(crate) const COLUMNS: &str = "project_id, id, revision, owner_kind, owner_id, field, key_id, sealed, created_at";

/// The changes in their order. With an owner: a row must come back, else the batch is stale.
pub(crate) fn write(writes: &[SecretWrite]) -> impl Iterator<Item = (Call, Option<Subject>)> {
    writes.iter().map(|write| match write {
        SecretWrite::Put(record) => (put(record), Some(record.owner)),
        SecretWrite::Reseal { record, replaces } => (reseal(record, replaces), Some(record.owner)),
        SecretWrite::Shred { project_id, id, revision } => (shred(*project_id, *id, *revision), None),
        SecretWrite::ShredAll { project_id } => {
            (Call::new("DELETE FROM @secrets WHERE project_id = $1", vec![sql(project_id.uuid())]), None)
        }
        SecretWrite::Newest { project_id, id, revision, owner } => (newest(*project_id, *id, *revision), Some(*owner)),
    })
}

pub(crate) fn put(record: &SecretRecord) -> Call {
    let insert =
        "INSERT INTO @secrets (project_id, id, revision, owner_kind, owner_id, field, key_id, sealed, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING 1";
    Call::new(insert, values(record))
}

fn reseal(record: &SecretRecord, replaces: &str) -> Call {
    let update = "UPDATE @secrets
        SET owner_kind = $4, owner_id = $5, field = $6, key_id = $7, sealed = $8, created_at = $9
        WHERE project_id = $1 AND id = $2 AND revision = $3 AND key_id = $10 RETURNING 1";
    let mut values = values(record);
    values.push(sql(text(replaces)));
    Call::new(update, values)
}

fn values(record: &SecretRecord) -> Vec<Sql> {
    vec![
        sql(record.project_id.uuid()),
        sql(record.id),
        sql(i64::from(record.revision)),
        sql(text(record.owner.kind.as_str())),
        sql(record.owner.id),
        sql(text(&record.field)),
        sql(text(&record.key_id)),
        sql(text(&record.sealed)),
        sql(instant(record.created_at)),
    ]
}

/// Deletes. The bytes stay in the files of the server until it cleans up, but nothing opens them once their key is shredded.
fn shred(project: ProjectId, id: Uuid, revision: u32) -> Call {
    let delete = "DELETE FROM @secrets WHERE project_id = $1 AND id = $2 AND revision <= $3";
    Call::new(delete, vec![sql(project.uuid()), sql(id), sql(i64::from(revision))])
}

/// Whoever writes secrets of a project holds its head, so what is newest stays so until the end of the transaction.
fn newest(project: ProjectId, id: Uuid, revision: u32) -> Call {
    let select = "SELECT 1 WHERE $3 = (SELECT max(revision) FROM @secrets WHERE project_id = $1 AND id = $2)";
    Call::new(select, vec![sql(project.uuid()), sql(id), sql(i64::from(revision))])
}

pub(crate) fn record(row: &Row) -> Result<SecretRecord> {
    Ok(SecretRecord {
        project_id: row.project(0)?,
        id: row.id(1)?,
        revision: row.small(2)?,
        owner: Subject::new(row.kind(3)?, row.id(4)?),
        field: row.read(5)?,
        key_id: row.read(6)?,
        sealed: row.read(7)?,
        created_at: row.instant(8)?,
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

    async fn secrets_under(&self, scope: Scope, query: &SecretQuery) -> Result<Vec<SecretRecord>> {
        let mut values = vec![sql(text(&query.key_id)), sql(integer(query.limit))];
        let mut select = format!("SELECT {COLUMNS} FROM @secrets WHERE key_id = $1");
        if let Scope::Project(project) = scope {
            values.push(sql(project.uuid()));
            select.push_str(" AND project_id = $3");
        }
        if let Some((project, id, revision)) = query.after {
            let first = values.len() + 1;
            let (second, third) = (first + 1, first + 2);
            select.push_str(&format!(" AND (project_id, id, revision) > (${first}, ${second}, ${third})"));
            values.extend([sql(project.uuid()), sql(id), sql(i64::from(revision))]);
        }
        select.push_str(" ORDER BY project_id, id, revision LIMIT $2");
        let found = self.read(scope.into(), &[Call { sql: select.into(), values }]).await?;
        found[0].iter().map(record).collect()
    }
}
