//! Groups and one-to-many channels: names, who takes part, what the provider tells.

use super::*;

/// A group item of the provider.
fn change(action: &str, people: Vec<Value>) -> Value {
    json!({
        "type": "group_change", "action": action, "at": at("10:00"), "participants": people,
        "chat": {"external_id": GROUP, "class": "group", "kind_detail": "group", "subject": "Festa"},
    })
}

fn person(number: usize, role: &str) -> Value {
    json!({"identifiers": {"wid": format!("55119{number:08}")}, "role": role})
}

#[test]
fn case_04_a_group_has_a_name_and_a_creator() {
    let shop = Shop::new();
    let creator = json!({"id": shop.contact("C1"), "type": "contact"});
    let group = |change: Value| {
        merged(json!({"chat_type": "group", "channel_id": shop.w1, "subject": "Festa", "creator": creator}), change)
    };
    let refused = |input: Value, code, field: &str| shop.refused("chats.create", input, code, field);
    refused(group(json!({"subject": "  "})), ErrorCode::ChatSubjectRequired, "subject");
    refused(group(json!({"subject": "é".repeat(256)})), ErrorCode::ChatSubjectTooLong, "subject");
    refused(group(json!({"creator": null})), ErrorCode::ChatCreatorRequired, "creator");
    let opened = shop.ok("chats.create", group(json!({"subject": "é".repeat(255)})));
    assert_eq!(opened["chat"]["participants"][0]["role"], "owner");
    let people: Vec<Value> =
        (0..2_000).map(|n| json!({"id": uuid::Uuid::from_u128(n + (7 << 76) + (1 << 63)), "type": "agent"})).collect();
    refused(group(json!({"participants": people})), ErrorCode::ChatParticipantLimit, "participants");
}

#[test]
fn a_broadcast_channel_tracks_no_members() {
    let shop = Shop::new();
    let c1 = shop.contact("C1");
    let channel = json!({"chat_type": "channel", "channel_id": shop.w1, "subject": "Novidades"});
    let chat = shop.ok("chats.create", channel.clone())["chat"].clone();
    let member = json!({"id": c1, "type": "contact"});
    let add = json!({"id": chat["id"], "participant": member});
    shop.refused("chats.add_participant", add, ErrorCode::ChannelMembershipUntracked, "participant.id");
    let with = merged(channel, json!({"participants": [member]}));
    shop.refused("chats.create", with, ErrorCode::ChannelMembershipUntracked, "participants");
}

#[test]
fn case_08_who_comes_back_is_listed_once() {
    let shop = Shop::new();
    let (c1, c2) = (shop.contact("C1"), shop.contact("C2"));
    let chat = shop.group(&c1);
    let join =
        || shop.ok("chats.add_participant", json!({"id": chat["id"], "participant": {"id": c2, "type": "contact"}}));
    shop.clock("09:00");
    join();
    shop.clock("10:00");
    shop.ok("chats.remove_participant", json!({"id": chat["id"], "participant_id": c2}));
    shop.clock("12:00");
    let now = join();
    let entries: Vec<&Value> = now["participants"].as_array().unwrap().iter().filter(|p| p["id"] == c2).collect();
    assert_eq!(entries.len(), 1);
    assert_eq!((&entries[0]["joined_at"], &entries[0]["left_at"]), (&json!(at("12:00")), &Value::Null));
    assert_eq!(shop.events(&chat).pop().unwrap()["rejoined"], true);
    shop.world.assert_log_matches();
}

#[test]
fn case_09_roles_change_once_and_somebody_stays_admin() {
    let shop = Shop::new();
    let (c1, c2) = (shop.contact("C1"), shop.contact("C2"));
    let chat = shop.group(&c1);
    shop.ok("chats.add_participant", json!({"id": chat["id"], "participant": {"id": c2, "type": "contact"}}));
    let role = |who: &str, role: &str| json!({"id": chat["id"], "participant_id": who, "role": role});
    shop.ok("chats.set_participant_role", role(&c2, "admin"));
    shop.ok("chats.set_participant_role", role(&c2, "admin"));
    shop.ok("chats.set_participant_role", role(&c2, "member"));
    assert_eq!(shop.types(&chat)[2..], ["chat.participant_promoted", "chat.participant_demoted"]);
    shop.refused("chats.set_participant_role", role(&c1, "member"), ErrorCode::ChatLastAdmin, "");
    shop.refused("chats.set_participant_role", role(A1, "admin"), ErrorCode::ParticipantNotFound, "participant_id");
    let alone = shop.individual(&shop.w1, &c1)["chat"].clone();
    let there = json!({"id": alone["id"], "participant_id": c1, "role": "admin"});
    shop.refused("chats.set_participant_role", there, ErrorCode::NotAGroup, "");
}

