//! Consumers whose failing events hold back their own aggregate alone, or nothing.

use super::tests::{Desk, PROJECT};
use crate::engine::{Durable, StartAt, SubscribeOptions};
use crate::kernel::{ErrorCode, ProjectId};
use crate::storage::{ConsumerOrdering, EventRecord, OnExhausted};
use crate::testing::block_on;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const OTHER: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xB22));

fn options(ordering: ConsumerOrdering, max_attempts: u32) -> SubscribeOptions {
    let events = vec!["contact.*".to_owned()];
    SubscribeOptions { events, start: StartAt::Beginning, max_attempts, ordering, ..SubscribeOptions::default() }
}

/// A desk, a reader of everything about contacts, and two contacts.
struct Line {
    desk: Desk,
    reader: Durable,
    x: Value,
    y: Value,
}

impl Line {
    fn of(options: SubscribeOptions) -> Line {
        let desk = Desk::new();
        let reader = block_on(desk.world.crm.subscribe(PROJECT, "mine", options)).expect("it subscribes");
        let contact = |name: &str| desk.call("contacts.create", json!({"name": name}))["id"].clone();
        let (x, y) = (contact("X"), contact("Y"));
        let mut line = Line { desk, reader, x, y };
        let made = line.next();
        line.ack(made.last().expect("two contacts were made"));
        line
    }

    fn new(ordering: ConsumerOrdering, max_attempts: u32) -> Line {
        Line::of(options(ordering, max_attempts))
    }

    /// Something happens to a contact.
    fn tag(&self, contact: &Value, tag: &str) {
        self.desk.call("contacts.add_tag", json!({"id": contact, "tag": tag}));
    }

    fn next(&mut self) -> Vec<EventRecord> {
        block_on(self.reader.next(10)).expect("it reads")
    }

    /// The tags that are out, after whatever waits has become due.
    fn after(&mut self, seconds: i64) -> Vec<EventRecord> {
        self.desk.world.clock.advance_seconds(seconds);
        self.next()
    }

    #[track_caller]
    fn ack(&mut self, event: &EventRecord) {
        block_on(self.reader.ack(event.seq)).expect("it is done with");
    }

    #[track_caller]
    fn fail(&mut self, event: &EventRecord) {
        block_on(self.reader.fail(event, "boom")).expect("it is put aside");
    }

    fn mine(&self) -> Value {
        self.desk.call("consumers.get", json!({"name": "mine"}))
    }

    fn dead(&self) -> Vec<u64> {
        let letters = self.desk.call("consumers.dead_letters", json!({"name": "mine"}));
        letters["items"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|letter| letter["seq"].as_u64().expect("a number"))
            .collect()
    }
}

fn tags(events: &[EventRecord]) -> Vec<String> {
    let tag = |event: &EventRecord| {
        let data: Value = serde_json::from_str(event.data.get()).expect("JSON");
        data["tag"].as_str().unwrap_or_default().to_owned()
    };
    events.iter().map(tag).collect()
}

#[test]
fn case_05_a_failing_event_holds_back_its_project_only() {
    let mut line = Line::new(ConsumerOrdering::Project, 10);
    let other = line.desk.world.found(OTHER);
    let everything = options(ConsumerOrdering::Project, 10);
    let mut theirs = block_on(line.desk.world.crm.subscribe(OTHER, "mine", everything)).expect("it subscribes");
    line.tag(&line.x.clone(), "x1");
    line.tag(&line.y.clone(), "y1");
    let input = json!({"name": "Bia"}).to_string();
    block_on(other.crm().call("contacts.create", other.context(), input.as_bytes())).expect("it is made");
    let heard = line.next();
    assert_eq!(tags(&heard), ["x1", "y1"]);
    line.fail(&heard[0]);
    assert_eq!(line.mine()["checkpoint"], heard[0].seq - 1);
    assert!(line.next().is_empty(), "y1 waits, too");
    assert_eq!(block_on(theirs.next(10)).expect("it reads").len(), 1);
    assert_eq!(tags(&line.after(2)), ["x1", "y1"]);
}

