//! Nobody reaches into another project, on SQLite.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[allow(dead_code, reason = "another test uses the rest")]
mod furnished;
mod neighbours;
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "bad_input/schema.rs"]
mod schema;

use std::sync::Arc;
use ventros_sqlite::SqliteStorage;

#[test]
fn nobody_reaches_next_door() {
    neighbours::nobody_reaches_next_door(Arc::new(SqliteStorage::open_in_memory().unwrap()));
}
