//! The contract with a provider of conversations, outbound half: requests that are built and answers that are read, without a call.

use crate::conversations::content::{Content, Mention};
use crate::engine::Answer;
use crate::http::HttpRequest;
use crate::kernel::{MessageId, Phone, SecretBytes};
use crate::text_enum;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Longest text of a provider that is kept, in characters.
const MAX_MESSAGE: usize = 500;

/// Sends over one provider, and tells it what is done with messages afterwards. Senders are values without state;
/// [`sender`](super::sender) finds them by name. Whether a channel can do a thing is for the caller to see, before it asks.
pub trait ChannelSender: Send + Sync {
    /// The name that channel types refer to, for example `waha`.
    fn code(&self) -> &'static str;

    /// Whether the channel says where its provider is. One that does not is sent over by the host itself.
    fn is_reachable(&self, line: &GatewayLine) -> bool;

    /// Asks for the chat of a telephone number.
    fn resolve(&self, line: &GatewayLine, phone: &Phone) -> Result<HttpRequest, GatewayError>;

    /// The id of the chat that was asked for; `None` when this is no answer to that question.
    fn read_resolved(&self, answer: &Answer) -> Result<Option<String>, GatewayError>;

    /// Sends a message into a chat.
    fn send(&self, line: &GatewayLine, message: &OutboundMessage<'_>) -> Result<HttpRequest, GatewayError>;

    /// What the provider says of a message that was sent.
    fn read_sent(&self, answer: &Answer) -> Result<Receipt, GatewayError>;

    /// Changes the text or caption of a message of ours.
    fn edit(&self, line: &GatewayLine, target: &MessageTarget, text: &str) -> Result<HttpRequest, GatewayError>;

    /// Takes a message of ours back for everyone.
    fn revoke(&self, line: &GatewayLine, target: &MessageTarget) -> Result<HttpRequest, GatewayError>;

    /// Sets the reaction of our side to a message; `None` removes it.
    fn react(
        &self,
        line: &GatewayLine,
        target: &MessageTarget,
        emoji: Option<&str>,
    ) -> Result<HttpRequest, GatewayError>;

    /// Says that our side has seen messages. All are of one chat and, in a group, of one author.
    fn mark_read(&self, line: &GatewayLine, targets: &[MessageTarget]) -> Result<HttpRequest, GatewayError>;

    /// Whether the provider did what was asked of it, where that leaves no receipt. All of that may be asked twice, so nothing of it
    /// is ever ambiguous.
    fn read_done(&self, answer: &Answer) -> Result<(), GatewayError>;
}

/// A channel with everything that a sender has to know of it. It is made just before a call and dropped with it.
#[derive(Clone, Default)]
pub struct GatewayLine {
    /// The channel's name at the provider; for WAHA the session.
    pub external_id: Option<String>,
    pub config: Map<String, Value>,
    pub secrets: BTreeMap<String, SecretBytes>,
}

impl GatewayLine {
    /// A plain setting.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.config.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A secret setting.
    pub fn secret(&self, key: &str) -> Option<&str> {
        self.secrets.get(key).and_then(|secret| std::str::from_utf8(secret.expose()).ok())
    }
}

impl std::fmt::Debug for GatewayLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayLine").field("external_id", &self.external_id).finish_non_exhaustive()
    }
}

/// A message to be sent now.
#[derive(Debug)]
pub struct OutboundMessage<'m> {
    /// The key by which a provider may recognise a repetition: the same for every try.
    pub id: MessageId,
    /// The id of the chat at the provider.
    pub chat: &'m str,
    pub content: &'m Content,
    pub mentions: &'m [Mention],
    /// The message that it answers.
    pub reply_to: Option<MessageTarget>,
}

/// A message as its provider knows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessageTarget {
    /// The id of its chat at the provider.
    pub chat: String,
    pub channel_message_id: String,
    /// It is one of ours.
    pub from_me: bool,
    /// Who wrote it, as the provider named them; our own line's id when it is one of ours. Providers want it in groups.
    pub author: Option<String>,
    /// What the provider told with it, for example its longer id there. People may have changed it.
    pub metadata: Map<String, Value>,
}

/// What a provider says of a message that it took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// None when it is learnt later, from the provider's own report.
    pub channel_message_id: Option<String>,
}

text_enum! {
    /// How a call to a provider failed.
    pub enum GatewayErrorKind {
        /// The credential is refused.
        Auth = "auth",
        /// The line is not connected.
        NotConnected = "not_connected",
        /// What it is about is not known there.
        NotFound = "not_found",
        /// Nobody there has this number.
        InvalidRecipient = "invalid_recipient",
        /// The adapter cannot do this.
        Unsupported = "unsupported",
        /// The file is larger than it takes.
        TooLarge = "too_large",
        /// It does not take what was asked, and never will.
        InvalidRequest = "invalid_request",
        /// It takes no more now.
        RateLimited = "rate_limited",
        /// It cannot be reached, or is in trouble; nothing was sent.
        Unavailable = "unavailable",
        /// It was sent, and nothing says whether it arrived.
        Ambiguous = "ambiguous",
        /// The address must not be called.
        BlockedTarget = "blocked_target",
    }
}

/// Why a provider did not do as asked. The text has at most 500 characters of what the provider said, and no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayError {
    pub kind: GatewayErrorKind,
    pub message: String,
    pub provider_code: Option<String>,
    /// For how long it wants to be left alone, if it says so, in seconds.
    pub retry_after: Option<i64>,
}

impl GatewayError {
    pub fn new(kind: GatewayErrorKind, message: &str) -> Self {
        // Not every store takes every control character, and no terminal should.
        let harmless = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        let message = message.chars().take(MAX_MESSAGE).map(harmless).collect();
        GatewayError { kind, message, provider_code: None, retry_after: None }
    }

    /// With the provider's own code.
    #[must_use]
    pub fn coded(self, code: impl ToString) -> Self {
        GatewayError { provider_code: Some(code.to_string()), ..self }
    }
}
