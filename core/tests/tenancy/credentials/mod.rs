//! The acceptance cases of credentials and of the keys that they are sealed under.

mod keys;
mod life;
mod opening;
mod renewal;
mod tokens;
mod values;

use super::*;
use ventros::kernel::{Component, CredentialId, Kind, SecretRef, Subject};
use ventros::tenancy::credential::Credential;
use ventros::tenancy::credential::commands::*;
use ventros::tenancy::credential::queries::{FindCredential, GetCredential, ListCredentials};

const VALUE: &str = "my-secret-api-key-12345";

struct Room {
    world: World,
    project: ProjectId,
}

impl Room {
    #[track_caller]
    fn new() -> Room {
        Room::of(World::with_vault())
    }

    #[track_caller]
    fn of(world: World) -> Room {
        let project = host::<CreateProject>(&world, json!({"name": "Acme"})).unwrap().id;
        Room { world, project }
    }

    fn run<C: Command>(&self, input: Value) -> Result<C::Output> {
        self.run_as::<C>(Component::Host, input)
    }

    fn run_as<C: Command>(&self, component: Component, input: Value) -> Result<C::Output> {
        inside::<C>(&self.world, self.project, ActorRef::system(component), input)
    }

    fn ask<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        ask(&self.world, self.project, ActorRef::system(Component::Host), query)
    }

    fn try_create(&self, input: Value) -> Result<Credential> {
        self.run::<CreateCredential>(input)
    }

    #[track_caller]
    fn create(&self, input: Value) -> Credential {
        self.try_create(input).unwrap()
    }

    #[track_caller]
    fn api_key(&self, name: &str) -> Credential {
        self.create(json!({"credential_type": "api_key", "name": name, "value": VALUE}))
    }

    /// Authorised at 10:00 for an hour, as Google does it.
    #[track_caller]
    fn google(&self, refresh: Option<&str>) -> Credential {
        self.world.clock.set("2025-01-06T10:00:00Z");
        let made = self.create(json!({"credential_type": "google_ads", "name": "Ads"}));
        assert_eq!(made.status.as_str(), "needs_reauth");
        self.authorise(&made, refresh, Some(3600)).unwrap()
    }

    fn authorise(&self, to: &Credential, refresh: Option<&str>, expires_in: Option<i64>) -> Result<Credential> {
        self.run::<AuthorizeOAuth>(json!({"id": to.id, "access_token": "access-token-0001", "refresh_token": refresh,
            "expires_in": expires_in, "scopes": ["https://www.googleapis.com/auth/adwords"]}))
    }

    fn open(&self, id: CredentialId) -> Result<String> {
        self.run::<OpenCredential>(json!({"id": id, "purpose": "test"})).map(|opened| opened.text.to_string())
    }

    #[track_caller]
    fn get(&self, id: CredentialId) -> Credential {
        self.ask(GetCredential { id }).unwrap()
    }

    fn pass(&self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        self.pending();
    }

    #[track_caller]
    fn pending(&self) {
        let report = block_on(self.world.crm.run_pending()).unwrap();
        assert_eq!(report.failures, 0, "{report:?}");
    }

    /// Types and data of a credential's events, oldest first.
    fn events(&self, id: CredentialId) -> Vec<(String, Value)> {
        let stream = Some(Subject::new(Kind::Credential, id));
        let query = EventQuery { stream, limit: 5_000, ..EventQuery::default() };
        let found = block_on(self.world.crm.core().storage().events(Scope::Project(self.project), &query)).unwrap();
        found.into_iter().map(|event| (event.event_type, serde_json::from_str(event.data.get()).unwrap())).collect()
    }

    fn types(&self, id: CredentialId) -> Vec<String> {
        self.events(id).into_iter().map(|(name, _)| name).collect()
    }

    #[track_caller]
    fn last(&self, id: CredentialId, event_type: &str) -> Value {
        let found = self.events(id).into_iter().rev().find(|(name, _)| name == event_type);
        found.unwrap_or_else(|| panic!("no {event_type}")).1
    }

    /// Whether a sealed revision is still in the store.
    fn is_kept(&self, secret: SecretRef) -> bool {
        let storage = self.world.crm.core().storage();
        let found = storage.secret(self.project, secret.secret_id.uuid(), Some(secret.revision));
        block_on(found).unwrap().is_some()
    }
}

impl Drop for Room {
    /// Every test ends with snapshots that are the fold of the log.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.world.assert_log_matches();
        }
    }
}
