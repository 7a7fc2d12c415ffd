//! Deliveries are kept for 30 days after their end, and the newest of each webhook for longer.

use super::reactions::{PAGE, first, leaf};
use super::{Webhook, WebhookDelivery};
use crate::engine::{JobOutcome, JobRequest, UnitOfWork, decode};
use crate::kernel::{Kind, Result, Timestamp, WebhookDeliveryId, WebhookId};
use crate::storage::{FieldKind, Filter, Find, Sort, Test, Value, id_value};
use std::collections::BTreeMap;

/// The kind of timer that removes old deliveries.
pub(super) const EXPIRE: &str = "timer.webhook_deliveries";
/// How long a delivery is kept after its end, in seconds: 30 days.
pub(super) const KEEP_SECONDS: i64 = 30 * 24 * 3600;
/// How many deliveries of a webhook are kept whatever their age, unless it was deleted.
pub(super) const KEEP_LAST: usize = 100;
/// How many are removed in one commit.
const BATCH: usize = 2 * PAGE;
/// Old ones are looked for this often, in seconds: once a day.
const EVERY_SECONDS: i64 = 24 * 3600;

/// Sees to it that the deliveries of the project are looked through, from the day on which the first of them can be old.
pub(super) fn arm(work: &mut UnitOfWork<'_>) {
    let request = JobRequest {
        queue: "timer",
        kind: EXPIRE,
        unique_key: Some(EXPIRE.to_owned()),
        order_key: None,
        payload: "{}".to_owned(),
        run_at: work.now().plus_seconds(KEEP_SECONDS),
        parked: false,
    };
    work.enqueue(request);
}

/// Removes a batch of old ones, and says when to look again: never when none are left.
pub(super) async fn expire(work: &mut UnitOfWork<'_>) -> Result<JobOutcome> {
    let now = work.now();
    let old =
        leaf("completed_at", FieldKind::Instant, Test::LessOrEqual(Value::Instant(now.plus_seconds(-KEEP_SECONDS))));
    // What is kept for being among the newest comes again at every look, and does not fill the batch.
    let mut kept: BTreeMap<WebhookId, Option<Place>> = BTreeMap::new();
    let mut find = by_time("completed_at", false, old, BATCH);
    let mut gone = Vec::new();
    loop {
        let read = work.reader();
        let found = read.storage().find(read.scope_of(Kind::WebhookDelivery), Kind::WebhookDelivery, &find).await?;
        for row in &found.rows {
            let delivery: WebhookDelivery = decode(&row.snapshot)?;
            let newest = match kept.get(&delivery.webhook_id) {
                Some(newest) => *newest,
                None => *kept.entry(delivery.webhook_id).or_insert(newest(work, delivery.webhook_id).await?),
            };
            if newest.is_none_or(|newest| place(&delivery) < newest) && gone.len() < BATCH {
                gone.push(row.snapshot.id);
            }
        }
        if gone.len() == BATCH || !found.more {
            break;
        }
        find.after = found.rows.last().map(|row| (row.keys.clone(), row.snapshot.id));
    }
    work.remove_stored(Kind::WebhookDelivery, &gone).await?;
    if gone.len() == BATCH {
        return Ok(JobOutcome::Again(now));
    }
    let any_left = first(Filter::everything(), gone.len() + 1, false);
    let is_last = work.reader().find_states::<WebhookDelivery>(&any_left).await?.len() == gone.len();
    Ok(if is_last { JobOutcome::Done { result: None } } else { JobOutcome::Again(now.plus_seconds(EVERY_SECONDS)) })
}

/// Where a delivery stands among those of its webhook: many begin at one moment.
type Place = (Timestamp, WebhookDeliveryId);

fn place(delivery: &WebhookDelivery) -> Place {
    (delivery.created_at, delivery.id)
}

/// From where on deliveries of a webhook are kept whatever their age; nowhere of a webhook that was deleted.
async fn newest(work: &UnitOfWork<'_>, webhook: WebhookId) -> Result<Option<Place>> {
    let is_there =
        work.reader().find_any::<Webhook>(webhook).await?.is_some_and(|webhook| webhook.deleted_at.is_none());
    if !is_there {
        return Ok(None);
    }
    let own = leaf("webhook_id", FieldKind::Id, Test::Equal(id_value(webhook)));
    let last: Vec<WebhookDelivery> = work.reader().find_states(&by_time("created_at", true, own, KEEP_LAST)).await?;
    Ok(last.last().map(place))
}

fn by_time(field: &str, descending: bool, filter: Filter, limit: usize) -> Find {
    let sort = vec![Sort { field: field.to_owned(), kind: FieldKind::Instant, descending }];
    Find { sort, ..first(filter, limit, false) }
}
