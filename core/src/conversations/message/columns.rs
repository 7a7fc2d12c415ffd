//! By what messages are found: columns, indexes, unique keys, search words.

use super::{Message, MessageStatus};
use crate::kernel::{ErrorCode, Kind};
use crate::storage::{Column, FieldKind, Index};

/// Typed columns of the table.
pub(super) const COLUMNS: &[Column] = &[
    Column::new("contact_id", FieldKind::Id),
    Column::new("session_id", FieldKind::Id),
    // The others are those of the chat: looking each of them up made every message a tenth dearer on PostgreSQL.
    Column::new("chat_id", FieldKind::Id).of(Kind::Chat),
    Column::new("channel_id", FieldKind::Id),
    Column::new("channel_type", FieldKind::Enum),
    Column::new("direction", FieldKind::Enum),
    Column::new("content_type", FieldKind::Enum),
    Column::new("status", FieldKind::Enum),
    Column::new("agent_id", FieldKind::Id),
    Column::new("source", FieldKind::Enum),
    Column::new("language", FieldKind::Enum),
    Column::new("has_media", FieldKind::Bool),
    Column::new("historical", FieldKind::Bool),
    Column::new("timestamp", FieldKind::Instant).sortable(),
    Column::new("scheduled_at", FieldKind::Instant),
    Column::new("sent_at", FieldKind::Instant),
    Column::new("delivered_at", FieldKind::Instant),
    Column::new("read_at", FieldKind::Instant),
    Column::new("played_at", FieldKind::Instant),
    Column::new("failed_at", FieldKind::Instant),
    Column::new("created_at", FieldKind::Instant).sortable(),
    Column::new("due_at", FieldKind::Instant).unfiltered(),
    Column::new("dispatch_rank", FieldKind::Number).unfiltered(),
    Column::new("last_attempt_at", FieldKind::Instant).unfiltered(),
    // The chat, while the message waits or is under way: few do, and each chat's are sent in order.
    Column::new("unsent_chat_id", FieldKind::Id).unfiltered(),
];

/// What the documented lists read along.
pub(super) const INDEXES: &[&[&str]] = &[
    &["timestamp"],
    &["status", "timestamp"],
    &["has_media", "timestamp"],
    &["chat_id", "timestamp"],
    &["session_id", "timestamp"],
    &["contact_id", "timestamp"],
    &["unsent_chat_id", "timestamp"],
    &["due_at"],
    &["channel_id", "last_attempt_at"],
];

impl Message {
    /// Derives columns, unique keys, attributes and search text.
    pub(super) fn fill(&self, index: &mut Index) {
        index.id("contact_id", self.contact_id);
        index.id("session_id", self.session_id);
        index.id("chat_id", Some(self.chat_id));
        index.id("channel_id", Some(self.channel_id));
        index.column("channel_type", self.channel_type.as_str());
        index.column("direction", self.direction.as_str());
        index.column("content_type", self.content.content_type().as_str());
        index.column("status", self.status.as_str());
        index.id("agent_id", self.agent_id);
        index.column("source", self.source.as_str());
        index.column("language", self.language.as_deref());
        index.column("has_media", self.content.media().is_some());
        index.column("historical", self.historical);
        index.column("timestamp", self.timestamp);
        index.column("scheduled_at", self.scheduled_at);
        index.column("sent_at", self.sent_at);
        index.column("delivered_at", self.delivered_at);
        index.column("read_at", self.read_at);
        index.column("played_at", self.played_at);
        index.column("failed_at", self.failed_at);
        index.column("created_at", self.created_at);
        index.column("due_at", self.due_at());
        index.column("dispatch_rank", self.due_at().map(|_| self.priority.dispatch_rank()));
        index.column("last_attempt_at", self.last_attempt_at);
        let is_unsent = matches!(self.status, MessageStatus::Queued | MessageStatus::Sending);
        index.id("unsent_chat_id", Some(self.chat_id).filter(|_| is_unsent));
        if self.superseded_by.is_none()
            && let Some(id) = &self.channel_message_id
        {
            index.unique(
                "message.external",
                self.channel_id.to_string(),
                id.as_str(),
                ErrorCode::ChannelMessageIdTaken,
            );
        }
        if let Some(token) = &self.client_token {
            index.unique("message.client_token", "", token.as_str(), ErrorCode::ClientTokenReused);
        }
        if let Some(words) = self.content.words() {
            index.search("text", 1.0, words);
        }
        if let Some(name) = self.content.media().and_then(|media| media.filename.as_deref()) {
            index.search("filename", 0.8, name);
        }
    }
}
