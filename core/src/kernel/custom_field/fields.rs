//! The custom fields of one entity, and the rules by which they change.
//!
//! A command asks [`CustomFields::change`] or [`CustomFields::removal`] what its input means and records that as an event; folding
//! the event calls [`CustomFields::put`] or [`CustomFields::take`], which never fail.

use super::{CustomFieldDefinition, CustomFieldKey, CustomFieldType, CustomValue};
use crate::kernel::{Error, ErrorCode, Region, Result};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One custom field with its value. JSON: `{"key": "plan", "type": "select", "value": "pro"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CustomField {
    pub key: CustomFieldKey,
    #[serde(flatten)]
    pub value: CustomValue,
}

/// A value as a caller gives it: `{"type": "email", "value": "ana@x.com"}`, or short, `"ana@x.com"`, its type following from the
/// definition, from what is stored, or from the value. Null clears the field.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomFieldInput {
    pub r#type: Option<CustomFieldType>,
    pub value: Value,
}

impl CustomFieldInput {
    /// The caller wants the field removed.
    pub fn is_clear(&self) -> bool {
        self.value.is_null()
    }
}

impl From<Value> for CustomFieldInput {
    fn from(value: Value) -> Self {
        CustomFieldInput { r#type: None, value }
    }
}

impl<'de> Deserialize<'de> for CustomFieldInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let Some(kind) = long_form_type(&value) else { return Ok(value.into()) };
        let invalid = || {
            let allowed: Vec<&str> = CustomFieldType::ALL.iter().map(|kind| kind.as_str()).collect();
            crate::kernel::input::carry(Error::new(ErrorCode::CustomFieldTypeInvalid).with("allowed", allowed))
        };
        let kind = CustomFieldType::parse(kind).map_err(|_| invalid())?;
        let value = value.get("value").cloned().unwrap_or_default();
        Ok(CustomFieldInput { r#type: Some(kind), value })
    }
}

/// An object of exactly `type` (a text) and `value` is the long form; any other is a value itself.
fn long_form_type(value: &Value) -> Option<&str> {
    let object = value.as_object().filter(|object| object.len() == 2 && object.contains_key("value"))?;
    object.get("type")?.as_str()
}

impl Serialize for CustomFieldInput {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.r#type {
            Some(kind) => serde_json::json!({"type": kind, "value": self.value}).serialize(serializer),
            None => self.value.serialize(serializer),
        }
    }
}

impl schemars::JsonSchema for CustomFieldInput {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CustomFieldInput".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A value, or {\"type\", \"value\"}; null clears the field."
        })
    }
}

/// What decides whether a field may be set: the definitions of its target, and who sets it.
#[derive(Debug, Clone, Copy, Default)]
pub struct CustomFieldRules<'a> {
    pub definitions: &'a [CustomFieldDefinition],
    /// Only defined fields are allowed.
    pub strict: bool,
    /// The region of national phone numbers.
    pub region: Option<Region>,
    /// Ventros itself writes, so that system and read-only fields may change.
    pub by_system: bool,
}

impl<'a> CustomFieldRules<'a> {
    fn definition(&self, key: &str) -> Option<&'a CustomFieldDefinition> {
        self.definitions.iter().find(|definition| definition.key.as_str() == key)
    }

    /// Refuses a user's writing to fields that are not the user's.
    fn check_writer(&self, definition: Option<&CustomFieldDefinition>) -> Result<()> {
        match definition {
            Some(definition) if !self.by_system && definition.system => Err(ErrorCode::CustomFieldSystem.into()),
            Some(definition) if !self.by_system && definition.read_only => Err(ErrorCode::CustomFieldReadOnly.into()),
            _ => Ok(()),
        }
    }
}

/// The custom fields of an entity, ordered by key. JSON: `{"plan": {"type": "text", "value": "x"}}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(with = "BTreeMap<String, CustomValue>")]
pub struct CustomFields(BTreeMap<CustomFieldKey, CustomValue>);

impl CustomFields {
    /// How many fields an entity has at most.
    pub const MAX: usize = 200;

    pub fn new() -> Self {
        Self::default()
    }

