//! How a webhook's receiver does: what changes at every attempt, beside the webhook itself.

use crate::engine::{Aggregate, Event, Meta, Record};
use crate::kernel::{ErrorCode, Kind, ProjectId, Timestamp, WebhookDeliveryId, WebhookId};
use crate::storage::{Column, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Half of the limits gives a warning.
const DAYS_OF_FAILURE: i64 = 5;
const ATTEMPTS_OF_FAILURE: u32 = 10;
const DELIVERIES_OF_FAILURE: u32 = 50;

/// How a webhook's receiver does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookEndpoint {
    /// The webhook's own.
    pub id: WebhookId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    /// Events up to and including this number of the log have been looked at; none of them becomes a delivery by itself again.
    pub matched_seq: u64,
    pub last_triggered_at: Option<Timestamp>,
    pub last_success_at: Option<Timestamp>,
    pub last_failure_at: Option<Timestamp>,
    /// Attempts that succeeded.
    pub success_count: u64,
    /// Attempts that failed.
    pub failure_count: u64,
    /// Failed attempts in a row.
    pub consecutive_failures: u32,
    /// When the first of them failed.
    pub failing_since: Option<Timestamp>,
    /// Deliveries in a row that were given up.
    pub given_up_in_a_row: u32,
    /// The warning of this period of failures has been given.
    pub is_warned: bool,
    /// Nothing goes out before.
    pub throttled_until: Option<Timestamp>,
    pub last_status_code: Option<u16>,
    /// Of answers, with the last ones weighing most.
    pub mean_latency_ms: Option<u64>,
    /// From when on the rate is free again.
    pub rate_free_at: Option<Timestamp>,
    /// What is being brought, and when it counts as lost.
    pub in_flight: BTreeMap<WebhookDeliveryId, Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What a failure calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    Warn,
    SwitchOff,
}

impl WebhookEndpoint {
    /// Nothing has happened yet; events up to `matched_seq` are not its business.
    pub(super) fn new(id: WebhookId, project_id: ProjectId, matched_seq: u64, now: Timestamp) -> Self {
        WebhookEndpoint {
            id,
            project_id,
            version: 0,
            revision: 0,
            matched_seq,
            last_triggered_at: None,
            last_success_at: None,
            last_failure_at: None,
            success_count: 0,
            failure_count: 0,
            consecutive_failures: 0,
            failing_since: None,
            given_up_in_a_row: 0,
            is_warned: false,
            throttled_until: None,
            last_status_code: None,
            mean_latency_ms: None,
            rate_free_at: None,
            in_flight: BTreeMap::new(),
            created_at: now,
            updated_at: now,
        }
    }

    /// When the next delivery may go out at this rate, which then is its turn.
    ///
    /// Turns follow each other at the rate; those that nobody took are kept for a burst of ten seconds' worth, at most 100.
    pub(super) fn take_turn(&mut self, rate_per_second: u16, now: Timestamp) -> Timestamp {
        let rate = i64::from(rate_per_second.max(1));
        let step = 1_000_000 / rate;
        let burst = (rate * 10).min(100);
        let free = self.rate_free_at.map_or(now, |free| free.max(now));
        let turn = free.plus_micros(-(burst - 1) * step).max(now);
        let turn = self.throttled_until.map_or(turn, |until| turn.max(until));
        // What waits for the end of a throttle goes out at the rate, too.
        self.rate_free_at = Some(free.max(turn).plus_micros(step));
        turn
    }

    /// Forgets what was lost, and says whether one more may go out.
    pub(super) fn has_room(&mut self, concurrency: u8, now: Timestamp) -> bool {
        self.in_flight.retain(|_, lost_at| *lost_at > now);
        self.in_flight.len() < usize::from(concurrency)
    }

    /// Lets nothing out before a moment.
    pub(super) fn throttle(&mut self, until: Timestamp) {
        self.throttled_until = Some(self.throttled_until.map_or(until, |known| known.max(until)));
    }

    /// An attempt succeeded.
    pub(super) fn succeeded(&mut self, latency_ms: u64, now: Timestamp) {
        self.last_success_at = Some(now);
        self.success_count += 1;
        self.forgive();
        self.throttled_until = None;
        self.answered(latency_ms);
    }

    /// Failures so far no longer count.
    pub(super) fn forgive(&mut self) {
        self.consecutive_failures = 0;
        self.failing_since = None;
        self.given_up_in_a_row = 0;
        self.is_warned = false;
    }

    /// The receiver said something.
    pub(super) fn answered(&mut self, latency_ms: u64) {
        let weighed = |mean: u64| (mean * 7 + latency_ms).div_ceil(8);
        self.mean_latency_ms = Some(self.mean_latency_ms.map_or(latency_ms, weighed));
    }

