//! Unique keys: one holder, whoever comes first.

use super::*;
use crate::kernel::Kind;
use crate::storage::{CommitError, KeyRef, Scope};
use std::sync::Barrier;

const SCOPE: Scope = Scope::Project(PROJECT);
const SPACE: &str = "contact.phone";

async fn open(place: &dyn Place) -> Arc<dyn Storage> {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    store
}

async fn holder(store: &dyn Storage, scope: &str, key: &str) -> Option<uuid::Uuid> {
    let found = store.find_keys(SCOPE, SPACE, &[KeyRef { scope, key }]).await.unwrap();
    assert!(found.iter().all(|owner| owner.kind == Kind::Contact && owner.scope == scope && owner.key == key));
    found.first().map(|owner| owner.id)
}

pub async fn a_key_has_one_holder(place: &dyn Place) {
    let store = open(place).await;
    let sample = Sample::named("Ana").with_key("", "5511987654321");
    fill(&*store, PROJECT, std::slice::from_ref(&sample)).await;
    let refused = store.commit(snapshots([sample.insert(PROJECT, 2)])).await;
    let key = sample.index().keys[0].clone();
    assert_eq!(refused, Err(CommitError::Taken { key, holder: contact(1) }));
    assert_eq!(holder(&*store, "", "5511987654321").await, Some(id(1)));
    // The other project knows nothing of it.
    committed(store.commit(snapshots([sample.insert(OTHER_PROJECT, 2)])).await);
    let asked = [KeyRef { scope: "", key: "5511987654321" }, KeyRef { scope: "", key: "1" }];
    assert_eq!(store.find_keys(SCOPE, SPACE, &asked).await.unwrap().len(), 1);
    assert_eq!(store.find_keys(Scope::Installation, SPACE, &asked).await.unwrap().len(), 2);
    assert!(store.find_keys(SCOPE, "contact.email", &asked).await.unwrap().is_empty());
}

pub async fn holders_come_with_their_snapshots(place: &dyn Place) {
    let store = open(place).await;
    let (first, hidden) = (Sample::named("a").with_key("", "k"), Sample { hidden: true, ..Sample::named("b") });
    let hidden = hidden.with_key("one", "k");
    fill(&*store, PROJECT, &[first.clone(), hidden]).await;
    committed(store.commit(snapshots([first.insert(OTHER_PROJECT, 2)])).await);
    let key = |scope, key| KeyRef { scope, key };
    let asked = [key("", "k"), key("one", "k"), key("", "k"), key("two", "k")];
    for scope in [SCOPE, Scope::Project(OTHER_PROJECT), Scope::Installation] {
        let mut found = store.find_holders(scope, Kind::Contact, SPACE, &asked).await.unwrap();
        let mut owners = store.find_keys(scope, SPACE, &asked).await.unwrap();
        found.sort_by_key(|holder| (holder.scope.clone(), holder.snapshot.id));
        owners.sort_by_key(|owner| (owner.scope.clone(), owner.id));
        let named: Vec<_> = found.iter().map(|holder| (&holder.scope, &holder.key, holder.snapshot.id)).collect();
        let expected: Vec<_> = owners.iter().map(|owner| (&owner.scope, &owner.key, owner.id)).collect();
        assert_eq!(named, expected);
        for holder in found {
            let project = Scope::Project(holder.snapshot.project_id);
            let snapshots = store.get(project, Kind::Contact, &[holder.snapshot.id]).await.unwrap();
            assert_eq!(snapshots, [holder.snapshot]);
        }
    }
    assert_eq!(store.find_holders(SCOPE, Kind::Contact, SPACE, &asked).await.unwrap().len(), 2);
    assert!(store.find_holders(SCOPE, Kind::Contact, "contact.email", &asked).await.unwrap().is_empty());
    assert!(store.find_holders(SCOPE, Kind::Contact, SPACE, &[]).await.unwrap().is_empty());
}

