//! How a host hears of events: live feeds of this process and durable consumers. Both are cursors on the log.

use super::context::Context;
use super::crm::{Core, Crm, MAX_RETRIES};
use super::event::readable;
use super::streams::{behind_others, followers, given_up_with, next_due, out_before, waiting, waiting_again};
use super::work::UnitOfWork;
use crate::infrastructure::consumer::{ConsumerEvent, stream_of};
use crate::kernel::{ActorRef, Component, Error, ErrorCode, EventId, ProjectId, Result, Source, Timestamp};
use crate::storage::{
    Batch, CommitError, ConsumerOrdering, ConsumerProgress, ConsumerRecord, ConsumerStatus, ConsumerWrite, DeadLetter,
    DeadLetterQuery, EventQuery, EventRecord, OnExhausted, ProjectIdOrNil, Scope, type_matches,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Seconds that a worker may hold a consumer without a sign of life.
pub const LEASE_SECONDS: i64 = 30;
/// Failed tries before an event is parked as a dead letter.
pub const DEFAULT_ATTEMPTS: u32 = 10;
/// Events that a reader has at a time.
pub(crate) const DEFAULT_BATCH: u32 = 100;
/// Seconds that a reader may take.
pub(crate) const DEFAULT_TIMEOUT: u32 = 30;

/// Events from now on, in log order, for as long as the process lives. Nothing is kept for it: a slow reader reads the
/// log later, so it neither blocks a commit nor loses an event.
pub struct LiveFeed {
    core: Arc<Core>,
    project: Option<ProjectId>,
    patterns: Vec<String>,
    seen: BTreeMap<ProjectId, u64>,
}

impl LiveFeed {
    /// The next events, at most `limit`; empty when there are none now. What was read before the store failed is handed out first.
    pub async fn drain(&mut self, limit: usize) -> Result<Vec<EventRecord>> {
        let heads = match self.project {
            Some(project) => vec![(project, self.core.storage.head(project).await?)],
            None => self.core.storage.heads().await?,
        };
        let mut events = Vec::new();
        for (project, head) in heads {
            let seen = self.seen.entry(project).or_insert(0);
            while *seen < head && events.len() < limit {
                let room = limit - events.len();
                let query = EventQuery {
                    after: *seen,
                    until: Some(head),
                    types: self.patterns.clone(),
                    limit: room,
                    ..EventQuery::default()
                };
                let page = match self.core.storage.events(Scope::Project(project), &query).await {
                    Ok(page) => page,
                    Err(_) if !events.is_empty() => return Ok(events),
                    Err(error) => return Err(error),
                };
                *seen = if page.len() < room { head } else { page.last().map_or(head, |event| event.seq) };
                let heard = page.into_iter().filter(|event| is_heard(&self.patterns, &event.event_type));
                events.extend(heard.map(readable));
            }
        }
        Ok(events)
    }
}

/// Where a new durable consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartAt {
    /// With the first event of the project.
    Beginning,
    /// With what happens after its creation.
    #[default]
    Now,
    /// After this `seq`.
    After(u64),
}

/// How a durable consumer reads.
#[derive(Debug, Clone)]
pub struct SubscribeOptions {
    /// Types or prefixes (`contact.*`); empty = all.
    pub events: Vec<String>,
    /// For a new consumer; a known one goes on where it stopped.
    pub start: StartAt,
    /// 1 to 100; then the event is given up.
    pub max_attempts: u32,
    /// What becomes of an event that is given up; of a new consumer, a known one stays as it was made. So it is with what follows.
    pub on_exhausted: OnExhausted,
    /// What an event that fails holds back.
    pub ordering: ConsumerOrdering,
    /// The most events that [`next`](Durable::next) gives, 1 to 1 000.
    pub batch_size: u32,
    /// Seconds that a reader may take from one sign of life to the next, 1 to 3 600; then others may read, and what it has not
    /// acknowledged comes again. That counts as a failed try of the first of these events: one that hangs or kills whoever reads it is
    /// given up on like one that fails.
    pub handler_timeout: u32,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        let (max_attempts, on_exhausted) = (DEFAULT_ATTEMPTS, OnExhausted::Park);
        SubscribeOptions {
            events: Vec::new(),
            start: StartAt::Now,
            max_attempts,
            on_exhausted,
            ordering: ConsumerOrdering::Project,
            batch_size: DEFAULT_BATCH,
            handler_timeout: DEFAULT_TIMEOUT,
        }
    }
}

