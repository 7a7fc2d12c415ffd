//! Definitions as Kotlin types, how each is written as JSON and how it is read.

use super::text::{comment, constant, literal, name};
use crate::ir::{Definition, Field, Shape, Type};
use crate::model::{Model, case_name};
use crate::reach::Use;
use crate::schema::pascal;
use serde::Serialize;

/// A data class, or an object where there are no fields.
#[derive(Serialize)]
pub struct Class {
    pub name: String,
    pub doc: String,
    /// What it is, after the colon.
    pub parents: Vec<String>,
    pub members: Vec<Member>,
    /// The statements that write it, when somebody does.
    pub written: Option<Vec<String>>,
    /// Whether it is read.
    pub read: bool,
}

/// A property of a class.
#[derive(Serialize, Clone)]
pub struct Member {
    pub doc: String,
    pub name: String,
    pub kind: String,
    /// With it the property may be left out.
    pub default: Option<&'static str>,
    /// The statement that writes it.
    pub written: String,
    /// The expression that reads it.
    pub read: String,
}

/// A sealed interface.
#[derive(Serialize)]
pub struct Sealed {
    pub name: String,
    pub doc: String,
    pub written: bool,
    pub read: bool,
    /// For each case the condition that tells it, and its class.
    pub cases: Vec<(String, String)>,
    /// Whether the field `type` tells the cases apart.
    pub tagged: bool,
}

/// An enum: for each entry its comment, name and text.
#[derive(Serialize)]
pub struct Choice {
    pub name: String,
    pub doc: String,
    pub entries: Vec<(String, String, String)>,
}

/// What the file of types consists of.
#[derive(Serialize, Default)]
pub struct Declarations {
    pub classes: Vec<Class>,
    pub sealed: Vec<Sealed>,
    pub choices: Vec<Choice>,
    /// Name, comment and what it stands for.
    pub aliases: Vec<(String, String, String)>,
}

pub struct Writer<'a>(pub &'a Model<'a>);

