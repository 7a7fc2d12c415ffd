//! The history is fetched from a gateway: in pages, chats side by side, resumed after whatever happens between.

use super::gateway::{Memory, Said};
use super::house::{House, chat, moment, on_the_day_before};
use serde_json::{Value, json};
use std::sync::Arc;
use ventros::engine::Context;
use ventros::kernel::{ActorRef, Component, ErrorCode, Kind, UserId};
use ventros::storage::MemoryStorage;
use ventros::testing::{Fault, WatchedStorage, block_on};

fn morning(second: i64) -> i64 {
    on_the_day_before(8, 0) + second
}

/// Three chats, one of them with 1 200 messages.
fn three_chats() -> Memory {
    let long: Vec<i64> = (0..1_200).map(|n| morning(n * 7)).collect();
    Memory::of(vec![chat(1, &long), chat(2, &[morning(0), morning(60)]), chat(3, &[morning(5)])])
}

fn house(memory: Memory) -> House {
    House::on(Arc::new(MemoryStorage::default()), memory)
}

fn totals(import: &Value, names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| import["totals"][name].as_u64().unwrap()).collect()
}

const CHATS: [&str; 4] = ["chats_total", "chats_done", "chats_failed", "chats_skipped"];
const MESSAGES: [&str; 5] = ["messages_seen", "imported", "duplicate", "ignored", "failed"];

#[test]
fn case_15_pages_are_resumed_by_another_process() {
    let whole = house(three_chats());
    let import = whole.import_all();
    assert_eq!((&import["status"], totals(&import, &CHATS)), (&json!("completed"), vec![3, 3, 0, 0]));
    assert_eq!(totals(&import, &MESSAGES), [1_203, 1_203, 0, 0, 0]);
    assert_eq!(whole.count("message.imported"), 1_203);
    whole.world.assert_log_matches();
    for pages in 0..6 {
        let house = house(three_chats());
        let id = house.request();
        house.run();
        for _ in 0..pages {
            house.wait(1);
        }
        house.wait(0);
        let before = house.count("message.imported");
        if before == 1_203 {
            break;
        }
        house.world.clock.advance_seconds(1);
        house.die_in_a_call();
        let house = house.succeeded(70 + pages);
        house.gateway.asked();
        house.wait(30);
        assert_eq!(house.count("message.imported"), before, "the call of the dead is waited for");
        house.world.clock.advance_seconds(31);
        let import = house.finish(&id);
        assert_eq!((&import["status"], totals(&import, &CHATS)), (&json!("completed"), vec![3, 3, 0, 0]));
        assert_eq!(totals(&import, &MESSAGES), [1_203, 1_203, 0, 0, 0], "after {pages} pages");
        assert_eq!(house.picture(), whole.picture(), "after {pages} pages");
        house.world.assert_log_matches();
    }
}

#[test]
fn case_16_nothing_is_lost_at_the_edge_of_a_page() {
    // 700 messages, three a second: every page ends within a second.
    let times: Vec<i64> = (0..700).map(|n| morning(n / 3)).collect();
    let house = house(Memory { most: 100, ..Memory::of(vec![chat(1, &times)]) });
    let import = house.import_all();
    assert_eq!(totals(&import, &MESSAGES), [700, 700, 0, 0, 0]);
    // A second of more messages than a page has.
    let times: Vec<i64> = (0..350).map(|n| morning(n / 250)).collect();
    let house = self::house(Memory { most: 100, ..Memory::of(vec![chat(1, &times)]) });
    let import = house.import_all();
    assert_eq!(totals(&import, &MESSAGES), [350, 350, 0, 0, 0]);
}

