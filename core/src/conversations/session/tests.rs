//! The acceptance cases of sessions, through commands, timers and the store in memory.

use super::commands::*;
use super::queries::*;
use super::*;
use crate::conversations::Awaiting;
use crate::conversations::content::Content;
use crate::conversations::message::{
    Direction, Message, MessageEvent, MessageSource, MessageStatus, NewMessage, Priority,
};
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
            opens_session: self.source.opens_session(),
            message_id,
        };
        let placed = place_message(work, &facts).await?;
        let new = NewMessage {
            channel_id: channel(),
            channel_type: "waha".to_owned(),
            chat_id: self.chat,
            contact_id: self.contact,
            session_id: placed.map(|placed| placed.session_id),
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
            placement: placed.map(|placed| placed.placement),
            unread_after: None,
            import_id: None,
        };
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

#[test]
fn case_01_the_first_message_opens_a_session() {
    let scene = Scene::new();
    scene.says("10:00", CONTACT);
    let session = scene.only();
    assert_eq!((session.started_at, session.origin), (at("10:00"), Origin::Inbound));
    assert_eq!((session.metrics.message_count, session.metrics.awaiting), (1, Awaiting::Agent));
    assert_eq!(scene.events(), ["session.started", "message.received"]);
    scene.world.assert_log_matches();
}

#[test]
fn case_02_a_gap_of_the_timeout_belongs_together_a_longer_one_separates() {
    let scene = Scene::new();
    scene.says("10:00", CONTACT);
    scene.says("10:30", CONTACT);
    assert_eq!(scene.only().metrics.message_count, 2);
    scene.says("11:00:01", CONTACT);
    let [first, second] = &scene.sessions()[..] else { panic!("two sessions") };
    assert_eq!((first.status, first.ended_at), (SessionStatus::Ended, Some(at("11:00"))));
    assert_eq!((first.duration_seconds, first.end_reason), (1_800, Some(EndReason::InactivityTimeout)));
    assert_eq!((second.started_at, second.status), (at("11:00:01"), SessionStatus::Active));
    scene.world.assert_log_matches();
}

#[test]
fn case_03_the_timer_ends_after_the_deadline_and_not_at_it() {
    let scene = Scene::new();
    scene.says("10:00", CONTACT);
    scene.clock("10:30");
    scene.pending();
    assert!(scene.only().is_active());
    scene.clock("10:30:00.001");
    scene.pending();
    let session = scene.only();
    assert_eq!((session.status, session.ended_at), (SessionStatus::Ended, Some(at("10:30"))));
    scene.world.assert_log_matches();
}

#[test]
fn the_timer_is_lazy_and_finds_the_new_deadline() {
    let scene = Scene::new();
    scene.says("10:00", CONTACT);
    scene.says("10:20", CONTACT);
    scene.clock("10:31");
    scene.pending();
    assert!(scene.only().is_active());
    assert_eq!(block_on(scene.world.crm.next_due()).unwrap(), Some(at("10:50").plus_micros(1)));
    scene.clock("10:51");
    scene.pending();
    assert_eq!(scene.only().ended_at, Some(at("10:50")));
}

#[test]
fn case_04_a_message_that_was_under_way_reopens() {
    let scene = Scene::new();
    scene.says("10:00", CONTACT);
    scene.clock("10:40");
    scene.pending();
    assert_eq!(scene.only().ended_at, Some(at("10:30")));
    scene.arrives("10:29", CONTACT);
    let session = scene.only();
    assert_eq!((session.status, session.ended_at, session.end_reason), (SessionStatus::Active, None, None));
    assert_eq!(session.metrics.message_count, 2);
    assert_eq!(scene.count("session.reopened"), 1);
    scene.clock("11:00");
    scene.pending();
    assert_eq!(scene.only().ended_at, Some(at("10:59")));
    scene.world.assert_log_matches();
}

