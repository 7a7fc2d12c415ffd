//! Everything a unit of work decided, to be written at once.

use super::{
    AttemptRecord, ConsumerProgress, ConsumerRecord, ConsumerStatus, Erasure, EventRecord, IdempotencyRecord, Index,
    JobRecord, JobState, SecretWrite, SnapshotRemoval, UniqueKey,
};
use crate::kernel::{Error, Kind, ProjectId, Subject, Timestamp};
use uuid::Uuid;

/// One atomic write.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Snapshots that are removed, before anything is written.
    pub removals: Vec<SnapshotRemoval>,
    pub snapshots: Vec<SnapshotWrite>,
    /// In log order; `seq` and `position` are assigned by the store.
    pub events: Vec<EventRecord>,
    pub jobs: Vec<JobWrite>,
    pub secrets: Vec<SecretWrite>,
    pub idempotency: Option<IdempotencyRecord>,
    /// The checkpoint of the reaction that this batch is the effect of.
    pub consumer: Option<ConsumerProgress>,
    /// Changes of consumers from outside their workers, written after that.
    pub consumers: Vec<ConsumerWrite>,
    /// What is forgotten, in this order, after everything else.
    pub erasures: Vec<Erasure>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.removals.is_empty()
            && self.snapshots.is_empty()
            && self.events.is_empty()
            && self.jobs.is_empty()
            && self.secrets.is_empty()
            && self.idempotency.is_none()
            && self.consumer.is_none()
            && self.consumers.is_empty()
            && self.erasures.is_empty()
    }

    /// Which snapshots it writes or removes, with the revisions that they were loaded with.
    pub fn touched(&self) -> impl Iterator<Item = (Kind, Uuid, u64)> {
        let written = self.snapshots.iter().map(|write| (write.kind, write.id, write.loaded_revision));
        written.chain(self.removals.iter().map(|removal| (removal.kind, removal.id, removal.loaded_revision)))
    }

    /// True when it removes this snapshot.
    pub fn removes(&self, project: ProjectId, kind: Kind, id: Uuid) -> bool {
        self.removals.iter().any(|removal| (removal.project_id, removal.kind, removal.id) == (project, kind, id))
    }

    /// True when it frees this key of its holder, by a write or a removal.
    pub fn gives_up(&self, project: ProjectId, holder: Subject, key: &UniqueKey) -> bool {
        let is_of = |owner: ProjectId, kind, id| owner == project && kind == holder.kind && id == holder.id;
        let written = self
            .snapshots
            .iter()
            .any(|write| is_of(write.project_id, write.kind, write.id) && write.changed.keys_removed.contains(key));
        let removed = |removal: &SnapshotRemoval| {
            is_of(removal.project_id, removal.kind, removal.id) && removal.keys.contains(key)
        };
        written || self.removals.iter().any(removed)
    }
}

/// One snapshot to insert (`loaded_revision` 0) or to replace.
#[derive(Debug, Clone)]
pub struct SnapshotWrite {
    pub project_id: ProjectId,
    pub kind: Kind,
    pub id: Uuid,
    /// The revision it was loaded with; the write fails as stale when the store has another.
    pub loaded_revision: u64,
    pub revision: u64,
    pub version: u64,
    /// Which event types and versions the writing program knew; see [`Snapshot`](super::Snapshot).
    pub schema: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub state: String,
    pub index: Index,
    /// What of the index differs from the loaded one; the rest need not be touched. An insert writes everything.
    pub changed: IndexChange,
}

/// The parts of an index that a write has to touch.
#[derive(Debug, Clone, Default)]
pub struct IndexChange {
    /// Declared columns whose value is another one.
    pub columns: Vec<&'static str>,
    pub hidden: bool,
    pub keys_added: Vec<UniqueKey>,
    pub keys_removed: Vec<UniqueKey>,
    pub attributes: bool,
    /// The search text, or whether it is hidden.
    pub search: bool,
}

impl IndexChange {
    /// What has to be touched to come from `before` to `after`; everything when nothing is known of before.
    pub fn between(before: Option<&Index>, after: &Index) -> Self {
        let none = Index::default();
        let old = before.unwrap_or(&none);
        let (mut old_value, mut new_value) = (old.values(), after.values());
        let set = after.columns.iter().filter(|(field, value)| before.is_none() || old_value(field) != value);
        let emptied = old.columns.iter().filter(|(field, value)| !value.is_null() && new_value(field).is_null());
        let mut columns: Vec<&'static str> = set.chain(emptied).map(|(field, _)| *field).collect();
        columns.sort_unstable();
        columns.dedup();
        IndexChange {
            columns,
            hidden: before.is_none_or(|before| before.hidden != after.hidden),
            keys_added: after.keys.iter().filter(|key| !old.keys.contains(key)).cloned().collect(),
            keys_removed: old.keys.iter().filter(|key| !after.keys.contains(key)).cloned().collect(),
            attributes: before.is_none_or(|before| before.attributes != after.attributes),
            search: before.is_none_or(|before| before.search != after.search || before.hidden != after.hidden),
        }
    }
}

