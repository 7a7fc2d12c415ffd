//! Shared contact cards: the card as text, and what was read from it.

use super::values::or_default;
use crate::kernel::{Error, ErrorCode, Phone, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A number on a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardPhone {
    /// As it is written on the card.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub raw: String,
    /// The WhatsApp id that the card names for it, digits only.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub wid: Option<String>,
    /// The number itself, where the card names it with its country.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub phone: Option<Phone>,
}

impl CardPhone {
    /// A number as it stands on a card, with the WhatsApp id beside it.
    pub fn new(raw: impl Into<String>, wid: Option<String>) -> Self {
        let raw = raw.into();
        let written = || {
            raw.trim_start()
                .starts_with('+')
                .then(|| Phone::parse(&raw, None).ok().map(|parsed| parsed.phone))
                .flatten()
        };
        let phone = wid.as_deref().and_then(|wid| Phone::from_provider(wid).ok()).or_else(written);
        CardPhone { raw, wid, phone }
    }
}

/// Somebody's card. When sending, `name` and `phone` (with `email` and `company`) may be given in place of `vcard`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "ContactCardInput")]
pub struct ContactCard {
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub display_name: String,
    /// The whole card, from `BEGIN:VCARD` to `END:VCARD`.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub vcard: String,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub phones: Vec<CardPhone>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "email"))]
    pub emails: Vec<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub company: Option<String>,
}

/// A card as a caller gives it: the text of the card, or what to write on one.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactCardInput {
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub display_name: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub vcard: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub phones: Vec<CardPhone>,
    #[serde(default, deserialize_with = "or_default")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "email"))]
    pub emails: Vec<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub company: Option<String>,
    /// Written on a card that is built; also the display name.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub name: Option<String>,
    /// Written on a card that is built, with `+` and country code.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub phone: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "email"))]
    pub email: Option<String>,
}

impl ContactCard {
    /// Writes a card. A number with its country code also becomes the WhatsApp id.
    pub fn build(name: &str, phone: &str, email: Option<&str>, company: Option<&str>) -> Self {
        let name = name.trim();
        let phone = phone.trim();
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        let wid = (phone.starts_with('+') && !digits.is_empty()).then_some(digits);
        let mut lines = vec!["BEGIN:VCARD".to_owned(), "VERSION:3.0".to_owned()];
        lines.push(format!("N:;{};;;", escape(name)));
        lines.push(format!("FN:{}", escape(name)));
        if let Some(company) = company {
            lines.push(format!("ORG:{}", escape(company)));
        }
        lines.push(match &wid {
            Some(wid) => format!("TEL;type=CELL;waid={wid}:{}", escape(phone)),
            None => format!("TEL;type=CELL:{}", escape(phone)),
        });
        if let Some(email) = email {
            lines.push(format!("EMAIL:{}", escape(email)));
        }
        lines.push("END:VCARD".to_owned());
        ContactCard {
            display_name: name.to_owned(),
            vcard: lines.join("\n"),
            phones: vec![CardPhone::new(phone, wid)],
            emails: email.map(str::to_owned).into_iter().collect(),
            company: company.map(str::to_owned),
        }
    }

    /// `vcard_invalid` unless the text opens and closes as a card and names somebody.
    pub fn check(&self) -> Result<()> {
        let text = self.vcard.trim();
        let upper = |line: &str| line.trim().to_ascii_uppercase();
        let opens = text.lines().next().is_some_and(|line| upper(line) == "BEGIN:VCARD");
        let closes = text.lines().next_back().is_some_and(|line| upper(line) == "END:VCARD");
        let named = text.lines().map(upper).any(|line| {
            ["FN:", "N:", "FN;", "N;"].iter().any(|start| line.starts_with(start))
                && line.split_once(':').is_some_and(|(_, value)| !value.trim_matches(';').trim().is_empty())
        });
        if opens && closes && named { Ok(()) } else { Err(Error::new(ErrorCode::VcardInvalid).at("vcard")) }
    }
}

impl From<ContactCardInput> for ContactCard {
    fn from(input: ContactCardInput) -> Self {
        match (input.vcard, input.name, input.phone) {
            (None, Some(name), Some(phone)) => {
                let mut card = ContactCard::build(&name, &phone, input.email.as_deref(), input.company.as_deref());
                if let Some(display_name) = input.display_name {
                    card.display_name = display_name;
                }
                card
            }
            // Without a text the card stays empty and fails `check`.
            (vcard, name, _) => ContactCard {
                display_name: input.display_name.or(name).unwrap_or_default(),
                vcard: vcard.unwrap_or_default(),
                phones: input.phones,
                emails: input.emails,
                company: input.company,
            },
        }
    }
}

/// The escapes of vCard 3.0; a carriage return would end the line early and is dropped.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ',' | ';' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => {}
            other => out.push(other),
        }
    }
    out
}
