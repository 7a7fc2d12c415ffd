//! The acceptance cases of the outbox page that are about jobs of the host.

use super::tests::{call, furnished, refused};
use crate::engine::{Crm, Project, Settings};
use crate::kernel::{Clock, ErrorCode, ProjectId};
use crate::storage::{EventQuery, MemoryStorage, Scope, Storage};
use crate::testing::{ManualClock, SeededIds, WatchedStorage, World, block_on};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

#[track_caller]
fn enqueue(project: &Project, input: Value) -> Value {
    let mut job = json!({"kind": "host.report"});
    job.as_object_mut().expect("an object").extend(input.as_object().expect("an object").clone());
    call(project, "jobs.enqueue", job)
}

#[track_caller]
fn claim(project: &Project) -> Vec<Value> {
    let jobs = call(project, "jobs.claim", json!({"kinds": ["host.report"]}));
    jobs.as_array().expect("a list").clone()
}

#[track_caller]
fn report(project: &Project, job: &Value, outcome: Value) -> Value {
    call(project, "jobs.report", json!({"id": job["id"], "lease_token": job["lease_token"], "outcome": outcome}))
}

#[track_caller]
fn refused_report(project: &Project, job: &Value, outcome: Value) -> ErrorCode {
    let input = json!({"id": job["id"], "lease_token": job["lease_token"], "outcome": outcome});
    refused(project, "jobs.report", input)
}

fn deaths(world: &World, project: &Project) -> Vec<Value> {
    let query = EventQuery { types: vec!["job.dead".to_owned()], limit: 10, ..EventQuery::default() };
    let events = block_on(world.crm.core().storage().events(Scope::Project(project.id()), &query));
    let events = events.expect("the log is readable");
    events.iter().map(|event| serde_json::from_str(event.data.get()).expect("data is JSON")).collect()
}

#[test]
fn case_8_a_job_is_tried_again_until_it_is_done() {
    let (world, project) = furnished();
    let enqueued = enqueue(&project, json!({"payload": {"month": 1}}));
    for (attempt, pause) in [(1, 6), (2, 12)] {
        let job = claim(&project).remove(0);
        assert_eq!(
            (&job["id"], &job["attempts"], &job["payload"]["month"]),
            (&enqueued["id"], &json!(attempt), &json!(1))
        );
        let waiting = report(&project, &job, json!({"type": "retry", "error": "the printer is out of paper"}));
        assert_eq!(
            (&waiting["state"], &waiting["last_error"]),
            (&json!("scheduled"), &json!("the printer is out of paper"))
        );
        assert!(claim(&project).is_empty(), "before its time");
        world.clock.advance_seconds(pause);
    }
    let job = claim(&project).remove(0);
    let done = report(&project, &job, json!({"type": "done", "result": {"pages": 3}}));
    assert_eq!((&done["state"], &done["attempts"]), (&json!("succeeded"), &json!(3)));
    assert_eq!(call(&project, "jobs.get", json!({"id": done["id"]}))["result"]["pages"], 3);
    assert!(deaths(&world, &project).is_empty());
}

#[test]
fn case_8_what_can_never_work_is_dead_at_once() {
    let (world, project) = furnished();
    enqueue(&project, json!({}));
    let job = claim(&project).remove(0);
    let dead = report(&project, &job, json!({"type": "permanent", "error": "no such month"}));
    assert_eq!(
        (&dead["state"], &dead["last_error"], &dead["attempts"]),
        (&json!("dead"), &json!("no such month"), &json!(1))
    );
    let told = json!({"type": "job.dead", "job_id": dead["id"], "job_kind": "host.report", "error_class": "permanent", "attempts": 1});
    assert_eq!(deaths(&world, &project), [told]);
    call(&project, "jobs.run_now", json!({"id": dead["id"]}));
    assert_eq!(claim(&project).remove(0)["attempts"], 1);
}

