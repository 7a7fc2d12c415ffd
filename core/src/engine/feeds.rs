//! How a host hears of events: live feeds of this process and durable consumers. Both are cursors on the log.

use super::crm::{Core, Crm};
use crate::kernel::{Error, ErrorCode, ProjectId, Result, Timestamp};
use crate::storage::{ConsumerProgress, ConsumerRecord, DeadLetter, EventQuery, EventRecord, ProjectIdOrNil, Scope};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Seconds that a worker may hold a consumer without a sign of life.
pub const LEASE_SECONDS: i64 = 30;
/// Failed tries before an event is parked as a dead letter.
pub const DEFAULT_ATTEMPTS: u32 = 10;

/// Events from now on, in log order, for as long as the process lives. Nothing is kept for it: a slow reader reads the
/// log later, so it neither blocks a commit nor loses an event.
pub struct LiveFeed {
    core: Arc<Core>,
    project: Option<ProjectId>,
    patterns: Vec<String>,
    seen: BTreeMap<ProjectId, u64>,
}

impl LiveFeed {
    /// The next events, at most `limit`; empty when there are none now.
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
                let page = self.core.storage.events(Scope::Project(project), &query).await?;
                *seen = if page.len() < room { head } else { page.last().map_or(head, |event| event.seq) };
                events.extend(page);
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
    /// 1 to 100; then the event becomes a dead letter and the next one follows.
    pub max_attempts: u32,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        SubscribeOptions { events: Vec::new(), start: StartAt::Now, max_attempts: DEFAULT_ATTEMPTS }
    }
}

/// A named reader with a stored checkpoint. Events come at least once and in order; one process reads at a time.
pub struct Durable {
    core: Arc<Core>,
    project: ProjectId,
    name: String,
    lease: Option<ConsumerRecord>,
}

impl Durable {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn project(&self) -> ProjectId {
        self.project
    }

    /// The next events, at most `limit`. Empty when there are none, when another process reads, or while a failed event
    /// waits for its next try. Each must be answered by [`ack`](Self::ack) or [`fail`](Self::fail), in order.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<EventRecord>> {
        if self.lease.is_none() && !self.has_work(limit).await? {
            return Ok(Vec::new());
        }
        let Some(mut lease) = self.claim().await? else { return Ok(Vec::new()) };
        let head = self.core.storage.head(self.project).await?;
        let query = EventQuery {
            after: lease.checkpoint,
            until: Some(head),
            types: lease.events.clone(),
            limit,
            ..EventQuery::default()
        };
        let events = self.core.storage.events(Scope::Project(self.project), &query).await?;
        if events.is_empty() {
            lease.checkpoint = lease.checkpoint.max(head);
            hand_back(&self.core, &lease, None).await?;
            return Ok(events);
        }
        self.lease = Some(lease);
        Ok(events)
    }

    /// Done with everything up to and including `seq`.
    pub async fn ack(&mut self, seq: u64) -> Result<()> {
        let Some(mut lease) = self.lease.take() else { return Err(ErrorCode::LeaseLost.into()) };
        lease.checkpoint = lease.checkpoint.max(seq);
        lease.attempts = 0;
        lease.next_attempt_at = None;
        lease.last_error = None;
        self.write(&lease, false, None).await?;
        self.lease = Some(lease);
        Ok(())
    }

    /// Could not handle this event: it comes again after a delay, or is parked when its tries are used up.
    pub async fn fail(&mut self, event: &EventRecord, error: &str) -> Result<()> {
        let Some(mut lease) = self.lease.take() else { return Err(ErrorCode::LeaseLost.into()) };
        let now = self.core.now();
        let error: String = error.chars().take(2_000).collect();
        lease.attempts += 1;
        let dead = (lease.attempts >= lease.max_attempts).then(|| DeadLetter {
            event_id: event.id,
            seq: event.seq,
            attempts: lease.attempts,
            error: error.clone(),
            failed_at: now,
        });
        if dead.is_some() {
            lease.checkpoint = lease.checkpoint.max(event.seq);
            lease.attempts = 0;
            lease.next_attempt_at = None;
        } else {
            lease.next_attempt_at = Some(now.plus_micros(backoff_micros(&self.core, lease.attempts, 1, 300)));
        }
        lease.last_error = Some(error);
        self.write(&lease, true, dead).await
    }

    /// Lets another process read. Dropping the reader without it delays the others until the lease ends.
    pub async fn release(&mut self) -> Result<()> {
        match self.lease.take() {
            Some(lease) => hand_back(&self.core, &lease, None).await,
            None => Ok(()),
        }
    }

    /// The events given up on, oldest first.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.core.storage.dead_letters(self.project, &self.name, limit).await
    }

    /// Looks before it claims: claiming writes, and most commits concern other readers. A checkpoint that only others'
    /// events have passed is moved in larger steps.
    async fn has_work(&self, limit: usize) -> Result<bool> {
        let known = self.core.storage.consumers(Scope::Project(self.project)).await?;
        let Some(consumer) = known.into_iter().find(|consumer| consumer.name == self.name) else { return Ok(false) };
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
        let until = now.plus_seconds(LEASE_SECONDS);
        self.core.storage.claim_consumer(self.project, &self.name, self.core.owner, now, until).await
    }

    async fn write(&self, lease: &ConsumerRecord, release: bool, dead_letter: Option<DeadLetter>) -> Result<()> {
        let progress = progress(self.core.now(), lease, release, dead_letter);
        self.core.storage.update_consumer(&progress).await
    }
}

