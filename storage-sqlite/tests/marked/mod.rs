//! Everything that takes or gives secrets is done with texts that occur nowhere else. Whoever calls this looks for them.

use serde_json::{Value, json};
use ventros::engine::Context;
use ventros::kernel::{ActorRef, Component, Error, ProjectId};
use ventros::testing::{World, block_on};

/// What every marked text begins with: where it is found, a secret is.
pub const MARK: &str = "SeCrEtMaRk";
/// Occurs beside them and is no secret: a search that does not find it finds nothing.
pub const PLAIN: &str = "waha.example.com";

/// What was shown to whoever called: errors, and answers of operations that give no secret.
#[derive(Default)]
pub struct Shown(pub Vec<String>);

struct House<'w> {
    world: &'w World,
    shown: Shown,
    number: u32,
}

impl House<'_> {
    /// A text that occurs nowhere else.
    fn mark(&mut self) -> String {
        self.number += 1;
        format!("{MARK}-{:04}-{:04}", self.number, self.number * 7 % 10_000)
    }

    fn call(
        &mut self,
        at: Option<ProjectId>,
        operation: &str,
        input: &Value,
        key: Option<&str>,
    ) -> Result<Value, Error> {
        let mut context = Context::new(at, ActorRef::system(Component::Host));
        context.idempotency_key = key.map(str::to_owned);
        let answer = block_on(self.world.crm.call(operation, context, input.to_string().as_bytes()));
        let gives_secrets = matches!(operation, "credentials.open" | "credentials.begin_refresh");
        match &answer {
            Ok(text) if !gives_secrets => self.shown.0.push(text.clone()),
            Ok(_) => {}
            Err(error) => self.shown.0.extend([format!("{error:?}"), format!("{error}"), json!(error).to_string()]),
        }
        answer.map(|text| serde_json::from_str(&text).unwrap())
    }

    #[track_caller]
    fn ok(&mut self, at: Option<ProjectId>, operation: &str, input: Value) -> Value {
        self.call(at, operation, &input, None).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    #[track_caller]
    fn refused(&mut self, at: Option<ProjectId>, operation: &str, input: Value) {
        let answer = self.call(at, operation, &input, None);
        assert!(answer.is_err(), "{operation} was to be refused");
    }

    fn run(&mut self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        let report = block_on(self.world.crm.run_pending()).unwrap();
        self.shown.0.push(format!("{report:?}"));
    }
}

/// Does everything that takes or gives secrets.
pub fn keep_secrets(world: &World) -> Shown {
    let mut house = House { world, shown: Shown::default(), number: 0 };
    users(&mut house);
    let project = house.ok(None, "projects.create", json!({"name": "Acme"}));
    let project = ProjectId::parse(project["id"].as_str().unwrap()).unwrap();
    channels(&mut house, project);
    values(&mut house, project);
    tokens(&mut house, project);
    keys(&mut house, project);
    house.shown
}

fn users(house: &mut House<'_>) {
    let password = format!("{}a horse", house.mark());
    let ana = house.ok(None, "users.create", json!({"name": "Ana", "email": "ana@acme.com", "password": password}));
    let next = format!("{}a staple", house.mark());
    house.ok(None, "users.set_password", json!({"id": ana["id"], "password": next}));
    let wrong = house.mark();
    house.refused(None, "users.authenticate", json!({"email": "ana@acme.com", "password": wrong}));
    house.ok(None, "users.authenticate", json!({"email": "ana@acme.com", "password": next}));
    let key = house.mark();
    house.refused(None, "users.authenticate", json!({"api_key": key}));
}

fn channels(house: &mut House<'_>, project: ProjectId) {
    let at = Some(project);
    let api_key = house.mark();
    let config = json!({"base_url": format!("https://{PLAIN}")});
    let line = json!({"name": "Sales", "type": "waha", "config": config, "secrets": {"api_key": api_key}});
    let line = house.ok(at, "channels.create", line);
    let (next, short) = (house.mark(), house.mark());
    house.ok(at, "channels.update", json!({"id": line["id"], "secrets": {"api_key": next}}));
    house.refused(at, "channels.update", json!({"id": line["id"], "secrets": {"webhook_hmac_key": short[..14]}}));
    let hidden = house.mark();
    house.ok(at, "channels.create", json!({"name": "Hidden", "type": "waha", "config": {"api_key": hidden}}));
    house.ok(at, "channels.update", json!({"id": line["id"], "secrets": {"api_key": null}}));
}

