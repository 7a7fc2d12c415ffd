//! What is done with messages besides sending them, as requests: which message they name, and that they go nowhere else.

use super::*;
use crate::channels::gateway::{ChannelSender, GatewayError, GatewayErrorKind, GatewayLine, MessageTarget};
use crate::http::{HttpFailure, HttpMethod, HttpRequest, HttpResponse};

const GROUP: &str = "120363000000000001@g.us";

fn gateway() -> GatewayLine {
    let Value::Object(config) = json!({"base_url": "https://waha.example.com"}) else { panic!("an object") };
    GatewayLine { external_id: Some("session-one".into()), config, ..GatewayLine::default() }
}

fn target(chat: &str, id: &str) -> MessageTarget {
    MessageTarget { chat: chat.into(), channel_message_id: id.into(), ..MessageTarget::default() }
}

#[track_caller]
fn body(request: Result<HttpRequest, GatewayError>) -> Value {
    serde_json::from_slice(&request.expect("a request").body).expect("a body is JSON")
}

fn named(target: &MessageTarget) -> String {
    body(Waha.react(&gateway(), target, None))["messageId"].as_str().expect("an id").to_owned()
}

/// Case 30 of the page.
#[test]
fn case_30_ids_in_a_path_are_escaped() {
    let ours = MessageTarget { from_me: true, ..target("551190000001@c.us", "3EB0/..?#") };
    for (request, method) in
        [(Waha.edit(&gateway(), &ours, "x"), HttpMethod::Put), (Waha.revoke(&gateway(), &ours), HttpMethod::Delete)]
    {
        let request = request.expect("a request");
        let path = "/api/session-one/chats/551190000001%40c.us/messages/true_551190000001%40c.us_3EB0%2F..%3F%23";
        assert_eq!((request.method, request.url), (method, format!("https://waha.example.com{path}")));
    }
    for chat in ["..", ".", ""] {
        let refused = Waha.revoke(&gateway(), &target(chat, "3EB0")).expect_err("dots lead elsewhere");
        assert_eq!(refused.kind, GatewayErrorKind::InvalidRequest);
    }
    let elsewhere = GatewayLine { external_id: Some("..".into()), ..gateway() };
    assert!(Waha.edit(&elsewhere, &ours, "x").is_err());
}

/// The long id of a recorded message is the one that requests name it by.
#[test]
fn a_recorded_message_is_named_as_it_came() {
    for (name, id) in [
        ("message_text", "false_551190000001@c.us_3F000000000000000011"),
        ("real_text_message", "false_551190000004@c.us_3A000000000000000013"),
    ] {
        let Some(bytes) = recorded(name) else { continue };
        let read = Waha.normalise(&line_one("session-one"), &Headers::default(), &bytes);
        let found = read.items.iter().find_map(|item| match item {
            InboundItem::Message(message) => Some(message),
            _ => None,
        });
        let message = found.expect("a message");
        let target = MessageTarget {
            metadata: message.metadata.clone(),
            ..target(&message.chat.external_id, &message.channel_message_id)
        };
        assert_eq!(named(&target), id);
        let seen = body(Waha.mark_read(&gateway(), &[target]));
        let expected = json!({"session": "session-one", "chatId": message.chat.external_id, "messageIds": [id]});
        assert_eq!(seen, expected);
    }
}

#[test]
fn an_id_is_put_together_where_none_was_told() {
    let ours =
        MessageTarget { from_me: true, author: Some("551150000001".into()), ..target("551190000001@c.us", "3EB0") };
    assert_eq!(named(&ours), "true_551190000001@c.us_3EB0");
    let in_group = MessageTarget { chat: GROUP.into(), ..ours };
    assert_eq!(named(&in_group), format!("true_{GROUP}_3EB0_551150000001@c.us"));
    let theirs = MessageTarget { from_me: false, author: Some("551190000001".into()), ..in_group };
    let seen = body(Waha.mark_read(&gateway(), &[theirs]));
    assert_eq!(seen["participant"], "551190000001@c.us");
}

/// Metadata is people's to change: what stands there leads to no other message.
#[test]
fn a_told_id_of_another_message_is_not_believed() {
    for told in ["true_551190000001@c.us_3EB1", "false_551190000001@c.us_3EB0", "3EB0", "..", ""] {
        let mut ours = MessageTarget { from_me: true, ..target("551190000001@c.us", "3EB0") };
        ours.metadata.insert("waha_id".into(), told.into());
        assert_eq!(named(&ours), "true_551190000001@c.us_3EB0", "{told}");
    }
}

#[test]
fn an_emoji_is_set_and_removed() {
    let line = gateway();
    let ours = MessageTarget { from_me: true, ..target("551190000001@c.us", "3EB0") };
    assert_eq!(body(Waha.react(&line, &ours, Some("👍")))["reaction"], "👍");
    assert_eq!(body(Waha.react(&line, &ours, None))["reaction"], "");
}

#[test]
fn whatever_is_said_of_a_change_it_was_made_or_why_not() {
    for fine in ["", "true", "<html>", "{"] {
        assert_eq!(Waha.read_done(&Ok(HttpResponse::new(200, fine))), Ok(()));
    }
    let kind = |answer| Waha.read_done(&answer).expect_err("it failed").kind;
    for (status, expected) in [
        (401, GatewayErrorKind::Auth),
        (404, GatewayErrorKind::NotFound),
        (422, GatewayErrorKind::InvalidRequest),
        (500, GatewayErrorKind::Unavailable),
        (302, GatewayErrorKind::InvalidRequest),
    ] {
        assert_eq!(kind(Ok(HttpResponse::new(status, ""))), expected, "{status}");
    }
    // All of it may be asked twice.
    assert_eq!(kind(Err(HttpFailure::Timeout { was_sent: true })), GatewayErrorKind::Unavailable);
}
