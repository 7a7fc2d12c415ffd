//! What time and other aggregates do to memberships.

use super::commands::{ACCESS_EXPIRY, INVITATION_EXPIRY, remove_for};
use super::{MemberStatus, ProjectMember, ProjectMemberEvent, RemovalReason};
use crate::engine::{Event, JobOutcome, JobType, Reaction, UnitOfWork};
use crate::kernel::UserId;
use crate::kernel::{Component, Error, MemberId, Result};
use crate::storage::{EventRecord, JobRecord};
use crate::tenancy::memberships_of;
use crate::tenancy::user::UserEvent;
use serde::Deserialize;

/// The memberships of a deleted user end.
pub const REACTIONS: &[Reaction] = &[Reaction {
    name: "ventros.members.user_deleted",
    events: &["user.deleted"],
    component: Component::Default,
    run: |work, record, event| Box::pin(user_deleted(work, record, event)),
}];

async fn user_deleted(work: &mut UnitOfWork<'_>, record: &EventRecord, event: &Event) -> Result<()> {
    let Event::User(UserEvent::Deleted { .. }) = event else { return Ok(()) };
    for member in memberships_of(work.reader(), UserId::from_uuid(record.aggregate_id)).await? {
        remove_for(work, &member, RemovalReason::UserDeleted).await?;
    }
    Ok(())
}

/// The timers of memberships.
pub const JOBS: &[JobType] = &[
    JobType {
        kind: ACCESS_EXPIRY,
        queue: "timer",
        component: Component::Scheduled,
        max_attempts: 10,
        run: |work, job| Box::pin(access_expiry(work, job)),
    },
    JobType {
        kind: INVITATION_EXPIRY,
        queue: "timer",
        component: Component::Scheduled,
        max_attempts: 10,
        run: |work, job| Box::pin(invitation_expiry(work, job)),
    },
];

const DONE: JobOutcome = JobOutcome::Done { result: None };

#[derive(Deserialize)]
struct Payload {
    member_id: MemberId,
}

fn member_of(job: &JobRecord) -> Result<MemberId> {
    serde_json::from_str::<Payload>(&job.payload)
        .map(|payload| payload.member_id)
        .map_err(|e| Error::corrupt(format!("the payload of a membership's timer cannot be read: {e}")))
}

async fn access_expiry(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let Some(mut member) = work.find::<ProjectMember>(member_of(job)?).await? else { return Ok(DONE) };
    let Some(end) = member.access_expires_at.filter(|_| member.status == MemberStatus::Active) else {
        return Ok(DONE);
    };
    if work.now() < end {
        return Ok(JobOutcome::Again(end));
    }
    let (project_id, user_id) = (member.project_id, member.user_id);
    member.record(ProjectMemberEvent::AccessExpired { project_id, user_id, expired_at: end });
    work.save(member)?;
    Ok(DONE)
}

async fn invitation_expiry(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let Some(mut member) = work.find::<ProjectMember>(member_of(job)?).await? else { return Ok(DONE) };
    let Some(end) = member.invitation.as_ref().map(|invitation| invitation.expires_at) else { return Ok(DONE) };
    if work.now() < end {
        return Ok(JobOutcome::Again(end));
    }
    let event = ProjectMemberEvent::Removed {
        project_id: member.project_id,
        user_id: member.user_id,
        role: member.role,
        removed_by: member.actor().clone(),
        removed_at: member.now(),
        reason: RemovalReason::InvitationExpired,
    };
    member.record(event);
    work.save(member)?;
    Ok(DONE)
}
