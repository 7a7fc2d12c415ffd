//! What the filter grammar accepts, refuses and means.

use super::*;
use crate::kernel::ErrorKind;
use crate::storage::{Column, Document, Index, matches};
use serde_json::json;
use uuid::Uuid;

const FIELDS: Fields = Fields::new(
    &[
        Column::new("name", FieldKind::Text).sortable(),
        Column::new("company", FieldKind::Text),
        Column::new("lead_score", FieldKind::Number),
        Column::new("last_interaction_at", FieldKind::Instant),
        Column::new("birthday", FieldKind::Date),
        Column::new("status", FieldKind::Enum),
        Column::new("owner_id", FieldKind::Id),
        Column::new("blocked", FieldKind::Bool),
        Column::new("address.city", FieldKind::Text).many(),
        Column::new("secret", FieldKind::Text).unfiltered(),
    ],
    &["tags"],
    Some("custom."),
);

fn now() -> Timestamp {
    Timestamp::parse("2025-03-15T13:30:00Z").unwrap()
}

fn check(filter: Json) -> Result<Filter> {
    input::parse_value::<FilterExpression>(filter)?.check(&FIELDS, now())
}

#[track_caller]
fn refused(filter: Json, code: ErrorCode, field: &str) {
    let error = check(filter).unwrap_err();
    assert_eq!((error.code(), error.field().unwrap_or_default()), (code, field));
}

#[track_caller]
fn is_true_for(filter: Json, fill: impl Fn(&mut Index)) -> bool {
    let mut index = Index::default();
    fill(&mut index);
    let filter = check(filter).unwrap();
    matches(
        &filter,
        &Document { id: Uuid::from_u128(7), version: 1, created_at: now(), updated_at: now(), index: &index },
    )
}

fn leaf(field: &str, op: &str, value: Json) -> Json {
    json!({"field": field, "op": op, "value": value})
}

#[test]
fn case_04_tags_compare_without_case() {
    for tag in ["VIP", "vip"] {
        assert!(is_true_for(leaf("tags", "contains", json!("vip")), |index| index.attribute("tags", tag)));
    }
    assert!(!is_true_for(leaf("tag", "eq", json!("vip")), |index| index.attribute("tags", "vips")));
}

#[test]
fn case_05_a_negative_operator_is_true_for_a_missing_value() {
    let filter = || leaf("company", "ne", json!("Acme"));
    assert!(is_true_for(filter(), |_| ()));
    assert!(is_true_for(filter(), |index| index.column("company", "Other")));
    assert!(!is_true_for(filter(), |index| index.column("company", " acme ")));
}

#[test]
fn case_06_an_ordering_is_false_for_a_missing_value() {
    let filter = || leaf("lead_score", "lt", json!(50));
    assert!(is_true_for(filter(), |index| index.column("lead_score", 10u32)));
    assert!(!is_true_for(filter(), |index| index.column("lead_score", 90u32)));
    assert!(!is_true_for(filter(), |_| ()));
}

#[test]
fn case_07_text_is_folded_and_signs_are_literal() {
    assert!(is_true_for(leaf("name", "contains", json!("acao")), |index| index.column("name", "Ação")));
    assert!(!is_true_for(leaf("name", "contains", json!("%")), |index| index.column("name", "Ação")));
    assert!(is_true_for(leaf("name", "contains", json!("%")), |index| index.column("name", "50 % off")));
}

#[test]
fn case_08_all_and_any() {
    let has = |tag: &str| leaf("tags", "contains", json!(tag));
    let only_a = |index: &mut Index| index.attribute("tags", "a");
    let both = |index: &mut Index| ["a", "b"].into_iter().for_each(|tag| index.attribute("tags", tag));
    assert!(!is_true_for(json!({"all": [has("a"), has("b")]}), only_a));
    assert!(is_true_for(json!({"all": [has("a"), has("b")]}), both));
    assert!(is_true_for(json!({"any": [has("a"), has("b")]}), only_a));
    assert!(is_true_for(json!({"all": []}), only_a));
    assert!(!is_true_for(json!({"any": []}), only_a));
    assert!(is_true_for(json!({"not": {"any": []}}), only_a));
}

#[test]
fn case_10_a_custom_field_has_the_kind_of_its_definition() {
    let filter = leaf("custom.company_size", "gt", json!(100));
    assert!(is_true_for(filter.clone(), |index| index.attribute("custom.company_size", 500u32)));
    assert!(!is_true_for(filter, |index| index.attribute("custom.company_size", 50u32)));
    let fields = FIELDS.with_custom("company_size", FieldKind::Number);
    let code = |filter: Json| {
        input::parse_value::<FilterExpression>(filter).unwrap().check(&fields, now()).unwrap_err().code()
    };
    assert_eq!(code(leaf("custom.company_size", "contains", json!("1"))), ErrorCode::FilterOpUnsupported);
    assert_eq!(code(leaf("custom.company_size", "gt", json!("big"))), ErrorCode::FilterValueMismatch);
}

#[test]
fn case_11_unknown_fields_are_refused() {
    refused(leaf("password", "eq", json!("x")), ErrorCode::FilterFieldUnknown, "field");
    refused(leaf("secret", "eq", json!("x")), ErrorCode::FilterFieldUnknown, "field");
    refused(leaf("custom.", "eq", json!("x")), ErrorCode::FilterFieldUnknown, "field");
    refused(leaf("custom.a' OR 1", "eq", json!("x")), ErrorCode::FilterFieldUnknown, "field");
}

