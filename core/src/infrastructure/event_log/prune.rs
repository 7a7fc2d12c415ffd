//! Removing old events, as far as the retention of a project says.
//!
//! What events made stays: before an aggregate loses one, its state at that place of the log is kept to fold from. A job goes through the
//! log in small commits, each of which keeps states and removes the events that are in them; one that dies loses a step at most. No
//! consumer misses anything: what one of them has yet to hear, or may yet try again, stays.

use super::events::EventLogEvent;
use super::filter::first_recorded_at;
use super::replay::Replay;
use crate::catalogue::{aggregate_type, event_types};
use crate::engine::{
    Command, Context, Crm, JobOutcome, JobRequest, JobType, UnitOfWork, derived, encode, is_system, read,
};
use crate::kernel::text::text;
use crate::kernel::{
    ActorRef, Component, Error, ErrorCode, JobId, Kind, Permission, ProjectId, Result, Source, Subject, Timestamp,
};
use crate::storage::{
    Baseline, DeadLetterQuery, Erasure, EventQuery, EventRecord, EventRemoval, JobQuery, JobRecord, JobState, Scope,
    Snapshot, Storage, type_matches,
};
use crate::tenancy::project::{Project, RETENTION_DAYS, RetentionPolicy};
use crate::{operations, text_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Events that are looked at in one commit.
const PAGE: usize = 200;
/// Events that are folded for one commit.
const FOLDS: usize = 20_000;
/// In seconds. Logs are looked through once in it.
const DAY: i64 = 24 * 3600;
/// How long noise is kept unless the project says otherwise, in days.
const NOISE_DAYS: u32 = 90;
/// How long at least is kept what somebody may have to account for, in days.
const AUDIT_DAYS: u32 = 365;
const MAX_REFERENCE: usize = 500;

/// What has to be accounted for: rights, members, keys, redactions. The audit trail shows it.
pub(in crate::infrastructure) const AUDITED: [Kind; 6] =
    [Kind::Audit, Kind::EventLog, Kind::Project, Kind::ProjectMember, Kind::Credential, Kind::User];
/// What only says that something was touched: types, or prefixes with `*`.
const NOISE: [&str; 4] = ["user.api_key_used", "billing.usage.incremented", "schedule.triggered", "message_group.*"];

text_enum! {
    /// How long events are kept.
    pub enum RetentionClass {
        /// What only says that something was touched, such as `schedule.triggered`: 90 days, or the project's `noise_days`.
        Noise = "noise",
        /// What nothing else is said of: for ever, or the project's `events_days`.
        Business = "business",
        /// What has to be accounted for, as the audit trail shows it: as `business`, and 365 days at least.
        Audit = "audit",
    }
}

impl RetentionClass {
    /// The class of an event; none when this program does not know its type.
    fn of(record: &EventRecord) -> Option<Self> {
        let is_known = record.aggregate_kind == Kind::Custom
            || event_types().any(|(known, _)| known == record.event_type.as_str());
        is_known.then(|| RetentionClass::of_type(record.aggregate_kind, &record.event_type))
    }

    /// The class of a type of event.
    pub(super) fn of_type(kind: Kind, name: &str) -> Self {
        match kind {
            _ if is_noise(name) => RetentionClass::Noise,
            kind if AUDITED.contains(&kind) => RetentionClass::Audit,
            _ => RetentionClass::Business,
        }
    }

    /// How many days its events are kept; none is for ever.
    fn days(self, policy: &RetentionPolicy) -> Option<u32> {
        match self {
            RetentionClass::Noise => Some(policy.noise_days.unwrap_or(NOISE_DAYS)),
            RetentionClass::Business => policy.events_days,
            RetentionClass::Audit => policy.events_days.map(|days| days.max(AUDIT_DAYS)),
        }
    }
}

/// All types of events that are noise.
fn noise() -> impl Iterator<Item = &'static str> {
    event_types().map(|(name, _)| name).filter(|name| is_noise(name))
}

fn is_noise(name: &str) -> bool {
    NOISE.iter().any(|pattern| type_matches(pattern, name))
}

