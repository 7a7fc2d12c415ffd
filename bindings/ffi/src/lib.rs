//! The engine handle that all languages share: open, call, cancel, subscribe, drain and report, close.
//!
//! Not an API: the bindings convert and nothing else, and the generated clients on top are what people use. The handle
//! owns the runtime; runtime threads never call into a language, they ring a doorbell that carries nothing.

mod block_on;
mod clock;
mod copying;
mod handlers;
mod inside;
mod location;
mod outbox;
mod subscriptions;
mod wire;

pub use clock::ManualClock;
pub use copying::Copying;
pub use outbox::{Bell, Delivery};
pub use subscriptions::Settled;
pub use ventros_sqlite::fork::{Fork, prepare as prepare_fork};
pub use wire::Failure;

use futures_util::future::{AbortHandle, abortable, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, TryFutureExt};
use handlers::Handlers;
use inside::Inside;
use location::Location;
use outbox::Outbox;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use subscriptions::Subscriptions;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;
use ventros::engine::{CALLS, Crm, Doorbell, RunReport, Settings};
use ventros::kernel::{Clock, Error, ErrorCode, JobId, Result, input, parse_uuid};
use ventros::system::SystemClock;
use ventros_sqlite::fork;
use wire::Wanted;

/// What a call allocates is many small pieces, on threads that come and go: a tenth of its time with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the worker sleeps when nobody rings: timers, retries and the commits of other processes.
const NAP: Duration = Duration::from_secs(1);
/// How long `close` waits for what runs.
const FAREWELL: Duration = Duration::from_secs(5);

/// An open engine. Every method may be called from any thread of the process that opened it.
pub struct Engine {
    shared: Arc<Shared>,
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    /// Submitted calls by token.
    calls: Arc<Mutex<BTreeMap<u64, AbortHandle>>>,
    /// Keeps the registration with the engine alive.
    _doorbell: Arc<Doorbell>,
}

/// What the runtime's tasks share with the handle.
struct Shared {
    crm: Crm,
    outbox: Outbox,
    subscriptions: Subscriptions,
    handlers: Handlers,
    /// Rings for the worker.
    work: Notify,
    /// Rings for the courier.
    mail: Notify,
    /// Rings for the caller.
    calls: Notify,
    /// Rings for the foreman.
    jobs: Notify,
    /// Whoever works, one after the other, so that `run_pending` sees the end of it.
    turn: tokio::sync::Mutex<()>,
    /// Whoever delivers, one after the other. Taken after `turn` where both are.
    round: tokio::sync::Mutex<()>,
    /// Whoever hands out jobs, one after the other. Taken last.
    shift: tokio::sync::Mutex<()>,
    /// How many jobs were handed out beside others since the last `run_pending`.
    beside: AtomicUsize,
    /// Held by the caller until its calls have ended.
    outside: tokio::sync::Mutex<()>,
    closed: AtomicBool,
    process: u32,
    /// Whether work is done without anybody asking for it.
    background: bool,
}

impl Engine {
    /// Opens the store at `location` (a path, `sqlite:///path`, `:memory:` or `postgresql://...`), creating
    /// it if there is none.
    ///
    /// `options` is JSON: `background` (default true) runs reactions, timers and deliveries on the runtime;
    /// `encryption_key` (32 bytes in base64) opens the vault, with `old_encryption_keys` for what is still sealed under
    /// them; `http` (default true) makes calls to the outside, to the public net, to `private_hosts`, and with `allow_http`
    /// also without TLS; `seed`, beside a manual clock, makes ids that repeat themselves, for tests.
    pub fn open(location: &str, options: &[u8], clock: Option<Arc<ManualClock>>) -> Result<Engine, Failure> {
        if fork::is_torn() {
            let error = Error::new(ErrorCode::Forked).message("this process was forked in the middle of a call");
            return Err(error.into());
        }
        let _inside = fork::enter();
        let options: wire::OpenOptions = input::parse(options)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("ventros").enable_all().build();
        let runtime = runtime.map_err(|error| Error::unavailable(format!("no threads for the engine: {error}")))?;
        let handle = runtime.handle().clone();
        let (keys, ids, http) = (options.keys()?, options.ids(clock.is_some())?, options.http(&handle)?);
        let clock: Arc<dyn Clock> = match clock {
            Some(manual) => manual,
            None => Arc::new(SystemClock),
        };
        let settings = async {
            Ok(Settings {
                keys,
                http,
                ..Settings::new(Location::read(location, "location")?.open().await?, clock, ids)
            })
        };
        let crm = here(&handle, &mut || false, settings.and_then(Crm::open))?;
        let shared = Arc::new(Shared {
            crm,
            outbox: Outbox::default(),
            subscriptions: Subscriptions::default(),
            handlers: Handlers::default(),
            work: Notify::new(),
            mail: Notify::new(),
            calls: Notify::new(),
            jobs: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            round: tokio::sync::Mutex::new(()),
            shift: tokio::sync::Mutex::new(()),
            beside: AtomicUsize::new(0),
            outside: tokio::sync::Mutex::new(()),
            closed: AtomicBool::new(false),
            process: std::process::id(),
            background: options.background,
        });
        let weak = Arc::downgrade(&shared);
        let doorbell = shared.crm.on_commit(Arc::new(move || {
            if let Some(shared) = weak.upgrade() {
                shared.mail.notify_one();
                shared.work.notify_one();
                shared.calls.notify_one();
                shared.jobs.notify_one();
            }
        }));
        if shared.background {
            handle.spawn(Inside::new(worker(shared.clone())));
            handle.spawn(Inside::new(courier(shared.clone())));
            handle.spawn(Inside::new(caller(shared.clone())));
            handle.spawn(Inside::new(foreman(shared.clone())));
        }
        let calls = Arc::default();
        Ok(Engine { shared, runtime: Mutex::new(Some(runtime)), handle, calls, _doorbell: doorbell })
    }

