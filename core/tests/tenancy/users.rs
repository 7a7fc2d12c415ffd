//! The acceptance cases of users.

use super::*;
use ventros::kernel::ApiKeyId;
use ventros::tenancy::project::commands::UpdateProject;
use ventros::tenancy::user::UserStatus;
use ventros::tenancy::user::commands::*;
use ventros::tenancy::user::queries::{FindUser, GetUser, ListMemberships, ListUsers};

fn issue(world: &World, user: &User, input: Value) -> Result<IssuedApiKey> {
    as_user::<CreateApiKey>(world, user.id, input)
}

fn authenticate(world: &World, text: &str) -> Result<Authentication> {
    host::<AuthenticateUser>(world, json!({ "api_key": text }))
}

fn with_key(user: &User, key: ApiKeyId) -> ActorRef {
    ActorRef::user(user.id).through_api_key(key)
}

#[test]
fn case_01_a_user_starts_with_its_defaults() {
    let world = World::new();
    let ana = host::<CreateUser>(&world, json!({"name": "Ana", "email": "ANA@Acme.com"})).unwrap();
    assert_eq!(ana.email.as_ref().map(|email| email.as_str()), Some("ana@acme.com"));
    assert_eq!((ana.status, ana.platform_role, ana.version), (UserStatus::Active, PlatformRole::User, 1));
    assert_eq!(types(&world, ProjectId::SYSTEM).iter().filter(|name| *name == "user.created").count(), 1);
    world.assert_log_matches();
}

#[test]
fn case_02_an_email_belongs_to_one_user() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    issue(&world, &ana, json!({"name": "CI"})).unwrap();
    refused(host::<CreateUser>(&world, json!({"name": "B", "email": "Ana@acme.com"})), ErrorCode::UserEmailTaken);
    let ana = block_on(world.crm.query(GetUser { id: Some(ana.id) })).unwrap();
    assert!(ana.api_keys.iter().all(|key| key.revoked_at.is_none()));
}

#[test]
fn case_03_every_field_at_fault_is_named() {
    let world = World::new();
    let error = host::<CreateUser>(&world, json!({"name": "", "email": "x"})).unwrap_err();
    let found: Vec<_> = error.all().map(|error| (error.code(), error.field())).collect();
    assert_eq!(found, [(ErrorCode::NameRequired, Some("name")), (ErrorCode::EmailInvalid, Some("email"))]);
}

#[test]
fn case_04_only_platform_administrators_give_platform_roles() {
    let world = World::new();
    let input = json!({"name": "Eve", "email": "eve@acme.com", "platform_role": "admin"});
    let plain = user(&world, "ana@acme.com");
    refused(as_user::<CreateUser>(&world, plain.id, input.clone()), ErrorCode::PermissionDenied);
    let admin = platform_user(&world, "root@acme.com", PlatformRole::Admin);
    as_user::<CreateUser>(&world, admin.id, input).unwrap();
}

#[test]
fn case_05_an_email_is_free_after_deletion() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    host::<DeleteUser>(&world, json!({"id": ana.id, "reason": "admin"})).unwrap();
    assert_ne!(user(&world, "ana@acme.com").id, ana.id);
    refused(block_on(world.crm.query(GetUser { id: Some(ana.id) })), ErrorCode::UserNotFound);
}

#[test]
fn case_06_an_identity_belongs_to_one_user() {
    let world = World::new();
    let (ana, bob) = (user(&world, "ana@acme.com"), user(&world, "bob@acme.com"));
    let identity = json!({"issuer": "https://idp/realms/v", "subject": "f47a"});
    as_user::<LinkIdentity>(&world, ana.id, identity.clone()).unwrap();
    refused(as_user::<LinkIdentity>(&world, bob.id, identity), ErrorCode::IdentityTaken);
    let find = FindUser { issuer: Some("https://idp/realms/v".into()), subject: Some("f47a".into()), email: None };
    assert_eq!(block_on(world.crm.query(find)).unwrap().unwrap().id, ana.id);
}

