//! Individual chats: one per contact and line, their lifecycle, who may touch them.

use super::*;

#[test]
fn case_01_a_contact_has_one_chat_on_a_line() {
    let shop = Shop::new();
    let c1 = shop.contact("C1");
    let (first, second) = (shop.individual(&shop.w1, &c1), shop.individual(&shop.w1, &c1));
    assert_eq!((&first["created"], &second["created"]), (&json!(true), &json!(false)));
    assert_eq!(first["chat"]["id"], second["chat"]["id"]);
    assert_eq!(shop.types(&first["chat"]), ["chat.created"]);
    let people = &first["chat"]["participants"];
    assert_eq!(
        (&people[0]["id"], &people[0]["type"], &people[0]["role"]),
        (&json!(c1), &json!("contact"), &json!("member"))
    );
    let nobody = json!({"chat_type": "individual", "channel_id": shop.w1});
    shop.refused("chats.create", nobody, ErrorCode::ChatContactRequired, "contact_id");
    let named = json!({"chat_type": "individual", "channel_id": shop.w1, "contact_id": c1, "subject": "Ana"});
    shop.refused("chats.create", named, ErrorCode::IndividualHasNoSubject, "subject");
    let elsewhere = json!({"chat_type": "individual", "channel_id": A1, "contact_id": c1});
    shop.refused("chats.create", elsewhere, ErrorCode::ChannelNotFound, "channel_id");
    let unknown = json!({"chat_type": "individual", "channel_id": shop.w1, "contact_id": A1});
    shop.refused("chats.create", unknown, ErrorCode::ContactNotFound, "contact_id");
}

#[test]
fn case_02_and_another_on_another_line() {
    let shop = Shop::new();
    let (c1, w2) = (shop.contact("C1"), shop.line("W2"));
    let (first, second) = (shop.individual(&shop.w1, &c1), shop.individual(&w2, &c1));
    assert_eq!(second["created"], true);
    assert_ne!(first["chat"]["id"], second["chat"]["id"]);
}

