//! No statement on a hot path walks a whole table, and what is asked for a project runs as the project's own. The statements looked at
//! are those that the calls really run.

use crate::session::{Call, Reach};
use crate::{PostgresStorage, cluster};
use std::cell::RefCell;
use std::future::Future;
use ventros::kernel::{Kind, Result};
use ventros::storage::testing::*;
use ventros::storage::{
    BaselineRepository, Batch, ConsumerRepository, ConsumerStatus, DeadLetterQuery, EventQuery, EventRepository,
    FieldKind, Filter, FilterExpression, Find, JobQuery, JobRecord, JobRepository, JobWrite, KeyRef, ProjectIdOrNil,
    Scope, SecretQuery, SecretRecord, SecretRepository, SecretWrite, SnapshotRemoval, SnapshotRepository, Sort,
    Storage,
};
use ventros::testing::block_on;

thread_local! {
    static STATEMENTS: RefCell<Vec<(Reach, String, usize)>> = const { RefCell::new(Vec::new()) };
}

/// Looks at what is sent, and remembers its text and the number of its values.
pub(crate) fn note(reach: Reach, calls: &[Call]) {
    crate::bound::check(reach, calls);
    let noted = calls.iter().map(|call| (reach, call.sql.to_string(), call.values.len()));
    STATEMENTS.with_borrow_mut(|statements| statements.extend(noted));
}

const SCOPE: Scope = Scope::Project(PROJECT);

/// With enough in it that the planner has a choice.
fn store() -> PostgresStorage {
    let store = block_on(PostgresStorage::open(&cluster::fresh())).unwrap();
    block_on(store.prepare(&[TABLE])).unwrap();
    let status = ["active", "paused", "waiting", "gone"];
    let samples: Vec<Sample> = (0..3_000u32)
        .map(|number| Sample {
            tags: vec![if number % 500 == 0 { "rare" } else { "vip" }.into()],
            status: Some(status[number as usize % 4].into()),
            owner_id: Some(id(u128::from(number) % 300)),
            seen_at: Some(at(i64::from(number))),
            ..Sample::named(&format!("n{number}"))
        })
        .collect();
    block_on(fill(&store, PROJECT, &samples));
    let written =
        (1..=3_000u128).map(|number| event(PROJECT, number / 10, (number % 10) as u64, number, "contact.created"));
    block_on(commit(&store, events(written))).unwrap();
    block_on(async { store.pool.lend().await.unwrap().client.batch_execute("ANALYZE").await.unwrap() });
    store
}

fn statements<T>(call: impl Future<Output = Result<T>>) -> Vec<(Reach, String, usize)> {
    STATEMENTS.take();
    block_on(call).map(drop).unwrap();
    let statements = STATEMENTS.take();
    assert!(!statements.is_empty(), "nothing was run");
    statements
}

