//! Personal data: taken out of everything that is stored, handed out to whom it is about, and looked after.

pub mod commands;
pub mod export;
pub mod health;
mod redaction;
mod traces;
pub mod trail;

pub(crate) use redaction::redact_later;

#[cfg(test)]
mod tests;

/// The work of redaction.
pub const JOBS: &[crate::engine::JobType] = &[redaction::JOB];
