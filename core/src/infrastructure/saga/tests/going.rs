//! Starting, steps of all kinds, tries, versions of definitions.

use super::*;
use crate::kernel::ErrorCode;

#[test]
fn case_1_a_key_is_under_way_once() {
    let office = Office::with(of_jobs(&["one"]));
    let id = office.start("acct1", json!({"plan": "a"}));
    let again = office.call("sagas.start", json!({"kind": "host.setup", "key": "acct1", "input": {"plan": "a"}}));
    assert_eq!((&again["created"], &again["saga"]["id"]), (&json!(false), &json!(id)));
    let other = json!({"kind": "host.setup", "key": "acct1", "input": {"plan": "b"}});
    assert_eq!(refused(&office.project, "sagas.start", other), ErrorCode::SagaKeyReused);

    office.pass(0);
    office.work("host.one", |_| done(json!(null)));
    office.assert_status(&id, "completed");
    assert_ne!(office.start("acct1", json!({"plan": "b"})), id, "the key is free after the end");
    assert_eq!(office.call("sagas.find", json!({"kind": "host.setup", "key": "acct1"}))["input"]["plan"], "b");
}

#[test]
fn steps_hand_on_what_they_gave() {
    let mut definition = of_jobs(&["account"]);
    let steps = definition["steps"].as_array_mut().unwrap();
    steps.push(contact_step());
    steps.push(json!({
        "id": "tag",
        "run": {"type": "command", "operation": "contacts.add_tag", "input": {"id": {"$from": "data.contact.id"}, "tag": {"$from": "data.account.tier"}}},
    }));
    definition["output"] = json!({"contact": {"$from": "data.contact.id"}, "account": {"$from": "data.account.id"}});
    let office = Office::with(definition);
    let id = office.start("k", json!({"name": "Ana"}));
    office.pass(0);
    office.assert_status(&id, "waiting");
    let jobs = office.work("host.account", |_| done(json!({"id": "acct_9", "tier": "gold"})));
    assert_eq!(
        (&jobs[0]["payload"], &jobs[0]["idempotency_key"]),
        (&json!({"for": "k"}), &json!(format!("{id}:account:1")))
    );
    let saga = office.get(&id);
    let contact = office.call("contacts.get", json!({"id": saga["data"]["contact"]["id"]}));
    assert_eq!((&saga["status"], &contact["tags"]), (&json!("completed"), &json!(["gold"])));
    assert_eq!(saga["output"], json!({"contact": contact["id"], "account": "acct_9"}));
    assert_eq!(saga["progress"], json!({"done": 3, "total": 3, "unit": "steps"}));
    assert_eq!(
        office.story(&id),
        ["started", "waiting", "step_succeeded", "step_succeeded", "step_succeeded", "completed"]
    );
    office.world.assert_log_matches();
}

#[test]
fn case_3_a_job_is_tried_again_with_the_same_key() {
    let office = Office::with(of_jobs(&["one"]));
    let id = office.start("k", json!({}));
    office.pass(0);
    let first = office.call("jobs.claim", json!({"kinds": ["host.one"], "lease_seconds": 30}));
    // Whoever had it died after the call.
    office.pass(31);
    let second = office.work("host.one", |_| done(json!({"id": 1})));
    assert_eq!(first[0]["idempotency_key"], second[0]["idempotency_key"]);
    assert_eq!(second[0]["idempotency_key"], json!(format!("{id}:one:1")));
    office.assert_status(&id, "completed");
}

