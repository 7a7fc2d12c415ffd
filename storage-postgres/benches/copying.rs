//! How long a whole installation takes to move: from a file of so many messages (`VENTROS_MESSAGES`, 100 000) to PostgreSQL and back.
//!
//! The server is one of its own that makes everything durable, as the file does.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement is a program")]

#[path = "../tests/cluster/mod.rs"]
mod cluster;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ventros::engine::{Context, CopyPhase, CopyReport, Crm, Settings, Step};
use ventros::kernel::{ActorRef, Component, parse_uuid};
use ventros::storage::Storage;
use ventros::system::{SystemClock, SystemIds};
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;
use ventros_sqlite::SqliteStorage;

const CUSTOMERS: usize = 500;
const TOGETHER: usize = 200;

/// A shop with so many messages.
fn fill(path: &Path, messages: usize) {
    let storage = Arc::new(SqliteStorage::open(path).unwrap());
    let crm = block_on(Crm::open(Settings::new(storage, Arc::new(SystemClock), SystemIds::shared()))).unwrap();
    let host = || Context::new(None, ActorRef::system(Component::Host));
    let call = |operation: &str, context: Context, input: Value| -> Value {
        let answer = block_on(crm.call(operation, context, input.to_string().as_bytes())).unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    let acme = call("projects.create", host(), json!({"name": "Acme", "default_region": "BR"}));
    let id = parse_uuid(acme["id"].as_str().unwrap()).unwrap();
    let shop = || Context { project: Some(ventros::kernel::ProjectId::from_uuid(id)), ..host() };
    let made = call("channels.create", shop(), json!({"name": "WhatsApp", "type": "waha"}));
    let channel = made["id"].as_str().or_else(|| made["channel"]["id"].as_str()).unwrap().to_owned();
    let step = |number: usize| {
        let wid = format!("55119{:08}", 90_000_000 + number % CUSTOMERS);
        let them = json!({"wid": wid, "display_name": format!("Customer {}", number % CUSTOMERS)});
        let item = json!({
            "type": "message", "channel_message_id": format!("M{number}"), "from_me": false, "sender": them, "peer": them,
            "chat": {"external_id": format!("{wid}@c.us"), "class": "individual", "kind_detail": "direct", "subject": null},
            "timestamp": ventros::kernel::Timestamp::from_seconds(1_735_689_600 + number as i64 * 20).unwrap().to_string(),
            "content": {"type": "text", "body": format!("Message {number}: could you send me the price list for Saturday?")},
        });
        let input = json!({"channel_id": channel, "item": item});
        Step { operation: "inbound.ingest".to_owned(), input: RawValue::from_string(input.to_string()).unwrap() }
    };
    for first in (0..messages).step_by(TOGETHER) {
        let steps: Vec<Step> = (first..messages.min(first + TOGETHER)).map(step).collect();
        block_on(crm.transact(shop(), &steps)).unwrap();
    }
    block_on(crm.close()).unwrap();
}

/// Copies, and says how long it took to write and to compare.
fn measure(what: &str, source: &dyn Storage, target: &dyn Storage) -> CopyReport {
    let start = Instant::now();
    let mut copied = Duration::ZERO;
    let mut listener = |progress: &ventros::engine::CopyProgress| {
        if progress.phase == CopyPhase::Copying {
            copied = start.elapsed();
        }
        ControlFlow::Continue(())
    };
    let report = block_on(ventros::copy(source, target, &mut listener)).unwrap();
    let (copied, all) = (copied.as_secs_f64(), start.elapsed().as_secs_f64());
    let rate = report.rows as f64 / all;
    println!("{what:<24} {} rows in {all:.1} s ({copied:.1} s to write them): {rate:.0} rows/s", report.rows);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    report
}

fn main() {
    let messages = std::env::var("VENTROS_MESSAGES").map_or(100_000, |text| text.replace('_', "").parse().unwrap());
    let folder = std::env::temp_dir().join(format!("ventros-copying-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let kept = std::env::var_os("VENTROS_FILE").map(std::path::PathBuf::from);
    let path = kept.unwrap_or_else(|| folder.join("crm.db"));
    if !path.exists() {
        let start = Instant::now();
        fill(&path, messages);
        println!("{messages} messages in {:.1} s", start.elapsed().as_secs_f64());
    }
    println!("{} MB", std::fs::metadata(&path).unwrap().len() >> 20);
    cluster::start_in(&folder);
    cluster::stop(&folder);
    cluster::start(&folder, "on");
    cluster::end_with_program(folder.clone());
    let file = SqliteStorage::open(&path).unwrap();
    let database = block_on(PostgresStorage::open(&cluster::address_in(&folder))).unwrap();
    let there = measure("SQLite to PostgreSQL", &file, &database);
    let back = SqliteStorage::open(folder.join("back.db")).unwrap();
    assert_eq!(measure("PostgreSQL to SQLite", &database, &back).log_hash, there.log_hash);
    let again = SqliteStorage::open(folder.join("again.db")).unwrap();
    measure("SQLite to SQLite", &file, &again);
}
