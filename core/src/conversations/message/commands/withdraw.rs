//! Taking back what has not gone out, and trying again what failed.

use super::reason;
use crate::channels::channel::Channel;
use crate::conversations::chat::Chat;
use crate::conversations::message::{Message, metrics_if, timers};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{Error, ErrorCode, MessageId, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Withdraws a message that is scheduled or queued. One that a dispatcher has taken can only be revoked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelMessage {
    pub id: MessageId,
    /// At most 1 000 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for CancelMessage {
    const NAME: &'static str = "messages.cancel";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::MessageNotFound, ErrorCode::InvalidState, ErrorCode::TextTooLong, ErrorCode::TextControlChar];
    type Output = Message;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Message> {
        let reason = reason(self.reason.as_deref())?;
        let mut message = work.load::<Message>(self.id).await?;
        let metrics = match message.status.counts() {
            true => metrics_if(work, &message, false).await?,
            false => None,
        };
        message.cancel(reason, metrics)?;
        timers::disarm(work, &message);
        work.save(message)
    }
}

/// Puts a failed message into the queue again, as if it had never been tried.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryMessage {
    pub id: MessageId,
}

impl Command for RetryMessage {
    const NAME: &'static str = "messages.retry";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MessageNotFound,
        ErrorCode::InvalidState,
        ErrorCode::ChannelNotFound,
        ErrorCode::ChannelNotActive,
        ErrorCode::ChatNotFound,
        ErrorCode::ChatClosed,
        ErrorCode::ExpiryInvalid,
    ];
    type Output = Message;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Message> {
        let mut message = work.load::<Message>(self.id).await?;
        let metrics = metrics_if(work, &message, true).await?;
        message.queue_again(metrics)?;
        if message.is_overdue(work.now()) {
            return Err(Error::new(ErrorCode::ExpiryInvalid).at("id"));
        }
        let channel = work.reader().get::<Channel>(message.channel_id).await?;
        if !channel.accepts_outbound() {
            return Err(Error::new(ErrorCode::ChannelNotActive).with("status", channel.status.as_str()));
        }
        if work.load::<Chat>(message.chat_id).await?.is_closed() {
            return Err(ErrorCode::ChatClosed.into());
        }
        timers::arm(work, &message);
        work.save(message)
    }
}
