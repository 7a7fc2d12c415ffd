//! Changes a webhook.

use super::super::headers::{self, HeaderValues};
use super::super::patterns::{canonical, canonical_entries};
use super::super::rules::{
    check_attempts, check_concurrency, check_description, check_entries, check_rate, check_timeout, check_url,
    check_wanted,
};
use super::super::secrets::{open_headers, seal_headers};
use super::super::{BodyMode, HeaderSecret, Webhook, WebhookEvent, WebhookPatch};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{ErrorCode, Patch, Permission, Result, Url, WebhookId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes what is given and differs: absent = unchanged. Deliveries that wait go out as the webhook is by then.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWebhook {
    pub id: WebhookId,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub url: Option<Url>,
    /// All of them.
    #[serde(default)]
    pub event_types: Option<Vec<String>>,
    #[serde(default)]
    pub exclude_event_types: Option<Vec<String>>,
    /// False also takes the filters of entries away.
    #[serde(default)]
    pub contact_events: Option<bool>,
    #[serde(default)]
    pub contact_event_types: Option<Vec<String>>,
    #[serde(default)]
    pub contact_event_categories: Option<Vec<String>>,
    #[serde(default)]
    pub include_historical: Option<bool>,
    /// All of them, in the place of those before; `{}` takes all away.
    #[serde(default)]
    pub headers: Option<HeaderValues>,
    #[serde(default)]
    pub max_attempts: Option<u32>,
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    #[serde(default)]
    pub body_mode: Option<BodyMode>,
    #[serde(default)]
    pub rate_per_second: Option<u32>,
    #[serde(default)]
    pub concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub description: Patch<String>,
}

impl Command for UpdateWebhook {
    const NAME: &'static str = "webhooks.update";
    const PERMISSION: Permission = Permission::WebhooksManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::WebhookNotFound,
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::TextControlChar,
        ErrorCode::TextTooLong,
        ErrorCode::EnumUnknown,
        ErrorCode::UrlNotPublic,
        ErrorCode::WebhookNameTaken,
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
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = Webhook;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Webhook> {
        let mut webhook = work.load::<Webhook>(self.id).await?;
        let mut wanted = self.check(work, &webhook)?;
        wanted.headers = self.headers(work, &webhook).await?;
        let (changes, previous) = difference(&webhook, wanted);
        if changes != WebhookPatch::default() {
            let (changes, previous) = (Box::new(changes), Box::new(previous));
            webhook.record(WebhookEvent::Updated { changes, previous });
        }
        work.save(webhook)
    }
}

impl UpdateWebhook {
    /// What is asked for, in the stored form.
    fn check(&self, work: &UnitOfWork<'_>, webhook: &Webhook) -> Result<WebhookPatch> {
        let list = |field: &'static str, list: &Option<Vec<String>>| {
            list.as_deref().map(canonical).transpose().map_err(|e| e.at(field))
        };
        if let Some(url) = &self.url {
            check_url(&work.reader().core().guard(), url).map_err(|e| e.at("url"))?;
        }
        let event_types = list("event_types", &self.event_types)?;
        let contact_events = self.contact_events.unwrap_or(webhook.contact_events);
        check_wanted(event_types.as_ref().unwrap_or(&webhook.event_types), contact_events)?;
        let (types, categories) = self.entries(webhook)?;
        check_entries(contact_events, &types, &categories)?;
        let description = match &self.description {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Value(text) => {
                check_description(text).map_err(|e| e.at("description"))?.map_or(Patch::Null, Patch::Value)
            }
        };
        Ok(WebhookPatch {
            name: self.name.as_deref().map(|n| crate::kernel::name(n, 1, 100)).transpose().map_err(|e| e.at("name"))?,
            url: self.url.clone(),
            event_types,
            exclude_event_types: list("exclude_event_types", &self.exclude_event_types)?,
            contact_events: self.contact_events,
            contact_event_types: Some(types),
            contact_event_categories: Some(categories),
            include_historical: self.include_historical,
            headers: None,
            max_attempts: self.max_attempts.map(check_attempts).transpose().map_err(|e| e.at("max_attempts"))?,
            timeout_seconds: self
                .timeout_seconds
                .map(check_timeout)
                .transpose()
                .map_err(|e| e.at("timeout_seconds"))?,
            body_mode: self.body_mode,
            rate_per_second: self.rate_per_second.map(check_rate).transpose().map_err(|e| e.at("rate_per_second"))?,
            concurrency: self.concurrency.map(check_concurrency).transpose().map_err(|e| e.at("concurrency"))?,
            description,
        })
    }

    /// The filters of entries after the change.
    fn entries(&self, webhook: &Webhook) -> Result<(Vec<String>, Vec<String>)> {
        let is_cleared = self.contact_events == Some(false);
        let of = |given: &Option<Vec<String>>, known: &Vec<String>| match given {
            Some(given) => given.clone(),
            None if is_cleared => Vec::new(),
            None => known.clone(),
        };
        canonical_entries(
            &of(&self.contact_event_types, &webhook.contact_event_types),
            &of(&self.contact_event_categories, &webhook.contact_event_categories),
        )
    }

    /// The headers after the change; `None` when they are the same.
    async fn headers(&self, work: &mut UnitOfWork<'_>, webhook: &Webhook) -> Result<Option<Vec<HeaderSecret>>> {
        let Some(given) = &self.headers else { return Ok(None) };
        headers::check(given).map_err(|e| e.at("headers"))?;
        if given.is_empty() && webhook.headers.is_empty() {
            return Ok(None);
        }
        let known = open_headers(work.reader(), webhook).await.map_err(|e| e.at("headers"))?;
        let is_same = |(name, value): &(String, String)| given.get(name).is_some_and(|text| text.expose() == value);
        if known.len() == given.len() && known.iter().all(is_same) {
            return Ok(None);
        }
        seal_headers(work, webhook.id, &webhook.headers, given).await.map(Some)
    }
}

