//! Makes a credential.

use super::super::metadata;
use super::super::secrets::{OAuthTokens, check_value, seal_value};
use super::super::values::check_expiry;
use super::super::{
    Credential, CredentialEvent, CredentialStatus, CredentialType, NewCredential, ProviderAccount, ValueForm,
};
use super::{SEALING, save};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{
    CredentialId, Error, ErrorCode, Errors, Kind, Permission, Result, SecretText, Timestamp, name, text,
};
use crate::storage::Filter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The most credentials of a project.
const MAX_CREDENTIALS: u64 = 200;
const MAX_DESCRIPTION: usize = 2_000;

/// Makes a credential. Its secrets are sealed in the vault and never shown again, only opened with `credentials.open`.
///
/// A type whose tokens a person grants may start without any: it is `needs_reauth` until `credentials.authorize_oauth`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCredential {
    /// It can never change.
    pub credential_type: CredentialType,
    /// 1 to 255 characters, unique in the project whatever its case.
    pub name: String,
    /// At most 2 000 characters.
    #[serde(default)]
    pub description: String,
    /// 1 to 16 384 bytes. For `basic_auth`, `twilio`, `wechat` and `smtp` it is a JSON object; for types whose tokens are granted
    /// it is the secret of the OAuth client, and for `meta_whatsapp_cloud` a permanent token.
    #[serde(default)]
    pub value: Option<SecretText>,
    /// Tokens that a person has granted already.
    #[serde(default)]
    pub oauth: Option<OAuthTokens>,
    /// When it ends; not together with `oauth`, whose tokens say so themselves.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Notes that are no secrets: `base_url` of a WhatsApp HTTP instance, `client_id` and `oauth_url` of an OAuth client.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    #[serde(default)]
    pub provider_account: Option<ProviderAccount>,
}

impl Command for CreateCredential {
    const NAME: &'static str = "credentials.create";
    const PERMISSION: Permission = Permission::CredentialsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::CredentialNameTaken,
        ErrorCode::CredentialLimit,
        ErrorCode::CredentialValueRequired,
        ErrorCode::CredentialValueMalformed,
        ErrorCode::CredentialExpiryInPast,
        ErrorCode::NotAnOauthCredential,
        ErrorCode::OauthExpiresInInvalid,
        ErrorCode::MetadataLooksSecret,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonKeyInvalid,
        ErrorCode::UrlInvalid,
        ErrorCode::UrlSchemeUnsupported,
        ErrorCode::UrlCredentials,
        ErrorCode::TextRequired,
        ErrorCode::TextTooLong,
        ErrorCode::SecretEmpty,
        ErrorCode::SecretTooLarge,
        SEALING[0],
        SEALING[1],
        SEALING[2],
    ];
    type Output = Credential;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Credential> {
        let scope = work.reader().scope_of(Kind::Credential);
        let count = work.reader().storage().count(scope, Kind::Credential, &Filter::everything(), false).await?;
        if count >= MAX_CREDENTIALS {
            return Err(Error::new(ErrorCode::CredentialLimit).with("max", MAX_CREDENTIALS));
        }
        let id: CredentialId = work.new_id();
        let mut new = self.check(work.now())?;
        if let Some(value) = &self.value {
            let sealed = seal_value(work, id, None, value).await?;
            new.value = Some(sealed.secret);
            new.fingerprint = Some(sealed.fingerprint);
            new.hint = sealed.hint;
        }
        if let Some(tokens) = &self.oauth {
            new.oauth = Some(tokens.seal(work, id, None).await.map_err(|e| e.at("oauth"))?);
        }
        let credential = work.create::<Credential>(id, CredentialEvent::Created(Box::new(new)))?;
        save(work, credential)
    }
}

impl CreateCredential {
    /// Every rule at once, so that a form shows all failures.
    fn check(&self, now: Timestamp) -> Result<NewCredential> {
        let mut errors = Errors::new();
        let name = errors.take("name", name(&self.name, 1, 255));
        let description = errors.take("description", text::text(&self.description, MAX_DESCRIPTION));
        let is_oauth = self.credential_type.is_oauth();
        match &self.value {
            Some(value) => {
                errors.take("value", check_value(self.credential_type, value));
            }
            None if !is_oauth => errors.push(Error::new(ErrorCode::CredentialValueRequired).at("value")),
            None => {}
        }
        match &self.oauth {
            Some(_) if !is_oauth => errors.push(Error::new(ErrorCode::NotAnOauthCredential).at("oauth")),
            Some(tokens) => {
                errors.take("oauth", tokens.check().map_err(|e| e.at("oauth")));
            }
            None => {}
        }
        if self.oauth.is_some() && self.expires_at.is_some() {
            let why = "tokens say themselves when they end: give `oauth.expires_in`";
            errors.push(Error::new(ErrorCode::InputInvalid).at("expires_at").message(why));
        }
        errors.take("expires_at", self.expires_at.map(|end| check_expiry(end, now)).transpose());
        let object = Value::Object(self.metadata.clone());
        errors.take("metadata", text::json_object(&object).map(drop));
        errors.take("metadata", metadata::check(self.credential_type, &self.metadata));
        let account = self.provider_account.clone().map(ProviderAccount::check).transpose();
        let provider_account = errors.take("provider_account", account.map_err(|e| e.at("provider_account"))).flatten();
        errors.check()?;
        let has_token = self.oauth.is_some() || self.credential_type.form() == ValueForm::Token && self.value.is_some();
        let is_waiting = is_oauth && !has_token;
        Ok(NewCredential {
            credential_type: self.credential_type,
            name: name.unwrap_or_default(),
            description: description.unwrap_or_default(),
            status: if is_waiting { CredentialStatus::NeedsReauth } else { CredentialStatus::Active },
            value: None,
            fingerprint: None,
            hint: None,
            oauth: None,
            expires_at: self.expires_at,
            metadata: self.metadata.clone(),
            provider_account,
        })
    }
}
