//! The handle that a host holds, and the executor behind it: actor, permission, idempotency key, run, commit, and on a
//! lost race load and decide again.

use super::aggregate::encode;
use super::breaker::Breakers;
use super::context::{Cause, Context};
use super::memo::Memo;
use super::operation::{Command, Operation, OperationKind, OperationScope, Query};
use super::reader::Reader;
use super::work::UnitOfWork;
use crate::http::{Guard, HttpTransport};
use crate::infrastructure::audit::{flush_denials, note_denial};
use crate::infrastructure::job::{Backlogs, MAX_BACKLOG};
use crate::infrastructure::saga::Sagas;
use crate::kernel::{
    ActorRef, Clock, Component, Error, ErrorCode, IdGenerator, ProjectId, Result, Subject, Timestamp, parse_uuid,
};
use crate::storage::{Batch, Commit, CommitError, Committed, ERASED_OUTCOME, IdempotencyRecord, Storage, UniqueKey};
use crate::tenancy::access::{Call, authorise};
use crate::vault::KeyProvider;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, Weak};
use uuid::Uuid;

/// How often a command is decided again after losing a race. Who lost waits for its turn in its own process, so it meets one caller
/// of each other process: with 8 of them and everybody writing to one chat, one of nine calls lost 6 times in a row, and none 31 times.
pub const MAX_RETRIES: u32 = 30;
/// How long an idempotency key is remembered, in seconds.
pub const IDEMPOTENCY_SECONDS: i64 = 24 * 3600;

/// Rung after every commit that may interest somebody. It carries nothing; who hears it looks at the log.
pub type Doorbell = dyn Fn() + Send + Sync;

/// What a [`Crm`] is opened with.
pub struct Settings {
    pub storage: Arc<dyn Storage>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
    /// Seals secrets. Without it everything works except what needs to keep one, which fails with
    /// `encryption_not_configured`.
    pub keys: Option<Arc<dyn KeyProvider>>,
    /// Takes calls to the outside. Without it, work that needs one waits.
    pub http: Option<Arc<dyn HttpTransport>>,
    /// Due jobs of one project and kind beyond which bulk commands are refused with `job_backlog_full`: 100,000 unless told.
    pub max_backlog: usize,
}

impl Settings {
    /// Without a vault, and without a way to the outside.
    pub fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> Self {
        Settings { storage, clock, ids, keys: None, http: None, max_backlog: MAX_BACKLOG }
    }

    /// With a way to the outside.
    #[must_use]
    pub fn with_http(self, http: Arc<dyn HttpTransport>) -> Self {
        Settings { http: Some(http), ..self }
    }

    /// With another limit for the jobs that wait.
    #[must_use]
    pub fn with_max_backlog(self, max_backlog: usize) -> Self {
        Settings { max_backlog, ..self }
    }

    /// With a vault whose master keys come from here, such as a [`StaticKey`](crate::vault::StaticKey).
    #[must_use]
    pub fn with_keys(self, keys: Arc<dyn KeyProvider>) -> Self {
        Settings { keys: Some(keys), ..self }
    }
}

/// Right to decide again; first come, first served.
type Turn = futures_util::lock::Mutex<()>;
const TURNS: usize = 64;

/// The shared inside of all handles.
pub struct Core {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    pub(crate) keys: Option<Arc<dyn KeyProvider>>,
    pub(crate) http: Option<Arc<dyn HttpTransport>>,
    /// Names this process to leases.
    pub(crate) owner: Uuid,
    pub(crate) memo: Memo,
    /// The kinds of sagas that this process knows.
    pub(crate) sagas: Sagas,
    doorbells: Mutex<Vec<Weak<Doorbell>>>,
    /// Where those queue who lost a race, by what they lost it about: a crowd that decides at once loses again at once.
    turns: [Turn; TURNS],
    /// When finished jobs were removed last, in microseconds.
    pub(crate) purged_at: AtomicI64,
    pub(crate) pruned_at: AtomicI64,
    /// Openings of secrets that are counted and not recorded yet.
    pub(crate) uses: crate::tenancy::credential::Uses,
    /// Refused calls that are counted and not recorded yet.
    pub(crate) denials: crate::infrastructure::audit::Denials,
    pub(crate) breakers: Breakers,
    pub(crate) max_backlog: usize,
    /// What is known of the jobs that wait.
    pub(crate) backlogs: Backlogs,
    /// When what timers may have missed was looked for last, in microseconds.
    pub(crate) swept_at: AtomicI64,
}

