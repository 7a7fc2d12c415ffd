//! The acceptance cases of projects.

use super::*;
use ventros::channels::channel::commands::CreateChannel;
use ventros::contacts::contact::commands::CreateContact;
use ventros::conversations::inbound::Ingest;
use ventros::conversations::message::commands::SendMessage;
use ventros::kernel::{AgentId, Component, Patch, Timestamp};
use ventros::tenancy::project::commands::*;
use ventros::tenancy::project::queries::{
    EffectiveSessionTimeout, FindProject, GetProject, ListProjects, NextAssignee,
};
use ventros::tenancy::project::{
    AgentAssignmentConfig, AssignmentCandidate, AssignmentStrategy, BusinessHours, ProjectStatus, ReassignmentRule,
};

fn try_create(world: &World, input: Value) -> Result<Project> {
    host::<CreateProject>(world, input)
}

#[track_caller]
fn create(world: &World, input: Value) -> Project {
    try_create(world, input).unwrap()
}

fn run<C: Command<Output = Project>>(world: &World, project: &Project, input: Value) -> Result<Project> {
    inside::<C>(world, project.id, ActorRef::system(Component::Host), input)
}

fn update(world: &World, project: &Project, change: Value) -> Result<Project> {
    run::<UpdateProject>(world, project, change)
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
    assert_eq!((project.version, project.project_id, project.owner_user_id), (1, project.id, None));
    let shop = world.crm.project(project.id);
    assert_eq!(block_on(shop.query(GetProject {})).unwrap(), project);
    let slug = project.slug.clone();
    assert_eq!(block_on(world.crm.query(FindProject { slug })).unwrap(), Some(project.clone()));
    assert_eq!(block_on(world.crm.query(ListProjects::default())).unwrap().items, vec![project]);
}

#[test]
fn case_03_names_and_slugs_have_rules() {
    let world = World::new();
    refused_at(try_create(&world, json!({"name": "A"})), ErrorCode::NameTooShort, "name");
    refused_at(try_create(&world, json!({"name": "a".repeat(101)})), ErrorCode::NameTooLong, "name");
    let project = create(&world, json!({"name": "Acme"}));
    refused_at(update(&world, &project, json!({"slug": "Acme_1"})), ErrorCode::SlugInvalid, "slug");
    refused_at(update(&world, &project, json!({"name": null})), ErrorCode::FieldRequired, "name");
}

#[test]
fn case_04_a_session_timeout_is_never_coerced() {
    let world = World::new();
    for minutes in [0, 1441] {
        let result = try_create(&world, json!({"name": "Acme", "session_timeout_minutes": minutes}));
        refused_at(result, ErrorCode::SessionTimeoutOutOfRange, "session_timeout_minutes");
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

#[test]
fn case_01_the_founder_owns_it_in_one_flow() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let project = project_of(&world, &ana, "Acme Sales");
    assert_eq!(project.owner_user_id, Some(ana.id));
    let names = ["project.created", "project_member.invited", "project_member.joined"];
    assert_eq!(types(&world, project.id), names);
    let bob = user(&world, "bob@acme.com");
    let gift = json!({"name": "Gift", "owner_user_id": ana.id});
    refused(as_user::<CreateProject>(&world, bob.id, gift.clone()), ErrorCode::PermissionDenied);
    let gift = host::<CreateProject>(&world, gift).unwrap();
    let seen = |actor: &User| {
        let context = Context::new(None, ActorRef::user(actor.id));
        let page = block_on(world.crm.ask(context, ListProjects::default())).unwrap();
        page.items.into_iter().map(|project| project.id).collect::<Vec<_>>()
    };
    assert_eq!((seen(&ana), seen(&bob)), (vec![gift.id, project.id], vec![]));
    world.assert_log_matches();
}

#[test]
fn case_02_a_slug_is_free_after_deletion() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme Sales"}));
    let again = || try_create(&world, json!({"name": "Other", "slug": "acme-sales"}));
    refused(again(), ErrorCode::ProjectSlugTaken);
    run::<DeleteProject>(&world, &project, json!({"confirm_slug": "acme-sales"})).unwrap();
    again().unwrap();
    refused(run::<RestoreProject>(&world, &project, json!({})), ErrorCode::ProjectSlugTaken);
}

