//! The step of the conversation flow that finds or opens the session of a message.

use super::ending::{Ending, end_session, want_summary};
use super::placement::{Placement, SessionSpan, place};
use super::state::{ACTIVE_IN_CHAT, ACTIVE_WITH_CONTACT};
use super::timer::enqueue_timer;
use super::{Counted, EndReason, Origin, Session, SessionEvent, SessionKind, SessionStart, TimeoutSource};
use crate::conversations::SessionMetrics;
use crate::conversations::message::{Direction, MessageSource, Placement as MessagePlacement, counted_messages};
use crate::engine::{Event, Root, UnitOfWork};
use crate::kernel::{
    ChannelId, ChatId, ContactId, Error, ErrorCode, Kind, MessageId, PipelineId, Result, SessionId, Timestamp,
};
use crate::storage::{FieldKind, Filter, Find, Leaf, Sort, Test, Value, id_value};

/// What the flow knows of a message that needs a session.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacementFacts {
    pub chat_id: ChatId,
    pub channel_id: ChannelId,
    pub channel_type: String,
    pub kind: SessionKind,
    /// Required in direct chats, left away in groups.
    pub contact_id: Option<ContactId>,
    /// Message time, already clamped.
    pub timestamp: Timestamp,
    /// Of a session that would start now.
    pub timeout_seconds: u32,
    pub timeout_source: TimeoutSource,
    pub pipeline_id: Option<PipelineId>,
    pub origin: Origin,
    pub direction: Direction,
    /// Automatic sends join a session that is there, and neither open, reopen nor lengthen one that is over.
    pub source: MessageSource,
    pub message_id: MessageId,
}

/// Where a message went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub session_id: SessionId,
    /// What the message event carries, so that the session can fold it.
    pub placement: MessagePlacement,
    /// The session's counters with this message, when it came after newer ones; the message event carries them too.
    pub metrics: Option<SessionMetrics>,
    /// The session was opened for this message.
    pub created: bool,
}

impl Placed {
    fn into(session_id: SessionId) -> Placed {
        let placement = MessagePlacement { late: false, started_at: None, ended_at: None };
        Placed { session_id, placement, metrics: None, created: false }
    }

    fn opening(session_id: SessionId) -> Placed {
        Placed { created: true, ..Placed::into(session_id) }
    }

    fn late(session_id: SessionId, started_at: Option<Timestamp>, ended_at: Option<Timestamp>) -> Placed {
        let placement = MessagePlacement { late: true, started_at, ended_at };
        Placed { placement, ..Placed::into(session_id) }
    }
}

/// Finds or opens the session of a message and records what that takes: `session.ended` with its companions,
/// `session.started`, `session.reopened`, the timer. The message event must follow in the same unit of work.
///
/// `None` when the message has no session and does not open one.
///
/// # Errors
/// `session_contact_required` when a direct session would start without a contact.
pub async fn place_message(work: &mut UnitOfWork<'_>, facts: &PlacementFacts) -> Result<Option<Placed>> {
    let Some(mut placed) = find_or_open(work, facts).await? else { return Ok(None) };
    if !placed.created {
        placed.metrics = recount(work, facts, &placed).await?;
    }
    Ok(Some(placed))
}

async fn find_or_open(work: &mut UnitOfWork<'_>, facts: &PlacementFacts) -> Result<Option<Placed>> {
    let ts = facts.timestamp;
    let active = work.by_key::<Session>(ACTIVE_IN_CHAT, "", &facts.chat_id.to_string()).await?;
    let around = match active.as_ref().and_then(|session| session.span()) {
        // Nothing in the chat is newer than its active session.
        Some(span) if span.started_at <= ts => vec![span],
        active => neighbours(work, facts.chat_id, ts, active).await?,
    };
    let placement = place(ts, work.now(), facts.timeout_seconds, &around);
    if !facts.source.opens_session() {
        return Ok(join(placement));
    }
    let placed = match placement {
        Placement::Record { id } => Placed::into(id),
        Placement::RecordMovingStart { id, started_at } => Placed::late(id, Some(started_at), None),
        Placement::Late { id, started_at, ended_at } => Placed::late(id, started_at, ended_at),
        Placement::Reopen { id } => {
            reopen(work, id, ts).await?;
            Placed::into(id)
        }
        Placement::EndAndStart { end, .. } => {
            let mut over = work.load::<Session>(end).await?;
            end_by_silence(work, &mut over).await?;
            work.save(over)?;
            Placed::opening(start(work, facts, None).await?)
        }
        Placement::Start => Placed::opening(start(work, facts, None).await?),
        Placement::StartEnded { ended_at } => Placed::opening(start(work, facts, Some(ended_at)).await?),
    };
    Ok(Some(placed))
}

