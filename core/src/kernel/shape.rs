//! What is wrong with an input that could not be read: every fault with its exact place.
//!
//! Reading stops at its first fault, and inside of unions it does not know where it is. So once reading has failed, the
//! input is held against the schema of what was to be read. Reading decides; this only explains.

use super::error::{Error, ErrorCode, Result};
use super::{
    Currency, CustomFieldKey, Email, Language, Permission, Phone, Region, Tag, Timestamp, Timezone, Url, input,
    parse_uuid,
};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where looking ends: nobody is told more.
const MAX_FAULTS: usize = 20;

/// A value type that checks itself, and the codes that it raises.
struct ValueType {
    name: &'static str,
    codes: &'static [ErrorCode],
    check: fn(&Value) -> Result<()>,
}

const fn value_type<T: DeserializeOwned>(name: &'static str, codes: &'static [ErrorCode]) -> ValueType {
    ValueType { name, codes, check: |value| input::parse_value::<T>(value.clone()).map(drop) }
}

use ErrorCode as E;

const VALUE_TYPES: &[ValueType] = &[
    value_type::<Currency>("Currency", &[E::CurrencyInvalid]),
    value_type::<CustomFieldKey>("CustomFieldKey", &[E::CustomFieldKeyInvalid, E::CustomFieldKeyRequired]),
    value_type::<Email>("Email", &[E::EmailInvalid, E::EmailRequired, E::EmailTooLong]),
    value_type::<Language>("Language", &[E::LanguageInvalid]),
    value_type::<Permission>("Permission", &[E::PermissionUnknown]),
    value_type::<Phone>("Phone", &[E::PhoneInvalid, E::PhoneRegionRequired]),
    value_type::<Region>("Region", &[E::RegionInvalid]),
    value_type::<Tag>("Tag", &[E::TagInvalid]),
    value_type::<Timestamp>("Timestamp", &[]),
    value_type::<Timezone>("Timezone", &[E::TimezoneInvalid]),
    value_type::<Url>("Url", &[E::UrlCredentials, E::UrlInvalid, E::UrlSchemeUnsupported]),
];

/// The codes that reading any input can raise. No operation lists them.
pub const INPUT_CODES: &[ErrorCode] = &[
    E::EnumUnknown,
    E::FieldRequired,
    E::IdInvalid,
    E::IdNil,
    E::InputInvalid,
    E::TextControlChar,
    E::UnknownField,
    E::ValueOutOfRange,
];

/// The codes that reading a value of this named type can raise beside those of every input.
pub fn codes_of(type_name: &str) -> &'static [ErrorCode] {
    VALUE_TYPES.iter().find(|known| known.name == type_name).map_or(&[], |known| known.codes)
}

/// Reads the input of an operation, which is an object. When it cannot be read, all its faults are told.
pub fn read<T: DeserializeOwned + JsonSchema + 'static>(json: &[u8]) -> Result<T> {
    // A list of its fields in order would do for serde.
    if json.trim_ascii_start().first() == Some(&b'[') {
        return Err(Error::new(E::InputInvalid).message("expected object, found array"));
    }
    input::parse(json).map_err(|first| match serde_json::from_slice::<Value>(json) {
        Ok(value) => explain::<T>(&value, first),
        Err(_) => first,
    })
}

/// The schema of a type, made when it is first needed.
fn schema_of<T: JsonSchema + 'static>() -> Arc<Value> {
    static KNOWN: Mutex<BTreeMap<TypeId, Arc<Value>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || Arc::new(SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value());
    known.entry(TypeId::of::<T>()).or_insert_with(make).clone()
}

fn explain<T: JsonSchema + 'static>(value: &Value, first: Error) -> Error {
    let schema = schema_of::<T>();
    let mut faults = Faults { definitions: schema["$defs"].as_object(), takes_null: true, found: Vec::new() };
    faults.look(&schema, value, "");
    if faults.found.is_empty() {
        faults.takes_null = false;
        faults.look(&schema, value, "");
    }
    let mut all = super::Errors::new();
    // Inside of unions reading has lost its place: then only the beginning of the two paths is the same.
    let root = |field: &str| field.split(['.', '[']).next().map(str::to_owned);
    let is_known = |found: &Vec<Error>| match first.field() {
        None => !found.is_empty(),
        Some(field) => found.iter().any(|fault| fault.field().and_then(root) == root(field)),
    };
    if !is_known(&faults.found) {
        all.push(first);
    }
    faults.found.into_iter().for_each(|fault| all.push(fault));
    match all.check() {
        Err(error) => error,
        Ok(()) => Error::internal("an input could not be read for no reason"),
    }
}

struct Faults<'s> {
    definitions: Option<&'s Map<String, Value>>,
    /// Null stands for a field that may be left out; not every reader agrees.
    takes_null: bool,
    found: Vec<Error>,
}

impl<'s> Faults<'s> {
    fn add(&mut self, error: Error, path: &str) {
        if self.found.len() < MAX_FAULTS {
            self.found.push(if path.is_empty() { error } else { error.at(path) });
        }
    }

