//! Events that go for good, and the states that are kept to fold from.

use super::*;
use crate::kernel::{ErrorCode, Kind, ProjectId, Subject};
use crate::storage::{Baseline, Batch, CommitError, Erasure, EventQuery, EventRemoval, Scope, Snapshot};

/// The state of a contact as it was at a number.
pub(super) fn baseline(project: ProjectId, number: u128, seq: u64) -> Baseline {
    let state = format!(r#"{{"name":"Jose {number}","about":"{}","seq":{seq}}}"#, id(1_000 + number));
    Baseline {
        kind: Kind::Contact,
        snapshot: Snapshot { project_id: project, id: id(number), revision: seq + 1, schema: 3, state },
        seq,
        recorded_at: at(40),
        is_redacted: number.is_multiple_of(2),
    }
}

fn keeping(baselines: impl IntoIterator<Item = Baseline>) -> Batch {
    Batch { erasures: baselines.into_iter().map(Erasure::Baseline).collect(), ..Batch::default() }
}

fn removing(project_id: ProjectId, seqs: &[u64], first_seq: Option<u64>) -> Batch {
    let removal = EventRemoval { project_id, seqs: seqs.to_vec(), first_seq };
    Batch { erasures: vec![Erasure::Events(removal)], ..Batch::default() }
}

async fn seqs(store: &dyn Storage, project: ProjectId, query: EventQuery) -> Vec<u64> {
    let found = store.events(Scope::Project(project), &EventQuery { limit: 100, ..query }).await.unwrap();
    found.iter().map(|event| event.seq).collect()
}

pub async fn a_baseline_is_kept_and_replaced(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let ours = [1, 2, 3].map(|number| baseline(PROJECT, number, 5));
    committed(store.commit(keeping(ours.clone())).await);
    committed(store.commit(keeping([baseline(OTHER_PROJECT, 1, 5)])).await);
    let asked = [contact(1), contact(3), contact(9), Subject::new(Kind::Message, id(2))];
    let sorted = |mut found: Vec<Baseline>| {
        found.sort_by_key(|baseline| (baseline.snapshot.project_id, baseline.snapshot.id));
        found
    };
    assert_eq!(sorted(store.baselines(PROJECT, &asked).await.unwrap()), [ours[0].clone(), ours[2].clone()]);
    assert_eq!(store.baselines(OTHER_PROJECT, &asked).await.unwrap().len(), 1);
    assert!(store.baselines(PROJECT, &[]).await.unwrap().is_empty());

    let later = baseline(PROJECT, 1, 8);
    committed(store.commit(keeping([later.clone()])).await);
    assert_eq!(store.baselines(PROJECT, &asked[..1]).await.unwrap(), [later]);
}

pub async fn baselines_are_walked_by_what_they_say(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    committed(store.commit(keeping((1..=5).map(|number| baseline(PROJECT, number, 5)))).await);
    committed(store.commit(keeping([baseline(OTHER_PROJECT, 7, 5)])).await);
    let ids = |found: Vec<Baseline>| found.iter().map(|one| one.snapshot.id).collect::<Vec<_>>();
    let first = store.scan_baselines(PROJECT, None, None, 2).await.unwrap();
    assert_eq!(ids(first), [id(1), id(2)]);
    assert_eq!(ids(store.scan_baselines(PROJECT, None, Some(contact(2)), 9).await.unwrap()), [id(3), id(4), id(5)]);
    let named = id(1_004).to_string();
    assert_eq!(ids(store.scan_baselines(PROJECT, Some(&named), None, 9).await.unwrap()), [id(4)]);
    assert!(store.scan_baselines(PROJECT, Some(&named), Some(contact(4)), 9).await.unwrap().is_empty());
    assert!(store.scan_baselines(OTHER_PROJECT, Some(&named), None, 9).await.unwrap().is_empty());
}

pub async fn removed_events_are_gone_and_their_numbers_with_them(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let ours = (1..=4).map(|number| event(PROJECT, 1, number, number.into(), "contact.updated"));
    committed(store.commit(events(ours)).await);
    committed(store.commit(events([event(OTHER_PROJECT, 1, 1, 10, "contact.updated")])).await);
    let last = store.events(Scope::Installation, &EventQuery { limit: 9, ..EventQuery::default() }).await.unwrap();
    let last = last.iter().map(|event| event.position).max().unwrap();

    committed(store.commit(removing(PROJECT, &[1, 4, 99], None)).await);
    let about = |query: EventQuery| seqs(&*store, PROJECT, query);
    assert_eq!(about(EventQuery::default()).await, [2, 3]);
    assert_eq!(about(EventQuery { subject: Some(contact(1)), ..EventQuery::default() }).await, [2, 3]);
    assert_eq!(about(EventQuery { stream: Some(contact(1)), ..EventQuery::default() }).await, [2, 3]);
    assert!(about(EventQuery { ids: vec![id(4)], ..EventQuery::default() }).await.is_empty());
    assert_eq!(seqs(&*store, OTHER_PROJECT, EventQuery::default()).await, [1], "another project keeps its own");
    assert_eq!(store.head(PROJECT).await.unwrap(), 4);

    // Case 9 of the event log.
    let next = committed(store.commit(events([event(PROJECT, 1, 5, 20, "contact.updated")])).await);
    assert_eq!(next.heads, [(PROJECT, 5)], "a number is not given again");
    let newest = EventQuery { backward: true, limit: 1, ..EventQuery::default() };
    assert!(store.events(Scope::Installation, &newest).await.unwrap()[0].position > last);
    // Its number in the stream is free, as it is of no event.
    committed(store.commit(events([event(PROJECT, 1, 1, 21, "contact.updated")])).await);
}

pub async fn a_log_says_from_where_it_is_whole(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    assert_eq!(store.first_seq(PROJECT).await.unwrap(), 1);
    committed(store.commit(events((1..=4).map(|one| event(PROJECT, 1, one, one.into(), "contact.updated")))).await);
    assert_eq!(store.first_seq(PROJECT).await.unwrap(), 1);
    committed(store.commit(removing(PROJECT, &[1], None)).await);
    assert_eq!(store.first_seq(PROJECT).await.unwrap(), 1, "noise does not count");
    committed(store.commit(removing(PROJECT, &[2], Some(3))).await);
    committed(store.commit(removing(PROJECT, &[], Some(2))).await);
    assert_eq!(store.first_seq(PROJECT).await.unwrap(), 3, "it never goes back");
    assert_eq!(store.first_seq(OTHER_PROJECT).await.unwrap(), 1);
}

pub async fn a_refused_batch_removes_nothing(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    committed(store.commit(events([event(PROJECT, 1, 1, 1, "contact.created")])).await);
    let mut batch = events([event(PROJECT, 2, 1, 1, "contact.created")]);
    batch.erasures = removing(PROJECT, &[1], Some(2)).erasures;
    batch.erasures.push(Erasure::Baseline(baseline(PROJECT, 1, 1)));
    let refused = store.commit(batch).await;
    assert!(matches!(refused, Err(CommitError::Store(error)) if error.code() == ErrorCode::EventIdConflict));
    assert_eq!(seqs(&*store, PROJECT, EventQuery::default()).await, [1]);
    assert_eq!(store.first_seq(PROJECT).await.unwrap(), 1);
    assert!(store.baselines(PROJECT, &[contact(1)]).await.unwrap().is_empty());
}