    /// An attempt failed, perhaps the last one of its delivery.
    pub(super) fn failed(&mut self, given_up: bool, now: Timestamp) -> Verdict {
        self.last_failure_at = Some(now);
        self.failure_count += 1;
        self.consecutive_failures += 1;
        self.given_up_in_a_row += u32::from(given_up);
        let since = *self.failing_since.get_or_insert(now);
        let seconds = now.seconds_since(since);
        let day = 24 * 3600;
        let lasts = |days_twice: i64, attempts: u32, deliveries: u32| {
            seconds * 2 >= days_twice * day && self.consecutive_failures >= attempts
                || self.given_up_in_a_row >= deliveries
        };
        if lasts(DAYS_OF_FAILURE * 2, ATTEMPTS_OF_FAILURE, DELIVERIES_OF_FAILURE) {
            return Verdict::SwitchOff;
        }
        if !self.is_warned && lasts(DAYS_OF_FAILURE, ATTEMPTS_OF_FAILURE / 2, DELIVERIES_OF_FAILURE / 2) {
            self.is_warned = true;
            return Verdict::Warn;
        }
        Verdict::GoOn
    }
}

impl Aggregate for WebhookEndpoint {
    const KIND: Kind = Kind::WebhookEndpoint;
    const NOT_FOUND: ErrorCode = ErrorCode::WebhookNotFound;
    const COLUMNS: &'static [Column] = &[];
    type Id = WebhookId;

    fn create(_event: &Event, _meta: &Meta<'_>) -> Option<Self> {
        None
    }

    fn apply(&mut self, _event: &Event, _meta: &Meta<'_>) {}

    fn index(&self, _index: &mut Index) {}

    crate::base_fields!();
}

impl Record for WebhookEndpoint {}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_736_154_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(START + seconds).unwrap()
    }

    fn endpoint() -> WebhookEndpoint {
        let id = WebhookId::parse("0199d1c2-0000-7000-8000-00000000000a").unwrap();
        WebhookEndpoint::new(id, ProjectId::from_uuid(id.uuid()), 0, at(0))
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut endpoint = endpoint();
        let turns: Vec<i64> = (0..103).map(|_| endpoint.take_turn(10, at(0)).micros() - at(0).micros()).collect();
        assert!(turns[..100].iter().all(|turn| *turn == 0), "a hundred at once");
        assert_eq!(turns[100..], [100_000, 200_000, 300_000]);
        assert_eq!(endpoint.take_turn(10, at(60)), at(60), "what nobody took is kept");
    }

    #[test]
    fn a_throttle_holds_everything_back_and_lets_it_out_at_the_rate() {
        let mut endpoint = endpoint();
        endpoint.throttle(at(120));
        endpoint.throttle(at(60));
        let turns: Vec<Timestamp> = (0..3).map(|_| endpoint.take_turn(1, at(0))).collect();
        assert!(turns.iter().all(|turn| *turn >= at(120)), "{turns:?}");
    }

    #[test]
    fn lost_deliveries_give_their_room_back() {
        let mut endpoint = endpoint();
        endpoint.in_flight.insert(WebhookDeliveryId::from_uuid(endpoint.id.uuid()), at(45));
        assert!(!endpoint.has_room(1, at(44)));
        assert!(endpoint.has_room(1, at(45)));
    }

    #[test]
    fn case_18_failures_warn_at_half_and_switch_off_at_the_limit() {
        let day = 24 * 3600;
        let mut all_fail = endpoint();
        let verdicts: Vec<Verdict> = (0..=10).map(|half| all_fail.failed(false, at(half * day / 2))).collect();
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Warn).count(), 1);
        assert_eq!(verdicts[5], Verdict::Warn, "day 2.5");
        assert_eq!(verdicts[10], Verdict::SwitchOff, "day 5");

        let mut recovers = endpoint();
        for half in 0..=6 {
            recovers.failed(false, at(half * day / 2));
        }
        recovers.succeeded(20, at(3 * day));
        assert_eq!((recovers.consecutive_failures, recovers.failing_since, recovers.is_warned), (0, None, false));

        let mut few = endpoint();
        let last = (0..9).map(|n| few.failed(false, at(n * 6 * day / 8))).last();
        assert_ne!(last, Some(Verdict::SwitchOff), "nine attempts in six days");

        let mut refused = endpoint();
        let verdicts: Vec<Verdict> = (0..50).map(|n| refused.failed(true, at(n * 60))).collect();
        assert_eq!((verdicts[24], verdicts[48], verdicts[49]), (Verdict::Warn, Verdict::GoOn, Verdict::SwitchOff));
    }
}
