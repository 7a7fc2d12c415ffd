//! What is particular to a server: who may see which rows, connections that are lost, hints, versions, and what an analyst sees.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod cluster;

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};
use ventros::kernel::{ErrorCode, Kind};
use ventros::storage::testing::*;
use ventros::storage::{CommitError, EventQuery, EventRepository, Filter, Scope, SnapshotRepository, Storage, Table};
use ventros::testing::block_on;
use ventros_postgres::{PostgresOptions, PostgresStorage};

const SCOPE: Scope = Scope::Project(PROJECT);

fn open(address: &str) -> PostgresStorage {
    let store = block_on(PostgresStorage::open(address)).unwrap();
    block_on(store.prepare(&[TABLE])).unwrap();
    store
}

/// A connection as a host or an analyst has one, in the schema of a store.
fn raw<T>(address: &str, work: impl AsyncFnOnce(&Client) -> T) -> T {
    let (plain, schema) = address.rsplit_once("schema=").unwrap();
    let plain = plain.trim_end_matches(['?', '&']);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, driver) = tokio_postgres::connect(plain, NoTls).await.unwrap();
        let driver = tokio::spawn(driver);
        client.batch_execute(&format!("SET search_path TO {schema}")).await.unwrap();
        let outcome = work(&client).await;
        drop(client);
        driver.await.unwrap().unwrap();
        outcome
    })
}

trait Now: Future + Sized {
    fn now(self) -> Self::Output {
        block_on(self)
    }
}

impl<F: Future> Now for F {}

/// Case 4 of the security page: without the setting nothing is there, and nobody writes into another project.
#[test]
fn rows_are_seen_by_their_project_alone() {
    let address = cluster::fresh();
    let store = open(&address);
    let sample = Sample { tags: vec!["vip".into()], ..Sample::named("Ana").with_key("", "k") };
    for project in [PROJECT, OTHER_PROJECT] {
        let mut batch = snapshots([sample.insert(project, 1)]);
        batch.events = vec![event(project, 1, 1, project.uuid().as_u128(), "contact.created")];
        committed(store.commit(batch).now());
    }
    raw(&address, async |client| {
        let select = "SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind = 'r'";
        let tables = client.query(select, &[]).await.unwrap();
        let open: Vec<String> = tables.iter().filter(|row| !row.get::<_, bool>(1)).map(|row| row.get(0)).collect();
        let mut open: Vec<&str> = open.iter().map(String::as_str).collect();
        open.sort_unstable();
        assert_eq!(open, ["aggregate_tables", "copies", "migrations"], "only these have no rows of projects");
        let count = async |table: &str| -> i64 {
            client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
        };
        for table in ["contacts", "events", "event_subjects", "attributes", "search_words", "unique_keys", "log_heads"]
        {
            assert_eq!(count(table).await, 0, "{table} without a project");
            client.batch_execute(&format!("BEGIN; SET LOCAL ventros.project_id = '{PROJECT}'")).await.unwrap();
            let (own, other) = (count(table).await, format!("{table} WHERE project_id <> '{PROJECT}'"));
            assert!(own > 0 && count(&other).await == 0, "{table}");
            client.batch_execute("COMMIT").await.unwrap();
            assert_eq!(count(table).await, 0, "{table} after a transaction");
        }
        client.batch_execute(&format!("BEGIN; SET LOCAL ventros.project_id = '{PROJECT}'")).await.unwrap();
        let insert = format!("INSERT INTO log_heads (project_id, head) VALUES ('{}', 5)", uuid::Uuid::from_u128(77));
        let refused = client.batch_execute(&insert).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501");
    });
}

