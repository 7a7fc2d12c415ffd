//! Everything that can arrive from a provider, one struct each.

use super::{AckSignal, ChatRef, Identifiers, InboundMessage, OwnIdentity};
use crate::kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an item comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ProviderEvent {
    /// The provider's own id of the delivery.
    pub provider_event_id: Option<String>,
    /// When it happened at the provider.
    pub provider_at: Option<Timestamp>,
    /// The provider's word for the kind, for example `message.any`.
    #[serde(default)]
    pub raw_kind: String,
}

/// One thing that happened at the provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum InboundItem {
    Message(Box<InboundMessage>),
    Ack(InboundAck),
    Reaction(InboundReaction),
    Edit(InboundEdit),
    Revoke(InboundRevoke),
    ConnectionStatus(InboundConnectionStatus),
    LabelChange(InboundLabelChange),
    ChatLabelChange(InboundChatLabelChange),
    GroupChange(InboundGroupChange),
    Call(InboundCall),
    Challenge(InboundChallenge),
    Identity(InboundIdentity),
    ContactProfile(InboundContactProfile),
    Presence(InboundPresence),
    PollVote(InboundPollVote),
    ChatArchive(InboundChatArchive),
    Unknown(InboundUnknown),
}

impl InboundItem {
    /// The wire form of the kind, for example `message`.
    pub const fn kind(&self) -> &'static str {
        match self {
            InboundItem::Message(_) => "message",
            InboundItem::Ack(_) => "ack",
            InboundItem::Reaction(_) => "reaction",
            InboundItem::Edit(_) => "edit",
            InboundItem::Revoke(_) => "revoke",
            InboundItem::ConnectionStatus(_) => "connection_status",
            InboundItem::LabelChange(_) => "label_change",
            InboundItem::ChatLabelChange(_) => "chat_label_change",
            InboundItem::GroupChange(_) => "group_change",
            InboundItem::Call(_) => "call",
            InboundItem::Challenge(_) => "challenge",
            InboundItem::Identity(_) => "identity",
            InboundItem::ContactProfile(_) => "contact_profile",
            InboundItem::Presence(_) => "presence",
            InboundItem::PollVote(_) => "poll_vote",
            InboundItem::ChatArchive(_) => "chat_archive",
            InboundItem::Unknown(_) => "unknown",
        }
    }

    pub const fn provider(&self) -> &ProviderEvent {
        match self {
            InboundItem::Message(item) => &item.provider,
            InboundItem::Ack(item) => &item.provider,
            InboundItem::Reaction(item) => &item.provider,
            InboundItem::Edit(item) => &item.provider,
            InboundItem::Revoke(item) => &item.provider,
            InboundItem::ConnectionStatus(item) => &item.provider,
            InboundItem::LabelChange(item) => &item.provider,
            InboundItem::ChatLabelChange(item) => &item.provider,
            InboundItem::GroupChange(item) => &item.provider,
            InboundItem::Call(item) => &item.provider,
            InboundItem::Challenge(item) => &item.provider,
            InboundItem::Identity(item) => &item.provider,
            InboundItem::ContactProfile(item) => &item.provider,
            InboundItem::Presence(item) => &item.provider,
            InboundItem::PollVote(item) => &item.provider,
            InboundItem::ChatArchive(item) => &item.provider,
            InboundItem::Unknown(item) => &item.provider,
        }
    }

    /// The chat it happened in, when it names one.
    pub fn chat(&self) -> Option<&ChatRef> {
        match self {
            InboundItem::Message(item) => Some(&item.chat),
            InboundItem::Ack(item) => item.chat.as_ref(),
            InboundItem::Reaction(item) => item.chat.as_ref(),
            InboundItem::Edit(item) => item.chat.as_ref(),
            InboundItem::Revoke(item) => item.chat.as_ref(),
            InboundItem::ChatLabelChange(item) => Some(&item.chat),
            InboundItem::GroupChange(item) => Some(&item.chat),
            InboundItem::Presence(item) => item.chat.as_ref(),
            InboundItem::PollVote(item) => item.chat.as_ref(),
            InboundItem::ChatArchive(item) => Some(&item.chat),
            _ => None,
        }
    }
}

/// A message came further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundAck {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub channel_message_id: String,
    pub chat: Option<ChatRef>,
    /// Who received, read or played it, in a group.
    pub participant: Option<Identifiers>,
    pub signal: AckSignal,
    pub provider_code: Option<String>,
    pub at: Timestamp,
}

/// Somebody reacted to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundReaction {
    #[serde(default)]
    pub provider: ProviderEvent,
    /// The message reacted to.
    pub target_channel_message_id: String,
    pub chat: Option<ChatRef>,
    pub from_me: bool,
    pub by: Identifiers,
    /// None takes the reaction back.
    pub emoji: Option<String>,
    pub at: Timestamp,
}

/// The author changed the text of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundEdit {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub target_channel_message_id: String,
    pub chat: Option<ChatRef>,
    pub from_me: bool,
    pub by: Identifiers,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub text: String,
    pub at: Timestamp,
}

