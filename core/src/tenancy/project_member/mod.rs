//! Who belongs to a project, with which role: the access model of everything inside it.

pub mod commands;
mod events;
mod grants;
mod guards;
pub mod queries;
pub mod reactions;
mod state;

pub use events::{NewMember, ProjectMemberEvent};
pub use grants::Grants;
pub use state::{Invitation, JoinVia, MemberStatus, ProjectMember, RemovalReason};
