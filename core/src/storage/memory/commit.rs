//! The one write: everything is checked before anything is changed.

use super::super::{Batch, CommitError, Committed, EventRecord, SnapshotRemoval, SnapshotWrite, UniqueKey};
use super::{Contents, Key, Row};
use crate::kernel::{ErrorCode, ProjectId, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// What a batch does to the unique keys.
#[derive(Default)]
struct KeyChanges {
    freed: BTreeSet<Key>,
    taken: BTreeMap<Key, (ProjectId, Subject)>,
}

impl SnapshotWrite {
    fn subject(&self) -> Subject {
        Subject::new(self.kind, self.id)
    }
}

impl Key {
    pub(super) fn of(project: ProjectId, key: &UniqueKey) -> Self {
        Key {
            space: key.space.to_owned(),
            scope: key.scope.clone(),
            key: key.key.clone(),
            project: if key.global { None } else { Some(project) },
        }
    }
}

impl Contents {
    pub(super) fn commit(&mut self, batch: Batch) -> Result<Committed, CommitError> {
        self.check_leases(&batch)?;
        self.check_removals(&batch.removals)?;
        self.check_revisions(&batch)?;
        let keys = self.check_keys(&batch)?;
        self.check_events(&batch.events)?;
        self.check_secrets(&batch.secrets)?;

        for key in &keys.freed {
            self.keys.remove(key);
        }
        for removal in &batch.removals {
            self.snapshots.remove(&(removal.kind, removal.project_id, removal.id));
        }
        self.keys.extend(keys.taken);
        for write in batch.snapshots {
            self.heads.entry(write.project_id).or_default();
            let row = Row {
                revision: write.revision,
                version: write.version,
                schema: write.schema,
                created_at: write.created_at,
                updated_at: write.updated_at,
                state: write.state,
                index: write.index,
            };
            self.snapshots.insert((write.kind, write.project_id, write.id), row);
        }
        batch.secrets.into_iter().for_each(|write| self.write_secret(write));
        let committed = self.append(batch.events);
        if let Some(record) = batch.idempotency {
            self.idempotency.insert((record.scope, record.key.clone()), record);
        }
        batch.jobs.iter().for_each(|write| self.finish_job(write));
        batch.jobs.into_iter().for_each(|write| self.write_job(write));
        if let Some(progress) = &batch.consumer {
            self.progress(progress);
        }
        batch.consumers.into_iter().for_each(|write| self.write_consumer(write));
        batch.erasures.into_iter().for_each(|erasure| self.erase(erasure));
        Ok(committed)
    }

    fn check_leases(&self, batch: &Batch) -> Result<(), CommitError> {
        let consumer_is_held = batch.consumer.as_ref().is_none_or(|progress| self.holds_lease(progress));
        if !consumer_is_held || !batch.jobs.iter().all(|write| self.lease_is_current(write)) {
            return Err(CommitError::LeaseLost);
        }
        batch.jobs.iter().try_for_each(|write| self.job_id_is_new(write))?;
        if let Some(taken) = batch.jobs.iter().find_map(|write| self.taken_by(write)) {
            return Err(CommitError::Stale(taken));
        }
        let used =
            |record: &super::IdempotencyRecord| self.idempotency.contains_key(&(record.scope, record.key.clone()));
        if batch.idempotency.as_ref().is_some_and(used) { Err(CommitError::KeyUsed) } else { Ok(()) }
    }

    fn check_removals(&self, removals: &[SnapshotRemoval]) -> Result<(), CommitError> {
        let is_current = |removal: &SnapshotRemoval| {
            let stored = self.snapshots.get(&(removal.kind, removal.project_id, removal.id));
            stored.is_some_and(|row| row.revision == removal.loaded_revision)
        };
        let stale = removals.iter().find(|removal| !is_current(removal));
        stale.map_or(Ok(()), |removal| Err(CommitError::Stale(removal.subject())))
    }

    fn check_revisions(&self, batch: &Batch) -> Result<(), CommitError> {
        let is_removed = |write: &SnapshotWrite| batch.removes(write.project_id, write.kind, write.id);
        for write in &batch.snapshots {
            if let Some(table) = self.tables.get(&write.kind) {
                write.index.check(table)?;
            }
            let stored = self.snapshots.get(&(write.kind, write.project_id, write.id)).filter(|_| !is_removed(write));
            if stored.map_or(0, |row| row.revision) != write.loaded_revision {
                return Err(CommitError::Stale(write.subject()));
            }
        }
        Ok(())
    }

    /// The keys that change hands: what the batch gives up is free for what it takes.
    fn check_keys(&self, batch: &Batch) -> Result<KeyChanges, CommitError> {
        let writes = &batch.snapshots;
        let mut changes = KeyChanges::default();
        for removal in &batch.removals {
            let owner = (removal.project_id, removal.subject());
            let removed = removal.keys.iter().map(|key| Key::of(removal.project_id, key));
            changes.freed.extend(removed.filter(|key| self.keys.get(key) == Some(&owner)));
        }
        for write in writes {
            let owner = (write.project_id, write.subject());
            let removed = write.changed.keys_removed.iter().map(|key| Key::of(write.project_id, key));
            changes.freed.extend(removed.filter(|key| self.keys.get(key) == Some(&owner)));
        }
        for write in writes {
            let added = if write.loaded_revision == 0 { &write.index.keys } else { &write.changed.keys_added };
            for key in added {
                let owner = (write.project_id, write.subject());
                let place = Key::of(write.project_id, key);
                let stored = self.keys.get(&place).filter(|_| !changes.freed.contains(&place));
                let holder = *stored.unwrap_or_else(|| changes.taken.entry(place).or_insert(owner));
                if holder != owner {
                    return Err(CommitError::Taken { key: key.clone(), holder: holder.1 });
                }
            }
        }
        Ok(changes)
    }

    fn check_events(&self, events: &[EventRecord]) -> Result<(), CommitError> {
        let mut seen = BTreeSet::new();
        for event in events {
            if self.event_ids.contains_key(&event.id) || !seen.insert(event.id) {
                return Err(CommitError::Store(ErrorCode::EventIdConflict.into()));
            }
            let stream = Subject::new(event.aggregate_kind, event.aggregate_id);
            if self.streams.contains_key(&(event.project_id.0, stream, event.aggregate_version)) {
                return Err(CommitError::Stale(stream));
            }
        }
        Ok(())
    }

    fn append(&mut self, events: Vec<EventRecord>) -> Committed {
        let mut written = BTreeMap::new();
        for mut event in events {
            let head = self.heads.entry(event.project_id.0).or_default();
            *head += 1;
            event.seq = *head;
            event.position = self.events.last().map_or(0, |last| last.position).max(self.last_position) + 1;
            written.insert(event.project_id.0, *head);
            self.event_ids.insert(event.id, event.position);
            let stream = Subject::new(event.aggregate_kind, event.aggregate_id);
            self.streams.insert((event.project_id.0, stream, event.aggregate_version), event.position);
            self.events.push(event);
        }
        Committed { heads: written.into_iter().collect() }
    }
}
