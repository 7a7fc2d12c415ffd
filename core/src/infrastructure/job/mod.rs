//! Durable jobs and timers, open to those who look after them.

mod backlog;
pub mod commands;
mod events;
mod handler;
pub mod host;
pub mod queries;
mod view;

pub(crate) use backlog::{Backlogs, MAX_BACKLOG, check_backlog};
pub(crate) use events::stream_of;
pub use events::{JobErrorClass, JobEvent};
pub use handler::{HandleOptions, Handler, MAX_CONCURRENCY, MAX_TIMEOUT};
pub use view::{Job, JobAttempt, JobDetails};

#[cfg(test)]
mod handler_tests;
#[cfg(test)]
mod host_tests;
#[cfg(test)]
pub(crate) mod tests;
