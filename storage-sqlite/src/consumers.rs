//! Consumers: checkpoints, leases and dead letters.

use crate::SqliteStorage;
use crate::errors::Carry;
use crate::values::{Read, broken, integer};
use crate::writer::Transaction;
use async_trait::async_trait;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, ProjectId, Result, Subject, Timestamp};
use ventros::storage::{
    ConsumerOrdering, ConsumerProgress, ConsumerRecord, ConsumerRepository, ConsumerStatus, ConsumerWrite, DeadLetter,
    DeadLetterQuery, OnExhausted, Scope,
};

pub(crate) const COLUMNS: &str = "project_id, name, events, max_attempts, checkpoint, attempts, next_attempt_at, last_error, \
    lease_token, lease_owner, lease_until, created_at, status, generation, on_exhausted, \
    (SELECT count(*) FROM dead_letters d \
     WHERE d.project_id = consumers.project_id AND d.name = consumers.name AND d.retrying = 1), \
    ordering, batch_size, handler_timeout, \
    (SELECT count(*) FROM dead_letters d WHERE d.project_id = consumers.project_id AND d.name = consumers.name), \
    (SELECT min(d.waits_until) FROM dead_letters d \
     WHERE d.project_id = consumers.project_id AND d.name = consumers.name AND d.waits_until IS NOT NULL), \
    out_seq, lapsed";

/// A dead letter is found by its consumer and its event.
const OF_CONSUMER: &str = "project_id = ?1 AND name = ?2";

pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<ConsumerRecord> {
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
        status: ConsumerStatus::parse(row.get_ref(12)?.as_str()?)
            .ok_or_else(|| broken(12, Type::Text, "no status of a consumer"))?,
        generation: row.get(13)?,
        on_exhausted: OnExhausted::parse(row.get_ref(14)?.as_str()?)
            .map_err(|_| broken(14, Type::Text, "no end of tries of a consumer"))?,
        retrying: row.number(15)?,
        ordering: ConsumerOrdering::parse(row.get_ref(16)?.as_str()?)
            .map_err(|_| broken(16, Type::Text, "no ordering of a consumer"))?,
        batch_size: row.get(17)?,
        handler_timeout: row.get(18)?,
        letters: row.number(19)?,
        waits_until: row.optional_instant(20)?,
        out_seq: row.get::<_, Option<i64>>(21)?.map(|seq| u64::try_from(seq).unwrap_or_default()),
        lapsed: row.get(22)?,
    })
}

/// The planner knows nothing of letters and would walk all of a consumer's: they have an order already.
const BY_STREAM: &str = "INDEXED BY dead_letters_stream";

/// What is read of a dead letter, in the order of [`letter`].
pub(crate) const LETTER: &str =
    "event_id, seq, attempts, error, failed_at, retrying, stream_kind, stream_id, waits_until, is_held";

pub(crate) fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        event_id: row.id(0)?,
        seq: row.number(1)?,
        attempts: row.get(2)?,
        error: row.get(3)?,
        failed_at: row.instant(4)?,
        retrying: row.get(5)?,
        stream: match row.optional_id(7)? {
            Some(id) => Some(Subject::new(row.kind(6)?, id)),
            None => None,
        },
        waits_until: row.optional_instant(8)?,
        is_held: row.get(9)?,
    })
}

/// Writes what a worker did; false when its lease is not the current one.
pub(crate) fn progress(connection: &Connection, progress: &ConsumerProgress) -> Result<bool> {
    let sql = "UPDATE consumers SET checkpoint = ?4, attempts = ?5, next_attempt_at = ?6, last_error = ?7,
            out_seq = CASE WHEN ?8 THEN NULL ELSE ?10 END,
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
        progress.out_seq.map(integer),
    ];
    if connection.prepare_cached(sql).carry()?.execute(values).carry()? == 0 {
        return Ok(false);
    }
    if let Some(id) = progress.resolved {
        discard(connection, progress.project_id, &progress.name, &[id])?;
    }
    for letter in &progress.letters {
        insert_letter(connection, progress.project_id, &progress.name, letter)?;
    }
    Ok(true)
}

