//! The rules that keep a project in somebody's hands.

use super::{MemberStatus, ProjectMember};
use crate::engine::{Aggregate, UnitOfWork};
use crate::kernel::{Actor, Error, ErrorCode, MemberId, MemberRole, Result, UserId};
use crate::storage::{FieldKind, Filter, Find};
use crate::tenancy::project::Project;
use crate::tenancy::user::User;

/// How many administrators are looked at for one that stays.
const LOOK: usize = 200;

/// Refuses a change of one's own membership.
pub(super) fn not_self(work: &UnitOfWork<'_>, member: &ProjectMember) -> Result<()> {
    match work.actor().actor {
        Actor::User(actor) if member.user_id == Some(actor) => Err(ErrorCode::CannotChangeSelf.into()),
        _ => Ok(()),
    }
}

/// Refuses what the owner's membership must not suffer.
pub(super) async fn not_owner(work: &mut UnitOfWork<'_>, member: &ProjectMember) -> Result<()> {
    let project = project(work).await?;
    if member.user_id.is_some() && member.user_id == project.owner_user_id {
        return Err(Error::new(ErrorCode::OwnerMembershipProtected).with("id", member.id.to_string()));
    }
    Ok(())
}

/// Refuses to let go of `member` when it is the last administrator to rely on: active, not expiring, of an active user.
///
/// Loads the project, whose revision every change of a member moves: of two that let go at once, one decides again.
pub(super) async fn not_last_admin(work: &mut UnitOfWork<'_>, member: &ProjectMember) -> Result<()> {
    project(work).await?;
    if !member.is_lasting_admin() || !is_active(work, member.user_id).await? {
        return Ok(());
    }
    let find = Find {
        filter: Filter::All(vec![
            Filter::eq("role", FieldKind::Enum, MemberRole::Admin.as_str()),
            Filter::eq("status", FieldKind::Enum, MemberStatus::Active.as_str()),
        ]),
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: LOOK,
        include_hidden: false,
        with_total: false,
    };
    let others: Vec<MemberId> =
        work.reader().find_states::<ProjectMember>(&find).await?.iter().map(|other| other.id).collect();
    for id in others.into_iter().filter(|id| *id != member.id) {
        let Some(other) = work.find::<ProjectMember>(id).await? else { continue };
        if other.is_lasting_admin() && is_active(work, other.user_id).await? {
            return Ok(());
        }
    }
    Err(Error::new(ErrorCode::LastAdmin).with("id", member.id.to_string()))
}

/// The project of the call, as this unit of work sees it.
pub(super) async fn project(work: &mut UnitOfWork<'_>) -> Result<Project> {
    let found = work.find::<Project>(work.project()).await?.filter(|project| !project.is_hidden());
    found.map(|project| project.state().clone()).ok_or_else(|| ErrorCode::ProjectNotFound.into())
}

async fn is_active(work: &mut UnitOfWork<'_>, user: Option<UserId>) -> Result<bool> {
    let Some(id) = user else { return Ok(false) };
    Ok(work.find::<User>(id).await?.is_some_and(|user| user.may_act()))
}

/// The user of an id who may act.
///
/// # Errors
/// `user_not_found`, `actor_suspended`, both at `field`.
pub(super) async fn acting_user(work: &mut UnitOfWork<'_>, field: &str, id: UserId) -> Result<User> {
    let found = work.find::<User>(id).await?.filter(|user| !user.is_hidden());
    let user = found.ok_or_else(|| Error::new(ErrorCode::UserNotFound).at(field).with("id", id.to_string()))?;
    if !user.may_act() {
        return Err(Error::new(ErrorCode::ActorSuspended).at(field).with("id", id.to_string()));
    }
    Ok(user.state().clone())
}
