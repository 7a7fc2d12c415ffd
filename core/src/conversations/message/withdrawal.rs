//! Messages that wait to go out are withdrawn when their chat is closed, or their contact or channel is deleted.

use super::{Message, counting, timers};
use crate::engine::{JobOutcome, JobRequest, Reaction, UnitOfWork};
use crate::kernel::{Component, Error, Kind, Result};
use crate::storage::{EventRecord, FieldKind, Filter, Find, JobRecord, Leaf, Test, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) const WITHDRAW: &str = "message.withdraw";
/// How many are withdrawn in one commit.
const BATCH: usize = 100;

/// What messages listen to.
pub const REACTIONS: &[Reaction] = &[
    Reaction {
        name: "ventros.messages.withdraw",
        events: &["chat.closed", "contact.deleted", "channel.deleted"],
        component: Component::Scheduled,
        run: |work, record, _| Box::pin(async move { order(work, record) }),
    },
    Reaction {
        name: "ventros.messages.withdraw_from_erased",
        events: &["contact.erased"],
        component: Component::Scheduled,
        run: |work, record, _| Box::pin(async move { order(work, record) }),
    },
];

#[derive(Serialize, Deserialize)]
struct Payload {
    field: String,
    id: Uuid,
    reason: String,
}

/// Leaves the work to a job, because there may be more messages than one commit takes.
fn order(work: &mut UnitOfWork<'_>, record: &EventRecord) -> Result<()> {
    let field = match record.aggregate_kind {
        Kind::Chat => "chat_id",
        Kind::Contact => "contact_id",
        Kind::Channel => "channel_id",
        _ => return Ok(()),
    };
    let reason = record.event_type.replace('.', "_");
    let payload = Payload { field: field.to_owned(), id: record.aggregate_id, reason };
    work.enqueue(JobRequest {
        queue: "timer",
        kind: WITHDRAW,
        unique_key: Some(format!("message_withdraw:{}", record.aggregate_id)),
        order_key: None,
        payload: crate::engine::encode(&payload)?,
        run_at: work.now(),
        parked: false,
    });
    Ok(())
}

pub(super) async fn run_withdrawal(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let payload: Payload = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a withdrawal cannot be read: {e}")))?;
    let unsent = Test::In(vec![Value::from("scheduled"), Value::from("queued")]);
    let find = Find {
        filter: Filter::eq(&payload.field, FieldKind::Id, payload.id).and(Filter::Leaf(Leaf {
            field: "status".to_owned(),
            kind: FieldKind::Enum,
            is_attribute: false,
            test: unsent,
        })),
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: BATCH,
        include_hidden: true,
        with_total: false,
    };
    let waiting = work.reader().find_states::<Message>(&find).await?;
    for found in &waiting {
        let Some(mut message) = work.find::<Message>(found.id).await?.filter(|message| message.is_unsent()) else {
            continue;
        };
        let metrics = if message.status.counts() { counting::metrics_if(work, &message, false).await? } else { None };
        message.cancel(Some(payload.reason.clone()), metrics)?;
        timers::disarm(work, &message);
        work.save(message)?;
    }
    Ok(if waiting.len() == BATCH { JobOutcome::Again(work.now()) } else { JobOutcome::Done { result: None } })
}
