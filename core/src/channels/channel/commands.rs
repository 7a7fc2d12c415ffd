//! What people, hosts and the component `channel` do with channels.

mod create;
mod labels;
mod status;
mod update;

pub use create::{CreateChannel, CreatedChannel};
pub use labels::{DeleteLabel, UpsertLabel};
pub use status::{
    ActivateChannel, ChallengeRequestKind, ChannelChallenge, DeactivateChannel, DeleteChannel, ReportConnection,
    RequestChallenge, RotateWebhookToken, RotatedToken,
};
pub use update::UpdateChannel;

use super::secrets::{path, token_place};
use super::{SecretValues, WebhookToken};
use crate::catalogue::aggregate_type;
use crate::channels::channel_type::ChannelType;
use crate::engine::{Reader, UnitOfWork};
use crate::kernel::{
    AgentId, ChannelId, CredentialId, Error, ErrorCode, ExternalId, Kind, PipelineId, Result, SecretRef, Url,
};
use std::collections::BTreeMap;
use uuid::Uuid;

const CONFIG_ERRORS: [ErrorCode; 4] = [
    ErrorCode::ConfigFieldUnknown,
    ErrorCode::ConfigFieldInvalid,
    ErrorCode::ConfigFieldMissing,
    ErrorCode::EncryptionNotConfigured,
];

/// Without a vault secrets are refused rather than kept in clear text: one failure for each, where it was given.
fn need_vault(
    work: &UnitOfWork<'_>,
    channel_type: &ChannelType,
    given: &SecretValues,
    values: &BTreeMap<String, String>,
) -> Vec<Error> {
    if work.has_vault() {
        return Vec::new();
    }
    let refused = |key: &String| Error::new(ErrorCode::EncryptionNotConfigured).at(path(channel_type, given, key));
    values.keys().map(refused).collect()
}

/// The sealed form of a token; none without a vault, where its hash alone is kept.
async fn seal_token(
    work: &mut UnitOfWork<'_>,
    id: ChannelId,
    replaces: Option<SecretRef>,
    token: &WebhookToken,
) -> Result<Option<SecretRef>> {
    if !work.has_vault() {
        return Ok(None);
    }
    let place = token_place(work.project(), id);
    work.seal(&place, replaces, &token.secret()).await.map(Some)
}

/// Pipeline, agent and credential exist in the project; else their `<kind>_not_found` at the field.
async fn check_references(
    work: &UnitOfWork<'_>,
    pipeline: Option<PipelineId>,
    agent: Option<AgentId>,
    credential: Option<CredentialId>,
) -> Result<()> {
    let references = [
        (Kind::Pipeline, pipeline.map(PipelineId::uuid), ErrorCode::PipelineNotFound, "pipeline_id"),
        (Kind::Agent, agent.map(AgentId::uuid), ErrorCode::AgentNotFound, "default_agent_id"),
        (Kind::Credential, credential.map(CredentialId::uuid), ErrorCode::CredentialNotFound, "credential_id"),
    ];
    for (kind, id, code, field) in references {
        if let Some(id) = id
            && !exists(work.reader(), kind, id).await?
        {
            return Err(Error::new(code).at(field).with("id", id.to_string()));
        }
    }
    Ok(())
}

/// Whether an aggregate of another room is there and not deleted. A kind that this build lacks has no members.
async fn exists(read: &Reader<'_>, kind: Kind, id: Uuid) -> Result<bool> {
    let Some(aggregate) = aggregate_type(kind) else { return Ok(false) };
    let found = read.storage().get(read.scope_of(kind), kind, &[id]).await?;
    match found.first() {
        Some(snapshot) => Ok(!(aggregate.decode)(snapshot)?.index().hidden),
        None => Ok(false),
    }
}

fn check_external_id(channel_type: &ChannelType, text: &str) -> Result<String> {
    let id = ExternalId::parse(text.trim()).map_err(|e| e.at("external_id"))?;
    match channel_type.external_id_rule.format {
        Some(format) if !format.fits(id.as_str()) => {
            Err(Error::new(ErrorCode::ConfigFieldInvalid).at("external_id").with("format", format.as_str()))
        }
        _ => Ok(id.as_str().to_owned()),
    }
}

/// `https`, or `http` on this very machine; without the slash at its end.
fn check_webhook_url(url: &Url) -> Result<String> {
    if !url.is_https() && !matches!(url.host(), "localhost" | "127.0.0.1" | "[::1]") {
        return Err(Error::new(ErrorCode::UrlSchemeUnsupported).at("webhook_base_url"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn check_webhook_events(events: &[String]) -> Result<()> {
    let fits = |event: &String| !event.is_empty() && event.len() <= 100 && !event.contains(char::is_whitespace);
    if events.len() <= 50 && events.iter().all(fits) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::InputInvalid).at("webhook_events").message("at most 50 names of 1 to 100 characters"))
}

crate::operations![
    commands: CreateChannel, UpdateChannel, ActivateChannel, DeactivateChannel, DeleteChannel, ReportConnection,
    RequestChallenge, RotateWebhookToken, UpsertLabel, DeleteLabel
];
