//! Bringing one delivery: what is sent, and what its answer changes. The call itself is made between the two, outside of any commit.

use super::commands::sample_of;
use super::endpoint::Verdict;
use super::outcome::{Class, Judged, delay_micros, judge};
use super::secrets::{open_headers, open_keys};
use super::{
    DeliveryAttempt, DeliveryKind, DeliveryStatus, DisabledReason, Webhook, WebhookDelivery, WebhookEndpoint,
    WebhookEvent, body, sign,
};
use crate::channels::gateway::normalised::hex;
use crate::engine::{Answer, CloudEvents, JobOutcome, OutsideJob, Plan, Reader, Root, Row, UnitOfWork};
use crate::http::{HttpFailure, HttpMethod, HttpRequest, HttpResponse, Reach};
use crate::kernel::{Component, Error, EventId, Result, Timestamp, WebhookDeliveryId};
use crate::storage::{EventQuery, EventRecord, JobRecord, Scope};
use crate::tenancy;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The kind of job that brings a delivery.
pub(super) const DELIVER: &str = "webhook.deliver";
/// The most bytes of an answer that are read.
pub(super) const MAX_ANSWER: usize = 4 * 1024;
/// How much longer than the receiver's time a delivery counts as being brought, in seconds.
const GRACE: i64 = 30;
/// How long a delivery waits for its project to be active again, in seconds.
pub(super) const MAX_HOLD: i64 = 7 * 24 * 3600;
/// How long "later" (429) costs no attempt, in seconds.
const MAX_LIMITED: i64 = 24 * 3600;
/// How long the whole receiver is left alone after 502, 503 or 504 that say no time, at most, in microseconds.
const MAX_THROTTLE: i64 = 60_000_000;
const DONE: JobOutcome = JobOutcome::Done { result: None };

/// The jobs whose work is a call outside.
pub const OUTSIDE_JOBS: &[OutsideJob] = &[OutsideJob {
    kind: DELIVER,
    component: Component::Webhook,
    // Attempts are the delivery's own; this many failures of the machinery itself end the job.
    max_attempts: 20,
    has_breaker: false,
    plan: |work, job| Box::pin(plan(work, job)),
    settle: |work, job, answer| Box::pin(settle(work, job, answer)),
}];

/// What a job knows of its delivery.
#[derive(Serialize, Deserialize)]
pub(super) struct Payload {
    pub delivery_id: WebhookDeliveryId,
}

pub(super) fn delivery_of(job: &JobRecord) -> Result<WebhookDeliveryId> {
    let read = serde_json::from_str::<Payload>(&job.payload).map(|payload| payload.delivery_id);
    read.map_err(|e| Error::corrupt(format!("the payload of a delivery cannot be read: {e}")))
}

