//! Creating contacts, changing them, taking them away.

use super::*;
use crate::kernel::CustomFieldInput;
use std::collections::BTreeMap;

#[test]
fn case_01_a_name_is_enough() {
    let desk = Desk::new();
    let contact = desk.create(" Ana  Lima ");
    assert_eq!((contact.name.as_str(), contact.language.as_str(), contact.version), ("Ana Lima", "en", 1));
    let log = desk.log(contact.id);
    assert_eq!(log.iter().map(|event| event.0.as_str()).collect::<Vec<_>>(), ["contact.created"]);
    assert_eq!(desk.get(contact.id), contact);
}

#[test]
fn case_02_a_name_is_needed() {
    let desk = Desk::new();
    let error = desk.refused(named("   "));
    assert_eq!((code(&error), error.field()), ("contact_name_required", Some("name")));
    assert_eq!(code(&desk.refused(named(&"x".repeat(256)))), "contact_name_invalid");
    assert_eq!(code(&desk.refused(named("a\u{7}b"))), "contact_name_invalid");
}

#[test]
fn all_failures_come_back_together() {
    let desk = Desk::new();
    let error = desk.refused(CreateContact {
        email: Some("a@b".into()),
        phone: Some("12345".into()),
        tags: Some(vec!["ok".into(), "a,b".into()]),
        language: Some("qq".into()),
        timezone: Some("Mars/Base".into()),
        birthday: Some("2025-02-30".into()),
        profile_picture_url: Some("ftp://x.example/a".into()),
        lead_score: Some(101),
        ..named(" ")
    });
    let mut found: Vec<_> = error.all().map(|e| (e.field().unwrap_or_default(), code(e))).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("birthday", "birthday_invalid"),
            ("email", "email_invalid"),
            ("language", "language_invalid"),
            ("lead_score", "score_out_of_range"),
            ("name", "contact_name_required"),
            ("phone", "phone_invalid"),
            ("profile_picture_url", "url_scheme_unsupported"),
            ("tags[1]", "tag_invalid"),
            ("timezone", "timezone_invalid"),
        ]
    );
    assert_eq!(desk.count(), 0);
}

#[test]
fn case_03_addresses_are_normalised() {
    let desk = Desk::new();
    let id = desk.create("João").id;
    let to = |email: &str| UpdateContact { email: set(email), ..UpdateContact::new(id) };
    assert_eq!(desk.run(to("JOAO@Example.COM ")).email.unwrap().as_str(), "joao@example.com");
    assert_eq!(code(&desk.refused(to("a@b..co"))), "email_invalid");
    assert_eq!(code(&desk.refused(to("a@b"))), "email_invalid");
}

#[test]
fn case_04_phones_are_read_in_the_region_of_the_project() {
    let desk = Desk::new();
    let id = desk.create("Ana").id;
    let to = |phone: &str| UpdateContact { phone: set(phone), ..UpdateContact::new(id) };
    for written in ["+55 (11) 99999-9999", "(11) 99999-9999", "011 99999-9999"] {
        assert_eq!(desk.run(to(written)).phone.unwrap().as_str(), "+5511999999999", "{written}");
    }
    assert_eq!(code(&desk.refused(to("12345"))), "phone_invalid");
    assert_eq!(code(&desk.refused(to("+55x11"))), "phone_invalid");
    assert_eq!(desk.get(id).version, 2);
}

#[test]
fn case_06_a_number_in_either_writing_is_taken_once() {
    let desk = Desk::new();
    let ana = desk.with_phone("Ana", "+5544998211518");
    for written in ["5544998211518", "554498211518"] {
        let error = desk.refused(CreateContact { phone: Some(written.into()), ..named("Bea") });
        assert_eq!(code(&error), "identifier_taken", "{written}");
        assert_eq!((&error.details()["kind"], &error.details()["id"]), (&json!("phone"), &json!(ana.id)));
    }
}