#[test]
fn case_07_the_last_way_in_stays() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let identity = json!({"issuer": "https://idp/realms/v", "subject": "f47a"});
    as_user::<LinkIdentity>(&world, ana.id, identity.clone()).unwrap();
    refused(as_user::<UnlinkIdentity>(&world, ana.id, identity.clone()), ErrorCode::LastLoginMethod);
    issue(&world, &ana, json!({"name": "CI"})).unwrap();
    as_user::<UnlinkIdentity>(&world, ana.id, identity.clone()).unwrap();
    refused(as_user::<UnlinkIdentity>(&world, ana.id, identity), ErrorCode::IdentityNotFound);
}

#[test]
fn a_user_has_at_most_ten_identities() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    for number in 0..10 {
        let input = json!({"issuer": "https://idp", "subject": format!("{number}")});
        as_user::<LinkIdentity>(&world, ana.id, input).unwrap();
    }
    let input = json!({"issuer": "https://idp", "subject": "one too many"});
    refused(as_user::<LinkIdentity>(&world, ana.id, input), ErrorCode::IdentityLimit);
}

#[test]
fn case_08_a_key_is_shown_once() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let issued = issue(&world, &ana, json!({"name": "CI"})).unwrap();
    assert_eq!((issued.text.len(), &issued.text[..4]), (56, "vtk_"));
    let event = events(&world, ProjectId::SYSTEM).pop().unwrap();
    assert_eq!(event.event_type, "user.api_key_created");
    let data: Value = serde_json::from_str(event.data.get()).unwrap();
    assert_eq!(data["key_hash"].as_str().unwrap().len(), 64);
    assert!(!event.data.get().contains(issued.text.as_str()));
}

#[test]
fn case_09_a_key_stands_for_its_user_until_it_is_revoked() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let issued = issue(&world, &ana, json!({"name": "CI"})).unwrap();
    let found = authenticate(&world, &issued.text).unwrap();
    assert_eq!((found.user.id, found.actor), (ana.id, with_key(&ana, issued.api_key.id)));
    let again = authenticate(&world, &issued.text).unwrap();
    assert_eq!(again.user.version, found.user.version, "a use is recorded once an hour");
    as_user::<RevokeApiKey>(&world, ana.id, json!({"api_key_id": issued.api_key.id})).unwrap();
    refused(authenticate(&world, &issued.text), ErrorCode::ApiKeyInvalid);
    let other = format!("{}x", &issued.text[..55]);
    refused(authenticate(&world, &other), ErrorCode::ApiKeyInvalid);
    refused(authenticate(&world, "vtk_nonsense"), ErrorCode::ApiKeyInvalid);
    refused(as_user::<RevokeApiKey>(&world, ana.id, json!({"api_key_id": ana.id})), ErrorCode::ApiKeyNotFound);
    world.assert_log_matches();
}

#[test]
fn case_10_a_key_expires() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let issued = issue(&world, &ana, json!({"name": "CI", "expires_at": "2025-10-10T00:00:00Z"})).unwrap();
    world.clock.set("2025-10-09T23:59:59Z");
    authenticate(&world, &issued.text).unwrap();
    world.clock.set("2025-10-10T00:00:01Z");
    refused(authenticate(&world, &issued.text), ErrorCode::ApiKeyExpired);
    for end in ["2025-10-10T00:00:00Z", "2028-01-01T00:00:00Z"] {
        let input = json!({"name": "CI", "expires_at": end});
        refused_at(issue(&world, &ana, input), ErrorCode::ApiKeyExpiryInvalid, "expires_at");
    }
}

#[test]
fn case_11_a_key_reaches_no_further_than_its_project() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let (p, q) = (project_of(&world, &ana, "First"), project_of(&world, &ana, "Second"));
    let bound = issue(&world, &ana, json!({"name": "P", "project_id": p.id})).unwrap().api_key.id;
    let rename = || json!({"name": "Renamed"});
    inside::<UpdateProject>(&world, p.id, with_key(&ana, bound), rename()).unwrap();
    refused(inside::<UpdateProject>(&world, q.id, with_key(&ana, bound), rename()), ErrorCode::PermissionDenied);
}

