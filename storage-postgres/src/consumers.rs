//! Consumers: checkpoints, leases and dead letters.

use crate::PostgresStorage;
use crate::session::{Call, Reach};
use crate::values::{Read, instant, integer, optional_instant, optional_text, sql, text};
use async_trait::async_trait;
use tokio_postgres::Row;
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, ProjectId, Result, Subject, Timestamp};
use ventros::storage::{
    Batch, CommitError, ConsumerOrdering, ConsumerProgress, ConsumerRecord, ConsumerRepository, ConsumerStatus,
    ConsumerWrite, DeadLetter, DeadLetterQuery, OnExhausted, Scope, Storage,
};

pub(crate) const COLUMNS: &str = "project_id, name, events::text, max_attempts, checkpoint, attempts, next_attempt_at, last_error, \
    lease_token, lease_owner, lease_until, created_at, status, generation, on_exhausted, \
    (SELECT count(*) FROM @dead_letters d \
     WHERE d.project_id = @consumers.project_id AND d.name = @consumers.name AND d.retrying), \
    ordering, batch_size, handler_timeout, \
    (SELECT count(*) FROM @dead_letters d WHERE d.project_id = @consumers.project_id AND d.name = @consumers.name), \
    (SELECT min(d.waits_until) FROM @dead_letters d \
     WHERE d.project_id = @consumers.project_id AND d.name = @consumers.name AND d.waits_until IS NOT NULL), \
    out_seq, lapsed";

pub(crate) fn record(row: &Row) -> Result<ConsumerRecord> {
    Ok(ConsumerRecord {
        project_id: row.project_or_nil(0)?,
        name: row.read(1)?,
        events: serde_json::from_str(row.read(2)?)
            .map_err(|_| Error::corrupt("the event types of a stored consumer cannot be read"))?,
        max_attempts: row.small(3)?,
        checkpoint: row.number(4)?,
        attempts: row.small(5)?,
        next_attempt_at: row.optional_instant(6)?,
        last_error: row.read(7)?,
        lease_token: row.number(8)?,
        lease_owner: row.read(9)?,
        lease_until: row.optional_instant(10)?,
        created_at: row.instant(11)?,
        status: ConsumerStatus::parse(row.read(12)?)
            .ok_or_else(|| Error::corrupt("the status of a stored consumer cannot be read"))?,
        generation: row.small(13)?,
        on_exhausted: OnExhausted::parse(row.read(14)?)
            .map_err(|_| Error::corrupt("the end of tries of a stored consumer cannot be read"))?,
        retrying: row.number(15)?,
        ordering: ConsumerOrdering::parse(row.read(16)?)
            .map_err(|_| Error::corrupt("the ordering of a stored consumer cannot be read"))?,
        batch_size: row.small(17)?,
        handler_timeout: row.small(18)?,
        letters: row.number(19)?,
        waits_until: row.optional_instant(20)?,
        out_seq: row.read::<Option<i64>>(21)?.map(|seq| u64::try_from(seq).unwrap_or_default()),
        lapsed: row.read(22)?,
    })
}

/// What is read of a dead letter, in the order of [`letter`].
pub(crate) const LETTER: &str =
    "event_id, seq, attempts, error, failed_at, retrying, stream_kind, stream_id, waits_until, is_held";

pub(crate) fn letter(row: &Row) -> Result<DeadLetter> {
    Ok(DeadLetter {
        event_id: row.id(0)?,
        seq: row.number(1)?,
        attempts: row.small(2)?,
        error: row.read(3)?,
        failed_at: row.instant(4)?,
        retrying: row.read(5)?,
        stream: match row.read::<Option<Uuid>>(7)? {
            Some(id) => Some(Subject::new(row.kind(6)?, id)),
            None => None,
        },
        waits_until: row.optional_instant(8)?,
        is_held: row.read(9)?,
    })
}