#[test]
fn a_command_that_loses_is_tried_again_and_one_that_can_never_work_is_not() {
    let tag = json!({"id": "tag", "run": {"type": "command", "operation": "contacts.add_tag", "input": {"id": {"$from": "input.id"}, "tag": "x"}}});
    let office = Office::with(json!({"kind": "host.setup", "steps": [tag]}));
    let id = office.start("k", json!({"id": Uuid::from_u128(5)}));
    office.pass(0);
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["error"]["code"]), (&json!("failed"), &json!("contact_not_found")));
    assert_eq!(office.story(&id), ["started", "step_failed", "failed"]);
    let failed = &office.events(&id)[1]["data"];
    assert_eq!(
        (&failed["final"], &failed["class"], &failed["attempt"]),
        (&json!(true), &json!("permanent"), &json!(1))
    );

    // What a reference names is not there, and no try would change that.
    let missing = office.start("l", json!({}));
    office.pass(0);
    assert_eq!(office.get(&missing)["error"]["code"], "input_invalid");
}

#[test]
fn case_12_an_optional_step_is_passed_over() {
    let office = Office::with(changed(of_jobs(&["one", "two"]), "one", json!({"optional": true})));
    let id = office.start("k", json!({}));
    office.pass(0);
    office.work("host.one", |_| permanent());
    office.work("host.two", |_| done(json!({"id": 2})));
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["steps"][0]["status"]), (&json!("completed"), &json!("skipped")));
}

#[test]
fn a_step_is_passed_over_where_its_condition_does_not_hold() {
    let when = json!({"when": {"value": {"$from": "input.plan", "default": null}, "is": "paid"}});
    let office = Office::with(changed(of_jobs(&["one", "two"]), "one", when));
    let (free, paid) = (office.start("free", json!({})), office.start("paid", json!({"plan": "paid"})));
    office.pass(0);
    assert_eq!(office.work("host.one", |_| done(json!({}))).len(), 1);
    office.work("host.two", |_| done(json!({})));
    assert_eq!(office.get(&free)["steps"][0]["status"], "skipped");
    assert_eq!(office.get(&paid)["steps"][0]["status"], "succeeded");
}

#[test]
fn case_13_a_fan_out_runs_so_many_at_a_time() {
    let fan = |tolerance: u32| {
        json!({"kind": "host.setup", "steps": [{"id": "all", "run": {
            "type": "fan_out", "kind": "host.part", "each": {"$from": "input.items"}, "payload": {"item": {"$from": "item"}},
            "max_parallel": 4, "tolerance": tolerance,
        }}]})
    };
    for failing in [2, 3] {
        let office = Office::with(fan(2));
        let id = office.start("k", json!({"items": (0..20).collect::<Vec<i64>>()}));
        office.pass(0);
        let (mut rounds, mut parts) = (0, 0);
        loop {
            let does = |job: &Value| match job["payload"]["item"].as_i64() < Some(failing) {
                true => permanent(),
                false => done(job["payload"]["item"].clone()),
            };
            let claimed = office.work("host.part", does);
            if claimed.is_empty() {
                break;
            }
            assert!(claimed.len() <= 4, "{}", claimed.len());
            rounds += 1;
            parts += claimed.len();
        }
        let saga = office.get(&id);
        if failing == 2 {
            assert_eq!((rounds, parts), (5, 20));
            assert_eq!((&saga["status"], &saga["output"]["failed"]), (&json!("completed"), &json!(2)));
            assert_eq!(saga["output"]["results"].as_array().map(Vec::len), Some(20));
        } else {
            assert_eq!((&saga["status"], &saga["error"]["code"]), (&json!("failed"), &json!("fan_out_failed")));
            let open = office.call("jobs.list", json!({"kind": "host.part", "states": ["scheduled", "running"]}));
            assert_eq!(open["items"], json!([]));
        }
    }
}

#[test]
fn a_saga_of_a_saga_is_waited_for() {
    let child = json!({"type": "child", "kind": "host.part", "key": {"$from": "input.of"}, "input": {"n": 1}});
    let office = Office::with(json!({"kind": "host.setup", "steps": [{"id": "part", "run": child}]}));
    let mut part = of_jobs(&["one"]);
    part["kind"] = json!("host.part");
    office.define(part);
    let id = office.start("k", json!({"of": "x"}));
    office.pass(0);
    let child = office.call("sagas.find", json!({"kind": "host.part", "key": "x"}));
    assert_eq!((&child["parent_id"], &child["correlation_id"]), (&json!(id), &office.get(&id)["correlation_id"]));
    office.work("host.one", |_| done(json!({"id": 4})));
    let saga = office.get(&id);
    assert_eq!((&saga["status"], &saga["output"]), (&json!("completed"), &json!({"id": 4})));

    let other = office.start("l", json!({"of": "y"}));
    office.pass(0);
    office.work("host.one", |_| permanent());
    assert_eq!(office.get(&other)["error"]["code"], "child_failed");
}

