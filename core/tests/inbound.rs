//! The conversation flow end to end: the acceptance cases of inbound messages, acknowledgements and targets.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use serde_json::{Value, json};
use ventros::channels::channel::commands::CreateChannel;
use ventros::contacts::contact::Contact;
use ventros::conversations::chat::Chat;
use ventros::conversations::inbound::{IgnoredBecause, Ingest, Outcome, ParkedBecause};
use ventros::conversations::message::{Message, MessageStatus};
use ventros::conversations::session::Session;
use ventros::engine::{Aggregate, Project};
use ventros::kernel::{ChannelId, input};
use ventros::storage::{EventQuery, Scope};
use ventros::testing::{World, block_on};

struct Line {
    world: World,
    shop: Project,
    channel: ChannelId,
}

impl Line {
    fn new() -> Line {
        Line::with(json!({}))
    }

    fn with(settings: Value) -> Line {
        let world = World::new();
        let acme = json!({"name": "Acme", "default_region": "BR"});
        let acme = block_on(
            world
                .crm
                .execute(serde_json::from_value::<ventros::tenancy::project::commands::CreateProject>(acme).unwrap()),
        )
        .unwrap();
        let shop = world.crm.project(acme.id);
        let mut input = json!({"name": "W1", "type": "waha"});
        input.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let channel = block_on(shop.execute(input::parse_value::<CreateChannel>(input).unwrap())).unwrap().channel.id;
        Line { world, shop, channel }
    }

    fn item(&self, item: Value) -> Outcome {
        let input = json!({"channel_id": self.channel, "item": item});
        let command = input::parse_value::<Ingest>(input).unwrap();
        let mut outcomes = block_on(self.shop.execute(command)).unwrap();
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        outcomes.remove(0)
    }

    fn says(&self, id: &str, at: &str, text: &str) -> Outcome {
        self.item(message(id, at, text))
    }

    fn all<A: Aggregate>(&self) -> Vec<A> {
        let found = block_on(self.world.crm.core().storage().scan(Scope::Project(self.shop.id()), A::KIND, None, 1000))
            .unwrap();
        found.iter().map(|snapshot| serde_json::from_str(&snapshot.state).unwrap()).collect()
    }

    fn one<A: Aggregate>(&self) -> A {
        let mut all = self.all::<A>();
        assert_eq!(all.len(), 1, "{}", serde_json::to_string_pretty(&all).unwrap());
        all.remove(0)
    }

    fn events(&self) -> Vec<String> {
        let query = EventQuery { limit: 1000, ..EventQuery::default() };
        let events = block_on(self.world.crm.core().storage().events(Scope::Project(self.shop.id()), &query)).unwrap();
        events
            .into_iter()
            .map(|event| event.event_type)
            .filter(|kind| !kind.starts_with("project") && !kind.starts_with("channel"))
            .collect()
    }

    fn run(&self) {
        block_on(self.world.crm.run_pending()).unwrap();
    }
}

const DAY: &str = "2025-01-06";

fn at(time: &str) -> String {
    format!("{DAY}T{time}Z")
}

fn message(id: &str, time: &str, text: &str) -> Value {
    json!({
        "type": "message",
        "channel_message_id": id,
        "chat": {"external_id": "5511999998888@c.us", "class": "individual", "kind_detail": "direct", "subject": null},
        "from_me": false,
        "sender": {"wid": "5511999998888", "display_name": "Ana"},
        "peer": {"wid": "5511999998888", "display_name": "Ana"},
        "timestamp": at(time),
        "content": {"type": "text", "body": text},
    })
}

fn from_me(id: &str, time: &str, text: &str) -> Value {
    let mut item = message(id, time, text);
    item["from_me"] = json!(true);
    item["sender"] = json!({"wid": "5511000000000"});
    item
}

fn ack(id: &str, time: &str, signal: &str) -> Value {
    json!({"type": "ack", "channel_message_id": id, "signal": signal, "at": at(time)})
}

fn recorded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Recorded { .. })
}

fn parked(outcome: &Outcome) -> bool {
    *outcome == Outcome::Parked { reason: ParkedBecause::TargetUnknown }
}

