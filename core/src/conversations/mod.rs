//! Conversations: what is said, in which chat and session, and how it gets in and out.

mod agents;
pub mod chat;
pub mod content;
pub mod import;
pub mod inbound;
pub mod message;
mod metrics;
pub mod session;
pub mod visibility;

pub use agents::is_system_agent;
pub use metrics::{Awaiting, SessionMetrics};
