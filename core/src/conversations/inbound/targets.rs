//! Acknowledgements, reactions, edits and revocations: they name a message, which may not have arrived yet. Then they
//! wait as parked jobs, are applied with the message when it appears, and are dropped when it never does. So does a reaction
//! that is taken back before it was given.

use super::intake::Intake;
use super::outcome::{Outcome, ParkedBecause};
use crate::channels::gateway::{ChatClass, Identifiers, InboundEdit, InboundItem, InboundReaction, RevokeReach};
use crate::contacts::contact::resolution as contacts;
use crate::conversations::message::{DeliveryReport, Message, MessageEvent, Party, Reacted};
use crate::engine::{Event, JobRequest, Root, UnitOfWork};
use crate::kernel::{ChannelId, Error, ErrorCode, Kind, MessageId, Result, Subject, Timestamp};
use crate::storage::{EventQuery, JobQuery, JobState, Scope};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The queue of what waits for a message.
pub const QUEUE: &str = "parked";
/// The kind of these jobs.
pub const KIND: &str = "inbound.target";
/// How long an acknowledgement waits, in seconds: 7 days.
const ACK_WAIT_SECONDS: i64 = 7 * 24 * 3600;
/// How long anything else waits, in seconds: 24 hours.
const TARGET_WAIT_SECONDS: i64 = 24 * 3600;
/// The first look again, in case the message was committed at the same moment; doubled up to an hour.
const FIRST_LOOK_SECONDS: i64 = 5;
const LAST_LOOK_SECONDS: i64 = 3600;
/// More than this is never waiting for one message.
const MAX_WAITING: usize = 100;

/// What waits, as kept in the job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waiting {
    pub channel_id: ChannelId,
    pub item: InboundItem,
    pub received_at: Timestamp,
    pub until: Timestamp,
}

/// The external id that an item is about; none for items that are about no message.
pub fn target(item: &InboundItem) -> Option<&str> {
    match item {
        InboundItem::Ack(ack) => Some(&ack.channel_message_id),
        InboundItem::Reaction(reaction) => Some(&reaction.target_channel_message_id),
        InboundItem::Edit(edit) => Some(&edit.target_channel_message_id),
        InboundItem::Revoke(revoke) => Some(&revoke.target_channel_message_id),
        _ => None,
    }
}

/// Applies an item whose message or chat has appeared; false while it has not.
pub async fn apply_known(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, item: &InboundItem) -> Result<bool> {
    let channel = intake.channel.id.to_string();
    if let Some(external_id) = target(item) {
        let Some(message) = work.by_key::<Message>("message.external", &channel, external_id).await? else {
            return Ok(false);
        };
        return Ok(apply(work, intake, message, item).await?.is_none());
    }
    super::changes::apply_to_known_chat(work, intake, item).await
}

/// Applies an item to its message, or parks it.
pub async fn apply_or_park(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, item: &InboundItem) -> Result<Outcome> {
    let Some(external_id) = target(item) else {
        return Err(Error::internal("this item is about no message"));
    };
    let channel = intake.channel.id.to_string();
    match work.by_key::<Message>("message.external", &channel, external_id).await? {
        Some(message) => match apply(work, intake, message, item).await? {
            None => Ok(Outcome::Applied {}),
            Some(key) => wait(work, intake, item, &key),
        },
        None => wait(work, intake, item, &prefix("message", intake.channel.id, external_id)),
    }
}

fn wait(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, item: &InboundItem, key_prefix: &str) -> Result<Outcome> {
    park(work, intake, item, key_prefix)?;
    Ok(Outcome::Parked { reason: ParkedBecause::TargetUnknown })
}

/// Applies what waited for a message that was recorded just now.
pub async fn apply_waiting(
    work: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    external_id: &str,
    id: MessageId,
) -> Result<()> {
    let mut items = take_waiting(work, &prefix("message", intake.channel.id, external_id)).await?;
    // A reaction before it is taken back.
    items.sort_by_key(|item| match item {
        InboundItem::Reaction(reaction) => Some(reaction.at),
        _ => None,
    });
    for item in items {
        let message = work.load::<Message>(id).await?;
        if let Some(key) = apply(work, intake, message, &item).await? {
            park(work, intake, &item, &key)?;
        }
    }
    Ok(())
}

