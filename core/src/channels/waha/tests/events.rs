//! Acks, reactions, edits, labels, groups, calls and the connection.

use super::*;
use crate::channels::gateway::{
    AckSignal, ChatClass, ConnectionState, GroupAction, GroupRole, InboundAck, InboundCallState, LabelAssignment,
    PresenceState,
};

#[track_caller]
fn ack(payload: Value) -> InboundAck {
    match one(&event("message.ack", payload)) {
        InboundItem::Ack(ack) => ack,
        other => panic!("an ack, not {other:?}"),
    }
}

#[test]
fn case_14_acks_by_number_then_by_name() {
    let id = "true_551190000001@c.us_3EB0AA";
    for (number, signal) in [
        (-1, AckSignal::Failed),
        (0, AckSignal::Queued),
        (1, AckSignal::Sent),
        (2, AckSignal::Delivered),
        (3, AckSignal::Read),
        (4, AckSignal::Played),
    ] {
        assert_eq!(ack(json!({"id": id, "ack": number})).signal, signal);
    }
    let named = ack(json!({"id": id, "ackName": "READ"}));
    assert_eq!((named.signal, named.channel_message_id.as_str()), (AckSignal::Read, "3EB0AA"));
    assert_eq!(named.chat.map(|chat| chat.external_id).as_deref(), Some("551190000001@c.us"));
    let odd = event("message.ack", json!({"id": id, "ack": 7, "ackName": "READ"}));
    ignored(&line_one("session-one"), odd.to_string(), IgnoredReason::UnhandledKind);
}

#[test]
fn case_15_an_ack_names_the_stanza_of_the_inbound_message_it_is_for() {
    let read =
        ack(json!({"id": "false_551190000001@c.us_3F000000000000000011", "from": "551190000001@c.us", "ack": 3}));
    assert_eq!((read.channel_message_id.as_str(), read.signal), ("3F000000000000000011", AckSignal::Read));
    assert_eq!((read.participant, read.at), (None, at("2025-01-01T12:00:00Z")));
    let group = json!({"id": "true_120363000000000001@g.us_3EB0AA_551150000001@c.us", "participant": "551190000001:2@s.whatsapp.net", "ack": 2});
    let by = ack(group).participant.expect("a participant");
    assert_eq!(by.wid.as_deref(), Some("551190000001"));
}

#[test]
fn case_16_reactions() {
    let reaction = |text: &str| {
        let body = event(
            "message.reaction",
            json!({"id": "false_551190000001@c.us_3A09", "from": "551190000001@c.us", "fromMe": false,
                   "participant": "551190000001@c.us", "to": "551190000001@c.us", "timestamp": 1_735_732_811.853,
                   "reaction": {"text": text, "messageId": "false_551190000001@c.us_2A000000000000000001"}}),
        );
        let InboundItem::Reaction(reaction) = one(&body) else { panic!("a reaction") };
        reaction
    };
    let added = reaction("👍");
    assert_eq!(
        (added.emoji.as_deref(), added.target_channel_message_id.as_str()),
        (Some("👍"), "2A000000000000000001")
    );
    assert_eq!((added.by.wid.as_deref(), added.from_me), (Some("551190000001"), false));
    assert_eq!(added.at, at("2025-01-01T12:00:11.853Z"));
    assert_eq!(reaction("").emoji, None);
}