impl Writer<'_> {
    pub fn declarations(&self) -> Result<Declarations, String> {
        let mut all = Declarations::default();
        for (key, Definition { doc, shape }) in &self.0.definitions {
            let usage = self.0.reach.usage(key);
            let title = pascal(key);
            let (written, read) = (matches!(usage, Use::Input | Use::Shared), usage != Use::Input);
            match shape {
                Shape::Record(fields) => {
                    all.classes.push(self.class(title, doc, None, None, fields, usage)?);
                }
                Shape::Choice(texts) => all.choices.push(Choice {
                    name: title,
                    doc: comment(doc, 0),
                    entries: texts
                        .iter()
                        .map(|(text, about)| (comment(about, 4), constant(text), literal(text)))
                        .collect(),
                }),
                Shape::Union(cases) | Shape::Forms(cases) => {
                    let tagged = matches!(shape, Shape::Union(_));
                    let mut told = Vec::new();
                    for case in cases {
                        let class = case_name(key, &case.tag);
                        told.push((literal(&case.tag), class.clone()));
                        let tag = tagged.then_some(case.tag.as_str());
                        all.classes.push(self.class(class, &case.doc, Some(&title), tag, &case.fields, usage)?);
                    }
                    all.sealed.push(Sealed { name: title, doc: comment(doc, 0), written, read, cases: told, tagged });
                }
                Shape::Alias(kind) => {
                    let doc = if doc.is_empty() && *kind == Type::Timestamp {
                        "An instant, to the microsecond."
                    } else {
                        doc
                    };
                    all.aliases.push((title, comment(doc, 0), self.annotation(kind)));
                }
            }
        }
        for Choice { name, entries, .. } in &all.choices {
            if (1..entries.len()).any(|at| entries[..at].iter().any(|other| other.1 == entries[at].1)) {
                return Err(format!("{name}: two entries of one name"));
            }
        }
        Ok(all)
    }

    fn class(
        &self,
        name: String,
        doc: &str,
        parent: Option<&str>,
        tag: Option<&str>,
        fields: &[Field],
        usage: Use,
    ) -> Result<Class, String> {
        let members = fields.iter().map(|field| self.member(field, usage)).collect::<Result<Vec<_>, _>>()?;
        let written = matches!(usage, Use::Input | Use::Shared).then(|| {
            let tag = tag.map(|tag| format!("put(\"type\", {})", literal(tag)));
            tag.into_iter().chain(members.iter().map(|member| member.written.clone())).collect()
        });
        let parents = match (parent, &written) {
            (Some(parent), _) => vec![parent.to_owned()],
            (None, Some(_)) => vec!["Wire".to_owned()],
            (None, None) => Vec::new(),
        };
        Ok(Class { name, doc: comment(doc, 0), parents, members, written, read: usage != Use::Input })
    }

    /// A property, and how it crosses.
    pub fn member(&self, field: &Field, usage: Use) -> Result<Member, String> {
        let (kind, key, own) = (self.annotation(&field.kind), literal(&field.name), name(&field.name));
        let reads = usage != Use::Input;
        let from = format!("from[{key}]");
        let read = |kind: &Type, value: &str| if reads { self.read(kind, value) } else { Ok(String::new()) };
        let whole = matches!(field.kind, Type::Nullable(_) | Type::Json) || field.default.is_some();
        let (kind, default, written, read) = if field.patch {
            let each = read(&field.kind, "it")?;
            (format!("Patch<{kind}>"), Some("Patch.Keep"), "patch", format!("patch(from, {key}) {{ {each} }}"))
        } else if field.required || (usage == Use::Output && whole) {
            (kind, None, "put", read(&field.kind, &from)?)
        } else {
            let optional = match &field.kind {
                Type::Nullable(_) => field.kind.clone(),
                kind => Type::Nullable(Box::new(kind.clone())),
            };
            (nullable(&kind), Some("null"), "given", read(&optional, &from)?)
        };
        Ok(Member {
            doc: comment(&field.doc, 4),
            written: format!("{written}({key}, {own})"),
            name: own,
            kind,
            default,
            read,
        })
    }

    /// The type as it is written.
    pub fn annotation(&self, kind: &Type) -> String {
        match kind {
            Type::Json => "Any?".into(),
            Type::Raw => "Raw".into(),
            Type::Null => "Unit".into(),
            Type::Boolean => "Boolean".into(),
            Type::Integer => "Long".into(),
            Type::Number => "Double".into(),
            Type::Text => "String".into(),
            Type::Timestamp => "Instant".into(),
            Type::Date => "LocalDate".into(),
            Type::Id(name) | Type::Named(name) | Type::Form(name) => pascal(name),
            Type::List(item) => format!("List<{}>", self.annotation(item)),
            Type::Map(value) => format!("Map<String, {}>", self.annotation(value)),
            Type::Nullable(kind) => nullable(&self.annotation(kind)),
            Type::Page(item) => format!("Page<{}>", self.annotation(item)),
            // Where a text is short for an object, the object says it all.
            Type::Either(kinds) => match kinds.as_slice() {
                [Type::Text, Type::Named(name)] => pascal(name),
                _ => "Any".into(),
            },
        }
    }

    /// The expression that reads the JSON value `value`.
    pub fn read(&self, kind: &Type, value: &str) -> Result<String, String> {
        let each = |kind: &Type| self.read(kind, "it");
        Ok(match kind {
            Type::Json => value.to_owned(),
            Type::Null => "Unit".into(),
            Type::Boolean => format!("boolean({value})"),
            Type::Integer => format!("long({value})"),
            Type::Number => format!("double({value})"),
            Type::Text => format!("text({value})"),
            Type::Timestamp => format!("instant({value})"),
            Type::Date => format!("day({value})"),
            Type::Id(name) => format!("{}(text({value}))", pascal(name)),
            Type::List(item) => format!("list({value}) {{ {} }}", each(item)?),
            Type::Map(item) if **item == Type::Json => format!("record({value})"),
            Type::Map(item) => format!("map({value}) {{ {} }}", each(item)?),
            Type::Nullable(kind) => format!("{value}?.let {{ {} }}", each(kind)?),
            Type::Page(item) => format!("page({value}) {{ {} }}", each(item)?),
            Type::Named(name) | Type::Form(name) => match self.0.definitions.get(name) {
                Some(Definition { shape: Shape::Alias(kind), .. }) => self.read(kind, value)?,
                _ => format!("decode{}({value})", pascal(name)),
            },
            Type::Raw => format!("Raw.of({value})"),
            Type::Either(kinds) => match kinds.iter().find(|kind| matches!(kind, Type::Named(_) | Type::Form(_))) {
                Some(Type::Named(name) | Type::Form(name)) => return Err(format!("{name}: read as one of several")),
                _ => format!("checkNotNull({value})"),
            },
        })
    }
}

fn nullable(kind: &str) -> String {
    if kind.ends_with('?') { kind.to_owned() } else { format!("{kind}?") }
}
