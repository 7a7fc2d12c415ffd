//! History imports in a file.
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

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