    /// Runs an operation on the calling thread and gives `{"ok": output}` or `{"error": {...}}`.
    ///
    /// `interrupted` is asked while the call waits; when it says yes the call is given up. What it had committed stays.
    pub fn call(&self, operation: &str, input: &[u8], context: &[u8], interrupted: &mut dyn FnMut() -> bool) -> String {
        let result = self.usable().and_then(|()| {
            let guarded = AssertUnwindSafe(run(&self.shared, operation, input, context)).catch_unwind();
            here(&self.handle, interrupted, async { guarded.await.unwrap_or_else(|panic| Err(defect(&*panic))) })
        });
        wire::answer(result)
    }

    /// Runs an operation on the runtime; its answer is delivered as [`Delivery::Completed`].
    pub fn submit(&self, token: u64, operation: String, input: Vec<u8>, context: Vec<u8>) -> Result<(), Failure> {
        let (shared, calls) = (self.shared.clone(), self.calls.clone());
        let (task, handle) = abortable(async move {
            let guarded = AssertUnwindSafe(run(&shared, &operation, &input, &context)).catch_unwind();
            let result = guarded.await.unwrap_or_else(|panic| Err(defect(&*panic)));
            lock(&calls).remove(&token);
            shared.outbox.push(Delivery::Completed { token, result: wire::answer(result) });
        });
        {
            let mut running = lock(&self.calls);
            // Under the lock: whatever is in the table when it closes is answered.
            self.usable()?;
            running.insert(token, handle);
        }
        // Not under the lock: the task may run at once, in place of this thread, and would wait for it in the end.
        self.handle.spawn(Inside::new(task));
        Ok(())
    }

    /// Ends a submitted call, a subscription or a handler. A durable subscription keeps its place; a handler takes no more jobs, and
    /// those that the host has taken are still held and reported. Unknown tokens are fine.
    pub fn cancel(&self, token: u64) {
        if self.usable().is_err() {
            return;
        }
        let call = lock(&self.calls).remove(&token);
        match call {
            Some(call) => call.abort(),
            None => {
                let end = async {
                    if !self.shared.subscriptions.remove(token).await {
                        self.shared.handlers.end(token, &self.shared.outbox).await;
                    }
                    Ok(())
                };
                here(&self.handle, &mut || false, end).ok();
            }
        }
    }

    /// Starts a subscription or a handler. `options` is JSON, as the generated clients write it.
    pub fn subscribe(&self, token: u64, options: &[u8]) -> Result<(), Failure> {
        self.usable()?;
        let wanted = input::parse(options)?;
        if matches!(wanted, Wanted::Jobs { .. }) {
            self.shared.handlers.add(&self.shared.crm, token, wanted)?;
            self.shared.jobs.notify_one();
            return Ok(());
        }
        here(&self.handle, &mut || false, self.shared.subscriptions.add(&self.shared.crm, token, wanted))?;
        self.shared.mail.notify_one();
        Ok(())
    }

    /// Rings `bell` whenever there is something to drain; for hosts that cannot wait in [`listen`](Self::listen).
    pub fn set_bell(&self, bell: Bell) {
        self.shared.outbox.set_bell(bell);
    }

