//! Processes that die while they write, and processes that write side by side. `VENTROS_KILLS` sets how many die (20).

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod children;
mod directory;

use children::{spawn, tell, told};
use directory::Directory;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;
use std::time::Duration;
use ventros::kernel::Kind;
use ventros::storage::testing::{PROJECT, Sample, TABLE, at, committed, contact, event, id, job, read, snapshots};
use ventros::storage::{
    EventQuery, FieldKind, Filter, JobQuery, JobRecord, JobWrite, KeyRef, Scope, SnapshotRepository, Storage,
};
use ventros::storage::{EventRepository, JobRepository};
use ventros::testing::block_on;
use ventros_sqlite::SqliteStorage;

const SCOPE: Scope = Scope::Project(PROJECT);
const THREADS: u128 = 3;

fn open(file: &Path) -> SqliteStorage {
    let store = SqliteStorage::open(file).unwrap();
    block_on(store.prepare(&[TABLE])).unwrap();
    store
}

/// Writes until it is killed, or `rounds` times. Every commit touches all that a commit can: a counter, a new contact with its
/// key, tag and words, two events, a job. What was acknowledged is told on the standard output.
fn write(store: &SqliteStorage, writer: u128, rounds: u128) {
    let counter_id = writer * 1_000_000;
    let found = block_on(store.get(SCOPE, Kind::Contact, &[id(counter_id)])).unwrap();
    let mut done = found.first().map_or(0, |snapshot| u128::from(snapshot.revision));
    let counter = |count: u128| Sample { score: Some(count as f64), ..Sample::default() };
    for _ in 0..rounds {
        done += 1;
        let number = counter_id + done;
        let new = Sample { tags: vec!["crash".into()], ..Sample::named(&format!("w{number}")) };
        let new = new.with_key("", &number.to_string());
        let count = match done {
            1 => counter(1).insert(PROJECT, counter_id),
            _ => counter(done).update(&counter(done - 1), PROJECT, counter_id, done as u64),
        };
        let mut batch = snapshots([count, new.insert(PROJECT, number)]);
        batch.events = vec![
            event(PROJECT, counter_id, done as u64, number, "counter.moved"),
            event(PROJECT, number, 1, number + 500_000, "contact.created"),
        ];
        batch.jobs = vec![JobWrite::Enqueue(JobRecord { unique_key: Some(number.to_string()), ..job(number, 0) })];
        committed(block_on(store.commit(batch)));
        tell(&format!("ack {writer} {done}"));
    }
}

/// What a child process runs; alone it does nothing.
#[test]
fn child() {
    let Some(file) = told("FILE") else { return };
    let first: u128 = told("FIRST").unwrap().parse().unwrap();
    let rounds: u128 = told("ROUNDS").unwrap().parse().unwrap();
    let store = open(Path::new(&file));
    std::thread::scope(|scope| {
        for writer in first..first + THREADS {
            let store = &store;
            scope.spawn(move || write(store, writer, rounds));
        }
    });
    block_on(store.close()).unwrap();
}

fn writer(file: &Path, first: u128, rounds: u128) -> Child {
    let file = file.display().to_string();
    spawn(&[("FILE", file), ("FIRST", first.to_string()), ("ROUNDS", rounds.to_string())])
}

/// The last acknowledged number of each writer, from the lines that were written whole.
fn acknowledged(lines: &mut impl BufRead, acks: &mut BTreeMap<u128, u128>, after: usize) -> bool {
    let mut seen = 0;
    for line in lines.lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["ack", writer, done] = words[..] {
            acks.insert(writer.parse().unwrap(), done.parse().unwrap());
            seen += 1;
            if seen == after {
                return true;
            }
        }
    }
    false
}

