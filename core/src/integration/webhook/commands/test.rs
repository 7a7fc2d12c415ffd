//! Tries a webhook out.

use super::super::expiry::arm;
use super::super::patterns::matches;
use super::super::reactions::{enqueue, leaf};
use super::super::secrets::{open_headers, open_keys};
use super::super::{DeliveryKind, DeliveryStatus, Webhook, WebhookDelivery};
use crate::catalogue::{EventSample, event_samples};
use crate::engine::{Command, Row, UnitOfWork};
use crate::kernel::{ActorRef, Component, Error, ErrorCode, Kind, Permission, Result, WebhookDeliveryId, WebhookId};
use crate::storage::{EventRecord, FieldKind, Filter, ProjectIdOrNil, Test, Value, id_value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::OnceLock;
use uuid::Uuid;

/// How often a webhook is tested within a minute.
const LIMIT: u64 = 10;

/// Posts a sample event to the webhook once, on the way that its deliveries go: as a job, after this has been stored. The event has
/// the attribute `test`; the webhook may be inactive, and neither its rate nor what it counts of failures has a part in it.
///
/// The answer names the delivery, which is pending. How it went is in `webhooks.get_delivery` as soon as the background work has run:
/// `succeeded` or `failed`, with one attempt. At most 10 a minute.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestWebhook {
    pub id: WebhookId,
    /// The first that the webhook wants, unless told.
    #[serde(default)]
    pub event_type: Option<String>,
}

/// A test that is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestedWebhook {
    pub delivery_id: WebhookDeliveryId,
    pub event_type: String,
    /// `pending`: read the delivery for its end.
    pub status: DeliveryStatus,
}

impl Command for TestWebhook {
    const NAME: &'static str = "webhooks.test";
    const PERMISSION: Permission = Permission::WebhooksManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::WebhookNotFound,
        ErrorCode::WebhookTestLimit,
        ErrorCode::WebhookEventUnknown,
        ErrorCode::HttpNotConfigured,
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = TestedWebhook;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<TestedWebhook> {
        let webhook = work.load::<Webhook>(self.id).await?.shared();
        if !work.reader().core().has_http() {
            return Err(ErrorCode::HttpNotConfigured.into());
        }
        check_limit(work, self.id).await?;
        let event_type = wanted(&webhook, self.event_type.as_deref())?;
        // What cannot be signed is told here, and not by a job that fails.
        open_keys(work.reader(), &webhook, work.now()).await?;
        open_headers(work.reader(), &webhook).await?;
        let id: WebhookDeliveryId = work.new_id();
        let delivery = work.put_row(Row::new(WebhookDelivery::of_test(&webhook, id, event_type, work.now())))?;
        enqueue(work, &delivery, id.uuid())?;
        arm(work);
        Ok(TestedWebhook { delivery_id: delivery.id, event_type: delivery.event_type, status: delivery.status })
    }
}

async fn check_limit(work: &UnitOfWork<'_>, id: WebhookId) -> Result<()> {
    let since = work.now().plus_seconds(-60);
    let recent = Filter::All(vec![
        leaf("webhook_id", FieldKind::Id, Test::Equal(id_value(id))),
        leaf("kind", FieldKind::Enum, Test::Equal(Value::Text(DeliveryKind::Test.as_str().to_owned()))),
        leaf("created_at", FieldKind::Instant, Test::Greater(Value::Instant(since))),
    ]);
    let read = work.reader();
    let count =
        read.storage().count(read.scope_of(Kind::WebhookDelivery), Kind::WebhookDelivery, &recent, false).await?;
    if count >= LIMIT { Err(Error::new(ErrorCode::WebhookTestLimit).with("max", LIMIT)) } else { Ok(()) }
}

fn samples() -> &'static [EventSample] {
    static SAMPLES: OnceLock<Vec<EventSample>> = OnceLock::new();
    SAMPLES.get_or_init(event_samples)
}

/// The named type, or the first that the webhook wants.
fn wanted(webhook: &Webhook, event_type: Option<&str>) -> Result<&'static str> {
    let is_wanted = |sample: &&EventSample| webhook.event_types.iter().any(|own| matches(own, sample.event_type));
    let found = match event_type {
        Some(name) => samples().iter().find(|sample| sample.event_type == name),
        None => {
            let usual = || samples().iter().find(|sample| sample.event_type == "contact.created");
            samples().iter().find(is_wanted).or_else(usual)
        }
    };
    let found = found.ok_or_else(|| Error::new(ErrorCode::WebhookEventUnknown).at("event_type"))?;
    Ok(found.event_type)
}

/// The event that a test delivers: as it could be, and the same at every look. None when this build has no such type.
pub(in super::super) fn sample_of(delivery: &WebhookDelivery) -> Result<Option<EventRecord>> {
    let Some(sample) = samples().iter().find(|sample| sample.event_type == delivery.event_type) else {
        return Ok(None);
    };
    let raw = |value: serde_json::Result<Box<RawValue>>| value.map_err(|e| Error::internal(e.to_string()));
    let id = delivery.event_id.uuid();
    Ok(Some(EventRecord {
        id,
        event_type: sample.event_type.to_owned(),
        schema_version: sample.version,
        aggregate_kind: sample.kind,
        aggregate_id: Uuid::new_v5(&id, b"aggregate"),
        aggregate_version: 1,
        project_id: ProjectIdOrNil(delivery.project_id),
        seq: 0,
        position: 0,
        commit_id: Uuid::nil(),
        occurred_at: delivery.created_at,
        recorded_at: delivery.created_at,
        actor: raw(serde_json::value::to_raw_value(&ActorRef::system(Component::Webhook)))?,
        source: "system".to_owned(),
        command: None,
        correlation_id: id,
        causation_id: None,
        subjects: Vec::new(),
        data: raw(serde_json::value::to_raw_value(&sample.event))?,
        metadata: None,
        redacted_at: None,
    }))
}