#[test]
fn case_01_a_first_message_makes_contact_chat_session_and_message() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:00Z");
    let outcome = line.says("A1", "10:00:00", "Oi");
    assert!(matches!(outcome, Outcome::Recorded { created, .. } if created.contact && created.chat && created.session));
    let expected = ["contact.created", "chat.created", "session.started", "message.received"];
    assert_eq!(line.events(), expected);
    let (session, chat, contact) = (line.one::<Session>(), line.one::<Chat>(), line.one::<Contact>());
    assert_eq!(session.metrics.message_count, 1);
    assert_eq!((chat.unread_count, chat.message_count), (1, 1));
    assert_eq!(contact.last_interaction_at.unwrap().to_string(), "2025-01-06T10:00:00.000000Z");
    assert_eq!(contact.phone.as_ref().unwrap().to_string(), "+5511999998888");
    let query = EventQuery { limit: 10, after: 2, ..EventQuery::default() };
    let events = block_on(line.world.crm.core().storage().events(Scope::Project(line.shop.id()), &query)).unwrap();
    assert!(events.windows(2).all(|pair| pair[0].correlation_id == pair[1].correlation_id));
    line.world.assert_log_matches();
}

#[test]
fn case_02_the_same_item_again_changes_nothing() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:00Z");
    line.says("A1", "10:00:00", "Oi");
    let before = line.events();
    assert!(matches!(line.says("A1", "10:00:00", "Oi"), Outcome::Duplicate { .. }));
    assert_eq!(line.events(), before);
    assert_eq!((line.one::<Session>().metrics.message_count, line.one::<Chat>().unread_count), (1, 1));
}

#[test]
fn case_03_a_hundred_threads_deliver_the_same_item_once() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:00Z");
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let line = &line;
        let threads: Vec<_> = (0..100).map(|_| scope.spawn(move || line.says("A1", "10:00:00", "Oi"))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| recorded(outcome)).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Duplicate { .. })).count(), 99);
    assert_eq!((line.all::<Message>().len(), line.one::<Chat>().unread_count), (1, 1));
    line.world.assert_log_matches();
}

#[test]
fn case_07_an_echo_of_the_phone_belongs_to_the_recipient() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:00Z");
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
    let group = |line: &Line| {
        let mut item = message("G1", "10:00:00", "Oi grupo");
        item["chat"] = json!({"external_id": "120363000000000001@g.us", "class": "group", "kind_detail": "group", "subject": null});
        item["peer"] = Value::Null;
        line.item(item)
    };
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:00Z");
    assert_eq!(group(&line), Outcome::Ignored { reason: IgnoredBecause::GroupDisabled });
    assert!(line.all::<Contact>().is_empty());
    let line = Line::with(json!({"allow_groups": true}));
    line.world.clock.set("2025-01-06T10:00:00Z");
    assert!(recorded(&group(&line)));
    let (session, chat) = (line.one::<Session>(), line.one::<Chat>());
    assert_eq!((session.contact_id, chat.contact_id), (None, None));
    assert_eq!(chat.participants[0].id, line.one::<Contact>().id.uuid());
    // 13: our own message there has no contact.
    let mut own = from_me("G2", "10:01:00", "Oi todos");
    own["chat"] =
        json!({"external_id": "120363000000000001@g.us", "class": "group", "kind_detail": "group", "subject": null});
    own["peer"] = Value::Null;
    assert!(matches!(line.item(own), Outcome::Recorded { contact_id: None, .. }));
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
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:00Z");
    let mut item = message("T1", "10:00:00", "old");
    item["timestamp"] = json!("1970-01-21T00:00:00Z");
    line.item(item);
    let message = line.one::<Message>();
    assert_eq!(message.timestamp.to_string(), "2025-01-06T10:00:00.000000Z");
    assert_eq!(message.metadata["clock_adjusted"], true);
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:00Z");
    line.says("T2", "11:00:00", "from the future");
    assert_eq!(line.one::<Message>().timestamp.to_string(), "2025-01-06T10:00:00.000000Z");
}

#[test]
fn case_16_sessions_are_cut_on_message_time() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T12:00:00Z");
    line.says("A1", "10:00:00", "1");
    line.says("A2", "10:30:00", "2");
    assert_eq!(line.all::<Session>().len(), 1);
    line.says("A3", "11:00:01", "3");
    let sessions = line.all::<Session>();
    assert_eq!(sessions.len(), 2);
    let first = sessions.iter().find(|session| session.metrics.message_count == 2).unwrap();
    assert_eq!(first.ended_at.unwrap().to_string(), "2025-01-06T11:00:00.000000Z");
    assert_eq!(first.duration_seconds, 1800);
    line.world.assert_log_matches();
}

