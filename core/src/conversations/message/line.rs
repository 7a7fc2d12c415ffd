//! Where a message of ours goes, and the line that it goes out on: what the channel can carry, and how it reaches a contact.

use super::MessageSource;
use crate::channels::channel::Channel;
use crate::channels::channel_type::{ChannelType, queries::by_code};
use crate::contacts::contact::Contact;
use crate::conversations::chat::resolution::for_contact;
use crate::conversations::chat::{Chat, ChatType};
use crate::conversations::content::{Content, ContentType, OutboundLimits};
use crate::conversations::inbound::system_agent;
use crate::engine::UnitOfWork;
use crate::kernel::{Actor, AgentId, ChannelId, ChatId, ContactId, Error, ErrorCode, Result, Timestamp};
use std::sync::Arc;

const DEFAULT_MEDIA_BYTES: u64 = 64 * 1024 * 1024;

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    Chat(ChatId),
    /// The individual chat of a contact on a channel, opened when there is none.
    Contact {
        contact_id: ContactId,
        channel_id: ChannelId,
    },
}

/// The line that a message goes out on.
pub struct OutboundLine {
    pub channel: Channel,
    pub channel_type: ChannelType,
}

impl OutboundLine {
    /// # Errors
    /// `channel_not_found`.
    pub async fn load(work: &mut UnitOfWork<'_>, id: ChannelId) -> Result<OutboundLine> {
        let channel = work.reader().get::<Channel>(id).await?;
        let channel_type = by_code(work.reader(), &channel.channel_type).await?;
        Ok(OutboundLine { channel, channel_type })
    }

    /// Whom a message without an agent of its own is attributed to.
    pub fn agent(&self, work: &UnitOfWork<'_>, source: MessageSource) -> AgentId {
        match (work.actor().actor, source.system_agent()) {
            (Actor::Agent(id), _) => id,
            (_, "default") => self.channel.default_agent_id.unwrap_or_else(|| system_agent(work.project(), source)),
            _ => system_agent(work.project(), source),
        }
    }

    /// Whether the line can do a thing at its provider at all.
    ///
    /// # Errors
    /// `capability_missing`.
    pub(super) fn check_can(&self, capability: &str, can: bool) -> Result<()> {
        let missing = || Error::new(ErrorCode::CapabilityMissing).with("capability", capability);
        can.then_some(()).ok_or_else(|| missing().with("channel_type", self.channel_type.code.as_str()))
    }

    /// Whether the line reaches a kind of chat.
    pub(super) fn check_reach(&self, chat: &Chat) -> Result<()> {
        let can = &self.channel_type.capabilities;
        match chat.chat_type {
            ChatType::Group if !can.groups => Err(Error::new(ErrorCode::GroupsNotSupported).at("chat_id")),
            ChatType::Channel if !can.newsletters => Err(Error::new(ErrorCode::NewslettersNotSupported).at("chat_id")),
            _ => Ok(()),
        }
    }

    /// Whether a content can be sent on the line at all.
    pub(super) fn check_content(&self, content: &Content) -> Result<()> {
        let can = &self.channel_type.capabilities;
        let kind = content.content_type();
        let standard = OutboundLimits::default();
        let narrowed = if kind == ContentType::Text { can.max_text } else { can.max_caption.or(can.max_text) };
        let max_text = narrowed.map_or(standard.max_text, |max| standard.max_text.min(max as usize));
        content.validate_outbound(&OutboundLimits { max_text, ..standard })?;
        let unsupported =
            || Error::new(ErrorCode::ContentTypeNotSupported).with("channel_type", self.channel_type.code.as_str());
        if !can.outbound_types.contains(&kind) {
            let allowed: Vec<&str> = can.outbound_types.iter().map(|kind| kind.as_str()).collect();
            return Err(unsupported().at("type").with("allowed", allowed));
        }
        let Some(media) = content.media() else { return Ok(()) };
        let max_bytes = can.max_media_bytes.unwrap_or(DEFAULT_MEDIA_BYTES);
        if media.size_bytes.is_some_and(|size| size > max_bytes) {
            return Err(Error::new(ErrorCode::PayloadTooLarge).at("media.size_bytes").with("max", max_bytes));
        }
        // Anything can be sent as a document; the formats matter where the channel shows or plays the file.
        let formats = match kind {
            ContentType::Document => None,
            ContentType::Voice => can.media_formats.get("voice").or_else(|| can.media_formats.get("audio")),
            kind => can.media_formats.get(kind.as_str()),
        };
        let subtype =
            media.mime.as_deref().and_then(|mime| mime.split(';').next()?.trim().split_once('/')).map(|m| m.1);
        match (formats, subtype) {
            (Some(formats), Some(subtype)) if !formats.iter().any(|format| format.eq_ignore_ascii_case(subtype)) => {
                Err(unsupported().at("media.mime").with("allowed", formats.clone()))
            }
            _ => Ok(()),
        }
    }

