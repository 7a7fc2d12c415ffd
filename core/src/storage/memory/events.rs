//! Reading the log from memory.

use super::super::{EventQuery, EventRecord, EventRepository, Scope, type_matches};
use super::MemoryStorage;
use crate::kernel::{ProjectId, Result, Subject};
use async_trait::async_trait;

#[async_trait]
impl EventRepository for MemoryStorage {
    async fn events(&self, scope: Scope, query: &EventQuery) -> Result<Vec<EventRecord>> {
        let contents = self.contents()?;
        let number = |event: &EventRecord| match scope {
            Scope::Project(_) => event.seq,
            Scope::Installation => event.position,
        };
        let wanted = |event: &&EventRecord| {
            let start = match query.backward {
                true => query.after == 0 || number(event) < query.after,
                false => number(event) > query.after,
            };
            start
                && scope.sees(event.project_id.0)
                && query.until.is_none_or(|until| number(event) <= until)
                && query.subject.is_none_or(|subject| event.subjects.contains(&subject))
                && query.stream.is_none_or(|stream| Subject::new(event.aggregate_kind, event.aggregate_id) == stream)
                && query.correlation_id.is_none_or(|id| event.correlation_id == id)
                && (query.types.is_empty() || query.types.iter().any(|one| type_matches(one, &event.event_type)))
                && (query.ids.is_empty() || query.ids.contains(&event.id))
        };
        let found = contents.events.iter().filter(wanted);
        Ok(match query.backward {
            true => found.rev().take(query.limit).cloned().collect(),
            false => found.take(query.limit).cloned().collect(),
        })
    }

    async fn head(&self, project: ProjectId) -> Result<u64> {
        Ok(self.contents()?.heads.get(&project).copied().unwrap_or(0))
    }

    async fn first_seq(&self, project: ProjectId) -> Result<u64> {
        Ok(self.contents()?.first_seqs.get(&project).copied().unwrap_or(1))
    }

    async fn heads(&self) -> Result<Vec<(ProjectId, u64)>> {
        let contents = self.contents()?;
        let written = contents.heads.iter().filter(|(_, head)| **head > 0);
        Ok(written.map(|(project, head)| (*project, *head)).collect())
    }
}
