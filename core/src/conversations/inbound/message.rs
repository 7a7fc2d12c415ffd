//! The main job: a delivered message becomes a contact, a chat, a session and a message, in one commit, exactly once.

use super::intake::Intake;
use super::outcome::{Created, IgnoredBecause, Outcome, ParkedBecause};
use super::{changes, echo, targets};
use crate::channels::gateway::{AckSignal, ChatClass, Identifiers, InboundMessage, MediaRef};
use crate::contacts::contact::resolution as contacts;
use crate::conversations::chat::resolution::{self as chats, ChatFacts};
use crate::conversations::chat::{Chat, ChatType};
use crate::conversations::content::{Forward, Mention};
use crate::conversations::message::commands::{ReportDelivery, ReportedStatus};
use crate::conversations::message::{
    DeliveryReport, Direction, Message, MessageEvent, MessageSource, MessageStatus, NewMessage, Priority, acknowledge,
};
use crate::conversations::session::{ACTIVE_IN_CHAT, Origin, PlacementFacts, Session, SessionKind, place_message};
use crate::engine::{Command, Event, Root, UnitOfWork};
use crate::kernel::{AgentId, ChatId, ContactId, Error, ErrorCode, ErrorKind, MessageId, ProjectId, Result, Timestamp};
use crate::storage::{self, FieldKind, Filter, Leaf, Scope, Test};
use crate::tenancy::project::ProjectStatus;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A provider's clock may run ahead by this many seconds.
const MAX_AHEAD_SECONDS: i64 = 5 * 60;
/// 2009-01-01T00:00:00Z: nothing that chats is older.
const EARLIEST_SECONDS: i64 = 1_230_768_000;

/// Records a live message, or says why not.
pub async fn record(work: &mut UnitOfWork<'_>, intake: &Intake<'_>, item: &InboundMessage) -> Result<Outcome> {
    if let Some(reason) = refusal(intake, item) {
        return Ok(Outcome::Ignored { reason });
    }
    if let Err(error) = check(item) {
        return Ok(Outcome::rejected(&error));
    }
    let channel_key = intake.channel.id.to_string();
    if let Some(known) = work.by_key::<Message>("message.external", &channel_key, &item.channel_message_id).await? {
        return again(work, intake, item, known);
    }
    if item.from_me
        && let Some(outcome) = echo_of_a_send(work, intake, item).await?
    {
        return Ok(outcome);
    }
    let (timestamp, adjusted) = clamp(item.timestamp, work.now(), intake.received_at);
    if intake.project.status == ProjectStatus::Inactive && !is_in_open_session(work, intake, item, timestamp).await? {
        return Ok(Outcome::Parked { reason: ParkedBecause::ProjectInactive });
    }
    let mut created = Created::default();

    let mut contact_id = None;
    if let Some(who) = author(item) {
        let field = if std::ptr::eq(who, &item.sender) { "sender" } else { "peer" };
        let resolved = match contacts::resolve(work, &intake.line(), who, timestamp).await {
            Ok(resolved) => resolved,
            // An id that is none is the provider's mistake, and a repetition would not mend it.
            Err(error) if error.kind() == ErrorKind::Validation => return Ok(Outcome::rejected(&error.at(field))),
            Err(error) => return Err(error),
        };
        if resolved.contact.blocked && !item.from_me {
            return Ok(Outcome::Ignored { reason: IgnoredBecause::ContactBlocked });
        }
        created.contact = resolved.created;
        contact_id = Some(resolved.contact.id);
    }

    let sender_external_id = external_id(&item.sender);
    let chat = chats::resolve(
        work,
        &ChatFacts {
            channel_id: intake.channel.id,
            chat: &item.chat,
            contact: contact_id,
            external_sender: sender_external_id.as_deref(),
            at: timestamp,
            unarchive: !item.from_me,
        },
    )
    .await?;
    created.chat = chat.created;
    if chat.created {
        changes::apply_waiting(work, intake, &item.chat).await?;
    }
    let chat = chat.chat;

    let id: MessageId = work.new_id();
    let (direction, source) = match item.from_me {
        true => (Direction::Outbound, MessageSource::Device),
        false => (Direction::Inbound, MessageSource::Contact),
    };
    let mut session_id = None;
    let mut placement = None;
    let mut session_metrics = None;
    if chat.chat_type != ChatType::Channel {
        let (timeout_seconds, timeout_source) = intake.timeout();
        let facts = PlacementFacts {
            chat_id: chat.id,
            channel_id: intake.channel.id,
            channel_type: intake.channel.channel_type.clone(),
            kind: if chat.chat_type == ChatType::Group { SessionKind::Group } else { SessionKind::Direct },
            contact_id: contact_id.filter(|_| chat.chat_type == ChatType::Individual),
            pipeline_id: intake.channel.pipeline_id,
            timestamp,
            timeout_seconds,
            timeout_source,
            origin: if item.from_me { Origin::Outbound } else { Origin::Inbound },
            direction,
            source,
            message_id: id,
        };
        if let Some(placed) = place_message(work, &facts).await? {
            session_id = Some(placed.session_id);
            created.session = placed.created;
            placement = Some(placed.placement);
            session_metrics = placed.metrics;
        }
    }

    let told = Told { timestamp, adjusted, chat: &chat, contact_id, source, agent_id: intake.channel.default_agent_id };
    let mut new = compose(work, intake, item, told).await?;
    (new.session_id, new.placement, new.session_metrics) = (session_id, placement, session_metrics);
    if item.from_me {
        new.unread_after = Some(unread_after(work, &chat, timestamp).await?).filter(|unread| *unread > 0);
    }
    let event = if item.from_me { MessageEvent::Created(Box::new(new)) } else { MessageEvent::Received(Box::new(new)) };
    let mut message = work.create::<Message>(id, event)?;
    if !item.from_me && session_id.is_some() && intake.wants_ai(message.content.content_type(), message.content.media())
    {
        message.request_ai();
    }
    work.save(message)?;
    if item.from_me && item.initial_ack == Some(AckSignal::Failed) {
        let failed = DeliveryReport { signal: AckSignal::Failed, at: timestamp, participant: None, failure: None };
        let mut message = work.load::<Message>(id).await?;
        acknowledge(work, &mut message, &failed).await?;
        work.save(message)?;
    }
    targets::apply_waiting(work, intake, &item.channel_message_id, id).await?;
    Ok(Outcome::Recorded { message_id: id, contact_id, chat_id: chat.id, session_id, created })
}

