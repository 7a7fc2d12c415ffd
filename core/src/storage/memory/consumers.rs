//! Consumers in memory.

use super::super::{
    ConsumerProgress, ConsumerRecord, ConsumerRepository, ConsumerStatus, ConsumerWrite, DeadLetter, DeadLetterQuery,
    Scope,
};
use super::{Contents, MemoryStorage};
use crate::kernel::{ErrorCode, ProjectId, Result, Subject, Timestamp};
use async_trait::async_trait;
use uuid::Uuid;

impl Contents {
    pub(super) fn holds_lease(&self, progress: &ConsumerProgress) -> bool {
        let place = (progress.project_id, progress.name.clone());
        let consumer = self.consumers.get(&place);
        consumer.is_some_and(|consumer| consumer.lease_token == progress.lease_token && consumer.lease_owner.is_some())
    }

    /// Only after [`holds_lease`](Self::holds_lease).
    pub(super) fn progress(&mut self, progress: &ConsumerProgress) {
        let place = (progress.project_id, progress.name.clone());
        if let (Some(id), Some(letters)) = (progress.resolved, self.dead_letters.get_mut(&place)) {
            letters.retain(|letter| letter.event_id != id);
        }
        for put in &progress.letters {
            let letters = self.dead_letters.entry(place.clone()).or_default();
            letters.retain(|letter| letter.event_id != put.event_id);
            letters.push(put.clone());
            letters.sort_by_key(|letter| letter.seq);
        }
        if let Some(consumer) = self.consumers.get_mut(&place) {
            consumer.checkpoint = progress.checkpoint;
            consumer.attempts = progress.attempts;
            consumer.next_attempt_at = progress.next_attempt_at;
            consumer.last_error.clone_from(&progress.last_error);
            consumer.out_seq = progress.out_seq;
            if progress.release {
                consumer.lease_owner = None;
                consumer.lease_until = None;
                consumer.out_seq = None;
            } else if progress.lease_until.is_some() {
                consumer.lease_until = progress.lease_until;
            }
        }
    }

    pub(super) fn write_consumer(&mut self, write: ConsumerWrite) {
        match write {
            ConsumerWrite::Create(consumer) => {
                let place = (consumer.project_id.0, consumer.name.clone());
                self.consumers.entry(place).or_insert(consumer);
            }
            ConsumerWrite::SetStatus { project_id, name, status } => {
                let Some(consumer) = self.consumers.get_mut(&(project_id, name)) else { return };
                consumer.status = status;
                void_lease(consumer);
            }
            ConsumerWrite::Reset { project_id, name, checkpoint } => {
                let place = (project_id, name);
                let Some(consumer) = self.consumers.get_mut(&place) else { return };
                consumer.checkpoint = checkpoint;
                consumer.generation += 1;
                consumer.attempts = 0;
                consumer.next_attempt_at = None;
                consumer.last_error = None;
                void_lease(consumer);
                if let Some(letters) = self.dead_letters.get_mut(&place) {
                    letters.retain(|letter| letter.seq <= checkpoint);
                }
            }
            ConsumerWrite::RetryDeadLetters { project_id, name, event_ids } => {
                let place = (project_id, name);
                let letters = self.dead_letters.get_mut(&place).into_iter().flatten();
                letters.filter(|letter| event_ids.contains(&letter.event_id)).for_each(|letter| letter.retrying = true);
                if let Some(consumer) = self.consumers.get_mut(&place) {
                    consumer.next_attempt_at = None;
                }
            }
            ConsumerWrite::DiscardDeadLetters { project_id, name, event_ids } => {
                if let Some(letters) = self.dead_letters.get_mut(&(project_id, name)) {
                    letters.retain(|letter| !event_ids.contains(&letter.event_id));
                }
            }
            ConsumerWrite::Delete { project_id, name } => {
                let place = (project_id, name);
                self.dead_letters.remove(&place);
                self.consumers.remove(&place);
            }
        }
    }

