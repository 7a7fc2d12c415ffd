//! Many deliveries to a receiver that fails, hangs and refuses connections: all arrive, in order per aggregate.

use super::*;
use std::collections::BTreeMap;

const CONTACTS: usize = 30;
const EVENTS: usize = 300;

#[test]
fn a_receiver_that_fails_three_times_in_ten_gets_everything_in_order() {
    let house = House::new();
    house.webhook(json!({"event_types": ["custom.*", "contact.*"], "rate_per_second": 100, "concurrency": 20, "max_attempts": 20}));
    let contacts: Vec<Value> = (0..CONTACTS).map(|n| house.contact(&format!("Ana {n}"))["id"].clone()).collect();
    for number in 0..EVENTS - CONTACTS {
        let (contact, tag) = (&contacts[number % CONTACTS], format!("t{}", number / CONTACTS));
        house.call("contacts.add_tag", json!({"id": contact, "tag": tag}));
    }
    let taken: Arc<Mutex<BTreeMap<String, Vec<String>>>> = Arc::default();
    let accepted = taken.clone();
    let mut state = 1u64;
    house.receiver.answers(move |request, _| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match (state >> 33) % 10 {
            0 => return Ok(HttpResponse::new(500, "")),
            1 => return Err(HttpFailure::Timeout { was_sent: true }),
            2 => return Err(HttpFailure::Connect),
            _ => {}
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let (key, sequence) = (body["partitionkey"].as_str().unwrap(), body["sequence"].as_str().unwrap());
        accepted.lock().unwrap().entry(key.to_owned()).or_default().push(sequence.to_owned());
        Ok(HttpResponse::new(200, ""))
    });
    house.run_for(24 * 3600);
    let taken = taken.lock().unwrap();
    assert_eq!((taken.len(), taken.values().map(Vec::len).sum::<usize>()), (CONTACTS, EVENTS));
    for (contact, sequences) in taken.iter() {
        assert!(sequences.is_sorted_by(|a, b| a < b), "{contact}: {sequences:?}");
    }
    assert!(house.receiver.count() > EVENTS * 13 / 10);
    assert!(house.statuses().iter().all(|status| *status == DeliveryStatus::Succeeded));
}