#[test]
fn edits_and_revocations_name_their_target() {
    let mut edited = inbound(json!({"conversation": "13h"}), json!({"body": "13h", "editedMessageId": "3A10"}));
    edited["event"] = "message.edited".into();
    let InboundItem::Edit(edit) = one(&edited) else { panic!("an edit") };
    assert_eq!((edit.target_channel_message_id.as_str(), edit.text.as_str()), ("3A10", "13h"));
    assert_eq!(edit.by.wid.as_deref(), Some("551190000001"));
    let after = inbound(json!({"protocolMessage": {}}), json!({}))["payload"].clone();
    let revoked = event("message.revoked", json!({"after": after, "revokedMessageId": "3A10", "before": null}));
    let InboundItem::Revoke(revoke) = one(&revoked) else { panic!("a revocation") };
    assert_eq!((revoke.target_channel_message_id.as_str(), revoke.from_me), ("3A10", false));
    assert_eq!(revoke.chat.map(|chat| chat.external_id).as_deref(), Some("551190000001@c.us"));
    unknown(event("message.revoked", json!({})).to_string(), UnknownReason::Incomplete);
    unknown(event("message.edited", json!({"id": "3A", "body": "x"})).to_string(), UnknownReason::Incomplete);
}

#[test]
fn case_19_the_connection() {
    let state = |status: &str| {
        let body = event("session.status", json!({"name": "session-one", "status": status}));
        let InboundItem::ConnectionStatus(found) = one(&body) else { panic!("a connection status") };
        (found.state, found.reason)
    };
    assert_eq!(state("SCAN_QR_CODE"), (ConnectionState::AwaitingScan, None));
    assert_eq!(state("WORKING"), (ConnectionState::Connected, None));
    assert_eq!(state("STARTING"), (ConnectionState::Starting, None));
    assert_eq!(state("PASSKEY_REQUIRED"), (ConnectionState::AwaitingConfirmation, None));
    assert_eq!(state("STOPPED"), (ConnectionState::Stopped, None));
    assert_eq!(state("FAILED"), (ConnectionState::Failed, None));
    assert_eq!(state("UNAUTHORIZED"), (ConnectionState::Unauthorized, None));
    assert_eq!(state("NEW_STATE"), (ConnectionState::Unknown, Some("NEW_STATE".into())));
}

#[test]
fn case_20_labels_take_their_colour_from_the_palette() {
    let label = |payload: Value| {
        let InboundItem::LabelChange(change) = one(&event("label.upsert", payload)) else { panic!("a label") };
        change.label.expect("not deleted")
    };
    let vip = label(json!({"id": "1", "name": "VIP", "color": 3, "colorHex": ""}));
    assert_eq!((vip.id.as_str(), vip.name.as_str(), vip.color), ("1", "VIP", Some(3)));
    assert_eq!(vip.color_hex.as_deref(), Some("#DFAEF0"));
    assert_eq!(label(json!({"id": 2, "name": "x", "colorHex": "#abc"})).color_hex.as_deref(), Some("#AABBCC"));
    assert_eq!(label(json!({"id": 2, "name": "x", "color": 99, "colorHex": "red"})).color_hex, None);
    let InboundItem::LabelChange(gone) = one(&event("label.deleted", json!({"id": "1"}))) else { panic!("a label") };
    assert_eq!((gone.label_id.as_str(), gone.label), ("1", None));
}

#[test]
fn labels_of_chats() {
    let body = event("label.chat.added", json!({"labelId": "1", "chatId": "551190000001@c.us", "label": null}));
    let InboundItem::ChatLabelChange(change) = one(&body) else { panic!("a label on a chat") };
    assert_eq!((change.change, change.label_id.as_str()), (LabelAssignment::Added, "1"));
    assert_eq!(change.chat.external_id, "551190000001@c.us");
    let body = event("label.chat.deleted", json!({"labelId": 1, "chatId": "551190000001@s.whatsapp.net"}));
    let InboundItem::ChatLabelChange(change) = one(&body) else { panic!("a label off a chat") };
    assert_eq!((change.change, change.label_id.as_str()), (LabelAssignment::Removed, "1"));
}

