//! The fixed tables, in numbered steps. A released step never changes; the tables of aggregates are derived instead (see `fill`).

use crate::connection::Connection;
use crate::errors::{Carry, is_conflict, postgres};
use std::time::Duration;
use tokio_postgres::error::SqlState;
use ventros::kernel::{Error, ErrorCode, Result};

/// Each step brings the schema from its place in this list to the next one.
const STEPS: &[&str] = &[
    include_str!("migrations/001_begin.sql"),
    include_str!("migrations/002_consumers.sql"),
    include_str!("migrations/003_copies.sql"),
    include_str!("migrations/004_jobs.sql"),
    include_str!("migrations/005_secret_places.sql"),
    include_str!("migrations/006_exhausted.sql"),
    include_str!("migrations/007_redacted.sql"),
    include_str!("migrations/008_streams.sql"),
    include_str!("migrations/009_on_dead.sql"),
    include_str!("migrations/010_backlog.sql"),
    include_str!("migrations/011_lapses.sql"),
    include_str!("migrations/012_baselines.sql"),
    include_str!("migrations/013_priority.sql"),
];
/// How long to wait before asking again for a lock that somebody else has.
const PAUSE: Duration = Duration::from_millis(20);

/// Brings the schema up to date, and creates it when there is none.
///
/// # Errors
/// `schema_too_new` when a newer version of the library has written it.
pub(crate) async fn migrate(connection: &Connection) -> Result<()> {
    if version(connection).await? == STEPS.len() {
        return Ok(());
    }
    let _lock = Lock::take(connection).await?;
    let outcome = climb(connection).await;
    if outcome.is_err() {
        connection.client.batch_execute("ROLLBACK").await.carry()?;
    }
    _lock.release().await?;
    outcome
}

async fn climb(connection: &Connection) -> Result<()> {
    // Another process may have been faster.
    let from = version(connection).await?;
    let steps = STEPS.get(from..).ok_or_else(|| too_new(from))?;
    let mut script = "BEGIN; ".to_owned();
    if from == 0 && !exists(connection).await? {
        script.push_str(&format!("CREATE SCHEMA {}; ", connection.full("@").trim_end_matches('.')));
    }
    script.push_str(
        "CREATE TABLE IF NOT EXISTS @migrations (number BIGINT PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL);",
    );
    for (place, step) in steps.iter().enumerate() {
        script.push_str(step);
        script.push_str(&format!("; INSERT INTO @migrations VALUES ({}, now());", from + place + 1));
    }
    script.push_str("COMMIT");
    connection.client.batch_execute(&connection.full(&script)).await.carry()
}

async fn exists(connection: &Connection) -> Result<bool> {
    let name = connection.full("@").trim_end_matches('.').trim_matches('"').to_owned();
    let select = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
    Ok(connection.client.query_opt(select, &[&name]).await.carry()?.is_some())
}

async fn version(connection: &Connection) -> Result<usize> {
    let select = connection.full("SELECT coalesce(max(number), 0) FROM @migrations");
    let found = match connection.client.query_one(&select, &[]).await {
        Ok(row) => row.try_get::<_, i64>(0).carry()?,
        Err(error) if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) => 0,
        Err(error) => return Err(postgres(error)),
    };
    let found = usize::try_from(found).map_err(|_| Error::corrupt("the schema has a negative version"))?;
    if found > STEPS.len() { Err(too_new(found)) } else { Ok(found) }
}

fn too_new(found: usize) -> Error {
    Error::new(ErrorCode::SchemaTooNew).with("found", found).with("known", STEPS.len())
}

/// The right to change tables. It belongs to the connection, and ends with it at the latest.
pub(crate) struct Lock<'c> {
    connection: &'c Connection,
    name: String,
}

impl<'c> Lock<'c> {
    /// Waits without a transaction: building an index beside others' work waits for all transactions there are.
    pub(crate) async fn take(connection: &'c Connection) -> Result<Self> {
        let name = connection.full("@migrations");
        loop {
            let select = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))";
            match connection.client.query_one(select, &[&name]).await {
                Ok(row) if row.try_get(0).carry()? => return Ok(Lock { connection, name }),
                Ok(_) => {}
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(postgres(error)),
            }
            connection.client.batch_execute(&format!("SELECT pg_sleep({})", PAUSE.as_secs_f64())).await.carry()?;
        }
    }

    pub(crate) async fn release(self) -> Result<()> {
        let select = "SELECT pg_advisory_unlock(hashtextextended($1, 0))";
        self.connection.client.query_one(select, &[&self.name]).await.carry().map(|_| ())
    }
}
