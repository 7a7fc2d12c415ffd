//! Local passwords: sealed hashes, one answer for all who do not get in, and the lock. Acceptance cases of users.

use super::*;
use ventros::kernel::Timestamp;
use ventros::tenancy::user::PasswordAlgorithm;
use ventros::tenancy::user::commands::*;
use ventros::tenancy::user::queries;

const RIGHT: &str = "correct horse battery";
const WRONG: &str = "incorrect horse battery";

/// A user with a password, in an installation with a vault.
fn given() -> (World, User) {
    let world = World::with_vault();
    let input = json!({"name": "Ana", "email": "ana@acme.com", "password": RIGHT});
    let ana = host::<CreateUser>(&world, input).unwrap();
    (world, ana)
}

fn login(world: &World, email: &str, password: &str) -> Result<Authentication> {
    host::<AuthenticateUser>(world, json!({"email": email, "password": password}))
}

fn now(world: &World) -> Timestamp {
    world.crm.core().now()
}

#[test]
fn a_password_lets_its_user_in() {
    let (world, ana) = given();
    let kept = ana.password.clone().unwrap();
    assert_eq!((kept.algorithm, kept.must_change, kept.changed_at), (PasswordAlgorithm::Argon2id, false, now(&world)));
    assert_eq!(
        types(&world, ProjectId::SYSTEM)[..].iter().rev().take(2).collect::<Vec<_>>(),
        ["user.password_changed", "user.created"]
    );
    let found = login(&world, "ANA@acme.com", RIGHT).unwrap();
    assert_eq!((found.user.id, found.actor, found.api_key), (ana.id, ActorRef::user(ana.id), None));
    assert_eq!(found.user.last_login_at, Some(now(&world)));
    let again = login(&world, "ana@acme.com", RIGHT).unwrap();
    assert_eq!(again.user.version, found.user.version, "a login is recorded every 15 minutes");
    world.assert_log_matches();
}

#[test]
fn case_21_five_wrong_passwords_lock() {
    let (world, ana) = given();
    for failures in 1..=5 {
        refused(login(&world, "ana@acme.com", WRONG), ErrorCode::LoginInvalid);
        let event = events(&world, ProjectId::SYSTEM).pop().unwrap();
        assert_eq!(event.event_type, "user.login_failed");
        let data: Value = serde_json::from_str(event.data.get()).unwrap();
        assert_eq!(data["failed_logins"], failures);
        let until = (failures == 5).then(|| now(&world).plus_seconds(15 * 60));
        assert_eq!(data["locked_until"], json!(until));
    }
    let before = events(&world, ProjectId::SYSTEM).len();
    refused(login(&world, "ana@acme.com", RIGHT), ErrorCode::LoginInvalid);
    refused(login(&world, "ana@acme.com", WRONG), ErrorCode::LoginInvalid);
    assert_eq!(events(&world, ProjectId::SYSTEM).len(), before, "a lock is not made longer by those whom it keeps out");
    let reset = host::<RecordLogin>(&world, json!({"id": ana.id, "method": "password", "ok": true})).unwrap();
    assert_eq!((reset.failed_logins, reset.locked_until), (0, None));
    login(&world, "ana@acme.com", RIGHT).unwrap();
    world.assert_log_matches();
}

#[test]
fn a_lock_ends_and_the_next_is_longer() {
    let (world, ana) = given();
    for _ in 0..5 {
        refused(login(&world, "ana@acme.com", WRONG), ErrorCode::LoginInvalid);
    }
    world.clock.advance_seconds(15 * 60);
    refused(login(&world, "ana@acme.com", WRONG), ErrorCode::LoginInvalid);
    let locked = block_on(world.crm.query(queries::GetUser { id: Some(ana.id) })).unwrap();
    assert_eq!((locked.failed_logins, locked.locked_until), (6, Some(now(&world).plus_seconds(30 * 60))));
    world.clock.advance_seconds(30 * 60);
    let found = login(&world, "ana@acme.com", RIGHT).unwrap();
    assert_eq!((found.user.failed_logins, found.user.locked_until), (0, None));
}

#[test]
fn all_who_do_not_get_in_hear_the_same() {
    let (world, _) = given();
    user(&world, "bob@acme.com");
    let before = events(&world, ProjectId::SYSTEM).len();
    for email in ["nobody@acme.com", "bob@acme.com", "no address"] {
        let error = refused(login(&world, email, RIGHT), ErrorCode::LoginInvalid);
        assert!(error.details().is_empty() && error.field().is_none(), "{error:?}");
    }
    assert_eq!(events(&world, ProjectId::SYSTEM).len(), before);
}

#[test]
fn a_new_password_replaces_the_old_one_and_resets_the_lock() {
    let (world, ana) = given();
    for _ in 0..5 {
        refused(login(&world, "ana@acme.com", WRONG), ErrorCode::LoginInvalid);
    }
    let input = json!({"password": "another long password", "must_change": true});
    let changed = as_user::<SetPassword>(&world, ana.id, input).unwrap();
    let (old, new) = (ana.password.unwrap(), changed.password.unwrap());
    assert_eq!((new.secret_ref.secret_id, new.secret_ref.revision), (old.secret_ref.secret_id, 2));
    assert!(new.must_change && changed.locked_until.is_none());
    refused(login(&world, "ana@acme.com", RIGHT), ErrorCode::LoginInvalid);
    login(&world, "ana@acme.com", "another long password").unwrap();
    let bob = user(&world, "bob@acme.com");
    let input = json!({"id": ana.id, "password": "another long password"});
    refused(as_user::<SetPassword>(&world, bob.id, input), ErrorCode::PermissionDenied);
    world.assert_log_matches();
}