impl Core {
    /// Wakes everybody who waits for events or due work.
    pub fn ring(&self) {
        let Ok(mut doorbells) = self.doorbells.lock() else { return };
        let live: Vec<Arc<Doorbell>> = doorbells.iter().filter_map(Weak::upgrade).collect();
        doorbells.retain(|doorbell| doorbell.strong_count() > 0);
        drop(doorbells);
        live.iter().for_each(|doorbell| doorbell());
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn turn_of(&self, subject: Subject) -> &Turn {
        let [.., last] = subject.id.into_bytes();
        &self.turns[usize::from(last) % TURNS]
    }

    /// Whether calls to the outside can be made.
    pub fn has_http(&self) -> bool {
        self.http.is_some()
    }

    /// What the host allows for calls to the outside. Without a transport nothing beyond the public net: nothing could go there anyway.
    pub(crate) fn guard(&self) -> Guard {
        self.http.as_ref().map(|http| http.guard()).unwrap_or_default()
    }

    /// The store itself, for engines, tools and tests; hosts have no need of it.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }
}

/// An open Ventros. Cheap to clone; all clones are the same installation.
#[derive(Clone)]
pub struct Crm {
    pub(crate) core: Arc<Core>,
}

impl Crm {
    /// Prepares the store (tables, columns, back-fill) and seeds what every installation has.
    ///
    /// # Errors
    /// `copy_unfinished` when a [`copy`](super::copy) into the store was interrupted, `schema_too_new`, and what the store fails with.
    pub async fn open(settings: Settings) -> Result<Crm> {
        let Settings { storage, clock, ids, keys, http, max_backlog } = settings;
        storage.prepare(&crate::catalogue::tables()).await?;
        if storage.copy_note().await?.is_some() {
            return Err(ErrorCode::CopyUnfinished.into());
        }
        let owner = ids.uuid(clock.now());
        let crm = Crm {
            core: Arc::new(Core {
                storage,
                clock,
                ids,
                keys,
                http,
                owner,
                memo: Memo::default(),
                sagas: Sagas::default(),
                doorbells: Mutex::new(Vec::new()),
                turns: std::array::from_fn(|_| Turn::default()),
                purged_at: AtomicI64::new(0),
                pruned_at: AtomicI64::new(0),
                uses: crate::tenancy::credential::Uses::default(),
                denials: crate::infrastructure::audit::Denials::default(),
                breakers: Breakers::default(),
                max_backlog,
                backlogs: Backlogs::default(),
                swept_at: AtomicI64::new(0),
            }),
        };
        crate::catalogue::seed(&crm).await?;
        Ok(crm)
    }

    /// Everything through this handle carries the project; its actor is the host program unless changed.
    pub fn project(&self, id: ProjectId) -> Project {
        Project { crm: self.clone(), id, actor: ActorRef::system(Component::Host), cause: None }
    }

    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Calls `doorbell` after every commit of this process, and when the store hears of another one's, for as long as the returned
    /// handle lives.
    pub fn on_commit(&self, doorbell: Arc<Doorbell>) -> Arc<Doorbell> {
        self.core.storage.watch(Arc::downgrade(&doorbell));
        if let Ok(mut doorbells) = self.core.doorbells.lock() {
            doorbells.push(Arc::downgrade(&doorbell));
        }
        doorbell
    }

