//! Opening, closing, preparing, and what outlives them.

use super::*;
use crate::kernel::{ErrorCode, Kind, Result};
use crate::storage::{
    Batch, Column, CommitError, EventQuery, FieldKind, Filter, IdempotencyRecord, Index, KeyRef, RowSecurityState,
    Scope, StoreKind, Table,
};
use std::task::{Context, Poll, Waker};

const SCOPE: Scope = Scope::Project(PROJECT);

/// What a later version of the program declares: one column more, another index, and names without their last letter.
const LATER_COLUMNS: &[Column] = &[
    Column::new("name", FieldKind::Text).sortable(),
    Column::new("company", FieldKind::Text).sortable(),
    Column::new("name_length", FieldKind::Number).sortable(),
];

fn later_index(state: &str) -> Result<Index> {
    let sample = read(state)?;
    let mut index = Index::default();
    index.column("name", sample.name.clone());
    index.column("company", sample.company.clone());
    index.column("name_length", sample.name.as_ref().map(|name| name.len() as f64));
    index.unique("contact.name", "", sample.name.clone().unwrap_or_default(), ErrorCode::Conflict);
    index.search("name", 1.0, format!("mister {}", sample.name.unwrap_or_default()));
    Ok(index)
}

const LATER: Table = Table {
    kind: Kind::Contact,
    columns: LATER_COLUMNS,
    sets: &[],
    custom: None,
    indexes: &[&["name_length"], &["company"]],
    index: later_index,
    version: 2,
};

fn record(key: &str, expires: i64) -> IdempotencyRecord {
    IdempotencyRecord {
        scope: PROJECT.uuid(),
        key: key.to_owned(),
        command: "contacts.create".to_owned(),
        request_hash: [7; 32],
        result: r#"{"id":1}"#.to_owned(),
        expires_at: at(expires),
    }
}

pub async fn data_survives_reopening(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let sample = Sample { tags: vec!["vip".into()], ..Sample::named("Ana").with_key("", "k") };
    let batch = Batch {
        events: vec![event(PROJECT, 1, 1, 1, "contact.created")],
        jobs: vec![crate::storage::JobWrite::Enqueue(job(1, 5))],
        idempotency: Some(record("once", 100)),
        ..snapshots([sample.insert(PROJECT, 1)])
    };
    committed(store.commit(batch).await);
    store.close().await.unwrap();
    drop(store);

    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let found = store.get(SCOPE, Kind::Contact, &[id(1)]).await.unwrap();
    assert_eq!(read(&found[0].state).unwrap(), sample);
    let key = [KeyRef { scope: "", key: "k" }];
    assert_eq!(store.find_keys(SCOPE, "contact.phone", &key).await.unwrap()[0].id, id(1));
    assert_eq!(store.search(SCOPE, Kind::Contact, "ana", 5).await.unwrap().len(), 1);
    let all = EventQuery { limit: 10, ..EventQuery::default() };
    assert_eq!(store.events(SCOPE, &all).await.unwrap().len(), 1);
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(5)));
    assert_eq!(store.idempotent(PROJECT.uuid(), "once", at(0)).await.unwrap(), Some(record("once", 100)));
    committed(store.commit(events([event(PROJECT, 1, 2, 2, "contact.updated")])).await);
    assert_eq!(store.head(PROJECT).await.unwrap(), 2);
}

/// More rows than one step of filling takes.
async fn written_before(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let samples: Vec<Sample> = (1..=1203).map(|number| Sample::named(&"x".repeat(number % 7 + 1))).collect();
    fill(&*store, PROJECT, &samples).await;
    fill(&*store, OTHER_PROJECT, &[Sample::named("Ana")]).await;
    store.close().await.unwrap();
}

pub async fn a_new_column_is_filled(place: &dyn Place) {
    written_before(place).await;
    let store = place.open().await;
    store.prepare(&[LATER]).await.unwrap();
    let three = Filter::eq("name_length", FieldKind::Number, 3.0);
    let expected = (1..=1203).filter(|number| number % 7 + 1 == 3).count() as u64;
    assert_eq!(store.count(SCOPE, Kind::Contact, &three, false).await.unwrap(), expected);
    assert_eq!(store.count(Scope::Installation, Kind::Contact, &three, false).await.unwrap(), expected + 1);
}

pub async fn a_new_version_fills_again(place: &dyn Place) {
    written_before(place).await;
    let store = place.open().await;
    store.prepare(&[LATER]).await.unwrap();
    let other = Scope::Project(OTHER_PROJECT);
    assert_eq!(store.search(other, Kind::Contact, "mister ana", 5).await.unwrap().len(), 1);
    let key = [KeyRef { scope: "", key: "Ana" }];
    assert_eq!(store.find_keys(other, "contact.name", &key).await.unwrap().len(), 1);
    let found = store.get(other, Kind::Contact, &[id(1)]).await.unwrap();
    assert_eq!((found[0].revision, read(&found[0].state).unwrap()), (1, Sample::named("Ana")));
}

