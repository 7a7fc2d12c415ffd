//! What waits for the language layer, and the doorbell that tells it to come.
//!
//! The doorbell carries nothing: whoever hears it drains. So a slow host costs one ring, not a queue of them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use ventros::kernel::JobId;

/// Something for the host.
#[derive(Debug)]
pub enum Delivery {
    /// A submitted call is done; `result` is its answer.
    Completed { token: u64, result: String },
    /// Events for a live callback, as a JSON array. More come when these are settled, as with a durable one.
    Live { token: u64, events: String },
    /// Events for a durable callback, as a JSON array. More come when these are settled.
    Durable { token: u64, events: String },
    /// A job for a handler, as `jobs.claim` gives it. It is reported in the end, whatever becomes of it.
    Job { token: u64, id: JobId, job: String },
    /// A job that is under way in the host was lost: cancelled, too slow, or given to somebody else. Whoever works at it may stop.
    Lost { token: u64, job: String },
    /// The subscription or handler met an error, in the wire form; it is tried again when something rings, and every second.
    Failed { token: u64, error: String },
}

impl Delivery {
    /// The call or subscription it belongs to.
    pub fn token(&self) -> u64 {
        match self {
            Delivery::Completed { token, .. }
            | Delivery::Live { token, .. }
            | Delivery::Durable { token, .. }
            | Delivery::Job { token, .. }
            | Delivery::Lost { token, .. }
            | Delivery::Failed { token, .. } => *token,
        }
    }
}

#[derive(Default)]
struct State {
    items: VecDeque<Delivery>,
    rung: bool,
    closed: bool,
}

/// Called after a push, from any thread; it must not block.
pub type Bell = Arc<dyn Fn() + Send + Sync>;

/// The queue between the engine and the host. Its writers bound it: one item per call, one per subscription until it is taken, and
/// as many jobs per handler as it has room for.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    rung: Condvar,
    bell: Mutex<Option<Bell>>,
}

impl Outbox {
    pub fn set_bell(&self, bell: Bell) {
        *self.bell.lock().unwrap_or_else(PoisonError::into_inner) = Some(bell);
    }

    /// Adds a delivery and rings.
    pub fn push(&self, delivery: Delivery) {
        self.state().items.push_back(delivery);
        self.ring();
    }

    /// Everything that waits.
    pub fn take(&self) -> Vec<Delivery> {
        self.state().items.drain(..).collect()
    }

    /// Whether the host has yet to take something of this call or subscription.
    pub fn has(&self, token: u64) -> bool {
        self.state().items.iter().any(|item| item.token() == token)
    }

    /// Takes back the jobs of a handler that the host has yet to take.
    pub fn withdraw_jobs(&self, wanted: u64) -> Vec<JobId> {
        let mut jobs = Vec::new();
        self.state().items.retain(|item| match item {
            Delivery::Job { token, id, .. } if *token == wanted => {
                jobs.push(*id);
                false
            }
            _ => true,
        });
        jobs
    }

    /// Waits until it rings; false when there is nothing to wait for any more.
    pub fn listen(&self) -> bool {
        let mut state = self.state();
        while !state.rung && !state.closed {
            state = self.rung.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.rung = false;
        !state.closed
    }

    /// Wakes everybody who listens, now and later.
    pub fn close(&self) {
        self.state().closed = true;
        self.ring();
    }

    fn ring(&self) {
        // Whoever wakes up may rely on the bell having rung.
        let bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(bell) = bell {
            bell();
        }
        self.state().rung = true;
        self.rung.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
