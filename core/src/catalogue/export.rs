//! The catalogue as serialisable data: what code generators, reference pages and coverage checks read.

use super::{AGGREGATES, EventSample, JOURNALS, event_samples, operations};
use crate::engine::{OperationKind, OperationScope};
use crate::infrastructure::saga::SagaDefinition;
use crate::kernel::shape::{INPUT_CODES, codes_of};
use crate::kernel::{ErrorCode, Kind};
use crate::storage::FieldKind;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The whole product as data.
#[derive(Debug, Serialize)]
pub struct Catalogue {
    pub version: &'static str,
    pub operations: Vec<OperationDoc>,
    pub events: Vec<EventDoc>,
    pub errors: Vec<ErrorDoc>,
    /// The codes that any call can raise; no operation lists them.
    pub errors_of_every_call: Vec<&'static str>,
    pub aggregates: Vec<AggregateDoc>,
    /// Named schemas that the others refer to by `#/definitions/<name>`, and those of what a host hands in otherwise.
    pub definitions: Map<String, Value>,
}

#[derive(Debug, Serialize)]
pub struct OperationDoc {
    pub name: &'static str,
    pub kind: OperationKind,
    pub permission: &'static str,
    pub scope: OperationScope,
    /// Markdown, from the doc comment.
    pub doc: String,
    pub input: Value,
    pub output: Value,
    pub errors: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
pub struct EventDoc {
    #[serde(rename = "type")]
    pub event_type: String,
    pub aggregate_kind: &'static str,
    pub schema_version: u16,
    pub doc: String,
    pub data: Value,
    /// The kinds of aggregates that it can be about, its own first.
    pub subjects: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
pub struct ErrorDoc {
    pub code: &'static str,
    pub kind: &'static str,
    pub message: &'static str,
}

#[derive(Debug, Serialize)]
pub struct AggregateDoc {
    pub kind: &'static str,
    pub collection: &'static str,
    /// The schema of its state.
    pub state: Value,
    pub filterable: Vec<String>,
    pub sortable: Vec<String>,
    pub fields: Vec<FieldDoc>,
}

#[derive(Debug, Serialize)]
pub struct FieldDoc {
    pub name: String,
    pub kind: FieldKind,
}

impl Catalogue {
    /// Gathers everything from the registered rooms; sorted, so that the same product gives the same bytes.
    pub fn build() -> Catalogue {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/definitions".into();
        settings.meta_schema = None;
        let mut generator = settings.into_generator();
        let mut operations: Vec<OperationDoc> =
            operations().map(|operation| operation_doc(operation, &mut generator)).collect();
        operations.sort_by_key(|operation| operation.name);
        generator.subschema_for::<SagaDefinition>();
        let samples = event_samples();
        let mut events = Vec::new();
        let mut aggregates = Vec::new();
        for aggregate in AGGREGATES {
            let schema = (aggregate.event_schema)(&mut generator);
            events.extend(event_docs(aggregate.kind, aggregate.event_types, &schema, &samples));
            aggregates.push(aggregate_doc(aggregate, &mut generator));
        }
        for journal in JOURNALS {
            let schema = (journal.event_schema)(&mut generator);
            events.extend(event_docs(journal.kind, journal.event_types, &schema, &samples));
        }
        events.sort_by(|a, b| a.event_type.cmp(&b.event_type));
        let mut errors: Vec<ErrorDoc> = ErrorCode::ALL
            .iter()
            .map(|code| ErrorDoc { code: code.as_str(), kind: code.kind().as_str(), message: code.message() })
            .collect();
        errors.sort_by_key(|error| error.code);
        let mut definitions: Vec<(String, Value)> = generator.take_definitions(true).into_iter().collect();
        definitions.sort_by(|a, b| a.0.cmp(&b.0));
        let definitions: Map<String, Value> = definitions.into_iter().collect();
        for operation in &mut operations {
            add_input_errors(operation, &definitions);
        }
        let mut errors_of_every_call: Vec<&'static str> =
            INPUT_CODES.iter().chain(EVERY_CALL).map(|code| code.as_str()).collect();
        errors_of_every_call.sort_unstable();
        Catalogue {
            version: env!("CARGO_PKG_VERSION"),
            operations,
            events,
            errors,
            errors_of_every_call,
            aggregates,
            definitions,
        }
    }
}

/// What can end any call beside an input that cannot be read: the actor, the store, the end of the engine.
const EVERY_CALL: &[ErrorCode] = &[
    ErrorCode::ActorSuspended,
    ErrorCode::ApiKeyExpired,
    ErrorCode::ApiKeyInvalid,
    ErrorCode::Cancelled,
    ErrorCode::Closed,
    ErrorCode::CorruptData,
    ErrorCode::Forked,
    ErrorCode::Internal,
    ErrorCode::NotAMember,
    ErrorCode::StoreLocked,
    ErrorCode::Unavailable,
    ErrorCode::UnknownEventVersion,
];

/// What filters raise.
const FILTER: &[ErrorCode] = &[
    ErrorCode::FilterFieldUnknown,
    ErrorCode::FilterOpUnsupported,
    ErrorCode::FilterTooDeep,
    ErrorCode::FilterTooLarge,
    ErrorCode::FilterValueMismatch,
    ErrorCode::FilterValueNotAllowed,
    ErrorCode::FilterValueNotList,
    ErrorCode::FilterValueRequired,
];

/// What the other parts of a page's request raise.
const PAGE: &[ErrorCode] =
    &[ErrorCode::CursorInvalid, ErrorCode::CursorMismatch, ErrorCode::LimitOutOfRange, ErrorCode::SortFieldUnknown];

/// The codes that follow from the types in an operation's input: an `Email` raises `email_invalid` wherever it is read.
fn add_input_errors(operation: &mut OperationDoc, definitions: &Map<String, Value>) {
    let mut names = BTreeSet::new();
    type_names(&operation.input, definitions, &mut names);
    for name in names {
        let codes = match name {
            "FilterExpression" => FILTER,
            "SortKey" => PAGE,
            name => codes_of(name),
        };
        operation.errors.extend(codes.iter().map(|code| code.as_str()));
    }
    operation.errors.sort_unstable();
    operation.errors.dedup();
}

fn type_names<'s>(schema: &'s Value, definitions: &'s Map<String, Value>, names: &mut BTreeSet<&'s str>) {
    match schema {
        Value::Object(object) => {
            let name = object.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
            if let Some(name) = name
                && names.insert(name)
                && let Some(definition) = definitions.get(name)
            {
                type_names(definition, definitions, names);
            }
            object.values().for_each(|inner| type_names(inner, definitions, names));
        }
        Value::Array(values) => values.iter().for_each(|inner| type_names(inner, definitions, names)),
        _ => {}
    }
}

fn operation_doc(operation: &crate::engine::Operation, generator: &mut SchemaGenerator) -> OperationDoc {
    let mut input = (operation.input)(generator).to_value();
    let doc = take_description(&mut input);
    let mut errors: Vec<&'static str> = operation.errors.iter().map(|code| code.as_str()).collect();
    if operation.kind == OperationKind::Command {
        errors.extend(["idempotency_key_reused", "version_conflict"]);
    }
    if operation.scope == OperationScope::Project {
        errors.push("project_not_found");
        if operation.kind == OperationKind::Command {
            errors.extend(["project_inactive", "project_suspended"]);
        }
    }
    errors.push("permission_denied");
    errors.sort_unstable();
    errors.dedup();
    OperationDoc {
        name: operation.name,
        kind: operation.kind,
        permission: operation.permission.as_str(),
        scope: operation.scope,
        doc,
        input,
        output: (operation.output)(generator).to_value(),
        errors,
    }
}

fn event_docs(kind: Kind, types: &[(&str, u16)], schema: &Schema, samples: &[EventSample]) -> Vec<EventDoc> {
    let variants = schema.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    let version = |name: &str| types.iter().find(|(known, _)| *known == name).map_or(1, |(_, v)| *v);
    variants
        .into_iter()
        .filter_map(|mut data| {
            let name = data.pointer("/properties/type/const").and_then(Value::as_str)?.to_owned();
            let doc = take_description(&mut data);
            Some(EventDoc {
                subjects: subjects(kind, samples.iter().filter(|sample| sample.event_type == name)),
                schema_version: version(&name),
                event_type: name,
                aggregate_kind: kind.as_str(),
                doc,
                data,
            })
        })
        .collect()
}

/// What events say of themselves, over all their variants.
fn subjects<'s>(own: Kind, samples: impl Iterator<Item = &'s EventSample>) -> Vec<&'static str> {
    let mut about = Vec::new();
    samples.for_each(|sample| sample.event.subjects(&mut about));
    let mut kinds = vec![own.as_str()];
    for kind in about.iter().map(|subject| subject.kind.as_str()) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn aggregate_doc(aggregate: &super::AggregateType, generator: &mut SchemaGenerator) -> AggregateDoc {
    let columns = aggregate.columns;
    let mut filterable: Vec<String> = columns.iter().filter(|c| c.filterable).map(|c| c.field.to_owned()).collect();
    filterable.extend(aggregate.sets.iter().map(|set| (*set).to_owned()));
    filterable.extend(aggregate.custom.map(|prefix| format!("{prefix}*")));
    let mut fields: Vec<FieldDoc> =
        columns.iter().map(|column| FieldDoc { name: column.field.to_owned(), kind: column.kind }).collect();
    fields.extend(aggregate.sets.iter().map(|set| FieldDoc { name: (*set).to_owned(), kind: FieldKind::Set }));
    AggregateDoc {
        kind: aggregate.kind.as_str(),
        collection: collection(aggregate.kind),
        state: (aggregate.schema)(generator).to_value(),
        filterable,
        sortable: columns.iter().filter(|c| c.sortable).map(|c| c.field.to_owned()).collect(),
        fields,
    }
}

/// The collection that an aggregate's operations are named after.
pub const fn collection(kind: Kind) -> &'static str {
    match kind {
        Kind::ProjectMember => "members",
        Kind::ContactEvent => "timeline",
        Kind::ContactList => "lists",
        Kind::Tracking => "tracking",
        Kind::MessageEnrichment => "enrichments",
        Kind::PipelineMembership => "pipeline_members",
        other => other.plural(),
    }
}

fn take_description(schema: &mut Value) -> String {
    match schema.as_object_mut().and_then(|object| object.remove("description")) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}
