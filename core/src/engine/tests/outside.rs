//! Jobs that call the outside: planned, called and settled, once in the store whatever happens between.

use super::*;
use crate::engine::{Decision, JobOutcome, JobRequest, OUTSIDE, OutsideJob, Plan, UnitOfWork};
use crate::http::{HttpFailure, HttpMethod, HttpRequest, HttpResponse};
use crate::kernel::Component;
use crate::storage::MemoryStorage;
use crate::testing::FakeOutside;
use futures_util::future::BoxFuture;
use std::sync::Arc;

const OTHER: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xB11));

/// Posts the job's id, with which the other side tells calls apart, and keeps what comes back. A 503 is tried again in 10 seconds.
pub(crate) const JOBS: &[OutsideJob] = &[OutsideJob {
    kind: "test.post",
    component: Component::Host,
    max_attempts: 3,
    has_breaker: true,
    plan: |_, job| {
        Box::pin(async move {
            if job.payload == r#""unneeded""# {
                return Ok(Plan::Settled(JobOutcome::Done { result: None }));
            }
            let request = HttpRequest::new(HttpMethod::Post, "https://example.com/hook");
            Ok(Plan::Call(request.header("idempotency-key", job.id.to_string())))
        })
    },
    settle: |work, _, answer| {
        Box::pin(async move {
            let at = work.now().plus_seconds(10);
            match answer {
                Ok(answer) if answer.status == 503 => Ok(JobOutcome::Retry { at, error: "503".to_owned() }),
                Ok(answer) => Ok(JobOutcome::Done { result: Some(answer.status.to_string()) }),
                Err(failure) => Err(crate::kernel::Error::unavailable(failure.to_string())),
            }
        })
    },
}];

struct Post(usize, &'static str);

impl Decision<()> for Post {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<()>> {
        for number in 0..self.0 {
            work.enqueue(JobRequest {
                queue: OUTSIDE,
                kind: "test.post",
                unique_key: Some(format!("{}:{number}", self.1)),
                order_key: None,
                payload: json!(self.1).to_string(),
                run_at: work.now(),
                parked: false,
            });
        }
        Box::pin(async { Ok(()) })
    }
}

/// A desk with a way to the outside.
fn desk(outside: &Arc<FakeOutside>) -> Desk {
    let world = World::with_http(Arc::new(MemoryStorage::default()), outside.clone());
    let project = world.found(PROJECT);
    Desk { world, project }
}

fn post(project: &Project, number: usize, name: &'static str) {
    block_on(project.crm().transaction(project.context(), None, &Post(number, name))).map(drop).expect("enqueued");
}

#[track_caller]
fn job(desk: &Desk, key: &str) -> Value {
    let id = desk.call("jobs.list", json!({"unique_key_prefix": key}))["items"][0]["id"].clone();
    desk.call("jobs.get", json!({"id": id}))
}

fn key(request: &HttpRequest) -> &str {
    &request.headers[0].1
}

#[test]
fn a_call_is_made_once() {
    let outside = FakeOutside::new(|_| Ok(HttpResponse::new(204, "")));
    let desk = desk(&outside);
    post(&desk.project, 1, "a");
    let report = block_on(desk.world.crm.run_pending()).expect("it runs");
    assert_eq!((report.jobs, report.failures), (1, 0));
    let done = job(&desk, "a:0");
    assert_eq!((&done["state"], &done["result"], &done["attempts"]), (&json!("succeeded"), &json!(204), &json!(1)));
    assert_eq!(outside.asked().iter().map(key).collect::<Vec<_>>(), [done["id"].as_str().expect("an id")]);
    assert_eq!(block_on(desk.world.crm.run_pending()).expect("it runs").jobs, 0);
}

#[test]
fn what_need_not_be_called_is_not() {
    let outside = FakeOutside::new(|_| Ok(HttpResponse::new(204, "")));
    let desk = desk(&outside);
    post(&desk.project, 1, "unneeded");
    block_on(desk.world.crm.run_pending()).expect("it runs");
    assert_eq!((outside.asked().len(), &job(&desk, "unneeded:0")["state"]), (0, &json!("succeeded")));
}

/// Case 20 of the outbox page.
#[test]
fn case_20_an_endpoint_that_fails_is_left_alone_for_a_while() {
    let outside = FakeOutside::new(|_| Ok(HttpResponse::new(503, "")));
    let desk = desk(&outside);
    let run = || block_on(desk.world.crm.run_pending()).expect("it runs");
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        post(&desk.project, 1, name);
        run();
    }
    assert_eq!(outside.asked().len(), 10);
    post(&desk.project, 20, "k");
    run();
    assert_eq!(outside.asked().len(), 0, "nobody is called");
    let waiting = job(&desk, "k:7");
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("scheduled"), &json!(0)));
    assert_eq!(waiting["run_at"], "2025-01-06T09:00:30.000000Z", "one step until then");
    let stats = desk.call("jobs.stats", json!({}));
    let alone = json!([{"endpoint": "https://example.com:443", "until": "2025-01-06T09:00:30.000000Z"}]);
    assert_eq!(stats["left_alone"], alone);
    // A trial that fails: it is left alone again.
    desk.world.clock.advance_seconds(30);
    run();
    assert_eq!(outside.asked().len(), 1, "the first failed");
    desk.world.clock.advance_seconds(29);
    run();
    assert_eq!(outside.asked().len(), 0);
    outside.answer(|_| Ok(HttpResponse::new(200, "")));
    desk.world.clock.advance_seconds(1);
    run();
    assert_eq!(job(&desk, "k:7")["last_error"], Value::Null);
    desk.world.clock.advance_seconds(10);
    run();
    assert_eq!(desk.call("jobs.stats", json!({}))["left_alone"], json!([]));
    assert_eq!(outside.asked().len(), 30, "everything is done: ten, and twenty");
    let done = job(&desk, "k:7");
    assert_eq!((&done["state"], &done["attempts"]), (&json!("succeeded"), &json!(1)));
}

