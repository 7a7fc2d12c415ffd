//! Jobs: claimed once, in order, moved by their names.

use super::snapshots::{finish, finish_at};
use super::*;
use crate::storage::{
    AttemptOutcome, AttemptRecord, Batch, CommitError, JobClaim, JobErrorClass, JobQuery, JobRecord, JobState,
    JobTimes, JobWrite, KEPT_ATTEMPTS, OnDead, ProjectIdOrNil, Scope,
};
use std::sync::Barrier;

const SCOPE: Scope = Scope::Project(PROJECT);

async fn write(store: &dyn Storage, jobs: impl IntoIterator<Item = JobWrite>) {
    committed(store.commit(Batch { jobs: jobs.into_iter().collect(), ..Batch::default() }).await);
}

async fn claim(store: &dyn Storage, now: i64) -> Vec<JobRecord> {
    store.claim_jobs(due("timer", at(now), at(now + 60), 10)).await.unwrap()
}

fn ids(jobs: &[JobRecord]) -> Vec<u128> {
    jobs.iter().map(|job| job.id.as_u128()).collect()
}

fn keyed(number: u128, due: i64, key: &str) -> JobRecord {
    JobRecord { unique_key: Some(key.to_owned()), ..job(number, due) }
}

fn in_line(number: u128, due: i64, key: &str) -> JobRecord {
    JobRecord { order_key: Some(key.to_owned()), ..job(number, due) }
}

fn enqueue(jobs: impl IntoIterator<Item = JobRecord>) -> Vec<JobWrite> {
    jobs.into_iter().map(JobWrite::Enqueue).collect()
}

async fn get(store: &dyn Storage, number: u128) -> JobRecord {
    store.job(SCOPE, id(number)).await.unwrap().unwrap()
}

pub async fn due_jobs_are_claimed_in_order(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.next_due("timer").await.unwrap(), None);
    let other_queue = JobRecord { queue: "webhook".to_owned(), ..job(9, 0) };
    write(&*store, enqueue([job(1, 30), job(2, 10), job(3, 10), job(4, 99), other_queue])).await;
    assert_eq!(get(&*store, 1).await, job(1, 30));
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(10)));
    assert!(claim(&*store, 9).await.is_empty());
    let first = store.claim_jobs(due("timer", at(50), at(110), 2)).await.unwrap();
    assert_eq!(ids(&first), [2, 3]);
    assert_eq!((first[0].state, first[0].attempt, first[0].lease_token), (JobState::Running, 1, 1));
    assert_eq!(first[0].lease_until, Some(at(110)));
    assert_eq!(ids(&claim(&*store, 50).await), [1]);
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(99)));
    assert_eq!(get(&*store, 2).await, first[0]);
}

fn ranked(number: u128, due: i64, priority: i16) -> JobRecord {
    JobRecord { priority, ..job(number, due) }
}

pub async fn higher_priorities_come_first(place: &dyn Place) {
    let store = place.open().await;
    let (highest, lowest) = (ranked(7, 0, i16::MAX), ranked(8, 0, i16::MIN));
    let jobs =
        [ranked(1, 10, 0), ranked(2, 30, 5), ranked(3, 20, 5), ranked(4, 20, 5), ranked(5, 99, 9), ranked(6, 5, -1)];
    write(&*store, enqueue(jobs.into_iter().chain([highest, lowest]))).await;
    assert_eq!(get(&*store, 2).await.priority, 5);
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(0)));
    let take = |project, limit| JobClaim { project, ..due("timer", at(50), at(110), limit) };
    // Of one priority the earliest, then the first.
    assert_eq!(ids(&store.claim_jobs(take(None, 3)).await.unwrap()), [7, 3, 4]);
    assert_eq!(ids(&store.claim_jobs(take(Some(PROJECT), 2)).await.unwrap()), [2, 1]);
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(0)));
    assert_eq!(ids(&store.claim_jobs(take(None, 9)).await.unwrap()), [6, 8]);
    assert_eq!(
        store.next_due("timer").await.unwrap(),
        Some(at(99)),
        "what is not due yet is nobody's, whatever its priority"
    );
}

