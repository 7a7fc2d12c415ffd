//! The place where messages happen, on one channel.

mod behaviour;
pub mod commands;
mod events;
mod provider;
pub mod queries;
pub mod reactions;
pub mod resolution;
mod state;
mod values;

pub use behaviour::MAX_PARTICIPANTS;
pub use events::{ChatEvent, Departure, RoleChange};
pub use provider::ListedMember;
pub use state::{Chat, preview};
pub use values::*;