pub async fn a_key_changes_hands_in_one_commit(place: &dyn Place) {
    let store = open(place).await;
    let (with, without) = (Sample::named("x").with_key("", "k"), Sample::named("x"));
    fill(&*store, PROJECT, &[with.clone(), without.clone()]).await;
    let swap = [with.update(&without, PROJECT, 2, 2), without.update(&with, PROJECT, 1, 2)];
    committed(store.commit(snapshots(swap)).await);
    assert_eq!(holder(&*store, "", "k").await, Some(id(2)));
}

pub async fn a_released_key_is_free(place: &dyn Place) {
    let store = open(place).await;
    let (with, without) = (Sample::named("x").with_key("", "k"), Sample::named("x"));
    fill(&*store, PROJECT, std::slice::from_ref(&with)).await;
    committed(store.commit(snapshots([without.update(&with, PROJECT, 1, 2)])).await);
    assert_eq!(holder(&*store, "", "k").await, None);
    committed(store.commit(snapshots([with.insert(PROJECT, 2)])).await);
    committed(store.commit(snapshots([without.update(&with, PROJECT, 2, 2)])).await);
    committed(store.commit(snapshots([with.update(&without, PROJECT, 1, 3)])).await);
    assert_eq!(holder(&*store, "", "k").await, Some(id(1)));
}

pub async fn keys_are_scoped(place: &dyn Place) {
    let store = open(place).await;
    fill(&*store, PROJECT, &[Sample::named("a").with_key("one", "k"), Sample::named("b").with_key("two", "k")]).await;
    assert_eq!(holder(&*store, "one", "k").await, Some(id(1)));
    assert_eq!(holder(&*store, "two", "k").await, Some(id(2)));
    assert_eq!(holder(&*store, "", "k").await, None);
}

pub async fn a_global_key_is_unique_everywhere(place: &dyn Place) {
    let store = open(place).await;
    let sample = Sample { global_key: Some("a@b.c".into()), ..Sample::named("x") };
    fill(&*store, PROJECT, std::slice::from_ref(&sample)).await;
    let refused = store.commit(snapshots([sample.insert(OTHER_PROJECT, 2)])).await;
    assert!(matches!(refused, Err(CommitError::Taken { holder, .. }) if holder == contact(1)));
    let key = [KeyRef { scope: "", key: "a@b.c" }];
    assert_eq!(store.find_keys(SCOPE, "contact.email", &key).await.unwrap().len(), 1);
    let other = Scope::Project(OTHER_PROJECT);
    assert!(store.find_keys(other, "contact.email", &key).await.unwrap().is_empty());
}

pub async fn a_stale_write_is_told_before_a_taken_key(place: &dyn Place) {
    let store = open(place).await;
    let (with, without) = (Sample::named("x").with_key("", "k"), Sample::named("x"));
    fill(&*store, PROJECT, &[with.clone(), without.clone()]).await;
    let both = [with.insert(PROJECT, 3), with.update(&without, PROJECT, 2, 5)];
    assert_eq!(store.commit(snapshots(both)).await, Err(CommitError::Stale(contact(2))));
}

pub async fn racing_writers_share_a_key_once(place: &dyn Place) {
    let store = open(place).await;
    let barrier = Barrier::new(8);
    let won: usize = std::thread::scope(|scope| {
        let racers: Vec<_> = (1..=8u128)
            .map(|number| {
                let (store, barrier) = (&store, &barrier);
                scope.spawn(move || {
                    let mut won = 0;
                    for round in 0..10u128 {
                        let sample = Sample::named("x").with_key("", &round.to_string());
                        barrier.wait();
                        let batch = snapshots([sample.insert(PROJECT, round * 100 + number)]);
                        match block_on(store.commit(batch)) {
                            Ok(_) => won += 1,
                            Err(CommitError::Taken { .. }) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                    won
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert_eq!(won, 10);
    let everything = crate::storage::Filter::everything();
    assert_eq!(store.count(SCOPE, Kind::Contact, &everything, true).await.unwrap(), 10);
}
