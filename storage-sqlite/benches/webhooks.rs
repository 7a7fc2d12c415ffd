//! How deliveries of webhooks get through to a receiver that fails three times in ten, in a time that is moved by hand: every event arrives,
//! those of one contact in their order. Fails when one does not, or when memory grows with their number.
//!
//! `VENTROS_DELIVERIES` sets how many there are (300).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement is a program")]

mod shop;

use async_trait::async_trait;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shop::{directory, resident, size};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use uuid::Uuid;
use ventros::engine::{Project, Step};
use ventros::http::{HttpFailure, HttpRequest, HttpResponse, HttpTransport};
use ventros::kernel::ProjectId;
use ventros::testing::{World, block_on};
use ventros_sqlite::SqliteStorage;

/// Events of one commit, each of another contact.
const TOGETHER: usize = 100;
/// What a process may have in memory at its peak, in MiB.
const BOUND: u64 = 200;

/// Takes seven calls of ten, and fails the others in three ways.
#[derive(Default)]
struct Receiver(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    state: u64,
    calls: usize,
    events: usize,
    /// The last event of each contact.
    last: BTreeMap<String, String>,
}

#[async_trait]
impl HttpTransport for Receiver {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let mut taken = self.0.lock().unwrap();
        taken.calls += 1;
        taken.state = taken.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match (taken.state >> 33) % 10 {
            0 => return Ok(HttpResponse::new(500, "")),
            1 => return Err(HttpFailure::Timeout { was_sent: true }),
            2 => return Err(HttpFailure::Connect),
            _ => {}
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let (contact, sequence) = (body["partitionkey"].as_str().unwrap(), body["sequence"].as_str().unwrap());
        let before = taken.last.insert(contact.to_owned(), sequence.to_owned());
        assert!(before.is_none_or(|before| *before < *sequence), "{contact} heard of {sequence} out of turn");
        taken.events += 1;
        Ok(HttpResponse::new(200, ""))
    }
}

fn call(project: &Project, operation: &str, input: &Value) -> Value {
    let output = block_on(project.crm().call(operation, project.context(), input.to_string().as_bytes())).unwrap();
    serde_json::from_str(&output).unwrap()
}

fn main() {
    let deliveries = size("VENTROS_DELIVERIES", 300).next_multiple_of(TOGETHER);
    let directory = directory("webhooks");
    let receiver = Arc::new(Receiver::default());
    let store = Arc::new(SqliteStorage::open(directory.join("crm.db")).unwrap());
    let world = World::with_http(store, receiver.clone());
    let project = world.found(ProjectId::from_uuid(Uuid::from_u128(0xA11)));
    let contacts: Vec<Value> = (0..TOGETHER * 10)
        .map(|number| call(&project, "contacts.create", &json!({"name": format!("Ana {number}")}))["id"].clone())
        .collect();
    call(
        &project,
        "webhooks.create",
        &json!({"name": "All", "url": "https://n8n.example.com/hook", "event_types": ["contact.name_changed"],
            "rate_per_second": 100, "concurrency": 20, "max_attempts": 20}),
    );
    let began = Instant::now();
    let mut quarter = (began, 0);
    for number in 0..deliveries / TOGETHER {
        let steps: Vec<Step> = (0..TOGETHER)
            .map(|place| {
                let contact = &contacts[(number * TOGETHER + place) % contacts.len()];
                let input = json!({"id": contact, "name": format!("Ana {number} {place}")}).to_string();
                Step { operation: "contacts.update".to_owned(), input: RawValue::from_string(input).unwrap() }
            })
            .collect();
        block_on(world.crm.transact(project.context(), &steps)).unwrap();
        world.clock.advance_seconds(2);
        block_on(world.crm.run_pending()).unwrap();
        let events = receiver.0.lock().unwrap().events;
        if (number + 1) % (deliveries / TOGETHER).div_ceil(4) == 0 {
            let rate = (events - quarter.1) as f64 / quarter.0.elapsed().as_secs_f64();
            println!("{events:>9} delivered: {rate:>7.0} a second, {} MiB", resident("VmRSS") >> 10);
            quarter = (Instant::now(), events);
        }
    }
    // The rest has its retries before it.
    while receiver.0.lock().unwrap().events < deliveries {
        let next = block_on(world.crm.next_due()).unwrap().expect("what was not delivered waits");
        let ahead = (next.micros() - world.crm.core().now().micros()).div_euclid(1_000_000) + 1;
        world.clock.advance_seconds(ahead.max(1));
        block_on(world.crm.run_pending()).unwrap();
    }
    let (calls, seconds) = (receiver.0.lock().unwrap().calls, began.elapsed().as_secs_f64());
    let peak = resident("VmHWM") >> 10;
    let rate = deliveries as f64 / seconds;
    println!("{deliveries} deliveries by {calls} calls, {rate:.0} a second, at most {peak} MiB in memory");
    let settled = call(
        &project,
        "webhooks.list_deliveries",
        &json!({"filter": {"field": "status", "op": "ne", "value": "succeeded"}}),
    );
    assert_eq!(settled["items"], json!([]));
    assert!(peak <= BOUND, "more than {BOUND} MiB");
    block_on(world.crm.close()).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}
