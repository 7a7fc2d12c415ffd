//! The eight situations, one by one, and the laws that hold whatever comes.

use super::placement::*;
use crate::kernel::{SessionId, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

const T: u32 = 30 * 60;

/// A moment of 6 January 2025: `"10:30"`, `"10:30:01"`.
fn at(text: &str) -> Timestamp {
    let seconds = if text.len() == 5 { ":00" } else { "" };
    Timestamp::parse(&format!("2025-01-06T{text}{seconds}Z")).unwrap()
}

fn id(number: u128) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(number))
}

fn open(number: u128, start: &str, last: &str) -> SessionSpan {
    let last_activity_at = at(last);
    let deadline = last_activity_at.plus_seconds(i64::from(T));
    SessionSpan {
        id: id(number),
        started_at: at(start),
        last_activity_at,
        timeout_seconds: T,
        end: SpanEnd::Open { deadline },
    }
}

fn silent(number: u128, start: &str, last: &str, end: &str) -> SessionSpan {
    SessionSpan { end: SpanEnd::Silent { ended_at: at(end) }, ..open(number, start, last) }
}

fn wall(number: u128, start: &str, last: &str, end: &str) -> SessionSpan {
    SessionSpan { end: SpanEnd::Wall { ended_at: at(end) }, ..open(number, start, last) }
}

#[track_caller]
fn placed(ts: &str, now: &str, around: &[SessionSpan]) -> Placement {
    place(at(ts), at(now), T, around)
}

const fn late(id: SessionId) -> Placement {
    Placement::Late { id, started_at: None, ended_at: None }
}

#[test]
fn situation_1_inside_the_active_session() {
    let around = [open(1, "10:00", "10:00")];
    assert_eq!(placed("10:00", "10:00", &around), Placement::Record { id: id(1) });
    assert_eq!(placed("10:30", "10:30", &around), Placement::Record { id: id(1) });
    // The session stays the one, however late the message is processed: its timer was not there to end it.
    assert_eq!(placed("10:10", "15:00", &around), Placement::Record { id: id(1) });
}

#[test]
fn situation_2_after_the_deadline_of_the_active_session() {
    let around = [open(1, "10:00", "10:30")];
    let expected = Placement::EndAndStart { end: id(1), ended_at: at("11:00") };
    assert_eq!(placed("11:00:01", "11:00:01", &around), expected);
}

#[test]
fn situation_3_inside_an_ended_one_before_the_active_session() {
    let around = [silent(1, "09:00", "09:10", "09:40"), open(2, "11:00", "11:00")];
    assert_eq!(placed("09:05", "11:05", &around), late(id(1)));
    let moved = Placement::Late { id: id(1), started_at: None, ended_at: Some(at("10:05")) };
    assert_eq!(placed("09:35", "11:05", &around), moved);
}

#[test]
fn situation_4_shortly_before_the_active_session() {
    let around = [silent(1, "08:00", "08:10", "08:40"), open(2, "10:00", "10:00")];
    let expected = Placement::RecordMovingStart { id: id(2), started_at: at("09:45") };
    assert_eq!(placed("09:45", "10:01", &around), expected);
    let edge = Placement::RecordMovingStart { id: id(2), started_at: at("09:30") };
    assert_eq!(placed("09:30", "10:01", &around), edge);
    assert_eq!(placed("09:29:59", "10:01", &around), Placement::StartEnded { ended_at: at("09:59:59") });
}

#[test]
fn situation_5_a_message_that_was_under_way() {
    let around = [silent(1, "10:00", "10:00", "10:30")];
    assert_eq!(placed("10:29", "10:40", &around), Placement::Reopen { id: id(1) });
    assert_eq!(placed("10:10", "10:40", &around), Placement::Reopen { id: id(1) });
    let over = Placement::Late { id: id(1), started_at: None, ended_at: Some(at("10:40")) };
    assert_eq!(placed("10:10", "10:40:01", &around), over);
}

#[test]
fn situation_6_inside_an_ended_session_otherwise() {
    let around = [wall(1, "10:00", "10:05", "10:10")];
    assert_eq!(placed("10:10", "10:11", &around), late(id(1)));
    assert_eq!(placed("10:10:01", "10:11", &around), Placement::Start);
}

