//! A webhook's secrets: the keys it signs with and the values of its headers. They are in the vault, and open for one attempt.

use super::headers::HeaderValues;
use super::{HeaderSecret, SigningKey, Webhook};
use crate::engine::{Reader, UnitOfWork};
use crate::kernel::{Error, Kind, ProjectId, Result, SecretBytes, SecretRef, Timestamp, WebhookId};
use crate::vault::SecretPlace;

fn key_place(project: ProjectId, id: WebhookId) -> SecretPlace {
    SecretPlace::new(project, Kind::Webhook, id, "secret")
}

fn header_place(project: ProjectId, id: WebhookId, name: &str) -> SecretPlace {
    SecretPlace::new(project, Kind::Webhook, id, format!("headers.{}", name.to_ascii_lowercase()))
}

/// Seals a new key, apart from the one before: both are valid for a while.
///
/// # Errors
/// `encryption_not_configured`, at `secret`.
pub(super) async fn seal_key(work: &mut UnitOfWork<'_>, id: WebhookId, key: &SigningKey) -> Result<SecretRef> {
    let place = key_place(work.project(), id);
    work.seal(&place, None, &SecretBytes::new(key.reveal())).await.map_err(|e| e.at("secret"))
}

/// Seals headers that were checked; what was sealed before is destroyed with the same commit.
///
/// # Errors
/// `encryption_not_configured`, at `headers`.
pub(super) async fn seal_headers(
    work: &mut UnitOfWork<'_>,
    id: WebhookId,
    known: &[HeaderSecret],
    values: &HeaderValues,
) -> Result<Vec<HeaderSecret>> {
    for old in known {
        work.shred(work.project(), old.secret);
    }
    let mut sealed = Vec::with_capacity(values.len());
    for (name, value) in values {
        let place = header_place(work.project(), id, name);
        let secret = work.seal(&place, None, &SecretBytes::new(value.expose())).await.map_err(|e| e.at("headers"))?;
        sealed.push(HeaderSecret { name: name.clone(), secret });
    }
    Ok(sealed)
}

/// The headers' values, in the order of their names.
pub(super) async fn open_headers(read: &Reader<'_>, webhook: &Webhook) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::with_capacity(webhook.headers.len());
    for header in &webhook.headers {
        let place = header_place(webhook.project_id, webhook.id, &header.name);
        headers.push((header.name.clone(), text(open(read, &place, header.secret).await?)));
    }
    Ok(headers)
}

/// The keys that sign at a moment, the newest first.
pub(super) async fn open_keys(read: &Reader<'_>, webhook: &Webhook, now: Timestamp) -> Result<Vec<SigningKey>> {
    let is_valid = webhook.previous_secret_until.is_some_and(|until| now < until);
    let previous = webhook.previous_secret.filter(|_| is_valid);
    let mut keys = Vec::with_capacity(2);
    for secret in std::iter::once(webhook.secret).chain(previous) {
        let value = open(read, &key_place(webhook.project_id, webhook.id), secret).await?;
        keys.push(SigningKey::parse(&text(value))?);
    }
    Ok(keys)
}

/// Destroys all of a webhook's secrets.
pub(super) fn shred_all(work: &mut UnitOfWork<'_>, webhook: &Webhook) {
    let keys = std::iter::once(webhook.secret).chain(webhook.previous_secret);
    for secret in keys.chain(webhook.headers.iter().map(|header| header.secret)) {
        work.shred(webhook.project_id, secret);
    }
}

async fn open(read: &Reader<'_>, place: &SecretPlace, secret: SecretRef) -> Result<SecretBytes> {
    let value = read.open_secret(place, secret).await?;
    value.ok_or_else(|| Error::corrupt("a secret of a webhook is not in the vault"))
}

fn text(value: SecretBytes) -> String {
    String::from_utf8_lossy(value.expose()).into_owned()
}
