//! Snapshots come back as they were written, or nothing of a batch is there.

use super::*;
use crate::kernel::{Kind, Timestamp};
use crate::storage::{
    Batch, CommitError, ConsumerWrite, EventQuery, FieldKind, Filter, IdempotencyRecord, IndexChange, JobQuery,
    JobState, JobWrite, KeyRef, Scope, SnapshotRemoval,
};
use uuid::Uuid;

const SCOPE: Scope = Scope::Project(PROJECT);

async fn open(place: &dyn Place) -> Arc<dyn Storage> {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    store
}

pub async fn get_finds_what_was_written(place: &dyn Place) {
    let store = open(place).await;
    let sample = Sample { tags: vec!["vip".into()], score: Some(1.5), ..Sample::named("Ana") };
    fill(&*store, PROJECT, std::slice::from_ref(&sample)).await;
    let found = store.get(SCOPE, Kind::Contact, &[id(1), id(2), id(1)]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].project_id, found[0].id, found[0].revision, found[0].schema), (PROJECT, id(1), 1, 1));
    assert_eq!(read(&found[0].state).unwrap(), sample);
    assert!(store.get(SCOPE, Kind::Contact, &[]).await.unwrap().is_empty());
}

pub async fn many_ids_are_found_at_once(place: &dyn Place) {
    let store = open(place).await;
    let samples: Vec<Sample> = (1..=700).map(|number| Sample::named(&format!("n{number}"))).collect();
    fill(&*store, PROJECT, &samples).await;
    let ids: Vec<Uuid> = (1..=800).map(id).collect();
    assert_eq!(store.get(SCOPE, Kind::Contact, &ids).await.unwrap().len(), 700);
}

pub async fn a_stale_write_changes_nothing(place: &dyn Place) {
    let store = open(place).await;
    let (one, two) = (Sample::named("one"), Sample::named("two"));
    fill(&*store, PROJECT, std::slice::from_ref(&one)).await;
    committed(store.commit(snapshots([two.update(&one, PROJECT, 1, 2)])).await);
    let late = Sample::named("late");
    let refused = store.commit(snapshots([late.update(&one, PROJECT, 1, 2)])).await;
    assert_eq!(refused, Err(CommitError::Stale(contact(1))));
    let refused = store.commit(snapshots([late.insert(PROJECT, 1)])).await;
    assert_eq!(refused, Err(CommitError::Stale(contact(1))));
    let refused = store.commit(snapshots([late.update(&one, PROJECT, 9, 2)])).await;
    assert_eq!(refused, Err(CommitError::Stale(contact(9))));
    let found = store.get(SCOPE, Kind::Contact, &[id(1)]).await.unwrap();
    assert_eq!((found[0].revision, found[0].schema, read(&found[0].state).unwrap()), (2, 2, two));
}

pub async fn an_update_replaces_the_index(place: &dyn Place) {
    let store = open(place).await;
    let before = Sample { tags: vec!["old".into()], company: Some("Acme".into()), ..Sample::named("Ana") };
    fill(&*store, PROJECT, std::slice::from_ref(&before)).await;
    let after = Sample { tags: vec!["new".into()], score: Some(7.0), ..Sample::named("Bia") };
    committed(store.commit(snapshots([after.update(&before, PROJECT, 1, 2)])).await);
    let found = |filter: serde_json::Value| {
        let filter = serde_json::from_value::<crate::storage::FilterExpression>(filter).unwrap();
        let filter = filter.check(&fields(), at(0)).unwrap();
        let store = store.clone();
        async move { store.count(SCOPE, Kind::Contact, &filter, false).await.unwrap() }
    };
    let leaf = |field: &str, value: serde_json::Value| serde_json::json!({"field": field, "op": "eq", "value": value});
    for (field, old) in [("tags", "old"), ("company", "Acme"), ("name", "Ana")] {
        assert_eq!(found(leaf(field, old.into())).await, 0, "{field}");
    }
    for (field, new) in [("tags", "new".into()), ("name", "Bia".into()), ("score", 7.into()), ("version", 2.into())] {
        assert_eq!(found(leaf(field, new)).await, 1, "{field}");
    }
}