/// The plans of all statements that `call` runs, made without their values: a plan must not depend on them.
fn plans<T>(store: &PostgresStorage, call: impl Future<Output = Result<T>>) -> Vec<String> {
    let statements = statements(call);
    block_on(async {
        let loan = store.pool.lend().await.unwrap();
        let settings = "SET ventros.system = 'on'; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off";
        loan.client.batch_execute(settings).await.unwrap();
        let mut plans = Vec::new();
        for (_, sql, values) in statements {
            // What functions do is theirs.
            if sql.starts_with("SELECT @") {
                continue;
            }
            let nulls = if values == 0 { String::new() } else { format!("(NULL{})", ", NULL".repeat(values - 1)) };
            loan.client.batch_execute(&loan.full(&format!("PREPARE looked_at AS {sql}"))).await.unwrap();
            let explained = loan.client.simple_query(&format!("EXPLAIN EXECUTE looked_at{nulls}")).await.unwrap();
            loan.client.batch_execute("DEALLOCATE looked_at").await.unwrap();
            let lines = explained.iter().filter_map(|line| match line {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            plans.push(format!("{}\n<- {sql}", lines.collect::<Vec<_>>().join("\n")));
        }
        loan.client.batch_execute("RESET ALL; SET jit = off").await.unwrap();
        plans
    })
}

#[track_caller]
fn seeks<T>(store: &PostgresStorage, call: impl Future<Output = Result<T>>) {
    for plan in plans(store, call) {
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}

/// Sorts nothing, and reads along the index. Rows without the sort value are few, and read by any index.
#[track_caller]
fn walks<T>(store: &PostgresStorage, index: &str, call: impl Future<Output = Result<T>>) {
    for (place, plan) in plans(store, call).iter().enumerate() {
        assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
        assert!(place > 0 || plan.contains(index), "{plan}");
    }
}

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
    let expression: FilterExpression = serde_json::from_value(expression).unwrap();
    expression.check(&fields(), at(0)).unwrap()
}

fn a_batch() -> Batch {
    let (before, after) =
        (Sample::named("n0").with_key("", "k"), Sample { tags: vec!["x".into()], ..Sample::named("n1") });
    let before = Sample { tags: vec!["vip".into()], status: Some("active".into()), ..before };
    let keys = Sample::named("n2").with_key("", "k2").index().keys;
    let (project_id, kind) = (PROJECT, Kind::Contact);
    Batch {
        removals: vec![SnapshotRemoval { project_id, kind, id: id(3), loaded_revision: 1, keys }],
        snapshots: vec![
            after.update(&before, PROJECT, 1, 2),
            Sample::named("new").with_key("", "n").insert(PROJECT, 9_999),
        ],
        events: vec![event(PROJECT, 9_999, 1, 9_999, "contact.created")],
        jobs: vec![
            JobWrite::Schedule(JobRecord { unique_key: Some("k".into()), order_key: Some("l".into()), ..job(1, 0) }),
            JobWrite::Cancel { project_id: PROJECT, unique_key: "k".into(), at: at(0) },
            JobWrite::Release { project_id: PROJECT, ids: vec![id(1)], run_at: at(0) },
        ],
        secrets: secret_writes(),
        erasures: erasures(),
        ..Batch::default()
    }
}

fn secret_writes() -> Vec<SecretWrite> {
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
    vec![
        SecretWrite::Put(record.clone()),
        SecretWrite::Newest { project_id: PROJECT, id: id(2), revision: 1, owner: contact(1) },
        SecretWrite::Reseal { record, replaces: "k".into() },
        SecretWrite::Shred { project_id: PROJECT, id: id(1), revision: 1 },
        SecretWrite::ShredAll { project_id: PROJECT },
    ]
}

async fn commit(store: &PostgresStorage, batch: Batch) -> Result<()> {
    committed(store.commit(batch).await);
    Ok(())
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
    let secrets = SecretQuery { key_id: "k".into(), after: Some((PROJECT, id(1), 1)), limit: 10 };
    seeks(&store, store.secrets_under(SCOPE, &secrets));
    seeks(&store, store.secrets_under(Scope::Installation, &secrets));
    seeks(&store, store.search(SCOPE, Kind::Contact, "n1", 10));
    seeks(&store, store.consumers(SCOPE));
}

#[test]
fn lists_walk_along_declared_indexes() {
    let store = store();
    let active = || Filter::eq("status", FieldKind::Enum, "active");
    for (sort, filter, index) in [
        ("created_at", Filter::everything(), "contacts_by_created_at"),
        ("name", Filter::everything(), "contacts_by_name"),
        ("seen.at", active(), "contacts_by_status_and_seen_at"),
        ("id", Filter::eq("owner_id", FieldKind::Id, id(7)), "contacts_by_owner_id"),
    ] {
        for descending in [false, true] {
            let first = find(sort, descending, filter.clone());
            walks(&store, index, store.find(SCOPE, Kind::Contact, &first));
            let page = block_on(store.find(SCOPE, Kind::Contact, &Find { limit: 3, ..first.clone() })).unwrap();
            let Some(edge) = page.rows.last().map(|row| (row.keys.clone(), row.snapshot.id)) else { continue };
            for backward in [false, true] {
                let next = Find { after: Some(edge.clone()), backward, ..first.clone() };
                seeks(&store, store.find(SCOPE, Kind::Contact, &next));
            }
        }
    }
    seeks(&store, store.find(SCOPE, Kind::Contact, &find("created_at", true, tagged("nobody"))));
    seeks(&store, store.count(SCOPE, Kind::Contact, &active(), true));
}

#[test]
fn events_seek() {
    let store = store();
    let all = || EventQuery { limit: 10, ..EventQuery::default() };
    for query in [
        EventQuery { after: 2_900, ..all() },
        EventQuery { backward: true, ..all() },
        EventQuery { after: 5, types: vec!["contact.*".into(), "chat.created".into()], ..all() },
    ] {
        walks(&store, "events_seq", store.events(SCOPE, &query));
    }
    seeks(&store, store.events(SCOPE, &EventQuery { after: 5, types: vec!["contact.created".into()], ..all() }));
    walks(&store, "events_stream", store.events(SCOPE, &EventQuery { stream: Some(contact(1)), ..all() }));
    seeks(&store, store.baselines(PROJECT, &[contact(1), contact(2)]));
    seeks(&store, store.scan_baselines(PROJECT, Some("a text"), Some(contact(1)), 10));
    for (index, query) in [
        ("event_subjects_pkey", EventQuery { subject: Some(contact(1)), ..all() }),
        ("events_correlation", EventQuery { correlation_id: Some(id(1)), ..all() }),
        ("events_id", EventQuery { ids: vec![id(1), id(2)], ..all() }),
    ] {
        for plan in plans(&store, store.events(SCOPE, &query)) {
            assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{plan}");
        }
    }
}

#[test]
fn jobs_seek() {
    let store = store();
    walks(&store, "jobs_due", store.next_due("timer"));
    seeks(&store, store.job(SCOPE, id(1)));
    seeks(&store, store.jobs(SCOPE, &JobQuery { limit: 10, queue: Some("timer".into()), ..JobQuery::default() }));
    let keyed = JobQuery { limit: 10, unique_key_prefix: Some("key:".into()), ..JobQuery::default() };
    seeks(&store, store.jobs(SCOPE, &keyed));
    walks(&store, "jobs_project", store.job_times(PROJECT, 10));
    walks(&store, "jobs_backlog", store.backlog(PROJECT, "session.timeout", at(0), 10));
}

#[test]
fn writes_seek() {
    let store = store();
    seeks(&store, commit(&store, a_batch()));
}

/// Row security holds them to their project, beside what [`bound`](crate::bound) sees in them.
#[test]
fn statements_of_a_project_are_its_own() {
    let store = store();
    let everything = Filter::everything();
    let by_tag = find("name", false, tagged("vip").negate());
    let among = find("name", false, Filter::among("owner_id", Kind::Contact, tagged("vip")));
    let consumer = ventros::storage::ConsumerRecord {
        project_id: ProjectIdOrNil(PROJECT),
        name: "one".into(),
        events: Vec::new(),
        max_attempts: 1,
        on_exhausted: ventros::storage::OnExhausted::Park,
        ordering: ventros::storage::ConsumerOrdering::Stream,
        batch_size: 100,
        handler_timeout: 30,
        status: ConsumerStatus::Active,
        generation: 1,
        retrying: 0,
        letters: 0,
        waits_until: None,
        checkpoint: 0,
        attempts: 0,
        next_attempt_at: None,
        last_error: None,
        lease_token: 0,
        lease_owner: None,
        lease_until: None,
        out_seq: None,
        lapsed: false,
        created_at: at(0),
    };
    let all = || EventQuery { limit: 10, ..EventQuery::default() };
    let run = async {
        store.get(SCOPE, Kind::Contact, &[id(1)]).await?;
        store.find_keys(SCOPE, "contact.phone", &[KeyRef { scope: "", key: "1" }]).await?;
        store.find_holders(SCOPE, Kind::Contact, "contact.phone", &[KeyRef { scope: "", key: "1" }]).await?;
        store.find(SCOPE, Kind::Contact, &Find { with_total: true, include_hidden: true, ..by_tag }).await?;
        store.find(SCOPE, Kind::Contact, &among).await?;
        store.count(SCOPE, Kind::Contact, &everything, true).await?;
        store.scan(SCOPE, Kind::Contact, None, 5).await?;
        store.search(SCOPE, Kind::Contact, "n1", 5).await?;
        store.events(SCOPE, &EventQuery { subject: Some(contact(1)), ..all() }).await?;
        store.events(SCOPE, &EventQuery { ids: vec![id(1)], ..all() }).await?;
        store.head(PROJECT).await?;
        store.open_consumer(&consumer).await?;
        store.consumers(SCOPE).await?;
        store.claim_consumer(PROJECT, "one", id(1), at(0), at(9)).await?;
        store.dead_letters(PROJECT, "one", &DeadLetterQuery { limit: 5, ..DeadLetterQuery::default() }).await?;
        let of_one = DeadLetterQuery { limit: 5, stream: Some(contact(1)), ..DeadLetterQuery::default() };
        store.dead_letters(PROJECT, "one", &of_one).await?;
        store.due_letter(PROJECT, "one", at(0)).await?;
        store.first_letters(PROJECT, "one", &[contact(1)]).await?;
        store.job(SCOPE, id(1)).await?;
        store.jobs(SCOPE, &JobQuery { limit: 5, ..JobQuery::default() }).await?;
        store.secret(PROJECT, id(1), None).await?;
        store.secrets_under(SCOPE, &SecretQuery { key_id: "k".into(), after: None, limit: 5 }).await?;
        commit(&store, a_batch()).await
    };
    for (reach, sql, _) in statements(run) {
        assert_eq!(reach, Reach::Only(PROJECT.uuid()), "{sql}");
    }
}
