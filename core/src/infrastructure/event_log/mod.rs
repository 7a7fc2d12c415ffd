//! The event log as a collection, `events`: free events of the host, every way to read it, travel in time, and the proof that states
//! are what the log says.

pub mod catalogue;
pub mod commands;
mod events;
pub(super) mod filter;
pub mod history;
pub mod prune;
pub mod queries;
pub(super) mod replay;
pub mod verify;
pub(super) mod walk;

pub use events::EventLogEvent;
pub use filter::EVENT_FIELDS;
pub(crate) use filter::first_recorded_at;

/// The work on the log.
pub const JOBS: &[crate::engine::JobType] = &[prune::JOB];

#[cfg(test)]
mod tests;
