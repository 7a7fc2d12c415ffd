//! Sealed values in memory.

use super::super::{CommitError, Scope, SecretQuery, SecretRecord, SecretRepository, SecretWrite};
use super::{Contents, MemoryStorage};
use crate::kernel::{ProjectId, Result};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::ops::Bound;
use uuid::Uuid;

/// Where a revision is kept.
pub(super) type SecretKey = (ProjectId, Uuid, u32);

type Secrets = BTreeMap<SecretKey, SecretRecord>;

impl Contents {
    /// Refuses writes that do not fit what is there, or what the batch itself has made of it.
    pub(super) fn check_secrets(&self, writes: &[SecretWrite]) -> Result<(), CommitError> {
        let touched = writes.iter().filter_map(|write| write.id().map(|id| (write.project(), id)));
        let revisions =
            touched.flat_map(|(project, id)| self.secrets.range((project, id, 0)..=(project, id, u32::MAX)));
        let mut secrets: Secrets = revisions.map(|(key, record)| (*key, record.clone())).collect();
        writes.iter().try_for_each(|write| apply(&mut secrets, write.clone()))
    }

    pub(super) fn write_secret(&mut self, write: SecretWrite) {
        let written = apply(&mut self.secrets, write);
        debug_assert!(written.is_ok(), "it was checked before");
    }
}

fn apply(secrets: &mut Secrets, write: SecretWrite) -> Result<(), CommitError> {
    match write {
        SecretWrite::Put(record) => {
            let key = (record.project_id, record.id, record.revision);
            if secrets.contains_key(&key) {
                return Err(CommitError::Stale(record.owner));
            }
            secrets.insert(key, record);
        }
        SecretWrite::Reseal { record, replaces } => {
            let known = secrets.get_mut(&(record.project_id, record.id, record.revision));
            let Some(known) = known.filter(|known| known.key_id == replaces) else {
                return Err(CommitError::Stale(record.owner));
            };
            *known = record;
        }
        SecretWrite::Shred { project_id, id, revision } => {
            secrets.retain(|(project, known, number), _| (*project, *known) != (project_id, id) || *number > revision);
        }
        SecretWrite::ShredAll { project_id } => secrets.retain(|(project, ..), _| *project != project_id),
        SecretWrite::Newest { project_id, id, revision, owner } => {
            let newest = secrets.range((project_id, id, 0)..=(project_id, id, u32::MAX)).next_back();
            if newest.map(|((.., newest), _)| *newest) != Some(revision) {
                return Err(CommitError::Stale(owner));
            }
        }
    }
    Ok(())
}

#[async_trait]
impl SecretRepository for MemoryStorage {
    async fn secret(&self, project: ProjectId, id: Uuid, revision: Option<u32>) -> Result<Option<SecretRecord>> {
        let contents = self.contents()?;
        let (first, last) = revision.map_or((0, u32::MAX), |revision| (revision, revision));
        let found = contents.secrets.range((project, id, first)..=(project, id, last)).next_back();
        Ok(found.map(|(_, record)| record.clone()))
    }

    async fn secrets_under(&self, scope: Scope, query: &SecretQuery) -> Result<Vec<SecretRecord>> {
        let contents = self.contents()?;
        let start = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = contents.secrets.range((start, Bound::Unbounded)).map(|(_, record)| record);
        let under = rows.filter(|record| scope.sees(record.project_id) && record.key_id == query.key_id);
        Ok(under.take(query.limit).cloned().collect())
    }
}
