//! Words and parts of a credential.

use crate::kernel::{Error, ErrorCode, Result, SecretRef, Timestamp, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

crate::text_enum! {
    /// Whether a credential can be used.
    pub enum CredentialStatus {
        /// It can.
        Active = "active",
        /// A person switched it off.
        Inactive = "inactive",
        /// Its time is over, and nothing can renew it by itself.
        Expired = "expired",
        /// The provider takes it no longer, or never did: a person has to authorise again.
        NeedsReauth = "needs_reauth",
    }
}

crate::text_enum! {
    /// One of the secrets of a credential.
    pub enum CredentialSecret {
        /// What was given when it was made, or in its place since.
        Value = "value",
        /// The access token.
        Access = "access",
    }
}

/// The account at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderAccount {
    /// 1 to 255 characters.
    pub id: String,
    /// At most 255 characters.
    #[serde(default)]
    pub name: Option<String>,
}

impl ProviderAccount {
    /// # Errors
    /// `text_required`, `text_too_long`, `text_control_char`, at the part.
    pub(super) fn check(self) -> Result<ProviderAccount> {
        let id = text::required_text(self.id.trim(), 255).map_err(|e| e.at("id"))?;
        let name = self.name.map(|name| text::text(name.trim(), 255)).transpose().map_err(|e| e.at("name"))?;
        Ok(ProviderAccount { id, name: name.filter(|name| !name.is_empty()) })
    }
}

/// What a provider said to the last test call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    pub ok: bool,
    /// The provider's word for what was wrong.
    pub code: Option<String>,
}

/// Tokens that a person granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OAuthState {
    pub access: SecretRef,
    /// Some providers give none.
    pub refresh: Option<SecretRef>,
    pub token_type: String,
    /// As granted: perhaps fewer than asked for.
    pub scopes: Vec<String>,
    pub issued_at: Timestamp,
    /// When the access token ends; null = never.
    pub expires_at: Option<Timestamp>,
    /// Refreshes that failed since the last one that did not.
    pub refresh_failures: u32,
    /// When the next refresh is due.
    pub next_refresh_at: Option<Timestamp>,
    /// Until then somebody is refreshing.
    pub refresh_lease_until: Option<Timestamp>,
}

/// An earlier value that is kept for work under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetiringSecret {
    pub secret: SecretRef,
    pub valid_until: Timestamp,
}

/// A moment that a person chose.
///
/// # Errors
/// `credential_expiry_in_past`.
pub(super) fn check_expiry(expires_at: Timestamp, now: Timestamp) -> Result<Timestamp> {
    if expires_at > now { Ok(expires_at) } else { Err(Error::new(ErrorCode::CredentialExpiryInPast).at("expires_at")) }
}
