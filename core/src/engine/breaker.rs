//! Leaves an endpoint alone for a while that fails most of its calls: jobs that would call it wait, and none of their tries is used up.
//! What is known of an endpoint is this process's own; webhooks have rules of their own for their receivers.

use crate::kernel::{ProjectId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is looked back on, in seconds.
const WINDOW: i64 = 60;
/// Fewer calls than this tell nothing.
const LEAST_CALLS: u32 = 10;
/// It opens when so many of a hundred calls failed.
const FAILURES: u64 = 60;
/// How long nobody calls, in seconds.
const OPEN: i64 = 30;
/// Calls that are made then, and must all go well.
const TRIALS: u32 = 5;
/// How long the others wait while these are under way, in seconds.
const TRIAL_PAUSE: i64 = 5;
/// A trial that nothing is heard of for so long is made by somebody else, in seconds.
const TRIAL_LOST: i64 = 120;
/// Endpoints that are remembered, unless more of them are failing.
const REMEMBERED: usize = 1_024;

/// Whether to call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Go,
    /// Come again then.
    Wait(Timestamp),
}

/// Calls of one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Second {
    at: i64,
    calls: u32,
    failures: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Timestamp },
    Trial { since: Timestamp, begun: u32, went_well: u32 },
}

/// What is known of one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    state: State,
    seconds: VecDeque<Second>,
    /// Whose jobs wait for it.
    waiting: BTreeSet<ProjectId>,
}

impl Breaker {
    fn new() -> Self {
        Breaker { state: State::Closed, seconds: VecDeque::new(), waiting: BTreeSet::new() }
    }

    pub fn admit(&mut self, now: Timestamp) -> Admission {
        match &mut self.state {
            State::Closed => return Admission::Go,
            State::Open { until } if now < *until => return Admission::Wait(*until),
            State::Open { .. } => {}
            State::Trial { since, begun, went_well } => {
                if *begun < TRIALS {
                    *begun += 1;
                    return Admission::Go;
                }
                if now.seconds_since(*since) < TRIAL_LOST {
                    return Admission::Wait(now.plus_seconds(TRIAL_PAUSE));
                }
                (*since, *begun) = (now, *went_well + 1);
                return Admission::Go;
            }
        }
        self.state = State::Trial { since: now, begun: 1, went_well: 0 };
        Admission::Go
    }

    pub fn report(&mut self, now: Timestamp, is_well: bool) {
        match &mut self.state {
            State::Closed => {
                self.count(now, is_well);
                let (calls, failures) = self.seconds.iter().fold((0, 0), |(calls, failures), second| {
                    (calls + u64::from(second.calls), failures + u64::from(second.failures))
                });
                if calls >= u64::from(LEAST_CALLS) && failures * 100 >= calls * FAILURES {
                    self.open(now);
                }
            }
            // The end of a call that began before.
            State::Open { .. } => {}
            State::Trial { .. } if !is_well => self.open(now),
            State::Trial { went_well, .. } => {
                *went_well += 1;
                if *went_well >= TRIALS {
                    *self = Breaker::new();
                }
            }
        }
    }

    fn open(&mut self, now: Timestamp) {
        self.state = State::Open { until: now.plus_seconds(OPEN) };
        self.seconds.clear();
    }

    fn count(&mut self, now: Timestamp, is_well: bool) {
        let at = now.micros().div_euclid(1_000_000);
        self.forget(at);
        let failures = u32::from(!is_well);
        match self.seconds.back_mut().filter(|second| second.at >= at) {
            Some(second) => {
                second.calls = second.calls.saturating_add(1);
                second.failures = second.failures.saturating_add(failures);
            }
            None => self.seconds.push_back(Second { at, calls: 1, failures }),
        }
    }

    fn forget(&mut self, at: i64) {
        while self.seconds.front().is_some_and(|second| second.at <= at - WINDOW) {
            self.seconds.pop_front();
        }
    }

    /// Nothing is lost when it is forgotten.
    fn is_idle(&mut self, now: Timestamp) -> bool {
        self.forget(now.micros().div_euclid(1_000_000));
        self.state == State::Closed && self.seconds.is_empty()
    }
}

/// An endpoint that is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftAlone {
    pub endpoint: String,
    /// When it is tried again; none while it is.
    pub until: Option<Timestamp>,
}

/// What this process knows of the endpoints that it calls.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<BTreeMap<String, Breaker>>);

impl Breakers {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a job of this project may call the endpoint now.
    pub fn admit(&self, endpoint: &str, project: ProjectId, now: Timestamp) -> Admission {
        let mut known = self.known();
        let Some(breaker) = known.get_mut(endpoint) else { return Admission::Go };
        let admission = breaker.admit(now);
        if admission != Admission::Go {
            breaker.waiting.insert(project);
        }
        admission
    }

    pub fn report(&self, endpoint: String, now: Timestamp, is_well: bool) {
        let mut known = self.known();
        if known.len() >= REMEMBERED && !known.contains_key(&endpoint) {
            known.retain(|_, breaker| !breaker.is_idle(now));
        }
        known.entry(endpoint).or_insert_with(Breaker::new).report(now, is_well);
    }

