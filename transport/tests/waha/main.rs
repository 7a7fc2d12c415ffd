//! Sending to a WAHA on a real socket, through a file that outlives the process: every effect once in the store, every message sent or
//! failed for a reason, whatever the gateway does.
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod server;
mod shop;
mod telling;

use serde_json::{Value, json};
use server::{FakeWaha, Manner};
use shop::Shop;
use std::collections::BTreeMap;

fn ok(body: &[u8]) -> Manner {
    let mut whole = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    whole.extend_from_slice(body);
    Manner::Says(whole)
}

/// What reached nobody is sent again, as often as it takes, and reaches its recipient once.
#[test]
fn what_was_not_taken_is_sent_again() {
    let down = || Manner::Refuses(503, None, r#"{"message":"down"}"#);
    let busy = || Manner::Refuses(429, Some("120"), r#"{"message":"slow down"}"#);
    let starting =
        || Manner::Refuses(422, None, r#"{"statusCode":422,"error":"x","session":"session-one","status":"STARTING"}"#);
    for (name, manners, attempts) in [
        ("down", vec![down(), down()], 3),
        ("broken", vec![Manner::Refuses(500, None, "<html>")], 2),
        ("busy", vec![busy(), busy()], 1),
        ("starting", vec![starting()], 2),
        ("slow", vec![Manner::Dribbles], 1),
    ] {
        let shop = Shop::new(FakeWaha::start());
        let tries = manners.iter().filter(|manner| !matches!(manner, Manner::Dribbles)).count() + 1;
        shop.waha.next(manners);
        let id = shop.send("+5511990000001", name);
        shop.drain();
        let message = shop.message(&id);
        let shown = (message["status"].as_str(), message["attempts"].as_i64());
        assert_eq!(shown, (Some("sent"), Some(attempts)), "{name}: {message}");
        assert_eq!(message["metadata"], json!({}), "{name}");
        assert_eq!((shop.waha.sends().len(), shop.waha.count(name)), (tries, 1), "{name}");
        shop.assert_once(&id);
    }
}

#[test]
fn a_pause_that_the_gateway_asks_for_is_kept() {
    let shop = Shop::new(FakeWaha::start());
    shop.waha.next([Manner::Refuses(429, Some("120"), "{}")]);
    let id = shop.send("+5511990000001", "Oi");
    shop.run();
    assert_eq!(shop.waha.sends().len(), 1);
    shop.wait(119);
    assert_eq!((shop.waha.sends().len(), shop.message(&id)["status"].clone()), (0, json!("queued")));
    shop.wait(2);
    assert_eq!((shop.waha.sends().len(), shop.message(&id)["status"].clone()), (1, json!("sent")));
}

#[test]
fn what_will_never_be_taken_fails_at_once() {
    for (status, body, code) in [
        (401, r#"{"message":"Unauthorized","statusCode":401}"#, "auth_failed"),
        (403, "", "auth_failed"),
        (404, r#"{"message":"no such chat"}"#, "provider_error"),
        (400, r#"{"message":"bad"}"#, "provider_error"),
        (413, "", "media_rejected"),
        (302, "", "provider_error"),
        (500, r#"{"message":"the user is not registered"}"#, "invalid_recipient"),
    ] {
        let shop = Shop::new(FakeWaha::start());
        shop.waha.next([Manner::Refuses(status, None, body)]);
        let id = shop.send("+5511990000001", "Oi");
        shop.drain();
        let message = shop.message(&id);
        let shown = (message["status"].as_str(), message["failure"]["code"].as_str());
        assert_eq!(shown, (Some("failed"), Some(code)), "{status}: {message}");
        assert_eq!((shop.waha.sends().len(), shop.waha.count("Oi")), (1, 0), "{status}");
        shop.assert_once(&id);
    }
}

/// Answers that cannot be read. The message was taken, and nothing says so.
fn unreadable() -> Vec<(&'static str, Manner)> {
    let raw = |bytes: &[u8]| Manner::Says(bytes.to_vec());
    vec![
        ("no JSON", ok(b"<html>fine</html>")),
        ("no object", ok(b"[]")),
        ("half a body", ok(b"{\"id\":\"true_")),
        ("no UTF-8", ok(b"{\"id\":\"\xff\xfe\"}")),
        ("deep", ok("[".repeat(20_000).as_bytes())),
        ("no HTTP", raw(b"SSH-2.0-OpenSSH_9.6\r\n")),
        ("nothing", raw(b"")),
        ("noise", raw(&(0..=255).cycle().take(5_000).collect::<Vec<u8>>())),
        ("endless header", raw(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(200_000)).as_bytes())),
        ("wrong length", raw(b"HTTP/1.1 201 Created\r\ncontent-length: -5\r\n\r\n{}")),
        ("broken chunks", raw(b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}")),
        ("cut question", Manner::CutsTheQuestion),
        ("cut answer", Manner::CutsTheAnswer),
        ("silence", Manner::Hangs),
    ]
}

/// As WAHA is: nobody can know whether a repetition is one. It is tried once more after a minute, and marked.
#[test]
fn what_may_have_been_taken_is_sent_once_more_and_marked() {
    for (name, manner) in unreadable() {
        let shop = Shop::new(FakeWaha::start());
        let was_taken = !matches!(manner, Manner::CutsTheQuestion);
        shop.waha.next([manner]);
        let id = shop.send("+5511990000001", "Oi");
        shop.drain();
        let (message, sends) = (shop.message(&id), shop.waha.sends());
        let shown =
            (message["status"].as_str(), message["attempts"].as_i64(), &message["metadata"]["possible_duplicate"]);
        assert_eq!(shown, (Some("sent"), Some(2), &json!(true)), "{name}: {message}");
        assert_eq!(sends.len(), 2, "{name}");
        assert!(sends.iter().all(|asked| asked.key.as_deref() == id.as_str()), "{name}: {sends:?}");
        assert_eq!(shop.waha.count("Oi"), 1 + usize::from(was_taken), "{name}");
        shop.assert_once(&id);
    }
}

/// Where the gateway knows the key, a repetition is none: everybody gets everything once, and nothing is marked.
#[test]
fn a_gateway_that_honours_keys_brings_everything_once() {
    for (name, manner) in unreadable() {
        let shop = Shop::keyed(FakeWaha::honouring_keys());
        shop.waha.next([manner.clone(), manner]);
        let id = shop.send("+5511990000001", "Oi");
        shop.drain();
        let (message, sends) = (shop.message(&id), shop.waha.sends());
        assert_eq!((message["status"].as_str(), &message["metadata"]), (Some("sent"), &json!({})), "{name}: {message}");
        assert_eq!((sends.len(), shop.waha.count("Oi")), (3, 1), "{name}");
        assert!(sends.iter().all(|asked| asked.key.as_deref() == id.as_str()), "{name}");
        shop.assert_once(&id);
    }
}

/// A gateway that is silent for good.
#[test]
fn who_never_answers_leaves_a_message_unconfirmed() {
    let shop = Shop::new(FakeWaha::start());
    shop.waha.next([Manner::Hangs, Manner::Hangs, Manner::Hangs]);
    let id = shop.send("+5511990000001", "Oi");
    let next = shop.send("+5511990000001", "E agora?");
    shop.drain();
    let message = shop.message(&id);
    let shown = (message["status"].as_str(), message["failure"]["code"].as_str());
    assert_eq!(shown, (Some("failed"), Some("unconfirmed")), "{message}");
    assert_eq!(shop.waha.sends().iter().filter(|asked| asked.body["text"] == "Oi").count(), 2);
    assert_eq!(shop.message(&next)["status"], "sent", "what follows in the chat is not held up for ever");
}

/// A message that was taken counts as sent, whatever its id looks like.
#[test]
fn odd_ids_of_a_gateway_do_no_harm() {
    let long = "A".repeat(100_000);
    for (name, id) in [
        ("none", Value::Null),
        ("empty", json!("")),
        ("a number", json!(17)),
        ("a list", json!(["3EB0"])),
        ("an object of another kind", json!({"server": "c.us"})),
        ("long", json!(long)),
        ("of control", json!("3EB0\u{0}\u{1b}[2J")),
        ("blank", json!("   ")),
    ] {
        let shop = Shop::new(FakeWaha::start());
        shop.waha.next([ok(json!({"id": id, "timestamp": 1}).to_string().as_bytes())]);
        let id = shop.send("+5511990000001", "Oi");
        shop.drain();
        let message = shop.message(&id);
        assert_eq!(message["status"], "sent", "{name}: {message}");
        assert_eq!((shop.waha.sends().len(), shop.waha.count("Oi")), (1, 1), "{name}");
        shop.assert_once(&id);
    }
}

/// An answer with a thumbnail in it is longer than most.
#[test]
fn a_long_answer_is_read_to_its_end() {
    let shop = Shop::new(FakeWaha::start());
    let long = json!({"_data": {"thumbnail": "A".repeat(1024 * 1024)}, "id": "true_5511990000001@c.us_3EB0AA"});
    shop.waha.next([ok(long.to_string().as_bytes())]);
    let id = shop.send("+5511990000001", "Oi");
    shop.drain();
    let message = shop.message(&id);
    assert_eq!((&message["status"], &message["channel_message_id"]), (&json!("sent"), &json!("3EB0AA")));
    assert_eq!(shop.waha.sends().len(), 1);
}

/// What a gateway says of its troubles goes to people: it must be storable, short and harmless.
#[test]
fn odd_complaints_of_a_gateway_do_no_harm() {
    let long = "x".repeat(50_000);
    for said in ["a\u{0}b", "\u{1b}[2J", "\u{202e}evil", &long, ""] {
        let shop = Shop::new(FakeWaha::start());
        let body = json!({"message": said}).to_string();
        let whole = format!("HTTP/1.1 400 Bad\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        shop.waha.next([Manner::Says(whole.into_bytes())]);
        let id = shop.send("+5511990000001", "Oi");
        shop.drain();
        let message = shop.message(&id);
        assert_eq!(message["status"], "failed", "{message}");
        let reason = message["failure"]["reason"].as_str().unwrap();
        assert!(reason.chars().count() <= 500 && !reason.contains(char::is_control), "{reason:?}");
    }
}

#[test]
fn an_echo_may_come_before_the_answer() {
    let shop = Shop::new(FakeWaha::start());
    shop.listen();
    shop.waha.next([Manner::EchoesFirst]);
    let id = shop.send("+5511990000001", "Oi");
    shop.drain();
    assert_eq!(shop.message(&id)["status"], "sent");
    assert_eq!((shop.visible(), shop.waha.sends().len()), (1, 1));
    shop.assert_once(&id);
}

#[test]
fn an_acknowledgement_may_come_before_the_answer() {
    let shop = Shop::new(FakeWaha::start());
    shop.listen();
    shop.waha.next([Manner::AcknowledgesFirst]);
    let id = shop.send("+5511990000001", "Oi");
    shop.drain();
    let message = shop.message(&id);
    assert_eq!(message["status"], "read", "{message}");
    assert_eq!((shop.visible(), shop.waha.sends().len()), (1, 1));
}

#[test]
fn acknowledgements_come_twice_and_in_any_order() {
    for order in [[1, 2, 3], [3, 2, 1], [2, 3, 2], [3, 1, 3]] {
        let shop = Shop::new(FakeWaha::start());
        let id = shop.send("+5511990000001", "Oi");
        shop.drain();
        let reached = shop.waha.reached().remove(0);
        for ack in order {
            shop.deliver(reached.ack(ack));
            shop.deliver(reached.ack(ack));
        }
        shop.drain();
        assert_eq!(shop.message(&id)["status"], "read", "{order:?}");
        let events = shop.events(&id);
        assert_eq!(events.get("message.read"), Some(&1), "{order:?}: {events:?}");
        assert!(events.get("message.delivered").is_none_or(|count| *count == 1), "{order:?}: {events:?}");
        assert_eq!((shop.visible(), shop.waha.sends().len()), (1, 1));
    }
}

/// Nobody waits for an acknowledgement: a message that is never acknowledged stays sent.
#[test]
fn without_acknowledgements_a_message_stays_sent() {
    let shop = Shop::new(FakeWaha::start());
    let id = shop.send("+5511990000001", "Oi");
    shop.drain();
    shop.wait(7 * 24 * 3_600);
    assert_eq!(shop.message(&id)["status"], "sent");
    assert_eq!(shop.waha.sends().len(), 1);
}

/// The answer is lost, and the echo tells within the minute: the message is confirmed and not sent again.
#[test]
fn flow_case_32_an_echo_confirms_what_no_answer_did() {
    for manner in [Manner::CutsTheAnswer, Manner::Hangs, ok(b"garbage")] {
        let shop = Shop::new(FakeWaha::start());
        shop.waha.next([manner.clone()]);
        let id = shop.send("+5511990000001", "Oi");
        shop.run();
        assert_eq!(shop.message(&id)["status"], "sending");
        let reached = shop.waha.reached().remove(0);
        shop.clock.advance_seconds(10);
        shop.deliver(reached.echo());
        shop.drain();
        let message = shop.message(&id);
        assert_eq!((&message["status"], &message["metadata"]), (&json!("sent"), &json!({})), "{manner:?}: {message}");
        assert_eq!((shop.waha.sends().len(), shop.waha.count("Oi"), shop.visible()), (1, 1, 1), "{manner:?}");
        shop.assert_once(&id);
    }
}

#[test]
fn a_gateway_that_starts_again_on_its_port_finds_what_waited() {
    let mut shop = Shop::new(FakeWaha::start());
    let first = shop.send("+5511990000001", "1");
    shop.drain();
    shop.waha.stop();
    let waiting: Vec<Value> = ["2", "3", "4"].map(|text| shop.send("+5511990000001", text)).into();
    shop.run();
    shop.wait(8);
    assert!(waiting.iter().all(|id| shop.message(id)["status"] == "queued"));
    shop.waha.start_again();
    shop.drain();
    assert!(waiting.iter().chain([&first]).all(|id| shop.message(id)["status"] == "sent"));
    let texts: Vec<String> = shop.waha.reached().into_iter().map(|reached| reached.text).collect();
    assert_eq!(texts, ["1", "2", "3", "4"]);
}

/// The process dies while the gateway thinks: what comes after it reads the file, and knows no more than that something was under way.
#[test]
fn who_dies_during_the_call_is_followed_with_the_same_key() {
    for is_keyed in [true, false] {
        let mut shop = match is_keyed {
            true => Shop::keyed(FakeWaha::honouring_keys()),
            false => Shop::new(FakeWaha::start()),
        };
        let first = shop.send("+5511990000001", "1");
        shop.drain();
        assert_eq!(shop.message(&first)["status"], "sent");
        shop.waha.sends();
        shop.waha.next([Manner::Hangs]);
        let id = shop.send("+5511990000001", "Oi");
        shop.die_during_a_call();
        assert_eq!(shop.waha.sends().len(), 1);
        shop.open_again();
        shop.run();
        assert_eq!((shop.waha.sends().len(), &shop.message(&id)["status"]), (0, &json!("sending")), "its lease runs");
        shop.drain();
        let (message, sends) = (shop.message(&id), shop.waha.sends());
        assert_eq!((message["status"].as_str(), sends.len()), (Some("sent"), 1), "{message}");
        assert_eq!(sends[0].key.as_deref(), id.as_str());
        assert_eq!(message["metadata"].get("possible_duplicate").is_some(), !is_keyed);
        assert_eq!(shop.waha.count("Oi"), if is_keyed { 1 } else { 2 });
        shop.assert_once(&id);
    }
}

/// Many chats, a gateway in every mood, and two engines on the file: nothing is lost, nothing overtakes, nobody gets anything twice.
#[test]
fn a_crowd_and_a_moody_gateway() {
    let mut shop = Shop::keyed(FakeWaha::honouring_keys());
    let moods = [
        Manner::Takes,
        Manner::Refuses(503, None, "{}"),
        Manner::CutsTheAnswer,
        Manner::Refuses(429, Some("7"), "{}"),
        ok(b"garbage"),
        Manner::CutsTheQuestion,
        Manner::Refuses(500, None, "oops"),
        Manner::Dribbles,
    ];
    let (chats, each) = (12, 4);
    let mut sent = BTreeMap::new();
    for turn in 0..each {
        for chat in 0..chats {
            let text = format!("{chat}/{turn}");
            let seed = chat * 7 + turn * 3;
            let moods: Vec<Manner> = (0..seed % 4).map(|n| moods[(seed + n) % moods.len()].clone()).collect();
            shop.waha.with_text(&text, moods);
            sent.insert(text.clone(), shop.send(&format!("+55119900001{chat:02}"), &text));
        }
    }
    shop.drain_with_another();
    for (text, id) in &sent {
        let message = shop.message(id);
        assert_eq!(message["status"], "sent", "{text}: {message}");
        assert_eq!(shop.waha.count(text), 1, "{text}");
        shop.assert_once(id);
    }
    let mut turns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for reached in shop.waha.reached() {
        turns.entry(reached.chat).or_default().push(reached.text.split_once('/').unwrap().1.to_owned());
    }
    assert_eq!(turns.len(), chats);
    for (chat, turns) in turns {
        assert_eq!(turns, ["0", "1", "2", "3"], "{chat}");
    }
}
