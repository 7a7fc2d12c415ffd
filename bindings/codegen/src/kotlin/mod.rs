//! The Kotlin client: data classes for what crosses, one suspending method per operation. The templates print well-formed
//! text themselves, so that the result needs no formatter.

mod text;
mod types;

use crate::Files;
use crate::catalogue::{Catalogue, ErrorCode};
use crate::ir::{Field, Type};
use crate::model::{self, Model};
use crate::reach::Use;
use crate::schema::pascal;
use crate::templates::{Templates, tidy};
use crate::text::{about, operation_doc};
use serde::Serialize;
use serde_json::json;
use std::error::Error;
use text::{call, comment, constant, literal, name};
use types::{Member, Writer};

pub const FOLDER: &str = "bindings/uniffi/kotlin/generated";

const TEMPLATES: &[(&str, &str)] = &[
    ("class", include_str!("../../templates/kotlin/class.kt.j2")),
    ("Types", include_str!("../../templates/kotlin/types.kt.j2")),
    ("Events", include_str!("../../templates/kotlin/events.kt.j2")),
    ("ErrorCode", include_str!("../../templates/kotlin/errors.kt.j2")),
    ("Commands", include_str!("../../templates/kotlin/commands.kt.j2")),
    ("Client", include_str!("../../templates/kotlin/client.kt.j2")),
];

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
    /// The class of the command.
    class: String,
    doc: String,
    class_doc: String,
    /// Up to the equals sign.
    signature: String,
    body: String,
    result: String,
    members: Vec<Member>,
    /// How the result is read from `json`.
    read: String,
}

#[derive(Serialize)]
struct Happening {
    tag: String,
    name: String,
    doc: String,
    members: Vec<Member>,
}

/// All generated Kotlin files.
pub fn files(catalogue: &Catalogue) -> Result<Files, Box<dyn Error>> {
    Ok(render(catalogue)?.into_iter().map(|(name, text)| (format!("{FOLDER}/{name}"), text)).collect())
}

/// The files by name.
pub fn render(catalogue: &Catalogue) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let model = Model::new(catalogue, &["ActorRef"])?;
    let writer = Writer(&model);
    let members = |fields: &[Field], usage| -> Result<Vec<Member>, String> {
        fields.iter().map(|field| writer.member(field, usage)).collect()
    };
    let mut events = Vec::new();
    for (event, fields) in &model.events {
        let about = format!("{}\n\nOf {}, version {}.", event.doc.trim(), event.aggregate_kind, event.schema_version);
        events.push(Happening {
            tag: literal(&event.name),
            name: pascal(&event.name),
            doc: comment(&about, 0),
            members: members(fields, Use::Event)?,
        });
    }
    let mut collections = Vec::new();
    for collection in &model.collections {
        let methods = collection.methods.iter();
        let methods = methods
            .map(|one| method(catalogue, one, &collection.class, &writer, members(&one.parameters(), Use::Input)?));
        collections.push(Collection {
            name: name(collection.name),
            class: collection.class.clone(),
            doc: comment(&about(catalogue, collection.name), 0),
            system: collection.system,
            methods: methods.collect::<Result<_, String>>()?,
        });
    }
    let code = |error: &ErrorCode| (comment(&error.message, 4), constant(&error.code), literal(&error.code));
    let codes: Vec<_> = catalogue.errors.iter().map(code).collect();
    let templates = Templates::new(TEMPLATES)?;
    let values = json!({
        "ids": model.reach.ids,
        "declared": writer.declarations()?,
        "events": events,
        "codes": codes,
        "collections": collections,
    });
    let write = |(name, _): &(&str, &str)| Ok((format!("{name}.kt"), tidy(&templates.write(name, values.clone())?)));
    TEMPLATES[1..].iter().map(write).collect()
}

fn method(
    catalogue: &Catalogue,
    method: &model::Method<'_>,
    collection: &str,
    writer: &Writer<'_>,
    members: Vec<Member>,
) -> Result<Method, String> {
    let operation = method.operation;
    let (_, verb) = operation.name.split_once('.').unwrap_or_default();
    let class = pascal(&operation.name);
    let result = match &method.output {
        Type::Page(item) if method.lists => writer.annotation(item),
        output => writer.annotation(output),
    };
    let parameter = |member: &Member| {
        let default = member.default.map_or(String::new(), |default| format!(" = {default}"));
        format!("{}: {}{default}", member.name, member.kind)
    };
    let mut parameters: Vec<String> = members.iter().map(parameter).collect();
    let named: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
    let input = match members.as_slice() {
        [] => "emptyMap()".to_owned(),
        members => {
            let lines: String = members.iter().map(|member| format!("            {}\n", member.written)).collect();
            format!("fields {{\n{lines}        }}")
        }
    };
    let key = literal(&operation.name);
    let (modifier, returns, body) = if method.command() {
        parameters.push("idempotencyKey: String? = null".into());
        parameters.push("expectedVersion: Long? = null".into());
        let command = call(&class, &named, "", 8);
        ("suspend ", result.clone(), call("run", &[command, "idempotencyKey".into(), "expectedVersion".into()], "", 8))
    } else {
        let input = format!("        {key},\n        {input},\n");
        let item = match &method.output {
            Type::Page(item) if method.lists => Some(item),
            _ => None,
        };
        match item {
            Some(item) => {
                ("", format!("Pager<{result}>"), format!("pages(\n{input}    ) {{ {} }}", writer.read(item, "it")?))
            }
            None => {
                let ask = if members.is_empty() { format!("ask({key})") } else { format!("ask(\n{input}    )") };
                ("suspend ", result.clone(), writer.read(&method.output, &ask)?)
            }
        }
    };
    let own = name(verb);
    let signature = call(&format!("public {modifier}fun {own}"), &parameters, &format!(": {returns}"), 4);
    let width = |text: Option<&str>| text.unwrap_or_default().len();
    let long = width(signature.lines().last()) + width(body.lines().next()) + " = ".len() > 116;
    let body = if long { format!("\n        {body}") } else { format!(" {body}") };
    let first = operation.doc.trim().split("\n\n").next().unwrap_or_default();
    Ok(Method {
        command: method.command(),
        doc: comment(&operation_doc(catalogue, operation), 4),
        class_doc: comment(&format!("{first}\n\nAs the method `{collection}.{own}`."), 0),
        signature,
        body,
        read: if method.command() { writer.read(&method.output, "json")? } else { String::new() },
        operation: key,
        class,
        result,
        members,
    })
}
