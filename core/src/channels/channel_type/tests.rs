//! The acceptance cases of the channel type page, by number.

use super::commands::*;
use super::queries::*;
use super::*;
use crate::engine::{Command, Context, Query};
use crate::kernel::{ActorRef, Component, ErrorCode, Kind, ProjectId, Result, Subject};
use crate::storage::{EventQuery, PageRequest, Scope};
use crate::testing::{World, block_on};
use serde_json::{Map, Value, json};

fn project() -> ProjectId {
    ProjectId::parse("0199d1c2-0000-7000-8000-0000000000aa").unwrap()
}

fn world() -> World {
    let world = World::new();
    world.found(project());
    world
}

#[track_caller]
fn given<T: serde::de::DeserializeOwned>(input: Value) -> T {
    crate::kernel::input::parse_value(input).unwrap()
}

#[track_caller]
fn run<C: Command>(world: &World, input: Value) -> Result<C::Output> {
    block_on(world.crm.execute(given::<C>(input)))
}

#[track_caller]
fn ask<Q: Query>(world: &World, input: Value) -> Result<Q::Output> {
    block_on(world.crm.project(project()).query(given::<Q>(input)))
}

#[track_caller]
fn code<T>(result: Result<T>) -> &'static str {
    result.err().expect("an error is expected").code().as_str()
}

fn find(world: &World, code: &str) -> ChannelType {
    ask::<FindChannelType>(world, json!({"code": code})).unwrap()
}

fn fax(extra: Value) -> Value {
    let mut input = json!({"code": "fax", "display_name": "Fax", "provider": "Acme", "family": "chat"});
    input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    input
}

fn types_of(world: &World, id: crate::kernel::ChannelTypeId) -> Vec<String> {
    let query = EventQuery { stream: Some(Subject::new(Kind::ChannelType, id)), limit: 100, ..EventQuery::default() };
    let events = block_on(world.crm.core().storage.events(Scope::Project(ProjectId::SYSTEM), &query)).unwrap();
    events.into_iter().map(|event| event.event_type).collect()
}

fn head(world: &World) -> u64 {
    block_on(world.crm.core().storage.head(ProjectId::SYSTEM)).unwrap()
}

fn validate(code: &str, stage: Stage, input: Value) -> Result<ValidConfig> {
    let world = world();
    let channel_type = find(&world, code);
    let draw = || "drawn".to_owned();
    let input: Map<String, Value> = input.as_object().unwrap().clone();
    let mode = channel_type.default_mode;
    validate_config(&channel_type, &ConfigInput { mode, input: &input, stage, draw: Some(&draw) })
}

#[track_caller]
fn all(result: Result<ValidConfig>) -> Vec<(&'static str, String)> {
    let error = result.unwrap_err();
    error.all().map(|e| (e.code().as_str(), e.field().unwrap_or_default().to_owned())).collect()
}

#[test]
fn every_built_in_definition_keeps_the_rules() {
    for definition in built_in() {
        definition.check().unwrap_or_else(|e| panic!("{}: {e:?}", definition.code));
    }
}

#[test]
fn case_01_an_empty_store_gets_the_built_in_types_once() {
    let world = world();
    let page = ask::<ListChannelTypes>(&world, json!({"sort": ["code"]})).unwrap();
    let active: Vec<&str> = page.items.iter().filter(|t| t.active).map(|t| t.code.as_str()).collect();
    let expected = [
        "instagram",
        "messenger",
        "telegram",
        "twilio_sms",
        "waha",
        "web_form",
        "wechat",
        "whatsapp",
        "whatsapp_business",
    ];
    assert_eq!(active, expected);
    assert!(!find(&world, "email").active);
    let before = head(&world);
    block_on(seed(&world.crm)).unwrap();
    assert_eq!((before, head(&world)), (10, 10));
    assert_eq!(find(&world, "waha").id, ChannelType::built_in_id("waha"));
    world.assert_log_matches();
}

#[test]
fn case_02_types_are_found_by_code_alias_and_legacy_id() {
    let world = world();
    let instagram = find(&world, "direct_ig");
    assert_eq!((instagram.code.as_str(), instagram.legacy_id), ("instagram", Some(3)));
    assert_eq!(ask::<FindChannelType>(&world, json!({"legacy_id": 1})).unwrap().code, "waha");
    assert_eq!(code(ask::<FindChannelType>(&world, json!({"legacy_id": 6}))), "channel_type_not_found");
    assert_eq!(code(ask::<FindChannelType>(&world, json!({}))), "field_required");
    assert_eq!(ask::<GetChannelType>(&world, json!({"id": instagram.id})).unwrap().code, "instagram");
}

