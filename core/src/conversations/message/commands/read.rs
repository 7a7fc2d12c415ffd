//! Reading and playing, on our side.

use crate::conversations::message::{Direction, Message, tell_read};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{Error, ErrorCode, MessageId, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most messages of one call.
const MAX_IDS: usize = 100;

/// Notes that our side read inbound messages, or played their voice notes and sounds. What was read stays read.
///
/// Limits: 1 to 100 messages. Only inbound ones (`invalid_state`). What a chat counts as unread is `chats.mark_read`. Where the channel
/// has read receipts, the provider is told of those that were not read before, by jobs of the same commit (`channel.mark_read`): one for
/// each chat, in groups for each author, with tries as for `messages.edit`. A host that sends by itself tells its provider on
/// `message.read`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkMessageRead {
    pub ids: Vec<MessageId>,
    /// They were played; the same as read for everything that cannot be played.
    #[serde(default)]
    pub played: bool,
}

impl Command for MarkMessageRead {
    const NAME: &'static str = "messages.mark_read";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::MessageNotFound, ErrorCode::InvalidState, ErrorCode::LimitOutOfRange];
    type Output = Vec<Message>;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Vec<Message>> {
        if self.ids.is_empty() || self.ids.len() > MAX_IDS {
            return Err(Error::new(ErrorCode::LimitOutOfRange).at("ids").with("min", 1).with("max", MAX_IDS));
        }
        work.prefetch::<Message>(&self.ids).await?;
        let now = work.now();
        let mut read = Vec::with_capacity(self.ids.len());
        let mut news = Vec::new();
        for (place, id) in self.ids.iter().enumerate() {
            let mut message = work.load::<Message>(*id).await.map_err(|e| e.at(format!("ids[{place}]")))?;
            if message.direction != Direction::Inbound {
                return Err(message.wrong_status().at(format!("ids[{place}]")));
            }
            let is_news = match self.played && message.is_playable() {
                true => message.mark_played(now),
                false => message.mark_read(now),
            };
            let message = work.save(message)?;
            if is_news {
                news.push(message.clone());
            }
            read.push(message);
        }
        tell_read(work, &news).await?;
        Ok(read)
    }
}
