//! Changes the description of a credential.

use super::super::values::check_expiry;
use super::super::{Credential, CredentialEvent, CredentialPatch, ProviderAccount, metadata};
use super::save;
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{CredentialId, Error, ErrorCode, Patch, Permission, Result, Timestamp, name, text};
use crate::tenancy::JsonPatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes what is given and differs: absent = unchanged, null = cleared. Its value is replaced with `credentials.rotate_value`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateCredential {
    pub id: CredentialId,
    #[serde(default)]
    pub name: Option<String>,
    /// At most 2 000 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// Keys to set and keys to remove.
    #[serde(default)]
    pub metadata: Option<JsonPatch>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub provider_account: Patch<ProviderAccount>,
    /// When it ends; not for one with granted tokens, which say so themselves.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub expires_at: Patch<Timestamp>,
}

impl Command for UpdateCredential {
    const NAME: &'static str = "credentials.update";
    const PERMISSION: Permission = Permission::CredentialsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::CredentialNotFound,
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::CredentialNameTaken,
        ErrorCode::CredentialExpiryInPast,
        ErrorCode::MetadataLooksSecret,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonKeyInvalid,
        ErrorCode::UrlInvalid,
        ErrorCode::UrlSchemeUnsupported,
        ErrorCode::UrlCredentials,
        ErrorCode::TextRequired,
        ErrorCode::TextTooLong,
        ErrorCode::InputInvalid,
    ];
    type Output = Credential;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Credential> {
        let mut credential = work.load::<Credential>(self.id).await?;
        let end = self.expires_at.clone().into_change().filter(|end| *end != credential.expires_at);
        if let Some(end) = end {
            if credential.oauth.is_some() {
                let why = "granted tokens say themselves when they end";
                return Err(Error::new(ErrorCode::InputInvalid).at("expires_at").message(why));
            }
            let end = end.map(|end| check_expiry(end, work.now())).transpose()?;
            credential.change_expiry(end);
        }
        let patch = self.patch(&credential)?;
        if patch != CredentialPatch::default() {
            credential.record(CredentialEvent::Updated(patch));
        }
        save(work, credential)
    }
}

impl UpdateCredential {
    /// What of the description differs.
    fn patch(self, credential: &Credential) -> Result<CredentialPatch> {
        let name = self.name.map(|text| name(&text, 1, 255)).transpose().map_err(|e| e.at("name"))?;
        let description = self.description.map(|text| text::text(&text, 2_000)).transpose();
        let description = description.map_err(|e| e.at("description"))?;
        let metadata = self.metadata.map(|patch| patch.change(&credential.metadata)).transpose();
        let metadata = metadata.map_err(|e| e.at("metadata"))?.flatten();
        let JsonPatch { set: metadata_set, unset: metadata_unset } = metadata.unwrap_or_default();
        metadata::check(credential.credential_type, &metadata_set)?;
        let provider_account = match self.provider_account {
            Patch::Value(account) => Patch::Value(account.check().map_err(|e| e.at("provider_account"))?),
            other => other,
        };
        let same = match &provider_account {
            Patch::Absent => true,
            Patch::Null => credential.provider_account.is_none(),
            Patch::Value(account) => credential.provider_account.as_ref() == Some(account),
        };
        Ok(CredentialPatch {
            name: name.filter(|name| *name != credential.name),
            description: description.filter(|text| *text != credential.description),
            provider_account: if same { Patch::Absent } else { provider_account },
            metadata_set,
            metadata_unset,
        })
    }
}
