//! A host holds the history itself and gives it page by page.

use super::gateway::Memory;
use super::house::{House, moment, on_the_day_before};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use ventros::kernel::{ErrorCode, Kind};
use ventros::storage::MemoryStorage;

const MINUTE: i64 = 60;

fn house() -> House {
    House::on(Arc::new(MemoryStorage::default()), Memory::of(Vec::new()))
}

fn noon(minute: i64) -> i64 {
    on_the_day_before(12, minute)
}

fn text(id: &str, at: i64) -> Value {
    json!({
        "channel_message_id": id, "timestamp": moment(at), "sender": {"wid": "5511999998888", "display_name": "Ana"},
        "content": {"type": "text", "body": id},
    })
}

fn ours(id: &str, at: i64) -> Value {
    let mut message = text(id, at);
    message["from_me"] = json!(true);
    message["sender"] = json!({});
    message["peer"] = json!({"wid": "5511999998888"});
    message["ack"] = json!("read");
    message
}

fn page(house: &House, messages: &[Value]) -> Value {
    let chat = json!({"external_id": "5511999998888@c.us", "class": "individual", "kind_detail": "direct"});
    json!({"channel_id": house.channel, "chat": chat, "messages": messages})
}

#[track_caller]
fn store(house: &House, messages: &[Value]) -> Value {
    house.ok("imports.store", page(house, messages))
}

