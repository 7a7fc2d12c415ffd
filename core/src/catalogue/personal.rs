//! Which fields of which events are personal, by the marks in their schemas: taking such data out of an event, and reading an event
//! from which it was taken.

use super::{AGGREGATES, JOURNALS};
use crate::kernel::pii::{ERASED, KIND, MARKER, SUBJECT, is_redacted};
use crate::kernel::{Error, ErrorCode, Kind, Result, Subject};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::OnceLock;

/// The schemas of all event types.
struct Schemas {
    events: HashMap<String, Value>,
    states: HashMap<Kind, Value>,
    definitions: Map<String, Value>,
}

fn schemas() -> &'static Schemas {
    static KNOWN: OnceLock<Schemas> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let settings =
            SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/definitions".into());
        let mut generator = settings.into_generator();
        let of_aggregates = AGGREGATES.iter().map(|known| known.event_schema);
        let mut events = HashMap::new();
        for schema in of_aggregates.chain(JOURNALS.iter().map(|known| known.event_schema)) {
            let schema = schema(&mut generator);
            for variant in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
                if let Some(name) = variant.pointer("/properties/type/const").and_then(Value::as_str) {
                    events.insert(name.to_owned(), variant.clone());
                }
            }
        }
        let state =
            |known: &super::AggregateType, generator: &mut _| (known.kind, (known.schema)(generator).to_value());
        let states = AGGREGATES.iter().map(|known| state(known, &mut generator)).collect();
        Schemas { events, states, definitions: generator.take_definitions(true) }
    })
}

/// What is taken out of the data of an event.
struct Taken<'t> {
    whose: &'static str,
    id: String,
    fields: u64,
    /// Gets every text that is taken, with the kind of data that it was.
    seen: &'t mut dyn FnMut(&str, &str),
}

/// Puts markers in the place of the data of a subject, and tells how many fields that were. `seen` gets the texts with the kind of data
/// that each was. What is said of others beside it, such as of the other participants of a chat, stays.
///
/// In an event of the host's own every text is personal, to whichever contact it is about.
///
/// # Errors
/// `unknown_event_version` for an event of a type that this program does not know: it never guesses.
pub(crate) fn redact(name: &str, data: &mut Value, subject: Subject, seen: &mut dyn FnMut(&str, &str)) -> Result<u64> {
    let mut taken = Taken { whose: subject.kind.as_str(), id: subject.id.to_string(), fields: 0, seen };
    if name.starts_with("custom.") {
        if subject.kind == Kind::Contact {
            data.as_object_mut().into_iter().flatten().filter(|(key, _)| *key != "type").for_each(|(_, value)| {
                taken.texts(value);
            });
        }
        return Ok(taken.fields);
    }
    let known = schemas();
    let schema = known.events.get(name);
    let schema = schema.ok_or_else(|| Error::new(ErrorCode::UnknownEventVersion).with("type", name))?;
    taken.walk(data, schema);
    Ok(taken.fields)
}

/// Takes the data of a subject out of the state of an aggregate, as [`redact`] does of an event, and puts what an erased field reads as
/// in its place. What says of itself that it is of another contact stays, although it names the subject. Tells how many fields that were.
pub(crate) fn erase_from_state(
    kind: Kind,
    state: &mut Value,
    subject: Subject,
    seen: &mut dyn FnMut(&str, &str),
) -> u64 {
    let Some(schema) = schemas().states.get(&kind) else { return 0 };
    let id = subject.id.to_string();
    let whose = if kind == subject.kind { state.get("id") } else { state.get("contact_id") };
    if subject.kind == Kind::Contact && whose.and_then(Value::as_str).is_some_and(|whose| whose != id) {
        return 0;
    }
    let mut taken = Taken { whose: subject.kind.as_str(), id, fields: 0, seen };
    taken.walk(state, schema);
    let fields = taken.fields;
    if fields > 0 {
        refill(state, Some(schema));
    }
    fields
}

