//! Signals, events, deadlines, and two workers at once.

use super::*;
use crate::kernel::ErrorCode;
use crate::storage::MemoryStorage;
use crate::testing::WatchedStorage;

/// An account is made, then somebody has a quarter of an hour to approve.
fn approval() -> Value {
    let mut definition = of_jobs(&["account"]);
    let wait = json!({"id": "approval", "run": {"type": "wait", "signal": "approved"}, "timeout_seconds": 15 * MINUTE});
    definition["steps"].as_array_mut().unwrap().push(wait);
    definition
}

fn waiting_for_approval(office: &Office) -> String {
    let id = office.start("k", json!({}));
    office.pass(0);
    office.work("host.account", |_| done(json!({"id": "acct_9"})));
    office.assert_status(&id, "waiting");
    id
}

#[test]
fn case_8_a_signal_in_time_goes_on() {
    let office = Office::with(approval());
    let id = waiting_for_approval(&office);
    office.pass(5 * MINUTE);
    office.assert_status(&id, "waiting");
    office.call("sagas.signal", json!({"kind": "host.setup", "key": "k", "name": "approved", "data": {"by": "Bo"}}));
    office.pass(0);
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["output"]), (&json!("completed"), &json!({"by": "Bo"})));
    assert_eq!(saga["signals"], json!([]));
    assert_eq!(
        office.story(&id),
        ["started", "waiting", "step_succeeded", "waiting", "signaled", "step_succeeded", "completed"]
    );
}

#[test]
fn case_8_without_a_signal_the_account_is_removed() {
    let office = Office::with(approval());
    let id = waiting_for_approval(&office);
    let due = block_on(office.world.crm.next_due()).unwrap().unwrap();
    assert_eq!(due.to_string(), "2025-01-06T09:15:00.000000Z", "whoever works knows when to look");
    office.pass(15 * MINUTE);
    let jobs = office.work("host.undo_account", |_| done(json!(null)));
    assert_eq!(jobs[0]["payload"], json!({"what": "acct_9"}));
    office.assert_status(&id, "compensated");
    let story = office.story(&id);
    assert_eq!(story[4..7], ["timed_out", "step_failed", "compensation_started"], "{story:?}");
}

#[test]
fn case_9_signals_before_and_after() {
    let office = Office::with(approval());
    let id = office.start("k", json!({}));
    office.call("sagas.signal", json!({"id": id, "name": "approved", "data": 1}));
    office.call("sagas.signal", json!({"id": id, "name": "approved", "data": 2}));
    office.pass(0);
    office.work("host.account", |_| done(json!({"id": 1})));
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["output"]), (&json!("completed"), &json!(1)));
    let ended = office.call("sagas.signal", json!({"id": id, "name": "approved", "data": 3}));
    office.pass(0);
    assert_eq!((&ended["status"], office.story(&id).last().unwrap().as_str()), (&json!("completed"), "signaled"));
    assert_eq!(ended["signals"].as_array().map(Vec::len), Some(1), "what came too late is in the log alone");

    let unknown = json!({"id": id, "name": "rejected"});
    assert_eq!(refused(&office.project, "sagas.signal", unknown), ErrorCode::SagaSignalUnknown);
    let gone = json!({"kind": "host.setup", "key": "k", "name": "approved"});
    assert_eq!(refused(&office.project, "sagas.signal", gone), ErrorCode::SagaNotFound);
    assert_eq!(refused(&office.project, "sagas.signal", json!({"name": "approved"})), ErrorCode::FieldRequired);
}

#[test]
fn signals_that_nobody_wants_yet_have_an_end() {
    let office = Office::with(approval());
    let id = office.start("k", json!({}));
    for number in 0..100 {
        office.call("sagas.signal", json!({"id": id, "name": "approved", "data": number}));
    }
    let one_more = json!({"id": id, "name": "approved"});
    assert_eq!(refused(&office.project, "sagas.signal", one_more), ErrorCode::SagaLimit);
}

#[test]
fn a_step_waits_for_an_event_of_its_subject() {
    let event = json!({"types": ["contact.tag_*"], "subject": {"$from": "input.who"}, "data": {"tag": "vip"}});
    let wait = json!({"id": "tagged", "run": {"type": "wait", "event": event}});
    let office = Office::with(json!({"kind": "host.setup", "steps": [wait]}));
    let contact = |name: &str| office.call("contacts.create", json!({"name": name}))["id"].clone();
    let (ana, bo) = (contact("Ana"), contact("Bo"));
    let tag = |who: &Value, tag: &str| {
        office.call("contacts.add_tag", json!({"id": who, "tag": tag}));
        office.pass(0);
    };
    tag(&ana, "early");
    let id = office.start("k", json!({"who": format!("contact/{}", ana.as_str().unwrap())}));
    office.pass(0);
    office.assert_status(&id, "waiting");
    tag(&bo, "vip");
    tag(&ana, "regular");
    office.assert_status(&id, "waiting");
    tag(&ana, "vip");
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["output"]["type"]), (&json!("completed"), &json!("contact.tag_added")));
    assert_eq!(saga["output"]["data"], json!({}), "what is told of people stays with them");

    let wrong = office.start("l", json!({"who": "nobody"}));
    office.pass(0);
    assert_eq!(office.get(&wrong)["error"]["code"], "input_invalid");
}

