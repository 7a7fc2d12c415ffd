//! Group commit: what meets is written together, what cannot be is told so alone, and nobody waits for somebody who has gone.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod cluster;

use futures_util::future::{join, join_all, poll_immediate};
use std::future::Future;
use std::pin::pin;
use tokio_postgres::{Client, NoTls};
use ventros::kernel::Kind;
use ventros::storage::testing::*;
use ventros::storage::{
    Batch, CommitError, EventQuery, EventRepository, Scope, SnapshotRepository, Storage, UniqueKey,
};
use ventros_postgres::PostgresStorage;

const SCOPE: Scope = Scope::Project(PROJECT);

/// A store with two contacts, and a connection that can hold up all commits.
fn with_store<F: Future<Output = ()>>(work: impl FnOnce(PostgresStorage, Client) -> F) {
    let address = cluster::fresh();
    let (plain, schema) = address.rsplit_once("schema=").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = PostgresStorage::open(&address).await.unwrap();
        store.prepare(&[TABLE]).await.unwrap();
        let known = [1, 2].map(|number| Sample::named("x").with_key("", &number.to_string()).insert(PROJECT, number));
        let mut first = snapshots(known);
        first.events = vec![event(PROJECT, 1, 1, 1, "contact.created")];
        committed(store.commit(first).await);
        let (client, driver) = tokio_postgres::connect(plain.trim_end_matches(['?', '&']), NoTls).await.unwrap();
        tokio::spawn(driver);
        client.batch_execute(&format!("SET search_path TO {schema}; SET ventros.system = 'on'")).await.unwrap();
        work(store, client).await;
    });
}

async fn hold(client: &Client) {
    client.batch_execute("BEGIN; SELECT 1 FROM log_heads FOR UPDATE").await.unwrap();
}

async fn release(client: &Client) {
    client.batch_execute("COMMIT").await.unwrap();
}

/// An event of a stream of its own.
fn fact(number: u128) -> Batch {
    events([event(PROJECT, number, 1, number, "contact.created")])
}

fn renamed(number: u128, revision: u64) -> Batch {
    let before = Sample::named("x").with_key("", &number.to_string());
    let after = Sample { score: Some(1.0), ..before.clone() };
    let mut batch = snapshots([after.update(&before, PROJECT, number, revision)]);
    batch.events = vec![event(PROJECT, number, revision, number * 100 + u128::from(revision), "contact.updated")];
    batch
}

#[test]
fn commits_that_meet_share_a_transaction() {
    with_store(|store, client| async move {
        hold(&client).await;
        let (answers, ()) = join(join_all((10..22).map(|number| store.commit(fact(number)))), release(&client)).await;
        let heads: Vec<u64> = answers.into_iter().map(|answer| committed(answer).heads[0].1).collect();
        assert_eq!(heads, (2..14).collect::<Vec<_>>(), "everybody is told its own number, in the order of arrival");
        let select = "SELECT count(DISTINCT xmin::text), count(*) FROM events";
        let row = client.query_one(select, &[]).await.unwrap();
        assert_eq!((row.get(0), row.get(1)), (3_i64, 13_i64), "the one before, the first one, and all that met");
        let all = EventQuery { limit: 100, ..EventQuery::default() };
        let found = store.events(SCOPE, &all).await.unwrap();
        assert!(found.iter().map(|event| event.seq).eq(1..=13));
    });
}

#[test]
fn whoever_cannot_be_written_harms_nobody() {
    with_store(|store, client| async move {
        hold(&client).await;
        let taken = snapshots([Sample::named("y").with_key("", "2").insert(PROJECT, 3)]);
        let batches = [fact(10), renamed(1, 2), renamed(1, 2), renamed(2, 3), taken, fact(11), fact(10)];
        let (answers, ()) = join(join_all(batches.map(|batch| store.commit(batch))), release(&client)).await;
        let stale = |number| Some(CommitError::Stale(contact(number)));
        let key = |error: &CommitError| matches!(error, CommitError::Taken { key: UniqueKey { key, .. }, holder } if key == "2" && *holder == contact(2));
        let errors: Vec<Option<CommitError>> = answers.into_iter().map(Result::err).collect();
        assert_eq!([&errors[0], &errors[1], &errors[5]], [&None; 3]);
        assert_eq!((errors[2].clone(), errors[3].clone()), (stale(1), stale(2)));
        assert!(errors[4].as_ref().is_some_and(key), "{errors:?}");
        assert!(matches!(errors[6], Some(CommitError::Store(_))), "an event has one id: {errors:?}");
        let all = EventQuery { limit: 100, ..EventQuery::default() };
        let found = store.events(SCOPE, &all).await.unwrap();
        assert!(found.iter().map(|event| event.seq).eq(1..=4), "{found:?}");
        assert_eq!(store.get(SCOPE, Kind::Contact, &[id(1)]).await.unwrap()[0].revision, 2);
    });
}

#[test]
fn nobody_waits_for_whoever_has_gone() {
    with_store(|store, client| async move {
        hold(&client).await;
        let last = {
            let mut first = pin!(store.commit(fact(10)));
            assert!(poll_immediate(&mut first).await.is_none());
            let mut second = pin!(store.commit(fact(11)));
            assert!(poll_immediate(&mut second).await.is_none());
            let mut last = Box::pin(store.commit(fact(12)));
            assert!(poll_immediate(&mut last).await.is_none());
            last
            // The one that commits and one that waits are given up.
        };
        let (answer, ()) = join(last, release(&client)).await;
        committed(answer);
        committed(store.commit(fact(13)).await);
        let all = EventQuery { limit: 100, ..EventQuery::default() };
        let found = store.events(SCOPE, &all).await.unwrap();
        assert!(found.iter().map(|event| event.seq).eq(1..=found.len() as u64));
        assert!(!found.iter().any(|event| event.id == id(11)), "who gave up while it waited is not written");
    });
}
