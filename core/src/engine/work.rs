//! The unit of work of one command: it loads each aggregate once, gathers events, folds them into everything that
//! observes them, and hands the storage one batch.

use super::aggregate::{Aggregate, Recorded, Recorder, Root, Stored, newer, own};
use super::context::Context;
use super::crm::Core;
use super::event::Event;
use super::reader::Reader;
use super::secrets::SecretWork;
use super::worker::JobOutcome;
use crate::catalogue::{AggregateType, CustomEvent, aggregate_type};
use crate::infrastructure::job::{JobErrorClass, JobEvent, stream_of};
use crate::kernel::{
    ActorRef, CommitId, CorrelationId, Error, ErrorCode, Id, JobId, Kind, ProjectId, Result, Source, Subject, Timestamp,
};
use crate::storage::{
    Batch, ConsumerProgress, ConsumerWrite, Erasure, EventQuery, EventRecord, IdempotencyRecord, Index, IndexChange,
    JobRecord, JobState, JobWrite, KeyRef, OnDead, ProjectIdOrNil, Scope, Snapshot, SnapshotRemoval, SnapshotWrite,
};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// The most events of one commit.
pub const MAX_EVENTS: usize = 1_000;
/// The most events of one commit that runs as an import.
pub const MAX_IMPORT_EVENTS: usize = 10_000;
/// The most bytes of one event's data.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// One aggregate as this unit of work sees it.
pub(super) struct Entry {
    value: Arc<dyn Stored>,
    kind: &'static AggregateType,
    /// The revision in the store; 0 when it is new.
    loaded: u64,
    /// Written by a newer program, so that this one must leave it alone.
    is_newer: bool,
    /// The index of the loaded state, taken just before the first change.
    before: Option<Index>,
    /// The index of the state as it is, if somebody needed it.
    after: Option<Index>,
    dirty: bool,
}

impl Entry {
    /// Comes before every change.
    fn touch(&mut self) {
        self.after = None;
        if !self.dirty {
            self.dirty = true;
            self.before = (self.loaded > 0).then(|| self.value.index());
        }
    }

    fn fold(&mut self, event: &Recorded, actor: &ActorRef) {
        self.touch();
        own(&mut self.value).fold(&event.event, &event.meta(actor));
    }
}

/// What a unit of work knows of a unique key.
#[derive(Clone, Copy)]
pub(super) enum KeyKnown {
    Free,
    Held(Uuid),
}

/// A job or timer to put into the commit.
#[derive(Debug, Clone)]
pub struct JobRequest {
    pub queue: &'static str,
    pub kind: &'static str,
    pub unique_key: Option<String>,
    pub order_key: Option<String>,
    pub payload: String,
    pub run_at: Timestamp,
    pub parked: bool,
}

pub struct UnitOfWork<'e> {
    reader: Reader<'e>,
    recorder: Arc<Recorder>,
    pub(super) entries: BTreeMap<(Kind, Uuid), Entry>,
    log: Vec<Recorded>,
    /// Events that unloaded aggregates observe: indexes into `log`, in order.
    pub(super) waiting: BTreeMap<(Kind, Uuid), Vec<usize>>,
    jobs: Vec<JobWrite>,
    consumers: Vec<ConsumerWrite>,
    erasures: Vec<Erasure>,
    pub(super) secrets: SecretWork,
    /// What no event tells of, as it will be written.
    pub(super) records: BTreeMap<(Kind, Uuid), SnapshotWrite>,
    /// What is removed for good: nothing is found of it, and nothing of it is written.
    pub(super) removals: BTreeMap<(Kind, Uuid), SnapshotRemoval>,
    /// Who holds a unique key, as far as this unit of work knows: its own changes first, then what it looked up.
    pub(super) keys: HashMap<(&'static str, String, String), KeyKnown>,
    expected_version: Option<u64>,
    import: bool,
    /// Where what is recorded now comes from, when that is another way than the call's.
    source: Option<Source>,
    keep_on_failure: bool,
    /// The flow of everything in the commit, once somebody wanted to know it.
    correlation: Option<CorrelationId>,
}

