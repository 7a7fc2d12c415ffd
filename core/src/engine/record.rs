//! Rows that no event tells of: records of work, such as the deliveries of webhooks. They are written whole and found like aggregates.

use super::aggregate::{Aggregate, decode, encode, index_of};
use super::work::UnitOfWork;
use crate::kernel::{Error, Result};
use crate::storage::{Index, IndexChange, Snapshot, SnapshotWrite};
use std::ops::{Deref, DerefMut};

/// A state that is written whole: no event folds into it, so nothing is rebuilt from the log and nothing in the log proves it.
///
/// For what changes too often to be events and is of no use without its own history: then a row per piece of work is what
/// people look for. `create` gives `None`, `apply` does nothing.
pub trait Record: Aggregate {}

/// A record in the hands of a unit of work. What is changed is written by [`put_row`](UnitOfWork::put_row).
pub struct Row<A> {
    state: A,
    /// The index and the revision in the store; none when it is new.
    stored: Option<(Index, u64)>,
}

impl<A> Row<A> {
    /// A record that the store does not have yet; should somebody else have made it meanwhile, the unit of work decides again.
    pub fn new(state: A) -> Self {
        Row { state, stored: None }
    }

    /// The state itself.
    pub fn into_inner(self) -> A {
        self.state
    }
}

impl<A> Deref for Row<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.state
    }
}

impl<A> DerefMut for Row<A> {
    fn deref_mut(&mut self) -> &mut A {
        &mut self.state
    }
}

impl UnitOfWork<'_> {
    /// A record as this unit of work sees it: with what it has put itself.
    pub async fn row<A: Record>(&self, id: A::Id) -> Result<Option<Row<A>>> {
        let key = (A::KIND, id.into());
        if self.removals.contains_key(&key) {
            return Ok(None);
        }
        if let Some(write) = self.records.get(&key) {
            let state = decode::<A>(&snapshot_of(write))?;
            return Ok(Some(Row { stored: Some((write.index.clone(), write.loaded_revision)), state }));
        }
        let state = self.reader().find_any::<A>(id).await?;
        Ok(state.map(|state| Row { stored: Some((index_of(&state), state.base().revision)), state }))
    }

    /// Puts a record into the commit and gives its state back.
    pub fn put_row<A: Record>(&mut self, row: Row<A>) -> Result<A> {
        let Row { mut state, stored } = row;
        let mut base = state.base();
        let key = (A::KIND, base.id);
        if self.removals.contains_key(&key) {
            return Err(Error::internal(format!("a {} was put after it was removed", A::KIND)));
        }
        let known = self.records.get(&key).map(|write| write.loaded_revision);
        let loaded_revision = known.or(stored.as_ref().map(|(_, revision)| *revision)).unwrap_or(0);
        base.revision = loaded_revision + 1;
        base.version = base.revision;
        base.updated_at = self.now();
        state.set_base(base);
        let index = index_of(&state);
        // A second change of one unit of work compares with the first, which the store never saw.
        let before = stored.as_ref().map(|(index, _)| index).filter(|_| known.is_none());
        let write = SnapshotWrite {
            project_id: base.project_id,
            kind: A::KIND,
            id: base.id,
            loaded_revision,
            revision: base.revision,
            version: base.version,
            schema: 1,
            created_at: base.created_at,
            updated_at: base.updated_at,
            state: encode(&state)?,
            changed: IndexChange::between(before, &index),
            index,
        };
        self.records.insert(key, write);
        Ok(state)
    }
}

fn snapshot_of(write: &SnapshotWrite) -> Snapshot {
    let SnapshotWrite { project_id, id, revision, schema, ref state, .. } = *write;
    Snapshot { project_id, id, revision, schema, state: state.clone() }
}
