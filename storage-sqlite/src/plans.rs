//! No statement on a hot path walks a whole table. The plans looked at are those of the statements that the calls really run.

use crate::SqliteStorage;
use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use std::cell::RefCell;
use std::future::Future;
use ventros::kernel::{Kind, Result};
use ventros::storage::testing::*;
use ventros::storage::{
    BaselineRepository, ConsumerRepository, ConsumerWrite, DeadLetterQuery, EventQuery, EventRepository, FieldKind,
    Filter, Find, JobQuery, JobRepository, JobWrite, KeyRef, Scope, SecretQuery, SecretRecord, SecretRepository,
    SecretWrite, SnapshotRemoval, SnapshotRepository, Sort, Storage,
};
use ventros::testing::block_on;

thread_local! {
    static STATEMENTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn note(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(statement, _) = event {
        let sql = statement.sql().to_string();
        STATEMENTS.with_borrow_mut(|statements| statements.push(sql));
    }
}

pub(crate) fn store() -> SqliteStorage {
    let store = SqliteStorage::open_in_memory().unwrap();
    block_on(store.prepare(&[TABLE])).unwrap();
    let samples: Vec<Sample> = (0..50)
        .map(|number| Sample {
            tags: vec!["vip".into()],
            status: Some("active".into()),
            ..Sample::named(&format!("n{number}"))
        })
        .collect();
    block_on(fill(&store, PROJECT, &samples));
    store
}

/// The plans of all statements that `call` runs.
pub(crate) fn plans<T>(store: &SqliteStorage, call: impl Future<Output = Result<T>>) -> Vec<String> {
    let trace = |to: Option<fn(TraceEvent<'_>)>| {
        let mut connection = store.writer.connection().unwrap();
        connection.as_mut().unwrap().trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, to).unwrap();
    };
    STATEMENTS.take();
    trace(Some(note));
    block_on(call).map(|_| ()).unwrap();
    trace(None);
    let statements = STATEMENTS.take();
    let explain = |connection: &Connection| {
        let mut plans = Vec::new();
        let ours = |sql: &&String| {
            let inside_search = sql.contains("'main'.'search_");
            !inside_search && ["SELECT", "UPDATE", "DELETE"].iter().any(|verb| sql.starts_with(verb))
        };
        for sql in statements.iter().filter(ours) {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            // Without values: the plan must not depend on them.
            let mut steps = statement.raw_query();
            while let Some(step) = steps.next().unwrap() {
                plans.push(format!("{} <- {sql}", step.get_unwrap::<_, String>(3)));
            }
        }
        Ok(plans)
    };
    let plans = store.writer.read(explain).unwrap();
    assert!(!plans.is_empty(), "nothing was run");
    plans
}

#[track_caller]
fn seeks<T>(store: &SqliteStorage, call: impl Future<Output = Result<T>>) {
    for plan in plans(store, call) {
        assert!(!plan.starts_with("SCAN") && !plan.starts_with("USE TEMP B-TREE"), "{plan}");
    }
}

const SCOPE: Scope = Scope::Project(PROJECT);

fn find(sort: &str, descending: bool, filter: Filter) -> Find {
    let kind = fields().sortable(sort).unwrap().kind;
    Find {
        filter,
        sort: vec![Sort { field: sort.to_owned(), kind, descending }],
        after: None,
        backward: false,
        limit: 20,
        include_hidden: false,
        with_total: false,
    }
}

fn tagged(tag: &str) -> Filter {
    let expression = serde_json::json!({"field": "tags", "op": "contains", "value": tag});
    let expression: ventros::storage::FilterExpression = serde_json::from_value(expression).unwrap();
    expression.check(&fields(), at(0)).unwrap()
}

#[test]
fn lookups_seek() {
    let store = store();
    seeks(&store, store.get(SCOPE, Kind::Contact, &[id(1), id(2)]));
    seeks(&store, store.find_keys(SCOPE, "contact.phone", &[KeyRef { scope: "", key: "1" }]));
    seeks(&store, store.find_holders(SCOPE, Kind::Contact, "contact.phone", &[KeyRef { scope: "", key: "1" }]));
    seeks(&store, store.find_keys(Scope::Installation, "contact.phone", &[KeyRef { scope: "", key: "1" }]));
    seeks(&store, store.scan(SCOPE, Kind::Contact, Some(id(3)), 10));
    seeks(&store, store.idempotent(id(1), "k", at(0)));
    seeks(&store, store.head(PROJECT));
    seeks(&store, store.secret(PROJECT, id(1), None));
    let query = SecretQuery { key_id: "k".into(), after: Some((PROJECT, id(1), 1)), limit: 10 };
    seeks(&store, store.secrets_under(SCOPE, &query));
    seeks(&store, store.secrets_under(Scope::Installation, &query));
}

