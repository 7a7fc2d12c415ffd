//! How a field says that it can hold personal data.
//!
//! Every such field of an event or a state is marked in its schema, from its first version on:
//!
//! ```
//! #[derive(serde::Serialize, schemars::JsonSchema)]
//! struct PhoneChanged {
//!     #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
//!     phone: Option<String>,
//! }
//! let schema = schemars::schema_for!(PhoneChanged);
//! assert_eq!(schema.as_value()["properties"]["phone"]["x-pii"], "contact");
//! ```
//!
//! `x-pii` names whose data it is (the aggregate kind: `contact`, `user`, `agent`), `x-pii-kind` what it is; the latter is
//! also the text of the marker that erasure leaves: `{"$redacted": "phone"}`. Folds read the marker as null, and as
//! [`ERASED`] where a text is required.

/// The schema keyword that says whose personal data a field can hold.
pub const SUBJECT: &str = "x-pii";

/// The schema keyword that says what kind of personal data it is.
pub const KIND: &str = "x-pii-kind";

/// The only key of the object that stands where personal data was.
pub const MARKER: &str = "$redacted";

/// What a required text reads after its erasure.
pub const ERASED: &str = "[erased]";

/// Whether a value is the marker of erased data.
pub fn is_redacted(value: &serde_json::Value) -> bool {
    value.as_object().is_some_and(|object| object.len() == 1 && object.contains_key(MARKER))
}

#[cfg(test)]
mod tests {
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Marked {
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
        phone: Option<crate::kernel::ExternalId>,
    }

    #[test]
    fn a_field_of_a_referenced_type_keeps_its_mark() {
        let schema = schemars::schema_for!(Marked);
        let phone = &schema.as_value()["properties"]["phone"];
        assert_eq!((&phone["x-pii"], &phone["x-pii-kind"]), (&"contact".into(), &"phone".into()));
    }

    #[test]
    fn the_marker_is_recognised() {
        assert!(super::is_redacted(&serde_json::json!({"$redacted": "phone"})));
        assert!(!super::is_redacted(&serde_json::json!({"$redacted": "phone", "x": 1})));
    }
}
