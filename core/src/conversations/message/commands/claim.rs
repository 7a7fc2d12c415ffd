//! Handing due messages to whoever sends them.

use super::report::{ReportDelivery, ReportedStatus};
use crate::channels::channel::{Channel, ChannelStatus};
use crate::channels::channel_type::{RateLimits, queries::by_code};
use crate::contacts::contact::Contact;
use crate::conversations::chat::Chat;
use crate::conversations::inbound::echo_of;
use crate::conversations::message::{
    Failure, FailureCode, MAX_ATTEMPTS, Message, MessageEvent, MessageStatus, metrics_if, timers,
};
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{ChannelId, ChatId, Error, ErrorCode, Kind, Permission, Phone, Result, Timestamp};
use crate::storage::{FieldKind, Filter, Find, Leaf, Sort, Test, Value, id_value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use std::collections::{BTreeMap, BTreeSet};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;
/// How many due messages are looked at in one step.
const PAGE: usize = 100;
/// Marks a message that its provider may have got already, when a try ended without a report.
const POSSIBLE_DUPLICATE: &str = "possible_duplicate";

/// Takes what is due out of the queue, for a host that sends by itself, and answers for it: report every one with
/// `messages.report_delivery` before its lease ends (60 seconds, for a video 5 minutes), or it comes again.
///
/// Urgent ones come first, then what has waited longest. Of a chat only its oldest unsent message comes, and none while
/// one is under way; messages of one chat go out in their order. Channels that are not active keep theirs, and no channel
/// gives more than its rate allows (WAHA: 60 a minute, 1 000 an hour).
///
/// A try that ended without a report counts. Where the provider cannot recognise a repetition, the next one carries
/// `possible_duplicate` in its metadata, and there is no third: the message fails as `unconfirmed`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimDue {
    /// Only of this channel.
    pub channel_id: Option<ChannelId>,
    /// 1 to 100; 20 unless told.
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<usize>,
}

/// A message to be handed to its provider now, and where it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimedMessage {
    pub message: Message,
    /// The try, from 1. Report it back.
    pub attempt: u16,
    pub lease_until: Timestamp,
    /// The id of the chat at the provider, once it is known.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub chat_external_id: Option<String>,
    /// The contact's telephone number.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub phone: Option<Phone>,
}

impl Command for ClaimDue {
    const NAME: &'static str = "messages.claim_due";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChannelNotFound, ErrorCode::LimitOutOfRange];
    type Output = Vec<ClaimedMessage>;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Vec<ClaimedMessage>> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Error::new(ErrorCode::LimitOutOfRange).at("limit").with("min", 1).with("max", MAX_LIMIT));
        }
        if let Some(channel) = self.channel_id {
            work.reader().get::<Channel>(channel).await?;
        }
        let mut dispatch = Dispatch { only: self.channel_id, ..Dispatch::default() };
        let mut claimed = Vec::new();
        while claimed.len() < limit {
            let due = dispatch.due(work).await?;
            if due.is_empty() {
                break;
            }
            for message in due {
                if claimed.len() == limit {
                    break;
                }
                claimed.extend(dispatch.claim_chat(work, &message).await?);
            }
        }
        Ok(claimed)
    }
}

/// One round through the queue.
#[derive(Default)]
struct Dispatch {
    only: Option<ChannelId>,
    lines: BTreeMap<ChannelId, Line>,
    /// Chats that were looked at: each gives one message at most.
    seen: BTreeSet<ChatId>,
}

/// Claims the message whose turn it is in the chat of a due one; `None` while the channel gives none.
pub(in super::super) async fn claim_turn(work: &mut UnitOfWork<'_>, due: &Message) -> Result<Option<ClaimedMessage>> {
    Dispatch::default().claim_chat(work, due).await
}

/// The message of a chat that is under way, if one is.
pub(in super::super) async fn under_way(work: &UnitOfWork<'_>, chat: ChatId) -> Result<Option<Message>> {
    let unsent = unsent_of(work, chat).await?;
    Ok(unsent.into_iter().find(|message| message.status == MessageStatus::Sending))
}

