//! How a procedure goes: its steps in order, each with what it does and how it is undone.

use super::Saga;
use super::reference::check_references;
use crate::catalogue::operation;
use crate::engine::{OperationKind, OperationScope, UnitOfWork};
use crate::infrastructure::job::host::{check_kind, within};
use crate::kernel::{Error, ErrorCode, Result};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The most steps of a definition.
pub const MAX_STEPS: usize = 50;
/// The longest id of a step and of a signal, in characters.
const MAX_WORD: usize = 60;
/// The longest that a step or a saga may take, in seconds: 90 days.
const MAX_SECONDS: i64 = 90 * 24 * 3_600;
/// The longest that a step of jobs may take, in seconds: 7 days, for which ended jobs are kept.
const MAX_JOB_SECONDS: i64 = 7 * 24 * 3_600;
/// The most tries of a step.
const MAX_ATTEMPTS: u32 = 100;
/// The most jobs that a step runs side by side.
const MAX_PARALLEL: u32 = 100;
/// The most types of events that a step waits for.
const MAX_TYPES: usize = 20;

/// A procedure of several steps that ends in one of two ways: all is done, or what was done is undone as far as it can be.
///
/// Values written `{"$from": "input.email"}` are filled in when their step begins: from `input`, from `data.<step>` (what an earlier
/// step gave), from `saga` (`id`, `kind`, `key`, `correlation_id`), and inside a fan-out from `item`. With `"default"` beside it,
/// that stands in for what is missing; without, the step fails for good.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SagaDefinition {
    /// `host.` and words of `a-z`, `0-9` and `_` with dots between, at most 60 characters.
    pub kind: String,
    /// From 1 on. A saga that runs stays with the version it was started with; new ones take the highest.
    #[serde(default = "first")]
    pub version: u16,
    /// The fields of the input by name. Others are let through.
    #[serde(default)]
    pub input: BTreeMap<String, SagaInputField>,
    /// 1 to 50, in order.
    pub steps: Vec<StepDefinition>,
    /// What it gives in the end, once it has succeeded; what its last step gave unless told.
    #[serde(default)]
    pub output: Option<Value>,
    /// The time that all steps together may take, up to 90 days; no end unless told.
    #[serde(default)]
    pub deadline_seconds: Option<i64>,
    /// Its commands run with all rights, not with those of whoever started it.
    #[serde(default)]
    pub as_system: bool,
}

/// A field of the input.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SagaInputField {
    #[serde(rename = "type")]
    pub field_type: SagaInputType,
    #[serde(default)]
    pub required: bool,
}

crate::text_enum! {
    /// What a field of an input holds.
    pub enum SagaInputType {
        Text = "text",
        Number = "number",
        Boolean = "boolean",
        List = "list",
        Object = "object",
        Any = "any",
    }
}

/// A step.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDefinition {
    /// `a-z`, `0-9` and `_`, at most 60 characters, once per definition. What the step gives is kept under it.
    pub id: String,
    pub run: StepAction,
    /// The step is passed over unless this holds.
    #[serde(default)]
    pub when: Option<StepCondition>,
    /// What undoes it. A step without is left as it is, and listed.
    #[serde(default)]
    pub compensate: Option<StepCompensation>,
    #[serde(default)]
    pub retry: StepRetry,
    /// The time that it may take, with all its tries, up to 90 days, steps of jobs up to 7. No end unless told; jobs: 7 days.
    #[serde(default)]
    pub timeout_seconds: Option<i64>,
    /// When it fails it is passed over.
    #[serde(default)]
    pub optional: bool,
    /// Once it has succeeded there is no way back: the saga cannot be cancelled, and a later failure waits for somebody to look at it.
    #[serde(default)]
    pub pivot: bool,
}

/// What a step does.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepAction {
    /// A command of Ventros, in the same commit as the record that the step is done. The step gives which things it is about: `id`,
    /// `version`, `created`, `status` and the ids of what the command gives, and nothing that is known of people.
    Command {
        /// `contacts.create`.
        operation: String,
        #[serde(default)]
        input: Value,
    },
    /// A job of the host; the step gives its result.
    Job {
        kind: String,
        #[serde(default)]
        payload: Value,
    },
    /// Waits for a signal, for an event, or for whichever comes first; with neither, for the time of `timeout_seconds` to pass.
    Wait {
        /// Of `sagas.signal`; the step gives its data. One that came before counts.
        #[serde(default)]
        signal: Option<String>,
        /// The step gives the event's `id`, `type` and the ids of its `data`.
        #[serde(default)]
        event: Option<EventWait>,
    },
    /// Another saga; the step gives its output.
    Child {
        kind: String,
        key: Value,
        #[serde(default)]
        input: Value,
    },
    /// A job of the host for each item of a list of at most 500; the step gives `succeeded`, `failed` and, where they are not too
    /// large, `results`.
    FanOut {
        kind: String,
        /// The list.
        each: Value,
        /// `{"$from": "item"}` is the item.
        payload: Value,
        /// So many at a time, 1 to 100; 4 unless told.
        #[serde(default = "four")]
        max_parallel: u32,
        /// So many may fail; 0 unless told.
        #[serde(default)]
        tolerance: u32,
    },
    /// Work of the library's own.
    #[serde(skip)]
    #[schemars(skip)]
    Local(LocalStep),
}

