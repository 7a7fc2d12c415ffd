//! Travel in time, flows, and states that are not what the log says.

use super::*;
use crate::catalogue::CustomEvent;
use crate::engine::{Cause, Context, Reaction, UnitOfWork};
use crate::infrastructure::job::HandleOptions;
use crate::kernel::{Component, Kind};
use crate::storage::{Batch, Index, IndexChange, SnapshotWrite};
use crate::testing::react;

#[test]
fn case_17_a_state_of_the_past_is_what_it_was() {
    let desk = Desk::new();
    let ana = desk.call("contacts.create", json!({"name": "Ana"}));
    let id = &ana["id"];
    let mut states = vec![ana.clone()];
    for tag in ["a", "b", "c"] {
        desk.world.clock.advance_seconds(60);
        states.push(desk.call("contacts.add_tag", json!({"id": id, "tag": tag})));
    }
    let past =
        |place: &str, value: Value| desk.call("events.state_at", json!({"kind": "contact", "id": id, place: value}));
    for state in &states {
        let found = past("version", state["version"].clone());
        assert_eq!((&found["state"], &found["version"]), (state, &state["version"]));
        assert_eq!(found["redacted"], false);
    }
    assert_eq!(&past("at", json!("2025-01-06T09:01:59Z"))["state"], &states[1]);
    assert_eq!(&past("at", json!("2025-01-06T09:02:00Z"))["state"], &states[2]);
    assert_eq!(&past("version", Value::Null)["state"], &states[3]);

    let refused = |input: Value| desk.refused("events.state_at", input);
    let version = refused(json!({"kind": "contact", "id": id, "version": 9}));
    assert_eq!(version, (ErrorCode::ValueOutOfRange, "version".to_owned()));
    let before = refused(json!({"kind": "contact", "id": id, "at": "2025-01-06T08:59:59Z"}));
    assert_eq!(before.0, ErrorCode::EventNotFound);
    assert_eq!(refused(json!({"kind": "contact", "id": id, "version": 0})).0, ErrorCode::EventNotFound);
    assert_eq!(refused(json!({"kind": "chat", "id": id})).0, ErrorCode::EventNotFound);
    let both = refused(json!({"kind": "contact", "id": id, "version": 1, "at": "2025-01-06T09:00:00Z"}));
    assert_eq!(both, (ErrorCode::InputInvalid, "at".to_owned()));
    let theirs = desk.attempt_in(&desk.other, "events.state_at", &json!({"kind": "contact", "id": id}));
    assert_eq!(theirs.map_err(|error| error.code()), Err(ErrorCode::EventNotFound));
}

