//! Finds or opens the chat that a delivered item belongs to: a step of `inbound.ingest`.

use super::{Chat, ChatEvent, ChatType, Participant, ParticipantType};
use crate::channels::gateway::{ChatClass, ChatRef};
use crate::engine::{Root, UnitOfWork};
use crate::kernel::{ChannelId, ChatId, ContactId, Result, Timestamp};
use std::sync::Arc;

/// What of a chat an item tells.
pub struct ChatFacts<'a> {
    pub channel_id: ChannelId,
    pub chat: &'a ChatRef,
    /// The other side of an individual chat, or the author in a group.
    pub contact: Option<ContactId>,
    /// The author's id on the channel.
    pub external_sender: Option<&'a str>,
    pub at: Timestamp,
    /// A live inbound message brings an archived chat back.
    pub unarchive: bool,
}

/// The chat, and whether it was opened just now.
pub struct ResolvedChat {
    pub chat: Arc<Chat>,
    pub created: bool,
}

impl Chat {
    /// The type of chat that a provider's class means.
    pub fn type_of(class: ChatClass) -> ChatType {
        match class {
            ChatClass::Individual => ChatType::Individual,
            ChatClass::Group => ChatType::Group,
            ChatClass::Channel | ChatClass::Status => ChatType::Channel,
        }
    }
}

/// The open chat of a provider's id, if there is one.
pub async fn find_by_external_id(
    work: &mut UnitOfWork<'_>,
    channel: ChannelId,
    external_id: &str,
) -> Result<Option<Root<Chat>>> {
    work.by_key::<Chat>("chat.external", &channel.to_string(), external_id).await
}

/// By the provider's id; else, for an individual chat, by its contact; else a new one.
pub async fn resolve(work: &mut UnitOfWork<'_>, facts: &ChatFacts<'_>) -> Result<ResolvedChat> {
    let chat_type = Chat::type_of(facts.chat.class);
    let mut found = find_by_external_id(work, facts.channel_id, &facts.chat.external_id).await?;
    if found.is_none()
        && chat_type == ChatType::Individual
        && let Some(contact) = facts.contact
    {
        found = work.by_key::<Chat>("chat.contact", &facts.channel_id.to_string(), &contact.to_string()).await?;
    }
    let Some(mut chat) = found else { return open(work, facts, chat_type) };
    if chat.external_id.is_none() {
        chat.learn_external_id(&facts.chat.external_id);
    }
    if facts.unarchive {
        chat.wake();
    }
    if chat_type == ChatType::Group
        && let Some(contact) = facts.contact
    {
        chat.welcome(contact, facts.external_sender, facts.at);
    }
    let chat = work.keep(chat)?;
    Ok(ResolvedChat { chat, created: false })
}

/// The open individual chat of a contact on a channel, for a message of ours; a new one when there is none.
///
/// `external_id` is what the channel is expected to call the chat, where that is known.
pub async fn for_contact(
    work: &mut UnitOfWork<'_>,
    channel_id: ChannelId,
    contact_id: ContactId,
    external_id: Option<String>,
) -> Result<ResolvedChat> {
    let channel = channel_id.to_string();
    if let Some(chat) = work.by_key::<Chat>("chat.contact", &channel, &contact_id.to_string()).await? {
        return Ok(ResolvedChat { chat: work.keep(chat)?, created: false });
    }
    // A chat that goes by this id without being the contact's keeps it.
    let external_id = match external_id {
        Some(id) if find_by_external_id(work, channel_id, &id).await?.is_none() => Some(id),
        _ => None,
    };
    let at = work.now();
    let participant = Participant::member(contact_id, ParticipantType::Contact, at, external_id.clone());
    let root = work.create::<Chat>(
        work.new_id(),
        ChatEvent::Created {
            channel_id,
            chat_type: ChatType::Individual,
            external_id,
            contact_id: Some(contact_id),
            subject: None,
            description: None,
            participants: vec![participant],
            metadata: serde_json::Map::new(),
        },
    )?;
    Ok(ResolvedChat { chat: work.keep(root)?, created: true })
}

fn open(work: &mut UnitOfWork<'_>, facts: &ChatFacts<'_>, chat_type: ChatType) -> Result<ResolvedChat> {
    let participants = match (chat_type, facts.contact) {
        (ChatType::Channel, _) | (_, None) => Vec::new(),
        (_, Some(contact)) => {
            let external_id = facts.external_sender.map(str::to_owned);
            vec![Participant::member(contact, ParticipantType::Contact, facts.at, external_id)]
        }
    };
    // A group that nobody named yet goes by its id until an event of the group names it.
    let subject = match chat_type {
        ChatType::Individual => None,
        _ => Some(facts.chat.subject.clone().unwrap_or_else(|| facts.chat.external_id.clone())),
    };
    let id: ChatId = work.new_id();
    let root = work.create::<Chat>(
        id,
        ChatEvent::Created {
            channel_id: facts.channel_id,
            chat_type,
            external_id: Some(facts.chat.external_id.clone()),
            contact_id: facts.contact.filter(|_| chat_type == ChatType::Individual),
            subject,
            description: None,
            participants,
            metadata: serde_json::Map::new(),
        },
    )?;
    let chat = work.keep(root)?;
    Ok(ResolvedChat { chat, created: true })
}
