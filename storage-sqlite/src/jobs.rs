//! Jobs. `due_at` says when a job may be claimed, so that claiming is one walk along an index however many wait in line: it is
//! kept right by whoever changes a line, see [`line_up`].

use crate::SqliteStorage;
use crate::errors::Carry;
use crate::query;
use crate::values::{Read, blob, broken, integer};
use crate::writer::Transaction;
use async_trait::async_trait;
use rusqlite::types::{Type, Value as Sql};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use std::ops::ControlFlow;
use uuid::Uuid;
use ventros::kernel::{Error, ProjectId, Result, Timestamp};
use ventros::storage::{
    AttemptRecord, JobClaim, JobQuery, JobRecord, JobRepository, JobState, JobTimes, JobWrite, KEPT_ATTEMPTS, OnDead,
    Scope,
};

pub(crate) const COLUMNS: &str = "id, project_id, queue, kind, unique_key, order_key, payload, run_at, state, attempt, lease_token, \
    lease_until, last_error, result, created_at, finished_at, max_attempts, correlation_id, causation_id, on_dead, due_at, \
    priority, started_at, history";

pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<JobRecord> {
    let state =
        JobState::parse(row.get_ref(8)?.as_str()?).ok_or_else(|| broken(8, Type::Text, "an unknown state of a job"))?;
    let due_at = row.optional_instant(20)?;
    Ok(JobRecord {
        id: row.id(0)?,
        project_id: row.project_or_nil(1)?,
        queue: row.get(2)?,
        kind: row.get(3)?,
        unique_key: row.get(4)?,
        order_key: row.get(5)?,
        payload: row.get(6)?,
        run_at: row.instant(7)?,
        state,
        attempt: row.get(9)?,
        lease_token: row.number(10)?,
        lease_until: row.optional_instant(11)?,
        last_error: row.get(12)?,
        result: row.get(13)?,
        created_at: row.instant(14)?,
        finished_at: row.optional_instant(15)?,
        max_attempts: row.get(16)?,
        correlation_id: row.optional_id(17)?,
        causation_id: row.optional_id(18)?,
        on_dead: OnDead::parse(row.get_ref(19)?.as_str()?)
            .map_err(|_| broken(19, Type::Text, "an unknown death of a job"))?,
        priority: row.get(21)?,
        started_at: row.optional_instant(22)?,
        history: AttemptRecord::read(row.get_ref(23)?.as_str_or_null()?)
            .map_err(|_| broken(23, Type::Text, "the tries of a job cannot be read"))?,
        waiting_order: state == JobState::Scheduled && due_at.is_none(),
    })
}

/// Ends, puts back or keeps claimed jobs; false when a token is not the current one. It comes before all other changes to jobs.
pub(crate) fn finish(connection: &Connection, writes: &[JobWrite]) -> Result<bool> {
    for write in writes {
        if let JobWrite::Extend { project_id, id, lease_token, until } = write {
            let sql = "UPDATE jobs SET lease_until = ?4, due_at = ?4
                WHERE project_id = ?1 AND id = ?2 AND lease_token = ?3 AND state = 'running'";
            let project = project_id.uuid();
            let values = params![project.as_bytes(), id.as_bytes(), integer(*lease_token), until.micros()];
            if connection.prepare_cached(sql).carry()?.execute(values).carry()? == 0 {
                return Ok(false);
            }
        }
        let JobWrite::Finish { project_id, id, lease_token, state, run_at, attempt, error, result, history, at } =
            write
        else {
            continue;
        };
        let sql =
            "UPDATE jobs SET state = ?3, run_at = COALESCE(?4, run_at), attempt = ?5, last_error = ?6, result = ?7,
                finished_at = ?8, lease_until = NULL, lease_owner = NULL,
                due_at = CASE WHEN ?8 IS NULL THEN COALESCE(?4, run_at) END, history = ?10
            WHERE id = ?1 AND lease_token = ?2 AND state = 'running' AND project_id = ?9 RETURNING order_key";
        let project = project_id.uuid();
        let values = params![
            id.as_bytes(),
            integer(*lease_token),
            state.as_str(),
            run_at.map(Timestamp::micros),
            attempt,
            error,
            result,
            (!state.is_open()).then(|| at.micros()),
            project.as_bytes(),
            AttemptRecord::written(history)?,
        ];
        let mut statement = connection.prepare_cached(sql).carry()?;
        let found = statement.query_row(values, |row| row.get(0)).optional().carry()?;
        let Some(order_key) = found else { return Ok(false) };
        line_up(connection, *project_id, order_key)?;
    }
    Ok(true)
}

