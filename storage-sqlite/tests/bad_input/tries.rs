//! The inputs that an operation is tried with.

use crate::furnished::{Ids, OURS, THEIRS};
use crate::hostile;
use crate::schema::{Place, Schemas};
use serde_json::Value;

/// Of so many values one is tried, unless all are asked for.
const PART: usize = 9;

/// What the answer to an input must be.
pub enum Must {
    /// Any that is in order.
    Stand,
    /// An error at this place.
    Fail(String),
    /// No change: the id belongs to the neighbour.
    BeOurs,
}

/// One input, the place that is wrong with it, and what must come of it.
pub struct Try {
    pub path: String,
    pub input: String,
    pub must: Must,
}

/// All inputs, made when they are asked for: some are large.
pub struct Tries<'c> {
    pub schemas: Schemas<'c>,
    pub ids: &'c Ids,
    pub input: &'c Value,
    /// Everything, not only a part.
    pub all: bool,
}

impl Tries<'_> {
    /// An input that should do.
    pub fn base(&self) -> Value {
        self.schemas.sample(self.input, "")
    }

    /// What is no input at all.
    pub fn of_the_whole(&self) -> Vec<Try> {
        let one = |input: &str, must| Try { path: String::new(), input: input.to_owned(), must };
        let mut strange = self.base();
        strange["unheard_of"] = Value::from(1);
        let strange = one(&strange.to_string(), Must::Fail("unheard_of".to_owned()));
        let texts = ["", " ", "[]", "[1]", "null", "1", "{", "{}{}", "\"text\"", "{\"a\":1,\"a\":2}"];
        texts.iter().map(|text| one(text, Must::Stand)).chain([strange]).collect()
    }

    /// What does not belong at the `number`th place.
    pub fn at(&self, number: usize, place: &Place) -> impl Iterator<Item = Try> {
        let path = place.path();
        let one = |leaf: Option<&Value>, must| {
            let input = hostile::text(&self.schemas.build(self.input, &place.trail, leaf));
            Try { path: path.clone(), input, must }
        };
        let mut tries = Vec::new();
        if place.is_required {
            tries.push(one(None, Must::Fail(path.clone())));
        }
        if place.schema["additionalProperties"] == false {
            let mut object = self.schemas.sample(&place.schema, "");
            object["unheard_of"] = Value::from(1);
            tries.push(one(Some(&object), Must::Fail(format!("{path}.unheard_of"))));
        }
        if let Some(foreign) = place.schema["x-id"].as_str().and_then(|name| self.ids.of(THEIRS, name).first()) {
            tries.push(one(Some(&foreign.to_string().into()), Must::BeOurs));
        }
        let huge = if self.all { hostile::huge() } else { Vec::new() };
        // The same part in every run, another one at every place.
        let is_chosen = |turn: usize| self.all || (turn + number).is_multiple_of(PART);
        let values = hostile::everywhere().into_iter().chain(huge).enumerate().filter(|(turn, _)| is_chosen(*turn));
        for (_, value) in values {
            let is_broken = hostile::breaks(&place.schema, &value);
            tries.push(one(Some(&value), if is_broken { Must::Fail(path.clone()) } else { Must::Stand }));
        }
        tries.into_iter()
    }
}

/// The catalogue's schemas, with the ids of our own project.
pub fn schemas<'c>(definitions: &'c serde_json::Map<String, Value>, ids: &'c Ids) -> Schemas<'c> {
    Schemas { definitions, id: Box::new(|name| ids.id(OURS, name)) }
}
