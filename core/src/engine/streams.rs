//! What a consumer does with an event that it fails at when that holds back less than everything: it puts the event aside and goes on.
//! In `stream` order later events of the same aggregate are put aside behind it, and follow when it is done with.

use super::crm::Core;
use super::feeds::backoff_micros;
use crate::kernel::{Error, ProjectId, Result, Subject, Timestamp};
use crate::storage::{ConsumerOrdering, ConsumerRecord, DeadLetter, DeadLetterQuery, EventQuery, EventRecord, Scope};
use std::collections::BTreeMap;

/// The aggregate whose order an event keeps with this consumer.
pub(crate) fn stream_of(lease: &ConsumerRecord, event: &EventRecord) -> Option<Subject> {
    let own = Subject::new(event.aggregate_kind, event.aggregate_id);
    (lease.ordering == ConsumerOrdering::Stream).then_some(own)
}

/// An event that failed for the first time: it waits for its next try.
pub(crate) fn waiting(core: &Core, lease: &ConsumerRecord, event: &EventRecord, error: String) -> DeadLetter {
    let now = core.now();
    DeadLetter {
        event_id: event.id,
        seq: event.seq,
        attempts: 1,
        error,
        failed_at: now,
        retrying: false,
        stream: stream_of(lease, event),
        waits_until: Some(now.plus_micros(backoff_micros(core, 1, 1, 300))),
        is_held: false,
    }
}

/// As it is after one more failure, if it has tries left.
pub(crate) fn waiting_again(core: &Core, letter: DeadLetter) -> DeadLetter {
    let delay = backoff_micros(core, letter.attempts, 1, 300);
    DeadLetter { waits_until: Some(core.now().plus_micros(delay)), ..letter }
}

/// The next letter that is to be tried, with its event.
pub(crate) async fn next_due(core: &Core, lease: &mut ConsumerRecord) -> Result<Option<(DeadLetter, EventRecord)>> {
    let now = core.now();
    if lease.retrying == 0 && lease.waits_until.is_none_or(|until| until > now) {
        return Ok(None);
    }
    let project = lease.project_id.0;
    let Some(letter) = core.storage.due_letter(project, &lease.name, now).await? else {
        lease.retrying = 0;
        // Others may become due while it reads on.
        lease.waits_until = (lease.letters > 0).then(|| now.plus_seconds(1));
        return Ok(None);
    };
    let event = event_of(core, project, &letter).await?;
    Ok(Some((letter, event)))
}

/// The letter that was out with whoever had the lease before, with its event; none when it is done with.
pub(crate) async fn out_before(
    core: &Core,
    lease: &ConsumerRecord,
    seq: u64,
) -> Result<Option<(DeadLetter, EventRecord)>> {
    let project = lease.project_id.0;
    let query = DeadLetterQuery { after: seq - 1, limit: 1, ..DeadLetterQuery::default() };
    let letter = core.storage.dead_letters(project, &lease.name, &query).await?.pop();
    let is_out = |letter: &DeadLetter| letter.seq == seq && (letter.retrying || letter.waits_until.is_some());
    let Some(letter) = letter.filter(is_out) else { return Ok(None) };
    Ok(Some((letter.clone(), event_of(core, project, &letter).await?)))
}

async fn event_of(core: &Core, project: ProjectId, letter: &DeadLetter) -> Result<EventRecord> {
    let query = EventQuery { ids: vec![letter.event_id], limit: 1, ..EventQuery::default() };
    let event = core.storage.events(Scope::Project(project), &query).await?.pop();
    event.ok_or_else(|| Error::corrupt("the event of a dead letter is not in the log"))
}

/// What becomes of the next letter of its stream when one is done with: what was held behind it is tried at once.
pub(crate) async fn followers(core: &Core, lease: &ConsumerRecord, done: &DeadLetter) -> Result<Vec<DeadLetter>> {
    let next = later(core, lease, done, 1).await?.into_iter().filter(|next| next.is_held);
    let now = core.now();
    Ok(next.map(|next| DeadLetter { is_held: false, waits_until: Some(now), ..next }).collect())
}

/// What becomes of the later letters of its stream when one is given up on: so are they.
pub(crate) async fn given_up_with(core: &Core, lease: &ConsumerRecord, parked: &DeadLetter) -> Result<Vec<DeadLetter>> {
    let all = later(core, lease, parked, usize::MAX).await?.into_iter();
    let open = all.filter(|letter| letter.retrying || !letter.is_given_up());
    Ok(open.map(|letter| DeadLetter { retrying: false, waits_until: None, is_held: false, ..letter }).collect())
}

async fn later(core: &Core, lease: &ConsumerRecord, letter: &DeadLetter, limit: usize) -> Result<Vec<DeadLetter>> {
    let Some(stream) = letter.stream else { return Ok(Vec::new()) };
    let query = DeadLetterQuery { after: letter.seq, stream: Some(stream), limit, ..DeadLetterQuery::default() };
    core.storage.dead_letters(lease.project_id.0, &lease.name, &query).await
}

/// The letters of those events that belong behind another one of their stream; no new one for what was put aside before.
pub(crate) async fn behind_others(
    core: &Core,
    lease: &ConsumerRecord,
    events: &[EventRecord],
) -> Result<BTreeMap<u64, Option<DeadLetter>>> {
    if lease.letters == 0 || lease.ordering != ConsumerOrdering::Stream {
        return Ok(BTreeMap::new());
    }
    let mut streams: Vec<Subject> = events.iter().filter_map(|event| stream_of(lease, event)).collect();
    streams.sort_unstable();
    streams.dedup();
    let first = core.storage.first_letters(lease.project_id.0, &lease.name, &streams).await?;
    let now = core.now();
    let behind = |event: &EventRecord| {
        let first = first.iter().find(|first| first.stream == stream_of(lease, event))?;
        Some((event.seq, (first.event_id != event.id).then(|| behind(first, event, now))))
    };
    Ok(events.iter().filter_map(behind).collect())
}

/// Shares the fate of the first letter of its stream.
fn behind(first: &DeadLetter, event: &EventRecord, now: Timestamp) -> DeadLetter {
    DeadLetter {
        event_id: event.id,
        seq: event.seq,
        attempts: 0,
        error: "an earlier event of its aggregate was not handled".to_owned(),
        failed_at: now,
        retrying: false,
        stream: first.stream,
        waits_until: None,
        is_held: !first.is_given_up(),
    }
}