impl<'e> UnitOfWork<'e> {
    pub(crate) fn new(core: &'e Core, context: Arc<Context>, now: Timestamp) -> Self {
        let recorder = Arc::new(Recorder { now, ids: core.ids.clone(), actor: context.actor.clone() });
        UnitOfWork {
            expected_version: context.expected_version,
            reader: Reader::new(core, context, now),
            recorder,
            entries: BTreeMap::new(),
            log: Vec::new(),
            waiting: BTreeMap::new(),
            jobs: Vec::new(),
            consumers: Vec::new(),
            erasures: Vec::new(),
            secrets: SecretWork::default(),
            records: BTreeMap::new(),
            removals: BTreeMap::new(),
            keys: HashMap::new(),
            import: false,
            source: None,
            keep_on_failure: false,
            correlation: None,
        }
    }

    /// Reads that see only what is committed.
    pub fn reader(&self) -> &Reader<'e> {
        &self.reader
    }

    pub fn context(&self) -> &Context {
        self.reader.context()
    }

    /// The one moment of the command.
    pub fn now(&self) -> Timestamp {
        self.recorder.now
    }

    pub fn actor(&self) -> &ActorRef {
        &self.recorder.actor
    }

    /// From now on events say that the actor is a platform administrator who is no member of the project.
    pub(crate) fn elevate(&mut self) {
        let Recorder { now, ids, actor } = &*self.recorder;
        self.recorder = Arc::new(Recorder { now: *now, ids: ids.clone(), actor: actor.clone().elevated() });
    }

    /// Forgets everything that was gathered and begins again: what follows is decided with the rights of one actor and recorded as
    /// done by another.
    pub(crate) fn start_over(&mut self, rights: ActorRef, actor: ActorRef, expected_version: Option<u64>) {
        let mut context = self.context().clone();
        context.actor = rights;
        context.expected_version = expected_version;
        let (core, now, correlation) = (self.reader.core(), self.now(), self.correlation);
        *self = UnitOfWork::new(core, Arc::new(context), now);
        self.correlation = correlation;
        self.recorder = Arc::new(Recorder { now, ids: core.ids.clone(), actor });
    }

    /// From now on the commit belongs to this flow.
    pub(crate) fn correlate(&mut self, id: CorrelationId) {
        self.correlation = Some(id);
    }

    /// The flow that the commit belongs to.
    pub(crate) fn correlation_id(&mut self) -> CorrelationId {
        let given = self.context().correlation_id;
        let id = self.correlation.or(given).unwrap_or_else(|| self.new_id());
        self.correlation = Some(id);
        id
    }

    /// The project of the call; the system log for calls outside a project.
    pub fn project(&self) -> ProjectId {
        self.reader.project()
    }

    pub fn new_id<I: Id>(&self) -> I {
        I::from(self.recorder.ids.uuid(self.recorder.now))
    }

    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.recorder.ids.random(&mut bytes);
        bytes
    }

    /// Raises the limit on events per commit, for imports.
    pub fn import_mode(&mut self) {
        self.import = true;
    }

    /// From now on events say that they came this way; `None` = as the call itself.
    pub fn set_source(&mut self, source: Option<Source>) {
        self.source = source;
    }

    /// For commands whose result shows a secret once: the stored result of an idempotent call would keep it in clear text.
    ///
    /// # Errors
    /// `input_invalid` at `idempotency_key`.
    pub fn refuse_idempotency_key(&self) -> Result<()> {
        if self.context().idempotency_key.is_none() {
            return Ok(());
        }
        let why = "the result shows a secret once: the stored result of an idempotent call would keep it in clear text";
        Err(Error::new(ErrorCode::InputInvalid).at("idempotency_key").message(why))
    }

    /// Commits what was recorded although the command fails: for failures that must be remembered, such as a wrong
    /// password. As a part of a transaction of several commands it commits nothing.
    pub fn keep_on_failure(&mut self) {
        self.keep_on_failure = true;
    }

    pub(crate) fn keeps_on_failure(&self) -> bool {
        self.keep_on_failure
    }

    /// From now on works in this project: for commands that create one.
    pub fn enter_project(&mut self, project: ProjectId) {
        self.reader.enter_project(project);
    }

    /// Leaves what follows without a check of `expected_version`; for composed commands.
    pub fn take_expected_version(&mut self) -> Option<u64> {
        self.expected_version.take()
    }

    /// Starts a new aggregate in the project of the call; [`save`](Self::save) it afterwards.
    pub fn create<A: Aggregate>(&self, id: A::Id, event: impl Into<Event>) -> Result<Root<A>> {
        self.create_in(self.home::<A>(), id, event)
    }

    /// As [`create`](Self::create), in a named project.
    pub fn create_in<A: Aggregate>(&self, project: ProjectId, id: A::Id, event: impl Into<Event>) -> Result<Root<A>> {
        Root::start(&self.recorder, project, id, event, self.recorder.now)
    }

    /// Loads an aggregate that exists and is not hidden; else its `<kind>_not_found`.
    ///
    /// The first load of a command checks the caller's `expected_version`.
    pub async fn load<A: Aggregate>(&mut self, id: A::Id) -> Result<Root<A>> {
        match self.find::<A>(id).await? {
            Some(root) if !root.is_hidden() => {
                if let Some(expected) = self.expected_version.take() {
                    let actual = root.base().version;
                    if expected != actual {
                        return Err(Error::new(ErrorCode::VersionConflict)
                            .with("resource", A::KIND.as_str())
                            .with("id", id.to_string())
                            .with("expected_version", expected)
                            .with("actual_version", actual));
                    }
                }
                Ok(root)
            }
            _ => Err(not_found::<A>(id)),
        }
    }

    /// Loads an aggregate in any state, hidden ones included.
    pub async fn find<A: Aggregate>(&mut self, id: A::Id) -> Result<Option<Root<A>>> {
        let key = (A::KIND, id.into());
        if self.removals.contains_key(&key) {
            return Ok(None);
        }
        if !self.entries.contains_key(&key) {
            match self.reader.find_to_change::<A>(id).await? {
                Some((state, schema)) => self.insert::<A>(state, schema)?,
                None => return Ok(None),
            }
        }
        Ok(self.peek::<A>(id).map(|state| self.check_out(state)))
    }

    /// The aggregate that holds a unique key, as this unit of work sees it: its own unsaved changes count.
    pub async fn by_key<A: Aggregate>(
        &mut self,
        space: &'static str,
        scope: &str,
        key: &str,
    ) -> Result<Option<Root<A>>> {
        let name = (space, scope.to_owned(), key.to_owned());
        let known = match self.keys.get(&name) {
            Some(known) => *known,
            None => {
                let asked = [KeyRef { scope, key }];
                let holders = self.reader.storage().find_holders(self.scope_of(A::KIND), A::KIND, space, &asked);
                let known = match holders.await?.into_iter().next() {
                    Some(holder) => self.hold::<A>(holder.snapshot)?,
                    None => KeyKnown::Free,
                };
                self.keys.insert(name, known);
                known
            }
        };
        let KeyKnown::Held(id) = known else { return Ok(None) };
        let root = self.find::<A>(A::Id::from(id)).await?;
        // A change of this very unit of work may have given the key up.
        let is_touched = self.entries.get(&(A::KIND, id)).is_some_and(|entry| entry.dirty);
        let holds = |root: &Root<A>| {
            let index = super::aggregate::index_of(root.state());
            index.keys.iter().any(|held| held.space == space && held.scope == scope && held.key == key)
        };
        Ok(root.filter(|root| !is_touched || holds(root)))
    }

    /// Loads several snapshots of one kind in one read, so that later [`load`](Self::load)s cost nothing.
    pub async fn prefetch<A: Aggregate>(&mut self, ids: &[A::Id]) -> Result<()> {
        let missing: Vec<Uuid> =
            ids.iter().map(|id| (*id).into()).filter(|id| !self.entries.contains_key(&(A::KIND, *id))).collect();
        if missing.is_empty() {
            return Ok(());
        }
        for snapshot in self.reader.storage().get(self.scope_of(A::KIND), A::KIND, &missing).await? {
            self.hold::<A>(snapshot)?;
        }
        Ok(())
    }

    /// Looks up several unique keys of one space, each with its scope, in one read, so that later
    /// [`by_key`](Self::by_key)s cost nothing.
    pub async fn prefetch_keys<A: Aggregate>(&mut self, space: &'static str, keys: &[(String, String)]) -> Result<()> {
        let name = |(scope, key): &(String, String)| (space, scope.clone(), key.clone());
        let unknown: Vec<&(String, String)> =
            keys.iter().filter(|asked| !self.keys.contains_key(&name(asked))).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let asked: Vec<KeyRef<'_>> = unknown.iter().map(|(scope, key)| KeyRef { scope, key }).collect();
        let holders = self.reader.storage().find_holders(self.scope_of(A::KIND), A::KIND, space, &asked).await?;
        self.keys.extend(unknown.into_iter().map(|asked| (name(asked), KeyKnown::Free)));
        for holder in holders {
            let known = self.hold::<A>(holder.snapshot)?;
            self.keys.insert((space, holder.scope, holder.key), known);
        }
        Ok(())
    }

    /// Keeps what was read, unless it is here already, perhaps changed.
    fn hold<A: Aggregate>(&mut self, snapshot: Snapshot) -> Result<KeyKnown> {
        let (id, schema) = (snapshot.id, snapshot.schema);
        if !self.entries.contains_key(&(A::KIND, id)) {
            self.insert::<A>(self.reader.decode(snapshot)?, schema)?;
        }
        Ok(KeyKnown::Held(id))
    }

    /// Takes an aggregate back and returns its state. Its events enter the log; what observes them is folded.
    pub fn save<A: Aggregate>(&mut self, root: Root<A>) -> Result<A> {
        self.keep(root).map(Arc::unwrap_or_clone)
    }

    /// As [`save`](Self::save), for whoever only looks at the state.
    pub fn keep<A: Aggregate>(&mut self, root: Root<A>) -> Result<Arc<A>> {
        let Root { state, recorded, checked_out, .. } = root;
        let base = state.base();
        let key = (A::KIND, base.id);
        if recorded.is_empty() {
            return Ok(state);
        }
        if self.removals.contains_key(&key) {
            return Err(Error::internal(format!("a {} was saved after it was removed", A::KIND)));
        }
        let after = super::aggregate::index_of(&*state);
        for held in &after.keys {
            self.keys.insert((held.space, held.scope.clone(), held.key.clone()), KeyKnown::Held(base.id));
        }
        match self.entries.get_mut(&key) {
            Some(entry) => {
                if entry.value.base().revision != checked_out {
                    return Err(Error::internal(format!("a {} was saved after somebody else changed it", A::KIND)));
                }
                entry.touch();
                entry.value = state.clone();
                entry.after = Some(after);
            }
            None => {
                let kind = aggregate_type(A::KIND).ok_or_else(|| Error::internal("an aggregate is not registered"))?;
                let (value, after) = (state.clone(), Some(after));
                let entry = Entry { value, kind, loaded: 0, is_newer: false, before: None, after, dirty: true };
                self.entries.insert(key, entry);
            }
        }
        for event in recorded {
            self.enter(event);
        }
        Ok(state)
    }

    /// Records a free event of the host; with `source`, it came another way than the call.
    pub fn record_custom(&mut self, event: CustomEvent, at: Timestamp, source: Option<Source>) -> Result<Uuid> {
        let id = self.recorder.ids.uuid(self.recorder.now);
        let event = Event::Custom(event);
        let mut subjects = vec![Subject::new(Kind::Custom, id)];
        event.subjects(&mut subjects);
        let event_id = self.new_id();
        self.enter(Recorded {
            id: event_id,
            kind: Kind::Custom,
            aggregate_id: id,
            project_id: self.project(),
            version: 1,
            occurred_at: at,
            subjects,
            source,
            event,
        });
        Ok(event_id.uuid())
    }

    /// Records an event of a stream that has no state of its own.
    pub(crate) async fn record_in(&mut self, stream: Subject, event: impl Into<Event>) -> Result<()> {
        let of_stream = |event: &&Recorded| (event.kind, event.aggregate_id) == (stream.kind, stream.id);
        let before = match self.log.iter().rev().find(of_stream) {
            Some(event) => event.version,
            None => {
                let last = EventQuery { stream: Some(stream), backward: true, limit: 1, ..EventQuery::default() };
                let last = self.reader.storage().events(Scope::Project(self.project()), &last).await?;
                last.first().map_or(0, |event| event.aggregate_version)
            }
        };
        let event = event.into();
        let mut subjects = vec![stream];
        event.subjects(&mut subjects);
        let recorded = Recorded {
            id: self.new_id(),
            kind: stream.kind,
            aggregate_id: stream.id,
            project_id: self.project(),
            version: before + 1,
            occurred_at: self.now(),
            subjects,
            source: None,
            event,
        };
        self.enter(recorded);
        Ok(())
    }

    /// Adds a change of a consumer to the commit.
    pub fn write_consumer(&mut self, write: ConsumerWrite) {
        self.consumers.push(write);
    }

    /// Adds something that is forgotten to the commit.
    pub(crate) fn erase(&mut self, erasure: Erasure) {
        self.erasures.push(erasure);
    }

    /// Puts a job into the commit; an open job with the same unique key stays as it is.
    pub fn enqueue(&mut self, request: JobRequest) -> JobId {
        let job = self.job(request);
        let id = JobId::from_uuid(job.id);
        self.jobs.push(JobWrite::Enqueue(job));
        id
    }

    /// Puts a job into the commit; while an open one has the same unique key, the unit of work decides again.
    pub(crate) fn create_job(&mut self, request: JobRequest) -> JobId {
        let job = self.job(request);
        let id = JobId::from_uuid(job.id);
        self.jobs.push(JobWrite::Create(job));
        id
    }

    /// Puts a job into the commit, or moves the open one of the same unique key.
    pub fn schedule(&mut self, request: JobRequest) {
        let job = self.job(request);
        self.jobs.push(JobWrite::Schedule(job));
    }

    /// Cancels the open job of a unique key.
    pub fn cancel_job(&mut self, unique_key: impl Into<String>) {
        self.jobs.push(JobWrite::Cancel { project_id: self.project(), unique_key: unique_key.into(), at: self.now() });
    }

    /// Adds any other change of jobs to the commit.
    pub fn write_job(&mut self, write: JobWrite) {
        self.jobs.push(write);
    }

    /// A job of this unit of work's own with this unique key.
    pub(crate) fn new_job(&self, unique_key: &str) -> Option<&JobRecord> {
        self.jobs.iter().find_map(|write| match write {
            JobWrite::Enqueue(job) | JobWrite::Create(job) | JobWrite::Schedule(job) => {
                Some(job).filter(|job| job.unique_key.as_deref() == Some(unique_key))
            }
            _ => None,
        })
    }

    /// How many jobs of this kind it has made.
    pub(crate) fn new_jobs_of(&self, kind: &str) -> usize {
        let made = self.jobs.iter().filter(|write| match write {
            JobWrite::Enqueue(job) | JobWrite::Create(job) | JobWrite::Schedule(job) => job.kind == kind,
            _ => false,
        });
        made.count()
    }

    /// Gives up a claimed job and tells those who ask for it.
    pub(crate) async fn end_in_vain(
        &mut self,
        job: &JobRecord,
        error_class: JobErrorClass,
        error: String,
    ) -> Result<()> {
        self.tell_of_death(job, error_class).await?;
        crate::infrastructure::saga::job_ended(self, job);
        let at = self.now();
        self.jobs.push(JobOutcome::Dead { error }.of_try(job, at, Some(error_class), None));
        Ok(())
    }

    /// Records that a job was given up. What the inbox gives up is seen there.
    pub(super) async fn tell_of_death(&mut self, job: &JobRecord, error_class: JobErrorClass) -> Result<()> {
        if ["inbound", "parked"].contains(&job.queue.as_str()) {
            return Ok(());
        }
        let (job_id, job_kind) = (JobId::from_uuid(job.id), job.kind.clone());
        let dead = JobEvent::Dead { job_id, job_kind, error_class, attempts: job.attempt };
        self.record_in(stream_of(job.id), dead).await
    }

    /// The events recorded so far.
    pub fn recorded(&self) -> &[Recorded] {
        &self.log
    }

    fn job(&self, request: JobRequest) -> JobRecord {
        JobRecord {
            id: self.recorder.ids.uuid(self.recorder.now),
            project_id: ProjectIdOrNil(self.project()),
            queue: request.queue.to_owned(),
            kind: request.kind.to_owned(),
            unique_key: request.unique_key,
            order_key: request.order_key,
            on_dead: OnDead::Continue,
            payload: request.payload,
            run_at: request.run_at,
            priority: 0,
            state: if request.parked { JobState::Parked } else { JobState::Scheduled },
            attempt: 0,
            max_attempts: None,
            lease_token: 0,
            lease_until: None,
            last_error: None,
            result: None,
            // The commit's own, which is known in the end.
            correlation_id: None,
            causation_id: self.context().causation_id.map(|id| id.uuid()),
            created_at: self.recorder.now,
            started_at: None,
            finished_at: None,
            history: Vec::new(),
            waiting_order: false,
        }
    }

    fn enter(&mut self, mut event: Recorded) {
        event.source = event.source.or(self.source);
        let number = self.log.len();
        for subject in &event.subjects {
            if subject.kind == event.kind && subject.id == event.aggregate_id {
                continue;
            }
            let Some(kind) = aggregate_type(subject.kind) else { continue };
            if !(kind.observes)(&event.event) || self.removals.contains_key(&(subject.kind, subject.id)) {
                continue;
            }
            let key = (subject.kind, subject.id);
            match self.entries.get_mut(&key) {
                Some(entry) => entry.fold(&event, &self.recorder.actor),
                None => self.waiting.entry(key).or_default().push(number),
            }
        }
        self.log.push(event);
    }

    fn insert<A: Aggregate>(&mut self, state: Arc<A>, schema: u32) -> Result<()> {
        let kind = aggregate_type(A::KIND).ok_or_else(|| Error::internal("an aggregate is not registered"))?;
        self.insert_stored(kind, state, schema);
        Ok(())
    }

    fn insert_stored(&mut self, kind: &'static AggregateType, value: Arc<dyn Stored>, schema: u32) {
        let base = value.base();
        let key = (kind.kind, base.id);
        let is_newer = schema > kind.schema();
        let mut entry = Entry { value, kind, loaded: base.revision, is_newer, before: None, after: None, dirty: false };
        for number in self.waiting.remove(&key).unwrap_or_default() {
            entry.fold(&self.log[number], &self.recorder.actor);
        }
        self.entries.insert(key, entry);
    }

    /// Puts a state in the place of the stored one, whatever that is: for repairs alone.
    pub(crate) fn replace(&mut self, kind: &'static AggregateType, value: Arc<dyn Stored>, stored: Option<&Snapshot>) {
        let key = (kind.kind, value.base().id);
        let before = stored.and_then(|stored| (kind.decode)(stored).ok()).map(|state| state.index());
        let loaded = stored.map_or(0, |stored| stored.revision);
        let entry = Entry { value, kind, loaded, is_newer: false, before, after: None, dirty: true };
        self.entries.insert(key, entry);
    }

    /// Stores a life that an event of another aggregate began, unless it is there already. What there is of it that says
    /// something else is replaced; what its own events made of it stays.
    pub(crate) async fn derive<A: Aggregate>(&mut self, state: A) -> Result<()> {
        let kind = aggregate_type(A::KIND).ok_or_else(|| Error::internal("an aggregate is not registered"))?;
        let base = state.base();
        let id = [base.id];
        let Some(stored) = self.reader.storage().get(self.scope_of(A::KIND), A::KIND, &id).await?.into_iter().next()
        else {
            self.replace(kind, Arc::new(state), None);
            return Ok(());
        };
        if stored.revision == base.revision && stored.state == super::aggregate::encode(&state)? {
            return Ok(());
        }
        let subject = Subject::new(A::KIND, base.id);
        let scope = self.scope_of(A::KIND);
        let later = super::rebuild::fold_later(self.reader.storage(), scope, Box::new(state), subject).await?;
        if stored.state != later.encode()? {
            self.replace(kind, Arc::from(later), Some(&stored));
        }
        Ok(())
    }

    fn peek<A: Aggregate>(&self, id: A::Id) -> Option<Arc<A>> {
        let entry = self.entries.get(&(A::KIND, id.into()))?;
        entry.value.clone().into_any().downcast::<A>().ok()
    }

    fn check_out<A: Aggregate>(&self, state: Arc<A>) -> Root<A> {
        let checked_out = state.base().revision;
        Root { state, recorder: self.recorder.clone(), recorded: Vec::new(), checked_out }
    }

    fn home<A: Aggregate>(&self) -> ProjectId {
        if is_system(A::KIND) { ProjectId::SYSTEM } else { self.project() }
    }

    fn scope_of(&self, kind: Kind) -> Scope {
        self.reader.scope_of(kind)
    }

    /// Folds what is still waiting and turns everything into one batch.
    pub(crate) async fn finish(
        mut self,
        idempotency: Option<IdempotencyRecord>,
        consumer: Option<ConsumerProgress>,
    ) -> Result<Batch> {
        let mut missing: BTreeMap<Kind, Vec<Uuid>> = BTreeMap::new();
        for (kind, id) in self.waiting.keys() {
            missing.entry(*kind).or_default().push(*id);
        }
        for (kind, ids) in missing {
            let Some(aggregate) = aggregate_type(kind) else { continue };
            for snapshot in self.reader.storage().get(self.scope_of(kind), kind, &ids).await? {
                self.insert_stored(aggregate, (aggregate.decode)(&snapshot)?, snapshot.schema);
            }
        }
        let limit = if self.import { MAX_IMPORT_EVENTS } else { MAX_EVENTS };
        if self.log.len() > limit {
            return Err(Error::new(ErrorCode::CommitTooLarge).with("max", limit).with("current", self.log.len()));
        }
        let commit_id: CommitId = self.new_id();
        let context = self.reader.context();
        let actor = raw(&self.recorder.actor)?;
        let metadata = context.metadata.as_ref().map(raw).transpose()?;
        let correlation_id =
            self.correlation.or(context.correlation_id).unwrap_or_else(|| CorrelationId::from_uuid(commit_id.uuid()));
        for write in &mut self.jobs {
            if let JobWrite::Enqueue(job) | JobWrite::Create(job) | JobWrite::Schedule(job) = write {
                job.correlation_id = Some(correlation_id.uuid());
            }
        }
        let mut events = Vec::with_capacity(self.log.len());
        for event in &self.log {
            let data = raw(&event.event)?;
            let size = data.get().len();
            if size > MAX_EVENT_BYTES {
                return Err(Error::new(ErrorCode::EventTooLarge).with("max", MAX_EVENT_BYTES).with("current", size));
            }
            events.push(EventRecord {
                id: event.id.uuid(),
                event_type: event.event.type_name().to_owned(),
                schema_version: event.event.schema_version(),
                aggregate_kind: event.kind,
                aggregate_id: event.aggregate_id,
                aggregate_version: event.version,
                project_id: ProjectIdOrNil(event.project_id),
                seq: 0,
                position: 0,
                commit_id: commit_id.uuid(),
                occurred_at: event.occurred_at,
                recorded_at: self.recorder.now,
                actor: actor.clone(),
                source: event.source.unwrap_or(context.source).as_str().to_owned(),
                command: Some(context.command.clone()).filter(|name| !name.is_empty()),
                correlation_id: correlation_id.uuid(),
                causation_id: context.causation_id.map(|id| id.uuid()),
                subjects: event.subjects.clone(),
                data,
                metadata: metadata.clone(),
                redacted_at: None,
            });
        }
        let mut snapshots: Vec<SnapshotWrite> = self.records.into_values().collect();
        for ((kind, id), entry) in self.entries {
            if !entry.dirty {
                continue;
            }
            if entry.is_newer {
                return Err(newer(kind, id));
            }
            let base = entry.value.base();
            let index = entry.after.unwrap_or_else(|| entry.value.index());
            let changed = IndexChange::between(entry.before.as_ref(), &index);
            snapshots.push(SnapshotWrite {
                project_id: base.project_id,
                kind,
                id,
                loaded_revision: entry.loaded,
                revision: base.revision,
                version: base.version,
                schema: entry.kind.schema(),
                created_at: base.created_at,
                updated_at: base.updated_at,
                state: entry.value.encode()?,
                index,
                changed,
            });
            debug_assert_eq!(entry.kind.kind, kind);
        }
        let consumers = self.consumers;
        let removals = self.removals.into_values().collect();
        Ok(Batch {
            removals,
            snapshots,
            events,
            jobs: self.jobs,
            secrets: self.secrets.writes,
            idempotency,
            consumer,
            consumers,
            erasures: self.erasures,
        })
    }
}

/// Kinds whose aggregates live in the system log.
pub const fn is_system(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::User
            | Kind::ChannelType
            | Kind::BillingAccount
            | Kind::Subscription
            | Kind::Invoice
            | Kind::UsageMeter
            | Kind::Product
    )
}

pub(crate) fn not_found<A: Aggregate>(id: A::Id) -> Error {
    Error::new(A::NOT_FOUND).with("resource", A::KIND.as_str()).with("id", id.to_string())
}

fn raw<T: serde::Serialize>(value: &T) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value).map_err(|e| Error::internal(format!("a value does not serialise: {e}")))
}