#[test]
fn case_8_who_is_asked_to_wait_loses_no_try() {
    let (world, project) = furnished();
    enqueue(&project, json!({}));
    let job = claim(&project).remove(0);
    let waiting = report(&project, &job, json!({"type": "rate_limited", "after_seconds": 60}));
    assert_eq!((&waiting["attempts"], &waiting["run_at"]), (&json!(0), &json!("2025-01-06T09:01:00.000000Z")));
    world.clock.advance_seconds(59);
    assert!(claim(&project).is_empty());
    world.clock.advance_seconds(1);
    assert_eq!(claim(&project).remove(0)["attempts"], 1);
}

#[test]
fn the_last_try_is_the_last() {
    let (world, project) = furnished();
    enqueue(&project, json!({"max_attempts": 2}));
    for state in ["scheduled", "dead"] {
        let job = claim(&project).remove(0);
        assert_eq!(report(&project, &job, json!({"type": "retry", "after_seconds": 0}))["state"], state);
    }
    assert_eq!(deaths(&world, &project)[0]["error_class"], "transient");
}

/// A job may be what its workers die of.
#[test]
fn who_never_reports_loses_the_job_in_the_end() {
    let (world, project) = furnished();
    let enqueued = enqueue(&project, json!({"max_attempts": 2}));
    let first = claim(&project).remove(0);
    world.clock.advance_seconds(31);
    assert_eq!(claim(&project).remove(0)["attempts"], 2);
    assert_eq!(refused_report(&project, &first, json!({"type": "done"})), ErrorCode::LeaseLost);
    world.clock.advance_seconds(31);
    assert!(claim(&project).is_empty());
    let dead = call(&project, "jobs.get", json!({"id": enqueued["id"]}));
    assert_eq!(dead["state"], "dead");
    assert_eq!(deaths(&world, &project)[0]["error_class"], "lease_lost");
}

#[test]
fn case_9_of_one_key_there_is_one_job() {
    let (_world, project) = furnished();
    let key = json!({"unique_key": "report:2031-01"});
    let first = enqueue(&project, key.clone());
    assert_eq!(
        refused(&project, "jobs.enqueue", json!({"kind": "host.report", "unique_key": "report:2031-01"})),
        ErrorCode::JobExists
    );
    let moved = enqueue(
        &project,
        json!({"unique_key": "report:2031-01", "replace": true, "run_at": "2025-02-01T00:00:00Z", "payload": {"month": 2}}),
    );
    assert_eq!((&moved["id"], &moved["run_at"]), (&first["id"], &json!("2025-02-01T00:00:00.000000Z")));
    let list = call(&project, "jobs.list", json!({"kind": "host.report"}));
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(call(&project, "jobs.get", json!({"id": first["id"]}))["payload"]["month"], 2);
    // A key is free again when its job has ended.
    call(&project, "jobs.cancel", json!({"id": first["id"]}));
    assert_ne!(enqueue(&project, key)["id"], first["id"]);
}

#[test]
fn case_9_also_within_one_transaction() {
    let (_world, project) = furnished();
    let step = || crate::engine::Step {
        operation: "jobs.enqueue".to_owned(),
        input: serde_json::value::to_raw_value(&json!({"kind": "host.report", "unique_key": "k"})).expect("JSON"),
    };
    let outcome = block_on(project.crm().transact(project.context(), &[step(), step()]));
    assert_eq!(outcome.map(|_| ()).map_err(|error| error.code()), Err(ErrorCode::JobExists));
    assert!(claim(&project).is_empty());
}

#[test]
fn case_10_jobs_of_one_line_run_one_after_the_other() {
    let (_world, project) = furnished();
    let (first, second) =
        (enqueue(&project, json!({"order_key": "chat:1"})), enqueue(&project, json!({"order_key": "chat:1"})));
    let job = claim(&project);
    assert_eq!((job.len(), &job[0]["id"]), (1, &first["id"]));
    report(&project, &job[0], json!({"type": "done"}));
    assert_eq!(claim(&project)[0]["id"], second["id"]);
}

