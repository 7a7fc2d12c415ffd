//! What people do to consumers: make, pause, begin anew, and put right what they gave up on.

use super::queries::find;
use super::{Consumer, ConsumerEvent, ConsumerStart, stream_of};
use crate::catalogue::AGGREGATES;
use crate::engine::{
    Command, DEFAULT_ATTEMPTS, DEFAULT_BATCH, DEFAULT_TIMEOUT, UnitOfWork, check_attempts, check_name, check_pace,
    check_patterns, is_built_in, new_consumer,
};
use crate::kernel::{Error, ErrorCode, EventId, Permission, Result, Subject};
use crate::operations;
use crate::storage::{
    ConsumerOrdering, ConsumerRecord, ConsumerStatus, ConsumerWrite, DeadLetter, DeadLetterQuery, OnExhausted, Scope,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Dead letters that one command may name, or takes when it names none.
const MAX_LETTERS: usize = 500;
/// The longest reason, in characters.
const MAX_REASON: usize = 500;

/// Makes a durable reader of the log before anybody reads: events are kept for it from `start` on. Subscribing under its name goes on
/// from there, and makes it where there is none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateConsumer {
    /// 1 to 80 characters `a-z`, `0-9`, `_`, `.`, `-`; begins with a letter, not with `ventros.`.
    pub name: String,
    /// Types (`contact.created`) or prefixes (`contact.*`); all unless told.
    #[serde(default)]
    pub events: Vec<String>,
    /// Now unless told.
    #[serde(default)]
    pub start: ConsumerStart,
    /// Failed tries before it gives up on an event, 1 to 100; 10 unless told.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// What becomes of an event then; `park` unless told.
    #[serde(default)]
    pub on_exhausted: Option<OnExhausted>,
    /// What an event that fails holds back until it is handled or given up on; `project` unless told: everything after it. With
    /// `stream` it holds back the later events of its aggregate, also while it is a dead letter.
    #[serde(default)]
    pub ordering: Option<ConsumerOrdering>,
    /// The most events that a reader has at a time, 1 to 1,000; 100 unless told.
    #[serde(default)]
    pub batch_size: Option<u32>,
    /// Seconds that a reader may take from one sign of life to the next, 1 to 3,600; 30 unless told. Then others may read, and what it
    /// has not acknowledged comes again: for the first of these events that was a failed try.
    #[serde(default)]
    pub handler_timeout: Option<u32>,
}

impl Command for CreateConsumer {
    const NAME: &'static str = "consumers.create";
    const PERMISSION: Permission = Permission::EventsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ConsumerExists, ErrorCode::BuiltinProtected, ErrorCode::EventTypeUnknown, ErrorCode::SeqPruned];
    type Output = Consumer;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Consumer> {
        check_name(&self.name)?;
        let max_attempts = self.max_attempts.unwrap_or(DEFAULT_ATTEMPTS);
        check_attempts(max_attempts)?;
        check_patterns(&self.events)?;
        let batch_size = self.batch_size.unwrap_or(DEFAULT_BATCH);
        let handler_timeout = self.handler_timeout.unwrap_or(DEFAULT_TIMEOUT);
        check_pace(batch_size, handler_timeout)?;
        let project = work.project();
        let known = work.reader().storage().consumers(Scope::Project(project)).await?;
        if known.iter().any(|consumer| consumer.name == self.name) {
            return Err(Error::new(ErrorCode::ConsumerExists).at("name").with("name", self.name));
        }
        let checkpoint = self.start.checkpoint(work.reader()).await.map_err(|error| error.at("start"))?;
        let record = new_consumer(project, &self.name, self.events, max_attempts, checkpoint, work.now());
        let on_exhausted = self.on_exhausted.unwrap_or(OnExhausted::Park);
        let ordering = self.ordering.unwrap_or(ConsumerOrdering::Project);
        let record = ConsumerRecord { on_exhausted, ordering, batch_size, handler_timeout, ..record };
        let created = ConsumerEvent::Created {
            name: self.name,
            events: record.events.clone(),
            start_seq: checkpoint + 1,
            max_attempts,
            on_exhausted,
            ordering,
            batch_size,
            handler_timeout,
        };
        work.record_in(stream_of(project, &record.name), created).await?;
        work.write_consumer(ConsumerWrite::Create(record.clone()));
        Consumer::of(work.reader(), record).await
    }
}