#[test]
fn case_03_two_workers_at_once_open_one_chat() {
    let shop = Shop::new();
    let c1 = shop.contact("C1");
    let opened: Vec<Value> = std::thread::scope(|threads| {
        let open = || shop.individual(&shop.w1, &c1);
        let workers: Vec<_> = (0..8).map(|_| threads.spawn(open)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert!(opened.iter().all(|answer| answer["chat"]["id"] == opened[0]["chat"]["id"]));
    assert_eq!(opened.iter().filter(|answer| answer["created"] == true).count(), 1);
    assert_eq!(shop.ok("chats.count", json!({})), 1);
    shop.world.assert_log_matches();
}

#[test]
fn case_05_words_that_are_not_known() {
    let shop = Shop::new();
    let kind = json!({"chat_type": "grupo", "channel_id": shop.w1});
    shop.refused("chats.create", kind, ErrorCode::EnumUnknown, "chat_type");
    let chat = shop.individual(&shop.w1, &shop.contact("C1"))["chat"].clone();
    let bot = json!({"id": chat["id"], "participant": {"id": A1, "type": "bot"}});
    shop.refused("chats.add_participant", bot, ErrorCode::EnumUnknown, "participant.type");
}

#[test]
fn case_06_one_contact_and_any_number_of_agents() {
    let shop = Shop::new();
    let chat = shop.individual(&shop.w1, &shop.contact("C1"))["chat"].clone();
    let add = |id: &str, kind: &str| json!({"id": chat["id"], "participant": {"id": id, "type": kind}});
    let c2 = shop.contact("C2");
    shop.refused("chats.add_participant", add(&c2, "contact"), ErrorCode::IndividualContactLimit, "participant.id");
    shop.ok("chats.add_participant", add(A1, "agent"));
    shop.refused("chats.add_participant", add(A1, "agent"), ErrorCode::ParticipantExists, "participant.id");
    let admin = json!({"id": chat["id"], "participant": {"id": A2, "type": "agent", "role": "admin"}});
    shop.refused("chats.add_participant", admin, ErrorCode::NotAGroup, "participant.role");
    let system = Component::Broadcast.reserved_id().unwrap().to_string();
    shop.refused("chats.add_participant", add(&system, "agent"), ErrorCode::AgentNotFound, "participants");
    let two = json!({"chat_type": "individual", "channel_id": shop.w1, "contact_id": shop.contact("C3"),
        "participants": [{"id": c2, "type": "contact"}]});
    shop.refused("chats.create", two, ErrorCode::IndividualContactLimit, "participants");
}

#[test]
fn case_07_the_contact_stays_agents_come_and_go() {
    let shop = Shop::new();
    let c1 = shop.contact("C1");
    let chat = shop.individual(&shop.w1, &c1)["chat"].clone();
    shop.ok("chats.add_participant", json!({"id": chat["id"], "participant": {"id": A1, "type": "agent"}}));
    let remove = |who: &str| json!({"id": chat["id"], "participant_id": who});
    shop.refused("chats.remove_participant", remove(&c1), ErrorCode::CannotRemoveContact, "participant_id");
    let left = shop.ok("chats.remove_participant", remove(A1));
    assert_eq!(
        (&left["participants"][1]["id"], &left["participants"][1]["left_at"]),
        (&json!(A1), &json!(at("12:00")))
    );
    shop.refused("chats.remove_participant", remove(A1), ErrorCode::ParticipantNotFound, "participant_id");
}

#[test]
fn case_11_away_back_and_for_good() {
    let shop = Shop::new();
    let chat = shop.individual(&shop.w1, &shop.contact("C1"))["chat"].clone();
    let this = json!({"id": chat["id"]});
    shop.ok("chats.archive", this.clone());
    assert_eq!(shop.ok("chats.archive", this.clone())["status"], "archived");
    assert_eq!(shop.types(&chat), ["chat.created", "chat.archived"]);
    shop.ok("chats.unarchive", this.clone());
    shop.ok("chats.unarchive", this.clone());
    shop.ok("chats.close", this.clone());
    shop.ok("chats.close", this.clone());
    assert_eq!(shop.types(&chat)[2..], ["chat.unarchived", "chat.closed"]);
    shop.refused("chats.unarchive", this.clone(), ErrorCode::ChatClosed, "");
    shop.refused("chats.archive", this.clone(), ErrorCode::ChatClosed, "");
    let closed = shop.events(&chat).pop().unwrap();
    assert_eq!((&closed["reason"], &closed["previous_status"]), (&json!("person"), &json!("active")));
    shop.ok("chats.delete", this.clone());
    shop.refused("chats.get", this, ErrorCode::ChatNotFound, "");
    shop.world.assert_log_matches();
}

#[test]
fn case_12_an_archived_chat_comes_back_with_a_live_message() {
    let shop = Shop::new();
    shop.clock("10:00");
    let chat = shop.chat_of(&shop.says("A1", "10:00"));
    shop.ok("chats.mark_read", json!({"id": chat["id"]}));
    shop.ok("chats.archive", json!({"id": chat["id"]}));
    let live = shop.data_of(&shop.says("A2", "10:05"));
    let back = shop.get(&chat);
    assert_eq!((&back["status"], &back["unread_count"]), (&json!("active"), &json!(1)));
    let event = shop.events(&chat).pop().unwrap();
    assert_eq!((&event["type"], &event["reason"]), (&json!("chat.unarchived"), &json!("new_message")));
    shop.world.assert_log_matches();

    // One of the past changes what was said last, and neither wakes the chat nor is it unread.
    shop.ok("chats.mark_read", json!({"id": chat["id"]}));
    let archived = shop.ok("chats.archive", json!({"id": chat["id"]}));
    let imported =
        shop.observed(&archived, &merged(live.clone(), json!({"type": "message.imported", "timestamp": at("10:30")})));
    assert_eq!((imported.status.as_str(), imported.unread_count), ("archived", 0));
    assert_eq!((imported.message_count, imported.last_inbound_at), (3, Some(at("10:30"))));
}

#[test]
fn case_13_after_a_closed_chat_the_next_message_opens_another() {
    let shop = Shop::new();
    let old = shop.chat_of(&shop.says("A1", "10:00"));
    let closed = shop.ok("chats.close", json!({"id": old["id"]}));
    shop.pending();
    let new = shop.chat_of(&shop.says("A2", "10:05"));
    assert_ne!(new["id"], old["id"]);
    assert_eq!((&new["contact_id"], &new["message_count"]), (&old["contact_id"], &json!(1)));
    let after = shop.get(&old);
    assert_eq!((&after["status"], &after["revision"]), (&json!("closed"), &closed["revision"]));
    shop.world.assert_log_matches();
}

#[test]
fn case_21_the_id_on_the_channel_is_told_once() {
    let shop = Shop::new();
    let chat = shop.individual(&shop.w1, &shop.contact("C1"))["chat"].clone();
    let told = |external_id: &str| json!({"id": chat["id"], "external_id": external_id});
    shop.ok("chats.update", told("1@c.us"));
    shop.ok("chats.update", told("1@c.us"));
    assert_eq!(shop.types(&chat), ["chat.created", "chat.external_id_set"]);
    shop.refused("chats.update", told("2@c.us"), ErrorCode::ChatExternalIdImmutable, "external_id");
    let other = shop.individual(&shop.w1, &shop.contact("C2"))["chat"].clone();
    let taken = json!({"id": other["id"], "external_id": "1@c.us"});
    shop.refused("chats.update", taken, ErrorCode::ChatExternalIdTaken, "");
    shop.refused("chats.update", told(&"9".repeat(256)), ErrorCode::ValueOutOfRange, "external_id");
}

#[test]
fn case_23_other_projects_see_nothing_and_viewers_change_nothing() {
    let shop = Shop::new();
    let chat = shop.individual(&shop.w1, &shop.contact("C1"))["chat"].clone();
    let this = json!({"id": chat["id"]});
    let other = host(&shop.world, "projects.create", json!({"name": "Other"}));
    let there = shop.world.crm.project(ProjectId::from_uuid(parse_uuid(id(&other)).unwrap())).context();
    let error = shop.call(there, "chats.get", this.clone()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ChatNotFound);
    let viewer = shop.member(MemberRole::Viewer);
    for operation in ["chats.archive", "chats.mark_read"] {
        let error = shop.call(viewer.clone(), operation, this.clone()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::PermissionDenied, "{operation}");
    }
}

#[test]
fn a_chat_is_muted_for_a_while_and_keeps_particulars() {
    let shop = Shop::new();
    let chat = shop.individual(&shop.w1, &shop.contact("C1"))["chat"].clone();
    let update = |change: Value| merged(json!({"id": chat["id"]}), change);
    shop.refused("chats.update", update(json!({"muted_until": at("12:00")})), ErrorCode::MuteInPast, "muted_until");
    shop.ok("chats.update", update(json!({"muted_until": at("18:00"), "metadata": {"set": {"vip": true}}})));
    let now = shop.ok("chats.update", update(json!({"muted_until": null, "metadata": {"unset": ["vip", "none"]}})));
    assert_eq!((&now["muted_until"], &now["metadata"]), (&Value::Null, &json!({})));
    assert_eq!(
        shop.types(&chat)[1..],
        ["chat.muted", "chat.metadata_updated", "chat.unmuted", "chat.metadata_updated"]
    );
    let many: serde_json::Map<String, Value> = (0..65).map(|n| (format!("k{n}"), json!(n))).collect();
    shop.refused("chats.update", update(json!({"metadata": {"set": many}})), ErrorCode::JsonTooLarge, "metadata");
    shop.refused("chats.update", update(json!({"picture_url": "no"})), ErrorCode::UrlInvalid, "picture_url");
    shop.world.assert_log_matches();
}
