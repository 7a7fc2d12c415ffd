//! Cutting the sessions of a chat anew, once messages of the past are stored: the step that follows an import. It looks at
//! message times alone, so neither the order in which messages were stored nor how often it runs makes a difference.
//!
//! Sessions that people or live traffic made keep their messages and their ids; sessions of imports are cut as the messages
//! fall. A gap longer than the timeout separates, and so does the end that somebody decided on.

use super::ending::{Ending, end_session};
use super::extent::{Extent, Line};
use super::segments::{Held, Segment, cut};
use super::step::{begin, nearest, open_session};
use super::timer::enqueue_timer;
use super::{EndReason, Origin, Session, SessionKind, SessionStart, SessionStatus, Timeout};
use crate::conversations::message::{Direction, Message};
use crate::engine::UnitOfWork;
use crate::kernel::{ChannelId, ChatId, ContactId, Error, Kind, MessageId, PipelineId, Result, SessionId, Timestamp};
use crate::storage::{FieldKind, Filter, Find, Leaf, Sort, Test, Value, id_value};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What is to be cut, and how a session that it takes would begin.
#[derive(Debug, Clone, PartialEq)]
pub struct RecutFacts {
    pub chat_id: ChatId,
    pub channel_id: ChannelId,
    pub channel_type: String,
    pub kind: SessionKind,
    /// Required in direct chats, left away in groups.
    pub contact_id: Option<ContactId>,
    pub pipeline_id: Option<PipelineId>,
    /// The gap that separates, and the timeout of new sessions.
    pub timeout: Timeout,
    /// The times of the messages that were stored.
    pub from: Timestamp,
    pub to: Timestamp,
    pub import_id: Option<Uuid>,
}

/// Cuts the stretch around the stored messages anew, and records what that changes: `session.started` and `session.ended` for
/// new sessions, `session.recut` for those whose messages changed, `session.merged` for those left without any. A stretch that
/// is cut already records nothing.
///
/// # Errors
/// `session_contact_required` when a direct session would start without a contact.
pub async fn recut_chat(work: &mut UnitOfWork<'_>, facts: &RecutFacts) -> Result<()> {
    let window = window(work, facts).await?;
    let lines = lines(work, facts.chat_id, &window).await?;
    let held: BTreeMap<SessionId, Held> = window.sessions.iter().map(|session| (session.id, held(session))).collect();
    let segments = cut(&lines, &held, facts.timeout.seconds);
    let beyond = nearest(work, facts.chat_id, Some(Test::Greater(Value::Instant(window.to)))).await?;
    let mut moved: BTreeMap<SessionId, Vec<(SessionId, MessageId)>> = BTreeMap::new();
    let mut kept = BTreeSet::new();
    for (place, segment) in segments.iter().enumerate() {
        let following = segments.get(place + 1).and_then(|next| next.lines.first()).map(|line| line.at);
        let next = following.or(beyond.map(|(_, started_at)| started_at));
        let session = settle(work, facts, segment, next).await?;
        kept.insert(session);
        for line in &segment.lines {
            if let Some(before) = line.session.filter(|before| *before != session) {
                moved.entry(before).or_default().push((session, line.id));
            }
        }
    }
    for (emptied, messages) in moved.into_iter().filter(|(id, _)| !kept.contains(id)) {
        absorb(work, emptied, &messages).await?;
    }
    Ok(())
}

/// A stretch of time with every session that touches it.
struct Window {
    from: Timestamp,
    to: Timestamp,
    sessions: Vec<Session>,
}

/// The stored messages' own stretch, widened by the timeout and by every session that touches it.
async fn window(work: &mut UnitOfWork<'_>, facts: &RecutFacts) -> Result<Window> {
    let gap = i64::from(facts.timeout.seconds);
    let mut window =
        Window { from: facts.from.plus_seconds(-gap), to: facts.to.plus_seconds(gap), sessions: Vec::new() };
    let mut known = BTreeSet::new();
    loop {
        let mut grown = false;
        for id in touching(work, facts.chat_id, window.from, window.to).await? {
            let Some(session) = work.find::<Session>(id).await? else { continue };
            let Some(span) = session.span().filter(|_| known.insert(id)) else { continue };
            window.from = window.from.min(span.started_at);
            window.to = window.to.max(span.right_edge()).max(span.last_activity_at.plus_seconds(gap));
            window.sessions.push(session.state().clone());
            grown = true;
        }
        if !grown {
            return Ok(window);
        }
    }
}

