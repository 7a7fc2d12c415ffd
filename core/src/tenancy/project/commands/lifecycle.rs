//! Switching a project off and on, restricting it, deleting it.

use crate::engine::{Aggregate, Command, OperationScope, Root, UnitOfWork};
use crate::infrastructure::saga::Saga;
use crate::kernel::{Error, ErrorCode, Permission, ProjectId, Result, text};
use crate::tenancy::project::{Project, ProjectEvent, ProjectStatus, SuspensionCause, purge};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a deleted project can be restored, in seconds: 30 days.
const PURGE_AFTER: i64 = 30 * 86_400;

/// Switches an inactive project on. Switching on twice changes nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateProject {
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for ActivateProject {
    const NAME: &'static str = "projects.activate";
    const PERMISSION: Permission = Permission::ProjectManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ProjectSuspended, ErrorCode::TextTooLong];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let reason = reason(self.reason)?;
        let mut project = work.load::<Project>(work.project()).await?;
        project.switch(ProjectStatus::Active, ProjectEvent::Activated { reason })?;
        work.save(project)
    }
}

/// Switches a project off: it can be read, members can be managed, nothing else is written and nothing is sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeactivateProject {
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for DeactivateProject {
    const NAME: &'static str = "projects.deactivate";
    const PERMISSION: Permission = Permission::ProjectManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ProjectSuspended, ErrorCode::TextTooLong];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let reason = reason(self.reason)?;
        let mut project = work.load::<Project>(work.project()).await?;
        project.switch(ProjectStatus::Inactive, ProjectEvent::Deactivated { reason })?;
        work.save(project)
    }
}

/// Restricts a project, for billing or for the platform. Suspending twice changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendProject {
    pub id: ProjectId,
    pub cause: SuspensionCause,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for SuspendProject {
    const NAME: &'static str = "projects.suspend";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ProjectNotFound, ErrorCode::TextTooLong];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let reason = reason(self.reason)?;
        work.enter_project(self.id);
        let mut project = work.load::<Project>(self.id).await?;
        let previous_status = project.status;
        if previous_status != ProjectStatus::Suspended {
            project.record(ProjectEvent::Suspended { cause: self.cause, reason, previous_status });
        }
        work.save(project)
    }
}

/// Ends the restriction: the project is what it was before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeProject {
    pub id: ProjectId,
}

impl Command for ResumeProject {
    const NAME: &'static str = "projects.resume";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ProjectNotFound, ErrorCode::InvalidState];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        work.enter_project(self.id);
        let mut project = work.load::<Project>(self.id).await?;
        if project.status != ProjectStatus::Suspended {
            return Err(Error::new(ErrorCode::InvalidState).with("status", project.status.as_str()));
        }
        let status = project.status_before_suspension.unwrap_or(ProjectStatus::Active);
        project.record(ProjectEvent::Resumed { status });
        work.save(project)
    }
}

/// Deletes the project with everything in it. It can be restored for 30 days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteProject {
    /// The project's slug, so that nobody deletes the wrong one.
    pub confirm_slug: String,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for DeleteProject {
    const NAME: &'static str = "projects.delete";
    const PERMISSION: Permission = Permission::ProjectDelete;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ConfirmationMismatch, ErrorCode::TextTooLong];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let reason = reason(self.reason)?;
        let mut project = work.load::<Project>(work.project()).await?;
        if project.slug.as_str() != self.confirm_slug {
            return Err(Error::new(ErrorCode::ConfirmationMismatch).at("confirm_slug"));
        }
        let deleted_at = project.now();
        let purge_after = deleted_at.plus_seconds(PURGE_AFTER);
        project.record(ProjectEvent::Deleted { reason, deleted_at, purge_after });
        purge::arm(work, project.id, purge_after);
        work.save(project)
    }
}

/// Brings a deleted project back, inactive, as long as it is not purged.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreProject {}

impl Command for RestoreProject {
    const NAME: &'static str = "projects.restore";
    const PERMISSION: Permission = Permission::ProjectDelete;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::PurgeWindowPassed, ErrorCode::ProjectSlugTaken, ErrorCode::InvalidState];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let found = work.find::<Project>(work.project()).await?;
        let mut project = found.ok_or(ErrorCode::ProjectNotFound)?;
        if !project.is_hidden() {
            return Err(Error::new(ErrorCode::InvalidState).with("status", project.status.as_str()));
        }
        let restored_at = project.now();
        if project.purge_after.is_some_and(|end| restored_at >= end) {
            return Err(ErrorCode::PurgeWindowPassed.into());
        }
        project.record(ProjectEvent::Restored { restored_at });
        purge::disarm(work, project.id);
        work.save(project)
    }
}

/// Removes a deleted project for good, with everything in it and everything that is sealed: rows, log, secrets. It happens by itself 30
/// days after the deletion; this says so at once, or tells how far it is. Only a tombstone stays, with the event `project.purged`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeProject {
    pub id: ProjectId,
}

impl Command for PurgeProject {
    const NAME: &'static str = "projects.purge";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ProjectNotFound, ErrorCode::PurgeTooEarly, ErrorCode::InvalidState];
    type Output = Saga;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Saga> {
        let found = work.reader().find_shared_in::<Project>(self.id, self.id).await?;
        let unknown = || Error::new(ErrorCode::ProjectNotFound).with("id", self.id.to_string());
        let project = found.filter(|project| project.purged_at.is_none()).ok_or_else(unknown)?;
        let Some(after) = project.purge_after.filter(|_| project.is_hidden()) else {
            return Err(Error::new(ErrorCode::InvalidState).with("status", project.status.as_str()));
        };
        if after > work.now() {
            return Err(Error::new(ErrorCode::PurgeTooEarly).with("purge_after", after.to_string()));
        }
        purge::begin(work, self.id).await
    }
}

impl Root<Project> {
    /// Switches on or off; only the platform ends a suspension.
    fn switch(&mut self, to: ProjectStatus, event: ProjectEvent) -> Result<()> {
        match self.status {
            ProjectStatus::Suspended => Err(ErrorCode::ProjectSuspended.into()),
            status if status == to => Ok(()),
            _ => {
                self.record(event);
                Ok(())
            }
        }
    }
}

fn reason(reason: Option<String>) -> Result<Option<String>> {
    reason.map(|reason| text::text(&reason, 500)).transpose().map_err(|e| e.at("reason"))
}
