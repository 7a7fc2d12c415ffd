//! WAHA, a self-hosted HTTP gateway to WhatsApp: its webhooks, read into items.
//!
//! Three engines speak through it and shape `_data` differently. The top-level fields are the same for all and win;
//! `_data` fills the gaps. Whatever is missing, misspelt or new costs that detail, never the message.

mod content;
mod context_info;
mod envelope;
mod events;
mod groups;
mod history;
mod identifiers;
mod json;
pub(crate) mod labels;
mod media;
mod message;
mod parties;
mod sending;
mod signature;
mod vcard;

use super::gateway::{
    ChannelAdapter, GatewayContext, Headers, IgnoredReason, Normalised, ProviderEvent, UnknownReason, Verification,
};
use envelope::Delivery;
use json::Json;

/// Reads the webhooks of WAHA. A channel's `external_id` is the name of its session there.
#[derive(Debug, Clone, Copy)]
pub struct Waha;

impl ChannelAdapter for Waha {
    fn code(&self) -> &'static str {
        "waha"
    }

    fn verify(&self, context: &GatewayContext, headers: &Headers, raw: &[u8]) -> Verification {
        signature::verify(context, headers, raw)
    }

    fn normalise(&self, context: &GatewayContext, headers: &Headers, body: &[u8]) -> Normalised {
        if let Some(json) = json::parse(body) {
            return read(context, headers, body, &json);
        }
        let repaired = json::repair(body);
        match repaired.as_deref().and_then(json::parse) {
            Some(json) => read(context, headers, body, &json),
            None => read(context, headers, body, &Json::Null),
        }
    }
}

fn read(context: &GatewayContext, headers: &Headers, body: &[u8], json: &Json<'_>) -> Normalised {
    let id = json.get("id").text().or_else(|| headers.get("X-Webhook-Request-Id"));
    let mut out = Normalised::new(id, body);
    let Some(event) = json.get("event").text() else {
        out.unknown(ProviderEvent::default(), UnknownReason::Unparseable);
        return out;
    };
    if context.external_id.is_some() && json.get("session").text() != context.external_id.as_deref() {
        out.ignore(event, IgnoredReason::WrongSession);
        return out;
    }
    let delivery = Delivery::new(context, json, event);
    delivery.identity(&mut out);
    dispatch(&delivery, &mut out);
    out
}

fn dispatch(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    match delivery.event {
        "message" | "message.any" => message::read(delivery, out),
        "message.ack" | "message.ack.group" => events::ack(delivery, out),
        "message.reaction" => events::reaction(delivery, out),
        "message.edited" => events::edit(delivery, out),
        "message.revoked" => events::revoke(delivery, out),
        "session.status" => events::connection_status(delivery, out),
        "call.received" | "call.accepted" | "call.rejected" => events::call(delivery, out),
        "presence.update" => events::presence(delivery, out),
        "poll.vote" => events::poll_vote(delivery, out),
        "chat.archive" => events::chat_archive(delivery, out),
        "label.upsert" | "label.deleted" => labels::label(delivery, out),
        "label.chat.added" | "label.chat.deleted" => labels::chat_label(delivery, out),
        "group.v2.join" | "group.v2.leave" | "group.v2.update" | "group.v2.participants" => {
            groups::change(delivery, out);
        }
        "message.waiting"
        | "poll.vote.failed"
        | "event.response"
        | "event.response.failed"
        | "engine.event"
        | "group.join"
        | "group.leave"
        | "state.change" => out.ignore(delivery.event, IgnoredReason::UnhandledKind),
        _ => out.unknown(delivery.provider(delivery.time(delivery.payload)), UnknownReason::UnknownKind),
    }
}

#[cfg(test)]
mod tests;
