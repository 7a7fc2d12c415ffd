//! From the intermediate form to TypeScript's types.

use super::text::{key, union};
use crate::ir::{Definition, Field, Shape, Type};
use crate::model::case_name;
use crate::reach::{Reach, Use};
use crate::schema::pascal;
use crate::text::comment;
use serde::Serialize;
use std::collections::BTreeMap;

/// An interface.
#[derive(Serialize)]
pub struct Declaration {
    pub name: String,
    pub doc: String,
    pub members: Vec<Member>,
}

/// A property: its comment and its declaration.
#[derive(Serialize)]
pub struct Member {
    pub doc: String,
    pub text: String,
}

/// A name for a type.
#[derive(Serialize)]
pub struct Alias {
    pub name: String,
    pub doc: String,
    pub value: String,
}

/// What the module of types consists of.
#[derive(Serialize)]
pub struct Declarations {
    pub interfaces: Vec<Declaration>,
    pub aliases: Vec<Alias>,
}

impl Declarations {
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.interfaces.iter().map(|one| &one.name).chain(self.aliases.iter().map(|one| &one.name))
    }
}

/// Writes types.
pub struct Writer<'a> {
    pub definitions: &'a BTreeMap<String, Definition>,
    pub reach: &'a Reach,
}

impl Writer<'_> {
    /// Every definition, interfaces first.
    pub fn declarations(&self) -> Declarations {
        let mut declarations = Declarations { interfaces: Vec::new(), aliases: Vec::new() };
        for (name, Definition { doc, shape }) in self.definitions {
            let usage = self.reach.usage(name);
            let interface = |name: String, doc: &str, tag: Option<&str>, fields: &[Field]| {
                let tag = tag.map(|tag| Member { doc: String::new(), text: format!("type: {tag:?};") });
                let members = fields.iter().map(|field| self.member(field, "", usage));
                Declaration { name, doc: comment(doc, 0), members: tag.into_iter().chain(members).collect() }
            };
            let value = match shape {
                Shape::Record(fields) => {
                    declarations.interfaces.push(interface(pascal(name), doc, None, fields));
                    continue;
                }
                Shape::Choice(texts) => {
                    union(&texts.iter().map(|(text, _)| format!("{text:?}")).collect::<Vec<_>>(), 0)
                }
                Shape::Union(cases) | Shape::Forms(cases) => {
                    for case in cases {
                        let tag = matches!(shape, Shape::Union(_)).then_some(case.tag.as_str());
                        let name = case_name(name, &case.tag);
                        declarations.interfaces.push(interface(name, &case.doc, tag, &case.fields));
                    }
                    union(&cases.iter().map(|case| case_name(name, &case.tag)).collect::<Vec<_>>(), 0)
                }
                Shape::Alias(kind) => self.annotation(kind, ""),
            };
            let about = match shape {
                Shape::Choice(texts) => choice_doc(doc, texts),
                Shape::Alias(Type::Timestamp) if doc.is_empty() => {
                    "An instant: RFC 3339 in UTC, with microseconds.".to_owned()
                }
                _ => doc.clone(),
            };
            declarations.aliases.push(Alias { name: pascal(name), doc: comment(&about, 0), value });
        }
        declarations
    }

    /// A property of an interface.
    pub fn member(&self, field: &Field, module: &str, usage: Use) -> Member {
        let kind = match usage {
            Use::Input => self.accepted(&field.kind, module),
            _ => self.annotation(&field.kind, module),
        };
        let nullable = matches!(field.kind, Type::Nullable(_) | Type::Json | Type::Null);
        let (mark, kind) = match usage {
            _ if field.required => ("", kind),
            Use::Output if !field.patch && (nullable || field.default.is_some()) => ("", kind),
            Use::Input | Use::Shared if kind == "unknown" => ("?", kind),
            Use::Input | Use::Shared => ("?", kind + " | undefined"),
            Use::Output | Use::Event => ("?", kind),
        };
        Member { doc: comment(&field.doc, 2), text: format!("{}{mark}: {kind};", key(&field.name)) }
    }

    /// What a method returns or a property holds.
    pub fn annotation(&self, kind: &Type, module: &str) -> String {
        let inner = |kind: &Type| self.annotation(kind, module);
        match kind {
            Type::Json | Type::Raw => "unknown".into(),
            Type::Null => "null".into(),
            Type::Boolean => "boolean".into(),
            Type::Integer | Type::Number => "number".into(),
            Type::Text | Type::Timestamp | Type::Date => "string".into(),
            Type::Id(name) | Type::Named(name) | Type::Form(name) => format!("{module}{}", pascal(name)),
            Type::List(item) => list(&inner(item)),
            Type::Map(value) => format!("Record<string, {}>", inner(value)),
            Type::Nullable(kind) => nullable(&inner(kind)),
            Type::Page(item) => format!("Page<{}>", inner(item)),
            Type::Either(kinds) => either(kinds.iter().map(inner)),
        }
    }

    /// What a method takes: also lists that cannot be changed, and dates.
    pub fn accepted(&self, kind: &Type, module: &str) -> String {
        let inner = |kind: &Type| self.accepted(kind, module);
        match kind {
            Type::Raw => "Raw".into(),
            Type::Named(name) if self.instant(kind) => format!("{module}{} | Date", pascal(name)),
            Type::List(item) => format!("readonly {}", list(&inner(item))),
            Type::Map(value) => format!("Readonly<Record<string, {}>>", inner(value)),
            Type::Nullable(kind) => nullable(&inner(kind)),
            Type::Either(kinds) => either(kinds.iter().map(inner)),
            other => self.annotation(other, module),
        }
    }

    fn instant(&self, kind: &Type) -> bool {
        match kind {
            Type::Timestamp => true,
            Type::Named(name) => {
                matches!(self.definitions.get(name), Some(Definition { shape: Shape::Alias(kind), .. }) if self.instant(kind))
            }
            _ => false,
        }
    }
}

fn list(item: &str) -> String {
    if item.contains(" | ") || item.starts_with("readonly ") { format!("({item})[]") } else { format!("{item}[]") }
}

fn nullable(kind: &str) -> String {
    if kind == "unknown" { kind.to_owned() } else { format!("{kind} | null") }
}

fn either(kinds: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for kind in kinds {
        if !all.contains(&kind) {
            all.push(kind);
        }
    }
    all.join(" | ")
}

/// The documentation of a choice with what each text means.
fn choice_doc(doc: &str, texts: &[(String, String)]) -> String {
    let mut all = doc.to_owned();
    for (text, about) in texts.iter().filter(|(_, about)| !about.is_empty()) {
        if !all.is_empty() && !all.contains("\n- ") {
            all += "\n";
        }
        all += &format!("\n- `{text}`: {}", about.replace('\n', " "));
    }
    all
}
