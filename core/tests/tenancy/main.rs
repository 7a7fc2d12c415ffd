//! The acceptance cases of users, projects and members, by their numbers on the pages.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod credentials;
mod members;
mod passwords;
mod projects;
mod users;

use serde_json::{Value, json};
use ventros::engine::{Command, Context, Query};
use ventros::kernel::{ActorRef, Error, ErrorCode, MemberRole, Permission, PlatformRole, ProjectId, Result, UserId};
use ventros::storage::{EventQuery, EventRecord, Scope};
use ventros::tenancy::project::Project;
use ventros::tenancy::project::commands::CreateProject;
use ventros::tenancy::project_member::ProjectMember;
use ventros::tenancy::project_member::commands::AddMember;
use ventros::tenancy::user::User;
use ventros::tenancy::user::commands::CreateUser;
use ventros::testing::{World, block_on};

/// Reads a command as a binding does.
fn parsed<C: Command>(input: Value) -> Result<C> {
    ventros::kernel::input::parse(input.to_string().as_bytes())
}

/// Runs a command outside a project, as the host.
fn host<C: Command>(world: &World, input: Value) -> Result<C::Output> {
    block_on(world.crm.execute(parsed::<C>(input)?))
}

/// Runs a command outside a project, as a user.
fn as_user<C: Command>(world: &World, user: UserId, input: Value) -> Result<C::Output> {
    block_on(world.crm.execute_in(Context::new(None, ActorRef::user(user)), parsed::<C>(input)?))
}

/// Runs a command inside a project.
fn inside<C: Command>(world: &World, project: ProjectId, actor: ActorRef, input: Value) -> Result<C::Output> {
    block_on(world.crm.project(project).acting_as(actor).execute(parsed::<C>(input)?))
}

/// Asks inside a project.
fn ask<Q: Query>(world: &World, project: ProjectId, actor: ActorRef, query: Q) -> Result<Q::Output> {
    block_on(world.crm.project(project).acting_as(actor).query(query))
}

#[track_caller]
fn user(world: &World, email: &str) -> User {
    host::<CreateUser>(world, json!({"name": "Ana", "email": email})).unwrap()
}

#[track_caller]
fn platform_user(world: &World, email: &str, role: PlatformRole) -> User {
    host::<CreateUser>(world, json!({"name": "Ana", "email": email, "platform_role": role})).unwrap()
}

#[track_caller]
fn project_of(world: &World, owner: &User, name: &str) -> Project {
    as_user::<CreateProject>(world, owner.id, json!({"name": name})).unwrap()
}

#[track_caller]
fn member(world: &World, project: &Project, user: &User, role: MemberRole) -> ProjectMember {
    let input = json!({"user_id": user.id, "role": role});
    inside::<AddMember>(world, project.id, ActorRef::system(ventros::kernel::Component::Host), input).unwrap()
}

/// What an actor is told when it needs a permission in a project: nothing, or the refusal.
fn check(world: &World, project: ProjectId, actor: ActorRef, permission: Permission) -> Option<ErrorCode> {
    use ventros::tenancy::project_member::queries::MemberPermissions;
    match ask(world, project, actor, MemberPermissions::default()) {
        Ok(rights) if rights.permissions.contains(permission) => None,
        Ok(_) => Some(ErrorCode::PermissionDenied),
        Err(error) => Some(error.code()),
    }
}

/// The events of a project's log, or of the system log.
fn events(world: &World, project: ProjectId) -> Vec<EventRecord> {
    let query = EventQuery { limit: 500, ..EventQuery::default() };
    block_on(world.crm.core().storage().events(Scope::Project(project), &query)).unwrap()
}

fn types(world: &World, project: ProjectId) -> Vec<String> {
    events(world, project).into_iter().map(|event| event.event_type).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, code: ErrorCode) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    error
}

#[track_caller]
fn refused_at<T: std::fmt::Debug>(result: Result<T>, code: ErrorCode, field: &str) -> Error {
    let error = refused(result, code);
    assert_eq!(error.field(), Some(field));
    error
}
