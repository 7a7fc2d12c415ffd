//! A saga, folded from its events.

use super::events::{NewSaga, StepDirection, StepErrorClass, StepFailure, StepResult, StepUndone};
use super::{SagaEvent, WaitingFor};
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{ActorRef, CorrelationId, ErrorCode, JobId, Kind, ProjectId, SagaId, Timestamp};
use crate::storage::{Column, FieldKind, Index};
use crate::text_enum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The most signals that are kept until a step wants them.
pub(super) const MAX_SIGNALS: usize = 100;

text_enum! {
    /// Where a saga stands.
    pub enum SagaStatus {
        /// A step is about to be done.
        Running = "running",
        /// A step waits for something.
        Waiting = "waiting",
        /// What was done is being undone.
        Compensating = "compensating",
        /// All is done.
        Completed = "completed",
        /// A step failed, and what came before is undone.
        Compensated = "compensated",
        /// It was called off, and what came before is undone.
        Cancelled = "cancelled",
        /// A step failed, and nothing was undone.
        Failed = "failed",
        /// A step could not be undone.
        CompensationFailed = "compensation_failed",
        /// Somebody closed it by hand.
        Resolved = "resolved",
    }
}

impl SagaStatus {
    /// Whether it goes on by itself no more.
    pub fn has_ended(self) -> bool {
        !matches!(self, SagaStatus::Running | SagaStatus::Waiting | SagaStatus::Compensating)
    }
}

text_enum! {
    /// Where a step of a saga stands.
    pub enum StepStatus {
        /// It is about to be tried, again perhaps.
        Pending = "pending",
        /// It waits for something.
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        /// Its condition did not hold, it was optional and failed, or there was nothing to undo.
        Skipped = "skipped",
        /// It was done and is undone.
        Compensated = "compensated",
    }
}

/// A step of a saga that was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SagaStep {
    /// Its number among the steps that were begun, from 1.
    pub seq: u32,
    pub step: String,
    pub direction: StepDirection,
    pub status: StepStatus,
    /// Tries of its own; a job counts its tries itself.
    pub attempt: u32,
    pub job_id: Option<JobId>,
    /// What its jobs hand to whoever does the work, so that nothing is done twice.
    pub idempotency_key: String,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub output: Value,
    pub error: Option<StepError>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepError {
    pub step: Option<String>,
    pub code: String,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub message: String,
    pub class: StepErrorClass,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SagaProgress {
    pub done: u32,
    pub total: Option<u32>,
    /// Of what: `steps`.
    pub unit: String,
}

/// A signal that no step has wanted yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeptSignal {
    pub name: String,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub data: Value,
}

