//! Under which keys a contact is known, and how what a channel or a person writes becomes such a key.
//!
//! A key is what makes two writings of one number the same person; the value beside it is what sends and what people read.

use crate::kernel::{Email, Error, ErrorCode, ExternalId, Phone, Region, Result, name};
use crate::text_enum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Phone numbers, and the WhatsApp ids made of them.
pub const PHONE: &str = "contact.phone";
/// WhatsApp's hidden ids.
pub const LID: &str = "contact.lid";
/// E-mail addresses, where the project wants them unique.
pub const EMAIL: &str = "contact.email";
/// Ids of other systems; the scope is the system.
pub const EXTERNAL: &str = "contact.external";
/// Ids that hold inside a channel type, which is the scope.
pub const CHANNEL_USER: &str = "contact.channel_user";

/// The most identifiers beside the primary ones.
pub const MAX_IDENTIFIERS: usize = 20;

text_enum! {
    /// What kind of id it is.
    pub enum IdentifierKind {
        Email = "email",
        Phone = "phone",
        /// WhatsApp's phone-based id.
        WhatsappWid = "whatsapp_wid",
        /// WhatsApp's hidden id; not a phone.
        WhatsappLid = "whatsapp_lid",
        /// WhatsApp's protocol id.
        WhatsappJid = "whatsapp_jid",
        /// An id of another system; `scope` names the system.
        External = "external",
        /// An id inside a channel type, which is the `scope`.
        ChannelUser = "channel_user",
    }
}

/// A key that one active contact of the project may hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdentityKey {
    pub space: &'static str,
    pub scope: String,
    pub key: String,
}

/// An id under which a contact is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Identifier {
    pub kind: IdentifierKind,
    /// The system of an external id, the channel type of a channel user; else empty.
    pub scope: String,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub value: String,
    /// The form that counts for identity.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub match_key: String,
}

impl Identifier {
    /// Reads what a person or a program wrote. `region` is the project's, for phone numbers without country code.
    ///
    /// # Errors
    /// `email_invalid`, `phone_invalid`, `whatsapp_id_invalid`, `whatsapp_group_id`, `field_required` (a channel user
    /// without scope), `text_too_long`.
    pub fn parse(kind: IdentifierKind, scope: Option<&str>, value: &str, region: Option<Region>) -> Result<Self> {
        use IdentifierKind as K;
        let scope = self::scope(kind, scope)?;
        let (value, match_key) = match kind {
            K::Email => {
                let email = Email::parse(value)?;
                (email.as_str().to_owned(), email.as_str().to_owned())
            }
            K::Phone => {
                let phone = Phone::parse(value, region)?.phone;
                (phone.as_str().to_owned(), phone.match_key())
            }
            K::WhatsappWid | K::WhatsappJid => {
                let id = whatsapp_id(value)?;
                let key = whatsapp_match_key(&id);
                (id, key)
            }
            K::WhatsappLid => {
                let id = whatsapp_id(value)?;
                (id.clone(), id)
            }
            K::External | K::ChannelUser => {
                let id = ExternalId::parse(value.trim())?;
                (id.as_str().to_owned(), id.as_str().to_owned())
            }
        };
        Ok(Identifier { kind, scope, value, match_key })
    }

    pub fn email(email: &Email) -> Self {
        let text = email.as_str();
        Identifier::plain(IdentifierKind::Email, "", text, text)
    }

    pub fn phone(phone: &Phone) -> Self {
        Identifier::plain(IdentifierKind::Phone, "", phone.as_str(), &phone.match_key())
    }

    pub fn external(id: &str, source: Option<&str>) -> Self {
        Identifier::plain(IdentifierKind::External, source.unwrap_or_default(), id, id)
    }

    /// `id` is normalised already.
    pub fn whatsapp(kind: IdentifierKind, id: &str) -> Self {
        let key = if kind == IdentifierKind::WhatsappLid { id.to_owned() } else { whatsapp_match_key(id) };
        Identifier::plain(kind, "", id, &key)
    }