#[test]
fn case_05_assignment_needs_agents() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme"}));
    let enable = json!({"agent_assignment": {"enabled": true, "strategy": "round_robin"}});
    let field = "agent_assignment.agent_ids";
    refused_at(update(&world, &project, enable), ErrorCode::AssignmentAgentsRequired, field);
    let enable = json!({"agent_assignment": {"enabled": true, "require_at_least_one_agent": false}});
    assert!(update(&world, &project, enable).unwrap().agent_assignment.enabled);
    let next = ask(&world, project.id, ActorRef::system(Component::Host), NextAssignee::default());
    refused(next, ErrorCode::AssignmentNotEnabled);
    let open = json!({"agent_assignment": {"exclude_virtual_agents": false}});
    refused(update(&world, &project, open), ErrorCode::VirtualAgentsCannotAttend);
}

#[test]
fn case_06_only_agents_of_the_project_are_assigned() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme"}));
    let agent = json!({"agent_id": "0199d1c2-0000-7000-8000-00000000000a"});
    refused_at(run::<AddAssignmentAgent>(&world, &project, agent.clone()), ErrorCode::AgentNotFound, "agent_id");
    refused(run::<RemoveAssignmentAgent>(&world, &project, agent), ErrorCode::AgentNotInAssignment);
}

