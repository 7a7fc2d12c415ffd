//! What `messages.send` and its kin accept, refuse and plan.

use super::*;

#[test]
fn case_05_a_text_has_4096_characters_at_most() {
    let shop = Shop::new();
    let chat = shop.chat();
    assert_eq!(shop.say(&chat, &"é".repeat(4_096))["status"], "queued");
    let long = json!({"chat_id": chat, "content": {"type": "text", "body": "é".repeat(4_097)}});
    shop.refused("messages.send", long, "text_too_long", "content.body");
}

#[test]
fn case_06_a_text_says_something() {
    let shop = Shop::new();
    let blank = json!({"chat_id": shop.chat(), "content": {"type": "text", "body": "   "}});
    shop.refused("messages.send", blank, "text_required", "content.body");
}

#[test]
fn case_08_captions_are_found_and_voice_notes_have_none() {
    let shop = Shop::new();
    let chat = shop.chat();
    let image =
        json!({"type": "image", "media": {"url": "https://x/y.jpg", "mime": "image/jpeg"}, "caption": "comprovante"});
    let sent = shop.ok("messages.send", json!({"chat_id": chat, "content": image}));
    assert_eq!(sent["content"]["caption"], "comprovante");
    let hits = shop.ok("messages.search", json!({"text": "Comprovante"}));
    assert_eq!((&hits[0]["message"]["id"], &hits[0]["snippet"]), (&sent["id"], &json!("comprovante")));
    let only_text = json!({"text": "comprovante", "filter": {"field": "content_type", "op": "eq", "value": "text"}});
    assert_eq!(shop.ok("messages.search", only_text), json!([]));
    let voice = json!({"type": "voice", "media": {"url": "https://x/y.ogg"}, "caption": "oi"});
    shop.refused("messages.send", json!({"chat_id": chat, "content": voice}), "content_not_allowed", "content.caption");
}

#[test]
fn case_09_addresses_and_places_are_checked() {
    let shop = Shop::new();
    let chat = shop.chat();
    let refused = |content: Value, code: &str, field: &str| {
        shop.refused("messages.send", json!({"chat_id": chat, "content": content}), code, field);
    };
    refused(json!({"type": "image", "media": {"url": "ftp://x/y.jpg"}}), "url_scheme_unsupported", "content.media.url");
    refused(json!({"type": "image", "media": {}}), "media_required", "content.media");
    refused(
        json!({"type": "location", "location": {"latitude": 91.0, "longitude": 0.0}}),
        "coordinates_out_of_range",
        "content.location",
    );
    refused(json!({"type": "contact", "cards": []}), "contact_card_required", "content.cards");
    let image = |more: Value| {
        let mut media = json!({"url": "https://x/y"});
        merge(&mut media, &more);
        json!({"type": "image", "media": media})
    };
    refused(image(json!({"mime": "image/tiff"})), "content_type_not_supported", "content.media.mime");
    refused(image(json!({"size_bytes": 70_000_000})), "payload_too_large", "content.media.size_bytes");
    refused(json!({"type": "template", "template": {"name": "welcome"}}), "content_type_not_supported", "content.type");
}

#[test]
fn case_15_the_same_token_sends_once() {
    let shop = Shop::new();
    let chat = shop.chat();
    let order =
        |body: &str| json!({"chat_id": chat, "content": {"type": "text", "body": body}, "client_token": "ord-77"});
    let first = shop.ok("messages.send", order("Pedido pronto"));
    assert_eq!(shop.ok("messages.send", order("Pedido pronto"))["id"], first["id"]);
    assert_eq!(shop.types(&first), ["message.created"]);
    shop.refused("messages.send", order("Pedido cancelado"), "client_token_reused", "client_token");
    assert_eq!(shop.ok("messages.find", json!({"client_token": "ord-77"}))["id"], first["id"]);
    let empty = json!({"chat_id": chat, "content": {"type": "text", "body": "Oi"}, "client_token": ""});
    shop.refused("messages.send", empty, "input_invalid", "client_token");
}

