//! From an event to its receiver: matching, attempts, retries, throttles, switching off, crashes, pauses.

use super::*;
use crate::http::HttpFailure as Failure;
use crate::integration::webhook::{AttemptErrorKind, WebhookEndpoint};

fn endpoint(house: &House, id: &Value) -> WebhookEndpoint {
    serde_json::from_value(house.call("webhooks.get", json!({"id": id}))["endpoint"].clone()).unwrap()
}

#[test]
fn case_08_patterns_choose_events() {
    let house = House::new();
    house.contact("too early");
    house.webhook(json!({"event_types": ["*"], "exclude_event_types": ["contact.updated", "session.*"]}));
    house.contact("Ana");
    house.run();
    assert_eq!(house.receiver.types(), ["contact.created"], "nothing of webhooks, nothing from before");
    let matched = |pattern: &str, event_type: &str| super::super::patterns::matches(pattern, event_type);
    for (pattern, event_type, expected) in [
        ("contact.*", "contact.merged", true),
        ("contact.*", "contact_event.created", false),
        ("contact.*", "contact", false),
        ("contact.*", "chat.created", false),
        ("channel.history_import.*", "channel.history_import.started", true),
        ("*", "webhook.created", false),
        ("*", "job.dead", false),
        ("job.dead", "job.dead", true),
        ("*", "dead_letter.parked", false),
        ("*", "custom.order_paid", true),
    ] {
        assert_eq!(matched(pattern, event_type), expected, "{pattern} {event_type}");
    }
}