/// An open job that has a unique key that nobody may have.
pub(crate) fn taken(connection: &Connection, writes: &[JobWrite]) -> Result<Option<Uuid>> {
    let sql = "SELECT id FROM jobs WHERE project_id = ?1 AND unique_key = ?2 AND finished_at IS NULL";
    for write in writes {
        let (project, key) = match write {
            JobWrite::Create(JobRecord { project_id, unique_key: Some(key), .. }) => (project_id.0.uuid(), key),
            JobWrite::Vacant { project_id, unique_key, .. } => (project_id.uuid(), unique_key),
            _ => continue,
        };
        let mut statement = connection.prepare_cached(sql).carry()?;
        let taken = statement.query_row(params![project.as_bytes(), key], |row| row.id(0)).optional().carry()?;
        if taken.is_some() {
            return Ok(taken);
        }
    }
    Ok(None)
}

/// All other changes, in their order.
pub(crate) fn write(connection: &Connection, writes: &[JobWrite]) -> Result<()> {
    for write in writes {
        match write {
            JobWrite::Finish { .. } | JobWrite::Extend { .. } | JobWrite::Vacant { .. } => {}
            JobWrite::Enqueue(job) | JobWrite::Create(job) => {
                insert(connection, job)?;
            }
            JobWrite::Schedule(job) => {
                if !reschedule(connection, job)? {
                    insert(connection, job)?;
                }
            }
            JobWrite::Cancel { project_id, unique_key, at } => cancel(connection, *project_id, unique_key, *at)?,
            JobWrite::CancelJob { project_id, id, at } => cancel_by_id(connection, *project_id, *id, *at)?,
            JobWrite::Release { project_id, ids, run_at } => {
                for id in ids {
                    release(connection, *project_id, *id, *run_at)?;
                }
            }
            JobWrite::Purge { finished_before, dead_before } => purge(connection, *finished_before, *dead_before)?,
        }
    }
    Ok(())
}

/// Inserts unless its unique key is held by an open job.
pub(crate) fn insert(connection: &Connection, job: &JobRecord) -> Result<()> {
    let sql = format!(
        "INSERT INTO jobs ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (project_id, unique_key) WHERE unique_key IS NOT NULL AND finished_at IS NULL DO NOTHING"
    );
    let project = job.project_id.0.uuid();
    let due_at = match job.state {
        JobState::Running => job.lease_until,
        state => state.is_open().then_some(job.run_at),
    };
    let values = params![
        job.id.as_bytes(),
        project.as_bytes(),
        job.queue,
        job.kind,
        job.unique_key,
        job.order_key,
        job.payload,
        job.run_at.micros(),
        job.state.as_str(),
        job.attempt,
        integer(job.lease_token),
        job.lease_until.map(Timestamp::micros),
        job.last_error,
        job.result,
        job.created_at.micros(),
        job.finished_at.map(Timestamp::micros),
        job.max_attempts,
        job.correlation_id.as_ref().map(Uuid::as_bytes),
        job.causation_id.as_ref().map(Uuid::as_bytes),
        job.on_dead.as_str(),
        due_at.map(Timestamp::micros),
        job.priority,
        job.started_at.map(Timestamp::micros),
        AttemptRecord::written(&job.history)?,
    ];
    if connection.prepare_cached(&sql).carry()?.execute(values).carry()? == 1 {
        line_up(connection, job.project_id.0, job.order_key.clone())?;
    }
    Ok(())
}

