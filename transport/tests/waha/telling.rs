//! What is done with messages besides sending, on a real socket: each change is made once there, however the gateway behaves.

use crate::server::{Change, FakeWaha, Manner};
use crate::shop::Shop;
use serde_json::{Value, json};

const CHAT: &str = "5511990000001@c.us";

/// With a message that was sent, its id here and the one there.
fn with_sent() -> (Shop, Value, String) {
    let shop = Shop::new(FakeWaha::start());
    let id = shop.send("+5511990000001", "12h");
    shop.run();
    assert_eq!(shop.message(&id)["status"], "sent");
    let reached = shop.waha.reached().remove(0);
    shop.waha.sends();
    let there = format!("true_{}_{}", reached.chat, reached.id);
    (shop, id, there)
}

fn succeeded() -> (String, String) {
    ("succeeded".to_owned(), String::new())
}

/// Something that was done here, and what comes of it there.
fn changes(id: &Value, there: &str) -> Vec<(&'static str, Value, Change)> {
    let there = there.to_owned();
    vec![
        (
            "messages.edit",
            json!({"id": id, "text": "13h"}),
            Change::Edited { id: there.clone(), text: "13h".to_owned() },
        ),
        (
            "messages.react",
            json!({"id": id, "emoji": "👍"}),
            Change::Reacted { id: there.clone(), emoji: "👍".to_owned() },
        ),
        ("messages.react", json!({"id": id, "emoji": ""}), Change::Reacted { id: there.clone(), emoji: String::new() }),
        ("messages.revoke", json!({"id": id}), Change::Revoked { id: there }),
    ]
}

#[test]
fn every_change_is_made_there_once_and_in_order() {
    let (shop, id, there) = with_sent();
    let changes = changes(&id, &there);
    let mut expected = Vec::new();
    for (operation, input, change) in changes {
        shop.call(operation, input);
        shop.run();
        expected.push(change);
    }
    assert_eq!(shop.waha.changes(), expected);
    let path = format!("/api/session-one/chats/{}/messages/{}", CHAT.replace('@', "%40"), there.replace('@', "%40"));
    let asked =
        [format!("PUT {path}"), "PUT /api/reaction".into(), "PUT /api/reaction".into(), format!("DELETE {path}")];
    assert_eq!(shop.waha.asked_changes(), asked);
    assert_eq!(shop.telling(), vec![succeeded(); 4]);
    shop.assert_folds();
}

#[test]
fn reading_is_told_by_the_long_ids() {
    let (shop, ..) = with_sent();
    let inbound = |stanza: &str| {
        json!({
            "event": "message.any", "session": "session-one", "timestamp": 1_736_154_000_000_i64, "metadata": {},
            "payload": {
                "id": format!("false_{CHAT}_{stanza}"), "timestamp": 1_736_154_000, "from": CHAT, "fromMe": false,
                "body": stanza, "hasMedia": false, "media": null,
            },
            "me": {"id": crate::server::BUSINESS, "pushName": "Business One"},
        })
    };
    for stanza in ["2A01", "2A02"] {
        shop.deliver(inbound(stanza));
    }
    shop.drain();
    let found = shop.call("messages.list", json!({}));
    let theirs = found["items"].as_array().unwrap().iter().find(|message| message["channel_message_id"] == "2A01");
    let theirs = theirs.unwrap();
    let seen = |stanza: &str| Change::Seen { chat: CHAT.to_owned(), ids: vec![format!("false_{CHAT}_{stanza}")] };
    for _ in 0..2 {
        shop.call("messages.mark_read", json!({"ids": [theirs["id"]]}));
        shop.drain();
    }
    assert_eq!(shop.waha.changes(), [seen("2A01")]);
    for _ in 0..2 {
        shop.call("chats.mark_read", json!({"id": theirs["chat_id"]}));
        shop.drain();
    }
    assert_eq!(shop.waha.changes(), [seen("2A01"), seen("2A02")]);
    assert_eq!(shop.telling(), vec![succeeded(); 2]);
}

/// What is refused for a while is made once, after as many tries as that takes.
#[test]
fn trouble_delays_a_change_and_does_not_repeat_it() {
    let down = || Manner::Refuses(500, None, r#"{"message":"down"}"#);
    let busy = || Manner::Refuses(429, Some("120"), r#"{"message":"slow down"}"#);
    let away = || Manner::Refuses(422, None, r#"{"statusCode":422,"session":"session-one","status":"STARTING"}"#);
    for (name, manners) in [
        ("down", vec![down(), down()]),
        ("busy", (0..7).map(|_| busy()).collect()),
        ("away", (0..7).map(|_| away()).collect()),
        ("cut", vec![Manner::CutsTheQuestion]),
    ] {
        let tries = manners.len() + 1;
        let (shop, id, there) = with_sent();
        let (operation, input, change) = changes(&id, &there).remove(3);
        shop.waha.next(manners);
        shop.call(operation, input);
        shop.drain();
        assert_eq!((shop.waha.changes(), shop.waha.asked_changes().len()), (vec![change], tries), "{name}");
        assert_eq!(shop.telling(), [succeeded()], "{name}");
        shop.assert_folds();
    }
}

#[test]
fn what_is_refused_is_given_up_at_once_and_says_why() {
    for (status, body, error) in [
        (404, r#"{"message":"Message not found"}"#, "not_found 404: Message not found"),
        (403, r#"{"message":"Forbidden"}"#, "auth 403: Forbidden"),
        (400, r#"{"message":"too old"}"#, "invalid_request 400: too old"),
    ] {
        let (shop, id, _) = with_sent();
        shop.waha.next([Manner::Refuses(status, None, body)]);
        shop.call("messages.edit", json!({"id": id, "text": "13h"}));
        shop.drain();
        assert_eq!((shop.waha.changes(), shop.waha.asked_changes().len()), (vec![], 1), "{status}");
        assert_eq!(shop.telling(), [("dead".to_owned(), error.to_owned())]);
    }
    let (shop, id, _) = with_sent();
    shop.waha.next((0..9).map(|_| Manner::Refuses(503, None, r#"{"message":"down"}"#)));
    shop.call("messages.edit", json!({"id": id, "text": "13h"}));
    shop.drain();
    assert_eq!((shop.waha.changes(), shop.waha.asked_changes().len()), (vec![], 5));
    assert_eq!(shop.telling(), [("dead".to_owned(), "unavailable 503: down".to_owned())]);
}

/// The process dies while the gateway thinks: the change is asked for again, and comes to the same there.
#[test]
fn who_dies_during_the_call_is_followed() {
    for place in 0..4 {
        let (mut shop, id, there) = with_sent();
        let mut changes = changes(&id, &there);
        if place == 2 {
            let (operation, input, _) = changes[1].clone();
            shop.call(operation, input);
            shop.drain();
        }
        let before = shop.waha.changes().len();
        let (operation, input, change) = changes.remove(place);
        shop.waha.asked_changes();
        shop.waha.next([Manner::Hangs]);
        shop.call(operation, input);
        shop.die_during_a_call();
        shop.open_again();
        shop.run();
        assert_eq!(shop.waha.asked_changes().len(), 1, "its lease runs");
        shop.drain();
        assert_eq!(shop.waha.asked_changes().len(), 1, "{operation}");
        let mut made = shop.waha.changes().split_off(before);
        // Twice the same text, or the same emoji, is one.
        made.dedup();
        assert_eq!(made, [change], "{operation}");
        assert!(shop.telling().iter().all(|told| *told == succeeded()), "{:?}", shop.telling());
        shop.assert_folds();
    }
}
