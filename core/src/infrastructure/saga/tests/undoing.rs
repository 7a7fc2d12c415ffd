//! Steps that fail for good, and what becomes of those before them.

use super::*;
use crate::kernel::ErrorCode;

/// Does `one` and `two`, and fails at `three`.
fn failed_at_three(office: &Office) -> String {
    let id = office.start("k", json!({}));
    office.pass(0);
    office.work("host.one", |_| done(json!({"id": 1})));
    office.work("host.two", |_| done(json!({"id": 2})));
    office.work("host.three", |_| permanent());
    id
}

#[test]
fn case_4_what_was_done_is_undone_backwards() {
    let office = Office::with(of_jobs(&["one", "two", "three", "four"]));
    let id = failed_at_three(&office);
    office.assert_status(&id, "compensating");
    assert!(office.work("host.undo_one", |_| done(json!(null))).is_empty(), "the second comes first");
    let undo = office.work("host.undo_two", |_| done(json!(null)));
    assert_eq!(undo[0]["payload"], json!({"what": 2}));
    office.work("host.undo_one", |_| done(json!(null)));
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["error"]["step"]), (&json!("compensated"), &json!("three")));
    let events = office.events(&id);
    let steps = events.iter().filter(|event| event["type"] == "saga.step_compensated");
    assert_eq!(steps.map(|event| &event["data"]["step"]).collect::<Vec<_>>(), [&json!("two"), &json!("one")]);
    let last = events.last().unwrap();
    assert_eq!((&last["data"]["undone"], &last["data"]["not_undoable"]), (&json!(["two", "one"]), &json!([])));
    assert!(office.work("host.four", |_| done(json!(null))).is_empty(), "no step runs after the end");
    office.world.assert_log_matches();
}

#[test]
fn case_5_after_the_pivot_there_is_no_way_back() {
    let mut pivot = changed(of_jobs(&["one", "two", "three"]), "two", json!({"pivot": true}));
    pivot["steps"][1].as_object_mut().unwrap().remove("compensate");
    let office = Office::with(pivot);
    let id = failed_at_three(&office);
    office.assert_status(&id, "failed");
    let events = office.events(&id);
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["data"]["needs_attention"]), (&json!("saga.failed"), &json!(true)));
    assert!(office.work("host.undo_one", |_| done(json!(null))).is_empty());

    // Somebody puts right what was wrong, and it goes on at the step that failed, with the same job.
    let before = office.events(&id).len();
    office.call("sagas.retry", json!({"id": id}));
    office.pass(0);
    let jobs = office.work("host.three", |_| done(json!({"id": 3})));
    assert_eq!(jobs[0]["idempotency_key"], json!(format!("{id}:three:3")));
    office.assert_status(&id, "completed");
    assert_eq!(office.story(&id)[before..], ["retried", "waiting", "step_succeeded", "completed"]);
}

#[test]
fn case_6_undoing_that_fails_goes_on_where_it_stopped() {
    let definition = changed(of_jobs(&["one", "two", "three"]), "one", json!({"retry": {"attempts": 5}}));
    let office = Office::with(definition);
    let id = failed_at_three(&office);
    assert_eq!(office.work("host.undo_two", |_| done(json!(null))).len(), 1);
    let mut tries = 0;
    while office.get(&id)["status"] == "compensating" {
        tries += office.work("host.undo_one", |_| json!({"type": "retry", "error": "not now"})).len();
        office.pass(2 * 3_600);
    }
    assert_eq!(tries, 5);
    office.assert_status(&id, "compensation_failed");
    office.call("sagas.retry", json!({"id": id}));
    office.pass(0);
    assert_eq!(office.work("host.undo_one", |_| done(json!(null))).len(), 1);
    assert!(office.work("host.undo_two", |_| done(json!(null))).is_empty(), "undone once");
    office.assert_status(&id, "compensated");
    office.world.assert_log_matches();
}

/// A contact is made, and then a job fails.
fn with_contact(if_changed: &str) -> Office {
    let mut definition = of_jobs(&["three"]);
    let mut contact = contact_step();
    contact["compensate"]["if_changed"] = json!(if_changed);
    definition["steps"].as_array_mut().unwrap().insert(0, contact);
    Office::with(definition)
}