#[test]
fn case_13_values_fit_the_operator() {
    refused(leaf("name", "is_null", json!("x")), ErrorCode::FilterValueNotAllowed, "value");
    refused(leaf("name", "in", json!("a")), ErrorCode::FilterValueNotList, "value");
    refused(leaf("name", "in", json!([])), ErrorCode::FilterValueNotList, "value");
    refused(json!({"field": "name", "op": "eq"}), ErrorCode::FilterValueRequired, "value");
    refused(leaf("name", "eq", json!("  ")), ErrorCode::FilterValueRequired, "value");
    refused(leaf("lead_score", "in", json!([1, "2"])), ErrorCode::FilterValueMismatch, "value[1]");
    refused(leaf("owner_id", "eq", json!("me")), ErrorCode::FilterValueMismatch, "value");
    refused(leaf("name", "gt", json!("a")), ErrorCode::FilterOpUnsupported, "op");
    refused(json!({"all": [{"not": leaf("name", "like", json!("a"))}]}), ErrorCode::EnumUnknown, "all[0].not.op");
    refused(
        json!({"all": [{"not": leaf("nome", "eq", json!("a"))}]}),
        ErrorCode::FilterFieldUnknown,
        "all[0].not.field",
    );
    refused(json!({"field": "name"}), ErrorCode::FieldRequired, "op");
    refused(json!({"all": [], "any": []}), ErrorCode::InputInvalid, "");
}

#[test]
fn case_14_relative_moments_move_with_the_clock() {
    let filter = || leaf("last_interaction_at", "lt", json!({"relative": "-30d"}));
    let at = |days: i64| now().plus_seconds(-days * 86_400);
    assert!(!is_true_for(filter(), |index| index.column("last_interaction_at", at(29))));
    assert!(is_true_for(filter(), |index| index.column("last_interaction_at", at(31))));
    refused(leaf("last_interaction_at", "lt", json!({"relative": "30 days"})), ErrorCode::FilterValueMismatch, "value");
}

#[test]
fn relative_moments_snap_in_the_zone() {
    let zone = chrono_tz::America::Sao_Paulo;
    let at = |value: Json| relative(&value, now(), zone).unwrap().to_string();
    assert_eq!(at(json!({"relative": "+1h"})), "2025-03-15T14:30:00.000000Z");
    assert_eq!(at(json!({"relative": "0d", "snap": "day"})), "2025-03-15T03:00:00.000000Z");
    assert_eq!(at(json!({"relative": "0d", "snap": "week"})), "2025-03-10T03:00:00.000000Z");
    assert_eq!(at(json!({"relative": "-1w", "snap": "month"})), "2025-03-01T03:00:00.000000Z");
}

#[test]
fn a_plain_date_is_its_midnight_and_an_instant_gives_its_date() {
    assert!(is_true_for(leaf("created_at", "gte", json!("2025-03-15")), |_| ()));
    assert!(!is_true_for(leaf("created_at", "gte", json!("2025-03-16")), |_| ()));
    let born = |index: &mut Index| index.column("birthday", "1990-05-17");
    assert!(is_true_for(leaf("birthday", "lt", json!("1990-05-18T08:00:00Z")), born));
    assert!(!is_true_for(leaf("birthday", "lt", json!("1990-05-17")), born));
}

#[test]
fn some_value_of_many_is_enough() {
    let cities =
        |index: &mut Index| ["Belém", "São Paulo"].into_iter().for_each(|c| index.attribute("address.city", c));
    assert!(is_true_for(leaf("address.city", "starts_with", json!("sao")), cities));
    assert!(!is_true_for(leaf("address.city", "not_contains", json!("paulo")), cities));
    assert!(!is_true_for(json!({"field": "address.city", "op": "is_null"}), cities));
}

#[test]
fn case_27_limits() {
    let nest = |depth: usize| (1..depth).fold(leaf("name", "eq", json!("x")), |inner, _| json!({"all": [inner]}));
    assert!(check(nest(6)).is_ok());
    refused(nest(7), ErrorCode::FilterTooDeep, "");
    let wide = |leaves: usize| json!({"any": vec![leaf("name", "eq", json!("x")); leaves]});
    assert!(check(wide(100)).is_ok());
    refused(wide(101), ErrorCode::FilterTooLarge, "");
    refused(leaf("name", "in", json!(vec!["x"; 1001])), ErrorCode::FilterTooLarge, "value");
    refused(leaf("name", "eq", json!("x".repeat(1025))), ErrorCode::FilterTooLarge, "value");
    assert_eq!(ErrorCode::FilterTooDeep.kind(), ErrorKind::LimitExceeded);
}

#[test]
fn an_expression_reads_back_as_written() {
    let written = json!({"all": [leaf("name", "eq", json!("x")), {"not": {"field": "tags", "op": "is_null"}}]});
    let expression: FilterExpression = serde_json::from_value(written.clone()).unwrap();
    assert!(expression.names("tags") && !expression.names("status"));
    assert_eq!(serde_json::to_value(expression).unwrap(), written);
}