#[test]
fn others_are_heard_of() {
    let address = cluster::fresh();
    let (one, two) = (open(&address), open(&address));
    let (rings, heard) = mpsc::channel();
    let bell: Arc<dyn Fn() + Send + Sync> = Arc::new(move || rings.send(()).unwrap());
    two.watch(Arc::downgrade(&bell));
    // Whoever begins to listen has missed what was said before.
    let has_news = |store: &PostgresStorage| {
        let begin = Instant::now();
        while !store.changed_elsewhere() {
            assert!(begin.elapsed() < Duration::from_secs(10), "nobody heard anything");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    has_news(&one);
    has_news(&two);
    // The bell may have come too late for that.
    heard.recv_timeout(Duration::from_millis(100)).ok();
    committed(one.commit(events([event(PROJECT, 1, 1, 1, "a.b")])).now());
    has_news(&two);
    heard.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(!two.changed_elsewhere());
    assert!(!one.changed_elsewhere(), "what it did itself is no news to it");
}

#[test]
fn a_lock_that_stays_is_told() {
    let address = cluster::fresh();
    drop(open(&address));
    let options = PostgresOptions { timeout: Duration::from_millis(300), ..PostgresOptions::default() };
    let store = PostgresStorage::open_with(&address, options).now().unwrap();
    store.prepare(&[TABLE]).now().unwrap();
    committed(store.commit(events([event(PROJECT, 1, 1, 1, "a.b")])).now());
    raw(&address, async |client| {
        let lock = "BEGIN; SET LOCAL ventros.system = 'on'; SELECT * FROM log_heads FOR UPDATE";
        client.batch_execute(lock).await.unwrap();
        let refused = store.commit(events([event(PROJECT, 1, 2, 2, "a.b")])).await;
        assert!(matches!(refused, Err(CommitError::Store(error)) if error.code() == ErrorCode::StoreLocked));
        assert_eq!(store.head(PROJECT).await.unwrap(), 1, "readers go on");
        client.batch_execute("COMMIT").await.unwrap();
        committed(store.commit(events([event(PROJECT, 1, 2, 2, "a.b")])).await);
    });
}

#[test]
fn a_newer_schema_is_left_alone() {
    let address = cluster::fresh();
    let store = open(&address);
    store.prepare(&[Table { version: 2, ..TABLE }]).now().unwrap();
    assert_eq!(store.prepare(&[TABLE]).now().unwrap_err().code(), ErrorCode::SchemaTooNew);
    drop(store);
    raw(&address, async |client| {
        client.batch_execute("INSERT INTO migrations VALUES (99, now())").await.unwrap();
    });
    let refused = PostgresStorage::open(&address).now().map(|_| ()).unwrap_err();
    assert_eq!((refused.code(), refused.details()["found"].as_u64()), (ErrorCode::SchemaTooNew, Some(99)));
}

#[test]
fn damage_is_told_and_never_guessed() {
    let address = cluster::fresh();
    let store = open(&address);
    fill(&store, PROJECT, &[Sample::named("Ana")]).now();
    committed(store.commit(events([event(PROJECT, 1, 1, 1, "contact.created")])).now());
    raw(&address, async |client| {
        let harm = "BEGIN; SET LOCAL ventros.system = 'on'; UPDATE contacts SET revision = -7;
            UPDATE events SET aggregate_kind = 'ghost'; COMMIT";
        client.batch_execute(harm).await.unwrap();
    });
    let refused = store.get(SCOPE, Kind::Contact, &[id(1)]).now().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::CorruptData);
    let all = EventQuery { limit: 10, ..EventQuery::default() };
    assert_eq!(store.events(SCOPE, &all).now().unwrap_err().code(), ErrorCode::CorruptData);
}

#[test]
fn an_analyst_finds_plain_columns() {
    let address = cluster::fresh();
    let store = open(&address);
    let sample = Sample { score: Some(1.5), blocked: Some(true), ..Sample::named("João") };
    fill(&store, PROJECT, &[sample]).now();
    raw(&address, async |client| {
        client.batch_execute("BEGIN; SET LOCAL ventros.system = 'on'").await.unwrap();
        let select = "SELECT name, name_key, score, blocked, state ->> 'name', created_at::text FROM contacts";
        let row = client.query_one(select, &[]).await.unwrap();
        let text = |column: usize| row.get::<_, String>(column);
        assert_eq!((text(0), text(1), text(4)), ("João".into(), "joao".into(), "João".into()));
        assert_eq!((row.get::<_, f64>(2), row.get::<_, bool>(3)), (1.5, true));
        assert!(text(5).starts_with("2025-01-01"));
    });
}

#[test]
fn indexes_follow_their_declaration_and_are_built_beside_work() {
    let address = cluster::fresh();
    let names = || {
        raw(&address, async |client| {
            let select = "SELECT indexname::text FROM pg_indexes WHERE schemaname = current_schema()
                AND tablename = 'contacts' AND indexname NOT LIKE '%_pkey' ORDER BY 1";
            client.query(select, &[]).await.unwrap().iter().map(|row| row.get(0)).collect::<Vec<String>>()
        })
    };
    fill(&open(&address), PROJECT, &[Sample::named("Ana")]).now();
    let declared =
        ["contacts_by_created_at", "contacts_by_name", "contacts_by_owner_id", "contacts_by_status_and_seen_at"];
    assert_eq!(names(), declared);
    raw(&address, async |client| client.batch_execute("CREATE INDEX of_the_host ON contacts (score)").await.unwrap());
    let store = PostgresStorage::open(&address).now().unwrap();
    store.prepare(&[Table { indexes: &[&["score"]], ..TABLE }]).now().unwrap();
    assert_eq!(names(), ["contacts_by_created_at", "contacts_by_score", "of_the_host"]);
}

/// Several programs that meet a database which none of them has seen.
#[test]
fn opening_together_makes_one_schema() {
    let address = cluster::fresh();
    let stores: Vec<PostgresStorage> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..6).map(|_| scope.spawn(|| open(&address))).collect();
        opening.into_iter().map(|store| store.join().unwrap()).collect()
    });
    for (place, store) in stores.iter().enumerate() {
        let number = place as u128 + 1;
        committed(store.commit(snapshots([Sample::named("x").insert(PROJECT, number)])).now());
    }
    assert_eq!(stores[0].count(SCOPE, Kind::Contact, &Filter::everything(), false).now().unwrap(), 6);
}

