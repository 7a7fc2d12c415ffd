//! A store in memory: for tests, for short-lived programs, and as the plainest statement of what an adapter does.

mod baselines;
mod commit;
mod consumers;
mod copying;
mod erasing;
mod events;
mod jobs;
mod purging;
mod secrets;
mod snapshots;

use super::{
    Baseline, Batch, CommitError, Committed, ConsumerRecord, DeadLetter, EventRecord, IdempotencyRecord, Index,
    JobRecord, SecretRecord, Storage, StoreKind, StoreSecurity, Table,
};
use crate::kernel::{ErrorCode, Kind, ProjectId, Result, Subject, Timestamp};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// A store that lives as long as its last handle.
pub struct MemoryStorage {
    data: Arc<Mutex<Contents>>,
    closed: AtomicBool,
}

#[derive(Clone, Default)]
struct Contents {
    tables: BTreeMap<Kind, Table>,
    snapshots: BTreeMap<(Kind, ProjectId, Uuid), Row>,
    keys: BTreeMap<Key, (ProjectId, Subject)>,
    /// In order of position.
    events: Vec<EventRecord>,
    /// The last position that is taken by an event that is gone.
    last_position: u64,
    event_ids: BTreeMap<Uuid, u64>,
    streams: BTreeMap<(ProjectId, Subject, u64), u64>,
    heads: BTreeMap<ProjectId, u64>,
    /// From where on a log is whole, where that is not its beginning.
    first_seqs: BTreeMap<ProjectId, u64>,
    baselines: BTreeMap<(ProjectId, Subject), Baseline>,
    consumers: BTreeMap<(ProjectId, String), ConsumerRecord>,
    dead_letters: BTreeMap<(ProjectId, String), Vec<DeadLetter>>,
    jobs: BTreeMap<Uuid, JobRecord>,
    idempotency: BTreeMap<(Uuid, String), IdempotencyRecord>,
    secrets: BTreeMap<secrets::SecretKey, SecretRecord>,
    copy_note: Option<String>,
}

#[derive(Clone)]
struct Row {
    revision: u64,
    version: u64,
    schema: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    state: String,
    index: Index,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    space: String,
    scope: String,
    key: String,
    /// `None`: unique over all projects.
    project: Option<ProjectId>,
}

impl Default for MemoryStorage {
    fn default() -> Self {
        MemoryStorage::new()
    }
}

impl MemoryStorage {
    pub fn new() -> Self {
        MemoryStorage { data: Arc::default(), closed: AtomicBool::new(false) }
    }

    /// Another handle on the same data, open even when this one is closed: what opening a file again is elsewhere.
    pub fn reopen(&self) -> Self {
        MemoryStorage { data: self.data.clone(), closed: AtomicBool::new(false) }
    }

    /// A store of its own with the same data.
    pub fn copy(&self) -> Result<Self> {
        let data = self.contents()?.clone();
        Ok(MemoryStorage { data: Arc::new(Mutex::new(data)), closed: AtomicBool::new(false) })
    }

    fn contents(&self) -> Result<MutexGuard<'_, Contents>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(ErrorCode::Closed.into());
        }
        Ok(self.data.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn prepare(&self, tables: &[Table]) -> Result<()> {
        self.contents()?.prepare(tables)
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.contents()?.commit(batch)
    }

    async fn idempotent(&self, scope: Uuid, key: &str, now: Timestamp) -> Result<Option<IdempotencyRecord>> {
        let mut contents = self.contents()?;
        let place = (scope, key.to_owned());
        if contents.idempotency.get(&place).is_some_and(|record| record.expires_at <= now) {
            contents.idempotency.remove(&place);
        }
        Ok(contents.idempotency.get(&place).cloned())
    }

    async fn security(&self) -> Result<StoreSecurity> {
        drop(self.contents()?);
        Ok(StoreSecurity::without_roles(StoreKind::Memory, None))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}
