//! The TypeScript client: interfaces for what is read, one method per operation. The templates print well-formed text
//! themselves, so that the result needs no formatter.

pub(crate) mod text;
pub(crate) mod types;

use crate::Files;
use crate::catalogue::{Catalogue, Operation};
use crate::ir::{Field, Reader, Type, Unsupported};
use crate::schema::pascal;
use crate::templates::{Templates, tidy};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use text::{arguments, camel, comment, signature, union};
use types::{Declaration, Member, Reach, Writer};

pub const FOLDER: &str = "bindings/node/src/generated";

const TEMPLATES: &[(&str, &str)] = &[
    ("types", include_str!("../../templates/typescript/types.ts.j2")),
    ("inputs", include_str!("../../templates/typescript/inputs.ts.j2")),
    ("events", include_str!("../../templates/typescript/events.ts.j2")),
    ("errors", include_str!("../../templates/typescript/errors.ts.j2")),
    ("client", include_str!("../../templates/typescript/client.ts.j2")),
    ("commands", include_str!("../../templates/typescript/commands.ts.j2")),
];

/// An event with the interface of its data.
#[derive(Serialize)]
struct Happening {
    tag: String,
    /// The event with its envelope.
    record: String,
    data: Declaration,
}

#[derive(Serialize)]
struct Collection {
    name: String,
    class: String,
    doc: String,
    system: bool,
    methods: Vec<Method>,
}

#[derive(Serialize)]
struct Method {
    operation: String,
    command: bool,
    doc: String,
    /// The first lines, up to the opening brace.
    signature: String,
    /// The same for the function that makes a command for `transact`.
    command_doc: String,
    command_signature: String,
    /// `_call` or `_list`
    through: &'static str,
    result: String,
    /// The expression that makes the input.
    value: String,
    input: Option<Declaration>,
}

/// All generated TypeScript modules.
pub fn files(catalogue: &Catalogue) -> Result<Files, Box<dyn Error>> {
    Ok(render(catalogue)?.into_iter().map(|(name, text)| (format!("{FOLDER}/{name}"), text)).collect())
}

/// The modules by file name.
pub fn render(catalogue: &Catalogue) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut reader = Reader::new(&catalogue.definitions).map_err(refused)?;
    let mut given = Vec::new();
    let mut returned = Vec::new();
    let mut operations = Vec::new();
    for operation in &catalogue.operations {
        let place = pascal(&operation.name);
        let fields = reader.fields(&operation.input, &format!("{place}Input")).map_err(refused)?;
        let output = reader.kind(&operation.output, &format!("{place}Output")).map_err(refused)?;
        given.extend(fields.iter().map(|field| field.kind.clone()));
        returned.push(output.clone());
        operations.push((operation, fields, output));
    }
    let mut heard = Vec::new();
    let mut events = Vec::new();
    for event in &catalogue.events {
        let fields = reader.fields(&event.data, &pascal(&event.name)).map_err(refused)?;
        heard.extend(fields.iter().map(|field| field.kind.clone()));
        events.push((event, fields));
    }
    let definitions = &reader.definitions;
    let shared = catalogue.definitions.values().filter_map(|schema| schema.get("x-id")?.as_str());
    let reach = Reach::new(definitions, &given, &returned, &heard, shared);
    let writer = Writer { definitions, reach: &reach };

    let happening = |(event, fields): &(&crate::catalogue::Event, Vec<Field>)| {
        let about = format!("{}\n\nOf {}, version {}.", event.doc.trim(), event.aggregate_kind, event.schema_version);
        let (name, id) = (pascal(&event.name), pascal(&event.aggregate_kind) + "Id");
        let id = if reach.ids.contains(&id) { format!("t.{id}") } else { "string".to_owned() };
        let parts = [format!("{:?}", event.name), format!("{:?}", event.aggregate_kind), id, name.clone()];
        Happening {
            tag: event.name.clone(),
            record: arguments("Recorded", &parts, event.name.len() + 6),
            data: Declaration {
                name,
                doc: comment(&about, 0),
                members: fields.iter().map(|field| writer.member(field, "t.", types::Use::Event)).collect(),
            },
        }
    };
    let events: Vec<Happening> = events.iter().map(happening).collect();
    let collections = collections(catalogue, &operations, &writer)?;
    let declared = writer.declarations();
    let inputs = collections.iter().flat_map(|c| &c.methods).filter_map(|m| m.input.as_ref()).map(|i| &i.name);
    unique(declared.names().chain(&reach.ids).chain(inputs))?;

    let templates = Templates::new(TEMPLATES)?;
    let write = |name: &str, mut values: Value, imports: &[(&str, &str)]| -> Result<(String, String), Box<dyn Error>> {
        values["imports"] = Value::Null;
        let body = templates.write(name, values.clone())?;
        let used = imports.iter().filter(|(mark, _)| body.contains(mark)).map(|(_, import)| *import);
        values["imports"] = json!(used.collect::<Vec<_>>());
        Ok((format!("{name}.ts"), tidy(&templates.write(name, values)?)))
    };
    let system: Vec<&Collection> = collections.iter().filter(|collection| collection.system).collect();
    let project: Vec<&Collection> = collections.iter().filter(|collection| !collection.system).collect();
    let page = ("Page<", "import type { Page } from \"../wire.js\";");
    let raw_type = ("Raw", "import type { Raw } from \"../wire.js\";");
    let raw = ("rawJson(", "import { rawJson } from \"../wire.js\";");
    let t = ("t.", "import type * as t from \"./types.js\";");
    Ok(vec![
        write("types", json!({"ids": reach.ids, "declared": declared}), &[page])?,
        write("inputs", json!({"collections": collections}), &[raw_type, t])?,
        write("events", json!({"events": events}), &[t])?,
        write("errors", json!({"kinds": kinds(catalogue)}), &[])?,
        write("client", json!({"system": system, "project": project}), &[page, raw, t])?,
        write("commands", json!({"collections": collections}), &[page, raw, t])?,
    ])
}