#[test]
fn case_17_a_planned_message_can_be_cancelled() {
    let shop = Shop::new();
    let chat = shop.chat();
    let later = json!({"chat_id": chat, "content": {"type": "text", "body": "Feliz ano novo"}, "scheduled_at": "2031-01-01T09:00:00Z"});
    let message = shop.ok("messages.send", later);
    assert_eq!((&message["status"], &message["session_id"]), (&json!("scheduled"), &Value::Null));
    let cancelled = shop.ok("messages.cancel", json!({"id": message["id"], "reason": "changed plans"}));
    assert_eq!(cancelled["status"], "cancelled");
    shop.world.clock.set("2031-01-01T09:00:01Z");
    shop.wait(0);
    assert_eq!(shop.types(&message), ["message.created", "message.cancelled"]);
    shop.refused("messages.retry", json!({"id": message["id"]}), "invalid_state", "");
    shop.refused("messages.cancel", json!({"id": message["id"]}), "invalid_state", "");
    let report = json!({"id": message["id"], "status": "sent"});
    shop.refused("messages.report_delivery", report, "invalid_state", "");
    shop.world.assert_log_matches();
}

#[test]
fn case_18_plans_lie_ahead() {
    let shop = Shop::new();
    let chat = shop.chat();
    let planned = |times: Value| {
        let mut input = json!({"chat_id": chat, "content": {"type": "text", "body": "Oi"}});
        merge(&mut input, &times);
        input
    };
    let refused = |times: Value, code: &str, field: &str| shop.refused("messages.send", planned(times), code, field);
    refused(json!({"scheduled_at": "2025-01-06T08:00:00Z"}), "schedule_in_past", "scheduled_at");
    refused(json!({"expires_at": "2025-01-06T09:00:00Z"}), "expiry_invalid", "expires_at");
    refused(
        json!({"scheduled_at": "2025-01-06T10:00:00Z", "expires_at": "2025-01-06T10:00:00Z"}),
        "expiry_invalid",
        "expires_at",
    );
    let moment_ago = shop.ok("messages.send", planned(json!({"scheduled_at": "2025-01-06T08:59:30Z"})));
    assert_eq!(moment_ago["status"], "queued");
}

#[test]
fn case_22_an_answer_stays_in_its_chat() {
    let shop = Shop::new();
    let chat = shop.chat();
    let theirs = shop.hear(BRUNO, "B1", "Olá");
    let answer =
        |quoted: &Value| json!({"chat_id": chat, "content": {"type": "text", "body": "Oi"}, "reply_to_id": quoted});
    shop.refused("messages.send", answer(&theirs["message_id"]), "reply_target_mismatch", "reply_to_id");
    let mine = shop.hear(ANA, "A2", "Tudo bem?")["message_id"].clone();
    let sent = shop.ok("messages.send", answer(&mine));
    assert_eq!((&sent["reply_to_id"], &sent["reply_to_channel_message_id"]), (&mine, &json!("A2")));
    let mixed = json!({"chat_id": chat, "contact_id": theirs["contact_id"], "content": {"type": "text", "body": "Oi"}});
    shop.refused("messages.send", mixed, "message_contact_mismatch", "contact_id");
}