    /// Closes the store. Further calls fail with `closed`.
    pub async fn close(&self) -> Result<()> {
        // What was refused in the last minute; a store that is closed or unwell is closed all the same.
        flush_denials(self, true).await.ok();
        self.core.storage.close().await?;
        self.core.ring();
        Ok(())
    }

    /// Runs a command outside a project, as the host.
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Output> {
        self.execute_in(Context::new(None, ActorRef::system(Component::Host)), command).await
    }

    /// Runs a query outside a project, as the host.
    pub async fn query<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        self.ask(Context::new(None, ActorRef::system(Component::Host)), query).await
    }

    /// Runs a command under any circumstances.
    pub async fn execute_in<C: Command>(&self, context: Context, command: C) -> Result<C::Output> {
        self.run_command(context, command).await?.typed(C::NAME)
    }

    pub(crate) async fn execute_json<C: Command>(&self, context: Context, command: C) -> Result<String> {
        match self.run_command(context, command).await? {
            Outcome::Fresh(output) => encode(&output),
            Outcome::Stored(text) => Ok(text),
        }
    }

    async fn run_command<C: Command>(&self, context: Context, command: C) -> Result<Outcome<C::Output>> {
        self.run_command_in(None, context, command).await
    }

    async fn run_command_in<C: Command>(
        &self,
        place: Option<&dyn Commit>,
        mut context: Context,
        command: C,
    ) -> Result<Outcome<C::Output>> {
        context.command = C::NAME.to_owned();
        check_scope(C::NAME, C::SCOPE, &context)?;
        let request_hash = match &context.idempotency_key {
            Some(_) => Some(hash(C::NAME, encode(&command)?.as_bytes())),
            None => None,
        };
        self.transaction_in(place, context, request_hash, &Single(command)).await
    }

    /// Runs a query under any circumstances.
    pub async fn ask<Q: Query>(&self, mut context: Context, query: Q) -> Result<Q::Output> {
        context.command = Q::NAME.to_owned();
        check_scope(Q::NAME, Q::SCOPE, &context)?;
        let reader = Reader::new(&self.core, Arc::new(context), self.core.now());
        let call = Call { name: Q::NAME, kind: OperationKind::Query, scope: Q::SCOPE, permission: Q::PERMISSION };
        if let Err(error) = authorise(&reader, call).await {
            note_denial(&self.core, reader.context(), Q::NAME, &error, encode(&query)?.as_bytes());
            return Err(error);
        }
        query.run(&reader).await
    }

    /// Runs any operation by name with JSON input; what every binding calls.
    pub async fn call(&self, operation: &str, context: Context, input: &[u8]) -> Result<String> {
        let operation = find_operation(operation)?;
        (operation.call)(self, context, input).await
    }

    /// Runs several commands in one commit and returns their outputs in order: all or nothing.
    pub async fn transact(&self, context: Context, steps: &[Step]) -> Result<Vec<Box<RawValue>>> {
        self.run_steps(None, context, steps).await
    }

    /// As [`transact`](Self::transact), inside a transaction of the host: what the commands decide is there when the host has
    /// committed, and nothing of it when it has not. See [`Project::work_in`].
    pub async fn transact_in(
        &self,
        transaction: &dyn Commit,
        context: Context,
        steps: &[Step],
    ) -> Result<Vec<Box<RawValue>>> {
        self.run_steps(Some(transaction), context, steps).await
    }

