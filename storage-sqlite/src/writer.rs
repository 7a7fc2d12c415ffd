//! The one connection that writes, and group commit.
//!
//! Whoever finds nobody writing writes at once, on its own thread. Work that arrives meanwhile queues up; a helper thread carries
//! all of it in one transaction and hands out the results when that is durable. The thread is started when it is first needed.

use crate::attributes::SearchWords;
use crate::connection::{Place, Settings, allow_waiting};
use crate::errors::Carry;
use crate::fork::{Rest, Task, lay_down};
use crate::migrations;
use futures_channel::oneshot;
use rusqlite::Connection;
use std::cell::RefCell;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use ventros::kernel::{Error, ErrorCode, Result};

/// How many pieces of work share one transaction at most: more would make the first of them wait too long.
const GROUP_MAX: usize = 256;

pub(crate) struct Writer {
    queue: Mutex<Queue>,
    /// Rings when `busy` ends.
    idle: Condvar,
    /// Rings for the helper: when work is handed over, when as much waits as it wants, and on closing.
    handed: Condvar,
    connection: Mutex<Option<Connection>>,
    /// The file was closed for a while. Changes under the lock of the connection.
    rests: AtomicBool,
    settings: Settings,
    data_version: AtomicI64,
    changed_elsewhere: AtomicBool,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Box<dyn Work>>,
    /// Somebody writes, or is just about to.
    busy: bool,
    /// The turn belongs to the helper thread.
    handed_over: Option<Task>,
    /// How much work the helper waits for.
    wanted: usize,
    is_closed: bool,
    helper: Option<JoinHandle<()>>,
}

/// A piece of work that waits for its turn.
trait Work: Send {
    /// Runs in a transaction, possibly once more in another one; false when it failed.
    fn run(&mut self, transaction: &Transaction<'_>) -> bool;
    /// What it did has not become durable.
    fn fail(&mut self, error: Error);
    /// Tells its caller how it went.
    fn reply(self: Box<Self>);
    /// Its caller has gone, so nobody wants it any more.
    fn is_abandoned(&self) -> bool;
}

struct Pending<F, T, E> {
    work: F,
    outcome: Option<Result<T, E>>,
    /// The work goes back with its outcome: its caller is the one with time to take it apart.
    reply: oneshot::Sender<(Result<T, E>, F)>,
}

impl<F, T, E> Work for Pending<F, T, E>
where
    F: Fn(&Transaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> bool {
        let outcome = (self.work)(transaction);
        self.outcome.insert(outcome).is_ok()
    }

    fn fail(&mut self, error: Error) {
        if !matches!(self.outcome, Some(Err(_))) {
            self.outcome = Some(Err(error.into()));
        }
    }

    fn reply(self: Box<Self>) {
        let outcome = self.outcome.unwrap_or_else(|| Err(Error::internal("queued work was not done").into()));
        // Nobody listens when the caller gave up waiting; the work stays done.
        drop(self.reply.send((outcome, self.work)));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_canceled()
    }
}
impl Writer {
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn open(settings: Settings) -> Result<Arc<Self>> {
        let connection = settings.open_writer()?;
        migrations::migrate(&connection)?;
        let data_version = connection.query_row("PRAGMA data_version", [], |row| row.get(0)).carry()?;
        Ok(Arc::new(Writer {
            queue: Mutex::default(),
            idle: Condvar::new(),
            handed: Condvar::new(),
            connection: Mutex::new(Some(connection)),
            rests: AtomicBool::new(false),
            settings,
            data_version: AtomicI64::new(data_version),
            changed_elsewhere: AtomicBool::new(false),
        }))
    }

    /// Runs `work` in a transaction of its own or together with others. `Err` undoes it.
    pub(crate) async fn write<T, E>(
        self: &Arc<Self>,
        work: impl Fn(&Transaction<'_>) -> Result<T, E> + Send + 'static,
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
            queue.waiting.push(Box::new(Pending { work, outcome: None, reply }));
            if queue.waiting.len() == queue.wanted {
                self.handed.notify_one();
            }
            answer
        };
        match answer.await {
            Ok((outcome, _)) => outcome,
            Err(_) => Err(Error::from(ErrorCode::Closed).into()),
        }
    }

    /// As [`write`](Self::write), blocking; for the few places that are no futures.
    pub(crate) fn write_blocking<T>(self: &Arc<Self>, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut queue = self.queue();
        while queue.busy {
            queue = wait(&self.idle, queue);
        }
        if queue.is_closed {
            return Err(ErrorCode::Closed.into());
        }
        queue.busy = true;
        drop(queue);
        self.write_now(work)
    }

    /// How long statements wait for a lock.
    pub(crate) fn busy_timeout(&self) -> Duration {
        self.settings.options.busy_timeout
    }

