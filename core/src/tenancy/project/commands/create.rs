//! Founding a project.

use super::check_agents;
use crate::engine::{Command, OperationScope, UnitOfWork};
use crate::kernel::{
    Actor, Currency, ErrorCode, Errors, Language, Permission, ProjectId, Region, Result, Timezone, UserId, name, text,
};
use crate::tenancy::access;
use crate::tenancy::project::{
    AgentAssignmentConfig, AgentAssignmentPatch, BusinessHours, DEFAULT_SESSION_TIMEOUT_MINUTES, NewProject, Project,
    ProjectEvent, RetentionPolicy, SessionVisibility, Slug, check_session_timeout,
};
use crate::tenancy::project_member::commands::join_owner;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Founds a project.
///
/// A user who founds one owns it and is its first member, with role `admin`. The host program may name the owner, or
/// found a project that nobody owns yet: it then has no members until some are added.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// 2 to 100 characters.
    pub name: String,
    /// Its name in addresses; made from `name` unless told.
    #[serde(default)]
    pub slug: Option<Slug>,
    #[serde(default)]
    pub description: Option<String>,
    /// The acting user unless told. Only those who manage users may found a project for somebody else.
    #[serde(default)]
    pub owner_user_id: Option<UserId>,
    /// The region in which phones without country code are read; `BR` unless told.
    #[serde(default)]
    pub default_region: Option<Region>,
    /// `en` unless told.
    #[serde(default)]
    pub default_language: Option<Language>,
    /// `UTC` unless told.
    #[serde(default)]
    pub default_timezone: Option<Timezone>,
    /// `USD` unless told.
    #[serde(default)]
    pub default_currency: Option<Currency>,
    /// 1 to 1440; 30 unless told.
    #[serde(default)]
    pub session_timeout_minutes: Option<u32>,
    /// `all` unless told.
    #[serde(default)]
    pub session_visibility: Option<SessionVisibility>,
    #[serde(default)]
    pub custom_fields_strict: Option<bool>,
    /// Whether an e-mail address belongs to one contact; true unless told.
    #[serde(default)]
    pub unique_email: Option<bool>,
    /// Whether a contact that a channel brings gets a tag such as `whatsapp`; true unless told.
    #[serde(default)]
    pub auto_channel_tag: Option<bool>,
    #[serde(default)]
    pub business_hours: Option<BusinessHours>,
    #[serde(default)]
    pub retention: Option<RetentionPolicy>,
    /// Settings of the host, at most 16 KiB.
    #[serde(default)]
    pub configuration: Option<Map<String, Value>>,
    #[serde(default)]
    pub agent_assignment: Option<AgentAssignmentPatch>,
}

impl Command for CreateProject {
    const NAME: &'static str = "projects.create";
    const PERMISSION: Permission = Permission::ProjectsCreate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::NameRequired,
        ErrorCode::NameTooShort,
        ErrorCode::NameTooLong,
        ErrorCode::TextTooLong,
        ErrorCode::SlugInvalid,
        ErrorCode::ProjectSlugTaken,
        ErrorCode::RegionInvalid,
        ErrorCode::LanguageInvalid,
        ErrorCode::TimezoneInvalid,
        ErrorCode::CurrencyInvalid,
        ErrorCode::SessionTimeoutOutOfRange,
        ErrorCode::RetentionOutOfRange,
        ErrorCode::BusinessHoursInvalid,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonKeyInvalid,
        ErrorCode::AgentNotFound,
        ErrorCode::AssignmentAgentsRequired,
        ErrorCode::VirtualAgentsCannotAttend,
        ErrorCode::ReassignmentRuleLimit,
        ErrorCode::ReassignmentTimeoutInvalid,
        ErrorCode::ValueOutOfRange,
        ErrorCode::UserNotFound,
        ErrorCode::ActorSuspended,
        ErrorCode::PermissionDenied,
    ];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let acting = match work.actor().actor {
            Actor::User(id) => Some(id),
            _ => None,
        };
        let owner = self.owner_user_id.or(acting);
        if acting.is_some() && owner != acting {
            access::platform_rights(work.reader()).await?.require(Permission::UsersManage)?;
        }
        found(work, self, owner).await
    }
}

