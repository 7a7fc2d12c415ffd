//! Granted tokens: when they are renewed, by whom, and what follows from failures.

use super::*;
use ventros::kernel::Timestamp;

fn at(time: &str) -> Timestamp {
    Timestamp::parse(&format!("2025-01-06T{time}Z")).unwrap()
}

fn begin(room: &Room, id: CredentialId) -> Result<RefreshLease> {
    room.run::<BeginRefresh>(json!({"id": id}))
}

fn complete(room: &Room, id: CredentialId, tokens: Value) -> Result<Credential> {
    room.run::<CompleteRefresh>(json!({"id": id, "tokens": tokens}))
}

fn fail(room: &Room, id: CredentialId, code: &str) -> Result<Credential> {
    room.run::<CompleteRefresh>(json!({"id": id, "failure": {"error_code": code}}))
}

#[test]
fn case_07_tokens_belong_to_types_that_have_such() {
    let room = Room::new();
    let made = room.api_key("Main");
    refused(room.authorise(&made, None, None), ErrorCode::NotAnOauthCredential);
    refused(begin(&room, made.id), ErrorCode::NotAnOauthCredential);
    refused(complete(&room, made.id, json!({"access_token": "a"})), ErrorCode::NotAnOauthCredential);
}

#[test]
fn case_08_a_token_is_renewed_a_fifth_of_its_life_before_its_end() {
    let room = Room::new();
    let google = room.google(Some("refresh-1"));
    let oauth = google.oauth.as_ref().unwrap();
    assert_eq!((oauth.expires_at, oauth.next_refresh_at), (Some(at("11:00:00")), Some(at("10:48:00"))));
    assert_eq!(google.expires_at, None, "it renews itself, so it has no end");
    assert!(!google.needs_refresh(at("10:47:59")) && google.needs_refresh(at("10:48:00")));
    let long = room.authorise(&google, Some("refresh-2"), Some(86_400)).unwrap();
    let due = long.oauth.as_ref().unwrap().next_refresh_at;
    assert_eq!(due, Timestamp::parse("2025-01-07T09:30:00Z").ok(), "half an hour at most");
    let without = room.authorise(&google, None, Some(3600)).unwrap();
    assert!(!without.needs_refresh(at("10:59:59")) && !without.needs_refresh(at("12:00:00")));
    assert_eq!(without.expires_at, Some(at("11:00:00")), "it follows the token");
}

#[test]
fn case_09_a_token_lives_for_at_least_a_second() {
    let room = Room::new();
    let google = room.google(Some("refresh-1"));
    let short = room.authorise(&google, Some("refresh-2"), Some(600)).unwrap();
    assert_eq!(short.oauth.unwrap().next_refresh_at, Some(at("10:08:00")));
    for seconds in [0, -5] {
        let error = room.authorise(&google, None, Some(seconds));
        refused_at(error, ErrorCode::OauthExpiresInInvalid, "expires_in");
    }
    let endless = room.authorise(&google, Some("refresh-3"), None).unwrap();
    let oauth = endless.oauth.as_ref().unwrap();
    assert_eq!((oauth.expires_at, oauth.next_refresh_at, endless.expires_at), (None, None, None));
    room.world.clock.set("2035-01-06T10:00:00Z");
    assert_eq!(room.open(google.id).unwrap(), "access-token-0001");
}

