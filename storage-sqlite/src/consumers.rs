//! Consumers: checkpoints, leases and dead letters.

use crate::SqliteStorage;
use crate::errors::Carry;
use crate::values::{Read, broken, integer};
use crate::writer::Transaction;
use async_trait::async_trait;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, ProjectId, Result, Timestamp};
use ventros::storage::{ConsumerProgress, ConsumerRecord, ConsumerRepository, DeadLetter, Scope};

const COLUMNS: &str = "project_id, name, events, max_attempts, checkpoint, attempts, next_attempt_at, last_error, \
    lease_token, lease_owner, lease_until, created_at";

fn record(row: &Row<'_>) -> rusqlite::Result<ConsumerRecord> {
    Ok(ConsumerRecord {
        project_id: row.project_or_nil(0)?,
        name: row.get(1)?,
        events: serde_json::from_str(row.get_ref(2)?.as_str()?)
            .map_err(|_| broken(2, Type::Text, "no list of event types"))?,
        max_attempts: row.get(3)?,
        checkpoint: row.number(4)?,
        attempts: row.get(5)?,
        next_attempt_at: row.optional_instant(6)?,
        last_error: row.get(7)?,
        lease_token: row.number(8)?,
        lease_owner: row.optional_id(9)?,
        lease_until: row.optional_instant(10)?,
        created_at: row.instant(11)?,
    })
}

/// Writes what a worker did; false when its lease is not the current one.
pub(crate) fn progress(connection: &Connection, progress: &ConsumerProgress) -> Result<bool> {
    let sql = "UPDATE consumers SET checkpoint = ?4, attempts = ?5, next_attempt_at = ?6, last_error = ?7,
            lease_owner = CASE WHEN ?8 THEN NULL ELSE lease_owner END,
            lease_until = CASE WHEN ?8 THEN NULL ELSE COALESCE(?9, lease_until) END
        WHERE project_id = ?1 AND name = ?2 AND lease_token = ?3 AND lease_owner IS NOT NULL";
    let project = progress.project_id.uuid();
    let values = params![
        project.as_bytes(),
        progress.name,
        integer(progress.lease_token),
        integer(progress.checkpoint),
        progress.attempts,
        progress.next_attempt_at.map(Timestamp::micros),
        progress.last_error,
        progress.release,
        progress.lease_until.map(Timestamp::micros),
    ];
    if connection.prepare_cached(sql).carry()?.execute(values).carry()? == 0 {
        return Ok(false);
    }
    if let Some(letter) = &progress.dead_letter {
        let sql = "INSERT OR REPLACE INTO dead_letters (project_id, name, seq, event_id, attempts, error, failed_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![
            project.as_bytes(),
            progress.name,
            integer(letter.seq),
            letter.event_id.as_bytes(),
            letter.attempts,
            letter.error,
            letter.failed_at.micros(),
        ];
        connection.prepare_cached(sql).carry()?.execute(values).carry()?;
    }
    Ok(true)
}

fn open(connection: &Connection, consumer: &ConsumerRecord) -> Result<ConsumerRecord> {
    let sql = format!(
        "INSERT INTO consumers ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, NULL, NULL, ?9)
         ON CONFLICT (project_id, name) DO UPDATE SET events = ?3, max_attempts = ?4
         RETURNING {COLUMNS}"
    );
    let events = serde_json::to_string(&consumer.events)
        .map_err(|error| Error::internal(format!("event types do not serialise: {error}")))?;
    let project = consumer.project_id.0.uuid();
    let values = params![
        project.as_bytes(),
        consumer.name,
        events,
        consumer.max_attempts,
        integer(consumer.checkpoint),
        consumer.attempts,
        consumer.next_attempt_at.map(Timestamp::micros),
        consumer.last_error,
        consumer.created_at.micros(),
    ];
    connection.prepare_cached(&sql).carry()?.query_row(values, record).carry()
}

fn get(connection: &Connection, project: ProjectId, name: &str) -> Result<Option<ConsumerRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM consumers WHERE project_id = ?1 AND name = ?2");
    let project = project.uuid();
    connection.prepare_cached(&sql).carry()?.query_row(params![project.as_bytes(), name], record).optional().carry()
}

fn is_free(consumer: &ConsumerRecord, now: Timestamp) -> bool {
    consumer.lease_until.is_none_or(|until| until <= now) && consumer.next_attempt_at.is_none_or(|at| at <= now)
}

#[async_trait]
impl ConsumerRepository for SqliteStorage {
    async fn open_consumer(&self, consumer: &ConsumerRecord) -> Result<ConsumerRecord> {
        let known = self.read(|connection| get(connection, consumer.project_id.0, &consumer.name))?;
        let same =
            |known: &ConsumerRecord| known.events == consumer.events && known.max_attempts == consumer.max_attempts;
        match known.filter(same) {
            Some(known) => Ok(known),
            None => {
                let consumer = consumer.clone();
                self.writer.write(move |connection| open(connection, &consumer)).await
            }
        }
    }

