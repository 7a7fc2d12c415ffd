//! A membership as it stands.

use super::{Grants, NewMember, ProjectMemberEvent};
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{
    ActorRef, Email, ErrorCode, Kind, MemberId, MemberRole, PermissionSet, ProjectId, Timestamp, UserId,
};
use crate::storage::{Column, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

crate::text_enum! {
    /// Where a membership is in its life.
    pub enum MemberStatus {
        /// Not accepted yet; no rights.
        Invited = "invited",
        Active = "active",
        /// No rights for now.
        Suspended = "suspended",
        /// Over. The same person can be added again, as a new membership.
        Removed = "removed",
    }
}

crate::text_enum! {
    /// How somebody came to belong to a project.
    pub enum JoinVia {
        /// Added at once.
        Direct = "direct",
        /// Accepted an invitation.
        Invitation = "invitation",
        /// Founded the project, or was named its owner.
        ProjectCreation = "project_creation",
    }
}

crate::text_enum! {
    /// Why a membership ended.
    pub enum RemovalReason {
        Removed = "removed",
        Left = "left",
        UserDeleted = "user_deleted",
        ProjectDeleted = "project_deleted",
        InvitationRevoked = "invitation_revoked",
        InvitationDeclined = "invitation_declined",
        InvitationExpired = "invitation_expired",
    }
}

/// An open invitation. The token itself is shown once and never kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Invitation {
    /// SHA-256 of the token, in hex.
    pub token_hash: String,
    pub expires_at: Timestamp,
    /// How often it was sent.
    pub sent_count: u32,
}

/// A user's place in a project. The owner is the member whose `user_id` is the project's `owner_user_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectMember {
    pub id: MemberId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Null until an invited person accepts.
    pub user_id: Option<UserId>,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "email"))]
    pub invited_email: Option<Email>,
    pub role: MemberRole,
    pub status: MemberStatus,
    /// Permissions on top of the role.
    pub granted: PermissionSet,
    /// Permissions taken away from the role.
    pub denied: PermissionSet,
    pub invited_by: ActorRef,
    pub invited_at: Timestamp,
    /// Set while an invitation is open.
    pub invitation: Option<Invitation>,
    pub joined_at: Option<Timestamp>,
    /// When temporary access ends.
    pub access_expires_at: Option<Timestamp>,
    pub removed_at: Option<Timestamp>,
    pub removal_reason: Option<RemovalReason>,
}

impl ProjectMember {
    /// The space of unique keys that finds a member by its user.
    pub const BY_USER: &'static str = "member.user";
    /// The space of unique keys that finds an invitation by its e-mail.
    pub const BY_EMAIL: &'static str = "member.invited_email";
    /// The space of unique keys that finds an invitation by its token's hash.
    pub const BY_TOKEN: &'static str = "member.invitation";

    /// Has rights at this moment, whether or not the timer has noticed that they ended.
    pub fn is_active_at(&self, now: Timestamp) -> bool {
        self.status == MemberStatus::Active && self.access_expires_at.is_none_or(|end| now < end)
    }

    /// An administrator to rely on: active, for good.
    pub fn is_lasting_admin(&self) -> bool {
        self.role == MemberRole::Admin && self.status == MemberStatus::Active && self.access_expires_at.is_none()
    }

    pub fn grants(&self) -> Grants {
        Grants { role: self.role, granted: self.granted, denied: self.denied }
    }
}

impl From<&NewMember> for ProjectMember {
    fn from(new: &NewMember) -> Self {
        let invitation = new.token_hash.clone().zip(new.expires_at);
        ProjectMember {
            id: MemberId::from_uuid(uuid::Uuid::nil()),
            project_id: new.project_id,
            version: 0,
            revision: 0,
            created_at: new.invited_at,
            updated_at: new.invited_at,
            user_id: new.user_id,
            invited_email: new.invited_email.clone(),
            role: new.role,
            status: new.status,
            granted: new.granted,
            denied: new.denied,
            invited_by: new.invited_by.clone(),
            invited_at: new.invited_at,
            invitation: invitation.map(|(token_hash, expires_at)| Invitation { token_hash, expires_at, sent_count: 1 }),
            joined_at: None,
            access_expires_at: new.access_expires_at,
            removed_at: None,
            removal_reason: None,
        }
    }
}

