//! What a process needs that forks while others of its threads work here.
//!
//! A child has only the thread that forked. A lock that another thread held stays locked there for ever, SQLite's own among them; and a
//! connection that the child inherits makes SQLite believe that the child holds file locks which are the parent's alone. So whoever
//! works goes through a door; a fork shuts it, waits until nobody is inside, and closes all files. They open again when they are needed.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The door has no lock of its own to wait on: a lock is what a fork breaks.
const GLANCE: Duration = Duration::from_micros(100);

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static SHUT: AtomicBool = AtomicBool::new(false);
/// This process was forked while somebody was inside.
static TORN: AtomicBool = AtomicBool::new(false);
static STORES: Mutex<Vec<Weak<dyn Rest>>> = Mutex::new(Vec::new());

thread_local! {
    /// How often this thread has entered.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Closes a connection for a while. Whoever opens the file next reads the log beside it, instead of everybody waiting now until
/// its pages are moved and durable.
pub(crate) fn lay_down(connection: Connection) {
    // Where it cannot be told so, it moves them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok();
}

/// Something that holds files open.
pub(crate) trait Rest: Send + Sync {
    /// Closes them until they are needed again. Nobody is inside.
    fn rest(&self);
}

/// Lets `store` rest when this process forks.
pub(crate) fn register(store: Weak<dyn Rest>) {
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    stores.retain(|store| store.strong_count() > 0);
    stores.push(store);
}

/// Being inside, until it is dropped on the same thread.
#[must_use]
#[derive(Debug)]
pub struct Inside(std::marker::PhantomData<*const ()>);

/// Goes in, after a fork that is under way. Never wait here for something that the host must do, such as giving up its
/// interpreter's lock: the fork waits for you.
pub fn enter() -> Inside {
    let depth = DEPTH.get();
    if depth == 0 {
        loop {
            INSIDE.fetch_add(1, Ordering::SeqCst);
            if !SHUT.load(Ordering::SeqCst) {
                break;
            }
            INSIDE.fetch_sub(1, Ordering::SeqCst);
            sleep(GLANCE);
        }
    }
    DEPTH.set(depth + 1);
    Inside(std::marker::PhantomData)
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if DEPTH.get() == 0 {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Being inside for another thread, which cannot come to the door: those inside wait for it.
#[derive(Debug)]
pub(crate) struct Task(());

impl Task {
    /// To be called from inside.
    pub(crate) fn begin() -> Self {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        Task(())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A fork that is about to happen on this thread, which alone may go in now. Dropping it opens the door again.
#[must_use]
#[derive(Debug)]
pub struct Fork {
    /// Else another fork is under way, and opens it.
    has_shut: bool,
    is_quiet: bool,
    _not_send: std::marker::PhantomData<*const ()>,
}

/// Shuts the door, waits until nobody is inside, and closes all files. Once `patience` is over, the fork may happen anyway; its
/// child then refuses to open anything.
pub fn prepare(patience: Duration) -> Fork {
    let start = Instant::now();
    let in_time = |done: &dyn Fn() -> bool| {
        while !done() {
            if start.elapsed() >= patience {
                return false;
            }
            sleep(GLANCE);
        }
        true
    };
    let own = usize::from(DEPTH.get() > 0);
    let shut = || SHUT.compare_exchange(false, true, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    let has_shut = in_time(&shut);
    let is_quiet = has_shut && in_time(&|| INSIDE.load(Ordering::SeqCst) == own);
    DEPTH.set(DEPTH.get() + 1);
    if is_quiet {
        let stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        stores.iter().filter_map(Weak::upgrade).for_each(|store| store.rest());
    }
    Fork { has_shut, is_quiet, _not_send: std::marker::PhantomData }
}

impl Fork {
    /// In the child: all others are gone, and what the parent has open is not its own.
    pub fn is_child(mut self) {
        self.has_shut = true;
        INSIDE.store(usize::from(DEPTH.get() > 1), Ordering::SeqCst);
        if self.is_quiet {
            STORES.lock().unwrap_or_else(PoisonError::into_inner).clear();
        } else {
            TORN.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for Fork {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if self.has_shut {
            SHUT.store(false, Ordering::SeqCst);
        }
    }
}

/// Whether locks may be held here by threads that exist in the parent only.
pub fn is_torn() -> bool {
    TORN.load(Ordering::SeqCst)
}
