//! What can happen to a saga.

use super::definition::EventWait;
use super::state::SagaProgress;
use crate::kernel::{ActorRef, CorrelationId, JobId, SagaId, Timestamp};
use crate::{events, text_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

text_enum! {
    /// Which way a step goes.
    pub enum StepDirection {
        /// It is done.
        Forward = "forward",
        /// It is undone.
        Compensate = "compensate",
    }
}

text_enum! {
    /// How a try of a step failed.
    pub enum StepErrorClass {
        /// It might work at another time.
        Transient = "transient",
        /// It can never work.
        Permanent = "permanent",
        /// It took too long.
        Timeout = "timeout",
    }
}

/// What a step waits for. The first that comes ends the wait.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WaitingFor {
    /// The first event after `since` that fits.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub event_filter: Option<EventWait>,
    /// The `seq` of the project's last event when the wait began.
    pub since: u64,
    pub signal: Option<String>,
    /// The end of a job; of a fan-out the jobs are known by their unique keys.
    pub job_id: Option<JobId>,
    /// So many jobs of a fan-out.
    pub jobs: Option<u32>,
    /// The end of another saga.
    pub child_id: Option<SagaId>,
    /// When it has taken too long.
    pub timer_at: Option<Timestamp>,
}

/// A saga as it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewSaga {
    pub kind: String,
    pub definition_version: u16,
    pub key: String,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub input: Value,
    pub correlation_id: CorrelationId,
    pub deadline_at: Option<Timestamp>,
    pub parent_id: Option<SagaId>,
    pub started_by: ActorRef,
}

/// What a step gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    pub step: String,
    /// Its number among the steps that were begun, from 1.
    pub seq: u32,
    /// Its try.
    pub attempt: u32,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub output: Value,
    /// What changed in `data`, by key.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub data_patch: Map<String, Value>,
    pub progress: Option<SagaProgress>,
    /// Its condition did not hold, and nothing was done.
    #[serde(default)]
    pub skipped: bool,
    /// The signal that came before the step and was used by it.
    #[serde(default)]
    pub signal: Option<String>,
}

/// How a step failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepFailure {
    pub step: String,
    /// Its number among the steps that were begun, from 1.
    pub seq: u32,
    pub attempt: u32,
    pub direction: StepDirection,
    /// An error code, or `job_failed`, `job_cancelled`, `fan_out_failed`, `child_failed`, `step_timeout`.
    pub code: String,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub message: String,
    pub class: StepErrorClass,
    /// It is not tried again.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// It was optional, and is passed over.
    #[serde(default)]
    pub skipped: bool,
}

/// How a step was undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepUndone {
    pub step: String,
    /// Its number among the steps that were begun, from 1.
    pub seq: u32,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub output: Value,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub data_patch: Map<String, Value>,
    /// Why it was left as it is: it was not of this saga's making, or others have changed it since.
    #[serde(default)]
    pub left: Option<String>,
}

events! {
    /// What can happen to a saga.
    pub enum SagaEvent: Saga {
        /// It begins.
        "saga.started" Started(Box<NewSaga>),
        /// A step is done.
        "saga.step_succeeded" StepSucceeded(Box<StepResult>),
        /// A step has begun and waits for something.
        "saga.waiting" Waiting {
            step: String,
            /// Its number among the steps that were begun, from 1.
            seq: u32,
            direction: StepDirection,
            waiting_for: Box<WaitingFor>,
        },
        /// Somebody told it something.
        "saga.signaled" Signaled {
            name: String,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            data: Value,
        },
        /// A try of a step failed.
        "saga.step_failed" StepFailed(Box<StepFailure>),
        /// A step, or with null all of it, took too long.
        "saga.timed_out" TimedOut { step: Option<String>, deadline_at: Timestamp },
        /// Somebody called it off.
        "saga.cancel_requested" CancelRequested {
            reason: Option<String>,
            by: ActorRef,
        },
        /// What was done is undone from now on.
        "saga.compensation_started" CompensationStarted {
            /// In this order.
            steps: Vec<String>,
        },
        /// A step is undone, or was left as it is.
        "saga.step_compensated" StepCompensated(Box<StepUndone>),
        /// It has ended: everything is undone that could be.
        "saga.compensated" Compensated {
            undone: Vec<String>,
            not_undoable: Vec<String>,
        },
        /// A step could not be undone, and somebody has to look at it.
        "saga.compensation_failed" CompensationFailed { step: String, code: String, message: String },
        /// It has ended: all is done.
        "saga.completed" Completed {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            output: Value,
            duration_ms: u64,
        },
        /// It has ended: a step failed, and there is nothing to undo, or no way back.
        "saga.failed" Failed {
            step: Option<String>,
            code: String,
            message: String,
            /// There was no way back any more.
            needs_attention: bool,
        },
        /// It goes on where it failed.
        "saga.retried" Retried {
            from_step: Option<String>,
            by: ActorRef,
        },
        /// Somebody closed it by hand.
        "saga.resolved" Resolved {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            note: String,
            by: ActorRef,
        },
    }
}
