//! Full-text search, as far as it is the same for all adapters: how text becomes words and how hits are ranked.

use super::{SearchText, fold};

/// How many matching snapshots are ranked at most, the newest ones.
pub const SEARCH_CANDIDATES: usize = 1000;
/// How many characters a search needs.
pub const SEARCH_MIN_CHARS: usize = 2;
/// Words beyond this number are not looked at in a query.
const QUERY_MAX_WORDS: usize = 16;
/// A phone number is found by any run of at least so many of its digits.
const PHONE_MIN_RUN: usize = 3;

/// The words of a text to be stored, folded. A phone number gives its digits and all their endings, so that a search for any run
/// of digits is a search for a beginning.
pub fn index_words(text: &str) -> Vec<String> {
    let mut found = split(text);
    if let Some(digits) = phone_digits(text) {
        found.extend((0..=digits.len() - PHONE_MIN_RUN).map(|start| digits[start..].to_owned()));
    }
    found.sort();
    found.dedup();
    found
}

/// The words of a query, each of which must begin a stored word; none when there is too little to search for.
pub fn query_words(query: &str) -> Vec<String> {
    if query.trim().chars().count() < SEARCH_MIN_CHARS {
        return Vec::new();
    }
    let mut found = match phone_digits(query) {
        Some(digits) => vec![digits],
        None => split(query),
    };
    found.truncate(QUERY_MAX_WORDS);
    found
}

/// How well `texts` match: the score and the field with the best share in it. `None` when some word is not found.
///
/// A word counts with the weight of the best field that has it, whole words half as much again as beginnings.
pub fn rank<'a>(words: &[String], texts: &'a [SearchText]) -> Option<(f64, &'a str)> {
    let stored: Vec<(&SearchText, Vec<String>)> = texts.iter().map(|text| (text, index_words(&text.text))).collect();
    rank_words(words, stored.iter().map(|(text, words)| (text.field, text.weight, words.as_slice())))
}

/// As [`rank`], over words that were stored.
pub fn rank_words<'a, 'w>(
    words: &[String],
    fields: impl Iterator<Item = (&'a str, f64, &'w [String])> + Clone,
) -> Option<(f64, &'a str)> {
    let mut score = 0.0;
    let mut shares: Vec<(&str, f64)> = Vec::new();
    for word in words {
        let mut best: Option<(f64, &str)> = None;
        for (field, weight, stored) in fields.clone() {
            let Some(share) = share(word, stored) else { continue };
            if best.is_none_or(|(other, _)| share * weight > other) {
                best = Some((share * weight, field));
            }
        }
        let (share, field) = best?;
        score += share;
        match shares.iter_mut().find(|(name, _)| *name == field) {
            Some((_, sum)) => *sum += share,
            None => shares.push((field, share)),
        }
    }
    let (field, _) = shares.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    Some((score, field))
}

fn share(word: &str, stored: &[String]) -> Option<f64> {
    let mut found = None;
    for candidate in stored.iter().filter(|candidate| candidate.starts_with(word)) {
        if candidate.len() == word.len() {
            return Some(1.5);
        }
        found = Some(1.0);
    }
    found
}

fn split(text: &str) -> Vec<String> {
    fold(text).split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The digits of a text that has nothing but digits and the signs that people write between them.
fn phone_digits(text: &str) -> Option<String> {
    let mut digits = String::new();
    for c in text.trim().chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' | '-' | '(' | ')' | '.' | '/' | ' ' | '\u{a0}' => {}
            _ => return None,
        }
    }
    if (PHONE_MIN_RUN..=32).contains(&digits.len()) { Some(digits) } else { None }
}
