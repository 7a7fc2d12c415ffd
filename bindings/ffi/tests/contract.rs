//! The scenarios of `bindings/contract`, on all stores: what every language must answer, byte for byte.
//! `VENTROS_WRITE_CONTRACT=1` writes what Rust answers into the files, to be reviewed and committed; with the name of a
//! file only into that one.
#![expect(clippy::unwrap_used, reason = "these are tests")]

#[path = "../../../storage-postgres/tests/cluster/mod.rs"]
mod cluster;
#[path = "contract/layout.rs"]
mod layout;
#[path = "contract/references.rs"]
mod references;

use references::{Names, numbered};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Runtime;
use ventros::catalogue::Catalogue;
use ventros::engine::{Context, Crm, OperationScope, Settings, StartAt, Step, SubscribeOptions};
use ventros::kernel::{ActorRef, Component, Error, ErrorCode, ProjectId, parse_uuid};
use ventros::seeded::SeededIds;
use ventros::storage::{MemoryStorage, Storage};
use ventros::vault::StaticKey;
use ventros_ffi::ManualClock;
use ventros_postgres::PostgresStorage;
use ventros_sqlite::SqliteStorage;

/// 2025-01-06T09:00:00Z, a Monday.
const START: i64 = 1_736_154_000_000_000;
const SEED: u64 = 1;
/// Their events are in the log of the installation, which hosts do not read.
const OF_THE_INSTALLATION: [&str; 2] = ["user", "channel_type"];

#[test]
fn rust_answers_as_the_scenarios_say() {
    let catalogue = Catalogue::build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut codes = BTreeSet::new();
    let mut done = BTreeSet::new();
    let writes = std::env::var("VENTROS_WRITE_CONTRACT").ok();
    let only = writes.clone().filter(|only| only != "1");
    let is_wanted = |path: &PathBuf| only.as_ref().is_none_or(|only| path.file_stem().unwrap() == only.as_str());
    for path in files().into_iter().filter(is_wanted) {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let given = file["given"].as_array().cloned().unwrap_or_default();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        for scenario in file["scenarios"].as_array_mut().unwrap() {
            let postgres = runtime.block_on(PostgresStorage::open(&cluster::fresh())).unwrap();
            let stores: [Arc<dyn Storage>; 3] = [
                Arc::new(MemoryStorage::default()),
                Arc::new(SqliteStorage::open_in_memory().unwrap()),
                Arc::new(postgres),
            ];
            let about = format!("{name}: {}", scenario["about"].as_str().unwrap());
            let answers = stores.map(|store| {
                let mut play = Play::new(&catalogue, &runtime, store, scenario["vault"] != false);
                given.iter().for_each(|step| drop(play.step(&about, step)));
                let steps: Vec<Value> =
                    scenario["steps"].as_array().unwrap().iter().map(|step| play.step(&about, step)).collect();
                codes.append(&mut play.codes);
                done.append(&mut play.done);
                steps
            });
            let [answer, sqlite, postgres] = answers;
            assert_eq!(answer, sqlite, "{about}: SQLite differs from memory");
            assert_eq!(answer, postgres, "{about}: PostgreSQL differs from memory");
            scenario["steps"] = Value::Array(answer);
        }
        let now = layout::pretty(&file);
        if writes.is_some() {
            std::fs::write(&path, now).unwrap();
        } else if let Some((number, (was, is))) =
            text.lines().zip(now.lines()).enumerate().find(|(_, (was, is))| was != is)
        {
            panic!("{name}, line {}: recorded\n{was}\nbut it is\n{is}", number + 1);
        } else {
            assert_eq!(text, now, "{name}");
        }
    }
    if only.is_none() {
        let is_silent = |kind: &&str| !done.contains(*kind) && !OF_THE_INSTALLATION.contains(kind);
        let quiet: Vec<_> = catalogue.aggregates.iter().map(|aggregate| aggregate.kind).filter(is_silent).collect();
        assert!(quiet.is_empty(), "no scenario shows events of {quiet:?}");
        check_codes(&codes);
    }
}

/// Every code that an operation can raise is raised here, or stands in the list with its reason.
fn check_codes(seen: &BTreeSet<&'static str>) {
    let root = folder();
    let never = listed(&root.join("../../core/tests/error_codes_not_raised.txt"));
    let excused = listed(&root.join("codes_not_covered.txt"));
    let can: BTreeSet<&str> =
        ErrorCode::ALL.iter().map(|code| code.as_str()).filter(|code| !never.contains_key(*code)).collect();
    let missing: Vec<_> = can.iter().filter(|code| !seen.contains(*code) && !excused.contains_key(**code)).collect();
    let outdated: Vec<_> =
        excused.keys().filter(|code| seen.contains(code.as_str()) || !can.contains(code.as_str())).collect();
    eprintln!("{} of {} codes are raised by scenarios", seen.len(), can.len());
    assert!(outdated.is_empty(), "raised here, or gone: strike them from codes_not_covered.txt: {outdated:?}");
    assert!(missing.is_empty(), "{} codes are in no scenario, and nothing says why: {missing:?}", missing.len());
}

fn listed(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(": ")).map(|(code, why)| (code.to_owned(), why.to_owned())).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contract")
}

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// One scenario on one store.
struct Play<'a> {
    catalogue: &'a Catalogue,
    runtime: &'a Runtime,
    crm: Crm,
    clock: Arc<ManualClock>,
    names: Names,
    project: Option<ProjectId>,
    codes: BTreeSet<&'static str>,
    /// Kinds of aggregates whose events were shown.
    done: BTreeSet<String>,
    readers: usize,
}

