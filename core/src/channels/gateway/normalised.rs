//! What reading one delivery gives: items, what was left out and why, and how the intake keeps order.

use super::{InboundItem, ProviderEvent, UnknownReason, item::InboundUnknown};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why something was left out on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IgnoredReason {
    /// Belongs to another line of the same gateway.
    WrongSession,
    /// A story.
    StatusBroadcast,
    /// Talk between devices, not between people.
    ProtocolMessage,
    /// A kind that means nothing to a CRM.
    UnhandledKind,
    /// The same fact arrives as another kind, too.
    DuplicateKind,
    NoMessageId,
}

/// Something left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ignored {
    pub raw_kind: String,
    pub reason: IgnoredReason,
}

/// The result of reading one delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Normalised {
    pub items: Vec<InboundItem>,
    pub ignored: Vec<Ignored>,
    /// The provider's id of the delivery, else the SHA-256 of the body: a second delivery of the same has the same key.
    pub dedupe_key: String,
    /// The chat's external id, or empty: items of one lane keep their order.
    pub lane: String,
}

impl Normalised {
    /// Nothing yet, under the given key or the digest of the body.
    pub fn new(key: Option<&str>, body: &[u8]) -> Self {
        let dedupe_key = match key.map(str::trim) {
            Some(key) if !key.is_empty() => key.to_owned(),
            _ => hex(&Sha256::digest(body)),
        };
        Normalised { items: Vec::new(), ignored: Vec::new(), dedupe_key, lane: String::new() }
    }

    /// Adds an item; the first that names a chat decides the lane.
    pub fn push(&mut self, item: InboundItem) {
        if self.lane.is_empty()
            && let Some(chat) = item.chat()
        {
            self.lane.clone_from(&chat.external_id);
        }
        self.items.push(item);
    }

    pub fn unknown(&mut self, provider: ProviderEvent, reason: UnknownReason) {
        self.items.push(InboundItem::Unknown(InboundUnknown { provider, reason }));
    }

    pub fn ignore(&mut self, raw_kind: impl Into<String>, reason: IgnoredReason) {
        self.ignored.push(Ignored { raw_kind: raw_kind.into(), reason });
    }

    /// The body itself could not be read: the intake keeps such a row as dead.
    pub fn is_unparseable(&self) -> bool {
        self.items
            .iter()
            .any(|item| matches!(item, InboundItem::Unknown(unknown) if unknown.reason == UnknownReason::Unparseable))
    }
}

/// Why a delivery was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    InvalidSignature,
    MissingSignature,
    Replayed,
}

/// Whether a delivery comes from whom it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Verification {
    Verified,
    /// No secret is agreed; the secret address alone protects.
    NotRequired,
    /// Store nothing.
    Rejected {
        reason: Rejection,
    },
}

impl Verification {
    pub const fn is_accepted(self) -> bool {
        matches!(self, Verification::Verified | Verification::NotRequired)
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
