//! Secrets that a project needs at outside services. Everything about a secret is here except the secret: that is in the vault.

pub mod commands;
mod credential_type;
mod events;
mod grant;
mod lifecycle;
mod metadata;
mod opening;
pub mod queries;
pub mod reactions;
mod refresh;
mod rotation;
mod secrets;
mod state;
mod timers;
mod uses;
mod values;

pub use credential_type::{CredentialType, ValueForm};
pub use events::{CredentialEvent, CredentialPatch, ExpiryCause, NewCredential, OAuthGrant};
pub use grant::{REFRESH_LEASE_SECONDS, is_final, refresh_skew_seconds};
pub use opening::{Opened, open};
pub use secrets::{OAuthTokens, secret_place};
pub use state::Credential;
pub(crate) use uses::{Uses, flush_uses, next_flush};
pub use values::{CredentialSecret, CredentialStatus, OAuthState, ProviderAccount, RetiringSecret, Verification};

use crate::engine::{JobType, OutsideJob};

/// The jobs of credentials.
pub const JOBS: &[JobType] = &[timers::EXPIRE, timers::SHRED, rotation::RESEAL, rotation::REWRAP];

/// The calls of credentials to the outside.
pub const OUTSIDE_JOBS: &[OutsideJob] = &[refresh::REFRESH];