#[test]
fn case_03_codes_have_a_shape_and_are_unique_with_aliases() {
    let world = world();
    let create = |code: &str| {
        let mut input = fax(json!({}));
        input["code"] = code.into();
        run::<CreateChannelType>(&world, input)
    };
    assert_eq!(code(create("Fax Line")), "channel_type_code_invalid");
    assert_eq!(code(create("waha")), "channel_type_code_taken");
    assert_eq!(code(create("direct_ig")), "channel_type_code_taken");
    let taken = fax(json!({"legacy_id": 1}));
    assert_eq!(code(run::<CreateChannelType>(&world, taken)), "channel_type_legacy_id_taken");
}

#[test]
fn case_04_provider_and_legacy_id_are_checked() {
    let world = world();
    assert_eq!(code(run::<CreateChannelType>(&world, fax(json!({"provider": ""})))), "field_required");
    let zero = run::<CreateChannelType>(&world, fax(json!({"legacy_id": 0})));
    assert_eq!(code(zero), "channel_type_legacy_id_invalid");
}

#[test]
fn case_05_a_deactivated_type_is_not_offered() {
    let world = world();
    let wechat = find(&world, "wechat").id;
    run::<DeactivateChannelType>(&world, json!({"id": wechat, "reason": "closed"})).unwrap();
    assert_eq!(types_of(&world, wechat), ["channel_type.created", "channel_type.deactivated"]);
    let again = run::<DeactivateChannelType>(&world, json!({"id": wechat}));
    assert_eq!(code(again), "channel_type_already_inactive");
    let filter = json!({"filter": {"field": "active", "op": "eq", "value": true}});
    let offered = ask::<ListChannelTypes>(&world, filter).unwrap();
    assert!(offered.items.len() == 8 && offered.items.iter().all(|t| t.code != "wechat"));
}

#[test]
fn case_06_an_active_type_is_not_activated() {
    let world = world();
    let waha = find(&world, "waha").id;
    assert_eq!(code(run::<ActivateChannelType>(&world, json!({"id": waha}))), "channel_type_already_active");
    let email = run::<ActivateChannelType>(&world, json!({"id": find(&world, "email").id})).unwrap();
    assert!(email.active);
}

#[test]
fn case_07_addresses_lose_their_slash_and_aliases_become_keys() {
    let input = json!({"base_url": "https://waha.example.com/", "token": "abc"});
    let valid = validate("waha", Stage::Activate, input).unwrap();
    assert_eq!(valid.config["base_url"], "https://waha.example.com");
    assert_eq!(valid.config["import_strategy"], "none");
    assert_eq!(valid.secrets["api_key"], "abc");
    assert!(!format!("{valid:?}").contains("abc"));
}

#[test]
fn case_08_required_fields_are_missed_at_activation_alone() {
    assert_eq!(
        all(validate("waha", Stage::Activate, json!({"token": "abc"}))),
        [("config_field_missing", "base_url".to_owned())]
    );
    assert!(validate("waha", Stage::Create, json!({"token": "abc"})).is_ok());
}

#[test]
fn case_09_all_failures_come_in_one_answer() {
    let mut errors = all(validate("waha", Stage::Activate, json!({"base_url": "ftp://x", "api_key": "", "port": 1})));
    errors.sort();
    let expected = [
        ("config_field_invalid", "base_url".to_owned()),
        ("config_field_missing", "api_key".to_owned()),
        ("config_field_unknown", "port".to_owned()),
    ];
    assert_eq!(errors, expected);
}

#[test]
fn case_10_words_outside_the_list_are_refused() {
    let errors = all(validate("waha", Stage::Create, json!({"import_strategy": "sometimes"})));
    assert_eq!(errors, [("config_field_invalid", "import_strategy".to_owned())]);
}

#[test]
fn case_11_a_bot_token_gives_the_bot_id_and_a_secret_is_drawn() {
    let token = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let valid = validate("telegram", Stage::Activate, json!({"bot_token": token})).unwrap();
    assert_eq!(valid.external_id.as_deref(), Some("123456"));
    assert_eq!(valid.secrets["secret_token"], "drawn");
}

