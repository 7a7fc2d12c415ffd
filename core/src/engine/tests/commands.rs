//! Versions, races, idempotency keys, pages and the borders of a project.

use super::*;
use crate::contacts::contact::Contact;
use crate::contacts::contact::commands::AddTag;
use crate::engine::{Command, Decision, UnitOfWork};
use crate::kernel::{ContactId, Error, Tag};
use futures_util::future::BoxFuture;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tags a contact, but loads it before somebody else changes it.
struct Overtaken<'d> {
    desk: &'d Desk,
    contact: ContactId,
    happened: AtomicBool,
}

impl Decision<Contact> for Overtaken<'_> {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<Contact>> {
        Box::pin(async move {
            let tag = |text: &str| Tag::parse(text).expect("a tag");
            work.load::<Contact>(self.contact).await?;
            if !self.happened.swap(true, Ordering::SeqCst) {
                self.desk.project.execute(AddTag { id: self.contact, tag: tag("other") }).await?;
            }
            AddTag { id: self.contact, tag: tag("mine") }.run(work).await
        })
    }
}

fn overtaken(expected_version: Option<u64>) -> (Desk, Result<Contact>) {
    let desk = Desk::new();
    let contact = desk.contact_at_version(4);
    let contact: ContactId = serde_json::from_value(contact["id"].clone()).expect("an id");
    let context = Context { expected_version, ..desk.project.context() };
    let decision = Overtaken { desk: &desk, contact, happened: AtomicBool::new(false) };
    let outcome = block_on(desk.world.crm.transaction(context, None, &decision));
    let outcome = outcome.map(|outcome| match outcome {
        crate::engine::crm::Outcome::Fresh(contact) => contact,
        crate::engine::crm::Outcome::Stored(_) => panic!("there was no idempotency key"),
    });
    (desk, outcome)
}

#[test]
fn case_17_a_lost_race_is_told_or_decided_again() {
    let (desk, refused) = overtaken(Some(4));
    let error = refused.expect_err("the form is stale");
    assert_eq!(error.code(), ErrorCode::VersionConflict);
    assert_eq!((&error.details()["expected_version"], &error.details()["actual_version"]), (&json!(4), &json!(5)));
    desk.world.assert_log_matches();

    let (desk, contact) = overtaken(None);
    let contact = contact.expect("decided again on the new state");
    assert_eq!(contact.version, 6);
    assert!(["other", "mine"].iter().all(|tag| contact.tags.iter().any(|held| held.as_str() == *tag)));
    desk.world.assert_log_matches();
}

/// A WhatsApp line of the project and what a person writes to it.
fn hear(desk: &Desk, channel: &Value, number: usize) -> Value {
    let them = json!({"wid": "5511999990001", "display_name": "Ana"});
    let item = json!({
        "type": "message", "channel_message_id": format!("M{number}"), "from_me": false, "sender": them, "peer": them,
        "chat": {"external_id": "5511999990001@c.us", "class": "individual", "kind_detail": "direct", "subject": null},
        "timestamp": format!("2025-01-06T08:00:0{number}Z"), "content": {"type": "text", "body": "Hi"},
    });
    desk.call("inbound.ingest", json!({"channel_id": channel, "item": item}))
}

