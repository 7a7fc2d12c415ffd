//! The Swift client: Codable types for what crosses, one async method per operation. The templates print well-formed text
//! themselves, so that the result needs no formatter.

mod text;

use crate::Files;
use crate::catalogue::{Catalogue, ErrorCode};
use crate::ir::{Definition, Field, Shape, Type};
use crate::model::{self, Model, case_name, unique};
use crate::reach::Use;
use crate::schema::pascal;
use crate::templates::{Templates, tidy};
use crate::text::{about, operation_doc};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::error::Error;
use text::{call, comment, name};

pub const FOLDER: &str = "bindings/uniffi/swift/Sources/Ventros/generated";

/// The names of the hand-written part, which is of the same module.
const OWN: &[&str] = &[
    "Attempt",
    "CallContext",
    "CallbackFailure",
    "Crm",
    "Engine",
    "ErrorBody",
    "ErrorListener",
    "Event",
    "EventData",
    "EventHandler",
    "Events",
    "Indirect",
    "Inside",
    "Instant",
    "JSON",
    "Mailbox",
    "ManualClock",
    "Page",
    "Pager",
    "Patch",
    "ProjectHandle",
    "Query",
    "Reading",
    "RunReport",
    "Scope",
    "Start",
    "Subject",
    "Subscription",
    "VentrosError",
    "Wanted",
];

const TEMPLATES: &[(&str, &str)] = &[
    ("struct", include_str!("../../templates/swift/struct.swift.j2")),
    ("Types", include_str!("../../templates/swift/types.swift.j2")),
    ("Events", include_str!("../../templates/swift/events.swift.j2")),
    ("ErrorCode", include_str!("../../templates/swift/errors.swift.j2")),
    ("Inputs", include_str!("../../templates/swift/inputs.swift.j2")),
    ("Client", include_str!("../../templates/swift/client.swift.j2")),
];

/// A struct and how it crosses.
#[derive(Serialize)]
struct Struct {
    name: String,
    doc: String,
    members: Vec<Member>,
    written: bool,
    read: bool,
}

#[derive(Serialize, Clone)]
struct Member {
    doc: String,
    name: String,
    /// Its name in JSON.
    key: String,
    kind: String,
    /// With it the property may be left out.
    default: Option<&'static str>,
    /// `patch`, `optional`, `nullable` or `required`
    presence: &'static str,
    /// Its type without what says that it may be absent or null.
    bare: String,
    optional: bool,
}

/// One of several; each case has its tag, name and struct.
#[derive(Serialize)]
struct Union {
    name: String,
    doc: String,
    cases: Vec<(String, String, String)>,
    tagged: bool,
    written: bool,
    read: bool,
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
    signature: String,
    body: String,
    input: Struct,
    output: String,
}

/// All generated Swift files.
pub fn files(catalogue: &Catalogue) -> Result<Files, Box<dyn Error>> {
    Ok(render(catalogue)?.into_iter().map(|(name, text)| (format!("{FOLDER}/{name}"), text)).collect())
}