pub async fn an_update_may_leave_columns_alone(place: &dyn Place) {
    let store = open(place).await;
    let sample = Sample { score: Some(3.0), ..Sample::named("Ana") };
    fill(&*store, PROJECT, std::slice::from_ref(&sample)).await;
    let mut write = sample.update(&sample, PROJECT, 1, 2);
    write.changed = IndexChange::default();
    committed(store.commit(snapshots([write])).await);
    let filter = Filter::eq("name", FieldKind::Text, "ana");
    assert_eq!(store.count(SCOPE, Kind::Contact, &filter, false).await.unwrap(), 1);
    assert_eq!(store.get(SCOPE, Kind::Contact, &[id(1)]).await.unwrap()[0].revision, 2);
}

pub async fn scan_walks_in_id_order(place: &dyn Place) {
    let store = open(place).await;
    let samples: Vec<Sample> =
        (1..=25).map(|number| Sample { hidden: number % 5 == 0, ..Sample::named("x") }).collect();
    fill(&*store, PROJECT, &samples).await;
    fill(&*store, OTHER_PROJECT, &samples[..3]).await;
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let batch = store.scan(SCOPE, Kind::Contact, after, 10).await.unwrap();
        let Some(last) = batch.last() else { break };
        after = Some(last.id);
        seen.extend(batch.iter().map(|snapshot| snapshot.id));
    }
    assert_eq!(seen, (1..=25).map(id).collect::<Vec<_>>());
    assert_eq!(store.scan(Scope::Installation, Kind::Contact, None, 100).await.unwrap().len(), 28);
}

pub async fn other_projects_are_invisible(place: &dyn Place) {
    let store = open(place).await;
    let sample = Sample { tags: vec!["vip".into()], ..Sample::named("Ana").with_key("", "1") };
    committed(store.commit(snapshots([sample.insert(OTHER_PROJECT, 1)])).await);
    committed(store.commit(events([event(OTHER_PROJECT, 1, 1, 1, "contact.created")])).await);
    let mut foreign = job(1, 0);
    foreign.project_id = crate::storage::ProjectIdOrNil(OTHER_PROJECT);
    committed(store.commit(Batch { jobs: vec![JobWrite::Enqueue(foreign)], ..Batch::default() }).await);

    let everything = Filter::everything();
    assert!(store.get(SCOPE, Kind::Contact, &[id(1)]).await.unwrap().is_empty());
    let key = [KeyRef { scope: "", key: "1" }];
    assert!(store.find_keys(SCOPE, "contact.phone", &key).await.unwrap().is_empty());
    assert_eq!(store.count(SCOPE, Kind::Contact, &everything, true).await.unwrap(), 0);
    assert!(store.scan(SCOPE, Kind::Contact, None, 10).await.unwrap().is_empty());
    assert!(store.search(SCOPE, Kind::Contact, "ana", 10).await.unwrap().is_empty());
    assert!(store.job(SCOPE, id(1)).await.unwrap().is_none());
    let all_jobs = JobQuery { limit: 10, ..JobQuery::default() };
    assert!(store.jobs(SCOPE, &all_jobs).await.unwrap().is_empty());
    for query in [
        EventQuery { limit: 10, ..EventQuery::default() },
        EventQuery { limit: 10, subject: Some(contact(1)), ..EventQuery::default() },
        EventQuery { limit: 10, stream: Some(contact(1)), ..EventQuery::default() },
        EventQuery { limit: 10, ids: vec![id(1)], ..EventQuery::default() },
        EventQuery { limit: 10, correlation_id: Some(id(1)), ..EventQuery::default() },
    ] {
        assert!(store.events(SCOPE, &query).await.unwrap().is_empty(), "{query:?}");
        assert_eq!(store.events(Scope::Installation, &query).await.unwrap().len(), 1, "{query:?}");
    }
    assert_eq!(store.head(PROJECT).await.unwrap(), 0);

    let all = Scope::Installation;
    assert_eq!(store.get(all, Kind::Contact, &[id(1)]).await.unwrap()[0].project_id, OTHER_PROJECT);
    assert_eq!(store.find_keys(all, "contact.phone", &key).await.unwrap()[0].project_id, OTHER_PROJECT);
    assert_eq!(store.count(all, Kind::Contact, &everything, true).await.unwrap(), 1);
    assert_eq!(store.search(all, Kind::Contact, "ana", 10).await.unwrap().len(), 1);
    assert_eq!(store.jobs(all, &all_jobs).await.unwrap().len(), 1);
}

