//! Words of a session: its status, why it ended, where its timeout came from.

use crate::kernel::{AgentId, Money, Timestamp};
use crate::text_enum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

text_enum! {
    /// Whether it goes on.
    pub enum SessionStatus {
        Active = "active",
        #[serde(alias = "expired", alias = "manually_closed")]
        Ended = "ended",
        /// Absorbed by another session.
        Merged = "merged",
    }
}

text_enum! {
    /// Why it ended. Everything but silence is a decision, and no message is attached across it.
    pub enum EndReason {
        InactivityTimeout = "inactivity_timeout",
        ManualClose = "manual_close",
        ContactRequest = "contact_request",
        AgentClose = "agent_close",
        SystemClose = "system_close",
        Transferred = "transferred",
        ChatClosed = "chat_closed",
        ChannelRemoved = "channel_removed",
        ContactRemoved = "contact_removed",
    }
}

text_enum! {
    /// How the person felt.
    pub enum Sentiment {
        Positive = "positive",
        Neutral = "neutral",
        Negative = "negative",
        Mixed = "mixed",
    }
}

text_enum! {
    /// Which setting decided the timeout.
    pub enum TimeoutSource {
        Pipeline = "pipeline",
        Channel = "channel",
        Project = "project",
        SystemDefault = "system_default",
        /// Somebody set it on the session.
        Manual = "manual",
        Import = "import",
    }
}

text_enum! {
    /// What led to an assignment.
    pub enum AssignmentSource {
        Manual = "manual",
        Automatic = "automatic",
        ReassignmentInactivity = "reassignment_inactivity",
        ReassignmentNoResponse = "reassignment_no_response",
        ReassignmentWorkload = "reassignment_workload",
        ReassignmentManual = "reassignment_manual",
        System = "system",
    }
}

text_enum! {
    /// Who opened it.
    pub enum Origin {
        Inbound = "inbound",
        Outbound = "outbound",
        Import = "import",
        Manual = "manual",
    }
}

text_enum! {
    /// With one contact or with many.
    pub enum SessionKind {
        Direct = "direct",
        Group = "group",
    }
}

text_enum! {
    /// How far a conversation had come when the contact stopped answering.
    pub enum AbandonStage {
        /// The contact never wrote.
        NeverReplied = "never_replied",
        /// Fewer than 4 messages.
        Early = "early",
        /// 4 to 9 messages.
        Mid = "mid",
        /// 10 messages or more.
        Late = "late",
    }
}

text_enum! {
    /// What brought an ended session back.
    pub enum ReopenCause {
        /// A message that was under way when the session fell silent.
        LateMessage = "late_message",
        Person = "person",
    }
}

/// Attention of somebody higher up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Escalation {
    /// 1 to 5.
    pub level: u8,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub reason: String,
    pub to_agent_id: Option<AgentId>,
    pub at: Timestamp,
}

/// What came of a session, commercially.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conversion {
    pub value: Option<Money>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub note: Option<String>,
    pub at: Timestamp,
}
