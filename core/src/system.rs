//! The machine's own clock and randomness, for hosts that inject nothing else. Feature `system`; the rest of the crate
//! never reaches for them.

use crate::kernel::{Clock, IdGenerator, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// The wall clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(chrono::Utc::now())
    }
}

/// UUIDv7 with an 18-bit counter inside each millisecond, so that ids of one process always grow, and random bytes of
/// the operating system.
#[derive(Debug, Default)]
pub struct SystemIds(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    millis: u64,
    counter: u32,
}

const COUNTER_BITS: u32 = 18;

impl SystemIds {
    pub fn shared() -> Arc<Self> {
        Arc::default()
    }
}

impl IdGenerator for SystemIds {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let mut bytes = [0u8; 10];
        self.random(&mut bytes);
        let millis = u64::try_from(now.micros() / 1_000).unwrap_or(0);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if millis > last.millis {
            *last = Last { millis, counter: u32::from(bytes[0]) << 6 };
        } else {
            last.counter += 1;
            if last.counter >> COUNTER_BITS > 0 {
                *last = Last { millis: last.millis + 1, counter: 0 };
            }
        }
        // 12 bits beside the version, 6 bits beside the variant.
        bytes[..2].copy_from_slice(&((last.counter >> 6) as u16).to_be_bytes());
        bytes[2] = (last.counter & 0x3f) as u8;
        uuid::Builder::from_unix_timestamp_millis(last.millis, &bytes).into_uuid()
    }

    fn random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_process_grow_even_when_the_clock_goes_back() {
        let ids = SystemIds::default();
        let now = SystemClock.now();
        let mut last = ids.uuid(now);
        for step in 0..600_000 {
            let next = ids.uuid(now.plus_seconds(-(step % 3)));
            assert!(next > last, "{next} came after {last}");
            assert_eq!(next.get_version_num(), 7);
            last = next;
        }
    }
}
