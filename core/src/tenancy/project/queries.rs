//! What can be asked about projects.

use super::{Project, Slug};
use crate::engine::{OperationScope, Query, Reader};
use crate::kernel::{ErrorCode, Permission, Result};
use crate::storage::{Filter, Page, PageRequest, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
        read.get(read.project()).await
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
    type Output = Option<Project>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<Project>> {
        read.by_key_in::<Project>(Scope::Installation, Project::SLUG, "", self.slug.as_str()).await
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
        read.page_in(Scope::Installation, &self.page, Filter::everything()).await
    }
}

crate::operations![queries: GetProject, FindProject, ListProjects];
