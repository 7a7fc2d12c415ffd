//! One session absorbs another: the step of merging contacts, and of merging chats.

use super::extent::{Extent, Line};
use super::{Assignment, AssignmentSource, Session, SessionStatus};
use crate::conversations::message::{Message, counted_messages};
use crate::engine::UnitOfWork;
use crate::kernel::{MessageId, Result, SessionId};

/// Moves all messages of `from` into `into`, which keeps its own course: `from` ends as merged, and is found no more. An
/// active session that nobody attends gets the agent of the other.
///
/// Both belong to one chat, or to chats that are being merged. A session that was merged before stays as it is.
///
/// # Errors
/// `session_not_found`.
pub async fn merge_sessions(work: &mut UnitOfWork<'_>, from: SessionId, into: SessionId) -> Result<()> {
    let Some(mut source) = work.find::<Session>(from).await? else { return Ok(()) };
    if source.status == SessionStatus::Merged || from == into {
        return Ok(());
    }
    let mut target = work.load::<Session>(into).await?;
    let moved = lines_of(work, from).await?;
    let mut lines = lines_of(work, into).await?;
    lines.extend(&moved);
    lines.sort_by_key(|line| (line.at, line.id));
    let extent = Extent {
        started_at: target.started_at.min(source.started_at),
        last_activity_at: target.last_activity_at.max(source.last_activity_at),
        ended_at: target.ended_at.max(source.ended_at.filter(|_| !target.is_active())),
    };
    let ids: Vec<MessageId> = moved.iter().map(|line| line.id).collect();
    source.merge_into(into, ids.clone());
    target.recut(&lines, extent, (ids, Vec::new()), None);
    if let (Some(agent), None, true) = (source.current_agent_id, target.current_agent_id, target.is_active()) {
        target.give_to(Assignment::of(agent, AssignmentSource::System))?;
    }
    work.save(source)?;
    work.save(target)?;
    Ok(())
}

async fn lines_of(work: &mut UnitOfWork<'_>, session: SessionId) -> Result<Vec<Line>> {
    let ids: Vec<MessageId> = counted_messages(work, session).await?.into_keys().collect();
    work.prefetch::<Message>(&ids).await?;
    let mut lines = Vec::with_capacity(ids.len());
    for id in ids {
        let message = work.find::<Message>(id).await?;
        lines.extend(message.filter(|message| message.session_id == Some(session)).map(|message| Line::of(&message)));
    }
    Ok(lines)
}
