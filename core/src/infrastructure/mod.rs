//! What keeps an installation running, open to those who look after it: the log and what reads it.

pub mod audit;
pub mod consumer;
pub mod event_log;
pub mod job;
pub mod privacy;
pub mod saga;
pub mod schedule;
