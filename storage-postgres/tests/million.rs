//! No documented query walks a whole table, at a million contacts, messages and events in twenty projects. The plans looked at are
//! those that the server really used, with their values: it writes them down itself.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod cluster;
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "../../storage-sqlite/tests/furnished/mod.rs"]
mod furnished;
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "../../storage-sqlite/tests/bad_input/schema.rs"]
mod schema;

use furnished::{Ids, OURS, define, furnish};
use schema::Schemas;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tokio_postgres::{Client, NoTls};
use ventros::catalogue::{Catalogue, FieldDoc, OperationDoc};
use ventros::engine::{Context, OperationKind, OperationScope};
use ventros::kernel::{ActorRef, Component, ErrorKind, ProjectId};
use ventros::storage::FieldKind;
use ventros::testing::{World, block_on};
use ventros_postgres::PostgresStorage;

/// Rows of each large table, and in how many projects they are; the first one is ours.
const ROWS: u32 = 1_000_000;
const PROJECTS: u32 = 20;
/// Without waiting for a disk; plans are written down when a session asks for it.
const SETTINGS: &str = "-c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off \
    -c wal_level=minimal -c max_wal_senders=0 -c max_wal_size=16GB -c shared_buffers=256MB -c maintenance_work_mem=256MB \
    -c session_preload_libraries=auto_explain -c auto_explain.log_nested_statements=on";

/// A table that is made large by repeating one of its rows.
struct Large {
    table: &'static str,
    rows: u32,
    /// What differs from row to row, in terms of the number `n` and the row `r`.
    columns: &'static [(&'static str, &'static str)],
}

const ID: &str = "('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid";
const TENTH: &str = "('00000000-0000-7000-8000-' || lpad(to_hex(n / 10), 12, '0'))::uuid";
const LATER: &str = "r.created_at + n * interval '1 second'";

const LARGE: &[Large] = &[
    Large { table: "contacts", rows: ROWS, columns: &[("id", ID), ("created_at", LATER), ("name_key", "'n' || n")] },
    Large {
        table: "messages",
        rows: ROWS,
        columns: &[("id", ID), ("created_at", LATER), ("chat_id", TENTH), ("contact_id", TENTH), ("session_id", TENTH)],
    },
    Large { table: "chats", rows: ROWS / 10, columns: &[("id", ID), ("created_at", LATER), ("contact_id", ID)] },
    Large {
        table: "sessions",
        rows: ROWS / 10,
        columns: &[("id", ID), ("created_at", LATER), ("chat_id", ID), ("contact_id", ID)],
    },
    Large {
        table: "events",
        rows: ROWS,
        columns: &[
            ("id", ID),
            ("seq", "1000 + n"),
            ("position", "1000 + n"),
            ("aggregate_id", ID),
            ("aggregate_version", "1"),
            ("correlation_id", TENTH),
            ("recorded_at", "r.recorded_at + n * interval '1 second'"),
        ],
    },
    Large { table: "event_subjects", rows: ROWS, columns: &[("id", TENTH), ("seq", "1000 + n")] },
    Large { table: "attributes", rows: ROWS / 2, columns: &[("id", ID)] },
    Large { table: "search_words", rows: ROWS / 2, columns: &[("id", ID), ("word", "'n' || n")] },
    Large { table: "unique_keys", rows: ROWS, columns: &[("id", ID), ("key", "'k' || n"), ("realm", "project_of(n)")] },
    Large {
        table: "jobs",
        rows: ROWS / 10,
        columns: &[
            ("id", ID),
            ("unique_key", "'k' || n"),
            ("order_key", "'o' || n"),
            ("due_at", "timestamptz '2030-01-01'"),
            ("run_at", "timestamptz '2030-01-01'"),
        ],
    },
    Large {
        table: "dead_letters",
        rows: ROWS / 10,
        columns: &[("seq", "1000 + n"), ("event_id", ID), ("name", "'reader'")],
    },
    Large { table: "consumers", rows: PROJECTS * 50, columns: &[("name", "'reader' || n")] },
    Large { table: "idempotency_keys", rows: ROWS / 10, columns: &[("scope", "project_of(n)"), ("key", "'k' || n")] },
];