#[test]
fn case_12_the_failure_does_not_repeat_the_value() {
    let error = validate("telegram", Stage::Create, json!({"bot_token": "nonsense"})).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConfigFieldInvalid);
    assert!(!format!("{error:?}").contains("nonsense"));
}

#[test]
fn case_13_one_of_two_senders_is_needed() {
    let sid = format!("AC{}", "0".repeat(32));
    let error = validate("twilio_sms", Stage::Activate, json!({"account_sid": sid, "auth_token": "t"})).unwrap_err();
    assert_eq!((error.code(), error.field()), (ErrorCode::ConfigFieldMissing, Some("from")));
    assert_eq!(error.details()["any_of"], json!(["from", "messaging_service_sid"]));
    let service = json!({"account_sid": sid, "auth_token": "t", "messaging_service_sid": "MG1"});
    assert_eq!(validate("twilio_sms", Stage::Activate, service).unwrap().external_id.as_deref(), Some("MG1"));
}

#[test]
fn case_14_the_api_version_has_a_default_and_a_shape() {
    assert_eq!(validate("whatsapp", Stage::Create, json!({})).unwrap().config["api_version"], "v17.0");
    let errors = all(validate("whatsapp", Stage::Create, json!({"api_version": "17"})));
    assert_eq!(errors, [("config_field_invalid", "api_version".to_owned())]);
}

#[test]
fn case_15_a_schema_must_not_contradict_itself() {
    let world = world();
    let create = |schema: Value| run::<CreateChannelType>(&world, fax(json!({"config_schema": schema})));
    let twice = json!([{"key": "a", "type": "string"}, {"key": "a", "type": "string"}]);
    assert_eq!(code(create(twice)), "config_schema_invalid");
    let secret = json!([{"key": "a", "type": "string", "secret": true, "default": "x"}]);
    assert_eq!(code(create(secret)), "config_schema_invalid");
    let unfit = json!([{"key": "a", "type": "integer", "default": "x"}]);
    assert_eq!(code(create(unfit)), "config_schema_invalid");
    // The kernel's own code for words outside a list wins over the page's.
    let blob = fax(json!({"config_schema": [{"key": "a", "type": "blob"}]}));
    let error = crate::kernel::input::parse_value::<CreateChannelType>(blob).unwrap_err();
    assert_eq!((error.code(), error.field()), (ErrorCode::EnumUnknown, Some("config_schema[0].type")));
}

#[test]
fn case_16_capabilities_must_fit_together() {
    let world = world();
    let update = |capabilities: Value| {
        let id = find(&world, "waha").id;
        run::<UpdateChannelType>(&world, json!({"id": id, "capabilities": capabilities}))
    };
    assert_eq!(code(update(json!({"labels": false, "labels_two_way": true}))), "capabilities_invalid");
    assert_eq!(code(update(json!({"qr": true}))), "capabilities_invalid");
    assert!(update(json!({"groups": true})).unwrap().capabilities.groups);
}

#[test]
fn case_17_a_type_has_a_mode() {
    let world = world();
    assert_eq!(code(run::<CreateChannelType>(&world, fax(json!({"modes": []})))), "connection_mode_invalid");
}

#[test]
fn case_18_only_unused_types_of_the_host_are_deleted() {
    let world = world();
    let telegram = find(&world, "telegram").id;
    assert_eq!(code(run::<DeleteChannelType>(&world, json!({"id": telegram}))), "channel_type_built_in");
    let own = run::<CreateChannelType>(&world, fax(json!({}))).unwrap();
    assert_eq!(code(run::<DeleteChannelType>(&world, json!({"id": own.id}))), "invalid_state");
    let make = crate::channels::channel::commands::CreateChannel {
        name: "Old fax".to_owned(),
        channel_type: "fax".to_owned(),
        ..Default::default()
    };
    let channel = block_on(world.crm.project(project()).execute(make)).unwrap().channel.id;
    let remove = crate::channels::channel::commands::DeleteChannel { id: channel };
    block_on(world.crm.project(project()).execute(remove)).unwrap();
    run::<DeactivateChannelType>(&world, json!({"id": own.id})).unwrap();
    assert_eq!(code(run::<DeleteChannelType>(&world, json!({"id": own.id}))), "channel_type_in_use");

    let unused =
        json!({"code": "telex", "display_name": "Telex", "provider": "acme", "family": "chat", "active": false});
    let telex = run::<CreateChannelType>(&world, unused.clone()).unwrap();
    run::<DeleteChannelType>(&world, json!({"id": telex.id})).unwrap();
    assert_eq!(types_of(&world, telex.id), ["channel_type.created", "channel_type.deleted"]);
    assert!(run::<CreateChannelType>(&world, unused).is_ok());
    world.assert_log_matches();
}

