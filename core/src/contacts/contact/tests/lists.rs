//! Finding, listing, counting and searching.

use super::*;
use crate::storage::PageRequest;

fn filter(json: serde_json::Value) -> crate::storage::FilterExpression {
    crate::kernel::input::parse_value(json).unwrap()
}

impl Desk {
    /// The names of the contacts that satisfy a filter, in alphabetical order.
    #[track_caller]
    fn names(&self, condition: serde_json::Value) -> Vec<String> {
        let request = json!({"filter": condition, "sort": ["name"]});
        let page: PageRequest = crate::kernel::input::parse_value(request).unwrap();
        let names = self.ask(ListContacts { page }).items.into_iter().map(|contact| contact.name).collect::<Vec<_>>();
        assert_eq!(self.ask(CountContacts { filter: Some(filter(condition)) }), names.len() as u64);
        names
    }

    #[track_caller]
    fn hits(&self, q: &str) -> Vec<(String, f64, String)> {
        let hits = self.ask(SearchContacts { q: q.into(), limit: None });
        hits.into_iter().map(|hit| (hit.contact.name, hit.score, hit.match_field)).collect()
    }
}

#[test]
fn a_contact_is_found_by_each_of_its_ids() {
    let desk = Desk::new();
    let ana = desk.run(CreateContact {
        phone: Some("+5511900000001".into()),
        email: Some("ana@x.co".into()),
        external_id: Some("17".into()),
        external_source: Some("erp".into()),
        whatsapp: Some(WhatsAppIdentifiers { lid: Some("777@lid".into()), ..Default::default() }),
        identifiers: vec![IdentifierInput {
            kind: IdentifierKind::ChannelUser,
            scope: Some("messenger".into()),
            value: "u1".into(),
        }],
        ..named("Ana")
    });
    let find = |by: serde_json::Value| {
        let query: FindContact = crate::kernel::input::parse_value(by).unwrap();
        block_on(desk.project.query(query)).map(|found| found.map(|contact| contact.id))
    };
    for by in [
        json!({"phone": "(11) 90000-0001"}),
        json!({"email": "ANA@x.co"}),
        json!({"external_id": "17", "external_source": "erp"}),
        json!({"whatsapp": "777@lid"}),
        json!({"whatsapp": "5511900000001@c.us"}),
        json!({"identifier": {"kind": "channel_user", "scope": "messenger", "value": "u1"}}),
    ] {
        assert_eq!(find(by.clone()).unwrap(), Some(ana.id), "{by}");
    }
    for by in [json!({"phone": "(11) 90000-0002"}), json!({"external_id": "17"}), json!({"whatsapp": "778@lid"})] {
        assert_eq!(find(by.clone()).unwrap(), None, "{by}");
    }
    assert_eq!(code(&find(json!({})).unwrap_err()), "identifier_required");
    assert_eq!(code(&find(json!({"phone": "1", "email": "a@x.co"})).unwrap_err()), "input_invalid");
    assert_eq!(find(json!({"phone": "x"})).unwrap_err().field(), Some("phone"));
}

#[test]
fn many_ids_are_found_at_once() {
    let desk = Desk::new();
    let ana = desk.with_phone("Ana", "+5511900000001").id;
    let bea = desk.run(CreateContact { email: Some("bea@x.co".into()), ..named("Bea") }).id;
    let find = |kind, scope: Option<&str>, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let found = desk.ask(FindContacts { kind, scope: scope.map(str::to_owned), values });
        found.into_iter().map(|(value, contact)| (value, contact.id)).collect::<Vec<_>>()
    };
    let numbers = ["(11) 90000-0001", "+55 11 90000-0001", "(11) 90000-0002", "none"];
    assert_eq!(
        find(IdentifierKind::Phone, None, &numbers),
        [("(11) 90000-0001".to_owned(), ana), ("+55 11 90000-0001".to_owned(), ana)]
    );
    assert_eq!(find(IdentifierKind::Email, None, &["BEA@x.co", "a@x.co"]), [("BEA@x.co".to_owned(), bea)]);
    assert_eq!(find(IdentifierKind::External, Some("erp"), &[]), []);
    let many = FindContacts { kind: IdentifierKind::Phone, scope: None, values: vec![String::new(); 1_001] };
    assert_eq!(code(&block_on(desk.project.query(many)).unwrap_err()), "batch_too_large");
    let user = FindContacts { kind: IdentifierKind::ChannelUser, scope: None, values: vec!["u1".into()] };
    assert_eq!(code(&block_on(desk.project.query(user)).unwrap_err()), "field_required");
}

