//! What is particular to a file: locks of others, versions, damage, and what an analyst sees in it.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use rusqlite::Connection;
use std::path::PathBuf;
use std::time::Duration;
use ventros::kernel::{ErrorCode, Kind};
use ventros::storage::testing::{OTHER_PROJECT, PROJECT, Sample, TABLE, committed, event, events, fill, id, snapshots};
use ventros::storage::{CommitError, EventQuery, EventRepository, Filter, Scope, SnapshotRepository, Storage, Table};
use ventros::testing::block_on;
use ventros_sqlite::{SqliteOptions, SqliteStorage};

const SCOPE: Scope = Scope::Project(PROJECT);

struct File(PathBuf);

impl File {
    fn fresh(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ventros-file-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        File(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("crm.db")
    }

    fn open(&self) -> SqliteStorage {
        let store = SqliteStorage::open(self.path()).unwrap();
        block_on(store.prepare(&[TABLE])).unwrap();
        store
    }

    fn raw(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn a_file_that_stays_locked_is_told() {
    let file = File::fresh("locked");
    drop(file.open());
    let options = SqliteOptions { busy_timeout: Duration::from_millis(30), ..SqliteOptions::default() };
    let store = SqliteStorage::open_with(file.path(), options).unwrap();
    block_on(store.prepare(&[TABLE])).unwrap();
    let other = file.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = block_on(store.commit(snapshots([Sample::named("x").insert(PROJECT, 1)])));
    assert!(matches!(refused, Err(CommitError::Store(error)) if error.code() == ErrorCode::StoreLocked));
    assert!(block_on(store.get(SCOPE, Kind::Contact, &[id(1)])).unwrap().is_empty(), "readers go on");
    other.execute_batch("COMMIT").unwrap();
    committed(block_on(store.commit(snapshots([Sample::named("x").insert(PROJECT, 1)]))));
}

#[test]
fn queued_commits_are_carried_together_and_refused_alone() {
    let file = File::fresh("group");
    let store = file.open();
    fill(&store, PROJECT, &[Sample::named("taken").with_key("", "k")]).await_now();
    let other = file.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (2..=30u128)
            .map(|number| {
                let store = &store;
                scope.spawn(move || {
                    let key = if number.is_multiple_of(5) { "k".to_owned() } else { number.to_string() };
                    let mut batch = snapshots([Sample::named("x").with_key("", &key).insert(PROJECT, number)]);
                    batch.events = vec![event(PROJECT, number, 1, number, "contact.created")];
                    usize::from(block_on(store.commit(batch)).is_err())
                })
            })
            .collect();
        other.execute_batch("COMMIT").unwrap();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(refused, 6);
    assert_eq!(block_on(store.count(SCOPE, Kind::Contact, &Filter::everything(), false)).unwrap(), 24);
    let all = EventQuery { limit: 100, ..EventQuery::default() };
    let seqs: Vec<u64> = block_on(store.events(SCOPE, &all)).unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=23).collect::<Vec<_>>());
}

trait Now: Future + Sized {
    fn await_now(self) -> Self::Output {
        block_on(self)
    }
}

impl<F: Future> Now for F {}

#[test]
fn a_newer_file_is_left_alone() {
    let file = File::fresh("newer");
    drop(file.open());
    let later = Table { version: 2, ..TABLE };
    let store = SqliteStorage::open(file.path()).unwrap();
    store.prepare(&[later]).await_now().unwrap();
    assert_eq!(store.prepare(&[TABLE]).await_now().unwrap_err().code(), ErrorCode::SchemaTooNew);
    drop(store);
    file.raw().pragma_update(None, "user_version", 99).unwrap();
    let refused = SqliteStorage::open(file.path()).map(|_| ()).unwrap_err();
    assert_eq!((refused.code(), refused.details()["found"].as_u64()), (ErrorCode::SchemaTooNew, Some(99)));
}

#[test]
fn damage_is_told_and_never_guessed() {
    let file = File::fresh("damage");
    let store = file.open();
    fill(&store, PROJECT, &[Sample::named("Ana")]).await_now();
    committed(store.commit(events([event(PROJECT, 1, 1, 1, "contact.created")])).await_now());
    let raw = file.raw();
    raw.execute("UPDATE contacts SET revision = 'seven'", []).unwrap();
    raw.execute("UPDATE events SET aggregate_kind = 'ghost'", []).unwrap();
    let refused = store.get(SCOPE, Kind::Contact, &[id(1)]).await_now().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::CorruptData);
    let all = EventQuery { limit: 10, ..EventQuery::default() };
    assert_eq!(store.events(SCOPE, &all).await_now().unwrap_err().code(), ErrorCode::CorruptData);
    let text = file.0.join("text.db");
    std::fs::write(&text, "no database, but long enough to have a header".repeat(50)).unwrap();
    assert_eq!(SqliteStorage::open(text).map(|_| ()).unwrap_err().code(), ErrorCode::CorruptData);
    let nowhere = file.0.join("no").join("where.db");
    assert_eq!(SqliteStorage::open(nowhere).map(|_| ()).unwrap_err().code(), ErrorCode::Unavailable);
}

