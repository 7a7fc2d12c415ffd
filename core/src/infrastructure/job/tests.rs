//! The acceptance cases of the outbox page that are about jobs, on the operations that see and mend them.

use crate::engine::{Decision, JobRequest, Project, UnitOfWork};
use crate::kernel::{ErrorCode, ProjectId, Result};
use crate::testing::{World, block_on};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));
const OTHER: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xB11));

/// Enqueues a job of a kind that nobody knows, so that running it kills it.
struct Enqueue {
    key: &'static str,
    in_seconds: i64,
}

impl Decision<()> for Enqueue {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<()>> {
        work.enqueue(JobRequest {
            queue: "timer",
            kind: "timer.unheard_of",
            unique_key: Some(self.key.to_owned()),
            order_key: None,
            payload: json!({"for": self.key}).to_string(),
            run_at: work.now().plus_seconds(self.in_seconds),
            parked: false,
        });
        Box::pin(async { Ok(()) })
    }
}

fn attempt(project: &Project, operation: &str, input: &Value) -> Result<Value> {
    let output = block_on(project.crm().call(operation, project.context(), input.to_string().as_bytes()))?;
    Ok(serde_json::from_str(&output).expect("an output is JSON"))
}

#[track_caller]
pub(crate) fn call(project: &Project, operation: &str, input: Value) -> Value {
    attempt(project, operation, &input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
}

#[track_caller]
pub(crate) fn refused(project: &Project, operation: &str, input: Value) -> ErrorCode {
    attempt(project, operation, &input).map_or_else(|error| error.code(), |output| panic!("{operation} gave {output}"))
}

/// A project with two jobs, one of them far away.
pub(super) fn furnished() -> (World, Project) {
    let world = World::new();
    let project = world.found(PROJECT);
    for enqueue in [Enqueue { key: "soon", in_seconds: 60 }, Enqueue { key: "later", in_seconds: 900 }] {
        block_on(world.crm.transaction(project.context(), None, &enqueue)).map(drop).expect("enqueued");
    }
    (world, project)
}

#[track_caller]
fn keyed(project: &Project, key: &str) -> Value {
    let list = call(project, "jobs.list", json!({"unique_key_prefix": key}));
    list["items"][0].clone()
}

#[test]
fn jobs_are_seen_counted_and_hurried() {
    let (world, project) = furnished();
    let later = keyed(&project, "later");
    assert_eq!((&later["state"], &later["attempts"]), (&json!("scheduled"), &json!(0)));
    let all = call(&project, "jobs.list", json!({"limit": 1, "kind": "timer.unheard_of"}));
    assert_eq!((&all["items"][0]["unique_key"], &all["has_more"]), (&json!("later"), &json!(true)));
    let rest = call(&project, "jobs.list", json!({"limit": 1, "cursor": all["next_cursor"], "queue": "timer"}));
    assert_eq!(rest["items"][0]["unique_key"], "soon");
    let details = call(&project, "jobs.get", json!({"id": later["id"]}));
    assert_eq!((&details["payload"], &details["result"]), (&json!({"for": "later"}), &Value::Null));

    world.clock.advance_seconds(120);
    let stats = call(&project, "jobs.stats", json!({}));
    let kind = &stats["kinds"][0];
    assert_eq!((&kind["scheduled"], &kind["due"], &kind["dead"]), (&json!(2), &json!(1), &json!(0)));
    assert_eq!(kind["due_since"], "2025-01-06T09:01:00.000000Z");
    let hurried = call(&project, "jobs.run_now", json!({"id": later["id"]}));
    assert_eq!(hurried["run_at"], "2025-01-06T09:02:00.000000Z");
    assert_eq!(hurried["id"], later["id"]);
    assert_eq!(block_on(world.crm.run_pending()).expect("it runs").failures, 2, "nobody knows their kind");
    let dead = call(&project, "jobs.get", json!({"id": later["id"]}));
    assert_eq!((&dead["state"], &dead["last_error"]), (&json!("dead"), &json!("job_kind_unknown")));

    let again = call(&project, "jobs.run_now", json!({"id": later["id"]}));
    assert_eq!((&again["state"], &again["attempts"]), (&json!("scheduled"), &json!(0)));
    assert_eq!(block_on(world.crm.run_pending()).expect("it runs").failures, 1);
    assert_eq!(call(&project, "jobs.stats", json!({}))["kinds"][0]["dead"], 2);
}

#[test]
fn case_11_a_cancelled_job_never_runs() {
    let (world, project) = furnished();
    let soon = keyed(&project, "soon");
    let cancelled = call(&project, "jobs.cancel", json!({"id": soon["id"]}));
    assert_eq!(cancelled["state"], "cancelled");
    for operation in ["jobs.cancel", "jobs.run_now"] {
        assert_eq!(refused(&project, operation, json!({"id": soon["id"]})), ErrorCode::InvalidState);
    }
    world.clock.advance_seconds(120);
    assert_eq!(block_on(world.crm.run_pending()).expect("it runs").jobs, 0);
    assert_eq!(keyed(&project, "soon")["state"], "cancelled");
    let states = call(&project, "jobs.list", json!({"states": ["scheduled"], "kind": "timer.unheard_of"}));
    assert_eq!(states["items"].as_array().map(Vec::len), Some(1));

    let other = world.found(OTHER);
    for operation in ["jobs.get", "jobs.cancel", "jobs.run_now"] {
        assert_eq!(refused(&other, operation, json!({"id": soon["id"]})), ErrorCode::JobNotFound);
    }
    assert_eq!(refused(&project, "jobs.list", json!({"limit": 101})), ErrorCode::LimitOutOfRange);
    assert_eq!(refused(&project, "jobs.list", json!({"cursor": "x"})), ErrorCode::CursorInvalid);
}
