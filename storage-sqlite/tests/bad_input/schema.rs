//! What the catalogue says of an operation's input: its places, and an input that is right as far as a schema can tell.

use serde_json::{Map, Value, json};

/// How deep places are looked for.
const DEPTH: usize = 6;

/// One step from an input towards a place in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Key(String),
    /// The only item of a list.
    Item,
    /// The only entry of an open object.
    Entry,
    /// One of several forms; stays at the same value.
    Form(usize),
}

/// A value somewhere in an input, and what its schema says.
#[derive(Debug, Clone)]
pub struct Place {
    pub trail: Vec<Step>,
    pub schema: Value,
    pub is_required: bool,
}

impl Place {
    /// As errors name it: `addresses[0].city`.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.trail {
            match step {
                Step::Key(_) | Step::Entry if !path.is_empty() => path.push('.'),
                _ => {}
            }
            match step {
                Step::Key(key) => path.push_str(key),
                Step::Item => path.push_str("[0]"),
                Step::Entry => path.push_str(ENTRY),
                Step::Form(_) => {}
            }
        }
        path
    }
}

const ENTRY: &str = "entry";

/// The catalogue's definitions, and the ids that a project knows.
pub struct Schemas<'a> {
    pub definitions: &'a Map<String, Value>,
    /// Gives the id of an aggregate by the name of its type, such as `ContactId`.
    pub id: Box<dyn Fn(&str) -> String + 'a>,
}

impl<'a> Schemas<'a> {
    /// Follows references and takes the interesting form of what may be null.
    pub fn resolve(&self, schema: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.resolve(&self.definitions[name]);
        }
        match forms(schema).as_slice() {
            [one, null] if null["type"] == "null" => self.resolve(one),
            _ => schema.clone(),
        }
    }

    /// All places of an input, the input itself left out.
    pub fn places(&self, input: &Value) -> Vec<Place> {
        let mut found = Vec::new();
        self.walk(input, Vec::new(), &mut Vec::new(), &mut found);
        found
    }

    fn walk(&self, schema: &Value, trail: Vec<Step>, names: &mut Vec<String>, found: &mut Vec<Place>) {
        let name = reference(schema);
        // A filter may hold filters: once is enough.
        if trail.iter().filter(|step| !matches!(step, Step::Form(_))).count() >= DEPTH
            || name.as_ref().is_some_and(|name| names.contains(name))
        {
            return;
        }
        names.extend(name.clone());
        let schema = self.resolve(schema);
        let to = |step: Step| [trail.as_slice(), &[step]].concat();
        if let Some(properties) = schema["properties"].as_object() {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for (key, inner) in properties {
                let trail = to(Step::Key(key.clone()));
                let is_required = required.iter().any(|required| required == key);
                let resolved = if nullable(inner) { inner.clone() } else { self.resolve(inner) };
                found.push(Place { trail: trail.clone(), schema: resolved, is_required });
                self.walk(inner, trail, names, found);
            }
        }
        if schema["items"].is_object() {
            let place = Place { trail: to(Step::Item), schema: self.resolve(&schema["items"]), is_required: false };
            found.push(place);
            self.walk(&schema["items"], to(Step::Item), names, found);
        }
        if schema["additionalProperties"].is_object() {
            self.walk(&schema["additionalProperties"], to(Step::Entry), names, found);
        }
        for (number, form) in forms(&schema).iter().enumerate() {
            if self.resolve(form)["properties"].is_object() {
                self.walk(form, to(Step::Form(number)), names, found);
            }
        }
        if name.is_some() {
            names.pop();
        }
    }

    /// An input that is right, with `leaf` at the end of the trail; without a leaf the place is left out.
    pub fn build(&self, schema: &Value, trail: &[Step], leaf: Option<&Value>) -> Value {
        let Some((step, rest)) = trail.split_first() else {
            return leaf.cloned().unwrap_or(Value::Null);
        };
        let schema = self.resolve(schema);
        match step {
            Step::Key(key) => {
                let mut object = match self.sample(&schema, "") {
                    Value::Object(object) => object,
                    _ => Map::new(),
                };
                match (rest, leaf) {
                    ([], None) => drop(object.remove(key)),
                    _ => drop(object.insert(key.clone(), self.build(&schema["properties"][key], rest, leaf))),
                }
                Value::Object(object)
            }
            Step::Item => json!([self.build(&schema["items"], rest, leaf)]),
            Step::Entry => json!({ENTRY: self.build(&schema["additionalProperties"], rest, leaf)}),
            Step::Form(number) => self.build(&forms(&schema)[*number], rest, leaf),
        }
    }

    /// A value that fits, with nothing in it that may be left out. `name` is the key that it stands under.
    pub fn sample(&self, schema: &Value, name: &str) -> Value {
        if let Some(known) = reference(schema).and_then(|known| known_type(&known)) {
            return known;
        }
        let schema = self.resolve(schema);
        if let Some(id) = schema["x-id"].as_str() {
            return Value::from((self.id)(id));
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
            return first.clone();
        }
        if let Some(form) = forms(&schema).first() {
            return self.sample(form, name);
        }
        match types(&schema).first().map(String::as_str) {
            Some("object") => {
                let required = schema["required"].as_array().cloned().unwrap_or_default();
                let keys = required.iter().filter_map(Value::as_str);
                keys.map(|key| (key.to_owned(), self.sample(&schema["properties"][key], key))).collect()
            }
            Some("array") => json!([self.sample(&schema["items"], name)]),
            Some("boolean") => json!(true),
            Some("integer" | "number") => {
                schema.get("minimum").cloned().filter(|least| *least != 0).unwrap_or(json!(1))
            }
            Some("string") => known_text(name, schema["format"].as_str().unwrap_or_default()),
            _ => json!("anything"),
        }
    }
}

