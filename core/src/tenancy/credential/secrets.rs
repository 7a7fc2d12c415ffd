//! The secrets of a credential: where they belong in the vault, and how they get there.

use super::{Credential, CredentialSecret, CredentialType, OAuthGrant, OAuthState};
use crate::engine::UnitOfWork;
use crate::kernel::{
    CredentialId, Error, ErrorCode, Kind, ProjectId, Result, SecretBytes, SecretRef, SecretText, Timestamp,
    secret_hint, text,
};
use crate::vault::{MAX_SECRET_BYTES, SecretPlace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most scopes of a grant, and the most characters of one.
const MAX_SCOPES: usize = 100;
const MAX_SCOPE: usize = 255;

/// What a provider gave after a person had granted access.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuthTokens {
    pub access_token: SecretText,
    #[serde(default)]
    pub refresh_token: Option<SecretText>,
    /// How many seconds the access token lives from now on; null = it does not end.
    #[serde(default)]
    pub expires_in: Option<i64>,
    /// As granted, which may be fewer than asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// `Bearer` unless told; at most 20 characters.
    #[serde(default)]
    pub token_type: Option<String>,
}

/// Where a secret of a credential belongs.
pub fn secret_place(project: ProjectId, id: CredentialId, which: CredentialSecret) -> SecretPlace {
    let field = match which {
        CredentialSecret::Value => "value",
        CredentialSecret::Access => "oauth.access",
    };
    SecretPlace::new(project, Kind::Credential, id, field)
}

/// Where the refresh token of a credential belongs.
pub(super) fn refresh_place(project: ProjectId, id: CredentialId) -> SecretPlace {
    SecretPlace::new(project, Kind::Credential, id, "oauth.refresh")
}

/// A sealed value and what is shown of it.
pub(super) struct SealedValue {
    pub secret: SecretRef,
    pub fingerprint: String,
    pub hint: Option<String>,
}

/// Refuses a value that the type cannot have or the vault cannot keep.
///
/// # Errors
/// `secret_empty`, `secret_too_large`, `credential_value_malformed`, at `value`.
pub(super) fn check_value(credential_type: CredentialType, value: &SecretText) -> Result<()> {
    check_size(value).and_then(|()| credential_type.check_value(value.expose())).map_err(|e| e.at("value"))
}

fn check_size(value: &SecretText) -> Result<()> {
    match value.expose().len() {
        0 => Err(ErrorCode::SecretEmpty.into()),
        length if length > MAX_SECRET_BYTES => {
            Err(Error::new(ErrorCode::SecretTooLarge).with("max", MAX_SECRET_BYTES).with("current", length))
        }
        _ => Ok(()),
    }
}

/// Seals a value beside the one that it follows.
pub(super) async fn seal_value(
    work: &mut UnitOfWork<'_>,
    id: CredentialId,
    older: Option<SecretRef>,
    value: &SecretText,
) -> Result<SealedValue> {
    let bytes = SecretBytes::new(value.expose());
    let project = work.project();
    let fingerprint = work.fingerprint(project, &bytes).await.map_err(|e| e.at("value"))?;
    let place = secret_place(project, id, CredentialSecret::Value);
    let secret = work.seal_beside(&place, older, &bytes).await.map_err(|e| e.at("value"))?;
    Ok(SealedValue { secret, fingerprint, hint: secret_hint(value.expose()) })
}

impl OAuthTokens {
    /// # Errors
    /// `oauth_expires_in_invalid`, `secret_empty`, `secret_too_large`, `text_too_long`, at the part.
    pub(super) fn check(&self) -> Result<()> {
        check_size(&self.access_token).map_err(|e| e.at("access_token"))?;
        if let Some(refresh) = &self.refresh_token {
            check_size(refresh).map_err(|e| e.at("refresh_token"))?;
        }
        if self.expires_in.is_some_and(|seconds| seconds <= 0) {
            return Err(Error::new(ErrorCode::OauthExpiresInInvalid).at("expires_in"));
        }
        if let Some(token_type) = &self.token_type {
            text::required_text(token_type, 20).map_err(|e| e.at("token_type"))?;
        }
        if self.scopes.len() > MAX_SCOPES {
            return Err(Error::new(ErrorCode::InputInvalid).at("scopes").message("at most 100 scopes"));
        }
        for (number, scope) in self.scopes.iter().enumerate() {
            text::required_text(scope, MAX_SCOPE).map_err(|e| e.at(format!("[{number}]")).at("scopes"))?;
        }
        Ok(())
    }

    /// Seals the tokens, beside those that they follow.
    pub(super) async fn seal(
        &self,
        work: &mut UnitOfWork<'_>,
        id: CredentialId,
        known: Option<&OAuthState>,
    ) -> Result<OAuthGrant> {
        let project = work.project();
        let place = secret_place(project, id, CredentialSecret::Access);
        let access = SecretBytes::new(self.access_token.expose());
        let access = work.seal_beside(&place, known.map(|known| known.access), &access).await;
        let access = access.map_err(|e| e.at("access_token"))?;
        let refresh = match &self.refresh_token {
            Some(token) => {
                let older = known.and_then(|known| known.refresh);
                let token = SecretBytes::new(token.expose());
                let sealed = work.seal_beside(&refresh_place(project, id), older, &token).await;
                Some(sealed.map_err(|e| e.at("refresh_token"))?)
            }
            None => None,
        };
        Ok(OAuthGrant {
            access,
            refresh,
            token_type: self.token_type.clone().unwrap_or_else(|| "Bearer".to_owned()),
            scopes: self.scopes.clone(),
            issued_at: work.now(),
            expires_at: self.ends_at(work.now()),
        })
    }

    fn ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_in.map(|seconds| now.plus_seconds(seconds))
    }
}

impl Credential {
    /// All its secrets: the newest of each, after which come the older ones of the same.
    pub(super) fn secrets(&self) -> impl Iterator<Item = SecretRef> {
        let tokens = self.oauth.iter().flat_map(|oauth| [Some(oauth.access), oauth.refresh]);
        let retiring: Vec<SecretRef> = self.retiring.iter().map(|old| old.secret).collect();
        self.value.into_iter().chain(tokens.flatten().collect::<Vec<_>>()).chain(retiring)
    }
}