/// Writes what a worker did; no row comes back when its lease is not the current one.
pub(crate) fn progress(progress: &ConsumerProgress) -> Call {
    let update = "UPDATE @consumers SET checkpoint = $4, attempts = $5, next_attempt_at = $6, last_error = $7,
            out_seq = CASE WHEN $8 THEN NULL ELSE $10::int8 END,
            lease_owner = CASE WHEN $8 THEN NULL ELSE lease_owner END,
            lease_until = CASE WHEN $8 THEN NULL ELSE coalesce($9, lease_until) END
        WHERE project_id = $1 AND name = $2 AND lease_token = $3 AND lease_owner IS NOT NULL RETURNING 1";
    let values = vec![
        sql(progress.project_id.uuid()),
        sql(text(&progress.name)),
        sql(integer(progress.lease_token)),
        sql(integer(progress.checkpoint)),
        sql(i64::from(progress.attempts)),
        sql(optional_instant(progress.next_attempt_at)),
        sql(optional_text(progress.last_error.as_ref())),
        sql(progress.release),
        sql(optional_instant(progress.lease_until)),
        sql(progress.out_seq.map(integer)),
    ];
    Call::new(update, values)
}

/// Forgets the event that a worker has handled after all, and keeps those that it put aside.
pub(crate) fn letters(progress: &ConsumerProgress) -> Vec<Call> {
    let resolved = progress.resolved.map(|id| discard(progress.project_id, &progress.name, vec![id]));
    let kept = progress.letters.iter().map(|letter| insert_letter(progress.project_id, &progress.name, letter));
    resolved.into_iter().chain(kept).collect()
}

/// In place of the one of the same event, if there is one.
pub(crate) fn insert_letter(project: ProjectId, consumer: &str, letter: &DeadLetter) -> Call {
    let insert =
        "INSERT INTO @dead_letters (project_id, name, seq, event_id, attempts, error, failed_at, retrying, stream_kind,
            stream_id, waits_until, is_held)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT (project_id, name, seq, event_id) DO UPDATE SET attempts = excluded.attempts,
            error = excluded.error, failed_at = excluded.failed_at, retrying = excluded.retrying,
            stream_kind = excluded.stream_kind, stream_id = excluded.stream_id, waits_until = excluded.waits_until,
            is_held = excluded.is_held";
    let values = vec![
        sql(project.uuid()),
        sql(text(consumer)),
        sql(integer(letter.seq)),
        sql(letter.event_id),
        sql(i64::from(letter.attempts)),
        sql(text(&letter.error)),
        sql(instant(letter.failed_at)),
        sql(letter.retrying),
        sql(letter.stream.map(|stream| stream.kind.as_str())),
        sql(letter.stream.map(|stream| stream.id)),
        sql(optional_instant(letter.waits_until)),
        sql(letter.is_held),
    ];
    Call::new(insert, values)
}

fn discard(project: ProjectId, name: &str, event_ids: Vec<Uuid>) -> Call {
    let delete = "DELETE FROM @dead_letters WHERE project_id = $1 AND name = $2 AND event_id = ANY($3)";
    Call::new(delete, vec![sql(project.uuid()), sql(text(name)), sql(event_ids)])
}

/// The changes from outside of workers.
pub(crate) fn write(writes: &[ConsumerWrite]) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for write in writes {
        let project = write.project().uuid();
        let of = |name: &str| vec![sql(project), sql(text(name))];
        match write {
            ConsumerWrite::Create(consumer) => calls.push(insert(consumer, "DO NOTHING")?),
            ConsumerWrite::SetStatus { name, status, .. } => {
                let update = "UPDATE @consumers SET status = $3, lease_token = lease_token + 1, lease_owner = NULL,
                    lease_until = NULL, out_seq = NULL WHERE project_id = $1 AND name = $2";
                calls.push(Call::new(update, of(name).into_iter().chain([sql(status.as_str())]).collect()));
            }
            ConsumerWrite::Reset { name, checkpoint, .. } => {
                let values = || of(name).into_iter().chain([sql(integer(*checkpoint))]).collect();
                let update = "UPDATE @consumers SET checkpoint = $3, generation = generation + 1, attempts = 0,
                    next_attempt_at = NULL, last_error = NULL, lease_token = lease_token + 1, lease_owner = NULL,
                    lease_until = NULL, out_seq = NULL WHERE project_id = $1 AND name = $2";
                calls.push(Call::new(update, values()));
                let delete = "DELETE FROM @dead_letters WHERE project_id = $1 AND name = $2 AND seq > $3";
                calls.push(Call::new(delete, values()));
            }
            ConsumerWrite::RetryDeadLetters { name, event_ids, .. } => {
                let update = "UPDATE @dead_letters SET retrying = true
                    WHERE project_id = $1 AND name = $2 AND event_id = ANY($3)";
                calls.push(Call::new(update, of(name).into_iter().chain([sql(event_ids.clone())]).collect()));
                let update = "UPDATE @consumers SET next_attempt_at = NULL WHERE project_id = $1 AND name = $2";
                calls.push(Call::new(update, of(name)));
            }
            ConsumerWrite::DiscardDeadLetters { project_id, name, event_ids } => {
                calls.push(discard(*project_id, name, event_ids.clone()));
            }
            ConsumerWrite::Delete { name, .. } => {
                calls.push(Call::new("DELETE FROM @consumers WHERE project_id = $1 AND name = $2", of(name)));
            }
        }
    }
    Ok(calls)
}