#[test]
fn case_15_a_saga_stays_with_its_version() {
    let office = Office::with(of_jobs(&["one", "two"]));
    let old = office.start("old", json!({}));
    office.pass(0);
    let mut second = of_jobs(&["one", "three"]);
    second["version"] = json!(2);
    office.define(second.clone());
    let new = office.start("new", json!({}));
    office.pass(0);
    office.work("host.one", |_| done(json!({})));
    office.work("host.two", |_| done(json!({})));
    office.work("host.three", |_| done(json!({})));
    assert_eq!(
        (&office.get(&old)["definition_version"], &office.get(&old)["status"]),
        (&json!(1), &json!("completed"))
    );
    assert_eq!(
        (&office.get(&new)["definition_version"], &office.get(&new)["status"]),
        (&json!(2), &json!("completed"))
    );

    // A program that knows nothing of the kind leaves its sagas to others; one that has only a later version gives them up.
    let left = office.start("left", json!({}));
    let storage = office.world.crm.core().storage().clone();
    let mut next = Office { world: World::resume(storage, [7; 32], 2).unwrap(), project: office.project.clone() };
    next.project = next.world.crm.project(PROJECT);
    next.pass(0);
    assert_eq!(next.get(&left)["status"], "running");
    second["version"] = json!(3);
    next.define(second);
    next.pass(MINUTE);
    let saga = next.get(&left);
    assert_eq!((&saga["status"], &saga["error"]["code"]), (&json!("failed"), &json!("saga_migration_missing")));
    assert_eq!(next.events(&left)[1]["data"]["needs_attention"], true);
}

#[test]
fn case_18_kinds_and_inputs_are_checked() {
    let mut definition = of_jobs(&["one"]);
    definition["input"] = json!({"email": {"type": "text", "required": true}, "seats": {"type": "number"}});
    let office = Office::with(definition);
    let start = |kind: &str, input: Value| {
        let input = json!({"kind": kind, "key": "k", "input": input}).to_string();
        let error =
            block_on(office.world.crm.call("sagas.start", office.project.context(), input.as_bytes())).unwrap_err();
        (error.code(), error.field().unwrap_or_default().to_owned())
    };
    for kind in ["foo", "host.other", "project_purge"] {
        assert_eq!(start(kind, json!({})), (ErrorCode::SagaKindUnknown, "kind".to_owned()));
    }
    assert_eq!(start("host.setup", json!({})), (ErrorCode::FieldRequired, "input.email".to_owned()));
    assert_eq!(start("host.setup", json!({"email": 5})), (ErrorCode::InputInvalid, "input.email".to_owned()));
    let seats = json!({"email": "a", "seats": "two"});
    assert_eq!(start("host.setup", seats), (ErrorCode::InputInvalid, "input.seats".to_owned()));
    assert_eq!(start("host.setup", json!([])), (ErrorCode::InputInvalid, "input".to_owned()));
    let past =
        json!({"kind": "host.setup", "key": "k", "input": {"email": "a"}, "deadline_at": "2020-01-01T00:00:00Z"});
    assert_eq!(refused(&office.project, "sagas.start", past), ErrorCode::InputInvalid);
}