/// Policy `block`: nothing of its key passes a dead job until somebody runs it again or cancels it.
#[test]
fn case_10_a_job_that_dies_may_block_its_order_key() {
    let (_world, project) = furnished();
    let line = json!({"order_key": "chat:1", "on_dead": "block", "max_attempts": 1});
    let (first, second) = (enqueue(&project, line), enqueue(&project, json!({"order_key": "chat:1"})));
    let get = |job: &Value| call(&project, "jobs.get", json!({"id": job["id"]}));
    assert_eq!((&first["on_dead"], &second["on_dead"]), (&json!("block"), &json!("continue")));
    let dies = || {
        let job = claim(&project).remove(0);
        assert_eq!(job["id"], first["id"]);
        assert_eq!(report(&project, &job, json!({"type": "retry"}))["state"], "dead");
        assert!(claim(&project).is_empty());
        assert_eq!((&get(&second)["state"], &get(&second)["waiting_order"]), (&json!("scheduled"), &json!(true)));
    };
    dies();
    let list = call(&project, "jobs.list", json!({"kind": "host.report"}));
    assert_eq!(list["items"][0]["waiting_order"], true);
    let stats = call(&project, "jobs.stats", json!({}))["kinds"][0].clone();
    assert_eq!(
        (&stats["scheduled"], &stats["waiting_order"], &stats["dead"], &stats["blocking"]),
        (&json!(1), &json!(1), &json!(1), &json!(1))
    );
    call(&project, "jobs.run_now", json!({"id": first["id"]}));
    dies();
    call(&project, "jobs.cancel", json!({"id": first["id"]}));
    assert_eq!(get(&second)["waiting_order"], false);
    assert_eq!(claim(&project)[0]["id"], second["id"]);
    assert_eq!(
        refused(&project, "jobs.enqueue", json!({"kind": "host.report", "on_dead": "block"})),
        ErrorCode::FieldRequired
    );
}

/// A job that blocks is not taken out of its line by erasing somebody it is about, without the line going on.
#[test]
fn case_10_erasing_what_blocks_frees_its_order_key() {
    let (_world, project) = furnished();
    let phone = "+5511987654321";
    enqueue(&project, json!({"order_key": "chat:1", "on_dead": "block", "payload": {"phone": phone}}));
    let second = enqueue(&project, json!({"order_key": "chat:1"}));
    report(&project, &claim(&project)[0], json!({"type": "permanent", "error": "no"}));
    assert!(claim(&project).is_empty());
    let contact = call(&project, "contacts.create", json!({"name": "Ana", "phone": phone}));
    call(
        &project,
        "contacts.erase",
        json!({"id": contact["id"], "confirm": contact["id"], "legal_basis": "user_request"}),
    );
    let worked = block_on(project.crm().run_pending()).expect("it runs");
    assert_eq!(worked.failures, 0);
    assert_eq!(claim(&project)[0]["id"], second["id"]);
}

fn with_max_backlog(storage: Arc<dyn Storage>, max: usize) -> (World, Project) {
    let clock = ManualClock::at("2025-01-06T09:00:00Z");
    let settings = Settings::new(storage, clock.clone(), SeededIds::new(1)).with_max_backlog(max);
    let world = World { crm: block_on(Crm::open(settings)).expect("the store opens"), clock };
    let project = world.found(ProjectId::from_uuid(Uuid::from_u128(0xA11)));
    (world, project)
}