    /// The endpoints that jobs of a project wait for, by name.
    pub fn left_alone(&self, project: ProjectId) -> Vec<LeftAlone> {
        let known = self.known();
        let waited_for = known.iter().filter(|(_, breaker)| breaker.waiting.contains(&project));
        let shown = waited_for.filter_map(|(endpoint, breaker)| {
            let until = match breaker.state {
                State::Closed => return None,
                State::Open { until } => Some(until),
                State::Trial { .. } => None,
            };
            Some(LeftAlone { endpoint: endpoint.clone(), until })
        });
        shown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).expect("a moment").plus_seconds(second)
    }

    fn failing(from: i64) -> Breaker {
        let mut breaker = Breaker::new();
        (0..10).for_each(|number| breaker.report(at(from), number >= 6));
        breaker
    }

    #[test]
    fn case_20_six_of_ten_open_it_for_half_a_minute() {
        let mut breaker = Breaker::new();
        for number in 0..9 {
            breaker.report(at(number * 6), number >= 6);
            assert_eq!(breaker.admit(at(number * 6)), Admission::Go);
        }
        breaker.report(at(59), true);
        assert_eq!(breaker.admit(at(60)), Admission::Wait(at(89)));
        assert_eq!(breaker.admit(at(88)), Admission::Wait(at(89)));
        (0..5).for_each(|_| assert_eq!(breaker.admit(at(89)), Admission::Go));
        assert_eq!(breaker.admit(at(90)), Admission::Wait(at(95)), "five trials and no more");
        (0..4).for_each(|_| breaker.report(at(91), true));
        assert_ne!(breaker.admit(at(91)), Admission::Go);
        breaker.report(at(92), true);
        (0..100).for_each(|_| assert_eq!(breaker.admit(at(92)), Admission::Go));
    }

    #[test]
    fn fewer_failures_or_slower_ones_open_nothing() {
        let mut breaker = Breaker::new();
        (0..100).for_each(|number| breaker.report(at(0), number % 5 < 2));
        assert_ne!(breaker.admit(at(1)), Admission::Go, "sixty of a hundred");
        let mut breaker = Breaker::new();
        (0..100).for_each(|number| breaker.report(at(0), number % 2 == 0));
        assert_eq!(breaker.admit(at(1)), Admission::Go);
        let mut breaker = Breaker::new();
        (0..100).for_each(|number| breaker.report(at(number * 7), false));
        assert_eq!(breaker.admit(at(701)), Admission::Go, "nine in a minute");
    }

    #[test]
    fn a_trial_that_fails_opens_it_again() {
        let mut breaker = failing(0);
        assert_eq!(breaker.admit(at(30)), Admission::Go);
        breaker.report(at(31), false);
        assert_eq!(breaker.admit(at(31)), Admission::Wait(at(61)));
        // What began before is heard of late.
        breaker.report(at(32), true);
        assert_eq!(breaker.admit(at(60)), Admission::Wait(at(61)));
    }

    #[test]
    fn trials_that_are_lost_are_made_again() {
        let mut breaker = failing(0);
        (0..5).for_each(|_| assert_eq!(breaker.admit(at(30)), Admission::Go));
        breaker.report(at(31), true);
        assert_eq!(breaker.admit(at(149)), Admission::Wait(at(154)));
        (0..4).for_each(|_| assert_eq!(breaker.admit(at(150)), Admission::Go));
        assert_ne!(breaker.admit(at(150)), Admission::Go);
        (0..4).for_each(|_| breaker.report(at(151), true));
        assert_eq!(breaker.admit(at(151)), Admission::Go);
    }

    #[test]
    fn only_who_waits_sees_it() {
        let (one, other) =
            (ProjectId::from_uuid(uuid::Uuid::from_u128(1)), ProjectId::from_uuid(uuid::Uuid::from_u128(2)));
        let breakers = Breakers::default();
        (0..10).for_each(|_| breakers.report("https://a:443".to_owned(), at(0), false));
        assert_eq!(breakers.admit("https://a:443", one, at(1)), Admission::Wait(at(30)));
        assert_eq!(breakers.admit("https://b:443", one, at(1)), Admission::Go);
        let shown = LeftAlone { endpoint: "https://a:443".to_owned(), until: Some(at(30)) };
        assert_eq!((breakers.left_alone(one), breakers.left_alone(other)), (vec![shown], Vec::new()));
    }

    proptest! {
        /// While it is open nobody calls, a call that went well opens no trial again, who waits is told a moment that is near, and what is
        /// kept does not grow.
        #[test]
        fn it_keeps_its_word(steps in proptest::collection::vec((0_i64..40, any::<bool>(), any::<bool>()), 1..400)) {
            let (mut breaker, mut now, mut under_way) = (Breaker::new(), 0, 0_u32);
            for (pause, is_well, ends) in steps {
                now += pause;
                let before = breaker.state.clone();
                if ends && under_way > 0 {
                    under_way -= 1;
                    breaker.report(at(now), is_well);
                    if let State::Open { until } = breaker.state
                        && before != breaker.state
                    {
                        prop_assert_eq!(until, at(now + OPEN));
                        prop_assert!(!is_well || before == State::Closed);
                    }
                    continue;
                }
                match breaker.admit(at(now)) {
                    Admission::Go => {
                        let is_shut = matches!(before, State::Open { until } if at(now) < until);
                        prop_assert!(!is_shut);
                        under_way += 1;
                        if let State::Trial { begun, went_well, .. } = breaker.state {
                            prop_assert!(begun <= TRIALS && went_well < TRIALS);
                        }
                    }
                    Admission::Wait(until) => {
                        prop_assert!(before != State::Closed);
                        prop_assert!(until > at(now) && until <= at(now + OPEN));
                    }
                }
                prop_assert!(breaker.seconds.len() <= usize::try_from(WINDOW).unwrap());
            }
        }
    }
}
