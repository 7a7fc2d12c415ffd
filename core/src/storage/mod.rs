//! The storage port: what an adapter promises, in words that know nothing of the domain.
//!
//! Six small repositories and one atomic [`commit`](Storage::commit). Every read takes a [`Scope`], so that no query can
//! forget the tenant. An adapter never looks into a snapshot or an event: it stores text, and the [`Index`] beside it.

mod attempts;
mod baselines;
mod batch;
mod copying;
mod erasing;
mod fields;
mod filter;
mod find;
mod index;
mod matching;
mod memory;
mod page;
mod purging;
mod records;
mod removal;
mod secrets;
mod security;
#[cfg(any(test, feature = "testing"))]
#[expect(clippy::unwrap_used, reason = "these are tests that other crates run")]
pub mod testing;
mod words;

pub use attempts::*;
pub use baselines::*;
pub use batch::*;
pub use copying::*;
pub use erasing::*;
pub use fields::*;
pub use filter::*;
pub use find::*;
pub use index::*;
pub use matching::*;
pub use memory::MemoryStorage;
pub use page::*;
pub use purging::*;
pub use records::*;
pub use removal::*;
pub use secrets::*;
pub use security::*;
pub use words::*;

pub(crate) use crate::kernel::fold;

use crate::kernel::{Kind, ProjectId, Result, Subject, Timestamp};
use async_trait::async_trait;
use std::sync::Weak;
use uuid::Uuid;

/// Which rows a read may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One project, or the system log when it is [`ProjectId::SYSTEM`].
    Project(ProjectId),
    /// Every project: for the engine itself and for platform operators, never for a project's own calls.
    Installation,
}

impl Scope {
    /// True when rows of `project` belong to this scope.
    pub fn sees(self, project: ProjectId) -> bool {
        match self {
            Scope::Project(own) => own == project,
            Scope::Installation => true,
        }
    }
}

/// Snapshots of aggregates, found by id, unique key, filter or text.
#[async_trait]
pub trait SnapshotRepository: Send + Sync {
    /// The snapshots of `ids` that exist in `scope`, in no particular order. Hidden ones are included.
    async fn get(&self, scope: Scope, kind: Kind, ids: &[Uuid]) -> Result<Vec<Snapshot>>;

