//! A removed snapshot leaves nothing behind, and a removal that comes too late changes nothing.

use super::*;
use crate::kernel::{Kind, ProjectId};
use crate::storage::{Batch, CommitError, FieldKind, Filter, KeyRef, Scope, SnapshotRemoval};

const SCOPE: Scope = Scope::Project(PROJECT);

async fn open(place: &dyn Place) -> Arc<dyn Storage> {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    store
}

/// The removal of a sample at a revision.
fn removal(sample: &Sample, project: ProjectId, number: u128, revision: u64) -> SnapshotRemoval {
    let (kind, id, keys) = (Kind::Contact, id(number), sample.index().keys);
    SnapshotRemoval { project_id: project, kind, id, loaded_revision: revision, keys }
}

fn removing(removals: impl IntoIterator<Item = SnapshotRemoval>) -> Batch {
    Batch { removals: removals.into_iter().collect(), ..Batch::default() }
}

fn rich(name: &str) -> Sample {
    let global_key = Some(format!("{name}@b.c"));
    let sample = Sample { tags: vec!["vip".into()], cities: vec!["Recife".into()], global_key, ..Sample::named(name) };
    sample.with_key("", name)
}

async fn holders(store: &dyn Storage, key: &str) -> usize {
    store.find_keys(SCOPE, "contact.phone", &[KeyRef { scope: "", key }]).await.unwrap().len()
}

/// How many are found by a tag, by a column and by a word.
async fn found(store: &dyn Storage, scope: Scope, name: &str) -> (u64, u64, usize) {
    let tagged = serde_json::json!({"field": "tags", "op": "contains", "value": "vip"});
    let tagged: crate::storage::FilterExpression = serde_json::from_value(tagged).unwrap();
    let tagged = tagged.check(&fields(), at(0)).unwrap();
    let named = Filter::eq("name", FieldKind::Text, name);
    let tagged = store.count(scope, Kind::Contact, &tagged, true).await.unwrap();
    let named = store.count(scope, Kind::Contact, &named, true).await.unwrap();
    (tagged, named, store.search(scope, Kind::Contact, name, 10).await.unwrap().len())
}

pub async fn a_removed_snapshot_is_gone_with_all_that_is_derived(place: &dyn Place) {
    let store = open(place).await;
    let (ana, bia) = (rich("ana"), rich("bia"));
    fill(&*store, PROJECT, &[ana.clone(), bia.clone()]).await;
    committed(store.commit(removing([removal(&ana, PROJECT, 1, 1)])).await);
    assert!(store.get(SCOPE, Kind::Contact, &[id(1)]).await.unwrap().is_empty());
    assert_eq!((holders(&*store, "ana").await, holders(&*store, "bia").await), (0, 1));
    assert_eq!(found(&*store, SCOPE, "ana").await, (1, 0, 0));
    assert_eq!(found(&*store, SCOPE, "bia").await, (1, 1, 1));
    let left = store.scan(Scope::Installation, Kind::Contact, None, 10).await.unwrap();
    assert_eq!(left.iter().map(|snapshot| snapshot.id).collect::<Vec<_>>(), [id(2)]);
    // Both of its keys are free for others.
    committed(store.commit(snapshots([ana.insert(PROJECT, 3)])).await);
}

pub async fn a_stale_removal_changes_nothing(place: &dyn Place) {
    let store = open(place).await;
    let (before, after) = (rich("ana"), rich("bia"));
    fill(&*store, PROJECT, std::slice::from_ref(&before)).await;
    committed(store.commit(snapshots([after.update(&before, PROJECT, 1, 2)])).await);
    for (number, revision) in [(1, 1), (1, 3), (2, 1)] {
        let mut batch = removing([removal(&before, PROJECT, number, revision)]);
        batch.snapshots = vec![Sample::named("new").insert(PROJECT, 9)];
        assert_eq!(store.commit(batch).await, Err(CommitError::Stale(contact(number))), "{number} at {revision}");
    }
    assert_eq!(found(&*store, SCOPE, "bia").await, (1, 1, 1));
    assert!(store.get(SCOPE, Kind::Contact, &[id(9)]).await.unwrap().is_empty());
    committed(store.commit(removing([removal(&after, PROJECT, 1, 2)])).await);
    let again = store.commit(removing([removal(&after, PROJECT, 1, 2)])).await;
    assert_eq!(again, Err(CommitError::Stale(contact(1))));
    // Nobody can change what is gone, in the same commit or later.
    let late = store.commit(snapshots([before.update(&after, PROJECT, 1, 3)])).await;
    assert_eq!(late, Err(CommitError::Stale(contact(1))));
    committed(store.commit(snapshots([before.insert(PROJECT, 5)])).await);
    let mut both = removing([removal(&before, PROJECT, 5, 1)]);
    both.snapshots = vec![after.update(&before, PROJECT, 5, 2)];
    assert_eq!(store.commit(both).await, Err(CommitError::Stale(contact(5))));
    assert_eq!(store.get(SCOPE, Kind::Contact, &[id(5)]).await.unwrap()[0].revision, 1);
}

