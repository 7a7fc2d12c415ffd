//! Durable jobs and timers, open to those who look after them.

pub mod commands;
pub mod queries;
mod view;

pub use view::{Job, JobDetails};

#[cfg(test)]
mod tests;
