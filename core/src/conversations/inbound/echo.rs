//! Echoes of our own sends: a provider shows them as messages of the number, and sometimes they are all that tells of a send.

use super::ingest::{KeptItem, QUEUE, from_json};
use crate::channels::gateway::{InboundItem, InboundMessage, SourceHint, hex};
use crate::conversations::chat::Chat;
use crate::conversations::content::Content;
use crate::conversations::message::{Direction, Message, MessageSource, MessageStatus};
use crate::engine::UnitOfWork;
use crate::kernel::{ChannelId, ChatId, Result, Timestamp};
use crate::storage::{FieldKind, Filter, Find, JobQuery, JobState, Leaf, Scope, Sort, Test, Value, id_value};
use sha2::{Digest, Sha256};

/// For this long a message of ours from another device may turn out to be a send of ours.
const WINDOW_SECONDS: i64 = 60;
/// How many echoes and sends of one chat are looked at.
const MAX_LOOKED_AT: usize = 100;

/// What told of a send that nobody reported on.
pub(in crate::conversations) struct Echo {
    pub channel_message_id: String,
    pub at: Timestamp,
}

/// The key of an item that waits for the end of a send of its chat.
pub(super) fn key_prefix(channel: ChannelId, chat_external_id: &str) -> String {
    // Hashed: external ids may be long, and keys have at most 200 characters.
    format!("echo:{channel}:{}:", hex(&Sha256::digest(chat_external_id.as_bytes())[..16]))
}

/// The sends of a chat that may be what an echo is of, oldest first: under way or taken lately, and without an id at the provider.
pub(super) async fn sends_in_flight(work: &UnitOfWork<'_>, chat: &Chat) -> Result<Vec<Message>> {
    let since = work.now().plus_seconds(-WINDOW_SECONDS);
    let status = |status: MessageStatus| Filter::eq("status", FieldKind::Enum, status.as_str());
    let under_way =
        vec![Filter::eq("unsent_chat_id", FieldKind::Id, id_value(chat.id)), status(MessageStatus::Sending)];
    let taken = vec![
        Filter::eq("channel_id", FieldKind::Id, id_value(chat.channel_id)),
        at_least("last_attempt_at", since),
        Filter::eq("chat_id", FieldKind::Id, id_value(chat.id)),
        status(MessageStatus::Sent),
    ];
    let mut sends = Vec::new();
    for filter in [under_way, taken] {
        let found = work.reader().find_states::<Message>(&oldest_first(Filter::All(filter))).await?;
        sends.extend(found.into_iter().filter(|message| {
            message.channel_message_id.is_none() && message.last_attempt_at.is_some_and(|at| at >= since)
        }));
    }
    Ok(sends)
}

/// Whether a message of the number's own looks like this one.
pub(super) fn is_echo_of(item: &InboundMessage, message: &Message) -> bool {
    item.from_me && item.source_hint != SourceHint::App && is_alike(&item.content, &message.content)
}

/// What the provider told of a send whose answer never came: an echo that waits for it, or one that was taken for a message of
/// another device.
pub(in crate::conversations) async fn echo_of(work: &mut UnitOfWork<'_>, message: &Message) -> Result<Option<Echo>> {
    let Some(since) = message.last_attempt_at else { return Ok(None) };
    let chat = work.find::<Chat>(message.chat_id).await?;
    let Some(external_id) = chat.and_then(|chat| chat.external_id.clone()) else { return Ok(None) };
    let query = JobQuery {
        queue: Some(QUEUE.to_owned()),
        states: vec![JobState::Parked, JobState::Scheduled],
        unique_key_prefix: Some(key_prefix(message.channel_id, &external_id)),
        limit: MAX_LOOKED_AT,
        ..JobQuery::default()
    };
    let mut waiting = work.reader().storage().jobs(Scope::Project(work.project()), &query).await?;
    waiting.sort_by_key(|job| job.id);
    for job in waiting {
        let kept: KeptItem = from_json(&job.payload)?;
        if let InboundItem::Message(item) = &kept.item
            && kept.received_at >= since
            && is_echo_of(item, message)
            && !is_known(work, message.channel_id, &item.channel_message_id).await?
        {
            // The item finds by itself that it is an echo.
            return Ok(Some(Echo { channel_message_id: item.channel_message_id.clone(), at: item.timestamp }));
        }
    }
    recorded_echo(work, message.chat_id, since, &message.content).await
}

/// Whether a message has this id by now.
async fn is_known(work: &mut UnitOfWork<'_>, channel: ChannelId, external_id: &str) -> Result<bool> {
    Ok(work.by_key::<Message>("message.external", &channel.to_string(), external_id).await?.is_some())
}

async fn recorded_echo(
    work: &UnitOfWork<'_>,
    chat: ChatId,
    since: Timestamp,
    content: &Content,
) -> Result<Option<Echo>> {
    let filter = Filter::All(vec![
        Filter::eq("chat_id", FieldKind::Id, id_value(chat)),
        Filter::eq("direction", FieldKind::Enum, Direction::Outbound.as_str()),
        // A provider's clock counts seconds, and is not ours.
        at_least("timestamp", since.plus_seconds(-WINDOW_SECONDS)),
    ]);
    let found = work.reader().find_states::<Message>(&oldest_first(filter)).await?;
    let is_echo = |known: &&Message| {
        known.source == MessageSource::Device && known.created_at >= since && is_alike(&known.content, content)
    };
    let echo = found.iter().find(is_echo);
    Ok(echo.and_then(|echo| Some(Echo { channel_message_id: echo.channel_message_id.clone()?, at: echo.timestamp })))
}

/// Whether two contents are the same to whoever reads them. Addresses of files differ on the two sides.
fn is_alike(one: &Content, other: &Content) -> bool {
    let words = |content: &Content| content.words().map(str::trim).filter(|words| !words.is_empty()).map(str::to_owned);
    one.content_type() == other.content_type() && words(one) == words(other)
}

fn at_least(field: &str, at: Timestamp) -> Filter {
    let test = Test::GreaterOrEqual(Value::Instant(at));
    Filter::Leaf(Leaf { field: field.to_owned(), kind: FieldKind::Instant, is_attribute: false, test })
}

fn oldest_first(filter: Filter) -> Find {
    Find {
        filter,
        sort: vec![Sort { field: "timestamp".to_owned(), kind: FieldKind::Instant, descending: false }],
        after: None,
        backward: false,
        limit: MAX_LOOKED_AT,
        include_hidden: false,
        with_total: false,
    }
}