#[test]
fn only_others_count_as_elsewhere() {
    let file = File::fresh("elsewhere");
    let (one, two) = (file.open(), file.open());
    one.changed_elsewhere();
    fill(&one, PROJECT, &[Sample::named("Ana")]).await_now();
    assert!(!one.changed_elsewhere());
    fill(&two, OTHER_PROJECT, &[Sample::named("Bia")]).await_now();
    assert!(one.changed_elsewhere());
    assert!(!one.changed_elsewhere());
    // Also when the one who looks is the next to write.
    fill(&two, OTHER_PROJECT, &[]).await_now();
    committed(two.commit(events([event(PROJECT, 1, 1, 1, "a.b")])).await_now());
    committed(one.commit(events([event(PROJECT, 1, 2, 2, "a.b")])).await_now());
    assert!(one.changed_elsewhere());
}

#[test]
fn closing_lets_go_of_the_file() {
    let file = File::fresh("closing");
    let store = file.open();
    fill(&store, PROJECT, &[Sample::named("Ana")]).await_now();
    assert!(file.path().with_extension("db-wal").exists());
    store.close().await_now().unwrap();
    assert!(!file.path().with_extension("db-wal").exists(), "the last one to close folds the log into the file");
    let refused = store.prepare(&[TABLE]).await_now().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Closed);
}

#[test]
fn an_analyst_finds_plain_columns() {
    let file = File::fresh("analyst");
    let store = file.open();
    let sample = Sample { score: Some(1.5), blocked: Some(true), ..Sample::named("João") };
    fill(&store, PROJECT, &[sample]).await_now();
    let row: (String, String, f64, bool, String) = file
        .raw()
        .query_row("SELECT name, name_key, score, blocked, state ->> 'name' FROM contacts", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .unwrap();
    assert_eq!(row, ("João".to_owned(), "joao".to_owned(), 1.5, true, "João".to_owned()));
}

#[test]
fn indexes_follow_their_declaration() {
    let file = File::fresh("indexes");
    let names = || -> Vec<String> {
        let raw = file.raw();
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'contacts' AND sql IS NOT NULL ORDER BY 1";
        let mut statement = raw.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    drop(file.open());
    let declared =
        ["contacts_by_created_at", "contacts_by_name", "contacts_by_owner_id", "contacts_by_status_and_seen_at"];
    assert_eq!(names(), declared);
    file.raw().execute_batch("CREATE INDEX of_the_host ON contacts (score)").unwrap();
    let store = SqliteStorage::open(file.path()).unwrap();
    store.prepare(&[Table { indexes: &[&["score"]], ..TABLE }]).await_now().unwrap();
    assert_eq!(names(), ["contacts_by_created_at", "contacts_by_score", "of_the_host"]);
}

#[cfg(unix)]
#[test]
fn a_new_file_is_its_owners_alone_and_an_old_one_is_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let file = File::fresh("rights");
    let store = file.open();
    committed(block_on(store.commit(snapshots([Sample::named("x").insert(PROJECT, 1)]))));
    for entry in std::fs::read_dir(&file.0).unwrap() {
        let entry = entry.unwrap();
        let rights = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(rights, 0o600, "{}", entry.path().display());
    }
    assert_eq!(block_on(store.security()).unwrap().open_to_others, Some(false));
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(block_on(store.security()).unwrap().open_to_others, Some(true));
    drop(store);
    let again = file.open();
    assert_eq!(block_on(again.security()).unwrap().open_to_others, Some(true), "the host may share it with a group");
}
