//! Renewing granted tokens ahead of their end: one call at a time for each credential, over all processes. The job is claimed by
//! one worker, and the credential itself has a lease that hosts who renew by themselves respect as well.
//!
//! When a process dies between the provider's answer and its commit, the renewal is made again once the lease is over. A provider
//! that had given another refresh token meanwhile then says `invalid_grant`, and a person has to authorise again.

use super::commands::{RefreshedTokens, begin};
use super::timers::{arm, credential_of};
use super::{Credential, CredentialSecret, CredentialStatus, CredentialType, secret_place};
use crate::engine::{Answer, JobOutcome, OutsideJob, Plan, UnitOfWork};
use crate::http::{HttpMethod, HttpRequest, HttpResponse};
use crate::kernel::{Component, Result, SecretBytes, SecretText, Timestamp};
use crate::storage::JobRecord;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use url::form_urlencoded;

/// The call that renews the tokens of a credential.
pub(super) const REFRESH: OutsideJob = OutsideJob {
    kind: "timer.credential_refresh",
    component: Component::Scheduled,
    max_attempts: 20,
    has_breaker: true,
    plan: |work, job| Box::pin(plan(work, job)),
    settle: |work, job, answer| Box::pin(settle(work, job, answer)),
};

/// A renewal takes less than its lease.
const TIMEOUT: Duration = Duration::from_secs(30);
const GOOGLE: &str = "https://oauth2.googleapis.com/token";
const DONE: JobOutcome = JobOutcome::Done { result: None };

/// Where and as whom tokens are renewed.
struct Client<'c> {
    url: &'c str,
    id: &'c str,
}

/// The client that a credential names; without one, renewing is up to the host.
fn client(credential: &Credential) -> Option<Client<'_>> {
    let note = |key: &str| credential.metadata.get(key).and_then(Value::as_str);
    let known = match credential.credential_type {
        CredentialType::GoogleAds | CredentialType::GoogleAnalytics => Some(GOOGLE),
        _ => None,
    };
    Some(Client { url: note("oauth_url").or(known)?, id: note("client_id")? })
}

/// When the library renews the tokens next.
pub(super) fn due_at(credential: &Credential) -> Option<Timestamp> {
    let oauth = credential.oauth.as_ref().filter(|oauth| oauth.refresh.is_some())?;
    let renews = credential.status == CredentialStatus::Active && client(credential).is_some();
    oauth.next_refresh_at.filter(|_| renews)
}

async fn plan(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<Plan> {
    let found = work.find::<Credential>(credential_of(job)?).await?;
    let Some(mut credential) = found.filter(|credential| credential.deleted_at.is_none()) else {
        return Ok(Plan::Settled(DONE));
    };
    let now = work.now();
    let Some(due) = due_at(&credential) else { return Ok(Plan::Settled(DONE)) };
    let leased_until = credential.oauth.as_ref().and_then(|oauth| oauth.refresh_lease_until);
    if let Some(later) = [Some(due), leased_until].into_iter().flatten().filter(|at| *at > now).max() {
        return Ok(Plan::Settled(JobOutcome::Again(later)));
    }
    let secret = match credential.value {
        Some(value) => {
            let place = secret_place(credential.project_id, credential.id, CredentialSecret::Value);
            work.reader().open_secret(&place, value).await?
        }
        None => None,
    };
    let lease = begin(work, &mut credential).await?;
    let request = client(&credential).map(|client| request(&client, secret.as_ref(), &lease.refresh_token));
    work.keep(credential)?;
    Ok(request.map_or(Plan::Settled(DONE), Plan::Call))
}

/// The call of RFC 6749, section 6.
fn request(client: &Client<'_>, secret: Option<&SecretBytes>, refresh_token: &str) -> HttpRequest {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", refresh_token);
    form.append_pair("client_id", client.id);
    if let Some(secret) = secret {
        form.append_pair("client_secret", &String::from_utf8_lossy(secret.expose()));
    }
    let request = HttpRequest::new(HttpMethod::Post, client.url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json");
    HttpRequest { body: form.finish().into_bytes(), timeout: TIMEOUT, ..request }
}

async fn settle(work: &mut UnitOfWork<'_>, job: &JobRecord, answer: &Answer) -> Result<JobOutcome> {
    let found = work.find::<Credential>(credential_of(job)?).await?;
    let Some(mut credential) = found.filter(|credential| credential.deleted_at.is_none()) else { return Ok(DONE) };
    // Without a lease somebody has authorised again, or handed in an answer, meanwhile: this one is about tokens that are gone.
    let is_awaited = credential.oauth.as_ref().is_some_and(|oauth| oauth.refresh_lease_until.is_some());
    if !is_awaited || credential.status == CredentialStatus::NeedsReauth {
        return Ok(DONE);
    }
    match read(answer) {
        Ok(tokens) => tokens.take_in(work, &mut credential).await?,
        Err(code) => credential.refresh_failed(&code, false)?,
    }
    arm(work, &credential);
    work.keep(credential)?;
    Ok(DONE)
}

/// The tokens of an answer, or a word for why there are none.
fn read(answer: &Answer) -> std::result::Result<RefreshedTokens, String> {
    let response = answer.as_ref().map_err(|failure| failure.as_str().to_owned())?;
    if !response.is_success() {
        return Err(refusal(response));
    }
    let invalid = || "response_invalid".to_owned();
    let given: Given = serde_json::from_slice(&response.body).map_err(|_| invalid())?;
    let tokens = RefreshedTokens {
        access_token: SecretText::new(given.access_token),
        refresh_token: given.refresh_token.map(SecretText::new),
        expires_in: given.expires_in,
        scopes: given.scope.iter().flat_map(|scope| scope.split_ascii_whitespace()).map(str::to_owned).collect(),
    };
    tokens.check().map(|()| tokens).map_err(|_| invalid())
}

/// RFC 6749, section 5.1. No `Debug`: these are the tokens.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<i64>,
    #[serde(default)]
    scope: Option<String>,
}

/// The provider's word where it is one, and the status where it is not: a text of a provider can repeat what it was sent.
fn refusal(response: &HttpResponse) -> String {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    let by_status = format!("http_{}", response.status);
    let is_word =
        |text: &String| (1..=60).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match serde_json::from_slice::<Refused>(&response.body) {
        Ok(refused) if (400..500).contains(&response.status) && is_word(&refused.error) => refused.error,
        _ => by_status,
    }
}