/// Answers an event with another one.
const fn echo(name: &'static str, events: &'static [&'static str]) -> Reaction {
    let component = Component::Test;
    Reaction { name, events, component, run: |work, record, _| Box::pin(respond(work, record.event_type.clone())) }
}

async fn respond(work: &mut UnitOfWork<'_>, to: String) -> Result<()> {
    let event_type = match to.as_str() {
        "contact.created" => "custom.greeted",
        _ => "custom.thanked",
    };
    let event = CustomEvent { event_type: event_type.to_owned(), data: serde_json::Map::new(), subjects: Vec::new() };
    work.record_custom(event, work.now(), None).map(drop)
}

#[test]
fn case_23_a_flow_is_one_tree() {
    let desk = Desk::new();
    desk.call("contacts.create", json!({"name": "Ana"}));
    let reactions = [echo("ventros.test.greet", &["contact.created"]), echo("ventros.test.thank", &["custom.greeted"])];
    for _ in 0..2 {
        block_on(react(&desk.world.crm, &reactions)).expect("they run");
    }
    let log = desk.log();
    let created = log.iter().find(|event| event.event_type == "contact.created").expect("it happened");
    let flow = log.iter().filter(|event| event.correlation_id == created.correlation_id).count();
    let trace = desk.call("events.trace", json!({"correlation_id": created.correlation_id}));
    let steps = trace["steps"].as_array().expect("a list");
    let shape: Vec<(u64, &str)> = steps
        .iter()
        .map(|step| (step["depth"].as_u64().expect("a depth"), step["events"][0]["type"].as_str().expect("a type")))
        .collect();
    assert_eq!(shape, [(0, "contact.created"), (1, "custom.greeted"), (2, "custom.thanked")]);
    let shown: usize = steps.iter().filter_map(|step| step["events"].as_array()).map(Vec::len).sum();
    assert_eq!((shown, &trace["has_more"]), (flow, &json!(false)));
    assert_eq!(steps[2]["causation_id"], steps[1]["events"][0]["id"]);
    assert_eq!((&steps[1]["command"], &steps[1]["source"]), (&json!("ventros.test.greet"), &json!("workflow")));
}

#[test]
fn what_a_host_does_on_an_event_or_a_job_is_part_of_its_flow() {
    let desk = Desk::new();
    desk.call("contacts.create", json!({"name": "Ana"}));
    let created = desk.log().into_iter().find(|event| event.event_type == "contact.created").expect("it happened");
    let reacting = desk.project.caused_by(&created);
    let call = |operation: &str, context: Context, input: &[u8]| {
        block_on(desk.world.crm.call(operation, context, input)).expect("it is valid");
    };
    call("contacts.create", reacting.context(), br#"{"name": "Bia"}"#);
    call("jobs.enqueue", reacting.context(), br#"{"kind": "host.greet"}"#);
    let handler = desk.world.crm.handle(None, "host.greet", HandleOptions::default()).expect("it fits");
    let job = block_on(handler.next()).expect("the store answers").remove(0);
    assert_eq!(Cause::from(&job), Cause::from(&created), "a job belongs to the flow that made it");
    call("contacts.create", desk.project.context().caused_by(&job), br#"{"name": "Caio"}"#);

    let trace = desk.call("events.trace", json!({"correlation_id": created.correlation_id}));
    let steps = trace["steps"].as_array().expect("a list");
    assert_eq!(steps.len(), 3);
    for step in &steps[1..] {
        assert_eq!((&step["causation_id"], &step["depth"]), (&json!(created.id), &json!(1)));
    }
}

/// Writes over a stored state behind the back of the log.
fn spoil(desk: &Desk, contact: &Value, state: String, name: &str) {
    let at = desk.log()[0].recorded_at;
    let mut index = Index::default();
    index.column("name", name);
    let snapshot = SnapshotWrite {
        project_id: PROJECT,
        kind: Kind::Contact,
        id: Uuid::parse_str(contact["id"].as_str().expect("an id")).expect("an id"),
        loaded_revision: contact["revision"].as_u64().expect("a revision"),
        revision: contact["revision"].as_u64().expect("a revision"),
        version: contact["version"].as_u64().expect("a version"),
        schema: 1,
        created_at: at,
        updated_at: at,
        state,
        changed: IndexChange::between(None, &index),
        index,
    };
    let batch = Batch { snapshots: vec![snapshot], ..Batch::default() };
    block_on(desk.world.crm.core().storage().commit(batch)).expect("nobody looks");
}

#[test]
fn states_that_differ_from_the_log_are_found_and_mended() {
    let desk = Desk::new();
    let ana = desk.call("contacts.create", json!({"name": "Ana"}));
    let bia = desk.call("contacts.create", json!({"name": "Bia"}));
    let caio = desk.call("contacts.create", json!({"name": "Caio"}));
    let sound = desk.call("events.verify", json!({}));
    assert_eq!((&sound["problems"], &sound["next"]), (&json!([]), &Value::Null));
    spoil(&desk, &ana, json!({"name": "Eve"}).to_string(), "Eve");
    spoil(&desk, &bia, bia.to_string().replace("Bia", "Mallory"), "Mallory");

    let problem =
        |contact: &Value, what: &str| json!({"aggregate": {"kind": "contact", "id": contact["id"]}, "problem": what});
    let expected = json!([problem(&ana, "unreadable"), problem(&bia, "log_state_mismatch")]);
    let mut found = Vec::new();
    let (mut after, mut checked) = (Value::Null, 0);
    loop {
        let report = desk.call("events.verify", json!({"after": after, "limit": 1}));
        found.extend(report["problems"].as_array().expect("a list").clone());
        checked += report["checked"].as_u64().expect("a number");
        after = report["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!((Value::Array(found), json!(checked)), (expected.clone(), sound["checked"].clone()));

    let before = desk.log().len();
    let report = desk.call("events.verify", json!({"repair": true}));
    assert_eq!((&report["problems"], &report["repaired"]), (&expected, &json!(2)));
    assert_eq!(desk.log().len(), before, "a repair is no event");
    assert_eq!(desk.call("events.verify", json!({}))["problems"], json!([]));
    desk.world.assert_log_matches();
    assert_eq!(desk.call("contacts.get", json!({"id": bia["id"]})), bia);
    let named = |name: &str| {
        let filter = json!({"field": "name", "op": "eq", "value": name});
        desk.call("contacts.list", json!({"filter": filter}))["items"].as_array().map(Vec::len)
    };
    assert_eq!((named("Mallory"), named("Bia"), named("Caio")), (Some(0), Some(1), Some(1)));

    let one = json!({"aggregate": {"kind": "contact", "id": caio["id"]}});
    assert_eq!(desk.call("events.verify", one)["checked"], 1);
    assert_eq!(desk.refused("events.verify", json!({"limit": 1_001})).0, ErrorCode::LimitOutOfRange);
}

#[test]
fn the_types_of_events_are_there_as_schemas() {
    let desk = Desk::new();
    let all = desk.call("events.catalogue", json!({}));
    assert_eq!(all["events"].as_array().map(Vec::len), Some(crate::catalogue::event_types().count()));
    assert_eq!(all["asyncapi"], Value::Null);
    let some = desk.call("events.catalogue", json!({"types": ["contact.tag_*"], "asyncapi": true}));
    let types: Vec<&Value> = some["events"].as_array().expect("a list").iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["contact.tag_added", "contact.tag_removed"]);
    assert!(some["definitions"].get("Tag").is_some(), "what they refer to is there");
    let document = &some["asyncapi"];
    assert_eq!(
        (&document["asyncapi"], &document["channels"]["contact"]["address"]),
        (&json!("3.0.0"), &json!("projects/{project_id}/contact"))
    );
    // Every reference leads somewhere.
    let mut open = vec![document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        if let Some(path) = value.get("$ref").and_then(Value::as_str) {
            references += 1;
            let pointer = path.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{path}");
        }
        open.extend(value.as_object().into_iter().flat_map(|object| object.values()));
        open.extend(value.as_array().into_iter().flatten());
    }
    assert!(references > 5);
}
