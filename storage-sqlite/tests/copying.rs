//! An installation moves from file to file, and through memory.
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod children;
mod directory;
#[allow(dead_code, reason = "the laws that are about one store are proved elsewhere")]
mod line;
mod moving;

use directory::Directory;
use line::{Line, shuffled};
use moving::moves_through;
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::sync::Arc;
use ventros::kernel::ErrorCode;
use ventros::storage::{MemoryStorage, Storage};
use ventros::testing::{Fault, WatchedStorage, World, block_on};
use ventros_sqlite::SqliteStorage;

fn open(place: &str) -> Arc<dyn Storage> {
    Arc::new(SqliteStorage::open(place).unwrap())
}

fn in_memory() -> Arc<dyn Storage> {
    Arc::new(SqliteStorage::open_in_memory().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_history_moves_through_all_stores((_, items) in shuffled()) {
        let stores: [Arc<dyn Storage>; 4] =
            [in_memory(), Arc::new(MemoryStorage::new()), in_memory(), Arc::new(MemoryStorage::new())];
        Line::on(stores[0].clone()).feed(&items);
        moves_through(&stores);
    }
}

#[test]
fn child() {
    moving::child(open);
}

#[cfg(unix)]
#[test]
fn whoever_is_killed_goes_on() {
    let (one, other) = (Directory::fresh("from"), Directory::fresh("to"));
    let place = |directory: &Directory| directory.file().display().to_string();
    moving::kills_until_it_is_done(&place(&one), &place(&other), open);
}

/// Whichever call fails, whether the store did what it was asked or not: the next run comes to the same end.
#[test]
fn a_copy_gets_over_every_fault() {
    let source = in_memory();
    World::on(source.clone()).unwrap();
    let whole = in_memory();
    let expected = moving::copied(&*source, &*whole);
    let mut number = 1;
    loop {
        let mut faults = 0;
        for side in [Fault::Before, Fault::After] {
            let target = WatchedStorage::around(in_memory());
            target.fail(number, side);
            let go_on = |_: &_| ControlFlow::Continue(());
            match block_on(ventros::copy(&*source, &*target, &mut { go_on })) {
                Ok(_) => assert!(target.heal(), "a fault was not told"),
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::Unavailable);
                    faults += 1;
                }
            }
            let report = block_on(ventros::copy(&*source, &*target, &mut { go_on })).unwrap();
            assert_eq!((report.log_hash, report.state_hash), (expected.log_hash.clone(), expected.state_hash.clone()));
            assert!(World::on(target).is_ok());
        }
        if faults == 0 {
            break;
        }
        number += 1;
    }
    assert!(number > 20, "only {number} calls were made");
}
