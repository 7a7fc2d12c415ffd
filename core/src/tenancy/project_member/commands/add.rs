//! Adding a member at once.

use super::{check_access_expiry, set_timers};
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{
    Email, ErrorCode, MemberId, MemberRole, Permission, PermissionSet, ProjectId, Result, Timestamp, UserId,
};
use crate::tenancy::access;
use crate::tenancy::project_member::guards::acting_user;
use crate::tenancy::project_member::{Grants, JoinVia, MemberStatus, NewMember, ProjectMember, ProjectMemberEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes a user a member of the project at once. An actor gives nothing that it does not have itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    pub user_id: UserId,
    pub role: MemberRole,
    /// Permissions on top of the role.
    #[serde(default)]
    pub granted: PermissionSet,
    /// Permissions taken away from the role.
    #[serde(default)]
    pub denied: PermissionSet,
    /// When temporary access ends.
    #[serde(default)]
    pub access_expires_at: Option<Timestamp>,
}

impl Command for AddMember {
    const NAME: &'static str = "members.add";
    const PERMISSION: Permission = Permission::MembersManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::UserNotFound,
        ErrorCode::ActorSuspended,
        ErrorCode::MemberAlreadyExists,
        ErrorCode::EnumUnknown,
        ErrorCode::PermissionUnknown,
        ErrorCode::PermissionOverlap,
        ErrorCode::PermissionNotGrantable,
        ErrorCode::CannotGrantUnheld,
        ErrorCode::AccessExpiryInPast,
    ];
    type Output = ProjectMember;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ProjectMember> {
        let grants = Grants { role: self.role, granted: self.granted, denied: self.denied };
        grants.check()?;
        grants.check_held(PermissionSet::EMPTY, access::held(work.reader()).await?)?;
        check_access_expiry(work, self.access_expires_at)?;
        acting_user(work, "user_id", self.user_id).await?;
        let mut member = start(work, grants, Some(self.user_id), None, None, self.access_expires_at)?;
        member.join(self.user_id, JoinVia::Direct);
        set_timers(work, &member);
        work.save(member)
    }
}

/// Starts a membership in the project of the call.
pub(super) fn start(
    work: &UnitOfWork<'_>,
    grants: Grants,
    user_id: Option<UserId>,
    invited_email: Option<Email>,
    invitation: Option<(String, Timestamp)>,
    access_expires_at: Option<Timestamp>,
) -> Result<Root<ProjectMember>> {
    let (token_hash, expires_at) = invitation.unzip();
    let new = NewMember {
        project_id: work.project(),
        user_id,
        invited_email,
        role: grants.role,
        status: MemberStatus::Invited,
        granted: grants.granted,
        denied: grants.denied,
        invited_by: work.actor().clone(),
        invited_at: work.now(),
        token_hash,
        expires_at,
        access_expires_at,
    };
    let id: MemberId = work.new_id();
    work.create::<ProjectMember>(id, ProjectMemberEvent::Invited(Box::new(new)))
}

/// Makes the owner of a project that this unit of work founds its first member.
pub(crate) async fn join_owner(work: &mut UnitOfWork<'_>, project: ProjectId, owner: UserId) -> Result<ProjectMember> {
    debug_assert_eq!(project, work.project());
    acting_user(work, "owner_user_id", owner).await?;
    let grants = Grants { role: MemberRole::Admin, granted: PermissionSet::EMPTY, denied: PermissionSet::EMPTY };
    let mut member = start(work, grants, Some(owner), None, None, None)?;
    member.join(owner, JoinVia::ProjectCreation);
    work.save(member)
}

impl Root<ProjectMember> {
    /// The person belongs to the project from now on.
    pub fn join(&mut self, user_id: UserId, via: JoinVia) {
        let (project_id, role, joined_at) = (self.project_id, self.role, self.now());
        self.record(ProjectMemberEvent::Joined { project_id, user_id, role, joined_at, via });
    }
}
