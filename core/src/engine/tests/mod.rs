//! The acceptance cases of the kernel that are about commands, pages and the log.

mod commands;
mod limits;
mod log;
pub(crate) mod outside;

use super::{Context, Project};
use crate::kernel::{ErrorCode, ProjectId, Result};
use crate::storage::{EventQuery, EventRecord, Scope};
use crate::testing::{World, block_on};
use serde_json::{Value, json};
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));

/// A world with one project, called by name as the bindings do.
struct Desk {
    world: World,
    project: Project,
}

impl Desk {
    fn new() -> Desk {
        let world = World::new();
        let project = world.found(PROJECT);
        Desk { world, project }
    }

    fn attempt_in(&self, context: Context, operation: &str, input: &Value) -> Result<Value> {
        let output = block_on(self.world.crm.call(operation, context, input.to_string().as_bytes()))?;
        Ok(serde_json::from_str(&output).expect("an output is JSON"))
    }

    fn attempt(&self, operation: &str, input: Value) -> Result<Value> {
        self.attempt_in(self.project.context(), operation, &input)
    }

    #[track_caller]
    fn call(&self, operation: &str, input: Value) -> Value {
        self.attempt(operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    #[track_caller]
    fn refused(&self, operation: &str, input: Value) -> ErrorCode {
        match self.attempt(operation, input) {
            Ok(output) => panic!("{operation} gave {output}"),
            Err(error) => error.code(),
        }
    }

    /// A contact after so many events of its own.
    #[track_caller]
    fn contact_at_version(&self, version: u64) -> Value {
        let mut contact = self.call("contacts.create", json!({"name": "Ana"}));
        while contact["version"].as_u64() < Some(version) {
            let tag = format!("t{}", contact["version"]);
            contact = self.call("contacts.add_tag", json!({"id": contact["id"], "tag": tag}));
        }
        assert_eq!(contact["version"], version);
        contact
    }

    fn log(&self) -> Vec<EventRecord> {
        let query = EventQuery { limit: 10_000, ..EventQuery::default() };
        let events = self.world.crm.core().storage().events(Scope::Project(PROJECT), &query);
        block_on(events).expect("the log is readable")
    }
}