impl Aggregate for ProjectMember {
    const KIND: Kind = Kind::ProjectMember;
    const NOT_FOUND: ErrorCode = ErrorCode::MemberNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("user_id", FieldKind::Id),
        Column::new("role", FieldKind::Enum),
        // Sorting by role means admin, supervisor, agent, viewer, which is not the order of the words.
        Column::new("role_rank", FieldKind::Number).unfiltered().sortable(),
        Column::new("status", FieldKind::Enum),
        Column::new("invited_email", FieldKind::Text).unfiltered(),
        Column::new("joined_at", FieldKind::Instant).sortable(),
        Column::new("access_expires_at", FieldKind::Instant),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[&["role", "status"], &["user_id"]];
    const OFTEN_READ: bool = true;
    type Id = MemberId;

    fn create(event: &Event, _meta: &Meta<'_>) -> Option<Self> {
        match event {
            Event::ProjectMember(ProjectMemberEvent::Invited(new)) => Some(ProjectMember::from(&**new)),
            _ => None,
        }
    }

    fn apply(&mut self, event: &Event, _meta: &Meta<'_>) {
        let Event::ProjectMember(event) = event else { return };
        match event {
            ProjectMemberEvent::Invited(_) => {}
            ProjectMemberEvent::InvitationResent { token_hash, expires_at, sent_count, .. } => {
                let (token_hash, expires_at, sent_count) = (token_hash.clone(), *expires_at, *sent_count);
                self.invitation = Some(Invitation { token_hash, expires_at, sent_count });
            }
            ProjectMemberEvent::Joined { user_id, joined_at, .. } => {
                self.user_id = Some(*user_id);
                self.joined_at = Some(*joined_at);
                self.status = MemberStatus::Active;
                self.invitation = None;
            }
            ProjectMemberEvent::RoleChanged { new_role, .. } => self.role = *new_role,
            ProjectMemberEvent::PermissionsChanged { granted, denied, .. } => {
                self.granted = *granted;
                self.denied = *denied;
            }
            ProjectMemberEvent::AccessExpiryChanged { new, .. } => self.access_expires_at = *new,
            ProjectMemberEvent::AccessExpired { .. } | ProjectMemberEvent::Suspended { .. } => {
                self.status = MemberStatus::Suspended;
            }
            ProjectMemberEvent::Reinstated { access_expires_at, .. } => {
                self.status = MemberStatus::Active;
                self.access_expires_at = *access_expires_at;
            }
            ProjectMemberEvent::Removed { removed_at, reason, .. } => {
                self.status = MemberStatus::Removed;
                self.removed_at = Some(*removed_at);
                self.removal_reason = Some(*reason);
                self.invitation = None;
            }
        }
    }

    fn index(&self, index: &mut Index) {
        index.id("user_id", self.user_id);
        index.column("role", self.role.as_str());
        index.column("role_rank", self.role as u32);
        index.column("status", self.status.as_str());
        index.column("invited_email", self.invited_email.as_ref().map(Email::as_str));
        index.column("joined_at", self.joined_at);
        index.column("access_expires_at", self.access_expires_at);
        if self.status == MemberStatus::Removed {
            return;
        }
        if let Some(user) = self.user_id {
            index.unique(Self::BY_USER, "", user.to_string(), ErrorCode::MemberAlreadyExists);
        }
        if let Some((email, invitation)) = self.invited_email.as_ref().zip(self.invitation.as_ref()) {
            index.unique(Self::BY_EMAIL, "", email.as_str(), ErrorCode::InvitationAlreadyOpen);
            index.unique_everywhere(Self::BY_TOKEN, invitation.token_hash.as_str(), ErrorCode::Conflict);
        }
    }

    fn is_hidden(&self) -> bool {
        self.status == MemberStatus::Removed
    }

    crate::base_fields!();
}
