//! A person of a project: identity, profile, consent, and the step that finds the person behind an inbound item.

mod behaviour;
pub mod commands;
mod events;
mod finding;
pub mod identity;
mod policy;
mod profile;
mod profile_commands;
pub mod queries;
pub mod resolution;
mod search;
mod state;
pub mod stats;
mod update;
mod values;

pub use events::{
    ContactEvent, ErasureMode, LegalBasis, NewContact, ProfileChange, ProfileField, RejectedField, RestoreReason,
};
pub use identity::{Identifier, IdentifierKind, WhatsAppIdentifiers};
pub use policy::Policy;
pub use profile::{AddressInput, IdentifierInput};
pub use state::Contact;
pub use values::*;

#[cfg(test)]
mod tests;
