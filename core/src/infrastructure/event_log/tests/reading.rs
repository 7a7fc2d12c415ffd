//! Free events, filters, counts, and the order in which everything is read.

use super::super::filter::EventFilter;
use super::*;
use crate::storage::FilterExpression;
use proptest::prelude::*;

#[test]
fn case_11_hosts_record_events_of_their_own() {
    let desk = Desk::new();
    let ana = desk.call("contacts.create", json!({"name": "Ana"}));
    let known = desk.refused("events.record", json!({"type": "contact.created"}));
    assert_eq!(known, (ErrorCode::EventTypeUnknown, "type".to_owned()));
    for name in ["custom", "custom.", "custom.A", "custom.a.b.c.d", "custom.1a", "customs.a"] {
        assert_eq!(desk.refused("events.record", json!({"type": name})).0, ErrorCode::EventTypeUnknown, "{name}");
    }
    let input = json!({"type": "custom.page_view", "data": {"page": "/p"}, "occurred_at": "2025-01-05T09:00:00Z",
        "subjects": [{"kind": "contact", "id": ana["id"]}, {"kind": "contact", "id": ana["id"]}]});
    let made = desk.call("events.record", input);
    let event = desk.call("events.get", json!({"id": made["id"]}));
    assert_eq!(event["data"], json!({"type": "custom.page_view", "page": "/p"}));
    assert_eq!((&event["source"], &event["command"]), (&json!("api"), &json!("events.record")));
    assert_eq!(event["occurred_at"], "2025-01-05T09:00:00.000000Z");
    assert_eq!(event["recorded_at"], "2025-01-06T09:00:00.000000Z");
    assert_eq!(event["subjects"].as_array().map(Vec::len), Some(2), "itself and the contact, once");
    assert_eq!(event["aggregate_kind"], "custom");
    let made = desk.call("events.record", json!({"type": "custom.nightly", "source": "cron"}));
    assert_eq!(desk.call("events.get", json!({"id": made["id"]}))["source"], "cron");
    desk.world.assert_log_matches();
}

#[test]
fn case_12_a_subject_of_another_project_does_not_exist() {
    let desk = Desk::new();
    let ana = desk.attempt_in(&desk.other, "contacts.create", &json!({"name": "Ana"})).expect("created");
    let about = |id: &Value| json!({"type": "custom.seen", "subjects": [{"kind": "contact", "id": id}]});
    let foreign = desk.refused("events.record", about(&ana["id"]));
    assert_eq!(foreign, desk.refused("events.record", about(&json!(Uuid::from_u128(7)))));
    assert_eq!(foreign, (ErrorCode::ContactNotFound, "subjects[0].id".to_owned()));
    let theirs = desk.attempt_in(&desk.other, "events.list", &json!({"sort": ["-seq"]})).expect("a list");
    let id = &theirs["items"][0]["id"];
    assert_eq!(desk.refused("events.get", json!({"id": id})).0, ErrorCode::EventNotFound);
    let correlation = &theirs["items"][0]["correlation_id"];
    assert_eq!(desk.call("events.trace", json!({"correlation_id": correlation}))["steps"], json!([]));
}

#[test]
fn case_13_events_have_a_size() {
    let desk = Desk::new();
    let record = |data: Value| desk.refused("events.record", json!({"type": "custom.big", "data": data}));
    assert_eq!(record(json!({"text": "x".repeat(300 * 1024)})).0, ErrorCode::EventTooLarge);
    let deep = (0..8).fold(json!({}), |inner, _| json!({"a": inner}));
    assert_eq!(record(deep), (ErrorCode::JsonTooDeep, "data".to_owned()));
    for data in [json!({"type": "x"}), json!({"a": {"$redacted": "name"}}), json!({"a b": 1})] {
        assert_eq!(record(data), (ErrorCode::JsonKeyInvalid, "data".to_owned()));
    }
    let subject = json!({"kind": "contact", "id": Uuid::from_u128(7)});
    let crowd = json!({"type": "custom.big", "subjects": vec![subject; 21]});
    assert_eq!(desk.refused("events.record", crowd), (ErrorCode::BatchTooLarge, "subjects".to_owned()));
    assert_eq!(desk.log().iter().filter(|event| event.event_type.starts_with("custom.")).count(), 0);
}

#[test]
fn case_25_what_happens_later_has_not_happened() {
    let desk = Desk::new();
    let at = |time: &str| json!({"type": "custom.planned", "occurred_at": time});
    let refused = desk.refused("events.record", at("2025-01-06T10:00:00Z"));
    assert_eq!(refused, (ErrorCode::TimestampInFuture, "occurred_at".to_owned()));
    desk.call("events.record", at("2025-01-06T09:05:00Z"));
}

