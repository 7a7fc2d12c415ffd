//! Text as TypeScript wants it: names, and lines that are broken where they grow too long.

use crate::text::WIDTH;

/// The name of a field, quoted where it is no identifier.
pub fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let starts = name.starts_with(|c: char| !c.is_ascii_digit());
    if starts && name.chars().all(plain) { name.to_owned() } else { format!("{name:?}") }
}

/// `name(parameters): returns`, on one line or with one parameter each.
pub fn signature(name: &str, parameters: &[String], returns: &str, indent: usize) -> String {
    let line = format!("{name}({}): {returns} {{", parameters.join(", "));
    if line.len() + indent <= WIDTH {
        return line;
    }
    let pad = " ".repeat(indent);
    let lines: String = parameters.iter().map(|parameter| format!("{pad}  {parameter},\n")).collect();
    format!("{name}(\n{lines}{pad}): {returns} {{")
}

/// One of several types, on one line or one each.
pub fn union(kinds: &[String], indent: usize) -> String {
    let line = kinds.join(" | ");
    if line.len() <= 60 {
        return line;
    }
    let pad = " ".repeat(indent);
    kinds.iter().map(|kind| format!("\n{pad}  | {kind}")).collect()
}

/// `name<arguments>` as the value of a property that starts at column 2, after `before` characters.
pub fn arguments(name: &str, arguments: &[String], before: usize) -> String {
    let line = format!("{name}<{}>", arguments.join(", "));
    if before + line.len() < WIDTH {
        return line;
    }
    let lines: Vec<String> = arguments.iter().map(|argument| format!("\n    {argument}")).collect();
    format!("{name}<{}\n  >", lines.join(","))
}
