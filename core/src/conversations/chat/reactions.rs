//! Chats close when their contact or their channel is gone.

use super::{Chat, ChatReason, ChatStatus};
use crate::engine::{Event, Reaction, UnitOfWork};
use crate::kernel::{ChatId, Component, Result};
use crate::storage::{EventRecord, FieldKind, Filter, Find};

/// Chats closed in one commit.
const BATCH: usize = 400;

/// The reactions of chats.
pub const REACTIONS: &[Reaction] = &[
    Reaction {
        name: "ventros.chats_of_deleted_contacts",
        events: &["contact.deleted"],
        component: Component::Default,
        run: |work, record, _event: &Event| Box::pin(close(work, record, "contact_id", ChatReason::ContactRemoved)),
    },
    Reaction {
        name: "ventros.chats_of_deleted_channels",
        events: &["channel.deleted"],
        component: Component::Default,
        run: |work, record, _event: &Event| Box::pin(close(work, record, "channel_id", ChatReason::ChannelRemoved)),
    },
];

async fn close(work: &mut UnitOfWork<'_>, record: &EventRecord, field: &str, reason: ChatReason) -> Result<()> {
    let filter = Filter::All(vec![
        Filter::eq(field, FieldKind::Id, record.aggregate_id),
        Filter::Not(Box::new(Filter::eq("status", FieldKind::Enum, ChatStatus::Closed.as_str()))),
    ]);
    let find = Find {
        filter,
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: BATCH,
        include_hidden: false,
        with_total: false,
    };
    let chats: Vec<ChatId> = work.reader().find_states::<Chat>(&find).await?.iter().map(|chat| chat.id).collect();
    work.prefetch::<Chat>(&chats).await?;
    for id in chats {
        let mut chat = work.load::<Chat>(id).await?;
        chat.close(Some(reason));
        work.save(chat)?;
    }
    Ok(())
}
