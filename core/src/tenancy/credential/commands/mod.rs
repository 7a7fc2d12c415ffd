//! What people, hosts and components do with credentials.

mod create;
mod delete;
mod keys;
mod oauth;
mod open;
mod rotate;
mod status;
mod update;

pub use create::CreateCredential;
pub use delete::DeleteCredential;
pub use keys::{KeyRotation, RetireKey, RetiredKey, RotateKeys};
pub(super) use oauth::begin;
pub use oauth::{AuthorizeOAuth, BeginRefresh, CompleteRefresh, RefreshFailure, RefreshLease, RefreshedTokens};
pub use open::{OpenCredential, OpenedCredential};
pub use rotate::RotateValue;
pub use status::{ActivateCredential, DeactivateCredential, RecordVerification};
pub use update::UpdateCredential;

use super::{Credential, timers};
use crate::engine::{Root, UnitOfWork};
use crate::kernel::{ErrorCode, Result, text};

/// What sealing a secret can fail with.
const SEALING: [ErrorCode; 3] =
    [ErrorCode::EncryptionNotConfigured, ErrorCode::EncryptionKeyNotFound, ErrorCode::SecretTampered];

/// Saves a credential with the timers that it needs now.
fn save(work: &mut UnitOfWork<'_>, credential: Root<Credential>) -> Result<Credential> {
    if !credential.is_unchanged() {
        timers::arm(work, &credential);
    }
    work.save(credential)
}

fn reason(reason: Option<String>) -> Result<Option<String>> {
    reason.map(|reason| text::text(&reason, 500)).transpose().map_err(|e| e.at("reason"))
}

crate::operations![
    commands: CreateCredential, UpdateCredential, RotateValue, AuthorizeOAuth, BeginRefresh, CompleteRefresh,
    OpenCredential, RecordVerification, ActivateCredential, DeactivateCredential, DeleteCredential, RotateKeys, RetireKey
];