pub async fn a_priority_changes_no_line_and_no_turn(place: &dyn Place) {
    let store = place.open().await;
    let in_line = |number, priority| JobRecord { priority, ..in_line(number, 0, "a") };
    write(&*store, enqueue([in_line(1, 0), in_line(2, 9)])).await;
    assert_eq!(ids(&claim(&*store, 0).await), [1], "the first of its line holds back the others");
    write(&*store, [finish(1, 1, JobState::Succeeded)]).await;
    assert_eq!(ids(&claim(&*store, 0).await), [2]);
    let of_another = |number, due| JobRecord { project_id: ProjectIdOrNil(OTHER_PROJECT), ..job(number, due) };
    write(
        &*store,
        enqueue([ranked(11, 30, 9), ranked(12, 20, 7), ranked(13, 10, 0), of_another(14, 25), of_another(15, 26)]),
    )
    .await;
    let fair = |limit| JobClaim { is_fair: true, ..due("timer", at(50), at(110), limit) };
    // The other project's first is due before the first of this one.
    assert_eq!(ids(&store.claim_jobs(fair(3)).await.unwrap()), [14, 11, 12]);
    assert_eq!(ids(&store.claim_jobs(fair(9)).await.unwrap()), [13, 15]);
}

pub async fn a_moved_job_takes_the_new_priority(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, [JobWrite::Schedule(keyed(1, 10, "k")), JobWrite::Enqueue(ranked(2, 0, 3))]).await;
    write(&*store, [JobWrite::Schedule(JobRecord { priority: 4, ..keyed(3, 20, "k") })]).await;
    assert_eq!(get(&*store, 1).await.priority, 4);
    assert_eq!(ids(&claim(&*store, 50).await), [1, 2]);
}

pub async fn tries_are_kept_with_the_job(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([job(1, 0)])).await;
    let first = claim(&*store, 5).await.remove(0);
    assert_eq!((first.started_at, first.history.len()), (Some(at(5)), 0));
    let failed = AttemptRecord::failed(&first, at(7), JobErrorClass::Timeout, "no\0 answer", Some(504));
    assert_eq!(failed.error.as_deref(), Some("no\u{fffd} answer"));
    let mut put_back = finish_at(1, 1, JobState::Scheduled, Some(at(10)));
    if let JobWrite::Finish { history, .. } = &mut put_back {
        *history = failed.clone().join(&first.history);
    }
    write(&*store, [put_back]).await;
    assert_eq!(get(&*store, 1).await.history, std::slice::from_ref(&failed));
    assert_eq!(claim(&*store, 10).await.remove(0).history, std::slice::from_ref(&failed));
    // Nobody reports this one: it ended with its lease.
    let third = claim(&*store, 100).await.remove(0);
    let lost = AttemptRecord {
        attempt: 2,
        started_at: at(10),
        ended_at: at(70),
        outcome: AttemptOutcome::Failed,
        error_class: Some(JobErrorClass::LeaseLost),
        error: None,
        status: None,
    };
    assert_eq!(third.history, [failed, lost]);
    assert_eq!(third.started_at, Some(at(100)));
    assert_eq!(get(&*store, 1).await, third);
    for lease in 2..30 {
        claim(&*store, 100 * lease).await;
    }
    let history = get(&*store, 1).await.history;
    let kept: Vec<u32> = history.iter().map(|tried| tried.attempt).collect();
    assert_eq!((history.len(), kept.first(), kept.last()), (KEPT_ATTEMPTS, Some(&11), Some(&30)));
    // A job that is put to work again keeps what became of it.
    let token = get(&*store, 1).await.lease_token;
    let mut end = finish(1, token, JobState::Dead);
    if let JobWrite::Finish { history: kept, .. } = &mut end {
        kept.clone_from(&history);
    }
    write(&*store, [end]).await;
    write(&*store, [JobWrite::Release { project_id: PROJECT, ids: vec![id(1)], run_at: at(9_000) }]).await;
    assert_eq!(get(&*store, 1).await.history, history);
}

