//! On, off, the end of a credential, and what hangs on it.

use super::*;
use ventros::channels::channel::Channel;
use ventros::channels::channel::commands::{ActivateChannel, CreateChannel, ReportConnection};
use ventros::channels::channel::queries::GetChannel;
use ventros::kernel::ChannelId;
use ventros::tenancy::project::commands::DeleteProject;

#[test]
fn case_15_switching_off_twice_is_one_event() {
    let room = Room::new();
    let made = room.api_key("Main");
    let off = json!({"id": made.id, "reason": "holiday"});
    let switched = room.run::<DeactivateCredential>(off.clone()).unwrap();
    assert_eq!((switched.status.as_str(), switched.status_reason.as_deref()), ("inactive", Some("holiday")));
    room.run::<DeactivateCredential>(off).unwrap();
    assert_eq!(room.types(made.id), ["credential.created", "credential.deactivated"]);
    refused(room.open(made.id), ErrorCode::CredentialInactive);
    refused(room.run::<RotateValue>(json!({"id": made.id, "value": "x"})), ErrorCode::CredentialInactive);
    let on = json!({"id": made.id});
    assert_eq!(room.run::<ActivateCredential>(on.clone()).unwrap().status.as_str(), "active");
    room.run::<ActivateCredential>(on).unwrap();
    assert_eq!(room.types(made.id).len(), 3);
    assert_eq!(room.open(made.id).unwrap(), VALUE);
}

#[test]
fn case_16_its_end_comes_once() {
    let room = Room::new();
    let made = room.api_key("Main");
    let update = |end: &str| room.run::<UpdateCredential>(json!({"id": made.id, "expires_at": end}));
    refused_at(update("2025-01-05T09:00:00Z"), ErrorCode::CredentialExpiryInPast, "expires_at");
    update("2025-01-06T12:00:00Z").unwrap();
    let changed = room.last(made.id, "credential.expiry_changed");
    assert_eq!((changed["old"].clone(), changed["new"].clone()), (Value::Null, json!("2025-01-06T12:00:00.000000Z")));
    room.world.clock.set("2025-01-06T11:59:59Z");
    assert_eq!(room.open(made.id).unwrap(), VALUE);
    room.world.clock.set("2025-01-06T12:00:00Z");
    refused(room.open(made.id), ErrorCode::CredentialExpired);
    assert_eq!(room.get(made.id).status.as_str(), "active", "the timer has not run yet");
    room.pending();
    room.pass(86_400);
    let ends = room.types(made.id).iter().filter(|name| *name == "credential.expired").count();
    assert_eq!(ends, 1);
    assert_eq!(room.last(made.id, "credential.expired")["cause"], "time");
    refused(room.open(made.id), ErrorCode::CredentialExpired);
    refused(room.run::<ActivateCredential>(json!({"id": made.id})), ErrorCode::InvalidState);
    let rotated = room.run::<RotateValue>(json!({"id": made.id, "value": "another"})).unwrap();
    assert_eq!((rotated.status.as_str(), rotated.expires_at), ("active", None));
}

#[test]
fn a_warning_comes_a_week_and_a_day_before_the_end() {
    let room = Room::new();
    let end = "2025-02-01T09:00:00Z";
    let input = json!({"credential_type": "api_key", "name": "Main", "value": VALUE, "expires_at": end});
    let made = room.create(input);
    let warnings = || -> Vec<Value> {
        let found = room.events(made.id).into_iter().filter(|(name, _)| name == "credential.expiring");
        found.map(|(_, data)| data["days_left"].clone()).collect()
    };
    room.world.clock.set("2025-01-25T08:59:59Z");
    room.pending();
    assert_eq!(warnings(), Vec::<Value>::new());
    room.pass(1);
    room.pass(3600);
    assert_eq!(warnings(), [json!(7)]);
    room.world.clock.set("2025-01-31T09:00:00Z");
    room.pending();
    room.pass(3600);
    assert_eq!(warnings(), [json!(7), json!(1)]);
    let later = json!({"id": made.id, "expires_at": "2025-03-01T09:00:00Z"});
    assert_eq!(room.run::<UpdateCredential>(later).unwrap().warned_days, None);
    room.world.clock.set("2025-02-26T09:00:00Z");
    room.pending();
    assert_eq!(warnings(), [json!(7), json!(1), json!(3)], "who slept is told how many days are left");
}

#[test]
fn one_that_ended_while_it_was_off_comes_back_expired() {
    let room = Room::new();
    let input =
        json!({"credential_type": "api_key", "name": "Main", "value": VALUE, "expires_at": "2025-01-06T12:00:00Z"});
    let made = room.create(input);
    room.run::<DeactivateCredential>(json!({"id": made.id})).unwrap();
    room.world.clock.set("2025-01-06T13:00:00Z");
    room.pending();
    assert_eq!(room.get(made.id).status.as_str(), "inactive");
    let back = room.run::<ActivateCredential>(json!({"id": made.id})).unwrap();
    assert_eq!(back.status.as_str(), "expired");
    assert_eq!(room.last(made.id, "credential.activated")["status"], "expired");
    let bare = room.create(json!({"credential_type": "google_ads", "name": "Ads"}));
    room.run::<DeactivateCredential>(json!({"id": bare.id})).unwrap();
    let back = room.run::<ActivateCredential>(json!({"id": bare.id})).unwrap();
    assert_eq!(back.status.as_str(), "needs_reauth", "nobody has granted anything");
}