impl Taken<'_> {
    fn walk(&mut self, value: &mut Value, schema: &Value) {
        if is_redacted(value) || is_empty(value) || self.is_of_another(value) {
            return;
        }
        if let Some(subject) = schema.get(SUBJECT).and_then(Value::as_str) {
            if subject == self.whose {
                self.take(value, schema.get(KIND).and_then(Value::as_str).unwrap_or("free"));
            }
            return;
        }
        for part in parts(schema, value) {
            self.walk(value, part);
        }
        match value {
            Value::Object(object) => {
                let fields = schema.get("properties").and_then(Value::as_object);
                let others = schema.get("additionalProperties").filter(|others| others.is_object());
                for (name, inner) in object {
                    if let Some(schema) = fields.and_then(|fields| fields.get(name)).or(others) {
                        self.walk(inner, schema);
                    }
                }
            }
            Value::Array(values) => {
                let Some(items) = schema.get("items") else { return };
                values.iter_mut().for_each(|inner| self.walk(inner, items));
            }
            _ => {}
        }
    }

    /// Whether it says of itself that it is about somebody else of the same kind.
    fn is_of_another(&self, value: &Value) -> bool {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        text("type") == Some(self.whose) && text("id").is_some_and(|id| id != self.id)
    }

    fn take(&mut self, value: &mut Value, kind: &str) {
        each_text(value, &mut |text| (self.seen)(text, kind));
        self.fields += 1;
        *value = json!({ MARKER: kind });
    }

    /// Takes every text, wherever it is.
    fn texts(&mut self, value: &mut Value) {
        match value {
            Value::String(text) if !text.is_empty() => self.take(value, "free"),
            Value::Array(values) => values.iter_mut().for_each(|inner| self.texts(inner)),
            Value::Object(_) if is_redacted(value) => {}
            Value::Object(object) => object.values_mut().for_each(|inner| self.texts(inner)),
            _ => {}
        }
    }
}

/// Puts what an erased field reads as in the place of every marker: null, or where something is required the nearest to nothing.
pub(crate) fn restore(name: &str, data: &mut Value) {
    let known = schemas();
    match known.events.get(name) {
        Some(schema) => refill(data, Some(schema)),
        None => refill(data, None),
    }
}

fn refill(value: &mut Value, schema: Option<&Value>) {
    if is_redacted(value) {
        *value = schema.map_or(Value::Null, nothing);
        return;
    }
    let around: Vec<&Value> = schema.map(|schema| all_parts(schema, value)).unwrap_or_default();
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let of_field = around.iter().find_map(|schema| schema.get("properties")?.get(name));
                let others = || around.iter().find_map(|schema| schema.get("additionalProperties"));
                refill(inner, of_field.or_else(others).filter(|schema| schema.is_object()));
            }
        }
        Value::Array(values) => {
            let items = around.iter().find_map(|schema| schema.get("items"));
            values.iter_mut().for_each(|inner| refill(inner, items));
        }
        _ => {}
    }
}

/// What a value of this schema is when it is nothing.
fn nothing(schema: &Value) -> Value {
    if let Some(referred) = referred(schema) {
        return nothing(referred);
    }
    let union = ["anyOf", "oneOf"].into_iter().find_map(|union| schema.get(union)?.as_array());
    if union.is_some() || schema.get("enum").is_some() {
        return Value::Null;
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => json!(ERASED),
        Some("array") => json!([]),
        Some("object") => Value::Object(required(schema)),
        Some("integer" | "number") => json!(0),
        Some("boolean") => json!(false),
        _ => Value::Null,
    }
}

/// What an object of this schema cannot do without.
fn required(schema: &Value) -> Map<String, Value> {
    let names = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let filled = names.filter_map(|name| Some((name.to_owned(), nothing(schema.get("properties")?.get(name)?))));
    filled.collect()
}

fn referred(schema: &Value) -> Option<&'static Value> {
    let name = schema.get("$ref").and_then(Value::as_str)?.rsplit('/').next()?;
    schemas().definitions.get(name)
}