#[test]
fn nothing_walks_a_large_table() {
    let folder = cluster::own("million", &[], SETTINGS);
    let address = cluster::address_in(&folder);
    let world = World::with_keys(Arc::new(block_on(PostgresStorage::open(&address)).unwrap()), [7; 32]).unwrap();
    define(&world.crm);
    let desk = Desk { world };
    drop(desk.world.found(OURS));
    furnish(&|at, operation, input| desk.must(at, operation, input), OURS, 2);
    desk.must(Some(OURS), "consumers.create", json!({"name": "reader", "start": {"type": "beginning"}}));
    as_superuser(&address, async |client| {
        grow(client).await;
        client.batch_execute("ALTER ROLE ventros_app SET auto_explain.log_min_duration = 0").await.unwrap();
    });
    block_on(desk.world.crm.close()).unwrap();
    // New sessions write down their plans.
    let world = World::resume(Arc::new(block_on(PostgresStorage::open(&address)).unwrap()), [7; 32], 2).unwrap();
    define(&world.crm);
    let desk = Desk { world };
    let asked = desk.ask_everything();
    desk.work();
    check(&folder, &asked);
}

fn as_superuser(address: &str, work: impl AsyncFnOnce(&Client)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let address = address.replace("ventros_app@", "postgres@");
        let (client, driver) = tokio_postgres::connect(&address, NoTls).await.unwrap();
        tokio::spawn(driver);
        work(&client).await;
    });
}

