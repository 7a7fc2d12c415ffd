//! Every error code is raised by some test, or stands in a list that may only shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use ventros::kernel::ErrorCode;

/// Codes that no test raises yet, each with the reason.
const LIST: &str = "core/tests/error_codes_not_raised.txt";

/// Fails unless the list is exactly what no test raises. A test counts as raising a code that it names: tests name codes
/// to compare them. `observed` are those that this very run has seen.
pub fn check(observed: &BTreeSet<&'static str>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tests = test_sources(root);
    let raised = |code: &ErrorCode| {
        let (text, variant) = (format!("\"{}\"", code.as_str()), format!("::{code:?}"));
        let is_named = |source: &String| says(source, &text) || names(source, &variant);
        observed.contains(code.as_str()) || tests.iter().any(is_named)
    };
    let missing: BTreeSet<&str> =
        ErrorCode::ALL.iter().filter(|code| !raised(code)).map(|code| code.as_str()).collect();
    let list = std::fs::read_to_string(root.join(LIST)).unwrap();
    let listed: BTreeMap<&str, &str> =
        list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": ")).collect();
    let listed: BTreeSet<&str> = listed.into_keys().collect();
    let unproven: Vec<_> = missing.difference(&listed).collect();
    let outdated: Vec<_> = listed.difference(&missing).collect();
    assert!(unproven.is_empty(), "no test raises these, and {LIST} does not say why: {unproven:?}");
    assert!(outdated.is_empty(), "a test raises these, or they are gone: strike them from {LIST}: {outdated:?}");
}

/// Whether the code is there, and not as the type of an outcome or an event, which may have the same name.
fn says(source: &str, text: &str) -> bool {
    source.match_indices(text).any(|(start, _)| !source[..start].ends_with("\"type\": "))
}

/// Whether the whole word is there, not as the beginning of a longer one.
fn names(source: &str, variant: &str) -> bool {
    let follows = |end: usize| source[end..].chars().next().is_some_and(|next| next.is_alphanumeric());
    source.match_indices(variant).any(|(start, found)| !follows(start + found.len()))
}

/// The text of all tests: files of tests, and what follows `mod tests {` in the others.
fn test_sources(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for folder in ["core", "storage-sqlite", "storage-postgres", "bindings", "examples"] {
        gather(&root.join(folder), &mut files);
    }
    files
        .into_iter()
        .filter_map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            let path = file.to_string_lossy().replace('\\', "/");
            let is_test = path.contains("/tests/") || path.ends_with("tests.rs") || path.contains("/storage/testing/");
            let inner = text.find("mod tests {").map(|start| text[start..].to_owned());
            if is_test { Some(text) } else { inner }
        })
        .collect()
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match path.is_dir() {
            true if name != "target" && name != "node_modules" && !name.starts_with('.') => gather(&path, files),
            true => {}
            false if name.ends_with(".rs") || name.ends_with(".py") => files.push(path),
            false => {}
        }
    }
}
