//! The ways in: at once, durably, and from the public address of a channel.

use crate::line::*;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha512;
use ventros::contacts::contact::Contact;
use ventros::conversations::inbound::inbox::{InboxState, ListDeliveries, Replay};
use ventros::conversations::inbound::{Accept, Ingest, Outcome, ParkedBecause, RawBody};
use ventros::conversations::message::Message;
use ventros::testing::block_on;

#[test]
fn case_24_what_cannot_be_read_is_one_dead_row_that_can_be_replayed() {
    let line = Line::new();
    let accept = |body: &str| {
        let accept = Accept { channel_id: line.channel, raw: RawBody(body.to_owned()), headers: Default::default() };
        block_on(line.shop.execute(accept)).unwrap()
    };
    let first = accept("{\"a\":");
    assert!(first.is_new);
    assert_eq!(accept("{\"a\":").id, first.id);
    line.run();
    let rows = || block_on(line.shop.query(ListDeliveries::default())).unwrap().items;
    assert_eq!(rows().len(), 1);
    assert_eq!((rows()[0].state, rows()[0].id), (InboxState::Dead, first.id));
    assert!(line.all::<Message>().is_empty());
    let replayed = block_on(line.shop.execute(Replay { ids: vec![first.id] })).unwrap();
    assert_eq!(replayed.released, 1);
    assert_eq!(rows()[0].state, InboxState::New);
    line.run();
    assert_eq!(rows()[0].state, InboxState::Dead);
}

#[test]
fn case_25_what_arrives_while_a_channel_is_off_is_replayed_in_order() {
    let line = Line::connected();
    line.ok("channels.deactivate", json!({"id": line.channel}));
    for (id, time) in [("A1", "09:00:00"), ("A2", "09:01:00"), ("A3", "09:02:00")] {
        let off = Outcome::Parked { reason: ParkedBecause::ChannelInactive };
        assert_eq!(line.says(id, time, id), off);
        assert_eq!(line.says(id, time, id), off);
    }
    line.run();
    assert!(line.all::<Message>().is_empty());
    line.ok("channels.activate", json!({"id": line.channel}));
    line.run();
    let order: Vec<Value> = line
        .log()
        .iter()
        .filter(|event| event.event_type == "message.received")
        .map(|event| serde_json::from_str::<Value>(event.data.get()).unwrap()["channel_message_id"].clone())
        .collect();
    assert_eq!(order, ["A1", "A2", "A3"]);
    line.world.assert_log_matches();
}

#[test]
fn case_48_the_log_alone_gives_what_a_day_of_deliveries_left() {
    let line = Line::new();
    line.world.clock.set("2025-03-12T00:00:00Z");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart/payloads");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for _ in 0..2 {
        for file in &files {
            let raw = RawBody(std::fs::read_to_string(file).unwrap());
            let accept = Accept { channel_id: line.channel, raw, headers: Default::default() };
            block_on(line.shop.execute(accept)).unwrap();
        }
        line.run();
    }
    let messages = line.all::<Message>();
    assert!(messages.len() > 10, "{}", messages.len());
    assert_eq!(line.all::<Contact>().len(), 2);
    line.world.assert_log_matches();
    // The same at once, through ingest, tells that nothing is new.
    for file in &files {
        let raw = Some(RawBody(std::fs::read_to_string(file).unwrap()));
        let ingest =
            Ingest { channel_id: line.channel, raw, item: None, headers: Default::default(), received_at: None };
        for outcome in block_on(line.shop.execute(ingest)).unwrap() {
            assert!(!recorded(&outcome), "{file:?}: {outcome:?}");
        }
    }
    assert_eq!(line.all::<Message>().len(), messages.len());
}

#[test]
fn a_project_that_is_off_goes_on_with_open_sessions_only() {
    let line = Line::new();
    line.says("A1", "09:45:00", "1");
    line.ok("projects.deactivate", json!({}));
    assert!(recorded(&line.says("A2", "10:00:00", "2")));
    let off = Outcome::Parked { reason: ParkedBecause::ProjectInactive };
    assert_eq!(line.item(message_of("5521988887777", "B1", "10:00:00")), off);
    line.set("11:00:00");
    assert_eq!(line.says("A3", "11:00:00", "3"), off);
    let raw = RawBody(BODY.replace("SESSION", "default").replace("_A1", "_A4"));
    block_on(line.shop.execute(Accept { channel_id: line.channel, raw, headers: Default::default() })).unwrap();
    line.run();
    let waiting = line.ok("inbound.list", json!({"state": "parked", "kind": "message"}));
    assert_eq!(waiting["items"].as_array().unwrap().len(), 3);
    assert_eq!(line.all::<Message>().len(), 2);
    line.ok("projects.activate", json!({}));
    line.run();
    assert_eq!((line.all::<Message>().len(), line.all::<Contact>().len()), (5, 2));
    line.world.assert_log_matches();
}

