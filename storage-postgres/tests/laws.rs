//! All stores give the same bytes, over random histories.
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod cluster;
#[allow(dead_code, reason = "the laws that need no store are proved elsewhere")]
#[path = "../../storage-sqlite/tests/line/mod.rs"]
mod line;

use line::{Line, shuffled};
use proptest::prelude::*;
use std::sync::Arc;
use ventros::storage::{MemoryStorage, Storage};
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;
use ventros_sqlite::SqliteStorage;

fn postgres() -> Line {
    Line::on(Arc::new(block_on(PostgresStorage::open(&cluster::fresh())).unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_stores_give_the_same_bytes_and_the_log_is_the_state((_, items) in shuffled()) {
        let sqlite: Arc<dyn Storage> = Arc::new(SqliteStorage::open_in_memory().unwrap());
        let lines = [Line::on(Arc::new(MemoryStorage::default())), Line::on(sqlite), postgres()];
        for line in &lines {
            line.feed(&items);
            line.world.assert_log_matches();
        }
        let [memory, sqlite, postgres] = &lines;
        prop_assert_eq!(memory.log(), postgres.log());
        prop_assert_eq!(sqlite.log(), postgres.log());
        prop_assert_eq!(memory.states(), postgres.states());
        prop_assert_eq!(sqlite.states(), postgres.states());
    }
}
