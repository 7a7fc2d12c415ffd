//! Folding one aggregate again from the events that name it.

use crate::catalogue::aggregate_type;
use crate::engine::{Stored, baseline_of, derived, fold_into, meta_of, read, revive};
use crate::kernel::{Result, Subject, Timestamp};
use crate::storage::{Baseline, EventQuery, EventRecord, Scope, Storage};
use std::ops::ControlFlow;

/// Events read at a time.
const BATCH: usize = 500;

/// An aggregate on its way through the log.
#[derive(Default)]
pub(in crate::infrastructure) struct Replay {
    pub state: Option<Box<dyn Stored>>,
    /// The last event that changed it.
    pub last: Option<Place>,
    /// Up to where the log was taken for granted, if it does not begin at its beginning.
    pub baseline: Option<Place>,
    /// Its own events so far.
    pub own_events: u64,
    /// The first number of an own event that is not the next one.
    pub gap: Option<u64>,
    /// Some event has lost personal data.
    pub is_redacted: bool,
}

/// An event of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::infrastructure) struct Place {
    pub seq: u64,
    pub recorded_at: Timestamp,
}

impl Place {
    fn of(record: &EventRecord) -> Self {
        Place { seq: record.seq, recorded_at: record.recorded_at }
    }
}

impl Replay {
    /// Folds the events that name `subject`, in order, for as long as `wanted` lets them. It begins with the baseline, where there is
    /// one; else after the event of another aggregate that began its life, if one did, which may be known.
    pub async fn of(
        storage: &dyn Storage,
        scope: Scope,
        subject: Subject,
        known_origin: Option<EventRecord>,
        mut wanted: impl FnMut(&Replay, &EventRecord) -> ControlFlow<()>,
    ) -> Result<Replay> {
        let mut replay = Replay::default();
        let mut query = EventQuery { subject: Some(subject), limit: BATCH, ..EventQuery::default() };
        if let Some(baseline) = baseline_of(storage, scope, subject).await? {
            query.after = baseline.seq;
            replay.go_on_from(&baseline)?;
        } else {
            let origin = match known_origin {
                Some(known) => Some(known),
                None => origin(storage, scope, subject).await?,
            };
            if let Some(record) = origin {
                if wanted(&replay, &record).is_break() {
                    return Ok(replay);
                }
                replay.begin(subject, &record)?;
            }
        }
        loop {
            let events = storage.events(scope, &query).await?;
            for record in &events {
                query.after = record.seq;
                if wanted(&replay, record).is_break() {
                    return Ok(replay);
                }
                replay.take(subject, record)?;
            }
            if events.len() < BATCH {
                return Ok(replay);
            }
        }
    }

    fn go_on_from(&mut self, baseline: &Baseline) -> Result<()> {
        let place = Place { seq: baseline.seq, recorded_at: baseline.recorded_at };
        self.state = revive(baseline)?;
        self.own_events = self.state.as_ref().map_or(0, |state| state.base().version);
        self.is_redacted = baseline.is_redacted;
        (self.last, self.baseline) = (Some(place), Some(place));
        Ok(())
    }

    fn begin(&mut self, subject: Subject, record: &EventRecord) -> Result<()> {
        let (event, _) = read(record)?;
        self.state = derived(record, &event).into_iter().find(|(life, _)| *life == subject).map(|(_, state)| state);
        self.is_redacted |= record.data.get().contains("\"$redacted\"");
        self.last = Some(Place::of(record));
        Ok(())
    }

    pub fn take(&mut self, subject: Subject, record: &EventRecord) -> Result<()> {
        let (event, actor) = read(record)?;
        let revision = |state: &Option<Box<dyn Stored>>| state.as_ref().map(|state| state.base().revision);
        let before = revision(&self.state);
        fold_into(&mut self.state, subject, &event, &meta_of(record, &actor));
        if is_own(subject, record) {
            self.own_events += 1;
            if self.gap.is_none() && record.aggregate_version != self.own_events {
                self.gap = Some(record.aggregate_version);
            }
        }
        if revision(&self.state) != before {
            self.is_redacted |= record.data.get().contains("\"$redacted\"");
            self.last = Some(Place::of(record));
        }
        Ok(())
    }
}

/// The event of another aggregate that began a stored life, if one did.
async fn origin(storage: &dyn Storage, scope: Scope, subject: Subject) -> Result<Option<EventRecord>> {
    let Some(kind) = aggregate_type(subject.kind).filter(|kind| kind.derived_by.is_some()) else { return Ok(None) };
    let stored = storage.get(scope, subject.kind, &[subject.id]).await?;
    let Some(id) = stored.first().map(|stored| (kind.derived_from)(stored)).transpose()?.flatten() else {
        return Ok(None);
    };
    let query = EventQuery { ids: vec![id], limit: 1, ..EventQuery::default() };
    Ok(storage.events(scope, &query).await?.into_iter().next())
}

pub(in crate::infrastructure) fn is_own(subject: Subject, record: &EventRecord) -> bool {
    (record.aggregate_kind, record.aggregate_id) == (subject.kind, subject.id)
}