#[test]
fn case_05_a_message_of_two_days_ago_moves_the_silent_end() {
    let scene = Scene::new();
    scene.says("09:50", CONTACT);
    scene.clock("10:21");
    scene.pending();
    scene.world.clock.advance_seconds(2 * 86_400);
    scene.arrives("10:10", CONTACT);
    let session = scene.only();
    assert_eq!((session.last_activity_at, session.ended_at), (at("10:10"), Some(at("10:40"))));
    assert_eq!((session.status, session.metrics.late_count), (SessionStatus::Ended, 1));
    assert_eq!(block_on(scene.world.crm.next_due()).unwrap(), None);
    scene.world.assert_log_matches();
}

#[test]
fn case_06_after_an_explicit_end_it_gets_a_session_of_its_own() {
    let scene = Scene::new();
    let first = scene.says("09:50", CONTACT).unwrap();
    scene.clock("10:05");
    scene.run(end(first, EndReason::AgentClose));
    scene.world.clock.advance_seconds(2 * 86_400);
    scene.arrives("10:10", CONTACT);
    let second = &scene.sessions()[1];
    assert_eq!((second.started_at, second.ended_at), (at("10:10"), Some(at("10:40"))));
    assert_eq!((second.status, second.metrics.message_count), (SessionStatus::Ended, 1));
    scene.world.assert_log_matches();
}

#[test]
fn case_07_a_message_just_before_the_session_moves_its_start() {
    let scene = Scene::new();
    scene.says("10:00", CONTACT);
    scene.clock("10:01");
    scene.arrives("09:45", CONTACT);
    let session = scene.only();
    assert_eq!((session.started_at, session.metrics.message_count), (at("09:45"), 2));
    assert_eq!((session.metrics.late_count, session.duration_seconds), (1, 900));
    assert_eq!(session.metrics.first_contact_message_at, Some(at("09:45")));
}

#[test]
fn case_09_the_first_level_that_says_so_decides_the_timeout() {
    let resolve = |pipeline, channel, project| {
        let timeout = TimeoutSettings { pipeline, channel, project, import: None }.resolve();
        (timeout.seconds / 60, timeout.source)
    };
    assert_eq!(resolve(Some(60), Some(15), Some(45)), (60, TimeoutSource::Pipeline));
    assert_eq!(resolve(None, Some(15), Some(45)), (15, TimeoutSource::Channel));
    assert_eq!(resolve(None, Some(0), Some(45)), (45, TimeoutSource::Project));
    assert_eq!(resolve(None, None, None), (30, TimeoutSource::SystemDefault));
}

#[test]
fn case_10_a_running_session_keeps_its_timeout() {
    let scene = Scene::new();
    scene.says("10:00", CONTACT);
    let five = Timeout { seconds: 300, source: TimeoutSource::Channel };
    scene.clock("10:20");
    scene.run(Say { timeout: five, ..scene.message(at("10:20"), CONTACT) });
    assert_eq!(scene.only().timeout_seconds, 1_800);
}

#[test]
fn case_11_first_response_and_first_human_response() {
    let scene = Scene::new();
    scene.says("10:00", CONTACT);
    scene.says("10:00:02", MessageSource::Bot);
    scene.says("10:04", MANUAL);
    let metrics = scene.only().metrics;
    assert_eq!(metrics.agent_response_time_seconds, Some(2));
    assert_eq!(metrics.human_response_time_seconds, Some(240));
    assert_eq!((metrics.response_count, metrics.response_time_max_seconds), (1, 2));
    assert_eq!(metrics.awaiting, Awaiting::Contact);
}

#[test]
fn case_12_when_the_agent_writes_first_the_contact_is_waited_for() {
    let scene = Scene::new();
    scene.says("09:00", MANUAL);
    scene.says("09:20", CONTACT);
    let session = scene.only();
    assert_eq!(session.origin, Origin::Outbound);
    assert_eq!(session.metrics.contact_wait_time_seconds, Some(1_200));
    assert_eq!(session.metrics.agent_response_time_seconds, None);
}

