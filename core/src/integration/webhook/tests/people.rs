//! What people do: on, off, rotate, test, delete; who may, and where.

use super::*;
use crate::kernel::ErrorCode as E;
use sha2::Digest;

#[test]
fn case_27_twice_is_told_and_there_are_at_most_fifty() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    let off = house.call("webhooks.deactivate", json!({"id": id}));
    assert_eq!((&off["active"], &off["disabled_reason"]), (&json!(false), &json!("manual")));
    assert_eq!(house.refused("webhooks.deactivate", json!({"id": id})).0, E::WebhookAlreadyInactive);
    let on = house.call("webhooks.activate", json!({"id": id}));
    assert_eq!((&on["active"], &on["disabled_reason"]), (&json!(true), &Value::Null));
    assert_eq!(house.refused("webhooks.activate", json!({"id": id})).0, E::WebhookAlreadyActive);
    for number in 1..50 {
        house.webhook(json!({"name": format!("w{number}")}));
    }
    let more = json!({"name": "one more", "url": URL, "event_types": ["*"]});
    assert_eq!(house.refused("webhooks.create", more.clone()).0, E::WebhookLimit);
    house.call("webhooks.delete", json!({"id": id}));
    house.call("webhooks.create", more);
}

#[test]
fn case_11_projects_do_not_meet() {
    let house = House::new();
    let id = house.webhook(json!({"event_types": ["*"]}))["id"].clone();
    house.run();
    let before = house.receiver.count();
    let other = house.world.found(ProjectId::parse(OTHER).unwrap());
    call(&other, "contacts.create", json!({"name": "Bia"}));
    house.run();
    assert_eq!(house.receiver.count(), before);
    for operation in ["get", "activate", "deactivate", "delete", "rotate_secret", "test", "stats"] {
        assert_eq!(refused(&other, &format!("webhooks.{operation}"), json!({"id": id})).0, E::WebhookNotFound);
    }
    assert_eq!(call(&other, "webhooks.list", json!({}))["items"], json!([]));
    house.contact("Ana");
    house.run();
    let delivery = json!(house.deliveries().last().unwrap().id);
    assert_eq!(refused(&other, "webhooks.get_delivery", json!({"id": delivery})).0, E::WebhookDeliveryNotFound);
}

#[test]
fn case_20_two_keys_sign_for_a_while() {
    let house = House::new();
    let made = house.webhook(json!({}));
    let rotated = house.call("webhooks.rotate_secret", json!({"id": made["id"], "overlap_seconds": 3600}));
    let keys =
        [&rotated, &made].map(|one| super::super::SigningKey::parse(one["plain_secret"].as_str().unwrap()).unwrap());
    let signatures = || {
        let (request, _) = house.receiver.last();
        let (id, at) = (header(&request, "webhook-id"), header(&request, "webhook-timestamp").parse().unwrap());
        let of = |key| super::super::sign(key, &id, at, &request.body);
        let found = header(&request, "webhook-signature");
        (found.split(' ').map(str::to_owned).collect::<Vec<_>>(), keys.each_ref().map(of))
    };
    house.contact("Ana");
    house.run();
    let (found, expected) = signatures();
    assert_eq!(found, expected, "the new one first");
    house.after(3600);
    house.contact("Bia");
    house.run();
    let (found, expected) = signatures();
    assert_eq!(found, expected[..1]);
    let old: crate::kernel::SecretRef = serde_json::from_value(made["secret"].clone()).unwrap();
    let storage = house.world.crm.core().storage();
    let kept = block_on(storage.secret(house.project.id(), old.secret_id.uuid(), None)).unwrap();
    assert!(kept.is_none(), "a key that no longer signs is destroyed");
    let at_once = house.call("webhooks.rotate_secret", json!({"id": made["id"], "overlap_seconds": 0}));
    assert_eq!(at_once["previous_secret"], Value::Null);
    house.contact("Caio");
    house.run();
    assert_eq!(signatures().0.len(), 1);
    assert_eq!(
        house.refused("webhooks.rotate_secret", json!({"id": made["id"], "overlap_seconds": 604_801})).0,
        E::ValueOutOfRange
    );
    assert_eq!(
        house.refused("webhooks.rotate_secret", json!({"id": made["id"], "secret": "abc"})).0,
        E::WebhookSecretInvalid
    );
}