/// The counters of the session with a message that cannot just be counted on, because newer ones have been.
async fn recount(work: &mut UnitOfWork<'_>, facts: &PlacementFacts, placed: &Placed) -> Result<Option<SessionMetrics>> {
    let Some(counted) = Counted::new(facts.timestamp, facts.direction, facts.source) else { return Ok(None) };
    let Some(session) = work.find::<Session>(placed.session_id).await? else { return Ok(None) };
    if session.metrics.can_count_on(counted) {
        return Ok(None);
    }
    let late_count = session.metrics.late_count.saturating_add(u32::from(placed.placement.late));
    let mut messages = counted_messages(work, placed.session_id).await?;
    messages.insert(facts.message_id, Some(counted));
    let messages = messages.into_iter().filter_map(|(id, counted)| counted.map(|counted| (id, counted)));
    Ok(Some(SessionMetrics::of(messages, late_count)))
}

/// What an automatic send does: it counts where it falls into a session.
fn join(placement: Placement) -> Option<Placed> {
    match placement {
        Placement::Record { id } => Some(Placed::into(id)),
        Placement::Reopen { id } | Placement::Late { id, started_at: None, .. } => Some(Placed::late(id, None, None)),
        _ => None,
    }
}

/// Ends a session at its deadline, with everything that follows from it.
pub(super) async fn end_by_silence(work: &mut UnitOfWork<'_>, session: &mut Root<Session>) -> Result<()> {
    let ending = Ending::silence(session);
    end_session(work, session, ending).await?;
    want_summary(session);
    Ok(())
}

/// Opens a session for a message; with `ended_at` one that is over already.
async fn start(work: &mut UnitOfWork<'_>, facts: &PlacementFacts, ended_at: Option<Timestamp>) -> Result<SessionId> {
    let opening = SessionStart {
        chat_id: facts.chat_id,
        channel_id: facts.channel_id,
        channel_type: facts.channel_type.clone(),
        kind: facts.kind,
        contact_id: facts.contact_id,
        pipeline_id: facts.pipeline_id,
        origin: facts.origin,
        started_at: facts.timestamp,
        timeout_seconds: facts.timeout_seconds,
        timeout_source: facts.timeout_source,
        trigger_message_id: Some(facts.message_id),
    };
    let session = match ended_at {
        None => open_session(work, opening).await?,
        Some(ended_at) => {
            let mut session = begin(work, opening)?;
            let ending = Ending { ended_at, ..Ending::silence(&session) };
            end_session(work, &mut session, ending).await?;
            session
        }
    };
    let id = session.id;
    work.save(session)?;
    Ok(id)
}

/// Opens a session that is active, and arms its timer. A contact has one active direct session per channel: one left behind
/// in another chat of theirs, which is closed by now, ends first.
pub(super) async fn open_session(work: &mut UnitOfWork<'_>, opening: SessionStart) -> Result<Root<Session>> {
    if let Some(contact) = opening.contact_id.filter(|_| opening.kind == SessionKind::Direct) {
        end_elsewhere(work, opening.channel_id, contact).await?;
    }
    let session = begin(work, opening)?;
    enqueue_timer(work, session.id, session.deadline());
    Ok(session)
}

pub(super) fn begin(work: &UnitOfWork<'_>, mut opening: SessionStart) -> Result<Root<Session>> {
    match opening.kind {
        SessionKind::Group => opening.contact_id = None,
        SessionKind::Direct if opening.contact_id.is_none() => {
            return Err(Error::new(ErrorCode::SessionContactRequired).at("contact_id"));
        }
        SessionKind::Direct => {}
    }
    work.create::<Session>(work.new_id(), SessionEvent::Started(Box::new(opening)))
}

