//! A deleted project goes for good after its time, and nothing of it is left but a tombstone.

use super::Project;
use crate::infrastructure::job::tests::{call, refused};
use crate::kernel::{ErrorCode, ProjectId};
use crate::storage::{EventQuery, Scope};
use crate::testing::{World, block_on};
use serde_json::{Value, json};
use uuid::Uuid;

const GONE: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));
const KEPT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xB11));
const DAY: i64 = 86_400;

fn system(world: &World, operation: &str, input: Value) -> Result<Value, ErrorCode> {
    let context = crate::engine::Context::new(None, crate::kernel::ActorRef::system(crate::kernel::Component::Host));
    let output = block_on(world.crm.call(operation, context, input.to_string().as_bytes()));
    output.map(|text| serde_json::from_str(&text).expect("JSON")).map_err(|error| error.code())
}

fn furnished(world: &World, id: ProjectId) {
    let project = world.found(id);
    for number in 0..30 {
        let contact = call(&project, "contacts.create", json!({"name": format!("Contact {number}"), "tags": ["vip"]}));
        call(&project, "contacts.update", json!({"id": contact["id"], "name": format!("Person {number}")}));
    }
    let receiver = json!({"name": "Hook", "url": "https://hooks.example.com/in", "event_types": ["contact.*"]});
    call(&project, "webhooks.create", receiver);
    call(&project, "jobs.enqueue", json!({"kind": "host.report"}));
    call(&project, "consumers.create", json!({"name": "reader", "start": {"type": "beginning"}}));
    block_on(world.crm.run_pending()).expect("it runs");
}

fn delete(world: &World) {
    let project = world.crm.project(GONE);
    let slug = call(&project, "projects.get", json!({}))["slug"].clone();
    call(&project, "projects.delete", json!({"confirm_slug": slug}));
}

fn rows(world: &World, id: ProjectId) -> std::collections::BTreeMap<String, u64> {
    block_on(world.crm.core().storage().count_project(id)).expect("it counts")
}

fn pass(world: &World, days: i64) {
    world.clock.advance_seconds(days * DAY);
    let report = block_on(world.crm.run_pending()).expect("it runs");
    assert_eq!(report.failures, 0);
}

#[test]
fn a_deleted_project_is_purged_after_its_time() {
    let world = World::with_vault();
    furnished(&world, GONE);
    furnished(&world, KEPT);
    let slug = call(&world.crm.project(GONE), "projects.get", json!({}))["slug"].clone();
    delete(&world);
    pass(&world, 29);
    let before = rows(&world, GONE);
    assert_eq!((before["contacts"], before["webhooks"]), (30, 1));
    assert!(before.contains_key("secrets") && before.contains_key("events"), "{before:?}");
    let kept = rows(&world, KEPT);
    pass(&world, 1);

    let left = rows(&world, GONE);
    assert_eq!((left.get("projects"), left.get("events")), (Some(&1), Some(&1)), "{left:?}");
    for table in ["contacts", "webhooks", "jobs", "secrets", "dead_letters", "idempotency_keys", "webhook_deliveries"] {
        assert_eq!(left.get(table), None, "{table}");
    }
    let log = EventQuery { limit: 10, ..EventQuery::default() };
    let log = block_on(world.crm.core().storage().events(Scope::Project(GONE), &log)).expect("the log is readable");
    let told: Value = serde_json::from_str(log[0].data.get()).expect("JSON");
    assert_eq!(
        (log[0].event_type.as_str(), log[0].seq, &told["row_counts"]["contacts"]),
        ("project.purged", 1, &json!(30))
    );
    let now = rows(&world, KEPT);
    assert_eq!((now["contacts"], now["events"], now["secrets"]), (kept["contacts"], kept["events"], kept["secrets"]));
    world.assert_log_matches();

    assert_eq!(refused(&world.crm.project(GONE), "projects.get", json!({})), ErrorCode::ProjectNotFound);
    assert_eq!(refused(&world.crm.project(GONE), "projects.restore", json!({})), ErrorCode::PurgeWindowPassed);
    assert_eq!(system(&world, "projects.purge", json!({"id": GONE})).unwrap_err(), ErrorCode::ProjectNotFound);
    let again = system(&world, "projects.create", json!({"name": "New", "slug": slug})).expect("the slug is free");
    assert_eq!(again["slug"], slug);
}

#[test]
fn nothing_is_purged_before_its_time_or_after_its_return() {
    let world = World::with_vault();
    furnished(&world, GONE);
    let purge = |world: &World| system(world, "projects.purge", json!({"id": GONE}));
    assert_eq!(purge(&world).unwrap_err(), ErrorCode::InvalidState);
    delete(&world);
    assert_eq!(purge(&world).unwrap_err(), ErrorCode::PurgeTooEarly);
    call(&world.crm.project(GONE), "projects.restore", json!({}));
    pass(&world, 40);
    assert_eq!(rows(&world, GONE)["contacts"], 30);
    assert_eq!(system(&world, "projects.purge", json!({"id": KEPT})).unwrap_err(), ErrorCode::ProjectNotFound);
}

#[test]
fn whoever_asks_is_told_how_far_it_is() {
    let world = World::with_vault();
    furnished(&world, GONE);
    delete(&world);
    world.clock.advance_seconds(30 * DAY);
    let first = system(&world, "projects.purge", json!({"id": GONE})).expect("it is time");
    let second = system(&world, "projects.purge", json!({"id": GONE})).expect("it is under way");
    assert_eq!((&first["id"], &first["status"]), (&second["id"], &json!("running")));
    pass(&world, 0);
    let (kind, ids) = (crate::kernel::Kind::Project, [GONE.uuid()]);
    let found = block_on(world.crm.core().storage().get(Scope::Project(GONE), kind, &ids)).expect("it reads");
    let state: Project = serde_json::from_str(&found[0].state).expect("a project");
    assert!(state.purged_at.is_some());
}