    async fn consumers(&self, scope: Scope) -> Result<Vec<ConsumerRecord>> {
        self.read(|connection| {
            let order = "ORDER BY project_id, name";
            match scope {
                Scope::Project(project) => {
                    let sql = format!("SELECT {COLUMNS} FROM consumers WHERE project_id = ?1 {order}");
                    let mut statement = connection.prepare_cached(&sql).carry()?;
                    let project = project.uuid();
                    let rows = statement.query_map([project.as_bytes()], record).carry()?;
                    rows.collect::<rusqlite::Result<_>>().carry()
                }
                Scope::Installation => {
                    let sql = format!("SELECT {COLUMNS} FROM consumers {order}");
                    let mut statement = connection.prepare_cached(&sql).carry()?;
                    let rows = statement.query_map([], record).carry()?;
                    rows.collect::<rusqlite::Result<_>>().carry()
                }
            }
        })
    }

    async fn claim_consumer(
        &self,
        project: ProjectId,
        name: &str,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ConsumerRecord>> {
        // Most claims find nothing to take; they need not wait for the writer.
        let known = self.read(|connection| get(connection, project, name))?;
        if !known.is_some_and(|known| is_free(&known, now)) {
            return Ok(None);
        }
        let name = name.to_owned();
        let claim = move |connection: &Transaction<'_>| {
            let sql = format!(
                "UPDATE consumers SET lease_token = lease_token + 1, lease_owner = ?3, lease_until = ?4
                 WHERE project_id = ?1 AND name = ?2 AND (lease_until IS NULL OR lease_until <= ?5)
                     AND (next_attempt_at IS NULL OR next_attempt_at <= ?5)
                 RETURNING {COLUMNS}"
            );
            let project = project.uuid();
            let values = params![project.as_bytes(), name, owner.as_bytes(), until.micros(), now.micros()];
            connection.prepare_cached(&sql).carry()?.query_row(values, record).optional().carry()
        };
        self.writer.write(claim).await
    }

    async fn update_consumer(&self, update: &ConsumerProgress) -> Result<()> {
        let update = update.clone();
        let write = move |connection: &Transaction<'_>| match progress(connection, &update)? {
            true => Ok(()),
            false => Err(Error::new(ErrorCode::LeaseLost)),
        };
        self.writer.write(write).await
    }

    async fn delete_consumer(&self, project: ProjectId, name: &str) -> Result<bool> {
        let name = name.to_owned();
        let delete = move |connection: &Transaction<'_>| {
            let project = project.uuid();
            let values = params![project.as_bytes(), name];
            let sql = "DELETE FROM dead_letters WHERE project_id = ?1 AND name = ?2";
            connection.prepare_cached(sql).carry()?.execute(values).carry()?;
            let sql = "DELETE FROM consumers WHERE project_id = ?1 AND name = ?2";
            Ok::<_, Error>(connection.prepare_cached(sql).carry()?.execute(values).carry()? > 0)
        };
        self.writer.write(delete).await
    }

    async fn dead_letters(&self, project: ProjectId, name: &str, limit: usize) -> Result<Vec<DeadLetter>> {
        self.read(|connection| {
            let sql = "SELECT event_id, seq, attempts, error, failed_at FROM dead_letters
                WHERE project_id = ?1 AND name = ?2 ORDER BY seq LIMIT ?3";
            let mut statement = connection.prepare_cached(sql).carry()?;
            let project = project.uuid();
            let letter = |row: &Row<'_>| {
                Ok(DeadLetter {
                    event_id: row.id(0)?,
                    seq: row.number(1)?,
                    attempts: row.get(2)?,
                    error: row.get(3)?,
                    failed_at: row.instant(4)?,
                })
            };
            let rows = statement.query_map(params![project.as_bytes(), name, integer(limit)], letter).carry()?;
            rows.collect::<rusqlite::Result<_>>().carry()
        })
    }

    async fn remove_dead_letters(&self, project: ProjectId, name: &str, event_ids: &[Uuid]) -> Result<u64> {
        let (name, event_ids) = (name.to_owned(), event_ids.to_vec());
        let remove = move |connection: &Transaction<'_>| {
            let sql = "DELETE FROM dead_letters WHERE project_id = ?1 AND name = ?2 AND event_id = ?3";
            let mut statement = connection.prepare_cached(sql).carry()?;
            let project = project.uuid();
            let mut removed = 0;
            for id in &event_ids {
                removed += statement.execute(params![project.as_bytes(), name, id.as_bytes()]).carry()? as u64;
            }
            Ok::<_, Error>(removed)
        };
        self.writer.write(remove).await
    }
}