impl<'a> Play<'a> {
    fn new(catalogue: &'a Catalogue, runtime: &'a Runtime, store: Arc<dyn Storage>, vault: bool) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let mut settings = Settings::new(store, clock.clone(), SeededIds::new(SEED));
        if vault {
            settings = settings.with_keys(Arc::new(StaticKey::new([7; 32]).unwrap()));
        }
        let crm = runtime.block_on(Crm::open(settings)).unwrap();
        let (names, codes, done) = Default::default();
        Play { catalogue, runtime, crm, clock, names, project: None, codes, done, readers: 0 }
    }

    /// Runs a step and gives it with what it answers now.
    #[track_caller]
    fn step(&mut self, about: &str, step: &Value) -> Value {
        let mut recorded: Map<String, Value> = step.as_object().unwrap().clone();
        recorded.remove("then");
        recorded.remove("error");
        let operation = step["do"].as_str().unwrap_or_else(|| panic!("{about}: {step}"));
        let is_quiet = step["quiet"] == true;
        let answer = match step["times"].as_u64() {
            None => self.run(operation, step),
            // The answer of the last one.
            Some(times) => (0..times).map(|number| self.run(operation, &numbered(step, number))).last().unwrap(),
        };
        match answer {
            Ok(output) => {
                if let Some(name) = step["as"].as_str() {
                    self.names.set(name, output.clone());
                }
                if operation == "projects.create" {
                    self.project = Some(ProjectId::from_uuid(parse_uuid(output["id"].as_str().unwrap()).unwrap()));
                }
                if !is_quiet && !output.is_null() {
                    recorded.insert("then".to_owned(), output);
                }
            }
            Err(error) => {
                let may_fail = !is_quiet && step["as"].is_null();
                assert!(may_fail, "{about}: {operation}: {error:?}");
                self.codes.extend(error.all().map(|error| error.code().as_str()));
                recorded.insert("error".to_owned(), serde_json::to_value(&error).unwrap());
            }
        }
        Value::Object(recorded)
    }

    fn run(&mut self, operation: &str, step: &Value) -> Result<Value, Error> {
        let input = if step["input"].is_null() { json!({}) } else { self.names.resolve(&step["input"]) };
        match operation {
            "clock.advance" => {
                self.clock.advance(input["seconds"].as_i64().unwrap() * 1_000_000);
                Ok(Value::Null)
            }
            "run_pending" => self.runtime.block_on(self.crm.run_pending()).map(|_| Value::Null),
            "define_saga" => self.crm.define_saga_json(input.to_string().as_bytes()).map(|()| Value::Null),
            "events" => self.events(self.place(step).unwrap(), input["of"].as_str().unwrap()),
            "transact" => {
                let command = |command: &Value| Step {
                    operation: command["do"].as_str().unwrap().to_owned(),
                    input: serde_json::value::to_raw_value(&command["input"]).unwrap(),
                };
                let steps: Vec<Step> = input["commands"].as_array().unwrap().iter().map(command).collect();
                let context = self.context(step, true);
                let results = self.runtime.block_on(self.crm.transact(context, &steps))?;
                Ok(serde_json::to_value(results).unwrap())
            }
            _ => {
                let found = self.catalogue.operations.iter().find(|known| known.name == operation);
                let scope = found.unwrap_or_else(|| panic!("{operation} is no operation")).scope;
                let context = self.context(step, scope == OperationScope::Project);
                let text = input.to_string();
                let answer = self.runtime.block_on(self.crm.call(operation, context, text.as_bytes()))?;
                Ok(serde_json::from_str(&answer).unwrap())
            }
        }
    }

    fn context(&self, step: &Value, in_project: bool) -> Context {
        let given = match &step["by"] {
            Value::Null => Value::Null,
            by => self.names.resolve(by),
        };
        let actor = match given {
            Value::Null => ActorRef::system(Component::Host),
            Value::String(user) => serde_json::from_value(json!({"kind": "user", "id": user})).unwrap(),
            other => serde_json::from_value(other).unwrap(),
        };
        let mut context = Context::new(self.place(step).filter(|_| in_project), actor);
        context.idempotency_key = step["key"].as_str().map(str::to_owned);
        context.expected_version = step["expected_version"].as_u64();
        context
    }

    /// The project of a step: the one it names, or the last that was made.
    fn place(&self, step: &Value) -> Option<ProjectId> {
        let Some(place) = step["in"].as_str() else { return self.project };
        let id = self.names.resolve(&place.into());
        Some(ProjectId::from_uuid(parse_uuid(id.as_str().unwrap()).unwrap()))
    }

    /// Everything of a project's log that fits, as a durable reader hears it.
    fn events(&mut self, project: ProjectId, pattern: &str) -> Result<Value, Error> {
        self.readers += 1;
        let name = format!("contract.{}", self.readers);
        let options =
            SubscribeOptions { events: vec![pattern.to_owned()], start: StartAt::Beginning, ..Default::default() };
        let heard = self.runtime.block_on(async {
            let mut heard = Vec::new();
            let mut reader = self.crm.subscribe(project, &name, options).await?;
            loop {
                self.crm.run_pending().await?;
                let events = reader.next(100).await?;
                let Some(last) = events.last() else { break };
                reader.ack(last.seq).await?;
                heard.extend(events);
            }
            reader.release().await?;
            Ok::<_, Error>(heard)
        })?;
        self.done.extend(heard.iter().map(|event| event.aggregate_kind.as_str().to_owned()));
        Ok(serde_json::to_value(heard).unwrap())
    }
}