#[test]
fn case_10_a_provider_may_give_another_refresh_token() {
    let room = Room::new();
    let google = room.google(Some("refresh-1"));
    let first = google.oauth.clone().unwrap();
    room.world.clock.set("2025-01-06T10:48:00Z");
    let lease = begin(&room, google.id).unwrap();
    assert_eq!((&*lease.refresh_token, lease.lease_until), ("refresh-1", at("10:49:00")));
    assert!(!format!("{lease:?}").contains("refresh-1"));
    let kept = complete(&room, google.id, json!({"access_token": "access-2", "expires_in": 3600})).unwrap();
    let oauth = kept.oauth.clone().unwrap();
    assert_eq!((oauth.refresh, oauth.access.revision), (first.refresh, 2));
    assert_eq!((oauth.refresh_lease_until, oauth.next_refresh_at), (None, Some(at("11:36:00"))));
    assert_eq!(oauth.scopes, ["https://www.googleapis.com/auth/adwords"], "as before");
    assert_eq!(room.last(google.id, "credential.oauth_refreshed")["refresh_rotated"], false);
    assert_eq!(room.open(google.id).unwrap(), "access-2");

    room.world.clock.set("2025-01-06T11:36:00Z");
    begin(&room, google.id).unwrap();
    let tokens = json!({"access_token": "access-3", "refresh_token": "refresh-2", "expires_in": 3600});
    let rotated = complete(&room, google.id, tokens).unwrap();
    assert_eq!(room.last(google.id, "credential.oauth_refreshed")["refresh_rotated"], true);
    let now = rotated.oauth.unwrap().refresh.unwrap();
    assert_eq!((now.secret_id, now.revision), (first.refresh.unwrap().secret_id, 2));
    let day = 24 * 3600;
    room.pass(day - 1);
    assert!(room.is_kept(first.refresh.unwrap()));
    room.pass(1);
    assert!(!room.is_kept(first.refresh.unwrap()) && room.is_kept(now));
    assert!(!room.is_kept(first.access), "an access token is of no use after its own end");
    let lease = begin(&room, google.id).unwrap();
    assert_eq!(&*lease.refresh_token, "refresh-2");
}

#[test]
fn case_11_one_renews_at_a_time() {
    let room = Room::new();
    let google = room.google(Some("refresh-1"));
    begin(&room, google.id).unwrap();
    let error = refused(begin(&room, google.id), ErrorCode::RefreshInProgress);
    assert_eq!(error.details()["until"], "2025-01-06T10:01:00.000000Z");
    room.world.clock.set("2025-01-06T10:00:59Z");
    refused(begin(&room, google.id), ErrorCode::RefreshInProgress);
    room.world.clock.set("2025-01-06T10:01:00Z");
    begin(&room, google.id).unwrap();
    assert_eq!(room.types(google.id).iter().filter(|name| *name == "credential.oauth_refresh_started").count(), 2);
}

#[test]
fn case_11_of_many_racing_workers_one_renews() {
    let room = Room::new();
    let google = room.google(Some("refresh-1"));
    let won: usize = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..6).map(|_| scope.spawn(|| usize::from(begin(&room, google.id).is_ok()))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
}

#[test]
fn case_12_a_revoked_grant_needs_a_person() {
    let room = Room::new();
    let google = room.google(Some("refresh-1"));
    begin(&room, google.id).unwrap();
    let refused_one = fail(&room, google.id, "invalid_grant").unwrap();
    assert_eq!(refused_one.status.as_str(), "needs_reauth");
    assert_eq!(refused_one.status_reason.as_deref(), Some("invalid_grant"));
    let data = room.last(google.id, "credential.oauth_refresh_failed");
    assert_eq!((data["permanent"].clone(), data["next_refresh_at"].clone()), (json!(true), Value::Null));
    refused(room.open(google.id), ErrorCode::CredentialNeedsReauth);
    refused(begin(&room, google.id), ErrorCode::CredentialNeedsReauth);
    let again = room.authorise(&google, Some("refresh-2"), Some(3600)).unwrap();
    assert_eq!((again.status.as_str(), again.oauth.unwrap().refresh_failures), ("active", 0));
    assert_eq!(again.status_reason, None);
    assert!(!room.is_kept(google.oauth.unwrap().refresh.unwrap()), "what was revoked is destroyed");
    assert_eq!(room.open(google.id).unwrap(), "access-token-0001");
}