#[test]
fn a_pause_is_a_step() {
    let nap = json!({"id": "nap", "run": {"type": "wait"}, "timeout_seconds": 3_600});
    let office = Office::with(json!({"kind": "host.setup", "steps": [nap]}));
    let id = office.start("k", json!({}));
    office.pass(0);
    office.pass(3_599);
    office.assert_status(&id, "waiting");
    office.pass(1);
    office.assert_status(&id, "completed");
}

#[test]
fn case_16_a_deadline_is_kept() {
    let mut definition = approval();
    definition["deadline_seconds"] = json!(10 * MINUTE);
    let office = Office::with(definition);
    let id = waiting_for_approval(&office);
    assert_eq!(office.get(&id)["deadline_at"], "2025-01-06T09:10:00.000000Z");
    office.pass(10 * MINUTE);
    office.work("host.undo_account", |_| done(json!(null)));
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["error"]["code"]), (&json!("compensated"), &json!("saga_timeout")));
    let told = json!({"kind": "host.setup", "key": "l", "input": {}, "deadline_at": "2025-01-06T12:00:00Z"});
    let started = office.call("sagas.start", told);
    assert_eq!(started["saga"]["deadline_at"], "2025-01-06T12:00:00.000000Z");
    office.pass(3 * 3_600);
    assert_eq!(office.get(started["saga"]["id"].as_str().unwrap())["status"], "failed", "nothing was to be undone");
}

#[test]
fn a_job_that_takes_too_long_is_called_off() {
    let office = Office::with(changed(of_jobs(&["one"]), "one", json!({"timeout_seconds": 60})));
    let id = office.start("k", json!({}));
    office.pass(0);
    office.pass(60);
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["error"]["class"]), (&json!("failed"), &json!("timeout")));
    assert!(office.work("host.one", |_| done(json!(null))).is_empty());
}

#[test]
fn case_10_two_workers_make_one_transition() {
    let office = Office::with(json!({"kind": "host.setup", "steps": [contact_step()]}));
    let storage = office.world.crm.core().storage().clone();
    let other = World::resume(storage, [7; 32], 2).unwrap();
    other
        .crm
        .define_saga(serde_json::from_value(json!({"kind": "host.setup", "steps": [contact_step()]})).unwrap())
        .unwrap();
    for number in 0..20 {
        office.start(&format!("k{number}"), json!({"name": format!("Contact {number}")}));
    }
    let (one, two) = (office.world.crm.clone(), other.crm.clone());
    block_on(async { futures_util::future::try_join(one.run_pending(), two.run_pending()).await }).unwrap();
    let count = office.call("contacts.count", json!({}));
    assert_eq!(count, json!(20));
    office.world.assert_log_matches();
}

/// A program that does not know a kind leaves its sagas to others, and hardly writes for it.
#[test]
fn sagas_of_an_unknown_kind_cost_ever_less() {
    let store = WatchedStorage::around(Arc::new(MemoryStorage::default()));
    let office = Office::on(store.clone());
    office.define(of_jobs(&["account"]));
    let id = office.start("acct1", json!({}));
    let stranger = World::resume(store.clone(), [7; 32], 2).expect("the store opens");
    let look = |world: &World| {
        block_on(world.crm.run_pending()).expect("it runs");
        store.take_calls().iter().filter(|call| **call == "commit").count()
    };
    look(&stranger);
    let mut commits = Vec::new();
    for _ in 0..720 {
        stranger.clock.advance_seconds(5);
        commits.push(look(&stranger));
    }
    let first: usize = commits[..12].iter().sum();
    assert!((3..=6).contains(&first), "in the first minute it is looked for often: {first}");
    let all: usize = commits.iter().sum();
    assert!(all <= 24, "an hour of looking in vain takes {all} commits");
    office.assert_status(&id, "running");
    // Who knows the kind finds it, and from then on it goes its way as any other.
    office.pass(3_600 + 300);
    office.assert_status(&id, "waiting");
    office.work("host.account", |_| done(json!({"id": 1})));
    office.assert_status(&id, "completed");
}
