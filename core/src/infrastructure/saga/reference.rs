//! Values that are filled in when a step begins: `{"$from": "input.email", "default": null}`.

use crate::kernel::{Error, ErrorCode, Result};
use serde_json::{Map, Value};

/// The key that makes an object a reference.
const FROM: &str = "$from";
const DEFAULT: &str = "default";

/// What references can name.
pub(super) struct View<'v> {
    pub input: &'v Value,
    pub data: &'v Map<String, Value>,
    pub saga: &'v Value,
    pub item: Option<&'v Value>,
}

impl View<'_> {
    /// The value with everything filled in.
    ///
    /// # Errors
    /// `input_invalid` for a reference to something that is not there and has no default.
    pub fn fill(&self, template: &Value) -> Result<Value> {
        Ok(match template {
            Value::Object(fields) => match reference(fields) {
                Some(path) => match self.find(path) {
                    Some(found) => found.clone(),
                    None => fields.get(DEFAULT).cloned().ok_or_else(|| {
                        let why = format!("there is nothing at {path}");
                        Error::new(ErrorCode::InputInvalid).at(FROM).with("path", path).message(why)
                    })?,
                },
                None => Value::Object(self.fill_all(fields)?),
            },
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill(item)).collect::<Result<_>>()?),
            plain => plain.clone(),
        })
    }

    pub fn fill_all(&self, fields: &Map<String, Value>) -> Result<Map<String, Value>> {
        fields.iter().map(|(key, value)| Ok((key.clone(), self.fill(value)?))).collect()
    }

    fn find(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split('.');
        let mut found = match parts.next()? {
            "input" => self.input,
            "saga" => self.saga,
            "item" => self.item?,
            "data" => self.data.get(parts.next()?)?,
            _ => return None,
        };
        for part in parts {
            found = match found {
                Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
                other => other.get(part)?,
            };
        }
        Some(found)
    }
}

fn reference(fields: &Map<String, Value>) -> Option<&str> {
    fields.get(FROM).and_then(Value::as_str)
}

/// Refuses references that could never be filled in: to nothing, or to a step that comes later.
///
/// # Errors
/// `input_invalid`.
pub(super) fn check_references(template: &Value, steps: &[&str], has_item: bool) -> Result<()> {
    let wrong = |why: &str| Error::new(ErrorCode::InputInvalid).at(FROM).message(why.to_owned());
    match template {
        Value::Object(fields) if fields.contains_key(FROM) => {
            let Some(path) = reference(fields) else { return Err(wrong("a reference is a text")) };
            if fields.keys().any(|key| key != FROM && key != DEFAULT) {
                return Err(wrong("beside $from there is only default"));
            }
            let mut parts = path.split('.');
            let fits = match parts.next() {
                Some("input" | "saga") => true,
                Some("item") => has_item,
                Some("data") => parts.next().is_some_and(|step| steps.contains(&step)),
                _ => false,
            };
            if fits {
                return Ok(());
            }
            Err(wrong("a reference begins with input, saga, data and an earlier step, or item inside a fan-out"))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            check_references(value, steps, has_item).map_err(|error| error.at(key.clone()))
        }),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(number, item)| {
            check_references(item, steps, has_item).map_err(|error| error.at(format!("[{number}]")))
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_filled_in_wherever_they_stand() {
        let (input, saga) = (json!({"email": "a@b.example", "tags": ["x", "y"]}), json!({"key": "k"}));
        let data = json!({"account": {"id": 7, "none": null}});
        let view = View { input: &input, data: data.as_object().unwrap(), saga: &saga, item: None };
        let template = json!({
            "to": [{"$from": "input.email"}, {"$from": "input.tags.1"}],
            "id": {"$from": "data.account.id"},
            "null": {"$from": "data.account.none"},
            "late": {"$from": "data.later.id", "default": false},
            "plain": {"from": 1},
        });
        let expected = json!({"to": ["a@b.example", "y"], "id": 7, "null": null, "late": false, "plain": {"from": 1}});
        assert_eq!(view.fill(&template).unwrap(), expected);
        let missing = view.fill(&json!({"$from": "input.tags.2"})).unwrap_err();
        assert_eq!(missing.code(), ErrorCode::InputInvalid);
    }

    #[test]
    fn references_that_lead_nowhere_are_refused_with_their_path() {
        let refused = |template: Value| check_references(&template, &["one"], false).unwrap_err();
        assert_eq!(refused(json!({"a": [{"$from": "data.two.id"}]})).field(), Some("a[0].$from"));
        for path in ["output", "data", "item", ""] {
            assert_eq!(refused(json!({"$from": path})).code(), ErrorCode::InputInvalid, "{path}");
        }
        refused(json!({"$from": 1}));
        refused(json!({"$from": "input.a", "fallback": 1}));
        check_references(&json!({"$from": "data.one.id", "default": 1}), &["one"], false).unwrap();
        check_references(&json!({"$from": "item.id"}), &[], true).unwrap();
    }
}
