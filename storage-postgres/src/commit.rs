//! The one write. All its statements go to the server together, and what they answer decides whether it is committed: two round
//! trips, however large it is.
//!
//! The heads of the logs are locked first, in the order of their ids, and held to the end. So `seq` is dense and in commit order,
//! and what is written after that is written by one commit of a project at a time.

use crate::PostgresStorage;
use crate::attributes::{Attributes, Keys, SearchWords};
use crate::consumers;
use crate::errors::postgres;
use crate::events;
use crate::jobs;
use crate::layout::{ColumnSql, Layout};
use crate::secrets;
use crate::session::{Access, Answers, Call, Reach, Transaction, is_worth_another_try};
use crate::values::{Read, Sql, column_value, instant, integer, sql, text};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_postgres::Row;
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, Kind, ProjectId, Result, Subject, Timestamp};
use ventros::storage::{
    Batch, CommitError, Committed, IdempotencyRecord, Index, JobWrite, SecretWrite, SnapshotWrite, UniqueKey,
};

/// How often a commit is tried that the server sends back because of others.
const TRIES: usize = 5;

/// What the answer to a statement must be.
enum Expected {
    Anything,
    /// The heads, after this commit.
    Heads,
    /// One row at least.
    Row(CommitError),
    /// One row, which is true.
    True(CommitError),
    /// Everybody holds the keys that they want.
    AllKeys,
}

/// The statements of a commit, and what their answers must be.
struct Plan {
    reach: Reach,
    calls: Vec<Call>,
    expected: Vec<Expected>,
    taken: Keys,
    /// The keys that are taken, with who takes them.
    takers: Vec<(ProjectId, Subject, UniqueKey)>,
}

/// Why a plan was not carried out.
enum Verdict {
    Refused(CommitError),
    /// Somebody holds a key: who it is has to be looked up.
    Taken,
    /// An event of a stream is there already: which one has to be looked up.
    Forked,
    Again(Error),
}

pub(crate) async fn commit(
    store: &PostgresStorage,
    layouts: &BTreeMap<Kind, Arc<Layout>>,
    batch: &Batch,
) -> Result<Committed, CommitError> {
    let plan = Plan::of(layouts, batch)?;
    let mut last = Error::from(ErrorCode::StoreLocked);
    for _ in 0..TRIES {
        let mut transaction = Transaction::new(&store.pool, plan.reach, Access::Write).await?;
        let answers = transaction.run(&plan.calls).await;
        let verdict = match plan.judge(answers) {
            Ok(heads) => {
                transaction.commit().await?;
                let written = |(project, _): &(ProjectId, u64)| batch.events.iter().any(|e| e.project_id.0 == *project);
                return Ok(Committed { heads: heads.into_iter().filter(written).collect() });
            }
            Err(verdict) => verdict,
        };
        transaction.undo().await;
        match verdict {
            Verdict::Refused(error) => return Err(error),
            Verdict::Again(error) => last = error,
            Verdict::Taken => {
                if let Some(error) = plan.holder(store, batch).await? {
                    return Err(error);
                }
            }
            Verdict::Forked => return Err(events::forked(store, &batch.events).await?),
        }
    }
    Err(last.into())
}

impl Plan {
    fn of(layouts: &BTreeMap<Kind, Arc<Layout>>, batch: &Batch) -> Result<Plan> {
        let mut plan = Plan {
            reach: reach(batch),
            calls: Vec::new(),
            expected: Vec::new(),
            taken: Keys::default(),
            takers: Vec::new(),
        };
        if let Some(heads) = heads(batch) {
            plan.push(heads, Expected::Heads);
        }
        if let Some(progress) = &batch.consumer {
            plan.push(consumers::progress(progress), Expected::Row(CommitError::LeaseLost));
            plan.extend(consumers::letters(progress));
        }
        for finish in jobs::finish(&batch.jobs) {
            plan.push(finish, Expected::True(CommitError::LeaseLost));
        }
        if let Some(record) = &batch.idempotency {
            plan.push(remember(record), Expected::Row(CommitError::KeyUsed));
        }
        plan.snapshots(layouts, &batch.snapshots)?;
        plan.keys(&batch.snapshots);
        for (call, owner) in secrets::write(&batch.secrets) {
            let expected = owner.map_or(Expected::Anything, |owner| Expected::Row(CommitError::Stale(owner)));
            plan.push(call, expected);
        }
        plan.extend(events::append(&batch.events)?);
        plan.extend(jobs::write(&batch.jobs));
        plan.extend(consumers::write(&batch.consumers)?);
        Ok(plan)
    }