#[test]
fn case_12_a_key_reaches_no_further_than_its_scopes() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let p = project_of(&world, &ana, "First");
    assert_eq!(check(&world, p.id, ActorRef::user(ana.id), Permission::ContactsManage), None);
    let scoped = issue(&world, &ana, json!({"name": "S", "scopes": ["contacts.view"]})).unwrap().api_key.id;
    let actor = with_key(&ana, scoped);
    assert_eq!(check(&world, p.id, actor.clone(), Permission::ContactsView), None);
    assert_eq!(check(&world, p.id, actor.clone(), Permission::ContactsManage), Some(ErrorCode::PermissionDenied));
    let wider = block_on(
        world.crm.execute_in(Context::new(None, actor), parsed::<CreateApiKey>(json!({"name": "Everything"})).unwrap()),
    );
    refused(wider, ErrorCode::PermissionDenied);
}

#[test]
fn case_13_keys_and_scopes_have_limits() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let fly = issue(&world, &ana, json!({"name": "CI", "scopes": ["contacts.fly"]}));
    refused_at(fly, ErrorCode::PermissionUnknown, "scopes[0]");
    for number in 0..20 {
        issue(&world, &ana, json!({"name": format!("Key {number}")})).unwrap();
    }
    refused(issue(&world, &ana, json!({"name": "One too many"})), ErrorCode::ApiKeyLimit);
}

#[test]
fn a_rotated_key_works_until_its_overlap_ends() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let old = issue(&world, &ana, json!({"name": "CI", "scopes": ["contacts.view"]})).unwrap();
    let input = json!({"api_key_id": old.api_key.id, "overlap_seconds": 60});
    let new = as_user::<RotateApiKey>(&world, ana.id, input).unwrap();
    assert_eq!((new.api_key.name.as_str(), new.api_key.scopes), ("CI", old.api_key.scopes));
    authenticate(&world, &old.text).unwrap();
    world.clock.advance_seconds(60);
    refused(authenticate(&world, &old.text), ErrorCode::ApiKeyInvalid);
    authenticate(&world, &new.text).unwrap();
    let input = json!({"api_key_id": old.api_key.id});
    refused(as_user::<RotateApiKey>(&world, ana.id, input), ErrorCode::ApiKeyNotFound);
    let input = json!({"api_key_id": new.api_key.id, "overlap_seconds": 604_801});
    refused_at(as_user::<RotateApiKey>(&world, ana.id, input), ErrorCode::ValueOutOfRange, "overlap_seconds");
    world.assert_log_matches();
}

#[test]
fn case_14_a_suspension_has_a_reason() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    refused(host::<SuspendUser>(&world, json!({"id": ana.id})), ErrorCode::ReasonRequired);
    let suspended = host::<SuspendUser>(&world, json!({"id": ana.id, "reason": "abuse"})).unwrap();
    assert_eq!((suspended.status, suspended.suspended_at), (UserStatus::Suspended, Some(suspended.updated_at)));
}

/// A suspended user and a project of hers.
fn suspended(world: &World) -> (User, Project) {
    let ana = user(world, "ana@acme.com");
    let project = project_of(world, &ana, "Acme");
    (host::<SuspendUser>(world, json!({"id": ana.id, "reason": "abuse"})).unwrap(), project)
}

#[test]
fn case_15_a_suspended_user_cannot_act() {
    let world = World::new();
    let (ana, project) = suspended(&world);
    refused(as_user::<UpdateUser>(&world, ana.id, json!({"name": "A"})), ErrorCode::ActorSuspended);
    let rename = json!({"name": "Renamed"});
    let renamed = inside::<UpdateProject>(&world, project.id, ActorRef::user(ana.id), rename);
    refused(renamed, ErrorCode::ActorSuspended);
    let again = host::<SuspendUser>(&world, json!({"id": ana.id, "reason": "abuse"})).unwrap();
    assert_eq!(again.version, ana.version);
    refused(host::<DeactivateUser>(&world, json!({"id": ana.id})), ErrorCode::InvalidState);
}

#[test]
fn case_16_an_activated_user_has_no_trace_of_the_suspension() {
    let world = World::new();
    let (ana, _) = suspended(&world);
    let active = host::<ActivateUser>(&world, json!({"id": ana.id})).unwrap();
    assert_eq!((active.status, active.suspended_at, active.suspension_reason), (UserStatus::Active, None, None));
}

