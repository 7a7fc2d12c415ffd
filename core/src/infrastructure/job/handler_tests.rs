//! The acceptance cases of the outbox page that are about handlers: room, leases, lost jobs and the end.

use super::host::{ClaimedJob, ReportedOutcome};
use super::tests::{call, furnished};
use super::{HandleOptions, Handler};
use crate::engine::Project;
use crate::kernel::{ErrorCode, JobId};
use crate::testing::block_on;
use serde_json::{Value, json};

fn handler(project: &Project, options: HandleOptions) -> Handler {
    project.crm().handle(Some(project.id()), "host.report", options).expect("the options fit")
}

/// Somebody else's, who takes whatever is there.
fn rival(project: &Project) -> Handler {
    project
        .crm()
        .handle(None, "host.report", HandleOptions { concurrency: 100, ..HandleOptions::default() })
        .expect("fits")
}

#[track_caller]
fn enqueue(project: &Project, count: usize) {
    for _ in 0..count {
        call(project, "jobs.enqueue", json!({"kind": "host.report"}));
    }
}

#[track_caller]
fn next(handler: &Handler) -> Vec<ClaimedJob> {
    block_on(handler.next()).expect("the store answers")
}

#[track_caller]
fn report(handler: &Handler, id: JobId, outcome: Value) -> bool {
    let outcome = serde_json::from_value::<ReportedOutcome>(outcome).expect("an outcome");
    block_on(handler.report(id, outcome)).expect("it is kept")
}

#[track_caller]
fn keep(handler: &Handler) -> Vec<JobId> {
    block_on(handler.keep()).expect("the store answers")
}

fn state(project: &Project, id: JobId) -> (Value, Value) {
    let mut job = call(project, "jobs.get", json!({"id": id}));
    (job["state"].take(), job["attempts"].take())
}

fn id(job: &ClaimedJob) -> JobId {
    job.job.job.id
}

#[test]
fn no_more_is_taken_than_there_is_room_for() {
    let (_world, project) = furnished();
    enqueue(&project, 5);
    let handler = handler(&project, HandleOptions { concurrency: 2, ..HandleOptions::default() });
    let first = next(&handler);
    assert_eq!(first.len(), 2);
    assert!(next(&handler).is_empty());
    assert!(report(&handler, id(&first[0]), json!({"type": "done"})));
    assert_eq!(next(&handler).len(), 1);
    assert_eq!(next(&rival(&project)).len(), 2, "the others are free for others");
}

#[test]
fn case_8_the_key_of_a_job_is_the_same_at_every_try() {
    let (world, project) = furnished();
    enqueue(&project, 1);
    let handler = handler(&project, HandleOptions::default());
    let mut keys = Vec::new();
    for (attempt, outcome) in
        [(1, json!({"type": "retry"})), (2, json!({"type": "retry"})), (3, json!({"type": "done"}))]
    {
        let job = next(&handler).remove(0);
        assert_eq!(job.job.job.attempts, attempt);
        assert_eq!(job.project_id, project.id());
        keys.push(job.idempotency_key.clone());
        assert!(report(&handler, id(&job), outcome));
        world.clock.advance_seconds(60);
    }
    assert!(next(&handler).is_empty());
    assert_eq!(keys, [keys[0].as_str(); 3]);
}

#[test]
fn who_gives_signs_of_life_keeps_a_job_for_longer_than_a_lease() {
    let (world, project) = furnished();
    enqueue(&project, 1);
    let (handler, rival) = (handler(&project, HandleOptions::default()), rival(&project));
    let job = next(&handler).remove(0);
    for _ in 0..30 {
        world.clock.advance_seconds(25);
        assert!(keep(&handler).is_empty());
        assert!(next(&rival).is_empty());
    }
    assert!(report(&handler, id(&job), json!({"type": "done"})));
    assert_eq!(state(&project, id(&job)), (json!("succeeded"), json!(1)));
}

#[test]
fn who_gives_none_loses_it_and_the_late_result_is_dropped() {
    let (world, project) = furnished();
    enqueue(&project, 1);
    let (handler, rival) = (handler(&project, HandleOptions::default()), rival(&project));
    let job = next(&handler).remove(0);
    world.clock.advance_seconds(31);
    assert_eq!(next(&rival).len(), 1);
    assert!(next(&handler).is_empty());
    assert_eq!(keep(&handler), [id(&job)]);
    assert!(keep(&handler).is_empty(), "it is told once");
    assert!(!report(&handler, id(&job), json!({"type": "done"})));
    assert_eq!(state(&project, id(&job)), (json!("running"), json!(2)));
    assert!(report(&rival, id(&job), json!({"type": "done"})));
    assert!(!report(&rival, id(&job), json!({"type": "done"})), "what is reported is out of its hands");
}

#[test]
fn a_try_that_takes_too_long_has_failed_and_keeps_its_place() {
    let (world, project) = furnished();
    enqueue(&project, 1);
    let handler = handler(&project, HandleOptions { concurrency: 1, timeout_seconds: 45 });
    let job = next(&handler).remove(0);
    assert_eq!(job.report_by, world.crm.core().now().plus_seconds(45));
    world.clock.advance_seconds(25);
    assert!(keep(&handler).is_empty());
    world.clock.advance_seconds(20);
    assert_eq!(keep(&handler), [id(&job)]);
    let failed = call(&project, "jobs.get", json!({"id": id(&job)}));
    assert_eq!(
        (&failed["state"], &failed["last_error"]),
        (&json!("scheduled"), &json!("it took longer than 45 seconds"))
    );
    world.clock.advance_seconds(60);
    assert!(next(&handler).is_empty(), "whoever is at work still takes its room");
    assert!(!report(&handler, id(&job), json!({"type": "done"})));
    assert_eq!(next(&handler).remove(0).job.job.attempts, 2);
}