#[test]
fn case_12_a_failure_is_tried_again_with_the_same_id() {
    let house = House::new();
    house.webhook(json!({}));
    house.receiver.answers(|_, n| Ok(HttpResponse::new(if n == 1 { 500 } else { 200 }, "no")));
    house.contact("Ana");
    house.run();
    let waits = house.delivery();
    let delay = waits.next_attempt_at.unwrap().micros() - house.now().micros();
    assert!((8_000_000..=12_000_000).contains(&delay), "{delay}");
    assert_eq!((waits.status, waits.attempt_count), (DeliveryStatus::Pending, 1));
    house.after(7);
    assert_eq!(house.receiver.count(), 1);
    house.after(5);
    let done = house.delivery();
    assert_eq!((done.status, done.attempt_count, done.next_attempt_at), (DeliveryStatus::Succeeded, 2, None));
    let told: Vec<_> = done.attempts.iter().map(|a| (a.n, a.status_code, a.response_excerpt.as_deref())).collect();
    assert_eq!(told, [(1, Some(500), Some("no")), (2, Some(200), Some("no"))]);
    let taken = house.receiver.taken.lock().unwrap();
    let of = |name: &str| [0, 1].map(|n: usize| header(&taken[n], name));
    let [first, second] = of("webhook-id");
    assert_eq!((first == second, first.starts_with("evt_"), first.len()), (true, true, 36));
    for name in ["webhook-timestamp", "webhook-signature"] {
        let [first, second] = of(name);
        assert_ne!(first, second, "{name}");
    }
    assert_eq!(header(&taken[0], "content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(header(&taken[0], "user-agent"), "Ventros-Webhook/1");
    assert_eq!((taken[0].max_response, taken[0].timeout.as_secs()), (4096, 15));
}

#[test]
fn case_13_attempts_are_used_up() {
    let house = House::new();
    house.webhook(json!({}));
    house.receiver.says(500);
    house.contact("Ana");
    house.run_for(30 * 3600);
    let given_up = house.delivery();
    assert_eq!((given_up.status, given_up.attempt_count, house.receiver.count()), (DeliveryStatus::Exhausted, 12, 12));
    let hours = (given_up.completed_at.unwrap().micros() - given_up.created_at.micros()) / 3_600_000_000;
    assert!((21..=33).contains(&hours), "{hours} hours");
    let event = house.events().pop().unwrap();
    let data: Value = serde_json::from_str(event.data.get()).unwrap();
    assert_eq!(event.event_type, "webhook.delivery.exhausted");
    assert_eq!(
        (&data["attempts"], &data["last_status_code"], &data["last_error"]),
        (&json!(12), &json!(500), &json!("status 500"))
    );

    let house = House::new();
    house.webhook(json!({"max_attempts": 1}));
    house.receiver.says(500);
    house.contact("Ana");
    house.run();
    assert_eq!(house.statuses(), [DeliveryStatus::Exhausted]);
    house.world.assert_log_matches();
}

#[test]
fn case_14_a_receiver_that_is_busy_is_left_alone() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    house.webhook(json!({"name": "other", "url": "https://other.example.com/"}));
    house.receiver.answers(|request, n| {
        let mut response = HttpResponse::new(if request.url == URL && n < 4 { 429 } else { 200 }, "");
        response.headers.push(("Retry-After".to_owned(), "120".to_owned()));
        Ok(response)
    });
    house.contact("Ana");
    house.run();
    let to = |house: &House| {
        let taken = house.receiver.taken.lock().unwrap();
        let to_n8n = taken.iter().filter(|request| request.url == URL).count();
        (to_n8n, taken.len() - to_n8n)
    };
    assert_eq!(to(&house), (1, 1));
    let ana = house.deliveries().into_iter().find(|delivery| json!(delivery.webhook_id) == id).unwrap();
    assert_eq!((ana.attempt_count, ana.attempts.len(), ana.status), (0, 1, DeliveryStatus::Pending));
    house.contact("Bia");
    house.after(119);
    assert_eq!(to(&house), (1, 2), "nothing more for the one, everything for the other");
    house.after(2);
    assert_eq!(to(&house), (3, 2));
    assert!(house.statuses().iter().all(|status| *status == DeliveryStatus::Succeeded));
    assert_eq!(endpoint(&house, &id).failure_count, 0);
}

#[test]
fn case_14_busy_for_a_day_counts() {
    let house = House::new();
    house.webhook(json!({"max_attempts": 2}));
    house.receiver.answers(|_, _| {
        let mut response = HttpResponse::new(429, "");
        response.headers.push(("retry-after".to_owned(), "21600".to_owned()));
        Ok(response)
    });
    house.contact("Ana");
    house.run_for(72 * 3600);
    let given_up = house.delivery();
    assert_eq!((given_up.status, given_up.attempt_count), (DeliveryStatus::Exhausted, 2));
    assert_eq!(house.receiver.count(), 6, "four times for nothing, then twice");
}

#[test]
fn case_15_redirects_are_not_followed_and_gone_is_gone() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    house.receiver.answers(|_, _| {
        let mut response = HttpResponse::new(301, "");
        response.headers.push(("location".to_owned(), "https://elsewhere.example.com/".to_owned()));
        Ok(response)
    });
    house.contact("Ana");
    house.run();
    assert_eq!(house.delivery().attempts[0].error_kind, Some(AttemptErrorKind::Redirect));
    assert_eq!(house.receiver.count(), 1);
    house.contact("Bia");
    house.receiver.says(410);
    house.run();
    let mut ends = house.statuses();
    ends.sort_unstable();
    assert_eq!(ends, [DeliveryStatus::Failed, DeliveryStatus::Cancelled]);
    let off = house.call("webhooks.get", json!({"id": id}));
    assert_eq!((&off["active"], &off["disabled_reason"]), (&json!(false), &json!("gone")));
    assert_eq!(house.event_types()[1..], ["webhook.delivery.exhausted", "webhook.deactivated"]);
    house.contact("Caio");
    house.run_for(24 * 3600);
    assert_eq!((house.receiver.count(), house.deliveries().len()), (2, 2));
}

#[test]
fn case_16_answers() {
    for (status, ends) in
        [(404, DeliveryStatus::Failed), (204, DeliveryStatus::Succeeded), (425, DeliveryStatus::Pending)]
    {
        let house = House::new();
        house.webhook(json!({}));
        house.receiver.says(status);
        house.contact("Ana");
        house.run();
        assert_eq!((house.delivery().status, house.delivery().attempt_count), (ends, 1), "{status}");
    }
    let house = House::new();
    house.webhook(json!({}));
    house.takes(15);
    house.receiver.answers(|_, _| Err(Failure::Timeout { was_sent: true }));
    house.contact("Ana");
    house.run();
    let late = house.delivery();
    assert_eq!((late.status, late.attempts[0].error_kind), (DeliveryStatus::Pending, Some(AttemptErrorKind::Timeout)));
    assert_eq!(late.attempts[0].duration_ms, 15_000);
}

