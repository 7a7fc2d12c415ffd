//! What can be done to the members of a project.

mod add;
mod change;
mod invite;
mod leave;

pub use add::AddMember;
pub(crate) use add::join_owner;
pub use change::{ReinstateMember, SuspendMember, UpdateMember};
pub use invite::{AcceptInvitation, DeclineInvitation, InvitationToken, InviteMember, InvitedMember, ResendInvitation};
pub(crate) use leave::remove_for;
pub use leave::{LeaveProject, RemoveMember, RevokeMemberApiKey};

use crate::engine::{JobRequest, Root, UnitOfWork};
use crate::kernel::{Error, ErrorCode, Result, Timestamp};
use crate::tenancy::project_member::ProjectMember;

crate::operations![commands:
    AddMember,
    InviteMember,
    ResendInvitation,
    AcceptInvitation,
    DeclineInvitation,
    UpdateMember,
    SuspendMember,
    ReinstateMember,
    RemoveMember,
    LeaveProject,
    RevokeMemberApiKey,
];

/// The kind of the timer that ends temporary access.
pub(super) const ACCESS_EXPIRY: &str = "member.access_expiry";
/// The kind of the timer that ends invitations.
pub(super) const INVITATION_EXPIRY: &str = "member.invitation_expiry";

fn check_access_expiry(work: &UnitOfWork<'_>, end: Option<Timestamp>) -> Result<()> {
    match end {
        Some(end) if end <= work.now() => Err(Error::new(ErrorCode::AccessExpiryInPast).at("access_expires_at")),
        _ => Ok(()),
    }
}

/// Sets or cancels the timers that the membership needs now.
fn set_timers(work: &mut UnitOfWork<'_>, member: &Root<ProjectMember>) {
    let access = member.access_expires_at.filter(|_| member.is_active_at(work.now()));
    set_timer(work, ACCESS_EXPIRY, member, access);
    set_timer(work, INVITATION_EXPIRY, member, member.invitation.as_ref().map(|invitation| invitation.expires_at));
}

fn set_timer(work: &mut UnitOfWork<'_>, kind: &'static str, member: &ProjectMember, at: Option<Timestamp>) {
    let key = format!("{kind}:{}", member.id);
    match at {
        Some(run_at) => work.schedule(JobRequest {
            queue: "timer",
            kind,
            unique_key: Some(key),
            order_key: None,
            payload: serde_json::json!({ "member_id": member.id }).to_string(),
            run_at,
            parked: false,
        }),
        None => work.cancel_job(key),
    }
}