/// Removes events that the project's retention keeps no longer, without waiting for the daily look at it: of each class those that were
/// recorded before as many days as `retention` of the project says. States stay as they are, and so do the numbers of events; a time
/// before the oldest event that is kept can be asked for no more. A job does it, which ends with `event_log.pruned` for each class that
/// lost something.
///
/// Whoever wants an archive reads the log with a consumer of its own: nothing is removed before all consumers are done with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneEvents {
    /// Only those that were recorded before; as the retention says unless told. What it still keeps stays in any case; a class that is
    /// named must not be asked for more than that.
    #[serde(default)]
    pub before: Option<Timestamp>,
    /// All that the retention has a rule for unless told.
    #[serde(default)]
    pub classes: Vec<RetentionClass>,
    /// Where the host keeps what goes; `event_log.pruned` repeats it. At most 500 characters.
    #[serde(default)]
    pub archive_ref: Option<String>,
}

/// A removal of old events that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PruneStarted {
    /// The job that works at it, others of the same kind follow it; null when nothing is old enough.
    pub job_id: Option<JobId>,
    /// What goes.
    pub rules: Vec<PruneRule>,
}

/// Up to where events of one class go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PruneRule {
    pub class: RetentionClass,
    /// Those that were recorded before.
    pub before: Timestamp,
    /// The last of the log that was.
    pub until_seq: u64,
}

impl Command for PruneEvents {
    const NAME: &'static str = "events.prune";
    const PERMISSION: Permission = Permission::EventsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ConsumerBehind, ErrorCode::RetentionLocked, ErrorCode::TextTooLong, ErrorCode::EnumUnknown];
    type Output = PruneStarted;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<PruneStarted> {
        let reference = self.archive_ref.as_deref().map(|given| text(given, MAX_REFERENCE)).transpose();
        let archive_ref = reference.map_err(|error| error.at("archive_ref"))?;
        let (storage, project) = (work.reader().storage(), work.project());
        let policy = policy_of(work, project).await?;
        let befores = self.befores(&policy, work.now())?;
        if let Some((job_id, rules)) = under_way(storage, project).await? {
            return Ok(PruneStarted { job_id: Some(job_id), rules });
        }
        let rules = rules(storage, project, &befores).await?;
        let slowest = slowest(storage, project).await?;
        for rule in &rules {
            let Some((name, done)) = slowest.as_ref().filter(|(_, done)| *done < rule.until_seq) else { continue };
            if let Some(event) = rule.first_after(storage, project, *done).await? {
                return Err(Error::new(ErrorCode::ConsumerBehind)
                    .with("name", name.as_str())
                    .with("class", rule.class.as_str())
                    .with("checkpoint", *done)
                    .with("seq", event.seq));
            }
        }
        if rules.is_empty() {
            return Ok(PruneStarted { job_id: None, rules });
        }
        let progress = Progress { archive_ref, ..Progress::of(rules.clone()) };
        Ok(PruneStarted { job_id: Some(work.create_job(progress.job(work.now())?)), rules })
    }
}

