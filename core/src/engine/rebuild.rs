//! The first law of the house, made checkable: a snapshot is the fold of the log, byte for byte.

use super::aggregate::{Stored, newer};
use super::crm::Crm;
use super::event::{Event, Meta};
use crate::catalogue::{AGGREGATES, aggregate_type};
use crate::kernel::{ActorRef, Error, EventId, ProjectId, Result, Subject};
use crate::storage::{Baseline, EventQuery, EventRecord, Scope, Storage};
use std::collections::BTreeMap;

/// A snapshot that is not what the log says.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub subject: Subject,
    /// The fold of the log as JSON; none when the log knows no such aggregate.
    pub folded: Option<String>,
    /// The stored state as JSON; none when there is none.
    pub stored: Option<String>,
}

const BATCH: usize = 1_000;

impl Crm {
    /// Folds the whole log of a project and compares the result with the stored snapshots. Needs memory for all its
    /// aggregates: a check for tests and repairs, not for every day. Fails with `unknown_event_version` when a newer
    /// program has written to the project.
    pub async fn differences(&self, project: ProjectId) -> Result<Vec<Difference>> {
        // What is written after an event by a reaction may be missing until that has come by.
        let derived_up_to = derived_up_to(&*self.core.storage, Scope::Project(project)).await?;
        let (folded, begun) = self.fold_log(project).await?;
        let mut stored = BTreeMap::new();
        for aggregate in AGGREGATES {
            let mut after = None;
            loop {
                let page = self.core.storage.scan(Scope::Project(project), aggregate.kind, after, BATCH).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                stored.extend(
                    page.into_iter().map(|snapshot| (Subject::new(aggregate.kind, snapshot.id), snapshot.state)),
                );
            }
        }
        let mut differences = Vec::new();
        for (subject, state) in folded {
            let folded = state.encode()?;
            let stored = stored.remove(&subject);
            let is_to_come = begun.get(&subject).is_some_and(|seq| *seq > derived_up_to);
            if stored.is_none() && (is_to_come || state.is_forgotten(self.core.now())) {
                continue;
            }
            if stored.as_deref() != Some(folded.as_str()) {
                differences.push(Difference { subject, folded: Some(folded), stored });
            }
        }
        let unexplained =
            stored.into_iter().map(|(subject, state)| Difference { subject, folded: None, stored: Some(state) });
        differences.extend(unexplained);
        Ok(differences)
    }

    /// All states, and of the derived ones the numbers of the events that began them.
    async fn fold_log(&self, project: ProjectId) -> Result<(States, BTreeMap<Subject, u64>)> {
        let (mut states, kept) = self.kept(project).await?;
        let mut begun = BTreeMap::new();
        let mut after = 0;
        loop {
            let query = EventQuery { after, limit: BATCH, ..EventQuery::default() };
            let events = self.core.storage.events(Scope::Project(project), &query).await?;
            let Some(last) = events.last() else { return Ok((states, begun)) };
            after = last.seq;
            for record in &events {
                take_in(&mut states, &kept, &mut begun, record)?;
            }
        }
    }

    /// The states that folding begins with, and up to which number of the log each goes.
    async fn kept(&self, project: ProjectId) -> Result<(States, BTreeMap<Subject, u64>)> {
        let (mut states, mut kept) = (States::new(), BTreeMap::new());
        let mut after = None;
        loop {
            let page = self.core.storage.scan_baselines(project, None, after, BATCH).await?;
            let Some(last) = page.last() else { return Ok((states, kept)) };
            after = Some(last.subject());
            for baseline in &page {
                kept.insert(baseline.subject(), baseline.seq);
                states.extend(revive(baseline)?.map(|state| (baseline.subject(), state)));
            }
        }
    }
}

type States = BTreeMap<Subject, Box<dyn Stored>>;

fn take_in(
    states: &mut States,
    kept: &BTreeMap<Subject, u64>,
    begun: &mut BTreeMap<Subject, u64>,
    record: &EventRecord,
) -> Result<()> {
    let (event, actor) = read(record)?;
    let is_in = |subject: &Subject| kept.get(subject).is_some_and(|seq| *seq >= record.seq);
    for subject in record.subjects.iter().filter(|subject| !is_in(subject)) {
        let mut state = states.remove(subject);
        fold_into(&mut state, *subject, &event, &meta_of(record, &actor));
        states.extend(state.map(|state| (*subject, state)));
    }
    for (subject, state) in derived(record, &event).into_iter().filter(|(subject, _)| !is_in(subject)) {
        begun.insert(subject, record.seq);
        states.insert(subject, state);
    }
    Ok(())
}

