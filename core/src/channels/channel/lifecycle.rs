//! On, off, and what the provider's reports do to a channel.

use super::ChannelStatus::{Activating, Active, Connecting, Disconnected, Error as Broken, Inactive};
use super::{Channel, ChannelEvent, ChannelStatus};
use crate::channels::channel_type::ChannelType;
use crate::channels::gateway::ConnectionState::{
    AwaitingConfirmation, AwaitingScan, Connected, Failed, Starting, Stopped, Unauthorized,
};
use crate::channels::gateway::{ConnectionState, OwnIdentity};
use crate::engine::Root;
use crate::kernel::{Error, ErrorCode, Errors, Result, text};

const MAX_REASON: usize = 1_000;

const COMING: &[ConnectionState] = &[Starting, AwaitingScan, AwaitingConfirmation];
const BROKEN: &[ConnectionState] = &[Failed, Unauthorized];

/// What a report is recorded as.
#[derive(Clone, Copy)]
enum Outcome {
    Activated,
    ActivationFailed,
    Changed,
}

struct Row {
    from: &'static [ChannelStatus],
    reports: &'static [ConnectionState],
    to: ChannelStatus,
    outcome: Outcome,
}

const fn row(
    from: &'static [ChannelStatus],
    reports: &'static [ConnectionState],
    to: ChannelStatus,
    outcome: Outcome,
) -> Row {
    Row { from, reports, to, outcome }
}

/// Which report moves which channel. Any other leaves the status alone: what is off stays off, whatever a provider says.
const REPORTS: &[Row] = &[
    row(&[Activating, Connecting, Disconnected, Broken], &[Connected], Active, Outcome::Activated),
    row(&[Activating], &[Stopped, Failed, Unauthorized], Inactive, Outcome::ActivationFailed),
    row(&[Activating, Active, Disconnected, Broken], COMING, Connecting, Outcome::Changed),
    row(&[Active, Connecting], &[Stopped], Disconnected, Outcome::Changed),
    row(&[Active, Connecting, Disconnected], BROKEN, Broken, Outcome::Changed),
];

/// What a provider, or the worker that asked it, says of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub connection: Option<ConnectionState>,
    pub identity: Option<OwnIdentity>,
    /// The provider confirmed, or lost, the address that it delivers to.
    pub webhook_active: Option<bool>,
    pub reason: Option<String>,
}

impl Report {
    pub fn connection(state: ConnectionState) -> Self {
        Report { connection: Some(state), ..Report::default() }
    }

    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        Report { reason: Some(reason.to_owned()), ..self }
    }
}

impl Root<Channel> {
    /// Records the wish to have the channel on. Connecting is the worker's, on the event.
    ///
    /// # Errors
    /// `channel_already_active`, `channel_already_activating` (also while it connects), `gateway_not_registered`,
    /// `config_field_missing` for every field that its kind requires and that is not there. Whether the credential
    /// holds every secret is seen when the worker opens it.
    pub fn activate(&mut self, channel_type: &ChannelType) -> Result<()> {
        match self.status {
            Active => return Err(ErrorCode::ChannelAlreadyActive.into()),
            Activating | Connecting => return Err(ErrorCode::ChannelAlreadyActivating.into()),
            Inactive | Disconnected | Broken => {}
        }
        self.check_complete(channel_type)?;
        if crate::channels::gateway::adapter(&channel_type.gateway).is_none() {
            return Err(Error::new(ErrorCode::GatewayNotRegistered).with("gateway", channel_type.gateway.as_str()));
        }
        self.record(ChannelEvent::ActivationRequested {
            channel_type: self.channel_type.clone(),
            connection_mode: self.connection_mode,
            status_from: self.status,
            status_to: Activating,
        });
        Ok(())
    }

    fn check_complete(&self, channel_type: &ChannelType) -> Result<()> {
        use crate::channels::channel_type::{RequiredOn, missing};
        let mut errors = Errors::new();
        let known = |key: &str| {
            let secret = channel_type.field(key).is_some_and(|field| field.secret);
            match secret {
                true => self.secrets.contains_key(key) || self.credential_id.is_some(),
                false => self.config.contains_key(key),
            }
        };
        missing(channel_type, self.connection_mode, known).for_each(|error| errors.push(error));
        let rule = &channel_type.external_id_rule;
        if rule.required_on != RequiredOn::Never && self.external_id.is_none() && errors.is_empty() {
            errors.push(Error::new(ErrorCode::ConfigFieldMissing).at("external_id"));
        }
        errors.check()
    }

