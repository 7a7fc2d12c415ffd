//! The first law of the house, made checkable: a snapshot is the fold of the log, byte for byte.

use super::aggregate::Stored;
use super::crm::Crm;
use super::event::{Event, Meta};
use crate::catalogue::{AGGREGATES, aggregate_type};
use crate::kernel::{ActorRef, Error, EventId, ProjectId, Result, Subject};
use crate::storage::{EventQuery, EventRecord, Scope};
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
        let folded = self.fold_log(project).await?;
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
            if stored.as_deref() != Some(folded.as_str()) {
                differences.push(Difference { subject, folded: Some(folded), stored });
            }
        }
        let unexplained =
            stored.into_iter().map(|(subject, state)| Difference { subject, folded: None, stored: Some(state) });
        differences.extend(unexplained);
        Ok(differences)
    }

    async fn fold_log(&self, project: ProjectId) -> Result<BTreeMap<Subject, Box<dyn Stored>>> {
        let mut states: BTreeMap<Subject, Box<dyn Stored>> = BTreeMap::new();
        let mut after = 0;
        loop {
            let query = EventQuery { after, limit: BATCH, ..EventQuery::default() };
            let events = self.core.storage.events(Scope::Project(project), &query).await?;
            let Some(last) = events.last() else { return Ok(states) };
            after = last.seq;
            for record in &events {
                take_in(&mut states, record)?;
            }
        }
    }
}

fn take_in(states: &mut BTreeMap<Subject, Box<dyn Stored>>, record: &EventRecord) -> Result<()> {
    let (event, actor) = read(record)?;
    for subject in &record.subjects {
        let mut state = states.remove(subject);
        fold_into(&mut state, *subject, &event, &meta_of(record, &actor));
        states.extend(state.map(|state| (*subject, state)));
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
