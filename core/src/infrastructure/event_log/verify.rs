//! The first law of the house, checked and mended while the house is in use: a state is the fold of the log.

use super::replay::Replay;
use super::walk::Walk;
use crate::catalogue::{AGGREGATES, AggregateType, REACTIONS, aggregate_type};
use crate::engine::{Command, Stored, UnitOfWork, derived, derived_up_to, read};
use crate::kernel::{Error, ErrorCode, Permission, Result, Subject, Timestamp};
use crate::storage::{EventQuery, EventRecord, Scope, Snapshot, limit_within, type_matches};
use crate::{operations, text_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Events read at a time.
const BATCH: usize = 500;
/// Events looked at for the beginnings of aggregates in one call.
const MAX_SCAN: usize = 10_000;
/// How often an aggregate that others keep changing is looked at again.
const TRIES: usize = 5;

/// Folds aggregates again from the log and compares the result with their stored states, byte for byte.
///
/// One call checks some of them: in the order in which they came to life, then those whose first events were removed. `next` says where
/// the following call goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyEvents {
    /// Only this one.
    #[serde(default)]
    pub aggregate: Option<Subject>,
    /// `next` of the call before.
    #[serde(default)]
    pub after: Option<String>,
    /// Aggregates to check, 1 to 1,000; 100 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
    /// Puts what the log says in the place of states that differ or are missing.
    #[serde(default)]
    pub repair: bool,
}

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyReport {
    /// Aggregates that were looked at.
    pub checked: u64,
    pub problems: Vec<LogProblem>,
    /// How many of them are mended.
    pub repaired: u64,
    /// Where the next call goes on; null when all has been looked at.
    pub next: Option<String>,
}

/// An aggregate that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogProblem {
    pub aggregate: Subject,
    pub problem: LogProblemKind,
}

text_enum! {
    /// What is wrong with an aggregate.
    pub enum LogProblemKind {
        /// The stored state is not the fold of its events.
        StateMismatch = "log_state_mismatch",
        /// There are events and no state.
        StateMissing = "state_missing",
        /// There is a state and no event that it begins with.
        EventsMissing = "events_missing",
        /// Its own events are not numbered 1, 2, 3, ...
        VersionGap = "version_gap",
        /// An event or the state cannot be read.
        Unreadable = "unreadable",
    }
}

impl Command for VerifyEvents {
    const NAME: &'static str = "events.verify";
    const PERMISSION: Permission = Permission::EventsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::LimitOutOfRange, ErrorCode::CursorInvalid];
    type Output = VerifyReport;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<VerifyReport> {
        let limit = limit_within(self.limit, 100, 1_000)?;
        let mut report = VerifyReport::default();
        let subjects = match self.aggregate {
            Some(subject) => vec![(subject, None)],
            None => {
                let (subjects, next) = match Walk::parse(self.after.as_deref()).map_err(|error| error.at("after"))? {
                    Walk::Events(after) => beginnings(work, after, limit).await?,
                    Walk::Baselines(after) => kept(work, after, limit).await?,
                };
                report.next = next.map(|next| next.to_string());
                subjects
            }
        };
        for (subject, origin) in subjects {
            let Some(kind) = aggregate_type(subject.kind) else { continue };
            report.checked += 1;
            let Some((problem, mended)) = check(work, kind, subject, origin).await? else { continue };
            report.problems.push(LogProblem { aggregate: subject, problem });
            if let (true, Some((state, stored))) = (self.repair, mended) {
                work.replace(kind, state, stored.as_ref());
                report.repaired += 1;
            }
        }
        Ok(report)
    }
}

/// An aggregate, with the event that began its life if that is another aggregate's.
type Beginning = (Subject, Option<EventRecord>);

/// Aggregates whose first events were removed, and where to go on if there may be more.
async fn kept(work: &UnitOfWork<'_>, after: Option<Subject>, limit: usize) -> Result<(Vec<Beginning>, Option<Walk>)> {
    let page = work.reader().storage().scan_baselines(work.project(), None, after, limit).await?;
    let next = page.last().filter(|_| page.len() == limit).map(|last| Walk::Baselines(Some(last.subject())));
    Ok((page.iter().map(|baseline| (baseline.subject(), None)).collect(), next))
}

