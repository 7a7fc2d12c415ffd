//! The process that is killed: everything the product does, at once, in a time that runs a hundred times too fast.

use crate::children::{self, tell};
use crate::shop::{Shop, is_away, message, sure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};
use ventros::catalogue::CustomEvent;
use ventros::conversations::inbound::Outcome;
use ventros::engine::{Crm, Event, Reaction, StartAt, SubscribeOptions, UnitOfWork};
use ventros::kernel::{Clock, Component, ErrorCode, Result, Timestamp};
use ventros::storage::EventRecord;
use ventros::testing::{block_on, react};

/// When the story begins.
pub const START: &str = "2025-01-06T09:00:00Z";
/// Sessions end after a minute of silence: here, after some hundred milliseconds.
const SPEED: u128 = 100;
const PEOPLE: usize = 6;
/// Every so many messages somebody closes the chat.
const CLOSE_EVERY: usize = 5;

/// Leaves a mark in the log for every event it is run for; twice is one mark too many.
pub const MARK: Reaction = Reaction {
    name: "ventros.test.mark",
    events: &["contact.*", "chat.*", "session.*", "message.*"],
    component: Component::Test,
    run: |work, record, _event: &Event| Box::pin(mark(work, record)),
};
pub const MARKED: &str = "custom.marked";
/// The durable callback.
pub const AUDIT: &str = "audit";

async fn mark(work: &mut UnitOfWork<'_>, record: &EventRecord) -> Result<()> {
    let data = [("seq".to_owned(), json!(record.seq))].into_iter().collect();
    let event = CustomEvent { event_type: MARKED.to_owned(), data, subjects: Vec::new() };
    work.record_custom(event, work.now(), None).map(drop)
}

/// The same moment in every process of the story.
pub struct FastClock(pub SystemTime);

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let micros = self.0.elapsed().unwrap().as_micros() * SPEED;
        Timestamp::parse(START).unwrap().plus_micros(i64::try_from(micros).unwrap())
    }
}

/// Lets the sessions of the shop end soon.
pub fn hurry(shop: &Shop) {
    call(shop, "projects.update", &json!({"session_timeout_minutes": 1})).unwrap();
}

fn call(shop: &Shop, operation: &str, input: &Value) -> Result<String> {
    block_on(shop.crm.call(operation, shop.project.context(), input.to_string().as_bytes()))
}

/// What the victim must know. Of those that live at the same time each has a slot: one of them alone closes a chat.
pub fn told(place: &str, number: usize, slot: usize, epoch: SystemTime, address: &str) -> [(&'static str, String); 5] {
    let epoch = epoch.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    [
        ("PLACE", place.to_owned()),
        ("NUMBER", number.to_string()),
        ("SLOT", slot.to_string()),
        ("EPOCH", epoch.to_string()),
        ("SHOP", address.to_owned()),
    ]
}

/// Rings after every commit of this process.
#[derive(Default)]
struct Bell(Mutex<bool>, Condvar);

impl Bell {
    fn ring(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn wait(&self) {
        let rung = self.0.lock().unwrap();
        let (mut rung, _) = self.1.wait_timeout_while(rung, Duration::from_millis(5), |rung| !*rung).unwrap();
        *rung = false;
    }
}

/// Works until it is killed.
pub fn live() {
    let Some(place) = children::told("PLACE") else { return };
    // A thread that fails must not leave the others working.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::abort();
    }));
    let number = children::told("NUMBER").unwrap();
    let slot: usize = children::told("SLOT").unwrap().parse().unwrap();
    let epoch = Duration::from_micros(children::told("EPOCH").unwrap().parse().unwrap());
    let clock = Arc::new(FastClock(SystemTime::UNIX_EPOCH + epoch));
    let seed = 100 + number.parse::<u64>().unwrap();
    let shop = Shop::visit(&place, clock.clone(), seed, &children::told("SHOP").unwrap());
    let bells: [Arc<Bell>; 3] = Default::default();
    let doorbells: Vec<_> = bells
        .iter()
        .map(|bell| {
            let bell = bell.clone();
            shop.crm.on_commit(Arc::new(move || bell.ring()))
        })
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| talk(&shop, &clock, &number, slot * PEOPLE));
        scope.spawn(|| deliver(&shop, &clock, &number));
        scope.spawn(|| work(&shop.crm, &bells[0]));
        scope.spawn(|| work(&shop.crm, &bells[1]));
        scope.spawn(|| listen(&shop, &bells[2]));
    });
    drop(doorbells);
}

