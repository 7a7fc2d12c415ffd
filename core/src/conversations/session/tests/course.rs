//! The course of a session: cut on message time, counted, ended by silence.

use super::*;

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

#[test]
fn a_late_message_gives_the_counters_that_its_order_would_have() {
    let talk = [("10:00", CONTACT), ("10:02", MANUAL), ("10:05", CONTACT), ("10:06", CONTACT), ("10:09", MANUAL)];
    let metrics = |order: &[usize]| {
        let scene = Scene::new();
        scene.clock("10:10");
        for place in order {
            scene.arrives(talk[*place].0, talk[*place].1);
        }
        scene.world.assert_log_matches();
        SessionMetrics { late_count: 0, ..scene.only().metrics }
    };
    let expected = metrics(&[0, 1, 2, 3, 4]);
    assert_eq!((expected.response_count, expected.response_time_total_seconds), (2, 360));
    for order in [[4, 3, 2, 1, 0], [2, 4, 0, 1, 3], [0, 2, 3, 4, 1], [1, 0, 4, 2, 3]] {
        assert_eq!(metrics(&order), expected, "{order:?}");
    }
}