#[test]
fn case_14_a_broadcast_opens_no_session_and_answers_nobody() {
    let scene = Scene::new();
    assert_eq!(scene.says("09:50", MessageSource::Broadcast), None);
    assert!(scene.sessions().is_empty());
    scene.says("10:00", CONTACT);
    scene.says("10:10", MessageSource::Broadcast);
    let session = scene.only();
    assert_eq!((session.metrics.message_count, session.metrics.messages_from_agent), (2, 1));
    assert_eq!(session.last_activity_at, at("10:10"));
    assert_eq!((session.metrics.first_agent_response_at, session.metrics.awaiting), (None, Awaiting::Agent));
    scene.clock("10:41");
    scene.pending();
    assert_eq!(scene.arrives("10:39", MessageSource::Broadcast), Some(session.id));
    let ended = scene.only();
    assert_eq!((ended.metrics.message_count, ended.last_activity_at), (3, at("10:10")));
    assert_eq!((ended.status, ended.ended_at), (SessionStatus::Ended, Some(at("10:40"))));
}

#[test]
fn case_15_an_earlier_agent_may_return() {
    let scene = Scene::new();
    let session = scene.says("10:00", CONTACT).unwrap();
    let (a, b) = (agent(1), agent(2));
    for agent in [a, a, b, a] {
        scene.run(assign(session, agent));
    }
    let session = scene.only();
    assert_eq!(session.agent_ids, [a, b]);
    assert_eq!((session.current_agent_id, session.agent_transfers), (Some(a), 2));
    assert_eq!(scene.count("session.agent_assigned"), 3);
    let unsaid = AssignSession { reason: None, ..assign(session.id, b) };
    let error = scene.fails(unsaid);
    assert_eq!((error.code(), error.field()), (ErrorCode::FieldRequired, Some("reason")));
    let reserved = Component::Broadcast.reserved_id().unwrap();
    let error = scene.fails(assign(session.id, AgentId::from(reserved)));
    assert_eq!(error.code(), ErrorCode::AgentCannotAttend);
    scene.run(UnassignSession { id: session.id, reason: None });
    assert_eq!(scene.only().current_agent_id, None);
    scene.world.assert_log_matches();
}

#[test]
fn case_16_an_ended_session_is_not_assigned() {
    let scene = Scene::new();
    let session = scene.says("10:00", CONTACT).unwrap();
    scene.run(end(session, EndReason::ManualClose));
    assert_eq!(scene.fails(assign(session, agent(1))).code(), ErrorCode::SessionNotActive);
    let viewer = scene.project.acting_as(ActorRef::system(Component::Webhook));
    let refused = block_on(viewer.execute(assign(session, agent(1)))).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::PermissionDenied);
}

#[test]
fn case_17_ending_and_resolving_is_one_step() {
    let scene = Scene::new();
    let session = scene.says("10:00", CONTACT).unwrap();
    scene.clock("10:05");
    let tags = vec![Tag::parse("Sold").unwrap()];
    scene.run(EndSession { resolve: true, tags, ..end(session, EndReason::AgentClose) });
    let ended = scene.only();
    assert_eq!((ended.status, ended.resolved, ended.ended_at), (SessionStatus::Ended, true, Some(at("10:05"))));
    assert!(ended.outcome_tags.contains("sold"));
    assert_eq!(scene.events()[2..], ["session.ended", "session.resolved", "session.outcome_tagged"]);
    assert_eq!(scene.fails(end(session, EndReason::AgentClose)).code(), ErrorCode::SessionNotActive);
    let silent = scene.fails(end(session, EndReason::InactivityTimeout));
    assert_eq!((silent.code(), silent.field()), (ErrorCode::EnumUnknown, Some("reason")));
    scene.run(UnresolveSession { id: session });
    assert!(!scene.only().resolved);
    scene.world.assert_log_matches();
}

#[test]
fn case_18_an_active_session_is_not_resolved() {
    let scene = Scene::new();
    let session = scene.says("10:00", CONTACT).unwrap();
    assert_eq!(scene.fails(ResolveSession { id: session }).code(), ErrorCode::SessionActive);
}

