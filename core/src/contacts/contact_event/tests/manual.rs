//! What hosts write down, and what contacts see of it.

use super::*;
use crate::engine::{StartAt, SubscribeOptions};

#[test]
fn case_4_a_hosts_entry_is_told_at_once_to_agents() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let entry = desk.record(&ana, "webhook_received", json!({"source": "webhook"}));
    assert_eq!((&entry["kind"], &entry["source"]), (&json!("manual"), &json!("webhook")));
    assert_eq!((&entry["is_realtime"], &entry["visible_to_client"]), (&json!(true), &json!(false)));
    assert_eq!(desk.log("contact_event.recorded").len(), 1);
    let listed = desk.only(&ana, "webhook_received");
    assert_eq!(listed["seq"], json!(desk.log("contact_event.recorded")[0].seq));
}

#[test]
fn case_5_types_are_words_and_those_of_the_log_are_taken() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let long = "x".repeat(101);
    for (event_type, code) in [
        ("", ErrorCode::EventTypeRequired),
        ("Page View", ErrorCode::EventTypeInvalid),
        ("1st", ErrorCode::EventTypeInvalid),
        (long.as_str(), ErrorCode::EventTypeInvalid),
        ("tag_added", ErrorCode::EventTypeReserved),
        ("note_added", ErrorCode::EventTypeReserved),
        ("form_submitted", ErrorCode::EventTypeReserved),
    ] {
        let input = json!({"contact_id": ana, "event_type": event_type, "category": "general"});
        assert_eq!(desk.refused("timeline.record", input), code, "{event_type}");
    }
}

#[test]
fn case_6_closed_words_are_closed() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    for (field, word) in [("category", "sales"), ("priority", "critical"), ("source", "cron")] {
        let mut input = json!({"contact_id": ana, "event_type": "x", "category": "general"});
        input[field] = json!(word);
        assert_eq!(desk.refused("timeline.record", input), ErrorCode::EnumUnknown, "{field}");
    }
}

#[test]
fn case_7_an_entry_lies_in_the_past_and_expires_in_the_future() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let input = |field: &str, at: &str| {
        let mut input = json!({"contact_id": ana, "event_type": "x", "category": "general"});
        input[field] = json!(at);
        input
    };
    assert_eq!(
        desk.refused("timeline.record", input("expires_at", "2025-01-06T08:59:59Z")),
        ErrorCode::ExpiresAtInPast
    );
    assert_eq!(
        desk.refused("timeline.record", input("occurred_at", "2025-01-06T10:00:00Z")),
        ErrorCode::TimestampInFuture
    );
    desk.call("timeline.record", input("occurred_at", "2023-01-06T09:00:00Z"));
    assert_eq!(desk.entries(&ana).last().unwrap()["event_type"], "x");
}

#[test]
fn case_8_what_is_too_large_is_refused() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let with = |field: &str, value: Value| {
        let mut input = json!({"contact_id": ana, "event_type": "x", "category": "general"});
        input[field] = value;
        input
    };
    let blob = |kib: usize| json!({"x": "y".repeat(kib * 1024)});
    assert_eq!(desk.refused("timeline.record", with("payload", blob(17))), ErrorCode::JsonTooLarge);
    assert_eq!(desk.refused("timeline.record", with("metadata", blob(9))), ErrorCode::JsonTooLarge);
    assert_eq!(desk.refused("timeline.record", with("title", json!("x".repeat(256)))), ErrorCode::TextTooLong);
    let entry = desk.call("timeline.record", with("title", json!("a\u{7}b\tc")));
    assert_eq!(entry["title"], "ab\tc");
}

#[test]
fn case_14_what_was_read_was_delivered_and_is_read_once() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let more = json!({"visible_to_client": true, "expires_at": "2025-01-07T09:00:00Z"});
    let first = desk.record(&ana, "notification_sent", more.clone());
    let second = desk.record(&ana, "notification_sent", more);
    let ids = json!({"ids": [first["id"], second["id"], first["id"]]});
    desk.call("timeline.mark_delivered", json!({"ids": [first["id"]]}));
    assert_eq!(desk.call("timeline.mark_read", ids.clone())["marked"], 2);
    for id in [&first["id"], &second["id"]] {
        let entry = desk.call("timeline.get", json!({"id": id}));
        assert_eq!((&entry["delivered"], &entry["read"]), (&json!(true), &json!(true)));
    }
    assert_eq!(desk.call("timeline.mark_read", ids)["marked"], 0);
    assert_eq!((desk.log("contact_event.read").len(), desk.log("contact_event.delivered").len()), (1, 1));
    desk.world.assert_log_matches();
}

#[test]
fn everything_that_a_contact_sees_is_read_up_to_a_number() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let shown = json!({"visible_to_client": true});
    let first = desk.record(&ana, "notification_sent", shown.clone());
    desk.record(&ana, "notification_sent", json!({}));
    let middle = desk.log("contact_event.recorded")[1].seq;
    let last = desk.record(&ana, "notification_sent", shown);
    let up_to = json!({"contact_id": ana, "up_to_seq": middle});
    assert_eq!(desk.call("timeline.mark_read", up_to), json!({"marked": 1, "has_more": false}));
    assert_eq!(desk.call("timeline.get", json!({"id": first["id"]}))["read"], true);
    assert_eq!(desk.call("timeline.get", json!({"id": last["id"]}))["read"], false);
    assert_eq!(desk.call("timeline.mark_read", json!({"contact_id": ana}))["marked"], 1);
    assert_eq!(desk.refused("timeline.mark_read", json!({})), ErrorCode::FieldRequired);
}