/// Case 26 of the WAHA page.
#[test]
fn waha_case_26_a_page_without_news_is_the_last() {
    let times: Vec<i64> = (0..977).map(|n| if (475..480).contains(&n) { morning(475) } else { morning(n) }).collect();
    let house = house(Memory::of(vec![chat(1, &times)]));
    let import = house.import_all();
    assert_eq!(totals(&import, &MESSAGES), [977, 977, 0, 0, 0]);
    let asked: Vec<String> = house.gateway.asked().into_iter().filter(|url| url.contains("/messages")).collect();
    assert_eq!(asked.len(), 3, "{asked:#?}");
    assert_eq!(asked[0], "chats/5511900000001%40c.us/messages?limit=500&offset=0&downloadMedia=false");
}

#[test]
fn case_17_a_message_that_arrives_meanwhile_is_recorded_at_once() {
    let times: Vec<i64> = (0..600).map(|n| on_the_day_before(33, 20) + n * 2).collect();
    let (before, after) = (house(Memory::of(vec![chat(1, &times)])), house(Memory::of(vec![chat(1, &times)])));
    let id = before.request();
    before.run();
    assert!((1..600).contains(&before.count("message.imported")), "it is under way");
    let live = before.hears(1, "LIVE", "2025-01-06T09:59:59Z");
    assert_eq!((&live["type"], &live["created"]["contact"]), (&json!("recorded"), &json!(false)));
    before.ok("sessions.assign", json!({"id": live["session_id"], "agent_id": "0194f5e6-0000-7000-8000-000000000001"}));
    let import = before.finish(&id);
    assert_eq!(import["status"], "completed");
    after.hears(1, "LIVE", "2025-01-06T09:59:59Z");
    after.import_all();
    let sessions = before.sessions();
    assert_eq!(sessions, after.sessions());
    assert_eq!((sessions.len(), sessions[0].3), (1, 601));
    let session = before.ok("sessions.get", json!({"id": live["session_id"]}));
    assert_eq!(
        (&session["started_at"], &session["current_agent_id"], &session["status"]),
        (&json!(moment(times[0])), &json!("0194f5e6-0000-7000-8000-000000000001"), &json!("active"))
    );
    before.world.assert_log_matches();
}

#[test]
fn case_18_an_import_that_cannot_list_the_chats_fails() {
    let house = house(Memory { list_fails: Some(500), ..three_chats() });
    let id = house.request();
    let import = house.finish(&id);
    assert_eq!((&import["status"], house.gateway.asked().len()), (&json!("failed"), 3));
    assert_eq!(import["error"], "unavailable 500: gateway down");
    let channel = house.ok("channels.get", json!({"id": house.channel}));
    assert_eq!(
        (&channel["history_import"]["status"], &channel["history_import"]["error"]),
        (&json!("failed"), &json!("unavailable 500: gateway down"))
    );
    assert_eq!(channel["status"], "active");
    house.gateway.behave(|memory| memory.list_fails = None);
    house.ok("imports.retry_failed", json!({"id": id}));
    let again = house.finish(&id);
    assert_eq!((&again["status"], totals(&again, &MESSAGES)[1]), (&json!("completed"), 1_203));
    let import = house.import_all();
    assert_eq!(totals(&import, &MESSAGES), [1_203, 0, 1_203, 0, 0], "and a new request is allowed");
}

#[test]
fn case_19_a_chat_that_fails_fails_alone() {
    let mut memory = Memory::of((1..=50).map(|n| chat(n, &[morning(n.into()), morning(9_000)])).collect());
    memory.fails.insert("5511900000017@c.us".to_owned(), 3);
    let house = house(memory);
    let import = house.import_all();
    assert_eq!((&import["status"], totals(&import, &CHATS)), (&json!("partial"), vec![50, 49, 1, 0]));
    assert_eq!((&import["totals"]["outcome"], house.count("message.imported")), (&json!("partial"), 98));
    let failed = json!({"field": "status", "op": "eq", "value": "failed"});
    let failed = house.ok("imports.list_chats", json!({"id": import["id"], "filter": failed}));
    assert_eq!(
        (&failed["items"][0]["chat"]["external_id"], &failed["items"][0]["error"]),
        (&json!("5511900000017@c.us"), &json!("unavailable 500: no"))
    );
    assert_eq!(failed["items"].as_array().unwrap().len(), 1);
    house.gateway.asked();
    house.ok("imports.retry_failed", json!({"id": import["id"]}));
    assert_eq!(house.refused("imports.retry_failed", json!({"id": import["id"]})), ErrorCode::ImportRunning);
    let import = house.finish(&import["id"]);
    assert_eq!((&import["status"], totals(&import, &CHATS)), (&json!("completed"), vec![50, 50, 0, 0]));
    assert_eq!((totals(&import, &MESSAGES)[1], house.gateway.asked().len()), (100, 2));
    let events = house.count("*");
    house.ok("imports.retry_failed", json!({"id": import["id"]}));
    assert_eq!(house.count("*"), events, "nothing is left to do");
    house.world.assert_log_matches();
}

