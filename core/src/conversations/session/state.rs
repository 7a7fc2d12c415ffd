//! A session as it stands.

use super::columns;
use super::placement::{SessionSpan, SpanEnd};
use super::recording::seconds_between;
use super::{
    Conversion, EndReason, Escalation, Origin, Sentiment, SessionEnd, SessionEvent, SessionKind, SessionRecut,
    SessionStart, SessionStatus, SessionSummary, TimeoutSource,
};
use crate::base_fields;
use crate::conversations::SessionMetrics;
use crate::conversations::message::MessageEvent;
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{
    ActorRef, AgentId, ChannelId, ChatId, ContactId, CustomField, CustomFieldKey, CustomFieldType, CustomFields,
    ErrorCode, Kind, MessageId, PipelineId, ProjectId, SessionId, Timestamp,
};
use crate::storage::{Column, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The unique key of a chat's active session: the chat.
pub const ACTIVE_IN_CHAT: &str = "session.active_chat";
/// The unique key of a contact's active direct session; its scope is the channel.
pub const ACTIVE_WITH_CONTACT: &str = "session.active_contact";

/// A bounded stretch of conversation in one chat, cut on message time: it opens with a message, lives while messages keep
/// coming, and ends by silence or by decision. A chat has at most one active session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub id: SessionId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub chat_id: ChatId,
    pub channel_id: ChannelId,
    pub channel_type: String,
    pub kind: SessionKind,
    /// Set in direct sessions, never in groups.
    pub contact_id: Option<ContactId>,
    pub pipeline_id: Option<PipelineId>,
    pub origin: Origin,
    pub status: SessionStatus,
    /// Time of the first message; an older message that arrives late moves it back.
    pub started_at: Timestamp,
    /// Time of the newest message that keeps it awake.
    pub last_activity_at: Timestamp,
    /// The silence it lives through, fixed when it started: 60 to 86 400.
    pub timeout_seconds: u32,
    pub timeout_source: TimeoutSource,
    /// Stays active until then, whatever the silence.
    pub extended_until: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub end_reason: Option<EndReason>,
    pub ended_by: Option<ActorRef>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub end_note: Option<String>,
    /// From the first to the last activity, without the silence that followed.
    pub duration_seconds: u32,
    pub metrics: SessionMetrics,
    pub current_agent_id: Option<AgentId>,
    /// Everybody who was assigned, in the order of their first assignment.
    pub agent_ids: Vec<AgentId>,
    /// Changes from one agent to another.
    pub agent_transfers: u16,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub summary: Option<String>,
    pub sentiment: Option<Sentiment>,
    /// 0 to 1.
    pub sentiment_score: Option<f64>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub topics: Vec<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub next_steps: Vec<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub key_entities: Map<String, Value>,
    pub summarized_at: Option<Timestamp>,
    pub resolved: bool,
    pub resolved_at: Option<Timestamp>,
    pub escalated: bool,
    pub escalated_at: Option<Timestamp>,
    pub escalation: Option<Escalation>,
    pub converted: bool,
    pub converted_at: Option<Timestamp>,
    pub conversion: Option<Conversion>,
    pub abandoned: bool,
    pub abandoned_at: Option<Timestamp>,
    /// At most 20, lower case.
    pub outcome_tags: BTreeSet<String>,
    /// At most 100.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub custom_fields: CustomFields,
    pub merged_into_id: Option<SessionId>,
    pub first_message_at: Option<Timestamp>,
    pub first_message_id: Option<MessageId>,
    pub last_message_at: Option<Timestamp>,
    pub last_message_id: Option<MessageId>,
}

impl Session {
    pub fn is_active(&self) -> bool {
        self.status == SessionStatus::Active
    }

    /// The last moment at which a message still belongs to it; one that is active ends right after.
    pub fn deadline(&self) -> Timestamp {
        let silent = self.last_activity_at.plus_seconds(i64::from(self.timeout_seconds));
        self.extended_until.map_or(silent, |until| until.max(silent))
    }

    /// Its place on the time line; `None` when another session absorbed it.
    pub fn span(&self) -> Option<SessionSpan> {
        let ended_at = self.ended_at.unwrap_or_else(|| self.deadline());
        let end = match self.status {
            SessionStatus::Active => SpanEnd::Open { deadline: self.deadline() },
            SessionStatus::Ended if self.end_reason == Some(EndReason::InactivityTimeout) => {
                SpanEnd::Silent { ended_at }
            }
            SessionStatus::Ended => SpanEnd::Wall { ended_at },
            SessionStatus::Merged => return None,
        };
        Some(SessionSpan {
            id: self.id,
            started_at: self.started_at,
            last_activity_at: self.last_activity_at,
            timeout_seconds: self.timeout_seconds,
            end,
        })
    }

