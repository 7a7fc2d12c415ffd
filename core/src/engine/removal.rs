//! Removing what is stored of aggregates and records: for retention, and for projects that are purged.

use super::work::{KeyKnown, UnitOfWork};
use crate::catalogue::table_of;
use crate::kernel::{Error, Kind, Result};
use crate::storage::SnapshotRemoval;
use uuid::Uuid;

impl UnitOfWork<'_> {
    /// Removes for good what is stored of these aggregates or records, with their unique keys, attributes and search words, and tells how
    /// many of them there are. What this unit of work has done with them before is not written.
    ///
    /// It reads them all, so that the commit is decided again when somebody changes one meanwhile: 1 000 at a time are a good measure.
    /// The events of an aggregate stay. Rebuilding brings it back and verifying misses it as long as they do, so that only what has no
    /// events, a record, goes alone. On PostgreSQL what refers to it must go in the same commit or before, as messages do before their chat.
    ///
    /// # Errors
    /// `store_corrupt` for a state that cannot be read.
    pub async fn remove_stored(&mut self, kind: Kind, ids: &[Uuid]) -> Result<usize> {
        let table = table_of(kind).ok_or_else(|| Error::internal(format!("nothing is stored of {kind}")))?;
        let found = self.reader().storage().get(self.reader().scope_of(kind), kind, ids).await?;
        let count = found.len();
        for snapshot in found {
            let key = (kind, snapshot.id);
            self.entries.remove(&key);
            self.waiting.remove(&key);
            self.records.remove(&key);
            let keys = (table.index)(&snapshot.state)?.keys;
            for held in &keys {
                self.keys.insert((held.space, held.scope.clone(), held.key.clone()), KeyKnown::Free);
            }
            let (project_id, id, loaded_revision) = (snapshot.project_id, snapshot.id, snapshot.revision);
            self.removals.insert(key, SnapshotRemoval { project_id, kind, id, loaded_revision, keys });
        }
        Ok(count)
    }
}
