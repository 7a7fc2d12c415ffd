//! How fast a host's own history gets in, page by page, and how much memory that takes: each page is one chat of 500 messages with its
//! sessions, in one commit. Fails when memory grows with the number of pages.
//!
//! `VENTROS_PAGES` sets the number of pages (4).

#![expect(clippy::unwrap_used, reason = "a measurement is a program")]

mod shop;

use shop::{Shop, directory, history, size};
use std::sync::Arc;
use ventros::testing::block_on;
use ventros_sqlite::SqliteStorage;

fn main() {
    let directory = directory("imports");
    let shop = Shop::open(Arc::new(SqliteStorage::open(directory.join("crm.db")).unwrap()));
    history::measure(&shop, size("VENTROS_PAGES", 4));
    block_on(shop.crm.close()).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}