impl PruneEvents {
    /// Before which moment events of which classes go.
    fn befores(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Vec<(RetentionClass, Timestamp)>> {
        let locked = |field: &str, class: RetentionClass, why: &str| {
            Error::new(ErrorCode::RetentionLocked).at(field).message(why).with("class", class.as_str())
        };
        let mut befores = Vec::new();
        for class in RetentionClass::ALL.iter().copied() {
            let is_named = self.classes.contains(&class);
            if !is_named && !self.classes.is_empty() {
                continue;
            }
            let Some(latest) = latest(class, policy, now) else {
                if is_named {
                    return Err(locked("classes", class, "the retention of the project keeps this class for ever"));
                }
                continue;
            };
            let before = self.before.unwrap_or(latest);
            if is_named && before > latest {
                let error = locked("before", class, "the retention of the project keeps this class for longer");
                return Err(error.with("max", latest.to_string()));
            }
            befores.push((class, before.min(latest)));
        }
        Ok(befores)
    }
}

/// Before which moment events of a class may go; none is never.
fn latest(class: RetentionClass, policy: &RetentionPolicy, now: Timestamp) -> Option<Timestamp> {
    Some(now.plus_seconds(-i64::from(class.days(policy)?) * DAY))
}

impl PruneRule {
    /// The first event that it takes after a number.
    async fn first_after(&self, storage: &dyn Storage, project: ProjectId, after: u64) -> Result<Option<EventRecord>> {
        let scope = Scope::Project(project);
        let query = EventQuery { after, until: Some(self.until_seq), limit: PAGE, ..EventQuery::default() };
        if self.class != RetentionClass::Noise {
            return self.first_of_many(storage, scope, query).await;
        }
        for name in noise() {
            let query = EventQuery { types: vec![name.to_owned()], limit: 1, ..query.clone() };
            if let Some(event) = storage.events(scope, &query).await?.pop() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Goes through the log itself: what is in front of the first one is little, as it has to be accounted for.
    async fn first_of_many(
        &self,
        storage: &dyn Storage,
        scope: Scope,
        mut query: EventQuery,
    ) -> Result<Option<EventRecord>> {
        loop {
            let page = storage.events(scope, &query).await?;
            let Some(last) = page.last() else { return Ok(None) };
            query.after = last.seq;
            let mut of_class = page.into_iter().filter(|event| RetentionClass::of(event) == Some(self.class));
            if let Some(first) = of_class.next() {
                return Ok(Some(first));
            }
        }
    }
}

/// The retention of a project. The log of the installation has none of its own.
async fn policy_of(work: &UnitOfWork<'_>, project: ProjectId) -> Result<RetentionPolicy> {
    if project.is_system() {
        return Ok(RetentionPolicy::default());
    }
    let found = work.reader().find_shared_in::<Project>(project, project).await?;
    Ok(found.map(|project| project.retention).unwrap_or_default())
}

/// What there is to remove, if the log reaches back so far.
async fn rules(
    storage: &dyn Storage,
    project: ProjectId,
    befores: &[(RetentionClass, Timestamp)],
) -> Result<Vec<PruneRule>> {
    let scope = Scope::Project(project);
    let head = storage.head(project).await?;
    let mut rules = Vec::new();
    for (class, before) in befores.iter().copied() {
        let until_seq = first_recorded_at(storage, scope, head, before).await?;
        let rule = PruneRule { class, before, until_seq };
        if until_seq > 0 && rule.first_after(storage, project, 0).await?.is_some() {
            rules.push(rule);
        }
    }
    Ok(rules)
}

/// The consumer that is the furthest behind, and the last event that it is done with for good.
async fn slowest(storage: &dyn Storage, project: ProjectId) -> Result<Option<(String, u64)>> {
    let mut slowest: Option<(String, u64)> = None;
    for consumer in storage.consumers(Scope::Project(project)).await? {
        let mut done = consumer.checkpoint;
        if consumer.letters > 0 {
            let first = DeadLetterQuery { limit: 1, ..DeadLetterQuery::default() };
            let first = storage.dead_letters(project, &consumer.name, &first).await?;
            done = first.first().map_or(done, |letter| done.min(letter.seq - 1));
        }
        if slowest.as_ref().is_none_or(|(_, known)| done < *known) {
            slowest = Some((consumer.name, done));
        }
    }
    Ok(slowest)
}

/// The removal that is not over yet.
async fn under_way(storage: &dyn Storage, project: ProjectId) -> Result<Option<(JobId, Vec<PruneRule>)>> {
    let query = JobQuery {
        states: vec![JobState::Scheduled, JobState::Parked, JobState::Running],
        unique_key_prefix: Some(KEY.to_owned()),
        limit: 1,
        ..JobQuery::default()
    };
    let open = storage.jobs(Scope::Project(project), &query).await?.pop();
    open.map(|job| Ok((JobId::from_uuid(job.id), Progress::read(&job)?.rules))).transpose()
}

/// There is one in a project at a time.
const KEY: &str = "events.prune";

pub(super) const JOB: JobType = JobType {
    kind: "events.prune",
    queue: "timer",
    component: Component::Retention,
    max_attempts: 50,
    run: |work, job| Box::pin(run(work, job)),
};

/// How far a removal has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    /// The first one is at work.
    rules: Vec<PruneRule>,
    /// Which type of noise it is at.
    name: usize,
    /// The event behind which it goes on.
    after: u64,
    /// Events that the first rule has removed.
    removed: u64,
    archive_ref: Option<String>,
}

impl Progress {
    fn of(rules: Vec<PruneRule>) -> Self {
        Progress { rules, name: 0, after: 0, removed: 0, archive_ref: None }
    }

    fn read(job: &JobRecord) -> Result<Self> {
        serde_json::from_str(&job.payload)
            .map_err(|error| Error::corrupt(format!("the payload of a removal of events cannot be read: {error}")))
    }

