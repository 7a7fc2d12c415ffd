//! Reactions that crash, events of other versions, and the form that other systems see.

use super::*;
use crate::catalogue::{AGGREGATES, CustomEvent};
use crate::engine::{CloudEvents, EventSet, Reaction, UnitOfWork, read_event};
use crate::kernel::{ActorRef, Component, Error, Kind};
use crate::storage::{Batch, Index, IndexChange, MemoryStorage, SnapshotWrite};
use crate::testing::{Fault, WatchedStorage, react};
use serde_json::value::RawValue;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// Marks every new contact in the log: twice would show.
const MARK: Reaction = Reaction {
    name: "ventros.test.mark",
    events: &["contact.created"],
    component: Component::Test,
    run: |work, record, _event| Box::pin(mark(work, record)),
};

async fn mark(work: &mut UnitOfWork<'_>, record: &EventRecord) -> Result<()> {
    let data = [("seq".to_owned(), json!(record.seq))].into_iter().collect();
    let event = CustomEvent { event_type: "custom.marked".to_owned(), data, subjects: Vec::new() };
    work.record_custom(event, work.now(), None).map(drop)
}

/// As [`MARK`], but it never comes to its commit.
const STUCK: Reaction = Reaction {
    run: |work, record, _event| {
        Box::pin(async move {
            mark(work, record).await?;
            std::future::pending().await
        })
    },
    ..MARK
};

impl Desk {
    fn marks(&self) -> usize {
        self.log().iter().filter(|event| event.event_type == "custom.marked").count()
    }

    /// Runs a reaction until `died`, and then no further: the process is gone, its lease is not.
    fn crash(&self, reaction: Reaction, died: impl Fn() -> bool) {
        let reactions = [reaction];
        let mut run = pin!(react(&self.world.crm, &reactions));
        let mut context = std::task::Context::from_waker(Waker::noop());
        for _ in 0..100 {
            if matches!(run.as_mut().poll(&mut context), Poll::Ready(_)) {
                panic!("it came to its end");
            }
            if died() {
                return;
            }
        }
        assert!(!died(), "it stands still, as it should");
    }

    fn recover(&self) {
        self.world.clock.advance_seconds(60);
        block_on(react(&self.world.crm, &[MARK])).expect("it runs");
    }
}

#[test]
fn case_25_a_reaction_that_crashes_is_applied_once() {
    let desk = Desk::new();
    desk.call("contacts.create", json!({"name": "Ana"}));
    desk.call("contacts.create", json!({"name": "Bia"}));
    desk.crash(STUCK, || false);
    assert_eq!(desk.marks(), 0, "crashed after its writes and before the commit");
    desk.recover();
    assert_eq!(desk.marks(), 2);

    desk.call("contacts.create", json!({"name": "Caio"}));
    desk.call("contacts.create", json!({"name": "Davi"}));
    desk.crash(MARK, || desk.marks() == 3);
    desk.recover();
    assert_eq!(desk.marks(), 4, "what was committed before the crash is not applied again");
}

crate::events! {
    /// Events of a contact as a later program may know them.
    pub enum LaterEvent: Contact {
        /// Version 2 splits the name; version 3 knows the language.
        "contact.created" @3 Created { first_name: String, last_name: String, language: String },
        /// As ever.
        "contact.deleted" Deleted { },
    }
    upcast(event_type, from, data) {
        if (event_type, from) == ("contact.created", 1) {
            let name = data.remove("name").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
            let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
            data.insert("first_name".to_owned(), first.into());
            data.insert("last_name".to_owned(), last.into());
        }
        if (event_type, from) == ("contact.created", 2) {
            data.insert("language".to_owned(), "en".into());
        }
    }
}

impl From<LaterEvent> for crate::engine::Event {
    fn from(_: LaterEvent) -> Self {
        unreachable!("it is only read")
    }
}

