//! What is done with messages that are there.

use super::*;

#[test]
fn case_19_one_reaction_per_party() {
    let shop = Shop::new();
    let message = json!({"id": shop.hear(ANA, "A1", "Oi")["message_id"]});
    let react = |emoji: &str| shop.ok("messages.react", json!({"id": message["id"], "emoji": emoji}));
    react("👍");
    let now = react("❤️");
    assert_eq!((now["reactions"].as_array().unwrap().len(), &now["reactions"][0]["emoji"]), (1, &json!("❤️")));
    assert_eq!(shop.events(&message).last().unwrap()["previous_emoji"], "👍");
    assert_eq!(react("")["reactions"], json!([]));
    react("");
    assert_eq!(
        shop.types(&message),
        ["message.received", "message.reaction_added", "message.reaction_added", "message.reaction_removed"]
    );
    shop.refused("messages.react", json!({"id": message["id"], "emoji": "👍".repeat(9)}), "emoji_invalid", "emoji");
    shop.world.assert_log_matches();
}

#[test]
fn case_20_an_edit_comes_in_time_or_not_at_all() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.sent(&chat, "12h", "S1");
    let edit = |text: &str| json!({"id": message["id"], "text": text});
    let edited = shop.ok("messages.edit", edit("13h"));
    assert_eq!((&edited["content"]["body"], &edited["edit_count"]), (&json!("13h"), &json!(1)));
    let event = shop.events(&message).last().unwrap().clone();
    assert_eq!((&event["previous_text"], &event["edit_no"]), (&json!("12h"), &json!(1)));
    shop.refused("messages.edit", edit(" "), "text_required", "text");
    shop.wait(20 * 60);
    shop.refused("messages.edit", edit("14h"), "edit_window_closed", "");
    let theirs = shop.hear(ANA, "A2", "Oi")["message_id"].clone();
    shop.refused("messages.edit", json!({"id": theirs, "text": "Tchau"}), "message_not_editable", "");
    let waiting = shop.say(&chat, "Até já");
    let changed = shop.ok("messages.edit", json!({"id": waiting["id"], "text": "Até logo"}));
    assert_eq!((&changed["status"], &changed["content"]["body"]), (&json!("queued"), &json!("Até logo")));
    shop.world.assert_log_matches();
}

#[test]
fn a_message_can_be_taken_back_for_sixty_hours() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.sent(&chat, "Ops", "S1");
    let late = shop.sent(&chat, "Tarde", "S2");
    let revoked = shop.ok("messages.revoke", json!({"id": message["id"]}));
    assert_eq!((&revoked["revoked_at"], &revoked["status"]), (&shop.now(), &json!("sent")));
    shop.ok("messages.revoke", json!({"id": message["id"]}));
    assert_eq!(shop.types(&message).iter().filter(|kind| *kind == "message.revoked").count(), 1);
    shop.wait(60 * 3_600 + 1);
    shop.refused("messages.revoke", json!({"id": late["id"]}), "revoke_window_closed", "");
    let waiting = shop.say(&chat, "Ainda aqui");
    shop.refused("messages.revoke", json!({"id": waiting["id"]}), "invalid_state", "");
}

#[test]
fn reading_is_noted_once() {
    let shop = Shop::new();
    let theirs = shop.hear(ANA, "A1", "Oi");
    let id = theirs["message_id"].clone();
    let read = shop.ok("messages.mark_read", json!({"ids": [id], "played": true}));
    assert_eq!((&read[0]["status"], &read[0]["read_at"]), (&json!("read"), &shop.now()));
    shop.ok("messages.mark_read", json!({"ids": [id]}));
    assert_eq!(shop.types(&json!({"id": id})), ["message.received", "message.read"]);
    let ours = shop.say(text(&theirs["chat_id"]), "Olá");
    shop.refused("messages.mark_read", json!({"ids": [id, ours["id"]]}), "invalid_state", "ids[1]");
    shop.refused("messages.mark_read", json!({"ids": [shop.project]}), "message_not_found", "ids[0]");
}

#[test]
fn a_hidden_message_keeps_its_place() {
    let shop = Shop::new();
    let id = shop.hear(ANA, "A1", "Oi")["message_id"].clone();
    shop.ok("messages.delete", json!({"id": id, "reason": "spam"}));
    shop.ok("messages.delete", json!({"id": id}));
    shop.refused("messages.get", json!({"id": id}), "message_not_found", "");
    assert_eq!(shop.ok("messages.list", json!({}))["items"], json!([]));
    assert_eq!(shop.hear(ANA, "A1", "Oi"), json!({"type": "duplicate", "message_id": id}));
    assert_eq!(shop.types(&json!({"id": id})), ["message.received", "message.deleted"]);
    shop.world.assert_log_matches();
}

#[test]
fn a_file_is_known_bit_by_bit() {
    let shop = Shop::new();
    let item = json!({
        "type": "message", "channel_message_id": "V1", "from_me": false,
        "chat": {"external_id": format!("{ANA}@c.us"), "class": "individual", "kind_detail": "direct"},
        "sender": {"wid": ANA}, "timestamp": shop.now(),
        "content": {"type": "sticker", "media": {"state": "pending"}},
    });
    let id = shop.ingest(&shop.channel, item)["message_id"].clone();
    let attach = |media: Value| json!({"id": id, "media": media});
    let linked = shop.ok("messages.attach_media", attach(json!({"url": "https://x/y.webp", "mime": "Image/WEBP"})));
    assert_eq!(linked["content"]["media"]["state"], "remote");
    assert_eq!(linked["content"]["media"]["mime"], "image/webp");
    let copied = shop.ok("messages.attach_media", attach(json!({"storage_key": "files/1", "size_bytes": 120})));
    assert_eq!(copied["content"]["media"]["state"], "stored");
    assert_eq!(copied["content"]["media"]["url"], "https://x/y.webp");
    shop.refused("messages.attach_media", attach(json!({"sha256": "abc"})), "input_invalid", "media.sha256");
    shop.refused("messages.attach_media", attach(json!({"url": "ftp://x"})), "url_scheme_unsupported", "media.url");
    let plain = shop.hear(ANA, "A2", "Oi")["message_id"].clone();
    let wrong = json!({"id": plain, "media": {"url": "https://x/y"}});
    shop.refused("messages.attach_media", wrong, "content_not_allowed", "media");
}

#[test]
fn particulars_change_key_by_key() {
    let shop = Shop::new();
    let id = shop.hear(ANA, "A1", "Oi")["message_id"].clone();
    let update = |more: Value| {
        let mut input = json!({"id": id});
        merge(&mut input, &more);
        input
    };
    shop.ok("messages.update", update(json!({"language": "pt-BR", "metadata": {"a": 1, "b": 2}})));
    let now = shop.ok("messages.update", update(json!({"metadata": {"a": null, "c": 3}})));
    assert_eq!((&now["language"], &now["metadata"]), (&json!("pt"), &json!({"b": 2, "c": 3})));
    let version = now["version"].clone();
    assert_eq!(
        shop.ok("messages.update", update(json!({"language": "pt", "metadata": {"a": null}})))["version"],
        version
    );
    shop.refused("messages.update", update(json!({"language": "xx"})), "language_invalid", "language");
    let many: serde_json::Map<String, Value> = (0..65).map(|n| (format!("k{n}"), json!(n))).collect();
    shop.refused("messages.update", update(json!({"metadata": many})), "json_too_large", "metadata");
}
