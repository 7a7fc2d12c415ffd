//! One step: how it is begun, and what has become of one that waits.

use super::definition::{EventWait, LocalOutcome, LocalStep, StepAction};
use super::events::{StepDirection, StepErrorClass};
use super::reference::View;
use super::start::{NewRun, start};
use super::state::SagaStep;
use super::{Saga, WaitingFor};
use crate::catalogue::operation;
use crate::engine::UnitOfWork;
use crate::infrastructure::job::host::{HostJob, check_payload, host_job};
use crate::kernel::{
    ActorRef, Component, Error, ErrorCode, ErrorKind, JobId, Kind, Result, SagaId, Subject, Timestamp, parse_uuid,
};
use crate::storage::{EventQuery, EventRecord, JobQuery, JobRecord, JobState, JobWrite, OnDead, Scope};
use crate::tenancy::access::{Call, authorise};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What the unique keys of the jobs of steps begin with.
const JOB: &str = "saga_step:";
/// The most items of a fan-out.
const MAX_ITEMS: usize = 500;
/// The largest output of a step, in bytes.
const MAX_OUTPUT: usize = 16 * 1024;
/// The longest message of a failure, in characters.
const MAX_MESSAGE: usize = 500;
/// Events that are looked at in one read.
const BATCH: usize = 100;

/// What became of a step.
pub(super) enum Came {
    /// It is done. The signal is one that came before it.
    Done {
        output: Value,
        signal: Option<String>,
    },
    /// It has begun, and waits.
    Waits(WaitingFor),
    /// It still waits.
    Still,
    /// It did a part, and is run again.
    More,
    Failed(Failure),
}

/// Why a step failed.
pub(super) struct Failure {
    pub code: String,
    pub message: String,
    pub class: StepErrorClass,
    /// It is not tried again, whatever tries are left.
    pub is_final: bool,
}

impl Failure {
    pub fn of(error: &Error) -> Failure {
        let is_final = matches!(
            error.kind(),
            ErrorKind::Validation
                | ErrorKind::NotFound
                | ErrorKind::InvalidState
                | ErrorKind::Forbidden
                | ErrorKind::CorruptData
        );
        let class = if is_final { StepErrorClass::Permanent } else { StepErrorClass::Transient };
        Failure { code: error.code().as_str().to_owned(), message: cut(&error.to_string()), class, is_final }
    }

    pub fn last(code: &str, message: &str, class: StepErrorClass) -> Failure {
        Failure { code: code.to_owned(), message: cut(message), class, is_final: true }
    }
}

impl From<Failure> for Came {
    fn from(failure: Failure) -> Came {
        Came::Failed(failure)
    }
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(MAX_MESSAGE).collect()
}

fn done(output: Value) -> Came {
    Came::Done { output, signal: None }
}

/// A step that is to be begun or looked at.
pub(super) struct Turn<'t> {
    pub saga: &'t Saga,
    pub id: &'t str,
    pub action: &'t StepAction,
    pub direction: StepDirection,
    /// When it has taken too long.
    pub timer_at: Option<Timestamp>,
    /// Tries that its jobs have.
    pub attempts: u32,
    /// Its commands run with all rights.
    pub as_system: bool,
    /// What its command relies on.
    pub expected_version: Option<u64>,
}

