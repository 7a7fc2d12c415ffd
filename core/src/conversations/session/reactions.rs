//! What sessions do about events of others: they end with their chat, which closes with its contact and its channel, and
//! the first person who answers in a session that nobody has gets it.

use super::ending::{Ending, end_session, want_summary};
use super::state::ACTIVE_IN_CHAT;
use super::{Assignment, AssignmentSource, EndReason, Session};
use crate::conversations::chat::{ChatEvent, ChatReason};
use crate::conversations::message::{Direction, MessageEvent, NewMessage};
use crate::engine::{Event, Reaction, Root, UnitOfWork};
use crate::kernel::{ChatId, Component, ErrorCode, Result};
use crate::storage::EventRecord;

/// The reactions of sessions.
pub const REACTIONS: &[Reaction] = &[
    Reaction {
        name: "ventros.sessions_of_closed_chats",
        events: &["chat.closed", "chat.deleted"],
        component: Component::Default,
        run: |work, record, event| Box::pin(follow_chat(work, record, event)),
    },
    Reaction {
        name: "ventros.first_responders",
        events: &["message.created"],
        component: Component::Assignment,
        run: |work, _record, event| Box::pin(follow_message(work, event)),
    },
];

/// The strategy of an assignment to whoever answers first.
const FIRST_RESPONDER: &str = "first_responder";

async fn follow_chat(work: &mut UnitOfWork<'_>, record: &EventRecord, event: &Event) -> Result<()> {
    let reason = match event {
        Event::Chat(ChatEvent::Closed { reason: Some(ChatReason::ContactRemoved), .. }) => EndReason::ContactRemoved,
        Event::Chat(ChatEvent::Closed { reason: Some(ChatReason::ChannelRemoved), .. }) => EndReason::ChannelRemoved,
        _ => EndReason::ChatClosed,
    };
    let chat = ChatId::from_uuid(record.aggregate_id);
    match work.by_key::<Session>(ACTIVE_IN_CHAT, "", &chat.to_string()).await? {
        Some(session) => end(work, session, reason).await,
        None => Ok(()),
    }
}

async fn follow_message(work: &mut UnitOfWork<'_>, event: &Event) -> Result<()> {
    match event {
        Event::Message(MessageEvent::Created(new)) => first_response(work, new).await,
        _ => Ok(()),
    }
}

/// Ends a session for a reason from outside; one that fell silent before is ended by its silence.
async fn end(work: &mut UnitOfWork<'_>, mut session: Root<Session>, reason: EndReason) -> Result<()> {
    let ending = match work.now() > session.deadline() {
        true => Ending::silence(&session),
        false => Ending::decision(&session, reason, work),
    };
    end_session(work, &mut session, ending).await?;
    want_summary(&mut session);
    work.save(session)?;
    Ok(())
}

async fn first_response(work: &mut UnitOfWork<'_>, new: &NewMessage) -> Result<()> {
    let (Some(session_id), Some(agent_id)) = (new.session_id, new.agent_id) else { return Ok(()) };
    if new.direction != Direction::Outbound || !new.source.is_human_response() || new.is_scheduled() {
        return Ok(());
    }
    let Some(mut session) = work.find::<Session>(session_id).await? else { return Ok(()) };
    if !session.is_active() || !session.agent_ids.is_empty() {
        return Ok(());
    }
    let strategy = Some(FIRST_RESPONDER.to_owned());
    let assignment = Assignment { strategy, ..Assignment::of(agent_id, AssignmentSource::System) };
    // An agent of the system answers nobody in person.
    match session.give_to(assignment) {
        Err(error) if error.code() == ErrorCode::AgentCannotAttend => Ok(()),
        Err(error) => Err(error),
        Ok(_) => work.save(session).map(|_| ()),
    }
}