pub(crate) fn refused(error: Unsupported) -> Box<dyn Error> {
    error.0.into()
}

pub(crate) fn unique<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), Box<dyn Error>> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("two types are named {name}").into());
        }
    }
    Ok(())
}

/// The codes of each kind as a union.
fn kinds(catalogue: &Catalogue) -> BTreeMap<&str, String> {
    let kinds: BTreeSet<&str> = catalogue.errors.iter().map(|error| error.kind.as_str()).collect();
    let codes = |kind: &str| -> Vec<String> {
        let of_kind = catalogue.errors.iter().filter(|error| error.kind == kind);
        of_kind.map(|error| format!("{:?}", error.code)).collect()
    };
    kinds.into_iter().map(|kind| (kind, union(&codes(kind), 2))).collect()
}

fn collections(
    catalogue: &Catalogue,
    operations: &[(&Operation, Vec<Field>, Type)],
    writer: &Writer<'_>,
) -> Result<Vec<Collection>, Box<dyn Error>> {
    let mut collections: BTreeMap<(bool, &str), Collection> = BTreeMap::new();
    for (operation, fields, output) in operations {
        let (name, verb) = operation.name.split_once('.').ok_or_else(|| operation.name.clone())?;
        let system = operation.scope == "system";
        let class = if system { format!("System{}", pascal(name)) } else { pascal(name) };
        let method = method(catalogue, operation, &class, &camel(verb), fields, output, writer)?;
        let entry = collections.entry((system, name)).or_insert_with(|| Collection {
            name: camel(name),
            class,
            doc: comment(&about(catalogue, name), 0),
            system,
            methods: Vec::new(),
        });
        entry.methods.push(method);
    }
    Ok(collections.into_values().collect())
}

/// What a collection is, and what its lists can be asked for.
pub(crate) fn about(catalogue: &Catalogue, name: &str) -> String {
    let mut doc = format!("The collection `{name}`.");
    let quoted = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if let Some(aggregate) = catalogue.aggregates.iter().find(|aggregate| aggregate.collection == name) {
        doc += &format!("\n\nFilterable: {}.", quoted(&aggregate.filterable));
        doc += &format!("\n\nSortable: {}.", quoted(&aggregate.sortable));
    }
    doc
}

