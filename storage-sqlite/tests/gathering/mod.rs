//! Many threads of several processes hear the first messages of the same people at the same moment. `VENTROS_CROWD` sets
//! for how many rounds (2).

use crate::children::{spawn, tell, told};
use crate::shop::{Shop, lost_the_race, message};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout};
use std::sync::Barrier;
use std::time::{Duration, Instant};
use ventros::contacts::contact::Contact;
use ventros::conversations::chat::Chat;
use ventros::conversations::inbound::Outcome;
use ventros::conversations::message::Message;
use ventros::conversations::session::Session;
use ventros::testing::ManualClock;

/// How many arrive at once.
#[derive(Clone, Copy)]
pub struct Crowd {
    pub processes: usize,
    pub threads: usize,
    /// New people in every round; each is heard by every process at once.
    pub people: usize,
}

fn clock() -> std::sync::Arc<ManualClock> {
    ManualClock::at("2025-01-06T10:05:00Z")
}

fn id(round: usize, process: usize, thread: usize) -> String {
    format!("M{round}-{process}-{thread}")
}

/// Tells the parent and waits until it lets all processes go on.
fn meet() {
    tell("here");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
}

/// What calls came to.
#[derive(Default)]
struct Tally {
    recorded: usize,
    /// Calls that lost too many races in a row, and were made again.
    lost: usize,
}

/// One thread: its own message, then one that another process delivers too.
fn deliver(shop: &Shop, crowd: Crowd, process: usize, thread: usize, round: usize) -> Tally {
    let mut tally = Tally::default();
    for process in [process, (process + 1) % crowd.processes] {
        let at = format!("2025-01-06T10:00:{:02}Z", thread % 60);
        let item = message(&id(round, process, thread), round * crowd.people + thread % crowd.people, &at);
        let mut outcome = shop.ingest(&item);
        while lost_the_race(&outcome) {
            tally.lost += 1;
            outcome = shop.ingest(&item);
        }
        match outcome.unwrap()[..] {
            [Outcome::Recorded { .. }] => tally.recorded += 1,
            [Outcome::Duplicate { .. }] => {}
            ref other => panic!("{other:?}"),
        }
    }
    tally
}

/// What a child process runs; alone it does nothing.
pub fn child(crowd: Crowd) {
    let Some(place) = told("PLACE") else { return };
    let process: usize = told("NUMBER").unwrap().parse().unwrap();
    let rounds: usize = told("ROUNDS").unwrap().parse().unwrap();
    let crowd = Crowd { people: told("PEOPLE").unwrap().parse().unwrap(), ..crowd };
    let shop = Shop::visit(&place, clock(), 10 + process as u64, &told("SHOP").unwrap());
    for round in 0..rounds {
        let start = Barrier::new(crowd.threads + 1);
        let tallies: Vec<Tally> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..crowd.threads)
                .map(|thread| {
                    let (shop, start) = (&shop, &start);
                    scope.spawn(move || {
                        start.wait();
                        deliver(shop, crowd, process, thread, round)
                    })
                })
                .collect();
            meet();
            start.wait();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
        tell(&format!("recorded {}", sum(|tally| tally.recorded)));
        tell(&format!("lost {}", sum(|tally| tally.lost)));
    }
}

/// The next line of a child that begins with `word`, without it.
fn heard(lines: &mut Lines<BufReader<ChildStdout>>, word: &str) -> String {
    loop {
        let line = lines.next().expect("the child still runs").unwrap();
        if let Some(rest) = line.strip_prefix(word) {
            return rest.trim().to_owned();
        }
    }
}

/// Lets a crowd arrive in a fresh place.
pub fn arrive(crowd: Crowd, place: &str) {
    let rounds: usize = std::env::var("VENTROS_CROWD").map_or(2, |rounds| rounds.parse().unwrap());
    let shop = Shop::found(place, clock(), 1);
    let mut processes: Vec<(Child, Lines<BufReader<ChildStdout>>)> = (0..crowd.processes)
        .map(|number| {
            let told = [
                ("PLACE", place.to_owned()),
                ("NUMBER", number.to_string()),
                ("ROUNDS", rounds.to_string()),
                ("PEOPLE", crowd.people.to_string()),
                ("SHOP", shop.address()),
            ];
            let mut child = spawn(&told);
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            (child, lines)
        })
        .collect();
    let (mut lost, mut took) = (0, Duration::ZERO);
    for _ in 0..rounds {
        processes.iter_mut().for_each(|(_, lines)| drop(heard(lines, "here")));
        processes.iter_mut().for_each(|(child, _)| writeln!(child.stdin.as_mut().unwrap(), "go").unwrap());
        let (mut recorded, start) = (0, Instant::now());
        for (_, lines) in &mut processes {
            recorded += heard(lines, "recorded").parse::<usize>().unwrap();
            lost += heard(lines, "lost").parse::<usize>().unwrap();
        }
        took += start.elapsed();
        assert_eq!(recorded, crowd.processes * crowd.threads, "each message was new to exactly one call");
    }
    for (child, _) in &mut processes {
        assert!(child.wait().unwrap().success());
    }
    check(&shop, crowd, rounds);
    let calls = rounds * crowd.processes * crowd.threads * 2;
    eprintln!("{calls} calls in {took:?}, {lost} of them lost too many races");
    assert!(lost * 33 <= calls, "callers were sent away");
}

/// One contact per person, one chat and one active session each, every message once.
fn check(shop: &Shop, crowd: Crowd, rounds: usize) {
    let people = rounds * crowd.people;
    let phones: BTreeMap<_, _> =
        shop.all::<Contact>().into_iter().map(|c| (c.phone.unwrap().to_string(), c.id)).collect();
    assert_eq!((shop.all::<Contact>().len(), phones.len()), (people, people));
    let chats = shop.all::<Chat>();
    assert_eq!(chats.len(), people);
    let with: BTreeSet<_> = chats.iter().map(|chat| chat.contact_id.unwrap()).collect();
    assert_eq!(with, phones.values().copied().collect());
    let sessions = shop.all::<Session>();
    let active: BTreeSet<_> = sessions.iter().filter(|session| session.is_active()).map(|s| s.chat_id).collect();
    assert_eq!((sessions.len(), active.len()), (people, people));
    let messages = shop.all::<Message>();
    let expected: BTreeSet<String> = (0..rounds)
        .flat_map(|round| (0..crowd.processes).map(move |process| (round, process)))
        .flat_map(|(round, process)| (0..crowd.threads).map(move |thread| id(round, process, thread)))
        .collect();
    let ids: BTreeSet<String> = messages.iter().map(|m| m.channel_message_id.clone().unwrap()).collect();
    assert_eq!((messages.len(), ids), (expected.len(), expected));
    let received = shop.log().iter().filter(|event| event.event_type == "message.received").count();
    assert_eq!(received, messages.len());
    let per_person = crowd.processes * crowd.threads / crowd.people;
    for session in &sessions {
        assert_eq!(session.metrics.message_count as usize, per_person);
    }
    assert!(chats.iter().all(|chat| chat.message_count as usize == per_person));
    shop.check();
}