fn kinds(report: &Value) -> Vec<String> {
    report["outcomes"].as_array().unwrap().iter().map(|o| o["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn case_36_sessions_are_cut_by_the_times_of_messages() {
    let near = house();
    let report = store(&near, &[text("a", noon(0)), text("b", noon(30)), text("c", noon(45))]);
    assert_eq!(
        (&report["imported"], &report["contacts_created"], &report["sessions_created"]),
        (&json!(3), &json!(1), &json!(1))
    );
    let sessions = near.sessions();
    assert_eq!(sessions, [(moment(noon(0)), moment(noon(45)), json!(moment(noon(105))), 3)]);
    assert_eq!(report["outcomes"][2]["session_id"], near.states(Kind::Session)[0]["id"]);
    near.world.assert_log_matches();
    let apart = house();
    store(&apart, &[text("a", noon(0)), text("b", noon(90))]);
    assert_eq!(apart.sessions().len(), 2);
    assert_eq!(apart.states(Kind::Contact).len(), 1);
}

#[test]
fn case_37_the_same_page_twice_records_nothing() {
    let house = house();
    let messages = [text("a", noon(0)), ours("b", noon(10)), text("c", noon(200))];
    store(&house, &messages);
    house.run();
    let (known, states) = (house.count("*"), house.picture());
    let again = store(&house, &messages);
    assert_eq!(kinds(&again), ["duplicate"; 3]);
    assert_eq!((&again["imported"], &again["chat_id"]), (&json!(0), &Value::Null));
    house.run();
    assert_eq!((house.count("*"), house.picture()), (known, states));
}

#[test]
fn messages_of_the_past_are_what_they_were() {
    let house = house();
    let report = store(&house, &[ours("b", noon(10)), text("a", noon(0)), text("later", 1_736_200_000)]);
    assert_eq!(kinds(&report), ["recorded"; 3], "in the order in which they were given");
    let get = |place: usize| house.ok("messages.get", json!({"id": report["outcomes"][place]["message_id"]}));
    let (ours, theirs, later) = (get(0), get(1), get(2));
    assert_eq!(
        (&ours["direction"], &ours["status"], &ours["source"]),
        (&json!("outbound"), &json!("read"), &json!("history_import"))
    );
    assert_eq!((&ours["read_at"], &ours["contact_id"]), (&json!(moment(noon(10))), &theirs["contact_id"]));
    assert_eq!(
        (&theirs["status"], &theirs["timestamp"], &theirs["historical"]),
        (&json!("received"), &json!(moment(noon(0))), &json!(true))
    );
    assert_eq!(later["timestamp"], "2025-01-06T10:00:00.000000Z", "nothing was said in the future");
    assert_eq!(later["metadata"]["clock_adjusted"], true);
    house.world.assert_log_matches();
}

#[test]
fn case_46_nobody_is_woken() {
    let house = house();
    let hook = |name: &str, historical: bool| {
        let url = format!("https://{name}.example.com/hook");
        json!({"name": name, "url": url, "event_types": ["*"], "contact_events": true, "include_historical": historical})
    };
    house.ok("webhooks.create", hook("quiet", false));
    house.run();
    store(&house, &[text("a", noon(0)), ours("b", noon(10))]);
    house.run();
    let deliveries = house.ok("webhooks.list_deliveries", json!({}))["items"].clone();
    assert_eq!(deliveries, json!([]), "history is silent, and so is what follows from it");
    assert!(!house.states(Kind::ContactEvent).is_empty(), "the timeline has it all the same");
    let chat = &house.states(Kind::Chat)[0];
    assert_eq!((&chat["unread_count"], &chat["message_count"]), (&json!(0), &json!(2)));
    assert_eq!(chat["last_message"]["at"], json!(moment(noon(10))));
    assert_eq!(house.count("message.received") + house.count("message.ai.*"), 0);
    assert!(house.events("message.imported").iter().all(|event| event.source == "import"));
    assert!(house.events("session.*").iter().all(|event| event.source == "import"));
}

#[test]
fn an_archived_chat_stays_where_it_is() {
    let house = house();
    let report = store(&house, &[text("a", noon(0))]);
    house.ok("chats.archive", json!({"id": report["chat_id"]}));
    store(&house, &[text("b", noon(1))]);
    assert_eq!(house.ok("chats.get", json!({"id": report["chat_id"]}))["status"], "archived");
}

#[test]
fn what_waited_for_a_message_is_applied() {
    let house = house();
    let reaction = json!({
        "type": "reaction", "target_channel_message_id": "a", "from_me": false, "emoji": "👍", "at": "2025-01-06T09:59:00Z",
        "chat": {"external_id": "5511999998888@c.us", "class": "individual", "kind_detail": "direct"},
        "by": {"wid": "5511999998888"},
    });
    let parked = house.ok("inbound.ingest", json!({"channel_id": house.channel, "item": reaction}));
    assert_eq!(parked[0]["type"], "parked");
    let report = store(&house, &[text("a", noon(0))]);
    let message = house.ok("messages.get", json!({"id": report["outcomes"][0]["message_id"]}));
    assert_eq!(message["reactions"][0]["emoji"], "👍");
}

#[test]
fn a_quoted_message_of_the_same_page_is_found() {
    let house = house();
    let mut answer = ours("b", noon(10));
    answer["reply_to_channel_message_id"] = json!("a");
    let report = store(&house, &[answer, text("a", noon(0))]);
    let answer = house.ok("messages.get", json!({"id": report["outcomes"][0]["message_id"]}));
    assert_eq!(answer["reply_to_id"], report["outcomes"][1]["message_id"]);
}

#[test]
fn what_cannot_be_stored_hides_nothing_else() {
    let house = house();
    let mut nobody = text("n", noon(1));
    nobody["sender"] = json!({"display_name": "Nobody"});
    let report = store(&house, &[text("", noon(0)), nobody, text("old", 1_000_000_000), text("a", noon(2))]);
    assert_eq!(kinds(&report), ["rejected", "rejected", "rejected", "recorded"]);
    let chat = json!({"external_id": "status@broadcast", "class": "status", "kind_detail": "status"});
    let story = json!({"channel_id": house.channel, "chat": chat, "messages": [text("s", noon(3))]});
    assert_eq!(
        house.ok("imports.store", story)["outcomes"],
        json!([{"type": "ignored", "reason": "status_broadcast"}])
    );
    let group = json!({"external_id": "1203@g.us", "class": "group", "kind_detail": "group"});
    let group = json!({"channel_id": house.channel, "chat": group, "messages": [text("g", noon(3))]});
    assert_eq!(house.ok("imports.store", group)["outcomes"][0]["reason"], "group_disabled");
    let many: Vec<Value> = (0..501).map(|n| text(&format!("m{n}"), noon(n))).collect();
    assert_eq!(house.refused("imports.store", page(&house, &many)), ErrorCode::BatchTooLarge);
    let mixed = json!({"external_id": "1@c.us", "class": "group", "kind_detail": "direct"});
    let mixed = json!({"channel_id": house.channel, "chat": mixed, "messages": []});
    assert_eq!(house.refused("imports.store", mixed), ErrorCode::InboundItemInvalid);
    let gone = json!({"channel_id": "0194f5e6-0000-7000-8000-000000000001", "chat": {"external_id": "1@c.us",
        "class": "individual", "kind_detail": "direct"}, "messages": []});
    assert_eq!(house.refused("imports.store", gone), ErrorCode::ChannelNotFound);
}

#[test]
fn case_43_participants_of_a_group_are_contacts_and_the_group_is_none() {
    let house = House::with(
        Arc::new(MemoryStorage::default()),
        Memory::of(Vec::new()),
        json!({"allow_groups": true, "session_timeout_minutes": 60}),
    );
    let group = json!({"external_id": "120363@g.us", "class": "group", "kind_detail": "group", "subject": "Team"});
    let by = |id: &str, wid: &str, minute: i64| {
        let mut message = text(id, noon(minute));
        message["sender"] = json!({"wid": wid});
        message
    };
    let messages = [by("a", "5511999998888", 0), by("b", "5511999997777", 5), by("c", "5511999998888", 9)];
    let report = house.ok("imports.store", json!({"channel_id": house.channel, "chat": group, "messages": messages}));
    assert_eq!((&report["contacts_created"], &report["sessions_created"]), (&json!(2), &json!(1)));
    let chat = &house.states(Kind::Chat)[0];
    assert_eq!((&chat["subject"], chat["participants"].as_array().unwrap().len()), (&json!("Team"), 2));
    assert_eq!(house.states(Kind::Session)[0]["contact_id"], Value::Null);
    house.world.assert_log_matches();
}

/// Minutes of a day in pages of any size and order, with any of them given again.
fn pages() -> impl Strategy<Value = (Vec<i64>, Vec<Vec<i64>>)> {
    let minutes = prop::collection::btree_set(0i64..600, 1..20).prop_map(|set| set.into_iter().collect::<Vec<_>>());
    minutes
        .prop_flat_map(|sorted| {
            let again = prop::sample::subsequence(sorted.clone(), 0..=sorted.len());
            (Just(sorted), again).prop_flat_map(|(sorted, again)| {
                let all: Vec<i64> = sorted.iter().chain(&again).copied().collect();
                (Just(sorted), Just(all).prop_shuffle(), 1usize..8)
            })
        })
        .prop_map(|(sorted, all, size)| (sorted, all.chunks(size).map(<[i64]>::to_vec).collect()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// However a history is cut into pages, in whatever order they come, and however often: it is the same history.
    #[test]
    fn redelivery_and_order_make_no_difference((sorted, pages) in pages()) {
        let said = |minute: &i64| match minute % 3 {
            0 => ours(&format!("m{minute}"), noon(0) + minute * MINUTE),
            _ => text(&format!("m{minute}"), noon(0) + minute * MINUTE),
        };
        let (whole, parts) = (house(), house());
        store(&whole, &sorted.iter().map(said).collect::<Vec<_>>());
        for page in &pages {
            store(&parts, &page.iter().map(said).collect::<Vec<_>>());
        }
        prop_assert_eq!(whole.picture(), parts.picture());
        parts.world.assert_log_matches();
    }
}