#[test]
fn lists_by_declared_indexes_seek() {
    let store = store();
    let active = || Filter::eq("status", FieldKind::Enum, "active");
    for (sort, filter) in [
        ("created_at", Filter::everything()),
        ("name", Filter::everything()),
        ("seen.at", active()),
        ("id", Filter::eq("owner_id", FieldKind::Id, id(7))),
    ] {
        for descending in [false, true] {
            let first = find(sort, descending, filter.clone());
            seeks(&store, store.find(SCOPE, Kind::Contact, &first));
            seeks(&store, store.find(SCOPE, Kind::Contact, &Find { include_hidden: true, ..first.clone() }));
            if sort == "id" {
                let plans = plans(&store, store.find(SCOPE, Kind::Contact, &first));
                assert!(plans.iter().all(|plan| plan.contains("contacts_by_owner_id")), "{plans:?}");
            }
            let page = block_on(store.find(SCOPE, Kind::Contact, &Find { limit: 3, ..first.clone() })).unwrap();
            let Some(edge) = page.rows.last().map(|row| (row.keys.clone(), row.snapshot.id)) else { continue };
            for backward in [false, true] {
                let next = Find { after: Some(edge.clone()), backward, ..first.clone() };
                seeks(&store, store.find(SCOPE, Kind::Contact, &next));
            }
        }
    }
    for plan in plans(&store, store.find(SCOPE, Kind::Contact, &find("created_at", true, tagged("nobody")))) {
        assert!(!plan.contains("contacts_by_created_at"), "{plan}");
    }
    for include_hidden in [false, true] {
        let plans = plans(&store, store.count(SCOPE, Kind::Contact, &active(), include_hidden));
        assert!(plans.iter().all(|plan| plan.contains("contacts_by_status_and_seen_at")), "{plans:?}");
    }
}

#[test]
fn events_seek() {
    let store = store();
    let all = || EventQuery { limit: 10, ..EventQuery::default() };
    for query in [
        EventQuery { after: 5, ..all() },
        EventQuery { backward: true, ..all() },
        EventQuery { after: 5, types: vec!["contact.created".into()], ..all() },
        EventQuery { backward: true, types: vec!["contact.created".into()], ..all() },
        EventQuery { after: 5, types: vec!["contact.*".into(), "chat.created".into()], ..all() },
        EventQuery { stream: Some(contact(1)), ..all() },
        EventQuery { subject: Some(contact(1)), ..all() },
        EventQuery { subject: Some(contact(1)), after: 5, backward: true, ..all() },
    ] {
        seeks(&store, store.events(SCOPE, &query));
    }
    seeks(&store, store.events(Scope::Installation, &EventQuery { after: 5, ..all() }));
    seeks(&store, store.baselines(PROJECT, &[contact(1), contact(2)]));
    seeks(&store, store.scan_baselines(PROJECT, None, Some(contact(1)), 10));
    seeks(&store, store.scan_baselines(PROJECT, Some("a text"), None, 10));
    // Few rows, which may be sorted; but found by their own index.
    for query in [EventQuery { correlation_id: Some(id(1)), ..all() }, EventQuery { ids: vec![id(1), id(2)], ..all() }]
    {
        for plan in plans(&store, store.events(SCOPE, &query)) {
            let own = ["events_correlation", "events_id"].iter().any(|index| plan.contains(index));
            assert!(own || plan.starts_with("USE TEMP B-TREE"), "{plan}");
        }
    }
}

#[test]
fn letters_seek() {
    let store = store();
    let of_one = DeadLetterQuery { limit: 5, stream: Some(contact(1)), ..DeadLetterQuery::default() };
    for (index, plans) in [
        ("dead_letters_stream", plans(&store, store.dead_letters(PROJECT, "one", &of_one))),
        ("dead_letters_stream", plans(&store, store.first_letters(PROJECT, "one", &[contact(1)]))),
        ("dead_letters_waiting", plans(&store, store.due_letter(PROJECT, "one", at(0)))),
        ("dead_letters_retrying", plans(&store, store.due_letter(PROJECT, "one", at(0)))),
    ] {
        assert!(plans.iter().any(|plan| plan.contains(index)), "{index}: {plans:#?}");
    }
    seeks(&store, store.first_letters(PROJECT, "one", &[contact(1)]));
    seeks(&store, store.dead_letters(PROJECT, "one", &DeadLetterQuery { stream: None, ..of_one }));
}