#[test]
fn case_21_a_page_has_a_limit() {
    let desk = Desk::new();
    for limit in [0, 501, 100_000] {
        let refused = desk.refused("events.list", json!({"limit": limit}));
        assert_eq!(refused, (ErrorCode::LimitOutOfRange, "limit".to_owned()));
    }
    for sort in [json!(["type"]), json!(["seq", "-seq"])] {
        assert_eq!(desk.refused("events.list", json!({"sort": sort})).0, ErrorCode::SortFieldUnknown);
    }
    assert_eq!(desk.refused("events.list", json!({"cursor": "x"})), (ErrorCode::CursorInvalid, "cursor".to_owned()));
    for field in ["created_at", "version", "data.page"] {
        let filter = json!({"field": field, "op": "is_null"});
        assert_eq!(desk.refused("events.list", json!({"filter": filter})).0, ErrorCode::FilterFieldUnknown);
    }
}

#[test]
fn case_22_pages_of_one_family_stay_valid_while_the_log_grows() {
    let desk = Desk::new();
    let ana = desk.call("contacts.create", json!({"name": "Ana"}));
    for tag in ["a", "b", "c"] {
        desk.call("contacts.add_tag", json!({"id": ana["id"], "tag": tag}));
    }
    desk.call("events.record", json!({"type": "custom.a"}));
    let family = json!({"field": "type", "op": "starts_with", "value": "contact."});
    let expected: Vec<u64> =
        desk.log().iter().filter(|event| event.event_type.starts_with("contact.")).map(|event| event.seq).collect();
    let first = desk.call("events.list", json!({"filter": family, "limit": 2}));
    desk.call("contacts.add_tag", json!({"id": ana["id"], "tag": "d"}));
    let rest = desk.numbers(&json!({"filter": family, "limit": 1, "cursor": first["next_cursor"]}));
    let first: Vec<u64> = first["items"].as_array().expect("a list").iter().filter_map(|e| e["seq"].as_u64()).collect();
    let added = desk.log().last().expect("an event").seq;
    assert_eq!([first, rest].concat(), [expected, vec![added]].concat());
}

#[test]
fn events_are_counted_by_type_source_and_day() {
    let desk = Desk::new();
    desk.call("events.record", json!({"type": "custom.a"}));
    desk.call("events.record", json!({"type": "custom.b", "source": "cron"}));
    desk.world.clock.advance_seconds(24 * 3600);
    desk.call("events.record", json!({"type": "custom.a"}));
    let custom = json!({"field": "type", "op": "starts_with", "value": "custom."});
    let count = |by: &str| desk.call("events.count", json!({"filter": custom, "group_by": by}));
    let groups = |a: (&str, u64), b: (&str, u64)| json!({"total": 3, "groups": [{"key": a.0, "count": a.1}, {"key": b.0, "count": b.1}]});
    assert_eq!(count("type"), groups(("custom.a", 2), ("custom.b", 1)));
    assert_eq!(count("source"), groups(("api", 2), ("cron", 1)));
    assert_eq!(count("day"), groups(("2025-01-06", 2), ("2025-01-07", 1)));
    assert_eq!(desk.call("events.count", json!({})), json!({"total": desk.log().len(), "groups": []}));

    desk.world.clock.advance_seconds(400 * 24 * 3600);
    desk.call("events.record", json!({"type": "custom.a"}));
    assert_eq!(desk.refused("events.count", json!({})), (ErrorCode::ValueOutOfRange, "filter".to_owned()));
    let lately = json!({"field": "recorded_at", "op": "gte", "value": {"relative": "-1d"}});
    assert_eq!(desk.call("events.count", json!({"filter": lately}))["total"], 1);
}

#[test]
fn all_projects_are_read_in_the_order_of_their_commits() {
    let desk = Desk::new();
    desk.call("events.record", json!({"type": "custom.a"}));
    desk.attempt_in(&desk.other, "events.record", &json!({"type": "custom.b"})).expect("recorded");
    let system = crate::engine::Context::new(None, crate::kernel::ActorRef::system(crate::kernel::Component::Host));
    let (mut positions, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let input = json!({"limit": 3, "cursor": cursor}).to_string();
        let page = block_on(desk.world.crm.call("events.read_all", system.clone(), input.as_bytes())).expect("a page");
        let page: Value = serde_json::from_str(&page).expect("JSON");
        let items = page["items"].as_array().expect("a list").clone();
        positions.extend(items.iter().filter_map(|event| event["position"].as_u64()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            let last: Vec<&Value> = items.iter().map(|event| &event["project_id"]).collect();
            assert_eq!(last.last(), Some(&&json!(OTHER)));
            break;
        }
    }
    assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>());
    let stats = desk.call("events.stats", json!({}));
    assert_eq!((&stats["head"], &stats["first_seq"]), (&json!(desk.log().len()), &json!(1)));
}

