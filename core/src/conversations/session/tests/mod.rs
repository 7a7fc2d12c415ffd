//! The acceptance cases of sessions, by their numbers on the page, through commands, timers and the store in memory.

mod course;
mod recut;
mod work;

use super::commands::*;
use super::queries::*;
use super::*;
use crate::conversations::content::Content;
use crate::conversations::message::{
    Direction, Message, MessageEvent, MessageSource, MessageStatus, NewMessage, Priority,
};
use crate::conversations::{Awaiting, SessionMetrics};
use crate::engine::{Command, Project, UnitOfWork};
use crate::kernel::{
    ActorRef, AgentId, ChannelId, ChatId, Component, ContactId, Error, ErrorCode, Id, MessageId, Patch, Permission,
    ProjectId, Result, SessionId, Tag, Timestamp,
};
use crate::storage::{EventQuery, PageRequest, Scope};
use crate::testing::{World, block_on};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use uuid::Uuid;

/// A message as the conversation flow records it: placed, then stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Say {
    at: Timestamp,
    chat: ChatId,
    contact: Option<ContactId>,
    source: MessageSource,
    agent: Option<AgentId>,
    kind: SessionKind,
    timeout: Timeout,
    import: bool,
}

impl Command for Say {
    const NAME: &'static str = "test.say";
    const PERMISSION: Permission = Permission::MessagesSend;
    type Output = Option<SessionId>;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Option<SessionId>> {
        let message_id: MessageId = work.new_id();
        let inbound = self.source == MessageSource::Contact;
        let facts = PlacementFacts {
            chat_id: self.chat,
            channel_id: channel(),
            channel_type: "waha".to_owned(),
            kind: self.kind,
            contact_id: self.contact,
            timestamp: self.at,
            timeout_seconds: self.timeout.seconds,
            timeout_source: self.timeout.source,
            pipeline_id: None,
            origin: if inbound { Origin::Inbound } else { Origin::Outbound },
            direction: if inbound { Direction::Inbound } else { Direction::Outbound },
            source: self.source,
            message_id,
        };
        let placed = place_message(work, &facts).await?;
        let new = self.message(placed.as_ref());
        let event = match (self.import, inbound) {
            (true, _) => MessageEvent::Imported(Box::new(new)),
            (false, true) => MessageEvent::Received(Box::new(new)),
            (false, false) => MessageEvent::Created(Box::new(new)),
        };
        let message = work.create::<Message>(message_id, event)?;
        work.save(message)?;
        Ok(placed.map(|placed| placed.session_id))
    }
}

impl Say {
    fn message(&self, place: Option<&Placed>) -> NewMessage {
        let inbound = self.source == MessageSource::Contact;
        NewMessage {
            channel_id: channel(),
            channel_type: "waha".to_owned(),
            chat_id: self.chat,
            contact_id: self.contact,
            session_id: place.map(|placed| placed.session_id),
            direction: if inbound { Direction::Inbound } else { Direction::Outbound },
            source: self.source,
            agent_id: self.agent,
            sender_external_id: None,
            sender_name: None,
            content: Content::Text { body: "Oi".to_owned() },
            channel_message_id: None,
            client_token: None,
            reply_to_id: None,
            reply_to_channel_message_id: None,
            forward: None,
            mentions: Vec::new(),
            status: if inbound { MessageStatus::Received } else { MessageStatus::Queued },
            timestamp: self.at,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            played_at: None,
            failed_at: None,
            failure: None,
            priority: Priority::Normal,
            scheduled_at: None,
            expires_at: None,
            language: None,
            attribution: None,
            tracking_code: None,
            historical: self.import,
            origin: None,
            metadata: Map::new(),
            placement: place.map(|placed| placed.placement),
            session_metrics: place.and_then(|placed| placed.metrics.clone()),
            unread_after: None,
            import_id: None,
        }
    }
}

/// Several messages in one commit.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct SayAll(Vec<Say>);

impl Command for SayAll {
    const NAME: &'static str = "test.say_all";
    const PERMISSION: Permission = Permission::MessagesSend;
    type Output = ();

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<()> {
        for say in self.0 {
            say.run(work).await?;
        }
        Ok(())
    }
}

