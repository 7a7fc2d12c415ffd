//! Forgetting in memory.

use super::super::{ERASED_OUTCOME, Erasure, Scope};
use super::Contents;

impl Contents {
    pub(super) fn erase(&mut self, erasure: Erasure) {
        match erasure {
            Erasure::Event(rewrite) => {
                let named = |event: &&mut super::super::EventRecord| {
                    event.project_id.0 == rewrite.project_id && event.seq == rewrite.seq
                };
                if let Some(event) = self.events.iter_mut().find(named) {
                    event.schema_version = rewrite.schema_version;
                    event.data = rewrite.data;
                    event.metadata = None;
                    event.redacted_at = Some(rewrite.redacted_at);
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
}
