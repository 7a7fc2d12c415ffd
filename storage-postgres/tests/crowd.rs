//! Many callers of several processes hear the first messages of the same people at the same moment, on one database.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "../../storage-sqlite/tests/children/mod.rs"]
mod children;
mod cluster;
#[path = "../../storage-sqlite/tests/gathering/mod.rs"]
mod gathering;
#[path = "../../storage-sqlite/tests/shop/mod.rs"]
mod shop;

use gathering::{Crowd, arrive};
use std::sync::Arc;
use ventros::kernel::Result;
use ventros::storage::Storage;
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;

const CROWD: Crowd = Crowd { processes: 8, threads: 8, people: 8 };

fn store(place: &str) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(block_on(PostgresStorage::open(place))?))
}

#[test]
fn child() {
    gathering::child(CROWD);
}

#[test]
fn the_same_people_arrive_everywhere_at_once() {
    arrive(CROWD, &cluster::fresh());
    nobody_met_a_deadlock();
}

#[test]
fn everybody_hears_from_one_person_at_once() {
    arrive(Crowd { people: 1, ..CROWD }, &cluster::fresh());
    nobody_met_a_deadlock();
}

/// One that the server breaks is tried again and shows nowhere but in its log.
fn nobody_met_a_deadlock() {
    let Some(log) = cluster::log() else {
        return eprintln!("the log of a given server is not read: nobody knows of deadlocks there");
    };
    let met: Vec<&str> = log.lines().filter(|line| line.contains("deadlock detected")).collect();
    assert!(met.is_empty(), "{met:?}");
}
