//! The intermediate form between JSON schemas and languages: a few shapes that every target can express.
//!
//! A construct that is not understood is an error, never a guess: a client that silently loses a field is worse than
//! a build that stops.

use crate::schema::{
    TAG, alternatives, alternatives_of, doc, flag, forms, item_of_page, key_of, pascal, strings, tag_of, texts,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A type as it appears in a field, an item or a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// Any JSON value.
    Json,
    /// JSON that somebody else wrote: a value, or its text.
    Raw,
    /// Always null.
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    /// RFC 3339 in UTC.
    Timestamp,
    /// A calendar day.
    Date,
    /// The id of one kind of thing, `ContactId`.
    Id(String),
    List(Box<Type>),
    /// An object with free keys.
    Map(Box<Type>),
    Nullable(Box<Type>),
    /// A definition.
    Named(String),
    /// A definition whose shape is [`Shape::Forms`].
    Form(String),
    /// One page of a list.
    Page(Box<Type>),
    /// One of several, told apart by their JSON kind.
    Either(Vec<Type>),
}

/// A named shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub doc: String,
    pub shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Record(Vec<Field>),
    /// One of some texts, with what each means.
    Choice(Vec<(String, String)>),
    /// Records told apart by the text in the field `type`.
    Union(Vec<Case>),
    /// Records told apart by their keys; each case's tag is the key it is known by.
    Forms(Vec<Case>),
    Alias(Type),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub doc: String,
    pub kind: Type,
    pub required: bool,
    pub default: Option<Value>,
    /// Absent, null and a value mean three different things.
    pub patch: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub tag: String,
    pub doc: String,
    pub fields: Vec<Field>,
}

/// Why a schema cannot be expressed, and where.
#[derive(Debug)]
pub struct Unsupported(pub String);

type Result<T> = std::result::Result<T, Unsupported>;

/// Keywords that say nothing about the shape.
const NOTES: &[&str] = &[
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "contentEncoding",
    "contentMediaType",
    "$schema",
    "$id",
    "$defs",
];
/// Formats of text that the engine checks and every language keeps as text.
const TEXTS: &[&str] = &[
    "bcp47",
    "byte",
    "color",
    "decimal",
    "e164",
    "email",
    "iana-timezone",
    "iso-3166-1-alpha-2",
    "iso-4217",
    "media-type",
    "time",
    "uri",
    "uuid",
];
/// Keywords that are understood.
const SHAPES: &[&str] = &[
    "type",
    "format",
    "const",
    "enum",
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
    "items",
    "prefixItems",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
];

/// Reads schemas into definitions; shapes written in place get a name from where they stand.
pub struct Reader<'a> {
    schemas: &'a Map<String, Value>,
    pub definitions: BTreeMap<String, Definition>,
}

impl<'a> Reader<'a> {
    /// Reads all shared schemas.
    pub fn new(schemas: &'a Map<String, Value>) -> Result<Self> {
        let mut reader = Reader { schemas, definitions: BTreeMap::new() };
        for (name, schema) in schemas {
            let known = schema.get("x-id").is_some_and(Value::is_string) || flag(schema, "x-raw");
            if item_of_page(schema).is_none() && !known {
                reader.define(name, schema)?;
            }
        }
        Ok(reader)
    }