#[test]
fn case_10_tags_are_a_set() {
    let desk = Desk::new();
    let id = desk.create("Ana").id;
    let events = desk.events_of(id, || {
        let tags = Patch::Value(vec!["VIP".into(), "vip".into(), "Lead".into()]);
        let contact = desk.run(UpdateContact { tags, ..UpdateContact::new(id) });
        assert_eq!(contact.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["VIP", "Lead"]);
    });
    assert_eq!(events, ["contact.tag_added", "contact.tag_added"]);
    let tag = |text: &str| crate::kernel::Tag::parse(text).unwrap();
    assert!(desk.events_of(id, || drop(desk.run(AddTag { id, tag: tag("vip") }))).is_empty());
    assert!(desk.events_of(id, || drop(desk.run(RemoveTag { id, tag: tag("gone") }))).is_empty());
    assert_eq!(desk.events_of(id, || drop(desk.run(RemoveTag { id, tag: tag("VIP") }))), ["contact.tag_removed"]);
    let many = |count: usize| Patch::Value((0..count).map(|n| format!("tag {n}")).collect());
    desk.run(UpdateContact { tags: many(50), ..UpdateContact::new(id) });
    assert_eq!(code(&desk.refused(AddTag { id, tag: tag("one more") })), "tag_limit");
    assert_eq!(code(&desk.refused(UpdateContact { tags: many(51), ..UpdateContact::new(id) })), "tag_limit");
}

#[test]
fn case_11_equal_values_change_nothing() {
    let desk = Desk::new();
    let contact = desk.run(CreateContact {
        email: Some("ana@x.co".into()),
        tags: Some(vec!["a".into()]),
        company: Some("Acme".into()),
        ..named("Ana")
    });
    let same = UpdateContact {
        name: set("Ana"),
        email: set("ana@x.co"),
        tags: Patch::Value(vec!["A".into()]),
        company: set(" Acme "),
        phone: Patch::Null,
        ..UpdateContact::new(contact.id)
    };
    assert_eq!(desk.run(UpdateContact::new(contact.id)), contact);
    assert_eq!(desk.run(same), contact);
}

#[test]
fn case_12_all_tags_can_be_taken_off() {
    let desk = Desk::new();
    let id = desk.run(CreateContact { tags: Some(vec!["a".into(), "b".into()]), ..named("Ana") }).id;
    let contact = desk.run(UpdateContact { tags: Patch::Value(Vec::new()), ..UpdateContact::new(id) });
    assert!(contact.tags.is_empty());
    let (last, data) = desk.log(id).pop().unwrap();
    assert_eq!((last.as_str(), &data["cleared_tags"]), ("contact.tags_cleared", &json!(["a", "b"])));
}

#[test]
fn case_13_custom_fields_keep_their_type() {
    let desk = Desk::new();
    let id = desk.create("Ana").id;
    let to = |key: &str, value: serde_json::Value| UpdateContact {
        custom_fields: BTreeMap::from([(key.to_owned(), CustomFieldInput::from(value))]),
        ..UpdateContact::new(id)
    };
    desk.run(to("company_size", json!(500)));
    let error = desk.refused(to("company_size", json!("big")));
    assert_eq!((code(&error), error.field()), ("custom_field_type_mismatch", Some("custom_fields.company_size")));
    assert_eq!(code(&desk.refused(to("Company Size", json!(1)))), "custom_field_key_invalid");
    assert_eq!(code(&desk.refused(to("waha_wid", json!("55")))), "custom_field_reserved");
    assert_eq!(desk.log(id).pop().unwrap().0, "contact.custom_field_set");
    let contact = desk.run(to("company_size", json!(null)));
    assert!(contact.custom_fields.is_empty());
    assert_eq!(desk.log(id).pop().unwrap().0, "contact.custom_field_cleared");
    assert!(desk.events_of(id, || drop(desk.run(to("never_there", json!(null))))).is_empty());
    let large = (0..20).map(|n| (format!("t{n}"), json!("x".repeat(4_000)).into())).collect();
    let error = desk.refused(UpdateContact { custom_fields: large, ..UpdateContact::new(id) });
    assert_eq!(code(&error), "custom_field_limit");
}

#[test]
fn case_14_other_projects_do_not_exist() {
    let desk = Desk::new();
    let id = desk.create("Ana").id;
    let other = desk.world.found(ProjectId::from_uuid(Uuid::from_u128(0xB22)));
    let error = block_on(other.query(GetContact { id, include_deleted: None })).unwrap_err();
    assert_eq!(code(&error), "contact_not_found");
    let error = block_on(other.execute(UpdateContact { name: set("Eva"), ..UpdateContact::new(id) })).unwrap_err();
    assert_eq!(code(&error), "contact_not_found");
    let owner = Patch::Value(AgentId::from_uuid(Uuid::from_u128(7)));
    let error = desk.refused(UpdateContact { owner_id: owner, ..UpdateContact::new(id) });
    assert_eq!((code(&error), error.field()), ("agent_not_found", Some("owner_id")));
}

