//! Sealed values: kept with their batch or not at all, one value for each revision, gone when shredded.

use super::*;
use crate::kernel::{ErrorCode, ProjectId};
use crate::storage::{Batch, CommitError, SecretRecord, SecretWrite};
use std::sync::Barrier;

fn record(project_id: ProjectId, number: u128, revision: u32) -> SecretRecord {
    let sealed = format!("v1.key.{number}.{revision}");
    SecretRecord { project_id, id: id(number), revision, key_id: "key".into(), sealed, created_at: at(7) }
}

pub(super) fn put(project: ProjectId, number: u128, revision: u32) -> SecretWrite {
    SecretWrite::Put { record: record(project, number, revision), owner: contact(number) }
}

fn shred(number: u128, revision: u32) -> SecretWrite {
    SecretWrite::Shred { project_id: PROJECT, id: id(number), revision }
}

fn batch(secrets: impl IntoIterator<Item = SecretWrite>) -> Batch {
    Batch { secrets: secrets.into_iter().collect(), ..Batch::default() }
}

async fn open(place: &dyn Place) -> Arc<dyn Storage> {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    store
}

pub async fn a_secret_comes_back_as_it_was_put(place: &dyn Place) {
    let store = open(place).await;
    committed(store.commit(batch([put(PROJECT, 1, 1), put(PROJECT, 1, 2), put(PROJECT, 2, 1)])).await);
    assert_eq!(store.secret(PROJECT, id(1), Some(1)).await.unwrap(), Some(record(PROJECT, 1, 1)));
    assert_eq!(store.secret(PROJECT, id(1), None).await.unwrap(), Some(record(PROJECT, 1, 2)), "the newest");
    assert_eq!(store.secret(PROJECT, id(1), Some(3)).await.unwrap(), None);
    assert_eq!(store.secret(PROJECT, id(3), None).await.unwrap(), None);
    assert_eq!(store.secret(OTHER_PROJECT, id(1), None).await.unwrap(), None);
    store.close().await.unwrap();
    assert_eq!(store.secret(PROJECT, id(1), None).await.unwrap_err().code(), ErrorCode::Closed);
}

pub async fn a_secret_belongs_to_its_batch(place: &dyn Place) {
    let store = open(place).await;
    let sample = Sample::named("Ana");
    fill(&*store, PROJECT, std::slice::from_ref(&sample)).await;
    let refused = Batch { secrets: vec![put(PROJECT, 1, 1)], ..snapshots([sample.insert(PROJECT, 1)]) };
    assert_eq!(store.commit(refused).await, Err(CommitError::Stale(contact(1))));
    assert_eq!(store.secret(PROJECT, id(1), None).await.unwrap(), None);
    let written = Batch { secrets: vec![put(PROJECT, 1, 1)], ..snapshots([sample.insert(PROJECT, 2)]) };
    committed(store.commit(written).await);
    assert_eq!(store.secret(PROJECT, id(1), None).await.unwrap(), Some(record(PROJECT, 1, 1)));
}

pub async fn a_revision_has_one_value(place: &dyn Place) {
    let store = open(place).await;
    committed(store.commit(batch([put(PROJECT, 1, 1)])).await);
    let refused = Batch { events: vec![event(PROJECT, 1, 1, 1, "contact.created")], ..batch([put(PROJECT, 1, 1)]) };
    assert_eq!(store.commit(refused).await, Err(CommitError::Stale(contact(1))));
    assert_eq!(store.head(PROJECT).await.unwrap(), 0, "nothing of the batch is there");
    let twice = store.commit(batch([put(PROJECT, 2, 1), put(PROJECT, 2, 1)])).await;
    assert_eq!(twice, Err(CommitError::Stale(contact(2))));
    committed(store.commit(batch([put(OTHER_PROJECT, 1, 1)])).await);
}

pub async fn shredded_revisions_are_gone(place: &dyn Place) {
    let store = open(place).await;
    committed(store.commit(batch([put(PROJECT, 1, 1), put(PROJECT, 1, 2), put(PROJECT, 2, 1)])).await);
    committed(store.commit(batch([shred(1, 1), put(PROJECT, 1, 3), shred(9, 9)])).await);
    assert_eq!(store.secret(PROJECT, id(1), Some(1)).await.unwrap(), None);
    assert_eq!(store.secret(PROJECT, id(1), Some(2)).await.unwrap(), Some(record(PROJECT, 1, 2)));
    committed(store.commit(batch([put(PROJECT, 1, 4), shred(1, 4)])).await);
    assert_eq!(store.secret(PROJECT, id(1), None).await.unwrap(), None);
    assert_eq!(store.secret(PROJECT, id(2), None).await.unwrap(), Some(record(PROJECT, 2, 1)));
    committed(store.commit(batch([put(PROJECT, 1, 1)])).await);
    committed(store.commit(batch([shred(1, 1), put(PROJECT, 1, 1)])).await);
    assert_eq!(store.secret(PROJECT, id(1), None).await.unwrap(), Some(record(PROJECT, 1, 1)));
}

pub async fn racing_writers_put_a_revision_once(place: &dyn Place) {
    let store = open(place).await;
    let barrier = Barrier::new(6);
    let won: usize = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    block_on(store.commit(batch([put(PROJECT, 1, 1)]))).is_ok()
                })
            })
            .collect();
        racers.into_iter().map(|racer| usize::from(racer.join().unwrap())).sum()
    });
    assert_eq!(won, 1);
}