#[test]
fn case_7_what_others_have_changed_is_left_or_not() {
    for (if_changed, status, is_gone) in
        [("skip", "compensated", false), ("force", "compensated", true), ("fail", "compensation_failed", false)]
    {
        let office = with_contact(if_changed);
        let id = office.start("k", json!({"name": "Ana"}));
        office.pass(0);
        let contact = office.get(&id)["data"]["contact"]["id"].clone();
        office.call("contacts.update", json!({"id": contact, "name": "Anna"}));
        office.work("host.three", |_| permanent());
        office.assert_status(&id, status);
        let found = office.call("contacts.list", json!({}))["items"].as_array().map_or(0, Vec::len);
        assert_eq!(found, usize::from(!is_gone), "{if_changed}");
        let events = office.events(&id);
        let last = &events.last().unwrap()["data"];
        if if_changed == "skip" {
            assert_eq!((&last["undone"], &last["not_undoable"]), (&json!([]), &json!(["contact"])));
        }
    }
}

#[test]
fn what_nobody_has_changed_is_undone_and_what_is_gone_is_left() {
    for delete_first in [false, true] {
        let office = with_contact("skip");
        let id = office.start("k", json!({"name": "Ana"}));
        office.pass(0);
        let contact = office.get(&id)["data"]["contact"]["id"].clone();
        if delete_first {
            office.call("contacts.delete", json!({"id": contact}));
        }
        office.work("host.three", |_| permanent());
        office.assert_status(&id, "compensated");
        assert_eq!(refused(&office.project, "contacts.get", json!({"id": contact})), ErrorCode::ContactNotFound);
        let undone = office.events(&id).last().unwrap()["data"]["undone"].clone();
        assert_eq!(undone, if delete_first { json!([]) } else { json!(["contact"]) });
    }
}

#[test]
fn what_the_saga_itself_has_changed_since_is_undone() {
    let mut definition = of_jobs(&["three"]);
    let steps = definition["steps"].as_array_mut().unwrap();
    steps.insert(0, contact_step());
    let tag = json!({"id": {"$from": "data.contact.id"}, "tag": "new"});
    steps.insert(1, json!({"id": "tag", "run": {"type": "command", "operation": "contacts.add_tag", "input": tag}}));
    let office = Office::with(definition);
    let id = office.start("k", json!({"name": "Ana"}));
    office.pass(0);
    office.work("host.three", |_| permanent());
    let last = office.events(&id).last().unwrap()["data"].clone();
    assert_eq!((&last["undone"], &last["not_undoable"]), (&json!(["contact"]), &json!(["tag"])));
}

#[test]
fn case_11_a_saga_is_called_off_before_the_pivot_and_not_after() {
    let mut pivot = changed(of_jobs(&["one", "two", "three"]), "two", json!({"pivot": true}));
    pivot["steps"][1].as_object_mut().unwrap().remove("compensate");
    let office = Office::with(pivot);
    let (early, late) = (office.start("early", json!({})), office.start("late", json!({})));
    office.pass(0);
    office.work("host.one", |job| done(json!({"id": job["payload"]["for"]})));
    office.call("sagas.cancel", json!({"id": early, "reason": "changed their mind"}));
    office.assert_status(&early, "compensating");
    office.pass(0);
    assert_eq!(refused(&office.project, "sagas.cancel", json!({"id": early})), ErrorCode::InvalidState);
    let twos = office.work("host.two", |_| done(json!({"id": 2})));
    assert_eq!(twos.len(), 1, "the job of the one that was called off is cancelled");
    office.work("host.undo_one", |_| done(json!(null)));
    office.assert_status(&early, "cancelled");
    assert_eq!(refused(&office.project, "sagas.cancel", json!({"id": late})), ErrorCode::SagaPastPivot);

    let fresh = office.start("fresh", json!({}));
    let cancelled = office.call("sagas.cancel", json!({"id": fresh}));
    assert_eq!(cancelled["status"], "cancelled", "there is nothing to undo");
    office.pass(0);
    assert!(office.work("host.one", |_| done(json!(null))).is_empty());
}

#[test]
fn calling_off_a_saga_calls_off_the_one_that_it_waits_for() {
    let child = json!({"type": "child", "kind": "host.part", "key": "x", "input": {}});
    let office = Office::with(json!({"kind": "host.setup", "steps": [{"id": "part", "run": child}]}));
    let mut part = of_jobs(&["one", "two"]);
    part["kind"] = json!("host.part");
    office.define(part);
    let id = office.start("k", json!({}));
    office.pass(0);
    office.work("host.one", |_| done(json!({"id": 1})));
    let child = office.call("sagas.find", json!({"kind": "host.part", "key": "x"}))["id"].clone();
    office.call("sagas.cancel", json!({"id": id}));
    office.assert_status(&id, "cancelled");
    office.pass(0);
    office.work("host.undo_one", |_| done(json!(null)));
    office.assert_status(child.as_str().unwrap(), "cancelled");
}