/// Aggregates that came to life after an event, and where to go on if there may be more.
async fn beginnings(work: &UnitOfWork<'_>, after: u64, limit: usize) -> Result<(Vec<Beginning>, Option<Walk>)> {
    let (mut subjects, mut looked) = (Vec::new(), 0);
    let (storage, scope) = (work.reader().storage(), Scope::Project(work.project()));
    // What a reaction writes after an event is not missing before that has come by.
    let derived_up_to = derived_up_to(storage, scope).await?;
    let mut query = EventQuery { after, limit: BATCH, ..EventQuery::default() };
    loop {
        let events = storage.events(scope, &query).await?;
        let is_last = events.len() < BATCH;
        for event in events {
            if subjects.len() >= limit {
                return Ok((subjects, Some(Walk::Events(query.after))));
            }
            query.after = event.seq;
            looked += 1;
            if event.aggregate_version == 1 && aggregate_type(event.aggregate_kind).is_some() {
                subjects.push((Subject::new(event.aggregate_kind, event.aggregate_id), None));
            }
            if event.seq <= derived_up_to && begins_others(&event.event_type) {
                // One that cannot be read is found with the aggregate that it belongs to.
                let lives = read(&event).map(|(known, _)| derived(&event, &known)).unwrap_or_default();
                subjects.extend(lives.into_iter().map(|(subject, _)| (subject, Some(event.clone()))));
            }
        }
        if is_last {
            let has_kept = !storage.scan_baselines(work.project(), None, None, 1).await?.is_empty();
            return Ok((subjects, has_kept.then_some(Walk::Baselines(None))));
        }
        if looked >= MAX_SCAN {
            return Ok((subjects, Some(Walk::Events(query.after))));
        }
    }
}

/// Whether a reaction that writes lives of other aggregates hears events of this type.
fn begins_others(event_type: &str) -> bool {
    let names = AGGREGATES.iter().filter_map(|aggregate| aggregate.derived_by);
    let heard = |name| REACTIONS.iter().flat_map(|table| table.iter()).find(move |reaction| reaction.name == name);
    names.filter_map(heard).flat_map(|reaction| reaction.events).any(|pattern| type_matches(pattern, event_type))
}

/// What is put in the place of what is stored.
type Mended = (Arc<dyn Stored>, Option<Snapshot>);

async fn check(
    work: &UnitOfWork<'_>,
    kind: &'static AggregateType,
    subject: Subject,
    known_origin: Option<EventRecord>,
) -> Result<Option<(LogProblemKind, Option<Mended>)>> {
    let read = work.reader();
    for _ in 0..TRIES {
        let before = stored(work, subject).await?;
        let scope = Scope::Project(read.project());
        let origin = known_origin.clone();
        let replay = Replay::of(read.storage(), scope, subject, origin, |_, _| ControlFlow::Continue(()));
        let replay = match replay.await {
            Err(error) if error.code() == ErrorCode::CorruptData => {
                return Ok(Some((LogProblemKind::Unreadable, None)));
            }
            replay => replay?,
        };
        let after = stored(work, subject).await?;
        let revision = |snapshot: &Option<Snapshot>| snapshot.as_ref().map(|snapshot| snapshot.revision);
        // Somebody wrote meanwhile: the two belong to different moments.
        if revision(&before) != revision(&after) {
            continue;
        }
        return verdict(kind, replay, after, work.now());
    }
    Err(Error::new(ErrorCode::VersionConflict)
        .with("resource", subject.kind.as_str())
        .with("id", subject.id.to_string()))
}

async fn stored(work: &UnitOfWork<'_>, subject: Subject) -> Result<Option<Snapshot>> {
    let read = work.reader();
    let found = read.storage().get(read.scope_of(subject.kind), subject.kind, &[subject.id]).await?;
    Ok(found.into_iter().next())
}

fn verdict(
    kind: &AggregateType,
    replay: Replay,
    stored: Option<Snapshot>,
    now: Timestamp,
) -> Result<Option<(LogProblemKind, Option<Mended>)>> {
    let Some(folded) = replay.state else {
        return Ok(stored.map(|_| (LogProblemKind::EventsMissing, None)));
    };
    if replay.gap.is_some() {
        return Ok(Some((LogProblemKind::VersionGap, None)));
    }
    let text = folded.encode()?;
    let problem = match &stored {
        Some(stored) if stored.state == text => return Ok(None),
        Some(stored) if stored.schema > kind.schema() => {
            return Err(ErrorCode::UnknownEventVersion.into());
        }
        Some(stored) if (kind.decode)(stored).is_err() => LogProblemKind::Unreadable,
        Some(_) => LogProblemKind::StateMismatch,
        None if folded.is_forgotten(now) => return Ok(None),
        None => LogProblemKind::StateMissing,
    };
    Ok(Some((problem, Some((Arc::from(folded), stored)))))
}

operations![commands: VerifyEvents];
