//! The acceptance cases of the outbox page that are about consumers, by number, on the operations that see and mend them.

use crate::catalogue::CustomEvent;
use crate::engine::{Durable, Project, Reaction, StartAt, SubscribeOptions, UnitOfWork};
use crate::kernel::{Component, Error, ErrorCode, ProjectId, Result};
use crate::storage::{EventQuery, EventRecord, MemoryStorage, Scope};
use crate::testing::{Fault, WatchedStorage, World, block_on, react};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

pub(super) const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));

pub(super) struct Desk {
    pub world: World,
    project: Project,
}

impl Desk {
    pub fn new() -> Desk {
        let world = World::new();
        let project = world.found(PROJECT);
        Desk { world, project }
    }

    fn attempt(&self, operation: &str, input: Value) -> Result<Value> {
        let input = input.to_string();
        let output = block_on(self.world.crm.call(operation, self.project.context(), input.as_bytes()))?;
        Ok(serde_json::from_str(&output).expect("an output is JSON"))
    }

    #[track_caller]
    pub fn call(&self, operation: &str, input: Value) -> Value {
        self.attempt(operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    #[track_caller]
    pub fn refused(&self, operation: &str, input: Value) -> (ErrorCode, String) {
        match self.attempt(operation, input) {
            Ok(output) => panic!("{operation} gave {output}"),
            Err(error) => (error.code(), error.field().unwrap_or_default().to_owned()),
        }
    }

    fn log(&self) -> Vec<EventRecord> {
        let query = EventQuery { limit: 10_000, ..EventQuery::default() };
        block_on(self.world.crm.core().storage().events(Scope::Project(PROJECT), &query)).expect("the log is readable")
    }

    fn types_after(&self, seq: u64) -> Vec<String> {
        self.log().into_iter().filter(|event| event.seq > seq).map(|event| event.event_type).collect()
    }

    /// Records so many events `custom.n`.
    pub fn record(&self, count: usize) {
        for _ in 0..count {
            self.call("events.record", json!({"type": "custom.n"}));
        }
    }

    fn subscribe(&self, events: &[&str], max_attempts: u32) -> Durable {
        let events = events.iter().map(|pattern| (*pattern).to_owned()).collect();
        let options =
            SubscribeOptions { events, start: StartAt::Beginning, max_attempts, ..SubscribeOptions::default() };
        block_on(self.world.crm.subscribe(PROJECT, "mine", options)).expect("it subscribes")
    }

    fn mine(&self) -> Value {
        self.call("consumers.get", json!({"name": "mine"}))
    }
}

fn next(reader: &mut Durable) -> Vec<EventRecord> {
    block_on(reader.next(10)).expect("it reads")
}

fn seqs(events: &[EventRecord]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

#[test]
fn case_16_a_consumer_starts_where_it_is_told() {
    let desk = Desk::new();
    desk.record(2);
    desk.world.clock.advance_seconds(60);
    desk.record(2);
    let head = desk.log().len() as u64;
    let starts = [
        (json!({"type": "now"}), head),
        (json!({"type": "beginning"}), 0),
        (json!({"type": "seq", "seq": 3}), 2),
        (json!({"type": "time", "at": "2025-01-06T09:00:30Z"}), head - 2),
        (json!({"type": "time", "at": "2025-01-06T08:00:00Z"}), 0),
    ];
    for (number, (start, checkpoint)) in starts.into_iter().enumerate() {
        let made = desk.call("consumers.create", json!({"name": format!("c{number}"), "start": start}));
        assert_eq!(made["checkpoint"], checkpoint, "{start}");
        assert_eq!(made, desk.call("consumers.get", json!({"name": made["name"]})).at_the_time_of(&made));
    }
    let refused = desk.refused("consumers.create", json!({"name": "x", "start": {"type": "seq", "seq": 99}}));
    assert_eq!(refused, (ErrorCode::ValueOutOfRange, "start.seq".to_owned()));
    let known = desk.refused("consumers.create", json!({"name": "c0"}));
    assert_eq!(known, (ErrorCode::ConsumerExists, "name".to_owned()));
    assert_eq!(desk.refused("consumers.create", json!({"name": "ventros.x"})).0, ErrorCode::BuiltinProtected);
    let unheard = desk.refused("consumers.create", json!({"name": "x", "events": ["contacts.*"]}));
    assert_eq!(unheard, (ErrorCode::EventTypeUnknown, "events".to_owned()));
    assert_eq!(desk.refused("consumers.get", json!({"name": "nobody"})).0, ErrorCode::ConsumerNotFound);

    // Who subscribes goes on from there.
    let options = SubscribeOptions { start: StartAt::Beginning, ..SubscribeOptions::default() };
    let mut reader = block_on(desk.world.crm.subscribe(PROJECT, "c0", options)).expect("it subscribes");
    desk.record(1);
    assert_eq!(next(&mut reader).len(), 1);
}

/// What is true of a consumer whatever was recorded since: its lag and what it waits for aside.
trait Lagging {
    fn at_the_time_of(self, of: &Value) -> Value;
}

impl Lagging for Value {
    fn at_the_time_of(mut self, of: &Value) -> Value {
        for place in ["lag", "waiting_since"] {
            self[place] = of[place].clone();
        }
        self
    }
}

/// An event may be what its readers die of, or hang at.
#[test]
fn who_gives_no_sign_uses_up_the_tries_of_the_event() {
    let desk = Desk::new();
    let mut reader = desk.subscribe(&["custom.*"], 3);
    desk.record(3);
    let first = next(&mut reader);
    block_on(reader.ack(first[0].seq)).expect("it is done with");
    drop(reader);
    for attempts in 1..3 {
        desk.world.clock.advance_seconds(31);
        let mut reader = desk.subscribe(&["custom.*"], 3);
        assert_eq!(seqs(&next(&mut reader)), seqs(&first[1..]), "it is handed out at once");
        let mine = desk.mine();
        assert_eq!(mine["attempts"], attempts);
        assert!(mine["last_error"].as_str().is_some_and(|error| error.starts_with("lease_lost: ")), "{mine}");
        // The same process in the same lease: no other try.
        assert_eq!(next(&mut reader).len(), 2);
        assert_eq!(desk.mine()["attempts"], attempts);
    }
    desk.world.clock.advance_seconds(31);
    let mut reader = desk.subscribe(&["custom.*"], 3);
    let rest = next(&mut reader);
    assert_eq!(seqs(&rest), seqs(&first[2..]));
    let letters = desk.call("consumers.dead_letters", json!({"name": "mine"}));
    let letter = &letters["items"][0];
    assert_eq!((&letter["event_id"], &letter["attempts"]), (&json!(first[1].id), &json!(3)));
    block_on(reader.ack(rest[0].seq)).expect("it is done with");
    assert_eq!(desk.mine()["attempts"], 0);
}

/// What waits among the letters and is tried again counts its own tries.
#[test]
fn who_gives_no_sign_uses_up_the_tries_of_the_letter() {
    let desk = Desk::new();
    let mut reader = desk.subscribe(&["custom.*"], 1);
    desk.record(2);
    let first = next(&mut reader);
    block_on(reader.fail(&first[0], "boom")).expect("it is put aside");
    desk.call("consumers.retry_dead_letters", json!({"name": "mine", "event_ids": [first[0].id]}));
    assert_eq!(seqs(&next(&mut reader)), seqs(&first[..1]));
    drop(reader);
    desk.world.clock.advance_seconds(31);
    let mut reader = desk.subscribe(&["custom.*"], 1);
    assert_eq!(seqs(&next(&mut reader)), seqs(&first[1..]), "the other one is not blamed");
    let letters = desk.call("consumers.dead_letters", json!({"name": "mine"}));
    let letter = &letters["items"][0];
    assert_eq!((&letter["event_id"], &letter["attempts"]), (&json!(first[0].id), &json!(2)));
}

/// A reader that has acknowledged everything owes nothing, however long it is silent.
#[test]
fn who_has_nothing_out_fails_nothing() {
    let desk = Desk::new();
    let mut reader = desk.subscribe(&["custom.*"], 1);
    desk.record(2);
    let first = next(&mut reader);
    block_on(reader.ack(first[1].seq)).expect("it is done with");
    desk.record(1);
    desk.world.clock.advance_seconds(31);
    let mut other = desk.subscribe(&["custom.*"], 1);
    assert_eq!(next(&mut other).len(), 1);
    assert_eq!(desk.mine()["attempts"], 0);
    // What it is given under the same lease is out again.
    block_on(other.ack(first[1].seq + 1)).expect("it is done with");
    desk.record(1);
    let out = next(&mut other);
    drop(other);
    desk.world.clock.advance_seconds(31);
    assert!(next(&mut desk.subscribe(&["custom.*"], 1)).is_empty());
    let letters = desk.call("consumers.dead_letters", json!({"name": "mine"}));
    assert_eq!(letters["items"][0]["event_id"], json!(out[0].id));
}

/// Nobody is blamed for a lease that was taken away.
#[test]
fn a_pause_is_no_failure() {
    let desk = Desk::new();
    let mut reader = desk.subscribe(&["custom.*"], 1);
    desk.record(1);
    assert_eq!(next(&mut reader).len(), 1);
    desk.call("consumers.pause", json!({"name": "mine"}));
    desk.call("consumers.resume", json!({"name": "mine"}));
    desk.world.clock.advance_seconds(31);
    assert_eq!(next(&mut desk.subscribe(&["custom.*"], 1)).len(), 1);
}

#[test]
fn case_6_and_15_what_was_given_up_on_is_tried_again_in_order() {
    let desk = Desk::new();
    let mut reader = desk.subscribe(&["custom.*"], 2);
    desk.record(3);
    let heard = next(&mut reader);
    let [first, second, third] = heard.as_slice() else { panic!("three events") };
    block_on(reader.ack(first.seq)).expect("it is done with");
    block_on(reader.fail(second, "boom")).expect("it comes again");
    let mine = desk.mine();
    assert_eq!((&mine["attempts"], &mine["last_error"], &mine["lag"]), (&json!(1), &json!("boom"), &json!(2)));
    assert!(next(&mut reader).is_empty(), "it waits");
    desk.world.clock.advance_seconds(3);
    let again = next(&mut reader);
    assert_eq!(seqs(&again), [second.seq, third.seq]);
    let before = desk.log().len() as u64;
    block_on(reader.fail(&again[0], "boom")).expect("it is given up on");
    assert_eq!(desk.types_after(before), ["dead_letter.parked"]);
    let parked = desk.log().pop().expect("an event");
    assert_eq!((parked.causation_id, parked.correlation_id), (Some(second.id), second.correlation_id));
    let heard = next(&mut reader);
    assert_eq!(seqs(&heard), [third.seq], "the others flow, and its own failures are none of its business");
    block_on(reader.fail(&heard[0], "boom")).expect("it fails too");
    desk.world.clock.advance_seconds(3);
    let heard = next(&mut reader);
    block_on(reader.fail(&heard[0], "bang")).expect("it is given up on");
    desk.record(1);

    let letters = desk.call("consumers.dead_letters", json!({"name": "mine"}));
    let letters = letters["items"].as_array().expect("a list").clone();
    let shown: Vec<_> =
        letters.iter().map(|letter| (&letter["event_id"], &letter["attempts"], &letter["error"])).collect();
    assert_eq!(shown, [(&json!(second.id), &json!(2), &json!("boom")), (&json!(third.id), &json!(2), &json!("bang"))]);
    let first_page = desk.call("consumers.dead_letters", json!({"name": "mine", "limit": 1}));
    let rest = json!({"name": "mine", "cursor": first_page["next_cursor"]});
    assert_eq!(desk.call("consumers.dead_letters", rest)["items"], json!([letters[1]]));

    assert_eq!(desk.call("consumers.retry_dead_letters", json!({"name": "mine"})), json!({"count": 2}));
    assert_eq!(desk.call("consumers.retry_dead_letters", json!({"name": "mine"})), json!({"count": 0}));
    assert_eq!(desk.mine()["retrying"], 2);
    let one = next(&mut reader);
    assert_eq!(seqs(&one), [second.seq], "before everything later, and alone");
    block_on(reader.ack(second.seq)).expect("it is done with after all");
    let two = next(&mut reader);
    assert_eq!(seqs(&two), [third.seq]);
    block_on(reader.fail(&two[0], "still")).expect("it is given up on again");
    let rest = next(&mut reader);
    assert_eq!(rest.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>(), ["custom.n"]);
    block_on(reader.ack(rest[0].seq)).expect("it is done with");
    let mine = desk.mine();
    assert_eq!((&mine["dead_letters"], &mine["retrying"]), (&json!(1), &json!(0)));
    let left = desk.call("consumers.dead_letters", json!({"name": "mine"}));
    assert_eq!((&left["items"][0]["attempts"], &left["items"][0]["error"]), (&json!(3), &json!("still")));
}

#[test]
fn case_24_discarding_needs_a_reason() {
    let desk = Desk::new();
    let mut reader = desk.subscribe(&["custom.*"], 1);
    desk.record(2);
    for _ in 0..2 {
        let heard = next(&mut reader);
        block_on(reader.fail(&heard[0], "boom")).expect("it is given up on");
    }
    let ids: Vec<Value> = (desk.call("consumers.dead_letters", json!({"name": "mine"}))["items"].as_array())
        .map(|items| items.iter().map(|letter| letter["event_id"].clone()).collect())
        .expect("a list");
    let refused = desk.refused("consumers.discard_dead_letters", json!({"name": "mine", "reason": " "}));
    assert_eq!(refused, (ErrorCode::ReasonRequired, "reason".to_owned()));
    let unknown = json!({"name": "mine", "reason": "old", "event_ids": [ids[0], Uuid::from_u128(7)]});
    let unknown = desk.refused("consumers.discard_dead_letters", unknown);
    assert_eq!(unknown, (ErrorCode::DeadLetterNotFound, "event_ids[1]".to_owned()));
    let crowd = json!({"name": "mine", "event_ids": vec![&ids[0]; 501]});
    assert_eq!(desk.refused("consumers.retry_dead_letters", crowd).0, ErrorCode::BatchTooLarge);
    let done =
        desk.call("consumers.discard_dead_letters", json!({"name": "mine", "reason": "old", "event_ids": [ids[1]]}));
    assert_eq!(done, json!({"count": 1}));
    let event = desk.log().pop().expect("an event");
    let data: Value = serde_json::from_str(event.data.get()).expect("JSON");
    assert_eq!(data, json!({"type": "dead_letter.discarded", "name": "mine", "event_ids": [ids[1]], "reason": "old"}));
    assert_eq!(desk.mine()["dead_letters"], 1);
}

#[test]
fn case_17_a_reset_is_heard_again_or_skips() {
    let desk = Desk::new();
    let mut reader = desk.subscribe(&["custom.*"], 5);
    desk.record(3);
    let heard = next(&mut reader);
    let reset = |to: Value| desk.call("consumers.reset", json!({"name": "mine", "to": to}));
    let anew = reset(json!({"type": "seq", "seq": heard[1].seq}));
    assert_eq!((&anew["generation"], &anew["checkpoint"]), (&json!(2), &json!(heard[1].seq - 1)));
    let late = block_on(reader.ack(heard[2].seq)).map_err(|error| error.code());
    assert_eq!(late, Err(ErrorCode::LeaseLost), "who read before the reset moves nothing");
    assert_eq!(seqs(&next(&mut reader)), seqs(&heard[1..]));
    reset(json!({"type": "now"}));
    desk.record(1);
    let mut other = desk.subscribe(&["custom.*"], 5);
    assert_eq!(next(&mut other).len(), 1, "the rest is skipped");
    assert_eq!(desk.mine()["generation"], 3);
    assert_eq!(
        desk.refused("consumers.reset", json!({"name": "mine", "to": {"type": "seq", "seq": 0}})),
        (ErrorCode::ValueOutOfRange, "to.seq".to_owned())
    );
}

#[test]
fn a_paused_consumer_waits_and_a_deleted_one_is_gone() {
    let desk = Desk::new();
    let mut reader = desk.subscribe(&[], 5);
    desk.record(1);
    let heard = next(&mut reader);
    let paused = desk.call("consumers.pause", json!({"name": "mine", "reason": "too loud"}));
    assert_eq!((&paused["status"], &paused["leased_until"]), (&json!("paused"), &Value::Null));
    assert_eq!(desk.refused("consumers.pause", json!({"name": "mine"})).0, ErrorCode::InvalidState);
    assert!(block_on(reader.ack(heard[0].seq)).is_err());
    assert!(next(&mut reader).is_empty());
    desk.call("consumers.resume", json!({"name": "mine"}));
    assert_eq!(seqs(&next(&mut reader)), seqs(&heard), "nothing is lost, and what was done to it is not heard");
    assert_eq!(desk.refused("consumers.resume", json!({"name": "mine"})).0, ErrorCode::InvalidState);
    let mut auditor = block_on(desk.world.crm.subscribe(
        PROJECT,
        "auditor",
        SubscribeOptions {
            events: vec!["consumer.*".into()],
            start: StartAt::Beginning,
            max_attempts: 1,
            ..SubscribeOptions::default()
        },
    ))
    .expect("it subscribes");
    let told: Vec<String> = next(&mut auditor).into_iter().map(|event| event.event_type).collect();
    assert_eq!(told, ["consumer.paused", "consumer.resumed"]);

    let names = |input: Value| {
        let page = desk.call("consumers.list", input);
        let items = page["items"].as_array().expect("a list").clone();
        items.iter().map(|consumer| consumer["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(json!({})), ["auditor", "mine"]);
    assert_eq!(names(json!({"limit": 1, "cursor": "auditor"})), ["mine"]);
    assert_eq!(names(json!({"status": "paused"})), Vec::<String>::new());
    desk.call("consumers.delete", json!({"name": "mine"}));
    assert_eq!(desk.refused("consumers.delete", json!({"name": "mine"})).0, ErrorCode::ConsumerNotFound);
    assert_eq!(desk.call("consumers.create", json!({"name": "mine"}))["generation"], 1);
    let stream: Vec<u64> = (desk.log().iter())
        .filter(|event| event.event_type.starts_with("consumer.") && event.data.get().contains("\"mine\""))
        .map(|event| event.aggregate_version)
        .collect();
    assert_eq!(stream, [1, 2, 3, 4], "one stream per name");
}

static BROKEN: AtomicBool = AtomicBool::new(true);

/// Fails for as long as [`BROKEN`] says so.
const FRAGILE: Reaction = Reaction {
    name: "ventros.test.fragile",
    events: &["custom.n"],
    component: Component::Test,
    run: |work, record, _event| Box::pin(fragile(work, record)),
};

async fn fragile(work: &mut UnitOfWork<'_>, record: &EventRecord) -> Result<()> {
    if BROKEN.load(Ordering::SeqCst) {
        return Err(Error::internal("it is broken"));
    }
    let data = [("seq".to_owned(), json!(record.seq))].into_iter().collect();
    let event = CustomEvent { event_type: "custom.echoed".to_owned(), data, subjects: Vec::new() };
    work.record_custom(event, work.now(), None).map(drop)
}

#[test]
fn a_reaction_of_the_library_is_repaired_exactly_once() {
    let desk = Desk::new();
    desk.record(1);
    let run = || block_on(react(&desk.world.crm, &[FRAGILE])).expect("it runs");
    for _ in 0..10 {
        run();
        desk.world.clock.advance_seconds(600);
    }
    let shown = desk.call("consumers.get", json!({"name": FRAGILE.name}));
    assert_eq!((&shown["dead_letters"], &shown["built_in"]), (&json!(1), &json!(true)));
    assert_eq!(desk.types_after(0).iter().filter(|name| *name == "dead_letter.parked").count(), 1);
    for (operation, more) in [("consumers.delete", json!({})), ("consumers.reset", json!({"to": {"type": "now"}}))] {
        let mut input = more;
        input["name"] = json!(FRAGILE.name);
        assert_eq!(desk.refused(operation, input).0, ErrorCode::BuiltinProtected);
    }

    desk.call("consumers.retry_dead_letters", json!({"name": FRAGILE.name}));
    assert_eq!(run().failures, 1, "it fails again");
    BROKEN.store(false, Ordering::SeqCst);
    desk.call("consumers.retry_dead_letters", json!({"name": FRAGILE.name}));
    run();
    run();
    let echoes = || desk.types_after(0).iter().filter(|name| *name == "custom.echoed").count();
    assert_eq!(echoes(), 1);
    assert_eq!(desk.call("consumers.get", json!({"name": FRAGILE.name}))["dead_letters"], 0);

    desk.call("consumers.pause", json!({"name": FRAGILE.name}));
    desk.record(1);
    run();
    assert_eq!(echoes(), 1, "what it does waits");
    desk.call("consumers.resume", json!({"name": FRAGILE.name}));
    run();
    assert_eq!(echoes(), 2);
    desk.world.assert_log_matches();
}

#[test]
fn a_reader_with_much_to_do_keeps_its_lease() {
    let desk = Desk::new();
    let mut reader = desk.subscribe(&["custom.*"], 2);
    desk.record(9);
    for _ in 0..9 {
        let heard = block_on(reader.next(1)).expect("it reads");
        assert_eq!(heard.len(), 1, "it need not wait for its own lease to end");
        desk.world.clock.advance_seconds(20);
        block_on(reader.ack(heard[0].seq)).expect("it is still its reader");
    }
}

/// Whether a call reached the store or not, what was handled does not come again, and what follows does not wait.
#[test]
fn a_reader_goes_on_where_it_was_when_the_store_comes_back() {
    for side in [Fault::Before, Fault::After] {
        for number in 1..40 {
            let store = WatchedStorage::around(Arc::new(MemoryStorage::default()));
            let world = World::on(store.clone()).expect("it opens");
            let desk = Desk { project: world.found(PROJECT), world };
            let mut reader = desk.subscribe(&["custom.*"], 2);
            desk.record(6);
            let mut handled = Vec::new();
            store.take_calls();
            store.fail(number, side);
            let mut lost_its_claim = false;
            for _ in 0..12 {
                let Ok(heard) = block_on(reader.next(2)) else {
                    lost_its_claim = store.take_calls().last() == Some(&"claim_consumer") && side == Fault::After;
                    continue;
                };
                let Some(last) = heard.last().map(|event| event.seq) else { continue };
                handled.extend(seqs(&heard));
                block_on(reader.ack(last)).ok();
            }
            let missed = store.heal();
            // Nobody can know that the lease is its own: it ends by itself.
            if lost_its_claim {
                assert_eq!(handled, [] as [u64; 0]);
                continue;
            }
            let all: Vec<u64> = seqs(&desk.log()).into_iter().skip(1).collect();
            assert_eq!(handled, all, "call {number}, {side:?}");
            if missed {
                assert!(number > 10, "there were more calls");
                break;
            }
        }
    }
}

#[test]
fn a_consumer_that_stops_stays_at_the_event_until_it_is_resumed() {
    let desk = Desk::new();
    let made = json!({"name": "mine", "max_attempts": 2, "on_exhausted": "stop", "start": {"type": "beginning"}});
    assert_eq!(desk.call("consumers.create", made)["on_exhausted"], "stop");
    let mut reader = desk.subscribe(&["custom.*"], 2);
    desk.record(2);
    let before = desk.log().len() as u64;
    let heard = next(&mut reader);
    for pause in [2, 0] {
        block_on(reader.fail(&heard[0], "no paper")).expect("it is told");
        desk.world.clock.advance_seconds(pause);
        assert_eq!(next(&mut reader).is_empty(), pause == 0);
    }
    let mine = desk.mine();
    assert_eq!(
        (&mine["status"], &mine["attempts"], &mine["last_error"], &mine["dead_letters"]),
        (&json!("failed"), &json!(0), &json!("no paper"), &json!(0))
    );
    assert_eq!(desk.types_after(before), ["consumer.failed"]);
    desk.world.clock.advance_seconds(3_600);
    assert!(next(&mut reader).is_empty(), "nobody reads on by themselves");

    assert_eq!(desk.call("consumers.resume", json!({"name": "mine"}))["status"], "active");
    let again = next(&mut reader);
    assert_eq!(seqs(&again), seqs(&heard), "the event comes again, and the next one after it");
    block_on(reader.fail(&again[0], "no paper")).expect("it is told");
    assert_eq!(desk.mine()["status"], "active", "it has all its tries again");
    desk.world.clock.advance_seconds(2);
    block_on(reader.next(10)).expect("it reads");
    block_on(reader.ack(again[1].seq)).expect("it is done");
    assert_eq!(desk.mine()["last_error"], Value::Null);
}

#[test]
fn a_consumer_that_drops_leaves_the_event_behind() {
    let desk = Desk::new();
    let made = json!({"name": "mine", "max_attempts": 1, "on_exhausted": "drop", "start": {"type": "beginning"}});
    desk.call("consumers.create", made);
    let mut reader = desk.subscribe(&["custom.*"], 1);
    desk.record(2);
    let before = desk.log().len() as u64;
    let heard = next(&mut reader);
    block_on(reader.fail(&heard[0], "no paper")).expect("it is told");
    assert_eq!(seqs(&next(&mut reader)), [heard[1].seq]);
    let mine = desk.mine();
    assert_eq!((&mine["dead_letters"], &mine["last_error"]), (&json!(0), &json!("no paper")));
    assert_eq!(desk.types_after(before), ["dead_letter.discarded"]);
}