#[test]
fn case_26_older_versions_are_lifted_and_newer_ones_refused() {
    assert_eq!(LaterEvent::TYPES, [("contact.created", 3), ("contact.deleted", 1)]);
    let lifted = |version, data: Value| read_event::<LaterEvent>("contact.created", version, &data.to_string());
    let ana = LaterEvent::Created { first_name: "Ana".into(), last_name: "Lima".into(), language: "en".into() };
    assert_eq!(lifted(1, json!({"type": "contact.created", "name": "Ana Lima"})), Ok(ana.clone()));
    let second = json!({"type": "contact.created", "first_name": "Ana", "last_name": "Lima"});
    assert_eq!(lifted(2, second), Ok(ana.clone()));
    assert_eq!(lifted(3, serde_json::to_value(&ana).expect("it serialises")), Ok(ana));
    let newer = lifted(4, json!({"type": "contact.created"})).expect_err("nobody guesses");
    assert_eq!(newer.code(), ErrorCode::UnknownEventVersion);
    let unknown = read_event::<LaterEvent>("contact.cloned", 1, "{}").map_err(|error| error.code());
    assert_eq!(unknown, Err(ErrorCode::UnknownEventVersion));
}

/// What a newer program does to a contact: one event of a version that this one does not know.
fn write_as_a_newer_program(desk: &Desk, contact: &Value) {
    let created = desk.log().into_iter().find(|event| event.event_type == "contact.created").expect("it was created");
    let id = created.aggregate_id;
    let version = contact["version"].as_u64().expect("a version");
    let known = AGGREGATES.iter().find(|aggregate| aggregate.kind == Kind::Contact).expect("contacts are known");
    let event = EventRecord {
        id: Uuid::from_u128(0xE1),
        schema_version: 3,
        aggregate_version: version + 1,
        data: RawValue::from_string(r#"{"type":"contact.created","shape":"new"}"#.to_owned()).expect("JSON"),
        ..created
    };
    let snapshot = SnapshotWrite {
        project_id: PROJECT,
        kind: Kind::Contact,
        id,
        loaded_revision: contact["revision"].as_u64().expect("a revision"),
        revision: version + 1,
        version: version + 1,
        schema: known.schema() + 1,
        created_at: event.occurred_at,
        updated_at: event.occurred_at,
        state: contact.to_string(),
        index: Index::default(),
        changed: IndexChange::default(),
    };
    let batch = Batch { snapshots: vec![snapshot], events: vec![event], ..Batch::default() };
    block_on(desk.world.crm.core().storage().commit(batch)).expect("it fits");
}

#[test]
fn case_26_what_a_newer_program_wrote_is_read_and_never_written() {
    let desk = Desk::new();
    let contact = desk.call("contacts.create", json!({"name": "Ana"}));
    desk.recover();
    let mut feed = block_on(desk.world.crm.on(Some(PROJECT), vec!["contact.*".to_owned()])).expect("a feed");
    write_as_a_newer_program(&desk, &contact);

    let heard = block_on(feed.drain(10)).expect("it is readable");
    assert_eq!(
        heard.iter().map(|event| (event.schema_version, event.data.get())).collect::<Vec<_>>(),
        [(3, r#"{"type":"contact.created","shape":"new"}"#)]
    );
    let report = block_on(react(&desk.world.crm, &[MARK])).expect("it skips what it does not know");
    assert_eq!((report.failures, desk.marks()), (0, 1));

    let id = &contact["id"];
    assert_eq!(desk.call("contacts.get", json!({"id": id}))["name"], "Ana");
    let before = desk.log().len();
    assert_eq!(desk.refused("contacts.update", json!({"id": id, "company": "Acme"})), ErrorCode::UnknownEventVersion);
    assert_eq!(desk.log().len(), before);
    let folded = block_on(desk.world.crm.differences(PROJECT)).map_err(|error: Error| error.code());
    assert_eq!(folded, Err(ErrorCode::UnknownEventVersion));
}

/// The parts of an envelope that CloudEvents have names for.
fn mapped(event: &EventRecord) -> Value {
    let actor: ActorRef = serde_json::from_str(event.actor.get()).expect("an actor");
    let mut value = serde_json::to_value(event).expect("it serialises");
    let envelope = value.as_object_mut().expect("an object");
    for inside in ["position", "recorded_at", "commit_id", "command", "subjects", "source"] {
        envelope.remove(inside);
    }
    envelope["actor"] = json!([actor.kind(), actor.id(), actor.component()]);
    value
}

#[test]
fn case_24_an_event_goes_out_as_a_cloud_event_and_back() {
    let desk = Desk::new();
    let trace = json!({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=1"});
    let context = Context { metadata: trace.as_object().cloned(), ..desk.project.context() };
    desk.attempt_in(context, "contacts.create", &json!({"name": "Ana"})).expect("created");
    block_on(react(&desk.world.crm, &[MARK])).expect("it runs");
    let system = EventQuery { limit: 100, ..EventQuery::default() };
    let system = block_on(desk.world.crm.core().storage().events(Scope::Project(ProjectId::SYSTEM), &system));
    let log: Vec<EventRecord> = desk.log().into_iter().chain(system.expect("the system log")).collect();

    let mapping = CloudEvents::default();
    for event in &log {
        let out = serde_json::to_string(&mapping.write(event).expect("it maps")).expect("it serialises");
        let back = mapping.read(&serde_json::from_str(&out).expect("a CloudEvent")).expect("it maps back");
        assert_eq!(mapped(&back), mapped(event));
    }
    let wire = |event_type: &str| {
        let event = log.iter().find(|event| event.event_type == event_type).expect("it happened");
        serde_json::to_value(mapping.write(event).expect("it maps")).expect("it serialises")
    };
    let created = wire("contact.created");
    let id = created["partitionkey"].as_str().expect("the id of the contact");
    assert_eq!(created["source"], format!("urn:ventros:project:{PROJECT}"));
    assert_eq!(created["type"], "io.ventros.contact.created.v1");
    assert_eq!(created["subject"], format!("contact/{id}"));
    assert_eq!(created["dataschema"], "urn:ventros:schema:contact.created:1");
    assert_eq!(created["sequence"].as_str().map(str::len), Some(20));
    assert_eq!((&created["actorkind"], &created["actorid"]), (&json!("system"), &json!("host")));
    assert_eq!(created["traceparent"], trace["traceparent"]);
    assert!(created.get("causationid").is_none(), "null is absent");
    assert!(wire("custom.marked").get("causationid").is_some());
    let platform = wire("channel_type.created");
    assert_eq!(platform["source"], "urn:ventros:platform");
    assert!(platform.get("projectid").is_none());

    let elsewhere = CloudEvents::named("https://crm.example.com");
    let event = elsewhere.write(&log[0]).expect("it maps");
    assert!(event.source.starts_with("https://crm.example.com:project:"));
    let foreign = mapping.read(&event).expect_err("it is of another installation");
    assert_eq!((foreign.code(), foreign.field()), (ErrorCode::InputInvalid, Some("source")));
}

/// A page that was read is not lost with the one that was not.
#[test]
fn a_live_feed_loses_nothing_while_the_store_is_away() {
    for number in 1.. {
        let store = WatchedStorage::around(Arc::new(MemoryStorage::default()));
        let world = World::on(store.clone()).expect("it opens");
        let mut feed = block_on(world.crm.on(None, vec!["custom.*".to_owned()])).expect("it listens");
        for project in [0xA, 0xB, 0xC].map(|id| world.found(ProjectId::from_uuid(Uuid::from_u128(id)))) {
            let input = json!({"type": "custom.n"}).to_string();
            for _ in 0..3 {
                block_on(world.crm.call("events.record", project.context(), input.as_bytes())).expect("recorded");
            }
        }
        store.fail(number, Fault::Before);
        let heard: Vec<_> = (0..9).filter_map(|_| block_on(feed.drain(4)).ok()).flatten().collect();
        assert_eq!(heard.len(), 9, "call {number}");
        if store.heal() {
            assert!(number > 5, "there were more calls");
            return;
        }
    }
}
