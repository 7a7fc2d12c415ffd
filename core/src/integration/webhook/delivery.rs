//! The record of bringing one event to one webhook. It is written at every attempt and no event tells of it.

use super::{AttemptErrorKind, DeliveryKind, DeliveryStatus, Webhook};
use crate::engine::{Aggregate, Event, Meta, Record};
use crate::kernel::{ErrorCode, EventId, Kind, ProjectId, Timestamp, WebhookDeliveryId, WebhookId};
use crate::storage::{Column, EventRecord, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How many attempts a delivery remembers.
const MAX_ATTEMPTS_KEPT: usize = 20;

/// One try to bring a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryAttempt {
    /// 1 for the first of its cycle. An answer that says "later" (429) is told and not counted.
    pub n: u32,
    pub cycle: u32,
    pub started_at: Timestamp,
    pub duration_ms: u64,
    pub status_code: Option<u16>,
    /// Null when the receiver took it.
    pub error_kind: Option<AttemptErrorKind>,
    /// The first 4 KiB of the answer. Values of headers that are secrets are blotted out.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub response_excerpt: Option<String>,
    pub url_host: String,
    /// The address that was connected to.
    pub ip: Option<String>,
}

impl DeliveryAttempt {
    /// What went wrong in a few words, without anything that was sent: `status 500`, `timeout`.
    pub(super) fn told(&self) -> String {
        match (self.error_kind, self.status_code) {
            (Some(AttemptErrorKind::Status), Some(status)) => format!("status {status}"),
            (Some(kind), _) => kind.as_str().to_owned(),
            (None, _) => String::new(),
        }
    }
}

/// One event on its way to one webhook, with its attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookDelivery {
    pub id: WebhookDeliveryId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub webhook_id: WebhookId,
    /// Of a test, an id of its own.
    pub event_id: EventId,
    pub kind: DeliveryKind,
    /// The header `webhook-id`, the same for every attempt and every replay.
    pub webhook_message_id: String,
    pub event_type: String,
    /// Its number in the project's log; 0 of a test.
    pub event_seq: u64,
    pub status: DeliveryStatus,
    /// Attempts of this cycle that count.
    pub attempt_count: u32,
    /// 1, and one more for every replay.
    pub cycle: u32,
    pub cycle_started_at: Timestamp,
    /// When it goes out next, at the earliest; null when nothing more happens by itself.
    pub next_attempt_at: Option<Timestamp>,
    /// The last 20.
    pub attempts: Vec<DeliveryAttempt>,
    /// Of the last body that was sent, in hexadecimal.
    pub body_sha256: Option<String>,
    pub body_size: Option<u64>,
    /// When the running attempt began.
    pub started_at: Option<Timestamp>,
    /// Its turn in the webhook's rate has come, so that it takes no other one.
    pub has_turn: bool,
    /// Since when it waits for its project to be active again.
    pub held_since: Option<Timestamp>,
    /// Since when the receiver answers nothing but "later" (429).
    pub limited_since: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub completed_at: Option<Timestamp>,
}

impl WebhookDelivery {
    /// The id of the delivery of an event: there is one per webhook.
    pub(super) fn id_of(webhook: WebhookId, event: Uuid) -> WebhookDeliveryId {
        WebhookDeliveryId::from_uuid(Uuid::new_v5(&webhook.uuid(), event.as_bytes()))
    }

    /// A delivery that waits for its first attempt.
    pub(super) fn of_event(webhook: WebhookId, event: &EventRecord, now: Timestamp) -> Self {
        WebhookDelivery {
            id: Self::id_of(webhook, event.id),
            project_id: event.project_id.0,
            version: 0,
            revision: 0,
            webhook_id: webhook,
            event_id: EventId::from_uuid(event.id),
            kind: DeliveryKind::Event,
            webhook_message_id: format!("evt_{}", event.id.simple()),
            event_type: event.event_type.clone(),
            event_seq: event.seq,
            status: DeliveryStatus::Pending,
            attempt_count: 0,
            cycle: 1,
            cycle_started_at: now,
            next_attempt_at: Some(now),
            attempts: Vec::new(),
            body_sha256: None,
            body_size: None,
            started_at: None,
            has_turn: false,
            held_since: None,
            limited_since: None,
            created_at: now,
            updated_at: now,
            completed_at: None,
        }
    }

