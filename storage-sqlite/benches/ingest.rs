//! How many text messages of known customers get in, durably: one caller, 64 callers, 1 000 to a unit of work; each beside a
//! program written by hand that writes the same rows into the same tables, in turns.
//!
//! `VENTROS_INGEST` sets the number of messages of a turn with one caller (1 000), `VENTROS_TURNS` the number of turns (3),
//! `VENTROS_ONLY` picks one of the parts `one`, `many` and `together`, for profiling.

#![expect(clippy::print_stdout, reason = "a measurement is a program")]

mod hand;
mod shop;

use hand::Hand;
use shop::taken::Taken;
use shop::{Shop, customer, delivery, directory, size};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use ventros_sqlite::SqliteStorage;

const CUSTOMERS: usize = 500;
const CALLERS: usize = 64;
const TOGETHER: usize = 1_000;

fn main() {
    let (messages, turns) = (size("VENTROS_INGEST", 1_000), size("VENTROS_TURNS", 3));
    let directory = directory("ingest");
    let number = AtomicUsize::new(0);
    let next = || number.fetch_add(1, Ordering::Relaxed);
    let prepared = |name: &str| {
        let shop = Shop::open(Arc::new(SqliteStorage::open(directory.join(name)).expect("the file opens")));
        let first: Vec<String> = (0..CUSTOMERS).map(|customer| delivery(customer, next())).collect();
        first.chunks(100).for_each(|some| shop.ingest_together(some));
        shop
    };
    let shop = prepared("crm.db");
    let copy = prepared("hand.db");
    ventros::testing::block_on(copy.crm.close()).expect("the file closes");
    let hand = Hand::open(&directory.join("hand.db"));

    let [mut one, mut many, mut together, mut hand_one, mut hand_together] = [const { Taken(Vec::new()) }; 5];
    let deliveries = |count: usize| -> Vec<String> {
        (0..count).map(|_| next()).map(|number| delivery(customer(number, CUSTOMERS), number)).collect()
    };
    for _ in 0..turns {
        let single = deliveries(messages);
        one.measure("one", messages, || single.into_iter().for_each(|delivery| shop.ingest(delivery)));
        hand_one.measure("hand", messages, || {
            for number in (0..messages).map(|_| next()) {
                hand.begin();
                hand.message(customer(number, CUSTOMERS), number);
                hand.commit();
            }
        });
        let each = (messages * 4).div_ceil(CALLERS);
        let of_callers: Vec<Vec<String>> = (0..CALLERS).map(|_| deliveries(each)).collect();
        many.measure("many", each * CALLERS, || {
            std::thread::scope(|scope| {
                for own in of_callers {
                    scope.spawn(|| own.into_iter().for_each(|delivery| shop.ingest(delivery)));
                }
            });
        });
        let units = (messages * 10).div_ceil(TOGETHER);
        let all = deliveries(units * TOGETHER);
        together.measure("together", all.len(), || all.chunks(TOGETHER).for_each(|unit| shop.ingest_together(unit)));
        hand_together.measure("hand", units * TOGETHER, || {
            for _ in 0..units {
                hand.begin();
                for number in (0..TOGETHER).map(|_| next()) {
                    hand.message(customer(number, CUSTOMERS), number);
                }
                hand.commit();
            }
        });
    }

    println!("text messages of {CUSTOMERS} known customers, synchronous=FULL, median of {turns} turns");
    Taken::print_head("messages");
    hand_one.print("by hand, one to a commit", None);
    one.print("one caller", Some(&hand_one));
    many.print("64 callers", Some(&hand_one));
    hand_together.print("by hand, 1 000 to a commit", None);
    together.print("1 000 to a unit of work", Some(&hand_together));
    drop(hand);
    ventros::testing::block_on(shop.crm.close()).expect("the file closes");
    std::fs::remove_dir_all(&directory).expect("the folder goes");
}
