//! What is sealed opens in its own place with its own key, and nowhere else.

use super::*;
use crate::engine::{Context, Crm, Decision, Reader, Settings, UnitOfWork};
use crate::kernel::{ActorRef, Component, ErrorCode, Result, SecretBytes};
use crate::storage::{MemoryStorage, SecretRecord, SecretWrite, Storage};
use crate::testing::{ManualClock, SeededIds, World, block_on};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use std::sync::Arc;

const PLAIN: &str = "çãõ 日本語 🔐";

fn project(number: u128) -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(number))
}

fn place(number: u128) -> SecretPlace {
    SecretPlace::new(project(number), Kind::Channel, Uuid::from_u128(7), "api_key")
}

struct Seal {
    place: SecretPlace,
    replaces: Option<SecretRef>,
    value: SecretBytes,
}

impl Decision<SecretRef> for Seal {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<SecretRef>> {
        Box::pin(work.seal(&self.place, self.replaces, &self.value))
    }
}

fn context() -> Context {
    Context::new(None, ActorRef::system(Component::Host))
}

fn seal_in(crm: &Crm, place: SecretPlace, replaces: Option<SecretRef>, value: &str) -> Result<SecretRef> {
    let seal = Seal { place, replaces, value: SecretBytes::new(value) };
    block_on(crm.transaction(context(), None, &seal)).map(|outcome| match outcome {
        crate::engine::Outcome::Fresh(secret) => secret,
        crate::engine::Outcome::Stored(_) => panic!("no idempotency key was given"),
    })
}

fn open_in(crm: &Crm, place: &SecretPlace, secret: SecretRef) -> Result<Option<String>> {
    let reader = Reader::new(crm.core(), Arc::new(context()), crm.core().now());
    let opened = block_on(reader.open_secret(place, secret))?;
    Ok(opened.map(|value| String::from_utf8(value.expose().to_vec()).unwrap()))
}

fn stored(crm: &Crm, number: u128, secret: SecretRef) -> SecretRecord {
    let found = crm.core().storage().secret(project(number), secret.secret_id.uuid(), Some(secret.revision));
    block_on(found).unwrap().unwrap()
}

#[track_caller]
fn code<T>(result: Result<T>) -> ErrorCode {
    result.err().expect("an error is expected").code()
}

#[test]
fn a_secret_opens_in_its_place() {
    let crm = World::with_vault().crm;
    let secret = seal_in(&crm, place(1), None, PLAIN).unwrap();
    assert_eq!(open_in(&crm, &place(1), secret).unwrap().as_deref(), Some(PLAIN));
    let record = stored(&crm, 1, secret);
    assert!(record.sealed.starts_with("v1.p1.") && record.key_id == "p1", "{}", record.sealed);
    let again = seal_in(&crm, place(1), None, PLAIN).unwrap();
    let other = stored(&crm, 1, again);
    let parts = |record: &SecretRecord| record.sealed.split('.').map(str::to_owned).collect::<Vec<_>>();
    assert!(parts(&record)[2] != parts(&other)[2] && parts(&record)[3] != parts(&other)[3]);
}

#[test]
fn a_new_value_is_a_new_revision_and_the_old_one_is_destroyed() {
    let crm = World::with_vault().crm;
    let first = seal_in(&crm, place(1), None, "one").unwrap();
    let second = seal_in(&crm, place(1), Some(first), "two").unwrap();
    assert_eq!((second.secret_id, second.revision), (first.secret_id, 2));
    assert_eq!(open_in(&crm, &place(1), first).unwrap(), None);
    assert_eq!(open_in(&crm, &place(1), second).unwrap().as_deref(), Some("two"));
}

#[test]
fn a_sealed_value_cannot_be_moved_or_changed() {
    let crm = World::with_vault().crm;
    let secret = seal_in(&crm, place(1), None, PLAIN).unwrap();
    let moved = |owner: u128, kind: Kind, field: &'static str| {
        let elsewhere = SecretPlace::new(project(1), kind, Uuid::from_u128(owner), field);
        code(open_in(&crm, &elsewhere, secret))
    };
    assert_eq!(moved(8, Kind::Channel, "api_key"), ErrorCode::SecretTampered);
    assert_eq!(moved(7, Kind::User, "api_key"), ErrorCode::SecretTampered);
    assert_eq!(moved(7, Kind::Channel, "token"), ErrorCode::SecretTampered);

    // The row is copied to another secret, to another revision and into a project with a key of its own.
    let record = stored(&crm, 1, secret);
    let foreign = seal_in(&crm, place(2), None, "foreign").unwrap();
    for (number, id, revision) in [(1, 99, 1), (1, secret.secret_id.uuid().as_u128(), 2), (2, 98, 1)] {
        let id = Uuid::from_u128(id);
        let copy = SecretRecord { project_id: project(number), id, revision, ..record.clone() };
        put(&crm, copy);
        let copied = SecretRef { secret_id: SecretId::from_uuid(id), revision };
        assert_eq!(code(open_in(&crm, &place(number), copied)), ErrorCode::SecretTampered);
    }
    assert_eq!(open_in(&crm, &place(2), foreign).unwrap().as_deref(), Some("foreign"));

    let mut sealed = record.sealed.clone().into_bytes();
    let last = sealed.len() - 4;
    sealed[last] = if sealed[last] == b'A' { b'B' } else { b'A' };
    let changed = SecretRecord { id: Uuid::from_u128(97), sealed: String::from_utf8(sealed).unwrap(), ..record };
    put(&crm, changed);
    let changed = SecretRef { secret_id: SecretId::from_uuid(Uuid::from_u128(97)), revision: 1 };
    assert_eq!(code(open_in(&crm, &place(1), changed)), ErrorCode::SecretTampered);
}

