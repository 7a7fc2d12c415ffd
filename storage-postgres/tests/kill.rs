//! Processes that share a database are killed while they work, and so is the server.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "../../storage-sqlite/tests/children/mod.rs"]
mod children;
mod cluster;
mod losses;
#[path = "../../storage-sqlite/tests/shop/mod.rs"]
mod shop;
#[path = "../../storage-sqlite/tests/story/mod.rs"]
mod story;

use std::sync::Arc;
use ventros::kernel::Result;
use ventros::storage::Storage;
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;

fn store(place: &str) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(block_on(PostgresStorage::open(place))?))
}

#[test]
fn child() {
    story::child();
}

#[test]
fn whoever_is_killed_has_lost_nothing() {
    story::kill_again_and_again(|_| (cluster::fresh(), ()));
}

#[test]
fn whoever_is_killed_and_the_server_too_has_lost_nothing() {
    losses::lose_again_and_again();
}
