//! For tests of hosts and adapters: a clock moved by hand, ids from a seed, and a store in memory. Feature `testing`.

mod deaths;
mod outside;
mod watched;
mod year;

pub use crate::seeded::SeededIds;
pub use deaths::die_everywhere;
pub use outside::FakeOutside;
pub use watched::{Fault, WatchedStorage};
pub use year::days_pass;

use crate::engine::{Crm, Decision, Project, Reaction, RunReport, Settings, UnitOfWork};
use crate::http::HttpTransport;
use crate::kernel::{ActorRef, Clock, Component, ProjectId, Result, Timestamp};
use crate::storage::Storage;
use crate::tenancy::project::commands::{CreateProject, found_as};
use crate::vault::StaticKey;
use futures_util::future::BoxFuture;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at an RFC 3339 instant.
    pub fn at(text: &str) -> Arc<Self> {
        let start = Timestamp::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        Arc::new(ManualClock(AtomicI64::new(start.micros())))
    }

    pub fn advance_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    pub fn set(&self, text: &str) {
        let to = Timestamp::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        self.0.store(to.micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).expect("a manual clock stays inside the calendar")
    }
}

/// Waits for a future on this thread, without a runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Runs reactions that a test brings along, as [`run_pending`](Crm::run_pending) runs those of the library.
pub async fn react(crm: &Crm, reactions: &[Reaction]) -> Result<RunReport> {
    let mut report = RunReport::default();
    crm.run_reactions(reactions.iter(), &mut report).await?;
    Ok(report)
}

/// An installation for one test.
pub struct World {
    pub crm: Crm,
    pub clock: Arc<ManualClock>,
}

impl World {
    /// In memory, at 2025-01-06T09:00:00Z (a Monday), seed 1.
    pub fn new() -> World {
        World::on(Arc::new(crate::storage::MemoryStorage::default())).expect("a fresh store in memory opens")
    }

    /// As [`new`](World::new), with a vault: its key is 32 times the byte 7.
    pub fn with_vault() -> World {
        World::with_keys(Arc::new(crate::storage::MemoryStorage::default()), [7; 32])
            .expect("a fresh store in memory opens")
    }

    /// On any store, with a vault of one key.
    pub fn with_keys(storage: Arc<dyn Storage>, key: [u8; 32]) -> Result<World> {
        World::resume(storage, key, 1)
    }

    /// With a vault as [`with_vault`](World::with_vault), and a way to the outside.
    #[track_caller]
    pub fn with_http(storage: Arc<dyn Storage>, http: Arc<dyn HttpTransport>) -> World {
        let clock = ManualClock::at("2025-01-06T09:00:00Z");
        let keys = StaticKey::new([7; 32]).expect("a key has 32 bytes");
        let settings =
            Settings::new(storage, clock.clone(), SeededIds::new(1)).with_keys(Arc::new(keys)).with_http(http);
        World { crm: block_on(Crm::open(settings)).expect("the store opens"), clock }
    }

    /// As [`with_keys`](World::with_keys), with a seed of its own: for a store that has something in it already.
    pub fn resume(storage: Arc<dyn Storage>, key: [u8; 32], seed: u64) -> Result<World> {
        let clock = ManualClock::at("2025-01-06T09:00:00Z");
        let settings = Settings::new(storage, clock.clone(), SeededIds::new(seed));
        let settings = settings.with_keys(Arc::new(StaticKey::new(key)?));
        Ok(World { crm: block_on(Crm::open(settings))?, clock })
    }

    /// A project under a chosen id, owned by nobody, for tests that name it.
    #[track_caller]
    pub fn found(&self, id: ProjectId) -> Project {
        struct Found(ProjectId);
        impl Decision<()> for Found {
            fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<()>> {
                let input = CreateProject { name: format!("Project {}", self.0), ..CreateProject::default() };
                Box::pin(async move { found_as(work, self.0, input, None).await.map(drop) })
            }
        }
        let context = crate::engine::Context::new(None, ActorRef::system(Component::Host));
        block_on(self.crm.transaction(context, None, &Found(id)))
            .map(drop)
            .expect("a project with an unused id starts");
        self.crm.project(id)
    }

    /// Panics unless every snapshot is the fold of the log, byte for byte.
    #[track_caller]
    pub fn assert_log_matches(&self) {
        let heads = block_on(self.crm.core().storage().heads()).expect("the heads are readable");
        for (project, _) in heads {
            let differences = block_on(self.crm.differences(project)).expect("the log is readable");
            assert!(differences.is_empty(), "snapshots differ from the log: {differences:#?}");
        }
    }

    /// On any store, with the same clock and seed.
    pub fn on(storage: Arc<dyn Storage>) -> Result<World> {
        let clock = ManualClock::at("2025-01-06T09:00:00Z");
        let settings = Settings::new(storage, clock.clone(), SeededIds::new(1));
        Ok(World { crm: block_on(Crm::open(settings))?, clock })
    }
}

impl Default for World {
    fn default() -> Self {
        World::new()
    }
}
