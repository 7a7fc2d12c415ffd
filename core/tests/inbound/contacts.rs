//! How the people behind messages are found and kept.

use crate::line::*;
use serde_json::json;
use ventros::contacts::contact::{Contact, NameSource};
use ventros::conversations::chat::Chat;
use ventros::conversations::inbound::Outcome;

#[test]
fn case_10_a_hidden_id_is_joined_by_its_phone() {
    let line = Line::new();
    let mut hidden = message("A1", "10:00:00", "Oi");
    hidden["chat"]["external_id"] = json!("19104132006020@lid");
    hidden["sender"] = json!({"lid": "19104132006020"});
    hidden["peer"] = hidden["sender"].clone();
    assert!(recorded(&line.item(hidden)));
    let first = line.contact();
    assert_eq!(first.whatsapp.as_ref().unwrap().lid.as_deref(), Some("19104132006020"));
    assert_eq!(first.phone, None);
    let mut both = message("A2", "10:01:00", "Oi");
    both["sender"] = json!({"lid": "19104132006020", "wid": "5511999998888"});
    both["peer"] = both["sender"].clone();
    line.set("10:02:00");
    assert!(recorded(&line.item(both)));
    let second = line.contact();
    assert_eq!((second.id, second.phone.unwrap().as_str()), (first.id, "+5511999998888"));
    assert_eq!(line.one::<Chat>().message_count, 2);
    line.world.assert_log_matches();
}

#[test]
fn case_11_a_name_that_a_person_gave_stays() {
    let line = Line::new();
    line.says("A1", "09:59:00", "Oi");
    line.ok("contacts.update", json!({"id": line.contact().id, "name": "Dr. Ana"}));
    let mut item = message("A2", "10:00:00", "Oi");
    item["peer"]["display_name"] = json!("Ana :)");
    line.item(item);
    let contact = line.contact();
    assert_eq!((contact.name.as_str(), contact.name_source), ("Dr. Ana", NameSource::Manual));
    assert_eq!(contact.push_name.as_deref(), Some("Ana :)"));
}

#[test]
fn case_49_a_form_survives_messages_and_not_colleagues() {
    let line = Line::new();
    line.says("A0", "09:00:00", "Oi");
    let opened = line.contact();
    let save = |name: &str, version: u64| {
        let mut context = line.shop.context();
        context.expected_version = Some(version);
        line.call_in(context, "contacts.update", json!({"id": opened.id, "company": name}))
    };
    for id in ["A1", "A2", "A3", "A4", "A5"] {
        line.says(id, "09:01:00", "Oi");
    }
    let saved = save("Acme", opened.version).unwrap();
    assert_eq!((&saved["company"], &saved["version"]), (&json!("Acme"), &json!(opened.version + 1)));
    assert!(saved["revision"].as_u64() > Some(opened.revision + 5));
    line.ok("contacts.update", json!({"id": opened.id, "name": "Ana Lima"}));
    assert_eq!(save("Acme SA", opened.version + 1).unwrap_err().code().as_str(), "version_conflict");
    assert_eq!(line.contact().company.as_deref(), Some("Acme"));
}

#[test]
fn a_number_alone_is_enough() {
    let line = Line::new();
    let mut sms = message("A1", "10:00:00", "Oi");
    sms["chat"]["external_id"] = json!("+5511999998888");
    sms["sender"] = json!({"phone": "+5511999998888"});
    sms["peer"] = sms["sender"].clone();
    assert!(recorded(&line.item(sms)));
    let contact = line.contact();
    assert_eq!((contact.phone.unwrap().as_str(), contact.name.as_str()), ("+5511999998888", "+5511999998888"));
    assert!(contact.phone_verified && contact.identifiers.is_empty());
    // The same person writes on WhatsApp.
    line.says("A2", "10:00:00", "Oi");
    assert_eq!(line.contact().name, "Ana");
    line.world.assert_log_matches();
}

#[test]
fn the_project_decides_on_tags_and_shared_addresses() {
    let line = Line::new();
    line.says("A1", "09:00:00", "Oi");
    assert_eq!(line.contact().tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["whatsapp"]);
    line.ok("projects.update", json!({"auto_channel_tag": false, "unique_email": false}));
    line.item(message_of("5521988887777", "B1", "09:00:00"));
    assert!(line.all::<Contact>().iter().any(|contact| contact.tags.is_empty()));
    let bea = line.ok("contacts.create", json!({"name": "Bea", "email": "info@x.co"}));
    line.world.clock.advance_seconds(1);
    line.ok("contacts.create", json!({"name": "Carla", "email": "INFO@x.co"}));
    assert_eq!(line.ok("contacts.find", json!({"email": "info@x.co"}))["id"], bea["id"]);
    // Who writes from the shared address is whoever has had it the longest; nobody new is made.
    let mut mail = message("M1", "09:00:00", "Oi");
    mail["chat"]["external_id"] = json!("info@x.co");
    mail["sender"] = json!({"email": "info@x.co"});
    mail["peer"] = mail["sender"].clone();
    line.item(mail);
    let chat = line.all::<Chat>().into_iter().find(|chat| chat.external_id.as_deref() == Some("info@x.co")).unwrap();
    assert_eq!(json!(chat.contact_id), bea["id"]);
    assert_eq!(line.all::<Contact>().len(), 4);
    line.ok("projects.update", json!({"unique_email": true}));
    line.ok("contacts.create", json!({"name": "Dora", "email": "dora@x.co"}));
    let taken = line.call("contacts.create", json!({"name": "Eva", "email": "dora@x.co"})).unwrap_err();
    assert_eq!((taken.code().as_str(), &taken.details()["kind"]), ("identifier_taken", &json!("email")));
    line.world.assert_log_matches();
}

#[test]
fn a_deleted_contact_closes_its_chat() {
    let line = Line::new();
    line.says("A1", "10:00:00", "1");
    line.ok("contacts.delete", json!({"id": line.contact().id}));
    line.run();
    assert!(line.one::<Chat>().is_closed());
    // The next message of the same number opens everything anew.
    assert!(
        matches!(line.says("A2", "10:01:00", "2"), Outcome::Recorded { created, .. } if created.contact && created.chat)
    );
    line.world.assert_log_matches();
}

#[test]
fn the_figures_of_a_contact_add_up() {
    let line = Line::new();
    line.set("11:00:00");
    line.says("A1", "09:00:00", "1");
    line.item(from_me("B1", "09:02:00", "2"));
    line.says("A2", "09:10:00", "3");
    line.item(from_me("B2", "09:14:00", "4"));
    line.says("A3", "11:00:00", "5");
    let stats = line.ok("contacts.stats", json!({"id": line.contact().id}));
    assert_eq!(
        stats,
        json!({
            "sessions": 2, "active_sessions": 1, "messages": 5, "messages_from_contact": 3, "messages_to_contact": 2,
            "average_session_seconds": 840, "average_response_seconds": 180,
            "first_interaction_at": "2025-01-06T09:00:00.000000Z", "last_interaction_at": "2025-01-06T11:00:00.000000Z",
            "last_session_started_at": "2025-01-06T11:00:00.000000Z",
            "last_session_ended_at": "2025-01-06T09:44:00.000000Z",
        })
    );
    let unknown = line.call("contacts.stats", json!({"id": line.shop.id()})).unwrap_err();
    assert_eq!(unknown.code().as_str(), "contact_not_found");
}