/// Inserts a consumer; `known` says what becomes of one that is there.
pub(crate) fn insert(consumer: &ConsumerRecord, known: &str) -> Result<Call> {
    let insert = format!(
        "INSERT INTO @consumers (project_id, name, events, max_attempts, checkpoint, attempts, next_attempt_at, last_error,
             lease_token, created_at, status, generation, on_exhausted, ordering, batch_size, handler_timeout)
         VALUES ($1, $2, $3::text::json, $4, $5, $6, $7, $8, 0, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (project_id, name) {known}"
    );
    let events = serde_json::to_string(&consumer.events)
        .map_err(|error| Error::internal(format!("event types do not serialise: {error}")))?;
    let values = vec![
        sql(consumer.project_id.0.uuid()),
        sql(text(&consumer.name)),
        sql(events),
        sql(i64::from(consumer.max_attempts)),
        sql(integer(consumer.checkpoint)),
        sql(i64::from(consumer.attempts)),
        sql(optional_instant(consumer.next_attempt_at)),
        sql(optional_text(consumer.last_error.as_ref())),
        sql(instant(consumer.created_at)),
        sql(consumer.status.as_str()),
        sql(i64::from(consumer.generation)),
        sql(consumer.on_exhausted.as_str()),
        sql(consumer.ordering.as_str()),
        sql(i64::from(consumer.batch_size)),
        sql(i64::from(consumer.handler_timeout)),
    ];
    Ok(Call { sql: insert.into(), values })
}

#[async_trait]
impl ConsumerRepository for PostgresStorage {
    async fn open_consumer(&self, consumer: &ConsumerRecord) -> Result<ConsumerRecord> {
        let id = consumer.project_id.0.uuid();
        let select = format!("SELECT {COLUMNS} FROM @consumers WHERE project_id = $1 AND name = $2");
        let call = Call { sql: select.into(), values: vec![sql(id), sql(text(&consumer.name))] };
        let found = self.read(Reach::Only(id), &[call]).await?;
        let known = found[0].first().map(record).transpose()?;
        let same =
            |known: &ConsumerRecord| known.events == consumer.events && known.max_attempts == consumer.max_attempts;
        if let Some(known) = known.filter(same) {
            return Ok(known);
        }
        let known = "DO UPDATE SET events = excluded.events, max_attempts = excluded.max_attempts";
        let opened = self.write(Reach::Only(id), &[insert(consumer, &format!("{known} RETURNING {COLUMNS}"))?]).await?;
        opened[0].first().map_or_else(|| Err(Error::internal("an opened consumer is gone")), record)
    }

    async fn consumers(&self, scope: Scope) -> Result<Vec<ConsumerRecord>> {
        let (condition, values) = match scope {
            Scope::Project(project) => ("project_id = $1", vec![sql(project.uuid())]),
            Scope::Installation => ("true", Vec::new()),
        };
        let select = format!("SELECT {COLUMNS} FROM @consumers WHERE {condition} ORDER BY project_id, name");
        let found = self.read(scope.into(), &[Call { sql: select.into(), values }]).await?;
        found[0].iter().map(record).collect()
    }