/// A named reader with a stored checkpoint. Events come at least once and in order; one process reads at a time.
pub struct Durable {
    core: Arc<Core>,
    project: ProjectId,
    name: String,
    lease: Option<ConsumerRecord>,
    /// The letter whose event is out for another try.
    retried: Option<DeadLetter>,
    /// The events that are out.
    out: Vec<u64>,
    /// Those that were put aside when these were read.
    aside: Vec<u64>,
    /// The last event that is out.
    last_out: u64,
    /// For how long it holds a lease.
    lease_seconds: i64,
}

impl Durable {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn project(&self) -> ProjectId {
        self.project
    }

    /// The next events, at most `limit`, as they read to who knows their types: erased data is null or next to nothing. Empty when there are
    /// none, when another process reads, or while a failed event
    /// waits for its next try. Each must be answered by [`ack`](Self::ack) or [`fail`](Self::fail), in order.
    ///
    /// While the store cannot be reached it fails, and goes on afterwards where it was: its lease is kept.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<EventRecord>> {
        Ok(self.take(limit).await?.into_iter().map(readable).collect())
    }

    async fn take(&mut self, limit: usize) -> Result<Vec<EventRecord>> {
        if self.lease.is_none() && !self.has_work(limit).await? {
            return Ok(Vec::new());
        }
        loop {
            let Some(lease) = self.claim().await? else { return Ok(Vec::new()) };
            if let Some(events) = self.read(lease, limit).await? {
                return Ok(events);
            }
        }
    }

    /// What is to be handed out under a lease; none when it was given back with an event that the one before failed at.
    async fn read(&mut self, lease: ConsumerRecord, limit: usize) -> Result<Option<Vec<EventRecord>>> {
        let lease = self.lease.insert(lease);
        let limit = limit.min(lease.batch_size as usize);
        self.retried = None;
        self.out.clear();
        self.aside.clear();
        let mut lapsed = std::mem::take(&mut lease.lapsed).then_some(lease.out_seq.unwrap_or(0));
        if let Some(seq) = lapsed.filter(|seq| *seq > 0) {
            if let Some((letter, event)) = out_before(&self.core, lease, seq).await? {
                self.retried = Some(letter);
                return self.lapse(&event).await;
            }
            lapsed = None;
            lease.out_seq = Some(0);
        }
        if lapsed.is_none()
            && let Some((letter, event)) = next_due(&self.core, lease).await?
        {
            lease.out_seq = Some(letter.seq);
            self.retried = Some(letter);
            self.mark(Vec::new()).await?;
            return Ok(Some(vec![event]));
        }
        let head = self.core.storage.head(self.project).await?;
        loop {
            let lease = self.lease.as_mut().ok_or(ErrorCode::LeaseLost)?;
            let query = EventQuery {
                after: lease.checkpoint,
                until: Some(head),
                types: lease.events.clone(),
                limit,
                ..EventQuery::default()
            };
            let mut events = self.core.storage.events(Scope::Project(self.project), &query).await?;
            lease.checkpoint = match events.iter().position(|event| is_heard(&lease.events, &event.event_type)) {
                // What it does not hear is behind it.
                Some(first) => first.checked_sub(1).map_or(lease.checkpoint, |before| events[before].seq),
                None => events.last().map_or(lease.checkpoint.max(head), |event| event.seq),
            };
            let is_last = events.is_empty();
            events.retain(|event| is_heard(&lease.events, &event.event_type));
            let behind = behind_others(&self.core, lease, &events).await?;
            let is_marked = lease.out_seq == Some(0);
            if !behind.is_empty() {
                lease.out_seq = Some(0);
                self.aside = behind.keys().copied().collect();
                self.out = events.iter().map(|event| event.seq).filter(|seq| !behind.contains_key(seq)).collect();
                events.retain(|event| !behind.contains_key(&event.seq));
                lease.checkpoint = past(&self.out, &self.aside, lease.checkpoint);
                let letters: Vec<DeadLetter> = behind.into_values().flatten().collect();
                lease.letters += letters.len() as u64;
                self.mark(letters).await?;
                if events.is_empty() {
                    continue;
                }
            } else if !is_marked && !events.is_empty() {
                lease.out_seq = Some(0);
                self.mark(Vec::new()).await?;
            }
            if let (Some(first), true) = (events.first(), lapsed.is_some()) {
                return self.lapse(first).await;
            }
            if let Some(last) = events.last() {
                self.last_out = last.seq;
                return Ok(Some(events));
            }
            if is_last {
                self.release().await?;
                return Ok(Some(events));
            }
        }
    }

    /// Says what is out from now on, and holds the lease for longer.
    async fn mark(&mut self, letters: Vec<DeadLetter>) -> Result<()> {
        let Some(lease) = &mut self.lease else { return Err(ErrorCode::LeaseLost.into()) };
        let progress = progress(self.core.now(), lease, false, letters);
        match self.core.storage.update_consumer(&progress).await {
            Ok(()) => lease.lease_until = progress.lease_until,
            Err(error) => {
                self.lease.take_if(|_| error.code() == ErrorCode::LeaseLost);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whoever had this event last neither acknowledged nor failed it in time: that was a try. It may be what they died of.
    async fn lapse(&mut self, event: &EventRecord) -> Result<Option<Vec<EventRecord>>> {
        let Some(mut lease) = self.lease.take() else { return Err(ErrorCode::LeaseLost.into()) };
        let error = format!("lease_lost: whoever had it gave no sign for {} seconds", self.lease_seconds);
        let is_over = lease.attempts.saturating_add(1) >= lease.max_attempts;
        if self.retried.is_some() || lease.ordering != ConsumerOrdering::Project || is_over {
            self.give_up(lease, event, &error, true).await?;
            return Ok(None);
        }
        lease.attempts += 1;
        lease.last_error = Some(error);
        self.lease = Some(lease);
        // It is read once more, now that it is counted.
        self.mark(Vec::new()).await.map(|()| None)
    }

    /// Done with everything up to and including `seq`. Where the store cannot be reached this reader goes on behind it all the
    /// same; only another one, after this, would hear it again.
    pub async fn ack(&mut self, seq: u64) -> Result<()> {
        let Some(lease) = &mut self.lease else { return Err(ErrorCode::LeaseLost.into()) };
        let retried = self.retried.take();
        let resolved = retried.as_ref().map(|letter| letter.event_id);
        let mut letters = Vec::new();
        if let Some(letter) = &retried {
            letters = followers(&self.core, lease, letter).await?;
            lease.letters = lease.letters.saturating_sub(1);
            lease.waits_until = (lease.letters > 0).then(|| self.core.now());
        } else {
            lease.checkpoint = past(&self.out, &self.aside, lease.checkpoint.max(seq));
            lease.attempts = 0;
            lease.next_attempt_at = None;
            lease.last_error = None;
        }
        let has_more_out = retried.is_none() && seq < self.last_out;
        lease.out_seq = has_more_out.then_some(0);
        let progress = ConsumerProgress { resolved, ..progress(self.core.now(), lease, false, letters) };
        let until = progress.lease_until;
        match self.core.storage.update_consumer(&progress).await {
            Ok(()) => lease.lease_until = until,
            Err(error) => {
                self.lease.take_if(|_| error.code() == ErrorCode::LeaseLost);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Could not handle this event: it comes again after a delay, or is parked when its tries are used up.
    pub async fn fail(&mut self, event: &EventRecord, error: &str) -> Result<()> {
        let Some(held) = self.lease.take() else { return Err(ErrorCode::LeaseLost.into()) };
        let failed = self.give_up(held.clone(), event, error, false).await;
        // Nobody knows of it: the event comes again at once.
        self.lease = Some(held).filter(|_| failed.as_ref().is_err_and(|error| error.code() != ErrorCode::LeaseLost));
        failed
    }

    /// Puts back an event that failed. With `is_soon` one that is put aside needs no other pause: its lease was one.
    async fn give_up(
        &mut self,
        mut lease: ConsumerRecord,
        event: &EventRecord,
        error: &str,
        is_soon: bool,
    ) -> Result<()> {
        let now = self.core.now();
        let error: String = error.chars().take(2_000).collect();
        let crm = Crm { core: self.core.clone() };
        if let Some(letter) = self.retried.take() {
            return tried_in_vain(&crm, &lease, failed_again(letter, error, now), event).await;
        }
        if lease.ordering != ConsumerOrdering::Project {
            lease.checkpoint = past(&self.out, &self.aside, lease.checkpoint.max(event.seq));
            lease.last_error = Some(error.clone());
            let mut letter = waiting(&self.core, &lease, event, error);
            letter.waits_until = if is_soon { Some(now) } else { letter.waits_until };
            if letter.attempts >= lease.max_attempts {
                return exhausted(&crm, &lease, letter, event).await;
            }
            return self.core.storage.update_consumer(&progress(now, &lease, true, vec![letter])).await;
        }
        lease.attempts += 1;
        lease.last_error = Some(error.clone());
        if lease.attempts >= lease.max_attempts {
            return give_up(&crm, lease, event, error).await;
        }
        lease.next_attempt_at = Some(now.plus_micros(backoff_micros(&self.core, lease.attempts, 1, 300)));
        self.core.storage.update_consumer(&progress(now, &lease, true, Vec::new())).await
    }

    /// Lets another process read. Dropping the reader without it delays the others until the lease ends.
    pub async fn release(&mut self) -> Result<()> {
        if let Some(lease) = &self.lease {
            hand_back(&self.core, lease).await?;
        }
        self.lease = None;
        Ok(())
    }

    /// The events given up on, oldest first.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let query = DeadLetterQuery { limit, given_up: true, ..DeadLetterQuery::default() };
        self.core.storage.dead_letters(self.project, &self.name, &query).await
    }

    /// Looks before it claims: claiming writes, and most commits concern other readers. A checkpoint that only others'
    /// events have passed is moved in larger steps.
    async fn has_work(&self, limit: usize) -> Result<bool> {
        let known = self.core.storage.consumers(Scope::Project(self.project)).await?;
        let Some(consumer) = known.into_iter().find(|consumer| consumer.name == self.name) else { return Ok(false) };
        if consumer.retrying > 0 || consumer.waits_until.is_some_and(|until| until <= self.core.now()) {
            return Ok(true);
        }
        let head = self.core.storage.head(self.project).await?;
        if head <= consumer.checkpoint {
            return Ok(false);
        }
        let query = EventQuery {
            after: consumer.checkpoint,
            until: Some(head),
            types: consumer.events,
            limit: 1,
            ..EventQuery::default()
        };
        let far = head - consumer.checkpoint >= limit as u64;
        Ok(far || !self.core.storage.events(Scope::Project(self.project), &query).await?.is_empty())
    }

    async fn claim(&mut self) -> Result<Option<ConsumerRecord>> {
        let now = self.core.now();
        if let Some(lease) = self.lease.take()
            && lease.lease_until.is_some_and(|until| until > now)
        {
            return Ok(Some(lease));
        }
        let until = now.plus_seconds(self.lease_seconds);
        self.core.storage.claim_consumer(self.project, &self.name, self.core.owner, now, until).await
    }
}

pub(crate) fn progress(
    now: Timestamp,
    lease: &ConsumerRecord,
    release: bool,
    letters: Vec<DeadLetter>,
) -> ConsumerProgress {
    ConsumerProgress {
        project_id: lease.project_id.0,
        name: lease.name.clone(),
        lease_token: lease.lease_token,
        checkpoint: lease.checkpoint,
        attempts: lease.attempts,
        next_attempt_at: lease.next_attempt_at,
        last_error: lease.last_error.clone(),
        release,
        lease_until: (!release).then(|| now.plus_seconds(lease.handler_timeout.into())),
        letters,
        resolved: None,
        out_seq: if release { None } else { lease.out_seq },
    }
}

/// What happens to consumers and jobs themselves is heard only by those who name it: whoever hears everything would otherwise hear of
/// its own failures for ever.
fn is_heard(patterns: &[String], event_type: &str) -> bool {
    let is_inside = ["consumer.", "dead_letter.", "job."].iter().any(|group| event_type.starts_with(group));
    !is_inside || patterns.iter().any(|pattern| pattern != "*" && type_matches(pattern, event_type))
}

/// Up to where everything is done with or put aside, when all is up to `done`.
fn past(out: &[u64], aside: &[u64], done: u64) -> u64 {
    let open = out.iter().copied().find(|seq| *seq > done).unwrap_or(u64::MAX);
    aside.iter().copied().filter(|seq| *seq < open).fold(done, u64::max)
}

/// Ends a lease at the event after the checkpoint, whose tries are used up, as the consumer wants it.
pub(crate) async fn give_up(crm: &Crm, mut lease: ConsumerRecord, event: &EventRecord, error: String) -> Result<()> {
    let (event_id, attempts) = (EventId::from_uuid(event.id), lease.attempts);
    lease.attempts = 0;
    lease.next_attempt_at = None;
    let name = lease.name.clone();
    if lease.on_exhausted == OnExhausted::Stop {
        let told = ConsumerEvent::Failed { name, event_id, error, attempts };
        return end(crm, &lease, event, Ending { told, letters: Vec::new(), resolved: None, is_failed: true }).await;
    }
    lease.checkpoint = lease.checkpoint.max(event.seq);
    if lease.on_exhausted == OnExhausted::Drop {
        let told = dropped(name, event_id);
        return end(crm, &lease, event, Ending { told, letters: Vec::new(), resolved: None, is_failed: false }).await;
    }
    let letter = DeadLetter {
        event_id: event.id,
        seq: event.seq,
        attempts,
        error,
        failed_at: crm.core.now(),
        retrying: false,
        stream: None,
        waits_until: None,
        is_held: false,
    };
    park(crm, &lease, letter, event).await
}

fn dropped(name: String, event_id: EventId) -> ConsumerEvent {
    let reason = "its tries are used up, and the consumer drops what it cannot handle".to_owned();
    ConsumerEvent::DeadLettersDiscarded { name, event_ids: vec![event_id], reason }
}

pub(crate) fn failed_again(letter: DeadLetter, error: String, now: Timestamp) -> DeadLetter {
    DeadLetter { attempts: letter.attempts + 1, error, failed_at: now, retrying: false, ..letter }
}

/// Ends a lease with a letter that was tried and failed: it waits again, or its tries are used up. One that was given up on before is so
/// again.
async fn tried_in_vain(crm: &Crm, lease: &ConsumerRecord, letter: DeadLetter, event: &EventRecord) -> Result<()> {
    if letter.is_given_up() {
        return park(crm, lease, letter, event).await;
    }
    if letter.attempts >= lease.max_attempts {
        return exhausted(crm, lease, letter, event).await;
    }
    let letter = waiting_again(&crm.core, letter);
    crm.core.storage.update_consumer(&progress(crm.core.now(), lease, true, vec![letter])).await
}

/// Ends a lease with an event that was put aside and whose tries are used up, as the consumer wants it.
async fn exhausted(crm: &Crm, lease: &ConsumerRecord, letter: DeadLetter, event: &EventRecord) -> Result<()> {
    let (name, event_id) = (lease.name.clone(), EventId::from_uuid(event.id));
    let ending = match lease.on_exhausted {
        OnExhausted::Park => {
            return park(crm, lease, DeadLetter { waits_until: None, ..letter }, event).await;
        }
        OnExhausted::Drop => Ending {
            told: dropped(name, event_id),
            letters: followers(&crm.core, lease, &letter).await?,
            resolved: Some(letter.event_id),
            is_failed: false,
        },
        // It has all its tries again when the consumer is resumed.
        OnExhausted::Stop => Ending {
            told: ConsumerEvent::Failed { name, event_id, error: letter.error.clone(), attempts: letter.attempts },
            letters: vec![DeadLetter { attempts: 0, waits_until: Some(crm.core.now()), ..letter }],
            resolved: None,
            is_failed: true,
        },
    };
    end(crm, lease, event, ending).await
}

/// Ends a lease with an event that waits among the dead letters from now on, and with it those that wait for it.
pub(crate) async fn park(crm: &Crm, lease: &ConsumerRecord, letter: DeadLetter, event: &EventRecord) -> Result<()> {
    let told = ConsumerEvent::DeadLetterParked {
        name: lease.name.clone(),
        event_id: EventId::from_uuid(event.id),
        error: letter.error.clone(),
        attempts: letter.attempts,
    };
    let mut letters = given_up_with(&crm.core, lease, &letter).await?;
    letters.push(letter);
    end(crm, lease, event, Ending { told, letters, resolved: None, is_failed: false }).await
}

/// How a consumer ends with an event that it gives up on.
struct Ending {
    told: ConsumerEvent,
    letters: Vec<DeadLetter>,
    resolved: Option<Uuid>,
    /// It reads no further.
    is_failed: bool,
}

/// Ends a lease with an event that is given up on, and says so in the log.
async fn end(crm: &Crm, lease: &ConsumerRecord, event: &EventRecord, ending: Ending) -> Result<()> {
    let project = lease.project_id.0;
    let mut context = Context::new(Some(project).filter(|p| !p.is_system()), ActorRef::system(Component::Default));
    context.source = Source::System;
    context.command = lease.name.clone();
    let context = Arc::new(context.caused_by(event));
    for _ in 0..=MAX_RETRIES {
        let now = crm.core.now();
        let mut work = UnitOfWork::new(&crm.core, context.clone(), now);
        // Who hears of dead letters and fails is not told of that again.
        if !event.event_type.starts_with("dead_letter.") {
            work.record_in(stream_of(project, &lease.name), ending.told.clone()).await?;
        }
        if ending.is_failed {
            let (name, status) = (lease.name.clone(), ConsumerStatus::Failed);
            work.write_consumer(ConsumerWrite::SetStatus { project_id: project, name, status });
        }
        let progress = progress(now, lease, true, ending.letters.clone());
        let progress = ConsumerProgress { resolved: ending.resolved, ..progress };
        let batch = work.finish(None, Some(progress)).await?;
        match crm.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Stale(_)) => {}
            Err(CommitError::LeaseLost) => return Err(ErrorCode::LeaseLost.into()),
            Err(CommitError::Store(error)) => return Err(error),
            Err(other) => return Err(Error::internal(format!("a dead letter could not be kept: {other:?}"))),
        }
    }
    Err(ErrorCode::VersionConflict.into())
}

/// Ends a lease. One that ran out and went to somebody else is theirs to end.
pub(crate) async fn hand_back(core: &Core, lease: &ConsumerRecord) -> Result<()> {
    match core.storage.update_consumer(&progress(core.now(), lease, true, Vec::new())).await {
        Err(error) if error.code() == ErrorCode::LeaseLost => Ok(()),
        handed => handed,
    }
}

/// `base * 2^(n-1)` seconds, at most `cap`, give or take a fifth.
pub(crate) fn backoff_micros(core: &Core, attempt: u32, base: i64, cap: i64) -> i64 {
    let seconds = base.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(cap);
    let mut byte = [0u8; 1];
    core.ids.random(&mut byte);
    let share = 800 + i64::from(byte[0]) * 400 / 255;
    seconds * 1_000 * share
}

impl Crm {
    /// Events from now on. `patterns` are types or prefixes (`message.*`, `*`); no project = all projects.
    pub async fn on(&self, project: Option<ProjectId>, patterns: Vec<String>) -> Result<LiveFeed> {
        check_patterns(&patterns)?;
        let seen = match project {
            Some(project) => [(project, self.core.storage.head(project).await?)].into(),
            None => self.core.storage.heads().await?.into_iter().collect(),
        };
        Ok(LiveFeed { core: self.core.clone(), project, patterns, seen })
    }

    /// A durable consumer of a project's log, created if it is new.
    pub async fn subscribe(&self, project: ProjectId, name: &str, options: SubscribeOptions) -> Result<Durable> {
        check_name(name)?;
        check_attempts(options.max_attempts)?;
        check_patterns(&options.events)?;
        check_pace(options.batch_size, options.handler_timeout)?;
        let head = self.core.storage.head(project).await?;
        let checkpoint = match options.start {
            StartAt::Beginning => 0,
            StartAt::Now => head,
            StartAt::After(seq) => seq.min(head),
        };
        let now = self.core.now();
        let consumer = new_consumer(project, name, options.events, options.max_attempts, checkpoint, now);
        let SubscribeOptions { on_exhausted, ordering, batch_size, handler_timeout, .. } = options;
        let consumer = ConsumerRecord { on_exhausted, ordering, batch_size, handler_timeout, ..consumer };
        let known = self.core.storage.open_consumer(&consumer).await?;
        Ok(Durable {
            core: self.core.clone(),
            project,
            name: known.name,
            lease: None,
            retried: None,
            out: Vec::new(),
            aside: Vec::new(),
            last_out: 0,
            lease_seconds: known.handler_timeout.into(),
        })
    }

    /// Forgets a durable consumer and its checkpoint; false when there was none.
    pub async fn unsubscribe(&self, project: ProjectId, name: &str) -> Result<bool> {
        let known = self.core.storage.consumers(Scope::Project(project)).await?;
        if !known.iter().any(|consumer| consumer.name == name) {
            return Ok(false);
        }
        let delete = ConsumerWrite::Delete { project_id: project, name: name.to_owned() };
        match self.core.storage.commit(Batch { consumers: vec![delete], ..Batch::default() }).await {
            Ok(_) => Ok(true),
            Err(CommitError::Store(error)) => Err(error),
            Err(other) => Err(Error::internal(format!("a consumer could not be removed: {other:?}"))),
        }
    }
}

/// A consumer that has not read yet.
pub(crate) fn new_consumer(
    project: ProjectId,
    name: &str,
    events: Vec<String>,
    max_attempts: u32,
    checkpoint: u64,
    created_at: Timestamp,
) -> ConsumerRecord {
    ConsumerRecord {
        project_id: ProjectIdOrNil(project),
        name: name.to_owned(),
        events,
        max_attempts,
        on_exhausted: OnExhausted::Park,
        ordering: ConsumerOrdering::Project,
        batch_size: DEFAULT_BATCH,
        handler_timeout: DEFAULT_TIMEOUT,
        status: ConsumerStatus::Active,
        generation: 1,
        retrying: 0,
        letters: 0,
        waits_until: None,
        checkpoint,
        attempts: 0,
        next_attempt_at: None,
        last_error: None,
        lease_token: 0,
        lease_owner: None,
        lease_until: None,
        out_seq: None,
        lapsed: false,
        created_at,
    }
}

/// Refuses what is no name for a consumer of the host.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > 80 || !name.chars().all(fits) {
        return Err(Error::new(ErrorCode::InputInvalid)
            .message("a consumer's name has 1 to 80 characters a-z, 0-9, '_', '.', '-' and starts with a letter")
            .at("name"));
    }
    if is_built_in(name) { Err(Error::new(ErrorCode::BuiltinProtected).at("name")) } else { Ok(()) }
}