fn method(
    catalogue: &Catalogue,
    operation: &Operation,
    class: &str,
    name: &str,
    fields: &[Field],
    output: &Type,
    writer: &Writer<'_>,
) -> Result<Method, Box<dyn Error>> {
    let lists = matches!(output, Type::Page(_)) && fields.iter().any(|field| field.name == "cursor");
    let leads = |field: &&Field| field.required && (field.name == "id" || field.name == "ids");
    let lead = fields.iter().find(leads);
    let rest: Vec<&Field> = fields
        .iter()
        .filter(|field| lead.is_none_or(|lead| lead.name != field.name) && !(lists && field.name == "cursor"))
        .collect();
    if let Some(field) = rest.iter().find(|field| ["idempotency_key", "expected_version"].contains(&&*field.name)) {
        return Err(format!("{}: {} is an option of every call", operation.name, field.name).into());
    }

    let place = pascal(&operation.name) + "Input";
    let mut parameters: Vec<String> =
        lead.iter().map(|lead| format!("{}: {}", lead.name, writer.accepted(&lead.kind, "t."))).collect();
    if !rest.is_empty() {
        let optional = rest.iter().all(|field| !field.required);
        parameters.push(format!("input: i.{place}{}", if optional { " = {}" } else { "" }));
    }
    let value = match (rest.is_empty(), lead, raw_fields(&rest)) {
        (true, None, _) => "{}".to_owned(),
        (true, Some(lead), _) => format!("{{ {} }}", lead.name),
        (false, None, raw) if raw.is_empty() => "input".to_owned(),
        (false, lead, raw) => {
            format!("{{ ...input{}{raw} }}", lead.map_or(String::new(), |id| format!(", {}", id.name)))
        }
    };
    let command = operation.kind == "command";
    let result = match output {
        Type::Page(item) if lists => writer.annotation(item, "t."),
        output => writer.annotation(output, "t."),
    };
    let returns = if lists { format!("Pager<{result}>") } else { format!("Promise<{result}>") };
    let options = if command { "options?: CommandOptions" } else { "options?: CallOptions" };
    let called: Vec<String> = parameters.iter().cloned().chain([options.to_owned()]).collect();
    let first = operation.doc.trim().split("\n\n").next().unwrap_or_default();
    Ok(Method {
        operation: operation.name.clone(),
        command,
        doc: comment(&operation_doc(catalogue, operation), 2),
        signature: signature(name, &called, &returns, 2),
        command_doc: comment(&format!("{first}\n\nAs the method `{class}.{name}`."), 2),
        command_signature: signature(name, &parameters, &format!("Command<{result}>"), 2),
        through: if lists { "_list" } else { "_call" },
        result,
        value,
        input: (!rest.is_empty()).then(|| Declaration {
            doc: comment(&format!("What `{}` is given.", operation.name), 0),
            name: place,
            members: rest.iter().map(|field| writer.member(field, "t.", types::Use::Input)).collect::<Vec<Member>>(),
        }),
    })
}

/// Fields whose text reaches the engine as it is.
fn raw_fields(fields: &[&Field]) -> String {
    let raw = |field: &&&Field| match &field.kind {
        Type::Nullable(kind) => **kind == Type::Raw,
        kind => *kind == Type::Raw,
    };
    fields.iter().filter(raw).map(|field| format!(", {0}: rawJson(input.{0})", field.name)).collect()
}

pub(crate) fn operation_doc(catalogue: &Catalogue, operation: &Operation) -> String {
    let mut doc = operation.doc.trim().to_owned();
    let permission = operation.permission.as_deref().map_or("none".to_owned(), |name| format!("`{name}`"));
    doc += &format!("\n\nPermission: {permission}.");
    let quoted = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if !operation.events.is_empty() {
        doc += &format!("\n\nEvents: {}.", quoted(operation.events.iter().map(String::as_str).collect()));
    }
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for error in catalogue.errors.iter().filter(|error| operation.errors.contains(&error.code)) {
        kinds.entry(&error.kind).or_default().push(&error.code);
    }
    doc += "\n";
    for (kind, codes) in kinds {
        let class = if kind == "timeout" { "OperationTimeoutError".to_owned() } else { pascal(kind) + "Error" };
        doc += &format!("\n@throws {class}: {}.", quoted(codes));
    }
    doc
}
