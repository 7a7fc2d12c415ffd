//! What can happen to a message. Sessions, chats and contacts observe these, so one inbound message is one event. The
//! `contact_id` of an event is the message's own.

use super::{
    Direction, Failure, MessageOrigin, MessageSource, MessageStatus, Metrics, Party, Placement, Priority, QueuedCause,
    Reader,
};
use crate::conversations::content::{Attribution, Content, ContentType, Forward, Media, Mention};
use crate::events;
use crate::kernel::{AgentId, ChannelId, ChatId, ContactId, Kind, MessageId, SessionId, Subject, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The full initial state of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NewMessage {
    pub channel_id: ChannelId,
    pub channel_type: String,
    pub chat_id: ChatId,
    /// Inbound: the sender; outbound in an individual chat: the other side.
    pub contact_id: Option<ContactId>,
    pub session_id: Option<SessionId>,
    pub direction: Direction,
    pub source: MessageSource,
    pub agent_id: Option<AgentId>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub sender_external_id: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub sender_name: Option<String>,
    pub content: Content,
    pub channel_message_id: Option<String>,
    pub client_token: Option<String>,
    pub reply_to_id: Option<MessageId>,
    pub reply_to_channel_message_id: Option<String>,
    pub forward: Option<Forward>,
    pub mentions: Vec<Mention>,
    pub status: MessageStatus,
    pub timestamp: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    pub played_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    pub failure: Option<Failure>,
    pub priority: Priority,
    pub scheduled_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub language: Option<String>,
    pub attribution: Option<Attribution>,
    pub tracking_code: Option<u16>,
    pub historical: bool,
    /// Which campaign, rule or agent session made it.
    pub origin: Option<MessageOrigin>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub metadata: Map<String, Value>,
    /// How it entered its session.
    pub placement: Option<Placement>,
    /// The counters of its session with this message, when it arrived after newer ones. Absent = it is counted on.
    pub session_metrics: Option<Metrics>,
    /// An outbound response that arrived late: what stays unread in its chat. Absent = nothing does.
    pub unread_after: Option<u32>,
    pub import_id: Option<uuid::Uuid>,
}

impl NewMessage {
    /// Outbound and waiting for its time: sessions, chats and contacts look away until it is released.
    pub fn is_scheduled(&self) -> bool {
        self.status == MessageStatus::Scheduled
    }

    /// A notice, which counts nowhere.
    pub fn is_notice(&self) -> bool {
        self.direction == Direction::Internal
    }
}

events! {
    /// What can happen to a message.
    pub enum MessageEvent: Message {
        /// A live inbound message was recorded.
        "message.received" Received(Box<NewMessage>),
        /// An outbound message was accepted, written on another device, or a notice was made.
        "message.created" Created(Box<NewMessage>),
        /// A message of the past was recorded; nothing automatic reacts.
        "message.imported" Imported(Box<NewMessage>),
        /// A scheduled message was released, or a failed one is tried again.
        "message.queued" Queued {
            queued_at: Timestamp, cause: QueuedCause, session_id: Option<SessionId>, placement: Option<Placement>,
            session_metrics: Option<Metrics>, chat_id: ChatId, contact_id: Option<ContactId>,
            #[serde(default)]
            released: Option<ReleasedMessage>,
        },
        /// A dispatcher claimed it.
        "message.send_started" SendStarted { attempt: u16, at: Timestamp, lease_until: Timestamp },
        /// The provider accepted it.
        "message.sent" Sent {
            channel_message_id: Option<String>, sent_at: Timestamp, session_id: Option<SessionId>,
            session_metrics: Option<Metrics>,
        },
        /// A try failed and another follows.
        "message.retry_scheduled" RetryScheduled { failure: Failure, attempt: u16, next_attempt_at: Timestamp },
        /// It reached the device.
        "message.delivered" Delivered {
            delivered_at: Timestamp, participant: Option<String>, session_id: Option<SessionId>,
            session_metrics: Option<Metrics>,
        },
        /// It was read.
        "message.read" Read {
            read_at: Timestamp, implied_delivered_at: Option<Timestamp>, reader: Reader, participant: Option<String>,
            session_id: Option<SessionId>, session_metrics: Option<Metrics>,
        },
        /// A voice note or sound was played.
        "message.played" Played {
            played_at: Timestamp, implied_read_at: Option<Timestamp>, implied_delivered_at: Option<Timestamp>,
            by: Reader, session_id: Option<SessionId>, session_metrics: Option<Metrics>,
        },
        /// It failed for good.
        "message.failed" Failed {
            failure: Failure, failed_at: Timestamp, attempt: u16, session_id: Option<SessionId>,
            session_metrics: Option<Metrics>,
        },
        /// It was withdrawn before it went out.
        "message.cancelled" Cancelled {
            reason: Option<String>, at: Timestamp, session_id: Option<SessionId>, session_metrics: Option<Metrics>,
        },
        /// Its time passed before it went out.
        "message.expired" Expired { at: Timestamp, session_id: Option<SessionId>, session_metrics: Option<Metrics> },
        /// Its author changed the text.
        "message.edited" Edited {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            previous_text: Option<String>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            text: String,
            edited_at: Timestamp, edit_no: u16, by: Party, chat_id: ChatId, contact_id: Option<ContactId>,
        },
        /// Its author took it back for everyone.
        "message.revoked" Revoked {
            revoked_at: Timestamp, by: Party, content_kept: bool, chat_id: ChatId, contact_id: Option<ContactId>,
        },
        /// It was hidden in the CRM.
        "message.deleted" Deleted { reason: Option<String>, at: Timestamp, chat_id: ChatId },
        /// Somebody reacted.
        "message.reaction_added" ReactionAdded {
            actor: Party, emoji: String, previous_emoji: Option<String>, at: Timestamp, contact_id: Option<ContactId>,
        },
        /// A reaction was taken back.
        "message.reaction_removed" ReactionRemoved {
            actor: Party, emoji: String, at: Timestamp, contact_id: Option<ContactId>,
        },
        /// The file's link or stored copy is known.
        "message.media_attached" MediaAttached { media: Media, contact_id: Option<ContactId> },
        /// Its language is known.
        "message.language_detected" LanguageDetected { language: String },
        /// The host's particulars changed.
        "message.metadata_updated" MetadataUpdated {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            set: Map<String, Value>,
            removed: Vec<String>,
            contact_id: Option<ContactId>,
        },
        /// A device echo turned out to be one of our own sends.
        "message.superseded" Superseded {
            by: MessageId, channel_message_id: String, chat_id: ChatId, session_id: Option<SessionId>,
            session_metrics: Option<Metrics>,
        },
        /// The host should read an image.
        "message.ai.process_image_requested" ProcessImageRequested(AiRequest),
        /// The host should watch a video.
        "message.ai.process_video_requested" ProcessVideoRequested(AiRequest),
        /// The host should listen to a sound.
        "message.ai.process_audio_requested" ProcessAudioRequested(AiRequest),
        /// The host should listen to a voice note.
        "message.ai.process_voice_requested" ProcessVoiceRequested(AiRequest),
        /// The host should read a document.
        "message.ai.process_document_requested" ProcessDocumentRequested(AiRequest),
    }
    subjects(event, about) {
        use MessageEvent as E;
        let mut of = |session: &Option<SessionId>, chat: Option<&ChatId>, contact: &Option<ContactId>| {
            about.extend(session.map(|id| Subject::new(Kind::Session, id)));
            about.extend(chat.map(|id| Subject::new(Kind::Chat, *id)));
            about.extend(contact.map(|id| Subject::new(Kind::Contact, id)));
        };
        match event {
            E::Received(new) | E::Created(new) | E::Imported(new) => {
                of(&new.session_id, Some(&new.chat_id), &new.contact_id);
            }
            E::Queued { session_id, chat_id, contact_id, .. } => of(session_id, Some(chat_id), contact_id),
            E::Sent { session_id, .. }
            | E::Delivered { session_id, .. }
            | E::Read { session_id, .. }
            | E::Played { session_id, .. }
            | E::Failed { session_id, .. }
            | E::Cancelled { session_id, .. }
            | E::Expired { session_id, .. } => of(session_id, None, &None),
            E::Edited { chat_id, contact_id, .. } | E::Revoked { chat_id, contact_id, .. } => {
                of(&None, Some(chat_id), contact_id);
            }
            E::Deleted { chat_id, .. } => of(&None, Some(chat_id), &None),
            E::Superseded { session_id, chat_id, .. } => of(session_id, Some(chat_id), &None),
            E::ReactionAdded { actor, contact_id, .. } | E::ReactionRemoved { actor, contact_id, .. } => {
                of(&None, None, contact_id);
                of(&None, None, &actor.contact_id());
            }
            E::MediaAttached { contact_id, .. } | E::MetadataUpdated { contact_id, .. } => of(&None, None, contact_id),
            E::ProcessImageRequested(request)
            | E::ProcessVideoRequested(request)
            | E::ProcessAudioRequested(request)
            | E::ProcessVoiceRequested(request)
            | E::ProcessDocumentRequested(request) => {
                of(&request.session_id, Some(&request.chat_id), &request.contact_id);
            }
            E::SendStarted { .. } | E::RetryScheduled { .. } | E::LanguageDetected { .. } => {}
        }
    }
}

/// What chats and sessions need of a scheduled message when it is released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReleasedMessage {
    pub source: MessageSource,
    pub content_type: ContentType,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub preview: String,
    pub agent_id: Option<AgentId>,
}

/// A file that the host's AI should look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AiRequest {
    pub channel_id: ChannelId,
    pub chat_id: ChatId,
    pub contact_id: Option<ContactId>,
    pub session_id: Option<SessionId>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub url: Option<String>,
    pub mime: Option<String>,
    pub duration_ms: Option<u64>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub filename: Option<String>,
    pub size_bytes: Option<u64>,
    pub requested_at: Timestamp,
}
