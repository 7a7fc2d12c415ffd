//! Inbound messages: who, where, in which session, and whether it is new.

use crate::line::*;
use serde_json::{Value, json};
use ventros::contacts::contact::Contact;
use ventros::conversations::chat::Chat;
use ventros::conversations::inbound::{IgnoredBecause, Ingest, Outcome, RawBody};
use ventros::conversations::message::{Message, MessageStatus};
use ventros::conversations::session::Session;
use ventros::testing::block_on;

#[test]
fn case_01_a_first_message_makes_contact_chat_session_and_message() {
    let line = Line::new();
    let outcome = line.says("A1", "10:00:00", "Oi");
    assert!(matches!(outcome, Outcome::Recorded { created, .. } if created.contact && created.chat && created.session));
    let expected = ["contact.created", "chat.created", "session.started", "message.received"];
    assert_eq!(line.events(), expected);
    let (session, chat, contact) = (line.one::<Session>(), line.one::<Chat>(), line.one::<Contact>());
    assert_eq!(session.metrics.message_count, 1);
    assert_eq!((chat.unread_count, chat.message_count), (1, 1));
    assert_eq!(contact.last_interaction_at.unwrap().to_string(), "2025-01-06T10:00:00.000000Z");
    assert_eq!(contact.phone.as_ref().unwrap().to_string(), "+5511999998888");
    assert!(line.log().windows(2).all(|pair| pair[0].correlation_id == pair[1].correlation_id));
    line.world.assert_log_matches();
}

#[test]
fn case_02_the_same_item_again_changes_nothing() {
    let line = Line::new();
    line.says("A1", "10:00:00", "Oi");
    let before = line.events();
    assert!(matches!(line.says("A1", "10:00:00", "Oi"), Outcome::Duplicate { .. }));
    assert_eq!(line.events(), before);
    assert_eq!((line.one::<Session>().metrics.message_count, line.one::<Chat>().unread_count), (1, 1));
}

#[test]
fn case_07_an_echo_of_the_phone_belongs_to_the_recipient() {
    let line = Line::new();
    assert!(recorded(&line.item(from_me("B1", "10:00:00", "Bom dia"))));
    let (message, contact) = (line.one::<Message>(), line.one::<Contact>());
    assert_eq!((message.source.as_str(), message.status), ("device", MessageStatus::Sent));
    assert_eq!(message.contact_id, Some(contact.id));
    assert!(message.agent_id.is_some());
    assert_eq!(contact.phone.unwrap().to_string(), "+5511999998888");
    assert_eq!(line.events().last().unwrap(), "message.created");
}

#[test]
fn case_12_groups_are_taken_only_where_the_channel_allows_them() {
    let line = Line::new();
    let refused = line.item(in_group(message("G1", "10:00:00", "Oi grupo")));
    assert_eq!(refused, Outcome::Ignored { reason: IgnoredBecause::GroupDisabled });
    assert!(line.all::<Contact>().is_empty());
    let line = Line::with(json!({"allow_groups": true}));
    assert!(recorded(&line.item(in_group(message("G1", "10:00:00", "Oi grupo")))));
    let (session, chat) = (line.one::<Session>(), line.one::<Chat>());
    assert_eq!((session.contact_id, chat.contact_id), (None, None));
    assert_eq!(chat.participants[0].id, line.contact().id.uuid());
    line.world.assert_log_matches();
}

#[test]
fn case_13_our_own_message_in_a_group_has_no_contact() {
    let line = Line::with(json!({"allow_groups": true}));
    let own = line.item(in_group(from_me("G2", "10:00:00", "Oi todos")));
    assert!(matches!(own, Outcome::Recorded { contact_id: None, .. }));
    assert!(line.all::<Contact>().is_empty());
    assert_eq!(line.one::<Chat>().external_id.as_deref(), Some("120363000000000001@g.us"));
    line.world.assert_log_matches();
}

#[test]
fn case_14_stories_are_ignored() {
    let line = Line::new();
    let mut item = message("S1", "08:00:00", "story");
    item["chat"] =
        json!({"external_id": "status@broadcast", "class": "status", "kind_detail": "status", "subject": null});
    assert_eq!(line.item(item), Outcome::Ignored { reason: IgnoredBecause::StatusBroadcast });
}

#[test]
fn case_15_impossible_times_are_replaced() {
    for (told, kept) in [("1970-01-21T00:00:00Z", "10:00:00"), ("2025-01-06T11:00:00Z", "10:00:00")] {
        let line = Line::new();
        let mut item = message("T1", "10:00:00", "Oi");
        item["timestamp"] = json!(told);
        line.item(item);
        let message = line.one::<Message>();
        assert_eq!(json!(message.timestamp), json!(format!("2025-01-06T{kept}.000000Z")), "{told}");
        assert_eq!(message.metadata["clock_adjusted"], true);
        assert_eq!(message.metadata["provider_timestamp"], json!(told.replace('Z', ".000000Z")));
    }
}

/// A webhook with the engine's node of a message of Ana's.
fn webhook(id: &str, node: Value, media: Value) -> RawBody {
    let payload = json!({
        "id": format!("false_5511999998888@c.us_{id}"), "timestamp": 1_736_157_600, "from": "5511999998888@c.us",
        "fromMe": false, "hasMedia": media.is_object(), "media": media,
        "_data": {"Info": {"Sender": "5511999998888@s.whatsapp.net", "PushName": "Ana"}, "Message": node},
    });
    RawBody(json!({"event": "message.any", "session": "default", "payload": payload}).to_string())
}

