//! The PostgreSQL store of Ventros: one schema of a database, which any number of processes on any number of machines may use.
//!
//! What the library promises holds on it unchanged: it passes the same suite as the other stores. A commit is two round trips;
//! row security keeps projects apart even where a statement forgot to. Connections are driven by a thread of the store's own, so
//! that callers may be on any executor.

mod attributes;
mod baselines;
#[cfg(test)]
mod bound;
mod checks;
#[cfg(test)]
#[path = "../tests/cluster/mod.rs"]
mod cluster;
mod commit;
mod connection;
mod consumers;
mod copying;
mod erasing;
mod errors;
mod events;
mod fill;
mod groups;
mod hints;
mod jobs;
mod layout;
mod migrations;
#[cfg(test)]
mod plans;
mod pool;
mod purging;
mod query;
mod removals;
mod secrets;
mod session;
mod snapshots;
mod tls;
mod values;

pub use checks::RowSecurity;

use async_trait::async_trait;
use commit::Work;
use connection::Settings;
use groups::Groups;
use layout::Layout;
use pool::Pool;
use session::{Access, Call, Reach};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, Kind, Result, Timestamp};
use ventros::storage::{
    Batch, Commit, CommitError, Committed, IdempotencyRecord, Storage, StoreSecurity, Table, check_tables,
};

/// How a database is used.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The schema with all tables: at most 63 small letters, digits and underscores. It is created if there is none.
    pub schema: String,
    /// Connections, opened as they are needed; from 2 to 1 000.
    pub connections: u16,
    /// How long to wait for a connection, before `unavailable`, and for what another transaction holds, before `store_locked`.
    pub timeout: Duration,
    /// Whether the role may be one that row security does not hold.
    pub row_security: RowSecurity,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        PostgresOptions {
            schema: "ventros".to_owned(),
            connections: 16,
            timeout: Duration::from_secs(10),
            row_security: RowSecurity::default(),
        }
    }
}

/// A store in one schema of a PostgreSQL database.
pub struct PostgresStorage {
    pool: Arc<Pool>,
    groups: Arc<Groups>,
    layouts: RwLock<BTreeMap<Kind, Arc<Layout>>>,
}

impl PostgresStorage {
    /// Opens the database at `address` (`postgresql://user:password@host:port/database`), with everything else at its default.
    ///
    /// The address may say more after a `?`: what PostgreSQL's own tools understand (`sslmode`, `connect_timeout`,
    /// `application_name`, `options`, `host` for a socket...), and `schema`, `connections`, `sslrootcert` (a file of certificates
    /// to trust) and `row_security`: `required` refuses a role that row security does not hold, such as a superuser, `warn`
    /// (unless told) says so once on the error output, `unchecked` does not ask.
    ///
    /// # Errors
    /// `input_invalid` when the address cannot be read; `unavailable` when nobody answers (`reason` is `unreachable`), the server
    /// refuses (`refused`), or a pooler takes sessions apart (`pooled`); `rls_not_effective`; `schema_too_new`.
    pub async fn open(address: &str) -> Result<Self> {
        Self::open_with(address, PostgresOptions::default()).await
    }

    /// Opens the database.
    pub async fn open_with(address: &str, options: PostgresOptions) -> Result<Self> {
        let settings = Settings::read(address, options)?;
        let pool = Pool::new(settings)?;
        let loan = pool.lend().await?;
        checks::sessions(&loan, &*pool.lend().await?).await?;
        checks::server(&loan).await?;
        migrations::migrate(&loan).await?;
        checks::row_security(&loan, pool.settings.options.row_security).await?;
        drop(loan);
        pool.listen();
        Ok(PostgresStorage { pool, groups: Arc::default(), layouts: RwLock::default() })
    }

