//! How deliveries get in: at once (`inbound.ingest`), durably and later (`inbound.accept`), or from a public endpoint
//! (`inbound.receive_webhook`). All three end in the same steps.

use super::intake::Intake;
use super::outcome::{IgnoredBecause, Outcome, ParkedBecause};
use super::{changes, echo, message, targets};
use crate::channels::channel::Channel;
use crate::channels::channel_type::ChannelType;
use crate::channels::gateway::{
    GatewayContext, Headers, IgnoredReason, InboundItem, Normalised, UnknownReason, Verification, adapter,
};
use crate::engine::{Command, JobOutcome, JobRequest, JobType, OperationScope, UnitOfWork};
use crate::kernel::{ChannelId, Component, Error, ErrorCode, ErrorKind, JobId, Permission, Result, Timestamp};
use crate::operations;
use crate::storage::{JobQuery, JobRecord, Scope};
use crate::tenancy::access;
use crate::tenancy::project::Project;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The largest delivery, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The queue of deliveries that were accepted or wait.
pub const QUEUE: &str = "inbound";
/// An echo is looked for again after this many seconds, for a minute.
const ECHO_RETRY_SECONDS: i64 = 5;
const ECHO_WAIT_SECONDS: i64 = 60;
/// What arrives while a line or its project is switched off waits for the activation, at most this long: a year.
const OFF_WAIT_SECONDS: i64 = 365 * 24 * 3600;
/// A delivery that fails is tried this often.
const MAX_ATTEMPTS: u32 = 10;

/// A provider's payload as it came: JSON, or text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RawBody(pub String);

impl<'de> Deserialize<'de> for RawBody {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
        Ok(RawBody(match raw.get().starts_with('"') {
            true => serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?,
            false => raw.get().to_owned(),
        }))
    }
}

impl JsonSchema for RawBody {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RawBody".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "A provider's payload as it came: a JSON value, or its text.", "x-raw": true})
    }
}

/// Takes in what a channel delivered and says what became of each item: who wrote, in which chat and session, whether
/// it is new.
///
/// Give `raw`, the provider's payload as it came, which the channel's gateway reads; or `item`, already normalised. One
/// payload is one commit. The same input again changes nothing, in any order.
///
/// Limits: 1 MiB (`payload_too_large`). A payload that cannot be read gives `rejected`, not an error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    pub channel_id: ChannelId,
    /// The provider's payload.
    #[serde(default)]
    pub raw: Option<RawBody>,
    /// A normalised item, for channels whose gateway is the host's own.
    #[serde(default)]
    pub item: Option<InboundItem>,
    /// The headers of the delivery, where the provider puts something into them.
    #[serde(default)]
    pub headers: Headers,
    /// When it was received; default: now.
    #[serde(default)]
    pub received_at: Option<Timestamp>,
}

impl Command for Ingest {
    const NAME: &'static str = "inbound.ingest";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ChannelNotFound,
        ErrorCode::InboundItemInvalid,
        ErrorCode::PayloadTooLarge,
        ErrorCode::GatewayNotRegistered,
        ErrorCode::TimestampInFuture,
        ErrorCode::LocationRequired,
        ErrorCode::IdentifierRequired,
        ErrorCode::WhatsappIdInvalid,
        ErrorCode::WhatsappGroupId,
    ];
    type Output = Vec<Outcome>;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Vec<Outcome>> {
        let received_at = match self.received_at {
            Some(at) if at > work.now().plus_seconds(300) => {
                return Err(Error::new(ErrorCode::TimestampInFuture).at("received_at"));
            }
            Some(at) => at,
            None => work.now(),
        };
        let line = Line::load(work, self.channel_id).await?;
        let field = if self.raw.is_some() { "raw" } else { "item" };
        let normalised = match (self.raw, self.item) {
            (Some(raw), None) => line.read(&raw.0, &self.headers, received_at)?,
            (None, Some(item)) => {
                let mut normalised = Normalised::new(item.provider().provider_event_id.as_deref(), b"");
                normalised.push(item);
                normalised
            }
            _ => {
                return Err(Error::new(ErrorCode::InboundItemInvalid).message("give either raw or item").at("raw"));
            }
        };
        let outcomes = line.take_in(work, normalised, received_at).await;
        outcomes.map_err(|e| if e.kind() == ErrorKind::Validation { e.at(field) } else { e })
    }
}

