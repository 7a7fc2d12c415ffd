//! Sealed values: kept with their batch or not at all, one value for each revision, gone when shredded.

use super::*;
use crate::kernel::{ErrorCode, ProjectId};
use crate::storage::{Batch, CommitError, Scope, SecretQuery, SecretRecord, SecretWrite};
use std::sync::Barrier;

fn record(project_id: ProjectId, number: u128, revision: u32) -> SecretRecord {
    let sealed = format!("v1.key.{number}.{revision}");
    let (owner, field) = (contact(number), "api_key".into());
    SecretRecord { project_id, id: id(number), revision, owner, field, key_id: "key".into(), sealed, created_at: at(7) }
}

pub(super) fn put(project: ProjectId, number: u128, revision: u32) -> SecretWrite {
    SecretWrite::Put(record(project, number, revision))
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

fn under(key: &str, number: u128, revision: u32) -> SecretRecord {
    SecretRecord { key_id: key.into(), sealed: format!("v1.{key}.{number}"), ..record(PROJECT, number, revision) }
}

fn reseal(from: &str, to: &str, number: u128) -> SecretWrite {
    SecretWrite::Reseal { record: under(to, number, 1), replaces: from.into() }
}

fn newest(number: u128, revision: u32) -> SecretWrite {
    SecretWrite::Newest { project_id: PROJECT, id: id(number), revision, owner: contact(9) }
}

pub async fn secrets_are_walked_by_their_key(place: &dyn Place) {
    let store = open(place).await;
    let elsewhere = SecretRecord { key_id: "p1".into(), ..record(OTHER_PROJECT, 1, 1) };
    let mut writes: Vec<SecretWrite> = (1..=5).map(|number| SecretWrite::Put(under("p1", number, 1))).collect();
    writes.extend([
        SecretWrite::Put(under("p1", 1, 2)),
        SecretWrite::Put(under("p2", 6, 1)),
        SecretWrite::Put(elsewhere),
    ]);
    committed(store.commit(batch(writes)).await);
    for (scope, expected) in [
        (Scope::Project(PROJECT), vec![(1, 1), (1, 2), (2, 1), (3, 1), (4, 1), (5, 1)]),
        (Scope::Project(OTHER_PROJECT), vec![(1, 1)]),
    ] {
        let mut query = SecretQuery { key_id: "p1".into(), after: None, limit: 2 };
        let mut found = Vec::new();
        loop {
            let page = store.secrets_under(scope, &query).await.unwrap();
            let Some(last) = page.last() else { break };
            query.after = Some((last.project_id, last.id, last.revision));
            found.extend(page.iter().map(|record| (record.id.as_u128(), record.revision)));
        }
        let expected: Vec<_> =
            expected.into_iter().map(|(number, revision)| (id(number).as_u128(), revision)).collect();
        assert_eq!(found, expected);
    }
    let all = SecretQuery { key_id: "p1".into(), after: None, limit: 100 };
    let found = store.secrets_under(Scope::Installation, &all).await.unwrap();
    assert_eq!(found.len(), 7);
    let of_projects: Vec<ProjectId> = found.iter().map(|record| record.project_id).collect();
    assert!(of_projects.is_sorted(), "in the order of projects");
    let none = SecretQuery { key_id: "p".into(), ..all };
    assert_eq!(store.secrets_under(Scope::Installation, &none).await.unwrap(), Vec::new());
}

pub async fn a_secret_is_sealed_anew_once(place: &dyn Place) {
    let store = open(place).await;
    committed(store.commit(batch([SecretWrite::Put(under("p1", 1, 1)), SecretWrite::Put(under("p1", 2, 1))])).await);
    committed(store.commit(batch([reseal("p1", "p2", 1)])).await);
    assert_eq!(store.secret(PROJECT, id(1), None).await.unwrap(), Some(under("p2", 1, 1)));
    let again = store.commit(batch([reseal("p1", "p2", 2), reseal("p1", "p3", 1)])).await;
    assert_eq!(again, Err(CommitError::Stale(contact(1))), "it is under another key");
    assert_eq!(
        store.secret(PROJECT, id(2), None).await.unwrap(),
        Some(under("p1", 2, 1)),
        "nothing of the batch is there"
    );
    assert_eq!(store.commit(batch([reseal("p1", "p2", 7)])).await, Err(CommitError::Stale(contact(7))), "it is gone");
}

pub async fn a_batch_may_rely_on_the_newest_revision(place: &dyn Place) {
    let store = open(place).await;
    committed(store.commit(batch([put(PROJECT, 1, 1)])).await);
    committed(store.commit(batch([newest(1, 1), put(PROJECT, 2, 1)])).await);
    committed(store.commit(batch([put(PROJECT, 1, 2)])).await);
    let late = store.commit(batch([newest(1, 1), put(PROJECT, 3, 1)])).await;
    assert_eq!(late, Err(CommitError::Stale(contact(9))));
    assert_eq!(store.secret(PROJECT, id(3), None).await.unwrap(), None);
    assert_eq!(store.commit(batch([newest(4, 1)])).await, Err(CommitError::Stale(contact(9))), "there is none");
    committed(store.commit(batch([put(PROJECT, 1, 3), newest(1, 3)])).await);
}

pub async fn racing_writers_rely_on_one_newest_revision(place: &dyn Place) {
    let store = open(place).await;
    committed(store.commit(batch([put(PROJECT, 1, 1)])).await);
    let old = SecretQuery { key_id: "old".into(), after: None, limit: 10 };
    let barrier = Barrier::new(7);
    let seen = std::thread::scope(|scope| {
        for number in 10..16 {
            let (store, barrier) = (&store, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let written = block_on(store.commit(batch([newest(1, 1), SecretWrite::Put(under("old", number, 1))])));
                assert!(matches!(written, Ok(_) | Err(CommitError::Stale(_))), "{written:?}");
            });
        }
        barrier.wait();
        committed(block_on(store.commit(batch([put(PROJECT, 1, 2)]))));
        block_on(store.secrets_under(Scope::Project(PROJECT), &old)).unwrap()
    });
    let all = store.secrets_under(Scope::Project(PROJECT), &old).await.unwrap();
    assert_eq!(all, seen, "nobody relied on the first revision once the second one was there");
}

pub async fn everything_of_a_project_is_shredded(place: &dyn Place) {
    let store = open(place).await;
    committed(store.commit(batch([put(PROJECT, 1, 1), put(PROJECT, 1, 2), put(PROJECT, 2, 1)])).await);
    committed(store.commit(batch([put(OTHER_PROJECT, 1, 1)])).await);
    committed(store.commit(batch([SecretWrite::ShredAll { project_id: PROJECT }, put(PROJECT, 2, 1)])).await);
    assert_eq!(store.secret(PROJECT, id(1), None).await.unwrap(), None);
    assert_eq!(store.secret(PROJECT, id(2), None).await.unwrap(), Some(record(PROJECT, 2, 1)));
    assert_eq!(store.secret(OTHER_PROJECT, id(1), None).await.unwrap(), Some(record(OTHER_PROJECT, 1, 1)));
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