async fn plan(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<Plan> {
    let done = Ok(Plan::Settled(DONE));
    let Some(mut delivery) = work.row::<WebhookDelivery>(delivery_of(job)?).await? else { return done };
    if delivery.status.is_final() {
        return done;
    }
    let now = work.now();
    if delivery.kind == DeliveryKind::Test {
        return plan_test(work, delivery).await;
    }
    let webhook = work.find::<Webhook>(delivery.webhook_id).await?;
    let Some(webhook) = webhook.filter(|webhook| webhook.is_on()) else {
        delivery.end(DeliveryStatus::Cancelled, now);
        work.put_row(delivery)?;
        return done;
    };
    if let Some(outcome) = hold(work, &mut delivery).await? {
        work.put_row(delivery)?;
        return Ok(Plan::Settled(outcome));
    }
    let mut endpoint = endpoint_of(work, &webhook, delivery.event_seq).await?;
    if let Some(started) = delivery.started_at {
        let judged = judge(&Err(HttpFailure::Interrupted), now);
        let attempt = attempt(&webhook, &delivery, started, now, &judged, None);
        endpoint.in_flight.remove(&delivery.id);
        let goes_on = count(work, webhook, &mut endpoint, &mut delivery, attempt, judged.class)?;
        if goes_on.is_some() {
            delivery.wait_until(now, true);
        }
        work.put_row(endpoint)?;
        work.put_row(delivery)?;
        return Ok(Plan::Settled(goes_on.map_or(DONE, |()| JobOutcome::Again(now))));
    }
    if let Some(turn) = turn(&mut endpoint, &mut delivery, &webhook, now) {
        work.put_row(endpoint)?;
        work.put_row(delivery)?;
        return Ok(Plan::Settled(JobOutcome::Again(turn)));
    }
    let Some(event) = event_of(work.reader(), delivery.event_id).await? else {
        delivery.end(DeliveryStatus::Failed, now);
        work.put_row(delivery)?;
        return done;
    };
    endpoint.last_triggered_at = Some(now);
    if let Err(blocked) = work.reader().core().guard().check_url(&webhook.url) {
        delivery.started_at = Some(now);
        let answer = Err(HttpFailure::Blocked { reason: blocked.as_str().to_owned() });
        return Ok(Plan::Settled(conclude(work, webhook, endpoint, delivery, &answer).await?));
    }
    let body = body::render(CloudEvents::default().write(&event)?, webhook.body_mode, false)?;
    let request = request(work.reader(), &webhook, &delivery, body, now).await?;
    delivery.body_sha256 = Some(hex(&Sha256::digest(&request.body)));
    delivery.body_size = Some(request.body.len() as u64);
    delivery.status = DeliveryStatus::InFlight;
    delivery.started_at = Some(now);
    delivery.next_attempt_at = None;
    let lost_at = now.plus_seconds(i64::from(webhook.timeout_seconds) + GRACE);
    endpoint.in_flight.insert(delivery.id, lost_at);
    work.put_row(endpoint)?;
    work.put_row(delivery)?;
    Ok(Plan::Call(request))
}

/// A test is tried once, whether the webhook is on or not, and stands apart from what the webhook counts.
async fn plan_test(work: &mut UnitOfWork<'_>, mut delivery: Row<WebhookDelivery>) -> Result<Plan> {
    let now = work.now();
    let webhook = work.find::<Webhook>(delivery.webhook_id).await?.filter(|webhook| webhook.deleted_at.is_none());
    let (Some(webhook), Some(event)) = (webhook, sample_of(&delivery)?) else {
        delivery.end(DeliveryStatus::Cancelled, now);
        work.put_row(delivery)?;
        return Ok(Plan::Settled(DONE));
    };
    // Whoever made the call is gone, and nobody knows what was answered.
    let lost = delivery.started_at.map(|_| HttpFailure::Interrupted);
    let blocked = || work.reader().core().guard().check_url(&webhook.url).err();
    let failure = lost.or_else(|| blocked().map(|reason| HttpFailure::Blocked { reason: reason.as_str().to_owned() }));
    if let Some(failure) = failure {
        return conclude_test(work, &webhook, delivery, &Err(failure)).await.map(Plan::Settled);
    }
    let body = body::render(CloudEvents::default().write(&event)?, webhook.body_mode, true)?;
    let request = request(work.reader(), &webhook, &delivery, body, now).await?;
    delivery.body_sha256 = Some(hex(&Sha256::digest(&request.body)));
    delivery.body_size = Some(request.body.len() as u64);
    delivery.status = DeliveryStatus::InFlight;
    delivery.started_at = Some(now);
    delivery.next_attempt_at = None;
    work.put_row(delivery)?;
    Ok(Plan::Call(request))
}

/// The end of a test, whatever was answered.
async fn conclude_test(
    work: &mut UnitOfWork<'_>,
    webhook: &Webhook,
    mut delivery: Row<WebhookDelivery>,
    answer: &Answer,
) -> Result<JobOutcome> {
    let now = work.now();
    let judged = judge(answer, now);
    let said = match answer {
        // The secrets of a deleted webhook are gone, so nothing could be blotted out.
        Ok(response) if webhook.deleted_at.is_none() => {
            Some((response, excerpt(work.reader(), webhook, response).await?))
        }
        Ok(response) => Some((response, String::new())),
        Err(_) => None,
    };
    let attempt = attempt(webhook, &delivery, delivery.started_at.unwrap_or(now), now, &judged, said);
    let is_taken = judged.class == Class::Succeeded;
    delivery.attempt_count = 1;
    delivery.remember(attempt);
    delivery.end(if is_taken { DeliveryStatus::Succeeded } else { DeliveryStatus::Failed }, now);
    work.put_row(delivery)?;
    Ok(DONE)
}

/// Keeps a delivery while its project is not active; gives it up when that takes too long.
async fn hold(work: &UnitOfWork<'_>, delivery: &mut Row<WebhookDelivery>) -> Result<Option<JobOutcome>> {
    let now = work.now();
    let is_active = tenancy::access::current(work.reader()).await?.is_some_and(|project| project.is_active());
    let since = delivery.held_since;
    if since.is_some_and(|since| now.seconds_since(since) >= MAX_HOLD) {
        delivery.end(DeliveryStatus::Cancelled, now);
        return Ok(Some(DONE));
    }
    if is_active {
        delivery.held_since = None;
        return Ok(None);
    }
    let since = since.unwrap_or(now);
    delivery.held_since = Some(since);
    let until = since.plus_seconds(MAX_HOLD);
    delivery.wait_until(until, false);
    Ok(Some(JobOutcome::Parked { until, reason: "the project is not active".to_owned() }))
}

/// When the delivery has to wait for its turn: until when.
fn turn(
    endpoint: &mut WebhookEndpoint,
    delivery: &mut WebhookDelivery,
    webhook: &Webhook,
    now: Timestamp,
) -> Option<Timestamp> {
    let is_throttled = endpoint.throttled_until.is_some_and(|until| now < until);
    let has_room = endpoint.has_room(webhook.concurrency, now);
    if delivery.has_turn && !is_throttled && has_room {
        return None;
    }
    let turn = endpoint.take_turn(webhook.rate_per_second, now);
    let turn = if has_room { turn } else { turn.max(now.plus_seconds(1)) };
    delivery.has_turn = true;
    if turn <= now {
        return None;
    }
    delivery.wait_until(turn, true);
    Some(turn)
}

pub(super) async fn endpoint_of(work: &UnitOfWork<'_>, webhook: &Webhook, seq: u64) -> Result<Row<WebhookEndpoint>> {
    let known = work.row::<WebhookEndpoint>(webhook.id).await?;
    Ok(known.unwrap_or_else(|| Row::new(WebhookEndpoint::new(webhook.id, webhook.project_id, seq, work.now()))))
}

/// The event of a delivery, unless the log no longer has it.
pub(super) async fn event_of(read: &Reader<'_>, id: EventId) -> Result<Option<EventRecord>> {
    let query = EventQuery { ids: vec![id.uuid()], limit: 1, ..EventQuery::default() };
    Ok(read.storage().events(Scope::Project(read.project()), &query).await?.pop())
}

/// One attempt, signed at this moment.
pub(super) async fn request(
    read: &Reader<'_>,
    webhook: &Webhook,
    delivery: &WebhookDelivery,
    body: Vec<u8>,
    now: Timestamp,
) -> Result<HttpRequest> {
    let (id, seconds) = (delivery.webhook_message_id.as_str(), now.micros().div_euclid(1_000_000));
    let keys = open_keys(read, webhook, now).await?;
    let signatures: Vec<String> = keys.iter().map(|key| sign(key, id, seconds, &body)).collect();
    let own = |name: &str, value: String| (name.to_owned(), value);
    let mut headers = vec![
        own("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
        own("user-agent", "Ventros-Webhook/1".to_owned()),
        own("webhook-id", id.to_owned()),
        own("webhook-timestamp", seconds.to_string()),
        own("webhook-signature", signatures.join(" ")),
    ];
    headers.extend(open_headers(read, webhook).await?);
    Ok(HttpRequest {
        method: HttpMethod::Post,
        url: webhook.url.as_str().to_owned(),
        headers,
        body,
        timeout: Duration::from_secs(webhook.timeout_seconds.into()),
        max_response: MAX_ANSWER,
        reach: Reach::Public,
    })
}

/// What is kept of one attempt.
pub(super) fn attempt(
    webhook: &Webhook,
    delivery: &WebhookDelivery,
    started_at: Timestamp,
    now: Timestamp,
    judged: &Judged,
    response: Option<(&HttpResponse, String)>,
) -> DeliveryAttempt {
    DeliveryAttempt {
        n: delivery.attempt_count + 1,
        cycle: delivery.cycle,
        started_at,
        duration_ms: ((now.micros() - started_at.micros()).max(0) / 1_000) as u64,
        status_code: judged.status,
        error_kind: judged.error_kind,
        ip: response.as_ref().and_then(|(response, _)| response.address).map(|address| address.to_string()),
        response_excerpt: response.map(|(_, text)| text).filter(|text| !text.is_empty()),
        url_host: webhook.url.host().to_owned(),
    }
}

/// The beginning of an answer as text. A receiver may send back what it was sent: secret values are blotted out.
pub(super) async fn excerpt(read: &Reader<'_>, webhook: &Webhook, response: &HttpResponse) -> Result<String> {
    let body = &response.body[..response.body.len().min(MAX_ANSWER)];
    let mut text = String::from_utf8_lossy(body).replace('\0', "\u{fffd}");
    if !text.is_empty() {
        for (_, value) in open_headers(read, webhook).await? {
            text = text.replace(&value, "[redacted]");
        }
    }
    Ok(text)
}

async fn settle(work: &mut UnitOfWork<'_>, job: &JobRecord, answer: &Answer) -> Result<JobOutcome> {
    let Some(delivery) = work.row::<WebhookDelivery>(delivery_of(job)?).await? else { return Ok(DONE) };
    let webhook = work.find::<Webhook>(delivery.webhook_id).await?;
    let Some(webhook) = webhook.filter(|_| delivery.status == DeliveryStatus::InFlight) else { return Ok(DONE) };
    if delivery.kind == DeliveryKind::Test {
        return conclude_test(work, &webhook, delivery, answer).await;
    }
    let endpoint = endpoint_of(work, &webhook, delivery.event_seq).await?;
    conclude(work, webhook, endpoint, delivery, answer).await
}

/// Takes an answer in: the delivery, how its receiver does, and what people should hear of it.
async fn conclude(
    work: &mut UnitOfWork<'_>,
    webhook: Root<Webhook>,
    mut endpoint: Row<WebhookEndpoint>,
    mut delivery: Row<WebhookDelivery>,
    answer: &Answer,
) -> Result<JobOutcome> {
    let now = work.now();
    let started = delivery.started_at.unwrap_or(now);
    let judged = judge(answer, now);
    let said = match answer {
        // The secrets of a deleted webhook are gone, so nothing could be blotted out.
        Ok(response) if webhook.deleted_at.is_none() => {
            Some((response, excerpt(work.reader(), &webhook, response).await?))
        }
        Ok(response) => Some((response, String::new())),
        Err(_) => None,
    };
    let attempt = attempt(&webhook, &delivery, started, now, &judged, said);
    endpoint.in_flight.remove(&delivery.id);
    endpoint.last_status_code = judged.status.or(endpoint.last_status_code);
    let latency = attempt.duration_ms;
    let random = u16::from_be_bytes(work.random());
    let is_limited = |since: Timestamp| now.seconds_since(since) < MAX_LIMITED;
    let at = match judged.class {
        Class::Succeeded => {
            endpoint.succeeded(latency, now);
            delivery.attempt_count += 1;
            delivery.limited_since = None;
            delivery.remember(attempt);
            delivery.end(DeliveryStatus::Succeeded, now);
            None
        }
        Class::Later if is_limited(*delivery.limited_since.get_or_insert(now)) => {
            endpoint.answered(latency);
            let schedule = || delay_micros(delivery.attempt_count + 1, random);
            let at = now.plus_micros(judged.after.map_or_else(schedule, |seconds| seconds * 1_000_000));
            endpoint.throttle(at);
            delivery.remember(attempt);
            Some(at)
        }
        class => {
            if judged.status.is_some() {
                endpoint.answered(latency);
            }
            if !matches!(class, Class::Later) {
                delivery.limited_since = None;
            }
            let delay = delay_micros(delivery.attempt_count + 1, random);
            let asked = judged.after.unwrap_or(0) * 1_000_000;
            let throttles = matches!(class, Class::Retry { throttles: true } | Class::Later);
            if throttles {
                let pause = if judged.after.is_some() { asked } else { delay.min(MAX_THROTTLE) };
                endpoint.throttle(now.plus_micros(pause));
            }
            let goes_on = count(work, webhook, &mut endpoint, &mut delivery, attempt, class)?;
            goes_on.map(|()| now.plus_micros(delay.max(asked)))
        }
    };
    let outcome = match at {
        Some(at) if work.find::<Webhook>(delivery.webhook_id).await?.is_some_and(|webhook| webhook.is_on()) => {
            delivery.wait_until(at, false);
            JobOutcome::Again(at)
        }
        Some(_) => {
            delivery.end(DeliveryStatus::Cancelled, now);
            DONE
        }
        None => DONE,
    };
    work.put_row(endpoint)?;
    work.put_row(delivery)?;
    Ok(outcome)
}

/// Counts a failed attempt; `None` when it was the last one.
fn count(
    work: &mut UnitOfWork<'_>,
    mut webhook: Root<Webhook>,
    endpoint: &mut WebhookEndpoint,
    delivery: &mut WebhookDelivery,
    attempt: DeliveryAttempt,
    class: Class,
) -> Result<Option<()>> {
    let now = work.now();
    let (is_gone, is_refused) = (class == Class::Gone, matches!(class, Class::Gone | Class::Refused));
    let (told, status_code) = (attempt.told(), attempt.status_code);
    delivery.attempt_count += 1;
    delivery.remember(attempt);
    let is_over = is_refused || delivery.attempt_count >= u32::from(webhook.max_attempts);
    let verdict = endpoint.failed(is_over, now);
    if is_over {
        let status = if is_refused { DeliveryStatus::Failed } else { DeliveryStatus::Exhausted };
        delivery.end(status, now);
        webhook.record(WebhookEvent::DeliveryExhausted {
            delivery_id: delivery.id,
            event_id: delivery.event_id,
            event_type: delivery.event_type.clone(),
            attempts: delivery.attempt_count,
            last_status_code: status_code,
            last_error: told.clone(),
        });
    }
    if webhook.is_on() {
        let failing_since = endpoint.failing_since;
        let reason = if is_gone { Some(DisabledReason::Gone) } else { None };
        let reason = reason.or((verdict == Verdict::SwitchOff).then_some(DisabledReason::Failing));
        if let Some(disabled_reason) = reason {
            webhook.record(WebhookEvent::Deactivated {
                active: false,
                disabled_reason,
                failing_since,
                consecutive_failures: Some(endpoint.consecutive_failures),
                last_status_code: endpoint.last_status_code,
            });
        } else if let (Verdict::Warn, Some(failing_since)) = (verdict, failing_since) {
            let consecutive_failures = endpoint.consecutive_failures;
            webhook.record(WebhookEvent::Failing { failing_since, consecutive_failures, last_error: told });
        }
    }
    work.save(webhook)?;
    Ok((!is_over).then_some(()))
}