fn put(crm: &Crm, record: SecretRecord) {
    let secrets = vec![SecretWrite::Put(record)];
    let batch = crate::storage::Batch { secrets, ..Default::default() };
    block_on(crm.core().storage().commit(batch)).unwrap();
}

/// Gives out one key under a name that others use, too.
struct Named(MasterKey);

#[async_trait]
impl KeyProvider for Named {
    async fn current(&self) -> Result<MasterKey> {
        Ok(self.0.clone())
    }

    async fn key(&self, _id: &str) -> Result<Option<MasterKey>> {
        Ok(Some(self.0.clone()))
    }
}

#[test]
fn another_master_key_opens_nothing() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let open_with = |byte: u8| {
        let keys = Arc::new(Named(MasterKey::new("m1", [byte; 32]).unwrap()));
        let settings =
            Settings::new(storage.clone(), ManualClock::at("2025-01-06T09:00:00Z"), SeededIds::new(byte.into()));
        block_on(Crm::open(settings.with_keys(keys))).unwrap()
    };
    let secret = seal_in(&open_with(1), place(1), None, PLAIN).unwrap();
    let other = open_with(2);
    assert_eq!(code(open_in(&other, &place(1), secret)), ErrorCode::SecretTampered);
    assert_eq!(code(seal_in(&other, place(1), None, "x")), ErrorCode::SecretTampered);
    assert_eq!(open_in(&open_with(1), &place(1), secret).unwrap().as_deref(), Some(PLAIN));

    let stranger = World::with_keys(storage.clone(), [9; 32]).unwrap().crm;
    assert_eq!(code(open_in(&stranger, &place(1), secret)), ErrorCode::EncryptionKeyNotFound);
}

#[test]
fn without_keys_nothing_is_sealed() {
    let crm = World::new().crm;
    assert_eq!(code(seal_in(&crm, place(1), None, "x")), ErrorCode::EncryptionNotConfigured);
    let secret = SecretRef { secret_id: SecretId::from_uuid(Uuid::from_u128(5)), revision: 1 };
    assert_eq!(code(open_in(&crm, &place(1), secret)), ErrorCode::EncryptionNotConfigured);
}

#[test]
fn a_secret_has_1_to_16384_bytes() {
    let crm = World::with_vault().crm;
    assert_eq!(code(seal_in(&crm, place(1), None, "")), ErrorCode::SecretEmpty);
    assert_eq!(code(seal_in(&crm, place(1), None, &"x".repeat(16_385))), ErrorCode::SecretTooLarge);
    let long = "x".repeat(16_384);
    let secret = seal_in(&crm, place(1), None, &long).unwrap();
    assert_eq!(open_in(&crm, &place(1), secret).unwrap(), Some(long));
}

#[test]
fn writers_who_make_the_first_data_key_at_once_share_one() {
    let crm = World::with_vault().crm;
    let secrets: Vec<SecretRef> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..4).map(|_| scope.spawn(|| seal_in(&crm, place(1), None, PLAIN).unwrap())).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    for secret in secrets {
        assert_eq!(open_in(&crm, &place(1), secret).unwrap().as_deref(), Some(PLAIN));
    }
}

#[test]
fn a_key_has_32_bytes() {
    assert_eq!(StaticKey::new([1; 16]).err().unwrap().code(), ErrorCode::KeyLengthInvalid);
    assert_eq!(StaticKey::from_base64("AAAA").err().unwrap().code(), ErrorCode::KeyLengthInvalid);
    assert_eq!(StaticKey::from_base64("no base64").err().unwrap().code(), ErrorCode::InputInvalid);
    assert!(StaticKey::from_base64("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").is_ok());
    assert!(MasterKey::new("a.b", [1; 32]).is_err(), "the dot parts the sealed text");
    let key = StaticKey::new([7; 32]).unwrap();
    assert!(format!("{key:?}").contains("[redacted]"), "{key:?}");
}