#[test]
fn case_15_what_a_contact_does_not_see_it_has_not_read() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let hidden = desk.entries(&ana)[0]["id"].clone();
    for operation in ["timeline.mark_read", "timeline.mark_delivered"] {
        assert_eq!(desk.refused(operation, json!({"ids": [hidden]})), ErrorCode::NotVisibleToClient);
    }
    let many: Vec<Value> = vec![hidden; 501];
    assert_eq!(desk.refused("timeline.mark_read", json!({"ids": many})), ErrorCode::LimitOutOfRange);
}

#[test]
fn case_16_what_expired_is_shown_to_nobody_and_gone_a_week_later() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let more = json!({"expires_at": "2025-01-06T09:01:00Z", "title": "Sale", "visible_to_client": true});
    let entry = desk.record(&ana, "offer", more);
    desk.world.clock.advance_seconds(120);
    assert_eq!(desk.of_type(&ana, "offer"), Vec::<Value>::new());
    assert_eq!(desk.refused("timeline.mark_read", json!({"ids": [entry["id"]]})), ErrorCode::NotVisibleToClient);
    for _ in 0..7 {
        desk.pending();
        desk.world.clock.advance_seconds(24 * 3600);
    }
    assert!(desk.rows().iter().any(|(_, state)| state.contains("Sale")), "it is kept for a week");
    desk.pending();
    desk.world.clock.advance_seconds(24 * 3600);
    desk.pending();
    assert!(!desk.rows().iter().any(|(_, state)| state.contains("Sale")));
    assert_eq!(desk.log("contact_event.purged").len(), 1);
    let jobs = desk.call("jobs.list", json!({"states": ["scheduled"]}));
    assert_eq!(jobs["items"], json!([]), "nothing else expires");
    desk.world.assert_log_matches();
}

#[test]
fn case_17_what_follows_from_the_log_is_not_taken_away() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let id = desk.entries(&ana)[0]["id"].clone();
    assert_eq!(desk.refused("timeline.delete", json!({"id": id})), ErrorCode::EntryIsProjected);
    assert_eq!(desk.refused("timeline.update", json!({"id": id, "title": "x"})), ErrorCode::EntryIsProjected);
    let entry = desk.record(&ana, "offer", json!({}));
    desk.call("timeline.delete", json!({"id": entry["id"]}));
    assert_eq!(desk.of_type(&ana, "offer"), Vec::<Value>::new());
    assert_eq!(desk.refused("timeline.delete", json!({"id": entry["id"]})), ErrorCode::ContactEventNotFound);
}

#[test]
fn an_entry_changes_by_one_event_for_what_differs() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let entry = desk.record(&ana, "offer", json!({"title": "Sale", "description": "All shoes"}));
    let changed = desk.call(
        "timeline.update",
        json!({
            "id": entry["id"], "title": "Big sale", "description": null, "visible_to_client": true, "is_realtime": true,
            "expires_at": "2025-01-07T09:00:00Z",
        }),
    );
    assert_eq!((&changed["title"], &changed["description"]), (&json!("Big sale"), &json!(null)));
    assert_eq!((&changed["visible_to_client"], &changed["version"]), (&json!(true), &json!(2)));
    assert_eq!(changed["expires_at"], "2025-01-07T09:00:00.000000Z");
    let same = desk.call("timeline.update", json!({"id": entry["id"], "title": "Big sale"}));
    assert_eq!(same["version"], 2);
    desk.world.assert_log_matches();
}

#[test]
fn case_18_pages_of_a_category_miss_nothing() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    for number in 0..60 {
        desk.world.clock.advance_seconds(1);
        let category = if number % 6 == 0 { "tag" } else { "general" };
        desk.record(&ana, "seen", json!({"category": category, "payload": {"n": number}}));
    }
    let filter = json!({"field": "category", "op": "eq", "value": "tag"});
    let first = desk.call("timeline.list", json!({"filter": filter, "limit": 5}));
    let second = desk.call("timeline.list", json!({"filter": filter, "limit": 5, "cursor": first["next_cursor"]}));
    let numbers = |page: &Value| -> Vec<u64> {
        page["items"].as_array().unwrap().iter().map(|entry| entry["payload"]["n"].as_u64().unwrap()).collect()
    };
    assert_eq!([numbers(&first), numbers(&second)].concat(), (0..10).rev().map(|n| n * 6).collect::<Vec<_>>());
    assert_eq!(second["has_more"], false);
}

