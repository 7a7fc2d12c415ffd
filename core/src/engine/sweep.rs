//! What a process looks for once a day, the first time after the first work that was due: things that are overdue although no timer says
//! so.

use super::context::Context;
use super::crm::{Crm, MAX_RETRIES};
use super::work::UnitOfWork;
use crate::kernel::{ActorRef, Component, Error, ErrorCode, Result, Source};
use crate::storage::CommitError;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often a process sweeps, in seconds.
const EVERY: i64 = 24 * 3_600;

/// Library code that puts right, in one project, what timers may have missed, or removes what nobody needs any more.
pub struct Sweep {
    pub name: &'static str,
    pub component: Component,
    /// One commit's worth of it; true when there is more to do.
    pub run: for<'a> fn(&'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<bool>>,
}

impl Crm {
    /// Runs all sweeps, once a day of this process; false in between.
    pub(super) async fn sweep_where_due(&self) -> Result<bool> {
        let now = self.core.now().micros();
        if now - self.core.swept_at.load(Ordering::Relaxed) < EVERY * 1_000_000 {
            return Ok(false);
        }
        self.core.swept_at.store(now, Ordering::Relaxed);
        // One project that cannot be looked at keeps no other one waiting.
        let mut outcome = Ok(());
        for (project, _) in self.core.storage.heads().await? {
            for sweep in crate::catalogue::SWEEPS.iter().flat_map(|table| table.iter()) {
                let mut context =
                    Context::new(Some(project).filter(|p| !p.is_system()), ActorRef::system(sweep.component));
                context.source = Source::Workflow;
                context.command = sweep.name.to_owned();
                outcome = outcome.and(self.sweep_all(sweep, &Arc::new(context)).await);
            }
        }
        outcome.map(|()| true)
    }

    async fn sweep_all(&self, sweep: &Sweep, context: &Arc<Context>) -> Result<()> {
        while self.sweep_some(sweep, context.clone()).await? {}
        Ok(())
    }

    async fn sweep_some(&self, sweep: &Sweep, context: Arc<Context>) -> Result<bool> {
        for _ in 0..=MAX_RETRIES {
            let mut work = UnitOfWork::new(&self.core, context.clone(), self.core.now());
            let more = (sweep.run)(&mut work).await?;
            match self.commit(work.finish(None, None).await?).await {
                Ok(_) => return Ok(more),
                // Another process was at it too: whatever is left is looked for again.
                Err(CommitError::Stale(_) | CommitError::Taken { .. }) => {}
                Err(CommitError::Store(error)) => return Err(error),
                Err(other) => return Err(Error::internal(format!("a sweep could not be committed: {other:?}"))),
            }
        }
        Err(ErrorCode::VersionConflict.into())
    }
}