    async fn run_steps(
        &self,
        place: Option<&dyn Commit>,
        mut context: Context,
        steps: &[Step],
    ) -> Result<Vec<Box<RawValue>>> {
        context.command = "transact".to_owned();
        let mut parts = Vec::with_capacity(steps.len());
        let mut hasher = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let operation = find_operation(&step.operation).map_err(|e| e.at(format!("[{number}].operation")))?;
            let Some(run_in) = operation.run_in else {
                return Err(Error::new(ErrorCode::OperationUnknown)
                    .message("only commands can be part of a transaction")
                    .at(format!("[{number}].operation")));
            };
            check_scope(operation.name, operation.scope, &context)?;
            let input = step.input.get().as_bytes();
            if context.idempotency_key.is_some() {
                let canonical = (operation.canonical)(input).map_err(|e| e.at(format!("[{number}].input")))?;
                hasher.extend_from_slice(operation.name.as_bytes());
                hasher.extend_from_slice(canonical.as_bytes());
            }
            parts.push((operation, run_in, input));
        }
        let request_hash = context.idempotency_key.as_ref().map(|_| hash("transact", &hasher));
        let outcome = self.transaction_in(place, context, request_hash, &Several(parts)).await?;
        match outcome {
            Outcome::Fresh(outputs) => Ok(outputs),
            Outcome::Stored(text) => serde_json::from_str(&text).map_err(|e| Error::corrupt(e.to_string())),
        }
    }

    pub(crate) async fn transaction<T: serde::Serialize>(
        &self,
        context: Context,
        request_hash: Option<[u8; 32]>,
        decision: &dyn Decision<T>,
    ) -> Result<Outcome<T>> {
        self.transaction_in(None, context, request_hash, decision).await
    }

    /// Decides, commits, and decides again after a lost race. The one way to change anything.
    async fn transaction_in<T: serde::Serialize>(
        &self,
        place: Option<&dyn Commit>,
        context: Context,
        request_hash: Option<[u8; 32]>,
        decision: &dyn Decision<T>,
    ) -> Result<Outcome<T>> {
        check_context(&context)?;
        let context = Arc::new(context);
        let mut taken: Option<UniqueKey> = None;
        let mut lost: Option<Subject> = None;
        for _ in 0..=MAX_RETRIES {
            let _turn = match lost {
                Some(subject) => Some(self.core.turn_of(subject).lock().await),
                None => None,
            };
            let now = self.core.now();
            let key = context.idempotency_key.as_deref().zip(request_hash);
            if let Some((key, hash)) = key
                && let Some(stored) = self.core.storage.idempotent(idempotency_scope(&context), key, now).await?
            {
                if stored.request_hash != hash || stored.command != context.command {
                    return Err(Error::new(ErrorCode::IdempotencyKeyReused).at("idempotency_key"));
                }
                if stored.result == ERASED_OUTCOME {
                    return Err(Error::new(ErrorCode::IdempotencyKeyReused)
                        .message("what the call with this key answered was erased with the personal data in it")
                        .at("idempotency_key"));
                }
                return Ok(Outcome::Stored(stored.result));
            }
            let mut work = UnitOfWork::new(&self.core, context.clone(), now);
            let output = decision.decide(&mut work).await;
            if output.is_err() && !(decision.may_keep_on_failure() && work.keeps_on_failure()) {
                return output.map(Outcome::Fresh);
            }
            let idempotency = match (key, &output) {
                (Some((key, request_hash)), Ok(output)) => Some(IdempotencyRecord {
                    scope: idempotency_scope(&context),
                    key: key.to_owned(),
                    command: context.command.clone(),
                    request_hash,
                    result: encode(output)?,
                    expires_at: now.plus_seconds(IDEMPOTENCY_SECONDS),
                }),
                _ => None,
            };
            let batch = work.finish(idempotency, None).await?;
            let written = match place {
                // Nobody can see it yet, so nobody is told.
                Some(place) if !batch.is_empty() => place.commit(batch).await,
                _ => self.commit(batch).await,
            };
            match written {
                Ok(_) => return output.map(Outcome::Fresh),
                Err(CommitError::Stale(subject)) => lost = Some(subject),
                Err(CommitError::Taken { key, holder }) => {
                    // A command that looks the key up finds it the second time; one that relies on the store does not.
                    if taken.as_ref() == Some(&key) {
                        return Err(key_taken(&key, holder));
                    }
                    lost = Some(holder);
                    taken = Some(key);
                }
                Err(CommitError::KeyUsed) => {}
                Err(CommitError::LeaseLost) => return Err(ErrorCode::LeaseLost.into()),
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
        let error =
            Error::new(ErrorCode::VersionConflict).message("other writers kept changing the same things; try again");
        Err(match lost {
            Some(subject) => error.with("resource", subject.kind.as_str()).with("id", subject.id.to_string()),
            None => error,
        })
    }

    pub(crate) async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        if batch.is_empty() {
            return Ok(Committed::default());
        }
        let committed = self.core.storage.commit(batch).await?;
        self.core.ring();
        Ok(committed)
    }
}

