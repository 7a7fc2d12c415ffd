//! Time passes on SQLite as it does in memory: see `ventros::testing::days_pass`.

use std::sync::Arc;
use ventros::storage::MemoryStorage;
use ventros::testing::days_pass;
use ventros_sqlite::SqliteStorage;

#[test]
fn a_year_leaves_the_same_log() {
    let sqlite = days_pass(Arc::new(SqliteStorage::open_in_memory().unwrap()), 365);
    assert!(sqlite == days_pass(Arc::new(MemoryStorage::default()), 365), "the same seed gives the same log");
}
