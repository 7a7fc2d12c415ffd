//! The acceptance cases of custom fields, and the rules of each type.

use super::*;
use serde_json::json;

fn definition(key: &str, kind: CustomFieldType) -> CustomFieldDefinition {
    CustomFieldDefinition::new(CustomFieldKey::parse(key).unwrap(), kind, "Label")
}

fn rules(definitions: &[CustomFieldDefinition]) -> CustomFieldRules<'_> {
    CustomFieldRules { definitions, region: Some(crate::kernel::Region::parse("BR").unwrap()), ..Default::default() }
}

fn fields(json: Value) -> CustomFields {
    serde_json::from_value(json).unwrap()
}

#[track_caller]
fn set(fields: &mut CustomFields, key: &str, value: Value, rules: CustomFieldRules<'_>) -> Result<bool, &'static str> {
    fields.set(key, &value.into(), &rules).map_err(|error| error.code().as_str())
}

#[track_caller]
fn reads(kind: CustomFieldType, value: Value, expected: Value) {
    let region = Some(crate::kernel::Region::parse("BR").unwrap());
    let read = CustomValue::read(kind, &value, None, region).unwrap_or_else(|error| panic!("{value}: {error:?}"));
    assert_eq!(read.to_json(), expected);
    let stored = serde_json::to_value(&read).unwrap();
    assert_eq!(serde_json::from_value::<CustomValue>(stored).unwrap(), read);
}

#[track_caller]
fn refuses(kind: CustomFieldType, value: Value, reason: &str) {
    let error = CustomValue::read(kind, &value, None, None).unwrap_err();
    assert_eq!(
        (error.code().as_str(), &error.details()["reason"]),
        ("custom_field_value_invalid", &json!(reason)),
        "{value}"
    );
}

#[test]
fn case_13_a_select_takes_its_options_only() {
    let mut plan = definition("plan", CustomFieldType::Select);
    plan.options = vec!["free".into(), "pro".into()];
    let definitions = [plan];
    let mut fields = CustomFields::new();
    assert_eq!(set(&mut fields, "plan", json!("gold"), rules(&definitions)), Err("custom_field_value_invalid"));
    assert_eq!(set(&mut fields, "plan", json!("pro"), rules(&definitions)), Ok(true));
    assert_eq!(set(&mut fields, "plan", json!("pro"), rules(&definitions)), Ok(false));
}

#[test]
fn case_14_an_undefined_field_keeps_its_inferred_type() {
    let mut fields = CustomFields::new();
    assert_eq!(set(&mut fields, "score", json!(7), rules(&[])), Ok(true));
    assert_eq!(fields.get("score").unwrap().kind(), CustomFieldType::Number);
    assert_eq!(set(&mut fields, "score", json!("high"), rules(&[])), Err("custom_field_type_mismatch"));
    assert_eq!(set(&mut fields, "score", json!("8.50"), rules(&[])), Ok(true));
    assert_eq!(fields.get("score").unwrap().to_json(), json!(8.5));
}

#[test]
fn case_15_dates_and_phones_are_checked() {
    refuses(CustomFieldType::Date, json!("2025-02-30"), "not_a_date");
    reads(CustomFieldType::Phone, json!("(11) 99999-9999"), json!("+5511999999999"));
}

#[test]
fn case_16_fixed_fields_stay() {
    let mut labels = definition("labels", CustomFieldType::Label);
    labels.fixed = true;
    let definitions = [labels];
    let mut fields = fields(json!({"labels": {"type": "label", "value": ["7"]}}));
    let mut remove = |key| fields.remove(key, &rules(&definitions)).unwrap_err().code().as_str();
    assert_eq!(remove("labels"), "custom_field_fixed");
    assert_eq!(remove("unknown"), "custom_field_not_found");
}

#[test]
fn every_type_normalises_its_values() {
    use CustomFieldType::*;
    reads(Text, json!(" a\r\nb  "), json!(" a\nb"));
    reads(Number, json!(7), json!(7));
    reads(Number, json!("0.10"), json!(0.1));
    reads(Number, json!(1e3), json!(1000));
    reads(Number, json!("1234567890123456789012345.678"), json!("1234567890123456789012345.678"));
    reads(Boolean, json!(true), json!(true));
    reads(Date, json!("2025-02-28"), json!("2025-02-28"));
    reads(Date, json!("2025-02-28T12:00:00-03:00"), json!("2025-02-28T15:00:00.000000Z"));
    reads(Select, json!(" a  b "), json!("a b"));
    reads(MultiSelect, json!(["a", "b", "a "]), json!(["a", "b"]));
    reads(Label, json!(["7", "7", "9"]), json!(["7", "9"]));
    reads(Url, json!("HTTPS://Ex.com/A"), json!("https://ex.com/A"));
    reads(Email, json!("Ana@X.com"), json!("ana@x.com"));
    reads(Json, json!({"any key": [1, null]}), json!({"any key": [1, null]}));
}

#[test]
fn every_type_refuses_what_it_is_not() {
    use CustomFieldType::*;
    refuses(Text, json!(1), "not_a_string");
    refuses(Text, json!("x".repeat(4097)), "text_too_long");
    for text in ["", "NaN", "inf", "1,5", "1_0", "0x10", "12345678901234567890123456789"] {
        refuses(Number, json!(text), "not_a_number");
    }
    refuses(Boolean, json!("true"), "not_a_boolean");
    refuses(MultiSelect, json!(["a", 1]), "not_a_string");
    refuses(Label, json!("7"), "not_a_list");
    refuses(Label, (0..101).map(|n| n.to_string()).collect::<Vec<_>>().into(), "too_many");
    refuses(Url, json!("ftp://x.com"), "url_scheme_unsupported");
    refuses(Email, json!("a@b"), "email_invalid");
    refuses(Phone, json!("11 99999-9999"), "phone_region_required");
    refuses(Json, json!("{}"), "not_an_object_or_list");
    refuses(Json, json!(["x".repeat(17_000)]), "json_too_large");
}

#[test]
fn types_are_inferred_from_the_value() {
    let inferred = |value: Value| CustomFieldType::infer(&value).map(CustomFieldType::as_str);
    assert_eq!(inferred(json!("x")), Some("text"));
    assert_eq!(inferred(json!(["x"])), Some("multi_select"));
    assert_eq!(inferred(json!([1])), Some("json"));
    assert_eq!(inferred(json!({})), Some("json"));
    assert_eq!(set(&mut CustomFields::new(), "x", Value::Null, rules(&[])), Err("custom_field_value_invalid"));
}

#[test]
fn keys_definitions_and_writers_are_checked() {
    let mut system = definition("origin", CustomFieldType::Text);
    system.system = true;
    let mut locked = definition("locked", CustomFieldType::Text);
    locked.read_only = true;
    let definitions = [system, locked, definition("mail", CustomFieldType::Email)];
    let mut fields = CustomFields::new();
    let mut code = |key, value, rules| set(&mut fields, key, value, rules).unwrap_err();
    assert_eq!(code("", json!(1), rules(&[])), "custom_field_key_required");
    assert_eq!(code("Plan", json!(1), rules(&[])), "custom_field_key_invalid");
    assert_eq!(code("1a", json!(1), rules(&[])), "custom_field_key_invalid");
    assert_eq!(code("origin", json!("x"), rules(&definitions)), "custom_field_system");
    assert_eq!(code("locked", json!("x"), rules(&definitions)), "custom_field_read_only");
    assert_eq!(code("x", json!(1), CustomFieldRules { strict: true, ..rules(&[]) }), "custom_field_undefined");
    let typed = CustomFieldInput { r#type: Some(CustomFieldType::Text), value: json!("x") };
    let error = fields.set("mail", &typed, &rules(&definitions)).unwrap_err();
    assert_eq!((error.code().as_str(), error.field()), ("custom_field_type_mismatch", Some("mail")));
    let by_system = CustomFieldRules { by_system: true, ..rules(&definitions) };
    assert_eq!(set(&mut fields, "origin", json!("x"), by_system), Ok(true));
}

#[test]
fn an_entity_has_at_most_200_fields() {
    let mut fields = CustomFields::new();
    for n in 0..200 {
        set(&mut fields, &format!("f{n}"), json!(n), rules(&[])).unwrap();
    }
    assert_eq!(set(&mut fields, "more", json!(1), rules(&[])), Err("custom_field_limit"));
    assert_eq!(set(&mut fields, "f0", json!(1), rules(&[])), Ok(true));
}

#[test]
fn merging_lets_the_other_win_or_changes_nothing() {
    let ours = fields(json!({"a": 1, "b": "x"}));
    let merged = ours.merge(&fields(json!({"b": "y", "c": true}))).unwrap();
    assert_eq!(merged, fields(json!({"a": 1, "b": "y", "c": true})));
    let error = ours.merge(&fields(json!({"a": "one"}))).unwrap_err();
    assert_eq!((error.code().as_str(), error.field()), ("custom_field_type_mismatch", Some("a")));
}

#[test]
fn validation_returns_every_violation() {
    let mut required = definition("cpf", CustomFieldType::Text);
    required.required = true;
    let mut plan = definition("plan", CustomFieldType::Select);
    plan.options = vec!["pro".into()];
    let definitions = [required, plan, definition("age", CustomFieldType::Number)];
    let fields = fields(json!({"age": "old", "plan": {"type": "select", "value": "gold"}}));
    let codes: Vec<_> = fields
        .validate(&rules(&definitions))
        .iter()
        .map(|e| (e.code().as_str(), e.field().map(String::from)))
        .collect();
    assert_eq!(
        codes,
        [
            ("custom_field_required", Some("cpf".into())),
            ("custom_field_type_mismatch", Some("age".into())),
            ("custom_field_value_invalid", Some("plan".into())),
        ]
    );
}

#[test]
fn json_has_a_long_and_a_short_form() {
    let short = fields(json!({"plan": "x"}));
    assert_eq!(serde_json::to_value(&short).unwrap(), json!({"plan": {"type": "text", "value": "x"}}));
    assert_eq!(fields(serde_json::to_value(&short).unwrap()), short);
    let input = |json: &str| crate::kernel::input::parse::<CustomFieldInput>(json.as_bytes());
    assert_eq!(input(r#"{"type": "email", "value": "a@x.com"}"#).unwrap().r#type, Some(CustomFieldType::Email));
    assert_eq!(input(r#"{"type": "email"}"#).unwrap().r#type, None);
    assert_eq!(input(r#"{"type": "emoji", "value": 1}"#).unwrap_err().code(), ErrorCode::CustomFieldTypeInvalid);
    assert!(input("null").unwrap().is_clear());
    let field: CustomField = serde_json::from_value(json!({"key": "plan", "type": "text", "value": "x"})).unwrap();
    assert_eq!(serde_json::to_value(&field).unwrap(), json!({"key": "plan", "type": "text", "value": "x"}));
}

#[test]
fn a_broken_stored_field_names_its_key() {
    let error = crate::kernel::input::parse::<CustomFields>(br#"{"site": {"type": "url", "value": "x"}}"#).unwrap_err();
    assert_eq!((error.code().as_str(), error.field()), ("custom_field_value_invalid", Some("site")));
}

#[test]
fn erased_values_can_still_be_read() {
    let erased = fields(json!({"mail": {"type": "email", "value": {"$redacted": "email"}}}));
    assert_eq!(erased.get("mail"), Some(&CustomValue::Text("[erased]".into())));
}

#[test]
fn definitions_are_normalised_or_refused() {
    let mut plan = definition("plan", CustomFieldType::Select);
    plan.options = vec![" free ".into(), "pro".into()];
    plan.default = Some(json!("free"));
    let plan = plan.checked(None).unwrap();
    assert_eq!(plan.options, ["free", "pro"]);
    let defaults = CustomFields::new().defaults(&rules(std::slice::from_ref(&plan))).unwrap();
    assert_eq!(defaults[0].value, CustomValue::Select("free".into()));

    let mut wrong = definition("plan", CustomFieldType::Select);
    wrong.label = " ".into();
    wrong.default = Some(json!(1));
    let error = wrong.checked(None).unwrap_err();
    let all: Vec<_> = error.all().map(|e| (e.code().as_str(), e.field().unwrap_or_default().to_owned())).collect();
    assert_eq!(
        all,
        [
            ("name_required", "label".to_owned()),
            ("custom_field_options_required", "options".to_owned()),
            ("custom_field_value_invalid", "default".to_owned())
        ]
    );
}
