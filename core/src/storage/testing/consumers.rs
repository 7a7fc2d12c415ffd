//! Consumers: a checkpoint that moves with its effect, a lease that one worker has.

use super::*;
use crate::kernel::{ErrorCode, Kind};
use crate::storage::{
    Batch, CommitError, ConsumerOrdering, ConsumerProgress, ConsumerRecord, ConsumerStatus, ConsumerWrite, DeadLetter,
    DeadLetterQuery, OnExhausted, ProjectIdOrNil, Scope,
};
use std::sync::Barrier;

pub(super) fn consumer(name: &str) -> ConsumerRecord {
    ConsumerRecord {
        project_id: ProjectIdOrNil(PROJECT),
        name: name.to_owned(),
        events: vec!["contact.*".to_owned()],
        max_attempts: 5,
        on_exhausted: OnExhausted::Park,
        ordering: ConsumerOrdering::Stream,
        batch_size: 7,
        handler_timeout: 45,
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
    }
}

fn progress(token: u64, checkpoint: u64) -> ConsumerProgress {
    ConsumerProgress {
        project_id: PROJECT,
        name: "one".to_owned(),
        lease_token: token,
        checkpoint,
        attempts: 0,
        next_attempt_at: None,
        last_error: None,
        release: false,
        lease_until: None,
        letters: Vec::new(),
        resolved: None,
        out_seq: None,
    }
}

async fn write(store: &dyn Storage, write: ConsumerWrite) {
    committed(store.commit(Batch { consumers: vec![write], ..Batch::default() }).await);
}

const ALL: DeadLetterQuery = DeadLetterQuery { after: 0, retrying: None, given_up: false, stream: None, limit: 9 };

async fn letters(store: &dyn Storage, query: DeadLetterQuery) -> Vec<DeadLetter> {
    store.dead_letters(PROJECT, "one", &query).await.unwrap()
}

async fn claim(store: &dyn Storage, now: i64, until: i64) -> Option<ConsumerRecord> {
    store.claim_consumer(PROJECT, "one", id(1), at(now), at(until)).await.unwrap()
}

pub async fn a_consumer_keeps_its_checkpoint(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.open_consumer(&consumer("one")).await.unwrap(), consumer("one"));
    let lease = claim(&*store, 0, 10).await.unwrap();
    store.update_consumer(&ConsumerProgress { release: true, ..progress(lease.lease_token, 7) }).await.unwrap();
    let changed = ConsumerRecord { events: vec!["*".to_owned()], max_attempts: 9, checkpoint: 3, ..consumer("one") };
    let reopened = store.open_consumer(&changed).await.unwrap();
    assert_eq!((reopened.checkpoint, reopened.max_attempts, reopened.events), (7, 9, vec!["*".to_owned()]));
    let stops = ConsumerRecord { on_exhausted: OnExhausted::Stop, ..consumer("three") };
    assert_eq!(store.open_consumer(&stops).await.unwrap(), stops);
    let drops = ConsumerRecord { on_exhausted: OnExhausted::Drop, max_attempts: 9, ..consumer("three") };
    assert_eq!(store.open_consumer(&drops).await.unwrap().on_exhausted, OnExhausted::Stop, "as it was made");
    write(&*store, ConsumerWrite::Delete { project_id: PROJECT, name: "three".to_owned() }).await;
    store.open_consumer(&consumer("two")).await.unwrap();
    let names = |found: Vec<ConsumerRecord>| found.into_iter().map(|consumer| consumer.name).collect::<Vec<_>>();
    assert_eq!(names(store.consumers(Scope::Project(PROJECT)).await.unwrap()), ["one", "two"]);
    assert!(store.consumers(Scope::Project(OTHER_PROJECT)).await.unwrap().is_empty());
    assert_eq!(store.consumers(Scope::Installation).await.unwrap().len(), 2);
    let delete = || ConsumerWrite::Delete { project_id: PROJECT, name: "one".to_owned() };
    write(&*store, delete()).await;
    write(&*store, delete()).await;
    assert_eq!(names(store.consumers(Scope::Project(PROJECT)).await.unwrap()), ["two"]);
    assert!(claim(&*store, 100, 110).await.is_none());
}