    /// Waits for the doorbell; false when the engine is closed.
    pub fn listen(&self) -> bool {
        self.shared.process == std::process::id() && self.shared.outbox.listen()
    }

    /// Hands back what was done with earlier deliveries and takes what is there, without waiting.
    pub fn drain(&self, settled: impl IntoIterator<Item = Settled>) -> Result<Vec<Delivery>, Failure> {
        if self.shared.process != std::process::id() {
            return Err(ErrorCode::Forked.into());
        }
        let settled = self.shared.subscriptions.settle(settled);
        let taken = self.shared.outbox.take();
        // What has failed would fail again at once.
        if settled || taken.iter().any(|delivery| !matches!(delivery, Delivery::Failed { .. })) {
            self.shared.mail.notify_one();
        }
        Ok(taken)
    }

    /// Says what became of a delivered job, without waiting: `outcome` is JSON, as `jobs.report` takes it; none hands the job back
    /// that was not begun. An outcome that cannot be kept is a failure of the job.
    pub fn report(&self, token: u64, job: &str, outcome: Option<&[u8]>) -> Result<(), Failure> {
        self.usable()?;
        let job: JobId = parse_uuid(job)?.into();
        self.shared.handlers.answer(token, job, outcome.map(input::parse).transpose()?);
        if self.shared.background {
            self.shared.jobs.notify_one();
        } else {
            let shared = self.shared.clone();
            self.handle.spawn(Inside::new(async move {
                AssertUnwindSafe(shared.fill_up()).catch_unwind().await.ok();
            }));
        }
        Ok(())
    }

    /// Ends everything and closes the store. Idempotent; further calls answer `closed`.
    pub fn close(&self) {
        if self.shared.process != std::process::id() || self.shared.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let calls = std::mem::take(&mut *lock(&self.calls));
        for (token, call) in calls {
            call.abort();
            self.shared.outbox.push(Delivery::Completed { token, result: wire::answer(Err(ErrorCode::Closed.into())) });
        }
        let shared = self.shared.clone();
        shared.calls.notify_one();
        let goodbye = async move {
            let _outside = shared.outside.lock().await;
            let _turn = shared.turn.lock().await;
            let _round = shared.round.lock().await;
            shared.subscriptions.pump(&shared.outbox).await;
            shared.subscriptions.clear().await;
            let _shift = shared.shift.lock().await;
            shared.handlers.clear(&shared.outbox).await;
            shared.crm.close().await
        };
        here(&self.handle, &mut || false, async { tokio::time::timeout(FAREWELL, goodbye).await.unwrap_or(Ok(())) })
            .ok();
        self.shared.outbox.close();
        self.shared.work.notify_one();
        self.shared.mail.notify_one();
        self.shared.jobs.notify_one();
        if let Some(runtime) = lock(&self.runtime).take() {
            runtime.shutdown_timeout(FAREWELL);
        }
    }

    fn usable(&self) -> Result<()> {
        if self.shared.process != std::process::id() {
            return Err(ErrorCode::Forked.into());
        }
        if self.shared.closed.load(Ordering::SeqCst) { Err(ErrorCode::Closed.into()) } else { Ok(()) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.shared.process == std::process::id() {
            self.close();
        } else {
            // The threads and the connection belong to the parent: this copy must not touch them.
            let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(runtime.take());
            std::mem::forget(self.shared.clone());
        }
    }
}

/// Names that are no operations of the product but of the handle.
async fn run(shared: &Shared, operation: &str, input: &[u8], context: &[u8]) -> Result<String> {
    let context = wire::context(context)?;
    match operation {
        "engine.run_pending" => wire::output(&shared.run_pending().await?),
        "engine.define_saga" => {
            shared.crm.define_saga_json(input)?;
            shared.work.notify_one();
            wire::output(&())
        }
        "engine.transact" => {
            let transaction: wire::Transaction = input::parse(input)?;
            wire::output(&shared.crm.transact(context, &transaction.steps()).await?)
        }
        // For the tests of bindings: what a defect and a long call look like from outside.
        "engine.panic" => panic!("a test asked for it"),
        "engine.sleep" => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            wire::output(&())
        }
        _ => shared.crm.call(operation, context, input).await,
    }
}

/// What a run did, and how many events and jobs it hands to callbacks.
#[derive(serde::Serialize)]
struct Report {
    #[serde(flatten)]
    work: RunReport,
    delivered: usize,
}