#[test]
fn case_06_a_failing_event_holds_back_its_aggregate_only() {
    let mut line = Line::new(ConsumerOrdering::Stream, 10);
    let (x, y) = (line.x.clone(), line.y.clone());
    line.tag(&x, "x7");
    line.tag(&y, "y8");
    line.tag(&x, "x9");
    let heard = line.next();
    assert_eq!(tags(&heard), ["x7", "y8", "x9"]);
    let (x7, x9) = (heard[0].clone(), heard[2].clone());
    line.fail(&x7);
    let flows = line.next();
    assert_eq!(tags(&flows), ["y8"], "x9 is held");
    line.ack(&flows[0]);
    let mine = line.mine();
    assert_eq!((&mine["lag"], &mine["put_aside"], &mine["dead_letters"]), (&json!(0), &json!(2), &json!(0)));
    for attempt in 2..=10 {
        let again = line.after(400);
        assert_eq!(tags(&again), ["x7"], "attempt {attempt}");
        assert!(line.dead().is_empty());
        line.fail(&again[0]);
    }
    assert_eq!(line.dead(), [x7.seq, x9.seq], "x9 is added to what was given up on");
    line.tag(&x, "x10");
    line.tag(&y, "y11");
    let flows = line.after(400);
    assert_eq!(tags(&flows), ["y11"]);
    line.ack(&flows[0]);
    assert_eq!(line.dead().len(), 3);
    assert!(line.next().is_empty());

    // Whoever names the last one gets those before it, too.
    let last = line.desk.call("consumers.dead_letters", json!({"name": "mine"}))["items"][2]["event_id"].clone();
    let retried = line.desk.call("consumers.retry_dead_letters", json!({"name": "mine", "event_ids": [last]}));
    assert_eq!(retried, json!({"count": 3}));
    for tag in ["x7", "x9", "x10"] {
        let one = line.next();
        assert_eq!(tags(&one), [tag]);
        line.ack(&one[0]);
    }
    line.tag(&x, "x12");
    assert_eq!(tags(&line.next()), ["x12"], "its order is whole again");
    assert_eq!(line.mine()["put_aside"], 0);
}

#[test]
fn what_is_held_follows_by_itself_and_in_order() {
    let mut line = Line::new(ConsumerOrdering::Stream, 5);
    let (x, y) = (line.x.clone(), line.y.clone());
    for tag in ["x1", "x2", "x3"] {
        line.tag(&x, tag);
    }
    let heard = line.next();
    line.fail(&heard[0]);
    assert!(line.next().is_empty());
    line.tag(&y, "y4");
    let flows = line.next();
    line.ack(&flows[0]);
    for (tag, wait) in [("x1", 2), ("x2", 0)] {
        let one = line.after(wait);
        assert_eq!(tags(&one), [tag]);
        line.ack(&one[0]);
    }
    let third = line.next();
    assert_eq!(tags(&third), ["x3"]);
    line.fail(&third[0]);
    assert_eq!(line.mine()["put_aside"], 1);
    let third = line.after(2);
    line.ack(&third[0]);
    assert!(line.next().is_empty());
    assert_eq!(line.mine()["put_aside"], 0);
    assert_eq!(tags(&[flows, third].concat()), ["y4", "x3"]);
}

#[test]
fn a_retry_that_fails_takes_back_those_behind_it() {
    let mut line = Line::new(ConsumerOrdering::Stream, 1);
    let x = line.x.clone();
    line.tag(&x, "x1");
    line.tag(&x, "x2");
    let heard = line.next();
    line.fail(&heard[0]);
    assert!(line.next().is_empty());
    assert_eq!(line.dead().len(), 2);
    line.desk.call("consumers.retry_dead_letters", json!({"name": "mine"}));
    let again = line.next();
    assert_eq!(tags(&again), ["x1"]);
    line.fail(&again[0]);
    let mine = line.mine();
    assert_eq!((&mine["retrying"], &mine["dead_letters"]), (&json!(0), &json!(2)));
    assert!(line.next().is_empty());
}

