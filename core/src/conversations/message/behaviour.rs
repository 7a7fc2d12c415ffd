//! What may happen to a message, and in which order: acknowledgements that only climb, reactions and edits that find
//! their place whatever the order of their arrival.

use super::{AiRequest, Direction, Failure, FailureCode, Message, MessageEvent, MessageStatus, Metrics, Party, Reader};
use crate::channels::gateway::AckSignal;
use crate::conversations::content::ContentType;
use crate::engine::Root;
use crate::kernel::{Error, ErrorCode, Result, Timestamp};

/// Edits of one message beyond this are dropped: nobody edits so often.
const MAX_EDITS: usize = 256;
/// The most reactions of one message.
const MAX_REACTIONS: usize = 1_024;
/// The longest emoji, in bytes.
pub const MAX_EMOJI_BYTES: usize = 32;

/// What a provider or a host reports about the delivery of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryReport {
    pub signal: AckSignal,
    pub at: Timestamp,
    /// In a group: who it is about.
    pub participant: Option<String>,
    pub failure: Option<Failure>,
}

impl Message {
    /// True when an edit of this time is in already.
    pub fn has_edit(&self, at: Timestamp) -> bool {
        self.edits.contains(&at)
    }

    /// What a party did last: its emoji, or none when it took it back, and when.
    pub fn last_reaction(&self, actor: Party) -> Option<(Option<&str>, Timestamp)> {
        let given = self.reaction_of(actor).map(|reaction| (Some(reaction.emoji.as_str()), reaction.at));
        let taken = || self.reactions_removed.iter().find(|removed| removed.actor == actor).map(|it| (None, it.at));
        given.or_else(taken)
    }

    /// What our side did last: whose it was, the emoji or none, and when. A line has one reaction at its provider, whoever of ours gave it.
    pub fn last_own_reaction(&self) -> Option<(Party, Option<&str>, Timestamp)> {
        let given = self.reactions.iter().map(|it| (it.actor, Some(it.emoji.as_str()), it.at));
        let taken = self.reactions_removed.iter().map(|it| (it.actor, None, it.at));
        given.chain(taken).filter(|(actor, ..)| actor.is_ours()).max_by_key(|(_, _, at)| *at)
    }

    /// The reaction that stands on our side: the last one of those that were not taken back.
    pub fn own_reaction(&self) -> Option<&str> {
        let own = self.reactions.iter().filter(|reaction| reaction.actor.is_ours());
        own.max_by_key(|reaction| reaction.at).map(|reaction| reaction.emoji.as_str())
    }

    /// A reaction of our line that the provider tells of: true when it is what an agent of ours did last, or was overtaken by that.
    pub fn is_echo_of_reaction(&self, emoji: Option<&str>, at: Timestamp) -> bool {
        let emoji = emoji.filter(|emoji| !emoji.is_empty());
        match self.last_own_reaction() {
            Some((Party::Agent { .. }, known, known_at)) => known == emoji || at <= known_at,
            _ => false,
        }
    }

    /// Voice notes and sounds can be played; of anything else, played means read.
    pub fn is_playable(&self) -> bool {
        matches!(self.content.content_type(), ContentType::Voice | ContentType::Audio)
    }
}

/// What became of a reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reacted {
    Changed,
    /// It is in already, or was overtaken by a later one.
    Known,
    /// It takes back a reaction that has not arrived yet. Nothing was recorded.
    TooEarly,
}

impl Root<Message> {
    /// Takes an acknowledgement in, if it says something new. A signal of equal or lower rank is no news.
    ///
    /// `metrics` are the session's counters after the change, when the message starts or stops to count in its session.
    pub fn acknowledge(&mut self, report: &DeliveryReport, metrics: Option<Metrics>) -> bool {
        match self.direction {
            Direction::Outbound => self.acknowledge_sent(report, metrics),
            Direction::Inbound => self.acknowledge_received(report),
            Direction::Internal => false,
        }
    }

