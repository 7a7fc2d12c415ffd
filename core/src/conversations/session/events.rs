//! What can happen to a session. What its messages change is observed from message events instead.

use super::{AbandonStage, AssignmentSource, EndReason, Origin, ReopenCause, Sentiment, SessionKind, TimeoutSource};
use crate::conversations::{Awaiting, SessionMetrics};
use crate::events;
use crate::kernel::{
    ActorRef, AgentId, ChannelId, ChatId, ContactId, CustomFieldKey, CustomFieldType, Kind, MessageId, Money,
    PipelineId, SessionId, Subject, Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How a session began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionStart {
    pub chat_id: ChatId,
    pub channel_id: ChannelId,
    pub channel_type: String,
    pub kind: SessionKind,
    pub contact_id: Option<ContactId>,
    pub pipeline_id: Option<PipelineId>,
    pub origin: Origin,
    pub started_at: Timestamp,
    pub timeout_seconds: u32,
    pub timeout_source: TimeoutSource,
    /// The message that opened it.
    pub trigger_message_id: Option<MessageId>,
}

/// How a session went, at the moment of its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEnd {
    pub chat_id: ChatId,
    pub channel_id: ChannelId,
    pub channel_type: String,
    pub contact_id: Option<ContactId>,
    pub pipeline_id: Option<PipelineId>,
    pub started_at: Timestamp,
    pub last_activity_at: Timestamp,
    pub ended_at: Timestamp,
    pub reason: EndReason,
    pub ended_by: Option<ActorRef>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub note: Option<String>,
    pub duration_seconds: u32,
    pub timeout_seconds: u32,
    pub metrics: SessionMetrics,
    pub first_message_id: Option<MessageId>,
    pub last_message_id: Option<MessageId>,
    /// At most 1 000, in the order in which they were recorded.
    pub message_ids: Vec<MessageId>,
    /// More messages or events exist than are told here.
    pub truncated: bool,
    /// How often each type of event named the session.
    pub events_summary: BTreeMap<String, u32>,
    pub current_agent_id: Option<AgentId>,
    pub agent_ids: Vec<AgentId>,
    /// The contact stopped answering.
    pub abandoned: bool,
    pub awaiting: Awaiting,
}

/// What an AI or a person made of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionSummary {
    pub chat_id: ChatId,
    pub contact_id: Option<ContactId>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub summary: String,
    pub sentiment: Sentiment,
    /// 0 to 1.
    pub sentiment_score: Option<f64>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub topics: Vec<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub next_steps: Vec<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub key_entities: Map<String, Value>,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub at: Timestamp,
}

/// A session's extent and counters, computed again from its messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRecut {
    pub chat_id: ChatId,
    pub contact_id: Option<ContactId>,
    pub import_id: Option<uuid::Uuid>,
    pub started_at: Timestamp,
    pub last_activity_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub duration_seconds: u32,
    pub metrics: SessionMetrics,
    /// These messages belong to it now; at most 1 000 in one event, more follow in the next.
    pub added_message_ids: Vec<MessageId>,
    pub removed_message_ids: Vec<MessageId>,
    pub first_message_id: Option<MessageId>,
    pub first_message_at: Option<Timestamp>,
    pub last_message_id: Option<MessageId>,
    pub last_message_at: Option<Timestamp>,
}

