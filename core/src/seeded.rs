//! Ids that repeat themselves, for tests in every language: the same commands give the same bytes.

use crate::kernel::{IdGenerator, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Ids and random bytes that depend on the seed and the order of calls alone. Whoever knows the seed knows every key and
/// token: never for data that matters.
#[derive(Debug)]
pub struct SeededIds {
    state: Mutex<u64>,
    counter: AtomicU64,
}

impl SeededIds {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(SeededIds { state: Mutex::new(seed), counter: AtomicU64::new(0) })
    }

    fn next(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl IdGenerator for SeededIds {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let count = self.counter.fetch_add(1, Ordering::SeqCst);
        let millis = u64::try_from(now.micros() / 1_000).unwrap_or(0);
        let mut bytes = [0u8; 10];
        bytes[..6].copy_from_slice(&count.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&self.next().to_be_bytes()[..4]);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
    }
}