impl Turn<'_> {
    fn view<'v>(&'v self, saga: &'v Value) -> View<'v> {
        View { input: &self.saga.input, data: &self.saga.data, saga, item: None }
    }

    fn fill(&self, template: &Value) -> Result<Value> {
        filled(self.saga, template)
    }

    fn unique_key(&self) -> String {
        format!("{JOB}{}", self.saga.idempotency_key(self.id, self.direction))
    }

    fn record(&self) -> Option<&SagaStep> {
        self.saga.step(self.id, self.direction)
    }

    /// Begins the step. Whatever `work` has gathered before may be forgotten on the way.
    pub async fn begin(&self, work: &mut UnitOfWork<'_>) -> Result<Came> {
        let begun = match self.action {
            StepAction::Command { operation, input } => self.command(work, operation, input).await,
            StepAction::Local(step) => self.local(work, *step).await,
            StepAction::Job { kind, payload } => self.job(work, kind, payload).await,
            StepAction::Wait { signal, event } => self.wait(work, signal.as_deref(), event.as_ref()).await,
            StepAction::Child { kind, key, input } => self.child(work, kind, key, input).await,
            StepAction::FanOut { .. } => self.fan_out(work, true).await,
        };
        match begun {
            Err(error) if is_for_the_saga(&error) => {
                let own = ActorRef::system(Component::Default);
                work.start_over(own.clone(), own, None);
                Ok(Failure::of(&error).into())
            }
            begun => begun,
        }
    }

    /// Looks at a step that waits.
    pub async fn look(&self, work: &mut UnitOfWork<'_>, waits: &WaitingFor) -> Result<Came> {
        let came = match self.action {
            StepAction::Job { .. } => self.look_at_job(work, waits).await?,
            StepAction::Wait { signal, .. } => self.look_around(work, signal.as_deref(), waits).await?,
            StepAction::Child { .. } => self.look_at_child(work, waits).await?,
            StepAction::FanOut { .. } => match self.fan_out(work, false).await {
                Err(error) if is_for_the_saga(&error) => Failure::of(&error).into(),
                came => came?,
            },
            // A definition has changed under its version: what the step waited for never comes.
            StepAction::Command { .. } | StepAction::Local(_) => {
                Failure::last("step_changed", "the step is another one now", StepErrorClass::Permanent).into()
            }
        };
        let is_late = waits.timer_at.is_some_and(|end| end <= work.now());
        if !matches!(came, Came::Still) || !is_late {
            return Ok(came);
        }
        if matches!(self.action, StepAction::Wait { signal: None, event: None }) {
            return Ok(done(Value::Null));
        }
        abandon(work, self.saga).await?;
        Ok(Failure::last("step_timeout", "it took too long", StepErrorClass::Timeout).into())
    }

    async fn command(&self, work: &mut UnitOfWork<'_>, name: &str, input: &Value) -> Result<Came> {
        let unknown = || Error::new(ErrorCode::OperationUnknown).with("operation", name);
        let operation = operation(name).ok_or_else(unknown)?;
        let run_in = operation.run_in.ok_or_else(unknown)?;
        let input = self.fill(input)?.to_string();
        let starter = self.saga.started_by.clone();
        let rights = if self.as_system { ActorRef::system(Component::Host) } else { starter.clone() };
        let actor = ActorRef::system(Component::Default).on_behalf_of(starter);
        work.start_over(rights, actor, self.expected_version);
        let call = Call {
            name: operation.name,
            kind: operation.kind,
            scope: operation.scope,
            permission: operation.permission,
        };
        authorise(work.reader(), call).await?;
        let output = run_in(work, input.as_bytes()).await?;
        let output =
            serde_json::from_str(&output).map_err(|e| Error::internal(format!("no JSON came of {name}: {e}")))?;
        Ok(done(ids_of(output)))
    }

    async fn local(&self, work: &mut UnitOfWork<'_>, step: LocalStep) -> Result<Came> {
        Ok(match (step.run)(work, self.saga).await? {
            LocalOutcome::Done(output) => done(output),
            LocalOutcome::More => Came::More,
        })
    }

    async fn job(&self, work: &mut UnitOfWork<'_>, kind: &str, payload: &Value) -> Result<Came> {
        let payload = self.fill(payload)?;
        let key = self.unique_key();
        let known = match self.record() {
            Some(_) => jobs_of(work, &key).await?.into_iter().find(|job| job.unique_key.as_deref() == Some(&key)),
            None => None,
        };
        let id = self.put_to_work(work, known.as_ref(), kind, key, payload)?;
        Ok(Came::Waits(WaitingFor { job_id: Some(id), timer_at: self.timer_at, ..WaitingFor::default() }))
    }

    /// A job of the step: the one that there is, set going again where it was given up, or a new one.
    fn put_to_work(
        &self,
        work: &mut UnitOfWork<'_>,
        known: Option<&JobRecord>,
        kind: &str,
        unique_key: String,
        payload: Value,
    ) -> Result<JobId> {
        if let Some(job) = known.filter(|job| job.state != JobState::Cancelled) {
            if job.state == JobState::Dead {
                let run_at = work.now();
                work.write_job(JobWrite::Release { project_id: work.project(), ids: vec![job.id], run_at });
            }
            return Ok(JobId::from_uuid(job.id));
        }
        check_payload(&payload).map_err(|error| error.at("payload"))?;
        let job = HostJob {
            kind: kind.to_owned(),
            payload: payload.to_string(),
            run_at: work.now(),
            priority: 0,
            unique_key: Some(unique_key),
            order_key: None,
            on_dead: OnDead::Continue,
            max_attempts: Some(self.attempts),
        };
        let record = host_job(work, job);
        let id = JobId::from_uuid(record.id);
        work.write_job(JobWrite::Create(record));
        Ok(id)
    }

    async fn look_at_job(&self, work: &UnitOfWork<'_>, waits: &WaitingFor) -> Result<Came> {
        let id = waits.job_id.unwrap_or(JobId::from_uuid(uuid::Uuid::nil()));
        let job = work.reader().storage().job(Scope::Project(work.project()), id.uuid()).await?;
        let failed = |code, message: &str| Failure::last(code, message, StepErrorClass::Permanent).into();
        let Some(job) = job else { return Ok(failed("job_failed", "its job is not kept any more")) };
        Ok(match job.state {
            JobState::Succeeded => done(result_of(&job)?),
            JobState::Dead => failed("job_failed", job.last_error.as_deref().unwrap_or("its job was given up")),
            JobState::Cancelled => failed("job_cancelled", "its job was cancelled"),
            JobState::Scheduled | JobState::Parked | JobState::Running => Came::Still,
        })
    }

    async fn wait(&self, work: &mut UnitOfWork<'_>, signal: Option<&str>, event: Option<&EventWait>) -> Result<Came> {
        if let Some(came) = self.signalled(signal) {
            return Ok(came);
        }
        let told = told(self.saga);
        let view = self.view(&told);
        let event_filter = match event {
            Some(EventWait { types, subject, data }) => {
                let subject = subject.as_ref().map(|subject| view.fill(subject)).transpose()?;
                if let Some(subject) = &subject {
                    subject_of(subject)?;
                }
                Some(EventWait { types: types.clone(), subject, data: view.fill_all(data)? })
            }
            None => None,
        };
        let since = match &event_filter {
            Some(_) => work.reader().storage().head(work.project()).await?,
            None => 0,
        };
        let signal = signal.map(str::to_owned);
        Ok(Came::Waits(WaitingFor { event_filter, since, signal, timer_at: self.timer_at, ..WaitingFor::default() }))
    }

    fn signalled(&self, signal: Option<&str>) -> Option<Came> {
        let kept = self.saga.signals.iter().find(|kept| Some(kept.name.as_str()) == signal)?;
        Some(Came::Done { output: kept.data.clone(), signal: Some(kept.name.clone()) })
    }

    async fn look_around(&self, work: &UnitOfWork<'_>, signal: Option<&str>, waits: &WaitingFor) -> Result<Came> {
        if let Some(came) = self.signalled(signal) {
            return Ok(came);
        }
        let Some(filter) = &waits.event_filter else { return Ok(Came::Still) };
        let subject = filter.subject.as_ref().map(subject_of).transpose()?;
        let mut query = EventQuery {
            after: waits.since,
            subject,
            types: filter.types.clone(),
            limit: BATCH,
            ..EventQuery::default()
        };
        loop {
            let events = work.reader().storage().events(Scope::Project(work.project()), &query).await?;
            for event in &events {
                if let Some(data) = fits(filter, event)? {
                    let told = json!({"id": event.id, "type": event.event_type, "data": ids_of(data)});
                    return Ok(done(told));
                }
            }
            match events.last() {
                Some(last) if events.len() == BATCH => query.after = last.seq,
                _ => return Ok(Came::Still),
            }
        }
    }

    async fn child(&self, work: &mut UnitOfWork<'_>, kind: &str, key: &Value, input: &Value) -> Result<Came> {
        let key = match self.fill(key)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return Err(Error::new(ErrorCode::InputInvalid).at("key").message("the key of a saga is a text")),
        };
        let run = NewRun {
            kind: kind.to_owned(),
            key,
            input: self.fill(input)?,
            deadline_at: None,
            parent_id: Some(self.saga.id),
            started_by: self.saga.started_by.clone(),
            correlation_id: self.saga.correlation_id,
        };
        let (child, is_new) = start(work, run).await?;
        if !is_new && child.parent_id != Some(self.saga.id) {
            return Err(Error::new(ErrorCode::SagaKeyReused).with("id", child.id.to_string()));
        }
        let child_id = Some(child.id);
        Ok(Came::Waits(WaitingFor { child_id, timer_at: self.timer_at, ..WaitingFor::default() }))
    }

    async fn look_at_child(&self, work: &mut UnitOfWork<'_>, waits: &WaitingFor) -> Result<Came> {
        let child = match waits.child_id {
            Some(id) => work.find::<Saga>(id).await?,
            None => None,
        };
        let failed = |message: &str| Failure::last("child_failed", message, StepErrorClass::Permanent).into();
        let Some(child) = child else { return Ok(failed("there is no such saga")) };
        Ok(match (child.status, &child.error) {
            (status, _) if !status.has_ended() => Came::Still,
            (super::SagaStatus::Completed, _) => done(child.output.clone()),
            (status, Some(error)) => failed(&format!("{status}: {}", error.message)),
            (status, None) => failed(status.as_str()),
        })
    }

    async fn fan_out(&self, work: &mut UnitOfWork<'_>, is_begin: bool) -> Result<Came> {
        let StepAction::FanOut { kind, each, payload, max_parallel, tolerance } = self.action else {
            return Err(Error::internal("no fan-out"));
        };
        let Value::Array(items) = self.fill(each)? else {
            return Err(Error::new(ErrorCode::InputInvalid).at("each").message("what a fan-out goes over is a list"));
        };
        if items.len() > MAX_ITEMS {
            return Err(Error::new(ErrorCode::BatchTooLarge).at("each").with("max", MAX_ITEMS));
        }
        let prefix = format!("{}:", self.unique_key());
        let mut jobs: BTreeMap<usize, JobRecord> = BTreeMap::new();
        if self.record().is_some() {
            // Newest first: of an item whose job was cancelled and made again, the first is the one that counts.
            for job in jobs_of(work, &prefix).await? {
                let number = job.unique_key.as_deref().and_then(|key| key.strip_prefix(&prefix)?.parse().ok());
                if let Some(number) = number {
                    jobs.entry(number).or_insert(job);
                }
            }
        }
        let is_over = |job: &JobRecord| matches!(job.state, JobState::Dead | JobState::Cancelled);
        let failed = if is_begin { 0 } else { jobs.values().filter(|job| is_over(job)).count() };
        if failed > *tolerance as usize {
            cancel_jobs(work, jobs.values());
            let message = format!("{failed} of {} jobs failed", items.len());
            return Ok(Failure::last("fan_out_failed", &message, StepErrorClass::Permanent).into());
        }
        let mut open = jobs.values().filter(|job| job.state.is_open()).count();
        let succeeded = jobs.values().filter(|job| job.state == JobState::Succeeded).count();
        if succeeded + failed == items.len() {
            let results = jobs.values().map(result_of).collect::<Result<Vec<Value>>>()?;
            let counts = json!({"succeeded": succeeded, "failed": failed});
            let all = json!({"succeeded": succeeded, "failed": failed, "results": results});
            return Ok(done(if all.to_string().len() <= MAX_OUTPUT { all } else { counts }));
        }
        let told = told(self.saga);
        for (number, item) in items.iter().enumerate() {
            if open >= *max_parallel as usize {
                break;
            }
            let known = jobs.get(&number);
            let is_waiting = known.is_none_or(|job| is_begin && is_over(job));
            if is_waiting {
                let payload = View { item: Some(item), ..self.view(&told) }.fill(payload)?;
                self.put_to_work(work, known, kind, format!("{prefix}{number}"), payload)?;
                open += 1;
            }
        }
        if !is_begin {
            return Ok(Came::Still);
        }
        let jobs = u32::try_from(items.len()).ok();
        Ok(Came::Waits(WaitingFor { jobs, timer_at: self.timer_at, ..WaitingFor::default() }))
    }
}

