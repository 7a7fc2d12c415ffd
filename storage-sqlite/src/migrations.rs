//! The fixed tables, in numbered steps. A released step never changes; the tables of aggregates are derived instead (see `fill`).

use crate::errors::Carry;
use crate::values::integer;
use rusqlite::{Connection, TransactionBehavior};
use ventros::kernel::{Error, ErrorCode, Result};

/// Each step brings the file from its place in this list to the next one.
const STEPS: &[&str] = &[
    include_str!("migrations/001_begin.sql"),
    include_str!("migrations/002_secrets.sql"),
    include_str!("migrations/003_consumers.sql"),
    include_str!("migrations/004_copies.sql"),
    include_str!("migrations/005_jobs.sql"),
    include_str!("migrations/006_secret_places.sql"),
    include_str!("migrations/007_exhausted.sql"),
    include_str!("migrations/008_redacted.sql"),
    include_str!("migrations/009_streams.sql"),
    include_str!("migrations/010_on_dead.sql"),
    include_str!("migrations/011_backlog.sql"),
    include_str!("migrations/012_lapses.sql"),
    include_str!("migrations/013_baselines.sql"),
    include_str!("migrations/014_priority.sql"),
];

/// Marks the file as ours, for `file` and for people.
const APPLICATION_ID: i32 = 0x5645_4e54;

/// Brings the file up to date.
///
/// # Errors
/// `schema_too_new` when a newer version of the library has written it.
pub(crate) fn migrate(connection: &Connection) -> Result<()> {
    if version(connection)? == STEPS.len() {
        return Ok(());
    }
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate).carry()?;
    // Another process may have been faster.
    let from = version(&transaction)?;
    for step in STEPS.get(from..).ok_or_else(|| too_new(from))? {
        transaction.execute_batch(step).carry()?;
    }
    transaction.pragma_update(None, "user_version", integer(STEPS.len())).carry()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).carry()?;
    transaction.commit().carry()
}

fn version(connection: &Connection) -> Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).carry()?;
    usize::try_from(version).map_err(|_| Error::corrupt("the file has a negative version"))
}

fn too_new(found: usize) -> Error {
    Error::new(ErrorCode::SchemaTooNew).with("found", found).with("known", STEPS.len())
}