pub async fn a_removal_stays_in_its_project(place: &dyn Place) {
    let store = open(place).await;
    let sample = Sample { global_key: None, ..rich("ana") };
    fill(&*store, PROJECT, std::slice::from_ref(&sample)).await;
    fill(&*store, OTHER_PROJECT, std::slice::from_ref(&sample)).await;
    committed(store.commit(removing([removal(&sample, PROJECT, 1, 1)])).await);
    let other = Scope::Project(OTHER_PROJECT);
    assert_eq!(store.get(other, Kind::Contact, &[id(1)]).await.unwrap().len(), 1);
    assert_eq!(found(&*store, other, "ana").await, (1, 1, 1));
    let key = [KeyRef { scope: "", key: "ana" }];
    assert_eq!(store.find_keys(other, "contact.phone", &key).await.unwrap().len(), 1);
    let foreign = store.commit(removing([removal(&sample, PROJECT, 1, 1)])).await;
    assert_eq!(foreign, Err(CommitError::Stale(contact(1))));
    assert_eq!(found(&*store, other, "ana").await, (1, 1, 1));
}

pub async fn a_key_passes_from_what_is_removed(place: &dyn Place) {
    let store = open(place).await;
    let (holder, other) = (rich("ana"), Sample::named("bia"));
    fill(&*store, PROJECT, &[holder.clone(), other.clone()]).await;
    let mut batch = removing([removal(&holder, PROJECT, 1, 1)]);
    batch.snapshots = vec![holder.update(&other, PROJECT, 2, 2)];
    committed(store.commit(batch).await);
    let owner = store.find_keys(SCOPE, "contact.phone", &[KeyRef { scope: "", key: "ana" }]).await.unwrap();
    assert_eq!(owner[0].id, id(2));
}

pub async fn what_is_removed_may_be_written_anew(place: &dyn Place) {
    let store = open(place).await;
    let (before, after) = (rich("ana"), rich("bia"));
    fill(&*store, PROJECT, std::slice::from_ref(&before)).await;
    let mut batch = removing([removal(&before, PROJECT, 1, 1)]);
    batch.snapshots = vec![after.insert(PROJECT, 1)];
    committed(store.commit(batch).await);
    assert_eq!((found(&*store, SCOPE, "ana").await, found(&*store, SCOPE, "bia").await), ((1, 0, 0), (1, 1, 1)));
    assert_eq!((holders(&*store, "ana").await, holders(&*store, "bia").await), (0, 1));
}

pub async fn many_are_removed_at_once(place: &dyn Place) {
    let store = open(place).await;
    let samples: Vec<Sample> = (1..=1_200).map(|number| rich(&format!("n{number}"))).collect();
    fill(&*store, PROJECT, &samples).await;
    let removals = samples.iter().zip(1..).take(1_000).map(|(sample, number)| removal(sample, PROJECT, number, 1));
    committed(store.commit(removing(removals)).await);
    let everything = Filter::everything();
    assert_eq!(store.count(SCOPE, Kind::Contact, &everything, true).await.unwrap(), 200);
    assert_eq!((holders(&*store, "n1000").await, holders(&*store, "n1001").await), (0, 1));
}

/// Stores may number their rows, and use a number again.
pub async fn a_row_that_is_used_again_has_no_past(place: &dyn Place) {
    let store = open(place).await;
    let sample = rich("ana");
    fill(&*store, PROJECT, std::slice::from_ref(&sample)).await;
    committed(store.commit(removing([removal(&sample, PROJECT, 1, 1)])).await);
    committed(store.commit(snapshots([Sample::named("bia").insert(PROJECT, 2)])).await);
    assert_eq!(found(&*store, SCOPE, "ana").await, (0, 0, 0));
    assert_eq!(found(&*store, SCOPE, "bia").await, (0, 1, 1));
}
