//! Procedures of several steps that survive restarts and end in one of two ways: all done, or undone as far as possible.

mod advance;
pub mod commands;
mod definition;
mod events;
mod forgetting;
pub mod queries;
mod reference;
mod registry;
mod start;
mod state;
mod step;
mod waking;

#[cfg(test)]
mod tests;

pub use advance::JOBS;
pub use definition::{
    EventWait, IfChanged, LocalOutcome, LocalStep, SagaDefinition, SagaInputField, SagaInputType, StepAction,
    StepCompensation, StepCondition, StepDefinition, StepRetry,
};
pub use events::{NewSaga, SagaEvent, StepDirection, StepErrorClass, StepFailure, StepResult, StepUndone, WaitingFor};
pub use forgetting::SWEEPS;
pub use registry::Sagas;
pub(crate) use start::start_shipped;
pub use state::{KeptSignal, Saga, SagaProgress, SagaStatus, SagaStep, StepError, StepStatus};
pub(crate) use step::idempotency_key;
pub use waking::BATCHES;
pub(crate) use waking::job_ended;
