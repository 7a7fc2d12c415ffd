//! How fast a host's own history gets in, page by page, as the measurement of the same name beside SQLite, on a server of its own that
//! makes everything durable.
//!
//! `VENTROS_PAGES` sets the number of pages (40).

#![expect(clippy::unwrap_used, reason = "a measurement is a program")]

#[path = "../tests/cluster/mod.rs"]
mod cluster;
#[path = "../../storage-sqlite/benches/shop/mod.rs"]
mod shop;

use shop::{Shop, directory, history, size};
use std::sync::Arc;
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;

fn main() {
    let folder = directory("pg-imports");
    cluster::start_in(&folder);
    cluster::stop(&folder);
    cluster::start(&folder, "on");
    let storage = block_on(PostgresStorage::open(&format!("{}?schema=crm", cluster::address_in(&folder)))).unwrap();
    let shop = Shop::open(Arc::new(storage));
    history::measure(&shop, size("VENTROS_PAGES", 40));
    block_on(shop.crm.close()).unwrap();
    cluster::stop(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
}