    fn acknowledge_sent(&mut self, report: &DeliveryReport, session_metrics: Option<Metrics>) -> bool {
        let signal = match report.signal {
            AckSignal::Played if !self.is_playable() => AckSignal::Read,
            other => other,
        };
        let at = report.at;
        let session_id = self.session_id;
        if signal == AckSignal::Failed {
            if !matches!(self.status, MessageStatus::Queued | MessageStatus::Sending | MessageStatus::Sent) {
                return false;
            }
            let failure = report.failure.clone().unwrap_or(Failure {
                code: FailureCode::ProviderError,
                reason: "the provider reported a failure".to_owned(),
                retryable: false,
                provider_code: None,
            });
            let attempt = self.attempts;
            self.record(MessageEvent::Failed { failure, failed_at: at, attempt, session_id, session_metrics });
            return true;
        }
        let (Some(mine), Some(reached)) = (self.status.rank(), status_of(signal).rank()) else { return false };
        if reached <= mine {
            return false;
        }
        let participant = report.participant.clone();
        let implied_delivered_at = self.delivered_at.is_none().then_some(at);
        self.record(match signal {
            AckSignal::Sent => {
                MessageEvent::Sent { channel_message_id: None, sent_at: at, session_id, session_metrics }
            }
            AckSignal::Delivered => {
                MessageEvent::Delivered { delivered_at: at, participant, session_id, session_metrics }
            }
            AckSignal::Read => MessageEvent::Read {
                read_at: at,
                implied_delivered_at,
                reader: Reader::Contact,
                participant,
                session_id,
                session_metrics,
            },
            AckSignal::Played => MessageEvent::Played {
                played_at: at,
                implied_read_at: self.read_at.is_none().then_some(at),
                implied_delivered_at,
                by: Reader::Contact,
                session_id,
                session_metrics,
            },
            AckSignal::Queued | AckSignal::Failed => return false,
        });
        true
    }

    /// Our side read or played it: on the paired phone, or here.
    fn acknowledge_received(&mut self, report: &DeliveryReport) -> bool {
        match report.signal {
            AckSignal::Played if self.is_playable() => self.mark_played(report.at),
            AckSignal::Read | AckSignal::Played => self.mark_read(report.at),
            _ => false,
        }
    }

    /// Our side read an inbound message; false when that was known.
    pub fn mark_read(&mut self, at: Timestamp) -> bool {
        if self.status != MessageStatus::Received {
            return false;
        }
        let session_id = self.session_id;
        self.record(MessageEvent::Read {
            read_at: at,
            implied_delivered_at: None,
            reader: Reader::Agent,
            participant: None,
            session_id,
            session_metrics: None,
        });
        true
    }

    /// Our side played an inbound voice note or sound; false when that was known or nothing can be played.
    pub fn mark_played(&mut self, at: Timestamp) -> bool {
        if !self.is_playable() || !matches!(self.status, MessageStatus::Received | MessageStatus::Read) {
            return false;
        }
        let implied_read_at = self.read_at.is_none().then_some(at);
        let session_id = self.session_id;
        self.record(MessageEvent::Played {
            played_at: at,
            implied_read_at,
            implied_delivered_at: None,
            by: Reader::Agent,
            session_id,
            session_metrics: None,
        });
        true
    }

