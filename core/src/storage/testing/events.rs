//! The log: dense numbers in commit order, and every way to read it.

use super::*;
use crate::kernel::{Kind, ProjectId, Subject};
use crate::storage::{CommitError, EventQuery, Scope};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

const SCOPE: Scope = Scope::Project(PROJECT);

fn all() -> EventQuery {
    EventQuery { limit: 1000, ..EventQuery::default() }
}

async fn seqs(store: &dyn Storage, query: EventQuery) -> Vec<u64> {
    store.events(SCOPE, &query).await.unwrap().iter().map(|event| event.seq).collect()
}

pub async fn events_are_numbered_densely(place: &dyn Place) {
    let store = place.open().await;
    let first =
        events([event(PROJECT, 1, 1, 1, "a.b"), event(OTHER_PROJECT, 2, 1, 2, "a.b"), event(PROJECT, 1, 2, 3, "a.b")]);
    let heads = committed(store.commit(first).await).heads;
    assert_eq!(heads, [(PROJECT, 2), (OTHER_PROJECT, 1)]);
    let heads = committed(store.commit(events([event(PROJECT, 1, 3, 4, "a.b")])).await).heads;
    assert_eq!(heads, [(PROJECT, 3)]);
    assert_eq!(seqs(&*store, all()).await, [1, 2, 3]);
    assert_eq!(store.head(PROJECT).await.unwrap(), 3);
    assert_eq!(store.heads().await.unwrap(), [(PROJECT, 3), (OTHER_PROJECT, 1)]);
    assert_eq!(store.head(ProjectId::SYSTEM).await.unwrap(), 0);
}

/// One writer less, however it ends.
struct Ended<'w>(&'w AtomicUsize);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub async fn case_23_racing_writers_leave_no_gap(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let barrier = Barrier::new(9);
    let writing = &AtomicUsize::new(8);
    std::thread::scope(|scope| {
        // Whoever reads meanwhile and has seen a number has seen everything below it. It reads until nobody writes any more, and
        // once again then.
        let (reader, gate) = (&store, &barrier);
        scope.spawn(move || {
            gate.wait();
            let mut seen = 0;
            let mut is_last = false;
            while !is_last {
                is_last = writing.load(Ordering::SeqCst) == 0;
                let found = block_on(reader.events(Scope::Project(PROJECT), &all())).unwrap();
                assert!(found.iter().map(|event| event.seq).eq(1..=found.len() as u64));
                assert!(found.len() >= seen);
                seen = found.len();
            }
        });
        for writer in 1..=8u128 {
            let (store, barrier) = (&store, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let _ended = Ended(writing);
                for round in 0..20u128 {
                    let number = writer * 1000 + round;
                    let project = if round % 3 == 0 { OTHER_PROJECT } else { PROJECT };
                    let mut batch = snapshots([Sample::named("x").insert(project, number)]);
                    batch.events =
                        vec![event(project, number, 1, number, "a.b"), event(project, number, 2, number + 500, "a.c")];
                    // Every fourth one is refused at its last event and must take no number.
                    let is_refused = round % 4 == 3;
                    batch.events.extend(is_refused.then(|| event(project, number, 3, writer * 1000, "a.d")));
                    assert_eq!(block_on(store.commit(batch)).is_err(), is_refused, "{round}");
                }
            });
        }
    });
    for project in [PROJECT, OTHER_PROJECT] {
        let found = store.events(Scope::Project(project), &all()).await.unwrap();
        let expected: Vec<u64> = (1..=found.len() as u64).collect();
        assert_eq!(found.iter().map(|event| event.seq).collect::<Vec<_>>(), expected);
        assert_eq!(store.head(project).await.unwrap(), found.len() as u64);
        for pair in found.chunks(2) {
            assert_eq!(pair[0].aggregate_id, pair[1].aggregate_id, "the events of one commit are neighbours");
        }
    }
    let positions: Vec<u64> =
        store.events(Scope::Installation, &all()).await.unwrap().iter().map(|event| event.position).collect();
    assert!(positions.windows(2).all(|pair| pair[0] < pair[1]));
}