/// For whom a message was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevokeReach {
    Everyone,
    Me,
}

/// The author, or an admin of the group, took a message back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundRevoke {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub target_channel_message_id: String,
    pub chat: Option<ChatRef>,
    pub from_me: bool,
    pub by: Identifiers,
    #[serde(rename = "for")]
    pub reach: RevokeReach,
    pub at: Timestamp,
}

/// The state of the connection between the provider and the paired account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    #[default]
    Unknown,
    Starting,
    /// Waits for somebody to scan a code.
    AwaitingScan,
    /// Waits for somebody to confirm on the phone.
    AwaitingConfirmation,
    Connected,
    Stopped,
    Failed,
    Unauthorized,
}

/// The connection changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundConnectionStatus {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub state: ConnectionState,
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// A label as the provider keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderLabel {
    pub id: String,
    pub name: String,
    /// Place in the provider's palette.
    pub color: Option<u8>,
    /// Upper case, `#RRGGBB`.
    pub color_hex: Option<String>,
}

/// A label was made, changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundLabelChange {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub label_id: String,
    /// None: deleted.
    pub label: Option<ProviderLabel>,
}

/// Whether a label was put on or taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LabelAssignment {
    Added,
    Removed,
}

/// A label was put on a chat or taken off it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundChatLabelChange {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub chat: ChatRef,
    pub label_id: String,
    pub change: LabelAssignment,
    /// The label itself, when the provider tells it.
    pub label: Option<ProviderLabel>,
}

/// What happened to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupAction {
    /// Our line joined.
    Joined,
    /// Our line left.
    Left,
    Updated,
    ParticipantsJoined,
    ParticipantsLeft,
    ParticipantsPromoted,
    ParticipantsDemoted,
}

/// Standing of a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupRole {
    Left,
    #[default]
    Participant,
    Admin,
    Superadmin,
}

/// Somebody in a group; our own line is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupParticipant {
    pub identifiers: Identifiers,
    #[serde(default)]
    pub role: GroupRole,
}

/// A group, or who is in it, changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundGroupChange {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub chat: ChatRef,
    pub action: GroupAction,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub subject: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub description: Option<String>,
    #[serde(default)]
    pub participants: Vec<GroupParticipant>,
    pub at: Timestamp,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InboundCallState {
    Received,
    Accepted,
    Rejected,
    Missed,
}

/// Somebody called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundCall {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub call_id: String,
    pub from: Identifiers,
    pub state: InboundCallState,
    #[serde(default)]
    pub video: bool,
    #[serde(default)]
    pub group: bool,
    pub at: Timestamp,
}

/// What a person must do to pair the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChallengeKind {
    Qr,
    PairingCode,
    Passkey,
}

/// Something to scan or to type.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Challenge {
    pub kind: ChallengeKind,
    /// Opens the account to whoever holds it: show it, never store it.
    pub value: String,
    /// `image/png` in base64, `text`, ...
    pub format: String,
    pub ttl_s: u32,
}

impl std::fmt::Debug for Challenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Challenge { kind, value: _, format, ttl_s } = self;
        f.debug_struct("Challenge").field("kind", kind).field("format", format).field("ttl_s", ttl_s).finish()
    }
}

/// The provider asks for pairing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundChallenge {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub challenge: Challenge,
}

/// Our own line is known under other ids or another name than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundIdentity {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub identity: OwnIdentity,
}

/// Somebody changed their profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundContactProfile {
    #[serde(default)]
    pub provider: ProviderEvent,
    /// With the new names.
    pub identifiers: Identifiers,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub picture_url: Option<String>,
}

/// What somebody is doing right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresenceState {
    Online,
    Offline,
    Typing,
    Recording,
    Paused,
}

/// Somebody is there, or types. Handed to the host, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundPresence {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub chat: Option<ChatRef>,
    pub identifiers: Identifiers,
    pub state: PresenceState,
    pub last_seen: Option<Timestamp>,
}

/// Somebody voted in a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundPollVote {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub poll_channel_message_id: String,
    pub chat: Option<ChatRef>,
    pub from_me: bool,
    pub by: Identifiers,
    /// All options chosen now; empty takes the vote back.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub options: Vec<String>,
    pub at: Timestamp,
}

/// A chat was archived or fetched back on the phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundChatArchive {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub chat: ChatRef,
    pub archived: bool,
    pub at: Timestamp,
}

/// Why an item says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// The body is not what the provider documents; the intake keeps it as dead.
    Unparseable,
    /// A message without an id, or without any id of its author.
    NoMessageId,
    /// A known kind that lacks what it is about.
    Incomplete,
    /// A kind that this version has never heard of.
    UnknownKind,
}

/// Something that cannot be read; its raw form is kept by the intake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct InboundUnknown {
    #[serde(default)]
    pub provider: ProviderEvent,
    pub reason: UnknownReason,
}
