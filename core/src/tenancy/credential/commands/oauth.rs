//! Tokens that a person grants: taking them in, and renewing them, one at a time.

use super::super::secrets::{OAuthTokens, refresh_place};
use super::super::{Credential, ProviderAccount};
use super::{SEALING, save};
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{
    CredentialId, Error, ErrorCode, Permission, Result, RevealedText, SecretRef, SecretText, Timestamp, text,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Takes in what a person has granted at the provider, for the first time or again. Earlier tokens are destroyed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeOAuth {
    pub id: CredentialId,
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
    /// The account at the provider; as before unless told.
    #[serde(default)]
    pub provider_account: Option<ProviderAccount>,
}

impl Command for AuthorizeOAuth {
    const NAME: &'static str = "credentials.authorize_oauth";
    const PERMISSION: Permission = Permission::CredentialsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::CredentialNotFound,
        ErrorCode::CredentialInactive,
        ErrorCode::NotAnOauthCredential,
        ErrorCode::OauthExpiresInInvalid,
        ErrorCode::SecretEmpty,
        ErrorCode::SecretTooLarge,
        ErrorCode::TextRequired,
        ErrorCode::TextTooLong,
        ErrorCode::InputInvalid,
        SEALING[0],
        SEALING[1],
        SEALING[2],
    ];
    type Output = Credential;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Credential> {
        let mut credential = work.load::<Credential>(self.id).await?;
        credential.check_oauth()?;
        let account = self.provider_account.map(ProviderAccount::check).transpose();
        let account = account.map_err(|e| e.at("provider_account"))?;
        let tokens = OAuthTokens {
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            expires_in: self.expires_in,
            scopes: self.scopes,
            token_type: self.token_type,
        };
        tokens.check()?;
        let known = credential.oauth.clone();
        let grant = tokens.seal(work, self.id, known.as_ref()).await?;
        credential.authorise(grant, account)?;
        for old in known.iter().flat_map(|known| [Some(known.access), known.refresh]).flatten() {
            work.shred(credential.project_id, old);
        }
        save(work, credential)
    }
}

/// Takes the right to renew the tokens of a credential, for a minute: nobody else begins meanwhile. The provider's answer is
/// handed in with `credentials.complete_refresh`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginRefresh {
    pub id: CredentialId,
}

/// The right to renew tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshLease {
    /// What the provider is asked with. It is told to the caller alone.
    pub refresh_token: RevealedText,
    pub secret: SecretRef,
    /// Until then nobody else may begin.
    pub lease_until: Timestamp,
}

impl Command for BeginRefresh {
    const NAME: &'static str = "credentials.begin_refresh";
    const PERMISSION: Permission = Permission::CredentialsUse;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::CredentialNotFound,
        ErrorCode::NotAnOauthCredential,
        ErrorCode::OauthNotAuthorized,
        ErrorCode::OauthNoRefreshToken,
        ErrorCode::RefreshInProgress,
        ErrorCode::CredentialInactive,
        ErrorCode::CredentialNeedsReauth,
        ErrorCode::InputInvalid,
        SEALING[0],
        SEALING[1],
        SEALING[2],
    ];
    type Output = RefreshLease;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<RefreshLease> {
        work.refuse_idempotency_key()?;
        let mut credential = work.load::<Credential>(self.id).await?;
        let lease = begin(work, &mut credential).await?;
        work.keep(credential)?;
        Ok(lease)
    }
}

/// Records that somebody renews, and opens the refresh token.
pub(in super::super) async fn begin(
    work: &mut UnitOfWork<'_>,
    credential: &mut Root<Credential>,
) -> Result<RefreshLease> {
    let secret = credential.begin_refresh()?;
    let place = refresh_place(credential.project_id, credential.id);
    let token = work.reader().open_secret(&place, secret).await?.ok_or(ErrorCode::OauthNoRefreshToken)?;
    let token = String::from_utf8(token.expose().to_vec());
    let lease_until = credential.oauth.as_ref().and_then(|oauth| oauth.refresh_lease_until);
    Ok(RefreshLease {
        refresh_token: RevealedText::new(token.map_err(|_| Error::corrupt("a sealed secret is no text"))?),
        secret,
        lease_until: lease_until.unwrap_or_else(|| work.now()),
    })
}

