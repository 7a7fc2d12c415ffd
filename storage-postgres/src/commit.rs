//! The one write. All its statements go to the server together, and what they answer decides whether it is committed: two round
//! trips, however large it is.
//!
//! The heads of the logs are locked first, in the order of their ids, and held to the end. So `seq` is dense and in commit order,
//! and what is written after that is written by one commit of a project at a time.

use crate::PostgresStorage;
use crate::attributes::{Attributes, Keys, SearchWords};
use crate::consumers;
use crate::erasing;
use crate::errors::{Carry, postgres};
use crate::events;
use crate::jobs;
use crate::layout::{ColumnSql, Layout};
use crate::pool::Pool;
use crate::removals;
use crate::secrets;
use crate::session::{Access, Answers, Call, Reach, Transaction, is_worth_another_try, run_within};
use crate::values::{Read, Sql, column_value, instant, integer, sql, text};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_postgres::{Row, Transaction as Host};
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, Kind, ProjectId, Result, Subject, Timestamp};
use ventros::storage::{
    Batch, CommitError, Committed, Erasure, EventRecord, IdempotencyRecord, Index, JobWrite, SecretWrite,
    SnapshotRemoval, SnapshotWrite, UniqueKey,
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

/// A batch, with the layouts of what it writes.
pub(crate) struct Work {
    pub batch: Batch,
    pub layouts: BTreeMap<Kind, Arc<Layout>>,
}

/// The statements of a commit, and what their answers must be.
struct Plan {
    reach: Reach,
    calls: Vec<Call>,
    /// Which of the works wants it, and what.
    expected: Vec<(usize, Expected)>,
    /// The keys that each work takes.
    taken: Vec<Taken>,
}

/// Keys, with who takes them.
#[derive(Default)]
struct Taken {
    keys: Keys,
    takers: Vec<(ProjectId, Subject, UniqueKey)>,
}

/// Why a work was not carried out.
enum Verdict {
    Refused(CommitError),
    /// Somebody holds a key: who it is has to be looked up.
    Taken,
    /// An event of a stream is there already: which one has to be looked up.
    Forked,
    Again(Error),
}

/// The newest `seq` of each project that was written to.
type Heads = Vec<(ProjectId, u64)>;

/// Which works were not carried out, and why.
type Verdicts = Vec<(usize, Verdict)>;

/// How several works in one transaction went.
pub(crate) enum Group {
    /// All are written, in their order.
    Committed(Vec<Committed>),
    /// Nothing is written. These were made of states that are no more; any of the others may have been in the way.
    Refused(Vec<(usize, CommitError)>),
    /// Nobody knows whether anything is written.
    Unknown(Error),
}

/// Writes one piece of work.
pub(crate) async fn alone(pool: &Arc<Pool>, work: &Work) -> Result<Committed, CommitError> {
    let plan = Plan::of(&[work])?;
    let mut last = Error::from(ErrorCode::StoreLocked);
    for _ in 0..TRIES {
        let mut transaction = Transaction::new(pool, plan.reach, Access::Write).await?;
        let answers = transaction.run(&plan.calls).await;
        let verdict = match plan.judge(answers) {
            Ok(heads) => {
                transaction.commit().await?;
                return Ok(committed(heads, &[work]).pop().unwrap_or_default());
            }
            Err(verdicts) => verdicts.into_iter().next().map(|(_, verdict)| verdict),
        };
        transaction.undo().await;
        match verdict {
            Some(verdict) => match plan.explain(verdict, pool, &work.batch).await? {
                Err(error) => return Err(error),
                Ok(again) => last = again.unwrap_or(last),
            },
            None => return Err(Error::internal("a commit failed without a reason").into()),
        }
    }
    Err(last.into())
}

/// Writes several, all of one project, in one transaction or not at all. No two of them write the same aggregate.
pub(crate) async fn together(pool: &Arc<Pool>, works: &[&Work]) -> Result<Group> {
    let plan = Plan::of(works)?;
    let mut transaction = Transaction::new(pool, plan.reach, Access::Write).await?;
    let answers = transaction.run(&plan.calls).await;
    match plan.judge(answers) {
        Ok(heads) => Ok(match transaction.commit().await {
            Ok(()) => Group::Committed(committed(heads, works)),
            Err(error) => Group::Unknown(error),
        }),
        Err(verdicts) => {
            transaction.undo().await;
            let is_final = |(place, verdict)| match verdict {
                Verdict::Refused(error @ CommitError::Stale(_)) => Some((place, error)),
                _ => None,
            };
            Ok(Group::Refused(verdicts.into_iter().filter_map(is_final).collect()))
        }
    }
}

/// Writes one piece of work in a transaction of the host, which is as it was before when the work is refused.
pub(crate) async fn within(pool: &Arc<Pool>, transaction: &Host<'_>, work: &Work) -> Result<Committed, CommitError> {
    let plan = Plan::of(&[work])?;
    let answers = run_within(transaction, &pool.settings, plan.reach, &plan.calls).await;
    let verdict = match plan.judge(answers) {
        Ok(heads) => {
            // Whoever listens is told when the host commits.
            let end = format!(
                "RELEASE SAVEPOINT ventros; SET LOCAL ventros.project_id = ''; SET LOCAL ventros.system = ''; NOTIFY \"{}\"",
                pool.settings.channel()
            );
            transaction.batch_execute(&end).await.carry()?;
            return Ok(committed(heads, &[work]).pop().unwrap_or_default());
        }
        Err(verdicts) => verdicts.into_iter().next().map(|(_, verdict)| verdict),
    };
    transaction.batch_execute("ROLLBACK TO SAVEPOINT ventros; RELEASE SAVEPOINT ventros").await.carry()?;
    let Some(verdict) = verdict else { return Err(Error::internal("a commit failed without a reason").into()) };
    match plan.explain(verdict, pool, &work.batch).await? {
        Err(error) => Err(error),
        Ok(again) => Err(again.unwrap_or_else(|| ErrorCode::StoreLocked.into()).into()),
    }
}

/// What each work is told: the head after its own events, when its project has such of later works too.
fn committed(heads: Heads, works: &[&Work]) -> Vec<Committed> {
    let mut heads: BTreeMap<ProjectId, u64> = heads.into_iter().collect();
    let mut told: Vec<Committed> = Vec::with_capacity(works.len());
    for work in works.iter().rev() {
        let mut own: BTreeMap<ProjectId, u64> = BTreeMap::new();
        for event in &work.batch.events {
            *own.entry(event.project_id.0).or_default() += 1;
        }
        let mut after = Vec::with_capacity(own.len());
        for (project, count) in own {
            if let Some(head) = heads.get_mut(&project) {
                after.push((project, *head));
                *head -= count;
            }
        }
        told.push(Committed { heads: after });
    }
    told.reverse();
    told
}

impl Plan {
    fn of(works: &[&Work]) -> Result<Plan> {
        let batches = || works.iter().map(|work| &work.batch);
        let mut plan = Plan { reach: reach(batches()), calls: Vec::new(), expected: Vec::new(), taken: Vec::new() };
        if let Some(heads) = heads(batches()) {
            plan.push(0, heads, Expected::Heads);
        }
        let (mut attributes, mut words) = (Attributes::default(), SearchWords::default());
        for (place, Work { batch, layouts }) in works.iter().enumerate() {
            if let Some(progress) = &batch.consumer {
                plan.push(place, consumers::progress(progress), Expected::Row(CommitError::LeaseLost));
                plan.extend(place, consumers::letters(progress));
            }
            for finish in jobs::finish(&batch.jobs) {
                plan.push(place, finish?, Expected::True(CommitError::LeaseLost));
            }
            for (untaken, id) in jobs::untaken(&batch.jobs) {
                plan.push(place, untaken, Expected::Row(CommitError::Stale(Subject { kind: Kind::Job, id })));
            }
            if let Some(record) = &batch.idempotency {
                plan.push(place, remember(record), Expected::Row(CommitError::KeyUsed));
            }
            plan.removals(place, layouts, &batch.removals, &mut attributes, &mut words)?;
            plan.snapshots(place, layouts, &batch.snapshots, &mut attributes, &mut words)?;
            plan.keys(place, batch);
            for (call, owner) in secrets::write(&batch.secrets) {
                let expected = owner.map_or(Expected::Anything, |owner| Expected::Row(CommitError::Stale(owner)));
                plan.push(place, call, expected);
            }
        }
        plan.extend(0, attributes.calls());
        plan.extend(0, words.calls());
        let events: Vec<&EventRecord> = batches().flat_map(|batch| &batch.events).collect();
        plan.extend(0, events::append(&events)?);
        for (place, batch) in batches().enumerate() {
            plan.extend(place, jobs::write(&batch.jobs)?);
            plan.extend(place, consumers::write(&batch.consumers)?);
            plan.extend(place, erasing::write(&batch.erasures));
        }
        Ok(plan)
    }

    fn push(&mut self, place: usize, call: Call, expected: Expected) {
        self.calls.push(call);
        self.expected.push((place, expected));
    }

    fn extend(&mut self, place: usize, calls: impl IntoIterator<Item = Call>) {
        calls.into_iter().for_each(|call| self.push(place, call, Expected::Anything));
    }

    fn removals(
        &mut self,
        place: usize,
        layouts: &BTreeMap<Kind, Arc<Layout>>,
        removals: &[SnapshotRemoval],
        attributes: &mut Attributes,
        words: &mut SearchWords,
    ) -> Result<()> {
        for (kind, removals) in removals::by_kind(removals) {
            let layout = layouts.get(&kind).ok_or_else(|| Error::internal("a layout is missing"))?;
            let Some(first) = removals.first() else { continue };
            let stale = CommitError::Stale(first.subject());
            self.push(place, removals::remove(layout, &removals), Expected::True(stale));
            for SnapshotRemoval { project_id, id, .. } in removals {
                attributes.remove(*project_id, kind, *id);
                words.remove(*project_id, kind, *id);
            }
        }
        Ok(())
    }

    fn snapshots(
        &mut self,
        place: usize,
        layouts: &BTreeMap<Kind, Arc<Layout>>,
        writes: &[SnapshotWrite],
        attributes: &mut Attributes,
        words: &mut SearchWords,
    ) -> Result<()> {
        for write in writes {
            let layout = layouts.get(&write.kind).ok_or_else(|| Error::internal("a layout is missing"))?;
            let stale = CommitError::Stale(Subject::new(write.kind, write.id));
            let (project, kind, id, index) = (write.project_id, write.kind, write.id, &write.index);
            if write.loaded_revision == 0 {
                self.push(place, insert(layout, write), Expected::Row(stale));
                attributes.add(project, kind, id, index);
                words.add(project, kind, id, index);
            } else {
                self.push(place, update(layout, write), Expected::Row(stale));
                if write.changed.attributes {
                    attributes.replace(project, kind, id, index);
                }
                if write.changed.search {
                    words.replace(project, kind, id, index);
                }
            }
        }
        Ok(())
    }

    /// First all that is given up, then all that is taken: within one commit a key can change hands.
    fn keys(&mut self, place: usize, batch: &Batch) {
        let (mut released, mut taken) = (Keys::default(), Taken::default());
        for removal in &batch.removals {
            removal.keys.iter().for_each(|key| released.push(removal.project_id, removal.subject(), key));
        }
        for write in &batch.snapshots {
            let owner = Subject::new(write.kind, write.id);
            write.changed.keys_removed.iter().for_each(|key| released.push(write.project_id, owner, key));
            let added = if write.loaded_revision == 0 { &write.index.keys } else { &write.changed.keys_added };
            for key in added {
                taken.keys.push(write.project_id, owner, key);
                taken.takers.push((write.project_id, owner, key.clone()));
            }
        }
        if released.len() > 0 {
            self.extend(place, [released.release()]);
        }
        if taken.keys.len() > 0 {
            self.extend(place, [taken.keys.claim()]);
            self.push(place, taken.keys.held(), Expected::AllKeys);
        }
        self.taken.push(taken);
    }

    /// The heads, when all answers are as they must be; else whose are not.
    fn judge(&self, answers: Answers) -> Result<Heads, Verdicts> {
        let refused = |error: Error| Verdict::Refused(CommitError::Store(error));
        let (mut heads, mut verdicts) = (Vec::new(), Vec::new());
        for (answer, (place, expected)) in answers.into_iter().zip(&self.expected) {
            let rows = match answer {
                Ok(rows) => rows,
                Err(error) => {
                    let constraint = error.as_db_error().and_then(|told| told.constraint());
                    let verdict = match constraint {
                        Some("events_id") => refused(ErrorCode::EventIdConflict.into()),
                        Some("events_stream") => Verdict::Forked,
                        _ if is_worth_another_try(&error) => Verdict::Again(postgres(error)),
                        _ => refused(postgres(error)),
                    };
                    // What follows a failure is not answered any more, and what is missing before it may be its cause.
                    verdicts.push((*place, verdict));
                    return Err(verdicts);
                }
            };
            match expected {
                Expected::Heads => {
                    let read = |row: &Row| Ok((row.project(0)?, row.number(1)?));
                    match rows.iter().map(read).collect() {
                        Ok(found) => heads = found,
                        Err(error) => verdicts.push((*place, refused(error))),
                    }
                }
                expected => verdicts.extend(self.unmet(*place, expected, &rows).map(|verdict| (*place, verdict))),
            }
        }
        if verdicts.is_empty() { Ok(heads) } else { Err(verdicts) }
    }

    /// What is wrong with the rows of a statement, if anything is.
    fn unmet(&self, place: usize, expected: &Expected, rows: &[Row]) -> Option<Verdict> {
        let first = rows.first();
        let outcome = match expected {
            Expected::Anything | Expected::Heads => Ok(None),
            Expected::Row(error) => Ok(rows.is_empty().then(|| Verdict::Refused(error.clone()))),
            Expected::True(error) => first
                .map_or(Ok(false), |row| row.read(0))
                .map(|is_true: bool| (!is_true).then(|| Verdict::Refused(error.clone()))),
            Expected::AllKeys => first
                .map_or(Ok(0), |row| row.number(0))
                .map(|held| (held != self.taken[place].keys.len() as u64).then_some(Verdict::Taken)),
        };
        outcome.unwrap_or_else(|error| Some(Verdict::Refused(CommitError::Store(error))))
    }

    /// What the only work is told: an error, or that it should be tried again, and why.
    async fn explain(
        &self,
        verdict: Verdict,
        pool: &Arc<Pool>,
        batch: &Batch,
    ) -> Result<Result<Option<Error>, CommitError>> {
        Ok(match verdict {
            Verdict::Refused(error) => Err(error),
            Verdict::Again(error) => Ok(Some(error)),
            Verdict::Taken => self.holder(pool, batch).await?.map_or(Ok(None), Err),
            Verdict::Forked => Err(events::forked(pool, &batch.events).await?),
        })
    }

    /// Who holds a key that the batch wants; `None` when it has been given up meanwhile.
    async fn holder(&self, pool: &Arc<Pool>, batch: &Batch) -> Result<Option<CommitError>> {
        let Some(taken) = self.taken.first() else { return Ok(None) };
        let found = pool.together(Reach::System, Access::Read, &[taken.keys.holders()]).await?;
        let mut holders: BTreeMap<usize, (ProjectId, Subject)> = BTreeMap::new();
        for row in &found[0] {
            let place =
                usize::try_from(row.number(0)?).map_err(|_| Error::corrupt("a place in a list is too large"))?;
            holders.insert(place - 1, (row.project(1)?, Subject::new(row.kind(2)?, row.id(3)?)));
        }
        let mut in_batch: BTreeMap<(&UniqueKey, Option<ProjectId>), Subject> = BTreeMap::new();
        for (place, (project, owner, key)) in taken.takers.iter().enumerate() {
            let stored = holders.get(&place).filter(|(whose, holder)| !batch.gives_up(*whose, *holder, key));
            let first = *in_batch.entry((key, (!key.global).then_some(*project))).or_insert(*owner);
            let holder = stored.copied().unwrap_or((*project, first));
            if holder != (*project, *owner) {
                return Ok(Some(CommitError::Taken { key: key.clone(), holder: holder.1 }));
            }
        }
        Ok(None)
    }
}

/// The one project that batches are about, or everybody.
fn reach<'b>(batches: impl Iterator<Item = &'b Batch>) -> Reach {
    let mut whose = BTreeSet::new();
    for batch in batches {
        match only(batch) {
            Some(only) => whose.insert(only),
            None => return Reach::System,
        };
    }
    match (whose.pop_first(), whose.is_empty()) {
        (Some(only), true) => Reach::Only(only),
        _ => Reach::System,
    }
}

