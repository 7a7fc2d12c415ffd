//! Opens a secret.

use super::super::{CredentialSecret, open};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{CredentialId, Error, ErrorCode, Permission, Result, RevealedText, SecretRef, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Opens one of the secrets of a credential. That it was opened, by whom and what for, is in the log: `credential.used`.
///
/// A host that needs a secret often may keep it in memory for at most 5 minutes, under its `secret_id` and `revision`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenCredential {
    pub id: CredentialId,
    /// What for: 1 to 100 characters, such as `send_message`.
    pub purpose: String,
    /// The access token where there is one, else the value, unless told.
    #[serde(default)]
    pub field: Option<CredentialSecret>,
    /// An earlier revision, while its grace lasts; the newest unless told.
    #[serde(default)]
    pub revision: Option<u32>,
}

/// An opened secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenedCredential {
    pub field: CredentialSecret,
    pub secret: SecretRef,
    pub text: RevealedText,
    /// When it ends; null = it does not, or nobody knows.
    pub expires_at: Option<Timestamp>,
}

impl Command for OpenCredential {
    const NAME: &'static str = "credentials.open";
    const PERMISSION: Permission = Permission::CredentialsUse;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::CredentialNotFound,
        ErrorCode::CredentialInactive,
        ErrorCode::CredentialNeedsReauth,
        ErrorCode::CredentialExpired,
        ErrorCode::CredentialValueRequired,
        ErrorCode::NotAnOauthCredential,
        ErrorCode::OauthNotAuthorized,
        ErrorCode::TextRequired,
        ErrorCode::TextTooLong,
        ErrorCode::InputInvalid,
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = OpenedCredential;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<OpenedCredential> {
        work.refuse_idempotency_key()?;
        let opened = open(work, self.id, self.field, self.revision, &self.purpose).await?;
        let text = String::from_utf8(opened.value.expose().to_vec());
        let text = text.map_err(|_| Error::corrupt("a sealed secret is no text"))?;
        Ok(OpenedCredential {
            field: opened.which,
            secret: opened.secret,
            text: RevealedText::new(text),
            expires_at: opened.expires_at,
        })
    }
}