#[test]
fn a_consumer_that_drops_goes_on_with_the_aggregate() {
    let mut line =
        Line::of(SubscribeOptions { on_exhausted: OnExhausted::Drop, ..options(ConsumerOrdering::Stream, 2) });
    let x = line.x.clone();
    line.tag(&x, "x1");
    line.tag(&x, "x2");
    let heard = line.next();
    line.fail(&heard[0]);
    assert!(line.next().is_empty());
    let again = line.after(2);
    line.fail(&again[0]);
    let second = line.next();
    assert_eq!(tags(&second), ["x2"]);
    line.ack(&second[0]);
    assert_eq!((line.mine()["put_aside"].clone(), line.dead().len()), (json!(0), 0));
}

#[test]
fn a_consumer_that_stops_tries_again_when_it_is_resumed() {
    let mut line =
        Line::of(SubscribeOptions { on_exhausted: OnExhausted::Stop, ..options(ConsumerOrdering::Stream, 1) });
    let x = line.x.clone();
    line.tag(&x, "x1");
    line.tag(&x, "x2");
    let heard = line.next();
    line.fail(&heard[0]);
    assert_eq!(line.mine()["status"], "failed");
    assert!(line.after(400).is_empty());
    line.desk.call("consumers.resume", json!({"name": "mine"}));
    for tag in ["x1", "x2"] {
        let one = line.next();
        assert_eq!(tags(&one), [tag]);
        line.ack(&one[0]);
    }
    assert_eq!(line.mine()["put_aside"], 0);
}

#[test]
fn without_an_order_nothing_is_held() {
    let mut line = Line::new(ConsumerOrdering::None, 3);
    let x = line.x.clone();
    line.tag(&x, "x1");
    line.tag(&x, "x2");
    let heard = line.next();
    line.fail(&heard[0]);
    let flows = line.next();
    assert_eq!(tags(&flows), ["x2"]);
    line.ack(&flows[0]);
    let again = line.after(2);
    assert_eq!(tags(&again), ["x1"]);
    line.ack(&again[0]);
    assert_eq!(line.mine()["put_aside"], 0);
}

#[test]
fn a_reader_that_dies_leaves_the_order_whole() {
    let mut line = Line::new(ConsumerOrdering::Stream, 5);
    let (x, y) = (line.x.clone(), line.y.clone());
    for (contact, tag) in [(&x, "x1"), (&y, "y2"), (&x, "x3")] {
        line.tag(contact, tag);
    }
    let heard = line.next();
    line.fail(&heard[0]);
    // It has y2, has put x3 aside, and is never heard of again.
    assert_eq!(tags(&line.next()), ["y2"]);
    line.reader = block_on(line.desk.world.crm.subscribe(PROJECT, "mine", options(ConsumerOrdering::Stream, 5)))
        .expect("it subscribes");
    let first = line.after(31);
    assert_eq!(tags(&first), ["x1"]);
    line.ack(&first[0]);
    let second = line.next();
    assert_eq!(tags(&second), ["y2"], "it failed at it, and is put aside, too");
    line.ack(&second[0]);
    let third = line.next();
    assert_eq!(tags(&third), ["x3"]);
    line.fail(&third[0]);
    assert!(line.next().is_empty());
    let third = line.after(2);
    assert_eq!(tags(&third), ["x3"]);
    line.ack(&third[0]);
    assert!(line.next().is_empty());
    let mine = line.mine();
    assert_eq!((&mine["lag"], &mine["put_aside"]), (&json!(0), &json!(0)));
}

