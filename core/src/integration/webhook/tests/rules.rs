//! What may be set: names, addresses, patterns, headers, ranges.

use super::*;
use crate::kernel::ErrorCode as E;

#[test]
fn case_03_a_webhook_shows_its_secret_once() {
    let house = House::new();
    let made = house.webhook(json!({}));
    assert_eq!(
        (&made["active"], &made["max_attempts"], &made["timeout_seconds"]),
        (&json!(true), &json!(12), &json!(15))
    );
    let secret = made["plain_secret"].as_str().unwrap();
    assert!(super::super::SigningKey::parse(secret).is_ok(), "{secret}");
    let seen = house.call("webhooks.get", json!({"id": made["id"]})).to_string();
    assert!(!seen.contains("whsec_"), "{seen}");
    assert!(!house.call("webhooks.list", json!({})).to_string().contains("whsec_"));
}

#[test]
fn case_04_names_and_addresses_are_checked() {
    let house = House::new();
    house.webhook(json!({}));
    let with = |more: Value| {
        let mut input = json!({"name": "Other", "url": URL, "event_types": ["contact.*"]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        house.refused("webhooks.create", input)
    };
    assert_eq!(with(json!({"name": ""})), (E::NameRequired, "name".to_owned()));
    assert_eq!(with(json!({"name": "n8n"})).0, E::WebhookNameTaken);
    assert_eq!(with(json!({"url": ""})).0, E::UrlInvalid);
    assert_eq!(with(json!({"url": "not a url"})).0, E::UrlInvalid);
    assert_eq!(with(json!({"url": "http://n8n.example.com"})), (E::UrlSchemeUnsupported, "url".to_owned()));
}

#[test]
fn case_05_only_public_addresses_are_called() {
    let house = House::new();
    let told = |url: &str| {
        let input = json!({"name": "x", "url": url, "event_types": ["*"]}).to_string();
        let crm = house.project.crm();
        let error = block_on(crm.call("webhooks.create", house.project.context(), input.as_bytes())).unwrap_err();
        (error.code(), error.details().get("reason").and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    for url in [
        "https://127.0.0.1/",
        "https://10.0.0.5/",
        "https://169.254.169.254/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
    ] {
        assert_eq!(told(url), (E::UrlNotPublic, "address".to_owned()), "{url}");
    }
    assert_eq!(told("https://localhost/"), (E::UrlNotPublic, "host_name".to_owned()));
    assert_eq!(told("https://n8n.example.com:8080/"), (E::UrlNotPublic, "port".to_owned()));
    assert_eq!(told("https://n8n.example.com/#x").0, E::UrlInvalid);
    assert_eq!(told("https://user:pw@n8n.example.com/").0, E::UrlCredentials);

    let allowed = Guard::default().allow_private("n8n.internal").unwrap();
    let house = House::on(Arc::new(MemoryStorage::default()), allowed);
    house.webhook(json!({"url": "https://n8n.internal:5678/hook"}));
}

#[test]
fn case_07_patterns_name_events() {
    let house = House::new();
    let with = |types: Value| house.refused("webhooks.create", json!({"name": "x", "url": URL, "event_types": types}));
    assert_eq!(with(json!([])), (E::WebhookEventsRequired, "event_types".to_owned()));
    assert_eq!(with(json!(["contact*"])), (E::WebhookEventPatternInvalid, "event_types[0]".to_owned()));
    for pattern in ["", "Contact.created", ".*", "contact..created", "contact.*.x", "*.created"] {
        assert_eq!(with(json!([pattern])).0, E::WebhookEventPatternInvalid, "{pattern:?}");
    }
    assert_eq!(with(json!(["contact.created", "contact.exploded"])).0, E::WebhookEventUnknown);
    for pattern in
        ["webhook.created", "webhook.*", "webhook.delivery.*", "presence.update", "call.*", "label.upserted", "job.*"]
    {
        assert_eq!(with(json!([pattern])).0, E::WebhookEventNotDeliverable, "{pattern}");
    }
    let many: Vec<String> = (0..101).map(|n| format!("custom.n{n}")).collect();
    assert_eq!(with(json!(many)).0, E::WebhookPatternLimit);
    let made =
        house.webhook(json!({"event_types": ["message.*", "custom.order_paid", "contact.created", "contact.created"]}));
    assert_eq!(made["event_types"], json!(["contact.created", "custom.order_paid", "message.*"]));
}

#[test]
fn case_09_names_of_other_systems_become_ours() {
    let house = House::new();
    let made = house.webhook(json!({"event_types": ["session.closed", "session.created"]}));
    assert_eq!(made["event_types"], json!(["session.ended", "session.started"]));
}

#[test]
fn case_10_filters_of_the_timeline() {
    let house = House::new();
    let with = |more: Value| {
        let mut input = json!({"name": "x", "url": URL});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        house.refused("webhooks.create", input)
    };
    let unused = with(json!({"event_types": ["*"], "contact_event_categories": ["tag"]}));
    assert_eq!(unused, (E::WebhookContactFilterUnused, "contact_event_categories".to_owned()));
    let unknown = with(json!({"contact_events": true, "contact_event_categories": ["foo"]}));
    assert_eq!(unknown, (E::EnumUnknown, "contact_event_categories[0]".to_owned()));

    let made = house.webhook(json!({"event_types": [], "contact_events": true, "contact_event_categories": ["tag"]}));
    let mut webhook: super::super::Webhook = serde_json::from_value(made).unwrap();
    let contact = house.contact("Ana");
    let query = EventQuery { types: vec!["contact.created".to_owned()], limit: 1, ..EventQuery::default() };
    let storage = house.world.crm.core().storage();
    let mut entry = block_on(storage.events(Scope::Project(house.project.id()), &query)).unwrap().remove(0);
    assert_eq!(entry.aggregate_id.to_string(), contact["id"]);
    assert!(!super::super::wants(&webhook, &entry), "an entry of another category");
    entry.event_type = "contact_event.recorded".to_owned();
    let mut wants = |category: &str, webhook: &super::super::Webhook| {
        let data = json!({"type": "contact_event.recorded", "event_type": "tag_added", "category": category});
        entry.data = serde_json::value::to_raw_value(&data).unwrap();
        super::super::wants(webhook, &entry)
    };
    assert!(wants("tag", &webhook) && !wants("note", &webhook));
    webhook.contact_event_types = vec!["tag_added".to_owned()];
    assert!(wants("note", &webhook), "the type fits");
    (webhook.contact_event_types, webhook.contact_event_categories) = (Vec::new(), Vec::new());
    assert!(wants("note", &webhook), "without filters all");
    webhook.contact_events = false;
    assert!(!wants("tag", &webhook));
}

/// Case 21 of the timeline page: what follows from the log is an entry as well as what somebody wrote down.
#[test]
fn timeline_case_21_entries_by_category_and_by_type() {
    let house = House::new();
    let filter = json!({
        "event_types": [], "contact_events": true, "contact_event_categories": ["status"], "contact_event_types": ["tag_removed"],
    });
    house.webhook(filter);
    house.run();
    let ana = house.contact("Ana")["id"].clone();
    house.call("contacts.add_tag", json!({"id": ana, "tag": "vip"}));
    house.call("contacts.remove_tag", json!({"id": ana, "tag": "vip"}));
    house.call("contacts.block", json!({"id": ana, "reason": "spam"}));
    for (event_type, category) in [("invoice_paid", "status"), ("visited", "general")] {
        let entry = json!({"contact_id": ana, "event_type": event_type, "category": category});
        house.call("timeline.record", entry);
    }
    house.run();
    let mut types = house.receiver.types();
    types.sort();
    assert_eq!(types, ["contact.blocked", "contact.tag_removed", "contact_event.recorded"]);
    // Without filters every entry, also that of an event that no list names.
    let all = house.webhook(json!({"name": "all", "event_types": [], "contact_events": true}))["id"].clone();
    house.run();
    house.call("contacts.add_tag", json!({"id": ana, "tag": "new"}));
    house.run();
    let own = json!({"field": "webhook_id", "op": "eq", "value": all});
    let list = house.call("webhooks.list_deliveries", json!({"filter": own}));
    let types: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|delivery| &delivery["event_type"]).collect();
    assert_eq!(types, [&json!("contact.tag_added")]);
}

#[test]
fn case_21_headers_are_sealed_and_checked() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    let with = |headers: Value| house.refused("webhooks.update", json!({"id": id, "headers": headers})).0;
    for name in ["webhook-id", "Content-Type", "HOST", "ce-id", "X-Webhook-Signature", "cookie", "connection"] {
        assert_eq!(with(json!({name: "x"})), E::WebhookHeaderReserved, "{name}");
    }
    for (name, value) in [("X-A", "a\r\nb: c"), ("X-A", "é"), ("X A", "a"), ("", "a"), ("X-A", "")] {
        assert_eq!(with(json!({name: value})), E::WebhookHeaderInvalid, "{name:?}: {value:?}");
    }
    assert_eq!(with(json!({"X-A": "1", "x-a": "2"})), E::WebhookHeaderInvalid);
    let set = house.call("webhooks.update", json!({"id": id, "headers": {"X-Token": "very-secret-value"}}));
    assert_eq!((&set["headers"][0]["name"], set["headers"].as_array().unwrap().len()), (&json!("X-Token"), 1));
    let again = house.call("webhooks.update", json!({"id": id, "headers": {"X-Token": "very-secret-value"}}));
    assert_eq!(again["version"], set["version"], "the same values are no change");
    house.contact("Ana");
    house.run();
    assert_eq!(header(&house.receiver.last().0, "X-Token"), "very-secret-value");
    let empty = house.call("webhooks.update", json!({"id": id, "headers": {}}));
    assert_eq!(empty["headers"], json!([]));
    let log: String = house.events().iter().map(|event| event.data.get().to_owned()).collect();
    assert!(!log.contains("very-secret-value") && !log.contains("whsec_"), "{log}");
}

#[test]
fn case_22_ranges() {
    let house = House::new();
    let id = house.webhook(json!({}))["id"].clone();
    let with = |field: &str, value: Value| house.refused("webhooks.update", json!({"id": id, field: value}));
    for value in [0, 31] {
        assert_eq!(with("timeout_seconds", json!(value)), (E::WebhookTimeoutOutOfRange, "timeout_seconds".to_owned()));
    }
    for value in [0, 21] {
        assert_eq!(with("max_attempts", json!(value)).0, E::WebhookRetryOutOfRange);
        assert_eq!(with("concurrency", json!(value)).0, E::WebhookRateOutOfRange);
    }
    for value in [0, 101] {
        assert_eq!(with("rate_per_second", json!(value)).0, E::WebhookRateOutOfRange);
    }
    assert_eq!(with("description", json!("x".repeat(501))).0, E::TextTooLong);
    let secret =
        house.refused("webhooks.create", json!({"name": "x", "url": URL, "event_types": ["*"], "secret": "abc"}));
    assert_eq!(secret, (E::WebhookSecretInvalid, "secret".to_owned()));
    let all = house.refused("webhooks.create", json!({"name": "", "url": "https://localhost/", "timeout_seconds": 31}));
    assert_eq!(all.0, E::NameRequired, "a form shows all failures, the first one leads");
}

#[test]
fn without_a_vault_there_is_no_webhook() {
    let world = World::new();
    let project = world.found(ProjectId::parse(PROJECT).unwrap());
    let input = json!({"name": "x", "url": URL, "event_types": ["*"]});
    assert_eq!(refused(&project, "webhooks.create", input), (E::EncryptionNotConfigured, "secret".to_owned()));
}
