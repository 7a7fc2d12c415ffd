//! The acceptance cases of projects.
#![cfg(feature = "testing")]

use serde_json::{Value, json};
use ventros::kernel::{Error, ErrorCode, Patch};
use ventros::tenancy::project::Project;
use ventros::tenancy::project::commands::{CreateProject, UpdateProject};
use ventros::tenancy::project::queries::{FindProject, GetProject, ListProjects};
use ventros::testing::{World, block_on};

fn named(name: &str) -> CreateProject {
    CreateProject { name: name.to_owned(), ..CreateProject::default() }
}

#[track_caller]
fn create(world: &World, input: Value) -> Project {
    try_create(world, input).unwrap()
}

fn try_create(world: &World, input: Value) -> Result<Project, Error> {
    block_on(world.crm.execute(serde_json::from_value::<CreateProject>(input).unwrap()))
}

fn update(world: &World, project: &Project, change: Value) -> Result<Project, Error> {
    let command = ventros::kernel::input::parse_value::<UpdateProject>(change)?;
    block_on(world.crm.project(project.id).execute(command))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, code: ErrorCode, field: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.code(), error.field()), (code, Some(field).filter(|field| !field.is_empty())));
}

#[test]
fn case_01_a_project_starts_with_its_defaults() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme Sales"}));
    assert_eq!(project.slug.as_str(), "acme-sales");
    assert!(project.is_active());
    assert_eq!((project.session_timeout_minutes, project.default_region.as_str()), (30, "BR"));
    let assignment = serde_json::to_value(&project.agent_assignment).unwrap();
    assert_eq!(assignment["enabled"], false);
    assert_eq!(assignment["strategy"], "manual");
    assert_eq!(assignment["exclude_virtual_agents"], true);
    assert_eq!(assignment["require_at_least_one_agent"], true);
    assert_eq!((project.version, project.project_id), (1, project.id));
    let shop = world.crm.project(project.id);
    assert_eq!(block_on(shop.query(GetProject {})).unwrap(), project);
    let slug = project.slug.clone();
    assert_eq!(block_on(world.crm.query(FindProject { slug })).unwrap(), Some(project.clone()));
    assert_eq!(block_on(world.crm.query(ListProjects::default())).unwrap().items, vec![project]);
}

#[test]
fn case_03_names_and_slugs_have_rules() {
    let world = World::new();
    refused(block_on(world.crm.execute(named("A"))), ErrorCode::NameTooShort, "name");
    refused(block_on(world.crm.execute(named(&"a".repeat(101)))), ErrorCode::NameTooLong, "name");
    let project = create(&world, json!({"name": "Acme"}));
    refused(update(&world, &project, json!({"slug": "Acme_1"})), ErrorCode::SlugInvalid, "slug");
    refused(update(&world, &project, json!({"name": null})), ErrorCode::FieldRequired, "name");
}

#[test]
fn case_04_a_session_timeout_is_never_coerced() {
    let world = World::new();
    for minutes in [0, 1441] {
        let result = try_create(&world, json!({"name": "Acme", "session_timeout_minutes": minutes}));
        refused(result, ErrorCode::SessionTimeoutOutOfRange, "session_timeout_minutes");
    }
    let project = create(&world, json!({"name": "Acme", "session_timeout_minutes": 1}));
    let project = update(&world, &project, json!({"session_timeout_minutes": 1440})).unwrap();
    assert_eq!((project.session_timeout_minutes, project.version), (1440, 2));
    assert_eq!(update(&world, &project, json!({"session_timeout_minutes": 1440})).unwrap().version, 2);
}

#[test]
fn case_24_patches_of_different_keys_both_survive() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme"}));
    update(&world, &project, json!({"configuration": {"set": {"a": 1}}})).unwrap();
    let project = update(&world, &project, json!({"configuration": {"set": {"b": 2}, "unset": ["none"]}})).unwrap();
    assert_eq!(Value::Object(project.configuration.clone()), json!({"a": 1, "b": 2}));
    assert_eq!(project.version, 3);
    let command = UpdateProject { description: Patch::Value("Sells".into()), ..UpdateProject::default() };
    assert_eq!(block_on(world.crm.project(project.id).execute(command)).unwrap().description, "Sells");
}
