//! What may happen to a credential when.

use super::CredentialStatus::{Active, Expired, Inactive, NeedsReauth};
use super::grant::{DEFAULT_GRACE_SECONDS, REFRESH_LEASE_SECONDS, backoff_seconds};
use super::state::missing_scopes;
use super::{
    Credential, CredentialEvent, CredentialStatus, ExpiryCause, OAuthGrant, OAuthState, ProviderAccount, is_final,
};
use crate::engine::Root;
use crate::kernel::{Error, ErrorCode, Result, SecretRef, Timestamp};

/// The most characters of a provider's word for a failure.
const MAX_ERROR_CODE: usize = 100;

impl Credential {
    /// # Errors
    /// `not_an_oauth_credential`.
    pub fn check_oauth(&self) -> Result<()> {
        if self.credential_type.is_oauth() {
            return Ok(());
        }
        Err(Error::new(ErrorCode::NotAnOauthCredential).with("credential_type", self.credential_type.as_str()))
    }

    /// The granted tokens with the refresh token.
    ///
    /// # Errors
    /// `not_an_oauth_credential`, `oauth_not_authorized`, `oauth_no_refresh_token`.
    pub fn renewable(&self) -> Result<(&OAuthState, SecretRef)> {
        self.check_oauth()?;
        let oauth = self.oauth.as_ref().ok_or(ErrorCode::OauthNotAuthorized)?;
        let refresh = oauth.refresh.ok_or(ErrorCode::OauthNoRefreshToken)?;
        Ok((oauth, refresh))
    }

    fn refuse(&self, allowed: &[CredentialStatus]) -> Result<()> {
        match self.status {
            status if allowed.contains(&status) => Ok(()),
            Inactive => Err(ErrorCode::CredentialInactive.into()),
            NeedsReauth => Err(ErrorCode::CredentialNeedsReauth.into()),
            status => Err(Error::new(ErrorCode::InvalidState).with("status", status.as_str())),
        }
    }

    /// # Errors
    /// `credential_inactive`, `credential_needs_reauth` unless the value may be replaced now.
    pub(super) fn check_rotation(&self) -> Result<()> {
        self.refuse(&[Active, Expired])
    }
}

impl Root<Credential> {
    /// Takes in what a person granted; the tokens are sealed already.
    ///
    /// # Errors
    /// `credential_inactive`.
    pub(super) fn authorise(&mut self, grant: OAuthGrant, provider_account: Option<ProviderAccount>) -> Result<()> {
        self.refuse(&[Active, Expired, NeedsReauth])?;
        let missing_scopes = missing_scopes(self.credential_type, &grant.scopes);
        let OAuthGrant { access, refresh, token_type, scopes, issued_at, expires_at } = grant;
        self.record(CredentialEvent::OAuthAuthorized {
            access,
            refresh,
            token_type,
            scopes,
            missing_scopes,
            issued_at,
            expires_at,
            provider_account,
        });
        Ok(())
    }

    /// Takes the right to refresh, for a minute, and tells the refresh token.
    ///
    /// # Errors
    /// `not_an_oauth_credential`, `oauth_not_authorized`, `oauth_no_refresh_token`, `credential_inactive`,
    /// `credential_needs_reauth`, `refresh_in_progress`.
    pub(super) fn begin_refresh(&mut self) -> Result<SecretRef> {
        let now = self.now();
        let (oauth, refresh) = self.renewable()?;
        if oauth.is_leased(now) {
            let until = oauth.refresh_lease_until.map(|until| until.to_string());
            return Err(Error::new(ErrorCode::RefreshInProgress).with("until", until));
        }
        self.refuse(&[Active, Expired])?;
        self.record(CredentialEvent::OAuthRefreshStarted { lease_until: now.plus_seconds(REFRESH_LEASE_SECONDS) });
        Ok(refresh)
    }

