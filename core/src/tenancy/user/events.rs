//! What can happen to a user. These events live in the system log.

use super::{ExternalIdentity, LoginMethod, PasswordAlgorithm, UserDeletionReason, UserStatus};
use crate::kernel::{
    ApiKeyId, Email, Language, Patch, PermissionSet, Phone, PlatformRole, ProjectId, SecretRef, Timestamp, Timezone,
    Url,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A user as it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewUser {
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "name"))]
    pub name: String,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "email"))]
    pub email: Option<Email>,
    pub platform_role: PlatformRole,
    pub status: UserStatus,
    pub language: Language,
    pub timezone: Timezone,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "phone"))]
    pub phone: Option<Phone>,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "media"))]
    pub avatar_url: Option<Url>,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "free"))]
    pub settings: Map<String, Value>,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "free"))]
    pub identities: Vec<ExternalIdentity>,
}

/// A key as it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewApiKey {
    pub api_key_id: ApiKeyId,
    pub name: String,
    pub prefix: String,
    pub key_hash: String,
    pub project_id: Option<ProjectId>,
    pub scopes: Option<PermissionSet>,
    pub expires_at: Option<Timestamp>,
}

/// A key in place of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RotatedApiKey {
    pub old_api_key_id: ApiKeyId,
    /// Until then both work.
    pub old_valid_until: Timestamp,
    #[serde(flatten)]
    pub new: NewApiKey,
}

crate::events! {
    /// What can happen to a user.
    pub enum UserEvent: User {
        /// A person can act.
        "user.created" Created(Box<NewUser>),
        /// Parts of the profile changed.
        "user.profile_updated" ProfileUpdated {
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "name"))]
            name: Patch<String>,
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "phone"))]
            phone: Patch<Phone>,
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "media"))]
            avatar_url: Patch<Url>,
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            language: Patch<Language>,
            #[serde(default, skip_serializing_if = "Patch::is_absent")]
            timezone: Patch<Timezone>,
        },
        /// Another address, not verified yet.
        "user.email_changed" EmailChanged {
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "email"))]
            old_email: Option<Email>,
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "email"))]
            new_email: Option<Email>,
        },
        /// The address is the user's.
        "user.email_verified" EmailVerified {
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "email"))]
            email: Option<Email>,
            verified_at: Timestamp,
        },
        /// Keys of the host's preferences changed.
        "user.settings_changed" SettingsChanged {
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "free"))]
            set: Map<String, Value>,
            unset: Vec<String>,
        },
        /// Another platform role.
        "user.role_changed" RoleChanged { old_role: PlatformRole, new_role: PlatformRole },
        /// May act.
        "user.activated" Activated {
            from_status: UserStatus,
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "text"))]
            reason: Option<String>,
        },
        /// Closed.
        "user.deactivated" Deactivated {
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "text"))]
            reason: Option<String>,
        },
        /// Blocked by the platform.
        "user.suspended" Suspended {
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "text"))]
            reason: Option<String>,
            suspended_at: Timestamp,
        },
        /// An identity of a provider is the user's.
        "user.identity_linked" IdentityLinked {
            issuer: String,
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "free"))]
            subject: String,
            linked_at: Timestamp,
        },
        /// An identity is the user's no longer.
        "user.identity_unlinked" IdentityUnlinked {
            issuer: String,
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "free"))]
            subject: String,
        },
        /// A new local password; failures and lock are reset.
        "user.password_changed" PasswordChanged {
            /// Its hash, in the vault.
            secret_ref: SecretRef,
            algorithm: PasswordAlgorithm,
            must_change: bool,
            changed_at: Timestamp,
        },
        /// Somebody proved to be the user; failures and lock are reset.
        "user.login_recorded" LoginRecorded { method: LoginMethod, at: Timestamp, issuer: Option<String> },
        /// Somebody did not prove it.
        "user.login_failed" LoginFailed {
            method: LoginMethod,
            failed_logins: u32,
            locked_until: Option<Timestamp>,
        },
        /// A new key.
        "user.api_key_created" ApiKeyCreated(Box<NewApiKey>),
        /// A key in place of another.
        "user.api_key_rotated" ApiKeyRotated(Box<RotatedApiKey>),
        /// A key works no longer.
        "user.api_key_revoked" ApiKeyRevoked {
            api_key_id: ApiKeyId,
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "text"))]
            reason: Option<String>,
            revoked_at: Timestamp,
        },
        /// A key was used, for the first time in an hour.
        "user.api_key_used" ApiKeyUsed { api_key_id: ApiKeyId, used_at: Timestamp },
        /// The project that the user sees first changed.
        "user.default_project_changed" DefaultProjectChanged { old: Option<ProjectId>, new: Option<ProjectId> },
        /// The user is gone; keys and identities work no longer.
        "user.deleted" Deleted { reason: UserDeletionReason, deleted_at: Timestamp },
        /// The personal data is gone.
        "user.erased" Erased { erased_at: Timestamp, fields: Vec<String> },
    }
}