#[test]
fn lists_filter_by_every_kind_of_field() {
    let desk = Desk::new();
    let custom = |plan: &str, size: i64| {
        [("plan".to_owned(), json!(plan).into()), ("size".to_owned(), json!(size).into())].into_iter().collect()
    };
    let ana = desk.run(CreateContact {
        phone: Some("+5511999990001".into()),
        tags: Some(vec!["VIP".into()]),
        company: Some("Acme".into()),
        custom_fields: custom("pro", 5),
        lead_score: Some(80),
        birthday: Some("1990-05-17".into()),
        ..named("Ana")
    });
    desk.run(CreateContact { tags: Some(vec!["lead".into()]), custom_fields: custom("free", 50), ..named("Bea") });
    let carla = desk.create("Carla");
    desk.run(DeleteContact { id: carla.id, reason: None });
    desk.run(SetConsent {
        id: ana.id,
        family: ChannelFamily::Sms,
        status: ConsentStatus::OptedOut,
        source: Some("form".into()),
        evidence: None,
    });
    let leaf = |field: &str, op: &str, value: serde_json::Value| json!({"field": field, "op": op, "value": value});
    for (condition, expected) in [
        (json!({"all": []}), vec!["Ana", "Bea"]),
        (leaf("status", "eq", json!("deleted")), vec!["Carla"]),
        (leaf("tags", "contains", json!("vip")), vec!["Ana"]),
        (leaf("tag", "ne", json!("vip")), vec!["Bea"]),
        (leaf("company", "ne", json!("acme")), vec!["Bea"]),
        (leaf("custom.plan", "eq", json!("PRO")), vec!["Ana"]),
        (leaf("custom.size", "gt", json!(10)), vec!["Bea"]),
        (leaf("lead_score", "gte", json!(80)), vec!["Ana"]),
        (leaf("birthday", "lt", json!("2000-01-01")), vec!["Ana"]),
        (leaf("phone", "eq", json!("(11) 99999-0001")), vec!["Ana"]),
        (leaf("phone", "contains", json!("9999-0001")), vec!["Ana"]),
        (leaf("consent.sms", "eq", json!("opted_out")), vec!["Ana"]),
        (leaf("consent.sms", "eq", json!("unknown")), vec!["Bea"]),
        (leaf("consent.sms", "ne", json!("unknown")), vec!["Ana"]),
        (leaf("origin.kind", "eq", json!("manual")), vec!["Ana", "Bea"]),
    ] {
        assert_eq!(desk.names(condition.clone()), expected, "{condition}");
    }
    let unknown = CountContacts { filter: Some(filter(leaf("shoe_size", "eq", json!(1)))) };
    assert_eq!(code(&block_on(desk.project.query(unknown)).unwrap_err()), "filter_field_unknown");
}

#[test]
fn case_31_searches() {
    let desk = Desk::new();
    desk.run(CreateContact { phone: Some("+5511999999999".into()), ..named("João Silva") });
    desk.run(CreateContact {
        email: Some("maria@example.com".into()),
        company: Some("Joaninha".into()),
        ..named("Maria")
    });
    assert_eq!(desk.hits("joao"), [("João Silva".into(), 1.5, "name".into())]);
    assert_eq!(desk.hits("99999-9999"), [("João Silva".into(), 1.3, "phone".into())]);
    assert_eq!(desk.hits("  "), []);
    assert_eq!(desk.hits("joa"), [("João Silva".into(), 1.5, "name".into()), ("Maria".into(), 1.0, "company".into())]);
    assert_eq!(desk.hits("(11) 99999-9999"), [("João Silva".into(), 2.0, "phone".into())]);
    assert_eq!(desk.hits("maria@example.com"), [("Maria".into(), 2.0, "email".into())]);
    assert_eq!(desk.hits("xample"), [("Maria".into(), 1.2, "email".into())]);
    assert_eq!(desk.hits("silva joao"), [("João Silva".into(), 1.5, "name".into())]);
    assert_eq!(desk.hits("silva maria"), []);
    let error = block_on(desk.project.query(SearchContacts { q: "x".into(), limit: Some(101) })).unwrap_err();
    assert_eq!(code(&error), "limit_out_of_range");
}

#[test]
fn the_one_who_spoke_last_comes_first() {
    let desk = Desk::new();
    let first = desk.create("Ana Um");
    let second = desk.create("Ana Dois");
    desk.run(Say { id: first.id, at: time("2025-01-06T08:00:00Z"), how: "received".into() });
    desk.run(Say { id: second.id, at: time("2025-01-06T08:30:00Z"), how: "received".into() });
    assert_eq!(desk.hits("ana").into_iter().map(|hit| hit.0).collect::<Vec<_>>(), ["Ana Dois", "Ana Um"]);
}

#[test]
fn the_wire_reads_like_the_page() {
    let desk = Desk::new();
    let call = |operation: &str, input: serde_json::Value| {
        let answer = block_on(desk.world.crm.call(operation, desk.project.context(), input.to_string().as_bytes()));
        answer.map(|answer| serde_json::from_str::<serde_json::Value>(&answer).unwrap())
    };
    let input = json!({"name": "Ana", "phone": null, "tags": ["a"], "custom_fields": null, "identifiers": null});
    let ana = call("contacts.create", input).unwrap();
    assert_eq!((&ana["name"], &ana["phone"], &ana["status"]), (&json!("Ana"), &json!(null), &json!("active")));
    let input = json!({"id": ana["id"], "tags": null, "company": "Acme"});
    let ana = call("contacts.update", input).unwrap();
    assert_eq!((&ana["tags"], &ana["company"]), (&json!([]), &json!("Acme")));
    call("contacts.create", json!({"name": "Bea"})).unwrap();
    let page = call("contacts.list", json!({"limit": 1, "sort": ["-name"], "with_total": true})).unwrap();
    assert_eq!(
        (&page["items"][0]["name"], &page["total"], &page["has_more"]),
        (&json!("Bea"), &json!(2), &json!(true))
    );
    for (operation, input, field) in [
        ("contacts.list", json!({"shoe": 1}), "shoe"),
        ("contacts.create", json!({"name": "Eva", "shoe": 1}), "shoe"),
        ("contacts.update", json!({"id": ana["id"], "shoe": 1}), "shoe"),
    ] {
        let error = call(operation, input).unwrap_err();
        assert_eq!((code(&error), error.field()), ("unknown_field", Some(field)), "{operation}");
    }
    let error = call("contacts.create", json!({"name": "Eva", "full_name": {"first": " "}})).unwrap_err();
    assert_eq!((code(&error), error.field()), ("name_required", Some("full_name.first")));
    assert_eq!(call("contacts.find", json!({"phone": "(11) 90000-0001"})).unwrap(), json!(null));
    let error = call("contacts.add_tag", json!({"id": ana["id"], "tag": "a,b"})).unwrap_err();
    assert_eq!((code(&error), error.field()), ("tag_invalid", Some("tag")));
}