#[test]
fn a_deleted_one_has_no_secrets_left() {
    let room = Room::new();
    let google = room.google(Some("refresh-1"));
    let api_key = room.api_key("Main");
    let rotated = room.run::<RotateValue>(json!({"id": api_key.id, "value": "another"})).unwrap();
    let oauth = google.oauth.clone().unwrap();
    let all = [api_key.value.unwrap(), rotated.value.unwrap(), oauth.access, oauth.refresh.unwrap()];
    assert!(all.iter().all(|secret| room.is_kept(*secret)));
    for id in [google.id, api_key.id] {
        let deleted = room.run::<DeleteCredential>(json!({"id": id})).unwrap();
        assert!(deleted.value.is_none() && deleted.oauth.is_none() && deleted.fingerprint.is_none());
        assert_eq!(room.last(id, "credential.deleted")["shredded"], true);
        refused(room.ask(GetCredential { id }), ErrorCode::CredentialNotFound);
        refused(room.open(id), ErrorCode::CredentialNotFound);
    }
    assert!(!all.iter().any(|secret| room.is_kept(*secret)));
    room.pass(40 * 86_400);
}

fn channel(room: &Room, id: ChannelId) -> Channel {
    room.ask(GetChannel { id }).unwrap().channel
}

/// A channel that is on, and the credential that connects it.
fn connected(room: &Room) -> (Credential, ChannelId) {
    let key = room.create(json!({"credential_type": "waha_instance", "name": "W", "value": "k"}));
    let input = json!({"name": "Sales", "type": "waha", "external_id": "one", "credential_id": key.id,
        "config": {"base_url": "https://waha.example.com"}});
    let id = room.run::<CreateChannel>(input).unwrap().channel.id;
    room.run::<ActivateChannel>(json!({"id": id})).unwrap();
    room.run::<ReportConnection>(json!({"id": id, "connection": "connected"})).unwrap();
    assert_eq!(channel(room, id).status.as_str(), "active");
    (key, id)
}

#[test]
fn case_22_what_a_channel_needs_is_not_deleted_by_accident() {
    let room = Room::new();
    let (key, id) = connected(&room);
    let error = refused(room.run::<DeleteCredential>(json!({"id": key.id})), ErrorCode::CredentialInUse);
    assert_eq!(error.details()["channel_id"], json!(id));
    room.run::<DeleteCredential>(json!({"id": key.id, "force": true})).unwrap();
    room.pending();
    let channel = channel(&room, id);
    assert_eq!((channel.status.as_str(), channel.last_error.as_deref()), ("error", Some("the credential was deleted")));
}

#[test]
fn a_channel_follows_its_credential() {
    let room = Room::new();
    let (key, id) = connected(&room);
    let status = || {
        room.pending();
        channel(&room, id).status.to_string()
    };
    room.run::<DeactivateCredential>(json!({"id": key.id})).unwrap();
    assert_eq!(status(), "error");
    room.run::<ActivateCredential>(json!({"id": key.id})).unwrap();
    assert_eq!(status(), "activating", "it is tried again");
    room.run::<ReportConnection>(json!({"id": id, "connection": "connected"})).unwrap();
    room.run::<UpdateCredential>(json!({"id": key.id, "expires_at": "2025-01-06T10:00:00Z"})).unwrap();
    room.world.clock.set("2025-01-06T10:00:00Z");
    assert_eq!(status(), "error");
    assert_eq!(channel(&room, id).last_error.as_deref(), Some("the credential has expired"));
    room.run::<RotateValue>(json!({"id": key.id, "value": "another"})).unwrap();
    assert_eq!(status(), "activating");
    let other = room.api_key("of nobody");
    room.run::<DeactivateCredential>(json!({"id": other.id})).unwrap();
    assert_eq!(status(), "activating", "it is not connected through that one");
}

#[test]
fn credentials_go_off_with_their_project() {
    let room = Room::new();
    let (one, two) = (room.api_key("one"), room.api_key("two"));
    room.run::<DeleteProject>(json!({"confirm_slug": "acme"})).unwrap();
    room.pending();
    for id in [one.id, two.id] {
        assert_eq!(room.last(id, "credential.deactivated")["reason"], "project deleted");
    }
    assert!(room.is_kept(one.value.unwrap()), "a project can come back");
}

#[test]
fn a_test_call_leaves_its_answer() {
    let room = Room::new();
    let made = room.api_key("Main");
    let input = json!({"id": made.id, "ok": false, "code": "401"});
    let told = room.run::<RecordVerification>(input).unwrap();
    assert_eq!(told.last_verification.unwrap().code.as_deref(), Some("401"));
    assert_eq!(told.last_verified_at.unwrap().to_string(), "2025-01-06T09:00:00.000000Z");
    let long = json!({"id": made.id, "ok": true, "code": "x".repeat(101)});
    refused_at(room.run::<RecordVerification>(long), ErrorCode::TextTooLong, "code");
}
