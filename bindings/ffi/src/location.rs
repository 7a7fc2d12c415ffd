//! Where a store is, as the languages say it.

use std::path::Path;
use std::sync::Arc;
use ventros::kernel::{Error, ErrorCode, Result};
use ventros::storage::Storage;
use ventros_postgres::PostgresStorage;
use ventros_sqlite::SqliteStorage;

/// `:memory:`, a path, `sqlite:///` before a path (a fourth slash makes it absolute), or the address of a PostgreSQL database.
pub(crate) enum Location<'t> {
    Memory,
    File(&'t Path),
    Postgres(&'t str),
}

impl<'t> Location<'t> {
    /// # Errors
    /// `input_invalid` at `field`.
    pub(crate) fn read(text: &'t str, field: &str) -> Result<Self> {
        if text == ":memory:" {
            return Ok(Location::Memory);
        }
        if ["postgresql://", "postgres://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Location::Postgres(text));
        }
        let path = text.strip_prefix("sqlite:///").unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(Error::new(ErrorCode::InputInvalid)
                .message("expected a path, sqlite:///path, :memory: or postgresql://...")
                .at(field));
        }
        Ok(Location::File(Path::new(path)))
    }

    /// Opens the store, creating it if there is none.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Storage>> {
        Ok(match self {
            Location::Memory => Arc::new(SqliteStorage::open_in_memory()?),
            Location::File(path) => Arc::new(SqliteStorage::open(path)?),
            Location::Postgres(address) => Arc::new(PostgresStorage::open(address).await?),
        })
    }
}