impl Shared {
    /// Does what is due inside.
    async fn work_off(&self) -> Result<RunReport> {
        let _turn = self.turn.lock().await;
        self.crm.run_reactions_and_jobs().await
    }

    /// Does everything that is due.
    async fn run_pending(&self) -> Result<Report> {
        // What handlers have reported may be what other work waits for.
        let handed_out = self.hand_out().await;
        let work = {
            let _turn = self.turn.lock().await;
            self.crm.run_pending().await?
        };
        let events = self.deliver().await;
        let jobs = handed_out + self.hand_out().await + self.beside.swap(0, Ordering::Relaxed);
        Ok(Report { work, delivered: events + jobs })
    }

    /// Hands callbacks what is there for them; says how many events.
    async fn deliver(&self) -> usize {
        let _round = self.round.lock().await;
        self.subscriptions.pump(&self.outbox).await
    }

    /// Looks after the jobs of the handlers; says how many new ones they get.
    async fn hand_out(&self) -> usize {
        let _shift = self.shift.lock().await;
        self.handlers.pump(&self.outbox).await
    }

    /// Gives the place of a job that ended to the next one, while the host waits in `run_pending` for others that are under way. When
    /// none is, the next `run_pending` does it.
    async fn fill_up(&self) {
        let _shift = self.shift.lock().await;
        self.beside.fetch_add(self.handlers.fill_up(&self.outbox).await, Ordering::Relaxed);
    }
}

/// Works whenever it is rung, and looks by itself now and then.
async fn worker(shared: Arc<Shared>) {
    while !shared.closed.load(Ordering::SeqCst) {
        // What fails is kept by the store and tried again; a store that cannot be reached is tried at the next nap.
        AssertUnwindSafe(shared.work_off()).catch_unwind().await.ok();
        let naps = tokio::time::timeout(NAP, shared.work.notified());
        naps.await.ok();
    }
}

/// Makes the calls to the outside, side by side, and takes up new ones while others are under way: whoever is slow to answer
/// keeps nobody waiting but those who wait for it.
async fn caller(shared: Arc<Shared>) {
    let _outside = shared.outside.lock().await;
    let mut under_way = FuturesUnordered::new();
    while !shared.closed.load(Ordering::SeqCst) {
        let free = CALLS.saturating_sub(under_way.len());
        // As in `worker`.
        let claimed = AssertUnwindSafe(shared.crm.claim_calls(free)).catch_unwind().await;
        let claimed = claimed.ok().and_then(Result::ok).unwrap_or_default();
        under_way.extend(claimed.into_iter().map(|call| AssertUnwindSafe(call.run()).catch_unwind()));
        let rung = pin!(tokio::time::timeout(NAP, shared.calls.notified()));
        match under_way.is_empty() {
            true => drop(rung.await),
            false => drop(select(under_way.next(), rung).await),
        }
    }
    while under_way.next().await.is_some() {}
}

/// Delivers whenever it is rung, beside the worker: who listens does not wait for reactions and jobs, of which a busy store
/// always has more.
async fn courier(shared: Arc<Shared>) {
    while !shared.closed.load(Ordering::SeqCst) {
        AssertUnwindSafe(shared.deliver()).catch_unwind().await.ok();
        let naps = tokio::time::timeout(NAP, shared.mail.notified());
        naps.await.ok();
    }
}

/// Hands out jobs when one is done, when one is enqueued and when one becomes due, and holds those that are under way.
async fn foreman(shared: Arc<Shared>) {
    while !shared.closed.load(Ordering::SeqCst) {
        // As in `worker`.
        AssertUnwindSafe(shared.hand_out()).catch_unwind().await.ok();
        match shared.handlers.rest(&shared.crm, NAP).await {
            Some(rest) => drop(tokio::time::timeout(rest, shared.jobs.notified()).await),
            None => shared.jobs.notified().await,
        }
    }
}

/// Runs `future` on this thread with the runtime's timers and sockets at hand.
fn here<T>(
    handle: &Handle,
    interrupted: &mut dyn FnMut() -> bool,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    let _guard = handle.enter();
    let process = std::process::id();
    // A signal handler of the host may fork in the middle of a call.
    let mut interrupted = || interrupted() || process != std::process::id();
    block_on::block_on(future, &mut interrupted).unwrap_or_else(|| Err(ErrorCode::Cancelled.into()))
}

/// A panic is a defect of ours, never the end of the host.
fn defect(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal(format!("panic: {}", text.unwrap_or("without a message")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
