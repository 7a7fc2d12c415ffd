//! From events to deliveries, and what else follows: deliveries of a webhook that was switched off are cancelled, those of a project
//! that is active again go on, old ones are forgotten.

use super::commands::remove;
use super::deliver::{DELIVER, Payload};
use super::expiry::{EXPIRE, arm, expire};
use super::patterns::wants;
use super::{DeliveryStatus, Webhook, WebhookDelivery, WebhookEndpoint};
use crate::engine::{BatchReaction, JobOutcome, JobRequest, JobType, OUTSIDE, Reaction, Reader, Row, UnitOfWork};
use crate::kernel::{Component, Error, Kind, Result, SecretRef, Timestamp, WebhookDeliveryId, WebhookId};
use crate::storage::{
    EventRecord, FieldKind, Filter, Find, JobQuery, JobRecord, JobState, JobWrite, Leaf, Scope, Test, Value, id_value,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// More webhooks than a project can have.
const LIMIT: usize = 1_000;
/// Rows of one commit.
pub(super) const PAGE: usize = 500;
/// The kind of job that cancels what waits for a webhook that was switched off.
const CANCEL: &str = "webhook.cancel";
/// The kind of timer that ends a rotation.
const ROTATED: &str = "timer.webhook_rotated";

/// Webhooks hear of every event.
pub const BATCHES: &[BatchReaction] = &[BatchReaction {
    name: "ventros.webhooks",
    component: Component::Webhook,
    is_wanted: |read| Box::pin(is_wanted(read)),
    run: |work, events| Box::pin(follow(work, events)),
}];

/// Webhooks go with their project.
pub const REACTIONS: &[Reaction] = &[Reaction {
    name: "ventros.webhooks_of_deleted_projects",
    events: &["project.deleted"],
    component: Component::Webhook,
    run: |work, _record, _event| Box::pin(remove_all(work)),
}];

async fn remove_all(work: &mut UnitOfWork<'_>) -> Result<()> {
    let all: Vec<Webhook> = work.reader().find_states(&first(Filter::everything(), LIMIT, false)).await?;
    for webhook in all {
        if let Some(webhook) = work.find::<Webhook>(webhook.id).await? {
            remove(work, webhook).await?;
        }
    }
    Ok(())
}

/// The jobs of webhooks that call nobody.
pub const JOBS: &[JobType] = &[
    JobType {
        kind: ROTATED,
        queue: "timer",
        component: Component::Webhook,
        max_attempts: 20,
        run: |work, job| Box::pin(forget_key(work, job)),
    },
    JobType {
        kind: EXPIRE,
        queue: "timer",
        component: Component::Webhook,
        max_attempts: 20,
        run: |work, _job| Box::pin(expire(work)),
    },
    JobType {
        kind: CANCEL,
        queue: "timer",
        component: Component::Webhook,
        max_attempts: 20,
        run: |work, job| Box::pin(cancel(work, job)),
    },
    JobType {
        kind: super::replaying::REPLAY,
        queue: "timer",
        component: Component::Webhook,
        max_attempts: 20,
        run: |work, job| Box::pin(super::replaying::run(work, job)),
    },
];

pub(super) fn leaf(field: &str, kind: FieldKind, test: Test) -> Filter {
    Filter::Leaf(Leaf { field: field.to_owned(), kind, is_attribute: false, test })
}

pub(super) fn first(filter: Filter, limit: usize, include_hidden: bool) -> Find {
    Find { filter, sort: Vec::new(), after: None, backward: false, limit, include_hidden, with_total: false }
}

/// Deleted webhooks count: their deletion is an event that must be seen, and so is their last one.
async fn is_wanted(read: &Reader<'_>) -> Result<bool> {
    let any = first(Filter::everything(), 1, true);
    Ok(!read.storage().find(read.scope_of(Kind::Webhook), Kind::Webhook, &any).await?.rows.is_empty())
}

async fn follow(work: &mut UnitOfWork<'_>, events: &[EventRecord]) -> Result<()> {
    let all: Vec<Webhook> = work.reader().find_states(&first(Filter::everything(), LIMIT, false)).await?;
    let mut wanted: Vec<(WebhookId, &EventRecord)> = Vec::new();
    for webhook in &all {
        let mut since = work.row::<WebhookEndpoint>(webhook.id).await?.map(|endpoint| endpoint.matched_seq);
        let before = wanted.len();
        for event in events {
            if event.event_type == "webhook.created" && event.aggregate_id == webhook.id.uuid() && since.is_none() {
                let endpoint = WebhookEndpoint::new(webhook.id, webhook.project_id, event.seq, work.now());
                work.put_row(Row::new(endpoint))?;
                since = Some(event.seq);
            }
            // What came before the webhook, or was looked at already, is not its business.
            if webhook.active && since.is_some_and(|since| since < event.seq) && wants(webhook, event) {
                wanted.push((webhook.id, event));
            }
        }
        if let Some((_, last)) = wanted[before..].last()
            && let Some(mut endpoint) = work.row::<WebhookEndpoint>(webhook.id).await?
        {
            endpoint.matched_seq = last.seq;
            work.put_row(endpoint)?;
        }
    }
    begin(work, &wanted).await?;
    for event in events {
        match event.event_type.as_str() {
            "webhook.deactivated" | "webhook.deleted" => {
                let webhook_id = WebhookId::from_uuid(event.aggregate_id);
                enqueue_cancel(work, webhook_id, event.recorded_at)?;
            }
            "project.resumed" | "project.activated" => release(work).await?,
            _ => {}
        }
    }
    Ok(())
}

/// Makes deliveries that are not there yet.
pub(super) async fn begin(work: &mut UnitOfWork<'_>, wanted: &[(WebhookId, &EventRecord)]) -> Result<u64> {
    let ids: Vec<WebhookDeliveryId> =
        wanted.iter().map(|(webhook, event)| WebhookDelivery::id_of(*webhook, event.id)).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    let known: BTreeSet<WebhookDeliveryId> =
        work.reader().get_many::<WebhookDelivery>(&ids).await?.into_iter().map(|delivery| delivery.id).collect();
    let mut made = 0;
    for ((webhook, event), id) in wanted.iter().zip(ids) {
        if !known.contains(&id) {
            let delivery = work.put_row(Row::new(WebhookDelivery::of_event(*webhook, event, work.now())))?;
            enqueue(work, &delivery, event.aggregate_id)?;
            made += 1;
        }
    }
    if made > 0 {
        arm(work);
    }
    Ok(made)
}

/// Puts the job of a delivery into the commit. Those of one aggregate to one webhook go one after the other.
pub(super) fn enqueue(work: &mut UnitOfWork<'_>, delivery: &WebhookDelivery, aggregate: Uuid) -> Result<()> {
    let request = JobRequest {
        queue: OUTSIDE,
        kind: DELIVER,
        unique_key: Some(delivery.job_key()),
        order_key: Some(format!("wh:{}:{aggregate}", delivery.webhook_id)),
        payload: text(&Payload { delivery_id: delivery.id })?,
        run_at: work.now(),
        parked: false,
    };
    work.enqueue(request);
    Ok(())
}

pub(super) fn text(payload: &impl Serialize) -> Result<String> {
    serde_json::to_string(payload).map_err(|e| Error::internal(e.to_string()))
}

/// Deliveries that were held because the project was not active are due again.
async fn release(work: &mut UnitOfWork<'_>) -> Result<()> {
    let mut query = JobQuery {
        queue: Some(OUTSIDE.to_owned()),
        kind: Some(DELIVER.to_owned()),
        states: vec![JobState::Parked],
        limit: PAGE,
        ..JobQuery::default()
    };
    loop {
        let jobs = work.reader().storage().jobs(Scope::Project(work.project()), &query).await?;
        let Some(last) = jobs.last() else { return Ok(()) };
        query.before = Some(last.id);
        let ids = jobs.iter().map(|job| job.id).collect();
        work.write_job(JobWrite::Release { project_id: work.project(), ids, run_at: work.now() });
    }
}

/// What is cancelled, and until which moment it must have begun: a webhook may be on again meanwhile.
#[derive(Serialize, Deserialize)]
struct Cancelled {
    webhook_id: WebhookId,
    until: Timestamp,
}

fn enqueue_cancel(work: &mut UnitOfWork<'_>, webhook_id: WebhookId, until: Timestamp) -> Result<()> {
    let request = JobRequest {
        queue: "timer",
        kind: CANCEL,
        unique_key: Some(format!("{CANCEL}:{webhook_id}")),
        order_key: None,
        payload: text(&Cancelled { webhook_id, until })?,
        run_at: work.now(),
        parked: false,
    };
    work.schedule(request);
    Ok(())
}

async fn cancel(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let Cancelled { webhook_id, until } = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a cancellation cannot be read: {e}")))?;
    let waiting = Filter::All(vec![
        leaf("webhook_id", FieldKind::Id, Test::Equal(id_value(webhook_id))),
        leaf("status", FieldKind::Enum, Test::Equal(Value::Text(DeliveryStatus::Pending.as_str().to_owned()))),
        leaf("cycle_started_at", FieldKind::Instant, Test::LessOrEqual(Value::Instant(until))),
    ]);
    let found: Vec<WebhookDelivery> = work.reader().find_states(&first(waiting, PAGE, false)).await?;
    let is_last = found.len() < PAGE;
    let now = work.now();
    for delivery in found {
        work.cancel_job(delivery.job_key());
        if let Some(mut row) = work.row::<WebhookDelivery>(delivery.id).await? {
            row.end(DeliveryStatus::Cancelled, now);
            work.put_row(row)?;
        }
    }
    Ok(if is_last { JobOutcome::Done { result: None } } else { JobOutcome::Again(now) })
}

/// Destroys a key that no longer signs, once its time is over.
pub(super) fn forget_key_at(
    work: &mut UnitOfWork<'_>,
    webhook: WebhookId,
    key: SecretRef,
    at: Timestamp,
) -> Result<()> {
    let request = JobRequest {
        queue: "timer",
        kind: ROTATED,
        unique_key: Some(format!("{ROTATED}:{webhook}:{}", key.secret_id)),
        order_key: None,
        payload: text(&key)?,
        run_at: at,
        parked: false,
    };
    work.schedule(request);
    Ok(())
}

async fn forget_key(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let key: SecretRef = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a rotation cannot be read: {e}")))?;
    work.shred(work.project(), key);
    Ok(JobOutcome::Done { result: None })
}
