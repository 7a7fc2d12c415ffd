//! Old deliveries are removed, in batches, and the newest of every webhook stay.

use super::*;
use crate::integration::webhook::expiry::{KEEP_LAST, KEEP_SECONDS};

const DAY: i64 = 24 * 3600;

/// Deliveries that ended just now.
fn delivered(house: &House, count: usize) {
    for number in 0..count {
        house.contact(&format!("Ana {number}"));
        if number % 50 == 49 {
            house.run_for(60);
        }
    }
    house.run_for(3600);
}

fn count(house: &House) -> usize {
    house.deliveries().len()
}

#[test]
fn deliveries_are_kept_for_thirty_days_and_the_last_hundred_for_longer() {
    let house = House::new();
    house.webhook(json!({"rate_per_second": 100}));
    delivered(&house, 130);
    let oldest = house.deliveries()[0].id;
    house.after(KEEP_SECONDS - DAY);
    assert_eq!(count(&house), 130);
    house.after(2 * DAY);
    assert_eq!(count(&house), KEEP_LAST);
    assert!(house.deliveries().iter().all(|delivery| delivery.id != oldest));
    let gone = house.refused("webhooks.get_delivery", json!({"id": oldest}));
    assert_eq!(gone.0, ErrorCode::WebhookDeliveryNotFound);
    // New ones push the old ones out, once a day.
    delivered(&house, 10);
    assert_eq!(count(&house), KEEP_LAST + 10);
    house.after(DAY);
    assert_eq!(count(&house), KEEP_LAST);
}

#[test]
fn more_than_a_batch_goes_in_one_go() {
    let house = House::new();
    house.webhook(json!({"rate_per_second": 100, "concurrency": 20}));
    delivered(&house, 1_150);
    house.after(KEEP_SECONDS + DAY);
    assert_eq!(count(&house), KEEP_LAST);
}

#[test]
fn what_is_not_settled_stays() {
    let house = House::new();
    house.webhook(json!({"max_attempts": 20, "rate_per_second": 100}));
    delivered(&house, 1);
    house.after(60);
    house.receiver.says(503);
    for number in 0..=KEEP_LAST {
        house.contact(&format!("Bia {number}"));
    }
    house.run();
    assert_eq!(house.statuses().iter().filter(|status| **status == DeliveryStatus::Pending).count(), KEEP_LAST + 1);
    // Nobody worked for a month.
    house.receiver.says(200);
    house.after(KEEP_SECONDS + DAY);
    house.run_for(3600);
    assert_eq!(house.statuses(), [DeliveryStatus::Succeeded; KEEP_LAST + 1]);
}

#[test]
fn a_deleted_webhook_leaves_nothing_when_its_time_is_over() {
    let house = House::new();
    let webhook = house.webhook(json!({}));
    delivered(&house, 3);
    house.call("webhooks.delete", json!({"id": webhook["id"]}));
    house.run();
    assert_eq!(count(&house), 3);
    house.after(KEEP_SECONDS + DAY);
    assert_eq!(count(&house), 0);
    // Nothing is left to look through.
    assert_eq!(block_on(house.world.crm.next_due()).unwrap(), None);
    house.after(90 * DAY);
}

#[test]
fn one_project_looks_through_its_own() {
    let house = House::new();
    let other = house.world.found(ProjectId::parse(OTHER).unwrap());
    let input = json!({"name": "N8N", "url": URL, "event_types": ["contact.*"]});
    let webhook = call(&other, "webhooks.create", input);
    call(&other, "contacts.create", json!({"name": "Bia"}));
    house.run();
    house.after(KEEP_SECONDS - 10);
    let mine = house.webhook(json!({}));
    house.contact("Ana");
    house.run();
    for (project, webhook) in [(&house.project, mine), (&other, webhook)] {
        call(project, "webhooks.delete", json!({"id": webhook["id"]}));
    }
    house.after(DAY);
    let left =
        |project: &Project| call(project, "webhooks.list_deliveries", json!({}))["items"].as_array().unwrap().len();
    assert_eq!((left(&house.project), left(&other)), (1, 0));
}
