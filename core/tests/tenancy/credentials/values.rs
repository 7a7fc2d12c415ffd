//! Values: what they must be, where they go, what is told of them.

use super::*;
use ventros::storage::Scope;

#[test]
fn case_01_a_value_is_in_the_vault_and_nowhere_else() {
    let room = Room::new();
    let made = room.api_key("Main");
    assert_eq!((made.status.as_str(), made.hint.as_deref()), ("active", Some("2345")));
    assert_eq!(made.fingerprint.as_ref().map(String::len), Some(16));
    let (name, data) = room.events(made.id).pop().unwrap();
    assert_eq!(name, "credential.created");
    assert_eq!(data["value"], json!(made.value.unwrap()));
    assert_eq!(room.open(made.id).unwrap(), VALUE);

    let command: CreateCredential =
        parsed(json!({"credential_type": "api_key", "name": "Main", "value": VALUE})).unwrap();
    let error = block_on(room.world.crm.project(room.project).execute(command.clone())).unwrap_err();
    let log = events(&room.world, room.project);
    let storage = room.world.crm.core().storage();
    let snapshots = block_on(storage.scan(Scope::Installation, Kind::Credential, None, 10)).unwrap();
    let written = [format!("{command:?}"), format!("{error:?}"), serde_json::to_string(&made).unwrap()];
    let written = written.into_iter().chain(log.iter().map(|event| format!("{event:?}")));
    for text in written.chain(snapshots.into_iter().map(|snapshot| snapshot.state)) {
        assert!(!text.contains(VALUE) && !text.contains("my-secret"), "{text}");
    }
}

#[test]
fn case_02_input_has_rules() {
    let room = Room::new();
    let create = |change: Value| {
        let mut input = json!({"credential_type": "api_key", "name": "Main", "value": VALUE});
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        room.try_create(input)
    };
    refused_at(create(json!({"value": ""})), ErrorCode::SecretEmpty, "value");
    refused_at(create(json!({"name": ""})), ErrorCode::NameRequired, "name");
    refused_at(create(json!({"credential_type": "foo"})), ErrorCode::EnumUnknown, "credential_type");
    refused_at(create(json!({"value": null})), ErrorCode::CredentialValueRequired, "value");
    refused_at(create(json!({"value": "x".repeat(16_385)})), ErrorCode::SecretTooLarge, "value");
    let tokens = json!({"oauth": {"access_token": "a"}});
    refused_at(create(tokens), ErrorCode::NotAnOauthCredential, "oauth");
    let instance = create(json!({"credential_type": "waha"})).unwrap();
    assert_eq!(instance.credential_type.as_str(), "waha_instance");
    let all = create(json!({"name": "", "value": "", "expires_at": "2020-01-01T00:00:00Z"})).unwrap_err();
    let codes: Vec<&str> = all.all().map(|error| error.code().as_str()).collect();
    assert_eq!(codes, ["name_required", "secret_empty", "credential_expiry_in_past"]);
}

#[test]
fn case_03_a_name_is_unique_while_it_is_held() {
    let room = Room::new();
    let first = room.api_key("Main");
    let second = json!({"credential_type": "api_key", "name": " main ", "value": "other"});
    refused(room.try_create(second.clone()), ErrorCode::CredentialNameTaken);
    assert_eq!(room.ask(FindCredential { name: "MAIN".into() }).unwrap().unwrap().id, first.id);
    room.run::<DeleteCredential>(json!({"id": first.id})).unwrap();
    room.create(second);
    assert_eq!(room.ask(ListCredentials::default()).unwrap().items.len(), 1);
}

#[test]
fn case_04_equal_values_are_told_by_their_fingerprint_alone() {
    let room = Room::new();
    let text = "çãõ 日本語 🔐";
    let make = |name: &str| room.create(json!({"credential_type": "api_key", "name": name, "value": text}));
    let (one, two) = (make("one"), make("two"));
    assert_eq!(one.fingerprint, two.fingerprint);
    let sealed = |of: &Credential| {
        let secret = of.value.unwrap();
        let found = room.world.crm.core().storage().secret(room.project, secret.secret_id.uuid(), None);
        let sealed = block_on(found).unwrap().unwrap().sealed;
        sealed.split('.').map(str::to_owned).collect::<Vec<_>>()
    };
    let (first, second) = (sealed(&one), sealed(&two));
    assert!(first[2] != second[2] && first[3] != second[3]);
    assert_eq!(room.open(one.id).unwrap(), text);
    assert_ne!(room.api_key("three").fingerprint, one.fingerprint);
    let elsewhere = host::<CreateProject>(&room.world, json!({"name": "Other"})).unwrap().id;
    let input = json!({"credential_type": "api_key", "name": "one", "value": text});
    let foreign = inside::<CreateCredential>(&room.world, elsewhere, ActorRef::system(Component::Host), input);
    assert_ne!(foreign.unwrap().fingerprint, one.fingerprint, "another project has another key");
}

