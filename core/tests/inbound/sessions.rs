//! Where messages fall into sessions, by message time.

use crate::line::*;
use serde_json::json;
use ventros::conversations::session::Session;

#[test]
fn case_16_sessions_are_cut_on_message_time() {
    let line = Line::new();
    line.set("12:00:00");
    line.says("A1", "10:00:00", "1");
    line.says("A2", "10:30:00", "2");
    assert_eq!(line.all::<Session>().len(), 1);
    line.says("A3", "11:00:01", "3");
    let sessions = line.all::<Session>();
    assert_eq!(sessions.len(), 2);
    let first = sessions.iter().find(|session| session.metrics.message_count == 2).unwrap();
    assert_eq!(first.ended_at.unwrap().to_string(), "2025-01-06T11:00:00.000000Z");
    assert_eq!(first.duration_seconds, 1800);
    line.world.assert_log_matches();
}

fn timer_then_message(timer_first: bool) -> Line {
    let line = Line::new();
    line.says("A1", "10:00:00", "1");
    line.set("10:30:01");
    if timer_first {
        line.run();
        assert!(!line.one::<Session>().is_active());
    }
    // Sent at the very deadline.
    line.says("A2", "10:30:00", "2");
    line.run();
    line
}

#[test]
fn case_17_timer_and_message_meet_at_the_deadline() {
    for timer_first in [true, false] {
        let line = timer_then_message(timer_first);
        let session = line.one::<Session>();
        assert!(session.is_active());
        assert_eq!((session.metrics.message_count, session.duration_seconds), (2, 1800));
        line.set("11:00:00");
        line.run();
        assert!(line.one::<Session>().is_active());
        line.set("11:00:01");
        line.run();
        let session = line.one::<Session>();
        assert_eq!(json!(session.ended_at), json!("2025-01-06T11:00:00.000000Z"));
        line.world.assert_log_matches();
    }
}

#[test]
fn case_18_a_message_that_was_under_way_opens_its_session_again() {
    let ended = || {
        let line = Line::new();
        line.says("A1", "10:00:00", "1");
        line.set("10:30:01");
        line.run();
        assert!(!line.one::<Session>().is_active());
        line
    };
    let line = ended();
    line.set("10:40:00");
    line.says("A2", "10:29:00", "2");
    assert!(line.one::<Session>().is_active());
    assert_eq!(line.events().iter().filter(|kind| *kind == "session.reopened").count(), 1);
    line.world.assert_log_matches();
    // Two days later it comes too late for that.
    let line = ended();
    line.world.clock.set("2025-01-08T10:40:00Z");
    line.says("A2", "10:29:00", "2");
    let session = line.one::<Session>();
    assert!(!session.is_active());
    assert_eq!((session.metrics.message_count, session.metrics.late_count), (2, 1));
    line.world.assert_log_matches();
}

#[test]
fn case_19_a_decision_is_a_wall() {
    let line = Line::new();
    line.says("A1", "10:00:00", "1");
    line.set("10:05:00");
    let closed = line.one::<Session>().id;
    line.ok("sessions.end", json!({"id": closed, "reason": "agent_close"}));
    line.set("10:06:00");
    line.says("A2", "10:04:59", "2");
    let session = line.one::<Session>();
    assert!(!session.is_active());
    assert_eq!((session.metrics.message_count, session.metrics.late_count), (2, 1));
    line.says("A3", "10:05:01", "3");
    let sessions = line.all::<Session>();
    assert_eq!(sessions.len(), 2);
    let next = sessions.iter().find(|session| session.id != closed).unwrap();
    assert!(next.is_active() && next.metrics.message_count == 1);
    line.world.assert_log_matches();
}
