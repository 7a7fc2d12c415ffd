//! How much memory the library takes: while messages come in one after the other, and while a large file is opened and read
//! from one end to the other. Fails beyond the bound, however long it runs.
//!
//! `VENTROS_INGESTS` sets the number of messages (2 000), `VENTROS_MEGABYTES` about the size of the file (16).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement is a program")]

mod shop;

use shop::fill::Filler;
use shop::{Shop, delivery, directory, resident, size};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use ventros::conversations::message::queries::ListMessages;
use ventros::storage::PageRequest;
use ventros::testing::block_on;
use ventros_sqlite::SqliteStorage;

/// What a process may have in memory at its peak, in MiB.
const BOUND: u64 = 200;
const CUSTOMERS: usize = 500;
/// About what a message takes in the file with its indexes, in bytes.
const PER_MESSAGE: usize = 3_400;

fn main() {
    // Each part is a process of its own, because a peak is never forgotten.
    let Some(place) = std::env::var_os("VENTROS_PLACE") else {
        let directory = directory("memory");
        for part in ["ingest", "fill", "read"] {
            let mut program = Command::new(std::env::current_exe().unwrap());
            let run = program.env("VENTROS_PART", part).env("VENTROS_PLACE", &directory).status();
            assert!(run.unwrap().success(), "{part} failed");
        }
        return std::fs::remove_dir_all(&directory).unwrap();
    };
    let place = Path::new(&place);
    match std::env::var("VENTROS_PART").as_deref() {
        Ok("ingest") => ingest(&place.join("ingest.db")),
        Ok("fill") => fill(&place.join("large.db")),
        _ => read(&place.join("large.db")),
    }
}

fn ingest(path: &Path) {
    let messages = size("VENTROS_INGESTS", 2_000);
    let shop = Shop::open(Arc::new(SqliteStorage::open(path).unwrap()));
    (0..messages).for_each(|number| shop.ingest(delivery(number * 7_919 % CUSTOMERS, number)));
    report(&format!("{messages} messages came in"));
}

fn fill(path: &Path) {
    let messages = size("VENTROS_MEGABYTES", 16) * 1024 * 1024 / PER_MESSAGE;
    let shop = Shop::open(Arc::new(SqliteStorage::open(path).unwrap()));
    let filler = Filler::of(&shop);
    filler.fill("messages", messages, |number| filler.message(number, messages.div_ceil(500)));
    block_on(shop.crm.close()).unwrap();
}

fn read(path: &Path) {
    let shop = Shop::open(Arc::new(SqliteStorage::open(path).unwrap()));
    let (mut cursor, mut seen) = (None, 0);
    loop {
        let page = PageRequest { limit: Some(100), cursor, ..PageRequest::default() };
        let page = block_on(shop.project.query(ListMessages { page })).unwrap();
        seen += page.items.len();
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let megabytes = std::fs::metadata(path).unwrap().len() >> 20;
    report(&format!("{seen} messages of a file of {megabytes} MiB were read"));
}

fn report(what: &str) {
    let peak = resident("VmHWM") >> 10;
    println!("{what}: at most {peak} MiB in memory");
    assert!(peak <= BOUND, "more than {BOUND} MiB");
}