/// Stores a delivery and returns at once; it is worked off in the background, in order within a chat. For providers
/// that want an answer within a moment and repeat what was not answered.
///
/// The same delivery again gives the same id while it is kept. What cannot be read becomes one dead row.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    pub channel_id: ChannelId,
    /// The provider's payload, at most 1 MiB. The host has authenticated it.
    pub raw: RawBody,
    #[serde(default)]
    pub headers: Headers,
}

/// Where an accepted delivery is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    pub id: JobId,
    /// False: the same delivery was accepted before.
    pub is_new: bool,
}

impl Command for Accept {
    const NAME: &'static str = "inbound.accept";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ChannelNotFound, ErrorCode::PayloadTooLarge, ErrorCode::GatewayNotRegistered];
    type Output = Accepted;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Accepted> {
        let line = Line::load(work, self.channel_id).await?;
        line.accept(work, self.raw, self.headers).await
    }
}

/// Answers a provider's call to the public address of a channel: finds the channel by the token of the address, checks
/// the signature and stores the delivery. Send the returned status and body back to the provider.
///
/// 200 stored, 401 signature wrong, 404 unknown address, 413 larger than 1 MiB.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiveWebhook {
    /// The last segment of the address.
    pub token: String,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub headers: Headers,
    #[serde(default)]
    pub query: Headers,
    pub body: RawBody,
}

/// What to answer to the provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookReply {
    pub status: u16,
    pub body: String,
}

impl WebhookReply {
    fn of(status: u16) -> Self {
        WebhookReply { status, body: "{}".to_owned() }
    }
}

impl Command for ReceiveWebhook {
    const NAME: &'static str = "inbound.receive_webhook";
    const PERMISSION: Permission = Permission::ChannelsManage;
    const SCOPE: OperationScope = OperationScope::System;
    type Output = WebhookReply;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<WebhookReply> {
        let channel = crate::channels::channel::queries::by_webhook_token(work.reader(), &self.token).await?;
        let Some(channel) = channel else { return Ok(WebhookReply::of(404)) };
        if self.body.0.len() > MAX_BODY_BYTES {
            return Ok(WebhookReply::of(413));
        }
        work.enter_project(channel.project_id);
        let line = match Line::load(work, channel.id).await {
            Ok(line) => line,
            Err(error) if matches!(error.code(), ErrorCode::ChannelNotFound | ErrorCode::ProjectNotFound) => {
                return Ok(WebhookReply::of(404));
            }
            Err(error) => return Err(error),
        };
        let Some(adapter) = adapter(&line.channel_type.gateway) else { return Ok(WebhookReply::of(404)) };
        let mut context = line.gateway_context(work.now());
        context.webhook_hmac_key = line.channel.secret(work.reader(), "webhook_hmac_key").await?;
        if let Verification::Rejected { .. } = adapter.verify(&context, &self.headers, self.body.0.as_bytes()) {
            return Ok(WebhookReply::of(401));
        }
        line.accept(work, self.body, self.headers).await?;
        Ok(WebhookReply::of(200))
    }
}

operations![commands: Ingest, Accept, ReceiveWebhook];

/// A delivery as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeptDelivery {
    pub channel_id: ChannelId,
    pub raw: String,
    #[serde(default)]
    pub headers: Headers,
    pub received_at: Timestamp,
}

/// An item that waits for something other than a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeptItem {
    pub channel_id: ChannelId,
    pub item: InboundItem,
    pub received_at: Timestamp,
}