/// The library's own consumers.
pub(crate) fn is_built_in(name: &str) -> bool {
    name.starts_with("ventros.")
}

pub(crate) fn check_attempts(max_attempts: u32) -> Result<()> {
    match max_attempts {
        1..=100 => Ok(()),
        _ => Err(Error::new(ErrorCode::ValueOutOfRange).at("max_attempts").with("min", 1).with("max", 100)),
    }
}

/// Refuses more than a reader can have at a time, or can have for so long.
pub(crate) fn check_pace(batch_size: u32, handler_timeout: u32) -> Result<()> {
    let within = |field: &'static str, value: u32, max: u32| match (1..=max).contains(&value) {
        true => Ok(()),
        false => Err(Error::new(ErrorCode::ValueOutOfRange).at(field).with("min", 1).with("max", max)),
    };
    within("batch_size", batch_size, 1_000)?;
    within("handler_timeout", handler_timeout, 3_600)
}

pub(crate) fn check_patterns(patterns: &[String]) -> Result<()> {
    for pattern in patterns {
        let stem = pattern.strip_suffix(".*").unwrap_or(pattern);
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
        if pattern != "*" && (stem.is_empty() || !stem.chars().all(word)) {
            return Err(Error::new(ErrorCode::EventTypeUnknown).at("events").with("pattern", pattern.as_str()));
        }
        let known = pattern == "*"
            || stem == "custom"
            || stem.starts_with("custom.")
            || crate::catalogue::event_types().any(|(name, _)| {
                name == stem || (pattern != stem && name.starts_with(stem) && name[stem.len()..].starts_with('.'))
            });
        if !known {
            return Err(Error::new(ErrorCode::EventTypeUnknown).at("events").with("pattern", pattern.as_str()));
        }
    }
    Ok(())
}