#[test]
fn case_19_abandoned_when_the_contact_stopped_answering() {
    let scene = Scene::new();
    for minute in ["10:00", "10:02", "10:04"] {
        scene.says(minute, CONTACT);
        scene.says(&format!("{minute}:30"), MANUAL);
    }
    scene.clock("12:00");
    scene.pending();
    let session = scene.only();
    assert_eq!((session.abandoned, session.abandoned_at), (true, Some(at("10:34:30"))));
    let query = EventQuery { limit: 10, types: vec!["session.abandoned".to_owned()], ..EventQuery::default() };
    let scope = Scope::Project(scene.project.id());
    let events = block_on(scene.world.crm.core().storage().events(scope, &query)).unwrap();
    let data: serde_json::Value = serde_json::from_str(events[0].data.get()).unwrap();
    assert_eq!((&data["conversation_stage"], &data["minutes_since_last_response"]), (&json!("mid"), &json!(30)));

    let waiting = Scene::new();
    waiting.says("10:00", MANUAL);
    waiting.says("10:01", CONTACT);
    waiting.clock("12:00");
    waiting.pending();
    assert!(!waiting.only().abandoned);
}

#[test]
fn case_20_three_messages_are_worth_a_summary() {
    let scene = Scene::new();
    scene.says("10:00", CONTACT);
    scene.says("10:01", CONTACT);
    scene.clock("11:00");
    scene.pending();
    assert_eq!(scene.count("session.summary_requested"), 0);
    let short = scene.only().id;
    assert_eq!(scene.fails(RequestSummary { id: short }).code(), ErrorCode::SummaryNotApplicable);
    for minute in ["12:00", "12:01", "12:02"] {
        scene.says(minute, CONTACT);
    }
    scene.clock("13:00");
    scene.pending();
    assert_eq!(scene.count("session.summary_requested"), 1);
}

#[test]
fn case_21_a_summary_is_checked_and_found() {
    let scene = Scene::new();
    let session = scene.says("10:00", CONTACT).unwrap();
    let error = scene.fails(SetSummary { sentiment_score: Some(1.2), ..summary(session) });
    assert_eq!((error.code(), error.field()), (ErrorCode::SentimentScoreOutOfRange, Some("sentiment_score")));
    scene.run(summary(session));
    let found = block_on(scene.project.query(SearchSessions { text: "friday".to_owned(), limit: None })).unwrap();
    assert_eq!(found[0].session.id, session);
    scene.world.assert_log_matches();
}

#[test]
fn case_22_timeouts_and_extensions_have_bounds() {
    let scene = Scene::new();
    let session = scene.says("10:00", CONTACT).unwrap();
    let short = UpdateSession { timeout_seconds: Some(59), ..update(session) };
    assert_eq!(scene.fails(short).code(), ErrorCode::TimeoutOutOfRange);
    let far = UpdateSession { extended_until: at("10:00").plus_seconds(8 * 86_400).into(), ..update(session) };
    assert_eq!(scene.fails(far).code(), ErrorCode::ExtensionTooLong);
    let past = UpdateSession { extended_until: at("10:00").into(), ..update(session) };
    assert_eq!(scene.fails(past).code(), ErrorCode::ExtensionInPast);
}

#[test]
fn an_extension_keeps_a_session_open_and_a_shorter_timeout_ends_it_sooner() {
    let scene = Scene::new();
    let session = scene.says("10:00", CONTACT).unwrap();
    scene.run(UpdateSession { extended_until: at("12:00").into(), ..update(session) });
    scene.clock("11:59");
    scene.pending();
    assert!(scene.only().is_active());
    scene.run(UpdateSession { extended_until: Patch::Null, timeout_seconds: Some(60), ..update(session) });
    scene.pending();
    assert_eq!(scene.only().ended_at, Some(at("10:01")));
    scene.world.assert_log_matches();
}

#[test]
fn case_23_a_custom_field_keeps_its_type() {
    let scene = Scene::new();
    let session = scene.says("10:00", CONTACT).unwrap();
    let tier = |value: serde_json::Value| UpdateSession {
        custom_fields: [("tier".to_owned(), value.into())].into(),
        ..update(session)
    };
    scene.run(tier(json!("gold")));
    let error = scene.fails(tier(json!(7)));
    assert_eq!((error.code(), error.field()), (ErrorCode::CustomFieldTypeMismatch, Some("custom_fields.tier")));
    scene.run(tier(json!("gold")));
    scene.run(tier(json!(null)));
    assert!(scene.only().custom_fields.is_empty());
    assert_eq!((scene.count("session.custom_field_set"), scene.count("session.custom_field_removed")), (1, 1));
    scene.world.assert_log_matches();
}

