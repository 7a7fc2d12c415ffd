//! The file of a message: where it lies and what is known about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaState {
    /// At the provider, behind `url`.
    #[default]
    Remote,
    /// The host copied it; `storage_key` names the copy.
    Stored,
    /// Announced, but no link yet.
    Pending,
    /// Lost or expired.
    Unavailable,
}

/// A file that belongs to a message. Core never fetches it; the host does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Media {
    /// Absolute `http` or `https` address, at most 2 048 characters. Providers' links may expire.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub url: Option<String>,
    /// Lower case, parameters kept: `audio/ogg; codecs=opus`.
    pub mime: Option<String>,
    /// At most 255 characters.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub filename: Option<String>,
    pub size_bytes: Option<u64>,
    pub duration_ms: Option<u64>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// Of the decrypted file, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// The host's own name of its copy.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub storage_key: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub thumbnail_url: Option<String>,
    #[serde(default)]
    pub state: MediaState,
}
