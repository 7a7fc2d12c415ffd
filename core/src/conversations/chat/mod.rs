//! The place where messages happen, on one channel.

mod events;
pub mod resolution;
mod state;
mod values;

pub use events::{ChatEvent, Departure, RoleChange};
pub use state::{Chat, preview};
pub use values::*;
