//! Away, back, for good.

use crate::conversations::chat::{Chat, ChatReason};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{ChatId, ErrorCode, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! lifecycle {
    ($($(#[$doc:meta])* $name:ident $operation:literal [$($code:ident),*] |$chat:ident, $reason:ident| $body:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            pub id: ChatId,
            /// Default: person.
            #[serde(default)]
            pub reason: Option<ChatReason>,
        }

        impl Command for $name {
            const NAME: &'static str = $operation;
            const PERMISSION: Permission = Permission::ChatsManage;
            const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChatNotFound $(, ErrorCode::$code)*];
            type Output = Chat;

            async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
                let mut $chat = work.load::<Chat>(self.id).await?;
                let $reason = Some(self.reason.unwrap_or(ChatReason::Person));
                $body;
                work.save($chat)
            }
        }
    )*};
}

lifecycle! {
    /// Puts a chat away until the next inbound message. Archived already: no change.
    ArchiveChat "chats.archive" [ChatClosed] |chat, reason| chat.archive(reason)?;
    /// Brings an archived chat back. Active already: no change.
    UnarchiveChat "chats.unarchive" [ChatClosed] |chat, reason| chat.unarchive(reason)?;
    /// Makes a chat history for good; the next inbound message opens another one. Closed already: no change.
    CloseChat "chats.close" [] |chat, reason| chat.close(reason);
}

/// Deletes a chat. It and its messages are found no more; what happened stays in the log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteChat {
    pub id: ChatId,
}

impl Command for DeleteChat {
    const NAME: &'static str = "chats.delete";
    const PERMISSION: Permission = Permission::MessagesDelete;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChatNotFound];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        chat.delete();
        work.save(chat)
    }
}
