//! What follows from the log.

use super::*;
use crate::kernel::{AgentId, Component, UserId, Via};
use crate::storage::{Batch, Index, IndexChange, SnapshotWrite};

#[test]
fn case_1_a_new_contact_has_one_entry_for_the_eyes_of_agents() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let entries = desk.entries(&ana);
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    let created = &desk.log("contact.created")[0];
    assert_eq!(entry["event_type"], "contact_created");
    assert_eq!((&entry["category"], &entry["priority"]), (&json!("system"), &json!("normal")));
    assert_eq!((&entry["visible_to_client"], &entry["visible_to_agent"]), (&json!(false), &json!(true)));
    assert_eq!(entry["occurred_at"], json!(created.occurred_at));
    assert_eq!((&entry["seq"], &entry["source_event_id"]), (&json!(created.seq), &json!(created.id)));
    assert_eq!(entry["payload"]["contact_name"], "Ana");
    assert_eq!((&entry["title"], &entry["source"]), (&json!("Contact Ana created"), &json!("system")));
    assert_eq!((&entry["version"], &entry["revision"]), (&json!(0), &json!(1)));
    desk.world.assert_log_matches();
}

#[test]
fn case_2_the_same_event_makes_one_entry_however_often_it_comes() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let before = desk.entries(&ana);
    for _ in 0..2 {
        desk.call("consumers.reset", json!({"name": REACTION, "to": {"type": "beginning"}}));
        desk.pending();
    }
    assert_eq!(desk.entries(&ana), before);
}

#[test]
fn case_3_setting_the_reaction_back_keeps_what_was_read() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let shown = desk.record(&ana, "notification_sent", json!({"visible_to_client": true}));
    desk.call("timeline.mark_read", json!({"ids": [shown["id"]]}));
    let before = desk.rows();
    desk.call("consumers.reset", json!({"name": REACTION, "to": {"type": "beginning"}}));
    desk.pending();
    assert_eq!(desk.rows(), before);
    desk.world.assert_log_matches();
}

#[test]
fn only_the_timeline_of_the_librarys_own_reactions_is_set_back_and_never_forward() {
    let desk = Desk::new();
    desk.contact("Ana");
    let other = desk
        .refused("consumers.reset", json!({"name": "ventros.chats_of_deleted_contacts", "to": {"type": "beginning"}}));
    assert_eq!(other, ErrorCode::BuiltinProtected);
    desk.call("consumers.reset", json!({"name": REACTION, "to": {"type": "beginning"}}));
    let skipped = desk.refused("consumers.reset", json!({"name": REACTION, "to": {"type": "now"}}));
    assert_eq!(skipped, ErrorCode::BuiltinProtected);
}

#[test]
fn case_26_cleared_tags_are_one_entry() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    desk.call("contacts.update", json!({"id": ana, "tags": ["a", "b", "c", "d"]}));
    desk.call("contacts.update", json!({"id": ana, "tags": []}));
    desk.pending();
    assert_eq!(desk.of_type(&ana, "tag_added").len(), 4);
    let removed = desk.only(&ana, "tag_removed");
    assert_eq!(removed["payload"], json!({"tags": ["a", "b", "c", "d"]}));
    assert_eq!(removed["title"], "Tags removed: a, b, c, d");
}

#[test]
fn changes_of_the_profile_name_the_fields_and_the_name_alone_is_quoted() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    desk.call("contacts.update", json!({"id": ana, "name": "Ana Lima", "email": "ana@x.co", "company": "Acme"}));
    desk.pending();
    let changes: Vec<Value> =
        desk.of_type(&ana, "contact_updated").into_iter().map(|entry| entry["payload"].clone()).collect();
    assert!(changes.contains(&json!({"fields": ["name"], "old": "Ana", "new": "Ana Lima"})), "{changes:?}");
    assert!(changes.contains(&json!({"fields": ["email"]})) && changes.contains(&json!({"fields": ["company"]})));
    assert_eq!(changes.len(), 3);
}

#[test]
fn whoever_acted_is_the_source() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let cases = [
        (Component::Trigger, "automation"),
        (Component::Import, "workflow"),
        (Component::Channel, "integration"),
        (Component::Default, "system"),
    ];
    for (place, (component, source)) in cases.into_iter().enumerate() {
        let tag = format!("t{place}");
        desk.as_actor(Some(ActorRef::system(component)), "contacts.add_tag", json!({"id": ana, "tag": tag})).unwrap();
        desk.pending();
        let added = desk.of_type(&ana, "tag_added").into_iter().find(|entry| entry["payload"]["tag"] == tag.as_str());
        let added = added.unwrap();
        assert_eq!((&added["source"], &added["triggered_by"]), (&json!(source), &Value::Null), "{tag}");
    }
    let (user, agent) = (UserId::from_uuid(Uuid::from_u128(1)), AgentId::from_uuid(Uuid::from_u128(2)));
    for actor in [ActorRef::user(user), ActorRef::agent(agent)] {
        assert_eq!(EntrySource::of(&actor, "api"), EntrySource::Agent);
    }
    let host = ActorRef::system(Component::Host);
    assert_eq!(EntrySource::of(&host, "webhook"), EntrySource::Webhook);
    assert_eq!(EntrySource::of(&host.via(Via::Integration), "api"), EntrySource::Integration);
}

