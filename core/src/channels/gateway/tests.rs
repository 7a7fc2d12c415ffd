//! The contract's own types.

use super::*;
use crate::kernel::Timestamp;

#[test]
fn case_23_debug_output_shows_no_secret() {
    let mut context = GatewayContext::new("default", Timestamp::from_seconds(0).expect("an instant"));
    context.webhook_hmac_key = Some(SecretBytes::new("my-secret-key"));
    let shown = format!("{context:?}");
    assert!(shown.contains("redacted") && !shown.contains("my-secret-key"), "{shown}");
}

#[test]
fn items_name_their_kind_and_round_trip() {
    let json =
        r##"{"type":"label_change","label_id":"1","label":{"id":"1","name":"VIP","color":3,"color_hex":"#DFAEF0"}}"##;
    let item: InboundItem = serde_json::from_str(json).expect("readable");
    assert_eq!(item.kind(), "label_change");
    let written = serde_json::to_value(&item).expect("writes");
    assert_eq!(written["type"], "label_change");
    assert_eq!(serde_json::from_value::<InboundItem>(written).expect("reads"), item);
}

#[test]
fn schemas_mark_personal_data() {
    let schema = serde_json::to_value(schemars::schema_for!(InboundItem)).expect("a schema");
    let phone = &schema["$defs"]["Identifiers"]["properties"]["wid"];
    assert_eq!((&phone["x-pii"], &phone["x-pii-kind"]), (&"contact".into(), &"phone".into()), "{phone}");
}

#[test]
fn adapters_are_found_by_the_gateway_name() {
    assert_eq!(adapter("waha").map(ChannelAdapter::code), Some("waha"));
    assert!(adapter("carrier_pigeon").is_none());
}

#[test]
fn every_kind_of_item_is_one_flat_object_in_the_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(InboundItem)).expect("a schema");
    let kinds = schema["oneOf"].as_array().expect("variants");
    assert_eq!(kinds.len(), 17);
    assert!(kinds.iter().all(|kind| kind.get("$ref").is_none() && kind["properties"]["provider"].is_object()));
}
