//! One unit of conversation, in either direction, over one channel.

mod behaviour;
pub mod commands;
mod counting;
mod delivery;
mod events;
pub mod queries;
mod quotes;
pub mod sending;
mod state;
mod timers;
mod values;
mod withdrawal;

pub use behaviour::{DeliveryReport, MAX_EMOJI_BYTES, Reacted, status_of};
pub use counting::{acknowledge, counted_messages, metrics_if};
pub use delivery::{MAX_ATTEMPTS, retry_delay_micros};
pub use events::{AiRequest, MessageEvent, NewMessage, ReleasedMessage};
pub use state::Message;
pub use timers::JOBS;
pub use values::*;
pub use withdrawal::REACTIONS;
