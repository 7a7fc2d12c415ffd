//! Two installations that are told the same: one in memory, one in SQLite. What they answer must be the same text.

use crate::directory::Directory;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use uuid::Uuid;
use ventros::catalogue::AGGREGATES;
use ventros::engine::{Context, OperationScope};
use ventros::kernel::{ActorRef, Component, Error, Kind, ProjectId, Result};
use ventros::storage::{MemoryStorage, Scope, Storage};
use ventros::testing::{World, block_on};
use ventros_sqlite::{SqliteOptions, SqliteStorage, Synchronous};

/// The project that is attacked, and its neighbour.
pub const OURS: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));
pub const THEIRS: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xB11));

/// How a call ended.
pub enum Answer {
    Done(String),
    Refused(Error),
    Panicked(String),
    /// The two do not agree.
    Torn(String),
}

pub struct Twins {
    worlds: [World; 2],
    original: MemoryStorage,
    directory: Directory,
    restored: u64,
    pub ids: Rc<Ids>,
}

impl Twins {
    pub fn new() -> Twins {
        let directory = Directory::fresh("fuzz");
        let original = MemoryStorage::default();
        let worlds = open(original.reopen(), &directory.file(), 1);
        let mut twins = Twins { worlds, original, directory, restored: 0, ids: Rc::default() };
        for (project, number) in [(THEIRS, 1), (OURS, 2)] {
            twins.worlds.iter().for_each(|world| drop(world.found(project)));
            twins.furnish(project, number);
        }
        let mut ids = Ids::default();
        for project in [OURS, THEIRS, ProjectId::SYSTEM] {
            for aggregate in AGGREGATES {
                let storage = twins.worlds[0].crm.core().storage();
                let found = block_on(storage.scan(Scope::Project(project), aggregate.kind, None, 100)).unwrap();
                ids.0.insert((project, aggregate.kind), found.iter().map(|snapshot| snapshot.id).collect());
            }
        }
        twins.ids = Rc::new(ids);
        block_on(twins.worlds[1].crm.close()).unwrap();
        std::fs::copy(twins.directory.file(), twins.template()).unwrap();
        twins.restore();
        twins
    }

    /// Both as they were at the start.
    pub fn restore(&mut self) {
        self.restored += 1;
        block_on(self.worlds[1].crm.close()).unwrap();
        std::fs::copy(self.template(), self.directory.file()).unwrap();
        self.worlds = open(self.original.copy().unwrap(), &self.directory.file(), 1 + self.restored);
    }

    fn template(&self) -> PathBuf {
        self.directory.file().with_extension("template")
    }

    /// Some of everything, so that calls have something to work on.
    fn furnish(&self, project: ProjectId, number: u32) {
        let system = |operation: &str, input: Value| self.must(None, operation, input);
        let ok = |operation: &str, input: Value| self.must(Some(project), operation, input);
        let person = format!("551199999000{number}");
        let user = system("users.create", json!({"name": "Eva", "email": format!("eva{number}@example.com")}));
        system("users.create_api_key", json!({"id": user["id"], "name": "key"}));
        ok("members.add", json!({"user_id": user["id"], "role": "admin"}));
        ok("members.invite", json!({"email": format!("new{number}@example.com"), "role": "agent"}));
        let definition = json!({"key": "plan", "type": "select", "label": "Plan", "options": ["free", "pro"]});
        ok("projects.define_custom_field", json!({"target": "contact", "definition": definition}));
        let line = json!({"name": "W1", "type": "whatsapp_business", "external_id": format!("line{number}")});
        let channel = ok("channels.create", line);
        ok("channels.activate", json!({"id": channel["id"]}));
        ok("channels.report_connection", json!({"id": channel["id"], "connection": "connected"}));
        ok("channels.upsert_label", json!({"id": channel["id"], "label": {"id": "L1", "name": "New"}}));
        ok("contacts.create", json!({"name": "Bruno", "email": format!("bruno{number}@example.com"), "tags": ["vip"]}));
        let them = json!({"wid": person, "display_name": "Ana"});
        let item = json!({
            "type": "message", "channel_message_id": "M1", "from_me": false, "sender": them, "peer": them,
            "chat": {"external_id": format!("{person}@c.us"), "class": "individual", "kind_detail": "direct", "subject": null},
            "timestamp": "2025-01-06T08:59:00Z", "content": {"type": "text", "body": "Olá"},
        });
        let heard = ok("inbound.ingest", json!({"channel_id": channel["id"], "item": item}));
        let content = json!({"type": "text", "body": "Hi"});
        ok("messages.send", json!({"chat_id": heard[0]["chat_id"], "content": content, "client_token": "c1"}));
        let gateway = ok("channels.create", json!({"name": "W2", "type": "waha"}));
        ok("inbound.accept", json!({"channel_id": gateway["id"], "raw": {"id": "evt_1", "event": "nonsense"}}));
    }

