//! Labels of the line on chats.

use super::*;

#[test]
fn case_17_a_label_is_there_once() {
    let shop = Shop::new();
    let chat = shop.chat_of(&shop.says("A1", "10:00"));
    let label = |label: &str| json!({"id": chat["id"], "label_id": label});
    shop.ok("chats.add_label", label("5"));
    shop.ok("chats.add_label", label("5"));
    assert_eq!(shop.types(&chat), ["chat.created", "chat.label_added"]);
    let agent = shop.member(MemberRole::Agent);
    let error = shop.call(agent, "chats.remove_label", label("9")).unwrap_err();
    assert_eq!((error.code(), error.field()), (ErrorCode::ChatLabelNotFound, Some("label_id")));
    let off = json!({
        "type": "chat_label_change", "label_id": "9", "change": "removed",
        "chat": {"external_id": format!("{ANA}@c.us"), "class": "individual", "kind_detail": "direct", "subject": null},
    });
    assert_eq!(shop.item(&shop.w1, off)["type"], "applied");
    assert_eq!(shop.types(&chat).len(), 2);
    shop.refused("chats.add_label", label(&"x".repeat(65)), ErrorCode::ChatLabelInvalid, "label_id");
    (0..49).for_each(|number| drop(shop.ok("chats.add_label", label(&format!("l{number}")))));
    shop.refused("chats.add_label", label("one more"), ErrorCode::ChatLabelLimit, "");
}

#[test]
fn case_18_a_set_of_labels_records_the_differences() {
    let shop = Shop::new();
    let chat = shop.individual(&shop.w1, &shop.contact("C1"))["chat"].clone();
    let update = |labels: Value| shop.ok("chats.update", json!({"id": chat["id"], "labels": labels}));
    update(json!(["2", "3"]));
    let known = shop.events(&chat).len();
    assert_eq!(update(json!(["1", "2"]))["labels"], json!(["1", "2"]));
    let new: Vec<(String, String)> = shop.events(&chat)[known..]
        .iter()
        .map(|event| (event["type"].as_str().unwrap().to_owned(), event["label_id"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [("chat.label_removed", "3"), ("chat.label_added", "1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(new, expected);
}

#[test]
fn case_19_a_label_that_the_line_deletes_leaves_its_chats() {
    let shop = Shop::new();
    let w2 = shop.line("W2");
    for channel in [&shop.w1, &w2] {
        shop.ok("channels.upsert_label", json!({"id": channel, "label": {"id": "3", "name": "Novo"}}));
    }
    let labelled = |channel: &str, name: &str| {
        let chat = shop.individual(channel, &shop.contact(name))["chat"].clone();
        shop.ok("chats.update", json!({"id": chat["id"], "labels": ["3", "4"]}))
    };
    let here: Vec<Value> = (0..3).map(|number| labelled(&shop.w1, &format!("C{number}"))).collect();
    shop.ok("chats.close", json!({"id": here[2]["id"]}));
    let there = labelled(&w2, "C9");
    shop.ok("channels.delete_label", json!({"id": shop.w1, "label_id": "3"}));
    shop.pending();
    for chat in &here {
        assert_eq!(shop.get(chat)["labels"], json!(["4"]));
    }
    assert_eq!(shop.get(&there)["labels"], json!(["3", "4"]));
    shop.world.assert_log_matches();
}
