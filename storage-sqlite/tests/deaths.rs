//! A process may die at any of its calls to the store: see `ventros::testing::die_everywhere`.

use std::sync::Arc;
use ventros::testing::die_everywhere;
use ventros_sqlite::SqliteStorage;

#[test]
fn whoever_comes_after_a_death_finds_nothing_lost_and_nothing_twice() {
    let deaths = die_everywhere(|| Arc::new(SqliteStorage::open_in_memory().unwrap()), 7);
    assert!(deaths > 50, "only {deaths}");
}
