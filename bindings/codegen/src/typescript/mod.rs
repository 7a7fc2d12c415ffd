//! The TypeScript client: interfaces for what is read, one method per operation. The templates print well-formed text
//! themselves, so that the result needs no formatter.

mod text;
mod types;

use crate::Files;
use crate::catalogue::Catalogue;
use crate::ir::{Field, Type};
use crate::model::{self, Model, unique};
use crate::reach::Use;
use crate::schema::pascal;
use crate::templates::{Templates, tidy};
use crate::text::{about, camel, comment, operation_doc};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use text::{arguments, signature, union};
use types::{Declaration, Member, Writer};

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
    let model = Model::new(catalogue, &[])?;
    let Model { definitions, reach, .. } = &model;
    let writer = Writer { definitions, reach };

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
                members: fields.iter().map(|field| writer.member(field, "t.", Use::Event)).collect(),
            },
        }
    };
    let events: Vec<Happening> = model.events.iter().map(happening).collect();
    let collections = model.collections.iter().map(|one| collection(catalogue, one, &writer)).collect::<Vec<_>>();
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

/// The codes of each kind as a union.
fn kinds(catalogue: &Catalogue) -> BTreeMap<&str, String> {
    let kinds: BTreeSet<&str> = catalogue.errors.iter().map(|error| error.kind.as_str()).collect();
    let codes = |kind: &str| -> Vec<String> {
        let of_kind = catalogue.errors.iter().filter(|error| error.kind == kind);
        of_kind.map(|error| format!("{:?}", error.code)).collect()
    };
    kinds.into_iter().map(|kind| (kind, union(&codes(kind), 2))).collect()
}

fn collection(catalogue: &Catalogue, collection: &model::Collection<'_>, writer: &Writer<'_>) -> Collection {
    let methods = collection.methods.iter();
    Collection {
        name: camel(collection.name),
        class: collection.class.clone(),
        doc: comment(&about(catalogue, collection.name), 0),
        system: collection.system,
        methods: methods.map(|one| method(catalogue, one, &collection.class, writer)).collect(),
    }
}

fn method(catalogue: &Catalogue, method: &model::Method<'_>, class: &str, writer: &Writer<'_>) -> Method {
    let model::Method { operation, output, lists, .. } = method;
    let (_, verb) = operation.name.split_once('.').unwrap_or_default();
    let name = camel(verb);
    let leads = |field: &&Field| field.required && (field.name == "id" || field.name == "ids");
    let lead = method.fields.iter().find(leads);
    let rest: Vec<&Field> =
        method.fields.iter().filter(|field| lead.is_none_or(|lead| lead.name != field.name)).collect();

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
    let command = method.command();
    let result = match output {
        Type::Page(item) if *lists => writer.annotation(item, "t."),
        output => writer.annotation(output, "t."),
    };
    let returns = if *lists { format!("Pager<{result}>") } else { format!("Promise<{result}>") };
    let options = if command { "options?: CommandOptions" } else { "options?: CallOptions" };
    let called: Vec<String> = parameters.iter().cloned().chain([options.to_owned()]).collect();
    let first = operation.doc.trim().split("\n\n").next().unwrap_or_default();
    Method {
        operation: operation.name.clone(),
        command,
        doc: comment(&operation_doc(catalogue, operation), 2),
        signature: signature(&name, &called, &returns, 2),
        command_doc: comment(&format!("{first}\n\nAs the method `{class}.{name}`."), 2),
        command_signature: signature(&name, &parameters, &format!("Command<{result}>"), 2),
        through: if *lists { "_list" } else { "_call" },
        result,
        value,
        input: (!rest.is_empty()).then(|| Declaration {
            doc: comment(&format!("What `{}` is given.", operation.name), 0),
            name: place,
            members: rest.iter().map(|field| writer.member(field, "t.", Use::Input)).collect::<Vec<Member>>(),
        }),
    }
}

/// Fields whose text reaches the engine as it is.
fn raw_fields(fields: &[&Field]) -> String {
    let raw = |field: &&&Field| match &field.kind {
        Type::Nullable(kind) => **kind == Type::Raw,
        kind => *kind == Type::Raw,
    };
    fields.iter().filter(raw).map(|field| format!(", {0}: rawJson(input.{0})", field.name)).collect()
}
