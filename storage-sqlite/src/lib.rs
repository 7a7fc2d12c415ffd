//! The SQLite store of Ventros: one file that any number of threads and processes may use at once.
//!
//! One connection writes, others read beside it (WAL). Commits that arrive while one is under way are carried together in the
//! next transaction: the cost of making them durable is shared, and a refused one harms no other.
//! A commit that finds nobody writing runs on the calling thread and is done at the first poll.

mod attributes;
mod baselines;
#[cfg(test)]
mod breaks;
mod commit;
mod connection;
mod consumers;
mod copying;
mod erasing;
mod errors;
mod events;
mod fill;
pub mod fork;
mod jobs;
mod layout;
mod migrations;
#[cfg(test)]
mod plans;
mod purging;
mod query;
mod readers;
mod removals;
#[cfg(test)]
mod rooms;
mod secrets;
mod snapshots;
mod values;
mod writer;

use async_trait::async_trait;
use connection::{Place, Settings};
use layout::Layout;
use readers::Readers;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use uuid::Uuid;
use ventros::kernel::{Error, Kind, Result, Timestamp};
use ventros::storage::{
    Batch, CommitError, Committed, IdempotencyRecord, Storage, StoreKind, StoreSecurity, Table, check_tables,
};
use writer::Writer;

/// When a commit counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// It survives a loss of power.
    #[default]
    Full,
    /// It survives the end of the process; after a loss of power the last commits may be missing, never a part of one.
    Normal,
}

/// How a file is opened.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    pub synchronous: Synchronous,
    /// Connections for reading, opened as they are needed.
    pub readers: usize,
    /// How long to wait for another process that writes, before `store_locked`.
    pub busy_timeout: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        SqliteOptions { synchronous: Synchronous::Full, readers: 8, busy_timeout: Duration::from_secs(10) }
    }
}

/// A store in one SQLite file.
pub struct SqliteStorage {
    writer: Arc<Writer>,
    /// `None`: a store in memory has one connection for everything.
    readers: Option<Arc<Readers>>,
    layouts: RwLock<BTreeMap<Kind, Arc<Layout>>>,
}

impl SqliteStorage {
    /// Opens or creates the file, with everything else at its default.
    ///
    /// # Errors
    /// `unavailable` when the file cannot be opened, `store_locked`, `corrupt_data`, `schema_too_new`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteOptions::default())
    }

    /// Opens or creates the file.
    pub fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        // Files are opened again later: that must not depend on where the process is then.
        let path = std::path::absolute(path).map_err(|error| Error::unavailable(error.to_string()))?;
        let settings = Settings { place: Place::File(path), options };
        let readers = Arc::new(Readers::new(settings.clone()));
        let writer = Writer::open(settings)?;
        let (resting_readers, resting_writer) = (Arc::downgrade(&readers), Arc::downgrade(&writer));
        fork::register(resting_readers);
        fork::register(resting_writer);
        Ok(SqliteStorage { writer, readers: Some(readers), layouts: RwLock::default() })
    }

    /// A store that lives in memory, as long as this handle.
    pub fn open_in_memory() -> Result<Self> {
        let settings = Settings { place: Place::Memory, options: SqliteOptions::default() };
        Ok(SqliteStorage { writer: Writer::open(settings)?, readers: None, layouts: RwLock::default() })
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        match &self.readers {
            Some(readers) => readers.read(work),
            None => self.writer.read(work),
        }
    }

    fn layout(&self, kind: Kind) -> Result<Arc<Layout>> {
        let layouts = self.layouts.read().unwrap_or_else(PoisonError::into_inner);
        layouts.get(&kind).cloned().ok_or_else(|| Error::internal(format!("the table of {kind} was not prepared")))
    }
}

impl Drop for SqliteStorage {
    fn drop(&mut self) {
        self.writer.close();
    }
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn prepare(&self, tables: &[Table]) -> Result<()> {
        check_tables(tables)?;
        let prepared = fill::prepare(&self.writer, tables)?;
        let mut layouts = self.layouts.write().unwrap_or_else(PoisonError::into_inner);
        layouts.extend(prepared.into_iter().map(|layout| (layout.table.kind, Arc::new(layout))));
        Ok(())
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let mut layouts = BTreeMap::new();
        for write in &batch.snapshots {
            let layout = self.layout(write.kind)?;
            write.index.check(&layout.table)?;
            layouts.insert(write.kind, layout);
        }
        for removal in &batch.removals {
            layouts.insert(removal.kind, self.layout(removal.kind)?);
        }
        self.writer.write(move |connection| commit::commit(connection, &layouts, &batch)).await
    }

    async fn idempotent(&self, scope: Uuid, key: &str, now: Timestamp) -> Result<Option<IdempotencyRecord>> {
        let found = self.read(|connection| commit::idempotent(connection, scope, key))?;
        match found {
            Some(record) if record.expires_at <= now => {
                let key = key.to_owned();
                self.writer.write(move |connection| commit::forget(connection, scope, &key, now)).await?;
                Ok(None)
            }
            found => Ok(found),
        }
    }

    fn changed_elsewhere(&self) -> bool {
        self.writer.changed_elsewhere()
    }

    async fn scrub(&self) -> Result<()> {
        erasing::scrub(self).await
    }

    async fn security(&self) -> Result<StoreSecurity> {
        // A closed store says so.
        self.read(|_| Ok(()))?;
        Ok(StoreSecurity::without_roles(StoreKind::Sqlite, self.writer.settings().open_to_others()?))
    }

    async fn close(&self) -> Result<()> {
        if let Some(readers) = &self.readers {
            readers.close();
        }
        self.writer.close();
        Ok(())
    }
}
