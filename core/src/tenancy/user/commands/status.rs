//! Who may act, and what in the installation.

use super::{not_self, reason};
use crate::engine::{Command, OperationScope, UnitOfWork};
use crate::kernel::{Error, ErrorCode, Permission, PlatformRole, Result, UserId};
use crate::storage::{FieldKind, Filter, Find};
use crate::tenancy::user::{User, UserEvent, UserStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes what a user may in the installation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUserRole {
    pub id: UserId,
    pub platform_role: PlatformRole,
}

impl Command for ChangeUserRole {
    const NAME: &'static str = "users.change_role";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::UserNotFound, ErrorCode::CannotChangeSelf, ErrorCode::LastPlatformAdmin, ErrorCode::EnumUnknown];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        not_self(work, self.id)?;
        let mut user = work.load::<User>(self.id).await?;
        let (old_role, new_role) = (user.platform_role, self.platform_role);
        if old_role != new_role {
            not_last_admin(work, &user).await?;
            user.record(UserEvent::RoleChanged { old_role, new_role });
        }
        work.save(user)
    }
}

/// Lets a closed or blocked user act again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateUser {
    pub id: UserId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for ActivateUser {
    const NAME: &'static str = "users.activate";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::UserNotFound, ErrorCode::CannotChangeSelf, ErrorCode::TextTooLong];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        not_self(work, self.id)?;
        let reason = reason(self.reason)?;
        let mut user = work.load::<User>(self.id).await?;
        let from_status = user.status;
        if from_status != UserStatus::Active {
            user.record(UserEvent::Activated { from_status, reason });
        }
        work.save(user)
    }
}

/// Closes a user: it cannot act any more, and its keys do not work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeactivateUser {
    pub id: UserId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for DeactivateUser {
    const NAME: &'static str = "users.deactivate";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::UserNotFound,
        ErrorCode::CannotChangeSelf,
        ErrorCode::LastPlatformAdmin,
        ErrorCode::InvalidState,
        ErrorCode::TextTooLong,
    ];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        not_self(work, self.id)?;
        let reason = reason(self.reason)?;
        let mut user = work.load::<User>(self.id).await?;
        match user.status {
            UserStatus::Inactive => {}
            UserStatus::Suspended => {
                return Err(Error::new(ErrorCode::InvalidState).with("status", user.status.as_str()));
            }
            UserStatus::Active => {
                not_last_admin(work, &user).await?;
                user.record(UserEvent::Deactivated { reason });
            }
        }
        work.save(user)
    }
}

/// Blocks a user: policy, abuse, payment. Suspending twice changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendUser {
    pub id: UserId,
    /// Required; at most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for SuspendUser {
    const NAME: &'static str = "users.suspend";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::UserNotFound,
        ErrorCode::CannotChangeSelf,
        ErrorCode::LastPlatformAdmin,
        ErrorCode::ReasonRequired,
        ErrorCode::TextTooLong,
    ];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        not_self(work, self.id)?;
        let reason = reason(self.reason)?.ok_or_else(|| Error::new(ErrorCode::ReasonRequired).at("reason"))?;
        let mut user = work.load::<User>(self.id).await?;
        if user.status != UserStatus::Suspended {
            not_last_admin(work, &user).await?;
            let suspended_at = user.now();
            user.record(UserEvent::Suspended { reason: Some(reason), suspended_at });
        }
        work.save(user)
    }
}

/// Refuses to let go of the last active platform administrator.
pub(super) async fn not_last_admin(work: &UnitOfWork<'_>, user: &User) -> Result<()> {
    if user.platform_role != PlatformRole::Admin || !user.may_act() {
        return Ok(());
    }
    let find = Find {
        filter: Filter::All(vec![
            Filter::eq("platform_role", FieldKind::Enum, PlatformRole::Admin.as_str()),
            Filter::eq("status", FieldKind::Enum, UserStatus::Active.as_str()),
        ]),
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: 2,
        include_hidden: false,
        with_total: false,
    };
    let admins: Vec<User> = work.reader().find_states(&find).await?;
    if admins.iter().any(|admin| admin.id != user.id) { Ok(()) } else { Err(ErrorCode::LastPlatformAdmin.into()) }
}
