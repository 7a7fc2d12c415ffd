//! The work of taking personal data out of everything that is stored about somebody.
//!
//! One job is one step and one commit; it leaves the next one behind, so that a process that dies loses a step at most. First go the
//! traces outside the log, while the log still says what to look for; then the events are rewritten; then every state that
//! they are part of is folded again from what is left. Where older events were removed, the states that are kept in their place are
//! rewritten too. Ten minutes later a second pass takes what was written meanwhile.

use super::traces;
use crate::catalogue::{aggregate_type, personal};
use crate::conversations::import::ImportChat;
use crate::engine::{Event, JobOutcome, JobRequest, JobType, Stored, UnitOfWork, derived, is_system, read, revive};
use crate::infrastructure::event_log::EventLogEvent;
use crate::infrastructure::event_log::replay::Replay;
use crate::integration::webhook::WebhookDelivery;
use crate::kernel::{ActorRef, Component, Error, ErrorCode, JobId, Kind, ProjectId, Result, Subject, Timestamp};
use crate::storage::{
    Baseline, Erasure, EventQuery, EventRecord, EventRewrite, FieldKind, Filter, Find, JobQuery, JobRecord, JobState,
    JobWrite, Leaf, Scope, Test, Value, id_value,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use uuid::Uuid;

/// Events that are rewritten in one commit.
const EVENTS: usize = 1_000;
/// Events whose states are folded again in one commit.
const STATES: usize = 100;
/// A state of so many events is folded again once, not for every step that meets it.
const LONG: u64 = 200;
/// The most webhooks that one event can go to.
const MAX_WEBHOOKS: usize = 100;
/// How often a state that others keep changing is looked at again.
const TRIES: usize = 5;
/// How long after the first pass the second one begins, in seconds: by then nobody holds a state any more that was read before.
const AGAIN_AFTER_SECONDS: i64 = 600;

pub(super) const JOB: JobType = JobType {
    kind: "privacy.redact",
    queue: "timer",
    component: Component::Retention,
    max_attempts: 50,
    run: |work, job| Box::pin(run(work, job)),
};

/// Whose data goes, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Request {
    pub subject: Subject,
    /// None: everywhere.
    pub project: Option<ProjectId>,
    pub reason: String,
    pub requested_by: ActorRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// Jobs, the inbox among them, and the answers of commands.
    Jobs,
    /// The chats of imports.
    Imports,
    Events,
    /// Where the calls of a user came from.
    Calls,
    /// The states that are kept to fold from where events were removed.
    Baselines,
    /// What is folded from those.
    Kept,
    States,
}

/// How far a redaction has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    request: Request,
    step: Step,
    /// Where the step goes on: the number of an event.
    after: u64,
    /// Where the step goes on: a row.
    row: Option<Uuid>,
    is_second: bool,
    events: u64,
    fields: u64,
    /// Long states that are folded already.
    folded: Vec<Subject>,
    /// Where a step goes on that walks the baselines: the log, and an aggregate of it.
    #[serde(default)]
    kept: Option<(ProjectId, Option<Subject>)>,
}

impl Request {
    fn scope(&self) -> Scope {
        self.project.map_or(Scope::Installation, Scope::Project)
    }

    /// Redactions of somebody in one place are one at a time.
    fn key(&self, is_second: bool) -> String {
        let Subject { kind, id } = self.subject;
        let place = self.project.map_or_else(|| "all".to_owned(), |project| project.to_string());
        let again = if is_second { "_again" } else { "" };
        format!("privacy.redact{again}:{kind}:{id}:{place}")
    }
}

/// Begins a redaction of everything about somebody who is being erased, unless one is under way.
pub(crate) fn redact_later(work: &mut UnitOfWork<'_>, subject: Subject, reason: &str) -> Result<()> {
    // Users are everywhere; everybody else belongs to a project.
    let project = (!is_system(subject.kind)).then(|| work.project());
    let request = Request { subject, project, reason: reason.to_owned(), requested_by: work.actor().clone() };
    enqueue(work, &Progress::of(request), work.now()).map(drop)
}

/// As [`redact_later`], for whoever must know.
///
/// # Errors
/// `redaction_in_progress`.
pub(super) async fn start(work: &mut UnitOfWork<'_>, request: Request) -> Result<JobId> {
    let query = JobQuery {
        states: vec![JobState::Scheduled, JobState::Parked, JobState::Running],
        unique_key_prefix: Some(request.key(false)),
        limit: 1,
        ..JobQuery::default()
    };
    let open = work.reader().storage().jobs(Scope::Project(work.project()), &query).await?;
    if let Some(open) = open.first() {
        return Err(Error::new(ErrorCode::RedactionInProgress).with("job_id", open.id.to_string()));
    }
    let job = job_of(&Progress::of(request), work.now())?;
    Ok(work.create_job(job))
}