pub async fn a_lease_excludes_others(place: &dyn Place) {
    let store = place.open().await;
    store.open_consumer(&consumer("one")).await.unwrap();
    let lease = claim(&*store, 0, 10).await.unwrap();
    assert_eq!((lease.lease_token, lease.lease_owner, lease.lease_until), (1, Some(id(1)), Some(at(10))));
    assert!(claim(&*store, 9, 20).await.is_none());
    let extended = ConsumerProgress { lease_until: Some(at(30)), ..progress(1, 1) };
    store.update_consumer(&extended).await.unwrap();
    assert!(claim(&*store, 20, 40).await.is_none());
    store.update_consumer(&ConsumerProgress { release: true, ..progress(1, 2) }).await.unwrap();
    let again = claim(&*store, 20, 40).await.unwrap();
    assert_eq!((again.lease_token, again.checkpoint), (2, 2));
}

pub async fn an_expired_lease_is_taken_over(place: &dyn Place) {
    let store = place.open().await;
    store.open_consumer(&consumer("one")).await.unwrap();
    let slow = claim(&*store, 0, 10).await.unwrap();
    let fast = claim(&*store, 10, 20).await.unwrap();
    assert!(fast.lease_token > slow.lease_token);
    let refused = store.update_consumer(&progress(slow.lease_token, 5)).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::LeaseLost);
    store.update_consumer(&progress(fast.lease_token, 1)).await.unwrap();
    assert_eq!(store.consumers(Scope::Installation).await.unwrap()[0].checkpoint, 1);
}

pub async fn a_lapsed_lease_is_told(place: &dyn Place) {
    let store = place.open().await;
    store.open_consumer(&consumer("one")).await.unwrap();
    let seen = |lease: &ConsumerRecord| (lease.lapsed, lease.out_seq);
    let first = claim(&*store, 0, 10).await.unwrap();
    assert_eq!(seen(&first), (false, Some(0)), "events after the checkpoint are out");
    let out = |token, out_seq| ConsumerProgress { out_seq, ..progress(token, 1) };
    store.update_consumer(&out(first.lease_token, Some(7))).await.unwrap();
    let second = claim(&*store, 20, 30).await.unwrap();
    assert_eq!(seen(&second), (true, Some(7)), "the letter of whoever was lost");
    store.update_consumer(&out(second.lease_token, None)).await.unwrap();
    let third = claim(&*store, 30, 40).await.unwrap();
    assert_eq!(seen(&third), (false, Some(0)), "nothing was out");
    store.update_consumer(&ConsumerProgress { release: true, ..out(third.lease_token, Some(9)) }).await.unwrap();
    assert_eq!(store.consumers(Scope::Installation).await.unwrap()[0].out_seq, None);
    claim(&*store, 40, 50).await.unwrap();
    write(&*store, ConsumerWrite::Reset { project_id: PROJECT, name: "one".to_owned(), checkpoint: 0 }).await;
    assert_eq!(seen(&claim(&*store, 41, 50).await.unwrap()), (false, Some(0)), "nobody failed");
}

pub async fn a_failure_holds_back_until_its_time(place: &dyn Place) {
    let store = place.open().await;
    store.open_consumer(&consumer("one")).await.unwrap();
    let lease = claim(&*store, 0, 10).await.unwrap();
    let failed = ConsumerProgress {
        attempts: 1,
        next_attempt_at: Some(at(60)),
        last_error: Some("boom".to_owned()),
        release: true,
        ..progress(lease.lease_token, 0)
    };
    store.update_consumer(&failed).await.unwrap();
    assert!(claim(&*store, 59, 70).await.is_none());
    let lease = claim(&*store, 60, 70).await.unwrap();
    assert_eq!((lease.attempts, lease.last_error.as_deref()), (1, Some("boom")));
}