fn agent(letter: char) -> AgentId {
    AgentId::from_uuid(
        ventros::kernel::parse_uuid(&format!("0199d1c2-0000-7000-8000-0000000000{:02x}", u32::from(letter))).unwrap(),
    )
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn candidate(letter: char, open_sessions: u32, last: Option<&str>) -> AssignmentCandidate {
    AssignmentCandidate {
        id: agent(letter),
        can_attend: true,
        is_human: true,
        is_available: true,
        open_sessions,
        max_open_sessions: None,
        last_assigned_at: last.map(at),
    }
}

fn assigning(strategy: AssignmentStrategy, letters: &str) -> AgentAssignmentConfig {
    let agent_ids = letters.chars().map(agent).collect();
    AgentAssignmentConfig { enabled: true, strategy, agent_ids, ..AgentAssignmentConfig::default() }
}

#[test]
fn case_07_agents_take_turns() {
    let config = assigning(AssignmentStrategy::RoundRobin, "ABC");
    let mut known = [
        candidate('A', 0, Some("2025-01-06T10:00:00Z")),
        candidate('B', 0, Some("2025-01-06T09:00:00Z")),
        candidate('C', 0, None),
    ];
    for (expected, when) in
        [('C', "2025-01-06T11:00:00Z"), ('B', "2025-01-06T12:00:00Z"), ('A', "2025-01-06T13:00:00Z")]
    {
        let next = config.next_agent(&known, None).unwrap();
        assert_eq!(next, agent(expected));
        known.iter_mut().filter(|known| known.id == next).for_each(|known| known.last_assigned_at = Some(at(when)));
    }
    assert_eq!(config.next_agent(&known, Some(agent('C'))).unwrap(), agent('B'));
}

#[test]
fn case_08_the_least_busy_agent_is_next() {
    let config = assigning(AssignmentStrategy::LeastSessions, "ABC");
    let known = [
        candidate('A', 3, None),
        candidate('B', 1, Some("2025-01-06T10:00:00Z")),
        candidate('C', 1, Some("2025-01-06T09:00:00Z")),
    ];
    assert_eq!(config.next_agent(&known, None).unwrap(), agent('C'));
}

#[test]
fn case_09_a_bot_is_nobody_where_people_are_wanted() {
    let mut config = assigning(AssignmentStrategy::RoundRobin, "A");
    config.only_human_agents = true;
    let bot = AssignmentCandidate { is_human: false, ..candidate('A', 0, None) };
    refused(config.next_agent(&[bot], None), ErrorCode::NoEligibleAgent);
}

#[test]
fn case_10_the_fallback_attends_when_all_are_busy() {
    let mut config = assigning(AssignmentStrategy::RoundRobin, "A");
    config.max_open_sessions_per_agent = Some(5);
    config.fallback_agent_id = Some(agent('F'));
    let known = [candidate('A', 5, None), candidate('F', 9, None)];
    assert_eq!(config.next_agent(&known, None).unwrap(), agent('F'));
    refused(config.next_agent(&known, Some(agent('F'))), ErrorCode::NoEligibleAgent);
}

fn rules(input: Value) -> Result<Vec<ReassignmentRule>> {
    let patch = serde_json::from_value(json!({ "reassignment_rules": input })).unwrap();
    let mut number = 0;
    let new_id = || {
        number += 1;
        format!("0199d1c2-0000-7000-8000-{number:012}").parse().unwrap()
    };
    AgentAssignmentConfig::default().patched(patch, new_id).map(|config| config.reassignment_rules)
}

#[test]
fn case_11_a_rule_fires_when_its_time_has_come() {
    let rule = |max: u32| {
        let input = json!([{"trigger": "inactivity", "inactivity_timeout_minutes": 30, "max_reassignments": max}]);
        rules(input).unwrap().remove(0)
    };
    let last = at("2025-01-06T10:00:00Z");
    assert!(!rule(3).fires(last, 0, None, at("2025-01-06T10:29:59Z")));
    assert!(rule(3).fires(last, 0, None, at("2025-01-06T10:30:00Z")));
    assert!(!rule(3).fires(last, 3, None, at("2025-01-06T10:30:00Z")));
    assert!(rule(0).fires(last, 99, None, at("2025-01-06T10:30:00Z")));
}

#[test]
fn case_12_rules_are_timed() {
    let manual = rules(json!([{"trigger": "manual"}])).unwrap();
    assert!(!manual[0].fires(at("2025-01-01T00:00:00Z"), 0, None, at("2025-01-06T00:00:00Z")));
    let field = "reassignment_rules[0].inactivity_timeout_minutes";
    let none = rules(json!([{"trigger": "inactivity", "enabled": false}]));
    refused_at(none, ErrorCode::ReassignmentTimeoutInvalid, field);
    let many: Vec<Value> = (0..21).map(|_| json!({"trigger": "manual"})).collect();
    refused(rules(json!(many)), ErrorCode::ReassignmentRuleLimit);
}

#[test]
fn case_13_the_first_rule_wins() {
    let input = json!([
        {"trigger": "no_response", "inactivity_timeout_minutes": 10},
        {"trigger": "inactivity", "inactivity_timeout_minutes": 5},
    ]);
    let reassignment_rules = rules(input).unwrap();
    let config = AgentAssignmentConfig { reassignment_rules, ..AgentAssignmentConfig::default() };
    let due = config.reassignment_due(at("2025-01-06T10:00:00Z"), 0, None, at("2025-01-06T10:12:00Z"));
    assert_eq!(due, Some(&config.reassignment_rules[0]));
}

#[test]
fn case_14_only_business_hours_count() {
    let day = json!([{"start": "09:00", "end": "18:00"}]);
    let weekly = json!({"monday": day, "tuesday": day, "wednesday": day, "thursday": day, "friday": day});
    let hours: BusinessHours =
        serde_json::from_value(json!({"timezone": "America/Sao_Paulo", "weekly": weekly})).unwrap();
    let input =
        json!([{"trigger": "inactivity", "inactivity_timeout_minutes": 30, "only_during_business_hours": true}]);
    let rule = rules(input).unwrap().remove(0);
    let friday = at("2025-10-10T17:50:00-03:00");
    assert!(!rule.fires(friday, 0, Some(&hours), at("2025-10-11T12:00:00-03:00")));
    assert!(!rule.fires(friday, 0, Some(&hours), at("2025-10-13T09:19:59-03:00")));
    assert!(rule.fires(friday, 0, Some(&hours), at("2025-10-13T09:20:00-03:00")));
}

#[test]
fn case_15_the_nearest_session_timeout_counts() {
    use ventros::channels::channel::TimeoutSource as From;
    use ventros::channels::channel::session_timeout;
    let of = |pipeline, channel| {
        let found = session_timeout(pipeline, channel, Some(30));
        (found.minutes, found.source)
    };
    assert_eq!(of(Some(60), Some(45)), (60, From::Pipeline));
    assert_eq!(of(None, Some(45)), (45, From::Channel));
    assert_eq!(of(None, None), (30, From::Project));

    let world = World::new();
    let project = create(&world, json!({"name": "Acme", "session_timeout_minutes": 30}));
    let host = ActorRef::system(Component::Host);
    let channel = |name: &str, minutes: Option<u32>| {
        let input = json!({"name": name, "type": "waha", "session_timeout_minutes": minutes});
        inside::<CreateChannel>(&world, project.id, host.clone(), input).unwrap().channel.id
    };
    let asked = |channel_id| {
        let found = ask(&world, project.id, host.clone(), EffectiveSessionTimeout { channel_id }).unwrap();
        (found.minutes, found.source.as_str())
    };
    assert_eq!(asked(channel("A", Some(45))), (45, "channel"));
    assert_eq!(asked(channel("B", None)), (30, "project"));
}

#[test]
fn case_16_custom_fields_are_defined_once() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme"}));
    let define = |definition: Value| {
        run::<DefineCustomField>(&world, &project, json!({"target": "contact", "definition": definition}))
    };
    let without = define(json!({"key": "plan", "type": "select", "label": "Plan"}));
    refused_at(without, ErrorCode::CustomFieldOptionsRequired, "definition.options");
    let plan = json!({"key": "plan", "type": "select", "label": "Plan", "options": ["free", "pro"]});
    let defined = define(plan.clone()).unwrap();
    assert_eq!(defined.custom_field_definitions.contact[0].options, ["free", "pro"]);
    refused(define(plan), ErrorCode::CustomFieldExists);
    let change = |input: Value| run::<UpdateCustomField>(&world, &project, input);
    let other = json!({"target": "contact", "key": "plan", "type": "text"});
    refused_at(change(other), ErrorCode::CustomFieldTypeImmutable, "type");
    let label = change(json!({"target": "contact", "key": "plan", "label": "Your plan"})).unwrap();
    assert_eq!(label.custom_field_definitions.contact[0].label, "Your plan");
    refused(change(json!({"target": "chat", "key": "plan"})), ErrorCode::CustomFieldNotFound);
    define(json!({"key": "code", "type": "text", "label": "Code", "fixed": true})).unwrap();
    let remove = |key: &str| run::<RemoveCustomField>(&world, &project, json!({"target": "contact", "key": key}));
    refused(remove("code"), ErrorCode::CustomFieldFixed);
    assert_eq!(remove("plan").unwrap().custom_field_definitions.contact.len(), 1);
    for number in 1..200 {
        define(json!({"key": format!("field_{number}"), "type": "text", "label": "Field"})).unwrap();
    }
    let more = define(json!({"key": "more", "type": "text", "label": "More"}));
    refused(more, ErrorCode::CustomFieldDefinitionLimit);
    world.assert_log_matches();
}