    /// Reads through this connection, for a store that has no other.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = self.connection()?;
        work(connection.as_ref().ok_or(ErrorCode::Closed)?)
    }

    /// True once after another process, or a connection that is not ours, has committed.
    pub(crate) fn changed_elsewhere(&self) -> bool {
        // Whoever writes at this moment looks for itself.
        if let Ok(mut slot) = self.connection.try_lock() {
            let woken = self.wake(&mut slot);
            let looked = slot.as_ref().map_or(Ok(()), |connection| self.look_elsewhere(connection));
            if woken.and(looked).is_err() {
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
        self.handed.notify_all();
        while queue.busy {
            queue = wait(&self.idle, queue);
        }
        let helper = queue.helper.take();
        drop(queue);
        refuse(refused, ErrorCode::Closed.into());
        // A panic of the helper was reported on its own thread, and its callers have their answers.
        let _ = helper.filter(|helper| helper.thread().id() != std::thread::current().id()).map(JoinHandle::join);
        let mut connection = self.slot();
        self.rests.store(false, Ordering::Release);
        if let Some(connection) = connection.take() {
            connection.flush_prepared_statement_cache();
        }
    }

    /// With the turn in hand.
    fn write_now<T, E: From<Error>>(
        self: &Arc<Self>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut turn = Turn { writer: self, connection: None };
        turn.connection = Some(self.connection()?);
        let connection = turn.connection.as_ref().and_then(|connection| connection.as_ref());
        let connection = connection.ok_or_else(|| Error::from(ErrorCode::Closed))?;
        let transaction = self.begin(connection)?;
        let outcome = work(&transaction)?;
        transaction.commit()?;
        Ok(outcome)
    }

    fn write_group(&self, group: Vec<Box<dyn Work>>) {
        let mut group: Vec<_> = group.into_iter().filter(|work| !work.is_abandoned()).collect();
        if let Err(error) = self.carry_all(&mut group) {
            group.iter_mut().for_each(|work| work.fail(error.clone()));
        }
        group.into_iter().for_each(|work| work.reply());
    }

    fn carry_all(&self, group: &mut [Box<dyn Work>]) -> Result<()> {
        let mut slot = self.connection()?;
        let carried = self.carry(slot.as_ref().ok_or(ErrorCode::Closed)?, group);
        self.leave_none_open(&mut slot);
        if !carried? {
            self.carry_apart(&mut slot, group);
        }
        Ok(())
    }

    /// All in one transaction; false when one of them failed after it had written, so that nothing can stay. Savepoints would
    /// keep the others, but copy every page they touch.
    fn carry(&self, connection: &Connection, group: &mut [Box<dyn Work>]) -> Result<bool> {
        let transaction = self.begin(connection)?;
        for work in group {
            let before = connection.total_changes();
            if !work.run(&transaction) && (connection.is_autocommit() || connection.total_changes() != before) {
                return Ok(false);
            }
        }
        transaction.commit()?;
        Ok(true)
    }

    /// Each in a transaction of its own.
    fn carry_apart(&self, slot: &mut Option<Connection>, group: &mut [Box<dyn Work>]) {
        for work in group {
            let carried = self.carry_alone(slot, &mut **work);
            self.leave_none_open(slot);
            if let Err(error) = carried {
                work.fail(error);
            }
        }
    }

    fn carry_alone(&self, slot: &mut Option<Connection>, work: &mut dyn Work) -> Result<()> {
        self.wake(slot)?;
        let transaction = self.begin(slot.as_ref().ok_or(ErrorCode::Closed)?)?;
        if work.run(&transaction) { transaction.commit() } else { Ok(()) }
    }

    /// Gives the turn back, or to the helper when work waits.
    fn end_turn(self: &Arc<Self>) {
        let mut queue = self.queue();
        if !queue.waiting.is_empty() && self.hand_over(&mut queue) {
            drop(queue);
            self.handed.notify_one();
        } else {
            queue.busy = false;
            drop(queue);
            self.idle.notify_all();
        }
    }

    /// False when there can be no helper; what waited has been refused then.
    fn hand_over(self: &Arc<Self>, queue: &mut Queue) -> bool {
        if queue.helper.is_none() {
            let writer = self.clone();
            let started = std::thread::Builder::new().name("ventros-sqlite".to_owned());
            match started.spawn(move || writer.help()) {
                Ok(helper) => queue.helper = Some(helper),
                Err(error) => {
                    let error = Error::unavailable(format!("no thread for queued commits: {error}"));
                    refuse(std::mem::take(&mut queue.waiting), error);
                }
            }
        }
        queue.handed_over = queue.helper.is_some().then(Task::begin);
        queue.handed_over.is_some()
    }

    /// The helper thread: carries whatever waits, then waits itself.
    fn help(self: Arc<Self>) {
        let mut queue = self.queue();
        loop {
            if queue.handed_over.is_some() && queue.waiting.is_empty() {
                queue.busy = false;
                self.idle.notify_all();
                queue.handed_over = None;
            } else if queue.handed_over.is_some() {
                let size = queue.waiting.len().min(GROUP_MAX);
                let group: Vec<_> = queue.waiting.drain(..size).collect();
                drop(queue);
                let start = Instant::now();
                // A panic inside one piece of work must not stop all that come after it.
                let carried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.write_group(group)));
                if carried.is_err() {
                    self.undo();
                }
                // Half of those who were carried are likely to come again at once; the others prepare the next group meanwhile.
                queue = self.gather(size.div_ceil(2), start.elapsed());
            } else if queue.is_closed {
                return;
            } else {
                queue = wait(&self.handed, queue);
            }
        }
    }