    /// The owners of unique keys, for those `keys` that are taken.
    async fn find_keys(&self, scope: Scope, space: &str, keys: &[KeyRef<'_>]) -> Result<Vec<KeyOwner>>;

    /// As [`find_keys`](Self::find_keys), with the snapshots: the holders that are of `kind`, hidden ones included.
    async fn find_holders(&self, scope: Scope, kind: Kind, space: &str, keys: &[KeyRef<'_>]) -> Result<Vec<Holder>>;

    /// One page of the snapshots that satisfy `find`, in its order.
    async fn find(&self, scope: Scope, kind: Kind, find: &Find) -> Result<Found>;

    /// How many snapshots satisfy `filter`.
    async fn count(&self, scope: Scope, kind: Kind, filter: &Filter, include_hidden: bool) -> Result<u64>;

    /// The next `limit` snapshots in id order, hidden ones included; for rebuilds and exports.
    async fn scan(&self, scope: Scope, kind: Kind, after: Option<Uuid>, limit: usize) -> Result<Vec<Snapshot>>;

    /// Full-text hits, best first. Every word of `text` must begin some word of the snapshot, without case and accents; in
    /// phone numbers any run of digits counts as a beginning. Hidden ones are left out. When more than
    /// [`SEARCH_CANDIDATES`] snapshots match, the newest of them are ranked.
    async fn search(&self, scope: Scope, kind: Kind, text: &str, limit: usize) -> Result<Vec<SearchHit>>;
}

/// The append-only log. Of what is in it nothing ever changes but by an [`Erasure`].
#[async_trait]
pub trait EventRepository: Send + Sync {
    /// Events of one project in `seq` order, or of one subject, stream or flow.
    async fn events(&self, scope: Scope, query: &EventQuery) -> Result<Vec<EventRecord>>;

    /// The number of the newest event of a project; 0 when it has none.
    async fn head(&self, project: ProjectId) -> Result<u64>;

    /// From which number on a project's log is whole, but for noise; 1 unless something was removed.
    async fn first_seq(&self, project: ProjectId) -> Result<u64>;

    /// All projects that have events, with their newest number, in id order.
    async fn heads(&self) -> Result<Vec<(ProjectId, u64)>>;
}

/// Durable readers of the log: checkpoints, leases, dead letters.
#[async_trait]
pub trait ConsumerRepository: Send + Sync {
    /// Creates the consumer if it is new; a known one keeps its checkpoint and takes over the new settings.
    async fn open_consumer(&self, consumer: &ConsumerRecord) -> Result<ConsumerRecord>;

    async fn consumers(&self, scope: Scope) -> Result<Vec<ConsumerRecord>>;

    /// Takes the lease of an active consumer if it is free or expired and nothing holds it back until later; the token grows
    /// with every claim.
    async fn claim_consumer(
        &self,
        project: ProjectId,
        name: &str,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ConsumerRecord>>;

    /// Moves the checkpoint or records a failure; fails with `lease_lost` when `token` is not the current one.
    async fn update_consumer(&self, progress: &ConsumerProgress) -> Result<()>;

    /// Dead letters of a consumer, oldest first.
    async fn dead_letters(&self, project: ProjectId, name: &str, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>>;

    /// The first letter that is to be tried by `now`: retried, or waiting until then.
    async fn due_letter(&self, project: ProjectId, name: &str, now: Timestamp) -> Result<Option<DeadLetter>>;

    /// The first letter of each of these streams that has one, in no particular order.
    async fn first_letters(&self, project: ProjectId, name: &str, streams: &[Subject]) -> Result<Vec<DeadLetter>>;
}

/// Durable jobs and timers.
#[async_trait]
pub trait JobRepository: Send + Sync {
    /// Claims due jobs of a queue: those of higher `priority` first, of one priority the earliest first, then by id; one running job
    /// per order key, fenced by a token. A fair claim takes the first of every project in this order, then the second of every one,
    /// and so on, those of one round earliest first: no project comes before another by its priorities.
    ///
    /// Due are scheduled and parked jobs whose time has come, and running ones whose lease expired. Every claim counts as an
    /// attempt, and sets `started_at`; what becomes of a lost one is kept in the `history`. The scheduled jobs of one order key and project run in id order: the first one holds back the others,
    /// even while it waits for its next attempt. Parked jobs hold nobody back. A dead one that blocks its order key holds back all
    /// others of it.
    async fn claim_jobs(&self, claim: JobClaim<'_>) -> Result<Vec<JobRecord>>;

    async fn job(&self, scope: Scope, id: Uuid) -> Result<Option<JobRecord>>;

    /// Jobs by state, kind or key prefix, newest first.
    async fn jobs(&self, scope: Scope, query: &JobQuery) -> Result<Vec<JobRecord>>;

    /// The earliest moment at which a job of `queue` becomes due; jobs held back by their order key do not count.
    async fn next_due(&self, queue: &str) -> Result<Option<Timestamp>>;

    /// How many jobs of a kind have not ended though their time has come, counted no further than `limit`.
    async fn backlog(&self, project: ProjectId, kind: &str, now: Timestamp, limit: usize) -> Result<usize>;

    /// When those jobs were due, begun and done that have succeeded, among the newest `limit` ones of a project. Nothing else is read of
    /// them. Those from before a store knew when jobs begin are left out.
    async fn job_times(&self, project: ProjectId, limit: usize) -> Result<Vec<JobTimes>>;
}

/// Sealed values. A store keeps them apart from the log, so that they can be destroyed.
#[async_trait]
pub trait SecretRepository: Send + Sync {
    /// A revision of a sealed value, or the newest one.
    async fn secret(&self, project: ProjectId, id: Uuid, revision: Option<u32>) -> Result<Option<SecretRecord>>;

    /// The sealed values under one key, so that they can be sealed anew under another.
    async fn secrets_under(&self, scope: Scope, query: &SecretQuery) -> Result<Vec<SecretRecord>>;
}

/// Where a unit of work is written: a store, or a transaction of the host on the store's database.
#[async_trait]
pub trait Commit: Send + Sync {
    /// As [`Storage::commit`], and as lasting as the place is.
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError>;
}

/// All of a store, with the one way to change it.
#[async_trait]
pub trait Storage:
    SnapshotRepository
    + EventRepository
    + ConsumerRepository
    + JobRepository
    + SecretRepository
    + CopyRepository
    + PurgeRepository
    + BaselineRepository
{
    /// Makes the store ready for these aggregates: creates and migrates tables, adds and back-fills derived columns.
    /// Idempotent, and safe while other processes do the same.
    async fn prepare(&self, tables: &[Table]) -> Result<()>;

    /// Writes everything a unit of work decided, or nothing. Assigns each project's dense `seq` in commit order.
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError>;

    /// The stored outcome of an idempotency key. One that has expired is removed, so that the key can be used again.
    async fn idempotent(&self, scope: Uuid, key: &str, now: Timestamp) -> Result<Option<IdempotencyRecord>>;

    /// True when somebody else may have committed since the last call. A hint: polling stays the truth.
    fn changed_elsewhere(&self) -> bool {
        false
    }

    /// Calls `bell` when somebody else may have committed, for as long as it lives. A hint too: a store need not know.
    fn watch(&self, _bell: Weak<dyn Fn() + Send + Sync>) {}

    /// Lets go of what the store itself keeps of rows that were changed or removed, as far as it can beside its other work: free
    /// pages, parts of search indexes, the log of its own writes. Idempotent.
    async fn scrub(&self) -> Result<()> {
        Ok(())
    }

    /// How well it guards what it keeps.
    async fn security(&self) -> Result<StoreSecurity>;

    /// Releases files, connections and locks. Further calls fail with `closed`. Idempotent.
    async fn close(&self) -> Result<()>;
}
