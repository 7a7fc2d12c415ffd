//! The one connection that writes, and group commit.
//!
//! Whoever finds nobody writing writes at once, on its own thread. Work that arrives meanwhile queues up; a helper thread carries
//! all of it in one transaction and hands out the results when that is durable. The thread is started when it is first needed.

use crate::connection::{Settings, allow_waiting};
use crate::errors::Carry;
use crate::migrations;
use futures_channel::oneshot;
use rusqlite::Connection;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use ventros::kernel::{Error, ErrorCode, Result};

/// How many pieces of work share one transaction at most: more would make the first of them wait too long.
const GROUP_MAX: usize = 256;

pub(crate) struct Writer {
    queue: Mutex<Queue>,
    /// Rings when `busy` ends, when work is handed over, and on closing.
    changed: Condvar,
    connection: Mutex<Option<Connection>>,
    busy_timeout: Duration,
    data_version: AtomicI64,
    changed_elsewhere: AtomicBool,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Box<dyn Work>>,
    /// Somebody writes, or is just about to.
    busy: bool,
    /// The turn belongs to the helper thread.
    handed_over: bool,
    is_closed: bool,
    helper: Option<JoinHandle<()>>,
}

/// A piece of work that waits for its turn.
trait Work: Send {
    /// Runs in a savepoint; false when it must be undone.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Tells its caller how it went, and whether the transaction around it held.
    fn reply(self: Box<Self>, committed: Result<()>);
    /// Its caller has gone, so nobody wants it any more.
    fn is_abandoned(&self) -> bool;
}

struct Pending<F, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Work for Pending<F, T, E>
where
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.outcome = self.work.take().map(|work| work(connection));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn reply(self: Box<Self>, committed: Result<()>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (Some(outcome), Ok(())) => outcome,
            (None, Ok(())) => Err(Error::internal("queued work was not done").into()),
        };
        // Nobody listens when the caller gave up waiting; the work stays done.
        drop(self.reply.send(outcome));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_canceled()
    }
}

impl Writer {
    pub(crate) fn open(settings: &Settings) -> Result<Arc<Self>> {
        let connection = settings.open_writer()?;
        migrations::migrate(&connection)?;
        let data_version = connection.query_row("PRAGMA data_version", [], |row| row.get(0)).carry()?;
        Ok(Arc::new(Writer {
            queue: Mutex::default(),
            changed: Condvar::new(),
            connection: Mutex::new(Some(connection)),
            busy_timeout: settings.options.busy_timeout,
            data_version: AtomicI64::new(data_version),
            changed_elsewhere: AtomicBool::new(false),
        }))
    }

