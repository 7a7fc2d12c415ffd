//! Runs a future on the calling thread, so that a blocking client pays no thread hop, and lets the host break in.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};
use ventros_sqlite::fork;

/// How often a waiting call asks whether it shall stop. Long enough to cost nothing, short enough for a Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(50);

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Completes `future` here, or gives it up once `interrupted` says so. A future that never waits is asked to be cut at the
/// places where it yields.
pub fn block_on<F: Future>(future: F, interrupted: &mut dyn FnMut() -> bool) -> Option<F::Output> {
    let unpark = Arc::new(Unpark { thread: std::thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(unpark.clone());
    let mut context = Context::from_waker(&waker);
    // Outlives the future: taking it apart happens inside.
    let mut _inside = None;
    let mut future = pin!(future);
    let mut asked = Instant::now();
    loop {
        _inside = Some(fork::enter());
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        _inside = None;
        loop {
            if asked.elapsed() >= PATIENCE {
                asked = Instant::now();
                if interrupted() {
                    _inside = Some(fork::enter());
                    return None;
                }
            }
            if unpark.woken.swap(false, Ordering::AcqRel) {
                break;
            }
            std::thread::park_timeout(PATIENCE);
        }
    }
}
