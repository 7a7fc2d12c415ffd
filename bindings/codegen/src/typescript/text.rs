//! Text as TypeScript wants it: names, comments, and lines that are broken where they grow too long.

const WIDTH: usize = 120;

/// `add_tag` as `addTag`.
pub fn camel(name: &str) -> String {
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| all + &word[..1].to_ascii_uppercase() + &word[1..])
}

/// The name of a field, quoted where it is no identifier.
pub fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let starts = name.starts_with(|c: char| !c.is_ascii_digit());
    if starts && name.chars().all(plain) { name.to_owned() } else { format!("{name:?}") }
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