#[test]
fn case_13_of_security_without_keys_nothing_is_kept() {
    let room = Room::of(World::new());
    let input = json!({"credential_type": "api_key", "name": "Main", "value": VALUE});
    refused_at(room.try_create(input), ErrorCode::EncryptionNotConfigured, "value");
    let bare = room.create(json!({"credential_type": "google_ads", "name": "Ads"}));
    refused(room.authorise(&bare, None, None), ErrorCode::EncryptionNotConfigured);
    refused(host::<RotateKeys>(&room.world, json!({})), ErrorCode::EncryptionNotConfigured);
}

#[test]
fn case_19_an_old_value_opens_until_its_grace_is_over() {
    let room = Room::new();
    let made = room.api_key("Main");
    let same = json!({"id": made.id, "value": VALUE});
    refused_at(room.run::<RotateValue>(same), ErrorCode::SecretUnchanged, "value");
    let rotated = room.run::<RotateValue>(json!({"id": made.id, "value": "another-secret-54321"})).unwrap();
    assert_eq!((rotated.hint.as_deref(), rotated.value.unwrap().revision), (Some("4321"), 2));
    let old = |revision: u32| {
        let input = json!({"id": made.id, "purpose": "under way", "revision": revision});
        room.run::<OpenCredential>(input).map(|opened| opened.text.to_string())
    };
    assert_eq!(room.open(made.id).unwrap(), "another-secret-54321");
    room.pass(24 * 3600 - 1);
    assert_eq!(old(1).unwrap(), VALUE);
    room.world.clock.advance_seconds(1);
    refused_at(old(1), ErrorCode::CredentialNotFound, "revision");
    assert!(room.is_kept(made.value.unwrap()), "the timer has not run yet");
    room.pending();
    assert!(!room.is_kept(made.value.unwrap()));
    refused_at(old(3), ErrorCode::CredentialNotFound, "revision");
    assert_eq!(old(2).unwrap(), "another-secret-54321");

    let now = json!({"id": made.id, "value": "third-secret-value-99", "grace_seconds": 0});
    let third = room.run::<RotateValue>(now).unwrap();
    assert!(!room.is_kept(rotated.value.unwrap()), "without grace it is gone at once");
    assert_eq!(third.retiring, []);
    let long = json!({"id": made.id, "value": "fourth", "grace_seconds": 604_801});
    refused_at(room.run::<RotateValue>(long), ErrorCode::ValueOutOfRange, "grace_seconds");
}

#[test]
fn a_shorter_grace_counts_for_earlier_values_too() {
    let room = Room::new();
    let made = room.api_key("Main");
    let rotate = |value: &str, grace: u32| {
        room.run::<RotateValue>(json!({"id": made.id, "value": value, "grace_seconds": grace})).unwrap()
    };
    rotate("second-secret", 604_800);
    let rotated = rotate("third-secret", 3600);
    let until: Vec<String> = rotated.retiring.iter().map(|old| old.valid_until.to_string()).collect();
    assert_eq!(until, ["2025-01-06T10:00:00.000000Z"; 2]);
    room.pass(3600);
    assert!(!room.is_kept(made.value.unwrap()));
    assert!(room.is_kept(rotated.value.unwrap()));
}

#[test]
fn case_20_structured_values_have_their_parts() {
    let room = Room::new();
    let create = |kind: &str, value: Value| {
        room.try_create(json!({"credential_type": kind, "name": kind, "value": value.to_string()}))
    };
    let malformed = ErrorCode::CredentialValueMalformed;
    let error =
        refused_at(create("basic_auth", json!({"username": "a:b", "password": "geheim"})), malformed, "value.username");
    assert!(!format!("{error:?}").contains("geheim") && !format!("{error:?}").contains("a:b"));
    refused_at(create("basic_auth", json!({"username": "a", "password": ""})), malformed, "value.password");
    refused_at(create("basic_auth", json!({"username": "a"})), malformed, "value.password");
    refused_at(create("basic_auth", json!({"username": "a", "password": "b", "geheim": 1})), malformed, "value");
    refused_at(create("basic_auth", json!(["a", "b"])), malformed, "value");
    refused_at(create("smtp", json!({"host": "h", "port": 0, "user": "u", "password": "p"})), malformed, "value.port");
    refused_at(create("twilio", json!({"account_sid": "AC1"})), malformed, "value.auth_token");
    create("basic_auth", json!({"username": "a", "password": "b"})).unwrap();
    create("smtp", json!({"host": "h", "port": 587, "user": "u", "password": "p"})).unwrap();
    create("twilio", json!({"account_sid": "AC1", "auth_token": "t"})).unwrap();
    create("wechat", json!({"app_id": "wx", "app_secret": "s"})).unwrap();
}