#[test]
fn case_17_the_timer_ends_a_session_after_its_deadline() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:00Z");
    line.says("A1", "10:00:00", "1");
    line.world.clock.set("2025-01-06T10:30:00Z");
    line.run();
    assert!(line.one::<Session>().is_active());
    line.world.clock.set("2025-01-06T10:30:01Z");
    line.run();
    assert!(!line.one::<Session>().is_active());
    // 18: a message of 10:29 that is processed at 10:40 opens it again.
    line.world.clock.set("2025-01-06T10:40:00Z");
    line.says("A2", "10:29:00", "2");
    assert!(line.one::<Session>().is_active());
    assert_eq!(line.events().iter().filter(|kind| *kind == "session.reopened").count(), 1);
    line.world.assert_log_matches();
}

#[test]
fn case_26_an_acknowledgement_before_its_message_waits() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:10Z");
    assert!(parked(&line.item(ack("B1", "10:00:05", "read"))));
    line.item(from_me("B1", "10:00:00", "Bom dia"));
    let message = line.one::<Message>();
    assert_eq!(message.status, MessageStatus::Read);
    assert_eq!(message.read_at.unwrap().to_string(), "2025-01-06T10:00:05.000000Z");
    line.world.assert_log_matches();
}

#[test]
fn case_27_a_reaction_waits_for_its_message_for_a_day() {
    let reaction = |id: &str| {
        json!({
            "type": "reaction", "target_channel_message_id": id, "from_me": false,
            "by": {"wid": "5511999998888"}, "emoji": "👍", "at": at("10:00:05"),
        })
    };
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:10Z");
    assert!(parked(&line.item(reaction("A1"))));
    line.world.clock.advance_seconds(3600);
    line.run();
    line.says("A1", "10:00:00", "Oi");
    assert_eq!(line.one::<Message>().reactions.len(), 1);
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:10Z");
    assert!(parked(&line.item(reaction("A1"))));
    line.world.clock.advance_seconds(25 * 3600);
    line.run();
    line.says("A1", "10:00:00", "Oi");
    assert!(line.one::<Message>().reactions.is_empty());
}

#[test]
fn a_parked_item_finds_a_message_that_was_committed_at_the_same_moment() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:10Z");
    assert!(parked(&line.item(ack("B1", "10:00:05", "delivered"))));
    // As if the message's own commit had not seen the parked item: its job looks again by itself.
    line.world.clock.advance_seconds(10);
    line.run();
    line.item(from_me("B1", "10:00:00", "Bom dia"));
    assert_eq!(line.one::<Message>().status, MessageStatus::Delivered);
}

#[test]
fn edits_and_revocations_reach_their_message() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:00Z");
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

#[test]
fn unread_counts_do_not_depend_on_the_order_of_arrival() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T11:00:00Z");
    line.says("A1", "10:00:00", "1");
    line.says("A3", "10:10:00", "3");
    line.item(from_me("B2", "10:05:00", "2"));
    assert_eq!(line.one::<Chat>().unread_count, 1);
    let line = Line::new();
    line.world.clock.set("2025-01-06T11:00:00Z");
    line.item(from_me("B2", "10:05:00", "2"));
    line.says("A3", "10:10:00", "3");
    line.says("A1", "10:00:00", "1");
    assert_eq!(line.one::<Chat>().unread_count, 1);
    line.world.assert_log_matches();
}

#[test]
fn a_deleted_contact_closes_its_chat() {
    let line = Line::new();
    line.world.clock.set("2025-01-06T10:00:00Z");
    line.says("A1", "10:00:00", "1");
    let delete = json!({"id": line.one::<Contact>().id});
    let delete = input::parse_value::<ventros::contacts::contact::commands::DeleteContact>(delete).unwrap();
    block_on(line.shop.execute(delete)).unwrap();
    line.run();
    assert!(line.one::<Chat>().is_closed());
    // R13: the next message of the same number opens everything anew.
    assert!(
        matches!(line.says("A2", "10:01:00", "2"), Outcome::Recorded { created, .. } if created.contact && created.chat)
    );
    line.world.assert_log_matches();
}

#[test]
fn case_24_what_cannot_be_read_is_one_dead_row_that_can_be_replayed() {
    use ventros::conversations::inbound::inbox::{InboxState, ListDeliveries, Replay};
    use ventros::conversations::inbound::{Accept, RawBody};
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
fn accepted_deliveries_are_worked_off_in_order_and_once() {
    use ventros::conversations::inbound::{Accept, RawBody};
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