fn enqueue(work: &mut UnitOfWork<'_>, progress: &Progress, run_at: Timestamp) -> Result<JobId> {
    let job = job_of(progress, run_at)?;
    Ok(work.enqueue(job))
}

fn job_of(progress: &Progress, run_at: Timestamp) -> Result<JobRequest> {
    Ok(JobRequest {
        queue: JOB.queue,
        kind: JOB.kind,
        unique_key: Some(progress.request.key(progress.is_second)),
        order_key: None,
        payload: crate::engine::encode(progress)?,
        run_at,
        parked: false,
    })
}

impl Progress {
    fn of(request: Request) -> Self {
        Progress {
            request,
            step: Step::Jobs,
            after: 0,
            row: None,
            is_second: false,
            events: 0,
            fields: 0,
            folded: Vec::new(),
            kept: None,
        }
    }

    fn begin(&mut self, step: Step) {
        self.step = step;
        self.after = 0;
        self.row = None;
        self.kept = None;
    }
}

async fn run(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let mut progress: Progress = serde_json::from_str(&job.payload)
        .map_err(|error| Error::corrupt(format!("the payload of a redaction cannot be read: {error}")))?;
    let is_over = match progress.step {
        Step::Jobs => jobs(work, &mut progress).await?,
        Step::Imports => imports(work, &mut progress).await?,
        Step::Events => events(work, &mut progress).await?,
        Step::Calls => calls(work, &mut progress).await?,
        Step::Baselines => baselines(work, &mut progress).await?,
        Step::Kept => kept(work, &mut progress).await?,
        Step::States => states(work, &mut progress).await?,
    };
    if is_over && !end(work, &mut progress).await? {
        return Ok(JobOutcome::Done { result: None });
    }
    let run_at = if is_over { work.now().plus_seconds(AGAIN_AFTER_SECONDS) } else { work.now() };
    enqueue(work, &progress, run_at)?;
    Ok(JobOutcome::Done { result: None })
}

/// Records what was done; true when there is another pass.
async fn end(work: &mut UnitOfWork<'_>, progress: &mut Progress) -> Result<bool> {
    let Progress { request, events, fields, .. } = &*progress;
    if !progress.is_second || *events > 0 {
        let redacted = EventLogEvent::Redacted {
            subject_kind: request.subject.kind,
            subject_id: request.subject.id,
            reason: request.reason.clone(),
            events_touched: *events,
            fields_touched: *fields,
            requested_by: request.requested_by.clone(),
        };
        let stream: JobId = work.new_id();
        work.record_in(Subject::new(Kind::EventLog, stream.uuid()), redacted).await?;
    }
    work.reader().storage().scrub().await?;
    if progress.is_second {
        return Ok(false);
    }
    *progress = Progress { is_second: true, ..Progress::of(progress.request.clone()) };
    Ok(true)
}

async fn jobs(work: &mut UnitOfWork<'_>, progress: &mut Progress) -> Result<bool> {
    let request = &progress.request;
    let known = traces::of(work, request.subject, request.scope()).await?;
    let last = traces::clear_jobs(work, &known, request.scope(), progress.row).await?;
    progress.row = last;
    if last.is_none() {
        work.erase(Erasure::Outcomes { scope: request.scope(), texts: known.all() });
        progress.begin(if request.subject.kind == Kind::Contact { Step::Imports } else { Step::Events });
    }
    Ok(false)
}

async fn imports(work: &mut UnitOfWork<'_>, progress: &mut Progress) -> Result<bool> {
    let scope = progress.request.scope();
    let known = traces::of(work, progress.request.subject, scope).await?;
    let page = work.reader().storage().scan(scope, Kind::ImportChat, progress.row, EVENTS).await?;
    progress.row = page.last().map(|last| last.id).filter(|_| page.len() == EVENTS);
    for snapshot in page.iter().filter(|snapshot| known.is_named_in(&snapshot.state)) {
        let Some(mut chat) = work.row::<ImportChat>(snapshot.id.into()).await? else { continue };
        if chat.ended_at.is_some() {
            chat.forget();
            work.put_row(chat)?;
        }
    }
    if progress.row.is_none() {
        progress.begin(Step::Events);
    }
    Ok(false)
}