/// Messages that are taken in at once, of people from the `first` on; now and then somebody closes the chat.
fn talk(shop: &Shop, clock: &FastClock, process: &str, first: usize) {
    for number in 0.. {
        let id = format!("T{process}-{number}");
        let item = message(&id, first + number % PEOPLE, &clock.now().to_string());
        let chat = match sure(|| shop.ingest(&item))[..] {
            [Outcome::Recorded { chat_id, .. }] => Some(chat_id),
            // The server went away between the commit and its answer.
            [Outcome::Duplicate { .. }] => None,
            ref other => panic!("{other:?}"),
        };
        tell(&format!("message {id}"));
        if let Some(chat) = chat.filter(|_| number % CLOSE_EVERY == 0) {
            sure(|| call(shop, "chats.close", &json!({"id": chat})));
            tell(&format!("closed {chat}"));
        }
    }
}

/// Messages that are only stored now and worked off later.
fn deliver(shop: &Shop, clock: &FastClock, process: &str) {
    for number in 0.. {
        let id = format!("D{process}-{number}");
        let raw = waha(&id, number % PEOPLE, clock.now());
        let input = json!({"channel_id": shop.channel, "raw": raw});
        sure(|| call(shop, "inbound.accept", &input));
        tell(&format!("message {id}"));
    }
}

fn waha(id: &str, person: usize, at: Timestamp) -> Value {
    let from = format!("55119{:08}@c.us", 90_000_000 + person);
    let seconds = at.micros() / 1_000_000;
    json!({
        "id": format!("evt_{id}"), "timestamp": seconds * 1_000, "event": "message.any", "session": "default",
        "payload": {
            "id": format!("false_{from}_{id}"), "timestamp": seconds, "from": from, "fromMe": false, "source": "app",
            "hasMedia": false, "body": format!("text {id}"), "ack": 2,
        },
    })
}

/// Reactions, timers and stored deliveries.
fn work(crm: &Crm, bell: &Bell) {
    loop {
        for outcome in [block_on(crm.run_pending()), block_on(react(crm, &[MARK]))] {
            assert!(outcome.as_ref().err().is_none_or(is_away), "{outcome:?}");
        }
        bell.wait();
    }
}

/// The durable callback. It fails now and then, and does nothing before it has told what it saw.
fn listen(shop: &Shop, bell: &Bell) {
    let options = SubscribeOptions { start: StartAt::Beginning, ..SubscribeOptions::default() };
    let mut feed = sure(|| block_on(shop.crm.subscribe(shop.project.id(), AUDIT, options.clone())));
    let mut failed = BTreeSet::new();
    loop {
        let events = sure(|| block_on(feed.next(20)));
        if events.is_empty() {
            bell.wait();
        }
        for event in events {
            let settled = if event.seq % 17 == 0 && failed.insert(event.seq) {
                block_on(feed.fail(&event, "not now"))
            } else {
                tell(&format!("saw {}", event.seq));
                block_on(feed.ack(event.seq))
            };
            match settled {
                Ok(()) if event.seq % 17 != 0 => {}
                // What follows comes again: after a failure, or because the lease went to somebody else.
                Ok(()) => break,
                Err(error) => {
                    assert!(error.code() == ErrorCode::LeaseLost || is_away(&error), "{error:?}");
                    break;
                }
            }
        }
    }
}
