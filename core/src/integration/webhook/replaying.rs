//! Sending again what a range of the log gave, page by page in a job of its own: events without a delivery get one, too.

use super::expiry::arm;
use super::patterns::{matches, wants};
use super::reactions::{PAGE, enqueue, text};
use super::{DeliveryStatus, Webhook, WebhookDelivery};
use crate::engine::{JobOutcome, JobRequest, Reader, Row, UnitOfWork};
use crate::kernel::{Error, Result, Timestamp, WebhookDeliveryId, WebhookId};
use crate::storage::{EventQuery, EventRecord, JobRecord, Scope};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The kind of job that sends a range again.
pub(super) const REPLAY: &str = "webhook.replay";

/// A stretch of the log, and what of it is sent again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Range {
    pub webhook_id: WebhookId,
    /// After this number of the log.
    pub after: u64,
    /// Up to and including this one.
    pub until: u64,
    /// Only deliveries that ended so; without it also events that have no delivery.
    pub status: Option<DeliveryStatus>,
    /// Only these types; empty = all that the webhook wants.
    pub event_types: Vec<String>,
}

/// One event to send again, with the delivery that it had.
type Selected = (EventRecord, Option<WebhookDelivery>);

impl Range {
    /// The next page of events, and which of them are sent again; `None` at the end.
    async fn page(&self, read: &Reader<'_>, webhook: &Webhook) -> Result<Option<(u64, Vec<Selected>)>> {
        let query = EventQuery { after: self.after, until: Some(self.until), limit: PAGE, ..EventQuery::default() };
        let events = read.storage().events(Scope::Project(read.project()), &query).await?;
        let Some(last) = events.last().map(|event| event.seq) else { return Ok(None) };
        let named = |event: &EventRecord| {
            self.event_types.is_empty() || self.event_types.iter().any(|pattern| matches(pattern, &event.event_type))
        };
        let events: Vec<EventRecord> =
            events.into_iter().filter(|event| wants(webhook, event) && named(event)).collect();
        let ids: Vec<WebhookDeliveryId> =
            events.iter().map(|event| WebhookDelivery::id_of(webhook.id, event.id)).collect();
        let known = if ids.is_empty() { Vec::new() } else { read.get_many::<WebhookDelivery>(&ids).await? };
        let mut known: BTreeMap<_, _> = known.into_iter().map(|delivery| (delivery.id, delivery)).collect();
        let fits = |(_, delivery): &Selected| match delivery {
            Some(delivery) => delivery.status.is_final() && self.status.is_none_or(|status| status == delivery.status),
            None => self.status.is_none(),
        };
        let paired = events.into_iter().zip(ids).map(|(event, id)| (event, known.remove(&id)));
        Ok(Some((last, paired.filter(fits).collect())))
    }

    /// How many deliveries it gives, counted no further than `limit`.
    pub(super) async fn count(&self, read: &Reader<'_>, webhook: &Webhook, limit: u64) -> Result<u64> {
        let (mut rest, mut count) = (self.clone(), 0);
        while let Some((last, selected)) = rest.page(read, webhook).await? {
            rest.after = last;
            count += selected.len() as u64;
            if count > limit {
                break;
            }
        }
        Ok(count)
    }

    /// Has it sent again, soon.
    pub(super) fn start(&self, work: &mut UnitOfWork<'_>, key: String) -> Result<()> {
        let request = JobRequest {
            queue: "timer",
            kind: REPLAY,
            unique_key: Some(key),
            order_key: None,
            payload: text(self)?,
            run_at: work.now(),
            parked: false,
        };
        work.schedule(request);
        Ok(())
    }
}

/// One page of a range.
pub(super) async fn run(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    const DONE: JobOutcome = JobOutcome::Done { result: None };
    let mut range: Range = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a replay cannot be read: {e}")))?;
    let webhook = work.find::<Webhook>(range.webhook_id).await?;
    let Some(webhook) = webhook.filter(|webhook| webhook.is_on()) else { return Ok(DONE) };
    let Some((last, selected)) = range.page(work.reader(), &webhook).await? else { return Ok(DONE) };
    arm(work);
    for (event, delivery) in selected {
        send_again(work, webhook.id, &event, delivery).await?;
    }
    range.after = last;
    if range.after < range.until {
        range.start(work, job.unique_key.clone().unwrap_or_default())?;
    }
    Ok(DONE)
}

/// Puts one delivery back to its beginning, or makes it. Returns its cycle.
pub(super) async fn send_again(
    work: &mut UnitOfWork<'_>,
    webhook: WebhookId,
    event: &EventRecord,
    delivery: Option<WebhookDelivery>,
) -> Result<u32> {
    let now = work.now();
    let row = match delivery {
        Some(known) => work.row::<WebhookDelivery>(known.id).await?.map(|mut row| {
            row.begin_again(now);
            row
        }),
        None => None,
    };
    let row = row.unwrap_or_else(|| Row::new(WebhookDelivery::of_event(webhook, event, now)));
    let delivery = work.put_row(row)?;
    enqueue(work, &delivery, event.aggregate_id)?;
    Ok(delivery.cycle)
}

/// The number of the last event that was recorded before a moment; 0 when there is none.
pub(super) async fn last_before(read: &Reader<'_>, moment: Timestamp) -> Result<u64> {
    let (mut low, mut high) = (0, read.storage().head(read.project()).await?);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let query = EventQuery { after: middle - 1, until: Some(middle), limit: 1, ..EventQuery::default() };
        let found = read.storage().events(Scope::Project(read.project()), &query).await?;
        if found.first().is_some_and(|event| event.recorded_at < moment) { low = middle } else { high = middle - 1 }
    }
    Ok(low)
}
