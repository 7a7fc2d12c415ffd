//! The catalogue as the typed clients see it: which definitions exist, who writes them, and what each operation takes and
//! gives.

use crate::catalogue::{Catalogue, Event, Operation};
use crate::ir::{Definition, Field, Reader, Type, Unsupported};
use crate::reach::Reach;
use crate::schema::pascal;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

/// An operation, without the cursor of its list: the clients fetch pages themselves.
pub struct Method<'a> {
    pub operation: &'a Operation,
    pub fields: Vec<Field>,
    pub output: Type,
    /// Whether it gives a list that is fetched page by page.
    pub lists: bool,
}

impl Method<'_> {
    pub fn command(&self) -> bool {
        self.operation.kind == "command"
    }

    /// Its fields as parameters that are told apart by place: the id it is about, what it needs, the rest.
    pub fn parameters(&self) -> Vec<Field> {
        let mut fields = self.fields.clone();
        // Stable: each part stays in the order of the catalogue.
        fields.sort_by_key(|field| (!field.required, !(field.required && ["id", "ids"].contains(&&*field.name))));
        fields
    }
}

/// Operations that belong together.
pub struct Collection<'a> {
    pub name: &'a str,
    pub class: String,
    pub system: bool,
    pub methods: Vec<Method<'a>>,
}

/// What `define_saga` of the hand-written part takes.
const SAGA_DEFINITION: &str = "SagaDefinition";

/// Everything that a client is generated from; definitions that never cross are left out.
pub struct Model<'a> {
    pub definitions: BTreeMap<String, Definition>,
    pub reach: Reach,
    pub events: Vec<(&'a Event, Vec<Field>)>,
    pub collections: Vec<Collection<'a>>,
}

impl<'a> Model<'a> {
    /// `by_hand` names the definitions that the hand-written part of the client gives, besides the operations.
    pub fn new(catalogue: &'a Catalogue, by_hand: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut reader = Reader::new(&catalogue.definitions).map_err(refused)?;
        let (mut given, mut returned, mut heard) = (Vec::new(), Vec::new(), Vec::new());
        for name in reader.definitions.keys().filter(|name| by_hand.contains(&name.as_str())) {
            given.push(Type::Named(name.clone()));
            returned.push(Type::Named(name.clone()));
        }
        given.push(Type::Named(SAGA_DEFINITION.to_owned()));
        let mut collections: BTreeMap<(bool, &str), Collection<'a>> = BTreeMap::new();
        for operation in &catalogue.operations {
            let place = pascal(&operation.name);
            let fields = reader.fields(&operation.input, &format!("{place}Input")).map_err(refused)?;
            let output = reader.kind(&operation.output, &format!("{place}Output")).map_err(refused)?;
            given.extend(fields.iter().map(|field| field.kind.clone()));
            returned.push(output.clone());
            let (name, _) = operation.name.split_once('.').ok_or_else(|| operation.name.clone())?;
            let system = operation.scope == "system";
            let class = class_of(name, system);
            let empty = || Collection { name, class, system, methods: Vec::new() };
            collections.entry((system, name)).or_insert_with(empty).methods.push(method(operation, fields, output)?);
        }
        let mut events = Vec::new();
        for event in &catalogue.events {
            let fields = reader.fields(&event.data, &pascal(&event.name)).map_err(refused)?;
            heard.extend(fields.iter().map(|field| field.kind.clone()));
            events.push((event, fields));
        }
        let mut definitions = reader.definitions;
        let shared = catalogue.definitions.values().filter_map(|schema| schema.get("x-id")?.as_str());
        let reach = Reach::new(&definitions, &given, &returned, &heard, shared);
        definitions.retain(|name, _| reach.contains(name));
        let model = Model {
            definitions,
            reach,
            events,
            collections: collections.into_values().collect::<Vec<Collection<'a>>>(),
        };
        let names: Vec<String> = model.definitions.keys().map(|name| pascal(name)).collect();
        unique(
            names.iter().chain(&model.reach.ids).chain(model.collections.iter().map(|collection| &collection.class)),
        )?;
        Ok(model)
    }
}

fn method(operation: &Operation, fields: Vec<Field>, output: Type) -> Result<Method<'_>, Box<dyn Error>> {
    let lists = matches!(output, Type::Page(_)) && fields.iter().any(|field| field.name == "cursor");
    let fields: Vec<Field> = fields.into_iter().filter(|field| !(lists && field.name == "cursor")).collect();
    if let Some(field) = fields.iter().find(|field| ["idempotency_key", "expected_version"].contains(&&*field.name)) {
        return Err(format!("{}: {} is an option of every call", operation.name, field.name).into());
    }
    Ok(Method { operation, fields, output, lists })
}

/// The class of a collection. Events are what a subscription gives; their collection is the log.
pub fn class_of(collection: &str, system: bool) -> String {
    let name = if collection == "events" { "EventLog".to_owned() } else { pascal(collection) };
    if system { format!("System{name}") } else { name }
}

/// The name of one of several forms.
pub fn case_name(union: &str, tag: &str) -> String {
    format!("{}{}", pascal(union), pascal(tag))
}

fn refused(error: Unsupported) -> Box<dyn Error> {
    error.0.into()
}

/// Refuses a name that is given twice.
pub fn unique<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), Box<dyn Error>> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("two types are named {name}").into());
        }
    }
    Ok(())
}
