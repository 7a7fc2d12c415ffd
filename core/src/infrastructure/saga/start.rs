//! How a saga begins, and how it is woken.

use super::events::NewSaga;
use super::{Saga, SagaEvent, SagaStatus};
use crate::engine::{JobRequest, UnitOfWork};
use crate::kernel::{ActorRef, CorrelationId, Error, ErrorCode, Result, SagaId, Timestamp};
use crate::storage::{FieldKind, Filter, Leaf, Test, Value as Indexed};
use serde_json::Value;

/// The kind of the timer that carries a saga on.
pub(super) const ADVANCE: &str = "timer.saga";
/// The most sagas of a kind that are under way in a project.
const MAX_UNFINISHED: u64 = 1_000;

/// A saga that somebody wants.
pub(super) struct NewRun {
    pub kind: String,
    pub key: String,
    pub input: Value,
    /// Instead of what its definition says.
    pub deadline_at: Option<Timestamp>,
    pub parent_id: Option<SagaId>,
    pub started_by: ActorRef,
    pub correlation_id: CorrelationId,
}

/// Starts a saga, or gives the one of this kind and key that is under way.
///
/// # Errors
/// `saga_kind_unknown`, `saga_key_reused`, `saga_limit`, and those of the input.
pub(super) async fn start(work: &mut UnitOfWork<'_>, run: NewRun) -> Result<(Saga, bool)> {
    let definition = work.reader().core().sagas.newest(&run.kind);
    let definition =
        definition.ok_or_else(|| Error::new(ErrorCode::SagaKindUnknown).at("kind").with("kind", &*run.kind))?;
    definition.check_input(&run.input).map_err(|error| error.at("input"))?;
    if let Some(known) = work.by_key::<Saga>(Saga::BY_KEY, &run.kind, &run.key).await?
        && !known.status.has_ended()
    {
        if known.input != run.input {
            return Err(Error::new(ErrorCode::SagaKeyReused).at("key").with("id", known.id.to_string()));
        }
        return Ok((known.state().clone(), false));
    }
    let unfinished = work.reader().count::<Saga>(None, under_way().and(of_kind(&run.kind))).await?;
    if unfinished >= MAX_UNFINISHED {
        return Err(Error::new(ErrorCode::SagaLimit).with("max", MAX_UNFINISHED));
    }
    let by_definition = definition.deadline_seconds.map(|seconds| work.now().plus_seconds(seconds));
    let new = NewSaga {
        kind: run.kind,
        definition_version: definition.version,
        key: run.key,
        input: run.input,
        correlation_id: run.correlation_id,
        deadline_at: run.deadline_at.or(by_definition),
        parent_id: run.parent_id,
        started_by: run.started_by,
    };
    let saga = work.create::<Saga>(work.new_id(), SagaEvent::Started(Box::new(new)))?;
    wake(work, saga.id);
    Ok((work.save(saga)?, true))
}

/// Starts a saga of the library's own where `work` is, or gives the one that is under way.
pub(crate) async fn start_shipped(work: &mut UnitOfWork<'_>, kind: &str, key: String, input: Value) -> Result<Saga> {
    let run = NewRun {
        kind: kind.to_owned(),
        key,
        input,
        deadline_at: None,
        parent_id: None,
        started_by: work.actor().clone(),
        correlation_id: work.correlation_id(),
    };
    Ok(start(work, run).await?.0)
}

/// Has a saga carried on as soon as somebody works.
pub(crate) fn wake(work: &mut UnitOfWork<'_>, id: SagaId) {
    wake_at(work, id, work.now(), 0);
}

/// Has a saga looked at then; `unheard` tells how often in a row whoever looked did not know its kind.
pub(super) fn wake_at(work: &mut UnitOfWork<'_>, id: SagaId, run_at: Timestamp, unheard: u32) {
    let payload = match unheard {
        0 => serde_json::json!({ "saga_id": id }),
        _ => serde_json::json!({ "saga_id": id, "unheard": unheard }),
    };
    work.schedule(JobRequest {
        queue: "timer",
        kind: ADVANCE,
        unique_key: Some(format!("saga:{id}")),
        order_key: None,
        payload: payload.to_string(),
        run_at,
        parked: false,
    });
}

/// Those that have not ended.
pub(super) fn under_way() -> Filter {
    let words = [SagaStatus::Running, SagaStatus::Waiting, SagaStatus::Compensating];
    let words = words.map(|status| Indexed::Text(status.as_str().to_owned()));
    let test = Test::In(words.to_vec());
    Filter::Leaf(Leaf { field: "status".to_owned(), kind: FieldKind::Enum, is_attribute: false, test })
}

fn of_kind(kind: &str) -> Filter {
    Filter::eq("kind", FieldKind::Text, kind)
}