#[test]
fn case_16_links_rotate_pictures_do_not() {
    let desk = Desk::new();
    let id = desk.create("Ana").id;
    let picture = |url: Patch<String>| {
        desk.run(UpdateContact { profile_picture_url: url, ..UpdateContact::new(id) });
        desk.log(id).pop().unwrap().1
    };
    assert_eq!(picture(set("https://pps.example/a.jpg?oe=1"))["changed"], true);
    assert_eq!(picture(set("https://pps.example/a.jpg?oe=2"))["changed"], false);
    assert_eq!(picture(set("https://pps.example/b.jpg?oe=2"))["changed"], true);
    assert_eq!(picture(Patch::Null)["profile_picture_url"], json!(null));
    let contact = desk.get(id);
    assert_eq!((contact.profile_picture_url, contact.profile_picture_fetched_at), (None, None));
}

#[test]
fn case_17_interactions_move_first_and_last() {
    let desk = Desk::new();
    let id = desk.create("Ana").id;
    let say = |how: &str, at: &str| assert!(desk.run(Say { id, at: time(at), how: how.into() }));
    let events = desk.events_of(id, || {
        say("received", "2025-01-06T08:00:00Z");
        say("received", "2025-01-06T08:01:00Z");
    });
    assert!(events.is_empty());
    let contact = desk.get(id);
    assert_eq!(contact.last_interaction_at, Some(time("2025-01-06T08:01:00Z")));
    assert_eq!((contact.version, contact.revision), (1, 3));
    say("imported", "2024-01-06T08:00:00Z");
    say("created", "2025-01-06T08:30:00Z");
    let contact = desk.get(id);
    assert_eq!(contact.first_interaction_at, Some(time("2024-01-06T08:00:00Z")));
    assert_eq!(contact.last_interaction_at, Some(time("2025-01-06T08:30:00Z")));
    assert_eq!(contact.last_inbound_at, Some(time("2025-01-06T08:01:00Z")));
    let form = RecordInteraction {
        id,
        interaction_type: InteractionType::FormSubmitted,
        at: None,
        channel_id: None,
        inbound: Some(true),
    };
    let events = desk.events_of(id, || {
        desk.run(form.clone());
        desk.run(form.clone());
    });
    assert_eq!(events, ["contact.interaction_recorded", "contact.interaction_recorded"]);
    let late = RecordInteraction { at: Some(time("2025-01-06T09:06:00Z")), ..form.clone() };
    assert_eq!(code(&desk.refused(late)), "timestamp_in_future");
    assert_eq!(code(&desk.refused(RecordInteraction { channel_id: Some(CHANNEL), ..form })), "channel_not_found");
    desk.world.assert_log_matches();
}

#[test]
fn case_24_deletion_frees_identifiers() {
    let desk = Desk::new();
    let ana = desk.with_phone("Ana", "+5511999999999");
    let delete = DeleteContact { id: ana.id, reason: Some("asked".into()) };
    desk.run(delete.clone());
    assert_eq!(code(&desk.refused(delete)), "contact_deleted");
    assert_eq!(
        code(&desk.refused(UpdateContact { name: set("Eva"), ..UpdateContact::new(ana.id) })),
        "contact_not_active"
    );
    let error = block_on(desk.project.query(GetContact { id: ana.id, include_deleted: None })).unwrap_err();
    assert_eq!(code(&error), "contact_not_found");
    let carla = desk.with_phone("Carla", "+5511999999999");
    let error = desk.refused(RestoreContact { id: ana.id });
    assert_eq!((code(&error), &error.details()["id"]), ("identifier_taken", &json!(carla.id.to_string())));
    desk.run(DeleteContact { id: carla.id, reason: None });
    let ana = desk.run(RestoreContact { id: ana.id });
    assert_eq!((ana.status, ana.deleted_at), (ContactStatus::Active, None));
    assert_eq!(
        desk.ask(FindContact { phone: Some("(11) 99999-9999".into()), ..Default::default() }).unwrap().id,
        ana.id
    );
    desk.world.assert_log_matches();
}

