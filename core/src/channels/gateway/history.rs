//! The contract with a provider that keeps the history of its conversations: requests that are built and answers that are read, without
//! a call.

use super::{ChatRef, GatewayContext, GatewayError, GatewayLine, InboundMessage};
use crate::engine::Answer;
use crate::http::HttpRequest;
use crate::kernel::Timestamp;

/// Tells what was said before the line was connected. Sources are values without state; [`history`](super::history) finds them by name.
pub trait HistorySource: Send + Sync {
    /// The name that channel types refer to, for example `waha`.
    fn code(&self) -> &'static str;

    /// Whether the channel says where its provider is.
    fn can_reach(&self, line: &GatewayLine) -> bool;

    /// Asks for the chats from the one at `offset` on, the busiest first.
    fn chats(&self, line: &GatewayLine, offset: u64, limit: u32) -> Result<HttpRequest, GatewayError>;

    /// The chats that were asked for. None of them: there are no more.
    fn read_chats(&self, answer: &Answer) -> Result<Vec<HistoryChat>, GatewayError>;

    /// Asks for messages of a chat, the newest first.
    fn messages(&self, line: &GatewayLine, range: &HistoryRange<'_>) -> Result<HttpRequest, GatewayError>;

    /// The messages that were asked for. None of them: there are no more.
    fn read_messages(&self, context: &GatewayContext, answer: &Answer) -> Result<Vec<HistoryEntry>, GatewayError>;
}

/// A chat with a history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryChat {
    pub chat: ChatRef,
    pub name: Option<String>,
}

/// A stretch of the history of one chat.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRange<'r> {
    /// The id of the chat at the provider.
    pub chat: &'r str,
    /// Nothing older.
    pub from: Option<Timestamp>,
    /// Nothing newer; what was said at this second is part of it.
    pub until: Option<Timestamp>,
    /// So many of the newest are left out.
    pub offset: u64,
    pub limit: u32,
}

/// One entry of a history, a message or something that is none.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// What tells it from the others of its chat.
    pub id: Option<String>,
    pub at: Option<Timestamp>,
    pub what: HistoryWhat,
}

/// What an entry of a history is.
#[derive(Debug, Clone, PartialEq)]
pub enum HistoryWhat {
    Message(Box<InboundMessage>),
    /// Talk between devices, a story: left out on purpose.
    Nothing,
    /// It cannot be read.
    Unreadable,
}
