//! Who is this: API keys, and logins that the host decided.

use crate::engine::{Command, OperationScope, UnitOfWork};
use crate::kernel::{ActorRef, ErrorCode, Permission, PermissionSet, ProjectId, Result, Timestamp, UserId};
use crate::tenancy::user::api_key::lookup_of;
use crate::tenancy::user::{ApiKey, LoginMethod, User, UserEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key's use is recorded at most once in this many seconds.
const USE_SECONDS: i64 = 3_600;
/// A login is recorded at most once in this many seconds, by method.
const LOGIN_SECONDS: i64 = 15 * 60;
/// From how many failed passwords on there is a lock.
const LOCK_FROM: u32 = 5;
/// The first lock, in seconds; each further failure doubles it, up to a day.
const FIRST_LOCK: i64 = 15 * 60;
const LONGEST_LOCK: i64 = 86_400;

/// Who showed an API key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Authentication {
    pub user: User,
    pub api_key: ApiKey,
    /// The only project that the key works in.
    pub project_id: Option<ProjectId>,
    /// What the key is limited to; null = everything that the user may.
    pub permissions: Option<PermissionSet>,
    /// The actor to call as.
    pub actor: ActorRef,
}

/// Finds the user of an API key. Its use is recorded at most once an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthenticateUser {
    /// The text of the key.
    pub api_key: String,
}

impl Command for AuthenticateUser {
    const NAME: &'static str = "users.authenticate";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ApiKeyInvalid, ErrorCode::ApiKeyExpired, ErrorCode::ActorSuspended];
    type Output = Authentication;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Authentication> {
        let lookup = lookup_of(&self.api_key).ok_or(ErrorCode::ApiKeyInvalid)?;
        let found = work.by_key::<User>(User::BY_API_KEY, "", lookup).await?;
        let mut user = found.ok_or(ErrorCode::ApiKeyInvalid)?;
        let now = work.now();
        let key = user.api_keys.iter().find(|key| key.matches(&self.api_key)).cloned();
        let key = key.filter(|key| !key.is_revoked_at(now)).ok_or(ErrorCode::ApiKeyInvalid)?;
        if key.is_expired_at(now) {
            return Err(ErrorCode::ApiKeyExpired.into());
        }
        if !user.may_act() {
            return Err(ErrorCode::ActorSuspended.into());
        }
        if key.last_used_at.is_none_or(|last| now >= last.plus_seconds(USE_SECONDS)) {
            user.record(UserEvent::ApiKeyUsed { api_key_id: key.id, used_at: now });
        }
        let user = work.save(user)?;
        let api_key = user.api_key(key.id).cloned().unwrap_or(key);
        Ok(Authentication {
            project_id: api_key.project_id,
            permissions: api_key.scopes,
            actor: ActorRef::user(user.id).through_api_key(api_key.id),
            api_key,
            user,
        })
    }
}

/// Records a login that the host decided. A success resets failures and lock; it is kept at most every 15 minutes by
/// method, and always when there is something to reset. From the fifth wrong password on the user is locked for 15
/// minutes, doubling up to a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordLogin {
    pub id: UserId,
    pub method: LoginMethod,
    /// Whether the person proved to be the user.
    pub ok: bool,
    #[serde(default)]
    pub issuer: Option<String>,
}

impl Command for RecordLogin {
    const NAME: &'static str = "users.record_login";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::UserNotFound, ErrorCode::ActorSuspended];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        let mut user = work.load::<User>(self.id).await?;
        if !user.may_act() {
            return Err(ErrorCode::ActorSuspended.into());
        }
        let (now, method) = (work.now(), self.method);
        if !self.ok {
            let failed_logins = user.failed_logins.saturating_add(1);
            let locked_until = lock(method, failed_logins, now).or(user.locked_until);
            user.record(UserEvent::LoginFailed { method, failed_logins, locked_until });
            return work.save(user);
        }
        let recent = user.last_login_at.is_some_and(|last| now < last.plus_seconds(LOGIN_SECONDS));
        let dirty = user.failed_logins > 0 || user.locked_until.is_some();
        if dirty || !recent || user.last_login_method != Some(method) {
            user.record(UserEvent::LoginRecorded { method, at: now, issuer: self.issuer });
        }
        work.save(user)
    }
}

fn lock(method: LoginMethod, failures: u32, now: Timestamp) -> Option<Timestamp> {
    let beyond = failures.checked_sub(LOCK_FROM).filter(|_| method == LoginMethod::Password)?;
    let seconds = FIRST_LOCK.saturating_mul(1 << beyond.min(10)).min(LONGEST_LOCK);
    Some(now.plus_seconds(seconds))
}
