//! What sagas wait for wakes them: events as they come, jobs as they end.

use super::Saga;
use super::start::wake;
use super::step::saga_of_job;
use crate::engine::{BatchReaction, Reader, UnitOfWork};
use crate::kernel::{Component, Kind, Result};
use crate::storage::{EventRecord, FieldKind, Filter, Find, JobRecord, type_matches};

/// More sagas than wait for events in a project.
const LIMIT: usize = 10_000;

/// Sagas hear of every event, as long as one waits for some.
pub const BATCHES: &[BatchReaction] = &[BatchReaction {
    name: "ventros.sagas",
    component: Component::Default,
    is_wanted: |read| Box::pin(is_wanted(read)),
    run: |work, events| Box::pin(follow(work, events)),
}];

fn waiting(limit: usize) -> Find {
    Find {
        filter: Filter::eq("awaits_event", FieldKind::Bool, true),
        sort: Vec::new(),
        after: None,
        backward: false,
        limit,
        include_hidden: false,
        with_total: false,
    }
}

async fn is_wanted(read: &Reader<'_>) -> Result<bool> {
    Ok(!read.storage().find(read.scope_of(Kind::Saga), Kind::Saga, &waiting(1)).await?.rows.is_empty())
}

async fn follow(work: &mut UnitOfWork<'_>, events: &[EventRecord]) -> Result<()> {
    let sagas: Vec<Saga> = work.reader().find_states(&waiting(LIMIT)).await?;
    for saga in sagas {
        let filter = saga.waiting_for.as_ref().and_then(|waits| waits.event_filter.as_ref());
        let Some(filter) = filter else { continue };
        let is_for_it = |event: &EventRecord| {
            // Events between the beginning of the wait and its commit were passed over.
            let has_begun = event.event_type == "saga.waiting" && event.aggregate_id == saga.id.uuid();
            has_begun || filter.types.iter().any(|pattern| type_matches(pattern, &event.event_type))
        };
        if events.iter().any(is_for_it) {
            wake(work, saga.id);
        }
    }
    Ok(())
}

/// A job has ended: the saga whose step it was is woken.
pub(crate) fn job_ended(work: &mut UnitOfWork<'_>, job: &JobRecord) {
    if let Some(saga) = saga_of_job(job) {
        wake(work, saga);
    }
}
