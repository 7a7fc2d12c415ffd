//! The catalogue as the clients of compiled languages see it: which definitions exist, who writes them, and what each
//! operation takes and gives.

use crate::catalogue::{Catalogue, Event, Operation};
use crate::ir::{Definition, Field, Reader, Type};
use crate::schema::pascal;
use crate::typescript::types::Reach;
use crate::typescript::{refused, unique};
use std::collections::BTreeMap;
use std::error::Error;

/// An operation with its parameters in the order in which they are written: the id it is about, what it needs, the rest.
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
}

/// Operations that belong together.
pub struct Collection<'a> {
    pub name: &'a str,
    pub class: String,
    pub system: bool,
    pub methods: Vec<Method<'a>>,
}

/// Everything that a client is generated from; definitions that never cross are left out.
pub struct Model<'a> {
    pub definitions: BTreeMap<String, Definition>,
    pub reach: Reach,
    pub events: Vec<(&'a Event, Vec<Field>)>,
    pub collections: Vec<Collection<'a>>,
}

impl<'a> Model<'a> {
    pub fn new(catalogue: &'a Catalogue) -> Result<Self, Box<dyn Error>> {
        let mut reader = Reader::new(&catalogue.definitions).map_err(refused)?;
        let (mut given, mut returned, mut heard) = (Vec::new(), Vec::new(), Vec::new());
        // The hand-written part says who acts, and hears who did.
        for actor in reader.definitions.keys().filter(|name| *name == "ActorRef") {
            given.push(Type::Named(actor.clone()));
            returned.push(Type::Named(actor.clone()));
        }
        let mut collections: BTreeMap<(bool, &str), Collection<'a>> = BTreeMap::new();
        for operation in &catalogue.operations {
            let place = pascal(&operation.name);
            let fields = reader.fields(&operation.input, &format!("{place}Input")).map_err(refused)?;
            let output = reader.kind(&operation.output, &format!("{place}Output")).map_err(refused)?;
            given.extend(fields.iter().map(|field| field.kind.clone()));
            returned.push(output.clone());
            let (name, _) = operation.name.split_once('.').ok_or_else(|| operation.name.clone())?;
            let system = operation.scope == "system";
            let class = if system { format!("System{}", pascal(name)) } else { pascal(name) };
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
    let mut fields: Vec<Field> = fields.into_iter().filter(|field| !(lists && field.name == "cursor")).collect();
    if let Some(field) = fields.iter().find(|field| ["idempotency_key", "expected_version"].contains(&&*field.name)) {
        return Err(format!("{}: {} is an option of every call", operation.name, field.name).into());
    }
    // Stable: each part stays in the order of the catalogue.
    fields.sort_by_key(|field| (!field.required, !(field.required && ["id", "ids"].contains(&&*field.name))));
    Ok(Method { operation, fields, output, lists })
}