/// Whether anything waits for a message of the channel.
pub async fn is_awaited(work: &UnitOfWork<'_>, channel: ChannelId) -> Result<bool> {
    let query = JobQuery {
        queue: Some(QUEUE.to_owned()),
        states: vec![JobState::Parked, JobState::Scheduled],
        unique_key_prefix: Some(format!("message:{channel}:")),
        limit: 1,
        ..JobQuery::default()
    };
    Ok(!work.reader().storage().jobs(Scope::Project(work.project()), &query).await?.is_empty())
}

/// Takes out what waits under a key, oldest first; the commit that applies it ends the waiting.
pub async fn take_waiting(work: &mut UnitOfWork<'_>, key_prefix: &str) -> Result<Vec<InboundItem>> {
    let query = JobQuery {
        queue: Some(QUEUE.to_owned()),
        states: vec![JobState::Parked, JobState::Scheduled],
        unique_key_prefix: Some(key_prefix.to_owned()),
        limit: MAX_WAITING,
        ..JobQuery::default()
    };
    let mut waiting = work.reader().storage().jobs(Scope::Project(work.project()), &query).await?;
    waiting.sort_by_key(|job| job.id);
    let mut items = Vec::with_capacity(waiting.len());
    for job in waiting {
        let parked: Waiting = serde_json::from_str(&job.payload).map_err(|e| Error::corrupt(e.to_string()))?;
        items.push(parked.item);
        if let Some(key) = job.unique_key {
            work.cancel_job(key);
        }
    }
    Ok(items)
}

/// When a waiting item is looked at again: often at first, then hourly, at last when its time is over.
pub fn next_look(parked: &Waiting, now: Timestamp) -> Option<Timestamp> {
    if now >= parked.until {
        return None;
    }
    let waited = now.seconds_since(parked.received_at).clamp(FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS);
    Some(now.plus_seconds(waited).min(parked.until))
}

/// Keeps an item until what it is about appears, under a key that a repetition finds again.
pub fn park(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, item: &InboundItem, key_prefix: &str) -> Result<()> {
    let wait = if matches!(item, InboundItem::Ack(_)) { ACK_WAIT_SECONDS } else { TARGET_WAIT_SECONDS };
    let item_text = serde_json::to_string(item).map_err(|e| Error::internal(e.to_string()))?;
    let digest = Sha256::digest(item_text.as_bytes());
    let parked = Waiting {
        channel_id: intake.channel.id,
        item: item.clone(),
        received_at: intake.received_at,
        until: intake.received_at.plus_seconds(wait),
    };
    let unique_key = format!("{key_prefix}{}", crate::channels::gateway::hex(&digest[..12]));
    work.enqueue(JobRequest {
        queue: QUEUE,
        kind: KIND,
        unique_key: Some(unique_key),
        order_key: None,
        payload: serde_json::to_string(&parked).map_err(|e| Error::internal(e.to_string()))?,
        run_at: work.now().plus_seconds(FIRST_LOOK_SECONDS),
        parked: false,
    });
    Ok(())
}

/// The key under which items wait for a message or a chat of the channel.
pub fn prefix(what: &str, channel: ChannelId, external_id: &str) -> String {
    // Hashed: external ids may be long, and keys have at most 200 characters.
    let digest = Sha256::digest(external_id.as_bytes());
    format!("{what}:{channel}:{}:", crate::channels::gateway::hex(&digest[..16]))
}