#[test]
fn case_06_a_name_that_leads_inside_is_refused_at_once() {
    let house = House::new();
    house.webhook(json!({}));
    house.receiver.answers(|_, _| Err(Failure::Blocked { reason: "address".to_owned() }));
    house.contact("Ana");
    house.run();
    let refused = house.delivery();
    assert_eq!(
        (refused.status, refused.attempts[0].error_kind),
        (DeliveryStatus::Failed, Some(AttemptErrorKind::BlockedAddress))
    );
}

#[test]
fn case_17_of_a_long_answer_little_is_kept_and_no_secret() {
    let house = House::new();
    house.webhook(json!({"headers": {"Authorization": "Bearer very-secret-value"}}));
    house.receiver.answers(|request, _| {
        let mut body = format!("you sent {}\0", header(request, "Authorization")).into_bytes();
        body.resize(10 * 1024 * 1024, b'x');
        Ok(HttpResponse { is_cut: true, ..HttpResponse::new(200, body) })
    });
    house.contact("Ana");
    house.run();
    let done = house.delivery();
    let kept = done.attempts[0].response_excerpt.clone().unwrap();
    assert!(kept.starts_with("you sent [redacted]") && kept.len() <= 4 * 1024 + 16, "{}", kept.len());
    assert!(!house.call("webhooks.get_delivery", json!({"id": done.id})).to_string().contains("very-secret"));
}

#[test]
fn case_18_who_only_refuses_is_switched_off() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    house.receiver.says(400);
    for number in 0..60 {
        house.contact(&format!("Ana {number}"));
        house.after(60);
    }
    let types = house.event_types();
    let count = |name: &str| types.iter().filter(|known| *known == name).count();
    assert_eq!(
        (count("webhook.failing"), count("webhook.deactivated"), count("webhook.delivery.exhausted")),
        (1, 1, 50)
    );
    let off = house.call("webhooks.get", json!({"id": id}));
    assert_eq!((&off["disabled_reason"], house.receiver.count()), (&json!("failing"), 50));
    house.world.assert_log_matches();
}

#[test]
fn case_19_switched_on_again_it_begins_anew() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    house.receiver.says(500);
    let from = house.now();
    house.contact("Ana");
    house.run();
    house.call("webhooks.deactivate", json!({"id": id}));
    house.run();
    assert_eq!(house.statuses(), [DeliveryStatus::Cancelled]);
    house.receiver.says(200);
    house.call("webhooks.activate", json!({"id": id}));
    assert_eq!(endpoint(&house, &id).consecutive_failures, 0);
    house.after(3600);
    assert_eq!((house.receiver.count(), house.statuses()), (1, vec![DeliveryStatus::Cancelled]));
    let range = json!({"id": id, "from": from, "until": house.now()});
    assert_eq!(house.call("webhooks.replay", range)["delivery_count"], 1);
    house.run();
    assert_eq!(house.statuses(), [DeliveryStatus::Succeeded]);
}

#[test]
fn case_25_who_vanished_is_taken_over() {
    let house = House::new();
    house.webhook(json!({"concurrency": 1}));
    house.receiver.answers(|_, n| if n == 1 { Err(Failure::Interrupted) } else { Ok(HttpResponse::new(200, "")) });
    house.contact("Ana");
    house.run();
    let first = house.delivery();
    assert_eq!(first.attempts[0].error_kind, Some(AttemptErrorKind::Interrupted));
    // As if the process had died between the call and its report.
    let crm = &house.world.crm;
    struct Vanish(crate::kernel::WebhookDeliveryId);
    impl crate::engine::Decision<()> for Vanish {
        fn decide<'a>(
            &'a self,
            work: &'a mut crate::engine::UnitOfWork<'_>,
        ) -> futures_util::future::BoxFuture<'a, crate::kernel::Result<()>> {
            Box::pin(async move {
                let mut row = work.row::<WebhookDelivery>(self.0).await?.expect("it is there");
                row.status = DeliveryStatus::InFlight;
                row.started_at = Some(work.now());
                work.put_row(row).map(drop)
            })
        }
    }
    block_on(crm.transaction(house.project.context(), None, &Vanish(first.id))).map(drop).unwrap();
    house.after(60);
    house.run_for(60);
    let done = house.delivery();
    let kinds: Vec<_> = done.attempts.iter().map(|attempt| attempt.error_kind).collect();
    assert_eq!(kinds, [Some(AttemptErrorKind::Interrupted), Some(AttemptErrorKind::Interrupted), None]);
    assert_eq!((done.status, done.attempt_count, house.receiver.count()), (DeliveryStatus::Succeeded, 3, 2));
}

