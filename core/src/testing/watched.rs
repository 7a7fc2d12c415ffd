//! A store around another one: it counts what it is asked, fails on demand, and lets a test act just before a commit.

use crate::kernel::{ErrorCode, Kind, ProjectId, Result, Subject, Timestamp};
use crate::storage::{
    Baseline, BaselineRepository, Batch, CommitError, Committed, ConsumerProgress, ConsumerRecord, ConsumerRepository,
    CopyRepository, CopyStep, DeadLetter, DeadLetterQuery, EventQuery, EventRecord, EventRepository, Filter, Find,
    Found, Holder, IdempotencyRecord, JobClaim, JobQuery, JobRecord, JobRepository, JobTimes, KeyOwner, KeyRef,
    PurgeRepository, RowPage, Scope, SearchHit, SecretQuery, SecretRecord, SecretRepository, Section, Snapshot,
    SnapshotRepository, Storage, StoreSecurity, Table,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use uuid::Uuid;

/// Which side of a call a fault falls on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The store never heard of the call.
    Before,
    /// The store did what it was asked, and nobody got to know.
    After,
}

type Act = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Watch {
    calls: Vec<&'static str>,
    /// Calls until the fault, and its side.
    fault: Option<(usize, Fault)>,
    /// Nothing works any more after the fault.
    is_mortal: bool,
    is_dead: bool,
    before_commit: Option<Act>,
}

/// Passes everything on to the store that it is put around.
pub struct WatchedStorage {
    inner: Arc<dyn Storage>,
    watch: Mutex<Watch>,
}

impl WatchedStorage {
    pub fn around(inner: Arc<dyn Storage>) -> Arc<Self> {
        Arc::new(WatchedStorage { inner, watch: Mutex::default() })
    }

    /// The names of the calls since the last time this was asked.
    pub fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.watch().calls)
    }

    /// Lets the `number`-th call from now on (from 1) fail with `unavailable`.
    pub fn fail(&self, number: usize, side: Fault) {
        self.watch().fault = Some((number, side));
    }

    /// Lets the `number`-th call from now on (from 1) fail with `unavailable`, and every one after it: as if the process had died.
    pub fn die(&self, number: usize, side: Fault) {
        let mut watch = self.watch();
        watch.fault = Some((number, side));
        watch.is_mortal = true;
    }

    /// Whether the call that it was to die at has come.
    pub fn is_dead(&self) -> bool {
        self.watch().is_dead
    }

    /// Takes the fault back; true when it did not fall yet.
    pub fn heal(&self) -> bool {
        self.watch().fault.take().is_some()
    }

    /// Does something, once, just before the next commit that has events: what another writer would do meanwhile.
    pub fn before_commit(&self, act: impl FnOnce() + Send + 'static) {
        self.watch().before_commit = Some(Box::new(act));
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, name: &'static str) -> Option<Fault> {
        let mut watch = self.watch();
        watch.calls.push(name);
        if watch.is_dead {
            return Some(Fault::Before);
        }
        match watch.fault {
            Some((1, side)) => {
                watch.fault = None;
                watch.is_dead = watch.is_mortal;
                Some(side)
            }
            Some((left, side)) => {
                watch.fault = Some((left - 1, side));
                None
            }
            None => None,
        }
    }

    async fn pass<T, E: From<crate::kernel::Error>>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let broken = || crate::kernel::Error::new(ErrorCode::Unavailable).message("a fault of the test");
        match self.note(name) {
            None => call.await,
            Some(Fault::Before) => Err(broken().into()),
            Some(Fault::After) => {
                call.await?;
                Err(broken().into())
            }
        }
    }
}

#[async_trait]
impl SnapshotRepository for WatchedStorage {
    async fn get(&self, scope: Scope, kind: Kind, ids: &[Uuid]) -> Result<Vec<Snapshot>> {
        self.pass("get", self.inner.get(scope, kind, ids)).await
    }

