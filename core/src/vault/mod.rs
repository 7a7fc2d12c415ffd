//! The vault: secrets are sealed under a data key of their project, and data keys under a master key of the host.
//!
//! Events and states hold a [`SecretRef`]; the sealed text lies in the store, written in the same
//! commit. Master keys never touch the store, so whoever has only the store can read no secret, and a project whose data
//! keys are destroyed has none any more, in no backup either.

mod keys;
mod sealing;

pub use keys::{KeyProvider, KeyRing, MasterKey, StaticKey};
pub(crate) use sealing::{KEY_BYTES, NONCE_BYTES, open, seal};

use crate::kernel::{Kind, ProjectId, SecretId, SecretRef, Subject};
use crate::storage::SecretRecord;
use std::borrow::Cow;
use uuid::Uuid;

/// The id, the same in every project, under which its data keys are kept. Their revisions are the versions of the key.
pub(crate) const DATA_KEY: SecretId = SecretId::from_uuid(Uuid::from_u128(1));
/// The id, the same in every project, of the key that fingerprints of its secrets are made with.
pub(crate) const FINGERPRINT_KEY: SecretId = SecretId::from_uuid(Uuid::from_u128(2));
/// The most bytes of a secret.
pub const MAX_SECRET_BYTES: usize = 16_384;

/// Where a secret belongs. A sealed value opens only in the place that it was sealed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPlace {
    pub project_id: ProjectId,
    /// The aggregate that holds the reference.
    pub owner: Subject,
    /// Which of its fields.
    pub field: Cow<'static, str>,
}

impl SecretPlace {
    /// A field of an aggregate.
    pub fn new(project_id: ProjectId, kind: Kind, id: impl Into<Uuid>, field: impl Into<Cow<'static, str>>) -> Self {
        SecretPlace { project_id, owner: Subject::new(kind, id.into()), field: field.into() }
    }

    /// Where the data keys of a project belong.
    pub(crate) fn of_data_key(project: ProjectId) -> Self {
        SecretPlace::new(project, Kind::Project, project, "data_key")
    }

    /// Where the key of a project's fingerprints belongs.
    pub(crate) fn of_fingerprint_key(project: ProjectId) -> Self {
        SecretPlace::new(project, Kind::Project, project, "fingerprint_key")
    }

    /// Where a sealed value says that it belongs.
    pub(crate) fn of(record: &SecretRecord) -> Self {
        SecretPlace { project_id: record.project_id, owner: record.owner, field: record.field.clone().into() }
    }

    /// What a sealed value is bound to. The parts of varying length are the kind, which is ended by a zero, and the last.
    pub(crate) fn bind(&self, secret: SecretRef) -> Vec<u8> {
        let (project, id) = (self.project_id.uuid(), secret.secret_id.uuid());
        let parts: [&[u8]; 8] = [
            b"ventros.secret.v1\0",
            project.as_bytes(),
            id.as_bytes(),
            &secret.revision.to_be_bytes(),
            self.owner.kind.as_str().as_bytes(),
            b"\0",
            self.owner.id.as_bytes(),
            self.field.as_bytes(),
        ];
        parts.concat()
    }
}

/// How sealed texts name a data key of their project.
pub(crate) fn data_key_name(version: u32) -> String {
    format!("p{version}")
}

/// The version in the name of a data key.
pub(crate) fn data_key_version(name: &str) -> Option<u32> {
    name.strip_prefix('p')?.parse().ok()
}

#[cfg(test)]
mod tests;
