//! How an import goes on: which chats are next, what has been done, and when it has ended. The record of the import is written when a
//! chat begins or ends, never for a page: chats are fetched side by side and must not wait for one another.

use super::fetching::{CHAT, ChatPayload, LIST};
use super::{ImportChat, ImportChatStatus, ImportJob, ImportStatus};
use crate::channels::channel::{Channel, ImportStats};
use crate::engine::{JobRequest, OUTSIDE, Reader, Row, UnitOfWork};
use crate::infrastructure::job::check_backlog;
use crate::kernel::{Error, ImportJobId, Result};
use crate::storage::{FieldKind, Filter, Find, JobQuery, JobState, JobWrite, Leaf, Scope, Sort, Test, Value, id_value};

/// Chats that one import fetches at once.
pub(super) const AT_ONCE: usize = 8;
/// Progress is told this often at most, in seconds.
const PROGRESS_EVERY: i64 = 5;

fn leaf(field: &str, kind: FieldKind, test: Test) -> Filter {
    Filter::Leaf(Leaf { field: field.to_owned(), kind, is_attribute: false, test })
}

fn in_status(wanted: &[ImportChatStatus]) -> Filter {
    let words = wanted.iter().map(|status| Value::Text(status.as_str().to_owned()));
    leaf("status", FieldKind::Enum, Test::In(words.collect()))
}

/// Committed chats of an import that satisfy a condition, in their order.
async fn chats(read: &Reader<'_>, job: ImportJobId, condition: Filter, limit: usize) -> Result<Vec<ImportChat>> {
    let find = Find {
        filter: Filter::All(vec![Filter::eq("job_id", FieldKind::Id, id_value(job)), condition]),
        sort: vec![Sort { field: "number".to_owned(), kind: FieldKind::Number, descending: false }],
        after: None,
        backward: false,
        limit,
        include_hidden: false,
        with_total: false,
    };
    read.find_states::<ImportChat>(&find).await
}

/// Chats that are being fetched or cut.
fn under_way() -> Filter {
    in_status(&[ImportChatStatus::Fetching, ImportChatStatus::Recut])
}

/// Chats that have not had their turn in this round: new ones, and those that failed in an earlier one.
fn waiting(round: u32) -> Filter {
    let earlier = leaf("round", FieldKind::Number, Test::Less(Value::Number(f64::from(round))));
    Filter::Any(vec![
        in_status(&[ImportChatStatus::Pending]),
        Filter::All(vec![in_status(&[ImportChatStatus::Failed]), earlier]),
    ])
}

/// Refuses another import while too many calls of imports wait.
///
/// # Errors
/// `job_backlog_full`.
pub(super) async fn check_room(work: &UnitOfWork<'_>) -> Result<()> {
    for kind in [LIST, CHAT] {
        check_backlog(work, kind, 1).await?;
    }
    Ok(())
}

/// Has the chats of a channel listed.
pub(super) fn begin_listing(work: &mut UnitOfWork<'_>, job: ImportJobId) {
    let request = JobRequest {
        queue: OUTSIDE,
        kind: LIST,
        unique_key: Some(format!("{}list", ImportJob::job_prefix(job))),
        order_key: None,
        payload: serde_json::json!({ "job_id": job }).to_string(),
        run_at: work.now(),
        parked: false,
    };
    work.enqueue(request);
}

/// Gives chats that wait their turn, as many as there is room for; ends the import when none is left. `ended` is one that ends in
/// this commit.
pub(super) async fn go_on(
    work: &mut UnitOfWork<'_>,
    job: &mut Row<ImportJob>,
    ended: Option<&ImportChat>,
) -> Result<()> {
    let is_other = |chat: &ImportChat| ended.is_none_or(|ended| ended.id != chat.id);
    let busy = chats(work.reader(), job.id, under_way(), AT_ONCE + 1).await?.into_iter().filter(is_other).count();
    let room = AT_ONCE.saturating_sub(busy);
    let next: Vec<ImportChat> = chats(work.reader(), job.id, waiting(job.round), room + 1).await?;
    let next: Vec<ImportChat> = next.into_iter().filter(is_other).take(room).collect();
    if next.is_empty() && busy == 0 {
        return complete(work, job).await;
    }
    for chat in next {
        let Some(mut chat) = work.row::<ImportChat>(chat.id).await? else { continue };
        if chat.status == ImportChatStatus::Failed {
            chat.counts.take_from(&mut job.totals);
        }
        chat.begin(job.round);
        let chat = work.put_row(chat)?;
        enqueue_chat(work, &chat)?;
    }
    Ok(())
}

