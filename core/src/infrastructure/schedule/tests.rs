//! The acceptance cases of the workflows page that are about schedules, on their operations.

use crate::engine::Project;
use crate::infrastructure::job::tests::{call, refused};
use crate::kernel::{ErrorCode, ProjectId, Timestamp};
use crate::storage::{JobQuery, Scope};
use crate::testing::{World, block_on};
use serde_json::{Value, json};
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));
const HOUR: i64 = 3_600;

/// A project, and a schedule of every hour from ten o'clock on; it is nine.
fn hourly(extra: Value) -> (World, Project, Value) {
    let world = World::new();
    let project = world.found(PROJECT);
    let mut input = json!({"kind": "host.report", "target": {"list": "vip"}, "recurrence": {"type": "interval", "every_minutes": 60}});
    input.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    let made = call(&project, "schedules.create", input);
    (world, project, made)
}

fn pass(world: &World, seconds: i64) {
    world.clock.advance_seconds(seconds);
    let report = block_on(world.crm.run_pending()).expect("it runs");
    assert_eq!(report.failures, 0);
}

fn jobs(project: &Project) -> Vec<Value> {
    let list = call(project, "jobs.list", json!({"kind": "host.report", "limit": 100}));
    let mut jobs = list["items"].as_array().expect("a list").clone();
    jobs.reverse();
    jobs
}

fn get(project: &Project, made: &Value) -> Value {
    call(project, "schedules.get", json!({"id": made["id"]}))
}

/// Does all jobs that are due.
fn work_off(project: &Project) -> usize {
    let mut done = 0;
    loop {
        let claimed = call(project, "jobs.claim", json!({"kinds": ["host.report"]}));
        let claimed = claimed.as_array().expect("a list").clone();
        if claimed.is_empty() {
            return done;
        }
        done += claimed.len();
        for job in claimed {
            let outcome = json!({"id": job["id"], "lease_token": job["lease_token"], "outcome": {"type": "done"}});
            call(project, "jobs.report", outcome);
        }
    }
}

fn events(project: &Project, made: &Value) -> Vec<Value> {
    let id = made["id"].as_str().expect("an id");
    let filter = json!({"field": "subject", "op": "contains", "value": format!("schedule/{id}")});
    let list = call(project, "events.list", json!({"filter": filter, "limit": 100}));
    list["items"].as_array().expect("a list").clone()
}

#[test]
fn each_planned_time_has_one_job() {
    let (world, project, made) = hourly(json!({}));
    assert_eq!(made["next_run_at"], "2025-01-06T10:00:00.000000Z");
    pass(&world, HOUR - 1);
    assert!(jobs(&project).is_empty());
    pass(&world, 1);
    let found = jobs(&project);
    assert_eq!(found.len(), 1);
    let id = made["id"].as_str().expect("an id");
    assert_eq!(found[0]["unique_key"], format!("schedule:{id}:2025-01-06T10:00:00.000000Z"));
    let details = call(&project, "jobs.get", json!({"id": found[0]["id"]}));
    assert_eq!(details["payload"], json!({"list": "vip"}));
    pass(&world, 0);
    assert_eq!((jobs(&project).len(), work_off(&project)), (1, 1));
    pass(&world, HOUR);
    assert_eq!(work_off(&project), 1);
    let now = get(&project, &made);
    assert_eq!(
        (&now["runs"], &now["next_run_at"], &now["last_outcome"]),
        (&json!(2), &json!("2025-01-06T12:00:00.000000Z"), &json!("triggered"))
    );
}

#[test]
fn case_11_what_was_missed() {
    for (misfire, expected) in [("fire_once", 1), ("all", 5), ("skip", 0)] {
        let (world, project, made) = hourly(json!({"misfire": misfire}));
        // The run of 14:00 is ten minutes late, and so no longer in time.
        pass(&world, 5 * HOUR + 600);
        assert_eq!((jobs(&project).len(), work_off(&project)), (expected, expected), "{misfire}");
        let now = get(&project, &made);
        assert_eq!((&now["runs"], &now["next_run_at"]), (&json!(expected), &json!("2025-01-06T15:00:00.000000Z")));
        let late = events(&project, &made).iter().filter_map(|event| event["data"]["late_by_ms"].as_u64()).max();
        let latest = [("fire_once", Some(600_000)), ("all", Some(4 * 3_600_000 + 600_000)), ("skip", None)];
        assert!(latest.contains(&(misfire, late)), "{misfire}: {late:?}");
    }
}

