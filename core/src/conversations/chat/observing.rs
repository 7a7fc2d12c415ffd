//! What a chat makes of the messages and sessions that name it: last message, unread count, who attends.

use super::{Chat, LastMessage};
use crate::conversations::content::Content;
use crate::conversations::message::{Direction, MessageEvent, NewMessage, ReleasedMessage};
use crate::conversations::session::SessionEvent;
use crate::engine::Event;
use crate::kernel::{MessageId, Timestamp};
use uuid::Uuid;

/// The most characters of a preview.
const PREVIEW_CHARS: usize = 200;

/// Events of others that change a chat.
pub(super) fn is_observed(event: &Event) -> bool {
    matches!(
        event,
        Event::Message(
            MessageEvent::Received(_)
                | MessageEvent::Created(_)
                | MessageEvent::Imported(_)
                | MessageEvent::Queued { .. }
                | MessageEvent::Edited { .. }
                | MessageEvent::Revoked { .. }
                | MessageEvent::Deleted { .. }
                | MessageEvent::Superseded { .. }
        ) | Event::Session(
            SessionEvent::AgentAssigned { .. }
                | SessionEvent::AgentUnassigned { .. }
                | SessionEvent::Reopened { current_agent_id: Some(_), .. }
        )
    ) || matches!(event, Event::Session(SessionEvent::Ended(end)) if end.current_agent_id.is_some())
}

impl Chat {
    fn see(&mut self, new: &NewMessage, id: MessageId) {
        if new.is_notice() {
            return;
        }
        self.message_count += 1;
        if new.direction == Direction::Inbound {
            self.last_inbound_at = self.last_inbound_at.max(Some(new.timestamp));
        }
        self.show(LastMessage {
            message_id: id,
            at: new.timestamp,
            direction: new.direction,
            content_type: new.content.content_type(),
            preview: preview(&new.content),
            edited_at: None,
            removed: false,
            agent_id: new.agent_id,
            sender_name: new.sender_name.clone(),
        });
    }

    fn show(&mut self, message: LastMessage) {
        let place = (message.at, message.message_id);
        if self.last_message.as_ref().is_none_or(|last| place > (last.at, last.message_id)) {
            self.last_message = Some(message);
        }
    }

    fn release(&mut self, id: MessageId, at: Timestamp, released: &ReleasedMessage) {
        self.message_count += 1;
        self.show(LastMessage {
            message_id: id,
            at,
            direction: Direction::Outbound,
            content_type: released.content_type,
            preview: released.preview.clone(),
            edited_at: None,
            removed: false,
            agent_id: released.agent_id,
            sender_name: None,
        });
        if released.source.is_response() {
            self.respond(at, 0);
        }
    }

    fn respond(&mut self, at: Timestamp, unread: u32) {
        if self.read_up_to.is_none_or(|mark| at > mark) {
            self.read_up_to = Some(at);
            self.unread_count = unread;
        }
    }

    fn last_is(&mut self, id: Uuid) -> Option<&mut LastMessage> {
        self.last_message.as_mut().filter(|last| last.message_id.uuid() == id)
    }

    pub(super) fn observe(&mut self, event: &MessageEvent, id: Uuid) {
        let message = MessageId::from_uuid(id);
        match event {
            MessageEvent::Received(new) => {
                self.see(new, message);
                if self.read_up_to.is_none_or(|mark| new.timestamp > mark) {
                    self.unread_count += 1;
                }
            }
            MessageEvent::Created(new) if !new.is_scheduled() => {
                self.see(new, message);
                if new.direction == Direction::Outbound && new.source.is_response() {
                    self.respond(new.timestamp, new.unread_after.unwrap_or(0));
                }
            }
            MessageEvent::Imported(new) => self.see(new, message),
            MessageEvent::Queued { queued_at, released: Some(released), .. } => {
                self.release(message, *queued_at, released);
            }
            MessageEvent::Edited { text, edited_at, .. } => {
                if let Some(last) = self.last_is(id)
                    && !last.removed
                    && last.edited_at.is_none_or(|newest| *edited_at > newest)
                {
                    last.preview = shorten(text);
                    last.edited_at = Some(*edited_at);
                }
            }
            MessageEvent::Revoked { .. } | MessageEvent::Deleted { .. } => {
                if let Some(last) = self.last_is(id) {
                    last.preview = String::new();
                    last.removed = true;
                }
            }
            MessageEvent::Superseded { .. } => self.message_count = self.message_count.saturating_sub(1),
            _ => {}
        }
    }

    /// Follows who attends. A session that ends may be an older one than the one that is attended now.
    pub(super) fn follow(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::AgentAssigned { agent_id, .. } => self.assigned_agent_id = Some(*agent_id),
            SessionEvent::AgentUnassigned { .. } => self.assigned_agent_id = None,
            SessionEvent::Reopened { current_agent_id, .. } => self.assigned_agent_id = *current_agent_id,
            SessionEvent::Ended(end) if end.current_agent_id == self.assigned_agent_id => self.assigned_agent_id = None,
            _ => {}
        }
    }
}

/// What the inbox shows of a content: at most 200 characters.
pub fn preview(content: &Content) -> String {
    match content.words() {
        Some(words) if !words.trim().is_empty() => shorten(words),
        _ => format!("[{}]", content.content_type().as_str()),
    }
}

fn shorten(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(PREVIEW_CHARS).collect()
}