/// In place of the one of the same event, if there is one.
pub(crate) fn insert_letter(
    connection: &Connection,
    project: ProjectId,
    consumer: &str,
    letter: &DeadLetter,
) -> Result<()> {
    let sql =
        "INSERT OR REPLACE INTO dead_letters (project_id, name, seq, event_id, attempts, error, failed_at, retrying, stream_kind,
            stream_id, waits_until, is_held)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let project = project.uuid();
    let stream_id = letter.stream.map(|stream| stream.id.into_bytes());
    let values = params![
        project.as_bytes(),
        consumer,
        integer(letter.seq),
        letter.event_id.as_bytes(),
        letter.attempts,
        letter.error,
        letter.failed_at.micros(),
        letter.retrying,
        letter.stream.map(|stream| stream.kind.as_str()),
        stream_id,
        letter.waits_until.map(Timestamp::micros),
        letter.is_held,
    ];
    connection.prepare_cached(sql).carry()?.execute(values).carry().map(|_| ())
}

/// The changes from outside of workers.
pub(crate) fn write(connection: &Connection, writes: &[ConsumerWrite]) -> Result<()> {
    for write in writes {
        match write {
            ConsumerWrite::Create(consumer) => insert(connection, consumer)?,
            ConsumerWrite::SetStatus { project_id, name, status } => {
                let sql = format!("UPDATE consumers SET status = ?3, {VOID_LEASE} WHERE {OF_CONSUMER}");
                let project = project_id.uuid();
                let values = params![project.as_bytes(), name, status.as_str()];
                connection.prepare_cached(&sql).carry()?.execute(values).carry()?;
            }
            ConsumerWrite::Reset { project_id, name, checkpoint } => {
                let sql = format!(
                    "UPDATE consumers SET checkpoint = ?3, generation = generation + 1, attempts = 0,
                         next_attempt_at = NULL, last_error = NULL, {VOID_LEASE} WHERE {OF_CONSUMER}"
                );
                let project = project_id.uuid();
                let values = params![project.as_bytes(), name, integer(*checkpoint)];
                connection.prepare_cached(&sql).carry()?.execute(values).carry()?;
                let sql = format!("DELETE FROM dead_letters WHERE {OF_CONSUMER} AND seq > ?3");
                connection.prepare_cached(&sql).carry()?.execute(values).carry()?;
            }
            ConsumerWrite::RetryDeadLetters { project_id, name, event_ids } => {
                let sql = format!("UPDATE dead_letters SET retrying = 1 WHERE {OF_CONSUMER} AND event_id = ?3");
                each_letter(connection, &sql, *project_id, name, event_ids)?;
                let sql = format!("UPDATE consumers SET next_attempt_at = NULL WHERE {OF_CONSUMER}");
                let project = project_id.uuid();
                connection.prepare_cached(&sql).carry()?.execute(params![project.as_bytes(), name]).carry()?;
            }
            ConsumerWrite::DiscardDeadLetters { project_id, name, event_ids } => {
                discard(connection, *project_id, name, event_ids)?;
            }
            ConsumerWrite::Delete { project_id, name } => {
                for table in ["dead_letters", "consumers"] {
                    let sql = format!("DELETE FROM {table} WHERE {OF_CONSUMER}");
                    let project = project_id.uuid();
                    connection.prepare_cached(&sql).carry()?.execute(params![project.as_bytes(), name]).carry()?;
                }
            }
        }
    }
    Ok(())
}

const VOID_LEASE: &str = "lease_token = lease_token + 1, lease_owner = NULL, lease_until = NULL, out_seq = NULL";

fn discard(connection: &Connection, project: ProjectId, name: &str, event_ids: &[Uuid]) -> Result<()> {
    let sql = format!("DELETE FROM dead_letters WHERE {OF_CONSUMER} AND event_id = ?3");
    each_letter(connection, &sql, project, name, event_ids)
}

fn each_letter(connection: &Connection, sql: &str, project: ProjectId, name: &str, event_ids: &[Uuid]) -> Result<()> {
    let mut statement = connection.prepare_cached(sql).carry()?;
    let project = project.uuid();
    for id in event_ids {
        statement.execute(params![project.as_bytes(), name, id.as_bytes()]).carry()?;
    }
    Ok(())
}

/// Keeps a known one as it is. Nobody has its lease.
pub(crate) fn insert(connection: &Connection, consumer: &ConsumerRecord) -> Result<()> {
    let sql = "INSERT INTO consumers (project_id, name, events, max_attempts, checkpoint, attempts, next_attempt_at,
            last_error, lease_token, created_at, status, generation, on_exhausted, ordering, batch_size, handler_timeout)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT DO NOTHING";
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
        consumer.status.as_str(),
        consumer.generation,
        consumer.on_exhausted.as_str(),
        consumer.ordering.as_str(),
        consumer.batch_size,
        consumer.handler_timeout,
    ];
    connection.prepare_cached(sql).carry()?.execute(values).carry()?;
    Ok(())
}

