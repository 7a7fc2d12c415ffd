//! Who wrote to whom, and where: the chat, the author and the other side of a message-like payload.

use super::identifiers::{Jid, MessageId, Own, jid, name};
use super::json::Json;
use crate::channels::gateway::Identifiers;

/// Chat, author and other side.
#[derive(Debug)]
pub(super) struct Parties {
    pub from_me: bool,
    pub chat: Option<Jid>,
    /// Our own line when `from_me`.
    pub sender: Identifiers,
    /// Only in chats with one person.
    pub peer: Option<Identifiers>,
}

impl Parties {
    pub(super) fn read(payload: &Json<'_>, id: Option<&MessageId>, own: &Own) -> Parties {
        let from_me = from_me(payload, id);
        let chat = chat(payload, id, from_me, own);
        let mut sender = match &chat {
            _ if from_me => ourselves(payload, chat.as_ref(), own),
            Some(jid) if !jid.is_person() => participant(payload, id, jid, own),
            _ => correspondent(payload, chat.clone(), own),
        };
        if !from_me {
            names(payload, &mut sender);
        }
        let peer = match &chat {
            Some(jid) if jid.is_person() && from_me => Some(recipient(payload, jid, own)),
            Some(jid) if jid.is_person() => Some(sender.clone()),
            _ => None,
        };
        Parties { from_me, chat, sender, peer: peer.filter(Identifiers::has_id) }
    }
}

fn from_me(payload: &Json<'_>, id: Option<&MessageId>) -> bool {
    let told = |path| match payload.at(path) {
        Json::Bool(value) => Some(*value),
        _ => None,
    };
    told("fromMe")
        .or(id.and_then(|id| id.from_me))
        .or_else(|| told("_data.Info.IsFromMe"))
        .or_else(|| told("_data.key.fromMe"))
        .unwrap_or(false)
}

fn chat(payload: &Json<'_>, id: Option<&MessageId>, from_me: bool, own: &Own) -> Option<Jid> {
    let from = || jid(payload.get("from"));
    let named = || id.and_then(|id| id.chat.clone());
    let foreign = |jid: &Jid| !own.is(jid);
    jid(payload.at("_data.Info.Chat"))
        .or_else(|| jid(payload.at("_data.key.remoteJid")))
        .or_else(|| if from_me { jid(payload.get("to")).filter(foreign) } else { from() })
        .or_else(named)
        // Some engines name the chat in `from` even for our own messages; a note to oneself has no other chat.
        .or_else(|| from().filter(foreign).or_else(|| jid(payload.get("to"))))
}

/// Our line as the author. Without any known id, what the payload says about itself must do.
fn ourselves(payload: &Json<'_>, chat: Option<&Jid>, own: &Own) -> Identifiers {
    let known = own.identifiers();
    if known.has_id() {
        return known;
    }
    let told = [jid(payload.at("_data.Info.Sender")), jid(payload.get("participant")), jid(payload.get("from"))];
    own.other(told.into_iter().filter(|jid| jid.as_ref() != chat))
}

/// The author in a chat of many.
fn participant(payload: &Json<'_>, id: Option<&MessageId>, chat: &Jid, own: &Own) -> Identifiers {
    let mut author = own.other([
        jid(payload.get("participant")),
        jid(payload.at("_data.Info.Sender")),
        jid(payload.at("_data.Info.SenderAlt")),
        jid(payload.at("_data.key.participant")),
        jid(payload.at("_data.key.participantPn")),
        jid(payload.at("_data.key.participantLid")),
        jid(payload.at("_data.key.participantAlt")),
        id.and_then(|id| id.participant.clone()),
    ]);
    if let Jid::Newsletter(letter) = chat
        && !author.has_id()
    {
        author.external_id = Some(letter.clone());
    }
    author
}

/// The author in a chat of two.
fn correspondent(payload: &Json<'_>, chat: Option<Jid>, own: &Own) -> Identifiers {
    own.other([
        jid(payload.get("from")),
        jid(payload.at("_data.Info.Sender")),
        jid(payload.at("_data.Info.SenderAlt")),
        jid(payload.at("_data.key.senderPn")),
        jid(payload.at("_data.key.senderLid")),
        jid(payload.at("_data.key.remoteJidAlt")),
        jid(payload.get("participant")),
        chat,
    ])
}

/// The other side of a chat of two that we wrote in.
fn recipient(payload: &Json<'_>, chat: &Jid, own: &Own) -> Identifiers {
    own.other([
        jid(payload.get("to")),
        Some(chat.clone()),
        jid(payload.at("_data.Info.RecipientAlt")),
        jid(payload.at("_data.key.remoteJidAlt")),
    ])
}

fn names(payload: &Json<'_>, sender: &mut Identifiers) {
    let first = |paths: [&str; 3]| paths.iter().find_map(|path| payload.at(path).text().map(name));
    sender.display_name = first(["_data.Info.PushName", "_data.pushName", "_data.notifyName"]);
    sender.verified_name =
        first(["_data.Info.VerifiedName.Details.verifiedName", "_data.verifiedBizName", "_data.verifiedName"]);
}
