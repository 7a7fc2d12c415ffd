//! What people do to sagas: start, tell, call off, set going again, close.

use super::advance::{end, is_past_pivot, to_undo, undone};
use super::definition::SagaDefinition;
use super::registry::Known;
use super::start::{NewRun, start, wake};
use super::state::{MAX_SIGNALS, StepStatus};
use super::step::abandon;
use super::{Saga, SagaEvent, SagaStatus};
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::text::{json_limits, required_text, text};
use crate::kernel::{ActorRef, Error, ErrorCode, Permission, Result, SagaId, Timestamp};
use crate::operations;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The longest key, in characters.
const MAX_KEY: usize = 200;
/// The longest reason and note, in characters.
const MAX_REASON: usize = 500;
const MAX_NOTE: usize = 2_000;
/// The largest input, and the largest data of a signal, in bytes.
const MAX_INPUT: usize = 64 * 1024;
const MAX_SIGNAL: usize = 16 * 1024;
/// How deep they may nest.
const MAX_DEPTH: usize = 8;

/// Starts a procedure of a kind that this process has defined. While one of its kind and key is under way, that one is given instead.
///
/// Nothing is done at once: the background work of the programs that know the kind carries it on, step by step, each step in a commit
/// of its own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartSaga {
    /// As it was defined: `host.onboarding`.
    pub kind: String,
    /// At most 200 characters: what makes it the only one of its kind, such as the id of what it is about.
    pub key: String,
    /// As its definition says; at most 64 KiB of JSON, eight levels deep. Ids rather than secrets.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub input: Value,
    /// When all of it has taken too long; as its definition says unless told.
    #[serde(default)]
    pub deadline_at: Option<Timestamp>,
}

/// A saga, and whether it is new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartedSaga {
    pub saga: Saga,
    /// False when it was under way already.
    pub created: bool,
}

impl Command for StartSaga {
    const NAME: &'static str = "sagas.start";
    const PERMISSION: Permission = Permission::SagasManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::SagaKindUnknown,
        ErrorCode::SagaKeyReused,
        ErrorCode::SagaLimit,
        ErrorCode::FieldRequired,
        ErrorCode::InputInvalid,
        ErrorCode::TextRequired,
        ErrorCode::TextTooLong,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
    ];
    type Output = StartedSaga;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<StartedSaga> {
        required_text(&self.key, MAX_KEY).map_err(|error| error.at("key"))?;
        json_limits(&self.input, MAX_INPUT, MAX_DEPTH).map_err(|error| error.at("input"))?;
        if self.deadline_at.is_some_and(|deadline| deadline <= work.now()) {
            let why = "the deadline of a saga lies ahead";
            return Err(Error::new(ErrorCode::InputInvalid).at("deadline_at").message(why));
        }
        if !self.kind.starts_with("host.") {
            return Err(Error::new(ErrorCode::SagaKindUnknown).at("kind").with("kind", self.kind));
        }
        let run = NewRun {
            kind: self.kind,
            key: self.key,
            input: self.input,
            deadline_at: self.deadline_at,
            parent_id: None,
            started_by: work.actor().clone(),
            correlation_id: work.correlation_id(),
        };
        let (saga, created) = start(work, run).await?;
        Ok(StartedSaga { saga, created })
    }
}

/// Tells a saga something that a step of it waits for, or will. The first step of this signal takes it; at most 100 are kept until
/// then. What comes after the end is recorded and ignored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalSaga {
    /// Which saga, or `kind` and `key`.
    #[serde(default)]
    pub id: Option<SagaId>,
    /// The one under way of this kind and `key`.
    #[serde(default)]
    pub kind: Option<String>,
    #[serde(default)]
    pub key: Option<String>,
    /// A signal that some step of its definition waits for.
    pub name: String,
    /// What the step gives; at most 16 KiB of JSON, eight levels deep.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub data: Value,
}

impl Command for SignalSaga {
    const NAME: &'static str = "sagas.signal";
    const PERMISSION: Permission = Permission::SagasManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::SagaNotFound,
        ErrorCode::SagaSignalUnknown,
        ErrorCode::SagaLimit,
        ErrorCode::FieldRequired,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
    ];
    type Output = Saga;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Saga> {
        json_limits(&self.data, MAX_SIGNAL, MAX_DEPTH).map_err(|error| error.at("data"))?;
        let mut saga = match (self.id, &self.kind, &self.key) {
            (Some(id), _, _) => work.load::<Saga>(id).await?,
            (None, Some(kind), Some(key)) => work
                .by_key::<Saga>(Saga::BY_KEY, kind, key)
                .await?
                .ok_or_else(|| Error::new(ErrorCode::SagaNotFound).with("resource", "saga").at("key"))?,
            _ => return Err(Error::new(ErrorCode::FieldRequired).at("id")),
        };
        let is_unknown = match work.reader().core().sagas.find(&saga.kind, saga.definition_version) {
            Known::Here(definition) => !definition.knows_signal(&self.name),
            // Only who knows the definition can tell.
            Known::Removed | Known::Unheard => false,
        };
        if is_unknown {
            return Err(Error::new(ErrorCode::SagaSignalUnknown).at("name").with("name", self.name));
        }
        if saga.signals.len() >= MAX_SIGNALS {
            return Err(Error::new(ErrorCode::SagaLimit).at("name").with("max", MAX_SIGNALS));
        }
        saga.record(SagaEvent::Signaled { name: self.name, data: self.data });
        if !saga.status.has_ended() {
            wake(work, saga.id);
        }
        work.save(saga)
    }
}