pub async fn a_key_must_be_vacant(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([keyed(1, 0, "k")])).await;
    claim(&*store, 0).await;
    write(&*store, [finish(1, 1, JobState::Dead)]).await;
    let vacant = |project_id| JobWrite::Vacant { project_id, id: id(1), unique_key: "k".to_owned() };
    let release = JobWrite::Release { project_id: PROJECT, ids: vec![id(1)], run_at: at(9) };
    write(&*store, enqueue([keyed(2, 700, "k")])).await;
    let again =
        Batch { jobs: vec![vacant(PROJECT), release.clone(), JobWrite::Enqueue(job(3, 0))], ..Batch::default() };
    assert!(matches!(store.commit(again.clone()).await, Err(CommitError::Stale(_))));
    assert!(store.job(SCOPE, id(3)).await.unwrap().is_none());
    write(&*store, [vacant(OTHER_PROJECT)]).await;
    write(&*store, [JobWrite::Cancel { project_id: PROJECT, unique_key: "k".to_owned(), at: at(5) }]).await;
    committed(store.commit(again).await);
    assert_eq!(get(&*store, 1).await.state, JobState::Scheduled);
}

pub async fn a_token_fences_out_the_slow(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([job(1, 0)])).await;
    let slow = claim(&*store, 0).await.remove(0);
    assert!(claim(&*store, 59).await.is_empty());
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(60)));
    let fast = claim(&*store, 60).await.remove(0);
    assert_eq!((fast.lease_token, fast.attempt), (2, 2));
    let end = |token: u64| Batch { jobs: vec![finish(1, token, JobState::Succeeded)], ..Batch::default() };
    assert_eq!(store.commit(end(slow.lease_token)).await, Err(CommitError::LeaseLost));
    let mut of_another = finish(1, fast.lease_token, JobState::Succeeded);
    if let JobWrite::Finish { project_id, .. } = &mut of_another {
        *project_id = OTHER_PROJECT;
    }
    let of_another = Batch { jobs: vec![of_another], ..Batch::default() };
    assert_eq!(store.commit(of_another).await, Err(CommitError::LeaseLost));
    committed(store.commit(end(fast.lease_token)).await);
    assert_eq!(store.commit(end(fast.lease_token)).await, Err(CommitError::LeaseLost));
    let done = get(&*store, 1).await;
    assert_eq!((done.state, done.finished_at, done.lease_until), (JobState::Succeeded, Some(at(100)), None));
    assert_eq!(store.next_due("timer").await.unwrap(), None);
}

pub async fn projects_take_turns(place: &dyn Place) {
    let store = place.open().await;
    let of_another = |number, due| JobRecord { project_id: ProjectIdOrNil(OTHER_PROJECT), ..job(number, due) };
    write(&*store, enqueue([job(1, 10), job(2, 11), job(3, 12), of_another(4, 20), of_another(5, 21), job(6, 99)]))
        .await;
    let claim = |limit| JobClaim { is_fair: true, ..due("timer", at(50), at(60), limit) };
    assert_eq!(ids(&store.claim_jobs(claim(3)).await.unwrap()), [1, 4, 2]);
    assert_eq!(ids(&store.claim_jobs(claim(9)).await.unwrap()), [3, 5]);
    assert!(store.claim_jobs(claim(9)).await.unwrap().is_empty());
}

pub async fn a_claim_may_be_of_one_project(place: &dyn Place) {
    let store = place.open().await;
    let of_another = |number, due| JobRecord { project_id: ProjectIdOrNil(OTHER_PROJECT), ..job(number, due) };
    write(&*store, enqueue([job(1, 10), of_another(2, 20), of_another(3, 19), of_another(4, 99)])).await;
    let claim = JobClaim { project: Some(OTHER_PROJECT), ..due("timer", at(50), at(60), 9) };
    assert_eq!(ids(&store.claim_jobs(claim).await.unwrap()), [3, 2]);
    assert_eq!(ids(&self::claim(&*store, 50).await), [1]);
}