events! {
    /// What can happen to a session.
    pub enum SessionEvent: Session {
        /// It was opened.
        "session.started" Started(Box<SessionStart>),
        /// It was closed, by silence or by decision.
        "session.ended" Ended(Box<SessionEnd>),
        /// It is active again.
        "session.reopened" Reopened {
            chat_id: ChatId, contact_id: Option<ContactId>, cause: ReopenCause,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            reason: Option<String>,
            previous_ended_at: Option<Timestamp>, previous_end_reason: Option<EndReason>,
            extended_until: Option<Timestamp>,
            /// Who attends it, as before its end.
            current_agent_id: Option<AgentId>,
        },
        /// An agent attends it now: claimed, assigned or handed over.
        "session.agent_assigned" AgentAssigned {
            chat_id: ChatId, contact_id: Option<ContactId>, agent_id: AgentId, source: AssignmentSource,
            assigned_by_agent_id: Option<AgentId>, previous_agent_id: Option<AgentId>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            reassignment_reason: Option<String>,
            assignment_strategy: Option<String>,
            /// Changes from one agent to another so far, this one included.
            reassignment_count: u16,
            assigned_at: Timestamp,
        },
        /// Nobody attends it any more.
        "session.agent_unassigned" AgentUnassigned {
            chat_id: ChatId, contact_id: Option<ContactId>, agent_id: AgentId,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            reason: Option<String>,
        },
        /// What the contact wanted is settled.
        "session.resolved" Resolved { chat_id: ChatId, contact_id: Option<ContactId>, at: Timestamp, by: ActorRef },
        /// It turned out not to be settled.
        "session.unresolved" Unresolved { chat_id: ChatId, contact_id: Option<ContactId>, at: Timestamp, by: ActorRef },
        /// Somebody higher up should look.
        "session.escalated" Escalated {
            chat_id: ChatId, contact_id: Option<ContactId>, level: u8,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            reason: String,
            to_agent_id: Option<AgentId>, at: Timestamp,
        },
        /// The escalation is over.
        "session.deescalated" Deescalated {
            chat_id: ChatId, contact_id: Option<ContactId>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            reason: Option<String>,
            at: Timestamp,
        },
        /// The host's AI should summarise it.
        "session.summary_requested" SummaryRequested {
            chat_id: ChatId, contact_id: Option<ContactId>, message_count: u32, at: Timestamp,
        },
        /// A summary was stored.
        "session.summarized" Summarized(Box<SessionSummary>),
        /// It fell silent while the contact was expected to answer.
        "session.abandoned" Abandoned {
            chat_id: ChatId, contact_id: Option<ContactId>, last_agent_message_at: Option<Timestamp>,
            minutes_since_last_response: Option<u32>, messages_before_abandonment: u32,
            conversation_stage: AbandonStage, abandoned_at: Timestamp,
        },
        /// Something came of it: a sale, a booking.
        "session.converted" Converted {
            chat_id: ChatId, contact_id: Option<ContactId>, value: Option<Money>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            note: Option<String>,
            at: Timestamp,
        },
        /// Its result was tagged anew.
        "session.outcome_tagged" OutcomeTagged {
            chat_id: ChatId, contact_id: Option<ContactId>, tags: Vec<String>, previous_tags: Vec<String>,
        },
        /// It may be silent for longer, or not as long.
        "session.timeout_changed" TimeoutChanged {
            chat_id: ChatId, contact_id: Option<ContactId>, timeout_seconds: u32, previous_seconds: u32,
            source: TimeoutSource,
        },
        /// It stays active until then, whatever the silence; without a moment, the extension is taken back.
        "session.timeout_extended" TimeoutExtended {
            chat_id: ChatId, contact_id: Option<ContactId>, until: Option<Timestamp>, previous_until: Option<Timestamp>,
        },
        /// A custom field has this value.
        "session.custom_field_set" CustomFieldSet {
            chat_id: ChatId, contact_id: Option<ContactId>, key: CustomFieldKey, field_type: CustomFieldType,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            value: Value,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            previous: Option<Value>,
        },
        /// A custom field was removed.
        "session.custom_field_removed" CustomFieldRemoved {
            chat_id: ChatId, contact_id: Option<ContactId>, key: CustomFieldKey,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            previous: Value,
        },
        /// An import or a merge computed it anew.
        "session.recut" Recut(Box<SessionRecut>),
        /// Another session absorbed it, messages and all.
        "session.merged" Merged {
            chat_id: ChatId, contact_id: Option<ContactId>, into_session_id: SessionId,
            /// Those that went over; at most 1 000, the other session names them all.
            message_ids: Vec<MessageId>,
            agent_ids: Vec<AgentId>, at: Timestamp,
        },
    }
    subjects(event, about) {
        let (chat_id, contact_id) = event.place();
        about.push(Subject::new(Kind::Chat, chat_id));
        about.extend(contact_id.map(|id| Subject::new(Kind::Contact, id)));
        let messages: &[&Vec<MessageId>] = match event {
            SessionEvent::Recut(cut) => &[&cut.added_message_ids],
            SessionEvent::Merged { message_ids, .. } => &[message_ids],
            _ => &[],
        };
        about.extend(messages.iter().flat_map(|ids| ids.iter()).map(|id| Subject::new(Kind::Message, *id)));
    }
}

impl SessionEvent {
    /// The chat, and the contact of a direct session.
    pub fn place(&self) -> (ChatId, Option<ContactId>) {
        use SessionEvent as E;
        match self {
            E::Started(start) => (start.chat_id, start.contact_id),
            E::Ended(end) => (end.chat_id, end.contact_id),
            E::Summarized(summary) => (summary.chat_id, summary.contact_id),
            E::Recut(cut) => (cut.chat_id, cut.contact_id),
            E::Reopened { chat_id, contact_id, .. }
            | E::AgentAssigned { chat_id, contact_id, .. }
            | E::AgentUnassigned { chat_id, contact_id, .. }
            | E::Resolved { chat_id, contact_id, .. }
            | E::Unresolved { chat_id, contact_id, .. }
            | E::Escalated { chat_id, contact_id, .. }
            | E::Deescalated { chat_id, contact_id, .. }
            | E::SummaryRequested { chat_id, contact_id, .. }
            | E::Abandoned { chat_id, contact_id, .. }
            | E::Converted { chat_id, contact_id, .. }
            | E::CustomFieldSet { chat_id, contact_id, .. }
            | E::CustomFieldRemoved { chat_id, contact_id, .. }
            | E::OutcomeTagged { chat_id, contact_id, .. }
            | E::TimeoutChanged { chat_id, contact_id, .. }
            | E::TimeoutExtended { chat_id, contact_id, .. }
            | E::Merged { chat_id, contact_id, .. } => (*chat_id, *contact_id),
        }
    }
}