    fn look(&mut self, schema: &'s Value, value: &Value, path: &str) {
        let is_absent = self.takes_null && value.is_null() && schema.get("default").is_some();
        if is_absent || self.found.len() >= MAX_FAULTS {
            return;
        }
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            if let Some(known) = VALUE_TYPES.iter().find(|known| known.name == name) {
                if let Err(error) = (known.check)(value) {
                    self.add(error, path);
                }
            } else if let Some(definition) = self.definitions.and_then(|definitions| definitions.get(name)) {
                self.look(definition, value, path);
            }
            return;
        }
        let forms = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
        match forms {
            Some(forms) => self.look_at_forms(forms, value, path),
            None => self.look_at_type(schema, value, path),
        }
        if let (Some(properties), Value::Object(object)) = (schema["properties"].as_object(), value) {
            self.look_inside(schema, properties, object, path);
        }
        if let (Some(rest), Value::Object(object)) =
            (schema.get("additionalProperties").filter(|r| r.is_object()), value)
        {
            let known = schema["properties"].as_object();
            for (key, inner) in object.iter().filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key))) {
                self.look(rest, inner, &below(path, key));
            }
        }
        if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
            for (number, inner) in values.iter().enumerate() {
                self.look(items, inner, &format!("{path}[{number}]"));
            }
        }
    }

    fn look_inside(
        &mut self,
        schema: &'s Value,
        known: &'s Map<String, Value>,
        object: &Map<String, Value>,
        path: &str,
    ) {
        for (key, inner) in object {
            match known.get(key) {
                Some(schema) => self.look(schema, inner, &below(path, key)),
                None if schema["additionalProperties"] == Value::Bool(false) => {
                    self.add(E::UnknownField.into(), &below(path, &shortened(key)));
                }
                None => {}
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for key in required.filter(|key| !object.contains_key(*key)) {
            self.add(E::FieldRequired.into(), &below(path, key));
        }
    }

    fn look_at_type(&mut self, schema: &Value, value: &Value, path: &str) {
        let one = schema["type"].as_str().map(|one| vec![one]);
        let several = || schema["type"].as_array().map(|all| all.iter().filter_map(Value::as_str).collect());
        if let Some(types) = one.or_else(several)
            && !types.iter().any(|name| is(value, name))
        {
            let message = format!("expected {}, found {}", types.join(" or "), kind(value));
            self.add(Error::new(E::InputInvalid).message(message), path);
            return;
        }
        let only = schema.get("const").map(std::slice::from_ref);
        if let Some(allowed) = only.or_else(|| schema["enum"].as_array().map(Vec::as_slice))
            && !allowed.contains(value)
        {
            self.add(Error::new(E::EnumUnknown).with("allowed", allowed), path);
        }
        match (schema["format"].as_str(), value) {
            (Some("uuid"), Value::String(text)) => {
                if let Err(error) = parse_uuid(text) {
                    self.add(error, path);
                }
            }
            (Some(format), Value::Number(number)) => {
                let bounds = bounds(format);
                let fits = |(least, most)| number.as_i128().is_some_and(|number| (least..=most).contains(&number));
                if let Some((least, most)) = bounds.filter(|bounds| !fits(*bounds)) {
                    let error = Error::new(E::ValueOutOfRange).with("min", least as f64).with("max", most as f64);
                    self.add(error, path);
                }
            }
            _ => {}
        }
    }

    fn look_at_forms(&mut self, forms: &'s [Value], value: &Value, path: &str) {
        if value.is_null() && forms.iter().any(|form| form["type"] == "null") {
            return;
        }
        if let [one] = forms.iter().filter(|form| form["type"] != "null").collect::<Vec<_>>()[..] {
            return self.look(one, value, path);
        }
        let words = |form: &Value| match (form.get("const"), form["enum"].as_array()) {
            (Some(word), _) => Some(vec![word.clone()]),
            (None, words) => words.cloned(),
        };
        if let Some(words) = forms.iter().map(words).collect::<Option<Vec<_>>>() {
            let allowed = words.concat();
            let error = match value {
                Value::String(_) if allowed.contains(value) => return,
                Value::String(_) => Error::new(E::EnumUnknown).with("allowed", allowed),
                _ => Error::new(E::InputInvalid).message(format!("expected string, found {}", kind(value))),
            };
            return self.add(error, path);
        }
        let tag = |form: &Value| form.pointer("/properties/type/const").cloned();
        if let (Some(tags), Value::Object(object)) = (forms.iter().map(tag).collect::<Option<Vec<_>>>(), value) {
            let at = below(path, "type");
            return match object.get("type") {
                None => self.add(E::FieldRequired.into(), &at),
                Some(word) => match tags.iter().position(|tag| tag == word) {
                    Some(number) => self.look(&forms[number], value, path),
                    None => self.add(Error::new(E::EnumUnknown).with("allowed", tags), &at),
                },
            };
        }
        // Of forms without a tag, the one whose first field is there is meant.
        let first = |form: &Value| form["required"][0].as_str().is_some_and(|key| value.get(key).is_some());
        let fits = |form: &&Value| match value {
            Value::Object(_) => first(form),
            _ => form["type"].as_str().is_some_and(|name| is(value, name)),
        };
        match forms.iter().find(fits) {
            Some(form) => self.look(form, value, path),
            None => self.add(Error::new(E::InputInvalid).message("this is none of the allowed forms"), path),
        }
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A key that somebody made up, so that the error stays readable.
fn shortened(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        name => kind(value) == name,
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn bounds(format: &str) -> Option<(i128, i128)> {
    Some(match format {
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" | "uint" => (0, u64::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" => (i64::MIN.into(), i64::MAX.into()),
        _ => return None,
    })
}
