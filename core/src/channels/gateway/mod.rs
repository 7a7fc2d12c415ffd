//! The contract with a provider of conversations, inbound half: what arrived, in words that no provider owns.
//!
//! An adapter is pure. It reads bytes and a context and delivers items; it keeps nothing, asks nobody and never fails:
//! what it cannot read becomes one [`InboundItem::Unknown`]. What the CRM makes of the items is the inbound flow.

mod context;
mod history;
mod identifiers;
mod item;
mod message;
pub(crate) mod normalised;
mod outbound;
pub(crate) use normalised::hex;

pub use crate::kernel::SecretBytes;
pub use context::{GatewayContext, Headers, OwnIdentity};
pub use history::{HistoryChat, HistoryEntry, HistoryRange, HistorySource, HistoryWhat};
pub use identifiers::{ChannelUser, ChatClass, ChatKind, ChatRef, Identifiers};
pub use item::{
    Challenge, ChallengeKind, ConnectionState, GroupAction, GroupParticipant, GroupRole, InboundAck, InboundCall,
    InboundCallState, InboundChallenge, InboundChatArchive, InboundChatLabelChange, InboundConnectionStatus,
    InboundContactProfile, InboundEdit, InboundGroupChange, InboundIdentity, InboundItem, InboundLabelChange,
    InboundPollVote, InboundPresence, InboundReaction, InboundRevoke, InboundUnknown, LabelAssignment, PresenceState,
    ProviderEvent, ProviderLabel, RevokeReach, UnknownReason,
};
pub use message::{AckSignal, InboundMessage, MediaFetch, MediaRef, SourceHint};
pub use normalised::{Ignored, IgnoredReason, Normalised, Rejection, Verification};
pub use outbound::{
    ChannelSender, GatewayError, GatewayErrorKind, GatewayLine, MessageTarget, OutboundMessage, Receipt,
};

/// Reads what one provider sends. Adapters are values without state; [`adapter`] finds them by name.
pub trait ChannelAdapter: Send + Sync {
    /// The name that channel types refer to, for example `waha`.
    fn code(&self) -> &'static str;

    /// Proves that `raw` comes from the provider, before anybody reads it. Comparison takes constant time.
    fn verify(&self, context: &GatewayContext, headers: &Headers, raw: &[u8]) -> Verification;

    /// Turns one delivery into items. Same bytes and same context, same items; never panics.
    fn normalise(&self, context: &GatewayContext, headers: &Headers, body: &[u8]) -> Normalised;
}

static ADAPTERS: &[&dyn ChannelAdapter] = &[&super::waha::Waha];

/// The adapter registered under a channel type's gateway name.
pub fn adapter(gateway_name: &str) -> Option<&'static dyn ChannelAdapter> {
    adapters().find(|adapter| adapter.code() == gateway_name)
}

/// All adapters of this build.
pub fn adapters() -> impl Iterator<Item = &'static dyn ChannelAdapter> {
    ADAPTERS.iter().copied()
}

static SENDERS: &[&dyn ChannelSender] = &[&super::waha::Waha];

/// The sender registered under a channel type's gateway name, if this build can send there.
pub fn sender(gateway_name: &str) -> Option<&'static dyn ChannelSender> {
    SENDERS.iter().copied().find(|sender| sender.code() == gateway_name)
}

static SOURCES: &[&dyn HistorySource] = &[&super::waha::Waha];

/// The history registered under a channel type's gateway name, if this build can read one there.
pub fn history(gateway_name: &str) -> Option<&'static dyn HistorySource> {
    SOURCES.iter().copied().find(|source| source.code() == gateway_name)
}

#[cfg(test)]
mod tests;
