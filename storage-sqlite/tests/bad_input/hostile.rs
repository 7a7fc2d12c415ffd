//! Values that no friendly program sends.

use super::schema::{forms, types};
use serde_json::{Value, json};

/// Stands for JSON text that `serde_json` would not write.
const RAW: &str = "\u{1}raw:";

/// A value that is written as this very text.
fn raw(text: &str) -> Value {
    Value::from(format!("{RAW}{text}"))
}

/// The JSON text of an input.
pub fn text(input: &Value) -> String {
    let mut text = input.to_string();
    let mark = serde_json::to_string(RAW).expect("a text serialises");
    let mark = mark.trim_end_matches('"');
    while let Some(start) = text.find(mark) {
        let end = start + mark.len() + text[start + mark.len()..].find('"').expect("the text ends");
        let inner = text[start + mark.len()..end].replace('~', "\"");
        text.replace_range(start..=end, &inner);
    }
    text
}

/// What may stand at every place.
pub fn everywhere() -> Vec<Value> {
    let mut values: Vec<Value> = TEXTS.iter().map(|text| Value::from(*text)).collect();
    values.extend([
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(9_007_199_254_740_993_i64),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!([]),
        json!([null]),
        json!([[[["deep"]]]]),
        json!({}),
        json!({"": ""}),
        json!({"\u{1}ventros:internal\u{1}\u{1}spoofed\u{1}{}": 1}),
        json!({"type": "unheard_of"}),
        json!({"$where": "1 = 1"}),
    ]);
    // Half a surrogate pair, an escape that is none, a number without end; `~` stands for a quotation mark.
    values.extend(["~\\ud800~", "~a\\udfffb~", "~\\x41~", "1e400", "-1e400", "00", "NaN", "~\t~"].map(raw));
    values
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "\n",
    "\u{0}",
    "a\u{0}b",
    "\u{7f}",
    "\u{202e}txet",
    "\u{feff}",
    "\u{200b}",
    "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
    "👩‍👩‍👧‍👦",
    "𝕬",
    "ﷺ",
    "'; DROP TABLE contacts; --",
    "\" OR 1=1 --",
    "%_\\",
    "* NEAR(\"x",
    "{{7*7}}${7*7}",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "00000000-0000-0000-0000-000000000000",
    "0190b6f0-0000-7000-8000-00000000dead",
    "0000-00-00T00:00:00Z",
    "2025-02-30T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00Z",
    "2025-01-06T09:00:00+99:99",
    "https://",
    "https://user:secret@[::1]:99999/",
    "javascript:alert(1)",
    "+",
    "+00000000000000",
    "a@b",
    "@",
    "\u{1}ventros:\u{1}\u{1}",
    "-1d",
    "999999999999999999999999",
    "1e309",
    "null",
    "*",
];

/// What is too much of it.
pub fn huge() -> Vec<Value> {
    let deep = |open: &str, close: &str| raw(&format!("{}1{}", open.repeat(100), close.repeat(100)));
    vec![
        Value::from("x".repeat(1 << 20)),
        Value::from("\u{301}".repeat(1 << 18)),
        Value::from(vec![json!(null); 100_000]),
        Value::from(vec![json!("0190b6f0-0000-7000-8000-000000000001"); 100_000]),
        (0..20_000).map(|key| (format!("k{key}"), json!(key))).collect(),
        deep("[", "]"),
        deep("{~a~:", "}"),
        raw(&format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))),
    ]
}

/// Whether the schema of a place already says that this cannot stand there.
pub fn breaks(schema: &Value, value: &Value) -> bool {
    let is_absent = value.is_null() && schema.get("default").is_some();
    // A reader may take a list for an object by position, and a number for a word by place.
    let by_place = value.is_array() && types(schema).iter().any(|kind| kind == "object");
    if is_absent || by_place || (value.is_number() && schema.get("const").is_some()) {
        return false;
    }
    if value.as_str().is_some_and(|text| text.starts_with(RAW)) {
        return false;
    }
    let alternatives = forms(schema);
    if !alternatives.is_empty() {
        // A reference is not followed: whoever it names may take it.
        return alternatives.iter().all(|form| form.get("$ref").is_none() && breaks(form, value));
    }
    if let Some(only) = schema.get("const") {
        return only != value;
    }
    if let Some(allowed) = schema["enum"].as_array() {
        return !allowed.contains(value);
    }
    let types = types(schema);
    let is = |kind: &String| match kind.as_str() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    !types.is_empty() && !types.iter().any(is)
}
