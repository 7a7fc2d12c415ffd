//! A commit that breaks off at any of its statements leaves nothing behind: what a process that dies there leaves is what it found.

use crate::SqliteStorage;
use crate::errors::Carry;
use crate::plans::{a_batch, store};
use rusqlite::InterruptHandle;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use std::cell::{Cell, RefCell};
use ventros::kernel::{Error, Kind, Result};
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

/// Refuses to end a transaction without its commit.
fn no_rollback(asked: AuthContext<'_>) -> Authorization {
    match asked.action {
        AuthAction::Transaction { operation: TransactionOperation::Rollback } => Authorization::Deny,
        _ => Authorization::Allow,
    }
}

fn refuse_rollbacks(store: &SqliteStorage) {
    let mut connection = store.writer.connection().unwrap();
    connection.as_mut().unwrap().authorizer(Some(no_rollback)).unwrap();
}

/// Fails after it has written, on a connection that cannot be rolled back.
fn fail_for_good(store: &SqliteStorage) {
    refuse_rollbacks(store);
    let failed: Result<()> = store.writer.write_blocking(|transaction| {
        transaction.execute_batch("INSERT INTO notes VALUES (1)").unwrap();
        Err(Error::internal("it fails"))
    });
    assert!(failed.is_err());
}

fn open_with_notes(file: &std::path::Path) -> SqliteStorage {
    let store = SqliteStorage::open(file).unwrap();
    let create = "CREATE TABLE IF NOT EXISTS notes (row INTEGER PRIMARY KEY)";
    store.writer.write_blocking(|transaction| transaction.execute_batch(create).carry()).unwrap();
    store
}

fn notes(store: &SqliteStorage) -> Vec<i64> {
    let read = |connection: &rusqlite::Connection| {
        let mut statement = connection.prepare("SELECT row FROM notes ORDER BY row").carry()?;
        let rows = statement.query_map([], |row| row.get(0)).carry()?;
        rows.collect::<rusqlite::Result<Vec<i64>>>().carry()
    };
    store.writer.read(read).unwrap()
}

#[test]
fn a_connection_that_cannot_be_rolled_back_is_opened_again() {
    let directory = std::env::temp_dir().join(format!("ventros-rollback-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("crm.db");
    let (one, other) = (open_with_notes(&file), open_with_notes(&file));
    fail_for_good(&one);
    // Nobody waits for a transaction that nobody ends.
    other.writer.write_blocking(|_| Ok(())).unwrap();
    assert!(notes(&one).is_empty());
    one.writer.write_blocking(|_| Ok(())).unwrap();
    block_on(one.close()).unwrap();
    block_on(other.close()).unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn each_of_a_group_is_done_though_the_first_cannot_be_rolled_back() {
    let directory = std::env::temp_dir().join(format!("ventros-rollback-group-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let store = open_with_notes(&directory.join("crm.db"));
    let add = |sql: &'static str, is_well: bool| {
        let writer = store.writer.clone();
        async move {
            let work = move |transaction: &crate::writer::Transaction<'_>| {
                transaction.execute_batch(sql).unwrap();
                if is_well { Ok(()) } else { Err(Error::internal("it fails")) }
            };
            writer.write::<(), Error>(work).await
        }
    };
    refuse_rollbacks(&store);
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let writer = store.writer.clone();
    let (begun, begins) = std::sync::mpsc::channel::<()>();
    let first = std::thread::spawn(move || {
        writer.write_blocking(|_| {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            Ok(())
        })
    });
    begins.recv().unwrap();
    // Both wait for the same turn, and so come into one transaction.
    let bad = add("INSERT INTO notes VALUES (1)", false);
    let good = add("INSERT INTO notes VALUES (2)", true);
    let bad = std::thread::spawn(move || block_on(bad));
    while store.writer.waiting() < 1 {
        std::thread::yield_now();
    }
    let good = std::thread::spawn(move || block_on(good));
    while store.writer.waiting() < 2 {
        std::thread::yield_now();
    }
    go.send(()).unwrap();
    first.join().unwrap().unwrap();
    let (bad, good) = (bad.join().unwrap(), good.join().unwrap());
    assert!(bad.is_err() && good.is_ok(), "{good:?}");
    assert_eq!(notes(&store), [2]);
    block_on(store.close()).unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}