#[test]
fn case_17_the_region_is_a_known_one() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme"}));
    let portugal = update(&world, &project, json!({"default_region": "PT"})).unwrap();
    assert_eq!(portugal.default_region.as_str(), "PT");
    refused_at(update(&world, &project, json!({"default_region": "XX"})), ErrorCode::RegionInvalid, "default_region");
}

#[test]
fn case_18_an_inactive_project_is_read_only() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme"}));
    run::<DeactivateProject>(&world, &project, json!({"reason": "archived"})).unwrap();
    refused(update(&world, &project, json!({"name": "Other"})), ErrorCode::ProjectInactive);
    let read = ask(&world, project.id, ActorRef::system(Component::Host), GetProject {}).unwrap();
    assert_eq!((read.status, read.status_reason.as_deref()), (ProjectStatus::Inactive, Some("archived")));
    let v = user(&world, "v@acme.com");
    member(&world, &project, &v, MemberRole::Viewer);
    let active = run::<ActivateProject>(&world, &project, json!({})).unwrap();
    assert_eq!(run::<ActivateProject>(&world, &project, json!({})).unwrap().version, active.version);
    update(&world, &project, json!({"name": "Other"})).unwrap();
}

#[test]
fn case_19_a_suspended_project_records_and_sends_nothing() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme"}));
    let host = ActorRef::system(Component::Host);
    let channel = json!({"name": "Line", "type": "waha"});
    let channel = inside::<CreateChannel>(&world, project.id, host.clone(), channel).unwrap().channel.id;
    let suspend = json!({"id": project.id, "cause": "billing", "reason": "unpaid"});
    let suspended = super::host::<SuspendProject>(&world, suspend).unwrap();
    assert_eq!(suspended.status_before_suspension, Some(ProjectStatus::Active));
    let contact = json!({"name": "Ana"});
    let create = inside::<CreateContact>(&world, project.id, host.clone(), contact);
    refused(create, ErrorCode::ProjectSuspended);
    let send = json!({"channel_id": channel, "contact_id": project.id, "content": {"type": "text", "body": "Hi"}});
    refused(inside::<SendMessage>(&world, project.id, host.clone(), send), ErrorCode::ProjectSuspended);

    let person = json!({"wid": "5511999998888", "display_name": "Ana"});
    let item = json!({"type": "message", "channel_message_id": "m1", "from_me": false,
        "chat": {"external_id": "5511999998888@c.us", "class": "individual", "kind_detail": "direct", "subject": null},
        "sender": person, "peer": person, "timestamp": "2025-01-06T09:00:00Z",
        "content": {"type": "text", "body": "Oi"}});
    let item = json!({"channel_id": channel, "item": item});
    inside::<Ingest>(&world, project.id, host, item).unwrap();
    assert!(types(&world, project.id).contains(&"message.received".to_owned()));
    world.assert_log_matches();
}