/// Moves the open job of the same unique key; false when there is none.
fn reschedule(connection: &Connection, job: &JobRecord) -> Result<bool> {
    let Some(key) = &job.unique_key else { return Ok(false) };
    let sql = "UPDATE jobs SET run_at = ?3, due_at = ?3, payload = ?4, priority = ?5,
            lease_token = lease_token + (state = 'running'), lease_until = NULL, lease_owner = NULL, state = 'scheduled'
        WHERE project_id = ?1 AND unique_key = ?2 AND finished_at IS NULL RETURNING order_key";
    let project = job.project_id.0.uuid();
    let values = params![project.as_bytes(), key, job.run_at.micros(), job.payload, job.priority];
    let mut statement = connection.prepare_cached(sql).carry()?;
    let found: Option<Option<String>> = statement.query_row(values, |row| row.get(0)).optional().carry()?;
    let Some(order_key) = found else { return Ok(false) };
    line_up(connection, job.project_id.0, order_key)?;
    Ok(true)
}

fn cancel(connection: &Connection, project: ProjectId, key: &str, at: Timestamp) -> Result<()> {
    let sql = "UPDATE jobs SET lease_token = lease_token + (state = 'running'), lease_until = NULL, lease_owner = NULL,
            state = 'cancelled', finished_at = ?3, due_at = NULL
        WHERE project_id = ?1 AND unique_key = ?2 AND finished_at IS NULL RETURNING order_key";
    let id = project.uuid();
    let mut statement = connection.prepare_cached(sql).carry()?;
    let values = params![id.as_bytes(), key, at.micros()];
    let found: Option<Option<String>> = statement.query_row(values, |row| row.get(0)).optional().carry()?;
    line_up(connection, project, found.flatten())
}

fn cancel_by_id(connection: &Connection, project: ProjectId, id: Uuid, at: Timestamp) -> Result<()> {
    let sql = "UPDATE jobs SET lease_token = lease_token + (state = 'running'), lease_until = NULL, lease_owner = NULL,
            state = 'cancelled', finished_at = ?3, due_at = NULL
        WHERE id = ?2 AND project_id = ?1 AND (finished_at IS NULL OR state = 'dead') RETURNING order_key";
    let of = project.uuid();
    let mut statement = connection.prepare_cached(sql).carry()?;
    let values = params![of.as_bytes(), id.as_bytes(), at.micros()];
    let found: Option<Option<String>> = statement.query_row(values, |row| row.get(0)).optional().carry()?;
    line_up(connection, project, found.flatten())
}

fn release(connection: &Connection, project: ProjectId, id: Uuid, run_at: Timestamp) -> Result<()> {
    let sql = "UPDATE jobs AS j SET attempt = CASE state WHEN 'dead' THEN 0 ELSE attempt END,
            state = 'scheduled', run_at = ?3, due_at = ?3, finished_at = NULL
        WHERE id = ?2 AND project_id = ?1 AND (state IN ('parked', 'scheduled') OR state = 'dead' AND NOT EXISTS (
            SELECT 1 FROM jobs o
            WHERE o.project_id = j.project_id AND o.unique_key = j.unique_key AND o.finished_at IS NULL))
        RETURNING order_key";
    let project_bytes = project.uuid();
    let mut statement = connection.prepare_cached(sql).carry()?;
    let values = params![project_bytes.as_bytes(), id.as_bytes(), run_at.micros()];
    let found: Option<Option<String>> = statement.query_row(values, |row| row.get(0)).optional().carry()?;
    line_up(connection, project, found.flatten())
}

fn purge(connection: &Connection, finished: Timestamp, dead: Timestamp) -> Result<()> {
    let deletions = [
        ("DELETE FROM jobs WHERE finished_at < ?1 AND state <> 'dead'", finished),
        // One that holds its order key is kept until somebody decides.
        (
            "DELETE FROM jobs WHERE finished_at < ?1 AND state = 'dead' AND (on_dead <> 'block' OR order_key IS NULL)",
            dead,
        ),
        ("DELETE FROM idempotency_keys WHERE expires_at < ?1", finished),
    ];
    for (sql, before) in deletions {
        connection.prepare_cached(sql).carry()?.execute([before.micros()]).carry()?;
    }
    Ok(())
}