#[test]
fn case_19_entries_of_one_moment_come_in_the_order_of_the_log() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    for number in 0..9 {
        desk.record(&ana, "seen", json!({"payload": {"n": number}}));
        desk.call("contacts.add_tag", json!({"id": ana, "tag": format!("t{number}")}));
    }
    desk.pending();
    let (mut numbers, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = desk.call("timeline.list", json!({"limit": 4, "cursor": cursor}));
        numbers.extend(page["items"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(numbers.len(), 19);
    assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
}

#[test]
fn case_22_a_contact_of_nobody_has_no_timeline() {
    let desk = Desk::new();
    let input = json!({"contact_id": Uuid::from_u128(7), "event_type": "x", "category": "general"});
    assert_eq!(desk.refused("timeline.record", input), ErrorCode::ContactNotFound);
}

#[test]
fn case_25_a_key_makes_one_entry_for_ever() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let first = desk.record(&ana, "offer", json!({"dedup_key": "k1"}));
    desk.world.clock.advance_seconds(40 * 24 * 3600);
    let second = desk.record(&ana, "offer", json!({"dedup_key": "k1", "title": "Other"}));
    assert_eq!(first, second);
    assert_eq!(desk.log("contact_event.recorded").len(), 1);
}

#[test]
fn a_client_is_shown_what_is_meant_for_it() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    desk.record(&ana, "offer", json!({"visible_to_client": true, "visible_to_agent": false}));
    let client = desk.call("timeline.list", json!({"audience": "client"}));
    assert_eq!(client["items"][0]["event_type"], "offer");
    assert_eq!(client["items"].as_array().unwrap().len(), 1);
    assert_eq!(desk.call("timeline.count", json!({})), 1);
    assert_eq!(desk.call("timeline.count", json!({"audience": "client"})), 1);
}

#[test]
fn a_conversation_interleaves_and_its_pages_fit() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    for number in 0..7 {
        desk.world.clock.advance_seconds(1);
        desk.record(&ana, "seen", json!({"payload": {"n": number}}));
    }
    let (mut told, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = desk.call("timeline.conversation", json!({"contact_id": ana, "limit": 3, "cursor": cursor}));
        told.extend(page["items"].as_array().unwrap().clone());
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
        let bea = desk.contact("Bea");
        let other = json!({"contact_id": bea, "cursor": cursor});
        assert_eq!(desk.refused("timeline.conversation", other), ErrorCode::CursorMismatch);
    }
    let times: Vec<&str> = told.iter().map(|item| item["at"].as_str().unwrap()).collect();
    assert_eq!(told.len(), 8);
    assert!(times.is_sorted_by(|a, b| a >= b));
    let damaged = json!({"contact_id": ana, "cursor": "x"});
    assert_eq!(desk.refused("timeline.conversation", damaged), ErrorCode::CursorInvalid);
}

#[test]
fn case_20_whoever_listens_goes_on_where_it_stopped() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let options = || SubscribeOptions {
        events: vec!["contact_event.*".to_owned()],
        start: StartAt::Beginning,
        ..Default::default()
    };
    let listen = || block_on(desk.world.crm.subscribe(PROJECT, "mine", options())).unwrap();
    let types = |events: &[EventRecord]| -> Vec<Value> {
        events
            .iter()
            .map(|event| serde_json::from_str::<Value>(event.data.get()).unwrap()["event_type"].clone())
            .collect()
    };
    desk.record(&ana, "first", json!({}));
    desk.record(&ana, "second", json!({}));
    let mut reader = listen();
    let heard = block_on(reader.next(10)).unwrap();
    assert_eq!(types(&heard), ["first", "second"]);
    block_on(reader.ack(heard[1].seq)).unwrap();
    drop(reader);
    for event_type in ["third", "fourth", "fifth"] {
        desk.record(&ana, event_type, json!({}));
    }
    desk.world.clock.advance_seconds(120);
    let mut reader = listen();
    let heard = block_on(reader.next(10)).unwrap();
    assert_eq!(types(&heard), ["third", "fourth", "fifth"]);
    block_on(reader.ack(heard[2].seq)).unwrap();
    assert!(block_on(reader.next(10)).unwrap().is_empty());
}

#[test]
fn case_24_an_erased_contact_leaves_entries_without_its_name() {
    let desk = Desk::new();
    let ana = desk.contact("Ana Lima");
    desk.call("contacts.update", json!({"id": ana, "name": "Ana Prado"}));
    desk.call("contacts.add_tag", json!({"id": ana, "tag": "vip"}));
    desk.record(&ana, "offer", json!({"title": "For Ana Prado", "payload": {"to": "Ana Prado"}}));
    desk.pending();
    let counts = || {
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for (_, state) in desk.rows() {
            let entry: Value = serde_json::from_str(&state).unwrap();
            *counts.entry(entry["event_type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    };
    let holds_name = || desk.rows().iter().any(|(_, state)| state.contains("Lima") || state.contains("Prado"));
    let before = counts();
    assert!(holds_name());
    assert_eq!(before.values().sum::<usize>(), 4, "{before:?}");
    desk.call("contacts.erase", json!({"id": ana, "confirm": ana, "legal_basis": "gdpr_art17"}));
    desk.pending();
    assert_eq!(counts(), before);
    assert!(!holds_name(), "{:#?}", desk.rows());
    desk.world.assert_log_matches();
}
