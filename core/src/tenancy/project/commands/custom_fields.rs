//! Definitions of custom fields.

use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{
    CustomFieldDefinition, CustomFieldKey, CustomFieldType, Error, ErrorCode, Patch, Permission, Result,
};
use crate::tenancy::project::{CustomFieldDefinitions, CustomFieldTarget, Project, ProjectEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Defines a custom field. Its type never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefineCustomField {
    pub target: CustomFieldTarget,
    pub definition: CustomFieldDefinition,
}

impl Command for DefineCustomField {
    const NAME: &'static str = "projects.define_custom_field";
    const PERMISSION: Permission = Permission::ProjectManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::CustomFieldExists,
        ErrorCode::CustomFieldDefinitionLimit,
        ErrorCode::CustomFieldOptionsRequired,
        ErrorCode::CustomFieldKeyInvalid,
        ErrorCode::CustomFieldValueInvalid,
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::TextTooLong,
        ErrorCode::ValueOutOfRange,
    ];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let mut project = work.load::<Project>(work.project()).await?;
        project.define_custom_field(self.target, self.definition)?;
        work.save(project)
    }
}

/// Changes a definition. Values with an option that is gone stay readable; their next change uses a current one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateCustomField {
    pub target: CustomFieldTarget,
    pub key: CustomFieldKey,
    /// Told only to be refused when it differs: the type of a field never changes.
    #[serde(default)]
    pub r#type: Option<CustomFieldType>,
    #[serde(default)]
    pub label: Option<String>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub description: Patch<String>,
    #[serde(default)]
    pub required: Option<bool>,
    /// Replaced whole.
    #[serde(default)]
    pub options: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub default: Patch<Value>,
    #[serde(default)]
    pub position: Option<u32>,
    #[serde(default)]
    pub filterable: Option<bool>,
}

impl Command for UpdateCustomField {
    const NAME: &'static str = "projects.update_custom_field";
    const PERMISSION: Permission = Permission::ProjectManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::CustomFieldNotFound,
        ErrorCode::CustomFieldTypeImmutable,
        ErrorCode::CustomFieldOptionsRequired,
        ErrorCode::CustomFieldValueInvalid,
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::TextTooLong,
        ErrorCode::ValueOutOfRange,
    ];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let mut project = work.load::<Project>(work.project()).await?;
        project.update_custom_field(self)?;
        work.save(project)
    }
}

/// Removes a definition; with `purge_values`, values of the field are removed in the background.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveCustomField {
    pub target: CustomFieldTarget,
    pub key: CustomFieldKey,
    #[serde(default)]
    pub purge_values: bool,
}

impl Command for RemoveCustomField {
    const NAME: &'static str = "projects.remove_custom_field";
    const PERMISSION: Permission = Permission::ProjectManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::CustomFieldNotFound, ErrorCode::CustomFieldFixed];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let mut project = work.load::<Project>(work.project()).await?;
        let RemoveCustomField { target, key, purge_values } = self;
        if project.known(target, &key)?.fixed {
            return Err(Error::new(ErrorCode::CustomFieldFixed).at("key"));
        }
        project.record(ProjectEvent::CustomFieldRemoved { target, key, purge_values });
        work.save(project)
    }
}

impl Root<Project> {
    /// Adds a definition whose key is free.
    pub fn define_custom_field(&mut self, target: CustomFieldTarget, definition: CustomFieldDefinition) -> Result<()> {
        let definitions = &self.custom_field_definitions;
        if definitions.find(target, definition.key.as_str()).is_some() {
            return Err(Error::new(ErrorCode::CustomFieldExists)
                .at("definition.key")
                .with("key", definition.key.as_str()));
        }
        if definitions.of(target).len() >= CustomFieldDefinitions::MAX {
            return Err(Error::new(ErrorCode::CustomFieldDefinitionLimit).with("max", CustomFieldDefinitions::MAX));
        }
        let definition = definition.checked(Some(self.default_region)).map_err(|e| e.at("definition"))?;
        self.record(ProjectEvent::CustomFieldDefined { target, definition: Box::new(definition) });
        Ok(())
    }

    /// Changes a definition in everything but its key and type.
    pub fn update_custom_field(&mut self, change: UpdateCustomField) -> Result<()> {
        let UpdateCustomField {
            target,
            key,
            r#type,
            label,
            description,
            required,
            options,
            default,
            position,
            filterable,
        } = change;
        let current = self.known(target, &key)?;
        if r#type.is_some_and(|told| told != current.r#type) {
            return Err(Error::new(ErrorCode::CustomFieldTypeImmutable)
                .at("type")
                .with("type", current.r#type.as_str()));
        }
        let mut new = current.clone();
        new.label = label.unwrap_or(new.label);
        new.description = description.into_change().unwrap_or(new.description);
        new.required = required.unwrap_or(new.required);
        new.options = options.unwrap_or(new.options);
        new.default = default.into_change().unwrap_or(new.default);
        new.position = position.unwrap_or(new.position);
        new.filterable = filterable.unwrap_or(new.filterable);
        let new = new.checked(Some(self.default_region))?;
        if new != *current {
            self.record(ProjectEvent::CustomFieldUpdated { target, key, definition: Box::new(new) });
        }
        Ok(())
    }

    fn known(&self, target: CustomFieldTarget, key: &CustomFieldKey) -> Result<&CustomFieldDefinition> {
        let unknown = || Error::new(ErrorCode::CustomFieldNotFound).at("key").with("key", key.as_str());
        self.custom_field_definitions.find(target, key.as_str()).ok_or_else(unknown)
    }
}
