//! Snapshots that a commit removes for good.

use super::UniqueKey;
use crate::kernel::{Kind, ProjectId, Subject};
use uuid::Uuid;

/// One snapshot that a commit removes, with its unique keys, attributes and search words.
///
/// A batch removes before it writes: the keys are free for what it writes itself. Nothing else goes with the snapshot, neither its
/// events nor its jobs nor its sealed values; a store that keeps references refuses to leave any that lead nowhere when the commit ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRemoval {
    pub project_id: ProjectId,
    pub kind: Kind,
    pub id: Uuid,
    /// The revision it was loaded with; the removal fails as stale when the store has another, or none.
    pub loaded_revision: u64,
    /// The unique keys that it holds at that revision.
    pub keys: Vec<UniqueKey>,
}

impl SnapshotRemoval {
    pub fn subject(&self) -> Subject {
        Subject::new(self.kind, self.id)
    }
}
