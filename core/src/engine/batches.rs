//! Reactions that take a whole batch of events in one commit: for those that look at every event and have no use for most of them.

use super::context::Context;
use super::crm::Crm;
use super::feeds::{LEASE_SECONDS, backoff_micros, failed_again, give_up, hand_back, park, progress};
use super::reader::Reader;
use super::streams::next_due;
use super::work::UnitOfWork;
use super::worker::{RunReport, again, lease_may_be_lost, told};
use crate::kernel::{ActorRef, Component, ErrorCode, ProjectId, Result, Source};
use crate::storage::{ConsumerProgress, ConsumerRecord, EventQuery, EventRecord, Scope};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use uuid::Uuid;

/// Events of one commit.
const BATCH: usize = 500;

/// Library code that follows every event of a project. The effects of a batch and the checkpoint commit together.
///
/// It records no events: what a batch causes has no single cause.
pub struct BatchReaction {
    /// Starts with `ventros.`; its checkpoint hangs on it.
    pub name: &'static str,
    pub component: Component,
    /// Whether anybody in the project wants events. As long as nobody does they are passed over unread.
    pub is_wanted: for<'a> fn(&'a Reader<'_>) -> BoxFuture<'a, Result<bool>>,
    pub run: for<'a> fn(&'a mut UnitOfWork<'_>, &'a [EventRecord]) -> BoxFuture<'a, Result<()>>,
}

impl Crm {
    pub(super) async fn run_batches(&self, report: &mut RunReport) -> Result<()> {
        for (project, head) in self.core.storage.heads().await? {
            let known = self.core.storage.consumers(Scope::Project(project)).await?;
            for reaction in crate::catalogue::BATCH_REACTIONS.iter().flat_map(|table| table.iter()) {
                match known.iter().find(|consumer| consumer.name == reaction.name) {
                    Some(consumer) if consumer.checkpoint >= head && consumer.retrying == 0 => continue,
                    Some(_) => {}
                    None => self.open_built_in(project, reaction.name, &[]).await?,
                }
                self.run_batch_reaction(project, reaction, head, report).await?;
            }
        }
        Ok(())
    }

    async fn run_batch_reaction(
        &self,
        project: ProjectId,
        reaction: &BatchReaction,
        head: u64,
        report: &mut RunReport,
    ) -> Result<()> {
        let now = self.core.now();
        let until = now.plus_seconds(LEASE_SECONDS);
        let storage = &self.core.storage;
        let Some(mut lease) = storage.claim_consumer(project, reaction.name, self.core.owner, now, until).await? else {
            return Ok(());
        };
        while let Some((letter, event)) = next_due(&self.core, &mut lease).await? {
            match self
                .react_to_batch(project, reaction, &lease, std::slice::from_ref(&event), Some(letter.event_id))
                .await
            {
                Ok(()) => report.reactions += 1,
                Err(error) if error.code() == ErrorCode::LeaseLost => return Ok(()),
                Err(error) => {
                    report.failures += 1;
                    let letter = failed_again(letter, told(&error), self.core.now());
                    return lease_may_be_lost(park(self, &lease, letter, &event).await);
                }
            }
        }
        // Whoever comes to want events from now on has an event of its own behind this head.
        let reader = Reader::new(&self.core, self.batch_context(project, reaction), now);
        if !(reaction.is_wanted)(&reader).await? {
            lease.checkpoint = lease.checkpoint.max(head);
            return hand_back(&self.core, &lease).await;
        }
        // After a failure events are taken one by one, so that the one that fails is known.
        let mut size = if lease.attempts > 0 { 1 } else { BATCH };
        loop {
            let query = EventQuery { after: lease.checkpoint, until: Some(head), limit: size, ..EventQuery::default() };
            let events = storage.events(Scope::Project(project), &query).await?;
            let Some(last) = events.last() else {
                lease.checkpoint = lease.checkpoint.max(head);
                return hand_back(&self.core, &lease).await;
            };
            match self.react_to_batch(project, reaction, &lease, &events, None).await {
                Ok(()) => {
                    lease.checkpoint = last.seq;
                    lease.attempts = 0;
                    report.reactions += events.len() as u64;
                }
                Err(error) if error.code() == ErrorCode::LeaseLost => return Ok(()),
                Err(_) if events.len() > 1 => size = 1,
                Err(error) => {
                    report.failures += 1;
                    let now = self.core.now();
                    lease.attempts += 1;
                    lease.last_error = Some(told(&error));
                    if lease.attempts >= lease.max_attempts {
                        return lease_may_be_lost(give_up(self, lease, last, told(&error)).await);
                    }
                    lease.next_attempt_at = Some(now.plus_micros(backoff_micros(&self.core, lease.attempts, 1, 300)));
                    return hand_back(&self.core, &lease).await;
                }
            }
        }
    }

    fn batch_context(&self, project: ProjectId, reaction: &BatchReaction) -> Arc<Context> {
        let mut context = Context::new(Some(project).filter(|p| !p.is_system()), ActorRef::system(reaction.component));
        context.source = Source::Workflow;
        context.command = reaction.name.to_owned();
        Arc::new(context)
    }

    async fn react_to_batch(
        &self,
        project: ProjectId,
        reaction: &BatchReaction,
        lease: &ConsumerRecord,
        events: &[EventRecord],
        resolved: Option<Uuid>,
    ) -> Result<()> {
        let context = self.batch_context(project, reaction);
        let mut lease = lease.clone();
        if let (None, Some(last)) = (resolved, events.last()) {
            lease.checkpoint = last.seq;
            lease.attempts = 0;
            lease.last_error = None;
            lease.next_attempt_at = None;
        }
        let mut attempt = 0;
        loop {
            let now = self.core.now();
            let mut work = UnitOfWork::new(&self.core, context.clone(), now);
            (reaction.run)(&mut work, events).await?;
            let progress = ConsumerProgress { resolved, ..progress(now, &lease, false, Vec::new()) };
            let batch = work.finish(None, Some(progress)).await?;
            match self.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    attempt += 1;
                    again(error, attempt)?;
                }
            }
        }
    }
}
