//! How a file of scenarios is laid out: what fits on a line stands on one, and a step begins with what it does.

use serde_json::Value;

const WIDTH: usize = 120;
const FIRST: &[&str] =
    &["about", "do", "by", "in", "key", "expected_version", "input", "times", "as", "quiet", "then", "error"];

pub fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text + "\n"
}

/// `taken` characters of the line are used already.
fn write(value: &Value, depth: usize, taken: usize, text: &mut String) {
    let line = flat(value);
    let is_list_of_steps = value.as_array().is_some_and(|items| items.iter().any(|item| item.get("do").is_some()));
    if !is_list_of_steps && depth > 0 && 2 * depth + taken + line.chars().count() < WIDTH {
        text.push_str(&line);
        return;
    }
    let indent = "  ".repeat(depth + 1);
    match value {
        Value::Array(items) if !items.is_empty() => {
            text.push('[');
            for (number, item) in items.iter().enumerate() {
                text.push_str(if number == 0 { "\n" } else { ",\n" });
                text.push_str(&indent);
                write(item, depth + 1, 1, text);
            }
            text.push_str(&format!("\n{}]", "  ".repeat(depth)));
        }
        Value::Object(fields) if !fields.is_empty() => {
            text.push('{');
            for (number, name) in sorted(fields).into_iter().enumerate() {
                text.push_str(if number == 0 { "\n" } else { ",\n" });
                text.push_str(&format!("{indent}{}: ", Value::from(name)));
                write(&fields[name], depth + 1, name.chars().count() + 5, text);
            }
            text.push_str(&format!("\n{}}}", "  ".repeat(depth)));
        }
        _ => text.push_str(&line),
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let part = |name: &str| format!("{}: {}", Value::from(name), flat(&fields[name]));
            let parts: Vec<_> = sorted(fields).into_iter().map(part).collect();
            format!("{{{}}}", parts.join(", "))
        }
        other => other.to_string(),
    }
}

/// The words of the format first, in their order; then the others by name.
fn sorted(fields: &serde_json::Map<String, Value>) -> Vec<&str> {
    let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
    let is_step = fields.contains_key("do") || fields.contains_key("about");
    let place = |name: &str| FIRST.iter().position(|first| is_step && *first == name).unwrap_or(FIRST.len());
    names.sort_by(|a, b| place(a).cmp(&place(b)).then(a.cmp(b)));
    names
}
