//! Who may open a secret, and what is recorded of it.

use super::*;
use ventros::engine::Context;

fn open_as(room: &Room, component: Component, id: CredentialId) -> Result<OpenedCredential> {
    room.run_as::<OpenCredential>(component, json!({"id": id, "purpose": "send"}))
}

fn uses(room: &Room, id: CredentialId) -> Vec<u64> {
    let used = room.events(id).into_iter().filter(|(name, _)| name == "credential.used");
    used.map(|(_, data)| data["uses"].as_u64().unwrap()).collect()
}

#[test]
fn case_17_a_component_is_recorded_once_in_a_quarter_of_an_hour() {
    let room = Room::new();
    let made = room.api_key("Main");
    for number in 0..1_000 {
        if number % 100 == 99 {
            room.world.clock.advance_seconds(60);
        }
        open_as(&room, Component::Channel, made.id).unwrap();
    }
    assert_eq!(uses(&room, made.id), [1]);
    let due = block_on(room.world.crm.next_due()).unwrap();
    assert_eq!(due.unwrap().to_string(), "2025-01-06T09:15:00.000000Z");
    room.pending();
    assert_eq!(uses(&room, made.id), [1]);
    room.world.clock.set("2025-01-06T09:15:00Z");
    room.pending();
    room.pending();
    assert_eq!(uses(&room, made.id), [1, 999]);
    let data = room.last(made.id, "credential.used");
    assert_eq!(
        (data["purpose"].clone(), data["used_at"].clone()),
        (json!("send"), json!("2025-01-06T09:10:00.000000Z"))
    );
    let seen = room.get(made.id);
    assert_eq!(
        (seen.use_count, seen.last_used_at.unwrap().to_string().as_str()),
        (1_000, "2025-01-06T09:10:00.000000Z")
    );

    open_as(&room, Component::Channel, made.id).unwrap();
    room.world.clock.set("2025-01-06T09:31:00Z");
    open_as(&room, Component::Channel, made.id).unwrap();
    assert_eq!(uses(&room, made.id), [1, 999, 2], "those counted before come with the next record");
    room.pass(3600);
    assert_eq!(uses(&room, made.id), [1, 999, 2]);
    assert_eq!(block_on(room.world.crm.next_due()).unwrap(), None);
}

#[test]
fn case_17_what_people_and_the_host_open_is_recorded_each_time() {
    let room = Room::new();
    let made = room.api_key("Main");
    let ana = user(&room.world, "ana@acme.com");
    let input = json!({"user_id": ana.id, "role": "admin", "granted": ["credentials.use"]});
    room.run::<AddMember>(input).unwrap();
    for _ in 0..1_000 {
        let input = json!({"id": made.id, "purpose": "look"});
        inside::<OpenCredential>(&room.world, room.project, ActorRef::user(ana.id), input).unwrap();
    }
    assert_eq!(uses(&room, made.id).len(), 1_000);
    room.open(made.id).unwrap();
    room.open(made.id).unwrap();
    assert_eq!(uses(&room, made.id).len(), 1_002);
}

#[test]
fn a_purpose_has_a_record_of_its_own() {
    let room = Room::new();
    let made = room.api_key("Main");
    let open = |purpose: &str| {
        let input = json!({"id": made.id, "purpose": purpose});
        room.run_as::<OpenCredential>(Component::Webhook, input).map(drop)
    };
    open("sign").unwrap();
    open("send").unwrap();
    open("sign").unwrap();
    assert_eq!(uses(&room, made.id), [1, 1]);
    refused_at(open(" "), ErrorCode::TextRequired, "purpose");
    refused_at(open(&"x".repeat(101)), ErrorCode::TextTooLong, "purpose");
}

#[test]
fn a_record_that_was_not_committed_is_made_up_for() {
    let storage = std::sync::Arc::new(ventros::storage::MemoryStorage::default());
    let watched = ventros::testing::WatchedStorage::around(storage);
    let room = Room::of(World::with_keys(watched.clone(), [7; 32]).unwrap());
    let made = room.api_key("Main");
    let open = || open_as(&room, Component::Channel, made.id);
    open().unwrap();
    open().unwrap();
    room.world.clock.advance_seconds(900);
    // The commit is the last of the calls.
    watched.take_calls();
    open().unwrap();
    let calls = watched.take_calls().len();
    assert_eq!(uses(&room, made.id), [1, 2]);
    open().unwrap();
    open().unwrap();
    room.world.clock.advance_seconds(900);
    watched.fail(calls, ventros::testing::Fault::Before);
    refused(open(), ErrorCode::Unavailable);
    open().unwrap();
    assert_eq!(uses(&room, made.id), [1, 2, 3], "the failed one told nobody anything");
}

#[test]
fn case_18_managing_is_not_opening() {
    let room = Room::new();
    let made = room.api_key("Main");
    let owner = user(&room.world, "ana@acme.com");
    let project = project_of(&room.world, &owner, "Hers");
    let input = json!({"credential_type": "api_key", "name": "Hers", "value": VALUE});
    let hers = inside::<CreateCredential>(&room.world, project.id, ActorRef::user(owner.id), input).unwrap();
    let open = json!({"id": hers.id, "purpose": "look"});
    let error = inside::<OpenCredential>(&room.world, project.id, ActorRef::user(owner.id), open);
    assert_eq!(refused(error, ErrorCode::PermissionDenied).details()["permission"], "credentials.use");
    let refresh = json!({"id": hers.id});
    let error = inside::<BeginRefresh>(&room.world, project.id, ActorRef::user(owner.id), refresh);
    refused(error, ErrorCode::PermissionDenied);
    let rotate = Context::new(None, ActorRef::user(owner.id));
    let error = block_on(room.world.crm.execute_in(rotate, RotateKeys::default()));
    refused(error, ErrorCode::PermissionDenied);
    assert_eq!(uses(&room, made.id), Vec::<u64>::new());
}

#[test]
fn an_opened_secret_is_in_no_stored_result() {
    let room = Room::new();
    let made = room.api_key("Main");
    let mut context = room.world.crm.project(room.project).context();
    context.idempotency_key = Some("once".into());
    let open: OpenCredential = parsed(json!({"id": made.id, "purpose": "test"})).unwrap();
    let error = block_on(room.world.crm.execute_in(context, open)).unwrap_err();
    assert_eq!((error.code(), error.field()), (ErrorCode::InputInvalid, Some("idempotency_key")));
    let opened = room.run::<OpenCredential>(json!({"id": made.id, "purpose": "test"})).unwrap();
    assert!(!format!("{opened:?}").contains(VALUE), "it is not printed");
}

#[test]
fn what_is_not_there_is_not_opened() {
    let room = Room::new();
    let made = room.api_key("Main");
    let open = |id: CredentialId, field: &str| {
        room.run::<OpenCredential>(json!({"id": id, "purpose": "test", "field": field})).map(drop)
    };
    refused(open(made.id, "access"), ErrorCode::NotAnOauthCredential);
    let whatsapp = room.create(json!({"credential_type": "meta_whatsapp", "name": "W", "value": "permanent-token"}));
    assert_eq!((whatsapp.status.as_str(), whatsapp.credential_type.as_str()), ("active", "meta_whatsapp_cloud"));
    refused(open(whatsapp.id, "access"), ErrorCode::OauthNotAuthorized);
    assert_eq!(room.open(whatsapp.id).unwrap(), "permanent-token");
    let google = room.google(None);
    refused(open(google.id, "value"), ErrorCode::CredentialValueRequired);
}
