//! Inviting people by e-mail.

use super::add::start;
use super::leave::remove;
use super::{check_access_expiry, set_timers};
use crate::engine::{Aggregate, Command, OperationScope, Root, UnitOfWork};
use crate::kernel::{
    Actor, Email, Error, ErrorCode, MemberId, MemberRole, Permission, PermissionSet, Result, RevealedText, SecretText,
    Timestamp, UserId,
};
use crate::storage::Scope;
use crate::tenancy::access;
use crate::tenancy::project::Project;
use crate::tenancy::project_member::guards::acting_user;
use crate::tenancy::project_member::{Grants, JoinVia, ProjectMember, ProjectMemberEvent, RemovalReason};
use crate::tenancy::token;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The life of an invitation where none is told, in days.
const DEFAULT_TTL_DAYS: u32 = 7;
const MAX_TTL_DAYS: u32 = 30;
/// How often an invitation can be sent again.
const MAX_RESENDS: u32 = 10;

/// A member with the token of its invitation, which is shown here and never again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvitedMember {
    pub member: ProjectMember,
    /// What the invited person shows to accept: 43 characters.
    pub token: RevealedText,
}

/// Invites somebody by e-mail. The host delivers the token; a user with that e-mail is invited too, not added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteMember {
    pub email: Email,
    pub role: MemberRole,
    /// 1 to 30 days; 7 unless told.
    #[serde(default)]
    pub ttl_days: Option<u32>,
    #[serde(default)]
    pub granted: PermissionSet,
    #[serde(default)]
    pub denied: PermissionSet,
    #[serde(default)]
    pub access_expires_at: Option<Timestamp>,
}

impl Command for InviteMember {
    const NAME: &'static str = "members.invite";
    const PERMISSION: Permission = Permission::MembersManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::EmailInvalid,
        ErrorCode::InvitationAlreadyOpen,
        ErrorCode::MemberAlreadyExists,
        ErrorCode::InvitationTtlOutOfRange,
        ErrorCode::PermissionOverlap,
        ErrorCode::PermissionNotGrantable,
        ErrorCode::CannotGrantUnheld,
        ErrorCode::AccessExpiryInPast,
        ErrorCode::InputInvalid,
    ];
    type Output = InvitedMember;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<InvitedMember> {
        let grants = Grants { role: self.role, granted: self.granted, denied: self.denied };
        grants.check()?;
        grants.check_held(PermissionSet::EMPTY, access::held(work.reader()).await?)?;
        check_access_expiry(work, self.access_expires_at)?;
        refuse_member(work, &self.email).await?;
        let expires_at = expiry(work, self.ttl_days)?;
        work.refuse_idempotency_key()?;
        let (token, hash) = token::new(work);
        let invitation = Some((hash, expires_at));
        let member = start(work, grants, None, Some(self.email), invitation, self.access_expires_at)?;
        set_timers(work, &member);
        Ok(InvitedMember { member: work.save(member)?, token: RevealedText::new(token) })
    }
}

/// Sends an invitation again, with a new token and a new end. At most 10 times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResendInvitation {
    pub id: MemberId,
    /// 1 to 30 days; 7 unless told.
    #[serde(default)]
    pub ttl_days: Option<u32>,
}

impl Command for ResendInvitation {
    const NAME: &'static str = "members.resend_invitation";
    const PERMISSION: Permission = Permission::MembersManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MemberNotFound,
        ErrorCode::InvalidState,
        ErrorCode::InvitationTtlOutOfRange,
        ErrorCode::InvitationResendLimit,
        ErrorCode::InputInvalid,
    ];
    type Output = InvitedMember;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<InvitedMember> {
        let mut member = work.load::<ProjectMember>(self.id).await?;
        let Some(sent) = member.invitation.as_ref().map(|invitation| invitation.sent_count) else {
            return Err(Error::new(ErrorCode::InvalidState).with("status", member.status.as_str()));
        };
        if sent > MAX_RESENDS {
            return Err(Error::new(ErrorCode::InvitationResendLimit).with("max", MAX_RESENDS));
        }
        let expires_at = expiry(work, self.ttl_days)?;
        work.refuse_idempotency_key()?;
        let (token, token_hash) = token::new(work);
        let (project_id, sent_count) = (member.project_id, sent + 1);
        member.record(ProjectMemberEvent::InvitationResent { project_id, token_hash, expires_at, sent_count });
        set_timers(work, &member);
        Ok(InvitedMember { member: work.save(member)?, token: RevealedText::new(token) })
    }
}