/// Sessions that start in a stretch, and the last one before it, which may reach into it.
async fn touching(work: &UnitOfWork<'_>, chat: ChatId, from: Timestamp, to: Timestamp) -> Result<BTreeSet<SessionId>> {
    let mut find = in_chat(chat, "started_at", from, to);
    let mut ids = BTreeSet::new();
    loop {
        let found = work.reader().storage().find(work.reader().scope_of(Kind::Session), Kind::Session, &find).await?;
        ids.extend(found.rows.iter().map(|row| SessionId::from_uuid(row.snapshot.id)));
        match found.rows.last() {
            Some(last) if found.more => find.after = Some((last.keys.clone(), last.snapshot.id)),
            _ => break,
        }
    }
    if let Some((id, _)) = nearest(work, chat, Some(Test::Less(Value::Instant(from)))).await?
        && let Some(before) = work.reader().find_any::<Session>(id).await?
        && before.span().is_some_and(|span| span.right_edge() >= from)
    {
        ids.insert(id);
    }
    Ok(ids)
}

/// The messages of the stretch that are part of a conversation, in their order. Automatic sends outside of sessions are not.
async fn lines(work: &mut UnitOfWork<'_>, chat: ChatId, window: &Window) -> Result<Vec<Line>> {
    let mut find = in_chat(chat, "timestamp", window.from, window.to);
    find.include_hidden = true;
    let mut ids: Vec<MessageId> = Vec::new();
    loop {
        let found = work.reader().storage().find(work.reader().scope_of(Kind::Message), Kind::Message, &find).await?;
        ids.extend(found.rows.iter().map(|row| MessageId::from_uuid(row.snapshot.id)));
        match found.rows.last() {
            Some(last) if found.more => find.after = Some((last.keys.clone(), last.snapshot.id)),
            _ => break,
        }
    }
    let here = work.recorded().iter().filter(|recorded| recorded.kind == Kind::Message);
    ids.extend(here.map(|recorded| MessageId::from_uuid(recorded.aggregate_id)));
    ids.sort_unstable();
    ids.dedup();
    work.prefetch::<Message>(&ids).await?;
    let mut lines = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(message) = work.find::<Message>(id).await? else { continue };
        let is_here = message.chat_id == chat && (window.from..=window.to).contains(&message.timestamp);
        let is_talk = message.direction != Direction::Internal && message.superseded_by.is_none();
        if is_here && is_talk && (message.session_id.is_some() || message.historical) {
            lines.push(Line::of(&message));
        }
    }
    lines.sort_by_key(|line| (line.at, line.id));
    Ok(lines)
}

fn in_chat(chat: ChatId, time: &str, from: Timestamp, to: Timestamp) -> Find {
    let at = |test| Filter::Leaf(Leaf { field: time.to_owned(), kind: FieldKind::Instant, is_attribute: false, test });
    Find {
        filter: Filter::All(vec![
            Filter::eq("chat_id", FieldKind::Id, id_value(chat)),
            at(Test::GreaterOrEqual(Value::Instant(from))),
            at(Test::LessOrEqual(Value::Instant(to))),
        ]),
        sort: vec![Sort { field: time.to_owned(), kind: FieldKind::Instant, descending: false }],
        after: None,
        backward: false,
        limit: 500,
        include_hidden: false,
        with_total: false,
    }
}

/// What cutting must respect of a session.
fn held(session: &Session) -> Held {
    let is_touched = !session.agent_ids.is_empty()
        || session.summary.is_some()
        || session.resolved
        || session.escalated
        || session.converted
        || !session.outcome_tags.is_empty()
        || session.custom_fields.iter().next().is_some();
    let is_decided = session.end_reason.is_some_and(|reason| reason != EndReason::InactivityTimeout);
    Held {
        is_pinned: session.origin != Origin::Import || is_touched || is_decided,
        wall: session.ended_at.filter(|_| is_decided),
    }
}

