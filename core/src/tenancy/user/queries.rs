//! What can be asked about users.

use super::User;
use crate::engine::{OperationScope, Query, Reader};
use crate::kernel::{
    Actor, Email, Error, ErrorCode, MemberId, MemberRole, Permission, ProjectId, Result, Timestamp, UserId,
};
use crate::storage::{Filter, FilterExpression, Page, PageRequest, Scope};
use crate::tenancy::access;
use crate::tenancy::memberships_of;
use crate::tenancy::project::{Project, ProjectStatus, Slug};
use crate::tenancy::project_member::MemberStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A user: oneself, or with `users.view` anybody.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetUser {
    /// The acting user unless told.
    #[serde(default)]
    pub id: Option<UserId>,
}

impl Query for GetUser {
    const NAME: &'static str = "users.get";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::UserNotFound, ErrorCode::PermissionDenied, ErrorCode::FieldRequired];
    type Output = User;

    async fn run(self, read: &Reader<'_>) -> Result<User> {
        let id = target(read, self.id).await?;
        read.get(id).await
    }
}

/// The user of an e-mail, or of an identity at a provider.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FindUser {
    pub email: Option<Email>,
    /// The provider, with `subject`.
    pub issuer: Option<String>,
    pub subject: Option<String>,
}

impl Query for FindUser {
    const NAME: &'static str = "users.find";
    const PERMISSION: Permission = Permission::UsersView;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FieldRequired, ErrorCode::EmailInvalid];
    type Output = Option<User>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<User>> {
        match (self.email, self.issuer, self.subject) {
            (Some(email), None, None) => read.by_key(User::BY_EMAIL, "", email.as_str()).await,
            (None, Some(issuer), Some(subject)) => read.by_key(User::BY_IDENTITY, &issuer, &subject).await,
            _ => Err(Error::new(ErrorCode::FieldRequired)
                .message("give either an e-mail, or an issuer with a subject")
                .at("email")),
        }
    }
}

/// Users of the installation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ListUsers {
    pub page: PageRequest,
}

impl Query for ListUsers {
    const NAME: &'static str = "users.list";
    const PERMISSION: Permission = Permission::UsersView;
    const SCOPE: OperationScope = OperationScope::System;
    type Output = Page<User>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<User>> {
        read.page(&self.page).await
    }
}

/// How many users satisfy a filter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountUsers {
    #[serde(default)]
    pub filter: Option<FilterExpression>,
}

impl Query for CountUsers {
    const NAME: &'static str = "users.count";
    const PERMISSION: Permission = Permission::UsersView;
    const SCOPE: OperationScope = OperationScope::System;
    type Output = u64;

    async fn run(self, read: &Reader<'_>) -> Result<u64> {
        read.count::<User>(self.filter.as_ref(), Filter::everything()).await
    }
}

/// A user's place in one project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserMembership {
    pub member_id: MemberId,
    pub project_id: ProjectId,
    pub project_name: String,
    pub project_slug: Slug,
    pub project_status: ProjectStatus,
    pub role: MemberRole,
    pub status: MemberStatus,
    pub is_owner: bool,
    pub joined_at: Option<Timestamp>,
    pub access_expires_at: Option<Timestamp>,
}

/// The projects a user belongs to, newest membership first: one's own, or with `users.view` anybody's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMemberships {
    /// The acting user unless told.
    #[serde(default)]
    pub user_id: Option<UserId>,
}

impl Query for ListMemberships {
    const NAME: &'static str = "users.memberships";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied, ErrorCode::FieldRequired];
    type Output = Vec<UserMembership>;

    async fn run(self, read: &Reader<'_>) -> Result<Vec<UserMembership>> {
        let user = target(read, self.user_id).await?;
        let members = memberships_of(read, user).await?;
        let ids: Vec<_> = members.iter().map(|member| member.project_id.uuid()).collect();
        let snapshots = read.storage().get(Scope::Installation, crate::kernel::Kind::Project, &ids).await?;
        let mut projects = BTreeMap::new();
        for snapshot in &snapshots {
            let project: Project = crate::engine::decode(snapshot)?;
            if project.deleted_at.is_none() {
                projects.insert(project.id, project);
            }
        }
        let of_live_projects = members.into_iter().filter_map(|member| {
            let project = projects.get(&member.project_id)?;
            Some(UserMembership {
                member_id: member.id,
                project_id: project.id,
                project_name: project.name.clone(),
                project_slug: project.slug.clone(),
                project_status: project.status,
                role: member.role,
                status: member.status,
                is_owner: project.owner_user_id == Some(user),
                joined_at: member.joined_at,
                access_expires_at: member.access_expires_at,
            })
        });
        Ok(of_live_projects.collect())
    }
}

/// Whose record is meant: one's own, or the named one's, which needs `users.view`.
async fn target(read: &Reader<'_>, told: Option<UserId>) -> Result<UserId> {
    let acting = match read.context().actor.actor {
        Actor::User(id) => Some(id),
        _ => None,
    };
    let id = told.or(acting).ok_or_else(|| Error::new(ErrorCode::FieldRequired).at("id"))?;
    if Some(id) != acting {
        access::platform_rights(read).await?.require(Permission::UsersView)?;
    }
    Ok(id)
}

crate::operations![queries: GetUser, FindUser, ListUsers, CountUsers, ListMemberships];