#[test]
fn what_changes_the_standing_of_a_contact_is_important() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    desk.call("contacts.block", json!({"id": ana, "reason": "spam"}));
    desk.call("contacts.set_consent", json!({"id": ana, "family": "sms", "status": "opted_out", "source": "form"}));
    desk.pending();
    let payloads: Vec<Value> =
        desk.of_type(&ana, "status_changed").into_iter().map(|entry| entry["payload"].clone()).collect();
    assert!(payloads.contains(&json!({"field": "consent.sms", "from": "unknown", "to": "opted_out"})), "{payloads:?}");
    assert!(
        payloads.contains(&json!({"field": "blocked", "from": false, "to": true, "reason": "spam"})),
        "{payloads:?}"
    );
    let important = desk.call("timeline.count", json!({"min_priority": "high"}));
    assert_eq!(important, json!(payloads.len()));
}

#[test]
fn a_deleted_contact_takes_its_timeline_along_and_brings_it_back() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let id = desk.entries(&ana)[0]["id"].clone();
    desk.call("contacts.delete", json!({"id": ana}));
    desk.pending();
    assert_eq!(desk.entries(&ana), Vec::<Value>::new());
    assert_eq!(desk.refused("timeline.get", json!({"id": id})), ErrorCode::ContactEventNotFound);
    desk.call("contacts.restore", json!({"id": ana}));
    desk.pending();
    assert_eq!(desk.of_type(&ana, "status_changed").len(), 2);
}

#[test]
fn titles_come_in_the_language_that_was_asked_for() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let id = desk.entries(&ana)[0]["id"].clone();
    for (locale, title) in
        [("pt-BR", "Contato Ana criado"), ("pt", "Contato Ana criado"), ("de", "Contact Ana created")]
    {
        assert_eq!(desk.call("timeline.get", json!({"id": id, "locale": locale}))["title"], title);
    }
}

#[test]
fn every_rule_has_words_and_every_type_of_a_rule_is_reserved() {
    for sample in crate::catalogue::event_samples() {
        let record = record_of(&sample);
        let Some(mut entry) = projection::project(&record, &sample.event) else { continue };
        assert!(projection::EVENTS.contains(&sample.event_type), "{} is not heard", sample.event_type);
        assert!(is_reserved(&entry.event_type), "{}", entry.event_type);
        titles::put_into_words(&mut entry, None);
        let title = entry.title.unwrap();
        assert!(
            title.starts_with(char::is_uppercase) || title.contains("set to") || title.contains("cleared"),
            "{title}"
        );
    }
}

#[test]
fn every_event_that_is_heard_can_make_an_entry() {
    let samples = crate::catalogue::event_samples();
    for heard in projection::EVENTS {
        let mut of_type = samples.iter().filter(|sample| sample.event_type == *heard);
        assert!(of_type.any(|sample| projection::project(&record_of(sample), &sample.event).is_some()), "{heard}");
    }
}

fn record_of(sample: &crate::catalogue::EventSample) -> EventRecord {
    let desk = Desk::new();
    let mut record = desk.log("*").remove(0);
    record.event_type = sample.event_type.to_owned();
    record.aggregate_kind = sample.kind;
    record
}

