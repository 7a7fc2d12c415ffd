//! How anything runs: aggregates and their roots, units of work, the executor, feeds of events and background work.

mod aggregate;
mod batches;
mod breaker;
mod cloud_event;
mod context;
mod copying;
mod crm;
mod event;
mod feeds;
mod memo;
mod operation;
mod outside;
mod reader;
mod rebuild;
mod record;
mod removal;
mod secrets;
mod streams;
mod sweep;
#[cfg(test)]
pub(crate) mod tests;
mod work;
mod worker;

pub use aggregate::*;
pub use batches::BatchReaction;
pub use cloud_event::{CloudEvent, CloudEvents};
pub use context::{Cause, Context};
pub use copying::*;
pub use crm::*;
pub(crate) use event::lift;
pub use event::{Event, EventSet, Meta, declared_version, read_event};
pub use feeds::*;
pub(crate) use feeds::{check_attempts, check_name, check_pace, check_patterns, is_built_in, new_consumer};
pub use operation::*;
pub use outside::*;
pub use reader::Reader;
pub use rebuild::Difference;
pub(crate) use rebuild::{baseline_of, derived, derived_up_to, fold_into, meta_of, read, revive};
pub use record::{Record, Row};
pub use sweep::Sweep;
pub use work::*;
pub use worker::*;