    /// Runs `work` in a transaction of its own or together with others. `Err` undoes it.
    pub(crate) async fn write<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let answer = {
            let mut queue = self.queue();
            if queue.is_closed {
                return Err(Error::from(ErrorCode::Closed).into());
            }
            if !queue.busy {
                queue.busy = true;
                drop(queue);
                return self.write_now(work);
            }
            let (reply, answer) = oneshot::channel();
            queue.waiting.push(Box::new(Pending { work: Some(work), outcome: None, reply }));
            answer
        };
        answer.await.unwrap_or_else(|_| Err(Error::from(ErrorCode::Closed).into()))
    }

    /// As [`write`](Self::write), blocking; for the few places that are no futures.
    pub(crate) fn write_blocking<T>(self: &Arc<Self>, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut queue = self.queue();
        while queue.busy {
            queue = self.wait(queue);
        }
        if queue.is_closed {
            return Err(ErrorCode::Closed.into());
        }
        queue.busy = true;
        drop(queue);
        self.write_now(work)
    }

    /// Reads through this connection, for a store that has no other.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = self.connection();
        work(connection.as_ref().ok_or(ErrorCode::Closed)?)
    }

    /// True once after another process, or a connection that is not ours, has committed.
    pub(crate) fn changed_elsewhere(&self) -> bool {
        // Whoever writes at this moment looks for itself.
        if let Ok(connection) = self.connection.try_lock() {
            let looked = connection.as_ref().map(|connection| self.look_elsewhere(connection));
            if let Some(Err(_)) = looked {
                // Not knowing is a reason to look.
                return true;
            }
        }
        self.changed_elsewhere.swap(false, Ordering::AcqRel)
    }

    /// Waits for the work under way, refuses what waits, and closes the file. Idempotent.
    pub(crate) fn close(&self) {
        let mut queue = self.queue();
        queue.is_closed = true;
        let refused = std::mem::take(&mut queue.waiting);
        self.changed.notify_all();
        while queue.busy {
            queue = self.wait(queue);
        }
        let helper = queue.helper.take();
        drop(queue);
        refused.into_iter().for_each(|work| work.reply(Err(ErrorCode::Closed.into())));
        // A panic of the helper was reported on its own thread, and its callers have their answers.
        let _ = helper.filter(|helper| helper.thread().id() != std::thread::current().id()).map(JoinHandle::join);
        if let Some(connection) = self.connection().take() {
            connection.flush_prepared_statement_cache();
        }
    }

    /// With the turn in hand.
    fn write_now<T, E: From<Error>>(self: &Arc<Self>, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let turn = Turn { writer: self, connection: Some(self.connection()) };
        let connection = turn.connection.as_ref().and_then(|connection| connection.as_ref());
        let connection = connection.ok_or_else(|| Error::from(ErrorCode::Closed))?;
        self.begin(connection)?;
        let outcome = work(connection)?;
        run(connection, "COMMIT")?;
        Ok(outcome)
    }

    fn write_group(&self, group: Vec<Box<dyn Work>>) {
        let mut connection = self.connection();
        let mut group: Vec<_> = group.into_iter().filter(|work| !work.is_abandoned()).collect();
        let committed = match connection.as_mut() {
            None => Err(ErrorCode::Closed.into()),
            Some(connection) => {
                let committed = self.carry(connection, &mut group);
                if committed.is_err() && !connection.is_autocommit() {
                    drop(connection.execute_batch("ROLLBACK"));
                }
                committed
            }
        };
        drop(connection);
        group.into_iter().for_each(|work| work.reply(committed.clone()));
    }

    fn carry(&self, connection: &Connection, group: &mut [Box<dyn Work>]) -> Result<()> {
        self.begin(connection)?;
        for work in group {
            run(connection, "SAVEPOINT work")?;
            if !work.run(connection) {
                run(connection, "ROLLBACK TO work")?;
            }
            run(connection, "RELEASE work")?;
        }
        run(connection, "COMMIT")
    }

    /// Gives the turn back, or to the helper when work waits.
    fn end_turn(self: &Arc<Self>) {
        let mut queue = self.queue();
        if queue.waiting.is_empty() {
            queue.busy = false;
        } else {
            queue.handed_over = true;
            if queue.helper.is_none() {
                let writer = self.clone();
                let started = std::thread::Builder::new().name("ventros-sqlite".to_owned());
                match started.spawn(move || writer.help()) {
                    Ok(helper) => queue.helper = Some(helper),
                    Err(error) => {
                        let error = Error::unavailable(format!("no thread for queued commits: {error}"));
                        queue.handed_over = false;
                        queue.busy = false;
                        for work in std::mem::take(&mut queue.waiting) {
                            work.reply(Err(error.clone()));
                        }
                    }
                }
            }
        }
        drop(queue);
        self.changed.notify_all();
    }

    /// The helper thread: carries whatever waits, then waits itself.
    fn help(self: Arc<Self>) {
        let mut queue = self.queue();
        loop {
            if queue.handed_over {
                let size = queue.waiting.len().min(GROUP_MAX);
                let group: Vec<_> = queue.waiting.drain(..size).collect();
                if group.is_empty() {
                    queue.handed_over = false;
                    queue.busy = false;
                    self.changed.notify_all();
                    continue;
                }
                drop(queue);
                // A panic inside one piece of work must not stop all that come after it.
                let carried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.write_group(group)));
                if carried.is_err() {
                    self.undo();
                }
                queue = self.queue();
            } else if queue.is_closed {
                return;
            } else {
                queue = self.wait(queue);
            }
        }
    }

    /// Leaves no transaction open.
    fn undo(&self) {
        if let Some(connection) = self.connection().as_ref().filter(|connection| !connection.is_autocommit()) {
            drop(connection.execute_batch("ROLLBACK"));
        }
    }

    /// The number changes when another connection commits, never by this one's own commits.
    fn look_elsewhere(&self, connection: &Connection) -> Result<()> {
        let mut statement = connection.prepare_cached("PRAGMA data_version").carry()?;
        let version: i64 = statement.query_row([], |row| row.get(0)).carry()?;
        if self.data_version.swap(version, Ordering::AcqRel) != version {
            self.changed_elsewhere.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn begin(&self, connection: &Connection) -> Result<()> {
        allow_waiting(self.busy_timeout);
        run(connection, "BEGIN IMMEDIATE")?;
        self.look_elsewhere(connection)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'q>(&self, queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write. Whatever is left undone is undone when it ends, even by a panic.
struct Turn<'w> {
    writer: &'w Arc<Writer>,
    connection: Option<MutexGuard<'w, Option<Connection>>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take();
        let open = connection.as_ref().and_then(|connection| connection.as_ref());
        if let Some(connection) = open.filter(|connection| !connection.is_autocommit()) {
            // SQLite has rolled back already where this fails.
            drop(connection.execute_batch("ROLLBACK"));
        }
        drop(connection);
        self.writer.end_turn();
    }
}

fn run(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).carry().map(|_| ())
}
