//! Old events go, and nothing else: states, numbers and what folds from there stay what they were.

use super::*;
use crate::kernel::{Kind, Subject};
use crate::storage::{ConsumerProgress, DeadLetter, MemoryStorage, Storage};
use crate::testing::{Fault, WatchedStorage, World};
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY: i64 = 86_400;

/// A project that keeps events for 30 days, with some life in it.
struct Shop {
    desk: Desk,
    channel: Value,
    contact: Value,
    number: u32,
}

impl Shop {
    fn new() -> Shop {
        Shop::on(Arc::new(MemoryStorage::new()))
    }

    fn on(storage: Arc<dyn Storage>) -> Shop {
        let world = World::on(storage).expect("it opens");
        let (project, other) = (world.found(PROJECT), world.found(OTHER));
        let desk = Desk { world, project, other };
        desk.call("projects.update", json!({"retention": {"events_days": 30}}));
        let channel = json!({"name": "Line", "type": "whatsapp_business"});
        let channel = desk.call("channels.create", channel)["id"].clone();
        desk.call("channels.activate", json!({"id": channel}));
        desk.call("channels.report_connection", json!({"id": channel, "connection": "connected"}));
        let mut shop = Shop { desk, channel, contact: Value::Null, number: 0 };
        shop.write();
        let contacts = shop.desk.call("contacts.list", json!({}));
        shop.contact = contacts["items"][0]["id"].clone();
        // The conversation ends.
        shop.run(DAY);
        shop
    }

    /// Ana writes once more.
    fn write(&mut self) {
        self.number += 1;
        let number = self.number;
        let item = json!({
            "type": "message", "channel_message_id": format!("A{number}"), "from_me": false,
            "timestamp": self.desk.world.crm.core().now(),
            "chat": {"class": "individual", "external_id": "5511999998888@c.us", "kind_detail": "direct"},
            "sender": {"display_name": "Ana Lima", "wid": "5511999998888"},
            "content": {"type": "text", "body": format!("Oi {number}")},
        });
        self.desk.call("inbound.ingest", json!({"channel_id": self.channel, "item": item}));
        self.run(0);
    }

    fn run(&self, seconds: i64) {
        self.desk.world.clock.advance_seconds(seconds);
        let report = block_on(self.desk.world.crm.run_pending()).expect("it runs");
        assert_eq!(report.failures, 0);
    }

    fn prune(&self, input: Value) -> Value {
        let started = self.desk.call("events.prune", input);
        self.run(0);
        started
    }

    /// All stored states.
    fn states(&self) -> BTreeMap<Subject, String> {
        let storage = self.desk.world.crm.core().storage();
        let mut states = BTreeMap::new();
        for aggregate in crate::catalogue::AGGREGATES {
            let found = storage.scan(Scope::Project(PROJECT), aggregate.kind, None, 1_000);
            let found = block_on(found).expect("readable");
            states.extend(found.into_iter().map(|one| (Subject::new(aggregate.kind, one.id), one.state)));
        }
        states
    }

    /// Walks the whole log with small steps and gives how many aggregates were looked at.
    fn verify(&self) -> u64 {
        let (mut checked, mut after) = (0, Value::Null);
        loop {
            let report = self.desk.call("events.verify", json!({"limit": 3, "after": after}));
            assert_eq!(report["problems"], json!([]), "after {after}");
            checked += report["checked"].as_u64().expect("a number");
            after = report["next"].clone();
            if after.is_null() {
                return checked;
            }
        }
    }

    fn types(&self) -> Vec<String> {
        self.desk.log().into_iter().map(|event| event.event_type).collect()
    }

    fn pruned(&self) -> Vec<Value> {
        let log = self.desk.log().into_iter().filter(|event| event.event_type == "event_log.pruned");
        log.map(|event| serde_json::from_str(event.data.get()).expect("JSON")).collect()
    }
}