/// New tokens of a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshedTokens {
    pub access_token: SecretText,
    /// Another refresh token, where the provider gives one with every renewal; the old one stays unless told.
    #[serde(default)]
    pub refresh_token: Option<SecretText>,
    /// How many seconds the access token lives from now on; null = it does not end.
    #[serde(default)]
    pub expires_in: Option<i64>,
    /// As before unless told.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// Why a provider gave no tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshFailure {
    /// The provider's word, such as `invalid_grant`, or one for what went wrong on the way, such as `http_503`; 1 to 100
    /// characters.
    pub error_code: String,
    /// It cannot pass by itself, so a person has to authorise again. `invalid_grant`, `invalid_client` and their kin always are.
    #[serde(default)]
    pub permanent: bool,
}

/// Hands in what the provider said to a renewal: tokens or a failure, one of the two.
///
/// A failure that may pass is tried again after 1, 2, 4, ... minutes, at most an hour; after the tenth one a token that is over
/// is given up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteRefresh {
    pub id: CredentialId,
    #[serde(default)]
    pub tokens: Option<RefreshedTokens>,
    #[serde(default)]
    pub failure: Option<RefreshFailure>,
}

impl Command for CompleteRefresh {
    const NAME: &'static str = "credentials.complete_refresh";
    const PERMISSION: Permission = Permission::CredentialsUse;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::CredentialNotFound,
        ErrorCode::NotAnOauthCredential,
        ErrorCode::OauthNotAuthorized,
        ErrorCode::OauthNoRefreshToken,
        ErrorCode::OauthExpiresInInvalid,
        ErrorCode::CredentialNeedsReauth,
        ErrorCode::SecretEmpty,
        ErrorCode::SecretTooLarge,
        ErrorCode::TextRequired,
        ErrorCode::TextTooLong,
        ErrorCode::FieldRequired,
        ErrorCode::InputInvalid,
        SEALING[0],
        SEALING[1],
        SEALING[2],
    ];
    type Output = Credential;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Credential> {
        let mut credential = work.load::<Credential>(self.id).await?;
        match (self.tokens, self.failure) {
            (Some(tokens), None) => {
                tokens.take_in(work, &mut credential).await.map_err(|e| place(e, "tokens"))?;
            }
            (None, Some(failure)) => {
                credential.renewable()?;
                let code = text::required_text(&failure.error_code, 100).map_err(|e| e.at("failure.error_code"))?;
                credential.refresh_failed(&code, failure.permanent)?;
            }
            (None, None) => return Err(Error::new(ErrorCode::FieldRequired).at("tokens")),
            (Some(_), Some(_)) => {
                let why = "a renewal gave either tokens or a failure";
                return Err(Error::new(ErrorCode::InputInvalid).at("failure").message(why));
            }
        }
        save(work, credential)
    }
}

/// Puts the field before those that name one; a failure of the credential itself has none.
fn place(error: Error, field: &str) -> Error {
    if error.field().is_some() { error.at(field) } else { error }
}

impl RefreshedTokens {
    fn as_granted(&self) -> OAuthTokens {
        OAuthTokens {
            access_token: self.access_token.clone(),
            refresh_token: self.refresh_token.clone(),
            expires_in: self.expires_in,
            scopes: self.scopes.clone(),
            token_type: None,
        }
    }

    /// # Errors
    /// `oauth_expires_in_invalid`, `secret_empty`, `secret_too_large`, `text_too_long`, at the part.
    pub(in super::super) fn check(&self) -> Result<()> {
        self.as_granted().check()
    }

    /// Seals the tokens and records them; what they replace is kept as long as it is of use.
    pub(in super::super) async fn take_in(
        self,
        work: &mut UnitOfWork<'_>,
        credential: &mut Root<Credential>,
    ) -> Result<()> {
        let known = credential.renewable()?.0.clone();
        let tokens = self.as_granted();
        tokens.check()?;
        let id = credential.id;
        let grant = tokens.seal(work, id, Some(&known)).await?;
        credential.refreshed(grant)?;
        let is_kept = credential.retiring.iter().any(|old| old.secret == known.access);
        if !is_kept {
            work.shred(credential.project_id, known.access);
        }
        Ok(())
    }
}
