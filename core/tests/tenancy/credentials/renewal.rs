//! Tokens are renewed ahead of their end by a call to the provider, one at a time.

use super::*;
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use ventros::engine::{Crm, Settings};
use ventros::http::{HttpFailure, HttpRequest, HttpResponse, HttpTransport, Reach};
use ventros::storage::{MemoryStorage, Storage};
use ventros::testing::{Fault, ManualClock, SeededIds, WatchedStorage};
use ventros::vault::StaticKey;

type Answer = std::result::Result<HttpResponse, HttpFailure>;

/// A provider that answers what it was told to, and does something before it does.
#[derive(Default)]
struct Provider {
    asked: Mutex<Vec<HttpRequest>>,
    answers: Mutex<VecDeque<Answer>>,
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Provider {
    fn will_say(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The form of the last call.
    fn form(&self) -> Vec<(String, String)> {
        let asked = self.asked.lock().unwrap();
        url::form_urlencoded::parse(&asked.last().unwrap().body).into_owned().collect()
    }
}

#[async_trait]
impl HttpTransport for Provider {
    async fn send(&self, request: HttpRequest) -> Answer {
        self.asked.lock().unwrap().push(request);
        let act = self.meanwhile.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
        self.answers.lock().unwrap().pop_front().expect("nobody expected this call")
    }
}

fn ok(body: Value) -> Answer {
    Ok(HttpResponse::new(200, body.to_string()))
}

fn tokens(number: u32) -> Answer {
    ok(json!({"access_token": format!("access-{number}"), "expires_in": 3600, "token_type": "Bearer"}))
}

fn refusal(status: u16, body: &str) -> Answer {
    Ok(HttpResponse::new(status, body))
}

fn open(storage: Arc<dyn Storage>, provider: &Arc<Provider>, clock: &Arc<ManualClock>, seed: u64) -> World {
    let settings = Settings::new(storage, clock.clone(), SeededIds::new(seed));
    let settings = settings.with_keys(Arc::new(StaticKey::new([7; 32]).unwrap())).with_http(provider.clone());
    World { crm: block_on(Crm::open(settings)).unwrap(), clock: clock.clone() }
}

/// A room whose store can fail, with a provider, and tokens granted at 10:00 for an hour.
fn renewing() -> (Room, Arc<Provider>, Arc<WatchedStorage>, CredentialId) {
    let provider = Arc::new(Provider::default());
    let store = WatchedStorage::around(Arc::new(MemoryStorage::default()));
    let clock = ManualClock::at("2025-01-06T10:00:00Z");
    let room = Room::of(open(store.clone(), &provider, &clock, 1));
    let made = room.create(json!({"credential_type": "google_ads", "name": "Ads", "value": "client-secret",
        "metadata": {"client_id": "shop.apps"},
        "oauth": {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 3600, "scopes": ["a", "b"]}}));
    room.pending();
    assert_eq!(provider.asked(), 0);
    (room, provider, store, made.id)
}

fn at(room: &Room, time: &str) {
    room.world.clock.set(&format!("2025-01-06T{time}Z"));
    room.pending();
}

#[test]
fn tokens_are_renewed_ahead_of_their_end() {
    let (room, provider, _, id) = renewing();
    let due = block_on(room.world.crm.next_due()).unwrap().unwrap();
    assert_eq!(due.to_string(), "2025-01-06T10:48:00.000000Z");
    at(&room, "10:47:59");
    assert_eq!(provider.asked(), 0);
    provider.will_say([tokens(2)]);
    at(&room, "10:48:00");
    let form: Vec<_> = provider.form();
    let expected = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "refresh-1"),
        ("client_id", "shop.apps"),
        ("client_secret", "client-secret"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let asked = provider.asked.lock().unwrap()[0].clone();
    assert_eq!((asked.url.as_str(), asked.method.as_str()), ("https://oauth2.googleapis.com/token", "POST"));
    assert_eq!(asked.reach, Reach::Public);
    assert!(!format!("{asked:?}").contains("refresh-1"));
    assert_eq!(
        room.types(id),
        ["credential.created", "credential.oauth_refresh_started", "credential.oauth_refreshed"]
    );
    assert_eq!(room.open(id).unwrap(), "access-2");
    let oauth = room.get(id).oauth.unwrap();
    assert_eq!((oauth.scopes, oauth.refresh_failures), (vec!["a".to_owned(), "b".to_owned()], 0));

    let rotated = json!({"access_token": "access-3", "refresh_token": "refresh-2", "expires_in": 3600, "scope": "a"});
    provider.will_say([ok(rotated), tokens(4)]);
    at(&room, "11:36:00");
    assert_eq!(room.get(id).oauth.unwrap().scopes, ["a"]);
    at(&room, "12:24:00");
    assert_eq!(provider.form()[1].1, "refresh-2");
    assert_eq!(provider.asked(), 3);
}

#[test]
fn a_provider_of_the_hosts_own_is_asked_where_it_is() {
    let (room, provider, _, _) = renewing();
    let made = room.create(json!({"credential_type": "meta_ads", "name": "Other",
        "metadata": {"client_id": "c", "oauth_url": "https://accounts.example.com/token"},
        "oauth": {"access_token": "a", "refresh_token": "r", "expires_in": 600}}));
    provider.will_say([tokens(9)]);
    at(&room, "10:08:00");
    let asked = provider.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.url, "https://accounts.example.com/token");
    assert_eq!(provider.form().len(), 3, "a client without a secret");
    assert_eq!(room.open(made.id).unwrap(), "access-9");
}

#[test]
fn without_a_client_the_host_renews() {
    let (room, provider, _, _) = renewing();
    let google = json!({"credential_type": "google_ads", "name": "Bare",
        "oauth": {"access_token": "a", "refresh_token": "r", "expires_in": 600}});
    let made = room.create(google);
    at(&room, "10:08:00");
    assert_eq!(provider.asked(), 0);
    provider.will_say([tokens(2)]);
    let known = json!({"id": made.id, "metadata": {"set": {"client_id": "shop"}}});
    room.run::<UpdateCredential>(known).unwrap();
    room.pending();
    assert_eq!(
        (provider.asked(), room.open(made.id).unwrap().as_str()),
        (1, "access-2"),
        "once it is named, it is asked"
    );
}

#[test]
fn case_13_what_may_pass_is_tried_again_later() {
    let (room, provider, _, id) = renewing();
    let echo = refusal(400, r#"{"error": "refresh-1 is unknown"}"#);
    provider.will_say([
        refusal(503, "{}"),
        Err(HttpFailure::Timeout { was_sent: true }),
        ok(json!({"expires_in": 3600})),
        echo,
        ok(json!({"access_token": "x", "expires_in": 0})),
        tokens(2),
    ]);
    let told = |time: &str, code: &str, next: &str| {
        at(&room, time);
        let data = room.last(id, "credential.oauth_refresh_failed");
        assert_eq!((data["error_code"].clone(), data["permanent"].clone()), (json!(code), json!(false)));
        assert_eq!(data["next_refresh_at"], format!("2025-01-06T{next}.000000Z"));
        assert_eq!(room.get(id).status.as_str(), "active");
    };
    told("10:48:00", "http_503", "10:49:00");
    told("10:49:00", "timeout", "10:51:00");
    told("10:51:00", "response_invalid", "10:55:00");
    told("10:55:00", "http_400", "11:03:00");
    refused_after(&room, id);
    told("11:03:00", "response_invalid", "11:19:00");
    at(&room, "11:19:00");
    assert_eq!(room.open(id).unwrap(), "access-2");
    assert_eq!(provider.asked(), 6);
}

/// The token is over while nobody gives another.
fn refused_after(room: &Room, id: CredentialId) {
    room.world.clock.set("2025-01-06T11:00:00Z");
    refused(room.open(id), ErrorCode::CredentialExpired);
}

#[test]
fn ten_failures_end_a_token_that_is_over() {
    let (room, provider, _, id) = renewing();
    provider.will_say((0..10).map(|_| Err(HttpFailure::Connect)));
    for _ in 0..12 {
        if let Some(due) = block_on(room.world.crm.next_due()).unwrap() {
            room.world.clock.set(&due.to_string());
        }
        room.pending();
    }
    assert_eq!(provider.asked(), 10);
    assert_eq!(room.get(id).status.as_str(), "expired");
    assert_eq!(room.last(id, "credential.expired")["cause"], "refresh_exhausted");
}

#[test]
fn case_12_a_revoked_grant_is_not_tried_again() {
    let (room, provider, _, id) = renewing();
    provider.will_say([refusal(400, r#"{"error": "invalid_grant", "error_description": "Token has been revoked."}"#)]);
    at(&room, "10:48:00");
    at(&room, "23:00:00");
    assert_eq!((provider.asked(), room.get(id).status.as_str()), (1, "needs_reauth"));
    let data = room.last(id, "credential.oauth_refresh_failed");
    assert!(!data.to_string().contains("revoked"), "the provider's prose is not kept: {data}");
}

#[test]
fn case_11_of_several_processes_one_asks() {
    let (room, provider, store, id) = renewing();
    let other = open(store.clone(), &provider, &room.world.clock, 2);
    provider.will_say([tokens(2)]);
    let crm = other.crm.clone();
    let began = Arc::new(Mutex::new(None));
    let (project, seen) = (room.project, began.clone());
    *provider.meanwhile.lock().unwrap() = Some(Box::new(move || {
        block_on(crm.run_pending()).unwrap();
        *seen.lock().unwrap() = Some(block_on(crm.project(project).execute(BeginRefresh { id })));
    }));
    at(&room, "10:48:00");
    refused(began.lock().unwrap().take().unwrap(), ErrorCode::RefreshInProgress);
    block_on(other.crm.run_pending()).unwrap();
    assert_eq!(provider.asked(), 1);
    assert_eq!(room.open(id).unwrap(), "access-2");
}

#[test]
fn a_crash_between_answer_and_commit_is_made_up_for() {
    let (room, provider, store, id) = renewing();
    room.world.clock.set("2025-01-06T10:48:00Z");
    // The store is gone when the answer is to be taken in: nothing of it is kept.
    let dead = store.clone();
    provider.will_say([tokens(2)]);
    *provider.meanwhile.lock().unwrap() = Some(Box::new(move || dead.fail(1, Fault::Before)));
    let first = block_on(room.world.crm.run_pending());
    assert!(first.is_err() || first.is_ok_and(|report| report.failures == 1));
    assert_eq!(room.get(id).oauth.unwrap().refresh_lease_until.unwrap().to_string(), "2025-01-06T10:49:00.000000Z");
    let other = Room { world: open(store.clone(), &provider, &room.world.clock, 2), project: room.project };
    other.pending();
    at(&other, "10:48:59");
    assert_eq!(provider.asked(), 1, "the lease is still held");
    provider.will_say([tokens(3)]);
    at(&other, "10:50:30");
    assert_eq!((provider.asked(), other.open(id).unwrap().as_str()), (2, "access-3"));
    assert_eq!(other.get(id).oauth.unwrap().refresh_failures, 0);
}

#[test]
fn an_answer_for_tokens_that_were_replaced_meanwhile_is_dropped() {
    let (room, provider, _, id) = renewing();
    provider.will_say([tokens(2)]);
    let (crm, project) = (room.world.crm.clone(), room.project);
    *provider.meanwhile.lock().unwrap() = Some(Box::new(move || {
        let grant = json!({"id": id, "access_token": "by-a-person", "refresh_token": "refresh-9", "expires_in": 3600});
        block_on(crm.project(project).execute(parsed::<AuthorizeOAuth>(grant).unwrap())).unwrap();
    }));
    at(&room, "10:48:00");
    assert_eq!(room.open(id).unwrap(), "by-a-person");
    provider.will_say([tokens(3)]);
    at(&room, "11:36:00");
    assert_eq!((provider.form()[1].1.as_str(), room.open(id).unwrap().as_str()), ("refresh-9", "access-3"));
}

#[test]
fn what_is_off_is_not_renewed() {
    let (room, provider, _, id) = renewing();
    room.run::<DeactivateCredential>(json!({"id": id})).unwrap();
    at(&room, "10:48:00");
    assert_eq!(provider.asked(), 0);
    provider.will_say([tokens(2)]);
    room.run::<ActivateCredential>(json!({"id": id})).unwrap();
    room.pending();
    assert_eq!(provider.asked(), 1);
    room.run::<DeleteCredential>(json!({"id": id})).unwrap();
    at(&room, "23:00:00");
    assert_eq!(provider.asked(), 1);
}

#[test]
fn without_a_transport_the_host_renews() {
    let room = Room::new();
    let made = room.create(json!({"credential_type": "google_ads", "name": "Ads", "metadata": {"client_id": "c"},
        "oauth": {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 3600}}));
    room.pass(3_000);
    let lease = room.run::<BeginRefresh>(json!({"id": made.id})).unwrap();
    assert_eq!(&*lease.refresh_token, "refresh-1");
    let tokens = json!({"id": made.id, "tokens": {"access_token": "access-2", "expires_in": 3600}});
    room.run::<CompleteRefresh>(tokens).unwrap();
    assert_eq!(room.open(made.id).unwrap(), "access-2");
}