#[test]
fn case_13_a_failure_that_may_pass_is_tried_again() {
    let room = Room::new();
    let google = room.google(Some("refresh-1"));
    room.world.clock.set("2025-01-06T10:50:00Z");
    let next = |of: Credential| (of.status.to_string(), of.oauth.unwrap().next_refresh_at.unwrap());
    begin(&room, google.id).unwrap();
    assert_eq!(next(fail(&room, google.id, "http_503").unwrap()), ("active".into(), at("10:51:00")));
    room.world.clock.set("2025-01-06T10:51:00Z");
    begin(&room, google.id).unwrap();
    assert_eq!(next(fail(&room, google.id, "http_503").unwrap()), ("active".into(), at("10:53:00")));
    room.world.clock.set("2025-01-06T10:59:00Z");
    for _ in 3..=9 {
        fail(&room, google.id, "timeout").unwrap();
    }
    let (status, due) = next(fail(&room, google.id, "timeout").unwrap());
    assert_eq!((status.as_str(), due), ("active", at("11:59:00")), "an hour at most, and the token still lives");
    refused_at(fail(&room, google.id, " "), ErrorCode::TextRequired, "failure.error_code");

    room.world.clock.set("2025-01-06T11:00:00Z");
    refused(room.open(google.id), ErrorCode::CredentialExpired);
    let given_up = fail(&room, google.id, "timeout").unwrap();
    assert_eq!((given_up.status.as_str(), given_up.oauth.unwrap().next_refresh_at), ("expired", None));
    assert_eq!(room.last(google.id, "credential.expired")["cause"], "refresh_exhausted");
    begin(&room, google.id).unwrap();
    let back = complete(&room, google.id, json!({"access_token": "access-2", "expires_in": 3600})).unwrap();
    assert_eq!((back.status.as_str(), back.oauth.unwrap().refresh_failures), ("active", 0));
}

#[test]
fn case_14_what_nobody_granted_is_not_renewed() {
    let room = Room::new();
    let made = room.create(json!({"credential_type": "google_ads", "name": "Ads"}));
    refused(complete(&room, made.id, json!({"access_token": "a"})), ErrorCode::OauthNotAuthorized);
    refused(fail(&room, made.id, "http_503"), ErrorCode::OauthNotAuthorized);
    refused(begin(&room, made.id), ErrorCode::OauthNotAuthorized);
    let google = room.authorise(&made, None, Some(3600)).unwrap();
    refused(begin(&room, google.id), ErrorCode::OauthNoRefreshToken);
    refused_at(room.run::<CompleteRefresh>(json!({"id": google.id})), ErrorCode::FieldRequired, "tokens");
    let both = json!({"id": google.id, "tokens": {"access_token": "a"}, "failure": {"error_code": "e"}});
    refused_at(room.run::<CompleteRefresh>(both), ErrorCode::InputInvalid, "failure");
}

#[test]
fn tokens_may_be_there_from_the_start() {
    let room = Room::new();
    let create = |change: Value| {
        let mut input = json!({"credential_type": "google_ads", "name": "Ads",
            "oauth": {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 3600}});
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        room.try_create(input)
    };
    let both = create(json!({"expires_at": "2026-01-01T00:00:00Z"}));
    refused_at(both, ErrorCode::InputInvalid, "expires_at");
    refused_at(create(json!({"oauth": {"access_token": ""}})), ErrorCode::SecretEmpty, "oauth.access_token");
    let made = create(json!({})).unwrap();
    assert_eq!((made.status.as_str(), made.version), ("active", 1));
    assert_eq!(room.open(made.id).unwrap(), "access-1");
    assert_eq!(&*begin(&room, made.id).unwrap().refresh_token, "refresh-1");
    let late = json!({"id": made.id, "expires_at": "2026-01-01T00:00:00Z"});
    refused_at(room.run::<UpdateCredential>(late), ErrorCode::InputInvalid, "expires_at");
}

#[test]
fn tokens_for_one_that_was_switched_off_are_kept() {
    let room = Room::new();
    let google = room.google(Some("refresh-1"));
    begin(&room, google.id).unwrap();
    room.run::<DeactivateCredential>(json!({"id": google.id})).unwrap();
    refused(room.authorise(&google, None, None), ErrorCode::CredentialInactive);
    let tokens = json!({"access_token": "access-2", "refresh_token": "refresh-2", "expires_in": 3600});
    assert_eq!(complete(&room, google.id, tokens).unwrap().status.as_str(), "inactive");
    room.run::<ActivateCredential>(json!({"id": google.id})).unwrap();
    assert_eq!(room.open(google.id).unwrap(), "access-2");
    assert_eq!(&*begin(&room, google.id).unwrap().refresh_token, "refresh-2");
}

#[test]
fn without_a_refresh_token_the_end_of_the_token_is_the_end() {
    let room = Room::new();
    let google = room.google(None);
    room.world.clock.set("2025-01-06T11:00:00Z");
    room.pending();
    assert_eq!(room.get(google.id).status.as_str(), "expired");
    assert_eq!(room.last(google.id, "credential.expired")["cause"], "time");
    assert_eq!(room.authorise(&google, None, Some(60)).unwrap().status.as_str(), "active");
}
