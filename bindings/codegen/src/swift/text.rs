//! Text as Swift wants it: names, comments, and lists of parameters.

use crate::text::{WIDTH, camel, fill, paragraphs};

const KEYWORDS: &[&str] = &[
    "as",
    "break",
    "case",
    "catch",
    "class",
    "continue",
    "default",
    "defer",
    "deinit",
    "do",
    "else",
    "enum",
    "extension",
    "fallthrough",
    "false",
    "final",
    "for",
    "func",
    "guard",
    "if",
    "import",
    "in",
    "init",
    "inout",
    "internal",
    "is",
    "let",
    "nil",
    "operator",
    "private",
    "protocol",
    "public",
    "repeat",
    "return",
    "self",
    "static",
    "struct",
    "subscript",
    "super",
    "switch",
    "throw",
    "throws",
    "true",
    "try",
    "typealias",
    "var",
    "where",
    "while",
];

/// The name of a property, parameter, method or case, as it is declared and used.
pub fn name(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let name = camel(&words.join("_"));
    let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name };
    if KEYWORDS.contains(&name.as_str()) { format!("`{name}`") } else { name }
}

/// A documentation comment, up to where the documented thing starts.
pub fn comment(doc: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let doc = doc.replace("@throws ", "- Throws: ");
    let lines = paragraphs(&doc).into_iter().flat_map(|line| fill(&line, WIDTH - indent - 4)).collect::<Vec<_>>();
    let line = |line: &String| format!("{}\n{pad}", format!("/// {line}").trim_end());
    if doc.trim().is_empty() { String::new() } else { lines.iter().map(line).collect() }
}

/// `before(items)after` on one line, or with one item each.
pub fn call(before: &str, items: &[String], after: &str, indent: usize) -> String {
    let line = format!("{before}({}){after}", items.join(", "));
    if line.len() + indent <= WIDTH {
        return line;
    }
    let pad = " ".repeat(indent);
    let lines: Vec<String> = items.iter().map(|item| format!("{pad}    {item}")).collect();
    format!("{before}(\n{}\n{pad}){after}", lines.join(",\n"))
}
