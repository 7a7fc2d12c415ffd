//! Makes a webhook.

use super::super::headers::{self, HeaderValues};
use super::super::patterns::{canonical, canonical_entries};
use super::super::rules::{
    MAX_WEBHOOKS, check_attempts, check_concurrency, check_description, check_entries, check_rate, check_timeout,
    check_url, check_wanted,
};
use super::super::secrets::{seal_headers, seal_key};
use super::super::{BodyMode, NewWebhook, SigningKey, Webhook, WebhookEvent};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{Error, ErrorCode, Errors, Permission, Result, RevealedText, SecretText, Url, WebhookId};
use crate::storage::Filter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes a webhook: from now on matching events of the project are posted to its address, signed as Standard Webhooks.
///
/// Needs a vault for its secrets. Deliveries of one aggregate come in order: one that fails holds back later ones of the same aggregate
/// until it succeeds or is given up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWebhook {
    /// 1 to 100 characters, unique in the project whatever its case.
    pub name: String,
    /// `https` and public, on port 443 or 8443, unless the host program allows more; without user and fragment.
    pub url: Url,
    /// Types (`contact.created`), prefixes (`contact.*`) or `*`; needed unless `contact_events` is set. Types `webhook.*` are never
    /// delivered, those of the engine (`job.*`, `consumer.*`, `dead_letter.*`, `audit.*`) by their exact name alone.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// As `event_types`; wins over them.
    #[serde(default)]
    pub exclude_event_types: Vec<String>,
    /// Also entries of a contact's timeline.
    #[serde(default)]
    pub contact_events: bool,
    /// Types of entries, or `*`. When this and the categories are empty, all.
    #[serde(default)]
    pub contact_event_types: Vec<String>,
    /// Categories of entries, or `*`.
    #[serde(default)]
    pub contact_event_categories: Vec<String>,
    /// Also events about imported history.
    #[serde(default)]
    pub include_historical: bool,
    /// True unless told.
    #[serde(default)]
    pub active: Option<bool>,
    /// `whsec_` and 24 to 64 bytes in base64; a new one is made unless told.
    #[serde(default)]
    pub secret: Option<SecretText>,
    /// At most 20, with names of their own. The values are sealed in the vault.
    #[serde(default)]
    pub headers: HeaderValues,
    /// 1 to 20; 12 unless told, which covers about 27 hours.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// 1 to 30; 15 unless told.
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    /// `full` unless told.
    #[serde(default)]
    pub body_mode: Option<BodyMode>,
    /// 1 to 100; 10 unless told. What was not used is kept for a burst of ten times as many, at most 100.
    #[serde(default)]
    pub rate_per_second: Option<u32>,
    /// 1 to 20 at a time; 5 unless told.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// At most 500 characters.
    #[serde(default)]
    pub description: Option<String>,
}

/// A new webhook and its signing key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CreatedWebhook {
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The key that receivers check signatures with, shown here and never again. Null when the call carried an idempotency key,
    /// because the results of such calls are stored: `webhooks.rotate_secret` gives a new one.
    pub plain_secret: Option<RevealedText>,
}

