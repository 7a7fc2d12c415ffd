//! Which session a message belongs to, decided by message time alone.
//!
//! Sessions of one chat are disjoint stretches of time that may touch. A message inside one belongs to it, also when the
//! start of another is nearer than its last message: being inside is distance nothing, and live traffic merges nothing.

use crate::kernel::{SessionId, Timestamp};

/// How a session stands on the time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanEnd {
    /// Active; it will end then if nobody writes.
    Open { deadline: Timestamp },
    /// Ended by silence.
    Silent { ended_at: Timestamp },
    /// Ended by decision: a wall that no message is attached across.
    Wall { ended_at: Timestamp },
}

/// What placement knows of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSpan {
    pub id: SessionId,
    pub started_at: Timestamp,
    pub last_activity_at: Timestamp,
    /// Its own timeout.
    pub timeout_seconds: u32,
    pub end: SpanEnd,
}

impl SessionSpan {
    /// The last moment that belongs to it.
    pub fn right_edge(&self) -> Timestamp {
        match self.end {
            SpanEnd::Open { deadline } => deadline,
            SpanEnd::Silent { ended_at } | SpanEnd::Wall { ended_at } => ended_at,
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.end, SpanEnd::Open { .. })
    }

    fn holds(&self, ts: Timestamp) -> bool {
        self.started_at <= ts && ts <= self.right_edge()
    }

    /// It starts after `ts`, near enough to belong together.
    fn reaches_back_to(&self, ts: Timestamp) -> bool {
        ts < self.started_at && self.started_at <= after(ts, self.timeout_seconds)
    }
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Inside the active session.
    Record { id: SessionId },
    /// The active session is over: it ended at its deadline, and the message opens another.
    EndAndStart { end: SessionId, ended_at: Timestamp },
    /// Into an ended session, which stays ended but may start earlier or fall silent later.
    Late { id: SessionId, started_at: Option<Timestamp>, ended_at: Option<Timestamp> },
    /// Into the active session, which now starts with it.
    RecordMovingStart { id: SessionId, started_at: Timestamp },
    /// The session ended by silence a moment too early: the message was under way.
    Reopen { id: SessionId },
    /// It opens a session.
    Start,
    /// It opens a session that is over already.
    StartEnded { ended_at: Timestamp },
}

/// Places a message of time `ts` among the sessions of its chat.
///
/// `timeout_seconds` is what a new session would get. `around` holds at least: the active session, the last one that
/// started at or before `ts`, and the first one that started after it. Gap = timeout belongs together, a longer one separates.
pub fn place(ts: Timestamp, now: Timestamp, timeout_seconds: u32, around: &[SessionSpan]) -> Placement {
    let inside = around.iter().filter(|span| span.holds(ts)).max_by_key(|span| (span.started_at, span.id));
    let next = around.iter().filter(|span| span.started_at > ts).min_by_key(|span| (span.started_at, span.id));
    let open = around.iter().find(|span| span.is_open());
    match inside {
        Some(span) => within(ts, now, span, next, open.is_some()),
        None => match open {
            Some(active) if active.right_edge() < ts => {
                Placement::EndAndStart { end: active.id, ended_at: active.right_edge() }
            }
            _ => between(ts, now, timeout_seconds, next, around),
        },
    }
}

fn within(
    ts: Timestamp,
    now: Timestamp,
    span: &SessionSpan,
    next: Option<&SessionSpan>,
    chat_is_active: bool,
) -> Placement {
    match span.end {
        SpanEnd::Open { .. } => Placement::Record { id: span.id },
        SpanEnd::Silent { .. } if !chat_is_active && next.is_none() && after(ts, span.timeout_seconds) >= now => {
            Placement::Reopen { id: span.id }
        }
        SpanEnd::Silent { ended_at } => {
            let moved = clipped(after(ts, span.timeout_seconds), next);
            let moves = ts > span.last_activity_at && moved > ended_at;
            Placement::Late { id: span.id, started_at: None, ended_at: moves.then_some(moved) }
        }
        SpanEnd::Wall { .. } => Placement::Late { id: span.id, started_at: None, ended_at: None },
    }
}

fn between(
    ts: Timestamp,
    now: Timestamp,
    timeout_seconds: u32,
    next: Option<&SessionSpan>,
    around: &[SessionSpan],
) -> Placement {
    let Some(next) = next else {
        let over = after(ts, timeout_seconds);
        return if now > over { Placement::StartEnded { ended_at: over } } else { Placement::Start };
    };
    let wall = around.iter().any(|span| {
        let SpanEnd::Wall { ended_at } = span.end else { return false };
        span.id != next.id && ts <= ended_at && ended_at <= next.started_at
    });
    match next.reaches_back_to(ts) && !wall {
        true if next.is_open() => Placement::RecordMovingStart { id: next.id, started_at: ts },
        true => Placement::Late { id: next.id, started_at: Some(ts), ended_at: None },
        false => Placement::StartEnded { ended_at: clipped(after(ts, timeout_seconds), Some(next)) },
    }
}

fn after(ts: Timestamp, seconds: u32) -> Timestamp {
    ts.plus_seconds(i64::from(seconds))
}

/// No session reaches past the start of the next one.
fn clipped(end: Timestamp, next: Option<&SessionSpan>) -> Timestamp {
    next.map_or(end, |next| end.min(next.started_at))
}