fn enqueue_chat(work: &mut UnitOfWork<'_>, chat: &ImportChat) -> Result<()> {
    let payload = serde_json::to_string(&ChatPayload { chat_id: chat.id });
    let request = JobRequest {
        queue: OUTSIDE,
        kind: CHAT,
        unique_key: Some(format!("{}{}", ImportJob::job_prefix(chat.job_id), chat.id)),
        order_key: None,
        payload: payload.map_err(|e| Error::internal(e.to_string()))?,
        run_at: work.now(),
        parked: false,
    };
    work.enqueue(request);
    Ok(())
}

async fn complete(work: &mut UnitOfWork<'_>, job: &mut Row<ImportJob>) -> Result<()> {
    let status = if job.totals.chats_failed > 0 { ImportStatus::Partial } else { ImportStatus::Completed };
    job.end(status, work.now());
    if let Some(mut channel) = work.find::<Channel>(job.channel_id).await? {
        channel.complete_import(job.id, &job.totals);
        if let Some(run) = channel.history_import.as_ref().filter(|run| run.job_id == job.id) {
            job.totals.outcome = run.stats.outcome;
        }
        work.keep(channel)?;
    }
    Ok(())
}

/// A chat is through: its import counts it, and the next one has its turn.
pub(super) async fn chat_ended(work: &mut UnitOfWork<'_>, chat: &mut Row<ImportChat>) -> Result<()> {
    chat.status = chat.ends_as;
    chat.ended_at = Some(work.now());
    let Some(mut job) = work.row::<ImportJob>(chat.job_id).await? else { return Ok(()) };
    chat.counts.add_to(&mut job.totals);
    match chat.status {
        ImportChatStatus::Failed => job.totals.chats_failed += 1,
        ImportChatStatus::Skipped => job.totals.chats_skipped += 1,
        _ => job.totals.chats_done += 1,
    }
    if job.status.is_open() {
        let ended = ImportChat::clone(chat);
        go_on(work, &mut job, Some(&ended)).await?;
    }
    if job.status.is_open() {
        tell(work, &mut job, Some(chat)).await?;
    }
    work.put_row(job)?;
    Ok(())
}

/// Tells the channel how far its import has come, unless that was done a moment ago. `chat` is as this commit leaves it.
pub(super) async fn tell_progress(work: &mut UnitOfWork<'_>, chat: &ImportChat) -> Result<()> {
    let Some(mut job) = work.row::<ImportJob>(chat.job_id).await? else { return Ok(()) };
    if job.status.is_open() && tell(work, &mut job, Some(chat)).await? {
        work.put_row(job)?;
    }
    Ok(())
}

async fn tell(work: &mut UnitOfWork<'_>, job: &mut Row<ImportJob>, chat: Option<&ImportChat>) -> Result<bool> {
    let now = work.now();
    let last = job.progressed_at.or(job.started_at);
    if last.is_some_and(|last| now.seconds_since(last) < PROGRESS_EVERY) {
        return Ok(false);
    }
    let totals = totals(work.reader(), job, chat).await?;
    let Some(mut channel) = work.find::<Channel>(job.channel_id).await? else { return Ok(false) };
    channel.progress_import(job.id, &totals);
    work.keep(channel)?;
    job.progressed_at = Some(now);
    Ok(true)
}

/// All that an import has done: the chats that have ended, and what the others have so far.
pub(super) async fn totals(read: &Reader<'_>, job: &ImportJob, chat: Option<&ImportChat>) -> Result<ImportStats> {
    let mut totals = job.totals.clone();
    let others = chats(read, job.id, under_way(), AT_ONCE).await?;
    let is_other = |other: &&ImportChat| chat.is_none_or(|chat| chat.id != other.id);
    others.iter().filter(is_other).for_each(|other| other.counts.add_to(&mut totals));
    let is_under_way = |chat: &&ImportChat| matches!(chat.status, ImportChatStatus::Fetching | ImportChatStatus::Recut);
    chat.into_iter().filter(is_under_way).for_each(|chat| chat.counts.add_to(&mut totals));
    Ok(totals)
}

/// Puts the jobs of an import that wait for somebody back to work.
pub(super) async fn release(work: &mut UnitOfWork<'_>, job: ImportJobId) -> Result<()> {
    let query = JobQuery {
        queue: Some(OUTSIDE.to_owned()),
        states: vec![JobState::Parked],
        unique_key_prefix: Some(ImportJob::job_prefix(job)),
        limit: AT_ONCE + 1,
        ..JobQuery::default()
    };
    let parked = work.reader().storage().jobs(Scope::Project(work.project()), &query).await?;
    let ids: Vec<uuid::Uuid> = parked.iter().map(|job| job.id).collect();
    if !ids.is_empty() {
        let (project_id, run_at) = (work.project(), work.now());
        work.write_job(JobWrite::Release { project_id, ids, run_at });
    }
    Ok(())
}