/// What was decided about a message before it is written down.
pub(in crate::conversations) struct Told<'t> {
    pub timestamp: Timestamp,
    /// The provider told another time, which cannot be.
    pub adjusted: bool,
    pub chat: &'t Chat,
    pub contact_id: Option<ContactId>,
    pub source: MessageSource,
    /// Who wrote it, if it is ours; the system agent of the source unless told.
    pub agent_id: Option<AgentId>,
}

/// The message of an item, without a session.
pub(in crate::conversations) async fn compose(
    work: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    item: &InboundMessage,
    told: Told<'_>,
) -> Result<NewMessage> {
    let Told { timestamp, adjusted, chat, contact_id, source, agent_id } = told;
    let channel_key = intake.channel.id.to_string();
    let direction = if item.from_me { Direction::Outbound } else { Direction::Inbound };
    let mut content = item.content.clone();
    // Whose id it is and what was passed on is looked up here: no gateway knows our ids.
    let unnamed = |mention: &Mention| Mention { contact_id: None, ..mention.clone() };
    let mut mentions: Vec<Mention> = item.mentions.iter().map(unnamed).collect();
    contacts::name_mentions(work, &mut mentions).await?;
    let mut metadata = item.metadata.clone();
    particulars(item, &mut metadata);
    if let Some(length) = content.fit_inbound() {
        metadata.insert("text_truncated_from".to_owned(), json!(length));
    }
    if let crate::conversations::content::Content::Unsupported { raw_type } = &content {
        metadata.insert("raw_type".to_owned(), json!(raw_type));
    }
    if adjusted {
        metadata.insert("provider_timestamp".to_owned(), json!(item.timestamp));
        metadata.insert("clock_adjusted".to_owned(), json!(true));
    }
    let reply_to_id = match &item.reply_to_channel_message_id {
        Some(quoted) => {
            let quoted = work.by_key::<Message>("message.external", &channel_key, quoted).await?;
            quoted.filter(|quoted| quoted.chat_id == chat.id).map(|quoted| quoted.id)
        }
        None => None,
    };
    let status = initial_status(item);
    let climbed = |from: MessageStatus| (item.from_me && status.rank() >= from.rank()).then_some(timestamp);
    Ok(NewMessage {
        channel_id: intake.channel.id,
        channel_type: intake.channel.channel_type.clone(),
        chat_id: chat.id,
        contact_id: contact_id.filter(|_| !item.from_me || chat.chat_type == ChatType::Individual),
        session_id: None,
        direction,
        source,
        agent_id: item.from_me.then(|| agent_id.unwrap_or_else(|| system_agent(work.project(), source))),
        sender_external_id: external_id(&item.sender),
        sender_name: item.sender.display_name.clone().filter(|_| !item.from_me),
        content,
        channel_message_id: Some(item.channel_message_id.clone()),
        client_token: None,
        reply_to_id,
        reply_to_channel_message_id: item.reply_to_channel_message_id.clone(),
        forward: item.forward.map(|forward| Forward { from_message_id: None, ..forward }),
        mentions,
        status,
        timestamp,
        sent_at: climbed(MessageStatus::Sent),
        delivered_at: climbed(MessageStatus::Delivered),
        read_at: climbed(MessageStatus::Read),
        played_at: climbed(MessageStatus::Played),
        failed_at: None,
        failure: None,
        priority: Priority::Normal,
        scheduled_at: None,
        expires_at: None,
        language: None,
        attribution: item.attribution.clone().filter(|found| !found.is_empty()),
        tracking_code: None,
        historical: false,
        origin: None,
        metadata,
        placement: None,
        session_metrics: None,
        unread_after: None,
        import_id: None,
    })
}