pub async fn progress_commits_with_its_effect(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    store.open_consumer(&consumer("one")).await.unwrap();
    let lease = claim(&*store, 0, 10).await.unwrap();
    let batch = |token: u64, number: u128| Batch {
        consumer: Some(progress(token, 4)),
        ..snapshots([Sample::named("x").insert(PROJECT, number)])
    };
    assert_eq!(store.commit(batch(lease.lease_token + 1, 1)).await, Err(CommitError::LeaseLost));
    let found = store.get(Scope::Project(PROJECT), Kind::Contact, &[id(1)]).await.unwrap();
    assert!(found.is_empty());
    committed(store.commit(batch(lease.lease_token, 1)).await);
    // A refused effect leaves the checkpoint where it was.
    let mut refused = batch(lease.lease_token, 1);
    refused.consumer = Some(progress(lease.lease_token, 9));
    assert_eq!(store.commit(refused).await, Err(CommitError::Stale(contact(1))));
    assert_eq!(store.consumers(Scope::Installation).await.unwrap()[0].checkpoint, 4);
}

fn letter(number: u128) -> DeadLetter {
    DeadLetter {
        event_id: id(number),
        seq: number as u64,
        attempts: 5,
        error: "boom".to_owned(),
        failed_at: at(5),
        retrying: false,
        stream: None,
        waits_until: None,
        is_held: false,
    }
}

/// A consumer that gave up on the events 1 to 3, and its lease.
async fn given_up(store: &dyn Storage) -> ConsumerRecord {
    store.open_consumer(&consumer("one")).await.unwrap();
    let lease = claim(store, 0, 10).await.unwrap();
    for number in [2, 1, 3] {
        let dead = ConsumerProgress { letters: vec![letter(number)], ..progress(lease.lease_token, number as u64) };
        store.update_consumer(&dead).await.unwrap();
    }
    lease
}

pub async fn dead_letters_are_kept_in_order(place: &dyn Place) {
    let store = place.open().await;
    given_up(&*store).await;
    assert_eq!(letters(&*store, DeadLetterQuery { limit: 2, ..ALL }).await, [letter(1), letter(2)]);
    assert_eq!(letters(&*store, DeadLetterQuery { after: 1, ..ALL }).await, [letter(2), letter(3)]);
    let (project_id, name) = (PROJECT, "one".to_owned());
    let event_ids = vec![id(1), id(9)];
    write(&*store, ConsumerWrite::DiscardDeadLetters { project_id, name: name.clone(), event_ids }).await;
    assert_eq!(letters(&*store, ALL).await, [letter(2), letter(3)]);
    assert!(store.dead_letters(OTHER_PROJECT, "one", &ALL).await.unwrap().is_empty());
    write(&*store, ConsumerWrite::Delete { project_id, name }).await;
    assert!(letters(&*store, ALL).await.is_empty());
}

pub async fn dead_letters_are_tried_again(place: &dyn Place) {
    let store = place.open().await;
    let lease = given_up(&*store).await;
    let failing = ConsumerProgress { next_attempt_at: Some(at(99)), ..progress(lease.lease_token, 3) };
    store.update_consumer(&ConsumerProgress { release: true, ..failing }).await.unwrap();
    assert!(claim(&*store, 50, 60).await.is_none());
    let retry = |event_ids| ConsumerWrite::RetryDeadLetters { project_id: PROJECT, name: "one".to_owned(), event_ids };
    write(&*store, retry(vec![id(3), id(2), id(9)])).await;
    let again = |number| DeadLetter { retrying: true, ..letter(number) };
    let retrying = |retrying| DeadLetterQuery { retrying: Some(retrying), ..ALL };
    assert_eq!(letters(&*store, retrying(true)).await, [again(2), again(3)]);
    assert_eq!(letters(&*store, retrying(false)).await, [letter(1)]);
    assert_eq!(store.consumers(Scope::Project(PROJECT)).await.unwrap()[0].retrying, 2);

    let lease = claim(&*store, 50, 60).await.expect("the failure holds nobody back any more");
    assert_eq!((lease.retrying, lease.checkpoint), (2, 3));
    let done = ConsumerProgress { resolved: Some(id(2)), ..progress(lease.lease_token, 3) };
    store.update_consumer(&done).await.unwrap();
    let failed = DeadLetter { attempts: 6, ..letter(3) };
    let progress = ConsumerProgress { letters: vec![failed.clone()], ..progress(lease.lease_token, 3) };
    let batch = Batch { consumer: Some(progress), ..Batch::default() };
    committed(store.commit(batch).await);
    assert_eq!(letters(&*store, ALL).await, [letter(1), failed]);
    assert_eq!(store.consumers(Scope::Project(PROJECT)).await.unwrap()[0].retrying, 0);
}

