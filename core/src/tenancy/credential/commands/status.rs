//! On, off, and what a provider says to a test call.

use super::super::{Credential, CredentialEvent};
use super::{reason, save};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{CredentialId, ErrorCode, Permission, Result, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Switches a credential on: it is active, or `expired` or `needs_reauth` where that has come meanwhile. Twice changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateCredential {
    pub id: CredentialId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for ActivateCredential {
    const NAME: &'static str = "credentials.activate";
    const PERMISSION: Permission = Permission::CredentialsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::CredentialNotFound, ErrorCode::InvalidState, ErrorCode::TextTooLong];
    type Output = Credential;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Credential> {
        let reason = reason(self.reason)?;
        let mut credential = work.load::<Credential>(self.id).await?;
        credential.activate(reason)?;
        save(work, credential)
    }
}

/// Switches a credential off: nothing opens it, and its tokens are not refreshed. Twice changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeactivateCredential {
    pub id: CredentialId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for DeactivateCredential {
    const NAME: &'static str = "credentials.deactivate";
    const PERMISSION: Permission = Permission::CredentialsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::CredentialNotFound, ErrorCode::TextTooLong];
    type Output = Credential;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Credential> {
        let reason = reason(self.reason)?;
        let mut credential = work.load::<Credential>(self.id).await?;
        credential.deactivate(reason);
        save(work, credential)
    }
}

/// Takes in what the provider said to a test call.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordVerification {
    pub id: CredentialId,
    pub ok: bool,
    /// The provider's word for what was wrong; at most 100 characters.
    #[serde(default)]
    pub code: Option<String>,
}

impl Command for RecordVerification {
    const NAME: &'static str = "credentials.record_verification";
    const PERMISSION: Permission = Permission::CredentialsUse;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::CredentialNotFound, ErrorCode::TextTooLong];
    type Output = Credential;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Credential> {
        let code = self.code.map(|code| text::text(&code, 100)).transpose().map_err(|e| e.at("code"))?;
        let mut credential = work.load::<Credential>(self.id).await?;
        let verified_at = work.now();
        credential.record(CredentialEvent::Verified { ok: self.ok, code, verified_at });
        work.save(credential)
    }
}
