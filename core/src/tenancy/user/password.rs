//! Local passwords: what is kept of one, which are too weak, and how they are hashed.
//!
//! Hashing takes tens of milliseconds on purpose. It happens while a command decides, when no lock of the store is held.

use crate::kernel::{SecretRef, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

crate::text_enum! {
    /// How passwords are hashed.
    pub enum PasswordAlgorithm {
        /// 19 MiB, 2 passes, 1 lane.
        Argon2id = "argon2id",
    }
}

/// What is known of a user's password; its hash is in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordInfo {
    pub secret_ref: SecretRef,
    pub algorithm: PasswordAlgorithm,
    pub changed_at: Timestamp,
    /// The host asks for a new one at the next login.
    pub must_change: bool,
}

#[cfg(feature = "local_auth")]
pub(super) use local::{check, open, set, spend, verify};

#[cfg(feature = "local_auth")]
mod local {
    use super::PasswordAlgorithm;
    use crate::engine::{Reader, Root, UnitOfWork};
    use crate::kernel::{Error, ErrorCode, Kind, ProjectId, Result, SecretBytes, SecretText, UserId, fold};
    use crate::tenancy::user::{User, UserEvent};
    use crate::vault::SecretPlace;
    use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
    use argon2::{Algorithm, Argon2, Params, Version};

    const MEMORY_KIB: u32 = 19 * 1024;
    const PASSES: u32 = 2;
    const LANES: u32 = 1;
    const MIN_CHARACTERS: usize = 10;
    const MAX_CHARACTERS: usize = 128;

    fn place(id: UserId) -> SecretPlace {
        SecretPlace::new(ProjectId::SYSTEM, Kind::User, id, "password")
    }

    fn hasher() -> Result<Argon2<'static>> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|e| Error::internal(e.to_string()))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }

    fn hash(password: &SecretText, salt: [u8; 16]) -> Result<SecretBytes> {
        let failed = |e: argon2::password_hash::Error| Error::internal(format!("a password cannot be hashed: {e}"));
        let salt = SaltString::encode_b64(&salt).map_err(failed)?;
        let hash = hasher()?.hash_password(password.expose().as_bytes(), &salt).map_err(failed)?;
        Ok(SecretBytes::new(hash.to_string()))
    }

    /// Refuses what is too short, too long, or the user's own name or address.
    ///
    /// # Errors
    /// `password_weak` at `password`.
    pub fn check(password: &SecretText, name: &str, email: &str) -> Result<()> {
        let weak = || Error::new(ErrorCode::PasswordWeak).at("password");
        let length = password.expose().chars().count();
        if !(MIN_CHARACTERS..=MAX_CHARACTERS).contains(&length) {
            return Err(weak().with("min", MIN_CHARACTERS).with("max", MAX_CHARACTERS));
        }
        let folded = fold(password.expose());
        let own = [name, email].iter().any(|own| fold(own) == folded);
        if own { Err(weak().message("a password is neither the name nor the e-mail address")) } else { Ok(()) }
    }

    /// Hashes and seals a checked password; the old hash is destroyed, failures and lock are reset.
    pub async fn set(
        work: &mut UnitOfWork<'_>,
        user: &mut Root<User>,
        password: &SecretText,
        must_change: bool,
    ) -> Result<()> {
        if !work.has_vault() {
            return Err(Error::new(ErrorCode::EncryptionNotConfigured).at("password"));
        }
        let hash = hash(password, work.random())?;
        let old = user.password.as_ref().map(|password| password.secret_ref);
        let secret_ref = work.seal(&place(user.id), old, &hash).await?;
        let (algorithm, changed_at) = (PasswordAlgorithm::Argon2id, user.now());
        user.record(UserEvent::PasswordChanged { secret_ref, algorithm, must_change, changed_at });
        Ok(())
    }

    /// The stored hash of a user, if it has a password.
    pub async fn open(read: &Reader<'_>, user: &User) -> Result<Option<SecretBytes>> {
        match &user.password {
            Some(password) => read.open_secret(&place(user.id), password.secret_ref).await,
            None => Ok(None),
        }
    }

    /// Whether a password is the one of this hash.
    pub fn verify(password: &SecretText, hash: &SecretBytes) -> Result<bool> {
        let broken = || Error::corrupt("a password hash cannot be read");
        let text = std::str::from_utf8(hash.expose()).map_err(|_| broken())?;
        let parsed = PasswordHash::new(text).map_err(|_| broken())?;
        Ok(hasher()?.verify_password(password.expose().as_bytes(), &parsed).is_ok())
    }

    /// Takes as long as [`verify`], so that nobody learns from the time which users have a password.
    pub fn spend(password: &SecretText) -> Result<()> {
        hash(password, [0; 16]).map(drop)
    }
}
