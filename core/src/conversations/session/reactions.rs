//! What sessions do about events of others: they end with their chat and their contact, and the first person who answers
//! in a session that nobody has gets it.

use super::ending::{Ending, end_session, want_summary};
use super::state::ACTIVE_IN_CHAT;
use super::{Assignment, AssignmentSource, EndReason, Session, SessionStatus};
use crate::contacts::contact::ContactEvent;
use crate::conversations::chat::ChatEvent;
use crate::conversations::message::{Direction, MessageEvent, NewMessage};
use crate::engine::{Event, Reaction, Root, UnitOfWork};
use crate::kernel::{ChatId, Component, ContactId, Result};
use crate::storage::{EventRecord, FieldKind, Filter, Find, id_value};

/// How sessions follow the rest.
pub const REACTION: Reaction = Reaction {
    name: "ventros.sessions",
    events: &["chat.closed", "chat.deleted", "contact.deleted", "message.created"],
    component: Component::Assignment,
    run: |work, record, event| Box::pin(follow(work, record, event)),
};

/// The strategy of an assignment to whoever answers first.
const FIRST_RESPONDER: &str = "first_responder";
/// A contact has one active session per channel; nobody has more channels.
const MAX_OF_CONTACT: usize = 100;

async fn follow(work: &mut UnitOfWork<'_>, record: &EventRecord, event: &Event) -> Result<()> {
    match event {
        Event::Chat(ChatEvent::Closed { .. } | ChatEvent::Deleted { .. }) => {
            chat_closed(work, ChatId::from_uuid(record.aggregate_id)).await
        }
        Event::Contact(ContactEvent::Deleted { .. }) => {
            contact_removed(work, ContactId::from_uuid(record.aggregate_id)).await
        }
        Event::Message(MessageEvent::Created(new)) => first_response(work, new).await,
        _ => Ok(()),
    }
}

async fn chat_closed(work: &mut UnitOfWork<'_>, chat: ChatId) -> Result<()> {
    match work.by_key::<Session>(ACTIVE_IN_CHAT, "", &chat.to_string()).await? {
        Some(session) => end(work, session, EndReason::ChatClosed).await,
        None => Ok(()),
    }
}

async fn contact_removed(work: &mut UnitOfWork<'_>, contact: ContactId) -> Result<()> {
    let find = Find {
        filter: Filter::All(vec![
            Filter::eq("contact_id", FieldKind::Id, id_value(contact)),
            Filter::eq("status", FieldKind::Enum, SessionStatus::Active.as_str()),
        ]),
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: MAX_OF_CONTACT,
        include_hidden: false,
        with_total: false,
    };
    let sessions: Vec<Session> = work.reader().find_states(&find).await?;
    for session in sessions {
        if let Some(session) = work.find::<Session>(session.id).await? {
            end(work, session, EndReason::ContactRemoved).await?;
        }
    }
    Ok(())
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
        Err(error) if error.code() == crate::kernel::ErrorCode::AgentCannotAttend => Ok(()),
        Err(error) => Err(error),
        Ok(_) => work.save(session).map(|_| ()),
    }
}
