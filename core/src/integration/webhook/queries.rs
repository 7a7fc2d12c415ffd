//! Questions about webhooks and their deliveries.

use super::commands::sample_of;
use super::deliver::event_of;
use super::patterns::matches;
use super::reactions::{first, leaf};
use super::{DeliveryKind, DeliveryStatus, Webhook, WebhookDelivery, WebhookEndpoint, body};
use crate::engine::{CloudEvents, Query, Reader};
use crate::kernel::{Error, ErrorCode, Kind, Permission, Result, Timestamp, WebhookDeliveryId, WebhookId};
use crate::storage::{FieldKind, Filter, FilterExpression, Find, Page, PageRequest, Sort, Test, Value, id_value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::collections::BTreeMap;

/// More webhooks than a project can have.
const LIMIT: usize = 1_000;
/// Deliveries beyond this number are not looked at.
const MAX_LOOKED_AT: usize = 10_000;
const BATCH: usize = 500;

/// A webhook with how its receiver does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookDetails {
    #[serde(flatten)]
    pub webhook: Webhook,
    /// Null until the webhook has heard of its first event.
    pub endpoint: Option<WebhookEndpoint>,
}

/// A webhook by its id, with how its receiver does. Its secrets are not shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetWebhook {
    pub id: WebhookId,
}

impl Query for GetWebhook {
    const NAME: &'static str = "webhooks.get";
    const PERMISSION: Permission = Permission::WebhooksView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::WebhookNotFound];
    type Output = WebhookDetails;

    async fn run(self, read: &Reader<'_>) -> Result<WebhookDetails> {
        let webhook: Webhook = read.get(self.id).await?;
        let endpoint = read.find_any::<WebhookEndpoint>(self.id).await?;
        Ok(WebhookDetails { webhook, endpoint })
    }
}

/// Webhooks with how their receivers do. Filter: name, url, active, disabled_reason, created_at. Sort: name, created_at, updated_at.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListWebhooks {
    #[serde(flatten)]
    pub page: PageRequest,
    /// Only those a pattern of which names this type of event.
    #[serde(default)]
    pub event_type: Option<String>,
}

impl Query for ListWebhooks {
    const NAME: &'static str = "webhooks.list";
    const PERMISSION: Permission = Permission::WebhooksView;
    type Output = Page<WebhookDetails>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<WebhookDetails>> {
        let always = match &self.event_type {
            Some(event_type) => naming(read, event_type).await?,
            None => Filter::everything(),
        };
        let page = read.page_where::<Webhook>(&self.page, always).await?;
        let ids: Vec<WebhookId> = page.items.iter().map(|webhook| webhook.id).collect();
        let known = if ids.is_empty() { Vec::new() } else { read.get_many::<WebhookEndpoint>(&ids).await? };
        let mut known: BTreeMap<WebhookId, WebhookEndpoint> = known.into_iter().map(|one| (one.id, one)).collect();
        Ok(page.map(|webhook| WebhookDetails { endpoint: known.remove(&webhook.id), webhook }))
    }
}

/// A project has few webhooks: they are all read.
async fn naming(read: &Reader<'_>, event_type: &str) -> Result<Filter> {
    let all: Vec<Webhook> = read.find_states(&first(Filter::everything(), LIMIT, true)).await?;
    let names = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, event_type));
    let named = all.into_iter().filter(|webhook| names(&webhook.event_types) && !names(&webhook.exclude_event_types));
    Ok(leaf("id", FieldKind::Id, Test::In(named.map(|webhook| id_value(webhook.id)).collect())))
}

/// How many webhooks satisfy a condition.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountWebhooks {
    #[serde(default)]
    pub filter: Option<FilterExpression>,
}

impl Query for CountWebhooks {
    const NAME: &'static str = "webhooks.count";
    const PERMISSION: Permission = Permission::WebhooksView;
    type Output = u64;

    async fn run(self, read: &Reader<'_>) -> Result<u64> {
        read.count::<Webhook>(self.filter.as_ref(), Filter::everything()).await
    }
}

/// Deliveries with their last attempts, also of webhooks that are deleted. Filter: webhook_id, event_id, status, event_type, kind,
/// event_seq, created_at, cycle_started_at, completed_at, next_attempt_at. Sort: created_at.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListWebhookDeliveries {
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListWebhookDeliveries {
    const NAME: &'static str = "webhooks.list_deliveries";
    const PERMISSION: Permission = Permission::WebhooksView;
    type Output = Page<WebhookDelivery>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<WebhookDelivery>> {
        read.page(&self.page).await
    }
}

/// A delivery with what is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookDeliveryDetails {
    #[serde(flatten)]
    pub delivery: WebhookDelivery,
    /// As it would be sent now; null when the webhook is deleted, or the event is no longer in the log.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub body: Option<Map<String, serde_json::Value>>,
}

/// A delivery by its id, with its attempts and what is sent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetWebhookDelivery {
    pub id: WebhookDeliveryId,
}

impl Query for GetWebhookDelivery {
    const NAME: &'static str = "webhooks.get_delivery";
    const PERMISSION: Permission = Permission::WebhooksView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::WebhookDeliveryNotFound];
    type Output = WebhookDeliveryDetails;

    async fn run(self, read: &Reader<'_>) -> Result<WebhookDeliveryDetails> {
        let delivery: WebhookDelivery = read.get(self.id).await?;
        let webhook =
            read.find_any::<Webhook>(delivery.webhook_id).await?.filter(|webhook| webhook.deleted_at.is_none());
        let is_test = delivery.kind == DeliveryKind::Test;
        let event = if is_test { sample_of(&delivery)? } else { event_of(read, delivery.event_id).await? };
        let body = match (webhook, event) {
            (Some(webhook), Some(event)) => {
                let bytes = body::render(CloudEvents::default().write(&event)?, webhook.body_mode, is_test)?;
                let read = serde_json::from_slice(&bytes);
                Some(read.map_err(|e| Error::internal(format!("a body cannot be read: {e}")))?)
            }
            _ => None,
        };
        Ok(WebhookDeliveryDetails { delivery, body })
    }
}

