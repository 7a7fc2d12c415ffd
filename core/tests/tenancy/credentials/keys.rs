//! Keys: master keys, data keys, their change and their end.

use super::*;
use std::sync::Arc;
use uuid::Uuid;
use ventros::engine::{Crm, Settings};
use ventros::storage::{Batch, MemoryStorage, SecretQuery, SecretRecord, SecretWrite, Storage};
use ventros::testing::{ManualClock, SeededIds};
use ventros::vault::{KeyProvider, KeyRing, MasterKey, StaticKey};

fn master(number: u8) -> MasterKey {
    MasterKey::new(format!("m{number}"), [number; 32]).unwrap()
}

fn open(storage: &Arc<dyn Storage>, keys: Arc<dyn KeyProvider>, seed: u64) -> World {
    let clock = ManualClock::at("2025-01-06T09:00:00Z");
    let settings = Settings::new(storage.clone(), clock.clone(), SeededIds::new(seed)).with_keys(keys);
    World { crm: block_on(Crm::open(settings)).unwrap(), clock }
}

fn under(room: &Room, key: &str) -> Vec<SecretRecord> {
    let query = SecretQuery { key_id: key.into(), after: None, limit: 1_000 };
    let storage = room.world.crm.core().storage();
    block_on(storage.secrets_under(Scope::Installation, &query)).unwrap()
}

fn rotate(room: &Room, input: Value) -> Result<KeyRotation> {
    host::<RotateKeys>(&room.world, input)
}

fn retire(room: &Room, input: Value) -> Result<RetiredKey> {
    host::<RetireKey>(&room.world, input)
}

/// The audit events of a log.
fn audits(world: &World, project: ProjectId) -> Vec<(String, Value)> {
    let found = events(world, project).into_iter().filter(|event| event.aggregate_kind == Kind::Audit);
    found.map(|event| (event.event_type, serde_json::from_str(event.data.get()).unwrap())).collect()
}

#[test]
fn case_06_a_key_has_32_bytes() {
    assert_eq!(StaticKey::new([1; 16]).unwrap_err().code(), ErrorCode::KeyLengthInvalid);
}

#[test]
fn case_05_a_row_of_another_credential_does_not_open() {
    let room = Room::new();
    let (one, two) =
        (room.api_key("one"), room.create(json!({"credential_type": "api_key", "name": "two", "value": "other"})));
    let storage = room.world.crm.core().storage();
    let row = |of: &Credential| {
        block_on(storage.secret(room.project, of.value.unwrap().secret_id.uuid(), None)).unwrap().unwrap()
    };
    let (mine, theirs) = (row(&one), row(&two));
    let copied = SecretRecord { id: theirs.id, ..mine.clone() };
    let replace = |record: SecretRecord, of: &SecretRecord| {
        let shred = SecretWrite::Shred { project_id: of.project_id, id: of.id, revision: of.revision };
        let secrets = vec![shred, SecretWrite::Put(record)];
        block_on(storage.commit(Batch { secrets, ..Batch::default() })).unwrap();
    };
    replace(copied, &theirs);
    refused(room.open(two.id), ErrorCode::SecretTampered);
    let mut sealed = mine.sealed.clone().into_bytes();
    let last = sealed.len() - 4;
    sealed[last] = if sealed[last] == b'A' { b'B' } else { b'A' };
    replace(SecretRecord { sealed: String::from_utf8(sealed).unwrap(), ..mine.clone() }, &mine);
    refused(room.open(one.id), ErrorCode::SecretTampered);
}