pub async fn a_paused_consumer_is_not_claimed(place: &dyn Place) {
    let store = place.open().await;
    store.open_consumer(&consumer("one")).await.unwrap();
    let lease = claim(&*store, 0, 10).await.unwrap();
    let set = |status| ConsumerWrite::SetStatus { project_id: PROJECT, name: "one".to_owned(), status };
    write(&*store, set(ConsumerStatus::Paused)).await;
    let late = store.update_consumer(&progress(lease.lease_token, 3)).await;
    assert_eq!(late.map_err(|error| error.code()), Err(ErrorCode::LeaseLost), "who was reading has lost its lease");
    assert!(claim(&*store, 50, 60).await.is_none());
    let opened = store.open_consumer(&ConsumerRecord { max_attempts: 7, ..consumer("one") }).await.unwrap();
    assert_eq!((opened.status, opened.max_attempts), (ConsumerStatus::Paused, 7), "opening does not wake it");
    write(&*store, set(ConsumerStatus::Failed)).await;
    assert!(claim(&*store, 50, 60).await.is_none());
    assert_eq!(store.consumers(Scope::Project(PROJECT)).await.unwrap()[0].status, ConsumerStatus::Failed);
    write(&*store, set(ConsumerStatus::Active)).await;
    let lease = claim(&*store, 50, 60).await.unwrap();
    assert_eq!((lease.checkpoint, lease.status), (0, ConsumerStatus::Active));
}

pub async fn a_reset_begins_a_new_generation(place: &dyn Place) {
    let store = place.open().await;
    let lease = given_up(&*store).await;
    let reset = ConsumerWrite::Reset { project_id: PROJECT, name: "one".to_owned(), checkpoint: 1 };
    // With a batch that is refused, it does not happen.
    let event = event(PROJECT, 1, 1, 1, "consumer.reset");
    let refused =
        Batch { events: vec![event.clone(), event.clone()], consumers: vec![reset.clone()], ..Batch::default() };
    assert!(store.commit(refused).await.is_err());
    assert_eq!(store.consumers(Scope::Project(PROJECT)).await.unwrap()[0].generation, 1);

    let batch = Batch { events: vec![event], consumers: vec![reset], ..Batch::default() };
    committed(store.commit(batch).await);
    let late = store.update_consumer(&progress(lease.lease_token, 9)).await;
    assert_eq!(late.map_err(|error| error.code()), Err(ErrorCode::LeaseLost));
    let anew = claim(&*store, 0, 10).await.unwrap();
    assert_eq!((anew.checkpoint, anew.generation), (1, 2));
    assert!(anew.lease_token > lease.lease_token);
    assert_eq!(letters(&*store, ALL).await, [letter(1)]);
}

pub async fn a_consumer_is_made_once(place: &dyn Place) {
    let store = place.open().await;
    let made = ConsumerRecord { checkpoint: 4, ..consumer("one") };
    write(&*store, ConsumerWrite::Create(made.clone())).await;
    write(&*store, ConsumerWrite::Create(ConsumerRecord { checkpoint: 9, ..made.clone() })).await;
    assert_eq!(store.consumers(Scope::Project(PROJECT)).await.unwrap(), [made]);
}

