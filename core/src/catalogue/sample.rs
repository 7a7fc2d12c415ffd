//! One or more examples of every event, made from the schemas of the catalogue: with all optional fields, and between them with
//! every variant of every union. They are what golden files and the subjects of the catalogue are taken from.

use super::{AGGREGATES, Event, JOURNALS};
use crate::kernel::Kind;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// An example of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSample {
    pub event_type: &'static str,
    pub version: u16,
    /// The aggregate whose event it is.
    pub kind: Kind,
    pub event: Event,
    /// Its fields that may be missing, as in events of earlier versions.
    pub optional: Vec<String>,
}

const ID: &str = "0194f5e6-0000-7000-8000-000000000001";

/// Examples of all events, by type.
///
/// # Panics
/// When an event cannot be read from what its own schema allows: then one of the two is wrong.
pub fn event_samples() -> Vec<EventSample> {
    let mut generator =
        SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/definitions".into()).into_generator();
    let mut schemas = Vec::new();
    let of_aggregates = AGGREGATES.iter().map(|known| (known.kind, known.event_types, known.event_schema));
    let of_journals = JOURNALS.iter().map(|known| (known.kind, known.event_types, known.event_schema));
    for (kind, types, schema) in of_aggregates.chain(of_journals) {
        let schema = schema(&mut generator);
        let variants = schema.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
        schemas.extend(variants.into_iter().map(|variant| (kind, types, variant)));
    }
    let writer = Writer { definitions: generator.take_definitions(true) };
    let (mut samples, mut failures) = (Vec::new(), Vec::new());
    for (kind, types, schema) in schemas {
        let name = schema.pointer("/properties/type/const").and_then(Value::as_str).unwrap_or_default();
        let Some((event_type, version)) = types.iter().find(|(known, _)| *known == name) else {
            continue;
        };
        for round in 0..writer.rounds(&schema, &mut Vec::new()) {
            let data = writer.write(&schema, "", round, &mut Vec::new());
            match Event::decode(kind, event_type, *version, &data.to_string()) {
                Ok(event) => {
                    let optional = writer.optional(&schema);
                    samples.push(EventSample { event_type, version: *version, kind, event, optional });
                }
                Err(error) => failures.push(format!("{event_type}: {error}\n{data}")),
            }
        }
    }
    assert!(failures.is_empty(), "events cannot be read from what their schemas allow:\n{}", failures.join("\n"));
    samples.sort_by_key(|sample| sample.event_type);
    samples
}

struct Writer {
    definitions: Map<String, Value>,
}

impl Writer {
    /// The schema that this one refers to, in addition to what it says itself.
    fn referred<'s>(&'s self, schema: &'s Value) -> Option<(&'s str, &'s Value)> {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next())?;
        Some((name, self.definitions.get(name)?))
    }

    /// How many examples show every variant of every union at least once. `within` are the schemas around this one.
    fn rounds<'s>(&'s self, schema: &'s Value, within: &mut Vec<&'s str>) -> usize {
        let mut most = tagged(schema).map_or(1, <[Value]>::len);
        for part in parts(schema) {
            most = most.max(self.rounds(part, within));
        }
        if let Some((name, referred)) = self.referred(schema).filter(|(name, _)| !within.contains(name)) {
            within.push(name);
            most = most.max(self.rounds(referred, within));
            within.pop();
        }
        most
    }

    /// Fields that the schema does not require.
    fn optional(&self, schema: &Value) -> Vec<String> {
        let all = || std::iter::once(schema).chain(self.referred(schema).map(|(_, referred)| referred));
        let listed = |schema: &Value| schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let required: Vec<Value> = all().flat_map(listed).collect();
        let fields = all().filter_map(|schema| schema.get("properties")?.as_object()).flat_map(Map::keys);
        fields.filter(|name| !required.iter().any(|needed| needed == name.as_str())).cloned().collect()
    }

    fn write<'s>(&'s self, schema: &'s Value, name: &str, round: usize, within: &mut Vec<&'s str>) -> Value {
        if let Some((definition, referred)) = self.referred(schema) {
            if within.contains(&definition) {
                return Value::Null;
            }
            within.push(definition);
            let mut value = self.write(referred, name, round, within);
            within.pop();
            if let (Value::Object(all), Value::Object(own)) = (&mut value, self.object(schema, round, within)) {
                all.extend(own);
            }
            return value;
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(value) = schema.get("enum").and_then(Value::as_array).and_then(|all| all.first()) {
            return value.clone();
        }
        for union in ["oneOf", "anyOf"] {
            let Some(variants) = schema.get(union).and_then(Value::as_array) else { continue };
            let variants: Vec<&Value> = variants.iter().filter(|variant| !is_null(variant)).collect();
            let place = if tagged(schema).is_some() { round % variants.len().max(1) } else { 0 };
            return variants.get(place).map_or(Value::Null, |variant| self.write(variant, name, round, within));
        }
        match kind_of(schema) {
            Some("object") => self.object(schema, round, within),
            Some("array") => {
                let items = schema.get("items").map(|item| self.write(item, name, round, within));
                Value::Array(items.into_iter().collect())
            }
            Some("string") => text(schema, name),
            Some("integer") => json!(schema.get("minimum").and_then(Value::as_i64).unwrap_or(1).max(1)),
            Some("number") => json!(0.5),
            Some("boolean") => json!(true),
            _ => json!("anything"),
        }
    }

    fn object<'s>(&'s self, schema: &'s Value, round: usize, within: &mut Vec<&'s str>) -> Value {
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let mut object: Map<String, Value> =
            fields.map(|(name, field)| (name.clone(), self.write(field, name, round, within))).collect();
        match schema.get("additionalProperties") {
            Some(Value::Bool(true)) => drop(object.insert("key".to_owned(), json!("anything"))),
            Some(values @ Value::Object(_)) => {
                object.insert("key".to_owned(), self.write(values, "key", round, within));
            }
            _ => {}
        }
        Value::Object(object)
    }
}

/// The variants of a union whose values are told apart by their `type`.
fn tagged(schema: &Value) -> Option<&[Value]> {
    let variants = schema.get("oneOf").and_then(Value::as_array)?;
    variants.first()?.pointer("/properties/type/const").map(|_| variants.as_slice())
}

/// The schemas that a value is made of.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let listed = ["oneOf", "anyOf"].into_iter().filter_map(|union| schema.get(union)?.as_array()).flatten();
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let others = ["items", "additionalProperties"].into_iter().filter_map(|name| schema.get(name));
    listed.chain(fields).chain(others).filter(|part| part.is_object())
}

fn is_null(schema: &Value) -> bool {
    kind_of(schema) == Some("null")
}

/// The type of a value; of one that may be null, the other.
fn kind_of(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    }
}

fn text(schema: &Value, name: &str) -> Value {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    let pattern = schema.get("pattern").and_then(Value::as_str).unwrap_or_default();
    json!(match format {
        "uuid" => ID,
        "date-time" => "2025-01-06T09:00:00.000000Z",
        "date" => "2025-01-06",
        "e164" => "+5511999998888",
        "email" => "ana@example.com",
        "uri" => "https://example.com/a",
        "color" => "#FF6600",
        "bcp47" => "pt",
        "iana-timezone" => "America/Sao_Paulo",
        "iso-3166-1-alpha-2" => "BR",
        "iso-4217" => "BRL",
        _ if pattern.contains("24:00") => "09:00",
        _ if name == "birthday" => "1990-05-17",
        _ => "text",
    })
}
