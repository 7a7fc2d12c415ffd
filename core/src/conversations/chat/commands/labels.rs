//! Labels of the channel on chats.

use crate::conversations::chat::Chat;
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{ChatId, ErrorCode, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Puts a label of the channel on a chat. It is there already: no change. At most 50 labels.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddLabel {
    pub id: ChatId,
    /// 1 to 64 characters.
    pub label_id: String,
}

impl Command for AddLabel {
    const NAME: &'static str = "chats.add_label";
    const PERMISSION: Permission = Permission::ChatsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ChatNotFound, ErrorCode::ChatLabelInvalid, ErrorCode::ChatLabelLimit];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        chat.add_label(&self.label_id)?;
        work.save(chat)
    }
}

/// Takes a label off a chat.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveLabel {
    pub id: ChatId,
    pub label_id: String,
}

impl Command for RemoveLabel {
    const NAME: &'static str = "chats.remove_label";
    const PERMISSION: Permission = Permission::ChatsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChatNotFound, ErrorCode::ChatLabelNotFound];
    type Output = Chat;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Chat> {
        let mut chat = work.load::<Chat>(self.id).await?;
        chat.remove_label(&self.label_id)?;
        work.save(chat)
    }
}
