//! An installation moves from store to store: random histories arrive as they were, and whoever is killed on the way loses nothing.

use crate::children::{spawn, tell, told};
use crate::line::{Line, shuffled};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::sync::Arc;
use ventros::catalogue::tables;
use ventros::engine::{Context, CopyPhase, CopyReport, copy_tables};
use ventros::kernel::{ActorRef, Component, ErrorCode};
use ventros::storage::{EventQuery, Scope, Section, Storage};
use ventros::testing::{World, block_on};

/// Rows of a page: small, so that there are many.
const PAGE: usize = 20;
/// Pages between two kills.
const PAGES: usize = 7;

/// Copies without listening.
pub fn copied(source: &dyn Storage, target: &dyn Storage) -> CopyReport {
    block_on(copy_tables(source, target, &tables(), PAGE, &mut |_| ControlFlow::Continue(()))).unwrap()
}

/// What anybody reads of a store: all events and all snapshots, byte for byte.
fn read(store: &dyn Storage) -> (Vec<String>, Vec<String>) {
    let all = EventQuery { limit: 100_000, ..EventQuery::default() };
    let events = block_on(store.events(Scope::Installation, &all)).unwrap();
    let snapshots = tables().into_iter().flat_map(|table| {
        let found = block_on(store.scan(Scope::Installation, table.kind, None, 100_000)).unwrap();
        let shown = found.into_iter().map(|snapshot| format!("{} {snapshot:?}", table.kind));
        let mut shown: Vec<String> = shown.collect();
        shown.sort();
        shown
    });
    (events.iter().map(|event| serde_json::to_string(event).unwrap()).collect(), snapshots.collect())
}

/// Through all these stores, one after the other: each holds what the first one held, and lives.
pub fn moves_through(stores: &[Arc<dyn Storage>]) {
    let first = read(&*stores[0]);
    let mut reports: Vec<CopyReport> = Vec::new();
    for pair in stores.windows(2) {
        let report = copied(&*pair[0], &*pair[1]);
        assert_eq!(report.copied, report.rows);
        assert_eq!(read(&*pair[1]), first);
        assert_eq!(copied(&*pair[0], &*pair[1]), CopyReport { copied: 0, ..report.clone() });
        reports.push(report);
    }
    reports.windows(2).for_each(|pair| assert_eq!(pair[0], pair[1]));
    for store in stores {
        World::resume(store.clone(), [7; 32], 99).unwrap().assert_log_matches();
    }
}

/// An installation in which something has happened.
pub fn live(store: Arc<dyn Storage>) {
    let line = Line::on(store);
    let (items, _) = shuffled().new_tree(&mut TestRunner::deterministic()).unwrap().current();
    line.feed(&items);
    let host = || Context::new(None, ActorRef::system(Component::Host));
    for number in 0..200 {
        let input = json!({"name": format!("Project {number}")}).to_string();
        block_on(line.world.crm.call("projects.create", host(), input.as_bytes())).unwrap();
    }
}

/// What a child process runs; alone it does nothing.
pub fn child(open: impl Fn(&str) -> Arc<dyn Storage>) {
    let (Some(source), Some(target)) = (told("SOURCE"), told("TARGET")) else { return };
    let (source, target) = (open(&source), open(&target));
    let copied = block_on(copy_tables(&*source, &*target, &tables(), PAGE, &mut |progress| {
        if progress.phase == CopyPhase::Copying {
            tell(&format!("copied {}", progress.done));
        }
        ControlFlow::Continue(())
    }));
    tell(&format!("ended {}", copied.unwrap().copied));
}

/// Kills the child after some pages, again and again, until one comes to the end.
pub fn kills_until_it_is_done(source: &str, target: &str, open: impl Fn(&str) -> Arc<dyn Storage>) {
    live(open(source));
    let rows = block_on(open(source).count_rows(Section::Events)).unwrap();
    let (mut kills, mut known) = (0, 0);
    loop {
        let mut child = spawn(&[("SOURCE", source.to_owned()), ("TARGET", target.to_owned())]);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut pages = 0;
        let mut ended = None;
        for line in lines {
            if let Some(done) = line.strip_prefix("copied ") {
                known = known.max(done.parse::<u64>().unwrap());
                pages += 1;
                if pages == PAGES {
                    child.kill().unwrap();
                }
            }
            ended = ended.or_else(|| line.strip_prefix("ended ").map(|copied| copied.parse::<u64>().unwrap()));
        }
        child.wait().unwrap();
        let store = open(target);
        if let Some(copied) = ended {
            assert!(copied < rows, "the last one copied {copied} rows");
            break;
        }
        kills += 1;
        // What the killed one had told was there, and nobody takes it for a whole store.
        let sections = [Section::Heads, Section::Events].map(|section| block_on(store.count_rows(section)).unwrap());
        assert!(sections.iter().sum::<u64>() >= known.min(rows));
        let refused = World::resume(store, [7; 32], 99).err().map(|error| error.code());
        assert_eq!(refused, Some(ErrorCode::CopyUnfinished));
    }
    assert!(kills >= 5, "only {kills} were killed");
    eprintln!("{kills} copies were killed");
    let (source, target) = (open(source), open(target));
    assert_eq!(copied(&*source, &*target).copied, 0);
    assert_eq!(read(&*source), read(&*target));
    World::resume(target, [7; 32], 99).unwrap().assert_log_matches();
}