/// Why the channel does not want a message.
pub(in crate::conversations) fn refusal(intake: &Intake<'_>, item: &InboundMessage) -> Option<IgnoredBecause> {
    match item.chat.class {
        ChatClass::Status => Some(IgnoredBecause::StatusBroadcast),
        // A note to oneself: there is nobody on the other side.
        ChatClass::Individual if item.from_me && author(item).is_none() => Some(IgnoredBecause::ProtocolMessage),
        ChatClass::Group if !intake.channel.allow_groups => Some(IgnoredBecause::GroupDisabled),
        ChatClass::Channel if !intake.channel.allow_newsletters => Some(IgnoredBecause::NewsletterDisabled),
        _ => None,
    }
}

/// The shape that an adapter promises and a host may get wrong.
pub(in crate::conversations) fn check(item: &InboundMessage) -> Result<()> {
    let invalid = |field: &str, why: &str| Err(Error::new(ErrorCode::InboundItemInvalid).message(why).at(field));
    let fits = |id: &str| (1..=255).contains(&id.chars().count()) && !id.chars().any(char::is_control);
    if !fits(&item.channel_message_id) {
        return invalid("channel_message_id", "has 1 to 255 characters and no control characters");
    }
    if !fits(&item.chat.external_id) {
        return invalid("chat.external_id", "has 1 to 255 characters and no control characters");
    }
    if item.mentions.len() > 256 {
        return invalid("mentions", "at most 256");
    }
    if serde_json::to_string(&item.metadata).map_or(0, |text| text.len()) > 16 * 1024 || item.metadata.len() > 64 {
        return invalid("metadata", "at most 64 keys and 16 KiB");
    }
    match (item.chat.class, author(item)) {
        (ChatClass::Individual, None) => invalid("peer", "an individual chat needs an id of its other side"),
        (_, Some(who)) if !who.has_id() => invalid("sender", "at least one id of the author is needed"),
        (ChatClass::Group, None) if !item.from_me => invalid("sender", "at least one id of the author is needed"),
        _ => Ok(()),
    }
}

/// Whose contact the message belongs to: the sender, or the other side of an individual chat of ours.
pub(in crate::conversations) fn author(item: &InboundMessage) -> Option<&Identifiers> {
    match (item.chat.class, item.from_me) {
        (ChatClass::Individual, false) => item.peer.as_ref().filter(|peer| peer.has_id()).or(Some(&item.sender)),
        (ChatClass::Individual, true) => item.peer.as_ref(),
        (ChatClass::Group, false) => Some(&item.sender),
        _ => None,
    }
}

