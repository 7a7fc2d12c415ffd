//! Sends deliveries again.

use super::super::deliver::{DELIVER, event_of};
use super::super::patterns::canonical;
use super::super::replaying::{Range, last_before, send_again};
use super::super::{DeliveryKind, DeliveryStatus, Webhook, WebhookDelivery, WebhookEvent};
use crate::engine::{Command, Root, UnitOfWork};
use crate::infrastructure::job::check_backlog;
use crate::kernel::{Error, ErrorCode, Permission, Result, Timestamp, WebhookDeliveryId, WebhookId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const MAX_DELIVERIES: usize = 500;
const MAX_SECONDS: i64 = 7 * 24 * 3600;
const MAX_REPLAYED: u64 = 100_000;

/// Sends deliveries again, with the same `webhook-id`, so that a receiver can tell that it knows them.
///
/// Either named ones, or those of all events that were recorded in a range of time; of the latter also events that have no delivery
/// yet, for example from before the webhook was made. What still waits is left alone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayWebhook {
    pub id: WebhookId,
    /// 1 to 500 deliveries; instead of a range.
    #[serde(default)]
    pub delivery_ids: Vec<WebhookDeliveryId>,
    /// The beginning of the range, which is part of it.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// The end of the range, which is not part of it; at most 7 days later.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Of the range only deliveries that ended so.
    #[serde(default)]
    pub status: Option<DeliveryStatus>,
    /// Of the range only these of the types that the webhook wants; as `event_types` of the webhook.
    #[serde(default)]
    pub event_types: Vec<String>,
}

/// What is sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayedWebhook {
    pub delivery_count: u64,
}

impl Command for ReplayWebhook {
    const NAME: &'static str = "webhooks.replay";
    const PERMISSION: Permission = Permission::WebhooksManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::WebhookNotFound,
        ErrorCode::WebhookDeliveryNotFound,
        ErrorCode::WebhookEventExpired,
        ErrorCode::WebhookInactive,
        ErrorCode::WebhookRangeInvalid,
        ErrorCode::WebhookReplayLimit,
        ErrorCode::WebhookEventPatternInvalid,
        ErrorCode::WebhookEventUnknown,
        ErrorCode::WebhookEventNotDeliverable,
        ErrorCode::WebhookPatternLimit,
        ErrorCode::BatchTooLarge,
        ErrorCode::JobBacklogFull,
    ];
    type Output = ReplayedWebhook;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<ReplayedWebhook> {
        let mut webhook = work.load::<Webhook>(self.id).await?;
        if !webhook.active {
            return Err(ErrorCode::WebhookInactive.into());
        }
        let (delivery_count, cycle) = if self.delivery_ids.is_empty() {
            (self.send_range(work, &webhook).await?, 0)
        } else {
            self.send_named(work, &webhook).await?
        };
        if delivery_count > 0 {
            let Self { from, until, .. } = self;
            webhook.record(WebhookEvent::Replayed { delivery_count, cycle, from, until });
        }
        work.save(webhook)?;
        Ok(ReplayedWebhook { delivery_count })
    }
}

impl ReplayWebhook {
    async fn send_named(&self, work: &mut UnitOfWork<'_>, webhook: &Root<Webhook>) -> Result<(u64, u32)> {
        if self.from.is_some() || self.until.is_some() {
            return Err(Error::new(ErrorCode::WebhookRangeInvalid)
                .message("deliveries or a range, not both")
                .at("from"));
        }
        let ids: BTreeSet<WebhookDeliveryId> = self.delivery_ids.iter().copied().collect();
        if ids.len() > MAX_DELIVERIES {
            return Err(Error::new(ErrorCode::BatchTooLarge).at("delivery_ids").with("max", MAX_DELIVERIES));
        }
        check_backlog(work, DELIVER, ids.len()).await?;
        let (mut count, mut cycle) = (0, 0);
        for id in ids {
            let known = work.reader().find_any::<WebhookDelivery>(id).await?;
            let known = known.filter(|known| known.webhook_id == webhook.id && known.kind == DeliveryKind::Event);
            let unknown = || Error::new(ErrorCode::WebhookDeliveryNotFound).with("id", id).at("delivery_ids");
            let known = known.ok_or_else(unknown)?;
            let expired = || Error::new(ErrorCode::WebhookEventExpired).with("id", id).at("delivery_ids");
            let event = event_of(work.reader(), known.event_id).await?.ok_or_else(expired)?;
            if known.status.is_final() {
                cycle = cycle.max(send_again(work, webhook.id, &event, Some(known)).await?);
                count += 1;
            }
        }
        Ok((count, cycle))
    }

    async fn send_range(&self, work: &mut UnitOfWork<'_>, webhook: &Root<Webhook>) -> Result<u64> {
        let invalid = |field: &str| Error::new(ErrorCode::WebhookRangeInvalid).at(field);
        let from = self.from.ok_or_else(|| invalid("from"))?;
        let until = self.until.ok_or_else(|| invalid("until"))?;
        if until <= from || until.seconds_since(from) > MAX_SECONDS {
            return Err(invalid("until"));
        }
        let range = Range {
            webhook_id: webhook.id,
            after: last_before(work.reader(), from).await?,
            until: last_before(work.reader(), until).await?,
            status: self.status,
            event_types: canonical(&self.event_types).map_err(|e| e.at("event_types"))?,
        };
        let count = range.count(work.reader(), webhook, MAX_REPLAYED).await?;
        if count > MAX_REPLAYED {
            return Err(Error::new(ErrorCode::WebhookReplayLimit).with("max", MAX_REPLAYED));
        }
        if count > 0 {
            check_backlog(work, DELIVER, usize::try_from(count).unwrap_or(usize::MAX)).await?;
            let key = format!("webhook.replay:{}:{}", webhook.id, work.new_id::<WebhookDeliveryId>());
            range.start(work, key)?;
        }
        Ok(count)
    }
}
