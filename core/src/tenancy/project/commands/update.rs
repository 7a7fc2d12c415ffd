//! Changing the settings of a project.

use super::check_agents;
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{Currency, Error, ErrorCode, Language, Patch, Permission, Region, Result, Timezone, name, text};
use crate::tenancy::JsonPatch;
use crate::tenancy::project::{
    AgentAssignmentPatch, AssignmentChange, BusinessHours, Project, ProjectEvent, RetentionPolicy, SessionVisibility,
    Slug, check_session_timeout,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes settings of the project. What is absent stays; each group that really changes is one event.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateProject {
    /// 2 to 100 characters.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// At most 2000 characters; null empties it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub description: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub slug: Patch<Slug>,
    /// Phones that are stored already stay as they are.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub default_region: Patch<Region>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub default_language: Patch<Language>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub default_timezone: Patch<Timezone>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub default_currency: Patch<Currency>,
    /// 1 to 1440.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub session_timeout_minutes: Patch<u32>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub session_visibility: Patch<SessionVisibility>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub custom_fields_strict: Patch<bool>,
    /// Whether an e-mail address belongs to one contact. It holds for addresses that are set from then on.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub unique_email: Patch<bool>,
    /// Whether a contact that a channel brings gets a tag such as `whatsapp`.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub auto_channel_tag: Patch<bool>,
    /// Replaced whole; null = always open.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub business_hours: Patch<BusinessHours>,
    /// Replaced whole; null keeps everything.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub retention: Patch<RetentionPolicy>,
    /// Keys of the host's settings to set and to remove.
    pub configuration: Option<JsonPatch>,
    pub agent_assignment: Option<AgentAssignmentPatch>,
}

impl Command for UpdateProject {
    const NAME: &'static str = "projects.update";
    const PERMISSION: Permission = Permission::ProjectManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FieldRequired,
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
        ErrorCode::AgentAlreadyInAssignment,
        ErrorCode::AssignmentAgentsRequired,
        ErrorCode::VirtualAgentsCannotAttend,
        ErrorCode::ReassignmentRuleLimit,
        ErrorCode::ReassignmentTimeoutInvalid,
        ErrorCode::ValueOutOfRange,
    ];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let mut project = work.load::<Project>(work.project()).await?;
        project.change_details(required("name", self.name)?, self.description)?;
        project.change_slug(required("slug", self.slug)?);
        project.change_locale(
            required("default_region", self.default_region)?,
            required("default_language", self.default_language)?,
            required("default_timezone", self.default_timezone)?,
            required("default_currency", self.default_currency)?,
        );
        if let Some(minutes) = required("session_timeout_minutes", self.session_timeout_minutes)? {
            project.change_session_timeout(minutes)?;
        }
        if let Some(visibility) = required("session_visibility", self.session_visibility)? {
            project.change_session_visibility(visibility);
        }
        if let Some(strict) = required("custom_fields_strict", self.custom_fields_strict)? {
            project.change_custom_fields_strict(strict);
        }
        project.change_contact_rules(
            required("unique_email", self.unique_email)?,
            required("auto_channel_tag", self.auto_channel_tag)?,
        );
        if let Some(hours) = self.business_hours.into_change() {
            project.change_business_hours(hours)?;
        }
        if let Some(retention) = self.retention.into_change() {
            project.change_retention(retention.unwrap_or_default())?;
        }
        if let Some(patch) = self.configuration {
            project.change_configuration(patch)?;
        }
        if let Some(patch) = self.agent_assignment {
            project.change_agent_assignment(patch).map_err(|e| e.at("agent_assignment"))?;
        }
        work.save(project)
    }
}

/// A field that can be changed but not cleared.
fn required<T>(field: &str, patch: Patch<T>) -> Result<Option<T>> {
    match patch.into_change() {
        None => Ok(None),
        Some(Some(value)) => Ok(Some(value)),
        Some(None) => Err(Error::new(ErrorCode::FieldRequired).at(field)),
    }
}

fn changed<T: PartialEq>(new: Option<T>, current: &T) -> Patch<T> {
    new.filter(|new| new != current).map_or(Patch::Absent, Patch::Value)
}

impl Root<Project> {
    /// Changes name and description; a cleared description is empty.
    pub fn change_details(&mut self, new_name: Option<String>, description: Patch<String>) -> Result<()> {
        let new_name = new_name.map(|text| name(&text, 2, 100)).transpose().map_err(|e| e.at("name"))?;
        let description = description.into_change().map(Option::unwrap_or_default);
        let description =
            description.map(|value| text::text(&value, 2_000)).transpose().map_err(|e| e.at("description"))?;
        let name = changed(new_name, &self.name);
        let description = changed(description, &self.description);
        if !(name.is_absent() && description.is_absent()) {
            self.record(ProjectEvent::DetailsUpdated { name, description });
        }
        Ok(())
    }

