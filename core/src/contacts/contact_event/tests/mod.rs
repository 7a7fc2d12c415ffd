//! The acceptance cases of the timeline, by their numbers on the page, and its laws.

mod laws;
mod manual;
mod projected;

use super::*;
use crate::engine::Context;
use crate::kernel::{ActorRef, Error, ErrorCode, Kind, ProjectId};
use crate::storage::{EventQuery, EventRecord, Scope};
use crate::testing::{World, block_on};
use serde_json::{Value, json};
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));

/// One project, and shorthands for what the cases do all the time.
struct Desk {
    world: World,
}

impl Desk {
    fn new() -> Desk {
        let world = World::new();
        world.found(PROJECT);
        Desk { world }
    }

    fn as_actor(&self, actor: Option<ActorRef>, operation: &str, input: Value) -> Result<Value, Error> {
        let actor = actor.unwrap_or_else(|| ActorRef::system(crate::kernel::Component::Host));
        let context = Context::new(Some(PROJECT), actor);
        let output = block_on(self.world.crm.call(operation, context, input.to_string().as_bytes()))?;
        Ok(serde_json::from_str(&output).unwrap())
    }

    #[track_caller]
    fn call(&self, operation: &str, input: Value) -> Value {
        self.as_actor(None, operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    #[track_caller]
    fn refused(&self, operation: &str, input: Value) -> ErrorCode {
        match self.as_actor(None, operation, input) {
            Ok(output) => panic!("{operation} was not refused: {output}"),
            Err(error) => error.code(),
        }
    }

    /// A contact whose creation is in its timeline.
    #[track_caller]
    fn contact(&self, name: &str) -> String {
        let contact = self.call("contacts.create", json!({"name": name}));
        self.pending();
        contact["id"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn pending(&self) {
        let report = block_on(self.world.crm.run_pending()).unwrap();
        assert_eq!(report.failures, 0);
    }

    /// The entries of a contact, the newest first.
    #[track_caller]
    fn entries(&self, contact: &str) -> Vec<Value> {
        let filter = json!({"field": "contact_id", "op": "eq", "value": contact});
        let page = self.call("timeline.list", json!({"filter": filter, "limit": 100}));
        page["items"].as_array().unwrap().clone()
    }

    /// The entries of a contact that are of a type.
    #[track_caller]
    fn of_type(&self, contact: &str, event_type: &str) -> Vec<Value> {
        self.entries(contact).into_iter().filter(|entry| entry["event_type"] == event_type).collect()
    }

    #[track_caller]
    fn only(&self, contact: &str, event_type: &str) -> Value {
        let mut found = self.of_type(contact, event_type);
        assert_eq!(found.len(), 1, "{event_type}: {found:#?}");
        found.remove(0)
    }

    #[track_caller]
    fn record(&self, contact: &str, event_type: &str, more: Value) -> Value {
        let mut input = json!({"contact_id": contact, "event_type": event_type, "category": "general"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("timeline.record", input)
    }

    fn log(&self, pattern: &str) -> Vec<EventRecord> {
        let query = EventQuery { types: vec![pattern.to_owned()], limit: 10_000, ..EventQuery::default() };
        block_on(self.world.crm.core().storage().events(Scope::Project(PROJECT), &query)).unwrap()
    }

    fn rows(&self) -> Vec<(Uuid, String)> {
        let scan = self.world.crm.core().storage().scan(Scope::Project(PROJECT), Kind::ContactEvent, None, 10_000);
        block_on(scan).unwrap().into_iter().map(|row| (row.id, row.state)).collect()
    }
}