/// Founds a project, enters it, and makes its owner the first member.
pub(crate) async fn found(
    work: &mut UnitOfWork<'_>,
    input: CreateProject,
    owner_user_id: Option<UserId>,
) -> Result<Project> {
    let id: ProjectId = work.new_id();
    found_as(work, id, input, owner_user_id).await
}

/// As [`found`], with a chosen id.
pub(crate) async fn found_as(
    work: &mut UnitOfWork<'_>,
    id: ProjectId,
    input: CreateProject,
    owner_user_id: Option<UserId>,
) -> Result<Project> {
    let new = input.into_event(work, id, owner_user_id)?;
    work.enter_project(id);
    let project = work.create_in::<Project>(id, id, ProjectEvent::Created(Box::new(new)))?;
    let founded = work.save(project)?;
    let Some(owner) = owner_user_id else { return Ok(founded) };
    join_owner(work, id, owner).await?;
    // The project has taken its first member in.
    let found = work.find::<Project>(id).await?;
    Ok(found.map_or(founded, |project| project.state().clone()))
}

impl CreateProject {
    fn into_event(self, work: &UnitOfWork<'_>, id: ProjectId, owner_user_id: Option<UserId>) -> Result<NewProject> {
        let mut errors = Errors::new();
        let name = errors.take("name", name(&self.name, 2, 100)).unwrap_or_default();
        let description = errors.take("description", text::text(&self.description.unwrap_or_default(), 2_000));
        let minutes = self.session_timeout_minutes.unwrap_or(DEFAULT_SESSION_TIMEOUT_MINUTES);
        let minutes = errors.take("session_timeout_minutes", check_session_timeout(minutes));
        let hours = self.business_hours.as_ref().map_or(Ok(()), BusinessHours::check);
        errors.take("business_hours", hours.map_err(|e| e.at("business_hours")));
        let retention = self.retention.unwrap_or_default();
        errors.take("retention", retention.check().map_err(|e| e.at("retention")));
        let configuration = self.configuration.unwrap_or_default();
        errors.take("configuration", text::json_object(&Value::Object(configuration.clone())).map(drop));
        let patch = self.agent_assignment.unwrap_or_default();
        let assignment = AgentAssignmentConfig::default()
            .patched(patch, || work.new_id::<ProjectId>().uuid())
            .map_err(|e| e.at("agent_assignment"));
        let assignment = errors.take("agent_assignment", assignment).unwrap_or_default();
        errors.check()?;
        let agents = assignment.agent_ids.iter().chain(&assignment.fallback_agent_id).copied();
        check_agents("agent_assignment.agent_ids", agents)?;
        Ok(NewProject {
            owner_user_id,
            billing_account_id: None,
            slug: self.slug.unwrap_or_else(|| Slug::from_name(&name, id.uuid())),
            name,
            description: description.unwrap_or_default(),
            configuration,
            default_region: self.default_region.unwrap_or(Region::BR),
            default_language: self.default_language.map_or_else(|| Language::parse("en"), Ok)?,
            default_timezone: self.default_timezone.unwrap_or(Timezone::UTC),
            default_currency: self.default_currency.unwrap_or(Currency::USD),
            session_timeout_minutes: minutes.unwrap_or(DEFAULT_SESSION_TIMEOUT_MINUTES),
            agent_assignment: assignment,
            business_hours: self.business_hours,
            session_visibility: self.session_visibility.unwrap_or(SessionVisibility::All),
            custom_fields_strict: self.custom_fields_strict.unwrap_or(false),
            unique_email: self.unique_email.unwrap_or(true),
            auto_channel_tag: self.auto_channel_tag.unwrap_or(true),
            retention,
        })
    }
}
