//! Processes that share a file are killed while they work.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod children;
mod directory;
mod shop;
mod story;

use directory::Directory;
use std::sync::Arc;
use ventros::kernel::Result;
use ventros::storage::Storage;
use ventros_sqlite::SqliteStorage;

fn store(place: &str) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(SqliteStorage::open(place)?))
}

#[test]
fn child() {
    story::child();
}

#[test]
fn whoever_is_killed_has_lost_nothing() {
    story::kill_again_and_again(|number| {
        let directory = Directory::fresh(&format!("kill{number}"));
        (directory.file().display().to_string(), directory)
    });
}
