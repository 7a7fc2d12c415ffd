//! A message as it stands.

use super::columns;
use super::{
    Direction, Failure, MessageEvent, MessageOrigin, MessageSource, MessageStatus, NewMessage, Party, Priority,
    QueuedCause, Reaction,
};
use crate::base_fields;
use crate::conversations::content::{Attribution, Content, Forward, Media, Mention};
use crate::conversations::session::SessionEvent;
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{
    AgentId, ChannelId, ChatId, ContactId, ErrorCode, Kind, MessageId, ProjectId, SessionId, Timestamp,
};
use crate::storage::{Column, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// One unit of conversation. Its external id is unique per channel, deleted rows included: the key against duplicates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    pub id: MessageId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub channel_id: ChannelId,
    pub channel_type: String,
    pub chat_id: ChatId,
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
    /// Kept when the quoted message is not known yet.
    pub reply_to_channel_message_id: Option<String>,
    pub forward: Option<Forward>,
    pub mentions: Vec<Mention>,
    /// At most one per party.
    pub reactions: Vec<Reaction>,
    /// When each party took its reaction back, so that an older one that arrives later stays away.
    pub reactions_removed: Vec<RemovedReaction>,
    pub status: MessageStatus,
    /// Time at the provider, or of acceptance.
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
    pub next_attempt_at: Option<Timestamp>,
    /// Send tries started.
    pub attempts: u16,
    /// When the last send try started.
    pub last_attempt_at: Option<Timestamp>,
    /// Whoever claimed it has to report until then; afterwards it can be claimed again.
    pub lease_until: Option<Timestamp>,
    /// When it was edited, in order of arrival; the newest edit is the text.
    pub edits: Vec<Timestamp>,
    pub edit_count: u16,
    pub edited_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<Party>,
    pub language: Option<String>,
    /// AI tasks already asked for.
    pub ai_requested: BTreeSet<String>,
    pub attribution: Option<Attribution>,
    /// Decoded from invisible characters, 0 to 2186.
    pub tracking_code: Option<u16>,
    /// Imported.
    pub historical: bool,
    pub origin: Option<MessageOrigin>,
    /// A device echo that turned out to be this send of ours.
    pub superseded_by: Option<MessageId>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub metadata: Map<String, Value>,
    /// Hidden from lists; still blocks its external id.
    pub deleted_at: Option<Timestamp>,
}

/// When a party took its reaction back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RemovedReaction {
    pub actor: Party,
    pub at: Timestamp,
}

impl Message {
    fn begin(new: &NewMessage, meta: &Meta<'_>) -> Message {
        Message {
            id: MessageId::from_uuid(meta.aggregate_id),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            channel_id: new.channel_id,
            channel_type: new.channel_type.clone(),
            chat_id: new.chat_id,
            contact_id: new.contact_id,
            session_id: new.session_id,
            direction: new.direction,
            source: new.source,
            agent_id: new.agent_id,
            sender_external_id: new.sender_external_id.clone(),
            sender_name: new.sender_name.clone(),
            content: new.content.clone(),
            channel_message_id: new.channel_message_id.clone(),
            client_token: new.client_token.clone(),
            reply_to_id: new.reply_to_id,
            reply_to_channel_message_id: new.reply_to_channel_message_id.clone(),
            forward: new.forward,
            mentions: new.mentions.clone(),
            reactions: Vec::new(),
            reactions_removed: Vec::new(),
            status: new.status,
            timestamp: new.timestamp,
            sent_at: new.sent_at,
            delivered_at: new.delivered_at,
            read_at: new.read_at,
            played_at: new.played_at,
            failed_at: new.failed_at,
            failure: new.failure.clone(),
            priority: new.priority,
            scheduled_at: new.scheduled_at,
            expires_at: new.expires_at,
            next_attempt_at: None,
            attempts: 0,
            last_attempt_at: None,
            lease_until: None,
            edits: Vec::new(),
            edit_count: 0,
            edited_at: None,
            revoked_at: None,
            revoked_by: None,
            language: new.language.clone(),
            ai_requested: BTreeSet::new(),
            attribution: new.attribution.clone(),
            tracking_code: new.tracking_code,
            historical: new.historical,
            origin: new.origin,
            superseded_by: None,
            metadata: new.metadata.clone(),
            deleted_at: None,
        }
    }

