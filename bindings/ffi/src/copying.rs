//! A copy of an installation on a thread of its own. The languages wait for its news, of which only the newest is kept.

use crate::block_on::block_on;
use crate::location::Location;
use crate::wire::{self, Failure};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use ventros::engine::{CopyProgress, CopyReport};
use ventros::kernel::{Error, ErrorCode, Result};
use ventros_sqlite::fork;

/// A copy that is under way, or done.
pub struct Copying {
    desk: Arc<Desk>,
    thread: Mutex<Option<JoinHandle<()>>>,
    process: u32,
}

/// Where the thread leaves its news.
#[derive(Default)]
struct Desk {
    news: Mutex<News>,
    left: Condvar,
    is_cancelled: AtomicBool,
}

#[derive(Default)]
struct News {
    progress: Option<CopyProgress>,
    outcome: Option<String>,
}

impl Copying {
    /// Begins to copy everything from one location to another one; see [`ventros::copy`]. Neither can be `:memory:`.
    pub fn start(source: &str, target: &str) -> Result<Copying, Failure> {
        if fork::is_torn() {
            let error = Error::new(ErrorCode::Forked).message("this process was forked in the middle of a call");
            return Err(error.into());
        }
        let desk = Arc::new(Desk::default());
        let (shared, source, target) = (desk.clone(), source.to_owned(), target.to_owned());
        let work = move || {
            let copied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| shared.copy(&source, &target)));
            let copied = copied.unwrap_or_else(|panic| Err(crate::defect(&*panic)));
            shared.news().outcome = Some(wire::answer(copied.and_then(|report| wire::output(&report))));
            shared.left.notify_all();
        };
        let started = std::thread::Builder::new().name("ventros-copy".to_owned()).spawn(work);
        let thread = started.map_err(|error| Error::unavailable(format!("no thread for the copy: {error}")))?;
        Ok(Copying { desk, thread: Mutex::new(Some(thread)), process: std::process::id() })
    }

    /// Waits for news, but no longer than `patience`: `{"progress": {...}}`, or in the end, from then on always, `{"ok": report}` or
    /// `{"error": {...}}`.
    pub fn wait(&self, patience: Duration) -> Option<String> {
        if self.process != std::process::id() {
            return Some(wire::answer(Err(ErrorCode::Forked.into())));
        }
        let nothing_new = |news: &mut News| news.progress.is_none() && news.outcome.is_none();
        let waited = self.desk.left.wait_timeout_while(self.desk.news(), patience, nothing_new);
        let (mut news, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match news.progress.take() {
            Some(progress) => Some(match wire::output(&progress) {
                Ok(json) => format!(r#"{{"progress":{json}}}"#),
                Err(error) => wire::answer(Err(error)),
            }),
            None => news.outcome.clone(),
        }
    }

    /// Breaks the copy off and waits until both stores are closed. It goes on with the next one.
    pub fn cancel(&self) {
        self.desk.is_cancelled.store(true, Ordering::Release);
        if self.process != std::process::id() {
            return;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It catches its panics.
        thread.map(JoinHandle::join).transpose().ok();
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Desk {
    fn copy(&self, source: &str, target: &str) -> Result<CopyReport> {
        let (from, to) = (Location::read(source, "source")?, Location::read(target, "target")?);
        for (location, field) in [(&from, "source"), (&to, "target")] {
            if matches!(location, Location::Memory) {
                return Err(Error::new(ErrorCode::InputInvalid)
                    .message("a store in memory ends with the copy")
                    .at(field));
            }
        }
        if let Location::File(path) = from
            && !path.exists()
        {
            return Err(Error::unavailable("there is no such file").at("source"));
        }
        let copying = async {
            let source = from.open().await.map_err(|error| error.at("source"))?;
            let target = to.open().await.map_err(|error| error.at("target"))?;
            let copied = ventros::copy(&*source, &*target, &mut |progress| self.tell(*progress)).await;
            let closed = (source.close().await, target.close().await);
            let report = copied?;
            closed.0.and(closed.1).map(|()| report)
        };
        block_on(copying, &mut || false).unwrap_or_else(|| Err(ErrorCode::Cancelled.into()))
    }

    fn tell(&self, progress: CopyProgress) -> ControlFlow<()> {
        self.news().progress = Some(progress);
        self.left.notify_all();
        match self.is_cancelled.load(Ordering::Acquire) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