const HALF_HOUR: Timeout = Timeout { seconds: 1_800, source: TimeoutSource::Channel };

fn id<I: Id>(number: u128) -> I {
    I::from(Uuid::from_u128(0x7000_8000_0000_0000_0000 + number))
}

fn channel() -> ChannelId {
    id(1)
}

fn agent(number: u128) -> AgentId {
    id(100 + number)
}

/// A moment of Monday, 6 January 2025.
fn at(text: &str) -> Timestamp {
    let seconds = if text.len() == 5 { ":00" } else { "" };
    Timestamp::parse(&format!("2025-01-06T{text}{seconds}Z")).unwrap()
}

struct Scene {
    world: World,
    project: Project,
}

impl Scene {
    fn new() -> Scene {
        let world = World::new();
        let project = world.found(id::<ProjectId>(2));
        Scene { world, project }
    }

    fn clock(&self, text: &str) {
        self.world.clock.set(&at(text).to_string());
    }

    fn message(&self, time: Timestamp, source: MessageSource) -> Say {
        Say {
            at: time,
            chat: id(3),
            contact: Some(id(4)),
            source,
            agent: None,
            kind: SessionKind::Direct,
            timeout: HALF_HOUR,
            import: false,
        }
    }

    #[track_caller]
    fn run<C: Command>(&self, command: C) -> C::Output {
        block_on(self.project.execute(command)).unwrap()
    }

    #[track_caller]
    fn fails<C: Command>(&self, command: C) -> Error {
        block_on(self.project.execute(command)).err().expect("it is refused")
    }

    /// Somebody writes now.
    #[track_caller]
    fn says(&self, time: &str, source: MessageSource) -> Option<SessionId> {
        self.clock(time);
        self.arrives(time, source)
    }

    /// A message of an earlier time is processed now.
    #[track_caller]
    fn arrives(&self, time: &str, source: MessageSource) -> Option<SessionId> {
        self.run(self.message(at(time), source))
    }

    fn pending(&self) {
        block_on(self.world.crm.run_pending()).unwrap();
    }

    /// All sessions, the oldest first.
    fn sessions(&self) -> Vec<Session> {
        let page = PageRequest { limit: Some(100), ..PageRequest::default() };
        let mut sessions = block_on(self.project.query(ListSessions { page })).unwrap().items;
        sessions.reverse();
        sessions
    }

    #[track_caller]
    fn only(&self) -> Session {
        let sessions = self.sessions();
        assert_eq!(sessions.len(), 1, "{sessions:#?}");
        sessions.into_iter().next().unwrap()
    }

    fn events(&self) -> Vec<String> {
        let query = EventQuery { limit: 1_000, ..EventQuery::default() };
        let scope = Scope::Project(self.project.id());
        let events = block_on(self.world.crm.core().storage().events(scope, &query)).unwrap();
        events.into_iter().map(|event| event.event_type).filter(|name| name != "project.created").collect()
    }

    fn count(&self, event_type: &str) -> usize {
        self.events().iter().filter(|event| *event == event_type).count()
    }
}

const CONTACT: MessageSource = MessageSource::Contact;
const MANUAL: MessageSource = MessageSource::Manual;

fn end(id: SessionId, reason: EndReason) -> EndSession {
    EndSession { id, reason, note: None, resolve: false, tags: Vec::new() }
}

fn assign(id: SessionId, agent_id: AgentId) -> AssignSession {
    AssignSession { id, agent_id, source: None, strategy: None, reason: Some("shift".to_owned()) }
}

fn update(id: SessionId) -> UpdateSession {
    UpdateSession {
        id,
        timeout_seconds: None,
        extended_until: Patch::Absent,
        outcome_tags: Patch::Absent,
        custom_fields: Default::default(),
    }
}

fn summary(id: SessionId) -> SetSummary {
    SetSummary {
        id,
        summary: "Wants a visit on Friday.".to_owned(),
        sentiment: Sentiment::Positive,
        sentiment_score: Some(0.9),
        topics: vec!["visit".to_owned()],
        next_steps: Vec::new(),
        key_entities: Map::new(),
        provider: None,
        model: None,
    }
}
