//! What chats make of messages and sessions: last message, unread counts, who attends.

use super::*;

#[test]
fn case_14_the_last_message_never_moves_back() {
    let shop = Shop::new();
    shop.says("A2", "10:02");
    let chat = shop.chat_of(&shop.says("A1", "10:01"));
    assert_eq!((&chat["last_message"]["at"], &chat["last_message"]["preview"]), (&json!(at("10:02")), &json!("A2")));
    assert_eq!((&chat["message_count"], &chat["last_inbound_at"]), (&json!(2), &json!(at("10:02"))));
}

#[test]
fn case_15_reading_and_answering() {
    let shop = Shop::new();
    shop.says("A1", "10:01");
    let second = shop.says("A2", "10:02");
    let chat = shop.chat_of(&shop.says("A3", "10:03"));
    assert_eq!(chat["unread_count"], 3);
    let read = json!({"id": chat["id"], "up_to_message_id": second["message_id"]});
    assert_eq!(shop.ok("chats.mark_read", read.clone())["unread_count"], 1);
    assert_eq!(shop.ok("chats.unread_summary", json!({})), json!({"chats": 1, "messages": 1}));
    shop.ok("chats.mark_read", read);
    assert_eq!(shop.types(&chat), ["chat.created", "chat.marked_read"]);
    shop.ok("messages.send", json!({"chat_id": chat["id"], "content": {"type": "text", "body": "Bom dia"}}));
    assert_eq!(shop.get(&chat)["unread_count"], 0);
    assert_eq!(shop.ok("chats.inbox", json!({"unread": true}))["items"], json!([]));
    let foreign = json!({"id": chat["id"], "up_to_message_id": A1});
    shop.refused("chats.mark_read", foreign, ErrorCode::MessageNotFound, "up_to_message_id");
    shop.world.assert_log_matches();
}

#[test]
fn case_16_a_broadcast_is_shown_and_answers_nobody() {
    let shop = Shop::new();
    let chat = shop.chat_of(&shop.says("A1", "10:01"));
    let content = json!({"type": "text", "body": "Promoção"});
    shop.ok("messages.send", json!({"chat_id": chat["id"], "content": content, "source": "broadcast"}));
    let now = shop.get(&chat);
    assert_eq!((&now["last_message"]["preview"], &now["unread_count"]), (&json!("Promoção"), &json!(1)));
}

#[test]
fn case_24_messages_do_not_disturb_a_form_but_people_do() {
    let shop = Shop::new();
    let c1 = shop.contact("C1");
    shop.item(&shop.w1, group_text("G0", "10:00"));
    let chat = shop.ok("chats.find", json!({"channel_id": shop.w1, "external_id": GROUP}));
    for number in 0..4 {
        shop.ok("chats.add_label", json!({"id": chat["id"], "label_id": format!("{number}")}));
    }
    shop.ok("chats.add_participant", json!({"id": chat["id"], "participant": {"id": c1, "type": "contact"}}));
    shop.ok("chats.update", json!({"id": chat["id"], "description": "Sexta"}));
    let before = shop.get(&chat);
    assert_eq!(before["version"], 7);
    (1..=3).for_each(|number| drop(shop.item(&shop.w1, group_text(&format!("G{number}"), "10:01"))));
    let after = shop.get(&chat);
    assert_eq!(after["version"], 7);
    assert_eq!(after["revision"].as_u64().unwrap(), before["revision"].as_u64().unwrap() + 3);
    let rename = |subject: &str| {
        let context = Context { expected_version: Some(7), ..shop.context() };
        shop.call(context, "chats.update", json!({"id": chat["id"], "subject": subject}))
    };
    assert_eq!(rename("Natal").unwrap()["version"], 8);
    assert_eq!(rename("Páscoa").unwrap_err().code(), ErrorCode::VersionConflict);
    shop.world.assert_log_matches();
}

fn group_text(message: &str, time: &str) -> Value {
    let group = json!({"external_id": GROUP, "class": "group", "kind_detail": "group", "subject": "Festa"});
    merged(text_of_ana(message, time), json!({"chat": group}))
}

#[test]
fn the_inbox_of_an_agent_follows_the_sessions() {
    let shop = Shop::new();
    shop.clock("10:01");
    let chat = shop.chat_of(&shop.says("A1", "10:01"));
    let mine = || shop.ok("chats.inbox", json!({"agent_id": A1}))["items"].clone();
    assert_eq!(mine(), json!([]));
    let session = shop.ok("chats.inbox", json!({}))["items"][0]["active_session_id"].clone();
    shop.ok("sessions.assign", json!({"id": session, "agent_id": A1}));
    shop.pending();
    assert_eq!((&mine()[0]["chat"]["id"], &mine()[0]["waiting_since"]), (&chat["id"], &json!(at("10:01"))));
    let listed = shop.ok("chats.list", json!({"filter": {"field": "assigned_agent_id", "op": "eq", "value": A1}}));
    assert_eq!(listed["items"][0]["participants"][1]["id"], A1);
    shop.ok("sessions.assign", json!({"id": session, "agent_id": A2, "reason": "shift"}));
    assert_eq!(mine(), json!([]));
    assert_eq!(shop.get(&chat)["assigned_agent_id"], A2);
    shop.ok("sessions.end", json!({"id": session, "reason": "agent_close"}));
    assert_eq!(shop.get(&chat)["assigned_agent_id"], Value::Null);
    shop.ok("sessions.reopen", json!({"id": session, "reason": "called back"}));
    assert_eq!(shop.get(&chat)["assigned_agent_id"], A2);
    shop.ok("sessions.unassign", json!({"id": session}));
    assert_eq!(shop.get(&chat)["assigned_agent_id"], Value::Null);
    shop.world.assert_log_matches();
}

#[test]
fn chats_are_found_by_their_name_and_by_their_contact() {
    let shop = Shop::new();
    let chat = shop.chat_of(&shop.says("A1", "10:00"));
    let group = shop.group(&shop.contact("C1"));
    let hit = |text: &str| shop.ok("chats.search", json!({"text": text}))[0].clone();
    assert_eq!((&hit("festa")["chat"]["id"], &hit("festa")["match_field"]), (&group["id"], &json!("subject")));
    assert_eq!((&hit("Ana")["chat"]["id"], &hit("Ana")["match_field"]), (&chat["id"], &json!("contact")));
    assert_eq!(hit("99999")["chat"]["id"], chat["id"]);
}