    /// A test that waits for its only attempt: its event is a sample, and not in the log.
    pub(super) fn of_test(webhook: &Webhook, id: WebhookDeliveryId, event_type: &str, now: Timestamp) -> Self {
        WebhookDelivery {
            id,
            project_id: webhook.project_id,
            version: 0,
            revision: 0,
            webhook_id: webhook.id,
            event_id: EventId::from_uuid(id.uuid()),
            kind: DeliveryKind::Test,
            webhook_message_id: format!("test_{id}"),
            event_type: event_type.to_owned(),
            event_seq: 0,
            status: DeliveryStatus::Pending,
            attempt_count: 0,
            cycle: 1,
            cycle_started_at: now,
            next_attempt_at: Some(now),
            attempts: Vec::new(),
            body_sha256: None,
            body_size: None,
            started_at: None,
            has_turn: false,
            held_since: None,
            limited_since: None,
            created_at: now,
            updated_at: now,
            completed_at: None,
        }
    }

    /// Waits again, in a cycle of its own.
    pub(super) fn begin_again(&mut self, now: Timestamp) {
        self.status = DeliveryStatus::Pending;
        self.cycle += 1;
        self.cycle_started_at = now;
        self.attempt_count = 0;
        self.next_attempt_at = Some(now);
        self.completed_at = None;
        self.started_at = None;
        self.has_turn = false;
        self.held_since = None;
        self.limited_since = None;
    }

    /// Waits until then.
    pub(super) fn wait_until(&mut self, at: Timestamp, has_turn: bool) {
        self.status = DeliveryStatus::Pending;
        self.started_at = None;
        self.next_attempt_at = Some(at);
        self.has_turn = has_turn;
    }

    /// Nothing more happens by itself.
    pub(super) fn end(&mut self, status: DeliveryStatus, now: Timestamp) {
        self.status = status;
        self.started_at = None;
        self.next_attempt_at = None;
        self.completed_at = Some(now);
    }

    /// Remembers an attempt.
    pub(super) fn remember(&mut self, attempt: DeliveryAttempt) {
        self.attempts.push(attempt);
        let old = self.attempts.len().saturating_sub(MAX_ATTEMPTS_KEPT);
        self.attempts.drain(..old);
    }

    /// Forgets what receivers answered; false when there is nothing to forget.
    pub(crate) fn forget_answers(&mut self) -> bool {
        let known = self.attempts.iter_mut().filter_map(|attempt| attempt.response_excerpt.take());
        known.count() > 0
    }

    /// The name of its job.
    pub(super) fn job_key(&self) -> String {
        format!("wh:{}:{}", self.webhook_id, self.event_id)
    }
}

impl Aggregate for WebhookDelivery {
    const KIND: Kind = Kind::WebhookDelivery;
    const NOT_FOUND: ErrorCode = ErrorCode::WebhookDeliveryNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("webhook_id", FieldKind::Id),
        Column::new("event_id", FieldKind::Id),
        Column::new("status", FieldKind::Enum),
        Column::new("event_type", FieldKind::Enum),
        Column::new("kind", FieldKind::Enum),
        Column::new("event_seq", FieldKind::Number),
        Column::new("created_at", FieldKind::Instant).sortable(),
        Column::new("cycle_started_at", FieldKind::Instant),
        Column::new("completed_at", FieldKind::Instant),
        Column::new("next_attempt_at", FieldKind::Instant),
    ];
    const INDEXES: &'static [&'static [&'static str]] =
        &[&["webhook_id", "created_at"], &["webhook_id", "status"], &["status"], &["event_id"], &["completed_at"]];
    type Id = WebhookDeliveryId;

    fn create(_event: &Event, _meta: &Meta<'_>) -> Option<Self> {
        None
    }

    fn apply(&mut self, _event: &Event, _meta: &Meta<'_>) {}

    fn index(&self, index: &mut Index) {
        index.id("webhook_id", Some(self.webhook_id));
        index.id("event_id", Some(self.event_id));
        index.column("status", self.status.as_str());
        index.column("event_type", self.event_type.as_str());
        index.column("kind", self.kind.as_str());
        index.column("event_seq", self.event_seq);
        index.column("created_at", self.created_at);
        index.column("cycle_started_at", self.cycle_started_at);
        index.column("completed_at", self.completed_at);
        index.column("next_attempt_at", self.next_attempt_at);
    }

    crate::base_fields!();
}

impl Record for WebhookDelivery {}