/// Forgets a consumer with its checkpoint and what it gave up on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteConsumer {
    pub name: String,
}

impl Command for DeleteConsumer {
    const NAME: &'static str = "consumers.delete";
    const PERMISSION: Permission = Permission::EventsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ConsumerNotFound, ErrorCode::BuiltinProtected];
    type Output = ();

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<()> {
        let record = find(work.reader(), &self.name).await?;
        refuse_built_in(&record)?;
        let (project_id, name) = (work.project(), record.name);
        work.record_in(stream_of(project_id, &name), ConsumerEvent::Deleted { name: name.clone() }).await?;
        work.write_consumer(ConsumerWrite::Delete { project_id, name });
        Ok(())
    }
}

/// Lets nobody read a consumer until it is resumed; who reads now cannot acknowledge any more, and what it had comes again later. The
/// library's own can be paused too: what they do waits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseConsumer {
    pub name: String,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for PauseConsumer {
    const NAME: &'static str = "consumers.pause";
    const PERMISSION: Permission = Permission::EventsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ConsumerNotFound, ErrorCode::InvalidState];
    type Output = Consumer;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Consumer> {
        let reason = self.reason.as_deref().map(|reason| check_reason(reason, true)).transpose()?;
        let name = self.name.clone();
        set_status(work, &self.name, ConsumerStatus::Paused, ConsumerEvent::Paused { name, reason }).await
    }
}

/// Lets a consumer that is paused, or has stopped at an event, go on where it stands. The event has all its tries again; to leave it
/// behind, reset the consumer to the one after it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeConsumer {
    pub name: String,
}

impl Command for ResumeConsumer {
    const NAME: &'static str = "consumers.resume";
    const PERMISSION: Permission = Permission::EventsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ConsumerNotFound, ErrorCode::InvalidState];
    type Output = Consumer;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Consumer> {
        let event = ConsumerEvent::Resumed { name: self.name.clone() };
        set_status(work, &self.name, ConsumerStatus::Active, event).await
    }
}

async fn set_status(
    work: &mut UnitOfWork<'_>,
    name: &str,
    status: ConsumerStatus,
    event: ConsumerEvent,
) -> Result<Consumer> {
    let record = find(work.reader(), name).await?;
    if record.status == status {
        return Err(Error::new(ErrorCode::InvalidState).with("status", status.as_str()));
    }
    let project_id = work.project();
    work.record_in(stream_of(project_id, name), event).await?;
    work.write_consumer(ConsumerWrite::SetStatus { project_id, name: name.to_owned(), status });
    Consumer::of(work.reader(), without_lease(ConsumerRecord { status, ..record })).await
}

/// Begins a new generation of a consumer of the host's elsewhere in the log: earlier, to hear events again, or later, to skip some. Who
/// reads now cannot acknowledge any more. What it gave up on from there on is forgotten.
///
/// Of the library's own, `ventros.timeline` can be set back: what it has written once stays as it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetConsumer {
    pub name: String,
    pub to: ConsumerStart,
}

