//! From the text that somebody wrote to plain digits: other scripts' digits, punctuation, `tel:`, extensions.

/// What stands in a written number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// ASCII digits, without a leading `+`.
    pub digits: String,
    /// It began with `+`.
    pub international: bool,
    pub extension: Option<String>,
}

/// Longer texts are no telephone numbers.
const MAX_CHARS: usize = 250;

/// Words that stand before an extension; longer ones first where one begins another.
const EXTENSION_MARKS: &[&str] = &[
    "extension",
    "extensión",
    "extensão",
    "extensao",
    "extn",
    "ext",
    "xtn",
    "xt",
    "x",
    "ramal",
    "anexo",
    "interno",
    "int",
    "доб",
    "#",
];

/// Reads the text; `None` when it cannot be a telephone number.
pub(super) fn read(text: &str) -> Option<Written> {
    let mut chars = Vec::new();
    for c in text.trim().chars().filter(|c| !is_invisible(*c)) {
        if chars.len() == MAX_CHARS {
            return None;
        }
        chars.push(ascii(c));
    }
    let text: String = chars.into_iter().collect();
    let text = text.trim();
    let has_scheme = text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("tel:"));
    let text = if has_scheme { &text[4..] } else { text };
    let (text, parameters) = text.split_once(';').unwrap_or((text, ""));

    let end = text.find(|c: char| c.is_alphabetic() || c == '#').unwrap_or(text.len());
    let (number, tail) = text.split_at(end);
    let mut extension = if tail.is_empty() { None } else { Some(read_extension(tail)?) };
    let (mut digits, mut international) = read_digits(number.trim_end_matches([' ', ',', ':']))?;

    for parameter in parameters.split(';').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("ext", value)) if extension.is_none() => extension = Some(extension_digits(value)?),
            Some(("phone-context", value)) if value.starts_with('+') && !international => {
                let (context, _) = read_digits(value)?;
                digits.insert_str(0, &context);
                international = true;
            }
            Some(("isub" | "phone-context", _)) => {}
            _ => return None,
        }
    }
    Some(Written { digits, international, extension })
}

/// Digits between punctuation, with one `+` before the first of them.
fn read_digits(text: &str) -> Option<(String, bool)> {
    let mut digits = String::with_capacity(16);
    let mut plus = false;
    for c in text.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() && !plus => plus = true,
            _ if is_punctuation(c) => {}
            _ => return None,
        }
    }
    (1..=30).contains(&digits.len()).then_some((digits, plus))
}

fn read_extension(tail: &str) -> Option<String> {
    let tail = tail.to_lowercase();
    let rest = EXTENSION_MARKS.iter().find_map(|mark| tail.strip_prefix(mark))?;
    extension_digits(rest.trim_start_matches(['.', ':', '-', ' ', ',', '=']).trim_end_matches('#'))
}

fn extension_digits(text: &str) -> Option<String> {
    let text = text.trim();
    ((1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.to_owned())
}

/// Directional marks and joiners that phones paste around numbers.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{ad}' | '\u{feff}')
}

fn is_punctuation(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '(' | ')' | '.' | '[' | ']' | '/' | '~')
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{2053}' | '\u{223c}')
}

/// The digit zero of the scripts whose digits people type; nine more follow each.
const ZEROS: &[u32] = &[
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0e50, 0x0ed0,
    0x0f20, 0x1040, 0x17e0, 0x1810,
];

/// Full-width forms and the digits of other scripts as ASCII; everything else as it is.
fn ascii(c: char) -> char {
    let code = u32::from(c);
    if code < 0x0660 {
        return c;
    }
    if (0xff01..=0xff5e).contains(&code) {
        return char::from_u32(code - 0xff01 + 0x21).unwrap_or(c);
    }
    let digit = ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|digit| *digit < 10));
    digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, digits: &str, international: bool, extension: Option<&str>) {
        let expected = Written { digits: digits.into(), international, extension: extension.map(Into::into) };
        assert_eq!(read(text), Some(expected));
    }

    #[test]
    fn punctuation_and_scripts_vanish() {
        reads("\u{202a}+55 (11) 99999-9999\u{202c}", "5511999999999", true, None);
        reads("（１１）９９９９９－９９９９", "11999999999", false, None);
        reads("٠١٢٣٤٥٦٧٨٩", "0123456789", false, None);
        reads("tel:+1-201-555-0123;ext=42", "12015550123", true, Some("42"));
        reads("tel:201-555-0123;phone-context=+1", "12015550123", true, None);
    }

    #[test]
    fn extensions_are_split_off() {
        for text in [
            "11 3333-4444 ramal 12",
            "11 3333-4444, ext. 12",
            "1133334444x12",
            "11 3333 4444 #12",
            "11 3333-4444 Extn: 12",
        ] {
            reads(text, "1133334444", false, Some("12"));
        }
    }

    #[test]
    fn letters_and_second_pluses_are_refused() {
        for text in [
            "1-800-FLOWERS",
            "11999999999@c.us",
            "++5511999999999",
            "+55+11",
            "11 3333 ext",
            "",
            "+",
            "a1",
            "1;x=2",
            "12*34",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