#[test]
fn definitions_are_checked_where_they_are_given() {
    let office = Office::with(of_jobs(&["one"]));
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut definition = of_jobs(&["one", "two"]);
        definition["version"] = json!(2);
        change(&mut definition);
        let error = office.world.crm.define_saga_json(definition.to_string().as_bytes()).unwrap_err();
        (error.code(), error.field().unwrap_or_default().to_owned())
    };
    let at = |code, path: &str| (code, path.to_owned());
    assert_eq!(refused(&|d| d["kind"] = json!("setup")), at(ErrorCode::JobKindUnknown, "kind"));
    assert_eq!(refused(&|d| d["version"] = json!(0)), at(ErrorCode::LimitOutOfRange, "version"));
    assert_eq!(refused(&|d| d["steps"] = json!([])), at(ErrorCode::FieldRequired, "steps"));
    assert_eq!(refused(&|d| d["steps"][1]["id"] = json!("one")), at(ErrorCode::InputInvalid, "steps[1].id"));
    assert_eq!(
        refused(&|d| d["steps"][1]["run"]["kind"] = json!("x")),
        at(ErrorCode::JobKindUnknown, "steps[1].run.kind")
    );
    let command = json!({"type": "command", "operation": "contacts.get", "input": {}});
    assert_eq!(
        refused(&|d| d["steps"][0]["run"] = command.clone()),
        at(ErrorCode::OperationUnknown, "steps[0].run.operation")
    );
    let later = json!({"$from": "data.two.id"});
    let path = "steps[0].run.payload.for.$from";
    assert_eq!(refused(&|d| d["steps"][0]["run"]["payload"]["for"] = later.clone()), at(ErrorCode::InputInvalid, path));
    assert_eq!(
        refused(&|d| d["steps"][0]["retry"] = json!({"attempts": 0})),
        at(ErrorCode::LimitOutOfRange, "steps[0].retry.attempts")
    );
    assert_eq!(refused(&|d| d["steps"][0]["pivot"] = json!(true)), at(ErrorCode::InputInvalid, "steps[0].compensate"));
    assert_eq!(
        refused(&|d| d["steps"][0]["run"] = json!({"type": "wait"})),
        at(ErrorCode::FieldRequired, "steps[0].timeout_seconds")
    );
    assert_eq!(refused(&|d| d["colour"] = json!(1)).0, ErrorCode::UnknownField);
    assert_eq!(
        refused(&|d| d["version"] = json!(1)),
        at(ErrorCode::InputInvalid, "version"),
        "another definition of version 1"
    );
    office.define(of_jobs(&["one"]));
}

#[test]
fn case_19_there_is_an_end_to_unfinished_sagas() {
    let office = Office::with(of_jobs(&["one"]));
    for number in 0..1_000 {
        office.start(&format!("k{number}"), json!({}));
    }
    let input = json!({"kind": "host.setup", "key": "one more", "input": {}});
    assert_eq!(refused(&office.project, "sagas.start", input), ErrorCode::SagaLimit);
}

#[test]
fn case_21_a_replay_of_the_log_runs_nothing() {
    let office = Office::with(of_jobs(&["one", "two"]));
    let id = office.start("k", json!({}));
    office.pass(0);
    office.work("host.one", |_| done(json!({"id": 1})));
    let jobs = || office.call("jobs.list", json!({"limit": 100}))["items"].as_array().map(Vec::len);
    let before = (office.get(&id), jobs());
    office.call("events.verify", json!({"repair": true, "limit": 1_000}));
    assert_eq!((office.get(&id), jobs()), before);
    office.world.assert_log_matches();
}

#[test]
fn case_22_sagas_of_other_projects_are_not_there() {
    let office = Office::with(of_jobs(&["one"]));
    let id = office.start("k", json!({}));
    let other = office.world.found(ProjectId::from_uuid(Uuid::from_u128(0xB11)));
    assert_eq!(refused(&other, "sagas.get", json!({"id": id})), ErrorCode::SagaNotFound);
    assert_eq!(refused(&other, "sagas.cancel", json!({"id": id})), ErrorCode::SagaNotFound);
    let started = call(&other, "sagas.start", json!({"kind": "host.setup", "key": "k", "input": {}}));
    assert_eq!(started["created"], true, "keys are each project's own");
}

