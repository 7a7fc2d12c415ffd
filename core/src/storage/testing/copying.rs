//! Moving a whole store: everything arrives, whatever interrupts it.

use super::*;
use crate::engine::{CopyPhase, CopyProgress, CopyReport, copy_tables};
use crate::kernel::{Error, ErrorCode, Kind, ProjectId, Result, Subject};
use crate::storage::{
    AttemptRecord, Batch, ConsumerOrdering, ConsumerProgress, ConsumerRecord, ConsumerStatus, ConsumerWrite, CopyStep,
    DeadLetter, DeadLetterQuery, Erasure, EventQuery, FieldKind, Filter, Find, IdempotencyRecord, JobErrorClass,
    JobQuery, JobRecord, JobState, JobWrite, KeyRef, MemoryStorage, OnDead, OnExhausted, ProjectIdOrNil, Scope,
    SecretRecord, SecretWrite, Section, StoredRow,
};
use std::ops::ControlFlow;

pub(super) const SECTIONS: [Section; 10] = [
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
/// Small, so that every section has several.
const PAGE: usize = 3;

fn consumer(project: ProjectId, name: &str) -> ConsumerRecord {
    ConsumerRecord {
        project_id: ProjectIdOrNil(project),
        name: name.to_owned(),
        events: vec!["contact.*".to_owned(), "chat.created".to_owned()],
        max_attempts: 7,
        on_exhausted: OnExhausted::Stop,
        ordering: ConsumerOrdering::Stream,
        batch_size: 7,
        handler_timeout: 45,
        status: ConsumerStatus::Active,
        generation: 1,
        retrying: 0,
        letters: 0,
        waits_until: None,
        checkpoint: 2,
        attempts: 0,
        next_attempt_at: None,
        last_error: None,
        lease_token: 0,
        lease_owner: None,
        lease_until: None,
        out_seq: None,
        lapsed: false,
        created_at: at(3),
    }
}

fn secret(project: ProjectId, number: u128, revision: u32) -> SecretWrite {
    let record = SecretRecord {
        project_id: project,
        id: id(number),
        revision,
        owner: Subject::new(Kind::Contact, id(number)),
        field: "api_key".to_owned(),
        key_id: "k1".to_owned(),
        sealed: format!("sealed {number} {revision}"),
        created_at: at(4),
    };
    SecretWrite::Put(record)
}

fn ordered(number: u128, line: &str, state: JobState) -> JobRecord {
    JobRecord {
        order_key: Some(line.to_owned()),
        unique_key: Some(format!("key \u{e9} {number}")),
        state,
        on_dead: if state == JobState::Parked { OnDead::Block } else { OnDead::Continue },
        max_attempts: Some(3),
        priority: 2 - i16::try_from(number % 3).unwrap(),
        correlation_id: Some(id(number)),
        causation_id: Some(id(number + 1)),
        ..job(number, i64::try_from(number).unwrap())
    }
}

/// Something in every section, and in every one more than a page has.
pub(super) async fn live(store: &dyn Storage) {
    store.prepare(&[TABLE]).await.unwrap();
    for (project, first) in [(PROJECT, 0_u128), (OTHER_PROJECT, 100)] {
        for number in first + 1..first + 8 {
            let sample = Sample {
                tags: vec!["vip".to_owned(), format!("t{number}")],
                plan: Some("gold".to_owned()),
                size: Some(number as f64),
                score: Some(0.1 * number as f64),
                seen_at: Some(at(9)),
                hidden: number % 4 == 3,
                global_key: Some(format!("g{number}")),
                phone: Some(format!("+55119{number:08}")),
                ..Sample::named(&format!("Jos\u{e9} {number}")).with_key("", &format!("k{}", number - first))
            };
            let batch = Batch {
                events: vec![
                    event(project, number, 1, number * 10, "contact.created"),
                    event(project, number, 2, number * 10 + 1, "contact.updated"),
                ],
                ..snapshots([sample.insert(project, number)])
            };
            committed(store.commit(batch).await);
            let later = Sample { company: Some("Acme".to_owned()), ..sample.clone() };
            committed(store.commit(snapshots([later.update(&sample, project, number, 2)])).await);
        }
        let kept =
            (first + 1..first + 5).map(|number| Erasure::Baseline(super::baselines::baseline(project, number, 2)));
        committed(store.commit(Batch { erasures: kept.collect(), ..Batch::default() }).await);
        let writes = (1..=4).map(|number| ConsumerWrite::Create(consumer(project, &format!("c{number}"))));
        committed(store.commit(Batch { consumers: writes.collect(), ..Batch::default() }).await);
        fail_some(store, project).await;
        let secrets = (1..=2).flat_map(|revision| [1, 2].map(|number| secret(project, first + number, revision)));
        committed(store.commit(Batch { secrets: secrets.collect(), ..Batch::default() }).await);
    }
    work(store).await;
    for number in 0..5 {
        let record = IdempotencyRecord {
            scope: id(number % 2),
            key: format!("once {number}"),
            command: "contacts.create".to_owned(),
            request_hash: [u8::try_from(number).unwrap(); 32],
            result: r#"{"id": 1}"#.to_owned(),
            expires_at: at(100),
        };
        committed(store.commit(Batch { idempotency: Some(record), ..Batch::default() }).await);
    }
}

/// A consumer with dead letters, one that was reset, a paused one and one with a lease.
async fn fail_some(store: &dyn Storage, project: ProjectId) {
    let claimed = store.claim_consumer(project, "c1", id(77), at(0), at(50)).await.unwrap().unwrap();
    let progress = |seq: u64| ConsumerProgress {
        project_id: project,
        name: "c1".to_owned(),
        lease_token: claimed.lease_token,
        checkpoint: seq,
        attempts: 2,
        next_attempt_at: Some(at(40)),
        last_error: Some("no \u{1F600} today".to_owned()),
        release: false,
        lease_until: None,
        letters: vec![DeadLetter {
            event_id: id(u128::from(seq)),
            seq,
            attempts: 7,
            error: "no".to_owned(),
            failed_at: at(5),
            retrying: false,
            stream: Some(contact(1)),
            waits_until: Some(at(50)),
            is_held: true,
        }],
        resolved: None,
        out_seq: None,
    };
    for seq in 1..=5 {
        store.update_consumer(&progress(seq)).await.unwrap();
    }
    let name = |name: &str| name.to_owned();
    let changes = vec![
        ConsumerWrite::RetryDeadLetters { project_id: project, name: name("c1"), event_ids: vec![id(3)] },
        ConsumerWrite::SetStatus { project_id: project, name: name("c2"), status: ConsumerStatus::Paused },
        ConsumerWrite::Reset { project_id: project, name: name("c3"), checkpoint: 1 },
    ];
    committed(store.commit(Batch { consumers: changes, ..Batch::default() }).await);
}

/// Jobs of every state, some of them in lines.
async fn work(store: &dyn Storage) {
    let jobs = [
        ordered(1, "a", JobState::Scheduled),
        ordered(2, "a", JobState::Scheduled),
        ordered(3, "b", JobState::Scheduled),
        ordered(4, "b", JobState::Parked),
        ordered(5, "b", JobState::Scheduled),
        job(6, 6),
        job(7, 7),
        job(8, 8),
        job(9, 500),
    ];
    let writes = jobs.into_iter().map(JobWrite::Enqueue).collect();
    committed(store.commit(Batch { jobs: writes, ..Batch::default() }).await);
    let claimed = store.claim_jobs(due("timer", at(20), at(60), 10)).await.unwrap();
    let finish = |number: u128, state: JobState| {
        let job = claimed.iter().find(|job| job.id == id(number)).unwrap();
        JobWrite::Finish {
            project_id: PROJECT,
            id: job.id,
            lease_token: job.lease_token,
            state,
            run_at: Some(at(30)),
            attempt: job.attempt,
            error: Some("it failed".to_owned()),
            result: Some(r#"{"n":1}"#.to_owned()),
            history: AttemptRecord::failed(job, at(21), JobErrorClass::Timeout, "t\u{e9}\0o", Some(503)).join(&[]),
            at: at(21),
        }
    };
    // 1 and 3 run on, each in front of its line.
    let ends = vec![
        finish(6, JobState::Succeeded),
        finish(7, JobState::Dead),
        finish(8, JobState::Scheduled),
        JobWrite::CancelJob { project_id: PROJECT, id: id(9), at: at(22) },
    ];
    committed(store.commit(Batch { jobs: ends, ..Batch::default() }).await);
}

pub(super) async fn dump(store: &dyn Storage, section: Section) -> Vec<String> {
    let (mut rows, mut next) = (Vec::new(), None::<String>);
    loop {
        let page = store.rows(section, next.as_deref(), PAGE).await.unwrap();
        assert!(page.rows.len() <= PAGE);
        rows.extend(page.rows.into_iter().map(shown));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(store.count_rows(section).await.unwrap(), rows.len() as u64);
    rows.sort();
    rows
}

fn shown(row: StoredRow) -> String {
    match row {
        // What an adapter counts, and leases, are no part of a copy.
        StoredRow::Consumer(consumer) => {
            let free = ConsumerRecord {
                retrying: 0,
                letters: 0,
                waits_until: None,
                lease_token: 0,
                lease_owner: None,
                lease_until: None,
                out_seq: None,
                lapsed: false,
                ..consumer
            };
            format!("{free:?}")
        }
        StoredRow::Secret(record) => format!("{record:?} {}", record.sealed),
        row => format!("{row:?}"),
    }
}

/// What every read of the port says.
async fn reads(store: &dyn Storage) -> Vec<String> {
    let mut found = Vec::new();
    let find = Find {
        filter: Filter::everything(),
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: 50,
        include_hidden: true,
        with_total: true,
    };
    for scope in [Scope::Project(PROJECT), Scope::Project(OTHER_PROJECT), Scope::Installation] {
        let all = EventQuery { limit: 100, ..EventQuery::default() };
        found.push(format!("{:?}", store.events(scope, &all).await.unwrap()));
        let about =
            EventQuery { subject: Some(contact(2)), stream: Some(contact(2)), limit: 9, ..EventQuery::default() };
        found.push(format!("{:?}", store.events(scope, &about).await.unwrap()));
        found.push(format!("{:?}", store.scan(scope, Kind::Contact, None, 50).await.unwrap()));
        found.push(format!("{:?}", store.find(scope, Kind::Contact, &find).await.unwrap()));
        let tagged = Filter::eq("name", FieldKind::Text, "jose 2");
        found.push(format!("{:?}", store.find(scope, Kind::Contact, &Find { filter: tagged, ..find.clone() }).await));
        found.push(format!("{:?}", store.search(scope, Kind::Contact, "jos", 50).await.unwrap()));
        let mut keys = store.find_keys(scope, "contact.phone", &[KeyRef { scope: "", key: "k2" }]).await.unwrap();
        keys.sort_by_key(|key| key.id);
        found.push(format!("{keys:?}"));
        let global = [KeyRef { scope: "", key: "g2" }];
        found.push(format!("{:?}", store.find_holders(scope, Kind::Contact, "contact.email", &global).await.unwrap()));
        found.push(format!("{:?}", store.jobs(scope, &JobQuery { limit: 50, ..JobQuery::default() }).await.unwrap()));
        let consumers = store.consumers(scope).await.unwrap().into_iter();
        let free = consumers.map(|consumer| ConsumerRecord {
            lease_token: 0,
            lease_owner: None,
            lease_until: None,
            out_seq: None,
            lapsed: false,
            ..consumer
        });
        found.push(format!("{:?}", free.collect::<Vec<_>>()));
    }
    for project in [PROJECT, OTHER_PROJECT] {
        found.push(format!("{}", store.head(project).await.unwrap()));
        let letters = DeadLetterQuery { limit: 50, ..DeadLetterQuery::default() };
        found.push(format!("{:?}", store.dead_letters(project, "c1", &letters).await.unwrap()));
        found.push(format!("{:?}", store.secret(project, id(1), None).await.unwrap().map(|secret| secret.sealed)));
    }
    found.push(format!("{:?}", store.heads().await.unwrap()));
    found.push(format!("{:?}", store.idempotent(id(1), "once 1", at(0)).await.unwrap()));
    found.push(format!("{:?}", store.next_due("timer").await.unwrap()));
    found
}

async fn copied(source: &dyn Storage, target: &dyn Storage) -> Result<CopyReport> {
    copy_tables(source, target, &[TABLE], PAGE, &mut |_| ControlFlow::Continue(())).await
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorCode {
    result.unwrap_err().code()
}

async fn assert_same(one: &dyn Storage, other: &dyn Storage) {
    for section in SECTIONS {
        assert_eq!(dump(one, section).await, dump(other, section).await, "{section:?}");
    }
    assert_eq!(reads(one).await, reads(other).await);
}

pub async fn a_copy_is_the_store(place: &dyn Place) {
    let store = place.open().await;
    let source = MemoryStorage::new();
    live(&source).await;
    let report = copied(&source, &*store).await.unwrap();
    assert_same(&source, &*store).await;
    assert_eq!(report.copied, report.rows);
    for section in SECTIONS {
        let rows = dump(&source, section).await.len();
        assert!(rows > PAGE || section == Section::Heads, "{section:?} has one page of {rows}");
        let counted = report.sections.iter().find(|counted| counted.section == section.name()).unwrap();
        assert_eq!(counted.rows, rows as u64);
    }

    let back = MemoryStorage::new();
    let again = copied(&*store, &back).await.unwrap();
    assert_same(&*store, &back).await;
    assert_eq!(
        (report.log_hash, report.state_hash, report.rest_hash),
        (again.log_hash, again.state_hash, again.rest_hash)
    );
}

/// The numbers go on, keys are held, lines of jobs run in turn, and what ran on when it was copied runs again.
pub async fn a_copy_lives_on(place: &dyn Place) {
    let store = place.open().await;
    let source = MemoryStorage::new();
    live(&source).await;
    copied(&source, &*store).await.unwrap();

    let before = store.events(Scope::Installation, &EventQuery { limit: 100, ..EventQuery::default() }).await.unwrap();
    committed(store.commit(events([event(PROJECT, 1, 3, 5_000, "contact.updated")])).await);
    assert_eq!(store.head(PROJECT).await.unwrap(), 15);
    let query = EventQuery { after: before.last().unwrap().position, limit: 9, ..EventQuery::default() };
    let after = store.events(Scope::Installation, &query).await.unwrap();
    assert_eq!(after.iter().map(|event| event.id).collect::<Vec<_>>(), [id(5_000)]);

    let taken = Sample::named("Eve").with_key("", "k2").insert(PROJECT, 50);
    assert!(store.commit(snapshots([taken])).await.is_err());
    let free = Sample::named("Eve").with_key("", "k9").insert(PROJECT, 50);
    committed(store.commit(snapshots([free])).await);

    let ids = |jobs: Vec<JobRecord>| jobs.into_iter().map(|job| job.id.as_u128()).collect::<Vec<_>>();
    assert_eq!(ids(store.claim_jobs(due("timer", at(59), at(90), 10)).await.unwrap()), [8]);
    assert_eq!(
        ids(store.claim_jobs(due("timer", at(60), at(90), 10)).await.unwrap()),
        [3, 1],
        "a copy keeps priorities"
    );
    assert!(store.claim_consumer(PROJECT, "c3", id(1), at(0), at(9)).await.unwrap().is_some());
    assert!(store.claim_consumer(PROJECT, "c2", id(1), at(0), at(9)).await.unwrap().is_none());
    assert!(store.claim_consumer(PROJECT, "c1", id(1), at(0), at(9)).await.unwrap().is_some());
}

/// Broken off after every possible step, it goes on where it was, and writes no row twice.
pub async fn a_copy_goes_on_where_it_was(place: &dyn Place) {
    let store = place.open().await;
    let source = MemoryStorage::new();
    live(&source).await;
    let (mut runs, mut written) = (0, 0);
    let report = loop {
        let mut pages = 0;
        let mut listener = |progress: &CopyProgress| {
            pages += 1;
            written = written.max(progress.done);
            let is_enough = pages == 3 && progress.phase == CopyPhase::Copying;
            if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match copy_tables(&source, &*store, &[TABLE], PAGE, &mut listener).await {
            Ok(report) => break report,
            Err(error) => assert_eq!(error.code(), ErrorCode::Cancelled),
        }
        assert!(store.copy_note().await.unwrap().is_some());
        runs += 1;
    };
    assert!(runs > 5, "it was broken off {runs} times");
    assert!(report.copied < 9, "the last run wrote {} rows", report.copied);
    assert_eq!(store.copy_note().await.unwrap(), None);
    assert_same(&source, &*store).await;
}

pub async fn a_copy_twice_is_a_copy(place: &dyn Place) {
    let store = place.open().await;
    let source = MemoryStorage::new();
    live(&source).await;
    let first = copied(&source, &*store).await.unwrap();
    let second = copied(&source, &*store).await.unwrap();
    assert_eq!(second, CopyReport { copied: 0, ..first });
    assert_same(&source, &*store).await;

    committed(source.commit(events([event(PROJECT, 1, 3, 5_000, "contact.updated")])).await);
    assert_eq!(code(copied(&source, &*store).await), ErrorCode::TargetNotEmpty);
    committed(store.commit(events([event(PROJECT, 1, 3, 5_001, "contact.updated")])).await);
    assert_eq!(code(copied(&source, &*store).await), ErrorCode::TargetNotEmpty);
    assert_eq!(store.head(PROJECT).await.unwrap(), 15);
}

pub async fn a_target_of_another_source_is_refused(place: &dyn Place) {
    let store = place.open().await;
    let (source, other) = (MemoryStorage::new(), MemoryStorage::new());
    live(&source).await;
    other.prepare(&[TABLE]).await.unwrap();
    committed(other.commit(events([event(PROJECT, 1, 1, 9_999, "contact.created")])).await);
    let broken_off = copy_tables(&source, &*store, &[TABLE], PAGE, &mut |_| ControlFlow::Break(())).await;
    assert_eq!(code(broken_off), ErrorCode::Cancelled);
    assert_eq!(code(copied(&other, &*store).await), ErrorCode::TargetNotEmpty);
    assert_eq!(code(copied(&*store, &MemoryStorage::new()).await), ErrorCode::CopyUnfinished);
    copied(&source, &*store).await.unwrap();
    assert_same(&source, &*store).await;
}

/// It says so, and the next run copies what changed.
pub async fn a_source_that_changes_is_noticed(place: &dyn Place) {
    let store = place.open().await;
    let source = MemoryStorage::new();
    live(&source).await;
    let mut is_done = false;
    let mut listener = |progress: &CopyProgress| {
        if !is_done && progress.phase == CopyPhase::CheckingSource {
            is_done = true;
            let batch = Batch {
                events: vec![event(PROJECT, 1, 3, 5_000, "contact.updated")],
                jobs: vec![JobWrite::CancelJob { project_id: PROJECT, id: id(1), at: at(30) }],
                ..snapshots([Sample::named("Eve").with_key("", "k9").insert(PROJECT, 50)])
            };
            committed(block_on(source.commit(batch)));
            let change =
                ConsumerWrite::SetStatus { project_id: PROJECT, name: "c3".to_owned(), status: ConsumerStatus::Paused };
            committed(block_on(source.commit(Batch { consumers: vec![change], ..Batch::default() })));
        }
        ControlFlow::Continue(())
    };
    let changed = copy_tables(&source, &*store, &[TABLE], PAGE, &mut listener).await;
    assert_eq!(code(changed), ErrorCode::SourceChanged);
    let report = copied(&source, &*store).await.unwrap();
    assert!(report.copied < report.rows, "what had not changed was copied again");
    assert_same(&source, &*store).await;
}

/// What somebody puts into the target meanwhile is found, and not kept.
pub async fn a_target_that_differs_is_noticed(place: &dyn Place) {
    let store = place.open().await;
    let source = MemoryStorage::new();
    live(&source).await;
    let mut is_done = false;
    let mut listener = |progress: &CopyProgress| {
        if !is_done && progress.phase == CopyPhase::CheckingTarget {
            is_done = true;
            committed(block_on(store.commit(snapshots([Sample::named("Eve").insert(PROJECT, 50)]))));
        }
        ControlFlow::Continue(())
    };
    let differs = copy_tables(&source, &*store, &[TABLE], PAGE, &mut listener).await;
    assert_eq!(code(differs), ErrorCode::CopyMismatch);
    copied(&source, &*store).await.unwrap();
    assert_same(&source, &*store).await;
}

/// Of two copies into one store one goes on, and a step is written whole or not at all.
pub async fn a_step_needs_the_note_it_knows(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let step = |known: Option<&str>, note: Option<&str>, number: u64| CopyStep {
        known: known.map(str::to_owned),
        rows: vec![StoredRow::Head { project_id: ProjectId::from_uuid(id(number.into())), head: number, first_seq: 1 }],
        note: note.map(str::to_owned),
        ..CopyStep::default()
    };
    store.copy_step(step(None, Some("a"), 1)).await.unwrap();
    assert_eq!(code(store.copy_step(step(None, Some("b"), 2)).await), ErrorCode::StoreLocked);
    assert_eq!(code(store.copy_step(step(Some("b"), None, 2)).await), ErrorCode::StoreLocked);
    assert_eq!(store.copy_note().await.unwrap().as_deref(), Some("a"));
    assert_eq!(store.count_rows(Section::Heads).await.unwrap(), 1);
    store.copy_step(step(Some("a"), Some("c"), 2)).await.unwrap();

    let broken = StoredRow::Snapshot(crate::storage::SnapshotRow {
        project_id: PROJECT,
        kind: Kind::Contact,
        id: id(1),
        revision: 1,
        version: 1,
        schema: 1,
        created_at: at(0),
        updated_at: at(0),
        state: "{".to_owned(),
    });
    let mut refused = step(Some("c"), Some("d"), 3);
    refused.rows.push(broken);
    assert!(store.copy_step(refused).await.is_err());
    assert_eq!(store.copy_note().await.unwrap().as_deref(), Some("c"));
    let emptied = CopyStep { emptied: vec![Section::Heads], ..step(Some("c"), None, 4) };
    store.copy_step(emptied).await.unwrap();
    assert_eq!(store.count_rows(Section::Heads).await.unwrap(), 1);
    assert_eq!(store.copy_note().await.unwrap(), None);
    assert_eq!(code(store.copy_step(step(Some("c"), None, 5)).await), ErrorCode::StoreLocked);
}
