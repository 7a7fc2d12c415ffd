//! A commit that breaks off at any of its statements leaves nothing behind: what a process that dies there leaves is what it found.

use crate::SqliteStorage;
use crate::plans::{a_batch, store};
use rusqlite::InterruptHandle;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use std::cell::{Cell, RefCell};
use ventros::kernel::Kind;
use ventros::storage::{CopyRepository, Section, Storage};
use ventros::testing::block_on;

thread_local! {
    /// Statements up to the break; 0 when it has come.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    static HANDLE: RefCell<Option<InterruptHandle>> = const { RefCell::new(None) };
}

fn count(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(..) = event {
        let left = LEFT.get();
        LEFT.set(left.saturating_sub(1));
        if left == 1 {
            HANDLE.with_borrow(|handle| handle.iter().for_each(InterruptHandle::interrupt));
        }
    }
}

/// Commits, but for the statement of this number (from 1). False when the commit has fewer.
fn commit_up_to(store: &SqliteStorage, number: usize) -> (bool, bool) {
    let trace = |to: Option<fn(TraceEvent<'_>)>| {
        let mut connection = store.writer.connection().unwrap();
        let connection = connection.as_mut().unwrap();
        HANDLE.set(to.map(|_| connection.get_interrupt_handle()));
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, to).unwrap();
    };
    trace(Some(count));
    LEFT.set(number);
    let is_committed = block_on(store.commit(a_batch())).is_ok();
    let is_reached = LEFT.get() == 0;
    trace(None);
    (is_reached, is_committed)
}

/// Every row of the store.
fn dump(store: &SqliteStorage) -> Vec<String> {
    let sections = [
        Section::Heads,
        Section::Events,
        Section::Baselines,
        Section::Snapshots(Kind::Contact),
        Section::Keys,
        Section::Consumers,
        Section::DeadLetters,
        Section::Jobs,
        Section::IdempotencyKeys,
        Section::Secrets,
    ];
    let rows = |section| block_on(store.rows(section, None, 10_000)).unwrap().rows;
    sections.into_iter().flat_map(|section| rows(section).into_iter().map(|row| format!("{row:?}"))).collect()
}

#[test]
fn a_commit_that_breaks_off_at_any_statement_leaves_nothing() {
    let (before, whole) = (dump(&store()), store());
    assert_eq!(commit_up_to(&whole, usize::MAX), (false, true));
    let after = dump(&whole);
    assert_ne!(before, after);
    let (mut number, mut broken) = (1, 0);
    loop {
        let store = store();
        let (is_reached, is_committed) = commit_up_to(&store, number);
        // The end of a transaction is one step, which happens or not.
        assert!(dump(&store) == *(if is_committed { &after } else { &before }), "at statement {number}");
        broken += usize::from(!is_committed);
        if !is_reached {
            assert!(is_committed);
            break;
        }
        // Whoever comes next does all of it.
        if !is_committed {
            block_on(store.commit(a_batch())).unwrap();
            assert!(dump(&store) == after, "after a break at statement {number}");
        }
        number += 1;
    }
    assert!(broken > 30, "{broken} of {number}");
}