    /// What setting `key` comes to: the field with its checked value, or `None` when it has that value already.
    ///
    /// # Errors
    /// `custom_field_key_required`, `custom_field_key_invalid`, `custom_field_value_invalid`, `custom_field_type_mismatch`,
    /// `custom_field_undefined`, `custom_field_read_only`, `custom_field_system`, `custom_field_limit`; all name the key as their field.
    pub fn change(
        &self,
        key: &str,
        input: &CustomFieldInput,
        rules: &CustomFieldRules<'_>,
    ) -> Result<Option<CustomField>> {
        self.decide(key, input, rules).map_err(|error| if key.is_empty() { error } else { error.at(key) })
    }

    fn decide(&self, key: &str, input: &CustomFieldInput, rules: &CustomFieldRules<'_>) -> Result<Option<CustomField>> {
        let key = CustomFieldKey::parse(key)?;
        let definition = rules.definition(key.as_str());
        rules.check_writer(definition)?;
        let stored = self.0.get(&key);
        let value = match definition {
            None if rules.strict => return Err(ErrorCode::CustomFieldUndefined.into()),
            None => read_undefined(input, stored, rules.region)?,
            Some(definition) => {
                if let Some(kind) = input.r#type.filter(|kind| *kind != definition.r#type) {
                    return Err(mismatch(definition.r#type, kind));
                }
                definition.read(&input.value, rules.region)?
            }
        };
        match stored {
            Some(stored) if stored.kind() != value.kind() => Err(mismatch(stored.kind(), value.kind())),
            Some(stored) if *stored == value => Ok(None),
            None if self.0.len() >= Self::MAX => Err(full(self.0.len())),
            _ => Ok(Some(CustomField { key, value })),
        }
    }

    /// Sets a field at once; `false` when nothing changed. For commands that do not record single fields.
    ///
    /// # Errors
    /// As [`CustomFields::change`].
    pub fn set(&mut self, key: &str, input: &CustomFieldInput, rules: &CustomFieldRules<'_>) -> Result<bool> {
        let change = self.change(key, input, rules)?;
        let changed = change.is_some();
        if let Some(field) = change {
            self.put(field);
        }
        Ok(changed)
    }

    /// Whether `key` may be removed.
    ///
    /// # Errors
    /// `custom_field_fixed`, `custom_field_required`, `custom_field_system`, `custom_field_read_only`, `custom_field_not_found`.
    pub fn removal(&self, key: &str, rules: &CustomFieldRules<'_>) -> Result<CustomFieldKey> {
        let decide = || {
            let definition = rules.definition(key);
            rules.check_writer(definition)?;
            match definition {
                Some(definition) if definition.fixed => Err(ErrorCode::CustomFieldFixed.into()),
                Some(definition) if definition.required => Err(ErrorCode::CustomFieldRequired.into()),
                _ => match self.0.get_key_value(key) {
                    Some((key, _)) => Ok(key.clone()),
                    None => Err(Error::new(ErrorCode::CustomFieldNotFound)),
                },
            }
        };
        decide().map_err(|error: Error| if key.is_empty() { error } else { error.at(key) })
    }

    /// Removes a field at once.
    ///
    /// # Errors
    /// As [`CustomFields::removal`].
    pub fn remove(&mut self, key: &str, rules: &CustomFieldRules<'_>) -> Result<CustomValue> {
        let key = self.removal(key, rules)?;
        self.take(key.as_str()).ok_or(ErrorCode::CustomFieldNotFound.into())
    }

    /// Folds a field that was set.
    pub fn put(&mut self, field: CustomField) {
        self.0.insert(field.key, field.value);
    }

    /// Folds a field that was removed.
    pub fn take(&mut self, key: &str) -> Option<CustomValue> {
        self.0.remove(key)
    }

    pub fn get(&self, key: &str) -> Option<&CustomValue> {
        self.0.get(key)
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// All fields, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&CustomFieldKey, &CustomValue)> {
        self.0.iter()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn by_type(&self, kind: CustomFieldType) -> impl Iterator<Item = (&CustomFieldKey, &CustomValue)> {
        self.0.iter().filter(move |(_, value)| value.kind() == kind)
    }

    /// Both together; the other's value wins where both have the key.
    ///
    /// # Errors
    /// `custom_field_type_mismatch` when a key has two types, `custom_field_limit`.
    pub fn merge(&self, other: &CustomFields) -> Result<CustomFields> {
        let mut merged = self.clone();
        for (key, value) in &other.0 {
            if let Some(own) = self.0.get(key).filter(|own| own.kind() != value.kind()) {
                return Err(mismatch(own.kind(), value.kind()).at(key.as_str()));
            }
            merged.0.insert(key.clone(), value.clone());
        }
        if merged.count() > Self::MAX { Err(full(merged.count())) } else { Ok(merged) }
    }

    /// The fields that the definitions' defaults add: what a new entity starts with besides its own.
    pub fn defaults(&self, rules: &CustomFieldRules<'_>) -> Result<Vec<CustomField>> {
        let missing = rules.definitions.iter().filter(|definition| !self.has(definition.key.as_str()));
        missing
            .filter_map(|definition| definition.default.as_ref().map(|default| (definition, default)))
            .map(|(definition, default)| {
                let value = definition.read(default, rules.region)?;
                Ok(CustomField { key: definition.key.clone(), value })
            })
            .collect()
    }

    /// Everything that does not agree with the definitions: required fields that are missing, other types, values that are no longer legal.
    pub fn validate(&self, rules: &CustomFieldRules<'_>) -> Vec<Error> {
        let missing = rules
            .definitions
            .iter()
            .filter(|definition| definition.required && !self.has(definition.key.as_str()))
            .map(|definition| Error::new(ErrorCode::CustomFieldRequired).at(definition.key.as_str()));
        let wrong = self.0.iter().filter_map(|(key, value)| {
            let error = match rules.definition(key.as_str()) {
                None => rules.strict.then(|| Error::new(ErrorCode::CustomFieldUndefined)),
                Some(definition) if definition.r#type != value.kind() => {
                    Some(mismatch(definition.r#type, value.kind()))
                }
                Some(definition) => definition.read(&value.to_json(), rules.region).err(),
            };
            error.map(|error| error.at(key.as_str()))
        });
        missing.chain(wrong).collect()
    }
}

/// Without a definition the type is the given one, else that of the stored value, else it follows from the value.
fn read_undefined(
    input: &CustomFieldInput,
    stored: Option<&CustomValue>,
    region: Option<Region>,
) -> Result<CustomValue> {
    let read = |kind| CustomValue::read(kind, &input.value, None, region);
    let inferred = CustomFieldType::infer(&input.value);
    match (input.r#type, stored.map(CustomValue::kind), inferred) {
        (Some(kind), _, _) => read(kind),
        (None, Some(kind), Some(inferred)) => {
            read(kind).map_err(|error| if kind == inferred { error } else { mismatch(kind, inferred) })
        }
        (None, None, Some(inferred)) => read(inferred),
        (None, _, None) => Err(Error::new(ErrorCode::CustomFieldValueInvalid).with("reason", "null")),
    }
}

fn mismatch(expected: CustomFieldType, actual: CustomFieldType) -> Error {
    Error::new(ErrorCode::CustomFieldTypeMismatch).with("expected", expected.as_str()).with("actual", actual.as_str())
}

fn full(current: usize) -> Error {
    Error::new(ErrorCode::CustomFieldLimit)
        .with("limit", "custom_fields")
        .with("current", current)
        .with("max", CustomFields::MAX)
}

impl FromIterator<CustomField> for CustomFields {
    fn from_iter<I: IntoIterator<Item = CustomField>>(fields: I) -> Self {
        CustomFields(fields.into_iter().map(|field| (field.key, field.value)).collect())
    }
}

/// Reads the stored form; the short form is accepted too, its types following from the values.
impl<'de> Deserialize<'de> for CustomFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = BTreeMap::<CustomFieldKey, Value>::deserialize(deserializer)?;
        let read = |(key, value): (CustomFieldKey, Value)| -> Result<_> {
            let read = match long_form_type(&value) {
                Some(_) => crate::kernel::input::parse_value(value),
                None => read_undefined(&value.into(), None, None),
            };
            read.map_err(|error| error.at(key.as_str())).map(|value| (key, value))
        };
        values.into_iter().map(read).collect::<Result<_>>().map(CustomFields).map_err(crate::kernel::input::carry)
    }
}
