//! A new signing key.

use super::super::reactions::forget_key_at;
use super::super::secrets::seal_key;
use super::super::{SigningKey, Webhook, WebhookEvent};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{Error, ErrorCode, Permission, Result, RevealedText, SecretText, WebhookId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Signs deliveries with a new key. For a while each carries the signatures of both keys, the new one's first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateWebhookSecret {
    pub id: WebhookId,
    /// `whsec_` and 24 to 64 bytes in base64; a new one is made unless told.
    #[serde(default)]
    pub secret: Option<SecretText>,
    /// How long the old key signs beside it: 0 to 604 800; 86 400 unless told.
    #[serde(default)]
    pub overlap_seconds: Option<u32>,
}

/// A webhook and its new signing key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RotatedWebhookSecret {
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The key that receivers check signatures with, shown here and never again.
    pub plain_secret: RevealedText,
}

impl Command for RotateWebhookSecret {
    const NAME: &'static str = "webhooks.rotate_secret";
    const PERMISSION: Permission = Permission::WebhooksManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::WebhookNotFound,
        ErrorCode::WebhookSecretInvalid,
        ErrorCode::ValueOutOfRange,
        ErrorCode::InputInvalid,
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = RotatedWebhookSecret;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<RotatedWebhookSecret> {
        let overlap = self.overlap_seconds.unwrap_or(86_400);
        if overlap > 604_800 {
            return Err(Error::new(ErrorCode::ValueOutOfRange).at("overlap_seconds").with("max", 604_800));
        }
        let key = match &self.secret {
            Some(text) => SigningKey::parse(text.expose()).map_err(|e| e.at("secret"))?,
            None => SigningKey::new(work.random()),
        };
        work.refuse_idempotency_key()?;
        let mut webhook = work.load::<Webhook>(self.id).await?;
        let secret = seal_key(work, self.id, &key).await?;
        // A third key would be one too many: what signed before the old one signs no more.
        if let Some(older) = webhook.previous_secret {
            work.shred(work.project(), older);
        }
        let (old, until) = (webhook.secret, (overlap > 0).then(|| webhook.now().plus_seconds(overlap.into())));
        match until {
            Some(until) => forget_key_at(work, self.id, old, until)?,
            None => work.shred(work.project(), old),
        }
        let previous_secret = until.map(|_| old);
        webhook.record(WebhookEvent::SecretRotated { secret, previous_secret, previous_secret_until: until });
        Ok(RotatedWebhookSecret { webhook: work.save(webhook)?, plain_secret: RevealedText::new(key.reveal()) })
    }
}
