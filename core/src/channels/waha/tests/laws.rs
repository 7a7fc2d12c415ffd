//! Laws: never a panic, same bytes give same items, what is new does not matter.

use super::*;

/// Every payload at hand: the recorded ones where they are, and those of the quickstart.
fn samples() -> Vec<(GatewayContext, Vec<u8>)> {
    let mut samples = Vec::new();
    for body in RECORDED.iter().filter_map(|name| recorded(name)) {
        let json: Value = serde_json::from_slice(&body).expect("JSON");
        let session = json["session"].as_str().expect("a name");
        let second = json["me"]["pushName"] == "Business Two";
        let context = if second { line_two(session) } else { line_one(session) };
        assert_eq!(read(&context, &body).items.len() + read(&context, &body).ignored.len(), 1);
        samples.push((context, body));
    }
    samples.extend(quickstart::payloads().into_iter().map(|(_, body)| (quickstart::line(), body)));
    samples
}

#[test]
fn case_28_gateway_case_08_cut_anywhere() {
    for (context, body) in samples() {
        for end in 0..body.len() {
            let found = read(&context, &body[..end]);
            let whole_again = body[end..].iter().all(u8::is_ascii_whitespace);
            assert!(whole_again || found.is_unparseable(), "{end}: {found:?}");
        }
    }
}

#[test]
fn gateway_case_09_new_fields_change_nothing() {
    fn extend(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.values_mut().for_each(extend);
                members.insert("x_new".to_owned(), json!({}));
            }
            Value::Array(items) => items.iter_mut().for_each(extend),
            _ => {}
        }
    }
    for (context, body) in samples() {
        let mut json: Value = serde_json::from_slice(&body).expect("JSON");
        extend(&mut json);
        assert_eq!(read(&context, json.to_string()), read(&context, &body));
    }
}

#[test]
fn gateway_case_25_same_bytes_same_items() {
    for (context, body) in samples() {
        assert_eq!(read(&context, &body), read(&context, &body));
    }
}

#[test]
fn any_member_may_be_missing_or_of_another_type() {
    fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
        let mut visit = |name: String, inner: &Value| {
            let path = format!("{at}/{name}");
            found.push(path.clone());
            paths(inner, &path, found);
        };
        match value {
            Value::Object(members) => members.iter().for_each(|(name, inner)| visit(name.clone(), inner)),
            Value::Array(items) => items.iter().enumerate().for_each(|(i, inner)| visit(i.to_string(), inner)),
            _ => {}
        }
    }
    for (context, body) in samples() {
        let json: Value = serde_json::from_slice(&body).expect("JSON");
        let mut all = Vec::new();
        paths(&json, "", &mut all);
        for path in all {
            for other in [Value::Null, json!(-1), json!("_@:"), json!([{}]), json!({"a": {}}), json!(1e300)] {
                let mut changed = json.clone();
                *changed.pointer_mut(&path).expect("its own path") = other;
                let found = read(&context, changed.to_string());
                assert!(!found.items.is_empty() || !found.ignored.is_empty(), "{path}");
            }
        }
    }
}

#[test]
fn bytes_of_any_kind() {
    let context = line_one("session-one");
    let deep = "[".repeat(100_000);
    for body in [&b""[..], b"null", b"[]", b"7", b"\xff\xfe", b"{\"event\":7}", b"\\", b"\"\\ud800", deep.as_bytes()] {
        assert!(read(&context, body).is_unparseable());
    }
}

#[test]
fn half_an_emoji_loses_the_half_not_the_message() {
    let body = inbound(json!({"conversation": "x"}), json!({"body": "Oi HALF \u{1F600} \\ud83d"}));
    let text = body.to_string().replace("HALF", r"\ud83d").replace('\u{1F600}', r"\ud83d\ude00");
    let found = message_of(item(&context_one(), text));
    assert_eq!(found.content.words(), Some("Oi \u{FFFD} \u{1F600} \\ud83d"));
}

fn context_one() -> GatewayContext {
    line_one("session-one")
}