/// A log with something of everything: two contacts, free events, reactions of the library, another day.
fn furnished() -> Desk {
    let desk = Desk::new();
    for name in ["Ana", "Bia"] {
        let contact = desk.call("contacts.create", json!({"name": name}));
        let about = json!([{"kind": "contact", "id": contact["id"]}]);
        for number in 0..4 {
            desk.call("contacts.add_tag", json!({"id": contact["id"], "tag": format!("t{number}")}));
            let source = if number % 2 == 0 { "cron" } else { "manual" };
            let at = format!("2025-01-0{}T08:00:00Z", 3 + number % 3);
            desk.call("events.record", json!({"type": format!("custom.n{}", number % 2), "source": source, "subjects": about, "occurred_at": at}));
            desk.world.clock.advance_seconds(3 * 3600);
        }
    }
    desk
}

/// A comparison that may hold of some events of the log, made of values that are in it.
fn comparison(log: &[EventRecord], field: usize, op: usize, event: usize) -> Value {
    let event = &log[event % log.len()];
    let subject = event.subjects.last().expect("a subject");
    let subject = format!("{}/{}", subject.kind, subject.id);
    let actor: Value = serde_json::from_str(event.actor.get()).expect("an actor");
    let pick = |ops: &[&str]| ops[op % ops.len()].to_owned();
    let ordered = ["eq", "ne", "gt", "gte", "lt", "lte"];
    let closed = ["eq", "ne", "in", "not_in"];
    let (field, op, value) = match field % 11 {
        0 => ("type", pick(&["eq", "ne", "in", "starts_with", "contains"]), json!(event.event_type)),
        1 => ("aggregate_kind", pick(&closed), json!(event.aggregate_kind)),
        2 => ("aggregate_id", pick(&closed), json!(event.aggregate_id)),
        3 => ("subject", pick(&["contains", "not_contains", "in", "eq"]), json!(subject)),
        4 => ("source", pick(&closed), json!(event.source)),
        5 => ("actor_kind", pick(&closed), actor["kind"].clone()),
        6 => ("command", pick(&["eq", "ne", "is_null"]), json!(event.command)),
        7 => ("correlation_id", pick(&closed), json!(event.correlation_id)),
        8 => ("occurred_at", pick(&ordered), json!(event.occurred_at)),
        9 => ("recorded_at", pick(&ordered), json!(event.recorded_at)),
        _ => ("seq", pick(&ordered), json!(event.seq)),
    };
    match op.as_str() {
        "is_null" => json!({"field": field, "op": op}),
        "in" | "not_in" => json!({"field": field, "op": op, "value": [value]}),
        _ if value.is_null() => json!({"field": field, "op": "is_null"}),
        _ => json!({"field": field, "op": op, "value": value}),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What the indexes leave out would not have been wanted, in either direction, whatever the pages.
    #[test]
    fn looking_up_and_looking_through_find_the_same(
        parts in prop::collection::vec((0usize..11, 0usize..6, 0usize..40), 1..4),
        group in 0u8..3,
        limit in 1u8..6,
        backward: bool,
    ) {
        thread_local!(static DESK: (Desk, Vec<EventRecord>) = { let desk = furnished(); let log = desk.log(); (desk, log) });
        DESK.with(|(desk, log)| {
            let parts: Vec<Value> = parts.iter().map(|(field, op, event)| comparison(log, *field, *op, *event)).collect();
            let filter = match group {
                0 => json!({"all": parts}),
                1 => json!({"any": parts}),
                _ => json!({"all": [parts[0], {"not": {"all": parts}}]}),
            };
            let expression: FilterExpression = serde_json::from_value(filter.clone()).expect("a filter");
            let storage = &**desk.world.crm.core().storage();
            let plain = EventFilter::new(storage, Scope::Project(PROJECT), 1_000, Some(&expression), desk.project_now());
            let plain = block_on(plain).expect("it fits the fields");
            let mut expected: Vec<u64> =
                log.iter().filter(|event| plain.matches(event).expect("readable")).map(|event| event.seq).collect();
            if backward {
                expected.reverse();
            }
            let sort = if backward { "-seq" } else { "seq" };
            prop_assert_eq!(desk.numbers(&json!({"filter": filter, "sort": [sort], "limit": limit})), expected.clone());
            let counted = desk.call("events.count", json!({"filter": filter}));
            prop_assert_eq!(counted["total"].as_u64(), Some(expected.len() as u64));
            Ok(())
        })?;
    }
}

impl Desk {
    fn project_now(&self) -> crate::kernel::Timestamp {
        use crate::kernel::Clock;
        self.world.clock.now()
    }
}
