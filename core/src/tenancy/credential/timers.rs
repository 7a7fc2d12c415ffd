//! Timers of credentials: the end of one, the warnings before it, the renewal of its tokens, and the destruction of what was
//! replaced. A timer is a hint; the credential decides.

use super::{Credential, CredentialEvent, CredentialStatus, ExpiryCause, refresh};
use crate::engine::{JobOutcome, JobRequest, JobType, OUTSIDE, UnitOfWork};
use crate::kernel::{Component, CredentialId, Error, Result, Timestamp};
use crate::storage::JobRecord;
use serde::{Deserialize, Serialize};

pub(super) const QUEUE: &str = "timer";
const DAY_SECONDS: i64 = 24 * 3600;
/// Days before its end of which a warning is given, the last one first.
const WARNINGS: [i64; 2] = [1, 7];

pub(super) const EXPIRE: JobType = JobType {
    kind: "timer.credential_expire",
    queue: QUEUE,
    component: Component::Scheduled,
    max_attempts: 20,
    run: |work, job| Box::pin(expire(work, job)),
};

pub(super) const SHRED: JobType = JobType {
    kind: "timer.credential_shred",
    queue: QUEUE,
    component: Component::Scheduled,
    max_attempts: 20,
    run: |work, job| Box::pin(shred(work, job)),
};

#[derive(Serialize, Deserialize)]
pub(super) struct Payload {
    credential_id: CredentialId,
}

/// Arms what a credential needs now, and takes back what it no longer needs.
pub(super) fn arm(work: &mut UnitOfWork<'_>, credential: &Credential) {
    let is_live = credential.deleted_at.is_none();
    let moment = next_moment(credential, work.now()).filter(|_| is_live);
    arm_one(work, (QUEUE, EXPIRE.kind), "credential_expire", credential.id, moment);
    let gone = credential.retiring.iter().map(|old| old.valid_until).min();
    arm_one(work, (QUEUE, SHRED.kind), "credential_shred", credential.id, gone);
    let renewed = refresh::due_at(credential).filter(|_| is_live);
    arm_one(work, (OUTSIDE, refresh::REFRESH.kind), "credential_refresh", credential.id, renewed);
}

fn arm_one(
    work: &mut UnitOfWork<'_>,
    (queue, kind): (&'static str, &'static str),
    key: &str,
    id: CredentialId,
    at: Option<Timestamp>,
) {
    let unique_key = format!("{key}:{id}");
    match at {
        Some(run_at) => work.schedule(JobRequest {
            queue,
            kind,
            unique_key: Some(unique_key),
            order_key: None,
            payload: serde_json::json!({ "credential_id": id }).to_string(),
            run_at,
            parked: false,
        }),
        None => work.cancel_job(unique_key),
    }
}

/// The next moment at which time itself does something to a credential.
fn next_moment(credential: &Credential, now: Timestamp) -> Option<Timestamp> {
    let end = credential.expires_at?;
    let before = WARNINGS.iter().map(|days| end.plus_seconds(-days * DAY_SECONDS));
    before.chain([end]).filter(|at| *at > now).min()
}

pub(super) fn credential_of(job: &JobRecord) -> Result<CredentialId> {
    let payload: Payload = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a credential's timer cannot be read: {e}")))?;
    Ok(payload.credential_id)
}

const DONE: JobOutcome = JobOutcome::Done { result: None };

async fn expire(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let found = work.find::<Credential>(credential_of(job)?).await?;
    let Some(mut credential) = found.filter(|credential| credential.deleted_at.is_none()) else { return Ok(DONE) };
    let Some(end) = credential.expires_at else { return Ok(DONE) };
    let now = work.now();
    if now >= end {
        credential.expire(ExpiryCause::Time);
        work.keep(credential)?;
        return Ok(DONE);
    }
    let crossed = WARNINGS.into_iter().find(|days| now >= end.plus_seconds(-days * DAY_SECONDS));
    let is_news = |days: &i64| credential.warned_days.is_none_or(|warned| i64::from(warned) > *days);
    if crossed.as_ref().is_some_and(is_news) && credential.status == CredentialStatus::Active {
        let left = end.micros() - now.micros();
        let days_left = u32::try_from(left.div_euclid(DAY_SECONDS * 1_000_000)).unwrap_or(0);
        let whole = left.rem_euclid(DAY_SECONDS * 1_000_000) == 0;
        let days_left = if whole { days_left } else { days_left + 1 };
        credential.record(CredentialEvent::Expiring { expires_at: end, days_left });
    }
    let next = next_moment(&credential, now);
    work.keep(credential)?;
    Ok(next.map_or(DONE, JobOutcome::Again))
}

async fn shred(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let Some(credential) = work.find::<Credential>(credential_of(job)?).await? else { return Ok(DONE) };
    let now = work.now();
    for old in credential.retiring.iter().filter(|old| old.valid_until <= now) {
        work.shred(credential.project_id, old.secret);
    }
    let next = credential.retiring.iter().map(|old| old.valid_until).filter(|until| *until > now).min();
    Ok(next.map_or(DONE, JobOutcome::Again))
}