    async fn find_keys(&self, scope: Scope, space: &str, keys: &[KeyRef<'_>]) -> Result<Vec<KeyOwner>> {
        self.pass("find_keys", self.inner.find_keys(scope, space, keys)).await
    }

    async fn find_holders(&self, scope: Scope, kind: Kind, space: &str, keys: &[KeyRef<'_>]) -> Result<Vec<Holder>> {
        self.pass("find_holders", self.inner.find_holders(scope, kind, space, keys)).await
    }

    async fn find(&self, scope: Scope, kind: Kind, find: &Find) -> Result<Found> {
        self.pass("find", self.inner.find(scope, kind, find)).await
    }

    async fn count(&self, scope: Scope, kind: Kind, filter: &Filter, include_hidden: bool) -> Result<u64> {
        self.pass("count", self.inner.count(scope, kind, filter, include_hidden)).await
    }

    async fn scan(&self, scope: Scope, kind: Kind, after: Option<Uuid>, limit: usize) -> Result<Vec<Snapshot>> {
        self.pass("scan", self.inner.scan(scope, kind, after, limit)).await
    }

    async fn search(&self, scope: Scope, kind: Kind, text: &str, limit: usize) -> Result<Vec<SearchHit>> {
        self.pass("search", self.inner.search(scope, kind, text, limit)).await
    }
}

#[async_trait]
impl EventRepository for WatchedStorage {
    async fn events(&self, scope: Scope, query: &EventQuery) -> Result<Vec<EventRecord>> {
        self.pass("events", self.inner.events(scope, query)).await
    }

    async fn head(&self, project: ProjectId) -> Result<u64> {
        self.pass("head", self.inner.head(project)).await
    }

    async fn first_seq(&self, project: ProjectId) -> Result<u64> {
        self.pass("first_seq", self.inner.first_seq(project)).await
    }

    async fn heads(&self) -> Result<Vec<(ProjectId, u64)>> {
        self.pass("heads", self.inner.heads()).await
    }
}

#[async_trait]
impl BaselineRepository for WatchedStorage {
    async fn baselines(&self, project: ProjectId, subjects: &[Subject]) -> Result<Vec<Baseline>> {
        self.pass("baselines", self.inner.baselines(project, subjects)).await
    }

    async fn scan_baselines(
        &self,
        project: ProjectId,
        containing: Option<&str>,
        after: Option<Subject>,
        limit: usize,
    ) -> Result<Vec<Baseline>> {
        self.pass("scan_baselines", self.inner.scan_baselines(project, containing, after, limit)).await
    }
}

#[async_trait]
impl ConsumerRepository for WatchedStorage {
    async fn open_consumer(&self, consumer: &ConsumerRecord) -> Result<ConsumerRecord> {
        self.pass("open_consumer", self.inner.open_consumer(consumer)).await
    }

    async fn consumers(&self, scope: Scope) -> Result<Vec<ConsumerRecord>> {
        self.pass("consumers", self.inner.consumers(scope)).await
    }

    async fn claim_consumer(
        &self,
        project: ProjectId,
        name: &str,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ConsumerRecord>> {
        self.pass("claim_consumer", self.inner.claim_consumer(project, name, owner, now, until)).await
    }

    async fn update_consumer(&self, progress: &ConsumerProgress) -> Result<()> {
        self.pass("update_consumer", self.inner.update_consumer(progress)).await
    }

    async fn dead_letters(&self, project: ProjectId, name: &str, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>> {
        self.pass("dead_letters", self.inner.dead_letters(project, name, query)).await
    }

    async fn due_letter(&self, project: ProjectId, name: &str, now: Timestamp) -> Result<Option<DeadLetter>> {
        self.pass("due_letter", self.inner.due_letter(project, name, now)).await
    }

    async fn first_letters(&self, project: ProjectId, name: &str, streams: &[Subject]) -> Result<Vec<DeadLetter>> {
        self.pass("first_letters", self.inner.first_letters(project, name, streams)).await
    }
}

#[async_trait]
impl JobRepository for WatchedStorage {
    async fn claim_jobs(&self, claim: JobClaim<'_>) -> Result<Vec<JobRecord>> {
        self.pass("claim_jobs", self.inner.claim_jobs(claim)).await
    }

    async fn job(&self, scope: Scope, id: Uuid) -> Result<Option<JobRecord>> {
        self.pass("job", self.inner.job(scope, id)).await
    }

    async fn jobs(&self, scope: Scope, query: &JobQuery) -> Result<Vec<JobRecord>> {
        self.pass("jobs", self.inner.jobs(scope, query)).await
    }

    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>> {
        self.pass("next_due", self.inner.next_due(queue)).await
    }

    async fn backlog(&self, project: ProjectId, kind: &str, now: Timestamp, limit: usize) -> Result<usize> {
        self.pass("backlog", self.inner.backlog(project, kind, now, limit)).await
    }

    async fn job_times(&self, project: ProjectId, limit: usize) -> Result<Vec<JobTimes>> {
        self.pass("job_times", self.inner.job_times(project, limit)).await
    }
}

#[async_trait]
impl SecretRepository for WatchedStorage {
    async fn secret(&self, project: ProjectId, id: Uuid, revision: Option<u32>) -> Result<Option<SecretRecord>> {
        self.pass("secret", self.inner.secret(project, id, revision)).await
    }

    async fn secrets_under(&self, scope: Scope, query: &SecretQuery) -> Result<Vec<SecretRecord>> {
        self.pass("secrets_under", self.inner.secrets_under(scope, query)).await
    }
}

#[async_trait]
impl CopyRepository for WatchedStorage {
    async fn count_rows(&self, section: Section) -> Result<u64> {
        self.pass("count_rows", self.inner.count_rows(section)).await
    }

    async fn rows(&self, section: Section, after: Option<&str>, limit: usize) -> Result<RowPage> {
        self.pass("rows", self.inner.rows(section, after, limit)).await
    }

    async fn copy_note(&self) -> Result<Option<String>> {
        self.pass("copy_note", self.inner.copy_note()).await
    }

    async fn copy_step(&self, step: CopyStep) -> Result<()> {
        self.pass("copy_step", self.inner.copy_step(step)).await
    }
}

#[async_trait]
impl PurgeRepository for WatchedStorage {
    async fn count_project(&self, project: ProjectId) -> Result<BTreeMap<String, u64>> {
        self.pass("count_project", self.inner.count_project(project)).await
    }

    async fn purge_project(&self, project: ProjectId, limit: usize) -> Result<u64> {
        self.pass("purge_project", self.inner.purge_project(project, limit)).await
    }
}

#[async_trait]
impl Storage for WatchedStorage {
    async fn prepare(&self, tables: &[Table]) -> Result<()> {
        self.inner.prepare(tables).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        if !batch.events.is_empty() {
            let act = self.watch().before_commit.take();
            if let Some(act) = act {
                act();
            }
        }
        self.pass("commit", self.inner.commit(batch)).await
    }

    async fn idempotent(&self, scope: Uuid, key: &str, now: Timestamp) -> Result<Option<IdempotencyRecord>> {
        self.pass("idempotent", self.inner.idempotent(scope, key, now)).await
    }

    fn changed_elsewhere(&self) -> bool {
        self.inner.changed_elsewhere()
    }

    fn watch(&self, bell: Weak<dyn Fn() + Send + Sync>) {
        self.inner.watch(bell);
    }

    async fn scrub(&self) -> Result<()> {
        self.pass("scrub", self.inner.scrub()).await
    }

    async fn security(&self) -> Result<StoreSecurity> {
        self.pass("security", self.inner.security()).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
