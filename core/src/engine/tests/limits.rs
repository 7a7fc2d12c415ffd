//! What the engine refuses whatever the operation: commits that are too large, names that are its own, work it cannot know.

use super::*;
use crate::catalogue::CustomEvent;
use crate::engine::{Decision, JobRequest, SubscribeOptions, UnitOfWork};
use crate::kernel::AgentId;
use crate::storage::{JobQuery, JobState};
use futures_util::future::BoxFuture;

/// Records so many events of the host, with so many bytes each.
struct Record {
    events: usize,
    bytes: usize,
}

impl Decision<()> for Record {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for _ in 0..self.events {
                let data = [("text".to_owned(), json!("x".repeat(self.bytes)))].into_iter().collect();
                let event = CustomEvent { event_type: "custom.noted".to_owned(), data, subjects: Vec::new() };
                work.record_custom(event, work.now(), None)?;
            }
            Ok(())
        })
    }
}

#[track_caller]
fn refused(desk: &Desk, decision: &Record) -> ErrorCode {
    let before = desk.log().len();
    let outcome = block_on(desk.world.crm.transaction(desk.project.context(), None, decision));
    assert_eq!(desk.log().len(), before);
    outcome.map(drop).expect_err("it is too much").code()
}

#[test]
fn a_commit_and_an_event_have_a_size() {
    let desk = Desk::new();
    assert_eq!(refused(&desk, &Record { events: 1_001, bytes: 1 }), ErrorCode::CommitTooLarge);
    assert_eq!(refused(&desk, &Record { events: 1, bytes: 256 * 1024 }), ErrorCode::EventTooLarge);
}

#[test]
fn the_names_of_reactions_are_not_for_hosts() {
    let desk = Desk::new();
    let subscribed = block_on(desk.world.crm.subscribe(PROJECT, "ventros.mine", SubscribeOptions::default()));
    let error = subscribed.map(drop).expect_err("it begins with the name of the house");
    assert_eq!((error.code(), error.field()), (ErrorCode::BuiltinProtected, Some("name")));
}

struct Enqueue;

impl Decision<()> for Enqueue {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<()>> {
        work.enqueue(JobRequest {
            queue: "timer",
            kind: "timer.unheard_of",
            unique_key: None,
            order_key: None,
            payload: "{}".to_owned(),
            run_at: work.now(),
            parked: false,
        });
        Box::pin(async { Ok(()) })
    }
}

#[test]
fn a_job_of_an_unknown_kind_is_kept_and_not_run() {
    let desk = Desk::new();
    block_on(desk.world.crm.transaction(desk.project.context(), None, &Enqueue)).map(drop).expect("it is kept");
    let report = block_on(desk.world.crm.run_pending()).expect("the others go on");
    assert_eq!(report.failures, 1);
    let query = JobQuery { states: vec![JobState::Dead], limit: 10, ..JobQuery::default() };
    let dead = block_on(desk.world.crm.core().storage().jobs(Scope::Project(PROJECT), &query)).expect("readable");
    let errors: Vec<_> = dead.iter().map(|job| job.last_error.as_deref()).collect();
    assert_eq!(errors, [Some(ErrorCode::JobKindUnknown.as_str())]);
}

#[test]
fn reserved_agents_and_unknown_deliveries_are_told() {
    let reserved = AgentId::parse("00000000-0000-0000-0000-000000000010").expect("an id");
    let error = crate::kernel::refuse_reserved(reserved).expect_err("a system agent");
    assert_eq!(error.code(), ErrorCode::ReservedId);
    let desk = Desk::new();
    let nobody = json!({"id": "0190b6f0-0000-7000-8000-000000000001"});
    assert_eq!(desk.refused("inbound.get", nobody), ErrorCode::InboundItemNotFound);
    let twice = json!({"agent_ids": vec!["0190b6f0-0000-7000-8000-000000000001"; 2]});
    let input = json!({"name": "Acme", "agent_assignment": twice});
    let context = Context::new(None, desk.project.context().actor);
    let error = desk.attempt_in(context, "projects.create", &input).expect_err("one agent twice");
    assert_eq!(error.code(), ErrorCode::AgentAlreadyInAssignment);
}
