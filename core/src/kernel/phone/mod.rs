//! Telephone numbers in E.164, read as people write them and as providers send them.

mod plan;
mod written;

use super::error::{ErrorCode, Result};
use super::region::Region;
use plan::{Length, Plan};
use std::borrow::Cow;

/// A telephone number in E.164: `+` and 7–15 digits, international, without extension.
///
/// Two ways lead to one: [`Phone::parse`] for what people write, [`Phone::from_provider`] for what providers send. Reading JSON
/// checks the shape alone, because a stored number stays what it is when numbering plans change; commands take text and parse it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone(Box<str>);

/// A number and the extension that was written behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedPhone {
    pub phone: Phone,
    /// Digits only; no part of the number's identity.
    pub extension: Option<String>,
}

crate::text_enum! {
    /// What a number is for, as far as its numbering plan tells.
    pub enum PhoneKind {
        /// Of a mobile telephone.
        Mobile = "mobile",
        /// Of a place.
        FixedLine = "fixed_line",
        /// The plan does not tell the two apart, as in North America.
        FixedLineOrMobile = "fixed_line_or_mobile",
        /// Free for the caller.
        TollFree = "toll_free",
        /// Of a line over the internet.
        Voip = "voip",
        /// Premium rate, pagers, company numbers, and what no plan knows.
        Other = "other",
    }
}

impl Phone {
    /// Reads a number as people write it: any digits and punctuation, `tel:`, trunk prefixes, carrier codes, the international prefix
    /// of `default_region`, an extension. It must be valid in its numbering plan. A missing mobile digit is repaired (Brazil, Mexico).
    ///
    /// # Errors
    /// `phone_invalid`; `phone_region_required` when the number is not international and no region is given.
    pub fn parse(text: &str, default_region: Option<Region>) -> Result<ParsedPhone> {
        let written = written::read(text).ok_or(ErrorCode::PhoneInvalid)?;
        let home = default_region.and_then(|region| Plan::of_region(region.as_str()));
        let digits = match (written.international, home) {
            (false, None) => return Err(ErrorCode::PhoneRegionRequired.into()),
            (true, _) => international(&written.digits),
            (false, Some(home)) => national(&written.digits, home),
        };
        let digits = digits.ok_or(ErrorCode::PhoneInvalid)?;
        Ok(ParsedPhone { phone: Phone::from_digits(&digits), extension: written.extension })
    }

    /// Reads international digits as WhatsApp and others send them, without `+`; one leading `+` is allowed.
    ///
    /// Repaired as [`Phone::parse`] does, but then it need only be possible: of a length that its country has.
    ///
    /// # Errors
    /// `phone_invalid`.
    pub fn from_provider(digits: &str) -> Result<Phone> {
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        if !is_shape(digits) {
            return Err(ErrorCode::PhoneInvalid.into());
        }
        if let Some(repaired) = repair(digits) {
            return Ok(Phone::from_digits(&repaired));
        }
        let (plan, national) = Plan::of_number(digits).ok_or(ErrorCode::PhoneInvalid)?;
        if plan.length(national) == Length::Possible {
            Ok(Phone::from_digits(digits))
        } else {
            Err(ErrorCode::PhoneInvalid.into())
        }
    }

    /// Takes a canonical number (`+5511999999999`) as it is, checking only its shape.
    ///
    /// # Errors
    /// `phone_invalid`.
    pub fn from_e164(text: &str) -> Result<Phone> {
        match text.strip_prefix('+') {
            Some(digits) if is_shape(digits) => Ok(Phone(text.into())),
            _ => Err(ErrorCode::PhoneInvalid.into()),
        }
    }

