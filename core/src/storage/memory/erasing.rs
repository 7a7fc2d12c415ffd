//! Forgetting in memory.

use super::super::{ERASED_OUTCOME, Erasure, EventRecord, EventRemoval, Scope};
use super::Contents;
use crate::kernel::Subject;
use std::collections::BTreeSet;

impl Contents {
    pub(super) fn erase(&mut self, erasure: Erasure) {
        match erasure {
            Erasure::Event(rewrite) => {
                let named =
                    |event: &&mut EventRecord| event.project_id.0 == rewrite.project_id && event.seq == rewrite.seq;
                if let Some(event) = self.events.iter_mut().find(named) {
                    event.schema_version = rewrite.schema_version;
                    event.data = rewrite.data;
                    event.metadata = None;
                    event.redacted_at = Some(rewrite.redacted_at);
                }
            }
            Erasure::Baseline(baseline) => {
                self.baselines.insert((baseline.snapshot.project_id, baseline.subject()), baseline);
            }
            Erasure::Events(removal) => {
                let EventRemoval { project_id, seqs, first_seq } = removal;
                let wanted: BTreeSet<u64> = seqs.into_iter().collect();
                self.remove_events(usize::MAX, |event| event.project_id.0 == project_id && wanted.contains(&event.seq));
                if let Some(first) = first_seq {
                    let known = self.first_seqs.entry(project_id).or_insert(1);
                    *known = first.max(*known);
                }
            }
            Erasure::Jobs { project_id, ids } => {
                let goes = |job: &super::super::JobRecord| {
                    job.project_id.0 == project_id && job.finished_at.is_some() && ids.contains(&job.id)
                };
                self.jobs.retain(|_, job| !goes(job));
            }
            Erasure::Outcomes { scope, texts } => {
                for record in self.idempotency.values_mut() {
                    let is_meant = match scope {
                        Scope::Project(project) => record.scope == project.uuid(),
                        Scope::Installation => true,
                    };
                    if is_meant && texts.iter().any(|text| record.result.contains(text.as_str())) {
                        record.result = ERASED_OUTCOME.to_owned();
                    }
                }
            }
        }
    }

    /// Removes up to so many events with the ways to find them, and tells how many. Their numbers are not given again.
    pub(super) fn remove_events(&mut self, limit: usize, goes: impl Fn(&EventRecord) -> bool) -> usize {
        let mut left = limit;
        self.events.retain(|event| {
            let goes = left > 0 && goes(event);
            left -= usize::from(goes);
            if goes {
                self.event_ids.remove(&event.id);
                let stream = Subject::new(event.aggregate_kind, event.aggregate_id);
                self.streams.remove(&(event.project_id.0, stream, event.aggregate_version));
                self.last_position = self.last_position.max(event.position);
            }
            !goes
        });
        limit - left
    }
}
