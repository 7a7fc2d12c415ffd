//! How the messages of a stretch fall into sessions: a pure function of their times and of what must be respected.

use super::extent::Line;
use crate::kernel::{MessageId, SessionId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What cutting must respect of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// It keeps its messages and its id: live traffic or somebody's work made it what it is.
    pub is_pinned: bool,
    /// When somebody ended it by decision: nothing is attached across that moment.
    pub wall: Option<Timestamp>,
}

/// Messages that belong together, in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    /// The session that holds them from now on; `None` when it takes a new one.
    pub session: Option<SessionId>,
    pub is_pinned: bool,
    pub lines: Vec<Line>,
    /// Messages that the session loses to others.
    pub removed: Vec<MessageId>,
}

/// Cuts messages, which are in their order, where a gap is longer than `gap_seconds` or a wall lies between.
pub(super) fn cut(lines: &[Line], held: &BTreeMap<SessionId, Held>, gap_seconds: u32) -> Vec<Segment> {
    let owner = |line: &Line| line.session.filter(|id| held.get(id).is_some_and(|held| held.is_pinned));
    let walls: BTreeSet<Timestamp> = held.values().filter_map(|held| held.wall).collect();
    let mut last_of = BTreeMap::new();
    for (place, line) in lines.iter().enumerate() {
        last_of.extend(owner(line).map(|session| (session, place)));
    }
    let mut segments: Vec<Segment> = Vec::new();
    let mut group: Vec<Line> = Vec::new();
    // Messages of one pinned session are never separated: up to here there is no cut.
    let mut held_to = 0;
    for (place, line) in lines.iter().enumerate() {
        if let Some(before) = group.last()
            && place > held_to
            && (line.at > before.at.plus_seconds(i64::from(gap_seconds))
                || walls.range(before.at..line.at).next().is_some())
        {
            segments.extend(by_owner(&std::mem::take(&mut group), owner));
        }
        held_to = held_to.max(owner(line).and_then(|session| last_of.get(&session).copied()).unwrap_or(0));
        group.push(*line);
    }
    if !group.is_empty() {
        segments.extend(by_owner(&group, owner));
    }
    name(&mut segments);
    note_losses(&mut segments);
    segments
}

/// One segment for each pinned session of a group. What lies between two of them is cut at the largest gap, the earliest of
/// equals.
fn by_owner(group: &[Line], owner: impl Fn(&Line) -> Option<SessionId>) -> Vec<Segment> {
    let Some(first) = group.iter().find_map(&owner) else {
        return vec![Segment { session: None, is_pinned: false, lines: group.to_vec(), removed: Vec::new() }];
    };
    let mut segments: Vec<Segment> = Vec::new();
    let mut give = |session: SessionId, line: Line| match segments.iter_mut().find(|s| s.session == Some(session)) {
        Some(segment) => segment.lines.push(line),
        None => {
            segments.push(Segment { session: Some(session), is_pinned: true, lines: vec![line], removed: Vec::new() });
        }
    };
    let (mut current, mut free) = (first, Vec::<Line>::new());
    let mut before: Option<Line> = None;
    for line in group {
        let Some(session) = owner(line) else {
            free.push(*line);
            continue;
        };
        let run = std::mem::take(&mut free);
        let split = if session == current { run.len() } else { largest_gap(before, &run, line) };
        for (place, line) in run.into_iter().enumerate() {
            give(if place < split { current } else { session }, line);
        }
        give(session, *line);
        (current, before) = (session, Some(*line));
    }
    free.into_iter().for_each(|line| give(current, line));
    segments
}

/// How many of the free messages between two owned ones belong to the left.
fn largest_gap(before: Option<Line>, run: &[Line], after: &Line) -> usize {
    let times: Vec<Timestamp> = before.iter().chain(run).chain(std::iter::once(after)).map(|line| line.at).collect();
    let gaps = times.windows(2).map(|pair| pair[1].micros() - pair[0].micros());
    let widest = gaps.enumerate().max_by_key(|(place, gap)| (*gap, std::cmp::Reverse(*place)));
    widest.map_or(0, |(place, _)| place)
}

