//! Decides whether the actor of a call holds the permission that its operation names. Fails closed.
//!
//! A call inside a project reads the project, and for a user the user and its membership; each at most once per call.

use super::project::{Project, ProjectStatus, SessionVisibility};
use super::project_member::ProjectMember;
use super::user::User;
use crate::engine::{OperationKind, OperationScope, Reader};
use crate::kernel::{
    Actor, ActorRef, Component, Error, ErrorCode, MemberRole, Permission, PermissionSet, PlatformRole, ProjectId,
    Result, UserId,
};
use crate::storage::Scope;
use std::sync::{Arc, OnceLock};

/// The operation that is about to run.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub name: &'static str,
    pub kind: OperationKind,
    pub scope: OperationScope,
    pub permission: Permission,
}

/// What an actor may do, inside a project or outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    pub permissions: PermissionSet,
    /// The role of a member.
    pub role: Option<MemberRole>,
    pub is_owner: bool,
    /// A platform administrator who is no member of the project.
    pub elevated: bool,
    /// Only looks, even at itself: the platform role `readonly`, or a key that is limited to scopes or to a project.
    own_record_closed: bool,
}

impl Rights {
    const fn of(permissions: PermissionSet) -> Self {
        Rights { permissions, role: None, is_owner: false, elevated: false, own_record_closed: false }
    }

    /// # Errors
    /// `permission_denied`, with the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        let held = permission == Permission::Authenticated || self.permissions.contains(permission);
        if held { Ok(()) } else { Err(denied(permission)) }
    }
}

/// What one call has looked up already.
#[derive(Debug, Default)]
pub struct Known {
    inside: OnceLock<Rights>,
    outside: OnceLock<Rights>,
}

/// Refuses the call unless its actor holds the permission and the project's status allows it.
///
/// # Errors
/// In this order: `actor_suspended`, `api_key_invalid`, `api_key_expired`; `project_not_found`, `project_inactive`,
/// `project_suspended`; `not_a_member`; `permission_denied`.
pub async fn authorise(read: &Reader<'_>, call: Call) -> Result<Rights> {
    let rights = match call.scope {
        OperationScope::Project => {
            known_actor(read, &read.context().actor).await?;
            let project = project(read).await?;
            check_status(&project, call, &read.context().actor)?;
            project_rights(read).await?
        }
        OperationScope::System => platform_rights(read).await?,
    };
    let changes_itself = call.kind == OperationKind::Command && call.permission == Permission::Authenticated;
    if changes_itself && rights.own_record_closed {
        return Err(denied(call.permission));
    }
    rights.require(call.permission)?;
    Ok(rights)
}

/// Refuses a part of an operation inside a project that needs a further permission.
///
/// # Errors
/// `permission_denied`.
pub async fn require(read: &Reader<'_>, permission: Permission) -> Result<()> {
    project_rights(read).await?.require(permission)
}

/// The project of the call, also when it is deleted; read once per call.
pub async fn project(read: &Reader<'_>) -> Result<Arc<Project>> {
    let id = read.context().project.ok_or(ErrorCode::ProjectNotFound)?;
    let unknown = || Error::new(ErrorCode::ProjectNotFound).with("resource", "project").with("id", id.to_string());
    read.find_shared_in::<Project>(id, id).await?.ok_or_else(unknown)
}

/// The project that the call works in, unless it is deleted or not there. What deciding about access has read is not
/// read again.
pub(crate) async fn current(read: &Reader<'_>) -> Result<Option<Arc<Project>>> {
    project_of(read, read.project()).await
}

/// Any project of the installation that is not deleted.
pub(crate) async fn project_of(read: &Reader<'_>, id: ProjectId) -> Result<Option<Arc<Project>>> {
    Ok(read.find_shared_in::<Project>(id, id).await?.filter(|project| project.deleted_at.is_none()))
}

/// What the actor may do in the project of the call.
pub async fn project_rights(read: &Reader<'_>) -> Result<Rights> {
    if let Some(rights) = read.known().inside.get() {
        return Ok(*rights);
    }
    let actor = &read.context().actor;
    let rights = match known_actor(read, actor).await? {
        ActorFound::System(component) => Rights::of(component.permissions()),
        ActorFound::User(user) => {
            let rights = rights_in(read, &user).await?;
            limit_to_key(read, rights, &user, actor)?
        }
    };
    Ok(*read.known().inside.get_or_init(|| rights))
}

/// What a user may do in the project of the call, by whatever way it comes. Somebody else's users are told apart from nobody
/// only where the project knows them.
pub(crate) async fn user_rights(read: &Reader<'_>, id: UserId) -> Result<Rights> {
    let user = read.find_shared::<User>(id).await?.ok_or_else(|| not_a_member(read.project()))?;
    let rights = rights_in(read, &user).await?;
    if user.may_act() { Ok(rights) } else { Err(suspended(id)) }
}

/// What the actor may do in the installation.
pub async fn platform_rights(read: &Reader<'_>) -> Result<Rights> {
    if let Some(rights) = read.known().outside.get() {
        return Ok(*rights);
    }
    let actor = &read.context().actor;
    let rights = match known_actor(read, actor).await? {
        ActorFound::System(component) => Rights::of(component.permissions()),
        ActorFound::User(user) => {
            let own_record_closed = user.platform_role == PlatformRole::Readonly;
            let rights = Rights { own_record_closed, ..Rights::of(user.platform_role.permissions()) };
            limit_to_key(read, rights, &user, actor)?
        }
    };
    Ok(*read.known().outside.get_or_init(|| rights))
}

