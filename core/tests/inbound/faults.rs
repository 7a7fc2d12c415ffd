//! A store that fails, a process that dies, and what one item costs.

use crate::line::*;
use serde_json::{Value, json};
use std::sync::Arc;
use ventros::contacts::contact::Contact;
use ventros::conversations::chat::Chat;
use ventros::conversations::inbound::Outcome;
use ventros::conversations::message::Message;
use ventros::conversations::session::Session;
use ventros::engine::{Aggregate, Crm, Settings};
use ventros::kernel::{Kind, ProjectId};
use ventros::storage::{JobQuery, MemoryStorage, Scope, Storage};
use ventros::testing::{Fault, ManualClock, SeededIds, WatchedStorage, World, block_on};

const FIRST: [&str; 4] = ["contact.created", "chat.created", "session.started", "message.received"];

#[test]
fn case_05_a_step_that_fails_stores_nothing() {
    let line = Line::new();
    let jobs = || {
        let query = JobQuery { limit: 10, ..JobQuery::default() };
        block_on(line.world.crm.core().storage().jobs(Scope::Project(line.shop.id()), &query)).unwrap().len()
    };
    for number in 1.. {
        line.store.fail(number, Fault::Before);
        match line.try_item(message("A1", "10:00:00", "Oi")) {
            Ok(outcome) => {
                assert!(recorded(&outcome) && line.store.heal() && number > 10, "{number}: {outcome:?}");
                break;
            }
            Err(error) => assert_eq!(error.code().as_str(), "unavailable"),
        }
        assert_eq!((line.log().len(), jobs(), line.all::<Contact>().len()), (0, 0, 0), "call {number}");
    }
    assert_eq!(line.events(), FIRST);
    line.world.assert_log_matches();
}

/// What is there, without ids and moments of processing.
fn picture(storage: &Arc<dyn Storage>, project: ProjectId) -> Value {
    fn all<A: Aggregate>(storage: &Arc<dyn Storage>, project: ProjectId) -> Vec<A> {
        let found = block_on(storage.scan(Scope::Project(project), A::KIND, None, 100)).unwrap();
        found.iter().map(|snapshot| serde_json::from_str(&snapshot.state).unwrap()).collect()
    }
    let contacts: Vec<_> =
        all::<Contact>(storage, project).into_iter().map(|c| json!([c.name, c.phone, c.last_interaction_at])).collect();
    let chats: Vec<_> = all::<Chat>(storage, project)
        .into_iter()
        .map(|c| json!([c.external_id, c.unread_count, c.message_count, c.last_message.map(|last| last.preview)]))
        .collect();
    let sessions: Vec<_> = all::<Session>(storage, project)
        .into_iter()
        .map(|s| json!([s.started_at, s.metrics, s.last_activity_at]))
        .collect();
    let messages: Vec<_> = all::<Message>(storage, project)
        .into_iter()
        .map(|m| json!([m.channel_message_id, m.content, m.timestamp, m.status]))
        .collect();
    json!({"contacts": contacts, "chats": chats, "sessions": sessions, "messages": messages})
}

/// A process that dies at a call, then another one that is given the same item again. False when it did not come so far.
fn dies_at(number: usize, side: Fault) -> (Value, bool) {
    let data = MemoryStorage::default();
    let store = WatchedStorage::around(Arc::new(data.reopen()));
    let world = World::on(store.clone()).unwrap();
    let line = Line::of(world, store);
    line.store.fail(number, side);
    let died = line.try_item(message("A1", "10:00:00", "Oi")).is_err();
    let (project, channel) = (line.shop.id(), line.channel);
    drop(line);
    let storage: Arc<dyn Storage> = Arc::new(data);
    let settings = Settings::new(storage.clone(), ManualClock::at("2025-01-06T10:00:00Z"), SeededIds::new(2));
    let crm = block_on(Crm::open(settings)).unwrap();
    let input = json!({"channel_id": channel, "item": message("A1", "10:00:00", "Oi")}).to_string();
    let again = block_on(crm.call("inbound.ingest", crm.project(project).context(), input.as_bytes())).unwrap();
    assert!(again.contains("recorded") || again.contains("duplicate"), "{again}");
    assert!(block_on(crm.differences(project)).unwrap().is_empty());
    (picture(&storage, project), died)
}

#[test]
fn case_06_whenever_a_process_dies_the_next_one_completes_its_work() {
    let (clean, died) = dies_at(usize::MAX, Fault::Before);
    assert!(!died);
    for side in [Fault::Before, Fault::After] {
        let mut number = 1;
        loop {
            let (after, died) = dies_at(number, side);
            assert_eq!(after, clean, "{side:?} call {number}");
            if !died {
                break;
            }
            number += 1;
        }
        assert!(number > 10, "{number}");
    }
}

#[test]
fn an_item_of_a_known_contact_costs_eight_reads_and_one_write() {
    let line = Line::new();
    line.says("A1", "09:50:00", "Oi");
    line.store.take_calls();
    line.says("A2", "09:51:00", "Tudo bem?");
    // The project, the channel, its type by key; the message's key; contact, chat and session by key; what waits for it.
    let (get, by_key) = ("get", "find_holders");
    let expected = [get, get, by_key, by_key, by_key, by_key, by_key, "jobs", "commit"];
    assert_eq!(line.store.take_calls(), expected);
    // The more there is, the same it costs.
    for number in 3..40 {
        line.says(&format!("A{number}"), &format!("09:52:{number:02}"), "Oi");
        line.item(message_of(&format!("55119999911{number:02}"), &format!("B{number}"), "09:53:00"));
    }
    line.store.take_calls();
    line.says("A40", "09:54:00", "Oi");
    assert_eq!(line.store.take_calls().len(), expected.len());
    // Again: the call, its line, and the key that is known.
    line.says("A40", "09:54:00", "Oi");
    assert_eq!(line.store.take_calls(), ["get", "get", "find_holders", "find_holders"]);
}

#[test]
fn a_large_group_is_looked_up_at_once() {
    let line = Line::with(json!({"allow_groups": true}));
    let mut participants: Vec<Value> = (0..1_500)
        .map(|number| json!({"identifiers": {"wid": format!("55119{number:08}")}, "role": "participant"}))
        .collect();
    participants.push(json!({"identifiers": {"wid": "120363041234567890@g.us"}, "role": "participant"}));
    let joined = || {
        json!({
            "type": "group_change", "action": "joined", "subject": "Todos", "description": null, "at": at("09:00:00"),
            "chat": in_group(json!({}))["chat"], "participants": participants,
        })
    };
    for _ in 0..2 {
        line.store.take_calls();
        assert_eq!(line.item(joined()), Outcome::Applied {});
        let calls = line.store.take_calls();
        assert!(calls.len() < 15, "{calls:?}");
    }
    assert_eq!((line.all::<Contact>().len(), line.one::<Chat>().participants.len()), (1_500, 1_500));
}

#[test]
fn one_message_is_one_row_of_each() {
    let line = Line::new();
    line.says("A1", "10:00:00", "Oi");
    let scan = |kind| block_on(line.world.crm.core().storage().scan(Scope::Project(line.shop.id()), kind, None, 10));
    for kind in [Kind::Contact, Kind::Chat, Kind::Session, Kind::Message] {
        assert_eq!(scan(kind).unwrap().len(), 1, "{kind}");
    }
}