#[test]
fn case_20_ten_thousand_messages_wake_nobody() {
    let chats = (1..=20).map(|n| chat(n, &(0..500).map(|at| morning(at * 40)).collect::<Vec<_>>()));
    let house = house(Memory::of(chats.collect()));
    let all =
        json!({"name": "All", "url": "https://hooks.example.com/x", "event_types": ["*"], "contact_events": true});
    house.ok("webhooks.create", all);
    house.run();
    let import = house.import_all();
    assert_eq!(totals(&import, &MESSAGES)[1], 10_000);
    let told = house.ok("webhooks.list_deliveries", json!({"limit": 100, "with_total": true}));
    let types: std::collections::BTreeSet<&str> =
        told["items"].as_array().unwrap().iter().map(|delivery| delivery["event_type"].as_str().unwrap()).collect();
    assert!(types.iter().all(|name| name.starts_with("channel.history_import.")), "{types:?}");
    assert!(types.contains("channel.history_import.completed"));
}

#[test]
fn case_21_one_import_at_a_time() {
    let house = house(three_chats());
    house.request();
    let input = json!({"channel_id": house.channel, "strategy": "full"});
    assert_eq!(house.refused("imports.request", input), ErrorCode::ImportRunning);
}

/// Case 19 of the outbox page: bulk work is refused while too much of its kind waits, a single message is not.
#[test]
fn outbox_case_19_an_import_is_refused_while_too_much_waits() {
    let house = house(three_chats()).succeeded_with(5, |settings| settings.with_max_backlog(0));
    let contact = house.ok("contacts.create", json!({"name": "Ana", "phone": "+5511990000001"}))["id"].clone();
    let input = json!({"channel_id": house.channel, "strategy": "full"});
    assert_eq!(house.refused("imports.request", input), ErrorCode::JobBacklogFull);
    let content = json!({"type": "text", "body": "Oi"});
    house.ok("messages.send", json!({"contact_id": contact, "channel_id": house.channel, "content": content}));
}

