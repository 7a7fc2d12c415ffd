//! Who is this: API keys, passwords, and logins that the host decided.

use crate::engine::{Command, OperationScope, UnitOfWork};
use crate::infrastructure::audit;
use crate::kernel::{ActorRef, Error, ErrorCode, Permission, PermissionSet, ProjectId, Result, SecretText, UserId};
use crate::tenancy::user::api_key::lookup_of;
use crate::tenancy::user::{ApiKey, LoginMethod, User, UserEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key's use is recorded at most once in this many seconds.
const USE_SECONDS: i64 = 3_600;

/// Who showed an API key or a password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Authentication {
    pub user: User,
    /// Null for a password.
    pub api_key: Option<ApiKey>,
    /// The only project that the key works in.
    pub project_id: Option<ProjectId>,
    /// What the key is limited to; null = everything that the user may.
    pub permissions: Option<PermissionSet>,
    /// The actor to call as.
    pub actor: ActorRef,
}

/// Finds the user of an API key, or of an e-mail address and a password.
///
/// A key's use is recorded at most once an hour. A wrong password counts, and the fifth locks the user for 15 minutes,
/// doubling up to a day. An unknown address, a wrong password and a locked user get the same answer, `login_invalid`, in
/// the same time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthenticateUser {
    /// The text of the key.
    #[serde(default)]
    pub api_key: Option<SecretText>,
    /// Together with `password`.
    #[cfg(feature = "local_auth")]
    #[serde(default)]
    pub email: Option<String>,
    #[cfg(feature = "local_auth")]
    #[serde(default)]
    pub password: Option<SecretText>,
}

impl Command for AuthenticateUser {
    const NAME: &'static str = "users.authenticate";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ApiKeyInvalid,
        ErrorCode::ApiKeyExpired,
        ErrorCode::ActorSuspended,
        ErrorCode::FieldRequired,
        ErrorCode::InputInvalid,
        ErrorCode::LoginInvalid,
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = Authentication;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Authentication> {
        #[cfg(feature = "local_auth")]
        match (&self.api_key, &self.email, &self.password) {
            (_, None, None) => {}
            (None, Some(email), Some(password)) => return by_password(work, email, password).await,
            (None, None, Some(_)) => return Err(Error::new(ErrorCode::FieldRequired).at("email")),
            (None, Some(_), None) => return Err(Error::new(ErrorCode::FieldRequired).at("password")),
            (Some(_), ..) => {
                let why = "either a key, or an e-mail address and a password";
                return Err(Error::new(ErrorCode::InputInvalid).at("api_key").message(why));
            }
        }
        let text = self.api_key.ok_or_else(|| Error::new(ErrorCode::FieldRequired).at("api_key"))?;
        by_api_key(work, text.expose()).await
    }
}

async fn by_api_key(work: &mut UnitOfWork<'_>, text: &str) -> Result<Authentication> {
    let unknown = |work: &UnitOfWork<'_>, what: &str| {
        audit::note_failed_login(work.reader().core(), work.context(), what, "api_key_unknown");
        Error::from(ErrorCode::ApiKeyInvalid)
    };
    let lookup = lookup_of(text).ok_or_else(|| unknown(work, "no key"))?;
    let found = work.by_key::<User>(User::BY_API_KEY, "", lookup).await?;
    let mut user = found.ok_or_else(|| unknown(work, lookup))?;
    let now = work.now();
    let key = user.api_keys.iter().find(|key| key.matches(text)).cloned();
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
        api_key: Some(api_key),
        user,
    })
}

/// Hashes in every case, and answers alike in every case but the right one.
#[cfg(feature = "local_auth")]
async fn by_password(work: &mut UnitOfWork<'_>, email: &str, given: &SecretText) -> Result<Authentication> {
    use crate::kernel::Email;
    use crate::tenancy::user::password;
    if !work.has_vault() {
        return Err(Error::new(ErrorCode::EncryptionNotConfigured).at("password"));
    }
    let user = match Email::parse(email) {
        Ok(email) => work.by_key::<User>(User::BY_EMAIL, "", email.as_str()).await?,
        Err(_) => None,
    };
    let hash = match &user {
        Some(user) => password::open(work.reader(), user).await?,
        None => None,
    };
    let right = match &hash {
        Some(hash) => password::verify(given, hash)?,
        None => password::spend(given).map(|()| false)?,
    };
    if user.is_none() {
        audit::note_failed_login(work.reader().core(), work.context(), email, "user_unknown");
    }
    let now = work.now();
    let open = user.filter(|user| hash.is_some() && user.locked_until.is_none_or(|until| until <= now));
    let mut user = open.ok_or(ErrorCode::LoginInvalid)?;
    if !right {
        user.login_failed(LoginMethod::Password);
        work.save(user)?;
        work.keep_on_failure();
        return Err(ErrorCode::LoginInvalid.into());
    }
    if !user.may_act() {
        return Err(ErrorCode::ActorSuspended.into());
    }
    user.login_succeeded(LoginMethod::Password, None);
    let user = work.save(user)?;
    let actor = ActorRef::user(user.id);
    Ok(Authentication { user, api_key: None, project_id: None, permissions: None, actor })
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
        match self.ok {
            true => user.login_succeeded(self.method, self.issuer),
            false => user.login_failed(self.method),
        }
        work.save(user)
    }
}
