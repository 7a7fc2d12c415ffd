//! Which sessions, and messages of sessions, a person sees: all of them, or those it attends, as its project says.

use super::message::Message;
use super::session::Session;
use crate::engine::Reader;
use crate::kernel::{Actor, AgentId, Kind, Permission, Result, SessionId};
use crate::storage::{FieldKind, Filter, Leaf, Test, id_value};
use crate::tenancy::access;
use crate::tenancy::project::SessionVisibility;

/// What the actor of a call sees. Contacts and chats are visible to everybody who may look at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Everything,
    /// Sessions that the agent has or had, and its own messages.
    Attended {
        agent: AgentId,
        /// Sessions that nobody has, too.
        unassigned: bool,
    },
}

/// What the actor of the call sees: a user without `sessions.view_all` as much as the project's `session_visibility` says.
///
/// Agents are not part of this build, so a user attends under its own id.
pub async fn reach(read: &Reader<'_>) -> Result<Reach> {
    let Actor::User(user) = read.context().actor.actor else { return Ok(Reach::Everything) };
    if access::project_rights(read).await?.permissions.contains(Permission::SessionsViewAll) {
        return Ok(Reach::Everything);
    }
    let agent = AgentId::from_uuid(user.uuid());
    Ok(match access::project(read).await?.session_visibility {
        SessionVisibility::All => Reach::Everything,
        SessionVisibility::UnassignedAndOwn => Reach::Attended { agent, unassigned: true },
        SessionVisibility::Own => Reach::Attended { agent, unassigned: false },
    })
}

impl Reach {
    /// Whether a session is among those that are seen.
    pub fn sees(self, session: &Session) -> bool {
        match self {
            Reach::Everything => true,
            Reach::Attended { agent, unassigned } => {
                session.agent_ids.contains(&agent) || (unassigned && session.current_agent_id.is_none())
            }
        }
    }

    /// The condition on sessions.
    pub fn sessions(self) -> Filter {
        let Reach::Attended { agent, unassigned } = self else { return Filter::everything() };
        let attended = Filter::Leaf(Leaf {
            field: "agent_ids".to_owned(),
            kind: FieldKind::Set,
            is_attribute: true,
            test: Test::In(vec![agent.to_string().into()]),
        });
        match unassigned {
            true => Filter::Any(vec![attended, missing("current_agent_id")]),
            false => attended,
        }
    }

    /// The condition on messages. One outside of any session belongs to nobody but its author.
    pub fn messages(self) -> Filter {
        let Reach::Attended { agent, unassigned } = self else { return Filter::everything() };
        let mut ways = vec![
            Filter::among("session_id", Kind::Session, self.sessions()),
            Filter::eq("agent_id", FieldKind::Id, id_value(agent)),
        ];
        if unassigned {
            ways.push(missing("session_id"));
        }
        Filter::Any(ways)
    }

    /// Those of some messages that are seen, in their order.
    pub async fn choose(self, read: &Reader<'_>, messages: Vec<Message>) -> Result<Vec<Message>> {
        let Reach::Attended { agent, unassigned } = self else { return Ok(messages) };
        let mut ids: Vec<SessionId> = messages.iter().filter_map(|message| message.session_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let sessions = read.get_many::<Session>(&ids).await?;
        let is_seen = |message: &Message| {
            let of_session = match message.session_id {
                Some(id) => sessions.iter().any(|session| session.id == id && self.sees(session)),
                None => unassigned,
            };
            of_session || message.agent_id == Some(agent)
        };
        Ok(messages.into_iter().filter(is_seen).collect())
    }
}

fn missing(field: &str) -> Filter {
    Filter::Leaf(Leaf { field: field.to_owned(), kind: FieldKind::Id, is_attribute: false, test: Test::Missing })
}