/// Fills the large tables. Indexes are built when the rows are there, and references are not looked at.
async fn grow(client: &Client) {
    let run = async |sql: &str| client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    run("SET search_path TO ventros; SET session_replication_role = replica; SET auto_explain.log_min_duration = -1")
        .await;
    let per_project = format!("{OURS}");
    run(&format!(
        "CREATE FUNCTION project_of(n INT, most INT) RETURNS UUID LANGUAGE sql IMMUTABLE AS $$
             SELECT CASE WHEN n <= most / {PROJECTS} THEN '{per_project}'::uuid
                 ELSE ('00000000-0000-0000-0000-' || lpad(to_hex(n::int8 * {PROJECTS} / (most + 1) + 4096), 12, '0'))::uuid END $$"
    ))
    .await;
    run("INSERT INTO dead_letters (project_id, name, seq, event_id, attempts, error, failed_at)
         SELECT project_id, name, 1, project_id, 1, '', now() FROM consumers LIMIT 1")
    .await;
    run("INSERT INTO idempotency_keys VALUES (gen_random_uuid(), 'k', 'c', '', 'null', now())").await;
    for Large { table, rows, columns } in LARGE {
        // What others refer to keeps its key, and is written down for good.
        let indexes = client
            .query(
                "SELECT x.indexrelid::regclass::text, pg_get_indexdef(x.indexrelid), x.indisprimary,
                     coalesce(pg_get_constraintdef(c.oid), '')
                 FROM pg_index x LEFT JOIN pg_constraint c ON c.conindid = x.indexrelid AND c.contype = 'p'
                 WHERE x.indrelid = $1::text::regclass AND NOT EXISTS (
                     SELECT 1 FROM pg_constraint f WHERE f.confrelid = x.indrelid AND x.indisprimary)",
                &[table],
            )
            .await
            .unwrap();
        let mut later = Vec::new();
        for index in &indexes {
            let (name, definition, rule): (String, String, String) = (index.get(0), index.get(1), index.get(3));
            if index.get(2) {
                run(&format!("ALTER TABLE {table} DROP CONSTRAINT {name}; ALTER TABLE {table} SET UNLOGGED")).await;
                later.push(format!("ALTER TABLE {table} ADD CONSTRAINT {name} {rule}"));
            } else {
                run(&format!("DROP INDEX {name}")).await;
                later.push(definition);
            }
        }
        let names = client
            .query(
                "SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = $1::text::regclass AND a.attnum > 0
                 AND NOT a.attisdropped ORDER BY a.attnum",
                &[table],
            )
            .await
            .unwrap();
        let names: Vec<String> = names.iter().map(|row| row.get(0)).collect();
        let project = format!("project_of(n, {rows})");
        let value = |name: &String| match columns.iter().find(|(column, _)| column == name) {
            Some((_, value)) => value.replace("project_of(n)", &project),
            None if name == "project_id" => project.clone(),
            // What is long is needed where somebody reads it.
            None if ["state", "data", "actor", "subjects"].contains(&name.as_str()) && *table != "jobs" => {
                format!("CASE WHEN n <= {rows} / {PROJECTS} THEN r.\"{name}\" ELSE '{{}}' END")
            }
            None => format!("r.\"{name}\""),
        };
        let values: Vec<String> = names.iter().map(value).collect();
        let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        run(&format!(
            "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE
             SELECT {} FROM (SELECT * FROM {table} LIMIT 1) r, generate_series(1, {rows}) n",
            names.join(", "),
            values.join(", ")
        ))
        .await;
        for definition in &later {
            run(definition).await;
        }
        let count = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap();
        assert!(count.get::<_, i64>(0) >= i64::from(*rows), "{table} did not grow");
    }
    run("ANALYZE").await;
}

struct Desk {
    world: World,
}

impl Desk {
    fn call(&self, at: Option<ProjectId>, operation: &str, input: &Value) -> ventros::kernel::Result<Value> {
        let context = Context::new(at, ActorRef::system(Component::Host));
        let answer = block_on(self.world.crm.call(operation, context, input.to_string().as_bytes()))?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    fn must(&self, at: Option<ProjectId>, operation: &str, input: Value) -> Value {
        self.call(at, operation, &input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    /// Every query of a project: as it is, with every filter, and in every order. Tells which were asked.
    fn ask_everything(&self) -> BTreeSet<&'static str> {
        let catalogue = Catalogue::build();
        let ids = Ids::gather(&**self.world.crm.core().storage());
        let schemas = Schemas { definitions: &catalogue.definitions, id: Box::new(|name| ids.id(OURS, name)) };
        let of_projects = |operation: &&OperationDoc| {
            operation.scope == OperationScope::Project && operation.kind == OperationKind::Query
        };
        let mut asked = BTreeSet::new();
        for operation in catalogue.operations.iter().filter(of_projects) {
            let base = schemas.sample(&operation.input, "");
            let mut inputs = vec![base.clone()];
            for place in
                schemas.places(&operation.input).iter().filter(|place| place.trail.len() == 1 && !place.is_required)
            {
                let with = |value: &Value| schemas.build(&operation.input, &place.trail, Some(value));
                let resolved = schemas.resolve(&place.schema);
                match place.path().as_str() {
                    "filter" => inputs.extend(self.filters(&catalogue, operation, &ids).iter().map(with)),
                    "sort" => inputs.extend(sorts(&catalogue, operation).iter().map(with)),
                    _ => inputs.push(with(&schemas.sample(&resolved, &place.path()))),
                }
            }
            for input in inputs {
                match self.call(Some(OURS), operation.name, &input) {
                    Ok(_) => drop(asked.insert(operation.name)),
                    Err(error) => {
                        let faults = [ErrorKind::Internal, ErrorKind::CorruptData, ErrorKind::Unavailable];
                        assert!(!faults.contains(&error.kind()), "{} {input}: {error:?}", operation.name);
                    }
                }
            }
        }
        asked
    }

    fn filters(&self, catalogue: &Catalogue, operation: &OperationDoc, ids: &Ids) -> Vec<Value> {
        let (collection, _) = operation.name.split_once('.').unwrap();
        let Some(aggregate) = catalogue.aggregates.iter().find(|aggregate| aggregate.collection == collection) else {
            let contact = ids.id(OURS, "ContactId");
            let by = |field: &str, op: &str, value: &str| json!({"field": field, "op": op, "value": value});
            return vec![
                by("subject", "contains", &format!("contact/{contact}")),
                by("correlation_id", "eq", &contact),
                by("type", "eq", "contact.created"),
                by("recorded_at", "gt", "2025-01-08T09:00:00Z"),
                json!({"all": [by("aggregate_kind", "eq", "contact"), by("aggregate_id", "eq", &contact)]}),
            ];
        };
        let fields = aggregate.fields.iter().filter(|field| aggregate.filterable.contains(&field.name));
        fields
            .flat_map(|field| {
                values(field, ids).into_iter().map(|(op, value)| json!({"field": field.name, "op": op, "value": value}))
            })
            .collect()
    }

    /// What goes on beside queries.
    fn work(&self) {
        let channels = self.must(Some(OURS), "channels.list", json!({}));
        let gateway =
            channels["items"].as_array().unwrap().iter().find(|line| line["type"] == "whatsapp_business").unwrap();
        let channel = &gateway["id"];
        let them = json!({"wid": "5511999990002", "display_name": "Ana"});
        let item = json!({
            "type": "message", "channel_message_id": "M9", "from_me": false, "sender": them, "peer": them,
            "chat": {"external_id": "5511999990002@c.us", "class": "individual", "kind_detail": "direct", "subject": null},
            "timestamp": "2025-01-06T09:00:50Z", "content": {"type": "text", "body": "Olá"},
        });
        let heard = self.must(Some(OURS), "inbound.ingest", json!({"channel_id": channel, "item": item}));
        self.must(Some(OURS), "messages.mark_read", json!({"ids": [heard[0]["message_id"]]}));
        self.must(Some(OURS), "messages.claim_due", json!({"channel_id": channel}));
        let zoe = json!({"name": "Zoe", "email": "zoe@example.com", "tags": ["vip"]}).to_string();
        let context = Context::new(Some(OURS), ActorRef::system(Component::Host));
        let once = Context { idempotency_key: Some("zoe".into()), ..context };
        block_on(self.world.crm.call("contacts.create", once, zoe.as_bytes())).unwrap();
    }
}

/// Comparisons that a field of this kind is asked for.
fn values(field: &FieldDoc, ids: &Ids) -> Vec<(&'static str, Value)> {
    match field.kind {
        FieldKind::Text => vec![("eq", json!("n77")), ("starts_with", json!("n77"))],
        FieldKind::Enum => vec![("eq", json!("active")), ("in", json!(["active", "queued"]))],
        FieldKind::Number => vec![("gt", json!(3))],
        FieldKind::Bool => vec![("eq", json!(true))],
        FieldKind::Instant => vec![("gt", json!("2025-01-08T09:00:00Z")), ("is_null", Value::Null)],
        FieldKind::Date => vec![("eq", json!("1990-05-17"))],
        FieldKind::Set => vec![("contains", json!("vip"))],
        FieldKind::Id => vec![("eq", json!(ids.id(OURS, "ContactId")))],
        FieldKind::Json => Vec::new(),
    }
}

fn sorts(catalogue: &Catalogue, operation: &OperationDoc) -> Vec<Value> {
    let (collection, _) = operation.name.split_once('.').unwrap();
    let aggregate = catalogue.aggregates.iter().find(|aggregate| aggregate.collection == collection);
    let fields = aggregate.map(|aggregate| aggregate.sortable.clone()).unwrap_or_default();
    fields.iter().flat_map(|field| [json!([field]), json!([format!("-{field}")])]).collect()
}

/// Looks at the plans that the server has written down.
#[track_caller]
fn check(folder: &Path, asked: &BTreeSet<&'static str>) {
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    let plans: Vec<&str> = log.split("LOG:  duration:").skip(1).collect();
    let (mut walked, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for plan in &plans {
        for Large { table, .. } in LARGE.iter().filter(|large| large.rows >= ROWS / 10) {
            let names = |word: &str| {
                plan.contains(&format!("{word} on {table} ")) || plan.contains(&format!("{word} on \"{table}\""))
            };
            if names("Seq Scan") {
                let query = plan.lines().find(|line| line.contains("Query Text:")).unwrap_or_default();
                walked.entry(query.to_owned()).or_insert(*plan);
            }
            if plan.contains(&format!(" on {table} ")) {
                seen.insert(*table);
            }
        }
    }
    eprintln!("{} plans of {} operations", plans.len(), asked.len());
    let report: Vec<&str> = walked.into_values().collect();
    assert!(report.is_empty(), "{} statements walk a large table:\n{}", report.len(), report.join("\n"));
    let unseen: Vec<_> = LARGE
        .iter()
        .filter(|large| large.rows >= ROWS / 10 && !seen.contains(large.table))
        .map(|large| large.table)
        .collect();
    assert!(unseen.is_empty(), "nothing was asked of {unseen:?}");
    assert!(plans.len() > 500 && asked.len() > 40, "{} plans of {asked:?}", plans.len());
}