#[test]
fn case_17_the_timeline_shows_what_the_commands_did() {
    let office = Office::with(json!({"kind": "host.setup", "steps": [contact_step()]}));
    let id = office.start("k", json!({"name": "Ana"}));
    office.pass(0);
    let timeline = office.call("sagas.timeline", json!({"id": id}));
    let types = timeline["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap());
    let types: Vec<&str> = types.collect();
    assert!(
        types.starts_with(&["saga.started", "contact.created"]) && types.ends_with(&["saga.completed"]),
        "{types:?}"
    );
    let step = &timeline["saga"]["steps"][0];
    assert_eq!((&step["attempt"], &step["error"], &step["step"]), (&json!(1), &Value::Null, &json!("contact")));
    let made = &timeline["events"][1];
    assert_eq!(
        (&made["actor"]["kind"], &made["actor"]["on_behalf_of"]["component"]),
        (&json!("system"), &json!("host"))
    );
    let page = office.call("sagas.timeline", json!({"id": id, "limit": 1}));
    assert_eq!((page["events"].as_array().map(Vec::len), &page["has_more"]), (Some(1), &json!(true)));
}

#[test]
fn a_project_that_does_not_work_lets_its_sagas_wait() {
    let office = Office::with(json!({"kind": "host.setup", "steps": [contact_step()]}));
    let id = office.start("k", json!({"name": "Ana"}));
    office.call("projects.deactivate", json!({}));
    office.pass(10 * MINUTE);
    office.assert_status(&id, "running");
    office.call("projects.activate", json!({}));
    office.pass(MINUTE);
    office.assert_status(&id, "completed");
}

#[test]
fn a_saga_that_ended_90_days_ago_is_gone_and_its_events_are_not() {
    const DAY: i64 = 24 * 60 * MINUTE;
    let office = Office::with(json!({"kind": "host.setup", "version": 1, "steps": [
        {"id": "ask", "run": {"type": "child", "kind": "host.inner", "key": {"$from": "saga.key"}}},
        {"id": "rest", "run": {"type": "wait", "signal": "go"}},
    ]}));
    office.define(json!({"kind": "host.inner", "version": 1, "steps": [
        {"id": "do", "run": {"type": "command", "operation": "contacts.create", "input": {"name": "Ana"}}},
    ]}));
    let parent = office.start("one", Value::Null);
    office.pass(0);
    let list = office.call("sagas.list", json!({"filter": {"field": "kind", "op": "eq", "value": "host.inner"}}));
    let child = list["items"][0]["id"].as_str().expect("an id").to_owned();
    office.assert_status(&child, "completed");
    office.assert_status(&parent, "waiting");
    office.pass(91 * DAY);
    office.assert_status(&child, "completed");
    office.call("sagas.signal", json!({"id": parent, "name": "go"}));
    office.pass(0);
    office.assert_status(&parent, "completed");
    // The child has ended long ago, and nobody waits for it any more.
    office.pass(DAY);
    assert_eq!(refused(&office.project, "sagas.get", json!({"id": child})), ErrorCode::SagaNotFound);
    office.pass(88 * DAY);
    office.assert_status(&parent, "completed");
    office.pass(2 * DAY);
    assert_eq!(refused(&office.project, "sagas.get", json!({"id": parent})), ErrorCode::SagaNotFound);

    assert_eq!(office.story(&parent).last().map(String::as_str), Some("completed"));
    let report = office.call("events.verify", json!({"repair": true}));
    assert_eq!((&report["problems"], &report["repaired"]), (&json!([]), &json!(0)));
    office.world.assert_log_matches();
    let past = office.call("events.state_at", json!({"kind": "saga", "id": parent}));
    assert_eq!(past["state"]["status"], "completed");
    // Its key is free again.
    assert_ne!(office.start("one", Value::Null), parent);
}