    /// Switches the channel off by the will of a person.
    ///
    /// # Errors
    /// `channel_already_inactive`, `text_too_long` at `reason`.
    pub fn deactivate(&mut self, reason: Option<&str>, logout: bool) -> Result<()> {
        if self.status == Inactive {
            return Err(ErrorCode::ChannelAlreadyInactive.into());
        }
        let reason = reason.map(|reason| text::text(reason, MAX_REASON).map_err(|e| e.at("reason"))).transpose()?;
        let status_from = self.status;
        self.record(ChannelEvent::Deactivated { status_from, reason, logout });
        Ok(())
    }

    /// Ends the channel: an open import is called off, a connection is closed, its messages stay.
    pub fn delete(&mut self) -> Result<()> {
        let status_from = self.status;
        self.cancel_import();
        if status_from != Inactive {
            self.deactivate(None, false)?;
        }
        let deleted_at = self.now();
        self.record(ChannelEvent::Deleted { status_from, deleted_at });
        Ok(())
    }

    /// Takes in a report. What is known already changes nothing.
    pub fn report(&mut self, report: Report) {
        let reason = report.reason.as_deref().map(shorten).filter(|reason| !reason.is_empty());
        let mut identity = report.identity.filter(|identity| self.identity.as_ref() != Some(identity));
        if let Some(connection) = report.connection {
            self.report_state(connection, reason, &mut identity);
        }
        if let Some(identity) = identity {
            self.record(ChannelEvent::IdentityUpdated { identity });
        }
        if let Some(active) = report.webhook_active.filter(|active| *active != self.webhook_active) {
            let confirmed_at = if active { Some(self.now()) } else { self.webhook_configured_at };
            self.record(ChannelEvent::WebhookConfigured {
                webhook_url: self.webhook_url.clone(),
                webhook_active: active,
                webhook_configured_at: confirmed_at,
                events: self.webhook_events.clone(),
            });
        }
    }

    fn report_state(
        &mut self,
        connection: ConnectionState,
        reason: Option<String>,
        identity: &mut Option<OwnIdentity>,
    ) {
        let status_from = self.status;
        let row = REPORTS.iter().find(|row| row.from.contains(&status_from) && row.reports.contains(&connection));
        let now = self.now();
        match row.map(|row| (row.outcome, row.to)) {
            Some((Outcome::Activated, _)) => {
                self.record(ChannelEvent::Activated { status_from, connection, identity: identity.take() });
            }
            Some((Outcome::ActivationFailed, status_to)) => {
                let reason = reason.unwrap_or_else(|| said(connection));
                self.record(ChannelEvent::ActivationFailed {
                    connection,
                    last_error: reason.clone(),
                    reason,
                    status_to,
                    last_error_at: now,
                });
            }
            Some((Outcome::Changed, status_to)) => self.connection_changed(status_to, connection, reason),
            None if connection != self.connection => self.connection_changed(status_from, connection, reason),
            None => {}
        }
    }

    fn connection_changed(&mut self, status_to: ChannelStatus, connection: ConnectionState, reason: Option<String>) {
        let went_wrong = matches!(status_to, Disconnected | Broken) && status_to != self.status;
        let last_error = went_wrong.then(|| reason.clone().unwrap_or_else(|| said(connection)));
        let last_error_at = went_wrong.then(|| self.now());
        self.record(ChannelEvent::ConnectionChanged {
            status_from: self.status,
            status_to,
            connection_from: self.connection,
            connection_to: connection,
            reason,
            last_error,
            last_error_at,
        });
    }
}

/// At most 1 000 characters, without surrounding blanks and control characters.
pub(super) fn shorten(reason: &str) -> String {
    reason.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REASON).collect()
}

fn said(connection: ConnectionState) -> String {
    let word = match connection {
        Stopped => "stopped",
        Failed => "failed",
        Unauthorized => "refused the credentials",
        _ => "changed",
    };
    format!("the provider's session {word}")
}