#[test]
fn a_replaced_address_can_stay_as_an_identifier() {
    let desk = Desk::new();
    let id = desk.run(CreateContact { email: Some("old@x.co".into()), email_verified: Some(true), ..named("Ana") }).id;
    let contact =
        desk.run(UpdateContact { email: set("new@x.co"), keep_previous: Some(true), ..UpdateContact::new(id) });
    assert!(!contact.email_verified);
    assert_eq!(contact.identifiers.iter().map(|id| id.value.as_str()).collect::<Vec<_>>(), ["old@x.co"]);
    let found = desk.ask(FindContact { email: Some("old@x.co".into()), ..Default::default() });
    assert_eq!(found.unwrap().id, id);
    // Back again: the alternate becomes the primary one.
    let contact = desk.run(UpdateContact { email: set("old@x.co"), ..UpdateContact::new(id) });
    assert!(contact.identifiers.is_empty());
}

#[test]
fn filling_blanks_leaves_what_is_there() {
    let desk = Desk::new();
    let id = desk.run(CreateContact { company: Some("Acme".into()), tags: Some(vec!["a".into()]), ..named("Ana") }).id;
    let contact = desk.run(UpdateContact {
        name: set("Eva"),
        company: set("Other"),
        job_title: set("CEO"),
        email: set("ana@x.co"),
        tags: Patch::Value(vec!["b".into()]),
        mode: Some(WriteMode::FillBlanks),
        ..UpdateContact::new(id)
    });
    assert_eq!(
        (contact.name.as_str(), contact.company.as_deref(), contact.job_title.as_deref()),
        ("Ana", Some("Acme"), Some("CEO"))
    );
    assert_eq!(contact.email.unwrap().as_str(), "ana@x.co");
    assert_eq!(contact.tags.len(), 2);
}

#[test]
fn an_enrichment_reports_what_it_could_not_use() {
    let desk = Desk::new();
    let id = desk.create("Ana").id;
    let contact = desk.run(UpdateContact {
        company: set("Acme"),
        email: set("broken"),
        enrichment: Some(Enrichment {
            source: "directory".into(),
            data: json!({"raw": 1}).as_object().cloned().unwrap(),
        }),
        ..UpdateContact::new(id)
    });
    assert_eq!((contact.company.as_deref(), contact.email), (Some("Acme"), None));
    let (last, data) = desk.log(id).pop().unwrap();
    assert_eq!(last, "contact.enriched");
    assert_eq!(data["applied"], json!(["company"]));
    assert_eq!(data["rejected"], json!([{"field": "email", "code": "email_invalid"}]));
    let blank = Enrichment { source: " ".into(), data: serde_json::Map::new() };
    let error = desk.refused(UpdateContact { enrichment: Some(blank), ..UpdateContact::new(id) });
    assert_eq!((code(&error), error.field()), ("text_required", Some("enrichment.source")));
}

#[test]
fn addresses_are_replaced_as_a_whole() {
    let desk = Desk::new();
    let address = |street: &str, primary: bool| AddressInput {
        id: None,
        address: Address {
            label: AddressKind::Home,
            street: street.into(),
            number: None,
            complement: None,
            district: None,
            city: "Recife".into(),
            state: None,
            postal_code: None,
            country: "BR".into(),
            is_primary: primary,
        },
    };
    let id = desk.run(CreateContact { addresses: Some(vec![address("Rua A", true)]), ..named("Ana") }).id;
    let to = |list: Vec<AddressInput>| UpdateContact { addresses: Patch::Value(list), ..UpdateContact::new(id) };
    let events = desk.events_of(id, || drop(desk.run(to(vec![address("Rua A", true), address("Rua B", false)]))));
    assert_eq!(events, ["contact.address_set"]);
    let known = desk.get(id).addresses[1].clone();
    let events = desk.events_of(id, || {
        drop(desk.run(to(vec![AddressInput { id: Some(known.id), ..address("Rua C", false) }])));
    });
    assert_eq!(events, ["contact.address_removed", "contact.address_set"]);
    assert_eq!(desk.get(id).addresses.iter().map(|a| a.address.street.as_str()).collect::<Vec<_>>(), ["Rua C"]);
    let error = desk.refused(to(vec![address("A", true), address("B", true)]));
    assert_eq!((code(&error), error.field()), ("address_invalid", Some("addresses")));
    assert_eq!(desk.refused(to(vec![address("A", true), address(" ", false)])).field(), Some("addresses[1].street"));
    assert_eq!(code(&desk.refused(to(vec![address("A", false); 11]))), "address_limit");
}

