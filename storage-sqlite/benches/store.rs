//! How fast the store is, beside a program written by hand for the same rows. `VENTROS_ROWS` sets the number of contacts (100 000).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement is a program")]

use rusqlite::{Connection, params};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use ventros::kernel::Kind;
use ventros::storage::testing::{PROJECT, Sample, TABLE, committed, contact, event, id, job, snapshots};
use ventros::storage::{
    Batch, FieldKind, Filter, Find, JobRecord, JobWrite, KeyRef, Scope, SnapshotRepository, Sort, Storage,
};
use ventros::testing::block_on;
use ventros_sqlite::SqliteStorage;

const SCOPE: Scope = Scope::Project(PROJECT);

fn sample(number: u128) -> Sample {
    let sample = Sample {
        company: Some(format!("Company {}", number % 1000)),
        score: Some((number % 100) as f64),
        status: Some("active".into()),
        tags: vec![format!("tag{}", number % 50), "lead".into()],
        phone: Some(format!("+55119{number:08}")),
        settings: Some("x".repeat(400)),
        ..Sample::named(&format!("Person {number}"))
    };
    sample.with_key("", &format!("55119{number:08}"))
}

fn report(what: &str, times: usize, took: Duration) {
    println!("{what:<44} {:>10.1} µs", took.as_secs_f64() * 1e6 / times as f64);
}

fn measure<T>(what: &str, times: usize, mut work: impl FnMut(usize) -> T) {
    let start = Instant::now();
    for time in 0..times {
        black_box(work(time));
    }
    report(what, times, start.elapsed());
}

/// Four snapshots of which one is new, two events with subjects, a job: what one inbound message writes.
fn inbound(number: u128, revision: u64) -> Batch {
    let base = 10_000_000_000 + number * 10;
    let touched = |place: u128, revision: u64| {
        let (before, after) = (sample(place), Sample { score: Some(revision as f64), ..sample(place) });
        let before = if revision == 2 { before } else { Sample { score: Some(revision as f64 - 1.0), ..before } };
        after.update(&before, PROJECT, place, revision)
    };
    let message = Sample { status: Some("received".into()), settings: Some("x".repeat(400)), ..Sample::default() };
    let mut batch =
        snapshots([touched(1, revision), touched(2, revision), touched(3, revision), message.insert(PROJECT, base)]);
    let subjects = || vec![contact(base), contact(1), contact(2), contact(3)];
    let mut received = event(PROJECT, base, 1, base, "message.received");
    received.subjects = subjects();
    let mut moved = event(PROJECT, 1, revision, base + 1, "contact.name_changed");
    moved.subjects = vec![contact(1)];
    batch.events = vec![received, moved];
    let timeout = JobRecord { unique_key: Some("session.timeout".into()), ..job(base, 1800) };
    batch.jobs = vec![JobWrite::Schedule(timeout)];
    batch
}

fn key(number: u128) -> Vec<u8> {
    id(number).as_bytes().to_vec()
}

fn by_hand(directory: &Path, times: u128) {
    let db = Connection::open(directory.join("hand.db")).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 10000;
         CREATE TABLE contacts (id BLOB PRIMARY KEY, revision INTEGER, score REAL, updated_at INTEGER, state TEXT);
         CREATE TABLE messages (id BLOB PRIMARY KEY, chat BLOB, status TEXT, at INTEGER, state TEXT);
         CREATE INDEX messages_chat ON messages (chat, at);
         CREATE TABLE events (seq INTEGER PRIMARY KEY, id BLOB UNIQUE, type TEXT, aggregate BLOB, version INTEGER, at INTEGER, data TEXT);
         CREATE UNIQUE INDEX events_stream ON events (aggregate, version);
         CREATE TABLE subjects (id BLOB, seq INTEGER, PRIMARY KEY (id, seq)) WITHOUT ROWID;
         CREATE TABLE jobs (key TEXT PRIMARY KEY, run_at INTEGER, payload TEXT);
         CREATE INDEX jobs_due ON jobs (run_at);",
    )
    .unwrap();
    let state = serde_json::to_string(&sample(1)).unwrap();
    for place in 1..=3u128 {
        let values = params![key(place), 1, 1.0, 0, state];
        db.execute("INSERT INTO contacts VALUES (?, ?, ?, ?, ?)", values).unwrap();
    }
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| db.prepare_cached(sql).unwrap().execute(values).unwrap();
    measure("inbound commit, by hand", times as usize, |time| {
        let base = 10_000_000_000 + time as u128 * 10;
        let revision = time as i64 + 1;
        run("BEGIN IMMEDIATE", &[]);
        for place in 1..=3u128 {
            let state = serde_json::to_string(&sample(place)).unwrap();
            let sql =
                "UPDATE contacts SET revision = ?, score = ?, updated_at = ?, state = ? WHERE id = ? AND revision = ?";
            let values = params![revision + 1, revision as f64, revision, state, key(place), revision];
            assert_eq!(run(sql, values), 1);
        }
        let message = Sample { status: Some("received".into()), settings: Some("x".repeat(400)), ..Sample::default() };
        let state = serde_json::to_string(&message).unwrap();
        let values = params![key(base), key(2), "received", revision, state];
        run("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", values);
        for (place, (stream, version)) in [(base, 1), (1, revision + 1)].into_iter().enumerate() {
            let event = event(PROJECT, stream, version as u64, base + place as u128, "message.received");
            let sql = "INSERT INTO events (id, type, aggregate, version, at, data) VALUES (?, ?, ?, ?, ?, ?)";
            let values = params![key(event.id.as_u128()), event.event_type, key(stream), version, 1, event.data.get()];
            run(sql, values);
            let seq = db.last_insert_rowid();
            let subjects: &[u128] = if place == 0 { &[base, 1, 2, 3] } else { &[1] };
            for subject in subjects {
                run("INSERT INTO subjects VALUES (?, ?)", params![key(*subject), seq]);
            }
        }
        let sql = "INSERT INTO jobs VALUES (?1, ?2, '{}') ON CONFLICT (key) DO UPDATE SET run_at = ?2";
        run(sql, params!["session.timeout", revision]);
        run("COMMIT", &[]);
    });
}