#[test]
fn a_last_try_that_takes_too_long_says_so() {
    let (world, project) = furnished();
    call(&project, "jobs.enqueue", json!({"kind": "host.report", "max_attempts": 1}));
    let handler = handler(&project, HandleOptions { concurrency: 1, timeout_seconds: 5 });
    let job = next(&handler).remove(0);
    world.clock.advance_seconds(5);
    assert_eq!(keep(&handler), [id(&job)]);
    assert_eq!(state(&project, id(&job)), (json!("dead"), json!(1)));
    let query = crate::storage::EventQuery { types: vec!["job.dead".to_owned()], limit: 9, ..Default::default() };
    let scope = crate::storage::Scope::Project(project.id());
    let told = block_on(world.crm.core().storage().events(scope, &query)).expect("the log is readable");
    let data: Value = serde_json::from_str(told[0].data.get()).expect("JSON");
    assert_eq!((told.len(), &data["error_class"]), (1, &json!("timeout")));
}

#[test]
fn case_11_a_cancelled_job_is_told_at_the_next_sign_of_life() {
    let (world, project) = furnished();
    enqueue(&project, 1);
    let handler = handler(&project, HandleOptions::default());
    let job = next(&handler).remove(0);
    call(&project, "jobs.cancel", json!({"id": id(&job)}));
    assert!(keep(&handler).is_empty());
    world.clock.advance_seconds(10);
    assert_eq!(keep(&handler), [id(&job)]);
    assert!(!report(&handler, id(&job), json!({"type": "done", "result": 1})));
    let ended = call(&project, "jobs.get", json!({"id": id(&job)}));
    assert_eq!((&ended["state"], &ended["result"]), (&json!("cancelled"), &Value::Null));
}

#[test]
fn whoever_ends_hands_back_what_is_left_and_no_try_is_counted() {
    let (_world, project) = furnished();
    enqueue(&project, 3);
    let handler = handler(&project, HandleOptions { concurrency: 2, ..HandleOptions::default() });
    let jobs = next(&handler);
    handler.end();
    assert!(report(&handler, id(&jobs[0]), json!({"type": "done"})));
    assert!(next(&handler).is_empty() && !handler.is_done());
    block_on(handler.release()).expect("the store answers");
    assert!(handler.is_done());
    assert_eq!(state(&project, id(&jobs[1])), (json!("scheduled"), json!(0)));
    assert_eq!(next(&rival(&project)).len(), 2);
}

#[test]
fn what_cannot_be_kept_is_reported_again() {
    let (_world, project) = furnished();
    enqueue(&project, 1);
    let handler = handler(&project, HandleOptions::default());
    let job = next(&handler).remove(0);
    let large = ReportedOutcome::Done { result: "x".repeat(20_000).into() };
    let refused = block_on(handler.report(id(&job), large)).expect_err("too large");
    assert_eq!(refused.code(), ErrorCode::JsonTooLarge);
    assert!(report(&handler, id(&job), json!({"type": "retry", "error": "too large"})));
}

#[test]
fn it_knows_when_to_look_again() {
    let (world, project) = furnished();
    let start = world.crm.core().now();
    let handler = handler(&project, HandleOptions { concurrency: 1, timeout_seconds: 35 });
    let due = || block_on(handler.due()).expect("the store answers").map(|due| due.seconds_since(start));
    assert_eq!(due(), None);
    call(&project, "jobs.enqueue", json!({"kind": "host.report", "run_at": start.plus_seconds(100)}));
    assert_eq!(due(), Some(100));
    enqueue(&project, 2);
    assert_eq!(due(), Some(0));
    let job = next(&handler).remove(0);
    assert_eq!(due(), Some(10), "without room only the lease matters");
    world.clock.advance_seconds(10);
    assert!(keep(&handler).is_empty());
    assert_eq!(due(), Some(35), "the lease covers the rest of its time");
    world.clock.advance_seconds(25);
    assert_eq!(keep(&handler), [id(&job)]);
    assert_eq!(due(), None);
}

#[test]
fn projects_take_turns() {
    let (world, project) = furnished();
    let other = world.found(crate::kernel::ProjectId::from_uuid(uuid::Uuid::from_u128(0xB11)));
    enqueue(&project, 5);
    enqueue(&other, 1);
    let options = HandleOptions { concurrency: 2, ..HandleOptions::default() };
    let everywhere = world.crm.handle(None, "host.report", options).expect("the options fit");
    let taken: Vec<_> = next(&everywhere).iter().map(|job| job.project_id).collect();
    assert_eq!(taken.len(), 2);
    assert!(taken.contains(&other.id()) && taken.contains(&project.id()));
}

#[test]
fn what_is_no_handler_is_refused() {
    let (_world, project) = furnished();
    for (kind, concurrency, timeout_seconds, code) in [
        ("report", 1, 30, ErrorCode::JobKindUnknown),
        ("host.report", 0, 30, ErrorCode::LimitOutOfRange),
        ("host.report", 101, 30, ErrorCode::LimitOutOfRange),
        ("host.report", 1, 0, ErrorCode::LimitOutOfRange),
        ("host.report", 1, 3_601, ErrorCode::LimitOutOfRange),
    ] {
        let refused = project.crm().handle(None, kind, HandleOptions { concurrency, timeout_seconds }).err();
        assert_eq!(refused.map(|error| error.code()), Some(code));
    }
}
