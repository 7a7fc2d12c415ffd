//! The handle as a binding uses it: calls, submitted calls, deliveries, defects and the end.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use ventros_ffi::{Delivery, Engine, Failure, ManualClock, Settled};

const START: i64 = 1_760_000_000_000_000;

fn engine() -> Engine {
    open(":memory:", br#"{"background": false}"#).unwrap()
}

fn open(location: &str, options: &[u8]) -> Result<Engine, Failure> {
    Engine::open(location, options, Some(Arc::new(ManualClock::new(START))))
}

fn call(engine: &Engine, operation: &str, input: &Value, context: &Value) -> Value {
    let (input, context) = (input.to_string(), context.to_string());
    serde_json::from_str(&engine.call(operation, input.as_bytes(), context.as_bytes(), &mut || false)).unwrap()
}

#[track_caller]
fn ok(engine: &Engine, operation: &str, input: &Value, context: &Value) -> Value {
    let mut answer = call(engine, operation, input, context);
    assert!(answer.get("error").is_none(), "{operation}: {answer}");
    answer["ok"].take()
}

#[track_caller]
fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_else(|| panic!("not an error: {answer}"))
}

/// A project, as the context of its calls.
fn shop(engine: &Engine) -> Value {
    let project = ok(engine, "projects.create", &json!({"name": "Acme", "default_region": "BR"}), &json!({}));
    json!({"project_id": project["id"]})
}

fn contact(engine: &Engine, shop: &Value, name: &str) -> Value {
    ok(engine, "contacts.create", &json!({"name": name}), shop)
}

fn work(engine: &Engine) -> Value {
    ok(engine, "engine.run_pending", &json!({}), &json!({}))
}

