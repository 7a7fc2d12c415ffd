//! Text as Kotlin wants it: names, comments, and lists of parameters.

use crate::text::{WIDTH, camel, comment as block};

const KEYWORDS: &[&str] = &[
    "as",
    "break",
    "class",
    "continue",
    "do",
    "else",
    "false",
    "for",
    "fun",
    "if",
    "in",
    "interface",
    "is",
    "null",
    "object",
    "package",
    "return",
    "super",
    "this",
    "throw",
    "true",
    "try",
    "typealias",
    "typeof",
    "val",
    "var",
    "when",
    "while",
];

/// The name of a property, parameter or method.
pub fn name(text: &str) -> String {
    let name = camel(text);
    if KEYWORDS.contains(&name.as_str()) { format!("`{name}`") } else { name }
}

/// The name of an enum's entry.
pub fn constant(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = text.chars().map(plain).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// A literal of a text.
pub fn literal(text: &str) -> String {
    format!("{text:?}").replace('$', "\\$")
}

/// A documentation comment, up to where the documented thing starts. Comments nest in Kotlin, so none is opened inside.
pub fn comment(doc: &str, indent: usize) -> String {
    block(&doc.replace("/*", "/&#42;").replace("@throws ", "@throws ventros."), indent)
}

/// `before(items)after` on one line, or with one item each.
pub fn call(before: &str, items: &[String], after: &str, indent: usize) -> String {
    let line = format!("{before}({}){after}", items.join(", "));
    if line.len() + indent <= WIDTH && !line.contains('\n') {
        return line;
    }
    let pad = " ".repeat(indent);
    let lines: String = items.iter().map(|item| format!("{pad}    {item},\n")).collect();
    format!("{before}(\n{lines}{pad}){after}")
}
