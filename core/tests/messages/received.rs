//! Messages that come in: recorded once, as they came, and asked about once.

use super::*;
use ventros::conversations::message::Message;

/// What a contact's phone sends, as the gateway normalised it.
fn item(shop: &Shop, id: &str, content: Value) -> Value {
    json!({
        "type": "message", "channel_message_id": id, "from_me": false,
        "chat": {"external_id": format!("{ANA}@c.us"), "class": "individual", "kind_detail": "direct"},
        "sender": {"wid": ANA}, "timestamp": shop.now(), "content": content,
    })
}

impl Shop {
    /// Every message there is, hidden ones included.
    fn all(&self) -> Vec<Message> {
        let scope = Scope::Project(self.project);
        let found =
            block_on(self.world.crm.core().storage().scan(scope, ventros::kernel::Kind::Message, None, 100)).unwrap();
        found.iter().map(|snapshot| serde_json::from_str(&snapshot.state).unwrap()).collect()
    }

    fn head(&self) -> u64 {
        let heads = block_on(self.world.crm.core().storage().heads()).unwrap();
        heads.into_iter().find(|(project, _)| *project == self.project).unwrap().1
    }
}

#[test]
fn case_01_an_inbound_text_is_received() {
    let shop = Shop::new();
    let id = "false_5511999998888@c.us_A1";
    let message = json!({"id": shop.hear(ANA, id, "Oi")["message_id"]});
    assert_eq!(shop.types(&message), ["message.received"]);
    let message = shop.get(&message);
    assert_eq!((&message["status"], &message["agent_id"]), (&json!("received"), &Value::Null));
    assert_eq!((&message["source"], &message["direction"]), (&json!("contact"), &json!("inbound")));
    assert_eq!((&message["channel_message_id"], &message["content"]["body"]), (&json!(id), &json!("Oi")));
}

#[test]
fn case_02_the_same_id_again_is_a_duplicate() {
    let shop = Shop::new();
    let first = shop.hear(ANA, "A1", "Oi");
    let (head, session) = (shop.head(), shop.session(&first));
    let again = shop.hear(ANA, "A1", "Oi");
    assert_eq!(again, json!({"type": "duplicate", "message_id": first["message_id"]}));
    assert_eq!((shop.head(), shop.session(&first)), (head, session));
    assert_eq!(shop.ok("chats.get", json!({"id": first["chat_id"]}))["unread_count"], 1);
}

#[test]
fn case_03_on_another_line_it_is_another_message() {
    let shop = Shop::new();
    let support = shop.line("whatsapp_business", "Support");
    let first = shop.hear(ANA, "A1", "Oi");
    let second = shop.hear_on(&support, ANA, "A1", "Oi");
    assert_eq!(second["type"], "recorded");
    assert_ne!(second["message_id"], first["message_id"]);
    assert_eq!(second["contact_id"], first["contact_id"]);
}

#[test]
fn case_04_a_deleted_message_does_not_come_back() {
    let shop = Shop::new();
    let id = shop.hear(ANA, "A1", "Oi")["message_id"].clone();
    shop.ok("messages.delete", json!({"id": id, "reason": "spam"}));
    assert_eq!(shop.hear(ANA, "A1", "Oi"), json!({"type": "duplicate", "message_id": id}));
    shop.refused("messages.get", json!({"id": id}), "message_not_found", "");
    assert_eq!(shop.ok("messages.list", json!({}))["items"], json!([]));
}

#[test]
fn case_06_a_sticker_that_is_announced_is_recorded() {
    let shop = Shop::new();
    let sticker = item(&shop, "S1", json!({"type": "sticker", "media": {"state": "pending"}}));
    let message = shop.get(&json!({"id": shop.ingest(&shop.channel, sticker)["message_id"]}));
    assert_eq!(
        (&message["content"]["type"], &message["content"]["media"]["state"]),
        (&json!("sticker"), &json!("pending"))
    );
}