    /// Takes in new tokens, which are sealed already. Tokens for a credential that was switched off meanwhile are kept: the
    /// provider may have ended the old ones. An earlier access token opens to its own end, an earlier refresh token for a day.
    ///
    /// # Errors
    /// `oauth_not_authorized`, `credential_needs_reauth`.
    pub(super) fn refreshed(&mut self, grant: OAuthGrant) -> Result<()> {
        self.refuse(&[Active, Expired, Inactive])?;
        let now = self.now();
        let known = self.oauth.as_ref().ok_or(ErrorCode::OauthNotAuthorized)?;
        let refresh_rotated = grant.refresh.is_some();
        let refresh = grant.refresh.or(known.refresh);
        let day = now.plus_seconds(DEFAULT_GRACE_SECONDS);
        let old_access_until = known.expires_at.map_or(Some(day), |end| (end > now).then_some(end.min(day)));
        let scopes = if grant.scopes.is_empty() { known.scopes.clone() } else { grant.scopes };
        self.record(CredentialEvent::OAuthRefreshed {
            access: grant.access,
            refresh,
            refresh_rotated,
            scopes,
            issued_at: grant.issued_at,
            expires_at: grant.expires_at,
            old_access_until,
            old_refresh_until: refresh_rotated.then_some(day),
        });
        Ok(())
    }

    /// Takes in that a refresh failed: to be tried again later, or never.
    ///
    /// # Errors
    /// `oauth_not_authorized`, `credential_needs_reauth`.
    pub(super) fn refresh_failed(&mut self, error_code: &str, permanent: bool) -> Result<()> {
        self.refuse(&[Active, Expired, Inactive])?;
        let now = self.now();
        let oauth = self.oauth.as_ref().ok_or(ErrorCode::OauthNotAuthorized)?;
        let permanent = permanent || is_final(error_code);
        let refresh_failures = oauth.refresh_failures + 1;
        let gives_up = !permanent && self.status == Active && oauth.gives_up(refresh_failures, now);
        let tries_again = !permanent && !gives_up && self.status == Active;
        self.record(CredentialEvent::OAuthRefreshFailed {
            error_code: error_code.chars().take(MAX_ERROR_CODE).collect(),
            permanent,
            refresh_failures,
            next_refresh_at: tries_again.then(|| now.plus_seconds(backoff_seconds(refresh_failures))),
            status: if permanent && self.status != Inactive { NeedsReauth } else { self.status },
        });
        if gives_up {
            self.expire(ExpiryCause::RefreshExhausted);
        }
        Ok(())
    }

    /// Its time is over.
    pub(super) fn expire(&mut self, cause: ExpiryCause) {
        if self.status == Active {
            let expired_at = self.now();
            self.record(CredentialEvent::Expired { expired_at, cause });
        }
    }

    /// Ends it at another time, chosen by a person.
    pub(super) fn change_expiry(&mut self, new: Option<Timestamp>) {
        let old = self.expires_at;
        if old != new {
            self.record(CredentialEvent::ExpiryChanged { old, new });
        }
    }

    /// Switches it on: active, unless its time is over meanwhile or nobody has granted anything. Twice changes nothing.
    ///
    /// # Errors
    /// `invalid_state` where something else has to happen first.
    pub(super) fn activate(&mut self, reason: Option<String>) -> Result<()> {
        match self.status {
            Active => return Ok(()),
            Inactive => {}
            status => return Err(Error::new(ErrorCode::InvalidState).with("status", status.as_str())),
        }
        let status = if !self.is_authorised() {
            NeedsReauth
        } else if self.is_expired(self.now()) {
            Expired
        } else {
            Active
        };
        self.record(CredentialEvent::Activated { status, reason });
        Ok(())
    }

    /// Switches it off. Twice changes nothing.
    pub(super) fn deactivate(&mut self, reason: Option<String>) {
        if self.status != Inactive {
            self.record(CredentialEvent::Deactivated { status: Inactive, reason });
        }
    }
}
