//! Opening a connection, and waiting for other processes.

use crate::errors::Carry;
use crate::{SqliteOptions, Synchronous};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use ventros::kernel::{Error, ErrorCode, Result};

/// Every statement that the adapter writes, with room for filters.
const STATEMENT_CACHE: usize = 512;

#[derive(Debug, Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Memory,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub place: Place,
    pub options: SqliteOptions,
}

impl Settings {
    /// The connection that writes; turns the file to WAL.
    pub(crate) fn open_writer(&self) -> Result<Connection> {
        self.create_file();
        let connection = self.open(OpenFlags::SQLITE_OPEN_CREATE)?;
        self.set_up_writer(&connection)?;
        Ok(connection)
    }

    /// The connection that writes, to a file that was open before.
    pub(crate) fn open_writer_again(&self) -> Result<Connection> {
        let connection = self.open(OpenFlags::empty())?;
        self.set_up_writer(&connection)?;
        Ok(connection)
    }

    /// A new file is its owner's alone; those beside it get the same rights from SQLite. What cannot be created is told by opening it.
    #[cfg(unix)]
    fn create_file(&self) {
        use std::os::unix::fs::OpenOptionsExt;
        if let Place::File(path) = &self.place {
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).ok();
        }
    }

    #[cfg(not(unix))]
    fn create_file(&self) {}

    /// Whether other accounts of the machine may read or write the file, where its rights tell.
    #[cfg(unix)]
    pub(crate) fn open_to_others(&self) -> Result<Option<bool>> {
        use std::os::unix::fs::PermissionsExt;
        let Place::File(path) = &self.place else { return Ok(None) };
        let rights = std::fs::metadata(path).map_err(|error| Error::unavailable(error.to_string()))?.permissions();
        Ok(Some(rights.mode() & 0o077 != 0))
    }

    #[cfg(not(unix))]
    pub(crate) fn open_to_others(&self) -> Result<Option<bool>> {
        Ok(None)
    }

    fn set_up_writer(&self, connection: &Connection) -> Result<()> {
        let synchronous = match self.options.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        };
        connection.pragma_update(None, "synchronous", synchronous).carry()?;
        connection.pragma_update(None, "cache_size", -64 * 1024).carry()?;
        // What is changed or removed is overwritten: erased data must not stay in free parts of pages.
        connection.pragma_update(None, "secure_delete", true).carry()?;
        // Rarely: pages that many commits touch are copied once. At 40 MB the file beside stays small.
        connection.pragma_update(None, "wal_autocheckpoint", 10_000).carry()?;
        connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024).carry()?;
        if let Place::File(_) = self.place {
            self.use_wal(connection)?;
        }
        Ok(())
    }

    pub(crate) fn open_reader(&self) -> Result<Connection> {
        let connection = self.open(OpenFlags::empty())?;
        connection.pragma_update(None, "query_only", true).carry()?;
        connection.pragma_update(None, "cache_size", -16 * 1024).carry()?;
        Ok(connection)
    }

    fn open(&self, more: OpenFlags) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let connection = match &self.place {
            Place::File(path) => Connection::open_with_flags(path, flags),
            Place::Memory => Connection::open_in_memory_with_flags(flags),
        };
        let mut connection = connection.carry()?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        connection.busy_handler(Some(wait_once)).carry()?;
        allow_waiting(self.options.busy_timeout);
        connection.pragma_update(None, "temp_store", "MEMORY").carry()?;
        connection.pragma_update(None, "foreign_keys", false).carry()?;
        // Else a statement is prepared again for every other value of a limit or a bound, because it might deserve another plan.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).carry()?;
        // Whoever can write the file must not have our process run functions from its views and triggers.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).carry()?;
        Ok(connection)
    }

    /// Turning to WAL needs the file for itself for a moment and does not ask the busy handler.
    fn use_wal(&self, connection: &Connection) -> Result<()> {
        let start = Instant::now();
        loop {
            let mode: rusqlite::Result<String> =
                connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0));
            match mode.carry() {
                Err(error) if error.code() == ErrorCode::StoreLocked && start.elapsed() < self.options.busy_timeout => {
                    std::thread::sleep(pause(6));
                }
                mode => return mode.map(|_| ()),
            }
        }
    }
}

thread_local! {
    static WAITING: Cell<(Duration, Option<Instant>)> = const { Cell::new((Duration::ZERO, None)) };
    static CHANCE: Cell<u64> = const { Cell::new(0) };
}

/// Sets how long statements of this thread wait for a lock from now on.
pub(crate) fn allow_waiting(limit: Duration) {
    WAITING.set((limit, None));
}

/// SQLite's busy handler: pauses grow and are jittered, so that processes in a queue do not wake in step.
fn wait_once(count: i32) -> bool {
    let (limit, start) = WAITING.get();
    let start = start.filter(|_| count > 0).unwrap_or_else(Instant::now);
    WAITING.set((limit, Some(start)));
    if start.elapsed() >= limit {
        return false;
    }
    std::thread::sleep(pause(count));
    true
}

/// From 0.1 ms to about 10 ms, give or take a half.
fn pause(count: i32) -> Duration {
    let base = 100u64 << count.clamp(0, 6);
    let mut chance = CHANCE.get();
    if chance == 0 {
        chance = std::process::id().into();
        chance = chance.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ std::ptr::from_ref(&chance) as u64 | 1;
    }
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    CHANCE.set(chance);
    Duration::from_micros(base / 2 + chance % base)
}