#[test]
fn case_17_a_platform_administrator_remains() {
    let world = World::new();
    let root = platform_user(&world, "root@acme.com", PlatformRole::Admin);
    let demote = json!({"id": root.id, "platform_role": "user"});
    refused(host::<ChangeUserRole>(&world, demote.clone()), ErrorCode::LastPlatformAdmin);
    refused(as_user::<ChangeUserRole>(&world, root.id, demote.clone()), ErrorCode::CannotChangeSelf);
    refused(host::<DeleteUser>(&world, json!({"id": root.id, "reason": "admin"})), ErrorCode::LastPlatformAdmin);
    platform_user(&world, "second@acme.com", PlatformRole::Admin);
    host::<ChangeUserRole>(&world, demote).unwrap();
}

#[test]
fn case_18_an_owner_cannot_go() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let project = project_of(&world, &ana, "Acme");
    let error = refused(as_user::<DeleteUser>(&world, ana.id, json!({"reason": "self"})), ErrorCode::UserOwnsProjects);
    assert_eq!(error.details()["project_ids"], json!([project.id]));
}

#[test]
fn case_19_readonly_looks_only() {
    let world = World::new();
    let owner = user(&world, "owner@acme.com");
    let project = project_of(&world, &owner, "Acme");
    let reader = platform_user(&world, "reader@acme.com", PlatformRole::Readonly);
    member(&world, &project, &reader, MemberRole::Admin);
    let actor = ActorRef::user(reader.id);
    assert_eq!(check(&world, project.id, actor.clone(), Permission::ContactsManage), Some(ErrorCode::PermissionDenied));
    assert_eq!(check(&world, project.id, actor, Permission::ContactsView), None);
    refused(as_user::<UpdateUser>(&world, reader.id, json!({"name": "R"})), ErrorCode::PermissionDenied);
}

#[test]
fn case_20_a_platform_administrator_acts_elevated() {
    let world = World::new();
    let owner = user(&world, "owner@acme.com");
    let project = project_of(&world, &owner, "Acme");
    let root = platform_user(&world, "root@acme.com", PlatformRole::Admin);
    let rename = json!({"name": "Renamed"});
    inside::<UpdateProject>(&world, project.id, ActorRef::user(root.id), rename).unwrap();
    let event = events(&world, project.id).pop().unwrap();
    let actor: ActorRef = serde_json::from_str(event.actor.get()).unwrap();
    assert_eq!(actor, ActorRef::user(root.id).elevated());
    world.assert_log_matches();
}

#[test]
fn case_21_logins_of_the_host_are_counted_and_reset() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let login = |ok: bool, method: &str| {
        host::<RecordLogin>(&world, json!({"id": ana.id, "method": method, "ok": ok})).unwrap()
    };
    for _ in 0..4 {
        assert_eq!(login(false, "password").locked_until, None);
    }
    let locked = login(false, "password");
    assert_eq!((locked.failed_logins, locked.locked_until), (5, Some(locked.updated_at.plus_seconds(900))));
    let reset = login(true, "password");
    assert_eq!((reset.failed_logins, reset.locked_until), (0, None));
}

#[test]
fn case_22_a_login_is_kept_every_fifteen_minutes() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    let login = |method: &str| {
        host::<RecordLogin>(&world, json!({"id": ana.id, "method": method, "ok": true})).unwrap().version
    };
    let first = login("password");
    world.clock.advance_seconds(14 * 60);
    assert_eq!(login("password"), first, "one event for both");
    assert_eq!(login("oidc"), first + 1, "another method");
    world.clock.advance_seconds(15 * 60);
    assert_eq!(login("oidc"), first + 2);
}

#[test]
fn case_23_a_default_project_is_one_of_the_users() {
    let world = World::new();
    let (ana, bob) = (user(&world, "ana@acme.com"), user(&world, "bob@acme.com"));
    let project = project_of(&world, &bob, "Acme");
    let set = || json!({"default_project_id": project.id});
    refused_at(as_user::<UpdateUser>(&world, ana.id, set()), ErrorCode::NotAMember, "default_project_id");
    let chosen = as_user::<UpdateUser>(&world, bob.id, set()).unwrap();
    assert_eq!(chosen.default_project_id, Some(project.id));
}

#[test]
fn case_24_erasure_comes_after_deletion() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    refused(host::<EraseUser>(&world, json!({"id": ana.id})), ErrorCode::UserNotDeleted);
    host::<DeleteUser>(&world, json!({"id": ana.id, "reason": "self"})).unwrap();
    let erased = host::<EraseUser>(&world, json!({"id": ana.id})).unwrap();
    assert_eq!((erased.name.as_str(), erased.email), ("[erased]", None));
    assert_eq!(types(&world, ProjectId::SYSTEM).pop().unwrap(), "user.erased");
    world.assert_log_matches();
}