pub async fn a_worker_keeps_its_job_for_longer(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([job(1, 0)])).await;
    let held = claim(&*store, 0).await.remove(0);
    let extend = |project_id, lease_token| JobWrite::Extend { project_id, id: id(1), lease_token, until: at(500) };
    for wrong in [extend(PROJECT, held.lease_token + 1), extend(OTHER_PROJECT, held.lease_token)] {
        let batch = Batch { jobs: vec![wrong], ..Batch::default() };
        assert_eq!(store.commit(batch).await, Err(CommitError::LeaseLost));
    }
    write(&*store, [extend(PROJECT, held.lease_token)]).await;
    assert!(claim(&*store, 499).await.is_empty());
    assert_eq!(get(&*store, 1).await, JobRecord { lease_until: Some(at(500)), ..held.clone() });
    assert_eq!(claim(&*store, 500).await.remove(0).lease_token, held.lease_token + 1);
    let late = Batch { jobs: vec![extend(PROJECT, held.lease_token)], ..Batch::default() };
    assert_eq!(store.commit(late).await, Err(CommitError::LeaseLost));
}

pub async fn a_unique_key_holds_while_open(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([keyed(1, 10, "k")])).await;
    write(&*store, enqueue([keyed(2, 20, "k"), keyed(3, 20, "other")])).await;
    assert!(store.job(SCOPE, id(2)).await.unwrap().is_none());
    assert_eq!(get(&*store, 1).await.run_at, at(10));
    assert_eq!(ids(&claim(&*store, 10).await), [1]);
    write(&*store, enqueue([keyed(4, 20, "k")])).await;
    assert!(store.job(SCOPE, id(4)).await.unwrap().is_none(), "a running job is open");
    write(&*store, [finish(1, 1, JobState::Succeeded)]).await;
    write(&*store, enqueue([keyed(5, 20, "k")])).await;
    assert_eq!(get(&*store, 5).await.state, JobState::Scheduled);
}

pub async fn a_job_is_created_or_nothing_is(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, [JobWrite::Create(keyed(1, 10, "k")), JobWrite::Create(job(2, 10))]).await;
    let again =
        Batch { jobs: vec![JobWrite::Create(keyed(3, 20, "k")), JobWrite::Create(job(4, 10))], ..Batch::default() };
    assert!(matches!(store.commit(again.clone()).await, Err(CommitError::Stale(_))));
    for number in [3, 4] {
        assert!(store.job(SCOPE, id(number)).await.unwrap().is_none());
    }
    write(&*store, [JobWrite::CancelJob { project_id: PROJECT, id: id(1), at: at(11) }]).await;
    committed(store.commit(again).await);
    assert_eq!(get(&*store, 3).await, keyed(3, 20, "k"));
}

pub async fn a_schedule_moves(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, [JobWrite::Schedule(keyed(1, 10, "k"))]).await;
    let later = JobRecord { payload: r#"{"n":2}"#.to_owned(), ..keyed(2, 50, "k") };
    write(&*store, [JobWrite::Schedule(later)]).await;
    assert!(store.job(SCOPE, id(2)).await.unwrap().is_none());
    let moved = get(&*store, 1).await;
    assert_eq!((moved.run_at, moved.payload.as_str()), (at(50), r#"{"n":2}"#));
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(50)));
    write(&*store, [JobWrite::Schedule(keyed(3, 5, "k"))]).await;
    assert_eq!(ids(&claim(&*store, 5).await), [1]);
}

pub async fn a_running_job_can_be_moved(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, [JobWrite::Schedule(keyed(1, 10, "k"))]).await;
    let running = claim(&*store, 10).await.remove(0);
    write(&*store, [JobWrite::Schedule(keyed(2, 50, "k"))]).await;
    let late = Batch { jobs: vec![finish(1, running.lease_token, JobState::Succeeded)], ..Batch::default() };
    assert_eq!(store.commit(late).await, Err(CommitError::LeaseLost));
    assert_eq!(ids(&claim(&*store, 50).await), [1]);
}

