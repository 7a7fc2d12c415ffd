//! Chats close when their contact or their channel is gone: the reaction names the job, the job works in batches.

use super::{Chat, ChatReason, ChatStatus};
use crate::engine::{Event, JobOutcome, JobRequest, JobType, Reaction, UnitOfWork};
use crate::kernel::{ChatId, Component, Error, Result};
use crate::storage::{EventRecord, FieldKind, Filter, Find, JobRecord};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Chats closed in one commit.
const BATCH: usize = 400;

/// The reactions of chats.
pub const REACTIONS: &[Reaction] = &[
    Reaction {
        name: "ventros.chats_of_deleted_contacts",
        events: &["contact.deleted"],
        component: Component::Default,
        run: |work, record, _event: &Event| Box::pin(ask(work, record, Owner::Contact)),
    },
    Reaction {
        name: "ventros.chats_of_deleted_channels",
        events: &["channel.deleted"],
        component: Component::Default,
        run: |work, record, _event: &Event| Box::pin(ask(work, record, Owner::Channel)),
    },
];

/// The jobs of chats.
pub const JOBS: &[JobType] = &[JobType {
    kind: "chats.close",
    queue: "timer",
    component: Component::Default,
    max_attempts: 20,
    run: |work, job| Box::pin(close(work, job)),
}];

/// Whose chats close.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Owner {
    Contact,
    Channel,
}

impl Owner {
    const fn field(self) -> &'static str {
        match self {
            Owner::Contact => "contact_id",
            Owner::Channel => "channel_id",
        }
    }

    const fn reason(self) -> ChatReason {
        match self {
            Owner::Contact => ChatReason::ContactRemoved,
            Owner::Channel => ChatReason::ChannelRemoved,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct CloseChats {
    owner: Owner,
    id: Uuid,
}

async fn ask(work: &mut UnitOfWork<'_>, record: &EventRecord, owner: Owner) -> Result<()> {
    let payload = CloseChats { owner, id: record.aggregate_id };
    let run_at = work.now();
    work.enqueue(JobRequest {
        queue: "timer",
        kind: "chats.close",
        unique_key: Some(format!("chats.close:{}", record.id)),
        order_key: None,
        payload: serde_json::to_string(&payload).map_err(|e| Error::internal(e.to_string()))?,
        run_at,
        parked: false,
    });
    Ok(())
}

async fn close(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let CloseChats { owner, id } = serde_json::from_str(&job.payload).map_err(|e| Error::corrupt(e.to_string()))?;
    let filter = Filter::All(vec![
        Filter::eq(owner.field(), FieldKind::Id, id),
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
    for id in &chats {
        let mut chat = work.load::<Chat>(*id).await?;
        chat.close(Some(owner.reason()));
        work.save(chat)?;
    }
    Ok(if chats.len() < BATCH { JobOutcome::Done { result: None } } else { JobOutcome::Again(work.now()) })
}