#[test]
fn case_24_only_the_newest_session_comes_back() {
    let scene = Scene::new();
    let reopen = |id| ReopenSession { id, reason: "called back".to_owned() };
    let first = scene.says("10:00", CONTACT).unwrap();
    assert_eq!(scene.fails(reopen(first)).code(), ErrorCode::SessionActive);
    scene.run(end(first, EndReason::AgentClose));
    let second = scene.says("10:05", CONTACT).unwrap();
    assert_eq!(scene.fails(reopen(first)).code(), ErrorCode::NewerSessionExists);
    scene.run(end(second, EndReason::AgentClose));
    scene.clock("15:00");
    scene.run(reopen(second));
    let session = &scene.sessions()[1];
    assert_eq!((session.status, session.deadline()), (SessionStatus::Active, at("15:30")));
    scene.clock("15:31");
    scene.pending();
    assert_eq!(scene.sessions()[1].ended_at, Some(at("15:30")));
    scene.world.assert_log_matches();
}

#[test]
fn case_25_a_group_has_one_session_for_all_senders() {
    let scene = Scene::new();
    scene.clock("10:00");
    for (minute, contact) in [("10:00", 4), ("10:01", 5), ("10:02", 6)] {
        let message = scene.message(at(minute), CONTACT);
        scene.run(Say { kind: SessionKind::Group, contact: Some(id(contact)), ..message });
    }
    let session = scene.only();
    assert_eq!((session.contact_id, session.metrics.messages_from_contact), (None, 3));
}

#[test]
fn a_direct_session_needs_a_contact() {
    let scene = Scene::new();
    let nobody = Say { contact: None, ..scene.message(at("09:00"), CONTACT) };
    assert_eq!(scene.fails(nobody).code(), ErrorCode::SessionContactRequired);
}

#[test]
fn a_contact_has_one_active_session_per_channel() {
    let scene = Scene::new();
    let first = scene.says("10:00", CONTACT).unwrap();
    scene.clock("10:05");
    let elsewhere = scene.run(Say { chat: id(33), ..scene.message(at("10:05"), CONTACT) }).unwrap();
    let sessions = scene.sessions();
    assert_eq!((sessions[0].id, sessions[0].end_reason), (first, Some(EndReason::ChatClosed)));
    assert_eq!((sessions[1].id, sessions[1].status), (elsewhere, SessionStatus::Active));
}

#[test]
fn the_first_person_who_answers_gets_the_session() {
    let scene = Scene::new();
    scene.says("10:00", CONTACT);
    scene.says("10:01", MessageSource::Bot);
    scene.clock("10:02");
    for number in [1, 2] {
        scene.run(Say { agent: Some(agent(number)), ..scene.message(at("10:02"), MANUAL) });
    }
    scene.pending();
    let session = scene.only();
    assert_eq!((session.current_agent_id, session.agent_ids.len()), (Some(agent(1)), 1));
    scene.world.assert_log_matches();
}

#[test]
fn the_systems_own_agents_attend_nobody() {
    let scene = Scene::new();
    let session = scene.says("10:00", CONTACT).unwrap();
    let nobody = crate::conversations::inbound::system_agent(scene.project.id(), MANUAL);
    scene.run(Say { agent: Some(nobody), ..scene.message(at("10:00"), MANUAL) });
    scene.pending();
    assert_eq!(scene.only().current_agent_id, None);
    assert_eq!(scene.fails(assign(session, nobody)).code(), ErrorCode::AgentCannotAttend);
}