/// What a transaction runs, possibly several times.
pub(crate) trait Decision<T>: Sync {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<T>>;

    /// Whether a failure can leave something behind.
    fn may_keep_on_failure(&self) -> bool {
        false
    }
}

struct Single<C>(C);

impl<C: Command> Decision<C::Output> for Single<C> {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<C::Output>> {
        Box::pin(async move {
            let call = Call { name: C::NAME, kind: OperationKind::Command, scope: C::SCOPE, permission: C::PERMISSION };
            if let Err(error) = admit(work, call).await {
                note_denial(work.reader().core(), work.context(), C::NAME, &error, encode(&self.0)?.as_bytes());
                return Err(error);
            }
            self.0.clone().run(work).await
        })
    }

    fn may_keep_on_failure(&self) -> bool {
        true
    }
}

/// Refuses the command unless its actor may run it; what an elevated actor does says so.
async fn admit(work: &mut UnitOfWork<'_>, call: Call) -> Result<()> {
    let rights = authorise(work.reader(), call).await?;
    if rights.elevated {
        work.elevate();
    }
    Ok(())
}

/// Operation, its entry point and its input, in order.
struct Several<'s>(Vec<(&'static Operation, super::operation::RunIn, &'s [u8])>);

impl Decision<Vec<Box<RawValue>>> for Several<'_> {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<Vec<Box<RawValue>>>> {
        Box::pin(async move {
            let mut outputs = Vec::with_capacity(self.0.len());
            for (number, (operation, run_in, input)) in self.0.iter().enumerate() {
                let Operation { name, kind, scope, permission, .. } = **operation;
                if let Err(error) = admit(work, Call { name, kind, scope, permission }).await {
                    note_denial(work.reader().core(), work.context(), name, &error, input);
                    return Err(error);
                }
                let output = run_in(work, input).await.map_err(|e| e.at(format!("[{number}].input")))?;
                outputs.push(RawValue::from_string(output).map_err(|e| Error::internal(e.to_string()))?);
            }
            Ok(outputs)
        })
    }
}

/// A command's outcome: decided now, or remembered by its idempotency key.
pub(crate) enum Outcome<T> {
    Fresh(T),
    Stored(String),
}

impl<T: serde::de::DeserializeOwned> Outcome<T> {
    fn typed(self, command: &str) -> Result<T> {
        match self {
            Outcome::Fresh(output) => Ok(output),
            Outcome::Stored(text) => serde_json::from_str(&text)
                .map_err(|e| Error::corrupt(format!("a stored result of {command} cannot be read: {e}"))),
        }
    }
}

/// One command of a [`transact`](Crm::transact).
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Step {
    pub operation: String,
    pub input: Box<RawValue>,
}

/// A handle bound to one project and one actor.
#[derive(Clone)]
pub struct Project {
    crm: Crm,
    id: ProjectId,
    actor: ActorRef,
    cause: Option<Cause>,
}

impl Project {
    /// The same project, acting as somebody else.
    #[must_use]
    pub fn acting_as(&self, actor: ActorRef) -> Project {
        Project { actor, ..self.clone() }
    }

