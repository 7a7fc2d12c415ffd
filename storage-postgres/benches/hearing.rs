//! How soon another process hears of what is committed, and how many events a durable consumer takes in a second.
//!
//! `VENTROS_MESSAGES` sets how many messages are heard of (1 000), `VENTROS_EVENTS` how many events are taken (20 000).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement is a program")]

#[path = "../tests/cluster/mod.rs"]
mod cluster;
#[path = "../../storage-sqlite/benches/shop/mod.rs"]
mod shop;

use serde_json::value::RawValue;
use shop::{Shop, customer, delivery, directory, size};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};
use ventros::engine::{StartAt, Step, SubscribeOptions};
use ventros::storage::Storage;
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;

const CUSTOMERS: usize = 100;

fn main() {
    if let Ok(address) = std::env::var("VENTROS_ADDRESS") {
        return hear(&address);
    }
    let folder = directory("pg-hearing");
    cluster::start_in(&folder);
    cluster::stop(&folder);
    cluster::start(&folder, "on");
    let address = format!("{}?schema=crm", cluster::address_in(&folder));
    let shop = Shop::open(Arc::new(block_on(PostgresStorage::open(&address)).unwrap()));
    let first: Vec<String> = (0..CUSTOMERS).map(|number| delivery(number, number)).collect();
    shop.ingest_together(&first);
    latency(&shop, &address, size("VENTROS_MESSAGES", 1_000));
    rate(&shop, size("VENTROS_EVENTS", 20_000));
    block_on(shop.crm.close()).unwrap();
    cluster::stop(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
}

fn micros() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()
}

/// The other process: says when it hears of what.
fn hear(address: &str) {
    let storage = Arc::new(block_on(PostgresStorage::open(address)).unwrap());
    let (ring, rings) = mpsc::sync_channel(1);
    let bell: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
        ring.try_send(()).ok();
    });
    storage.watch(Arc::downgrade(&bell));
    let shop = Shop::open(storage);
    let mut feed = block_on(shop.crm.on(Some(shop.project.id()), vec!["message.received".into()])).unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "ready").unwrap();
    out.flush().unwrap();
    loop {
        for event in block_on(feed.drain(100)).unwrap() {
            writeln!(out, "{} {}", event.seq, micros()).unwrap();
            out.flush().unwrap();
        }
        // As the worker does: a hint may be lost.
        if rings.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

fn latency(shop: &Shop, address: &str, messages: usize) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let mut child = child.env("VENTROS_ADDRESS", address).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("ready"));
    let before = block_on(shop.crm.core().storage().head(shop.project.id())).unwrap();
    let mut committed = Vec::with_capacity(messages);
    for number in CUSTOMERS..CUSTOMERS + messages {
        shop.ingest(delivery(customer(number, CUSTOMERS), number));
        committed.push(micros());
    }
    let heard: BTreeMap<u64, u128> = lines
        .take(messages)
        .map(|line| {
            let (seq, at) = line.split_once(' ').unwrap();
            (seq.parse().unwrap(), at.parse().unwrap())
        })
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(heard.len(), messages, "each is heard of once");
    assert!(heard.keys().all(|seq| *seq > before));
    let mut took: Vec<u128> = heard.values().zip(&committed).map(|(heard, at)| heard.saturating_sub(*at)).collect();
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100] as f64 / 1_000.0;
    println!("from the commit to the other process: half within {:.2} ms, 99 of 100 within {:.2} ms", at(50), at(99));
}

fn rate(shop: &Shop, events: usize) {
    for hundred in 0..events.div_ceil(100) {
        let step = |number: usize| {
            let input = RawValue::from_string(format!(r#"{{"name":"Customer {number}"}}"#)).unwrap();
            Step { operation: "contacts.create".to_owned(), input }
        };
        let steps: Vec<Step> = (hundred * 100..hundred * 100 + 100).map(step).collect();
        block_on(shop.crm.transact(shop.project.context(), &steps)).unwrap();
    }
    let options = SubscribeOptions {
        events: vec!["contact.created".into()],
        start: StartAt::Beginning,
        ..SubscribeOptions::default()
    };
    let mut durable = block_on(shop.crm.subscribe(shop.project.id(), "bench", options)).unwrap();
    let (start, mut taken) = (Instant::now(), 0);
    loop {
        let page = block_on(durable.next(100)).unwrap();
        let Some(last) = page.last() else { break };
        taken += page.len();
        block_on(durable.ack(last.seq)).unwrap();
    }
    assert!(taken >= events, "{taken}");
    println!(
        "a durable consumer takes {:.0} events a second, 100 at a time",
        taken as f64 / start.elapsed().as_secs_f64()
    );
}