    async fn claim_consumer(
        &self,
        project: ProjectId,
        name: &str,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ConsumerRecord>> {
        let free = "project_id = $1 AND name = $2 AND status = 'active' AND (lease_until IS NULL OR lease_until <= $3)
            AND (next_attempt_at IS NULL OR next_attempt_at <= $3)";
        let reach = Reach::Only(project.uuid());
        let who = || vec![sql(project.uuid()), sql(text(name)), sql(instant(now))];
        // Most claims find nothing to take; they write nothing, not even a lock.
        let look = Call { sql: format!("SELECT 1 FROM @consumers WHERE {free}").into(), values: who() };
        if self.read(reach, &[look]).await?[0].is_empty() {
            return Ok(None);
        }
        let update = format!(
            "UPDATE @consumers SET lease_token = lease_token + 1, lease_owner = $4, lease_until = $5,
                 lapsed = out_seq IS NOT NULL, out_seq = coalesce(out_seq, 0) WHERE {free}
             RETURNING {COLUMNS}"
        );
        let values = who().into_iter().chain([sql(owner), sql(instant(until))]).collect();
        let claimed = self.write(reach, &[Call { sql: update.into(), values }]).await?;
        claimed[0].first().map(record).transpose()
    }

    async fn update_consumer(&self, update: &ConsumerProgress) -> Result<()> {
        let batch = Batch { consumer: Some(update.clone()), ..Batch::default() };
        match self.commit(batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::LeaseLost) => Err(ErrorCode::LeaseLost.into()),
            Err(CommitError::Store(error)) => Err(error),
            Err(other) => Err(Error::internal(format!("progress was refused: {other:?}"))),
        }
    }

    async fn dead_letters(&self, project: ProjectId, name: &str, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>> {
        let given_up = if query.given_up { " AND waits_until IS NULL AND NOT is_held" } else { "" };
        let stream = if query.stream.is_some() { " AND stream_kind = $6 AND stream_id = $7" } else { "" };
        let select = format!(
            "SELECT {LETTER} FROM @dead_letters
             WHERE project_id = $1 AND name = $2 AND seq > $3 AND retrying = coalesce($4, retrying){given_up}{stream}
             ORDER BY seq LIMIT $5"
        );
        let mut values = vec![
            sql(project.uuid()),
            sql(text(name)),
            sql(integer(query.after)),
            sql(query.retrying),
            sql(integer(query.limit)),
        ];
        if let Some(Subject { kind, id }) = query.stream {
            values.extend([sql(kind.as_str()), sql(id)]);
        }
        let found = self.read(Reach::Only(project.uuid()), &[Call { sql: select.into(), values }]).await?;
        found[0].iter().map(letter).collect()
    }

    async fn due_letter(&self, project: ProjectId, name: &str, now: Timestamp) -> Result<Option<DeadLetter>> {
        let of = "project_id = $1 AND name = $2";
        let select = format!(
            "SELECT * FROM (
                 (SELECT {LETTER} FROM @dead_letters WHERE {of} AND retrying ORDER BY seq LIMIT 1)
                 UNION ALL (SELECT {LETTER} FROM @dead_letters WHERE {of} AND waits_until <= $3)) AS due
             ORDER BY seq LIMIT 1"
        );
        let values = vec![sql(project.uuid()), sql(text(name)), sql(instant(now))];
        let found = self.read(Reach::Only(project.uuid()), &[Call { sql: select.into(), values }]).await?;
        found[0].first().map(letter).transpose()
    }

    async fn first_letters(&self, project: ProjectId, name: &str, streams: &[Subject]) -> Result<Vec<DeadLetter>> {
        let select = format!(
            "SELECT d.* FROM unnest($3::text[], $4::uuid[]) AS s (kind, id)
             CROSS JOIN LATERAL (
                 SELECT {LETTER} FROM @dead_letters l WHERE l.project_id = $1 AND l.name = $2
                     AND l.stream_kind = s.kind AND l.stream_id = s.id ORDER BY l.seq LIMIT 1) AS d"
        );
        let kinds: Vec<String> = streams.iter().map(|stream| stream.kind.as_str().to_owned()).collect();
        let ids: Vec<Uuid> = streams.iter().map(|stream| stream.id).collect();
        let values = vec![sql(project.uuid()), sql(text(name)), sql(kinds), sql(ids)];
        let found = self.read(Reach::Only(project.uuid()), &[Call { sql: select.into(), values }]).await?;
        found[0].iter().map(letter).collect()
    }
}
