//! How an inbound item finds its contact.

use super::*;
use crate::channels::gateway::ChannelUser;

#[test]
fn case_05_the_old_writing_of_a_number_is_the_same_person() {
    let desk = Desk::new();
    let ana = desk.with_phone("Ana", "+5544998211518");
    let events = desk.events_of(ana.id, || {
        let heard = desk.hear(wid("554498211518@c.us"), "2025-01-06T09:00:00Z");
        assert_eq!((heard.id, heard.whatsapp.unwrap().wid.as_deref()), (ana.id, Some("554498211518")));
    });
    assert_eq!(events, ["contact.whatsapp_identifiers_set"]);
    assert_eq!(desk.count(), 1);
}

#[test]
fn case_07_a_hidden_id_is_no_phone() {
    let desk = Desk::new();
    let heard = desk.hear(called(lid("19104132006020@lid"), "Nardin"), "2025-01-06T09:00:00Z");
    assert_eq!((heard.name.as_str(), heard.name_source, heard.phone), ("Nardin", NameSource::Channel, None));
    assert_eq!(heard.whatsapp.unwrap().lid.as_deref(), Some("19104132006020"));
    assert_eq!(heard.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["whatsapp"]);
    assert_eq!((heard.origin.kind, heard.origin.channel_id), (OriginKind::Channel, Some(CHANNEL)));
}

#[test]
fn case_08_groups_are_no_people() {
    let desk = Desk::new();
    let hear = |who| Hear { who, at: time("2025-01-06T09:00:00Z"), text: None };
    assert_eq!(code(&desk.refused(hear(wid("120363041234567890@g.us")))), "whatsapp_group_id");
    assert_eq!(code(&desk.refused(hear(Identifiers::default()))), "identifier_required");
    let by_name = Identifiers { username: Some("ana".into()), ..Identifiers::default() };
    assert_eq!(code(&desk.refused(hear(by_name))), "identifier_required");
    assert_eq!(code(&desk.refused(hear(lid("abc")))), "whatsapp_id_invalid");
}

#[test]
fn case_09_a_channel_does_not_rename_whom_a_person_named() {
    let desk = Desk::new();
    let id = desk.hear(called(wid("5511999999999"), "Silva"), "2025-01-06T09:00:00Z").id;
    desk.run(UpdateContact { name: set("Dr. Silva"), ..UpdateContact::new(id) });
    let events = desk.events_of(id, || {
        let heard = desk.hear(called(wid("5511999999999"), "sil"), "2025-01-06T09:01:00Z");
        assert_eq!((heard.name.as_str(), heard.push_name.as_deref()), ("Dr. Silva", Some("sil")));
    });
    assert_eq!(events, ["contact.updated"]);
}

#[test]
fn a_known_sender_with_nothing_new_records_nothing() {
    let desk = Desk::new();
    let who = Identifiers { lid: Some("777".into()), ..called(wid("5511999999999"), "Ana") };
    let id = desk.hear(who.clone(), "2025-01-06T09:00:00Z").id;
    let version = desk.get(id).version;
    for minute in 1..5 {
        let heard = desk.hear(who.clone(), &format!("2025-01-06T09:0{minute}:00Z"));
        assert_eq!((heard.id, heard.version), (id, version));
    }
}

#[test]
fn a_phone_becomes_known_with_the_phone_based_id() {
    let desk = Desk::new();
    let first = desk.hear(lid("777"), "2025-01-06T09:00:00Z");
    assert_eq!((first.name.as_str(), first.name_source), ("777", NameSource::Placeholder));
    let both = Identifiers { lid: Some("777".into()), ..wid("5511999999999") };
    let second = desk.hear(both, "2025-01-06T09:01:00Z");
    assert_eq!(second.id, first.id);
    assert_eq!((second.name.as_str(), second.phone.unwrap().as_str()), ("+5511999999999", "+5511999999999"));
    assert!(second.phone_verified);
    let third = desk.hear(called(wid("5511999999999"), "Ana"), "2025-01-06T09:02:00Z");
    assert_eq!((third.id, third.name.as_str(), third.name_source), (first.id, "Ana", NameSource::Channel));
}

#[test]
fn two_contacts_of_one_sender_are_suspected_once() {
    let desk = Desk::new();
    let ana = desk.hear(wid("5511999999999"), "2025-01-06T09:00:00Z");
    let other = desk.hear(lid("777"), "2025-01-06T09:01:00Z");
    let both = Identifiers { lid: Some("777".into()), ..wid("5511999999999") };
    let events = desk.events_of(ana.id, || {
        for minute in 2..5 {
            assert_eq!(desk.hear(both.clone(), &format!("2025-01-06T09:0{minute}:00Z")).id, ana.id);
        }
    });
    assert_eq!(events, ["contact.duplicate_suspected"]);
    let ana = desk.get(ana.id);
    assert_eq!(ana.suspected_duplicates[&other.id].score, 100);
    assert_eq!(ana.whatsapp.unwrap().lid, None);
}

#[test]
fn other_channels_have_other_ids() {
    let desk = Desk::new();
    let user = |value: &str| Identifiers {
        channel_user: Some(ChannelUser { space: "messenger".into(), value: value.into() }),
        email: Some("ANA@x.co".into()),
        external_id: Some("crm-1".into()),
        ..Identifiers::default()
    };
    let ana = desk.hear(user("u1"), "2025-01-06T09:00:00Z");
    assert_eq!(ana.email.as_ref().unwrap().as_str(), "ana@x.co");
    assert_eq!(desk.hear(user("u1"), "2025-01-06T09:01:00Z"), ana);
    // The address and the external id are known; the new user id is learnt.
    let again = desk.hear(user("u2"), "2025-01-06T09:02:00Z");
    assert_eq!((again.id, again.identifiers.len()), (ana.id, 3));
}

#[test]
fn display_names_are_cleaned() {
    use resolution::display_name;
    assert_eq!(display_name(" Ana\u{0}\n Lima "), Some("Ana Lima".into()));
    assert_eq!(display_name("\u{7} \t"), None);
    assert_eq!(display_name(&"é".repeat(300)).unwrap().chars().count(), 255);
}

#[test]
fn a_deleted_contact_does_not_come_back() {
    let desk = Desk::new();
    let old = desk.hear(wid("5511999999999"), "2025-01-06T09:00:00Z");
    desk.run(DeleteContact { id: old.id, reason: None });
    assert_ne!(desk.hear(wid("5511999999999"), "2025-01-06T09:01:00Z").id, old.id);
}