/// Calls a saga off: what it has done is undone, as far as it can be. Not possible any more once a step has succeeded that its definition
/// calls the pivot, nor while it is undone already.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelSaga {
    pub id: SagaId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for CancelSaga {
    const NAME: &'static str = "sagas.cancel";
    const PERMISSION: Permission = Permission::SagasManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::SagaNotFound,
        ErrorCode::SagaPastPivot,
        ErrorCode::SagaKindUnknown,
        ErrorCode::InvalidState,
        ErrorCode::TextTooLong,
    ];
    type Output = Saga;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Saga> {
        let reason = self.reason.map(|reason| text(&reason, MAX_REASON)).transpose();
        let reason = reason.map_err(|error| error.at("reason"))?;
        let saga = work.load::<Saga>(self.id).await?;
        let by = work.actor().clone();
        call_off(work, saga, reason, by).await.map(Arc::unwrap_or_clone)
    }
}

/// Calls a saga off, and the one that it waits for.
fn call_off<'w>(
    work: &'w mut UnitOfWork<'_>,
    mut saga: Root<Saga>,
    reason: Option<String>,
    by: ActorRef,
) -> BoxFuture<'w, Result<Arc<Saga>>> {
    Box::pin(async move {
        if saga.status.has_ended() || saga.status == SagaStatus::Compensating {
            return Err(wrong_state(&saga));
        }
        let definition = definition_of(work, &saga)?;
        if is_past_pivot(&saga, &definition) {
            return Err(Error::new(ErrorCode::SagaPastPivot).with("id", saga.id.to_string()));
        }
        abandon(work, &saga).await?;
        if let Some(child) = saga.waiting_for.as_ref().and_then(|waits| waits.child_id)
            && let Some(child) = work.find::<Saga>(child).await?
        {
            // One that is past its pivot goes on alone.
            match call_off(work, child, reason.clone(), by.clone()).await {
                Err(error) if !matches!(error.code(), ErrorCode::SagaPastPivot | ErrorCode::InvalidState) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        saga.record(SagaEvent::CancelRequested { reason, by });
        let steps = to_undo(&saga, &definition);
        if steps.is_empty() {
            return undone(work, saga);
        }
        saga.record(SagaEvent::CompensationStarted { steps });
        wake(work, saga.id);
        work.keep(saga)
    })
}

/// Sets a saga going again that has failed: at the step that failed, or at an earlier one of those that it did, which are then done
/// again. One that could not be undone goes on with undoing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySaga {
    pub id: SagaId,
    /// The step that failed unless told.
    #[serde(default)]
    pub from_step: Option<String>,
}

impl Command for RetrySaga {
    const NAME: &'static str = "sagas.retry";
    const PERMISSION: Permission = Permission::SagasManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::SagaNotFound, ErrorCode::SagaKeyReused, ErrorCode::InvalidState, ErrorCode::InputInvalid];
    type Output = Saga;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Saga> {
        let mut saga = work.load::<Saga>(self.id).await?;
        if !matches!(saga.status, SagaStatus::Failed | SagaStatus::CompensationFailed) {
            return Err(wrong_state(&saga));
        }
        if let Some(from) = &self.from_step {
            let is_failed = saga.status == SagaStatus::Failed;
            let fits = saga.steps.iter().any(|step| {
                let is_right = matches!(step.status, StepStatus::Succeeded | StepStatus::Failed | StepStatus::Skipped);
                is_failed && is_right && step.step == *from && step.direction == super::StepDirection::Forward
            });
            if !fits {
                let why = "this is no step that it has done or failed at";
                return Err(Error::new(ErrorCode::InputInvalid).at("from_step").message(why));
            }
        }
        let by = work.actor().clone();
        saga.record(SagaEvent::Retried { from_step: self.from_step, by });
        wake(work, saga.id);
        work.save(saga)
    }
}

/// Closes a saga that has failed and that somebody has put right by hand.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveSaga {
    pub id: SagaId,
    /// What was done about it, 1 to 2,000 characters.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub note: String,
}

impl Command for ResolveSaga {
    const NAME: &'static str = "sagas.resolve";
    const PERMISSION: Permission = Permission::SagasManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::SagaNotFound, ErrorCode::InvalidState, ErrorCode::TextRequired, ErrorCode::TextTooLong];
    type Output = Saga;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Saga> {
        let note = required_text(&self.note, MAX_NOTE).map_err(|error| error.at("note"))?;
        let mut saga = work.load::<Saga>(self.id).await?;
        if !matches!(saga.status, SagaStatus::Failed | SagaStatus::CompensationFailed) {
            return Err(wrong_state(&saga));
        }
        let by = work.actor().clone();
        saga.record(SagaEvent::Resolved { note, by });
        end(work, saga).map(Arc::unwrap_or_clone)
    }
}

fn definition_of(work: &UnitOfWork<'_>, saga: &Saga) -> Result<Arc<SagaDefinition>> {
    match work.reader().core().sagas.find(&saga.kind, saga.definition_version) {
        Known::Here(definition) => Ok(definition),
        Known::Removed | Known::Unheard => {
            let unknown = Error::new(ErrorCode::SagaKindUnknown).with("kind", &*saga.kind);
            Err(unknown.with("version", saga.definition_version))
        }
    }
}

fn wrong_state(saga: &Saga) -> Error {
    Error::new(ErrorCode::InvalidState).with("status", saga.status.as_str())
}

operations![commands: StartSaga, SignalSaga, CancelSaga, RetrySaga, ResolveSaga];