    /// The fields of an object, wherever it is written, without the tag of a union.
    pub fn fields(&mut self, schema: &Value, owner: &str) -> Result<Vec<Field>> {
        let map = self.object(schema, owner)?;
        let mut fields = match map.get("$ref") {
            Some(target) => {
                let (name, schema) = self.resolve(target, owner)?;
                self.fields(schema, name)?
            }
            None => Vec::new(),
        };
        let required = strings(map.get("required"));
        for (name, schema) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if name == TAG && schema.get("const").is_some() {
                continue;
            }
            let patch = flag(schema, "x-patch");
            let kind = self.kind(schema, &format!("{owner}{}", pascal(name)))?;
            fields.push(Field {
                name: name.clone(),
                doc: doc(schema),
                kind,
                required: required.contains(name) && !patch,
                default: schema.get("default").cloned(),
                patch,
            });
        }
        if ["anyOf", "oneOf", "allOf", "items"].iter().any(|key| map.contains_key(*key)) {
            return Err(Unsupported(format!("{owner}: an object mixed with alternatives")));
        }
        Ok(fields)
    }

    /// The type that a schema describes. `place` names it if it needs a name.
    pub fn kind(&mut self, schema: &Value, place: &str) -> Result<Type> {
        if schema == &Value::Bool(true) {
            return Ok(Type::Json);
        }
        let map = self.object(schema, place)?;
        if let Some(target) = map.get("$ref") {
            let (name, schema) = self.resolve(target, place)?;
            return Ok(match (item_of_page(schema), schema.get("x-id")) {
                (Some(item), _) => Type::Page(Box::new(self.kind(item, place)?)),
                (None, Some(Value::String(id))) => Type::Id(id.clone()),
                _ if flag(schema, "x-raw") => Type::Raw,
                _ if forms(schema).is_some() => Type::Form(name.to_owned()),
                _ => Type::Named(name.to_owned()),
            });
        }
        if let Some(all) = map.get("allOf").and_then(Value::as_array) {
            return match all.as_slice() {
                [one] => self.kind(one, place),
                _ => Err(Unsupported(format!("{place}: allOf of several schemas"))),
            };
        }
        if let Some(item) = item_of_page(schema) {
            return Ok(Type::Page(Box::new(self.kind(item, place)?)));
        }
        if let Some(choices) = alternatives(map) {
            let (nulls, rest): (Vec<&Value>, Vec<&Value>) =
                choices.iter().partition(|choice| choice.get("type").is_some_and(|t| t == "null"));
            let named =
                rest.iter().all(|choice| texts(choice).is_some()) || rest.iter().all(|choice| tag_of(choice).is_some());
            let kind = match rest.as_slice() {
                [one] if tag_of(one).is_none() => self.kind(one, place)?,
                _ if named => self.name(place, &serde_json::json!({"description": doc(schema), "oneOf": rest}))?,
                _ => {
                    let kinds = rest.iter().map(|choice| self.kind(choice, &format!("{place}Object")));
                    Type::Either(kinds.collect::<Result<_>>()?)
                }
            };
            return Ok(if nulls.is_empty() { kind } else { nullable(kind) });
        }
        if texts(schema).is_some() {
            let null = map.get("enum").and_then(Value::as_array).is_some_and(|all| all.contains(&Value::Null));
            let kind = self.name(place, schema)?;
            return Ok(if null { nullable(kind) } else { kind });
        }
        match map.get("type") {
            Some(Value::String(name)) => self.plain(name, map, place),
            Some(Value::Array(names)) => {
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                let rest: Vec<&str> = names.iter().copied().filter(|name| *name != "null").collect();
                let kinds = rest.iter().map(|name| self.plain(name, map, place)).collect::<Result<Vec<_>>>()?;
                let kind = match kinds.as_slice() {
                    [one] => one.clone(),
                    _ => Type::Either(kinds),
                };
                Ok(if rest.len() < names.len() { nullable(kind) } else { kind })
            }
            _ if map.keys().all(|key| NOTES.contains(&key.as_str()) || key.starts_with("x-")) => Ok(Type::Json),
            _ => Err(Unsupported(format!("{place}: {schema}"))),
        }
    }

    fn plain(&mut self, name: &str, map: &Map<String, Value>, place: &str) -> Result<Type> {
        let format = map.get("format").and_then(Value::as_str);
        Ok(match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "integer" => Type::Integer,
            "number" => Type::Number,
            "string" => match (map.get("x-id").and_then(Value::as_str), format) {
                (Some(id), _) => Type::Id(id.to_owned()),
                (None, Some("date-time")) => Type::Timestamp,
                (None, Some("date")) => Type::Date,
                (None, None) => Type::Text,
                (None, Some(format)) if TEXTS.contains(&format) => Type::Text,
                (None, Some(other)) => return Err(Unsupported(format!("{place}: format {other}"))),
            },
            "array" => match (map.get("items"), map.contains_key("prefixItems")) {
                (Some(items), false) => Type::List(Box::new(self.kind(items, &format!("{place}Item"))?)),
                (None, false) => Type::List(Box::new(Type::Json)),
                _ => return Err(Unsupported(format!("{place}: a tuple"))),
            },
            "object" if map.contains_key("properties") => self.name(place, &Value::Object(map.clone()))?,
            "object" => match map.get("additionalProperties") {
                None | Some(Value::Bool(_)) => Type::Map(Box::new(Type::Json)),
                Some(values) => Type::Map(Box::new(self.kind(values, &format!("{place}Value"))?)),
            },
            other => return Err(Unsupported(format!("{place}: type {other}"))),
        })
    }

    fn define(&mut self, name: &str, schema: &Value) -> Result<()> {
        let shape = match (alternatives_of(schema), texts(schema)) {
            (_, Some(texts)) => Shape::Choice(texts),
            (Some(choices), _) if choices.iter().all(|choice| texts(choice).is_some()) => {
                Shape::Choice(choices.iter().filter_map(texts).flatten().collect())
            }
            (Some(choices), _) if choices.iter().all(|choice| tag_of(choice).is_some()) => {
                let mut cases = Vec::new();
                for choice in choices {
                    let tag = tag_of(choice).unwrap_or_default();
                    let fields = self.fields(choice, &format!("{name}{}", pascal(tag)))?;
                    cases.push(Case { tag: tag.to_owned(), doc: doc(choice), fields });
                }
                Shape::Union(cases)
            }
            _ if forms(schema).is_some() => {
                let mut cases = Vec::new();
                for choice in forms(schema).into_iter().flatten() {
                    let key =
                        key_of(choice).ok_or_else(|| Unsupported(format!("{name}: a form without a required key")))?;
                    let fields = self.fields(choice, &format!("{name}{}", pascal(key)))?;
                    cases.push(Case { tag: key.to_owned(), doc: doc(choice), fields });
                }
                Shape::Forms(cases)
            }
            _ if schema.get("properties").is_some() => Shape::Record(self.fields(schema, name)?),
            _ => Shape::Alias(self.kind(schema, name)?),
        };
        let definition = Definition { doc: doc(schema), shape };
        match self.definitions.insert(name.to_owned(), definition.clone()) {
            Some(other) if other != definition => Err(Unsupported(format!("{name}: two shapes of one name"))),
            _ => Ok(()),
        }
    }

    fn name(&mut self, place: &str, schema: &Value) -> Result<Type> {
        self.define(place, schema)?;
        Ok(Type::Named(place.to_owned()))
    }

    fn resolve(&self, target: &Value, place: &str) -> Result<(&'a str, &'a Value)> {
        let name = target.as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let found = self.schemas.get_key_value(name);
        found
            .map(|(name, schema)| (name.as_str(), schema))
            .ok_or_else(|| Unsupported(format!("{place}: no definition {target}")))
    }

    fn object<'s>(&self, schema: &'s Value, place: &str) -> Result<&'s Map<String, Value>> {
        let map = schema.as_object().ok_or_else(|| Unsupported(format!("{place}: {schema}")))?;
        let known = |key: &str| NOTES.contains(&key) || SHAPES.contains(&key) || key.starts_with("x-");
        match map.keys().find(|key| !known(key)) {
            Some(key) => Err(Unsupported(format!("{place}: keyword {key}"))),
            None => Ok(map),
        }
    }
}

fn nullable(kind: Type) -> Type {
    if matches!(kind, Type::Nullable(_) | Type::Json) { kind } else { Type::Nullable(Box::new(kind)) }
}