fn open(connection: &Connection, consumer: &ConsumerRecord) -> Result<ConsumerRecord> {
    insert(connection, consumer)?;
    let sql = format!("UPDATE consumers SET events = ?3, max_attempts = ?4 WHERE {OF_CONSUMER} RETURNING {COLUMNS}");
    let events = serde_json::to_string(&consumer.events)
        .map_err(|error| Error::internal(format!("event types do not serialise: {error}")))?;
    let project = consumer.project_id.0.uuid();
    let values = params![project.as_bytes(), consumer.name, events, consumer.max_attempts];
    connection.prepare_cached(&sql).carry()?.query_row(values, record).carry()
}

fn get(connection: &Connection, project: ProjectId, name: &str) -> Result<Option<ConsumerRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM consumers WHERE project_id = ?1 AND name = ?2");
    let project = project.uuid();
    connection.prepare_cached(&sql).carry()?.query_row(params![project.as_bytes(), name], record).optional().carry()
}

fn is_free(consumer: &ConsumerRecord, now: Timestamp) -> bool {
    consumer.status == ConsumerStatus::Active
        && consumer.lease_until.is_none_or(|until| until <= now)
        && consumer.next_attempt_at.is_none_or(|at| at <= now)
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
                "UPDATE consumers SET lease_token = lease_token + 1, lease_owner = ?3, lease_until = ?4,
                     lapsed = out_seq IS NOT NULL, out_seq = COALESCE(out_seq, 0)
                 WHERE project_id = ?1 AND name = ?2 AND status = 'active' AND (lease_until IS NULL OR lease_until <= ?5)
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

    async fn dead_letters(&self, project: ProjectId, name: &str, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>> {
        self.read(|connection| {
            let retrying = match query.retrying {
                None => "",
                Some(true) => " AND retrying = 1",
                Some(false) => " AND retrying = 0",
            };
            let given_up = if query.given_up { " AND waits_until IS NULL AND is_held = 0" } else { "" };
            let (stream, whose) = match query.stream {
                None => ("", None),
                Some(stream) => (" AND stream_kind = ?5 AND stream_id = ?6", Some(stream)),
            };
            let index = if whose.is_some() { BY_STREAM } else { "" };
            let sql = format!(
                "SELECT {LETTER} FROM dead_letters {index}
                 WHERE {OF_CONSUMER} AND seq > ?3{retrying}{given_up}{stream} ORDER BY seq LIMIT ?4"
            );
            let mut statement = connection.prepare_cached(&sql).carry()?;
            let project = project.uuid();
            let (after, limit) = (integer(query.after), integer(query.limit));
            let rows = match whose {
                None => statement.query_map(params![project.as_bytes(), name, after, limit], letter),
                Some(Subject { kind, id }) => {
                    let values = params![project.as_bytes(), name, after, limit, kind.as_str(), id.as_bytes()];
                    statement.query_map(values, letter)
                }
            };
            rows.carry()?.collect::<rusqlite::Result<_>>().carry()
        })
    }

    async fn due_letter(&self, project: ProjectId, name: &str, now: Timestamp) -> Result<Option<DeadLetter>> {
        self.read(|connection| {
            let sql = format!(
                "SELECT {LETTER} FROM dead_letters INDEXED BY dead_letters_retrying WHERE {OF_CONSUMER} AND retrying = 1
                 UNION ALL SELECT {LETTER} FROM dead_letters INDEXED BY dead_letters_waiting
                 WHERE {OF_CONSUMER} AND waits_until <= ?3 ORDER BY seq LIMIT 1"
            );
            let project = project.uuid();
            let values = params![project.as_bytes(), name, now.micros()];
            connection.prepare_cached(&sql).carry()?.query_row(values, letter).optional().carry()
        })
    }

    async fn first_letters(&self, project: ProjectId, name: &str, streams: &[Subject]) -> Result<Vec<DeadLetter>> {
        self.read(|connection| {
            let sql = format!(
                "SELECT {LETTER} FROM dead_letters {BY_STREAM}
                 WHERE {OF_CONSUMER} AND stream_kind = ?3 AND stream_id = ?4 ORDER BY seq LIMIT 1"
            );
            let mut statement = connection.prepare_cached(&sql).carry()?;
            let project = project.uuid();
            let mut found = Vec::new();
            for Subject { kind, id } in streams {
                let values = params![project.as_bytes(), name, kind.as_str(), id.as_bytes()];
                found.extend(statement.query_row(values, letter).optional().carry()?);
            }
            Ok(found)
        })
    }
}