#[test]
fn case_21_notes_are_no_place_for_secrets() {
    let room = Room::new();
    let create = |metadata: Value| {
        room.try_create(json!({"credential_type": "waha_instance", "name": "W", "value": "k", "metadata": metadata}))
    };
    let looks = ErrorCode::MetadataLooksSecret;
    refused_at(create(json!({"api_token": "abc"})), looks, "metadata.api_token");
    refused_at(create(json!({"more": {"API_KEY": "abc"}})), looks, "metadata.more.API_KEY");
    refused_at(create(json!({"list": [{"client_secret": "abc"}]})), looks, "metadata.list.client_secret");
    refused_at(create(json!({"base_url": "nowhere"})), ErrorCode::UrlInvalid, "metadata.base_url");
    let notes = json!({"base_url": "https://waha.example.com", "tokens": 3, "keyboard": "de"});
    let made = create(notes).unwrap();
    let update = |set: Value| room.run::<UpdateCredential>(json!({"id": made.id, "metadata": {"set": set}}));
    refused_at(update(json!({"password": "abc"})), looks, "metadata.password");
    let found = |value: &str| {
        let filter = json!({"filter": {"field": "metadata.base_url", "op": "eq", "value": value}});
        let query: ListCredentials = serde_json::from_value(filter).unwrap();
        room.ask(query).unwrap().items.len()
    };
    assert_eq!((found("https://waha.example.com"), found("https://other.example.com")), (1, 0));
}

#[test]
fn case_24_scopes_that_were_not_granted_are_told() {
    let room = Room::new();
    let made = room.create(json!({"credential_type": "meta_ads", "name": "Meta"}));
    let input = json!({"id": made.id, "access_token": "a", "scopes": ["ads_read"]});
    let authorised = room.run::<AuthorizeOAuth>(input).unwrap();
    assert_eq!(authorised.missing_scopes(), ["ads_management"]);
    let data = room.last(made.id, "credential.oauth_authorized");
    assert_eq!(
        (data["missing_scopes"].clone(), data["token_type"].clone()),
        (json!(["ads_management"]), json!("Bearer"))
    );
}

#[test]
fn case_25_a_credential_is_of_its_project() {
    let room = Room::new();
    let made = room.api_key("Main");
    let other = host::<CreateProject>(&room.world, json!({"name": "Other"})).unwrap().id;
    let input = json!({"id": made.id, "purpose": "test"});
    let opened = inside::<OpenCredential>(&room.world, other, ActorRef::system(Component::Host), input);
    refused(opened, ErrorCode::CredentialNotFound);
}

#[test]
fn a_project_has_200_credentials() {
    let room = Room::new();
    for number in 0..200 {
        room.create(json!({"credential_type": "google_ads", "name": format!("n{number}")}));
    }
    let one_more = room.try_create(json!({"credential_type": "google_ads", "name": "one more"}));
    refused(one_more, ErrorCode::CredentialLimit);
}

#[test]
fn a_description_changes_by_what_differs() {
    let room = Room::new();
    let made = room.api_key("Main");
    let update = |mut input: Value| {
        input["id"] = json!(made.id);
        room.run::<UpdateCredential>(input)
    };
    let account = json!({"id": "act_1", "name": "Shop"});
    let input = json!({"name": "Other", "description": "d", "metadata": {"set": {"region": "eu"}}, "provider_account": account});
    let changed = update(input.clone()).unwrap();
    assert_eq!((changed.version, changed.name.as_str()), (2, "Other"));
    assert_eq!(update(input).unwrap().version, 2, "nothing differs");
    let expected = json!({"type": "credential.updated", "name": "Other", "description": "d",
        "metadata_set": {"region": "eu"}, "provider_account": account});
    assert_eq!(room.last(made.id, "credential.updated"), expected);
    let changed = update(json!({"metadata": {"unset": ["region"]}, "provider_account": null})).unwrap();
    assert!(changed.metadata.is_empty() && changed.provider_account.is_none());
    refused_at(update(json!({"provider_account": {"id": " "}})), ErrorCode::TextRequired, "provider_account.id");
}
