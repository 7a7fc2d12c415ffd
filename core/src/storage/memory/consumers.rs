//! Consumers in memory.

use super::super::{ConsumerProgress, ConsumerRecord, ConsumerRepository, DeadLetter, Scope};
use super::{Contents, MemoryStorage};
use crate::kernel::{ErrorCode, ProjectId, Result, Timestamp};
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
        if let Some(dead) = &progress.dead_letter {
            let letters = self.dead_letters.entry(place.clone()).or_default();
            letters.retain(|letter| letter.event_id != dead.event_id);
            letters.push(dead.clone());
            letters.sort_by_key(|letter| letter.seq);
        }
        if let Some(consumer) = self.consumers.get_mut(&place) {
            consumer.checkpoint = progress.checkpoint;
            consumer.attempts = progress.attempts;
            consumer.next_attempt_at = progress.next_attempt_at;
            consumer.last_error.clone_from(&progress.last_error);
            if progress.release {
                consumer.lease_owner = None;
                consumer.lease_until = None;
            } else if progress.lease_until.is_some() {
                consumer.lease_until = progress.lease_until;
            }
        }
    }
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
            ..consumer.clone()
        });
        known.events.clone_from(&consumer.events);
        known.max_attempts = consumer.max_attempts;
        Ok(known.clone())
    }

    async fn consumers(&self, scope: Scope) -> Result<Vec<ConsumerRecord>> {
        let contents = self.contents()?;
        let seen = contents.consumers.iter().filter(|((project, _), _)| scope.sees(*project));
        Ok(seen.map(|(_, consumer)| consumer.clone()).collect())
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
        if !is_free || consumer.next_attempt_at.is_some_and(|at| at > now) {
            return Ok(None);
        }
        consumer.lease_token += 1;
        consumer.lease_owner = Some(owner);
        consumer.lease_until = Some(until);
        Ok(Some(consumer.clone()))
    }

    async fn update_consumer(&self, progress: &ConsumerProgress) -> Result<()> {
        let mut contents = self.contents()?;
        if !contents.holds_lease(progress) {
            return Err(ErrorCode::LeaseLost.into());
        }
        contents.progress(progress);
        Ok(())
    }

    async fn delete_consumer(&self, project: ProjectId, name: &str) -> Result<bool> {
        let mut contents = self.contents()?;
        let place = (project, name.to_owned());
        contents.dead_letters.remove(&place);
        Ok(contents.consumers.remove(&place).is_some())
    }

    async fn dead_letters(&self, project: ProjectId, name: &str, limit: usize) -> Result<Vec<DeadLetter>> {
        let contents = self.contents()?;
        let letters = contents.dead_letters.get(&(project, name.to_owned()));
        Ok(letters.into_iter().flatten().take(limit).cloned().collect())
    }

    async fn remove_dead_letters(&self, project: ProjectId, name: &str, event_ids: &[Uuid]) -> Result<u64> {
        let mut contents = self.contents()?;
        let Some(letters) = contents.dead_letters.get_mut(&(project, name.to_owned())) else { return Ok(0) };
        let before = letters.len();
        letters.retain(|letter| !event_ids.contains(&letter.event_id));
        Ok((before - letters.len()) as u64)
    }
}
