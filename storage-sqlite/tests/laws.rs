//! The laws of the inbound paths, over random histories: both stores agree byte for byte, snapshots are the fold of the
//! log, and the order and number of deliveries do not matter.
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod line;

use line::{Line, shuffled};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;
use ventros::storage::MemoryStorage;
use ventros_sqlite::SqliteStorage;

/// A line whose sessions last a day, so that none of them is cut.
fn patient() -> Line {
    let channel = json!({"name": "W1", "type": "waha", "session_timeout_minutes": 1_440});
    Line::with(Arc::new(MemoryStorage::default()), channel)
}

fn memory() -> Line {
    Line::on(Arc::new(MemoryStorage::default()))
}

fn sqlite() -> Line {
    Line::on(Arc::new(SqliteStorage::open_in_memory().unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_give_the_same_bytes_and_the_log_is_the_state((_, items) in shuffled()) {
        let (one, other) = (memory(), sqlite());
        one.feed(&items);
        other.feed(&items);
        prop_assert_eq!(one.log(), other.log());
        prop_assert_eq!(one.states(), other.states());
        one.world.assert_log_matches();
        other.world.assert_log_matches();
    }

    #[test]
    fn order_and_repetition_do_not_matter_to_a_session((items, other) in shuffled()) {
        let (one, two) = (patient(), patient());
        one.feed(&items);
        two.feed(&other);
        prop_assert_eq!(one.sessions(), two.sessions());
        two.world.assert_log_matches();
    }

    #[test]
    fn order_and_repetition_do_not_matter((items, other) in shuffled()) {
        let (one, two) = (memory(), memory());
        one.feed(&items);
        two.feed(&other);
        prop_assert_eq!(one.picture(), two.picture());
    }
}