/// One change to a consumer from outside its worker. What names none that exists does nothing.
#[derive(Debug, Clone)]
pub enum ConsumerWrite {
    /// Inserts; a known one stays as it is.
    Create(ConsumerRecord),
    /// Lets it read or not; the token of whoever reads is void from then on.
    SetStatus { project_id: ProjectId, name: String, status: ConsumerStatus },
    /// Begins a new generation after this event: the token of whoever reads is void, failures are forgotten, and so are the dead
    /// letters of later events.
    Reset { project_id: ProjectId, name: String, checkpoint: u64 },
    /// Has the dead letters of these events tried again; failures of the consumer hold it back no longer.
    RetryDeadLetters { project_id: ProjectId, name: String, event_ids: Vec<Uuid> },
    /// Forgets the dead letters of these events.
    DiscardDeadLetters { project_id: ProjectId, name: String, event_ids: Vec<Uuid> },
    /// Removes it with its dead letters.
    Delete { project_id: ProjectId, name: String },
}

impl ConsumerWrite {
    /// Whose consumer it is.
    pub fn project(&self) -> ProjectId {
        match self {
            ConsumerWrite::Create(consumer) => consumer.project_id.0,
            ConsumerWrite::SetStatus { project_id, .. }
            | ConsumerWrite::Reset { project_id, .. }
            | ConsumerWrite::RetryDeadLetters { project_id, .. }
            | ConsumerWrite::DiscardDeadLetters { project_id, .. }
            | ConsumerWrite::Delete { project_id, .. } => *project_id,
        }
    }
}

/// One change to the jobs.
#[derive(Debug, Clone)]
pub enum JobWrite {
    /// Inserts; an open job with the same unique key stays as it is.
    Enqueue(JobRecord),
    /// Inserts; nothing of the batch is written, as for a stale snapshot, when an open job has the same unique key.
    Create(JobRecord),
    /// Inserts, or moves the open job of the same unique key to this time, priority and payload. A running one is taken from its
    /// worker, whose token is void from then on; but what this batch itself finishes is finished first.
    Schedule(JobRecord),
    /// Cancels the open job of this key, if any; the token of a running one is void from then on.
    Cancel { project_id: ProjectId, unique_key: String, at: Timestamp },
    /// Ends or puts back a claimed job; nothing of the batch is written when the token is no longer current.
    Finish {
        project_id: ProjectId,
        id: Uuid,
        lease_token: u64,
        state: JobState,
        run_at: Option<Timestamp>,
        attempt: u32,
        error: Option<String>,
        result: Option<String>,
        /// All that is kept of its tries from then on.
        history: Vec<AttemptRecord>,
        at: Timestamp,
    },
    /// Leaves a claimed job to its worker until then; nothing of the batch is written when the token is no longer current.
    Extend { project_id: ProjectId, id: Uuid, lease_token: u64, until: Timestamp },
    /// Cancels a job that is open or dead; the token of a running one is void from then on.
    CancelJob { project_id: ProjectId, id: Uuid, at: Timestamp },
    /// Puts scheduled, parked or dead jobs to work; dead ones start with attempt 0. A dead job whose unique key has been taken by
    /// an open one stays as it is.
    Release { project_id: ProjectId, ids: Vec<Uuid>, run_at: Timestamp },
    /// Changes nothing; nothing of the batch is written, as for a stale snapshot, when an open job has the unique key of this one.
    Vacant { project_id: ProjectId, id: Uuid, unique_key: String },
    /// Removes jobs that ended before one moment, dead ones that do not block their order key before another, and idempotency keys that expired before the first.
    Purge { finished_before: Timestamp, dead_before: Timestamp },
}

/// What the store made of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The newest `seq` of each project that was written to.
    pub heads: Vec<(ProjectId, u64)>,
}

/// Why a batch was not written. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum CommitError {
    /// Somebody else wrote this aggregate, or a secret of it, since it was loaded.
    Stale(Subject),
    /// A unique key is held by another aggregate.
    Taken {
        key: UniqueKey,
        holder: Subject,
    },
    /// The job or consumer was given to somebody else meanwhile.
    LeaseLost,
    /// The idempotency key was used by a commit that came first.
    KeyUsed,
    Store(Error),
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        CommitError::Store(error)
    }
}
