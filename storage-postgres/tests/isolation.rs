//! Nobody reaches into another project, on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod cluster;
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "../../storage-sqlite/tests/furnished/mod.rs"]
mod furnished;
#[path = "../../storage-sqlite/tests/neighbours/mod.rs"]
mod neighbours;
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "../../storage-sqlite/tests/bad_input/schema.rs"]
mod schema;

use std::sync::Arc;
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;

#[test]
fn nobody_reaches_next_door() {
    neighbours::nobody_reaches_next_door(Arc::new(block_on(PostgresStorage::open(&cluster::fresh())).unwrap()));
}
