//! Headers of a caller's own: which names and values are allowed.

use crate::kernel::{Error, ErrorCode, Result, SecretText};
use std::collections::BTreeMap;

/// The most headers of one webhook.
const MAX_HEADERS: usize = 20;
const MAX_VALUE: usize = 1024;
const RESERVED: [&str; 6] = ["host", "user-agent", "connection", "transfer-encoding", "cookie", "accept-encoding"];
const RESERVED_FAMILIES: [&str; 4] = ["content-", "webhook-", "ce-", "x-webhook-"];

/// Headers as a caller gives them, by name. The values are secrets.
pub type HeaderValues = BTreeMap<String, SecretText>;

/// # Errors
/// `webhook_header_invalid`, `webhook_header_reserved`, at the name.
pub(super) fn check(headers: &HeaderValues) -> Result<()> {
    if headers.len() > MAX_HEADERS {
        return Err(Error::new(ErrorCode::WebhookHeaderInvalid)
            .with("max", MAX_HEADERS)
            .with("current", headers.len()));
    }
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let is_name = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let text = value.expose();
        let is_value = (1..=MAX_VALUE).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        // Many a receiver takes the first of two, many the last.
        if !is_name || !is_value || seen.contains(&lower) {
            return Err(Error::new(ErrorCode::WebhookHeaderInvalid).at(name.as_str()));
        }
        if RESERVED.contains(&lower.as_str()) || RESERVED_FAMILIES.iter().any(|family| lower.starts_with(family)) {
            return Err(Error::new(ErrorCode::WebhookHeaderReserved).at(name.as_str()));
        }
        seen.push(lower);
    }
    Ok(())
}