#[test]
fn case_23_kinds_without_a_place_of_their_own_are_recorded() {
    let line = Line::new();
    let sticker = json!({"url": "https://files.example/a.webp", "mimetype": "image/webp"});
    for (id, node, media) in [
        ("A1", json!({"stickerMessage": {"mimetype": "image/webp", "isAnimated": true}}), sticker),
        ("A2", json!({"pollCreationMessageV3": {"name": "Pizza?"}}), Value::Null),
        ("A3", json!({"holographicMessage": {}}), Value::Null),
    ] {
        let raw = Some(webhook(id, node, media));
        let ingest =
            Ingest { channel_id: line.channel, raw, item: None, headers: Default::default(), received_at: None };
        let outcomes = block_on(line.shop.execute(ingest)).unwrap();
        assert!(outcomes.iter().all(recorded) && outcomes.len() == 1, "{id}: {outcomes:?}");
    }
    let all = line.all::<Message>();
    let kinds: Vec<&str> = all.iter().map(|message| message.content.content_type().as_str()).collect();
    assert_eq!(kinds, ["sticker", "unsupported", "unsupported"]);
    assert_eq!(all[0].metadata["media"]["animated"], true);
    assert_eq!(
        (&all[1].metadata["raw_type"], &all[2].metadata["raw_type"]),
        (&json!("pollCreationMessageV3"), &json!("holographicMessage"))
    );
    line.world.assert_log_matches();
}

#[test]
fn case_47_another_project_has_chats_of_its_own() {
    let line = Line::new();
    let other = line.elsewhere();
    assert!(recorded(&line.says("A1", "10:00:00", "Oi")));
    assert!(recorded(&other.says("A1", "10:00:00", "Oi")));
    let (here, there) = (line.one::<Chat>(), other.one::<Chat>());
    assert_eq!(here.external_id, there.external_id);
    assert_ne!((here.id, here.project_id), (there.id, there.project_id));
    assert_eq!((here.message_count, there.message_count), (1, 1));
    assert_ne!(line.contact().id, other.contact().id);
}

#[test]
fn ids_that_are_none_are_the_item_s_fault() {
    let line = Line::new();
    for (sender, code) in [
        (json!({"wid": "120363041234567890@g.us"}), "whatsapp_group_id"),
        (json!({"lid": "x"}), "whatsapp_id_invalid"),
        (json!({"username": "ana"}), "identifier_required"),
        (json!({}), "inbound_item_invalid"),
    ] {
        let mut item = message("A1", "10:00:00", "Oi");
        item["sender"] = sender.clone();
        item["peer"] = sender;
        let Outcome::Rejected { code: said, .. } = line.item(item) else { panic!("{code}") };
        assert_eq!(said, code);
    }
    assert!(line.log().is_empty());
}

#[test]
fn a_message_of_ours_that_failed_does_not_count() {
    let line = Line::new();
    line.says("A1", "09:58:00", "Oi");
    let mut failed = from_me("B1", "09:59:00", "Bom dia");
    failed["initial_ack"] = json!("failed");
    assert!(recorded(&line.item(failed)));
    let session = line.one::<Session>();
    assert_eq!((session.metrics.message_count, session.metrics.messages_from_agent), (1, 0));
    assert_eq!(line.events().last().unwrap(), "message.failed");
    // It arrived after all.
    line.item(ack("B1", "09:59:30", "delivered"));
    assert_eq!(line.one::<Session>().metrics.messages_from_agent, 1);
    line.item(ack("B1", "09:59:40", "failed"));
    assert_eq!(line.one::<Session>().metrics.messages_from_agent, 1);
    line.world.assert_log_matches();
}

#[test]
fn what_a_channel_knows_of_a_file_and_of_those_mentioned_is_kept() {
    let line = Line::with(json!({"allow_groups": true}));
    line.says("A1", "09:00:00", "Oi");
    let mut item = in_group(message_of("5521988887777", "G1", "09:01:00"));
    item["content"] =
        json!({"type": "image", "media": {"url": "https://files.example/a.jpg"}, "caption": "@5511999998888"});
    item["media_ref"] = json!({"fetch": "gateway_auth", "url_expires_at": "2025-01-06T11:00:00Z", "thumbnail": "aaaa"});
    item["mentions"] = json!([{"external_id": "5511999998888@c.us"}, {"external_id": "77@lid"}]);
    item["view_once"] = json!(true);
    assert!(recorded(&line.item(item)));
    let group = line.all::<Message>().into_iter().find(|message| message.channel_message_id.as_deref() == Some("G1"));
    let group = group.unwrap();
    let ana = line.all::<Contact>().into_iter().find(|contact| contact.name == "Ana").unwrap();
    assert_eq!((group.mentions[0].contact_id, group.mentions[1].contact_id), (Some(ana.id), None));
    let told = json!({"fetch": "gateway_auth", "url_expires_at": "2025-01-06T11:00:00.000000Z"});
    assert_eq!((&group.metadata["media"], &group.metadata["view_once"]), (&told, &json!(true)));
}

#[test]
fn unread_counts_do_not_depend_on_the_order_of_arrival() {
    let line = Line::new();
    line.set("11:00:00");
    line.says("A1", "10:00:00", "1");
    line.says("A3", "10:10:00", "3");
    line.item(from_me("B2", "10:05:00", "2"));
    assert_eq!(line.one::<Chat>().unread_count, 1);
    let line = Line::new();
    line.set("11:00:00");
    line.item(from_me("B2", "10:05:00", "2"));
    line.says("A3", "10:10:00", "3");
    line.says("A1", "10:00:00", "1");
    assert_eq!(line.one::<Chat>().unread_count, 1);
    line.world.assert_log_matches();
}