/// The permissions that the actor can pass on in the project of the call.
pub(crate) async fn held(read: &Reader<'_>) -> Result<PermissionSet> {
    Ok(project_rights(read).await?.permissions)
}

/// The refusal that names the missing permission.
pub(crate) fn denied(permission: Permission) -> Error {
    Error::new(ErrorCode::PermissionDenied).with("permission", permission.as_str())
}

/// An actor that may act at all.
enum ActorFound {
    System(Component),
    User(Arc<User>),
}

/// Contacts and keys never decide; an agent is nobody while the room of agents is not part of the build.
async fn known_actor(read: &Reader<'_>, actor: &ActorRef) -> Result<ActorFound> {
    match actor.actor {
        Actor::System(component) => Ok(ActorFound::System(component)),
        Actor::User(id) => Ok(ActorFound::User(acting(read, id).await?)),
        Actor::Agent(_) | Actor::ApiKey(_) | Actor::Contact(_) => Err(ErrorCode::ActorSuspended.into()),
    }
}

async fn acting(read: &Reader<'_>, id: UserId) -> Result<Arc<User>> {
    let user = read.find_shared::<User>(id).await?.filter(|user| user.may_act());
    user.ok_or_else(|| suspended(id))
}

fn suspended(id: UserId) -> Error {
    Error::new(ErrorCode::ActorSuspended).with("id", id.to_string())
}

fn not_a_member(project: ProjectId) -> Error {
    Error::new(ErrorCode::NotAMember).with("project_id", project.to_string())
}

async fn rights_in(read: &Reader<'_>, user: &User) -> Result<Rights> {
    let project = project(read).await?;
    let at = Scope::Project(project.id);
    let member = read.by_key_in::<ProjectMember>(at, ProjectMember::BY_USER, "", &user.id.to_string()).await?;
    let rights = match member {
        Some(member) if member.is_active_at(read.now()) => member_rights(&project, &member),
        None if user.platform_role == PlatformRole::Admin => {
            Rights { elevated: true, ..Rights::of(MemberRole::Admin.permissions()) }
        }
        _ => return Err(not_a_member(project.id)),
    };
    Ok(Rights {
        permissions: user.platform_role.cap(rights.permissions),
        own_record_closed: user.platform_role == PlatformRole::Readonly,
        ..rights
    })
}

/// Role and owner's extras and granted, without denied. The member role `agent` sees all sessions where the project says so.
pub(crate) fn member_rights(project: &Project, member: &ProjectMember) -> Rights {
    let is_owner = member.user_id.is_some() && member.user_id == project.owner_user_id;
    let mut given = member.role.permissions().union(member.granted);
    if is_owner {
        given = given.union(PermissionSet::OWNER);
    }
    if member.role == MemberRole::Agent && project.session_visibility == SessionVisibility::All {
        given.insert(Permission::SessionsViewAll);
    }
    Rights { role: Some(member.role), is_owner, ..Rights::of(given.difference(member.denied)) }
}

/// Cuts the rights down to what the key that was shown allows: its scopes, and only in its project.
fn limit_to_key(read: &Reader<'_>, rights: Rights, user: &User, actor: &ActorRef) -> Result<Rights> {
    let Some(id) = actor.api_key_id else { return Ok(rights) };
    let key = user.api_key(id).filter(|key| !key.is_revoked_at(read.now()));
    let key = key.ok_or(ErrorCode::ApiKeyInvalid)?;
    if key.is_expired_at(read.now()) {
        return Err(ErrorCode::ApiKeyExpired.into());
    }
    let elsewhere = key.project_id.is_some() && key.project_id != read.context().project;
    let permissions = match key.scopes {
        _ if elsewhere => PermissionSet::EMPTY,
        Some(scopes) => rights.permissions.intersection(scopes),
        None => rights.permissions,
    };
    let limited = key.project_id.is_some() || key.scopes.is_some();
    Ok(Rights { permissions, own_record_closed: rights.own_record_closed || limited, ..rights })
}

/// What the status of a project lets happen.
fn check_status(project: &Project, call: Call, actor: &ActorRef) -> Result<()> {
    if project.deleted_at.is_some() {
        let restores = call.name == "projects.restore";
        let gone = || Error::new(ErrorCode::ProjectNotFound).with("id", project.id.to_string());
        return if restores { Ok(()) } else { Err(gone()) };
    }
    if call.kind == OperationKind::Query || project.status == ProjectStatus::Active || is_background(call, actor) {
        return Ok(());
    }
    let ends = matches!(call.name, "projects.delete" | "projects.restore");
    let exports = call.permission.as_str().ends_with(".export");
    match project.status {
        ProjectStatus::Active => Ok(()),
        ProjectStatus::Inactive => {
            let switches = matches!(call.name, "projects.activate" | "projects.deactivate");
            let members = call.name.starts_with("members.");
            if ends || exports || switches || members { Ok(()) } else { Err(ErrorCode::ProjectInactive.into()) }
        }
        ProjectStatus::Suspended => {
            let bills = matches!(call.permission, Permission::BillingView | Permission::BillingManage);
            if ends || exports || bills { Ok(()) } else { Err(ErrorCode::ProjectSuspended.into()) }
        }
    }
}

/// What goes on while a project does not work: deliveries of channels are kept, open sessions run out, data is cleaned up.
/// Those parts look at the status themselves.
fn is_background(call: Call, actor: &ActorRef) -> bool {
    let component = matches!(
        actor.component(),
        Some(
            Component::Channel
                | Component::SessionTimeout
                | Component::Billing
                | Component::Retention
                | Component::Migration
        )
    );
    component || call.name.starts_with("inbound.")
}
