//! The end of a membership.

use super::set_timers;
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{Actor, ApiKeyId, Error, ErrorCode, MemberId, Permission, Result, UserId, text};
use crate::tenancy::project::Project;
use crate::tenancy::project_member::guards::{not_last_admin, not_owner};
use crate::tenancy::project_member::{MemberStatus, ProjectMember, ProjectMemberEvent, RemovalReason};
use crate::tenancy::user::{ApiKey, User};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ends a membership, or revokes an open invitation. Removing oneself is leaving.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveMember {
    pub id: MemberId,
}

impl Command for RemoveMember {
    const NAME: &'static str = "members.remove";
    const PERMISSION: Permission = Permission::MembersManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::MemberNotFound, ErrorCode::LastAdmin, ErrorCode::OwnerMembershipProtected];
    type Output = ProjectMember;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ProjectMember> {
        let member = work.load::<ProjectMember>(self.id).await?;
        let own = matches!(work.actor().actor, Actor::User(actor) if member.user_id == Some(actor));
        let reason = match member.status {
            MemberStatus::Invited => RemovalReason::InvitationRevoked,
            _ if own => RemovalReason::Left,
            _ => RemovalReason::Removed,
        };
        end(work, member, reason).await
    }
}

/// Ends the acting user's own membership.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaveProject {}

impl Command for LeaveProject {
    const NAME: &'static str = "members.leave";
    const PERMISSION: Permission = Permission::Authenticated;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::NotAMember, ErrorCode::LastAdmin, ErrorCode::OwnerMembershipProtected];
    type Output = ProjectMember;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ProjectMember> {
        let Actor::User(user) = work.actor().actor else { return Err(ErrorCode::NotAMember.into()) };
        let found = work.by_key::<ProjectMember>(ProjectMember::BY_USER, "", &user.to_string()).await?;
        let member = found.ok_or(ErrorCode::NotAMember)?;
        end(work, member, RemovalReason::Left).await
    }
}

async fn end(work: &mut UnitOfWork<'_>, member: Root<ProjectMember>, reason: RemovalReason) -> Result<ProjectMember> {
    not_owner(work, &member).await?;
    not_last_admin(work, &member).await?;
    remove(work, member, reason)
}

pub(super) fn remove(
    work: &mut UnitOfWork<'_>,
    mut member: Root<ProjectMember>,
    reason: RemovalReason,
) -> Result<ProjectMember> {
    let event = ProjectMemberEvent::Removed {
        project_id: member.project_id,
        user_id: member.user_id,
        role: member.role,
        removed_by: member.actor().clone(),
        removed_at: member.now(),
        reason,
    };
    member.record(event);
    set_timers(work, &member);
    work.save(member)
}

/// Ends a membership of another project than the call's, without asking whether an administrator remains: its user is gone.
pub(crate) async fn remove_for(work: &mut UnitOfWork<'_>, member: &ProjectMember, reason: RemovalReason) -> Result<()> {
    work.enter_project(member.project_id);
    // Loaded while it is the project of the call: the event is folded into it later, when another may be.
    work.find::<Project>(member.project_id).await?;
    let Some(found) = work.find::<ProjectMember>(member.id).await? else { return Ok(()) };
    if found.status != MemberStatus::Removed {
        remove(work, found, reason)?;
    }
    Ok(())
}

/// Revokes an API key that works in this project only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeMemberApiKey {
    pub user_id: UserId,
    pub api_key_id: ApiKeyId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for RevokeMemberApiKey {
    const NAME: &'static str = "members.revoke_api_key";
    const PERMISSION: Permission = Permission::ApikeysManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ApiKeyNotFound, ErrorCode::TextTooLong];
    type Output = ApiKey;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ApiKey> {
        let unknown = || Error::new(ErrorCode::ApiKeyNotFound).at("api_key_id").with("id", self.api_key_id.to_string());
        let mut user = work.find::<User>(self.user_id).await?.ok_or_else(unknown)?;
        user.api_key(self.api_key_id).filter(|key| key.project_id == Some(work.project())).ok_or_else(unknown)?;
        let reason = self.reason.as_deref().map(|reason| text::text(reason, 500)).transpose();
        let key = user.revoke_api_key(self.api_key_id, reason.map_err(|e| e.at("reason"))?)?;
        work.save(user)?;
        Ok(key)
    }
}
