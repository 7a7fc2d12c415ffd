//! Setting a local password. Feature `local_auth`.

use super::target;
use crate::engine::{Command, OperationScope, UnitOfWork};
use crate::kernel::{Email, ErrorCode, Permission, Result, SecretText, UserId};
use crate::tenancy::user::{User, password};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Gives a user a password: oneself, or with `users.manage` anybody. The host has verified the old one. Failures and lock are
/// reset. Ventros keeps an Argon2id hash, sealed in the vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPassword {
    /// The acting user unless told.
    #[serde(default)]
    pub id: Option<UserId>,
    /// 10 to 128 characters; neither the name nor the e-mail address.
    pub password: SecretText,
    /// The host is to ask for a new one at the next login.
    #[serde(default)]
    pub must_change: bool,
}

impl Command for SetPassword {
    const NAME: &'static str = "users.set_password";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::UserNotFound,
        ErrorCode::FieldRequired,
        ErrorCode::PasswordWeak,
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        let id = target(work, self.id, Some(Permission::UsersManage)).await?;
        let mut user = work.load::<User>(id).await?;
        let email = user.email.as_ref().map_or("", Email::as_str);
        password::check(&self.password, &user.name, email)?;
        password::set(work, &mut user, &self.password, self.must_change).await?;
        work.save(user)
    }
}
