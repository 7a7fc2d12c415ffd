//! Stores what was said in one chat: in one commit, each message once, oldest first. Contacts and the chat are made only for messages
//! that are stored.

use crate::channels::gateway::{AckSignal, InboundMessage};
use crate::contacts::contact::resolution as contacts;
use crate::conversations::chat::resolution::{self as chats, ChatFacts};
use crate::conversations::chat::{Chat, ChatType};
use crate::conversations::inbound::{
    Created, IgnoredBecause, Intake, Outcome, Told, apply_waiting_to_chat, author, check, clamp, compose, external_id,
    refusal, targets,
};
use crate::conversations::message::{Failure, FailureCode, Message, MessageEvent, MessageSource, MessageStatus};
use crate::engine::UnitOfWork;
use crate::kernel::{AgentId, Error, ErrorCode, ErrorKind, MessageId, Result, Source, Timestamp};
use std::sync::Arc;
use uuid::Uuid;

/// 2009-01-01T00:00:00Z: nothing that chats is older.
const EARLIEST_SECONDS: i64 = 1_230_768_000;

/// What is told of a part of one chat's history.
pub(super) struct Page<'p> {
    pub intake: &'p Intake<'p>,
    /// All of one chat, in any order.
    pub messages: &'p [InboundMessage],
    pub import_id: Option<Uuid>,
    /// Who wrote our own messages; the system agent unless told.
    pub agent_id: Option<AgentId>,
    /// Files are looked at by AI, where the channel has that on.
    pub enrichment: bool,
}

/// What became of a page.
#[derive(Default)]
pub(super) struct Stored {
    /// One for each message, in their order.
    pub outcomes: Vec<Outcome>,
    /// The chat that they are in; `None` when none is stored.
    pub chat: Option<Arc<Chat>>,
    /// The times of the first and the last message that was stored.
    pub span: Option<(Timestamp, Timestamp)>,
    pub contacts_created: u64,
}

/// Stores a page. What was stored before, by an import or as it happened, is left as it is.
pub(super) async fn store(work: &mut UnitOfWork<'_>, page: &Page<'_>) -> Result<Stored> {
    work.import_mode();
    work.set_source(Some(Source::Import));
    let stored = store_all(work, page).await;
    work.set_source(None);
    stored
}

async fn store_all(work: &mut UnitOfWork<'_>, page: &Page<'_>) -> Result<Stored> {
    let channel = page.intake.channel.id.to_string();
    let key = |id: &String| (channel.clone(), id.clone());
    let mut keys: Vec<(String, String)> =
        page.messages.iter().map(|message| key(&message.channel_message_id)).collect();
    keys.extend(page.messages.iter().filter_map(|message| message.reply_to_channel_message_id.as_ref()).map(key));
    keys.sort_unstable();
    keys.dedup();
    work.prefetch_keys::<Message>("message.external", &keys).await?;
    contacts::prefetch(work, &page.intake.line(), page.messages.iter().filter_map(author)).await?;
    let something_waits = targets::is_awaited(work, page.intake.channel.id).await?;
    let mut order: Vec<usize> = (0..page.messages.len()).collect();
    order.sort_by_key(|place| (page.messages[*place].timestamp, std::cmp::Reverse(*place)));
    let mut stored = Stored::default();
    let mut outcomes: Vec<Option<Outcome>> = vec![None; page.messages.len()];
    for place in order {
        let message = &page.messages[place];
        let outcome = store_one(work, page, message, &mut stored).await?;
        if let (Outcome::Recorded { message_id, .. }, true) = (&outcome, something_waits) {
            targets::apply_waiting(work, page.intake, &message.channel_message_id, *message_id).await?;
        }
        outcomes[place] = Some(outcome);
    }
    stored.outcomes = outcomes.into_iter().flatten().collect();
    Ok(stored)
}

async fn store_one(
    work: &mut UnitOfWork<'_>,
    page: &Page<'_>,
    item: &InboundMessage,
    stored: &mut Stored,
) -> Result<Outcome> {
    let intake = page.intake;
    if let Some(reason) = refusal(intake, item) {
        return Ok(Outcome::Ignored { reason });
    }
    if let Err(error) = check(item).and_then(|()| check_time(item)) {
        return Ok(Outcome::rejected(&error));
    }
    let channel = intake.channel.id.to_string();
    if let Some(known) = work.by_key::<Message>("message.external", &channel, &item.channel_message_id).await? {
        return Ok(Outcome::Duplicate { message_id: known.id });
    }
    let (timestamp, adjusted) = clamp(item.timestamp, work.now(), intake.received_at);
    let mut created = Created::default();
    let mut contact_id = None;
    if let Some(who) = author(item) {
        let field = if std::ptr::eq(who, &item.sender) { "sender" } else { "peer" };
        let resolved = match contacts::resolve(work, &intake.line(), who, timestamp).await {
            Ok(resolved) => resolved,
            Err(error) if error.kind() == ErrorKind::Validation => return Ok(Outcome::rejected(&error.at(field))),
            Err(error) => return Err(error),
        };
        if resolved.contact.blocked && !item.from_me {
            return Ok(Outcome::Ignored { reason: IgnoredBecause::ContactBlocked });
        }
        created.contact = resolved.created;
        contact_id = Some(resolved.contact.id);
    }
    let sender = external_id(&item.sender);
    let chat = match &stored.chat {
        Some(chat) if chat.chat_type != ChatType::Group => chat.clone(),
        _ => {
            let facts = ChatFacts {
                channel_id: intake.channel.id,
                chat: &item.chat,
                contact: contact_id,
                external_sender: sender.as_deref(),
                at: timestamp,
                unarchive: false,
            };
            let resolved = chats::resolve(work, &facts).await?;
            created.chat = resolved.created;
            if resolved.created {
                apply_waiting_to_chat(work, intake, &item.chat).await?;
            }
            resolved.chat
        }
    };
    stored.chat = Some(chat.clone());
    let told = Told {
        timestamp,
        adjusted,
        chat: &chat,
        contact_id,
        source: MessageSource::HistoryImport,
        agent_id: page.agent_id,
    };
    let mut new = compose(work, intake, item, told).await?;
    new.historical = true;
    new.import_id = page.import_id;
    if item.from_me && item.initial_ack == Some(AckSignal::Failed) {
        let reason = "the provider says that it failed".to_owned();
        let failure = Failure { code: FailureCode::Unknown, reason, retryable: false, provider_code: None };
        (new.status, new.failed_at, new.failure) = (MessageStatus::Failed, Some(timestamp), Some(failure));
    }
    let id: MessageId = work.new_id();
    let mut message = work.create::<Message>(id, MessageEvent::Imported(Box::new(new)))?;
    if page.enrichment && !item.from_me && intake.wants_ai(message.content.content_type(), message.content.media()) {
        message.request_ai();
    }
    work.keep(message)?;
    stored.contacts_created += u64::from(created.contact);
    let (first, last) = stored.span.unwrap_or((timestamp, timestamp));
    stored.span = Some((first.min(timestamp), last.max(timestamp)));
    Ok(Outcome::Recorded { message_id: id, contact_id, chat_id: chat.id, session_id: None, created })
}

/// History says when it was: no moment of now can stand in for that.
fn check_time(item: &InboundMessage) -> Result<()> {
    if item.timestamp.micros() >= EARLIEST_SECONDS * 1_000_000 {
        return Ok(());
    }
    Err(Error::new(ErrorCode::InboundItemInvalid).message("nothing is older than 2009").at("timestamp"))
}