#[test]
fn case_19_no_more_jobs_are_taken_while_too_many_wait() {
    let (world, project) = with_max_backlog(Arc::new(MemoryStorage::default()), 3);
    enqueue(&project, json!({"run_at": "2025-01-06T10:00:00Z"}));
    let waiting: Vec<Value> = (0..3).map(|_| enqueue(&project, json!({}))).collect();
    let input = json!({"kind": "host.report"});
    let full = block_on(project.crm().call("jobs.enqueue", project.context(), input.to_string().as_bytes()));
    let full = full.expect_err("it is refused");
    assert_eq!(
        (full.code(), full.details().get("max"), full.details().get("current")),
        (ErrorCode::JobBacklogFull, Some(&json!(3)), Some(&json!(3)))
    );
    // Another kind and another project have room of their own.
    call(&project, "jobs.enqueue", json!({"kind": "host.other"}));
    enqueue(&world.found(ProjectId::from_uuid(Uuid::from_u128(0xB11))), json!({}));
    call(&project, "jobs.cancel", json!({"id": waiting[0]["id"]}));
    enqueue(&project, json!({}));
    // Moving one that waits makes no new one.
    let (_world, project) = with_max_backlog(Arc::new(MemoryStorage::default()), 1);
    enqueue(&project, json!({"unique_key": "k"}));
    enqueue(&project, json!({"unique_key": "k", "replace": true}));
    // Nor do several in one transaction get past it.
    let (_world, project) = with_max_backlog(Arc::new(MemoryStorage::default()), 2);
    let step = || crate::engine::Step {
        operation: "jobs.enqueue".to_owned(),
        input: serde_json::value::to_raw_value(&json!({"kind": "host.report"})).expect("JSON"),
    };
    let outcome = block_on(project.crm().transact(project.context(), &[step(), step(), step()]));
    assert_eq!(outcome.map(|_| ()).map_err(|error| error.code()), Err(ErrorCode::JobBacklogFull));
}

#[test]
fn case_19_what_waits_is_counted_now_and_then() {
    let store = WatchedStorage::around(Arc::new(MemoryStorage::default()));
    let (world, project) = with_max_backlog(store.clone(), 1_000);
    let counts = |jobs: usize| {
        store.take_calls();
        (0..jobs).for_each(|_| drop(enqueue(&project, json!({}))));
        store.take_calls().into_iter().filter(|call| *call == "backlog").count()
    };
    assert_eq!(counts(500), 1, "one of a thousand leaves half of the rest before it is counted again");
    assert_eq!(counts(251), 2);
    world.clock.advance_seconds(60);
    assert_eq!(counts(1), 1, "nothing is believed for longer than a minute");
    assert_eq!(counts(100), 0);
}

#[test]
fn case_11_a_cancelled_job_drops_its_result() {
    let (_world, project) = furnished();
    enqueue(&project, json!({}));
    let job = claim(&project).remove(0);
    call(&project, "jobs.cancel", json!({"id": job["id"]}));
    assert_eq!(refused_report(&project, &job, json!({"type": "done"})), ErrorCode::LeaseLost);
    assert_eq!(call(&project, "jobs.get", json!({"id": job["id"]}))["state"], "cancelled");
}

#[test]
fn a_heartbeat_keeps_a_job() {
    let (world, project) = furnished();
    enqueue(&project, json!({}));
    let job = claim(&project).remove(0);
    world.clock.advance_seconds(29);
    let kept = report(&project, &job, json!({"type": "heartbeat", "lease_seconds": 600}));
    assert_eq!(kept["leased_until"], "2025-01-06T09:10:29.000000Z");
    world.clock.advance_seconds(599);
    assert!(claim(&project).is_empty());
    report(&project, &job, json!({"type": "done"}));
}

#[test]
fn a_job_comes_in_its_time() {
    let (world, project) = furnished();
    enqueue(&project, json!({"run_at": "2025-01-06T10:00:00Z"}));
    assert!(claim(&project).is_empty());
    world.clock.advance_seconds(3_600);
    assert_eq!(claim(&project).len(), 1);
}

#[test]
fn the_library_s_own_jobs_are_not_the_host_s() {
    let (_world, project) = furnished();
    for kind in ["timer.session_timeout", "host.", "host..x", "host.Report", "report"] {
        assert_eq!(refused(&project, "jobs.enqueue", json!({"kind": kind})), ErrorCode::JobKindUnknown, "{kind}");
        assert_eq!(refused(&project, "jobs.claim", json!({"kinds": [kind]})), ErrorCode::JobKindUnknown, "{kind}");
    }
}