/// The next events about the subject.
async fn next(work: &UnitOfWork<'_>, progress: &Progress, limit: usize) -> Result<Vec<EventRecord>> {
    let subject = Some(progress.request.subject);
    let query = EventQuery { subject, after: progress.after, limit, ..EventQuery::default() };
    work.reader().storage().events(progress.request.scope(), &query).await
}

/// The number by which events of a scope are read.
fn number_of(event: &EventRecord, scope: Scope) -> u64 {
    match scope {
        Scope::Project(_) => event.seq,
        Scope::Installation => event.position,
    }
}

async fn events(work: &mut UnitOfWork<'_>, progress: &mut Progress) -> Result<bool> {
    let page = next(work, progress, EVENTS).await?;
    let subject = progress.request.subject;
    for record in &page {
        let (data, schema_version) = Event::lift(record)?;
        let mut data = serde_json::Value::Object(data);
        let fields = personal::redact(&record.event_type, &mut data, subject, &mut |_, _| {})?;
        if fields > 0 || record.metadata.is_some() {
            let data = if fields > 0 { raw(&data)? } else { record.data.clone() };
            let schema_version = if fields > 0 { schema_version } else { record.schema_version };
            rewrite(work, record, schema_version, data);
            progress.events += 1;
            progress.fields += fields;
        }
    }
    progress.after = page.last().map_or(progress.after, |last| number_of(last, progress.request.scope()));
    if page.len() < EVENTS {
        progress.begin(if subject.kind == Kind::Contact { Step::Baselines } else { Step::Calls });
    }
    Ok(false)
}

fn raw(data: &serde_json::Value) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(data).map_err(|error| Error::internal(error.to_string()))
}

fn rewrite(work: &mut UnitOfWork<'_>, record: &EventRecord, schema_version: u16, data: Box<RawValue>) {
    let redacted_at = work.now();
    let (project_id, seq) = (record.project_id.0, record.seq);
    work.erase(Erasure::Event(EventRewrite { project_id, seq, schema_version, data, redacted_at }));
}

/// Clears where the calls of a user came from. Nothing indexes who acted, so this walks the log.
async fn calls(work: &mut UnitOfWork<'_>, progress: &mut Progress) -> Result<bool> {
    let (scope, id) = (progress.request.scope(), progress.request.subject.id.to_string());
    let query = EventQuery { after: progress.after, limit: EVENTS, ..EventQuery::default() };
    let page = work.reader().storage().events(scope, &query).await?;
    for record in page.iter().filter(|record| record.metadata.is_some() && record.actor.get().contains(&id)) {
        rewrite(work, record, record.schema_version, record.data.clone());
        progress.events += 1;
    }
    progress.after = page.last().map_or(progress.after, |last| number_of(last, scope));
    if page.len() < EVENTS {
        progress.begin(Step::Baselines);
    }
    Ok(false)
}

/// The next baselines that name the subject, all of one log; none when there are no more.
async fn next_kept(work: &UnitOfWork<'_>, progress: &mut Progress) -> Result<Option<Vec<Baseline>>> {
    let storage = work.reader().storage();
    let logs = match progress.request.project {
        Some(project) => vec![project],
        None => storage.heads().await?.into_iter().map(|(project, _)| project).collect(),
    };
    let named = progress.request.subject.id.to_string();
    let (first, mut after) = progress.kept.unwrap_or((logs.first().copied().unwrap_or(ProjectId::SYSTEM), None));
    for log in logs.into_iter().filter(|log| *log >= first) {
        let page = storage.scan_baselines(log, Some(&named), after.take(), STATES).await?;
        if let Some(last) = page.last() {
            progress.kept = Some((log, Some(last.subject())));
            return Ok(Some(page));
        }
    }
    Ok(None)
}

/// Takes the data of the subject out of the states that folding begins with.
async fn baselines(work: &mut UnitOfWork<'_>, progress: &mut Progress) -> Result<bool> {
    let Some(page) = next_kept(work, progress).await? else {
        progress.begin(Step::Kept);
        return Ok(false);
    };
    for mut baseline in page {
        let mut state: serde_json::Value = serde_json::from_str(&baseline.snapshot.state)
            .map_err(|error| Error::corrupt(format!("a baseline cannot be read: {error}")))?;
        let fields = personal::erase_from_state(baseline.kind, &mut state, progress.request.subject, &mut |_, _| {});
        if fields == 0 {
            continue;
        }
        baseline.snapshot.state = state.to_string();
        // In the form in which states are written.
        if let Some(state) = revive(&baseline)? {
            baseline.snapshot.state = state.encode()?;
        }
        baseline.is_redacted = true;
        progress.fields += fields;
        work.erase(Erasure::Baseline(baseline));
    }
    Ok(false)
}