/// The jobs of the intake.
pub const JOBS: &[JobType] = &[
    JobType {
        kind: "inbound.delivery",
        queue: QUEUE,
        component: Component::Channel,
        max_attempts: MAX_ATTEMPTS,
        run: |work, job| Box::pin(run_delivery(work, job)),
    },
    JobType {
        kind: "inbound.item",
        queue: QUEUE,
        component: Component::Channel,
        max_attempts: MAX_ATTEMPTS,
        run: |work, job| Box::pin(run_item(work, job)),
    },
    JobType {
        kind: targets::KIND,
        queue: targets::QUEUE,
        component: Component::Channel,
        max_attempts: MAX_ATTEMPTS,
        run: |work, job| Box::pin(run_target(work, job)),
    },
];

/// A channel with everything that reading its deliveries needs.
pub(in crate::conversations) struct Line {
    pub project: Arc<Project>,
    pub channel: Arc<Channel>,
    pub channel_type: Arc<ChannelType>,
}

impl Line {
    pub async fn load(work: &mut UnitOfWork<'_>, id: ChannelId) -> Result<Line> {
        let channel = work.load::<Channel>(id).await?.shared();
        let project = access::current(work.reader()).await?.ok_or(ErrorCode::ProjectNotFound)?;
        let channel_type = work.by_key::<ChannelType>(ChannelType::CODE_SPACE, "", &channel.channel_type).await?;
        let unknown = || Error::new(ErrorCode::ChannelTypeNotFound).with("code", channel.channel_type.as_str());
        let channel_type = channel_type.ok_or_else(unknown)?.shared();
        Ok(Line { project, channel, channel_type })
    }

