//! Asks a provider for the history of a line: first for the list of its chats, then for one chat after the other, page by page. Each
//! page is one job's call and one commit, which stores its messages together with the place where the next one begins.

use super::chat::PAGE_SIZES;
use super::course::{chat_ended, go_on, tell_progress};
use super::cutting::Cut;
use super::page::{self, Page};
use super::{ImportChat, ImportChatStatus, ImportJob, ImportStatus};
use crate::channels::channel::{Channel, ChannelStatus};
use crate::channels::gateway::{
    ChatClass, GatewayError, GatewayErrorKind, GatewayLine, HistoryChat, HistoryEntry, HistoryRange, HistorySource,
    HistoryWhat, InboundMessage, history,
};
use crate::conversations::chat::Chat;
use crate::conversations::inbound::{Line, Outcome};
use crate::engine::{Answer, JobOutcome, OutsideJob, Plan, Row, UnitOfWork};
use crate::kernel::{Component, Error, ErrorCode, ImportChatId, ImportJobId, Result};
use crate::storage::JobRecord;
use serde::{Deserialize, Serialize};

/// The kind of job that lists chats, and the one that fetches a chat.
pub(super) const LIST: &str = "import.list";
pub(super) const CHAT: &str = "import.chat";
/// Chats of one page of the list.
const CHATS: u32 = 100;
/// Failed tries in a row after which it is given up.
const MAX_ATTEMPTS: u32 = 3;
/// The first delay after a failed try, doubled each time, and the longest, in seconds.
const FIRST_DELAY: i64 = 5;
const LONGEST_DELAY: i64 = 300;
/// How long a provider that takes no more is left alone, in seconds.
const LIMITED: i64 = 60;
/// Between two pages of a chat, in microseconds.
const PACE: i64 = 500_000;
/// A line that is off is looked at again after so many seconds.
const LOOK_AGAIN: i64 = 60;
/// How long a pause may last, in seconds: a year.
const PAUSE: i64 = 365 * 24 * 3600;
const DONE: JobOutcome = JobOutcome::Done { result: None };

/// The jobs of imports.
pub const OUTSIDE_JOBS: &[OutsideJob] = &[
    OutsideJob {
        kind: LIST,
        component: Component::Import,
        max_attempts: 20,
        has_breaker: true,
        plan: |work, job| Box::pin(plan_list(work, job)),
        settle: |work, job, answer| Box::pin(settle_list(work, job, answer)),
    },
    OutsideJob {
        kind: CHAT,
        component: Component::Import,
        max_attempts: 20,
        has_breaker: true,
        plan: |work, job| Box::pin(plan_chat(work, job)),
        settle: |work, job, answer| Box::pin(settle_chat(work, job, answer)),
    },
];

#[derive(Serialize, Deserialize)]
struct ListPayload {
    job_id: ImportJobId,
}

/// What a job knows of its chat.
#[derive(Serialize, Deserialize)]
pub(super) struct ChatPayload {
    pub chat_id: ImportChatId,
}

fn payload<T: serde::de::DeserializeOwned>(job: &JobRecord) -> Result<T> {
    serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of an import's job cannot be read: {e}")))
}

/// A line that can be asked.
struct Ready {
    line: Line,
    source: &'static dyn HistorySource,
    gateway: GatewayLine,
}

/// Whether a line can be asked now.
enum Readiness {
    Ready(Box<Ready>),
    /// It is off, or its project is.
    Later,
    /// It was deleted, or its import called off.
    Gone,
    /// It can never be asked.
    Never(GatewayError),
}

async fn readiness(work: &mut UnitOfWork<'_>, import: &ImportJob) -> Result<Readiness> {
    let line = match Line::load(work, import.channel_id).await {
        Ok(line) => line,
        Err(error) if matches!(error.code(), ErrorCode::ChannelNotFound | ErrorCode::ProjectNotFound) => {
            return Ok(Readiness::Gone);
        }
        Err(error) => return Err(error),
    };
    if line.channel.open_import().is_none_or(|run| run.job_id != import.id) {
        return Ok(Readiness::Gone);
    }
    let is_on = matches!(line.channel.status, ChannelStatus::Active | ChannelStatus::Connecting);
    if !is_on || !line.project.is_active() {
        return Ok(Readiness::Later);
    }
    let never = |why: &str| Ok(Readiness::Never(GatewayError::new(GatewayErrorKind::Unsupported, why)));
    let Some(source) = history(&line.channel_type.gateway) else { return never("nobody can read this history") };
    let gateway = line.channel.gateway_line(work.reader()).await?;
    if !source.can_reach(&gateway) {
        return never("the channel does not say where its gateway is");
    }
    Ok(Readiness::Ready(Box::new(Ready { line, source, gateway })))
}