/// The files by name.
pub fn render(catalogue: &Catalogue) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let model = Model::new(catalogue, &["ActorRef"])?;
    let writer = Writer(&model.definitions);
    let (mut structs, mut unions, mut choices, mut aliases) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (key, Definition { doc, shape }) in &model.definitions {
        let usage = model.reach.usage(key);
        let title = pascal(key);
        match shape {
            Shape::Record(fields) => structs.push(writer.record(title, doc, fields, usage)),
            Shape::Choice(texts) => {
                let entries = texts.iter().map(|(text, about)| (comment(about, 4), name(text), text.clone()));
                choices.push((title, comment(doc, 0), entries.collect::<Vec<_>>()));
            }
            Shape::Union(cases) | Shape::Forms(cases) => {
                let class = |tag: &str| case_name(key, tag);
                unions.push(Union {
                    name: title,
                    doc: comment(doc, 0),
                    cases: cases.iter().map(|one| (one.tag.clone(), name(&one.tag), class(&one.tag))).collect(),
                    tagged: matches!(shape, Shape::Union(_)),
                    written: written(usage),
                    read: usage != Use::Input,
                });
                structs.extend(cases.iter().map(|one| writer.record(class(&one.tag), &one.doc, &one.fields, usage)));
            }
            Shape::Alias(kind) => aliases.push((title, comment(doc, 0), writer.annotation(kind))),
        }
    }
    let events = model.events.iter().map(|(event, fields)| {
        let about = format!("{}\n\nOf {}, version {}.", event.doc.trim(), event.aggregate_kind, event.schema_version);
        let data = writer.record(pascal(&event.name), &about, fields, Use::Event);
        json!({"tag": event.name, "case": name(&event.name), "data": data})
    });
    let collections: Vec<Collection> = model
        .collections
        .iter()
        .map(|collection| Collection {
            name: name(collection.name),
            class: collection.class.clone(),
            doc: comment(&about(catalogue, collection.name), 0),
            system: collection.system,
            methods: collection.methods.iter().map(|one| method(catalogue, one, &writer)).collect(),
        })
        .collect();
    let inputs = collections.iter().flat_map(|one: &Collection| &one.methods).map(|one| one.input.name.clone());
    let heard = model.events.iter().map(|(event, _)| pascal(&event.name));
    let known = model.definitions.keys().map(|name| pascal(name)).chain(model.reach.ids.iter().cloned());
    let classes = collections.iter().map(|one| one.class.clone());
    let own = OWN.iter().map(|name| (*name).to_owned());
    unique(own.chain(known).chain(heard).chain(inputs).chain(classes).collect::<Vec<_>>().iter())?;
    let code = |error: &ErrorCode| (comment(&error.message, 4), name(&error.code), error.code.clone());
    let codes: Vec<_> = catalogue.errors.iter().map(code).collect();
    let templates = Templates::new(TEMPLATES)?;
    let values = json!({
        "ids": model.reach.ids,
        "structs": structs,
        "unions": unions,
        "choices": choices,
        "aliases": aliases,
        "events": events.collect::<Vec<_>>(),
        "codes": codes,
        "collections": collections,
    });
    let write = |(name, _): &(&str, &str)| Ok((format!("{name}.swift"), tidy(&templates.write(name, values.clone())?)));
    TEMPLATES[1..].iter().map(write).collect()
}

fn method(catalogue: &Catalogue, method: &model::Method<'_>, writer: &Writer<'_>) -> Method {
    let operation = method.operation;
    let (_, verb) = operation.name.split_once('.').unwrap_or_default();
    let class = pascal(&operation.name);
    let output = match &method.output {
        Type::Page(item) if method.lists => writer.annotation(item),
        output => writer.annotation(output),
    };
    let first = operation.doc.trim().split("\n\n").next().unwrap_or_default();
    let mut input = writer.record(class.clone(), first, &method.parameters(), Use::Input);
    let parameter = |member: &Member| {
        let default = member.default.map_or(String::new(), |default| format!(" = {default}"));
        // The first word of a call says what it is about: `contacts.get(id)`.
        let label = if member.name == "id" { "_ " } else { "" };
        format!("{label}{}: {}{default}", member.name, member.kind)
    };
    let mut parameters: Vec<String> = input.members.iter().map(parameter).collect();
    if method.lists {
        input.members.push(cursor());
    }
    let named: Vec<String> = input.members.iter().map(|member| format!("{0}: {0}", member.name)).collect();
    let value = call(&class, &named, "", 8);
    let (after, body) = if method.lists {
        (format!(" -> Pager<{output}>"), format!("list {{ cursor in {value} }}"))
    } else if method.command() {
        parameters.push("idempotencyKey: String? = nil".into());
        parameters.push("expectedVersion: Int? = nil".into());
        let last = "expectedVersion: expectedVersion".to_owned();
        let body = call("try await run", &[value, "idempotencyKey: idempotencyKey".into(), last], "", 8);
        (format!(" async throws -> {output}"), body)
    } else {
        (format!(" async throws -> {output}"), format!("try await run({value})"))
    };
    Method {
        operation: operation.name.clone(),
        command: method.command(),
        doc: comment(&operation_doc(catalogue, operation), 4),
        signature: call(&format!("public func {}", name(verb)), &parameters, &after, 4),
        body,
        input,
        output: if method.lists { format!("Page<{output}>") } else { output },
    }
}