    /// The reaction of a party, if it has one.
    pub fn reaction_of(&self, actor: Party) -> Option<&Reaction> {
        self.reactions.iter().find(|reaction| reaction.actor == actor)
    }

    /// When a dispatcher may take it: its next try, or the end of the lease of one that never reported.
    pub fn due_at(&self) -> Option<Timestamp> {
        match self.status {
            MessageStatus::Queued => Some(self.next_attempt_at.unwrap_or(self.timestamp)),
            MessageStatus::Sending => self.lease_until,
            _ => None,
        }
    }

    fn advance(&mut self, status: MessageStatus) {
        self.status = status;
        self.failure = None;
        self.failed_at = None;
        self.lease_until = None;
        self.next_attempt_at = None;
    }

    fn attach(&mut self, media: &Media) {
        if let Some(mine) = self.content.media_mut() {
            *mine = media.clone();
        }
    }
}

impl Aggregate for Message {
    const KIND: Kind = Kind::Message;
    const NOT_FOUND: ErrorCode = ErrorCode::MessageNotFound;
    const COLUMNS: &'static [Column] = columns::COLUMNS;
    const INDEXES: &'static [&'static [&'static str]] = columns::INDEXES;
    const INDEX_VERSION: u32 = 2;
    type Id = MessageId;

    base_fields!();

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        match event {
            Event::Message(MessageEvent::Received(new) | MessageEvent::Created(new) | MessageEvent::Imported(new)) => {
                Some(Message::begin(new, meta))
            }
            _ => None,
        }
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        let event = match event {
            Event::Message(event) => event,
            Event::Session(event) => return self.follow(event, SessionId::from_uuid(meta.aggregate_id)),
            _ => return,
        };
        match event {
            MessageEvent::Received(_) | MessageEvent::Created(_) | MessageEvent::Imported(_) => {}
            MessageEvent::Queued { queued_at, cause, session_id, .. } => {
                self.advance(MessageStatus::Queued);
                self.attempts = 0;
                self.session_id = session_id.or(self.session_id);
                match cause {
                    // In the conversation it stands where it was released, not where it was planned.
                    QueuedCause::Released => self.timestamp = *queued_at,
                    QueuedCause::Retried => self.sent_at = None,
                }
            }
            MessageEvent::SendStarted { attempt, at, lease_until } => {
                self.status = MessageStatus::Sending;
                self.attempts = *attempt;
                self.last_attempt_at = Some(*at);
                self.lease_until = Some(*lease_until);
                self.next_attempt_at = None;
            }
            MessageEvent::Sent { channel_message_id, sent_at, .. } => {
                // The id may become known after a better acknowledgement.
                if self.status.rank() < MessageStatus::Sent.rank() {
                    self.advance(MessageStatus::Sent);
                }
                self.sent_at = self.sent_at.or(Some(*sent_at));
                if channel_message_id.is_some() {
                    self.channel_message_id.clone_from(channel_message_id);
                }
            }
            MessageEvent::RetryScheduled { failure, attempt, next_attempt_at } => {
                self.status = MessageStatus::Queued;
                self.failure = Some(failure.clone());
                self.attempts = *attempt;
                self.lease_until = None;
                self.next_attempt_at = Some(*next_attempt_at);
            }
            MessageEvent::Delivered { delivered_at, .. } => {
                self.advance(MessageStatus::Delivered);
                self.delivered_at = Some(*delivered_at);
            }
            MessageEvent::Read { read_at, implied_delivered_at, .. } => {
                self.advance(MessageStatus::Read);
                self.read_at = Some(*read_at);
                self.delivered_at = self.delivered_at.or(*implied_delivered_at);
            }
            MessageEvent::Played { played_at, implied_read_at, implied_delivered_at, .. } => {
                self.advance(MessageStatus::Played);
                self.played_at = Some(*played_at);
                self.read_at = self.read_at.or(*implied_read_at);
                self.delivered_at = self.delivered_at.or(*implied_delivered_at);
            }
            MessageEvent::Failed { failure, failed_at, attempt, .. } => {
                self.status = MessageStatus::Failed;
                self.failure = Some(failure.clone());
                self.failed_at = Some(*failed_at);
                self.attempts = *attempt;
                self.lease_until = None;
            }
            MessageEvent::Cancelled { .. } => self.status = MessageStatus::Cancelled,
            MessageEvent::Expired { .. } => self.status = MessageStatus::Expired,
            MessageEvent::Edited { text, edited_at, .. } => {
                if self.edited_at.is_none_or(|newest| *edited_at > newest) {
                    self.content.set_words(text);
                    self.edited_at = Some(*edited_at);
                }
                self.edits.push(*edited_at);
                self.edit_count = self.edit_count.saturating_add(1);
            }
            MessageEvent::Revoked { revoked_at, by, .. } => {
                self.revoked_at = Some(*revoked_at);
                self.revoked_by = Some(*by);
            }
            MessageEvent::Deleted { at, .. } => self.deleted_at = Some(*at),
            MessageEvent::ReactionAdded { actor, emoji, at, .. } => {
                self.reactions.retain(|reaction| reaction.actor != *actor);
                self.reactions_removed.retain(|removed| removed.actor != *actor);
                self.reactions.push(Reaction { actor: *actor, emoji: emoji.clone(), at: *at });
                self.reactions.sort_by_key(|reaction| (reaction.at, reaction.actor));
            }
            MessageEvent::ReactionRemoved { actor, at, .. } => {
                self.reactions.retain(|reaction| reaction.actor != *actor);
                self.reactions_removed.retain(|removed| removed.actor != *actor);
                self.reactions_removed.push(RemovedReaction { actor: *actor, at: *at });
                self.reactions_removed.sort_by_key(|removed| (removed.at, removed.actor));
            }
            MessageEvent::MediaAttached { media, .. } => self.attach(media),
            MessageEvent::LanguageDetected { language } => self.language = Some(language.clone()),
            MessageEvent::MetadataUpdated { set, removed, .. } => {
                self.metadata.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
                for key in removed {
                    self.metadata.remove(key);
                }
            }
            MessageEvent::Superseded { by, .. } => {
                self.superseded_by = Some(*by);
                self.deleted_at = self.deleted_at.or(Some(self.updated_at));
            }
            MessageEvent::ProcessImageRequested(_) => self.ask("image"),
            MessageEvent::ProcessVideoRequested(_) => self.ask("video"),
            MessageEvent::ProcessAudioRequested(_) => self.ask("audio"),
            MessageEvent::ProcessVoiceRequested(_) => self.ask("voice"),
            MessageEvent::ProcessDocumentRequested(_) => self.ask("document"),
        }
    }

    fn observes(event: &Event) -> bool {
        matches!(event, Event::Session(SessionEvent::Recut(_) | SessionEvent::Merged { .. }))
    }

    fn index(&self, index: &mut Index) {
        self.fill(index);
    }

    fn is_hidden(&self) -> bool {
        self.deleted_at.is_some() || self.superseded_by.is_some()
    }
}

impl Message {
    /// Goes along when its session is cut anew or absorbed; those events name the messages that move.
    fn follow(&mut self, event: &SessionEvent, session: SessionId) {
        match event {
            SessionEvent::Recut(_) => self.session_id = Some(session),
            SessionEvent::Merged { into_session_id, .. } => self.session_id = Some(*into_session_id),
            _ => {}
        }
    }

    fn ask(&mut self, task: &str) {
        self.ai_requested.insert(task.to_owned());
    }
}