#[test]
fn case_07_a_text_of_70_000_characters_is_cut() {
    let shop = Shop::new();
    let message = shop.get(&json!({"id": shop.hear(ANA, "A1", &"é".repeat(70_000))["message_id"]}));
    assert_eq!(text(&message["content"]["body"]).chars().count(), 65_536);
    assert_eq!(message["metadata"], json!({"text_truncated_from": 70_000}));
}

#[test]
fn case_10_an_unknown_kind_is_recorded() {
    let shop = Shop::new();
    let poll = item(&shop, "P1", json!({"type": "unsupported", "raw_type": "pollCreationMessage"}));
    let message = shop.get(&json!({"id": shop.ingest(&shop.channel, poll)["message_id"]}));
    assert_eq!(message["content"]["type"], "unsupported");
    assert_eq!(message["metadata"], json!({"raw_type": "pollCreationMessage"}));
}

#[test]
fn case_14_an_acknowledgement_waits_for_its_message() {
    let shop = Shop::new();
    let at = "2025-01-06T09:00:00.000000Z";
    let early = json!({"channel_id": shop.channel, "channel_message_id": "S1", "status": "delivered", "at": at});
    assert_eq!(shop.ok("messages.report_delivery", early)["outcome"], "parked");
    shop.wait(3);
    let message = json!({"id": shop.echo(ANA, "S1", "Bom dia")["message_id"]});
    assert_eq!(shop.types(&message), ["message.created", "message.delivered"]);
    assert_eq!(shop.get(&message)["delivered_at"], at);
}

#[test]
fn case_23_a_voice_note_is_asked_about_once() {
    let shop = Shop::new();
    let flags = json!({"voice": {"enabled": true}, "image": {"enabled": false}});
    shop.ok("channels.update", json!({"id": shop.channel, "ai_enabled": true, "ai_processing": flags}));
    let voice = json!({"type": "voice", "media": {"url": "https://x/y.ogg", "mime": "audio/ogg", "duration_ms": 900}});
    let message = json!({"id": shop.ingest(&shop.channel, item(&shop, "V1", voice.clone()))["message_id"]});
    shop.ingest(&shop.channel, item(&shop, "V1", voice.clone()));
    assert_eq!(shop.types(&message), ["message.received", "message.ai.process_voice_requested"]);
    let request = shop.events(&message).pop().unwrap();
    assert_eq!((&request["url"], &request["duration_ms"]), (&json!("https://x/y.ogg"), &json!(900)));
    assert_eq!(shop.get(&message)["ai_requested"], json!(["voice"]));
    // Replaying the log asks for nothing: it is the same rows, and the same events.
    let head = shop.head();
    shop.world.assert_log_matches();
    assert_eq!(shop.head(), head);

    let mut echo = item(&shop, "V2", voice.clone());
    merge(&mut echo, &json!({"from_me": true, "sender": {}, "peer": {"wid": ANA}}));
    let ours = json!({"id": shop.ingest(&shop.channel, echo)["message_id"]});
    assert_eq!(shop.types(&ours), ["message.created"]);
    let image = json!({"type": "image", "media": {"url": "https://x/y.jpg", "mime": "image/jpeg"}});
    let image = json!({"id": shop.ingest(&shop.channel, item(&shop, "I1", image))["message_id"]});
    assert_eq!(shop.types(&image), ["message.received"], "the flag of images is off");
}

#[test]
fn case_26_the_log_of_a_message_is_its_row() {
    let shop = Shop::new();
    let theirs = shop.hear(ANA, "A1", "Oi");
    let ours = shop.sent(text(&theirs["chat_id"]), "12h", "S1");
    shop.ack("S1", "read");
    shop.ok("messages.edit", json!({"id": ours["id"], "text": "13h"}));
    shop.ok("messages.react", json!({"id": theirs["message_id"], "emoji": "👍"}));
    shop.ok("messages.mark_read", json!({"ids": [theirs["message_id"]]}));
    shop.ok("messages.update", json!({"id": theirs["message_id"], "language": "pt", "metadata": {"a": 1}}));
    shop.ok("messages.delete", json!({"id": theirs["message_id"], "reason": "spam"}));
    assert_eq!(shop.all().len(), 2);
    // Folds every event about every message, own and observed, and compares byte for byte.
    shop.world.assert_log_matches();
}