#[test]
fn case_23_a_test_calls_once() {
    let house = House::new();
    let made = house.webhook(json!({"active": false}));
    house.takes(2);
    let told = house.call("webhooks.test", json!({"id": made["id"]}));
    assert_eq!(
        (&told["status"], house.receiver.count()),
        (&json!("pending"), 0),
        "nothing is called before it is stored"
    );
    let result = |told: &Value| {
        house.run();
        house.call("webhooks.get_delivery", json!({"id": told["delivery_id"]}))
    };
    let tested = result(&told);
    let attempt = &tested["attempts"][0];
    assert_eq!(
        (&tested["status"], &tested["kind"], &attempt["status_code"], &attempt["duration_ms"]),
        (&json!("succeeded"), &json!("test"), &json!(200), &json!(2000))
    );
    let (request, body) = house.receiver.last();
    assert_eq!(
        (&body["test"], body["type"].as_str().unwrap().starts_with("io.ventros.contact.")),
        (&json!(true), true)
    );
    assert_eq!(tested["body"], body);
    assert_eq!(tested["body_sha256"], crate::channels::gateway::hex(&sha2::Sha256::digest(&request.body)));
    assert_eq!(header(&request, "webhook-id"), format!("test_{}", told["delivery_id"].as_str().unwrap()));
    let key = super::super::SigningKey::parse(made["plain_secret"].as_str().unwrap()).unwrap();
    let at = header(&request, "webhook-timestamp").parse().unwrap();
    let signature = super::super::sign(&key, &header(&request, "webhook-id"), at, &request.body);
    assert_eq!(header(&request, "webhook-signature"), signature);
    house.takes(0);
    house.receiver.says(500);
    let told = house.call("webhooks.test", json!({"id": made["id"], "event_type": "message.created"}));
    let failed = result(&told);
    assert_eq!(
        (&failed["status"], &failed["event_type"], &failed["attempts"][0]["error_kind"]),
        (&json!("failed"), &json!("message.created"), &json!("status"))
    );
    assert_eq!(
        house.refused("webhooks.test", json!({"id": made["id"], "event_type": "nothing.known"})).0,
        E::WebhookEventUnknown
    );
    for _ in 0..8 {
        house.call("webhooks.test", json!({"id": made["id"]}));
    }
    assert_eq!(house.refused("webhooks.test", json!({"id": made["id"]})).0, E::WebhookTestLimit);
    house.after(61);
    house.call("webhooks.test", json!({"id": made["id"]}));
    house.run_for(24 * 3_600);
    assert_eq!(house.receiver.count(), 11, "a test is tried once");
    // Its endpoint has heard of its creation, and of no test.
    let endpoint = house.call("webhooks.get", json!({"id": made["id"]}))["endpoint"].clone();
    for counter in ["success_count", "failure_count", "consecutive_failures"] {
        assert_eq!(endpoint[counter], 0, "{endpoint}");
    }
    assert_eq!(house.event_types(), ["webhook.created"]);
}

#[test]
fn a_test_keeps_the_guard_and_is_over_when_its_caller_dies() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    house.run();
    // The name leads somewhere else by now: the transport finds out, as with any delivery.
    house.receiver.answers(|_, _| Err(HttpFailure::Blocked { reason: "address".to_owned() }));
    let told = house.call("webhooks.test", json!({"id": id}));
    house.run();
    let blocked = house.call("webhooks.get_delivery", json!({"id": told["delivery_id"]}));
    let shown = (&blocked["status"], &blocked["attempts"][0]["error_kind"]);
    assert_eq!(shown, (&json!("failed"), &json!("blocked_address")));
    let told = house.call("webhooks.test", json!({"id": id}));
    house.receiver.answers(|_, _| panic!("the process dies here"));
    let call = block_on(house.world.crm.claim_calls(1)).unwrap().remove(0);
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block_on(call.run()).map(drop)));
    assert!(died.is_err());
    house.receiver.answers(|_, _| Ok(HttpResponse::new(200, "")));
    let calls = house.receiver.count();
    house.run_for(3_600);
    let lost = house.call("webhooks.get_delivery", json!({"id": told["delivery_id"]}));
    let shown = (&lost["status"], &lost["attempts"][0]["error_kind"], house.receiver.count());
    assert_eq!(shown, (&json!("failed"), &json!("interrupted"), calls), "one attempt is one attempt");
}

#[test]
fn a_test_of_a_webhook_that_is_deleted_meanwhile_calls_nobody() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    let told = house.call("webhooks.test", json!({"id": id}));
    house.call("webhooks.delete", json!({"id": id}));
    house.run();
    let cancelled = house.call("webhooks.get_delivery", json!({"id": told["delivery_id"]}));
    assert_eq!((&cancelled["status"], house.receiver.count()), (&json!("cancelled"), 0));
}