fn values(house: &mut House<'_>, project: ProjectId) {
    let at = Some(project);
    let value = house.mark();
    let made = json!({"credential_type": "api_key", "name": "Main", "value": value});
    let once = house.call(at, "credentials.create", &made, Some("once")).unwrap();
    assert_eq!(house.call(at, "credentials.create", &made, Some("once")).unwrap(), once);
    house.refused(at, "credentials.create", made);
    let long = format!("{}{}", house.mark(), "x".repeat(17_000));
    house.refused(at, "credentials.create", json!({"credential_type": "api_key", "name": "Long", "value": long}));
    let wrong = house.mark();
    house.refused(at, "credentials.create", json!({"credential_type": "api_key", "name": "List", "value": [wrong]}));
    let wrong = house.mark();
    house.refused(at, "credentials.create", json!({"credential_type": wrong, "name": "Type", "value": wrong}));
    let part = house.mark();
    let pair = |name: &str, password: &str| json!({"username": name, "password": password}).to_string();
    let create = |value: String| json!({"credential_type": "basic_auth", "name": "Pair", "value": value});
    house.refused(at, "credentials.create", create(pair("a:b", &part)));
    house.refused(at, "credentials.create", create(format!("{{\"username\": {part}")));
    house.ok(at, "credentials.create", create(pair("ana", &part)));
    let noted = house.mark();
    let notes = json!({"credential_type": "api_key", "name": "Notes", "value": "v", "metadata": {"api_token": noted}});
    house.refused(at, "credentials.create", notes);

    let id = &once["id"];
    house.ok(at, "credentials.open", json!({"id": id, "purpose": "test"}));
    let sealed = house.call(at, "credentials.open", &json!({"id": id, "purpose": "test"}), Some("open"));
    assert!(sealed.is_err());
    for grace in [3_600, 0] {
        let value = house.mark();
        house.ok(at, "credentials.rotate_value", json!({"id": id, "value": value, "grace_seconds": grace}));
        house.refused(at, "credentials.rotate_value", json!({"id": id, "value": value}));
        house.run(1_800);
    }
    house.run(7_200);
    house.ok(at, "credentials.deactivate", json!({"id": id}));
    house.refused(at, "credentials.open", json!({"id": id, "purpose": "test"}));
    let gone = house.mark();
    let brief = json!({"credential_type": "webhook_auth", "name": "Brief", "value": gone});
    let brief = house.ok(at, "credentials.create", brief);
    house.ok(at, "credentials.delete", json!({"id": brief["id"]}));
}

fn tokens(house: &mut House<'_>, project: ProjectId) {
    let at = Some(project);
    let (secret, access, refresh) = (house.mark(), house.mark(), house.mark());
    let made = json!({"credential_type": "google_ads", "name": "Ads", "value": secret,
        "oauth": {"access_token": access, "refresh_token": refresh, "expires_in": 3600},
        "metadata": {"client_id": "shop", "oauth_url": "https://accounts.example.com/token"}});
    let made = house.ok(at, "credentials.create", made);
    let id = &made["id"];
    let (access, refresh) = (house.mark(), house.mark());
    let grant = json!({"id": id, "access_token": access, "refresh_token": refresh, "expires_in": 3600});
    house.ok(at, "credentials.authorize_oauth", grant);
    let wrong = house.mark();
    house.refused(at, "credentials.authorize_oauth", json!({"id": id, "access_token": wrong, "expires_in": 0}));
    house.ok(at, "credentials.begin_refresh", json!({"id": id}));
    house.refused(at, "credentials.begin_refresh", json!({"id": id}));
    let (access, refresh) = (house.mark(), house.mark());
    let tokens = json!({"access_token": access, "refresh_token": refresh, "expires_in": 3600});
    house.ok(at, "credentials.complete_refresh", json!({"id": id, "tokens": tokens}));
    house.ok(at, "credentials.open", json!({"id": id, "purpose": "test", "field": "value"}));
    house.ok(at, "credentials.open", json!({"id": id, "purpose": "test"}));
    house.run(3_600);
}

fn keys(house: &mut House<'_>, project: ProjectId) {
    house.ok(None, "credentials.rotate_keys", json!({"project_id": project}));
    house.ok(None, "credentials.rotate_keys", json!({}));
    house.run(86_400);
    house.ok(None, "credentials.retire_key", json!({"project_id": project, "key_id": "p1"}));
    // Jobs and stored results are still there when everything is searched.
    let value = house.mark();
    let made = json!({"credential_type": "telegram_bot", "name": "Bot", "value": value});
    let made = house.call(Some(project), "credentials.create", &made, Some("at last")).unwrap();
    let value = house.mark();
    let rotated = json!({"id": made["id"], "value": value});
    house.call(Some(project), "credentials.rotate_value", &rotated, Some("and again")).unwrap();
}