    fn push(&mut self, call: Call, expected: Expected) {
        self.calls.push(call);
        self.expected.push(expected);
    }

    fn extend(&mut self, calls: impl IntoIterator<Item = Call>) {
        calls.into_iter().for_each(|call| self.push(call, Expected::Anything));
    }

    fn snapshots(&mut self, layouts: &BTreeMap<Kind, Arc<Layout>>, writes: &[SnapshotWrite]) -> Result<()> {
        let (mut attributes, mut words) = (Attributes::default(), SearchWords::default());
        for write in writes {
            let layout = layouts.get(&write.kind).ok_or_else(|| Error::internal("a layout is missing"))?;
            let stale = CommitError::Stale(Subject::new(write.kind, write.id));
            let (project, kind, id, index) = (write.project_id, write.kind, write.id, &write.index);
            if write.loaded_revision == 0 {
                self.push(insert(layout, write), Expected::Row(stale));
                attributes.add(project, kind, id, index);
                words.add(project, kind, id, index);
            } else {
                self.push(update(layout, write), Expected::Row(stale));
                if write.changed.attributes {
                    attributes.replace(project, kind, id, index);
                }
                if write.changed.search {
                    words.replace(project, kind, id, index);
                }
            }
        }
        self.extend(attributes.calls());
        self.extend(words.calls());
        Ok(())
    }

    /// First all that is given up, then all that is taken: within one commit a key can change hands.
    fn keys(&mut self, writes: &[SnapshotWrite]) {
        let mut released = Keys::default();
        for write in writes {
            let owner = Subject::new(write.kind, write.id);
            write.changed.keys_removed.iter().for_each(|key| released.push(write.project_id, owner, key));
            let added = if write.loaded_revision == 0 { &write.index.keys } else { &write.changed.keys_added };
            for key in added {
                self.taken.push(write.project_id, owner, key);
                self.takers.push((write.project_id, owner, key.clone()));
            }
        }
        if released.len() > 0 {
            self.extend([released.release()]);
        }
        if self.taken.len() > 0 {
            let (claim, held) = (self.taken.claim(), self.taken.held());
            self.extend([claim]);
            self.push(held, Expected::AllKeys);
        }
    }

    /// The heads, when all answers are as they must be.
    fn judge(&self, answers: Answers) -> Result<Vec<(ProjectId, u64)>, Verdict> {
        let refused = |error: Error| Verdict::Refused(CommitError::Store(error));
        let mut heads = Vec::new();
        for (answer, expected) in answers.into_iter().zip(&self.expected) {
            let rows = answer.map_err(|error| {
                let constraint = error.as_db_error().and_then(|told| told.constraint());
                match constraint {
                    Some("events_id") => refused(ErrorCode::EventIdConflict.into()),
                    Some("events_stream") => Verdict::Forked,
                    _ if is_worth_another_try(&error) => Verdict::Again(postgres(error)),
                    _ => refused(postgres(error)),
                }
            })?;
            match expected {
                Expected::Anything => {}
                Expected::Heads => {
                    let read = |row: &Row| Ok((row.project(0)?, row.number(1)?));
                    heads = rows.iter().map(read).collect::<Result<Vec<_>>>().map_err(refused)?;
                    heads.sort_unstable();
                }
                Expected::Row(error) if rows.is_empty() => return Err(Verdict::Refused(error.clone())),
                Expected::Row(_) => {}
                Expected::True(error) => {
                    let is_true = rows.first().map_or(Ok(false), |row| row.read(0)).map_err(refused)?;
                    if !is_true {
                        return Err(Verdict::Refused(error.clone()));
                    }
                }
                Expected::AllKeys => {
                    let held = rows.first().map_or(Ok(0), |row| row.number(0)).map_err(refused)?;
                    if held != self.taken.len() as u64 {
                        return Err(Verdict::Taken);
                    }
                }
            }
        }
        Ok(heads)
    }

