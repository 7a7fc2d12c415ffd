//! The acceptance cases of the event log page, by number, and the laws of its filters and its repairs.

mod history;
mod pruning;
mod reading;

use crate::engine::Project;
use crate::kernel::{ErrorCode, ProjectId, Result};
use crate::storage::{EventQuery, EventRecord, Scope};
use crate::testing::{World, block_on};
use serde_json::{Value, json};
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));
const OTHER: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xB11));

/// A world with two projects, called by name as the bindings do.
struct Desk {
    world: World,
    project: Project,
    other: Project,
}

impl Desk {
    fn new() -> Desk {
        let world = World::new();
        let (project, other) = (world.found(PROJECT), world.found(OTHER));
        Desk { world, project, other }
    }

    fn attempt_in(&self, project: &Project, operation: &str, input: &Value) -> Result<Value> {
        let output = block_on(self.world.crm.call(operation, project.context(), input.to_string().as_bytes()))?;
        Ok(serde_json::from_str(&output).expect("an output is JSON"))
    }

    #[track_caller]
    fn call(&self, operation: &str, input: Value) -> Value {
        let output = self.attempt_in(&self.project, operation, &input);
        output.unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    /// The code and the field of what is refused.
    #[track_caller]
    fn refused(&self, operation: &str, input: Value) -> (ErrorCode, String) {
        match self.attempt_in(&self.project, operation, &input) {
            Ok(output) => panic!("{operation} gave {output}"),
            Err(error) => (error.code(), error.field().unwrap_or_default().to_owned()),
        }
    }

    fn log(&self) -> Vec<EventRecord> {
        let query = EventQuery { limit: 10_000, ..EventQuery::default() };
        let events = self.world.crm.core().storage().events(Scope::Project(PROJECT), &query);
        block_on(events).expect("the log is readable")
    }

    /// Numbers of the events of all pages of a list.
    #[track_caller]
    fn numbers(&self, input: &Value) -> Vec<u64> {
        let (mut input, mut numbers) = (input.clone(), Vec::new());
        loop {
            let page = self.call("events.list", input.clone());
            let items = page["items"].as_array().expect("a list");
            numbers.extend(items.iter().map(|event| event["seq"].as_u64().expect("a number")));
            assert_eq!(page["has_more"], !page["next_cursor"].is_null());
            if page["next_cursor"].is_null() {
                return numbers;
            }
            input["cursor"] = page["next_cursor"].clone();
        }
    }
}