    /// A consumer with what is counted for it.
    fn shown(&self, consumer: &ConsumerRecord) -> ConsumerRecord {
        let letters = self.dead_letters.get(&(consumer.project_id.0, consumer.name.clone()));
        let letters = || letters.into_iter().flatten();
        let retrying = letters().filter(|letter| letter.retrying).count() as u64;
        let waits_until = letters().filter_map(|letter| letter.waits_until).min();
        ConsumerRecord { retrying, letters: letters().count() as u64, waits_until, ..consumer.clone() }
    }
}

fn void_lease(consumer: &mut ConsumerRecord) {
    consumer.lease_token += 1;
    consumer.lease_owner = None;
    consumer.lease_until = None;
    consumer.out_seq = None;
}

#[async_trait]
impl ConsumerRepository for MemoryStorage {
    async fn open_consumer(&self, consumer: &ConsumerRecord) -> Result<ConsumerRecord> {
        let mut contents = self.contents()?;
        let place = (consumer.project_id.0, consumer.name.clone());
        let known = contents.consumers.entry(place).or_insert_with(|| ConsumerRecord {
            lease_token: 0,
            lease_owner: None,
            lease_until: None,
            out_seq: None,
            lapsed: false,
            ..consumer.clone()
        });
        known.events.clone_from(&consumer.events);
        known.max_attempts = consumer.max_attempts;
        let known = known.clone();
        Ok(contents.shown(&known))
    }

    async fn consumers(&self, scope: Scope) -> Result<Vec<ConsumerRecord>> {
        let contents = self.contents()?;
        let seen = contents.consumers.iter().filter(|((project, _), _)| scope.sees(*project));
        Ok(seen.map(|(_, consumer)| contents.shown(consumer)).collect())
    }

    async fn claim_consumer(
        &self,
        project: ProjectId,
        name: &str,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ConsumerRecord>> {
        let mut contents = self.contents()?;
        let Some(consumer) = contents.consumers.get_mut(&(project, name.to_owned())) else { return Ok(None) };
        let is_free = consumer.lease_until.is_none_or(|until| until <= now);
        let is_held_back = consumer.next_attempt_at.is_some_and(|at| at > now);
        if !is_free || is_held_back || consumer.status != ConsumerStatus::Active {
            return Ok(None);
        }
        consumer.lease_token += 1;
        consumer.lease_owner = Some(owner);
        consumer.lease_until = Some(until);
        consumer.lapsed = consumer.out_seq.is_some();
        consumer.out_seq = consumer.out_seq.or(Some(0));
        let claimed = consumer.clone();
        Ok(Some(contents.shown(&claimed)))
    }

    async fn update_consumer(&self, progress: &ConsumerProgress) -> Result<()> {
        let mut contents = self.contents()?;
        if !contents.holds_lease(progress) {
            return Err(ErrorCode::LeaseLost.into());
        }
        contents.progress(progress);
        Ok(())
    }

    async fn dead_letters(&self, project: ProjectId, name: &str, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>> {
        let contents = self.contents()?;
        let letters = contents.dead_letters.get(&(project, name.to_owned())).into_iter().flatten();
        let wanted = letters.filter(|letter| {
            letter.seq > query.after
                && query.retrying.is_none_or(|retrying| letter.retrying == retrying)
                && (!query.given_up || letter.is_given_up())
                && query.stream.is_none_or(|stream| letter.stream == Some(stream))
        });
        Ok(wanted.take(query.limit).cloned().collect())
    }

    async fn due_letter(&self, project: ProjectId, name: &str, now: Timestamp) -> Result<Option<DeadLetter>> {
        let contents = self.contents()?;
        let mut letters = contents.dead_letters.get(&(project, name.to_owned())).into_iter().flatten();
        let is_due = |letter: &&DeadLetter| letter.retrying || letter.waits_until.is_some_and(|until| until <= now);
        Ok(letters.find(is_due).cloned())
    }

    async fn first_letters(&self, project: ProjectId, name: &str, streams: &[Subject]) -> Result<Vec<DeadLetter>> {
        let contents = self.contents()?;
        let letters = contents.dead_letters.get(&(project, name.to_owned()));
        let first = |stream: &Subject| letters.into_iter().flatten().find(|letter| letter.stream == Some(*stream));
        Ok(streams.iter().filter_map(first).cloned().collect())
    }
}