/// Whatever fails and how often: every event is handled once, each aggregate in its order.
#[test]
fn random_failures_keep_the_order_of_every_aggregate() {
    for seed in 1..=20u64 {
        let mut line = Line::new(ConsumerOrdering::Stream, 50);
        let contacts: Vec<Value> =
            (0..4).map(|n| line.desk.call("contacts.create", json!({"name": format!("c{n}")}))["id"].clone()).collect();
        let mut state = seed;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut made, mut done) = (0, BTreeMap::<Uuid, Vec<u64>>::new());
        for _ in 0..600 {
            if made < 30 && random(2) == 0 {
                line.tag(&contacts[usize::try_from(random(4)).expect("small")], &format!("t{made}"));
                made += 1;
            }
            for event in line.after(i64::try_from(random(40)).expect("small")) {
                if random(3) == 0 {
                    line.fail(&event);
                    break;
                }
                line.ack(&event);
                done.entry(event.aggregate_id).or_default().push(event.seq);
            }
        }
        assert_eq!(done.values().map(Vec::len).sum::<usize>(), made + 4, "seed {seed}");
        assert!(done.values().all(|seqs| seqs.is_sorted_by(|a, b| a < b)), "seed {seed}: {done:?}");
        assert_eq!(line.mine()["put_aside"], 0);
    }
}

#[test]
fn case_13_a_thousand_events_come_in_ten_batches() {
    let desk = Desk::new();
    desk.record(1_000);
    let events = vec!["custom.*".to_owned()];
    let everything = SubscribeOptions { events, start: StartAt::Beginning, ..SubscribeOptions::default() };
    let mut reader = block_on(desk.world.crm.subscribe(PROJECT, "mine", everything)).expect("it subscribes");
    let mut seqs = Vec::new();
    for _ in 0..10 {
        let batch = block_on(reader.next(1_000)).expect("it reads");
        assert_eq!(batch.len(), 100);
        seqs.extend(batch.iter().map(|event| event.seq));
        block_on(reader.ack(batch[99].seq)).expect("they are done with");
    }
    assert!(block_on(reader.next(1_000)).expect("it reads").is_empty());
    assert!(seqs.is_sorted_by(|a, b| a < b));
}

#[test]
fn a_consumer_says_how_much_its_reader_has_and_for_how_long() {
    let desk = Desk::new();
    let made =
        json!({"name": "mine", "ordering": "stream", "batch_size": 2, "handler_timeout": 90, "on_exhausted": "drop"});
    let made = desk.call("consumers.create", made);
    let shown = (&made["ordering"], &made["batch_size"], &made["handler_timeout"], &made["put_aside"]);
    assert_eq!(shown, (&json!("stream"), &json!(2), &json!(90), &json!(0)));
    desk.record(5);
    let subscribe = || {
        let heard = SubscribeOptions { events: vec!["custom.*".to_owned()], ..SubscribeOptions::default() };
        let subscribed = desk.world.crm.subscribe(PROJECT, "mine", heard);
        block_on(subscribed).expect("it subscribes")
    };
    let (mut first, mut second) = (subscribe(), subscribe());
    let out = block_on(first.next(10)).expect("it reads");
    assert_eq!(out.len(), 2);
    desk.world.clock.advance_seconds(89);
    assert!(block_on(second.next(10)).expect("it reads").is_empty());
    block_on(first.ack(out[0].seq)).expect("a sign of life");
    desk.world.clock.advance_seconds(89);
    assert!(block_on(second.next(10)).expect("it reads").is_empty());
    desk.world.clock.advance_seconds(2);
    let again = block_on(second.next(10)).expect("it reads");
    assert_eq!(again[0].seq, out[1].seq);
    assert_eq!(block_on(first.ack(out[1].seq)).map_err(|error| error.code()), Err(ErrorCode::LeaseLost));
    for (field, value) in [("batch_size", 0), ("batch_size", 1_001), ("handler_timeout", 0), ("handler_timeout", 3_601)]
    {
        let refused = desk.refused("consumers.create", json!({"name": "x", field: value}));
        assert_eq!(refused, (ErrorCode::ValueOutOfRange, field.to_owned()));
    }
}