#[test]
fn nothing_is_enqueued_while_the_project_does_not_work() {
    let (world, project, made) = hourly(json!({}));
    call(&project, "projects.deactivate", json!({}));
    pass(&world, 3 * HOUR);
    assert_eq!((jobs(&project).len(), get(&project, &made)["runs"].clone()), (0, json!(0)));
    call(&project, "projects.activate", json!({}));
    pass(&world, 60);
    let now = get(&project, &made);
    assert_eq!((jobs(&project).len(), &now["next_run_at"]), (1, &json!("2025-01-06T13:00:00.000000Z")), "one for all");

    call(&project, "projects.delete", json!({"confirm_slug": call(&project, "projects.get", json!({}))["slug"]}));
    pass(&world, 2 * HOUR);
    let open = block_on(world.crm.core().storage().jobs(
        Scope::Project(PROJECT),
        &JobQuery { kind: Some("host.report".to_owned()), limit: 10, ..JobQuery::default() },
    ));
    assert_eq!(open.expect("it reads").len(), 1, "a deleted project gets none");
}

#[test]
fn a_run_a_little_late_is_none_that_was_missed() {
    let (world, project, _) = hourly(json!({"misfire": "skip"}));
    pass(&world, HOUR + 300);
    assert_eq!(work_off(&project), 1);
}

#[test]
fn no_more_than_a_hundred_runs_are_made_up_for() {
    let minutes = json!({"type": "interval", "every_minutes": 1});
    let (world, project, made) = hourly(json!({"misfire": "all", "overlap": "allow", "recurrence": minutes}));
    pass(&world, 400 * 24 * HOUR);
    let found = jobs(&project);
    let id = made["id"].as_str().expect("an id");
    let keys = [&found[0]["unique_key"], &found[99]["unique_key"]];
    assert_eq!(found.len(), 100);
    let last = Timestamp::parse("2025-01-06T09:00:00Z").expect("a moment").plus_seconds(400 * 24 * HOUR);
    let expected = [last.plus_seconds(-99 * 60), last].map(|planned| json!(format!("schedule:{id}:{planned}")));
    assert_eq!(keys, [&expected[0], &expected[1]]);
}

#[test]
fn runs_do_not_overlap_unless_they_may() {
    let (world, project, made) = hourly(json!({}));
    pass(&world, HOUR);
    pass(&world, HOUR);
    assert_eq!(jobs(&project).len(), 1, "the first is not done");
    let skipped = events(&project, &made);
    let last = skipped.last().expect("an event");
    assert_eq!((&last["type"], &last["data"]["cause"]), (&json!("schedule.skipped"), &json!("overlap")));
    assert_eq!(get(&project, &made)["last_outcome"], "overlap");
    work_off(&project);
    pass(&world, HOUR);
    assert_eq!(work_off(&project), 1);

    for (overlap, at_once) in [("queue", 1), ("allow", 2)] {
        let (world, project, _) = hourly(json!({"overlap": overlap}));
        pass(&world, HOUR);
        pass(&world, HOUR);
        let claimed = call(&project, "jobs.claim", json!({"kinds": ["host.report"]}));
        assert_eq!(claimed.as_array().map(Vec::len), Some(at_once), "{overlap}");
        assert_eq!(jobs(&project).len(), 2);
    }
}

