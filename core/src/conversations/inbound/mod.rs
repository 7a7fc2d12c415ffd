//! The way in: what a channel delivers becomes facts, exactly once, whatever the order it arrives in.

mod changes;
mod echo;
pub mod inbox;
mod ingest;
mod intake;
mod message;
mod outcome;
pub mod reactions;
pub(crate) mod targets;

pub(in crate::conversations) use changes::apply_waiting as apply_waiting_to_chat;
pub(in crate::conversations) use echo::echo_of;
pub(in crate::conversations) use ingest::Line;
pub use ingest::*;
pub use intake::Intake;
pub(in crate::conversations) use message::{Told, author, check, compose, external_id, refusal};
pub use message::{clamp, count_inbound_after, system_agent, unread_between};
pub use outcome::*;