/// Applies an item to its message. The key under which it has to wait, when it takes back a reaction that has not arrived.
async fn apply(
    work: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    mut message: Root<Message>,
    item: &InboundItem,
) -> Result<Option<String>> {
    match item {
        InboundItem::Ack(ack) => {
            let participant = ack.participant.as_ref().and_then(|who| who.wid.clone().or_else(|| who.lid.clone()));
            let report = DeliveryReport { signal: ack.signal, at: ack.at.min(work.now()), participant, failure: None };
            crate::conversations::message::acknowledge(work, &mut message, &report).await?;
        }
        InboundItem::Reaction(reaction)
            if reaction.from_me && message.is_echo_of_reaction(reaction.emoji.as_deref(), reaction.at) => {}
        InboundItem::Reaction(reaction) => {
            let by = party(work, intake, &message, reaction.from_me, &reaction.by, reaction.at).await?;
            let Some(by) = by else { return Ok(None) };
            return react(work, intake, message, reaction, by).await;
        }
        InboundItem::Edit(edit) if edit.from_me && is_echo(work, &message, edit).await? => {}
        InboundItem::Edit(edit) => {
            let by = party(work, intake, &message, edit.from_me, &edit.by, edit.at).await?.unwrap_or(Party::System);
            message.edit(&edit.text, edit.at, by);
        }
        InboundItem::Revoke(revoke) if revoke.reach == RevokeReach::Everyone => {
            let by =
                party(work, intake, &message, revoke.from_me, &revoke.by, revoke.at).await?.unwrap_or(Party::System);
            message.revoke(revoke.at, by);
        }
        _ => {}
    }
    work.save(message)?;
    Ok(None)
}

/// Whether a provider tells of an edit that an agent of ours made: one with this text, and nobody changed it since at another client.
async fn is_echo(work: &UnitOfWork<'_>, message: &Message, edit: &InboundEdit) -> Result<bool> {
    if message.edit_count == 0 {
        return Ok(false);
    }
    let query = EventQuery {
        stream: Some(Subject::new(Kind::Message, message.id)),
        types: vec!["message.edited".to_owned()],
        limit: usize::from(message.edit_count),
        ..EventQuery::default()
    };
    let log = work.reader().storage().events(Scope::Project(work.project()), &query).await?;
    let mut ours: Option<Timestamp> = None;
    let mut others = Vec::new();
    for record in &log {
        let Event::Message(MessageEvent::Edited { text, edited_at, by, .. }) = Event::read(record)? else { continue };
        match by {
            Party::Agent { .. } if text == edit.text => ours = ours.max(Some(edited_at)),
            Party::Agent { .. } => {}
            _ => others.push(edited_at),
        }
    }
    Ok(ours.is_some_and(|ours| !others.iter().any(|at| *at > ours && *at <= edit.at)))
}

async fn react(
    work: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    mut message: Root<Message>,
    item: &InboundReaction,
    by: Party,
) -> Result<Option<String>> {
    let who = serde_json::to_string(&by).map_err(|e| Error::internal(e.to_string()))?;
    let key = prefix("reaction", intake.channel.id, &format!("{} {who}", item.target_channel_message_id));
    match message.react(by, item.emoji.as_deref(), item.at) {
        Ok(Reacted::Known) => return Ok(None),
        Ok(Reacted::TooEarly) => return Ok(Some(key)),
        Ok(Reacted::Changed) => {}
        // An emoji that is none is the provider's mistake, not ours to refuse.
        Err(error) if error.code() == ErrorCode::EmojiInvalid => return Ok(None),
        Err(error) => return Err(error),
    }
    if item.emoji.is_some() {
        for waiting in take_waiting(work, &key).await? {
            if let InboundItem::Reaction(later) = &waiting
                && message.react(by, later.emoji.as_deref(), later.at)? == Reacted::TooEarly
            {
                park(work, intake, &waiting, &key)?;
            }
        }
    }
    work.save(message)?;
    Ok(None)
}

/// Who did it: our own device, or a contact. In an individual chat that is the contact of the message.
async fn party(
    work: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    message: &Message,
    from_me: bool,
    by: &Identifiers,
    at: Timestamp,
) -> Result<Option<Party>> {
    if from_me {
        return Ok(Some(Party::Device));
    }
    let chat = work.load::<crate::conversations::chat::Chat>(message.chat_id).await?;
    if crate::conversations::chat::Chat::type_of(ChatClass::Individual) == chat.chat_type
        && let Some(id) = chat.contact_id
    {
        return Ok(Some(Party::Contact { id }));
    }
    if !by.has_id() {
        return Ok(None);
    }
    let resolved = contacts::resolve(work, &intake.line(), by, at).await.map_err(|e| e.at("by"))?;
    Ok(Some(Party::Contact { id: resolved.contact.id }))
}