#[test]
fn case_11_a_session_is_told_from_its_start_to_its_end() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let line = desk.call("channels.create", json!({"name": "Line", "type": "whatsapp_business"}));
    let line = &line["id"];
    desk.call("channels.activate", json!({"id": line}));
    desk.call("channels.report_connection", json!({"id": line, "connection": "connected"}));
    let chat = desk.call("chats.create", json!({"channel_id": line, "chat_type": "individual", "contact_id": ana}));
    let session = desk.call("sessions.start", json!({"chat_id": chat["chat"]["id"]}))["session"]["id"].clone();
    let (first, second) = (Uuid::from_u128(0x71), Uuid::from_u128(0x72));
    desk.call("sessions.assign", json!({"id": session, "agent_id": first, "reason": "shift"}));
    desk.call("sessions.assign", json!({"id": session, "agent_id": second, "reason": "shift"}));
    desk.call("sessions.escalate", json!({"id": session, "level": 1, "reason": "angry"}));
    desk.world.clock.advance_seconds(90);
    desk.call("sessions.end", json!({"id": session, "reason": "manual_close"}));
    desk.pending();
    let filter = json!({"field": "session_id", "op": "eq", "value": session});
    let page = desk.call("timeline.list", json!({"filter": filter, "sort": ["occurred_at"]}));
    let told: Vec<&str> =
        page["items"].as_array().unwrap().iter().map(|entry| entry["event_type"].as_str().unwrap()).collect();
    let expected = ["session_started", "agent_assigned", "agent_transferred", "session_escalated", "session_ended"];
    assert_eq!(told, expected);
    let moved = desk.only(&ana, "agent_transferred");
    let payload = json!({"scope": "session", "agent_id": second, "previous_agent_id": first});
    assert_eq!(moved["payload"], payload);
    let ended = desk.only(&ana, "session_ended");
    let payload = json!({"session_id": session, "reason": "manual_close", "duration_seconds": 0});
    assert_eq!((&ended["payload"], &ended["visible_to_client"]), (&payload, &json!(true)));
    // What the contact sees of it can be read, although it has no event of its own until then.
    assert_eq!(desk.call("timeline.mark_read", json!({"contact_id": ana}))["marked"], 2);
    for (event_type, version) in [("session_started", 1), ("session_ended", 0)] {
        let entry = desk.only(&ana, event_type);
        assert_eq!((&entry["read"], &entry["version"]), (&json!(true), &json!(version)), "{event_type}");
    }
    desk.world.assert_log_matches();
    let rows = desk.rows();
    desk.call("consumers.reset", json!({"name": REACTION, "to": {"type": "beginning"}}));
    desk.pending();
    assert_eq!(desk.rows(), rows);
    assert_eq!(desk.call("events.verify", json!({"limit": 100}))["problems"], json!([]));
}

/// Changes a stored entry behind everybody's back.
fn spoil(desk: &Desk, id: &Value, from: &str, to: &str) {
    let id = Uuid::parse_str(id.as_str().unwrap()).unwrap();
    let state = desk.rows().into_iter().find(|(row, _)| *row == id).unwrap().1.replace(from, to);
    let entry: TimelineEntry = serde_json::from_str(&state).unwrap();
    let mut index = Index::default();
    crate::engine::Aggregate::index(&entry, &mut index);
    let snapshot = SnapshotWrite {
        project_id: PROJECT,
        kind: Kind::ContactEvent,
        id,
        loaded_revision: entry.revision,
        revision: entry.revision,
        version: entry.version,
        schema: 1,
        created_at: entry.created_at,
        updated_at: entry.updated_at,
        state,
        changed: IndexChange::between(None, &index),
        index,
    };
    let batch = Batch { snapshots: vec![snapshot], ..Batch::default() };
    block_on(desk.world.crm.core().storage().commit(batch)).unwrap();
}

#[test]
fn a_wrong_entry_is_found_and_mended_by_verify_and_by_the_reaction() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let rows = desk.rows();
    let id = desk.entries(&ana)[0]["id"].clone();
    let problem = json!([{"aggregate": {"kind": "contact_event", "id": id}, "problem": "log_state_mismatch"}]);
    spoil(&desk, &id, "\"Ana\"", "\"Eve\"");
    assert_eq!(desk.call("events.verify", json!({}))["problems"], problem);
    assert_eq!(desk.call("events.verify", json!({"repair": true}))["repaired"], 1);
    assert_eq!(desk.rows(), rows);
    spoil(&desk, &id, "\"Ana\"", "\"Eve\"");
    desk.call("consumers.reset", json!({"name": REACTION, "to": {"type": "beginning"}}));
    desk.pending();
    assert_eq!(desk.rows(), rows);
}

#[test]
fn an_entry_of_the_log_can_be_looked_at_as_any_other_aggregate() {
    let desk = Desk::new();
    let ana = desk.contact("Ana");
    let entry = desk.entries(&ana).remove(0);
    let id = entry["id"].clone();
    let subject = json!({"kind": "contact_event", "id": id});
    let found = desk.call("events.verify", json!({}));
    assert_eq!(found["problems"], json!([]));
    let past = desk.call("events.state_at", json!({"kind": "contact_event", "id": id}));
    assert_eq!((&past["seq"], &past["version"]), (&entry["seq"], &json!(0)));
    assert_eq!(past["state"]["event_type"], "contact_created");
    assert_eq!(desk.call("events.verify", json!({"aggregate": subject}))["checked"], 1);
}

#[test]
fn a_reaction_that_lags_is_no_difference() {
    let desk = Desk::new();
    desk.call("contacts.create", json!({"name": "Ana"}));
    desk.world.assert_log_matches();
    assert_eq!(desk.call("events.verify", json!({}))["problems"], json!([]));
    desk.pending();
    desk.world.assert_log_matches();
    assert_eq!(desk.rows().len(), 1);
}