/// All of every commit is there or nothing of it, and nothing that was acknowledged is missing.
fn check(file: &Path, acks: &BTreeMap<u128, u128>) {
    let store = open(file);
    let writers: Vec<u128> = acks.keys().copied().collect();
    let mut total = 0;
    for writer in &writers {
        let counter_id = writer * 1_000_000;
        let counter = block_on(store.get(SCOPE, Kind::Contact, &[id(counter_id)])).unwrap();
        let done = counter.first().map_or(0, |snapshot| snapshot.revision);
        assert!(u128::from(done) >= acks[writer], "writer {writer}: {done} of {} acknowledged", acks[writer]);
        assert_eq!(read(&counter[0].state).unwrap().score, Some(done as f64));
        let last = EventQuery { stream: Some(contact(counter_id)), backward: true, limit: 1, ..EventQuery::default() };
        assert_eq!(block_on(store.events(SCOPE, &last)).unwrap()[0].aggregate_version, done);
        let number = counter_id + u128::from(done);
        for (number, is_there) in [(number, true), (number + 1, false)] {
            let found = block_on(store.get(SCOPE, Kind::Contact, &[id(number)])).unwrap();
            assert_eq!(!found.is_empty(), is_there);
            let key = number.to_string();
            let keys = [KeyRef { scope: "", key: &key }];
            assert_eq!(!block_on(store.find_keys(SCOPE, "contact.phone", &keys)).unwrap().is_empty(), is_there);
            assert_eq!(block_on(store.job(SCOPE, id(number))).unwrap().is_some(), is_there);
            let hits = block_on(store.search(SCOPE, Kind::Contact, &format!("w{number}"), 5)).unwrap();
            assert_eq!(hits.iter().any(|hit| hit.snapshot.id == id(number)), is_there);
        }
        total += done;
    }
    let head = block_on(store.head(PROJECT)).unwrap();
    assert_eq!(head, total * 2);
    let tail = EventQuery { backward: true, limit: 1000, ..EventQuery::default() };
    let seqs: Vec<u64> = block_on(store.events(SCOPE, &tail)).unwrap().iter().map(|event| event.seq).collect();
    assert!(seqs.iter().zip((1..=head).rev()).all(|(seq, expected)| *seq == expected), "the log has a hole");
    let tagged = Filter::Leaf(ventros::storage::Leaf {
        field: "tags".into(),
        kind: FieldKind::Set,
        is_attribute: true,
        test: ventros::storage::Test::Equal("crash".into()),
    });
    assert_eq!(block_on(store.count(SCOPE, Kind::Contact, &tagged, true)).unwrap(), total);
    assert_eq!(block_on(store.claim_jobs(ventros::storage::testing::due("timer", at(0), at(1), 1))).unwrap().len(), 1);
    let jobs = JobQuery { limit: 1, ..JobQuery::default() };
    assert_eq!(block_on(store.jobs(SCOPE, &jobs)).unwrap().len(), 1);
    block_on(store.close()).unwrap();
}

#[test]
fn a_killed_process_leaves_whole_commits() {
    let kills: usize = std::env::var("VENTROS_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let directory = Directory::fresh("kill");
    let mut acks = BTreeMap::new();
    let mut chance: u64 = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..kills {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        let mut child = writer(&directory.file(), 1, u128::from(u64::MAX));
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        assert!(acknowledged(&mut lines, &mut acks, 1 + (chance % 40) as usize), "the child stopped by itself");
        // Any moment of a commit may be the last one.
        std::thread::sleep(Duration::from_micros(chance >> 8 & 0xFFF));
        child.kill().unwrap();
        acknowledged(&mut lines, &mut acks, usize::MAX);
        child.wait().unwrap();
        check(&directory.file(), &acks);
    }
}

#[test]
fn processes_write_side_by_side() {
    let directory = Directory::fresh("side");
    drop(open(&directory.file()));
    let mut children: Vec<Child> = (0..3).map(|place| writer(&directory.file(), 1 + place * THREADS, 30)).collect();
    let mut acks = BTreeMap::new();
    for child in &mut children {
        acknowledged(&mut BufReader::new(child.stdout.take().unwrap()), &mut acks, usize::MAX);
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(acks, (1..=9).map(|writer| (writer, 30)).collect());
    check(&directory.file(), &acks);
}
