//! The reference pages: what each operation takes, gives, allows and refuses; all events; all error codes.

use crate::Files;
use crate::catalogue::{Catalogue, Operation};
use crate::ir::{Definition, Field, Reader, Shape, Type, Unsupported};
use crate::schema::pascal;
use crate::templates::{Templates, tidy};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

pub const FOLDER: &str = "docs/reference";

const TEMPLATES: &[(&str, &str)] = &[
    ("index", include_str!("../templates/reference/index.md.j2")),
    ("collection", include_str!("../templates/reference/collection.md.j2")),
    ("events", include_str!("../templates/reference/events.md.j2")),
    ("errors", include_str!("../templates/reference/errors.md.j2")),
    ("types", include_str!("../templates/reference/types.md.j2")),
];

#[derive(Serialize)]
struct Page {
    name: String,
    filterable: Vec<String>,
    sortable: Vec<String>,
    operations: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    kind: String,
    scope: String,
    permission: String,
    doc: String,
    input: Vec<Row>,
    output: String,
    errors: Vec<String>,
    events: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    kind: String,
    required: bool,
    doc: String,
}

#[derive(Serialize)]
struct Happening {
    name: String,
    doc: String,
    aggregate: String,
    version: u32,
    subjects: Vec<String>,
    data: Vec<Row>,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    doc: String,
    fields: Vec<Row>,
    choices: Vec<(String, String)>,
    cases: Vec<(String, String, Vec<Row>)>,
    alias: Option<String>,
}

/// All pages by path.
pub fn files(catalogue: &Catalogue) -> Result<Files, Box<dyn Error>> {
    let mut reader = Reader::new(&catalogue.definitions).map_err(refused)?;
    let mut pages: BTreeMap<String, Page> = BTreeMap::new();
    for operation in &catalogue.operations {
        let collection = operation.name.split('.').next().unwrap_or_default().to_owned();
        let entry = entry(operation, &mut reader).map_err(refused)?;
        let aggregate = catalogue.aggregates.iter().find(|aggregate| aggregate.collection == collection);
        let page = pages.entry(collection.clone()).or_insert_with(|| Page {
            name: collection,
            filterable: aggregate.map(|a| a.filterable.clone()).unwrap_or_default(),
            sortable: aggregate.map(|a| a.sortable.clone()).unwrap_or_default(),
            operations: Vec::new(),
        });
        page.operations.push(entry);
    }
    let mut events = Vec::new();
    for event in &catalogue.events {
        let fields = reader.fields(&event.data, &pascal(&event.name)).map_err(refused)?;
        events.push(Happening {
            name: event.name.clone(),
            doc: event.doc.trim().to_owned(),
            aggregate: event.aggregate_kind.clone(),
            version: event.schema_version,
            subjects: event.subjects.clone(),
            data: rows(&fields),
        });
    }
    let types: Vec<Shown> = reader.definitions.iter().map(|(name, definition)| shown(name, definition)).collect();
    let kinds: BTreeSet<&str> = catalogue.errors.iter().map(|error| error.kind.as_str()).collect();
    let errors: Vec<(&str, Vec<(&str, &str)>)> = kinds
        .into_iter()
        .map(|kind| {
            let of_kind = catalogue.errors.iter().filter(|error| error.kind == kind);
            (kind, of_kind.map(|error| (error.code.as_str(), error.message.as_str())).collect())
        })
        .collect();

    let templates = Templates::new(TEMPLATES)?;
    let write = |name: &str, values: Value| templates.write(name, values);
    let mut files = Files::new();
    let mut add = |name: &str, text: String| files.insert(format!("{FOLDER}/{name}.md"), tidy(&text));
    for page in pages.values() {
        add(&page.name, write("collection", json!({"page": page}))?);
    }
    let names: Vec<(&String, usize)> = pages.values().map(|page| (&page.name, page.operations.len())).collect();
    add("README", write("index", json!({"pages": names, "version": catalogue.version}))?);
    add("event_types", write("events", json!({"events": events}))?);
    add("errors", write("errors", json!({"errors": errors, "everywhere": catalogue.errors_of_every_call}))?);
    add("types", write("types", json!({"types": types}))?);
    Ok(files)
}

fn refused(error: Unsupported) -> Box<dyn Error> {
    error.0.into()
}

fn entry(operation: &Operation, reader: &mut Reader<'_>) -> Result<Entry, Unsupported> {
    let place = pascal(&operation.name);
    Ok(Entry {
        name: operation.name.clone(),
        kind: operation.kind.clone(),
        scope: operation.scope.clone(),
        permission: operation.permission.clone().unwrap_or_else(|| "none".to_owned()),
        doc: operation.doc.trim().to_owned(),
        input: rows(&reader.fields(&operation.input, &format!("{place}Input"))?),
        output: shown_type(&reader.kind(&operation.output, &format!("{place}Output"))?),
        errors: operation.errors.clone(),
        events: operation.events.clone(),
    })
}

fn rows(fields: &[Field]) -> Vec<Row> {
    let row = |field: &Field| Row {
        name: field.name.clone(),
        kind: shown_type(&field.kind),
        required: field.required && !matches!(field.kind, Type::Nullable(_)),
        doc: cell(&field.doc),
    };
    fields.iter().map(row).collect()
}

fn shown(name: &str, Definition { doc, shape }: &Definition) -> Shown {
    let mut shown =
        Shown { name: pascal(name), doc: doc.clone(), fields: vec![], choices: vec![], cases: vec![], alias: None };
    match shape {
        Shape::Record(fields) => shown.fields = rows(fields),
        Shape::Choice(texts) => shown.choices = texts.iter().map(|(text, doc)| (text.clone(), cell(doc))).collect(),
        Shape::Union(cases) | Shape::Forms(cases) => {
            shown.cases = cases.iter().map(|case| (case.tag.clone(), case.doc.clone(), rows(&case.fields))).collect();
        }
        Shape::Alias(kind) => shown.alias = Some(shown_type(kind)),
    }
    shown
}

/// A type as a reader of the page sees it, with a link to its own entry.
fn shown_type(kind: &Type) -> String {
    match kind {
        Type::Json => "any JSON".into(),
        Type::Raw => "JSON, or its text".into(),
        Type::Null => "nothing".into(),
        Type::Boolean => "boolean".into(),
        Type::Integer => "integer".into(),
        Type::Number => "number".into(),
        Type::Text => "text".into(),
        Type::Timestamp => "instant".into(),
        Type::Date => "date".into(),
        Type::Id(name) => name.clone(),
        Type::List(item) => format!("list of {}", shown_type(item)),
        Type::Map(value) => format!("map of text to {}", shown_type(value)),
        Type::Nullable(kind) => format!("{}, or null", shown_type(kind)),
        Type::Named(name) | Type::Form(name) => {
            format!("[{0}](types.md#{1})", pascal(name), pascal(name).to_lowercase())
        }
        Type::Page(item) => format!("page of {}", shown_type(item)),
        Type::Either(kinds) => kinds.iter().map(shown_type).collect::<Vec<_>>().join(" or "),
    }
}

/// Text for one cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}
