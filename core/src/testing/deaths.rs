//! A morning of work whose process dies at one of its calls to the store. Whoever comes after it finds nothing lost and nothing done
//! twice: the same as if nobody had died.

use super::{FakeOutside, Fault, ManualClock, SeededIds, WatchedStorage, World, block_on};
use crate::engine::{Crm, Project, Settings};
use crate::http::{HttpFailure, HttpRequest, HttpResponse};
use crate::kernel::{ProjectId, Result};
use crate::storage::{EventQuery, EventRecord, Scope, Storage};
use crate::vault::StaticKey;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xDEAD));
const GATEWAY: &str = "https://waha.example.com";
const HOOK: &str = "https://hooks.example.com/in";
/// Who comes after a death looks so often, in seconds, and so many times: beyond every lease and every pause of a first failure.
const ROUND_SECONDS: i64 = 35;
const ROUNDS: usize = 10;
/// What the sagas have a provider do.
const PART: &str = "host.part";
/// Events that another try may add.
const OF_TRIES: &[&str] = &["message.send_started", "message.metadata_updated", "message.retry_scheduled"];

/// Lets the process die at every `step`-th call to its store, once before the store hears of it and once after, each time in a store
/// of its own. Returns the number of deaths.
///
/// # Panics
/// When something was lost or done twice.
pub fn die_everywhere(open: impl Fn() -> Arc<dyn Storage>, step: usize) -> usize {
    let undisturbed = Morning::begin(open());
    undisturbed.go_on();
    let expected = undisturbed.outcome();
    let mut deaths = 0;
    for side in [Fault::Before, Fault::After] {
        for number in (1..).step_by(step) {
            let morning = Morning::begin(open());
            if !morning.die_at(number, side) {
                break;
            }
            deaths += 1;
            morning.go_on();
            assert_eq!(morning.outcome(), expected, "after a death {side:?} call {number}");
        }
    }
    deaths
}

/// What is true in the end.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// How many events of a type there are.
    events: BTreeMap<String, usize>,
    /// What became of each message.
    messages: BTreeMap<String, String>,
    /// The entries of the timelines.
    entries: Vec<String>,
    jobs: Vec<(String, String)>,
    /// Where the sagas ended.
    sagas: Vec<(String, String)>,
    /// What a provider that honours keys has done for them.
    parts: Vec<String>,
    /// The types of the events that were delivered, each event once.
    delivered: Vec<String>,
    /// What the gateway was told of messages besides the sends, each once.
    told: BTreeSet<String>,
    dead_letters: u64,
}

struct Morning {
    storage: Arc<dyn Storage>,
    clock: Arc<ManualClock>,
    outside: Arc<FakeOutside>,
    contact: Value,
    /// What the provider was asked for, by key.
    parts: Mutex<BTreeMap<String, String>>,
}

fn start(storage: Arc<dyn Storage>, clock: Arc<ManualClock>, outside: Arc<FakeOutside>, seed: u64) -> Result<Crm> {
    let settings = Settings::new(storage, clock, SeededIds::new(seed));
    let crm = block_on(Crm::open(settings.with_keys(Arc::new(StaticKey::new([7; 32])?)).with_http(outside)))?;
    for (kind, end) in
        [("host.fine", json!({"type": "wait"})), ("host.undone", json!({"type": "wait", "signal": "never"}))]
    {
        crm.define_saga_json(saga(kind, end).to_string().as_bytes())?;
    }
    Ok(crm)
}

/// A contact, three jobs, another contact in a saga of its own, and half a minute at the end of which it is done, or undone.
fn saga(kind: &str, end: Value) -> Value {
    let make = json!({"type": "command", "operation": "contacts.create", "input": {"name": {"$from": "saga.key"}}});
    let forget =
        json!({"type": "command", "operation": "contacts.delete", "input": {"id": {"$from": "data.contact.id"}}});
    let parts = json!({
        "type": "fan_out", "kind": PART, "each": [1, 2, 3], "max_parallel": 2,
        "payload": {"of": {"$from": "saga.key"}, "number": {"$from": "item"}},
    });
    json!({"kind": kind, "steps": [
        {"id": "contact", "run": make, "compensate": {"run": forget}},
        {"id": "parts", "run": parts},
        {"id": "end", "run": end, "timeout_seconds": 30},
    ]})
}

