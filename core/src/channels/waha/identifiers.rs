//! WhatsApp's ids: what each suffix means, and who is who in an event.

use super::json::Json;
use crate::channels::gateway::{ChatKind, ChatRef, GatewayContext, Identifiers, OwnIdentity};
use crate::kernel::Phone;
use std::borrow::Cow;

/// What an id stands for; the value comes without domain and device part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Jid {
    /// A person by their phone-based id.
    User(String),
    /// A person by their hidden id, which is not a phone.
    Hidden(String),
    Group(String),
    Newsletter(String),
    BroadcastList(String),
    Status,
}

impl Jid {
    /// Reads `551150000001:9@s.whatsapp.net`, `120363@g.us`, `status@broadcast`, bare digits...
    pub(super) fn parse(text: &str) -> Option<Jid> {
        let text = text.trim();
        let (user, domain) = match text.split_once('@') {
            Some((user, domain)) => (user, domain.to_ascii_lowercase()),
            None => (text, String::new()),
        };
        let user = user.split(':').next().unwrap_or_default();
        let person = |make: fn(String) -> Jid| {
            let user = user.split('.').next().unwrap_or_default();
            let user = user.strip_prefix('+').unwrap_or(user);
            let digits = (1..=20).contains(&user.len()) && user.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| make(user.to_owned()))
        };
        let place = |make: fn(String) -> Jid| {
            let plain = (1..=64).contains(&user.len())
                && user.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            plain.then(|| make(user.to_owned()))
        };
        match domain.as_str() {
            "" | "c.us" | "s.whatsapp.net" | "hosted" => person(Jid::User),
            "lid" | "hosted.lid" => person(Jid::Hidden),
            "g.us" => place(Jid::Group),
            "newsletter" => place(Jid::Newsletter),
            "broadcast" if user.eq_ignore_ascii_case("status") => Some(Jid::Status),
            "broadcast" => place(Jid::BroadcastList),
            _ => None,
        }
    }

    /// The form that names a chat and that requests use: the internal domain becomes `c.us`.
    pub(super) fn external_id(&self) -> String {
        match self {
            Jid::User(user) => format!("{user}@c.us"),
            Jid::Hidden(user) => format!("{user}@lid"),
            Jid::Group(group) => format!("{group}@g.us"),
            Jid::Newsletter(letter) => format!("{letter}@newsletter"),
            Jid::BroadcastList(list) => format!("{list}@broadcast"),
            Jid::Status => "status@broadcast".to_owned(),
        }
    }

    pub(super) fn chat(&self) -> ChatRef {
        let kind = match self {
            Jid::User(_) | Jid::Hidden(_) => ChatKind::Direct,
            Jid::Group(_) => ChatKind::Group,
            Jid::Newsletter(_) => ChatKind::Newsletter,
            Jid::BroadcastList(_) => ChatKind::BroadcastList,
            Jid::Status => ChatKind::Status,
        };
        ChatRef::new(self.external_id(), kind)
    }

    pub(super) fn is_person(&self) -> bool {
        matches!(self, Jid::User(_) | Jid::Hidden(_))
    }
}

/// The id in a field: a text, or the object that some engines put in its place.
pub(super) fn jid(node: &Json<'_>) -> Option<Jid> {
    let text = node.text().or_else(|| node.get("_serialized").text()).or_else(|| node.get("id").text())?;
    Jid::parse(text)
}

/// A message's id: `{true|false}_{chat}_{stanza}[_{participant}]`, or the stanza alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MessageId {
    /// The part that edits, quotes and acks refer to. The chat's part changes between `c.us` and `lid`; this never does.
    pub stanza: String,
    pub from_me: Option<bool>,
    pub chat: Option<Jid>,
    pub participant: Option<Jid>,
    /// The long form as it came.
    pub full: Option<String>,
}

