//! Opening a secret: who may be told what a credential holds, and when.

use super::CredentialStatus::{Active, Expired, Inactive, NeedsReauth};
use super::{Credential, CredentialSecret, secret_place, uses};
use crate::engine::UnitOfWork;
use crate::kernel::{CredentialId, Error, ErrorCode, Result, SecretBytes, SecretRef, Timestamp, text};

/// The most characters of a purpose.
const MAX_PURPOSE: usize = 100;

/// An opened secret.
#[derive(Debug, Clone)]
pub struct Opened {
    pub which: CredentialSecret,
    pub secret: SecretRef,
    pub value: SecretBytes,
    /// When it ends; null = it does not, or nobody knows.
    pub expires_at: Option<Timestamp>,
}

/// Opens one of the secrets of a credential, and records that it was opened and what for.
///
/// An earlier revision opens while its grace lasts.
///
/// # Errors
/// `credential_not_found`, also for a revision that is gone; `credential_inactive`, `credential_needs_reauth`,
/// `credential_expired`, `not_an_oauth_credential`, `oauth_not_authorized`, `credential_value_required`, `text_required` and
/// `text_too_long` at `purpose`, and those of the vault.
pub async fn open(
    work: &mut UnitOfWork<'_>,
    id: CredentialId,
    which: Option<CredentialSecret>,
    revision: Option<u32>,
    purpose: &str,
) -> Result<Opened> {
    let purpose = text::required_text(purpose.trim(), MAX_PURPOSE).map_err(|e| e.at("purpose"))?;
    let mut credential = work.load::<Credential>(id).await?;
    let now = work.now();
    let which = which.unwrap_or_else(|| credential.default_secret());
    let newest = credential.usable(which, now)?;
    let secret = match revision.filter(|revision| *revision != newest.revision) {
        None => newest,
        Some(revision) => credential.earlier(newest, revision, now).ok_or_else(|| gone(id, revision))?,
    };
    let place = secret_place(credential.project_id, id, which);
    let opened = work.reader().open_secret(&place, secret).await?;
    let value = opened.ok_or_else(|| gone(id, secret.revision))?;
    let expires_at = match which {
        CredentialSecret::Access => credential.oauth.as_ref().and_then(|oauth| oauth.expires_at),
        CredentialSecret::Value => credential.expires_at,
    };
    uses::note(work, &mut credential, purpose);
    work.keep(credential)?;
    Ok(Opened { which, secret, value, expires_at })
}

fn gone(id: CredentialId, revision: u32) -> Error {
    Error::new(ErrorCode::CredentialNotFound).at("revision").with("id", id.to_string()).with("revision", revision)
}

impl Credential {
    /// The present form of one of its secrets, if it may be used now.
    fn usable(&self, which: CredentialSecret, now: Timestamp) -> Result<SecretRef> {
        match self.status {
            Inactive => return Err(ErrorCode::CredentialInactive.into()),
            NeedsReauth => return Err(ErrorCode::CredentialNeedsReauth.into()),
            Expired => return Err(ErrorCode::CredentialExpired.into()),
            Active => {}
        }
        let secret = match (which, &self.oauth) {
            (CredentialSecret::Value, _) => self.value.ok_or(ErrorCode::CredentialValueRequired)?,
            (CredentialSecret::Access, Some(oauth)) => oauth.access,
            (CredentialSecret::Access, None) => {
                self.check_oauth()?;
                return Err(ErrorCode::OauthNotAuthorized.into());
            }
        };
        let token_is_over = self.oauth.as_ref().is_some_and(|oauth| oauth.is_over(now));
        if self.is_expired(now) || (which == CredentialSecret::Access && token_is_over) {
            return Err(ErrorCode::CredentialExpired.into());
        }
        Ok(secret)
    }

    /// An earlier revision of a secret, while its grace lasts.
    fn earlier(&self, newest: SecretRef, revision: u32, now: Timestamp) -> Option<SecretRef> {
        let wanted = SecretRef { revision, ..newest };
        self.retiring.iter().find(|old| old.secret == wanted && old.valid_until > now).map(|old| old.secret)
    }
}
