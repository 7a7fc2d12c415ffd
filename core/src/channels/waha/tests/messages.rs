//! Who, where and when: ids, chats, authors, echoes.

use super::*;
use crate::channels::gateway::{AckSignal, ChatClass, SourceHint};
use crate::conversations::content::{Content, Forward};

#[test]
fn case_01_an_inbound_text() {
    let Some(body) = recorded("message_text") else { return };
    let message = message_of(item(&line_one("session-one"), body));
    assert_eq!(message.channel_message_id, "3F000000000000000011");
    assert_eq!(message.metadata["waha_id"], "false_551190000001@c.us_3F000000000000000011");
    assert_eq!((message.chat.external_id.as_str(), message.chat.class), ("551190000001@c.us", ChatClass::Individual));
    assert_eq!(message.timestamp, at("2025-01-01T12:00:00Z"));
    assert_eq!(message.content, Content::text("Mensagem de exemplo"));
    assert_eq!(message.sender.wid.as_deref(), Some("551190000001"));
    assert_eq!(message.sender.lid.as_deref(), Some("200000000000001"));
    assert_eq!(message.sender.phone.as_ref().map(|phone| phone.as_str()), Some("+5511990000001"));
    assert_eq!(message.sender.display_name.as_deref(), Some("Contact One"));
    assert_eq!(message.peer.as_ref(), Some(&message.sender));
    assert_eq!((message.from_me, message.initial_ack, message.ephemeral), (false, None, false));
    let people = serde_json::to_string(&(&message.sender, &message.peer)).expect("writes");
    assert!(!people.contains("551150000001") && !people.contains("100000000000001\""), "{people}");
}

#[test]
fn case_06_a_sticker_for_its_own_session_only() {
    let mut body = inbound(
        json!({"stickerMessage": {"mimetype": "image/webp", "fileLength": 1000, "height": 0, "width": 0, "isLottie": false}}),
        json!({"hasMedia": true, "media": {"url": "https://media.example.com/s.webp", "mimetype": "image/webp"}}),
    );
    body["session"] = "session-two".into();
    let message = message_of(item(&line_one("session-two"), body.to_string()));
    let Content::Sticker { media, caption: None } = message.content else { panic!("a sticker") };
    assert_eq!((media.width, media.height), (None, None));
    ignored(&line_one("session-one"), body.to_string(), IgnoredReason::WrongSession);
}

#[test]
fn case_10_a_bare_id_and_the_internal_domain() {
    let body = event(
        "message",
        json!({
            "id": "3A000000000000000013", "timestamp": 1_735_732_800, "from": "551190000004@s.whatsapp.net",
            "fromMe": false, "hasMedia": false, "body": "Isso não funciona",
            "_data": {"Info": {"Sender": "551190000004:11@s.whatsapp.net", "SenderAlt": "20000000000004@lid"},
                      "Message": {"conversation": "Isso não funciona"}},
        }),
    );
    let message = message(&body);
    assert_eq!(message.channel_message_id, "3A000000000000000013");
    assert_eq!(message.chat.external_id, "551190000004@c.us");
    assert_eq!(message.sender.wid.as_deref(), Some("551190000004"));
    assert_eq!(message.sender.lid.as_deref(), Some("20000000000004"));
    assert_eq!(message.content, Content::text("Isso não funciona"));
    assert_eq!(message.metadata["waha_id"], "false_551190000004@c.us_3A000000000000000013");
}

#[test]
fn gateway_case_06_full_and_bare_ids_name_one_message() {
    let full = message(&inbound(json!({"conversation": "Oi"}), json!({})));
    let bare = message(&inbound(json!({"conversation": "Oi"}), json!({"id": "2A0000000000000000AA"})));
    assert_eq!(full.channel_message_id, bare.channel_message_id);
    assert_eq!(full.metadata, bare.metadata);
}

#[test]
fn case_11_stories_are_ignored() {
    let Some(body) = recorded("real_image_message") else { return };
    ignored(&line_two("session-three"), body, IgnoredReason::StatusBroadcast);
}

#[test]
fn case_12_an_echo_from_the_phone() {
    let Some(mut body) = recorded_json("message_text") else { return };
    body["payload"]["fromMe"] = true.into();
    body["payload"]["to"] = "551190000001@c.us".into();
    body["payload"]["from"] = "551150000001@c.us".into();
    let message = message(&body);
    assert_eq!((message.from_me, message.source_hint), (true, SourceHint::App));
    let peer = message.peer.expect("the recipient");
    assert_eq!((peer.wid.as_deref(), peer.lid, peer.display_name), (Some("551190000001"), None, None));
    assert_eq!(message.sender.wid.as_deref(), Some("551150000001"));
    assert_eq!(message.sender.display_name, None);
    assert_eq!(message.initial_ack, Some(AckSignal::Delivered));
}