    /// The same project, for what follows from an event or a job: what is recorded through it belongs to the same flow
    /// (`correlation_id`, seen by `events.trace`) and names the event (`causation_id`).
    #[must_use]
    pub fn caused_by(&self, cause: impl Into<Cause>) -> Project {
        Project { cause: Some(cause.into()), ..self.clone() }
    }

    pub fn id(&self) -> ProjectId {
        self.id
    }

    pub fn crm(&self) -> &Crm {
        &self.crm
    }

    /// The circumstances of a plain call; change what you need and use [`Crm::execute_in`].
    pub fn context(&self) -> Context {
        let context = Context::new(Some(self.id), self.actor.clone());
        match self.cause {
            Some(cause) => context.caused_by(cause),
            None => context,
        }
    }

    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Output> {
        self.crm.execute_in(self.context(), command).await
    }

    /// Runs a command inside a transaction of the host, made into a place to commit to by its store (`within` of
    /// `ventros-postgres`): the host's rows and the command's changes are there together, or neither is.
    ///
    /// The command reads what is committed, so it does not see what the transaction has written before. Until the host commits,
    /// everybody else who writes into this project waits: run the command last, and commit at once. Callbacks fire after that.
    ///
    /// # Errors
    /// Those of the command, after which the transaction is as it was before; `input_invalid` for a second unit of work in one
    /// transaction (several commands go together through [`Crm::transact_in`]).
    pub async fn work_in<C: Command>(&self, transaction: &dyn Commit, command: C) -> Result<C::Output> {
        let outcome = self.crm.run_command_in(Some(transaction), self.context(), command).await?;
        outcome.typed(C::NAME)
    }

    pub async fn query<Q: Query>(&self, query: Q) -> Result<Q::Output> {
        self.crm.ask(self.context(), query).await
    }
}

fn find_operation(name: &str) -> Result<&'static Operation> {
    crate::catalogue::operation(name).ok_or_else(|| {
        Error::new(ErrorCode::OperationUnknown)
            .message(format!("there is no operation named {name:?}"))
            .with("operation", name)
    })
}

fn check_scope(name: &str, scope: OperationScope, context: &Context) -> Result<()> {
    match (scope, context.project) {
        (OperationScope::Project, None) => Err(Error::new(ErrorCode::ProjectNotFound)
            .message(format!("{name} runs inside a project: call it through project(id)"))),
        _ => Ok(()),
    }
}

fn check_context(context: &Context) -> Result<()> {
    if let Some(key) = &context.idempotency_key {
        let length = key.chars().count();
        if length == 0 || length > 128 {
            return Err(Error::new(ErrorCode::InputInvalid)
                .message("an idempotency key has 1 to 128 characters")
                .at("idempotency_key"));
        }
    }
    if let Some(metadata) = &context.metadata {
        let size = encode(metadata)?.len();
        if size > 4096 {
            return Err(Error::new(ErrorCode::JsonTooLarge).at("metadata").with("max", 4096).with("current", size));
        }
    }
    Ok(())
}

fn idempotency_scope(context: &Context) -> Uuid {
    match context.project {
        Some(project) => project.uuid(),
        None => context.actor.id().unwrap_or_else(Uuid::nil),
    }
}

fn hash(name: &str, input: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(name).chain_update([0]).chain_update(input).finalize().into()
}

/// Says which kind of key it is and who has it: of `contact.phone`, `phone`.
fn key_taken(key: &UniqueKey, holder: Subject) -> Error {
    let which = key.space.rsplit('.').next().unwrap_or(key.space);
    let error = Error::new(key.code).with("resource", holder.kind.as_str()).with("kind", which);
    // Over all projects the holder may be somebody else's: say nothing about it.
    if key.global { error } else { error.with("id", holder.id.to_string()) }
}

/// Reads an id that a caller gave as text.
pub fn parse_project(text: &str) -> Result<ProjectId> {
    parse_uuid(text).map(ProjectId::from_uuid)
}