#[test]
fn case_20_a_suspension_returns_to_what_was() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme"}));
    run::<DeactivateProject>(&world, &project, json!({})).unwrap();
    let suspend = json!({"id": project.id, "cause": "billing", "reason": "unpaid"});
    let suspended = host::<SuspendProject>(&world, suspend).unwrap();
    assert_eq!(suspended.status_before_suspension, Some(ProjectStatus::Inactive));
    refused(update(&world, &project, json!({"name": "Other"})), ErrorCode::ProjectSuspended);
    refused(run::<ActivateProject>(&world, &project, json!({})), ErrorCode::ProjectSuspended);
    let resumed = host::<ResumeProject>(&world, json!({"id": project.id})).unwrap();
    assert_eq!((resumed.status, resumed.suspension_cause), (ProjectStatus::Inactive, None));
    refused(host::<ResumeProject>(&world, json!({"id": project.id})), ErrorCode::InvalidState);
    world.assert_log_matches();
}

#[test]
fn case_21_a_deleted_project_comes_back_for_thirty_days() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme"}));
    let wrong = run::<DeleteProject>(&world, &project, json!({"confirm_slug": "acme-2"}));
    refused_at(wrong, ErrorCode::ConfirmationMismatch, "confirm_slug");
    refused(run::<RestoreProject>(&world, &project, json!({})), ErrorCode::InvalidState);
    let delete = || run::<DeleteProject>(&world, &project, json!({"confirm_slug": "acme"})).unwrap();
    let deleted = delete();
    assert_eq!(deleted.purge_after, deleted.deleted_at.map(|at| at.plus_seconds(30 * 86_400)));
    refused(update(&world, &project, json!({"name": "Other"})), ErrorCode::ProjectNotFound);
    let read = ask(&world, project.id, ActorRef::system(Component::Host), GetProject {});
    refused(read, ErrorCode::ProjectNotFound);
    world.clock.advance_seconds(29 * 86_400);
    assert_eq!(run::<RestoreProject>(&world, &project, json!({})).unwrap().status, ProjectStatus::Inactive);
    delete();
    world.clock.advance_seconds(31 * 86_400);
    refused(run::<RestoreProject>(&world, &project, json!({})), ErrorCode::PurgeWindowPassed);
    world.assert_log_matches();
}

