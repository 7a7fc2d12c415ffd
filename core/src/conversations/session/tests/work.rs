//! What people do with sessions.

use super::*;

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
