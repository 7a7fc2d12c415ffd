//! One unit of conversation, in either direction, over one channel.

mod behaviour;
mod events;
mod state;
mod values;

pub use behaviour::{DeliveryReport, MAX_EMOJI_BYTES, status_of};
pub use events::{AiRequest, MessageEvent, NewMessage};
pub use state::Message;
pub use values::*;
