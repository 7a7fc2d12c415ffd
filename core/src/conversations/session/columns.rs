//! By what sessions are found: columns, indexes, unique keys, search words.

use super::state::{ACTIVE_IN_CHAT, ACTIVE_WITH_CONTACT};
use super::{EndReason, Sentiment, Session, SessionKind};
use crate::kernel::{CustomValue, ErrorCode, Kind};
use crate::storage::{Column, FieldKind, Index};
use serde_json::Value;

/// Typed columns of the table.
pub(super) const COLUMNS: &[Column] = &[
    Column::new("chat_id", FieldKind::Id).of(Kind::Chat),
    Column::new("channel_id", FieldKind::Id).of(Kind::Channel),
    Column::new("channel_type", FieldKind::Enum),
    Column::new("kind", FieldKind::Enum),
    Column::new("contact_id", FieldKind::Id).of(Kind::Contact),
    Column::new("pipeline_id", FieldKind::Id),
    Column::new("origin", FieldKind::Enum),
    Column::new("status", FieldKind::Enum),
    Column::new("started_at", FieldKind::Instant).sortable(),
    Column::new("last_activity_at", FieldKind::Instant).sortable(),
    Column::new("ended_at", FieldKind::Instant).sortable(),
    Column::new("end_reason", FieldKind::Enum),
    Column::new("duration_seconds", FieldKind::Number).sortable(),
    Column::new("message_count", FieldKind::Number).sortable(),
    Column::new("messages_from_contact", FieldKind::Number).sortable(),
    Column::new("messages_from_agent", FieldKind::Number).sortable(),
    Column::new("awaiting", FieldKind::Enum),
    Column::new("awaiting_since", FieldKind::Instant).sortable(),
    Column::new("current_agent_id", FieldKind::Id),
    Column::new("agent_transfers", FieldKind::Number).sortable(),
    Column::new("sentiment", FieldKind::Enum),
    Column::new("resolved", FieldKind::Bool),
    Column::new("escalated", FieldKind::Bool),
    Column::new("converted", FieldKind::Bool),
    Column::new("abandoned", FieldKind::Bool),
    Column::new("deadline", FieldKind::Instant).unfiltered(),
];

/// What the documented lists read along.
pub(super) const INDEXES: &[&[&str]] = &[
    &["started_at"],
    &["status", "started_at"],
    &["contact_id", "started_at"],
    &["chat_id", "started_at"],
    &["current_agent_id", "started_at"],
    &["current_agent_id", "status", "started_at"],
    &["status", "awaiting", "awaiting_since"],
    &["deadline"],
];

impl Session {
    /// Derives columns, unique keys, attributes and search text.
    pub(super) fn fill(&self, index: &mut Index) {
        let metrics = &self.metrics;
        index.id("chat_id", Some(self.chat_id));
        index.id("channel_id", Some(self.channel_id));
        index.column("channel_type", self.channel_type.as_str());
        index.column("kind", self.kind.as_str());
        index.id("contact_id", self.contact_id);
        index.id("pipeline_id", self.pipeline_id);
        index.column("origin", self.origin.as_str());
        index.column("status", self.status.as_str());
        index.column("started_at", self.started_at);
        index.column("last_activity_at", self.last_activity_at);
        index.column("ended_at", self.ended_at);
        index.column("end_reason", self.end_reason.map(EndReason::as_str));
        index.column("duration_seconds", self.duration_seconds);
        index.column("message_count", metrics.message_count);
        index.column("messages_from_contact", metrics.messages_from_contact);
        index.column("messages_from_agent", metrics.messages_from_agent);
        index.column("awaiting", metrics.awaiting.as_str());
        index.column("awaiting_since", metrics.awaiting_since);
        index.id("current_agent_id", self.current_agent_id);
        index.column("agent_transfers", self.agent_transfers);
        index.column("sentiment", self.sentiment.map(Sentiment::as_str));
        index.column("resolved", self.resolved);
        index.column("escalated", self.escalated);
        index.column("converted", self.converted);
        index.column("abandoned", self.abandoned);
        index.column("deadline", self.is_active().then(|| self.deadline()));
        for agent in &self.agent_ids {
            index.attribute("agent_ids", agent.to_string());
        }
        for topic in &self.topics {
            index.attribute("topics", topic.as_str());
        }
        for tag in &self.outcome_tags {
            index.attribute("outcome_tags", tag.as_str());
        }
        for (key, value) in self.custom_fields.iter() {
            index_custom(index, &format!("custom.{key}"), value);
        }
        if self.is_active() {
            index.unique(ACTIVE_IN_CHAT, "", self.chat_id.to_string(), ErrorCode::ActiveSessionExists);
            if let Some(contact) = self.contact_id.filter(|_| self.kind == SessionKind::Direct) {
                index.unique(
                    ACTIVE_WITH_CONTACT,
                    self.channel_id.to_string(),
                    contact.to_string(),
                    ErrorCode::ActiveSessionExists,
                );
            }
        }
        self.index_words(index);
    }

    fn index_words(&self, index: &mut Index) {
        index.search("summary", 2.0, self.summary.clone().unwrap_or_default());
        index.search("topics", 1.5, self.topics.join(" "));
        index.search("outcome_tags", 1.3, self.outcome_tags.iter().cloned().collect::<Vec<_>>().join(" "));
        index.search("next_steps", 1.0, self.next_steps.join(" "));
        let mut entities = String::new();
        self.key_entities.values().for_each(|value| words_of(value, &mut entities));
        index.search("key_entities", 1.0, entities);
    }
}

/// The attribute rows of a custom field, by which filters find it.
fn index_custom(index: &mut Index, field: &str, value: &CustomValue) {
    match value {
        CustomValue::Number(number) => index.attribute(field, rust_decimal::prelude::ToPrimitive::to_f64(number)),
        CustomValue::Boolean(yes) => index.attribute(field, *yes),
        CustomValue::Date(date) => index.attribute(field, date.instant()),
        CustomValue::MultiSelect(words) | CustomValue::Label(words) => {
            words.iter().for_each(|word| index.attribute(field, word.as_str()));
        }
        CustomValue::Json(_) => index.attribute(field, true),
        text => index.attribute(field, text.to_json().as_str()),
    }
}

fn words_of(value: &Value, words: &mut String) {
    match value {
        Value::String(text) => {
            words.push(' ');
            words.push_str(text);
        }
        Value::Array(items) => items.iter().for_each(|item| words_of(item, words)),
        Value::Object(map) => map.values().for_each(|item| words_of(item, words)),
        _ => {}
    }
}
