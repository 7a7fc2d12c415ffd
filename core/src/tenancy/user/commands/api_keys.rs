//! Making, replacing and revoking API keys.

use super::update::require_member;
use super::{reason, target};
use crate::engine::{Command, OperationScope, Root, UnitOfWork};
use crate::kernel::{
    ApiKeyId, Error, ErrorCode, Permission, PermissionSet, ProjectId, Result, RevealedText, Timestamp, UserId, name,
};
use crate::tenancy::user::api_key::{kept, new_text};
use crate::tenancy::user::events::{NewApiKey, RotatedApiKey};
use crate::tenancy::user::{ApiKey, MAX_API_KEYS, User, UserEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest life of a key, in seconds: two years.
const MAX_LIFE: i64 = 2 * 366 * 86_400;
/// The longest time that a replaced key goes on working, in seconds: a week.
const MAX_OVERLAP: u32 = 7 * 86_400;

/// A new key with its text, which is shown here and never again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IssuedApiKey {
    pub api_key: ApiKey,
    /// 56 characters that start with `vtk_`.
    pub text: RevealedText,
}

/// Makes an API key for the acting user. The host may name the user; nobody else makes keys for others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// The acting user unless told.
    #[serde(default)]
    pub id: Option<UserId>,
    /// 1 to 80 characters.
    pub name: String,
    /// The key works in this project only; the user is an active member.
    #[serde(default)]
    pub project_id: Option<ProjectId>,
    /// What the key is limited to; null = everything that the user may.
    #[serde(default)]
    pub scopes: Option<PermissionSet>,
    /// In the future, at most two years ahead.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl Command for CreateApiKey {
    const NAME: &'static str = "users.create_api_key";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::UserNotFound,
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::ApiKeyLimit,
        ErrorCode::ApiKeyExpiryInvalid,
        ErrorCode::PermissionUnknown,
        ErrorCode::NotAMember,
        ErrorCode::InputInvalid,
    ];
    type Output = IssuedApiKey;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<IssuedApiKey> {
        let id = target(work, self.id, None).await?;
        let mut user = work.load::<User>(id).await?;
        let name = name(&self.name, 1, 80).map_err(|e| e.at("name"))?;
        if let Some(project) = self.project_id {
            require_member(work, id, project).await.map_err(|e| e.at("project_id"))?;
        }
        let (now, end) = (work.now(), self.expires_at);
        if end.is_some_and(|end| end <= now || end > now.plus_seconds(MAX_LIFE)) {
            return Err(Error::new(ErrorCode::ApiKeyExpiryInvalid)
                .at("expires_at")
                .with("max_days", MAX_LIFE / 86_400));
        }
        if user.api_keys.iter().filter(|key| key.is_live(now)).count() >= MAX_API_KEYS {
            return Err(Error::new(ErrorCode::ApiKeyLimit).with("max", MAX_API_KEYS));
        }
        let text = new_text(work);
        let (prefix, key_hash) = kept(&text);
        let (api_key_id, project_id, scopes) = (work.new_id(), self.project_id, self.scopes);
        let new = NewApiKey { api_key_id, name, prefix, key_hash, project_id, scopes, expires_at: end };
        user.record(UserEvent::ApiKeyCreated(Box::new(new)));
        issued(work, user, api_key_id, text)
    }
}

/// Puts a new key of the same name, scopes and project in the place of one, which goes on working for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateApiKey {
    /// The acting user unless told.
    #[serde(default)]
    pub id: Option<UserId>,
    pub api_key_id: ApiKeyId,
    /// How long the old key goes on working: at most 604800 seconds, a week; not at all unless told.
    #[serde(default)]
    pub overlap_seconds: Option<u32>,
}

impl Command for RotateApiKey {
    const NAME: &'static str = "users.rotate_api_key";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::UserNotFound, ErrorCode::ApiKeyNotFound, ErrorCode::ValueOutOfRange, ErrorCode::InputInvalid];
    type Output = IssuedApiKey;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<IssuedApiKey> {
        let id = target(work, self.id, None).await?;
        let mut user = work.load::<User>(id).await?;
        let overlap = self.overlap_seconds.unwrap_or(0);
        if overlap > MAX_OVERLAP {
            return Err(Error::new(ErrorCode::ValueOutOfRange).at("overlap_seconds").with("max", MAX_OVERLAP));
        }
        let now = work.now();
        let old = user.api_key(self.api_key_id).filter(|key| key.is_live(now)).cloned();
        let old = old.ok_or_else(|| unknown(self.api_key_id))?;
        let text = new_text(work);
        let (prefix, key_hash) = kept(&text);
        let api_key_id = work.new_id();
        let ApiKey { name, project_id, scopes, expires_at, .. } = old;
        user.record(UserEvent::ApiKeyRotated(Box::new(RotatedApiKey {
            old_api_key_id: self.api_key_id,
            old_valid_until: now.plus_seconds(i64::from(overlap)),
            new: NewApiKey { api_key_id, name, prefix, key_hash, project_id, scopes, expires_at },
        })));
        issued(work, user, api_key_id, text)
    }
}

/// Ends a key at once. One that is revoked stays so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeApiKey {
    /// The acting user unless told.
    #[serde(default)]
    pub id: Option<UserId>,
    pub api_key_id: ApiKeyId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for RevokeApiKey {
    const NAME: &'static str = "users.revoke_api_key";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::UserNotFound, ErrorCode::ApiKeyNotFound, ErrorCode::TextTooLong];
    type Output = ApiKey;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ApiKey> {
        let id = target(work, self.id, Some(Permission::UsersManage)).await?;
        let mut user = work.load::<User>(id).await?;
        let key = user.revoke_api_key(self.api_key_id, reason(self.reason)?)?;
        work.save(user)?;
        Ok(key)
    }
}

impl Root<User> {
    /// Ends a key at once and returns it.
    pub fn revoke_api_key(&mut self, id: ApiKeyId, reason: Option<String>) -> Result<ApiKey> {
        let revoked_at = self.now();
        let mut key = self.api_key(id).cloned().ok_or_else(|| unknown(id))?;
        if !key.is_revoked_at(revoked_at) {
            key.revoked_at = Some(revoked_at);
            self.record(UserEvent::ApiKeyRevoked { api_key_id: id, reason, revoked_at });
        }
        Ok(key)
    }
}

fn issued(work: &mut UnitOfWork<'_>, user: Root<User>, id: ApiKeyId, text: String) -> Result<IssuedApiKey> {
    work.refuse_idempotency_key()?;
    let user = work.save(user)?;
    let api_key = user.api_key(id).cloned().ok_or_else(|| Error::internal("a key that was just made is not there"))?;
    Ok(IssuedApiKey { api_key, text: RevealedText::new(text) })
}

fn unknown(id: ApiKeyId) -> Error {
    Error::new(ErrorCode::ApiKeyNotFound).at("api_key_id").with("id", id.to_string())
}