#[test]
fn case_25_settings_are_merged_and_bounded() {
    let world = World::new();
    let input = json!({"name": "Ana", "email": "ana@acme.com", "settings": {"old": 1, "kept": true}});
    let ana = host::<CreateUser>(&world, input).unwrap();
    let change = json!({"settings": {"set": {"theme": "dark"}, "unset": ["old"]}});
    let ana = as_user::<UpdateUser>(&world, ana.id, change).unwrap();
    assert_eq!(Value::Object(ana.settings.clone()), json!({"theme": "dark", "kept": true}));
    let large = json!({"settings": {"set": {"text": "x".repeat(17 * 1024)}}});
    refused_at(as_user::<UpdateUser>(&world, ana.id, large), ErrorCode::JsonTooLarge, "settings");
}

#[test]
fn others_are_reached_with_platform_permissions_only() {
    let world = World::new();
    let (ana, bob) = (user(&world, "ana@acme.com"), user(&world, "bob@acme.com"));
    let change = json!({"id": ana.id, "name": "Other"});
    refused(as_user::<UpdateUser>(&world, bob.id, change.clone()), ErrorCode::PermissionDenied);
    let look = |actor: &User| {
        let context = Context::new(None, ActorRef::user(actor.id));
        block_on(world.crm.ask(context, GetUser { id: Some(ana.id) }))
    };
    refused(look(&bob), ErrorCode::PermissionDenied);
    let manager = platform_user(&world, "manager@acme.com", PlatformRole::Manager);
    assert_eq!(look(&manager).unwrap().id, ana.id);
    refused(as_user::<UpdateUser>(&world, manager.id, change), ErrorCode::PermissionDenied);
    let key = json!({"id": ana.id, "name": "CI"});
    let root = platform_user(&world, "root@acme.com", PlatformRole::Admin);
    refused(as_user::<CreateApiKey>(&world, root.id, key.clone()), ErrorCode::PermissionDenied);
    host::<CreateApiKey>(&world, key).unwrap();
    assert_eq!(block_on(world.crm.query(ListUsers::default())).unwrap().items.len(), 4);
}

#[test]
fn an_email_is_verified_while_it_is_the_current_one() {
    let world = World::new();
    let ana = user(&world, "ana@acme.com");
    host::<VerifyUserEmail>(&world, json!({"id": ana.id, "email": "ana@acme.com"})).unwrap();
    let changed = as_user::<UpdateUser>(&world, ana.id, json!({"email": "ana@other.com"})).unwrap();
    assert_eq!(changed.email_verified_at, None);
    let late = json!({"id": ana.id, "email": "ana@acme.com"});
    refused(host::<VerifyUserEmail>(&world, late), ErrorCode::EmailMismatch);
}

#[test]
fn onboarding_makes_user_project_and_membership_at_once() {
    let world = World::new();
    let input =
        json!({"user": {"name": "Ana", "email": "ana@acme.com"}, "project": {"name": "Acme", "default_region": "PT"}});
    let made = host::<OnboardUser>(&world, input.clone()).unwrap();
    assert_eq!((made.project.owner_user_id, made.member.role), (Some(made.user.id), MemberRole::Admin));
    assert_eq!(made.project.default_region.as_str(), "PT");
    refused_at(
        host::<OnboardUser>(
            &world,
            json!({"user": {"name": "B", "email": "b@acme.com"}, "project": {"name": "B", "billing": {}}}),
        ),
        ErrorCode::UnknownField,
        "project.billing",
    );
    refused(host::<OnboardUser>(&world, input), ErrorCode::UserEmailTaken);
    block_on(world.crm.run_pending()).unwrap();
    let ana = block_on(world.crm.query(GetUser { id: Some(made.user.id) })).unwrap();
    assert_eq!(ana.default_project_id, Some(made.project.id));
    let memberships = block_on(world.crm.query(ListMemberships { user_id: Some(ana.id) })).unwrap();
    assert_eq!((memberships.len(), memberships[0].is_owner), (1, true));
    world.assert_log_matches();
}