    /// Sets, replaces or (with none) removes the one reaction of a party.
    ///
    /// What a party did last counts, in any order of arrival. At one moment taking back comes last, and of two emojis the
    /// greater one.
    ///
    /// # Errors
    /// `emoji_invalid`.
    pub fn react(&mut self, actor: Party, emoji: Option<&str>, at: Timestamp) -> Result<Reacted> {
        let emoji = emoji.filter(|emoji| !emoji.is_empty());
        if emoji.is_some_and(|emoji| emoji.len() > MAX_EMOJI_BYTES || emoji.chars().any(char::is_control)) {
            return Err(Error::new(ErrorCode::EmojiInvalid).at("emoji").with("max_bytes", MAX_EMOJI_BYTES));
        }
        let order = |emoji: Option<&str>, at: Timestamp| (at, emoji.is_none(), emoji.map(str::to_owned));
        let known = self.last_reaction(actor);
        let previous_emoji = known.and_then(|(emoji, _)| emoji.map(str::to_owned));
        if known.is_some_and(|(known, known_at)| order(known, known_at) >= order(emoji, at)) {
            return Ok(Reacted::Known);
        }
        let contact_id = self.contact_id;
        match (emoji, previous_emoji) {
            (None, None) => Ok(Reacted::TooEarly),
            (None, Some(emoji)) => {
                self.record(MessageEvent::ReactionRemoved { actor, emoji, at, contact_id });
                Ok(Reacted::Changed)
            }
            (Some(_), None) if self.reactions.len() >= MAX_REACTIONS => Ok(Reacted::Known),
            (Some(emoji), previous_emoji) => {
                let emoji = emoji.to_owned();
                self.record(MessageEvent::ReactionAdded { actor, emoji, previous_emoji, at, contact_id });
                Ok(Reacted::Changed)
            }
        }
    }

    /// The author changed the text. False when this edit is in already or the content has no words.
    pub fn edit(&mut self, text: &str, at: Timestamp, by: Party) -> bool {
        let has_words = self.content.words().is_some() || self.content.media().is_some();
        if !has_words || self.has_edit(at) || self.edits.len() >= MAX_EDITS {
            return false;
        }
        let edit_no = self.edit_count.saturating_add(1);
        let previous_text = self.content.words().map(str::to_owned);
        let (text, chat_id, contact_id) = (text.to_owned(), self.chat_id, self.contact_id);
        self.record(MessageEvent::Edited { previous_text, text, edited_at: at, edit_no, by, chat_id, contact_id });
        true
    }

    /// The author took it back for everyone; what was said stays readable here. False when that was known.
    pub fn revoke(&mut self, at: Timestamp, by: Party) -> bool {
        if self.revoked_at.is_some() {
            return false;
        }
        let (chat_id, contact_id) = (self.chat_id, self.contact_id);
        self.record(MessageEvent::Revoked { revoked_at: at, by, content_kept: true, chat_id, contact_id });
        true
    }

    /// Asks the host's AI to look at the file, once per message and task.
    pub fn request_ai(&mut self) {
        let Some(media) = self.content.media() else { return };
        let request = AiRequest {
            channel_id: self.channel_id,
            chat_id: self.chat_id,
            contact_id: self.contact_id,
            session_id: self.session_id,
            url: media.url.clone(),
            mime: media.mime.clone(),
            duration_ms: media.duration_ms,
            filename: media.filename.clone(),
            size_bytes: media.size_bytes,
            requested_at: self.now(),
        };
        let event = match self.content.content_type() {
            ContentType::Image => MessageEvent::ProcessImageRequested(request),
            ContentType::Video => MessageEvent::ProcessVideoRequested(request),
            ContentType::Audio => MessageEvent::ProcessAudioRequested(request),
            ContentType::Voice => MessageEvent::ProcessVoiceRequested(request),
            ContentType::Document => MessageEvent::ProcessDocumentRequested(request),
            _ => return,
        };
        if !self.ai_requested.contains(self.content.content_type().as_str()) {
            self.record(event);
        }
    }
}

/// The status that a signal stands for.
pub const fn status_of(signal: AckSignal) -> MessageStatus {
    match signal {
        AckSignal::Failed => MessageStatus::Failed,
        AckSignal::Queued => MessageStatus::Queued,
        AckSignal::Sent => MessageStatus::Sent,
        AckSignal::Delivered => MessageStatus::Delivered,
        AckSignal::Read => MessageStatus::Read,
        AckSignal::Played => MessageStatus::Played,
    }
}