#[test]
fn old_events_go_and_states_stay() {
    let mut shop = Shop::new();
    shop.write();
    shop.run(DAY);
    let before = (shop.states(), shop.verify(), shop.desk.log());
    assert!(before.0.keys().any(|subject| subject.kind == Kind::ContactEvent), "what was derived is there");
    shop.desk.world.clock.advance_seconds(31 * DAY);
    let head = shop.desk.log().last().map(|event| event.seq);
    let started = shop.prune(json!({"archive_ref": "s3://acme/2025-01"}));
    assert_eq!(started["rules"][0]["class"], "business");

    let types = shop.types();
    let audited = ["project.", "event_log."];
    assert!(types.iter().all(|name| audited.iter().any(|kind| name.starts_with(kind))), "{types:?}");
    let told = shop.pruned();
    let gone = before.2.iter().filter(|event| !event.event_type.starts_with("project.")).count();
    assert_eq!((told.len(), &told[0]["removed"]), (1, &json!(gone)));
    assert_eq!((&told[0]["classes"], &told[0]["archive_ref"]), (&json!(["business"]), &json!("s3://acme/2025-01")));
    assert!(shop.states() == before.0, "no state is another one");
    shop.desk.world.assert_log_matches();
    assert!(shop.verify() >= before.1, "all are looked at");

    // Case 9: numbers go on.
    shop.write();
    assert!(shop.desk.log().iter().map(|event| event.seq).max() > head);
    shop.desk.call("contacts.update", json!({"id": shop.contact, "name": "Ana"}));
    shop.desk.world.assert_log_matches();
    assert!(shop.verify() > before.1);
    let complete_from = shop.desk.call("events.stats", json!({}))["complete_from"].as_u64();
    assert!(complete_from > Some(1) && complete_from <= head.map(|head| head + 1), "{complete_from:?}");
}

#[test]
fn states_are_kept_once_and_again_when_more_goes() {
    let mut shop = Shop::new();
    for _ in 0..3 {
        for _ in 0..5 {
            shop.run(5 * DAY);
            shop.write();
        }
        shop.prune(json!({}));
        shop.desk.world.assert_log_matches();
        shop.verify();
    }
    let told = shop.pruned();
    assert!(told.len() >= 2, "{told:?}");
    let storage = shop.desk.world.crm.core().storage();
    let kept = block_on(storage.scan_baselines(PROJECT, None, None, 1_000)).expect("readable");
    let subjects: std::collections::BTreeSet<Subject> = kept.iter().map(|one| one.subject()).collect();
    assert_eq!(subjects.len(), kept.len());
}

#[test]
fn a_long_life_is_folded_in_pieces() {
    let shop = Shop::new();
    // More events of one contact than one commit folds would take minutes here: the pieces are what a test may make small.
    for number in 0..40 {
        shop.desk.call("contacts.update", json!({"id": shop.contact, "name": format!("Ana {number}")}));
    }
    shop.run(0);
    shop.desk.world.clock.advance_seconds(31 * DAY);
    let subject = Subject::new(Kind::Contact, shop.contact.as_str().expect("an id").parse::<Uuid>().expect("an id"));
    let storage = shop.desk.world.crm.core().storage();
    let until = block_on(storage.head(PROJECT)).expect("readable");
    let mut pieces = 0;
    loop {
        let mut left = 7;
        let scope = Scope::Project(PROJECT);
        let step = super::super::prune::state_up_to(&**storage, scope, subject, until, &mut left);
        let (baseline, is_whole) = block_on(step).expect("it folds");
        let baseline = crate::storage::Erasure::Baseline(baseline.expect("there is a state"));
        let batch = crate::storage::Batch { erasures: vec![baseline], ..crate::storage::Batch::default() };
        block_on(storage.commit(batch)).expect("kept");
        pieces += 1;
        shop.desk.world.assert_log_matches();
        if is_whole {
            break;
        }
    }
    assert!(pieces >= 6, "{pieces}");
    assert_eq!(block_on(storage.baselines(PROJECT, &[subject])).expect("readable")[0].seq, until);
}