    /// Who holds a key that the batch wants; `None` when it has been given up meanwhile.
    async fn holder(&self, store: &PostgresStorage, batch: &Batch) -> Result<Option<CommitError>> {
        let found = store.read(Reach::System, &[self.taken.holders()]).await?;
        let mut holders: BTreeMap<usize, (ProjectId, Subject)> = BTreeMap::new();
        for row in &found[0] {
            let place =
                usize::try_from(row.number(0)?).map_err(|_| Error::corrupt("a place in a list is too large"))?;
            holders.insert(place - 1, (row.project(1)?, Subject::new(row.kind(2)?, row.id(3)?)));
        }
        let given_up = |holder: Subject, key: &UniqueKey| {
            let mut writes = batch.snapshots.iter().filter(|write| (write.kind, write.id) == (holder.kind, holder.id));
            writes.any(|write| write.changed.keys_removed.contains(key))
        };
        let mut in_batch: BTreeMap<(&UniqueKey, Option<ProjectId>), Subject> = BTreeMap::new();
        for (place, (project, owner, key)) in self.takers.iter().enumerate() {
            let stored = holders.get(&place).filter(|(_, holder)| !given_up(*holder, key));
            let first = *in_batch.entry((key, (!key.global).then_some(*project))).or_insert(*owner);
            let holder = stored.copied().unwrap_or((*project, first));
            if holder != (*project, *owner) {
                return Ok(Some(CommitError::Taken { key: key.clone(), holder: holder.1 }));
            }
        }
        Ok(None)
    }
}

/// The one project that a batch is about, or everybody: what ends a job does not say whose it is.
fn reach(batch: &Batch) -> Reach {
    let mut whose: BTreeSet<Uuid> = projects(batch).map(ProjectId::uuid).collect();
    whose.extend(batch.secrets.iter().map(|write| match write {
        SecretWrite::Put { record, .. } => record.project_id.uuid(),
        SecretWrite::Shred { project_id, .. } => project_id.uuid(),
    }));
    whose.extend(batch.consumer.iter().map(|progress| progress.project_id.uuid()));
    whose.extend(batch.consumers.iter().map(|write| write.project().uuid()));
    whose.extend(batch.idempotency.iter().map(|record| record.scope));
    let is_unsaid = batch.jobs.iter().any(|job| matches!(job, JobWrite::Finish { .. } | JobWrite::Purge { .. }));
    match (whose.first(), whose.len()) {
        (Some(only), 1) if !is_unsaid => Reach::Only(*only),
        _ => Reach::System,
    }
}

/// The projects whose snapshots, events or jobs are written.
fn projects(batch: &Batch) -> impl Iterator<Item = ProjectId> {
    let jobs = batch.jobs.iter().filter_map(|job| match job {
        JobWrite::Enqueue(job) | JobWrite::Schedule(job) => Some(job.project_id.0),
        JobWrite::Cancel { project_id, .. }
        | JobWrite::CancelJob { project_id, .. }
        | JobWrite::Release { project_id, .. } => Some(*project_id),
        JobWrite::Finish { .. } | JobWrite::Purge { .. } => None,
    });
    let snapshots = batch.snapshots.iter().map(|write| write.project_id);
    snapshots.chain(batch.events.iter().map(|event| event.project_id.0)).chain(jobs)
}

/// Locks the heads of all projects and moves them behind the new events. Projects with snapshots but no events yet are known all
/// the same.
fn heads(batch: &Batch) -> Option<Call> {
    let mut counts: BTreeMap<ProjectId, u64> = projects(batch).map(|project| (project, 0)).collect();
    for event in &batch.events {
        *counts.entry(event.project_id.0).or_default() += 1;
    }
    let projects: Vec<Uuid> = counts.keys().map(|project| project.uuid()).collect();
    let counts: Vec<i64> = counts.values().map(|count| integer(*count)).collect();
    let sql_text = "INSERT INTO @log_heads (project_id, head)
        SELECT p.id, p.count FROM unnest($1::uuid[], $2::int8[]) AS p (id, count) ORDER BY p.id
        ON CONFLICT (project_id) DO UPDATE SET head = log_heads.head + excluded.head RETURNING project_id, head";
    (!projects.is_empty()).then(|| Call::new(sql_text, vec![sql(projects), sql(counts)]))
}

