//! Changing what a member may, and for how long.

use super::{check_access_expiry, set_timers};
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{
    Error, ErrorCode, MemberId, MemberRole, Patch, Permission, PermissionSet, Result, Timestamp, text,
};
use crate::tenancy::access;
use crate::tenancy::project_member::guards::{not_last_admin, not_owner, not_self};
use crate::tenancy::project_member::{Grants, MemberStatus, ProjectMember, ProjectMemberEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes role, exceptions and end of access of a member. What is absent stays; the sets are replaced whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMember {
    pub id: MemberId,
    #[serde(default)]
    pub role: Option<MemberRole>,
    #[serde(default)]
    pub granted: Option<PermissionSet>,
    #[serde(default)]
    pub denied: Option<PermissionSet>,
    /// Null = access never ends.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub access_expires_at: Patch<Timestamp>,
}

impl Command for UpdateMember {
    const NAME: &'static str = "members.update";
    const PERMISSION: Permission = Permission::MembersManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MemberNotFound,
        ErrorCode::CannotChangeSelf,
        ErrorCode::LastAdmin,
        ErrorCode::OwnerMembershipProtected,
        ErrorCode::EnumUnknown,
        ErrorCode::PermissionUnknown,
        ErrorCode::PermissionOverlap,
        ErrorCode::PermissionNotGrantable,
        ErrorCode::CannotGrantUnheld,
        ErrorCode::AccessExpiryInPast,
    ];
    type Output = ProjectMember;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ProjectMember> {
        let mut member = work.load::<ProjectMember>(self.id).await?;
        not_self(work, &member)?;
        let before = member.grants();
        let grants = Grants {
            role: self.role.unwrap_or(before.role),
            granted: self.granted.unwrap_or(before.granted),
            denied: self.denied.unwrap_or(before.denied),
        };
        grants.check()?;
        grants.check_held(before.permissions(), access::held(work.reader()).await?)?;
        let end = self.access_expires_at.into_change().unwrap_or(member.access_expires_at);
        if end != member.access_expires_at {
            check_access_expiry(work, end)?;
        }
        let limits = grants.role != MemberRole::Admin || !grants.denied.is_empty() || end.is_some();
        if limits && (grants, end) != (before, member.access_expires_at) {
            not_owner(work, &member).await?;
        }
        if grants.role != MemberRole::Admin || end.is_some() {
            not_last_admin(work, &member).await?;
        }
        member.change_grants(grants);
        member.change_access_expiry(end);
        set_timers(work, &member);
        work.save(member)
    }
}

/// Takes all rights away for now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendMember {
    pub id: MemberId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for SuspendMember {
    const NAME: &'static str = "members.suspend";
    const PERMISSION: Permission = Permission::MembersManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MemberNotFound,
        ErrorCode::CannotChangeSelf,
        ErrorCode::LastAdmin,
        ErrorCode::OwnerMembershipProtected,
        ErrorCode::InvalidState,
        ErrorCode::TextTooLong,
    ];
    type Output = ProjectMember;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ProjectMember> {
        let mut member = work.load::<ProjectMember>(self.id).await?;
        not_self(work, &member)?;
        let reason = self.reason.map(|reason| text::text(&reason, 500)).transpose().map_err(|e| e.at("reason"))?;
        if member.status == MemberStatus::Suspended {
            return work.save(member);
        }
        member.require(MemberStatus::Active)?;
        not_owner(work, &member).await?;
        not_last_admin(work, &member).await?;
        let (project_id, user_id) = (member.project_id, member.user_id);
        member.record(ProjectMemberEvent::Suspended { project_id, user_id, reason });
        set_timers(work, &member);
        work.save(member)
    }
}

/// Gives the rights back. Whose access had expired needs a new end, or an explicit null for none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReinstateMember {
    pub id: MemberId,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub access_expires_at: Patch<Timestamp>,
}

impl Command for ReinstateMember {
    const NAME: &'static str = "members.reinstate";
    const PERMISSION: Permission = Permission::MembersManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MemberNotFound,
        ErrorCode::CannotChangeSelf,
        ErrorCode::InvalidState,
        ErrorCode::AccessExpiryInPast,
        ErrorCode::CannotGrantUnheld,
    ];
    type Output = ProjectMember;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ProjectMember> {
        let mut member = work.load::<ProjectMember>(self.id).await?;
        not_self(work, &member)?;
        if member.status == MemberStatus::Active {
            return work.save(member);
        }
        member.require(MemberStatus::Suspended)?;
        member.grants().check_held(PermissionSet::EMPTY, access::held(work.reader()).await?)?;
        let access_expires_at = self.access_expires_at.into_change().unwrap_or(member.access_expires_at);
        check_access_expiry(work, access_expires_at)?;
        let (project_id, user_id) = (member.project_id, member.user_id);
        member.record(ProjectMemberEvent::Reinstated { project_id, user_id, access_expires_at });
        set_timers(work, &member);
        work.save(member)
    }
}

impl Root<ProjectMember> {
    /// Records what of role and exceptions differs.
    pub fn change_grants(&mut self, grants: Grants) {
        let (project_id, user_id, old_role) = (self.project_id, self.user_id, self.role);
        if grants.role != old_role {
            let (changed_by, changed_at, new_role) = (self.actor().clone(), self.now(), grants.role);
            let event =
                ProjectMemberEvent::RoleChanged { project_id, user_id, old_role, new_role, changed_by, changed_at };
            self.record(event);
        }
        let Grants { granted, denied, .. } = grants;
        if (granted, denied) != (self.granted, self.denied) {
            self.record(ProjectMemberEvent::PermissionsChanged { project_id, user_id, granted, denied });
        }
    }

    /// Records another end of access.
    pub fn change_access_expiry(&mut self, new: Option<Timestamp>) {
        let (project_id, user_id, old) = (self.project_id, self.user_id, self.access_expires_at);
        if new != old {
            self.record(ProjectMemberEvent::AccessExpiryChanged { project_id, user_id, old, new });
        }
    }

    /// Refuses any other status.
    pub fn require(&self, status: MemberStatus) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        Err(Error::new(ErrorCode::InvalidState).with("status", self.status.as_str()).with("needed", status.as_str()))
    }
}