/// A cluster of its own, which may be stopped.
struct Server(PathBuf);

impl Server {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("ventros-pg-own-{}", std::process::id()));
        cluster::start_in(&folder);
        Server(folder)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        cluster::stop(&self.0);
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The server dies and comes back in the middle of work: what was acknowledged is there, once, and the same handle goes on.
#[test]
fn a_server_that_comes_back_is_used_again() {
    let server = Server::start();
    let address = cluster::address_in(&server.0);
    let store = open(&address);
    let mut acknowledged = 0u64;
    for round in 0..3u128 {
        let (first, more) = (round * 1_000 + 1, 1_000);
        let is_dead = AtomicBool::new(false);
        let written = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut written = 0;
                for number in first..first + more {
                    match store.commit(events([event(PROJECT, number, 1, number, "a.b")])).now() {
                        Ok(_) => written += 1,
                        Err(CommitError::Store(error)) if error.code() == ErrorCode::Unavailable => {
                            // Whether this one was committed nobody can say: its own head does.
                            if is_dead.load(Ordering::SeqCst) {
                                return written;
                            }
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
                written
            });
            while store.head(PROJECT).now().is_ok_and(|head| head < acknowledged + 20) {}
            cluster::stop(&server.0);
            is_dead.store(true, Ordering::SeqCst);
            writer.join().unwrap()
        });
        cluster::start(&server.0, "on");
        let head = store.head(PROJECT).now().unwrap();
        assert!(head >= acknowledged + written, "{head} of {acknowledged} + {written}");
        acknowledged = head;
        let all = EventQuery { limit: 10_000, ..EventQuery::default() };
        let found = store.events(SCOPE, &all).now().unwrap();
        assert!(found.iter().map(|event| event.seq).eq(1..=head), "the log has a hole");
    }
    let refused = PostgresStorage::open(&address.replace("ventros_app", "nobody")).now().map(drop).unwrap_err();
    assert_eq!((refused.code(), refused.details()["reason"].as_str()), (ErrorCode::Unavailable, Some("refused")));
}