    /// The channel takes nothing but templates, because the contact wrote too long ago.
    pub(super) fn is_window_closed(&self, chat: &Chat, content: &Content, at: Timestamp) -> bool {
        let Some(hours) = self.channel_type.capabilities.reply_window_hours else { return false };
        let since = at.plus_seconds(-3_600 * i64::from(hours));
        content.content_type() != ContentType::Template && chat.last_inbound_at.is_none_or(|last| last < since)
    }
}

/// The chat, opened if need be, and its line.
pub(super) async fn recipient(work: &mut UnitOfWork<'_>, to: Recipient) -> Result<(Chat, OutboundLine)> {
    let (contact_id, channel_id) = match to {
        Recipient::Chat(id) => {
            let chat = work.load::<Chat>(id).await?.state().clone();
            if chat.is_closed() {
                return Err(Error::new(ErrorCode::ChatClosed).at("chat_id"));
            }
            let line = open_line(work, chat.channel_id).await?;
            if chat.external_id.is_none()
                && let Some(contact) = peer(&chat)
            {
                address(&line.channel_type, &work.reader().get::<Contact>(contact).await?)?;
            }
            return Ok((chat, line));
        }
        Recipient::Contact { contact_id, channel_id } => (contact_id, channel_id),
    };
    let line = open_line(work, channel_id).await?;
    let contact = work.reader().get::<Contact>(contact_id).await?;
    let external_id = address(&line.channel_type, &contact)?;
    let resolved = for_contact(work, channel_id, contact_id, external_id).await?;
    Ok((Arc::unwrap_or_clone(resolved.chat), line))
}

async fn open_line(work: &mut UnitOfWork<'_>, channel: ChannelId) -> Result<OutboundLine> {
    let line = OutboundLine::load(work, channel).await?;
    if line.channel.accepts_outbound() {
        return Ok(line);
    }
    Err(Error::new(ErrorCode::ChannelNotActive).at("channel_id").with("status", line.channel.status.as_str()))
}

/// The id of a contact's individual chat on a kind of channel, as far as it follows from what is known of the contact.
///
/// # Errors
/// `recipient_unreachable` when the channel has no way to the contact.
fn address(channel_type: &ChannelType, contact: &Contact) -> Result<Option<String>> {
    use crate::channels::channel_type::ChannelFamily as F;
    use crate::contacts::contact::IdentifierKind as K;
    let user = contact.identifiers.iter().find(|id| {
        let scopes = [channel_type.code.as_str(), channel_type.family.as_str()];
        matches!(id.kind, K::ChannelUser | K::External) && scopes.contains(&id.scope.as_str())
    });
    let user = user.map(|id| id.value.clone());
    let phone = contact.phone.as_ref().map(|phone| phone.as_str().to_owned());
    let known = match channel_type.family {
        F::Whatsapp => {
            let ids = contact.whatsapp.as_ref();
            let by_phone = ids.and_then(|ids| ids.wid.as_ref().or(ids.jid.as_ref())).map(|id| format!("{id}@c.us"));
            by_phone.or_else(|| ids.and_then(|ids| ids.lid.as_ref()).map(|id| format!("{id}@lid"))).or(user)
        }
        F::Email => contact.email.as_ref().map(|email| email.as_str().to_owned()),
        F::Sms => phone.clone(),
        F::Social | F::Chat | F::Web => user,
    };
    match (known, phone) {
        (None, None) => Err(Error::new(ErrorCode::RecipientUnreachable)
            .at("contact_id")
            .with("channel_type", channel_type.code.as_str())),
        // A number is not yet an id: which writing of it the channel uses is learnt from the channel.
        (known, _) => Ok(known),
    }
}

/// The other side of an individual chat.
pub(super) fn peer(chat: &Chat) -> Option<ContactId> {
    chat.contact_id.filter(|_| chat.chat_type == ChatType::Individual)
}
