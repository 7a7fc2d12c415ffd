//! The timeline: what happened to a contact, entry by entry, for people to read.
//!
//! Most entries are projected: `projection` says which event of the log makes which entry, and the reaction in `reactions` writes
//! it. A projected entry has no event of its own and names the one that it comes from, so it can always be made again. Hosts add
//! entries with `commands`; `marking` notes what the contact has seen. `titles` puts projected entries into words.

pub mod commands;
mod conversation;
mod events;
pub mod marking;
mod projection;
pub mod queries;
mod reactions;
mod state;
#[cfg(test)]
mod tests;
mod titles;
mod values;

pub use conversation::{ConversationItem, ReadConversation};
pub use events::{EntryChange, EntryField, NewEntry, TimelineEvent};
pub use projection::{entry_of, is_reserved};
pub use reactions::{JOBS, REACTION, REACTIONS};
pub use state::TimelineEntry;
pub use values::*;
