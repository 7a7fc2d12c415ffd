//! The acceptance cases of the adapter, by number, and its laws.

mod contents;
mod events;
mod laws;
mod messages;
mod quickstart;
mod telling;
mod verification;

use super::Waha;
use crate::channels::gateway::{
    ChannelAdapter, GatewayContext, Headers, Ignored, IgnoredReason, InboundItem, InboundMessage, Normalised,
    OwnIdentity, UnknownReason,
};
use crate::kernel::Timestamp;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The recorded payloads; they are not part of the repository, and tests that need them pass without them.
const RECORDED: &[&str] = &[
    "fb_ads_message",
    "message_audio",
    "message_contact",
    "message_document_pdf",
    "message_fb_ads",
    "message_image",
    "message_image_text",
    "message_location",
    "message_text",
    "real_image_message",
];

fn recorded(name: &str) -> Option<Vec<u8>> {
    let folder = match std::env::var_os("VENTROS_SHARED") {
        Some(shared) => PathBuf::from(shared).join("data/waha"),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/waha")),
    };
    let found = std::fs::read(folder.join(format!("{name}.json"))).ok();
    if found.is_none() {
        eprintln!("skipped: no recorded payload {name}.json in {}", folder.display());
    }
    found
}

/// A recorded payload to be changed by a test.
fn recorded_json(name: &str) -> Option<Value> {
    recorded(name).map(|body| serde_json::from_slice(&body).expect("recorded payloads are JSON"))
}

#[track_caller]
fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("an instant")
}

/// The line of the recorded sessions one and two.
fn line_one(session: &str) -> GatewayContext {
    let mut context = GatewayContext::new(session, at("2025-01-01T12:30:00Z"));
    context.identity = OwnIdentity {
        wid: Some("551150000001".into()),
        lid: Some("100000000000001".into()),
        jid: Some("551150000001".into()),
        display_name: Some("Business One".into()),
        ..OwnIdentity::default()
    };
    context
}

/// The line of the recorded advertisement and story.
fn line_two(session: &str) -> GatewayContext {
    let mut context = GatewayContext::new(session, at("2025-01-01T12:30:00Z"));
    context.identity = OwnIdentity {
        wid: Some("551180000002".into()),
        lid: Some("10000000000002".into()),
        jid: Some("551180000002".into()),
        display_name: Some("Business Two".into()),
        ..OwnIdentity::default()
    };
    context
}

fn read(context: &GatewayContext, body: impl AsRef<[u8]>) -> Normalised {
    Waha.normalise(context, &Headers::default(), body.as_ref())
}

/// An event of session one, with the payload given.
fn event(kind: &str, payload: Value) -> Value {
    json!({
        "id": "evt_01jgh000000000000000000099", "timestamp": 1_735_732_800_000_i64, "event": kind,
        "session": "session-one", "metadata": {}, "payload": payload,
        "me": {"id": "551150000001@c.us", "pushName": "Business One", "lid": "100000000000001@lid",
               "jid": "551150000001:9@s.whatsapp.net"},
    })
}

/// An inbound message from Contact One in the documented shape, with the engine's node given.
fn inbound(node: Value, top: Value) -> Value {
    let mut payload = json!({
        "id": "false_551190000001@c.us_2A0000000000000000AA", "timestamp": 1_735_732_800,
        "from": "551190000001@c.us", "fromMe": false, "source": "app", "hasMedia": false, "media": null,
        "_data": {"Info": {"Chat": "551190000001@s.whatsapp.net", "Sender": "551190000001@s.whatsapp.net",
                           "SenderAlt": "200000000000001@lid", "PushName": "Contact One"}, "Message": node},
    });
    for (name, value) in top.as_object().expect("an object") {
        payload[name] = value.clone();
    }
    event("message.any", payload)
}

/// The one item of a body.
#[track_caller]
fn item(context: &GatewayContext, body: impl AsRef<[u8]>) -> InboundItem {
    let found = read(context, body);
    assert_eq!(found.items.len(), 1, "{found:?}");
    found.items.into_iter().next().expect("one item")
}

#[track_caller]
fn one(body: &Value) -> InboundItem {
    item(&line_one("session-one"), body.to_string())
}

#[track_caller]
fn message_of(item: InboundItem) -> InboundMessage {
    let InboundItem::Message(message) = item else { panic!("a message, not {item:?}") };
    *message
}

#[track_caller]
fn message(body: &Value) -> InboundMessage {
    message_of(one(body))
}

#[track_caller]
fn ignored(context: &GatewayContext, body: impl AsRef<[u8]>, reason: IgnoredReason) {
    let found = read(context, body);
    assert_eq!(found.items, []);
    let reasons: Vec<IgnoredReason> = found.ignored.into_iter().map(|Ignored { reason, .. }| reason).collect();
    assert_eq!(reasons, [reason]);
}

#[track_caller]
fn unknown(body: impl AsRef<[u8]>, reason: UnknownReason) {
    let InboundItem::Unknown(found) = item(&line_one("session-one"), body) else { panic!("unknown expected") };
    assert_eq!(found.reason, reason);
}
