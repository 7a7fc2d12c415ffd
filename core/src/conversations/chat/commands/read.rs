//! Read marks.

use crate::conversations::chat::{Chat, ChatEvent};
use crate::conversations::inbound::{count_inbound_after, unread_between};
use crate::conversations::message::{Message, tell_read};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{ChatId, Error, ErrorCode, MessageId, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most messages that a provider is told of at once.
const MAX_TOLD: usize = 100;

/// Our side has read a chat, up to a message or to its end. Later inbound messages stay unread.
///
/// Where the channel has read receipts, the provider is told by a job of the same commit (`channel.mark_read`) of the newest 100 messages
/// since the last such mark that were not read one by one (`messages.mark_read`), in groups by one for each author. A host that sends by
/// itself tells its provider on `chat.marked_read`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkChatRead {
    pub id: ChatId,
    /// Default: everything.
    #[serde(default)]
    pub up_to_message_id: Option<MessageId>,
}

impl Command for MarkChatRead {
    const NAME: &'static str = "chats.mark_read";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChatNotFound, ErrorCode::MessageNotFound];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        let (last_read_message_id, read_up_to) = match self.up_to_message_id {
            Some(id) => {
                let message = work.load::<Message>(id).await.map_err(|e| e.at_least("up_to_message_id"))?;
                if message.chat_id != chat.id {
                    return Err(Error::new(ErrorCode::MessageNotFound)
                        .at("up_to_message_id")
                        .with("id", id.to_string()));
                }
                (Some(id), Some(message.timestamp))
            }
            None => (chat.last_message.as_ref().map(|last| last.message_id), chat.last_inbound_at),
        };
        if read_up_to <= chat.read_up_to && chat.last_read_message_id.is_some() {
            return Ok(chat.state().clone());
        }
        let unread_count = match read_up_to {
            Some(at) if chat.last_inbound_at.is_some_and(|last| last > at) => {
                count_inbound_after(work, chat.id, at).await?
            }
            _ => 0,
        };
        if unread_count == chat.unread_count && chat.last_read_message_id == last_read_message_id {
            return Ok(chat.state().clone());
        }
        if let Some(until) = read_up_to.filter(|_| work.reader().core().has_http()) {
            let before = match chat.last_read_message_id {
                Some(id) => work.reader().find_any::<Message>(id).await?.map(|message| message.timestamp),
                None => None,
            };
            let unread = unread_between(work, chat.id, before, until, MAX_TOLD).await?;
            tell_read(work, &unread).await?;
        }
        let read_at = chat.now();
        chat.record(ChatEvent::MarkedRead { last_read_message_id, read_up_to, read_at, unread_count });
        work.save(chat)
    }
}