/// The names in the only delivery of events, which must be `kind`.
#[track_caller]
fn names(engine: &Engine, settled: Vec<Settled>, kind: &str) -> Vec<String> {
    let mut deliveries = engine.drain(settled).unwrap();
    assert!(deliveries.len() <= 1, "{deliveries:?}");
    let events = match (deliveries.pop(), kind) {
        (None, _) => return Vec::new(),
        (Some(Delivery::Live { token: 7, events }), "live") => events,
        (Some(Delivery::Durable { token: 7, events }), "durable") => events,
        (Some(other), _) => panic!("{other:?}"),
    };
    let events: Vec<Value> = serde_json::from_str(&events).unwrap();
    events.iter().map(|event| event["data"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_answer_is_an_output_or_an_error_with_its_field() {
    let engine = engine();
    let shop = shop(&engine);
    let ana = contact(&engine, &shop, "Ana");
    assert_eq!(ana["created_at"], "2025-10-09T08:53:20.000000Z");
    let wrong = json!({"id": ana["id"], "email": "no address"});
    let refused = call(&engine, "contacts.update", &wrong, &shop);
    assert_eq!((code(&refused), &refused["error"]["field"]), ("email_invalid", &json!("email")));
    assert_eq!(code(&call(&engine, "contacts.fly", &json!({}), &shop)), "operation_unknown");
    assert_eq!(code(&call(&engine, "contacts.create", &json!({}), &json!({"colour": 1}))), "unknown_field");
}

#[test]
fn a_seed_wants_a_manual_clock_and_repeats_every_id() {
    let seeded = || open(":memory:", br#"{"background": false, "seed": 7}"#).unwrap();
    let acme = shop(&seeded());
    assert_eq!(acme, shop(&seeded()));
    assert_ne!(acme, shop(&engine()));
    let refused = Engine::open(":memory:", br#"{"seed": 7}"#, None).err().unwrap();
    assert_eq!((refused.0.code().as_str(), refused.0.field()), ("input_invalid", Some("seed")));
}

#[test]
fn what_is_no_json_is_an_error_of_the_input() {
    let engine = engine();
    for bytes in [&b"{"[..], b"", b"[]", b"\xff\xfe", b"null"] {
        let answer = engine.call("projects.create", bytes, b"", &mut || false);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["kind"], "validation", "{bytes:?}: {answer}");
    }
}

#[test]
fn a_location_that_is_no_place_is_refused() {
    for location in ["", "sqlite:///", "http://example.com/db", "mysql://x"] {
        assert_eq!(open(location, b"{}").err().unwrap().0.field(), Some("location"), "{location}");
    }
    assert!(open(":memory:", br#"{"backgrund": true}"#).is_err());
}

#[test]
fn a_server_that_does_not_answer_is_told_without_its_address() {
    for (location, reason) in [
        ("postgresql://ana:geheim@127.0.0.1:1/crm", "unreachable"),
        ("postgres://ana:geheim@nowhere.invalid/crm?sslmode=disable", "unreachable"),
    ] {
        let refused = open(location, b"{}").err().unwrap().0;
        assert_eq!((refused.code().as_str(), refused.details()["reason"].as_str()), ("unavailable", Some(reason)));
        let told = serde_json::to_string(&refused).unwrap();
        assert!(!told.contains("geheim") && !told.contains("ana") && !told.contains("127.0.0.1"), "{told}");
    }
    let refused = open("postgresql://ana:geheim@127.0.0.1/crm?sslmode=geheim", b"{}").err().unwrap().0;
    assert_eq!((refused.code().as_str(), refused.field()), ("input_invalid", Some("location")));
    assert!(!serde_json::to_string(&refused).unwrap().contains("geheim"));
}

#[test]
fn several_commands_are_one_commit() {
    let engine = engine();
    let shop = shop(&engine);
    let step = |name: &str| json!({"operation": "contacts.create", "input": {"name": name}});
    let both = ok(&engine, "engine.transact", &json!({"commands": [step("Ana"), step("Bob")]}), &shop);
    assert_eq!(both.as_array().unwrap().len(), 2);
    let failed = call(&engine, "engine.transact", &json!({"commands": [step("Cid"), step(&"x".repeat(999))]}), &shop);
    assert!(failed["error"]["field"].as_str().unwrap().starts_with("[1].input"), "{failed}");
    let page = ok(&engine, "contacts.list", &json!({}), &shop);
    assert_eq!(page["items"].as_array().unwrap().len(), 2, "nothing of the failed one is kept");
}

#[test]
fn a_submitted_call_rings_and_is_delivered() {
    let engine = engine();
    let rings = Arc::new(AtomicUsize::new(0));
    let counter = rings.clone();
    engine.set_bell(Arc::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    }));
    engine.submit(3, "projects.create".into(), br#"{"name": "Acme"}"#.to_vec(), Vec::new()).unwrap();
    assert!(engine.listen());
    let deliveries = engine.drain([]).unwrap();
    let [Delivery::Completed { token: 3, result }] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    assert!(result.starts_with(r#"{"ok":"#), "{result}");
    assert!(rings.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_cancelled_call_is_not_delivered() {
    let engine = engine();
    engine.submit(4, "engine.sleep".into(), Vec::new(), Vec::new()).unwrap();
    engine.cancel(4);
    engine.cancel(4);
    engine.submit(5, "projects.create".into(), br#"{"name": "Acme"}"#.to_vec(), Vec::new()).unwrap();
    assert!(engine.listen());
    let tokens: Vec<u64> = engine.drain([]).unwrap().iter().map(Delivery::token).collect();
    assert_eq!(tokens, [5]);
}

#[test]
fn a_waiting_call_can_be_interrupted() {
    let engine = engine();
    let answer = engine.call("engine.sleep", b"", b"", &mut || true);
    assert_eq!(code(&serde_json::from_str(&answer).unwrap()), "cancelled");
}

#[test]
fn a_panic_is_an_internal_error_and_the_engine_goes_on() {
    let engine = engine();
    assert_eq!(code(&call(&engine, "engine.panic", &json!({}), &json!({}))), "internal");
    shop(&engine);
}

#[test]
fn live_events_come_once_and_from_now_on() {
    let engine = engine();
    let shop = shop(&engine);
    contact(&engine, &shop, "before");
    let wanted = json!({"kind": "live", "project_id": shop["project_id"], "events": ["contact.created"]});
    engine.subscribe(7, wanted.to_string().as_bytes()).unwrap();
    contact(&engine, &shop, "after");
    assert_eq!(work(&engine)["delivered"], 1);
    assert_eq!(names(&engine, vec![], "live"), ["after"]);
    contact(&engine, &shop, "later");
    work(&engine);
    assert_eq!(names(&engine, vec![], "live"), Vec::<String>::new(), "nothing more before an answer");
    let settled = || vec![Settled { token: 7, done: 0, error: None }];
    names(&engine, settled(), "live");
    work(&engine);
    assert_eq!(names(&engine, vec![], "live"), ["later"]);
    names(&engine, settled(), "live");
    work(&engine);
    assert_eq!(names(&engine, vec![], "live"), Vec::<String>::new());
}

#[test]
fn what_is_settled_before_a_subscription_ends_counts() {
    let engine = engine();
    let shop = shop(&engine);
    let wanted = json!({"kind": "durable", "project_id": shop["project_id"], "name": "audit",
        "events": ["contact.created"], "start": {"type": "start"}});
    engine.subscribe(7, wanted.to_string().as_bytes()).unwrap();
    contact(&engine, &shop, "Ana");
    contact(&engine, &shop, "Bob");
    work(&engine);
    assert_eq!(names(&engine, vec![], "durable"), ["Ana", "Bob"]);
    names(&engine, vec![Settled { token: 7, done: 1, error: None }], "durable");
    engine.cancel(7);
    engine.subscribe(7, wanted.to_string().as_bytes()).unwrap();
    work(&engine);
    assert_eq!(names(&engine, vec![], "durable"), ["Bob"]);
}

#[test]
fn durable_events_come_until_they_are_settled() {
    let folder = std::env::temp_dir().join(format!("ventros-ffi-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("crm.db");
    let location = path.to_str().unwrap();
    let options = br#"{"background": false}"#;
    let engine = open(location, options).unwrap();
    let shop = shop(&engine);
    let wanted = json!({"kind": "durable", "project_id": shop["project_id"], "name": "audit",
        "events": ["contact.created"], "start": {"type": "start"}});
    engine.subscribe(7, wanted.to_string().as_bytes()).unwrap();
    contact(&engine, &shop, "Ana");
    contact(&engine, &shop, "Bob");
    work(&engine);
    assert_eq!(names(&engine, vec![], "durable"), ["Ana", "Bob"]);
    work(&engine);
    assert_eq!(names(&engine, vec![], "durable"), Vec::<String>::new(), "nothing more before an answer");
    let first = Settled { token: 7, done: 1, error: None };
    assert_eq!(names(&engine, vec![first], "durable"), Vec::<String>::new());
    engine.close();

    let engine = open(location, options).unwrap();
    engine.subscribe(7, wanted.to_string().as_bytes()).unwrap();
    work(&engine);
    assert_eq!(names(&engine, vec![], "durable"), ["Bob"], "what was settled before the end is not repeated");
    engine.close();
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn after_the_end_everything_says_closed() {
    let engine = engine();
    engine.submit(4, "engine.sleep".into(), Vec::new(), Vec::new()).unwrap();
    engine.close();
    engine.close();
    let deliveries = engine.drain([]).unwrap();
    let [Delivery::Completed { token: 4, result }] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    assert_eq!(code(&serde_json::from_str(result).unwrap()), "closed");
    assert_eq!(code(&call(&engine, "projects.list", &json!({}), &json!({}))), "closed");
    assert!(engine.submit(5, "projects.list".into(), Vec::new(), Vec::new()).is_err());
    assert!(engine.subscribe(6, b"{}").is_err());
    assert!(!engine.listen());
}