fn main() {
    let rows: u128 = std::env::var("VENTROS_ROWS").map_or(100_000, |rows| rows.parse().unwrap());
    let directory = std::env::temp_dir().join(format!("ventros-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let store = SqliteStorage::open(directory.join("crm.db")).unwrap();
    block_on(store.prepare(&[TABLE])).unwrap();
    let start = Instant::now();
    for chunk in 0..rows.div_ceil(1000) {
        let writes =
            (chunk * 1000 + 1..=(chunk * 1000 + 1000).min(rows)).map(|number| sample(number).insert(PROJECT, number));
        committed(block_on(store.commit(snapshots(writes))));
    }
    report("insert of one contact, 1 000 a commit", rows as usize, start.elapsed());

    let pick = |time: usize| (time as u128 * 7_919) % rows + 1;
    measure("get", 20_000, |time| block_on(store.get(SCOPE, Kind::Contact, &[id(pick(time))])).unwrap());
    let keys: Vec<String> = (0..1000).map(|time| format!("55119{:08}", pick(time))).collect();
    measure("find_keys", 20_000, |time| {
        let key = [KeyRef { scope: "", key: &keys[time % 1000] }];
        block_on(store.find_keys(SCOPE, "contact.phone", &key)).unwrap()
    });
    let find = |sort: &str, kind: FieldKind, filter: Filter| Find {
        filter,
        sort: vec![Sort { field: sort.to_owned(), kind, descending: true }],
        after: None,
        backward: false,
        limit: 20,
        include_hidden: false,
        with_total: false,
    };
    let tagged = |tag: &str| {
        let expression = serde_json::json!({"field": "tags", "op": "contains", "value": tag});
        let expression: ventros::storage::FilterExpression = serde_json::from_value(expression).unwrap();
        expression.check(&ventros::storage::testing::fields(), ventros::storage::testing::at(0)).unwrap()
    };
    let lists = [
        ("list newest", find("created_at", FieldKind::Instant, Filter::everything())),
        ("list by name", find("name", FieldKind::Text, Filter::everything())),
        (
            "list active by newest",
            find("created_at", FieldKind::Instant, Filter::eq("status", FieldKind::Enum, "active")),
        ),
        ("list of a tag that 2 % have", find("created_at", FieldKind::Instant, tagged("tag7"))),
        ("list of a tag that nobody has", find("created_at", FieldKind::Instant, tagged("nobody"))),
    ];
    for (what, find) in &lists {
        measure(what, 50, |_| block_on(store.find(SCOPE, Kind::Contact, find)).unwrap());
    }
    measure("count of a tag that 2 % have", 5, |_| {
        block_on(store.count(SCOPE, Kind::Contact, &tagged("tag7"), false)).unwrap()
    });
    measure("search of one person", 50, |time| {
        block_on(store.search(SCOPE, Kind::Contact, &format!("person {}", pick(time)), 20)).unwrap()
    });
    measure("search that all match", 5, |_| block_on(store.search(SCOPE, Kind::Contact, "per", 20)).unwrap());

    measure("inbound commit", 2000, |time| committed(block_on(store.commit(inbound(time as u128, time as u64 + 2)))));
    by_hand(&directory, 2000);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..16u128 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..200u128 {
                    let base = 20_000_000_000 + writer * 1_000_000 + round * 10;
                    let mut batch = snapshots([sample(base).insert(PROJECT, base)]);
                    batch.events = vec![event(PROJECT, base, 1, base, "message.received")];
                    committed(block_on(store.commit(batch)));
                }
            });
        }
    });
    report("one new contact and event, 16 writers", 3200, start.elapsed());
    block_on(store.close()).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}
