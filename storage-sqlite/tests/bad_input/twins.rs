//! Two installations that are told the same: one in memory, one in SQLite. What they answer must be the same text.

use crate::directory::Directory;
use crate::furnished::{Ids, OURS, THEIRS, define, furnish};
use serde_json::Value;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use ventros::engine::Context;
use ventros::kernel::{ActorRef, Component, Error, ProjectId, Result};
use ventros::storage::{MemoryStorage, Storage};
use ventros::testing::{World, block_on};
use ventros_sqlite::{SqliteOptions, SqliteStorage, Synchronous};

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
            furnish(&|at, operation, input| twins.must(at, operation, input), project, number);
        }
        twins.ids = Rc::new(Ids::gather(&**twins.worlds[0].crm.core().storage()));
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

fn open(memory: MemoryStorage, file: &Path, seed: u64) -> [World; 2] {
    let options = SqliteOptions { synchronous: Synchronous::Normal, ..SqliteOptions::default() };
    let sqlite = SqliteStorage::open_with(file, options).unwrap();
    let stores: [Arc<dyn Storage>; 2] = [Arc::new(memory), Arc::new(sqlite)];
    stores.map(|store| {
        let world = World::resume(store, [7; 32], seed).unwrap();
        define(&world.crm);
        world
    })
}
