//! Jobs. `due_at` says when a job may be claimed, so that claiming is one walk along an index however many wait in line. Whoever
//! changes a line keeps it right; the functions that do so are in the database, because what they do next depends on what they find.

use crate::PostgresStorage;
use crate::query::after_prefix;
use crate::session::{Call, Reach};
use crate::values::{Read, Sql, instant, integer, optional_instant, optional_text, sql, text};
use async_trait::async_trait;
use tokio_postgres::Row;
use uuid::Uuid;
use ventros::kernel::{Error, ProjectId, Result, Timestamp};
use ventros::storage::{
    AttemptRecord, JobClaim, JobQuery, JobRecord, JobRepository, JobState, JobTimes, JobWrite, OnDead, Scope,
};

pub(crate) const COLUMNS: &str = "id, project_id, queue, kind, unique_key, order_key, payload, run_at, state, attempt, lease_token, \
    lease_until, last_error, result, created_at, finished_at, max_attempts, correlation_id, causation_id, on_dead, due_at, \
    priority, started_at, history";

pub(crate) fn record(row: &Row) -> Result<JobRecord> {
    let state = JobState::parse(row.read(8)?).ok_or_else(|| Error::corrupt("a stored job is in an unknown state"))?;
    let due_at = row.optional_instant(20)?;
    Ok(JobRecord {
        id: row.id(0)?,
        project_id: row.project_or_nil(1)?,
        queue: row.read(2)?,
        kind: row.read(3)?,
        unique_key: row.read(4)?,
        order_key: row.read(5)?,
        payload: row.read(6)?,
        run_at: row.instant(7)?,
        state,
        attempt: row.small(9)?,
        lease_token: row.number(10)?,
        lease_until: row.optional_instant(11)?,
        last_error: row.read(12)?,
        result: row.read(13)?,
        created_at: row.instant(14)?,
        finished_at: row.optional_instant(15)?,
        max_attempts: row.read::<Option<i64>>(16)?.and_then(|most| u32::try_from(most).ok()),
        correlation_id: row.read(17)?,
        causation_id: row.read(18)?,
        on_dead: OnDead::parse(row.read(19)?)
            .map_err(|_| Error::corrupt("what the death of a stored job means cannot be read"))?,
        priority: row.read(21)?,
        started_at: row.optional_instant(22)?,
        history: AttemptRecord::read(row.read(23)?)?,
        waiting_order: state == JobState::Scheduled && due_at.is_none(),
    })
}

/// Ends, puts back or keeps claimed jobs: each answers whether its token was the current one. It comes before all other changes to jobs.
pub(crate) fn finish(writes: &[JobWrite]) -> impl Iterator<Item = Result<Call>> {
    writes.iter().filter_map(|write| {
        if let JobWrite::Extend { project_id, id, lease_token, until } = write {
            let values = vec![sql(project_id.uuid()), sql(*id), sql(integer(*lease_token)), sql(instant(*until))];
            return Some(Ok(Call::new("SELECT @extend_job($1, $2, $3, $4)", values)));
        }
        let JobWrite::Finish { id, lease_token, state, run_at, attempt, error, result, history, at, .. } = write else {
            return None;
        };
        let history = match AttemptRecord::written(history) {
            Ok(history) => history,
            Err(error) => return Some(Err(error)),
        };
        let values = vec![
            sql(*id),
            sql(integer(*lease_token)),
            sql(state.as_str()),
            sql(optional_instant(*run_at)),
            sql(i64::from(*attempt)),
            sql(optional_text(error.as_ref())),
            sql(optional_text(result.as_ref())),
            sql((!state.is_open()).then(|| instant(*at))),
            sql(history),
        ];
        Some(Ok(Call::new("SELECT @finish_job($1, $2, $3, $4, $5, $6, $7, $8, $9)", values)))
    })
}

/// For each unique key that nobody may have: a row while no open job has it.
pub(crate) fn untaken(writes: &[JobWrite]) -> impl Iterator<Item = (Call, Uuid)> {
    writes.iter().filter_map(|write| {
        let (project, id, key) = match write {
            JobWrite::Create(job) => (job.project_id.0, job.id, job.unique_key.as_ref()?),
            JobWrite::Vacant { project_id, id, unique_key } => (*project_id, *id, unique_key),
            _ => return None,
        };
        let untaken = "SELECT 1 WHERE NOT EXISTS (
            SELECT 1 FROM @jobs WHERE project_id = $1 AND unique_key = $2 AND finished_at IS NULL)";
        Some((Call::new(untaken, vec![sql(project.uuid()), sql(text(key))]), id))
    })
}