/// What a pager gives to each call but the first.
fn cursor() -> Member {
    Member {
        doc: comment("The page to fetch; the first without it.", 4),
        name: "cursor".into(),
        key: "cursor".into(),
        kind: "String?".into(),
        default: Some("nil"),
        presence: "optional",
        bare: "String".into(),
        optional: true,
    }
}

fn written(usage: Use) -> bool {
    matches!(usage, Use::Input | Use::Shared)
}

struct Writer<'a>(&'a BTreeMap<String, Definition>);

impl Writer<'_> {
    fn record(&self, title: String, doc: &str, fields: &[Field], usage: Use) -> Struct {
        let members = fields.iter().map(|field| self.member(field, &title, usage)).collect();
        Struct { name: title, doc: comment(doc, 0), members, written: written(usage), read: usage != Use::Input }
    }

    fn member(&self, field: &Field, owner: &str, usage: Use) -> Member {
        let kind = self.annotation(&field.kind);
        let nullable = matches!(field.kind, Type::Nullable(_));
        let kind =
            if self.holds(&field.kind, owner) { format!("Indirect<{}>?", kind.trim_end_matches('?')) } else { kind };
        let whole = nullable || field.kind == Type::Json || field.default.is_some();
        let (kind, default, presence) = if field.patch {
            (format!("Patch<{kind}>"), Some(".keep"), "patch")
        } else if field.required || (usage == Use::Output && whole) {
            (kind, None, if nullable { "nullable" } else { "required" })
        } else {
            (if kind.ends_with('?') { kind } else { kind + "?" }, Some("nil"), "optional")
        };
        let whole = kind.trim_start_matches("Patch<");
        let whole = if field.patch { &whole[..whole.len() - 1] } else { whole };
        let optional = !field.patch && whole.ends_with('?');
        let bare = if optional { whole.trim_end_matches('?') } else { whole }.to_owned();
        let (doc, key) = (comment(&field.doc, 4), field.name.clone());
        Member { doc, name: name(&field.name), key, kind, default, presence, bare, optional }
    }

    /// Whether a struct would contain itself in this field: Swift lays structs out in place.
    fn holds(&self, kind: &Type, owner: &str) -> bool {
        match kind {
            Type::Nullable(kind) => self.holds(kind, owner),
            Type::Named(name) if pascal(name) == owner => true,
            Type::Named(name) => match self.0.get(name) {
                Some(Definition { shape: Shape::Alias(kind), .. }) => self.holds(kind, owner),
                _ => false,
            },
            _ => false,
        }
    }

    fn annotation(&self, kind: &Type) -> String {
        match kind {
            Type::Json | Type::Raw | Type::Null => "JSON".into(),
            Type::Boolean => "Bool".into(),
            Type::Integer => "Int".into(),
            Type::Number => "Double".into(),
            Type::Text | Type::Date => "String".into(),
            Type::Timestamp => "Instant".into(),
            Type::Id(name) | Type::Named(name) | Type::Form(name) => pascal(name),
            Type::List(item) => format!("[{}]", self.annotation(item)),
            Type::Map(value) => format!("[String: {}]", self.annotation(value)),
            Type::Nullable(kind) => format!("{}?", self.annotation(kind)),
            Type::Page(item) => format!("Page<{}>", self.annotation(item)),
            Type::Either(kinds) => match kinds.as_slice() {
                [Type::Text, Type::Named(name)] => pascal(name),
                _ => "JSON".into(),
            },
        }
    }
}
