//! Language tags of BCP 47.

use super::error::{ErrorCode, Result};
use super::language_codes::CODES;
use std::sync::LazyLock;

/// A language tag such as `pt-BR`: its form is canonical and its first part is a language that ISO 639 knows.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Language(Box<str>);

/// Codes that were replaced by others.
const RENAMED: [(&str, &str); 3] = [("iw", "he"), ("in", "id"), ("ji", "yi")];

impl Language {
    /// The most characters a tag has.
    pub const MAX: usize = 35;

    /// Reads a tag in any case, with `-` or `_`: language, then script, region, variants, extensions and private use, where given.
    ///
    /// # Errors
    /// `language_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        canonical(&text.trim().replace('_', "-"))
            .map(|tag| Language(tag.into()))
            .ok_or(ErrorCode::LanguageInvalid.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language itself: `pt` of `pt-BR`.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }

    /// The same language, whatever the script and the region.
    pub fn matches(&self, other: &Language) -> bool {
        self.primary() == other.primary()
    }
}

/// English.
impl Default for Language {
    fn default() -> Self {
        Language("en".into())
    }
}

fn canonical(tag: &str) -> Option<String> {
    if tag.len() > Language::MAX || !tag.is_ascii() {
        return None;
    }
    let lower = tag.to_ascii_lowercase();
    let mut parts = lower.split('-').peekable();
    let primary = parts.next()?;
    let primary = RENAMED.iter().find(|(old, _)| *old == primary).map_or(primary, |(_, new)| new);
    if !is_known(primary) {
        return None;
    }
    let mut canonical = primary.to_owned();
    let mut push = |part: &str| {
        canonical.push('-');
        canonical.push_str(part);
    };
    let letters = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_alphabetic());
    // Up to three extended language parts, each of three letters.
    for _ in 0..3 {
        if let Some(extended) = parts.next_if(|part| letters(part, 3)) {
            push(extended);
        }
    }
    if let Some(script) = parts.next_if(|part| letters(part, 4)) {
        push(&format!("{}{}", script[..1].to_ascii_uppercase(), &script[1..]));
    }
    if let Some(region) = parts.next_if(|part| letters(part, 2) || is_number(part, 3)) {
        push(&region.to_ascii_uppercase());
    }
    while let Some(variant) = parts.next_if(|part| is_variant(part)) {
        push(variant);
    }
    // What is left begins with a singleton: an extension, or `x` for private use.
    let mut singleton = "";
    let mut filled = true;
    for part in parts {
        let is_word = (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if part.len() == 1 && singleton != "x" && filled {
            singleton = part;
            filled = false;
        } else if is_word && (singleton == "x" || (!singleton.is_empty() && part.len() >= 2)) {
            filled = true;
        } else {
            return None;
        }
        push(part);
    }
    filled.then_some(canonical)
}

fn is_number(part: &str, length: usize) -> bool {
    part.len() == length && part.bytes().all(|b| b.is_ascii_digit())
}

/// 5–8 letters or digits, or 4 that begin with a digit.
fn is_variant(part: &str) -> bool {
    part.bytes().all(|b| b.is_ascii_alphanumeric())
        && match part.len() {
            4 => part.as_bytes()[0].is_ascii_digit(),
            length => (5..=8).contains(&length),
        }
}

/// For each pair of first letters, bit 26 when the pair is a code, and one bit per third letter.
static KNOWN: LazyLock<[u32; 26 * 26]> = LazyLock::new(|| {
    let mut known = [0; 26 * 26];
    for group in CODES.split_ascii_whitespace() {
        let (pair, thirds) = group.split_once(':').unwrap_or((group, ""));
        let bits = thirds.bytes().fold(0, |bits, third| bits | 1 << (third - b'a'));
        let alone = if pair.ends_with('*') { 1 << 26 } else { 0 };
        known[index(pair.as_bytes())] = bits | alone;
    }
    known
});

fn index(pair: &[u8]) -> usize {
    usize::from(pair[0] - b'a') * 26 + usize::from(pair[1] - b'a')
}

fn is_known(code: &str) -> bool {
    let code = code.as_bytes();
    code.iter().all(u8::is_ascii_lowercase)
        && match code.len() {
            2 => KNOWN[index(code)] & 1 << 26 != 0,
            3 => KNOWN[index(code)] & 1 << (code[2] - b'a') != 0,
            _ => false,
        }
}

super::text_enum::text_value!(Language, {
    "type": "string", "format": "bcp47", "maxLength": 35, "description": "A language tag, for example pt-BR."
});

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, expected: &str) {
        let language = Language::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(language.as_str(), expected);
        assert_eq!(Language::parse(expected).unwrap(), language);
    }

    #[test]
    fn case_07_language_tags() {
        reads("PT_br", "pt-BR");
        for text in ["", "english"] {
            assert_eq!(Language::parse(text).unwrap_err().code(), ErrorCode::LanguageInvalid, "{text}");
        }
    }

    #[test]
    fn tags_become_canonical() {
        reads("ZH-hant-tw", "zh-Hant-TW");
        reads("es-419", "es-419");
        reads("iw", "he");
        reads("in_ID", "id-ID");
        reads("yue-HK", "yue-HK");
        reads("sl-rozaj-biske", "sl-rozaj-biske");
        reads("de-DE-u-co-phonebk", "de-DE-u-co-phonebk");
        reads("en-x-a-b", "en-x-a-b");
    }

    #[test]
    fn what_is_no_tag() {
        for text in
            ["p", "xq", "qq-BR", "pt-", "pt--BR", "pt-BR-BR", "en-u", "pt BR", "é", "x-private", "123", "abcdefgh"]
        {
            assert!(Language::parse(text).is_err(), "{text}");
        }
        assert!(Language::parse(&format!("en-x-{}", "a-".repeat(20))).is_err());
    }

    #[test]
    fn languages_match_by_their_first_part() {
        let language = |text| Language::parse(text).unwrap();
        assert!(language("pt-BR").matches(&language("pt")) && !language("pt").matches(&language("es")));
        assert_eq!(Language::default().as_str(), "en");
    }
}
