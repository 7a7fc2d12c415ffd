//! Forgetting: what is taken back is gone, and nothing else is.

use super::*;
use crate::kernel::{ErrorCode, JobId};
use crate::storage::{
    Batch, CommitError, ERASED_OUTCOME, Erasure, EventQuery, EventRecord, EventRewrite, IdempotencyRecord, JobState,
    JobWrite, Scope,
};
use serde_json::value::RawValue;

const SCOPE: Scope = Scope::Project(PROJECT);

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn with_metadata(mut event: EventRecord) -> EventRecord {
    event.metadata = Some(raw(r#"{"ip":"203.0.113.7"}"#));
    event
}

fn rewrite(seq: u64) -> Erasure {
    let data = raw(r#"{"type":"contact.created","name":{"$redacted":"name"}}"#);
    Erasure::Event(EventRewrite { project_id: PROJECT, seq, schema_version: 2, data, redacted_at: at(9) })
}

fn erasing(erasures: Vec<Erasure>) -> Batch {
    Batch { erasures, ..Batch::default() }
}

async fn log(store: &dyn Storage, scope: Scope) -> Vec<String> {
    let all = EventQuery { limit: 100, ..EventQuery::default() };
    let found = store.events(scope, &all).await.unwrap();
    found.iter().map(|event| serde_json::to_string(event).unwrap()).collect()
}

pub async fn a_redacted_event_keeps_all_but_its_data(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let first = [
        with_metadata(event(PROJECT, 1, 1, 1, "contact.created")),
        with_metadata(event(PROJECT, 2, 1, 2, "contact.created")),
        with_metadata(event(OTHER_PROJECT, 3, 1, 3, "contact.created")),
    ];
    committed(store.commit(events(first)).await);
    let (ours, theirs) = (log(&*store, SCOPE).await, log(&*store, Scope::Project(OTHER_PROJECT)).await);

    committed(store.commit(erasing(vec![rewrite(1), rewrite(77)])).await);
    let all = EventQuery { limit: 100, ..EventQuery::default() };
    let after = store.events(SCOPE, &all).await.unwrap();
    let redacted = &after[0];
    assert_eq!(redacted.data.get(), r#"{"type":"contact.created","name":{"$redacted":"name"}}"#);
    assert_eq!((redacted.schema_version, redacted.redacted_at), (2, Some(at(9))));
    assert!(redacted.metadata.is_none());
    let mut restored = redacted.clone();
    restored.data = raw(r#"{"type":"contact.created","number":1}"#);
    restored.schema_version = 1;
    restored.redacted_at = None;
    restored = with_metadata(restored);
    assert_eq!(serde_json::to_string(&restored).unwrap(), ours[0], "the rest of it stays");
    assert_eq!(log(&*store, SCOPE).await[1], ours[1], "another event stays");
    assert_eq!(log(&*store, Scope::Project(OTHER_PROJECT)).await, theirs, "another project stays");
    let about = EventQuery { subject: Some(contact(1)), limit: 10, ..EventQuery::default() };
    assert_eq!(store.events(SCOPE, &about).await.unwrap().len(), 1, "it is found as before");
    let heads = committed(store.commit(events([event(PROJECT, 1, 2, 4, "contact.updated")])).await).heads;
    assert_eq!(heads, [(PROJECT, 3)], "the numbers go on");
    store.scrub().await.unwrap();
    assert_eq!(log(&*store, SCOPE).await.len(), 3);
}

pub async fn ended_jobs_are_removed(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let (open, ended, kept) = (job(1, 5), job(2, 5), job(3, 5));
    let jobs = [open, ended, kept].into_iter().map(JobWrite::Enqueue);
    let cancel = |number| JobWrite::CancelJob { project_id: PROJECT, id: id(number), at: at(1) };
    committed(store.commit(Batch { jobs: jobs.chain([cancel(2), cancel(3)]).collect(), ..Batch::default() }).await);
    let other = Erasure::Jobs { project_id: OTHER_PROJECT, ids: vec![id(3)] };
    let ours = Erasure::Jobs { project_id: PROJECT, ids: vec![id(1), id(2), JobId::from_uuid(id(9)).uuid()] };
    committed(store.commit(erasing(vec![other, ours])).await);
    let left = [(1, Some(JobState::Scheduled)), (2, None), (3, Some(JobState::Cancelled))];
    for (number, expected) in left {
        let found = store.job(SCOPE, id(number)).await.unwrap();
        assert_eq!(found.map(|job| job.state), expected, "job {number}");
    }
    // Cancelled and removed in one commit.
    let batch = Batch {
        jobs: vec![cancel(1)],
        erasures: vec![Erasure::Jobs { project_id: PROJECT, ids: vec![id(1)] }],
        ..Batch::default()
    };
    committed(store.commit(batch).await);
    assert_eq!(store.job(SCOPE, id(1)).await.unwrap(), None);
}

pub async fn stored_outcomes_are_taken_away(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    let record = |project: crate::kernel::ProjectId, key: &str, result: &str| IdempotencyRecord {
        scope: project.uuid(),
        key: key.to_owned(),
        command: "contacts.create".to_owned(),
        request_hash: [7; 32],
        result: result.to_owned(),
        expires_at: at(1_000),
    };
    let named = r#"{"phone":"+5511987650001"}"#;
    for record in [record(PROJECT, "a", named), record(PROJECT, "b", "{}"), record(OTHER_PROJECT, "a", named)] {
        committed(store.commit(Batch { idempotency: Some(record), ..Batch::default() }).await);
    }
    let erase = |scope| Erasure::Outcomes { scope, texts: vec!["nothing".to_owned(), "5511987650001".to_owned()] };
    committed(store.commit(erasing(vec![erase(SCOPE)])).await);
    let result = async |project: crate::kernel::ProjectId, key: &str| {
        store.idempotent(project.uuid(), key, at(0)).await.unwrap().map(|record| record.result)
    };
    assert_eq!(result(PROJECT, "a").await.as_deref(), Some(ERASED_OUTCOME));
    assert_eq!(result(PROJECT, "b").await.as_deref(), Some("{}"));
    assert_eq!(result(OTHER_PROJECT, "a").await.as_deref(), Some(named));
    committed(store.commit(erasing(vec![erase(Scope::Installation)])).await);
    assert_eq!(result(OTHER_PROJECT, "a").await.as_deref(), Some(ERASED_OUTCOME));
}

pub async fn a_refused_batch_forgets_nothing(place: &dyn Place) {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    committed(store.commit(events([event(PROJECT, 1, 1, 1, "contact.created")])).await);
    let before = log(&*store, SCOPE).await;
    let mut batch = events([event(PROJECT, 2, 1, 1, "contact.created")]);
    batch.erasures = vec![rewrite(1)];
    let refused = store.commit(batch).await;
    assert!(matches!(refused, Err(CommitError::Store(error)) if error.code() == ErrorCode::EventIdConflict));
    assert_eq!(log(&*store, SCOPE).await, before);
}