#[test]
fn a_send_opens_the_chat_and_the_session_of_a_contact() {
    let shop = Shop::new();
    let contact = shop.hear(ANA, "A1", "Oi")["contact_id"].clone();
    let second = shop.line("whatsapp_business", "Support");
    let content = json!({"type": "text", "body": "Bom dia"});
    let sent = shop.ok("messages.send", json!({"contact_id": contact, "channel_id": second, "content": content}));
    assert_eq!((&sent["contact_id"], &sent["channel_id"]), (&contact, &json!(second)));
    let session = shop.session(&sent);
    assert_eq!((&session["origin"], &session["metrics"]["awaiting"]), (&json!("outbound"), &json!("contact")));
    let again = shop.ok("messages.send", json!({"contact_id": contact, "channel_id": second, "content": content}));
    assert_eq!((&again["chat_id"], &again["session_id"]), (&sent["chat_id"], &sent["session_id"]));
    assert_eq!(shop.claim()[0]["chat_external_id"], format!("{ANA}@c.us"));
    let answer = shop.hear_on(&second, ANA, "A2", "Oi");
    assert_eq!((&answer["chat_id"], &answer["session_id"]), (&sent["chat_id"], &sent["session_id"]));
    shop.refused("messages.send", json!({"contact_id": contact, "content": content}), "field_required", "channel_id");
    shop.refused("messages.send", json!({"content": content}), "field_required", "contact_id");
    shop.world.assert_log_matches();
}

#[test]
fn flow_case_29_a_message_needs_a_way_to_its_contact() {
    let shop = Shop::new();
    shop.kind("mail", "email", json!({}));
    let mail = shop.line("mail", "Mail");
    let lid = json!({
        "type": "message", "channel_message_id": "L1", "from_me": false,
        "chat": {"external_id": "19104132006020@lid", "class": "individual", "kind_detail": "direct"},
        "sender": {"lid": "19104132006020"}, "timestamp": shop.now(), "content": {"type": "text", "body": "Oi"},
    });
    let hidden = shop.ingest(&shop.channel, lid);
    let content = json!({"type": "text", "body": "Oi"});
    let by_mail = json!({"contact_id": hidden["contact_id"], "channel_id": mail, "content": content});
    shop.refused("messages.send", by_mail, "recipient_unreachable", "contact_id");

    shop.ok("channels.report_connection", json!({"id": shop.channel, "connection": "stopped"}));
    let waiting = shop.ok("messages.send", json!({"chat_id": hidden["chat_id"], "content": content}));
    assert_eq!((&waiting["status"], shop.claim().len()), (&json!("queued"), 0));
    shop.ok("channels.report_connection", json!({"id": shop.channel, "connection": "connected"}));
    assert_eq!(shop.claim().len(), 1);

    shop.ok("channels.deactivate", json!({"id": shop.channel}));
    shop.refused(
        "messages.send",
        json!({"chat_id": hidden["chat_id"], "content": content}),
        "channel_not_active",
        "channel_id",
    );
}

#[test]
fn flow_case_30_a_closed_window_takes_templates_only() {
    let shop = Shop::new();
    shop.kind("cloud", "whatsapp", json!({"reply_window_hours": 24}));
    let cloud = shop.line("cloud", "Cloud");
    let chat = shop.hear_on(&cloud, ANA, "A1", "Oi")["chat_id"].clone();
    let send = |content: Value| json!({"chat_id": chat, "content": content});
    let free = json!({"type": "text", "body": "Oi"});
    shop.ok("messages.send", send(free.clone()));
    let planned = json!({"chat_id": chat, "content": free, "scheduled_at": "2025-01-07T10:00:00Z"});
    let planned = shop.ok("messages.send", planned);
    shop.wait(25 * 3_600);
    shop.refused("messages.send", send(free), "reply_window_closed", "");
    let template = shop.ok("messages.send", send(json!({"type": "template", "template": {"name": "welcome"}})));
    assert_eq!(template["status"], "queued");
    let planned = shop.get(&planned);
    assert_eq!((&planned["status"], &planned["failure"]["code"]), (&json!("failed"), &json!("reply_window_closed")));
}

