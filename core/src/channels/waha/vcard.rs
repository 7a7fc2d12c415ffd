//! A small reader of vCard texts, as far as a CRM uses them: names, numbers, addresses for mail, company.

use crate::conversations::content::{CardPhone, ContactCard};

const MOST_VALUES: usize = 20;

/// Reads a card. The provider's name for it wins over the card's own; the text itself stays as it is.
pub(super) fn card(text: &str, display_name: Option<&str>) -> ContactCard {
    let mut card = ContactCard {
        display_name: String::new(),
        vcard: text.trim().to_owned(),
        phones: Vec::new(),
        emails: Vec::new(),
        company: None,
    };
    let (mut formatted, mut structured, mut business) = (None, None, None);
    for line in unfold(text) {
        let Some(line) = Line::parse(&line) else { continue };
        match line.name.as_str() {
            "FN" => formatted = formatted.or(line.value()),
            "N" => structured = structured.or_else(|| line.person()),
            "ORG" => card.company = card.company.or_else(|| line.part(0)),
            "X-WA-BIZ-NAME" => business = business.or(line.value()),
            "TEL" if card.phones.len() < MOST_VALUES => card.phones.extend(line.phone()),
            "EMAIL" if card.emails.len() < MOST_VALUES => card.emails.extend(line.value()),
            _ => {}
        }
    }
    card.company = card.company.or_else(|| business.clone());
    let given = display_name.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let number = || card.phones.first().map(|phone| phone.raw.clone());
    let name = given.or(formatted).or(structured).or(business).or_else(number).unwrap_or_default();
    card.display_name = name.chars().take(255).collect();
    card
}

/// Lines of a card; a line that starts with a space continues the one before.
fn unfold(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(more), Some(last)) => last.push_str(more),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// `group.NAME;PARAM=VALUE:value`.
struct Line<'t> {
    name: String,
    params: Vec<&'t str>,
    raw: &'t str,
}

impl<'t> Line<'t> {
    fn parse(line: &'t str) -> Option<Line<'t>> {
        let (head, raw) = line.split_once(':')?;
        let mut parts = head.split(';');
        let name = parts.next()?.trim();
        // `item1.TEL` belongs to a group of lines; the group says nothing to us.
        let name = name.rsplit('.').next()?.to_ascii_uppercase();
        Some(Line { name, params: parts.collect(), raw: raw.trim() })
    }

    fn value(&self) -> Option<String> {
        let text = unescape(self.raw);
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    }

    /// One part of a value with parts.
    fn part(&self, index: usize) -> Option<String> {
        let text = parts(self.raw).into_iter().nth(index)?;
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    }

    /// `Family;Given;Middle;Prefix;Suffix`, in the order people say it.
    fn person(&self) -> Option<String> {
        let words: Vec<String> = [3, 1, 2, 0, 4].into_iter().filter_map(|index| self.part(index)).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    fn phone(&self) -> Option<CardPhone> {
        let raw = self.value()?;
        let raw = raw.strip_prefix("tel:").unwrap_or(&raw).to_owned();
        let wid = self.params.iter().find_map(|param| {
            let (key, digits) = param.split_once('=')?;
            let digits = digits.trim().trim_matches('"');
            let valid = (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            (key.trim().eq_ignore_ascii_case("waid") && valid).then(|| digits.to_owned())
        });
        Some(CardPhone::new(raw, wid))
    }
}

/// Splits at semicolons that are not escaped.
fn parts(raw: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        match c {
            ';' => parts.push(String::new()),
            '\\' => {
                parts[last].push('\\');
                parts[last].extend(chars.next());
            }
            other => parts[last].push(other),
        }
    }
    parts.iter().map(|part| unescape(part)).collect()
}

fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}
