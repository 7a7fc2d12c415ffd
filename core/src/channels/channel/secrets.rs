//! The secret settings of a channel: read with the plain ones, sealed in the vault, shown as no more than a hint.

use super::Channel;
use crate::channels::channel_type::{
    ChannelType, ConfigField, ConfigInput, ConnectionMode, Stage, ValidConfig, validate_config,
};
use crate::channels::gateway::GatewayLine;
use crate::engine::{Reader, UnitOfWork};
use crate::kernel::{
    ChannelId, Error, ErrorCode, ErrorKind, Errors, Kind, ProjectId, Result, SecretBytes, SecretRef, SecretText,
    secret_hint,
};
use crate::tenancy::credential;
use crate::vault::SecretPlace;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// A secret setting as everybody may see it: that it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelSecret {
    pub secret: SecretRef,
    /// The last 4 characters of one that has at least 16.
    pub hint: Option<String>,
}

/// Settings of a connection as a caller gives them. Secrets may be among them, so only the names are printed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ConfigValues(pub Map<String, Value>);

impl fmt::Debug for ConfigValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Secret settings as a caller gives them, by the names of their fields.
pub type SecretValues = BTreeMap<String, SecretText>;

/// Reads plain and secret settings together: a secret is known as one wherever it is given.
///
/// # Errors
/// Those of [`validate_config`], at `config` or `secrets`, and `config_field_unknown` for a plain field among the secrets.
pub(super) fn read_settings(
    channel_type: &ChannelType,
    mode: ConnectionMode,
    config: &Map<String, Value>,
    secrets: &SecretValues,
    draw: Option<&dyn Fn() -> String>,
) -> Result<ValidConfig> {
    let mut errors = Errors::new();
    let mut input = config.clone();
    let mut given: Vec<&str> = Vec::new();
    for (key, text) in secrets {
        match channel_type.field(key).filter(|field| field.secret) {
            Some(field) => {
                input.retain(|known, _| channel_type.field(known).is_none_or(|known| known.key != field.key));
                input.insert(field.key.clone(), text.expose().into());
                given.push(&field.key);
            }
            None => errors.push(Error::new(ErrorCode::ConfigFieldUnknown).at(key.as_str()).at("secrets")),
        }
    }
    let valid = validate_config(channel_type, &ConfigInput { mode, input: &input, stage: Stage::Create, draw });
    match valid {
        Ok(valid) => errors.check().map(|()| valid),
        Err(found) => {
            for error in found.apart() {
                let secret = error.field().is_some_and(|field| given.contains(&field));
                errors.push(error.at(if secret { "secrets" } else { "config" }));
            }
            errors.check()?;
            Err(Error::internal("settings failed without a failure"))
        }
    }
}

/// Where a caller gave a secret, as a path for errors.
pub(super) fn path(channel_type: &ChannelType, secrets: &SecretValues, key: &str) -> String {
    let here = secrets.keys().any(|given| channel_type.field(given).is_some_and(|field| field.key == key));
    format!("{}.{key}", if here { "secrets" } else { "config" })
}

/// Where a channel's secret setting belongs in the vault.
fn place(project: ProjectId, id: ChannelId, key: &str) -> SecretPlace {
    SecretPlace::new(project, Kind::Channel, id, format!("secrets.{key}"))
}

/// Where a channel's webhook token belongs in the vault.
pub(super) fn token_place(project: ProjectId, id: ChannelId) -> SecretPlace {
    SecretPlace::new(project, Kind::Channel, id, "webhook_token")
}

/// Seals the values that differ from `known`; the others keep their reference.
///
/// # Errors
/// `encryption_not_configured`, `secret_too_large`, at the key.
pub(super) async fn seal_settings(
    work: &mut UnitOfWork<'_>,
    id: ChannelId,
    known: &BTreeMap<String, ChannelSecret>,
    values: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, ChannelSecret>> {
    let mut sealed = known.clone();
    for (key, text) in values {
        let place = place(work.project(), id, key);
        let value = SecretBytes::new(text.as_str());
        let old = known.get(key).map(|known| known.secret);
        if let Some(old) = old
            && work.has_vault()
            && work.reader().open_secret(&place, old).await.map_err(|e| e.at(key.as_str()))?.as_ref() == Some(&value)
        {
            continue;
        }
        let secret = work.seal(&place, old, &value).await.map_err(|e| e.at(key.as_str()))?;
        sealed.insert(key.clone(), ChannelSecret { secret, hint: secret_hint(text) });
    }
    Ok(sealed)
}

impl Channel {
    /// The line as gateways need it, with all its secrets: for one call, and to be dropped with it.
    ///
    /// # Errors
    /// As [`secret`](Self::secret).
    pub async fn gateway_line(&self, read: &Reader<'_>) -> Result<GatewayLine> {
        let mut secrets = BTreeMap::new();
        for key in self.secrets.keys() {
            if let Some(secret) = self.secret(read, key).await? {
                secrets.insert(key.clone(), secret);
            }
        }
        Ok(GatewayLine { external_id: self.external_id.clone(), config: self.config.clone(), secrets })
    }

    /// Takes the secrets that the channel needs and does not have itself from its credential. False when that cannot be used now:
    /// whoever puts the credential right puts the channel right.
    ///
    /// # Errors
    /// Those of the vault.
    pub async fn unlock(
        &self,
        work: &mut UnitOfWork<'_>,
        channel_type: &ChannelType,
        line: &mut GatewayLine,
        purpose: &str,
    ) -> Result<bool> {
        let Some(id) = self.credential_id else { return Ok(true) };
        let is_asked_for = |field: &&ConfigField| field.secret && (field.required || field.required_unless.is_some());
        let asked_for = channel_type.config_schema.iter().filter(is_asked_for).map(|field| &field.key);
        let missing: Vec<&String> = asked_for.filter(|key| !line.secrets.contains_key(*key)).collect();
        if missing.is_empty() {
            return Ok(true);
        }
        let opened = match credential::open(work, id, None, None, purpose).await {
            Ok(opened) => opened,
            Err(error)
                if [ErrorKind::InvalidState, ErrorKind::NotFound, ErrorKind::Validation].contains(&error.kind()) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        line.secrets.extend(missing.into_iter().map(|key| (key.clone(), opened.value.clone())));
        Ok(true)
    }

    /// A secret setting in plain text, for whoever talks to the provider; `None` when the channel has none of its own.
    ///
    /// # Errors
    /// `encryption_not_configured`, `encryption_key_not_found`, `secret_tampered`.
    pub async fn secret(&self, read: &Reader<'_>, key: &str) -> Result<Option<SecretBytes>> {
        match self.secrets.get(key) {
            Some(known) => read.open_secret(&place(self.project_id, self.id, key), known.secret).await,
            None => Ok(None),
        }
    }
}