#[test]
fn gateway_case_12_the_peer_of_an_echo_holds_no_id_of_ours() {
    let body = event(
        "message.any",
        json!({
            "id": "true_551190000001@c.us_3EB0FF", "timestamp": 1_735_732_800, "from": "551150000001@c.us",
            "to": "551190000001@c.us", "fromMe": true, "source": "api", "body": "Oi",
            "_data": {"Info": {"Chat": "551190000001@s.whatsapp.net", "Sender": "551150000001:9@s.whatsapp.net",
                               "SenderAlt": "100000000000001@lid", "RecipientAlt": "200000000000001@lid"}},
        }),
    );
    let message = message(&body);
    assert_eq!(message.source_hint, SourceHint::Api);
    let peer = message.peer.expect("the recipient");
    assert_eq!((peer.wid.as_deref(), peer.lid.as_deref()), (Some("551190000001"), Some("200000000000001")));
    let written = serde_json::to_string(&peer).expect("writes");
    assert!(!written.contains("551150000001") && !written.contains("100000000000001"), "{written}");
}

#[test]
fn case_13_an_echo_of_the_gateway_keeps_the_stanza_to_match_on() {
    let body = event(
        "message.any",
        json!({"id": "true_551190000001@c.us_3EB0AA", "timestamp": 1_735_732_800, "from": "551150000001@c.us",
               "to": "551190000001@c.us", "fromMe": true, "source": "api", "body": "Oi", "ack": 1}),
    );
    let message = message(&body);
    assert_eq!((message.channel_message_id.as_str(), message.from_me), ("3EB0AA", true));
    assert_eq!((message.source_hint, message.initial_ack), (SourceHint::Api, Some(AckSignal::Sent)));
}

#[test]
fn case_17_a_group_message_is_by_its_participant() {
    let body = event(
        "message.any",
        json!({
            "id": "false_120363000000000001@g.us_3A01_551190000001@c.us", "timestamp": 1_735_732_800,
            "from": "120363000000000001@g.us", "participant": "551190000001@c.us", "fromMe": false, "body": "Bom dia",
            "_data": {"Info": {"Chat": "120363000000000001@g.us", "Sender": "551190000001:3@s.whatsapp.net",
                               "SenderAlt": "200000000000001@lid", "PushName": "Contact One", "IsGroup": true}},
        }),
    );
    let message = message(&body);
    assert_eq!((message.chat.class, message.chat.external_id.as_str()), (ChatClass::Group, "120363000000000001@g.us"));
    assert_eq!(message.sender.wid.as_deref(), Some("551190000001"));
    assert_eq!(message.sender.lid.as_deref(), Some("200000000000001"));
    assert_eq!(message.sender.phone.as_ref().map(|phone| phone.as_str()), Some("+5511990000001"));
    assert_eq!((message.peer, message.channel_message_id.as_str()), (None, "3A01"));
    let sender = serde_json::to_string(&message.sender).expect("writes");
    assert!(!sender.contains("120363000000000001"), "{sender}");
}

fn hidden(alternative: &str) -> Value {
    let mut body = inbound(
        json!({"conversation": "Oi"}),
        json!({"id": "false_200000000000001@lid_3A02", "from": "200000000000001@lid"}),
    );
    body["payload"]["_data"]["Info"] = json!({
        "Chat": "200000000000001@lid", "Sender": "200000000000001:2@lid", "SenderAlt": alternative, "AddressingMode": "lid",
    });
    body
}

#[test]
fn case_18_hidden_addressing() {
    let both = message(&hidden("551190000001@s.whatsapp.net"));
    assert_eq!(both.sender.lid.as_deref(), Some("200000000000001"));
    assert_eq!(both.sender.wid.as_deref(), Some("551190000001"));
    assert_eq!(both.chat.external_id, "200000000000001@lid");
}

#[test]
fn gateway_case_13_a_hidden_id_is_no_phone() {
    let only = message(&hidden(""));
    assert_eq!(only.sender.lid.as_deref(), Some("200000000000001"));
    assert_eq!((only.sender.wid, only.sender.jid, only.sender.phone), (None, None, None));
}

#[test]
fn case_22_a_message_without_id() {
    let body = r#"{"event":"message.any","session":"session-one","payload":{}}"#;
    unknown(body, UnknownReason::NoMessageId);
    // Without an author neither.
    let nobody = event("message.any", json!({"id": "3A03", "timestamp": 1, "body": "Oi"}));
    unknown(nobody.to_string(), UnknownReason::NoMessageId);
}

