//! What is posted: the event in the form of CloudEvents 1.0. The same stored event gives the same bytes.

use super::BodyMode;
use crate::engine::CloudEvent;
use crate::kernel::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A body that would be longer goes without its data.
pub(super) const MAX_BODY: usize = 256 * 1024;

/// The attributes of an event with what only deliveries have.
#[derive(Serialize)]
struct Body<'e> {
    #[serde(flatten)]
    attributes: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'e RawValue>,
    #[serde(skip_serializing_if = "is_false")]
    test: bool,
    #[serde(skip_serializing_if = "is_false")]
    thin: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Renders an event.
///
/// # Errors
/// `internal` when the event does not serialise, which would be a defect.
pub(super) fn render(mut event: CloudEvent, mode: BodyMode, is_test: bool) -> Result<Vec<u8>> {
    let broken = |e: serde_json::Error| Error::internal(format!("an event does not serialise: {e}"));
    let stored = std::mem::replace(&mut event.data, RawValue::NULL.to_owned());
    let mut attributes = serde_json::to_value(event).map_err(broken)?;
    if let Some(object) = attributes.as_object_mut() {
        object.remove("data");
    }
    let clean = without_secrets(&stored).map_err(broken)?;
    let mut body = Body { attributes, data: Some(clean.as_deref().unwrap_or(&stored)), test: is_test, thin: false };
    if mode == BodyMode::Full {
        let bytes = serde_json::to_vec(&body).map_err(broken)?;
        if bytes.len() <= MAX_BODY {
            return Ok(bytes);
        }
    }
    (body.data, body.thin) = (None, true);
    serde_json::to_vec(&body).map_err(broken)
}

/// The data without references to secrets; `None` when there are none, so that they stay byte for byte.
fn without_secrets(data: &RawValue) -> serde_json::Result<Option<Box<RawValue>>> {
    if !data.get().contains("\"secret_id\"") {
        return Ok(None);
    }
    let mut value: Value = serde_json::from_str(data.get())?;
    drop_secrets(&mut value);
    serde_json::value::to_raw_value(&value).map(Some)
}

fn is_secret(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.contains_key("secret_id") && object.contains_key("revision"))
}

fn drop_secrets(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, inner| !is_secret(inner));
            object.values_mut().for_each(drop_secrets);
        }
        Value::Array(values) => {
            values.retain(|inner| !is_secret(inner));
            values.iter_mut().for_each(drop_secrets);
        }
        _ => {}
    }
}