    /// Waits until `wanted` pieces of work are there, but no longer than `patience`: in a large group a commit costs a fraction
    /// of what it costs alone.
    fn gather(&self, wanted: usize, patience: Duration) -> MutexGuard<'_, Queue> {
        let mut queue = self.queue();
        if wanted > 1 {
            queue.wanted = wanted;
            let too_few = |queue: &mut Queue| queue.waiting.len() < wanted && !queue.is_closed;
            let waited = self.handed.wait_timeout_while(queue, patience, too_few);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            queue.wanted = 0;
        }
        queue
    }

    /// Leaves no transaction open.
    fn undo(&self) {
        self.leave_none_open(&mut self.slot());
    }

    /// Leaves no transaction open: it would hold the file from everybody. Where SQLite refuses to roll back, it does so when the
    /// connection is closed; the next one to come opens the file again. A store in memory is nothing but its connection, which is kept.
    fn leave_none_open(&self, slot: &mut Option<Connection>) {
        let Some(connection) = slot.as_ref() else { return };
        if !connection.is_autocommit() {
            // Whether it has is asked below.
            drop(connection.execute_batch("ROLLBACK"));
        }
        if let (false, Place::File(_)) = (connection.is_autocommit(), &self.settings.place) {
            connection.flush_prepared_statement_cache();
            *slot = None;
            self.opens_again();
        }
    }

    /// The connection was closed, and is opened when it is asked for.
    fn opens_again(&self) {
        self.rests.store(true, Ordering::Release);
        // The next connection counts commits from anew: whatever it says is a change.
        self.data_version.store(-1, Ordering::Release);
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

    fn begin<'c>(&self, connection: &'c Connection) -> Result<Transaction<'c>> {
        allow_waiting(self.settings.options.busy_timeout);
        run(connection, "BEGIN IMMEDIATE")?;
        self.look_elsewhere(connection)?;
        Ok(Transaction { connection, words: RefCell::default() })
    }

    /// Pieces of work that wait for their turn.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.queue().waiting.len()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, none after closing; opened again when it rests.
    pub(crate) fn connection(&self) -> Result<MutexGuard<'_, Option<Connection>>> {
        let mut slot = self.slot();
        self.wake(&mut slot)?;
        Ok(slot)
    }

    fn wake(&self, slot: &mut Option<Connection>) -> Result<()> {
        if self.rests.load(Ordering::Acquire) {
            *slot = Some(self.settings.open_writer_again()?);
            self.rests.store(false, Ordering::Release);
        }
        Ok(())
    }

    fn slot(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rest for Writer {
    fn rest(&self) {
        let Place::File(_) = self.settings.place else { return };
        if let Some(connection) = self.slot().take() {
            lay_down(connection);
            self.opens_again();
        }
    }
}

fn wait<'q>(bell: &Condvar, queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
    bell.wait(queue).unwrap_or_else(PoisonError::into_inner)
}

/// An open transaction. It ends with what is written best for everybody at once.
pub(crate) struct Transaction<'c> {
    connection: &'c Connection,
    words: RefCell<Vec<SearchWords>>,
}

impl Transaction<'_> {
    /// Leaves the words of a row for the end: the search writes a piece of its index whenever other statements come between.
    pub(crate) fn write_words(&self, words: SearchWords) {
        self.words.borrow_mut().push(words);
    }

    fn commit(self) -> Result<()> {
        for words in self.words.take() {
            words.write(self.connection)?;
        }
        run(self.connection, "COMMIT")
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

fn refuse(waiting: Vec<Box<dyn Work>>, error: Error) {
    for mut work in waiting {
        work.fail(error.clone());
        work.reply();
    }
}

/// The right to write. Whatever is left undone is undone when it ends, even by a panic.
struct Turn<'w> {
    writer: &'w Arc<Writer>,
    connection: Option<MutexGuard<'w, Option<Connection>>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(mut slot) = self.connection.take() {
            self.writer.leave_none_open(&mut slot);
        }
        self.writer.end_turn();
    }
}

fn run(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).carry().map(|_| ())
}
