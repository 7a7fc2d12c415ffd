//! Channels go off with their project, and to error with the credential that connects them. They are not deleted: a project can
//! come back, and so can a credential.

use super::queries::{MAX_CHANNELS, connected_through};
use super::{Channel, ChannelStatus, Report};
use crate::channels::channel_type::queries::by_code;
use crate::channels::gateway::ConnectionState;
use crate::engine::{Event, Reaction, UnitOfWork};
use crate::kernel::{ChannelId, Component, CredentialId, ErrorCode, Kind, Result};
use crate::storage::{EventRecord, FieldKind, Filter, Find};
use crate::tenancy::credential::{CredentialEvent, CredentialStatus};

/// The reactions of channels.
pub const REACTIONS: &[Reaction] = &[
    Reaction {
        name: "ventros.channels_of_deleted_projects",
        events: &["project.deleted"],
        component: Component::Channel,
        run: |work, _record, _event: &Event| Box::pin(switch_off(work)),
    },
    Reaction {
        name: "ventros.channels.credentials",
        events: &[
            "credential.oauth_refresh_failed",
            "credential.expired",
            "credential.deactivated",
            "credential.deleted",
            "credential.activated",
            "credential.oauth_authorized",
            "credential.oauth_refreshed",
            "credential.value_rotated",
        ],
        component: Component::Channel,
        run: |work, record, event| Box::pin(follow_credential(work, record, event)),
    },
];

async fn switch_off(work: &mut UnitOfWork<'_>) -> Result<()> {
    let on = Filter::Not(Box::new(Filter::eq("status", FieldKind::Enum, ChannelStatus::Inactive.as_str())));
    let find = Find {
        filter: on,
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: MAX_CHANNELS,
        include_hidden: false,
        with_total: false,
    };
    let found = work.reader().storage().find(work.reader().scope_of(Kind::Channel), Kind::Channel, &find).await?;
    for row in found.rows {
        let mut channel = work.load::<Channel>(ChannelId::from_uuid(row.snapshot.id)).await?;
        if channel.status != ChannelStatus::Inactive {
            channel.deactivate(Some("project deleted"), false)?;
        }
        work.save(channel)?;
    }
    Ok(())
}

/// What a credential's event means for those that it connects.
enum Meaning {
    /// It cannot be used, and why.
    Broken(&'static str),
    /// It can be used again, or holds something else.
    Usable,
}

fn meaning(event: &CredentialEvent) -> Option<Meaning> {
    match event {
        CredentialEvent::OAuthRefreshFailed { status: CredentialStatus::NeedsReauth, .. } => {
            Some(Meaning::Broken("the credential needs to be authorised again"))
        }
        CredentialEvent::Expired { .. } => Some(Meaning::Broken("the credential has expired")),
        CredentialEvent::Deactivated { .. } => Some(Meaning::Broken("the credential was switched off")),
        CredentialEvent::Deleted { .. } => Some(Meaning::Broken("the credential was deleted")),
        CredentialEvent::Activated { status: CredentialStatus::Active, .. }
        | CredentialEvent::OAuthAuthorized { .. }
        | CredentialEvent::OAuthRefreshed { .. }
        | CredentialEvent::ValueRotated { .. } => Some(Meaning::Usable),
        _ => None,
    }
}

async fn follow_credential(work: &mut UnitOfWork<'_>, record: &EventRecord, event: &Event) -> Result<()> {
    let Event::Credential(event) = event else { return Ok(()) };
    let Some(meaning) = meaning(event) else { return Ok(()) };
    for found in connected_through(work.reader(), CredentialId::from_uuid(record.aggregate_id)).await? {
        let mut channel = work.load::<Channel>(found.id).await?;
        match meaning {
            Meaning::Broken(reason) if channel.is_on() => {
                channel.report(Report::connection(ConnectionState::Unauthorized).because(reason));
            }
            Meaning::Usable if channel.is_refused() => {
                let channel_type = by_code(work.reader(), &channel.channel_type).await?;
                match channel.activate(&channel_type) {
                    Ok(()) => {}
                    // Something else is missing, too: a person has to look at it.
                    Err(error) if is_incomplete(error.code()) => {}
                    Err(error) => return Err(error),
                }
            }
            Meaning::Broken(_) | Meaning::Usable => {}
        }
        work.keep(channel)?;
    }
    Ok(())
}

fn is_incomplete(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::ConfigFieldMissing | ErrorCode::GatewayNotRegistered)
}
