//! The acceptance cases of the saga page, on the operations and with jobs done by hand.

mod going;
mod undoing;
mod waiting;

use super::SagaDefinition;
use crate::engine::Project;
pub(super) use crate::infrastructure::job::tests::{call, refused};
use crate::kernel::{ActorRef, ProjectId};
use crate::storage::Storage;
use crate::testing::{World, block_on};
pub use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

pub const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));
pub const MINUTE: i64 = 60;

/// A project whose program knows some kinds of sagas.
pub struct Office {
    pub world: World,
    pub project: Project,
}

impl Office {
    pub fn with(definition: Value) -> Office {
        let office = Office::on(Arc::new(crate::storage::MemoryStorage::default()));
        office.define(definition);
        office
    }

    pub fn on(storage: Arc<dyn Storage>) -> Office {
        let world = World::on(storage).expect("the store opens");
        let project = world.found(PROJECT);
        Office { world, project }
    }

    #[track_caller]
    pub fn define(&self, definition: Value) {
        let definition: SagaDefinition = serde_json::from_value(definition).expect("a definition");
        self.world.crm.define_saga(definition).expect("it is sound");
    }

    #[track_caller]
    pub fn call(&self, operation: &str, input: Value) -> Value {
        call(&self.project, operation, input)
    }

    /// Starts a saga of `host.setup` and gives its id.
    #[track_caller]
    pub fn start(&self, key: &str, input: Value) -> String {
        let started = self.call("sagas.start", json!({"kind": "host.setup", "key": key, "input": input}));
        assert_eq!(started["created"], true);
        started["saga"]["id"].as_str().expect("an id").to_owned()
    }

    /// Lets time pass and works off what is due.
    #[track_caller]
    pub fn pass(&self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        let report = block_on(self.world.crm.run_pending()).expect("it runs");
        assert_eq!(report.failures, 0);
    }

    #[track_caller]
    pub fn get(&self, id: &str) -> Value {
        self.call("sagas.get", json!({"id": id}))
    }

    #[track_caller]
    pub fn assert_status(&self, id: &str, status: &str) {
        let saga = self.get(id);
        assert_eq!(saga["status"], status, "{saga:#}");
    }

    /// Takes the due jobs of a kind, reports each with what `does` makes of it, and carries on. Gives the claimed jobs.
    #[track_caller]
    pub fn work(&self, kind: &str, does: impl Fn(&Value) -> Value) -> Vec<Value> {
        let claimed = self.call("jobs.claim", json!({"kinds": [kind], "limit": 100}));
        let claimed = claimed.as_array().expect("a list").clone();
        for job in &claimed {
            let report = json!({"id": job["id"], "lease_token": job["lease_token"], "outcome": does(job)});
            self.call("jobs.report", report);
        }
        self.pass(0);
        claimed
    }

    /// The types of a saga's own events, in order.
    #[track_caller]
    pub fn story(&self, id: &str) -> Vec<String> {
        self.events(id).iter().map(|event| event["type"].as_str().expect("a text")[5..].to_owned()).collect()
    }

    #[track_caller]
    pub fn events(&self, id: &str) -> Vec<Value> {
        let filter = json!({"field": "subject", "op": "contains", "value": format!("saga/{id}")});
        let list = self.call("events.list", json!({"filter": filter, "limit": 200}));
        list["items"].as_array().expect("a list").clone()
    }

    /// A member of the project, and the project as it acts.
    pub fn member(&self, name: &str, role: &str) -> (Value, Project) {
        let input = json!({"email": format!("{name}@example.com"), "name": name}).to_string();
        let context = crate::engine::Context::new(None, ActorRef::system(crate::kernel::Component::Host));
        let user = block_on(self.world.crm.call("users.create", context, input.as_bytes())).expect("registered");
        let user: Value = serde_json::from_str(&user).expect("JSON");
        let id = user["id"].as_str().expect("an id").parse::<Uuid>().expect("a uuid");
        let member = self.call("members.add", json!({"user_id": user["id"], "role": role}));
        (member, self.project.acting_as(ActorRef::user(id.into())))
    }
}

pub fn done(result: Value) -> Value {
    json!({"type": "done", "result": result})
}

pub fn permanent() -> Value {
    json!({"type": "permanent", "error": "it can never work"})
}

/// A saga of jobs of these names, each undone by a job `host.undo_<name>`.
pub fn of_jobs(names: &[&str]) -> Value {
    let step = |name: &&str| {
        json!({
            "id": name,
            "run": {"type": "job", "kind": format!("host.{name}"), "payload": {"for": {"$from": "saga.key"}}},
            "compensate": {"run": {"type": "job", "kind": format!("host.undo_{name}"), "payload": {"what": {"$from": format!("data.{name}.id")}}}},
        })
    };
    json!({"kind": "host.setup", "steps": names.iter().map(step).collect::<Vec<Value>>()})
}

/// A definition with fields of one of its steps changed.
pub fn changed(mut definition: Value, step: &str, change: Value) -> Value {
    let steps = definition["steps"].as_array_mut().expect("steps");
    let step = steps.iter_mut().find(|known| known["id"] == step).expect("the step");
    step.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
    definition
}

/// One step that makes a contact and is undone by deleting it.
pub fn contact_step() -> Value {
    json!({
        "id": "contact",
        "run": {"type": "command", "operation": "contacts.create", "input": {"name": {"$from": "input.name"}}},
        "compensate": {"run": {"type": "command", "operation": "contacts.delete", "input": {"id": {"$from": "data.contact.id"}}}},
    })
}
