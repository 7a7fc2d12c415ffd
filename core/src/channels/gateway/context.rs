//! What an adapter is told about the channel that it reads for.

use crate::kernel::{Phone, SecretBytes, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Our own line at the provider. Its ids never become ids of a contact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct OwnIdentity {
    pub wid: Option<String>,
    pub lid: Option<String>,
    pub jid: Option<String>,
    pub phone: Option<Phone>,
    pub username: Option<String>,
    pub display_name: Option<String>,
    pub about: Option<String>,
    pub picture_url: Option<String>,
}

/// A snapshot of the channel for one call.
#[derive(Clone)]
pub struct GatewayContext {
    /// The channel's name at the provider; for WAHA the session. None while nobody said which: any will do.
    pub external_id: Option<String>,
    pub identity: OwnIdentity,
    /// Addresses of the gateway itself: files below them are fetched with its credentials.
    pub base_urls: Vec<String>,
    /// The key that the provider signs deliveries with.
    pub webhook_hmac_key: Option<SecretBytes>,
    /// When the delivery was received; stands in where the provider tells no time.
    pub now: Timestamp,
}

impl GatewayContext {
    pub fn new(external_id: impl Into<String>, now: Timestamp) -> Self {
        GatewayContext {
            external_id: Some(external_id.into()),
            identity: OwnIdentity::default(),
            base_urls: Vec::new(),
            webhook_hmac_key: None,
            now,
        }
    }
}

impl GatewayContext {
    /// For a line whose name at the provider is not known yet.
    pub fn any(now: Timestamp) -> Self {
        GatewayContext { external_id: None, ..GatewayContext::new(String::new(), now) }
    }
}

impl std::fmt::Debug for GatewayContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayContext")
            .field("external_id", &self.external_id)
            .field("identity", &self.identity)
            .field("base_urls", &self.base_urls)
            .field("webhook_hmac_key", &self.webhook_hmac_key.as_ref().map(|_| "redacted"))
            .field("now", &self.now)
            .finish()
    }
}

/// The headers of a delivery; names are matched without case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(found.1.trim())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(headers: I) -> Self {
        Headers(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
