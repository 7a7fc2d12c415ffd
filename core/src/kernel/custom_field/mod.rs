//! Custom fields: typed values that a project adds to its contacts, sessions, chats and pipelines.

mod definition;
mod fields;
mod value;

pub use definition::CustomFieldDefinition;
pub use fields::{CustomField, CustomFieldInput, CustomFieldRules, CustomFields};
pub use value::{CustomValue, DateValue};

use super::error::{Error, ErrorCode, Result};
use serde_json::{Value, json};

crate::text_enum! {
    /// The type of a custom field; it never changes once a value is stored.
    pub enum CustomFieldType {
        /// At most 4 096 characters.
        Text = "text",
        /// A decimal of at most 28 digits, stored exactly.
        Number = "number",
        /// True or false.
        Boolean = "boolean",
        /// A day or an instant; compares as an instant, a day as its midnight in UTC.
        Date = "date",
        /// One of the definition's options.
        Select = "select",
        /// Some of the definition's options.
        MultiSelect = "multi_select",
        /// Ids of labels of the owning channel.
        Label = "label",
        /// A web address.
        Url = "url",
        /// An e-mail address.
        Email = "email",
        /// A telephone number; a national one is read with the project's region.
        Phone = "phone",
        /// Any object or list.
        Json = "json",
    }
}

impl CustomFieldType {
    /// What an empty field shows; null where nothing would be a value.
    pub fn empty(self) -> Value {
        match self {
            CustomFieldType::Text => json!(""),
            CustomFieldType::Number => json!(0),
            CustomFieldType::Boolean => json!(false),
            CustomFieldType::MultiSelect | CustomFieldType::Label => json!([]),
            CustomFieldType::Json => json!({}),
            CustomFieldType::Date
            | CustomFieldType::Select
            | CustomFieldType::Url
            | CustomFieldType::Email
            | CustomFieldType::Phone => Value::Null,
        }
    }

    /// The type of a value that nobody declared.
    fn infer(value: &Value) -> Option<CustomFieldType> {
        match value {
            Value::Null => None,
            Value::String(_) => Some(CustomFieldType::Text),
            Value::Number(_) => Some(CustomFieldType::Number),
            Value::Bool(_) => Some(CustomFieldType::Boolean),
            Value::Array(items) if items.iter().all(Value::is_string) => Some(CustomFieldType::MultiSelect),
            Value::Array(_) | Value::Object(_) => Some(CustomFieldType::Json),
        }
    }
}

/// The name of a custom field inside its entity: `[a-z][a-z0-9_]{0,62}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomFieldKey(Box<str>);

impl CustomFieldKey {
    /// # Errors
    /// `custom_field_key_required`, `custom_field_key_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(ErrorCode::CustomFieldKeyRequired.into());
        }
        let is_key = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if is_key {
            Ok(CustomFieldKey(text.into()))
        } else {
            Err(Error::new(ErrorCode::CustomFieldKeyInvalid).with("pattern", "[a-z][a-z0-9_]{0,62}"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for CustomFieldKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

super::text_enum::text_value!(CustomFieldKey, {
    "type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$", "description": "The name of a custom field, for example plan."
});

#[cfg(test)]
mod tests;