#[test]
fn situation_7_shortly_before_an_ended_session() {
    let around = [silent(1, "10:00", "10:05", "10:35")];
    let expected = Placement::Late { id: id(1), started_at: Some(at("09:40")), ended_at: None };
    assert_eq!(placed("09:40", "12:00", &around), expected);
    let closed = [wall(1, "10:00", "10:05", "10:06")];
    assert_eq!(placed("09:40", "12:00", &closed), expected);
}

#[test]
fn situation_8_a_session_of_its_own() {
    assert_eq!(placed("10:00", "10:00", &[]), Placement::Start);
    assert_eq!(placed("10:00", "10:30", &[]), Placement::Start);
    assert_eq!(placed("10:00", "10:31", &[]), Placement::StartEnded { ended_at: at("10:30") });
    let newer = [silent(1, "12:00", "12:00", "12:30")];
    assert_eq!(placed("10:00", "10:00", &newer), Placement::StartEnded { ended_at: at("10:30") });
}

#[test]
fn a_session_of_its_own_never_reaches_into_the_next() {
    let mut next = silent(1, "10:20", "10:20", "10:25");
    next.timeout_seconds = 5 * 60;
    assert_eq!(placed("10:00", "15:00", &[next]), Placement::StartEnded { ended_at: at("10:20") });
}

#[test]
fn a_late_message_lengthens_a_session_up_to_the_next_one() {
    let around = [silent(1, "10:00", "10:00", "10:30"), silent(2, "10:50", "10:50", "11:20")];
    let expected = Placement::Late { id: id(1), started_at: None, ended_at: Some(at("10:50")) };
    assert_eq!(placed("10:28", "15:00", &around), expected);
}

#[test]
fn inside_two_sessions_the_later_one_has_it() {
    let around = [silent(1, "10:00", "10:10", "10:40"), silent(2, "10:40", "10:50", "11:20")];
    assert_eq!(placed("10:40", "15:00", &around), late(id(2)));
}

#[test]
fn a_message_between_two_starts_joins_the_nearer_session() {
    let around = [silent(1, "10:20", "10:20", "10:21"), open(2, "10:25", "10:30")];
    let expected = Placement::Late { id: id(1), started_at: Some(at("10:05")), ended_at: None };
    assert_eq!(placed("10:05", "10:31", &around), expected);
}

#[test]
fn case_05_a_late_message_moves_the_silent_end() {
    let around = [silent(1, "09:50", "09:50", "10:20")];
    let expected = Placement::Late { id: id(1), started_at: None, ended_at: Some(at("10:40")) };
    assert_eq!(place(at("10:10"), at("10:10").plus_seconds(2 * 86_400), T, &around), expected);
}

#[test]
fn case_06_an_explicit_end_is_a_wall() {
    let around = [wall(1, "09:50", "09:50", "10:05")];
    let wednesday = at("10:10").plus_seconds(2 * 86_400);
    assert_eq!(place(at("10:10"), wednesday, T, &around), Placement::StartEnded { ended_at: at("10:40") });
}

/// What a chat's sessions become when placements are carried out.
#[derive(Debug, Default)]
struct Chat(Vec<SessionSpan>);

impl Chat {
    fn get(&mut self, id: SessionId) -> &mut SessionSpan {
        self.0.iter_mut().find(|span| span.id == id).expect("placement names a session of the chat")
    }

    fn add(&mut self, ts: Timestamp, timeout: u32, ended_at: Option<Timestamp>) {
        let deadline = ts.plus_seconds(i64::from(timeout));
        let end = ended_at.map_or(SpanEnd::Open { deadline }, |ended_at| SpanEnd::Silent { ended_at });
        let number = self.0.len() as u128 + 1;
        let span = SessionSpan { id: id(number), started_at: ts, last_activity_at: ts, timeout_seconds: timeout, end };
        self.0.push(span);
    }

    fn touch(&mut self, id: SessionId, ts: Timestamp, started_at: Option<Timestamp>, ended_at: Option<Timestamp>) {
        let span = self.get(id);
        span.started_at = started_at.unwrap_or(span.started_at);
        span.last_activity_at = span.last_activity_at.max(ts);
        let deadline = span.last_activity_at.plus_seconds(i64::from(span.timeout_seconds));
        span.end = match (span.end, ended_at) {
            (SpanEnd::Open { .. }, _) => SpanEnd::Open { deadline },
            (_, Some(ended_at)) => SpanEnd::Silent { ended_at },
            (end, None) => end,
        };
    }

