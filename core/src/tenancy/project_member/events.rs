//! What can happen to a membership. Every event names the project, so that two changes of one project's members are never
//! decided beside each other: the rule that an administrator remains needs that.

use super::{JoinVia, MemberStatus, RemovalReason};
use crate::kernel::{ActorRef, Email, Kind, MemberRole, PermissionSet, ProjectId, Subject, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A membership as it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewMember {
    pub project_id: ProjectId,
    /// Null for an invited person.
    pub user_id: Option<UserId>,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "email"))]
    pub invited_email: Option<Email>,
    pub role: MemberRole,
    pub status: MemberStatus,
    pub granted: PermissionSet,
    pub denied: PermissionSet,
    pub invited_by: ActorRef,
    pub invited_at: Timestamp,
    /// SHA-256 of the invitation's token, in hex.
    pub token_hash: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub access_expires_at: Option<Timestamp>,
}

crate::events! {
    /// What can happen to a membership.
    pub enum ProjectMemberEvent: ProjectMember {
        /// Somebody was invited, or added at once and then joined.
        "project_member.invited" Invited(Box<NewMember>),
        /// The invitation was sent again with a new token; the old one is dead.
        "project_member.invitation_resent" InvitationResent {
            project_id: ProjectId,
            token_hash: String,
            expires_at: Timestamp,
            sent_count: u32,
        },
        /// The person belongs to the project from now on.
        "project_member.joined" Joined {
            project_id: ProjectId,
            user_id: UserId,
            role: MemberRole,
            joined_at: Timestamp,
            via: JoinVia,
        },
        /// Another role.
        "project_member.role_changed" RoleChanged {
            project_id: ProjectId,
            user_id: Option<UserId>,
            old_role: MemberRole,
            new_role: MemberRole,
            changed_by: ActorRef,
            changed_at: Timestamp,
        },
        /// Other permissions beside the role; both sets are complete.
        "project_member.permissions_changed" PermissionsChanged {
            project_id: ProjectId,
            user_id: Option<UserId>,
            granted: PermissionSet,
            denied: PermissionSet,
        },
        /// Access ends at another time, or never.
        "project_member.access_expiry_changed" AccessExpiryChanged {
            project_id: ProjectId,
            user_id: Option<UserId>,
            old: Option<Timestamp>,
            new: Option<Timestamp>,
        },
        /// The time of access is over.
        "project_member.access_expired" AccessExpired {
            project_id: ProjectId,
            user_id: Option<UserId>,
            expired_at: Timestamp,
        },
        /// No rights for now.
        "project_member.suspended" Suspended {
            project_id: ProjectId,
            user_id: Option<UserId>,
            #[schemars(extend("x-pii" = "user", "x-pii-kind" = "text"))]
            reason: Option<String>,
        },
        /// The rights are back.
        "project_member.reinstated" Reinstated {
            project_id: ProjectId,
            user_id: Option<UserId>,
            access_expires_at: Option<Timestamp>,
        },
        /// The membership or invitation ended.
        "project_member.removed" Removed {
            project_id: ProjectId,
            user_id: Option<UserId>,
            role: MemberRole,
            removed_by: ActorRef,
            removed_at: Timestamp,
            reason: RemovalReason,
        },
    }
    subjects(event, about) {
        let (project, user) = event.about();
        about.push(Subject::new(Kind::Project, project));
        about.extend(user.map(|id| Subject::new(Kind::User, id)));
    }
}

impl ProjectMemberEvent {
    fn about(&self) -> (ProjectId, Option<UserId>) {
        match self {
            Self::Invited(new) => (new.project_id, new.user_id),
            Self::InvitationResent { project_id, .. } => (*project_id, None),
            Self::Joined { project_id, user_id, .. } => (*project_id, Some(*user_id)),
            Self::RoleChanged { project_id, user_id, .. }
            | Self::PermissionsChanged { project_id, user_id, .. }
            | Self::AccessExpiryChanged { project_id, user_id, .. }
            | Self::AccessExpired { project_id, user_id, .. }
            | Self::Suspended { project_id, user_id, .. }
            | Self::Reinstated { project_id, user_id, .. }
            | Self::Removed { project_id, user_id, .. } => (*project_id, *user_id),
        }
    }
}
