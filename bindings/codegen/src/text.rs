//! What the languages say alike: names, comments, and what is told of collections and operations.

use crate::catalogue::{Catalogue, Operation};
use crate::schema::pascal;
use std::collections::BTreeMap;

/// The longest line that is written.
pub const WIDTH: usize = 120;

/// `add_tag` as `addTag`.
pub fn camel(name: &str) -> String {
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| all + &word[..1].to_ascii_uppercase() + &word[1..])
}

/// A documentation comment, up to where the documented thing starts at column `indent`.
pub fn comment(doc: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let lines: Vec<String> = paragraphs(doc).iter().flat_map(|line| fill(line, WIDTH - indent - 3)).collect();
    match lines.as_slice() {
        [] => String::new(),
        [one] if one.len() + indent + 7 <= WIDTH => format!("/** {one} */\n{pad}"),
        lines => {
            let body: String = lines.iter().map(|line| format!("{pad} * {line}\n")).collect();
            format!("/**\n{body}{pad} */\n{pad}")
        }
    }
}

/// The text with each paragraph on one line; items of lists, tags and code keep theirs.
pub fn paragraphs(doc: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut code = false;
    for line in doc.trim().lines() {
        let own = line.is_empty() || line.starts_with(['@', '|', ' ']) || line.starts_with("- ");
        let fence = line.starts_with("```");
        match lines.last_mut() {
            Some(last) if !(own || code || fence || last.is_empty()) => *last += &format!(" {line}"),
            _ => lines.push(line.to_owned()),
        }
        code ^= fence;
    }
    lines
}

/// The line in pieces of at most `width`, none of which ends the comment.
pub fn fill(line: &str, width: usize) -> Vec<String> {
    let line = line.replace("*/", "*\\/");
    let mut lines = Vec::new();
    let mut last = line[..line.len() - line.trim_start().len()].to_owned();
    for word in line.split_whitespace() {
        let begun = !last.trim().is_empty();
        if begun && last.len() + 1 + word.len() > width {
            lines.push(std::mem::take(&mut last));
        } else if begun {
            last.push(' ');
        }
        last += word;
    }
    lines.push(last);
    lines
}

/// What a collection is, and what its lists can be asked for.
pub fn about(catalogue: &Catalogue, name: &str) -> String {
    let mut doc = format!("The collection `{name}`.");
    let quoted = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if let Some(aggregate) = catalogue.aggregates.iter().find(|aggregate| aggregate.collection == name) {
        doc += &format!("\n\nFilterable: {}.", quoted(&aggregate.filterable));
        doc += &format!("\n\nSortable: {}.", quoted(&aggregate.sortable));
    }
    doc
}

/// What an operation does, who may call it, what it records and how it fails.
pub fn operation_doc(catalogue: &Catalogue, operation: &Operation) -> String {
    let mut doc = operation.doc.trim().to_owned();
    let permission = operation.permission.as_deref().map_or("none".to_owned(), |name| format!("`{name}`"));
    doc += &format!("\n\nPermission: {permission}.");
    let quoted = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if !operation.events.is_empty() {
        doc += &format!("\n\nEvents: {}.", quoted(operation.events.iter().map(String::as_str).collect()));
    }
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for error in catalogue.errors.iter().filter(|error| operation.errors.contains(&error.code)) {
        kinds.entry(&error.kind).or_default().push(&error.code);
    }
    doc += "\n";
    for (kind, codes) in kinds {
        let class = if kind == "timeout" { "OperationTimeoutError".to_owned() } else { pascal(kind) + "Error" };
        doc += &format!("\n@throws {class}: {}.", quoted(codes));
    }
    doc
}