#[test]
fn case_23_a_change_of_the_master_key_touches_data_keys_only() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let room = Room::of(open(&storage, Arc::new(KeyRing::new(master(1), [])), 1));
    let other = host::<CreateProject>(&room.world, json!({"name": "Other"})).unwrap().id;
    let made = room.api_key("Main");
    let input = json!({"credential_type": "api_key", "name": "Main", "value": "theirs"});
    let theirs = inside::<CreateCredential>(&room.world, other, ActorRef::system(Component::Host), input).unwrap();
    let before = under(&room, "p1");
    assert_eq!((under(&room, "m1").len(), before.len()), (2, 4));

    let room = Room { world: open(&storage, Arc::new(KeyRing::new(master(2), [master(1)])), 2), project: room.project };
    assert_eq!(room.open(made.id).unwrap(), VALUE, "the older key is still given");
    refused(retire(&room, json!({"key_id": "m2"})), ErrorCode::KeyInUse);
    refused(retire(&room, json!({"key_id": "m1"})), ErrorCode::KeyInUse);
    assert_eq!(rotate(&room, json!({})).unwrap().key_id, "m2");
    room.pending();
    assert_eq!((under(&room, "m1").len(), under(&room, "m2").len()), (0, 2));
    assert_eq!(under(&room, "p1"), before, "no secret was touched");
    let rotated = json!({"type": "encryption_key.rotated", "project_id": null, "key_id": "m2", "rows": 2});
    assert_eq!(audits(&room.world, ProjectId::SYSTEM), [("encryption_key.rotated".into(), rotated)]);
    retire(&room, json!({"key_id": "m1"})).unwrap();
    let (name, data) = audits(&room.world, ProjectId::SYSTEM).pop().unwrap();
    assert_eq!((name.as_str(), data["key_id"].clone()), ("encryption_key.retired", json!("m1")));

    let alone = Room { world: open(&storage, Arc::new(KeyRing::new(master(2), [])), 3), project: room.project };
    assert_eq!(alone.open(made.id).unwrap(), VALUE);
    let open_theirs = json!({"id": theirs.id, "purpose": "test"});
    let opened = inside::<OpenCredential>(&alone.world, other, ActorRef::system(Component::Host), open_theirs).unwrap();
    assert_eq!(&*opened.text, "theirs");
    let lost = Room { world: open(&storage, Arc::new(KeyRing::new(master(1), [])), 4), project: room.project };
    refused(lost.open(made.id), ErrorCode::EncryptionKeyNotFound);
}

#[test]
fn case_23_a_change_of_the_data_key_moves_every_secret() {
    let room = Room::new();
    let made = room.api_key("Main");
    for number in 0..150 {
        room.create(
            json!({"credential_type": "api_key", "name": format!("n{number}"), "value": format!("value {number}")}),
        );
    }
    let google = room.google(Some("refresh-1"));
    let rotated = room.run::<RotateValue>(json!({"id": made.id, "value": "another"})).unwrap();
    let all = under(&room, "p1").len() as u64;
    assert_eq!(all, 155, "values, an old value, two tokens and the key of fingerprints");
    let project = json!({"project_id": room.project});
    assert_eq!(rotate(&room, project).unwrap().key_id, "p2");
    let retire_first = || retire(&room, json!({"project_id": room.project, "key_id": "p1"}));
    refused(retire_first(), ErrorCode::KeyInUse);
    refused(retire(&room, json!({"project_id": room.project, "key_id": "p2"})), ErrorCode::KeyInUse);
    let new = room.create(json!({"credential_type": "api_key", "name": "new", "value": "new value"}));
    assert_eq!(room.open(made.id).unwrap(), "another", "everything opens meanwhile");
    room.pending();
    assert_eq!((under(&room, "p1").len(), under(&room, "p2").len() as u64), (0, all + 1));
    let event = json!({"type": "encryption_key.rotated", "project_id": room.project, "key_id": "p2", "rows": all});
    assert_eq!(audits(&room.world, room.project), [("encryption_key.rotated".into(), event)]);

    let retired = retire_first().unwrap();
    assert_eq!((retired.key_id.as_str(), retired.rows), ("p1", 1));
    refused(retire_first(), ErrorCode::EncryptionKeyNotFound);
    refused(retire(&room, json!({"project_id": room.project, "key_id": "p9"})), ErrorCode::EncryptionKeyNotFound);
    assert_eq!(room.open(new.id).unwrap(), "new value");
    assert_eq!(room.open(google.id).unwrap(), "access-token-0001");
    let old = json!({"id": made.id, "purpose": "under way", "revision": 1});
    assert_eq!(&*room.run::<OpenCredential>(old).unwrap().text, VALUE);
    let same = json!({"id": made.id, "value": "another"});
    refused(room.run::<RotateValue>(same), ErrorCode::SecretUnchanged);
    assert_eq!(room.get(made.id).fingerprint, rotated.fingerprint, "fingerprints stay");
}