#[test]
fn case_18_two_events_of_one_command_are_neighbours_and_observed_ones_raise_the_revision_alone() {
    let desk = Desk::new();
    let channel = desk.call("channels.create", json!({"name": "W1", "type": "waha"}))["id"].clone();
    let id = hear(&desk, &channel, 1)[0]["contact_id"].clone();
    let mut contact = desk.call("contacts.get", json!({"id": id}));
    while contact["version"] != 7 {
        contact = desk.call("contacts.add_tag", json!({"id": id, "tag": format!("t{}", contact["version"])}));
    }

    let contact = desk.call("contacts.update", json!({"id": id, "company": "Acme", "email": "ana@acme.com"}));
    assert_eq!(contact["version"], 9);
    let log = desk.log();
    let [.., one, two] = log.as_slice() else { panic!("two events") };
    assert_eq!((one.aggregate_version, two.aggregate_version), (8, 9));
    assert_eq!((one.seq + 1, one.commit_id), (two.seq, two.commit_id));

    hear(&desk, &channel, 2);
    let heard = desk.call("contacts.get", json!({"id": id}));
    assert_eq!(heard["version"], 9);
    assert!(heard["revision"].as_u64() > contact["revision"].as_u64());
    let context = Context { expected_version: Some(9), ..desk.project.context() };
    let tagged = desk.attempt_in(context, "contacts.add_tag", &json!({"id": id, "tag": "late"}));
    assert_eq!(tagged.expect("the form is still valid")["version"], 10);
}

#[test]
fn case_19_an_idempotency_key_stands_for_one_input() {
    let desk = Desk::new();
    let keyed = || Context { idempotency_key: Some("order-1".to_owned()), ..desk.project.context() };
    let first = desk.attempt_in(keyed(), "contacts.create", &json!({"name": "Ana"})).expect("new");
    let events = desk.log().len();
    let again = desk.attempt_in(keyed(), "contacts.create", &json!({"name": "Ana"})).expect("stored");
    assert_eq!(first, again);
    assert_eq!(desk.log().len(), events);
    let reused = desk.attempt_in(keyed(), "contacts.create", &json!({"name": "Bia"}));
    assert_eq!(reused.map_err(|error| error.code()), Err(ErrorCode::IdempotencyKeyReused));
}

#[test]
fn case_20_limits_and_cursors_are_checked() {
    let desk = Desk::new();
    for number in 1..=3 {
        desk.call("contacts.create", json!({"name": format!("c{number}")}));
    }
    for limit in [0, 101] {
        assert_eq!(desk.refused("contacts.list", json!({"limit": limit})), ErrorCode::LimitOutOfRange);
    }
    let page = desk.call("contacts.list", json!({"sort": ["name"], "limit": 2}));
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let mismatch = json!({"sort": ["created_at"], "limit": 2, "cursor": cursor});
    assert_eq!(desk.refused("contacts.list", mismatch), ErrorCode::CursorMismatch);
    let edited = json!({"sort": ["name"], "limit": 2, "cursor": format!("x{}", &cursor[1..])});
    assert_eq!(desk.refused("contacts.list", edited), ErrorCode::CursorInvalid);
}

#[test]
fn case_21_rows_before_the_cursor_do_not_move_the_pages() {
    let desk = Desk::new();
    let create = |name: String| desk.call("contacts.create", json!({"name": name}));
    for number in 1..=25 {
        create(format!("c{number:02}"));
    }
    let (mut names, mut sizes, mut cursor) = (Vec::new(), Vec::new(), Value::Null);
    loop {
        let page = desk.call("contacts.list", json!({"sort": ["name"], "limit": 10, "cursor": cursor}));
        let items = page["items"].as_array().expect("a list").clone();
        sizes.push(items.len());
        names.extend(items.iter().map(|contact| contact["name"].as_str().expect("a name").to_owned()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
        if sizes.len() == 1 {
            (1..=3).for_each(|number| drop(create(format!("a{number}"))));
        }
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(names, (1..=25).map(|number| format!("c{number:02}")).collect::<Vec<_>>());
}

#[test]
fn case_22_another_projects_id_is_not_found() {
    let desk = Desk::new();
    let other = desk.world.found(ProjectId::from_uuid(Uuid::from_u128(0xB11)));
    let created = desk.attempt_in(other.context(), "contacts.create", &json!({"name": "Bia"})).expect("created");
    let foreign = |operation: &str| -> Error {
        desk.attempt(operation, json!({"id": created["id"]})).expect_err("it belongs to somebody else")
    };
    for operation in ["contacts.get", "contacts.delete"] {
        assert_eq!(foreign(operation).code(), ErrorCode::ContactNotFound);
    }
}
