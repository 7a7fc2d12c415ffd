//! What can be asked about the members of a project.

use super::ProjectMember;
use crate::engine::{OperationScope, Query, Reader};
use crate::kernel::{
    Actor, Email, Error, ErrorCode, MemberId, MemberRole, Permission, PermissionSet, Result, SecretText, Timestamp,
    UserId,
};
use crate::storage::{FieldKind, Filter, FilterExpression, Find, Page, PageRequest, Scope, SortKey};
use crate::tenancy::access;
use crate::tenancy::project::{Project, Slug};
use crate::tenancy::token;
use crate::tenancy::user::{ApiKey, User};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A member by its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetMember {
    pub id: MemberId,
}

impl Query for GetMember {
    const NAME: &'static str = "members.get";
    const PERMISSION: Permission = Permission::MembersView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::MemberNotFound];
    type Output = ProjectMember;

    async fn run(self, read: &Reader<'_>) -> Result<ProjectMember> {
        read.get(self.id).await
    }
}

/// The membership of a user, if it has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindMember {
    pub user_id: UserId,
}

impl Query for FindMember {
    const NAME: &'static str = "members.find";
    const PERMISSION: Permission = Permission::MembersView;
    type Output = Option<ProjectMember>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<ProjectMember>> {
        read.by_key(ProjectMember::BY_USER, "", &self.user_id.to_string()).await
    }
}

/// Members, open invitations included. Sorted by `role`, administrators come first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ListMembers {
    pub page: PageRequest,
}

impl Query for ListMembers {
    const NAME: &'static str = "members.list";
    const PERMISSION: Permission = Permission::MembersView;
    type Output = Page<ProjectMember>;

    async fn run(mut self, read: &Reader<'_>) -> Result<Page<ProjectMember>> {
        for key in &mut self.page.sort {
            match key {
                SortKey::Text(field) if field.trim_start_matches(['-', '+']) == "role" => field.push_str("_rank"),
                SortKey::Key { field, .. } if field == "role" => field.push_str("_rank"),
                _ => {}
            }
        }
        read.page(&self.page).await
    }
}

/// How many members, open invitations included, satisfy a filter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountMembers {
    #[serde(default)]
    pub filter: Option<FilterExpression>,
}

impl Query for CountMembers {
    const NAME: &'static str = "members.count";
    const PERMISSION: Permission = Permission::MembersView;
    type Output = u64;

    async fn run(self, read: &Reader<'_>) -> Result<u64> {
        read.count::<ProjectMember>(self.filter.as_ref(), Filter::everything()).await
    }
}

/// What somebody may do in the project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectivePermissions {
    /// Sorted by name.
    pub permissions: PermissionSet,
    /// Null for those who are no members.
    pub role: Option<MemberRole>,
    pub is_owner: bool,
    /// A platform administrator who is no member.
    pub elevated: bool,
}

/// What the actor may do in the project, or what a user may: that needs `members.view`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberPermissions {
    /// The actor unless told.
    #[serde(default)]
    pub user_id: Option<UserId>,
}

impl Query for MemberPermissions {
    const NAME: &'static str = "members.permissions";
    const PERMISSION: Permission = Permission::Authenticated;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::PermissionDenied, ErrorCode::NotAMember, ErrorCode::ActorSuspended];
    type Output = EffectivePermissions;

    async fn run(self, read: &Reader<'_>) -> Result<EffectivePermissions> {
        let own = access::project_rights(read).await?;
        let acting = match read.context().actor.actor {
            Actor::User(id) => Some(id),
            _ => None,
        };
        let rights = match self.user_id.filter(|id| Some(*id) != acting) {
            None => own,
            Some(other) => {
                own.require(Permission::MembersView)?;
                access::user_rights(read, other).await?
            }
        };
        Ok(EffectivePermissions {
            permissions: rights.permissions,
            role: rights.role,
            is_owner: rights.is_owner,
            elevated: rights.elevated,
        })
    }
}

/// What an invited person sees before accepting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvitationPreview {
    pub project_name: String,
    pub project_slug: Slug,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "email"))]
    pub email: Option<Email>,
    pub role: MemberRole,
    pub expires_at: Timestamp,
}

/// The invitation behind a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindInvitation {
    pub token: SecretText,
}

impl Query for FindInvitation {
    const NAME: &'static str = "members.find_invitation";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvitationNotFound];
    type Output = InvitationPreview;

    async fn run(self, read: &Reader<'_>) -> Result<InvitationPreview> {
        let unknown = || Error::new(ErrorCode::InvitationNotFound).at("token");
        let hash = token::hash(self.token.expose());
        let found = read.by_key_in::<ProjectMember>(Scope::Installation, ProjectMember::BY_TOKEN, "", &hash).await?;
        let member = found.ok_or_else(unknown)?;
        let project = access::project_of(read, member.project_id).await?.ok_or_else(unknown)?;
        let Project { name: project_name, slug: project_slug, .. } = Arc::unwrap_or_clone(project);
        let expires_at = member.invitation.map(|invitation| invitation.expires_at).ok_or_else(unknown)?;
        Ok(InvitationPreview { project_name, project_slug, email: member.invited_email, role: member.role, expires_at })
    }
}

/// A key with the user it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberApiKey {
    pub user_id: UserId,
    pub api_key: ApiKey,
}

/// The API keys that work in this project only; never their text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMemberApiKeys {}

impl Query for ListMemberApiKeys {
    const NAME: &'static str = "members.api_keys";
    const PERMISSION: Permission = Permission::ApikeysManage;
    type Output = Vec<MemberApiKey>;

    async fn run(self, read: &Reader<'_>) -> Result<Vec<MemberApiKey>> {
        let project = read.project();
        let mut keys = Vec::new();
        let mut after = None;
        loop {
            let find = Find {
                filter: Filter::Not(Box::new(Filter::eq("user_id", FieldKind::Id, Option::<uuid::Uuid>::None))),
                sort: Vec::new(),
                after: after.take(),
                backward: false,
                limit: 100,
                include_hidden: false,
                with_total: false,
            };
            let members: Vec<ProjectMember> = read.find_states(&find).await?;
            let users: Vec<UserId> = members.iter().filter_map(|member| member.user_id).collect();
            for user in read.get_many::<User>(&users).await? {
                let bound = user.api_keys.into_iter().filter(|key| key.project_id == Some(project));
                keys.extend(bound.map(|api_key| MemberApiKey { user_id: user.id, api_key }));
            }
            match members.last() {
                Some(last) if members.len() == find.limit => after = Some((Vec::new(), last.id.uuid())),
                _ => break,
            }
        }
        keys.sort_by_key(|key| key.api_key.created_at);
        Ok(keys)
    }
}

crate::operations![queries:
    GetMember,
    FindMember,
    ListMembers,
    CountMembers,
    MemberPermissions,
    FindInvitation,
    ListMemberApiKeys,
];