#[test]
fn what_matters_more_is_taken_first() {
    let (world, project) = furnished();
    let at = |seconds: i64| json!(world.clock.now().plus_seconds(seconds).to_string());
    let enqueue = |name: &str, priority: Value, run_at: Value| {
        let input = json!({"payload": name, "priority": priority, "run_at": run_at});
        enqueue(&project, input)["priority"].clone()
    };
    assert_eq!(enqueue("late", Value::Null, at(5)), 0);
    assert_eq!(enqueue("early", json!(0), at(0)), 0);
    assert_eq!(enqueue("last", json!(-32_768), at(0)), -32_768);
    assert_eq!(enqueue("first", json!(32_767), at(9)), 32_767);
    assert_eq!(enqueue("not yet", json!(32_767), at(60)), 32_767);
    world.clock.advance_seconds(10);
    let claimed = claim(&project);
    let names: Vec<&Value> = claimed.iter().map(|job| &job["payload"]).collect();
    assert_eq!(names, ["first", "early", "late", "last"]);
    assert_eq!(claimed[0]["started_at"], at(0));
    let listed = call(&project, "jobs.list", json!({"kind": "host.report", "states": ["scheduled"]}));
    assert_eq!((&listed["items"][0]["priority"], &listed["has_more"]), (&json!(32_767), &json!(false)));
    let too_high = json!({"kind": "host.report", "priority": 32_768});
    assert_eq!(refused(&project, "jobs.enqueue", too_high), ErrorCode::LimitOutOfRange);
}

#[test]
fn a_moved_job_has_the_new_priority() {
    let (_world, project) = furnished();
    enqueue(&project, json!({"unique_key": "k", "priority": 3}));
    let moved = enqueue(&project, json!({"unique_key": "k", "priority": -3, "replace": true}));
    assert_eq!(moved["priority"], -3);
    assert_eq!(call(&project, "jobs.get", json!({"id": moved["id"]}))["priority"], -3);
}

#[test]
fn what_became_of_each_try_is_told() {
    let (world, project) = furnished();
    let job = enqueue(&project, json!({"max_attempts": 4}));
    let seen = || call(&project, "jobs.get", json!({"id": job["id"]}))["history"].clone();
    let long = "x".repeat(2_001);
    let first = claim(&project).remove(0);
    assert_eq!(first["history"], json!([]));
    world.clock.advance_seconds(2);
    report(&project, &first, json!({"type": "retry", "error": long, "after_seconds": 0}));
    let second = claim(&project).remove(0);
    assert_eq!(second["history"].as_array().map(Vec::len), Some(1), "who tries again sees why");
    report(&project, &second, json!({"type": "rate_limited", "after_seconds": 1}));
    world.clock.advance_seconds(1);
    claim(&project);
    // Nobody reports this one.
    world.clock.advance_seconds(40);
    let last = claim(&project).remove(0);
    report(&project, &last, json!({"type": "done"}));
    let failed = |attempt: u32, from: &str, to: &str, duration_ms: u32, class: &str, error: Value| {
        json!({"attempt": attempt, "started_at": from, "ended_at": to, "duration_ms": duration_ms, "outcome": "failed",
            "error_class": class, "error": error, "status": null})
    };
    let (start, second, third, fourth) = (
        "2025-01-06T09:00:00.000000Z",
        "2025-01-06T09:00:02.000000Z",
        "2025-01-06T09:00:03.000000Z",
        "2025-01-06T09:00:33.000000Z",
    );
    let history = seen();
    assert_eq!(history[0], failed(1, start, second, 2_000, "transient", json!(&long[..2_000])));
    assert_eq!(history[1], failed(2, third, fourth, 30_000, "lease_lost", Value::Null));
    assert_eq!((&history[2]["attempt"], &history[2]["outcome"]), (&json!(3), &json!("succeeded")));
    assert_eq!(history.as_array().map(Vec::len), Some(3));

    let once = enqueue(&project, json!({}));
    report(&project, &claim(&project)[0], json!({"type": "done"}));
    assert_eq!(call(&project, "jobs.get", json!({"id": once["id"]}))["history"], json!([]));
}

