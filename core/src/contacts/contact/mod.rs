//! A person of a project: identity, profile, consent, and the step that finds the person behind an inbound item.

mod behaviour;
pub mod commands;
mod events;
pub mod identity;
mod policy;
pub mod resolution;
mod search;
mod state;
mod values;

pub use events::{ContactEvent, NewContact, ProfileChange, ProfileField, RejectedField, RestoreReason};
pub use identity::{Identifier, IdentifierKind, WhatsAppIdentifiers};
pub use policy::Policy;
pub use state::Contact;
pub use values::*;
