//! The end of a user.

use super::status::not_last_admin;
use super::target;
use crate::engine::{Command, OperationScope, UnitOfWork};
use crate::infrastructure::privacy;
use crate::kernel::{Error, ErrorCode, Kind, Permission, Result, Subject, UserId};
use crate::storage::{FieldKind, Filter, id_value};
use crate::tenancy::everywhere;
use crate::tenancy::project::Project;
use crate::tenancy::user::{User, UserDeletionReason, UserEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Deletes a user: oneself, or with `users.manage` anybody. Memberships end, keys stop working, the e-mail is free again.
/// Who owns a project cannot go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteUser {
    /// The acting user unless told.
    #[serde(default)]
    pub id: Option<UserId>,
    pub reason: UserDeletionReason,
}

impl Command for DeleteUser {
    const NAME: &'static str = "users.delete";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::UserNotFound, ErrorCode::LastPlatformAdmin, ErrorCode::UserOwnsProjects, ErrorCode::EnumUnknown];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        let id = target(work, self.id, Some(Permission::UsersManage)).await?;
        let mut user = work.load::<User>(id).await?;
        not_last_admin(work, &user).await?;
        let owned = Filter::eq("owner_user_id", FieldKind::Id, id_value(id));
        let owned: Vec<Project> = everywhere(work.reader(), owned, Vec::new()).await?;
        if !owned.is_empty() {
            let ids: Vec<String> = owned.iter().map(|project| project.id.to_string()).collect();
            return Err(Error::new(ErrorCode::UserOwnsProjects).with("project_ids", ids));
        }
        if let Some(password) = &user.password {
            work.shred(user.project_id, password.secret_ref);
        }
        let deleted_at = user.now();
        user.record(UserEvent::Deleted { reason: self.reason, deleted_at });
        work.save(user)
    }
}

/// Clears the personal data of a deleted user. Ids stay; the name reads `[erased]`. A job takes it out of everything that is stored
/// about the user in all projects, and where the user's calls came from; it ends with `event_log.redacted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseUser {
    pub id: UserId,
}

impl Command for EraseUser {
    const NAME: &'static str = "users.erase";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::UserNotFound, ErrorCode::UserNotDeleted];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        let unknown = || Error::new(ErrorCode::UserNotFound).with("id", self.id.to_string());
        let mut user = work.find::<User>(self.id).await?.ok_or_else(unknown)?;
        if user.deleted_at.is_none() {
            return Err(ErrorCode::UserNotDeleted.into());
        }
        if user.erased_at.is_none() {
            let fields = ["name", "email", "phone", "avatar_url", "settings", "identities", "suspension_reason"];
            let (erased_at, fields) = (user.now(), fields.map(str::to_owned).to_vec());
            user.record(UserEvent::Erased { erased_at, fields });
            privacy::redact_later(work, Subject::new(Kind::User, self.id), "users.erase")?;
        }
        work.save(user)
    }
}