    fn must(&self, project: Option<ProjectId>, operation: &str, input: Value) -> Value {
        match self.call(project, operation, input.to_string().as_bytes()) {
            Answer::Done(output) => serde_json::from_str(&output).unwrap(),
            Answer::Refused(error) => panic!("{operation}: {error:?}"),
            Answer::Panicked(how) => panic!("{operation} panicked: {how}"),
            Answer::Torn(how) => panic!("{operation}: {how}"),
        }
    }

    pub fn call(&self, project: Option<ProjectId>, operation: &str, input: &[u8]) -> Answer {
        let one = |world: &World| -> Result<Result<String>, String> {
            let context = Context::new(project, ActorRef::system(Component::Host));
            let call = AssertUnwindSafe(|| block_on(world.crm.call(operation, context, input)));
            catch_unwind(call).map_err(|panic| match panic.downcast::<String>() {
                Ok(text) => *text,
                Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or_default().to_owned(),
            })
        };
        match self.worlds.each_ref().map(one) {
            [Ok(Ok(memory)), Ok(Ok(sqlite))] if memory == sqlite => Answer::Done(memory),
            [Ok(Err(memory)), Ok(Err(sqlite))] if memory == sqlite => Answer::Refused(memory),
            [Err(how), _] | [_, Err(how)] => Answer::Panicked(how),
            [Ok(memory), Ok(sqlite)] => Answer::Torn(format!("in memory {memory:?}, in SQLite {sqlite:?}")),
        }
    }

    /// The heads of all logs, in both.
    pub fn heads(&self) -> [BTreeMap<ProjectId, u64>; 2] {
        self.worlds.each_ref().map(|world| block_on(world.crm.core().storage().heads()).unwrap().into_iter().collect())
    }

    pub fn assert_log_matches(&self) {
        self.worlds.iter().for_each(World::assert_log_matches);
    }
}

/// Ids by project and kind, as they were at the start.
#[derive(Default)]
pub struct Ids(BTreeMap<(ProjectId, Kind), Vec<Uuid>>);

impl Ids {
    /// The id of an aggregate by the name of its type, `ContactId`; a made-up one where there is none.
    pub fn id(&self, project: ProjectId, name: &str) -> String {
        let kind = AGGREGATES.iter().map(|aggregate| aggregate.kind).find(|kind| type_name(*kind) == name);
        let known = match (name, kind) {
            ("ProjectId", _) => Some(project.uuid()),
            (_, Some(kind)) => [project, ProjectId::SYSTEM]
                .into_iter()
                .find_map(|at| self.0.get(&(at, kind)).and_then(|ids| ids.first().copied())),
            (_, None) => None,
        };
        known.unwrap_or(Uuid::from_u128(0x0190_b6f0_0000_7000_8000_0000_0000_0001)).to_string()
    }

    /// The id of an aggregate that belongs to the neighbour alone.
    pub fn foreign_id(&self, name: &str) -> Option<String> {
        let is_theirs = |(project, kind): &&(ProjectId, Kind)| *project == THEIRS && type_name(*kind) == name;
        let (_, ids) = self.0.iter().find(|(key, _)| is_theirs(key))?;
        ids.first().map(Uuid::to_string)
    }
}

fn open(memory: MemoryStorage, file: &Path, seed: u64) -> [World; 2] {
    let options = SqliteOptions { synchronous: Synchronous::Normal, ..SqliteOptions::default() };
    let sqlite = SqliteStorage::open_with(file, options).unwrap();
    let stores: [Arc<dyn Storage>; 2] = [Arc::new(memory), Arc::new(sqlite)];
    stores.map(|store| World::resume(store, [7; 32], seed).unwrap())
}

/// `ContactId`, `MemberId` and the like.
fn type_name(kind: Kind) -> String {
    let word = if kind == Kind::ProjectMember { "member" } else { kind.as_str() };
    let parts = word.split('_').map(|part| part[..1].to_uppercase() + &part[1..]);
    parts.collect::<String>() + "Id"
}

/// Where an operation of this scope is called.
pub fn place(scope: OperationScope) -> Option<ProjectId> {
    (scope == OperationScope::Project).then_some(OURS)
}