/// Whether a line can be asked now, with the secrets of its credential where the channel has none of its own.
async fn unlocked(work: &mut UnitOfWork<'_>, import: &ImportJob, purpose: &str) -> Result<Readiness> {
    let mut ready = match readiness(work, import).await? {
        Readiness::Ready(ready) => ready,
        other => return Ok(other),
    };
    let Ready { line, gateway, .. } = &mut *ready;
    let is_open = line.channel.unlock(work, &line.channel_type, gateway, purpose).await?;
    Ok(if is_open { Readiness::Ready(ready) } else { Readiness::Later })
}

fn later(work: &UnitOfWork<'_>) -> JobOutcome {
    JobOutcome::Again(work.now().plus_seconds(LOOK_AGAIN))
}

fn paused(work: &UnitOfWork<'_>) -> JobOutcome {
    JobOutcome::Parked { until: work.now().plus_seconds(PAUSE), reason: "the import is paused".to_owned() }
}

async fn plan_list(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<Plan> {
    let Some(mut import) = work.row::<ImportJob>(payload::<ListPayload>(job)?.job_id).await? else {
        return Ok(Plan::Settled(DONE));
    };
    match import.status {
        ImportStatus::Requested | ImportStatus::Planning => {}
        ImportStatus::Paused => return Ok(Plan::Settled(paused(work))),
        _ => return Ok(Plan::Settled(DONE)),
    }
    let ready = match unlocked(work, &import, LIST).await? {
        Readiness::Ready(ready) => ready,
        Readiness::Later => return Ok(Plan::Settled(later(work))),
        Readiness::Gone => {
            import.end(ImportStatus::Cancelled, work.now());
            work.put_row(import)?;
            return Ok(Plan::Settled(DONE));
        }
        Readiness::Never(error) => {
            give_up(work, &mut import, &error).await?;
            work.put_row(import)?;
            return Ok(Plan::Settled(DONE));
        }
    };
    let request = match ready.source.chats(&ready.gateway, import.listed, CHATS) {
        Ok(request) => request,
        Err(error) => {
            let outcome = list_failed(work, &mut import, &error).await?;
            work.put_row(import)?;
            return Ok(Plan::Settled(outcome));
        }
    };
    if import.status != ImportStatus::Planning {
        import.status = ImportStatus::Planning;
        work.put_row(import)?;
    }
    Ok(Plan::Call(request))
}

async fn settle_list(work: &mut UnitOfWork<'_>, job: &JobRecord, answer: &Answer) -> Result<JobOutcome> {
    let Some(mut import) = work.row::<ImportJob>(payload::<ListPayload>(job)?.job_id).await? else { return Ok(DONE) };
    if !import.status.is_open() {
        return Ok(DONE);
    }
    let ready = match readiness(work, &import).await? {
        Readiness::Ready(ready) => ready,
        // The next look says what that means.
        _ => return Ok(later(work)),
    };
    let outcome = match ready.source.read_chats(answer) {
        Ok(found) => {
            import.attempts = 0;
            take_list(work, &mut import, &ready.line.channel, found).await?
        }
        Err(error) => list_failed(work, &mut import, &error).await?,
    };
    work.put_row(import)?;
    Ok(outcome)
}

/// Notes the chats of a page. The list is in the order of the last message and so changes under our hands: who writes meanwhile moves to
/// its beginning. So its beginning is looked at once more, until everything there is known.
async fn take_list(
    work: &mut UnitOfWork<'_>,
    import: &mut Row<ImportJob>,
    channel: &Channel,
    found: Vec<HistoryChat>,
) -> Result<JobOutcome> {
    let now = work.now();
    let count = found.len() as u64;
    let ids: Vec<ImportChatId> = found.iter().map(|found| ImportChat::id_of(import.id, &found.chat)).collect();
    let known = if ids.is_empty() { Vec::new() } else { work.reader().get_many::<ImportChat>(&ids).await? };
    let mut known: std::collections::BTreeSet<ImportChatId> = known.into_iter().map(|chat| chat.id).collect();
    let mut news = 0;
    for (id, found) in ids.into_iter().zip(found) {
        if !known.insert(id) {
            continue;
        }
        news += 1;
        import.totals.chats_total += 1;
        let is_wanted = match found.chat.class {
            ChatClass::Individual => true,
            ChatClass::Group => import.request.include_groups && channel.allow_groups,
            ChatClass::Channel => channel.allow_newsletters,
            ChatClass::Status => false,
        };
        import.totals.chats_skipped += u64::from(!is_wanted);
        let of = (import.id, import.project_id, import.channel_id);
        work.put_row(Row::new(ImportChat::new(of, found, import.totals.chats_total, is_wanted, now)))?;
    }
    let is_end = count == 0;
    let is_complete = if import.is_second_look { is_end || news == 0 } else { is_end && import.listed == 0 };
    if !is_complete {
        import.listed = if is_end { 0 } else { import.listed + count };
        import.is_second_look |= is_end;
        return Ok(JobOutcome::Again(now));
    }
    import.listed = 0;
    import.is_second_look = false;
    import.started_at = Some(now);
    if import.status != ImportStatus::Paused {
        import.status = ImportStatus::Running;
    }
    if let Some(mut channel) = work.find::<Channel>(import.channel_id).await? {
        channel.start_import(import.id, import.totals.clone());
        work.keep(channel)?;
    }
    go_on(work, import, None).await?;
    Ok(DONE)
}

async fn list_failed(
    work: &mut UnitOfWork<'_>,
    import: &mut Row<ImportJob>,
    error: &GatewayError,
) -> Result<JobOutcome> {
    match next_try(error, &mut import.attempts) {
        Some(seconds) => Ok(JobOutcome::Again(work.now().plus_seconds(seconds))),
        None => {
            give_up(work, import, error).await?;
            Ok(DONE)
        }
    }
}

async fn give_up(work: &mut UnitOfWork<'_>, import: &mut Row<ImportJob>, error: &GatewayError) -> Result<()> {
    import.end(ImportStatus::Failed, work.now());
    import.error = Some(told(error));
    if let Some(mut channel) = work.find::<Channel>(import.channel_id).await? {
        channel.fail_import(import.id, &told(error));
        work.keep(channel)?;
    }
    Ok(())
}

fn told(error: &GatewayError) -> String {
    match &error.provider_code {
        Some(code) => format!("{} {code}: {}", error.kind, error.message),
        None => format!("{}: {}", error.kind, error.message),
    }
}

/// In how many seconds to try again; `None` after too many tries.
fn next_try(error: &GatewayError, attempts: &mut u32) -> Option<i64> {
    if error.kind == GatewayErrorKind::RateLimited {
        return Some(LIMITED);
    }
    *attempts += 1;
    let delay = FIRST_DELAY.saturating_mul(1 << (*attempts - 1).min(10)).min(LONGEST_DELAY);
    (*attempts < MAX_ATTEMPTS).then_some(delay)
}

async fn plan_chat(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<Plan> {
    let done = Ok(Plan::Settled(DONE));
    let Some(mut chat) = work.row::<ImportChat>(payload::<ChatPayload>(job)?.chat_id).await? else { return done };
    let Some(import) = work.row::<ImportJob>(chat.job_id).await? else { return done };
    let fetches = match chat.status {
        ImportChatStatus::Fetching => true,
        ImportChatStatus::Recut => false,
        _ => return done,
    };
    if import.status == ImportStatus::Paused {
        return Ok(Plan::Settled(paused(work)));
    }
    if !fetches {
        return cut(work, chat, &import).await.map(Plan::Settled);
    }
    let readiness = if import.status.is_open() { unlocked(work, &import, CHAT).await? } else { Readiness::Gone };
    let ready = match readiness {
        Readiness::Ready(ready) => ready,
        Readiness::Later => return Ok(Plan::Settled(later(work))),
        Readiness::Gone => {
            if import.status.is_open() {
                let mut import = import;
                import.end(ImportStatus::Cancelled, work.now());
                work.put_row(import)?;
            }
            chat.stop(ImportChatStatus::Skipped);
            work.put_row(chat)?;
            return Ok(Plan::Settled(JobOutcome::Again(work.now())));
        }
        Readiness::Never(error) => {
            chat.attempts = MAX_ATTEMPTS - 1;
            let outcome = chat_failed(work, &mut chat, &error);
            work.put_row(chat)?;
            return Ok(Plan::Settled(outcome));
        }
    };
    let range = HistoryRange {
        chat: &chat.chat.external_id,
        from: import.request.from_date,
        until: chat.until,
        offset: chat.offset,
        limit: chat.page_size,
    };
    match ready.source.messages(&ready.gateway, &range) {
        Ok(request) => Ok(Plan::Call(request)),
        Err(error) => {
            let outcome = chat_failed(work, &mut chat, &error);
            work.put_row(chat)?;
            Ok(Plan::Settled(outcome))
        }
    }
}

async fn settle_chat(work: &mut UnitOfWork<'_>, job: &JobRecord, answer: &Answer) -> Result<JobOutcome> {
    let Some(mut chat) = work.row::<ImportChat>(payload::<ChatPayload>(job)?.chat_id).await? else { return Ok(DONE) };
    let Some(import) = work.row::<ImportJob>(chat.job_id).await? else { return Ok(DONE) };
    if chat.status != ImportChatStatus::Fetching {
        return Ok(JobOutcome::Again(work.now()));
    }
    let line = match Line::load(work, chat.channel_id).await {
        Ok(line) => line,
        Err(error) if matches!(error.code(), ErrorCode::ChannelNotFound | ErrorCode::ProjectNotFound) => {
            return Ok(JobOutcome::Again(work.now()));
        }
        Err(error) => return Err(error),
    };
    let Some(source) = history(&line.channel_type.gateway) else { return Ok(later(work)) };
    let outcome = match source.read_messages(&line.gateway_context(work.now()), answer) {
        Ok(entries) => {
            let is_over = take_page(work, &line, &mut chat, &import, &entries).await?;
            chat.attempts = 0;
            chat.error = None;
            if is_over {
                chat.stop(ImportChatStatus::Done);
                JobOutcome::Again(work.now())
            } else {
                JobOutcome::Again(work.now().plus_micros(PACE))
            }
        }
        Err(error) => chat_failed(work, &mut chat, &error),
    };
    let chat = work.put_row(chat)?;
    tell_progress(work, &chat).await?;
    Ok(outcome)
}

/// A page that is too large, or too much for the provider, is asked for in smaller ones; what fails is tried again, and given up in the
/// end.
fn chat_failed(work: &UnitOfWork<'_>, chat: &mut Row<ImportChat>, error: &GatewayError) -> JobOutcome {
    let smaller = PAGE_SIZES.into_iter().find(|size| *size < chat.page_size);
    if let (GatewayErrorKind::TooLarge | GatewayErrorKind::Unavailable, Some(size)) = (error.kind, smaller) {
        chat.page_size = size;
        if error.kind == GatewayErrorKind::TooLarge {
            return JobOutcome::Again(work.now());
        }
    }
    chat.error = Some(told(error));
    let delay = next_try(error, &mut chat.attempts);
    if delay.is_none() {
        chat.stop(ImportChatStatus::Failed);
    }
    JobOutcome::Again(work.now().plus_seconds(delay.unwrap_or(0)))
}

/// Stores what of a page is new; true when there is no more.
async fn take_page(
    work: &mut UnitOfWork<'_>,
    line: &Line,
    chat: &mut Row<ImportChat>,
    import: &ImportJob,
    entries: &[HistoryEntry],
) -> Result<bool> {
    let news = chat.turn(entries, import.request.from_date, import.request.limit_per_chat);
    let is_over = news.is_over;
    let mut messages: Vec<InboundMessage> = Vec::with_capacity(news.entries.len());
    let (mut ignored, mut failed) = (0, 0);
    for entry in news.entries {
        match &entry.what {
            // Whatever else engines call the chat, this is the one that was asked for.
            HistoryWhat::Message(message) => {
                messages.push(InboundMessage { chat: chat.chat.clone(), ..InboundMessage::clone(message) });
            }
            HistoryWhat::Nothing => ignored += 1,
            HistoryWhat::Unreadable => failed += 1,
        }
    }
    let received_at = work.now();
    let page = Page {
        intake: &line.intake(received_at),
        messages: &messages,
        import_id: Some(import.id.uuid()),
        agent_id: import.request.agent_id,
        enrichment: import.enrichment,
    };
    let stored = page::store(work, &page).await?;
    for outcome in &stored.outcomes {
        match outcome {
            Outcome::Recorded { .. } => chat.counts.imported += 1,
            Outcome::Duplicate { .. } => chat.counts.duplicate += 1,
            Outcome::Rejected { .. } => failed += 1,
            _ => ignored += 1,
        }
    }
    chat.counts.ignored += ignored;
    chat.counts.failed += failed;
    chat.counts.contacts_created += stored.contacts_created;
    chat.chat_id = stored.chat.map(|chat| chat.id).or(chat.chat_id);
    Ok(is_over)
}

/// Cuts the next stretch of a chat into sessions, or ends it.
async fn cut(work: &mut UnitOfWork<'_>, mut chat: Row<ImportChat>, import: &ImportJob) -> Result<JobOutcome> {
    let line = match Line::load(work, chat.channel_id).await {
        Ok(line) => Some(line),
        Err(error) if matches!(error.code(), ErrorCode::ChannelNotFound | ErrorCode::ProjectNotFound) => None,
        Err(error) => return Err(error),
    };
    let place = match chat.chat_id {
        Some(id) => work.reader().find_any::<Chat>(id).await?,
        None => None,
    };
    let mut next = None;
    if let (Some(line), Some(place)) = (&line, &place) {
        let intake = line.intake(work.now());
        let cut = Cut::of(&intake, place, &import.request, import.id.uuid());
        let (made, reached) = cut.next(work, chat.cut_until).await?;
        chat.counts.sessions_created += made;
        next = reached;
    }
    chat.cut_until = next;
    if next.is_none() {
        chat_ended(work, &mut chat).await?;
    }
    work.put_row(chat)?;
    Ok(if next.is_some() { JobOutcome::Again(work.now()) } else { DONE })
}