fn insert(layout: &Layout, write: &SnapshotWrite) -> Call {
    let columns: Vec<&ColumnSql> = layout.columns.iter().collect();
    let mut values = vec![
        sql(write.project_id.uuid()),
        sql(write.id),
        sql(integer(write.revision)),
        sql(integer(write.version)),
        sql(i64::from(write.schema)),
        sql(instant(write.created_at)),
        sql(instant(write.updated_at)),
        sql(write.index.hidden),
        sql(write.state.clone()),
    ];
    values.extend(row_values(&columns, &write.index));
    Call { sql: layout.insert.clone().into(), values }
}

/// Sets nothing that has not changed: what an index is on stays where it is then, and the indexes need not be touched.
fn update(layout: &Layout, write: &SnapshotWrite) -> Call {
    let changed = |column: &&ColumnSql| write.changed.columns.contains(&column.field);
    let columns: Vec<&ColumnSql> = layout.columns.iter().filter(changed).collect();
    let mut values = vec![
        sql(write.project_id.uuid()),
        sql(write.id),
        sql(integer(write.loaded_revision)),
        sql(integer(write.revision)),
        sql(integer(write.version)),
        sql(i64::from(write.schema)),
        sql(instant(write.updated_at)),
        sql(write.state.clone()),
    ];
    let mut sets = String::new();
    if write.changed.hidden {
        values.push(sql(write.index.hidden));
        sets.push_str(", hidden = $9");
    }
    let names = columns.iter().flat_map(|column| column.definitions()).map(|(name, _)| name);
    for (place, name) in names.enumerate() {
        sets.push_str(&format!(", {name} = ${}", values.len() + place + 1));
    }
    values.extend(row_values(&columns, &write.index));
    let sql = format!(
        "UPDATE {} SET revision = $4, version = $5, schema = $6, updated_at = $7, state = $8::text::json{sets} \
         WHERE project_id = $1 AND id = $2 AND revision = $3 RETURNING 1",
        layout.name
    );
    Call { sql: sql.into(), values }
}

/// The values of these columns and of their folded companions, in the order of their definitions.
pub(crate) fn row_values(columns: &[&ColumnSql], index: &Index) -> Vec<Sql> {
    let mut values = Vec::with_capacity(columns.len() * 2);
    let mut given = index.values();
    for column in columns {
        let value = given(column.field);
        let compared = value.comparable(column.kind);
        if column.key.is_some() {
            values.push(column_value(value, column.kind));
        }
        values.push(column_value(&compared, column.kind));
    }
    values
}

fn remember(record: &IdempotencyRecord) -> Call {
    let text_of_sql = "INSERT INTO @idempotency_keys (scope, key, command, request_hash, result, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING 1";
    let values = vec![
        sql(record.scope),
        sql(text(&record.key)),
        sql(text(&record.command)),
        sql(record.request_hash.to_vec()),
        sql(text(&record.result)),
        sql(instant(record.expires_at)),
    ];
    Call::new(text_of_sql, values)
}

pub(crate) async fn idempotent(store: &PostgresStorage, scope: Uuid, key: &str) -> Result<Option<IdempotencyRecord>> {
    let text_of_sql =
        "SELECT command, request_hash, result, expires_at FROM @idempotency_keys WHERE scope = $1 AND key = $2";
    let call = Call::new(text_of_sql, vec![sql(scope), sql(text(key))]);
    let found = store.read(Reach::Only(scope), &[call]).await?;
    let record = |row: &Row| {
        let hash: &[u8] = row.read(1)?;
        Ok(IdempotencyRecord {
            scope,
            key: key.to_owned(),
            command: row.read(0)?,
            request_hash: hash.try_into().map_err(|_| Error::corrupt("a request hash has 32 bytes"))?,
            result: row.read(2)?,
            expires_at: row.instant(3)?,
        })
    };
    found[0].first().map(record).transpose()
}

/// Removes an idempotency key that has expired by `now`.
pub(crate) async fn forget(store: &PostgresStorage, scope: Uuid, key: &str, now: Timestamp) -> Result<()> {
    let text_of_sql = "DELETE FROM @idempotency_keys WHERE scope = $1 AND key = $2 AND expires_at <= $3";
    let call = Call::new(text_of_sql, vec![sql(scope), sql(text(key)), sql(instant(now))]);
    store.write(Reach::Only(scope), &[call]).await.map(|_| ())
}
