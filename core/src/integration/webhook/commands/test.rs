//! Tries a webhook out.

use super::super::deliver::{attempt, excerpt, request};
use super::super::expiry::arm;
use super::super::outcome::{Class, judge};
use super::super::patterns::matches;
use super::super::reactions::leaf;
use super::super::rules::guard;
use super::super::{DeliveryAttempt, DeliveryKind, DeliveryStatus, Webhook, WebhookDelivery, body};
use crate::catalogue::{EventSample, event_samples};
use crate::engine::{Command, Row, UnitOfWork};
use crate::http::HttpFailure;
use crate::kernel::{Error, ErrorCode, Kind, Permission, Result, WebhookDeliveryId, WebhookId};
use crate::storage::{EventRecord, FieldKind, Filter, ProjectIdOrNil, Test, Value, id_value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::sync::OnceLock;
use uuid::Uuid;

/// How often a webhook is tested within a minute.
const LIMIT: u64 = 10;

/// Posts a sample event to the webhook once and says how that went. The event has the attribute `test`; the webhook may be inactive,
/// and what it counts of failures does not change.
///
/// The call is made before anything is written. As a part of a transaction of several commands it is made even if they fail.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestWebhook {
    pub id: WebhookId,
    /// The first that the webhook wants, unless told.
    #[serde(default)]
    pub event_type: Option<String>,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestedWebhook {
    pub delivery_id: WebhookDeliveryId,
    pub event_type: String,
    pub succeeded: bool,
    #[serde(flatten)]
    pub attempt: DeliveryAttempt,
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
        let http = work.reader().core().http.clone().ok_or(ErrorCode::HttpNotConfigured)?;
        check_limit(work, self.id).await?;
        let event = sample(work, &webhook, self.event_type.as_deref())?;
        let now = work.now();
        let mut delivery = WebhookDelivery::of_event(self.id, &event, now);
        delivery.id = WebhookDeliveryId::from_uuid(event.id);
        delivery.kind = DeliveryKind::Test;
        delivery.webhook_message_id = format!("test_{}", delivery.id);
        let body = body::render(crate::engine::CloudEvents::default().write(&event)?, webhook.body_mode, true)?;
        let request = request(work.reader(), &webhook, &delivery, body, now).await?;
        delivery.body_sha256 = Some(crate::channels::gateway::normalised::hex(&Sha256::digest(&request.body)));
        delivery.body_size = Some(request.body.len() as u64);
        let started = work.reader().core().now();
        let answer = match guard(work.reader()).check_url(&webhook.url) {
            Ok(()) => http.send(request).await,
            Err(blocked) => Err(HttpFailure::Blocked { reason: blocked.as_str().to_owned() }),
        };
        let ended = work.reader().core().now();
        let judged = judge(&answer, ended);
        let said = match &answer {
            Ok(response) => Some((response, excerpt(work.reader(), &webhook, response).await?)),
            Err(_) => None,
        };
        let attempt = attempt(&webhook, &delivery, started, ended, &judged, said);
        let succeeded = judged.class == Class::Succeeded;
        delivery.attempt_count = 1;
        delivery.remember(attempt.clone());
        delivery.end(if succeeded { DeliveryStatus::Succeeded } else { DeliveryStatus::Failed }, ended);
        let delivery = work.put_row(Row::new(delivery))?;
        arm(work);
        Ok(TestedWebhook { delivery_id: delivery.id, event_type: delivery.event_type, succeeded, attempt })
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

/// An event as it could be, of a named type or of the first that the webhook wants.
fn sample(work: &UnitOfWork<'_>, webhook: &Webhook, event_type: Option<&str>) -> Result<EventRecord> {
    static SAMPLES: OnceLock<Vec<EventSample>> = OnceLock::new();
    let samples = SAMPLES.get_or_init(event_samples);
    let wanted = |sample: &&EventSample| webhook.event_types.iter().any(|pattern| matches(pattern, sample.event_type));
    let sample = match event_type {
        Some(name) => samples.iter().find(|sample| sample.event_type == name),
        None => {
            samples.iter().find(wanted).or_else(|| samples.iter().find(|sample| sample.event_type == "contact.created"))
        }
    };
    let sample = sample.ok_or_else(|| Error::new(ErrorCode::WebhookEventUnknown).at("event_type"))?;
    let raw = |value: serde_json::Result<Box<RawValue>>| value.map_err(|e| Error::internal(e.to_string()));
    let id: WebhookDeliveryId = work.new_id();
    Ok(EventRecord {
        id: id.uuid(),
        event_type: sample.event_type.to_owned(),
        schema_version: sample.version,
        aggregate_kind: sample.kind,
        aggregate_id: work.new_id::<WebhookDeliveryId>().uuid(),
        aggregate_version: 1,
        project_id: ProjectIdOrNil(work.project()),
        seq: 0,
        position: 0,
        commit_id: Uuid::nil(),
        occurred_at: work.now(),
        recorded_at: work.now(),
        actor: raw(serde_json::value::to_raw_value(work.actor()))?,
        source: "system".to_owned(),
        command: None,
        correlation_id: id.uuid(),
        causation_id: None,
        subjects: Vec::new(),
        data: raw(serde_json::value::to_raw_value(&sample.event))?,
        metadata: None,
        redacted_at: None,
    })
}