/// All other changes, in their order.
pub(crate) fn write(writes: &[JobWrite]) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for write in writes {
        match write {
            JobWrite::Finish { .. } | JobWrite::Extend { .. } | JobWrite::Vacant { .. } => {}
            JobWrite::Enqueue(job) | JobWrite::Create(job) => insert(&mut calls, job)?,
            JobWrite::Schedule(job) => {
                if let Some(key) = &job.unique_key {
                    let project = sql(job.project_id.0.uuid());
                    let run_at = sql(instant(job.run_at));
                    let values = vec![project, sql(text(key)), run_at, sql(text(&job.payload)), sql(job.priority)];
                    calls.push(Call::new("SELECT @move_job($1, $2, $3, $4, $5)", values));
                }
                insert(&mut calls, job)?;
            }
            JobWrite::Cancel { project_id, unique_key, at } => {
                let values = vec![sql(project_id.uuid()), sql(text(unique_key)), sql(instant(*at))];
                calls.push(Call::new("SELECT @cancel_job($1, $2, $3)", values));
            }
            JobWrite::CancelJob { project_id, id, at } => {
                let values = vec![sql(project_id.uuid()), sql(*id), sql(instant(*at))];
                calls.push(Call::new("SELECT @cancel_job_of_id($1, $2, $3)", values));
            }
            JobWrite::Release { project_id, ids, run_at } => {
                calls.extend(ids.iter().map(|id| {
                    let values = vec![sql(project_id.uuid()), sql(*id), sql(instant(*run_at))];
                    Call::new("SELECT @release_job($1, $2, $3)", values)
                }));
            }
            JobWrite::Purge { finished_before, dead_before } => purge(&mut calls, *finished_before, *dead_before),
        }
    }
    Ok(calls)
}

/// Inserts unless its unique key is held by an open job.
pub(crate) fn insert(calls: &mut Vec<Call>, job: &JobRecord) -> Result<()> {
    let due_at = match job.state {
        JobState::Running => job.lease_until,
        state => state.is_open().then_some(job.run_at),
    };
    let values = vec![
        sql(job.id),
        sql(job.project_id.0.uuid()),
        sql(text(&job.queue)),
        sql(text(&job.kind)),
        sql(optional_text(job.unique_key.as_ref())),
        sql(optional_text(job.order_key.as_ref())),
        sql(text(&job.payload)),
        sql(instant(job.run_at)),
        sql(job.state.as_str()),
        sql(i64::from(job.attempt)),
        sql(integer(job.lease_token)),
        sql(optional_instant(job.lease_until)),
        sql(optional_text(job.last_error.as_ref())),
        sql(optional_text(job.result.as_ref())),
        sql(instant(job.created_at)),
        sql(optional_instant(job.finished_at)),
        sql(job.max_attempts.map(i64::from)),
        sql(job.correlation_id),
        sql(job.causation_id),
        sql(job.on_dead.as_str()),
        sql(optional_instant(due_at)),
        sql(job.priority),
        sql(optional_instant(job.started_at)),
        sql(AttemptRecord::written(&job.history)?),
    ];
    let insert =
        "INSERT INTO @jobs (id, project_id, queue, kind, unique_key, order_key, payload, run_at, state, attempt,
            lease_token, lease_until, last_error, result, created_at, finished_at, max_attempts, correlation_id, causation_id,
            on_dead, due_at, priority, started_at, history)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
            $24)
        ON CONFLICT (project_id, unique_key) WHERE unique_key IS NOT NULL AND finished_at IS NULL DO NOTHING";
    let insert = Call::new(insert, values);
    let Some(line) = &job.order_key else {
        calls.push(insert);
        return Ok(());
    };
    let of_line = || vec![sql(job.project_id.0.uuid()), sql(text(line))];
    calls.push(Call::new("SELECT @hold_line($1, $2)", of_line()));
    calls.push(insert);
    calls.push(Call::new("SELECT @line_up($1, $2)", of_line()));
    Ok(())
}

fn purge(calls: &mut Vec<Call>, finished: Timestamp, dead: Timestamp) {
    let deletions = [
        ("DELETE FROM @jobs WHERE finished_at < $1 AND state <> 'dead'", finished),
        // One that holds its order key is kept until somebody decides.
        (
            "DELETE FROM @jobs WHERE finished_at < $1 AND state = 'dead' AND (on_dead <> 'block' OR order_key IS NULL)",
            dead,
        ),
        ("DELETE FROM @idempotency_keys WHERE expires_at < $1", finished),
    ];
    calls.extend(deletions.map(|(delete, before)| Call::new(delete, vec![sql(instant(before))])));
}

/// A query for jobs.
fn select(scope: Scope, query: &JobQuery) -> Call {
    fn also(call: &mut (String, Vec<Sql>), condition: &str, value: Sql) {
        call.1.push(value);
        call.0.push_str(&format!(" AND {condition}").replace('?', &format!("${}", call.1.len())));
    }
    let mut call = (format!("SELECT {COLUMNS} FROM @jobs WHERE true"), Vec::new());
    if let Scope::Project(project) = scope {
        also(&mut call, "project_id = ?::uuid", sql(project.uuid()));
    }
    for (condition, wanted) in [("queue = ?::text", &query.queue), ("kind = ?::text", &query.kind)] {
        if let Some(wanted) = wanted {
            also(&mut call, condition, sql(text(wanted)));
        }
    }
    if !query.states.is_empty() {
        let states: Vec<&str> = query.states.iter().map(|state| state.as_str()).collect();
        also(&mut call, "state = ANY(?::text[])", sql(states));
    }
    if let Some(prefix) = &query.unique_key_prefix {
        also(&mut call, "unique_key >= ?::text", sql(text(prefix)));
        if let Some(end) = after_prefix(prefix) {
            also(&mut call, "unique_key < ?::text", sql(text(&end)));
        }
    }
    if let Some(before) = query.before {
        also(&mut call, "id < ?::uuid", sql(before));
    }
    let (mut text, mut values) = call;
    values.push(sql(integer(query.limit)));
    text.push_str(&format!(" ORDER BY id DESC LIMIT ${}", values.len()));
    Call { sql: text.into(), values }
}

