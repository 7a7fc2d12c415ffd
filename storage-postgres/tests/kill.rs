//! Processes that share a database are killed while they work.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "../../storage-sqlite/tests/children/mod.rs"]
mod children;
mod cluster;
#[path = "../../storage-sqlite/tests/shop/mod.rs"]
mod shop;
#[path = "../../storage-sqlite/tests/story/mod.rs"]
mod story;

use std::sync::Arc;
use ventros::storage::Storage;
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;

fn store(place: &str) -> Arc<dyn Storage> {
    Arc::new(block_on(PostgresStorage::open(place)).unwrap())
}

#[test]
fn child() {
    story::child();
}

#[test]
fn whoever_is_killed_has_lost_nothing() {
    story::kill_again_and_again(|_| (cluster::fresh(), ()));
}