pub async fn preparing_twice_changes_nothing(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    fill(&*store, PROJECT, &[Sample::named("Ana")]).await;
    store.prepare(&[TABLE]).await.unwrap();
    let again = place.open().await;
    again.prepare(&[TABLE]).await.unwrap();
    let filter = Filter::eq("name", FieldKind::Text, "ana");
    assert_eq!(again.count(SCOPE, Kind::Contact, &filter, false).await.unwrap(), 1);
    const RESERVED: &[Column] = &[Column::new("state", FieldKind::Text)];
    let double = Table { columns: RESERVED, ..TABLE };
    assert_eq!(store.prepare(&[double]).await.unwrap_err().code(), ErrorCode::Internal);
}

pub async fn a_closed_store_refuses(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    fill(&*store, PROJECT, &[Sample::named("Ana")]).await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let closed = ErrorCode::Closed;
    assert_eq!(store.get(SCOPE, Kind::Contact, &[id(1)]).await.unwrap_err().code(), closed);
    assert_eq!(store.head(PROJECT).await.unwrap_err().code(), closed);
    assert_eq!(store.next_due("timer").await.unwrap_err().code(), closed);
    assert_eq!(store.consumers(SCOPE).await.unwrap_err().code(), closed);
    let refused = store.commit(snapshots([Sample::named("Bia").insert(PROJECT, 2)])).await;
    assert!(matches!(refused, Err(CommitError::Store(error)) if error.code() == closed));
}

pub async fn idempotency_keys_hold_until_they_expire(place: &dyn Place) {
    let store = place.open().await;
    let batch = |expires: i64| Batch { idempotency: Some(record("k", expires)), ..Batch::default() };
    committed(store.commit(batch(100)).await);
    assert_eq!(store.idempotent(PROJECT.uuid(), "k", at(99)).await.unwrap(), Some(record("k", 100)));
    assert_eq!(store.idempotent(OTHER_PROJECT.uuid(), "k", at(99)).await.unwrap(), None);
    assert_eq!(store.idempotent(PROJECT.uuid(), "k", at(100)).await.unwrap(), None);
    committed(store.commit(batch(200)).await);
    assert_eq!(store.idempotent(PROJECT.uuid(), "k", at(100)).await.unwrap(), Some(record("k", 200)));
    let purge = crate::storage::JobWrite::Purge { finished_before: at(201), dead_before: at(0) };
    committed(store.commit(Batch { jobs: vec![purge], ..Batch::default() }).await);
    assert_eq!(store.idempotent(PROJECT.uuid(), "k", at(100)).await.unwrap(), None);
}

pub async fn idempotency_keys_refuse_a_second_commit(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let batch = |number: u128| Batch {
        idempotency: Some(record("k", 100)),
        ..snapshots([Sample::named("x").insert(PROJECT, number)])
    };
    committed(store.commit(batch(1)).await);
    assert_eq!(store.commit(batch(2)).await, Err(CommitError::KeyUsed));
    assert!(store.get(SCOPE, Kind::Contact, &[id(2)]).await.unwrap().is_empty());
}

pub async fn two_handles_see_each_other(place: &dyn Place) {
    let (one, two) = (place.open().await, place.open().await);
    one.prepare(&[TABLE]).await.unwrap();
    two.prepare(&[TABLE]).await.unwrap();
    fill(&*one, PROJECT, &[Sample::named("Ana")]).await;
    assert_eq!(two.get(SCOPE, Kind::Contact, &[id(1)]).await.unwrap().len(), 1);
    let refused = two.commit(snapshots([Sample::named("Bia").insert(PROJECT, 1)])).await;
    assert_eq!(refused, Err(CommitError::Stale(contact(1))));
    one.close().await.unwrap();
    assert_eq!(two.get(SCOPE, Kind::Contact, &[id(1)]).await.unwrap().len(), 1);
}

/// Whoever stops waiting must not leave the store stuck.
pub async fn futures_may_be_dropped(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4u128 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..25u128 {
                    let number = writer * 1000 + round + 1;
                    let mut commit = store.commit(snapshots([Sample::named("x").insert(PROJECT, number)]));
                    let polled = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    assert!(!matches!(polled, Poll::Ready(Err(_))));
                }
            });
        }
    });
    committed(store.commit(snapshots([Sample::named("last").insert(PROJECT, 9999)])).await);
    assert_eq!(store.get(SCOPE, Kind::Contact, &[id(9999)]).await.unwrap().len(), 1);
}

/// What a store says of itself fits together.
pub async fn it_says_how_it_is_guarded(place: &dyn Place) {
    let store = place.open().await;
    let found = store.security().await.unwrap();
    let has_roles = found.row_security != RowSecurityState::Unavailable;
    assert_eq!((found.role.is_some(), found.kind == StoreKind::Postgresql), (has_roles, has_roles));
    assert_eq!(found.row_security == RowSecurityState::NotForced, !found.open_tables.is_empty());
    assert_ne!(found.open_to_others, Some(true), "a new file is its owner's alone");
    store.close().await.unwrap();
    assert_eq!(store.security().await.unwrap_err().code(), ErrorCode::Closed);
}
