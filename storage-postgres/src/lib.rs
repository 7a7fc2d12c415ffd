//! The PostgreSQL store of Ventros: one schema of a database, which any number of processes on any number of machines may use.
//!
//! What the library promises holds on it unchanged: it passes the same suite as the other stores. A commit is two round trips;
//! row security keeps projects apart even where a statement forgot to. Connections are driven by a thread of the store's own, so
//! that callers may be on any executor.

mod attributes;
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
mod errors;
mod events;
mod fill;
mod hints;
mod jobs;
mod layout;
mod migrations;
#[cfg(test)]
mod plans;
mod pool;
mod query;
mod secrets;
mod session;
mod snapshots;
mod tls;
mod values;

pub use checks::RowSecurity;

use async_trait::async_trait;
use connection::Settings;
use errors::postgres;
use layout::Layout;
use pool::Pool;
use session::{Access, Call, Reach, Transaction, all, is_worth_another_try};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio_postgres::Row;
use uuid::Uuid;
use ventros::kernel::{Error, Kind, Result, Timestamp};
use ventros::storage::{Batch, CommitError, Committed, IdempotencyRecord, Storage, Table, check_tables};

/// How often a statement is tried that the server sends back because of others, or that met a lost connection.
const TRIES: usize = 5;

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
        Ok(PostgresStorage { pool, layouts: RwLock::default() })
    }

    /// The rows of each statement, all of one state of the data.
    async fn read(&self, reach: Reach, calls: &[Call]) -> Result<Vec<Vec<Row>>> {
        self.together(reach, Access::Read, calls).await
    }

    /// Runs statements that may be run twice, in a transaction of their own.
    async fn write(&self, reach: Reach, calls: &[Call]) -> Result<Vec<Vec<Row>>> {
        self.together(reach, Access::Write, calls).await
    }

    async fn together(&self, reach: Reach, access: Access, calls: &[Call]) -> Result<Vec<Vec<Row>>> {
        let mut tries = TRIES;
        loop {
            let transaction = Transaction::new(&self.pool, reach, access).await?;
            match all(transaction.finish(calls).await) {
                Ok(rows) => return Ok(rows),
                Err(error) if tries > 1 && is_worth_another_try(&error) => tries -= 1,
                Err(error) => return Err(postgres(error)),
            }
        }
    }

    fn layout(&self, kind: Kind) -> Result<Arc<Layout>> {
        let layouts = self.layouts.read().unwrap_or_else(PoisonError::into_inner);
        layouts.get(&kind).cloned().ok_or_else(|| Error::internal(format!("the table of {kind} was not prepared")))
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
        let mut layouts = BTreeMap::new();
        for write in &batch.snapshots {
            let layout = self.layout(write.kind)?;
            write.index.check(&layout.table)?;
            layouts.insert(write.kind, layout);
        }
        let committed = commit::commit(self, &layouts, &batch).await?;
        if !batch.events.is_empty() || !batch.jobs.is_empty() {
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

    async fn close(&self) -> Result<()> {
        self.pool.close().await;
        Ok(())
    }
}
