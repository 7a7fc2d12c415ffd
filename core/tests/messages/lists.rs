//! Finding and reading messages.

use super::*;

#[test]
fn case_21_a_late_quote_is_resolved_when_it_is_read() {
    let shop = Shop::new();
    let item = json!({
        "type": "message", "channel_message_id": "A2", "from_me": false,
        "chat": {"external_id": format!("{ANA}@c.us"), "class": "individual", "kind_detail": "direct"},
        "sender": {"wid": ANA}, "timestamp": shop.now(), "content": {"type": "text", "body": "Sim"},
        "reply_to_channel_message_id": "X9",
    });
    let answer = json!({"id": shop.ingest(&shop.channel, item)["message_id"]});
    assert_eq!(
        (&shop.get(&answer)["reply_to_id"], &shop.get(&answer)["reply_to_channel_message_id"]),
        (&Value::Null, &json!("X9"))
    );
    let quoted = shop.hear(ANA, "X9", "Vamos?")["message_id"].clone();
    assert_eq!(shop.get(&answer)["reply_to_id"], quoted);
    assert_eq!(shop.types(&answer), ["message.received"]);
}

#[test]
fn case_25_other_projects_and_strangers_see_nothing() {
    let shop = Shop::new();
    let chat = shop.chat();
    let message = shop.say(&chat, "Oi");
    let other = system(&shop.world, "projects.create", json!({"name": "Other"}));
    let other = ProjectId::from_uuid(parse_uuid(text(&other["id"])).unwrap());
    let there = shop.world.crm.project(other).context();
    let error = shop.call_as(there, "messages.get", json!({"id": message["id"]})).unwrap_err();
    assert_eq!(error.code().as_str(), "message_not_found");
    let stranger = ActorRef::new(Actor::User(UserId::from_uuid(shop.world.crm.project(shop.project).id().uuid())));
    let stranger = Context::new(Some(shop.project), stranger);
    let content = json!({"type": "text", "body": "Oi"});
    let error = shop.call_as(stranger, "messages.send", json!({"chat_id": chat, "content": content})).unwrap_err();
    assert_eq!(error.kind(), ventros::kernel::ErrorKind::Forbidden);
}

#[test]
fn messages_are_listed_newest_first_and_threads_by_session() {
    let shop = Shop::new();
    let first = shop.hear(ANA, "A1", "um");
    shop.wait(60);
    shop.say(text(&first["chat_id"]), "dois");
    shop.wait(3_600);
    shop.hear(ANA, "A2", "três");
    let bodies = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|message| text(&message["content"]["body"]).to_owned()).collect()
    };
    assert_eq!(bodies(&shop.ok("messages.list", json!({}))["items"]), ["três", "dois", "um"]);
    let inbound = json!({"field": "direction", "op": "eq", "value": "inbound"});
    assert_eq!(shop.ok("messages.count", json!({"filter": inbound})), 2);
    let thread = shop.ok("messages.thread", json!({"contact_id": first["contact_id"]}));
    let sessions: Vec<Vec<String>> =
        thread["items"].as_array().unwrap().iter().map(|session| bodies(&session["messages"])).collect();
    assert_eq!(sessions, [vec!["três".to_owned()], vec!["um".to_owned(), "dois".to_owned()]]);
    let found = shop.ok("messages.find", json!({"channel_id": shop.channel, "channel_message_id": "A2"}));
    assert_eq!(found["content"]["body"], "três");
    shop.refused("messages.find", json!({"channel_message_id": "A2"}), "field_required", "channel_id");
    shop.refused(
        "messages.list",
        json!({"filter": {"field": "due_at", "op": "is_null"}}),
        "filter_field_unknown",
        "filter.field",
    );
}