/// Folds again what goes on from those states.
async fn kept(work: &mut UnitOfWork<'_>, progress: &mut Progress) -> Result<bool> {
    let Some(page) = next_kept(work, progress).await? else {
        progress.begin(Step::States);
        return Ok(false);
    };
    for baseline in page {
        fold_again(work, baseline.snapshot.project_id, baseline.subject()).await?;
    }
    Ok(false)
}

/// Folds again what the events are part of, and clears what receivers of webhooks answered to them.
async fn states(work: &mut UnitOfWork<'_>, progress: &mut Progress) -> Result<bool> {
    let page = next(work, progress, STATES).await?;
    let mut touched: BTreeSet<(ProjectId, Subject)> = BTreeSet::new();
    for record in &page {
        let project = record.project_id.0;
        touched.extend(record.subjects.iter().map(|subject| (project, *subject)));
        let (event, _) = read(record)?;
        touched.extend(derived(record, &event).into_iter().map(|(subject, _)| (project, subject)));
    }
    for (project, subject) in touched {
        if !progress.folded.contains(&subject) && fold_again(work, project, subject).await? {
            progress.folded.push(subject);
        }
    }
    clear_answers(work, progress.request.scope(), &page).await?;
    progress.after = page.last().map_or(progress.after, |last| number_of(last, progress.request.scope()));
    Ok(page.len() < STATES)
}

/// Puts what the log says now in the place of a stored state; true when that took many events.
///
/// It has the same revision: whoever has read the old one writes on top of that for a moment. The second pass finds it.
async fn fold_again(work: &mut UnitOfWork<'_>, project: ProjectId, subject: Subject) -> Result<bool> {
    let Some(kind) = aggregate_type(subject.kind) else { return Ok(false) };
    let scope = Scope::Project(if is_system(subject.kind) { ProjectId::SYSTEM } else { project });
    let storage = work.reader().storage();
    for _ in 0..TRIES {
        let stored = storage.get(scope, subject.kind, &[subject.id]).await?.into_iter().next();
        let Some(stored) = stored else { return Ok(false) };
        let mut count = 0;
        let counted = |_: &Replay, _: &EventRecord| {
            count += 1;
            ControlFlow::Continue(())
        };
        let replay = Replay::of(storage, scope, subject, None, counted).await?;
        let Some(folded) = replay.state else { return Ok(false) };
        // Somebody wrote meanwhile: the two belong to different moments.
        if folded.base().revision != stored.revision {
            continue;
        }
        if folded.encode()? != stored.state {
            let folded: Arc<dyn Stored> = Arc::from(folded);
            work.replace(kind, folded, Some(&stored));
        }
        return Ok(count > LONG);
    }
    Err(Error::new(ErrorCode::VersionConflict)
        .with("resource", subject.kind.as_str())
        .with("id", subject.id.to_string()))
}

/// Answers of receivers often repeat what they were sent.
async fn clear_answers(work: &mut UnitOfWork<'_>, scope: Scope, page: &[EventRecord]) -> Result<()> {
    let Some(limit) = Some(page.len()).filter(|count| *count > 0) else { return Ok(()) };
    let ids: Vec<Value> = page.iter().map(|event| id_value(event.id)).collect();
    let filter = Filter::Leaf(Leaf {
        field: "event_id".to_owned(),
        kind: FieldKind::Id,
        is_attribute: false,
        test: Test::In(ids),
    });
    let find = Find {
        filter,
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: limit * MAX_WEBHOOKS,
        include_hidden: true,
        with_total: false,
    };
    let found = work.reader().storage().find(scope, Kind::WebhookDelivery, &find).await?;
    for row in found.rows {
        let Some(mut delivery) = work.row::<WebhookDelivery>(row.snapshot.id.into()).await? else { continue };
        if delivery.forget_answers() {
            work.put_row(delivery)?;
        }
    }
    Ok(())
}

/// Cancels jobs that are open or hold their order key, then removes them with those that have ended.
pub(super) fn remove_jobs(work: &mut UnitOfWork<'_>, jobs: &[JobRecord]) {
    let at = work.now();
    let mut projects: BTreeSet<ProjectId> = BTreeSet::new();
    for job in jobs {
        projects.insert(job.project_id.0);
        if job.state.is_open() || job.blocks() {
            work.write_job(JobWrite::CancelJob { project_id: job.project_id.0, id: job.id, at });
        }
    }
    for project_id in projects {
        let ids = jobs.iter().filter(|job| job.project_id.0 == project_id).map(|job| job.id).collect();
        work.erase(Erasure::Jobs { project_id, ids });
    }
}