#[test]
fn case_10_groups_are_renamed_until_they_are_closed() {
    let shop = Shop::new();
    let c1 = shop.contact("C1");
    let alone = shop.individual(&shop.w1, &c1)["chat"].clone();
    let named = |chat: &Value, subject: &str| json!({"id": chat["id"], "subject": subject});
    shop.refused("chats.update", named(&alone, "Ana"), ErrorCode::IndividualHasNoSubject, "subject");
    let described = json!({"id": alone["id"], "description": "Ana"});
    shop.refused("chats.update", described, ErrorCode::IndividualHasNoSubject, "description");
    let group = shop.group(&c1);
    shop.ok("chats.archive", json!({"id": group["id"]}));
    assert_eq!(shop.ok("chats.update", named(&group, "Natal"))["subject"], "Natal");
    let known = shop.types(&group).len();
    shop.ok("chats.update", named(&group, "Natal"));
    assert_eq!(shop.types(&group).len(), known);
    shop.ok("chats.close", json!({"id": group["id"]}));
    shop.refused("chats.update", named(&group, "Páscoa"), ErrorCode::ChatClosed, "");
}

#[test]
fn case_20_a_group_id_belongs_to_its_line() {
    let shop = Shop::new();
    let w2 = shop.line("W2");
    for channel in [&shop.w1, &w2] {
        shop.item(channel, change("updated", vec![person(1, "admin")]));
    }
    assert_eq!(shop.ok("chats.count", json!({})), 2);
    let found = |channel: &str| shop.ok("chats.find", json!({"channel_id": channel, "external_id": GROUP}));
    assert_ne!(found(&shop.w1)["id"], found(&w2)["id"]);
    shop.refused("chats.find", json!({"channel_id": w2}), ErrorCode::FieldRequired, "external_id");
}

#[test]
fn case_22_a_list_of_the_provider_is_one_event() {
    let shop = Shop::new();
    let list = |people: Vec<Value>| shop.item(&shop.w1, change("updated", people));
    assert_eq!(list(vec![person(1, "admin"), person(2, "participant")])["type"], "applied");
    let chat = shop.ok("chats.find", json!({"channel_id": shop.w1, "external_id": GROUP}));
    assert_eq!(shop.types(&chat), ["chat.created", "chat.participants_synced"]);
    list(vec![person(1, "admin"), person(2, "participant")]);
    assert_eq!(shop.types(&chat).len(), 2);
    list(vec![person(2, "superadmin"), person(3, "participant")]);
    let event = shop.events(&chat).pop().unwrap();
    assert_eq!((event["added"].as_array().unwrap().len(), event["removed"].as_array().unwrap().len()), (1, 1));
    assert_eq!(
        (&event["role_changes"][0]["role"], &event["role_changes"][0]["previous"]),
        (&json!("owner"), &json!("member"))
    );
    let contacts = shop.ok("contacts.count", json!({}));
    let crowd = list((0..2_001).map(|number| person(number, "participant")).collect());
    assert_eq!((&crowd["type"], &crowd["code"]), (&json!("rejected"), &json!("chat_participant_limit")));
    assert_eq!((shop.types(&chat).len(), shop.ok("contacts.count", json!({}))), (3, contacts));
    shop.world.assert_log_matches();
}

#[test]
fn people_join_rise_fall_and_leave_as_the_provider_says() {
    let shop = Shop::new();
    shop.item(&shop.w1, change("updated", vec![person(1, "admin")]));
    for (action, role) in [
        ("participants_joined", "participant"),
        ("participants_promoted", "participant"),
        ("participants_demoted", "participant"),
        ("participants_left", "left"),
    ] {
        shop.item(&shop.w1, change(action, vec![person(2, role)]));
    }
    let chat = shop.ok("chats.find", json!({"channel_id": shop.w1, "external_id": GROUP}));
    assert_eq!(
        shop.types(&chat)[2..],
        ["chat.participant_added", "chat.participant_promoted", "chat.participant_demoted", "chat.participant_removed"]
    );
    // The provider may take the last admin's rights, people may not.
    shop.item(&shop.w1, change("participants_demoted", vec![person(1, "participant")]));
    assert_eq!(shop.get(&chat)["participants"][0]["role"], "member");
    shop.world.assert_log_matches();
}
