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
    /// The aggregate that it belongs to, and for no other opens.
    pub owner: Subject,
    /// Which of its fields.
    pub field: String,
    /// The key that it is sealed under.
    pub key_id: String,
    /// Unreadable without that key, and bound to its place.
    pub sealed: String,
    pub created_at: Timestamp,
}

impl fmt::Debug for SecretRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SecretRecord { project_id, id, revision, owner, field, key_id, sealed: _, created_at } = self;
        f.debug_struct("SecretRecord")
            .field("project_id", project_id)
            .field("id", id)
            .field("revision", revision)
            .field("owner", owner)
            .field("field", field)
            .field("key_id", key_id)
            .field("created_at", created_at)
            .finish_non_exhaustive()
    }
}

/// One change to the sealed values. The changes of a batch are made in their order.
#[derive(Debug, Clone)]
pub enum SecretWrite {
    /// Keeps a revision; the batch is refused as stale (of its owner) when there is one of its number.
    Put(SecretRecord),
    /// Puts another sealed form in the place of the one under a key; the batch is refused as stale (of its owner) when the
    /// revision is gone or under another key.
    Reseal { record: SecretRecord, replaces: String },
    /// Destroys the revisions up to and including this one. What is gone already is fine.
    Shred { project_id: ProjectId, id: Uuid, revision: u32 },
    /// Destroys everything of a project.
    ShredAll { project_id: ProjectId },
    /// Changes nothing; the batch is refused as stale (of `owner`) unless this is the newest revision.
    Newest { project_id: ProjectId, id: Uuid, revision: u32, owner: Subject },
}

impl SecretWrite {
    /// Whose secret it is.
    pub fn project(&self) -> ProjectId {
        match self {
            SecretWrite::Put(record) | SecretWrite::Reseal { record, .. } => record.project_id,
            SecretWrite::Shred { project_id, .. }
            | SecretWrite::ShredAll { project_id }
            | SecretWrite::Newest { project_id, .. } => *project_id,
        }
    }

    /// The one secret that it is about.
    pub fn id(&self) -> Option<Uuid> {
        match self {
            SecretWrite::Put(record) | SecretWrite::Reseal { record, .. } => Some(record.id),
            SecretWrite::Shred { id, .. } | SecretWrite::Newest { id, .. } => Some(*id),
            SecretWrite::ShredAll { .. } => None,
        }
    }
}

/// Which sealed values to walk through: those under one key, in the order of project, id and revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretQuery {
    /// The key that they are sealed under.
    pub key_id: String,
    /// Where the last page ended.
    pub after: Option<(ProjectId, Uuid, u32)>,
    pub limit: usize,
}
