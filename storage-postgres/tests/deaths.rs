//! A process may die at any of its calls to the store: see `ventros::testing::die_everywhere`.

mod cluster;

use std::sync::Arc;
use ventros::testing::{block_on, die_everywhere};
use ventros_postgres::PostgresStorage;

#[test]
fn whoever_comes_after_a_death_finds_nothing_lost_and_nothing_twice() {
    let deaths = die_everywhere(|| Arc::new(block_on(PostgresStorage::open(&cluster::fresh())).unwrap()), 29);
    assert!(deaths > 5, "only {deaths}");
}