impl Command for ResetConsumer {
    const NAME: &'static str = "consumers.reset";
    const PERMISSION: Permission = Permission::EventsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ConsumerNotFound, ErrorCode::BuiltinProtected, ErrorCode::SeqPruned];
    type Output = Consumer;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Consumer> {
        let record = find(work.reader(), &self.name).await?;
        let checkpoint = self.to.checkpoint(work.reader()).await.map_err(|error| error.at("to"))?;
        if !is_repeatable(&record.name) || checkpoint > record.checkpoint {
            refuse_built_in(&record)?;
        }
        let (project_id, name) = (work.project(), self.name);
        let reset = ConsumerEvent::Reset {
            name: name.clone(),
            from_seq: record.checkpoint + 1,
            to_seq: checkpoint + 1,
            generation: record.generation + 1,
        };
        work.record_in(stream_of(project_id, &name), reset).await?;
        work.write_consumer(ConsumerWrite::Reset { project_id, name, checkpoint });
        let fresh = ConsumerRecord {
            checkpoint,
            generation: record.generation + 1,
            attempts: 0,
            next_attempt_at: None,
            last_error: None,
            ..record
        };
        let kept = DeadLetterQuery { limit: usize::MAX, ..DeadLetterQuery::default() };
        let kept = work.reader().storage().dead_letters(project_id, &fresh.name, &kept).await?;
        let kept = || kept.iter().filter(|letter| letter.seq <= checkpoint);
        let retrying = kept().filter(|letter| letter.retrying).count() as u64;
        let dead_letters = kept().filter(|letter| letter.is_given_up()).count().min(1_000) as u64;
        let (letters, waits_until) = (kept().count() as u64, kept().filter_map(|letter| letter.waits_until).min());
        let fresh = ConsumerRecord { retrying, letters, waits_until, ..fresh };
        let shown = Consumer::of(work.reader(), without_lease(fresh)).await?;
        Ok(Consumer { dead_letters, ..shown })
    }
}

/// What became of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLettersChanged {
    /// How many.
    pub count: u64,
}

/// Has a consumer try events again that it gave up on, before it goes on with later ones. Each is tried once: it is done with then, or
/// given up on again. Where the consumer keeps the order of each aggregate, what it gave up on earlier of the same one comes with it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryDeadLetters {
    /// Of the consumer.
    pub name: String,
    /// At most 500 events; unless told, the first 500 that are not being tried again.
    #[serde(default)]
    pub event_ids: Option<Vec<EventId>>,
}

impl Command for RetryDeadLetters {
    const NAME: &'static str = "consumers.retry_dead_letters";
    const PERMISSION: Permission = Permission::EventsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ConsumerNotFound, ErrorCode::DeadLetterNotFound, ErrorCode::BatchTooLarge];
    type Output = DeadLettersChanged;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<DeadLettersChanged> {
        let record = find(work.reader(), &self.name).await?;
        let letters = named(work, &record, self.event_ids.as_deref()).await?;
        let letters = with_earlier(work, &record, letters).await?;
        let event_ids: Vec<EventId> = (letters.iter().filter(|letter| !letter.retrying))
            .map(|letter| EventId::from_uuid(letter.event_id))
            .collect();
        if !event_ids.is_empty() {
            let (project_id, name) = (work.project(), record.name);
            let ids = event_ids.iter().map(|id| id.uuid()).collect();
            let retried = ConsumerEvent::DeadLettersRetried { name: name.clone(), event_ids: event_ids.clone() };
            work.record_in(stream_of(project_id, &name), retried).await?;
            work.write_consumer(ConsumerWrite::RetryDeadLetters { project_id, name, event_ids: ids });
        }
        Ok(DeadLettersChanged { count: event_ids.len() as u64 })
    }
}

/// Leaves events for good that a consumer gave up on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardDeadLetters {
    /// Of the consumer.
    pub name: String,
    /// At most 500 events; unless told, the first 500.
    #[serde(default)]
    pub event_ids: Option<Vec<EventId>>,
    /// 1 to 500 characters.
    pub reason: String,
}

impl Command for DiscardDeadLetters {
    const NAME: &'static str = "consumers.discard_dead_letters";
    const PERMISSION: Permission = Permission::EventsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ConsumerNotFound,
        ErrorCode::DeadLetterNotFound,
        ErrorCode::BatchTooLarge,
        ErrorCode::ReasonRequired,
    ];
    type Output = DeadLettersChanged;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<DeadLettersChanged> {
        let reason = check_reason(&self.reason, false)?;
        let record = find(work.reader(), &self.name).await?;
        let letters = named(work, &record, self.event_ids.as_deref()).await?;
        if !letters.is_empty() {
            let (project_id, name) = (work.project(), record.name);
            let ids = letters.iter().map(|letter| letter.event_id).collect();
            let event_ids = letters.iter().map(|letter| EventId::from_uuid(letter.event_id)).collect();
            let discarded = ConsumerEvent::DeadLettersDiscarded { name: name.clone(), event_ids, reason };
            work.record_in(stream_of(project_id, &name), discarded).await?;
            work.write_consumer(ConsumerWrite::DiscardDeadLetters { project_id, name, event_ids: ids });
        }
        Ok(DeadLettersChanged { count: letters.len() as u64 })
    }
}