#[test]
fn case_14_who_loses_the_right_does_no_more_and_all_is_undone() {
    let mut definition = of_jobs(&["one"]);
    let contact = json!({"name": "second"});
    let steps = definition["steps"].as_array_mut().unwrap();
    steps.insert(0, contact_step());
    steps.push(json!({"id": "late", "run": {"type": "command", "operation": "contacts.create", "input": contact}}));
    let office = Office::with(definition);
    office.member("chief", "admin");
    let (member, admin) = office.member("deputy", "admin");
    let started = call(&admin, "sagas.start", json!({"kind": "host.setup", "key": "k", "input": {"name": "first"}}));
    let id = started["saga"]["id"].as_str().unwrap().to_owned();
    office.pass(0);
    let first = office.get(&id)["data"]["contact"]["id"].clone();
    office.call("members.update", json!({"id": member["id"], "role": "viewer"}));
    office.work("host.one", |_| done(json!({"id": 1})));
    office.work("host.undo_one", |_| done(json!(null)));
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["error"]["code"]), (&json!("compensated"), &json!("permission_denied")));
    assert_eq!(refused(&office.project, "contacts.get", json!({"id": first})), ErrorCode::ContactNotFound);
}

#[test]
fn a_kind_that_acts_as_the_system_needs_no_rights() {
    let office = Office::with(json!({"kind": "host.setup", "as_system": true, "steps": [
        {"id": "nap", "run": {"type": "wait"}, "timeout_seconds": 60}, contact_step(),
    ]}));
    office.member("chief", "admin");
    let (member, admin) = office.member("deputy", "admin");
    let started = call(&admin, "sagas.start", json!({"kind": "host.setup", "key": "k", "input": {"name": "first"}}));
    office.call("members.update", json!({"id": member["id"], "role": "viewer"}));
    office.pass(0);
    office.pass(60);
    office.assert_status(started["saga"]["id"].as_str().unwrap(), "completed");
}

#[test]
fn case_20_resolving_takes_a_note_and_a_failure() {
    let office = Office::with(
        json!({"kind": "host.setup", "steps": [{"id": "one", "run": {"type": "job", "kind": "host.one"}}]}),
    );
    let (failed, fine) = (office.start("failed", json!({})), office.start("fine", json!({})));
    office.pass(0);
    let first = office.call("jobs.list", json!({"kind": "host.one", "limit": 10}))["items"].as_array().unwrap().len();
    assert_eq!(first, 2);
    office.work("host.one", |job| match job["idempotency_key"].as_str().unwrap().starts_with(&failed) {
        true => permanent(),
        false => done(json!(null)),
    });
    office.assert_status(&failed, "failed");
    assert_eq!(refused(&office.project, "sagas.resolve", json!({"id": failed, "note": ""})), ErrorCode::TextRequired);
    assert_eq!(refused(&office.project, "sagas.resolve", json!({"id": failed})), ErrorCode::FieldRequired);
    assert_eq!(refused(&office.project, "sagas.resolve", json!({"id": fine, "note": "x"})), ErrorCode::InvalidState);
    assert_eq!(refused(&office.project, "sagas.retry", json!({"id": fine})), ErrorCode::InvalidState);
    let from = json!({"id": failed, "from_step": "nowhere"});
    assert_eq!(refused(&office.project, "sagas.retry", from), ErrorCode::InputInvalid);
    let resolved = office.call("sagas.resolve", json!({"id": failed, "note": "made by hand"}));
    assert_eq!(resolved["status"], "resolved");
    assert_eq!(refused(&office.project, "sagas.retry", json!({"id": failed})), ErrorCode::InvalidState);
}

#[test]
fn a_job_that_somebody_cancels_fails_its_step() {
    let office = Office::with(of_jobs(&["one"]));
    let id = office.start("k", json!({}));
    office.pass(0);
    let job = office.get(&id)["waiting_for"]["job_id"].clone();
    office.call("jobs.cancel", json!({"id": job}));
    office.pass(0);
    assert_eq!(office.get(&id)["error"]["code"], "job_cancelled");
    // Done by hand, it goes on from there with a job of its own.
    office.call("sagas.retry", json!({"id": id, "from_step": "one"}));
    office.pass(0);
    assert_eq!(office.work("host.one", |_| done(json!({}))).len(), 1);
    office.assert_status(&id, "completed");
}

#[test]
fn what_the_steps_keep_has_an_end() {
    let names: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let office = Office::with(of_jobs(&names));
    let id = office.start("k", json!({}));
    office.pass(0);
    for name in &names {
        office.work(&format!("host.{name}"), |_| done(json!({"id": 1, "text": "x".repeat(15_000)})));
    }
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["error"]["code"]), (&json!("compensating"), &Value::Null));
    for name in names.iter().rev() {
        office.work(&format!("host.undo_{name}"), |_| done(json!(null)));
    }
    office.assert_status(&id, "compensated");
}
