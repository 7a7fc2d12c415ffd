//! What the inbound flow does to a channel: plain steps inside its unit of work, each a no-op when nothing is new.

use super::label::MAX_LABELS;
use super::{Channel, ChannelEvent, ChannelLabel, Report};
use crate::channels::gateway::{Challenge, InboundIdentity, InboundLabelChange, OwnIdentity, ProviderLabel};
use crate::engine::{Root, UnitOfWork};
use crate::kernel::{ChannelId, Error, ErrorCode, Result};

/// Takes in what a provider says of the connection.
pub async fn report_connection(work: &mut UnitOfWork<'_>, id: ChannelId, report: Report) -> Result<Channel> {
    change(work, id, |channel| {
        channel.report(report);
        Ok(())
    })
    .await
}

/// Takes in who the line is at the provider. Fields that the provider leaves out keep what is known.
pub async fn change_identity(work: &mut UnitOfWork<'_>, id: ChannelId, item: &InboundIdentity) -> Result<Channel> {
    change(work, id, |channel| {
        let identity = merged(channel.identity.clone().unwrap_or_default(), &item.identity);
        channel.report(Report { identity: Some(identity), ..Report::default() });
        Ok(())
    })
    .await
}

/// Takes in a label that was made, changed or deleted at the provider. An unknown label that is gone changes nothing.
pub async fn change_label(work: &mut UnitOfWork<'_>, id: ChannelId, item: &InboundLabelChange) -> Result<Channel> {
    change(work, id, |channel| match &item.label {
        Some(label) => channel.upsert_label(from_provider(label)?),
        None => {
            channel.remove_label(&item.label_id);
            Ok(())
        }
    })
    .await
}

/// Makes the labels those of the provider's full list: changed and new ones in its order, then the ones that are gone.
/// A label of the list that breaks the rules is left as it is.
pub async fn sync_labels(work: &mut UnitOfWork<'_>, id: ChannelId, labels: &[ProviderLabel]) -> Result<Channel> {
    change(work, id, |channel| {
        for label in labels {
            if let Ok(label) = from_provider(label) {
                channel.upsert_label(label)?;
            }
        }
        let gone: Vec<String> =
            channel.labels.keys().filter(|known| !labels.iter().any(|l| l.id.trim() == **known)).cloned().collect();
        for id in &gone {
            channel.remove_label(id);
        }
        Ok(())
    })
    .await
}

/// Notes that a pairing challenge was issued. Its value is in neither the event nor the state.
pub async fn record_challenge(work: &mut UnitOfWork<'_>, id: ChannelId, challenge: &Challenge) -> Result<Channel> {
    change(work, id, |channel| {
        channel.issue_challenge(challenge);
        Ok(())
    })
    .await
}

async fn change(
    work: &mut UnitOfWork<'_>,
    id: ChannelId,
    step: impl FnOnce(&mut Root<Channel>) -> Result<()>,
) -> Result<Channel> {
    let mut channel = work.load::<Channel>(id).await?;
    step(&mut channel)?;
    work.save(channel)
}

impl Root<Channel> {
    /// Makes or changes a label; the same label again changes nothing.
    ///
    /// # Errors
    /// `channel_label_limit` for the 501st.
    pub fn upsert_label(&mut self, label: ChannelLabel) -> Result<()> {
        let previous = self.labels.get(&label.id).cloned();
        if previous.as_ref() == Some(&label) {
            return Ok(());
        }
        if previous.is_none() && self.labels.len() >= MAX_LABELS {
            return Err(Error::new(ErrorCode::ChannelLabelLimit).with("max", MAX_LABELS));
        }
        self.record(ChannelEvent::LabelUpserted { label, previous });
        Ok(())
    }

    /// Removes a label that is known; says whether it was.
    pub fn remove_label(&mut self, id: &str) -> bool {
        let known = self.labels.get(id).cloned();
        if let Some(label) = known.clone() {
            self.record(ChannelEvent::LabelDeleted { label_id: id.to_owned(), label });
        }
        known.is_some()
    }

    /// Notes a new challenge; attempts count from the last activation.
    pub fn issue_challenge(&mut self, challenge: &Challenge) {
        let issued_at = self.now();
        self.record(ChannelEvent::ChallengeIssued {
            kind: challenge.kind,
            attempt: self.challenge.as_ref().map_or(1, |last| last.attempt + 1),
            issued_at,
            expires_at: issued_at.plus_seconds(challenge.ttl_s.into()),
        });
    }
}

fn from_provider(label: &ProviderLabel) -> Result<ChannelLabel> {
    ChannelLabel::new(&label.id, &label.name, label.color.unwrap_or_default(), label.color_hex.as_deref())
}

fn merged(known: OwnIdentity, new: &OwnIdentity) -> OwnIdentity {
    let new = new.clone();
    OwnIdentity {
        wid: new.wid.or(known.wid),
        lid: new.lid.or(known.lid),
        jid: new.jid.or(known.jid),
        phone: new.phone.or(known.phone),
        username: new.username.or(known.username),
        display_name: new.display_name.or(known.display_name),
        about: new.about.or(known.about),
        picture_url: new.picture_url.or(known.picture_url),
    }
}
