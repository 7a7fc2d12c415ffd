//! Nothing of an erased person is in the file: every byte that SQLite wrote is searched, what it has freed and its log among them.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod directory;
mod forgotten;

use directory::Directory;
use forgotten::{House, OTHER, PERSONAL, PROJECT, assert_statistics_stay, live, work_there};
use serde_json::{Value, json};
use std::sync::Arc;
use ventros::storage::{MemoryStorage, Section, Storage};
use ventros::testing::{Fault, WatchedStorage, World, block_on};
use ventros_sqlite::SqliteStorage;

fn has(place: &Directory, text: &str) -> bool {
    let folder = place.file().parent().unwrap().to_owned();
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

fn world(storage: Arc<dyn Storage>) -> World {
    let world = World::with_keys(storage, [7; 32]).unwrap();
    drop(world.found(PROJECT));
    world
}

#[track_caller]
fn erase(house: &House<'_>, id: &Value) {
    house.ok("contacts.erase", json!({"id": id, "confirm": id, "legal_basis": "lgpd_art18"}));
    house.run(0);
    house.run(700);
}

#[test]
fn nothing_of_an_erased_contact_is_in_the_file() {
    let place = Directory::fresh("forgotten");
    let world = world(Arc::new(SqliteStorage::open(place.file()).unwrap()));
    let house = House { world: &world };
    let id = live(&house);
    assert!(PERSONAL.iter().any(|text| has(&place, text)) && has(&place, OTHER), "the search finds what is there");
    let before = house.counts();
    erase(&house, &id);
    for text in PERSONAL {
        assert!(!has(&place, text), "{text} before the file is closed");
    }
    assert!(has(&place, OTHER));
    assert_statistics_stay(&before, &house.counts());
    world.assert_log_matches();
    block_on(world.crm.close()).unwrap();
    for text in PERSONAL {
        assert!(!has(&place, text), "{text} after it is closed");
    }
}

#[test]
fn nothing_of_an_erased_user_is_in_the_file() {
    let place = Directory::fresh("forgotten-user");
    let world = world(Arc::new(SqliteStorage::open(place.file()).unwrap()));
    let house = House { world: &world };
    let id = work_there(&house);
    assert!(has(&place, "Quixotina") && has(&place, "198.51.100.77"), "the search finds what is there");
    house.system("users.delete", json!({"id": id, "reason": "admin"}));
    house.system("users.erase", json!({"id": id}));
    house.run(0);
    house.run(700);
    for text in ["Quixotina", "quixotina", "Zanzibarro", "5511987650001", "quix@zanzi.example"] {
        assert!(!has(&place, text), "{text}");
    }
    world.assert_log_matches();
}

/// What of a person is left in any row of any table.
fn left(storage: &dyn Storage) -> Vec<String> {
    let mut left = Vec::new();
    let kinds = ventros::catalogue::tables().into_iter().map(|table| Section::Snapshots(table.kind));
    let fixed = [
        Section::Events,
        Section::Keys,
        Section::Consumers,
        Section::DeadLetters,
        Section::Jobs,
        Section::IdempotencyKeys,
    ];
    for section in kinds.chain(fixed) {
        for row in block_on(storage.rows(section, None, 100_000)).unwrap().rows {
            let row = format!("{row:?}");
            left.extend(PERSONAL.iter().filter(|text| row.contains(**text)).map(|text| format!("{text}: {row}")));
        }
    }
    left
}

#[test]
fn nothing_of_an_erased_contact_is_in_any_row() {
    let storage = Arc::new(MemoryStorage::default());
    let world = world(storage.clone());
    let house = House { world: &world };
    let id = live(&house);
    erase(&house, &id);
    let left = left(&*storage);
    assert!(left.is_empty(), "{}", left.join("\n\n"));
    world.assert_log_matches();
}

/// The process dies at every eleventh call to the store, before it was heard and after it: whoever comes next ends the work, and tells of
/// it once.
#[test]
fn a_redaction_that_dies_is_ended_by_whoever_comes_next() {
    let mut deaths = 0;
    for side in [Fault::Before, Fault::After] {
        for number in (1..).step_by(11) {
            let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::open_in_memory().unwrap());
            let first = world(storage.clone());
            let id = live(&House { world: &first });
            let input = json!({"id": id, "confirm": id, "legal_basis": "other"});
            House { world: &first }.ok("contacts.erase", input);

            let mortal = WatchedStorage::around(storage.clone());
            let second = World::resume(mortal.clone(), [7; 32], 2).unwrap();
            second.clock.set("2025-01-06T09:01:01Z");
            mortal.die(number, side);
            block_on(second.crm.run_pending()).ok();
            if !mortal.is_dead() {
                break;
            }
            deaths += 1;
            let third = World::resume(storage.clone(), [7; 32], 3).unwrap();
            third.clock.set("2025-01-06T09:03:00Z");
            let house = House { world: &third };
            for _ in 0..3 {
                house.run(700);
            }
            let left = left(&*storage);
            assert!(left.is_empty(), "{side:?} {number}: {}", left.join("\n\n"));
            assert_eq!(house.counts()["event_log.redacted"], 1, "{side:?} {number}");
            third.assert_log_matches();
        }
    }
    assert!(deaths > 20, "only {deaths}");
}
