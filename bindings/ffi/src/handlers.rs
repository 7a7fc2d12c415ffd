//! The running handlers of jobs. A job is claimed when there is room for it, delivered, and held until the host reports it.

use crate::outbox::{Delivery, Outbox};
use crate::subscriptions::failed;
use crate::wire::{Wanted, output};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ventros::engine::Crm;
use ventros::infrastructure::job::{HandleOptions, Handler};
use ventros::kernel::{Error, ErrorKind, JobId, Result};
use ventros::operations::ReportedOutcome;

/// What the host did with a job; nothing, when it never began.
struct Answer {
    token: u64,
    job: JobId,
    outcome: Option<ReportedOutcome>,
}

/// All handlers of one engine, by the caller's tokens. One that was cancelled stays until its last job is reported.
#[derive(Default)]
pub(crate) struct Handlers {
    handlers: Mutex<BTreeMap<u64, Arc<Handler>>>,
    answers: Mutex<Vec<Answer>>,
}

impl Handlers {
    /// Starts a handler.
    pub fn add(&self, crm: &Crm, token: u64, wanted: Wanted) -> Result<()> {
        let Wanted::Jobs { project_id, job_kind, concurrency, timeout_seconds } = wanted else {
            return Err(Error::internal("events are no jobs"));
        };
        let defaults = HandleOptions::default();
        let options = HandleOptions {
            concurrency: concurrency.unwrap_or(defaults.concurrency),
            timeout_seconds: timeout_seconds.unwrap_or(defaults.timeout_seconds),
        };
        let handler = crm.handle(project_id, &job_kind, options)?;
        lock(&self.handlers).insert(token, Arc::new(handler));
        Ok(())
    }

    /// Takes no more jobs for it, and hands back those that the host has not taken yet.
    pub async fn end(&self, token: u64, outbox: &Outbox) {
        let Some(handler) = lock(&self.handlers).get(&token).cloned() else { return };
        handler.end();
        for job in outbox.withdraw_jobs(token) {
            // A lease that the store does not end now ends by itself.
            handler.put_back(job).await.ok();
        }
    }

    /// Notes what the host did with a job; the next [`pump`](Self::pump) tells the store.
    pub fn answer(&self, token: u64, job: JobId, outcome: Option<ReportedOutcome>) {
        lock(&self.answers).push(Answer { token, job, outcome });
    }

    /// Tells the store what was answered, keeps what is under way and takes what there is room for. Says how many jobs were put into
    /// the outbox.
    pub async fn pump(&self, outbox: &Outbox) -> usize {
        self.report(outbox).await;
        let mut jobs = 0;
        for (token, handler) in self.all() {
            match handler.keep().await {
                Ok(lost) => {
                    lost.into_iter().for_each(|job| outbox.push(Delivery::Lost { token, job: job.to_string() }))
                }
                Err(error) => complain(outbox, token, error),
            }
            jobs += take_more(token, &handler, outbox).await;
        }
        lock(&self.handlers).retain(|_, handler| !handler.is_done());
        jobs
    }

    /// Tells the store what was answered, and takes what there is room for beside jobs that are under way. Says how many jobs were put
    /// into the outbox.
    pub async fn fill_up(&self, outbox: &Outbox) -> usize {
        self.report(outbox).await;
        let mut jobs = 0;
        for (token, handler) in self.all().into_iter().filter(|(_, handler)| handler.is_busy()) {
            jobs += take_more(token, &handler, outbox).await;
        }
        jobs
    }

    /// How long there is nothing to do unless somebody rings, at most `nap`; for ever without handlers.
    pub async fn rest(&self, crm: &Crm, nap: Duration) -> Option<Duration> {
        let mut rest = None;
        for (_, handler) in self.all() {
            let now = crm.core().now();
            let wait = match handler.due().await {
                // What is due and was not there to take is others' work, or held back: it is looked for again after a nap.
                Ok(Some(due)) if due > now => micros(due.micros() - now.micros() + 1_000).min(nap),
                _ => nap,
            };
            rest = Some(rest.map_or(wait, |rest: Duration| rest.min(wait)));
        }
        rest
    }

    /// Ends all of them: tells what was answered, and hands back the rest.
    pub async fn clear(&self, outbox: &Outbox) {
        self.report(outbox).await;
        let handlers = std::mem::take(&mut *lock(&self.handlers));
        for handler in handlers.into_values() {
            // A lease that the store does not end now ends by itself.
            handler.release().await.ok();
        }
    }

    /// Reports side by side: the store writes them together.
    async fn report(&self, outbox: &Outbox) {
        let answers = std::mem::take(&mut *lock(&self.answers));
        let told = answers.into_iter().filter_map(|answer| {
            let handler = lock(&self.handlers).get(&answer.token).cloned()?;
            Some(async move { settle(&handler, answer, outbox).await })
        });
        let again = join_all(told.collect::<Vec<_>>()).await;
        lock(&self.answers).extend(again.into_iter().flatten());
    }

    fn all(&self) -> Vec<(u64, Arc<Handler>)> {
        lock(&self.handlers).iter().map(|(token, handler)| (*token, handler.clone())).collect()
    }
}

/// Takes what there is room for; says how many jobs.
async fn take_more(token: u64, handler: &Handler, outbox: &Outbox) -> usize {
    hand_out(token, handler, outbox).await.unwrap_or_else(|error| {
        complain(outbox, token, error);
        0
    })
}

async fn hand_out(token: u64, handler: &Handler, outbox: &Outbox) -> Result<usize> {
    let jobs = handler.next().await?;
    for job in &jobs {
        outbox.push(Delivery::Job { token, id: job.job.job.id, job: output(job)? });
    }
    Ok(jobs.len())
}

/// Tells the store; gives the answer back when it is to be told again.
async fn settle(handler: &Handler, answer: Answer, outbox: &Outbox) -> Option<Answer> {
    let Answer { token, job, outcome } = answer;
    let Err(mut error) = tell(handler, job, outcome.clone()).await else { return None };
    if error.kind() == ErrorKind::Validation {
        // An outcome that cannot be kept is a failure of the job.
        let failure = ReportedOutcome::Retry { error: Some(error.to_string()), after_seconds: None };
        complain(outbox, token, error);
        let Err(another) = tell(handler, job, Some(failure)).await else { return None };
        error = another;
    }
    let again = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Conflict | ErrorKind::Timeout);
    complain(outbox, token, error);
    if again {
        return Some(Answer { token, job, outcome });
    }
    handler.forget(job);
    None
}

async fn tell(handler: &Handler, job: JobId, outcome: Option<ReportedOutcome>) -> Result<()> {
    match outcome {
        None => handler.put_back(job).await,
        Some(outcome) => handler.report(job, outcome).await.map(drop),
    }
}

/// Tells the host of an error, unless it has yet to take something of this handler.
fn complain(outbox: &Outbox, token: u64, error: Error) {
    if !outbox.has(token) {
        outbox.push(failed(token, error));
    }
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).cast_unsigned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
