//! On, off, gone.

use super::super::deliver::endpoint_of;
use super::super::secrets::shred_all;
use super::super::{DisabledReason, Webhook, WebhookEvent};
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{ErrorCode, Permission, Result, WebhookId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Switches the webhook on again. Failures so far are forgotten; what was cancelled is not sent by itself (`webhooks.replay`).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateWebhook {
    pub id: WebhookId,
}

impl Command for ActivateWebhook {
    const NAME: &'static str = "webhooks.activate";
    const PERMISSION: Permission = Permission::WebhooksManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::WebhookNotFound, ErrorCode::WebhookAlreadyActive];
    type Output = Webhook;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Webhook> {
        let mut webhook = work.load::<Webhook>(self.id).await?;
        if webhook.active {
            return Err(ErrorCode::WebhookAlreadyActive.into());
        }
        webhook.record(WebhookEvent::Activated { active: true });
        if let Some(mut endpoint) = work.row::<super::super::WebhookEndpoint>(self.id).await? {
            endpoint.forgive();
            endpoint.throttled_until = None;
            work.put_row(endpoint)?;
        }
        work.save(webhook)
    }
}

/// Switches the webhook off. Deliveries that wait are cancelled; events from now on give none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeactivateWebhook {
    pub id: WebhookId,
}

impl Command for DeactivateWebhook {
    const NAME: &'static str = "webhooks.deactivate";
    const PERMISSION: Permission = Permission::WebhooksManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::WebhookNotFound, ErrorCode::WebhookAlreadyInactive];
    type Output = Webhook;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Webhook> {
        let mut webhook = work.load::<Webhook>(self.id).await?;
        if !webhook.active {
            return Err(ErrorCode::WebhookAlreadyInactive.into());
        }
        switch_off(work, &mut webhook).await?;
        work.save(webhook)
    }
}

/// Deletes the webhook and destroys its secrets. Its deliveries can be looked at until they are too old.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteWebhook {
    pub id: WebhookId,
}

impl Command for DeleteWebhook {
    const NAME: &'static str = "webhooks.delete";
    const PERMISSION: Permission = Permission::WebhooksManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::WebhookNotFound];
    type Output = Webhook;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Webhook> {
        let webhook = work.load::<Webhook>(self.id).await?;
        remove(work, webhook).await
    }
}

/// Deletes a webhook with its secrets.
pub(in super::super) async fn remove(work: &mut UnitOfWork<'_>, mut webhook: Root<Webhook>) -> Result<Webhook> {
    if webhook.active {
        switch_off(work, &mut webhook).await?;
    }
    shred_all(work, &webhook);
    let deleted_at = webhook.now();
    webhook.record(WebhookEvent::Deleted { deleted_at });
    work.save(webhook)
}

async fn switch_off(work: &UnitOfWork<'_>, webhook: &mut Root<Webhook>) -> Result<()> {
    let endpoint = endpoint_of(work, webhook, 0).await?;
    webhook.record(WebhookEvent::Deactivated {
        active: false,
        disabled_reason: DisabledReason::Manual,
        failing_since: endpoint.failing_since,
        consecutive_failures: Some(endpoint.consecutive_failures),
        last_status_code: endpoint.last_status_code,
    });
    Ok(())
}