/// Whether the failure is the step's own, and not one of the store.
fn is_for_the_saga(error: &Error) -> bool {
    error.kind() != ErrorKind::Unavailable
}

/// What is kept of what a command or an event tells: which things it is about. What is known of people stays where it is, and is erased
/// there.
fn ids_of(told: Value) -> Value {
    let Value::Object(fields) = told else { return Value::Null };
    let is_kept = |key: &str| matches!(key, "id" | "version" | "created" | "status") || key.ends_with("_id");
    let kept = fields.into_iter().filter_map(|(key, value)| match value {
        Value::Object(_) => {
            Some((key, ids_of(value))).filter(|(_, inner)| inner.as_object().is_some_and(|o| !o.is_empty()))
        }
        Value::Array(_) => None,
        plain => is_kept(&key).then_some((key, plain)),
    });
    Value::Object(kept.collect::<Map<String, Value>>())
}

fn result_of(job: &JobRecord) -> Result<Value> {
    let Some(result) = &job.result else { return Ok(Value::Null) };
    serde_json::from_str(result).map_err(|e| Error::corrupt(format!("the result of a job cannot be read: {e}")))
}

/// `contact/<id>`.
fn subject_of(text: &Value) -> Result<Subject> {
    let parts = text.as_str().and_then(|text| text.split_once('/'));
    let subject = parts.and_then(|(kind, id)| Some(Subject::new(Kind::parse(kind)?, parse_uuid(id).ok()?)));
    subject
        .ok_or_else(|| Error::new(ErrorCode::InputInvalid).at("subject").message("a subject is written contact/<id>"))
}

