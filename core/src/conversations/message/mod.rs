//! One unit of conversation, in either direction, over one channel.
//!
//! `state` and `events` say what a message is and what can happen to it, `behaviour` in which order. `sending` puts one of ours
//! into the queue of its `line`, `dispatch` hands it to the provider, `delivery` and `commands::report` follow it there, `telling` has the
//! provider know what is done with it afterwards, `timers` and `withdrawal` take back what waits. `counting` tells sessions what counts. How inbound ones are recorded is in [`inbound`](super::inbound).

mod behaviour;
mod columns;
pub mod commands;
mod counting;
mod delivery;
mod dispatch;
#[cfg(test)]
mod dispatch_tests;
mod events;
mod line;
pub mod queries;
mod quotes;
pub mod sending;
mod state;
mod telling;
#[cfg(test)]
mod telling_tests;
mod timers;
mod values;
mod withdrawal;

pub use behaviour::{DeliveryReport, MAX_EMOJI_BYTES, Reacted, status_of};
pub use counting::{acknowledge, counted_messages, metrics_if};
pub use delivery::{MAX_ATTEMPTS, retry_delay_micros};
pub use dispatch::OUTSIDE_JOBS;
pub use events::{AiRequest, MessageEvent, NewMessage, ReleasedMessage};
pub use line::{OutboundLine, Recipient};
pub(crate) use quotes::resolve as resolve_quotes;
pub use state::Message;
pub use telling::TELLING_JOBS;
pub(crate) use telling::tell_read;
pub use timers::JOBS;
pub use values::*;
pub use withdrawal::REACTIONS;
