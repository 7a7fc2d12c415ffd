//! What chats do about events of others: they close when their contact or their channel is gone, lose a label that the channel
//! deleted, and take in whoever attends their session. Where many chats may be meant, the reaction names a job that works in
//! batches.

use super::queries::with_label;
use super::{Chat, ChatReason, ChatStatus, MAX_PARTICIPANTS, Participant, ParticipantRole, ParticipantType};
use crate::channels::channel::{Channel, ChannelEvent};
use crate::conversations::session::SessionEvent;
use crate::engine::{Event, JobOutcome, JobRequest, JobType, Reaction, Root, UnitOfWork};
use crate::kernel::{ChannelId, ChatId, Component, Error, Result};
use crate::storage::{EventRecord, FieldKind, Filter, Find, JobRecord};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Chats changed in one commit.
const BATCH: usize = 400;

/// The reactions of chats.
pub const REACTIONS: &[Reaction] = &[
    Reaction {
        name: "ventros.chats_of_deleted_contacts",
        events: &["contact.deleted"],
        component: Component::Default,
        run: |work, record, _event: &Event| Box::pin(async move { ask_to_close(work, record, Owner::Contact) }),
    },
    Reaction {
        name: "ventros.chats_of_erased_contacts",
        events: &["contact.erased"],
        component: Component::Default,
        run: |work, record, _event: &Event| Box::pin(async move { ask_to_close(work, record, Owner::Contact) }),
    },
    Reaction {
        name: "ventros.chats_of_deleted_channels",
        events: &["channel.deleted"],
        component: Component::Default,
        run: |work, record, _event: &Event| Box::pin(async move { ask_to_close(work, record, Owner::Channel) }),
    },
    Reaction {
        name: "ventros.chats_of_deleted_labels",
        events: &["channel.label.deleted"],
        component: Component::Channel,
        run: |work, record, event: &Event| Box::pin(async move { ask_to_unlabel(work, record, event) }),
    },
    Reaction {
        name: "ventros.participants_who_attend",
        events: &["session.agent_assigned"],
        component: Component::Assignment,
        run: |work, _record, event: &Event| Box::pin(take_in(work, event)),
    },
];

/// The jobs of chats.
pub const JOBS: &[JobType] = &[
    JobType {
        kind: CLOSE,
        queue: QUEUE,
        component: Component::Default,
        max_attempts: 20,
        run: |work, job| Box::pin(close(work, job)),
    },
    JobType {
        kind: UNLABEL,
        queue: QUEUE,
        component: Component::Channel,
        max_attempts: 20,
        run: |work, job| Box::pin(unlabel(work, job)),
    },
];

const QUEUE: &str = "timer";
const CLOSE: &str = "chats.close";
const UNLABEL: &str = "chats.unlabel";

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

#[derive(Debug, Serialize, Deserialize)]
struct UnlabelChats {
    channel_id: ChannelId,
    label_id: String,
}

fn ask_to_close(work: &mut UnitOfWork<'_>, record: &EventRecord, owner: Owner) -> Result<()> {
    enqueue(work, record, CLOSE, &CloseChats { owner, id: record.aggregate_id })
}

fn ask_to_unlabel(work: &mut UnitOfWork<'_>, record: &EventRecord, event: &Event) -> Result<()> {
    let Event::Channel(ChannelEvent::LabelDeleted { label_id, .. }) = event else { return Ok(()) };
    let channel_id = ChannelId::from_uuid(record.aggregate_id);
    enqueue(work, record, UNLABEL, &UnlabelChats { channel_id, label_id: label_id.clone() })
}

fn enqueue(
    work: &mut UnitOfWork<'_>,
    record: &EventRecord,
    kind: &'static str,
    payload: &impl Serialize,
) -> Result<()> {
    let run_at = work.now();
    work.enqueue(JobRequest {
        queue: QUEUE,
        kind,
        unique_key: Some(format!("{kind}:{}", record.id)),
        order_key: None,
        payload: crate::engine::encode(payload)?,
        run_at,
        parked: false,
    });
    Ok(())
}

async fn close(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let CloseChats { owner, id } = payload(job)?;
    let open = Filter::All(vec![
        Filter::eq(owner.field(), FieldKind::Id, id),
        Filter::Not(Box::new(Filter::eq("status", FieldKind::Enum, ChatStatus::Closed.as_str()))),
    ]);
    change_each(work, open, |chat| chat.close(Some(owner.reason()))).await
}

async fn unlabel(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let UnlabelChats { channel_id, label_id } = payload(job)?;
    let channel = work.reader().find_any::<Channel>(channel_id).await?;
    if channel.is_some_and(|channel| channel.labels.contains_key(&label_id)) {
        // It was made again meanwhile.
        return Ok(JobOutcome::Done { result: None });
    }
    let labelled = Filter::All(vec![Filter::eq("channel_id", FieldKind::Id, channel_id.uuid()), with_label(&label_id)]);
    change_each(work, labelled, |chat| chat.sync_label(&label_id, false)).await
}

/// Changes the chats of a filter, which they satisfy no more afterwards; the rest in another step.
async fn change_each(
    work: &mut UnitOfWork<'_>,
    filter: Filter,
    change: impl Fn(&mut Root<Chat>),
) -> Result<JobOutcome> {
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
    let mut is_further = false;
    for id in &chats {
        let mut chat = work.load::<Chat>(*id).await?;
        change(&mut chat);
        is_further |= !chat.is_unchanged();
        work.save(chat)?;
    }
    let more = is_further && chats.len() == BATCH;
    Ok(if more { JobOutcome::Again(work.now()) } else { JobOutcome::Done { result: None } })
}

/// Whoever attends the session of a chat takes part in it.
async fn take_in(work: &mut UnitOfWork<'_>, event: &Event) -> Result<()> {
    let Event::Session(SessionEvent::AgentAssigned { chat_id, agent_id, .. }) = event else { return Ok(()) };
    let Some(mut chat) = work.find::<Chat>(*chat_id).await? else { return Ok(()) };
    let is_here = chat.participant(*agent_id).is_some_and(Participant::is_current);
    let is_over = chat.is_closed() || chat.deleted_at.is_some();
    if is_here || is_over || chat.participants.len() >= MAX_PARTICIPANTS {
        return Ok(());
    }
    chat.add_participant(agent_id.uuid(), ParticipantType::Agent, ParticipantRole::Member)?;
    work.save(chat).map(|_| ())
}

fn payload<T: serde::de::DeserializeOwned>(job: &JobRecord) -> Result<T> {
    serde_json::from_str(&job.payload).map_err(|e| Error::corrupt(format!("the payload of a job cannot be read: {e}")))
}
