//! What a project or a channel says about one custom field.

use super::value::MAX_OPTION;
use super::{CustomFieldKey, CustomFieldType, CustomValue};
use crate::kernel::text;
use crate::kernel::{Error, ErrorCode, Errors, Region, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The definition of a custom field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomFieldDefinition {
    pub key: CustomFieldKey,
    /// Never changes.
    pub r#type: CustomFieldType,
    /// What people see, 1–80 characters.
    pub label: String,
    /// At most 500 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// The field must have a value, and keeps one.
    #[serde(default)]
    pub required: bool,
    /// The definition, and a value once set, cannot be removed.
    #[serde(default)]
    pub fixed: bool,
    /// Written by Ventros only.
    #[serde(default)]
    pub system: bool,
    /// Written by nobody but Ventros.
    #[serde(default)]
    pub read_only: bool,
    /// The value that a new entity gets.
    #[serde(default)]
    pub default: Option<Value>,
    /// The allowed words of `select` and `multi_select`, at most 200 of 1–100 characters.
    #[serde(default)]
    pub options: Vec<String>,
    /// Lists can be filtered by it.
    #[serde(default)]
    pub filterable: bool,
    /// Its place among the fields.
    #[serde(default)]
    pub position: u32,
}

impl CustomFieldDefinition {
    /// How many options a definition has at most.
    pub const MAX_OPTIONS: usize = 200;

    pub fn new(key: CustomFieldKey, kind: CustomFieldType, label: impl Into<String>) -> Self {
        CustomFieldDefinition {
            key,
            r#type: kind,
            label: label.into(),
            description: None,
            required: false,
            fixed: false,
            system: false,
            read_only: false,
            default: None,
            options: Vec::new(),
            filterable: false,
            position: 0,
        }
    }

    /// The definition with its texts normalised, or everything that is wrong with it.
    ///
    /// # Errors
    /// `name_*` of label and options, `text_too_long`, `custom_field_options_required`, `custom_field_value_invalid` for a default that
    /// does not fit and for options given twice or to a type that has none, `value_out_of_range` for too many options.
    pub fn checked(mut self, region: Option<Region>) -> Result<Self> {
        let mut errors = Errors::new();
        if let Some(label) = errors.take("label", text::name(&self.label, 1, 80)) {
            self.label = label;
        }
        if let Some(description) = &self.description {
            let text = errors.take("description", text::text(description, 500));
            self.description = text.filter(|text| !text.is_empty());
        }
        if let Some(options) = errors.take("options", self.checked_options()) {
            self.options = options;
        }
        if let Some(default) = &self.default {
            match self.read(default, region) {
                Ok(value) => self.default = Some(value.to_json()),
                Err(error) => errors.push(error.at("default")),
            }
        }
        errors.check()?;
        Ok(self)
    }

    fn checked_options(&self) -> Result<Vec<String>> {
        let choice = matches!(self.r#type, CustomFieldType::Select | CustomFieldType::MultiSelect);
        let refuse = |reason: &str| Error::new(ErrorCode::CustomFieldValueInvalid).with("reason", reason);
        if choice && self.options.is_empty() {
            return Err(ErrorCode::CustomFieldOptionsRequired.into());
        }
        if !choice && !self.options.is_empty() {
            return Err(refuse("type_has_no_options"));
        }
        if self.options.len() > Self::MAX_OPTIONS {
            return Err(Error::new(ErrorCode::ValueOutOfRange).with("max", Self::MAX_OPTIONS));
        }
        let mut options = Vec::with_capacity(self.options.len());
        for (index, option) in self.options.iter().enumerate() {
            let place = format!("options[{index}]");
            let option = text::name(option, 1, MAX_OPTION).map_err(|error| error.at(place.as_str()))?;
            if options.contains(&option) {
                return Err(refuse("duplicate").at(place));
            }
            options.push(option);
        }
        Ok(options)
    }

    /// Reads a value of this field.
    ///
    /// # Errors
    /// `custom_field_value_invalid`.
    pub fn read(&self, value: &Value, region: Option<Region>) -> Result<CustomValue> {
        let options = match self.r#type {
            CustomFieldType::Select | CustomFieldType::MultiSelect => Some(self.options.as_slice()),
            _ => None,
        };
        CustomValue::read(self.r#type, value, options, region)
    }
}