    pub fn intake(&self, received_at: Timestamp) -> Intake<'_> {
        let Line { project, channel, channel_type } = self;
        Intake { project, channel, channel_type, received_at, last_try: false }
    }

    pub fn gateway_context(&self, now: Timestamp) -> GatewayContext {
        let mut context = match &self.channel.external_id {
            Some(external_id) => GatewayContext::new(external_id.as_str(), now),
            None => GatewayContext::any(now),
        };
        context.identity = self.channel.identity.clone().unwrap_or_default();
        context.base_urls = ["base_url", "media_base_url"]
            .iter()
            .filter_map(|key| self.channel.config.get(*key).and_then(|value| value.as_str()).map(str::to_owned))
            .collect();
        context
    }

    fn read(&self, raw: &str, headers: &Headers, received_at: Timestamp) -> Result<Normalised> {
        if raw.len() > MAX_BODY_BYTES {
            return Err(Error::new(ErrorCode::PayloadTooLarge)
                .at("raw")
                .with("max", MAX_BODY_BYTES)
                .with("current", raw.len()));
        }
        let Some(adapter) = adapter(&self.channel_type.gateway) else {
            return Err(Error::new(ErrorCode::GatewayNotRegistered)
                .at("raw")
                .with("gateway", self.channel_type.gateway.as_str()));
        };
        Ok(adapter.normalise(&self.gateway_context(received_at), headers, raw.as_bytes()))
    }

    /// Works off what a delivery contained; one outcome for each item and for each part that was left out.
    async fn take_in(
        &self,
        work: &mut UnitOfWork<'_>,
        normalised: Normalised,
        received_at: Timestamp,
    ) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(normalised.items.len() + normalised.ignored.len());
        for item in &normalised.items {
            outcomes.push(self.take_item(work, item, received_at).await?);
        }
        for ignored in &normalised.ignored {
            let reason = match ignored.reason {
                IgnoredReason::WrongSession => IgnoredBecause::WrongSession,
                IgnoredReason::StatusBroadcast => IgnoredBecause::StatusBroadcast,
                _ => IgnoredBecause::ProtocolMessage,
            };
            outcomes.push(Outcome::Ignored { reason });
        }
        Ok(outcomes)
    }

    async fn take_item(
        &self,
        work: &mut UnitOfWork<'_>,
        item: &InboundItem,
        received_at: Timestamp,
    ) -> Result<Outcome> {
        if !self.channel.accepts_inbound()
            && !matches!(item, InboundItem::ConnectionStatus(_) | InboundItem::Identity(_))
        {
            self.keep(work, item, received_at, &self.key_prefix(), OFF_WAIT_SECONDS, true)?;
            return Ok(Outcome::Parked { reason: ParkedBecause::ChannelInactive });
        }
        let outcome = self.apply(work, item, received_at, false).await?;
        match outcome {
            Outcome::Parked { reason: ParkedBecause::OwnSendInFlight } => {
                let chat = item.chat().map_or("", |chat| chat.external_id.as_str());
                let key = echo::key_prefix(self.channel.id, chat);
                self.keep(work, item, received_at, &key, ECHO_RETRY_SECONDS, false)?;
            }
            Outcome::Parked { reason: ParkedBecause::ProjectInactive } => {
                self.keep(work, item, received_at, &self.key_prefix(), OFF_WAIT_SECONDS, true)?;
            }
            _ => {}
        }
        Ok(outcome)
    }

    async fn apply(
        &self,
        work: &mut UnitOfWork<'_>,
        item: &InboundItem,
        received_at: Timestamp,
        last_try: bool,
    ) -> Result<Outcome> {
        let intake = Intake { last_try, ..self.intake(received_at) };
        match item {
            InboundItem::Message(message) => message::record(work, &intake, message).await,
            InboundItem::Ack(_) | InboundItem::Reaction(_) | InboundItem::Edit(_) | InboundItem::Revoke(_) => {
                targets::apply_or_park(work, &intake, item).await
            }
            InboundItem::Unknown(unknown) if unknown.reason == UnknownReason::UnknownKind => {
                Ok(Outcome::Ignored { reason: IgnoredBecause::ProtocolMessage })
            }
            InboundItem::Unknown(unknown) => {
                let reason =
                    serde_json::to_value(unknown.reason).ok().and_then(|word| word.as_str().map(str::to_owned));
                let message = format!("the delivery cannot be read: {}", reason.unwrap_or_default());
                Ok(Outcome::Rejected { code: ErrorCode::InboundItemInvalid.as_str().to_owned(), message })
            }
            _ => changes::apply(work, &intake, item).await,
        }
    }

    fn key_prefix(&self) -> String {
        format!("item:{}:", self.channel.id)
    }

    /// Keeps an item for later: for the activation of the line, or for the end of a send.
    fn keep(
        &self,
        work: &mut UnitOfWork<'_>,
        item: &InboundItem,
        received_at: Timestamp,
        key_prefix: &str,
        seconds: i64,
        parked: bool,
    ) -> Result<()> {
        let payload = json(&KeptItem { channel_id: self.channel.id, item: item.clone(), received_at })?;
        let digest = crate::channels::gateway::hex(&Sha256::digest(json(item)?.as_bytes())[..16]);
        work.enqueue(JobRequest {
            queue: QUEUE,
            kind: "inbound.item",
            unique_key: Some(format!("{key_prefix}{digest}")),
            order_key: item.chat().map(|chat| self.lane(&chat.external_id)),
            payload,
            run_at: work.now().plus_seconds(seconds),
            parked,
        });
        Ok(())
    }

    async fn accept(&self, work: &mut UnitOfWork<'_>, raw: RawBody, headers: Headers) -> Result<Accepted> {
        let normalised = self.read(&raw.0, &headers, work.now())?;
        let key_digest = Sha256::digest(normalised.dedupe_key.as_bytes());
        let unique_key = format!("delivery:{}:{}", self.channel.id, crate::channels::gateway::hex(&key_digest[..16]));
        let query = JobQuery {
            queue: Some(QUEUE.to_owned()),
            unique_key_prefix: Some(unique_key.clone()),
            limit: 1,
            ..JobQuery::default()
        };
        let known = work.reader().storage().jobs(Scope::Project(work.project()), &query).await?;
        if let Some(known) = known.first() {
            return Ok(Accepted { id: JobId::from_uuid(known.id), is_new: false });
        }
        let off = !self.channel.accepts_inbound();
        let wait = if off { OFF_WAIT_SECONDS } else { 0 };
        let received_at = work.now();
        let payload = json(&KeptDelivery { channel_id: self.channel.id, raw: raw.0, headers, received_at })?;
        let id = work.enqueue(JobRequest {
            queue: QUEUE,
            kind: "inbound.delivery",
            unique_key: Some(unique_key),
            order_key: Some(self.lane(&normalised.lane)),
            payload,
            run_at: received_at.plus_seconds(wait),
            parked: off,
        });
        Ok(Accepted { id, is_new: true })
    }

    /// Order is kept inside a chat; chats go on side by side.
    fn lane(&self, chat: &str) -> String {
        let digest = Sha256::digest(chat.as_bytes());
        format!("lane:{}:{}", self.channel.id, crate::channels::gateway::hex(&digest[..8]))
    }
}