#[test]
fn upsert_finds_by_ids_or_creates() {
    let desk = Desk::new();
    let upsert = |name: Option<&str>, phone: Option<&str>, email: Option<&str>| UpsertContact {
        name: name.map(str::to_owned),
        phone: phone.map(str::to_owned),
        email: email.map(str::to_owned),
        ..UpsertContact::default()
    };
    let error = desk.refused(upsert(None, Some("+5511999999999"), None));
    assert_eq!((code(&error), error.field()), ("contact_name_required", Some("name")));
    let first = desk.run(upsert(Some("Ana"), Some("+5511999999999"), None));
    assert!(first.created);
    let second = desk.run(upsert(None, Some("(11) 99999-9999"), Some("ana@x.co")));
    assert_eq!((second.created, second.contact.id), (false, first.contact.id));
    assert_eq!(second.contact.email.unwrap().as_str(), "ana@x.co");
    desk.with_phone("Bea", "+5511988888888");
    let error = desk.refused(upsert(None, Some("+5511988888888"), Some("ana@x.co")));
    assert_eq!(code(&error), "ambiguous_match");
    assert_eq!(error.details()["ids"].as_array().map(Vec::len), Some(2));
}

#[test]
fn consent_is_left_only_with_a_source() {
    let desk = Desk::new();
    let id = desk.create("Ana").id;
    let say = |status: ConsentStatus, source: Option<&str>| SetConsent {
        id,
        family: ChannelFamily::Whatsapp,
        status,
        source: source.map(str::to_owned),
        evidence: None,
    };
    assert!(desk.events_of(id, || drop(desk.run(say(ConsentStatus::Unknown, None)))).is_empty());
    desk.run(say(ConsentStatus::OptedOut, Some("keyword")));
    assert_eq!(code(&desk.refused(say(ConsentStatus::OptedIn, None))), "consent_source_required");
    assert_eq!(code(&desk.refused(say(ConsentStatus::Unknown, Some("import")))), "consent_source_required");
    let contact = desk.run(say(ConsentStatus::OptedIn, Some("form")));
    assert_eq!(contact.consent(ChannelFamily::Whatsapp), ConsentStatus::OptedIn);
    assert_eq!(contact.consent(ChannelFamily::Sms), ConsentStatus::Unknown);
}

#[test]
fn blocking_twice_is_blocking_once() {
    let desk = Desk::new();
    let id = desk.create("Ana").id;
    let block = BlockContact { id, reason: Some("spam".into()) };
    assert_eq!(desk.events_of(id, || drop(desk.run(block.clone()))), ["contact.blocked"]);
    assert!(desk.events_of(id, || drop(desk.run(block.clone()))).is_empty());
    let contact = desk.run(UnblockContact { id, reason: None });
    assert_eq!((contact.blocked, contact.blocked_reason), (false, None));
}

#[test]
fn identifiers_come_and_go() {
    let desk = Desk::new();
    let ana = desk.with_phone("Ana", "+5511999999999");
    let id = desk.create("Bea").id;
    let add = |kind: IdentifierKind, value: &str| AddIdentifier { id, kind, scope: None, value: value.into() };
    let remove = |kind: IdentifierKind, value: &str| RemoveIdentifier { id, kind, scope: None, value: value.into() };
    let error = desk.refused(add(IdentifierKind::WhatsappWid, "5511999999999@c.us"));
    assert_eq!((code(&error), &error.details()["id"]), ("identifier_taken", &json!(ana.id.to_string())));
    let events = desk.events_of(id, || {
        desk.run(add(IdentifierKind::WhatsappLid, "19104132006020@lid"));
        desk.run(add(IdentifierKind::Email, "bea@x.co"));
        desk.run(add(IdentifierKind::Email, "BEA@x.co"));
    });
    assert_eq!(events, ["contact.whatsapp_identifiers_set", "contact.identifier_added"]);
    let error = desk.refused(remove(IdentifierKind::Email, "other@x.co"));
    assert_eq!(code(&error), "identifier_not_found");
    desk.run(remove(IdentifierKind::Email, "bea@x.co"));
    let contact = desk.run(remove(IdentifierKind::WhatsappLid, "19104132006020"));
    assert!(contact.identifiers.is_empty() && contact.whatsapp.is_none());
    for n in 0..20 {
        desk.run(add(IdentifierKind::External, &format!("id {n}")));
    }
    assert_eq!(code(&desk.refused(add(IdentifierKind::External, "one more"))), "identifier_limit");
    let error = desk.refused(add(IdentifierKind::ChannelUser, "u1"));
    assert_eq!((code(&error), error.field()), ("field_required", Some("scope")));
}

