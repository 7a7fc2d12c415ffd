//! Many writers at once.

use crate::line::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use ventros::contacts::contact::Contact;
use ventros::conversations::chat::Chat;
use ventros::conversations::inbound::Outcome;
use ventros::conversations::message::Message;
use ventros::conversations::session::Session;

/// Runs `count` jobs on as many threads; what each gave.
fn at_once<T: Send>(count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let job = &job;
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || job(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn case_03_a_hundred_threads_deliver_the_same_item_once() {
    let line = Line::new();
    let outcomes = at_once(100, |_| line.says("A1", "10:00:00", "Oi"));
    assert_eq!(outcomes.iter().filter(|outcome| recorded(outcome)).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Duplicate { .. })).count(), 99);
    assert_eq!((line.all::<Message>().len(), line.one::<Chat>().unread_count), (1, 1));
    line.world.assert_log_matches();
}

#[test]
fn case_04_fifty_first_messages_of_one_person_make_one_of_each() {
    let line = Line::new();
    let outcomes = at_once(50, |number| line.says(&format!("A{number}"), "09:59:00", "Oi"));
    assert!(outcomes.iter().all(recorded));
    let of = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
    assert_eq!(of(|o| matches!(o, Outcome::Recorded { created, .. } if created.contact)), 1);
    assert_eq!(of(|o| matches!(o, Outcome::Recorded { created, .. } if created.session)), 1);
    let (session, chat) = (line.one::<Session>(), line.one::<Chat>());
    assert_eq!((session.metrics.message_count, chat.unread_count, chat.message_count), (50, 50, 50));
    assert_eq!(line.all::<Contact>().len(), 1);
    line.world.assert_log_matches();
}

#[test]
fn contact_case_28_two_items_of_one_new_number_make_one_contact() {
    for _ in 0..20 {
        let line = Line::new();
        at_once(2, |number| line.says(&format!("A{number}"), "10:00:00", "Oi"));
        assert_eq!(line.all::<Contact>().len(), 1);
    }
}

/// A sequence that looks random and is always the same.
struct Shuffle(u64);

impl Shuffle {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % below
    }
}

/// Of ten items eight are new ones.
const NEW_OF_TEN: usize = 8;
const ITEMS_OF_A_CHAT: usize = 20;
const WORKERS: usize = 16;

/// How many items the crowd delivers: a tenth of the page's ten thousand, unless `VENTROS_CROWD` says how many.
fn items() -> usize {
    std::env::var("VENTROS_CROWD").map_or(1_000, |items| items.parse().unwrap())
}

#[test]
fn case_50_ten_thousand_items_in_any_order() {
    let (all, chats) = (items(), items() / ITEMS_OF_A_CHAT);
    let new = all * NEW_OF_TEN / 10;
    let line = Line::new();
    line.set("20:00:00");
    let mut chance = Shuffle(0x9E37_79B9_7F4A_7C15);
    let mut items: Vec<usize> = (0..new).collect();
    items.extend((new..all).map(|_| chance.next(new)));
    for place in (1..items.len()).rev() {
        items.swap(place, chance.next(place + 1));
    }
    let next = AtomicUsize::new(0);
    let deliver = |_| {
        let mut fresh = 0;
        while let Some(number) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (chat, turn) = (number % chats, number / chats);
            let time = format!("{:02}:{:02}:00", 10 + turn / 4, turn % 4 * 15);
            let outcome = line.item(message_of(&format!("55119{chat:08}"), &format!("M{number}"), &time));
            fresh += usize::from(recorded(&outcome));
        }
        fresh
    };
    assert_eq!(at_once(WORKERS, deliver).into_iter().sum::<usize>(), new);
    let (messages, sessions) = (line.all::<Message>(), line.all::<Session>());
    assert_eq!((messages.len(), line.all::<Contact>().len(), line.all::<Chat>().len()), (new, chats, chats));
    let per_chat = u32::try_from(new / chats).unwrap();
    assert!(line.all::<Chat>().iter().all(|chat| chat.message_count == u64::from(per_chat)));
    let mut counted: BTreeMap<_, u32> = BTreeMap::new();
    for session in &sessions {
        *counted.entry(session.chat_id).or_default() += session.metrics.message_count;
    }
    assert!(counted.values().all(|count| *count == per_chat));
    // After every commit a chat has one active session at most.
    let mut active: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let log = line.log();
    for commit in log.chunk_by(|one, next| one.commit_id == next.commit_id) {
        for event in commit.iter().filter(|event| event.event_type.starts_with("session.")) {
            let data: serde_json::Value = serde_json::from_str(event.data.get()).unwrap();
            let chat = active.entry(data["chat_id"].to_string()).or_default();
            match event.event_type.as_str() {
                "session.started" | "session.reopened" => chat.insert(event.aggregate_id.to_string()),
                "session.ended" => chat.remove(&event.aggregate_id.to_string()),
                _ => false,
            };
        }
        assert!(active.values().all(|sessions| sessions.len() <= 1));
    }
    line.world.assert_log_matches();
}