/// Which event a step waits for: the first that fits all of it, from the moment it waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventWait {
    /// 1 to 20 types or prefixes: `message.created`, `session.*`.
    pub types: Vec<String>,
    /// What it is about: `contact/<id>`.
    #[serde(default)]
    pub subject: Option<Value>,
    /// Fields of its data with the values they must have.
    #[serde(default)]
    pub data: Map<String, Value>,
}

/// A condition: the value is `is`; without `is`, that it is neither missing nor null nor false.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepCondition {
    pub value: Value,
    #[serde(default)]
    pub is: Option<Value>,
}

/// How a step is undone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepCompensation {
    pub run: StepAction,
    /// What becomes of something that others have changed since; `skip` unless told.
    #[serde(default = "skip")]
    pub if_changed: IfChanged,
}

crate::text_enum! {
    /// What becomes of something that is to be undone and that others have changed since.
    pub enum IfChanged {
        /// It stays, and is listed.
        Skip = "skip",
        /// It is undone all the same.
        Force = "force",
        /// The saga stops, and somebody has to look at it.
        Fail = "fail",
    }
}

/// How often a step is tried.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepRetry {
    /// 1 to 100; 5 unless told.
    #[serde(default = "five")]
    pub attempts: u32,
    /// Before the second try, 1 to 300; 2 unless told. It doubles with each try up to 300. Jobs have pauses of their own.
    #[serde(default = "two")]
    pub pause_seconds: i64,
}

impl Default for StepRetry {
    fn default() -> Self {
        StepRetry { attempts: five(), pause_seconds: two() }
    }
}

/// Work of a step that is written in Rust.
#[derive(Debug, Clone, Copy)]
pub struct LocalStep {
    /// Reads, and writes what is committed with the record of the step.
    pub run: for<'a> fn(&'a mut UnitOfWork<'_>, &'a Saga) -> BoxFuture<'a, Result<LocalOutcome>>,
}

/// What came of one run of a local step.
#[derive(Debug, Clone, PartialEq)]
pub enum LocalOutcome {
    /// It is done, and gives this.
    Done(Value),
    /// What it wrote is committed, and it is run again.
    More,
}

const fn first() -> u16 {
    1
}

const fn two() -> i64 {
    2
}

const fn four() -> u32 {
    4
}

const fn five() -> u32 {
    5
}

const fn skip() -> IfChanged {
    IfChanged::Skip
}

impl SagaDefinition {
    /// The step of an id.
    pub(super) fn step(&self, id: &str) -> Option<&StepDefinition> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// Whether any step waits for the signal.
    pub(super) fn knows_signal(&self, name: &str) -> bool {
        let waits =
            |action: &StepAction| matches!(action, StepAction::Wait { signal: Some(signal), .. } if signal == name);
        self.steps.iter().any(|step| waits(&step.run) || step.compensate.as_ref().is_some_and(|undo| waits(&undo.run)))
    }

    /// # Errors
    /// `job_kind_unknown`, `operation_unknown`, `input_invalid`, `limit_out_of_range`, `batch_too_large`, `field_required`, with the
    /// path of the field.
    pub(super) fn check(&self) -> Result<()> {
        check_kind(&self.kind).map_err(|error| error.at("kind"))?;
        within("version", i64::from(self.version), 1, i64::from(u16::MAX))?;
        within("kind", self.kind.chars().count() as i64, 1, MAX_WORD as i64)?;
        if let Some(seconds) = self.deadline_seconds {
            within("deadline_seconds", seconds, 1, MAX_SECONDS)?;
        }
        if self.steps.is_empty() {
            return Err(Error::new(ErrorCode::FieldRequired).at("steps"));
        }
        if self.steps.len() > MAX_STEPS {
            return Err(Error::new(ErrorCode::BatchTooLarge).at("steps").with("max", MAX_STEPS));
        }
        let mut known: Vec<&str> = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            let at = |error: Error| error.at(format!("steps[{number}]"));
            if !is_word(&step.id) || known.contains(&step.id.as_str()) {
                let why = "a step has an id of its own, of a-z, 0-9 and _, at most 60 characters";
                return Err(at(Error::new(ErrorCode::InputInvalid).at("id").message(why)));
            }
            step.check(&known).map_err(at)?;
            known.push(&step.id);
        }
        match &self.output {
            Some(output) => check_references(output, &known, false).map_err(|error| error.at("output")),
            None => Ok(()),
        }
    }

    /// # Errors
    /// `field_required`, `input_invalid`, with the path of the field.
    pub(super) fn check_input(&self, input: &Value) -> Result<()> {
        let fields = input.as_object();
        if fields.is_none() && !(input.is_null() && self.input.is_empty()) {
            return Err(Error::new(ErrorCode::InputInvalid).message("the input of a saga is an object"));
        }
        for (name, field) in &self.input {
            let value = fields.and_then(|fields| fields.get(name)).filter(|value| !value.is_null());
            let fits = match (value, field.field_type) {
                (None, _) if field.required => return Err(Error::new(ErrorCode::FieldRequired).at(name.clone())),
                (None, _) | (_, SagaInputType::Any) => true,
                (Some(value), SagaInputType::Text) => value.is_string(),
                (Some(value), SagaInputType::Number) => value.is_number(),
                (Some(value), SagaInputType::Boolean) => value.is_boolean(),
                (Some(value), SagaInputType::List) => value.is_array(),
                (Some(value), SagaInputType::Object) => value.is_object(),
            };
            if !fits {
                let why = format!("this is a {}", field.field_type);
                return Err(Error::new(ErrorCode::InputInvalid).at(name.clone()).message(why));
            }
        }
        Ok(())
    }
}

