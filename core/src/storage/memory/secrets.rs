//! Sealed values in memory.

use super::super::{CommitError, SecretRecord, SecretRepository, SecretWrite};
use super::{Contents, MemoryStorage};
use crate::kernel::{ProjectId, Result};
use async_trait::async_trait;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Where a revision is kept.
pub(super) type SecretKey = (ProjectId, Uuid, u32);

impl Contents {
    /// Refuses a second value for a revision that is there, or that the batch itself has put there.
    pub(super) fn check_secrets(&self, writes: &[SecretWrite]) -> Result<(), CommitError> {
        let mut put: BTreeSet<SecretKey> = BTreeSet::new();
        let mut shredded: Vec<SecretKey> = Vec::new();
        for write in writes {
            match write {
                SecretWrite::Put { record, owner } => {
                    let key = (record.project_id, record.id, record.revision);
                    let gone = shredded.iter().any(|(project, id, up_to)| {
                        (*project, *id) == (record.project_id, record.id) && record.revision <= *up_to
                    });
                    if !put.insert(key) || (self.secrets.contains_key(&key) && !gone) {
                        return Err(CommitError::Stale(*owner));
                    }
                }
                SecretWrite::Shred { project_id, id, revision } => {
                    shredded.push((*project_id, *id, *revision));
                    put.retain(|(project, known, number)| (project, known) != (project_id, id) || number > revision);
                }
            }
        }
        Ok(())
    }

    pub(super) fn write_secret(&mut self, write: SecretWrite) {
        match write {
            SecretWrite::Put { record, .. } => {
                self.secrets.insert((record.project_id, record.id, record.revision), record);
            }
            SecretWrite::Shred { project_id, id, revision } => {
                self.secrets
                    .retain(|(project, known, number), _| (*project, *known) != (project_id, id) || *number > revision);
            }
        }
    }
}

#[async_trait]
impl SecretRepository for MemoryStorage {
    async fn secret(&self, project: ProjectId, id: Uuid, revision: Option<u32>) -> Result<Option<SecretRecord>> {
        let contents = self.contents()?;
        let (first, last) = revision.map_or((0, u32::MAX), |revision| (revision, revision));
        let found = contents.secrets.range((project, id, first)..=(project, id, last)).next_back();
        Ok(found.map(|(_, record)| record.clone()))
    }
}
