//! The tenant: status, locale, session timeout, assignment of agents, retention.

mod assignment;
mod business_hours;
pub mod commands;
mod events;
pub(crate) mod purge;
pub mod queries;
mod settings;
mod state;

#[cfg(test)]
mod purge_tests;

pub use assignment::*;
pub use business_hours::{BusinessDayException, BusinessHours, OpenInterval, TimeOfDay, WeeklyHours};
pub use events::{NewProject, ProjectEvent};
pub use settings::*;
pub use state::Project;