    fn begin(start: &SessionStart, meta: &Meta<'_>) -> Session {
        Session {
            id: SessionId::from_uuid(meta.aggregate_id),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            chat_id: start.chat_id,
            channel_id: start.channel_id,
            channel_type: start.channel_type.clone(),
            kind: start.kind,
            contact_id: start.contact_id,
            pipeline_id: start.pipeline_id,
            origin: start.origin,
            status: SessionStatus::Active,
            started_at: start.started_at,
            last_activity_at: start.started_at,
            timeout_seconds: start.timeout_seconds,
            timeout_source: start.timeout_source,
            extended_until: None,
            ended_at: None,
            end_reason: None,
            ended_by: None,
            end_note: None,
            duration_seconds: 0,
            metrics: SessionMetrics::default(),
            current_agent_id: None,
            agent_ids: Vec::new(),
            agent_transfers: 0,
            summary: None,
            sentiment: None,
            sentiment_score: None,
            topics: Vec::new(),
            next_steps: Vec::new(),
            key_entities: Map::new(),
            summarized_at: None,
            resolved: false,
            resolved_at: None,
            escalated: false,
            escalated_at: None,
            escalation: None,
            converted: false,
            converted_at: None,
            conversion: None,
            abandoned: false,
            abandoned_at: None,
            outcome_tags: BTreeSet::new(),
            custom_fields: CustomFields::new(),
            merged_into_id: None,
            first_message_at: None,
            first_message_id: None,
            last_message_at: None,
            last_message_id: None,
        }
    }

    fn end(&mut self, end: &SessionEnd) {
        self.status = SessionStatus::Ended;
        self.ended_at = Some(end.ended_at);
        self.end_reason = Some(end.reason);
        self.ended_by.clone_from(&end.ended_by);
        self.end_note.clone_from(&end.note);
    }

    fn reopen(&mut self, extended_until: Option<Timestamp>) {
        self.status = SessionStatus::Active;
        self.ended_at = None;
        self.end_reason = None;
        self.ended_by = None;
        self.end_note = None;
        self.abandoned = false;
        self.abandoned_at = None;
        self.extended_until = extended_until.or(self.extended_until);
    }

    fn summarize(&mut self, summary: &SessionSummary) {
        self.summary = Some(summary.summary.clone());
        self.sentiment = Some(summary.sentiment);
        self.sentiment_score = summary.sentiment_score;
        self.topics.clone_from(&summary.topics);
        self.next_steps.clone_from(&summary.next_steps);
        self.key_entities.clone_from(&summary.key_entities);
        self.summarized_at = Some(summary.at);
    }

    fn recut(&mut self, cut: &SessionRecut) {
        self.started_at = cut.started_at;
        self.last_activity_at = cut.last_activity_at;
        if self.status == SessionStatus::Ended {
            self.ended_at = cut.ended_at.or(self.ended_at);
        }
        self.duration_seconds = cut.duration_seconds;
        self.metrics = cut.metrics.clone();
        (self.first_message_id, self.first_message_at) = (cut.first_message_id, cut.first_message_at);
        (self.last_message_id, self.last_message_at) = (cut.last_message_id, cut.last_message_at);
    }

    /// What cannot be read, such as erased data, is nothing.
    fn set_custom(&mut self, key: &CustomFieldKey, field_type: CustomFieldType, value: &Value) {
        match serde_json::from_value(serde_json::json!({ "type": field_type, "value": value })) {
            Ok(value) => self.custom_fields.put(CustomField { key: key.clone(), value }),
            Err(_) => {
                self.custom_fields.take(key.as_str());
            }
        }
    }

    fn assign(&mut self, agent: AgentId, transfers: u16) {
        self.current_agent_id = Some(agent);
        self.agent_transfers = transfers;
        if !self.agent_ids.contains(&agent) {
            self.agent_ids.push(agent);
        }
    }
}

impl Aggregate for Session {
    const KIND: Kind = Kind::Session;
    const NOT_FOUND: ErrorCode = ErrorCode::SessionNotFound;
    const COLUMNS: &'static [Column] = columns::COLUMNS;
    const INDEXES: &'static [&'static [&'static str]] = columns::INDEXES;
    const INDEX_VERSION: u32 = 2;
    const SETS: &'static [&'static str] = &["agent_ids", "topics", "outcome_tags"];
    const CUSTOM: Option<&'static str> = Some("custom.");
    type Id = SessionId;