    /// A transaction of the host on the same database, as a place for one unit of work: what the host writes and what Ventros decides
    /// are there together, or neither is. See `work_in` of `ventros::engine::Project`.
    ///
    /// The role of the host's connection needs the rights of this store's own on the schema. The settings `ventros.project_id` and
    /// `ventros.system` of the transaction are empty afterwards.
    pub fn within<'t>(&'t self, transaction: &'t Transaction<'t>) -> Within<'t> {
        Within { store: self, transaction, is_used: AtomicBool::new(false) }
    }

    /// The rows of each statement, all of one state of the data.
    async fn read(&self, reach: Reach, calls: &[Call]) -> Result<Vec<Vec<Row>>> {
        self.pool.together(reach, Access::Read, calls).await
    }

    /// Runs statements that may be run twice, in a transaction of their own.
    async fn write(&self, reach: Reach, calls: &[Call]) -> Result<Vec<Vec<Row>>> {
        self.pool.together(reach, Access::Write, calls).await
    }

    /// The batch with the layouts of what it writes, which suit it.
    fn work(&self, batch: Batch) -> Result<Work, CommitError> {
        let mut layouts = BTreeMap::new();
        for write in &batch.snapshots {
            let layout = self.layout(write.kind)?;
            write.index.check(&layout.table)?;
            layouts.insert(write.kind, layout);
        }
        for removal in &batch.removals {
            layouts.insert(removal.kind, self.layout(removal.kind)?);
        }
        Ok(Work { batch, layouts })
    }

    fn layout(&self, kind: Kind) -> Result<Arc<Layout>> {
        let layouts = self.layouts.read().unwrap_or_else(PoisonError::into_inner);
        layouts.get(&kind).cloned().ok_or_else(|| Error::internal(format!("the table of {kind} was not prepared")))
    }
}

/// A transaction of the host that takes one unit of work of a store.
pub struct Within<'t> {
    store: &'t PostgresStorage,
    transaction: &'t Transaction<'t>,
    is_used: AtomicBool,
}

#[async_trait]
impl Commit for Within<'_> {
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        // A second one would decide on what is committed, not on what the first one has just written.
        if self.is_used.load(Ordering::Acquire) {
            let error = Error::new(ErrorCode::InputInvalid)
                .message("a transaction takes one unit of work: run several commands through transact_in")
                .at("transaction");
            return Err(error.into());
        }
        let committed = commit::within(&self.store.pool, self.transaction, &self.store.work(batch)?).await?;
        self.is_used.store(true, Ordering::Release);
        Ok(committed)
    }
}

#[async_trait]
impl Storage for PostgresStorage {
    async fn prepare(&self, tables: &[Table]) -> Result<()> {
        check_tables(tables)?;
        let prepared = fill::prepare(self, tables).await?;
        let mut layouts = self.layouts.write().unwrap_or_else(PoisonError::into_inner);
        layouts.extend(prepared.into_iter().map(|layout| (layout.table.kind, Arc::new(layout))));
        Ok(())
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let is_news = !batch.events.is_empty() || !batch.jobs.is_empty();
        let committed = self.groups.commit(&self.pool, self.work(batch)?).await?;
        if is_news {
            self.pool.hints.tell();
        }
        Ok(committed)
    }

    async fn idempotent(&self, scope: Uuid, key: &str, now: Timestamp) -> Result<Option<IdempotencyRecord>> {
        match commit::idempotent(self, scope, key).await? {
            Some(record) if record.expires_at <= now => {
                commit::forget(self, scope, key, now).await?;
                Ok(None)
            }
            found => Ok(found),
        }
    }

    fn changed_elsewhere(&self) -> bool {
        self.pool.hints.take()
    }

    fn watch(&self, bell: Weak<dyn Fn() + Send + Sync>) {
        self.pool.hints.watch(bell);
    }

    async fn security(&self) -> Result<StoreSecurity> {
        checks::security(&*self.pool.lend().await?).await
    }

    async fn close(&self) -> Result<()> {
        self.pool.close().await;
        Ok(())
    }
}