/// Sets `due_at` along one line: a running job holds back all others, and so does a dead one that blocks it; else the first scheduled one holds back the scheduled ones
/// behind it. No statement here looks at those that wait, however many they are.
fn line_up(connection: &Connection, project: ProjectId, order_key: Option<String>) -> Result<()> {
    let Some(order_key) = order_key else { return Ok(()) };
    let project = project.uuid();
    let line = params![project.as_bytes(), order_key];
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).carry()
    };
    let running =
        "SELECT 1 FROM jobs WHERE project_id = ?1 AND order_key = ?2 AND finished_at IS NULL AND state = 'running'";
    let blocking =
        "SELECT 1 FROM jobs WHERE project_id = ?1 AND order_key = ?2 AND state = 'dead' AND on_dead = 'block'";
    let exists = |sql| connection.prepare_cached(sql).and_then(|mut statement| statement.exists(line)).carry();
    if exists(running)? || exists(blocking)? {
        let sql = "UPDATE jobs SET due_at = NULL
            WHERE project_id = ?1 AND order_key = ?2 AND due_at IS NOT NULL AND state <> 'running'";
        return run(sql, line).map(|_| ());
    }
    let sql =
        "SELECT id FROM jobs WHERE project_id = ?1 AND order_key = ?2 AND finished_at IS NULL AND state = 'scheduled'
        ORDER BY id LIMIT 1";
    let first = connection.prepare_cached(sql).carry()?.query_row(line, |row| row.id(0)).optional().carry()?;
    if let Some(first) = first {
        let sql = "UPDATE jobs SET due_at = NULL
            WHERE project_id = ?1 AND order_key = ?2 AND due_at IS NOT NULL AND state = 'scheduled' AND id <> ?3";
        run(sql, params![project.as_bytes(), order_key, first.as_bytes()])?;
        run("UPDATE jobs SET due_at = run_at WHERE id = ?1 AND due_at IS NULL", params![first.as_bytes()])?;
    }
    let sql = "UPDATE jobs SET due_at = run_at WHERE project_id = ?1 AND order_key = ?2 AND finished_at IS NULL
        AND state = 'parked' AND due_at IS NULL";
    run(sql, line).map(|_| ())
}

/// Takes due jobs one by one, because each one changes what is due in its line.
fn claim(connection: &Connection, claim: &JobClaim<'_>) -> Result<Vec<JobRecord>> {
    let rows = match claim.project {
        Some(project) => rows(due_of(connection, claim, Some(project))?),
        None if claim.is_fair => due_in_turn(connection, claim)?,
        None => rows(due_of(connection, claim, None)?),
    };
    // A try that was never reported ended with its lease.
    let sql = format!(
        "UPDATE jobs SET history = CASE state WHEN 'running' THEN json_insert(
                CASE WHEN json_array_length(history) >= {KEPT_ATTEMPTS} THEN json_remove(history, '$[0]')
                    ELSE COALESCE(history, '[]') END,
                '$[#]', json_object('attempt', attempt, 'started_at', COALESCE(started_at, lease_until),
                    'ended_at', lease_until, 'outcome', 'failed', 'error_class', 'lease_lost')) ELSE history END,
             started_at = ?4, state = 'running', attempt = attempt + 1, lease_token = lease_token + 1, lease_owner = ?2,
             lease_until = ?3, due_at = ?3 WHERE row = ?1 AND due_at <= ?4 RETURNING {COLUMNS}"
    );
    let mut statement = connection.prepare_cached(&sql).carry()?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let values = params![row, claim.owner.as_bytes(), claim.until.micros(), claim.now.micros()];
        if let Some(job) = statement.query_row(values, record).optional().carry()? {
            line_up(connection, job.project_id.0, job.order_key.clone())?;
            claimed.push(job);
        }
    }
    Ok(claimed)
}

/// A due job: when it was, its id and its row.
type Due = (i64, Vec<u8>, i64);

fn rows(due: Vec<Due>) -> Vec<i64> {
    due.into_iter().map(|(_, _, row)| row).collect()
}