pub async fn a_job_may_schedule_its_successor(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, [JobWrite::Schedule(keyed(1, 10, "k"))]).await;
    let running = claim(&*store, 10).await.remove(0);
    let successor = JobWrite::Schedule(keyed(2, 50, "k"));
    write(&*store, [successor, finish(1, running.lease_token, JobState::Succeeded)]).await;
    assert_eq!(get(&*store, 1).await.state, JobState::Succeeded);
    assert_eq!(ids(&claim(&*store, 50).await), [2]);
}

pub async fn a_cancelled_job_is_gone(place: &dyn Place) {
    let store = place.open().await;
    let cancel = |key: &str| JobWrite::Cancel { project_id: PROJECT, unique_key: key.to_owned(), at: at(3) };
    write(&*store, enqueue([keyed(1, 10, "k"), keyed(2, 10, "l")])).await;
    write(&*store, [cancel("k"), cancel("unknown")]).await;
    let job = get(&*store, 1).await;
    assert_eq!((job.state, job.finished_at), (JobState::Cancelled, Some(at(3))));
    let running = claim(&*store, 10).await;
    assert_eq!(ids(&running), [2]);
    write(&*store, [cancel("l")]).await;
    let late = Batch { jobs: vec![finish(2, running[0].lease_token, JobState::Succeeded)], ..Batch::default() };
    assert_eq!(store.commit(late).await, Err(CommitError::LeaseLost));
    write(&*store, enqueue([keyed(3, 10, "k")])).await;
    assert_eq!(ids(&claim(&*store, 10).await), [3]);
}

pub async fn jobs_of_one_order_key_run_in_turn(place: &dyn Place) {
    let store = place.open().await;
    write(
        &*store,
        enqueue([in_line(3, 0, "a"), in_line(1, 5, "a"), in_line(2, 0, "a"), in_line(4, 0, "b"), job(5, 0)]),
    )
    .await;
    assert_eq!(ids(&claim(&*store, 4).await), [4, 5]);
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(5)));
    assert_eq!(ids(&claim(&*store, 5).await), [1]);
    assert!(claim(&*store, 10).await.is_empty());
    write(&*store, [finish(1, 1, JobState::Succeeded)]).await;
    assert_eq!(ids(&claim(&*store, 10).await), [2]);
    write(&*store, [finish(2, 1, JobState::Dead)]).await;
    assert_eq!(ids(&claim(&*store, 10).await), [3]);
    // An older one that arrives late waits for the one that runs.
    write(&*store, enqueue([in_line(0, 0, "a")])).await;
    assert!(claim(&*store, 10).await.is_empty());
    let elsewhere = JobRecord { project_id: crate::storage::ProjectIdOrNil(OTHER_PROJECT), ..in_line(6, 0, "a") };
    write(&*store, enqueue([elsewhere])).await;
    assert_eq!(ids(&claim(&*store, 10).await), [6]);
}

