//! Notes about a credential. They are shown to whoever may see it, so nothing in them may be a secret.

use super::CredentialType;
use crate::kernel::{Error, ErrorCode, Result, Url};
use serde_json::{Map, Value};

/// Refuses texts under names that secrets have, and what the type reads from its notes and cannot.
///
/// # Errors
/// `metadata_looks_secret`, `url_invalid` and its kin, at the key.
pub(super) fn check(credential_type: CredentialType, metadata: &Map<String, Value>) -> Result<()> {
    refuse_secrets(metadata).map_err(|e| e.at("metadata"))?;
    let needs_url = |key: &str| match key {
        "base_url" => credential_type == CredentialType::WahaInstance,
        "oauth_url" => credential_type.is_oauth(),
        _ => false,
    };
    for (key, value) in metadata.iter().filter(|(key, _)| needs_url(key)) {
        let text = value.as_str().ok_or_else(|| Error::new(ErrorCode::UrlInvalid));
        text.and_then(Url::parse).map_err(|e| e.at(key.as_str()).at("metadata"))?;
    }
    Ok(())
}

fn refuse_secrets(object: &Map<String, Value>) -> Result<()> {
    for (key, value) in object {
        match value {
            Value::String(_) if looks_secret(key) => {
                return Err(Error::new(ErrorCode::MetadataLooksSecret).at(key.as_str()));
            }
            Value::Object(inner) => refuse_secrets(inner).map_err(|e| e.at(key.as_str()))?,
            Value::Array(items) => {
                for inner in items.iter().filter_map(Value::as_object) {
                    refuse_secrets(inner).map_err(|e| e.at(key.as_str()))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn looks_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "password", "token"].iter().any(|word| key.contains(word)) || key.ends_with("key")
}