impl Command for CreateWebhook {
    const NAME: &'static str = "webhooks.create";
    const PERMISSION: Permission = Permission::WebhooksManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::TextControlChar,
        ErrorCode::TextTooLong,
        ErrorCode::EnumUnknown,
        ErrorCode::UrlNotPublic,
        ErrorCode::WebhookNameTaken,
        ErrorCode::WebhookLimit,
        ErrorCode::WebhookEventsRequired,
        ErrorCode::WebhookEventPatternInvalid,
        ErrorCode::WebhookEventUnknown,
        ErrorCode::WebhookEventNotDeliverable,
        ErrorCode::WebhookPatternLimit,
        ErrorCode::WebhookContactFilterUnused,
        ErrorCode::WebhookHeaderInvalid,
        ErrorCode::WebhookHeaderReserved,
        ErrorCode::WebhookRetryOutOfRange,
        ErrorCode::WebhookTimeoutOutOfRange,
        ErrorCode::WebhookRateOutOfRange,
        ErrorCode::WebhookSecretInvalid,
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = CreatedWebhook;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<CreatedWebhook> {
        let key = match &self.secret {
            Some(text) => SigningKey::parse(text.expose()).map_err(|e| e.at("secret")),
            None => Ok(SigningKey::new(work.random())),
        };
        let mut errors = Errors::new();
        let key = errors.take("secret", key);
        let id: WebhookId = work.new_id();
        let new = self.check(work, errors)?;
        let key = key.ok_or_else(|| Error::internal("a key failed without a failure"))?;
        if work.reader().count::<Webhook>(None, Filter::everything()).await? >= MAX_WEBHOOKS {
            return Err(Error::new(ErrorCode::WebhookLimit).with("max", MAX_WEBHOOKS));
        }
        let secret = seal_key(work, id, &key).await?;
        let headers = seal_headers(work, id, &[], &self.headers).await?;
        let new = new(secret);
        let event = WebhookEvent::Created(Box::new(NewWebhook { headers, ..new }));
        let root = work.create::<Webhook>(id, event)?;
        let is_stored = work.context().idempotency_key.is_some();
        let plain_secret = (!is_stored).then(|| RevealedText::new(key.reveal()));
        Ok(CreatedWebhook { webhook: work.save(root)?, plain_secret })
    }
}

impl CreateWebhook {
    /// Every rule at once, so that a form shows all failures.
    fn check(
        &self,
        work: &UnitOfWork<'_>,
        mut errors: Errors,
    ) -> Result<impl FnOnce(crate::kernel::SecretRef) -> NewWebhook + use<>> {
        let name = errors.take("name", crate::kernel::name(&self.name, 1, 100)).unwrap_or_default();
        errors.take("url", check_url(&work.reader().core().guard(), &self.url));
        let event_types = errors.take("event_types", canonical(&self.event_types).map_err(|e| e.at("event_types")));
        let excluded = canonical(&self.exclude_event_types).map_err(|e| e.at("exclude_event_types"));
        let exclude_event_types = errors.take("exclude_event_types", excluded).unwrap_or_default();
        let entries = canonical_entries(&self.contact_event_types, &self.contact_event_categories);
        let (types, categories) = errors.take("contact_event_types", entries).unwrap_or_default();
        errors.take("contact_events", check_entries(self.contact_events, &types, &categories));
        if let Some(event_types) = &event_types {
            errors.take("event_types", check_wanted(event_types, self.contact_events));
        }
        errors.take("headers", headers::check(&self.headers).map_err(|e| e.at("headers")));
        let max_attempts = errors.take("max_attempts", check_attempts(self.max_attempts.unwrap_or(12))).unwrap_or(12);
        let timeout_seconds =
            errors.take("timeout_seconds", check_timeout(self.timeout_seconds.unwrap_or(15))).unwrap_or(15);
        let rate_per_second =
            errors.take("rate_per_second", check_rate(self.rate_per_second.unwrap_or(10))).unwrap_or(10);
        let concurrency = errors.take("concurrency", check_concurrency(self.concurrency.unwrap_or(5))).unwrap_or(5);
        let description = self.description.as_deref().map(check_description).transpose();
        let description = errors.take("description", description).flatten().flatten();
        errors.check()?;
        let (url, active, body_mode) = (self.url.clone(), self.active.unwrap_or(true), self.body_mode);
        let (contact_events, include_historical) = (self.contact_events, self.include_historical);
        let created_by = work.actor().clone();
        Ok(move |secret| NewWebhook {
            name,
            url,
            event_types: event_types.unwrap_or_default(),
            exclude_event_types,
            contact_events,
            contact_event_types: types,
            contact_event_categories: categories,
            include_historical,
            active,
            secret,
            headers: Vec::new(),
            max_attempts,
            timeout_seconds,
            body_mode: body_mode.unwrap_or(BodyMode::Full),
            rate_per_second,
            concurrency,
            description,
            created_by,
        })
    }
}