#[test]
fn case_19_equal_values_change_nothing() {
    let world = world();
    let before = find(&world, "waha");
    let same = json!({"id": before.id, "display_name": before.display_name, "capabilities": before.capabilities});
    assert_eq!(run::<UpdateChannelType>(&world, same).unwrap(), before);
    let renamed = run::<UpdateChannelType>(&world, json!({"id": before.id, "display_name": " My WAHA "})).unwrap();
    assert_eq!((renamed.display_name.as_str(), renamed.version), ("My WAHA", 2));
}

#[test]
fn case_20_settings_hold_no_secret() {
    let world = world();
    let id = find(&world, "whatsapp").id;
    let update = run::<UpdateChannelType>(&world, json!({"id": id, "settings": {"access_token": "x"}}));
    assert_eq!(code(update), "config_field_secret");
}

#[test]
fn case_21_a_changed_definition_is_taken_over_and_the_operator_keeps_the_switch() {
    let world = world();
    let messenger = find(&world, "messenger").id;
    run::<DeactivateChannelType>(&world, json!({"id": messenger})).unwrap();
    run::<UpdateChannelType>(&world, json!({"id": messenger, "settings": {"api_version": "v20.0"}})).unwrap();
    let mut definitions = built_in();
    let changed = definitions.iter_mut().find(|d| d.code == "messenger").unwrap();
    changed.config_schema.push(ConfigField::new("locale", ConfigFieldType::String, "Locale"));
    block_on(seed_with(&world.crm, definitions)).unwrap();
    let after = find(&world, "messenger");
    assert!(!after.active && after.field("locale").is_some());
    assert_eq!(after.settings["api_version"], "v20.0");
    assert_eq!(types_of(&world, messenger).last().unwrap(), "channel_type.configured");
    assert_eq!(types_of(&world, find(&world, "waha").id), ["channel_type.created"], "others are left alone");
    world.assert_log_matches();
}

#[test]
fn what_an_operator_changed_survives_the_next_opening() {
    let world = world();
    let id = find(&world, "telegram").id;
    run::<UpdateChannelType>(&world, json!({"id": id, "capabilities": {"groups": false}})).unwrap();
    block_on(seed(&world.crm)).unwrap();
    assert!(!find(&world, "telegram").capabilities.groups);
}

#[test]
fn a_type_of_the_host_keeps_its_code_when_the_library_learns_it() {
    let world = world();
    let own = run::<CreateChannelType>(&world, fax(json!({}))).unwrap();
    let mut definitions = built_in();
    let mut new = definitions[0].clone();
    new.code = "fax".to_owned();
    new.legacy_id = None;
    definitions.push(new);
    block_on(seed_with(&world.crm, definitions)).unwrap();
    assert_eq!(find(&world, "fax").id, own.id);
}

#[test]
fn case_22_only_the_platform_changes_the_catalogue() {
    let world = world();
    let context = Context::new(None, ActorRef::system(Component::Channel));
    let id = find(&world, "waha").id;
    let refused = block_on(world.crm.execute_in(context, DeactivateChannelType { id, reason: None }));
    assert_eq!(code(refused), "permission_denied");
}

#[test]
fn a_checked_configuration_names_secrets_and_never_repeats_them() {
    let world = world();
    let input =
        json!({"code": "waha", "input": {"base_url": "http://localhost:3000", "api_key": "k"}, "stage": "activate"});
    let checked = ask::<ValidateConfig>(&world, input).unwrap();
    assert_eq!(checked.secret_keys, ["api_key"]);
    assert!(!serde_json::to_string(&checked).unwrap().contains("\"k\""));
    let auto = json!({"code": "waha", "mode": "auto", "input": {}, "stage": "create"});
    assert_eq!(code(ask::<ValidateConfig>(&world, auto)), "connection_mode_unsupported");
}

#[test]
fn unknown_fields_of_a_list_are_refused() {
    let error = crate::kernel::input::parse_value::<ListChannelTypes>(json!({"limits": 1})).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UnknownField);
    let list: ListChannelTypes = given(json!({"limit": 3}));
    assert_eq!(list.page, PageRequest { limit: Some(3), ..PageRequest::default() });
}
