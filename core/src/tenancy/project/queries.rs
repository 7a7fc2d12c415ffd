//! What can be asked about projects.

use super::{Project, Slug};
use crate::channels::channel::{Channel, SessionTimeout, TimeoutSource, session_timeout};
use crate::engine::{OperationScope, Query, Reader};
use crate::kernel::{Actor, AgentId, ChannelId, ErrorCode, Permission, PipelineId, Result};
use crate::storage::{FieldKind, Filter, Leaf, Page, PageRequest, Scope, Test, id_value};
use crate::tenancy::project_member::ProjectMember;
use crate::tenancy::{access, memberships_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The project of the call.
///
/// Members without `project.view` see its identity and locale; the other settings read as their defaults.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetProject {}

impl Query for GetProject {
    const NAME: &'static str = "projects.get";
    const PERMISSION: Permission = Permission::Authenticated;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ProjectNotFound];
    type Output = Project;

    async fn run(self, read: &Reader<'_>) -> Result<Project> {
        let project = Arc::unwrap_or_clone(access::project(read).await?);
        let rights = access::project_rights(read).await?;
        Ok(if rights.permissions.contains(Permission::ProjectView) { project } else { project.limited() })
    }
}

/// The project of a slug, if the actor belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindProject {
    pub slug: Slug,
}

impl Query for FindProject {
    const NAME: &'static str = "projects.find";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::SlugInvalid];
    type Output = Option<Project>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<Project>> {
        let slug = self.slug.as_str();
        let Some(project) = read.by_key_in::<Project>(Scope::Installation, Project::SLUG, "", slug).await? else {
            return Ok(None);
        };
        let members = match Reach::of(read).await? {
            Reach::Everything => return Ok(Some(project)),
            Reach::Memberships(members) => members,
        };
        let member = members.iter().find(|member| member.project_id == project.id);
        Ok(member.map(|member| shown(project, member)))
    }
}

/// The projects that the actor belongs to; all of them for platform administrators and the host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ListProjects {
    pub page: PageRequest,
}

impl Query for ListProjects {
    const NAME: &'static str = "projects.list";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    type Output = Page<Project>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<Project>> {
        let members = match Reach::of(read).await? {
            Reach::Everything => return read.page_in(Scope::Installation, &self.page, Filter::everything()).await,
            Reach::Memberships(members) => members,
        };
        let ids = members.iter().map(|member| id_value(member.project_id)).collect();
        let leaf = Leaf { field: "id".to_owned(), kind: FieldKind::Id, is_attribute: false, test: Test::In(ids) };
        let mut page: Page<Project> = read.page_in(Scope::Installation, &self.page, Filter::Leaf(leaf)).await?;
        let shown_to = |project: Project| match members.iter().find(|member| member.project_id == project.id) {
            Some(member) => shown(project, member),
            None => project.limited(),
        };
        page.items = page.items.into_iter().map(shown_to).collect();
        Ok(page)
    }
}

/// The agent that would get the next session. Nobody is a normal answer, and then sessions open unassigned.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextAssignee {
    /// The agent that loses the session.
    #[serde(default)]
    pub exclude: Option<AgentId>,
}

impl Query for NextAssignee {
    const NAME: &'static str = "projects.next_assignee";
    const PERMISSION: Permission = Permission::ProjectView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::AssignmentNotEnabled, ErrorCode::NoEligibleAgent];
    type Output = AgentId;

    async fn run(self, read: &Reader<'_>) -> Result<AgentId> {
        // While the room of agents is not part of the build, nobody is a candidate.
        access::project(read).await?.agent_assignment.next_agent(&[], self.exclude)
    }
}

/// A session timeout and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectiveTimeout {
    pub minutes: u32,
    pub source: TimeoutSource,
    /// The pipeline associated with the channel.
    pub pipeline_id: Option<PipelineId>,
}

/// After how much silence sessions of a channel end: what its pipeline says, else the channel, else the project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EffectiveSessionTimeout {
    pub channel_id: ChannelId,
}

impl Query for EffectiveSessionTimeout {
    const NAME: &'static str = "projects.effective_session_timeout";
    const PERMISSION: Permission = Permission::ChannelsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChannelNotFound];
    type Output = EffectiveTimeout;

    async fn run(self, read: &Reader<'_>) -> Result<EffectiveTimeout> {
        let channel: Channel = read.get(self.channel_id).await?;
        let project = access::project(read).await?.session_timeout_minutes;
        // While the room of pipelines is not part of the build, no pipeline has a timeout of its own.
        let SessionTimeout { minutes, source } = session_timeout(None, channel.session_timeout_minutes, Some(project));
        Ok(EffectiveTimeout { minutes, source, pipeline_id: channel.pipeline_id })
    }
}

/// Which projects an actor sees from outside.
enum Reach {
    Everything,
    Memberships(Vec<ProjectMember>),
}

impl Reach {
    async fn of(read: &Reader<'_>) -> Result<Reach> {
        let rights = access::platform_rights(read).await?;
        let Actor::User(user) = read.context().actor.actor else { return Ok(Reach::Everything) };
        if rights.permissions.contains(Permission::PlatformOperate) {
            return Ok(Reach::Everything);
        }
        let mut members = memberships_of(read, user).await?;
        members.retain(|member| member.is_active_at(read.now()));
        Ok(Reach::Memberships(members))
    }
}

fn shown(project: Project, member: &ProjectMember) -> Project {
    let rights = access::member_rights(&project, member);
    if rights.permissions.contains(Permission::ProjectView) { project } else { project.limited() }
}

crate::operations![queries: GetProject, FindProject, ListProjects, NextAssignee, EffectiveSessionTimeout];