/// The schemas that a value has to satisfy beside what its own says: what that refers to, and of a union what the value may be.
fn parts<'s>(schema: &'s Value, value: &Value) -> Vec<&'s Value> {
    let mut found: Vec<&Value> = referred(schema).into_iter().collect();
    for union in ["oneOf", "anyOf", "allOf"] {
        let variants = schema.get(union).and_then(Value::as_array).into_iter().flatten();
        found.extend(variants.filter(|variant| may_be(value, variant)));
    }
    found
}

/// As [`parts`], with what those have in turn, the schema itself first.
fn all_parts<'s>(schema: &'s Value, value: &Value) -> Vec<&'s Value> {
    let mut found = vec![schema];
    let mut next = 0;
    while let Some(schema) = found.get(next) {
        found.extend(parts(schema, value));
        next += 1;
    }
    found
}

/// Whether the `type` of a value is not another one than a variant of a union asks for.
fn may_be(value: &Value, variant: &Value) -> bool {
    match (variant.pointer("/properties/type/const"), value.get("type")) {
        (Some(wanted), Some(given)) => wanted == given,
        _ => true,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn each_text(value: &Value, seen: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => seen(text),
        Value::Array(values) => values.iter().for_each(|inner| each_text(inner, seen)),
        Value::Object(object) => object.values().for_each(|inner| each_text(inner, seen)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::event_samples;
    use crate::engine::Event;

    const PEOPLE: [Kind; 3] = [Kind::Contact, Kind::User, Kind::Agent];

    /// The id that samples have everywhere.
    const SAMPLE: uuid::Uuid = uuid::Uuid::from_u128(0x0194f5e6_0000_7000_8000_000000000001);

    #[test]
    fn every_event_reads_without_the_data_of_people() {
        let mut failures = Vec::new();
        for sample in event_samples() {
            let mut data = serde_json::to_value(&sample.event).unwrap();
            for whose in PEOPLE {
                redact(sample.event_type, &mut data, Subject::new(whose, SAMPLE), &mut |_, _| {}).unwrap();
            }
            if let Err(error) = Event::decode(sample.kind, sample.event_type, sample.version, &data.to_string()) {
                failures.push(format!("{}: {error:?}\n{data}", sample.event_type));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    #[test]
    fn a_second_time_takes_nothing() {
        for sample in event_samples() {
            let mut data = serde_json::to_value(&sample.event).unwrap();
            redact(sample.event_type, &mut data, Subject::new(Kind::Contact, SAMPLE), &mut |_, _| {}).unwrap();
            let again =
                redact(sample.event_type, &mut data, Subject::new(Kind::Contact, SAMPLE), &mut |_, _| {}).unwrap();
            assert_eq!(again, 0, "{data}");
        }
    }

    #[test]
    fn what_is_said_of_others_stays() {
        let other = uuid::Uuid::from_u128(7);
        let participant = |id: uuid::Uuid| json!({"id": id, "type": "contact", "external_id": "5511987650001@c.us"});
        let mut data = json!({"type": "chat.created", "participants": [participant(SAMPLE), participant(other)]});
        let taken = redact("chat.created", &mut data, Subject::new(Kind::Contact, SAMPLE), &mut |_, _| {}).unwrap();
        assert_eq!((taken, &data["participants"][1]), (1, &participant(other)), "{data}");
        assert_eq!(data["participants"][0]["external_id"], json!({"$redacted": "phone"}));
    }

    #[test]
    fn texts_of_the_hosts_own_events_are_taken() {
        let mut data = json!({"type": "custom.visit", "page": "/ana", "n": 3, "deep": [{"who": "Ana"}]});
        let taken = redact("custom.visit", &mut data, Subject::new(Kind::Contact, SAMPLE), &mut |_, _| {}).unwrap();
        let marker = json!({"$redacted": "free"});
        assert_eq!(taken, 2);
        assert_eq!(data, json!({"type": "custom.visit", "page": marker, "n": 3, "deep": [{"who": marker}]}));
    }
}
