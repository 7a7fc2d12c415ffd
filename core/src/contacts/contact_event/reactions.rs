//! The reaction that writes the projected entries, and the daily purge of what expired.

use super::commands::PURGE;
use super::events::TimelineEvent;
use super::projection::{EVENTS, project};
use super::state::TimelineEntry;
use crate::engine::{Event, JobOutcome, JobRequest, JobType, Reaction, UnitOfWork};
use crate::kernel::{Component, ContactEventId, ContactId, Result, Timestamp};
use crate::storage::{EventRecord, FieldKind, Filter, Find, JobRecord, Leaf, Sort, Test, Value};
use std::collections::BTreeMap;

/// The name of the reaction.
pub const REACTION: &str = "ventros.timeline";

/// The reactions of the timeline.
pub const REACTIONS: &[Reaction] = &[Reaction {
    name: REACTION,
    events: EVENTS,
    component: Component::Default,
    run: |work, record, event: &Event| Box::pin(write(work, record, event)),
}];

/// The jobs of the timeline.
pub const JOBS: &[JobType] = &[JobType {
    kind: PURGE,
    queue: QUEUE,
    component: Component::Retention,
    max_attempts: 20,
    run: |work, job| Box::pin(purge(work, job)),
}];

const QUEUE: &str = "timer";
const DAY_SECONDS: i64 = 24 * 3600;
/// How long an expired entry is kept, in seconds: 7 days.
const KEEP_EXPIRED_SECONDS: i64 = 7 * DAY_SECONDS;
/// Entries purged in one commit.
const BATCH: usize = 400;

/// Writes the entry of an event, unless it is there already: the same event always makes the same one.
async fn write(work: &mut UnitOfWork<'_>, record: &EventRecord, event: &Event) -> Result<()> {
    let Some(entry) = project(record, event) else { return Ok(()) };
    work.derive(entry).await
}

/// Has what expires looked after from tomorrow on.
pub(super) fn arm_purge(work: &mut UnitOfWork<'_>) {
    let run_at = work.now().plus_seconds(DAY_SECONDS);
    work.enqueue(JobRequest {
        queue: QUEUE,
        kind: PURGE,
        unique_key: Some(PURGE.to_owned()),
        order_key: None,
        payload: "{}".to_owned(),
        run_at,
        parked: false,
    });
}

/// Empties entries that expired long ago, once a day for as long as there are any that expire.
async fn purge(work: &mut UnitOfWork<'_>, _job: &JobRecord) -> Result<JobOutcome> {
    let now = work.now();
    let (expired, later) = expiring(work, now.plus_seconds(-KEEP_EXPIRED_SECONDS)).await?;
    let mut of_contact: BTreeMap<ContactId, Vec<ContactEventId>> = BTreeMap::new();
    for entry in &expired {
        of_contact.entry(entry.contact_id).or_default().push(entry.id);
    }
    let ids: Vec<ContactEventId> = expired.iter().map(|entry| entry.id).collect();
    work.prefetch::<TimelineEntry>(&ids).await?;
    for (contact_id, manual_entry_ids) in of_contact {
        let Some(mut first) = work.find::<TimelineEntry>(manual_entry_ids[0]).await? else { continue };
        first.record(TimelineEvent::Purged { contact_id, manual_entry_ids });
        work.keep(first)?;
    }
    Ok(match (expired.len() == BATCH, later) {
        (true, _) => JobOutcome::Again(now),
        (false, true) => JobOutcome::Again(now.plus_seconds(DAY_SECONDS)),
        (false, false) => JobOutcome::Done { result: None },
    })
}

/// Entries that expired before a moment, and whether others expire later.
async fn expiring(work: &UnitOfWork<'_>, before: Timestamp) -> Result<(Vec<TimelineEntry>, bool)> {
    let leaf = |field: &str, test| {
        Filter::Leaf(Leaf { field: field.to_owned(), kind: FieldKind::Instant, is_attribute: false, test })
    };
    let missing = |field| leaf(field, Test::Missing);
    let mut find = Find {
        filter: Filter::All(vec![leaf("expires_at", Test::Less(Value::Instant(before))), missing("purged_at")]),
        sort: vec![Sort { field: "occurred_at".to_owned(), kind: FieldKind::Instant, descending: false }],
        after: None,
        backward: false,
        limit: BATCH,
        include_hidden: true,
        with_total: false,
    };
    let expired = work.reader().find_states::<TimelineEntry>(&find).await?;
    find.filter = leaf("expires_at", Test::GreaterOrEqual(Value::Instant(before)));
    find.limit = 1;
    let later = work.reader().find_states::<TimelineEntry>(&find).await?;
    Ok((expired, !later.is_empty()))
}