impl StepDefinition {
    fn check(&self, before: &[&str]) -> Result<()> {
        let own: Vec<&str> = before.iter().copied().chain([self.id.as_str()]).collect();
        self.run.check(before).map_err(|error| error.at("run"))?;
        if let Some(condition) = &self.when {
            check_references(&condition.value, before, false).map_err(|error| error.at("value").at("when"))?;
        }
        if let Some(undo) = &self.compensate {
            undo.run.check(&own).map_err(|error| error.at("run").at("compensate"))?;
            if self.pivot {
                let why = "after a pivot there is no way back, so nothing undoes it";
                return Err(Error::new(ErrorCode::InputInvalid).at("compensate").message(why));
            }
        }
        within("attempts", self.retry.attempts.into(), 1, MAX_ATTEMPTS.into()).map_err(|error| error.at("retry"))?;
        within("pause_seconds", self.retry.pause_seconds, 1, 300).map_err(|error| error.at("retry"))?;
        let longest = if self.run.has_jobs() { MAX_JOB_SECONDS } else { MAX_SECONDS };
        match (self.timeout_seconds, &self.run) {
            (Some(seconds), _) => within("timeout_seconds", seconds, 1, longest),
            (None, StepAction::Wait { signal: None, event: None }) => {
                Err(Error::new(ErrorCode::FieldRequired).at("timeout_seconds"))
            }
            (None, _) => Ok(()),
        }
    }

    /// How long it may take, if there is an end to it.
    pub(super) fn time(&self) -> Option<i64> {
        self.timeout_seconds.or_else(|| self.run.has_jobs().then_some(MAX_JOB_SECONDS))
    }
}

impl StepAction {
    fn has_jobs(&self) -> bool {
        matches!(self, StepAction::Job { .. } | StepAction::FanOut { .. })
    }

    fn check(&self, known: &[&str]) -> Result<()> {
        let references = |field: &'static str, value: &Value, has_item: bool| {
            check_references(value, known, has_item).map_err(|error| error.at(field))
        };
        match self {
            StepAction::Command { operation: name, input } => {
                check_command(name).map_err(|error| error.at("operation"))?;
                references("input", input, false)
            }
            StepAction::Job { kind, payload } => {
                check_kind(kind).map_err(|error| error.at("kind"))?;
                references("payload", payload, false)
            }
            StepAction::Wait { signal, event } => {
                if signal.as_ref().is_some_and(|name| !is_word(name)) {
                    let why = "a signal has a name of a-z, 0-9 and _, at most 60 characters";
                    return Err(Error::new(ErrorCode::InputInvalid).at("signal").message(why));
                }
                let Some(event) = event else { return Ok(()) };
                within("types", event.types.len() as i64, 1, MAX_TYPES as i64).map_err(|error| error.at("event"))?;
                let subject = event.subject.as_ref().unwrap_or(&Value::Null);
                references("subject", subject, false).map_err(|error| error.at("event"))?;
                let fields = Value::Object(event.data.clone());
                references("data", &fields, false).map_err(|error| error.at("event"))
            }
            StepAction::Child { kind, key, input } => {
                check_kind(kind).map_err(|error| error.at("kind"))?;
                references("key", key, false)?;
                references("input", input, false)
            }
            StepAction::FanOut { kind, each, payload, max_parallel, tolerance: _ } => {
                check_kind(kind).map_err(|error| error.at("kind"))?;
                within("max_parallel", (*max_parallel).into(), 1, MAX_PARALLEL.into())?;
                references("each", each, false)?;
                references("payload", payload, true)
            }
            StepAction::Local(_) => Ok(()),
        }
    }
}

fn check_command(name: &str) -> Result<()> {
    let fits = operation(name).is_some_and(|operation| {
        operation.kind == OperationKind::Command && operation.scope == OperationScope::Project
    });
    if fits {
        return Ok(());
    }
    let unknown = Error::new(ErrorCode::OperationUnknown).with("operation", name);
    Err(unknown.message(format!("there is no command of a project named {name:?}")))
}

fn is_word(text: &str) -> bool {
    (1..=MAX_WORD).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
