//! From SQLite's failures to ours.

use rusqlite::ErrorCode as SqliteCode;
use ventros::kernel::{Error, ErrorCode};

/// Locked and unreachable stores are worth another try; an unreadable row is never guessed; all else is a defect.
pub(crate) fn sqlite(error: rusqlite::Error) -> Error {
    match &error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked => ErrorCode::StoreLocked.into(),
            SqliteCode::DatabaseCorrupt | SqliteCode::NotADatabase => Error::corrupt(failure.to_string()),
            SqliteCode::DiskFull
            | SqliteCode::SystemIoFailure
            | SqliteCode::CannotOpen
            | SqliteCode::ReadOnly
            | SqliteCode::PermissionDenied
            | SqliteCode::FileLockingProtocolFailed
            | SqliteCode::OperationInterrupted => Error::unavailable(failure.to_string()),
            _ => Error::internal(error.to_string()),
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => Error::corrupt(format!("a stored value cannot be read: {error}")),
        _ => Error::internal(error.to_string()),
    }
}

/// Lets `?` carry a SQLite failure into either kind of result.
pub(crate) trait Carry<T> {
    fn carry(self) -> Result<T, Error>;
}

impl<T> Carry<T> for rusqlite::Result<T> {
    fn carry(self) -> Result<T, Error> {
        self.map_err(sqlite)
    }
}
