//! The payloads of the quickstart example are read as they are meant.

use super::*;
use crate::channels::gateway::ChatClass;
use crate::conversations::content::ContentType;

/// The line of the quickstart.
pub(super) fn line() -> GatewayContext {
    let mut context = GatewayContext::new("default", at("2025-03-12T00:00:00Z"));
    context.identity = OwnIdentity {
        wid: Some("5511970000000".into()),
        lid: Some("100000000000100".into()),
        jid: Some("5511970000000".into()),
        display_name: Some("Padaria Aurora".into()),
        ..OwnIdentity::default()
    };
    context
}

/// All payloads of the example, by the names of their files.
pub(super) fn payloads() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart/payloads"));
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("the example's payloads")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("readable"))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn every_payload_is_read() {
    let mut seen = Vec::new();
    for (name, body) in payloads() {
        let found = read(&line(), body);
        match (found.items.as_slice(), found.ignored.as_slice()) {
            ([item], []) => seen.push(format!("{} {}", &name[..2], kind(item))),
            ([], [left_out]) => seen.push(format!("{} {:?}", &name[..2], left_out.reason)),
            other => panic!("{name}: {other:?}"),
        }
    }
    let expected = [
        "01 connection_status",
        "02 in text",
        "03 in text",
        "04 in text",
        "05 out text",
        "06 ack",
        "07 ack",
        "08 in text",
        "09 in image",
        "10 in voice",
        "11 reaction",
        "12 in location",
        "13 label_change",
        "14 chat_label_change",
        "15 in text",
        "16 edit",
        "17 out text",
        "18 StatusBroadcast",
        "19 in text",
        "20 in document",
        "21 in sticker",
        "22 in contact",
        "23 in text",
        "24 revoke",
        "25 ack",
        "26 call",
        "27 in text",
    ];
    assert_eq!(seen, expected);
}

fn kind(item: &InboundItem) -> String {
    match item {
        InboundItem::Message(message) if message.from_me => format!("out {}", message.content.content_type()),
        InboundItem::Message(message) => format!("in {}", message.content.content_type()),
        other => other.kind().to_owned(),
    }
}

#[test]
fn the_story_holds_together() {
    let messages: Vec<InboundMessage> = payloads()
        .into_iter()
        .flat_map(|(_, body)| read(&line(), body).items)
        .filter_map(|item| match item {
            InboundItem::Message(message) => Some(*message),
            _ => None,
        })
        .collect();
    assert_eq!(messages[0].channel_message_id, messages[1].channel_message_id, "the second is a duplicate");
    assert!(messages[0].attribution.is_some());
    assert!(messages.windows(2).all(|pair| pair[0].timestamp <= pair[1].timestamp));
    let reply = messages.iter().find(|m| m.reply_to_channel_message_id.is_some()).expect("a reply");
    assert!(messages.iter().any(|m| Some(&m.channel_message_id) == reply.reply_to_channel_message_id.as_ref()));
    assert!(messages.iter().filter(|m| !m.from_me).all(|m| m.sender.wid.is_some() && m.sender.lid.is_some()));
    let echo = messages.iter().find(|m| m.from_me).expect("an echo");
    assert_eq!(echo.peer.as_ref().and_then(|peer| peer.wid.as_deref()), Some("5511990000001"));
    let group = messages.iter().find(|m| m.chat.class == ChatClass::Group).expect("a group");
    assert_eq!((group.sender.wid.as_deref(), &group.peer), (Some("5521990000002"), &None));
    let kinds = messages.iter().filter(|m| m.content.content_type() != ContentType::Text).count();
    assert_eq!(kinds, 6);
}
