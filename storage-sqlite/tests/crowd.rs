//! Many threads of several processes hear the first messages of the same people at the same moment, on one file.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod children;
mod directory;
mod gathering;
mod shop;

use directory::Directory;
use gathering::{Crowd, arrive};
use std::sync::Arc;
use ventros::kernel::Result;
use ventros::storage::Storage;
use ventros_sqlite::SqliteStorage;

const CROWD: Crowd = Crowd { processes: 4, threads: 64, people: 8 };

fn store(place: &str) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(SqliteStorage::open(place)?))
}

#[test]
fn child() {
    gathering::child(CROWD);
}

#[test]
fn the_same_people_arrive_everywhere_at_once() {
    let directory = Directory::fresh("crowd");
    arrive(CROWD, &directory.file().display().to_string());
}