pub(in crate::conversations) fn external_id(who: &Identifiers) -> Option<String> {
    let channel_user = who.channel_user.as_ref().map(|user| &user.value);
    let id = who.wid.as_ref().or(who.jid.as_ref()).or(who.lid.as_ref()).or(channel_user).or(who.external_id.as_ref());
    let phone = || who.phone.as_ref().map(|phone| phone.as_str());
    let id = id.map(String::as_str).or_else(phone).or(who.email.as_deref());
    id.map(|id| id.chars().take(128).collect())
}

/// The same external id again: a duplicate, or the echo that confirms a send of ours.
fn again(
    work: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    item: &InboundMessage,
    mut known: Root<Message>,
) -> Result<Outcome> {
    use MessageStatus::{Queued, Sending, Sent};
    let message_id = known.id;
    let is_send = known.direction == Direction::Outbound && known.source != MessageSource::Device;
    if !(is_send && matches!(known.status, Queued | Sending | Sent)) {
        return Ok(Outcome::Duplicate { message_id });
    }
    let (at, _) = clamp(item.timestamp, work.now(), intake.received_at);
    known.acknowledge(&DeliveryReport { signal: AckSignal::Sent, at, participant: None, failure: None }, None);
    work.save(known)?;
    Ok(Outcome::Echo { message_id })
}

/// What an item tells beside its content: how long its file can be fetched, and how; whether it vanishes at the provider.
fn particulars(item: &InboundMessage, metadata: &mut Map<String, Value>) {
    if let Some(file) = &item.media_ref {
        let file = MediaRef { thumbnail: None, ..file.clone() };
        if file != MediaRef::default()
            && let Ok(Value::Object(mut file)) = serde_json::to_value(file)
        {
            file.retain(|_, value| !value.is_null());
            metadata.insert("media".to_owned(), Value::Object(file));
        }
    }
    for (name, is_so) in [("ephemeral", item.ephemeral), ("view_once", item.view_once)] {
        if is_so {
            metadata.insert(name.to_owned(), Value::Bool(true));
        }
    }
}

/// While a project is switched off, its open sessions go on and no other begins.
async fn is_in_open_session(
    work: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    item: &InboundMessage,
    at: Timestamp,
) -> Result<bool> {
    let chat = chats::find_by_external_id(work, intake.channel.id, &item.chat.external_id).await?;
    let Some(chat) = chat else { return Ok(false) };
    let session = work.by_key::<Session>(ACTIVE_IN_CHAT, "", &chat.id.to_string()).await?;
    Ok(session.is_some_and(|session| (session.started_at..=session.deadline()).contains(&at)))
}

/// What is to become of a message of our number that may be a send of ours, if one is on its way.
async fn echo_of_a_send(
    work: &mut UnitOfWork<'_>,
    intake: &Intake<'_>,
    item: &InboundMessage,
) -> Result<Option<Outcome>> {
    let chat = chats::find_by_external_id(work, intake.channel.id, &item.chat.external_id).await?;
    let Some(chat) = chat else { return Ok(None) };
    let sends = echo::sends_in_flight(work, &chat).await?;
    // The gateway's own answer names its message; where no answer will, what it looks like has to do.
    let is_heard = |send: &&Message| send.status == MessageStatus::Sent || intake.last_try;
    if let Some(send) = sends.iter().filter(is_heard).find(|send| echo::is_echo_of(item, send)) {
        let (at, _) = clamp(item.timestamp, work.now(), intake.received_at);
        let report = ReportDelivery {
            id: Some(send.id),
            channel_id: None,
            channel_message_id: Some(item.channel_message_id.clone()),
            status: ReportedStatus::Sent,
            at: Some(at),
            attempt: None,
            participant: None,
            failure: None,
        };
        report.run(work).await?;
        return Ok(Some(Outcome::Echo { message_id: send.id }));
    }
    let waits = !sends.is_empty() && !intake.last_try;
    Ok(waits.then_some(Outcome::Parked { reason: ParkedBecause::OwnSendInFlight }))
}

