//! The place where messages happen, on one channel.
//!
//! `state` and `events` say what a chat is and what can happen to it, `observing` what it makes of messages. What people may do
//! is in `behaviour` and `commands`, what a provider tells in `provider`, how a delivered message finds its chat in `resolution`.

mod behaviour;
pub mod commands;
mod events;
mod observing;
mod provider;
pub mod queries;
pub mod reactions;
pub mod resolution;
mod state;
mod values;

pub use behaviour::MAX_PARTICIPANTS;
pub use events::{ChatEvent, Departure, RoleChange};
pub use observing::preview;
pub use provider::ListedMember;
pub use state::Chat;
pub use values::*;