/// The dead letters of these events, or the first ones.
async fn named(
    work: &UnitOfWork<'_>,
    record: &ConsumerRecord,
    event_ids: Option<&[EventId]>,
) -> Result<Vec<DeadLetter>> {
    let storage = work.reader().storage();
    let Some(event_ids) = event_ids else {
        let first = DeadLetterQuery { limit: MAX_LETTERS, given_up: true, ..DeadLetterQuery::default() };
        return storage.dead_letters(work.project(), &record.name, &first).await;
    };
    if event_ids.len() > MAX_LETTERS {
        return Err(Error::new(ErrorCode::BatchTooLarge).at("event_ids").with("max", MAX_LETTERS));
    }
    let all = DeadLetterQuery { limit: usize::MAX, given_up: true, ..DeadLetterQuery::default() };
    let all = storage.dead_letters(work.project(), &record.name, &all).await?;
    let missing = event_ids.iter().enumerate().find(|(_, id)| !all.iter().any(|letter| letter.event_id == id.uuid()));
    if let Some((number, id)) = missing {
        return Err(Error::new(ErrorCode::DeadLetterNotFound)
            .at(format!("event_ids[{number}]"))
            .with("resource", "dead_letter")
            .with("id", id.to_string()));
    }
    Ok(all.into_iter().filter(|letter| event_ids.iter().any(|id| id.uuid() == letter.event_id)).collect())
}

/// With those of the same aggregates that come before them.
async fn with_earlier(
    work: &UnitOfWork<'_>,
    record: &ConsumerRecord,
    named: Vec<DeadLetter>,
) -> Result<Vec<DeadLetter>> {
    let mut last: BTreeMap<Subject, u64> = BTreeMap::new();
    for letter in &named {
        if let Some(stream) = letter.stream {
            last.insert(stream, letter.seq);
        }
    }
    let mut letters: BTreeMap<u64, DeadLetter> = named.into_iter().map(|letter| (letter.seq, letter)).collect();
    for (stream, seq) in last {
        let of_stream = DeadLetterQuery { stream: Some(stream), limit: usize::MAX, ..DeadLetterQuery::default() };
        let storage = work.reader().storage();
        let of_stream = storage.dead_letters(work.project(), &record.name, &of_stream).await?;
        letters.extend(of_stream.into_iter().filter(|letter| letter.seq < seq).map(|letter| (letter.seq, letter)));
    }
    Ok(letters.into_values().collect())
}

/// A reaction that writes the same again, whatever it has written already.
fn is_repeatable(name: &str) -> bool {
    AGGREGATES.iter().any(|aggregate| aggregate.derived_by == Some(name))
}

fn refuse_built_in(record: &ConsumerRecord) -> Result<()> {
    if is_built_in(&record.name) { Err(Error::new(ErrorCode::BuiltinProtected).at("name")) } else { Ok(()) }
}

fn without_lease(record: ConsumerRecord) -> ConsumerRecord {
    ConsumerRecord { lease_owner: None, lease_until: None, out_seq: None, ..record }
}

fn check_reason(reason: &str, may_be_empty: bool) -> Result<String> {
    let reason = reason.trim();
    if reason.is_empty() && !may_be_empty {
        return Err(Error::new(ErrorCode::ReasonRequired).at("reason"));
    }
    if reason.chars().count() > MAX_REASON {
        return Err(Error::new(ErrorCode::ValueOutOfRange).at("reason").with("max", MAX_REASON));
    }
    Ok(reason.to_owned())
}

operations![
    commands: CreateConsumer, DeleteConsumer, PauseConsumer, ResumeConsumer, ResetConsumer, RetryDeadLetters,
    DiscardDeadLetters
];
