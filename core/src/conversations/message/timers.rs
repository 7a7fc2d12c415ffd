//! Timers of messages: the release of scheduled ones, the expiry of those that waited too long. A timer is a hint; the
//! message decides.

use super::withdrawal::{WITHDRAW, run_withdrawal};
use super::{FailureCode, Message, MessageStatus, counting, dispatch, sending};
use crate::engine::{JobOutcome, JobRequest, JobType, UnitOfWork};
use crate::kernel::{Component, Error, MessageId, Result, Timestamp};
use crate::storage::JobRecord;
use serde::{Deserialize, Serialize};

const QUEUE: &str = "timer";
const RELEASE: &str = "timer.message_release";
const EXPIRE: &str = "timer.message_expire";

/// The jobs of messages.
pub const JOBS: &[JobType] = &[
    JobType {
        kind: RELEASE,
        queue: QUEUE,
        component: Component::Scheduled,
        max_attempts: 20,
        run: |work, job| Box::pin(release(work, job)),
    },
    JobType {
        kind: EXPIRE,
        queue: QUEUE,
        component: Component::Scheduled,
        max_attempts: 20,
        run: |work, job| Box::pin(expire(work, job)),
    },
    JobType {
        kind: WITHDRAW,
        queue: QUEUE,
        component: Component::Scheduled,
        max_attempts: 20,
        run: |work, job| Box::pin(run_withdrawal(work, job)),
    },
];

#[derive(Serialize, Deserialize)]
struct Payload {
    message_id: MessageId,
}

/// Arms what a new message needs.
pub(super) fn arm(work: &mut UnitOfWork<'_>, message: &Message) {
    if message.status == MessageStatus::Queued {
        dispatch::enqueue(work, message);
    }
    if message.status == MessageStatus::Scheduled
        && let Some(at) = message.scheduled_at
    {
        work.schedule(request(RELEASE, "message_release", message.id, at));
    }
    if let Some(at) = message.expires_at {
        work.schedule(request(EXPIRE, "message_expire", message.id, at));
    }
}

/// Takes back what a message no longer needs.
pub(super) fn disarm(work: &mut UnitOfWork<'_>, message: &Message) {
    if message.scheduled_at.is_some() {
        work.cancel_job(format!("message_release:{}", message.id));
    }
    if message.expires_at.is_some() {
        work.cancel_job(format!("message_expire:{}", message.id));
    }
}

fn request(kind: &'static str, key: &str, message: MessageId, run_at: Timestamp) -> JobRequest {
    JobRequest {
        queue: QUEUE,
        kind,
        unique_key: Some(format!("{key}:{message}")),
        order_key: None,
        payload: serde_json::json!({ "message_id": message }).to_string(),
        run_at,
        parked: false,
    }
}

fn message_of(job: &JobRecord) -> Result<MessageId> {
    let payload: Payload = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a message timer cannot be read: {e}")))?;
    Ok(payload.message_id)
}

const DONE: JobOutcome = JobOutcome::Done { result: None };

async fn release(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let Some(mut message) = work.find::<Message>(message_of(job)?).await? else { return Ok(DONE) };
    if message.status != MessageStatus::Scheduled {
        return Ok(DONE);
    }
    if let Some(at) = message.scheduled_at.filter(|at| *at > work.now()) {
        return Ok(JobOutcome::Again(at));
    }
    if message.is_overdue(work.now()) {
        message.expire(None);
    } else {
        match sending::refusal_at_release(work, &message).await? {
            Some(sending::Refusal::Gone(reason)) => message.cancel(Some(reason.to_owned()), None)?,
            Some(sending::Refusal::ReplyWindow) => {
                let why = "the contact wrote too long ago when the message was due";
                let at = work.now();
                message.give_up(super::Failure::of(FailureCode::ReplyWindowClosed, why), at, None);
            }
            None => {
                sending::release(work, &mut message).await?;
                dispatch::enqueue(work, &message);
            }
        }
    }
    work.save(message)?;
    Ok(DONE)
}

async fn expire(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let Some(mut message) = work.find::<Message>(message_of(job)?).await? else { return Ok(DONE) };
    let Some(until) = message.expires_at else { return Ok(DONE) };
    if until > work.now() {
        return Ok(JobOutcome::Again(until));
    }
    match message.status {
        MessageStatus::Scheduled => message.expire(None),
        MessageStatus::Queued => {
            let metrics = counting::metrics_if(work, &message, false).await?;
            message.expire(metrics);
        }
        // Should the try under way fail, there is no further one.
        MessageStatus::Sending => {
            let lease = message.lease_until.filter(|lease| *lease > work.now());
            return Ok(JobOutcome::Again(lease.unwrap_or_else(|| work.now().plus_seconds(60))));
        }
        _ => return Ok(DONE),
    }
    work.save(message)?;
    Ok(DONE)
}