/// One call of this gateway carries one event, so what must survive beside a bad message is the identity.
#[test]
fn gateway_case_11_a_message_without_id_hides_nothing_else() {
    let mut body = inbound(json!({"conversation": "Oi"}), json!({"id": null}));
    body["me"]["pushName"] = "Business One Ltda".into();
    let kinds: Vec<&str> =
        read(&line_one("session-one"), body.to_string()).items.iter().map(InboundItem::kind).collect();
    assert_eq!(kinds, ["identity", "unknown"]);
}

#[test]
fn times_come_in_seconds_milliseconds_or_from_elsewhere() {
    let with = |time: Value| message(&inbound(json!({"conversation": "Oi"}), json!({"timestamp": time}))).timestamp;
    assert_eq!(with(json!(1_735_732_800)), at("2025-01-01T12:00:00Z"));
    assert_eq!(with(json!(1_735_732_800_250_i64)), at("2025-01-01T12:00:00.250Z"));
    assert_eq!(with(json!("1735732801")), at("2025-01-01T12:00:01Z"));
    assert_eq!(with(json!(0)), at("2025-01-01T12:00:00Z"), "the envelope's");
    let mut body = inbound(json!({"conversation": "Oi"}), json!({"timestamp": null}));
    body["payload"]["_data"]["Info"]["Timestamp"] = "2025-01-01T08:59:00-03:00".into();
    assert_eq!(message(&body).timestamp, at("2025-01-01T11:59:00Z"));
    body["payload"]["_data"]["Info"]["Timestamp"] = "soon".into();
    body["timestamp"] = Value::Null;
    assert_eq!(message(&body).timestamp, at("2025-01-01T12:30:00Z"), "the reception's");
}

#[test]
fn replies_mentions_and_forwards() {
    let info = json!({"stanzaId": "3EB0BB", "participant": "551150000001@s.whatsapp.net", "isForwarded": true,
        "quotedMessage": {"imageMessage": {"caption": "Qual destes?"}}, "expiration": 86_400,
        "mentionedJid": ["551190000002:4@s.whatsapp.net", "551190000002@c.us", "200000000000009@lid"]});
    let found = message(&inbound(json!({"extendedTextMessage": {"text": "Este @x", "contextInfo": info}}), json!({})));
    assert_eq!(found.reply_to_channel_message_id.as_deref(), Some("3EB0BB"));
    assert_eq!(found.reply_excerpt.as_deref(), Some("Qual destes?"));
    let named: Vec<&str> = found.mentions.iter().map(|mention| mention.external_id.as_str()).collect();
    assert_eq!(named, ["551190000002@c.us", "200000000000009@lid"]);
    assert_eq!(found.forward, Some(Forward { score: 0, from_message_id: None }));
    assert!(found.ephemeral);
    let other = json!({"replyTo": {"id": "true_551190000001@c.us_3EB0CC", "body": "Oi"}, "mentionedJid": ["551190000003@c.us"], "body": "Sim"});
    let found = message(&inbound(Value::Null, other));
    assert_eq!(found.reply_to_channel_message_id.as_deref(), Some("3EB0CC"));
    assert_eq!(found.reply_excerpt.as_deref(), Some("Oi"));
    assert_eq!(found.mentions.len(), 1);
}

#[test]
fn a_changed_identity_comes_first() {
    let fresh = GatewayContext::new("session-one", at("2025-01-01T12:30:00Z"));
    let body = inbound(json!({"conversation": "Oi"}), json!({})).to_string();
    let found = read(&fresh, &body);
    let InboundItem::Identity(identity) = &found.items[0] else { panic!("an identity") };
    assert_eq!(identity.identity.wid.as_deref(), Some("551150000001"));
    assert_eq!(identity.identity.lid.as_deref(), Some("100000000000001"));
    assert_eq!(identity.identity.display_name.as_deref(), Some("Business One"));
    assert_eq!((found.items.len(), found.lane.as_str()), (2, "551190000001@c.us"));
}

#[test]
fn devices_talking_to_each_other_are_ignored() {
    let context = line_one("session-one");
    for node in [
        json!({"protocolMessage": {"type": 3}}),
        json!({"reactionMessage": {"text": "👍"}}),
        json!({"pollUpdateMessage": {}}),
        json!({"senderKeyDistributionMessage": {"groupID": "x"}}),
        json!({}),
    ] {
        ignored(&context, inbound(node, json!({})).to_string(), IgnoredReason::ProtocolMessage);
    }
    let mut peer = inbound(json!({"conversation": "x"}), json!({}));
    peer["payload"]["_data"]["Info"]["Category"] = "peer".into();
    ignored(&context, peer.to_string(), IgnoredReason::ProtocolMessage);
    let both = json!({"senderKeyDistributionMessage": {}, "conversation": "Oi"});
    assert_eq!(message(&inbound(both, json!({}))).content, Content::text("Oi"));
}