pub(crate) fn progress(
    now: Timestamp,
    lease: &ConsumerRecord,
    release: bool,
    dead_letter: Option<DeadLetter>,
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
        lease_until: (!release).then(|| now.plus_seconds(LEASE_SECONDS)),
        dead_letter,
    }
}

/// Ends a lease. One that ran out and went to somebody else is theirs to end.
pub(crate) async fn hand_back(core: &Core, lease: &ConsumerRecord, dead_letter: Option<DeadLetter>) -> Result<()> {
    match core.storage.update_consumer(&progress(core.now(), lease, true, dead_letter)).await {
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
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > 80 || !name.chars().all(fits) {
            return Err(Error::new(ErrorCode::InputInvalid)
                .message("a consumer's name has 1 to 80 characters a-z, 0-9, '_', '.', '-' and starts with a letter")
                .at("name"));
        }
        if name.starts_with("ventros.") {
            return Err(Error::new(ErrorCode::BuiltinProtected).at("name"));
        }
        if !(1..=100).contains(&options.max_attempts) {
            return Err(Error::new(ErrorCode::ValueOutOfRange).at("max_attempts").with("min", 1).with("max", 100));
        }
        check_patterns(&options.events)?;
        let head = self.core.storage.head(project).await?;
        let checkpoint = match options.start {
            StartAt::Beginning => 0,
            StartAt::Now => head,
            StartAt::After(seq) => seq.min(head),
        };
        let now = self.core.now();
        let consumer = ConsumerRecord {
            project_id: ProjectIdOrNil(project),
            name: name.to_owned(),
            events: options.events,
            max_attempts: options.max_attempts,
            checkpoint,
            attempts: 0,
            next_attempt_at: None,
            last_error: None,
            lease_token: 0,
            lease_owner: None,
            lease_until: None,
            created_at: now,
        };
        self.core.storage.open_consumer(&consumer).await?;
        Ok(Durable { core: self.core.clone(), project, name: name.to_owned(), lease: None })
    }

    /// Forgets a durable consumer and its checkpoint; false when there was none.
    pub async fn unsubscribe(&self, project: ProjectId, name: &str) -> Result<bool> {
        self.core.storage.delete_consumer(project, name).await
    }
}

fn check_patterns(patterns: &[String]) -> Result<()> {
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