/// Inbound messages of the chat that are newer than a response of ours at `at`.
async fn unread_after(work: &UnitOfWork<'_>, chat: &Chat, at: Timestamp) -> Result<u32> {
    if chat.last_inbound_at.is_none_or(|last| last <= at) {
        return Ok(0);
    }
    let stored = count_inbound_after(work, chat.id, at).await?;
    let fresh = work.recorded().iter().filter(|recorded| match &recorded.event {
        Event::Message(MessageEvent::Received(new)) => new.chat_id == chat.id && new.timestamp > at,
        _ => false,
    });
    Ok(stored.saturating_add(u32::try_from(fresh.count()).unwrap_or(u32::MAX)))
}

/// Committed inbound messages of a chat that are newer than `at`, hidden ones included.
pub async fn count_inbound_after(work: &UnitOfWork<'_>, chat: ChatId, at: Timestamp) -> Result<u32> {
    let filter = Filter::All(vec![
        Filter::eq("chat_id", FieldKind::Id, chat.uuid()),
        leaf("timestamp", FieldKind::Instant, Test::Greater(storage::Value::Instant(at))),
        Filter::eq("direction", FieldKind::Enum, Direction::Inbound.as_str()),
        Filter::eq("historical", FieldKind::Bool, false),
    ]);
    let scope = Scope::Project(work.project());
    let count = work.reader().storage().count(scope, crate::kernel::Kind::Message, &filter, true).await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The newest committed inbound messages of a chat that nobody marked as read, from after `after` up to and including `until`.
pub async fn unread_between(
    work: &UnitOfWork<'_>,
    chat: ChatId,
    after: Option<Timestamp>,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Message>> {
    let instant =
        |test: fn(storage::Value) -> Test, at| leaf("timestamp", FieldKind::Instant, test(storage::Value::Instant(at)));
    let mut filter = vec![
        Filter::eq("chat_id", FieldKind::Id, chat.uuid()),
        instant(Test::LessOrEqual, until),
        Filter::eq("direction", FieldKind::Enum, Direction::Inbound.as_str()),
        Filter::eq("status", FieldKind::Enum, MessageStatus::Received.as_str()),
        Filter::eq("historical", FieldKind::Bool, false),
    ];
    filter.extend(after.map(|at| instant(Test::Greater, at)));
    let find = storage::Find {
        filter: Filter::All(filter),
        sort: vec![storage::Sort { field: "timestamp".to_owned(), kind: FieldKind::Instant, descending: true }],
        after: None,
        backward: false,
        limit,
        include_hidden: false,
        with_total: false,
    };
    work.reader().find_states(&find).await
}

fn leaf(field: &str, kind: FieldKind, test: Test) -> Filter {
    Filter::Leaf(Leaf { field: field.to_owned(), kind, is_attribute: false, test })
}

/// How far a message of ours had come when it was delivered; live inbound ones are simply received. One that failed was
/// sent first: its failure is a fact of its own.
fn initial_status(item: &InboundMessage) -> MessageStatus {
    match (item.from_me, item.initial_ack) {
        (false, _) => MessageStatus::Received,
        (true, Some(AckSignal::Delivered)) => MessageStatus::Delivered,
        (true, Some(AckSignal::Read)) => MessageStatus::Read,
        (true, Some(AckSignal::Played)) => MessageStatus::Played,
        (true, _) => MessageStatus::Sent,
    }
}

/// A time that cannot be is replaced: the future by now, prehistory by the time of delivery.
pub fn clamp(at: Timestamp, now: Timestamp, received_at: Timestamp) -> (Timestamp, bool) {
    if at > now.plus_seconds(MAX_AHEAD_SECONDS) {
        (now, true)
    } else if at.micros() < EARLIEST_SECONDS * 1_000_000 {
        (received_at, true)
    } else {
        (at, false)
    }
}

/// The project's system agent that messages of a source are attributed to: a UUIDv5 of project and code.
pub fn system_agent(project: ProjectId, source: MessageSource) -> AgentId {
    AgentId::from_uuid(Uuid::new_v5(&project.uuid(), source.system_agent().as_bytes()))
}
