//! How many text messages of known customers get in, durably: one caller, 64 callers, 1 000 to a unit of work; each beside a
//! program written by hand that writes the same rows into the same tables of the same server, in turns.
//!
//! `VENTROS_INGEST` sets the number of messages of a turn with one caller (500), `VENTROS_TURNS` the number of turns (3),
//! `VENTROS_ONLY` picks one of the parts `one`, `many`, `together` and `hand`, for profiling.

#![expect(clippy::print_stdout, reason = "a measurement is a program")]

#[path = "../tests/cluster/mod.rs"]
mod cluster;
mod hand;
#[path = "../../storage-sqlite/benches/shop/mod.rs"]
mod shop;

use hand::{Hand, Line};
use shop::taken::Taken;
use shop::{Shop, customer, delivery, directory, size};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;

const CUSTOMERS: usize = 500;
const CALLERS: usize = 64;
const TOGETHER: usize = 1_000;

fn main() {
    let (messages, turns) = (size("VENTROS_INGEST", 500), size("VENTROS_TURNS", 3));
    let folder = directory("pg-ingest");
    cluster::start_in(&folder);
    cluster::stop(&folder);
    cluster::start(&folder, "on");
    let address = cluster::address_in(&folder);
    let number = AtomicUsize::new(0);
    let next = || number.fetch_add(1, Ordering::Relaxed);
    let prepared = |schema: &str| {
        let storage = block_on(PostgresStorage::open(&format!("{address}?schema={schema}")));
        let shop = Shop::open(Arc::new(storage.expect("the database opens")));
        let first: Vec<String> = (0..CUSTOMERS).map(|customer| delivery(customer, next())).collect();
        first.chunks(100).for_each(|some| shop.ingest_together(some));
        shop
    };
    let shop = prepared("crm");
    block_on(prepared("hand").crm.close()).expect("the store closes");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("threads start");
    let lines: Vec<Line> = runtime.block_on(async {
        let hand = Hand::open(&address, "hand").await;
        let mut lines = Vec::new();
        for _ in 0..CALLERS {
            lines.push(hand.line().await);
        }
        lines
    });

    let [mut one, mut many, mut together, mut hand_one, mut hand_many, mut hand_together] =
        [const { Taken(Vec::new()) }; 6];
    let pairs = |count: usize| -> Vec<(usize, usize)> {
        (0..count).map(|_| next()).map(|number| (customer(number, CUSTOMERS), number)).collect()
    };
    let deliveries = |count: usize| -> Vec<String> {
        pairs(count).into_iter().map(|(customer, number)| delivery(customer, number)).collect()
    };
    for _ in 0..turns {
        let single = deliveries(messages);
        one.measure("one", messages, || single.into_iter().for_each(|delivery| shop.ingest(delivery)));
        let single = pairs(messages);
        hand_one.measure("hand", messages, || {
            runtime.block_on(async {
                for (customer, number) in single {
                    lines[0].message_alone(customer, number).await;
                }
            });
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
        let of_callers: Vec<Vec<(usize, usize)>> = (0..CALLERS).map(|_| pairs(each)).collect();
        hand_many.measure("hand", each * CALLERS, || {
            let calling = lines.iter().zip(of_callers).map(|(line, own)| async move {
                for (customer, number) in own {
                    line.message_alone(customer, number).await;
                }
            });
            runtime.block_on(futures_util::future::join_all(calling));
        });
        let all = deliveries((messages * 4).next_multiple_of(TOGETHER));
        together.measure("together", all.len(), || all.chunks(TOGETHER).for_each(|unit| shop.ingest_together(unit)));
        let all = pairs(all.len());
        hand_together.measure("hand", all.len(), || {
            runtime.block_on(async {
                for unit in all.chunks(TOGETHER) {
                    lines[0].messages(unit).await;
                }
            });
        });
    }

    println!(
        "text messages of {CUSTOMERS} known customers, fsync on, a server on the same machine, median of {turns} turns"
    );
    Taken::print_head("messages");
    hand_one.print("by hand, one caller", None);
    one.print("one caller", Some(&hand_one));
    hand_many.print("by hand, 64 connections", None);
    many.print("64 callers", Some(&hand_many));
    hand_together.print("by hand, 1 000 to a commit", None);
    together.print("1 000 to a unit of work", Some(&hand_together));
    block_on(shop.crm.close()).expect("the store closes");
    drop(lines);
    cluster::stop(&folder);
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}