impl MessageId {
    pub(super) fn parse(text: &str) -> Option<MessageId> {
        let text = text.trim();
        let (from_me, rest) = match text.split_once('_') {
            Some(("true", rest)) => (Some(true), rest),
            Some(("false", rest)) => (Some(false), rest),
            _ => (None, text),
        };
        let mut parts = rest.splitn(3, '_');
        let (chat, stanza, participant) = match from_me {
            Some(_) => (parts.next(), parts.next(), parts.next()),
            None => (None, Some(rest), None),
        };
        let stanza = stanza.map(str::trim).filter(|stanza| (1..=255).contains(&stanza.chars().count()))?;
        Some(MessageId {
            stanza: stanza.to_owned(),
            from_me,
            chat: chat.and_then(Jid::parse),
            participant: participant.and_then(Jid::parse),
            full: from_me.is_some().then(|| text.to_owned()),
        })
    }

    /// Reads a text or one of the objects that engines put in its place.
    pub(super) fn read(node: &Json<'_>) -> Option<MessageId> {
        let text = node.text().or_else(|| node.get("_serialized").text()).or_else(|| node.get("id").text())?;
        MessageId::parse(text)
    }
}

/// All ids of our own line, from the channel and from the envelope, to be kept out of everybody else's.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    jids: Vec<Jid>,
    identifiers: Identifiers,
}

impl Own {
    pub(super) fn new(context: &GatewayContext, me: &Json<'_>) -> Own {
        let known = &context.identity;
        let user = |id: &Option<String>| id.as_deref().and_then(Jid::parse);
        let hidden = |id: &Option<String>| match user(id)? {
            Jid::User(digits) | Jid::Hidden(digits) => Some(Jid::Hidden(digits)),
            _ => None,
        };
        let told = [jid(me.get("id")), jid(me.get("jid")), jid(me.get("lid"))];
        let known = [user(&known.wid), user(&known.jid), hidden(&known.lid)];
        let jids: Vec<Jid> = told.into_iter().chain(known).flatten().filter(Jid::is_person).collect();
        let identifiers = gather(jids.iter().cloned());
        Own { jids, identifiers }
    }

    pub(super) fn is(&self, jid: &Jid) -> bool {
        self.jids.contains(jid)
    }

    /// Our line as the author of something.
    pub(super) fn identifiers(&self) -> Identifiers {
        self.identifiers.clone()
    }

    /// Somebody else, by the first id of each kind among the candidates.
    pub(super) fn other(&self, candidates: impl IntoIterator<Item = Option<Jid>>) -> Identifiers {
        gather(candidates.into_iter().flatten().filter(|jid| !self.is(jid)))
    }
}

fn gather(jids: impl Iterator<Item = Jid>) -> Identifiers {
    let mut ids = Identifiers::default();
    for jid in jids {
        match jid {
            Jid::User(digits) if ids.wid.is_none() => {
                ids.phone = Phone::from_provider(&digits).ok();
                ids.jid = Some(digits.clone());
                ids.wid = Some(digits);
            }
            Jid::Hidden(digits) if ids.lid.is_none() => ids.lid = Some(digits),
            _ => {}
        }
    }
    ids
}

/// Our own identity as the envelope tells it, when it differs from what the channel knows.
pub(super) fn changed_identity(known: &OwnIdentity, me: &Json<'_>) -> Option<OwnIdentity> {
    let ids = gather([jid(me.get("id")), jid(me.get("jid")), jid(me.get("lid"))].into_iter().flatten());
    if !ids.has_id() {
        return None;
    }
    let mut now = known.clone();
    let keep = |slot: &mut Option<String>, value: Option<String>| *slot = value.or_else(|| slot.take());
    keep(&mut now.wid, ids.wid);
    keep(&mut now.lid, ids.lid);
    keep(&mut now.jid, ids.jid);
    keep(&mut now.display_name, me.get("pushName").text().map(name));
    if now == *known {
        return None;
    }
    // Follows from the id; a channel that never stored it is no change.
    now.phone = ids.phone.or(now.phone);
    Some(now)
}

/// A name people chose, fit for storing.
pub(super) fn name(text: &str) -> String {
    let text: Cow<'_, str> = if text.contains('\0') { text.replace('\0', "").into() } else { text.into() };
    text.trim().chars().take(255).collect()
}