/// The data of an event that fits.
fn fits(filter: &EventWait, event: &EventRecord) -> Result<Option<Value>> {
    let unreadable = |e: serde_json::Error| Error::corrupt(format!("the data of an event cannot be read: {e}"));
    let data: Value = serde_json::from_str(event.data.get()).map_err(unreadable)?;
    let is_right = filter.data.iter().all(|(key, wanted)| data.get(key) == Some(wanted));
    Ok(is_right.then_some(data))
}

async fn jobs_of(work: &UnitOfWork<'_>, prefix: &str) -> Result<Vec<JobRecord>> {
    let query = JobQuery { unique_key_prefix: Some(prefix.to_owned()), limit: 2 * MAX_ITEMS, ..JobQuery::default() };
    work.reader().storage().jobs(Scope::Project(work.project()), &query).await
}

fn cancel_jobs<'j>(work: &mut UnitOfWork<'_>, jobs: impl Iterator<Item = &'j JobRecord>) {
    let (project_id, at) = (work.project(), work.now());
    for job in jobs.filter(|job| job.state.is_open()) {
        work.write_job(JobWrite::CancelJob { project_id, id: job.id, at });
    }
}

/// Calls off what a saga waits for, except other sagas.
pub(super) async fn abandon(work: &mut UnitOfWork<'_>, saga: &Saga) -> Result<()> {
    let has_jobs = saga.waiting_for.as_ref().is_some_and(|waits| waits.job_id.is_some() || waits.jobs.is_some());
    if has_jobs {
        let jobs = jobs_of(work, &format!("{JOB}{}:", saga.id)).await?;
        cancel_jobs(work, jobs.iter());
    }
    Ok(())
}

/// The saga that a job works for, if it is one of a step.
pub(super) fn saga_of_job(job: &JobRecord) -> Option<SagaId> {
    let key = job.unique_key.as_deref()?.strip_prefix(JOB)?;
    parse_uuid(key.split(':').next()?).ok().map(SagaId::from_uuid)
}

/// What a job of a step hands to whoever does the work, so that nothing is done twice.
pub(crate) fn idempotency_key(job: &JobRecord) -> Option<&str> {
    job.unique_key.as_deref()?.strip_prefix(JOB)
}

/// A value with everything of the saga filled in.
pub(super) fn filled(saga: &Saga, template: &Value) -> Result<Value> {
    let told = told(saga);
    View { input: &saga.input, data: &saga.data, saga: &told, item: None }.fill(template)
}

fn told(saga: &Saga) -> Value {
    let Saga { id, kind, key, correlation_id, .. } = saga;
    json!({"id": id, "kind": kind, "key": key, "correlation_id": correlation_id})
}