#[test]
fn case_26_the_log_read_again_sends_nothing() {
    let house = House::new();
    house.webhook(json!({}));
    house.contact("Ana");
    house.run();
    house.world.clock.advance_seconds(60);
    let write = crate::storage::ConsumerWrite::Reset {
        project_id: house.project.id(),
        name: "ventros.webhooks".to_owned(),
        checkpoint: 0,
    };
    let batch = crate::storage::Batch { consumers: vec![write], ..Default::default() };
    block_on(house.world.crm.core().storage().commit(batch)).unwrap();
    house.run_for(3600);
    assert_eq!((house.receiver.count(), house.deliveries().len()), (1, 1));
}

#[test]
fn case_31_history_is_silent_unless_asked_for() {
    let house = House::new();
    house.webhook(json!({"name": "quiet", "event_types": ["*"]}));
    house.webhook(json!({"name": "all", "event_types": ["*"], "include_historical": true}));
    let mut context = house.project.context();
    context.source = crate::kernel::Source::Import;
    block_on(house.project.crm().call("contacts.create", context, br#"{"name":"Old"}"#)).unwrap();
    house.run();
    assert_eq!(house.receiver.types(), ["contact.created"]);
    assert_eq!(
        house.call("webhooks.list", json!({"filter": {"field": "name", "op": "eq", "value": "all"}}))["items"][0]["id"],
        json!(house.delivery().webhook_id)
    );
}

#[test]
fn case_32_a_pause_holds_deliveries_and_a_long_one_cancels_them() {
    for (days, ends, posted) in [(2, DeliveryStatus::Succeeded, 5), (8, DeliveryStatus::Cancelled, 0)] {
        let house = House::new();
        house.webhook(json!({}));
        (0..5).for_each(|n| drop(house.contact(&format!("Ana {n}"))));
        house.call("projects.suspend", json!({"id": house.project.id(), "cause": "billing"}));
        house.run_for(days * 24 * 3600);
        house.world.clock.advance_seconds(3600);
        house.run();
        assert_eq!(house.receiver.count(), 0);
        house.call("projects.resume", json!({"id": house.project.id()}));
        house.run();
        assert_eq!((house.statuses(), house.receiver.count()), (vec![ends; 5], posted), "{days} days");
    }
}

#[test]
fn a_failing_event_holds_back_its_own_aggregate_and_no_other() {
    let house = House::new();
    house.webhook(json!({}));
    let ana = house.contact("Ana")["id"].clone();
    house.receiver.answers(move |request, _| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let fails = body["type"] == "io.ventros.contact.created.v1" && body["partitionkey"] == ana;
        Ok(HttpResponse::new(if fails { 500 } else { 200 }, ""))
    });
    let ana = house.deliveries();
    assert!(ana.is_empty());
    house.run();
    let id = house.receiver.last().1["partitionkey"].clone();
    house.call("contacts.add_tag", json!({"id": id, "tag": "vip"}));
    house.contact("Bia");
    house.run();
    assert_eq!(house.receiver.types(), ["contact.created", "contact.created"], "Ana's tag waits behind Ana");
    house.receiver.says(200);
    house.run_for(60);
    assert_eq!(house.receiver.types()[2..], ["contact.created", "contact.tag_added"]);
}

#[test]
fn a_gateway_that_fails_throttles_its_webhook() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    house.receiver.answers(|_, n| Ok(HttpResponse::new(if n == 1 { 503 } else { 200 }, "")));
    house.contact("Ana");
    house.run();
    assert!(endpoint(&house, &id).throttled_until.is_some_and(|until| until > house.now()));
    house.contact("Bia");
    house.run();
    assert_eq!(house.receiver.count(), 1, "nobody is tried before the throttle ends");
    house.run_for(60);
    assert_eq!(house.statuses(), [DeliveryStatus::Succeeded; 2]);
}

#[test]
fn deliveries_keep_to_the_rate() {
    let house = House::new();
    house.webhook(json!({"rate_per_second": 2, "event_types": ["contact.created"]}));
    (0..40).for_each(|n| drop(house.contact(&format!("Ana {n}"))));
    house.run();
    assert_eq!(house.receiver.count(), 20, "a burst of ten seconds' worth");
    house.after(5);
    assert_eq!(house.receiver.count(), 30);
    house.after(5);
    assert_eq!(house.receiver.count(), 40);
}
