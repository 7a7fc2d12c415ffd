//! The types of events as data that other programs understand: JSON Schema and AsyncAPI.

use super::prune::RetentionClass;
use crate::catalogue::{Catalogue, EventDoc};
use crate::engine::{Query, Reader};
use crate::kernel::{Kind, Permission, Result};
use crate::operations;
use crate::storage::type_matches;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::OnceLock;

const DEFINITIONS: &str = "#/definitions/";
const SCHEMAS: &str = "#/components/schemas/";

/// The types of events that the library records, with their JSON Schemas. The host's own, `custom.*`, have none.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetEventCatalogue {
    /// Types (`contact.created`) or prefixes (`contact.*`); all unless told.
    #[serde(default)]
    pub types: Vec<String>,
    /// Adds an AsyncAPI 3.0 document of the same types.
    #[serde(default)]
    pub asyncapi: bool,
}

/// Types of events.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventCatalogue {
    pub events: Vec<EventTypeInfo>,
    /// What the schemas refer to as `#/definitions/<name>`.
    pub definitions: Map<String, Value>,
    /// A channel per kind of aggregate, a message per type and version.
    pub asyncapi: Option<Map<String, Value>>,
}

/// One type of event.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventTypeInfo {
    #[serde(rename = "type")]
    pub event_type: String,
    pub aggregate_kind: String,
    pub schema_version: u16,
    /// How long its events are kept.
    pub retention_class: RetentionClass,
    /// Markdown.
    pub doc: String,
    /// The kinds of aggregates that it can be about, its own first.
    pub subjects: Vec<String>,
    /// JSON Schema (2020-12) of `data`.
    pub schema: Map<String, Value>,
}

impl Query for GetEventCatalogue {
    const NAME: &'static str = "events.catalogue";
    const PERMISSION: Permission = Permission::Authenticated;
    type Output = EventCatalogue;

    async fn run(self, _read: &Reader<'_>) -> Result<EventCatalogue> {
        let catalogue = known();
        let is_wanted = |event: &&EventDoc| {
            self.types.is_empty() || self.types.iter().any(|pattern| type_matches(pattern, &event.event_type))
        };
        let events: Vec<&EventDoc> = catalogue.events.iter().filter(is_wanted).collect();
        let mut definitions = Map::new();
        events.iter().for_each(|event| refer(&event.data, catalogue, &mut definitions));
        let asyncapi = self.asyncapi.then(|| asyncapi(&events, &definitions, catalogue));
        Ok(EventCatalogue { events: events.into_iter().map(info).collect(), definitions, asyncapi })
    }
}

/// Built once: it is the same for the life of the process.
fn known() -> &'static Catalogue {
    static KNOWN: OnceLock<Catalogue> = OnceLock::new();
    KNOWN.get_or_init(Catalogue::build)
}

fn info(event: &EventDoc) -> EventTypeInfo {
    let schema = match &event.data {
        Value::Object(schema) => schema.clone(),
        _ => Map::new(),
    };
    EventTypeInfo {
        event_type: event.event_type.clone(),
        aggregate_kind: event.aggregate_kind.to_owned(),
        schema_version: event.schema_version,
        retention_class: Kind::parse(event.aggregate_kind)
            .map_or(RetentionClass::Business, |kind| RetentionClass::of_type(kind, &event.event_type)),
        doc: event.doc.clone(),
        subjects: event.subjects.iter().map(|kind| (*kind).to_owned()).collect(),
        schema,
    }
}

/// Adds every definition that a schema refers to, directly or by others.
fn refer(schema: &Value, catalogue: &Catalogue, found: &mut Map<String, Value>) {
    match schema {
        Value::Object(object) => {
            let name = object.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(DEFINITIONS));
            if let Some((name, definition)) = name.and_then(|name| catalogue.definitions.get_key_value(name))
                && found.insert(name.clone(), definition.clone()).is_none()
            {
                refer(definition, catalogue, found);
            }
            object.values().for_each(|inner| refer(inner, catalogue, found));
        }
        Value::Array(values) => values.iter().for_each(|inner| refer(inner, catalogue, found)),
        _ => {}
    }
}

fn asyncapi(events: &[&EventDoc], definitions: &Map<String, Value>, catalogue: &Catalogue) -> Map<String, Value> {
    let name = |event: &EventDoc| format!("{}.v{}", event.event_type, event.schema_version);
    let kinds: BTreeSet<&str> = events.iter().map(|event| event.aggregate_kind).collect();
    let channel = |kind: &str| {
        let of_kind = events.iter().filter(|event| event.aggregate_kind == kind);
        let messages: Map<String, Value> = of_kind
            .map(|event| (name(event), json!({"$ref": format!("#/components/messages/{}", name(event))})))
            .collect();
        json!({
            "address": format!("projects/{{project_id}}/{kind}"),
            "parameters": {"project_id": {"description": "The project whose log it is."}},
            "messages": messages,
        })
    };
    let message = |event: &EventDoc| {
        json!({
            "name": event.event_type,
            "summary": event.doc,
            "contentType": "application/json",
            "headers": {"$ref": format!("{SCHEMAS}Envelope")},
            "payload": {
                "schemaFormat": "application/schema+json;version=draft-2020-12",
                "schema": event.data,
            },
        })
    };
    let hear = |kind: &str| json!({"action": "receive", "channel": {"$ref": format!("#/channels/{kind}")}});
    let mut envelope = catalogue.definitions.get("EventRecord").cloned().unwrap_or_default();
    if let Some(fields) = envelope.get_mut("properties").and_then(Value::as_object_mut) {
        fields.remove("data");
    }
    let mut schemas = definitions.clone();
    refer(&envelope, catalogue, &mut schemas);
    schemas.insert("Envelope".to_owned(), envelope);
    let mut document = json!({
        "asyncapi": "3.0.0",
        "info": {"title": "Ventros events", "version": catalogue.version},
        "defaultContentType": "application/json",
        "channels": kinds.iter().map(|kind| ((*kind).to_owned(), channel(kind))).collect::<Map<_, _>>(),
        "operations": kinds.iter().map(|kind| (format!("hear_{kind}"), hear(kind))).collect::<Map<_, _>>(),
        "components": {
            "messages": events.iter().map(|event| (name(event), message(event))).collect::<Map<_, _>>(),
            "schemas": schemas,
        },
    });
    relocate(&mut document);
    match document {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

/// Lets references point to where AsyncAPI keeps schemas.
fn relocate(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(path)) = object.get_mut("$ref")
                && let Some(name) = path.strip_prefix(DEFINITIONS)
            {
                *path = format!("{SCHEMAS}{name}");
            }
            object.values_mut().for_each(relocate);
        }
        Value::Array(values) => values.iter_mut().for_each(relocate),
        _ => {}
    }
}

operations![queries: GetEventCatalogue];
