//! Words that every room uses: ids, time, errors, value objects, actors and filters. Pure: no clock, no chance, no I/O.

pub mod error;
mod error_code;
mod id;
pub mod input;
mod kind;
mod time;

pub use error::{Error, ErrorCode, ErrorKind, Errors, Result};
pub use id::*;
pub use kind::{Kind, Subject};
pub use time::{Clock, IdGenerator, Timestamp};