    fn from_digits(digits: &str) -> Phone {
        Phone(format!("+{digits}").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits after the `+`, as providers take them.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// The identity of the number, for uniqueness and lookup; never shown, never sent to.
    ///
    /// Digits of the repaired form, and Argentine mobiles without their `9`, so that the old and the new spelling of one number are equal.
    pub fn match_key(&self) -> String {
        let digits = repair(self.digits()).map_or(Cow::Borrowed(self.digits()), Cow::Owned);
        match digits.strip_prefix("549") {
            Some(rest) if rest.len() == 10 => format!("54{rest}"),
            _ => digits.into_owned(),
        }
    }

    /// The international calling code, such as 55; `None` only for a stored number whose code no longer exists.
    pub fn country_code(&self) -> Option<u16> {
        Plan::of_number(self.digits()).map(|(plan, _)| plan.code)
    }

    /// The region whose plan the number is valid in; none for numbers of the whole world such as +800.
    pub fn region(&self) -> Option<Region> {
        let (plan, _) = Plan::valid(self.digits())?;
        Region::parse(plan.region).ok()
    }

    /// The digits after the calling code.
    pub fn national(&self) -> &str {
        match Plan::of_number(self.digits()) {
            Some((_, national)) => national,
            None => self.digits(),
        }
    }

    pub fn kind(&self) -> PhoneKind {
        Plan::valid(self.digits()).map_or(PhoneKind::Other, |(_, kind)| kind)
    }

    /// Whether the number is valid in its numbering plan, not merely possible.
    pub fn is_valid(&self) -> bool {
        Plan::valid(self.digits()).is_some()
    }
}

/// 7 to 15 digits, the first one a country's.
fn is_shape(digits: &str) -> bool {
    (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
}

/// Valid as it stands, or after its repair.
fn settle(digits: String) -> Option<String> {
    if !is_shape(&digits) {
        None
    } else if Plan::valid(&digits).is_some() {
        Some(digits)
    } else {
        repair(&digits)
    }
}

/// Reads the digits behind a `+`, dropping a trunk prefix that was written in spite of it: `+44 (0)20 ...`.
fn international(digits: &str) -> Option<String> {
    let (plan, national) = Plan::of_number(digits)?;
    settle(format!("{}{}", plan.code, plan.strip_trunk(national))).or_else(|| settle(digits.to_owned()))
}

/// Reads digits as one dials them at home: an international prefix, the own country's code without `+`, or a national number.
fn national(digits: &str, home: &'static Plan) -> Option<String> {
    if let Some(rest) = home.strip_international_prefix(digits) {
        return international(rest);
    }
    let code = home.code.to_string();
    if let Some(rest) = digits.strip_prefix(&code) {
        let rest = home.strip_trunk(rest);
        if (!home.is_national(digits) && home.is_national(&rest)) || home.length(digits) == Length::TooLong {
            return settle(format!("{code}{rest}"));
        }
    }
    settle(format!("{code}{}", home.strip_trunk(digits))).or_else(|| {
        // A Brazilian without the ninth digit behind the country's code looks like nothing of the plan.
        digits.strip_prefix(&code).and_then(|_| repair(digits))
    })
}

/// How a country's older spelling of mobile numbers becomes the present one; `None` where the digits are not of that spelling.
type Repair = fn(&str) -> Option<String>;

/// By calling code. A repair counts only if the number was not valid before and is valid after it.
const REPAIRS: &[(&str, Repair)] = &[
    // Brazil: the ninth digit, prefixed to all mobile numbers between 2012 and 2016.
    ("55", |digits| {
        let is_mobile = digits.len() == 12 && matches!(digits.as_bytes()[4], b'6'..=b'9');
        is_mobile.then(|| format!("{}9{}", &digits[..4], &digits[4..]))
    }),
    // Mexico: the 1 before mobile numbers, abolished in 2019.
    ("521", |digits| (digits.len() == 13).then(|| format!("52{}", &digits[3..]))),
];

fn repair(digits: &str) -> Option<String> {
    let (_, repair) = REPAIRS.iter().find(|(prefix, _)| digits.starts_with(prefix))?;
    let repaired = repair(digits)?;
    (Plan::valid(digits).is_none() && Plan::valid(&repaired).is_some()).then_some(repaired)
}

impl std::fmt::Display for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Phone({:?})", &self.0)
    }
}

impl AsRef<str> for Phone {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for Phone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Phone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::input::text(deserializer, Phone::from_e164)
    }
}

impl schemars::JsonSchema for Phone {
    fn schema_name() -> Cow<'static, str> {
        "Phone".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "format": "e164", "pattern": r"^\+[1-9][0-9]{6,14}$",
            "description": "A telephone number in E.164, for example +5511999999999."
        })
    }
}

#[cfg(test)]
mod tests;