pub async fn events_read_back_as_written(place: &dyn Place) {
    let store = place.open().await;
    let mut written = event(PROJECT, 1, 1, 1, "contact.created");
    written.causation_id = Some(id(9));
    written.metadata = Some(serde_json::value::RawValue::from_string(r#"{"ip":"::1"}"#.to_owned()).unwrap());
    written.subjects.push(Subject::new(Kind::Session, id(5)));
    let mut bare = event(ProjectId::SYSTEM, 1, 1, 2, "user.created");
    bare.command = None;
    committed(store.commit(events([written.clone(), bare.clone()])).await);
    (written.seq, written.position) = (1, 1);
    (bare.seq, bare.position) = (1, 2);
    let found = store.events(Scope::Installation, &all()).await.unwrap();
    let json = |event| serde_json::to_string(event).unwrap();
    assert_eq!(found.iter().map(json).collect::<Vec<_>>(), [json(&written), json(&bare)]);
    assert_eq!(store.events(Scope::Project(ProjectId::SYSTEM), &all()).await.unwrap().len(), 1);
}

pub async fn events_are_found_by_every_way(place: &dyn Place) {
    let store = place.open().await;
    let chat = Subject::new(Kind::Chat, id(7));
    let types = ["contact.created", "contact.tag_added", "message.received", "contact.created", "contactless.x"];
    let written = types.iter().enumerate().map(|(place, event_type)| {
        let number = place as u128 + 1;
        let mut event = event(PROJECT, number % 2 + 1, place as u64 / 2 + 1, number, event_type);
        if place >= 3 {
            event.subjects.push(chat);
            event.correlation_id = id(77);
        }
        event
    });
    committed(store.commit(events(written)).await);
    let query = |change: fn(&mut EventQuery)| {
        let mut query = all();
        change(&mut query);
        query
    };
    let expect = async |change: fn(&mut EventQuery), wanted: &[u64]| {
        let query = query(change);
        assert_eq!(seqs(&*store, query.clone()).await, wanted, "{query:?}");
        let positions = store.events(Scope::Installation, &query).await.unwrap();
        assert_eq!(positions.iter().map(|event| event.position).collect::<Vec<_>>(), wanted, "{query:?}");
    };
    expect(|query| query.after = 3, &[4, 5]).await;
    expect(|query| query.until = Some(2), &[1, 2]).await;
    expect(|query| query.limit = 2, &[1, 2]).await;
    expect(|query| (query.limit, query.backward) = (2, true), &[5, 4]).await;
    expect(|query| (query.after, query.backward) = (3, true), &[2, 1]).await;
    expect(|query| query.stream = Some(contact(2)), &[1, 3, 5]).await;
    expect(|query| (query.stream, query.after) = (Some(contact(2)), 1), &[3, 5]).await;
    expect(|query| (query.stream, query.backward) = (Some(contact(2)), true), &[5, 3, 1]).await;
    expect(|query| query.subject = Some(contact(1)), &[2, 4]).await;
    expect(|query| query.subject = Some(Subject::new(Kind::Chat, id(7))), &[4, 5]).await;
    expect(|query| query.subject = Some(Subject::new(Kind::Contact, id(7))), &[]).await;
    expect(|query| query.correlation_id = Some(id(77)), &[4, 5]).await;
    expect(|query| (query.correlation_id, query.after) = (Some(id(77)), 4), &[5]).await;
    expect(|query| query.ids = vec![id(2), id(5), id(99)], &[2, 5]).await;
    expect(|query| query.types = vec!["contact.created".into()], &[1, 4]).await;
    expect(|query| query.types = vec!["contact.*".into()], &[1, 2, 4]).await;
    expect(|query| query.types = vec!["message.received".into(), "contact.tag_added".into()], &[2, 3]).await;
    expect(|query| query.types = vec!["nothing".into(), "*".into()], &[1, 2, 3, 4, 5]).await;
    expect(|query| (query.types, query.after) = (vec!["contact.*".into()], 1), &[2, 4]).await;
    expect(
        |query| (query.types, query.subject) = (vec!["contact.created".into()], Some(Subject::new(Kind::Chat, id(7)))),
        &[4],
    )
    .await;
}

pub async fn positions_grow_over_all_projects(place: &dyn Place) {
    let store = place.open().await;
    for number in 1..=6u128 {
        let project = if number % 2 == 0 { PROJECT } else { OTHER_PROJECT };
        committed(store.commit(events([event(project, number, 1, number, "a.b")])).await);
    }
    let found = store.events(Scope::Installation, &EventQuery { after: 2, ..all() }).await.unwrap();
    assert_eq!(found.iter().map(|event| event.id).collect::<Vec<_>>(), [id(3), id(4), id(5), id(6)]);
}

pub async fn an_event_is_stored_once(place: &dyn Place) {
    let store = place.open().await;
    committed(store.commit(events([event(PROJECT, 1, 1, 1, "a.b")])).await);
    let refused = store.commit(events([event(PROJECT, 2, 1, 1, "a.b")])).await;
    assert_eq!(refused, Err(CommitError::Store(crate::kernel::ErrorCode::EventIdConflict.into())));
    assert_eq!(store.head(PROJECT).await.unwrap(), 1);
}

pub async fn a_stream_has_no_fork(place: &dyn Place) {
    let store = place.open().await;
    committed(store.commit(events([event(PROJECT, 1, 1, 1, "a.b")])).await);
    let refused = store.commit(events([event(PROJECT, 1, 1, 2, "a.b")])).await;
    assert_eq!(refused, Err(CommitError::Stale(contact(1))));
}
