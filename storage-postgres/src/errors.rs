//! From PostgreSQL's failures to ours. Nothing of the address or the password gets into a message: the server's own words name
//! users and databases, never more.

use tokio_postgres::error::SqlState;
use ventros::kernel::{Error, ErrorCode};

/// Unreachable, busy and refusing servers are worth another try; an unreadable row is never guessed; all else is a defect.
pub(crate) fn postgres(error: tokio_postgres::Error) -> Error {
    let Some(told) = error.as_db_error() else { return without_answer(&error) };
    let (code, message) = (told.code(), told.message());
    if is_conflict(&error) || *code == SqlState::LOCK_NOT_AVAILABLE {
        return Error::new(ErrorCode::StoreLocked).message(message);
    }
    match code.code().get(..2) {
        // No connection, no privilege, no resources, an operator at work, a system error, a read-only server.
        Some("08" | "28" | "3D" | "53" | "57" | "58" | "25") => Error::unavailable(message),
        Some("XX") => Error::corrupt(message),
        _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => Error::unavailable(message),
        _ => Error::internal(format!("{message} ({})", code.code())),
    }
}

/// Why there is no connection: nobody answers (`unreachable`), or the server does not want us (`refused`), for which another try
/// would need another address.
pub(crate) fn unconnected(error: tokio_postgres::Error) -> Error {
    let class = error.code().and_then(|code| code.code().get(..2));
    let is_refused = matches!(class, Some("28" | "3D" | "42")) || error.to_string().contains("TLS");
    postgres(error).with("reason", if is_refused { "refused" } else { "unreachable" })
}

fn without_answer(error: &tokio_postgres::Error) -> Error {
    let text = error.to_string();
    if text.starts_with("error retrieving column") || text.starts_with("error deserializing") {
        return Error::corrupt(format!("a stored value cannot be read: {text}"));
    }
    if text.starts_with("error serializing parameter") || text.starts_with("unexpected") {
        return Error::internal(text);
    }
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Error::unavailable(format!("{text}{cause}"))
}

/// Two transactions were in each other's way; one of them was sent back, and may come again at once.
pub(crate) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    let conflicts = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE];
    error.code().is_some_and(|code| conflicts.contains(code))
}

/// Lets `?` carry a failure of PostgreSQL into either kind of result.
pub(crate) trait Carry<T> {
    fn carry(self) -> Result<T, Error>;
}

impl<T> Carry<T> for Result<T, tokio_postgres::Error> {
    fn carry(self) -> Result<T, Error> {
        self.map_err(postgres)
    }
}
