//! The place where messages happen, on one channel.

mod behaviour;
pub mod commands;
mod events;
pub mod queries;
pub mod reactions;
pub mod resolution;
mod state;
mod values;

pub use events::{ChatEvent, Departure, RoleChange};
pub use state::{Chat, preview};
pub use values::*;
