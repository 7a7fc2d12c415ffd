//! What is posted.

use super::*;
use crate::engine::CloudEvents;
use crate::integration::webhook::{BodyMode, body};

#[test]
fn case_33_a_body_is_a_cloud_event() {
    let house = House::new();
    house.webhook(json!({}));
    let contact = house.contact("Ana");
    house.run();
    let (_, body) = house.receiver.last();
    assert_eq!(body["specversion"], "1.0");
    assert_eq!(body["type"], "io.ventros.contact.created.v1");
    assert_eq!(body["subject"], format!("contact/{}", contact["id"].as_str().unwrap()));
    assert_eq!(body["source"], format!("urn:ventros:project:{PROJECT}"));
    assert_eq!(body["sequence"].as_str().unwrap().len(), 20);
    assert_eq!(body["data"]["name"], "Ana");
    assert_eq!((body.get("test"), body.get("thin")), (None, None));
    let details = house.call("webhooks.get_delivery", json!({"id": house.delivery().id}));
    assert_eq!(details["body"], body);
}

#[test]
fn thin_bodies_have_no_data() {
    let house = House::new();
    house.webhook(json!({"body_mode": "thin"}));
    house.contact("Ana");
    house.run();
    let (_, body) = house.receiver.last();
    assert_eq!((body.get("data"), &body["thin"]), (None, &json!(true)));
    assert!(!body.to_string().contains("Ana"));
}

fn first_event(house: &House) -> EventRecord {
    let query = EventQuery { types: vec!["contact.created".to_owned()], limit: 1, ..EventQuery::default() };
    block_on(house.world.crm.core().storage().events(Scope::Project(house.project.id()), &query)).unwrap().remove(0)
}

#[test]
fn case_28_a_body_that_is_too_long_goes_without_its_data() {
    let house = House::new();
    house.contact("Ana");
    let mut event = first_event(&house);
    let render = |event: &EventRecord| {
        body::render(CloudEvents::default().write(event).unwrap(), BodyMode::Full, false).unwrap()
    };
    let of = |length: usize| serde_json::value::to_raw_value(&json!({"text": "x".repeat(length)})).unwrap();
    event.data = of(10);
    let frame = render(&event).len() - 10;
    event.data = of(body::MAX_BODY - frame);
    assert_eq!(render(&event).len(), body::MAX_BODY);
    event.data = of(body::MAX_BODY - frame + 1);
    let thin: Value = serde_json::from_slice(&render(&event)).unwrap();
    assert_eq!((thin.get("data"), &thin["thin"]), (None, &json!(true)));
}

#[test]
fn case_30_the_same_event_gives_the_same_bytes() {
    let house = House::new();
    house.webhook(json!({}));
    house.receiver.answers(|_, n| Ok(HttpResponse::new(if n == 1 { 500 } else { 200 }, "")));
    house.contact("Ana");
    house.run();
    let first = house.delivery().body_sha256;
    house.run_for(60);
    assert_eq!((house.delivery().body_sha256 == first, first.is_some_and(|hash| hash.len() == 64)), (true, true));
    let taken = house.receiver.taken.lock().unwrap();
    assert_eq!(taken[0].body, taken[1].body);
    assert_eq!(house.delivery().body_size, Some(taken[0].body.len() as u64));
}

#[test]
fn references_to_secrets_are_not_sent() {
    let house = House::new();
    house.contact("Ana");
    let mut event = first_event(&house);
    let secret = json!({"secret_id": "0194f5e6-0000-7000-8000-000000000001", "revision": 3});
    let data = json!({"type": "x", "key": secret, "deep": [{"secrets": {"token": {"secret": secret, "hint": "1234"}}}, secret], "revision": 1});
    event.data = serde_json::value::to_raw_value(&data).unwrap();
    let bytes = body::render(CloudEvents::default().write(&event).unwrap(), BodyMode::Full, false).unwrap();
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(body["data"], json!({"type": "x", "deep": [{"secrets": {"token": {"hint": "1234"}}}], "revision": 1}));
}
