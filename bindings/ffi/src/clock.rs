//! A clock that a host moves by hand, for its tests.

use std::sync::atomic::{AtomicI64, Ordering};
use ventros::kernel::{Clock, Timestamp};

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at `micros` after 1970.
    pub fn new(micros: i64) -> Self {
        ManualClock(AtomicI64::new(micros))
    }

    pub fn micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        timestamp(self.micros())
    }
}

/// The instant, or 1970 for one outside the calendar.
fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).or_else(|| Timestamp::from_micros(0)).expect("1970 is in the calendar")
}