async fn run_delivery(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let kept: KeptDelivery = from_json(&job.payload)?;
    let line = match load_or_gone(work, kept.channel_id).await? {
        Ok(line) => line,
        Err(gone) => return Ok(gone),
    };
    if !line.channel.accepts_inbound() {
        return Ok(off(work.now(), ParkedBecause::ChannelInactive));
    }
    let normalised = line.read(&kept.raw, &kept.headers, kept.received_at)?;
    if normalised.is_unparseable() {
        return Ok(JobOutcome::Dead { error: "unparseable: the body is not what the provider documents".to_owned() });
    }
    let outcomes = line.take_in(work, normalised, kept.received_at).await?;
    if let [Outcome::Rejected { code, message }] = outcomes.as_slice() {
        return Ok(JobOutcome::Dead { error: format!("{code}: {message}") });
    }
    Ok(JobOutcome::Done { result: Some(json(&outcomes)?) })
}

async fn run_item(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let kept: KeptItem = from_json(&job.payload)?;
    let line = match load_or_gone(work, kept.channel_id).await? {
        Ok(line) => line,
        Err(gone) => return Ok(gone),
    };
    if !line.channel.accepts_inbound() {
        return Ok(off(work.now(), ParkedBecause::ChannelInactive));
    }
    let last_try = work.now() >= kept.received_at.plus_seconds(ECHO_WAIT_SECONDS);
    let outcome = line.apply(work, &kept.item, kept.received_at, last_try).await?;
    Ok(match outcome {
        Outcome::Parked { reason: ParkedBecause::OwnSendInFlight } => {
            JobOutcome::Again(work.now().plus_seconds(ECHO_RETRY_SECONDS))
        }
        Outcome::Parked { reason: reason @ ParkedBecause::ProjectInactive } => off(work.now(), reason),
        Outcome::Rejected { code, message } => JobOutcome::Dead { error: format!("{code}: {message}") },
        outcome => JobOutcome::Done { result: Some(json(&outcome)?) },
    })
}

async fn run_target(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let waiting: targets::Waiting = from_json(&job.payload)?;
    let line = match load_or_gone(work, waiting.channel_id).await? {
        Ok(line) => line,
        Err(gone) => return Ok(gone),
    };
    let intake = Intake { last_try: true, ..line.intake(waiting.received_at) };
    if targets::apply_known(work, &intake, &waiting.item).await? {
        return Ok(JobOutcome::Done { result: None });
    }
    Ok(match targets::next_look(&waiting, work.now()) {
        Some(at) => JobOutcome::Again(at),
        None => JobOutcome::Done { result: Some("\"dropped\"".to_owned()) },
    })
}

async fn load_or_gone(work: &mut UnitOfWork<'_>, id: ChannelId) -> Result<std::result::Result<Line, JobOutcome>> {
    match Line::load(work, id).await {
        Ok(line) => Ok(Ok(line)),
        Err(error) if matches!(error.code(), ErrorCode::ChannelNotFound | ErrorCode::ProjectNotFound) => {
            Ok(Err(JobOutcome::Dead { error: error.code().as_str().to_owned() }))
        }
        Err(error) => Err(error),
    }
}

fn off(now: Timestamp, reason: ParkedBecause) -> JobOutcome {
    JobOutcome::Parked { until: now.plus_seconds(OFF_WAIT_SECONDS), reason: reason.as_str().to_owned() }
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal(e.to_string()))
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::corrupt(format!("a kept delivery cannot be read: {e}")))
}