pub async fn a_dead_job_may_block_its_order_key(place: &dyn Place) {
    let store = place.open().await;
    let blocking = |number, due, key: &str| JobRecord { on_dead: OnDead::Block, ..in_line(number, due, key) };
    write(&*store, enqueue([blocking(1, 0, "a"), in_line(2, 0, "a"), in_line(3, 0, "a"), in_line(4, 0, "b")])).await;
    let waiting = async |number| get(&*store, number).await.waiting_order;
    assert_eq!((waiting(1).await, waiting(2).await, waiting(4).await), (false, true, false));
    assert_eq!(ids(&claim(&*store, 0).await), [1, 4]);
    write(&*store, [finish(1, 1, JobState::Dead), finish(4, 1, JobState::Dead)]).await;
    assert!(get(&*store, 1).await.blocks() && !get(&*store, 4).await.blocks());
    let parked = JobRecord { state: JobState::Parked, ..in_line(5, 150, "a") };
    let elsewhere = JobRecord { project_id: ProjectIdOrNil(OTHER_PROJECT), ..in_line(6, 0, "a") };
    write(&*store, enqueue([parked, elsewhere, in_line(7, 0, "a"), in_line(8, 0, "b")])).await;
    assert_eq!(ids(&claim(&*store, 200).await), [6, 8]);
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(260)), "nothing of the line is due");
    let list = JobQuery { limit: 10, ..JobQuery::default() };
    let held = store.jobs(SCOPE, &list).await.unwrap().into_iter().filter(|job| job.waiting_order).collect::<Vec<_>>();
    assert_eq!(ids(&held), [7, 3, 2]);
    // It is kept for as long as it blocks.
    write(&*store, [JobWrite::Purge { finished_before: at(900), dead_before: at(900) }]).await;
    assert!(store.job(SCOPE, id(4)).await.unwrap().is_none());
    write(&*store, [JobWrite::Release { project_id: PROJECT, ids: vec![id(1)], run_at: at(100) }]).await;
    assert_eq!(ids(&claim(&*store, 201).await), [1]);
    write(&*store, [finish(1, 2, JobState::Dead)]).await;
    assert!(claim(&*store, 202).await.is_empty());
    write(&*store, [JobWrite::CancelJob { project_id: PROJECT, id: id(1), at: at(203) }]).await;
    assert!(!waiting(2).await);
    assert_eq!(ids(&claim(&*store, 203).await), [2]);
    write(&*store, [finish(2, 1, JobState::Succeeded)]).await;
    assert_eq!(ids(&claim(&*store, 203).await), [3]);
}

pub async fn a_retry_keeps_its_place(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([in_line(1, 0, "a"), in_line(2, 0, "a")])).await;
    assert_eq!(ids(&claim(&*store, 0).await), [1]);
    write(&*store, [finish_at(1, 1, JobState::Scheduled, Some(at(30)))]).await;
    assert!(claim(&*store, 29).await.is_empty());
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(30)));
    let retried = claim(&*store, 30).await;
    assert_eq!((ids(&retried), retried[0].attempt), (vec![1], 2));
}

pub async fn parked_jobs_hold_nobody_back(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([in_line(1, 0, "a"), in_line(2, 0, "a")])).await;
    assert_eq!(ids(&claim(&*store, 0).await), [1]);
    write(&*store, [finish_at(1, 1, JobState::Parked, Some(at(500)))]).await;
    assert_eq!(ids(&claim(&*store, 1).await), [2]);
    write(&*store, [finish(2, 1, JobState::Succeeded)]).await;
    assert_eq!(store.next_due("timer").await.unwrap(), Some(at(500)));
    let release = JobWrite::Release { project_id: PROJECT, ids: vec![id(1), id(2), id(77)], run_at: at(2) };
    write(&*store, [release]).await;
    assert_eq!(ids(&claim(&*store, 2).await), [1]);
    assert_eq!(get(&*store, 2).await.state, JobState::Succeeded);
    write(&*store, [finish_at(1, 2, JobState::Parked, Some(at(600)))]).await;
    assert_eq!(ids(&claim(&*store, 600).await), [1], "a parked job comes back at its end");
}

pub async fn dead_jobs_are_released(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([keyed(1, 0, "k")])).await;
    claim(&*store, 0).await;
    write(&*store, [finish(1, 1, JobState::Dead)]).await;
    let release = |project| JobWrite::Release { project_id: project, ids: vec![id(1)], run_at: at(9) };
    write(&*store, [release(OTHER_PROJECT)]).await;
    assert_eq!(get(&*store, 1).await.state, JobState::Dead);
    write(&*store, enqueue([keyed(2, 700, "k")])).await;
    write(&*store, [release(PROJECT)]).await;
    assert_eq!(get(&*store, 1).await.state, JobState::Dead, "its key is held by another one");
    write(&*store, [JobWrite::Cancel { project_id: PROJECT, unique_key: "k".to_owned(), at: at(5) }]).await;
    write(&*store, [release(PROJECT)]).await;
    let job = get(&*store, 1).await;
    assert_eq!((job.state, job.attempt, job.finished_at, job.run_at), (JobState::Scheduled, 0, None, at(9)));
    assert_eq!(ids(&claim(&*store, 9).await), [1]);
}

