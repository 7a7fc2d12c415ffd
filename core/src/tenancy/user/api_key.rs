//! API keys: what is kept of them, and how their text is made and read.

use crate::engine::UnitOfWork;
use crate::kernel::{ApiKeyId, PermissionSet, ProjectId, Timestamp};
use crate::tenancy::token;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many keys of a user work at the same time.
pub const MAX_API_KEYS: usize = 20;
const START: &str = "vtk_";
const LOOKUP: usize = 8;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key that stands for its user. Its text is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// The first 12 characters of its text, for people to recognise it by.
    pub prefix: String,
    /// SHA-256 of its text, in lower-case hex.
    pub key_hash: String,
    /// It works in this project only.
    pub project_id: Option<ProjectId>,
    /// Null = everything that the user may; never more than that.
    pub scopes: Option<PermissionSet>,
    pub expires_at: Option<Timestamp>,
    /// Kept at most once an hour.
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// It works no longer from then on; after a rotation that can be in the future.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// The part of the text by which the key is found.
    pub fn lookup(&self) -> &str {
        self.prefix.strip_prefix(START).unwrap_or(&self.prefix)
    }

    pub fn is_revoked_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_some_and(|at| at <= now)
    }

    pub fn is_expired_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Works and will go on working.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && !self.is_expired_at(now)
    }

    /// Whether `text` is the text of this key.
    pub fn matches(&self, text: &str) -> bool {
        token::equal(&self.key_hash, &token::hash(text))
    }
}

/// A new key text of 56 characters: `vtk_`, 8 to find it by, `_`, 43 of secret.
pub(super) fn new_text(work: &UnitOfWork<'_>) -> String {
    let lookup: String =
        work.random::<LOOKUP>().iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect();
    format!("{START}{lookup}_{}", token::text(work))
}

/// What of a key text is kept: prefix and hash.
pub(super) fn kept(text: &str) -> (String, String) {
    (text.chars().take(START.len() + LOOKUP).collect(), token::hash(text))
}

/// The part of a shown text by which its key is found; `None` for what cannot be a key.
pub(super) fn lookup_of(text: &str) -> Option<&str> {
    let (lookup, secret) = text.strip_prefix(START)?.split_at_checked(LOOKUP)?;
    (text.len() == 56 && text.is_ascii() && secret.starts_with('_')).then_some(lookup)
}