#[test]
fn escalation_and_conversion() {
    let scene = Scene::new();
    let id = scene.says("10:00", CONTACT).unwrap();
    let escalate =
        |level| EscalateSession { id, reason: "angry".to_owned(), level: Some(level), to_agent_id: Some(agent(9)) };
    assert_eq!(scene.fails(escalate(6)).code(), ErrorCode::EscalationLevelInvalid);
    let silent = EscalateSession { reason: " ".to_owned(), ..escalate(2) };
    assert_eq!(scene.fails(silent).code(), ErrorCode::ReasonRequired);
    scene.run(escalate(2));
    scene.run(escalate(2));
    assert_eq!((scene.count("session.escalated"), scene.only().current_agent_id), (1, Some(agent(9))));
    scene.run(DeescalateSession { id, reason: None });
    let again = scene.fails(DeescalateSession { id, reason: None });
    assert_eq!(again.code(), ErrorCode::SessionNotEscalated);
    scene.run(MarkConverted { id, value: None, note: Some("signed".to_owned()) });
    assert!(scene.only().converted);
    scene.world.assert_log_matches();
}

#[test]
fn outcome_tags_have_a_limit() {
    let scene = Scene::new();
    let id = scene.says("10:00", CONTACT).unwrap();
    let tags: Vec<Tag> = (0..21).map(|n| Tag::parse(&format!("t{n}")).unwrap()).collect();
    let error = scene.fails(UpdateSession { outcome_tags: tags.into(), ..update(id) });
    assert_eq!((error.code(), error.field()), (ErrorCode::OutcomeTagLimit, Some("outcome_tags")));
}

#[test]
fn the_queue_shows_who_waits_longest() {
    let scene = Scene::new();
    scene.clock("10:00");
    for (minute, number) in [("10:00", 10), ("09:50", 11)] {
        let message = scene.message(at(minute), CONTACT);
        scene.run(Say { chat: id(number), contact: Some(id(number)), ..message });
    }
    scene.clock("10:10");
    let queue = block_on(scene.project.query(SessionQueue::default())).unwrap();
    let waits: Vec<u32> = queue.iter().map(|row| row.waiting_seconds).collect();
    assert_eq!(waits, [1_200, 600]);
    let long = SessionQueue { min_waiting_seconds: Some(1_000), ..SessionQueue::default() };
    assert_eq!(block_on(scene.project.query(long)).unwrap().len(), 1);
    let stats = block_on(scene.project.query(SessionStats {})).unwrap();
    assert_eq!((stats.active, stats.ended, stats.total), (2, 0, 2));
}

#[test]
fn an_end_tells_what_happened() {
    let scene = Scene::new();
    let id = scene.says("10:00", CONTACT).unwrap();
    scene.says("10:01", MANUAL);
    scene.run(end(id, EndReason::AgentClose));
    let query = EventQuery { limit: 10, types: vec!["session.ended".to_owned()], ..EventQuery::default() };
    let scope = Scope::Project(scene.project.id());
    let events = block_on(scene.world.crm.core().storage().events(scope, &query)).unwrap();
    let data: serde_json::Value = serde_json::from_str(events[0].data.get()).unwrap();
    assert_eq!(data["message_ids"].as_array().unwrap().len(), 2);
    assert_eq!(data["events_summary"], json!({"message.created": 1, "message.received": 1, "session.started": 1}));
    assert_eq!(data["first_message_id"], data["message_ids"][0]);
}

#[test]
fn in_message_order_batches_and_delays_change_nothing() {
    let times = ["10:00", "10:30", "11:00:01", "11:10", "13:00", "13:29", "14:00"];
    let cut = |scene: &Scene| -> Vec<_> {
        let line = |session: Session| (session.started_at, session.last_activity_at, session.ended_at);
        scene.sessions().into_iter().map(line).collect()
    };
    let live = Scene::new();
    for time in times {
        live.says(time, CONTACT);
    }
    let expected = {
        live.clock("20:00");
        live.pending();
        cut(&live)
    };
    assert_eq!(expected.len(), 4);

    let late = Scene::new();
    late.clock("20:00");
    for time in times {
        late.arrives(time, CONTACT);
    }
    assert_eq!(cut(&late), expected);

    let batch = Scene::new();
    batch.clock("20:00");
    let all = times.iter().map(|time| batch.message(at(time), CONTACT)).collect();
    batch.run(SayAll(all));
    assert_eq!(cut(&batch), expected);
    assert_eq!(batch.sessions().iter().map(|session| session.metrics.message_count).sum::<u32>(), 7);
    batch.world.assert_log_matches();
}
