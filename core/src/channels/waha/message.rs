//! A message event, from its payload to an item.

use super::content;
use super::context_info::ContextInfo;
use super::envelope::Delivery;
use super::events::signal;
use super::identifiers::{Jid, MessageId, jid};
use super::json::Json;
use super::parties::Parties;
use crate::channels::gateway::{
    ChatClass, IgnoredReason, InboundItem, InboundMessage, MediaFetch, Normalised, SourceHint, UnknownReason,
};
use serde_json::{Map, Value};

/// Reads the delivery's payload as a message and adds it, or why it is none.
pub(super) fn read(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let id = identify(payload);
    if is_story(payload, id.as_ref()) {
        return out.ignore(delivery.event, IgnoredReason::StatusBroadcast);
    }
    if payload.at("_data.Info.Category").text().is_some_and(|category| category.eq_ignore_ascii_case("peer")) {
        return out.ignore(delivery.event, IgnoredReason::ProtocolMessage);
    }
    let at = delivery.time(payload);
    let no_id = |out: &mut Normalised| out.unknown(delivery.provider(at), UnknownReason::NoMessageId);
    let Some(id) = id else { return no_id(out) };
    let parties = Parties::read(payload, Some(&id), &delivery.own);
    let Some(chat) = &parties.chat else { return no_id(out) };
    if !parties.from_me && !parties.sender.has_id() {
        return no_id(out);
    }
    let Some(mut found) = content::read(payload, &delivery.context.base_urls) else {
        return out.ignore(delivery.event, IgnoredReason::ProtocolMessage);
    };
    let waha_id = full_id(&id, &parties, chat, payload);
    if let Some(media) = &mut found.media_ref
        && media.fetch == MediaFetch::ByProviderId
    {
        media.provider_media_id = Some(waha_id.clone());
    }
    let context_info = ContextInfo::read(payload, found.context_info);
    let mut metadata = found.metadata;
    metadata.insert("waha_id".to_owned(), waha_id.into());
    metadata.extend(context_info.metadata);
    out.push(InboundItem::Message(Box::new(InboundMessage {
        provider: delivery.provider(at),
        channel_message_id: id.stanza,
        chat: chat.chat(),
        from_me: parties.from_me,
        source_hint: source(payload),
        sender: parties.sender,
        peer: parties.peer,
        timestamp: at,
        content: found.content,
        media_ref: found.media_ref,
        reply_to_channel_message_id: context_info.reply_to,
        reply_excerpt: context_info.reply_excerpt,
        mentions: context_info.mentions,
        forward: context_info.forward,
        ephemeral: found.ephemeral || context_info.ephemeral,
        view_once: found.view_once,
        attribution: context_info.attribution,
        // What a paired phone did with somebody else's message says nothing about delivery.
        initial_ack: if parties.from_me { signal(payload) } else { None },
        metadata,
    })));
}

/// The id of a message-like payload, wherever the engine keeps it.
pub(super) fn identify(payload: &Json<'_>) -> Option<MessageId> {
    ["id", "_data.Info.ID", "_data.key.id", "_data.id"].iter().find_map(|path| MessageId::read(payload.at(path)))
}

/// A story: `status@broadcast` anywhere in its address.
pub(super) fn is_story(payload: &Json<'_>, id: Option<&MessageId>) -> bool {
    id.and_then(|id| id.chat.as_ref()) == Some(&Jid::Status)
        || ["from", "to", "_data.Info.Chat", "_data.key.remoteJid"]
            .iter()
            .any(|path| jid(payload.at(path)) == Some(Jid::Status))
}

/// The long form that requests need, put together when only the stanza is told.
fn full_id(id: &MessageId, parties: &Parties, chat: &Jid, payload: &Json<'_>) -> String {
    if let Some(full) = &id.full {
        return full.clone();
    }
    let author = match chat.chat().class {
        ChatClass::Individual => None,
        _ => jid(payload.get("participant")).or_else(|| jid(payload.at("_data.Info.Sender"))),
    };
    let start = format!("{}_{}_{}", parties.from_me, chat.external_id(), id.stanza);
    author.map_or(start.clone(), |author| format!("{start}_{}", author.external_id()))
}

fn source(payload: &Json<'_>) -> SourceHint {
    match payload.get("source").text() {
        Some("api") => SourceHint::Api,
        Some("app") => SourceHint::App,
        _ => SourceHint::Unknown,
    }
}

/// Notes a particular that requests or people may need later.
pub(super) fn note(metadata: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        metadata.insert(name.to_owned(), value.into());
    }
}