    base_fields!();

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        match event {
            Event::Session(SessionEvent::Started(start)) => Some(Session::begin(start, meta)),
            _ => None,
        }
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        let event = match event {
            Event::Session(event) => event,
            Event::Message(event) => return self.observe(MessageId::from_uuid(meta.aggregate_id), event),
            _ => return,
        };
        match event {
            SessionEvent::Started(_) | SessionEvent::SummaryRequested { .. } => {}
            SessionEvent::Ended(end) => self.end(end),
            SessionEvent::Reopened { extended_until, .. } => self.reopen(*extended_until),
            SessionEvent::AgentAssigned { agent_id, reassignment_count, .. } => {
                self.assign(*agent_id, *reassignment_count);
            }
            SessionEvent::AgentUnassigned { .. } => self.current_agent_id = None,
            SessionEvent::Resolved { at, .. } => (self.resolved, self.resolved_at) = (true, Some(*at)),
            SessionEvent::Unresolved { .. } => (self.resolved, self.resolved_at) = (false, None),
            SessionEvent::Escalated { level, reason, to_agent_id, at, .. } => {
                (self.escalated, self.escalated_at) = (true, Some(*at));
                let reason = reason.clone();
                self.escalation = Some(Escalation { level: *level, reason, to_agent_id: *to_agent_id, at: *at });
            }
            SessionEvent::Deescalated { .. } => {
                (self.escalated, self.escalated_at, self.escalation) = (false, None, None);
            }
            SessionEvent::Summarized(summary) => self.summarize(summary),
            SessionEvent::Abandoned { abandoned_at, .. } => {
                (self.abandoned, self.abandoned_at) = (true, Some(*abandoned_at));
            }
            SessionEvent::Converted { value, note, at, .. } => {
                (self.converted, self.converted_at) = (true, Some(*at));
                self.conversion = Some(Conversion { value: *value, note: note.clone(), at: *at });
            }
            SessionEvent::CustomFieldSet { key, field_type, value, .. } => self.set_custom(key, *field_type, value),
            SessionEvent::CustomFieldRemoved { key, .. } => {
                self.custom_fields.take(key.as_str());
            }
            SessionEvent::OutcomeTagged { tags, .. } => self.outcome_tags = tags.iter().cloned().collect(),
            SessionEvent::TimeoutChanged { timeout_seconds, source, .. } => {
                self.timeout_seconds = *timeout_seconds;
                self.timeout_source = *source;
            }
            SessionEvent::TimeoutExtended { until, .. } => self.extended_until = *until,
            SessionEvent::Recut(cut) => self.recut(cut),
            SessionEvent::Merged { into_session_id, at, .. } => {
                self.ended_at = self.ended_at.or(Some(*at));
                self.end_reason = self.end_reason.or(Some(EndReason::SystemClose));
                self.status = SessionStatus::Merged;
                self.merged_into_id = Some(*into_session_id);
            }
        }
    }

    fn observes(event: &Event) -> bool {
        matches!(
            event,
            Event::Message(
                MessageEvent::Received(_)
                    | MessageEvent::Created(_)
                    | MessageEvent::Imported(_)
                    | MessageEvent::Queued { .. }
                    | MessageEvent::Sent { session_metrics: Some(_), .. }
                    | MessageEvent::Delivered { session_metrics: Some(_), .. }
                    | MessageEvent::Read { session_metrics: Some(_), .. }
                    | MessageEvent::Played { session_metrics: Some(_), .. }
                    | MessageEvent::Failed { session_metrics: Some(_), .. }
                    | MessageEvent::Cancelled { session_metrics: Some(_), .. }
                    | MessageEvent::Expired { session_metrics: Some(_), .. }
                    | MessageEvent::Superseded { session_metrics: Some(_), .. }
            )
        )
    }

    fn index(&self, index: &mut Index) {
        self.fill(index);
    }

    fn is_hidden(&self) -> bool {
        self.status == SessionStatus::Merged
    }
}

impl Session {
    /// Whole minutes of silence between the last of our messages and a moment.
    pub(super) fn minutes_since_our_last(&self, at: Timestamp) -> Option<u32> {
        self.metrics.last_agent_message_at.map(|last| seconds_between(last, at) / 60)
    }
}
