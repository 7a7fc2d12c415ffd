//! Acknowledgements, reactions, edits and revocations, before and after the message they are about.

use crate::line::*;
use serde_json::{Value, json};
use ventros::conversations::chat::Chat;
use ventros::conversations::message::{Message, MessageStatus};

fn reaction(id: &str, time: &str, emoji: Value) -> Value {
    json!({
        "type": "reaction", "target_channel_message_id": id, "from_me": false, "by": {"wid": "5511999998888"},
        "emoji": emoji, "at": at(time),
    })
}

#[test]
fn case_26_an_acknowledgement_before_its_message_waits() {
    let line = Line::new();
    let other = line.beside("W2");
    line.set("10:00:10");
    assert!(waits(&line.item(ack("B1", "10:00:05", "read"))));
    // The same id on another channel is another message.
    assert!(recorded(&other.item(from_me("B1", "10:00:00", "Boa tarde"))));
    assert_eq!(other.one::<Message>().status, MessageStatus::Sent);
    line.item(from_me("B1", "10:00:00", "Bom dia"));
    let mine = |message: &Message| message.channel_id == line.channel;
    let message = line.all::<Message>().into_iter().find(mine).unwrap();
    assert_eq!((message.status, json!(message.read_at)), (MessageStatus::Read, json!("2025-01-06T10:00:05.000000Z")));
    line.item(ack("B1", "10:00:06", "played"));
    let others = line.all::<Message>().into_iter().find(|message| !mine(message)).unwrap();
    assert_eq!(others.status, MessageStatus::Sent);
    line.world.assert_log_matches();
}

#[test]
fn waha_case_15_the_paired_phone_reads() {
    let line = Line::new();
    line.says("A1", "09:59:00", "Oi");
    line.item(ack("A1", "10:00:00", "read"));
    let message = line.one::<Message>();
    assert_eq!((message.status, json!(message.read_at)), (MessageStatus::Read, json!("2025-01-06T10:00:00.000000Z")));
    let read = line.log().pop().unwrap();
    assert_eq!(read.event_type, "message.read");
    assert_eq!(serde_json::from_str::<Value>(read.data.get()).unwrap()["reader"], "agent");
}

#[test]
fn case_27_a_reaction_waits_for_its_message_for_a_day() {
    let line = Line::new();
    line.set("10:00:10");
    assert!(waits(&line.item(reaction("A1", "10:00:05", json!("👍")))));
    line.world.clock.advance_seconds(3600);
    line.run();
    line.says("A1", "10:00:00", "Oi");
    assert_eq!(line.one::<Message>().reactions.len(), 1);
    let line = Line::new();
    line.set("10:00:10");
    assert!(waits(&line.item(reaction("A1", "10:00:05", json!("👍")))));
    line.world.clock.advance_seconds(25 * 3600);
    line.run();
    line.says("A1", "10:00:00", "Oi");
    assert!(line.one::<Message>().reactions.is_empty());
}

#[test]
fn a_parked_item_finds_a_message_that_was_committed_at_the_same_moment() {
    let line = Line::new();
    line.set("10:00:10");
    assert!(waits(&line.item(ack("B1", "10:00:05", "delivered"))));
    // As if the message's own commit had not seen the parked item: its job looks again by itself.
    line.world.clock.advance_seconds(10);
    line.run();
    line.item(from_me("B1", "10:00:00", "Bom dia"));
    assert_eq!(line.one::<Message>().status, MessageStatus::Delivered);
}

#[test]
fn edits_and_revocations_reach_their_message() {
    let line = Line::new();
    line.says("A1", "10:00:00", "12h");
    let edit = |text: &str, time: &str| {
        json!({
            "type": "edit", "target_channel_message_id": "A1", "from_me": false, "by": {"wid": "5511999998888"},
            "text": text, "at": at(time),
        })
    };
    line.item(edit("14h", "10:02:00"));
    line.item(edit("13h", "10:01:00"));
    let message = line.one::<Message>();
    assert_eq!((message.content.words(), message.edit_count), (Some("14h"), 2));
    assert_eq!(line.one::<Chat>().last_message.unwrap().preview, "14h");
    line.item(json!({
        "type": "revoke", "target_channel_message_id": "A1", "from_me": false, "by": {"wid": "5511999998888"},
        "for": "everyone", "at": at("10:03:00"),
    }));
    assert!(line.one::<Message>().revoked_at.is_some());
    assert_eq!(line.one::<Chat>().last_message.unwrap().preview, "");
    line.world.assert_log_matches();
}