/// Joins the project that invited the acting user. The user's verified e-mail is the invited one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AcceptInvitation {
    pub invitation: InvitationToken,
}

/// The token of an invitation, and for whom it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationToken {
    pub token: SecretText,
    /// The acting user unless told; the host program names the user for whom it acts.
    #[serde(default)]
    pub user_id: Option<UserId>,
}

const INVITATION_ERRORS: &[ErrorCode] = &[
    ErrorCode::InvitationNotFound,
    ErrorCode::InvitationExpired,
    ErrorCode::InvitationEmailMismatch,
    ErrorCode::MemberAlreadyExists,
    ErrorCode::UserNotFound,
    ErrorCode::ActorSuspended,
];

impl Command for AcceptInvitation {
    const NAME: &'static str = "members.accept_invitation";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = INVITATION_ERRORS;
    type Output = ProjectMember;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ProjectMember> {
        let (mut member, user) = self.invitation.open(work).await?;
        member.join(user, JoinVia::Invitation);
        set_timers(work, &member);
        work.save(member)
    }
}

/// Refuses an invitation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DeclineInvitation {
    pub invitation: InvitationToken,
}

impl Command for DeclineInvitation {
    const NAME: &'static str = "members.decline_invitation";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = INVITATION_ERRORS;
    type Output = ProjectMember;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ProjectMember> {
        let (member, _) = self.invitation.open(work).await?;
        remove(work, member, RemovalReason::InvitationDeclined)
    }
}

impl InvitationToken {
    /// The membership behind the token, in its project, and the user who may answer.
    async fn open(&self, work: &mut UnitOfWork<'_>) -> Result<(Root<ProjectMember>, UserId)> {
        let unknown = || Error::new(ErrorCode::InvitationNotFound).at("token");
        let hash = token::hash(self.token.expose());
        let found =
            work.reader().by_key_in::<ProjectMember>(Scope::Installation, ProjectMember::BY_TOKEN, "", &hash).await?;
        let found = found.ok_or_else(unknown)?;
        work.enter_project(found.project_id);
        let project = work.find::<Project>(found.project_id).await?;
        project.filter(|project| !project.is_hidden()).ok_or_else(unknown)?;
        let member = work.find::<ProjectMember>(found.id).await?.ok_or_else(unknown)?;
        let invitation = member.invitation.as_ref().filter(|open| open.token_hash == hash).ok_or_else(unknown)?;
        if work.now() >= invitation.expires_at {
            return Err(ErrorCode::InvitationExpired.into());
        }
        let acting = match work.actor().actor {
            Actor::User(id) => Some(id),
            _ => self.user_id,
        };
        let id = acting.ok_or_else(|| Error::new(ErrorCode::FieldRequired).at("user_id"))?;
        if self.user_id.is_some_and(|told| told != id) {
            return Err(Error::new(ErrorCode::InvitationEmailMismatch).at("user_id"));
        }
        let user = acting_user(work, "user_id", id).await?;
        if user.email_verified_at.is_none() || user.email != member.invited_email {
            return Err(ErrorCode::InvitationEmailMismatch.into());
        }
        Ok((member, id))
    }
}

/// Refuses the e-mail of somebody who belongs to the project already.
async fn refuse_member(work: &mut UnitOfWork<'_>, email: &Email) -> Result<()> {
    use crate::tenancy::user::User;
    let Some(user) = work.by_key::<User>(User::BY_EMAIL, "", email.as_str()).await? else { return Ok(()) };
    let member = work.by_key::<ProjectMember>(ProjectMember::BY_USER, "", &user.id.to_string()).await?;
    match member {
        Some(member) => Err(Error::new(ErrorCode::MemberAlreadyExists).at("email").with("id", member.id.to_string())),
        None => Ok(()),
    }
}

fn expiry(work: &UnitOfWork<'_>, ttl_days: Option<u32>) -> Result<Timestamp> {
    let days = ttl_days.unwrap_or(DEFAULT_TTL_DAYS);
    if !(1..=MAX_TTL_DAYS).contains(&days) {
        return Err(Error::new(ErrorCode::InvitationTtlOutOfRange)
            .at("ttl_days")
            .with("min", 1)
            .with("max", MAX_TTL_DAYS));
    }
    Ok(work.now().plus_seconds(i64::from(days) * 86_400))
}
