//! An installation moves between a file and a database.
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

#[path = "../../storage-sqlite/tests/children/mod.rs"]
mod children;
mod cluster;
#[path = "../../storage-sqlite/tests/directory/mod.rs"]
mod directory;
#[allow(dead_code, reason = "the laws that are about one store are proved elsewhere")]
#[path = "../../storage-sqlite/tests/line/mod.rs"]
mod line;
#[path = "../../storage-sqlite/tests/moving/mod.rs"]
mod moving;

use directory::Directory;
use line::{Line, shuffled};
use moving::{kills_until_it_is_done, moves_through};
use proptest::prelude::*;
use std::sync::Arc;
use ventros::storage::{MemoryStorage, Storage};
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;
use ventros_sqlite::SqliteStorage;

fn open(place: &str) -> Arc<dyn Storage> {
    match place.starts_with("postgresql://") {
        true => Arc::new(block_on(PostgresStorage::open(place)).unwrap()),
        false => Arc::new(SqliteStorage::open(place).unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_history_moves_through_all_stores((_, items) in shuffled()) {
        let sqlite = || -> Arc<dyn Storage> { Arc::new(SqliteStorage::open_in_memory().unwrap()) };
        let stores = [sqlite(), open(&cluster::fresh()), sqlite(), Arc::new(MemoryStorage::new()), open(&cluster::fresh())];
        Line::on(stores[0].clone()).feed(&items);
        moves_through(&stores);
    }
}

#[test]
fn child() {
    moving::child(open);
}

#[test]
fn whoever_is_killed_on_the_way_to_a_database_goes_on() {
    let directory = Directory::fresh("up");
    kills_until_it_is_done(&directory.file().display().to_string(), &cluster::fresh(), open);
}

#[test]
fn whoever_is_killed_on_the_way_to_a_file_goes_on() {
    let directory = Directory::fresh("down");
    kills_until_it_is_done(&cluster::fresh(), &directory.file().display().to_string(), open);
}
