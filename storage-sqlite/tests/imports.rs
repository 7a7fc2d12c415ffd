//! History imports in a file.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops where it goes wrong, and may be a measurement"
)]

mod directory;
#[allow(dead_code, reason = "the cases that need no store are proved elsewhere")]
#[path = "../../core/tests/imports/gateway.rs"]
mod gateway;
mod history;
#[allow(dead_code, reason = "the cases that need no store are proved elsewhere")]
#[path = "../../core/tests/imports/house.rs"]
mod house;

use directory::Directory;
use std::sync::Arc;
use ventros::storage::Storage;
use ventros_sqlite::SqliteStorage;

#[test]
fn twice_is_once() {
    let directory = Directory::fresh("imports");
    history::twice_is_once(Arc::new(SqliteStorage::open(directory.file()).unwrap()));
}

#[test]
fn the_dead_are_followed() {
    let directory = Directory::fresh("imports_dead");
    history::the_dead_are_followed(Arc::new(SqliteStorage::open(directory.file()).unwrap()));
}

/// `VENTROS_MESSAGES` sets the size (2 000), `VENTROS_KILLS` the number of deaths (5), `VENTROS_SEED` where they fall.
#[test]
fn killed_and_resumed_ends_with_the_same_hash() {
    let size = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let directory = Directory::fresh("imports_killed");
    let open = |name: &str| -> Arc<dyn Storage> {
        Arc::new(SqliteStorage::open(directory.file().with_file_name(format!("{name}.db"))).unwrap())
    };
    let (messages, kills) = (size("VENTROS_MESSAGES", 2_000), size("VENTROS_KILLS", 5));
    let began = std::time::Instant::now();
    let hash = history::killed_and_resumed(open, messages as usize, kills, size("VENTROS_SEED", 1));
    println!("{messages} messages twice, {kills} deaths, {:.1} s: {hash}", began.elapsed().as_secs_f64());
}