/// A gateway that knows every number and takes every message, and a receiver of webhooks that takes everything.
fn answer(request: &HttpRequest, number: usize) -> std::result::Result<HttpResponse, HttpFailure> {
    if request.url == HOOK {
        return Ok(HttpResponse::new(200, ""));
    }
    if request.url.contains("/check-exists") {
        return Ok(HttpResponse::new(200, r#"{"numberExists":true,"chatId":"5511990000001@c.us"}"#));
    }
    Ok(HttpResponse::new(201, json!({"id": format!("true_5511990000001@c.us_{number}")}).to_string()))
}

#[track_caller]
fn call(project: &Project, operation: &str, input: Value) -> Value {
    let output = block_on(project.crm().call(operation, project.context(), input.to_string().as_bytes()));
    let output = output.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
    serde_json::from_str(&output).expect("an output is JSON")
}

impl Morning {
    /// A shop with everything waiting to be done: two answers to send, a reaction to the first of them, a delivery of the provider, a change to tell, a schedule.
    fn begin(storage: Arc<dyn Storage>) -> Morning {
        let mut number = 0;
        let outside = FakeOutside::new(move |request| {
            number += 1;
            answer(request, number)
        });
        let clock = ManualClock::at("2025-01-06T09:00:00Z");
        let crm = start(storage.clone(), clock.clone(), outside.clone(), 1).expect("a fresh store opens");
        let world = World { crm, clock: clock.clone() };
        let shop = world.found(PROJECT);
        let channel = json!({
            "name": "Line", "type": "waha", "external_id": "default",
            "config": {"base_url": GATEWAY, "api_key": "k-0123456789abcdef"},
        });
        let channel = call(&shop, "channels.create", channel)["id"].clone();
        call(&shop, "channels.activate", json!({"id": channel}));
        call(&shop, "channels.report_connection", json!({"id": channel, "connection": "connected"}));
        call(&shop, "webhooks.create", json!({"name": "Hook", "url": HOOK, "event_types": ["contact.*", "message.*"]}));
        block_on(world.crm.run_pending()).expect("it runs");

        let contact = call(&shop, "contacts.create", json!({"name": "Ana", "phone": "+5511990000001"}))["id"].clone();
        for body in ["first", "second"] {
            let content = json!({"type": "text", "body": body});
            let send = json!({"contact_id": contact, "channel_id": channel, "content": content});
            let sent = call(&shop, "messages.send", send);
            if body == "first" {
                call(&shop, "messages.react", json!({"id": sent["id"], "emoji": "👍"}));
            }
        }
        call(&shop, "contacts.update", json!({"id": contact, "name": "Ana Beatriz"}));
        let raw = json!({
            "id": "evt_1", "timestamp": 1_736_154_000_000_u64, "event": "message", "session": "default",
            "payload": {
                "id": "false_5521990000002@c.us_3EB0AA01", "timestamp": 1_736_154_000, "from": "5521990000002@c.us",
                "fromMe": false, "to": "5511970000000@c.us", "hasMedia": false, "body": "Bom dia", "ack": 1,
            },
        });
        call(&shop, "inbound.accept", json!({"channel_id": channel, "raw": raw}));
        let once = json!({"type": "once", "start_time": "2025-01-06T09:01:00Z"});
        call(&shop, "schedules.create", json!({"kind": "host.report", "recurrence": once}));
        for kind in ["host.fine", "host.undone"] {
            call(&shop, "sagas.start", json!({"kind": kind, "key": kind}));
        }
        clock.advance_seconds(61);
        Morning { storage, clock, outside, contact, parts: Mutex::default() }
    }

    /// Does everything that is due, the parts of the sagas too.
    fn work(&self, crm: &Crm) -> Result<u64> {
        let shop = crm.project(PROJECT);
        let ask = |operation: &str, input: Value| -> Result<Value> {
            let output = block_on(crm.call(operation, shop.context(), input.to_string().as_bytes()))?;
            Ok(serde_json::from_str(&output).expect("an output is JSON"))
        };
        let mut failures = 0;
        loop {
            failures += block_on(crm.run_pending())?.failures;
            let claimed = ask("jobs.claim", json!({"kinds": [PART]}))?;
            let claimed = claimed.as_array().expect("a list");
            if claimed.is_empty() {
                return Ok(failures);
            }
            for job in claimed {
                let key = job["idempotency_key"].as_str().expect("a key").to_owned();
                let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
                parts.insert(key, job["payload"].to_string());
                drop(parts);
                let done = json!({"id": job["id"], "lease_token": job["lease_token"], "outcome": {"type": "done"}});
                ask("jobs.report", done)?;
            }
        }
    }

    /// Works until the call of this number, and dies; false when there are not so many.
    fn die_at(&self, number: usize, side: Fault) -> bool {
        let watched = WatchedStorage::around(self.storage.clone());
        watched.die(number, side);
        if let Ok(crm) = start(watched.clone(), self.clock.clone(), self.outside.clone(), 2) {
            let _ = self.work(&crm);
        }
        watched.is_dead()
    }

    /// Another process comes, and works until nothing is left.
    fn go_on(&self) {
        let crm = start(self.storage.clone(), self.clock.clone(), self.outside.clone(), 3).expect("the store opens");
        for _ in 0..ROUNDS {
            self.clock.advance_seconds(ROUND_SECONDS);
            assert_eq!(self.work(&crm).expect("it runs"), 0);
        }
    }

    fn outcome(&self) -> Outcome {
        let crm = start(self.storage.clone(), self.clock.clone(), self.outside.clone(), 4).expect("the store opens");
        let world = World { crm, clock: self.clock.clone() };
        world.assert_log_matches();
        let shop = world.crm.project(PROJECT);
        let log = self.log();
        let list = |operation: &str, input: Value| {
            let page = call(&shop, operation, input);
            page["items"].as_array().expect("a page").clone()
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let found = list("messages.list", json!({"limit": 100}));
        let messages = found.iter().map(|message| (text(&message["content"]["body"]), text(&message["status"])));
        let of_contact = json!({"field": "contact_id", "op": "eq", "value": self.contact});
        let entries = list("timeline.list", json!({"filter": of_contact, "limit": 100}));
        let mut entries: Vec<String> = entries.iter().map(|entry| text(&entry["event_type"])).collect();
        entries.sort();
        let jobs = list("jobs.list", json!({"kind": "host.report"}));
        let sagas = list("sagas.list", json!({}));
        let mut sagas: Vec<(String, String)> =
            sagas.iter().map(|saga| (text(&saga["kind"]), text(&saga["status"]))).collect();
        sagas.sort();
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parts: Vec<String> = parts.values().cloned().collect();
        parts.sort();
        let of_consumers = list("consumers.list", json!({"limit": 100}));
        let asked = self.outside.asked();
        check_sends(&asked, &found);
        Outcome {
            events: counted(log.iter().map(|event| event.event_type.clone())),
            messages: messages.collect(),
            entries,
            jobs: jobs.iter().map(|job| (text(&job["kind"]), text(&job["state"]))).collect(),
            sagas,
            parts,
            delivered: delivered(&asked, &log),
            told: told(&asked),
            dead_letters: of_consumers.iter().filter_map(|consumer| consumer["dead_letters"].as_u64()).sum(),
        }
    }

    fn log(&self) -> Vec<EventRecord> {
        let query = EventQuery { limit: 10_000, ..EventQuery::default() };
        block_on(self.storage.events(Scope::Project(PROJECT), &query)).expect("the log is readable")
    }
}

fn counted(types: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event_type in types.filter(|event_type| !OF_TRIES.contains(&event_type.as_str())) {
        *counts.entry(event_type).or_default() += 1;
    }
    counts
}

/// The types of the events that reached the receiver. Another try has the id of the first one, and no event is left out.
fn delivered(asked: &[HttpRequest], log: &[EventRecord]) -> Vec<String> {
    let key = |request: &HttpRequest| {
        let header = request.headers.iter().find(|(name, _)| name == "webhook-id");
        header.map(|(_, value)| value.clone()).expect("a delivery has an id")
    };
    let ids: BTreeSet<String> = asked.iter().filter(|request| request.url == HOOK).map(key).collect();
    let told = |event: &&EventRecord| ids.contains(&format!("evt_{}", event.id.simple()));
    let mut types: Vec<String> = log.iter().filter(told).map(|event| event.event_type.clone()).collect();
    assert_eq!(types.len(), ids.len(), "every id is that of an event");
    types.retain(|event_type| !OF_TRIES.contains(&event_type.as_str()));
    types.sort();
    types
}

/// What was asked for with messages that were sent before: the reaction, by the id that the gateway gave.
fn told(asked: &[HttpRequest]) -> BTreeSet<String> {
    let sent = asked.iter().position(|request| request.url.ends_with("/sendText"));
    let is_told = |request: &&HttpRequest| request.url.ends_with("/api/reaction");
    let first = asked.iter().position(|request| is_told(&request));
    assert!(sent.is_some() && sent < first, "a message is reacted to after it was sent");
    let body = |request: &HttpRequest| -> Value { serde_json::from_slice(&request.body).expect("a body is JSON") };
    asked.iter().filter(is_told).map(|request| body(request)["reaction"].to_string()).collect()
}

/// Each message is handed over once, in order; the gateway takes no keys, so one whose sender died after the call may go twice, and says
/// so.
fn check_sends(asked: &[HttpRequest], messages: &[Value]) {
    let body = |request: &HttpRequest| -> Value { serde_json::from_slice(&request.body).expect("a body is JSON") };
    let sends = asked.iter().filter(|request| request.url.ends_with("/sendText"));
    let texts: Vec<String> =
        sends.map(|request| body(request)["text"].as_str().unwrap_or_default().to_owned()).collect();
    let first = |text: &str| texts.iter().position(|sent| sent == text);
    assert!(first("first").is_some() && first("first") < first("second"), "{texts:?}");
    for message in messages.iter().filter(|message| message["direction"] == "outbound") {
        let text = message["content"]["body"].as_str().unwrap_or_default();
        let times = texts.iter().filter(|sent| *sent == text).count();
        let is_marked = message["metadata"]["possible_duplicate"] == true;
        assert!(times == 1 || (times == 2 && is_marked), "{text} went {times} times: {message}");
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::MemoryStorage;
    use std::sync::Arc;

    #[test]
    fn a_morning_in_which_nobody_dies() {
        let morning = super::Morning::begin(Arc::new(MemoryStorage::default()));
        morning.go_on();
        let outcome = morning.outcome();
        let ends = [("host.fine", "completed"), ("host.undone", "compensated")];
        assert_eq!(outcome.sagas, ends.map(|(kind, status)| (kind.to_owned(), status.to_owned())));
        assert_eq!(outcome.parts.len(), 6);
        assert_eq!(outcome.told.into_iter().collect::<Vec<_>>(), ["\"👍\""]);
        assert_eq!(outcome.events.get("contact.deleted"), Some(&1));
    }

    #[test]
    fn whoever_comes_after_a_death_finds_nothing_lost_and_nothing_twice() {
        let deaths = super::die_everywhere(|| Arc::new(MemoryStorage::default()), 1);
        assert!(deaths > 100, "only {deaths}");
    }
}
