//! What moving a whole store to another one needs of an adapter: all it keeps, row by row, and one place to note how far a copy
//! has come.
//!
//! What a store derives (columns, attributes, search words, subjects, due times) is no row: the target derives it again.

use super::{Baseline, ConsumerRecord, DeadLetter, EventRecord, IdempotencyRecord, JobRecord, SecretRecord};
use crate::kernel::{Kind, ProjectId, Result, Timestamp};
use async_trait::async_trait;
use uuid::Uuid;

/// A part of a store whose rows are of one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    Heads,
    Events,
    Baselines,
    Snapshots(Kind),
    Keys,
    Consumers,
    DeadLetters,
    Jobs,
    IdempotencyKeys,
    Secrets,
}

impl Section {
    /// The name that people read; for snapshots the collection's own, such as `contacts`.
    pub const fn name(self) -> &'static str {
        match self {
            Section::Heads => "log_heads",
            Section::Events => "events",
            Section::Baselines => "baselines",
            Section::Snapshots(kind) => kind.plural(),
            Section::Keys => "unique_keys",
            Section::Consumers => "consumers",
            Section::DeadLetters => "dead_letters",
            Section::Jobs => "jobs",
            Section::IdempotencyKeys => "idempotency_keys",
            Section::Secrets => "secrets",
        }
    }
}

/// One row, with all that is not derived from something else.
#[derive(Debug, Clone)]
pub enum StoredRow {
    /// A project that the store knows; 0 when it has no events yet.
    Head {
        project_id: ProjectId,
        head: u64,
        first_seq: u64,
    },
    /// With its own `seq` and `position`.
    Event(EventRecord),
    Baseline(Baseline),
    Snapshot(SnapshotRow),
    Key(KeyRow),
    /// Its lease stays behind.
    Consumer(ConsumerRecord),
    DeadLetter {
        project_id: ProjectId,
        consumer: String,
        letter: DeadLetter,
    },
    /// A running one keeps its lease: it runs again when that ends, as after a crash.
    Job(JobRecord),
    IdempotencyKey(IdempotencyRecord),
    Secret(SecretRecord),
}

/// A snapshot with everything that is stored beside its state.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotRow {
    pub project_id: ProjectId,
    pub kind: Kind,
    pub id: Uuid,
    pub revision: u64,
    pub version: u64,
    pub schema: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub state: String,
}

/// A unique key that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    pub space: String,
    pub scope: String,
    pub key: String,
    /// Unique over all projects.
    pub global: bool,
    pub project_id: ProjectId,
    pub kind: Kind,
    pub id: Uuid,
}

/// Some rows of a section.
#[derive(Debug, Clone, Default)]
pub struct RowPage {
    pub rows: Vec<StoredRow>,
    /// Where the store goes on, in words of its own; none at the end.
    pub next: Option<String>,
}

/// What one step of a copy does to its target, all at once.
#[derive(Debug, Clone, Default)]
pub struct CopyStep {
    /// The note as the copy knows it; another one means that somebody else is copying.
    pub known: Option<String>,
    /// Emptied first.
    pub emptied: Vec<Section>,
    /// Written then; none of them is there yet.
    pub rows: Vec<StoredRow>,
    /// The note from now on; none when the copy is whole.
    pub note: Option<String>,
}

/// All of a store as rows, for moving it.
#[async_trait]
pub trait CopyRepository: Send + Sync {
    /// How many rows a section has.
    async fn count_rows(&self, section: Section) -> Result<u64>;

    /// The next `limit` rows of a section after an earlier page's `next`, in an order that is the store's own and stays the same;
    /// events come by position.
    async fn rows(&self, section: Section, after: Option<&str>, limit: usize) -> Result<RowPage>;

    /// What a copy into this store has noted; none when none is under way.
    async fn copy_note(&self) -> Result<Option<String>>;

    /// Makes a step, or nothing of it; fails with `store_locked` when the note is not the known one.
    async fn copy_step(&self, step: CopyStep) -> Result<()>;
}
