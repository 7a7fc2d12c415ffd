//! What can happen to a credential. No secret is in an event: a reference stands for it.

use super::{CredentialStatus, CredentialType, ProviderAccount};
use crate::kernel::{Patch, SecretRef, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

crate::text_enum! {
    /// Why the time of a credential is over.
    pub enum ExpiryCause {
        /// Its end came.
        Time = "time",
        /// Its token is over, and no refresh worked.
        RefreshExhausted = "refresh_exhausted",
    }
}

/// Granted tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OAuthGrant {
    pub access: SecretRef,
    pub refresh: Option<SecretRef>,
    pub token_type: String,
    pub scopes: Vec<String>,
    pub issued_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// A credential as it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewCredential {
    pub credential_type: CredentialType,
    pub name: String,
    pub description: String,
    pub status: CredentialStatus,
    pub value: Option<SecretRef>,
    pub fingerprint: Option<String>,
    pub hint: Option<String>,
    pub oauth: Option<OAuthGrant>,
    pub expires_at: Option<Timestamp>,
    pub metadata: Map<String, Value>,
    pub provider_account: Option<ProviderAccount>,
}

/// What of a credential's description changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CredentialPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub provider_account: Patch<ProviderAccount>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata_set: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metadata_unset: Vec<String>,
}

crate::events! {
    /// What can happen to a credential.
    pub enum CredentialEvent: Credential {
        /// It was made.
        "credential.created" Created(Box<NewCredential>),
        /// Its description changed.
        "credential.updated" Updated(CredentialPatch),
        /// It has another value; the old one opens until its time.
        "credential.value_rotated" ValueRotated {
            old_value: Option<SecretRef>,
            new_value: SecretRef,
            fingerprint: String,
            hint: Option<String>,
            expires_at: Option<Timestamp>,
            old_valid_until: Option<Timestamp>,
        },
        /// A person granted access at the provider, for the first time or again.
        "credential.oauth_authorized" OAuthAuthorized {
            access: SecretRef,
            refresh: Option<SecretRef>,
            token_type: String,
            scopes: Vec<String>,
            /// Scopes that the type asks for and that were not granted.
            missing_scopes: Vec<String>,
            issued_at: Timestamp,
            expires_at: Option<Timestamp>,
            provider_account: Option<ProviderAccount>,
        },
        /// Somebody is refreshing its tokens.
        "credential.oauth_refresh_started" OAuthRefreshStarted { lease_until: Timestamp },
        /// The provider gave new tokens.
        "credential.oauth_refreshed" OAuthRefreshed {
            access: SecretRef,
            refresh: Option<SecretRef>,
            /// The provider gave another refresh token.
            refresh_rotated: bool,
            scopes: Vec<String>,
            issued_at: Timestamp,
            expires_at: Option<Timestamp>,
            /// How long the access token before opens; null when it was over already.
            old_access_until: Option<Timestamp>,
            /// How long the refresh token before opens; null when it is still the same.
            old_refresh_until: Option<Timestamp>,
        },
        /// The provider gave none.
        "credential.oauth_refresh_failed" OAuthRefreshFailed {
            error_code: String,
            permanent: bool,
            /// In a row.
            refresh_failures: u32,
            next_refresh_at: Option<Timestamp>,
            status: CredentialStatus,
        },
        /// It ends at another time.
        "credential.expiry_changed" ExpiryChanged { old: Option<Timestamp>, new: Option<Timestamp> },
        /// It ends soon.
        "credential.expiring" Expiring { expires_at: Timestamp, days_left: u32 },
        /// Its time is over.
        "credential.expired" Expired { expired_at: Timestamp, cause: ExpiryCause },
        /// A person switched it on.
        "credential.activated" Activated { status: CredentialStatus, reason: Option<String> },
        /// Somebody switched it off.
        "credential.deactivated" Deactivated { status: CredentialStatus, reason: Option<String> },
        /// A secret of it was opened, this often since the last such event of the purpose.
        "credential.used" Used { purpose: String, used_at: Timestamp, uses: u64 },
        /// A provider was asked whether it takes it.
        "credential.verified" Verified { ok: bool, code: Option<String>, verified_at: Timestamp },
        /// It is gone, and so are its secrets.
        "credential.deleted" Deleted { deleted_at: Timestamp, shredded: bool },
    }
}