    /// Changes the name in addresses.
    pub fn change_slug(&mut self, slug: Option<Slug>) {
        if let Some(new_slug) = slug.filter(|slug| *slug != self.slug) {
            self.record(ProjectEvent::SlugChanged { old_slug: self.slug.clone(), new_slug });
        }
    }

    /// Changes the defaults of place and language.
    pub fn change_locale(
        &mut self,
        region: Option<Region>,
        language: Option<Language>,
        timezone: Option<Timezone>,
        currency: Option<Currency>,
    ) {
        let default_region = changed(region, &self.default_region);
        let default_language = changed(language, &self.default_language);
        let default_timezone = changed(timezone, &self.default_timezone);
        let default_currency = changed(currency, &self.default_currency);
        if !(default_region.is_absent()
            && default_language.is_absent()
            && default_timezone.is_absent()
            && default_currency.is_absent())
        {
            self.record(ProjectEvent::LocaleChanged {
                default_region,
                default_language,
                default_timezone,
                default_currency,
            });
        }
    }

    /// Changes after how much silence sessions end.
    pub fn change_session_timeout(&mut self, minutes: u32) -> Result<()> {
        let new_minutes = check_session_timeout(minutes).map_err(|e| e.at("session_timeout_minutes"))?;
        let old_minutes = self.session_timeout_minutes;
        if new_minutes != old_minutes {
            self.record(ProjectEvent::SessionTimeoutChanged { old_minutes, new_minutes });
        }
        Ok(())
    }

    /// Changes what the member role `agent` sees.
    pub fn change_session_visibility(&mut self, new: SessionVisibility) {
        let old = self.session_visibility;
        if new != old {
            self.record(ProjectEvent::SessionVisibilityChanged { old, new });
        }
    }

    /// Refuses custom fields without definition, or allows them.
    pub fn change_custom_fields_strict(&mut self, strict: bool) {
        if strict != self.custom_fields_strict {
            self.record(ProjectEvent::CustomFieldsStrictChanged { strict });
        }
    }

    /// Changes what is wanted of contacts.
    pub fn change_contact_rules(&mut self, unique_email: Option<bool>, auto_channel_tag: Option<bool>) {
        let unique_email = changed(unique_email, &self.unique_email);
        let auto_channel_tag = changed(auto_channel_tag, &self.auto_channel_tag);
        if !(unique_email.is_absent() && auto_channel_tag.is_absent()) {
            self.record(ProjectEvent::ContactRulesChanged { unique_email, auto_channel_tag });
        }
    }

    /// Replaces the business hours.
    pub fn change_business_hours(&mut self, hours: Option<BusinessHours>) -> Result<()> {
        hours.as_ref().map_or(Ok(()), BusinessHours::check).map_err(|e| e.at("business_hours"))?;
        if hours != self.business_hours {
            self.record(ProjectEvent::BusinessHoursChanged { business_hours: hours.map(Box::new) });
        }
        Ok(())
    }

    /// Replaces the rules of retention.
    pub fn change_retention(&mut self, retention: RetentionPolicy) -> Result<()> {
        retention.check().map_err(|e| e.at("retention"))?;
        if retention != self.retention {
            self.record(ProjectEvent::RetentionChanged { retention });
        }
        Ok(())
    }

    /// Changes keys of the host's settings.
    pub fn change_configuration(&mut self, patch: JsonPatch) -> Result<()> {
        if let Some(patch) = patch.change(&self.configuration).map_err(|e| e.at("configuration"))? {
            self.record(ProjectEvent::ConfigurationUpdated { set: patch.set, unset: patch.unset });
        }
        Ok(())
    }

    /// Changes how sessions find their agent.
    pub fn change_agent_assignment(&mut self, patch: AgentAssignmentPatch) -> Result<()> {
        let config = self.agent_assignment.patched(patch, || self.new_uuid())?;
        let known = &self.agent_assignment;
        check_agents("agent_ids", config.agent_ids.iter().copied().filter(|id| !known.agent_ids.contains(id)))?;
        check_agents("fallback_agent_id", config.fallback_agent_id.filter(|id| known.fallback_agent_id != Some(*id)))?;
        if config != self.agent_assignment {
            let change = AssignmentChange::Replaced;
            self.record(ProjectEvent::AgentAssignmentChanged { agent_assignment: Box::new(config), change });
        }
        Ok(())
    }
}
