//! History imports on a server.
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod cluster;
#[allow(dead_code, reason = "the cases that need no store are proved elsewhere")]
#[path = "../../core/tests/imports/gateway.rs"]
mod gateway;
#[path = "../../storage-sqlite/tests/history/mod.rs"]
mod history;
#[allow(dead_code, reason = "the cases that need no store are proved elsewhere")]
#[path = "../../core/tests/imports/house.rs"]
mod house;

use std::sync::Arc;
use ventros::storage::Storage;
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;

fn store() -> Arc<dyn Storage> {
    Arc::new(block_on(PostgresStorage::open(&cluster::fresh())).unwrap())
}

#[test]
fn twice_is_once() {
    history::twice_is_once(store());
}

#[test]
fn the_dead_are_followed() {
    history::the_dead_are_followed(store());
}

#[test]
fn killed_and_resumed_ends_with_the_same_hash() {
    let places = [("undisturbed", cluster::fresh()), ("killed", cluster::fresh())];
    let open = |name: &str| -> Arc<dyn Storage> {
        let (_, place) = places.iter().find(|(known, _)| *known == name).unwrap();
        Arc::new(block_on(PostgresStorage::open(place)).unwrap())
    };
    history::killed_and_resumed(open, 1_000, 4, 1);
}
