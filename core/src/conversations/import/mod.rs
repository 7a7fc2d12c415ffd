//! The history of a line: what was said before it was connected becomes chats, messages and sessions, without disturbing anybody.
//!
//! `job` and `chat` are the records of an import, `page` stores what was said in one chat, `cutting` makes its sessions. `fetching`
//! asks the provider, a page of a chat at a time; `course` decides how an import goes on. A host that holds the history itself gives
//! pages to `imports.store`.

mod chat;
pub mod commands;
mod course;
mod cutting;
mod fetching;
mod job;
mod message;
mod page;
pub mod queries;
pub(crate) mod reactions;

pub use chat::{ImportChat, ImportChatStatus, ImportCounts};
pub use fetching::OUTSIDE_JOBS;
pub use job::{ImportJob, ImportStatus};
pub use message::HistoryMessage;
