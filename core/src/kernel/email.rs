//! E-mail addresses.

use super::error::{Error, ErrorCode, Result};

/// An e-mail address: lower case, its domain in ASCII. Dots and `+tags` count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(Box<str>);

impl Email {
    /// The most bytes an address has (RFC 5321, without the brackets of a path).
    pub const MAX: usize = 254;

    /// Trims and lower-cases; a domain of other scripts becomes its ASCII form. No quoted local part, no IP address as domain.
    ///
    /// # Errors
    /// `email_required` when empty, `email_too_long`, `email_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ErrorCode::EmailRequired.into());
        }
        let too_long = || Error::new(ErrorCode::EmailTooLong).with("max", Self::MAX);
        // In other scripts the ASCII form is what counts; it is hardly ever the shorter one.
        if text.len() > 4 * Self::MAX || (text.is_ascii() && text.len() > Self::MAX) {
            return Err(too_long());
        }
        let (local, domain) = text.rsplit_once('@').ok_or(ErrorCode::EmailInvalid)?;
        if !is_local(local) {
            return Err(ErrorCode::EmailInvalid.into());
        }
        let domain = ascii_domain(domain).ok_or(ErrorCode::EmailInvalid)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > Self::MAX { Err(too_long()) } else { Ok(Email(address.into())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// What stands behind the `@`, in ASCII.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// The dot-atom of RFC 5321: 1–64 characters, no dot at an end or beside another.
fn is_local(local: &str) -> bool {
    let is_atom = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c);
    (1..=64).contains(&local.len()) && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom))
}

/// A host name of at least two labels in its ASCII form; the last one is no number.
pub(super) fn ascii_domain(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::STD3).ok()?.into_owned();
    let is_label = |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    let (_, last) = ascii.rsplit_once('.')?;
    let known = last.starts_with("xn--") || (last.len() >= 2 && last.bytes().all(|b| b.is_ascii_alphabetic()));
    (known && ascii.len() <= 253 && ascii.split('.').all(is_label)).then_some(ascii)
}

super::text_enum::text_value!(Email, {
    "type": "string", "format": "email", "maxLength": 254, "description": "An e-mail address, for example ana@example.com."
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn code(text: &str) -> &'static str {
        Email::parse(text).unwrap_err().code().as_str()
    }

    #[test]
    fn case_01_addresses() {
        let parse = |text| Email::parse(text).unwrap().to_string();
        assert_eq!(parse("  User.Name+x@Example.CO.UK "), "user.name+x@example.co.uk");
        assert_eq!(parse("a@münchen.de"), "a@xn--mnchen-3ya.de");
        for text in ["user@domain", "a..b@x.com", "user@@x.com", "user@-x.com", "josé@exemplo.com"] {
            assert_eq!(code(text), "email_invalid", "{text}");
        }
        assert_eq!(code("   "), "email_required");
    }

    #[test]
    fn more_that_is_no_address() {
        for text in [
            ".a@x.com",
            "a.@x.com",
            "\"a b\"@x.com",
            "a b@x.com",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@x.c",
            "a@x..com",
            "a@x.com.",
            "@x.com",
            "a@",
            "a@x_y.com",
            "a@x.com\n.org",
        ] {
            assert_eq!(code(text), "email_invalid", "{text}");
        }
        assert_eq!(code(&format!("{}@x.com", "a".repeat(65))), "email_invalid");
        assert_eq!(code(&format!("a@{}com", "abcdefgh.".repeat(28))), "email_too_long");
    }

    #[test]
    fn json_errors_name_the_code() {
        let error = crate::kernel::input::parse::<Email>(br#""a@b""#).unwrap_err();
        assert_eq!(error.code(), ErrorCode::EmailInvalid);
    }

    proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same(text in "[a-zA-Z0-9.+_-]{1,12}@[a-zA-Zäß0-9-]{1,8}\\.[a-zA-Z]{2,4}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()).unwrap(), email);
            }
        }
    }
}