#[test]
fn weak_passwords_are_refused() {
    let world = World::with_vault();
    let create = |password: &str| {
        host::<CreateUser>(&world, json!({"name": "Ana Maria Silva", "email": "ana@acme.com", "password": password}))
    };
    for weak in ["nine char", "ana maria SILVA", "ANA@acme.com", &"x".repeat(129)] {
        let error = refused_at(create(weak), ErrorCode::PasswordWeak, "password");
        assert!(!format!("{error:?}").contains(weak));
    }
    let ana = create("ten chars.").unwrap();
    let input = json!({"id": ana.id, "password": "short"});
    refused_at(host::<SetPassword>(&world, input), ErrorCode::PasswordWeak, "password");
}

#[test]
fn without_a_vault_there_are_no_passwords() {
    let world = World::new();
    let create = json!({"name": "Ana", "email": "ana@acme.com", "password": RIGHT});
    refused_at(host::<CreateUser>(&world, create), ErrorCode::EncryptionNotConfigured, "password");
    let ana = user(&world, "ana@acme.com");
    let set = json!({"id": ana.id, "password": RIGHT});
    refused_at(host::<SetPassword>(&world, set), ErrorCode::EncryptionNotConfigured, "password");
    refused_at(login(&world, "ana@acme.com", RIGHT), ErrorCode::EncryptionNotConfigured, "password");
}

#[test]
fn a_login_is_by_key_or_by_address_and_password() {
    let world = World::with_vault();
    let try_with = |input: Value| host::<AuthenticateUser>(&world, input);
    refused_at(try_with(json!({})), ErrorCode::FieldRequired, "api_key");
    refused_at(try_with(json!({"email": "ana@acme.com"})), ErrorCode::FieldRequired, "password");
    refused_at(try_with(json!({"password": RIGHT})), ErrorCode::FieldRequired, "email");
    let both = json!({"api_key": "vtk_", "email": "ana@acme.com", "password": RIGHT});
    refused_at(try_with(both), ErrorCode::InputInvalid, "api_key");
}

#[test]
fn a_suspended_user_with_the_right_password_is_told_so() {
    let (world, ana) = given();
    host::<SuspendUser>(&world, json!({"id": ana.id, "reason": "abuse"})).unwrap();
    refused(login(&world, "ana@acme.com", RIGHT), ErrorCode::ActorSuspended);
    refused(login(&world, "ana@acme.com", WRONG), ErrorCode::LoginInvalid);
}

#[test]
fn case_07_a_password_is_a_way_in() {
    let (world, ana) = given();
    let identity = json!({"issuer": "https://idp/realms/v", "subject": "f47a"});
    as_user::<LinkIdentity>(&world, ana.id, identity.clone()).unwrap();
    assert!(as_user::<UnlinkIdentity>(&world, ana.id, identity).unwrap().identities.is_empty());
}

#[test]
fn the_hash_of_a_deleted_user_is_destroyed() {
    let (world, ana) = given();
    let secret = ana.password.unwrap().secret_ref;
    let stored =
        || block_on(world.crm.core().storage().secret(ProjectId::SYSTEM, secret.secret_id.uuid(), None)).unwrap();
    assert!(stored().is_some());
    host::<DeleteUser>(&world, json!({"id": ana.id, "reason": "admin"})).unwrap();
    assert!(stored().is_none());
    refused(login(&world, "ana@acme.com", RIGHT), ErrorCode::LoginInvalid);
    world.assert_log_matches();
}

#[test]
fn commands_do_not_print_what_they_carry() {
    let create: CreateUser = parsed(json!({"name": "Ana", "email": "ana@acme.com", "password": RIGHT})).unwrap();
    let set: SetPassword = parsed(json!({"password": RIGHT})).unwrap();
    let login: AuthenticateUser = parsed(json!({"email": "ana@acme.com", "password": RIGHT})).unwrap();
    for printed in [format!("{create:?}"), format!("{set:?}"), format!("{login:?}")] {
        assert!(!printed.contains(RIGHT), "{printed}");
    }
    assert!(!serde_json::to_string(&set).unwrap().contains(RIGHT));
}

#[test]
fn a_failure_inside_a_transaction_leaves_nothing() {
    let (world, _) = given();
    let before = events(&world, ProjectId::SYSTEM).len();
    let input = json!({"email": "ana@acme.com", "password": WRONG}).to_string();
    let input = serde_json::value::RawValue::from_string(input).unwrap();
    let step = ventros::engine::Step { operation: "users.authenticate".to_owned(), input };
    let context = Context::new(None, ActorRef::system(ventros::kernel::Component::Host));
    let refused = block_on(world.crm.transact(context, &[step])).err().unwrap();
    assert_eq!(refused.code(), ErrorCode::LoginInvalid);
    assert_eq!(events(&world, ProjectId::SYSTEM).len(), before);
}
