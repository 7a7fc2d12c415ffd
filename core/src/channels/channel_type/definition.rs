//! The rules that a definition of a kind of channel must satisfy, whoever writes it.

use super::config::check_value;
use super::events::{Configuration, NewChannelType};
use super::{ConfigField, ConnectionMode};
use crate::kernel::{CustomFieldType, Error, ErrorCode, Errors, Result};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const MAX_FIELDS: usize = 32;

/// `^[a-z][a-z0-9_]{1,49}$`, else `channel_type_code_invalid`.
pub(super) fn check_code(code: &str) -> Result<()> {
    if is_word(code, 2) { Ok(()) } else { Err(ErrorCode::ChannelTypeCodeInvalid.into()) }
}

fn is_word(text: &str, min: usize) -> bool {
    (min..=50).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl NewChannelType {
    /// Every rule at once, so that a form shows all failures.
    pub(super) fn check(&self) -> Result<()> {
        let mut errors = Errors::new();
        errors.take("code", check_code(&self.code));
        if self.provider.trim().is_empty() {
            errors.push(Error::new(ErrorCode::FieldRequired).at("provider"));
        }
        if self.legacy_id == Some(0) {
            errors.push(Error::new(ErrorCode::ChannelTypeLegacyIdInvalid).at("legacy_id").with("min", 1));
        }
        Configuration {
            code: self.code.clone(),
            config_schema: self.config_schema.clone(),
            modes: self.modes.clone(),
            default_mode: self.default_mode,
            external_id_rule: self.external_id_rule.clone(),
            settings: self.settings.clone(),
            capabilities: self.capabilities.clone(),
            seeded: None,
        }
        .gather(&mut errors);
        errors.check()
    }
}

impl Configuration {
    pub(super) fn check(&self) -> Result<()> {
        let mut errors = Errors::new();
        self.gather(&mut errors);
        errors.check()
    }

    fn gather(&self, errors: &mut Errors) {
        check_schema(&self.config_schema, errors);
        if self.modes.is_empty() || !self.modes.contains(&self.default_mode) {
            errors.push(Error::new(ErrorCode::ConnectionModeInvalid).at("modes"));
        }
        self.check_capabilities(errors);
        check_settings(&self.settings, &self.config_schema, errors);
    }

    fn check_capabilities(&self, errors: &mut Errors) {
        let can = &self.capabilities;
        let mut refuse = |field: &str, why: &str| {
            errors.push(Error::new(ErrorCode::CapabilitiesInvalid).at(format!("capabilities.{field}")).message(why));
        };
        if can.labels_two_way && !can.labels {
            refuse("labels_two_way", "labels cannot be synchronised where there are none");
        }
        let auto = self.modes.contains(&ConnectionMode::Auto);
        if (can.qr || can.pairing_code) && !auto {
            refuse(if can.qr { "qr" } else { "pairing_code" }, "pairing needs the mode auto");
        }
        let always = [CustomFieldType::Text, CustomFieldType::Url];
        let fits = |t: CustomFieldType| always.contains(&t) || can.custom_field_types.contains(&t);
        if can.system_fields.iter().any(|field| !fits(field.r#type)) {
            refuse("system_fields", "a system field has a type that channels of this kind do not have");
        }
    }
}

fn check_schema(schema: &[ConfigField], errors: &mut Errors) {
    let mut refuse = |number: usize, why: String| {
        let error = Error::new(ErrorCode::ConfigSchemaInvalid).message(why);
        errors.push(error.at(format!("config_schema[{number}]")));
    };
    if schema.len() > MAX_FIELDS {
        refuse(MAX_FIELDS, format!("at most {MAX_FIELDS} fields"));
    }
    let mut keys = BTreeSet::new();
    for (number, field) in schema.iter().enumerate() {
        for key in std::iter::once(&field.key).chain(&field.aliases) {
            if !is_word(key, 1) {
                refuse(number, "a key is 1 to 50 of a-z, 0-9 and _, and starts with a letter".to_owned());
            }
            if !keys.insert(key.as_str()) {
                refuse(number, format!("the key {key} appears twice"));
            }
        }
        if let Some(default) = &field.default {
            if field.secret {
                refuse(number, "a secret has no default".to_owned());
            } else if check_value(field, default).is_err() {
                refuse(number, "the default is not a value of the field".to_owned());
            }
        }
        for other in field.required_unless.iter().chain(&field.prefix_of) {
            if !schema.iter().any(|field| field.key == *other) {
                refuse(number, format!("there is no field {other}"));
            }
        }
    }
}

fn check_settings(settings: &Map<String, Value>, schema: &[ConfigField], errors: &mut Errors) {
    for key in settings.keys() {
        if schema.iter().any(|field| field.secret && field.is_called(key)) {
            errors.push(Error::new(ErrorCode::ConfigFieldSecret).at(format!("settings.{key}")));
        }
    }
    errors.take("settings", crate::kernel::text::json_object(&Value::Object(settings.clone())).map(|_| ()));
}