#[test]
fn the_inbox_is_listed_by_what_people_look_for() {
    let line = Line::new();
    for number in 0..5 {
        line.set(&format!("10:0{number}:00"));
        assert!(waits(&line.item(ack(&format!("X{number}"), "09:00:00", "read"))));
        let raw = RawBody(format!("no json {number}"));
        block_on(line.shop.execute(Accept { channel_id: line.channel, raw, headers: Default::default() })).unwrap();
    }
    line.run();
    let list = |input: Value| line.ok("inbound.list", input);
    let count = |input: Value| list(input)["items"].as_array().unwrap().len();
    assert_eq!(count(json!({})), 10);
    assert_eq!((count(json!({"state": "dead"})), count(json!({"kind": "ack"}))), (5, 5));
    assert_eq!(count(json!({"received_from": at("10:02:00"), "received_until": at("10:04:00")})), 4);
    assert_eq!(count(json!({"channel_id": line.beside("W2").channel})), 0);
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = list(json!({"limit": 3, "cursor": cursor}));
        seen.extend(page["items"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        cursor = page["next_cursor"].clone();
        if page["has_more"] == false {
            break;
        }
    }
    assert!(seen.len() == 10 && seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
}

/// The public address of a channel: what answers to a call there.
struct Address {
    line: Line,
    token: String,
    /// A delivery of the session that the line is.
    body: String,
}

impl Address {
    fn new() -> Address {
        Address::of(Line::connected())
    }

    /// A channel whose gateway signs with [`KEY`].
    fn signing() -> Address {
        let secrets = json!({"api_key": "abcdef0123456789", "webhook_hmac_key": KEY});
        let config = json!({"base_url": "https://waha.example.com"});
        Address::of(Line::sealed(json!({
            "name": "W1", "type": "waha", "external_id": "default", "config": config, "secrets": secrets,
        })))
    }

    fn of(line: Line) -> Address {
        let token = line.ok("channels.rotate_webhook_token", json!({"id": line.channel}));
        let token = token["plain_webhook_token"].as_str().unwrap().to_owned();
        let channel = line.one::<ventros::channels::channel::Channel>();
        let body = BODY.replace("SESSION", channel.external_id.as_deref().unwrap());
        Address { line, token, body }
    }

    fn post(&self, token: &str, body: &str) -> u16 {
        self.post_with(token, json!({}), body)
    }

    fn post_with(&self, token: &str, headers: Value, body: &str) -> u16 {
        let system =
            ventros::engine::Context::new(None, ventros::kernel::ActorRef::system(ventros::kernel::Component::Channel));
        let call = json!({"token": token, "method": "POST", "headers": headers, "body": body});
        let reply = self.line.call_in(system, "inbound.receive_webhook", call).unwrap();
        u16::try_from(reply["status"].as_u64().unwrap()).unwrap()
    }

    fn rows(&self) -> Vec<ventros::conversations::inbound::inbox::InboxRow> {
        block_on(self.line.shop.query(ListDeliveries::default())).unwrap().items
    }
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn signature(key: &str, body: &str) -> Value {
    let mut mac = Hmac::<Sha512>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"X-Webhook-Hmac": hex, "X-Webhook-Hmac-Algorithm": "sha512"})
}

const BODY: &str = r#"{"event": "message.any", "session": "SESSION", "payload": {
    "id": "false_5511999998888@c.us_A1", "timestamp": 1736157600, "from": "5511999998888@c.us", "fromMe": false,
    "body": "Oi", "_data": {"Message": {"conversation": "Oi"}}}}"#;

#[test]
fn gateway_case_01_an_unknown_address_is_not_found() {
    let address = Address::new();
    assert_eq!(address.post("nobody", &address.body), 404);
    assert!(address.rows().is_empty());
}

#[test]
fn gateway_case_02_a_wrong_signature_stores_nothing() {
    let address = Address::signing();
    let (token, body) = (&address.token, &address.body);
    for headers in [signature("another key", body), signature(KEY, "another body"), json!({})] {
        assert_eq!(address.post_with(token, headers, body), 401);
    }
    assert!(address.rows().is_empty());
    assert_eq!(address.post_with(token, signature(KEY, body), body), 200);
    address.line.run();
    assert_eq!(address.line.all::<Message>().len(), 1);
}

#[test]
fn gateway_case_03_a_repeated_call_is_stored_once() {
    let address = Address::new();
    assert_eq!((address.post(&address.token, &address.body), address.post(&address.token, &address.body)), (200, 200));
    assert_eq!(address.rows().len(), 1);
    address.line.run();
    assert_eq!(address.post(&address.token, &address.body), 200);
    address.line.run();
    assert_eq!(address.rows().len(), 1);
    assert_eq!(address.line.all::<Message>().len(), 1);
}

#[test]
fn gateway_case_04_what_is_no_json_is_one_dead_row() {
    let address = Address::new();
    assert_eq!(address.post(&address.token, "{\"a\":"), 200);
    address.line.run();
    let rows = address.rows();
    assert_eq!((rows.len(), rows[0].state), (1, InboxState::Dead));
    assert!(rows[0].reason.as_deref().unwrap().starts_with("unparseable"));
}

#[test]
fn gateway_case_05_a_body_has_one_mebibyte_at_most() {
    let address = Address::new();
    let body = |bytes: usize| format!("{BODY}{}", " ".repeat(bytes - BODY.len()));
    assert_eq!(address.post(&address.token, &body(1024 * 1024 + 1)), 413);
    assert!(address.rows().is_empty());
    assert_eq!(address.post(&address.token, &body(1024 * 1024)), 200);
    assert_eq!(address.rows().len(), 1);
}