/// What a channel allows in this round.
struct Line {
    budget: u32,
    is_idempotent: bool,
}

impl Dispatch {
    /// The due messages of chats and channels that may still give one, in the order of their turn.
    async fn due(&self, work: &UnitOfWork<'_>) -> Result<Vec<Message>> {
        let now = Value::Instant(work.now());
        let mut filter = vec![leaf("due_at", FieldKind::Instant, Test::LessOrEqual(now))];
        filter.extend(self.only.map(|id| Filter::eq("channel_id", FieldKind::Id, id_value(id))));
        let closed: Vec<Value> =
            self.lines.iter().filter(|(_, line)| line.budget == 0).map(|(id, _)| id_value(*id)).collect();
        if !closed.is_empty() {
            filter.push(leaf("channel_id", FieldKind::Id, Test::In(closed)).negate());
        }
        if !self.seen.is_empty() {
            let seen = self.seen.iter().map(|id| id_value(*id)).collect();
            filter.push(leaf("chat_id", FieldKind::Id, Test::In(seen)).negate());
        }
        let find = Find {
            filter: Filter::All(filter),
            sort: vec![ascending("dispatch_rank", FieldKind::Number), ascending("due_at", FieldKind::Instant)],
            after: None,
            backward: false,
            limit: PAGE,
            include_hidden: true,
            with_total: false,
        };
        work.reader().find_states(&find).await
    }

    /// Claims the message whose turn it is in the chat of a due one, if it is due itself.
    async fn claim_chat(&mut self, work: &mut UnitOfWork<'_>, due: &Message) -> Result<Option<ClaimedMessage>> {
        if self.line(work, due.channel_id).await?.budget == 0 || !self.seen.insert(due.chat_id) {
            return Ok(None);
        }
        for waiting in unsent_of(work, due.chat_id).await? {
            let Some(mut message) = work.find::<Message>(waiting.id).await? else { continue };
            if message.due_at().is_none_or(|at| at > work.now()) {
                return Ok(None);
            }
            // A try that never reported may have been told of by the provider all the same.
            if message.status == MessageStatus::Sending && confirm_by_echo(work, &message).await? {
                continue;
            }
            let is_idempotent = self.line(work, due.channel_id).await?.is_idempotent;
            if end_in_vain(work, &mut message, is_idempotent).await? {
                timers::disarm(work, &message);
                work.save(message)?;
                continue;
            }
            if message.status == MessageStatus::Sending && !is_idempotent {
                let set = Map::from_iter([(POSSIBLE_DUPLICATE.to_owned(), json!(true))]);
                let contact_id = message.contact_id;
                message.record(MessageEvent::MetadataUpdated { set, removed: Vec::new(), contact_id });
            }
            message.start_sending();
            let line = self.line(work, due.channel_id).await?;
            line.budget = line.budget.saturating_sub(1);
            let message = work.save(message)?;
            return Ok(Some(addressed(work, message).await?));
        }
        Ok(None)
    }

    async fn line(&mut self, work: &UnitOfWork<'_>, id: ChannelId) -> Result<&mut Line> {
        let line = match self.lines.remove(&id) {
            Some(line) => line,
            None => Line::read(work, id).await?,
        };
        Ok(self.lines.entry(id).or_insert(line))
    }
}

impl Line {
    async fn read(work: &UnitOfWork<'_>, id: ChannelId) -> Result<Line> {
        let channel = work.reader().find_any::<Channel>(id).await?;
        let open = channel.filter(|channel| channel.deleted_at.is_none() && channel.status == ChannelStatus::Active);
        let Some(channel) = open else { return Ok(Line { budget: 0, is_idempotent: false }) };
        let can = by_code(work.reader(), &channel.channel_type).await?.capabilities;
        Ok(Line { budget: budget(work, id, can.rate).await?, is_idempotent: can.idempotent_send })
    }
}