/// Every part of a batch that can be refused, with all the other parts around it.
pub async fn a_refused_batch_leaves_nothing(place: &dyn Place) {
    let store = open(place).await;
    let holder = Sample::named("holder").with_key("", "taken");
    fill(&*store, PROJECT, std::slice::from_ref(&holder)).await;
    committed(store.commit(events([event(PROJECT, 1, 1, 1, "contact.created")])).await);
    let record = |key: &str| IdempotencyRecord {
        scope: PROJECT.uuid(),
        key: key.to_owned(),
        command: "contacts.create".to_owned(),
        request_hash: [7; 32],
        result: "{}".to_owned(),
        expires_at: at(1_000),
    };
    committed(store.commit(Batch { idempotency: Some(record("used")), ..Batch::default() }).await);

    committed(store.commit(snapshots([Sample::named("gone").insert(PROJECT, 4)])).await);
    let removal = |revision| SnapshotRemoval {
        project_id: PROJECT,
        kind: Kind::Contact,
        id: id(4),
        loaded_revision: revision,
        keys: Vec::new(),
    };
    let whole = || Batch {
        removals: vec![removal(1)],
        snapshots: vec![Sample::named("new").with_key("", "free").insert(PROJECT, 2)],
        events: vec![event(PROJECT, 2, 1, 2, "contact.created")],
        jobs: vec![JobWrite::Enqueue(job(1, 0))],
        secrets: vec![super::secrets::put(PROJECT, 7, 1)],
        idempotency: Some(record("fresh")),
        consumer: None,
        consumers: vec![ConsumerWrite::Create(super::consumers::consumer("made"))],
        erasures: Vec::new(),
    };
    committed(store.commit(Batch { secrets: vec![super::secrets::put(PROJECT, 8, 1)], ..Batch::default() }).await);
    let mut refused = Vec::new();
    let mut batch = whole();
    batch.snapshots.push(holder.insert(PROJECT, 1));
    refused.push((batch, CommitError::Stale(contact(1))));
    let mut batch = whole();
    batch.snapshots.push(Sample::named("thief").with_key("", "taken").insert(PROJECT, 3));
    let key = holder.index().keys[0].clone();
    refused.push((batch, CommitError::Taken { key, holder: contact(1) }));
    let mut batch = whole();
    batch.events.push(event(PROJECT, 3, 1, 1, "contact.created"));
    refused.push((batch, CommitError::Store(crate::kernel::ErrorCode::EventIdConflict.into())));
    let mut batch = whole();
    batch.events.push(event(PROJECT, 1, 1, 9, "contact.created"));
    refused.push((batch, CommitError::Stale(contact(1))));
    let mut batch = whole();
    batch.idempotency = Some(record("used"));
    refused.push((batch, CommitError::KeyUsed));
    let mut batch = whole();
    batch.jobs.push(finish(99, 1, JobState::Succeeded));
    refused.push((batch, CommitError::LeaseLost));

    let mut batch = whole();
    batch.secrets.push(super::secrets::put(PROJECT, 8, 1));
    refused.push((batch, CommitError::Stale(contact(8))));
    let mut batch = whole();
    batch.removals = vec![removal(2)];
    refused.push((batch, CommitError::Stale(contact(4))));

    for (batch, error) in refused {
        assert_eq!(store.commit(batch).await, Err(error));
        assert!(store.get(SCOPE, Kind::Contact, &[id(2)]).await.unwrap().is_empty());
        assert_eq!(store.search(SCOPE, Kind::Contact, "gone", 10).await.unwrap().len(), 1);
        let key = [KeyRef { scope: "", key: "free" }];
        assert!(store.find_keys(SCOPE, "contact.phone", &key).await.unwrap().is_empty());
        assert_eq!(store.head(PROJECT).await.unwrap(), 1);
        assert!(store.job(SCOPE, id(1)).await.unwrap().is_none());
        assert!(store.idempotent(PROJECT.uuid(), "fresh", at(0)).await.unwrap().is_none());
        assert!(store.consumers(SCOPE).await.unwrap().is_empty());
        assert!(store.secret(PROJECT, id(7), None).await.unwrap().is_none());
        assert!(store.search(SCOPE, Kind::Contact, "new", 10).await.unwrap().is_empty());
    }
    committed(store.commit(whole()).await);
    assert_eq!(store.head(PROJECT).await.unwrap(), 2);
}

pub(super) fn finish(number: u128, token: u64, state: JobState) -> JobWrite {
    finish_at(number, token, state, None)
}

pub(super) fn finish_at(number: u128, token: u64, state: JobState, run_at: Option<Timestamp>) -> JobWrite {
    JobWrite::Finish {
        project_id: PROJECT,
        id: id(number),
        lease_token: token,
        state,
        run_at,
        attempt: 1,
        error: None,
        result: None,
        history: Vec::new(),
        at: at(100),
    }
}