    fn take(&mut self, ts: Timestamp, now: Timestamp, timeout: u32) {
        match place(ts, now, timeout, &self.0) {
            Placement::Record { id } => self.touch(id, ts, None, None),
            Placement::RecordMovingStart { id, started_at } => self.touch(id, ts, Some(started_at), None),
            Placement::Late { id, started_at, ended_at } => self.touch(id, ts, started_at, ended_at),
            Placement::Reopen { id } => {
                self.get(id).end = SpanEnd::Open { deadline: ts };
                self.touch(id, ts, None, None);
            }
            Placement::EndAndStart { end, ended_at } => {
                self.get(end).end = SpanEnd::Silent { ended_at };
                self.add(ts, timeout, None);
            }
            Placement::Start => self.add(ts, timeout, None),
            Placement::StartEnded { ended_at } => self.add(ts, timeout, Some(ended_at)),
        }
    }

    fn run_timer(&mut self, now: Timestamp) {
        for span in &mut self.0 {
            if let SpanEnd::Open { deadline } = span.end
                && now > deadline
            {
                span.end = SpanEnd::Silent { ended_at: deadline };
            }
        }
    }

    fn close(&mut self, now: Timestamp) {
        for span in &mut self.0 {
            if span.is_open() {
                span.end = SpanEnd::Wall { ended_at: now.max(span.last_activity_at) };
            }
        }
    }

    fn in_order(&self) -> Vec<SessionSpan> {
        let mut spans = self.0.clone();
        spans.sort_by_key(|span| (span.started_at, span.right_edge()));
        spans
    }

    fn check(&self) {
        let spans = self.in_order();
        assert!(spans.iter().filter(|span| span.is_open()).count() <= 1, "two active sessions: {spans:#?}");
        for span in &spans {
            assert!(span.started_at <= span.last_activity_at, "it ends before it starts: {span:#?}");
            assert!(span.last_activity_at <= span.right_edge(), "it goes on after its end: {span:#?}");
        }
        for pair in spans.windows(2) {
            assert!(pair[0].right_edge() <= pair[1].started_at, "they overlap: {pair:#?}");
        }
    }
}

fn minute(minutes: i64) -> Timestamp {
    at("00:00").plus_seconds(minutes * 60)
}

/// Timers run, or somebody closes, between messages.
#[derive(Debug, Clone)]
enum Between {
    Nothing,
    Timer,
    Close,
}

fn between() -> impl Strategy<Value = Between> {
    prop_oneof![4 => Just(Between::Nothing), 3 => Just(Between::Timer), 1 => Just(Between::Close)]
}

proptest! {
    /// Whatever arrives whenever, sessions of one chat stay apart and at most one is active.
    #[test]
    fn sessions_of_a_chat_never_overlap(
        steps in prop::collection::vec((0i64..300, 0i64..8, 5u32..60, between()), 1..60),
    ) {
        let mut chat = Chat::default();
        let mut clock = 0;
        for (back, pause, timeout, between) in steps {
            clock += pause;
            let now = minute(1_000 + clock);
            match between {
                Between::Nothing => {}
                Between::Timer => chat.run_timer(now),
                Between::Close => chat.close(now),
            }
            chat.take(minute(1_000 + clock - back.min(clock * 3)), now, timeout * 60);
            chat.check();
        }
    }

    /// In message order the sessions are the same, however late the messages are processed and however timers run.
    #[test]
    fn in_message_order_delays_change_nothing(
        gaps in prop::collection::vec((0i64..50, 0i64..120, any::<bool>()), 1..40),
    ) {
        let mut expected: Vec<(Timestamp, Timestamp)> = Vec::new();
        let mut chat = Chat::default();
        let (mut sent, mut processed) = (0, 0);
        for (gap, delay, timer) in gaps {
            sent += gap;
            processed = processed.max(sent + delay);
            let ts = minute(sent);
            match expected.last_mut() {
                Some((_, last)) if ts <= last.plus_seconds(i64::from(T)) => *last = ts,
                _ => expected.push((ts, ts)),
            }
            if timer {
                chat.run_timer(minute(processed));
            }
            chat.take(ts, minute(processed), T);
            chat.check();
        }
        chat.run_timer(minute(processed + 10_000));
        let got = chat.in_order();
        let cut: Vec<_> = got.iter().map(|span| (span.started_at, span.last_activity_at)).collect();
        prop_assert_eq!(cut, expected);
        for span in got {
            prop_assert_eq!(span.right_edge(), span.last_activity_at.plus_seconds(i64::from(T)));
        }
    }
}