    fn plain(kind: IdentifierKind, scope: &str, value: &str, match_key: &str) -> Self {
        Identifier { kind, scope: scope.to_owned(), value: value.to_owned(), match_key: match_key.to_owned() }
    }

    /// One of the ids that [`WhatsAppIdentifiers`] holds.
    pub const fn is_whatsapp(&self) -> bool {
        matches!(self.kind, IdentifierKind::WhatsappWid | IdentifierKind::WhatsappLid | IdentifierKind::WhatsappJid)
    }

    pub fn key(&self) -> IdentityKey {
        IdentityKey { space: space(self.kind), scope: self.scope.clone(), key: self.match_key.clone() }
    }
}

/// Phone, wid and jid share a space: one contact may hold a key through several of them.
pub const fn space(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::Phone | IdentifierKind::WhatsappWid | IdentifierKind::WhatsappJid => PHONE,
        IdentifierKind::WhatsappLid => LID,
        IdentifierKind::Email => EMAIL,
        IdentifierKind::External => EXTERNAL,
        IdentifierKind::ChannelUser => CHANNEL_USER,
    }
}

/// The scope that an id of a kind has: the system of an external id, the channel type of a channel user.
///
/// # Errors
/// `field_required` for a channel user without scope, `name_too_long`.
pub(super) fn scope(kind: IdentifierKind, scope: Option<&str>) -> Result<String> {
    let scope = match scope {
        Some(scope) => name(scope, 0, 64).map_err(|e| e.at("scope"))?,
        None => String::new(),
    };
    match kind {
        IdentifierKind::External => Ok(scope),
        IdentifierKind::ChannelUser if scope.is_empty() => Err(Error::new(ErrorCode::FieldRequired).at("scope")),
        IdentifierKind::ChannelUser => Ok(scope),
        _ => Ok(String::new()),
    }
}

/// The ids under which WhatsApp knows a person, without domain and device part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhatsAppIdentifiers {
    /// The phone-based id; what messages are sent to.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub wid: Option<String>,
    /// The hidden id; not a phone.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub lid: Option<String>,
    /// The protocol id.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub jid: Option<String>,
}

impl WhatsAppIdentifiers {
    /// The ids without domain and device part.
    ///
    /// # Errors
    /// `identifier_required` when there is none, `whatsapp_id_invalid`, `whatsapp_group_id`.
    pub fn normalised(&self) -> Result<Self> {
        let read = |field: &str, id: &Option<String>| match id {
            Some(id) => whatsapp_id(id).map(Some).map_err(|e| e.at(field)),
            None => Ok(None),
        };
        let ids = WhatsAppIdentifiers {
            wid: read("wid", &self.wid)?,
            lid: read("lid", &self.lid)?,
            jid: read("jid", &self.jid)?,
        };
        if ids.is_empty() { Err(ErrorCode::IdentifierRequired.into()) } else { Ok(ids) }
    }

    /// The wid follows from the jid when only that is known.
    #[must_use]
    pub fn completed(mut self) -> Self {
        self.wid = self.wid.or_else(|| self.jid.clone());
        self
    }

    pub fn is_empty(&self) -> bool {
        self.wid.is_none() && self.lid.is_none() && self.jid.is_none()
    }

    /// What is known, with its kind.
    pub fn identifiers(&self) -> impl Iterator<Item = Identifier> {
        let slots = [
            (IdentifierKind::WhatsappWid, &self.wid),
            (IdentifierKind::WhatsappLid, &self.lid),
            (IdentifierKind::WhatsappJid, &self.jid),
        ];
        slots.into_iter().filter_map(|(kind, id)| id.as_ref().map(|id| Identifier::whatsapp(kind, id)))
    }

