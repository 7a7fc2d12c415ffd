//! A stretch of time that passes as fast as the machine allows: the clock jumps from one due moment to the next. The same seed gives
//! the same log, whatever the store.

use super::{World, block_on};
use crate::engine::Project;
use crate::kernel::{Clock, ProjectId, Timestamp};
use crate::storage::{EventQuery, Scope, Storage};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0x0EA2));
const DAY_SECONDS: i64 = 24 * 3_600;
/// Somebody writes every so many days, so that sessions begin and time ends them.
const WRITES_EVERY_DAYS: i64 = 3;
/// How much of the log is read at a time.
const PAGE: usize = 500;

/// Lives so many days with schedules of every kind, jobs that are done as they come, and sessions that time ends. Gives the log, a line
/// for every event.
///
/// # Panics
/// When something fails, runs twice, or before its time.
pub fn days_pass(storage: Arc<dyn Storage>, days: i64) -> Vec<String> {
    let world = World::on(storage).expect("the store opens");
    let shop = world.found(PROJECT);
    let channel = json!({"name": "Line", "type": "whatsapp_business"});
    let channel = call(&shop, "channels.create", channel)["id"].clone();
    call(&shop, "channels.activate", json!({"id": channel}));
    call(&shop, "channels.report_connection", json!({"id": channel, "connection": "connected"}));
    let recurrences = [
        json!({"type": "interval", "every_minutes": 720}),
        json!({"type": "daily", "hour": 2, "minute": 30, "timezone": "Europe/Berlin"}),
        json!({"type": "weekly", "days_of_week": [1, 5], "hour": 9, "timezone": "America/Sao_Paulo"}),
        json!({"type": "monthly", "day_of_month": 31, "hour": 18}),
        json!({"type": "cron", "cron_expr": "0 12 15W * *"}),
    ];
    for recurrence in recurrences {
        call(&shop, "schedules.create", json!({"kind": "host.work", "recurrence": recurrence}));
    }
    let end = world.clock.now().plus_seconds(days * DAY_SECONDS);
    let mut writes_at = world.clock.now();
    let (mut written, mut moments) = (0, 0);
    while let Some(due) = block_on(world.crm.next_due()).expect("the store answers").filter(|due| *due <= end) {
        let due = due.max(world.clock.now());
        if due >= writes_at {
            written += 1;
            writes_at = writes_at.plus_seconds(WRITES_EVERY_DAYS * DAY_SECONDS);
            write(&shop, &channel, written, world.clock.now());
        }
        moments += 1;
        assert!(moments < days * 100, "time stands still at {due}");
        world.clock.set(&due.to_string());
        let report = block_on(world.crm.run_pending()).expect("it runs");
        assert_eq!(report.failures, 0);
        do_jobs(&shop, due.micros());
    }
    world.assert_log_matches();
    log(&world)
}

#[track_caller]
fn call(project: &Project, operation: &str, input: Value) -> Value {
    let output = block_on(project.crm().call(operation, project.context(), input.to_string().as_bytes()));
    let output = output.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
    serde_json::from_str(&output).expect("an output is JSON")
}

fn write(shop: &Project, channel: &Value, number: u32, at: Timestamp) {
    let item = json!({
        "type": "message", "channel_message_id": format!("A{number}"), "from_me": false, "timestamp": at,
        "chat": {"class": "individual", "external_id": "5511999998888@c.us", "kind_detail": "direct"},
        "sender": {"display_name": "Ana", "wid": "5511999998888"},
        "content": {"type": "text", "body": "Oi"},
    });
    call(shop, "inbound.ingest", json!({"channel_id": channel, "item": item}));
}

/// Does what is due, each job no earlier than its planned time, which ends its unique key.
fn do_jobs(shop: &Project, now: i64) {
    for job in call(shop, "jobs.claim", json!({"kinds": ["host.work"], "limit": 100})).as_array().expect("a list") {
        let key = job["unique_key"].as_str().expect("a run has a key");
        let planned = key.splitn(3, ':').nth(2).expect("a run has a planned time");
        let planned = Timestamp::parse(planned).expect("a planned time is a moment");
        assert_eq!(planned.micros(), now, "in its time");
        let outcome = json!({"type": "done"});
        call(shop, "jobs.report", json!({"id": job["id"], "lease_token": job["lease_token"], "outcome": outcome}));
    }
}

fn log(world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    let mut after = 0;
    loop {
        let query = EventQuery { after, limit: PAGE, ..EventQuery::default() };
        let events = block_on(world.crm.core().storage().events(Scope::Project(PROJECT), &query));
        let events = events.expect("the log is readable");
        let Some(last) = events.last() else { return lines };
        after = last.seq;
        let line = |event: &crate::storage::EventRecord| {
            format!("{} {} {} {}", event.occurred_at, event.id, event.event_type, event.data.get())
        };
        lines.extend(events.iter().map(line));
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::MemoryStorage;
    use std::sync::Arc;

    #[test]
    fn a_year_passes_the_same_way_every_time() {
        let year = || super::days_pass(Arc::new(MemoryStorage::default()), 365);
        let log = year();
        let count = |word: &str| log.iter().filter(|line| line.split(' ').nth(2) == Some(word)).count();
        // Twice a day, daily, 105 Mondays and Fridays, twelve ends of months and twelve fifteenths.
        let data = |line: &String| line.splitn(4, ' ').nth(3).map(|data| serde_json::from_str(data).expect("JSON"));
        let pruned = log.iter().filter(|line| line.split(' ').nth(2) == Some("event_log.pruned")).filter_map(data);
        let pruned: u64 = pruned.filter_map(|data: serde_json::Value| data["removed"].as_u64()).sum();
        assert!(pruned > 500, "what is noise went after ninety days: {pruned}");
        let runs = count("schedule.triggered") + usize::try_from(pruned).expect("few");
        assert!((730 + 365 + 103 + 24..=730 + 365 + 106 + 24).contains(&runs), "{runs}");
        assert_eq!(count("schedule.skipped"), 0);
        assert!(count("session.ended") > 100, "{}", count("session.ended"));
        assert!(log == year(), "the same seed gives the same log");
    }
}
