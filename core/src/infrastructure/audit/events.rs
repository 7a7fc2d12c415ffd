//! Each has a stream of its own. What concerns a project is in its log, what concerns the installation in the system log.

use crate::events;
use crate::kernel::{Kind, ProjectId, Subject};
use uuid::Uuid;

events! {
    /// What is recorded to be looked up later.
    pub enum AuditEvent: Audit {
        /// Another encryption key is in use, and everything that was sealed under older ones has been sealed anew.
        "encryption_key.rotated" EncryptionKeyRotated {
            /// Whose data key it is; null for the master key.
            project_id: Option<ProjectId>,
            /// The new key.
            key_id: String,
            /// How many sealed values were moved to it.
            rows: u64,
        },
        /// An encryption key is out of use for good.
        "encryption_key.retired" EncryptionKeyRetired {
            /// Whose data key it was; null for a master key.
            project_id: Option<ProjectId>,
            key_id: String,
            /// How many versions of the data key were destroyed; 0 for a master key, which is the host's to destroy.
            rows: u64,
        },
        /// Somebody tried what is not allowed. One event for all tries of a minute, by who it was and what was tried.
        "audit.access_denied" AccessDenied {
            /// What was missing.
            permission: String,
            /// The operation.
            command: String,
            /// What it named, whether or not that exists.
            target_kind: Option<Kind>,
            target_id: Option<Uuid>,
            count: u64,
        },
        /// Somebody that nobody knows tried to come in. One event for all tries of a minute.
        "audit.login_failed" LoginFailed {
            /// The same for the same identity while a process runs; it does not tell which.
            identity_hash: String,
            /// Where it came from, if the host told.
            source: Option<String>,
            reason: String,
            count: u64,
        },
        /// Everything about a person was handed out.
        "privacy.exported" Exported { subject_kind: Kind, subject_id: Uuid },
    }
    subjects(event, about) {
        match event {
            AuditEvent::AccessDenied { target_kind: Some(kind), target_id: Some(id), .. }
            | AuditEvent::Exported { subject_kind: kind, subject_id: id } => about.push(Subject::new(*kind, *id)),
            _ => {}
        }
    }
}