/// Case 8 of the outbox page: the same key at every try.
#[test]
fn case_8_a_call_is_tried_again_with_its_key() {
    let outside = FakeOutside::new(|_| Ok(HttpResponse::new(503, "")));
    let desk = desk(&outside);
    post(&desk.project, 1, "a");
    block_on(desk.world.crm.run_pending()).expect("it runs");
    let waiting = job(&desk, "a:0");
    assert_eq!((&waiting["state"], &waiting["last_error"]), (&json!("scheduled"), &json!("503")));
    let tried = &waiting["history"][0];
    assert_eq!((&tried["status"], &tried["error_class"]), (&json!(503), &json!("transient")));
    assert_eq!(waiting["run_at"], "2025-01-06T09:00:10.000000Z");
    outside.answer(|_| Ok(HttpResponse::new(200, "")));
    desk.world.clock.advance_seconds(10);
    block_on(desk.world.crm.run_pending()).expect("it runs");
    let done = job(&desk, "a:0");
    assert_eq!((&done["state"], &done["attempts"]), (&json!("succeeded"), &json!(2)));
    let asked = outside.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(key(&asked[0]), key(&asked[1]));
}

#[test]
fn a_failure_of_ours_ends_after_three_tries() {
    let outside = FakeOutside::new(|_| Err(HttpFailure::Connect));
    let desk = desk(&outside);
    post(&desk.project, 1, "a");
    for _ in 0..5 {
        block_on(desk.world.crm.run_pending()).expect("it runs");
        desk.world.clock.advance_seconds(600);
    }
    let dead = job(&desk, "a:0");
    assert_eq!((&dead["state"], &dead["attempts"]), (&json!("dead"), &json!(3)));
    assert_eq!(outside.asked().len(), 3);
}

#[test]
fn who_dies_in_the_middle_is_followed_by_somebody_with_the_same_key() {
    let outside = FakeOutside::new(|_| Ok(HttpResponse::new(200, "")));
    let desk = desk(&outside);
    post(&desk.project, 1, "a");
    // Taken, and never run.
    assert_eq!(block_on(desk.world.crm.claim_calls(5)).expect("it is due").len(), 1);
    block_on(desk.world.crm.run_pending()).expect("it runs");
    assert!(outside.asked().is_empty());
    desk.world.clock.advance_seconds(31);
    block_on(desk.world.crm.run_pending()).expect("it runs");
    assert_eq!((outside.asked().len(), &job(&desk, "a:0")["attempts"]), (1, &json!(2)));
}

#[test]
fn a_call_that_was_cancelled_meanwhile_changes_nothing() {
    let outside = FakeOutside::new(|_| Ok(HttpResponse::new(200, "")));
    let desk = desk(&outside);
    post(&desk.project, 1, "a");
    let call = block_on(desk.world.crm.claim_calls(5)).expect("it is due").remove(0);
    let id = job(&desk, "a:0")["id"].clone();
    desk.call("jobs.cancel", json!({"id": id}));
    assert!(block_on(call.run()).expect("it runs"));
    assert!(outside.asked().is_empty(), "its lease is void before the call");
    assert_eq!(job(&desk, "a:0")["state"], "cancelled");
}

/// Nobody waits for the many of another.
#[test]
fn projects_take_turns() {
    let outside = FakeOutside::new(|_| Ok(HttpResponse::new(200, "")));
    let desk = desk(&outside);
    let other = desk.world.found(OTHER);
    post(&desk.project, 40, "many");
    post(&other, 1, "one");
    let first: Vec<_> = block_on(desk.world.crm.claim_calls(2)).expect("they are due");
    assert_eq!(first.len(), 2);
    for call in first {
        block_on(call.run()).expect("it runs");
    }
    let list = block_on(other.crm().call("jobs.list", other.context(), b"{}")).expect("listed");
    assert!(list.contains(r#""state":"succeeded""#), "{list}");
}

#[test]
fn without_a_way_out_calls_wait() {
    let desk = Desk::new();
    post(&desk.project, 1, "a");
    block_on(desk.world.crm.run_pending()).expect("it runs");
    assert_eq!(job(&desk, "a:0")["state"], "scheduled");
    assert_eq!(block_on(desk.world.crm.next_due()).expect("readable"), None, "nobody wakes for what cannot be done");
}