    fn job(&self, run_at: Timestamp) -> Result<JobRequest> {
        Ok(JobRequest {
            queue: JOB.queue,
            kind: JOB.kind,
            unique_key: Some(KEY.to_owned()),
            order_key: None,
            payload: encode(self)?,
            run_at,
            parked: false,
        })
    }
}

async fn run(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let mut progress = Progress::read(job)?;
    if let Some(rule) = progress.rules.first().cloned() {
        if step(work, &mut progress, &rule).await? {
            end(work, &mut progress, rule).await?;
        }
        if !progress.rules.is_empty() {
            work.enqueue(progress.job(work.now())?);
        }
    }
    Ok(JobOutcome::Done { result: None })
}

/// Tells what a rule has removed, and goes on to the next one.
async fn end(work: &mut UnitOfWork<'_>, progress: &mut Progress, rule: PruneRule) -> Result<()> {
    if progress.removed > 0 {
        let pruned = EventLogEvent::Pruned {
            classes: vec![rule.class],
            before: rule.before,
            removed: progress.removed,
            archive_ref: progress.archive_ref.clone(),
        };
        let stream: JobId = work.new_id();
        work.record_in(Subject::new(Kind::EventLog, stream.uuid()), pruned).await?;
    }
    let archive_ref = progress.archive_ref.take();
    *progress = Progress { archive_ref, ..Progress::of(progress.rules.split_off(1)) };
    Ok(())
}

/// Keeps the states that the next events are part of and removes these, or as many states as go into one commit. True when nothing is
/// left to do for the rule.
async fn step(work: &mut UnitOfWork<'_>, progress: &mut Progress, rule: &PruneRule) -> Result<bool> {
    let (storage, project_id) = (work.reader().storage(), work.project());
    let scope = Scope::Project(project_id);
    // A consumer may have come, or have been set back, since it was asked for.
    let slowest = slowest(storage, project_id).await?;
    let until = slowest.map_or(rule.until_seq, |(_, done)| done.min(rule.until_seq));
    let mut query = EventQuery { after: progress.after, until: Some(until), limit: PAGE, ..EventQuery::default() };
    if rule.class == RetentionClass::Noise {
        let Some(name) = noise().nth(progress.name) else { return Ok(true) };
        query.types = vec![name.to_owned()];
    }
    let page = storage.events(scope, &query).await?;
    let going: Vec<&EventRecord> =
        page.iter().filter(|record| RetentionClass::of(record) == Some(rule.class)).collect();
    let (baselines, is_whole) = states(storage, project_id, &going, until).await?;
    let seqs: Vec<u64> = going.iter().map(|record| record.seq).collect();
    let last = page.last().map(|record| record.seq);
    for baseline in baselines {
        work.erase(Erasure::Baseline(baseline));
    }
    if !is_whole {
        return Ok(false);
    }
    progress.removed += seqs.len() as u64;
    if !seqs.is_empty() {
        let first_seq = last.filter(|_| rule.class != RetentionClass::Noise).map(|last| last + 1);
        work.erase(Erasure::Events(EventRemoval { project_id, seqs, first_seq }));
    }
    progress.after = last.unwrap_or(progress.after);
    if page.len() == PAGE {
        return Ok(false);
    }
    (progress.name, progress.after) = (progress.name + 1, 0);
    Ok(rule.class != RetentionClass::Noise)
}

/// The states, up to a number, of all that these events are part of, but for those that are kept already. False when there are more, or
/// longer ones, than go into one commit.
async fn states(
    storage: &dyn Storage,
    project: ProjectId,
    going: &[&EventRecord],
    until: u64,
) -> Result<(Vec<Baseline>, bool)> {
    let mut subjects: BTreeSet<Subject> = BTreeSet::new();
    // Users and the like have their states by the log of the installation, and nobody else does.
    let is_here =
        |subject: &&Subject| aggregate_type(subject.kind).is_some() && is_system(subject.kind) == project.is_system();
    for record in going {
        let (event, _) = read(record)?;
        subjects.extend(record.subjects.iter().filter(is_here));
        subjects.extend(derived(record, &event).into_iter().map(|(subject, _)| subject));
    }
    let asked: Vec<Subject> = subjects.iter().copied().collect();
    for known in storage.baselines(project, &asked).await? {
        if known.seq >= until {
            subjects.remove(&known.subject());
        }
    }
    let (mut baselines, mut left) = (Vec::new(), FOLDS);
    for subject in subjects {
        let (baseline, is_whole) = state_up_to(storage, Scope::Project(project), subject, until, &mut left).await?;
        baselines.extend(baseline);
        if !is_whole {
            return Ok((baselines, false));
        }
    }
    Ok((baselines, true))
}

/// The state of an aggregate up to a number, or as far as `left` events bring it; false when that is less. Nothing is kept of what has no
/// state, and reading past it does not count: it would be met again by every step.
pub(super) async fn state_up_to(
    storage: &dyn Storage,
    scope: Scope,
    subject: Subject,
    until: u64,
    left: &mut usize,
) -> Result<(Option<Baseline>, bool)> {
    let (mut reached, mut is_whole) = (None, true);
    let wanted = |replay: &Replay, record: &EventRecord| {
        if record.seq > until {
            return ControlFlow::Break(());
        }
        if replay.state.is_some() {
            let Some(fewer) = left.checked_sub(1) else {
                is_whole = false;
                return ControlFlow::Break(());
            };
            *left = fewer;
        }
        reached = Some(record.seq);
        ControlFlow::Continue(())
    };
    let replay = Replay::of(storage, scope, subject, None, wanted).await?;
    let (Some(kind), Some(state), Some(last)) = (aggregate_type(subject.kind), replay.state, replay.last) else {
        return Ok((None, is_whole));
    };
    // Without a single event more there is nothing to say that the old one does not.
    let Some(seq) = (if is_whole { Some(until) } else { reached }) else { return Ok((None, false)) };
    let base = state.base();
    let snapshot = Snapshot {
        project_id: base.project_id,
        id: base.id,
        revision: base.revision,
        schema: kind.schema(),
        state: state.encode()?,
    };
    let recorded_at = last.recorded_at;
    let baseline = Baseline { kind: subject.kind, snapshot, seq, recorded_at, is_redacted: replay.is_redacted };
    Ok((Some(baseline), is_whole))
}

/// Once a day, and when a process begins to work: has old events removed in every project where there are some.
pub(crate) async fn prune_where_due(crm: &Crm) -> Result<()> {
    let core = crm.core();
    let now = core.now();
    let last = core.pruned_at.load(Ordering::Relaxed);
    if now.micros() - last < DAY * 1_000_000 {
        return Ok(());
    }
    core.pruned_at.store(now.micros(), Ordering::Relaxed);
    let newest = now.plus_seconds(-i64::from(*RETENTION_DAYS.start()) * DAY);
    // One project that cannot be looked at keeps no other one waiting.
    let mut outcome = Ok(());
    for (project, _) in core.storage.heads().await? {
        outcome = outcome.and(prune_one(crm, project, newest, now).await);
    }
    outcome
}

async fn prune_one(crm: &Crm, project: ProjectId, newest: Timestamp, now: Timestamp) -> Result<()> {
    let core = crm.core();
    let first = EventQuery { limit: 1, ..EventQuery::default() };
    let first = core.storage.events(Scope::Project(project), &first).await?.pop();
    if first.is_none_or(|first| first.recorded_at >= newest) {
        return Ok(());
    }
    let mut context =
        Context::new(Some(project).filter(|project| !project.is_system()), ActorRef::system(Component::Retention));
    context.source = Source::Cron;
    context.command = JOB.kind.to_owned();
    let mut work = UnitOfWork::new(core, Arc::new(context), now);
    let policy = policy_of(&work, project).await?;
    let classes = RetentionClass::ALL.iter().copied();
    let befores: Vec<(RetentionClass, Timestamp)> =
        classes.filter_map(|class| Some((class, latest(class, &policy, now)?))).collect();
    let rules = rules(&*core.storage, project, &befores).await?;
    if rules.is_empty() {
        return Ok(());
    }
    work.enqueue(Progress::of(rules).job(now)?);
    match crm.commit(work.finish(None, None).await?).await {
        Ok(_) => Ok(()),
        Err(crate::storage::CommitError::Store(error)) => Err(error),
        Err(other) => Err(Error::internal(format!("a removal of events could not be enqueued: {other:?}"))),
    }
}

operations![commands: PruneEvents];