#[test]
fn case_22_an_owner_is_an_administrator() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let project = project_of(&world, &ana, "Acme");
    let bob = user(&world, "bob@acme.com");
    member(&world, &project, &bob, MemberRole::Supervisor);
    let transfer = json!({"new_owner_user_id": bob.id});
    let transferred = inside::<TransferOwnership>(&world, project.id, ActorRef::user(ana.id), transfer);
    refused_at(transferred, ErrorCode::OwnerMustBeAdminMember, "new_owner_user_id");
}

#[test]
fn an_unknown_project_is_not_found_by_commands_and_queries() {
    let world = World::new();
    let nowhere = ProjectId::parse("0199d1c2-0000-7000-8000-000000000001").unwrap();
    let host = ActorRef::system(Component::Host);
    refused(inside::<UpdateProject>(&world, nowhere, host.clone(), json!({})), ErrorCode::ProjectNotFound);
    refused(ask(&world, nowhere, host, GetProject {}), ErrorCode::ProjectNotFound);
    let project = create(&world, json!({"name": "Acme"}));
    let stranger = ActorRef::user(UserId::from_uuid(nowhere.uuid()));
    refused(ask(&world, project.id, stranger, GetProject {}), ErrorCode::ActorSuspended);
}

#[test]
fn members_without_project_view_see_identity_and_locale() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let project = project_of(&world, &ana, "Acme");
    update(&world, &project, json!({"configuration": {"set": {"secret": 1}}})).unwrap();
    let bob = user(&world, "bob@acme.com");
    member(&world, &project, &bob, MemberRole::Agent);
    let seen = ask(&world, project.id, ActorRef::user(bob.id), GetProject {}).unwrap();
    assert_eq!((seen.name.as_str(), seen.configuration.len()), ("Acme", 0));
    let seen = ask(&world, project.id, ActorRef::user(ana.id), GetProject {}).unwrap();
    assert_eq!(seen.configuration.len(), 1);
    let slug = project.slug;
    let context = |user: &User| Context::new(None, ActorRef::user(user.id));
    let found = block_on(world.crm.ask(context(&bob), FindProject { slug: slug.clone() })).unwrap();
    assert_eq!(found.map(|project| project.configuration.len()), Some(0));
    let eve = user(&world, "eve@acme.com");
    assert_eq!(block_on(world.crm.ask(context(&eve), FindProject { slug })).unwrap(), None);
}

#[test]
fn hours_and_retention_are_checked() {
    let world = World::new();
    let project = create(&world, json!({"name": "Acme"}));
    let retention = update(&world, &project, json!({"retention": {"media_days": 29}}));
    refused_at(retention, ErrorCode::RetentionOutOfRange, "retention.media_days");
    let hours = json!({"timezone": "UTC", "weekly": {"monday": [{"start": "10:00", "end": "09:00"}]}});
    let hours = update(&world, &project, json!({ "business_hours": hours }));
    refused_at(hours, ErrorCode::BusinessHoursInvalid, "business_hours.weekly.monday");
    let owner = user(&world, "gone@acme.com");
    host::<ventros::tenancy::user::commands::DeactivateUser>(&world, json!({"id": owner.id})).unwrap();
    let unowned = try_create(&world, json!({"name": "Other", "owner_user_id": owner.id}));
    refused_at(unowned, ErrorCode::ActorSuspended, "owner_user_id");
}