/// Makes one session hold exactly the messages of a segment, and returns it. `next` is when the one after it begins.
async fn settle(
    work: &mut UnitOfWork<'_>,
    facts: &RecutFacts,
    segment: &Segment,
    next: Option<Timestamp>,
) -> Result<SessionId> {
    let (Some(first), Some(last)) = (segment.lines.first(), segment.lines.last()) else {
        return Err(Error::internal("a segment has messages"));
    };
    let mut session = match segment.session {
        Some(id) => work.load::<Session>(id).await?,
        None => {
            let silent = last.at.plus_seconds(i64::from(facts.timeout.seconds));
            let is_over = next.is_some() || silent < work.now();
            let opening = opening(facts, first);
            if is_over { begin(work, opening)? } else { open_session(work, opening).await? }
        }
    };
    let added: Vec<MessageId> =
        segment.lines.iter().filter(|line| line.session != Some(session.id)).map(|line| line.id).collect();
    let mut extent = Extent { started_at: first.at, last_activity_at: last.at, ended_at: None };
    if segment.is_pinned {
        extent.started_at = extent.started_at.min(session.started_at);
        extent.last_activity_at = extent.last_activity_at.max(session.last_activity_at);
    }
    let silent = extent.last_activity_at.plus_seconds(i64::from(session.timeout_seconds));
    let deadline = session.extended_until.map_or(silent, |until| until.max(silent));
    let over_at = next.map_or(deadline, |next| next.min(deadline)).max(extent.last_activity_at);
    let is_over = next.is_some() || deadline < work.now();
    if !(added.is_empty() && segment.removed.is_empty()) {
        if !is_over && session.end_reason == Some(EndReason::InactivityTimeout) {
            session.come_back();
            enqueue_timer(work, session.id, deadline);
        }
        extent.ended_at = (session.end_reason == Some(EndReason::InactivityTimeout)).then_some(over_at);
        session.recut(&segment.lines, extent, (added, segment.removed.clone()), facts.import_id);
    }
    // Two sessions of a chat are never active; one that stays the last is ended by its timer.
    if session.is_active() && is_over && (next.is_some() || segment.session.is_none()) {
        let ending = Ending { ended_at: over_at, ..Ending::silence(&session) };
        end_session(work, &mut session, ending).await?;
    }
    Ok(work.save(session)?.id)
}

fn opening(facts: &RecutFacts, first: &Line) -> SessionStart {
    SessionStart {
        chat_id: facts.chat_id,
        channel_id: facts.channel_id,
        channel_type: facts.channel_type.clone(),
        kind: facts.kind,
        contact_id: facts.contact_id,
        pipeline_id: facts.pipeline_id,
        origin: Origin::Import,
        started_at: first.at,
        timeout_seconds: facts.timeout.seconds,
        timeout_source: facts.timeout.source,
        trigger_message_id: Some(first.id),
    }
}

/// Merges a session that lost all of its messages into the one that took most of them.
async fn absorb(work: &mut UnitOfWork<'_>, emptied: SessionId, moved: &[(SessionId, MessageId)]) -> Result<()> {
    let Some(mut session) = work.find::<Session>(emptied).await? else { return Ok(()) };
    let mut counts: BTreeMap<SessionId, usize> = BTreeMap::new();
    moved.iter().for_each(|(to, _)| *counts.entry(*to).or_default() += 1);
    let most = counts.into_iter().max_by_key(|(to, count)| (*count, std::cmp::Reverse(*to)));
    if let Some((into, _)) = most.filter(|_| session.status != SessionStatus::Merged) {
        let ids = moved.iter().filter(|(to, _)| *to == into).map(|(_, id)| *id).collect();
        session.merge_into(into, ids);
    }
    work.save(session)?;
    Ok(())
}
