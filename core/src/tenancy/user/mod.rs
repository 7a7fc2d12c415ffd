//! People who can act: identity, platform role, and the ways to prove who they are.

mod api_key;
pub mod commands;
mod events;
mod password;
pub mod queries;
pub mod reactions;
mod state;

pub use api_key::{ApiKey, MAX_API_KEYS};
pub use events::{NewUser, UserEvent};
pub use password::{PasswordAlgorithm, PasswordInfo};
pub use state::{ExternalIdentity, LoginMethod, User, UserDeletionReason, UserStatus};
