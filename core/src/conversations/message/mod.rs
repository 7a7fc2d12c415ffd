//! One unit of conversation, in either direction, over one channel.

mod events;
mod state;
mod values;

pub use events::{AiRequest, MessageEvent, NewMessage};
pub use state::Message;
pub use values::*;