#[test]
fn a_broken_row_does_not_hold_a_change_of_keys_up() {
    let room = Room::new();
    let (broken, made) = (room.api_key("broken"), room.api_key("made"));
    let storage = room.world.crm.core().storage();
    let id = broken.value.unwrap().secret_id.uuid();
    let row = block_on(storage.secret(room.project, id, None)).unwrap().unwrap();
    let shred = SecretWrite::Shred { project_id: room.project, id, revision: 1 };
    let secrets = vec![shred, SecretWrite::Put(SecretRecord { sealed: "v1.p1.AAAA.AAAA".into(), ..row })];
    block_on(storage.commit(Batch { secrets, ..Batch::default() })).unwrap();
    rotate(&room, json!({"project_id": room.project})).unwrap();
    room.pending();
    assert_eq!(under(&room, "p1").len(), 1);
    assert_eq!(room.open(made.id).unwrap(), VALUE);
    refused(retire(&room, json!({"project_id": room.project, "key_id": "p1"})), ErrorCode::KeyInUse);
    room.run::<DeleteCredential>(json!({"id": broken.id})).unwrap();
    retire(&room, json!({"project_id": room.project, "key_id": "p1"})).unwrap();
}

#[test]
fn a_second_change_overtakes_the_first() {
    let room = Room::new();
    let made = room.api_key("Main");
    let project = json!({"project_id": room.project});
    rotate(&room, project.clone()).unwrap();
    assert_eq!(rotate(&room, project).unwrap().key_id, "p3");
    room.pending();
    assert!(under(&room, "p1").is_empty() && under(&room, "p2").is_empty());
    assert_eq!(room.open(made.id).unwrap(), VALUE);
    assert_eq!(audits(&room.world, room.project).len(), 1);
    let retired = retire(&room, json!({"project_id": room.project, "key_id": "p2"})).unwrap();
    assert_eq!(retired.rows, 2, "with the one before it");
}

#[test]
fn nothing_new_comes_under_a_key_that_was_replaced() {
    let watched = ventros::testing::WatchedStorage::around(Arc::new(MemoryStorage::default()));
    let room = Room::of(World::with_keys(watched.clone(), [7; 32]).unwrap());
    room.api_key("Main");
    let (crm, project) = (room.world.crm.clone(), room.project);
    watched.before_commit(move || {
        block_on(crm.execute(RotateKeys { project_id: Some(project) })).unwrap();
        block_on(crm.run_pending()).unwrap();
    });
    let late = room.create(json!({"credential_type": "api_key", "name": "late", "value": "late value"}));
    assert!(under(&room, "p1").is_empty(), "it was decided again under the new key");
    retire(&room, json!({"project_id": room.project, "key_id": "p1"})).unwrap();
    assert_eq!(room.open(late.id).unwrap(), "late value");
}

#[test]
fn secrets_of_users_have_a_key_too() {
    let room = Room::new();
    let input = json!({"name": "Ana", "email": "ana@acme.com", "password": "correct horse battery"});
    host::<CreateUser>(&room.world, input).unwrap();
    let nil = json!({"project_id": ProjectId::SYSTEM});
    assert_eq!(rotate(&room, nil).unwrap().key_id, "p2");
    room.pending();
    retire(&room, json!({"project_id": ProjectId::SYSTEM, "key_id": "p1"})).unwrap();
    use ventros::tenancy::user::commands::AuthenticateUser;
    let login = json!({"email": "ana@acme.com", "password": "correct horse battery"});
    host::<AuthenticateUser>(&room.world, login).unwrap();
}

#[test]
fn a_project_without_secrets_has_no_key() {
    let room = Room::new();
    refused(rotate(&room, json!({"project_id": room.project})), ErrorCode::EncryptionKeyNotFound);
    let nobody = ProjectId::from_uuid(Uuid::from_u128(99));
    refused_at(rotate(&room, json!({"project_id": nobody})), ErrorCode::ProjectNotFound, "project_id");
    refused(retire(&room, json!({"project_id": room.project, "key_id": "p1"})), ErrorCode::EncryptionKeyNotFound);
    rotate(&room, json!({})).unwrap();
    room.pending();
}

#[test]
fn case_26_a_backup_of_secrets_is_of_no_use_without_their_keys() {
    let room = Room::new();
    let made = room.api_key("Main");
    let backup = under(&room, "p1");
    let storage = room.world.crm.core().storage();
    let purge = vec![SecretWrite::ShredAll { project_id: room.project }];
    block_on(storage.commit(Batch { secrets: purge, ..Batch::default() })).unwrap();
    refused(room.open(made.id), ErrorCode::CredentialNotFound);
    let restored = backup.into_iter().map(SecretWrite::Put).collect();
    block_on(storage.commit(Batch { secrets: restored, ..Batch::default() })).unwrap();
    refused(room.open(made.id), ErrorCode::CorruptData);
}
