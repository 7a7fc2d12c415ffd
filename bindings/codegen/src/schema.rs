//! Questions about a JSON schema.

use serde_json::{Map, Value};

/// The field that tells the records of a union apart.
pub const TAG: &str = "type";

/// `add_tag`, `message.received` and `Page<Contact>` as the name of a type.
pub fn pascal(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}

/// The first line that a schema says about itself, and all that follows.
pub fn doc(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().trim().to_owned()
}

pub(crate) fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or_default()
}

pub(crate) fn strings(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(crate) fn alternatives(map: &Map<String, Value>) -> Option<&Vec<Value>> {
    map.get("oneOf").or_else(|| map.get("anyOf")).and_then(Value::as_array)
}

pub(crate) fn alternatives_of(schema: &Value) -> Option<&Vec<Value>> {
    schema.as_object().and_then(alternatives)
}

/// The texts of an `enum` or `const` with their meaning.
pub(crate) fn texts(schema: &Value) -> Option<Vec<(String, String)>> {
    let list = schema.get("enum").and_then(Value::as_array).cloned();
    let list = list.or_else(|| schema.get("const").map(|one| vec![one.clone()]))?;
    let about = if list.len() == 1 { doc(schema) } else { String::new() };
    list.iter()
        .filter(|one| !one.is_null())
        .map(|one| one.as_str().map(|text| (text.to_owned(), about.clone())))
        .collect()
}

pub(crate) fn tag_of(schema: &Value) -> Option<&str> {
    schema.get("properties")?.get(TAG)?.get("const")?.as_str()
}

/// The item's schema, when this is a page: `items` and `next_cursor`.
pub(crate) fn item_of_page(schema: &Value) -> Option<&Value> {
    let fields = schema.get("properties")?.as_object()?;
    let known = ["items", "next_cursor", "prev_cursor", "has_more", "total"];
    let page = fields.contains_key("next_cursor") && fields.keys().all(|key| known.contains(&key.as_str()));
    page.then(|| fields.get("items")?.get("items")).flatten()
}

/// The alternatives, when all are records without a tag: their keys tell them apart.
pub(crate) fn forms(schema: &Value) -> Option<&Vec<Value>> {
    let choices = schema.as_object().and_then(alternatives)?;
    let plain = |choice: &Value| choice.get("properties").is_some() && tag_of(choice).is_none();
    (choices.len() > 1 && choices.iter().all(plain)).then_some(choices)
}

/// What a form is recognised by: its first required key.
pub(crate) fn key_of(schema: &Value) -> Option<&str> {
    schema.get("required")?.as_array()?.first()?.as_str()
}