/// How many tries the channel may start now.
async fn budget(work: &UnitOfWork<'_>, channel: ChannelId, rate: RateLimits) -> Result<u32> {
    let mut left = u32::MAX;
    for (limit, seconds) in [(rate.per_second, 1), (rate.per_minute, 60), (rate.per_hour, 3_600)] {
        let Some(limit) = limit else { continue };
        let since = Value::Instant(work.now().plus_seconds(-seconds));
        let filter = Filter::All(vec![
            Filter::eq("channel_id", FieldKind::Id, id_value(channel)),
            leaf("last_attempt_at", FieldKind::Instant, Test::Greater(since)),
        ]);
        let scope = work.reader().scope_of(Kind::Message);
        let used = work.reader().storage().count(scope, Kind::Message, &filter, true).await?;
        left = left.min(limit.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX)));
    }
    Ok(left)
}

/// The oldest messages of a chat that wait or are under way.
async fn unsent_of(work: &UnitOfWork<'_>, chat: ChatId) -> Result<Vec<Message>> {
    let find = Find {
        filter: Filter::eq("unsent_chat_id", FieldKind::Id, id_value(chat)),
        sort: vec![ascending("timestamp", FieldKind::Instant)],
        after: None,
        backward: false,
        limit: PAGE,
        include_hidden: true,
        with_total: false,
    };
    work.reader().find_states(&find).await
}

/// Takes an echo for the report that never came; false without one.
async fn confirm_by_echo(work: &mut UnitOfWork<'_>, message: &Message) -> Result<bool> {
    let Some(echo) = echo_of(work, message).await? else { return Ok(false) };
    let report = ReportDelivery {
        id: Some(message.id),
        channel_id: None,
        channel_message_id: Some(echo.channel_message_id),
        status: ReportedStatus::Sent,
        at: Some(echo.at.min(work.now())),
        attempt: None,
        participant: None,
        failure: None,
    };
    report.run(work).await?;
    Ok(true)
}

/// Ends a message that must not be tried again: its time is over, or its last try never reported.
async fn end_in_vain(work: &mut UnitOfWork<'_>, message: &mut Root<Message>, is_idempotent: bool) -> Result<bool> {
    let is_silent = message.status == MessageStatus::Sending;
    let tried_twice = message.metadata.contains_key(POSSIBLE_DUPLICATE) && !is_idempotent;
    if is_silent && (message.attempts >= MAX_ATTEMPTS || tried_twice) {
        let metrics = metrics_if(work, message, false).await?;
        let failure =
            Failure::of(FailureCode::Unconfirmed, "it was taken to be sent, and nobody reported what became of it");
        let now = message.now();
        message.give_up(failure, now, metrics);
        return Ok(true);
    }
    if !is_silent && message.is_overdue(work.now()) {
        let metrics = metrics_if(work, message, false).await?;
        message.expire(metrics);
        return Ok(true);
    }
    Ok(false)
}

async fn addressed(work: &mut UnitOfWork<'_>, message: Message) -> Result<ClaimedMessage> {
    let chat = work.find::<Chat>(message.chat_id).await?;
    let contact = match message.contact_id {
        Some(id) => work.reader().find_any::<Contact>(id).await?,
        None => None,
    };
    Ok(ClaimedMessage {
        attempt: message.attempts,
        lease_until: message.lease_until.unwrap_or_else(|| work.now()),
        chat_external_id: chat.and_then(|chat| chat.external_id.clone()),
        phone: contact.and_then(|contact| contact.phone),
        message,
    })
}

fn leaf(field: &str, kind: FieldKind, test: Test) -> Filter {
    Filter::Leaf(Leaf { field: field.to_owned(), kind, is_attribute: false, test })
}

fn ascending(field: &str, kind: FieldKind) -> Sort {
    Sort { field: field.to_owned(), kind, descending: false }
}
