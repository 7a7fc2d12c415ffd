//! Each has a stream of its own. What concerns a project is in its log, what concerns the installation in the system log.

use crate::events;
use crate::kernel::ProjectId;

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
    }
}