#[test]
fn groups_and_who_is_in_them() {
    let group = |kind: &str, payload: Value| {
        let InboundItem::GroupChange(change) = one(&event(kind, payload)) else { panic!("a group") };
        change
    };
    let people = json!([{"id": "551150000001@c.us", "role": "superadmin"}, {"id": "200000000000007@lid", "pn": "551190000007@c.us", "role": "admin"}]);
    let joined = group(
        "group.v2.join",
        json!({"group": {"id": "1203-55@g.us", "subject": " Festa ", "description": "Bolo", "participants": people}, "timestamp": 1_735_732_805}),
    );
    assert_eq!((joined.action, joined.subject.as_deref()), (GroupAction::Joined, Some("Festa")));
    assert_eq!((joined.chat.class, joined.chat.external_id.as_str()), (ChatClass::Group, "1203-55@g.us"));
    assert_eq!((joined.participants.len(), joined.participants[0].role), (1, GroupRole::Admin));
    let ids = &joined.participants[0].identifiers;
    assert_eq!((ids.lid.as_deref(), ids.wid.as_deref()), (Some("200000000000007"), Some("551190000007")));
    let left = group(
        "group.v2.participants",
        json!({"type": "leave", "group": {"id": "1203-55@g.us"}, "participants": [{"id": "551190000007@c.us", "role": "left"}]}),
    );
    assert_eq!((left.action, left.participants[0].role), (GroupAction::ParticipantsLeft, GroupRole::Left));
    assert_eq!(group("group.v2.leave", json!({"group": {"id": "1203-55@g.us"}})).action, GroupAction::Left);
    let odd = event("group.v2.participants", json!({"type": "sing", "group": {"id": "1203-55@g.us"}}));
    unknown(odd.to_string(), UnknownReason::Incomplete);
}

#[test]
fn calls_votes_presence_and_archive() {
    let payload =
        json!({"id": "C1", "from": "551190000001@c.us", "timestamp": 1_735_732_805, "isVideo": true, "isGroup": false});
    let InboundItem::Call(call) = one(&event("call.rejected", payload)) else { panic!("a call") };
    assert_eq!((call.state, call.video, call.group), (InboundCallState::Rejected, true, false));
    assert_eq!(call.from.wid.as_deref(), Some("551190000001"));
    let vote = json!({"vote": {"id": "false_551190000001@c.us_3A11", "from": "551190000001@c.us", "to": "551150000001@c.us",
        "fromMe": false, "selectedOptions": ["Sim"], "timestamp": 1_735_732_805}, "poll": {"id": "true_551190000001@c.us_3EB0DD"}});
    let InboundItem::PollVote(vote) = one(&event("poll.vote", vote)) else { panic!("a vote") };
    assert_eq!((vote.poll_channel_message_id.as_str(), vote.options), ("3EB0DD", vec!["Sim".to_owned()]));
    assert_eq!(vote.by.wid.as_deref(), Some("551190000001"));
    let presences = json!({"id": "551190000001@c.us", "presences": [
        {"participant": "551190000001@c.us", "lastKnownPresence": "typing", "lastSeen": null},
        {"participant": "551190000002@c.us", "lastKnownPresence": "juggling"}]});
    let found = read(&line_one("session-one"), event("presence.update", presences).to_string());
    let [InboundItem::Presence(presence)] = found.items.as_slice() else { panic!("one presence") };
    assert_eq!((presence.state, found.ignored.len()), (PresenceState::Typing, 1));
    let archive =
        event("chat.archive", json!({"id": "551190000001@c.us", "archived": true, "timestamp": 1_735_732_805}));
    let InboundItem::ChatArchive(archive) = one(&archive) else { panic!("an archived chat") };
    assert!(archive.archived);
}

#[test]
fn events_without_a_meaning_for_a_crm() {
    let context = line_one("session-one");
    for kind in ["message.waiting", "poll.vote.failed", "engine.event", "group.join", "state.change"] {
        ignored(&context, event(kind, json!({})).to_string(), IgnoredReason::UnhandledKind);
    }
    unknown(event("brand.new", json!({})).to_string(), UnknownReason::UnknownKind);
}
