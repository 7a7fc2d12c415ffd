//! The timer that ends a session that fell silent. It is lazy: one row per active session, which is moved when it fires
//! early instead of with every message.

use super::Session;
use super::step::end_by_silence;
use crate::engine::{JobOutcome, JobRequest, JobType, Sweep, UnitOfWork};
use crate::kernel::{Component, Error, Result, SessionId, Timestamp};
use crate::storage::{FieldKind, Filter, Find, JobRecord, Leaf, Sort, Test, Value};
use serde::{Deserialize, Serialize};

/// The jobs of sessions.
pub const JOBS: &[JobType] = &[JobType {
    kind: KIND,
    queue: QUEUE,
    component: Component::SessionTimeout,
    max_attempts: 20,
    run: |work, job| Box::pin(fire(work, job)),
}];

/// Sessions whose timer was lost end when a process starts to work.
pub const SWEEPS: &[Sweep] = &[Sweep {
    name: "sessions.overdue",
    component: Component::SessionTimeout,
    run: |work| Box::pin(end_overdue(work)),
}];

/// Sessions ended in one commit of a sweep.
const BATCH: usize = 100;

const KIND: &str = "timer.session_timeout";
const QUEUE: &str = "timer";

#[derive(Serialize, Deserialize)]
struct Payload {
    session_id: SessionId,
}

/// Arms the timer of a session that became active; one that is armed already stays.
pub(super) fn enqueue_timer(work: &mut UnitOfWork<'_>, session: SessionId, deadline: Timestamp) {
    work.enqueue(request(session, deadline));
}

/// Moves the timer, because the session may now end earlier than it was armed for.
pub(super) fn move_timer(work: &mut UnitOfWork<'_>, session: SessionId, deadline: Timestamp) {
    work.schedule(request(session, deadline));
}

fn request(session: SessionId, deadline: Timestamp) -> JobRequest {
    JobRequest {
        queue: QUEUE,
        kind: KIND,
        unique_key: Some(format!("session_timeout:{session}")),
        order_key: None,
        payload: serde_json::json!({ "session_id": session }).to_string(),
        run_at: overdue(deadline),
        parked: false,
    }
}

/// The first moment after a deadline: at the deadline itself a message still belongs to the session.
fn overdue(deadline: Timestamp) -> Timestamp {
    deadline.plus_micros(1)
}

async fn end_overdue(work: &mut UnitOfWork<'_>) -> Result<bool> {
    let find = Find {
        filter: Filter::Leaf(Leaf {
            field: "deadline".to_owned(),
            kind: FieldKind::Instant,
            is_attribute: false,
            test: Test::Less(Value::Instant(work.now())),
        }),
        sort: vec![Sort { field: "deadline".to_owned(), kind: FieldKind::Instant, descending: false }],
        after: None,
        backward: false,
        limit: BATCH,
        include_hidden: false,
        with_total: false,
    };
    let overdue: Vec<SessionId> =
        work.reader().find_states::<Session>(&find).await?.iter().map(|session| session.id).collect();
    work.prefetch::<Session>(&overdue).await?;
    for id in &overdue {
        let mut session = work.load::<Session>(*id).await?;
        if session.is_active() && session.deadline() < work.now() {
            end_by_silence(work, &mut session).await?;
            work.save(session)?;
        }
    }
    Ok(overdue.len() == BATCH)
}

async fn fire(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let payload: Payload = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a session timer cannot be read: {e}")))?;
    let done = JobOutcome::Done { result: None };
    let Some(mut session) = work.find::<Session>(payload.session_id).await? else { return Ok(done) };
    if !session.is_active() {
        return Ok(done);
    }
    if work.now() <= session.deadline() {
        return Ok(JobOutcome::Again(overdue(session.deadline())));
    }
    end_by_silence(work, &mut session).await?;
    work.save(session)?;
    Ok(done)
}