/// What of `wanted` differs, and what was there before.
fn difference(webhook: &Webhook, wanted: WebhookPatch) -> (WebhookPatch, WebhookPatch) {
    fn pair<T: PartialEq + Clone>(wanted: Option<T>, known: &T) -> (Option<T>, Option<T>) {
        match wanted {
            Some(value) if value != *known => (Some(value), Some(known.clone())),
            _ => (None, None),
        }
    }
    let (mut changes, mut previous) = (WebhookPatch::default(), WebhookPatch::default());
    (changes.name, previous.name) = pair(wanted.name, &webhook.name);
    (changes.url, previous.url) = pair(wanted.url, &webhook.url);
    (changes.event_types, previous.event_types) = pair(wanted.event_types, &webhook.event_types);
    (changes.exclude_event_types, previous.exclude_event_types) =
        pair(wanted.exclude_event_types, &webhook.exclude_event_types);
    (changes.contact_events, previous.contact_events) = pair(wanted.contact_events, &webhook.contact_events);
    (changes.contact_event_types, previous.contact_event_types) =
        pair(wanted.contact_event_types, &webhook.contact_event_types);
    (changes.contact_event_categories, previous.contact_event_categories) =
        pair(wanted.contact_event_categories, &webhook.contact_event_categories);
    (changes.include_historical, previous.include_historical) =
        pair(wanted.include_historical, &webhook.include_historical);
    (changes.headers, previous.headers) = pair(wanted.headers, &webhook.headers);
    (changes.max_attempts, previous.max_attempts) = pair(wanted.max_attempts, &webhook.max_attempts);
    (changes.timeout_seconds, previous.timeout_seconds) = pair(wanted.timeout_seconds, &webhook.timeout_seconds);
    (changes.body_mode, previous.body_mode) = pair(wanted.body_mode, &webhook.body_mode);
    (changes.rate_per_second, previous.rate_per_second) = pair(wanted.rate_per_second, &webhook.rate_per_second);
    (changes.concurrency, previous.concurrency) = pair(wanted.concurrency, &webhook.concurrency);
    if let (Some(description), Some(before)) = pair(wanted.description.into_change(), &webhook.description) {
        changes.description = description.map_or(Patch::Null, Patch::Value);
        previous.description = before.map_or(Patch::Null, Patch::Value);
    }
    (changes, previous)
}