/// The names of the JSON types that a schema allows.
pub fn types(schema: &Value) -> Vec<String> {
    match &schema["type"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The alternatives of a schema.
pub fn forms(schema: &Value) -> Vec<Value> {
    let forms = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    forms.cloned().unwrap_or_default()
}

fn nullable(schema: &Value) -> bool {
    forms(schema).iter().any(|form| form["type"] == "null")
}

fn reference(schema: &Value) -> Option<String> {
    let of = |schema: &Value| schema["$ref"].as_str()?.rsplit('/').next().map(str::to_owned);
    of(schema).or_else(|| forms(schema).iter().find_map(of).filter(|_| nullable(schema)))
}

/// Types whose schema does not say all that makes them right.
fn known_type(name: &str) -> Option<Value> {
    Some(match name {
        "Phone" => json!("+5511999990001"),
        "Tag" => json!("vip"),
        "Slug" => json!("acme-two"),
        "CustomFieldKey" => json!("plan"),
        "TimeOfDay" => json!("09:00"),
        "Currency" => json!("BRL"),
        "Region" => json!("BR"),
        "FilterExpression" => json!({"field": "created_at", "op": "is_not_null"}),
        "Address" => json!({"city": "São Paulo", "country": "BR"}),
        _ => return None,
    })
}

/// Texts with rules that a schema does not tell.
fn known_text(name: &str, format: &str) -> Value {
    Value::from(match (format, name) {
        ("uuid", _) => "0190b6f0-0000-7000-8000-000000000001",
        ("email", _) | (_, "email") => "carla@example.com",
        ("date-time", _) => "2025-01-06T08:00:00Z",
        ("date", _) => "2025-01-06",
        ("uri", _) => "https://example.com/a.png",
        ("iana-timezone", _) => "America/Sao_Paulo",
        ("bcp47", _) => "pt-BR",
        ("iso-4217", _) => "BRL",
        ("iso-3166-1-alpha-2", _) => "BR",
        (_, "phone") => "+5511999990001",
        (_, "type") => "waha",
        (_, "code") => "waha",
        (_, "gateway") => "waha",
        (_, "emoji") => "👍",
        (_, "reason") => "because",
        (_, "confirm_slug") => "acme",
        _ => "text",
    })
}
