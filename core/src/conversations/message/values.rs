//! Words of a message: direction, status, source, placement, failure.

use crate::kernel::{AgentId, ContactId, Timestamp};
use crate::text_enum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use crate::conversations::metrics::SessionMetrics as Metrics;

text_enum! {
    /// Which way it went.
    pub enum Direction {
        Inbound = "inbound",
        Outbound = "outbound",
        /// A notice of the system.
        Internal = "internal",
    }
}

text_enum! {
    /// How far it has come.
    pub enum MessageStatus {
        /// Inbound, at rest.
        Received = "received",
        /// Waits for its time.
        Scheduled = "scheduled",
        /// Waits to go out.
        Queued = "queued",
        /// A try is under way.
        Sending = "sending",
        /// The provider accepted it.
        Sent = "sent",
        Delivered = "delivered",
        Read = "read",
        /// Voice and audio only.
        Played = "played",
        Failed = "failed",
        Cancelled = "cancelled",
        /// Its time passed before it went out.
        Expired = "expired",
    }
}

impl MessageStatus {
    /// Its place among acknowledgements; only a higher one changes anything.
    pub const fn rank(self) -> Option<u8> {
        match self {
            MessageStatus::Queued => Some(0),
            MessageStatus::Sending | MessageStatus::Failed => Some(1),
            MessageStatus::Sent => Some(2),
            MessageStatus::Delivered => Some(3),
            MessageStatus::Read => Some(4),
            MessageStatus::Played => Some(5),
            _ => None,
        }
    }

    /// It was withdrawn or never went out, so it does not count in its session.
    pub const fn counts(self) -> bool {
        !matches!(
            self,
            MessageStatus::Failed | MessageStatus::Cancelled | MessageStatus::Expired | MessageStatus::Scheduled
        )
    }
}

text_enum! {
    /// Who or what made it.
    pub enum MessageSource {
        /// The contact, inbound.
        Contact = "contact",
        /// A human agent.
        Manual = "manual",
        /// Typed on the paired phone or another client.
        Device = "device",
        Broadcast = "broadcast",
        Campaign = "campaign",
        Sequence = "sequence",
        /// A rule of a pipeline.
        Trigger = "trigger",
        Bot = "bot",
        System = "system",
        Webhook = "webhook",
        Scheduled = "scheduled",
        Test = "test",
        HistoryImport = "history_import",
    }
}

impl MessageSource {
    /// Somebody or something on our side can give it when sending.
    pub const fn can_send(self) -> bool {
        !matches!(self, Self::Contact | Self::Device | Self::HistoryImport)
    }

    /// Answers the contact: sets response times and clears unread counts.
    pub const fn is_response(self) -> bool {
        matches!(self, Self::Manual | Self::Device | Self::Scheduled | Self::Bot)
    }

    /// A person wrote it.
    pub const fn is_human_response(self) -> bool {
        matches!(self, Self::Manual | Self::Device | Self::Scheduled)
    }

    /// Starts a session where none is active.
    pub const fn opens_session(self) -> bool {
        matches!(self, Self::Contact | Self::Manual | Self::Device | Self::Scheduled | Self::Bot)
    }

    /// The code of the system agent that a message without an agent is attributed to.
    pub const fn system_agent(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Sequence => "sequence",
            Self::Trigger => "trigger",
            Self::Webhook => "webhook",
            Self::Scheduled => "scheduled",
            Self::Test => "test",
            _ => "default",
        }
    }
}

text_enum! {
    /// How urgently it goes out.
    pub enum Priority {
        Low = "low",
        Normal = "normal",
        High = "high",
        /// Jumps the queue.
        Urgent = "urgent",
    }
}

impl Priority {
    /// Its turn in the queue: the lowest number first.
    pub const fn dispatch_rank(self) -> u8 {
        match self {
            Priority::Urgent => 0,
            Priority::High => 1,
            Priority::Normal => 2,
            Priority::Low => 3,
        }
    }
}

text_enum! {
    /// Why a message was put into the queue again.
    pub enum QueuedCause {
        Released = "released",
        Retried = "retried",
    }
}

text_enum! {
    /// Which side read or played it.
    pub enum Reader {
        Contact = "contact",
        Agent = "agent",
    }
}

text_enum! {
    /// Why a send failed.
    pub enum FailureCode {
        Timeout = "timeout",
        ProviderError = "provider_error",
        RateLimited = "rate_limited",
        ChannelDisconnected = "channel_disconnected",
        InvalidRecipient = "invalid_recipient",
        RecipientBlocked = "recipient_blocked",
        UnsupportedType = "unsupported_type",
        MediaRejected = "media_rejected",
        ReplyWindowClosed = "reply_window_closed",
        AuthFailed = "auth_failed",
        /// Sent, but nothing says whether it arrived at the provider.
        Unconfirmed = "unconfirmed",
        Unknown = "unknown",
    }
}

impl FailureCode {
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Timeout | Self::ProviderError | Self::RateLimited | Self::ChannelDisconnected | Self::Unconfirmed
        )
    }
}

/// Why a send failed, in detail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    pub code: FailureCode,
    /// At most 1 000 characters.
    pub reason: String,
    pub retryable: bool,
    #[serde(default)]
    pub provider_code: Option<String>,
}

/// One side of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Party {
    Contact {
        id: ContactId,
    },
    Agent {
        id: AgentId,
    },
    /// The paired phone or another client of ours.
    Device,
    System,
}

impl Party {
    /// The contact, when it is one.
    pub const fn contact_id(&self) -> Option<ContactId> {
        match self {
            Party::Contact { id } => Some(*id),
            _ => None,
        }
    }

    /// On our side of the line.
    pub const fn is_ours(&self) -> bool {
        !matches!(self, Party::Contact { .. })
    }
}

/// An emoji under a message; one per party.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reaction {
    pub actor: Party,
    /// 1 to 32 bytes.
    pub emoji: String,
    pub at: Timestamp,
}

/// How a message entered its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    /// It arrived after the session had moved on.
    pub late: bool,
    /// The session now starts here, because the message is older than its start.
    pub started_at: Option<Timestamp>,
    /// The session, ended by silence, now ends here.
    pub ended_at: Option<Timestamp>,
}

text_enum! {
    /// What made a message.
    pub enum OriginKind {
        BroadcastExecution = "broadcast_execution",
        CampaignEnrollment = "campaign_enrollment",
        SequenceEnrollment = "sequence_enrollment",
        AutomationExecution = "automation_execution",
        AgentSession = "agent_session",
        Host = "host",
    }
}

/// The aggregate that made a message and follows its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageOrigin {
    pub kind: OriginKind,
    pub id: Uuid,
}
