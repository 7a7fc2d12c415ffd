//! Groups: their names and who is in them.

use super::envelope::Delivery;
use super::identifiers::{Jid, jid, name};
use super::json::Json;
use crate::channels::gateway::{GroupAction, GroupParticipant, GroupRole, InboundGroupChange, InboundItem, Normalised};

pub(super) fn change(delivery: &Delivery<'_, '_>, out: &mut Normalised) {
    let payload = delivery.payload;
    let group = payload.get("group");
    let id = jid(group.get("id")).filter(|id| matches!(id, Jid::Group(_)));
    let (Some(id), Some(action)) = (id, action(delivery)) else { return delivery.incomplete(out) };
    let at = delivery.time(payload);
    let listed = payload.get("participants").items();
    let listed = if listed.is_empty() { group.get("participants").items() } else { listed };
    let subject = group.get("subject").text().map(name);
    let mut chat = id.chat();
    chat.subject.clone_from(&subject);
    out.push(InboundItem::GroupChange(InboundGroupChange {
        provider: delivery.provider(at),
        chat,
        action,
        subject,
        description: group.get("description").string(),
        participants: listed.iter().filter_map(|listed| participant(delivery, listed)).collect(),
        at,
    }));
}

fn action(delivery: &Delivery<'_, '_>) -> Option<GroupAction> {
    match delivery.event {
        "group.v2.join" => Some(GroupAction::Joined),
        "group.v2.leave" => Some(GroupAction::Left),
        "group.v2.update" => Some(GroupAction::Updated),
        _ => match delivery.payload.get("type").text()? {
            "join" => Some(GroupAction::ParticipantsJoined),
            "leave" => Some(GroupAction::ParticipantsLeft),
            "promote" => Some(GroupAction::ParticipantsPromoted),
            "demote" => Some(GroupAction::ParticipantsDemoted),
            _ => None,
        },
    }
}

/// Somebody else than us; engines that hide numbers tell both ids.
fn participant(delivery: &Delivery<'_, '_>, listed: &Json<'_>) -> Option<GroupParticipant> {
    let first = jid(listed.get("id")).or_else(|| listed.text().and_then(Jid::parse))?;
    if delivery.own.is(&first) {
        return None;
    }
    let more = [jid(listed.get("pn")), jid(listed.get("phoneNumber")), jid(listed.get("lid"))];
    let identifiers = delivery.own.other([Some(first)].into_iter().chain(more));
    let role = match listed.get("role").text() {
        Some("left") => GroupRole::Left,
        Some("admin") => GroupRole::Admin,
        Some("superadmin") => GroupRole::Superadmin,
        _ => GroupRole::Participant,
    };
    identifiers.has_id().then_some(GroupParticipant { identifiers, role })
}