/// A business procedure under way, or how one ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Saga {
    pub id: SagaId,
    #[serde(deserialize_with = "ProjectId::or_system")]
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub kind: String,
    pub definition_version: u16,
    /// Of a kind there is one saga under way with it.
    pub key: String,
    /// Of everything that it causes.
    pub correlation_id: CorrelationId,
    pub status: SagaStatus,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub input: Value,
    /// What its steps gave, by their ids.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub data: Map<String, Value>,
    pub current_step: Option<String>,
    /// While a step waits.
    pub waiting_for: Option<WaitingFor>,
    /// When all of it has taken too long.
    pub deadline_at: Option<Timestamp>,
    /// Why it stopped, or is being undone.
    pub error: Option<StepError>,
    /// The saga that waits for it.
    pub parent_id: Option<SagaId>,
    pub started_by: ActorRef,
    pub progress: SagaProgress,
    /// What it gave.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub output: Value,
    /// In the order in which they were begun.
    pub steps: Vec<SagaStep>,
    pub signals: Vec<KeptSignal>,
    pub cancel_requested: bool,
    pub ended_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Saga {
    /// The unique key of those that are under way; its scope is the kind.
    pub const BY_KEY: &'static str = "saga.key";

    /// The record of a step, if it was begun.
    pub(super) fn step(&self, id: &str, direction: StepDirection) -> Option<&SagaStep> {
        self.steps.iter().find(|step| step.step == id && step.direction == direction)
    }

    /// The number that a step has, or gets once it begins.
    pub(super) fn seq_of(&self, id: &str, direction: StepDirection) -> u32 {
        let next = || u32::try_from(self.steps.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.step(id, direction).map_or_else(next, |step| step.seq)
    }

    pub(super) fn idempotency_key(&self, id: &str, direction: StepDirection) -> String {
        step_key(self.id, id, self.seq_of(id, direction))
    }

    fn begin(&mut self, id: &str, direction: StepDirection, at: Timestamp) -> &mut SagaStep {
        let known = self.steps.iter().position(|step| step.step == id && step.direction == direction);
        let place = known.unwrap_or_else(|| {
            let seq = self.seq_of(id, direction);
            self.steps.push(SagaStep {
                seq,
                step: id.to_owned(),
                direction,
                status: StepStatus::Pending,
                attempt: 0,
                job_id: None,
                idempotency_key: step_key(self.id, id, seq),
                output: Value::Null,
                error: None,
                started_at: at,
                finished_at: None,
            });
            self.steps.len() - 1
        });
        let step = &mut self.steps[place];
        if step.status == StepStatus::Pending && step.attempt == 0 {
            step.started_at = at;
        }
        self.current_step = Some(id.to_owned());
        step
    }

    fn succeed(&mut self, result: StepResult, at: Timestamp) {
        let step = self.begin(&result.step, StepDirection::Forward, at);
        step.status = if result.skipped { StepStatus::Skipped } else { StepStatus::Succeeded };
        step.attempt = result.attempt;
        step.output = result.output;
        step.error = None;
        step.finished_at = Some(at);
        self.data.extend(result.data_patch);
        self.progress = result.progress.unwrap_or_else(|| self.progress.clone());
        if let Some(used) = result.signal
            && let Some(place) = self.signals.iter().position(|kept| kept.name == used)
        {
            self.signals.remove(place);
        }
        self.status = SagaStatus::Running;
        self.waiting_for = None;
    }

    fn fail_step(&mut self, failure: StepFailure, at: Timestamp) {
        let error = StepError {
            step: Some(failure.step.clone()),
            code: failure.code,
            message: failure.message,
            class: failure.class,
        };
        let step = self.begin(&failure.step, failure.direction, at);
        step.attempt = failure.attempt;
        step.error = Some(error.clone());
        step.status = match (failure.is_final, failure.skipped) {
            (false, _) => StepStatus::Pending,
            (true, false) => StepStatus::Failed,
            (true, true) => StepStatus::Skipped,
        };
        if failure.is_final {
            step.finished_at = Some(at);
        }
        self.waiting_for = None;
        if failure.direction == StepDirection::Forward {
            self.status = SagaStatus::Running;
        }
        if failure.is_final && !failure.skipped {
            self.error = Some(error);
        }
    }

    fn undo_step(&mut self, undone: StepUndone, at: Timestamp) {
        let step = self.begin(&undone.step, StepDirection::Compensate, at);
        let is_left = undone.left.is_some();
        step.status = if is_left { StepStatus::Skipped } else { StepStatus::Succeeded };
        step.attempt += 1;
        step.output = undone.output;
        step.error = None;
        step.finished_at = Some(at);
        self.data.extend(undone.data_patch);
        self.waiting_for = None;
        let done = |step: &&mut SagaStep| step.step == undone.step && step.direction == StepDirection::Forward;
        if let Some(forward) = self.steps.iter_mut().find(done).filter(|_| !is_left) {
            forward.status = StepStatus::Compensated;
        }
    }

    fn end(&mut self, status: SagaStatus, at: Timestamp) {
        self.status = status;
        self.waiting_for = None;
        self.current_step = None;
        self.ended_at = Some(at);
    }

    fn go_on(&mut self, from: Option<&str>, at: Timestamp) {
        let direction = match self.status {
            SagaStatus::CompensationFailed => StepDirection::Compensate,
            _ => StepDirection::Forward,
        };
        let first = from.and_then(|id| self.step(id, direction)).map(|step| step.seq);
        for step in self.steps.iter_mut().filter(|step| step.direction == direction) {
            if step.status == StepStatus::Failed || first.is_some_and(|first| step.seq >= first) {
                step.status = StepStatus::Pending;
                step.attempt = 0;
                step.finished_at = None;
            }
        }
        self.status = match direction {
            StepDirection::Compensate => SagaStatus::Compensating,
            StepDirection::Forward => SagaStatus::Running,
        };
        self.error = None;
        self.ended_at = None;
        self.deadline_at = self.deadline_at.filter(|deadline| *deadline > at);
    }
}

/// What makes a step the only one of its kind, for those who do its work.
fn step_key(saga: SagaId, step: &str, seq: u32) -> String {
    format!("{saga}:{step}:{seq}")
}

impl Aggregate for Saga {
    const KIND: Kind = Kind::Saga;
    const NOT_FOUND: ErrorCode = ErrorCode::SagaNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("kind", FieldKind::Text),
        Column::new("status", FieldKind::Enum),
        Column::new("correlation_id", FieldKind::Id),
        Column::new("awaits_event", FieldKind::Bool).unfiltered(),
        Column::new("created_at", FieldKind::Instant).sortable(),
        Column::new("updated_at", FieldKind::Instant).sortable(),
    ];
    const INDEXES: &'static [&'static [&'static str]] =
        &[&["kind", "status", "updated_at"], &["status", "updated_at"], &["correlation_id"], &["awaits_event"]];
    type Id = SagaId;

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        let Event::Saga(SagaEvent::Started(new)) = event else { return None };
        let NewSaga { kind, definition_version, key, input, correlation_id, deadline_at, parent_id, started_by } =
            new.as_ref().clone();
        Some(Saga {
            id: meta.aggregate_id.into(),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            kind,
            definition_version,
            key,
            correlation_id,
            status: SagaStatus::Running,
            input,
            data: Map::new(),
            current_step: None,
            waiting_for: None,
            deadline_at,
            error: None,
            parent_id,
            started_by,
            progress: SagaProgress { done: 0, total: None, unit: "steps".to_owned() },
            output: Value::Null,
            steps: Vec::new(),
            signals: Vec::new(),
            cancel_requested: false,
            ended_at: None,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
        })
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        super::forgetting::is_forgotten(self, now)
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        let Event::Saga(event) = event else { return };
        let at = meta.occurred_at;
        match event.clone() {
            SagaEvent::Started(_) | SagaEvent::TimedOut { .. } => {}
            SagaEvent::StepSucceeded(result) => self.succeed(*result, at),
            SagaEvent::Waiting { step, seq: _, direction, waiting_for } => {
                let record = self.begin(&step, direction, at);
                record.status = StepStatus::Running;
                record.job_id = waiting_for.job_id;
                self.waiting_for = Some(*waiting_for);
                if direction == StepDirection::Forward {
                    self.status = SagaStatus::Waiting;
                }
            }
            // What comes after the end is in the log, and nowhere else.
            SagaEvent::Signaled { name, data } => {
                if !self.status.has_ended() {
                    self.signals.push(KeptSignal { name, data });
                }
            }
            SagaEvent::StepFailed(failure) => self.fail_step(*failure, at),
            SagaEvent::CancelRequested { .. } => self.cancel_requested = true,
            SagaEvent::CompensationStarted { .. } => {
                self.status = SagaStatus::Compensating;
                self.waiting_for = None;
            }
            SagaEvent::StepCompensated(undone) => self.undo_step(*undone, at),
            SagaEvent::Compensated { .. } => {
                let status = if self.cancel_requested { SagaStatus::Cancelled } else { SagaStatus::Compensated };
                self.end(status, at);
            }
            SagaEvent::CompensationFailed { step, .. } => {
                self.end(SagaStatus::CompensationFailed, at);
                self.current_step = Some(step);
            }
            SagaEvent::Completed { output, .. } => {
                self.output = output;
                self.end(SagaStatus::Completed, at);
            }
            SagaEvent::Failed { step, code, message, .. } => {
                let known = self.error.take().filter(|error| error.code == code);
                let class = known.map_or(StepErrorClass::Permanent, |error| error.class);
                self.error = Some(StepError { step: step.clone(), code, message, class });
                self.end(SagaStatus::Failed, at);
                self.current_step = step;
            }
            SagaEvent::Retried { from_step, .. } => self.go_on(from_step.as_deref(), at),
            SagaEvent::Resolved { .. } => self.end(SagaStatus::Resolved, at),
        }
    }

    fn index(&self, index: &mut Index) {
        let awaits_event = self.waiting_for.as_ref().is_some_and(|waits| waits.event_filter.is_some());
        index.column("kind", self.kind.as_str());
        index.column("status", self.status.as_str());
        index.id("correlation_id", Some(self.correlation_id));
        index.column("awaits_event", awaits_event);
        index.column("created_at", self.created_at);
        index.column("updated_at", self.updated_at);
        if !self.status.has_ended() {
            index.unique(Self::BY_KEY, self.kind.as_str(), self.key.as_str(), ErrorCode::SagaKeyReused);
        }
    }

    crate::base_fields!();
}