pub async fn jobs_are_cancelled_by_their_id(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([in_line(1, 0, "line"), in_line(2, 0, "line"), job(3, 0), keyed(4, 500, "k")])).await;
    let running = claim(&*store, 0).await;
    assert_eq!(ids(&running), [1, 3]);
    write(&*store, [finish(3, 1, JobState::Dead)]).await;
    let cancel = |project_id, number| JobWrite::CancelJob { project_id, id: id(number), at: at(5) };
    write(&*store, [cancel(OTHER_PROJECT, 1)]).await;
    assert_eq!(get(&*store, 1).await.state, JobState::Running);
    write(&*store, [cancel(PROJECT, 1), cancel(PROJECT, 3), cancel(PROJECT, 4), cancel(PROJECT, 9)]).await;
    for number in [1, 3, 4] {
        let job = get(&*store, number).await;
        assert_eq!((job.state, job.finished_at), (JobState::Cancelled, Some(at(5))), "{number}");
    }
    let late = Batch { jobs: vec![finish(1, 1, JobState::Succeeded)], ..Batch::default() };
    assert_eq!(store.commit(late).await, Err(CommitError::LeaseLost));
    assert_eq!(ids(&claim(&*store, 9).await), [2], "the next of its line is free");
    write(&*store, [finish(2, 1, JobState::Succeeded)]).await;
    write(&*store, [cancel(PROJECT, 2)]).await;
    assert_eq!(get(&*store, 2).await.state, JobState::Succeeded, "what has ended stays");
    write(&*store, enqueue([keyed(5, 0, "k")])).await;
    assert_eq!(get(&*store, 5).await.state, JobState::Scheduled, "the key of a cancelled one is free");
}

pub async fn a_scheduled_job_is_hurried(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([job(1, 500), in_line(2, 400, "line"), in_line(3, 600, "line")])).await;
    let release = JobWrite::Release { project_id: PROJECT, ids: vec![id(1), id(3)], run_at: at(2) };
    write(&*store, [release]).await;
    assert_eq!(get(&*store, 1).await.run_at, at(2));
    assert_eq!(ids(&claim(&*store, 2).await), [1], "the other one is not first in its line");
    write(&*store, [finish(1, 1, JobState::Succeeded)]).await;
    assert_eq!(ids(&claim(&*store, 400).await), [2]);
}

pub async fn jobs_are_listed(place: &dyn Place) {
    let store = place.open().await;
    let hook = JobRecord { queue: "webhook".to_owned(), kind: "webhook.send".to_owned(), ..keyed(3, 0, "hook:%:1") };
    write(&*store, enqueue([job(1, 0), keyed(2, 50, "hook_x"), hook])).await;
    claim(&*store, 0).await;
    let list = async |change: fn(&mut JobQuery), wanted: &[u128]| {
        let mut query = JobQuery { limit: 10, ..JobQuery::default() };
        change(&mut query);
        assert_eq!(ids(&store.jobs(SCOPE, &query).await.unwrap()), wanted, "{query:?}");
    };
    list(|_| (), &[3, 2, 1]).await;
    list(|query| query.limit = 2, &[3, 2]).await;
    list(|query| query.before = Some(id(3)), &[2, 1]).await;
    list(|query| query.queue = Some("timer".into()), &[2, 1]).await;
    list(|query| query.kind = Some("webhook.send".into()), &[3]).await;
    list(|query| query.states = vec![JobState::Running, JobState::Dead], &[1]).await;
    list(|query| query.states = vec![JobState::Scheduled], &[3, 2]).await;
    list(|query| query.unique_key_prefix = Some("hook:%".into()), &[3]).await;
    list(|query| query.unique_key_prefix = Some("hook".into()), &[3, 2]).await;
}