#[test]
fn jobs_seek() {
    let store = store();
    let jobs = (1..40).map(|number| {
        let order_key = (number % 2 == 0).then(|| "line".to_owned());
        JobWrite::Enqueue(ventros::storage::JobRecord { order_key, ..job(number, 0) })
    });
    let batch = ventros::storage::Batch { jobs: jobs.collect(), ..Default::default() };
    committed(block_on(store.commit(batch)));
    seeks(&store, store.next_due("timer"));
    seeks(&store, store.job(SCOPE, id(1)));
    seeks(&store, store.jobs(SCOPE, &JobQuery { limit: 10, queue: Some("timer".into()), ..JobQuery::default() }));
    let keyed = JobQuery { limit: 10, unique_key_prefix: Some("key:".into()), ..JobQuery::default() };
    for plan in plans(&store, store.jobs(SCOPE, &keyed)) {
        assert!(plan.contains("jobs_key") || plan.starts_with("USE TEMP B-TREE"), "{plan}");
    }
    for plan in plans(&store, store.backlog(PROJECT, "session.timeout", at(0), 10)) {
        assert!(!plan.contains("SEARCH") || plan.contains("USING COVERING INDEX jobs_backlog"), "{plan}");
        assert!(!plan.contains("SCAN jobs"), "{plan}");
    }
    // No more are read than were asked for.
    let read = plans(&store, store.job_times(PROJECT, 10));
    let of_jobs = read.iter().map(|plan| plan.split(" <- ").next().unwrap()).filter(|step| step.contains(" jobs "));
    assert_eq!(of_jobs.collect::<Vec<_>>(), ["SEARCH jobs USING INDEX jobs_project (project_id=?)"]);
    let claim = due("timer", at(0), at(60), 5);
    seeks(&store, store.claim_jobs(claim));
    seeks(&store, store.claim_jobs(ventros::storage::JobClaim { project: Some(PROJECT), ..claim }));
    seeks(&store, store.claim_jobs(ventros::storage::JobClaim { is_fair: true, ..claim }));
    // From priority to priority, and along the jobs of each that are due.
    let walks = ["jobs_due (queue=? AND priority<?)", "jobs_due (queue=? AND priority=? AND due_at<?)"];
    let in_turn = [
        "jobs_due_in_turn (queue=? AND project_id=? AND priority<?)",
        "jobs_due_in_turn (queue=? AND project_id=? AND priority=? AND due_at<?)",
    ];
    for (claim, walks) in [(claim, walks), (ventros::storage::JobClaim { is_fair: true, ..claim }, in_turn)] {
        let plans = plans(&store, store.claim_jobs(claim));
        for walk in walks {
            assert!(plans.iter().any(|plan| plan.contains(walk)), "{walk} is none of {plans:?}");
        }
    }
}

/// A commit of everything that there is, on a [`store`].
pub(crate) fn a_batch() -> ventros::storage::Batch {
    let (before, after) = (Sample::named("n0"), Sample { tags: vec!["x".into()], ..Sample::named("n1") });
    let mut batch = snapshots([after.update(&before, PROJECT, 1, 2)]);
    let keys = Sample::named("n2").with_key("", "k").index().keys;
    let (project_id, kind) = (PROJECT, Kind::Contact);
    batch.removals = vec![SnapshotRemoval { project_id, kind, id: id(2), loaded_revision: 1, keys }];
    batch.events = vec![event(PROJECT, 1, 1, 1, "contact.created")];
    batch.jobs = vec![
        JobWrite::Schedule(ventros::storage::JobRecord { unique_key: Some("k".into()), ..job(1, 0) }),
        JobWrite::Cancel { project_id: PROJECT, unique_key: "k".into(), at: at(0) },
        JobWrite::CancelJob { project_id: PROJECT, id: id(1), at: at(0) },
        JobWrite::Release { project_id: PROJECT, ids: vec![id(1)], run_at: at(0) },
        JobWrite::Purge { finished_before: at(0), dead_before: at(0) },
    ];
    let (project_id, name, event_ids) = (PROJECT, "one".to_owned(), vec![id(1)]);
    batch.consumers = vec![
        ConsumerWrite::Reset { project_id, name: name.clone(), checkpoint: 1 },
        ConsumerWrite::RetryDeadLetters { project_id, name: name.clone(), event_ids: event_ids.clone() },
        ConsumerWrite::DiscardDeadLetters { project_id, name: name.clone(), event_ids },
        ConsumerWrite::Delete { project_id, name },
    ];
    let record = SecretRecord {
        project_id: PROJECT,
        id: id(2),
        revision: 1,
        owner: contact(1),
        field: "a".into(),
        key_id: "k".into(),
        sealed: "s".into(),
        created_at: at(0),
    };
    batch.secrets = vec![
        SecretWrite::Put(record.clone()),
        SecretWrite::Newest { project_id: PROJECT, id: id(2), revision: 1, owner: contact(1) },
        SecretWrite::Reseal { record, replaces: "k".into() },
        SecretWrite::Shred { project_id: PROJECT, id: id(1), revision: 1 },
        SecretWrite::ShredAll { project_id: OTHER_PROJECT },
    ];
    batch.erasures = erasures();
    batch
}

#[test]
fn writes_seek() {
    let (store, batch) = (store(), a_batch());
    let commit = async {
        committed(store.commit(batch).await);
        Ok(())
    };
    for plan in plans(&store, commit) {
        let is_search = plan.contains("VIRTUAL TABLE");
        assert!(is_search || !plan.starts_with("SCAN"), "{plan}");
    }
}

#[test]
fn a_search_starts_from_its_words() {
    let store = store();
    for plan in plans(&store, store.search(SCOPE, Kind::Contact, "n1", 10)) {
        assert!(
            plan.starts_with("SCAN s VIRTUAL TABLE") || plan.starts_with("SEARCH t USING INTEGER PRIMARY KEY"),
            "{plan}"
        );
    }
}