pub async fn racing_claims_give_one_lease(place: &dyn Place) {
    let store = place.open().await;
    store.open_consumer(&consumer("one")).await.unwrap();
    for round in 0..5i64 {
        let barrier = Barrier::new(6);
        let won: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..6)
                .map(|_| {
                    let (store, barrier) = (&store, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        usize::from(block_on(claim(&**store, round * 10, round * 10 + 10)).is_some())
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert_eq!(won, 1);
    }
}

/// Letters that a consumer has not given up on: when they are due, and which is the first of its aggregate.
pub async fn letters_wait_and_keep_an_order(place: &dyn Place) {
    let store = place.open().await;
    store.open_consumer(&consumer("one")).await.unwrap();
    store.open_consumer(&consumer("two")).await.unwrap();
    let lease = claim(&*store, 0, 10).await.unwrap();
    let of = |number, stream| DeadLetter { stream: Some(contact(stream)), ..letter(number) };
    let waiting = DeadLetter { waits_until: Some(at(50)), ..of(2, 1) };
    let later = DeadLetter { waits_until: Some(at(40)), ..of(5, 2) };
    let held = DeadLetter { is_held: true, ..of(4, 1) };
    let parked = of(3, 3);
    let put = |letters| ConsumerProgress { letters, ..progress(lease.lease_token, 5) };
    let all = vec![later.clone(), held.clone(), waiting.clone(), parked.clone(), letter(1)];
    store.update_consumer(&put(all)).await.unwrap();
    let shown = store.consumers(Scope::Project(PROJECT)).await.unwrap();
    assert_eq!((shown[0].letters, shown[0].waits_until, shown[0].retrying), (5, Some(at(40)), 0));
    assert_eq!((shown[1].letters, shown[1].waits_until), (0, None));
    assert_eq!(letters(&*store, ALL).await, [letter(1), waiting.clone(), parked.clone(), held.clone(), later.clone()]);
    let given_up = DeadLetterQuery { given_up: true, ..ALL };
    assert_eq!(letters(&*store, given_up).await, [letter(1), parked.clone()]);
    let of_one = DeadLetterQuery { stream: Some(contact(1)), ..ALL };
    assert_eq!(letters(&*store, of_one).await, [waiting.clone(), held.clone()]);
    assert_eq!(letters(&*store, DeadLetterQuery { after: 2, ..of_one }).await, std::slice::from_ref(&held));

    let due = async |name: &str, now| store.due_letter(PROJECT, name, at(now)).await.unwrap();
    assert_eq!((due("one", 39).await, due("two", 99).await), (None, None));
    assert_eq!(due("one", 40).await, Some(later.clone()));
    assert_eq!(due("one", 50).await, Some(waiting.clone()), "the first in the log, not the first in time");
    let retry = vec![parked.event_id];
    write(&*store, ConsumerWrite::RetryDeadLetters { project_id: PROJECT, name: "one".to_owned(), event_ids: retry })
        .await;
    assert_eq!(due("one", 0).await, Some(DeadLetter { retrying: true, ..parked.clone() }));
    assert_eq!(store.due_letter(OTHER_PROJECT, "one", at(99)).await.unwrap(), None);

    let streams = [contact(1), contact(2), contact(9)];
    let mut first = store.first_letters(PROJECT, "one", &streams).await.unwrap();
    first.sort_by_key(|letter| letter.seq);
    assert_eq!(first, [waiting.clone(), later]);
    assert!(store.first_letters(PROJECT, "two", &streams).await.unwrap().is_empty());
    assert!(store.first_letters(OTHER_PROJECT, "one", &streams).await.unwrap().is_empty());
    assert!(store.first_letters(PROJECT, "one", &[]).await.unwrap().is_empty());

    // What is done with goes, and what was behind it changes, at once.
    let next = DeadLetter { is_held: false, waits_until: Some(at(0)), ..held };
    let done = ConsumerProgress { resolved: Some(waiting.event_id), ..put(vec![next.clone()]) };
    store.update_consumer(&done).await.unwrap();
    assert_eq!(store.first_letters(PROJECT, "one", &streams[..1]).await.unwrap(), [next]);
    let known = store.open_consumer(&ConsumerRecord { batch_size: 9, ..consumer("one") }).await.unwrap();
    let settings = (known.ordering, known.batch_size, known.handler_timeout);
    assert_eq!(settings, (ConsumerOrdering::Stream, 7, 45), "as it was made");
}