    /// The id of a kind; `None` too for kinds that are not WhatsApp's.
    pub fn get(&self, kind: IdentifierKind) -> Option<&str> {
        match kind {
            IdentifierKind::WhatsappWid => self.wid.as_deref(),
            IdentifierKind::WhatsappLid => self.lid.as_deref(),
            IdentifierKind::WhatsappJid => self.jid.as_deref(),
            _ => None,
        }
    }

    /// Sets or clears the id of a kind; other kinds change nothing.
    pub fn set(&mut self, kind: IdentifierKind, id: Option<String>) {
        match kind {
            IdentifierKind::WhatsappWid => self.wid = id,
            IdentifierKind::WhatsappLid => self.lid = id,
            IdentifierKind::WhatsappJid => self.jid = id,
            _ => {}
        }
    }
}

/// A WhatsApp id without domain and device part: `554488332934:3@s.whatsapp.net` is `554488332934`.
///
/// # Errors
/// `whatsapp_group_id` for the id of a group, `whatsapp_id_invalid` for anything that is not 1 to 20 digits.
pub fn whatsapp_id(text: &str) -> Result<String> {
    let text = text.trim();
    if text.ends_with("@g.us") {
        return Err(ErrorCode::WhatsappGroupId.into());
    }
    let bare = ["@c.us", "@s.whatsapp.net", "@lid"].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    let bare = match bare.split_once(':') {
        Some((id, device)) if !device.is_empty() && device.bytes().all(|b| b.is_ascii_digit()) => id,
        _ => bare,
    };
    if (1..=20).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_digit()) {
        Ok(bare.to_owned())
    } else {
        Err(ErrorCode::WhatsappIdInvalid.into())
    }
}

/// The key of the phone that a wid or jid is made of; the digits themselves when they are no phone we know.
pub fn whatsapp_match_key(id: &str) -> String {
    Phone::from_provider(id).map_or_else(|_| id.to_owned(), |phone| phone.match_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_08_groups_are_refused_and_devices_dropped() {
        assert_eq!(whatsapp_id("120363041234567890@g.us").unwrap_err().code(), ErrorCode::WhatsappGroupId);
        assert_eq!(whatsapp_id("554488332934:3@s.whatsapp.net").unwrap(), "554488332934");
        assert_eq!(whatsapp_id(" 19104132006020@lid ").unwrap(), "19104132006020");
        for bad in ["", "@c.us", "55a@c.us", "123456789012345678901", "5544@other", "55:x"] {
            assert_eq!(whatsapp_id(bad).unwrap_err().code(), ErrorCode::WhatsappIdInvalid, "{bad}");
        }
    }

    #[test]
    fn both_writings_of_a_number_are_one_key() {
        let phone = Identifier::phone(&Phone::from_e164("+5544998211518").unwrap());
        assert_eq!(Identifier::whatsapp(IdentifierKind::WhatsappWid, "554498211518").key(), phone.key());
        // Not a phone, and still an identity.
        assert_eq!(whatsapp_match_key("123"), "123");
    }

    #[test]
    fn the_wid_follows_from_the_jid() {
        let ids = WhatsAppIdentifiers { jid: Some("554488332934:3@s.whatsapp.net".into()), ..Default::default() };
        assert_eq!(ids.normalised().unwrap().completed().wid.as_deref(), Some("554488332934"));
        let none = WhatsAppIdentifiers::default().normalised().unwrap_err();
        assert_eq!(none.code(), ErrorCode::IdentifierRequired);
    }

    #[test]
    fn a_channel_user_needs_its_channel_type() {
        let error = Identifier::parse(IdentifierKind::ChannelUser, None, "u1", None).unwrap_err();
        assert_eq!((error.code(), error.field()), (ErrorCode::FieldRequired, Some("scope")));
        let user = Identifier::parse(IdentifierKind::ChannelUser, Some("messenger"), "u1", None).unwrap();
        assert_eq!(user.key().scope, "messenger");
    }
}
