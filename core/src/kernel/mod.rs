//! Words that every room uses: ids, time, errors, value objects, actors and filters. Pure: no clock, no chance, no I/O.

#[macro_use]
mod text_enum;

mod actor;
pub mod error;
mod error_code;
mod id;
pub mod input;
mod kind;
mod patch;
mod permission;
pub mod pii;
pub mod text;
mod time;

pub use actor::{Actor, ActorKind, ActorRef, Component, Source, Via, refuse_reserved};
pub use error::{Error, ErrorCode, ErrorKind, Errors, Result};
pub use id::*;
pub use kind::{Kind, Subject};
pub use patch::Patch;
pub use permission::{AgentPreset, MemberRole, Permission, PermissionSet, PlatformRole};
pub use text::{ExternalId, fold, name};
pub use time::{Clock, IdGenerator, Timestamp};
