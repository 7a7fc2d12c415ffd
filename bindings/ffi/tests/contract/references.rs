//! `${ana.id}`: a place in what an earlier step answered.

use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Names(BTreeMap<String, Value>);

impl Names {
    pub fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// The value with every reference in its texts replaced. `{"repeat": text, "times": n}` is a long text,
    /// `{"each": item, "times": n}` a long list in which `#` is the number of the item.
    pub fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().map(|item| self.resolve(item)).collect(),
            Value::Object(fields) => {
                match (fields.get("repeat"), fields.get("each"), fields.get("times").and_then(Value::as_u64)) {
                    (Some(Value::String(text)), _, Some(times)) => text.repeat(usize::try_from(times).unwrap()).into(),
                    (_, Some(item), Some(times)) => (0..times).map(|number| numbered(item, number)).collect(),
                    _ => fields.iter().map(|(name, value)| (name.clone(), self.resolve(value))).collect(),
                }
            }
            other => other.clone(),
        }
    }

    /// A text that is one reference stands for the value itself.
    fn text(&self, text: &str) -> Value {
        match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|path| !path.contains('$')) {
            Some(path) => self.find(path).clone(),
            None => match text.split_once("${") {
                None => text.into(),
                Some((before, rest)) => {
                    let (path, after) = rest.split_once('}').expect("a reference ends");
                    let found = self.find(path).as_str().expect("a reference inside a text is a text");
                    self.text(&format!("{before}{found}{after}"))
                }
            },
        }
    }

    fn find(&self, path: &str) -> &Value {
        let mut parts = path.split('.');
        let name = parts.next().unwrap_or_default();
        let root = self.0.get(name).unwrap_or_else(|| panic!("nothing is named {name}"));
        parts.fold(root, |value, part| match part.parse::<usize>() {
            Ok(index) => &value[index],
            Err(_) => &value[part],
        })
    }
}

/// The item with its number in four digits for `####`, else for `#`, in its texts.
pub fn numbered(item: &Value, number: u64) -> Value {
    match item {
        Value::String(text) => text.replace("####", &format!("{number:04}")).replace('#', &number.to_string()).into(),
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), numbered(value, number))).collect(),
        other => other.clone(),
    }
}
