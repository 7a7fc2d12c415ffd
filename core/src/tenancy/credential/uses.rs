//! The record of openings. What a person or the host opens is recorded each time. What Ventros itself opens is recorded once in
//! a quarter of an hour for each credential and purpose, with the number of openings since; the number is kept in memory, so a
//! process that ends loses at most one quarter of an hour of it.

use super::{Credential, CredentialEvent};
use crate::engine::{Context, Crm, Decision, Root, UnitOfWork};
use crate::kernel::{Actor, ActorRef, Component, CredentialId, ProjectId, Result, Source, Timestamp};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long openings of one purpose are counted before they are recorded, in seconds.
const WINDOW_SECONDS: i64 = 15 * 60;

type UseKey = (ProjectId, CredentialId, String);

/// Openings that are counted and not recorded yet.
#[derive(Default)]
pub(crate) struct Uses(Mutex<BTreeMap<UseKey, Pending>>);

#[derive(Clone)]
struct Pending {
    component: Component,
    count: u64,
    last_at: Timestamp,
    /// The last record of the purpose that is known.
    recorded_at: Option<Timestamp>,
    /// So many of them were recorded then, if that was committed.
    sent: Option<(Timestamp, u64)>,
}

impl Pending {
    /// Takes note of the last record that is in the log.
    fn settle(&mut self, recorded_at: Option<Timestamp>) {
        if let Some((_, count)) = self.sent.take_if(|(at, _)| recorded_at >= Some(*at)) {
            self.count -= count.min(self.count);
        }
        self.recorded_at = recorded_at;
    }

    fn due_at(&self) -> Option<Timestamp> {
        let due = self.recorded_at.map_or(self.last_at, |at| at.plus_seconds(WINDOW_SECONDS));
        (self.count > 0).then_some(due)
    }
}

impl Uses {
    fn pending(&self) -> MutexGuard<'_, BTreeMap<UseKey, Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one opening, or tells how many are to be recorded now.
    fn count(&self, key: UseKey, component: Component, recorded_at: Option<Timestamp>, now: Timestamp) -> Option<u64> {
        let new = || Pending { component, count: 0, last_at: now, recorded_at, sent: None };
        let mut pending = self.pending();
        let known = pending.entry(key).or_insert_with(new);
        known.settle(recorded_at);
        known.last_at = now;
        if recorded_at.is_some_and(|at| now < at.plus_seconds(WINDOW_SECONDS)) {
            known.count += 1;
            return None;
        }
        known.sent = Some((now, known.count));
        Some(known.count + 1)
    }
}

/// Records an opening, or counts it.
pub(super) fn note(work: &UnitOfWork<'_>, credential: &mut Root<Credential>, purpose: String) {
    let used_at = work.now();
    let counted = match work.actor().actor {
        Actor::System(component) if component != Component::Host => {
            let recorded_at = credential.recorded_uses.get(&purpose).copied();
            let key = (credential.project_id, credential.id, purpose.clone());
            work.reader().core().uses.count(key, component, recorded_at, used_at)
        }
        _ => Some(1),
    };
    if let Some(uses) = counted {
        credential.record(CredentialEvent::Used { purpose, used_at, uses });
    }
}

/// When openings that were counted are to be recorded next.
pub(crate) fn next_flush(uses: &Uses) -> Option<Timestamp> {
    uses.pending().values().filter_map(Pending::due_at).min()
}

/// Records what was counted for long enough, and tells how many purposes that were.
pub(crate) async fn flush_uses(crm: &Crm) -> Result<u64> {
    let now = crm.core().now();
    let due: Vec<(UseKey, Component)> = {
        let pending = crm.core().uses.pending();
        let is_due = pending.iter().filter(|(_, known)| known.due_at().is_some_and(|due| due <= now));
        is_due.map(|(key, known)| (key.clone(), known.component)).collect()
    };
    let recorded = due.len() as u64;
    for (key, component) in due {
        let mut context = Context::new(Some(key.0), ActorRef::system(component));
        context.source = Source::Workflow;
        context.command = "credentials.open".to_owned();
        crm.transaction(context, None, &Flush(key.clone())).await?;
        let mut pending = crm.core().uses.pending();
        if let Some(known) = pending.get_mut(&key) {
            known.settle(known.sent.map(|(at, _)| at).max(known.recorded_at));
        }
        pending.retain(|_, known| known.count > 0 || known.sent.is_some());
    }
    Ok(recorded)
}

struct Flush(UseKey);

impl Decision<()> for Flush {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (_, id, purpose) = &self.0;
            let found = work.find::<Credential>(*id).await?;
            let Some(mut credential) = found.filter(|credential| credential.deleted_at.is_none()) else {
                work.reader().core().uses.pending().remove(&self.0);
                return Ok(());
            };
            let now = work.now();
            let recorded_at = credential.recorded_uses.get(purpose).copied();
            let uses = {
                let mut pending = work.reader().core().uses.pending();
                let Some(known) = pending.get_mut(&self.0) else { return Ok(()) };
                known.settle(recorded_at);
                // Another process may have recorded the purpose meanwhile.
                if known.due_at().is_none_or(|due| due > now) {
                    return Ok(());
                }
                known.sent = Some((now, known.count));
                (known.last_at, known.count)
            };
            let (used_at, uses) = uses;
            credential.record(CredentialEvent::Used { purpose: purpose.clone(), used_at, uses });
            work.keep(credential).map(drop)
        })
    }
}
