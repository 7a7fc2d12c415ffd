//! Sending again.

use super::*;
use crate::kernel::ErrorCode as E;

#[test]
fn case_24_a_delivery_is_sent_again_with_its_id() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    house.contact("Ana");
    house.run();
    let first = house.delivery();
    let replayed = house.call("webhooks.replay", json!({"id": id, "delivery_ids": [first.id]}));
    assert_eq!(replayed["delivery_count"], 1);
    house.run();
    let again = house.delivery();
    assert_eq!((again.status, again.cycle, again.attempt_count, again.id), (DeliveryStatus::Succeeded, 2, 1, first.id));
    {
        let taken = house.receiver.taken.lock().unwrap();
        assert_eq!((taken.len(), header(&taken[0], "webhook-id")), (2, header(&taken[1], "webhook-id")));
    }
    let data: Value = serde_json::from_str(house.events().pop().unwrap().data.get()).unwrap();
    assert_eq!(
        (&data["type"], &data["delivery_count"], &data["cycle"]),
        (&json!("webhook.replayed"), &json!(1), &json!(2))
    );

    let unknown = json!({"id": id, "delivery_ids": ["0194f5e6-0000-7000-8000-000000000009"]});
    assert_eq!(house.refused("webhooks.replay", unknown).0, E::WebhookDeliveryNotFound);
    let other = house.webhook(json!({"name": "other", "active": false}))["id"].clone();
    house.run();
    assert_eq!(
        house.refused("webhooks.replay", json!({"id": other, "delivery_ids": [first.id]})).0,
        E::WebhookInactive
    );
    house.call("webhooks.activate", json!({"id": other}));
    let foreign = house.refused("webhooks.replay", json!({"id": other, "delivery_ids": [first.id]}));
    assert_eq!(foreign.0, E::WebhookDeliveryNotFound);
    let tested = house.call("webhooks.test", json!({"id": id}));
    let test = json!({"id": id, "delivery_ids": [tested["delivery_id"]]});
    assert_eq!(house.refused("webhooks.replay", test).0, E::WebhookDeliveryNotFound);
}

/// Case 19 of the outbox page.
#[test]
fn outbox_case_19_a_replay_is_refused_while_too_much_waits() {
    let store = Arc::new(MemoryStorage::default());
    let house = House::with(store, Guard::default(), |settings| settings.with_max_backlog(2));
    let id = house.webhook(json!({}))["id"].clone();
    ["Ana", "Bia", "Cid"].iter().for_each(|name| drop(house.contact(name)));
    house.run();
    let ids: Vec<_> = house.deliveries().iter().map(|delivery| delivery.id).collect();
    assert_eq!(house.refused("webhooks.replay", json!({"id": id, "delivery_ids": ids})).0, E::JobBacklogFull);
    let day = json!({"id": id, "from": "2025-01-06T00:00:00Z", "until": "2025-01-07T00:00:00Z"});
    house.world.clock.advance_seconds(60);
    assert_eq!(house.refused("webhooks.replay", day).0, E::JobBacklogFull);
    house.call("webhooks.replay", json!({"id": id, "delivery_ids": ids[..2]}));
}

#[test]
fn case_24_an_event_that_is_gone_cannot_be_sent_again() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    house.contact("Ana");
    house.run();
    // As if retention had removed it from the log.
    let mut orphan = house.delivery();
    orphan.event_id = crate::kernel::EventId::parse("0194f5e6-0000-7000-8000-000000000009").unwrap();
    orphan.id = WebhookDelivery::id_of(orphan.webhook_id, orphan.event_id.uuid());
    struct Add(WebhookDelivery);
    impl crate::engine::Decision<()> for Add {
        fn decide<'a>(
            &'a self,
            work: &'a mut crate::engine::UnitOfWork<'_>,
        ) -> futures_util::future::BoxFuture<'a, crate::kernel::Result<()>> {
            Box::pin(async move { work.put_row(crate::engine::Row::new(self.0.clone())).map(drop) })
        }
    }
    let delivery_id = orphan.id;
    block_on(house.world.crm.transaction(house.project.context(), None, &Add(orphan))).map(drop).unwrap();
    let refused = house.refused("webhooks.replay", json!({"id": id, "delivery_ids": [delivery_id]}));
    assert_eq!(refused.0, E::WebhookEventExpired);
}

#[test]
fn a_range_also_gives_what_was_never_delivered() {
    let house = House::new();
    let from = house.now();
    house.contact("before the webhook");
    house.world.clock.advance_seconds(10);
    let id = house.webhook(json!({}))["id"].clone();
    (0..3).for_each(|n| drop(house.contact(&format!("Ana {n}"))));
    house.receiver.answers(|_, n| Ok(HttpResponse::new(if n == 2 { 400 } else { 200 }, "")));
    house.run();
    house.world.clock.advance_seconds(10);
    let until = house.now();
    house.contact("after the range");
    house.run();
    assert_eq!(house.receiver.count(), 4);
    let failed = json!({"id": id, "from": from, "until": until, "status": "failed"});
    assert_eq!(house.call("webhooks.replay", failed)["delivery_count"], 1);
    house.run();
    assert_eq!(house.receiver.count(), 5);
    let tags = json!({"id": id, "from": from, "until": until, "event_types": ["contact.tag_added"]});
    assert_eq!(house.call("webhooks.replay", tags)["delivery_count"], 0);
    assert_eq!(house.call("webhooks.replay", json!({"id": id, "from": from, "until": until}))["delivery_count"], 4);
    house.run();
    assert_eq!((house.receiver.count(), house.deliveries().len()), (9, 5));

    let invalid = |more: Value| {
        let mut input = json!({"id": id});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        house.refused("webhooks.replay", input).0
    };
    assert_eq!(invalid(json!({})), E::WebhookRangeInvalid);
    assert_eq!(invalid(json!({"from": until, "until": from})), E::WebhookRangeInvalid);
    assert_eq!(invalid(json!({"from": from, "until": from.plus_seconds(8 * 24 * 3600)})), E::WebhookRangeInvalid);
    let ids: Vec<String> = (0..501)
        .map(|n| format!("0194f5e6-0000-7000-8000-{n:012}"))
        .map(|t| t.replace("-000000000000", "-000000009999"))
        .collect();
    assert_eq!(invalid(json!({"delivery_ids": ids})), E::BatchTooLarge);
}

#[test]
fn deliveries_in_figures() {
    let house = House::new();
    let id = house.webhook(json!({"event_types": ["contact.created"]}))["id"].clone();
    house.receiver.answers(|_, n| match n {
        1..=3 => Ok(HttpResponse::new(200, "")),
        4 => Ok(HttpResponse::new(404, "")),
        _ => Err(HttpFailure::Connect),
    });
    house.takes(1);
    (0..5).for_each(|n| drop(house.contact(&format!("Ana {n}"))));
    house.run();
    let stats = house.call("webhooks.stats", json!({"id": id}));
    assert_eq!(stats["by_status"], json!({"succeeded": 3, "failed": 1, "pending": 1}));
    assert_eq!(stats["by_answer"], json!({"200": 3, "404": 1, "connect": 1}));
    assert_eq!(
        (&stats["success_rate"], &stats["latency_p50_ms"], &stats["backlog"]),
        (&json!(0.75), &json!(1000), &json!(1))
    );
    assert!(stats["oldest_pending_at"].is_string());
    assert_eq!(house.refused("webhooks.stats", json!({"id": id, "window_seconds": 59})).0, E::ValueOutOfRange);
}