#[test]
fn a_form_with_an_old_version_is_refused() {
    let desk = Desk::new();
    let id = desk.create("Ana").id;
    let context = crate::engine::Context { expected_version: Some(2), ..desk.project.context() };
    let update = UpdateContact { name: set("Eva"), ..UpdateContact::new(id) };
    let error = block_on(desk.world.crm.execute_in(context, update)).unwrap_err();
    assert_eq!(code(&error), "version_conflict");
}

#[test]
fn the_project_decides_region_language_and_custom_fields() {
    use crate::kernel::{CustomFieldDefinition, CustomFieldKey, CustomFieldType, Language, Region};
    use crate::tenancy::project::commands::CreateProject;
    let mut desk = Desk::new();
    let project = block_on(desk.world.crm.execute(CreateProject {
        name: "Loja".into(),
        default_region: Some(Region::parse("PT").unwrap()),
        default_language: Some(Language::parse("pt-PT").unwrap()),
        ..CreateProject::default()
    }));
    desk.project = desk.world.crm.project(project.unwrap().id);
    let definition = |key: &str, required: bool| {
        let key = CustomFieldKey::parse(key).unwrap();
        CustomFieldDefinition { required, ..CustomFieldDefinition::new(key, CustomFieldType::Number, "Size") }
    };
    desk.run(Define { definition: definition("size", true), strict: true });
    let with = |key: &str| CreateContact {
        phone: Some("912 345 678".into()),
        custom_fields: [(key.to_owned(), json!("12").into())].into_iter().collect(),
        ..named("Ana")
    };
    let error = desk.refused(CreateContact { custom_fields: BTreeMap::new(), ..with("size") });
    assert_eq!((code(&error), error.field()), ("custom_field_required", Some("custom_fields.size")));
    assert_eq!(code(&desk.refused(with("shoes"))), "custom_field_undefined");
    let ana = desk.run(with("size"));
    assert_eq!((ana.phone.unwrap().as_str(), ana.language.as_str()), ("+351912345678", "pt-PT"));
    assert_eq!(ana.custom_fields.get("size").unwrap().to_json(), json!(12));
    let clear = [("size".to_owned(), json!(null).into())].into_iter().collect();
    let error = desk.refused(UpdateContact { custom_fields: clear, ..UpdateContact::new(ana.id) });
    assert_eq!(code(&error), "custom_field_required");
    let contact = desk.run(UpdateContact { language: set("fr"), ..UpdateContact::new(ana.id) });
    assert_eq!(contact.language.as_str(), "fr");
    let contact = desk.run(UpdateContact { language: Patch::Null, ..UpdateContact::new(ana.id) });
    assert_eq!(contact.language.as_str(), "pt-PT");
}

/// Defines a custom field of contacts.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
struct Define {
    definition: crate::kernel::CustomFieldDefinition,
    strict: bool,
}

impl Command for Define {
    const NAME: &'static str = "test.define";
    const PERMISSION: Permission = Permission::ContactsManage;
    type Output = bool;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<bool> {
        use crate::tenancy::project::{CustomFieldTarget, Project, ProjectEvent};
        let mut project = work.load::<Project>(work.project()).await?;
        let target = CustomFieldTarget::Contact;
        project.record(ProjectEvent::CustomFieldDefined { target, definition: Box::new(self.definition) });
        project.record(ProjectEvent::CustomFieldsStrictChanged { strict: self.strict });
        work.save(project)?;
        Ok(true)
    }
}
