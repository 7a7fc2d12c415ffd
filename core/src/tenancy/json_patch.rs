//! A change of single keys of a JSON object that the host owns, so that two writers do not lose each other's keys.

use crate::kernel::{Result, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Keys to set and keys to remove; a key in both is set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JsonPatch {
    pub set: Map<String, Value>,
    pub unset: Vec<String>,
}

impl JsonPatch {
    /// What of the patch really changes `current`; `None` when nothing does.
    ///
    /// # Errors
    /// `json_too_large`, `json_too_deep`, `json_key_invalid` for the outcome.
    pub fn change(self, current: &Map<String, Value>) -> Result<Option<JsonPatch>> {
        let JsonPatch { mut set, mut unset } = self;
        unset.retain(|key| current.contains_key(key) && !set.contains_key(key));
        unset.sort();
        unset.dedup();
        set.retain(|key, value| current.get(key) != Some(value));
        if set.is_empty() && unset.is_empty() {
            return Ok(None);
        }
        text::json_patch(current, set.clone(), &unset)?;
        Ok(Some(JsonPatch { set, unset }))
    }
}