#[test]
fn a_dead_job_is_not_run_while_another_has_its_key() {
    let (_world, project) = furnished();
    enqueue(&project, json!({"unique_key": "k"}));
    let dead = report(&project, &claim(&project)[0], json!({"type": "permanent", "error": "no"}));
    let other = enqueue(&project, json!({"unique_key": "k"}));
    let run = json!({"id": dead["id"]}).to_string();
    let run = || block_on(project.crm().call("jobs.run_now", project.context(), run.as_bytes()));
    let error = run().expect_err("its key is taken");
    assert_eq!((error.code(), error.field()), (ErrorCode::JobExists, Some("id")));
    assert_eq!(error.details().get("id"), Some(&other["id"]));
    assert_eq!(call(&project, "jobs.get", json!({"id": dead["id"]}))["state"], "dead");
    call(&project, "jobs.cancel", json!({"id": other["id"]}));
    run().expect("its key is free again");
    let seen = call(&project, "jobs.get", json!({"id": dead["id"]}));
    assert_eq!((&seen["state"], &seen["history"][0]["error"]), (&json!("scheduled"), &json!("no")));
}

#[test]
fn how_long_jobs_wait_and_take_is_told() {
    let (world, project) = furnished();
    let kind = |stats: &Value| {
        let kinds = stats["kinds"].as_array().expect("a list").iter();
        kinds.into_iter().find(|kind| kind["kind"] == "host.report").cloned().unwrap_or(Value::Null)
    };
    for seconds in 1..=20 {
        enqueue(&project, json!({}));
        world.clock.advance_seconds(seconds);
        let job = claim(&project).remove(0);
        world.clock.advance_seconds(2);
        report(&project, &job, json!({"type": "done"}));
    }
    enqueue(&project, json!({}));
    report(&project, &claim(&project)[0], json!({"type": "permanent", "error": "no"}));
    let stats = kind(&call(&project, "jobs.stats", json!({})));
    assert_eq!((&stats["succeeded"], &stats["dead"]), (&json!(20), &json!(1)));
    assert_eq!((&stats["wait_p50_ms"], &stats["wait_p95_ms"]), (&json!(10_000), &json!(19_000)));
    assert_eq!((&stats["run_p50_ms"], &stats["run_p95_ms"]), (&json!(2_000), &json!(2_000)));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let (_world, project) = furnished();
    for (input, code) in [
        (json!({"kind": "host.a", "unique_key": ""}), ErrorCode::TextRequired),
        (json!({"kind": "host.a", "order_key": "k".repeat(201)}), ErrorCode::TextTooLong),
        (json!({"kind": "host.a", "max_attempts": 0}), ErrorCode::LimitOutOfRange),
        (json!({"kind": "host.a", "payload": "x".repeat(65_536)}), ErrorCode::JsonTooLarge),
        (json!({"kind": "host.a", "payload": [[[[[[[[[1]]]]]]]]]}), ErrorCode::JsonTooDeep),
    ] {
        assert_eq!(refused(&project, "jobs.enqueue", input), code);
    }
    assert_eq!(refused(&project, "jobs.claim", json!({"kinds": []})), ErrorCode::FieldRequired);
    assert_eq!(refused(&project, "jobs.claim", json!({"kinds": ["host.a"], "limit": 101})), ErrorCode::LimitOutOfRange);
    let unknown = json!({"id": "00000000-0000-0000-0000-000000000001", "lease_token": 1, "outcome": {"type": "done"}});
    assert_eq!(refused(&project, "jobs.report", unknown), ErrorCode::JobNotFound);
}