/// A segment without a pinned session keeps the session that holds most of it; each session serves one segment.
fn name(segments: &mut [Segment]) {
    let mut wishes: Vec<(usize, usize, SessionId)> = Vec::new();
    for (place, segment) in segments.iter().enumerate().filter(|(_, segment)| !segment.is_pinned) {
        let mut counts: BTreeMap<SessionId, usize> = BTreeMap::new();
        segment.lines.iter().filter_map(|line| line.session).for_each(|id| *counts.entry(id).or_default() += 1);
        wishes.extend(counts.into_iter().map(|(session, count)| (count, place, session)));
    }
    wishes.sort_by_key(|(count, place, session)| (std::cmp::Reverse(*count), *place, *session));
    let mut taken: BTreeSet<SessionId> = segments.iter().filter_map(|segment| segment.session).collect();
    for (_, place, session) in wishes {
        if segments[place].session.is_none() && taken.insert(session) {
            segments[place].session = Some(session);
        }
    }
}

fn note_losses(segments: &mut [Segment]) {
    let mut lost: BTreeMap<SessionId, Vec<MessageId>> = BTreeMap::new();
    for segment in segments.iter() {
        for line in &segment.lines {
            if let Some(before) = line.session.filter(|before| segment.session != Some(*before)) {
                lost.entry(before).or_default().push(line.id);
            }
        }
    }
    for segment in segments {
        segment.removed = segment.session.and_then(|session| lost.remove(&session)).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const T: u32 = 30 * 60;

    fn session(number: u128) -> SessionId {
        SessionId::from_uuid(Uuid::from_u128(number))
    }

    /// A message at a minute, of a session or of none.
    fn line(minute: i64, of: Option<u128>) -> Line {
        Line {
            id: MessageId::from_uuid(Uuid::from_u128(1_000 + u128::from(minute.unsigned_abs()))),
            at: Timestamp::from_seconds(1_736_150_400 + minute * 60).unwrap(),
            session: of.map(session),
            counted: None,
        }
    }

    const LIVE: Held = Held { is_pinned: true, wall: None };
    const IMPORTED: Held = Held { is_pinned: false, wall: None };

    fn sizes(lines: &[Line], held: &[(u128, Held)]) -> Vec<(Option<SessionId>, usize)> {
        let held = held.iter().map(|(number, held)| (session(*number), *held)).collect();
        cut(lines, &held, T).into_iter().map(|segment| (segment.session, segment.lines.len())).collect()
    }

    #[test]
    fn a_gap_of_the_timeout_belongs_together_a_longer_one_separates() {
        let lines = [line(0, None), line(30, None), line(61, None)];
        assert_eq!(sizes(&lines, &[]), [(None, 2), (None, 1)]);
    }

    #[test]
    fn a_live_session_takes_what_is_near_and_keeps_what_it_has() {
        let lines = [line(0, None), line(20, Some(1)), line(80, Some(1)), line(100, None)];
        assert_eq!(sizes(&lines, &[(1, LIVE)]), [(Some(session(1)), 4)]);
    }

    #[test]
    fn two_live_sessions_are_cut_at_the_largest_gap_the_earliest_of_equals() {
        let lines = [line(0, Some(1)), line(20, None), line(30, None), line(50, Some(2))];
        let live = [(1, LIVE), (2, LIVE)];
        assert_eq!(sizes(&lines, &live), [(Some(session(1)), 1), (Some(session(2)), 3)]);
        let lines = [line(0, Some(1)), line(10, None), line(30, None), line(40, Some(2))];
        assert_eq!(sizes(&lines, &live), [(Some(session(1)), 2), (Some(session(2)), 2)]);
    }

    #[test]
    fn nothing_is_attached_across_a_decided_end() {
        let closed = Held { is_pinned: true, wall: Some(line(5, None).at) };
        let lines = [line(0, Some(1)), line(4, None), line(6, None)];
        assert_eq!(sizes(&lines, &[(1, closed)]), [(Some(session(1)), 2), (None, 1)]);
    }

    #[test]
    fn an_imported_session_stays_where_most_of_it_is() {
        let lines = [line(0, Some(1)), line(60, Some(1)), line(61, Some(1)), line(120, Some(2))];
        let expected = [(None, 1), (Some(session(1)), 2), (Some(session(2)), 1)];
        assert_eq!(sizes(&lines, &[(1, IMPORTED), (2, IMPORTED)]), expected);
        let held = [(session(1), IMPORTED), (session(2), IMPORTED)].into();
        assert_eq!(cut(&lines, &held, T)[1].removed, [lines[0].id]);
    }
}
