//! What memberships and projects do to users.

use super::User;
use crate::engine::{Event, Reaction, UnitOfWork};
use crate::kernel::{Component, ProjectId, Result};
use crate::storage::{EventRecord, FieldKind, Filter, id_value};
use crate::tenancy::everywhere;
use crate::tenancy::project::ProjectEvent;
use crate::tenancy::project_member::ProjectMemberEvent;

/// The project that a user sees first follows its memberships: the first one it joins, until it leaves.
pub const REACTIONS: &[Reaction] = &[Reaction {
    name: "ventros.users.default_project",
    events: &["project_member.joined", "project_member.removed", "project.deleted"],
    component: Component::Default,
    run: |work, record, event| Box::pin(follow(work, record, event)),
}];

async fn follow(work: &mut UnitOfWork<'_>, record: &EventRecord, event: &Event) -> Result<()> {
    let project: ProjectId = record.project_id.0;
    match event {
        Event::ProjectMember(ProjectMemberEvent::Joined { user_id, .. }) => {
            let Some(mut user) = work.find::<User>(*user_id).await? else { return Ok(()) };
            if user.default_project_id.is_none() && user.deleted_at.is_none() {
                user.change_default_project(Some(project));
                work.save(user)?;
            }
        }
        Event::ProjectMember(ProjectMemberEvent::Removed { user_id: Some(user_id), .. }) => {
            forget(work, *user_id, project).await?;
        }
        Event::Project(ProjectEvent::Deleted { .. }) => {
            let there = Filter::eq("default_project_id", FieldKind::Id, id_value(project));
            for user in everywhere::<User>(work.reader(), there, Vec::new()).await? {
                forget(work, user.id, project).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

async fn forget(work: &mut UnitOfWork<'_>, id: crate::kernel::UserId, project: ProjectId) -> Result<()> {
    if let Some(mut user) = work.find::<User>(id).await?
        && user.default_project_id == Some(project)
    {
        user.change_default_project(None);
        work.save(user)?;
    }
    Ok(())
}
