//! What happens to messages, calls, chats and the connection: everything that is small.

use super::content;
use super::envelope::{Delivery, instant};
use super::identifiers::{Jid, MessageId, jid};
use super::json::Json;
use super::message::{identify, is_story};
use super::parties::Parties;
use crate::channels::gateway::{
    AckSignal, ChatRef, ConnectionState, IgnoredReason, InboundAck, InboundCall, InboundCallState, InboundChatArchive,
    InboundConnectionStatus, InboundEdit, InboundItem, InboundPollVote, InboundPresence, InboundReaction,
    InboundRevoke, Normalised, PresenceState, RevokeReach,
};

/// The acknowledgement in a payload: by its number, else by its name.
pub(super) fn signal(payload: &Json<'_>) -> Option<AckSignal> {
    match payload.get("ack") {
        Json::Null => match payload.get("ackName").text()? {
            "ERROR" => Some(AckSignal::Failed),
            "PENDING" => Some(AckSignal::Queued),
            "SERVER" => Some(AckSignal::Sent),
            "DEVICE" => Some(AckSignal::Delivered),
            "READ" => Some(AckSignal::Read),
            "PLAYED" => Some(AckSignal::Played),
            _ => None,
        },
        Json::Integer(-1) => Some(AckSignal::Failed),
        Json::Integer(0) => Some(AckSignal::Queued),
        Json::Integer(1) => Some(AckSignal::Sent),
        Json::Integer(2) => Some(AckSignal::Delivered),
        Json::Integer(3) => Some(AckSignal::Read),
        Json::Integer(4) => Some(AckSignal::Played),
        _ => None,
    }
}

pub(super) fn ack(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let Some(id) = identify(payload) else { return delivery.incomplete(out) };
    if is_story(payload, Some(&id)) {
        return out.ignore(delivery.event, IgnoredReason::StatusBroadcast);
    }
    let Some(signal) = signal(payload) else { return out.ignore(delivery.event, IgnoredReason::UnhandledKind) };
    // `from` and `to` mean different things here per engine; the message's own id does not.
    let chat = id.chat.clone().or_else(|| Parties::read(payload, Some(&id), &delivery.own).chat);
    let many = chat.as_ref().is_some_and(|chat| !chat.is_person());
    let participant = many.then(|| delivery.own.other([jid(payload.get("participant"))])).filter(|by| by.has_id());
    let at = delivery.time(payload);
    out.push(InboundItem::Ack(InboundAck {
        provider: delivery.provider(at),
        channel_message_id: id.stanza,
        chat: chat.as_ref().map(Jid::chat),
        participant,
        signal,
        provider_code: None,
        at,
    }));
}

pub(super) fn reaction(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let Some(target) = MessageId::read(payload.at("reaction.messageId")) else { return delivery.incomplete(out) };
    if is_story(payload, Some(&target)) {
        return out.ignore(delivery.event, IgnoredReason::StatusBroadcast);
    }
    let by = author(delivery, payload, Some(&target));
    let Some(Author { chat, from_me, by }) = by else { return delivery.incomplete(out) };
    let at = delivery.time(payload);
    out.push(InboundItem::Reaction(InboundReaction {
        provider: delivery.provider(at),
        target_channel_message_id: target.stanza,
        chat,
        from_me,
        by,
        emoji: payload.at("reaction.text").string(),
        at,
    }));
}

pub(super) fn edit(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let target = MessageId::read(payload.get("editedMessageId"));
    let words = || content::read(payload, &[]).and_then(|found| found.content.words().map(str::to_owned));
    let text = payload.get("body").string().or_else(words);
    let (Some(target), Some(text)) = (target, text) else { return delivery.incomplete(out) };
    let Some(Author { chat, from_me, by }) = author(delivery, payload, None) else { return delivery.incomplete(out) };
    let at = delivery.time(payload);
    out.push(InboundItem::Edit(InboundEdit {
        provider: delivery.provider(at),
        target_channel_message_id: target.stanza,
        chat,
        from_me,
        by,
        text,
        at,
    }));
}

pub(super) fn revoke(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    // `after` is the notice of taking back and names who did it; `before` may be unknown to the gateway.
    let (after, before) = (payload.get("after"), payload.get("before"));
    let target = MessageId::read(payload.get("revokedMessageId")).or_else(|| identify(before));
    let told = if after.is_object() { after } else { before };
    let Some(target) = target else { return delivery.incomplete(out) };
    if is_story(told, identify(told).as_ref()) {
        return out.ignore(delivery.event, IgnoredReason::StatusBroadcast);
    }
    let Some(Author { chat, from_me, by }) = author(delivery, told, None) else { return delivery.incomplete(out) };
    // `before` carries the time of writing, not of taking back.
    let at = if after.is_object() { delivery.time(after) } else { delivery.time(payload) };
    out.push(InboundItem::Revoke(InboundRevoke {
        provider: delivery.provider(at),
        target_channel_message_id: target.stanza,
        chat,
        from_me,
        by,
        reach: RevokeReach::Everyone,
        at,
    }));
}

