//! Connections that read while another one writes.

use crate::connection::{Settings, allow_waiting};
use crate::fork::{Rest, lay_down};
use rusqlite::Connection;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use ventros::kernel::{ErrorCode, Result};

/// A pool that opens a connection when none is free, up to its size, and then lets callers wait.
pub(crate) struct Readers {
    settings: Settings,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    free: Vec<Connection>,
    lent: usize,
    is_closed: bool,
}

impl Readers {
    pub(crate) fn new(settings: Settings) -> Self {
        Readers { settings, pool: Mutex::default(), returned: Condvar::new() }
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let loan = self.lend()?;
        allow_waiting(self.settings.options.busy_timeout);
        work(loan.connection.as_ref().expect("a loan has its connection until it is dropped"))
    }

    fn lend(&self) -> Result<Loan<'_>> {
        let mut pool = self.pool();
        loop {
            if pool.is_closed {
                return Err(ErrorCode::Closed.into());
            }
            if let Some(connection) = pool.free.pop() {
                pool.lent += 1;
                return Ok(Loan { readers: self, connection: Some(connection) });
            }
            if pool.lent < self.settings.options.readers.max(1) {
                pool.lent += 1;
                drop(pool);
                let mut loan = Loan { readers: self, connection: None };
                loan.connection = Some(self.settings.open_reader()?);
                return Ok(loan);
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns when no connection is open any more.
    pub(crate) fn close(&self) {
        let mut pool = self.pool();
        pool.is_closed = true;
        pool.free.clear();
        self.returned.notify_all();
        while pool.lent > 0 {
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rest for Readers {
    fn rest(&self) {
        self.pool().free.drain(..).for_each(lay_down);
    }
}

/// A connection on loan; it goes back even when its borrower panics.
struct Loan<'r> {
    readers: &'r Readers,
    connection: Option<Connection>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool();
        pool.lent -= 1;
        // A transaction that is still open would keep its old view of the data.
        let connection = self.connection.take().filter(|connection| connection.is_autocommit() && !pool.is_closed);
        pool.free.extend(connection);
        match pool.is_closed {
            true => self.readers.returned.notify_all(),
            // One connection serves one of those who wait.
            false => self.readers.returned.notify_one(),
        }
    }
}
