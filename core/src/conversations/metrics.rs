//! The counters of a session. They live beside messages because a message event can carry them, recomputed.

use crate::kernel::Timestamp;
use crate::text_enum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

text_enum! {
    /// Who is expected to write next.
    pub enum Awaiting {
        Agent = "agent",
        Contact = "contact",
        Nobody = "nobody",
    }
}

/// How a session went, counted from its messages. Times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionMetrics {
    pub message_count: u32,
    pub messages_from_contact: u32,
    pub messages_from_agent: u32,
    pub first_contact_message_at: Option<Timestamp>,
    pub first_agent_response_at: Option<Timestamp>,
    /// From the contact's first message to the first response.
    pub agent_response_time_seconds: Option<u32>,
    /// From our first message to the contact's answer.
    pub contact_wait_time_seconds: Option<u32>,
    pub first_human_response_at: Option<Timestamp>,
    pub human_response_time_seconds: Option<u32>,
    pub last_contact_message_at: Option<Timestamp>,
    pub last_agent_message_at: Option<Timestamp>,
    /// Responses after at least one unanswered message of the contact.
    pub response_count: u32,
    pub response_time_total_seconds: u64,
    pub response_time_max_seconds: u32,
    pub awaiting: Awaiting,
    pub awaiting_since: Option<Timestamp>,
    /// Messages that arrived after the session had moved on.
    pub late_count: u32,
}

impl Default for SessionMetrics {
    fn default() -> Self {
        SessionMetrics {
            message_count: 0,
            messages_from_contact: 0,
            messages_from_agent: 0,
            first_contact_message_at: None,
            first_agent_response_at: None,
            agent_response_time_seconds: None,
            contact_wait_time_seconds: None,
            first_human_response_at: None,
            human_response_time_seconds: None,
            last_contact_message_at: None,
            last_agent_message_at: None,
            response_count: 0,
            response_time_total_seconds: 0,
            response_time_max_seconds: 0,
            awaiting: Awaiting::Nobody,
            awaiting_since: None,
            late_count: 0,
        }
    }
}
