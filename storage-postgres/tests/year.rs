//! Time passes on PostgreSQL as it does in memory: see `ventros::testing::days_pass`.

mod cluster;

use std::sync::Arc;
use ventros::storage::MemoryStorage;
use ventros::testing::{block_on, days_pass};
use ventros_postgres::PostgresStorage;

#[test]
fn two_months_leave_the_same_log() {
    let postgres = days_pass(Arc::new(block_on(PostgresStorage::open(&cluster::fresh())).unwrap()), 60);
    assert!(postgres == days_pass(Arc::new(MemoryStorage::default()), 60), "the same seed gives the same log");
}