pub async fn a_backlog_is_counted_by_kind(place: &dyn Place) {
    let store = place.open().await;
    let other_kind = JobRecord { kind: "host.report".to_owned(), ..job(5, 0) };
    let elsewhere = JobRecord { project_id: ProjectIdOrNil(OTHER_PROJECT), ..job(6, 0) };
    write(&*store, enqueue([job(1, 0), in_line(2, 10, "a"), in_line(3, 10, "a"), job(4, 20), other_kind, elsewhere]))
        .await;
    let count = async |now, limit| store.backlog(PROJECT, "session.timeout", at(now), limit).await.unwrap();
    assert_eq!((count(9, 10).await, count(19, 10).await, count(20, 10).await), (1, 3, 4));
    assert_eq!(count(20, 2).await, 2, "no further than the limit");
    assert_eq!(store.backlog(OTHER_PROJECT, "session.timeout", at(20), 10).await.unwrap(), 1);
    assert_eq!(store.backlog(PROJECT, "host.report", at(0), 10).await.unwrap(), 1);
    assert_eq!(ids(&claim(&*store, 0).await), [1, 5, 6]);
    assert_eq!(count(20, 10).await, 4, "what is under way is not done");
    write(&*store, [finish(1, 1, JobState::Succeeded)]).await;
    assert_eq!(count(20, 10).await, 3);
}

pub async fn old_jobs_are_purged(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue([job(1, 0), job(2, 0), job(3, 500)])).await;
    claim(&*store, 0).await;
    write(&*store, [finish(1, 1, JobState::Succeeded)]).await;
    write(&*store, [finish(2, 1, JobState::Dead)]).await;
    let purge = |finished: i64, dead: i64| [JobWrite::Purge { finished_before: at(finished), dead_before: at(dead) }];
    write(&*store, purge(100, 0)).await;
    get(&*store, 1).await;
    write(&*store, purge(101, 100)).await;
    assert!(store.job(SCOPE, id(1)).await.unwrap().is_none());
    get(&*store, 2).await;
    write(&*store, purge(101, 101)).await;
    assert!(store.job(SCOPE, id(2)).await.unwrap().is_none());
    get(&*store, 3).await;
}

pub async fn racing_workers_share_jobs(place: &dyn Place) {
    let store = place.open().await;
    write(&*store, enqueue((1..=60).map(|number| in_line(number, 0, &format!("line{}", number % 4))))).await;
    let barrier = Barrier::new(4);
    let mut done: Vec<u128> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let (store, barrier) = (&store, &barrier);
                scope.spawn(move || {
                    let mut done = Vec::new();
                    barrier.wait();
                    loop {
                        let jobs = block_on(claim(&**store, 0));
                        for job in &jobs {
                            block_on(write(&**store, [finish(job.id.as_u128(), job.lease_token, JobState::Succeeded)]));
                            done.push(job.id.as_u128());
                        }
                        // Others may still run what is ahead in its line.
                        let open = JobQuery {
                            states: vec![JobState::Scheduled, JobState::Running],
                            limit: 1,
                            ..JobQuery::default()
                        };
                        if jobs.is_empty() && block_on(store.jobs(SCOPE, &open)).unwrap().is_empty() {
                            return done;
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    done.sort_unstable();
    assert_eq!(done, (1..=60).collect::<Vec<_>>());
}

pub async fn the_times_of_the_newest_jobs_are_told(place: &dyn Place) {
    let store = place.open().await;
    let of_another = JobRecord { project_id: ProjectIdOrNil(OTHER_PROJECT), ..job(9, 0) };
    write(&*store, enqueue([job(1, 0), job(2, 10), job(3, 20), job(4, 30), job(5, 999), of_another])).await;
    claim(&*store, 50).await;
    let end = |number, state| finish(number, 1, state);
    write(&*store, [end(1, JobState::Succeeded), end(2, JobState::Dead), end(3, JobState::Succeeded)]).await;
    let times = |due| JobTimes {
        kind: "session.timeout".to_owned(),
        run_at: at(due),
        started_at: at(50),
        finished_at: at(100),
    };
    let mut seen = store.job_times(PROJECT, 10).await.unwrap();
    seen.sort();
    assert_eq!(seen, [times(0), times(20)]);
    assert_eq!(store.job_times(PROJECT, 4).await.unwrap(), [times(20)], "the oldest is not among the newest four");
    assert_eq!(store.job_times(PROJECT, 2).await.unwrap(), []);
}