#[test]
fn case_45_who_asks_for_what() {
    let house = house(three_chats());
    let ask = |more: Value| {
        let mut input = json!({"channel_id": house.channel, "strategy": "full"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        house.refused("imports.request", input)
    };
    assert_eq!(ask(json!({"strategy": "time_range", "time_range_days": 0})), ErrorCode::TimeRangeDaysRequired);
    assert_eq!(ask(json!({"strategy": "everything"})), ErrorCode::EnumUnknown);
    assert_eq!(ask(json!({"limit_per_chat": 0})), ErrorCode::ImportLimitInvalid);
    assert_eq!(ask(json!({"session_timeout_minutes": 1_441})), ErrorCode::SessionTimeoutOutOfRange);
    house.ok("channels.update", json!({"id": house.channel, "history_import_enabled": false}));
    assert_eq!(ask(json!({})), ErrorCode::HistoryImportNotEnabled);
    house.ok("channels.deactivate", json!({"id": house.channel}));
    assert_eq!(ask(json!({})), ErrorCode::ChannelNotActive);
    let form = house.ok("channels.create", json!({"name": "Form", "type": "web_form"}));
    assert_eq!(ask(json!({"channel_id": form["id"]})), ErrorCode::ImportNotSupported);
    // Who may look may not have anything fetched.
    let host = Context::new(None, ActorRef::system(Component::Host));
    let user = json!({"email": "vera@example.com", "name": "Vera"}).to_string();
    let user = block_on(house.world.crm.call("users.create", host, user.as_bytes())).unwrap();
    let user: Value = serde_json::from_str(&user).unwrap();
    house.ok("members.add", json!({"user_id": user["id"], "role": "viewer"}));
    let id: UserId = serde_json::from_value(user["id"].clone()).unwrap();
    let viewer = house.shop.acting_as(ActorRef::user(id));
    let asks = |operation: &str, input: Value| {
        block_on(house.world.crm.call(operation, viewer.context(), input.to_string().as_bytes()))
    };
    let input = json!({"channel_id": house.channel, "strategy": "full"});
    let refused = asks("imports.request", input).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::PermissionDenied);
    assert!(asks("imports.list", json!({})).is_ok());
    let nobody = json!({"id": "0194f5e6-0000-7000-8000-000000000001"});
    for operation in [
        "imports.get",
        "imports.list_chats",
        "imports.cancel",
        "imports.retry_failed",
        "imports.pause",
        "imports.resume",
    ] {
        assert_eq!(house.refused(operation, nobody.clone()), ErrorCode::ImportJobNotFound, "{operation}");
    }
}

/// Two live sessions are as fixed as anything that people have seen: what was said between them goes to one or the other.
#[test]
fn case_42_messages_between_two_live_sessions_are_split_at_the_largest_gap() {
    // An hour of silence ends a session here; with what was said between, there is none.
    let between: Vec<i64> = [8 * 60 + 50, 9 * 60 + 20, 10 * 60 + 10].map(|minute| on_the_day_before(48, minute)).into();
    let house = house(Memory::of(vec![chat(1, &between)]));
    house.world.clock.set("2025-01-07T08:15:00Z");
    let first = house.hears(1, "LIVE1", "2025-01-07T08:10:00Z")["session_id"].clone();
    house.world.clock.set("2025-01-07T11:00:00Z");
    house.run();
    let second = house.hears(1, "LIVE2", "2025-01-07T11:00:00Z")["session_id"].clone();
    assert_ne!(first, second);
    let import = house.import_all();
    assert_eq!((&import["status"], &import["totals"]["imported"]), (&json!("completed"), &json!(3)));
    let messages = |session: &Value| {
        let mut ids: Vec<String> = house
            .states(Kind::Message)
            .iter()
            .filter(|message| message["session_id"] == *session)
            .map(|message| message["channel_message_id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    // 40, 30, 50 and 50 minutes lie between them: the earlier one of the largest gaps is the border.
    assert_eq!(messages(&first), ["LIVE1", "M0001000000", "M0001000001"]);
    assert_eq!(messages(&second), ["LIVE2", "M0001000002"]);
    let sessions = house.sessions();
    assert_eq!(sessions.len(), 2, "{sessions:#?}");
    assert_eq!(sessions[0].1, moment(between[1]));
    assert_eq!(sessions[1].0, moment(between[2]));
    let (events, digest) = (house.count("session.*"), house.digest());
    house.import_all();
    assert_eq!((house.count("session.*"), house.digest()), (events, digest), "again gives nothing");
    house.world.assert_log_matches();
}

#[test]
fn case_40_a_chat_without_messages_leaves_nothing() {
    let house = house(Memory::of(vec![chat(1, &[]), chat(2, &[morning(0)])]));
    let import = house
        .ok("imports.request", json!({"channel_id": house.channel, "strategy": "time_range", "time_range_days": 1}));
    // A day before 10:00 on the 6th is 10:00 on the 5th: what was said at 8:00 is too old.
    let import = house.finish(&import["id"]);
    assert_eq!((&import["status"], totals(&import, &CHATS)), (&json!("completed"), vec![2, 2, 0, 0]));
    assert_eq!(totals(&import, &MESSAGES), [0; 5]);
    for kind in [Kind::Contact, Kind::Chat, Kind::Session, Kind::Message] {
        assert_eq!(house.states(kind).len(), 0, "{kind}");
    }
}

#[test]
fn limits_take_the_newest_messages() {
    let times: Vec<i64> = (0..50).map(|n| morning(n * 60)).collect();
    let house = house(Memory { most: 20, ..Memory::of(vec![chat(1, &times)]) });
    let asked = json!({"channel_id": house.channel, "strategy": "all", "limit_per_chat": 30});
    let import = house.ok("imports.request", asked);
    let import = house.finish(&import["id"]);
    assert_eq!(totals(&import, &MESSAGES), [30, 30, 0, 0, 0]);
    assert_eq!(house.sessions()[0].0, moment(times[20]));
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let times: Vec<i64> = (0..700).map(morning).collect();
    let house = house(Memory { cuts_above: Some(60), ..Memory::of(vec![chat(1, &times)]) });
    let import = house.import_all();
    assert_eq!((&import["status"], totals(&import, &MESSAGES)), (&json!("completed"), vec![700, 700, 0, 0, 0]));
}

#[test]
fn groups_and_stories_are_left_out_unless_they_are_wanted() {
    let said = |id: &str, by: &str| Said { id: id.to_owned(), at: morning(1), from_me: false, by: Some(by.to_owned()) };
    let memory = || {
        Memory::of(vec![
            ("120363@g.us".to_owned(), vec![said("G1", "5511900000001@c.us"), said("G2", "5511900000002@c.us")]),
            ("status@broadcast".to_owned(), vec![said("S1", "5511900000001@c.us")]),
        ])
    };
    let without = house(memory());
    let import = without.import_all();
    assert_eq!((totals(&import, &CHATS), without.count("message.imported")), (vec![2, 0, 0, 2], 0));
    let with = House::with(Arc::new(MemoryStorage::default()), memory(), json!({"allow_groups": true}));
    let import = with.import_all();
    assert_eq!((totals(&import, &CHATS), with.states(Kind::Contact).len()), (vec![2, 1, 0, 1], 2));
    assert_eq!(with.states(Kind::Chat).len(), 1);
    with.world.assert_log_matches();
}

#[test]
fn an_import_that_is_called_off_keeps_what_it_has() {
    let house = house(three_chats());
    let id = house.request();
    house.run();
    let stored = house.count("message.imported");
    assert!((1..1_203).contains(&stored));
    let cancelled = house.ok("imports.cancel", json!({"id": id}));
    assert_eq!(cancelled["status"], "cancelled");
    house.wait(60);
    assert_eq!(house.count("message.imported"), stored);
    assert!(house.states(Kind::Message).iter().all(|message| !message["session_id"].is_null()), "all are in sessions");
    assert_eq!(house.refused("imports.cancel", json!({"id": id})), ErrorCode::ImportNotRunning);
    let told = house.events("channel.history_import.cancelled");
    let told: Value = serde_json::from_str(told[0].data.get()).unwrap();
    assert_eq!(told["stats"]["imported"], json!(stored));
    let import = house.import_all();
    assert_eq!(totals(&import, &MESSAGES), [1_203, 1_203 - stored as u64, stored as u64, 0, 0]);
    let whole = self::house(three_chats());
    whole.import_all();
    assert_eq!(house.sessions(), whole.sessions());
    house.world.assert_log_matches();
}

#[test]
fn an_import_that_is_paused_goes_on_where_it_stopped() {
    let house = house(three_chats());
    let id = house.request();
    house.run();
    assert_eq!(house.ok("imports.pause", json!({"id": id}))["status"], "paused");
    house.wait(3_600);
    let stored = house.count("message.imported");
    house.wait(3_600);
    assert_eq!((house.count("message.imported"), &house.import(&id)["status"]), (stored, &json!("paused")));
    house.ok("imports.resume", json!({"id": id}));
    let import = house.finish(&id);
    assert_eq!(totals(&import, &MESSAGES), [1_203, 1_203, 0, 0, 0]);
    assert_eq!(house.refused("imports.pause", json!({"id": id})), ErrorCode::ImportNotRunning);
    assert_eq!(house.refused("imports.resume", json!({"id": id})), ErrorCode::ImportNotRunning);
}

#[test]
fn a_line_that_goes_off_pauses_its_import_and_one_that_is_deleted_ends_it() {
    let house = house(three_chats());
    let id = house.request();
    house.run();
    house.ok("channels.report_connection", json!({"id": house.channel, "connection": "stopped"}));
    house.wait(1);
    let stored = house.count("message.imported");
    house.wait(300);
    assert_eq!((house.count("message.imported"), &house.import(&id)["status"]), (stored, &json!("running")));
    house.ok("channels.report_connection", json!({"id": house.channel, "connection": "connected"}));
    house.wait(61);
    assert!(house.count("message.imported") > stored);
    house.ok("channels.delete", json!({"id": house.channel}));
    house.wait(61);
    assert_eq!(house.import(&id)["status"], "cancelled");
}

#[test]
fn progress_is_told_every_five_seconds_at_most() {
    let long: Vec<i64> = (0..3_000).map(|n| morning(n * 3)).collect();
    let house = house(Memory { most: 50, ..Memory::of(vec![chat(1, &long)]) });
    let id = house.request();
    house.run();
    let import = house.import(&id);
    assert_eq!((&import["status"], totals(&import, &MESSAGES)[1]), (&json!("running"), 50));
    let import = house.finish(&id);
    assert!(import["rate"].as_f64().unwrap() > 1.0);
    let seconds = |event: &ventros::storage::EventRecord| event.recorded_at.micros() / 1_000_000;
    let told: Vec<i64> = house.events("channel.history_import.progressed").iter().map(seconds).collect();
    assert!(told.len() > 5, "{told:?}");
    assert!(told.windows(2).all(|pair| pair[1] - pair[0] >= 5), "{told:?}");
    let kinds: Vec<String> =
        house.events("channel.history_import.*").into_iter().map(|event| event.event_type).collect();
    assert_eq!(kinds[0], "channel.history_import.requested");
    assert_eq!(kinds[1], "channel.history_import.started");
    assert_eq!(kinds.last().unwrap(), "channel.history_import.completed");
}

#[test]
fn eight_chats_are_fetched_at_once() {
    let house = house(Memory::of((1..=30).map(|n| chat(n, &[morning(0), morning(700)])).collect()));
    let id = house.request();
    house.run();
    let fetching = json!({"field": "status", "op": "eq", "value": "fetching"});
    let fetching = house.ok("imports.list_chats", json!({"id": id, "filter": fetching, "with_total": true}));
    assert_eq!((&fetching["total"], fetching["items"][0]["number"].as_u64()), (&json!(8), Some(1)));
    house.finish(&id);
    let listed = house.ok("imports.list", json!({"filter": {"field": "status", "op": "eq", "value": "completed"}}));
    assert_eq!(listed["items"][0]["id"], id);
}

/// Who writes while the chats are listed moves to the beginning of the list.
#[test]
fn a_chat_that_moves_while_the_list_is_read_is_not_lost() {
    let house = house(Memory::of((1..=150).map(|n| chat(n, &[morning(n.into())])).collect()));
    let moved = std::sync::atomic::AtomicBool::new(false);
    let mut answers = house.gateway.memory.lock().unwrap().clone();
    house.gateway.outside.answer(move |request| {
        if request.url.contains("offset=100") && !moved.swap(true, std::sync::atomic::Ordering::SeqCst) {
            let last = answers.chats.pop().unwrap();
            answers.chats.insert(0, last);
        }
        answers.answer(request)
    });
    let import = house.import_all();
    assert_eq!((totals(&import, &CHATS), house.count("message.imported")), (vec![150, 150, 0, 0], 150));
}

/// The channel page's reaction to `channel.activated`.
#[test]
fn a_line_that_is_connected_for_the_first_time_imports_what_its_configuration_says() {
    let line = |strategy: &str, enabled: bool| {
        let config = json!({"base_url": "https://waha.example.com/", "api_key": "k-0123456789abcdef",
            "import_strategy": strategy});
        let settings = json!({"session_timeout_minutes": 60, "config": config, "history_import_enabled": enabled});
        let house = House::with(Arc::new(MemoryStorage::default()), three_chats(), settings);
        house.run();
        house
    };
    for (strategy, enabled) in [("none", true), ("all", false), ("new_only", false)] {
        assert_eq!(line(strategy, enabled).count("channel.history_import.requested"), 0, "{strategy} {enabled}");
    }
    for (strategy, asked) in [("all", "full"), ("new_only", "recent")] {
        let house = line(strategy, true);
        let run = house.ok("channels.get", json!({"id": house.channel}))["history_import"].clone();
        assert_eq!(run["request"]["strategy"], asked);
        assert_eq!(house.finish(&run["job_id"])["status"], "completed");
        assert!(house.count("message.*") > 0);
        // It was connected before: the rest is for whoever asks.
        house.ok("channels.deactivate", json!({"id": house.channel, "reason": "holidays"}));
        house.ok("channels.activate", json!({"id": house.channel}));
        house.ok("channels.report_connection", json!({"id": house.channel, "connection": "connected"}));
        house.run();
        assert_eq!((house.count("channel.activated"), house.count("channel.history_import.requested")), (2, 1));
    }
}

/// At each commit, before the store hears of it and after: whoever dies between two of them leaves the same behind.
#[test]
fn case_38_an_import_that_is_killed_anywhere_ends_the_same() {
    let memory = || {
        let long: Vec<i64> = (0..45).map(|n| morning(n / 9 * 7_200 + n % 9)).collect();
        let chats = vec![chat(1, &long), chat(2, &[morning(0), morning(60)]), chat(3, &[morning(5)])];
        Memory { most: 20, ..Memory::of(chats) }
    };
    let begin = |data: &MemoryStorage| {
        let store = WatchedStorage::around(Arc::new(data.reopen()));
        let house = House::on(store.clone(), memory());
        let id = house.request();
        (store, house, id)
    };
    let work = |house: &House, store: &WatchedStorage| {
        for _ in 0..30 {
            house.world.clock.advance_seconds(1);
            block_on(house.world.crm.run_pending()).ok();
            if store.is_dead() {
                return;
            }
        }
    };
    let (store, undisturbed, id) = begin(&MemoryStorage::default());
    store.take_calls();
    work(&undisturbed, &store);
    let calls = store.take_calls();
    assert_eq!(undisturbed.import(&id)["totals"]["imported"], 48);
    let expected = undisturbed.picture();
    let commits: Vec<usize> = (1..=calls.len()).filter(|number| calls[number - 1] == "commit").collect();
    assert!(commits.len() > 10, "{} commits are no import", commits.len());
    for (number, side) in commits.iter().flat_map(|number| [(*number, Fault::Before), (*number, Fault::After)]) {
        let data = MemoryStorage::default();
        let (store, house, id) = begin(&data);
        store.die(number, side);
        work(&house, &store);
        assert!(store.is_dead(), "{side:?} call {number} never came");
        let house = house.succeeded_on(Arc::new(data.reopen()), 100);
        house.world.clock.advance_seconds(61);
        let import = house.finish(&id);
        let found = (&import["status"], &import["totals"]["imported"], &import["totals"]["messages_seen"]);
        assert_eq!(found, (&json!("completed"), &json!(48), &json!(48)), "{side:?} call {number}");
        assert_eq!(house.picture(), expected, "{side:?} call {number}");
        house.world.assert_log_matches();
    }
}