#[test]
fn it_is_paused_resumed_changed_run_by_hand_and_deleted() {
    let (world, project, made) = hourly(json!({}));
    let id = json!({"id": made["id"]});
    let paused = call(&project, "schedules.pause", id.clone());
    assert_eq!((&paused["enabled"], &paused["next_run_at"]), (&json!(false), &Value::Null));
    assert_eq!(refused(&project, "schedules.pause", id.clone()), ErrorCode::InvalidState);
    pass(&world, 3 * HOUR);
    assert!(jobs(&project).is_empty());
    let ran = call(&project, "schedules.run_now", id.clone());
    assert_eq!((&ran["enabled"], &ran["runs"], work_off(&project)), (&json!(false), &json!(1), 1));

    let resumed = call(&project, "schedules.resume", id.clone());
    assert_eq!(resumed["next_run_at"], "2025-01-06T13:00:00.000000Z");
    assert_eq!(refused(&project, "schedules.resume", id.clone()), ErrorCode::InvalidState);
    let daily = json!({"id": made["id"], "recurrence": {"type": "daily", "hour": 18}, "target": {"list": "all"}});
    let changed = call(&project, "schedules.update", daily.clone());
    assert_eq!(changed["next_run_at"], "2025-01-06T18:00:00.000000Z");
    assert_eq!(call(&project, "schedules.update", daily)["version"], changed["version"], "nothing differs");
    pass(&world, 5 * HOUR);
    assert_eq!(jobs(&project).len(), 1);
    pass(&world, HOUR);
    assert_eq!(work_off(&project), 1);

    call(&project, "schedules.delete", id.clone());
    assert_eq!(refused(&project, "schedules.get", id), ErrorCode::ScheduleNotFound);
    pass(&world, 48 * HOUR);
    assert_eq!(work_off(&project), 0);
}

#[test]
fn it_ends_after_its_runs() {
    let (world, project, made) = hourly(json!({"max_runs": 2, "misfire": "all"}));
    pass(&world, 5 * HOUR);
    assert_eq!(work_off(&project), 2);
    let now = get(&project, &made);
    assert_eq!((&now["enabled"], &now["next_run_at"], &now["runs"]), (&json!(false), &Value::Null, &json!(2)));
    let id = json!({"id": made["id"]});
    assert_eq!(refused(&project, "schedules.resume", id.clone()), ErrorCode::ScheduleNeverFires);
    let too_few = json!({"id": made["id"], "max_runs": 2});
    assert_eq!(refused(&project, "schedules.update", too_few), ErrorCode::ScheduleInvalid);
    call(&project, "schedules.update", json!({"id": made["id"], "max_runs": null}));
    assert_eq!(call(&project, "schedules.resume", id)["next_run_at"], "2025-01-06T15:00:00.000000Z");

    let once = json!({"kind": "host.report", "recurrence": {"type": "once", "start_time": "2025-01-06T15:30:00Z"}});
    let once = call(&project, "schedules.create", once);
    pass(&world, 2 * HOUR);
    assert_eq!(get(&project, &once)["enabled"], json!(false));
}

#[test]
fn it_is_found_previewed_and_refused() {
    let (_world, project, made) = hourly(json!({"max_runs": 3}));
    let list = |field: &str, value: Value| {
        let filter = json!({"field": field, "op": "eq", "value": value});
        call(&project, "schedules.list", json!({"filter": filter, "sort": ["next_run_at"]}))["items"].clone()
    };
    for (field, value) in [("target.list", json!("VIP")), ("kind", json!("host.report")), ("enabled", json!(true))] {
        assert_eq!(list(field, value)[0]["id"], made["id"]);
    }
    assert_eq!(list("target.list", json!("all")), json!([]));
    let preview = call(&project, "schedules.preview", json!({"id": made["id"]}));
    assert_eq!(preview.as_array().map(Vec::len), Some(3), "it has three runs left");
    let friday = json!({"recurrence": {"type": "weekly", "days_of_week": [5], "hour": 8}, "limit": 2});
    let friday = call(&project, "schedules.preview", friday);
    assert_eq!(friday, json!(["2025-01-10T08:00:00.000000Z", "2025-01-17T08:00:00.000000Z"]));

    let wrong = |input: Value, code: ErrorCode| assert_eq!(refused(&project, "schedules.preview", input), code);
    wrong(json!({}), ErrorCode::FieldRequired);
    wrong(json!({"id": made["id"], "recurrence": {"type": "daily", "hour": 1}}), ErrorCode::InputInvalid);
    wrong(json!({"id": made["id"], "limit": 51}), ErrorCode::LimitOutOfRange);
    wrong(json!({"recurrence": {"type": "daily", "hour": 24}}), ErrorCode::ScheduleInvalid);
    let create = json!({"kind": "timer.session", "recurrence": {"type": "daily", "hour": 1}});
    assert_eq!(refused(&project, "schedules.create", create), ErrorCode::JobKindUnknown);
    let zone = json!({"kind": "host.x", "recurrence": {"type": "daily", "hour": 1, "timezone": "Mars/Olympus"}});
    assert_eq!(refused(&project, "schedules.create", zone), ErrorCode::TimezoneInvalid);
}