/// The priorities that jobs of a queue have which are not held back, the highest first: one step along an index for each.
fn each_priority(
    connection: &Connection,
    queue: &str,
    project: Option<ProjectId>,
    mut visit: impl FnMut(i16) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let sql = match project {
        Some(_) => {
            "SELECT priority FROM jobs WHERE queue = ?1 AND project_id = ?3 AND due_at IS NOT NULL AND priority < ?2
            ORDER BY priority DESC LIMIT 1"
        }
        None => {
            "SELECT priority FROM jobs WHERE queue = ?1 AND due_at IS NOT NULL AND priority < ?2
            ORDER BY priority DESC LIMIT 1"
        }
    };
    let mut next = connection.prepare_cached(sql).carry()?;
    let project = project.map(ProjectId::uuid);
    let mut below = i64::from(i16::MAX) + 1;
    loop {
        let found = match &project {
            Some(project) => next.query_row(params![queue, below, project.as_bytes()], |row| row.get(0)),
            None => next.query_row(params![queue, below], |row| row.get(0)),
        };
        let Some(priority) = found.optional().carry()? else { return Ok(()) };
        below = i64::from(priority);
        if visit(priority)?.is_break() {
            return Ok(());
        }
    }
}

/// The due jobs of a queue, or those of one project: the highest priority first, of one priority the earliest.
fn due_of(connection: &Connection, claim: &JobClaim<'_>, project: Option<ProjectId>) -> Result<Vec<Due>> {
    let sql = match project {
        Some(_) => {
            "SELECT due_at, id, row FROM jobs WHERE queue = ?1 AND project_id = ?5 AND priority = ?2 AND due_at <= ?3
            ORDER BY due_at, id LIMIT ?4"
        }
        None => {
            "SELECT due_at, id, row FROM jobs WHERE queue = ?1 AND priority = ?2 AND due_at <= ?3
            ORDER BY due_at, id LIMIT ?4"
        }
    };
    let mut statement = connection.prepare_cached(sql).carry()?;
    let of = project.map(ProjectId::uuid);
    let mut due: Vec<Due> = Vec::new();
    each_priority(connection, claim.queue, project, |priority| {
        let (now, left) = (claim.now.micros(), integer(claim.limit - due.len()));
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let found = match &of {
            Some(of) => statement.query_map(params![claim.queue, priority, now, left, of.as_bytes()], read),
            None => statement.query_map(params![claim.queue, priority, now, left], read),
        };
        due.extend(found.carry()?.collect::<rusqlite::Result<Vec<Due>>>().carry()?);
        Ok(if due.len() < claim.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(due)
}

/// The first due job of every project, then the second of every one, and so on; those of one round as they are due.
fn due_in_turn(connection: &Connection, claim: &JobClaim<'_>) -> Result<Vec<i64>> {
    let sql = "SELECT project_id FROM jobs WHERE queue = ?1 AND due_at IS NOT NULL AND project_id > ?2
        ORDER BY project_id LIMIT 1";
    let mut next = connection.prepare_cached(sql).carry()?;
    // Below the nil id, which is the system's own.
    let mut after: Vec<u8> = Vec::new();
    let mut in_turn: Vec<(usize, Due)> = Vec::new();
    while let Some(project) = next.query_row(params![claim.queue, after], |row| row.id(0)).optional().carry()? {
        after = project.as_bytes().to_vec();
        in_turn.extend(due_of(connection, claim, Some(ProjectId::from_uuid(project)))?.into_iter().enumerate());
    }
    in_turn.sort_unstable();
    Ok(in_turn.into_iter().take(claim.limit).map(|(_, (_, _, row))| row).collect())
}

fn next_due(connection: &Connection, queue: &str) -> Result<Option<Timestamp>> {
    let sql =
        "SELECT due_at FROM jobs WHERE queue = ?1 AND priority = ?2 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1";
    let mut statement = connection.prepare_cached(sql).carry()?;
    let mut next: Option<Timestamp> = None;
    each_priority(connection, queue, None, |priority| {
        let due = statement.query_row(params![queue, priority], |row| row.instant(0)).optional().carry()?;
        next = next.into_iter().chain(due).min();
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(next)
}

/// A query for jobs, with its values.
pub(crate) fn select(scope: Scope, query: &JobQuery) -> (String, Vec<Sql>) {
    let mut sql = format!("SELECT {COLUMNS} FROM jobs WHERE 1");
    let mut values = Vec::new();
    if let Scope::Project(project) = scope {
        sql.push_str(" AND project_id = ?");
        values.push(blob(project.uuid()));
    }
    for (column, wanted) in [("queue", &query.queue), ("kind", &query.kind)] {
        if let Some(wanted) = wanted {
            // The line by id is the one to walk along, whatever is asked for.
            sql.push_str(&format!(" AND +{column} = ?"));
            values.push(Sql::Text(wanted.clone()));
        }
    }
    if !query.states.is_empty() {
        sql.push_str(&format!(" AND state IN (?{})", ", ?".repeat(query.states.len() - 1)));
        values.extend(query.states.iter().map(|state| Sql::Text(state.as_str().to_owned())));
    }
    // Few jobs have keys of one prefix: they are looked up and sorted, while all others are a walk along the ids.
    let id = if query.unique_key_prefix.is_some() { "+id" } else { "id" };
    if let Some(prefix) = &query.unique_key_prefix {
        sql.push_str(" AND unique_key >= ?");
        values.push(Sql::Text(prefix.clone()));
        if let Some(end) = query::after_prefix(prefix) {
            sql.push_str(" AND unique_key < ?");
            values.push(Sql::Text(end));
        }
    }
    if let Some(before) = query.before {
        sql.push_str(&format!(" AND {id} < ?"));
        values.push(blob(before));
    }
    sql.push_str(&format!(" ORDER BY {id} DESC LIMIT ?"));
    values.push(Sql::Integer(integer(query.limit)));
    (sql, values)
}

#[async_trait]
impl JobRepository for SqliteStorage {
    async fn claim_jobs(&self, wanted: JobClaim<'_>) -> Result<Vec<JobRecord>> {
        // Workers ask far more often than there is work; asking must not wait for the writer.
        if self.read(|connection| next_due(connection, wanted.queue))?.is_none_or(|at| at > wanted.now) {
            return Ok(Vec::new());
        }
        let queue = wanted.queue.to_owned();
        let JobClaim { project, is_fair, owner, now, until, limit, .. } = wanted;
        let take = move |connection: &Transaction<'_>| {
            claim(connection, &JobClaim { queue: &queue, project, is_fair, owner, now, until, limit })
        };
        self.writer.write::<_, Error>(take).await
    }

    async fn job(&self, scope: Scope, id: Uuid) -> Result<Option<JobRecord>> {
        let found = self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
            connection.prepare_cached(&sql).carry()?.query_row([id.as_bytes()], record).optional().carry()
        })?;
        Ok(found.filter(|job| scope.sees(job.project_id.0)))
    }

    async fn jobs(&self, scope: Scope, query: &JobQuery) -> Result<Vec<JobRecord>> {
        let (sql, values) = select(scope, query);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql).carry()?;
            let rows = statement.query_map(params_from_iter(values), record).carry()?;
            rows.collect::<rusqlite::Result<_>>().carry()
        })
    }

    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>> {
        self.read(|connection| next_due(connection, queue))
    }

    async fn backlog(&self, project: ProjectId, kind: &str, now: Timestamp, limit: usize) -> Result<usize> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM (SELECT 1 FROM jobs
                WHERE project_id = ?1 AND kind = ?2 AND finished_at IS NULL AND run_at <= ?3 LIMIT ?4)";
            let of = project.uuid();
            let values = params![of.as_bytes(), kind, now.micros(), integer(limit)];
            let count = connection.prepare_cached(sql).carry()?.query_row(values, |row| row.number(0)).carry()?;
            Ok(usize::try_from(count).unwrap_or(limit))
        })
    }

    async fn job_times(&self, project: ProjectId, limit: usize) -> Result<Vec<JobTimes>> {
        self.read(|connection| {
            let sql = "SELECT kind, run_at, started_at, finished_at FROM (
                    SELECT kind, run_at, started_at, finished_at, state FROM jobs WHERE project_id = ?1 ORDER BY id DESC LIMIT ?2)
                WHERE state = 'succeeded' AND started_at IS NOT NULL";
            let of = project.uuid();
            let mut statement = connection.prepare_cached(sql).carry()?;
            let read = |row: &Row<'_>| {
                let (kind, run_at) = (row.get(0)?, row.instant(1)?);
                Ok(JobTimes { kind, run_at, started_at: row.instant(2)?, finished_at: row.instant(3)? })
            };
            let rows = statement.query_map(params![of.as_bytes(), integer(limit)], read).carry()?;
            rows.collect::<rusqlite::Result<_>>().carry()
        })
    }
}