#[test]
fn a_planned_message_is_released_into_the_session_of_its_moment() {
    let shop = Shop::new();
    let chat = shop.chat();
    let content = json!({"type": "text", "body": "Lembrete"});
    let planned = json!({"chat_id": chat, "content": content, "scheduled_at": "2025-01-06T12:00:00Z"});
    let message = shop.ok("messages.send", planned);
    let row = shop.ok("chats.get", json!({"id": chat}));
    assert_eq!((&row["message_count"], &row["last_message"]["preview"]), (&json!(1), &json!("Oi")));
    shop.world.clock.set("2025-01-06T12:00:00Z");
    shop.wait(0);
    let released = shop.get(&message);
    assert_eq!(
        (&released["status"], &released["timestamp"]),
        (&json!("queued"), &json!("2025-01-06T12:00:00.000000Z"))
    );
    let session = shop.session(&released);
    assert_eq!((&session["origin"], &session["metrics"]["message_count"]), (&json!("outbound"), &json!(1)));
    let row = shop.ok("chats.get", json!({"id": chat}));
    assert_eq!((&row["message_count"], &row["last_message"]["preview"]), (&json!(2), &json!("Lembrete")));
    assert_eq!(shop.claim().len(), 1);
    shop.world.assert_log_matches();
}

#[test]
fn a_message_expires_when_nobody_sends_it() {
    let shop = Shop::new();
    let chat = shop.chat();
    let content = json!({"type": "text", "body": "Só hoje"});
    let message =
        shop.ok("messages.send", json!({"chat_id": chat, "content": content, "expires_at": "2025-01-06T09:10:00Z"}));
    assert_eq!(shop.session(&message)["metrics"]["message_count"], 2);
    shop.wait(600);
    assert_eq!(shop.get(&message)["status"], "expired");
    assert_eq!(shop.session(&message)["metrics"]["message_count"], 1);
    assert_eq!(shop.claim(), Vec::<Value>::new());
    shop.world.assert_log_matches();
}

#[test]
fn a_closed_chat_withdraws_what_waits_in_it() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.say(&chat, "Oi");
    shop.ok("chats.close", json!({"id": chat}));
    shop.wait(0);
    assert_eq!(shop.get(&message)["status"], "cancelled");
    let content = json!({"type": "text", "body": "Oi"});
    shop.refused("messages.send", json!({"chat_id": chat, "content": content}), "chat_closed", "chat_id");
    shop.world.assert_log_matches();
}

#[test]
fn automatic_sends_open_no_session() {
    let shop = Shop::new();
    let contact = shop.hear(ANA, "A1", "Oi")["contact_id"].clone();
    let second = shop.line("whatsapp_business", "Campaigns");
    let content = json!({"type": "text", "body": "Promoção"});
    let sent = shop.ok(
        "messages.send",
        json!({"contact_id": contact, "channel_id": second, "content": content, "source": "broadcast"}),
    );
    assert_eq!((&sent["source"], &sent["session_id"]), (&json!("broadcast"), &Value::Null));
    let forged = json!({"contact_id": contact, "channel_id": second, "content": content, "source": "contact"});
    shop.refused("messages.send", forged, "enum_unknown", "source");
}

#[test]
fn a_forward_repeats_the_content_in_other_chats() {
    let shop = Shop::new();
    let chat = shop.chat();
    let original = shop.say(&chat, "Endereço: Rua A, 1");
    let other = shop.hear(BRUNO, "B1", "Onde é?")["chat_id"].clone();
    let copies = shop.ok("messages.forward", json!({"id": original["id"], "chat_ids": [other]}));
    assert_eq!((&copies[0]["chat_id"], &copies[0]["content"]), (&other, &original["content"]));
    assert_eq!(copies[0]["forward"], json!({"score": 0, "from_message_id": original["id"]}));
    shop.refused("messages.forward", json!({"id": original["id"], "chat_ids": []}), "limit_out_of_range", "chat_ids");
    let sent = shop.claim();
    assert_eq!(sent.len(), 2);
    shop.report(&original, json!({"status": "sent", "channel_message_id": "S1"}));
    shop.ok("messages.revoke", json!({"id": original["id"]}));
    let revoked = json!({"id": original["id"], "chat_ids": [other]});
    shop.refused("messages.forward", revoked, "message_not_forwardable", "");
    let at_place = json!({"id": copies[0]["id"], "chat_ids": [chat, shop.project]});
    shop.refused("messages.forward", at_place, "chat_not_found", "chat_ids[1]");
}