#[test]
fn without_a_way_outside_a_test_says_so_and_deliveries_wait() {
    let world = World::with_vault();
    let project = world.found(ProjectId::parse(PROJECT).unwrap());
    let made = call(&project, "webhooks.create", json!({"name": "x", "url": URL, "event_types": ["*"]}));
    assert_eq!(refused(&project, "webhooks.test", json!({"id": made["id"]})).0, E::HttpNotConfigured);
    call(&project, "contacts.create", json!({"name": "Ana"}));
    block_on(world.crm.run_pending()).unwrap();
    let list = call(
        &project,
        "webhooks.list_deliveries",
        json!({"filter": {"field": "event_type", "op": "eq", "value": "contact.created"}}),
    );
    assert_eq!((&list["items"][0]["status"], list["items"].as_array().unwrap().len()), (&json!("pending"), 1));
}

#[test]
fn a_deleted_webhook_takes_its_secrets_with_it() {
    let house = House::new();
    let made = house.webhook(json!({"headers": {"X-Token": "very-secret-value"}}));
    house.receiver.says(500);
    house.contact("Ana");
    house.run();
    let gone = house.call("webhooks.delete", json!({"id": made["id"]}));
    assert!(gone["deleted_at"].is_string());
    assert_eq!(house.event_types()[1..], ["webhook.deactivated", "webhook.deleted"]);
    house.run();
    assert_eq!(house.statuses(), [DeliveryStatus::Cancelled]);
    assert_eq!(house.refused("webhooks.get", json!({"id": made["id"]})).0, E::WebhookNotFound);
    let storage = house.world.crm.core().storage();
    for secret in [&made["secret"], &made["headers"][0]["secret"]] {
        let secret: crate::kernel::SecretRef = serde_json::from_value(secret.clone()).unwrap();
        assert!(block_on(storage.secret(house.project.id(), secret.secret_id.uuid(), None)).unwrap().is_none());
    }
    house.run_for(48 * 3600);
    assert_eq!(house.receiver.count(), 1);
    house.world.assert_log_matches();
}

#[test]
fn a_change_records_what_differs() {
    let house = House::new();
    let made = house.webhook(json!({"description": "old"}));
    let changed = house.call(
        "webhooks.update",
        json!({"id": made["id"], "name": "N8N", "url": "https://other.example.com/x", "description": null, "body_mode": "thin"}),
    );
    assert_eq!((&changed["url"], &changed["description"]), (&json!("https://other.example.com/x"), &Value::Null));
    let event = house.events().pop().unwrap();
    let data: Value = serde_json::from_str(event.data.get()).unwrap();
    assert_eq!(
        data["changes"],
        json!({"url": "https://other.example.com/x", "description": null, "body_mode": "thin"})
    );
    assert_eq!(data["previous"], json!({"url": URL, "description": "old", "body_mode": "full"}));
    let same = house.call("webhooks.update", json!({"id": made["id"], "name": "N8N", "body_mode": "thin"}));
    assert_eq!(same["version"], changed["version"]);
}

#[test]
fn webhooks_are_found_by_what_they_hear() {
    let house = House::new();
    house.webhook(json!({"name": "contacts"}));
    house.webhook(json!({"name": "all but messages", "event_types": ["*"], "exclude_event_types": ["message.*"]}));
    house.webhook(json!({"name": "messages", "event_types": ["message.created"], "active": false}));
    let names = |event_type: &str| {
        let list = house.call("webhooks.list", json!({"event_type": event_type, "sort": ["name"]}));
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("contact.created"), ["all but messages", "contacts"]);
    assert_eq!(names("message.created"), ["messages"]);
    assert_eq!(names("webhook.created"), Vec::<String>::new());
    let active = json!({"filter": {"field": "active", "op": "eq", "value": true}});
    assert_eq!(house.call("webhooks.count", active), 2);
}

#[test]
fn case_29_roles() {
    use crate::kernel::{MemberRole, Permission};
    for (role, manages) in [(MemberRole::Admin, true), (MemberRole::Supervisor, false), (MemberRole::Agent, false)] {
        assert_eq!(role.permissions().contains(Permission::WebhooksManage), manages, "{role:?}");
    }
    assert!(MemberRole::Supervisor.permissions().contains(Permission::WebhooksView));
    assert!(!MemberRole::Agent.permissions().contains(Permission::WebhooksView));
}
