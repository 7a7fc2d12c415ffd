//! Replaces the value of a credential.

use super::super::grant::DEFAULT_GRACE_SECONDS;
use super::super::secrets::{check_value, seal_value};
use super::super::values::check_expiry;
use super::super::{Credential, CredentialEvent};
use super::{SEALING, save};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{CredentialId, Error, ErrorCode, Patch, Permission, Result, SecretText, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest time that an old value goes on to open, in seconds: 7 days.
const MAX_GRACE_SECONDS: i64 = 7 * 24 * 3600;

/// Puts another value in the place of the present one, which opens for work under way until its grace is over. A credential whose
/// time is over is active again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateValue {
    pub id: CredentialId,
    /// As the type has it; 1 to 16 384 bytes.
    pub value: SecretText,
    /// When it ends: absent = as before, or never when that is over; null = never.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub expires_at: Patch<Timestamp>,
    /// How long the old value opens when it is asked for by its revision: 0 to 604 800; 86 400 unless told.
    #[serde(default)]
    pub grace_seconds: Option<u32>,
}

impl Command for RotateValue {
    const NAME: &'static str = "credentials.rotate_value";
    const PERMISSION: Permission = Permission::CredentialsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::CredentialNotFound,
        ErrorCode::CredentialInactive,
        ErrorCode::CredentialNeedsReauth,
        ErrorCode::CredentialValueMalformed,
        ErrorCode::CredentialExpiryInPast,
        ErrorCode::SecretUnchanged,
        ErrorCode::SecretEmpty,
        ErrorCode::SecretTooLarge,
        ErrorCode::ValueOutOfRange,
        ErrorCode::InputInvalid,
        SEALING[0],
        SEALING[1],
        SEALING[2],
    ];
    type Output = Credential;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Credential> {
        let grace = self.grace_seconds.map_or(DEFAULT_GRACE_SECONDS, i64::from);
        if grace > MAX_GRACE_SECONDS {
            return Err(Error::new(ErrorCode::ValueOutOfRange).at("grace_seconds").with("max", MAX_GRACE_SECONDS));
        }
        let mut credential = work.load::<Credential>(self.id).await?;
        credential.check_rotation()?;
        check_value(credential.credential_type, &self.value)?;
        let expires_at = self.end(&credential, work.now())?;
        let old_value = credential.value;
        let sealed = seal_value(work, self.id, old_value, &self.value).await?;
        if credential.fingerprint.as_ref() == Some(&sealed.fingerprint) {
            return Err(Error::new(ErrorCode::SecretUnchanged).at("value"));
        }
        let old_valid_until = old_value.filter(|_| grace > 0).map(|_| work.now().plus_seconds(grace));
        if let Some(old) = old_value.filter(|_| grace == 0) {
            work.shred(credential.project_id, old);
        }
        credential.record(CredentialEvent::ValueRotated {
            old_value,
            new_value: sealed.secret,
            fingerprint: sealed.fingerprint,
            hint: sealed.hint,
            expires_at,
            old_valid_until,
        });
        save(work, credential)
    }
}

impl RotateValue {
    fn end(&self, credential: &Credential, now: Timestamp) -> Result<Option<Timestamp>> {
        if credential.oauth.is_some() {
            let given = self.expires_at.value().is_some();
            let why = "granted tokens say themselves when they end";
            let refused = || Error::new(ErrorCode::InputInvalid).at("expires_at").message(why);
            return if given { Err(refused()) } else { Ok(credential.expires_at) };
        }
        match self.expires_at.clone().into_change() {
            None => Ok(credential.expires_at.filter(|end| *end > now)),
            Some(None) => Ok(None),
            Some(Some(end)) => check_expiry(end, now).map(Some),
        }
    }
}
