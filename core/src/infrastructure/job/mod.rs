//! Durable jobs and timers, open to those who look after them.

pub mod commands;
mod events;
pub mod host;
pub mod queries;
mod view;

pub(crate) use events::stream_of;
pub use events::{JobErrorClass, JobEvent};
pub use view::{Job, JobDetails};

#[cfg(test)]
mod host_tests;
#[cfg(test)]
pub(crate) mod tests;