pub(super) fn poll_vote(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let vote = delivery.payload.get("vote");
    let Some(poll) = MessageId::read(delivery.payload.at("poll.id")) else { return delivery.incomplete(out) };
    let Some(Author { chat, from_me, by }) = author(delivery, vote, Some(&poll)) else {
        return delivery.incomplete(out);
    };
    let at = delivery.time(vote);
    out.push(InboundItem::PollVote(InboundPollVote {
        provider: delivery.provider(at),
        poll_channel_message_id: poll.stanza,
        chat,
        from_me,
        by,
        options: vote.get("selectedOptions").items().iter().filter_map(Json::string).collect(),
        at,
    }));
}

/// Who did something in which chat.
struct Author {
    chat: Option<ChatRef>,
    from_me: bool,
    by: crate::channels::gateway::Identifiers,
}

/// Nothing when the payload names nobody. `about` is the message that it is about.
fn author(delivery: &Delivery<'_, '_>, payload: &Json<'_>, about: Option<&MessageId>) -> Option<Author> {
    let id = identify(payload);
    let parties = Parties::read(payload, id.as_ref(), &delivery.own);
    let chat = parties.chat.or_else(|| about.and_then(|about| about.chat.clone()));
    let named = parties.from_me || parties.sender.has_id();
    named.then(|| Author { chat: chat.as_ref().map(Jid::chat), from_me: parties.from_me, by: parties.sender })
}

pub(super) fn connection_status(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let Some(status) = payload.get("status").text() else { return delivery.incomplete(out) };
    let state = match status {
        "STARTING" => ConnectionState::Starting,
        "SCAN_QR_CODE" => ConnectionState::AwaitingScan,
        "PASSKEY_REQUIRED" | "PASSKEY_CONFIRMATION_REQUIRED" => ConnectionState::AwaitingConfirmation,
        "WORKING" => ConnectionState::Connected,
        "STOPPED" => ConnectionState::Stopped,
        "FAILED" => ConnectionState::Failed,
        "UNAUTHORIZED" => ConnectionState::Unauthorized,
        _ => ConnectionState::Unknown,
    };
    let told = payload.at("data.reason").text().or_else(|| payload.at("data.message").text());
    let unknown = (state == ConnectionState::Unknown).then_some(status);
    let reason = told.or(unknown).map(|text| text.chars().take(500).collect());
    let history = payload.get("statuses").items().last();
    let latest = history.filter(|entry| entry.get("status").text() == Some(status));
    let at = latest.and_then(|entry| instant(entry.get("timestamp"))).unwrap_or_else(|| delivery.time(payload));
    let provider = delivery.provider(at);
    out.push(InboundItem::ConnectionStatus(InboundConnectionStatus { provider, state, reason, at }));
}

pub(super) fn call(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let caller = jid(payload.get("from"));
    let from = delivery.own.other([caller.clone(), jid(payload.at("_data.CallCreatorAlt"))]);
    let (Some(call_id), true) = (payload.get("id").word(), from.has_id()) else { return delivery.incomplete(out) };
    let state = match delivery.event {
        "call.accepted" => InboundCallState::Accepted,
        "call.rejected" => InboundCallState::Rejected,
        _ => InboundCallState::Received,
    };
    let at = delivery.time(payload);
    let (video, group) = (payload.get("isVideo").is_true(), payload.get("isGroup").is_true());
    // The notice of a call goes into the caller's own chat and keeps its order there.
    out.lane = caller.map(|jid| jid.external_id()).unwrap_or_default();
    let provider = delivery.provider(at);
    out.push(InboundItem::Call(InboundCall { provider, call_id, from, state, video, group, at }));
}

pub(super) fn presence(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let place = jid(payload.get("id"));
    for one in payload.get("presences").items() {
        let who = jid(one.get("participant")).or_else(|| place.clone().filter(Jid::is_person));
        let identifiers = delivery.own.other([who]);
        let state = match one.get("lastKnownPresence").text() {
            Some("online") => PresenceState::Online,
            Some("offline") => PresenceState::Offline,
            Some("typing") => PresenceState::Typing,
            Some("recording") => PresenceState::Recording,
            Some("paused") => PresenceState::Paused,
            _ => {
                out.ignore(delivery.event, IgnoredReason::UnhandledKind);
                continue;
            }
        };
        if !identifiers.has_id() {
            continue;
        }
        out.push(InboundItem::Presence(InboundPresence {
            provider: delivery.provider(delivery.time(payload)),
            chat: place.as_ref().map(Jid::chat),
            identifiers,
            state,
            last_seen: instant(one.get("lastSeen")),
        }));
    }
}

pub(super) fn chat_archive(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let (Some(chat), Json::Bool(archived)) = (jid(payload.get("id")), payload.get("archived")) else {
        return delivery.incomplete(out);
    };
    let at = delivery.time(payload);
    let provider = delivery.provider(at);
    let (chat, archived) = (chat.chat(), *archived);
    out.push(InboundItem::ChatArchive(InboundChatArchive { provider, chat, archived, at }));
}