/// The one project, or the one actor, that a batch is about.
pub(crate) fn only(batch: &Batch) -> Option<Uuid> {
    let ended = batch.jobs.iter().filter_map(|job| match job {
        JobWrite::Finish { project_id, .. }
        | JobWrite::Extend { project_id, .. }
        | JobWrite::Vacant { project_id, .. } => Some(project_id.uuid()),
        _ => None,
    });
    let mut whose = projects(batch)
        .map(ProjectId::uuid)
        .chain(ended)
        .chain(batch.consumer.iter().map(|progress| progress.project_id.uuid()))
        .chain(batch.consumers.iter().map(|write| write.project().uuid()))
        .chain(batch.idempotency.iter().map(|record| record.scope));
    let first = whose.next()?;
    let is_all = batch.jobs.iter().any(|job| matches!(job, JobWrite::Purge { .. }))
        || batch.erasures.iter().any(|erasure| erasure.project().is_none());
    (!is_all && whose.all(|other| other == first)).then_some(first)
}

/// The projects whose snapshots, events, jobs or secrets are written or forgotten. What only ends a job needs no head.
fn projects(batch: &Batch) -> impl Iterator<Item = ProjectId> {
    let jobs = batch.jobs.iter().filter_map(|job| match job {
        JobWrite::Enqueue(job) | JobWrite::Create(job) | JobWrite::Schedule(job) => Some(job.project_id.0),
        JobWrite::Cancel { project_id, .. }
        | JobWrite::CancelJob { project_id, .. }
        | JobWrite::Release { project_id, .. } => Some(*project_id),
        JobWrite::Finish { .. } | JobWrite::Extend { .. } | JobWrite::Vacant { .. } | JobWrite::Purge { .. } => None,
    });
    let removals = batch.removals.iter().map(|removal| removal.project_id);
    let snapshots = batch.snapshots.iter().map(|write| write.project_id).chain(removals);
    let secrets = batch.secrets.iter().map(SecretWrite::project);
    let erased = batch.erasures.iter().filter_map(Erasure::project);
    snapshots.chain(batch.events.iter().map(|event| event.project_id.0)).chain(jobs).chain(secrets).chain(erased)
}

/// Locks the heads of all projects and moves them behind the new events. Projects with snapshots but no events yet are known all
/// the same.
fn heads<'b>(batches: impl Iterator<Item = &'b Batch>) -> Option<Call> {
    let mut counts: BTreeMap<ProjectId, u64> = BTreeMap::new();
    for batch in batches {
        projects(batch).for_each(|project| *counts.entry(project).or_default() += 0);
        batch.events.iter().for_each(|event| *counts.entry(event.project_id.0).or_default() += 1);
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