/// Whoever is named by more events than one commit folds, and has no state in this log, must not hold it back for ever.
#[test]
fn what_has_no_state_in_the_log_is_no_work() {
    let shop = Shop::new();
    let nobody = Subject::new(Kind::User, Uuid::from_u128(7));
    let storage = shop.desk.world.crm.core().storage();
    let named = |number: u64| {
        let mut event = shop.desk.log()[0].clone();
        (event.id, event.aggregate_id) = (Uuid::from_u128(number.into()), Uuid::from_u128(number.into()));
        (event.aggregate_kind, event.event_type, event.aggregate_version) = (Kind::Custom, "custom.seen".to_owned(), 1);
        event.data = serde_json::value::RawValue::from_string(r#"{"type":"custom.seen"}"#.to_owned()).expect("JSON");
        event.subjects = vec![Subject::new(Kind::Custom, event.aggregate_id), nobody];
        event
    };
    let batch = crate::storage::Batch { events: (100..110).map(named).collect(), ..crate::storage::Batch::default() };
    block_on(storage.commit(batch)).expect("stored");
    let until = block_on(storage.head(PROJECT)).expect("readable");
    let mut left = 3;
    let step = super::super::prune::state_up_to(&**storage, Scope::Project(PROJECT), nobody, until, &mut left);
    assert_eq!(block_on(step).expect("it folds"), (None, true));
    assert_eq!(left, 3, "and leaves room for what has one");
    shop.run(31 * DAY);
    shop.prune(json!({}));
    assert!(!shop.types().contains(&"custom.seen".to_owned()));
    shop.desk.world.assert_log_matches();
}

#[test]
fn case_19_what_a_consumer_has_yet_to_hear_stays() {
    let shop = Shop::new();
    let start = json!({"type": "beginning"});
    shop.desk.call("consumers.create", json!({"name": "archive", "start": start}));
    shop.run(31 * DAY);
    let before = shop.types();
    assert_eq!(shop.desk.refused("events.prune", json!({})).0, ErrorCode::ConsumerBehind);
    shop.run(DAY);
    let removed = |types: &[String]| before.iter().filter(|name| !types.contains(name)).count();
    assert_eq!(removed(&shop.types()), 0, "the daily look leaves it too");
    shop.desk.call("consumers.reset", json!({"name": "archive", "to": {"type": "now"}}));
    shop.prune(json!({}));
    assert!(removed(&shop.types()) > 0);
}

#[test]
fn what_may_be_tried_again_stays() {
    let shop = Shop::new();
    shop.desk.call("consumers.create", json!({"name": "mailer", "start": {"type": "beginning"}}));
    let storage = shop.desk.world.crm.core().storage();
    let (now, log) = (shop.desk.world.crm.core().now(), shop.desk.log());
    let lease = storage.claim_consumer(PROJECT, "mailer", Uuid::from_u128(1), now, now.plus_seconds(30));
    let lease = block_on(lease).expect("readable").expect("nobody has it");
    let event = log.iter().find(|event| event.event_type == "message.received").expect("Ana wrote");
    let letter = DeadLetter {
        event_id: event.id,
        seq: event.seq,
        attempts: 10,
        error: "out of paper".to_owned(),
        failed_at: now,
        retrying: false,
        stream: None,
        waits_until: None,
        is_held: false,
    };
    let progress = ConsumerProgress {
        project_id: PROJECT,
        name: "mailer".to_owned(),
        lease_token: lease.lease_token,
        checkpoint: log.last().map_or(0, |last| last.seq),
        attempts: 0,
        next_attempt_at: None,
        last_error: None,
        release: true,
        lease_until: None,
        letters: vec![letter],
        resolved: None,
        out_seq: None,
    };
    block_on(storage.update_consumer(&progress)).expect("it is put aside");
    shop.desk.world.clock.advance_seconds(31 * DAY);
    assert_eq!(shop.desk.refused("events.prune", json!({})).0, ErrorCode::ConsumerBehind);
    shop.run(0);
    assert!(shop.types().contains(&"message.received".to_owned()), "the daily look leaves it too");
    assert!(!shop.types().contains(&"channel.created".to_owned()), "and takes what is before it");
    shop.desk.call("consumers.discard_dead_letters", json!({"name": "mailer", "reason": "too late"}));
    shop.prune(json!({}));
    assert!(!shop.types().contains(&"message.received".to_owned()));
}

#[test]
fn what_was_removed_can_be_asked_for_no_more() {
    let mut shop = Shop::new();
    shop.run(31 * DAY);
    shop.prune(json!({}));
    shop.write();
    let first = |input: Value| shop.desk.refused("consumers.create", json!({"name": "late", "start": input}));
    assert_eq!(first(json!({"type": "seq", "seq": 1})), (ErrorCode::SeqPruned, "start".to_owned()));
    assert_eq!(first(json!({"type": "time", "at": "2025-01-07T00:00:00Z"})).0, ErrorCode::SeqPruned);
    shop.desk.call("consumers.create", json!({"name": "late", "start": {"type": "beginning"}}));
    let reset = shop.desk.refused("consumers.reset", json!({"name": "late", "to": {"type": "seq", "seq": 2}}));
    assert_eq!(reset, (ErrorCode::SeqPruned, "to".to_owned()));
    let past = |place: &str, value: Value| json!({"kind": "contact", "id": shop.contact, place: value});
    assert_eq!(shop.desk.refused("events.state_at", past("version", json!(1))).0, ErrorCode::SeqPruned);
    let early = past("at", json!("2025-01-06T08:00:00Z"));
    assert_eq!(shop.desk.refused("events.state_at", early).0, ErrorCode::SeqPruned);
    let now = shop.desk.call("events.state_at", json!({"kind": "contact", "id": shop.contact}));
    assert_eq!(now["state"], shop.desk.call("contacts.get", json!({"id": shop.contact})));
}

#[test]
fn the_retention_is_the_law() {
    let shop = Shop::new();
    shop.run(40 * DAY);
    let later = |class: &str| json!({"classes": [class], "before": "2025-02-01T00:00:00Z"});
    assert_eq!(shop.desk.refused("events.prune", later("business")), (ErrorCode::RetentionLocked, "before".to_owned()));
    shop.desk.call("projects.update", json!({"retention": {}}));
    let business = shop.desk.refused("events.prune", json!({"classes": ["business"]}));
    assert_eq!(business, (ErrorCode::RetentionLocked, "classes".to_owned()));
    let audit = shop.desk.refused("events.prune", json!({"classes": ["audit"]}));
    assert_eq!(audit, (ErrorCode::RetentionLocked, "classes".to_owned()));
    let none = shop.desk.call("events.prune", json!({}));
    assert_eq!((&none["job_id"], &none["rules"]), (&Value::Null, &json!([])));
    assert_eq!(shop.desk.refused("events.prune", json!({"classes": ["gossip"]})).0, ErrorCode::EnumUnknown);

    // What has to be accounted for stays for a year, whatever the project says.
    shop.desk.call("projects.update", json!({"retention": {"events_days": 30}}));
    shop.prune(json!({}));
    assert!(shop.types().contains(&"project.created".to_owned()));
    shop.run(366 * DAY);
    shop.prune(json!({}));
    assert!(!shop.types().contains(&"project.created".to_owned()));
    shop.desk.world.assert_log_matches();
    shop.verify();
}

#[test]
fn noise_goes_by_itself_after_ninety_days() {
    let shop = Shop::new();
    shop.desk.call("projects.update", json!({"retention": {}}));
    let recurrence = json!({"type": "interval", "every_minutes": 24 * 60});
    shop.desk.call("schedules.create", json!({"kind": "host.beat", "recurrence": recurrence, "overlap": "allow"}));
    for _ in 0..100 {
        shop.run(DAY);
    }
    let count = |types: Vec<String>| types.iter().filter(|name| *name == "schedule.triggered").count();
    let left = count(shop.types());
    assert!((88..=92).contains(&left), "{left}");
    let told = shop.pruned();
    assert!(told.iter().all(|one| one["classes"] == json!(["noise"])) && !told.is_empty(), "{told:?}");
    assert!(shop.types().iter().any(|name| name == "message.received"), "what is no noise stays");
    shop.desk.world.assert_log_matches();
    shop.verify();
    // Noise alone hides no place of the log.
    shop.desk.call("consumers.create", json!({"name": "late", "start": {"type": "seq", "seq": 1}}));
}

#[test]
fn whoever_is_erased_is_erased_from_what_is_kept() {
    let mut shop = Shop::new();
    shop.write();
    shop.run(31 * DAY);
    shop.prune(json!({}));
    let mail = json!({"kind": "host.mail", "payload": {"to": "tel:5511999998888"}});
    let mail = shop.desk.call("jobs.enqueue", mail)["id"].clone();
    shop.desk.call("jobs.cancel", json!({"id": mail}));
    let named = |world: &World| {
        let storage = world.crm.core().storage();
        let kept = block_on(storage.scan_baselines(PROJECT, None, None, 1_000)).expect("readable");
        kept.iter().filter(|one| one.snapshot.state.contains("Ana") || one.snapshot.state.contains("Oi ")).count()
    };
    assert!(named(&shop.desk.world) >= 3);
    let mut found = 0;
    let mut after = Value::Null;
    loop {
        let part = shop.desk.call("privacy.export", json!({"kind": "contact", "id": shop.contact, "after": after}));
        found += part["related"].as_array().expect("a list").len();
        after = part["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert!(found >= 4, "messages, the session, the timeline: {found}");

    shop.desk.call("privacy.redact", json!({"kind": "contact", "id": shop.contact, "reason": "asked for"}));
    shop.run(0);
    assert_eq!(named(&shop.desk.world), 0);
    assert_eq!(
        shop.desk.refused("jobs.get", json!({"id": mail})).0,
        ErrorCode::JobNotFound,
        "her number is known still"
    );
    for (subject, state) in shop.states() {
        assert!(
            !state.contains("Ana Lima") && !state.contains("Oi ") && !state.contains("5511999998888"),
            "{subject:?} {state}"
        );
    }
    shop.desk.world.assert_log_matches();
    shop.verify();
    let past = shop.desk.call("events.state_at", json!({"kind": "contact", "id": shop.contact}));
    assert_eq!(past["redacted"], true);
}

#[test]
fn a_removal_is_one_at_a_time() {
    let shop = Shop::new();
    shop.desk.world.clock.advance_seconds(31 * DAY);
    let first = shop.desk.call("events.prune", json!({}));
    let second = shop.desk.call("events.prune", json!({}));
    assert_eq!(first, second, "the one that is under way is told");
    assert!(first["job_id"].is_string());
    shop.run(0);
    assert_eq!(shop.pruned().len(), 1);
    assert!(shop.desk.call("events.prune", json!({}))["job_id"].is_null(), "nothing is left");
}

/// Wherever a process dies, the next one goes on: nothing is removed before its state is kept, and everything goes in the end.
#[test]
fn a_removal_that_dies_is_taken_up() {
    let memory = Arc::new(MemoryStorage::new());
    let mut shop = Shop::on(memory.clone());
    for _ in 0..3 {
        shop.write();
    }
    shop.run(DAY);
    let states = shop.states();
    shop.desk.world.clock.advance_seconds(31 * DAY);
    shop.desk.call("events.prune", json!({}));
    let now = shop.desk.world.crm.core().now().to_string();
    let mut expected = None;
    for death in (0..).step_by(3) {
        let copy: Arc<dyn Storage> = Arc::new(memory.copy().expect("it copies"));
        let watched = WatchedStorage::around(copy.clone());
        if death > 0 {
            watched.die(death, if death % 2 == 0 { Fault::Before } else { Fault::After });
        }
        // Opening may be what it dies of.
        if let Ok(world) = World::on(watched.clone()) {
            world.clock.set(&now);
            block_on(world.crm.run_pending()).ok();
        }
        let has_died = watched.is_dead();
        let world = World::resume(copy, [7; 32], 1_000 + death as u64).expect("it opens");
        world.clock.set(&now);
        world.clock.advance_seconds(3_600);
        let report = block_on(world.crm.run_pending()).expect("it runs");
        assert_eq!(report.failures, 0, "after {death}");
        world.assert_log_matches();
        let (project, other) = (world.crm.project(PROJECT), world.crm.project(OTHER));
        let next = Shop { desk: Desk { world, project, other }, channel: Value::Null, contact: Value::Null, number: 0 };
        assert!(next.states() == states, "after {death}");
        let left = (next.types(), next.pruned().len());
        assert_eq!(left.1, 1, "after {death}");
        assert_eq!(expected.get_or_insert_with(|| left.0.clone()), &left.0, "after {death}");
        if death > 0 && !has_died {
            assert!(death > 20, "it dies on the way: {death}");
            return;
        }
    }
}