/// The event of a record and who did it.
pub(crate) fn read(record: &EventRecord) -> Result<(Event, ActorRef)> {
    let actor = serde_json::from_str(record.actor.get())
        .map_err(|e| Error::corrupt(format!("an actor cannot be read: {e}")))?;
    Ok((Event::read(record)?, actor))
}

/// What folding may know of a record.
pub(crate) fn meta_of<'a>(record: &EventRecord, actor: &'a ActorRef) -> Meta<'a> {
    Meta {
        event_id: EventId::from_uuid(record.id),
        kind: record.aggregate_kind,
        aggregate_id: record.aggregate_id,
        project_id: record.project_id.0,
        occurred_at: record.occurred_at,
        actor,
    }
}

/// The state of a baseline, to fold on; none when its kind is not part of this build.
///
/// # Errors
/// `unknown_event_version` when a newer program wrote it.
pub(crate) fn revive(baseline: &Baseline) -> Result<Option<Box<dyn Stored>>> {
    let Some(kind) = aggregate_type(baseline.kind) else { return Ok(None) };
    if baseline.snapshot.schema > kind.schema() {
        return Err(newer(baseline.kind, baseline.snapshot.id));
    }
    (kind.revive)(&baseline.snapshot).map(Some)
}

/// The baseline of one aggregate, if it has one.
pub(crate) async fn baseline_of(storage: &dyn Storage, scope: Scope, subject: Subject) -> Result<Option<Baseline>> {
    let Scope::Project(project) = scope else { return Ok(None) };
    Ok(storage.baselines(project, &[subject]).await?.into_iter().next())
}

/// Folds all events that name a derived life into its beginning.
pub(crate) async fn fold_later(
    storage: &dyn Storage,
    scope: Scope,
    state: Box<dyn Stored>,
    subject: Subject,
) -> Result<Box<dyn Stored>> {
    let mut life = Some(state);
    let mut query = EventQuery { subject: Some(subject), limit: BATCH, ..EventQuery::default() };
    if let Some(baseline) = baseline_of(storage, scope, subject).await? {
        life = revive(&baseline)?;
        query.after = baseline.seq;
    }
    loop {
        let events = storage.events(scope, &query).await?;
        for record in &events {
            query.after = record.seq;
            let (event, actor) = read(record)?;
            fold_into(&mut life, subject, &event, &meta_of(record, &actor));
        }
        if events.len() < BATCH {
            return life.ok_or_else(|| Error::internal("a life ended while it was folded"));
        }
    }
}

/// The lives that an event begins although it is not their own, each with its name.
pub(crate) fn derived(record: &EventRecord, event: &Event) -> Vec<(Subject, Box<dyn Stored>)> {
    let deriving = AGGREGATES.iter().filter(|aggregate| aggregate.derived_by.is_some());
    let lives = deriving.filter_map(|aggregate| Some((aggregate.kind, (aggregate.derive)(record, event)?)));
    lives.map(|(kind, state)| (Subject::new(kind, state.base().id), state)).collect()
}

/// Up to which event the reactions that derive lives are done with the log of a project.
pub(crate) async fn derived_up_to(storage: &dyn Storage, scope: Scope) -> Result<u64> {
    let consumers = storage.consumers(scope).await?;
    let checkpoint = |name| consumers.iter().find(|consumer| consumer.name == name).map_or(0, |known| known.checkpoint);
    Ok(AGGREGATES.iter().filter_map(|aggregate| aggregate.derived_by).map(checkpoint).min().unwrap_or(0))
}

/// Folds an event into one of the aggregates that it is about: begins its life, or goes on with it.
pub(crate) fn fold_into(state: &mut Option<Box<dyn Stored>>, subject: Subject, event: &Event, meta: &Meta<'_>) {
    let Some(aggregate) = aggregate_type(subject.kind) else { return };
    let is_own = (meta.kind, meta.aggregate_id) == (subject.kind, subject.id);
    match state {
        Some(state) if is_own || (aggregate.observes)(event) => state.fold(event, meta),
        None if is_own => *state = (aggregate.create)(event, meta),
        _ => {}
    }
}
