//! Sealed values as a store keeps them: opaque text, one row for each revision.

use crate::kernel::{ProjectId, Subject, Timestamp};
use std::fmt;
use uuid::Uuid;

/// One revision of a sealed value.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRecord {
    pub project_id: ProjectId,
    pub id: Uuid,
    pub revision: u32,
    /// The key that it is sealed under.
    pub key_id: String,
    /// Unreadable without that key, and bound to its place.
    pub sealed: String,
    pub created_at: Timestamp,
}

impl fmt::Debug for SecretRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SecretRecord { project_id, id, revision, key_id, sealed: _, created_at } = self;
        f.debug_struct("SecretRecord")
            .field("project_id", project_id)
            .field("id", id)
            .field("revision", revision)
            .field("key_id", key_id)
            .field("created_at", created_at)
            .finish_non_exhaustive()
    }
}

/// One change to the sealed values. The changes of a batch are made in their order.
#[derive(Debug, Clone)]
pub enum SecretWrite {
    /// Keeps a revision; the batch is refused as stale (of `owner`) when there is one of its number.
    Put { record: SecretRecord, owner: Subject },
    /// Destroys the revisions up to and including this one. What is gone already is fine.
    Shred { project_id: ProjectId, id: Uuid, revision: u32 },
}
