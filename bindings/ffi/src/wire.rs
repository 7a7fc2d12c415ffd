//! The JSON that crosses the border: the context of a call, options, answers and errors.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::runtime::Handle;
use ventros::engine::{Context, StartAt, Step, SubscribeOptions};
use ventros::http::{Guard, HttpTransport};
use ventros::kernel::{
    ActorRef, Component, CorrelationId, Error, ErrorCode, EventId, IdGenerator, ProjectId, Result, SecretText, Source,
    input,
};
use ventros::seeded::SeededIds;
use ventros::system::SystemIds;
use ventros::vault::{KeyProvider, KeyRing, MasterKey, StaticKey};
use ventros_http::{Http, HttpOptions};

/// An error that a method raises instead of answering.
#[derive(Debug, Clone)]
pub struct Failure(pub Error);

impl Failure {
    /// `{kind, code, message, field, details, errors}`
    pub fn json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_else(|_| UNSPEAKABLE.to_owned())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure(error)
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Failure(code.into())
    }
}

const UNSPEAKABLE: &str = r#"{"kind":"internal","code":"internal","message":"an error could not be written as JSON"}"#;

/// `{"ok": output}` or `{"error": {...}}`.
pub(crate) fn answer(result: Result<String>) -> String {
    match result {
        Ok(output) => format!(r#"{{"ok":{output}}}"#),
        Err(error) => format!(r#"{{"error":{}}}"#, Failure(error).json()),
    }
}

/// A value as the output of a call.
pub(crate) fn output(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal(format!("an output does not serialise: {error}")))
}

/// What a caller says about the circumstances of a call.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CallContext {
    project_id: Option<ProjectId>,
    /// The host itself when absent.
    actor: Option<ActorRef>,
    source: Option<Source>,
    correlation_id: Option<CorrelationId>,
    causation_id: Option<EventId>,
    idempotency_key: Option<String>,
    expected_version: Option<u64>,
    metadata: Option<Map<String, Value>>,
}

pub(crate) fn context(json: &[u8]) -> Result<Context> {
    let given: CallContext = if json.is_empty() { CallContext::default() } else { input::parse(json)? };
    let actor = given.actor.unwrap_or_else(|| ActorRef::system(Component::Host));
    let mut context = Context::new(given.project_id, actor);
    context.source = given.source.unwrap_or(context.source);
    context.correlation_id = given.correlation_id;
    context.causation_id = given.causation_id;
    context.idempotency_key = given.idempotency_key;
    context.expected_version = given.expected_version;
    context.metadata = given.metadata;
    Ok(context)
}

/// What `open` is told beside the place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OpenOptions {
    /// Whether reactions, timers and deliveries run by themselves.
    pub background: bool,
    /// 32 bytes in base64; without it nothing that needs a vault works.
    pub encryption_key: Option<SecretText>,
    /// Keys that were in use before, in base64: what is still sealed under them opens.
    pub old_encryption_keys: Vec<SecretText>,
    /// For tests: ids and secrets that depend on it alone.
    pub seed: Option<u64>,
    /// Whether calls to the outside are made; without them what needs one waits or fails.
    pub http: bool,
    /// Hosts that may be private although somebody else named them: names or addresses, with or without a port.
    pub private_hosts: Vec<String>,
    /// Allows `http` where somebody else named the place.
    pub allow_http: bool,
}

impl OpenOptions {
    /// # Errors
    /// `input_invalid` and `key_length_invalid` at the key; `field_required` at `encryption_key` for old keys without a new one.
    pub(crate) fn keys(&self) -> Result<Option<Arc<dyn KeyProvider>>> {
        let Some(text) = &self.encryption_key else {
            let missing = || Error::new(ErrorCode::FieldRequired).at("encryption_key");
            return if self.old_encryption_keys.is_empty() { Ok(None) } else { Err(missing()) };
        };
        let key = StaticKey::from_base64(text.expose()).map_err(|e| e.at("encryption_key"))?;
        let older = self.old_encryption_keys.iter().enumerate().map(|(number, text)| {
            let key = StaticKey::from_base64(text.expose());
            key.map(MasterKey::from).map_err(|e| e.at(format!("[{number}]")).at("old_encryption_keys"))
        });
        Ok(Some(Arc::new(KeyRing::new(key, older.collect::<Result<Vec<_>>>()?))))
    }

    /// # Errors
    /// `url_invalid` at `private_hosts`.
    pub(crate) fn http(&self, runtime: &Handle) -> Result<Option<Arc<dyn HttpTransport>>> {
        let mut guard = Guard::default().allow_http(self.allow_http);
        for (place, host) in self.private_hosts.iter().enumerate() {
            guard = guard.allow_private(host).map_err(|e| e.at(format!("private_hosts[{place}]")))?;
        }
        if !self.http {
            return Ok(None);
        }
        let options = HttpOptions { guard, ..HttpOptions::default() };
        Ok(Some(Arc::new(Http::new(runtime.clone(), options)?)))
    }

    /// # Errors
    /// `input_invalid` for a seed in a store that lives by the wall clock: its secrets could be guessed.
    pub(crate) fn ids(&self, clock_is_manual: bool) -> Result<Arc<dyn IdGenerator>> {
        match self.seed {
            None => Ok(SystemIds::shared()),
            Some(seed) if clock_is_manual => Ok(SeededIds::new(seed)),
            Some(_) => Err(Error::new(ErrorCode::InputInvalid).message("a seed wants a manual clock").at("seed")),
        }
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            background: true,
            encryption_key: None,
            old_encryption_keys: Vec::new(),
            seed: None,
            http: true,
            private_hosts: Vec::new(),
            allow_http: false,
        }
    }
}

/// The commands of a transaction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transaction {
    pub commands: Vec<Command>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    operation: String,
    input: Box<RawValue>,
}

impl Transaction {
    pub fn steps(self) -> Vec<Step> {
        self.commands.into_iter().map(|command| Step { operation: command.operation, input: command.input }).collect()
    }
}

/// What to hear of, or to do.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Wanted {
    /// What this process sees from now on.
    Live { project_id: Option<ProjectId>, events: Vec<String> },
    /// Everything at least once, from a stored place in the log.
    Durable {
        project_id: ProjectId,
        name: String,
        events: Vec<String>,
        #[serde(default)]
        start: Place,
        #[serde(default)]
        max_attempts: Option<u32>,
    },
    /// Jobs of the host, of a project or of all of them.
    Jobs {
        project_id: Option<ProjectId>,
        job_kind: String,
        #[serde(default)]
        concurrency: Option<usize>,
        #[serde(default)]
        timeout_seconds: Option<i64>,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Place {
    Start,
    #[default]
    Now,
    After {
        seq: u64,
    },
}

pub(crate) fn options(events: Vec<String>, start: &Place, max_attempts: Option<u32>) -> SubscribeOptions {
    let defaults = SubscribeOptions::default();
    SubscribeOptions {
        events,
        start: match start {
            Place::Start => StartAt::Beginning,
            Place::Now => StartAt::Now,
            Place::After { seq } => StartAt::After(*seq),
        },
        max_attempts: max_attempts.unwrap_or(defaults.max_attempts),
        ..defaults
    }
}
