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

/// What is left of reactions of Ana in an order of arrival, and what was recorded of them.
fn reactions(order: &[(&str, Option<&str>)]) -> (Vec<String>, Vec<String>) {
    let line = Line::new();
    line.says("A1", "09:00:00", "Oi");
    for (time, emoji) in order {
        line.item(reaction("A1", time, json!(emoji)));
    }
    line.world.clock.advance_seconds(10);
    line.run();
    line.world.assert_log_matches();
    let left = line.one::<Message>().reactions.into_iter().map(|reaction| reaction.emoji).collect();
    (left, line.events().into_iter().filter(|kind| kind.starts_with("message.reaction")).collect())
}

#[test]
fn a_reaction_that_was_taken_back_is_taken_back_once() {
    let again = [("09:01:00", Some("👍")), ("09:02:00", None), ("09:03:00", None), ("09:02:00", None)];
    let (left, told) = reactions(&again);
    assert!(left.is_empty());
    assert_eq!(told, ["message.reaction_added", "message.reaction_removed"]);
    let (left, told) = reactions(&[("09:02:00", None), ("09:02:00", None)]);
    assert!(left.is_empty() && told.is_empty(), "{told:?}");
}

#[test]
fn the_last_reaction_counts_in_any_order() {
    let steps = [
        ("09:01:00", Some("👍")),
        ("09:02:00", None),
        ("09:03:00", Some("❤️")),
        ("09:04:00", None),
        ("09:05:00", Some("👍")),
    ];
    for end in 1..=steps.len() {
        let known = &steps[..end];
        let expected: Vec<String> = known[end - 1].1.into_iter().map(str::to_owned).collect();
        for turn in 0..end {
            for backwards in [false, true] {
                let mut order = known.to_vec();
                order.rotate_left(turn);
                if backwards {
                    order.reverse();
                }
                order.push(order[0]);
                assert_eq!(reactions(&order).0, expected, "{order:?}");
            }
        }
    }
    // At one moment.
    let tied = [("09:01:00", Some("👍")), ("09:01:00", Some("❤️"))];
    assert_eq!(reactions(&tied).0, reactions(&[tied[1], tied[0]]).0);
    let undone = [("09:01:00", Some("👍")), ("09:01:00", None)];
    assert_eq!((reactions(&undone).0, reactions(&[undone[1], undone[0]]).0), (Vec::new(), Vec::new()));
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
