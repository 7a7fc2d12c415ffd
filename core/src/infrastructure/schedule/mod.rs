//! Work that comes again and again: a schedule enqueues a job of the host at each of its times, once, whoever is awake.

pub mod commands;
mod events;
pub mod queries;
mod recurrence;
mod run;
mod state;

#[cfg(test)]
mod recurrence_tests;
#[cfg(test)]
mod tests;

pub use events::{NewSchedule, ScheduleEvent, SchedulePatch, SkipCause};
pub use recurrence::Recurrence;
pub use state::{Misfire, Overlap, Schedule};

/// The timer of schedules.
pub const JOBS: &[crate::engine::JobType] = &[run::TIMER];
