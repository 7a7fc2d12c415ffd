//! The connections of a store: opened when none is free, up to a number, and then callers wait their turn.

use crate::connection::{Connection, Settings};
use crate::hints::Hints;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use ventros::kernel::{Error, ErrorCode, Result};

/// Connections and the one thread that drives them: callers may be on any executor, or on none.
pub(crate) struct Pool {
    pub settings: Arc<Settings>,
    pub hints: Arc<Hints>,
    listening: Mutex<Option<JoinHandle<()>>>,
    places: Arc<Semaphore>,
    size: u32,
    free: Mutex<Vec<Connection>>,
    is_closed: AtomicBool,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
}

impl Pool {
    pub(crate) fn new(settings: Settings) -> Result<Arc<Self>> {
        let threads =
            Builder::new_multi_thread().worker_threads(1).thread_name("ventros-postgres").enable_all().build();
        let runtime = threads.map_err(|error| Error::unavailable(format!("no thread for the connections: {error}")))?;
        let size = u32::from(settings.options.connections.clamp(2, 1_000));
        Ok(Arc::new(Pool {
            settings: Arc::new(settings),
            hints: Hints::new(),
            listening: Mutex::default(),
            places: Arc::new(Semaphore::new(size as usize)),
            size,
            free: Mutex::default(),
            is_closed: AtomicBool::new(false),
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
        }))
    }

    /// Hears what others say from now on.
    pub(crate) fn listen(&self) {
        let task = self.handle.spawn(self.hints.clone().run(self.settings.clone()));
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Runs something beside the callers, until it is done or the store is gone.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(work);
    }

    /// A connection for one caller.
    pub(crate) async fn lend(self: &Arc<Self>) -> Result<Loan> {
        self.check_open()?;
        let permit = self.places.clone().acquire_owned().await.map_err(|_| ErrorCode::Closed)?;
        self.check_open()?;
        let connection = match self.take_free() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Loan { pool: self.clone(), connection: Some(connection), permit: Some(permit), is_busy: false })
    }

    /// A connection that belongs to nobody else.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let settings = self.settings.clone();
        let connecting = self.handle.spawn(async move { settings.connect().await });
        connecting.await.map_err(|_| ErrorCode::Closed)?
    }

    /// Waits for the work under way and closes all connections. Idempotent.
    pub(crate) async fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        if let Some(task) = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        // Whoever waits for a place now is told so before it gets one.
        drop(self.places.acquire_many(self.size).await);
        self.places.close();
        self.free().clear();
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(ErrorCode::Closed.into()) } else { Ok(()) }
    }

    /// One that still works, as far as anybody knows.
    fn take_free(&self) -> Option<Connection> {
        let mut free = self.free();
        while let Some(connection) = free.pop() {
            if !connection.client.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn give_back(&self, connection: Connection) {
        if !connection.client.is_closed() && !self.is_closed.load(Ordering::Acquire) {
            self.free().push(connection);
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Waiting for the thread could be waiting for ourselves.
        runtime.into_iter().for_each(Runtime::shutdown_background);
    }
}

/// A connection on loan.
pub(crate) struct Loan {
    pool: Arc<Pool>,
    connection: Option<Connection>,
    permit: Option<OwnedSemaphorePermit>,
    /// A transaction may be open on it.
    pub is_busy: bool,
}

impl Loan {
    /// Nobody shall have this connection again.
    pub(crate) fn abandon(mut self) {
        self.connection = None;
    }
}

impl Deref for Loan {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a loan has its connection until it is dropped")
    }
}

impl Drop for Loan {
    /// A caller that stopped waiting leaves a transaction behind, which is undone before anybody else has the connection.
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !self.is_busy {
            self.pool.give_back(connection);
            return;
        }
        let (pool, permit) = (self.pool.clone(), self.permit.take());
        self.pool.handle.spawn(async move {
            if connection.client.batch_execute("ROLLBACK").await.is_ok() {
                pool.give_back(connection);
            }
            drop(permit);
        });
    }
}