async fn end_elsewhere(work: &mut UnitOfWork<'_>, channel: ChannelId, contact: ContactId) -> Result<()> {
    let (channel, contact) = (channel.to_string(), contact.to_string());
    let Some(mut other) = work.by_key::<Session>(ACTIVE_WITH_CONTACT, &channel, &contact).await? else {
        return Ok(());
    };
    if work.now() > other.deadline() {
        end_by_silence(work, &mut other).await?;
    } else {
        let ending = Ending::decision(&other, EndReason::ChatClosed, work);
        end_session(work, &mut other, ending).await?;
        want_summary(&mut other);
    }
    work.save(other)?;
    Ok(())
}

async fn reopen(work: &mut UnitOfWork<'_>, id: SessionId, ts: Timestamp) -> Result<()> {
    let mut session = work.load::<Session>(id).await?;
    session.come_back();
    let timeout = i64::from(session.timeout_seconds);
    enqueue_timer(work, id, session.deadline().max(ts.plus_seconds(timeout)));
    work.save(session)?;
    Ok(())
}

/// The sessions that a message outside the active one can touch: the last that started before it and the first after it.
async fn neighbours(
    work: &mut UnitOfWork<'_>,
    chat: ChatId,
    ts: Timestamp,
    active: Option<SessionSpan>,
) -> Result<Vec<SessionSpan>> {
    let newest = nearest(work, chat, None).await?;
    let mut ids: Vec<SessionId> = newest.iter().map(|(id, _)| *id).collect();
    if newest.is_some_and(|(_, started_at)| started_at > ts) {
        ids.extend(nearest(work, chat, Some(Test::LessOrEqual(Value::Instant(ts)))).await?.map(|(id, _)| id));
        ids.extend(nearest(work, chat, Some(Test::Greater(Value::Instant(ts)))).await?.map(|(id, _)| id));
    }
    ids.extend(started_here(work, chat));
    ids.extend(active.map(|span| span.id));
    ids.sort_unstable();
    ids.dedup();
    let mut around = Vec::with_capacity(ids.len());
    for id in ids {
        let session = work.find::<Session>(id).await?;
        around.extend(session.and_then(|session| session.span()));
    }
    Ok(around)
}

/// Sessions of the chat that this unit of work opened, which no query finds yet.
fn started_here(work: &UnitOfWork<'_>, chat: ChatId) -> Vec<SessionId> {
    let started = work.recorded().iter().filter(
        |recorded| matches!(&recorded.event, Event::Session(SessionEvent::Started(start)) if start.chat_id == chat),
    );
    started.map(|recorded| SessionId::from_uuid(recorded.aggregate_id)).collect()
}

/// The newest session of a chat.
pub(super) async fn newest_in_chat(work: &UnitOfWork<'_>, chat: ChatId) -> Result<Option<SessionId>> {
    let here = started_here(work, chat).pop();
    let committed = nearest(work, chat, None).await?.map(|(id, _)| id);
    Ok(here.or(committed))
}

/// The newest committed session of a chat, or the one that is nearest on one side of a moment.
pub(super) async fn nearest(
    work: &UnitOfWork<'_>,
    chat: ChatId,
    side: Option<Test>,
) -> Result<Option<(SessionId, Timestamp)>> {
    let descending = !matches!(side, Some(Test::Greater(_)));
    let started_at = |test| {
        Filter::Leaf(Leaf { field: "started_at".to_owned(), kind: FieldKind::Instant, is_attribute: false, test })
    };
    let mut filter = vec![Filter::eq("chat_id", FieldKind::Id, id_value(chat))];
    filter.extend(side.map(started_at));
    let find = Find {
        filter: Filter::All(filter),
        sort: vec![Sort { field: "started_at".to_owned(), kind: FieldKind::Instant, descending }],
        after: None,
        backward: false,
        limit: 1,
        include_hidden: false,
        with_total: false,
    };
    let scope = work.reader().scope_of(Kind::Session);
    let found = work.reader().storage().find(scope, Kind::Session, &find).await?;
    Ok(found.rows.first().and_then(|row| match row.keys.first() {
        Some(Value::Instant(started_at)) => Some((SessionId::from_uuid(row.snapshot.id), *started_at)),
        _ => None,
    }))
}