/// How the deliveries of a webhook went: of those that began within a while, at most the newest 10 000.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetWebhookStats {
    pub id: WebhookId,
    /// How far to look back: 60 to 2 592 000; 86 400 unless told.
    #[serde(default)]
    pub window_seconds: Option<u32>,
}

/// Deliveries of a webhook in figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookStats {
    /// Deliveries that were looked at, by status.
    pub by_status: BTreeMap<String, u64>,
    /// Attempts by the status that the receiver answered, or by what else went wrong.
    pub by_answer: BTreeMap<String, u64>,
    /// Of deliveries that have ended, from 0 to 1; null when none has.
    pub success_rate: Option<f64>,
    /// Half of the attempts that were answered took no longer.
    pub latency_p50_ms: Option<u64>,
    /// All but a twentieth of them took no longer.
    pub latency_p95_ms: Option<u64>,
    /// What waits or is being brought now, also of earlier times.
    pub backlog: u64,
    /// Since when the oldest of them waits.
    pub oldest_pending_at: Option<Timestamp>,
    /// There are more deliveries than were looked at.
    pub has_more: bool,
}

impl Query for GetWebhookStats {
    const NAME: &'static str = "webhooks.stats";
    const PERMISSION: Permission = Permission::WebhooksView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::WebhookNotFound, ErrorCode::ValueOutOfRange];
    type Output = WebhookStats;

    async fn run(self, read: &Reader<'_>) -> Result<WebhookStats> {
        let window = self.window_seconds.unwrap_or(86_400);
        if !(60..=2_592_000).contains(&window) {
            return Err(Error::new(ErrorCode::ValueOutOfRange)
                .at("window_seconds")
                .with("min", 60)
                .with("max", 2_592_000));
        }
        read.get::<Webhook>(self.id).await?;
        let own = leaf("webhook_id", FieldKind::Id, Test::Equal(id_value(self.id)));
        let mut stats = backlog(read, &own).await?;
        let since = read.now().plus_seconds(-i64::from(window));
        let recent = own.and(leaf("created_at", FieldKind::Instant, Test::GreaterOrEqual(Value::Instant(since))));
        let newest = Sort { field: "created_at".to_owned(), kind: FieldKind::Instant, descending: true };
        let mut find = Find { sort: vec![newest], ..first(recent, BATCH, false) };
        let (mut latencies, mut seen) = (Vec::new(), 0);
        loop {
            let found = read.storage().find(read.scope_of(Kind::WebhookDelivery), Kind::WebhookDelivery, &find).await?;
            seen += found.rows.len();
            let last = found.rows.last().map(|row| (row.keys.clone(), row.snapshot.id));
            for row in found.rows {
                let delivery = read.decode::<WebhookDelivery>(row.snapshot)?;
                stats.take_in(&delivery, &mut latencies);
            }
            stats.has_more = found.more;
            if !found.more || seen >= MAX_LOOKED_AT || last.is_none() {
                break;
            }
            find.after = last;
        }
        stats.conclude(latencies);
        Ok(stats)
    }
}

async fn backlog(read: &Reader<'_>, own: &Filter) -> Result<WebhookStats> {
    let words =
        [DeliveryStatus::Pending, DeliveryStatus::InFlight].map(|status| Value::Text(status.as_str().to_owned()));
    let waiting = own.clone().and(leaf("status", FieldKind::Enum, Test::In(words.to_vec())));
    let backlog =
        read.storage().count(read.scope_of(Kind::WebhookDelivery), Kind::WebhookDelivery, &waiting, false).await?;
    let oldest = Sort { field: "created_at".to_owned(), kind: FieldKind::Instant, descending: false };
    let oldest: Vec<WebhookDelivery> =
        read.find_states(&Find { sort: vec![oldest], ..first(waiting, 1, false) }).await?;
    let oldest_pending_at = oldest.first().map(|delivery| delivery.created_at);
    Ok(WebhookStats { backlog, oldest_pending_at, ..WebhookStats::default() })
}

impl WebhookStats {
    fn take_in(&mut self, delivery: &WebhookDelivery, latencies: &mut Vec<u64>) {
        *self.by_status.entry(delivery.status.as_str().to_owned()).or_default() += 1;
        for attempt in &delivery.attempts {
            let answer = match (attempt.status_code, attempt.error_kind) {
                (Some(status), _) => {
                    latencies.push(attempt.duration_ms);
                    status.to_string()
                }
                (None, kind) => kind.map_or("", |kind| kind.as_str()).to_owned(),
            };
            *self.by_answer.entry(answer).or_default() += 1;
        }
    }

    fn conclude(&mut self, mut latencies: Vec<u64>) {
        let ended = |status: DeliveryStatus| self.by_status.get(status.as_str()).copied().unwrap_or(0);
        let good = ended(DeliveryStatus::Succeeded);
        let all = good + ended(DeliveryStatus::Failed) + ended(DeliveryStatus::Exhausted);
        self.success_rate = (all > 0).then(|| good as f64 / all as f64);
        latencies.sort_unstable();
        let at = |share: usize| latencies.get((latencies.len() * share).div_ceil(100).saturating_sub(1)).copied();
        (self.latency_p50_ms, self.latency_p95_ms) = (at(50), at(95));
    }
}

crate::operations![queries: GetWebhook, ListWebhooks, CountWebhooks, ListWebhookDeliveries, GetWebhookDelivery, GetWebhookStats];
