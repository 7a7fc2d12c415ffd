//! How long the reads take that every inbox does: a contact by its number and by its id, the newest messages of a chat.
//!
//! The file is filled through the storage port, 1 000 snapshots to a commit, with the states that the product itself writes.
//! `VENTROS_CONTACTS` (50 000) and `VENTROS_MESSAGES` (250 000) set its size. `VENTROS_FILE` names a file that is kept: it is
//! filled when it is new, and read again as it is otherwise.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement is a program")]

mod shop;

use serde_json::json;
use shop::fill::{Filler, chat_id, contact_id};
use shop::{Shop, directory, phone, size};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ventros::contacts::contact::queries::{FindContact, GetContact};
use ventros::conversations::message::queries::ListMessages;
use ventros::kernel::ContactId;
use ventros::storage::PageRequest;
use ventros::testing::block_on;
use ventros_sqlite::SqliteStorage;

/// Messages of one chat.
const PER_CHAT: usize = 500;

/// Prints the median and the slowest but one in a hundred of many calls.
fn measure(what: &str, times: usize, mut call: impl FnMut(usize)) {
    let mut took: Vec<Duration> = (0..times + times / 10)
        .map(|time| {
            let start = Instant::now();
            call(time);
            start.elapsed()
        })
        .collect();
    took.drain(..times / 10);
    took.sort();
    let micros = |place: usize| took[place].as_secs_f64() * 1e6;
    println!("{what:<44} {:>10.1} {:>10.1}", micros(times / 2), micros(times * 99 / 100));
}

fn main() {
    let (contacts, messages) = (size("VENTROS_CONTACTS", 50_000), size("VENTROS_MESSAGES", 250_000));
    let chats = messages.div_ceil(PER_CHAT).max(1);
    let kept = std::env::var_os("VENTROS_FILE").map(PathBuf::from);
    let directory = directory("reads");
    let path = kept.clone().unwrap_or_else(|| directory.join("crm.db"));
    let is_new = !path.exists();
    let shop = Shop::open(Arc::new(SqliteStorage::open(&path).unwrap()));
    if is_new {
        let filler = Filler::of(&shop);
        filler.fill("contacts", contacts, |number| filler.contact(number));
        filler.fill("messages", messages, |number| filler.message(number, chats));
    }
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!("{contacts} contacts, {messages} messages in {chats} chats, {} MB\n", bytes >> 20);

    println!("{:<44} {:>10} {:>10}", "µs", "median", "1 in 100");
    let pick = |time: usize, of: usize| (time.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % of;
    measure("contacts.get", 20_000, |time| {
        let id = ContactId::from_uuid(contact_id(pick(time, contacts)));
        block_on(shop.project.query(GetContact { id, include_deleted: None })).unwrap();
    });
    measure("contacts.find by phone", 20_000, |time| {
        let asked = FindContact { phone: Some(format!("+{}", phone(pick(time, contacts)))), ..FindContact::default() };
        assert!(block_on(shop.project.query(asked)).unwrap().is_some());
    });
    measure("the 50 newest messages of a chat", 2_000, |time| {
        let filter = json!({"field": "chat_id", "op": "eq", "value": chat_id(pick(time, chats))});
        let filter = Some(serde_json::from_value(filter).unwrap());
        let page = PageRequest { filter, limit: Some(50), ..PageRequest::default() };
        assert_eq!(block_on(shop.project.query(ListMessages { page })).unwrap().items.len(), 50);
    });
    block_on(shop.crm.close()).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}
