//! What must be true of a store whose processes were killed.

use super::victim::{AUDIT, FastClock, MARK, MARKED};
use crate::shop::Shop;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;
use ventros::conversations::message::Message;
use ventros::conversations::session::Session;
use ventros::engine::{StartAt, SubscribeOptions};
use ventros::kernel::Clock;
use ventros::storage::{DeadLetterQuery, EventRecord, JobQuery, JobState, Scope, type_matches};
use ventros::testing::{ManualClock, block_on, react};

/// What the killed processes had said.
#[derive(Default)]
pub struct Witness {
    messages: BTreeSet<String>,
    closed: BTreeMap<String, usize>,
    saw: BTreeSet<u64>,
}

impl Witness {
    /// Takes in a line; true when it acknowledges something. The last line of a killed process may be a part of one.
    pub fn hear(&mut self, line: &str) -> bool {
        match line.split_once(' ') {
            Some(("message", id)) => self.messages.insert(id.to_owned()),
            Some(("closed", chat)) => {
                *self.closed.entry(chat.to_owned()).or_default() += 1;
                true
            }
            Some(("saw", seq)) => {
                self.saw.insert(seq.parse().unwrap());
                false
            }
            _ => false,
        }
    }

    /// The log is the state, and what was acknowledged is there: as a message, or as a delivery still to be worked off.
    pub fn after_a_kill(&self, shop: &Shop) {
        shop.check();
        let messages = message_ids(shop);
        let jobs = JobQuery { limit: usize::MAX >> 1, ..JobQuery::default() };
        let jobs = block_on(shop.crm.core().storage().jobs(Scope::Project(shop.project.id()), &jobs)).unwrap();
        let kept = |id: &str| jobs.iter().any(|job| job.payload.contains(&format!("_{id}\\\"")));
        for id in &self.messages {
            assert!(messages.contains(id) || kept(id), "{id} was acknowledged and is gone");
        }
        self.check_closed(&shop.log());
    }

    fn check_closed(&self, log: &[EventRecord]) {
        for (chat, count) in &self.closed {
            let is_closing =
                |event: &&EventRecord| event.event_type == "chat.closed" && event.aggregate_id.to_string() == *chat;
            assert!(log.iter().filter(is_closing).count() >= *count, "a closing of {chat} is gone");
        }
    }

    /// A day later all work is done: nothing is missing, nothing was done twice, everybody has heard everything.
    pub fn in_the_end(mut self, place: &str, address: &str, epoch: SystemTime) {
        let clock = ManualClock::at(&FastClock(epoch).now().plus_seconds(24 * 3600).to_string());
        let shop = Shop::visit(place, clock.clone(), 3, address);
        loop {
            let work = block_on(shop.crm.run_pending()).unwrap();
            let marks = block_on(react(&shop.crm, &[MARK])).unwrap();
            assert_eq!((work.failures, marks.failures), (0, 0));
            if work.jobs + work.reactions + marks.reactions == 0 {
                break;
            }
        }
        self.listen(&shop, &clock);
        shop.check();

        let messages = message_ids(&shop);
        assert!(self.messages.iter().all(|id| messages.contains(id)), "an acknowledged message is missing");
        assert_eq!(messages.len(), shop.all::<Message>().len(), "a message is there twice");
        assert!(shop.all::<Session>().iter().all(|session| !session.is_active()), "a timer was lost");
        let log = shop.log();
        self.check_closed(&log);
        check_reactions(&log);
        assert!(self.saw.iter().copied().eq(1..=log.len() as u64), "the callback has not seen everything");
        let storage = shop.crm.core().storage();
        let all = DeadLetterQuery { limit: 10, ..DeadLetterQuery::default() };
        for consumer in block_on(storage.consumers(Scope::Installation)).unwrap() {
            let letters = block_on(storage.dead_letters(consumer.project_id.0, &consumer.name, &all)).unwrap();
            assert!(letters.is_empty(), "{}: {letters:?}", consumer.name);
        }
        let dead = JobQuery { states: vec![JobState::Dead], limit: 10, ..JobQuery::default() };
        let dead = block_on(storage.jobs(Scope::Project(shop.project.id()), &dead)).unwrap();
        assert!(dead.is_empty(), "{dead:?}");
    }

    fn listen(&mut self, shop: &Shop, clock: &ManualClock) {
        let options = SubscribeOptions { start: StartAt::Beginning, ..SubscribeOptions::default() };
        let mut feed = block_on(shop.crm.subscribe(shop.project.id(), AUDIT, options)).unwrap();
        // What failed last waits for its time.
        clock.advance_seconds(3600);
        loop {
            let events = block_on(feed.next(100)).unwrap();
            let Some(last) = events.last() else { return };
            self.saw.extend(events.iter().map(|event| event.seq));
            block_on(feed.ack(last.seq)).unwrap();
        }
    }
}

fn message_ids(shop: &Shop) -> BTreeSet<String> {
    shop.all::<Message>().into_iter().filter_map(|message| message.channel_message_id).collect()
}

/// Every reaction ran for every event of its, and its effects were committed once.
fn check_reactions(log: &[EventRecord]) {
    let mut commits: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut marks: BTreeMap<_, usize> = BTreeMap::new();
    for event in log {
        let Some(cause) = event.causation_id else { continue };
        commits.entry((event.command.clone(), cause)).or_default().insert(event.commit_id);
        if event.event_type == MARKED {
            *marks.entry(cause).or_default() += 1;
        }
    }
    let twice: Vec<_> = commits.iter().filter(|(_, commits)| commits.len() > 1).collect();
    assert!(twice.is_empty(), "committed twice: {twice:?}");
    for event in log {
        let is_marked = MARK.events.iter().any(|pattern| type_matches(pattern, &event.event_type));
        let count = marks.get(&event.id).copied().unwrap_or(0);
        assert_eq!(count, usize::from(is_marked), "{} {}", event.seq, event.event_type);
    }
    for wanted in ["timer.session_timeout", "ventros.sessions_of_closed_chats", "inbound.delivery"] {
        let happened = log.iter().any(|event| event.command.as_deref() == Some(wanted));
        assert!(happened || log.len() < 500, "the story was too short for {wanted}");
    }
}