#[async_trait]
impl JobRepository for PostgresStorage {
    async fn claim_jobs(&self, wanted: JobClaim<'_>) -> Result<Vec<JobRecord>> {
        // Workers ask far more often than there is work; asking must not wait for other claims.
        if self.next_due(wanted.queue).await?.is_none_or(|at| at > wanted.now) {
            return Ok(Vec::new());
        }
        let claim = format!("SELECT {COLUMNS} FROM @claim_jobs($1, $2, $3, $4, $5, $6, $7)");
        let values = vec![
            sql(text(wanted.queue)),
            sql(wanted.project.map(|project| project.uuid())),
            sql(wanted.is_fair),
            sql(wanted.owner),
            sql(instant(wanted.now)),
            sql(instant(wanted.until)),
            sql(integer(wanted.limit)),
        ];
        let claimed = self.write(Reach::System, &[Call { sql: claim.into(), values }]).await?;
        claimed[0].iter().map(record).collect()
    }

    async fn job(&self, scope: Scope, id: Uuid) -> Result<Option<JobRecord>> {
        let (condition, values) = match scope {
            Scope::Project(project) => ("id = $1 AND project_id = $2", vec![sql(id), sql(project.uuid())]),
            Scope::Installation => ("id = $1", vec![sql(id)]),
        };
        let select = format!("SELECT {COLUMNS} FROM @jobs WHERE {condition}");
        let found = self.read(scope.into(), &[Call { sql: select.into(), values }]).await?;
        found[0].first().map(record).transpose()
    }

    async fn jobs(&self, scope: Scope, query: &JobQuery) -> Result<Vec<JobRecord>> {
        let found = self.read(scope.into(), &[select(scope, query)]).await?;
        found[0].iter().map(record).collect()
    }

    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>> {
        // From priority to priority, and of each the earliest.
        let select = "WITH RECURSIVE priorities AS (
                (SELECT j.priority AS of FROM @jobs j WHERE j.queue = $1 AND j.due_at IS NOT NULL
                 ORDER BY j.priority DESC LIMIT 1)
                UNION ALL
                SELECT (SELECT j.priority FROM @jobs j
                    WHERE j.queue = $1 AND j.due_at IS NOT NULL AND j.priority < p.of ORDER BY j.priority DESC LIMIT 1)
                FROM priorities p WHERE p.of IS NOT NULL
            )
            SELECT min((SELECT j.due_at FROM @jobs j
                WHERE j.queue = $1 AND j.priority = p.of AND j.due_at IS NOT NULL ORDER BY j.due_at LIMIT 1))
            FROM priorities p";
        let found = self.read(Reach::System, &[Call::new(select, vec![sql(text(queue))])]).await?;
        found[0].first().map_or(Ok(None), |row| row.optional_instant(0))
    }

    async fn backlog(&self, project: ProjectId, kind: &str, now: Timestamp, limit: usize) -> Result<usize> {
        let count = "SELECT count(*) FROM (SELECT 1 FROM @jobs
            WHERE project_id = $1 AND kind = $2 AND finished_at IS NULL AND run_at <= $3 LIMIT $4) AS open";
        let values = vec![sql(project.uuid()), sql(text(kind)), sql(instant(now)), sql(integer(limit))];
        let counted = self.read(Scope::Project(project).into(), &[Call::new(count, values)]).await?;
        let count = counted[0].first().map(|row| row.number(0)).transpose()?;
        Ok(count.and_then(|count| usize::try_from(count).ok()).unwrap_or(limit))
    }

    async fn job_times(&self, project: ProjectId, limit: usize) -> Result<Vec<JobTimes>> {
        let select = "SELECT kind, run_at, started_at, finished_at FROM (
                SELECT kind, run_at, started_at, finished_at, state FROM @jobs WHERE project_id = $1 ORDER BY id DESC LIMIT $2
            ) AS newest WHERE state = 'succeeded' AND started_at IS NOT NULL";
        let values = vec![sql(project.uuid()), sql(integer(limit))];
        let found = self.read(Scope::Project(project).into(), &[Call::new(select, values)]).await?;
        let read = |row: &Row| {
            let (kind, run_at) = (row.read(0)?, row.instant(1)?);
            Ok(JobTimes { kind, run_at, started_at: row.instant(2)?, finished_at: row.instant(3)? })
        };
        found[0].iter().map(read).collect()
    }
}
